//! From colours and their trees to where each entry is read.

use crate::sparse::lists::Lists;

use super::graph::Graph;
use super::greedy::ColoredTrees;
use super::palette::NONE;
use super::work;

/// Where the entries of a symmetric matrix are read: of an edge, and of the diagonal, each once.
pub(super) struct Readings {
    /// Each after those that it needs.
    pub readings: Vec<Reading>,
    /// By reading: the edges whose entries are subtracted.
    pub terms: Lists,
}

/// An entry is read from the product for a colour, at a vertex.
pub(super) struct Reading {
    pub entry: u32,
    pub color: u32,
    pub vertex: u32,
}

/// Reads the entries of a coloured graph from as few colours as can be.
///
/// A tree of two colours is read from its leaves inwards: the product for the colour of a leaf's neighbour holds, at the leaf, the
/// sum of the leaf's edges in this tree, all but one of which are known by then. If the tree is a star, its leaves have no other
/// edge, and nothing is read for the colour of the leaves. An edge that is a tree by itself can be read for
/// either colour, so for one that is needed anyway, if there is one.
///
/// Gebremedhin, Tarafdar, Manne, Pothen 2007, and for neutral colours Montoison, Dalle, Gebremedhin 2025. Linear.
pub(super) fn read(graph: &Graph, colored: &ColoredTrees) -> Readings {
    let mut reader = Reader::new(graph, &colored.colors);
    reader.read_diagonal();
    let mut alone = Vec::new();
    for (tree, edges) in (0..).zip(edges_by_tree(graph, &colored.trees).iter()) {
        if let [edge] = edges[..] {
            alone.push(edge);
        } else {
            reader.read_tree(tree, edges);
        }
    }
    reader.read_alone(&alone);
    reader.found
}

/// The edges of each tree, in the order of the first ones.
fn edges_by_tree(graph: &Graph, trees: &[u32]) -> Lists {
    let mut number_of = vec![NONE; trees.len()];
    let mut count = 0;
    let mut edges = Vec::new();
    let mut keys = Vec::new();
    for (edge, &mirror) in (0..).zip(&graph.mirrors) {
        if edge < mirror {
            let number = &mut number_of[trees[edge as usize] as usize];
            if *number == NONE {
                *number = count;
                count += 1;
            }
            edges.push(edge);
            keys.push(*number);
        }
    }
    let mut by_tree = Lists::by_key(&keys, count as usize);
    for item in &mut by_tree.items {
        *item = edges[*item as usize];
    }
    by_tree
}

struct Reader<'a> {
    graph: &'a Graph<'a>,
    colors: &'a [u32],
    is_used: Vec<bool>,
    /// By vertex: what is known of it in the tree that is being read.
    places: Vec<Place>,
    /// By edge: the one that was read before it at the same inner vertex.
    read_before: Vec<u32>,
    found: Readings,
}

/// A vertex in a tree that is being read.
#[derive(Clone, Copy)]
struct Place {
    tree: u32,
    /// How many edges are left, and all of these in one number, by exclusive or.
    left: u32,
    edges_left: u32,
    /// The last edge from a leaf to here that was read.
    last_read: u32,
}

impl Place {
    /// A vertex of a tree none of whose edges is known.
    fn before(tree: u32) -> Self {
        Self {
            tree,
            left: 0,
            edges_left: 0,
            last_read: NONE,
        }
    }
}

impl<'a> Reader<'a> {
    fn new(graph: &'a Graph<'a>, colors: &'a [u32]) -> Self {
        let given = colors.iter().filter(|&&color| color != NONE);
        let color_count = given.max().map_or(0, |&last| last as usize + 1);
        Self {
            graph,
            colors,
            is_used: vec![false; color_count],
            places: vec![Place::before(NONE); graph.vertices()],
            read_before: vec![NONE; graph.pattern.len()],
            found: Readings {
                readings: Vec::new(),
                terms: Lists::with_capacity(0),
            },
        }
    }

