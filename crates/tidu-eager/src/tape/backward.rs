//! Going backward through a tape.

use std::fmt::{self, Debug};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;

use tidu_ad::rules::Masking;
use tidu_ad::{CotangentMask, CotangentSum, Cotangents, MaskedCotangent, Primitive, Seed};
use tidu_graph::{EvaluableGraphOperation, GraphOperation};

use super::engine::{Engine, Evaluate, Record, apply_one, is_same};
use super::hooks::Hook;
use super::places::Places;
use super::segment::{Body, Inside, SEGMENT, Segment};
use super::storage::{Cursor, Kind, Node, Storage};
use super::template::{Flags, Origin, Program, Residual, Seeds, Template, Templates};

use super::{Tape, Var};
use crate::error::{EagerError, wrong_results};

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
    /// [`EagerError::Failed`] for an operation that cannot be evaluated, [`EagerError::WrongValueCount`] for one
    /// that returns the wrong number of results; [`EagerError::Anomaly`]. What was gone through by then is freed; the rest of the tape is as it
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
    /// Those of [`backward`](Self::backward), but for [`EagerError::Freed`] by an earlier pass of this kind.
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
    /// Those of [`backward`](Self::backward), also for a seed that is no variable of this tape.
    #[doc(alias = "create_graph")]
    #[track_caller]
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
        let found = go_back(&mut Record(self, Location::caller()), outputs, wrt, true)?;
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
            places: self.places.clone(),
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
        let checked = self.places.check(var.place);
        checked.map_err(|fault| fault.of(place()))
    }

    /// [`check`](Self::check) for what is to be differentiated: whether it depends on anything.
    pub(super) fn depends(
        &self,
        var: &Var<Op>,
        place: impl Fn() -> String,
    ) -> Result<bool, EagerError> {
        if self.places.is_own_constant(var.place) {
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
    places: Places,
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
        if self.places.is_after(var.place) {
            return Ok(None);
        }
        self.places
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

/// One pass backward over a whole tape.
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
    over_past(engine, |past, engine| {
        let mut pass = BackwardPass::new(engine, past, wrt, keep, all);
        for (output, seed) in seeds {
            pass.gathered
                .add(output, seed.clone(), None, None, engine)?;
        }
        pass.walk(past, engine)?;
        Ok([pass.gradients, pass.gathered.cotangents.into_values()])
    })
}

/// Runs a pass over what was recorded, which is set aside meanwhile, so that whatever is recorded on the way comes
/// after it. Of a pass that fails nothing remains.
pub(super) fn over_past<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>, T>(
    engine: &mut E,
    pass: impl FnOnce(&mut Storage<Op>, &mut E) -> Result<T, EagerError>,
) -> Result<T, EagerError> {
    let paused = std::mem::replace(&mut engine.tape().paused, false);
    let mut past = engine.tape().storage.set_aside();
    // A panic of an operation, a hook or a body must not cost the tape what was set aside.
    let found = catch_unwind(AssertUnwindSafe(|| pass(&mut past, engine)));
    let tape = engine.tape();
    tape.paused = paused;
    tape.set_quiet(false);
    match found {
        Ok(Ok(_)) => tape.storage.join(past),
        _ => tape.restore(past),
    }
    found.unwrap_or_else(|panic| resume_unwind(panic))
}

/// A mask of a pass.
#[derive(Clone)]
struct Mask<Value> {
    value: Value,
    /// By which two that are the same are known.
    number: u32,
}

impl<Value> PartialEq for Mask<Value> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

/// A cotangent with its mask.
type Masked<Value> = MaskedCotangent<Value, Mask<Value>>;

/// What operations on cotangents leave behind from one to the next.
struct Scratch<Op, Value> {
    results: Vec<Value>,
    masking: Option<Masking<Op>>,
    /// How many masks have been made.
    masks: u32,
}

impl<Op, Value> Scratch<Op, Value> {
    /// A new mask, by which a cotangent has been kept.
    fn mask(&mut self, value: Value) -> CotangentMask<Mask<Value>> {
        self.masks += 1;
        let mask = Mask {
            value,
            number: self.masks,
        };
        CotangentMask {
            mask,
            is_kept: true,
        }
    }
}

/// Adds the cotangents of a call to others.
struct Sum<'a, Op: Primitive + EvaluableGraphOperation, E: Engine<Op>> {
    engine: &'a mut E,
    scratch: &'a mut Scratch<Op, E::Value>,
    from: Option<Origin<'a, Op>>,
}

