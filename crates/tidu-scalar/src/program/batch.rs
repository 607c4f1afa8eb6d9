//! One program at many points at once.

use fearless_simd::{Level, dispatch};

use super::lanes::{Row, WIDTH, execute};
use super::{ProgramError, ScalarProgram, Workspace};

/// How a program is run at many points; made by [`ScalarProgram::batch`].
///
/// Points go in blocks: each instruction is executed for all points of a block before the next one.
/// What is computed for a point depends on the point alone, to the bit: not on the others, on its place
/// among them, on the width of vectors, or on the number of threads.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    program: &'a ScalarProgram,
    level: Level,
    vector_math: bool,
    #[cfg(feature = "rayon")]
    parallel: bool,
}

/// A [`Workspace`], under the name that it has for batches.
pub type BatchWorkspace = Workspace;

/// How many bytes the registers of a long block may take.
const BLOCK_BYTES: usize = 8 << 20;
/// The chunks of a block: of a long one, and of one for so many registers that memory counts.
const LONG: usize = 8;
const SHORT: usize = 1;

impl ScalarProgram {
    /// A batch with choices still to make.
    pub fn batch(&self) -> Batch<'_> {
        Batch {
            program: self,
            level: Level::new(),
            vector_math: false,
            #[cfg(feature = "rayon")]
            parallel: false,
        }
    }

    /// Computes the outputs at many points: `inputs` holds a slice for each input, `outputs` one for each
    /// output, each as long as there are points. To the bit what [`call`](Self::call) computes.
    ///
    /// # Errors
    ///
    /// [`ProgramError::WrongInputCount`], [`ProgramError::WrongOutputCount`], and
    /// [`ProgramError::WrongPointCount`] for a slice that is not as long as the first one.
    ///
    /// # Example
    ///
    /// ```
    /// use tidu_scalar::CompileScalar;
    ///
    /// let f = tidu_scalar::function(["x", "y"], |[x, y]| [&x * &y])?;
    /// let gradient = f.grad(..)?.compile_scalar()?;
    /// let (mut dx, mut dy) = ([0.0; 3], [0.0; 3]);
    /// gradient.eval_batch(&[&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]], &mut [&mut dx, &mut dy])?;
    /// assert_eq!((dx, dy), ([4.0, 5.0, 6.0], [1.0, 2.0, 3.0]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn eval_batch(
        &self,
        inputs: &[&[f64]],
        outputs: &mut [&mut [f64]],
    ) -> Result<(), ProgramError> {
        self.batch().eval(inputs, outputs)
    }
}

impl Batch<'_> {
    /// Whether sin, cos, exp and ln are computed for several points at once, which is faster. They may
    /// then differ from those of the standard library by a few units in the last place; the book says
    /// by how many. Off by default.
    pub fn vector_math(mut self, vector_math: bool) -> Self {
        self.vector_math = vector_math;
        self
    }

    /// Uses vectors of at most so many bits, where the default is the widest ones that the machine has.
    /// That changes no result.
    pub fn vector_bits(mut self, bits: usize) -> Self {
        self.level = level_of(bits);
        self
    }

    /// Whether blocks are shared out to the threads of the current `rayon` pool. That changes no result.
    #[cfg(feature = "rayon")]
    pub fn parallel(mut self, parallel: bool) -> Self {
        self.parallel = parallel;
        self
    }

    /// As for [`ScalarProgram::eval_batch`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn eval(&self, inputs: &[&[f64]], outputs: &mut [&mut [f64]]) -> Result<(), ProgramError> {
        #[cfg(feature = "rayon")]
        if self.parallel {
            return self.eval_parallel(inputs, outputs);
        }
        self.eval_in(&mut Workspace::default(), inputs, outputs)
    }

    /// As for [`ScalarProgram::eval_batch`], on this thread, without allocation but for registers, once
    /// for a workspace.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn eval_in(
        &self,
        workspace: &mut Workspace,
        inputs: &[&[f64]],
        outputs: &mut [&mut [f64]],
    ) -> Result<(), ProgramError> {
        let points = self.check(inputs, outputs)?;
        self.eval_points(workspace, inputs, 0, points, outputs);
        Ok(())
    }

    /// The number of points.
    fn check(&self, inputs: &[&[f64]], outputs: &[&mut [f64]]) -> Result<usize, ProgramError> {
        self.program.check_inputs(inputs.len())?;
        self.program.check_outputs(outputs.len())?;
        let lengths = inputs.iter().map(|input| input.len());
        let mut lengths = lengths.chain(outputs.iter().map(|output| output.len()));
        let expected = lengths.next().unwrap_or(0);
        match lengths.position(|found| found != expected) {
            None => Ok(expected),
            Some(before) => Err(self.wrong_point_count(before + 1, expected, inputs, outputs)),
        }
    }

    fn wrong_point_count(
        &self,
        position: usize,
        expected: usize,
        inputs: &[&[f64]],
        outputs: &[&mut [f64]],
    ) -> ProgramError {
        let program = self.program;
        let (name, found) = match inputs.get(position) {
            Some(input) => (&program.input_names()[position], input.len()),
            None => {
                let position = position - inputs.len();
                let name = &program.output_names()[position];
                (name, outputs[position].len())
            }
        };
        let mut all = program.input_names().iter().chain(program.output_names());
        ProgramError::WrongPointCount {
            name: name.clone(),
            expected,
            found,
            first: all.next().unwrap_or(name).clone(),
        }
    }

    /// So many points from `first` on; outputs start there.
    fn eval_points(
        &self,
        workspace: &mut Workspace,
        inputs: &[&[f64]],
        first: usize,
        points: usize,
        outputs: &mut [&mut [f64]],
    ) {
        let block = Block {
            batch: *self,
            inputs,
            first,
            points,
        };
        if self.program.register_count() * size_of::<Row<LONG>>() <= BLOCK_BYTES {
            block.run::<LONG>(workspace, outputs);
        } else {
            block.run::<SHORT>(workspace, outputs);
        }
    }

    #[cfg(feature = "rayon")]
    fn eval_parallel(
        &self,
        inputs: &[&[f64]],
        outputs: &mut [&mut [f64]],
    ) -> Result<(), ProgramError> {
        use rayon::prelude::*;

        let points = self.check(inputs, outputs)?;
        let threads = rayon::current_num_threads();
        // A few pieces for each thread, so that one that is late can be helped.
        let piece = points.div_ceil(4 * threads).max(8 * WIDTH);
        let mut rest: Vec<&mut [f64]> = outputs.iter_mut().map(|output| &mut **output).collect();
        let mut pieces = Vec::new();
        for first in (0..points).step_by(piece) {
            let size = piece.min(points - first);
            let (of_piece, others) = rest
                .into_iter()
                .map(|output| output.split_at_mut(size))
                .unzip();
            pieces.push((first, size, of_piece));
            rest = others;
        }
        pieces.into_par_iter().for_each_init(
            Workspace::default,
            |workspace, (first, size, mut outputs): (usize, usize, Vec<&mut [f64]>)| {
                self.eval_points(workspace, inputs, first, size, &mut outputs);
            },
        );
        Ok(())
    }
}

