//! Random sparse functions: every entry, and every one that is left out, against dual numbers.

use std::collections::BTreeMap;

use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::sparse::Pattern;
use tidu::{Function, Primitive, SparseDerivative, Way};
use tidu_testkit::{Random, cases};

use super::super::custom_rules::{AT, calls, derivative, forms, nested};
use super::super::ways::{
    Choices, Witness, call, function_of, over, random_function, some_of, witness,
};
use crate::support::tame::Coefficients;
use crate::support::{Sketch, TestOp};

/// What an operation is, over any numbers.
fn meaning<N: Coefficients>(op: &ScalarOp, x: &[N]) -> Vec<N> {
    let read = |at: usize| x[at].read()[0];
    let truth = |is: bool| N::constant(f64::from(u8::from(is)));
    let zero = N::constant(0.0);
    vec![match op {
        ScalarOp::Constant(constant) => N::constant(constant.value()),
        ScalarOp::Add => x[0].add(x[1]),
        ScalarOp::Sub => x[0].add(x[1].neg()),
        ScalarOp::Mul => x[0].mul(x[1]),
        ScalarOp::MulAdd => x[0].mul(x[1]).add(x[2]),
        ScalarOp::Div => x[0].mul(x[1].recip()),
        ScalarOp::Neg => x[0].neg(),
        ScalarOp::Exp => x[0].exp(),
        ScalarOp::Ln => x[0].ln(),
        ScalarOp::Sin => x[0].sin(),
        ScalarOp::Cos => x[0].cos(),
        ScalarOp::SinCos => return vec![x[0].sin(), x[0].cos()],
        ScalarOp::Floor => N::constant(read(0).floor()),
        ScalarOp::StopGradient => N::constant(read(0)),
        ScalarOp::Lt => truth(read(0) < read(1)),
        ScalarOp::Abs if read(0) < 0.0 => x[0].neg(),
        ScalarOp::Abs => x[0],
        ScalarOp::Max if read(0) < read(1) => x[1],
        ScalarOp::Max => x[0],
        ScalarOp::KeepIf if read(0) != 0.0 => x[1],
        ScalarOp::KeepIf => zero,
        ScalarOp::Select if read(0) != 0.0 => x[1],
        ScalarOp::Select => x[2],
        other => panic!("teach the witness {other:?}"),
    }]
}

fn over_scalars<N: Coefficients>(f: &Sketch<ScalarOp>, x: &[N]) -> Vec<N> {
    let mut values = x.to_vec();
    for step in &f.steps {
        let operands: Vec<N> = step.operands.iter().map(|&at| values[at]).collect();
        values.extend(meaning(&step.op, &operands));
    }
    f.outputs.iter().map(|&at| values[at]).collect()
}

/// What a random function is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taste {
    /// Operations that depend on all their operands, as derivatives tell it.
    Smooth,
    /// Any operations.
    Any,
    /// Long chains of operations between a few others, before and behind them, so that it matters which way one goes.
    Long,
}

/// A sketch in the making: values stay moderate.
struct Draft {
    sketch: Sketch<ScalarOp>,
    values: Vec<f64>,
}

impl Draft {
    fn of_inputs(x: &[f64]) -> Self {
        let mut sketch = Sketch::<ScalarOp>::new([]).0;
        let names = (0..x.len()).map(|at| ScalarKey::from(format!("x{at}").as_str()));
        sketch.inputs = names.collect();
        sketch.values = x.len();
        Self {
            sketch,
            values: x.to_vec(),
        }
    }

    fn push(&mut self, op: ScalarOp, operands: Vec<usize>) -> usize {
        let given: Vec<f64> = operands.iter().map(|&at| self.values[at]).collect();
        self.values.extend(meaning(&op, &given));
        self.sketch.push(op, operands)
    }

