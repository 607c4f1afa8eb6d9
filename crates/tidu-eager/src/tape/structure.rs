//! What a tape recorded, as a function.

use tidu_ad::{Function, Primitive};
use tidu_graph::text::operation_label;
use tidu_graph::{EvaluableGraphOperation, GraphBuilder, OperationRole, ValueKey, ValueRef};

use super::storage::{Argument, Kind};
use super::template::Callee;
use super::{Tape, Var};
use crate::error::{EagerError, cannot_derive};

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// Remembers of each call from now on what it was applied to, constants included, so that
    /// [`to_function`](Self::to_function) can tell what was computed. Costs the memory of all constants
    /// and leaves.
    ///
    /// # Errors
    ///
    /// [`EagerError::StructureNotKept`] if there is something on the tape already.
    pub fn keep_structure(&mut self) -> Result<(), EagerError> {
        if !self.storage.nodes.is_empty() {
            return Err(EagerError::StructureNotKept {
                what: "what is on the tape already".into(),
            });
        }
        self.storage.keeps_structure = true;
        Ok(())
    }

    /// What was recorded, as a function: to print, draw, differentiate or compile.
    ///
    /// Its inputs are the variables of `inputs`, under these names; every other leaf, and every constant,
    /// is a constant of the function. Its outputs are called `out0`, `out1`, and so on.
    ///
    /// Hooks are not part of it: a recorded gradient that one left as it was is a gradient without the hook.
    ///
    /// # Errors
    ///
    /// [`EagerError::StructureNotKept`] without [`keep_structure`](Self::keep_structure), for a segment
    /// ([`checkpoint`](Self::checkpoint)), for an output that depends on a recorded gradient which a
    /// [`hook`](Self::hook) replaced, and for a constant that the operation set cannot hold
    /// ([`EvaluableGraphOperation::constant_of`]). [`EagerError::Derive`] for a name that is given twice.
    /// [`EagerError::ConstantVar`], [`EagerError::ForeignVar`], [`EagerError::StaleVar`].
    ///
    /// # Complexity
    ///
    /// Linear in the tape.
    ///
    /// # Example
    ///
    /// ```
    /// # use tidu_eager::{Tape, Var};
    /// # use tidu_scalar::{ScalarKey, ScalarOp};
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// tape.keep_structure()?;
    /// let x = tape.leaf(2.0);
    /// let y = tape.apply_one(ScalarOp::Mul, &[&x, &Var::constant(3.0)])?;
    /// assert_eq!(tape.to_function(&[("x".into(), &x)], &[&y])?.to_string(), "function {
    ///     input %0 = x
    ///     %1 = const 3.0
    ///     %2 = mul %0, %1
    ///     output %2 -> out0
    /// }");
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn to_function(
        &self,
        inputs: &[(Op::InputKey, &Var<Op>)],
        outputs: &[&Var<Op>],
    ) -> Result<Function<Op>, EagerError> {
        for (position, (_, input)) in inputs.iter().enumerate() {
            self.check(input, || format!("input {position}"))?;
        }
        for (position, output) in outputs.iter().enumerate() {
            self.check(output, || format!("output {position}"))?;
        }
        let not_kept = |what: &str| EagerError::StructureNotKept { what: what.into() };
        let storage = &self.storage;
        if !storage.keeps_structure {
            return Err(not_kept("what calls were applied to"));
        }
        let mut builder = GraphBuilder::new();
        let mut values: Vec<Option<ValueRef<Op>>> = vec![None; storage.values as usize];
        for (key, input) in inputs {
            let id = builder.add_input(key.clone());
            values[input.index() as usize] = Some(ValueRef::Local(id));
        }
        let mut arguments = storage.arguments.iter();
        let mut value = 0;
        for node in &storage.nodes {
            let count = match node.kind() {
                Kind::Leaf if values[value].is_some() => {
                    // An input, whatever its value was.
                    arguments.next();
                    value += 1;
                    continue;
                }
                Kind::Leaf => 1,
                Kind::Segment => return Err(not_kept("the inside of a segment")),
                Kind::Replaced => {
                    // Nothing is known of it, nor of what depends on it.
                    value += 1;
                    continue;
                }
                Kind::Call(template) => self.templates[template].active.len(),
            };
            let operands = arguments
                .by_ref()
                .take(count)
                .map(|argument| match argument {
                    Argument::Value(index) => Ok(values[*index as usize].clone()),
                    Argument::Constant(constant) => constant_in(&mut builder, constant).map(Some),
                });
            let operands = operands.collect::<Result<Vec<_>, _>>()?;
            let operands: Option<Vec<_>> = operands.into_iter().collect();
            let Some(operands) = operands else {
                value += storage.extent(*node, 0, &self.templates).values as usize;
                continue;
            };
            let results = match node.kind() {
                Kind::Leaf | Kind::Segment | Kind::Replaced => operands,
                Kind::Call(template) => {
                    let template = &self.templates[template];
                    let added = match &template.callee {
                        Callee::Operation(operation) => builder
                            .try_add_operation(operation.clone(), operands, OperationRole::Primary)
                            .map(|ids| ids.into_iter().map(ValueRef::Local).collect()),
                        Callee::Function(call) => builder.try_inline(call.extended(), &operands),
                    };
                    added?
                }
            };
            for result in results {
                values[value].get_or_insert(result);
                value += 1;
            }
        }
        let named = outputs.iter().enumerate().map(|(position, output)| {
            let key = match &values[output.index() as usize] {
                Some(ValueRef::Local(id)) => builder.global_key(*id).clone(),
                Some(ValueRef::External(key)) => key.clone(),
                None => return Err(not_kept("how a gradient came about that a hook replaced")),
            };
            Ok((key, format!("out{position}")))
        });
        let named: Vec<(ValueKey<Op>, String)> = named.collect::<Result<_, _>>()?;
        let keys: Vec<Op::InputKey> = inputs.iter().map(|(key, _)| key.clone()).collect();
        let made = Function::from_keys(&keys, named);
        made.map_err(|source| cannot_derive("what was recorded".into(), None, source))
    }
}

fn constant_in<Op: Primitive + EvaluableGraphOperation>(
    builder: &mut GraphBuilder<Op>,
    value: &Op::Operand,
) -> Result<ValueRef<Op>, EagerError> {
    let operation = Op::constant_of(value).ok_or_else(|| EagerError::StructureNotKept {
        what: format!(
            "a constant: implement `EvaluableGraphOperation::constant_of` for {}, or make it an input",
            std::any::type_name::<Op>()
        ),
    })?;
    let described = operation_label(&operation);
    let ids = builder.try_add_operation(operation, Vec::new(), OperationRole::Primary)?;
    let id = ids
        .first()
        .ok_or(EagerError::StructureNotKept { what: described })?;
    Ok(ValueRef::Local(*id))
}
