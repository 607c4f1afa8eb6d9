//! Which columns and rows of a matrix share a product.

mod acyclic;
mod cover;
mod distance_two;
mod graph;
mod greedy;
mod order;
mod palette;
mod recovery;
mod star;
mod trees;
mod work;

use std::fmt::{self, Debug, Display};

use tidu_graph::text::counted;

use super::error::SparsityError;
use super::lists::Lists;
use super::pattern::Pattern;

use acyclic::Trees;
use graph::Graph;
use greedy::{Attempt, ColoredTrees, Rule, color};
use palette::NONE;
use star::Stars;
use trees::{Reading, Readings, read};

pub use order::Order;
pub use recovery::{Recovery, Step};

/// Which columns and rows of a matrix share a product, and how its entries are read from the products.
///
/// | made by | groups of | entries are read |
/// |---|---|---|
/// | [`of_columns`](Self::of_columns) | columns | as they are |
/// | [`of_rows`](Self::of_rows) | rows | as they are |
/// | [`star`](Self::star) | columns of a symmetric matrix | as they are |
/// | [`acyclic`](Self::acyclic) | columns of a symmetric matrix | by substitution |
/// | [`star_bidirectional`](Self::star_bidirectional) | columns, and rows | as they are |
/// | [`acyclic_bidirectional`](Self::acyclic_bidirectional) | columns, and rows | by substitution |
///
/// Group g stands for one product: J·s, s being 1 for each column of the group, or Jᵀ·s, s being 1 for each row.
/// A column or row of colour c > 0 is in group c − 1; one of colour 0, the *neutral* colour, is in none, as nothing is
/// read from a product for it. Groups of columns come first, then groups of rows.
///
/// Each colouring takes a list of orders, tries each, and keeps the first with the fewest groups; an empty list is the
/// natural order. To find the smallest number of groups is NP-hard in each of these problems.
///
/// Prints as a line.
///
/// # Example
///
/// ```
/// use tidu_ad::sparse::{Coloring, Order, Pattern, Side};
///
/// // An arrowhead of 100 rows and columns: the first row, the first column, the diagonal.
/// let arms = (1..100).flat_map(|k| [(0, k), (k, 0), (k, k)]);
/// let arrowhead = Pattern::from_entries(100, 100, arms.chain([(0, 0)]))?;
///
/// assert_eq!(Coloring::of_columns(&arrowhead, &[Order::Natural]).group_count(), 100);
/// let both = Coloring::star_bidirectional(&arrowhead, &[Order::Natural])?;
/// assert_eq!(both.to_string(), "2 groups of columns, 1 group of rows, direct, natural order");
/// assert_eq!(both.group(2).side, Side::Rows);
/// assert_eq!(both.group(2).members, [0]);
///
/// // If it is symmetric, two will do.
/// assert_eq!(Coloring::star(&arrowhead, &[Order::Natural])?.group_count(), 2);
/// # Ok::<(), tidu_ad::sparse::SparsityError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Coloring {
    order: Order,
    column_colors: Vec<u32>,
    row_colors: Vec<u32>,
    column_groups: usize,
    /// By colour: its columns, or its rows.
    columns: Lists,
    rows: Lists,
    recovery: Recovery,
}

/// Columns or rows that share a product.
///
/// # Example
///
/// The vectors s of the products J·s and Jᵀ·s:
///
/// ```
/// use tidu_ad::sparse::{Coloring, Order, Pattern, Side};
///
/// // A row that is full, a column that is full.
/// let pattern = Pattern::from_entries(3, 4, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (2, 0)])?;
/// let coloring = Coloring::star_bidirectional(&pattern, Order::BEST)?;
/// let seeds = coloring.groups().map(|group| {
///     let size = match group.side {
///         Side::Columns => pattern.columns(),
///         Side::Rows => pattern.rows(),
///     };
///     let mut seed = vec![0.0; size];
///     group.members.iter().for_each(|&member| seed[member as usize] = 1.0);
///     seed
/// });
/// assert_eq!(seeds.collect::<Vec<_>>(), [vec![1.0, 0.0, 0.0, 0.0], vec![1.0, 0.0, 0.0]]);
/// # Ok::<(), tidu_ad::sparse::SparsityError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group<'a> {
    /// Which of the two they are.
    pub side: Side,
    /// Their indices, ascending.
    pub members: &'a [u32],
}

