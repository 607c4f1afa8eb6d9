//! Ways to come by the entries of a sparse matrix, and what each costs.

use std::fmt::{self, Display};

use smallvec::SmallVec;
use tidu_graph::text::counted;
use tidu_graph::{DenseGraph, DenseId, DenseNode, OperationId};

use super::super::derivation::{Activity, Derivation, PushedCotangents};
use super::super::{FunctionError, Mode};
use super::influence::{Cones, Influence};
use crate::cotangents::{MaskedCotangent, Seed};
use crate::rules::Primitive;
use crate::sparse::lists::Lists;
use crate::sparse::{Coloring, Order, Pattern};

/// A way to come by the entries of a sparse matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Way {
    /// Row by row, in reverse mode, each through what its output is computed from.
    Rows,
    /// Column by column, in forward mode, each through what is computed from its input.
    Columns,
    /// Some rows and some columns that have all entries between them.
    RowsAndColumns,
    /// Columns of a symmetric matrix together, those of one colour of a star colouring, in forward mode.
    Star,
}

/// What ways there were to come by the entries of a sparse matrix.
///
/// A cost is how many linear operations are put in, before equal ones are merged and others simplified, and without
/// those that masks take ([`Masking`](crate::rules::Masking)); where an operation has more than three operands or
/// results that matter, at most this many. Rows and columns are gone through only where they lead, so that columns that
/// share no row together cost what each costs alone, and a compressed Jacobian is never cheaper than the same columns
/// one by one: an operation between an input and an output is on the way of one column of a group at most.
///
/// Prints as a small table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SparseReceipt {
    /// The way that was gone.
    pub way: Way,
    /// What each way that was looked at costs. One that costs, or leads through, more than four times as many
    /// operations as another may not have been counted to the end, and is not listed; nor are those by colours where a
    /// simple one is within twice what is least.
    pub costs: Vec<(Way, u64)>,
    /// The number of products: rows, columns or groups that have entries.
    pub products: usize,
    /// The number of entries.
    pub entries: usize,
    /// Of these, how many turned out to be symbolic zeros.
    pub zeros: usize,
    /// Whether the pattern has no zeros, so that a dense derivative has the same entries.
    pub is_dense: bool,
}

impl Display for SparseReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = if self.entries == 1 {
            "entry"
        } else {
            "entries"
        };
        write!(
            f,
            "{} {entries}, {} of them zero, by {}: {}",
            self.entries,
            self.zeros,
            counted(self.products, "product"),
            self.way
        )?;
        if self.is_dense {
            f.write_str("; dense")?;
        }
        for (way, cost) in &self.costs {
            let cost = counted(*cost as usize, "operation");
            write!(f, "\n  {:<16} {cost}", way.to_string())?;
        }
        Ok(())
    }
}

impl Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rows => "rows",
            Self::Columns => "columns",
            Self::RowsAndColumns => "rows and columns",
            Self::Star => "star colouring",
        })
    }
}

/// What is needed to choose and to go a way.
pub(super) struct Ways<'s, 'a, Op: Primitive> {
    pub derivation: &'s mut Derivation<'a, Op>,
    pub activity: &'s Activity,
    pub influence: &'s Influence,
    pub pattern: &'s Pattern,
    /// The symmetric pattern of which that is the lower triangle, if there is one.
    pub whole: Option<&'s Pattern>,
    /// The only direction to go in, if one is asked for.
    pub mode: Option<Mode>,
}

/// Which products are made.
struct Plan {
    /// Rows that are gone through.
    rows: Vec<usize>,
    /// By forward product: its columns.
    columns: Lists,
    /// By forward product: the entries that are read from it.
    entries: Lists,
    /// In the order of these: the row in which each is read.
    read_at: Vec<u32>,
}

/// The cheapest way, and what each costs.
struct Choice {
    way: Way,
    plan: Plan,
    costs: Vec<(Way, u64)>,
}

/// What it costs in a direction; an error if it cannot be gone in that.
type Weighed = Result<Weights, FunctionError>;

