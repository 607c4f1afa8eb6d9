//! What can go wrong with functions.

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use thiserror::Error;
use tidu_graph::text::{counted, input_label};
use tidu_graph::{GraphError, GraphOperation};

use crate::rules::{ADRuleError, MissingRule, TypeError, ValueType};
use crate::sparse::SparsityError;

/// What can go wrong with functions.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// A rule, or a transform of the graph below.
    #[error(transparent)]
    Rule(#[from] ADRuleError),
    /// A graph that is not closed, or cannot run.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Types of inputs that do not fit.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// A pattern that is too large.
    #[error(transparent)]
    Sparsity(#[from] SparsityError),
    /// Entries of a sparse derivative of a value that has axes.
    #[error(
        "entries of a sparse derivative are single numbers, but {value} is {value_type}: use `jacobian`, or make each \
         element an input or output"
    )]
    SparseArray {
        /// The input or output.
        value: String,
        /// Its type.
        value_type: Box<ValueType>,
    },
    /// An operand that is not of the type of its input.
    #[error("input {name} is {expected}, found {found}")]
    WrongType {
        /// The input.
        name: String,
        /// What the function was made for.
        expected: Box<ValueType>,
        /// What was given.
        found: Box<ValueType>,
    },
    /// An input that the function does not have.
    #[error("the function has no input {name}; its inputs are {known}")]
    UnknownInput {
        /// What was asked for: a name, or a position.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// An output that the function does not have.
    #[error("the function has no output {name}; its outputs are {known}")]
    UnknownOutput {
        /// What was asked for: a name, or a position.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A name that several outputs have.
    #[error("the function has several outputs {name}: select them by position")]
    AmbiguousOutput {
        /// The name.
        name: String,
    },
    /// A call with the wrong number of values.
    #[error("the function takes {}, found {found}; its inputs are {known}", counted(*expected, "input"))]
    WrongInputCount {
        /// The number of inputs.
        expected: usize,
        /// The number of values.
        found: usize,
        /// The names that there are.
        known: String,
    },
    /// An input that is named twice.
    #[error("input {name} is named twice")]
    RepeatedInput {
        /// The name.
        name: String,
    },
    /// A graph that is not given one name per input or output.
    #[error("the graph has {}, found {}", counted(*expected, what), counted(*found, "name"))]
    WrongNameCount {
        /// What the names are for: `input` or `output`.
        what: &'static str,
        /// How many of these the graph has.
        expected: usize,
        /// The number of names.
        found: usize,
    },
    /// An input that is not given a value.
    #[error("input {name} is given no value")]
    MissingInput {
        /// The name.
        name: String,
    },
    /// A derivative with respect to nothing.
    #[error("nothing to differentiate by: name at least one input, or `..` for all")]
    NoInputs,
    /// The gradient, or what is made of it, of a function that does not have one output.
    #[error(
        "`{transform}` needs a function of one output, this one has {}",
        outputs_and_advice(transform, *outputs, known)
    )]
    NotScalar {
        /// What was asked for: `grad`, `value_and_grad`, `hvp` or `hessian`.
        transform: &'static str,
        /// The number of outputs, without those that have no derivatives.
        outputs: usize,
        /// Their names.
        known: String,
    },
    /// The operation set has no unit for a value.
    #[error(
        "a gradient is of a single number, and the operation set has no number one like {value}: sum up what \
         is more than a number, or use `vjp` or `jvp`, which leave the seed to you \
         (an operation set tells single numbers by `Primitive::one_like`)"
    )]
    NoUnit {
        /// The name of the value, with its type, if that is known.
        value: String,
    },
    /// The gradient of what is more than a number.
    #[error(
        "output {value} is {value_type}, and a gradient is of a single number: sum the output up, or use `vjp`, \
         which takes a weight for each of its numbers, or `jvp`"
    )]
    NotANumber {
        /// The output.
        value: String,
        /// Its type.
        value_type: Box<ValueType>,
    },
    /// The operation set has no basis for the space of a value.
    #[error(
        "a matrix of derivatives is of real numbers by real numbers, and the operation set has no \
         basis of the space of {value}, which may have more than one real dimension: use `jvp` once for each \
         direction, or `vjp` once for each number that comes out \
         (an operation set tells real numbers by `Primitive::basis_like`, arrays of them by `Primitive::basis_at`)"
    )]
    NoBasis {
        /// The name of the value, with its type, if that is known.
        value: String,
    },
    /// Arrays that the operation set does not put together.
    #[error(
        "a Jacobian is {value_type} here, put together of arrays, and the operation set does not put any together \
         (an operation set does by `Primitive::stack`)"
    )]
    NoStack {
        /// What would have come of it.
        value_type: Box<ValueType>,
    },
    /// The operation set has no zero for a value.
    #[error(
        "the derivative {value} is zero, and the operation set has no zero to return: `select` other outputs, or \
         differentiate by other inputs (an operation set supplies zeros by `Primitive::zero_like`)"
    )]
    NoZero {
        /// The name of the derivative.
        value: String,
    },
    /// A derivative by an input of a type that has none, as indices have none.
    #[error(
        "input {name} is {value_type}, by which there is no derivative: name other inputs to differentiate by{}",
        in_parentheses(others)
    )]
    InputWithoutDerivative {
        /// The input.
        name: String,
        /// Its type.
        value_type: Box<ValueType>,
        /// The inputs by which there are derivatives; empty if there are none.
        others: String,
    },
    /// A derivative of an output of a type that has none.
    #[error(
        "output {name} is {value_type}, of which there is no derivative: `select` other outputs{}, or use \
         `value_and_grad`, which returns such an output beside a gradient",
        in_parentheses(others)
    )]
    OutputWithoutDerivative {
        /// The output.
        name: String,
        /// Its type.
        value_type: Box<ValueType>,
        /// The outputs of which there are derivatives; empty if there are none.
        others: String,
    },
    /// Rules that a derivative needs and that are not there: all of them, not only the first.
    #[error(
        "the derivative needs rules that are not there: {}",
        list_rules(missing)
    )]
    MissingRules {
        /// The rules, in the order in which the derivative comes to them.
        missing: Vec<MissingRule>,
    },
    /// A function that is to be linear and is not.
    #[error("the function is not linear in {wrt}: {reason}")]
    NotLinear {
        /// The names of the inputs.
        wrt: String,
        /// What shows it.
        reason: String,
    },
    /// A derivative rule for a whole function that does not fit it.
    #[error(
        "the {rule} of {name} must take {} and have {}, found {} and {}",
        counted(expected.0, "input"), counted(expected.1, "output"), found.0, found.1
    )]
    WrongRuleArity {
        /// The name given to the function.
        name: String,
        /// JVP or VJP.
        rule: &'static str,
        /// The numbers of inputs and outputs that fit the function.
        expected: (usize, usize),
        /// Those of the rule.
        found: (usize, usize),
    },
    /// The operation set cannot hold functions.
    #[error(
        "the operation set cannot hold the function {name} as an operation: \
         implement `Primitive::composite`"
    )]
    NoComposite {
        /// The name given to the function.
        name: String,
    },
    /// Functions with rules of their own, too deep in one another to be evaluated.
    #[error(
        "{name} holds functions {depth} deep in one another, and at most {limit} can be evaluated: `expanded` flattens them"
    )]
    NestedTooDeep {
        /// The name given to the function.
        name: String,
        /// How deep they stand.
        depth: usize,
        /// How deep they may stand.
        limit: usize,
    },
    /// The operation set cannot hold a value fixed.
    #[error(
        "the operation set has no operation that stops a gradient: \
         implement `Primitive::stop_gradient`"
    )]
    NoStopGradient,
    /// A list that says something of each input or output, of another length.
    #[error("one flag per {what} is needed, {expected} in all, found {found}")]
    WrongFlagCount {
        /// Of what each flag is.
        what: &'static str,
        /// How many there are.
        expected: usize,
        /// How many flags were given.
        found: usize,
    },
    /// Two functions that cannot be composed.
    #[error(
        "the outer function takes {}, the inner one has {}",
        counted(*expected, "input"), counted(*found, "output")
    )]
    WrongArity {
        /// The number of inputs of the outer function.
        expected: usize,
        /// The number of outputs of the inner function.
        found: usize,
    },
}

