//! A derivative made operation by operation: that of each is derived once, and put wherever the
//! operation stands.
//!
//! Everything is done by positions, in one dense graph that starts with the function itself: no
//! operation of the function or of the derivative is given a key. That a rule is asked once for many
//! operations is right as long as it can only look at the operation and at the types of its operands, so this way
//! is not for operation sets whose rules have a context to look into, and infer no types: they go by
//! [`Stage`](super::stage::Stage).

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use smallvec::SmallVec;
use tidu_graph::{
    DenseGraph, DenseId, DenseNode, Exactness, GraphBuilder, ImportedTypes, TypeId, ValueKey,
    ValueType,
};

use super::missing::{Mode, explain};
use super::stage::{Unit, emit_unit};
use super::{Function, FunctionError};
use crate::operation_derivative::{
    OperationJvp, OperationLinearization, OperationVjp, Seed, context_of_operands,
};
use crate::rules::{ADKey, Masking, Primitive, checked_add};

/// A function, and a derivative of it in the making.
pub(super) struct Derivation<'a, Op: Primitive> {
    function: &'a Function<Op>,
    /// Positions among the function's inputs.
    wrt: &'a [usize],
    mode: Mode,
    level: Option<Exactness>,
    ctx: &'a mut Op::ADContext,
    operations: Operations<Op>,
    units: Vec<MadeUnit<Op>>,
    /// Of the derivative, if the function has types.
    input_types: Option<Vec<ValueType>>,
    /// What has been made, the function first.
    graph: DenseGraph<Op>,
    /// By value of the function: what it is in `graph`.
    here: Vec<DenseId>,
    arguments: Vec<DenseId>,
}

/// What an operation set emits for any value of a type.
struct MadeUnit<Op: Primitive> {
    unit: Unit,
    of_type: Option<TypeId>,
    function: Function<Op>,
    types: ImportedTypes,
}

/// An input that a derivative has and the function has not: what it is of the type of.
#[derive(Clone, Copy)]
pub(super) enum NewInput {
    /// An input of the function.
    Input(usize),
    /// An output of the function.
    Output(usize),
    /// A mask of an output of the function.
    MaskOf(usize),
}

/// What a reverse pass needs to know beforehand.
pub(super) struct Activity {
    /// By value of the function: whether it depends on what is differentiated by, as far as rules see.
    active: Vec<bool>,
    /// By operation: where its derivative is, or `NOT_ACTIVE`.
    derivative: Vec<u32>,
    /// Whether some operation chooses what it hands a cotangent on to.
    has_selection: bool,
}

const NOT_ACTIVE: u32 = u32::MAX;

/// By value of the function: its tangent or cotangent, if it has one.
type Linear = Vec<Option<DenseId>>;

/// A cotangent that has been kept by its mask, and that mask.
type Masked = (DenseId, Option<DenseId>);

/// The cotangent of an output of the function.
pub(super) struct SeedAt {
    /// Its position.
    pub output: usize,
    pub cotangent: DenseId,
    /// By which the cotangent has been kept.
    pub mask: Option<DenseId>,
}

impl<'a, Op: Primitive> Derivation<'a, Op> {
    /// Starts from a function, with some inputs more than it has.
    pub fn new(
        function: &'a Function<Op>,
        wrt: &'a [usize],
        more_inputs: &[NewInput],
        mode: Mode,
        level: Option<Exactness>,
        ctx: &'a mut Op::ADContext,
    ) -> Self {
        let dense = function.as_dense();
        let inputs = dense.input_count() + more_inputs.len();
        // A derivative is about three times the function.
        let [operations, operands] =
            [dense.operation_count(), dense.operand_count()].map(|count| count / 2 * 7);
        let input_types = dense.types_of(dense.inputs()).map(|mut types| {
            types.extend(more_inputs.iter().filter_map(|input| input.type_in(dense)));
            types
        });
        let mut graph = match &input_types {
            None => DenseGraph::with_capacity(inputs, operations, operands),
            Some(types) => DenseGraph::of_types(types.iter().cloned(), operations, operands),
        };
        let mut here: Vec<DenseId> = graph.inputs().take(dense.input_count()).collect();
        let types = graph.import_types(dense);
        graph.inline_into(dense, &types, &mut here);
        Self {
            function,
            wrt,
            mode,
            level,
            ctx,
            operations: Operations::new(),
            units: Vec::new(),
            input_types,
            graph,
            here,
            arguments: Vec::new(),
        }
    }

