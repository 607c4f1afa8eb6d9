//! How operations are evaluated: their operands, whose memory may become that of the result, and what is
//! counted.

use std::ops::Index;

use ndarray::{ArrayD, Zip};
use num_complex::Complex64;
use tidu::graph::Operands;

use crate::shape::{COMPLEX, REAL, broadcast};
use crate::tensor::{Element, Shared, Tensor};

/// What evaluation counts: the memory of results. Operands that are stretched for as long as an operation runs are
/// not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// How many results were given memory of their own.
    pub allocations: usize,
    /// How many results were written over an operand that nothing else needed.
    pub reused: usize,
}

/// The operands of an operation that is being evaluated.
pub(crate) struct Args<'a, 'o> {
    source: Source<'a, 'o>,
    context: &'a mut Context,
}

enum Source<'a, 'o> {
    Borrowed(&'a [&'a Tensor]),
    Program(&'a mut Operands<'o, Tensor>),
    /// Two operands, of which the first may be written over; `None` once it is taken.
    Taking(Option<Tensor>, &'a Tensor),
}

/// The elements of an operand that was taken.
enum Taken<T: Element> {
    /// To write the result over.
    Alone(ArrayD<T>),
    /// Another tensor has them too.
    Shared(Shared<T>),
}

impl<'a, 'o> Args<'a, 'o> {
    /// Operands that others hold.
    pub fn borrowed(operands: &'a [&'a Tensor], context: &'a mut Context) -> Self {
        let source = Source::Borrowed(operands);
        Self { source, context }
    }

    /// Operands of a program, which can be taken at their last use.
    pub fn of_program(operands: &'a mut Operands<'o, Tensor>, context: &'a mut Context) -> Self {
        let source = Source::Program(operands);
        Self { source, context }
    }

    /// Two operands, of which the first is handed over.
    pub fn taking(first: Tensor, second: &'a Tensor, context: &'a mut Context) -> Self {
        let source = Source::Taking(Some(first), second);
        Self { source, context }
    }

    pub fn len(&self) -> usize {
        match &self.source {
            Source::Borrowed(operands) => operands.len(),
            Source::Program(operands) => operands.len(),
            Source::Taking(..) => 2,
        }
    }

    /// The elements of an operand.
    ///
    /// # Panics
    ///
    /// If they are of another kind, which types would have shown.
    pub fn array<T: Element>(&self, at: usize) -> &Shared<T> {
        let kind = self[at].kind();
        T::view(&self[at])
            .unwrap_or_else(|| panic!("operand {at} holds {kind}: give the function types"))
    }

    /// The complex elements of an operand, or its real elements as complex ones.
    pub fn complex(&self, at: usize) -> Shared<Complex64> {
        match &self[at] {
            Tensor::Real(array) => array.mapv(Complex64::from).into_shared(),
            _ => self.array::<Complex64>(at).clone(),
        }
    }

    /// The real elements of an operand.
    pub fn reals(&self, at: usize) -> Shared<f64> {
        self.array::<f64>(at).clone()
    }

    /// The indices of an operand.
    pub fn indices(&self, at: usize) -> Shared<i64> {
        self.array::<i64>(at).clone()
    }

    /// `c128` if an operand is, and that of the first operand otherwise.
    pub fn kind(&self) -> &'static str {
        let mut kinds = (0..self.len()).map(|at| self[at].kind());
        match kinds.any(|kind| kind == COMPLEX) {
            true => COMPLEX,
            false if self.len() > 0 => self[0].kind(),
            false => REAL,
        }
    }

    /// A result with memory of its own.
    pub fn fresh<T: Element>(&mut self, array: ArrayD<T>) -> Tensor {
        self.context.allocations += 1;
        array.into()
    }

    /// An operand that no later operation reads, if it has the shape of the result.
    fn take<T: Element>(&mut self, at: usize, dims: &[usize]) -> Option<Taken<T>> {
        if T::view(&self[at])?.shape() != dims {
            return None;
        }
        let taken = match &mut self.source {
            Source::Borrowed(_) => None,
            Source::Program(operands) => operands.take(at),
            Source::Taking(first, _) => first.take_if(|_| at == 0),
        };
        let array = T::unwrap(taken?)?;
        Some(match array.try_into_owned_nocopy() {
            Ok(array) => {
                self.context.reused += 1;
                Taken::Alone(array)
            }
            Err(array) => Taken::Shared(array),
        })
    }

    /// f, of each element of the operand.
    pub fn map<T: Element>(&mut self, f: impl Fn(T) -> T) -> Tensor {
        let dims = self[0].dims().to_vec();
        let result = match self.take::<T>(0, &dims) {
            Some(Taken::Alone(mut array)) => {
                array.mapv_inplace(f);
                return array.into();
            }
            Some(Taken::Shared(array)) => array.mapv(f),
            None => self.array::<T>(0).mapv(f),
        };
        self.fresh(result)
    }

    /// f, of each element of the operand, which becomes another kind of element.
    pub fn convert<T: Element, U: Element>(&mut self, f: impl Fn(T) -> U) -> Tensor {
        let result = self.array::<T>(0).mapv(f);
        self.fresh(result)
    }

    /// f, of the elements of two operands that stand in the same place, both stretched to one shape.
    pub fn zip<T: Element>(&mut self, f: impl Fn(T, T) -> T) -> Tensor {
        let dims = self.broadcast_dims();
        let result = match self.take::<T>(0, &dims) {
            Some(Taken::Alone(mut x)) => {
                write_over(&mut x, self.array(1), f);
                return x.into();
            }
            Some(Taken::Shared(x)) => zipped(&x, self.array(1), &dims, f),
            None => match self.take::<T>(1, &dims) {
                Some(Taken::Alone(mut y)) => {
                    write_over(&mut y, self.array(0), |y, x| f(x, y));
                    return y.into();
                }
                Some(Taken::Shared(y)) => zipped(self.array(0), &y, &dims, f),
                None => zipped(self.array(0), self.array(1), &dims, f),
            },
        };
        self.fresh(result)
    }

    /// [`zip`](Self::zip), with operands of two kinds, or a result of another one.
    pub fn zip_to<T: Element, U: Element, V: Element>(&mut self, f: impl Fn(T, U) -> V) -> Tensor {
        let dims = self.broadcast_dims();
        let result = zipped(self.array(0), self.array(1), &dims, f);
        self.fresh(result)
    }

    /// [`zip`](Self::zip) of complex numbers, where one operand may be real.
    pub fn zip_complex(&mut self, f: impl Fn(Complex64, Complex64) -> Complex64) -> Tensor {
        if self[0].kind() == self[1].kind() {
            return self.zip(f);
        }
        let dims = self.broadcast_dims();
        let result = zipped(&self.complex(0), &self.complex(1), &dims, f);
        self.fresh(result)
    }

    /// The elements of the second operand where the first, a real condition, is not 0, and 0 elsewhere.
    pub fn keep_if<T: Element>(&mut self, zero: T) -> Tensor {
        let kept = |x: T, condition: f64| if condition != 0.0 { x } else { zero };
        let dims = self.broadcast_dims();
        let result = match self.take::<T>(1, &dims) {
            Some(Taken::Alone(mut x)) => {
                write_over(&mut x, self.array::<f64>(0), kept);
                return x.into();
            }
            Some(Taken::Shared(x)) => zipped(&x, self.array::<f64>(0), &dims, kept),
            None => zipped(self.array(1), self.array::<f64>(0), &dims, kept),
        };
        self.fresh(result)
    }

    /// Elements of x where the first operand is not 0, and of y elsewhere.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "they are shared, and read from the operands"
    )]
    pub fn choose<T: Element>(&mut self, x: Shared<T>, y: Shared<T>) -> Tensor {
        let dims = self.broadcast_dims();
        let result = Zip::from(&whole(self.array::<f64>(0), &dims))
            .and(&whole(&x, &dims))
            .and(&whole(&y, &dims))
            .map_collect(|&condition, &x, &y| if condition != 0.0 { x } else { y });
        self.fresh(result)
    }

    /// The shape that all operands stretch to.
    ///
    /// # Panics
    ///
    /// If there is none, which types would have shown.
    pub fn broadcast_dims(&self) -> Vec<usize> {
        match broadcast((0..self.len()).map(|at| self[at].dims())) {
            Ok(dims) => dims,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Index<usize> for Args<'_, '_> {
    type Output = Tensor;

    fn index(&self, at: usize) -> &Tensor {
        match &self.source {
            Source::Borrowed(operands) => operands[at],
            Source::Program(operands) => &operands[at],
            Source::Taking(Some(first), _) if at == 0 => first,
            Source::Taking(_, second) if at == 1 => second,
            Source::Taking(..) => {
                panic!("operand {at} of 2, of which the first may have been taken")
            }
        }
    }
}

/// Elements as those of a larger shape, in memory of their own: axis by axis from the last, in whole blocks.
/// (A view of the larger shape would take a step of an index of many axes for each short row.)
pub(crate) fn repeated<T: Element>(array: &Shared<T>, dims: &[usize]) -> ArrayD<T> {
    let missing = dims.len() - array.ndim();
    let mut elements: Vec<T> = array.iter().copied().collect();
    let mut block = 1;
    for (axis, &count) in dims.iter().enumerate().rev() {
        let found = axis.checked_sub(missing).map_or(1, |at| array.shape()[at]);
        if found != count {
            let mut more = Vec::with_capacity(elements.len() * count);
            for block in elements.chunks_exact(block.max(1)) {
                (0..count).for_each(|_| more.extend_from_slice(block));
            }
            elements = more;
        }
        block *= count;
    }
    let result = ArrayD::from_shape_vec(dims, elements);
    result.unwrap_or_else(|error| panic!("{:?} to {dims:?}: {error}", array.shape()))
}

fn write_over<T: Element, U: Element>(x: &mut ArrayD<T>, y: &Shared<U>, f: impl Fn(T, U) -> T) {
    if let (1, Some(&y)) = (y.len(), y.first()) {
        return x.mapv_inplace(|x| f(x, y));
    }
    let rows_end_with_y = x.shape().ends_with(y.shape()) && !y.is_empty();
    if let (true, Some(y), Some(x)) = (rows_end_with_y, y.as_slice(), x.as_slice_mut()) {
        for x in x.chunks_exact_mut(y.len()) {
            x.iter_mut().zip(y).for_each(|(x, &y)| *x = f(*x, y));
        }
        return;
    }
    let y = repeated(y, x.shape());
    Zip::from(x).and(&y).for_each(|x, &y| *x = f(*x, y));
}

fn zipped<T: Element, U: Element, V: Element>(
    x: &Shared<T>,
    y: &Shared<U>,
    dims: &[usize],
    f: impl Fn(T, U) -> V,
) -> ArrayD<V> {
    let [x_is_whole, y_is_whole] = [x.shape() == dims, y.shape() == dims];
    let [x_is_one, y_is_one] = [x.len() == 1, y.len() == 1];
    match (x.first(), y.first()) {
        (_, Some(&y)) if x_is_whole && y_is_one => x.mapv(|x| f(x, y)),
        (Some(&x), _) if y_is_whole && x_is_one => y.mapv(|y| f(x, y)),
        _ => Zip::from(&whole(x, dims))
            .and(&whole(y, dims))
            .map_collect(|&x, &y| f(x, y)),
    }
}

/// Elements as those of a larger shape, copied only where they are not.
fn whole<T: Element>(array: &Shared<T>, dims: &[usize]) -> Shared<T> {
    match array.shape() == dims {
        true => array.clone(),
        false => repeated(array, dims).into_shared(),
    }
}