    /// An operation, or if it would lead too far, a sine.
    fn push_tame(&mut self, random: &mut Random, taste: Taste, of: [usize; 3]) {
        let [a, b, c] = of;
        let [va, vb, vc] = of.map(|at| self.values[at]);
        let kinds = if taste == Taste::Smooth { 13 } else { 20 };
        let (op, operands) = match random.below(kinds) {
            0 => (
                ScalarOp::constant(random.below(9) as f64 / 4.0 - 1.0),
                vec![],
            ),
            1 if (va + vb).abs() < 3.0 => (ScalarOp::Add, vec![a, b]),
            2 if (va - vb).abs() < 3.0 => (ScalarOp::Sub, vec![a, b]),
            3 | 4 if (va * vb).abs() < 2.0 => (ScalarOp::Mul, vec![a, b]),
            5 if vb.abs() > 0.8 && va.abs() < 2.0 => (ScalarOp::Div, vec![a, b]),
            6 => (ScalarOp::Neg, vec![a]),
            7 if va < 0.7 => (ScalarOp::Exp, vec![a]),
            8 if va > 0.8 => (ScalarOp::Ln, vec![a]),
            9 => (ScalarOp::Cos, vec![a]),
            10 => (ScalarOp::SinCos, vec![a]),
            11 if (va * vb + vc).abs() < 2.0 => (ScalarOp::MulAdd, vec![a, b, c]),
            13 => (ScalarOp::Floor, vec![a]),
            14 => (ScalarOp::StopGradient, vec![a]),
            15 => (ScalarOp::Lt, vec![a, b]),
            16 if va.abs() > 0.01 => (ScalarOp::Abs, vec![a]),
            17 if (va - vb).abs() > 0.01 => (ScalarOp::Max, vec![a, b]),
            18 => (ScalarOp::KeepIf, vec![a, b]),
            19 => (ScalarOp::Select, vec![a, b, c]),
            _ => (ScalarOp::Sin, vec![a]),
        };
        self.push(op, operands);
    }

    fn chain(&mut self, mut value: usize, length: usize) -> usize {
        for _ in 0..length {
            value = self.push(ScalarOp::Sin, vec![value]);
        }
        value
    }
}

/// Each operation takes a few values near one another, so that most entries are zero; some inputs are not used, some
/// outputs are inputs or constants, some stand twice.
fn random_scalars(random: &mut Random, taste: Taste) -> (Sketch<ScalarOp>, Vec<f64>) {
    let inputs = 1 + random.below(12);
    let x: Vec<f64> = (0..inputs).map(|_| 1.5 * random.unit()).collect();
    let mut draft = Draft::of_inputs(&x);
    // What operations take, by place: in the end the likely outputs.
    let mut places: Vec<usize> = (0..inputs).collect();
    let long = |random: &mut Random| match (taste, random.below(3)) {
        (Taste::Long, 0) => 20 + random.below(60),
        _ => 0,
    };
    for place in &mut places {
        *place = draft.chain(*place, long(random));
    }
    for _ in 0..random.below(30) {
        let near = random.below(places.len());
        let of = [0; 3].map(|_| places[(near + random.below(3)) % places.len()]);
        let known = draft.values.len();
        draft.push_tame(random, taste, of);
        for result in known..draft.values.len() {
            if random.below(3) > 0 {
                let place = random.below(places.len());
                places[place] = result;
            } else {
                places.push(result);
            }
        }
    }
    let outputs = (0..random.below(9)).map(|_| match random.below(8) {
        0 => random.below(draft.values.len()),
        _ => {
            let value = places[random.below(places.len())];
            draft.chain(value, long(random))
        }
    });
    let outputs: Vec<usize> = outputs.collect();
    (draft.sketch.returning(outputs), x)
}

/// The sum of all outputs, each after a chain of its own or none, as a single output.
fn summed(f: &Sketch<ScalarOp>, x: &[f64], random: &mut Random) -> Sketch<ScalarOp> {
    let mut draft = Draft {
        sketch: f.clone(),
        values: f.values_at(x),
    };
    let mut sum = draft.push(ScalarOp::constant(0.5), vec![]);
    for &output in &f.outputs {
        let length = 30 * random.below(2);
        let term = draft.chain(output, length);
        sum = draft.push(ScalarOp::Add, vec![sum, term]);
    }
    draft.sketch.returning([sum])
}

