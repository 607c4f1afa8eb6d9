//! Powers where base or exponent is 0, 1 or another integer: the derivatives are those of a function of
//! both, of any order and in any mode.

use std::f64::consts::LN_2;

use tidu_ad::Function;
use tidu_scalar::{CompileScalar, ScalarOp, Tape, Var, function, hessian};

use crate::support::{all_derivatives, alone};

/// x, c, by how much to differentiate xᶜ by x and by c, and what comes out: by mpmath 1.3 to 60 digits
/// (`mpmath.diff` of `mpmath.power`, which knows no rules of differentiation).
const MIXED: &[(f64, f64, usize, usize, f64)] = &[
    (2.0, 0.0, 0, 0, 1.0),
    (2.0, 0.0, 0, 1, LN_2),
    (2.0, 0.0, 0, 2, 0.48045301391820144),
    (2.0, 0.0, 0, 3, 0.3330246519889295),
    (2.0, 0.0, 1, 0, 0.0),
    (2.0, 0.0, 1, 1, 0.5),
    (2.0, 0.0, 1, 2, LN_2),
    (2.0, 0.0, 2, 0, 0.0),
    (2.0, 0.0, 2, 1, -0.25),
    (2.0, 0.0, 3, 0, 0.0),
    (2.0, 1.0, 0, 0, 2.0),
    (2.0, 1.0, 0, 1, 1.3862943611198906),
    (2.0, 1.0, 0, 2, 0.9609060278364029),
    (2.0, 1.0, 0, 3, 0.666049303977859),
    (2.0, 1.0, 1, 0, 1.0),
    (2.0, 1.0, 1, 1, 1.6931471805599454),
    (2.0, 1.0, 1, 2, 1.866747375038092),
    (2.0, 1.0, 2, 0, 0.0),
    (2.0, 1.0, 2, 1, 0.5),
    (2.0, 1.0, 3, 0, 0.0),
    (2.0, 2.0, 0, 0, 4.0),
    (2.0, 2.0, 0, 1, 2.772588722239781),
    (2.0, 2.0, 0, 2, 1.9218120556728058),
    (2.0, 2.0, 0, 3, 1.332098607955718),
    (2.0, 2.0, 1, 0, 4.0),
    (2.0, 2.0, 1, 1, 4.772588722239782),
    (2.0, 2.0, 1, 2, 4.694400777912587),
    (2.0, 2.0, 2, 0, 2.0),
    (2.0, 2.0, 2, 1, 4.386294361119891),
    (2.0, 2.0, 3, 0, 0.0),
    (0.7, 0.0, 0, 0, 1.0),
    (0.7, 0.0, 0, 1, -0.35667494393873245),
    (0.7, 0.0, 0, 2, 0.12721701563369794),
    (0.7, 0.0, 0, 3, -0.04537512191920206),
    (0.7, 0.0, 1, 0, 0.0),
    (0.7, 0.0, 1, 1, 1.4285714285714286),
    (0.7, 0.0, 1, 2, -1.0190712683963785),
    (0.7, 0.0, 2, 0, 0.0),
    (0.7, 0.0, 2, 1, -2.0408163265306123),
    (0.7, 0.0, 3, 0, 0.0),
    (0.7, 1.0, 0, 0, 0.7),
    (0.7, 1.0, 0, 1, -0.2496724607571127),
    (0.7, 1.0, 0, 2, 0.08905191094358855),
    (0.7, 1.0, 0, 3, -0.03176258534344144),
    (0.7, 1.0, 1, 0, 1.0),
    (0.7, 1.0, 1, 1, 0.6433250560612676),
    (0.7, 1.0, 1, 2, -0.586132872243767),
    (0.7, 1.0, 2, 0, 0.0),
    (0.7, 1.0, 2, 1, 1.4285714285714286),
    (0.7, 1.0, 3, 0, 0.0),
    (3.5, 0.25, 0, 0, 1.3677823998673804),
    (3.5, 0.25, 0, 1, 1.713507139513578),
    (3.5, 0.25, 0, 2, 2.1466182906350366),
    (3.5, 0.25, 0, 3, 2.6892039020024012),
    (3.5, 0.25, 1, 0, 0.09769874284767004),
    (3.5, 0.25, 1, 1, 0.5131883384987929),
    (3.5, 0.25, 1, 2, 1.1324768147674042),
    (3.5, 0.25, 2, 0, -0.020935444895929294),
    (3.5, 0.25, 2, 1, -0.08205500315040704),
    (3.5, 0.25, 3, 0, 0.010467722447964647),
    (1.3, 1e-09, 0, 0, 1.0000000002623644),
    (1.3, 1e-09, 0, 1, 0.2623642645363261),
    (1.3, 1e-09, 0, 2, 0.06883500728762745),
    (1.3, 1e-09, 0, 3, 0.018059846056632765),
    (1.3, 1e-09, 1, 0, 7.692307694325879e-10),
    (1.3, 1e-09, 1, 1, 0.7692307696344065),
    (1.3, 1e-09, 1, 2, 0.4036373301088363),
    (1.3, 1e-09, 2, 0, -5.917159758948901e-10),
    (1.3, 1e-09, 2, 1, -0.5917159754584193),
    (1.3, 1e-09, 3, 0, 9.10332270152357e-10),
    (1.0, 1.0, 0, 0, 1.0),
    (1.0, 1.0, 0, 1, 0.0),
    (1.0, 1.0, 0, 2, 0.0),
    (1.0, 1.0, 0, 3, 0.0),
    (1.0, 1.0, 1, 0, 1.0),
    (1.0, 1.0, 1, 1, 1.0),
    (1.0, 1.0, 1, 2, 0.0),
    (1.0, 1.0, 2, 0, 0.0),
    (1.0, 1.0, 2, 1, 1.0),
    (1.0, 1.0, 3, 0, 0.0),
    (5.0, -2.0, 0, 0, 0.04),
    (5.0, -2.0, 0, 1, 0.06437751649736402),
    (5.0, -2.0, 0, 2, 0.1036116157592094),
    (5.0, -2.0, 0, 3, 0.16675646257142612),
    (5.0, -2.0, 1, 0, -0.016),
    (5.0, -2.0, 1, 1, -0.017751006598945605),
    (5.0, -2.0, 1, 2, -0.015693639704738152),
    (5.0, -2.0, 2, 0, 0.0096),
    (5.0, -2.0, 2, 1, 0.007450603959367363),
    (5.0, -2.0, 3, 0, -0.00768),
    (0.3, 3.0, 0, 0, 0.026999999999999996),
    (0.3, 3.0, 0, 1, -0.03250726571680027),
    (0.3, 3.0, 0, 2, 0.03913786386602438),
    (0.3, 3.0, 0, 3, -0.04712092371410409),
    (0.3, 3.0, 1, 0, 0.26999999999999996),
    (0.3, 3.0, 1, 1, -0.2350726571680027),
    (0.3, 3.0, 1, 2, 0.17466353388157535),
    (0.3, 3.0, 2, 0, 1.8),
    (0.3, 3.0, 2, 1, -0.6671510477866849),
    (0.3, 3.0, 3, 0, 6.0),
];

