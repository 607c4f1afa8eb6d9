//! Several graphs seen as one, and flattened: what is merged, what goes, and in which order.

use std::sync::Arc;

use crate::support::{Block, apply, chain, input, output_keys, shared, square};
use tidu_graph::{
    Graph, GraphBuilder, MaterializedGraph, OperationRole, ValueDef, ValueKey, ValueOrigin,
    ValueRef, materialize_merge, resolve,
};
use tidu_scalar::{ScalarKey, ScalarOp};

type Key = ValueKey<ScalarOp>;

fn primal(op: ScalarOp, operands: Vec<Key>) -> Graph<ScalarOp> {
    let mut builder = GraphBuilder::new();
    let operands = operands
        .into_iter()
        .map(|key| match key {
            ValueKey::Input(key) => ValueRef::Local(builder.add_input(key)),
            derived => ValueRef::External(derived),
        })
        .collect();
    let outputs = builder.add_operation(op, operands, OperationRole::Primary);
    builder.set_outputs(outputs);
    builder.build()
}

/// sin x in one graph, (sin x)·y in a second, -(sin x)·y in a third: children only know their
/// parents.
fn three_generations() -> [Arc<Graph<ScalarOp>>; 3] {
    let first = shared(primal(ScalarOp::Sin, vec![input("x")]));
    let mut builder = GraphBuilder::new();
    builder.add_parent(Arc::clone(&first));
    let y = builder.add_input("y".into());
    let operands = vec![
        ValueRef::External(output_keys(&first).remove(0)),
        ValueRef::Local(y),
    ];
    let product = builder.add_operation(ScalarOp::Mul, operands, OperationRole::Primary);
    builder.set_outputs(product);
    let second = shared(builder.build());
    let mut builder = GraphBuilder::new();
    builder.add_parent(Arc::clone(&second));
    let operand = ValueRef::External(output_keys(&second).remove(0));
    let negative = builder.add_operation(ScalarOp::Neg, vec![operand], OperationRole::Primary);
    builder.set_outputs(negative);
    [first, second, shared(builder.build())]
}

fn operations<Op: tidu_graph::GraphOperation>(flat: &MaterializedGraph<Op>) -> Vec<Op> {
    let operations = flat.operations.iter();
    operations.map(|node| node.operation.clone()).collect()
}

#[test]
fn a_view_says_what_each_value_is() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::from("x"));
    let both = apply(&mut builder, ScalarOp::SinCos, &[x]);
    let role = OperationRole::Linearized {
        active_mask: vec![false, true],
    };
    let operands = vec![ValueRef::Local(both[0]), ValueRef::Local(both[1])];
    let product = builder.add_operation(ScalarOp::Mul, operands, role.clone())[0];
    let graph = shared(builder.build());
    let key = |id: usize| graph.values()[id].key.clone();
    let view = resolve(vec![Arc::clone(&graph)]);

    assert_eq!(
        view.resolve_value(&key(x)),
        Some(ValueDef::Input { key: "x".into() })
    );
    assert_eq!(
        view.resolve_value(&key(both[1])),
        Some(ValueDef::Produced {
            operation: ScalarOp::SinCos,
            input_keys: vec![key(x)],
            role: OperationRole::Primary,
            output_slot: 1,
        })
    );
    assert_eq!(
        view.resolve_value(&key(product)),
        Some(ValueDef::Produced {
            operation: ScalarOp::Mul,
            input_keys: vec![key(both[0]), key(both[1])],
            role,
            output_slot: 0,
        })
    );
    assert_eq!(view.resolve_value(&input("y")), None);
    assert_eq!(view.resolve_value(&output_keys(&chain(1))[0]), None);
}

#[test]
fn dense_ids_tell_the_same_story_as_keys() {
    let graph = shared(chain(3));
    let view = resolve(vec![Arc::clone(&graph)]);
    assert_eq!((view.value_count(), view.operation_count()), (11, 9));
    for node in graph.values() {
        let id = view.find(&node.key).expect("the graph defines its values");
        assert!(id.index() < view.value_count() && view.is_defined(id));
        assert_eq!(view.key(id), node.key);
        let ValueKey::Derived { operation, .. } = &node.key else {
            assert_eq!(view.origin(id), ValueOrigin::Input);
            continue;
        };
        let ValueOrigin::Output {
            operation: found,
            slot: 0,
        } = view.origin(id)
        else {
            panic!("{:?} is {:?}", node.key, view.origin(id));
        };
        let entry = view.operation(found);
        assert_eq!(entry.key(), operation);
        assert_eq!(entry.output(0), id);
        let operands: Vec<_> = entry.operands().iter().map(|&it| view.key(it)).collect();
        assert_eq!(operands, operation.inputs());
    }
}

