//! What a tape holds of each call, in parallel lists.

use std::panic::Location;
use std::sync::Arc;

use tidu_ad::Primitive;
use tidu_graph::EvaluableGraphOperation;

use super::Var;
use super::segment::Segment;
use super::template::{Residual, Template};

/// What a tape holds of each call, in parallel lists: a call takes four bytes, four for each active
/// operand, and its residuals. How many of each a call has, its template says, so that nothing
/// points anywhere: whoever goes through the calls in reverse counts down.
pub(super) struct Storage<Op: Primitive + EvaluableGraphOperation> {
    pub nodes: Vec<Node>,
    /// Indices of leaves.
    pub leaves: Vec<u32>,
    /// Indices of values: the active operands of calls, all operands of segments.
    pub operands: Vec<u32>,
    /// `None` once going backward has used it.
    pub residuals: Vec<Option<Op::Operand>>,
    pub segments: Vec<Segment<Op>>,
    /// Where each node was recorded, while a tape is watched; shorter than `nodes` if it was not yet.
    pub locations: Vec<Option<&'static Location<'static>>>,
    /// Whether `arguments` are kept.
    pub keeps_structure: bool,
    /// What calls were applied to, if that is kept: all operands of calls, the values of leaves.
    pub arguments: Vec<Argument<Op::Operand>>,
    /// The index of the first value.
    pub first_value: u32,
    /// The index after the last value.
    pub values: u32,
}

/// A call, by its template, or something else that has values.
#[derive(Clone, Copy)]
pub(super) struct Node(u32);

pub(super) enum Kind {
    Leaf,
    Segment,
    /// A gradient that a hook put in the place of another one.
    Replaced,
    /// The index of a template.
    Call(usize),
}

const LEAF: u32 = u32::MAX;
const SEGMENT: u32 = u32::MAX - 1;
/// The least that is no call.
const REPLACED: u32 = u32::MAX - 2;
/// Set for a call whose residuals are gone.
const FREED: u32 = 1 << 31;

/// An operand of a call, as a tape that keeps its structure remembers it.
pub(super) enum Argument<Operand> {
    /// The index of a value.
    Value(u32),
    /// A constant; also the value of a leaf.
    Constant(Operand),
}

/// A position in every list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub nodes: usize,
    pub operands: usize,
    pub residuals: usize,
    pub segments: usize,
    pub arguments: usize,
    pub values: u32,
}

/// How much of each list a node has.
pub(super) struct Extent {
    operands: usize,
    residuals: usize,
    segments: usize,
    pub values: u32,
}

impl<Op: Primitive + EvaluableGraphOperation> Storage<Op> {
    /// Holds nothing; values are numbered from `first_value`.
    pub fn new(first_value: u32) -> Self {
        Self {
            nodes: Vec::new(),
            leaves: Vec::new(),
            operands: Vec::new(),
            residuals: Vec::new(),
            segments: Vec::new(),
            locations: Vec::new(),
            keeps_structure: false,
            arguments: Vec::new(),
            first_value,
            values: first_value,
        }
    }

    /// Returns the index of the leaf.
    pub fn push_leaf(&mut self) -> u32 {
        let leaf = self.push_node(LEAF, 1);
        self.leaves.push(leaf);
        leaf
    }

    /// Adds a call with its active operands and residuals, and returns the index of its first result.
    #[inline(always)]
    pub fn push_call(
        &mut self,
        template: u32,
        outputs: u32,
        residuals: &[Residual],
        operands: &[&Var<Op>],
        results: &[Op::Operand],
    ) -> u32 {
        for operand in operands {
            if operand.requires_grad() {
                self.operands.push(operand.index());
            }
        }
        if self.residuals.capacity() - self.residuals.len() < residuals.len() {
            self.grow(residuals.len());
        }
        for residual in residuals {
            let value = match residual {
                Residual::Operand(at) => operands[*at as usize].value(),
                Residual::Output(at) => &results[*at as usize],
            };
            self.residuals.push(Some(value.clone()));
        }
        self.push_node(template, outputs)
    }

    /// Makes room for residuals, which are most of a tape: by half, where a list would grow to the double.
    #[cold]
    fn grow(&mut self, residuals: usize) {
        let room = (self.residuals.len() / 2).max(residuals).max(64);
        self.residuals.reserve_exact(room);
    }

    /// Notes what the last call was applied to.
    pub fn push_arguments(&mut self, operands: &[&Var<Op>]) {
        let arguments = operands.iter().map(|operand| {
            if operand.requires_grad() {
                Argument::Value(operand.index())
            } else {
                Argument::Constant(operand.value().clone())
            }
        });
        self.arguments.extend(arguments);
    }

    /// Adds a segment whose operands and residuals are there already, and returns the index of its
    /// first result.
    pub fn push_segment(&mut self, segment: Segment<Op>) -> u32 {
        let outputs = segment.outputs;
        self.segments.push(segment);
        self.push_node(SEGMENT, outputs)
    }

    /// Adds what took the place of a value, and returns its index.
    pub fn push_replaced(&mut self, value: u32) -> u32 {
        self.operands.push(value);
        self.push_node(REPLACED, 1)
    }

    /// Adds a call whose operands and residuals are there already, and returns the index of its first
    /// result.
    #[inline]
    pub fn push_node(&mut self, template: u32, outputs: u32) -> u32 {
        self.nodes.push(Node(template));
        let first = self.values;
        let values = self.values.checked_add(outputs);
        self.values = values.expect("a tape holds fewer than 2^32 values");
        first
    }

    /// Notes where the last node was recorded.
    pub fn locate(&mut self, location: &'static Location<'static>) {
        self.locations.resize(self.nodes.len() - 1, None);
        self.locations.push(Some(location));
    }

