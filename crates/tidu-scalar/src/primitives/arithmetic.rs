//! Sums, products and quotients, and what chooses between values: all that linear maps consist of.

use std::ops;

use tidu_ad::Linearity;

use crate::bytecode::Opcode;
use crate::definition::Eval::{Binary, Constant, Ternary, Unary};
use crate::definition::{Definition, Jvp};
use crate::notation::{Coefficient, Notation, Term};
use crate::op::ScalarOp::{self, Add, Cos, Div, Mul, Neg, Sin, Sub};
use crate::simplify::{Rule, Vocabulary, either, factor, is_power_of_two, keeps_digits};

/// The number that the operation holds.
pub(super) static CONSTANT: Definition = Definition::new("const", Constant, Jvp::Zero);

/// y = x₀ + x₁
///
/// ẏ = ẋ₀ + ẋ₁; x̄ = (ȳ, ȳ). Linear in both operands together.
pub(super) static ADD: Definition = Definition::new(
    "add",
    Binary(ops::Add::add),
    Jvp::Own(|_, dx| dx[0] + dx[1]),
)
.linear(Linearity::Joint, |_, _, ct| ct)
.commuting()
.rewritten(ADD_RULES)
.lowered(Opcode::Add);

const ADD_RULES: &[Rule] = &[
    Rule::exact("x + (-0) = x", |t, _, x| {
        either(t, x, |t, x, y| t.is(y, -0.0).then_some(x))
    })
    .for_constants(),
    Rule::exact("x + (-y) = x - y", |t, _, x| {
        either(t, x, |t, x, y| {
            let [y] = t.operands(y, &Neg)?;
            Some(t.apply(Sub, &[x, y]))
        })
    }),
    Rule::finite_only("x + 0 = x", |t, _, x| {
        either(t, x, |t, x, y| t.is_zero(y).then_some(x))
    })
    .for_constants(),
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
        let same = x == y && (c, d) != (1.0, 1.0) && (c + d).is_finite();
        same.then(|| t.product(c + d, x))
    }),
    Rule::real_only("c + (d + x) = (c + d) + x", |t, _, x| {
        either(t, x, |t, c, sum| {
            let c = t.value(c)?;
            let (d, x) = t.shifted(sum)?;
            (c + d).is_finite().then(|| {
                let shift = t.number(c + d);
                t.apply(Add, &[shift, x])
            })
        })
    })
    .for_constants(),
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

/// y = x₀ - x₁
///
/// ẏ = ẋ₀ - ẋ₁; x̄ = (ȳ, -ȳ). Linear in both operands together.
pub(super) static SUB: Definition = Definition::new(
    "sub",
    Binary(ops::Sub::sub),
    Jvp::Own(|_, dx| dx[0] - dx[1]),
)
.linear(Linearity::Joint, |_, i, ct| if i == 0 { ct } else { -ct })
.rewritten(SUB_RULES)
.lowered(Opcode::Sub);

const SUB_RULES: &[Rule] = &[
    Rule::exact("x - (+0) = x", |t, _, x| t.is(x[1], 0.0).then_some(x[0])).for_constants(),
    Rule::exact("(-0) - x = -x", |t, _, x| {
        t.is(x[0], -0.0).then(|| t.apply(Neg, &[x[1]]))
    })
    .for_constants(),
    Rule::exact("x - (-y) = x + y", |t, _, x| {
        let [y] = t.operands(x[1], &Neg)?;
        Some(t.apply(Add, &[x[0], y]))
    }),
    Rule::finite_only("x - 0 = x", |t, _, x| t.is_zero(x[1]).then_some(x[0])).for_constants(),
    Rule::finite_only("0 - x = -x", |t, _, x| {
        t.is_zero(x[0]).then(|| t.apply(Neg, &[x[1]]))
    })
    .for_constants(),
    Rule::finite_only("x - x = 0", |t, _, x| (x[0] == x[1]).then(|| t.number(0.0))),
    Rule::real_only("c·x - d·x = (c - d)·x", |t, _, x| {
        let ((c, x), (d, y)) = (t.multiple(x[0]), t.multiple(x[1]));
        (x == y && (c - d).is_finite()).then(|| t.product(c - d, x))
    }),
    Rule::real_only("x - c = (-c) + x", |t, _, x| {
        let shift = t.value(x[1])?;
        let shift = t.number(-shift);
        Some(t.apply(Add, &[shift, x[0]]))
    })
    .for_constants(),
    Rule::real_only("x·y - x·z = x·(y - z)", |t, _, x| factor(t, Sub, x)),
];

