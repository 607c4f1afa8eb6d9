//! What a tape of tensors can do besides going backward from a number: seeds, tangents, segments, hooks, scopes.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidu::eager::{self, EagerError};
use tidu::laws::Random;
use tidu_tensor::{Expr, Tape, Tensor, Value, Var, function, types};

use tidu_testkit::panic_text;

use crate::support::{Kind, assert_near, coordinates, tensor};

/// (tanh (x·a)∘x, Σ eˣ)
fn both<V: Value>(x: &V, a: &V) -> [V; 2] {
    [x.matmul(a).tanh() * x, x.exp().sum_all()]
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    let [a, b] = [a, b].map(coordinates);
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|(a, b)| a * b).sum()
}

/// ⟨s, J·t⟩ = ⟨Jᵀ·s, t⟩, and J·t is what finite steps say.
#[test]
fn tangents_and_seeds_are_transposed_and_those_of_steps() -> Result<(), Box<dyn Error>> {
    let random = &mut Random::new(7);
    let mut draw = |dims: &[usize]| tensor(random, Kind::Real, dims, -1.0, 1.0);
    let (x, a) = (draw(&[2, 3]), draw(&[3, 3]));
    let (dx, da) = (draw(&[2, 3]), draw(&[3, 3]));
    let seeds = [draw(&[2, 3]), draw(&[])];

    let tape = Tape::new();
    let [x_var, a_var] = tape.vars([x.clone(), a.clone()]);
    let [y, z] = both(&x_var, &a_var);
    let moving = [(&x_var, dx.clone()), (&a_var, da.clone())];
    let found = tape.tangents(&moving, &[&y, &z])?;
    let found: Vec<Tensor> = found.into_iter().flatten().collect();

    let h = 1e-6;
    let [up, down] = [h, -h].map(|h| both(&(&x + &dx * h), &(&a + &da * h)));
    for ((found, up), down) in found.iter().zip(&up).zip(&down) {
        assert_near(found, &((up - down) / (2.0 * h)), 1e-8);
    }

    let [s, t] = seeds;
    let gradients = tape.backward_all(&[(&y, s.clone()), (&z, t.clone())])?;
    let slopes = gradients.wrt(&[&x_var, &a_var])?;
    let forward = dot(&s, &found[0]) + dot(&t, &found[1]);
    let backward = dot(&slopes[0], &dx) + dot(&slopes[1], &da);
    assert!((forward - backward).abs() < 1e-13, "{forward} {backward}");

    // By one variable alone: Σ eˣ does not depend on a.
    let by_a = tape.tangents(&[(&a_var, da)], &[&y, &z])?;
    assert!(by_a[0].is_some());
    assert_eq!(by_a[1], None);
    let by_z = tape.backward_all(&[(&z, t.clone())])?;
    assert_eq!(by_z.get(&a_var)?, None);
    let zero = Tensor::full(&[3, 3], 0.0);
    assert_eq!(by_z.wrt(&[&a_var, &x_var])?, [zero, x.exp() * t]);
    Ok(())
}

/// x³ with the seed v: g = 3·x²·v, whose derivatives by x and by v are 6·x·v and 3·x².
#[test]
fn recorded_gradients_depend_on_their_seeds() -> Result<(), Box<dyn Error>> {
    let tape = Tape::new();
    let [x, v, none] = tape.vars([[2.0, -1.0].into(), [0.5, 4.0].into(), 7.0.into()]);
    let cube = x.square() * &x;
    let found = tape.backward_recorded(&[(&cube, &v)], &[&x, &none])?;
    let slope = found[0].as_ref().unwrap();
    assert_eq!(slope.value(), &Tensor::from([6.0, 12.0]));
    assert!(found[1].is_none());
    let by_none = cube.gradient(&[&none])?.remove(0);
    assert_eq!(by_none.value(), &Tensor::from(0.0));
    let weights = Tensor::from([1.0, 10.0]);
    let second = tape.backward_all(&[(slope, weights)])?;
    assert_eq!(second.get(&x)?, Some(&Tensor::from([6.0, -240.0])));
    assert_eq!(second.get(&v)?, Some(&Tensor::from([12.0, 30.0])));
    Ok(())
}

