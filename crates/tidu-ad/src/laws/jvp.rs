//! J·t is the derivative: by central difference, and by how the Taylor remainder shrinks.

use tidu_graph::EvaluableGraphOperation;

use crate::rules::Primitive;

use super::fault::{Checked, Fault, Verdict};
use super::probe::{Coordinates, Probe};
use super::random::Random;
use super::setting::Setting;
use super::space::{combine, norm, norm_of_all, show_all};

/// Checks J·t along a random t.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    random: &mut Random,
) -> Checked {
    if probe.wrt.is_empty() {
        return Ok(Verdict::NotApplicable);
    }
    let t = probe.random_tangents(random);
    check_along(probe, &t).map_err(|fault| fault.along("t", &t))
}

/// Checks the derivative of a probe's outputs along t, be they a derivative themselves.
///
/// For the remainder r(h) = ‖f(x + h·t) - f(x) - h·J·t‖ of each output, in the maximum norm: steps
/// h = 2⁻⁴, 2⁻⁶, … down to about √ε (2⁻²⁸ for `f64`) are tried. What r is at steps near ε, where
/// nothing of f can be seen, is the noise; remainders below it say nothing. Of those above it, the
/// ones at the smallest steps decide: they are on a line of slope 2 or more, in log r against log h,
/// if J·t is right, of slope 1 if it is not, and of no such slope if f is not smooth, or noisier
/// than it shows at x.
///
/// # Complexity
///
/// Some thirty evaluations.
pub(super) fn check_along<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    t: &Coordinates,
) -> Checked {
    let there = probe.coordinates()?;
    let at_x: Coordinates = there
        .iter()
        .map(|y| y.clone().unwrap_or_default())
        .collect();
    if at_x.iter().flatten().any(|y| !y.is_finite()) {
        return Err(Fault::new(
            "the function is not finite at this point: draw operands from inside its domain, and \
             list such points as special ones",
        )
        .found(show_all(&at_x)));
    }
    let map = probe.forward(t)?;
    let jt = map.coordinates_like(&at_x)?;
    let remainders = Remainders {
        probe,
        t,
        at_x: &at_x,
        jt: &jt,
    };
    // 16 units of J·t itself, whose terms may have cancelled.
    let rounding = 16.0 * probe.setting.precision * map.magnitude()?;
    let evidence = Evidence::collect(&remainders, rounding)?;
    for output in 0..at_x.len() {
        if let Some(complaint) = evidence.complaint(&remainders, output) {
            return Err(Fault::new(complaint)
                .expected(format!(
                    "{} (central difference, step {:e})",
                    show_all(&evidence.difference),
                    evidence.step
                ))
                .found(show_all(&jt)));
        }
    }
    Ok(Verdict::Holds)
}

/// What was seen of f around a point.
struct Evidence {
    steps: Vec<f64>,
    /// By step and output: r.
    remainders: Vec<Vec<f64>>,
    /// By output: the noise in f, in units of f.
    noise: Vec<f64>,
    /// By output: whether the noise is a jump.
    jumps: Vec<bool>,
    /// The noise in J·t.
    rounding: f64,
    /// The step of the central difference, near the cube root of ε, where it is best.
    step: f64,
    difference: Coordinates,
    /// The difference for twice the step, which tells how good it is.
    wider: Coordinates,
}

impl Evidence {
    fn collect<Op: Primitive + EvaluableGraphOperation>(
        source: &Remainders<'_, '_, Op>,
        rounding: f64,
    ) -> Result<Self, Box<Fault>> {
        let precision = source.probe.setting.precision;
        let steps = steps(precision);
        let remainders = steps.iter().map(|&h| source.at(h));
        let remainders = remainders.collect::<Result<Vec<_>, _>>()?;
        let noise = source.noise()?;
        let step = precision.cbrt().log2().round().exp2();
        Ok(Self {
            jumps: source.jumps(&noise, &remainders)?,
            steps,
            remainders,
            noise,
            rounding,
            step,
            difference: source.central_difference(step)?,
            wider: source.central_difference(2.0 * step)?,
        })
    }

