//! The set is closed: whatever a rule emits is of the set, and has the rules that it is emitted for, to
//! any order.
//!
//! That the closure is finite: an operation emits operations without numbers, of which there are as
//! many as `ScalarOp::PLAIN` holds, constants, which emit nothing, and operations of its own name
//! whose number is one less (powers) or one more (polygamma). So from a finite set of names no rule
//! leads out, at any order, if none does at the first; and what a rule does depends on its number only
//! as far as 0, 1, 2 and "other" go, for which the numbers below stand.

use std::collections::BTreeSet;

use crate::support::{Name, all_primitives, alone};
use tidu_ad::{Function, Primitive};
use tidu_graph::{
    GraphBuilder, GraphOperation, LocalValueId, OperationKey, OperationNode, OperationRole,
    ValueKey, ValueRef,
};
use tidu_scalar::{ScalarKey, ScalarOp};

type Key = ValueKey<ScalarOp>;
type Role = OperationRole;

/// What a rule emitted, and what it returned.
struct Emitted {
    builder: GraphBuilder<ScalarOp>,
    /// Tangents or cotangents given.
    given: Vec<LocalValueId>,
    returned: Vec<Option<LocalValueId>>,
}

impl Emitted {
    fn operations(&self) -> &[OperationNode<ScalarOp>] {
        self.builder.operations()
    }

    /// The operations as they would print, and what was returned.
    fn text(&self) -> String {
        let operations = self.operations().iter();
        let lines: Vec<String> = operations
            .map(|node| {
                format!(
                    "{} {:?} {:?}",
                    Name(&node.operation),
                    node.inputs,
                    node.role
                )
            })
            .collect();
        format!("{lines:#?} {:?}", self.returned)
    }
}

fn operand_keys(op: &ScalarOp) -> Vec<Key> {
    let names = ["x", "y", "z"].map(|name| Key::Input(ScalarKey::from(name)));
    names[..op.input_count()].to_vec()
}

fn result_keys(op: &ScalarOp) -> Vec<Key> {
    let key = OperationKey::new(op.clone(), operand_keys(op), Role::Primary);
    let operation = std::sync::Arc::new(key);
    let slots = 0..op.output_count();
    slots
        .map(|slot| Key::Derived {
            operation: operation.clone(),
            output_slot: slot as u8,
        })
        .collect()
}

/// The JVP rule, with tangents where `active` says so.
fn jvp(op: &ScalarOp, active: &[bool]) -> Emitted {
    let mut builder = GraphBuilder::new();
    let mut given = Vec::new();
    let tangents: Vec<Option<LocalValueId>> = active
        .iter()
        .enumerate()
        .map(|(i, active)| {
            active.then(|| {
                let id = builder.add_input(ScalarKey::fresh(i as u64));
                given.push(id);
                id
            })
        })
        .collect();
    let (inputs, outputs) = (operand_keys(op), result_keys(op));
    let returned = op.jvp_rule(&mut builder, &inputs, &outputs, &tangents, &mut ());
    Emitted {
        builder,
        given,
        returned,
    }
}

/// The transpose rule, in a role.
fn transpose(op: &ScalarOp, role: &Role) -> Emitted {
    let mut builder = GraphBuilder::new();
    let ct = builder.add_input(ScalarKey::from("ct"));
    let operands: Vec<_> = operand_keys(op)
        .into_iter()
        .map(ValueRef::External)
        .collect();
    let returned = op
        .try_linear_transpose_rule(&mut builder, &[Some(ct)], &operands, role, &mut ())
        .unwrap_or_else(|error| panic!("{} in {role:?}: {error}", Name(op)));
    Emitted {
        builder,
        given: vec![ct],
        returned,
    }
}

/// All patterns of active operands but that of none.
fn patterns(operands: usize) -> impl Iterator<Item = Vec<bool>> {
    (1_u32..1 << operands).map(move |bits| (0..operands).map(|i| bits >> i & 1 == 1).collect())
}

/// Which values depend on a tangent; each operation says so itself, by its mask.
fn is_active(node: &OperationNode<ScalarOp>) -> bool {
    matches!(&node.role, Role::Linearized { active_mask } if active_mask.contains(&true))
}

fn name_without_number(op: &ScalarOp) -> String {
    let name = Name(op).to_string();
    name.split(' ').next().unwrap_or_default().to_string()
}

/// The laws of a single rule call: all that is emitted is needed, and marked as what it is.
fn check_emission(emitted: &Emitted, what: &str) {
    let mut active: BTreeSet<LocalValueId> = emitted.given.iter().copied().collect();
    let mut used: BTreeSet<LocalValueId> = emitted.returned.iter().copied().flatten().collect();
    for node in emitted.operations() {
        let Role::Linearized { active_mask } = &node.role else {
            panic!("{what} emits primal work");
        };
        let marked: Vec<bool> = node
            .inputs
            .iter()
            .map(|input| matches!(input, ValueRef::Local(id) if active.contains(id)))
            .collect();
        assert_eq!(active_mask, &marked, "{what}, {}", Name(&node.operation));
        if marked.contains(&true) {
            active.extend(node.outputs.iter());
        }
    }
    for node in emitted.operations().iter().rev() {
        let needed = node.outputs.iter().any(|id| used.contains(id));
        assert!(needed, "{what} emits {} for nothing", Name(&node.operation));
        for input in &*node.inputs {
            if let ValueRef::Local(id) = input {
                used.insert(*id);
            }
        }
    }
    for id in emitted.returned.iter().flatten() {
        assert!(active.contains(id), "{what} returns what is no tangent");
    }
}

