//! Tensors that remember what they were computed from: the eager front end.

use std::cell::RefCell;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

use num_complex::Complex64;
use tidu::eager::{self, EagerError};
use tidu::scalar::ScalarKey;
use tidu::{Function, TypeTable, ValueType};

use crate::context::Context;
use crate::expr::{ModelError, fitting};
use crate::front::{Value, operators};
use crate::op::TensorOp;
use crate::shape::ShapeError;
use crate::tensor::Tensor;

/// Where variables are recorded: [`tidu::eager::Tape`] for tensors, with operators.
///
/// # Example
///
/// ```
/// use tidu_tensor::{Tape, Tensor, Value};
///
/// let tape = Tape::new();
/// let x = tape.var([3.0, 4.0]);
/// let y = x.square().sum([0]);
/// assert_eq!(y.value(), &Tensor::from(25.0));
/// assert_eq!(y.backward()?.get(&x)?, Some(&Tensor::from([6.0, 8.0])));
/// # Ok::<(), tidu::eager::EagerError>(())
/// ```
#[derive(Debug)]
pub struct Tape {
    tape: RefCell<eager::Tape<TensorOp>>,
}

/// A tensor, with its place on a [`Tape`] if it has one. Tensors alone ([`From`]) and what is computed of them
/// have none: nothing is differentiated by them.
///
/// # Panics
///
/// Operators and methods of this type panic if operands do not fit together, or are of different tapes. The
/// text is that of the error which [`try_apply`](Self::try_apply) returns.
#[derive(Clone)]
pub struct Var<'t> {
    var: eager::Var<TensorOp>,
    tape: Option<&'t Tape>,
}

/// The gradients of one number by everything that it was computed from. See [`Var::backward`].
#[derive(Debug)]
pub struct Gradients {
    gradients: eager::Gradients<TensorOp>,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self {
            tape: RefCell::new(empty()),
        }
    }

    /// A tensor to differentiate by.
    pub fn var(&self, value: impl Into<Tensor>) -> Var<'_> {
        let var = self.tape.borrow_mut().leaf(value.into());
        self.here(var)
    }

    /// Forgets everything and keeps the memory for what comes next.
    pub fn clear(&mut self) {
        self.tape.get_mut().clear();
    }

    /// Forgets, after `body` has run, what it recorded. Variables from before remain good.
    ///
    /// # Errors
    ///
    /// [`EagerError::InSegment`] inside a checkpoint.
    pub fn scope<T>(&self, body: impl FnOnce() -> T) -> Result<T, EagerError> {
        let mark = self.tape.borrow().mark();
        let result = catch_unwind(AssertUnwindSafe(body));
        let rewound = self.tape.borrow_mut().rewind(mark);
        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        rewound.map(|()| result)
    }

    /// Runs `body` without recording: what it computes are constants.
    pub fn no_grad<T>(&self, body: impl FnOnce() -> T) -> T {
        let was_on = self.tape.borrow_mut().set_recording(false);
        let result = catch_unwind(AssertUnwindSafe(body));
        self.tape.borrow_mut().set_recording(was_on);
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The results of a function, recorded as one call.
    ///
    /// # Errors
    ///
    /// Those of [`tidu::eager::Tape::apply_function`].
    #[track_caller]
    pub fn apply_function(
        &self,
        function: &Function<TensorOp>,
        operands: &[&Var<'_>],
    ) -> Result<Vec<Var<'_>>, EagerError> {
        let operands: Vec<_> = operands.iter().map(|var| &var.var).collect();
        let results = self.tape.borrow_mut().apply_function(function, &operands)?;
        Ok(results.into_iter().map(|var| self.here(var)).collect())
    }

    /// Gives access to the tape behind the operators.
    ///
    /// # Panics
    ///
    /// If `body` uses a variable of this tape with operators.
    pub fn with<T>(&self, body: impl FnOnce(&mut eager::Tape<TensorOp>) -> T) -> T {
        body(&mut self.tape.borrow_mut())
    }

    fn here(&self, var: eager::Var<TensorOp>) -> Var<'_> {
        let tape = Some(self);
        Var { var, tape }
    }
}

/// A tape that names inputs of derived functions after a word.
fn empty() -> eager::Tape<TensorOp> {
    let name = || ScalarKey::from("v");
    eager::Tape::with_contexts(name, Context::default(), TypeTable::default())
}

impl<'t> Var<'t> {
    /// The tensor.
    pub fn value(&self) -> &Tensor {
        self.var.value()
    }

    /// The number, of a tensor of one real number.
    pub fn item(&self) -> Option<f64> {
        self.value().item()
    }

    /// Whether a gradient can flow to the tensor.
    pub fn requires_grad(&self) -> bool {
        self.var.requires_grad()
    }

