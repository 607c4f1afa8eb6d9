//! Complex functions and their slopes over the whole range of exponents, against values of many digits.

use num_complex::Complex64;
use tidu::graph::EvaluableGraphOperation;
use tidu_tensor::{Context, Power, Tensor, TensorOp, Value, function, types};

use super::{INF, NAN, assert_slope, of, slope};

struct Line {
    name: String,
    numbers: Vec<Complex64>,
}

fn lines() -> Vec<Line> {
    let text = include_str!("complex.txt").lines();
    let lines = text.filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| {
        let mut words = line.split(' ');
        let name = words.next().unwrap().to_string();
        let numbers: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
        let pairs = numbers.chunks_exact(2);
        let numbers = pairs.map(|pair| Complex64::new(pair[0], pair[1]));
        Line {
            name,
            numbers: numbers.collect(),
        }
    });
    lines.collect()
}

fn op(name: &str) -> TensorOp {
    match name {
        "sqrt" => TensorOp::Sqrt,
        "exp" => TensorOp::Exp,
        "ln" => TensorOp::Ln,
        "sin" => TensorOp::Sin,
        "cos" => TensorOp::Cos,
        "tanh" => TensorOp::Tanh,
        "sech_square" => TensorOp::SechSquare,
        "mul" => TensorOp::Mul,
        "div" => TensorOp::Div,
        "sign" => TensorOp::Sign,
        "abs" => TensorOp::Abs,
        name => {
            let exponent = name.strip_prefix("power^").unwrap();
            Power::new(exponent.parse().unwrap()).into()
        }
    }
}

/// By a part of `size`, or both beyond the largest number, or both next to nothing.
fn is_near(found: f64, expected: f64, size: f64, tolerance: f64) -> bool {
    let is_beyond = |x: f64| x.abs() > 1.79e308;
    found == expected
        || (is_beyond(found) && is_beyond(expected) && found.signum() == expected.signum())
        || (found - expected).abs() <= tolerance * size + 1e-322
}

#[track_caller]
fn assert_near(line: &Line, what: &str, found: Complex64, expected: Complex64) {
    let Line { name, numbers } = line;
    let is_product = what != "value" || name.starts_with("power");
    if is_product && !expected.is_finite() {
        // Beyond the largest number, the direction may be lost in products.
        assert!(!found.is_finite(), "{name} {numbers:?}: {what} {found:?}");
        return;
    }
    // Of these, each part has its digits; of others, the number as a whole.
    let by_part = ["sqrt", "exp", "ln", "sin", "cos", "tanh", "div", "sign"];
    let by_part = by_part.contains(&name.as_str()) && what == "value";
    let tolerance = match name.starts_with("power") {
        true => 1e-14,
        false => 2e-15,
    };
    let size = expected.re.hypot(expected.im);
    let size = if size.is_finite() { size } else { 1e308 };
    let [re, im] = match by_part {
        true => [expected.re.abs(), expected.im.abs()],
        false => [size; 2],
    };
    let near = is_near(found.re, expected.re, re, tolerance)
        && is_near(found.im, expected.im, im, tolerance);
    assert!(
        near,
        "{name} {numbers:?}: {what} {found:?}, right {expected:?}"
    );
}

fn first(tensor: &Tensor) -> Complex64 {
    let parts = crate::support::coordinates(tensor);
    Complex64::new(parts[0], parts.get(1).copied().unwrap_or_default())
}

#[test]
fn complex_functions_hold_over_the_whole_range() {
    for line in lines() {
        let op = op(&line.name);
        let is_binary = matches!(op, TensorOp::Mul | TensorOp::Div);
        let count = if is_binary { 2 } else { 1 };
        let operands: Vec<Tensor> = line.numbers[..count].iter().map(|&z| z.into()).collect();
        let operands: Vec<&Tensor> = operands.iter().collect();
        let found = first(&op.eval(&mut Context::default(), &operands)[0]);
        assert_near(&line, "value", found, line.numbers[count]);
        if is_binary || line.numbers.len() < 3 {
            continue;
        }
        // In reverse, where that of Re f is conj f', and forward.
        let z = line.numbers[0];
        let by_tape = slope([z], |z| z.then(op.clone()).re());
        let f = function([("z", types::complex([1]))], |[z]| [z.then(op.clone())]).unwrap();
        let along = [Tensor::from([z]), Tensor::from([Complex64::ONE])];
        let by_jvp = f.jvp("z").unwrap().compile().call(&along).unwrap();
        let by_jvp = first(by_jvp.last().unwrap());
        assert_near(
            &line,
            "slope by the tape",
            first(&by_tape).conj(),
            line.numbers[2],
        );
        assert_near(&line, "slope by jvp", by_jvp, line.numbers[2]);
    }
}

