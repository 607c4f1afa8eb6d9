//! A derivative made operation by operation: that of each is derived once, and put wherever the
//! operation stands.
//!
//! Everything is done by positions, in one dense graph that starts with the function itself: no
//! operation of the function or of the derivative is given a key. That a rule is asked once for many
//! operations is right as long as it can only look at the operation and at the types of its operands. Rules that
//! look into a context of their own, or at keys, are asked wherever an operation stands, and told what its operands
//! are called there.

use tidu_graph::{
    DenseGraph, DenseId, DenseNode, Exactness, GraphError, OperationId, ValueKey, ValueType,
    describe_key,
};

use super::error::check_distinct;
use super::missing::{Mode, explain};
use super::operations::Operations;
use super::residuals::with_residuals;
use super::scope::next_scope;
use super::unit::{Unit, Units, stack_graph, unit_graph};
use super::{Function, FunctionError};
use crate::cotangents::{CotangentMask, CotangentSum, Cotangents, Seed, keep};
use crate::derivatives::{Derivatives, LinearMap};
use crate::operation_derivative::OperationNames;
use crate::rules::{
    ADKey, ADRuleResult, Masking, Primitive, checked_add, note_mask_type, note_same_type,
};
use crate::walk::{WalkStep, depends_on, pull_back, push_forward};

/// A function, and a derivative of it in the making.
pub(super) struct Derivation<'a, Op: Primitive> {
    /// Where operations have residuals, these are among the results.
    pub function: Function<Op>,
    /// Positions among the function's inputs.
    pub wrt: &'a [usize],
    map: LinearMap,
    /// Of a derivative that a user asks for; `None` for one that a rule of a function makes.
    mode: Option<Mode>,
    level: Option<Exactness>,
    pub ctx: &'a mut Op::ADContext,
    /// If rules are asked wherever an operation stands: what they are told that tangents and cotangents there are named
    /// after.
    places: Option<Op::InputKey>,
    pub operations: Operations<Op>,
    units: Units<Op>,
    input_keys: Vec<Op::InputKey>,
    /// Of the derivative, if the function has types.
    input_types: Option<Vec<ValueType>>,
    /// What has been made, the function first.
    graph: DenseGraph<Op>,
    /// By value of the function: what it is in `graph`.
    here: Vec<DenseId>,
    arguments: Vec<DenseId>,
}

/// What rules are given, and how a derivative is to be made.
pub(super) struct Choices<'a, Op: Primitive> {
    pub ctx: &'a mut Op::ADContext,
    pub level: Option<Exactness>,
    /// Whether rules are asked wherever an operation stands, even if they need not be.
    pub in_place: bool,
    pub derivatives: Derivatives<Op>,
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

/// The basis of the space of a value.
pub(super) enum Basis {
    /// Of a real number.
    Single(DenseId),
    /// Of an array, by element.
    OfElements(Vec<DenseId>),
}

impl Basis {
    pub fn vectors(&self) -> &[DenseId] {
        match self {
            Self::Single(vector) => std::slice::from_ref(vector),
            Self::OfElements(vectors) => vectors,
        }
    }
}

/// What a reverse pass needs to know beforehand.
pub(super) struct Activity {
    /// By value of the function: whether it depends on what is differentiated by, as far as rules see. Nothing else has
    /// a cotangent.
    active: Vec<bool>,
    /// By operation: where its derivative is, or `NOT_ACTIVE`.
    derivative: Vec<u32>,
}

const NOT_ACTIVE: u32 = u32::MAX;

/// By value of the function: its tangent or cotangent, if it has one.
pub(super) type Linear = Vec<Option<DenseId>>;

/// By value of the function, in the graph that is being made.
pub(super) type PushedCotangents = Cotangents<DenseId, DenseId>;

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

impl Activity {
    /// Whether a value depends on what is differentiated by.
    pub fn is_active(&self, value: DenseId) -> bool {
        self.active[value.index()]
    }

    /// By operation: where its derivative is, if it has one.
    pub fn derivatives(&self) -> impl Iterator<Item = Option<u32>> {
        let derivatives = self.derivative.iter().copied();
        derivatives.map(|at| (at != NOT_ACTIVE).then_some(at))
    }

    /// Where the derivative of an operation is that has one.
    pub fn derivative_of(&self, operation: OperationId) -> u32 {
        self.derivative[operation.index()]
    }
}

