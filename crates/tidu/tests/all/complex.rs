//! Complex operands: forward mode is the full real-linear derivative, transposition is with respect to
//! ⟨a, b⟩ = Re(conj(a)·b), and a real loss with seed 1 gives 2·∂L/∂conj(z).
//!
//! The key type names cotangent seeds as the trait's default does.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[cfg(feature = "laws")]
mod laws;

use num_complex::Complex64;
use tidu::graph::{EvaluableGraphOperation, GraphOperation, LocalValueId, OperationRole, ValueKey};
use tidu::{
    ADKey, DiffPassId, Primitive, PrimitiveBuilder, PrimitiveValue,
    RuleOperand::{Active, Fixed},
};

use crate::support::{Operand, Problem, Random, Sketch, TestKey, TestOp, eager_gradient, inner};

const I: Complex64 = Complex64::new(0.0, 1.0);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    /// By the bits of its parts.
    Constant(u64, u64),
    Add,
    Mul,
    /// The product again, whose transpose rule is wrong: it forgets to conjugate.
    CarelessMul,
    /// The product again, whose transpose rule says something of the inactive operand, too.
    GenerousMul,
    Neg,
    Conj,
    Exp,
    /// exp(-z). Its JVP rule works out the slope anew and multiplies generously.
    ExpNeg,
    /// The real part, as a complex number.
    Re,
    /// The imaginary part, as a complex number.
    Im,
}

impl Op {
    fn constant(value: Complex64) -> Self {
        Op::Constant(value.re.to_bits(), value.im.to_bits())
    }
}

impl GraphOperation for Op {
    type Operand = Complex64;
    type Context = ();
    type InputKey = Key;

    fn input_count(&self) -> usize {
        match self {
            Op::Constant(..) => 0,
            Op::Add | Op::Mul | Op::CarelessMul | Op::GenerousMul => 2,
            Op::Neg | Op::Conj | Op::Exp | Op::ExpNeg | Op::Re | Op::Im => 1,
        }
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, _ctx: &mut (), z: &[&Complex64]) -> Vec<Complex64> {
        vec![match self {
            Op::Constant(re, im) => Complex64::new(f64::from_bits(*re), f64::from_bits(*im)),
            Op::Add => z[0] + z[1],
            Op::Mul | Op::CarelessMul | Op::GenerousMul => z[0] * z[1],
            Op::Neg => -z[0],
            Op::Conj => z[0].conj(),
            Op::Exp => z[0].exp(),
            Op::ExpNeg => (-z[0]).exp(),
            Op::Re => z[0].re.into(),
            Op::Im => z[0].im.into(),
        }]
    }
}

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Op::Add
    }

    fn jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        z: &[ValueKey<Self>],
        w: &[ValueKey<Self>],
        dz: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let key = |key: &ValueKey<Self>| Fixed(PrimitiveValue::External(key.clone()));
        vec![match self {
            Op::Constant(..) => None,
            Op::Add => b.emit_sum([dz[0], dz[1]]),
            Op::Mul | Op::CarelessMul | Op::GenerousMul => {
                let left = dz[0].map(|dz| b.emit_linear(self.clone(), [Active(dz), key(&z[1])]));
                let right = dz[1].map(|dz| b.emit_linear(self.clone(), [key(&z[0]), Active(dz)]));
                b.emit_sum([left, right])
            }
            Op::Exp => dz[0].map(|dz| b.emit_linear(Op::Mul, [key(&w[0]), Active(dz)])),
            Op::ExpNeg => {
                let negated = b.emit_fixed(Op::Neg, [PrimitiveValue::External(z[0].clone())]);
                let value = b.emit_fixed(Op::Exp, [negated]);
                let slope = b.emit_fixed(Op::Neg, [value]);
                dz[0].map(|dz| b.emit_linear(Op::GenerousMul, [Fixed(slope), Active(dz)]))
            }
            real_linear @ (Op::Neg | Op::Conj | Op::Re | Op::Im) => {
                dz[0].map(|dz| b.emit_linear(real_linear.clone(), [Active(dz)]))
            }
        }]
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        z: &[PrimitiveValue<Self>],
        role: &OperationRole,
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let OperationRole::Linearized { active_mask } = role else {
            panic!("{self:?} is not linear here");
        };
        let ct = ct[0].expect("a rule is called for a cotangent");
        match self {
            Op::Add => vec![Some(ct), Some(ct)],
            // ⟨c, w·ż⟩ = Re(conj(c)·w·ż) = ⟨conj(w)·c, ż⟩
            Op::Mul | Op::CarelessMul | Op::GenerousMul => {
                let active = active_mask.iter().position(|active| *active).unwrap();
                let mut w = z[1 - active].clone();
                if *self != Op::CarelessMul {
                    w = b.emit_fixed(Op::Conj, [w]);
                }
                let of_inactive = (*self == Op::GenerousMul).then_some(ct);
                let mut cotangents = vec![of_inactive; 2];
                cotangents[active] = Some(b.emit_linear(self.clone(), [Fixed(w), Active(ct)]));
                cotangents
            }
            // ⟨c, conj(ż)⟩ = Re(conj(c)·conj(ż)) = Re(c·ż) = ⟨conj(c), ż⟩
            Op::Neg | Op::Conj | Op::Re => vec![Some(b.emit_linear(self.clone(), [Active(ct)]))],
            // ⟨c, Im ż⟩ = Re c·Im ż = ⟨i·Re c, ż⟩
            Op::Im => {
                let i = b.emit_fixed(Op::constant(I), []);
                let re = b.emit_linear(Op::Re, [Active(ct)]);
                vec![Some(b.emit_linear(Op::Mul, [Fixed(i), Active(re)]))]
            }
            Op::Constant(..) | Op::Exp | Op::ExpNeg => panic!("{self:?} is not linear"),
        }
    }
}