    /// An input that the function does not have, by position among these.
    pub fn new_input(&self, at: usize) -> DenseId {
        self.graph
            .input(self.function.as_dense().input_count() + at)
    }

    /// The outputs of the function.
    pub fn primal(&self) -> Vec<(DenseId, String)> {
        let outputs = self.function.as_dense().outputs().iter();
        let values = outputs.map(|id| self.here[id.index()]);
        let names = self.function.output_names().iter().cloned();
        values.zip(names).collect()
    }

    /// The basis vector of the space of an input of the function.
    pub fn basis(&mut self, input: usize, name: &str) -> Result<DenseId, FunctionError> {
        self.unit(Unit::Basis, self.function.as_dense().input(input), name)
    }

    /// A seed for an output of the function.
    pub fn seed(&mut self, unit: Unit, output: usize) -> Result<DenseId, FunctionError> {
        let like = self.function.as_dense().outputs()[output];
        let name = &self.function.output_names()[output];
        self.unit(unit, like, name)
    }

    /// The tangents of the outputs for tangents of some inputs, given by position.
    pub fn push_forward(&mut self, seeds: &[(usize, DenseId)]) -> Result<Linear, FunctionError> {
        let dense = self.function.as_dense();
        let mut tangents: Linear = vec![None; dense.value_count()];
        for &(input, seed) in seeds {
            tangents[input] = Some(seed);
        }
        let mut active = Vec::new();
        for node in dense.nodes() {
            active.clear();
            active.extend(
                node.operands
                    .iter()
                    .map(|id| tangents[id.index()].is_some()),
            );
            if !active.contains(&true) {
                continue;
            }
            let at = self.find(node, &active)?;
            let derived = self.operations.derive_jvp(at, self.level, &mut self.graph);
            derived.map_err(|error| self.locate(error))?;
            let jvp = self.operations.derived[at].jvp.as_ref();
            let (jvp, types) = jvp.expect("it was derived just now");
            let arguments = &mut self.arguments;
            arguments.clear();
            let given = node.operands.iter().copied().chain(node.results.iter());
            arguments.extend(given.map(|id| self.here[id.index()]));
            arguments.extend(node.operands.iter().filter_map(|id| tangents[id.index()]));
            let function = jvp.function.as_dense();
            self.graph.inline_into(function, types, arguments);
            for (value, output) in node.results.indices().zip(&jvp.tangents) {
                tangents[value] = output.map(|at| arguments[function.outputs()[at].index()]);
            }
        }
        let outputs = dense.outputs().iter();
        Ok(outputs.map(|id| tangents[id.index()]).collect())
    }

    /// What a reverse pass has to go through.
    pub fn activity(&mut self) -> Result<Activity, FunctionError> {
        let dense = self.function.as_dense();
        let mut activity = Activity {
            active: vec![false; dense.value_count()],
            derivative: Vec::with_capacity(dense.operation_count()),
            has_selection: false,
        };
        let has_masks = Op::masking().is_some();
        for &input in self.wrt {
            activity.active[input] = true;
        }
        let mut active = Vec::new();
        for node in dense.nodes() {
            active.clear();
            active.extend(node.operands.iter().map(|id| activity.active[id.index()]));
            if !active.contains(&true) {
                activity.derivative.push(NOT_ACTIVE);
                continue;
            }
            let at = self.find(node, &active)?;
            activity.derivative.push(at as u32);
            let live = &self.operations.derived[at].live;
            activity.active[node.results.indices()].copy_from_slice(live);
            activity.has_selection |= has_masks && self.operations.derived[at].selects;
        }
        Ok(activity)
    }

    /// The cotangents of what is differentiated by, for cotangents of some outputs, given by position.
    pub fn pull_back(
        &mut self,
        activity: &Activity,
        seeds: &[(usize, DenseId)],
    ) -> Result<Linear, FunctionError> {
        let seeds = seeds.iter().map(|&(output, cotangent)| SeedAt {
            output,
            cotangent,
            mask: None,
        });
        let found = self.pull_back_masked(activity, &seeds.collect::<Vec<_>>())?;
        let found = found.into_iter();
        Ok(found
            .map(|found| found.map(|(cotangent, _)| cotangent))
            .collect())
    }

