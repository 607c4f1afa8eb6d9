//! Ways to come by the entries of a sparse matrix, and what each costs.

use std::fmt::{self, Display};

use tidu_graph::DenseId;
use tidu_graph::text::counted;

use super::super::FunctionError;
use super::super::derivation::{Activity, Derivation, PushedCotangents};
use super::influence::{Cones, Influence};
use crate::cotangents::MaskedCotangent;
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
/// A cost is how many linear operations are put in, before equal ones are merged and others simplified. Rows and columns
/// are gone through only where they lead, so that columns that share no row together cost what each costs alone, and a
/// compressed Jacobian is never cheaper than the same columns one by one: an operation between an input and an output
/// is on the way of one column of a group at most.
///
/// Prints as a small table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SparseReceipt {
    /// The way that was gone.
    pub way: Way,
    /// What each way that was looked at costs. One that costs more than four times another may not have been counted to the end,
    /// and is not listed; nor are those by colours where a simple one is within twice what is least.
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
            write!(f, "\n  {:<16} {cost} operations", way.to_string())?;
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

/// By operation: how many linear operations it takes in a direction; an error if it cannot be gone in that.
type Weights = Result<Vec<u32>, FunctionError>;

impl<Op: Primitive> Ways<'_, '_, Op> {
    /// The entries, in the order of the pattern.
    pub fn write(mut self) -> Result<(Vec<DenseId>, SparseReceipt), FunctionError> {
        let users = self.influence.users();
        let (way, plan, costs) = self.choose(&users)?;
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
    fn choose(&mut self, users: &Lists) -> Result<(Way, Plan, Vec<(Way, u64)>), FunctionError> {
        let (reverse, forward) = self.weights();
        let mut plans = Vec::with_capacity(3);
        let mut race = Race::new(self.influence, users);
        let (rows, columns) = (self.by_rows(), self.by_columns());
        let outputs = self.outputs_of(&rows.rows);
        let inputs = self.inputs_of(&columns.columns.items);
        let (of_rows, of_columns) = race.run(&outputs, &reverse, &inputs, &forward);
        plans.extend(of_rows.map(|cost| (Way::Rows, cost, rows)));
        plans.extend(of_columns.map(|cost| (Way::Columns, cost, columns)));
        let simple = plans.iter().map(|(_, cost, _)| *cost).min();
        let Some(simple) = simple else {
            return Err(reverse
                .err()
                .or(forward.err())
                .expect("one direction fails"));
        };
        if let Ok(forward) = &forward {
            let all: u64 = forward.iter().map(|&weight| u64::from(weight)).sum();
            if simple > 2 * (all + self.pattern.len() as u64) {
                if let Some(whole) = self.whole {
                    let coloring = Coloring::star(whole, Order::BEST)?;
                    let cost = all * coloring.group_count() as u64;
                    plans.push((Way::Star, cost, self.by_colors(whole, &coloring)));
                } else if let Ok(reverse) = &reverse {
                    let plan = self.by_rows_and_columns()?;
                    let outputs = self.outputs_of(&plan.rows);
                    let inputs = self.inputs_of(&plan.columns.items);
                    let cost = race
                        .backward
                        .cost(&outputs, reverse, simple)
                        .and_then(|cost| Some(cost + race.forward.cost(&inputs, forward, simple)?));
                    plans.extend(cost.map(|cost| (Way::RowsAndColumns, cost, plan)));
                }
            }
        }
        let costs = plans.iter().map(|(way, cost, _)| (*way, *cost)).collect();
        let cheapest = plans.into_iter().min_by_key(|(_, cost, _)| *cost);
        let (way, _, plan) = cheapest.expect("some way is open");
        Ok((way, plan, costs))
    }

    fn weights(&mut self) -> (Weights, Weights) {
        let derivatives: Vec<Option<u32>> = self.activity.derivatives().collect();
        let derivation = &mut *self.derivation;
        (
            by_operation(&derivatives, |at| derivation.reverse_weight(at)),
            by_operation(&derivatives, |at| derivation.forward_weight(at)),
        )
    }

    fn outputs_of(&self, rows: &[usize]) -> Vec<u32> {
        let outputs = self.derivation.function.as_dense().outputs();
        rows.iter()
            .map(|&row| outputs[row].index() as u32)
            .collect()
    }

    fn inputs_of(&self, columns: &[u32]) -> Vec<u32> {
        let wrt = self.derivation.wrt;
        columns
            .iter()
            .map(|&column| wrt[column as usize] as u32)
            .collect()
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
            cones.find([output as u32]);
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
        let mut cones = Cones::new(users, &self.influence.makers);
        let mut tangents = vec![None; dense.value_count()];
        for (product, columns) in plan.columns.iter().enumerate() {
            let inputs = self.inputs_of(columns);
            for &input in &inputs {
                let input = input as usize;
                let basis = self.derivation.basis_of_input(input, &names[input])?;
                tangents[input] = Some(basis.vectors()[0]);
            }
            cones.find(inputs);
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
        }
        Ok(())
    }
}

/// The weights of all operations, of which those with the same derivative are asked for once.
fn by_operation(
    derivatives: &[Option<u32>],
    mut weight: impl FnMut(usize) -> Result<u32, FunctionError>,
) -> Weights {
    let mut known: Vec<Option<u32>> = Vec::new();
    let weights = derivatives.iter().map(|at| {
        let Some(at) = at.map(|at| at as usize) else {
            return Ok(0);
        };
        if known.len() <= at {
            known.resize(at + 1, None);
        }
        let found = match known[at] {
            Some(known) => known,
            None => weight(at)?,
        };
        known[at] = Some(found);
        Ok(found)
    });
    weights.collect()
}

/// Adds up what it costs to go from values one after another, each for itself.
struct Counter<'a> {
    cones: Cones<'a>,
}

