//! The colours that vertices have been given.

use super::work;

/// No vertex, colour or edge.
pub(super) const NONE: u32 = u32::MAX;

/// The colours that vertices have been given, the next vertex each time the first that is not forbidden to it.
pub(super) struct Palette {
    colors: Vec<u32>,
    /// By colour: the last vertex to which it was forbidden.
    forbidden_to: Vec<u32>,
    /// How many kinds of vertices have colours of their own: kind k has those that leave k when divided by this.
    kinds: u32,
}

impl Palette {
    pub fn new(vertices: usize, kinds: u32) -> Self {
        Self {
            colors: vec![NONE; vertices],
            forbidden_to: Vec::new(),
            kinds,
        }
    }

    /// One more than the largest colour that was given.
    pub fn len(&self) -> usize {
        self.forbidden_to.len()
    }

    pub fn color_of(&self, vertex: u32) -> Option<u32> {
        let color = self.colors[vertex as usize];
        (color != NONE).then_some(color)
    }

    pub fn forbid(&mut self, color: u32, vertex: u32) {
        self.forbidden_to[color as usize] = vertex;
    }

    pub fn is_forbidden(&self, color: u32, vertex: u32) -> bool {
        self.forbidden_to[color as usize] == vertex
    }

    /// Gives a vertex of this kind the first colour that is not forbidden to it, and says which that is.
    pub fn give(&mut self, vertex: u32, kind: u32) -> u32 {
        let mut color = kind;
        while (color as usize) < self.len() && self.is_forbidden(color, vertex) {
            color += self.kinds;
            work::count(1);
        }
        self.colors[vertex as usize] = color;
        if color as usize >= self.len() {
            self.forbidden_to.resize(color as usize + 1, NONE);
        }
        color
    }

    pub fn into_colors(self) -> Vec<u32> {
        self.colors
    }
}
