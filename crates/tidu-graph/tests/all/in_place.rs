//! Operands that are taken at their last use: whose memory becomes that of the result, what is never
//! taken, and how many are alive at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{apply, output_keys, shared};
use tidu_graph::{
    CompiledProgram, EvaluableGraphOperation, GraphBuilder, GraphError, GraphOperation,
    LocalValueId, Operands, Workspace, materialize_merge, resolve,
};

/// A block of numbers that counts how many of its kind are alive, and how often one was copied.
struct Tensor {
    data: Vec<f64>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    live: AtomicUsize,
    most: AtomicUsize,
    made: AtomicUsize,
    copies: AtomicUsize,
}

impl Tensor {
    fn new(data: Vec<f64>, counts: &Arc<Counts>) -> Self {
        let live = counts.live.fetch_add(1, Ordering::Relaxed) + 1;
        counts.most.fetch_max(live, Ordering::Relaxed);
        counts.made.fetch_add(1, Ordering::Relaxed);
        Self {
            data,
            counts: Arc::clone(counts),
        }
    }
}

impl Clone for Tensor {
    fn clone(&self) -> Self {
        self.counts.copies.fetch_add(1, Ordering::Relaxed);
        Self::new(self.data.clone(), &self.counts)
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        self.counts.live.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    /// Takes whatever it may.
    Add,
    Sub,
    /// Takes nothing.
    Scale,
    /// Takes its operand, and then says that it cannot.
    Careless,
}

impl GraphOperation for Op {
    type Operand = Tensor;
    type Context = ();
    type InputKey = &'static str;

    fn input_count(&self) -> usize {
        match self {
            Op::Add | Op::Sub => 2,
            Op::Scale | Op::Careless => 1,
        }
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, _: &mut (), x: &[&Tensor]) -> Vec<Tensor> {
        let pairs = |f: fn(f64, f64) -> f64| {
            let data = x[0].data.iter().zip(&x[1].data);
            data.map(|(x, y)| f(*x, *y)).collect()
        };
        let data = match self {
            Op::Add => pairs(|x, y| x + y),
            Op::Sub => pairs(|x, y| x - y),
            Op::Scale => x[0].data.iter().map(|x| 3.0 * x).collect(),
            Op::Careless => x[0].data.clone(),
        };
        vec![Tensor::new(data, &x[0].counts)]
    }

