//! Patterns and solutions, drawn.

use plotters::coord::Shift;
use plotters::prelude::*;
use tidu::sparse::{Coloring, Order};

use crate::{Derivatives, Error, Outcome, beam, bratu, solve};

const BLUE: RGBColor = RGBColor(31, 102, 173);
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(230, 230, 230);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The Jacobian of a short beam, in the colours of columns that could share a product.
pub fn beam_jacobian() -> Result<String, Error> {
    let pattern = Derivatives::of(&beam(10)?)?.jacobian.pattern;
    let coloring = Coloring::of_columns(&pattern, Order::BEST);
    Ok(pattern.to_svg(Some(&coloring)))
}

/// The Hessian of Bratu's problem on a coarse grid, both triangles, in the colours of a star colouring.
pub fn bratu_hessian() -> Result<String, Error> {
    let pattern = bratu(5)?.problem.function.hessian_sparsity(..)?;
    let coloring = Coloring::star(&pattern, Order::BEST)?;
    Ok(pattern.to_svg(Some(&coloring)))
}

/// What bends the beam, and how far.
pub fn beam_solution(steps: usize) -> Result<String, Error> {
    let problem = beam(steps)?;
    let found = solve(&problem, Derivatives::of(&problem)?)?;
    let part = |at: usize| {
        let values = found.x.iter().skip(at).step_by(3);
        values
            .enumerate()
            .map(move |(node, &value)| (node as f64 / steps as f64, value))
    };
    picture((760, 300), |area| {
        let parts = area.split_evenly((1, 2));
        let walls = [-0.05, 0.05].map(|wall| vec![(0.0, wall), (1.0, wall)]);
        draw_line(
            &parts[0],
            "deflection x, and the walls",
            part(1).collect(),
            &walls,
        )?;
        draw_line(&parts[1], "bending u", part(2).collect(), &[])
    })
}

/// How hot it is at the fold, and where.
pub fn bratu_solution(side: usize) -> Result<String, Error> {
    let problem = bratu(side)?.problem;
    let Outcome { x, .. } = solve(&problem, Derivatives::of(&problem)?)?;
    let (u, lambda) = x.split_at(side * side);
    let greatest = u.iter().copied().fold(0.0, f64::max);
    let title = format!("u at the fold: λ = {:.4}, at most {greatest:.4}", lambda[0]);
    picture((460, 480), |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, font(18))
            .margin(16)
            .build_cartesian_2d(0..side, 0..side)?;
        let squares = u.iter().enumerate().map(|(at, value)| {
            let (row, column) = (at / side, at % side);
            let heat = value / greatest;
            let color = HSLColor(0.66 * (1.0 - heat), 0.75, 0.5);
            Rectangle::new([(column, row), (column + 1, row + 1)], color.filled())
        });
        chart.draw_series(squares)?;
        Ok(())
    })
}

fn picture(
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<String, Error> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = area.fill(&WHITE).map_err(Into::into);
        drawn
            .and_then(|()| draw(&area))
            .map_err(Error::of_picture)?;
        area.present()?;
    }
    Ok(text)
}

/// A line over the length of the beam, and others beside it.
fn draw_line(
    area: &Area<'_>,
    title: &str,
    line: Vec<(f64, f64)>,
    beside: &[Vec<(f64, f64)>],
) -> Result<(), Box<dyn std::error::Error>> {
    let values = || {
        beside
            .iter()
            .flatten()
            .chain(&line)
            .map(|&(_, value)| value)
    };
    let (bottom, top) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let room = 0.08 * (top - bottom);
    let mut chart = ChartBuilder::on(area)
        .caption(title, font(18))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..1.0, bottom - room..top + room)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(font(13))
        .draw()?;
    for wall in beside {
        chart.draw_series(DashedLineSeries::new(
            wall.iter().copied(),
            6,
            4,
            INK.into(),
        ))?;
    }
    chart.draw_series(LineSeries::new(line, BLUE.stroke_width(2)))?;
    Ok(())
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}