impl<Op: Primitive> Ways<'_, '_, Op> {
    /// The entries, in the order of the pattern.
    pub fn write(mut self) -> Result<(Vec<DenseId>, SparseReceipt), FunctionError> {
        let users = self.influence.users();
        let Choice { way, plan, costs } = self.choose(&users)?;
        let mut entries = vec![None; self.pattern.len()];
        self.write_rows(&plan, &mut entries)?;
        self.write_columns(&plan, &users, &mut entries)?;
        let size = self.pattern.rows() * self.pattern.columns();
        let receipt = SparseReceipt {
            way,
            costs,
            products: plan.rows.len() + plan.columns.len(),
            entries: entries.len(),
            zeros: entries.iter().filter(|entry| entry.is_none()).count(),
            is_dense: size > 0 && self.whole.unwrap_or(self.pattern).len() == size,
        };
        let names = self.derivation.function.input_names();
        let mut filled = Vec::with_capacity(entries.len());
        for (entry, (_, column)) in entries.into_iter().zip(self.pattern.entries()) {
            let input = self.derivation.wrt[column];
            let name = || names[input].clone();
            filled.push(self.derivation.or_zero_of_input(entry, input, name)?);
        }
        Ok((filled, receipt))
    }

    /// The cheapest way, and what each costs.
    fn choose(&mut self, users: &Lists) -> Result<Choice, FunctionError> {
        let [reverse, forward] = match self.mode {
            None => [self.reverse_weights(), self.forward_weights()].map(Some),
            Some(Mode::Reverse) => [Some(self.reverse_weights()), None],
            Some(Mode::Forward) => [None, Some(self.forward_weights())],
        };
        let [reverse, forward] = match [reverse, forward].map(Option::transpose) {
            [Ok(None), Err(error)] | [Err(error), Ok(None) | Err(_)] => return Err(error),
            either => either.map(|weights| weights.ok().flatten()),
        };
        let mut race = Race {
            backward: reverse.map(|weights| Counter::new(&self.influence.sources, self, weights)),
            forward: forward.map(|weights| Counter::new(users, self, weights)),
        };
        let (rows, columns) = (self.by_rows(), self.by_columns());
        let (of_rows, of_columns) = race.run(self, &rows, &columns);
        let mut plans = Vec::with_capacity(3);
        plans.extend(of_rows.map(|cost| (Way::Rows, cost, rows)));
        plans.extend(of_columns.map(|cost| (Way::Columns, cost, columns)));
        let simple = plans.iter().map(|(_, cost, _)| *cost).min();
        let simple = simple.expect("some direction is open, and one is counted to the end");
        let least = race
            .forward
            .as_ref()
            .map(|forward| 2 * (forward.weights.all() + self.pattern.len() as u64));
        if least.is_some_and(|least| simple > least) {
            let others = match self.whole {
                Some(whole) => {
                    let coloring = Coloring::star(whole, Order::BEST)?;
                    vec![(Way::Star, self.by_colors(whole, &coloring))]
                }
                None if race.backward.is_some() => {
                    let plans = [self.by_rows_and_columns()?, self.by_long_rows()];
                    plans.map(|plan| (Way::RowsAndColumns, plan)).into()
                }
                None => Vec::new(),
            };
            let costed = others.into_iter().filter_map(|(way, plan)| {
                let cost = race.cost(self, &plan, simple)?;
                Some((way, cost, plan))
            });
            plans.extend(costed.min_by_key(|(_, cost, _)| *cost));
        }
        let costs = plans.iter().map(|(way, cost, _)| (*way, *cost)).collect();
        let cheapest = plans.into_iter().min_by_key(|(_, cost, _)| *cost);
        let (way, _, plan) = cheapest.expect("some way is open");
        Ok(Choice { way, plan, costs })
    }