impl TestOp for Op {}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Named(String),
    Numbered(u64),
    Tangent(Box<Key>, DiffPassId),
}

impl ADKey for Key {
    fn tangent_of(&self, pass: DiffPassId) -> Self {
        Key::Tangent(Box::new(self.clone()), pass)
    }
}

impl TestKey for Key {
    fn named(name: &str) -> Self {
        Key::Named(name.into())
    }

    fn numbered(number: u64) -> Self {
        Key::Numbered(number)
    }
}

fn number(random: &mut Random) -> Complex64 {
    Complex64::new(random.unit(), random.unit())
}

fn numbers(random: &mut Random, count: usize) -> Vec<Complex64> {
    (0..count).map(|_| number(random)).collect()
}

/// A function of three inputs and three outputs, and a point at which all its values are tame.
fn random_function(random: &mut Random) -> (Sketch<Op>, Vec<Complex64>) {
    let (mut f, _) = Sketch::new(["a", "b", "c"]);
    let z = numbers(random, 3);
    let mut values = z.clone();
    for _ in 0..3 + random.below(10) {
        let (a, b) = (random.below(values.len()), random.below(values.len()));
        let tame = values[a].norm() < 2.0 && values[b].norm() < 2.0;
        let (op, operands) = match random.below(9) {
            0 => (Op::constant(number(random)), vec![]),
            1 if tame => (Op::Add, vec![a, b]),
            2..=4 if tame => (Op::Mul, vec![a, b]),
            5 => (Op::Neg, vec![a]),
            6 if values[a].re < 1.0 => (Op::Exp, vec![a]),
            7 => (Op::Re, vec![a]),
            8 => (Op::Im, vec![a]),
            _ => (Op::Conj, vec![a]),
        };
        let results = op.run(&operands.iter().map(|&id| &values[id]).collect::<Vec<_>>());
        f.push(op, operands);
        values.extend(results);
    }
    let last = values.len() - 1;
    f.outputs = vec![last, random.below(values.len()), last - random.below(3)];
    (f, z)
}

fn for_random_functions(mut check: impl FnMut(&Sketch<Op>, &[Complex64], &mut Random)) {
    let mut random = Random(0x5eed);
    for _ in 0..200 {
        let (f, z) = random_function(&mut random);
        check(&f, &z, &mut random);
    }
}

