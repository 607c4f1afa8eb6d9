//! The laws for operands with shapes, which rules look up in the AD context.

use tidu::laws::{Law, Laws, Random, Space};

use super::*;

fn laws() -> Laws<Op> {
    Laws::new(Space::real_vectors(), |position| {
        ScalarKey::fresh(position as u64)
    })
}

/// As many vectors, of one length.
fn draw(count: usize) -> impl Fn(&mut Random) -> Vec<Vec<f64>> + Clone {
    move |random| {
        let length = 1 + random.below(3);
        let vector = |_| random.many_between(length, -2.0, 2.0);
        (0..count).map(vector).collect()
    }
}

fn whole_set(laws: Laws<Op>) -> Laws<Op> {
    laws.operations([Add, Mul, Dot], draw(2))
        .operation(Sum, draw(1))
        .operation(Broadcast { n: 3 }, |random| {
            vec![random.many_between(1, -2.0, 2.0)]
        })
}

/// No context is told of two shapes under one name.
#[test]
fn the_vector_set_passes() {
    let laws = laws().noting(|shapes: &mut Shapes, key, value: &Vec<f64>| {
        let known = shapes.of.get(key).copied().unwrap_or(value.len());
        assert_eq!(known, value.len(), "{key:?} is noted again");
        TestOp::register(shapes, key, value);
    });
    let laws = whole_set(laws).compositions(40, 6);
    laws.check().assert();
}

/// The context matters: without it, rules that need shapes fail, and others do not.
#[test]
fn shapes_must_be_noted() {
    let report = whole_set(laws()).check();
    assert!(report.broken_by("Add").is_empty(), "{report}");
    assert!(report.broken_by("Sum").contains(&Law::Transpose));
    assert!(report.broken_by("Dot").contains(&Law::Jvp));
    let message = &report.failures()[0].message;
    assert!(message.starts_with("nobody said how long"), "{message}");
}

/// A context that knows a shape beforehand serves as well.
#[test]
fn a_context_can_be_made() {
    let laws = laws().ad_context(|| {
        let mut shapes = Shapes::default();
        for position in [0, 1] {
            let key = ValueKey::<Op>::Input(ScalarKey::fresh(position));
            TestOp::register(&mut shapes, &key, &vec![0.0; 2]);
        }
        shapes
    });
    let laws = laws.operation(Dot, |random| {
        vec![random.many_between(2, -1.0, 1.0), vec![0.5, 0.25]]
    });
    let report = laws.check();
    assert!(!report.broken_by("Dot").contains(&Law::Jvp), "{report}");
}
