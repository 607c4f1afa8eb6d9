//! What may be written more simply, as a table.
//!
//! A zero is 0 or -0 in what follows unless its sign is given.

use tidu_graph::{EvaluableGraphOperation, GraphOperation, Rewrite, Term, Terms};

use crate::op::ScalarOp::{self, Add, Cos, Div, Exp, Ln, Mul, Neg, Sin, Sub};

type Rule = Rewrite<ScalarOp>;
type Scalars = Terms<ScalarOp>;

/// Constants are computed as they would be when the program runs.
pub(crate) fn fold(op: &ScalarOp, operands: &[&ScalarOp]) -> Option<Vec<ScalarOp>> {
    let numbers: Vec<f64> = operands
        .iter()
        .map(|op| number_of(op))
        .collect::<Option<_>>()?;
    let numbers: Vec<&f64> = numbers.iter().collect();
    if numbers.len() != op.input_count() {
        return None;
    }
    let results = op.eval(&mut (), &numbers);
    // A function that cannot be evaluated says so when it runs.
    (results.len() == op.output_count()).then(|| {
        let results = results.into_iter();
        results.map(ScalarOp::constant).collect()
    })
}

pub(crate) const ADD: &[Rule] = &[
    Rule::exact("x + (-0) = x", |t, _, x| {
        either(t, x, |t, x, y| t.is(y, -0.0).then_some(x))
    }),
    Rule::exact("x + (-y) = x - y", |t, _, x| {
        either(t, x, |t, x, y| {
            let [y] = t.operands(y, &Neg)?;
            Some(t.apply(Sub, &[x, y]))
        })
    }),
    Rule::finite_only("x + 0 = x", |t, _, x| {
        either(t, x, |t, x, y| t.is_zero(y).then_some(x))
    }),
    Rule::real_only("sin²x + cos²x = 1", |t, _, x| {
        either(t, x, |t, x, y| {
            let [sin, again] = t.operands(x, &Mul)?;
            let [cos, and_again] = t.operands(y, &Mul)?;
            let [angle] = t.operands(sin, &Sin)?;
            let squares = sin == again && cos == and_again;
            (squares && t.operands(cos, &Cos) == Some([angle])).then(|| t.number(1.0))
        })
    }),
    Rule::real_only("c·x + d·x = (c + d)·x", |t, _, x| {
        let ((c, x), (d, y)) = (t.multiple(x[0]), t.multiple(x[1]));
        // As a sum, x + x is as short as it gets.
        let same = x == y && (c, d) != (1.0, 1.0);
        same.then(|| t.product(c + d, x))
    }),
    Rule::real_only("c + (d + x) = (c + d) + x", |t, _, x| {
        either(t, x, |t, c, sum| {
            let c = t.value(c)?;
            let (d, x) = t.shifted(sum)?;
            let shift = t.number(c + d);
            Some(t.apply(Add, &[shift, x]))
        })
    }),
    Rule::real_only("(c + x) + y = c + (x + y)", |t, _, x| {
        either(t, x, |t, sum, y| {
            let (c, x) = t.shifted(sum)?;
            let inner = t.apply(Add, &[x, y]);
            let c = t.number(c);
            Some(t.apply(Add, &[c, inner]))
        })
    }),
    Rule::real_only("x·y + x·z = x·(y + z)", |t, _, x| factor(t, Add, x)),
];

pub(crate) const SUB: &[Rule] = &[
    Rule::exact("x - (+0) = x", |t, _, x| t.is(x[1], 0.0).then_some(x[0])),
    Rule::exact("(-0) - x = -x", |t, _, x| {
        t.is(x[0], -0.0).then(|| t.apply(Neg, &[x[1]]))
    }),
    Rule::exact("x - (-y) = x + y", |t, _, x| {
        let [y] = t.operands(x[1], &Neg)?;
        Some(t.apply(Add, &[x[0], y]))
    }),
    Rule::finite_only("x - 0 = x", |t, _, x| t.is_zero(x[1]).then_some(x[0])),
    Rule::finite_only("0 - x = -x", |t, _, x| {
        t.is_zero(x[0]).then(|| t.apply(Neg, &[x[1]]))
    }),
    Rule::finite_only("x - x = 0", |t, _, x| (x[0] == x[1]).then(|| t.number(0.0))),
    Rule::real_only("c·x - d·x = (c - d)·x", |t, _, x| {
        let ((c, x), (d, y)) = (t.multiple(x[0]), t.multiple(x[1]));
        (x == y).then(|| t.product(c - d, x))
    }),
    Rule::real_only("x - c = (-c) + x", |t, _, x| {
        let shift = t.value(x[1])?;
        let shift = t.number(-shift);
        Some(t.apply(Add, &[shift, x[0]]))
    }),
    Rule::real_only("x·y - x·z = x·(y - z)", |t, _, x| factor(t, Sub, x)),
];