#[test]
fn seeds_and_tangents_are_of_the_type_of_their_values() {
    let tape = Tape::new();
    let (x, i) = (tape.var([1.0, 2.0]), tape.var([0_i64, 1]));
    let y = x.square();
    let one = Var::from(1.0);
    for (found, expected) in [
        (
            tape.backward_all(&[(&y, [1.0, 1.0].into()), (&y, 1.0.into())])
                .err(),
            "seed 1 must be f64[2], as what it is for is, found f64",
        ),
        (
            tape.backward_recorded(&[(&y, &one)], &[&x]).err(),
            "seed 0 must be f64[2], as what it is for is, found f64",
        ),
        (
            tape.tangents(&[(&x, [[1.0, 1.0]].into())], &[&y]).err(),
            "tangent 0 must be f64[2], as what it is for is, found f64[1, 2]",
        ),
        (
            tape.tangents(&[(&i, [1_i64, 1].into())], &[&y]).err(),
            "input 0 is of type i64[2], which has no derivatives",
        ),
        (
            tape.tangents(&[(&one, 1.0.into())], &[&y]).err(),
            "input 0 is a constant, to which no gradient flows: it was not computed of variables that a tape made to be \
             differentiated by, or it was cut off by `detach` or `no_grad`",
        ),
        (
            tape.backward_all(&[(&i, [1.0, 1.0].into())]).err(),
            "output 0 is of type i64[2], which has no derivatives",
        ),
    ] {
        assert_eq!(found.unwrap().to_string(), expected);
    }
}

/// Σ x₂₀, where xₖ = tanh (xₖ₋₁·W)
fn layers<V: Value>(x: &V, weights: &Tensor) -> V {
    let layers = (0..20).fold(x.clone(), |x, _| x.matmul(&weights.clone().into()).tanh());
    layers.sum_all()
}

/// A segment keeps nothing, runs once more on the way back, and has the same gradient to the bit.
#[test]
fn segments_run_again_on_the_way_back() -> Result<(), Box<dyn Error>> {
    let weights = Tensor::from([[0.5, -0.25], [1.0, 0.75]]);
    let runs = Arc::new(AtomicUsize::new(0));
    let tape = Tape::new();
    let x = tape.var([0.4, -0.9]);
    let (held, count) = (weights.clone(), Arc::clone(&runs));
    let y = tape.checkpoint(&[&x], move |x| {
        count.fetch_add(1, Ordering::Relaxed);
        vec![layers(&x[0], &held)]
    })?;
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    let found = y[0].backward()?.wrt(&[&x])?;
    assert_eq!(runs.load(Ordering::Relaxed), 2);

    let plain = Tape::new();
    let x = plain.var([0.4, -0.9]);
    let z = layers(&x, &weights);
    assert_eq!(z.value(), y[0].value());
    assert_eq!(z.backward()?.wrt(&[&x])?, found);

    // The chain rule in plain numbers: gₖ₋₁ = W·((1 - xₖ²)∘gₖ).
    let w = [[0.5, -0.25], [1.0, 0.75]];
    let mut states = vec![[0.4, -0.9]];
    for _ in 0..20 {
        let x = states[states.len() - 1];
        states.push([0, 1].map(|j| f64::tanh(x[0] * w[0][j] + x[1] * w[1][j])));
    }
    let mut g = [1.0, 1.0];
    for x in states[1..].iter().rev() {
        let inner = [0, 1].map(|j: usize| (1.0 - x[j] * x[j]) * g[j]);
        g = [0, 1].map(|i: usize| w[i][0] * inner[0] + w[i][1] * inner[1]);
    }
    assert_near(&found[0], &g.into(), 1e-14);

    let foreign = plain.checkpoint(&[&tape.var(1.0)], |x| x.to_vec());
    assert!(matches!(foreign, Err(EagerError::ForeignVar { .. })));
    Ok(())
}

