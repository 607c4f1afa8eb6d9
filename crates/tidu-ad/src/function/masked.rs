//! VJPs of functions from cotangents that are zero for certain in places: for runtimes that carry masks from
//! one call to the next.

use std::collections::HashSet;

use super::derivation::{Derivation, NewInput, SeedAt};
use super::error::check_flags;
use super::missing::Mode;
use super::{Derive, Function, FunctionError, Nonzero, Wrt};
use crate::derivatives::LinearMap;
use crate::rules::{ADKey, Primitive};

impl<Op: Primitive> Derive<'_, Op> {
    /// (x, ȳ, m) ↦ J(x)ᵀ·ȳ by some inputs, given by position, without symbolic zeros, as
    /// [`nonzero_jvp`](Self::nonzero_jvp), from cotangents of which some have masks
    /// ([`Masking`](crate::rules::Masking)) that they have been kept by.
    ///
    /// Inputs: those of the function, a cotangent for each output, then a mask for each output that is
    /// `masked`. The places are those of cotangents, then those of masks that these have been kept by.
    ///
    /// # Errors
    ///
    /// As for [`vjp`](Self::vjp), but for [`FunctionError::NoZero`]; [`FunctionError::WrongFlagCount`].
    pub fn nonzero_vjp(self, wrt: &[usize], masked: &[bool]) -> Result<Nonzero<Op>, FunctionError> {
        Wrt::At(wrt.to_vec()).positions(self.function)?;
        let expected = self.function.output_names().len();
        check_flags("output", expected, masked.len())?;
        self.vjp_beside(&[], wrt, masked)
    }

    /// [`nonzero_vjp`](Self::nonzero_vjp) after these outputs of the function, which no place counts.
    pub(super) fn vjp_beside(
        self,
        values: &[usize],
        wrt: &[usize],
        masked: &[bool],
    ) -> Result<Nonzero<Op>, FunctionError> {
        let function = self.function;
        let count = masked.len();
        let of_masks = (0..count).filter(|&output| masked[output]);
        let inputs = (0..count)
            .map(NewInput::Output)
            .chain(of_masks.map(NewInput::MaskOf));
        let inputs: Vec<NewInput> = inputs.collect();
        let names = fresh_names(function, inputs.len());
        let more: Vec<_> = inputs.into_iter().zip(names).collect();
        let (map, mode) = (LinearMap::Derivative, Some(Mode::Reverse));
        let mut derivation = Derivation::new(function, self.choices(), wrt, &more, map, mode)?;
        let mut next = count..;
        let seeds = masked.iter().enumerate().map(|(output, masked)| {
            let mask = if *masked { next.next() } else { None };
            SeedAt {
                output,
                cotangent: derivation.new_input(output),
                mask: mask.map(|at| derivation.new_input(at)),
            }
        });
        let seeds: Vec<SeedAt> = seeds.collect();
        let activity = derivation.activity()?;
        let found = derivation.pull_back_masked(&activity, &seeds)?;
        let names = function.names();
        let inputs = wrt.iter().map(|&input| &names[input]);
        let cotangents = found.iter().zip(inputs.clone()).map(|(found, name)| {
            let cotangent = found.map(|(cotangent, _)| cotangent);
            (cotangent, format!("ct.{name}"))
        });
        let masks = found.iter().zip(inputs).map(|(found, name)| {
            let mask = found.and_then(|(_, mask)| mask);
            (mask, format!("mask.{name}"))
        });
        let primal = derivation.primal();
        let mut beside: Vec<_> = values.iter().map(|&at| primal[at].clone()).collect();
        Nonzero::new(cotangents.chain(masks), |outputs| {
            beside.extend(outputs);
            derivation.finish(beside)
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
