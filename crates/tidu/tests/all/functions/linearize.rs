//! Derivatives split at a point, and linear functions transposed.

use tidu::graph::{Exactness, ValueKey};
use tidu::scalar::{Expr, ScalarKey, ScalarOp, function};
use tidu::{
    ADKey, Derive, Function, FunctionError, Linearization, ResidualOrigin, Saving, ValueType, Wrt,
};
use tidu_testkit::on_small_stack;

use crate::support::tame::tame_function;
use crate::support::{Layout, Random, Sketch, assert_close};

type F = Function<ScalarOp>;

/// Derivatives unsimplified, and at every level.
const LEVELS: [Option<Exactness>; 4] = [
    None,
    Some(Exactness::Exact),
    Some(Exactness::FiniteOnly),
    Some(Exactness::RealOnly),
];

fn at<'a>(derive: Derive<'a, ScalarOp>, level: Option<Exactness>) -> Derive<'a, ScalarOp> {
    match level {
        None => derive.unsimplified(),
        Some(level) => derive.simplify(level),
    }
}

fn call(f: &F, x: &[f64]) -> Vec<f64> {
    f.compile().call(x).unwrap()
}

/// (x, ẋ) ↦ (f(x), J(x)·ẋ), put together again of the two parts; or, of the transpose of the second,
/// (x, ȳ) ↦ (f(x), J(x)ᵀ·ȳ).
pub fn recombined(split: &Linearization<ScalarOp>, transposed: bool) -> F {
    let tangents = split.linear.input_keys();
    let tangents: Vec<ScalarKey> = tangents.into_iter().filter(ScalarKey::is_tangent).collect();
    let count = split.linear.input_keys().len() - tangents.len();
    let linear = match transposed {
        false => split.linear.clone(),
        true => {
            let names: Vec<String> = tangents.iter().map(ScalarKey::to_string).collect();
            split.linear.transpose(Wrt::Named(names)).unwrap()
        }
    };
    let x = split.primal.input_keys();
    let as_inputs = |keys: &[ScalarKey]| -> Vec<ValueKey<ScalarOp>> {
        keys.iter().cloned().map(ValueKey::Input).collect()
    };
    let mut values = split.primal.apply(&as_inputs(&x)).unwrap();
    let mut arguments = values.split_off(values.len() - count);
    let own = &linear.input_keys()[count..];
    arguments.extend(as_inputs(own));
    values.extend(linear.apply(&arguments).unwrap());
    let names = (0..values.len()).map(|at| format!("out{at}"));
    F::from_keys(
        &[&x[..], own].concat(),
        values.into_iter().zip(names).collect(),
    )
    .unwrap()
}

struct Case {
    f: F,
    sketch: Sketch<ScalarOp>,
    x: Vec<f64>,
    t: Vec<f64>,
    c: Vec<f64>,
    wrt: Vec<usize>,
}

/// A random function of three inputs and three outputs, with a point, tangents of some of its inputs
/// and cotangents.
fn case(random: &mut Random) -> Case {
    let x: Vec<f64> = (0..3).map(|_| 1.5 * random.unit()).collect();
    let mut choice = || random.bits() as u16;
    let steps = 1 + usize::from(choice()) % 18;
    let choices: Vec<_> = (0..steps)
        .map(|_| (usize::from(choice()), choice(), choice()))
        .collect();
    let outputs: Vec<u16> = (0..3).map(|_| choice()).collect();
    let sketch = tame_function(&x, &choices, &outputs);
    let (graphs, keys) = sketch.graphs(&Layout::single());
    let outputs: Vec<_> = sketch.outputs.iter().map(|&id| keys[id].clone()).collect();
    let f = F::from_graphs(graphs, &sketch.inputs, &outputs).unwrap();
    let mut wrt = vec![2, 0, 1];
    wrt.truncate(1 + random.below(3));
    let mut numbers = |count: usize| (0..count).map(|_| 2.0 * random.unit()).collect();
    Case {
        t: numbers(wrt.len()),
        c: numbers(3),
        f,
        sketch,
        x,
        wrt,
    }
}

impl Case {
    /// The tangents of all inputs.
    fn tangents(&self) -> Vec<f64> {
        let mut all = vec![0.0; 3];
        self.wrt
            .iter()
            .zip(&self.t)
            .for_each(|(&at, t)| all[at] = *t);
        all
    }

    /// Jᵀ·c, for the inputs chosen, by dual numbers.
    fn cotangents(&self) -> Vec<f64> {
        let all = self.sketch.dual_vjp(&self.x, &self.c);
        self.wrt.iter().map(|&at| all[at]).collect()
    }
}

