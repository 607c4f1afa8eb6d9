//! Going backward through a tape.

use std::fmt::{self, Debug};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;

use tidu_ad::rules::Masking;
use tidu_ad::{Primitive, Seed};
use tidu_graph::text::operation_label;
use tidu_graph::{EvaluableGraphOperation, GraphOperation};

use super::engine::{Engine, Evaluate, Record};
use super::life::Life;
use super::storage::{Cursor, Kind, Node, Storage};
use super::template::{Flags, Program, Residual, Seeds, Template, Templates};
use super::watch::Hook;
use super::{Tape, Var};
use crate::Side;
use crate::error::{EagerError, wrong_count};

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// The gradients of Σᵢ ⟨seedᵢ, yᵢ⟩ by each of `wrt`, for `outputs` of pairs (yᵢ, seedᵢ); `None` for
    /// one that no output depends on.
    ///
    /// What it uses of the tape is freed: going through the same calls a second time is an error. See
    /// [`backward_keeping`](Self::backward_keeping).
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`], [`EagerError::ForeignVar`], [`EagerError::StaleVar`] for an output, or
    /// one of `wrt`, that is no variable of this tape, [`EagerError::WithoutDerivative`] for one of indices;
    /// [`EagerError::Freed`]; [`EagerError::InSegment`];
    /// [`EagerError::WrongValueCount`] for an operation whose `eval` returns the wrong number of results;
    /// [`EagerError::Anomaly`]. What was gone through by then is freed; the rest of the tape is as it
    /// was.
    ///
    /// # Complexity
    ///
    /// Linear in the tape.
    pub fn backward(
        &mut self,
        outputs: &[(&Var<Op>, Op::Operand)],
        wrt: &[&Var<Op>],
    ) -> Result<Vec<Option<Op::Operand>>, EagerError> {
        go_back(&mut Evaluate(self), outputs, wrt, false)
    }

    /// [`backward`](Self::backward), without freeing anything.
    ///
    /// # Errors
    ///
    /// As there.
    #[doc(alias = "retain_graph")]
    pub fn backward_keeping(
        &mut self,
        outputs: &[(&Var<Op>, Op::Operand)],
        wrt: &[&Var<Op>],
    ) -> Result<Vec<Option<Op::Operand>>, EagerError> {
        go_back(&mut Evaluate(self), outputs, wrt, true)
    }

    /// [`backward`](Self::backward) with the gradients themselves recorded, so that one can go backward
    /// from them: seeds and gradients are variables. Frees nothing. (PyTorch: `create_graph`.)
    ///
    /// # Errors
    ///
    /// As there.
    #[doc(alias = "create_graph")]
    pub fn backward_recorded(
        &mut self,
        outputs: &[(&Var<Op>, Var<Op>)],
        wrt: &[&Var<Op>],
    ) -> Result<Vec<Option<Var<Op>>>, EagerError> {
        self.check_outside("go backward")?;
        for (position, (_, seed)) in outputs.iter().enumerate() {
            if seed.requires_grad() {
                self.check(seed, || format!("seed {position}"))?;
            }
        }
        let found = go_back(&mut Record(self), outputs, wrt, true)?;
        let found = found.into_iter().map(|gradient| match gradient {
            Some(gradient) if !gradient.requires_grad() => Some(self.constant(gradient.value)),
            gradient => gradient,
        });
        Ok(found.collect())
    }

    /// The gradients of Σᵢ ⟨seedᵢ, yᵢ⟩ by everything on the tape, to be asked for by variable. Frees
    /// nothing; the gradients take as much memory as all values of the tape.
    ///
    /// # Errors
    ///
    /// As for [`backward`](Self::backward).
    ///
    /// # Example
    ///
    /// ```
    /// # use tidu_eager::Tape;
    /// # use tidu_scalar::{ScalarKey, ScalarOp};
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// let x = tape.leaf(3.0);
    /// let square = tape.apply_one(ScalarOp::Mul, &[&x, &x])?;
    /// let y = tape.apply_one(ScalarOp::Neg, &[&square])?;
    /// let gradients = tape.backward_all(&[(&y, 1.0)])?;
    /// assert_eq!(gradients.get(&x)?, Some(&-6.0));
    /// assert_eq!(gradients.get(&square)?, Some(&-1.0));
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn backward_all(
        &mut self,
        outputs: &[(&Var<Op>, Op::Operand)],
    ) -> Result<Gradients<Op>, EagerError> {
        let [_, by_value] = pass(&mut Evaluate(self), outputs, &[], true, true)?;
        Ok(Gradients {
            by_value,
            life: self.life.clone(),
        })
    }

    /// Fails for what is no variable of this tape.
    pub(super) fn check(
        &self,
        var: &Var<Op>,
        place: impl Fn() -> String,
    ) -> Result<(), EagerError> {
        if !var.requires_grad() {
            return Err(EagerError::ConstantVar { place: place() });
        }
        let checked = self.life.check(var.place);
        checked.map_err(|fault| fault.of(place()))
    }

    /// [`check`](Self::check) for what is to be differentiated: whether it depends on anything.
    pub(super) fn depends(
        &self,
        var: &Var<Op>,
        place: impl Fn() -> String,
    ) -> Result<bool, EagerError> {
        if self.life.is_own_constant(var.place) {
            return Ok(false);
        }
        self.check(var, place)?;
        Ok(true)
    }
}