    /// No neighbour of a vertex has its colour, so its entry of the diagonal stands alone.
    fn read_diagonal(&mut self) {
        for (entry, &mirror) in (0..).zip(&self.graph.mirrors) {
            if entry == mirror {
                let vertex = self.graph.head_of(entry);
                self.read_at(entry, vertex, vertex);
            }
        }
    }

    fn read_tree(&mut self, tree: u32, edges: &[u32]) {
        work::count(edges.len());
        let mut leaves = self.enter(tree, edges);
        leaves.retain(|&vertex| self.places[vertex as usize].left == 1);
        let mut done = 0;
        // First come first served: the hub of a star becomes a leaf behind all others, and has no edge left then.
        while let Some(&leaf) = leaves.get(done) {
            done += 1;
            let place = self.places[leaf as usize];
            if place.left == 1 {
                let edge = place.edges_left;
                let inner = self.other_end(edge, leaf);
                self.subtract_from(place.last_read);
                self.read_at(edge, leaf, inner);
                self.take_leaf(leaf, edge, inner);
                if self.places[inner as usize].left == 1 {
                    leaves.push(inner);
                }
            }
        }
    }

    /// Notes the edges of a tree at its vertices, and says which these are.
    fn enter(&mut self, tree: u32, edges: &[u32]) -> Vec<u32> {
        let mut vertices = Vec::with_capacity(edges.len() + 1);
        for &edge in edges {
            for vertex in self.graph.ends_of(edge) {
                let place = &mut self.places[vertex as usize];
                if place.tree != tree {
                    *place = Place::before(tree);
                    vertices.push(vertex);
                }
                place.left += 1;
                place.edges_left ^= edge;
            }
        }
        vertices
    }

    /// The edges that were read at a vertex are terms of its own reading.
    fn subtract_from(&mut self, last_read: u32) {
        let mut edge = last_read;
        while edge != NONE {
            self.found.terms.items.push(edge);
            edge = self.read_before[edge as usize];
        }
    }

    fn take_leaf(&mut self, leaf: u32, edge: u32, inner: u32) {
        self.places[leaf as usize].left = 0;
        let place = &mut self.places[inner as usize];
        place.left -= 1;
        place.edges_left ^= edge;
        self.read_before[edge as usize] = place.last_read;
        place.last_read = edge;
    }

    /// Reads edges that are trees by themselves. Where neither colour is used, the one with more of them is.
    fn read_alone(&mut self, edges: &[u32]) {
        let mut unread = vec![0; self.is_used.len()];
        for &edge in edges {
            let colors = self.graph.ends_of(edge).map(|end| self.color_of(end));
            for color in colors.into_iter().flatten() {
                unread[color] += 1;
            }
        }
        for &edge in edges {
            let [one, other] = self.graph.ends_of(edge);
            let worth = |end: u32| {
                let color = self.color_of(end);
                color.map(|color| (self.is_used[color], unread[color]))
            };
            if worth(one) >= worth(other) {
                self.read_at(edge, other, one);
            } else {
                self.read_at(edge, one, other);
            }
        }
    }

    /// Ends a reading of an entry: at a vertex, from the product for the colour of another.
    fn read_at(&mut self, entry: u32, vertex: u32, hub: u32) {
        let color = self.colors[hub as usize];
        self.is_used[color as usize] = true;
        self.found.terms.end_list();
        self.found.readings.push(Reading {
            entry,
            color,
            vertex,
        });
    }

    /// The colour of a vertex that is not neutral.
    fn color_of(&self, vertex: u32) -> Option<usize> {
        let color = self.colors[vertex as usize];
        (color != NONE).then_some(color as usize)
    }

    fn other_end(&self, edge: u32, end: u32) -> u32 {
        let [one, other] = self.graph.ends_of(edge);
        one ^ other ^ end
    }
}
