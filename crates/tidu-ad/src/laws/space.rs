//! Operands as vectors of a real inner product space.

/// How operands are seen as vectors: by their real coordinates in an orthonormal basis.
///
/// Everything that the laws need of operands follows from coordinates: sums, multiples, zeros,
/// norms, random tangents, and the inner product ⟨a, b⟩ = Σᵢ aᵢ·bᵢ. For a complex number, with the
/// coordinates (Re z, Im z), this is Re(conj(a)·b), which transposition is with respect to. Where the
/// inner product weighs components, the coordinates carry the square roots of the weights.
///
/// A tangent or cotangent of an operand has as many coordinates as the operand. An operand without
/// coordinates (an index, a flag) has no tangents: it is never active.
///
/// # Example
///
/// A number or an index:
///
/// ```
/// use tidu_ad::laws::Space;
///
/// #[derive(Clone)]
/// enum Value {
///     Number(f64),
///     Index(usize),
/// }
///
/// let space = Space::new(
///     |value: &Value| match value {
///         Value::Number(number) => vec![*number],
///         Value::Index(_) => vec![],
///     },
///     |like, coordinates| match like {
///         Value::Number(_) => Value::Number(coordinates[0]),
///         Value::Index(index) => Value::Index(*index),
///     },
/// );
/// # let _ = space;
/// ```
pub struct Space<T> {
    coordinates: Coordinates<T>,
    with_coordinates: WithCoordinates<T>,
}

type Coordinates<T> = Box<dyn Fn(&T) -> Vec<f64>>;
type WithCoordinates<T> = Box<dyn Fn(&T, &[f64]) -> T>;

impl<T> Space<T> {
    /// A space, from two maps that are inverse to one another: what the coordinates of an operand
    /// are, and which operand, in all else (shape, type) like a given one, has these coordinates.
    pub fn new(
        coordinates: impl Fn(&T) -> Vec<f64> + 'static,
        with_coordinates: impl Fn(&T, &[f64]) -> T + 'static,
    ) -> Self {
        Self {
            coordinates: Box::new(coordinates),
            with_coordinates: Box::new(with_coordinates),
        }
    }

    pub(super) fn coordinates(&self, operand: &T) -> Vec<f64> {
        (self.coordinates)(operand)
    }

    pub(super) fn dimension(&self, operand: &T) -> usize {
        self.coordinates(operand).len()
    }

    pub(super) fn operand(&self, like: &T, coordinates: &[f64]) -> T {
        (self.with_coordinates)(like, coordinates)
    }

    /// x + h·t
    pub(super) fn step(&self, x: &T, h: f64, t: &[f64]) -> T {
        let x_coordinates = self.coordinates(x);
        let moved = x_coordinates.iter().zip(t).map(|(x, t)| x + h * t);
        self.operand(x, &moved.collect::<Vec<f64>>())
    }

    /// The operand as a failure shows it.
    pub(super) fn show(&self, operand: &T) -> String {
        show(&self.coordinates(operand))
    }
}

impl Space<f64> {
    /// The real numbers.
    pub fn reals() -> Self {
        Self::new(|x| vec![*x], |_, coordinates| coordinates[0])
    }
}

impl Space<Vec<f64>> {
    /// Real vectors, of any length.
    pub fn real_vectors() -> Self {
        Self::new(Vec::clone, |_, coordinates| coordinates.to_vec())
    }
}

/// Coordinates as a failure shows them, exactly: a number for one, a list for any other count.
pub(super) fn show(coordinates: &[f64]) -> String {
    match coordinates {
        [number] => format!("{number:?}"),
        list => format!("{list:?}"),
    }
}

/// The coordinates of several operands.
pub(super) fn show_all(operands: &[Vec<f64>]) -> String {
    let shown: Vec<String> = operands
        .iter()
        .map(|coordinates| show(coordinates))
        .collect();
    shown.join(", ")
}

/// The largest magnitude among coordinates; NaN if one is NaN.
pub(super) fn norm(coordinates: &[f64]) -> f64 {
    let magnitudes = coordinates.iter().map(|x| x.abs());
    // `f64::max` would pass over a NaN.
    magnitudes.fold(0.0, |largest, x| {
        if x > largest || x.is_nan() {
            x
        } else {
            largest
        }
    })
}

pub(super) fn norm_of_all(operands: &[Vec<f64>]) -> f64 {
    norm(
        &operands
            .iter()
            .map(|coordinates| norm(coordinates))
            .collect::<Vec<f64>>(),
    )
}

/// Σ aᵢ·bᵢ over all coordinates of all operands.
pub(super) fn inner(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let products = a.iter().flatten().zip(b.iter().flatten());
    products.map(|(a, b)| a * b).sum()
}

/// a + factor·b
pub(super) fn combine(a: &[Vec<f64>], factor: f64, b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let of_operand = |(a, b): (&Vec<f64>, &Vec<f64>)| {
        let coordinates = a.iter().zip(b).map(|(a, b)| a + factor * b);
        coordinates.collect()
    };
    a.iter().zip(b).map(of_operand).collect()
}