    fn reverse_weights(&mut self) -> Weighed {
        self.weights(|derivation, node, at| {
            let live = derivation.live(at);
            let slots: Vec<usize> = (0..live.len()).filter(|&slot| live[slot]).collect();
            let values = node.results.indices();
            let parts = slots.iter().map(|&slot| Part::Result(slot));
            let weight = |parts: &[bool]| {
                let mut seeds = vec![Seed::Zero; values.len()];
                for (&slot, &there) in slots.iter().zip(parts) {
                    if there {
                        seeds[slot] = Seed::Full;
                    }
                }
                derivation.reverse_weight(at, &seeds)
            };
            Weight::of(parts.collect(), weight)
        })
    }

    fn forward_weights(&mut self) -> Weighed {
        let activity = self.activity;
        self.weights(|derivation, node, _| {
            let operands = node.operands;
            let active = (0..operands.len()).filter(|&at| activity.is_active(operands[at]));
            let active: Vec<usize> = active.collect();
            let parts = active.iter().map(|&at| Part::Operand(at));
            let weight = |parts: &[bool]| {
                let mut tangents = vec![false; operands.len()];
                for (&operand, &there) in active.iter().zip(parts) {
                    tangents[operand] = there;
                }
                let at = derivation.find(node, &tangents)?;
                derivation.forward_weight(at)
            };
            Weight::of(parts.collect(), weight)
        })
    }

    /// By operation: what it costs to go through it, which is asked once for those with the same derivative.
    fn weights(
        &mut self,
        mut weight: impl FnMut(
            &mut Derivation<'_, Op>,
            DenseNode<'_, Op>,
            usize,
        ) -> Result<Weight, FunctionError>,
    ) -> Weighed {
        let function = self.derivation.function.clone();
        let mut known: Vec<Option<Weight>> = Vec::new();
        let mut of_operation = Vec::with_capacity(function.as_dense().operation_count());
        for (node, at) in function.as_dense().nodes().zip(self.activity.derivatives()) {
            of_operation.push(at);
            let Some(at) = at.map(|at| at as usize) else {
                continue;
            };
            if known.len() <= at {
                known.resize_with(at + 1, || None);
            }
            if known[at].is_none() {
                known[at] = Some(weight(self.derivation, node, at)?);
            }
        }
        Ok(Weights {
            of_operation,
            known,
        })
    }

    fn output_of(&self, row: usize) -> u32 {
        self.derivation.function.as_dense().outputs()[row].index() as u32
    }

    fn inputs_of(&self, columns: &[u32]) -> Vec<u32> {
        let wrt = self.derivation.wrt;
        columns
            .iter()
            .map(|&column| wrt[column as usize] as u32)
            .collect()
    }

    /// By value: whether an output depends on it that is not among these rows. Columns are not gone any further.
    fn needed_beside(&self, rows: &[usize]) -> Vec<bool> {
        let outputs = self.derivation.function.as_dense().outputs();
        let mut is_read = vec![true; outputs.len()];
        rows.iter().for_each(|&row| is_read[row] = false);
        let read = (0..outputs.len()).filter(|&row| is_read[row]);
        self.influence
            .needed_for(read.map(|row| outputs[row].index()))
    }

    fn by_rows(&self) -> Plan {
        let rows = 0..self.pattern.rows();
        Plan {
            rows: rows
                .filter(|&row| !self.pattern.columns_of_row(row).is_empty())
                .collect(),
            columns: Lists::with_capacity(0),
            entries: Lists::with_capacity(0),
            read_at: Vec::new(),
        }
    }

    fn by_columns(&self) -> Plan {
        self.by_lines(&[], |_| true)
    }

