//! How a graph is made, and what it then says about itself.

use std::sync::Arc;

use crate::support::{Block, apply, input};
use tidu_graph::{GraphBuilder, OperationRole, ValueKey, ValueRef};
use tidu_scalar::{ScalarKey, ScalarOp};

#[test]
fn values_and_operations_are_numbered_in_the_order_in_which_they_are_added() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::from("x"));
    let both = apply(&mut builder, ScalarOp::SinCos, &[x]);
    let y = builder.add_input("y".into());
    let product = apply(&mut builder, ScalarOp::Mul, &[both[1], y]);
    builder.set_outputs(vec![product[0], x, product[0]]);
    assert_eq!((x, &both, y, &product), (0, &vec![1, 2], 3, &vec![4]));

    let graph = builder.build();
    assert_eq!(graph.inputs(), [0, 3]);
    assert_eq!(graph.outputs(), [4, 0, 4]);
    let producers: Vec<_> = graph.values().iter().map(|node| node.producer).collect();
    assert_eq!(
        producers,
        [None, Some((0, 0)), Some((0, 1)), None, Some((1, 0))]
    );
    assert_eq!(graph.operations().len(), 2);
    let operation = &graph.operations()[1];
    assert_eq!(operation.operation, ScalarOp::Mul);
    assert_eq!(operation.role, OperationRole::Primary);
    assert_eq!(operation.outputs[..], [4]);
    assert_eq!(
        operation.inputs[..],
        [ValueRef::Local(2), ValueRef::Local(3)]
    );
}

#[test]
fn the_graph_can_be_read_while_it_grows() {
    let mut builder = GraphBuilder::<ScalarOp>::default();
    let x = builder.add_input("x".into());
    assert_eq!(builder.values().len(), 1);
    let y = apply(&mut builder, ScalarOp::Neg, &[x])[0];
    assert_eq!(builder.operations().len(), 1);
    assert_eq!(builder.values()[y].key, *builder.global_key(y));
    assert!(builder.outputs().is_empty());
}

#[test]
fn outputs_are_replaced_and_parents_are_added() {
    let parent = Arc::new(crate::support::chain(1));
    let mut builder = GraphBuilder::<ScalarOp>::new();
    let x = builder.add_input("x".into());
    builder.set_outputs(vec![x, x]);
    builder.set_outputs(vec![x]);
    builder.add_parent(Arc::clone(&parent));
    builder.add_parent(Arc::clone(&parent));
    let graph = builder.build();
    assert_eq!(graph.outputs(), [x]);
    assert_eq!(graph.parents().len(), 2);
    assert!(graph.parents().iter().all(|it| Arc::ptr_eq(it, &parent)));
}

#[test]
fn two_inputs_of_one_name_are_two_occurrences_of_one_value() {
    let mut builder = GraphBuilder::<ScalarOp>::new();
    let first = builder.add_input("x".into());
    let second = builder.add_input("x".into());
    assert_ne!(first, second);
    assert_eq!(builder.global_key(first), builder.global_key(second));
    assert_eq!(*builder.global_key(first), input("x"));
}

#[test]
fn an_operation_may_have_no_operands_or_no_results() {
    let mut builder = GraphBuilder::<Block>::new();
    let constant = apply(&mut builder, Block::new("constant", 0, 1), &[]);
    let nothing = apply(&mut builder, Block::new("sink", 1, 0), &constant);
    assert_eq!((constant, nothing), (vec![0], vec![]));
    assert_eq!(builder.build().operations().len(), 2);
}

#[test]
fn an_external_operand_enters_the_key_like_a_local_one() {
    let mut owner = GraphBuilder::<ScalarOp>::new();
    let x = owner.add_input("x".into());
    let sin = apply(&mut owner, ScalarOp::Sin, &[x])[0];
    let whole = apply(&mut owner, ScalarOp::Neg, &[sin])[0];

    let mut user = GraphBuilder::<ScalarOp>::new();
    let operand = ValueRef::External(owner.global_key(sin).clone());
    let part = user.add_operation(ScalarOp::Neg, vec![operand], OperationRole::Primary)[0];
    assert_eq!(user.global_key(part), owner.global_key(whole));
    assert_eq!(part, 0);
}

#[test]
fn debug_of_a_graph_is_its_sizes() {
    let mut builder = GraphBuilder::<ScalarOp>::new();
    builder.add_parent(Arc::new(crate::support::chain(10)));
    let x = builder.add_input("x".into());
    let both = apply(&mut builder, ScalarOp::SinCos, &[x]);
    builder.set_outputs(both);
    assert_eq!(
        format!("{:?}", builder.build()),
        "Graph { values: 3, operations: 1, inputs: 1, outputs: 2, parents: 1 }"
    );
}

#[test]
fn debug_of_an_operation_reads_like_a_structure() {
    let mut builder = GraphBuilder::<ScalarOp>::new();
    let x = builder.add_input("x".into());
    let operands = vec![
        ValueRef::Local(x),
        ValueRef::External(ValueKey::Input("y".into())),
    ];
    builder.add_operation(ScalarOp::Mul, operands, OperationRole::Primary);
    assert_eq!(
        format!("{:?}", builder.build().operations()[0]),
        "OperationNode { operation: Mul, role: Primary, \
         inputs: [Local(0), External(Input(y))], outputs: [1] }"
    );
}