/// xₙ = x₀·Aⁿ, so the gradient of ⟨c, xₙ⟩ is c·(Aᵀ)ⁿ by x₀, and Σₖ xₖᵀ·(c·(Aᵀ)ⁿ⁻¹⁻ᵏ) by A.
#[test]
fn repeated_steps_have_the_gradient_of_powers() -> Result<(), Box<dyn Error>> {
    let a = Tensor::from([[0.5, -0.25], [1.0, 0.75]]);
    let start = Tensor::from([1.0, -2.0]);
    let c = Tensor::from([3.0, 0.5]);
    for steps in [0, 1, 7, 50] {
        let tape = Tape::new();
        let [x, matrix] = tape.vars([start.clone(), a.clone()]);
        let end = tape.iterate(steps, &[&x, &matrix], |state, _| {
            vec![state[0].matmul(&state[1]), state[1].clone()]
        })?;
        let mut states = vec![start.clone()];
        let mut cotangents = vec![c.clone()];
        for at in 0..steps {
            states.push(states[at].matmul(&a));
            cotangents.push(cotangents[at].matmul(&a.t()));
        }
        assert_eq!(end[0].value(), &states[steps]);
        let found = tape.backward_all(&[(&end[0], c.clone())])?;
        assert_near(&found.wrt(&[&x])?[0], &cotangents[steps], 1e-13);
        let terms = (0..steps).map(|k| states[k].reshape([2, 1]) * &cotangents[steps - 1 - k]);
        let by_matrix = terms.fold(a.clone() * 0.0, |sum, term| sum + term);
        assert_near(&found.wrt(&[&matrix])?[0], &by_matrix, 1e-13);
    }
    // Steps are told which they are: 5!·x.
    let tape = Tape::new();
    let x = tape.var([1.0]);
    let end = tape.iterate(5, &[&x], |x, at| vec![x[0].clone() * (at as f64 + 1.0)])?;
    assert_eq!(end[0].value(), &Tensor::from([120.0]));
    assert_eq!(end[0].backward()?.wrt(&[&x])?, [Tensor::from([120.0])]);
    let wrong = tape.iterate(3, &[&x], |state, _| vec![state[0].clone(); 2]);
    assert!(matches!(
        wrong,
        Err(EagerError::WrongStateCount {
            expected: 1,
            found: 2,
        })
    ));
    // What stood on the tape stands there still.
    assert_eq!(
        x.square().sum_all().backward()?.wrt(&[&x])?,
        [Tensor::from([2.0])]
    );
    Ok(())
}

#[test]
fn hooks_see_gradients_and_take_their_place() -> Result<(), Box<dyn Error>> {
    let tape = Tape::new();
    let x = tape.var([3.0, 0.25]);
    let y = x.clone() * 2.0;
    let (send, seen) = std::sync::mpsc::channel();
    y.hook(move |gradient| {
        send.send(gradient.clone()).unwrap();
        Some(gradient.minimum(&1.0.into()))
    })?;
    let z = y.square().sum_all();
    assert_eq!(z.backward()?.get(&x)?, Some(&Tensor::from([2.0, 2.0])));
    assert_eq!(seen.recv()?, Tensor::from([12.0, 1.0]));
    // Recorded, it may be used, and not be differentiated any further.
    let slope = z.gradient(&[&x])?.remove(0);
    assert_eq!(slope.value(), &Tensor::from([2.0, 2.0]));
    let error = slope.sum_all().backward().unwrap_err().to_string();
    assert!(
        error.contains("tapes.rs") && error.contains("`hook_recorded`"),
        "{error}"
    );

    // tanh of the gradient, 2·x; going back through that, the hook acts once more.
    let tape = Tape::new();
    let x = tape.var([0.4]);
    let y = x.clone() * 1.0;
    y.hook_recorded(|gradient| Some(gradient.tanh()))?;
    let slope = y.square().sum_all().gradient(&[&x])?.remove(0);
    assert_near(slope.value(), &[0.8_f64.tanh()].into(), 1e-15);
    let second = slope.backward()?.wrt(&[&x])?.remove(0);
    assert_near(
        &second,
        &[(2.0 / 0.8_f64.cosh().powi(2)).tanh()].into(),
        1e-15,
    );

    let error = Var::from(1.0).hook(|_| None).unwrap_err();
    assert!(matches!(error, EagerError::ConstantVar { .. }));
    Ok(())
}

/// A gradient of another shape would be added up, or broadcast, to a wrong number.
#[test]
fn hooks_put_nothing_of_another_type_in_the_place_of_a_gradient() -> Result<(), EagerError> {
    for recorded in [false, true] {
        let tape = Tape::new();
        let x = tape.var([3.0, 0.25]);
        if recorded {
            x.hook_recorded(|gradient| Some(gradient.sum_all()))?;
        } else {
            x.hook(|gradient| Some(gradient.sum_all()))?;
        }
        let y = x.square().sum_all();
        let panic = catch_unwind(AssertUnwindSafe(|| y.backward().map(|_| ()))).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        let (start, end) = text.split_once(" puts ").unwrap();
        assert!(
            start.starts_with("the hook added at ") && start.contains("tapes.rs:"),
            "{text}"
        );
        assert_eq!(end, "f64 in the place of a gradient, which is f64[2]");
    }
    Ok(())
}