/// The parts, their recombination, the transpose and its transpose, all against dual numbers.
#[test]
fn splits_and_transposes_of_random_functions() {
    let random = &mut Random(0x6c69_6e65_6172);
    let mut zeros = 0;
    for _ in 0..250 {
        let case = case(random);
        let jvp = case.sketch.dual_jvp(&case.x, &case.tangents());
        let value = case.sketch.value_at(&case.x);
        for level in LEVELS {
            let split = at(case.f.within(&mut ()), level).linearize(&case.wrt[..]);
            let split = split.unwrap();
            let mut primal = call(&split.primal, &case.x);
            let residuals = primal.split_off(3);
            assert_close(&primal, &value);
            let with = |t: &[f64]| [&residuals[..], t].concat();
            let found = call(&split.linear, &with(&case.t));
            assert_close(&found, &jvp);
            zeros += found.iter().filter(|t| **t == 0.0).count();

            let tangents: Vec<usize> =
                (residuals.len()..residuals.len() + case.wrt.len()).collect();
            let back = at(split.linear.within(&mut ()), level).transpose(&tangents[..]);
            let back =
                back.unwrap_or_else(|e| panic!("{level:?} {e}\n{}\n{}", case.f, split.linear));
            let cotangents = call(&back, &with(&case.c));
            assert_close(&cotangents, &case.cotangents());
            // ⟨c, J·t⟩ = ⟨Jᵀ·c, t⟩
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            assert_close(&[dot(&case.c, &found)], &[dot(&cotangents, &case.t)]);

            let seeds: Vec<usize> = (residuals.len()..residuals.len() + 3).collect();
            let there = at(back.within(&mut ()), level)
                .transpose(&seeds[..])
                .unwrap();
            assert_close(&call(&there, &with(&case.t)), &jvp);

            let xt = [&case.x[..], &case.t].concat();
            let expected = [&value[..], &jvp].concat();
            assert_close(&call(&recombined(&split, false), &xt), &expected);
            let xc = [&case.x[..], &case.c].concat();
            let expected = [&value[..], &case.cotangents()].concat();
            assert_close(&call(&recombined(&split, true), &xc), &expected);
        }
    }
    assert!(zeros > 100, "{zeros} outputs that do not depend");
}

/// What is put together again is a function like any other: ∂²f[t, u] of it.
#[test]
fn recombined_parts_are_differentiated() {
    let random = &mut Random(0x61_6761_696e);
    for _ in 0..150 {
        let mut case = case(random);
        case.wrt = vec![0, 1, 2];
        let [t, u] = [0, 1].map(|_| (0..3).map(|_| random.unit()).collect::<Vec<_>>());
        let split = case.f.linearize(..).unwrap();
        let jvp = recombined(&split, false);
        let second = jvp.jvp([0, 1, 2]).unwrap();
        let found = call(&second, &[&case.x[..], &t, &u].concat());
        let expected = case.sketch.dual_second(&case.x, &t, &u);
        assert_close(&found[9..], &expected);

        // By x of the cotangents: (Σₖ cₖ·∂²fₖ)·u.
        let vjp = recombined(&split, true);
        let second = vjp.linearize([0, 1, 2]).unwrap();
        let second = recombined(&second, false);
        let found = call(&second, &[&case.x[..], &case.c, &u].concat());
        let expected = case.sketch.dual_hvp(&case.x, &case.c, &u);
        assert_close(&found[9..], &expected);
    }
}

/// A linear map is its own derivative: nothing of the tangents need be known to apply it.
#[test]
fn of_a_linear_map() {
    let random = &mut Random(0x0074_7769_6365);
    for _ in 0..60 {
        let case = case(random);
        let split = case.f.linearize(&case.wrt[..]).unwrap();
        let residuals = split.linear.input_keys().len() - case.wrt.len();
        let tangents: Vec<usize> = (residuals..residuals + case.wrt.len()).collect();
        let again = split.linear.linearize(&tangents[..]).unwrap();
        let r = &call(&split.primal, &case.x)[3..];
        let at_another = [r, &vec![9.0; case.wrt.len()]].concat();
        let r_again = &call(&again.primal, &at_another)[3..];
        let found = call(&again.linear, &[r_again, &case.t].concat());
        assert_close(&found, &case.sketch.dual_jvp(&case.x, &case.tangents()));
        let taken = again.primal.as_graph().operations().len();
        assert!(taken <= split.linear.as_graph().operations().len());
        assert!(
            r_again.len() <= residuals,
            "{}\n{}",
            split.linear,
            again.linear
        );
    }
}