    /// These rows, and of some columns what they do not have.
    fn by_lines(&self, rows: &[bool], has_column: impl Fn(usize) -> bool) -> Plan {
        let (starts, in_column, positions) = self.pattern.to_csc();
        let is_row = |row: u32| rows.get(row as usize) == Some(&true);
        let mut plan = Plan {
            rows: (0..rows.len()).filter(|&row| rows[row]).collect(),
            columns: Lists::with_capacity(0),
            entries: Lists::with_capacity(0),
            read_at: Vec::new(),
        };
        for column in (0..self.pattern.columns()).filter(|&column| has_column(column)) {
            let all = starts[column] as usize..starts[column + 1] as usize;
            let left = plan.read_at.len();
            for at in all.filter(|&at| !is_row(in_column[at])) {
                plan.entries.items.push(positions[at]);
                plan.read_at.push(in_column[at]);
            }
            if plan.read_at.len() > left {
                plan.columns.items.push(column as u32);
                plan.columns.end_list();
                plan.entries.end_list();
            }
        }
        plan
    }

    /// Rows and columns that have all entries between them, few of them.
    fn by_rows_and_columns(&self) -> Result<Plan, FunctionError> {
        let coloring = Coloring::star_bidirectional(self.pattern, Order::BEST)?;
        let rows: Vec<bool> = coloring
            .row_colors()
            .iter()
            .map(|&color| color > 0)
            .collect();
        let columns = coloring.column_colors();
        Ok(self.by_lines(&rows, |column| columns[column] > 0))
    }

    /// The rows that are much longer than others, and all columns for what these do not have.
    fn by_long_rows(&self) -> Plan {
        let starts = self.pattern.row_starts().windows(2);
        let mean = self.pattern.len() / self.pattern.rows().max(1);
        let is_long = |ends: &[u32]| (ends[1] - ends[0]) as usize > 2 * mean;
        self.by_lines(&starts.map(is_long).collect::<Vec<bool>>(), |_| true)
    }

    fn by_colors(&self, whole: &Pattern, coloring: &Coloring) -> Plan {
        let steps: Vec<_> = coloring.recovery().steps().collect();
        let group_of: Vec<u32> = steps.iter().map(|step| step.group as u32).collect();
        let by_group = Lists::by_key(&group_of, coloring.group_count());
        let step_of = |step: &u32| &steps[*step as usize];
        let entry_of = |entry: usize| {
            let (row, column) = (whole.row_of(entry), whole.column_of(entry));
            let found = self.pattern.position_of(row, column);
            found.expect("the lower triangle has it") as u32
        };
        let mut columns = Lists::with_capacity(coloring.group_count());
        for group in coloring.groups() {
            columns.items.extend_from_slice(group.members);
            columns.end_list();
        }
        let ordered = || by_group.items.iter().map(step_of);
        Plan {
            rows: Vec::new(),
            columns,
            read_at: ordered().map(|step| step.position as u32).collect(),
            entries: Lists {
                items: ordered().map(|step| entry_of(step.entry)).collect(),
                starts: by_group.starts,
            },
        }
    }

    /// Goes back from each row of a plan.
    fn write_rows(
        &mut self,
        plan: &Plan,
        entries: &mut [Option<DenseId>],
    ) -> Result<(), FunctionError> {
        let function = self.derivation.function.clone();
        let dense = function.as_dense();
        let wrt = self.derivation.wrt;
        let mut cones = Cones::new(&self.influence.sources, &self.influence.makers);
        let mut cotangents = PushedCotangents::new(dense.value_count(), Vec::new());
        for &row in &plan.rows {
            let output = dense.outputs()[row].index();
            cones.find([output as u32], |_| true);
            let seed = self.derivation.basis_of_output(row)?.vectors()[0];
            cotangents.set(
                output,
                MaskedCotangent {
                    value: seed,
                    mask: None,
                },
            );
            let nodes = cones.operations.iter();
            let nodes = nodes.map(|&id| (dense.node(id), self.activity.derivative_of(id)));
            self.derivation
                .pull_back_along(nodes, self.activity, &mut cotangents)?;
            let first = self.pattern.row_starts()[row] as usize;
            for (entry, &column) in (first..).zip(self.pattern.columns_of_row(row)) {
                let input = wrt[column as usize];
                entries[entry] = self.derivation.kept(&cotangents, input)?;
            }
            for &value in &cones.values {
                cotangents.take(value as usize);
                cotangents.take_mask(value as usize);
            }
        }
        Ok(())
    }

