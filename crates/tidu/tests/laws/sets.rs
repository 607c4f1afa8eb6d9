//! Operation sets whose rules are right pass every law.

use tidu::laws::{Case, Law, Laws, Outcome, SpecialPoint};
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