impl<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>> Sum<'_, Op, E> {
    #[inline(always)]
    fn apply(&mut self, operation: &Op, operands: [&E::Value; 2]) -> Result<E::Value, EagerError> {
        let results = &mut self.scratch.results;
        apply_one(operation, operands, results, self.from, self.engine)
    }

    fn masking(&self) -> Masking<Op> {
        let masking = self.scratch.masking.clone();
        masking.expect("without operations for them there are no masks")
    }
}

impl<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>> CotangentSum for Sum<'_, Op, E> {
    type Value = E::Value;
    type Mask = Mask<E::Value>;
    type Error = EagerError;

    #[inline(always)]
    fn add(&mut self, terms: [&E::Value; 2]) -> Result<E::Value, EagerError> {
        let add = Op::add();
        let sum = self.apply(&add, terms)?;
        if self.engine.watch().is_some()
            && let Some(from) = self.from
        {
            self.engine.check(&sum, &add, from)?;
        }
        Ok(sum)
    }

    fn keep(&mut self, value: &E::Value, mask: &Mask<E::Value>) -> Result<E::Value, EagerError> {
        let keep_if = self.masking().keep_if;
        self.apply(&keep_if, [&mask.value, value])
    }

    fn either(&mut self, [one, other]: [&Mask<E::Value>; 2]) -> Result<Mask<E::Value>, EagerError> {
        let either = self.masking().either;
        let value = self.apply(&either, [&one.value, &other.value])?;
        Ok(self.scratch.mask(value).mask)
    }
}

/// The cotangents of a pass.
struct Gathered<Op, Value> {
    cotangents: Cotangents<Value, Mask<Value>>,
    scratch: Scratch<Op, Value>,
}

impl<Op: Primitive + EvaluableGraphOperation, Value: Clone> Gathered<Op, Value> {
    /// Adds to the cotangent of a value.
    #[inline(always)]
    fn add<E: Engine<Op, Value = Value>>(
        &mut self,
        to: u32,
        cotangent: Value,
        mask: Option<CotangentMask<Mask<Value>>>,
        from: Option<Origin<'_, Op>>,
        engine: &mut E,
    ) -> Result<(), EagerError> {
        let scratch = &mut self.scratch;
        let mut sum = Sum {
            engine,
            scratch,
            from,
        };
        self.cotangents.add(to as usize, cotangent, mask, &mut sum)
    }

    /// Whether what a hook put in the place of a gradient is zero, too, where its mask says so.
    #[cold]
    fn is_kept<E: Engine<Op, Value = Value>>(
        &self,
        gradient: &Value,
        mask: &CotangentMask<Mask<Value>>,
        engine: &mut E,
    ) -> Result<bool, EagerError> {
        let Some(masking) = &self.scratch.masking else {
            return Ok(false);
        };
        let gradient = engine.operand(gradient).clone();
        let mask = engine.operand(&mask.mask.value).clone();
        let mut evaluate = Evaluate(engine.tape());
        let operands = [&mask, &gradient];
        let kept = apply_one(
            &masking.keep_if,
            operands,
            &mut Vec::new(),
            None,
            &mut evaluate,
        )?;
        Ok(is_same::<Op>(&kept, &gradient))
    }

    /// Hands the masks of some cotangents to a VJP, and says where in its list each is.
    #[cold]
    fn take_masks(
        &mut self,
        of: Range<u32>,
        list: &mut Vec<Value>,
    ) -> Vec<(u32, CotangentMask<Mask<Value>>)> {
        let mut given = Vec::new();
        for value in of {
            if let Some(mask) = self.cotangents.take_mask(value as usize) {
                list.push(mask.mask.value.clone());
                given.push((list.len() as u32 - 1, mask));
            }
        }
        given
    }

