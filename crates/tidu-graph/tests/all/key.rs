//! Keys say what a value is: by structure, however and wherever it was described.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::support::{Block, chain, input, output_keys, square};
use tidu_graph::{GraphOperation, OperationKey, OperationRole, ValueKey, ValueKeyInterner};
use tidu_scalar::ScalarOp;

type Key = ValueKey<ScalarOp>;

fn derived(op: ScalarOp, inputs: Vec<Key>, role: OperationRole, output_slot: u8) -> Key {
    ValueKey::Derived {
        operation: Arc::new(OperationKey::new(op, inputs, role)),
        output_slot,
    }
}

fn primal(op: ScalarOp, inputs: Vec<Key>) -> Key {
    derived(op, inputs, OperationRole::Primary, 0)
}

fn linearized(op: ScalarOp, inputs: Vec<Key>, active_mask: Vec<bool>) -> Key {
    derived(op, inputs, OperationRole::Linearized { active_mask }, 0)
}

/// Keys of which no two are equal.
fn distinct_keys() -> Vec<Key> {
    let [x, y] = [input("x"), input("y")];
    vec![
        x.clone(),
        y.clone(),
        primal(ScalarOp::Mul, vec![x.clone(), y.clone()]),
        primal(ScalarOp::Mul, vec![y.clone(), x.clone()]),
        primal(ScalarOp::Mul, vec![x.clone(), x.clone()]),
        primal(ScalarOp::Add, vec![x.clone(), y.clone()]),
        linearized(ScalarOp::Mul, vec![x.clone(), y.clone()], vec![true, false]),
        linearized(ScalarOp::Mul, vec![x.clone(), y.clone()], vec![false, true]),
        derived(ScalarOp::SinCos, vec![x.clone()], OperationRole::Primary, 0),
        derived(ScalarOp::SinCos, vec![x.clone()], OperationRole::Primary, 1),
        primal(ScalarOp::constant(0.0), vec![]),
        primal(ScalarOp::constant(-0.0), vec![]),
        primal(ScalarOp::Neg, vec![primal(ScalarOp::Sin, vec![x.clone()])]),
        primal(ScalarOp::Sin, vec![primal(ScalarOp::Neg, vec![x])]),
    ]
}

#[test]
fn keys_are_equal_exactly_where_their_structures_are() {
    let (left, right) = (distinct_keys(), distinct_keys());
    for (i, a) in left.iter().enumerate() {
        for (j, b) in right.iter().enumerate() {
            assert_eq!(a == b, i == j, "{a:?} and {b:?}");
        }
    }
}

#[test]
fn equal_keys_find_each_other_in_maps_and_sets() {
    let positions: HashMap<Key, usize> = distinct_keys().into_iter().zip(0..).collect();
    assert_eq!(positions.len(), distinct_keys().len());
    for (position, key) in distinct_keys().iter().enumerate() {
        assert_eq!(positions[key], position);
    }
    let operations: HashSet<OperationKey<ScalarOp>> = [1.0, 2.0, 1.0]
        .map(|value| OperationKey::new(ScalarOp::constant(value), vec![], OperationRole::Primary))
        .into();
    assert_eq!(operations.len(), 2);
}

#[test]
fn a_clone_and_a_separate_construction_are_equal() {
    let (a, b) = (output_keys(&chain(5)), output_keys(&chain(5)));
    assert_eq!(a, b);
    assert_eq!(a, a.clone());
    assert_ne!(a, output_keys(&chain(6)));
    let (ValueKey::Derived { operation: a, .. }, ValueKey::Derived { operation: b, .. }) =
        (&a[0], &b[0])
    else {
        unreachable!("the output of a chain is derived");
    };
    assert!(!Arc::ptr_eq(a, b));
    assert_eq!(a, b);
    assert_eq!(**a, OperationKey::clone(a));
    assert_eq!(a.fingerprint(), b.fingerprint());
}

#[test]
fn two_sides_may_share_differently() {
    let x = || input("x");
    let sin = || primal(ScalarOp::Sin, vec![x()]);
    let one = sin();
    let shared = primal(ScalarOp::Mul, vec![one.clone(), one]);
    let apart = primal(ScalarOp::Mul, vec![sin(), sin()]);
    assert_eq!(shared, apart);
    let other = primal(ScalarOp::Mul, vec![sin(), primal(ScalarOp::Cos, vec![x()])]);
    assert_ne!(shared, other);
}

#[test]
fn an_operation_key_says_what_it_was_made_of() {
    let role = OperationRole::Linearized {
        active_mask: vec![true, false],
    };
    let inputs = vec![input("dx"), input("y")];
    let key = OperationKey::new(ScalarOp::Mul, inputs.clone(), role.clone());
    assert_eq!(key.operation(), &ScalarOp::Mul);
    assert_eq!(key.inputs(), inputs);
    assert_eq!(key.role(), &role);
}

