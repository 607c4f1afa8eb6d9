//! What a tape holds of each call, in parallel lists.

use std::sync::Arc;

use tidu_ad::Primitive;
use tidu_graph::GraphOperation;

use super::template::Template;

/// What a tape holds of each call, in parallel lists: a call takes four bytes, four for each active
/// operand, and its residuals. How many of each a call has, its template says, so that nothing
/// points anywhere: whoever goes through the calls in reverse counts down.
pub(super) struct Storage<Op: GraphOperation> {
    pub nodes: Vec<Node>,
    /// Indices of values: the active operands of all calls.
    pub operands: Vec<u32>,
    /// `None` once going backward has used it.
    pub residuals: Vec<Option<Op::Operand>>,
    /// The number of leaves and results so far.
    pub values: u32,
}

/// A call, by its template, or a leaf.
#[derive(Clone, Copy)]
pub(super) struct Node(u32);

const LEAF: u32 = u32::MAX;
/// Set for a call whose residuals are gone.
const FREED: u32 = 1 << 31;

/// A position in every list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub nodes: usize,
    pub operands: usize,
    pub residuals: usize,
    pub values: u32,
}

impl Cursor {
    pub const START: Self = Self {
        nodes: 0,
        operands: 0,
        residuals: 0,
        values: 0,
    };
}

impl<Op: GraphOperation> Storage<Op> {
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            operands: Vec::new(),
            residuals: Vec::new(),
            values: 0,
        }
    }

    /// Returns the index of the leaf.
    pub fn push_leaf(&mut self) -> u32 {
        self.push_node(LEAF, 1)
    }

    /// Adds a call whose operands and residuals are there already, and returns the index of its first
    /// result.
    pub fn push_node(&mut self, template: u32, outputs: u32) -> u32 {
        self.nodes.push(Node(template));
        let first = self.values;
        self.values += outputs;
        first
    }

    pub fn end(&self) -> Cursor {
        Cursor {
            nodes: self.nodes.len(),
            operands: self.operands.len(),
            residuals: self.residuals.len(),
            values: self.values,
        }
    }

    /// Moves to the call before, and returns it.
    #[inline]
    pub fn step_back(&self, cursor: &mut Cursor, templates: &[Arc<Template<Op>>]) -> Node
    where
        Op: Primitive,
    {
        cursor.nodes -= 1;
        let node = self.nodes[cursor.nodes];
        match node.template() {
            None => cursor.values -= 1,
            Some(template) => {
                let template = &templates[template];
                cursor.operands -= template.active_count as usize;
                cursor.residuals -= template.residuals.len();
                cursor.values -= template.outputs;
            }
        }
        node
    }

    /// By value: whether it is one of these, or depends on one.
    pub fn depends_on(
        &self,
        values: impl Iterator<Item = u32>,
        templates: &[Arc<Template<Op>>],
    ) -> Vec<bool>
    where
        Op: Primitive,
    {
        let mut depends = vec![false; self.values as usize];
        values.for_each(|value| depends[value as usize] = true);
        let (mut operand, mut value) = (0, 0);
        for node in &self.nodes {
            let Some(template) = node.template() else {
                value += 1;
                continue;
            };
            let template = &templates[template];
            let operands = &self.operands[operand..][..template.active_count as usize];
            if operands.iter().any(|&operand| depends[operand as usize]) {
                depends[value..][..template.outputs as usize].fill(true);
            }
            operand += operands.len();
            value += template.outputs as usize;
        }
        depends
    }

    /// Takes all that there is; what is added from now on comes after it. See [`join`](Self::join).
    pub fn set_aside(&mut self) -> Self {
        let after = Self {
            values: self.values,
            ..Self::new()
        };
        std::mem::replace(self, after)
    }

    /// Puts back what was set aside.
    pub fn join(&mut self, past: Self) {
        let after = std::mem::replace(self, past);
        self.nodes.extend(after.nodes);
        self.operands.extend(after.operands);
        self.residuals.extend(after.residuals);
        self.values = after.values;
    }

    /// Drops everything from a position on.
    pub fn truncate(&mut self, to: Cursor) {
        self.nodes.truncate(to.nodes);
        self.operands.truncate(to.operands);
        self.residuals.truncate(to.residuals);
        self.values = to.values;
    }
}

impl Node {
    /// `None` for a leaf.
    pub fn template(self) -> Option<usize> {
        (self.0 != LEAF).then_some((self.0 & !FREED) as usize)
    }

    pub fn is_freed(self) -> bool {
        self.0 != LEAF && self.0 & FREED != 0
    }

    pub fn free(&mut self) {
        if self.0 != LEAF {
            self.0 |= FREED;
        }
    }
}
