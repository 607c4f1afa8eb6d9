//! In which order vertices are coloured.

use std::fmt::{self, Display};

use super::palette::NONE;
use super::work;

/// In which order vertices are coloured: each gets the first colour that is left for it, so the order decides how many colours
/// there are.
///
/// The degree of a vertex is the number of vertices with which it conflicts: for the columns of a Jacobian, those that have a
/// row in common with it; for a Hessian, and for rows and columns at once, its neighbours. Ties are broken by
/// position, so an order is the same in every run.
///
/// A. H. Gebremedhin, D. Nguyen, M. M. A. Patwary, A. Pothen: ColPack. Software for graph coloring and related problems in
/// scientific computing. ACM Transactions on Mathematical Software 40 (2013).
///
/// # Complexity
///
/// Linear in vertices and conflicts, of which the columns of a Jacobian have the sum over its rows of the square of their
/// lengths.
///
/// # Example
///
/// ```
/// use tidu_ad::sparse::{Coloring, Order, Pattern};
///
/// // A path, whose ends come first: in their natural order, they are given one colour, which does not help.
/// let edges = [(0, 2), (2, 3), (3, 1)];
/// let mirrored = edges.map(|(i, j)| (j, i));
/// let diagonal = (0..4).map(|i| (i, i));
/// let hessian = Pattern::from_entries(4, 4, edges.into_iter().chain(mirrored).chain(diagonal))?;
/// let tried = Coloring::star(&hessian, Order::BEST)?;
/// assert_eq!(tried.group_count(), 3);
/// assert_eq!(tried.order(), Order::Natural);
/// # Ok::<(), tidu_ad::sparse::SparsityError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// By position.
    Natural,
    /// By degree, the largest first.
    LargestFirst,
    /// The last is one of the smallest degree; the last but one is one of the smallest degree without it; and so on.
    SmallestLast,
    /// Next is one with the largest number of conflicts with those that were already taken.
    IncidenceDegree,
    /// Shuffled, from this seed.
    Random(u64),
}

impl Order {
    /// All of them, to try each and keep the fewest colours; the first where several have as few.
    pub const BEST: &'static [Order] = &[
        Order::Natural,
        Order::LargestFirst,
        Order::SmallestLast,
        Order::IncidenceDegree,
        Order::Random(0),
    ];

    /// Vertices 0 to `count` in this order. `neighbors` pushes each vertex with which one conflicts, once.
    pub(super) fn arrange(
        self,
        count: usize,
        mut neighbors: impl FnMut(u32, &mut Vec<u32>),
    ) -> Vec<u32> {
        let natural = 0..count as u32;
        if let Order::Natural = self {
            return natural.collect();
        }
        if let Order::Random(seed) = self {
            return shuffled(natural.collect(), seed);
        }
        let mut found = Vec::new();
        let degrees = natural.map(|vertex| {
            found.clear();
            neighbors(vertex, &mut found);
            found.len() as u32
        });
        let degrees: Vec<u32> = degrees.collect();
        let largest = degrees.iter().copied().max().unwrap_or(0);
        match self {
            Order::LargestFirst => {
                let below_largest = degrees.iter().map(|degree| largest - degree).collect();
                Buckets::new(below_largest, largest).peel(|_, _| {})
            }
            Order::SmallestLast => {
                let mut last_to_first = Buckets::new(degrees, largest).peel(neighbors);
                last_to_first.reverse();
                last_to_first
            }
            // Each conflict with one that was taken counts down from the same number.
            _ => Buckets::new(vec![largest; count], largest).peel(neighbors),
        }
    }
}

impl Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Natural => f.write_str("natural order"),
            Order::LargestFirst => f.write_str("largest first"),
            Order::SmallestLast => f.write_str("smallest last"),
            Order::IncidenceDegree => f.write_str("incidence degree"),
            Order::Random(seed) => write!(f, "random order from seed {seed}"),
        }
    }
}

/// Fisher and Yates, with the random numbers of SplitMix64 (Steele, Lea, Flood 2014).
fn shuffled(mut vertices: Vec<u32>, seed: u64) -> Vec<u32> {
    let mut state = seed;
    for last in (1..vertices.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        vertices.swap(last, ((bits ^ (bits >> 31)) % (last as u64 + 1)) as usize);
    }
    vertices
}

/// Vertices in buckets, by a number that changes by one.
pub(super) struct Buckets {
    keys: Vec<u32>,
    /// By key: the first vertex.
    first: Vec<u32>,
    /// No key with a vertex is smaller.
    lowest: usize,
    /// By vertex: those beside it in its bucket.
    next: Vec<u32>,
    previous: Vec<u32>,
    is_taken: Vec<bool>,
}

impl Buckets {
    /// Keys are at most `largest`.
    pub fn new(keys: Vec<u32>, largest: u32) -> Self {
        let count = keys.len();
        let mut buckets = Self {
            first: vec![NONE; largest as usize + 1],
            lowest: 0,
            next: vec![NONE; count],
            previous: vec![NONE; count],
            is_taken: vec![false; count],
            keys,
        };
        // What is put in last comes out first.
        let vertices = (0..count as u32).rev();
        vertices.for_each(|vertex| buckets.put(vertex));
        buckets
    }