#[test]
fn debug_of_a_key_is_its_head() {
    let x = input("x");
    assert_eq!(format!("{x:?}"), "Input(x)");
    let sin = primal(ScalarOp::Sin, vec![x.clone()]);
    let ValueKey::Derived { operation, .. } = &sin else {
        unreachable!("a result is derived");
    };
    let mark = format!("{:016x}", operation.fingerprint());
    assert_eq!(format!("{sin:?}"), format!("Sin@{mark}.0"));
    assert_eq!(format!("{operation:?}"), format!("Sin(Input(x))@{mark}"));

    let outer = OperationKey::new(
        ScalarOp::Mul,
        vec![sin.clone(), x],
        OperationRole::Linearized {
            active_mask: vec![true, false],
        },
    );
    assert_eq!(
        format!("{outer:?}"),
        format!(
            "Mul({sin:?}, Input(x))@{:016x} as Linearized {{ active_mask: [true, false] }}",
            outer.fingerprint()
        )
    );
}

#[test]
fn debug_of_a_key_stays_a_line_however_wide_the_operation() {
    let wide = Block::new("wide", 10_000, 1);
    let inputs: Vec<_> = (0..10_000).map(ValueKey::Input).collect();
    for role in [
        OperationRole::Primary,
        OperationRole::Linearized {
            active_mask: vec![true; 10_000],
        },
    ] {
        let text = format!(
            "{:?}",
            OperationKey::new(wide.clone(), inputs.clone(), role)
        );
        assert!(text.len() < 500, "{} characters", text.len());
        assert!(text.contains("and 9996 more"), "{text}");
    }
}

/// An operation and a key that hash like all others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unhashed(&'static str);

impl Hash for Unhashed {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}

impl GraphOperation for Unhashed {
    type Operand = f64;
    type Context = ();
    type InputKey = Unhashed;

    fn input_count(&self) -> usize {
        2
    }

    fn output_count(&self) -> usize {
        1
    }
}

#[test]
fn equality_does_not_trust_fingerprints() {
    let build = |leaf: &'static str, last: &'static str| {
        let mut key = ValueKey::<Unhashed>::Input(Unhashed(leaf));
        for depth in 0..64 {
            let op = Unhashed(if depth == 63 { last } else { "mul" });
            key = ValueKey::Derived {
                operation: Arc::new(OperationKey::new(
                    op,
                    vec![key.clone(), key],
                    OperationRole::Primary,
                )),
                output_slot: 0,
            };
        }
        key
    };
    let (a, same) = (build("x", "mul"), build("x", "mul"));
    let (other_leaf, other_head) = (build("y", "mul"), build("x", "add"));
    let ValueKey::Derived { operation, .. } = &a else {
        unreachable!("64 operations were applied");
    };
    let ValueKey::Derived {
        operation: twin, ..
    } = &other_leaf
    else {
        unreachable!("64 operations were applied");
    };
    assert_eq!(operation.fingerprint(), twin.fingerprint());
    assert_eq!(a, same);
    assert_ne!(a, other_leaf);
    assert_ne!(a, other_head);

    let mut interner = ValueKeyInterner::new();
    let id = interner.intern(a);
    assert_eq!(interner.get(&other_leaf), None);
    assert_ne!(interner.intern(other_leaf), id);
    assert_ne!(interner.intern(other_head), id);
    assert_eq!(interner.intern(same), id);
}

#[test]
fn an_interner_gives_equal_keys_equal_ids() {
    let mut interner = ValueKeyInterner::default();
    let ids: Vec<_> = distinct_keys()
        .into_iter()
        .map(|key| interner.intern(key))
        .collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    for (key, &id) in distinct_keys().iter().zip(&ids) {
        assert_eq!(interner.get(key), Some(id));
        assert_eq!(interner.intern(key.clone()), id);
        assert_eq!(interner.resolve(id), key);
    }
}

#[test]
fn an_interner_knows_only_what_it_was_given() {
    let mut interner = ValueKeyInterner::new();
    let product = primal(ScalarOp::Mul, vec![input("x"), input("y")]);
    let outer = primal(ScalarOp::Neg, vec![product.clone()]);
    interner.intern(outer);
    // Parts of an interned key are known to the table, but nobody interned them.
    assert_eq!(interner.get(&product), None);
    assert_eq!(interner.get(&input("x")), None);
    assert_eq!(interner.get(&input("z")), None);
    let id = interner.intern(product.clone());
    assert_eq!(interner.get(&product), Some(id));
}

#[test]
fn an_interned_slot_is_a_value_of_its_own() {
    let slot = |slot| {
        derived(
            ScalarOp::SinCos,
            vec![input("x")],
            OperationRole::Primary,
            slot,
        )
    };
    let mut interner = ValueKeyInterner::new();
    let sin = interner.intern(slot(0));
    assert_eq!(interner.get(&slot(1)), None);
    let cos = interner.intern(slot(1));
    assert_ne!(sin, cos);
    assert_eq!(interner.resolve(cos), &slot(1));
}

#[test]
fn keys_built_apart_are_interned_as_one() {
    let mut interner = ValueKeyInterner::new();
    let (first, second) = (square("x", 64), square("x", 64));
    let ids = |interner: &mut ValueKeyInterner<ScalarOp>, graph: &tidu_graph::Graph<_>| {
        let keys = graph.values().iter().map(|node| node.key.clone());
        keys.map(|key| interner.intern(key)).collect::<Vec<_>>()
    };
    assert_eq!(ids(&mut interner, &first), ids(&mut interner, &second));
}
