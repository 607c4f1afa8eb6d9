//! On which inputs values depend.
//!
//! Sets of few inputs are handed on from value to value, each distinct one kept once. What depends on more is found
//! going back from the values that are asked for, some of them at a time, each of these being a bit.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::sparse::lists::Lists;

/// Sets of numbers, each distinct one once, in ascending order.
pub(super) struct Sets {
    lists: Lists,
    index: HashTable<u32>,
}

/// A set of at most this many inputs is handed on.
const FEW: usize = 32;

/// In place of a set that is larger.
const LARGE: u32 = u32::MAX;

/// A set of the values that are asked for at a time.
type Bits = [u64; 4];

/// How many those are.
pub(super) const BLOCK: usize = 256;

impl Sets {
    pub const EMPTY: u32 = 0;

    fn new() -> Self {
        let mut sets = Self {
            lists: Lists::with_capacity(0),
            index: HashTable::new(),
        };
        sets.intern(&[]);
        sets
    }

    pub fn get(&self, set: u32) -> &[u32] {
        self.lists.get(set as usize)
    }

    fn intern(&mut self, members: &[u32]) -> u32 {
        let state = FixedState::default();
        let lists = &self.lists;
        let hash = state.hash_one(members);
        let same = |&set: &u32| lists.get(set as usize) == members;
        if let Some(&known) = self.index.find(hash, same) {
            return known;
        }
        let set = lists.len() as u32;
        self.lists.items.extend_from_slice(members);
        self.lists.end_list();
        let lists = &self.lists;
        let again = |&set: &u32| state.hash_one(lists.get(set as usize));
        self.index.insert_unique(hash, set, again);
        set
    }

    /// The union of two sets that are not large; `scratch` is memory.
    fn union(&mut self, one: u32, other: u32, scratch: &mut Vec<u32>) -> u32 {
        if one == other || other == Self::EMPTY {
            return one;
        }
        if one == Self::EMPTY {
            return other;
        }
        let [mut a, mut b] = [self.get(one), self.get(other)];
        let lengths = [a.len(), b.len()];
        scratch.clear();
        while let ([x, rest_of_a @ ..], [y, rest_of_b @ ..]) = (a, b) {
            scratch.push(*x.min(y));
            if x <= y {
                a = rest_of_a;
            }
            if y <= x {
                b = rest_of_b;
            }
        }
        scratch.extend_from_slice(a);
        scratch.extend_from_slice(b);
        match scratch.len() {
            length if length == lengths[0] => one,
            length if length == lengths[1] => other,
            length if length > FEW => LARGE,
            _ => self.intern(scratch),
        }
    }
}

/// On which of some inputs values depend.
pub(super) struct Domains<'a> {
    pub sets: Sets,
    sources: &'a Lists,
    /// By value: its set, or [`LARGE`].
    of_value: Vec<u32>,
}

impl<'a> Domains<'a> {
    /// Hands small sets on, of inputs as `numbers` counts them, by value.
    ///
    /// # Complexity
    ///
    /// Linear in the links.
    pub fn new(sources: &'a Lists, numbers: &[Option<u32>]) -> Self {
        let mut sets = Sets::new();
        let of_value = small_sets(sources, numbers, &mut sets);
        Self {
            sets,
            sources,
            of_value,
        }
    }

    /// The number of these values whose sets are not known yet.
    pub fn large_among(&self, values: &[u32]) -> usize {
        values.iter().filter(|&&value| self.is_large(value)).count()
    }

    /// By value of these: how many inputs it depends on; `large` in place of what is not known yet.
    pub fn known_sizes(&self, values: &[u32], large: u64) -> Vec<u64> {
        let size = |&value: &u32| match self.of_value[value as usize] {
            LARGE => large,
            set => self.sets.get(set).len() as u64,
        };
        values.iter().map(size).collect()
    }

    /// By value of these: how many inputs it depends on, found without any memory for these; `None` as soon as that is
    /// more than `most` together.
    ///
    /// # Complexity
    ///
    /// That of [`find`](Self::find).
    pub fn sizes(&self, values: &[u32], most: u64) -> Option<Vec<u64>> {
        let mut sizes = self.known_sizes(values, 0);
        let mut sum: u64 = sizes.iter().sum();
        let large = self.positions_of_large(values);
        let mut search = Search::new(self.sources, &self.of_value);
        for block in large.chunks(BLOCK) {
            search.block(values, block, &self.sets, |at, _| {
                sizes[block[at]] += 1;
                sum += 1;
            });
            if sum > most {
                return None;
            }
        }
        (sum <= most).then_some(sizes)
    }

    /// By value of these: its set.
    ///
    /// # Complexity
    ///
    /// Linear in those that depend on a few inputs; for others, once for each block of 256 of them, in the links that
    /// lead to these.
    pub fn find(&mut self, values: &[u32]) -> Vec<u32> {
        let mut found: Vec<u32> = values
            .iter()
            .map(|&value| self.of_value[value as usize])
            .collect();
        let large = self.positions_of_large(values);
        let mut search = Search::new(self.sources, &self.of_value);
        for block in large.chunks(BLOCK) {
            let mut members = vec![Vec::new(); block.len()];
            search.block(values, block, &self.sets, |at, input| {
                members[at].push(input);
            });
            for (&at, members) in block.iter().zip(members) {
                found[at] = self.sets.intern(&members);
            }
        }
        found
    }