    /// Goes forward from the columns of each forward product of a plan.
    fn write_columns(
        &mut self,
        plan: &Plan,
        users: &Lists,
        entries: &mut [Option<DenseId>],
    ) -> Result<(), FunctionError> {
        let function = self.derivation.function.clone();
        let dense = function.as_dense();
        let names = function.input_names();
        let needed = self.needed_beside(&plan.rows);
        let mut cones = Cones::new(users, &self.influence.makers);
        let mut tangents = vec![None; dense.value_count()];
        for (product, columns) in plan.columns.iter().enumerate() {
            let inputs = self.inputs_of(columns);
            for &input in &inputs {
                let input = input as usize;
                let basis = self.derivation.basis_of_input(input, &names[input])?;
                tangents[input] = Some(basis.vectors()[0]);
            }
            cones.find(inputs, |value| needed[value as usize]);
            let nodes = cones.operations.iter().map(|&id| dense.node(id));
            self.derivation.push_forward_along(nodes, &mut tangents)?;
            let range = plan.entries.range(product);
            let read_at = &plan.read_at[range];
            for (&entry, &row) in plan.entries.get(product).iter().zip(read_at) {
                let output = dense.outputs()[row as usize];
                entries[entry as usize] = tangents[output.index()];
            }
            for &value in &cones.values {
                tangents[value as usize] = None;
            }
            // An operation gives all its results tangents, also those that are not needed.
            for &id in &cones.operations {
                tangents[dense.node(id).results.indices()].fill(None);
            }
        }
        Ok(())
    }
}

/// What it costs to go through operations in one direction.
struct Weights {
    /// By operation: which of the others its weight is; `None` if it is not gone through.
    of_operation: Vec<Option<u32>>,
    known: Vec<Option<Weight>>,
}

/// What it costs to go through an operation, by the parts of it that there are tangents or cotangents of.
struct Weight {
    parts: SmallVec<[Part; 2]>,
    /// By parts, of which the first is the lowest bit; of many, only with all of them.
    by_parts: SmallVec<[u32; 4]>,
}

#[derive(Clone, Copy)]
enum Part {
    Operand(usize),
    Result(usize),
}

impl Part {
    fn value_in<Op: Primitive>(self, node: DenseNode<'_, Op>) -> usize {
        match self {
            Self::Operand(at) => node.operands[at].index(),
            Self::Result(at) => node.results.start().index() + at,
        }
    }
}

impl Weights {
    fn of(&self, operation: OperationId) -> Option<&Weight> {
        let at = self.of_operation[operation.index()]?;
        self.known[at as usize].as_ref()
    }

    /// Of all operations, all of whose parts are there.
    fn all(&self) -> u64 {
        let of_operation = self.of_operation.iter().flatten();
        let weights = of_operation.filter_map(|&at| self.known[at as usize].as_ref());
        weights.map(|weight| u64::from(weight.most())).sum()
    }
}

impl Weight {
    /// Beyond this many parts, all are taken to be there.
    const FEW: usize = 3;

    fn of(
        parts: SmallVec<[Part; 2]>,
        mut weight: impl FnMut(&[bool]) -> Result<u32, FunctionError>,
    ) -> Result<Self, FunctionError> {
        let count = parts.len();
        let by_parts = if count > Self::FEW {
            SmallVec::from_slice(&[weight(&vec![true; count])?])
        } else {
            let subsets = 1..1_u32 << count;
            let of_subset = |subset: u32| {
                let there = (0..count).map(|part| subset >> part & 1 == 1);
                weight(&there.collect::<Vec<_>>())
            };
            let weights = std::iter::once(Ok(0)).chain(subsets.map(of_subset));
            weights.collect::<Result<_, _>>()?
        };
        Ok(Self { parts, by_parts })
    }

    fn most(&self) -> u32 {
        self.by_parts.last().copied().unwrap_or(0)
    }