/// Hubs that come by long chains and meet many leaves, and sums of leaves that go on by long chains: neither rows nor
/// columns alone are cheap.
fn random_hubs(random: &mut Random, is_single: bool) -> (Sketch<ScalarOp>, Vec<f64>) {
    let most = if is_single { 25 } else { 10 };
    let [hubs, leaves] = [1 + random.below(2), most + random.below(10)];
    let x: Vec<f64> = (0..hubs + leaves)
        .map(|_| 0.2 + random.unit().abs())
        .collect();
    let mut draft = Draft::of_inputs(&x);
    let length = 40 + random.below(40);
    let of_hubs: Vec<usize> = (0..hubs).map(|hub| draft.chain(hub, length)).collect();
    let mut met = Vec::new();
    for leaf in hubs..x.len() {
        let leaf = draft.chain(leaf, random.below(3));
        let hub = of_hubs[random.below(hubs)];
        let taste = [Taste::Smooth, Taste::Any][random.below(2)];
        draft.push_tame(random, taste, [leaf, hub, leaf]);
        let product = draft.push(ScalarOp::Mul, vec![leaf, hub]);
        let result = [draft.values.len() - 2, product][random.below(4).min(1)];
        met.push(draft.push(ScalarOp::Cos, vec![result]));
    }
    let of = if is_single {
        met.clone()
    } else {
        (hubs..x.len()).collect()
    };
    let mut sum = draft.push(ScalarOp::constant(0.1), vec![]);
    for term in of {
        sum = draft.push(ScalarOp::Add, vec![sum, term]);
    }
    if is_single {
        return (draft.sketch.returning([sum]), x);
    }
    let mut outputs = met;
    for _ in 0..1 + random.below(2) {
        sum = draft.chain(sum, length);
        outputs.insert(random.below(outputs.len()), sum);
    }
    (draft.sketch.returning(outputs), x)
}

/// How often each way was gone.
type Gone = BTreeMap<String, usize>;

/// Points near to one another, with the derivatives there.
struct Truth<'a> {
    points: Vec<(Vec<f64>, Witness)>,
    wrt: &'a [usize],
}

impl<'a> Truth<'a> {
    fn new(
        x: &[f64],
        wrt: &'a [usize],
        random: &mut Random,
        witness: impl Fn(&[f64]) -> Witness,
    ) -> Self {
        let mut points = vec![x.to_vec()];
        for _ in 0..2 {
            points.push(x.iter().map(|x| x + 1e-4 * random.unit()).collect());
        }
        let points = points.into_iter().map(|x| {
            let witness = witness(&x);
            (x, witness)
        });
        Self {
            points: points.collect(),
            wrt,
        }
    }

    /// By point: the entries of the Jacobian, by row.
    fn jacobian(&self) -> Vec<Vec<Vec<f64>>> {
        let of = |witness: &Witness| {
            let rows = witness.jacobian.iter();
            rows.map(|row| self.picked(row)).collect()
        };
        self.points.iter().map(|(_, witness)| of(witness)).collect()
    }

    /// By point: Σ cₖ·Hₖ of the outputs.
    fn hessian(&self, c: &[f64]) -> Vec<Vec<Vec<f64>>> {
        let of = |witness: &Witness| {
            let mut sum = vec![vec![0.0; self.wrt.len()]; self.wrt.len()];
            for (c, hessian) in c.iter().zip(&witness.hessian) {
                for (sum, &row) in sum.iter_mut().zip(self.wrt) {
                    for (sum, entry) in sum.iter_mut().zip(self.picked(&hessian[row])) {
                        *sum += c * entry;
                    }
                }
            }
            sum
        };
        self.points.iter().map(|(_, witness)| of(witness)).collect()
    }

    fn picked(&self, row: &[f64]) -> Vec<f64> {
        self.wrt.iter().map(|&at| row[at]).collect()
    }
}