#[track_caller]
fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs();
    let near = found == expected || error <= tolerance * expected.abs().max(1e-3);
    assert!(
        near || (found.is_nan() && expected.is_nan()),
        "{what}: {found}, not {expected}"
    );
}

/// By a program of either kind.
#[track_caller]
fn assert_value(f: &Function<ScalarOp>, at: &[f64], expected: f64, tolerance: f64, what: &str) {
    let what = format!("{what} at {at:?}");
    let found = f.compile().call(at).expect("all inputs")[0];
    assert_near(found, expected, tolerance, &what);
    let program = f.compile_scalar().expect("a program");
    let found = program.call(at).expect("all inputs")[0];
    assert_near(found, expected, tolerance, &what);
}

#[test]
fn powers_have_the_derivatives_of_a_function_of_base_and_exponent() {
    let power = alone(&ScalarOp::Pow);
    for order in 0..=3 {
        for (by, name, derivative) in all_derivatives(&power, &["x", "y"], order) {
            let by_x = by.iter().filter(|name| **name == "x").count();
            let here = MIXED
                .iter()
                .filter(|(_, _, n, m, _)| (*n, *m) == (by_x, order - by_x));
            for &(x, c, .., expected) in here {
                assert_value(&derivative, &[x, c], expected, 1e-14, &name);
            }
        }
    }
}

/// f(x) = xˣ at 1: f' = f·(1 + ln x), so f'' = 2, f''' = 3, f'''' = 8.
#[test]
fn a_number_to_the_power_of_itself_curves_as_it_should() {
    let f = function(["x"], |[x]| [x.pow(&x)]).expect("a function");
    for (order, expected) in [1.0, 1.0, 2.0, 3.0, 8.0].into_iter().enumerate() {
        for (_, name, derivative) in all_derivatives(&f, &["x"], order) {
            assert_value(&derivative, &[1.0], expected, 1e-14, &name);
        }
    }
}

