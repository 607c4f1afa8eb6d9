//! Plain tensors as values: what operators and methods make of them is computed at once, and remembered nowhere.

use std::mem::replace;
use std::panic::Location;

use tidu::ValueType;
use tidu::graph::EvaluableGraphOperation;

use crate::context::Context;
use crate::expr::{ModelError, fitting};
use crate::front::{Value, operators};
use crate::op::TensorOp;
use crate::shape::Misuse;
use crate::tensor::Tensor;

impl Tensor {
    /// The results of an operation: what operators and methods of [`Value`] compute, which panic where this is an
    /// error.
    ///
    /// # Errors
    ///
    /// [`ModelError::Shape`] for operands that do not fit.
    ///
    /// # Example
    ///
    /// ```
    /// use tidu_tensor::{Tensor, TensorOp};
    ///
    /// let (x, y) = (Tensor::from([1.0, 2.0]), Tensor::from([1.0, 2.0, 3.0]));
    /// assert_eq!(Tensor::try_apply(TensorOp::Add, &[&x, &x])?, [Tensor::from([2.0, 4.0])]);
    /// assert!(Tensor::try_apply(TensorOp::Add, &[&x, &y]).is_err());
    /// # Ok::<(), tidu_tensor::ModelError>(())
    /// ```
    #[track_caller]
    pub fn try_apply(operation: TensorOp, operands: &[&Self]) -> Result<Vec<Self>, ModelError> {
        Self::fit_and_apply(Ok(operation), operands)
    }

    #[track_caller]
    pub(crate) fn fit_and_apply(
        operation: Result<TensorOp, Misuse>,
        operands: &[&Self],
    ) -> Result<Vec<Self>, ModelError> {
        let types: Vec<ValueType> = operands.iter().map(|x| x.value_type()).collect();
        let types: Vec<&ValueType> = types.iter().collect();
        let (operation, _) = fitting(operation, &types, Location::caller())?;
        Ok(operation.eval(&mut Context::default(), operands))
    }

    /// Puts the result of an operation in the place of this.
    #[track_caller]
    fn assign(&mut self, operation: TensorOp, other: &Self) {
        match self.fit_in_place(operation, other) {
            Ok(operation) => {
                let first = replace(self, 0.0.into());
                *self = operation.eval_over(first, other);
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The operation, if its result has the type of this.
    #[track_caller]
    fn fit_in_place(&self, operation: TensorOp, other: &Self) -> Result<TensorOp, ModelError> {
        let types = [self.value_type(), other.value_type()];
        let (operation, results) = fitting(Ok(operation), &types.each_ref(), Location::caller())?;
        let [this, other] = types;
        let result = results.into_iter().find(|result| *result != this);
        result.map_or(Ok(operation.clone()), |result| {
            Err(ModelError::InPlace {
                location: Location::caller().to_string(),
                operation: format!("{operation:?}"),
                this: Box::new(this),
                other: Box::new(other),
                result: Box::new(result),
            })
        })
    }
}

/// # Panics
///
/// Operators and methods of plain tensors panic if operands do not fit together. The text is that of the error which
/// [`try_apply`](Self::try_apply) returns.
impl Value for Tensor {
    #[track_caller]
    fn apply(operation: Result<TensorOp, Misuse>, operands: &[&Self]) -> Vec<Self> {
        match Self::fit_and_apply(operation, operands) {
            Ok(results) => results,
            Err(error) => panic!("{error}"),
        }
    }

    fn value_type(&self) -> ValueType {
        Tensor::value_type(self)
    }

    fn dims(&self) -> Vec<usize> {
        Tensor::dims(self).to_vec()
    }
}

operators!([] Tensor);

/// In place: the right side may be stretched, the left one not. The memory of the left side is written over, unless
/// another tensor shares it.
macro_rules! in_place {
    ($($Trait:ident $method:ident $Operation:ident),*) => {
        $(
            in_place!(@one $Trait $method $Operation, Tensor);
            in_place!(@one $Trait $method $Operation, &Tensor);

            impl std::ops::$Trait<f64> for Tensor {
                #[track_caller]
                fn $method(&mut self, other: f64) {
                    self.assign(TensorOp::$Operation, &other.into());
                }
            }
        )*
    };
    (@one $Trait:ident $method:ident $Operation:ident, $Other:ty) => {
        impl std::ops::$Trait<$Other> for Tensor {
            #[track_caller]
            fn $method(&mut self, other: $Other) {
                self.assign(TensorOp::$Operation, std::borrow::Borrow::borrow(&other));
            }
        }
    };
}

in_place!(
    AddAssign add_assign Add,
    SubAssign sub_assign Sub,
    MulAssign mul_assign Mul,
    DivAssign div_assign Div
);