/// No entry is missing where a matrix is other than zero.
fn assert_covers(pattern: &Pattern, matrices: &[Vec<Vec<f64>>], what: &str) {
    for matrix in matrices {
        assert_eq!(pattern.rows(), matrix.len(), "{what}");
        for (row, entries) in matrix.iter().enumerate() {
            for (column, entry) in entries.iter().enumerate() {
                let is_there = pattern.position_of(row, column).is_some();
                assert!(
                    is_there || *entry == 0.0 || entry.is_nan(),
                    "({row}, {column}) is {entry} and not in\n{pattern}\n{what}"
                );
            }
        }
    }
}

/// The entries of a derivative, where the function is evaluated with these more inputs, and all that is said of them.
fn check_entries<Op>(
    f: &Function<Op>,
    derivative: &SparseDerivative<Op>,
    truth: &Truth,
    more: &[f64],
    matrices: &[Vec<Vec<f64>>],
    what: &str,
) where
    Op: TestOp<Operand = f64> + Primitive<ADContext = ()>,
{
    let SparseDerivative {
        function,
        pattern,
        constant,
        receipt,
        ..
    } = derivative;
    let values: Vec<Vec<f64>> = truth
        .points
        .iter()
        .map(|(x, _)| call(function, &[&x[..], more].concat()))
        .collect();
    for (values, matrix) in values.iter().zip(matrices) {
        assert_eq!(values.len(), pattern.len(), "{what}");
        let all = matrix.iter().flatten();
        let scale = all.fold(1.0, |most: f64, entry| most.max(entry.abs()));
        for (value, (row, column)) in values.iter().zip(pattern.entries()) {
            let expected = matrix[row][column];
            assert!(
                (value - expected).abs() <= 1e-9 * scale || !expected.is_finite(),
                "({row}, {column}) is {value}, not {expected}\n{what}\nof\n{f}\nis\n{function}\n{receipt}"
            );
        }
    }

    // Receipts.
    assert_eq!(receipt.entries, pattern.len());
    let is_zero = |at: &usize| values.iter().all(|values| values[*at] == 0.0);
    let zeros = (0..pattern.len()).filter(is_zero).count();
    assert!(receipt.zeros <= zeros, "{receipt}\n{what}");
    let cheapest = receipt.costs.iter().map(|(_, cost)| *cost).min();
    let gone = receipt.costs.iter().find(|(way, _)| *way == receipt.way);
    assert_eq!(gone.map(|(_, cost)| *cost), cheapest, "{receipt}");
    assert!(receipt.products <= pattern.len(), "{receipt}\n{what}");

    // What is constant, and what depends on which inputs.
    assert_eq!(constant.len(), pattern.len());
    for at in (0..pattern.len()).filter(|&at| constant[at]) {
        assert!(values.iter().all(|of| of[at] == values[0][at]), "{what}");
    }
    let (changing, positions) = derivative.without_constants().unwrap();
    let x = [&truth.points[0].0[..], more].concat();
    let expected = positions.iter().map(|&at| values[0][at]);
    assert_eq!(call(&changing, &x), expected.collect::<Vec<f64>>());
    assert_eq!(
        positions,
        (0..pattern.len())
            .filter(|&at| !constant[at])
            .collect::<Vec<_>>()
    );
    for input in 0..x.len() {
        let depends = derivative.depends_on(input).unwrap();
        let mut poisoned = x.clone();
        poisoned[input] = f64::NAN;
        let poisoned = call(function, &poisoned);
        for at in (0..pattern.len()).filter(|&at| !depends[at]) {
            assert_eq!(poisoned[at], values[0][at], "{what}");
        }
    }
}