/// By recorded calls: ∂²/∂x² = c·(c - 1)·xᶜ⁻², ∂²/∂x∂c = xᶜ⁻¹·(1 + c·ln x), ∂²/∂c² = xᶜ·ln² x.
#[test]
fn hessians_of_powers_are_symmetric_on_a_tape() {
    let (two, ln) = (2.0, LN_2);
    for (c, expected) in [
        (0.0, [[0.0, 0.5], [0.5, ln * ln]]),
        (1.0, [[0.0, 1.0 + ln], [1.0 + ln, 2.0 * ln * ln]]),
    ] {
        let found = hessian(|v: &[Var<'_>]| v[0].pow(v[1]), &[two, c]).expect("a Hessian");
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert_near(*found, *expected, 1e-15, "a second derivative");
        }
        assert_eq!(found[0][1], found[1][0]);
    }
}

/// xᵏ, as it can be written.
fn monomials(k: u8) -> Vec<Function<ScalarOp>> {
    let c = f64::from(k);
    let active = function(["x", "y"], |[x, y]| [x.pow(&y)]).expect("a function");
    let constant = function(["x"], |[x]| [x.pow(c)]).expect("a function");
    let as_powi = function(["x"], |[x]| [x.powi(i32::from(k))]).expect("a function");
    let as_powf = function(["x"], |[x]| [x.powf(c)]).expect("a function");
    vec![active, constant, as_powi, as_powf]
}

#[test]
fn whole_powers_are_polynomials_at_zero_and_below() {
    for k in 0_u8..=4 {
        for f in monomials(k) {
            for order in 0..=4 {
                let falling: f64 = (0..order).map(|i| f64::from(k) - i as f64).product();
                for (_, name, derivative) in all_derivatives(&f, &["x"], order) {
                    for x in [0.0, -0.0, -2.0, -1.0, 1.0, 3.0] {
                        let left = i32::from(k) - order as i32;
                        let expected = if left < 0 {
                            0.0
                        } else {
                            falling * f64::powi(x, left)
                        };
                        let at = [x, f64::from(k)];
                        let at = &at[..f.input_names().len()];
                        assert_value(&derivative, at, expected, 0.0, &format!("x^{k}, {name}"));
                    }
                }
            }
        }
    }
}

/// 3 + 5·x + 7·x², of which the Hessian is 14.
#[test]
fn polynomials_of_powers_have_a_hessian_at_zero() {
    fn polynomial<'t>(v: &[Var<'t>]) -> Var<'t> {
        let terms = [3.0, 5.0, 7.0].into_iter().enumerate();
        terms.map(|(k, c)| c * v[0].pow(k as f64)).sum()
    }
    assert_eq!(hessian(polynomial, &[0.0]).expect("a Hessian"), [[14.0]]);
    let tape = Tape::new();
    let [x, y] = tape.vars([0.0, 2.0]);
    let by_x = x.pow(y).gradient(&[x]).expect("a gradient")[0];
    let twice = by_x.gradient(&[x]).expect("a gradient")[0];
    assert_eq!((by_x.value(), twice.value()), (0.0, 2.0));
}

/// What [`ScalarOp::Pow`] says of x = 0 and x = ∞, where numbers have no derivative but the limit from
/// inside.
#[test]
fn derivatives_of_powers_at_zero_and_infinity_are_limits() {
    const INF: f64 = f64::INFINITY;
    let power = alone(&ScalarOp::Pow);
    for (at, by_x, expected) in [
        // xᶜ⁻¹·(1 + c·ln x)
        ([0.0, 1.0], 1, -INF),
        ([0.0, 0.5], 1, -INF),
        ([0.0, 2.0], 1, 0.0),
        ([0.0, 0.0], 1, INF),
        ([INF, 0.5], 1, 0.0),
        ([INF, 1.5], 1, INF),
        // xᶜ·ln² x, of which 0ᶜ is left out.
        ([0.0, 0.0], 0, 0.0),
        ([0.0, 2.0], 0, 0.0),
        ([0.0, -1.0], 0, f64::NAN),
        ([INF, -1.0], 0, 0.0),
        ([INF, 0.0], 0, INF),
        // c·(c - 1)·xᶜ⁻²
        ([0.0, 0.0], 2, 0.0),
        ([0.0, 1.0], 2, 0.0),
        ([0.0, 2.0], 2, 2.0),
        ([0.0, 1.5], 2, INF),
        ([0.0, 0.5], 2, -INF),
        ([INF, 1.0], 2, 0.0),
        ([INF, 1.5], 2, 0.0),
    ] {
        for (by, name, derivative) in all_derivatives(&power, &["x", "y"], 2) {
            if by.iter().filter(|name| **name == "x").count() == by_x {
                assert_value(&derivative, &at, expected, 0.0, &name);
            }
        }
    }
}

/// The range of doubles is left on the way by c·xᶜ⁻¹·(c - 1) / x, not by the number itself:
/// c·(c - 1)·xᶜ⁻² for c = 1e-8 at 4e-155, and for c = 0.3 at 1e-181; by mpmath.
#[test]
fn second_derivatives_of_roots_do_not_overflow_early() {
    for (c, x, expected) in [
        (1e-8, 4e-155, -6.249977717890028e+300),
        (0.3, 1e-181, -1.0524931906172765e+307),
    ] {
        let f = function(["x"], |[x]| [x.powf(c)]).expect("a function");
        for (_, name, derivative) in all_derivatives(&f, &["x"], 2) {
            assert_value(&derivative, &[x], expected, 1e-15, &name);
        }
    }
}

#[test]
fn cube_roots_flatten_and_steepen_to_any_order() {
    const INF: f64 = f64::INFINITY;
    let f = alone(&ScalarOp::Cbrt);
    for (_, name, derivative) in all_derivatives(&f, &["x"], 2) {
        for (x, expected) in [
            (0.0, -INF),
            (-0.0, INF),
            (INF, 0.0),
            (-INF, 0.0),
            (8.0, -1.0 / 144.0),
        ] {
            assert_value(&derivative, &[x], expected, 1e-15, &name);
        }
    }
}