    fn at<Op: Primitive>(&self, node: DenseNode<'_, Op>, is_met: impl Fn(usize) -> bool) -> u32 {
        if self.parts.len() > Self::FEW {
            return self.most();
        }
        let parts = self.parts.iter().enumerate();
        let bits = parts.map(|(bit, part)| usize::from(is_met(part.value_in(node))) << bit);
        self.by_parts[bits.sum::<usize>()]
    }
}

/// Adds up what it costs to go from values.
struct Counter<'a> {
    cones: Cones<'a>,
    weights: Weights,
}

impl<'a> Counter<'a> {
    fn new<Op: Primitive>(
        neighbours: &'a Lists,
        ways: &Ways<'a, '_, Op>,
        weights: Weights,
    ) -> Self {
        Self {
            cones: Cones::new(neighbours, &ways.influence.makers),
            weights,
        }
    }

    /// What it costs to go from these values together.
    fn step<Op: Primitive>(
        &mut self,
        function: &DenseGraph<Op>,
        from: impl IntoIterator<Item = u32>,
        within: impl Fn(u32) -> bool,
    ) -> u64 {
        self.cones.find(from, within);
        let costs = self.cones.operations.iter().map(|&id| {
            let weight = self.weights.of(id);
            let node = function.node(id);
            weight.map_or(0, |weight| {
                weight.at(node, |value| self.cones.is_met(value))
            })
        });
        costs.map(u64::from).sum()
    }
}

/// Both directions, or that which is open.
struct Race<'a> {
    backward: Option<Counter<'a>>,
    forward: Option<Counter<'a>>,
}

impl Race<'_> {
    /// What a plan costs; `None` if that is more than `most`, or it cannot be gone, or leads through more than `most`
    /// operations: one that costs nothing, as a sum with one tangent, takes time all the same.
    fn cost<Op: Primitive>(
        &mut self,
        ways: &Ways<'_, '_, Op>,
        plan: &Plan,
        most: u64,
    ) -> Option<u64> {
        let (mut cost, mut visits) = (0, 0);
        let mut within = |more: u64, counter: &Counter| {
            cost += more;
            visits += counter.cones.operations.len() as u64;
            (cost <= most && visits <= most).then_some(cost)
        };
        let mut sum = 0;
        let dense = ways.derivation.function.as_dense();
        for &row in &plan.rows {
            let backward = self.backward.as_mut()?;
            let step = backward.step(dense, [ways.output_of(row)], |_| true);
            // Each value but the output is reached by a cotangent, and all others are added to that.
            let first = backward.cones.values.len() as u64 - 1;
            sum = within(step.saturating_sub(first), backward)?;
        }
        if plan.columns.len() > 0 {
            let needed = ways.needed_beside(&plan.rows);
            for columns in plan.columns.iter() {
                let forward = self.forward.as_mut()?;
                let inputs = ways.inputs_of(columns);
                let step = forward.step(dense, inputs, |value| needed[value as usize]);
                sum = within(step, forward)?;
            }
        }
        Some(sum)
    }

    /// The costs of two plans, one for each direction, of which neither is counted for much longer than the other
    /// takes; `None` for what cannot be gone, or costs more than four times the other.
    fn run<Op: Primitive>(
        &mut self,
        ways: &Ways<'_, '_, Op>,
        rows: &Plan,
        columns: &Plan,
    ) -> (Option<u64>, Option<u64>) {
        let [is_backward, is_forward] = [self.backward.is_some(), self.forward.is_some()];
        let operations = ways.derivation.function.as_dense().operation_count() as u64;
        let mut most = match &self.backward {
            Some(backward) if is_forward => backward.weights.all() + operations + 1,
            _ => u64::MAX,
        };
        loop {
            let backward = is_backward.then(|| self.cost(ways, rows, most)).flatten();
            let forward = is_forward.then(|| self.cost(ways, columns, most)).flatten();
            if backward.is_some() || forward.is_some() {
                return (backward, forward);
            }
            most = most.saturating_mul(4);
        }
    }
}
