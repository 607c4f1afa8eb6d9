//! VJPs of functions from cotangents that are zero for certain in places: for runtimes that carry masks from
//! one call to the next.

use std::collections::HashSet;

use super::derivation::{Derivation, SeedAt};
use super::missing::Mode;
use super::stage::Stage;
use super::{Derive, Function, FunctionError, Wrt};
use crate::rules::{ADKey, Primitive};

/// A VJP whose cotangents may have masks ([`Masking`](crate::rules::Masking)). See [`Derive::masked_vjp`].
#[derive(Clone, Debug)]
pub struct MaskedVjp<Op: Primitive> {
    /// Inputs: those of the function, a cotangent for each output, then a mask for each that has one.
    /// Outputs: a cotangent for each input that it is by, then masks of them.
    pub function: Function<Op>,
    /// By input that it is by: which output is the mask of its cotangent. It has been kept by that.
    pub masks: Vec<Option<usize>>,
}

impl<Op: Primitive> Derive<'_, Op> {
    /// The VJP by some inputs, given by position, from cotangents of which some have a mask.
    ///
    /// # Errors
    ///
    /// As for [`vjp`](Self::vjp).
    pub fn masked_vjp(
        self,
        wrt: &[usize],
        masked: &[bool],
    ) -> Result<MaskedVjp<Op>, FunctionError> {
        if self.in_place {
            return self.staged_masked_vjp(wrt, masked);
        }
        let function = self.function;
        let names = function.input_names();
        let count = masked.len();
        let masks = masked.iter().filter(|masked| **masked).count();
        let more = fresh_names(function, count + masks);
        let (ctx, level) = (self.ctx, self.level);
        let mut derivation = Derivation::new(function, wrt, more.len(), Mode::Reverse, level, ctx);
        let mut next = count..;
        let seeds = masked.iter().enumerate().map(|(output, masked)| {
            let mask = masked.then(|| next.next().map(|at| derivation.new_input(at)));
            SeedAt {
                output,
                cotangent: derivation.new_input(output),
                mask: mask.flatten(),
            }
        });
        let seeds: Vec<SeedAt> = seeds.collect();
        let activity = derivation.activity()?;
        let found = derivation.pull_back_masked(&activity, &seeds)?;
        let mut outputs = Vec::with_capacity(2 * wrt.len());
        for (&input, found) in wrt.iter().zip(&found) {
            let name = format!("ct.{}", names[input]);
            let cotangent = found.map(|(cotangent, _)| cotangent);
            outputs.push((derivation.or_zero_of_input(cotangent, input, &name)?, name));
        }
        let mut masks = Vec::with_capacity(wrt.len());
        for (&input, found) in wrt.iter().zip(&found) {
            let mask = found.and_then(|(_, mask)| mask);
            masks.push(mask.map(|_| outputs.len()));
            outputs.extend(mask.map(|mask| (mask, format!("mask.{}", names[input]))));
        }
        let inputs = [function.input_keys(), more].concat();
        Ok(MaskedVjp {
            function: derivation.finish(inputs, outputs)?,
            masks,
        })
    }

    fn staged_masked_vjp(
        self,
        wrt: &[usize],
        masked: &[bool],
    ) -> Result<MaskedVjp<Op>, FunctionError> {
        let (function, level) = (self.function, self.level);
        let wrt = Wrt::At(wrt.to_vec());
        let mut stage = Stage::linearize(function, &wrt, Some(Mode::Reverse), self.ctx)?;
        let masks = masked.iter().filter(|masked| **masked).count();
        let more = fresh_names(function, masked.len() + masks);
        let (seeds, of_masks) = more.split_at(masked.len());
        let (cotangents, found) = stage.masked_cotangents(seeds, masked, of_masks)?;
        let mut outputs = stage.fill(cotangents)?;
        let mut masks = Vec::with_capacity(found.len());
        for mask in found {
            masks.push(mask.is_some().then_some(outputs.len()));
            outputs.extend(mask);
        }
        let inputs = [function.input_keys(), more.clone()].concat();
        Ok(MaskedVjp {
            function: stage.close(&inputs, outputs, level)?,
            masks,
        })
    }
}

/// Names that no input of the function has.
fn fresh_names<Op: Primitive>(function: &Function<Op>, count: usize) -> Vec<Op::InputKey> {
    let known = function.input_keys();
    let taken: HashSet<&Op::InputKey> = known.iter().collect();
    let mut pass = 0;
    loop {
        let first = known[0].tangent_of(pass);
        let names = (0..count).map(|at| first.residual_of(at));
        let names: Vec<Op::InputKey> = names.collect();
        if names.iter().all(|name| !taken.contains(name)) {
            return names;
        }
        pass += 1;
    }
}
