//! What a downstream crate must say about its operations.

use std::error::Error as StdError;
use std::fmt::{self, Debug};
use std::hash::Hash;

use crate::base::MAX_OUTPUTS;
use crate::error::{GraphError, describe_operation};
use crate::operands::Operands;
use crate::simplify::Rewrite;
use crate::sub_function::SubFunction;
use crate::value_type::ValueType;

/// An operation that can stand in a [`Graph`](crate::Graph).
///
/// An operation is a *value*: a small description such as `Add` or `Reshape { shape }`, compared
/// and hashed by content. Two equal operations applied to the same operands in the same role are
/// the same computation, and every pass of this crate may share them. An operation must therefore
/// be pure: what it computes depends on its operands alone.
///
/// # Example
///
/// ```
/// use tidu_graph::GraphOperation;
///
/// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// enum Op {
///     Add,
///     SinCos,
/// }
///
/// impl GraphOperation for Op {
///     type Operand = f64;
///     type Context = ();
///     type InputKey = &'static str;
///
///     fn input_count(&self) -> usize {
///         match self {
///             Op::Add => 2,
///             Op::SinCos => 1,
///         }
///     }
///
///     fn output_count(&self) -> usize {
///         match self {
///             Op::Add => 1,
///             Op::SinCos => 2,
///         }
///     }
/// }
///
/// assert_eq!(Op::SinCos.output_count(), 2);
/// ```
pub trait GraphOperation: Clone + Debug + Hash + Eq + Send + Sync + 'static {
    /// What flows along the edges when a program runs: a number, a tensor, a handle.
    type Operand: Clone + Send + Sync + 'static;
    /// What evaluation may use and change: a device, a pool of buffers, a counter.
    type Context;
    /// The name of a graph input.
    type InputKey: Clone + Debug + Hash + Eq + Send + Sync + 'static;

    /// The number of operands. Must not change from call to call.
    fn input_count(&self) -> usize;

    /// The number of results, at most 256. Must not change from call to call.
    fn output_count(&self) -> usize;

    /// Whether exchanging the two operands changes nothing, to the last bit: x + y, but not x - y, and
    /// not a product of matrices. Equal work is then found in either order
    /// ([`merge`](crate::merge)).
    fn commutes(&self) -> bool {
        false
    }

    /// What the operation yields on constants: one operation without operands for each result, or
    /// `None` to leave it alone.
    ///
    /// `operands` are operations without operands. An operation set whose operations can hold any
    /// operand computes them with `eval`, runs itself, and wraps the results.
    fn fold(&self, _operands: &[&Self]) -> Option<Vec<Self>> {
        None
    }

    /// The rules by which [`try_simplify`](crate::try_simplify) may replace this operation, in the order
    /// in which they are tried. Only operations of one result are replaced.
    fn rewrites(&self) -> &'static [Rewrite<Self>] {
        &[]
    }

    /// The types of the results, for operands of these types, as many as the operation has.
    ///
    /// The default, `None`, says that the operation set has no types. A set that has some says with them that its
    /// rules, and what it makes of constants, depend on nothing but an operation and the types of its operands: a
    /// derivative is then made once for all operands of the same types. (JAX: an abstract evaluation rule.)
    ///
    /// # Errors
    ///
    /// Where the operation cannot be applied to such operands: an error of the set's own, or a text. It is
    /// shown after the operation and the types that it was given.
    fn infer_types(
        &self,
        _operands: &[&ValueType],
    ) -> Result<Option<Vec<ValueType>>, Box<dyn StdError + Send + Sync>> {
        Ok(None)
    }

    /// The functions that the operation holds, in order: the body of a call, of a loop, the branches of a choice. None by
    /// default.
    ///
    /// What an operation computes may depend on what they compute, and on nothing else of them. Printing, verifying,
    /// simplifying and the other passes go into them, each distinct one once. (JAX: the jaxprs among the parameters of an
    /// equation.)
    fn functions(&self) -> &[SubFunction<Self>] {
        &[]
    }

    /// The operation with these functions in place of [its own](Self::functions), as many, of the same numbers of inputs
    /// and outputs; `None`, which is the default, if it cannot be made with others. Passes leave the functions of such an
    /// operation as they are.
    fn with_functions(&self, _functions: Vec<SubFunction<Self>>) -> Option<Self> {
        None
    }

    /// How many inputs and outputs the function at this place must have. The default says as many as the operation has,
    /// as for the body of a call. A graph takes no operation that holds others.
    fn function_arity(&self, _position: usize) -> (usize, usize) {
        (self.input_count(), self.output_count())
    }

    /// The type of an operand, for operation sets that [infer](Self::infer_types) types.
    fn type_of_operand(_operand: &Self::Operand) -> Option<ValueType> {
        None
    }

    /// Writes the name that graphs are printed with, such as `mul` or `const 2.5`.
    ///
    /// The default is the `Debug` form. Different operations should have different names; any text
    /// will do, and is quoted in print where it would be misread.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(self, f)
    }

    /// Writes the name of an input that graphs are printed with.
    ///
    /// The default is the `Debug` form, without its quotes if the key is a string.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn fmt_input_name(key: &Self::InputKey, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_without_quotes(&format!("{key:?}"), f)
    }
}