/// What shares a product, and so which way it goes: see [`Group`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Columns: the product is J·s, by forward mode.
    Columns,
    /// Rows: the product is Jᵀ·s, by reverse mode.
    Rows,
}

impl Coloring {
    /// Columns that have no row in common share J·s, and each entry is read from it as it is.
    ///
    /// Partial distance-2 colouring of the columns, as vertices of a bipartite graph (Gebremedhin, Manne, Pothen 2005,
    /// algorithm 3.2). No colouring has fewer groups than a row has entries: an order that needs no more ends the search. A column
    /// without entries is neutral.
    ///
    /// # Complexity
    ///
    /// For each order, Σ over rows of (entries of the row)².
    pub fn of_columns(pattern: &Pattern, orders: &[Order]) -> Self {
        let columns = pattern.by_column();
        let rows = pattern.by_row();
        let orders = or_natural(orders).iter().copied();
        best_of(orders, longest(rows), |order, fewest| {
            let colors = distance_two::color(&columns, rows, order, fewest)?;
            Some(Self::direct(order, Side::Columns, colors, pattern))
        })
    }

    /// Rows that have no column in common share Jᵀ·s, and each entry is read from it as it is:
    /// [`of_columns`](Self::of_columns) of the transpose.
    pub fn of_rows(pattern: &Pattern, orders: &[Order]) -> Self {
        let columns = pattern.by_column();
        let rows = pattern.by_row();
        let orders = or_natural(orders).iter().copied();
        best_of(orders, longest(&columns), |order, fewest| {
            let colors = distance_two::color(rows, &columns, order, fewest)?;
            Some(Self::direct(order, Side::Rows, colors, pattern))
        })
    }

    /// Columns of a symmetric matrix share H·s, and each entry (i, j) is read as it is: from a product for column j, at i, or for
    /// column i, at j.
    ///
    /// Star colouring: neighbours in the graph of H differ, and no path on four vertices has two colours only
    /// (Gebremedhin, Tarafdar, Manne, Pothen 2007, algorithm 4.1). A band with ρ diagonals off the main one has 2⌊ρ/2⌋ + 1 groups, and
    /// an arrowhead 2.
    ///
    /// A column whose entry on the diagonal is zero needs no product if its other entries are had from those of its
    /// neighbours. So each order is tried twice where there are such columns: with as many of them neutral as a vertex cover of
    /// the graph allows, and with none. Colours from which nothing is read become neutral (Montoison, Dalle,
    /// Gebremedhin 2025).
    ///
    /// # Errors
    ///
    /// The pattern is not symmetric.
    ///
    /// # Complexity
    ///
    /// For each order, Σ over entries of the number of groups around their ends: at most Σ over rows of
    /// (entries of the row)², and linear if the number of groups is bounded.
    pub fn star(pattern: &Pattern, orders: &[Order]) -> Result<Self, SparsityError> {
        let graph = Graph::of_symmetric(pattern)?;
        Ok(Self::of_graph(pattern, &graph, orders, || {
            Stars::new(&graph)
        }))
    }

    /// Columns of a symmetric matrix share H·s, and entries are found by substitution.
    ///
    /// Acyclic colouring: neighbours in the graph of H differ, and no cycle has two colours only (Gebremedhin, Tarafdar,
    /// Manne, Pothen 2007, algorithm 3.1). The edges between two colours are trees then, and their entries follow from each
    /// other. A band with ρ diagonals off the main one has ⌊ρ/2⌋ + 1 groups. Neutral are the same as for
    /// [`star`](Self::star).
    ///
    /// # Errors
    ///
    /// The pattern is not symmetric.
    ///
    /// # Complexity
    ///
    /// As for [`star`](Self::star), times the inverse of Ackermann's function.
    pub fn acyclic(pattern: &Pattern, orders: &[Order]) -> Result<Self, SparsityError> {
        let graph = Graph::of_symmetric(pattern)?;
        Ok(Self::of_graph(pattern, &graph, orders, || {
            Trees::new(&graph)
        }))
    }

