//! Derivatives of closures.

use tidu_ad::Mode;
use tidu_eager::EagerError;

use crate::var::{Tape, Var};

/// The gradient of a function at a point.
///
/// Derives the operations that it meets anew each time; [`Tape::grad`] remembers them.
///
/// # Errors
///
/// [`EagerError::ForeignVar`] if `f` returns a variable of another tape.
///
/// # Example
///
/// ```
/// let gradient = tidu_scalar::grad(|x| x[0] * x[1].exp(), &[2.0, 0.0])?;
/// assert_eq!(gradient, [1.0, 2.0]);
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
pub fn grad(
    f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
    x: &[f64],
) -> Result<Vec<f64>, EagerError> {
    Tape::new().grad(f, x)
}

/// The value and the gradient of a function at a point.
///
/// # Errors
///
/// As for [`grad`].
pub fn value_and_grad(
    f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
    x: &[f64],
) -> Result<(f64, Vec<f64>), EagerError> {
    Tape::new().value_and_grad(f, x)
}

/// The derivative of a function of one number.
///
/// # Errors
///
/// As for [`grad`].
///
/// ```
/// assert_eq!(tidu_scalar::derivative(|x| x * x, 3.0)?, 6.0);
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
pub fn derivative(f: impl for<'t> FnOnce(Var<'t>) -> Var<'t>, x: f64) -> Result<f64, EagerError> {
    Ok(Tape::new().grad(|x| f(x[0]), &[x])?[0])
}

/// The value of a function at a point, and its derivative in a direction: forward mode.
///
/// # Errors
///
/// As for [`grad`]; [`EagerError::WrongDirection`] for a direction of another dimension.
///
/// ```
/// let (value, slope) = tidu_scalar::jvp(|x| x[0] * x[1], &[2.0, 3.0], &[1.0, 0.5])?;
/// assert_eq!((value, slope), (6.0, 4.0));
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
pub fn jvp(
    f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
    x: &[f64],
    direction: &[f64],
) -> Result<(f64, f64), EagerError> {
    Tape::new().jvp(f, x, direction)
}

/// The Hessian of a function at a point, times a direction.
///
/// # Errors
///
/// As for [`jvp`].
pub fn hvp(
    f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
    x: &[f64],
    direction: &[f64],
) -> Result<Vec<f64>, EagerError> {
    Tape::new().hvp(f, x, direction)
}

/// The Hessian of a function at a point, by rows.
///
/// # Errors
///
/// As for [`grad`].
///
/// ```
/// let hessian = tidu_scalar::hessian(|x| x[0] * x[0] * x[1], &[3.0, 5.0])?;
/// assert_eq!(hessian, [[10.0, 6.0], [6.0, 0.0]]);
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
pub fn hessian(
    f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
    x: &[f64],
) -> Result<Vec<Vec<f64>>, EagerError> {
    Tape::new().hessian(f, x)
}

/// The Jacobian of a function of several results at a point: a row of derivatives for each result.
///
/// Forward, an input at a time, where there are no more inputs than results that depend on them, in reverse, a
/// result at a time, otherwise. [`jacobian_in`] goes the way that one says. Both give the same but for
/// rounding, unless a function inside has a JVP and a VJP that differ, or `f` hooks a variable: hooks change
/// what goes backward, so a Jacobian with hooks is made in reverse. So it is where forward mode cannot be
/// derived, as with a VJP alone that is not linear.
///
/// # Errors
///
/// As for [`grad`].
///
/// # Complexity
///
/// As many passes over what `f` computes as there are inputs, or results that depend on them, whichever are
/// fewer.
///
/// ```
/// let jacobian = tidu_scalar::jacobian(|x| vec![x[0] + x[1], x[0] * x[1]], &[3.0, 5.0])?;
/// assert_eq!(jacobian, [[1.0, 1.0], [5.0, 3.0]]);
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
pub fn jacobian(
    f: impl for<'t> FnOnce(&[Var<'t>]) -> Vec<Var<'t>>,
    x: &[f64],
) -> Result<Vec<Vec<f64>>, EagerError> {
    Tape::new().jacobian(f, x)
}

/// The values and the Jacobian of a function of several results at a point, in one evaluation. See [`jacobian`].
///
/// # Errors
///
/// As for [`grad`].
///
/// # Example
///
/// A step of Gauss and Newton's method for residuals that can all vanish, at the root of x² = 2:
///
/// ```
/// let mut x = 1.0;
/// for _ in 0..6 {
///     let (residuals, jacobian) = tidu_scalar::value_and_jacobian(|x| vec![x[0] * x[0] - 2.0], &[x])?;
///     x -= residuals[0] / jacobian[0][0];
/// }
/// assert!((x - 2.0_f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
pub fn value_and_jacobian(
    f: impl for<'t> FnOnce(&[Var<'t>]) -> Vec<Var<'t>>,
    x: &[f64],
) -> Result<(Vec<f64>, Vec<Vec<f64>>), EagerError> {
    Tape::new().value_and_jacobian(f, x)
}

