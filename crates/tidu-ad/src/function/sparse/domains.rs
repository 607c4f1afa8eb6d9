//! On which inputs values depend.
//!
//! Sets of few inputs are handed on from value to value, each distinct one kept once. What depends on more is found going
//! back from the values that are asked for, some of them at a time, each of these being a bit.

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
const BLOCK: usize = 256;

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

/// By value of `asked`: the set of those inputs that it depends on, as `numbers` counts them, by value.
///
/// # Complexity
///
/// Linear in the links; for values that depend on more than a few inputs, once for each block of 256 of them, in the
/// links that lead to these.
pub(super) fn domains(sources: &Lists, numbers: &[Option<u32>], asked: &[u32]) -> (Sets, Vec<u32>) {
    let mut sets = Sets::new();
    let of_value = small_sets(sources, numbers, &mut sets);
    let mut found: Vec<u32> = asked
        .iter()
        .map(|&value| of_value[value as usize])
        .collect();
    let large = (0..asked.len()).filter(|&at| found[at] == LARGE);
    let large: Vec<usize> = large.collect();
    if !large.is_empty() {
        let mut search = Search::new(sources, &of_value);
        for block in large.chunks(BLOCK) {
            let values: Vec<u32> = block.iter().map(|&at| asked[at]).collect();
            for (&at, members) in block.iter().zip(search.block(&values, &sets)) {
                found[at] = sets.intern(&members);
            }
        }
    }
    (sets, found)
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

    /// By value, of at most a block of them: the inputs that it depends on.
    fn block(&mut self, values: &[u32], sets: &Sets) -> Vec<Vec<u32>> {
        self.meet_all(values);
        for (at, &value) in values.iter().enumerate() {
            let bits = &mut self.bits[self.place[value as usize] as usize];
            bits[at / 64] |= 1 << (at % 64);
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
        let mut found = vec![Vec::new(); values.len()];
        self.inputs.sort_unstable();
        for &input in &self.inputs {
            let bits = std::mem::take(&mut self.of_input[input as usize]);
            let all = bits
                .iter()
                .enumerate()
                .flat_map(|(word, &bits)| ones(bits).map(move |bit| 64 * word + bit));
            all.for_each(|at| found[at].push(input));
        }
        self.inputs.clear();
        for value in self.met.drain(..) {
            self.place[value as usize] = NOT_MET;
        }
        self.bits.clear();
        found
    }

    /// Meets the values with large sets that these are made of, the last first.
    fn meet_all(&mut self, values: &[u32]) {
        let mut meet = |value: u32, met: &mut Vec<u32>| {
            if std::mem::replace(&mut self.place[value as usize], 0) == NOT_MET {
                met.push(value);
            }
        };
        values.iter().for_each(|&value| meet(value, &mut self.met));
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

/// The positions of the bits that are one.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lowest
    })
}
