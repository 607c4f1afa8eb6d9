//! Operation sets whose rules are right pass every law.

use tidu::graph::GraphOperation;
use tidu::laws::{Case, Law, Laws, Outcome, Random, SpecialPoint};
use tidu::scalar::{ScalarKey, ScalarOp};

fn scalars() -> Laws<ScalarOp> {
    use ScalarOp::{Add, Cos, Div, Exp, Ln, Mul, Neg, Sin, SinCos, Sub};
    Laws::on_reals(|position| ScalarKey::fresh(position as u64))
        .operations([Add, Sub, Mul], |random| random.many_between(2, -2.0, 2.0))
        .operations([Neg, Exp, Sin, Cos, SinCos], |random| {
            random.many_between(1, -2.0, 2.0)
        })
        .operation(Div, |random| {
            vec![random.between(-2.0, 2.0), random.between(0.5, 2.0)]
        })
        .case(
            Case::operation(Ln, |random| vec![random.between(0.2, 3.0)])
                .special(SpecialPoint::at([1.0]).value([0.0]).jvp([3.0], [3.0]))
                .special(
                    SpecialPoint::at([0.0])
                        .value([f64::NEG_INFINITY])
                        .vjp([-2.0], [f64::NEG_INFINITY]),
                )
                .special(SpecialPoint::at([-1.0]).value([f64::NAN])),
        )
        .operation(ScalarOp::constant(2.5), |_| vec![])
}

#[test]
fn the_scalar_set_passes() {
    let report = scalars().compositions(60, 8).check();
    report.assert();
    let table = report.to_string();
    println!("{table}");
    for row in report.rows() {
        let is_constant = row.name.starts_with("const");
        for law in [Law::Jvp, Law::Transpose, Law::SecondOrder, Law::Closure] {
            let nothing = is_constant || (row.name == "compositions" && law == Law::Closure);
            let expected = match nothing {
                true => Outcome::NotApplicable,
                false => Outcome::Passed,
            };
            assert_eq!(row.outcome(law), expected, "{law} of {}\n{table}", row.name);
        }
    }
}

/// Terms that cancel leave rounding of their own size, not of that of the result.
#[test]
fn sums_that_cancel_are_no_failures() {
    let f = tidu::scalar::function(["x", "y"], |[x, y]| {
        [(&x * &y) / &x, x.ln().exp(), &x * (2.5 / &x)]
    })
    .unwrap();
    let case = Case::function("f", f, |random| random.many_between(2, 0.2, 2.0));
    let key = |position| ScalarKey::fresh(position as u64);
    Laws::on_reals(key).case(case).points(50).check().assert();
}

/// Operands at which a primitive is smooth, with room for a step.
fn smooth(op: &ScalarOp, random: &mut Random) -> Vec<f64> {
    use ScalarOp::{
        Acos, Acosh, Asin, Atanh, Ceil, Floor, KeepIf, Lgamma, Powi, Rem, Round, RoundTiesEven,
        Select, Tan, Trunc,
    };
    match op {
        Floor | Ceil | Trunc | Round | RoundTiesEven => vec![3.0 + random.between(0.2, 0.3)],
        Rem => vec![random.between(0.7, 0.8), random.between(0.48, 0.52)],
        Asin | Acos | Atanh | Tan => vec![random.between(-0.6, 0.6)],
        Acosh => vec![random.between(1.5, 4.0)],
        Powi(_) => vec![random.between(0.5, 2.0)],
        Lgamma => vec![random.between(2.5, 4.0)],
        Select | KeepIf => {
            let condition = random.between(0.0, 2.0).floor();
            let mut operands = vec![condition];
            operands.extend(random.many_between(op.input_count() - 1, -2.0, 2.0));
            operands
        }
        // Away from 0, and from one another, so that comparisons do not change.
        _ => {
            let at = |position: usize| 0.5 + position as f64;
            let operands = 0..op.input_count();
            let mut operands: Vec<f64> = operands
                .map(|position| at(position) + random.between(0.0, 0.5))
                .collect();
            if random.between(0.0, 1.0) < 0.5 {
                operands.reverse();
            }
            operands
        }
    }
}