    /// The same from cotangents that may have masks, with masks that the results have been kept by.
    pub fn pull_back_masked(
        &mut self,
        activity: &Activity,
        seeds: &[SeedAt],
    ) -> Result<Vec<Option<Masked>>, FunctionError> {
        let dense = self.function.as_dense();
        let has_masks = activity.has_selection || seeds.iter().any(|seed| seed.mask.is_some());
        let values = dense.value_count();
        let mut pass = Cotangents::new(&activity.active, values, has_masks);
        for seed in seeds {
            let mask = seed.mask.map(|value| Mask {
                value,
                is_kept: true,
            });
            let output = dense.outputs()[seed.output];
            pass.accumulate(&mut self.graph, output, seed.cotangent, mask)?;
        }
        let mut seeds = Vec::new();
        for (node, &at) in dense.nodes().zip(&activity.derivative).rev() {
            if at == NOT_ACTIVE {
                continue;
            }
            pass.seeds(node.results.indices(), &mut seeds);
            if !seeds.iter().any(|seed| seed.is_there()) {
                continue;
            }
            let at = at as usize;
            let (level, ctx) = (self.level, &mut *self.ctx);
            let vjp = self.operations.vjp(at, &seeds, level, ctx, &mut self.graph);
            let vjp = vjp.map_err(|error| self.locate(error))?;
            let (_, vjp, types) = &self.operations.derived[at].vjps[vjp];
            let arguments = &mut self.arguments;
            arguments.clear();
            let given = node.operands.iter().copied().chain(node.results.iter());
            arguments.extend(given.map(|id| self.here[id.index()]));
            arguments.extend(pass.so_far[node.results.indices()].iter().flatten());
            arguments.extend(pass.masks_of(node.results.indices()));
            let function = vjp.function.as_dense();
            self.graph.inline_into(function, types, arguments);
            // From the last to the first, as in the transpose of what the rule emits.
            for (place, operand) in node.operands.iter().enumerate().rev() {
                if let Some(at) = vjp.cotangents[place] {
                    let output = |at: usize| arguments[function.outputs()[at].index()];
                    let mask = vjp.masks[place].map(|mask| Mask {
                        value: output(mask.output),
                        is_kept: mask.is_kept,
                    });
                    pass.accumulate(&mut self.graph, *operand, output(at), mask)?;
                }
            }
        }
        let mut found = Vec::with_capacity(self.wrt.len());
        for &input in self.wrt {
            found.push(pass.kept(&mut self.graph, input)?);
        }
        Ok(found)
    }

    /// A value, or the zero of the space of an input of the function.
    pub fn or_zero_of_input(
        &mut self,
        value: Option<DenseId>,
        input: usize,
        name: impl FnOnce() -> String,
    ) -> Result<DenseId, FunctionError> {
        match value {
            Some(value) => Ok(value),
            None => {
                let like = self.function.as_dense().input(input);
                self.unit(Unit::Zero, like, &name())
            }
        }
    }

    /// A value, or the zero of the space of an output of the function.
    pub fn or_zero_of_output(
        &mut self,
        value: Option<DenseId>,
        output: usize,
        name: impl FnOnce() -> String,
    ) -> Result<DenseId, FunctionError> {
        match value {
            Some(value) => Ok(value),
            None => {
                let like = self.function.as_dense().outputs()[output];
                self.unit(Unit::Zero, like, &name())
            }
        }
    }

    /// The function of what has been made.
    pub fn finish(
        mut self,
        input_keys: Vec<Op::InputKey>,
        outputs: Vec<(DenseId, String)>,
    ) -> Result<Function<Op>, FunctionError> {
        let (values, names): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        self.graph.set_outputs(values);
        let (graph, level) = (self.graph, self.level);
        drop((self.here, self.operations));
        let derivative = Function::settle(graph, input_keys, names, level)?;
        match self.input_types {
            Some(types) if derivative.input_types().is_none() => Ok(derivative.of_types(types)?),
            _ => Ok(derivative),
        }
    }

