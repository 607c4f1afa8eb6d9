//! Second derivatives in physics: how clusters of atoms vibrate. The energy is written down; where it is
//! least is found by Newton's method, and the frequencies are those of its Hessian there.
//!
//! Atoms attract and repel each other by the potential of Lennard-Jones, 4·(r⁻¹² - r⁻⁶), in units of its depth,
//! its diameter and the mass of an atom.

use std::error::Error;

use ndarray::{Array, Array1, Array2, Axis};
use tidu_tensor::{Tensor, Value, function, types};
use tidu_testkit::Random;

/// The energy of atoms at these places, a row each.
fn energy<V: Value>(places: &V) -> V {
    let count = places.dims()[0];
    let between = places.reshape([count, 1, 3]) - places.reshape([1, count, 3]);
    // An atom and itself, at distance 1, have no energy.
    let itself = V::from(Tensor::from(Array2::<f64>::eye(count)));
    let squares = between.square().sum([-1]) + itself;
    let attraction = squares.power(-3.0);
    // Every pair is counted twice.
    (attraction.square() - attraction).sum_all() * 2.0
}

/// Atoms at rest, and how they vibrate.
struct Cluster {
    energy: f64,
    /// How strong the strongest force is.
    force: f64,
    /// The squares of the frequencies, in order.
    squares: Vec<f64>,
}

/// After so many steps, Newton's method has found the place or will not.
const STEPS: usize = 100;

/// Lets atoms come to rest near some places.
fn relax(places: Array2<f64>) -> Result<Cluster, Box<dyn Error>> {
    let inputs = [("places", types::real([places.nrows(), 3]))];
    let energy = function(inputs, |[places]| [energy(&places)])?;
    let (program, gradient) = (energy.compile(), energy.grad("places")?);
    let slopes_and_curvatures = gradient.value_and_jacobian("places")?.compile();
    let mut places = places;
    let directions = places.len();
    for _ in 0..STEPS {
        let point = [Tensor::from(places.clone())];
        let found = slopes_and_curvatures.call(&point)?;
        let gradient = Array1::from_iter(found[0].elements::<f64>().unwrap_or_default());
        let (squares, modes) = found[1].reshape([directions, directions]).eigh();
        let squares: Vec<f64> = squares.elements().unwrap_or_default();
        let modes = modes.array::<f64>().ok_or("modes of real numbers")?;
        let force = gradient.fold(0.0, |worst: f64, slope| worst.max(slope.abs()));
        if force < 1e-12 {
            let energy = program.call(&point)?[0].item().unwrap_or(f64::NAN);
            return Ok(Cluster {
                energy,
                force,
                squares,
            });
        }
        // Newton's step, among the directions in which the energy curves.
        for (mode, &curvature) in squares
            .iter()
            .enumerate()
            .filter(|(_, curvature)| curvature.abs() > 1e-3)
        {
            let direction = Array1::from_iter(modes.index_axis(Axis(1), mode).iter().copied());
            let length = gradient.dot(&direction) / curvature.abs();
            places.scaled_add(-length, &direction.into_shape_with_order(places.dim())?);
        }
    }
    Err(format!("the atoms did not come to rest in {STEPS} steps").into())
}

/// Frequencies, and how many modes have each.
fn spectrum(squares: &[f64]) -> Vec<(f64, usize)> {
    let mut found: Vec<(f64, usize)> = Vec::new();
    for &square in squares {
        match found.last_mut() {
            Some((last, count)) if (square - *last).abs() < 1e-6 => *count += 1,
            _ => found.push((square, 1)),
        }
    }
    found
        .into_iter()
        .map(|(square, count)| (square.max(0.0).sqrt(), count))
        .collect()
}

/// An atom, and twelve around it: the corners of an icosahedron.
fn icosahedron() -> Array2<f64> {
    let golden = (1.0 + 5.0_f64.sqrt()) / 2.0;
    let radius = 1.0_f64.hypot(golden);
    let corners = (0..12).map(|at| {
        let sign = |bit: usize| if at >> bit & 1 == 0 { 1.0 } else { -1.0 };
        let mut corner = [0.0, sign(0), sign(1) * golden];
        corner.rotate_left(at / 4);
        corner.map(|x| 1.1 * x / radius)
    });
    let places: Vec<[f64; 3]> = std::iter::once([0.0; 3]).chain(corners).collect();
    places.into()
}

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    // Atoms that all touch each other: bonds are springs of this strength, without tension.
    let stiffness = 72.0 / 2.0_f64.cbrt();
    let corners = [
        [1.0, 1.0, 1.0],
        [1.0, -1.0, -1.0],
        [-1.0, 1.0, -1.0],
        [-1.0, -1.0, 1.0],
    ];
    // ω² in units of the stiffness: the pair; the triangle, whose last mode is its breath; the tetrahedron.
    let springs: [(&str, &[(f64, usize)]); 3] = [
        ("pair", &[(2.0, 1)]),
        ("triangle", &[(1.5, 2), (3.0, 1)]),
        ("tetrahedron", &[(1.0, 2), (2.0, 3), (4.0, 1)]),
    ];
    let mut random = Random(1);
    let mut shaken = |places: Array2<f64>| places.mapv(|x| x + 0.01 * random.unit());
    println!("cluster          energy   frequencies (× modes)");
    for (count, (name, expected)) in (2..).zip(springs) {
        let places = Array::from_shape_fn([count, 3], |(atom, axis)| 0.4 * corners[atom][axis]);
        let cluster = relax(shaken(places))?;
        let pairs = (count * (count - 1) / 2) as f64;
        assert!(
            (cluster.energy + pairs).abs() < 1e-12,
            "each pair has energy -1"
        );
        let at_rest = if count == 2 { 5 } else { 6 };
        show(name, &cluster, at_rest);
        let found = spectrum(&cluster.squares[at_rest..]);
        assert_eq!(found.len(), expected.len());
        for ((frequency, modes), &(square, of_modes)) in found.into_iter().zip(expected) {
            assert!((frequency - (square * stiffness).sqrt()).abs() < 1e-9);
            assert_eq!(modes, of_modes);
        }
    }

    let cluster = relax(shaken(icosahedron()))?;
    show("icosahedron", &cluster, 6);
    assert!(
        (cluster.energy + 44.326_801).abs() < 1e-6,
        "as in the Cambridge Cluster Database"
    );
    // What a table of characters gives for the symmetry of an icosahedron.
    let mut modes: Vec<usize> = spectrum(&cluster.squares[6..])
        .iter()
        .map(|mode| mode.1)
        .collect();
    modes.sort_unstable();
    assert_eq!(modes, [1, 3, 3, 3, 4, 4, 5, 5, 5]);
    Ok(())
}

/// Prints frequencies, of which those of moving and turning as a whole must be 0.
fn show(name: &str, cluster: &Cluster, at_rest: usize) {
    let (zeros, others) = cluster.squares.split_at(at_rest);
    assert!(zeros.iter().all(|square| square.abs() < 1e-9), "{zeros:?}");
    assert!(others[0] > 1.0 && cluster.force < 1e-12);
    let modes = spectrum(others).into_iter();
    let modes = modes.map(|(frequency, count)| format!("{frequency:.4}×{count}"));
    let modes: Vec<String> = modes.collect();
    println!(
        "{name:<12} {:>10.6}   0×{at_rest} {}",
        cluster.energy,
        modes.join(" ")
    );
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
