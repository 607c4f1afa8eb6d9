//! Cotangents that meet: the one accumulator behind every way to go backward.

use std::ops::Range;

use crate::walk::Symbolic;

/// What is known beforehand of the cotangent of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seed {
    /// It is zero: there is none.
    Zero,
    /// It may be anything.
    Full,
    /// It has a mask, by which it has been kept or not.
    Masked {
        /// Whether it has been.
        is_kept: bool,
    },
}

impl Seed {
    /// Whether there is a cotangent.
    pub const fn is_there(self) -> bool {
        !matches!(self, Self::Zero)
    }

    /// Whether it has a mask.
    pub const fn is_masked(self) -> bool {
        matches!(self, Self::Masked { .. })
    }
}

/// How cotangents are added: in a graph that is being made, or as numbers.
pub trait CotangentSum {
    /// A cotangent.
    type Value: Clone;
    /// Where a cotangent may be other than zero; two that are equal say the same.
    type Mask: Clone + PartialEq;
    /// What can go wrong.
    type Error;

    /// The sum of two cotangents.
    ///
    /// # Errors
    ///
    /// What can go wrong.
    fn add(&mut self, terms: [&Self::Value; 2]) -> Result<Self::Value, Self::Error>;

    /// A cotangent where a mask says that it may be other than zero, and zero elsewhere.
    ///
    /// # Errors
    ///
    /// What can go wrong.
    fn keep(&mut self, value: &Self::Value, mask: &Self::Mask) -> Result<Self::Value, Self::Error>;

    /// Where either of two masks says so.
    ///
    /// # Errors
    ///
    /// What can go wrong.
    fn either(&mut self, masks: [&Self::Mask; 2]) -> Result<Self::Mask, Self::Error>;
}

/// Where a cotangent may be other than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CotangentMask<Mask> {
    /// The mask.
    pub mask: Mask,
    /// Whether the cotangent is in fact zero elsewhere. After a product with a coefficient it need not be: that may be
    /// a NaN.
    pub is_kept: bool,
}

/// A cotangent, and where it may be other than zero, if that is known.
#[derive(Clone, Copy, Debug)]
pub struct MaskedCotangent<Value, Mask> {
    /// The cotangent.
    pub value: Value,
    /// Where it may be other than zero.
    pub mask: Option<CotangentMask<Mask>>,
}

/// The cotangents of numbered values, as far as they have been added up; `None` for a symbolic zero.
#[derive(Debug)]
pub struct Cotangents<Value, Mask> {
    values: Vec<Option<Value>>,
    /// By value, as far as the last one that has a mask; empty where nothing is selected.
    masks: Vec<Option<CotangentMask<Mask>>>,
}

impl<Value: Clone, Mask: Clone + PartialEq> Cotangents<Value, Mask> {
    /// Symbolic zeros, in the memory of a list of which nothing is left but `None`.
    pub fn new(values: usize, mut list: Vec<Option<Value>>) -> Self {
        list.resize_with(values, || None);
        Self {
            values: list,
            masks: Vec::new(),
        }
    }

    /// The list.
    pub fn into_values(self) -> Vec<Option<Value>> {
        self.values
    }

    /// How many values there are.
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The one door by which a cotangent reaches a value, be it a seed or what a rule makes.
    ///
    /// # Errors
    ///
    /// What `sum` returns.
    #[inline(always)]
    pub fn add<S: CotangentSum<Value = Value, Mask = Mask>>(
        &mut self,
        to: usize,
        new: Value,
        mask: Option<CotangentMask<Mask>>,
        sum: &mut S,
    ) -> Result<(), S::Error> {
        if mask.is_some() || self.has_masks() {
            self.add_masked(to, MaskedCotangent { value: new, mask }, sum)
        } else {
            self.add_plain(to, new, sum)
        }
    }

    /// [`add`](Self::add) where nothing has a mask ([`has_masks`](Self::has_masks)), for those who know.
    ///
    /// # Errors
    ///
    /// What `sum` returns.
    #[inline(always)]
    pub fn add_plain<S: CotangentSum<Value = Value, Mask = Mask>>(
        &mut self,
        to: usize,
        new: Value,
        sum: &mut S,
    ) -> Result<(), S::Error> {
        match &mut self.values[to] {
            Some(so_far) => *so_far = sum.add([so_far, &new])?,
            place => *place = Some(new),
        }
        Ok(())
    }

    /// [`add`](Self::add) where some cotangent has a mask.
    #[cold]
    fn add_masked<S: CotangentSum<Value = Value, Mask = Mask>>(
        &mut self,
        to: usize,
        new: MaskedCotangent<Value, Mask>,
        sum: &mut S,
    ) -> Result<(), S::Error> {
        let added = match self.get(to) {
            None => new,
            Some(so_far) => {
                let mut terms = [Some(so_far), Some(new)];
                let mask = meet(&mut terms, sum)?;
                let [Some(one), Some(other)] = &terms else {
                    unreachable!("two terms were given");
                };
                let value = sum.add([&one.value, &other.value])?;
                MaskedCotangent { value, mask }
            }
        };
        self.set(to, added);
        Ok(())
    }