#[test]
fn rules_emit_what_the_set_can_differentiate_and_transpose() {
    let mut pending = all_primitives();
    let mut seen: Vec<ScalarOp> = Vec::new();
    let known: BTreeSet<String> = pending.iter().map(name_without_number).collect();
    // Numbers shift by one an order: four orders of them.
    for _order in 0..4 {
        let mut next = Vec::new();
        for op in std::mem::take(&mut pending) {
            if seen.contains(&op) {
                continue;
            }
            let mut emitted: Vec<(ScalarOp, Role)> = Vec::new();
            for active in patterns(op.input_count()) {
                let jvp = jvp(&op, &active);
                check_emission(&jvp, &format!("the jvp of {} by {active:?}", Name(&op)));
                let operations = jvp.operations().iter();
                emitted.extend(operations.map(|n| (n.operation.clone(), n.role.clone())));
            }
            // What is emitted as linear can be transposed in this role, and so on.
            let mut transposed: Vec<(ScalarOp, Role)> = Vec::new();
            while let Some((op, role)) = emitted.pop() {
                next.push(op.clone());
                let Role::Linearized { active_mask } = &role else {
                    unreachable!("seen by check_emission");
                };
                if !active_mask.contains(&true) || transposed.contains(&(op.clone(), role.clone()))
                {
                    continue;
                }
                let what = format!("the transpose of {} in {active_mask:?}", Name(&op));
                assert!(op.linearity().permits(active_mask), "{what}");
                let adjoint = transpose(&op, &role);
                check_emission(&adjoint, &what);
                for (active, returned) in active_mask.iter().zip(&adjoint.returned) {
                    assert!(*active || returned.is_none(), "{what}");
                }
                let operations = adjoint.operations().iter();
                emitted.extend(operations.map(|n| (n.operation.clone(), n.role.clone())));
                transposed.push((op, role));
            }
            seen.push(op);
        }
        next.iter().for_each(|op| {
            let name = name_without_number(op);
            assert!(known.contains(&name), "{name} is not of the set");
        });
        pending = next;
    }
    assert!(seen.len() > all_primitives().len());
}

#[test]
fn rules_are_pure() {
    for op in all_primitives() {
        for active in patterns(op.input_count()) {
            let [first, second] = [(); 2].map(|()| jvp(&op, &active).text());
            assert_eq!(first, second, "{}", Name(&op));
        }
    }
}

#[test]
fn an_inactive_operand_leaves_no_more_work_than_an_active_one() {
    for op in all_primitives() {
        let count = |active: &[bool]| {
            let jvp = jvp(&op, active);
            let operations = jvp.operations().iter();
            operations.filter(|node| is_active(node)).count()
        };
        let all = vec![true; op.input_count()];
        for active in patterns(op.input_count()) {
            assert!(count(&active) <= count(&all), "{} by {active:?}", Name(&op));
        }
    }
}

#[test]
fn steps_emit_nothing_at_all() {
    use ScalarOp::*;
    for op in [
        Floor,
        Ceil,
        Round,
        RoundTiesEven,
        Trunc,
        Sign,
        StopGradient,
        Lt,
        Le,
        Gt,
        Ge,
        Eq,
        Ne,
        Powi(0),
        ScalarOp::powf(0.0),
    ] {
        let emitted = jvp(&op, &vec![true; op.input_count()]);
        assert!(emitted.operations().is_empty(), "{}", Name(&op));
        assert_eq!(emitted.returned, [None]);
    }
    // The condition of a choice has no derivative.
    for (op, active) in [
        (Select, vec![true, false, false]),
        (KeepIf, vec![true, false]),
    ] {
        let emitted = jvp(&op, &active);
        assert!(emitted.operations().is_empty(), "{}", Name(&op));
        assert_eq!(emitted.returned, [None]);
    }
}

/// Every derivative, forward and reverse in turn. Transforms verify what they derive in builds with
/// debug assertions.
#[test]
fn every_primitive_has_third_derivatives_by_all_inputs() {
    let all = all_primitives().into_iter();
    for op in all.filter(|op| op.input_count() > 0) {
        let mut orders: Vec<Function<ScalarOp>> = (0..op.output_count())
            .map(|slot| crate::support::output(&alone(&op), slot))
            .collect();
        for order in 1..=3 {
            orders = orders
                .iter()
                .flat_map(|f| {
                    let what = |error| panic!("order {order} of {}: {error}", Name(&op));
                    let gradient = f.grad(..).unwrap_or_else(what);
                    let slots = 0..gradient.output_names().len();
                    let slots: Vec<_> = slots
                        .map(|i| crate::support::output(&gradient, i))
                        .collect();
                    let _ = f.jvp(..).and_then(|f| f.jvp(..)).unwrap_or_else(what);
                    slots
                })
                .collect();
        }
        for f in &orders {
            let text = f.to_string();
            let again: Function<ScalarOp> = text.parse().unwrap_or_else(|e| panic!("{text}\n{e}"));
            assert_eq!(again.to_string(), text);
        }
    }
}