#[test]
fn scopes_and_pauses_leave_the_tape_as_it_was() -> Result<(), Box<dyn Error>> {
    let tape = Tape::new();
    let x = tape.var([1.0, 2.0]);
    let mut left = None;
    let mut sizes = Vec::new();
    for _ in 0..3 {
        left = Some(tape.scope(|| x.exp())?);
        sizes.push(tape.memory());
    }
    assert_eq!(sizes, [sizes[0]; 3]);
    let stale = Var::try_apply(tidu_tensor::TensorOp::Neg, &[&left.unwrap()]);
    assert!(stale.unwrap_err().to_string().contains("operand 0"));
    let paused = tape.no_grad(|| x.exp());
    assert!(!paused.requires_grad() && x.exp().requires_grad());
    assert!(!x.detach().requires_grad());
    assert_eq!(Var::constant([1.0, 2.0]).value(), x.value());
    assert_eq!(
        tape.vars_of(&[1.0.into(), [2.0].into()])[1].value(),
        &Tensor::from([2.0])
    );

    // The tape behind the operators.
    tape.with(|tape| tape.watch(|x| x.item().is_some_and(f64::is_nan).then(|| "NaN".into())));
    let error = Var::try_apply(tidu_tensor::TensorOp::Ln, &[&tape.var(-1.0)]).unwrap_err();
    assert!(error.to_string().starts_with("result 0 of ln"), "{error}");
    tape.with(eager::Tape::unwatch);
    let lent = panic_text(|| tape.with(|_| x.exp()));
    assert!(lent.contains("lent to the body of `Tape::with`"), "{lent}");
    let product =
        tape.with(|eager| eager.apply_one(tidu_tensor::TensorOp::Mul, &[x.eager(), x.eager()]))?;
    let product = tape.adopt(product).sum_all();
    assert_eq!(product.backward()?.wrt(&[&x])?, [Tensor::from([2.0, 4.0])]);
    Ok(())
}

/// Of |X·w - y|²/n it is 2·Xᵀ·(X·w - y)/n.
#[test]
fn values_and_gradients_are_those_of_least_squares() -> Result<(), Box<dyn Error>> {
    let x = [[1.0, 2.0], [3.0, -1.0], [0.5, 0.25]];
    let (y, w) = ([1.0, 0.0, 2.0], [0.7, -0.3]);
    let misses = [0, 1, 2].map(|row: usize| x[row][0] * w[0] + x[row][1] * w[1] - y[row]);
    let value: f64 = misses.iter().map(|miss| miss * miss / 3.0).sum();
    let slope: [f64; 2] =
        [0, 1].map(|at: usize| (0..3).map(|row| 2.0 * x[row][at] * misses[row] / 3.0).sum());

    let mut tape = Tape::new();
    let parameters = [Tensor::from(w), Tensor::from([5.0, 6.0])];
    let [x, y] = [Tensor::from(x), Tensor::from(y)].map(Var::from);
    for _ in 0..2 {
        let (found, slopes) =
            tape.value_and_grad(|p| (x.matmul(&p[0]) - &y).square().mean_all(), &parameters)?;
        assert!((found.item().unwrap() - value).abs() < 1e-15);
        assert_near(&slopes[0], &Tensor::from(slope), 1e-15);
        assert_eq!(slopes[1], Tensor::from([0.0, 0.0]));
    }
    let (found, slopes) = tape.value_and_grad(|_| 2.5.into(), &parameters)?;
    assert_eq!(
        (found, slopes),
        (2.5.into(), vec![Tensor::from([0.0, 0.0]); 2])
    );

    let error = tape
        .value_and_grad(|p| p[0].square(), &parameters)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a gradient is of a single number, and the function returns f64[2]: sum it up (`sum_all`, `mean_all`), or \
         say how much each number counts (`Tape::backward_all`)"
    );
    let error = tape.value_and_grad(|p| p[0].to_real().sum_all(), &[Tensor::from([1, 2])]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "input 0 is of type i64[2], which has no derivatives"
    );
    Ok(())
}

/// A function applied on a tape is one call of it, inside a step also.
#[test]
fn functions_are_applied_as_one_call() -> Result<(), Box<dyn Error>> {
    let step = function([("x", types::real([2]))], |[x]| {
        [x.sin() + Expr::from(&x) * 0.5]
    })?;
    let tape = Tape::new();
    let x = tape.var([0.3, -1.0]);
    let y = tape.apply_function(&step, &[&x])?;
    let found = y[0].sum_all().backward()?.wrt(&[&x])?;
    let expected = [0.3_f64.cos() + 0.5, 1.0_f64.cos() + 0.5];
    assert_near(&found[0], &expected.into(), 1e-15);
    Ok(())
}