impl<'a, Op: Primitive> Derivation<'a, Op> {
    /// Starts from a function, with some inputs more than it has, of these names.
    pub fn new(
        function: &Function<Op>,
        choices: Choices<'a, Op>,
        wrt: &'a [usize],
        more: &[(NewInput, Op::InputKey)],
        map: LinearMap,
        mode: Option<Mode>,
    ) -> Result<Self, FunctionError> {
        let Choices {
            ctx,
            level,
            in_place,
            derivatives,
        } = choices;
        let function = match map {
            LinearMap::Derivative => with_residuals(function, wrt)?,
            LinearMap::Itself => function.clone(),
        };
        // What a context knows of the types of all inputs is as good as types of the function's own.
        let function = if in_place {
            function
        } else {
            function.typed_in(ctx)?
        };
        let must = Op::rules_look_into_context() && !function.as_dense().has_types();
        let in_place = in_place || must;
        let dense = function.as_dense();
        let mut input_keys = function.input_keys();
        input_keys.extend(more.iter().map(|(_, key)| key.clone()));
        if in_place {
            function.note_types(ctx)?;
            for (input, key) in more {
                input.note_type(key, &function, ctx)?;
            }
        }
        // A derivative is about three times the function.
        let [operations, operands] =
            [dense.operation_count(), dense.operand_count()].map(|count| count / 2 * 7);
        let input_types = dense.types_of(dense.inputs()).map(|mut types| {
            types.extend(more.iter().filter_map(|(input, _)| input.type_in(dense)));
            types
        });
        let mut graph = match &input_types {
            None => DenseGraph::with_capacity(input_keys.len(), operations, operands),
            Some(types) => DenseGraph::of_types(types.iter().cloned(), operations, operands),
        };
        let mut here: Vec<DenseId> = graph.inputs().take(dense.input_count()).collect();
        let types = graph.import_types(dense);
        graph.inline_into(dense, &types, &mut here);
        let root = function.content.input_keys[0].clone();
        Ok(Self {
            wrt,
            map,
            mode,
            level,
            ctx,
            places: in_place.then(|| root.in_scope(next_scope())),
            operations: Operations::new(derivatives, root, map, level),
            function,
            units: Units::new(),
            input_keys,
            input_types,
            graph,
            here,
            arguments: Vec::new(),
        })
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

    /// The basis of the space of an input of the function.
    pub fn basis_of_input(&mut self, input: usize, name: &str) -> Result<Basis, FunctionError> {
        self.basis(self.function.as_dense().input(input), name)
    }

    /// The basis of the space of an output of the function.
    pub fn basis_of_output(&mut self, output: usize) -> Result<Basis, FunctionError> {
        let function = self.function.clone();
        let name = &function.output_names()[output];
        self.basis(function.as_dense().outputs()[output], name)
    }

    fn basis(&mut self, of: DenseId, name: &str) -> Result<Basis, FunctionError> {
        let single = self.unit(Unit::Basis, of, name);
        let count = elements(self.function.as_dense(), of);
        match (single, count) {
            (Err(FunctionError::NoBasis { .. }), Some(count)) => {
                let vectors = (0..count).map(|at| self.unit(Unit::BasisAt(at), of, name));
                Ok(Basis::OfElements(vectors.collect::<Result<_, _>>()?))
            }
            (single, _) => Ok(Basis::Single(single?)),
        }
    }

    /// The number one for an output of the function.
    pub fn one(&mut self, output: usize) -> Result<DenseId, FunctionError> {
        let function = self.function.clone();
        let like = function.as_dense().outputs()[output];
        self.unit(Unit::One, like, &function.output_names()[output])
    }

    /// The derivative of an output by an input, put together of its columns, one for each element of the input.
    pub fn of_columns(
        &mut self,
        columns: &[DenseId],
        output: usize,
        input: usize,
    ) -> Result<DenseId, FunctionError> {
        let of = self.function.as_dense().outputs()[output];
        let axis = |of: &ValueType| of.dims().len();
        self.stacked(columns, of, axis, output, input)
    }

    /// The derivative of an output by an input, put together of its rows, one for each element of the output.
    pub fn of_rows(
        &mut self,
        rows: &[DenseId],
        output: usize,
        input: usize,
    ) -> Result<DenseId, FunctionError> {
        let of = self.function.as_dense().input(input);
        self.stacked(rows, of, |_| 0, output, input)
    }

    /// Parts that are each like `of`, along an axis, in the shape of an output and an input.
    fn stacked(
        &mut self,
        parts: &[DenseId],
        of: DenseId,
        axis: impl FnOnce(&ValueType) -> usize,
        output: usize,
        input: usize,
    ) -> Result<DenseId, FunctionError> {
        let dense = self.function.as_dense();
        let values = [of, dense.outputs()[output], dense.input(input)];
        let [Some(of), Some(output), Some(input)] = values.map(|value| dense.type_of(value)) else {
            unreachable!("a basis of elements is one of a value that has a type");
        };
        let dims = output.dims().iter().chain(input.dims());
        let to = ValueType::new(of.kind(), dims.copied());
        let root = &self.function.content.input_keys[0];
        let stack = stack_graph(of, parts.len(), axis(of), &to, root)?;
        Ok(self.graph.inline(&stack, parts)[0])
    }

    /// The tangents of the outputs for tangents of some inputs, given by position.
    pub fn push_forward(&mut self, seeds: &[(usize, DenseId)]) -> Result<Linear, FunctionError> {
        let function = self.function.clone();
        let dense = function.as_dense();
        let mut tangents: Linear = vec![None; dense.value_count()];
        for &(input, seed) in seeds {
            tangents[input] = Some(seed);
        }
        self.push_forward_along(dense.nodes(), &mut tangents)?;
        let outputs = dense.outputs().iter();
        Ok(outputs.map(|id| tangents[id.index()]).collect())
    }

    /// Goes forward through some operations of the function, with the tangents of its values.
    pub fn push_forward_along<'n>(
        &mut self,
        nodes: impl IntoIterator<Item = DenseNode<'n, Op>>,
        tangents: &mut Linear,
    ) -> Result<(), FunctionError>
    where
        Op: 'n,
    {
        let mut active = Vec::new();
        push_forward(nodes, tangents, |node, tangents| {
            active.clear();
            active.extend(node.operands().map(|at| tangents[at].is_some()));
            let at = self.find(node, &active)?;
            let derived = self.operations.derive_jvp(at, self.ctx, &mut self.graph);
            derived.map_err(|error| self.locate(error))?;
            let jvp = self.operations.derived[at].jvp.as_ref();
            let (jvp, types) = jvp.expect("it was derived just now");
            let arguments = &mut self.arguments;
            arguments.clear();
            let given = node.operands.iter().copied().chain(node.results.iter());
            arguments.extend(given.map(|id| self.here[id.index()]));
            arguments.extend(node.operands().filter_map(|at| tangents[at]));
            let jvp_graph = jvp.function.as_dense();
            self.graph.inline_into(jvp_graph, types, arguments);
            for (value, output) in node.results().zip(&jvp.tangents) {
                tangents[value] = output.map(|at| arguments[jvp_graph.outputs()[at].index()]);
            }
            Ok(())
        })
    }

