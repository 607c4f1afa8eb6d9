//! A derivative made operation by operation: that of each is derived once, and put wherever the
//! operation stands.
//!
//! Everything is done by positions, in one dense graph that starts with the function itself: no
//! operation of the function or of the derivative is given a key. That a rule is asked once for many
//! operations is right as long as it can only look at what it is given, so this way is not for
//! operation sets whose rules have a context to look into: they go by
//! [`Stage`](super::stage::Stage).

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use tidu_graph::{DenseGraph, DenseId, Exactness, GraphBuilder, ValueKey};

use super::missing::{Mode, explain};
use super::stage::{Unit, emit_unit};
use super::{Function, FunctionError};
use crate::operation_derivative::{OperationJvp, OperationLinearization, OperationVjp};
use crate::rules::{ADKey, Primitive, checked_add};

/// A function, and a derivative of it in the making.
pub(super) struct Derivation<'a, Op: Primitive> {
    function: &'a Function<Op>,
    /// Positions among the function's inputs.
    wrt: &'a [usize],
    mode: Mode,
    level: Option<Exactness>,
    ctx: &'a mut Op::ADContext,
    operations: Operations<Op>,
    units: [Option<Function<Op>>; 3],
    /// What has been made, the function first.
    graph: DenseGraph<Op>,
    /// By value of the function: what it is in `graph`.
    here: Vec<DenseId>,
    arguments: Vec<DenseId>,
}

/// What a reverse pass needs to know beforehand.
pub(super) struct Activity {
    /// By value of the function: whether it depends on what is differentiated by, as far as rules see.
    active: Vec<bool>,
    /// By operation: where its derivative is, or `NOT_ACTIVE`.
    derivative: Vec<u32>,
}

const NOT_ACTIVE: u32 = u32::MAX;

/// By value of the function: its tangent or cotangent, if it has one.
type Linear = Vec<Option<DenseId>>;