/// Why an operation cannot be evaluated: an error of the operation set's own, or a text.
pub type EvalError = Box<dyn StdError + Send + Sync>;

/// An operation that can be run on concrete operands.
///
/// A program calls [`eval_one`](Self::eval_one) for an operation of one result, and where that declines
/// [`try_eval_into`](Self::try_eval_into), which calls [`try_eval`](Self::try_eval), which calls
/// [`eval`](Self::eval). Only the last must be written; all must yield the same, to the bit (the laws of `tidu-ad` hold
/// them to it).
pub trait EvaluableGraphOperation: GraphOperation {
    /// Computes the results of the operation.
    ///
    /// `inputs` holds [`input_count`](GraphOperation::input_count) operands; the result must hold
    /// [`output_count`](GraphOperation::output_count) of them.
    fn eval(&self, ctx: &mut Self::Context, inputs: &[&Self::Operand]) -> Vec<Self::Operand>;

    /// [`eval`](Self::eval), where it can fail: a matrix that has no inverse, a device without memory.
    ///
    /// What the library calls when a program runs. The default calls `eval`.
    ///
    /// # Errors
    ///
    /// An error of the operation set's own, or a text. A program that stops at it says at which operation
    /// ([`CallError::Failed`](crate::CallError::Failed)).
    ///
    /// # Example
    ///
    /// ```
    /// # use tidu_graph::{DenseGraph, EvalError, EvaluableGraphOperation, GraphOperation};
    /// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    /// struct Inverse;
    /// # impl GraphOperation for Inverse {
    /// #     type Operand = f64;
    /// #     type Context = ();
    /// #     type InputKey = ();
    /// #     fn input_count(&self) -> usize { 1 }
    /// #     fn output_count(&self) -> usize { 1 }
    /// # }
    ///
    /// impl EvaluableGraphOperation for Inverse {
    ///     fn eval(&self, ctx: &mut (), x: &[&f64]) -> Vec<f64> {
    ///         self.try_eval(ctx, x).expect("a number that has an inverse")
    ///     }
    ///
    ///     fn try_eval(&self, _: &mut (), x: &[&f64]) -> Result<Vec<f64>, EvalError> {
    ///         if *x[0] == 0.0 {
    ///             return Err("0 has no inverse".into());
    ///         }
    ///         Ok(vec![1.0 / x[0]])
    ///     }
    /// }
    ///
    /// let mut graph = DenseGraph::new(1);
    /// let inverse = graph.push(Inverse, &[graph.input(0)])?.start();
    /// graph.set_outputs(vec![inverse]);
    /// let error = graph.compile().try_eval(&mut (), &[&0.0]).unwrap_err();
    /// assert_eq!(error.to_string(), "Inverse (instruction 0) failed: 0 has no inverse");
    /// # Ok::<(), tidu_graph::GraphError>(())
    /// ```
    #[inline(always)]
    fn try_eval(
        &self,
        ctx: &mut Self::Context,
        inputs: &[&Self::Operand],
    ) -> Result<Vec<Self::Operand>, EvalError> {
        Ok(self.eval(ctx, inputs))
    }

    /// [`try_eval`](Self::try_eval), with the results appended to `outputs`, for programs.
    ///
    /// The default calls `try_eval`. An operation on small operands does better to push its results: a
    /// program then allocates nothing for it.
    ///
    /// # Errors
    ///
    /// Those of `try_eval`.
    #[inline(always)]
    fn try_eval_into(
        &self,
        ctx: &mut Self::Context,
        inputs: &[&Self::Operand],
        outputs: &mut Vec<Self::Operand>,
    ) -> Result<(), EvalError> {
        for result in self.try_eval(ctx, inputs)? {
            outputs.push(result);
        }
        Ok(())
    }