    /// Adds the cotangents that a VJP has computed, of which some may have masks: ones that are known already, or new
    /// ones.
    #[cold]
    fn add_masked<E: Engine<Op, Value = Value>>(
        &mut self,
        vjp: &Program<Op>,
        operands: &[u32],
        list: &[Value],
        mut known: Vec<(u32, CotangentMask<Mask<Value>>)>,
        from: Origin<'_, Op>,
        engine: &mut E,
    ) -> Result<(), EagerError> {
        for (rank, (&operand, at)) in operands.iter().zip(&vjp.outputs).enumerate() {
            let Some(at) = *at else {
                continue;
            };
            let mask = vjp.masks.get(rank).copied().flatten().map(|at| {
                let found = known.iter().find(|(place, _)| *place == at);
                let found = found.map(|(_, mask)| mask.clone());
                found.unwrap_or_else(|| {
                    let mask = self.scratch.mask(list[at as usize].clone());
                    known.push((at, mask.clone()));
                    mask
                })
            });
            let cotangent = list[at as usize].clone();
            self.add(operand, cotangent, mask, Some(from), engine)?;
        }
        Ok(())
    }
}

/// One pass backward.
struct BackwardPass<Op: Primitive, Value> {
    keep: bool,
    /// Whether cotangents stay when they have been used.
    all: bool,
    templates: Templates<Op>,
    gathered: Gathered<Op, Value>,
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

impl<Op: Primitive + EvaluableGraphOperation, Value: Clone> BackwardPass<Op, Value> {
    fn new<E: Engine<Op, Value = Value>>(
        engine: &mut E,
        past: &Storage<Op>,
        wrt: &[&Var<Op>],
        keep: bool,
        all: bool,
    ) -> Self {
        let templates = Arc::clone(&engine.tape().templates);
        let spare = engine.take_spare();
        let mut ahead: Vec<(u32, usize)> = wrt.iter().map(|var| var.index()).zip(0..).collect();
        ahead.sort_unstable();
        let mut wanted = Vec::new();
        if !all && !past.leaves_are_among(&ahead) {
            wanted.resize(past.values as usize, false);
            let chosen = ahead.iter();
            chosen.for_each(|(value, _)| wanted[*value as usize] = true);
            past.mark_dependents(&mut wanted, &templates);
        }
        Self {
            keep,
            all,
            templates,
            gathered: Gathered {
                cotangents: Cotangents::new(past.values as usize, spare),
                scratch: Scratch {
                    results: Vec::new(),
                    masking: Op::masking(),
                    masks: 0,
                },
            },
            wanted,
            ahead,
            gradients: vec![None; wrt.len()],
            hooked: !engine.tape().hooks.is_empty(),
            values: Vec::new(),
            results: Vec::new(),
        }
    }