    /// Where the derivative of an operation is, by the operands that are active.
    fn find(&mut self, node: DenseNode<'_, Op>, active: &[bool]) -> Result<usize, FunctionError> {
        let name = &self.function.content.input_keys[0];
        // Types are those of the function: what rules emit may have none, and then nor has the derivative.
        let function = self.function.as_dense();
        let found = self.operations.find(node, active, function, name, self.ctx);
        found.map_err(|error| self.locate(error))
    }

    /// What the operation set emits for a value of the function.
    fn unit(&mut self, unit: Unit, like: DenseId, name: &str) -> Result<DenseId, FunctionError> {
        let (function, of) = (self.function.as_dense(), like);
        let of_type = function.type_id(of);
        let like = self.here[of.index()];
        let mut known = self.units.iter();
        let known = known.position(|made| made.unit == unit && made.of_type == of_type);
        let at = match known {
            Some(at) => at,
            None => {
                let name_of_input = &self.function.content.input_keys[0];
                let value_type = function.type_of(of);
                let function = unit_function(unit, name_of_input, name, value_type, self.ctx)?;
                self.units.push(MadeUnit {
                    unit,
                    of_type,
                    types: self.graph.import_types(function.as_dense()),
                    function,
                });
                self.units.len() - 1
            }
        };
        let made = &self.units[at];
        let mut values = vec![like];
        self.graph
            .inline_into(made.function.as_dense(), &made.types, &mut values);
        Ok(values[made.function.as_dense().outputs()[0].index()])
    }

    fn locate(&mut self, error: FunctionError) -> FunctionError {
        match error {
            FunctionError::Rule(error) => {
                explain(error, self.function, self.wrt, Some(self.mode), self.ctx)
            }
            error => error,
        }
    }
}

/// The cotangents of a reverse pass.
struct Cotangents<'a, Op> {
    active: &'a [bool],
    so_far: Linear,
    /// By value; empty where nothing is selected.
    masks: Vec<Option<Mask>>,
    masking: Option<Masking<Op>>,
}

/// Where a cotangent may be other than zero.
#[derive(Clone, Copy)]
struct Mask {
    value: DenseId,
    /// Whether the cotangent is in fact zero elsewhere.
    is_kept: bool,
}

impl<'a, Op: Primitive> Cotangents<'a, Op> {
    fn new(active: &'a [bool], values: usize, has_masks: bool) -> Self {
        let masking = Op::masking().filter(|_| has_masks);
        let masked = if masking.is_some() { values } else { 0 };
        Self {
            active,
            so_far: vec![None; values],
            masks: vec![None; masked],
            masking,
        }
    }

    /// What is known of the cotangents of some values.
    fn seeds(&self, values: Range<usize>, seeds: &mut Vec<Seed>) {
        seeds.clear();
        seeds.extend(
            values.map(|value| match (self.so_far[value], self.mask(value)) {
                (None, _) => Seed::Zero,
                (Some(_), None) => Seed::Full,
                (Some(_), Some(Mask { is_kept, .. })) => Seed::Masked { is_kept },
            }),
        );
    }

    fn masks_of(&self, values: Range<usize>) -> impl Iterator<Item = DenseId> {
        values.filter_map(|value| self.mask(value).map(|mask| mask.value))
    }

    fn mask(&self, value: usize) -> Option<Mask> {
        self.masks.get(value).copied().flatten()
    }

    /// The one door by which a cotangent reaches a value, be it a seed or a result of a VJP.
    fn accumulate(
        &mut self,
        graph: &mut DenseGraph<Op>,
        to: DenseId,
        new: DenseId,
        mask: Option<Mask>,
    ) -> Result<(), FunctionError> {
        let value = to.index();
        if !self.active[value] {
            return Ok(());
        }
        let Some(so_far) = self.so_far[value] else {
            self.so_far[value] = Some(new);
            self.set_mask(value, mask);
            return Ok(());
        };
        let (terms, mask) = match (self.mask(value), mask) {
            (None, None) => ([so_far, new], None),
            (known, mask) => self.join([(so_far, known), (new, mask)], graph)?,
        };
        self.so_far[value] = Some(graph.push_like_first(checked_add()?, &terms)?);
        self.set_mask(value, mask);
        Ok(())
    }

