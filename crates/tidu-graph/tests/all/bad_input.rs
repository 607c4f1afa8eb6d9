//! Whatever a caller gets wrong is a typed error that says where, and the short form says the same.

use std::sync::Arc;

use crate::support::{Block, append_square, apply, chain, input, output_keys, panic_text, shared};
use tidu_graph::{
    CompiledProgram, GraphBuilder, GraphError, GraphOperation, OperationKey, OperationRole,
    ValueKey, ValueKeyInterner, ValueRef, compile, describe_key, describe_operation,
    materialize_merge, resolve, try_materialize_merge,
};
use tidu_scalar::{ScalarKey, ScalarOp};

use OperationRole::Primary;

/// Everything that can be seen of a builder.
fn observed<Op: GraphOperation>(builder: &GraphBuilder<Op>) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {}",
        builder.values(),
        builder.operations(),
        builder.inputs(),
        builder.outputs(),
        builder.parents().len()
    )
}

/// A builder with an input, a two-result block on it, a parent, and outputs.
fn builder_in_use() -> GraphBuilder<Block> {
    let mut builder = GraphBuilder::new();
    builder.add_parent(shared(GraphBuilder::new().build()));
    let x = builder.add_input(7);
    let two = apply(&mut builder, Block::new("two", 1, 2), &[x]);
    builder.set_outputs(two);
    builder
}

/// Asserts that an operation is refused with this error and this text, and leaves no trace.
fn check_refused(op: Block, operands: Vec<ValueRef<Block>>, error: &GraphError, text: &str) {
    let mut builder = builder_in_use();
    let before = observed(&builder);
    let refused = builder.try_add_operation(op.clone(), operands.clone(), Primary);
    assert_eq!(refused.as_ref(), Err(error));
    assert_eq!(error.to_string(), text);
    assert_eq!(observed(&builder), before);

    let panic = panic_text(|| builder.add_operation(op, operands, Primary));
    assert_eq!(panic, text);
    assert_eq!(observed(&builder), before);

    // The builder goes on as if nothing had happened.
    let next = apply(&mut builder, Block::new("next", 2, 1), &[0, 2]);
    assert_eq!(next, [3]);
    assert_eq!(builder.build().operations().len(), 2);
}

#[test]
fn wrong_arity() {
    for found in [0, 1, 3] {
        check_refused(
            Block::new("pair", 2, 1),
            vec![ValueRef::Local(0); found],
            &GraphError::WrongArity {
                operation: describe_operation(&Block::new("pair", 2, 1)),
                expected: 2,
                found,
            },
            &format!(
                "Block {{ name: \"pair\", inputs: 2, outputs: 1, returned: 1 }} \
                 takes 2 operands, found {found}"
            ),
        );
    }
}

#[test]
fn wrong_arity_of_a_key() {
    let error = GraphError::WrongArity {
        operation: "Mul".into(),
        expected: 2,
        found: 1,
    };
    let make = || OperationKey::try_new(ScalarOp::Mul, vec![input("x")], Primary);
    assert_eq!(make().expect_err("one operand is missing"), error);
    assert_eq!(error.to_string(), "Mul takes 2 operands, found 1");
    let panic = panic_text(|| OperationKey::new(ScalarOp::Mul, vec![input("x")], Primary));
    assert_eq!(panic, error.to_string());
}

#[test]
fn unknown_local_id() {
    for id in [3, 4, usize::MAX] {
        check_refused(
            Block::new("pair", 2, 1),
            vec![ValueRef::Local(2), ValueRef::Local(id)],
            &GraphError::UnknownLocal {
                operation: describe_operation(&Block::new("pair", 2, 1)),
                operand: 1,
                id,
                available: 3,
            },
            &format!(
                "operand 1 of Block {{ name: \"pair\", inputs: 2, outputs: 1, returned: 1 }} \
                 is local value %{id}, but the graph has 3 values so far"
            ),
        );
    }
}