    /// What a reverse pass has to go through.
    pub fn activity(&mut self) -> Result<Activity, FunctionError> {
        let function = self.function.clone();
        let dense = function.as_dense();
        let mut derivative = vec![NOT_ACTIVE; dense.operation_count()];
        let mut active = vec![false; dense.value_count()];
        self.wrt.iter().for_each(|&input| active[input] = true);
        let mut of_operands = Vec::new();
        let nodes = dense.nodes().zip(&mut derivative);
        push_forward(nodes, &mut active, |(node, place), active| {
            of_operands.clear();
            of_operands.extend(node.operands().map(|at| active[at]));
            let at = self.find(node, &of_operands)?;
            *place = at as u32;
            let derivatives = &self.operations.derived[at].derivatives;
            active[node.results()].copy_from_slice(derivatives.live());
            Ok::<(), FunctionError>(())
        })?;
        Ok(Activity { active, derivative })
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
        let function = self.function.clone();
        let dense = function.as_dense();
        let masking = Op::masking();
        let mut cotangents = Cotangents::new(dense.value_count(), Vec::new());
        for seed in seeds {
            let output = dense.outputs()[seed.output].index();
            if activity.active[output] {
                let mask = seed.mask.map(|mask| CotangentMask {
                    mask,
                    is_kept: true,
                });
                let mut sum = PushedSum {
                    graph: &mut self.graph,
                    masking: &masking,
                };
                cotangents.add(output, seed.cotangent, mask, &mut sum)?;
            }
        }
        let nodes = dense.nodes().zip(activity.derivative.iter().copied());
        self.pull_back_along(nodes, activity, &mut cotangents)?;
        let mut sum = PushedSum {
            graph: &mut self.graph,
            masking: &masking,
        };
        let found = self.wrt.iter().map(|&input| {
            let Some(mut found) = cotangents.get(input) else {
                return Ok(None);
            };
            keep(&mut found, &mut sum)?;
            Ok(Some((found.value, found.mask.map(|mask| mask.mask))))
        });
        found.collect()
    }

