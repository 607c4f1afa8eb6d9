//! scratch
use std::time::Instant;
#[path = "scratch_d.rs"]
#[allow(dead_code)]
mod d;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let only = a.get(1).cloned();
    for (w, n) in [
        ("chain", 1000),
        ("chain", 100000),
        ("wide", 1000),
        ("wide", 100000),
    ] {
        if only.as_deref().is_some_and(|o| o != w) || (only.is_some() && n != 1000) {
            continue;
        }
        let f = if w == "chain" {
            d::chain(n)
        } else {
            d::wide(n)
        };
        let p = f.value_and_grad(..).unwrap().compile();
        let x: Vec<f64> = if w == "chain" {
            vec![0.3, 1e-6]
        } else {
            (0..n / 5).map(|i| 0.01 + 0.1 * (i % 7) as f64).collect()
        };
        let r: Vec<&f64> = x.iter().collect();
        let mut ws = tidu::graph::Workspace::new();
        let mut best = f64::MAX;
        let mut s = 0.0;
        let reps = 2_000_000 / n;
        for _ in 0..10 {
            let t = Instant::now();
            for _ in 0..reps {
                s += p.as_program().try_eval_in(&mut ws, &mut (), &r).unwrap()[1];
            }
            best = best.min(t.elapsed().as_secs_f64() / reps as f64);
        }
        println!(
            "{w} {n} {:.1} ns/op  instr/op {:.2} {s}",
            best * 1e9 / n as f64,
            p.as_program().instructions.len() as f64 / n as f64
        );
    }
}
