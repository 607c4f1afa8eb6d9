//! Learning from data: how good a wine is, from eleven measurements of it. A network with a hidden layer
//! and logistic regression, each by one program that was derived and compiled before the first wine was seen.

#[path = "common/chart.rs"]
mod chart;
#[path = "common/wines.rs"]
mod wines;

use std::error::Error;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use tidu_tensor::model::{cross_entropy, descent, scores};
use tidu_tensor::{Context, Tensor};
use tidu_testkit::Random;

use chart::{Chart, Line};
use wines::{CLASSES, MEASUREMENTS, NAMES, Part, Wines, accuracy, loss, on_wines, start};

const BATCH: usize = 64;
const EPOCHS: usize = 60;
const RATE: f64 = 0.1;

/// How learning went.
struct History {
    /// The mean cross-entropy after each epoch, of wines to learn from and of others.
    train: Vec<f64>,
    test: Vec<f64>,
    /// The share of the others that was told right in the end.
    accuracy: f64,
}

/// Learns by steps of gradient descent, each on a few wines.
fn learn(name: &'static str, sizes: &[usize], wines: &Wines) -> Result<History, Box<dyn Error>> {
    let mut parameters = start(sizes);
    let names = &NAMES[..parameters.len()];
    let on_batch = on_wines(BATCH, &parameters, |x, y, p| [loss(x, y, p)])?;
    let step = descent(&on_batch, names, RATE)?.compile();
    let parts = [&wines.train, &wines.test].map(Part::all);

    let bar = ProgressBar::new(EPOCHS as u64).with_prefix(name);
    bar.set_style(ProgressStyle::with_template(
        "{prefix:>19} {wide_bar} {pos}/{len} {msg}",
    )?);
    let mut history = History {
        train: Vec::new(),
        test: Vec::new(),
        accuracy: 0.0,
    };
    let mut order: Vec<usize> = (0..wines.train.len()).collect();
    let mut random = Random(3);
    for _ in 0..EPOCHS {
        shuffle(&mut order, &mut random);
        for batch in order.chunks_exact(BATCH) {
            let [x, y] = wines.train.choose(batch);
            let inputs: Vec<&Tensor> = [&x, &y].into_iter().chain(&parameters).collect();
            let mut results = step.call_in(&mut Context::default(), &inputs)?;
            parameters = results.split_off(1);
        }
        let [train, test] = parts.each_ref().map(|[x, y]| {
            let found = [
                cross_entropy(&scores(x, &parameters), y),
                accuracy(x, y, &parameters),
            ];
            found.map(|found| found.item().unwrap_or(f64::NAN))
        });
        history.train.push(train[0]);
        history.test.push(test[0]);
        history.accuracy = test[1];
        bar.set_message(format!("loss {:.3}", train[0]));
        bar.inc(1);
    }
    bar.finish();
    Ok(history)
}

/// Fisher and Yates.
fn shuffle(order: &mut [usize], random: &mut Random) {
    for end in (1..order.len()).rev() {
        order.swap(end, random.below(end + 1));
    }
}

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let wines = Wines::load();
    let [train, test] = [wines.train.len(), wines.test.len()];
    println!("{train} wines to learn from, {test} to test with");
    let logistic = learn("logistic regression", &[MEASUREMENTS, CLASSES], &wines)?;
    let network = learn("network", &[MEASUREMENTS, 32, CLASSES], &wines)?;

    let shares = (0..CLASSES as i64).map(|class| wines.test.share(class));
    let most_common = shares.fold(0.0, f64::max);
    println!("                       loss: train   test   accuracy: test");
    println!(
        "{:<22} {:>36.1}%",
        "the most common class",
        100.0 * most_common
    );
    for (name, history) in [("logistic regression", &logistic), ("network", &network)] {
        let [train, test] = [&history.train, &history.test].map(|loss| loss[EPOCHS - 1]);
        println!(
            "{name:<22} {train:>11.3} {test:>6.3} {:>17.1}%",
            100.0 * history.accuracy
        );
    }

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pictures/wine.svg");
    draw(&logistic, &network, &path)?;
    println!("drawn: target/pictures/wine.svg");

    assert!(logistic.accuracy > most_common + 0.1);
    assert!(network.accuracy > most_common + 0.1);
    assert!(network.train[EPOCHS - 1] < logistic.train[EPOCHS - 1]);
    Ok(())
}

fn draw(logistic: &History, network: &History, path: &Path) -> Result<(), Box<dyn Error>> {
    let line = |name, values, color, is_dashed| Line {
        name,
        values,
        color,
        is_dashed,
    };
    let chart = Chart {
        title: "How good is a wine?",
        x: "epoch",
        y: "mean cross-entropy",
        lines: &[
            line(
                "logistic regression, train",
                &logistic.train,
                chart::BLUE,
                false,
            ),
            line(
                "logistic regression, test",
                &logistic.test,
                chart::BLUE,
                true,
            ),
            line("network, train", &network.train, chart::ORANGE, false),
            line("network, test", &network.test, chart::ORANGE, true),
        ],
    };
    chart.draw(path)
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
