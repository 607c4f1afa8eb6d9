//! What is written once for any value is the same, to the bit, with numbers, on a tape, and as a function.

use tidu::scalar::{Expr, ScalarOp, Tape, Value, Var, function};

const AWKWARD: [f64; 16] = [
    0.0,
    -0.0,
    0.3,
    -0.3,
    0.5,
    1.0,
    -1.0,
    1.5,
    2.0,
    -2.5,
    1e-300,
    -740.0,
    710.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

fn same(found: f64, expected: f64) -> bool {
    found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
}

/// Each case is a generic function of three values, tried as all three kinds of values.
macro_rules! cases {
    ($($name:ident: $body:expr;)*) => {
        $(
            #[allow(unused_variables, reason = "most take fewer than three operands")]
            fn $name<V: Value>([x, y, z]: [V; 3]) -> V {
                let body: fn(V, V, V) -> V = $body;
                body(x, y, z)
            }
        )*

        /// The names of all cases.
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        #[test]
        fn values_are_the_same_to_the_bit() {
            $(assert_same(stringify!($name), $name, |x| $name(x), $name);)*
        }
    };
}

/// Tries what is written once as all three.
fn assert_same(
    name: &str,
    number: fn([f64; 3]) -> f64,
    recorded: for<'t> fn([Var<'t>; 3]) -> Var<'t>,
    expression: fn([Expr; 3]) -> Expr,
) {
    let program = function(["x", "y", "z"], expression).unwrap().compile();
    let tape = Tape::new();
    let points = AWKWARD.iter().flat_map(|x| AWKWARD.map(|y| (*x, y)));
    for ((x, y), z) in points.flat_map(|point| [0.0, 1.5, -2.0, f64::NAN].map(|z| (point, z))) {
        let expected = program.call(&[x, y, z]).unwrap()[0];
        let others = [number([x, y, z]), recorded(tape.vars([x, y, z])).value()];
        for found in others {
            assert!(
                same(found, expected),
                "{name} of {x}, {y}, {z}: {found} for {expected}"
            );
        }
    }
}

cases! {
    recip: |x, _, _| x.recip();
    abs: |x, _, _| x.abs();
    sign: |x, _, _| x.sign();
    floor: |x, _, _| x.floor();
    ceil: |x, _, _| x.ceil();
    round: |x, _, _| x.round();
    round_ties_even: |x, _, _| x.round_ties_even();
    trunc: |x, _, _| x.trunc();
    sqrt: |x, _, _| x.sqrt();
    cbrt: |x, _, _| x.cbrt();
    exp: |x, _, _| x.exp();
    exp2: |x, _, _| x.exp2();
    exp_m1: |x, _, _| x.exp_m1();
    exp_neg_square: |x, _, _| x.exp_neg_square();
    ln: |x, _, _| x.ln();
    log2: |x, _, _| x.log2();
    log10: |x, _, _| x.log10();
    ln_1p: |x, _, _| x.ln_1p();
    sigmoid: |x, _, _| x.sigmoid();
    softplus: |x, _, _| x.softplus();
    sin: |x, _, _| x.sin();
    cos: |x, _, _| x.cos();
    sin_cos: |x, y, _| {
        let (sin, cos) = x.sin_cos();
        sin * y + cos
    };
    tan: |x, _, _| x.tan();
    asin: |x, _, _| x.asin();
    acos: |x, _, _| x.acos();
    atan: |x, _, _| x.atan();
    sinh: |x, _, _| x.sinh();
    cosh: |x, _, _| x.cosh();
    tanh: |x, _, _| x.tanh();
    sech_square: |x, _, _| x.sech_square();
    asinh: |x, _, _| x.asinh();
    acosh: |x, _, _| x.acosh();
    atanh: |x, _, _| x.atanh();
    erf: |x, _, _| x.erf();
    erfc: |x, _, _| x.erfc();
    lgamma: |x, _, _| x.lgamma();
    digamma: |x, _, _| x.digamma();
    stop_gradient: |x, _, _| x.stop_gradient();
    powi: |x, _, _| x.powi(-3);
    powf: |x, _, _| x.powf(2.5);
    polygamma: |x, _, _| x.polygamma(2);
    min: |x, y, _| x.min(y);
    max: |x, y, _| x.max(y);
    hypot: |x, y, _| x.hypot(y);
    direction: |x, y, _| x.direction(y);
    pow: |x, y, _| x.pow(y);
    atan2: |x, y, _| x.atan2(y);
    logaddexp: |x, y, _| x.logaddexp(y);
    sigmoid_sub: |x, y, _| x.sigmoid_sub(y);
    less: |x, y, _| x.less(y);
    less_equal: |x, y, _| x.less_equal(y);
    greater: |x, y, _| x.greater(y);
    greater_equal: |x, y, _| x.greater_equal(y);
    equal: |x, y, _| x.equal(y);
    not_equal: |x, y, _| x.not_equal(y);
    keep_if: |x, y, _| x.keep_if(y);
    mul_add: |x, y, z| x.mul_add(y, z);
    select: |x, y, z| x.select(y, z);
    // Operators, in every form that any value has.
    add: |x, y, z| x + y + &z + 0.1;
    sub: |x, y, z| x - y - &z - 0.1;
    mul: |x, y, z| x * y * &z * 1.1;
    div: |x, y, z| x / y / &z / 1.1;
    rem: |x, y, z| x % y % &z % 1.1;
    neg: |x, _, _| -x;
    assigned: |mut x, y, z| {
        x += y.clone();
        x += &z;
        x += 0.1;
        x -= y.clone();
        x -= &z;
        x -= 0.2;
        x *= y.clone();
        x *= &z;
        x *= 1.3;
        x /= y.clone();
        x /= &z;
        x /= 1.4;
        x %= y;
        x %= &z;
        x %= 1.5;
        x
    };
    summed: |x, y, z| [x.clone(), y.clone()].iter().sum::<V>() + [y, z, x].into_iter().sum::<V>();
    multiplied: |x, y, z| [x.clone(), y.clone()].iter().product::<V>() + [y, z, x].into_iter().product::<V>();
    // Numbers, as constants and as arguments.
    numbers: |x, _, _| V::constant(1.5) - V::from(2) * x.max(0.25).pow(2).mul_add(3.0, V::from(0.5));
    chosen: |x, y, _| x.greater(1).select(x.ln(), y.less_equal(0.0).select(-1, y));
}