    /// What is wrong with J·t of an output.
    fn complaint<Op: Primitive + EvaluableGraphOperation>(
        &self,
        source: &Remainders<'_, '_, Op>,
        output: usize,
    ) -> Option<String> {
        let shrinks = |slope: f64| {
            format!(
                "‖f(x + h·t) - f(x) - h·J·t‖ shrinks like h^{slope:.2}, not like h², as the step \
                 h does"
            )
        };
        match self.shape(output) {
            Shape::Right => {}
            Shape::Wrong(slope) => {
                return Some(format!(
                    "J·t of output {output} is a wrong derivative: {}",
                    shrinks(slope)
                ));
            }
            Shape::NotSmooth(slope) => {
                return Some(format!(
                    "output {output} has no derivative here, or is noisy: {}",
                    shrinks(slope)
                ));
            }
        }
        let jt = &source.jt[output];
        let difference = &self.difference[output];
        let error = norm(&minus(jt, difference));
        if !error.is_finite() {
            return Some(
                "the function is not finite a small step from this point: draw operands with some \
                 room around them"
                    .into(),
            );
        }
        let scale = norm(difference).max(norm(jt));
        // What twice the step adds is four times the difference's own error.
        let spread = norm(&minus(&self.wider[output], difference));
        let bound = relative_bound(source.probe.setting) * scale
            + 2.0 * spread
            + self.rounding
            + 4.0 * self.noise[output] / self.step;
        (error > bound).then(|| {
            format!(
                "J·t of output {output} is not the central difference of f, although what is \
                 left of ‖f(x + h·t) - f(x) - h·J·t‖ may be rounding"
            )
        })
    }

    fn shape(&self, output: usize) -> Shape {
        if self.jumps[output] {
            return Shape::NotSmooth(0.0);
        }
        let remainders = self.remainders.iter().map(|r| r[output]);
        let remainders: Vec<f64> = remainders.collect();
        let noise = self.steps.iter();
        let noise = noise.map(|h| self.noise[output] + h * self.rounding);
        judge(&self.steps, &remainders, &noise.collect::<Vec<f64>>())
    }
}

/// 2⁻⁴, 2⁻⁶, … as far as a remainder of second order may be seen.
fn steps(precision: f64) -> Vec<f64> {
    let steps = (2..).map(|k| 0.25_f64.powi(k));
    steps.take_while(|h| *h >= precision.sqrt() / 4.0).collect()
}

/// How far from a central difference J·t may be, relatively, beside what the difference itself is off.
fn relative_bound<Op: Primitive>(setting: &Setting<Op>) -> f64 {
    (4.0 * setting.precision.sqrt()).max(setting.tolerance)
}

/// Noise above this part of all values seen is none: there is a jump at x.
const NOISY: f64 = 1e-4;

struct Remainders<'a, 'p, Op: Primitive + EvaluableGraphOperation> {
    probe: &'a Probe<'p, Op>,
    t: &'a Coordinates,
    at_x: &'a Coordinates,
    jt: &'a Coordinates,
}

