//! What star and acyclic colouring have in common: vertices are coloured one by one, and edges grow together to trees.

use super::graph::Graph;
use super::order::Order;
use super::palette::{NONE, Palette};
use super::work;

/// How to colour a graph.
pub(super) struct Attempt<'a> {
    pub order: Order,
    /// By vertex: whether it stays without a colour. No two such vertices are neighbours.
    pub is_neutral: &'a [bool],
    /// How many colours are too many for the attempt to go on.
    pub too_many: usize,
}

/// A colouring of the vertices of a graph, in which the edges between any two colours are trees.
pub(super) struct ColoredTrees {
    /// By vertex.
    pub colors: Vec<u32>,
    /// By edge: one edge for all of its tree.
    pub trees: Vec<u32>,
}

/// What makes one kind of colouring.
pub(super) trait Rule {
    /// Forbids a vertex the colours that this coloured neighbour does not bear two edges away. `first` is the first neighbour
    /// of the same colour, which may be the same.
    fn forbid(&mut self, partial: &mut Partial, vertex: u32, neighbor: u32, first: u32);

    /// A vertex was coloured: adds its edge to a coloured or neutral neighbour to a tree, or makes one of it.
    fn join(&mut self, vertex: u32, new: &NewEdge);

    /// By edge: one edge for all of its tree.
    fn into_trees(self) -> Vec<u32>;
}

/// An edge from the vertex that was coloured last to a neighbour.
pub(super) struct NewEdge {
    pub edge: u32,
    pub neighbor: u32,
    /// An edge from the vertex to another neighbour of the same colour.
    pub beside: Option<u32>,
    /// An edge from the neighbour to another vertex of the same colour.
    pub beyond: Option<u32>,
}

/// Gives each vertex, in order, the first colour that its neighbours and the rule leave for it. `None` if these are too many.
///
/// The edges that lead from one vertex to neighbours of one colour are always in one tree, so of each such bundle, one
/// edge stands for all, and around a vertex there are no more edges to look at than colours.
pub(super) fn color(graph: &Graph, attempt: &Attempt, mut rule: impl Rule) -> Option<ColoredTrees> {
    let mut partial = Partial::new(graph, attempt.is_neutral);
    let order = attempt.order.arrange(graph.vertices(), |vertex, found| {
        found.extend(graph.neighbors(vertex).map(|(neighbor, _)| neighbor));
    });
    for vertex in order {
        if attempt.is_neutral[vertex as usize] {
            continue;
        }
        partial.meet_neighbors(vertex);
        for (neighbor, _) in graph.neighbors(vertex) {
            if let Some(color) = partial.palette.color_of(neighbor) {
                let first = partial.met[color as usize].neighbor;
                rule.forbid(&mut partial, vertex, neighbor, first);
            }
        }
        partial.give_color(vertex, |new| rule.join(vertex, new));
        if partial.palette.len() >= attempt.too_many {
            return None;
        }
    }
    Some(ColoredTrees {
        colors: partial.palette.into_colors(),
        trees: rule.into_trees(),
    })
}

/// A graph of which some vertices are coloured.
pub(super) struct Partial<'a> {
    graph: &'a Graph<'a>,
    palette: Palette,
    is_neutral: &'a [bool],
    /// By vertex: the last of the entries of its row that stand for a bundle.
    last_bundle: Vec<u32>,
    /// By entry that stands for a bundle: the one before it in its row.
    bundle_before: Vec<u32>,
    /// By colour: the first neighbour in which the vertex that is being coloured met it.
    met: Vec<Meeting>,
}

#[derive(Clone, Copy)]
struct Meeting {
    vertex: u32,
    neighbor: u32,
    edge: u32,
}

/// The edges from a vertex to its neighbours of one colour.
#[derive(Clone, Copy)]
pub(super) struct Bundle {
    /// In the row of the vertex.
    entry: u32,
    color: u32,
    /// The edge that stands for all.
    pub edge: u32,
}