    /// Goes back through some operations of the function, of each of which it is said where its derivative is, with the
    /// cotangents of all values.
    pub fn pull_back_along<'n>(
        &mut self,
        nodes: impl IntoIterator<Item = (DenseNode<'n, Op>, u32), IntoIter: DoubleEndedIterator>,
        activity: &Activity,
        cotangents: &mut PushedCotangents,
    ) -> Result<(), FunctionError>
    where
        Op: 'n,
    {
        let masking = Op::masking();
        let mut seeds = Vec::new();
        pull_back(nodes, cotangents, |(node, at), cotangents| {
            let results = node.results();
            seeds.clear();
            seeds.extend(cotangents.seeds(results.clone()));
            let at = at as usize;
            let vjp = self.operations.vjp(at, &seeds, self.ctx, &mut self.graph);
            let vjp = vjp.map_err(|error| self.locate(error))?;
            let (_, vjp, types) = &self.operations.derived[at].vjps[vjp];
            let arguments = &mut self.arguments;
            arguments.clear();
            let given = node.operands.iter().copied().chain(node.results.iter());
            arguments.extend(given.map(|id| self.here[id.index()]));
            arguments.extend(cotangents.values(results.clone()).iter().flatten());
            arguments.extend(results.filter_map(|of| cotangents.mask(of).map(|mask| mask.mask)));
            let vjp_graph = vjp.function.as_dense();
            self.graph.inline_into(vjp_graph, types, arguments);
            let mut sum = PushedSum {
                graph: &mut self.graph,
                masking: &masking,
            };
            let count = node.operands.len();
            for place in 0..count {
                // As in the transpose of what a rule emits: for the last operand first.
                let place = match self.map {
                    LinearMap::Derivative => count - 1 - place,
                    LinearMap::Itself => place,
                };
                let operand = node.operands[place].index();
                let Some(at) = vjp.cotangents[place].filter(|_| activity.active[operand]) else {
                    continue;
                };
                let output = |at: usize| arguments[vjp_graph.outputs()[at].index()];
                let mask = vjp.masks[place].map(|mask| CotangentMask {
                    mask: output(mask.output),
                    is_kept: mask.is_kept,
                });
                cotangents.add(operand, output(at), mask, &mut sum)?;
            }
            Ok(())
        })
    }

    /// The cotangent of a value of the function, kept by its mask.
    pub fn kept(
        &mut self,
        cotangents: &PushedCotangents,
        value: usize,
    ) -> Result<Option<DenseId>, FunctionError> {
        let Some(mut found) = cotangents.get(value) else {
            return Ok(None);
        };
        let mut sum = PushedSum {
            graph: &mut self.graph,
            masking: &Op::masking(),
        };
        keep(&mut found, &mut sum)?;
        Ok(Some(found.value))
    }

    /// How many linear operations it takes to go back through an operation from cotangents of these results, and one more
    /// for each cotangent that comes of it, which is added to what an operand has.
    pub fn reverse_weight(
        &mut self,
        derivative: usize,
        seeds: &[Seed],
    ) -> Result<u32, FunctionError> {
        let vjp = self
            .operations
            .vjp(derivative, seeds, self.ctx, &mut self.graph);
        let at = vjp.map_err(|error| self.locate(error))?;
        let (_, vjp, _) = &self.operations.derived[derivative].vjps[at];
        let seeds = seeds.iter().filter(|seed| seed.is_there()).count();
        let added = vjp.cotangents.iter().flatten().count() as u32;
        Ok(linear_operations(vjp.function.as_dense(), seeds) + added)
    }