pub(crate) const MUL: &[Rule] = &[
    Rule::exact("x·1 = x", |t, _, x| {
        either(t, x, |t, x, y| t.is(y, 1.0).then_some(x))
    }),
    Rule::exact("x·(-1) = -x", |t, _, x| {
        either(t, x, |t, x, y| t.is(y, -1.0).then(|| t.apply(Neg, &[x])))
    }),
    Rule::exact("(-x)·c = x·(-c)", |t, _, x| {
        either(t, x, |t, x, c| {
            let ([x], c) = (t.operands(x, &Neg)?, t.value(c)?);
            let c = t.number(-c);
            Some(t.apply(Mul, &[x, c]))
        })
    }),
    Rule::exact("(-x)·y = -(x·y)", |t, _, x| {
        either(t, x, |t, x, y| {
            let [x] = t.operands(x, &Neg)?;
            let product = t.apply(Mul, &[x, y]);
            Some(t.apply(Neg, &[product]))
        })
    }),
    Rule::finite_only("x·0 = 0", |t, _, x| {
        either(t, x, |t, _, y| t.is_zero(y).then(|| t.number(0.0)))
    }),
    Rule::real_only("c·(d·x) = (c·d)·x", |t, _, x| {
        either(t, x, |t, c, x| {
            let (c, (d, x)) = (t.value(c)?, t.scaled(x)?);
            Some(t.product(c * d, x))
        })
    }),
    Rule::real_only("(c·x)·y = c·(x·y)", |t, _, x| {
        either(t, x, |t, x, y| {
            let (c, x) = t.scaled(x)?;
            let product = t.apply(Mul, &[x, y]);
            Some(t.product(c, product))
        })
    }),
    Rule::real_only("(x / y)·y = x", |t, _, x| {
        either(t, x, |t, quotient, y| {
            let [x, divisor] = t.operands(quotient, &Div)?;
            (divisor == y).then_some(x)
        })
    }),
];

pub(crate) const DIV: &[Rule] = &[
    Rule::exact("x / 1 = x", |t, _, x| t.is(x[1], 1.0).then_some(x[0])),
    Rule::exact("x / (-1) = -x", |t, _, x| {
        t.is(x[1], -1.0).then(|| t.apply(Neg, &[x[0]]))
    }),
    Rule::exact("x / c = x·(1 / c), for a power of two", |t, _, x| {
        let inverse = t.value(x[1])?.recip();
        let exact = is_power_of_two(inverse) && is_power_of_two(inverse.recip());
        exact.then(|| t.product(inverse, x[0]))
    }),
    Rule::exact("(-x) / y = -(x / y)", |t, _, x| {
        let [numerator] = t.operands(x[0], &Neg)?;
        let quotient = t.apply(Div, &[numerator, x[1]]);
        Some(t.apply(Neg, &[quotient]))
    }),
    Rule::exact("x / (-y) = -(x / y)", |t, _, x| {
        let [divisor] = t.operands(x[1], &Neg)?;
        let quotient = t.apply(Div, &[x[0], divisor]);
        Some(t.apply(Neg, &[quotient]))
    }),
    Rule::finite_only("0 / x = 0", |t, _, x| {
        t.is_zero(x[0]).then(|| t.number(0.0))
    }),
    Rule::finite_only("x / x = 1", |t, _, x| (x[0] == x[1]).then(|| t.number(1.0))),
    Rule::real_only("x / c = (1 / c)·x", |t, _, x| {
        let inverse = t.value(x[1])?.recip();
        Some(t.product(inverse, x[0]))
    }),
    Rule::real_only("(c·x) / y = c·(x / y)", |t, _, x| {
        let (c, numerator) = t.scaled(x[0])?;
        let quotient = t.apply(Div, &[numerator, x[1]]);
        Some(t.product(c, quotient))
    }),
    Rule::real_only("(x·y) / y = x", |t, _, x| {
        let ([a, b], divisor) = (t.operands(x[0], &Mul)?, x[1]);
        let by = |y, x| (y == divisor).then_some(x);
        by(b, a).or_else(|| by(a, b))
    }),
];

pub(crate) const NEG: &[Rule] = &[
    Rule::exact("-(-x) = x", |t, _, x| {
        let [x] = t.operands(x[0], &Neg)?;
        Some(x)
    }),
    Rule::exact("-(c·x) = (-c)·x", |t, _, x| {
        let (c, x) = t.scaled(x[0])?;
        Some(t.product(-c, x))
    }),
    Rule::finite_only("-(x - y) = y - x", |t, _, x| {
        let [x, y] = t.operands(x[0], &Sub)?;
        Some(t.apply(Sub, &[y, x]))
    }),
];

