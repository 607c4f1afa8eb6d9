//! Operands that have no tangents, operands that must not be active, and a context to evaluate in that
//! cannot be made from nothing.

use tidu::graph::{EvaluableGraphOperation, GraphOperation, LocalValueId, OperationRole, ValueKey};
use tidu::laws::{Case, Law, Laws, Outcome, Random, Space};
use tidu::scalar::ScalarKey;
use tidu::{
    ADRuleError, ADRuleKind, ADRuleResult, Linearity, Primitive, PrimitiveBuilder, PrimitiveValue,
    RuleOperand::{Active, Fixed},
};

/// A vector, or an index into one.
#[derive(Clone, Debug)]
enum Value {
    Vector(Vec<f64>),
    Index(usize),
}

impl Value {
    fn vector(&self) -> &[f64] {
        match self {
            Value::Vector(vector) => vector,
            Value::Index(_) => panic!("this is an index"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    /// Element by element.
    Mul,
    /// (x, i) ↦ (xᵢ), for x of n elements
    Pick {
        n: usize,
    },
    /// (c, i) ↦ c·eᵢ, of n elements
    Put {
        n: usize,
    },
    /// (x, i) ↦ (x, i), which has an output without tangents
    Tagged,
    /// (x, i) ↦ x, with a tangent of one element
    Short,
    /// (x, s) ↦ s·x, with a step s that nobody may differentiate by
    Step,
}

use Op::{Add, Mul, Pick, Put, Short, Step, Tagged};

/// Counts evaluations; there is no default.
struct Meter {
    evaluations: usize,
}

impl GraphOperation for Op {
    type Operand = Value;
    type Context = Meter;
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        2
    }

    fn output_count(&self) -> usize {
        match self {
            Tagged => 2,
            _ => 1,
        }
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, meter: &mut Meter, x: &[&Value]) -> Vec<Value> {
        meter.evaluations += 1;
        let pairs = || x[0].vector().iter().zip(x[1].vector());
        vec![Value::Vector(match (self, x[1]) {
            (Add, _) => pairs().map(|(a, b)| a + b).collect(),
            (Mul, _) => pairs().map(|(a, b)| a * b).collect(),
            (Pick { .. }, Value::Index(i)) => vec![x[0].vector()[*i]],
            (Put { n }, Value::Index(i)) => {
                let mut vector = vec![0.0; *n];
                vector[*i] = x[0].vector()[0];
                vector
            }
            (Tagged, _) => return vec![x[0].clone(), x[1].clone()],
            (Short, _) => x[0].vector().to_vec(),
            (Step, s) => x[0].vector().iter().map(|x| x * s.vector()[0]).collect(),
            (Pick { .. } | Put { .. }, Value::Vector(_)) => panic!("not an index"),
        })]
    }
}

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Add
    }

    fn linearity(&self) -> Linearity {
        match self {
            Add => Linearity::Joint,
            Mul => Linearity::Each,
            Pick { .. } | Put { .. } | Step => Linearity::In(&[&[true, false]]),
            Tagged | Short => Linearity::Never,
        }
    }

