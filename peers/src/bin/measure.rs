//! One measurement: `measure LIBRARY STAGE WORKLOAD SIZE` prints nanoseconds and bytes per operation.

use std::process::exit;

use tidu_peers::clock::Measurement;
use tidu_peers::{ancestor, candle, float, ours, tensors};
use tidu_testkit::{Workload, arrowhead, bratu, chain, clnlbeam, rosenbrock, wide};

fn main() {
    // The ancestor walks and drops its graphs recursively.
    let body = std::thread::Builder::new().stack_size(8 << 30);
    let body = body.spawn(|| {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let Some(measurement) = run(&words) else {
            eprintln!("nothing is called {arguments:?}");
            exit(2);
        };
        println!("{} {}", measurement.nanoseconds, measurement.bytes);
        // What is still alive is left to the operating system.
        exit(0);
    });
    let _ = body.expect("a thread can be started").join();
    exit(1);
}

fn run(words: &[&str]) -> Option<Measurement> {
    let [library, stage, workload, size] = *words else {
        return None;
    };
    let size: usize = size.parse().ok()?;
    if workload == "ba" {
        return match (library, stage) {
            ("tidu", "jacobian") => Some(ours::jacobian(size)),
            ("echidna", "jacobian") => Some(float::jacobian(size)),
            _ => None,
        };
    }
    if workload == "network" {
        return match (library, stage) {
            ("tidu", "train") => Some(tensors::train(size)),
            ("tidu", "train-eager") => Some(tensors::train_eager(size)),
            ("candle", "train" | "train-eager") => Some(candle::train(size)),
            _ => None,
        };
    }
    let workload = match workload {
        "chain" => chain(size),
        "wide" => wide(size),
        "rosenbrock" => rosenbrock(size),
        "arrowhead" => arrowhead(size),
        "bratu" => bratu(size),
        "clnlbeam" => clnlbeam(size),
        _ => return None,
    };
    Some(stage_of(library, stage)?(&workload))
}

fn stage_of(library: &str, stage: &str) -> Option<fn(&Workload) -> Measurement> {
    Some(match (library, stage) {
        ("tidu", "pipeline") => ours::suite::pipeline,
        ("tidu", "derive") => ours::derive,
        ("tidu", "derive-scalar") => ours::derive_scalar,
        ("tidu", "evaluate-returned") => ours::suite::evaluate,
        ("tidu", "evaluate") => ours::evaluate,
        ("tidu", "evaluate-scalar") => ours::evaluate_scalar,
        ("tidu", "recorder") => ours::suite::recorder,
        ("tidu", "tape") => ours::tape,
        ("tidu", "sparse-derive") => ours::sparse_derive,
        ("tidu", "sparse-evaluate") => ours::sparse_evaluate,
        ("tidu-0.1", "pipeline") => ancestor::suite::pipeline,
        ("tidu-0.1", "derive") => ancestor::suite::derive,
        ("tidu-0.1", "evaluate" | "evaluate-returned") => ancestor::suite::evaluate,
        ("tidu-0.1", "recorder") => ancestor::suite::recorder,
        ("echidna", "evaluate-scalar") => float::evaluate_scalar,
        ("echidna", "tape") => float::tape,
        _ => return None,
    })
}