pub(crate) const EXP: &[Rule] = &[Rule::real_only("exp (ln x) = x", |t, _, x| {
    let [x] = t.operands(x[0], &Ln)?;
    Some(x)
})];

pub(crate) const LN: &[Rule] = &[Rule::real_only("ln (exp x) = x", |t, _, x| {
    let [x] = t.operands(x[0], &Exp)?;
    Some(x)
})];

/// The words of the table.
trait Vocabulary {
    /// A constant.
    fn number(&mut self, number: f64) -> Term;
    /// c, of a constant.
    fn value(&self, term: Term) -> Option<f64>;
    /// Whether a term is this constant, to the bit.
    fn is(&self, term: Term, number: f64) -> bool;
    /// Whether a term is 0 or -0.
    fn is_zero(&self, term: Term) -> bool;
    /// c·x
    fn product(&mut self, factor: f64, term: Term) -> Term;
    /// (c, x), of c·x
    fn scaled(&self, term: Term) -> Option<(f64, Term)>;
    /// (c, x), of c·x; (-1, x), of -x; (1, x), of any other x
    fn multiple(&self, term: Term) -> (f64, Term);
    /// (c, x), of c + x
    fn shifted(&self, term: Term) -> Option<(f64, Term)>;
}

impl Vocabulary for Scalars {
    fn number(&mut self, number: f64) -> Term {
        self.apply(ScalarOp::constant(number), &[])
    }

    fn value(&self, term: Term) -> Option<f64> {
        number_of(self.constant(term)?)
    }

    fn is(&self, term: Term, number: f64) -> bool {
        let value = self.value(term);
        value.is_some_and(|value| value.to_bits() == number.to_bits())
    }

    fn is_zero(&self, term: Term) -> bool {
        self.value(term) == Some(0.0)
    }

    fn product(&mut self, factor: f64, term: Term) -> Term {
        let factor = self.number(factor);
        self.apply(Mul, &[factor, term])
    }

    fn scaled(&self, term: Term) -> Option<(f64, Term)> {
        if !self.is_unshared(term) {
            return None;
        }
        let [x, y] = self.operands(term, &Mul)?;
        let scaled = |c, x| self.value(c).map(|c| (c, x));
        scaled(x, y).or_else(|| scaled(y, x))
    }

    fn multiple(&self, term: Term) -> (f64, Term) {
        if let Some([x]) = self.operands(term, &Neg) {
            return (-1.0, x);
        }
        if let Some([x, y]) = self.operands(term, &Add)
            && x == y
            && self.is_unshared(term)
        {
            return (2.0, x);
        }
        self.scaled(term).unwrap_or((1.0, term))
    }

    fn shifted(&self, term: Term) -> Option<(f64, Term)> {
        if !self.is_unshared(term) {
            return None;
        }
        let [x, y] = self.operands(term, &Add)?;
        let shifted = |c, x| self.value(c).map(|c| (c, x));
        shifted(x, y).or_else(|| shifted(y, x))
    }
}

/// Tries a rule on two operands in either order.
fn either(
    terms: &mut Scalars,
    operands: &[Term],
    rule: fn(&mut Scalars, Term, Term) -> Option<Term>,
) -> Option<Term> {
    let [x, y] = *operands else { return None };
    rule(terms, x, y).or_else(|| rule(terms, y, x))
}

/// x·y ± x·z = x·(y ± z)
fn factor(terms: &mut Scalars, sign: ScalarOp, operands: &[Term]) -> Option<Term> {
    if !operands.iter().all(|&product| terms.is_unshared(product)) {
        return None;
    }
    let [a, b]: [Term; 2] = terms.operands(operands[0], &Mul)?;
    let [c, d] = terms.operands(operands[1], &Mul)?;
    let pairings = [(a, b, c, d), (a, b, d, c), (b, a, c, d), (b, a, d, c)];
    let (x, y, _, z) = pairings.into_iter().find(|(x, _, other, _)| x == other)?;
    let sum = terms.apply(sign, &[y, z]);
    Some(terms.apply(Mul, &[x, sum]))
}

fn number_of(op: &ScalarOp) -> Option<f64> {
    match op {
        ScalarOp::Constant(constant) => Some(constant.value()),
        _ => None,
    }
}

/// Whether products with this number are exact, but for overflow and underflow.
fn is_power_of_two(number: f64) -> bool {
    const FRACTION: u64 = (1 << 52) - 1;
    number.is_normal() && number.to_bits() & FRACTION == 0
}