    /// How many linear operations it takes to go forward through an operation, all of whose active operands have
    /// tangents.
    pub fn forward_weight(&mut self, derivative: usize) -> Result<u32, FunctionError> {
        let derived = self
            .operations
            .derive_jvp(derivative, self.ctx, &mut self.graph);
        derived.map_err(|error| self.locate(error))?;
        let derived = &self.operations.derived[derivative];
        let (jvp, _) = derived.jvp.as_ref().expect("it was derived just now");
        Ok(linear_operations(
            jvp.function.as_dense(),
            derived.active_count(),
        ))
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

    /// Cotangents of what is differentiated by, with these names and with zeros made real.
    pub fn filled_cotangents(
        &mut self,
        cotangents: Linear,
        names: Vec<String>,
    ) -> Result<Vec<(DenseId, String)>, FunctionError> {
        let mut filled = Vec::with_capacity(names.len());
        for ((&input, cotangent), name) in self.wrt.iter().zip(cotangents).zip(names) {
            let cotangent = self.or_zero_of_input(cotangent, input, || name.clone())?;
            filled.push((cotangent, name));
        }
        Ok(filled)
    }

    /// The function of what has been made.
    pub fn finish(
        mut self,
        outputs: Vec<(DenseId, String)>,
    ) -> Result<Function<Op>, FunctionError> {
        let (values, names): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        self.graph.set_outputs(values);
        let (graph, level) = (self.graph, self.level);
        let derivatives = self.operations.derivatives;
        drop((self.here, self.operations.derived));
        let derivative = Function::settle(graph, self.input_keys, names, level)?;
        let derivative = derivative.sharing(derivatives);
        match self.input_types {
            Some(types) if derivative.input_types().is_none() => Ok(derivative.of_types(types)?),
            None if self.places.is_some() => derivative.typed_in(self.ctx),
            _ => Ok(derivative),
        }
    }

    /// The function of what has been made, without these inputs, in which the function is linear.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnlistedInput`] for one of these that is needed after all.
    pub fn finish_without(
        mut self,
        linear: &[usize],
        outputs: Vec<(DenseId, String)>,
    ) -> Result<Function<Op>, FunctionError> {
        let (values, names): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        let mut is_kept = vec![true; self.input_keys.len()];
        linear.iter().for_each(|&at| is_kept[at] = false);
        let kept: Vec<usize> = (0..is_kept.len()).filter(|&at| is_kept[at]).collect();
        let inputs: Vec<DenseId> = kept.iter().map(|&at| self.graph.input(at)).collect();
        let graph = self.graph.cut(&inputs, &values);
        self.graph = graph.map_err(|needed| {
            let key = ValueKey::<Op>::Input(self.input_keys[needed.index()].clone());
            let key = describe_key(&key);
            GraphError::UnlistedInput { key }
        })?;
        self.input_keys = kept.iter().map(|&at| self.input_keys[at].clone()).collect();
        check_distinct::<Op>(&self.input_keys)?;
        let types = self.input_types.as_ref();
        self.input_types = types.map(|types| kept.iter().map(|&at| types[at].clone()).collect());
        let outputs = self.graph.outputs().iter().copied().zip(names).collect();
        self.finish(outputs)
    }

    /// Where the derivative of an operation is, by the operands that are active; an error lists all rules that are
    /// missing.
    pub fn find(
        &mut self,
        node: DenseNode<'_, Op>,
        active: &[bool],
    ) -> Result<usize, FunctionError> {
        let found = self.derive(node, active);
        found.map_err(|error| self.locate(error))
    }

    /// By result of an operation: whether its tangent is anything but a symbolic zero.
    pub fn live(&self, derivative: usize) -> &[bool] {
        self.operations.derived[derivative].derivatives.live()
    }

    pub fn derive(
        &mut self,
        node: DenseNode<'_, Op>,
        active: &[bool],
    ) -> Result<usize, FunctionError> {
        let Some(places) = &self.places else {
            // Types are those of the function: what rules emit may have none, and then nor has the derivative.
            let function = self.function.as_dense();
            return self.operations.find(node, active, function, self.ctx);
        };
        let values = self.function.as_graph().values();
        let operands = node.operands.iter().copied().chain(node.results.iter());
        let operands = operands.map(|id| values[id.index()].key.clone());
        // Two places must not have the same names: a context would take what it knows of one for the other.
        let place = places.residual_of(self.operations.derived.len());
        let names = OperationNames::in_place(place, operands.collect());
        self.operations
            .derive_in_place(node, active, names, self.ctx)
    }

    /// What the operation set emits for a value of the function.
    fn unit(&mut self, unit: Unit, of: DenseId, name: &str) -> Result<DenseId, FunctionError> {
        let (function, like) = (&self.function, self.here[of.index()]);
        let (graph, ctx) = (&mut self.graph, &mut *self.ctx);
        if self.places.is_some() {
            let key = &function.as_graph().values()[of.index()].key;
            let emitted = unit_graph(unit, key, name, None, ctx)?;
            return Ok(graph.inline(&emitted, &[like])[0]);
        }
        let dense = function.as_dense();
        self.units.emit(unit, dense.type_id(of), like, graph, || {
            let key = ValueKey::Input(function.content.input_keys[0].residual_of(0));
            unit_graph(unit, &key, name, dense.type_of(of), ctx)
        })
    }

    fn locate(&mut self, error: FunctionError) -> FunctionError {
        let FunctionError::Rule(error) = error else {
            return error;
        };
        explain(error, self.mode, |mode| {
            let choices = Choices {
                ctx: &mut *self.ctx,
                level: None,
                in_place: self.places.is_some(),
                derivatives: self.operations.derivatives.clone(),
            };
            Derivation::new(&self.function, choices, self.wrt, &[], self.map, None)?
                .missing_rules(mode)
        })
    }
}

/// The number of operations that depend on some of the last inputs.
fn linear_operations<Op: Primitive>(derivative: &DenseGraph<Op>, last: usize) -> u32 {
    let inputs = derivative.input_count();
    let values = derivative.value_count();
    let depends = depends_on(derivative.nodes(), values, inputs - last..inputs);
    let linear = derivative.nodes().filter(|node| {
        let mut results = node.results.indices();
        results.any(|value| depends[value])
    });
    linear.count() as u32
}

/// How many elements a value has; `None` for one without axes, as far as is known.
pub(super) fn elements<Op: Primitive>(dense: &DenseGraph<Op>, value: DenseId) -> Option<usize> {
    let dims = dense.type_of(value)?.dims();
    (!dims.is_empty()).then(|| dims.iter().product())
}

/// Adds cotangents in the graph of a derivative.
struct PushedSum<'a, Op: Primitive> {
    graph: &'a mut DenseGraph<Op>,
    masking: &'a Option<Masking<Op>>,
}