#[test]
fn unknown_output_slot_of_an_external_operand() {
    let key = OperationKey::new(Block::new("two", 1, 2), vec![ValueKey::Input(7)], Primary);
    let external = ValueKey::Derived {
        operation: Arc::new(key),
        output_slot: 2,
    };
    let error = GraphError::UnknownOutputSlot {
        operation: describe_operation(&Block::new("two", 1, 2)),
        slot: 2,
        outputs: 2,
    };
    let text = "Block { name: \"two\", inputs: 1, outputs: 2, returned: 2 } \
                has 2 outputs, there is no output slot 2";
    check_refused(
        Block::new("pair", 2, 1),
        vec![ValueRef::Local(0), ValueRef::External(external.clone())],
        &error,
        text,
    );

    // No key can be made of it, and an interner does not take it.
    let made = OperationKey::try_new(Block::new("one", 1, 1), vec![external.clone()], Primary);
    assert_eq!(made.expect_err("slot 2 does not exist"), error);
    let mut interner = ValueKeyInterner::new();
    assert_eq!(interner.try_intern(&external), Err(error));
    assert_eq!(panic_text(|| interner.intern(external.clone())), text);
    assert_eq!(interner.get(&external), None);

    // A view does not know it, even where it knows the operation.
    let graph = shared(builder_in_use().build());
    let view = resolve(vec![graph]);
    assert_eq!(view.find(&external), None);
    assert_eq!(view.resolve_value(&external), None);
}

#[test]
fn too_many_outputs() {
    for found in [257, 100_000] {
        let op = Block::new("many", 1, found);
        let text = format!(
            "{} has {found} outputs, the limit is 256",
            describe_operation(&op)
        );
        let error = GraphError::TooManyOutputs {
            operation: describe_operation(&op),
            found,
            limit: 256,
        };
        check_refused(op, vec![ValueRef::Local(0)], &error, &text);
    }
}

#[test]
fn exactly_256_outputs_work() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(1);
    let many = apply(&mut builder, Block::new("many", 1, 256), &[x]);
    assert_eq!(many.len(), 256);
    let of_last = apply(&mut builder, Block::new("one", 1, 1), &[many[255]])[0];
    builder.set_outputs(vec![many[0], many[255], of_last]);
    let graph = shared(builder.build());
    let flat = materialize_merge(&resolve(vec![Arc::clone(&graph)]), &output_keys(&graph));
    assert_eq!(compile(&flat).eval(&mut (), &[&0.5]), [0.5, 255.5, 255.5]);
}

#[test]
fn unknown_graph_output() {
    let mut builder = builder_in_use();
    let before = observed(&builder);
    let error = GraphError::UnknownOutputId {
        position: 1,
        id: 3,
        available: 3,
    };
    assert_eq!(builder.try_set_outputs(vec![0, 3, 9]), Err(error.clone()));
    let text = "graph output 1 is local value %3, but the graph has 3 values";
    assert_eq!(error.to_string(), text);
    assert_eq!(panic_text(|| builder.set_outputs(vec![0, 3, 9])), text);
    assert_eq!(observed(&builder), before);
}

#[test]
fn global_key_of_an_unknown_id() {
    let builder = builder_in_use();
    let error = GraphError::UnknownLocalId {
        id: 3,
        available: 3,
    };
    assert_eq!(builder.try_global_key(3), Err(error.clone()));
    let text = "local value %3 does not exist: the graph has 3 values";
    assert_eq!(error.to_string(), text);
    assert_eq!(panic_text(|| builder.global_key(3).clone()), text);
    assert!(builder.try_global_key(2).is_ok());
}

