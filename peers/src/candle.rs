//! candle: tensors that remember what they were computed from.

use std::hint::black_box;

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::loss::cross_entropy;

use crate::clock::{Measurement, measure};
use crate::network::{CLASSES, HIDDEN, INPUTS, Network, RATE};

/// A step of training on so many examples, for each of them.
pub fn train(rows: usize) -> Measurement {
    let mut model = Model::new(&Network::new(rows)).expect("shapes fit");
    measure(rows, 1, || black_box(model.step()).expect("shapes fit"))
}

/// The network.
pub struct Model {
    examples: Tensor,
    labels: Tensor,
    parameters: [Var; 4],
}

impl Model {
    /// On the processor.
    pub fn new(network: &Network) -> Result<Self> {
        let on = &Device::Cpu;
        let matrix = |numbers: &[f64], rows, columns| Var::from_slice(numbers, (rows, columns), on);
        let labels: Vec<u32> = network.labels.iter().map(|&label| label as u32).collect();
        Ok(Self {
            examples: Tensor::from_slice(&network.examples, (network.rows, INPUTS), on)?,
            labels: Tensor::from_slice(&labels, network.rows, on)?,
            parameters: [
                matrix(&network.first, INPUTS, HIDDEN)?,
                matrix(&[0.0; HIDDEN], 1, HIDDEN)?,
                matrix(&network.second, HIDDEN, CLASSES)?,
                matrix(&[0.0; CLASSES], 1, CLASSES)?,
            ],
        })
    }

    /// The loss; the parameters are one step on.
    pub fn step(&mut self) -> Result<f64> {
        let [first, shift, second, end] = &self.parameters;
        let hidden = self.examples.matmul(first)?.broadcast_add(shift)?.tanh()?;
        let scores = hidden.matmul(second)?.broadcast_add(end)?;
        let loss = cross_entropy(&scores, &self.labels)?;
        let gradients = loss.backward()?;
        for parameter in &self.parameters {
            if let Some(gradient) = gradients.get(parameter) {
                parameter.set(&parameter.sub(&(gradient * RATE)?)?)?;
            }
        }
        loss.to_scalar()
    }
}

#[cfg(test)]
mod tests {
    use super::Model;
    use crate::network::Network;
    use crate::tensors::{Compiled, Recorded};

    #[test]
    fn all_libraries_train_the_same_network() {
        let network = Network::new(32);
        let mut candle = Model::new(&network).expect("shapes fit");
        let (mut compiled, mut recorded) = (Compiled::new(&network), Recorded::new(&network));
        for _ in 0..3 {
            let expected = candle.step().expect("shapes fit");
            for found in [compiled.step(), recorded.step()] {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }
    }
}