/// By hand, which values of x its linear map needs.
#[test]
fn no_more_is_saved_than_needed() {
    let residuals = |body: fn(Expr, Expr) -> Expr| -> Vec<String> {
        let f = function(["x", "y"], |[x, y]| [body(x, y)]).unwrap();
        let split = f.linearize(..).unwrap();
        let values = split.primal.as_graph();
        let saved = values.outputs()[1..].iter().map(|&id| {
            let value = &values.values()[id];
            match value.producer {
                None => format!("%{id}"),
                Some((operation, _)) => format!("{:?}", values.operations()[operation].operation),
            }
        });
        let count = split.linear.input_names().len() - 2;
        let saved: Vec<String> = saved.collect();
        assert_eq!(saved.len(), count);
        saved
    };
    let none: [&str; 0] = [];
    assert_eq!(residuals(|x, y| x + y), none);
    assert_eq!(residuals(|x, y| 3.0 * (x - 2.0) / 4.0 + -y), none);
    assert_eq!(residuals(|x, _| x.exp()), ["Exp"]);
    assert_eq!(residuals(|x, _| x.ln()), ["%0"]);
    assert_eq!(residuals(|x, _| x.sin()), ["Cos"]);
    assert_eq!(residuals(|x, _| x.cos()), ["Sin"]);
    assert_eq!(residuals(|x, _| &x * &x), ["%0"]);
    assert_eq!(residuals(|x, y| x.stop_gradient() * y), ["StopGradient"]);
    let mut both = residuals(|x, y| x * y);
    both.sort();
    assert_eq!(both, ["%0", "%1"]);
    // (ẋ - q·ẏ) / y
    let mut quotient = residuals(|x, y| x / y);
    quotient.sort();
    assert_eq!(quotient, ["%1", "Div"]);
    // One value, though two rules need it.
    assert_eq!(
        residuals(|x, y| x.exp() + (&x * y.stop_gradient()) * 0.0 + x.exp()).len(),
        2
    );
}

#[test]
fn names_of_the_parts() {
    let f = function(["x", "y", "z"], |[x, y, z]| [&x * &y, z.exp() * &x, y]).unwrap();
    let split = f.linearize(["z", "x"]).unwrap();
    assert_eq!(split.primal.input_names(), ["x", "y", "z"]);
    assert_eq!(
        split.primal.output_names(),
        ["out0", "out1", "out2", "r0", "r1", "r2"]
    );
    assert_eq!(
        split.linear.input_names(),
        ["r0.d0.z", "r1.d0.z", "r2.d0.z", "d0.z", "d0.x"]
    );
    assert_eq!(split.linear.output_names(), ["d.out0", "d.out1", "d.out2"]);
    let back = split.linear.transpose(["d0.x", "d0.z"]).unwrap();
    assert_eq!(
        back.input_names(),
        [
            "r0.d0.z", "r1.d0.z", "r2.d0.z", "ct0.d0.x", "ct1.d0.x", "ct2.d0.x"
        ]
    );
    assert_eq!(back.output_names(), ["ct.d0.x", "ct.d0.z"]);
    // All of it reads back.
    for part in [split.primal, split.linear, back] {
        let read: F = part.to_string().parse().unwrap();
        assert_eq!(read.to_string(), part.to_string());
        assert_eq!(read.input_keys(), part.input_keys());
    }
}

#[test]
fn by_name_by_position_and_in_any_order() {
    let f = function(["a", "s", "t"], |[a, s, t]| [&a * &s - &t / &a, 3.0 * t]).unwrap();
    // At a = 2: (2s - t/2, 3t); backward (2c₀, 3c₁ - c₀/2).
    let all: [(Wrt, [f64; 2]); 4] = [
        (["s", "t"].into(), [20.0, -2.0]),
        (["t", "s"].into(), [-2.0, 20.0]),
        ([1, 2].into(), [20.0, -2.0]),
        ([2, 1].into(), [-2.0, 20.0]),
    ];
    for (wrt, expected) in all {
        let back = f.transpose(wrt).unwrap();
        assert_eq!(call(&back, &[2.0, 10.0, 1.0]), expected);
        // And forward again.
        let there = back.transpose([1, 2]).unwrap();
        let t = if expected[0] == 20.0 {
            [5.0, 7.0]
        } else {
            [7.0, 5.0]
        };
        assert_eq!(call(&there, &[2.0, t[0], t[1]]), [6.5, 21.0]);
    }
}