    /// The terms of a sum, and its mask. Where they have different masks, each is kept by its own first.
    fn join(
        &self,
        terms: [(DenseId, Option<Mask>); 2],
        graph: &mut DenseGraph<Op>,
    ) -> Result<([DenseId; 2], Option<Mask>), FunctionError> {
        let [(x, of_x), (y, of_y)] = terms;
        if let (Some(of_x), Some(of_y)) = (of_x, of_y)
            && of_x.value == of_y.value
        {
            let is_kept = of_x.is_kept && of_y.is_kept;
            return Ok(([x, y], Some(Mask { is_kept, ..of_x })));
        }
        let terms = [self.keep(graph, x, of_x)?, self.keep(graph, y, of_y)?];
        let (Some(of_x), Some(of_y), Some(masking)) = (of_x, of_y, &self.masking) else {
            return Ok((terms, None));
        };
        let either = graph.push(masking.either.clone(), &[of_x.value, of_y.value])?;
        let mask = Mask {
            value: either.start(),
            is_kept: true,
        };
        Ok((terms, Some(mask)))
    }

    /// The cotangent of an input, zero where it has to be.
    fn kept(
        &self,
        graph: &mut DenseGraph<Op>,
        value: usize,
    ) -> Result<Option<Masked>, FunctionError> {
        let Some(found) = self.so_far[value] else {
            return Ok(None);
        };
        let mask = self.mask(value);
        let kept = self.keep(graph, found, mask)?;
        Ok(Some((kept, mask.map(|mask| mask.value))))
    }

    fn keep(
        &self,
        graph: &mut DenseGraph<Op>,
        cotangent: DenseId,
        mask: Option<Mask>,
    ) -> Result<DenseId, FunctionError> {
        let (Some(mask), Some(masking)) = (mask.filter(|mask| !mask.is_kept), &self.masking) else {
            return Ok(cotangent);
        };
        let operands = [mask.value, cotangent];
        Ok(graph.push(masking.keep_if.clone(), &operands)?.start())
    }

    fn set_mask(&mut self, value: usize, mask: Option<Mask>) {
        if let Some(place) = self.masks.get_mut(value) {
            *place = mask;
        }
    }
}

impl NewInput {
    /// Its type, in a derivative of a function that has types.
    fn type_in<Op: Primitive>(self, function: &DenseGraph<Op>) -> Option<ValueType> {
        let output = |at: usize| function.type_of(function.outputs()[at]);
        match self {
            Self::Input(at) => function.type_of(function.input(at)).cloned(),
            Self::Output(at) => output(at).cloned(),
            Self::MaskOf(at) => output(at).map(Op::mask_type),
        }
    }
}

/// The derivatives of operations that were met, each once for operands of the same types.
struct Operations<Op: Primitive> {
    derived: Vec<Derived<Op>>,
    index: HashTable<u32>,
}

struct Derived<Op: Primitive> {
    operation: Op,
    active: Vec<bool>,
    /// Of its operands; empty if they have none.
    types: Types,
    /// What rules are given that ask for types.
    ctx: Option<Op::ADContext>,
    linearization: OperationLinearization<Op>,
    selects: bool,
    /// By result: whether it has a tangent.
    live: Vec<bool>,
    jvp: Option<(OperationJvp<Op>, ImportedTypes)>,
    /// Each with what it takes to be known of the cotangents of results.
    vjps: Vec<(Vec<Seed>, OperationVjp<Op>, ImportedTypes)>,
    /// Where in `vjps` each is, for operations of many results.
    by_seeds: HashMap<Vec<Seed>, usize, FixedState>,
}

type Types = SmallVec<[TypeId; 4]>;

/// So many VJPs are looked through one by one, which takes less time than a hash.
const FEW: usize = 4;

impl<Op: Primitive> Derived<Op> {
    fn find_vjp(&self, seeds: &[Seed]) -> Option<usize> {
        if self.vjps.len() <= FEW {
            self.vjps.iter().position(|(known, ..)| known == seeds)
        } else {
            self.by_seeds.get(seeds).copied()
        }
    }
}

impl<Op: Primitive> Operations<Op> {
    fn new() -> Self {
        Self {
            derived: Vec::new(),
            index: HashTable::new(),
        }
    }