#[test]
fn parents_and_their_parents_are_seen() {
    let [_, _, last] = three_generations();
    let view = resolve(vec![Arc::clone(&last)]);
    let flat = materialize_merge(&view, &output_keys(&last));
    assert_eq!(
        operations(&flat),
        [ScalarOp::Sin, ScalarOp::Mul, ScalarOp::Neg]
    );
    assert_eq!(flat.inputs, [input("x"), input("y")]);
}

#[test]
fn the_order_and_the_number_of_times_in_which_graphs_are_given_do_not_matter() {
    let [first, second, last] = three_generations();
    let expected = materialize_merge(&resolve(vec![Arc::clone(&last)]), &output_keys(&last));
    for roots in [
        vec![&first, &second, &last],
        vec![&last, &second, &first],
        vec![&second, &last, &second, &first, &last],
    ] {
        let roots: Vec<_> = roots.into_iter().cloned().collect();
        let view = resolve(roots.clone());
        assert_eq!((view.value_count(), view.operation_count()), (5, 3));
        assert!(
            view.roots()
                .iter()
                .zip(&roots)
                .all(|(a, b)| Arc::ptr_eq(a, b))
        );
        let flat = materialize_merge(&view, &output_keys(&last));
        assert_eq!(operations(&flat), operations(&expected));
        assert_eq!(flat.inputs, expected.inputs);
    }
}

#[test]
fn without_parents_the_roots_may_still_refer_to_each_other_in_any_order() {
    let owner = shared(primal(ScalarOp::Sin, vec![input("x")]));
    let user = shared(primal(ScalarOp::Neg, output_keys(&owner)));
    for roots in [
        vec![Arc::clone(&owner), Arc::clone(&user)],
        vec![Arc::clone(&user), Arc::clone(&owner)],
    ] {
        let flat = materialize_merge(&resolve(roots), &output_keys(&user));
        assert_eq!(operations(&flat), [ScalarOp::Sin, ScalarOp::Neg]);
    }
}

#[test]
fn a_value_that_is_only_referred_to_is_not_defined() {
    let owner = primal(ScalarOp::Sin, vec![input("x")]);
    let sin = output_keys(&owner).remove(0);
    let user = shared(primal(ScalarOp::Neg, vec![sin.clone()]));
    let view = resolve(vec![Arc::clone(&user)]);
    assert_eq!(view.find(&sin), None);
    assert_eq!(view.resolve_value(&sin), None);
    assert_eq!(view.find(&input("x")), None);
    assert!(view.find(&output_keys(&user)[0]).is_some());
    assert_eq!(
        view.find_all(&[sin.clone(), output_keys(&user).remove(0)])
            .iter()
            .map(Option::is_some)
            .collect::<Vec<_>>(),
        [false, true]
    );
    // Once a graph of the view defines it, it is there.
    let view = resolve(vec![user, shared(owner)]);
    assert!(view.find(&sin).is_some() && view.find(&input("x")).is_some());
}

#[test]
fn a_diamond_of_parents_is_seen_once() {
    let base = shared(primal(ScalarOp::Sin, vec![input("x")]));
    let side = |op: ScalarOp| {
        let mut builder = GraphBuilder::new();
        builder.add_parent(Arc::clone(&base));
        let operand = ValueRef::External(output_keys(&base).remove(0));
        let outputs = builder.add_operation(op, vec![operand], OperationRole::Primary);
        builder.set_outputs(outputs);
        shared(builder.build())
    };
    let (left, right) = (side(ScalarOp::Exp), side(ScalarOp::Neg));
    let mut builder = GraphBuilder::new();
    builder.add_parent(Arc::clone(&left));
    builder.add_parent(Arc::clone(&right));
    let operands = [&left, &right].map(|side| ValueRef::External(output_keys(side).remove(0)));
    let sum = builder.add_operation(ScalarOp::Add, operands.to_vec(), OperationRole::Primary);
    builder.set_outputs(sum);
    let bottom = shared(builder.build());

    let view = resolve(vec![Arc::clone(&bottom)]);
    assert_eq!((view.value_count(), view.operation_count()), (5, 4));
    assert_eq!(
        operations(&materialize_merge(&view, &output_keys(&bottom))),
        [ScalarOp::Sin, ScalarOp::Exp, ScalarOp::Neg, ScalarOp::Add]
    );
}