    /// The same tensor as a constant.
    pub fn detach(&self) -> Self {
        self.value().clone().into()
    }

    /// The results of an operation.
    ///
    /// # Errors
    ///
    /// [`ModelError::Shape`] for operands that do not fit; [`ModelError::Eager`] for operands of different tapes.
    #[track_caller]
    pub fn try_apply(operation: TensorOp, operands: &[&Self]) -> Result<Vec<Self>, ModelError> {
        Self::fit_and_apply(Ok(operation), operands)
    }

    #[track_caller]
    fn fit_and_apply(
        operation: Result<TensorOp, ShapeError>,
        operands: &[&Self],
    ) -> Result<Vec<Self>, ModelError> {
        let types: Vec<ValueType> = operands.iter().map(|var| var.value_type()).collect();
        let types: Vec<&ValueType> = types.iter().collect();
        let (operation, _) = fitting(operation, &types, Location::caller())?;
        let tape = operands.iter().find_map(|var| var.tape);
        let constant;
        let recorder = match tape {
            Some(tape) => &tape.tape,
            None => {
                constant = RefCell::new(empty());
                &constant
            }
        };
        let vars: Vec<_> = operands.iter().map(|var| &var.var).collect();
        let results = recorder.borrow_mut().apply(operation, &vars)?;
        Ok(results.into_iter().map(|var| Self { var, tape }).collect())
    }

    /// The gradients of this number (of a larger tensor, the sum of its elements; of a complex one, its real
    /// part) by everything that it was computed from. The tape remains as it is: one
    /// can go backward again, from this or another number.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a constant; [`EagerError::WithoutDerivative`] for indices;
    /// [`EagerError::Derive`].
    pub fn backward(&self) -> Result<Gradients, EagerError> {
        let seed = self.one();
        let mut tape = self.tape()?.tape.borrow_mut();
        let gradients = tape.backward_all(&[(&self.var, seed)])?;
        Ok(Gradients { gradients })
    }

    /// The gradient of this number by each of `wrt`, recorded itself: derivatives of it can be had in turn. It
    /// is 0 where nothing depends on the variable.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`], [`EagerError::ForeignVar`], [`EagerError::WithoutDerivative`] by indices,
    /// [`EagerError::Derive`].
    pub fn gradient(&self, wrt: &[&Self]) -> Result<Vec<Self>, EagerError> {
        let tape = self.tape()?;
        let vars: Vec<_> = wrt.iter().map(|var| &var.var).collect();
        let seed = eager::Var::constant(self.one());
        let mut recorder = tape.tape.borrow_mut();
        let found = recorder.backward_recorded(&[(&self.var, seed)], &vars)?;
        let found = found.into_iter().zip(wrt).map(|(found, var)| match found {
            Some(found) => tape.here(found),
            // A constant of the tape's own, so that a loop over orders may go on.
            None => tape.here(recorder.constant(var.value().zeros_like())),
        });
        Ok(found.collect())
    }

    /// The seed of a gradient: 1, everywhere.
    fn one(&self) -> Tensor {
        match self.value() {
            Tensor::Complex(array) => Tensor::full(array.shape(), Complex64::ONE),
            value => Tensor::full(value.dims(), 1.0),
        }
    }

    fn tape(&self) -> Result<&'t Tape, EagerError> {
        self.tape.ok_or_else(|| EagerError::ConstantVar {
            place: "the number to differentiate".into(),
        })
    }
}

impl Value for Var<'_> {
    #[track_caller]
    fn apply(operation: Result<TensorOp, ShapeError>, operands: &[&Self]) -> Vec<Self> {
        match Self::fit_and_apply(operation, operands) {
            Ok(results) => results,
            Err(error) => panic!("{error}"),
        }
    }

    fn value_type(&self) -> ValueType {
        self.value().value_type()
    }
}

operators!([<'t>] Var<'t>);

impl Gradients {
    /// The gradient by a variable; `None` if nothing depends on it.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a constant, [`EagerError::ForeignVar`] for a variable of another tape,
    /// [`EagerError::StaleVar`] for one that the tape had forgotten.
    pub fn get(&self, var: &Var<'_>) -> Result<Option<&Tensor>, EagerError> {
        self.gradients.get(&var.var)
    }
}

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

impl From<f64> for Var<'_> {
    fn from(number: f64) -> Self {
        Tensor::from(number).into()
    }
}

impl From<Tensor> for Var<'_> {
    fn from(tensor: Tensor) -> Self {
        Self {
            var: eager::Var::constant(tensor),
            tape: None,
        }
    }
}

impl From<&Self> for Var<'_> {
    fn from(var: &Self) -> Self {
        var.clone()
    }
}

impl Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.var, f)
    }
}
