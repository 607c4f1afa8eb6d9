//! What a compiled program computes, and in how much room.

use std::sync::Arc;

use crate::support::{Block, apply, chain, chain_value, input, output_keys, shared};
use tidu_graph::{
    CompiledProgram, EvaluableGraphOperation, Graph, GraphBuilder, LocalValueId, compile,
    materialize_merge, resolve,
};
use tidu_scalar::{ScalarKey, ScalarOp};

/// Compiles a graph for the outputs it was built for.
fn program<Op: EvaluableGraphOperation>(graph: Graph<Op>) -> CompiledProgram<Op> {
    let graph = shared(graph);
    compile(&materialize_merge(
        &resolve(vec![Arc::clone(&graph)]),
        &output_keys(&graph),
    ))
}

/// Runs what `build` makes of the inputs x and y, and says the values of the outputs it returns.
fn eval(
    build: impl FnOnce(&mut GraphBuilder<ScalarOp>, LocalValueId, LocalValueId) -> Vec<LocalValueId>,
    x: f64,
    y: f64,
) -> Vec<f64> {
    let mut builder = GraphBuilder::new();
    let ids = (builder.add_input("x".into()), builder.add_input("y".into()));
    let outputs = build(&mut builder, ids.0, ids.1);
    builder.set_outputs(outputs);
    let graph = shared(builder.build());
    let flat = materialize_merge(&resolve(vec![Arc::clone(&graph)]), &output_keys(&graph));
    let inputs: Vec<&f64> = flat
        .inputs
        .iter()
        .map(|key| if *key == input("x") { &x } else { &y })
        .collect();
    compile(&flat).eval(&mut (), &inputs)
}

#[test]
fn a_program_computes_what_the_graph_says() {
    let (x, y) = (0.7, -1.3);
    let values = eval(
        |b, x, y| {
            let product = apply(b, ScalarOp::Mul, &[x, y])[0];
            let sin = apply(b, ScalarOp::Sin, &[product])[0];
            let quotient = apply(b, ScalarOp::Div, &[sin, y])[0];
            vec![quotient, apply(b, ScalarOp::Sub, &[quotient, x])[0]]
        },
        x,
        y,
    );
    let quotient = (x * y).sin() / y;
    assert_eq!(values, [quotient, quotient - x]);
}

#[test]
fn outputs_may_repeat_and_may_be_inputs() {
    let values = eval(
        |b, x, y| {
            let product = apply(b, ScalarOp::Mul, &[x, y])[0];
            vec![product, y, product, x, y, product]
        },
        2.0,
        3.0,
    );
    assert_eq!(values, [6.0, 3.0, 6.0, 2.0, 3.0, 6.0]);
}

#[test]
fn an_output_may_also_be_used_further() {
    let values = eval(
        |b, x, y| {
            let product = apply(b, ScalarOp::Mul, &[x, y])[0];
            let negative = apply(b, ScalarOp::Neg, &[product])[0];
            let sum = apply(b, ScalarOp::Add, &[negative, x])[0];
            vec![sum, product]
        },
        2.0,
        3.0,
    );
    assert_eq!(values, [-4.0, 6.0]);
}

#[test]
fn constants_need_no_operands() {
    let values = eval(
        |b, x, _| {
            let two = apply(b, ScalarOp::constant(2.0), &[])[0];
            vec![two, apply(b, ScalarOp::Mul, &[two, x])[0]]
        },
        5.0,
        f64::NAN,
    );
    assert_eq!(values, [2.0, 10.0]);
}

#[test]
fn results_that_nothing_uses_leave_the_others_alone() {
    for slot in 0..3 {
        let mut builder = GraphBuilder::new();
        let x = builder.add_input(1);
        let three = apply(&mut builder, Block::new("three", 1, 3), &[x]);
        let twice = apply(&mut builder, Block::new("twice", 2, 1), &[three[slot]; 2]);
        builder.set_outputs(vec![twice[0], x]);
        let program = program(builder.build());
        assert_eq!(
            program.eval(&mut (), &[&10.0]),
            [20.0 + 2.0 * slot as f64, 10.0]
        );
        let used: Vec<bool> = program
            .result_slots(&program.instructions[0])
            .map(|register| register.is_some())
            .collect();
        assert_eq!(used, [slot == 0, slot == 1, slot == 2]);
    }
}

#[test]
fn two_results_of_one_operation_are_told_apart() {
    let values = eval(
        |b, x, _| {
            let both = apply(b, ScalarOp::SinCos, &[x]);
            vec![both[1], both[0]]
        },
        0.3,
        f64::NAN,
    );
    assert_eq!(values, [0.3_f64.cos(), 0.3_f64.sin()]);
}

#[test]
fn a_program_without_outputs_runs() {
    let mut builder = GraphBuilder::<ScalarOp>::new();
    builder.add_input("x".into());
    let program = program(builder.build());
    assert_eq!(program.instructions.len(), 0);
    assert_eq!(program.eval(&mut (), &[]), [] as [f64; 0]);
}

#[test]
fn a_program_runs_again_and_again_and_in_many_threads() {
    let program = Arc::new(program(chain(20)));
    let runs: Vec<_> = (0..4)
        .map(|i| {
            let program = Arc::clone(&program);
            std::thread::spawn(move || {
                let x = f64::from(i);
                (0..10).all(|_| program.eval(&mut (), &[&x, &0.5]) == [chain_value(20, x, 0.5)])
            })
        })
        .collect();
    assert!(runs.into_iter().all(|run| run.join().expect("no panic")));
}

#[test]
fn registers_are_used_again() {
    // Two inputs, v, and one more while v waits for the end of its step.
    assert_eq!(program(chain(2)).n_slots, 4);
    assert_eq!(program(chain(1_000)).n_slots, 4);
}

#[test]
fn as_many_registers_as_values_in_use_at_once() {
    // All of the sines are alive before the first sum.
    let width = 50;
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::from("x"));
    let mut v = x;
    let sines: Vec<_> = (0..width)
        .map(|_| {
            v = apply(&mut builder, ScalarOp::Sin, &[v])[0];
            v
        })
        .collect();
    let sum = sines
        .iter()
        .rev()
        .copied()
        .reduce(|sum, sin| apply(&mut builder, ScalarOp::Add, &[sum, sin])[0]);
    builder.set_outputs(sum.into_iter().collect());
    assert_eq!(program(builder.build()).n_slots, 1 + width);
}

#[test]
fn the_description_of_a_program_is_consistent() {
    let program = program(chain(3));
    assert_eq!(program.input_slots, [0, 1]);
    assert_eq!(program.output_slots.len(), 1);
    assert_eq!(program.instructions.len(), 9);
    let mut written = [true, true, false, false];
    for instruction in &program.instructions {
        for slot in program.operand_slots(instruction) {
            assert!(written[slot]);
        }
        for slot in program.result_slots(instruction).flatten() {
            assert!(slot >= program.input_slots.len() && slot < program.n_slots);
            written[slot] = true;
        }
    }
    assert_eq!(
        format!("{program:?}"),
        "CompiledProgram { instructions: 9, inputs: 2, outputs: 1, slots: 4 }"
    );
}