/// Gradients by everything on a tape. See [`Tape::backward_all`].
pub struct Gradients<Op: GraphOperation> {
    by_value: List<Op::Operand>,
    /// Which places were good when the gradients were found.
    life: Life,
}

impl<Op: GraphOperation> Gradients<Op> {
    /// The gradient by a variable; `None` for one that no output depends on, be it because it was made
    /// afterwards.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`], [`EagerError::ForeignVar`]; [`EagerError::StaleVar`] for a variable that
    /// the tape had forgotten by then.
    pub fn get(&self, var: &Var<Op>) -> Result<Option<&Op::Operand>, EagerError> {
        let place = || "the variable whose gradient is asked for".to_owned();
        if !var.requires_grad() {
            return Err(EagerError::ConstantVar { place: place() });
        }
        if self.life.is_after(var.place) {
            return Ok(None);
        }
        self.life
            .check(var.place)
            .map_err(|fault| fault.of(place()))?;
        let gradient = self.by_value.get(var.index() as usize);
        Ok(gradient.and_then(Option::as_ref))
    }
}

impl<Op: GraphOperation> Debug for Gradients<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.by_value.iter().flatten().count();
        f.debug_struct("Gradients")
            .field("values", &self.by_value.len())
            .field("found", &found)
            .finish_non_exhaustive()
    }
}

/// One pass backward over a whole tape. What it has recorded is set aside meanwhile, so that whatever
/// is recorded on the way comes after it.
fn go_back<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>>(
    engine: &mut E,
    outputs: &[(&Var<Op>, E::Value)],
    wrt: &[&Var<Op>],
    keep: bool,
) -> Result<Vec<Option<E::Value>>, EagerError> {
    engine.tape().check_outside("go backward")?;
    for (position, input) in wrt.iter().enumerate() {
        let place = || format!("`wrt[{position}]`");
        engine.tape().check(input, place)?;
        check_type::<Op>(input.value(), place)?;
    }
    let [gradients, cotangents] = pass(engine, outputs, wrt, keep, false)?;
    engine.give_spare(cotangents);
    Ok(gradients)
}