    fn is_large(&self, value: u32) -> bool {
        self.of_value[value as usize] == LARGE
    }

    fn positions_of_large(&self, values: &[u32]) -> Vec<usize> {
        let large = (0..values.len()).filter(|&at| self.is_large(values[at]));
        large.collect()
    }
}

/// Both ways of pairs of values meet inputs, as rows of a symmetric pattern: members of sets with members of sets.
/// `None` for more than `u32::MAX` entries.
///
/// # Complexity
///
/// Linear in the products of the sizes of sets that meet, and sorting; memory for the entries.
pub(super) fn meet_sets(sets: &Sets, meetings: &[[u32; 2]], size: usize) -> Option<Lists> {
    let both_ways = || {
        meetings.iter().flat_map(|&[a, b]| {
            let mirrored = (a != b).then_some([b, a]);
            std::iter::once([a, b]).chain(mirrored)
        })
    };
    // By row: the sets that it meets.
    let mut starts = vec![0_usize; size + 1];
    for [a, _] in both_ways() {
        sets.get(a)
            .iter()
            .for_each(|&row| starts[row as usize + 1] += 1);
    }
    for row in 0..size {
        starts[row + 1] += starts[row];
    }
    let mut partners = vec![Sets::EMPTY; starts[size]];
    let mut ends = starts.clone();
    for [a, b] in both_ways() {
        for &row in sets.get(a) {
            partners[ends[row as usize]] = b;
            ends[row as usize] += 1;
        }
    }
    let mut rows = Lists::with_capacity(size);
    let mut is_met_by = vec![NOT_MET; size];
    for row in 0..size {
        let first = rows.items.len();
        for &partner in &partners[starts[row]..starts[row + 1]] {
            for &column in sets.get(partner) {
                let met = &mut is_met_by[column as usize];
                if std::mem::replace(met, row as u32) != row as u32 {
                    rows.items.push(column);
                }
            }
        }
        rows.items[first..].sort_unstable();
        u32::try_from(rows.items.len()).ok()?;
        rows.end_list();
    }
    Some(rows)
}

/// The same of pairs of values whose sets are large, without these: forward from a block of inputs, across the pairs,
/// and back.
///
/// # Complexity
///
/// For each 256 inputs, linear in links and pairs; twice, if there might be too many entries.
pub(super) fn meet_blocks(sources: &Lists, inputs: &[usize], pairs: &[[u32; 2]]) -> Option<Lists> {
    let size = inputs.len();
    let most = u64::from(u32::MAX);
    let mut crossing = Crossing::new(sources, inputs, pairs);
    if size as u64 * size as u64 > most {
        let mut count = 0;
        for first in (0..size).step_by(BLOCK) {
            crossing.run(first);
            let bits = inputs.iter().flat_map(|&input| crossing.across[input]);
            count += bits.map(|bits| u64::from(bits.count_ones())).sum::<u64>();
            if count > most {
                return None;
            }
        }
    }
    let mut rows = Lists::with_capacity(size);
    for first in (0..size).step_by(BLOCK) {
        crossing.run(first);
        let mut columns = vec![Vec::new(); BLOCK.min(size - first)];
        for (column, &input) in (0..).zip(inputs) {
            positions_of_ones(&crossing.across[input]).for_each(|row| columns[row].push(column));
        }
        for columns in columns {
            rows.items.extend(columns);
            rows.end_list();
        }
    }
    Some(rows)
}

/// Goes from inputs over pairs of values to other inputs.
struct Crossing<'a> {
    sources: &'a Lists,
    inputs: &'a [usize],
    pairs: &'a [[u32; 2]],
    /// By value: which inputs of a block it depends on.
    before: Vec<Bits>,
    /// By value: which of them meet something that depends on it.
    across: Vec<Bits>,
}

impl<'a> Crossing<'a> {
    fn new(sources: &'a Lists, inputs: &'a [usize], pairs: &'a [[u32; 2]]) -> Self {
        Self {
            sources,
            inputs,
            pairs,
            before: vec![Bits::default(); sources.len()],
            across: vec![Bits::default(); sources.len()],
        }
    }

    /// From a block of inputs that starts here.
    fn run(&mut self, first: usize) {
        self.before.fill(Bits::default());
        self.across.fill(Bits::default());
        for (at, &input) in self.inputs[first..].iter().take(BLOCK).enumerate() {
            self.before[input][at / 64] |= 1 << (at % 64);
        }
        for value in 0..self.sources.len() {
            for &source in self.sources.get(value) {
                let bits = self.before[source as usize];
                unite(&mut self.before[value], bits);
            }
        }
        for pair in self.pairs {
            let [a, b] = pair.map(|value| value as usize);
            unite(&mut self.across[b], self.before[a]);
            unite(&mut self.across[a], self.before[b]);
        }
        for value in (0..self.sources.len()).rev() {
            let bits = self.across[value];
            for &source in self.sources.get(value) {
                unite(&mut self.across[source as usize], bits);
            }
        }
    }
}

