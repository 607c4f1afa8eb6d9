//! Plain tensors: operators and methods compute what variables and functions compute, to the bit.

use std::error::Error;

use num_complex::Complex64;
use tidu_tensor::{Tape, Tensor, TriangularSolve, Value, Var, Window, function, model};
use tidu_testkit::panic_text;

/// The type and the bits.
fn bits(x: &Tensor) -> (String, Vec<u64>) {
    let bits = match x {
        Tensor::Real(array) => array.iter().map(|x| x.to_bits()).collect(),
        Tensor::Complex(array) => array
            .iter()
            .flat_map(|z| [z.re.to_bits(), z.im.to_bits()])
            .collect(),
        Tensor::Index(array) => array.iter().map(|&at| at.cast_unsigned()).collect(),
    };
    (x.value_type().to_string(), bits)
}

/// Every method, of x: f64[2, 3], y: f64[3], a: f64[3, 3], i: i64[2], z: c128[3].
fn all<V: Value>([x, y, a, i, z]: [&V; 5]) -> Vec<V> {
    let size = x.abs() + 0.5;
    let symmetric = a.matmul(&a.t()) + V::from(Tensor::from(ndarray::Array2::<f64>::eye(3)));
    let (q, r) = a.qr();
    let (w, v) = symmetric.eigh();
    let (u, s, vh) = a.svd();
    let (sign, log) = a.log_determinant();
    let mut results = vec![q, r, w, v, u, s, vh, sign, log];
    results.extend([
        x.clone() + y,
        x.clone() - y,
        x.clone() * z,
        z.clone() / y,
        -z.clone(),
        x.clone() + 2.0,
        x.clone() - 2.0,
        x.clone() * 3.0,
        x.clone() / 3.0,
        size.sqrt(),
        x.exp(),
        size.ln(),
        size.ln_1p(),
        x.exp_m1(),
        x.sin(),
        z.cos(),
        z.tanh(),
        x.sigmoid(),
        x.relu(),
        x.softplus(),
        z.abs(),
        z.sign(),
        x.square(),
        size.power(-1.5),
        x.maximum(y),
        x.minimum(y),
        x.greater(y),
        x.greater_equal(y),
        x.equal(y),
        x.greater(y).select(x, y),
        x.keep_if(&x.greater(y)),
        x.stop_gradient(),
        i.to_real(),
        z.conj(),
        z.re(),
        z.im(),
        x.complex(y),
    ]);
    results.extend([
        x.sum([0]),
        x.sum_kept([-1]),
        x.sum_all(),
        x.mean([0, 1]),
        x.mean_kept([1]),
        z.mean_all(),
        x.max([1]),
        x.min([0]),
        x.argmax(-1),
        x.logsumexp([1]),
        x.softmax([0]),
        x.log_softmax([1]),
        x.matmul(a),
        x.matmul(y),
        x.einsum("ij,j->ji", y),
        x.reshape([3, 2]),
        x.expand(1),
        x.permute([1, 0]),
        x.t(),
        y.broadcast_to([2, 3]),
        x.slice(1, 1..3),
        x.windows([
            Window::all(2),
            Window {
                start: 0,
                count: 2,
                step: 2,
            },
        ]),
        x.pad([(1, 0), (0, 2)]),
        V::concatenate(&[x, x], 0),
        y.gather(0, i),
        x.scatter_add(0, i, 4),
        i.one_hot(3),
        V::full([2, 2], 0.25),
        symmetric.cholesky(),
        a.determinant(),
        a.cofactors(),
        a.solve(y),
        a.solve(&x.t()),
        a.triangular_solve(TriangularSolve::lower(), y),
        a.inverse(),
        model::dense(x, a, y),
    ]);
    let mut sum = x.clone();
    sum += x.clone();
    sum -= y.clone();
    sum *= y.clone();
    sum /= V::from(7.0);
    results.push(sum);
    results
}

