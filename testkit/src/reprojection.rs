//! The reprojection error of bundle adjustment, as ADBench has it (Srajer, Kukelova, Fitzgibbon:
//! *A benchmark of selected algorithmic differentiation tools*, 2018).
//!
//! A camera is eleven numbers: the rotation r (axis times angle), its centre c, the focal length f, the
//! principal point p, and two radial distortions κ. With the point X, the weight w and the measured
//! pixel m:
//!
//! θ = |r|, a = r / θ; Y = X - c; Z = Y·cos θ + (a × Y)·sin θ + a·(a·Y)·(1 - cos θ) (Rodrigues);
//! u = (Z₁, Z₂) / Z₃; ρ = |u|²; the residual is w·(f·(1 + κ₁·ρ + κ₂·ρ²)·u + p - m).
//!
//! Where θ = 0 the formula is 0/0; ADBench branches there, and this workload keeps away from it.

use crate::arithmetic::Arithmetic;
use crate::random::Random;

/// The names of the 17 inputs. The last two, the pixel, are not differentiated by.
pub(crate) const INPUTS: [&str; 17] = [
    "r1", "r2", "r3", "c1", "c2", "c3", "f", "p1", "p2", "k1", "k2", "X1", "X2", "X3", "w", "m1",
    "m2",
];

/// The number of inputs to differentiate by.
pub(crate) const PARAMETERS: usize = 15;

/// The residual of one observation, in plain numbers and without regard to what else is in this
/// file: rotated by a matrix.
pub fn residual(inputs: &[f64; 17]) -> [f64; 2] {
    let [
        r1,
        r2,
        r3,
        c1,
        c2,
        c3,
        f,
        p1,
        p2,
        k1,
        k2,
        x1,
        x2,
        x3,
        w,
        m1,
        m2,
    ] = *inputs;
    let angle = (r1 * r1 + r2 * r2 + r3 * r3).sqrt();
    let [a, b, c] = [r1 / angle, r2 / angle, r3 / angle];
    let (sin, cos) = angle.sin_cos();
    let rest = 1.0 - cos;
    let rotation = [
        [
            cos + a * a * rest,
            a * b * rest - c * sin,
            a * c * rest + b * sin,
        ],
        [
            b * a * rest + c * sin,
            cos + b * b * rest,
            b * c * rest - a * sin,
        ],
        [
            c * a * rest - b * sin,
            c * b * rest + a * sin,
            cos + c * c * rest,
        ],
    ];
    let y = [x1 - c1, x2 - c2, x3 - c3];
    let z = rotation.map(|row| row[0] * y[0] + row[1] * y[1] + row[2] * y[2]);
    let u = [z[0] / z[2], z[1] / z[2]];
    let radius = u[0] * u[0] + u[1] * u[1];
    let scale = f * (1.0 + k1 * radius + k2 * radius * radius);
    [w * (scale * u[0] + p1 - m1), w * (scale * u[1] + p2 - m2)]
}

/// So many observations, always the same: cameras that look at points in front of them.
pub fn observations(count: usize) -> Vec<[f64; 17]> {
    let mut random = Random(0x0b5e_77a7_1055);
    (0..count).map(|_| observation(&mut random)).collect()
}

fn observation(random: &mut Random) -> [f64; 17] {
    let mut near = |centre: f64, width: f64| centre + width * random.unit();
    [
        near(0.3, 0.2),
        near(-0.2, 0.1),
        near(0.1, 0.3),
        near(0.0, 1.0),
        near(0.0, 1.0),
        near(0.0, 1.0),
        near(600.0, 100.0),
        near(320.0, 20.0),
        near(240.0, 20.0),
        near(0.0, 0.1),
        near(0.0, 0.01),
        near(0.0, 1.0),
        near(0.0, 1.0),
        near(6.0, 1.0),
        near(1.0, 0.5),
        near(320.0, 300.0),
        near(240.0, 200.0),
    ]
}

/// The two residuals of one observation.
pub(crate) fn write<A: Arithmetic>(a: &mut A, inputs: &[A::Value]) -> Vec<A::Value> {
    let (rotation, centre) = (&inputs[0..3], &inputs[3..6]);
    let (focal, principal, distortion) = (&inputs[6], &inputs[7..9], &inputs[9..11]);
    let (point, weight, pixel) = (&inputs[11..14], &inputs[14], &inputs[15..17]);
    let seen = [0, 1, 2].map(|i| a.sub(&point[i], &centre[i]));
    let z = rotate(a, rotation, &seen);
    let u = [a.div(&z[0], &z[2]), a.div(&z[1], &z[2])];
    let scale = distort(a, distortion, &u);
    let residuals = [0, 1].map(|i| {
        let distorted = a.mul(&u[i], &scale);
        let magnified = a.mul(&distorted, focal);
        let projected = a.add(&magnified, &principal[i]);
        let error = a.sub(&projected, &pixel[i]);
        a.mul(weight, &error)
    });
    residuals.into()
}

/// y turned about the axis r by the angle |r|.
fn rotate<A: Arithmetic>(a: &mut A, r: &[A::Value], y: &[A::Value; 3]) -> [A::Value; 3] {
    let square = dot(a, r, r);
    let angle = a.sqrt(&square);
    let (sin, cos) = (a.sin(&angle), a.cos(&angle));
    let axis = [0, 1, 2].map(|i| a.div(&r[i], &angle));
    let one = a.constant(1.0);
    let rest = a.sub(&one, &cos);
    let along = dot(a, &axis, y);
    let along = a.mul(&along, &rest);
    [0, 1, 2].map(|i| {
        let (j, k) = ((i + 1) % 3, (i + 2) % 3);
        let (left, right) = (a.mul(&axis[j], &y[k]), a.mul(&axis[k], &y[j]));
        let across = a.sub(&left, &right);
        let (kept, turned) = (a.mul(&y[i], &cos), a.mul(&across, &sin));
        let sum = a.add(&kept, &turned);
        let projected = a.mul(&axis[i], &along);
        a.add(&sum, &projected)
    })
}

/// 1 + κ₁·ρ + κ₂·ρ², for ρ = |u|²
fn distort<A: Arithmetic>(a: &mut A, distortion: &[A::Value], u: &[A::Value; 2]) -> A::Value {
    let (first, second) = (a.mul(&u[0], &u[0]), a.mul(&u[1], &u[1]));
    let radius = a.add(&first, &second);
    let square = a.mul(&radius, &radius);
    let linear = a.mul(&distortion[0], &radius);
    let quadratic = a.mul(&distortion[1], &square);
    let one = a.constant(1.0);
    let sum = a.add(&one, &linear);
    a.add(&sum, &quadratic)
}

fn dot<A: Arithmetic>(a: &mut A, x: &[A::Value], y: &[A::Value]) -> A::Value {
    let products = [0, 1, 2].map(|i| a.mul(&x[i], &y[i]));
    let sum = a.add(&products[0], &products[1]);
    a.add(&sum, &products[2])
}
