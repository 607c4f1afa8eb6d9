//! The words in which primitives say how they may be written more simply.

use tidu_graph::{EvaluableGraphOperation, GraphOperation, Rewrite, Term, Terms};

use crate::op::ScalarOp::{self, Add, Mul, Neg};

/// A rule, of which a zero is 0 or -0 unless its sign is given. Constants are put together only where the
/// result is rounded as any other number is: past overflow and underflow, all digits are lost.
pub(crate) type Rule = Rewrite<ScalarOp>;
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

/// What rules ask of terms, and make of them.
pub(crate) trait Vocabulary {
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
pub(crate) fn either(
    terms: &mut Scalars,
    operands: &[Term],
    rule: fn(&mut Scalars, Term, Term) -> Option<Term>,
) -> Option<Term> {
    let [x, y] = *operands else { return None };
    rule(terms, x, y).or_else(|| rule(terms, y, x))
}

/// x·y ± x·z = x·(y ± z)
pub(crate) fn factor(terms: &mut Scalars, sign: ScalarOp, operands: &[Term]) -> Option<Term> {
    if !operands.iter().all(|&product| terms.is_unshared(product)) {
        return None;
    }
    let [a, b]: [Term; 2] = terms.operands(operands[0], &Mul)?;
    let [c, d] = terms.operands(operands[1], &Mul)?;
    let pairings = [(a, b, c, d), (a, b, d, c), (b, a, c, d), (b, a, d, c)];
    let (x, y, _, z) = pairings.into_iter().find(|(x, _, other, _)| x == other)?;
    if terms.value(y).is_some() && terms.value(z).is_some() {
        // That is for multiples, which mind the range.
        return None;
    }
    let sum = terms.apply(sign, &[y, z]);
    Some(terms.apply(Mul, &[x, sum]))
}

fn number_of(op: &ScalarOp) -> Option<f64> {
    match op {
        ScalarOp::Constant(constant) => Some(constant.value()),
        _ => None,
    }
}

/// Whether c·d does not leave the range in which all digits are kept, if c and d are in it.
pub(crate) fn keeps_digits(c: f64, d: f64) -> bool {
    let has_digits = |number: f64| number.is_finite() && number != 0.0;
    !(has_digits(c) && has_digits(d)) || (c * d).is_normal()
}

/// Whether products with this number are exact, but for overflow and underflow.
pub(crate) fn is_power_of_two(number: f64) -> bool {
    const FRACTION: u64 = (1 << 52) - 1;
    number.is_normal() && number.to_bits() & FRACTION == 0
}
