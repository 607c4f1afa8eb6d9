//! How the entries of a matrix are read from compressed products.

use crate::sparse::lists::Lists;

/// How the entries of a matrix are read from its compressed products, as steps to be taken in order.
///
/// Each [`Step`] gives one entry, or two that symmetry makes equal:
///
/// entry = product\[group\]\[position\] − Σ terms,
///
/// terms being entries that earlier steps have given. In *direct* recovery there are none, and the steps are in the order of
/// the entries; in recovery by *substitution* each edge is a term at most once, so that there are fewer subtractions than
/// entries.
///
/// # Example
///
/// ```
/// use tidu_ad::sparse::{Coloring, Order, Pattern};
///
/// // H = [2 5 0; 5 3 7; 0 7 4], a chain, which two products give by substitution.
/// let entries = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)];
/// let pattern = Pattern::from_entries(3, 3, entries)?;
/// let coloring = Coloring::acyclic(&pattern, &[Order::Natural])?;
/// assert_eq!(coloring.group(0).members, [0, 2]);
/// assert_eq!(coloring.group(1).members, [1]);
///
/// // H·(e₀ + e₂) and H·e₁.
/// let products = [[2.0, 12.0, 4.0], [5.0, 3.0, 7.0]];
/// let mut values = [0.0; 7];
/// for step in coloring.recovery().steps() {
///     let known: f64 = step.terms.iter().map(|&term| values[term as usize]).sum();
///     let value = products[step.group][step.position] - known;
///     values[step.entry] = value;
///     if let Some(mirror) = step.mirror {
///         values[mirror] = value;
///     }
/// }
/// assert_eq!(values, [2.0, 5.0, 5.0, 3.0, 7.0, 7.0, 4.0]);
/// # Ok::<(), tidu_ad::sparse::SparsityError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    pub(super) entries: Vec<u32>,
    /// Empty if there is no symmetry; otherwise by step, the entry itself if it is on the diagonal.
    pub(super) mirrors: Vec<u32>,
    pub(super) groups: Vec<u32>,
    pub(super) positions: Vec<u32>,
    pub(super) terms: Lists,
}

/// One step of a [`Recovery`]: entry = product\[group\]\[position\] − Σ terms. The example of
/// [`Recovery`] takes all steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step<'a> {
    /// The position of the entry in the pattern; of a symmetric pattern, that on or below the diagonal.
    pub entry: usize,
    /// The entry on the other side of the diagonal, which has the same value.
    pub mirror: Option<usize>,
    /// The group whose product is read.
    pub group: usize,
    /// Where it is read: a row of J·s, a column of Jᵀ·s.
    pub position: usize,
    /// Entries that are subtracted, each known from an earlier step.
    pub terms: &'a [u32],
}

impl Recovery {
    /// The steps, each after those whose entries are its terms.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = Step<'_>> {
        (0..self.entries.len()).map(|step| self.step(step))
    }

    /// The number of steps: of entries, or for a symmetric pattern, of those on and below the diagonal.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing to recover.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of subtractions.
    pub fn term_count(&self) -> usize {
        self.terms.items.len()
    }

    /// Whether each entry is read as it is.
    pub fn is_direct(&self) -> bool {
        self.terms.items.is_empty()
    }

    /// Direct steps in the order of the entries, of which the pattern has this many; others as they are.
    pub(super) fn in_order(mut self, entry_count: usize) -> Self {
        if self.is_direct() {
            let order = Lists::by_key(&self.entries, entry_count).items;
            let lists = [
                &mut self.entries,
                &mut self.mirrors,
                &mut self.groups,
                &mut self.positions,
            ];
            for list in lists.into_iter().filter(|list| !list.is_empty()) {
                *list = order.iter().map(|&step| list[step as usize]).collect();
            }
        }
        self
    }

    fn step(&self, step: usize) -> Step<'_> {
        let entry = self.entries[step] as usize;
        let mirror = self.mirrors.get(step).map(|&mirror| mirror as usize);
        Step {
            entry,
            mirror: mirror.filter(|&mirror| mirror != entry),
            group: self.groups[step] as usize,
            position: self.positions[step] as usize,
            terms: self.terms.get(step),
        }
    }
}
