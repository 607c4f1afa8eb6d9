//! A million operations, a hundred thousand graphs, trees of 2^64: on a stack of 2 MiB, and at once.

use std::sync::Arc;

use crate::support::{
    Block, append_square, apply, chain, chain_value, input, on_small_stack, output_keys, shared,
    square,
};
use tidu_graph::{
    Graph, GraphBuilder, OperationKey, OperationRole, ValueKey, ValueKeyInterner, ValueRef,
    compile, materialize_merge, resolve,
};
use tidu_scalar::{ScalarKey, ScalarOp};
use tidu_testkit::cases;

/// Steps of three operations.
const STEPS: usize = 333_334;

fn assert_short(text: &str) {
    assert!(text.chars().count() < 300, "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_million_operations_go_through_every_pass() {
    on_small_stack(|| {
        let graph = shared(chain(STEPS));
        assert_short(&format!("{graph:?}"));
        let key = output_keys(&graph);
        let ValueKey::Derived { operation, .. } = &key[0] else {
            unreachable!("the output of a chain is derived");
        };
        assert_short(&format!("{key:?} {operation:?}"));

        let view = resolve(vec![graph]);
        assert_eq!(view.operation_count(), 3 * STEPS);
        assert_short(&format!("{view:?}"));
        assert_short(&format!("{:?}", view.resolve_value(&key[0])));

        let flat = materialize_merge(&view, &key);
        assert_eq!(flat.operations.len(), 3 * STEPS);
        assert_short(&format!("{flat:?}"));

        let program = compile(&flat);
        assert_eq!(program.n_slots, 4);
        assert_short(&format!("{program:?}"));
        assert_eq!(
            program.eval(&mut (), &[&0.3, &1e-6]),
            [chain_value(STEPS, 0.3, 1e-6)]
        );
    });
}

#[test]
fn long_keys_built_apart_compare_meet_in_a_view_and_are_found() {
    on_small_stack(|| {
        let steps = cases(STEPS);
        let (first, second) = (shared(chain(steps)), shared(chain(steps)));
        let (a, b) = (output_keys(&first), output_keys(&second));
        assert!(a == b);
        assert!(a != output_keys(&chain(steps - 1)));

        let view = resolve(vec![Arc::clone(&first)]);
        assert!(view.find(&b[0]).is_some());
        assert_eq!(view.find(&a[0]), view.find(&b[0]));
        drop(view);
        let view = resolve(vec![first, second]);
        assert_eq!(view.operation_count(), 3 * steps);

        let mut interner = ValueKeyInterner::new();
        let [a, b] = [a, b].map(|mut keys| keys.remove(0));
        let id = interner.intern(a);
        assert_eq!(interner.get(&b), Some(id));
        assert_eq!(interner.intern(b), id);
    });
}

#[test]
fn long_graphs_drop_in_any_order() {
    on_small_stack(|| {
        let steps = 100_000;
        let make = || {
            let graph = shared(chain(steps));
            let key = output_keys(&graph);
            let view = resolve(vec![Arc::clone(&graph)]);
            let flat = materialize_merge(&view, &key);
            let mut interner = ValueKeyInterner::new();
            interner.intern(key[0].clone());
            (graph, key, view, flat, interner)
        };
        let (graph, key, view, flat, interner) = make();
        drop((interner, flat, view, graph));
        drop(key);
        let (graph, key, view, flat, interner) = make();
        drop((key, interner, flat, view));
        drop(graph);
        let (graph, key, view, flat, interner) = make();
        drop((graph, key, interner, flat));
        drop(view);
        let (graph, key, view, flat, interner) = make();
        drop((graph, key, interner, view));
        drop(flat);
        let (graph, key, view, flat, interner) = make();
        drop((graph, key, view, flat));
        drop(interner);

        // A builder that is never finished, and a key that owns its operation alone.
        let mut builder = GraphBuilder::new();
        let x = builder.add_input("x".into());
        append_square(&mut builder, x, steps);
        drop(builder);
        let ValueKey::Derived { operation, .. } = output_keys(&chain(steps)).remove(0) else {
            unreachable!("the output of a chain is derived");
        };
        drop(OperationKey::clone(&operation));
        drop(Arc::into_inner(operation).expect("nothing else holds the operation"));
    });
}

#[test]
fn a_long_key_dropped_by_two_threads_at_once() {
    for _ in 0..4 {
        let key = output_keys(&chain(30_000)).remove(0);
        let halves = [key.clone(), key];
        let threads = halves.map(|half| {
            let thread = std::thread::Builder::new().stack_size(256 << 10);
            thread.spawn(move || drop(half)).expect("a thread starts")
        });
        for thread in threads {
            thread.join().expect("no panic");
        }
    }
}

/// A chain of graphs of one operation, each the parent of the next.
fn generations(count: usize) -> Arc<Graph<ScalarOp>> {
    let mut last = shared(square("x", 0));
    for _ in 0..count {
        let mut builder = GraphBuilder::new();
        let operand = ValueRef::External(output_keys(&last).remove(0));
        let outputs = builder.add_operation(ScalarOp::Neg, vec![operand], OperationRole::Primary);
        builder.add_parent(last);
        builder.set_outputs(outputs);
        last = shared(builder.build());
    }
    last
}

#[test]
fn a_hundred_thousand_generations_of_graphs() {
    on_small_stack(|| {
        let last = generations(100_000);
        let view = resolve(vec![Arc::clone(&last)]);
        assert_eq!(view.operation_count(), 100_000);
        let flat = materialize_merge(&view, &output_keys(&last));
        assert_eq!(compile(&flat).eval(&mut (), &[&2.5]), [2.5]);

        // Once the view goes first, once the last graph.
        drop((view, last));
        let last = generations(100_000);
        let view = resolve(vec![Arc::clone(&last)]);
        drop(last);
        drop(view);
    });
}

#[test]
fn parents_that_meet_again_at_each_of_64_levels() {
    on_small_stack(|| {
        let mut last = shared(square("x", 1));
        for _ in 0..64 {
            let sides = [(); 2].map(|()| {
                let mut builder = GraphBuilder::new();
                builder.add_parent(Arc::clone(&last));
                builder.add_input("x".into());
                shared(builder.build())
            });
            let mut builder = GraphBuilder::new();
            sides.into_iter().for_each(|side| builder.add_parent(side));
            last = shared(builder.build());
        }
        assert_eq!(resolve(vec![last]).operation_count(), 1);
    });
}

#[test]
fn squares_built_apart_are_equal() {
    on_small_stack(|| {
        let (a, b) = (output_keys(&square("x", 64)), output_keys(&square("x", 64)));
        assert!(a == b);
        assert!(a != output_keys(&square("y", 64)));
        assert!(a != output_keys(&square("x", 63)));
        assert_short(&format!("{a:?}"));
        let ValueKey::Derived { operation, .. } = &a[0] else {
            unreachable!("64 operations were applied");
        };
        assert_short(&format!("{operation:?}"));
    });
}

#[test]
fn squares_built_apart_meet_in_a_view() {
    on_small_stack(|| {
        let (a, b) = (shared(square("x", 64)), shared(square("x", 64)));
        let key = output_keys(&b);
        let view = resolve(vec![Arc::clone(&a)]);
        assert_eq!(view.find(&key[0]), view.find(&output_keys(&a)[0]));
        let view = resolve(vec![a, b, shared(square("y", 64))]);
        assert_eq!(view.operation_count(), 128);
        let flat = materialize_merge(&view, &key);
        assert_eq!(flat.operations.len(), 64);
        assert_eq!(compile(&flat).eval(&mut (), &[&-1.0]), [1.0]);
    });
}

#[test]
fn a_square_standing_twice_in_one_graph() {
    on_small_stack(|| {
        let mut builder = GraphBuilder::new();
        let x = builder.add_input(ScalarKey::from("x"));
        let copies = [(); 2].map(|()| append_square(&mut builder, x, 64));
        let sum = apply(&mut builder, ScalarOp::Add, &copies)[0];
        builder.set_outputs(vec![sum]);
        assert_eq!(builder.global_key(copies[0]), builder.global_key(copies[1]));
        let graph = shared(builder.build());
        let view = resolve(vec![Arc::clone(&graph)]);
        assert_eq!(view.operation_count(), 65);
        let flat = materialize_merge(&view, &output_keys(&graph));
        assert_eq!(compile(&flat).eval(&mut (), &[&1.0]), [2.0]);
    });
}

#[test]
fn squares_referred_to_from_elsewhere() {
    on_small_stack(|| {
        // The operand comes from a build that no graph of the view shares a description with.
        let owner = shared(square("x", 64));
        let mut builder = GraphBuilder::new();
        let operands = [(); 2].map(|()| {
            let twin = output_keys(&square("x", 64)).remove(0);
            ValueRef::External(twin)
        });
        let outputs =
            builder.add_operation(ScalarOp::Add, operands.to_vec(), OperationRole::Primary);
        builder.set_outputs(outputs);
        let user = shared(builder.build());
        for roots in [[&owner, &user], [&user, &owner]] {
            let view = resolve(roots.into_iter().cloned().collect());
            assert_eq!(view.operation_count(), 65);
            let flat = materialize_merge(&view, &output_keys(&user));
            assert_eq!(compile(&flat).eval(&mut (), &[&1.0]), [2.0]);
        }
    });
}

#[test]
fn squares_built_apart_are_interned_as_one() {
    on_small_stack(|| {
        let mut interner = ValueKeyInterner::new();
        let [a, b] = [(); 2].map(|()| output_keys(&square("x", 64)).remove(0));
        let id = interner.intern(a);
        assert_eq!(interner.get(&b), Some(id));
        assert_eq!(interner.intern(b), id);
    });
}

#[test]
fn every_value_uses_the_two_before_it() {
    on_small_stack(|| {
        let fibonacci = || {
            let mut builder = GraphBuilder::new();
            let mut last = [
                builder.add_input(ScalarKey::from("x")),
                builder.add_input("y".into()),
            ];
            for _ in 0..70 {
                last = [last[1], apply(&mut builder, ScalarOp::Add, &last)[0]];
            }
            builder.set_outputs(vec![last[1]]);
            shared(builder.build())
        };
        let (a, b) = (fibonacci(), fibonacci());
        assert!(output_keys(&a) == output_keys(&b));
        let view = resolve(vec![Arc::clone(&a)]);
        let flat = materialize_merge(&view, &output_keys(&b));
        assert_eq!(flat.operations.len(), 70);
        assert_eq!(flat.inputs, [input("y"), input("x")]);
        // The 71st Fibonacci number, below 2^53: every sum is exact.
        let value = compile(&flat).eval(&mut (), &[&1.0, &0.0]);
        assert_eq!(value, [308_061_521_170_129.0]);
    });
}

#[test]
fn an_operation_with_ten_thousand_operands_is_found_from_its_twin() {
    on_small_stack(|| {
        let wide = || {
            let mut builder = GraphBuilder::new();
            let operands: Vec<usize> = (0..10_000)
                .map(|i| {
                    let x = builder.add_input(i);
                    apply(&mut builder, Block::new("one", 1, 1), &[x])[0]
                })
                .collect();
            let sum = apply(&mut builder, Block::new("wide", 10_000, 1), &operands);
            builder.set_outputs(sum);
            shared(builder.build())
        };
        let (a, b) = (wide(), wide());
        assert!(output_keys(&a) == output_keys(&b));
        let view = resolve(vec![Arc::clone(&a)]);
        assert_eq!(
            view.find(&output_keys(&b)[0]),
            view.find(&output_keys(&a)[0])
        );
        let flat = materialize_merge(&view, &output_keys(&b));
        let inputs: Vec<f64> = (0..10_000).map(f64::from).collect();
        let inputs: Vec<&f64> = inputs.iter().collect();
        assert_eq!(compile(&flat).eval(&mut (), &inputs), [49_995_000.0]);
        let view = resolve(vec![a, b]);
        assert_eq!(view.operation_count(), 10_001);
    });
}

#[test]
fn many_keys_that_are_unknown_for_one_reason() {
    on_small_stack(|| {
        // What makes all of the keys unknown lies at the bottom of each.
        let tower = |name: &str| {
            let mut builder = GraphBuilder::new();
            let x = builder.add_input(ScalarKey::from(name));
            (0..200_000).fold(x, |v, _| apply(&mut builder, ScalarOp::Sin, &[v])[0]);
            builder.build()
        };
        let view = resolve(vec![shared(tower("x"))]);
        let other = tower("y");
        let keys: Vec<_> = other.values().iter().map(|node| node.key.clone()).collect();
        assert!(view.find_all(&keys).iter().all(Option::is_none));
        assert!(view.find_all(&keys[..10]).iter().all(Option::is_none));
    });
}