#[test]
fn outputs_that_are_inputs_zeros_and_the_same() {
    let f = function(["t", "u"], |[t, u]| {
        [t.clone(), Expr::constant(0.0), &t - &u, t, u]
    });
    let f = f.unwrap();
    let back = f.transpose(..).unwrap();
    // c₀ + c₂ + c₃, c₄ - c₂
    let c = [1.0, 10.0, 100.0, 1000.0, 10_000.0];
    assert_eq!(call(&back, &c), [1101.0, 9900.0]);
    // An input that nothing depends on.
    let f = function(["t", "u"], |[t, _]| [2.0 * t]).unwrap();
    assert_eq!(call(&f.transpose(..).unwrap(), &[3.0]), [6.0, 0.0]);
    // Nothing but zeros, and no output at all.
    let f = function(["t"], |[_]| [Expr::constant(0.0)]).unwrap();
    assert_eq!(call(&f.transpose("t").unwrap(), &[3.0]), [0.0]);
    let f = f.select_at(&[]).unwrap();
    assert_eq!(call(&f.transpose("t").unwrap(), &[]), [0.0]);
    // Zero, after all.
    let f = function(["t", "a"], |[t, a]| [t, 0.0 * Expr::constant(3.0), &a - &a]).unwrap();
    assert!(f.select_at(&[0, 1]).unwrap().transpose("t").is_ok());
}

#[test]
fn what_is_not_linear_is_refused() {
    let refused = |wrt: &[&str], body: fn(Expr, Expr) -> Expr| -> String {
        let f = function(["s", "t"], |[s, t]| [body(s, t)]).unwrap();
        let error = f.transpose(wrt).unwrap_err();
        assert!(matches!(error, FunctionError::NotLinear { .. }), "{error}");
        let text = error.to_string();
        assert_eq!(text.lines().count(), 1);
        let start = format!("the function is not linear in {}: ", wrt.join(", "));
        text.strip_prefix(&start)
            .unwrap_or_else(|| panic!("{text}"))
            .to_owned()
    };
    let in_op = |op: &str, id: usize| {
        format!("{op} (%{id}) is not linear in those of its operands that depend on them")
    };
    assert_eq!(refused(&["t"], |_, t| &t * &t), in_op("mul", 2));
    assert_eq!(refused(&["t"], |_, t| t.exp()), in_op("exp", 2));
    assert_eq!(refused(&["t"], |_, t| t.ln()), in_op("ln", 2));
    assert_eq!(refused(&["t"], |_, t| t.sin_cos().1), in_op("sin_cos", 2));
    assert_eq!(
        refused(&["t"], |_, t| t.stop_gradient()),
        in_op("stop_gradient", 2)
    );
    assert_eq!(refused(&["s", "t"], |s, t| s * t), in_op("mul", 2));
    assert_eq!(refused(&["t"], |s, t| s / t), in_op("div", 2));
    assert_eq!(refused(&["s", "t"], |s, t| s / t), in_op("div", 2));
    assert_eq!(refused(&["t"], |_, t| t + 1.0), in_op("add", 3));
    assert_eq!(refused(&["t"], |s, t| s - t), in_op("sub", 2));
    let constant = "output out0 does not depend on them, and is not a zero";
    assert_eq!(refused(&["t"], |_, _| Expr::constant(1.0)), constant);
    assert_eq!(refused(&["t"], |s, _| s), constant);
    assert_eq!(refused(&["t"], |s, _| s.exp()), constant);
    // Bilinear in both, linear in each.
    let f = function(["s", "t"], |[s, t]| [s * t]).unwrap();
    assert!(f.transpose("s").is_ok() && f.transpose("t").is_ok());
    // The other errors are those of every transform.
    assert!(matches!(
        f.transpose("q").unwrap_err(),
        FunctionError::UnknownInput { .. }
    ));
    assert!(matches!(
        f.transpose(["s", "s"]).unwrap_err(),
        FunctionError::RepeatedInput { .. }
    ));
    let none: [usize; 0] = [];
    assert_eq!(f.transpose(none).unwrap_err(), FunctionError::NoInputs);
    assert_eq!(f.linearize(none).unwrap_err(), FunctionError::NoInputs);
}