/// Those of annex G of the C standard.
#[test]
fn complex_numbers_at_the_edges() {
    let z = Complex64::new;
    let one = |z: Complex64| of([z]);
    let is = |found: tidu_tensor::Var<'_>, expected: Complex64| {
        let found = first(found.value());
        let same = |x: f64, y: f64| x == y || (x.is_nan() && y.is_nan());
        let all = same(found.re, expected.re) && same(found.im, expected.im);
        assert!(all, "{found:?}, right {expected:?}");
    };
    is(one(z(800.0, 0.0)).exp(), z(INF, 0.0));
    is(one(z(0.0, 800.0)).cos(), z(INF, 0.0));
    is(one(z(0.0, 800.0)).sin(), z(0.0, INF));
    is(one(z(-INF, INF)).exp(), z(0.0, 0.0));
    is(one(z(INF, 1.0)).tanh(), z(1.0, 0.0));
    is(one(z(-INF, INF)).tanh(), z(-1.0, 0.0));
    is(one(z(INF, INF)).then(TensorOp::SechSquare), z(0.0, 0.0));
    is(one(z(0.0, 0.0)).ln(), z(-INF, 0.0));
    is(one(z(-INF, 1.0)).ln(), z(INF, std::f64::consts::PI));
    is(one(z(NAN, -INF)).sqrt(), z(INF, -INF));
    is(one(z(-INF, 1.0)).sqrt(), z(0.0, INF));
    is(one(z(INF, -1.0)).sqrt(), z(INF, 0.0));
    is(one(z(0.0, 0.0)).sqrt(), z(0.0, 0.0));
    is(one(z(1.0, 1.0)) / one(z(0.0, 0.0)), z(INF, INF));
    is(one(z(INF, 1.0)) / one(z(1.0, 1.0)), z(INF, -INF));
    is(one(z(1.0, 1.0)) / one(z(INF, -INF)), z(0.0, 0.0));
    is(one(z(0.0, INF)) / of([2.0]), z(0.0, INF));
    is(one(z(INF, 0.0)).sign(), z(1.0, 0.0));
    is(one(z(0.0, 0.0)).power(0.0), z(1.0, 0.0));
    is(one(z(0.0, 0.0)).power(2.5), z(0.0, 0.0));
    is(one(z(NAN, 0.0)).power(0.0), z(1.0, 0.0));
    // Infinite slopes, along 1 and back from 1.
    let found = first(&slope([z(800.0, 0.0)], |z| z.exp().re()));
    assert_eq!(found, z(INF, 0.0));
    // The angle, whose slope is (-y, x) / r².
    let at = z(0.57e-169, 1e-169);
    let found = first(&slope([at], |z| z.ln().im()));
    let size = 0.57_f64 * 0.57 + 1.0;
    let right = z(-1.0 / size * 1e169, 0.57 / size * 1e169);
    assert!(
        (found - right).re.hypot((found - right).im) < 1e155,
        "{found} {right}"
    );
    // The slope of |z|, of numbers with squares that are infinite, or 0.
    for scale in [1e-320, 1e-200, 1e200, 1.5e308] {
        let found = first(&slope([z(scale, -scale)], |z| z.abs()));
        let right = z(0.5_f64.sqrt(), -0.5_f64.sqrt());
        assert!((found - right).norm() < 1e-15, "{scale} {found}");
    }
    assert_slope([z(0.0, 0.0)], |z| z.square().re() + z.re(), [z(1.0, 0.0)]);
}