#[test]
fn missing_external() {
    let owner = chain(2);
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::from("x"));
    let operands = vec![
        ValueRef::Local(x),
        ValueRef::External(output_keys(&owner).remove(0)),
    ];
    let product = builder.add_operation(ScalarOp::Mul, operands, Primary)[0];
    let negative = apply(&mut builder, ScalarOp::Neg, &[product])[0];
    builder.set_outputs(vec![x, negative]);
    let user = shared(builder.build());
    let view = resolve(vec![Arc::clone(&user)]);

    let error = GraphError::UndefinedValue {
        operation: "Mul".into(),
        operand: 1,
        key: "output 0 of Add".into(),
    };
    let text = "operand 1 of Mul is output 0 of Add, which no graph of the view defines: \
                pass the graph that computes it to `resolve`, or add it as a parent";
    let flat = try_materialize_merge(&view, &output_keys(&user));
    assert_eq!(flat.expect_err("the chain is missing"), error);
    assert_eq!(error.to_string(), text);
    assert_eq!(
        panic_text(|| materialize_merge(&view, &output_keys(&user))),
        text
    );

    // What does not need it is there all the same, and with its owner so is the rest.
    assert!(try_materialize_merge(&view, &[input("x")]).is_ok());
    let view = resolve(vec![user.clone(), shared(owner)]);
    assert!(try_materialize_merge(&view, &output_keys(&user)).is_ok());
}

#[test]
fn missing_external_input() {
    let mut builder = GraphBuilder::new();
    let operands = vec![ValueRef::External(input("nowhere"))];
    let outputs = builder.add_operation(ScalarOp::Sin, operands, Primary);
    builder.set_outputs(outputs);
    let user = shared(builder.build());
    let view = resolve(vec![Arc::clone(&user)]);
    let error = try_materialize_merge(&view, &output_keys(&user)).expect_err("nobody defines it");
    assert_eq!(
        error,
        GraphError::UndefinedValue {
            operation: "Sin".into(),
            operand: 0,
            key: "input nowhere".into(),
        }
    );
}

#[test]
fn unknown_output_key() {
    let graph = shared(chain(1));
    let view = resolve(vec![Arc::clone(&graph)]);
    let sound = output_keys(&graph).remove(0);
    let linear = OperationKey::new(
        ScalarOp::Neg,
        vec![input("x")],
        OperationRole::Linearized {
            active_mask: vec![true],
        },
    );
    let linear = ValueKey::Derived {
        operation: Arc::new(linear),
        output_slot: 0,
    };
    for (unknown, described) in [
        (input("z"), "input z"),
        (output_keys(&chain(2)).remove(0), "output 0 of Add"),
        (linear, "output 0 of linearized Neg"),
    ] {
        let outputs = [sound.clone(), unknown];
        let error = GraphError::UnknownOutput {
            position: 1,
            key: described.into(),
        };
        let flat = try_materialize_merge(&view, &outputs);
        assert_eq!(flat.expect_err("output 1 is unknown"), error);
        let text = format!(
            "requested output 1, {described}, is not defined by any graph of the view: \
             pass the graph that computes it to `resolve`"
        );
        assert_eq!(error.to_string(), text);
        assert_eq!(panic_text(|| materialize_merge(&view, &outputs)), text);
    }
}

#[test]
fn an_output_that_is_only_referred_to() {
    let owner = chain(1);
    let key = output_keys(&owner).remove(0);
    let mut builder = GraphBuilder::new();
    builder.add_operation(
        ScalarOp::Neg,
        vec![ValueRef::External(key.clone())],
        Primary,
    );
    let view = resolve(vec![shared(builder.build())]);
    let error = try_materialize_merge(&view, &[key]).expect_err("its owner is not in the view");
    assert_eq!(
        error,
        GraphError::UnknownOutput {
            position: 0,
            key: "output 0 of Add".into(),
        }
    );
}

fn program(block: Block) -> CompiledProgram<Block> {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(1);
    let sound = apply(&mut builder, Block::new("sound", 1, 1), &[x]);
    let outputs = apply(&mut builder, block, &sound);
    builder.set_outputs(outputs);
    let graph = shared(builder.build());
    compile(&materialize_merge(
        &resolve(vec![Arc::clone(&graph)]),
        &output_keys(&graph),
    ))
}

