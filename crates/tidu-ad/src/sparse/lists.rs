//! Many lists of indices in two arrays.

/// Lists, one after the other in an array, and where each starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lists {
    /// One more than there are lists: the last is where all end.
    pub starts: Vec<u32>,
    pub items: Vec<u32>,
}

impl Lists {
    /// The positions of `keys` by key, each list in ascending order: a counting sort. Each key is below `count`, and
    /// there are at most `u32::MAX` of them.
    pub fn by_key(keys: &[u32], count: usize) -> Self {
        let mut starts = vec![0; count + 1];
        for &key in keys {
            starts[key as usize + 1] += 1;
        }
        for list in 0..count {
            starts[list + 1] += starts[list];
        }
        let mut items = vec![0; keys.len()];
        let mut ends = starts.clone();
        for (position, &key) in (0..).zip(keys) {
            let end = &mut ends[key as usize];
            items[*end as usize] = position;
            *end += 1;
        }
        Self { starts, items }
    }

    /// This many lists without items.
    pub fn empty(count: usize) -> Self {
        Self {
            starts: vec![0; count + 1],
            items: Vec::new(),
        }
    }

    /// No list, and room for this many.
    pub fn with_capacity(count: usize) -> Self {
        let mut starts = Vec::with_capacity(count + 1);
        starts.push(0);
        Self {
            starts,
            items: Vec::new(),
        }
    }

    /// Ends the list of all items that were pushed since the last one ended.
    pub fn end_list(&mut self) {
        self.starts.push(self.items.len() as u32);
    }

    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn range(&self, list: usize) -> std::ops::Range<usize> {
        self.starts[list] as usize..self.starts[list + 1] as usize
    }

    pub fn get(&self, list: usize) -> &[u32] {
        &self.items[self.range(list)]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|list| self.get(list))
    }
}
