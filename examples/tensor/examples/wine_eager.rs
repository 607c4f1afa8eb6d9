//! Learning on a tape: the network of `wine`, with the numbers of its compiled program at every step, in memory
//! that does not grow.

#[path = "common/wines.rs"]
mod wines;

use std::error::Error;

use tidu_tensor::model::descent;
use tidu_tensor::{Context, ModelError, Tape, Tensor, Value, Var};

use wines::{CLASSES, MEASUREMENTS, NAMES, Wines, accuracy, loss, on_wines, start};

const BATCH: usize = 64;
const RATE: f64 = 0.1;

/// The loss of some wines; the parameters are one step on.
fn step(
    tape: &mut Tape,
    wines: &[Tensor; 2],
    parameters: &mut [Tensor],
) -> Result<f64, ModelError> {
    let [x, y] = wines.each_ref().map(|tensor| Var::from(tensor.clone()));
    let (loss, slopes) = tape.value_and_grad(|p| loss(&x, &y, p), parameters)?;
    for (parameter, slope) in parameters.iter_mut().zip(slopes) {
        *parameter -= slope * RATE;
    }
    Ok(loss.item().unwrap_or(f64::NAN))
}

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let wines = Wines::load();
    let mut parameters = start(&[MEASUREMENTS, 32, CLASSES]);
    let mut of_program = parameters.clone();
    let on_batch = on_wines(BATCH, &parameters, |x, y, p| [loss(x, y, p)])?;
    let program = descent(&on_batch, &NAMES, RATE)?.compile();

    let mut tape = Tape::new();
    let mut bytes = Vec::new();
    println!("step     loss   bytes on the tape");
    for at in 0..300 {
        let batch: Vec<usize> = (0..BATCH)
            .map(|row| (at * BATCH + row) % wines.train.len())
            .collect();
        let batch = wines.train.choose(&batch);
        let loss = step(&mut tape, &batch, &mut parameters)?;
        bytes.push(tape.memory());

        let inputs: Vec<&Tensor> = batch.iter().chain(&of_program).collect();
        let mut results = program.call_in(&mut Context::default(), &inputs)?;
        of_program = results.split_off(1);
        assert!((loss - results[0].item().unwrap_or(f64::NAN)).abs() < 1e-12);
        for (found, expected) in parameters.iter().zip(&of_program) {
            assert!(distance(found, expected) < 1e-12);
        }
        if at % 60 == 0 || at == 299 {
            println!("{at:>4} {loss:>8.4} {:>10}", bytes[at]);
        }
    }
    assert!(
        bytes.iter().all(|&then| then == bytes[0]),
        "each step takes the memory of the first"
    );

    let [x, y] = wines.test.all();
    let right = accuracy(&x, &y, &parameters).item().unwrap_or(0.0);
    println!(
        "{:.1}% of the wines to test with are told right",
        100.0 * right
    );
    assert!(right > 0.5);
    Ok(())
}

/// The largest difference of two elements in one place.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let largest = (a - b).abs().reshape([a.len()]).max([0]);
    largest.item().unwrap_or(f64::NAN)
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