    /// The cotangent of a value.
    pub fn get(&self, of: usize) -> Option<MaskedCotangent<Value, Mask>> {
        let value = self.values[of].clone()?;
        let mask = self.mask(of).cloned();
        Some(MaskedCotangent { value, mask })
    }

    /// The cotangent of a value, without its mask.
    #[inline]
    pub fn value(&self, of: usize) -> Option<&Value> {
        self.values[of].as_ref()
    }

    /// The cotangents of some values, without their masks.
    #[inline]
    pub fn values(&self, of: Range<usize>) -> &[Option<Value>] {
        &self.values[of]
    }

    /// The mask of a value's cotangent.
    pub fn mask(&self, of: usize) -> Option<&CotangentMask<Mask>> {
        self.masks.get(of).and_then(Option::as_ref)
    }

    /// Whether some cotangent has, or had, a mask.
    #[inline]
    pub fn has_masks(&self) -> bool {
        !self.masks.is_empty()
    }

    /// Replaces the cotangent of a value.
    pub fn set(&mut self, of: usize, cotangent: MaskedCotangent<Value, Mask>) {
        let MaskedCotangent { value, mask } = cotangent;
        self.values[of] = Some(value);
        if mask.is_some() && self.masks.len() <= of {
            self.masks.resize(of + 1, None);
        }
        if let Some(place) = self.masks.get_mut(of) {
            *place = mask;
        }
    }

    /// The cotangent of a value, of which nobody will ask again.
    #[inline]
    pub fn take(&mut self, of: usize) -> Option<Value> {
        self.values[of].take()
    }

    /// The mask of a value's cotangent, of which nobody will ask again.
    pub fn take_mask(&mut self, of: usize) -> Option<CotangentMask<Mask>> {
        self.masks.get_mut(of).and_then(Option::take)
    }

    /// What is known of the cotangents of some values.
    pub fn seeds(&self, of: Range<usize>) -> impl Iterator<Item = Seed> {
        of.map(|of| match (&self.values[of], self.mask(of)) {
            (None, _) => Seed::Zero,
            (Some(_), None) => Seed::Full,
            (Some(_), Some(mask)) => Seed::Masked {
                is_kept: mask.is_kept,
            },
        })
    }

    /// Has this many values, the last of which, if they are more than before, have symbolic zeros.
    pub fn resize(&mut self, values: usize) {
        self.values.resize_with(values, || None);
        self.masks.truncate(values);
    }
}

impl<Value, Mask> Symbolic for Cotangents<Value, Mask> {
    #[inline]
    fn is_zero(&self, value: usize) -> bool {
        self.values[value].is_none()
    }
}

/// The mask that cotangents have in common. Where they have different ones, each is kept by its own:
/// what is none of one's business may be a NaN in the other.
pub(crate) fn meet<S: CotangentSum>(
    cotangents: &mut [Option<MaskedCotangent<S::Value, S::Mask>>],
    sum: &mut S,
) -> Result<Option<CotangentMask<S::Mask>>, S::Error> {
    let there = cotangents.iter().flatten();
    let mut masks = there.clone().map(|cotangent| cotangent.mask.as_ref());
    let first = masks.next().flatten();
    let is_same = |mask: Option<&CotangentMask<S::Mask>>| {
        mask.map(|mask| &mask.mask) == first.map(|first| &first.mask)
    };
    if masks.all(is_same) {
        let mut masks = there.filter_map(|cotangent| cotangent.mask.as_ref());
        let is_kept = masks.clone().all(|mask| mask.is_kept);
        let mask = masks.next().map(|mask| mask.mask.clone());
        return Ok(mask.map(|mask| CotangentMask { mask, is_kept }));
    }
    let masks = there.map(|cotangent| cotangent.mask.clone());
    let union = match masks.collect::<Option<Vec<_>>>() {
        None => None,
        Some(masks) => {
            let mut masks = masks.into_iter().map(|mask| mask.mask);
            let mut union = masks.next();
            for mask in masks {
                union = match union {
                    Some(known) if known != mask => Some(sum.either([&known, &mask])?),
                    known => known,
                };
            }
            union
        }
    };
    for cotangent in cotangents.iter_mut().flatten() {
        keep(cotangent, sum)?;
    }
    Ok(union.map(|mask| CotangentMask {
        mask,
        is_kept: true,
    }))
}

/// Has a cotangent be zero where its mask says so.
pub(crate) fn keep<S: CotangentSum>(
    cotangent: &mut MaskedCotangent<S::Value, S::Mask>,
    sum: &mut S,
) -> Result<(), S::Error> {
    if let Some(mask) = cotangent.mask.as_mut().filter(|mask| !mask.is_kept) {
        cotangent.value = sum.keep(&cotangent.value, &mask.mask)?;
        mask.is_kept = true;
    }
    Ok(())
}