    /// The one walk behind every way to go backward: through all calls, from the last to the first.
    fn walk<E: Engine<Op, Value = Value>>(
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
                    self.take(cursor.values);
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
            1 if self.gathered.cotangents.value(first as usize).is_none() => return Ok(()),
            1 if self.wanted.is_empty() && !self.gathered.cotangents.has_masks() => {
                Template::<Op>::WHOLE
            }
            _ => match self.choose(id, at, storage, location, engine)? {
                Some(vjp) => vjp,
                None => {
                    (first..first + outputs).for_each(|value| drop(self.take(value)));
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
            if let Some(cotangent) = self.take(value) {
                self.values.push(cotangent);
            }
        }
        let template = &*self.templates[id];
        let vjp = template.vjp(vjp);
        let from = (template, location);
        let gathered = &mut self.gathered;
        let is_masked = gathered.cotangents.has_masks() || !vjp.masks.is_empty();
        let given = if is_masked {
            gathered.take_masks(first..first + outputs, &mut self.values)
        } else {
            Vec::new()
        };
        run(vjp, from, &mut self.values, &mut self.results, engine)?;
        if is_masked {
            return gathered.add_masked(vjp, operands, &self.values, given, from, engine);
        }
        let Gathered {
            cotangents,
            scratch,
        } = gathered;
        let mut sum = Sum {
            engine,
            scratch,
            from: Some(from),
        };
        for (&operand, at) in operands.iter().zip(&vjp.outputs) {
            if let Some(at) = *at {
                let cotangent = self.values[at as usize].clone();
                cotangents.add_plain(operand as usize, cotangent, &mut sum)?;
            }
        }
        Ok(())
    }

    /// The cotangent of a value, which nobody will ask for again unless all are to be had.
    #[inline(always)]
    fn take(&mut self, value: u32) -> Option<Value> {
        let value = value as usize;
        if self.all {
            self.gathered.cotangents.value(value).cloned()
        } else {
            self.gathered.cotangents.take(value)
        }
    }

    /// Calls the hooks of values whose gradients are complete.
    #[cold]
    fn call_hooks<E: Engine<Op, Value = Value>>(
        &mut self,
        values: Range<u32>,
        engine: &mut E,
    ) -> Result<(), EagerError> {
        for value in values {
            let Some(mut gradient) = self.gathered.cotangents.value(value as usize).cloned() else {
                continue;
            };
            for key in engine.tape().hooks.of(value) {
                let Some((mut hook, location)) = engine.tape().hooks.take(key) else {
                    continue;
                };
                let called = catch_unwind(AssertUnwindSafe(|| match &mut hook {
                    Hook::OfVariables(hook) => engine.call_hook(hook, &gradient),
                    Hook::OfOperands(hook) => {
                        let by = hook(engine.operand(&gradient));
                        Ok(by.map(|by| engine.replaced(&gradient, by, location)))
                    }
                }));
                engine.tape().hooks.give_back(key, hook);
                let replaced = called.unwrap_or_else(|panic| resume_unwind(panic))?;
                if let Some(replaced) = replaced {
                    gradient = replaced;
                    let value = value as usize;
                    let mut mask = self.gathered.cotangents.take_mask(value);
                    if let Some(known) = &mask {
                        let kept = self.gathered.is_kept(&gradient, known, engine);
                        if !kept.map_err(|error| error.applied_at(Some(location)))? {
                            mask = None;
                        }
                    }
                    let value_of_hook = MaskedCotangent {
                        value: gradient.clone(),
                        mask,
                    };
                    self.gathered.cotangents.set(value, value_of_hook);
                }
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
        let cotangent = self.take(at.values);
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
            self.gradients[position] = self.gathered.cotangents.value(value as usize).cloned();
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
        let results = first..first + template.outputs as usize;
        let seeds: Seeds = self.gathered.cotangents.seeds(results).collect();
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
        // Not shared for a moment, so that nothing is copied.
        self.templates = Templates::default();
        let tape = engine.tape();
        let derived = tape.derive_more(id, |template, deriver| {
            template.derive_for(seeds, wanted, deriver)
        });
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
        let seeds = results.map(|at| {
            let mask = self.gathered.cotangents.take_mask(at as usize);
            let value = self.take(at)?;
            Some(MaskedCotangent { value, mask })
        });
        let seeds: Vec<Option<Masked<Value>>> = seeds.collect();
        if seeds.iter().all(Option::is_none) {
            return Ok(());
        }
        let body = if self.keep {
            segment.body.clone()
        } else {
            segment.body.take()
        };
        let body = body.ok_or_else(|| freed(SEGMENT.into()))?;
        let count = segment.operands as usize;
        let kept = storage.residuals[at.residuals..][..count].iter_mut();
        let operands = kept.zip(&storage.operands[at.operands..]);
        let operands = operands.map(|(kept, &index)| Var {
            value: take_or_copy(kept, self.keep),
            place: engine.tape().place_at(index),
        });
        let operands: Vec<Var<Op>> = operands.collect();

        let RunAgain {
            before,
            mut again,
            results,
        } = engine.tape().run_again(segment, &*body, &operands);
        let first = before.values as usize;
        let outcome = results.and_then(|results| self.inside(&mut again, &results, seeds, engine));
        let tape = engine.tape();
        if E::RECORDS {
            tape.storage.join(again);
            tape.storage.join(before);
        } else {
            // Nothing of it remains, and its indices are given out again.
            tape.restore(before);
            self.gathered.cotangents.resize(first);
            self.wanted.truncate(first);
        }
        outcome
    }

    /// Goes backward through a segment that was run again.
    fn inside<E: Engine<Op, Value = Value>>(
        &mut self,
        again: &mut Storage<Op>,
        results: &[Var<Op>],
        seeds: Vec<Option<Masked<Value>>>,
        engine: &mut E,
    ) -> Result<(), EagerError> {
        self.hooked = !engine.tape().hooks.is_empty();
        self.templates = Arc::clone(&engine.tape().templates);
        let values = again.values as usize;
        self.gathered.cotangents.resize(values);
        if !self.wanted.is_empty() {
            self.wanted.resize(values, false);
            again.mark_dependents(&mut self.wanted, &self.templates);
        }
        for (result, seed) in results.iter().zip(seeds) {
            if let Some(MaskedCotangent { value, mask }) = seed
                && result.requires_grad()
            {
                self.gathered
                    .add(result.index(), value, mask, None, engine)?;
            }
        }
        self.walk(again, engine)
    }
}

/// Runs the instructions of a derivative on a list of values.
#[inline]
pub(super) fn run<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>>(
    vjp: &Program<Op>,
    from: Origin<'_, Op>,
    values: &mut Vec<E::Value>,
    results: &mut Vec<E::Value>,
    engine: &mut E,
) -> Result<(), EagerError> {
    for instruction in &vjp.instructions {
        let operation = &instruction.operation;
        let get = |at: u32| &values[at as usize];
        // The usual numbers of operands need no list.
        match instruction.operands[..] {
            [x] => engine.apply(operation, &[get(x)], results, Some(from))?,
            [x, y] => engine.apply(operation, &[get(x), get(y)], results, Some(from))?,
            ref more => {
                let more: Vec<&E::Value> = more.iter().map(|&at| get(at)).collect();
                engine.apply(operation, &more, results, Some(from))?;
            }
        }
        let (expected, found) = (instruction.results as usize, results.len());
        if expected != found {
            return Err(wrong_results(operation, expected, found));
        }
        if engine.watch().is_some() && vjp.masks.is_empty() {
            for result in results.iter() {
                engine.check(result, operation, from)?;
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
        check_kept(vjp, from, values, engine)?;
    }
    Ok(())
}

/// Fails for a cotangent that the tape is to stop at, once it has been kept by its mask: what it was before,
/// where it is zero for certain, is nobody's business.
#[cold]
fn check_kept<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>>(
    vjp: &Program<Op>,
    from: Origin<'_, Op>,
    values: &[E::Value],
    engine: &mut E,
) -> Result<(), EagerError> {
    let made: u32 = vjp.instructions.iter().map(|made| made.results).sum();
    let given = values.len() as u32 - made;
    for &at in vjp.outputs.iter().flatten() {
        if let Some(operation) = vjp.maker_of(at, given) {
            engine.check(&values[at as usize], operation, from)?;
        }
    }
    Ok(())
}

/// A segment that was run again.
pub(super) struct RunAgain<Op: Primitive + EvaluableGraphOperation> {
    /// What was on the tape, set aside.
    pub before: Storage<Op>,
    /// What was recorded.
    pub again: Storage<Op>,
    /// Those of the first time.
    pub results: Result<Vec<Var<Op>>, EagerError>,
}

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// Runs the body of a segment again, recording.
    pub(super) fn run_again(
        &mut self,
        segment: &Segment<Op>,
        body: &Body<Op>,
        operands: &[Var<Op>],
    ) -> RunAgain<Op> {
        let inside = Inside::Segment {
            first: false,
            again: true,
        };
        let before = self.storage.set_aside();
        let results = self.run_inside(inside, |tape| body(tape, operands));
        let again = self.storage.set_aside();
        let results = results.and_then(|results| {
            self.check_segment(segment, &results)?;
            Ok(results)
        });
        RunAgain {
            before,
            again,
            results,
        }
    }
}

/// What was kept of a call that is not freed.
#[inline]
fn take_or_copy<T: Clone>(kept: &mut Option<T>, keep: bool) -> T {
    let value = if keep { kept.clone() } else { kept.take() };
    value.expect("a call that is not freed has all that was kept of it")
}

pub(super) fn freed(operation: String) -> EagerError {
    EagerError::Freed { operation }
}
