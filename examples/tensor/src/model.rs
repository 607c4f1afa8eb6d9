//! What models that learn are made of, on the graph and on a tape.

use tidu::Function;

use crate::expr::{Expr, ModelError, function_of};
use crate::front::Value;
use crate::op::TensorOp;
use crate::types;

/// x·w + b: a layer that connects every column of x with every column of the result.
#[track_caller]
pub fn dense<V: Value>(x: &V, weights: &V, biases: &V) -> V {
    x.matmul(weights) + biases
}

/// The scores of a network: a [`dense`] layer for each pair of weights and biases, with tanh between them. With
/// a single layer these are the scores of logistic regression.
#[track_caller]
pub fn scores<V: Value>(x: &V, parameters: &[V]) -> V {
    let layers = parameters.chunks_exact(2).enumerate();
    layers.fold(x.clone(), |x, (at, layer)| {
        let x = if at == 0 { x } else { x.tanh() };
        dense(&x, &layer[0], &layer[1])
    })
}

/// The mean over rows of -ln p(label), where p is the softmax of the row's scores; `labels` are indices.
///
/// # Example
///
/// ```
/// use tidu_tensor::{Tensor, Var, model};
///
/// let scores: Var = Tensor::from([[0.0, 3.0_f64.ln()], [7.0, 7.0]]).into();
/// let loss = model::cross_entropy(&scores, &Tensor::from([1, 0]).into());
/// let expected = -(0.75_f64.ln() + 0.5_f64.ln()) / 2.0;
/// assert!((loss.item().unwrap() - expected).abs() < 1e-15);
/// ```
#[track_caller]
pub fn cross_entropy<V: Value>(scores: &V, labels: &V) -> V {
    let classes = scores.dims().last().copied().unwrap_or(1);
    // Slopes of log-softmax are finite: nobody needs to know where cotangents are zero.
    let is_label = labels.one_hot(classes);
    let of_label = is_label.with(TensorOp::KeepPart, &scores.log_softmax([-1]));
    -of_label.sum([-1]).mean_all()
}

/// A step of gradient descent as one function. It takes what `loss`, a function of one number, takes, and
/// returns the loss, and then each of the parameters p, as p - rate·∂loss/∂p.
///
/// # Errors
///
/// Those of [`Function::value_and_grad`].
///
/// # Example
///
/// ```
/// use tidu_tensor::{Tensor, Value, function, model, types};
///
/// let loss = function([("w", types::real([2]))], |[w]| [w.square().sum_all()])?;
/// let step = model::descent(&loss, &["w"], 0.25)?.compile();
/// let results = step.call(&[Tensor::from([1.0, 2.0])])?;
/// assert_eq!(results, [Tensor::from(5.0), Tensor::from([0.5, 1.0])]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn descent(
    loss: &Function<TensorOp>,
    parameters: &[&str],
    rate: f64,
) -> Result<Function<TensorOp>, ModelError> {
    let slopes = loss.value_and_grad(parameters)?;
    let names = loss.input_names();
    let known = loss.input_types().unwrap_or_default().iter().cloned();
    let numbers = std::iter::repeat_with(|| types::real([]));
    let inputs: Vec<_> = names
        .iter()
        .map(String::as_str)
        .zip(known.chain(numbers))
        .collect();
    let arguments = inputs.iter().cloned();
    let arguments: Vec<Expr> = arguments
        .map(|(name, value_type)| Expr::input(name, value_type))
        .collect();
    let mut outputs = Expr::call(&slopes, &arguments)?;
    let chosen = parameters.iter().filter_map(|parameter| {
        let at = names.iter().position(|name| name == parameter)?;
        Some(&arguments[at])
    });
    for (output, parameter) in outputs.iter_mut().skip(1).zip(chosen) {
        *output = parameter - &*output * rate;
    }
    function_of(&inputs, |_| outputs)
}