/// [`value_and_jacobian`], forward or in reverse.
///
/// # Errors
///
/// As for [`grad`].
pub fn value_and_jacobian_in(
    mode: Mode,
    f: impl for<'t> FnOnce(&[Var<'t>]) -> Vec<Var<'t>>,
    x: &[f64],
) -> Result<(Vec<f64>, Vec<Vec<f64>>), EagerError> {
    Tape::new().value_and_jacobian_in(mode, f, x)
}

/// [`jacobian`], forward or in reverse.
///
/// # Errors
///
/// As for [`grad`].
///
/// ```
/// use tidu_ad::Mode;
///
/// let jacobian = tidu_scalar::jacobian_in(Mode::Reverse, |x| vec![x[0] * x[0], x[0].exp()], &[0.0])?;
/// assert_eq!(jacobian, [[0.0], [1.0]]);
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
pub fn jacobian_in(
    mode: Mode,
    f: impl for<'t> FnOnce(&[Var<'t>]) -> Vec<Var<'t>>,
    x: &[f64],
) -> Result<Vec<Vec<f64>>, EagerError> {
    Tape::new().jacobian_in(mode, f, x)
}

/// Derivatives of closures, on the memory of the tape and with what it has derived before. Each forgets
/// what was recorded.
impl Tape {
    /// The gradient of a function at a point. See [`grad`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Example
    ///
    /// Gradient descent:
    ///
    /// ```
    /// let mut tape = tidu_scalar::Tape::new();
    /// let mut x = [0.0, 0.0];
    /// for _ in 0..100 {
    ///     let slope = tape.grad(|x| (x[0] - 3.0).powi(2) + (x[1] + x[0]).powi(2), &x)?;
    ///     x = [x[0] - 0.2 * slope[0], x[1] - 0.2 * slope[1]];
    /// }
    /// assert!((x[0] - 3.0).abs() + (x[1] + 3.0).abs() < 1e-6);
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn grad(
        &mut self,
        f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
        x: &[f64],
    ) -> Result<Vec<f64>, EagerError> {
        Ok(self.value_and_grad(f, x)?.1)
    }

    /// The value and the gradient of a function at a point.
    ///
    /// # Errors
    ///
    /// As for [`grad`].
    pub fn value_and_grad(
        &mut self,
        f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
        x: &[f64],
    ) -> Result<(f64, Vec<f64>), EagerError> {
        self.clear();
        let x = self.vars_of(x);
        let y = f(&x);
        Ok((y.value(), self.gradient_of(y, &x)?))
    }