#[test]
fn equal_operations_of_graphs_built_apart_are_one() {
    let (first, second) = (shared(chain(4)), shared(chain(6)));
    let view = resolve(vec![Arc::clone(&first), Arc::clone(&second)]);
    assert_eq!(view.operation_count(), 18);
    for (a, b) in first.values().iter().zip(second.values()) {
        assert_eq!(view.find(&a.key), view.find(&b.key));
    }
    let outputs = [output_keys(&first), output_keys(&second)].concat();
    let flat = materialize_merge(&view, &outputs);
    assert_eq!(flat.operations.len(), 18);
    assert_eq!(flat.outputs, outputs);
}

#[test]
fn equal_operations_of_one_graph_are_one_and_different_ones_stay_apart() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::from("x"));
    let again = builder.add_input("x".into());
    let first = apply(&mut builder, ScalarOp::Mul, &[x, again])[0];
    let second = apply(&mut builder, ScalarOp::Mul, &[again, x])[0];
    let operands = vec![ValueRef::Local(x), ValueRef::Local(x)];
    let role = OperationRole::Linearized {
        active_mask: vec![true, false],
    };
    let linear = builder.add_operation(ScalarOp::Mul, operands, role)[0];
    builder.set_outputs(vec![first, second, linear]);
    let graph = shared(builder.build());
    let flat = materialize_merge(&resolve(vec![Arc::clone(&graph)]), &output_keys(&graph));
    assert_eq!(flat.operations.len(), 2);
    assert_eq!(flat.inputs, [input("x")]);
    assert_eq!(flat.outputs, output_keys(&graph));
}

#[test]
fn inputs_stand_in_the_order_of_first_need() {
    let mut builder = GraphBuilder::new();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| builder.add_input(ScalarKey::from(name)));
    let bc = apply(&mut builder, ScalarOp::Mul, &[b, c])[0];
    let cb = apply(&mut builder, ScalarOp::Mul, &[c, b])[0];
    let abc = apply(&mut builder, ScalarOp::Add, &[a, bc])[0];
    let graph = shared(builder.build());
    let key = |id: usize| graph.values()[id].key.clone();
    let view = resolve(vec![Arc::clone(&graph)]);
    let inputs = |outputs: &[usize]| {
        let outputs: Vec<_> = outputs.iter().map(|&id| key(id)).collect();
        materialize_merge(&view, &outputs).inputs
    };
    assert_eq!(inputs(&[abc]), [a, b, c].map(key));
    assert_eq!(inputs(&[cb, abc]), [c, b, a].map(key));
    assert_eq!(inputs(&[d, bc, d, a]), [d, b, c, a].map(key));
    assert_eq!(inputs(&[]), []);
}

#[test]
fn operations_stand_in_the_order_of_a_walk_from_the_outputs() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::from("x"));
    let sin = apply(&mut builder, ScalarOp::Sin, &[x])[0];
    let cos = apply(&mut builder, ScalarOp::Cos, &[x])[0];
    let exp = apply(&mut builder, ScalarOp::Exp, &[x])[0];
    let div = apply(&mut builder, ScalarOp::Div, &[exp, sin])[0];
    builder.set_outputs(vec![div, cos, sin]);
    let graph = shared(builder.build());
    let flat = materialize_merge(&resolve(vec![Arc::clone(&graph)]), &output_keys(&graph));
    assert_eq!(
        operations(&flat),
        [ScalarOp::Exp, ScalarOp::Sin, ScalarOp::Div, ScalarOp::Cos]
    );
    for (index, node) in flat.operations.iter().enumerate() {
        for &operand in &node.inputs {
            assert!(
                flat.values[operand]
                    .producer
                    .is_none_or(|(by, _)| by < index)
            );
        }
        for (slot, &result) in node.outputs.iter().enumerate() {
            assert_eq!(flat.values[result].producer, Some((index, slot)));
        }
    }
}

#[test]
fn what_no_output_needs_goes() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::from("x"));
    let unused = builder.add_input("unused".into());
    let kept = apply(&mut builder, ScalarOp::Sin, &[x])[0];
    let dead = apply(&mut builder, ScalarOp::Mul, &[kept, unused])[0];
    apply(&mut builder, ScalarOp::Exp, &[dead]);
    builder.set_outputs(vec![kept]);
    let graph = shared(builder.build());
    let flat = materialize_merge(&resolve(vec![Arc::clone(&graph)]), &output_keys(&graph));
    assert_eq!(operations(&flat), [ScalarOp::Sin]);
    assert_eq!(flat.inputs, [input("x")]);
    assert_eq!(flat.values.len(), 2);
}

