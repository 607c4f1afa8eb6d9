//! tidu on tensors: the network as a compiled program, and on a tape.

use std::hint::black_box;

use tidu::FunctionProgram;
use tidu_tensor::model::{cross_entropy, descent, scores};
use tidu_tensor::{Context, Tape, Tensor, TensorOp, Value, Var, function, types};

use crate::clock::{Measurement, measure};
use crate::network::{CLASSES, HIDDEN, INPUTS, Network, RATE};

/// A step of training by a program that was compiled before, on so many examples, for each of them.
pub fn train(rows: usize) -> Measurement {
    let mut model = Compiled::new(&Network::new(rows));
    measure(rows, 1, || black_box(model.step()))
}

/// A step of training on a tape.
pub fn train_eager(rows: usize) -> Measurement {
    let mut model = Recorded::new(&Network::new(rows));
    measure(rows, 1, || black_box(model.step()))
}

/// The mean cross-entropy of the network with these weights and biases.
fn loss<V: Value>(examples: &V, labels: &V, parameters: &[V; 4]) -> V {
    cross_entropy(&scores(examples, parameters), labels)
}

/// Examples, labels and parameters.
fn tensors(network: &Network) -> [Tensor; 6] {
    let matrix = |rows, columns, numbers: &[f64]| {
        Tensor::new([rows, columns], numbers.to_vec()).expect("as many numbers")
    };
    let labels = network.labels.iter().map(|&label| label as i64);
    [
        matrix(network.rows, INPUTS, &network.examples),
        labels.collect::<Vec<_>>().into(),
        matrix(INPUTS, HIDDEN, &network.first),
        Tensor::full(&[HIDDEN], 0.0),
        matrix(HIDDEN, CLASSES, &network.second),
        Tensor::full(&[CLASSES], 0.0),
    ]
}

/// The network as a program that returns the loss and new parameters.
pub struct Compiled {
    step: FunctionProgram<TensorOp>,
    inputs: [Tensor; 6],
}

impl Compiled {
    /// Derives and compiles.
    pub fn new(network: &Network) -> Self {
        let inputs = [
            ("examples", types::real([network.rows, INPUTS])),
            ("labels", types::index([network.rows])),
            ("first", types::real([INPUTS, HIDDEN])),
            ("shift", types::real([HIDDEN])),
            ("second", types::real([HIDDEN, CLASSES])),
            ("end", types::real([CLASSES])),
        ];
        let loss = function(inputs, |[examples, labels, parameters @ ..]| {
            [loss(&examples, &labels, &parameters)]
        });
        let parameters = ["first", "shift", "second", "end"];
        let step = descent(&loss.expect("shapes fit"), &parameters, RATE);
        Self {
            step: step.expect("the set has all rules").compile(),
            inputs: tensors(network),
        }
    }

    /// The loss; the parameters are one step on.
    pub fn step(&mut self) -> f64 {
        let inputs = self.inputs.each_ref();
        let results = self.step.call_in(&mut Context::default(), &inputs);
        let mut results = results.expect("shapes fit").into_iter();
        let loss = results.next().and_then(|loss| loss.item());
        for (parameter, next) in self.inputs[2..].iter_mut().zip(results) {
            *parameter = next;
        }
        loss.expect("a number")
    }
}

/// The network on a tape.
pub struct Recorded {
    tape: Tape,
    examples: Var<'static>,
    labels: Var<'static>,
    parameters: [Tensor; 4],
}

impl Recorded {
    /// With an empty tape.
    pub fn new(network: &Network) -> Self {
        let [examples, labels, parameters @ ..] = tensors(network);
        Self {
            tape: Tape::new(),
            examples: examples.into(),
            labels: labels.into(),
            parameters,
        }
    }

    /// The loss; the parameters are one step on.
    pub fn step(&mut self) -> f64 {
        let tape = &self.tape;
        let [examples, labels] = [&self.examples, &self.labels];
        let parameters = &mut self.parameters;
        let loss = tape.scope(|| {
            let vars = parameters.each_ref().map(|tensor| tape.var(tensor.clone()));
            let loss = loss(examples, labels, &vars);
            let gradients = loss.backward().expect("the set has all rules");
            let value = loss.item().expect("a number");
            let gradients = vars.map(|var| {
                let gradient = gradients.get(&var).expect("of this tape");
                gradient.expect("the loss depends on it").clone()
            });
            (value, gradients)
        });
        let (loss, gradients) = loss.expect("outside checkpoints");
        for (parameter, gradient) in parameters.iter_mut().zip(&gradients) {
            *parameter -= gradient * RATE;
        }
        loss
    }
}
