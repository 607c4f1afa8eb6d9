//! Going backward through a tape.

use tidu_ad::Primitive;
use tidu_graph::{EvaluableGraphOperation, describe_operation};

use super::engine::{Engine, Evaluate, Record};
use super::storage::{Cursor, Storage};
use super::template::{Flags, Place, Residual, Template, Vjp};
use super::{CONSTANT, Tape, Var, wrong_count};
use crate::Side;
use crate::error::EagerError;

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
    /// one of `wrt`, that is no variable of this tape; [`EagerError::Freed`];
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
        self.evaluate_backward(outputs, wrt, false)
    }

    /// [`backward`](Self::backward), without freeing anything.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn backward_keeping(
        &mut self,
        outputs: &[(&Var<Op>, Op::Operand)],
        wrt: &[&Var<Op>],
    ) -> Result<Vec<Option<Op::Operand>>, EagerError> {
        self.evaluate_backward(outputs, wrt, true)
    }

    /// [`backward`](Self::backward) with the gradients themselves recorded, so that one can go backward
    /// from them: seeds and gradients are variables. Frees nothing. (PyTorch: `create_graph`.)
    ///
    /// # Errors
    ///
    /// As there.
    pub fn backward_recorded(
        &mut self,
        outputs: &[(&Var<Op>, Var<Op>)],
        wrt: &[&Var<Op>],
    ) -> Result<Vec<Option<Var<Op>>>, EagerError> {
        for (position, (_, seed)) in outputs.iter().enumerate() {
            if seed.requires_grad() {
                self.check(seed, || format!("seed {position}"))?;
            }
        }
        self.check_ends(outputs.iter().map(|(output, _)| *output), wrt)?;
        let seeds: Vec<_> = outputs
            .iter()
            .map(|(y, seed)| (y.index(), seed.clone()))
            .collect();
        // The past is set aside while what is computed of it is recorded after it.
        let mut past = self.storage.set_aside();
        let mut templates = self.templates.clone();
        let mut engine = Record { tape: self };
        let gradients = sweep(&mut past, &mut templates, &mut engine, seeds, wrt, true);
        self.storage.join(past);
        gradients
    }

    fn evaluate_backward(
        &mut self,
        outputs: &[(&Var<Op>, Op::Operand)],
        wrt: &[&Var<Op>],
        keep: bool,
    ) -> Result<Vec<Option<Op::Operand>>, EagerError> {
        self.check_ends(outputs.iter().map(|(output, _)| *output), wrt)?;
        let seeds: Vec<_> = outputs
            .iter()
            .map(|(y, seed)| (y.index(), seed.clone()))
            .collect();
        let mut engine = Evaluate {
            ctx: &mut self.ctx,
            name: &self.name,
            ad_ctx: &mut self.ad_ctx,
        };
        sweep(
            &mut self.storage,
            &mut self.templates,
            &mut engine,
            seeds,
            wrt,
            keep,
        )
    }

    fn check_ends<'a>(
        &self,
        outputs: impl Iterator<Item = &'a Var<Op>>,
        wrt: &[&Var<Op>],
    ) -> Result<(), EagerError> {
        for (position, output) in outputs.enumerate() {
            self.check(output, || format!("output {position}"))?;
        }
        for (position, input) in wrt.iter().enumerate() {
            self.check(input, || format!("input {position}"))?;
        }
        Ok(())
    }

    fn check(&self, var: &Var<Op>, place: impl Fn() -> String) -> Result<(), EagerError> {
        if var.index() == CONSTANT {
            return Err(EagerError::ConstantVar { place: place() });
        }
        let checked = self.life.check(var.place);
        checked.map_err(|fault| fault.of(place()))
    }
}