/// Fails for a value of a type without derivatives.
fn check_type<Op: Primitive>(
    value: &Op::Operand,
    place: impl Fn() -> String,
) -> Result<(), EagerError> {
    match Op::type_of_operand(value) {
        Some(found) if !Op::is_differentiable(&found) => Err(EagerError::WithoutDerivative {
            place: place(),
            value_type: found.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Cotangents; `None` for a symbolic zero.
type List<Value> = Vec<Option<Value>>;

/// The gradients by `wrt`, and the list of all cotangents: those that were used are gone from it,
/// unless it is to hold `all`.
fn pass<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>>(
    engine: &mut E,
    outputs: &[(&Var<Op>, E::Value)],
    wrt: &[&Var<Op>],
    keep: bool,
    all: bool,
) -> Result<[List<E::Value>; 2], EagerError> {
    engine.tape().check_outside("go backward")?;
    let mut seeds = Vec::with_capacity(outputs.len());
    for (position, (output, seed)) in outputs.iter().enumerate() {
        let place = || format!("output {position}");
        if engine.tape().depends(output, place)? {
            check_type::<Op>(output.value(), place)?;
            seeds.push((output.index(), seed));
        }
    }
    let paused = std::mem::replace(&mut engine.tape().paused, false);
    let mut past = engine.tape().storage.set_aside();
    let mut pass = Sweep::new(engine, &past, wrt, keep, all);
    // A panic of an operation, a hook or a body must not cost the tape what was set aside.
    let swept = catch_unwind(AssertUnwindSafe(|| {
        for (output, seed) in seeds {
            let cotangents = &mut pass.cotangents;
            cotangents.add(output, seed.clone(), None, engine)?;
        }
        pass.sweep(&mut past, engine)
    }));
    let tape = engine.tape();
    tape.paused = paused;
    tape.set_quiet(false);
    match swept {
        Ok(Ok(())) => {
            tape.storage.join(past);
            Ok([pass.gradients, pass.cotangents.by_value])
        }
        Ok(Err(error)) => {
            tape.restore(past);
            Err(error)
        }
        Err(panic) => {
            tape.restore(past);
            resume_unwind(panic)
        }
    }
}

/// The call that a cotangent comes from, and where it was recorded.
pub(super) type Origin<'a, Op> = (&'a Template<Op>, Option<&'static Location<'static>>);

/// The cotangents of all values, as far as they have been added up.
struct Cotangents<Op, Value> {
    by_value: Vec<Option<Value>>,
    sum: Vec<Value>,
    /// By value, as far as the last one that has a mask; empty where nothing is selected.
    masks: Vec<Option<Mask<Value>>>,
    masking: Option<Masking<Op>>,
    /// How many masks have been made.
    made: u32,
}

/// A cotangent with its mask.
type MaskedValue<Value> = (Value, Option<Mask<Value>>);

/// Where a cotangent is not zero for certain; elsewhere it is zero.
#[derive(Clone)]
struct Mask<Value> {
    value: Value,
    /// By which two that are the same are known.
    number: u32,
}

impl<Op: Primitive + EvaluableGraphOperation, Value: Clone> Cotangents<Op, Value> {
    fn new(by_value: Vec<Option<Value>>) -> Self {
        Self {
            by_value,
            sum: Vec::new(),
            masks: Vec::new(),
            masking: Op::masking(),
            made: 0,
        }
    }

    /// The one door by which a cotangent reaches a value, be it a seed or what a VJP computes.
    #[inline(always)]
    fn add(
        &mut self,
        value: u32,
        cotangent: Value,
        from: Option<Origin<'_, Op>>,
        engine: &mut impl Engine<Op, Value = Value>,
    ) -> Result<(), EagerError> {
        let add = Op::add();
        let place = &mut self.by_value[value as usize];
        let Some(so_far) = place else {
            *place = Some(cotangent);
            return Ok(());
        };
        self.sum.clear();
        let location = from.and_then(|(_, location)| location);
        let operands = [&*so_far, &cotangent];
        engine.apply(&add, &operands, &mut self.sum, location)?;
        let found = self.sum.len();
        let Some(sum) = self.sum.pop().filter(|_| found == 1) else {
            let add = operation_label(&add);
            return Err(wrong_count(add, Side::Outputs, 1, found));
        };
        if engine.watch().is_some()
            && let Some((template, location)) = from
        {
            engine.check(&sum, &add, template, location)?;
        }
        *so_far = sum;
        Ok(())
    }

    /// Notes the mask of what is about to be added to the cotangent of a value; not needed where nothing has
    /// one.
    #[cold]
    fn add_mask(
        &mut self,
        value: u32,
        mask: Option<Mask<Value>>,
        engine: &mut impl Engine<Op, Value = Value>,
    ) -> Result<(), EagerError> {
        let value = value as usize;
        let is_first = self.by_value[value].is_none();
        let known = self.masks.get_mut(value).and_then(Option::take);
        let mask = match (known, mask) {
            (_, mask) if is_first => mask,
            (Some(known), Some(mask)) if known.number == mask.number => Some(mask),
            (Some(known), Some(mask)) => Some(self.either(&known, &mask, engine)?),
            (_, None) | (None, _) => None,
        };
        if mask.is_some() {
            if self.masks.len() <= value {
                self.masks.resize_with(value + 1, || None);
            }
            self.masks[value] = mask;
        }
        Ok(())
    }

    fn either(
        &mut self,
        one: &Mask<Value>,
        other: &Mask<Value>,
        engine: &mut impl Engine<Op, Value = Value>,
    ) -> Result<Mask<Value>, EagerError> {
        let Some(masking) = &self.masking else {
            unreachable!("without operations there are no masks");
        };
        let either = masking.either.clone();
        let mut results = Vec::with_capacity(1);
        engine.apply(&either, &[&one.value, &other.value], &mut results, None)?;
        let found = results.len();
        match results.pop().filter(|_| found == 1) {
            Some(value) => Ok(self.mask(value)),
            None => {
                let either = operation_label(&either);
                Err(wrong_count(either, Side::Outputs, 1, found))
            }
        }
    }

    /// A new mask.
    fn mask(&mut self, value: Value) -> Mask<Value> {
        self.made += 1;
        Mask {
            value,
            number: self.made,
        }
    }

    /// Hands the masks of some cotangents to a VJP, whose list of values this is, and says where in it each
    /// is.
    #[cold]
    fn take_masks(&mut self, of: Range<u32>, list: &mut Vec<Value>) -> Vec<(u32, Mask<Value>)> {
        let mut given = Vec::new();
        for value in of {
            let mask = self.masks.get_mut(value as usize);
            if let Some(mask) = mask.and_then(Option::take) {
                list.push(mask.value.clone());
                given.push((list.len() as u32 - 1, mask));
            }
        }
        given
    }

    /// Adds the cotangents that a VJP has computed, of which some may have masks.
    #[cold]
    fn add_masked(
        &mut self,
        vjp: &Program<Op>,
        operands: &[u32],
        list: &[Value],
        mut given: Vec<(u32, Mask<Value>)>,
        from: Origin<'_, Op>,
        engine: &mut impl Engine<Op, Value = Value>,
    ) -> Result<(), EagerError> {
        for (rank, (&operand, at)) in operands.iter().zip(&vjp.outputs).enumerate() {
            if let Some(at) = *at {
                let mask = vjp.masks.get(rank).copied().flatten();
                let mask = mask.map(|at| self.mask_at(at, list, &mut given));
                let cotangent = list[at as usize].clone();
                self.add_mask(operand, mask, engine)?;
                self.add(operand, cotangent, Some(from), engine)?;
            }
        }
        Ok(())
    }

    /// The mask at a place of the list of a VJP: one that is known already, or a new one.
    fn mask_at(
        &mut self,
        at: u32,
        list: &[Value],
        known: &mut Vec<(u32, Mask<Value>)>,
    ) -> Mask<Value> {
        if let Some((_, mask)) = known.iter().find(|(place, _)| *place == at) {
            return mask.clone();
        }
        let mask = self.mask(list[at as usize].clone());
        known.push((at, mask.clone()));
        mask
    }

    /// What is known of the cotangents of some values.
    fn seeds(&self, values: Range<usize>) -> Seeds {
        let seeds = values.map(|value| match (&self.by_value[value], self.mask_of(value)) {
            (None, _) => Seed::Zero,
            (Some(_), None) => Seed::Full,
            (Some(_), Some(_)) => Seed::Masked { is_kept: true },
        });
        seeds.collect()
    }

    fn mask_of(&self, value: usize) -> Option<&Mask<Value>> {
        self.masks.get(value).and_then(Option::as_ref)
    }

    /// The cotangent of a value, which nobody will ask for again unless all are to be had.
    #[inline]
    fn take(&mut self, value: u32, all: bool) -> Option<Value> {
        let cotangent = &mut self.by_value[value as usize];
        match all {
            true => cotangent.clone(),
            false => cotangent.take(),
        }
    }
}

/// One pass backward.
struct Sweep<Op: Primitive, Value> {
    keep: bool,
    /// Whether cotangents stay when they have been used.
    all: bool,
    templates: Templates<Op>,
    cotangents: Cotangents<Op, Value>,
    /// By value: whether it depends on one of the values to differentiate by. Empty if all do.
    wanted: Vec<bool>,
    /// The values to differentiate by that are still to come, with their positions; those that come
    /// next last.
    ahead: Vec<(u32, usize)>,
    gradients: Vec<Option<Value>>,
    /// Whether some value has a hook.
    hooked: bool,
    /// Of the call at hand: what was kept of it, the cotangents of its results, and what instructions
    /// have computed.
    values: Vec<Value>,
    results: Vec<Value>,
}

impl<Op: Primitive + EvaluableGraphOperation, Value: Clone> Sweep<Op, Value> {
    fn new<E: Engine<Op, Value = Value>>(
        engine: &mut E,
        past: &Storage<Op>,
        wrt: &[&Var<Op>],
        keep: bool,
        all: bool,
    ) -> Self {
        let templates = Arc::clone(&engine.tape().templates);
        let mut by_value = engine.take_spare();
        by_value.resize_with(past.values as usize, || None);
        let mut ahead: Vec<(u32, usize)> = wrt.iter().map(|var| var.index()).zip(0..).collect();
        ahead.sort_unstable();
        let wanted = match all || past.leaves_are_among(&ahead) {
            true => Vec::new(),
            false => {
                let mut wanted = vec![false; past.values as usize];
                ahead
                    .iter()
                    .for_each(|(value, _)| wanted[*value as usize] = true);
                past.mark_dependents(&mut wanted, &templates);
                wanted
            }
        };
        Self {
            keep,
            all,
            templates,
            cotangents: Cotangents::new(by_value),
            wanted,
            ahead,
            gradients: vec![None; wrt.len()],
            hooked: !engine.tape().hooks.is_empty(),
            values: Vec::new(),
            results: Vec::new(),
        }
    }

    /// The one walk behind every way to go backward: through all calls, from the last to the first.
    fn sweep<E: Engine<Op, Value = Value>>(
        &mut self,
        storage: &mut Storage<Op>,
        engine: &mut E,
    ) -> Result<(), EagerError> {
        let mut cursor = storage.end();
        while cursor.nodes > 0 {
            let after = cursor.values;
            let node = storage.step_back(&mut cursor, &self.templates);
            if self.hooked {
                self.call_hooks(cursor.values..after, engine)?;
            }
            self.collect(cursor.values);
            match node.kind() {
                Kind::Call(template) => self.call(template, node, cursor, storage, engine)?,
                Kind::Leaf => {
                    self.cotangents.take(cursor.values, self.all);
                }
                Kind::Replaced => self.replaced(storage, cursor, engine)?,
                Kind::Segment => self.segment(storage, cursor, engine)?,
            }
        }
        Ok(())
    }

    /// Goes backward through a call.
    #[inline]
    fn call<E: Engine<Op, Value = Value>>(
        &mut self,
        id: usize,
        node: Node,
        at: Cursor,
        storage: &mut Storage<Op>,
        engine: &mut E,
    ) -> Result<(), EagerError> {
        let location = storage.locations.get(at.nodes).copied().flatten();
        let (first, outputs) = (at.values, self.templates[id].outputs);
        let vjp = match outputs {
            1 if self.cotangents.by_value[first as usize].is_none() => return Ok(()),
            1 if self.wanted.is_empty() && self.cotangents.masks.is_empty() => {
                Template::<Op>::WHOLE
            }
            _ => match self.choose(id, at, storage, location, engine)? {
                Some(vjp) => vjp,
                None => {
                    for value in first..first + outputs {
                        self.cotangents.take(value, self.all);
                    }
                    return Ok(());
                }
            },
        };
        let template = &*self.templates[id];
        if node.is_freed() {
            return Err(freed(template.describe()));
        }

        let operands = &storage.operands[at.operands..][..template.active_count as usize];
        let residuals = &mut storage.residuals[at.residuals..][..template.residuals.len()];
        self.values.clear();
        for (residual, which) in residuals.iter_mut().zip(&template.residuals) {
            let value = take_or_copy(residual, self.keep);
            let index = || match *which {
                Residual::Output(output) => first + output,
                Residual::Operand(operand) => template.place_of(operand as usize, operands),
            };
            self.values.push(engine.residual(value, index));
        }
        if !self.keep {
            storage.nodes[at.nodes].free();
        }
        for value in first..first + outputs {
            if let Some(cotangent) = self.cotangents.take(value, self.all) {
                self.values.push(cotangent);
            }
        }
        let vjp = template.vjp(vjp);
        let from = (template, location);
        let cotangents = &mut self.cotangents;
        let is_masked = !cotangents.masks.is_empty() || !vjp.masks.is_empty();
        let given = match is_masked {
            true => cotangents.take_masks(first..first + outputs, &mut self.values),
            false => Vec::new(),
        };
        run(vjp, from, &mut self.values, &mut self.results, engine)?;
        if is_masked {
            return cotangents.add_masked(vjp, operands, &self.values, given, from, engine);
        }
        for (&operand, at) in operands.iter().zip(&vjp.outputs) {
            if let Some(at) = *at {
                let cotangent = self.values[at as usize].clone();
                cotangents.add(operand, cotangent, Some(from), engine)?;
            }
        }
        Ok(())
    }

    /// Calls the hooks of values whose gradients are complete.
    #[cold]
    fn call_hooks<E: Engine<Op, Value = Value>>(
        &mut self,
        values: Range<u32>,
        engine: &mut E,
    ) -> Result<(), EagerError> {
        for value in values {
            let Some(gradient) = &mut self.cotangents.by_value[value as usize] else {
                continue;
            };
            let mut rank = 0;
            while let Some((mut hook, location)) = engine.tape().take_hook(value, rank) {
                let called = catch_unwind(AssertUnwindSafe(|| match &mut hook {
                    Hook::OfVariables(hook) => engine.call_hook(hook, gradient),
                    Hook::OfOperands(hook) => {
                        let by = hook(engine.operand(gradient));
                        Ok(by.map(|by| engine.replaced(gradient, by, location)))
                    }
                }));
                engine.tape().give_hook_back(value, rank, hook);
                let replaced = called.unwrap_or_else(|panic| resume_unwind(panic))?;
                if let Some(replaced) = replaced {
                    *gradient = replaced;
                    // It need not be zero where the other was.
                    if let Some(mask) = self.cotangents.masks.get_mut(value as usize) {
                        *mask = None;
                    }
                }
                rank += 1;
            }
        }
        Ok(())
    }

    /// Fails for a gradient that a hook replaced, if what it depends on is asked for.
    fn replaced<E: Engine<Op, Value = Value>>(
        &mut self,
        storage: &Storage<Op>,
        at: Cursor,
        engine: &mut E,
    ) -> Result<(), EagerError> {
        let cotangent = self.cotangents.take(at.values, self.all);
        let operand = storage.operands[at.operands] as usize;
        let is_wanted = self.wanted.is_empty() || self.wanted[operand];
        if cotangent.is_some() && is_wanted {
            return Err(engine.tape().replaced_gradient(at.values));
        }
        Ok(())
    }

    /// Takes the gradients by values from `first` on: whatever could add to them has been gone
    /// through.
    #[inline]
    fn collect(&mut self, first: u32) {
        while let Some(&(value, position)) = self.ahead.last()
            && value >= first
        {
            self.ahead.pop();
            self.gradients[position] = self.cotangents.by_value[value as usize].clone();
        }
    }

    /// The VJP for the cotangents that are there and for what is wanted; `None` if nothing is there, or
    /// nothing wanted.
    fn choose<E: Engine<Op, Value = Value>>(
        &mut self,
        id: usize,
        at: Cursor,
        storage: &Storage<Op>,
        location: Option<&'static Location<'static>>,
        engine: &mut E,
    ) -> Result<Option<usize>, EagerError> {
        let template = &self.templates[id];
        let operands = &storage.operands[at.operands..][..template.active_count as usize];
        let first = at.values as usize;
        let seeds = self
            .cotangents
            .seeds(first..first + template.outputs as usize);
        let wanted = operands
            .iter()
            .map(|&operand| self.wanted.is_empty() || self.wanted[operand as usize]);
        let wanted: Flags = wanted.collect();
        if !seeds.iter().any(|seed| seed.is_there()) || !wanted.contains(&true) {
            return Ok(None);
        }
        if let Some(known) = template.find(&seeds, &wanted) {
            return Ok(Some(known));
        }
        let derived = self.derive(id, &seeds, &wanted, engine);
        derived
            .map(Some)
            .map_err(|error| error.applied_at(location))
    }

    /// Derives the VJP for a choice of seeds and cotangents.
    #[cold]
    fn derive<E: Engine<Op, Value = Value>>(
        &mut self,
        id: usize,
        seeds: &[Seed],
        wanted: &[bool],
        engine: &mut E,
    ) -> Result<usize, EagerError> {
        let tape = engine.tape();
        // Not shared for a moment, so that nothing is copied.
        self.templates = Templates::default();
        let templates = Arc::make_mut(&mut tape.templates);
        let template = Arc::make_mut(&mut templates[id]);
        let derived = template.derive_for(seeds, wanted, &tape.name, &mut tape.ad_ctx);
        self.templates = Arc::clone(&tape.templates);
        derived
    }

    /// Runs a segment again, recording, and goes backward through what it recorded.
    fn segment<E: Engine<Op, Value = Value>>(
        &mut self,
        storage: &mut Storage<Op>,
        at: Cursor,
        engine: &mut E,
    ) -> Result<(), EagerError> {
        let segment = &mut storage.segments[at.segments];
        let results = at.values..at.values + segment.outputs;
        let seeds = results.map(|value| {
            let mask = self.cotangents.masks.get_mut(value as usize);
            let mask = mask.and_then(Option::take);
            let seed = self.cotangents.take(value, self.all)?;
            Some((seed, mask))
        });
        let seeds: Vec<Option<MaskedValue<Value>>> = seeds.collect();
        if seeds.iter().all(Option::is_none) {
            return Ok(());
        }
        let body = match self.keep {
            true => segment.body.clone(),
            false => segment.body.take(),
        };
        let body = body.ok_or_else(|| freed(super::segment::SEGMENT.into()))?;
        let count = segment.operands as usize;
        let kept = storage.residuals[at.residuals..][..count].iter_mut();
        let operands = kept.zip(&storage.operands[at.operands..]);
        let operands = operands.map(|(kept, &index)| Var {
            value: take_or_copy(kept, self.keep),
            place: engine.tape().place_at(index),
        });
        let operands: Vec<Var<Op>> = operands.collect();

        let before = engine.tape().storage.set_aside();
        let first = before.values;
        let results = engine.tape().run_again(&*body, &operands);
        let mut again = engine.tape().storage.set_aside();
        let outcome = results.and_then(|results| {
            engine.tape().check_segment(segment, &results)?;
            self.inside(&mut again, &results, seeds, engine)
        });
        let tape = engine.tape();
        if E::RECORDS {
            tape.storage.join(again);
            tape.storage.join(before);
        } else {
            // Nothing of it remains, and its indices are given out again.
            tape.restore(before);
            self.cotangents.by_value.truncate(first as usize);
            self.cotangents.masks.truncate(first as usize);
            self.wanted.truncate(first as usize);
        }
        outcome
    }

    /// Goes backward through a segment that was run again.
    fn inside<E: Engine<Op, Value = Value>>(
        &mut self,
        again: &mut Storage<Op>,
        results: &[Var<Op>],
        seeds: Vec<Option<MaskedValue<Value>>>,
        engine: &mut E,
    ) -> Result<(), EagerError> {
        self.hooked = !engine.tape().hooks.is_empty();
        self.templates = Arc::clone(&engine.tape().templates);
        let values = again.values as usize;
        self.cotangents.by_value.resize_with(values, || None);
        if !self.wanted.is_empty() {
            self.wanted.resize(values, false);
            again.mark_dependents(&mut self.wanted, &self.templates);
        }
        for (result, seed) in results.iter().zip(seeds) {
            if let Some((seed, mask)) = seed.filter(|_| result.requires_grad()) {
                let cotangents = &mut self.cotangents;
                cotangents.add_mask(result.index(), mask, engine)?;
                cotangents.add(result.index(), seed, None, engine)?;
            }
        }
        self.sweep(again, engine)
    }
}

/// Runs the instructions of a derivative on a list of values.
#[inline]
pub(super) fn run<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>>(
    vjp: &Program<Op>,
    (template, location): Origin<'_, Op>,
    values: &mut Vec<E::Value>,
    results: &mut Vec<E::Value>,
    engine: &mut E,
) -> Result<(), EagerError> {
    for instruction in &vjp.instructions {
        let operation = &instruction.operation;
        let get = |at: u32| &values[at as usize];
        // The usual numbers of operands need no list.
        match instruction.operands[..] {
            [x] => engine.apply(operation, &[get(x)], results, location)?,
            [x, y] => engine.apply(operation, &[get(x), get(y)], results, location)?,
            ref more => {
                let more: Vec<&E::Value> = more.iter().map(|&at| get(at)).collect();
                engine.apply(operation, &more, results, location)?;
            }
        }
        let (expected, found) = (instruction.results as usize, results.len());
        if expected != found {
            results.clear();
            let operation = operation_label(operation);
            return Err(wrong_count(operation, Side::Outputs, expected, found));
        }
        if engine.watch().is_some() && vjp.masks.is_empty() {
            for result in results.iter() {
                engine.check(result, operation, template, location)?;
            }
        }
        match results.pop() {
            Some(result) if found == 1 => values.push(result),
            last => {
                values.append(results);
                values.extend(last);
            }
        }
    }
    if engine.watch().is_some() && !vjp.masks.is_empty() {
        check_kept(vjp, (template, location), values, engine)?;
    }
    Ok(())
}

/// Fails for a cotangent that the tape is to stop at, once it has been kept by its mask: what it was before,
/// where it is zero for certain, is nobody's business.
#[cold]
fn check_kept<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>>(
    vjp: &Program<Op>,
    (template, location): Origin<'_, Op>,
    values: &[E::Value],
    engine: &mut E,
) -> Result<(), EagerError> {
    let made: u32 = vjp.instructions.iter().map(|made| made.results).sum();
    let given = values.len() as u32 - made;
    for &at in vjp.outputs.iter().flatten() {
        if let Some(operation) = vjp.maker_of(at, given) {
            engine.check(&values[at as usize], operation, template, location)?;
        }
    }
    Ok(())
}

/// What was kept of a call that is not freed.
#[inline]
fn take_or_copy<T: Clone>(kept: &mut Option<T>, keep: bool) -> T {
    let value = match keep {
        true => kept.clone(),
        false => kept.take(),
    };
    value.expect("a call that is not freed has all that was kept of it")
}

pub(super) fn freed(operation: String) -> EagerError {
    EagerError::Freed { operation }
}