    fn jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        self.try_jvp_rule(b, x, y, dx, ctx).unwrap()
    }

    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        _y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        let key = |at: usize| Fixed(PrimitiveValue::External(x[at].clone()));
        Ok(match self {
            Add => vec![b.emit_sum([dx[0], dx[1]])],
            Mul => {
                let left = dx[0].map(|dx| b.emit_linear(Mul, [Active(dx), key(1)]));
                let right = dx[1].map(|dx| b.emit_linear(Mul, [key(0), Active(dx)]));
                vec![b.emit_sum([left, right])]
            }
            Tagged => vec![dx[0], None],
            Short => {
                let pick = |dx| b.emit_linear(Pick { n: 3 }, [Active(dx), key(1)]);
                vec![dx[0].map(pick)]
            }
            Pick { .. } | Put { .. } | Step if dx[1].is_none() => {
                let linear = |dx| b.emit_linear(self.clone(), [Active(dx), key(1)]);
                vec![dx[0].map(linear)]
            }
            Pick { .. } | Put { .. } | Step => {
                let name = format!("{self:?} in operand 1");
                return Err(ADRuleError::unsupported(name, ADRuleKind::Jvp));
            }
        })
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let OperationRole::Linearized { active_mask } = role else {
            panic!("{self:?} is not part of a linear map");
        };
        let ct = ct[0].unwrap();
        let other = |at: usize| Fixed(x[1 - at].clone());
        match self {
            Add => vec![Some(ct), Some(ct)],
            Mul if active_mask[1] => vec![None, Some(b.emit_linear(Mul, [other(1), Active(ct)]))],
            Mul | Step => vec![
                Some(b.emit_linear(self.clone(), [Active(ct), other(0)])),
                None,
            ],
            Pick { n } => vec![
                Some(b.emit_linear(Put { n: *n }, [Active(ct), other(0)])),
                None,
            ],
            Put { n } => vec![
                Some(b.emit_linear(Pick { n: *n }, [Active(ct), other(0)])),
                None,
            ],
            Tagged | Short => panic!("{self:?} is not part of a linear map"),
        }
    }
}

fn laws() -> Laws<Op> {
    let space = Space::new(
        |value: &Value| match value {
            Value::Vector(vector) => vector.clone(),
            Value::Index(_) => vec![],
        },
        |like, coordinates| match like {
            Value::Vector(_) => Value::Vector(coordinates.to_vec()),
            Value::Index(index) => Value::Index(*index),
        },
    );
    let key = |position| ScalarKey::fresh(position as u64);
    Laws::in_context(space, key, Meter { evaluations: 0 })
}

fn vectors(lengths: [usize; 2]) -> impl Fn(&mut Random) -> Vec<Value> + Clone {
    move |random| {
        let vector = |length| Value::Vector(random.many_between(length, -2.0, 2.0));
        lengths.map(vector).into()
    }
}

fn vector_and_index(length: usize) -> impl Fn(&mut Random) -> Vec<Value> + Clone {
    move |random| {
        let vector = random.many_between(length, -2.0, 2.0);
        vec![Value::Vector(vector), Value::Index(random.below(3))]
    }
}

#[test]
fn operands_without_coordinates_have_no_tangents() {
    let report = laws()
        .operations([Add, Mul], vectors([3, 3]))
        .operations([Pick { n: 3 }, Tagged], vector_and_index(3))
        .operation(Put { n: 3 }, vector_and_index(1))
        .compositions(40, 8)
        .check();
    report.assert();
    for row in &report.rows()[..5] {
        assert_eq!(row.outcome(Law::Transpose), Outcome::Passed, "{report}");
    }
}

#[test]
fn operands_can_be_declared_inactive() {
    let step = || Case::operation(Step, vectors([3, 1]));
    let inactive = laws().operation(Mul, vectors([3, 3]));
    let inactive = inactive.case(step().inactive([1])).compositions(20, 6);
    inactive.check().assert();
    let report = laws().case(step().named("step by a number")).check();
    let message = &report.failures()[0].message;
    assert_eq!(
        message, "unsupported jvp AD rule for Step in operand 1",
        "{report}"
    );
    assert!(report.broken_by("step by a number").contains(&Law::Jvp));
}

#[test]
fn tangents_of_the_wrong_dimension_are_told() {
    let report = laws().operation(Short, vector_and_index(3)).check();
    let failure = &report.failures()[0];
    assert_eq!(failure.law, Law::Jvp);
    let complaint = "result 0 of a derivative does not have the dimension";
    assert!(failure.message.starts_with(complaint), "{report}");
    assert_eq!(failure.expected, "3 coordinates");
    assert_eq!(failure.found, "1 coordinates");
}
