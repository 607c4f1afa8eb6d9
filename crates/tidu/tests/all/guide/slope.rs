// A part of docs/prove-your-own-primitive.md: the slope of tanh.
/// 1 - y², the slope of tanh where it is y, as (1 - y)·(1 + y): no digits cancel near y = ±1.
fn slope_of_tanh(b: &mut impl PrimitiveBuilder<Op>, y: PrimitiveValue<Op>) -> PrimitiveValue<Op> {
    let one = b.emit_fixed(number(1.0), []);
    let minus_one = b.emit_fixed(number(-1.0), []);
    let minus_y = b.emit_fixed(Op::Mul, [minus_one, y.clone()]);
    let left = b.emit_fixed(Op::Add, [one.clone(), minus_y]);
    let right = b.emit_fixed(Op::Add, [one, y]);
    b.emit_fixed(Op::Mul, [left, right])
}