impl<Op: Primitive> CotangentSum for PushedSum<'_, Op> {
    type Value = DenseId;
    type Mask = DenseId;
    type Error = FunctionError;

    fn add(&mut self, [x, y]: [&DenseId; 2]) -> Result<DenseId, FunctionError> {
        Ok(self.graph.push_like_first(checked_add()?, &[*x, *y])?)
    }

    fn keep(&mut self, value: &DenseId, mask: &DenseId) -> Result<DenseId, FunctionError> {
        let Some(masking) = self.masking else {
            return Ok(*value);
        };
        let kept = self.graph.push(masking.keep_if.clone(), &[*mask, *value])?;
        Ok(kept.start())
    }

    fn either(&mut self, [x, y]: [&DenseId; 2]) -> Result<DenseId, FunctionError> {
        let Some(masking) = self.masking else {
            return Ok(*x);
        };
        let either = self.graph.push(masking.either.clone(), &[*x, *y])?;
        Ok(either.start())
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

    /// Tells a context of what type it is, if that knows those of the function.
    fn note_type<Op: Primitive>(
        self,
        name: &Op::InputKey,
        function: &Function<Op>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<()> {
        let key = ValueKey::Input(name.clone());
        let graph = function.as_graph();
        let output = |at: usize| &graph.values()[graph.outputs()[at]].key;
        match self {
            Self::Input(at) => {
                let input = ValueKey::Input(function.content.input_keys[at].clone());
                note_same_type(&key, &input, ctx)
            }
            Self::Output(at) => note_same_type(&key, output(at), ctx),
            Self::MaskOf(at) => note_mask_type(&key, output(at), ctx),
        }
    }
}