fn operands() -> [Tensor; 5] {
    let z = [
        Complex64::new(0.5, -1.0),
        Complex64::new(0.0, 2.0),
        Complex64::new(-0.25, 0.75),
    ];
    [
        Tensor::from([[0.3, -1.25, 2.0], [0.7, 1.5, -0.4]]),
        Tensor::from([0.3, 1.5, -0.6]),
        Tensor::from([[2.0, 0.3, -0.1], [0.4, 1.5, 0.2], [-0.6, 0.1, 3.0]]),
        Tensor::from([2_i64, 0]),
        Tensor::from(z),
    ]
}

#[test]
fn methods_of_plain_tensors_are_those_of_variables_and_functions() -> Result<(), Box<dyn Error>> {
    let values = operands();
    let plain = all(values.each_ref());

    let constants = values.clone().map(Var::from);
    let constants = all(constants.each_ref());
    let tape = Tape::new();
    let variables = values.clone().map(|value| tape.var(value));
    let variables = all(variables.each_ref());

    let [x, y, a, i, z] = values.each_ref().map(Tensor::value_type);
    let inputs = [("x", x), ("y", y), ("a", a), ("i", i), ("z", z)];
    let f = function(inputs, |inputs| all(inputs.each_ref()))?;
    let called = f.compile().call(&values)?;

    assert_eq!(plain.len(), called.len());
    for (at, plain) in plain.iter().enumerate() {
        let expected = bits(plain);
        assert_eq!(
            bits(constants[at].value()),
            expected,
            "result {at}, of constants"
        );
        assert_eq!(
            bits(variables[at].value()),
            expected,
            "result {at}, on a tape"
        );
        assert_eq!(bits(&called[at]), expected, "result {at}, of a function");
    }
    Ok(())
}

#[test]
fn operators_take_tensors_references_and_numbers() {
    let (x, y) = (
        Tensor::from([[1.0, 2.0], [3.0, 4.0]]),
        Tensor::from([10.0, 20.0]),
    );
    let sum = Tensor::from([[11.0, 22.0], [13.0, 24.0]]);
    assert_eq!(&x + &y, sum);
    assert_eq!(x.clone() + &y, sum);
    assert_eq!(&x + y.clone(), sum);
    assert_eq!(x.clone() + y.clone(), sum);
    assert_eq!(&x - &y, Tensor::from([[-9.0, -18.0], [-7.0, -16.0]]));
    assert_eq!(&y * &x, Tensor::from([[10.0, 40.0], [30.0, 80.0]]));
    assert_eq!(&y / &x, Tensor::from([[10.0, 10.0], [10.0 / 3.0, 5.0]]));
    assert_eq!(-&y, Tensor::from([-10.0, -20.0]));
    assert_eq!(-y.clone(), Tensor::from([-10.0, -20.0]));
    assert_eq!(1.0 - &y, Tensor::from([-9.0, -19.0]));
    assert_eq!(&y - 1.0, Tensor::from([9.0, 19.0]));
    assert_eq!(2.0 / y.clone(), Tensor::from([0.2, 0.1]));
    assert_eq!(y.clone() * 0.5, Tensor::from([5.0, 10.0]));
    let i = Tensor::from(Complex64::I);
    let turned = [Complex64::new(0.0, 10.0), Complex64::new(0.0, 20.0)];
    assert_eq!(&y * &i, Tensor::from(turned));
    let mut turning = Tensor::from(turned);
    turning *= i;
    assert_eq!(turning, Tensor::from([-10.0, -20.0].map(Complex64::from)));
    assert_eq!(format!("{y} {y:?}"), "[10, 20] f64[2] [10, 20]");
    assert_eq!(format!("{:?}", Tensor::from(0.5)), "f64 0.5");
    let none = Tensor::full(&[0, 2], 1.0);
    assert_eq!(&none + &y, none);
}