#[test]
fn an_operation_of_several_results_stays_whole() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(7);
    let three = apply(&mut builder, Block::new("three", 1, 3), &[x]);
    let of_last = apply(&mut builder, Block::new("one", 1, 1), &[three[2]])[0];
    builder.set_outputs(vec![of_last, three[1]]);
    let graph = shared(builder.build());
    let flat = materialize_merge(&resolve(vec![Arc::clone(&graph)]), &output_keys(&graph));
    let names: Vec<_> = operations(&flat).iter().map(|block| block.name).collect();
    assert_eq!(names, ["three", "one"]);
    assert_eq!(flat.operations[0].outputs.len(), 3);
    assert_eq!(
        flat.operations[1].inputs[..],
        [flat.operations[0].outputs[2]]
    );
}

#[test]
fn a_shared_subexpression_that_stands_twice_is_flattened_once() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::from("x"));
    let first = crate::support::append_square(&mut builder, x, 64);
    let second = crate::support::append_square(&mut builder, x, 64);
    let sum = apply(&mut builder, ScalarOp::Add, &[first, second])[0];
    builder.set_outputs(vec![sum]);
    let graph = shared(builder.build());
    let roots = vec![Arc::clone(&graph), shared(square("x", 64))];
    let flat = materialize_merge(&resolve(roots), &output_keys(&graph));
    assert_eq!(flat.operations.len(), 65);
}

#[test]
fn debug_of_views_and_flat_graphs_is_their_sizes() {
    let graph = shared(chain(2));
    let view = resolve(vec![Arc::clone(&graph)]);
    assert_eq!(
        format!("{view:?}"),
        "ResolvedView { roots: 1, values: 8, operations: 6 }"
    );
    let flat = materialize_merge(&view, &output_keys(&graph));
    assert_eq!(
        format!("{flat:?}"),
        "MaterializedGraph { values: 8, operations: 6, inputs: 2, outputs: 1 }"
    );
    assert_eq!(
        format!("{:?}", flat.operations[0]),
        "MaterializedOperation { operation: Sin, role: Primary, inputs: [0], outputs: [2] }"
    );
}

/// f(x), and both results of a pair made of it.
fn pair_of(input: u32) -> Graph<Block> {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(input);
    let inner = apply(&mut builder, Block::new("f", 1, 1), &[x]);
    let pair = apply(&mut builder, Block::new("pair", 1, 2), &inner);
    builder.set_outputs(pair);
    builder.build()
}

#[test]
fn operands_from_many_graphs_are_found() {
    // More graphs than an operand notes the number of.
    let graphs = || (0..12).map(|input| shared(pair_of(input)));
    let here: Vec<_> = graphs().collect();
    // Those of graphs that are not in the view are found by structure.
    for source in [here.clone(), graphs().collect()] {
        let mut builder = GraphBuilder::new();
        let operands = source.iter().map(|graph| output_keys(graph).remove(1));
        let operands = operands.map(ValueRef::External).collect();
        let all = Block::new("all", 12, 1);
        builder.add_operation(all, operands, OperationRole::Primary);
        let mut roots = here.clone();
        roots.push(shared(builder.build()));
        let view = resolve(roots);
        assert_eq!(view.operation_count(), 2 * 12 + 1);
        let last = view.operation_ids().next_back().unwrap();
        let expected: Vec<_> = here
            .iter()
            .map(|graph| view.find(&output_keys(graph)[1]).unwrap())
            .collect();
        assert_eq!(view.operation(last).operands(), expected);
    }
}

#[test]
fn a_graph_may_name_its_own_values_by_key() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(0);
    let pair = apply(&mut builder, Block::new("pair", 1, 2), &[x]);
    let second = builder.global_key(pair[1]).clone();
    let neg = Block::new("neg", 1, 1);
    let by_key = vec![ValueRef::External(second.clone())];
    builder.add_operation(neg.clone(), by_key, OperationRole::Primary);
    let by_id = apply(&mut builder, neg, &pair[1..]);
    let by_id = builder.global_key(by_id[0]).clone();
    let view = resolve(vec![shared(builder.build())]);
    assert_eq!(view.operation_count(), 2);
    let Some(ValueOrigin::Output { operation, .. }) = view.find(&by_id).map(|id| view.origin(id))
    else {
        panic!("the value is there");
    };
    assert_eq!(
        view.operation(operation).operands(),
        [view.find(&second).unwrap()]
    );
}