    fn eval_one(&self, _: &mut (), x: &mut Operands<'_, Tensor>) -> Option<Tensor> {
        let f: fn(f64, f64) -> f64 = match self {
            Op::Add => |x, y| x + y,
            Op::Sub => |x, y| x - y,
            Op::Scale => return None,
            Op::Careless => {
                x.take(0);
                return None;
            }
        };
        assert_eq!(x.len(), 2);
        if let Some(mut result) = x.take(0) {
            let pairs = result.data.iter_mut().zip(&x[1].data);
            pairs.for_each(|(x, y)| *x = f(*x, *y));
            Some(result)
        } else {
            let mut result = x.take(1)?;
            let pairs = x[0].data.iter().zip(&mut result.data);
            pairs.for_each(|(x, y)| *y = f(*x, *y));
            Some(result)
        }
    }
}

type Build = fn(&mut GraphBuilder<Op>, LocalValueId, LocalValueId) -> Vec<LocalValueId>;

fn program(build: Build) -> CompiledProgram<Op> {
    let mut builder = GraphBuilder::new();
    let (x, y) = (builder.add_input("x"), builder.add_input("y"));
    let outputs = build(&mut builder, x, y);
    builder.set_outputs(outputs);
    let graph = shared(builder.build());
    let keys = output_keys(&graph);
    let flat = materialize_merge(&resolve(vec![graph]), &keys);
    flat.closed_over(&["x", "y"]).unwrap().compile()
}

/// The results for x = (1, 2), y = (10, 20), and what was counted beyond the two inputs: the most alive
/// at once, how many were made, how many copied.
fn run(build: Build) -> (Vec<Vec<f64>>, [usize; 3]) {
    let counts = Arc::new(Counts::default());
    let x = Tensor::new(vec![1.0, 2.0], &counts);
    let y = Tensor::new(vec![10.0, 20.0], &counts);
    let results = program(build).eval(&mut (), &[&x, &y]);
    assert_eq!((x.data.len(), y.data.len()), (2, 2));
    let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let counted = [read(&counts.most) - 2, read(&counts.made) - 2];
    let [most, made] = counted;
    let results = results.iter().map(|tensor| tensor.data.clone()).collect();
    (results, [most, made, read(&counts.copies)])
}

#[test]
fn an_operand_at_its_last_use_becomes_the_result() {
    // ((3x - y) - y) - ... : one block of memory for all.
    let (results, [most, made, copies]) = run(|b, x, y| {
        let scaled = apply(b, Op::Scale, &[x])[0];
        vec![(0..100).fold(scaled, |v, _| apply(b, Op::Sub, &[v, y])[0])]
    });
    assert_eq!(results, [[3.0 - 1000.0, 6.0 - 2000.0]]);
    assert_eq!([most, made, copies], [1, 1, 0]);
    // On the right as well: y - (y - (… - 3x)).
    let (results, counted) = run(|b, x, y| {
        let scaled = apply(b, Op::Scale, &[x])[0];
        vec![(0..100).fold(scaled, |v, _| apply(b, Op::Sub, &[y, v])[0])]
    });
    assert_eq!(results, [[3.0, 6.0]]);
    assert_eq!(counted, [1, 1, 0]);
}

#[test]
fn what_is_still_needed_is_not_taken() {
    // Inputs, although it is their last use.
    let (results, counted) = run(|b, x, y| vec![apply(b, Op::Sub, &[x, y])[0]]);
    assert_eq!(results, [[-9.0, -18.0]]);
    assert_eq!(counted, [1, 1, 0]);
    // What stands twice among the operands.
    let (results, counted) = run(|b, x, _| {
        let scaled = apply(b, Op::Scale, &[x])[0];
        vec![apply(b, Op::Sub, &[scaled, scaled])[0]]
    });
    assert_eq!(results, [[0.0, 0.0]]);
    assert_eq!(counted, [2, 2, 0]);
    // An output; a value that another operation reads later.
    let (results, counted) = run(|b, x, y| {
        let scaled = apply(b, Op::Scale, &[x])[0];
        let difference = apply(b, Op::Sub, &[scaled, y])[0];
        let again = apply(b, Op::Add, &[difference, scaled])[0];
        vec![again, scaled]
    });
    assert_eq!(results, [[-4.0, -8.0], [3.0, 6.0]]);
    assert_eq!(counted, [2, 2, 0]);
}

#[test]
fn two_operands_that_end_are_both_to_be_had() {
    let (results, [most, made, copies]) = run(|b, x, y| {
        let (x, y) = (apply(b, Op::Scale, &[x])[0], apply(b, Op::Scale, &[y])[0]);
        vec![apply(b, Op::Sub, &[x, y])[0]]
    });
    assert_eq!(results, [[-27.0, -54.0]]);
    assert_eq!([most, made, copies], [2, 2, 0]);
}

#[test]
#[should_panic(expected = "operand 0 was taken")]
fn taking_and_giving_up_is_told() {
    run(|b, x, _| {
        let scaled = apply(b, Op::Scale, &[x])[0];
        vec![apply(b, Op::Careless, &[scaled])[0]]
    });
}

#[test]
fn a_workspace_serves_again_and_keeps_nothing() {
    let counts = Arc::new(Counts::default());
    let x = Tensor::new(vec![1.0, 2.0], &counts);
    let programs = [
        program(|b, x, y| {
            let scaled = apply(b, Op::Scale, &[x])[0];
            vec![apply(b, Op::Add, &[scaled, y])[0]]
        }),
        program(|b, x, y| vec![x, apply(b, Op::Sub, &[x, y])[0]]),
    ];
    let mut workspace = Workspace::new();
    for round in 0..3 {
        let mut results = Vec::new();
        for program in &programs {
            let inputs = vec![&x; program.input_slots.len()];
            results.push(
                program
                    .try_eval_in(&mut workspace, &mut (), &inputs)
                    .unwrap(),
            );
            let error = program
                .try_eval_in(&mut workspace, &mut (), &[])
                .err()
                .unwrap();
            assert!(matches!(
                error,
                GraphError::WrongInputCount { found: 0, .. }
            ));
        }
        assert_eq!(results[0][0].data, [4.0, 8.0]);
        assert_eq!(results[1][1].data, [0.0, 0.0]);
        drop(results);
        assert_eq!(counts.live.load(Ordering::Relaxed), 1, "in round {round}");
    }
}
