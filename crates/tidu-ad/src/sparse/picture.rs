//! Spy plots.

use tidu_graph::text::counted;

use super::coloring::Coloring;
use super::pattern::Pattern;

/// A pattern is drawn as it is if it has at most this many rows, columns and entries.
const LARGEST_SIDE: usize = 256;
const MOST_MARKS: usize = 4096;

/// What is larger is drawn on a grid of this many squares a side.
const SQUARES: usize = 64;

impl Pattern {
    /// A spy plot as an SVG: a mark per entry, row 0 on top.
    ///
    /// With a colouring of this pattern, the marks have the colour of the group from whose product they are read, so
    /// that the marks of one colour are had from one product. A pattern with more than 256 rows or columns, or more
    /// than 4096 entries, is drawn on a grid of at most 64 by 64 squares, one mark for all entries in a square, which
    /// is darker the more there are, and in the colour of the first; the title of the figure says so.
    ///
    /// The same pattern gives the same text.
    ///
    /// # Example
    ///
    /// ```
    /// use tidu_ad::sparse::{Coloring, Order, Pattern};
    ///
    /// let pattern = Pattern::from_entries(2, 3, [(0, 0), (0, 1), (1, 2)])?;
    /// let coloring = Coloring::of_columns(&pattern, Order::BEST);
    /// let svg = pattern.to_svg(Some(&coloring));
    /// assert!(svg.contains("<title>2 by 3, 3 nonzeros; 2 groups of columns, direct, natural order</title>"));
    /// # Ok::<(), tidu_ad::sparse::SparsityError>(())
    /// ```
    pub fn to_svg(&self, coloring: Option<&Coloring>) -> String {
        let groups = coloring.map(|coloring| groups_of_entries(self, coloring));
        let group_of = |position: usize| groups.as_ref().and_then(|groups| groups[position]);
        let grid = Grid::of(self);
        // Of a small pattern, each entry is in a square of its own.
        let squares = grid.squares(self);
        let most = squares.iter().map(|square| square.entries).max();
        let marks = squares.iter().map(|square| {
            let Square { y, x, .. } = square;
            let fill = fill(group_of(square.first));
            let opacity = opacity(square.entries, most.unwrap_or(1));
            format!(r#"<rect x="{x}" y="{y}" width="1" height="1" fill="{fill}"{opacity}/>"#) + "\n"
        });
        let marks: String = marks.collect();
        framed(grid.size(self), &title(self, coloring, grid), &marks)
    }
}

/// How many rows and columns a mark stands for.
#[derive(Clone, Copy)]
struct Grid {
    height: usize,
    width: usize,
}

/// The entries in a square of a grid.
struct Square {
    y: usize,
    x: usize,
    entries: usize,
    first: usize,
}

impl Grid {
    fn of(pattern: &Pattern) -> Self {
        let (rows, columns) = (pattern.rows(), pattern.columns());
        if rows.max(columns) <= LARGEST_SIDE && pattern.len() <= MOST_MARKS {
            let (height, width) = (1, 1);
            return Self { height, width };
        }
        Self {
            height: rows.div_ceil(SQUARES).max(1),
            width: columns.div_ceil(SQUARES).max(1),
        }
    }

    /// The number of marks above each other and side by side.
    fn size(self, pattern: &Pattern) -> (usize, usize) {
        let rows = pattern.rows().div_ceil(self.height);
        (rows, pattern.columns().div_ceil(self.width))
    }

    /// The squares that are not empty, row by row.
    fn squares(self, pattern: &Pattern) -> Vec<Square> {
        let (rows, columns) = self.size(pattern);
        let squares = (0..rows * columns).map(|index| Square {
            y: index / columns,
            x: index % columns,
            entries: 0,
            first: 0,
        });
        let mut squares: Vec<Square> = squares.collect();
        for (position, (row, column)) in pattern.entries().enumerate() {
            let square = &mut squares[row / self.height * columns + column / self.width];
            if square.entries == 0 {
                square.first = position;
            }
            square.entries += 1;
        }
        squares.retain(|square| square.entries > 0);
        squares
    }
}

/// The size of the matrix, what it is coloured with, and what a mark is.
fn title(pattern: &Pattern, coloring: Option<&Coloring>, grid: Grid) -> String {
    let (rows, columns) = (pattern.rows(), pattern.columns());
    let nonzeros = counted(pattern.len(), "nonzero");
    let mut title = format!("{rows} by {columns}, {nonzeros}");
    if let Some(coloring) = coloring {
        title += &format!("; {coloring}");
    }
    let Grid { height, width } = grid;
    if height > 1 || width > 1 {
        title += &format!("; a mark stands for all nonzeros in {height} by {width}");
    }
    title
}

/// The attribute of a mark that stands for this many entries, where the fullest stands for `most`.
fn opacity(entries: usize, most: usize) -> String {
    match 30 + 70 * entries / most {
        100 => String::new(),
        percent => format!(r#" fill-opacity="0.{percent}""#),
    }
}

/// By entry: the group from whose product it is read. There is none if the colouring is of another pattern.
fn groups_of_entries(pattern: &Pattern, coloring: &Coloring) -> Vec<Option<usize>> {
    let mut groups = vec![None; pattern.len()];
    for step in coloring.recovery().steps() {
        for entry in std::iter::once(step.entry).chain(step.mirror) {
            if let Some(group) = groups.get_mut(entry) {
                *group = Some(step.group);
            }
        }
    }
    groups
}

/// Hues one golden angle apart: neighbours in number differ most.
fn fill(group: Option<usize>) -> String {
    let Some(group) = group else {
        return "#334".into();
    };
    let (hue, lightness) = ((group % 360 * 137 + 210) % 360, 45 - group / 8 % 2 * 15);
    format!("hsl({hue},70%,{lightness}%)")
}

/// A figure on a light ground, with some room around.
fn framed((rows, columns): (usize, usize), title: &str, marks: &str) -> String {
    let (width, height) = (columns + 2, rows + 2);
    let scale = (640 / width.max(height)).clamp(1, 16);
    let (pixels_wide, pixels_high) = (width * scale, height * scale);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{pixels_wide}" height="{pixels_high}" viewBox="-1 -1 {width} {height}">
<title>{title}</title>
<rect x="-1" y="-1" width="{width}" height="{height}" fill="#f4f4f0"/>
<rect x="0" y="0" width="{columns}" height="{rows}" fill="#fff"/>
{marks}</svg>
"##
    )
}