impl<Op: Primitive + EvaluableGraphOperation> Remainders<'_, '_, Op> {
    fn f(&self, h: f64) -> Result<Coordinates, Box<Fault>> {
        let found = self.probe.coordinates_at(&self.probe.moved(h, self.t))?;
        Ok(found.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// By output: r(h).
    fn at(&self, h: f64) -> Result<Vec<f64>, Box<Fault>> {
        let difference = combine(&self.f(h)?, -1.0, self.at_x);
        let remainder = combine(&difference, -h, self.jt);
        Ok(remainder.iter().map(|r| norm(r)).collect())
    }

    /// By output: what rounding alone makes of r, with a margin.
    fn noise(&self) -> Result<Vec<f64>, Box<Fault>> {
        let mut noise = self.unit_noise()?;
        for k in 0..9 {
            let h = self.probe.setting.precision * 2.0_f64.powi(k);
            for (noise, r) in noise.iter_mut().zip(self.at(h)?) {
                *noise = noise.max(8.0 * r);
            }
        }
        Ok(noise)
    }

    /// By output: what the unit of rounding makes of r at least, even where steps happen to round well.
    fn unit_noise(&self) -> Result<Vec<f64>, Box<Fault>> {
        let computed = self.probe.magnitude()?;
        let unit = 16.0 * self.probe.setting.precision;
        let of_output = |y: &Vec<f64>| unit * computed.max(norm(y)) + f64::MIN_POSITIVE;
        Ok(self.at_x.iter().map(of_output).collect())
    }

    /// By output: whether the noise is not that of rounding. What an output amounts to is judged by all
    /// that is seen of it; one that is next to nothing beside x may consist of rounding alone.
    fn jumps(&self, noise: &[f64], by_step: &[Vec<f64>]) -> Result<Vec<bool>, Box<Fault>> {
        let unit_noise = self.unit_noise()?;
        let x = norm_of_all(&self.probe.point()) * self.probe.setting.precision.sqrt();
        let is_jump = |output: usize| {
            let remainders = by_step.iter().map(|r| r[output]);
            let seen = [norm(&self.at_x[output]), norm(&self.jt[output]), x];
            let seen = seen.into_iter().chain(remainders).fold(0.0, f64::max);
            noise[output] > NOISY * seen && noise[output] > 64.0 * unit_noise[output]
        };
        Ok((0..noise.len()).map(is_jump).collect())
    }

    fn central_difference(&self, h: f64) -> Result<Coordinates, Box<Fault>> {
        let difference = combine(&self.f(h)?, -1.0, &self.f(-h)?);
        let quotient = |y: Vec<f64>| y.into_iter().map(|y| y / (2.0 * h)).collect();
        Ok(difference.into_iter().map(quotient).collect())
    }
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// What the remainders say of J·t.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// They shrink like h² or faster, or are noise.
    Right,
    /// They shrink like h.
    Wrong(f64),
    /// They shrink in another way.
    NotSmooth(f64),
}

/// Looks at remainders r for steps h, from the largest to the smallest, each a quarter of the one
/// before, and at the noise in each. A remainder that is not finite lies outside the domain of f.
fn judge(steps: &[f64], remainders: &[f64], noise: &[f64]) -> Shape {
    let above = |at: &usize| remainders[*at] > noise[*at];
    let Some(last) = (0..steps.len()).rev().find(above) else {
        return Shape::Right;
    };
    // Down to what the next smaller step leaves: a smooth remainder does not vanish within one
    // step. One that does comes from a kink between the two.
    if last + 1 < steps.len() && remainders[last] > SHEER * noise[last + 1] {
        return Shape::Right;
    }
    let first = last.saturating_sub(3);
    let points: Vec<(f64, f64)> = (first..=last)
        .filter(|at| remainders[*at].is_finite() && above(at))
        .map(|at| (steps[at].log2(), remainders[at].log2()))
        .collect();
    if points.len() < 2 && last + 1 < steps.len() {
        // One remainder just above the noise has no slope, and is next to nothing.
        return Shape::Right;
    }
    match slope(&points) {
        slope if slope >= 1.6 => Shape::Right,
        slope if slope >= 0.6 => Shape::Wrong(slope),
        slope => Shape::NotSmooth(slope),
    }
}

/// A remainder that shrinks by this much from a step to the next, h^6, is not that of a smooth
/// function.
const SHEER: f64 = 4096.0;

/// The slope of the least-squares line.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let variance: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    covariance / variance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(remainder: impl Fn(f64) -> f64, noise: f64) -> Shape {
        let steps = steps(f64::EPSILON);
        assert_eq!(steps.len(), 13);
        let remainders: Vec<f64> = steps.iter().map(|&h| remainder(h) + noise / 3.0).collect();
        judge(&steps, &remainders, &vec![noise; steps.len()])
    }

    #[test]
    fn a_right_derivative_leaves_second_order_or_less() {
        assert_eq!(judged(|h| h * h, 1e-14), Shape::Right);
        assert_eq!(judged(|h| 1e-3 * h * h, 1e-14), Shape::Right);
        assert_eq!(judged(|h| h * h * h, 1e-14), Shape::Right);
        assert_eq!(judged(|h| h.powi(4), 1e-14), Shape::Right);
        assert_eq!(judged(|_| 0.0, 1e-14), Shape::Right);
    }

    #[test]
    fn a_wrong_derivative_leaves_first_order() {
        for error in [1.0, 1e-3, 1e-6] {
            let shape = judged(|h| error * h + h * h, 1e-14);
            assert!(
                matches!(shape, Shape::Wrong(slope) if (slope - 1.0).abs() < 0.3),
                "{shape:?}"
            );
        }
    }

    #[test]
    fn a_jump_or_a_root_leaves_less() {
        assert!(matches!(judged(|_| 1.0, 1e-14), Shape::NotSmooth(slope) if slope.abs() < 0.1));
        assert!(matches!(judged(f64::sqrt, 1e-14), Shape::NotSmooth(slope) if slope < 0.55));
    }

    #[test]
    fn a_kink_some_way_off_is_passed_over() {
        assert_eq!(judged(|h| (h - 0.01).max(0.0), 1e-14), Shape::Right);
        assert_eq!(
            judged(|h| if h > 0.01 { 1.0 } else { 0.0 }, 1e-14),
            Shape::Right
        );
    }

    #[test]
    fn steps_outside_the_domain_do_not_count() {
        let shape = judged(|h| if h > 0.01 { f64::NAN } else { h * h }, 1e-14);
        assert_eq!(shape, Shape::Right);
        let shape = judged(|h| if h > 0.01 { f64::NAN } else { h }, 1e-14);
        assert!(matches!(shape, Shape::Wrong(_)), "{shape:?}");
    }
}
