//! A chart of lines, as a picture.

use std::error::Error;
use std::fs::create_dir_all;
use std::path::Path;

use plotters::element::DashedPathElement;
use plotters::prelude::*;

pub const BLUE: RGBColor = RGBColor(31, 102, 173);
pub const ORANGE: RGBColor = RGBColor(214, 96, 20);
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(230, 230, 230);

/// Lines over 1, 2, 3, …
pub struct Chart<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    pub lines: &'a [Line<'a>],
}

pub struct Line<'a> {
    pub name: &'a str,
    pub values: &'a [f64],
    pub color: RGBColor,
    pub is_dashed: bool,
}

impl Chart<'_> {
    /// Writes the picture, as SVG.
    pub fn draw(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        if let Some(directory) = path.parent() {
            create_dir_all(directory)?;
        }
        let area = SVGBackend::new(path, (760, 460)).into_drawing_area();
        area.fill(&WHITE)?;
        let font = |size| ("sans-serif", size).into_font().color(&INK);
        let values = || {
            self.lines
                .iter()
                .flat_map(|line| line.values.iter().copied())
        };
        let [bottom, top] = [
            values().fold(f64::MAX, f64::min),
            values().fold(f64::MIN, f64::max),
        ];
        let room = 0.05 * (top - bottom);
        let length = self
            .lines
            .iter()
            .map(|line| line.values.len())
            .max()
            .unwrap_or(0);
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, font(22))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(62)
            .build_cartesian_2d(1.0..length as f64, bottom - room..top + room)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(font(14))
            .axis_desc_style(font(16))
            .x_desc(self.x)
            .y_desc(self.y)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.2}"))
            .draw()?;
        for line in self.lines {
            let style = line.color.stroke_width(2);
            let points = (1..).map(f64::from).zip(line.values.iter().copied());
            let series = match line.is_dashed {
                true => chart.draw_series(DashedLineSeries::new(points, 6, 4, style))?,
                false => chart.draw_series(LineSeries::new(points, style))?,
            };
            let length = if line.is_dashed { 6 } else { 24 };
            series.label(line.name).legend(move |(x, y)| {
                let [from, to] = [(x, y), (x + 24, y)];
                DashedPathElement::new([from, to], length, 4, style)
            });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .legend_area_size(32)
            .label_font(font(14))
            .background_style(WHITE.mix(0.9))
            .border_style(GRID)
            .draw()?;
        area.present()?;
        Ok(())
    }
}