impl<'a, Op: Primitive> Derivation<'a, Op> {
    /// Starts from a function, with so many inputs more than it has.
    pub fn new(
        function: &'a Function<Op>,
        wrt: &'a [usize],
        more_inputs: usize,
        mode: Mode,
        level: Option<Exactness>,
        ctx: &'a mut Op::ADContext,
    ) -> Self {
        let dense = function.as_dense();
        let inputs = dense.input_count() + more_inputs;
        // A derivative is about three times the function.
        let [operations, operands] =
            [dense.operation_count(), dense.operand_count()].map(|count| count / 2 * 7);
        let mut graph = DenseGraph::with_capacity(inputs, operations, operands);
        let mut here: Vec<DenseId> = graph.inputs().take(dense.input_count()).collect();
        graph.inline_into(dense, &mut here);
        Self {
            function,
            wrt,
            mode,
            level,
            ctx,
            operations: Operations::new(),
            units: [const { None }; 3],
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
        self.unit(Unit::Basis, self.here[input], name)
    }

    /// A seed for an output of the function.
    pub fn seed(&mut self, unit: Unit, output: usize) -> Result<DenseId, FunctionError> {
        let like = self.function.as_dense().outputs()[output];
        let name = &self.function.output_names()[output];
        self.unit(unit, self.here[like.index()], name)
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
            let at = self.find(node.operation, &active)?;
            let derived = self.operations.derive_jvp(at, self.level);
            derived.map_err(|error| self.locate(error))?;
            let jvp = self.operations.derived[at].jvp.as_ref();
            let jvp = jvp.expect("it was derived just now");
            let arguments = &mut self.arguments;
            arguments.clear();
            let given = node.operands.iter().copied().chain(node.results.iter());
            arguments.extend(given.map(|id| self.here[id.index()]));
            arguments.extend(node.operands.iter().filter_map(|id| tangents[id.index()]));
            let function = jvp.function.as_dense();
            self.graph.inline_into(function, arguments);
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
        };
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
            let at = self.find(node.operation, &active)?;
            activity.derivative.push(at as u32);
            let live = &self.operations.derived[at].live;
            activity.active[node.results.indices()].copy_from_slice(live);
        }
        Ok(activity)
    }

    /// The cotangents of what is differentiated by, for cotangents of some outputs, given by position.
    pub fn pull_back(
        &mut self,
        activity: &Activity,
        seeds: &[(usize, DenseId)],
    ) -> Result<Linear, FunctionError> {
        let dense = self.function.as_dense();
        let mut pass = Cotangents {
            active: &activity.active,
            so_far: vec![None; dense.value_count()],
        };
        for &(output, seed) in seeds {
            pass.accumulate(&mut self.graph, dense.outputs()[output], seed)?;
        }
        let mut seeded = Vec::new();
        for (index, &at) in activity.derivative.iter().enumerate().rev() {
            if at == NOT_ACTIVE {
                continue;
            }
            let node = dense.node(index);
            let cotangents = &pass.so_far[node.results.indices()];
            seeded.clear();
            seeded.extend(cotangents.iter().map(Option::is_some));
            if !seeded.contains(&true) {
                continue;
            }
            let at = at as usize;
            let vjp = self.operations.vjp(at, &seeded, self.level, self.ctx);
            let vjp = vjp.map_err(|error| self.locate(error))?;
            let vjp = &self.operations.derived[at].vjps[vjp].1;
            let arguments = &mut self.arguments;
            arguments.clear();
            let given = node.operands.iter().copied().chain(node.results.iter());
            arguments.extend(given.map(|id| self.here[id.index()]));
            arguments.extend(cotangents.iter().flatten());
            let function = vjp.function.as_dense();
            self.graph.inline_into(function, arguments);
            // From the last to the first, as in the transpose of what the rule emits.
            for (operand, output) in node.operands.iter().zip(&vjp.cotangents).rev() {
                if let Some(at) = output {
                    let new = arguments[function.outputs()[*at].index()];
                    pass.accumulate(&mut self.graph, *operand, new)?;
                }
            }
        }
        Ok(self.wrt.iter().map(|&input| pass.so_far[input]).collect())
    }

    /// A value, or the zero of the space of an input of the function.
    pub fn or_zero_of_input(
        &mut self,
        value: Option<DenseId>,
        input: usize,
        name: &str,
    ) -> Result<DenseId, FunctionError> {
        match value {
            Some(value) => Ok(value),
            None => self.unit(Unit::Zero, self.here[input], name),
        }
    }

    /// A value, or the zero of the space of an output of the function.
    pub fn or_zero_of_output(
        &mut self,
        value: Option<DenseId>,
        output: usize,
        name: &str,
    ) -> Result<DenseId, FunctionError> {
        match value {
            Some(value) => Ok(value),
            None => {
                let like = self.function.as_dense().outputs()[output];
                self.unit(Unit::Zero, self.here[like.index()], name)
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
        Function::settle(graph, input_keys, names, level)
    }

    /// Where the derivative of an operation is, by the operands that are active.
    fn find(&mut self, operation: &Op, active: &[bool]) -> Result<usize, FunctionError> {
        let name = &self.function.content.input_keys[0];
        let found = self.operations.find(operation, active, name, self.ctx);
        found.map_err(|error| self.locate(error))
    }

    fn unit(&mut self, unit: Unit, like: DenseId, name: &str) -> Result<DenseId, FunctionError> {
        let made = match self.units[unit as usize].take() {
            Some(made) => made,
            None => unit_function(unit, &self.function.content.input_keys[0], name, self.ctx)?,
        };
        let made = self.units[unit as usize].insert(made);
        Ok(self.graph.inline(made.as_dense(), &[like])[0])
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
struct Cotangents<'a> {
    active: &'a [bool],
    so_far: Linear,
}

impl Cotangents<'_> {
    /// The one door by which a cotangent reaches a value, be it a seed or a result of a VJP.
    fn accumulate<Op: Primitive>(
        &mut self,
        graph: &mut DenseGraph<Op>,
        value: DenseId,
        new: DenseId,
    ) -> Result<(), FunctionError> {
        if !self.active[value.index()] {
            return Ok(());
        }
        let so_far = &mut self.so_far[value.index()];
        *so_far = Some(match *so_far {
            None => new,
            Some(so_far) => graph.push(checked_add()?, &[so_far, new])?.start(),
        });
        Ok(())
    }
}

/// The derivatives of operations that were met, each once.
struct Operations<Op: Primitive> {
    derived: Vec<Derived<Op>>,
    index: HashTable<u32>,
}

struct Derived<Op: Primitive> {
    operation: Op,
    active: Vec<bool>,
    linearization: OperationLinearization<Op>,
    /// By result: whether it has a tangent.
    live: Vec<bool>,
    jvp: Option<OperationJvp<Op>>,
    /// Each with the results that it takes to be seeded.
    vjps: Vec<(Vec<bool>, OperationVjp<Op>)>,
    /// Where in `vjps` each is, for operations of many results.
    by_seeds: HashMap<Vec<bool>, usize, FixedState>,
}

/// So many VJPs are looked through one by one, which takes less time than a hash.
const FEW: usize = 4;

impl<Op: Primitive> Derived<Op> {
    fn find_vjp(&self, seeded: &[bool]) -> Option<usize> {
        if self.vjps.len() <= FEW {
            self.vjps.iter().position(|(known, _)| known == seeded)
        } else {
            self.by_seeds.get(seeded).copied()
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

    /// The position of an operation's derivative by these operands, made if it is not there.
    fn find(
        &mut self,
        operation: &Op,
        active: &[bool],
        name: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<usize, FunctionError> {
        let hash = hash(operation, active);
        let same = |&at: &u32| {
            let known = &self.derived[at as usize];
            known.active == active && known.operation == *operation
        };
        if let Some(&at) = self.index.find(hash, same) {
            return Ok(at as usize);
        }
        let linearization = OperationLinearization::derive(operation, name, active, ctx)?;
        let at = self.derived.len();
        self.derived.push(Derived {
            operation: operation.clone(),
            active: active.to_vec(),
            live: linearization.live().collect(),
            linearization,
            jvp: None,
            vjps: Vec::new(),
            by_seeds: HashMap::default(),
        });
        let derived = &self.derived;
        self.index.insert_unique(hash, at as u32, |&at| {
            let known = &derived[at as usize];
            self::hash(&known.operation, &known.active)
        });
        Ok(at)
    }

    /// Makes a JVP if it is not there.
    fn derive_jvp(&mut self, at: usize, level: Option<Exactness>) -> Result<(), FunctionError> {
        let derived = &mut self.derived[at];
        if derived.jvp.is_none() {
            derived.jvp = Some(derived.linearization.jvp(level)?);
        }
        Ok(())
    }

    /// The position of a VJP for some seeded results, made if it is not there.
    fn vjp(
        &mut self,
        at: usize,
        seeded: &[bool],
        level: Option<Exactness>,
        ctx: &mut Op::ADContext,
    ) -> Result<usize, FunctionError> {
        let derived = &mut self.derived[at];
        if let Some(found) = derived.find_vjp(seeded) {
            return Ok(found);
        }
        let made = derived.linearization.vjp(seeded, level, ctx)?;
        let at = derived.vjps.len();
        derived.vjps.push((seeded.to_vec(), made));
        derived.by_seeds.insert(seeded.to_vec(), at);
        Ok(at)
    }
}

fn hash<Op: Primitive>(operation: &Op, active: &[bool]) -> u64 {
    FixedState::default().hash_one((operation, active))
}

/// What an operation set emits for a value, as a function of that value.
fn unit_function<Op: Primitive>(
    unit: Unit,
    name_of_input: &Op::InputKey,
    name: &str,
    ctx: &mut Op::ADContext,
) -> Result<Function<Op>, FunctionError> {
    let key = name_of_input.residual_of(0);
    let mut builder = GraphBuilder::new();
    builder.add_input(key.clone());
    let like = ValueKey::Input(key.clone());
    let emitted = emit_unit(unit, &mut builder, &like, name, ctx)?;
    let value = builder.global_key(emitted).clone();
    let graphs = vec![builder.build().into()];
    Function::close(graphs, &[key], vec![(value, name.into())], None)
}
