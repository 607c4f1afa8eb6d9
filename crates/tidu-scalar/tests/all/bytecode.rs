//! The bytecode of programs as data: what another back end makes of it computes the same bits.

use std::collections::HashSet;

use crate::support::all_primitives;
use crate::support::functions::random_function;
use crate::support::random::Random;
use tidu_scalar::bytecode::{Bytecode, Callee, Formula, Instruction, Opcode, Operator};
use tidu_scalar::{CompileScalar, ProgramOptions, ScalarOp, function};

/// What a formula yields, in plain numbers.
fn value(formula: &Formula, operands: &[f64]) -> f64 {
    let (operator, of) = match formula {
        Formula::Operand(at) => return operands[*at],
        Formula::Number(number) => return *number,
        Formula::Apply(operator, of) => (operator, of),
        other => panic!("{other:?}"),
    };
    let of: Vec<f64> = of.iter().map(|of| value(of, operands)).collect();
    let truth = |is_true: bool| if is_true { 1.0 } else { 0.0 };
    match (operator, of.as_slice()) {
        (Operator::Neg, [a]) => -a,
        (Operator::Add, [a, b]) => a + b,
        (Operator::Sub, [a, b]) => a - b,
        (Operator::Mul, [a, b]) => a * b,
        (Operator::Div, [a, b]) => a / b,
        (Operator::MulAdd, [a, b, c]) => a.mul_add(*b, *c),
        (Operator::Sqrt, [a]) => a.sqrt(),
        (Operator::Abs, [a]) => a.abs(),
        (Operator::Copysign, [a, b]) => a.copysign(*b),
        (Operator::Floor, [a]) => a.floor(),
        (Operator::Ceil, [a]) => a.ceil(),
        (Operator::Round, [a]) => a.round(),
        (Operator::RoundTiesEven, [a]) => a.round_ties_even(),
        (Operator::Trunc, [a]) => a.trunc(),
        (Operator::Exp, [a]) => a.exp(),
        (Operator::Ln, [a]) => a.ln(),
        (Operator::Sin, [a]) => a.sin(),
        (Operator::Cos, [a]) => a.cos(),
        (Operator::Lt, [a, b]) => truth(a < b),
        (Operator::Le, [a, b]) => truth(a <= b),
        (Operator::Gt, [a, b]) => truth(a > b),
        (Operator::Ge, [a, b]) => truth(a >= b),
        (Operator::Eq, [a, b]) => truth(a == b),
        (Operator::Ne, [a, b]) => truth(a != b),
        (Operator::Select, [a, b, c]) => [*c, *b][usize::from(*a != 0.0)],
        other => panic!("{other:?}"),
    }
}

fn call(callee: Callee, x: &[f64]) -> f64 {
    match (callee, x) {
        (Callee::Unary(f), [a]) => f(*a),
        (Callee::Binary(f), [a, b]) => f(*a, *b),
        (Callee::Ternary(f), [a, b, c]) => f(*a, *b, *c),
        other => panic!("{other:?}"),
    }
}

/// A back end of one loop.
fn interpret(code: &Bytecode, inputs: &[f64]) -> Vec<f64> {
    let mut slots = vec![f64::NAN; code.slot_count()];
    slots[..inputs.len()].copy_from_slice(inputs);
    for &(slot, number) in code.constants() {
        slots[slot as usize] = number;
    }
    for instruction in code.instructions() {
        let operands = instruction.operands().iter();
        let operands: Vec<f64> = operands.map(|slot| slots[*slot as usize]).collect();
        let formulas = instruction.opcode().formulas();
        let results: Vec<f64> = match code.callee(instruction) {
            Some((_, callee)) => vec![call(callee, &operands)],
            None => formulas.iter().map(|of| value(of, &operands)).collect(),
        };
        let written = [Some(instruction.result()), instruction.second_result()];
        let written = written.into_iter().flatten();
        assert_eq!(results.len(), written.clone().count());
        for (slot, result) in written.zip(results) {
            slots[slot as usize] = result;
        }
    }
    let outputs = code.outputs().iter();
    outputs.map(|slot| slots[*slot as usize]).collect()
}

fn same(x: f64, y: f64) -> bool {
    x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())
}