/// Whatever the table of methods has, is tried here.
#[test]
fn no_method_is_left_out() {
    let table = include_str!("../../../../tidu-scalar/src/front.rs");
    let methods = table.lines().filter_map(|line| {
        let (_, name) = line.split_once("$vis fn ")?;
        name.split_once('(').map(|(name, _)| name)
    });
    let methods: Vec<&str> = methods.collect();
    assert!(methods.len() > 50, "{methods:?}");
    for method in methods {
        assert!(NAMES.contains(&method), "{method} is not tried");
    }
}

/// The time derivative of (θ, ω) of a damped pendulum that is driven, written once.
fn pendulum<V: Value>([angle, velocity]: [V; 2], drive: V) -> [V; 2] {
    let torque = drive - velocity.clone() * 0.1 - angle.sin();
    [velocity, torque]
}

/// ∂torque/∂θ = -cos θ, ∂torque/∂ω = -0.1, by a tape and as a function.
#[test]
fn derivatives_of_what_is_written_once() {
    let (angle, velocity) = (0.7, -0.4);
    assert_eq!(
        pendulum([angle, velocity], 0.0)[1],
        0.0 - velocity * 0.1 - angle.sin()
    );
    let tape = Tape::new();
    let state = tape.vars([angle, velocity]);
    let gradients = pendulum(state, 0.0.into())[1].backward().unwrap();
    assert_eq!(gradients.wrt(&state).unwrap(), [-angle.cos(), -0.1]);
    let f = function(["a", "v"], |state| pendulum(state, 0.into())).unwrap();
    let jacobian = f.jacobian(..).unwrap().compile();
    assert_eq!(
        jacobian.call(&[angle, velocity]).unwrap(),
        [0.0, 1.0, -angle.cos(), -0.1]
    );
}

/// Where `f64` and the primitive differ, any value is the primitive; `f64` itself is not changed.
#[test]
fn methods_of_numbers_stay_what_they_are() {
    fn larger<V: Value>(x: &V, y: V) -> V {
        x.max(y)
    }
    assert!(larger(&f64::NAN, 1.0).is_nan());
    assert_eq!(f64::NAN.max(1.0), 1.0);
    assert_eq!(larger(&2.0, 1.0), 2.0);
    // What `f64` has no method for.
    assert_eq!(0.0.sigmoid(), 0.5);
}

/// The three say the same of an operation that is misapplied, at the line of who did it.
#[test]
fn misapplied_operations_are_named() {
    fn said<T>(body: impl FnOnce() -> T + std::panic::UnwindSafe) -> String {
        let panic = std::panic::catch_unwind(body).err().expect("a panic");
        panic.downcast_ref::<String>().expect("a text").clone()
    }
    fn check<V: Value>(x: fn() -> V) {
        assert_eq!(
            said(|| V::apply(ScalarOp::SinCos, [&x()])),
            "`apply` of sin_cos, which has 1 input and 2 outputs, found 1 operand for 1 result"
        );
        assert_eq!(
            said(|| V::apply_pair(ScalarOp::Sin, [&x()])),
            "`apply_pair` of sin, which has 1 input and 1 output, found 1 operand for 2 results"
        );
        assert_eq!(
            said(|| V::apply(ScalarOp::Mul, [&x()])),
            "`apply` of mul, which has 2 inputs and 1 output, found 1 operand for 1 result"
        );
    }
    check(|| 1.0);
    check(|| Expr::constant(1.0));
    check(|| Var::constant(1.0));
}