/// The one walk behind every way to go backward: through all calls, from the last to the first.
fn sweep<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>>(
    storage: &mut Storage<Op>,
    templates: &mut [std::sync::Arc<Template<Op>>],
    engine: &mut E,
    seeds: Vec<(u32, E::Value)>,
    wrt: &[&Var<Op>],
    keep: bool,
) -> Result<Vec<Option<E::Value>>, EagerError> {
    let mut pass = Sweep::new(storage, templates, wrt);
    for (output, seed) in seeds {
        pass.cotangents.add(output, seed, engine)?;
    }
    let mut cursor = storage.end();
    while cursor.nodes > 0 {
        let node = storage.step_back(&mut cursor, templates);
        pass.collect(cursor.values);
        let Some(template) = node.template() else {
            continue;
        };
        let template = &mut templates[template];
        let operands = &storage.operands[cursor.operands..][..template.active_count as usize];
        let Some(vjp) = pass.enter(template, cursor, operands, engine)? else {
            continue;
        };
        if node.is_freed() {
            return Err(EagerError::Freed {
                operation: describe_operation(&template.operation),
            });
        }
        let residuals = &mut storage.residuals[cursor.residuals..][..template.residuals.len()];
        pass.load(template, residuals, operands, cursor, engine, keep);
        let vjp = template.vjp(vjp);
        pass.run(vjp, engine)?;
        pass.hand_on(vjp, operands, engine)?;
        if !keep {
            storage.nodes[cursor.nodes].free();
        }
    }
    Ok(pass.gradients)
}

/// The cotangents of all values, as far as they have been added up.
struct Cotangents<Op, Value> {
    by_value: Vec<Option<Value>>,
    add: Op,
    sum: Vec<Value>,
}

impl<Op: Primitive + EvaluableGraphOperation, Value: Clone> Cotangents<Op, Value> {
    /// The one door by which a cotangent reaches a value, be it a seed or what a VJP computes.
    #[inline]
    fn add(
        &mut self,
        value: u32,
        cotangent: Value,
        engine: &mut impl Engine<Op, Value = Value>,
    ) -> Result<(), EagerError> {
        let place = &mut self.by_value[value as usize];
        let sum = match place.take() {
            None => cotangent,
            Some(so_far) => {
                self.sum.clear();
                engine.apply(&self.add, &[&so_far, &cotangent], &mut self.sum)?;
                let found = self.sum.len();
                match (self.sum.pop(), found) {
                    (Some(sum), 1) => sum,
                    _ => return Err(wrong_count(&self.add, Side::Outputs, 1, found)),
                }
            }
        };
        *place = Some(sum);
        Ok(())
    }
}

/// One pass backward.
struct Sweep<Op, Value> {
    cotangents: Cotangents<Op, Value>,
    /// By value: whether it depends on one of the values to differentiate by.
    wanted: Vec<bool>,
    /// The values to differentiate by that are still to come, with their positions; those that come
    /// next last.
    ahead: Vec<(u32, usize)>,
    gradients: Vec<Option<Value>>,
    /// Of the call at hand: the cotangents of its results, what was kept of it, and what instructions
    /// have computed.
    seeds: Vec<Option<Value>>,
    kept: Vec<Value>,
    computed: Vec<Value>,
    results: Vec<Value>,
}