    /// [`try_eval_into`](Self::try_eval_into), for those who count results: where that fails, the list is emptied.
    #[inline(always)]
    fn eval_into(
        &self,
        ctx: &mut Self::Context,
        inputs: &[&Self::Operand],
        outputs: &mut Vec<Self::Operand>,
    ) {
        if self.try_eval_into(ctx, inputs, outputs).is_err() {
            outputs.clear();
        }
    }

    /// The result of an operation of one result, for programs: like [`eval`](Self::eval), but without a
    /// list around the result, and with operands that may be
    /// [taken](crate::Operands::take) at their last use, so that a large one gives its memory to the
    /// result.
    ///
    /// `None`, which is the default, has the program call [`try_eval_into`](Self::try_eval_into); nothing may have
    /// been taken then. So an operation that fails returns `None` here, and says there why. The result must be
    /// that of `eval`, to the bit.
    fn eval_one(
        &self,
        _ctx: &mut Self::Context,
        _operands: &mut Operands<'_, Self::Operand>,
    ) -> Option<Self::Operand> {
        None
    }

    /// The operation that yields `value` from no operands, if the set can hold it.
    fn constant_of(_value: &Self::Operand) -> Option<Self> {
        None
    }
}

/// Writes what a string in `Debug` form holds, as far as it has no escapes; any other text as it is.
fn write_without_quotes(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|inner| !inner.contains(['"', '\\']));
    f.write_str(inner.unwrap_or(text))
}

/// The part that an operation plays in a graph.
///
/// The graph crate only carries this mark along (it is part of a value's identity); the
/// differentiation layer gives it meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OperationRole {
    /// An ordinary computation.
    Primary,
    /// A piece of a linear map.
    Linearized {
        /// One flag per operand: the operation is linear in exactly those that are `true`, jointly.
        /// All `false` marks work that does not depend on the linear map's inputs.
        active_mask: Vec<bool>,
    },
}

impl OperationRole {
    /// The flags, of which a primary operation has none.
    pub(crate) fn active_mask(&self) -> &[bool] {
        match self {
            OperationRole::Primary => &[],
            OperationRole::Linearized { active_mask } => active_mask,
        }
    }
}

/// Fails for an operation that is not applied to as many operands as it takes, or that holds a function of other numbers
/// of inputs and outputs than it says.
#[inline]
pub(crate) fn check_arity<Op: GraphOperation>(
    operation: &Op,
    operands: usize,
) -> Result<(), GraphError> {
    check_functions(operation)?;
    let expected = operation.input_count();
    if expected == operands {
        return Ok(());
    }
    Err(GraphError::WrongArity {
        operation: describe_operation(operation),
        expected,
        found: operands,
    })
}

/// Fails for a function of other numbers of inputs and outputs than its operation says.
#[inline]
pub(crate) fn check_functions<Op: GraphOperation>(operation: &Op) -> Result<(), GraphError> {
    for (position, function) in operation.functions().iter().enumerate() {
        let (expected, found) = (operation.function_arity(position), function.arity());
        if expected != found {
            return Err(GraphError::WrongFunctionArity {
                operation: describe_operation(operation),
                function: function.name().to_owned(),
                expected,
                found,
            });
        }
    }
    Ok(())
}

/// Fails for an output that is no value of the graph.
pub(crate) fn check_outputs(
    outputs: impl IntoIterator<Item = usize>,
    available: usize,
) -> Result<(), GraphError> {
    let mut outputs = outputs.into_iter().enumerate();
    match outputs.find(|(_, id)| *id >= available) {
        Some((position, id)) => Err(GraphError::UnknownOutputId {
            position,
            id,
            available,
        }),
        None => Ok(()),
    }
}

/// How many results an operation has, if that is not too many.
#[inline]
pub(crate) fn count_outputs<Op: GraphOperation>(operation: &Op) -> Result<usize, GraphError> {
    match operation.output_count() {
        found if found > MAX_OUTPUTS => Err(GraphError::TooManyOutputs {
            operation: describe_operation(operation),
            found,
            limit: MAX_OUTPUTS,
        }),
        found => Ok(found),
    }
}

#[cfg(test)]
pub(crate) mod toy {
    //! What unit tests build graphs of.

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub enum Toy {
        Neg,
        Sin,
        Cos,
        /// Calls a function, and takes two operands.
        Call(SubFunction<Toy>),
    }

    impl GraphOperation for Toy {
        type Operand = f64;
        type Context = ();
        type InputKey = &'static str;

        fn input_count(&self) -> usize {
            1 + self.functions().len()
        }

        fn output_count(&self) -> usize {
            1
        }

        fn functions(&self) -> &[SubFunction<Self>] {
            match self {
                Toy::Call(function) => std::slice::from_ref(function),
                _ => &[],
            }
        }
    }
}