    /// The position of an operation's derivative by those of its operands that are `active`, made if it is not there.
    ///
    /// `function` is the graph that the operation stands in.
    fn find(
        &mut self,
        node: DenseNode<'_, Op>,
        active: &[bool],
        function: &DenseGraph<Op>,
        name: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<usize, FunctionError> {
        let operation = node.operation;
        let mut types = Types::new();
        if function.has_types() {
            types.extend(node.operands.iter().filter_map(|id| function.type_id(*id)));
        }
        let hash = hash(operation, active, &types);
        let same = |&at: &u32| {
            let known = &self.derived[at as usize];
            known.active == active && known.types == types && known.operation == *operation
        };
        if let Some(&at) = self.index.find(hash, same) {
            return Ok(at as usize);
        }
        let mut own = None;
        if function.has_types() {
            let types = node.operands.iter().filter_map(|id| function.type_of(*id));
            own = Some(context_of_operands::<Op>(types, name)?);
        }
        let ctx = own.as_mut().unwrap_or(ctx);
        let linearization = OperationLinearization::derive(operation, name, active, ctx)?;
        let at = self.derived.len();
        self.derived.push(Derived {
            operation: operation.clone(),
            active: active.to_vec(),
            types,
            ctx: own,
            live: linearization.live().collect(),
            selects: linearization.selects(),
            linearization,
            jvp: None,
            vjps: Vec::new(),
            by_seeds: HashMap::default(),
        });
        let derived = &self.derived;
        self.index.insert_unique(hash, at as u32, |&at| {
            let known = &derived[at as usize];
            self::hash(&known.operation, &known.active, &known.types)
        });
        Ok(at)
    }

    /// Makes a JVP if it is not there, for `graph`.
    fn derive_jvp(
        &mut self,
        at: usize,
        level: Option<Exactness>,
        graph: &mut DenseGraph<Op>,
    ) -> Result<(), FunctionError> {
        let derived = &mut self.derived[at];
        if derived.jvp.is_none() {
            let jvp = derived.linearization.jvp(level)?;
            let types = graph.import_types(jvp.function.as_dense());
            derived.jvp = Some((jvp, types));
        }
        Ok(())
    }

    /// The position of a VJP for what is known of the cotangents of results, made for `graph` if it is not there.
    fn vjp(
        &mut self,
        at: usize,
        seeds: &[Seed],
        level: Option<Exactness>,
        ctx: &mut Op::ADContext,
        graph: &mut DenseGraph<Op>,
    ) -> Result<usize, FunctionError> {
        let derived = &mut self.derived[at];
        if let Some(found) = derived.find_vjp(seeds) {
            return Ok(found);
        }
        let ctx = derived.ctx.as_mut().unwrap_or(ctx);
        let made = derived.linearization.vjp(seeds, level, ctx)?;
        let types = graph.import_types(made.function.as_dense());
        let at = derived.vjps.len();
        derived.vjps.push((seeds.to_vec(), made, types));
        derived.by_seeds.insert(seeds.to_vec(), at);
        Ok(at)
    }
}

fn hash<Op: Primitive>(operation: &Op, active: &[bool], types: &[TypeId]) -> u64 {
    let state = FixedState::default();
    // Most sets have none.
    if types.is_empty() {
        state.hash_one((operation, active))
    } else {
        state.hash_one((operation, active, types))
    }
}

/// What an operation set emits for a value, of this type if it has one, as a function of that value.
fn unit_function<Op: Primitive>(
    unit: Unit,
    name_of_input: &Op::InputKey,
    name: &str,
    value_type: Option<&ValueType>,
    ctx: &mut Op::ADContext,
) -> Result<Function<Op>, FunctionError> {
    let key = name_of_input.residual_of(0);
    let mut own =
        value_type.map(|value_type| context_of_operands::<Op>([value_type], name_of_input));
    let ctx = match &mut own {
        Some(own) => own.as_mut().map_err(|error| error.clone())?,
        None => ctx,
    };
    let mut builder = GraphBuilder::new();
    builder.add_input(key.clone());
    let like = ValueKey::Input(key.clone());
    let emitted = emit_unit(unit, &mut builder, &like, name, ctx)?;
    let value = builder.global_key(emitted).clone();
    let graphs = vec![builder.build().into()];
    let function = Function::close(graphs, &[key], vec![(value, name.into())], None)?;
    match value_type {
        Some(value_type) => Ok(function.of_types(vec![value_type.clone()])?),
        None => Ok(function),
    }
}
