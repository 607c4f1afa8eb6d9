//! scratch
use std::time::Instant;
use tidu::graph::*;
use tidu::scalar::{Expr, ScalarOp};
type F = tidu::Function<ScalarOp>;
fn chain(n: usize) -> F {
    F::build(["x", "y"], |b, i| {
        let (mut v, y) = (i[0], i[1]);
        let mut ap = |op, a: &[usize]| {
            b.add_operation(
                op,
                a.iter().map(|&i| ValueRef::Local(i)).collect(),
                OperationRole::Primary,
            )[0]
        };
        for _ in 0..n / 3 {
            let s = ap(ScalarOp::Sin, &[v]);
            let p = ap(ScalarOp::Mul, &[y, s]);
            v = ap(ScalarOp::Add, &[v, p]);
        }
        vec![v]
    })
    .unwrap()
}
fn wide(n: usize) -> F {
    let k = n / 5;
    let names: Vec<String> = (0..k).map(|i| format!("x{i}")).collect();
    F::build(names.iter().map(|s| s.as_str()), |b, x| {
        let mut ap = |op, a: &[usize]| {
            b.add_operation(
                op,
                a.iter().map(|&i| ValueRef::Local(i)).collect(),
                OperationRole::Primary,
            )[0]
        };
        let mut s = ap(ScalarOp::constant(0.0), &[]);
        for i in 0..k {
            let q = ap(ScalarOp::Mul, &[x[i], x[i]]);
            let m = ap(ScalarOp::Neg, &[q]);
            let e = ap(ScalarOp::Exp, &[m]);
            let p = ap(ScalarOp::Mul, &[e, x[(i + 1) % k]]);
            s = ap(ScalarOp::Add, &[s, p]);
        }
        vec![s]
    })
    .unwrap()
}
fn rss() -> usize {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}
fn main() {
    let _ = Expr::constant(0.0);
    let a: Vec<String> = std::env::args().collect();
    let n: usize = a[2].parse().unwrap();
    let reps: usize = a.get(3).map_or(5, |s| s.parse().unwrap());
    let f = if a[1] == "chain" { chain(n) } else { wide(n) };
    let base = rss();
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..reps {
        let t = Instant::now();
        let g = f.value_and_grad(..).unwrap();
        let d = t.elapsed().as_secs_f64();
        let t = Instant::now();
        let p = g.compile();
        let c = t.elapsed().as_secs_f64();
        best = (best.0.min(d), best.1.min(c));
        if best.0 == d {
            eprintln!(
                "ops {} instr {}",
                g.as_dense().operation_count(),
                p.as_program().instructions.len()
            );
        }
    }
    println!(
        "{} {n}: derive {:.0} compile {:.0} ns/op; peak {} B/op over base (base {} B/op)",
        a[1],
        best.0 * 1e9 / n as f64,
        best.1 * 1e9 / n as f64,
        (rss() - base) * 1024 / n,
        base * 1024 / n
    );
}