    /// Takes one of the vertices with the smallest key, and says which that is.
    pub fn take_lowest(&mut self) -> Option<(u32, u32)> {
        while self.lowest < self.first.len() {
            work::count(1);
            let vertex = self.first[self.lowest];
            if vertex != NONE {
                self.remove(vertex);
                self.is_taken[vertex as usize] = true;
                return Some((vertex, self.lowest as u32));
            }
            self.lowest += 1;
        }
        None
    }

    /// Changes the key of a vertex that is not taken.
    pub fn change(&mut self, vertex: u32, by: i32) {
        if !self.is_taken[vertex as usize] {
            self.remove(vertex);
            let key = &mut self.keys[vertex as usize];
            *key = key.wrapping_add_signed(by);
            self.put(vertex);
        }
    }

    /// Takes all vertices, each time one of the smallest key, and counts the keys of its neighbours down.
    fn peel(mut self, mut neighbors: impl FnMut(u32, &mut Vec<u32>)) -> Vec<u32> {
        let mut peeled = Vec::with_capacity(self.keys.len());
        let mut found = Vec::new();
        while let Some((vertex, _)) = self.take_lowest() {
            peeled.push(vertex);
            found.clear();
            neighbors(vertex, &mut found);
            found.iter().for_each(|&other| self.change(other, -1));
        }
        peeled
    }

    fn put(&mut self, vertex: u32) {
        let at = vertex as usize;
        let key = self.keys[at] as usize;
        let first = &mut self.first[key];
        self.next[at] = *first;
        self.previous[at] = NONE;
        if *first != NONE {
            self.previous[*first as usize] = vertex;
        }
        *first = vertex;
        self.lowest = self.lowest.min(key);
    }

    fn remove(&mut self, vertex: u32) {
        let at = vertex as usize;
        let (next, previous) = (self.next[at], self.previous[at]);
        if next != NONE {
            self.previous[next as usize] = previous;
        }
        if previous == NONE {
            self.first[self.keys[at] as usize] = next;
        } else {
            self.next[previous as usize] = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neighbours by vertex: edges between vertices whose numbers have a product that leaves little when divided.
    fn graph(count: u32, salt: u32) -> Vec<Vec<u32>> {
        let is_edge = |one: u32, other: u32| one != other && (one * other + one + other) % 7 < salt;
        let of = |one| (0..count).filter(|&other| is_edge(one, other)).collect();
        (0..count).map(of).collect()
    }

    fn arrange(order: Order, graph: &[Vec<u32>]) -> Vec<u32> {
        let arranged = order.arrange(graph.len(), |vertex, found| {
            found.extend(&graph[vertex as usize]);
        });
        let mut sorted = arranged.clone();
        sorted.sort();
        assert!(
            sorted.into_iter().eq(0..graph.len() as u32),
            "each vertex once"
        );
        arranged
    }

    /// How many neighbours a vertex has among others.
    fn degree(graph: &[Vec<u32>], vertex: u32, among: &[u32]) -> usize {
        let neighbors = graph[vertex as usize].iter();
        neighbors.filter(|other| among.contains(other)).count()
    }

    fn check(order: Order, is_next: impl Fn(&[Vec<u32>], &[u32], usize) -> bool) {
        for salt in 0..8 {
            for count in [0, 1, 2, 13, 30] {
                let graph = graph(count, salt);
                let arranged = arrange(order, &graph);
                for at in 0..arranged.len() {
                    assert!(is_next(&graph, &arranged, at), "{salt}, {arranged:?}, {at}");
                }
            }
        }
    }

    #[test]
    fn the_natural_order_is_by_position() {
        check(Order::Natural, |_, arranged, at| {
            arranged[at] as usize == at
        });
    }

    #[test]
    fn the_largest_come_first_and_ties_by_position() {
        check(Order::LargestFirst, |graph, arranged, at| {
            let key = |vertex: u32| (usize::MAX - graph[vertex as usize].len(), vertex);
            at == 0 || key(arranged[at - 1]) < key(arranged[at])
        });
    }

    #[test]
    fn the_last_of_any_beginning_has_the_smallest_degree_in_it() {
        check(Order::SmallestLast, |graph, arranged, at| {
            let beginning = &arranged[..=at];
            let degrees = beginning.iter().map(|&it| degree(graph, it, beginning));
            degrees.min() == Some(degree(graph, arranged[at], beginning))
        });
    }

    #[test]
    fn the_next_has_most_neighbors_among_those_before_it() {
        check(Order::IncidenceDegree, |graph, arranged, at| {
            let (before, after) = arranged.split_at(at);
            let degrees = after.iter().map(|&it| degree(graph, it, before));
            degrees.max() == Some(degree(graph, arranged[at], before))
        });
    }

    #[test]
    fn a_seed_gives_one_order_and_any_vertex_may_be_first() {
        let graph = graph(5, 3);
        let firsts = (0..100).map(|seed| arrange(Order::Random(seed), &graph)[0]);
        let mut firsts: Vec<u32> = firsts.collect();
        firsts.sort();
        firsts.dedup();
        assert_eq!(firsts, [0, 1, 2, 3, 4]);
        let again = || arrange(Order::Random(9), &graph);
        assert_eq!(again(), again());
    }
}
