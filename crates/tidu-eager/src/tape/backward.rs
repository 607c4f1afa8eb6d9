//! Going backward through a tape.

use tidu_ad::Primitive;
use tidu_graph::{EvaluableGraphOperation, describe_operation};

use super::storage::{Cursor, Storage};
use super::template::{Flags, Place, Template, Vjp};
use super::{CONSTANT, Tape, Var, wrong_count};
use crate::Side;
use crate::error::EagerError;

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// The gradients of Σᵢ ⟨seedᵢ, yᵢ⟩ by each of `wrt`, for `outputs` of pairs (yᵢ, seedᵢ); `None` for
    /// one that no output depends on.
    ///
    /// What it uses of the tape is freed: a second pass through the same calls is an error. See
    /// [`backward_keeping`](Self::backward_keeping).
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`], [`EagerError::ForeignVar`], [`EagerError::StaleVar`] for an output, or
    /// one of `wrt`, that is not a variable of this tape; [`EagerError::Freed`];
    /// [`EagerError::WrongValueCount`] for an operation whose `eval` returns the wrong number of results.
    ///
    /// # Complexity
    ///
    /// Linear in the tape up to the last of the outputs.
    pub fn backward(
        &mut self,
        outputs: &[(&Var<Op>, Op::Operand)],
        wrt: &[&Var<Op>],
    ) -> Result<Vec<Option<Op::Operand>>, EagerError> {
        self.sweep(outputs, wrt, false)
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
        self.sweep(outputs, wrt, true)
    }

    fn sweep(
        &mut self,
        outputs: &[(&Var<Op>, Op::Operand)],
        wrt: &[&Var<Op>],
        keep: bool,
    ) -> Result<Vec<Option<Op::Operand>>, EagerError> {
        for (position, (output, _)) in outputs.iter().enumerate() {
            self.check(output, || format!("output {position}"))?;
        }
        for (position, input) in wrt.iter().enumerate() {
            self.check(input, || format!("input {position}"))?;
        }
        let mut pass = Sweep::new(&self.storage, &self.templates, wrt);
        for (output, seed) in outputs {
            pass.cotangents
                .add(output.place.index, seed.clone(), &mut self.ctx)?;
        }
        let mut cursor = self.storage.end();
        while cursor.nodes > 0 {
            let node = self.storage.step_back(&mut cursor, &self.templates);
            pass.collect(cursor.values);
            let Some(template) = node.template() else {
                continue;
            };
            let template = &mut self.templates[template];
            let operands = &self.storage.operands[cursor.operands..];
            let operands = &operands[..template.active_count as usize];
            let chosen = pass.enter(template, cursor, operands, &self.name, &mut self.ad_ctx)?;
            let Some(vjp) = chosen.map(|vjp| template.vjp(vjp)) else {
                continue;
            };
            if node.is_freed() {
                return Err(EagerError::Freed {
                    operation: describe_operation(&template.operation),
                });
            }
            let residuals = cursor.residuals..cursor.residuals + template.residuals.len();
            let kept = &self.storage.residuals[residuals.clone()];
            pass.run(vjp, kept, &mut self.ctx)?;
            pass.hand_on(vjp, kept, operands, &mut self.ctx)?;
            if !keep {
                self.storage.residuals[residuals].fill_with(|| None);
                self.storage.nodes[cursor.nodes].free();
            }
        }
        Ok(pass.gradients)
    }

    fn check(&self, var: &Var<Op>, place: impl Fn() -> String) -> Result<(), EagerError> {
        if var.place.index == CONSTANT {
            return Err(EagerError::ConstantVar { place: place() });
        }
        let checked = self.life.check(var.place);
        checked.map_err(|fault| fault.of(place()))
    }
}

/// The cotangents of all values, as far as they have been added up.
struct Cotangents<Op: Primitive + EvaluableGraphOperation> {
    by_value: Vec<Option<Op::Operand>>,
    add: Op,
    sum: Vec<Op::Operand>,
}

impl<Op: Primitive + EvaluableGraphOperation> Cotangents<Op> {
    /// The one door by which a cotangent reaches a value, be it a seed or what a VJP computes.
    #[inline]
    fn add(
        &mut self,
        value: u32,
        cotangent: Op::Operand,
        ctx: &mut Op::Context,
    ) -> Result<(), EagerError> {
        let place = &mut self.by_value[value as usize];
        let sum = match place.take() {
            None => cotangent,
            Some(so_far) => {
                self.sum.clear();
                self.add
                    .eval_into(ctx, &[&so_far, &cotangent], &mut self.sum);
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
struct Sweep<Op: Primitive + EvaluableGraphOperation> {
    cotangents: Cotangents<Op>,
    /// By value: whether it depends on one of the values to differentiate by.
    wanted: Vec<bool>,
    /// The values to differentiate by that are still to come, with their positions; the last ones
    /// on the tape last.
    ahead: Vec<(u32, usize)>,
    gradients: Vec<Option<Op::Operand>>,
    /// The cotangents of the results of the call at hand.
    seeds: Vec<Option<Op::Operand>>,
    /// What instructions have computed.
    computed: Vec<Op::Operand>,
    results: Vec<Op::Operand>,
}

impl<Op: Primitive + EvaluableGraphOperation> Sweep<Op> {
    fn new(storage: &Storage<Op>, templates: &[Template<Op>], wrt: &[&Var<Op>]) -> Self {
        let values = storage.values as usize;
        let mut by_value = Vec::with_capacity(values);
        by_value.resize_with(values, || None);
        let ahead = wrt.iter().enumerate();
        let mut ahead: Vec<(u32, usize)> = ahead.map(|(at, var)| (var.place.index, at)).collect();
        ahead.sort_unstable();
        Self {
            cotangents: Cotangents {
                by_value,
                add: Op::add(),
                sum: Vec::new(),
            },
            wanted: storage.depends_on(wrt.iter().map(|var| var.place.index), templates),
            ahead,
            gradients: vec![None; wrt.len()],
            seeds: Vec::new(),
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
        template: &mut Template<Op>,
        at: Cursor,
        operands: &[u32],
        name: &Op::InputKey,
        ctx: &mut Op::ADContext,
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
        template
            .find_or_derive(&seeded, &wanted, name, ctx)
            .map(Some)
    }

    /// Runs the instructions of a VJP.
    #[inline]
    fn run(
        &mut self,
        vjp: &Vjp<Op>,
        kept: &[Option<Op::Operand>],
        ctx: &mut Op::Context,
    ) -> Result<(), EagerError> {
        self.computed.clear();
        for instruction in &vjp.instructions {
            let operation = &instruction.operation;
            let get = |place| find(place, kept, &self.seeds, &self.computed);
            // The usual numbers of operands need no list.
            match instruction.operands[..] {
                [x] => operation.eval_into(ctx, &[get(x)], &mut self.results),
                [x, y] => operation.eval_into(ctx, &[get(x), get(y)], &mut self.results),
                ref more => {
                    let more: Vec<&Op::Operand> = more.iter().map(|&place| get(place)).collect();
                    operation.eval_into(ctx, &more, &mut self.results);
                }
            }
            let (expected, found) = (instruction.results as usize, self.results.len());
            if expected != found {
                let operation = &instruction.operation;
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
        kept: &[Option<Op::Operand>],
        operands: &[u32],
        ctx: &mut Op::Context,
    ) -> Result<(), EagerError> {
        for (&operand, place) in operands.iter().zip(&vjp.cotangents) {
            if let Some(place) = *place {
                let cotangent = find(place, kept, &self.seeds, &self.computed);
                self.cotangents.add(operand, cotangent.clone(), ctx)?;
            }
        }
        Ok(())
    }
}

/// A value, while a VJP runs.
#[inline]
fn find<'a, T>(
    place: Place,
    kept: &'a [Option<T>],
    seeds: &'a [Option<T>],
    computed: &'a [T],
) -> &'a T {
    let value = match place {
        Place::Residual(at) => kept[at as usize].as_ref(),
        Place::Seed(at) => seeds[at as usize].as_ref(),
        Place::Computed(at) => computed.get(at as usize),
    };
    value.expect("a call that is not freed has its residuals, and a VJP uses seeds that are there")
}