/// A function that has the name of a seed among its inputs cannot be given that seed.
#[test]
fn names_that_are_taken() {
    let t = ScalarKey::from("t");
    let f = F::build([t.clone(), t.cotangent_of(0)], |b, x| {
        tidu_testkit::apply(b, ScalarOp::Mul, x)
    });
    let error = f.unwrap().transpose("t").unwrap_err();
    let name = "ct0.t".into();
    assert_eq!(error, FunctionError::RepeatedInput { name });
    // One that has the names of tangents and residuals can be linearized.
    let d = t.tangent_of(0);
    let keys = [t.clone(), d.clone(), d.residual_of(0)];
    let f = F::build(keys, |b, x| {
        let product = tidu_testkit::apply(b, ScalarOp::Mul, &x[..2])[0];
        tidu_testkit::apply(b, ScalarOp::Mul, &[product, x[2]])
    });
    let f = f.unwrap();
    for wrt in [Wrt::from("t"), 2.into(), [1, 0].into(), (..).into()] {
        let split = f.linearize(wrt).unwrap();
        let count = split.linear.input_keys().len() - (split.primal.output_names().len() - 1);
        let mut x = call(&split.primal, &[2.0, 3.0, 5.0]).split_off(1);
        x.extend(vec![1.0; count]);
        let expected = match count {
            1 if split.linear.input_names()[x.len() - 1].ends_with("r0.d0.t") => 6.0,
            1 => 15.0,
            2 => 25.0,
            _ => 31.0,
        };
        assert_eq!(call(&split.linear, &x), [expected]);
    }
}

/// Thousands of outputs that are zero: looked at all at once.
#[test]
fn many_zeros() {
    on_small_stack(|| {
        let zeros = 20_000;
        let f = function(["t"], |[t]| {
            let chain = (0..20_000).fold(t, |t, _| -t);
            let zeros = std::iter::repeat_n(Expr::constant(0.0), zeros);
            zeros.chain([chain]).collect::<Vec<_>>()
        });
        let back = f.unwrap().transpose("t").unwrap();
        let mut c = vec![1.0; zeros];
        c.push(3.0);
        assert_eq!(call(&back, &c), [3.0]);
    });
}

/// Whatever is saved, what remains is the derivative; what is an input or output of the function is told to be one.
#[test]
fn what_is_saved_makes_no_difference() {
    let f = function(["x", "y"], |[x, y]| {
        let product = &x * &y;
        [
            product.clone(),
            product.sin() * x.exp(),
            y.floor() * &product,
        ]
    });
    let f = f.unwrap();
    let (point, direction) = ([0.3, 1.7], [0.9, -0.4]);
    let expected = call(&f.jvp(..).unwrap(), &[point, direction].concat());
    let only_sines = |op: &ScalarOp, _: Option<&ValueType>| *op == ScalarOp::Sin;
    for (saving, computed) in [
        (Saving::Everything, true),
        (Saving::Inputs, false),
        (Saving::If(&only_sines), true),
    ] {
        let split = f.within(&mut ()).saving(saving).linearize(..).unwrap();
        let mut found = call(&split.primal, &point);
        let residuals = found.split_off(3);
        assert_eq!(residuals.len(), split.residuals.len());
        for (residual, origin) in residuals.iter().zip(&split.residuals) {
            match *origin {
                ResidualOrigin::Input(at) => assert_eq!(*residual, point[at]),
                ResidualOrigin::Output(at) => assert_eq!(*residual, found[at]),
                ResidualOrigin::Computed => assert!(computed),
            }
        }
        let has = |origin| split.residuals.contains(&origin);
        assert_eq!(has(ResidualOrigin::Computed), computed);
        assert!(has(ResidualOrigin::Input(0)) && has(ResidualOrigin::Input(1)));
        if let Saving::Everything = saving {
            assert!(has(ResidualOrigin::Output(0)) || has(ResidualOrigin::Computed));
        }
        let tangents = call(&split.linear, &[&residuals[..], &direction].concat());
        assert_eq!([found, tangents].concat(), expected);
        // Going backward: ⟨ȳ, J·ẋ⟩ = ⟨Jᵀ·ȳ, ẋ⟩
        let pullback = f.within(&mut ()).saving(saving).pullback(..).unwrap();
        let mut values = call(&pullback.primal, &point);
        let mut inputs = values.split_off(3);
        let seeds = [0.7, -1.1, 0.2];
        inputs.extend(seeds);
        let cotangents = call(&pullback.pullback.function, &inputs);
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let difference = dot(&seeds, &expected[3..]) - dot(&cotangents, &direction);
        assert!(difference.abs() < 1e-14, "{difference}");
    }
}