impl<'a> Partial<'a> {
    fn new(graph: &'a Graph<'a>, is_neutral: &'a [bool]) -> Self {
        Self {
            palette: Palette::new(graph.vertices(), graph.kinds()),
            is_neutral,
            last_bundle: vec![NONE; graph.vertices()],
            bundle_before: vec![NONE; graph.pattern.len()],
            met: Vec::new(),
            graph,
        }
    }

    /// Forbids a vertex the colours around a vertex where the condition holds, which is not asked of colours that are
    /// forbidden already.
    pub fn forbid_around(
        &mut self,
        neighbor: u32,
        vertex: u32,
        mut condition: impl FnMut(Bundle) -> bool,
    ) {
        let mut next = self.bundle_at(self.last_bundle[neighbor as usize]);
        while let Some(bundle) = next {
            if !self.palette.is_forbidden(bundle.color, vertex) && condition(bundle) {
                self.palette.forbid(bundle.color, vertex);
            }
            next = self.bundle_at(self.bundle_before[bundle.entry as usize]);
        }
    }

    /// Forbids a vertex the colours of its neighbours, and those around neutral ones: what is between a neutral vertex and
    /// others is read from products for these, so that no two may be alike.
    fn meet_neighbors(&mut self, vertex: u32) {
        for (neighbor, entry) in self.graph.neighbors(vertex) {
            if self.is_neutral[neighbor as usize] {
                self.forbid_around(neighbor, vertex, |_| true);
            } else if let Some(color) = self.palette.color_of(neighbor) {
                self.palette.forbid(color, vertex);
                let met = &mut self.met[color as usize];
                if met.vertex != vertex {
                    let edge = self.graph.edge_of(entry);
                    *met = Meeting {
                        vertex,
                        neighbor,
                        edge,
                    };
                }
            }
        }
    }

    /// Colours a vertex that has met its neighbours, and hands over its edges to those that are coloured or neutral.
    fn give_color(&mut self, vertex: u32, mut join: impl FnMut(&NewEdge)) {
        let graph = self.graph;
        let own_color = self.palette.give(vertex, graph.kind_of(vertex));
        let nobody = Meeting {
            vertex: NONE,
            neighbor: NONE,
            edge: NONE,
        };
        self.met.resize(self.palette.len(), nobody);
        for (neighbor, entry) in graph.neighbors(vertex) {
            let mut new = NewEdge {
                edge: graph.edge_of(entry),
                neighbor,
                beside: None,
                beyond: None,
            };
            if let Some(color) = self.palette.color_of(neighbor) {
                let met = self.met[color as usize];
                new.beside = (met.neighbor != neighbor).then_some(met.edge);
                new.beyond = self.edge_to(own_color, neighbor);
                if new.beside.is_none() {
                    self.put_bundle(vertex, entry);
                }
            } else if !self.is_neutral[neighbor as usize] {
                continue;
            }
            if new.beyond.is_none() {
                self.put_bundle(neighbor, graph.mirrors[entry as usize]);
            }
            join(&new);
        }
    }

    /// The edge that stands for those from a vertex to neighbours of this colour.
    fn edge_to(&self, color: u32, vertex: u32) -> Option<u32> {
        let mut next = self.bundle_at(self.last_bundle[vertex as usize]);
        while let Some(bundle) = next {
            if bundle.color == color {
                return Some(bundle.edge);
            }
            next = self.bundle_at(self.bundle_before[bundle.entry as usize]);
        }
        None
    }

    fn put_bundle(&mut self, vertex: u32, entry: u32) {
        let last = &mut self.last_bundle[vertex as usize];
        self.bundle_before[entry as usize] = *last;
        *last = entry;
    }

    fn bundle_at(&self, entry: u32) -> Option<Bundle> {
        if entry == NONE {
            return None;
        }
        work::count(1);
        let color = self.palette.color_of(self.graph.head_of(entry))?;
        let edge = self.graph.edge_of(entry);
        Some(Bundle { entry, color, edge })
    }
}