impl Counter<'_> {
    /// What it costs; `None` if that is more than `most`.
    fn cost(&mut self, from: &[u32], weights: &[u32], most: u64) -> Option<u64> {
        let mut cost = 0;
        for &value in from {
            // To look at an operation that costs nothing takes time, too.
            cost += self.step(value, weights);
            if cost > most {
                return None;
            }
        }
        Some(cost)
    }

    fn step(&mut self, value: u32, weights: &[u32]) -> u64 {
        self.cones.find([value]);
        let operations = self.cones.operations.iter();
        operations.map(|id| u64::from(weights[id.index()])).sum()
    }
}

/// Both directions, of which neither is counted for much longer than the other takes.
struct Race<'a> {
    backward: Counter<'a>,
    forward: Counter<'a>,
}

impl<'a> Race<'a> {
    fn new(influence: &'a Influence, users: &'a Lists) -> Self {
        let counter = |neighbours| Counter {
            cones: Cones::new(neighbours, &influence.makers),
        };
        Self {
            backward: counter(&influence.sources),
            forward: counter(users),
        }
    }

    /// The cost of going back from these outputs and of going forward from these inputs; `None` for what cannot be gone, or
    /// costs more than four times the other.
    fn run(
        &mut self,
        outputs: &[u32],
        reverse: &Weights,
        inputs: &[u32],
        forward: &Weights,
    ) -> (Option<u64>, Option<u64>) {
        let (Ok(reverse_weights), Ok(forward_weights)) = (reverse, forward) else {
            let backward = reverse.as_ref().ok();
            let backward =
                backward.and_then(|weights| self.backward.cost(outputs, weights, u64::MAX));
            let forward = forward.as_ref().ok();
            let forward = forward.and_then(|weights| self.forward.cost(inputs, weights, u64::MAX));
            return (backward, forward);
        };
        let mut most = reverse_weights
            .iter()
            .map(|&weight| u64::from(weight))
            .sum::<u64>()
            + 1;
        loop {
            let backward = self.backward.cost(outputs, reverse_weights, most);
            let forward = self.forward.cost(inputs, forward_weights, most);
            if backward.is_some() || forward.is_some() {
                return (backward, forward);
            }
            most *= 4;
        }
    }
}