fn complete() -> impl Iterator<Item = ScalarOp> {
    let powi = [-3, -1, 0, 1, 2, 5].map(ScalarOp::Powi);
    let powf = [-1.5, 0.0, 0.3, 1.0, 2.0, 3.7].map(ScalarOp::powf);
    let polygamma = [0, 1, 2].map(ScalarOp::Polygamma);
    let partial = [(1, 0), (0, 1), (2, 1), (0, 3)].map(|(n, m)| ScalarOp::pow_partial(n, m));
    let numbered = powi.into_iter().chain(powf).chain(polygamma).chain(partial);
    ScalarOp::PLAIN.iter().cloned().chain(numbered)
}

#[test]
fn every_primitive_passes() {
    let laws = Laws::on_reals(|position| ScalarKey::fresh(position as u64));
    let laws = complete().fold(laws, |laws, op| {
        let drawn = op.clone();
        let case = Case::operation(op.clone(), move |random| smooth(&drawn, random));
        laws.case(match op {
            // Its derivative is not that of what it computes: that is what it is for.
            ScalarOp::StopGradient => case.without(Law::Jvp).without(Law::SecondOrder),
            // What is chosen by is a switch. With a tangent in the other branch only, the switch is
            // turned round, which the law takes for work that nothing needs.
            ScalarOp::Select => case.inactive([0]).without(Law::SymbolicZeros),
            ScalarOp::KeepIf => case.inactive([0]),
            _ => case,
        })
    });
    let report = laws.points(4).check();
    println!("{report}");
    report.assert();
    assert_eq!(report.rows().len(), complete().count());
}

/// What the set says of kinks: derivatives are those of the pieces, and the mean of theirs where pieces
/// meet; where that has no limit, second derivatives are NaN. So they are in every mode, and not what
/// a smooth function would have that is written so.
#[test]
fn kinks_are_as_documented_in_every_mode() {
    use ScalarOp::{Abs, Direction, Hypot, Max, Min};
    let kink = |op, x: &[f64], slopes: &[f64]| {
        let mut point = SpecialPoint::at(x).vjp([1.0], slopes);
        let units = [[1.0, 0.0], [0.0, 1.0]].map(|unit| unit[..x.len()].to_vec());
        let units = &units[..x.len()];
        for (u, v) in units.iter().flat_map(|u| units.iter().map(move |v| (u, v))) {
            point = point.second(&u[..], &v[..], [0.0]);
        }
        Case::operation(op, |_| vec![]).special(point)
    };
    let nan_at_origin = |op, slopes: [f64; 2]| {
        let origin = SpecialPoint::at([0.0, 0.0]).vjp([1.0], slopes);
        let origin = origin.second([1.0, 0.0], [1.0, 0.0], [f64::NAN]);
        let origin = origin.second([1.0, 0.0], [0.0, 1.0], [f64::NAN]);
        Case::operation(op, |_| vec![]).special(origin)
    };
    let composed = |name: &str, f: tidu::Function<ScalarOp>, point: SpecialPoint<f64>| {
        Case::function(name, f, |_| vec![]).special(point)
    };
    let f = |f: fn(tidu::scalar::Expr) -> tidu::scalar::Expr| {
        tidu::scalar::function(["x"], |[x]| [f(x)]).unwrap()
    };
    let flat = || {
        SpecialPoint::at([0.0])
            .jvp([1.0], [0.0])
            .second([1.0], [1.0], [0.0])
    };
    let cases = [
        kink(Abs, &[0.0], &[0.0]),
        kink(Abs, &[-0.0], &[0.0]),
        kink(Min, &[1.0, 1.0], &[0.5, 0.5]),
        kink(Max, &[0.0, -0.0], &[0.5, 0.5]),
        kink(ScalarOp::Rem, &[6.0, 2.0], &[1.0, -3.0]),
        nan_at_origin(Hypot, [0.0, 0.0]),
        nan_at_origin(Direction, [f64::NAN, f64::NAN]),
        composed("abs of -x²", f(|x| (-(&x * &x)).abs()), flat()),
        composed("square of abs", f(|x| x.abs().powi(2)), flat()),
        composed("square of max", f(|x| x.max(-&x).powi(2)), flat()),
    ];
    let laws = Laws::on_reals(|position| ScalarKey::fresh(position as u64));
    let laws = cases.into_iter().fold(laws, Laws::case).points(0);
    let report = laws.check();
    report.assert();
    let all = report.rows().iter();
    assert!(
        all.clone()
            .all(|row| row.outcome(Law::SpecialPoints) == Outcome::Passed)
    );
}