impl FunctionError {
    /// Of what is more than a number there is no unit, whatever an operation set supplies.
    pub(super) fn no_unit(value: String, value_type: Option<ValueType>) -> Self {
        match value_type {
            Some(value_type) if is_several(&value_type) => Self::NotANumber {
                value,
                value_type: Box::new(value_type),
            },
            known => {
                let value = with_type(value, known.as_ref());
                Self::NoUnit { value }
            }
        }
    }
}

/// Whether values of a type do not have one element.
fn is_several(value_type: &ValueType) -> bool {
    value_type.dims().iter().any(|&size| size != 1)
}

/// A name with its type, if that is known.
pub(super) fn with_type(name: String, value_type: Option<&ValueType>) -> String {
    match value_type {
        Some(value_type) => format!("{name}: {value_type}"),
        None => name,
    }
}

pub(super) fn check_distinct<Op: GraphOperation>(
    keys: &[Op::InputKey],
) -> Result<(), FunctionError> {
    let mut seen = HashSet::with_capacity_and_hasher(keys.len(), FixedState::default());
    match keys.iter().find(|key| !seen.insert(*key)) {
        None => Ok(()),
        Some(key) => Err(FunctionError::RepeatedInput {
            name: input_label::<Op>(key),
        }),
    }
}

fn outputs_and_advice(transform: &str, count: usize, names: &str) -> String {
    let all_at_once = match transform {
        "grad" => {
            ", or use `jacobian` for the derivatives of all, `vjp` for those of a weighted sum"
        }
        "value_and_grad" => {
            ", or use `value_and_jacobian` for the derivatives of all, `vjp` for those of a weighted sum"
        }
        _ => "",
    };
    match count {
        0 => "none".to_owned(),
        count => format!("{count} ({names}): `select` one of them first{all_at_once}"),
    }
}

fn in_parentheses(names: &str) -> String {
    match names {
        "" => String::new(),
        names => format!(" ({names})"),
    }
}

fn list_rules(missing: &[MissingRule]) -> String {
    /// Enough to see whose rules are missing.
    const SHOWN: usize = 12;
    let rules = missing.iter().take(SHOWN).map(MissingRule::to_string);
    let mut text = rules.collect::<Vec<_>>().join(", ");
    if missing.len() > SHOWN {
        text.push_str(&format!(" and {} more", missing.len() - SHOWN));
    }
    text
}

/// Fails for a list that does not say something of each of what there is.
pub(crate) fn check_flags(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), FunctionError> {
    if expected == found {
        return Ok(());
    }
    Err(FunctionError::WrongFlagCount {
        what,
        expected,
        found,
    })
}