/// Every sparse derivative by `wrt`, against the witness.
fn check<Op>(f: &Function<Op>, truth: &Truth, random: &mut Random, gone: &mut Gone)
where
    Op: TestOp<Operand = f64> + Primitive<ADContext = ()>,
{
    let wrt = truth.wrt;
    let names = f.input_names();
    let jacobian = truth.jacobian();
    let rows = f.output_names().len();
    let c: Vec<f64> = (0..rows).map(|_| random.unit()).collect();
    let lagrangian = truth.hessian(&c);
    let all: Vec<Choices> = Choices::all().collect();
    for _ in 0..2 {
        let choices = all[random.below(all.len())];
        let ctx = &mut ();
        let what = &format!("{choices:?} by {wrt:?} of\n{f}");
        let mut note = |of: &str, way: Way| {
            *gone.entry(format!("{of} by {way}")).or_default() += 1;
        };

        let pattern = choices.derive(f, ctx).sparsity(wrt).unwrap();
        assert_covers(&pattern, &jacobian, what);
        let derivative = choices.derive(f, ctx).sparse_jacobian(wrt).unwrap();
        assert_eq!(derivative.pattern, pattern, "{what}");
        note("Jacobian", derivative.receipt.way);
        check_entries(f, &derivative, truth, &[], &jacobian, what);
        let called = pattern.entries().map(|(row, column)| {
            let [row, column] = [&f.output_names()[row], &names[wrt[column]]];
            format!("d.{row}.{column}")
        });
        let called: Vec<String> = called.collect();
        assert_eq!(derivative.function.output_names(), called);
        assert_eq!(derivative.function.input_names(), names);
        let is_dense = pattern.len() == rows * wrt.len() && rows > 0;
        assert_eq!(derivative.receipt.is_dense, is_dense);

        let pattern = choices.derive(f, ctx).hessian_sparsity(wrt).unwrap();
        assert!(pattern.is_symmetric(), "{pattern}");
        for k in 0..rows {
            let mut of_one = vec![0.0; rows];
            of_one[k] = 1.0;
            assert_covers(&pattern, &truth.hessian(&of_one), what);
        }
        let derivative = choices.derive(f, ctx).lagrangian_hessian(wrt).unwrap();
        assert_eq!(derivative.pattern, pattern.lower_triangle(), "{what}");
        note("Lagrangian", derivative.receipt.way);
        check_entries(f, &derivative, truth, &c, &lagrangian, what);

        let linear = choices.derive(f, ctx).linear_parts(wrt).unwrap();
        for (_, witness) in &truth.points {
            for (row, hessian) in witness.hessian.iter().enumerate() {
                for (i, &input) in wrt.iter().enumerate() {
                    let by_others = wrt.iter().map(|&other| hessian[input][other]);
                    let is_zero = by_others.into_iter().all(|entry| entry == 0.0);
                    assert!(is_zero || !linear.inputs[i], "{what}");
                    assert!(is_zero || !linear.outputs[row], "{what}");
                }
            }
        }

        if rows > 0 {
            let chosen = random.below(rows);
            let one = f.select_at(&[chosen]).unwrap();
            let mut of_one = vec![0.0; rows];
            of_one[chosen] = 1.0;
            let pattern = choices.derive(&one, ctx).hessian_sparsity(wrt).unwrap();
            let derivative = choices.derive(&one, ctx).sparse_hessian(wrt).unwrap();
            assert_eq!(derivative.pattern, pattern.lower_triangle(), "{what}");
            note("Hessian", derivative.receipt.way);
            check_entries(&one, &derivative, truth, &[], &truth.hessian(&of_one), what);
        }
    }
}

fn check_scalars(
    f: &Sketch<ScalarOp>,
    x: &[f64],
    wrt: &[usize],
    random: &mut Random,
    gone: &mut Gone,
) {
    let truth = Truth::new(x, wrt, random, |x| witness(x, |x| over_scalars(f, x)));
    check(&function_of(f), &truth, random, gone);
}