impl<Op: Primitive + EvaluableGraphOperation, Value: Clone> Sweep<Op, Value> {
    fn new(
        storage: &Storage<Op>,
        templates: &[std::sync::Arc<Template<Op>>],
        wrt: &[&Var<Op>],
    ) -> Self {
        let values = storage.values as usize;
        let mut by_value = Vec::with_capacity(values);
        by_value.resize_with(values, || None);
        let mut ahead: Vec<(u32, usize)> = wrt.iter().map(|var| var.index()).zip(0..).collect();
        ahead.sort_unstable();
        Self {
            cotangents: Cotangents {
                by_value,
                add: Op::add(),
                sum: Vec::new(),
            },
            wanted: storage.depends_on(wrt.iter().map(|var| var.index()), templates),
            ahead,
            gradients: vec![None; wrt.len()],
            seeds: Vec::new(),
            kept: Vec::new(),
            computed: Vec::new(),
            results: Vec::new(),
        }
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

    /// Takes the cotangents of a call's results and chooses the VJP for those that are there and for
    /// what is wanted; `None` if nothing is there, or nothing wanted.
    #[inline]
    fn enter(
        &mut self,
        template: &mut std::sync::Arc<Template<Op>>,
        at: Cursor,
        operands: &[u32],
        engine: &mut impl Engine<Op>,
    ) -> Result<Option<usize>, EagerError> {
        let first = at.values as usize;
        self.seeds.clear();
        let cotangents = &mut self.cotangents.by_value[first..first + template.outputs as usize];
        self.seeds.extend(cotangents.iter_mut().map(Option::take));
        let seeded = self.seeds.iter().filter(|seed| seed.is_some()).count();
        let wanted = operands
            .iter()
            .filter(|&&operand| self.wanted[operand as usize]);
        let wanted = wanted.count();
        if seeded == 0 || wanted == 0 {
            return Ok(None);
        }
        if (seeded, wanted) == (self.seeds.len(), operands.len()) {
            return Ok(Some(Template::<Op>::WHOLE));
        }
        let seeded: Flags = self.seeds.iter().map(Option::is_some).collect();
        let wanted = operands
            .iter()
            .map(|&operand| self.wanted[operand as usize]);
        let wanted: Flags = wanted.collect();
        if let Some(known) = template.find(&seeded, &wanted) {
            return Ok(Some(known));
        }
        let (name, ctx) = engine.derivation();
        let template = std::sync::Arc::make_mut(template);
        template.derive_for(&seeded, &wanted, name, ctx).map(Some)
    }

    /// Takes what was kept of a call, or copies it.
    #[inline]
    fn load(
        &mut self,
        template: &Template<Op>,
        residuals: &mut [Option<Op::Operand>],
        operands: &[u32],
        at: Cursor,
        engine: &impl Engine<Op, Value = Value>,
        keep: bool,
    ) {
        self.kept.clear();
        for (residual, which) in residuals.iter_mut().zip(&template.residuals) {
            let value = match keep {
                true => residual.clone(),
                false => residual.take(),
            };
            let value = value.expect("a call that is not freed has its residuals");
            let place = || match *which {
                Residual::Output(output) => at.values + output,
                Residual::Operand(at) => template.place_of(at as usize, operands),
            };
            self.kept.push(engine.residual(value, place));
        }
    }

    /// Runs the instructions of a VJP.
    #[inline]
    fn run(
        &mut self,
        vjp: &Vjp<Op>,
        engine: &mut impl Engine<Op, Value = Value>,
    ) -> Result<(), EagerError> {
        self.computed.clear();
        for instruction in &vjp.instructions {
            let operation = &instruction.operation;
            let get = |place| find(place, &self.kept, &self.seeds, &self.computed);
            // The usual numbers of operands need no list.
            match instruction.operands[..] {
                [x] => engine.apply(operation, &[get(x)], &mut self.results)?,
                [x, y] => engine.apply(operation, &[get(x), get(y)], &mut self.results)?,
                ref more => {
                    let more: Vec<&Value> = more.iter().map(|&place| get(place)).collect();
                    engine.apply(operation, &more, &mut self.results)?;
                }
            }
            let (expected, found) = (instruction.results as usize, self.results.len());
            if expected != found {
                return Err(wrong_count(operation, Side::Outputs, expected, found));
            }
            self.computed.append(&mut self.results);
        }
        Ok(())
    }

    /// Adds what a VJP has computed to the cotangents of the operands.
    #[inline]
    fn hand_on(
        &mut self,
        vjp: &Vjp<Op>,
        operands: &[u32],
        engine: &mut impl Engine<Op, Value = Value>,
    ) -> Result<(), EagerError> {
        for (&operand, place) in operands.iter().zip(&vjp.cotangents) {
            if let Some(place) = *place {
                let cotangent = find(place, &self.kept, &self.seeds, &self.computed);
                self.cotangents.add(operand, cotangent.clone(), engine)?;
            }
        }
        Ok(())
    }
}

/// A value, while a VJP runs.
#[inline]
fn find<'a, T>(place: Place, kept: &'a [T], seeds: &'a [Option<T>], computed: &'a [T]) -> &'a T {
    match place {
        Place::Residual(at) => &kept[at as usize],
        Place::Seed(at) => {
            let seed = seeds[at as usize].as_ref();
            seed.expect("a VJP uses the seeds that it was derived for")
        }
        Place::Computed(at) => &computed[at as usize],
    }
}