    /// The value of a function at a point, and its derivative in a direction. See [`jvp`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn jvp(
        &mut self,
        f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
        x: &[f64],
        direction: &[f64],
    ) -> Result<(f64, f64), EagerError> {
        check_direction(x, direction)?;
        self.clear();
        let x = self.vars_of(x);
        let y = f(&x);
        Ok((y.value(), self.slopes(&[y], &x, direction)?[0]))
    }

    /// The Hessian of a function at a point, times a direction.
    ///
    /// # Errors
    ///
    /// As for [`jvp`].
    pub fn hvp(
        &mut self,
        f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
        x: &[f64],
        direction: &[f64],
    ) -> Result<Vec<f64>, EagerError> {
        check_direction(x, direction)?;
        self.clear();
        let x = self.vars_of(x);
        let y = f(&x);
        self.slopes(&gradient(y, &x)?, &x, direction)
    }

    /// The Hessian of a function at a point, by rows.
    ///
    /// # Errors
    ///
    /// As for [`grad`].
    pub fn hessian(
        &mut self,
        f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
        x: &[f64],
    ) -> Result<Vec<Vec<f64>>, EagerError> {
        self.clear();
        let x = self.vars_of(x);
        let y = f(&x);
        let slopes = gradient(y, &x)?.into_iter();
        slopes.map(|slope| self.gradient_of(slope, &x)).collect()
    }

    /// The Jacobian of a function of several results at a point: a row of derivatives for each result. See
    /// [`jacobian`].
    ///
    /// # Errors
    ///
    /// As for [`grad`].
    pub fn jacobian(
        &mut self,
        f: impl for<'t> FnOnce(&[Var<'t>]) -> Vec<Var<'t>>,
        x: &[f64],
    ) -> Result<Vec<Vec<f64>>, EagerError> {
        Ok(self.value_and_jacobian(f, x)?.1)
    }

    /// [`jacobian`](Self::jacobian), forward or in reverse.
    ///
    /// # Errors
    ///
    /// As for [`grad`].
    pub fn jacobian_in(
        &mut self,
        mode: Mode,
        f: impl for<'t> FnOnce(&[Var<'t>]) -> Vec<Var<'t>>,
        x: &[f64],
    ) -> Result<Vec<Vec<f64>>, EagerError> {
        Ok(self.value_and_jacobian_in(mode, f, x)?.1)
    }

    /// The values and the Jacobian of a function of several results at a point, in one evaluation. See
    /// [`value_and_jacobian`].
    ///
    /// # Errors
    ///
    /// As for [`grad`].
    pub fn value_and_jacobian(
        &mut self,
        f: impl for<'t> FnOnce(&[Var<'t>]) -> Vec<Var<'t>>,
        x: &[f64],
    ) -> Result<(Vec<f64>, Vec<Vec<f64>>), EagerError> {
        self.clear();
        let x = self.vars_of(x);
        let results = f(&x);
        let active = results.iter().filter(|y| y.requires_grad()).count();
        if x.len() > active || self.with(|tape| tape.has_hooks()) {
            return Ok((values(&results), self.by_rows(&results, &x)?));
        }
        let jacobian = match self.by_columns(&results, &x) {
            // What has no forward mode may have a reverse mode.
            Err(error @ (EagerError::Derive { .. } | EagerError::ResidualNotKept { .. })) => {
                self.by_rows(&results, &x).map_err(|_| error)
            }
            found => found,
        };
        Ok((values(&results), jacobian?))
    }

    /// [`value_and_jacobian`](Self::value_and_jacobian), forward or in reverse.
    ///
    /// # Errors
    ///
    /// As for [`grad`].
    pub fn value_and_jacobian_in(
        &mut self,
        mode: Mode,
        f: impl for<'t> FnOnce(&[Var<'t>]) -> Vec<Var<'t>>,
        x: &[f64],
    ) -> Result<(Vec<f64>, Vec<Vec<f64>>), EagerError> {
        self.clear();
        let x = self.vars_of(x);
        let results = f(&x);
        let jacobian = match mode {
            Mode::Forward => self.by_columns(&results, &x),
            // The matrix is the same whichever way.
            _ => self.by_rows(&results, &x),
        };
        Ok((values(&results), jacobian?))
    }

    /// The derivatives of `y` by `x`, by one pass backward for each of `y`.
    fn by_rows(&self, y: &[Var<'_>], x: &[Var<'_>]) -> Result<Vec<Vec<f64>>, EagerError> {
        y.iter().map(|&y| self.gradient_of(y, x)).collect()
    }

    /// The derivatives of `y` by `x`, by one pass forward for each of `x`.
    fn by_columns(&self, y: &[Var<'_>], x: &[Var<'_>]) -> Result<Vec<Vec<f64>>, EagerError> {
        let mut rows = vec![Vec::with_capacity(x.len()); y.len()];
        for input in x {
            let column = self.slopes(y, std::slice::from_ref(input), &[1.0])?;
            for (row, entry) in rows.iter_mut().zip(column) {
                row.push(entry);
            }
        }
        Ok(rows)
    }

    /// Numbers, 0 where nothing depends on a variable, also if `y` is a constant.
    fn gradient_of(&self, y: Var<'_>, x: &[Var<'_>]) -> Result<Vec<f64>, EagerError> {
        if !y.requires_grad() {
            return Ok(vec![0.0; x.len()]);
        }
        let x: Vec<_> = x.iter().map(Var::eager).collect();
        let found = self.with(|tape| tape.backward_keeping(&[(y.eager(), 1.0)], &x))?;
        Ok(found
            .into_iter()
            .map(|found| found.unwrap_or(0.0))
            .collect())
    }

    /// The derivatives of `y` in a direction, 0 for constants: all in one pass.
    fn slopes(
        &self,
        y: &[Var<'_>],
        x: &[Var<'_>],
        direction: &[f64],
    ) -> Result<Vec<f64>, EagerError> {
        let moving = x.iter().map(Var::eager).zip(direction.iter().copied());
        let moving: Vec<_> = moving.collect();
        let active = y.iter().filter(|y| y.requires_grad());
        let active: Vec<_> = active.map(Var::eager).collect();
        let found = self.with(|tape| tape.tangents(&moving, &active))?;
        let mut found = found.into_iter();
        let slopes = y.iter().map(|y| match y.requires_grad() {
            true => found.next().flatten().unwrap_or(0.0),
            false => 0.0,
        });
        Ok(slopes.collect())
    }
}

fn values(results: &[Var<'_>]) -> Vec<f64> {
    results.iter().map(Var::value).collect()
}

/// The gradient as variables, constants if `y` is one.
fn gradient<'t>(y: Var<'t>, x: &[Var<'t>]) -> Result<Vec<Var<'t>>, EagerError> {
    match y.requires_grad() {
        true => y.gradient(x),
        false => Ok(vec![Var::constant(0.0); x.len()]),
    }
}

fn check_direction(x: &[f64], direction: &[f64]) -> Result<(), EagerError> {
    let (expected, found) = (x.len(), direction.len());
    match expected == found {
        true => Ok(()),
        false => Err(EagerError::WrongDirection { expected, found }),
    }
}
