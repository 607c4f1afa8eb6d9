//! Which values tangents come from, and which pairs of values have second derivatives, as far as rules and declarations
//! of linearity say.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use tidu_graph::{DenseNode, OperationId};

use super::super::FunctionError;
use super::super::derivation::{Activity, Derivation};
use crate::rules::{Linearity, Primitive};
use crate::sparse::lists::Lists;

/// How tangents go through a function.
pub(super) struct Influence {
    /// By value: the operation that it is a result of, if that depends on what is differentiated by.
    pub makers: Vec<Option<OperationId>>,
    /// By value: the values that its tangent is made of.
    pub sources: Lists,
    /// By operation that is active, of operations with the same derivative: what it does with tangents.
    flows: HashMap<u32, Flow, FixedState>,
}

/// What an operation does with the tangents of its operands.
struct Flow {
    /// By active operand: its position, and by result whether its tangent is made of that of the operand.
    reaches: Vec<(usize, Box<[bool]>)>,
    /// Positions of operands, the first being no greater, by both of which there is a second derivative.
    pairs: SmallVec<[[usize; 2]; 3]>,
}

impl Influence {
    /// Asks the derivative of each operation by each of its active operands alone, once for operations that are alike.
    ///
    /// # Complexity
    ///
    /// Linear in the function.
    pub fn of<Op: Primitive>(
        derivation: &mut Derivation<'_, Op>,
        activity: &Activity,
    ) -> Result<Self, FunctionError> {
        let function = derivation.function.clone();
        let dense = function.as_dense();
        let mut flows: HashMap<u32, Flow, FixedState> = HashMap::default();
        let mut sources = Lists::with_capacity(dense.value_count());
        dense.inputs().for_each(|_| sources.end_list());
        for (node, at) in dense.nodes().zip(activity.derivatives()) {
            let Some(at) = at else {
                node.results.iter().for_each(|_| sources.end_list());
                continue;
            };
            if !flows.contains_key(&at) {
                flows.insert(at, Flow::of(node, at, derivation, activity)?);
            }
            let flow = &flows[&at];
            for slot in 0..node.results.len() {
                let first = sources.items.len();
                for (operand, reached) in &flow.reaches {
                    let value = node.operands[*operand].index() as u32;
                    if reached[slot] && !sources.items[first..].contains(&value) {
                        sources.items.push(value);
                    }
                }
                sources.end_list();
            }
        }
        let mut makers = vec![None; dense.value_count()];
        for (id, at) in dense.operation_ids().zip(activity.derivatives()) {
            if at.is_some() {
                makers[dense.node(id).results.indices()].fill(Some(id));
            }
        }
        Ok(Self {
            makers,
            sources,
            flows,
        })
    }

    /// By value: the values whose tangents are made of its.
    pub fn users(&self) -> Lists {
        let Lists { starts, items } = &self.sources;
        let by_source = Lists::by_key(items, self.sources.len());
        let mut user = Vec::with_capacity(items.len());
        for value in 0..self.sources.len() {
            let links = starts[value + 1] - starts[value];
            user.extend((0..links).map(|_| value as u32));
        }
        Lists {
            items: by_source
                .items
                .iter()
                .map(|&link| user[link as usize])
                .collect(),
            starts: by_source.starts,
        }
    }

    /// By value: whether the tangent of one of these is made of its.
    pub fn needed_for(&self, values: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut needed = vec![false; self.sources.len()];
        values.into_iter().for_each(|value| needed[value] = true);
        for value in (0..needed.len()).rev() {
            if needed[value] {
                let sources = self.sources.get(value).iter();
                sources.for_each(|&source| needed[source as usize] = true);
            }
        }
        needed
    }

    /// By value: whether its tangent is made of those of such values.
    pub fn depends_on(&self, mut from: Vec<bool>) -> Vec<bool> {
        for value in 0..from.len() {
            let mut sources = self.sources.get(value).iter();
            from[value] |= sources.any(|&source| from[source as usize]);
        }
        from
    }

