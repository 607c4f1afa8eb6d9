//! A small network to train, the same for all libraries: 11 numbers to 32 by tanh, to 3 classes by softmax, with
//! the mean cross-entropy as its loss and a step of gradient descent.

use tidu_testkit::Random;

/// Numbers that an example has.
pub const INPUTS: usize = 11;
/// Numbers in between.
pub const HIDDEN: usize = 32;
/// What an example may be.
pub const CLASSES: usize = 3;
/// How far a step goes along the gradient.
pub const RATE: f64 = 0.1;

/// Examples, and parameters to start from, row by row.
pub struct Network {
    /// How many examples there are.
    pub rows: usize,
    /// `rows` × [`INPUTS`]
    pub examples: Vec<f64>,
    /// The classes of the examples.
    pub labels: Vec<usize>,
    /// [`INPUTS`] × [`HIDDEN`]
    pub first: Vec<f64>,
    /// [`HIDDEN`] × [`CLASSES`]
    pub second: Vec<f64>,
}

impl Network {
    /// The network on so many examples. Biases start at 0.
    pub fn new(rows: usize) -> Self {
        let mut random = Random(1);
        let mut draw = |count: usize, scale: f64| -> Vec<f64> {
            (0..count).map(|_| scale * random.unit()).collect()
        };
        Self {
            rows,
            examples: draw(rows * INPUTS, 1.0),
            labels: (0..rows).map(|row| row % CLASSES).collect(),
            first: draw(INPUTS * HIDDEN, 0.3),
            second: draw(HIDDEN * CLASSES, 0.3),
        }
    }
}