/// Over values and over registers, rounded once or twice, and as derivatives are.
#[test]
fn what_is_interpreted_in_a_plain_loop_has_the_bits_of_the_program() {
    use ScalarOp::*;
    let mut random = Random::new(11);
    let (all, arithmetic) = (all_primitives(), [Add, Sub, Mul, Mul, Neg, Sin, Cos, Min]);
    let mut seen = HashSet::new();
    for round in 0..120 {
        let from = [&all[..], &arithmetic][round % 2];
        let f = random_function(&mut random, 3, 10 + round, from);
        let f = match round % 3 {
            0 => f.select_at(&[0]).and_then(|f| f.vjp(..)).expect("a VJP"),
            _ => f,
        };
        let options = ProgramOptions::default().fused(round % 4 > 1);
        let program = f.compile_scalar_with(options).expect("a program");
        let values = f.lower_scalar(options).expect("bytecode");
        let results = values.instructions().iter();
        let results = results.flat_map(|of| [Some(of.result()), of.second_result()]);
        let mut written: Vec<u32> = results.flatten().collect();
        written.sort_unstable();
        written.dedup_by(|a, b| {
            assert_ne!(a, b, "a value is made once");
            false
        });
        assert!(program.register_count() <= values.slot_count());
        for code in [program.bytecode(), &values] {
            seen.extend(code.instructions().iter().map(Instruction::opcode));
            for _ in 0..10 {
                let inputs = f.input_names().len();
                let edge = |random: &mut Random| match random.bits() % 8 {
                    0 => [0.0, -0.0, f64::INFINITY, f64::NAN][random.bits() as usize % 4],
                    1 => f64::from(random.bits() as u32 % 5) - 2.0,
                    _ => random.signed(1e-2, 1e2),
                };
                let point: Vec<f64> = (0..inputs).map(|_| edge(&mut random)).collect();
                let (found, expected) = (interpret(code, &point), program.call(&point).unwrap());
                let agree = found.iter().zip(&expected).all(|(x, y)| same(*x, *y));
                assert!(agree, "{code}\n{found:?}, not {expected:?} at {point:?}");
                assert_eq!(found.len(), expected.len());
            }
        }
    }
    let unseen = Opcode::ALL.iter().filter(|opcode| !seen.contains(opcode));
    assert_eq!(unseen.collect::<Vec<_>>(), [&Opcode::Copy]);
}

/// The operands of a formula, each as often as it stands.
fn operands(formula: &Formula, found: &mut Vec<usize>) {
    match formula {
        Formula::Operand(at) => found.push(*at),
        Formula::Apply(_, of) => of.iter().for_each(|of| operands(of, found)),
        _ => {}
    }
}

/// A formula as the names of fused opcodes are written.
fn infix(formula: &Formula, inside: bool) -> String {
    let text = match formula {
        Formula::Operand(at) => return ["a", "b", "c", "d"][*at].into(),
        Formula::Apply(Operator::MulAdd, of) => {
            let of: Vec<String> = of.iter().map(|of| infix(of, false)).collect();
            return format!("fma({})", of.join(", "));
        }
        Formula::Apply(Operator::Neg, of) => return format!("-{}", infix(&of[0], true)),
        Formula::Apply(operator, of) => {
            let sign = match operator {
                Operator::Add => "+",
                Operator::Sub => "-",
                Operator::Mul => "*",
                other => panic!("{other:?}"),
            };
            format!("{} {sign} {}", infix(&of[0], true), infix(&of[1], true))
        }
        other => panic!("{other:?}"),
    };
    if inside { format!("({text})") } else { text }
}

#[test]
fn opcodes_say_what_they_are_made_of() {
    let mut names = HashSet::new();
    for opcode in Opcode::ALL {
        let formulas = opcode.formulas();
        let Some(name) = opcode.name() else {
            assert_eq!(formulas, [], "{opcode:?} is a call");
            continue;
        };
        assert!(names.insert(name), "{name} is the name of two");
        let results = if *opcode == Opcode::SinCos { 2 } else { 1 };
        assert_eq!(formulas.len(), results, "{name}");
        for formula in &formulas {
            let mut found = Vec::new();
            operands(formula, &mut found);
            found.sort_unstable();
            found.dedup();
            let all: Vec<usize> = (0..opcode.operand_count()).collect();
            assert_eq!(found, all, "{name}");
        }
        if name.contains(' ') {
            assert_eq!(infix(&formulas[0], false), name);
        }
    }
    let product_sum = Opcode::MulThenAdd.formulas();
    let operand = Formula::Operand;
    let product = Formula::Apply(Operator::Mul, vec![operand(0), operand(1)]);
    let sum = Formula::Apply(Operator::Add, vec![product, operand(2)]);
    assert_eq!(product_sum, [sum]);
}