    /// The pairs of values by which operations that matter have second derivatives; `matters` says of which results
    /// that is true. With each, the operation's first result.
    pub fn pairs<Op: Primitive>(
        &self,
        derivation: &Derivation<'_, Op>,
        activity: &Activity,
        matters: &[bool],
    ) -> Vec<[u32; 3]> {
        let dense = derivation.function.as_dense();
        let mut pairs = Vec::new();
        for (node, at) in dense.nodes().zip(activity.derivatives()) {
            let results = node.results.indices();
            let first = results.start as u32;
            let Some(at) = at.filter(|_| matters[results].contains(&true)) else {
                continue;
            };
            for pair in &self.flows[&at].pairs {
                let [a, b] = pair.map(|operand| node.operands[operand].index() as u32);
                pairs.push([a.min(b), a.max(b), first]);
            }
        }
        pairs
    }
}

impl Flow {
    fn of<Op: Primitive>(
        node: DenseNode<'_, Op>,
        at: u32,
        derivation: &mut Derivation<'_, Op>,
        activity: &Activity,
    ) -> Result<Self, FunctionError> {
        let operands = node.operands.len();
        let active = (0..operands).filter(|&at| activity.is_active(node.operands[at]));
        let active: Vec<usize> = active.collect();
        let reached_by = |operand: usize| {
            let at = if active.len() == 1 {
                at as usize
            } else {
                let alone: Vec<bool> = (0..operands).map(|at| at == operand).collect();
                derivation.find(node, &alone)?
            };
            Ok((operand, derivation.live(at).into()))
        };
        let reaches = active.iter().copied().map(reached_by);
        let reaches: Vec<(usize, Box<[bool]>)> = reaches.collect::<Result<_, FunctionError>>()?;
        let linearity = match node.operation.as_composite() {
            None => node.operation.linearity(),
            Some(_) => Linearity::Undeclared,
        };
        // Of a rule of which nothing is known, a slope may depend on an operand by which it has none.
        let is_known = !matches!(linearity, Linearity::Undeclared);
        let meet = |one: &[bool], other: &[bool]| {
            let mut both = one.iter().zip(other);
            both.any(|(one, other)| {
                if is_known {
                    *one && *other
                } else {
                    *one || *other
                }
            })
        };
        let mut pairs = SmallVec::new();
        for (at, (one, reached)) in reaches.iter().enumerate() {
            for (other, too) in &reaches[at..] {
                if meet(reached, too) && bends(linearity, *one, *other) {
                    pairs.push([*one, *other]);
                }
            }
        }
        Ok(Self { reaches, pairs })
    }
}

/// Whether there may be a second derivative by these two operands, which may be one.
fn bends(linearity: Linearity, one: usize, other: usize) -> bool {
    match linearity {
        Linearity::Undeclared | Linearity::Never => true,
        Linearity::Joint => false,
        Linearity::Each => one != other,
        Linearity::In(masks) => !masks.iter().any(|mask| mask[one] && mask[other]),
    }
}

/// What a value is computed from or for, found by a search with marks that are used again.
pub(super) struct Cones<'a> {
    neighbours: &'a Lists,
    makers: &'a [Option<OperationId>],
    /// By value: the number of the last search that met it.
    met: Vec<u32>,
    search: u32,
    /// What the last search met.
    pub values: Vec<u32>,
    /// The operations that make it, in order.
    pub operations: Vec<OperationId>,
}

impl<'a> Cones<'a> {
    pub fn new(neighbours: &'a Lists, makers: &'a [Option<OperationId>]) -> Self {
        Self {
            neighbours,
            makers,
            met: vec![0; neighbours.len()],
            search: 0,
            values: Vec::new(),
            operations: Vec::new(),
        }
    }

    /// Finds everything that these values lead to, themselves included, through values of which this holds.
    pub fn find(&mut self, from: impl IntoIterator<Item = u32>, within: impl Fn(u32) -> bool) {
        self.search += 1;
        self.values.clear();
        for value in from {
            self.meet(value);
        }
        let mut next = 0;
        while let Some(&value) = self.values.get(next) {
            next += 1;
            let neighbours = self.neighbours.get(value as usize).iter();
            for &neighbour in neighbours.filter(|&&neighbour| within(neighbour)) {
                self.meet(neighbour);
            }
        }
        self.operations.clear();
        let made = self.values.iter();
        let made = made.filter_map(|&value| self.makers[value as usize]);
        self.operations.extend(made);
        self.operations.sort_unstable();
        self.operations.dedup();
    }

    /// Whether the last search met a value.
    pub fn is_met(&self, value: usize) -> bool {
        self.met[value] == self.search
    }

    fn meet(&mut self, value: u32) {
        let met = &mut self.met[value as usize];
        if std::mem::replace(met, self.search) != self.search {
            self.values.push(value);
        }
    }
}
