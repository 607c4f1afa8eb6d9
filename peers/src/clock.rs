//! What a measurement is: time and memory for one operation.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The result of one run of the program.
pub struct Measurement {
    /// Nanoseconds for one operation: the median of what could be repeated in a short time.
    pub nanoseconds: f64,
    /// By how much the process grew at most while it ran for the first time, in bytes an operation.
    pub bytes: f64,
}

/// Runs `body` again and again, at least once; what it returns is dropped when the clock has stopped.
/// `calls` is how often `body` does the work.
pub fn measure<T>(operations: usize, calls: usize, mut body: impl FnMut() -> T) -> Measurement {
    const ENOUGH: Duration = Duration::from_millis(600);
    const AT_MOST: usize = 2_000;
    forget_peak();
    let before = memory("VmRSS:");
    let started = Instant::now();
    let mut times = Vec::new();
    let mut bytes = 0.0;
    while times.is_empty() || started.elapsed() < ENOUGH && times.len() < AT_MOST {
        let start = Start::now();
        let result = black_box(body());
        times.push(start.nanoseconds());
        if times.len() == 1 {
            let grown = memory("VmHWM:").saturating_sub(before);
            bytes = grown as f64 / operations as f64;
            if started.elapsed() > ENOUGH {
                // Dropping takes long too, in libraries that do it recursively.
                std::mem::forget(result);
                break;
            }
        }
    }
    times.sort_by(f64::total_cmp);
    Measurement {
        nanoseconds: times[times.len() / 2] / (operations * calls) as f64,
        bytes,
    }
}

/// A point in time, by the clock on the wall and by what the processor has done for this process.
struct Start {
    wall: Instant,
    processor: Duration,
}

impl Start {
    fn now() -> Self {
        let (wall, processor) = (Instant::now(), processor_time());
        Self { wall, processor }
    }

    /// How long ago it was: by the wall if nobody else was running, by the processor if somebody was.
    fn nanoseconds(&self) -> f64 {
        let processor = processor_time() - self.processor;
        self.wall.elapsed().min(processor).as_nanos() as f64
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// From here on, the peak that Linux tells is the peak since here.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// A line of what Linux says of this process, in bytes; 0 elsewhere.
fn memory(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    kibibytes
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}