    /// Columns share J·s, rows share Jᵀ·s, and each entry is read as it is, from a product for its column or one for its row.
    ///
    /// Star colouring of the symmetric pattern \[0 Jᵀ; J 0\] (Montoison, Dalle, Gebremedhin 2025), where columns and rows
    /// have colours of their own, as no product is for both. Nothing is on the diagonal, and so columns and rows are neutral as
    /// for [`star`](Self::star): what is left is a vertex cover, in which a row or a column comes before another if it has
    /// more entries that nothing covers yet. Where some columns and some rows are dense, it needs far fewer groups than either
    /// way alone: 3 for an arrowhead.
    ///
    /// # Errors
    ///
    /// More than `u32::MAX` rows and columns together, or more than half as many entries.
    ///
    /// # Complexity
    ///
    /// As for [`star`](Self::star), for rows and columns.
    pub fn star_bidirectional(pattern: &Pattern, orders: &[Order]) -> Result<Self, SparsityError> {
        let graph = Graph::of_columns_and_rows(pattern)?;
        Ok(Self::of_graph(pattern, &graph, orders, || {
            Stars::new(&graph)
        }))
    }

    /// Columns share J·s, rows share Jᵀ·s, and entries are found by substitution: [`acyclic`](Self::acyclic) colouring of what
    /// [`star_bidirectional`](Self::star_bidirectional) colours.
    ///
    /// # Errors
    ///
    /// Those of [`star_bidirectional`](Self::star_bidirectional).
    pub fn acyclic_bidirectional(
        pattern: &Pattern,
        orders: &[Order],
    ) -> Result<Self, SparsityError> {
        let graph = Graph::of_columns_and_rows(pattern)?;
        Ok(Self::of_graph(pattern, &graph, orders, || {
            Trees::new(&graph)
        }))
    }

    /// The number of groups, and so of products.
    pub fn group_count(&self) -> usize {
        self.columns.len() - 1
    }

    /// The number of groups of columns, which come first.
    pub fn column_group_count(&self) -> usize {
        self.column_groups
    }