    pub fn start(&self) -> Cursor {
        Cursor {
            values: self.first_value,
            ..Cursor::default()
        }
    }

    pub fn end(&self) -> Cursor {
        Cursor {
            nodes: self.nodes.len(),
            operands: self.operands.len(),
            residuals: self.residuals.len(),
            segments: self.segments.len(),
            arguments: self.arguments.len(),
            values: self.values,
        }
    }

    /// Moves to the node before, and returns it.
    #[inline]
    pub fn step_back(&self, cursor: &mut Cursor, templates: &[Arc<Template<Op>>]) -> Node {
        cursor.nodes -= 1;
        let node = self.nodes[cursor.nodes];
        // Apart from `extent`, since this is a twentieth of what going backward takes.
        if let Kind::Call(template) = node.kind() {
            let template = &templates[template];
            cursor.operands -= template.active_count as usize;
            cursor.residuals -= template.residuals.len();
            cursor.values -= template.outputs;
            return node;
        }
        let extent = self.extent(node, cursor.segments.wrapping_sub(1), templates);
        cursor.operands -= extent.operands;
        cursor.residuals -= extent.residuals;
        cursor.segments -= extent.segments;
        cursor.values -= extent.values;
        node
    }

    /// Moves past the node at a position.
    pub fn step_on(&self, cursor: &mut Cursor, templates: &[Arc<Template<Op>>]) {
        let extent = self.extent(self.nodes[cursor.nodes], cursor.segments, templates);
        cursor.nodes += 1;
        cursor.operands += extent.operands;
        cursor.residuals += extent.residuals;
        cursor.segments += extent.segments;
        cursor.values += extent.values;
    }

    /// How much of each list a node has, which is this segment if it is one.
    pub fn extent(&self, node: Node, segment: usize, templates: &[Arc<Template<Op>>]) -> Extent {
        let (operands, residuals, segments, values) = match node.kind() {
            Kind::Leaf => (0, 0, 0, 1),
            Kind::Replaced => (1, 0, 0, 1),
            Kind::Call(template) => {
                let template = &templates[template];
                let operands = template.active_count as usize;
                (operands, template.residuals.len(), 0, template.outputs)
            }
            Kind::Segment => {
                let segment = &self.segments[segment];
                let operands = segment.operands as usize;
                (operands, operands, 1, segment.outputs)
            }
        };
        Extent {
            operands,
            residuals,
            segments,
            values,
        }
    }

    /// Marks, by index of a value, the values of this storage that depend on marked ones. Whatever a
    /// segment computes may depend on anything before it.
    pub fn mark_dependents(&self, marked: &mut [bool], templates: &[Arc<Template<Op>>]) {
        let mut at = self.start();
        for node in &self.nodes {
            let before = at;
            self.step_on(&mut at, templates);
            let mut operands = self.operands[before.operands..at.operands].iter();
            if matches!(node.kind(), Kind::Segment)
                || operands.any(|&operand| marked[operand as usize])
            {
                marked[before.values as usize..at.values as usize].fill(true);
            }
        }
    }

    /// Whether all leaves are among some values, ascending.
    pub fn leaves_are_among(&self, values: &[(u32, usize)]) -> bool {
        let mut values = values.iter().map(|(value, _)| *value);
        let mut leaves = self.leaves.iter();
        leaves.all(|&leaf| values.by_ref().find(|value| *value >= leaf) == Some(leaf))
    }

    /// Takes all that there is; what is added from now on comes after it. See [`join`](Self::join).
    pub fn set_aside(&mut self) -> Self {
        let after = Self {
            keeps_structure: self.keeps_structure,
            ..Self::new(self.values)
        };
        std::mem::replace(self, after)
    }

    /// Puts back what was set aside.
    pub fn join(&mut self, past: Self) {
        let after = std::mem::replace(self, past);
        if !after.locations.is_empty() {
            self.locations.resize(self.nodes.len(), None);
            self.locations.extend(after.locations);
        }
        self.nodes.extend(after.nodes);
        self.leaves.extend(after.leaves);
        self.operands.extend(after.operands);
        self.residuals.extend(after.residuals);
        self.segments.extend(after.segments);
        self.arguments.extend(after.arguments);
        self.values = after.values;
    }

    /// The bytes that the lists hold.
    pub fn memory(&self) -> usize {
        fn of<T>(list: &Vec<T>) -> usize {
            list.capacity() * size_of::<T>()
        }
        of(&self.nodes)
            + of(&self.leaves)
            + of(&self.operands)
            + of(&self.residuals)
            + of(&self.segments)
            + of(&self.locations)
            + of(&self.arguments)
    }

    /// Drops everything from a position on.
    pub fn truncate(&mut self, to: Cursor) {
        self.nodes.truncate(to.nodes);
        let leaves = self.leaves.partition_point(|leaf| *leaf < to.values);
        self.leaves.truncate(leaves);
        self.operands.truncate(to.operands);
        self.residuals.truncate(to.residuals);
        self.segments.truncate(to.segments);
        self.locations.truncate(to.nodes);
        self.arguments.truncate(to.arguments);
        self.values = to.values;
    }
}

impl Node {
    #[inline]
    pub fn kind(self) -> Kind {
        match self.0 {
            template if template < REPLACED => Kind::Call((template & !FREED) as usize),
            LEAF => Kind::Leaf,
            SEGMENT => Kind::Segment,
            _ => Kind::Replaced,
        }
    }

    /// Whether the residuals of a call are gone.
    pub fn is_freed(self) -> bool {
        self.0 & FREED != 0
    }

    /// Marks a call.
    pub fn free(&mut self) {
        self.0 |= FREED;
    }
}
