//! Wines to learn from, and models that learn how good they are.

#![allow(dead_code, reason = "each program uses a part")]

use std::collections::HashSet;

use linfa_datasets::winequality;
use tidu::{Function, ValueType};
use tidu_tensor::model::{cross_entropy, scores};
use tidu_tensor::{Expr, ModelError, Tensor, TensorOp, Value, function_of, types};
use tidu_testkit::Random;

/// What was measured of a wine.
pub const MEASUREMENTS: usize = 11;
/// Poor, fair or good.
pub const CLASSES: usize = 3;

/// Wines to learn from, and others to see what was learnt.
pub struct Wines {
    pub train: Part,
    pub test: Part,
}

/// Measurements in units of their standard deviation around their mean, and classes.
pub struct Part {
    rows: Vec<[f64; MEASUREMENTS]>,
    classes: Vec<i64>,
}

impl Wines {
    /// The red wines of Cortez et al. (2009), each once, every fifth of them to test with. Experts gave them
    /// marks from 3 to 8; up to 5 is poor, 6 is fair.
    pub fn load() -> Self {
        let data = winequality();
        let mut seen = HashSet::new();
        let [mut train, mut test] = [(); 2].map(|()| Part {
            rows: Vec::new(),
            classes: Vec::new(),
        });
        for (row, &mark) in data.records.outer_iter().zip(&data.targets) {
            let row: [f64; MEASUREMENTS] = std::array::from_fn(|at| row[at]);
            if seen.insert((row.map(f64::to_bits), mark)) {
                let part = if seen.len() % 5 == 0 {
                    &mut test
                } else {
                    &mut train
                };
                part.rows.push(row);
                part.classes.push(mark.clamp(5, 7) as i64 - 5);
            }
        }
        let units = train.units();
        for part in [&mut train, &mut test] {
            part.measure_in(&units);
        }
        Self { train, test }
    }
}

impl Part {
    /// How many wines there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The measurements and classes of some wines.
    pub fn choose(&self, wines: &[usize]) -> [Tensor; 2] {
        let numbers = wines.iter().flat_map(|&at| self.rows[at]).collect();
        let classes: Vec<i64> = wines.iter().map(|&at| self.classes[at]).collect();
        let measurements = Tensor::new([wines.len(), MEASUREMENTS], numbers);
        [measurements.expect("as many numbers"), classes.into()]
    }

    /// The measurements and classes of all wines.
    pub fn all(&self) -> [Tensor; 2] {
        self.choose(&(0..self.len()).collect::<Vec<_>>())
    }

    /// The share of wines that are of this class.
    pub fn share(&self, class: i64) -> f64 {
        let of_class = self.classes.iter().filter(|&&other| other == class);
        of_class.count() as f64 / self.len() as f64
    }

    /// The mean and the standard deviation of each measurement.
    fn units(&self) -> [(f64, f64); MEASUREMENTS] {
        let count = self.len() as f64;
        std::array::from_fn(|at| {
            let column = || self.rows.iter().map(|row| row[at]);
            let mean = column().sum::<f64>() / count;
            let variance = column().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            (mean, variance.sqrt())
        })
    }

    fn measure_in(&mut self, units: &[(f64, f64); MEASUREMENTS]) {
        for row in &mut self.rows {
            for (x, (mean, deviation)) in row.iter_mut().zip(units) {
                *x = (*x - mean) / deviation;
            }
        }
    }
}

/// Weights and biases to start from, of layers between so many numbers.
pub fn start(sizes: &[usize]) -> Vec<Tensor> {
    let mut random = Random(5);
    let layers = sizes.windows(2).flat_map(|size| {
        let scale = (3.0 / size[0] as f64).sqrt();
        let weights = (0..size[0] * size[1]).map(|_| scale * random.unit());
        let weights = Tensor::new([size[0], size[1]], weights.collect());
        [
            weights.expect("as many numbers"),
            Tensor::full(&[size[1]], 0.0),
        ]
    });
    layers.collect()
}

/// What learning makes small: the cross-entropy, and a little of the squares of the weights.
pub fn loss<V: Value>(wines: &V, classes: &V, parameters: &[V]) -> V {
    let weights = parameters.iter().step_by(2);
    let penalty = weights.map(|weights| weights.square().sum_all());
    let fit = cross_entropy(&scores(wines, parameters), classes);
    penalty.fold(fit, |loss, square| loss + square * 1e-3)
}

/// The share of wines whose class has the highest score.
pub fn accuracy<V: Value>(wines: &V, classes: &V, parameters: &[V]) -> V {
    let highest = scores(wines, parameters).argmax(-1);
    highest.to_real().equal(&classes.to_real()).mean_all()
}

/// The names of the parameters of a network.
pub const NAMES: [&str; 4] = ["w0", "b0", "w1", "b1"];

/// A function of so many wines and their classes, and of parameters of these types.
pub fn on_wines<Outputs: IntoIterator<Item = Expr>>(
    count: usize,
    parameters: &[Tensor],
    body: impl FnOnce(&Expr, &Expr, &[Expr]) -> Outputs,
) -> Result<Function<TensorOp>, ModelError> {
    let mut inputs: Vec<(&str, ValueType)> = vec![
        ("wines", types::real([count, MEASUREMENTS])),
        ("classes", types::index([count])),
    ];
    inputs.extend(
        NAMES
            .into_iter()
            .zip(parameters.iter().map(Tensor::value_type)),
    );
    function_of(&inputs, |given| body(&given[0], &given[1], &given[2..]))
}