#[test]
fn assignments_write_over_what_nobody_shares() {
    let at = |x: &Tensor| x.array::<f64>().unwrap().as_ptr();
    let mut x = Tensor::from([[1.0, f64::NAN], [3.0, -0.0]]);
    let (y, place) = (Tensor::from([10.0, -0.0]), at(&x));
    for step in 0..4 {
        let expected = [&x + &y, &x - &y, &x * &y, &x / &y];
        match step {
            0 => x += &y,
            1 => x -= &y,
            2 => x *= &y,
            _ => x /= &y,
        }
        assert_eq!(bits(&x), bits(&expected[step]));
        assert_eq!(at(&x), place);
    }
    x += 1.0;
    x -= Tensor::from(1.0);
    x *= 2.0;
    x /= 2.0;
    assert_eq!(at(&x), place);

    // Another tensor that has the elements keeps them.
    let mut moved = Tensor::from([1.0, 2.0]);
    let kept = moved.clone();
    moved += 1.0;
    assert_eq!(
        [moved, kept],
        [Tensor::from([2.0, 3.0]), Tensor::from([1.0, 2.0])]
    );
    let mut twice = Tensor::from([1.0, 2.0]);
    let same = twice.clone();
    twice *= &same;
    assert_eq!(twice, Tensor::from([1.0, 4.0]));
}

#[test]
fn what_is_assigned_keeps_its_type() {
    let text = |change: fn(&mut Tensor)| {
        let mut x = Tensor::from([1.0, 2.0]);
        let text = panic_text(|| change(&mut x));
        assert_eq!(x, Tensor::from([1.0, 2.0]));
        let (place, text) = text.split_once(": ").unwrap();
        assert!(place.contains("plain.rs:"), "{place}");
        text.to_string()
    };
    assert_eq!(
        text(|x| *x += Tensor::from([[1.0], [2.0]])),
        "add of f64[2] and f64[2, 1] is f64[2, 2], which does not fit in the place of f64[2]: write `x = x + y`, \
         with the operator that is meant, for a result of another type"
    );
    assert_eq!(
        text(|x| *x *= Tensor::from(Complex64::I)),
        "mul of f64[2] and c128 is c128[2], which does not fit in the place of f64[2]: write `x = x + y`, with \
         the operator that is meant, for a result of another type"
    );
    assert_eq!(
        text(|x| *x -= Tensor::from([1.0, 2.0, 3.0])),
        "sub of f64[2] and f64[3]: [2] and [3] do not broadcast: of two sizes that differ, one must be 1"
    );
    assert_eq!(
        text(|x| *x = &*x + Tensor::from([1, 2])),
        "add of f64[2] and i64[2]: operand 1 holds i64, and must hold numbers (`to_real` makes numbers of indices; \
         `1.0` is a number, and `1` an index)"
    );
    assert_eq!(
        text(|x| *x = x.matmul(&Tensor::from([1.0, 2.0, 3.0]))),
        "matmul of f64[2] and f64[3]: the last axis of operand 0 is 2, and the only axis of operand 1 is 3: they \
         must be as long as each other, so [2] takes [2] or [2, n]"
    );
}

/// Down a bowl, pₖ = (1 - rate·curvature)ᵏ·p₀.
#[test]
fn descent_by_arithmetic_is_that_of_a_bowl() -> Result<(), Box<dyn Error>> {
    let (curvature, start, rate) = (Tensor::from([0.5, 2.0]), [3.0, -5.0], 0.125);
    let mut tape = Tape::new();
    let mut parameters = [Tensor::from(start)];
    for _ in 0..20 {
        let bowl = Var::from(curvature.clone());
        let (_, slopes) =
            tape.value_and_grad(|p| (p[0].square() * bowl).sum_all() * 0.5, &parameters)?;
        for (parameter, slope) in parameters.iter_mut().zip(slopes) {
            *parameter -= slope * rate;
        }
    }
    let expected = [start[0] * 0.9375_f64.powi(20), start[1] * 0.75_f64.powi(20)];
    crate::support::assert_near(&parameters[0], &expected.into(), 1e-15);
    Ok(())
}
