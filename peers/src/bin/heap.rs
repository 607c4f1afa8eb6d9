//! What each stage of this library allocates and keeps: `heap [SIZE]` prints a table, per primal operation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tidu::eager::{EvalExecutor, KeySource, Tape, Var, try_backward};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu_testkit::{Calls, Pipeline, Workload, chain, wide};

static CALLS: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The allocator of the system, counted.
struct Counted;

// SAFETY: every call is handed on as it is, and what comes back is returned as it is; counting touches
// nothing but three atomic numbers.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above; whatever lives here came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Relaxed);
        grown(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn grown(by: usize) {
    CALLS.fetch_add(1, Relaxed);
    let live = LIVE.fetch_add(by, Relaxed) + by;
    PEAK.fetch_max(live, Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

fn main() {
    let size = std::env::args().nth(1).and_then(|size| size.parse().ok());
    let size = size.unwrap_or(100_000);
    println!("| stage | workload | allocations | bytes at peak | bytes kept |");
    println!("| ----- | -------- | ----------: | ------------: | ---------: |");
    for workload in [chain(size), wide(size)] {
        stages(&workload);
        functions(&workload);
        eager(&workload);
    }
}

/// Runs a stage once and prints what it took.
fn stage<T>(name: &str, workload: &Workload, body: impl FnOnce() -> T) {
    let (calls, live) = (CALLS.load(Relaxed), LIVE.load(Relaxed));
    PEAK.store(live, Relaxed);
    let result = black_box(body());
    let calls = CALLS.load(Relaxed) - calls;
    let peak = PEAK.load(Relaxed) - live;
    let kept = LIVE.load(Relaxed).saturating_sub(live);
    let per_operation = |number: usize| number as f64 / workload.operations as f64;
    println!(
        "| {name} | {} | {:.2} | {:.0} | {:.0} |",
        workload.name,
        per_operation(calls),
        per_operation(peak),
        per_operation(kept)
    );
    drop(result);
}

fn stages(workload: &Workload) {
    let stages = Pipeline::of(workload);
    let point = stages.program_inputs();
    let inputs: Vec<&f64> = point.iter().collect();
    stage("build", workload, || workload.graph());
    stage("resolve", workload, || stages.resolve());
    stage("linearize", workload, || stages.linearize());
    stage("transpose", workload, || stages.transpose());
    stage("resolve all", workload, || stages.resolve_all());
    stage("materialize all", workload, || stages.materialize());
    stage("compile", workload, || stages.compile());
    stage("eval", workload, || stages.program.eval(&mut (), &inputs));
}

fn functions(workload: &Workload) {
    let function = workload.function();
    stage("function: build", workload, || workload.function());
    stage("function: value_and_grad", workload, || {
        function.value_and_grad(..)
    });
    let gradient = function.value_and_grad(..).expect("the set has all rules");
    stage("function: compile", workload, || gradient.compile());
    let (program, point) = (gradient.compile(), workload.point());
    stage("function: call", workload, || program.call(&point));
}

fn eager(workload: &Workload) {
    stage("tape: record", workload, || {
        let mut tape = Tape::new(Names(0));
        let recorded = workload.record(&mut tape);
        (tape, recorded)
    });
    let mut tape = Tape::new(Names(0));
    let (inputs, outputs) = workload.record(&mut tape);
    let wrt: Vec<&Var<ScalarOp>> = inputs.iter().collect();
    stage("tape: backward", workload, || {
        tape.backward(&[(&outputs[0], 1.0)], &wrt)
    });
    stage("calls: record", workload, || {
        workload.record_calls(&mut Calls::default())
    });
    let outputs = workload.record_calls(&mut Calls::default());
    let (output, mut executor) = (&outputs[0], EvalExecutor::default());
    stage("calls: backward", workload, || {
        let (trace, seed) = (output.trace.as_ref(), Arc::new(1.0));
        try_backward(&output.key, trace, seed, &mut executor, &mut ())
    });
}

struct Names(u64);

impl KeySource<ScalarOp> for Names {
    fn fresh_input_key(&mut self) -> ScalarKey {
        self.0 += 1;
        ScalarKey::fresh(self.0)
    }
}
