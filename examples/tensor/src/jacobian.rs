//! All of a derivative by a tensor, as a matrix of numbers.

use ndarray::Array2;
use tidu::{Function, FunctionError, FunctionProgram};

use crate::op::TensorOp;
use crate::tensor::Tensor;

/// The derivative of a function by one real input, ready to be computed at many points.
///
/// What depends on the point is computed once for each, and the linear map that remains is applied to one
/// basis vector after the other.
///
/// # Example
///
/// ```
/// use tidu_tensor::{Jacobian, Tensor, Value, function, types};
///
/// // The Hessian of x³·y
/// let f = function([("x", types::real([2]))], |[x]| {
///     [x.slice(0, 0..1).power(3.0).matmul(&x.slice(0, 1..2))]
/// })?;
/// let hessian = Jacobian::new(&f.grad("x")?, "x")?;
/// let (gradient, matrix) = hessian.call(&[Tensor::from([1.0, 5.0])])?;
/// assert_eq!(gradient, [Tensor::from([15.0, 1.0])]);
/// assert_eq!(matrix, ndarray::array![[30.0, 3.0], [3.0, 0.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Jacobian {
    primal: FunctionProgram<TensorOp>,
    linear: FunctionProgram<TensorOp>,
    input: usize,
    outputs: usize,
}

impl Jacobian {
    /// Derives.
    ///
    /// # Errors
    ///
    /// Those of [`Function::linearize`].
    pub fn new(function: &Function<TensorOp>, input: &str) -> Result<Self, FunctionError> {
        let split = function.linearize(input)?;
        let names = function.input_names();
        Ok(Self {
            primal: split.primal.compile(),
            linear: split.linear.compile(),
            // It was found when it was differentiated by.
            input: names.iter().position(|name| name == input).unwrap_or(0),
            outputs: function.output_names().len(),
        })
    }

    /// The results of the function, and the derivative: a row for each element of the results, and a column
    /// for each of the input, both from first to last.
    ///
    /// # Errors
    ///
    /// Those of [`FunctionProgram::call`].
    ///
    /// # Panics
    ///
    /// If results or the input are not of real numbers.
    pub fn call(&self, point: &[Tensor]) -> Result<(Vec<Tensor>, Array2<f64>), FunctionError> {
        let mut results = self.primal.call(point)?;
        let residuals = results.split_off(self.outputs);
        let (dims, columns) = (point[self.input].dims(), point[self.input].len());
        let rows = results.iter().map(Tensor::len).sum();
        let mut matrix = Array2::zeros([rows, columns]);
        let mut arguments = residuals;
        for column in 0..columns {
            arguments.push(basis_vector(dims, column));
            let tangents = self.linear.call(&arguments)?;
            arguments.pop();
            let numbers = tangents.iter().flat_map(real_numbers);
            for (entry, number) in matrix.column_mut(column).iter_mut().zip(numbers) {
                *entry = number;
            }
        }
        Ok((results, matrix))
    }
}

/// 1 at one element, counted from the first, and 0 elsewhere.
fn basis_vector(dims: &[usize], at: usize) -> Tensor {
    let mut vector = ndarray::ArrayD::zeros(dims);
    if let Some(element) = vector.iter_mut().nth(at) {
        *element = 1.0;
    }
    vector.into()
}

fn real_numbers(tensor: &Tensor) -> Vec<f64> {
    let numbers = tensor.elements::<f64>();
    numbers.unwrap_or_else(|| {
        panic!(
            "a derivative of {}, not of real numbers",
            tensor.value_type()
        )
    })
}