/// y = -x
///
/// ẏ = -ẋ; x̄ = -ȳ. Linear.
pub(super) static NEG: Definition =
    Definition::new("neg", Unary(ops::Neg::neg), Jvp::Own(|_, dx| -dx[0]))
        .linear(Linearity::Joint, |_, _, ct| -ct)
        .rewritten(NEG_RULES)
        .lowered(Opcode::Neg);

const NEG_RULES: &[Rule] = &[
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

/// y = x₀·x₁
///
/// ẏ = ẋ₀·x₁ + x₀·ẋ₁; x̄₀ = x₁·ȳ or x̄₁ = x₀·ȳ. Linear in each operand.
pub(super) static MUL: Definition = Definition::new(
    "mul",
    Binary(ops::Mul::mul),
    Jvp::Own(|p, dx| dx[0] * p.x(1) + p.x(0) * dx[1]),
)
.linear(Linearity::Each, |x, i, ct| x[1 - i] * ct)
.commuting()
.rewritten(MUL_RULES)
.lowered(Opcode::Mul);

const MUL_RULES: &[Rule] = &[
    Rule::exact("x·1 = x", |t, _, x| {
        either(t, x, |t, x, y| t.is(y, 1.0).then_some(x))
    })
    .for_constants(),
    Rule::exact("x·(-1) = -x", |t, _, x| {
        either(t, x, |t, x, y| t.is(y, -1.0).then(|| t.apply(Neg, &[x])))
    })
    .for_constants(),
    Rule::exact("(-x)·c = x·(-c)", |t, _, x| {
        either(t, x, |t, x, c| {
            let ([x], c) = (t.operands(x, &Neg)?, t.value(c)?);
            let c = t.number(-c);
            Some(t.apply(Mul, &[x, c]))
        })
    })
    .for_constants(),
    Rule::exact("(-x)·y = -(x·y)", |t, _, x| {
        either(t, x, |t, x, y| {
            let [x] = t.operands(x, &Neg)?;
            let product = t.apply(Mul, &[x, y]);
            Some(t.apply(Neg, &[product]))
        })
    }),
    Rule::finite_only("x·0 = 0", |t, _, x| {
        either(t, x, |t, _, y| t.is_zero(y).then(|| t.number(0.0)))
    })
    .for_constants(),
    Rule::real_only("c·(d·x) = (c·d)·x", |t, _, x| {
        either(t, x, |t, c, x| {
            let (c, (d, x)) = (t.value(c)?, t.scaled(x)?);
            keeps_digits(c, d).then(|| t.product(c * d, x))
        })
    })
    .for_constants(),
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

/// y = x₀ / x₁, for x₁ ≠ 0
///
/// ẏ = (ẋ₀ - y·ẋ₁) / x₁; x̄₀ = ȳ / x₁. Linear in x₀.
///
/// Edges: those of IEEE 754: ±∞ by 0, NaN for 0 / 0 and ∞ / ∞. Where 1 / x₁ overflows, the modes may differ: a
/// cotangent is divided by x₁ before it meets y, a tangent is multiplied by y first. (y / x₁ as a factor would
/// bring them together, for one more division wherever anything is divided.)
pub(super) static DIV: Definition = Definition::new(
    "div",
    Binary(ops::Div::div),
    Jvp::Own(|p, dx| (dx[0] - p.y(0) * dx[1]) / p.x(1)),
)
.linear(Linearity::In(&[&[true, false]]), |x, _, ct| ct / x[1])
.rewritten(DIV_RULES)
.lowered(Opcode::Div);

const DIV_RULES: &[Rule] = &[
    Rule::exact("x / 1 = x", |t, _, x| t.is(x[1], 1.0).then_some(x[0])).for_constants(),
    Rule::exact("x / (-1) = -x", |t, _, x| {
        t.is(x[1], -1.0).then(|| t.apply(Neg, &[x[0]]))
    })
    .for_constants(),
    Rule::exact("x / c = x·(1 / c), for a power of two", |t, _, x| {
        let inverse = t.value(x[1])?.recip();
        let exact = is_power_of_two(inverse) && is_power_of_two(inverse.recip());
        exact.then(|| t.product(inverse, x[0]))
    })
    .for_constants(),
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
    })
    .for_constants(),
    Rule::finite_only("x / x = 1", |t, _, x| (x[0] == x[1]).then(|| t.number(1.0))),
    Rule::real_only("x / c = (1 / c)·x", |t, _, x| {
        let inverse = t.value(x[1])?.recip();
        inverse.is_normal().then(|| t.product(inverse, x[0]))
    })
    .for_constants(),
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

/// y = x₀·x₁ + x₂, rounded once
///
/// ẏ = (ẋ₀·x₁ + x₀·ẋ₁) + ẋ₂, of products and sums: a chain of two fused ones would be two operations to
/// differentiate for one, and so double with every order. x̄ = (x₁·ȳ, ȳ) or (x₀·ȳ, ȳ). Linear in x₂ and one
/// factor together.
pub(super) static MUL_ADD: Definition = Definition::new(
    "mul_add",
    Ternary(f64::mul_add),
    Jvp::Own(|p, dx| dx[0] * p.x(1) + p.x(0) * dx[1] + dx[2]),
)
.linear(
    Linearity::In(&[&[true, false, true], &[false, true, true]]),
    |x, i, ct| if i == 2 { ct } else { x[1 - i] * ct },
)
.lowered(Opcode::MulAdd);

/// y = 1 / x, for x ≠ 0
///
/// ẏ = -(y²·ẋ). Edges: ±∞ at ±0 with slope -∞, ±0 at ±∞.
pub(super) static RECIP: Definition =
    Definition::unary("recip", f64::recip, |_, y, dx| -(y * y * dx)).lowered(Opcode::Recip);

/// y = x₀ rem x₁ = x₀ - x₁·trunc (x₀ / x₁), for x₁ ≠ 0; exact
///
/// ẏ = ẋ₀ + q·ẋ₁ with q = -trunc (x₀ / x₁), which is (y - x₀) / x₁. Rounded to an integer that is
/// exact up to 2⁵², where trunc of the rounded quotient may be off by one. Beyond, it is rounded.
///
/// Edges: the sign is that of x₀; x₀ rem ±∞ = x₀; NaN for x₀ = ±∞ and for x₁ = 0, with slope NaN by x₁ (in JAX ±∞:
/// there is no piece of which it could be). At its steps the slope is that of the piece to which y belongs,
/// and second derivatives are 0, as of all steps.
pub(super) static REM: Definition = Definition::binary(
    "rem",
    ops::Rem::rem,
    [
        |_, _, _, dx| dx,
        |x0, x1, y, dx| ((y - x0) / x1).then(ScalarOp::Round) * dx,
    ],
);

/// y = x₁ where x₀ ≠ 0, and x₂ where x₀ = 0; a NaN counts as not 0
///
/// ẏ = ẋ₁ or ẋ₂; x̄ = (0, ȳ, 0) or (0, 0, ȳ). Linear in x₁ and x₂ together. By [`KEEP_IF`], not by
/// products with 0 and 1: what is in the branch not taken, NaN also, reaches neither ẏ nor x̄.
pub(super) static SELECT: Definition = Definition::new(
    "select",
    Ternary(|condition, x, y| if condition != 0.0 { x } else { y }),
    Jvp::Own(|p, dx| match (dx[1].as_operand(), dx[2].as_operand()) {
        (Some(dx), Some(dy)) => {
            let operands = [p.x(0).into_operand(), dx, dy];
            p.work.linear(ScalarOp::Select, operands)
        }
        (_, None) => dx[1].keep_if(p.x(0)),
        (None, _) => dx[2].keep_if(p.x(0).is(0.0)),
    }),
)
.linear(Linearity::In(&[&[false, true, true]]), |x, i, ct| match i {
    1 => ct.keep_if(x[0]),
    _ => ct.keep_if(x[0].is(0.0)),
})
.lowered(Opcode::Select);

/// y = x₁ where x₀ ≠ 0, and 0 where x₀ = 0; a NaN counts as not 0
///
/// ẏ = ẋ₁ or 0; x̄ = (0, ȳ) or (0, 0). Linear in x₁.
pub(super) static KEEP_IF: Definition = Definition::new(
    "keep_if",
    Binary(|condition, x| if condition != 0.0 { x } else { 0.0 }),
    Jvp::Own(|p, dx| dx[1].keep_if(p.x(0))),
)
.linear(Linearity::In(&[&[false, true]]), |x, _, ct| {
    ct.keep_if(x[0])
})
.lowered(Opcode::KeepIf);

/// y = x, taken for a constant
///
/// ẏ = 0
pub(super) static STOP_GRADIENT: Definition =
    Definition::new("stop_gradient", Unary(|x| x), Jvp::Zero).lowered(Opcode::Copy);