/// A formula in C.
fn in_c(formula: &Formula, operands: &[String]) -> String {
    let (operator, of) = match formula {
        Formula::Operand(at) => return operands[*at].clone(),
        Formula::Number(number) => return format!("{number:?}"),
        Formula::Apply(operator, of) => (operator, of),
        other => panic!("{other:?}"),
    };
    let of: Vec<String> = of.iter().map(|of| in_c(of, operands)).collect();
    let between = |sign: &str| format!("({} {sign} {})", of[0], of[1]);
    let function = |name: &str| format!("{name}({})", of.join(", "));
    match operator {
        Operator::Neg => format!("(-{})", of[0]),
        Operator::Add => between("+"),
        Operator::Sub => between("-"),
        Operator::Mul => between("*"),
        Operator::Div => between("/"),
        Operator::Lt => between("<"),
        Operator::Le => between("<="),
        Operator::Gt => between(">"),
        Operator::Ge => between(">="),
        Operator::Eq => between("=="),
        Operator::Ne => between("!="),
        Operator::Select => format!("({} ? {} : {})", of[0], of[1], of[2]),
        Operator::MulAdd => function("fma"),
        Operator::Abs => function("fabs"),
        Operator::Ln => function("log"),
        Operator::RoundTiesEven => function("rint"),
        other => function(&format!("{other:?}").to_lowercase()),
    }
}

/// Bytecode over values as a function in C.
fn c_source(code: &Bytecode) -> String {
    let name = |value: &u32| format!("v{value}");
    let mut lines = vec!["void f(const double *x, double *y) {".to_owned()];
    for at in 0..code.input_names().len() {
        lines.push(format!("    double v{at} = x[{at}];"));
    }
    for (value, number) in code.constants() {
        lines.push(format!("    double {} = {number:?};", name(value)));
    }
    for instruction in code.instructions() {
        let operands: Vec<String> = instruction.operands().iter().map(name).collect();
        let results = [Some(instruction.result()), instruction.second_result()];
        let right = match code.callee(instruction) {
            // Of C's own, `powf` is another one.
            Some((function, _)) => vec![format!("tidu_{function}({})", operands.join(", "))],
            None => {
                let formulas = instruction.opcode().formulas();
                formulas.iter().map(|of| in_c(of, &operands)).collect()
            }
        };
        for (result, right) in results.iter().flatten().zip(right) {
            lines.push(format!("    double {} = {right};", name(result)));
        }
    }
    for (at, value) in code.outputs().iter().enumerate() {
        lines.push(format!("    y[{at}] = {};", name(value)));
    }
    lines.push("}".into());
    lines.join("\n")
}

#[test]
fn source_code_is_written_from_the_data_alone() {
    let f = function(["x", "y"], |[x, y]| {
        let less = x.less(&y);
        [
            less.select(&x * &y + 2.5, -(&x / &y)),
            x.sin() * x.cos() + y.tanh().powf(1.5),
        ]
    });
    let code = f
        .expect("a function")
        .lower_scalar(ProgramOptions::default());
    assert_eq!(
        c_source(&code.expect("bytecode")),
        "void f(const double *x, double *y) {
    double v0 = x[0];
    double v1 = x[1];
    double v4 = 2.5;
    double v13 = 1.5;
    double v2 = (v0 < v1);
    double v5 = ((v0 * v1) + v4);
    double v6 = (v0 / v1);
    double v7 = (-v6);
    double v8 = (v2 ? v5 : v7);
    double v9 = sin(v0);
    double v10 = cos(v0);
    double v12 = tidu_tanh(v1);
    double v14 = tidu_powf(v13, v12);
    double v15 = ((v9 * v10) + v14);
    y[0] = v8;
    y[1] = v15;
}"
    );
}

/// The smaller of -0 and 0 is -0, and a NaN goes through.
#[test]
fn the_smaller_and_the_larger_are_those_of_ieee_754() {
    let numbers = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        3.5,
        f64::INFINITY,
        -f64::INFINITY,
        f64::NAN,
    ];
    let key = |x: f64| (x, !x.is_sign_negative());
    for a in numbers {
        for b in numbers {
            let [smaller, larger] = match key(a).partial_cmp(&key(b)) {
                None => [f64::NAN; 2],
                Some(order) if order.is_lt() => [a, b],
                Some(_) => [b, a],
            };
            for (opcode, expected) in [(Opcode::Min, smaller), (Opcode::Max, larger)] {
                let found = value(&opcode.formulas()[0], &[a, b]);
                assert!(same(found, expected), "{opcode:?} of {a} and {b}: {found}");
            }
        }
    }
}
