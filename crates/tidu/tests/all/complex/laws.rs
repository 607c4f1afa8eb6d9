//! The laws for complex operands: tangents are real-linear, transposition is with respect to
//! Re(conj(a)·b).

use tidu::laws::{Law, Laws, Random, Space};

use super::*;

fn laws() -> Laws<Op> {
    let space = Space::new(
        |z: &Complex64| vec![z.re, z.im],
        |_, parts| Complex64::new(parts[0], parts[1]),
    );
    Laws::new(space, |position| Key::Numbered(position as u64))
}

fn draw(count: usize) -> impl Fn(&mut Random) -> Vec<Complex64> + Clone {
    let draw_one = |random: &mut Random| {
        let parts = random.many_between(2, -1.0, 1.0);
        Complex64::new(parts[0], parts[1])
    };
    move |random| (0..count).map(|_| draw_one(random)).collect()
}

#[test]
fn the_complex_set_passes() {
    let unary = [Op::Neg, Op::Conj, Op::Exp, Op::ExpNeg, Op::Re, Op::Im];
    let laws = laws()
        .operations([Op::Add, Op::Mul, Op::GenerousMul], draw(2))
        .operations(unary, draw(1))
        .operation(Op::constant(I), draw(0));
    laws.compositions(40, 6).check().assert();
}

#[test]
fn a_forgotten_conjugate_breaks_the_transpose_law() {
    let report = laws().operation(Op::CarelessMul, draw(2)).check();
    let broken = report.broken_by("CarelessMul");
    assert!(broken.contains(&Law::Transpose), "{report}");
    assert!(!broken.contains(&Law::Jvp), "{report}");
}