    /// The group of this number.
    ///
    /// # Panics
    ///
    /// If there is no such group.
    pub fn group(&self, group: usize) -> Group<'_> {
        let color = group + 1;
        if group < self.column_groups {
            let members = self.columns.get(color);
            let side = Side::Columns;
            Group { side, members }
        } else {
            let members = self.rows.get(color);
            let side = Side::Rows;
            Group { side, members }
        }
    }

    /// The groups: those of columns, then those of rows.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = Group<'_>> {
        (0..self.group_count()).map(|group| self.group(group))
    }

    /// The colour of each column: 0 if it is in no group, otherwise one more than the number of its group.
    pub fn column_colors(&self) -> &[u32] {
        &self.column_colors
    }

    /// The colour of each row: 0 if it is in no group, otherwise one more than the number of its group.
    pub fn row_colors(&self) -> &[u32] {
        &self.row_colors
    }

    /// How the entries are read from the products.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The order in which this was found: of those that were asked for, the first with the fewest groups.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Tries each order twice: with neutral vertices outside of a vertex cover, and with a colour for each vertex.
    fn of_graph<R: Rule>(
        pattern: &Pattern,
        graph: &Graph,
        orders: &[Order],
        rule: impl Fn() -> R,
    ) -> Self {
        let mut neutral = vec![cover::neutral(graph)];
        if neutral[0].contains(&true) {
            neutral.push(vec![false; graph.vertices()]);
        }
        let orders = or_natural(orders).iter();
        let ways = orders.flat_map(|&order| neutral.iter().map(move |set| (order, set)));
        best_of(ways, 0, |(order, is_neutral), fewest| {
            let attempt = Attempt {
                order,
                is_neutral,
                too_many: fewest.saturating_mul(HOPELESS * graph.kinds() as usize),
            };
            let colored = color(graph, &attempt, rule())?;
            Some(Self::of_trees(order, pattern, graph, &colored))
        })
    }

    /// Each entry is read at the place of its other index.
    fn direct(order: Order, side: Side, colors: Vec<u32>, pattern: &Pattern) -> Self {
        let colors: Vec<u32> = colors.into_iter().map(one_more).collect();
        let groups = colors.iter().max().map_or(0, |&last| last as usize);
        let (rows, columns) = (pattern.row_indices(), pattern.column_indices());
        let (members, positions) = match side {
            Side::Columns => (columns, rows),
            Side::Rows => (rows, columns),
        };
        let group_of = |&member: &u32| colors[member as usize] - 1;
        let recovery = Recovery {
            entries: (0..pattern.len() as u32).collect(),
            mirrors: Vec::new(),
            groups: members.iter().map(group_of).collect(),
            positions: positions.to_vec(),
            terms: Lists::empty(pattern.len()),
        };
        match side {
            Side::Columns => {
                let neutral = vec![0; pattern.rows()];
                Self::new(order, colors, neutral, groups, groups, recovery)
            }
            Side::Rows => {
                let neutral = vec![0; pattern.columns()];
                Self::new(order, neutral, colors, 0, groups, recovery)
            }
        }
    }

    /// Colours for which nothing is read become neutral; the others are numbered, those of columns first.
    fn of_trees(order: Order, pattern: &Pattern, graph: &Graph, colored: &ColoredTrees) -> Self {
        let Readings { readings, terms } = read(graph, colored);
        let (numbers, column_groups, groups) = numbered(&readings, graph.kinds());
        let number_of = |&color: &u32| numbers.get(color as usize).copied().unwrap_or(0);
        let colors = colored.colors.iter().map(number_of);
        let mut column_colors: Vec<u32> = colors.collect();
        let mut row_colors = column_colors.split_off(pattern.columns());
        row_colors.resize(pattern.rows(), 0);

        let upper = readings.iter().map(|it| it.entry);
        let to_entry = |entry: u32| graph.entries[entry as usize];
        let terms = Lists {
            items: terms.items.into_iter().map(to_entry).collect(),
            starts: terms.starts,
        };
        let group_of = |it: &Reading| numbers[it.color as usize] - 1;
        let recovery = Recovery {
            entries: upper.clone().map(to_entry).collect(),
            mirrors: match graph.kinds() {
                1 => upper.collect(),
                _ => Vec::new(),
            },
            groups: readings.iter().map(group_of).collect(),
            positions: readings
                .iter()
                .map(|it| graph.index_of(it.vertex))
                .collect(),
            terms,
        };
        let recovery = recovery.in_order(pattern.len());
        Self::new(
            order,
            column_colors,
            row_colors,
            column_groups,
            groups,
            recovery,
        )
    }

    fn new(
        order: Order,
        column_colors: Vec<u32>,
        row_colors: Vec<u32>,
        column_groups: usize,
        groups: usize,
        recovery: Recovery,
    ) -> Self {
        Self {
            columns: Lists::by_key(&column_colors, groups + 1),
            rows: Lists::by_key(&row_colors, groups + 1),
            order,
            column_colors,
            row_colors,
            column_groups,
            recovery,
        }
    }
}

impl Display for Coloring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_columns = self.column_groups;
        let of_rows = self.group_count() - of_columns;
        if of_columns > 0 || of_rows == 0 {
            write!(f, "{} of columns, ", counted(of_columns, "group"))?;
        }
        if of_rows > 0 {
            write!(f, "{} of rows, ", counted(of_rows, "group"))?;
        }
        if self.recovery.is_direct() {
            write!(f, "direct, ")?;
        } else {
            let terms = counted(self.recovery.term_count(), "subtraction");
            write!(f, "{terms}, ")?;
        }
        write!(f, "{}", self.order)
    }
}

/// A line, as it is printed.
impl Debug for Coloring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Coloring({self})")
    }
}

/// An attempt with this many times as many colours as the fewest so far is given up: some of them will turn out to be neutral,
/// but hardly so many.
const HOPELESS: usize = 2;