fn or_zero(values: Vec<Option<Complex64>>) -> Vec<Complex64> {
    values.into_iter().map(Option::unwrap_or_default).collect()
}

#[track_caller]
fn assert_near(found: &[Complex64], expected: &[Complex64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let norms = found.iter().chain(expected).map(|z| z.norm());
    let scale = norms.fold(1.0, f64::max);
    for (a, b) in found.iter().zip(expected) {
        let near = (a - b).norm() <= tolerance * scale;
        assert!(near, "found {found:?}, expected {expected:?}");
    }
}

/// (f(z + h·t) - f(z - h·t)) / 2h
fn difference(
    f: impl Fn(&[Complex64]) -> Vec<Complex64>,
    z: &[Complex64],
    t: &[Complex64],
) -> Vec<Complex64> {
    let h = 1e-5;
    let step = |h: f64| f(&z.iter().zip(t).map(|(z, t)| z + h * t).collect::<Vec<_>>());
    let (up, down) = (step(h), step(-h));
    up.iter()
        .zip(down)
        .map(|(up, down)| (up - down) / (2.0 * h))
        .collect()
}

#[test]
fn forward_mode_is_the_real_linear_derivative() {
    for_random_functions(|f, z, random| {
        let t = numbers(random, 3);
        let expected = difference(|z| f.value_at(z), z, &t);
        assert_near(&or_zero(f.at(z).jvp(&t)), &expected, 1e-7);
    });
}

#[test]
fn forward_mode_is_linear_over_the_reals_only() {
    let (mut f, [z]) = Sketch::new(["z"]);
    let w = f.apply(Op::Conj, [z]);
    let zw = f.apply(Op::Mul, [z, w]);
    let f = f.returning([w, zw]).at(&[Complex64::new(1.0, 2.0)]);
    let along = |t: Complex64| or_zero(f.jvp(&[t]));
    assert_eq!(along(1.0.into()), [1.0.into(), 2.0.into()]);
    // Not i times that.
    assert_eq!(along(I), [-I, 4.0.into()]);
}

/// The matrix of a real-linear map, from what it does to 1 and i in each place.
fn matrix(count: usize, map: impl Fn(&[Complex64]) -> Vec<Complex64>) -> Vec<Vec<f64>> {
    let column = |(place, unit): (usize, Complex64)| {
        let mut t = vec![Complex64::default(); count];
        t[place] = unit;
        map(&t).iter().flat_map(Operand::coordinates).collect()
    };
    let places = (0..count).flat_map(|place| [(place, Complex64::from(1.0)), (place, I)]);
    places.map(column).collect()
}

#[test]
fn transposition_transposes_the_real_matrix() {
    for_random_functions(|f, z, _| {
        let problem = f.at(z);
        let jvp = matrix(3, |t| or_zero(problem.jvp(t)));
        let vjp = matrix(3, |c| or_zero(problem.vjp(c)));
        for (i, column) in jvp.iter().enumerate() {
            for (j, entry) in column.iter().enumerate() {
                let scale = entry.abs().max(1.0);
                assert!((entry - vjp[j][i]).abs() <= 1e-9 * scale, "{jvp:?} {vjp:?}");
            }
        }
    });
}

/// |⟨c, J·t⟩ - ⟨Jᵀ·c, t⟩|, relative.
fn defect(problem: &Problem<Op>, random: &mut Random) -> f64 {
    let (t, c) = (
        numbers(random, problem.wrt.len()),
        numbers(random, problem.outputs.len()),
    );
    let (jt, jc) = (problem.jvp(&t), problem.vjp(&c));
    let (left, right) = (inner(&jt, &c), inner(&jc, &t));
    (left - right).abs() / left.abs().max(right.abs()).max(1.0)
}

#[test]
fn the_dot_products_agree() {
    for_random_functions(|f, z, random| {
        let first = f.at(z);
        assert!(defect(&first, random) < 1e-9);
        let (t, c) = (numbers(random, 3), numbers(random, 3));
        assert!(defect(&first.forward(&t), random) < 1e-9);
        assert!(defect(&first.reverse(&c), random) < 1e-9);
    });
}

/// What the dot products are worth: a rule that forgets a conjugate does not get by.
#[test]
fn a_wrong_rule_breaks_the_dot_products() {
    let product = |op: Op| {
        let (mut f, [a, b]) = Sketch::new(["a", "b"]);
        let ab = f.apply(op, [a, b]);
        f.returning([ab])
            .at(&[Complex64::new(0.3, 0.8), Complex64::new(-0.5, 0.6)])
    };
    let mut random = Random(7);
    for _ in 0..20 {
        assert!(defect(&product(Op::Mul), &mut random) < 1e-12);
        assert!(defect(&product(Op::CarelessMul), &mut random) > 1e-3);
    }
}

/// What a rule says of an operand that is not active goes nowhere: the coefficient here comes from an
/// exponential, which has no transpose.
#[test]
fn cotangents_of_inactive_operands_are_dropped() {
    let (mut f, [z]) = Sketch::new(["z"]);
    let e = f.apply(Op::ExpNeg, [z]);
    let ze = f.apply(Op::Mul, [z, e]);
    let f = f.returning([ze]);
    let mut random = Random(17);
    for _ in 0..20 {
        let (z, c) = (number(&mut random), number(&mut random));
        let expected = [((1.0 - z) * (-z).exp()).conj() * c];
        let problem = f.at(&[z]);
        assert_near(&or_zero(problem.vjp(&[c])), &expected, 1e-12);
        assert_near(
            &or_zero(problem.vjp_by_builder(&[Some(c)])),
            &expected,
            1e-12,
        );
        let eager = eager_gradient(&f, &[z], &[0], &c, 1, &mut ()).unwrap();
        assert_near(&or_zero(eager), &expected, 1e-12);
        assert!(defect(&problem, &mut random) < 1e-12);
        assert!(defect(&problem.reverse(&[c]), &mut random) < 1e-12);
    }
}

#[test]
fn all_ways_agree() {
    for_random_functions(|f, z, random| {
        let (t, c) = (numbers(random, 3), numbers(random, 3));
        let problem = f.at(z);
        let vjp = problem.vjp(&c);
        let seeds: Vec<_> = c.iter().copied().map(Some).collect();
        assert_eq!(problem.vjp_by_builder(&seeds), vjp);
        let twice = or_zero(problem.jvp_transposed_twice(&t));
        assert_near(&twice, &or_zero(problem.jvp(&t)), 1e-9);

        let mut sum = vec![Complex64::default(); 3];
        for (&output, c) in f.outputs.iter().zip(&c) {
            let f = f.clone().returning([output]);
            for chunk in [1, 3] {
                let part = eager_gradient(&f, z, &[0, 1, 2], c, chunk, &mut ()).unwrap();
                for (sum, part) in sum.iter_mut().zip(or_zero(part)) {
                    *sum += part / 2.0;
                }
            }
        }
        assert_near(&sum, &or_zero(vjp), 1e-9);
    });
}

/// L = |f|², from f.
fn loss(mut f: Sketch<Op>, output: usize) -> Sketch<Op> {
    let conj = f.apply(Op::Conj, [output]);
    let loss = f.apply(Op::Mul, [output, conj]);
    f.returning([loss])
}

/// f = z², L = |z|⁴, 2·∂L/∂conj(z) = 4·z²·conj(z).
#[test]
fn the_gradient_of_a_square() {
    let (mut f, [z]) = Sketch::new(["z"]);
    let zz = f.apply(Op::Mul, [z, z]);
    let f = loss(f, zz);
    for z in [Complex64::new(0.5, -0.75), Complex64::new(-1.0, 0.25), I] {
        let expected = [4.0 * z * z * z.conj()];
        let seed = [1.0.into()];
        assert_near(&or_zero(f.at(&[z]).vjp(&seed)), &expected, 1e-12);
        assert_near(
            &or_zero(f.at(&[z]).vjp_by_builder(&[Some(seed[0])])),
            &expected,
            1e-12,
        );
        let eager = eager_gradient(&f, &[z], &[0], &seed[0], 1, &mut ()).unwrap();
        assert_near(&or_zero(eager), &expected, 1e-12);
    }
}

/// f = eᶻ + a·z with L = |f|²: 2·∂L/∂conj(z) = 2·f·conj(f′), and by a, 2·f·conj(z).
#[test]
fn the_gradient_of_a_holomorphic_function() {
    let (mut f, [z, a]) = Sketch::new(["z", "a"]);
    let e = f.apply(Op::Exp, [z]);
    let az = f.apply(Op::Mul, [a, z]);
    let sum = f.apply(Op::Add, [e, az]);
    let f = loss(f, sum);
    let mut random = Random(11);
    for _ in 0..20 {
        let (z, a) = (number(&mut random), number(&mut random));
        let value = z.exp() + a * z;
        let expected = [2.0 * value * (z.exp() + a).conj(), 2.0 * value * z.conj()];
        assert_near(&or_zero(f.at(&[z, a]).vjp(&[1.0.into()])), &expected, 1e-12);
    }
}

/// L = (Re z)²·Im z, not holomorphic in any sense: the gradient is ∂L/∂x + i·∂L/∂y.
#[test]
fn the_gradient_by_real_and_imaginary_part() {
    let (mut f, [z]) = Sketch::new(["z"]);
    let re = f.apply(Op::Re, [z]);
    let im = f.apply(Op::Im, [z]);
    let square = f.apply(Op::Mul, [re, re]);
    let product = f.apply(Op::Mul, [square, im]);
    let f = f.returning([product]);
    let (x, y) = (0.5, -2.0);
    let expected = [Complex64::new(2.0 * x * y, x * x)];
    assert_near(
        &or_zero(f.at(&[Complex64::new(x, y)]).vjp(&[1.0.into()])),
        &expected,
        1e-12,
    );
}

/// L = |z|⁴ has the gradient 4·z²·conj(z), whose derivative along t is 8·z·conj(z)·t + 4·z²·conj(t).
#[test]
fn the_second_derivative_of_a_loss() {
    let (mut f, [z]) = Sketch::new(["z"]);
    let zz = f.apply(Op::Mul, [z, z]);
    let f = loss(f, zz);
    let mut random = Random(13);
    for _ in 0..20 {
        let (z, t) = (number(&mut random), number(&mut random));
        let expected = [8.0 * z * z.conj() * t + 4.0 * z * z * t.conj()];
        let (problem, seed) = (f.at(&[z]), [1.0.into()]);
        let gradient = problem.reverse(&seed);
        assert_near(
            &or_zero(gradient.forward(&[t]).evaluate()),
            &expected,
            1e-12,
        );
        assert_near(
            &or_zero(gradient.reverse(&[t]).evaluate()),
            &expected,
            1e-12,
        );
        let reverse_over_forward = problem.forward(&[t]).reverse(&seed);
        assert_near(&or_zero(reverse_over_forward.evaluate()), &expected, 1e-12);
    }
}

/// Σₖ ⟨cₖ, fₖ⟩ has a symmetric Hessian over the reals; the three ways to its product with t agree, and
/// with differences of gradients.
#[test]
fn second_derivatives_of_random_functions() {
    for_random_functions(|f, z, random| {
        let (t, u, c) = (numbers(random, 3), numbers(random, 3), numbers(random, 3));
        let problem = f.at(z);
        let expected = difference(|z| or_zero(f.at(z).vjp(&c)), z, &t);
        let hvp = or_zero(problem.reverse(&c).forward(&t).evaluate());
        assert_near(&hvp, &expected, 1e-6);
        assert_near(
            &or_zero(problem.reverse(&c).reverse(&t).evaluate()),
            &hvp,
            1e-9,
        );
        assert_near(
            &or_zero(problem.forward(&t).reverse(&c).evaluate()),
            &hvp,
            1e-9,
        );
        let second = problem.forward(&t).forward(&u).evaluate();
        let hvp: Vec<_> = hvp.into_iter().map(Some).collect();
        let (left, right) = (inner(&second, &c), inner(&hvp, &u));
        assert!((left - right).abs() <= 1e-9 * left.abs().max(1.0));
    });
}