#[test]
fn wrong_input_count() {
    let program = program(Block::new("one", 1, 1));
    for inputs in [vec![], vec![&1.0, &2.0]] {
        let error = GraphError::WrongInputCount {
            expected: 1,
            found: inputs.len(),
        };
        let text = format!("the program takes 1 input, found {}", inputs.len());
        assert_eq!(program.try_eval(&mut (), &inputs), Err(error.clone()));
        assert_eq!(error.to_string(), text);
        assert_eq!(panic_text(|| program.eval(&mut (), &inputs)), text);
    }
    assert_eq!(program.try_eval(&mut (), &[&1.0]), Ok(vec![1.0]));
}

#[test]
fn wrong_result_count() {
    for returned in [0, 1, 3] {
        let block = Block {
            returned,
            ..Block::new("two", 1, 2)
        };
        let program = program(block.clone());
        let error = GraphError::WrongResultCount {
            operation: describe_operation(&block),
            instruction: 1,
            expected: 2,
            found: returned,
        };
        let text = format!(
            "`eval` of Block {{ name: \"two\", inputs: 1, outputs: 2, returned: {returned} }} \
             (instruction 1) returned {returned} results, expected 2"
        );
        assert_eq!(program.try_eval(&mut (), &[&1.0]), Err(error.clone()));
        assert_eq!(error.to_string(), text);
        assert_eq!(panic_text(|| program.eval(&mut (), &[&1.0])), text);
    }
}

#[test]
fn an_id_of_another_interner() {
    let mut large = ValueKeyInterner::new();
    large.intern(input("x"));
    let id = large.intern(input("y"));
    let mut small = ValueKeyInterner::<ScalarOp>::new();
    small.intern(input("x"));
    let text = panic_text(|| small.resolve(id).clone());
    assert_eq!(text, "this id was given out by another interner");
}

#[test]
fn texts_stay_short_on_a_deep_graph() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input("x".into());
    let deep = append_square(&mut builder, x, 64);
    let long_name = "x".repeat(1_000);
    let outer = builder.add_input(long_name.as_str().into());
    let sum = apply(&mut builder, ScalarOp::Add, &[deep, outer])[0];
    let key = builder.global_key(sum).clone();
    let mut user = GraphBuilder::new();
    user.add_operation(
        ScalarOp::Neg,
        vec![ValueRef::External(key.clone())],
        Primary,
    );
    let user_output = user.global_key(0).clone();
    let view = resolve(vec![shared(user.build())]);

    let texts = [
        try_materialize_merge(&view, std::slice::from_ref(&key)).expect_err("undefined"),
        try_materialize_merge(&view, &[user_output]).expect_err("undefined"),
        try_materialize_merge(&view, &[input(&long_name)]).expect_err("undefined"),
        OperationKey::try_new(ScalarOp::Mul, vec![key.clone()], Primary).expect_err("arity"),
    ]
    .map(|error| error.to_string());
    for text in texts {
        assert!(text.chars().count() < 400, "{text}");
        assert_eq!(text.lines().count(), 1);
    }
    assert_eq!(describe_key(&key), "output 0 of Add");
    let name = describe_key(&input(&long_name));
    assert_eq!(name, format!("input {}…", "x".repeat(96)));
}

/// An operation whose `Debug` is long, and says how much of it was asked for.
struct Poem<'a>(&'a std::cell::Cell<usize>);

impl std::fmt::Debug for Poem<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (0..1_000_000).try_for_each(|line| {
            self.0.set(line);
            writeln!(f, "梯度 {line}")
        })
    }
}

#[test]
fn an_operation_is_described_on_one_line_and_no_more_of_it_is_formatted() {
    let lines = std::cell::Cell::new(0);
    let text = describe_operation(&Poem(&lines));
    assert!(text.starts_with("梯度 0 梯度 1 "), "{text}");
    assert!(text.ends_with('…') && text.chars().count() == 97, "{text}");
    assert!(lines.get() < 100, "{} lines were formatted", lines.get());
}