/// The first of the attempts with the fewest groups. Each is told the fewest so far, to give up in time; none has fewer
/// than `bound`.
fn best_of<W>(
    ways: impl Iterator<Item = W>,
    bound: usize,
    attempt: impl Fn(W, usize) -> Option<Coloring>,
) -> Coloring {
    let mut best = None;
    let mut fewest = usize::MAX;
    for way in ways {
        if fewest <= bound {
            break;
        }
        if let Some(found) = attempt(way, fewest)
            && found.group_count() < fewest
        {
            fewest = found.group_count();
            best = Some(found);
        }
    }
    best.expect("nothing is too much for the first attempt")
}

fn or_natural(orders: &[Order]) -> &[Order] {
    match orders {
        [] => &[Order::Natural],
        _ => orders,
    }
}

fn longest(lists: &Lists) -> usize {
    lists.iter().map(<[u32]>::len).max().unwrap_or(0)
}

/// The colour that stands for one that an algorithm gave: 0 if it gave none.
fn one_more(color: u32) -> u32 {
    if color == NONE { 0 } else { color + 1 }
}

/// By colour: its number from 1 on, or 0 if nothing is read for it; and how many of them are of columns, and in all.
fn numbered(readings: &[Reading], kinds: u32) -> (Vec<u32>, usize, usize) {
    let color_count = readings.iter().map(|it| it.color as usize + 1).max();
    let mut numbers = vec![0; color_count.unwrap_or(0)];
    for reading in readings {
        numbers[reading.color as usize] = 1;
    }
    let mut given = 0;
    let mut of_columns = 0;
    for kind in 0..kinds as usize {
        for number in numbers.iter_mut().skip(kind).step_by(kinds as usize) {
            given += *number;
            *number *= given;
        }
        if kind == 0 {
            of_columns = given;
        }
    }
    (numbers, of_columns as usize, given as usize)
}

#[cfg(test)]
mod tests {
    use super::work::counter::steps_of;
    use super::*;

    fn band(size: usize, half: usize) -> Pattern {
        let entries = (0..size).flat_map(|row| {
            let columns = row.saturating_sub(half)..(row + half + 1).min(size);
            columns.map(move |column| (row, column))
        });
        Pattern::from_entries(size, size, entries).unwrap()
    }

    fn arrowhead(size: usize) -> Pattern {
        let entries = (0..size).flat_map(|k| [(0, k), (k, 0), (k, k)]);
        Pattern::from_entries(size, size, entries).unwrap()
    }

    type Method = fn(&Pattern, &[Order]) -> Coloring;

    const ONE_WAY: [Method; 2] = [Coloring::of_columns, Coloring::of_rows];
    const BY_GRAPH: [Method; 4] = [
        |pattern, orders| Coloring::star(pattern, orders).unwrap(),
        |pattern, orders| Coloring::acyclic(pattern, orders).unwrap(),
        |pattern, orders| Coloring::star_bidirectional(pattern, orders).unwrap(),
        |pattern, orders| Coloring::acyclic_bidirectional(pattern, orders).unwrap(),
    ];

    /// Steps for each column, which are not more for many columns than for few.
    fn check_linear(
        methods: &[Method],
        pattern: fn(usize) -> Pattern,
        many: usize,
        orders: &[Order],
    ) {
        let few = 1000;
        let (small, large) = (pattern(few), pattern(many));
        for (number, method) in methods.iter().enumerate() {
            let of = |pattern, columns| {
                let steps = steps_of(|| drop(method(pattern, orders)));
                assert!(steps > columns, "nothing is counted");
                steps as f64 / columns as f64
            };
            let (of_few, of_many) = (of(&small, few), of(&large, many));
            assert!(
                of_many < 1.1 * of_few,
                "{number}, {orders:?}: {of_few}, {of_many}"
            );
        }
    }

    #[test]
    fn work_grows_with_the_columns_of_a_band() {
        for order in Order::BEST {
            let methods = [&ONE_WAY[..], &BY_GRAPH].concat();
            check_linear(&methods, |size| band(size, 3), 100_000, &[*order]);
        }
    }

    /// Each of n leaves looks at the hub, around which are n edges, but few colours.
    #[test]
    fn work_grows_with_the_columns_of_an_arrowhead() {
        check_linear(&BY_GRAPH, arrowhead, 20_000, Order::BEST);
    }
}