/// By value: its set, or [`LARGE`].
fn small_sets(sources: &Lists, numbers: &[Option<u32>], sets: &mut Sets) -> Vec<u32> {
    let mut of_value: Vec<u32> = Vec::with_capacity(sources.len());
    let mut scratch = Vec::new();
    for (value, number) in numbers.iter().enumerate() {
        let set = match number {
            Some(number) => sets.intern(&[*number]),
            None => {
                let mut of_sources = sources.get(value).iter();
                let of_sources = of_sources.try_fold(Sets::EMPTY, |so_far, &source| {
                    let set = of_value[source as usize];
                    let union = if set == LARGE {
                        LARGE
                    } else {
                        sets.union(so_far, set, &mut scratch)
                    };
                    (union != LARGE).then_some(union)
                });
                of_sources.unwrap_or(LARGE)
            }
        };
        of_value.push(set);
    }
    of_value
}

/// A search for the inputs of values whose sets are large.
struct Search<'a> {
    sources: &'a Lists,
    of_value: &'a [u32],
    /// By value: its place among those that were met, if it is one of them.
    place: Vec<u32>,
    met: Vec<u32>,
    /// By place: which of the values that are asked for depend on it.
    bits: Vec<Bits>,
    /// By input, the same.
    of_input: Vec<Bits>,
    inputs: Vec<u32>,
}

const NOT_MET: u32 = u32::MAX;

impl<'a> Search<'a> {
    fn new(sources: &'a Lists, of_value: &'a [u32]) -> Self {
        Self {
            sources,
            of_value,
            place: vec![NOT_MET; sources.len()],
            met: Vec::new(),
            bits: Vec::new(),
            of_input: Vec::new(),
            inputs: Vec::new(),
        }
    }

    /// Of at most a block of values, given by their positions among more: tells each input that one depends on, in
    /// ascending order, with its place in the block.
    fn block(
        &mut self,
        all: &[u32],
        positions: &[usize],
        sets: &Sets,
        mut tell: impl FnMut(usize, u32),
    ) {
        self.meet_all(positions.iter().map(|&at| all[at]));
        for (at, &position) in positions.iter().enumerate() {
            let place = self.place[all[position] as usize];
            self.bits[place as usize][at / 64] |= 1 << (at % 64);
        }
        for at in 0..self.met.len() {
            let bits = self.bits[at];
            for &source in self.sources.get(self.met[at] as usize) {
                match self.of_value[source as usize] {
                    LARGE => unite(&mut self.bits[self.place[source as usize] as usize], bits),
                    set => self.reach_inputs(sets.get(set), bits),
                }
            }
        }
        self.inputs.sort_unstable();
        for &input in &self.inputs {
            let bits = std::mem::take(&mut self.of_input[input as usize]);
            positions_of_ones(&bits).for_each(|at| tell(at, input));
        }
        self.inputs.clear();
        for value in self.met.drain(..) {
            self.place[value as usize] = NOT_MET;
        }
        self.bits.clear();
    }

    /// Meets the values with large sets that these are made of, the last first.
    fn meet_all(&mut self, values: impl Iterator<Item = u32>) {
        let mut meet = |value: u32, met: &mut Vec<u32>| {
            if std::mem::replace(&mut self.place[value as usize], 0) == NOT_MET {
                met.push(value);
            }
        };
        values.for_each(|value| meet(value, &mut self.met));
        let mut next = 0;
        while let Some(&value) = self.met.get(next) {
            next += 1;
            for &source in self.sources.get(value as usize) {
                if self.of_value[source as usize] == LARGE {
                    meet(source, &mut self.met);
                }
            }
        }
        self.met.sort_unstable_by(|a, b| b.cmp(a));
        for (place, &value) in (0..).zip(&self.met) {
            self.place[value as usize] = place;
        }
        self.bits.resize(self.met.len(), Bits::default());
    }

    fn reach_inputs(&mut self, inputs: &[u32], bits: Bits) {
        for &input in inputs {
            if self.of_input.len() <= input as usize {
                self.of_input.resize(input as usize + 1, Bits::default());
            }
            let known = &mut self.of_input[input as usize];
            if *known == Bits::default() {
                self.inputs.push(input);
            }
            unite(known, bits);
        }
    }
}

fn unite(known: &mut Bits, more: Bits) {
    for (known, more) in known.iter_mut().zip(more) {
        *known |= more;
    }
}

fn positions_of_ones(bits: &Bits) -> impl Iterator<Item = usize> {
    let words = bits.iter().enumerate();
    words.flat_map(|(word, &bits)| ones(bits).map(move |bit| 64 * word + bit))
}

/// The positions of the bits that are one.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lowest
    })
}