#[test]
fn sparse_derivatives_of_random_functions() {
    let mut random = Random(0x59a4);
    let mut gone = Gone::new();
    for case in 0..cases(800) {
        let taste = [Taste::Smooth, Taste::Any, Taste::Long][case % 3];
        let (f, x) = random_scalars(&mut random, taste);
        let wrt = some_of(&mut random, x.len());
        check_scalars(&f, &x, &wrt, &mut random, &mut gone);
        if taste == Taste::Long {
            let f = summed(&f, &x, &mut random);
            check_scalars(&f, &x, &wrt, &mut random, &mut gone);
        }
        if case % 6 == 0 {
            let (f, x) = random_hubs(&mut random, case % 12 == 0);
            let wrt: Vec<usize> = (0..x.len()).rev().collect();
            check_scalars(&f, &x, &wrt, &mut random, &mut gone);
        }
    }
    // Every way was gone, and not by chance.
    for way in [
        "Jacobian by rows",
        "Jacobian by columns",
        "Jacobian by rows and columns",
        "Hessian by rows",
        "Hessian by columns",
        "Hessian by star colouring",
        "Lagrangian by star colouring",
    ] {
        assert!(
            gone.get(way).is_some_and(|times| *times > 5),
            "{way}: {gone:?}"
        );
    }
}

/// A set with every oddity that rules may have: several results, some without tangents, nothing declared.
#[test]
fn sparse_derivatives_over_odd_operations() {
    let mut random = Random(0x0dd5);
    let mut gone = Gone::new();
    for _ in 0..cases(800) {
        let (f, x) = random_function(&mut random);
        let wrt = some_of(&mut random, x.len());
        let truth = Truth::new(&x, &wrt, &mut random, |x| witness(x, |x| over(&f, x)));
        check(&function_of(&f), &truth, &mut random, &mut gone);
    }
}

/// Functions with rules of their own, within one another.
#[test]
fn sparse_derivatives_of_functions_with_rules_of_their_own() {
    let mut random = Random(0xc0d5);
    let mut gone = Gone::new();
    let [x, y] = [[1.0, 0.0], [0.0, 1.0]];
    let (by_x, by_y) = (derivative(AT, &[x]), derivative(AT, &[y]));
    let second = [[x, x], [x, y], [y, x], [y, y]].map(|pair| derivative(AT, &pair));
    let witness = || Witness {
        value: derivative(AT, &[]),
        jacobian: (0..2).map(|row| vec![by_x[row], by_y[row]]).collect(),
        hessian: (0..2)
            .map(|row| {
                let entries: Vec<f64> = second.iter().map(|entry| entry[row]).collect();
                entries.chunks(2).map(<[f64]>::to_vec).collect()
            })
            .collect(),
    };
    for (_, g) in forms() {
        for f in [calls(&g), nested(&g)] {
            for wrt in [&[0][..], &[1], &[0, 1], &[1, 0]] {
                let truth = Truth {
                    points: vec![(AT.to_vec(), witness())],
                    wrt,
                };
                for _ in 0..6 {
                    check(&f, &truth, &mut random, &mut gone);
                }
            }
        }
    }
}

/// A NaN in place of an input reaches no output but those that have it in their row, and no entry of the gradient but
/// those of its column in the Hessian.
#[test]
fn poison_stays_within_the_patterns() {
    let mut random = Random(0x9015);
    for _ in 0..cases(1000) {
        let (f, x) = random_scalars(&mut random, Taste::Smooth);
        let f = function_of(&f);
        let columns = some_of(&mut random, x.len());
        let rows = f.output_names().len();
        let pattern = f.sparsity(&*columns).unwrap();
        let second = f.hessian_sparsity(&*columns).unwrap();
        let vjp = f.vjp(&*columns).unwrap();
        for (column, &input) in columns.iter().enumerate() {
            let mut poisoned = x.clone();
            poisoned[input] = f64::NAN;
            for (row, value) in call(&f, &poisoned).iter().enumerate() {
                let is_there = pattern.position_of(row, column).is_some();
                assert_eq!(value.is_nan(), is_there, "({row}, {column}) of\n{f}");
            }
            poisoned.extend((0..rows).map(|at| at as f64 + 0.5));
            let gradient = call(&vjp, &poisoned);
            for (row, value) in gradient[rows..].iter().enumerate() {
                let is_there = second.position_of(row, column).is_some();
                assert!(!value.is_nan() || is_there, "({row}, {column}) of\n{f}");
            }
        }
    }
}