/// Points that go through one interpreter, block by block.
struct Block<'a> {
    batch: Batch<'a>,
    inputs: &'a [&'a [f64]],
    first: usize,
    points: usize,
}

impl Block<'_> {
    fn run<const C: usize>(&self, workspace: &mut Workspace, outputs: &mut [&mut [f64]]) {
        let Batch {
            program,
            level,
            vector_math,
            ..
        } = self.batch;
        let code = &program.code;
        let rows = rows::<C>(workspace, code.slots);
        for done in (0..self.points).step_by(C * WIDTH) {
            let lanes = (C * WIDTH).min(self.points - done);
            let first = self.first + done;
            load(rows, self.inputs, first, lanes, &code.constants);
            dispatch!(level, simd => {
                execute(simd, &code.instructions, &code.functions, rows, vector_math);
            });
            store(rows, &code.outputs, outputs, done, lanes);
        }
    }
}

/// Room for so many registers, from where a vector is read at once.
fn rows<const C: usize>(workspace: &mut Workspace, registers: usize) -> &mut [Row<C>] {
    let numbers = workspace.plain((registers * C + 1) * WIDTH);
    let first = numbers.as_ptr().align_offset(size_of::<[f64; WIDTH]>());
    let (chunks, _) = numbers[first.min(WIDTH)..].as_chunks_mut();
    let (rows, _) = chunks.as_chunks_mut();
    &mut rows[..registers]
}

/// The level with vectors of at most so many bits.
fn level_of(bits: usize) -> Level {
    let level = Level::new();
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        if bits >= 512 {
            return level;
        }
        if bits >= 256
            && let Some(avx2) = level.as_avx2()
        {
            return Level::Avx2(avx2);
        }
        if let Some(sse2) = level.as_sse2() {
            return Level::Sse2(sse2);
        }
    }
    let _ = bits;
    level
}

/// Puts inputs and constants into their registers. A block that is not full repeats its last point.
fn load<const C: usize>(
    rows: &mut [Row<C>],
    inputs: &[&[f64]],
    first: usize,
    lanes: usize,
    constants: &[(u32, f64)],
) {
    for (row, input) in rows.iter_mut().zip(inputs) {
        let input = &input[first..first + lanes];
        let (full, rest) = input.as_chunks();
        for (chunk, values) in row.iter_mut().zip(full) {
            *chunk = *values;
        }
        if lanes < C * WIDTH {
            let last = input[lanes - 1];
            for (position, chunk) in row.iter_mut().enumerate().skip(full.len()) {
                *chunk = [last; WIDTH];
                if position == full.len() {
                    chunk[..rest.len()].copy_from_slice(rest);
                }
            }
        }
    }
    for &(register, constant) in constants {
        rows[register as usize] = [[constant; WIDTH]; C];
    }
}

/// Takes the outputs out of their registers.
fn store<const C: usize>(
    rows: &[Row<C>],
    registers: &[u32],
    outputs: &mut [&mut [f64]],
    first: usize,
    lanes: usize,
) {
    for (output, &register) in outputs.iter_mut().zip(registers) {
        let row = &rows[register as usize];
        let output = &mut output[first..first + lanes];
        let (full, rest) = output.as_chunks_mut();
        for (values, chunk) in full.iter_mut().zip(row) {
            *values = *chunk;
        }
        if !rest.is_empty() {
            let chunk = &row[full.len()];
            rest.copy_from_slice(&chunk[..rest.len()]);
        }
    }
}
