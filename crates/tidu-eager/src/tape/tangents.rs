//! Forward mode over a recorded tape.

use std::ops::Range;
use std::sync::Arc;

use tidu_ad::Primitive;
use tidu_graph::EvaluableGraphOperation;

use super::backward::{RunAgain, freed, over_past, run};
use super::engine::{Evaluate, apply_one};
use super::segment::SEGMENT;
use super::storage::{Cursor, Kind, Node, Storage};
use super::template::{Flags, Origin, Reach, Template};
use super::{CONSTANT, Tape, Var};
use crate::error::EagerError;

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// The tangents of `outputs` when variables move, for `inputs` of pairs (xᵢ, ẋᵢ): Σᵢ ∂y/∂xᵢ·ẋᵢ each;
    /// `None` for an output that depends on none of them. Goes over what was recorded, from the first
    /// call to the last, and frees nothing.
    ///
    /// # Errors
    ///
    /// As for [`backward`](Self::backward); [`EagerError::ResidualNotKept`] for an operation whose JVP
    /// needs a value that its VJP does not need.
    ///
    /// # Complexity
    ///
    /// Linear in the tape.
    ///
    /// # Example
    ///
    /// ```
    /// # use tidu_eager::Tape;
    /// # use tidu_scalar::{ScalarKey, ScalarOp};
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// let (x, y) = (tape.leaf(2.0), tape.leaf(3.0));
    /// let product = tape.apply_one(ScalarOp::Mul, &[&x, &y])?;
    /// // 3·0.1 + 2·0.01
    /// let tangent = tape.tangents(&[(&x, 0.1), (&y, 0.01)], &[&product])?;
    /// assert_eq!(tangent, [Some(0.1 * 3.0 + 2.0 * 0.01)]);
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn tangents(
        &mut self,
        inputs: &[(&Var<Op>, Op::Operand)],
        outputs: &[&Var<Op>],
    ) -> Result<Vec<Option<Op::Operand>>, EagerError> {
        self.check_outside("go forward")?;
        for (position, (input, _)) in inputs.iter().enumerate() {
            self.check(input, || format!("input {position}"))?;
        }
        for (position, output) in outputs.iter().enumerate() {
            self.depends(output, || format!("output {position}"))?;
        }
        let pass = over_past(&mut Evaluate(self), |past, Evaluate(tape)| {
            let mut pass = ForwardPass {
                by_value: vec![None; past.values as usize],
                used: tape.used_values(past, outputs),
                lost: Vec::new(),
                values: Vec::new(),
                results: Vec::new(),
            };
            for (input, tangent) in inputs {
                pass.add(input.index(), tangent.clone(), None, tape)?;
            }
            pass.walk(past, tape)?;
            Ok(pass)
        })?;
        let outputs = outputs.iter().map(|output| {
            if let Some(replaced) = pass.lost_by(output.index()) {
                return Err(self.replaced_gradient(replaced));
            }
            let tangent = pass.by_value.get(output.index() as usize);
            Ok(tangent.cloned().flatten())
        });
        outputs.collect()
    }

    /// By value: whether a call uses it, or it is one of `outputs`. Empty where every value may be used,
    /// or none is hidden from callers.
    fn used_values(&self, past: &Storage<Op>, outputs: &[&Var<Op>]) -> Vec<bool> {
        // The body of a segment may have captured anything.
        let any_hidden = self.templates.iter().any(|template| template.hides());
        if !any_hidden || !past.segments.is_empty() {
            return Vec::new();
        }
        let mut used = vec![false; past.values as usize];
        let outputs = outputs.iter().filter(|output| output.requires_grad());
        let outputs = outputs.map(|output| output.index());
        for value in past.operands.iter().copied().chain(outputs) {
            used[value as usize] = true;
        }
        used
    }
}

/// One pass forward.
struct ForwardPass<Op: Primitive> {
    /// The tangents of all values.
    by_value: Vec<Option<Op::Operand>>,
    /// By value: whether its tangent may be asked for. Empty if any may.
    used: Vec<bool>,
    /// By value: the replaced gradient by which nobody knows how it moves; [`CONSTANT`] for none, as for
    /// those after the last that has one.
    lost: Vec<u32>,
    /// Of the call at hand.
    values: Vec<Op::Operand>,
    results: Vec<Op::Operand>,
}

impl<Op: Primitive + EvaluableGraphOperation> ForwardPass<Op> {
    fn walk(&mut self, storage: &Storage<Op>, tape: &mut Tape<Op>) -> Result<(), EagerError> {
        let mut cursor = storage.start();
        for node in &storage.nodes {
            match node.kind() {
                Kind::Leaf => {}
                Kind::Replaced => self.replaced(storage.operands[cursor.operands], cursor.values),
                Kind::Segment => self.segment(storage, cursor, tape)?,
                Kind::Call(template) => self.call(template, *node, storage, cursor, tape)?,
            }
            storage.step_on(&mut cursor, &tape.templates);
        }
        Ok(())
    }

    fn call(
        &mut self,
        id: usize,
        node: Node,
        storage: &Storage<Op>,
        at: Cursor,
        tape: &mut Tape<Op>,
    ) -> Result<(), EagerError> {
        let template = &tape.templates[id];
        let operands = &storage.operands[at.operands..][..template.active_count as usize];
        if self.lose(operands, at.values..at.values + template.outputs) {
            return Ok(());
        }
        let tangent_of = |operand| match template.place_of(operand, operands) {
            CONSTANT => None,
            index => self.by_value[index as usize].as_ref(),
        };
        let all = 0..template.active.len();
        let moving: Flags = all
            .clone()
            .map(|operand| tangent_of(operand).is_some())
            .collect();
        if !moving.contains(&true) {
            return Ok(());
        }
        if node.is_freed() {
            return Err(freed(template.describe()));
        }
        self.values.clear();
        let kept = &storage.residuals[at.residuals..][..template.residuals.len()];
        self.values.extend(kept.iter().flatten().cloned());
        self.values
            .extend(all.filter_map(|operand| tangent_of(operand).cloned()));

        let location = storage.locations.get(at.nodes).copied().flatten();
        let reach = self.reach(template, at.values);
        let derived = match template.find_jvp(&moving, reach) {
            Some(known) => known,
            None => {
                let derived = tape.derive_more(id, |template, deriver| {
                    template.derive_jvp(&moving, reach, deriver)
                });
                derived.map_err(|error| error.applied_at(location))?
            }
        };
        let template = Arc::clone(&tape.templates[id]);
        let jvp = template.jvp(derived);
        let origin = (&*template, location);
        let (values, results) = (&mut self.values, &mut self.results);
        run(jvp, origin, values, results, &mut Evaluate(tape))?;
        for (value, place) in (at.values..).zip(&jvp.outputs) {
            if let Some(place) = *place {
                let tangent = self.values[place as usize].clone();
                self.add(value, tangent, Some(origin), tape)?;
            }
        }
        Ok(())
    }

    /// Whether tangents of hidden results are needed too, of a call whose results start at `first`.
    fn reach(&self, template: &Template<Op>, first: u32) -> Reach {
        let hidden = first + template.visible..first + template.outputs;
        let used = |value| self.used.get(value as usize).copied().unwrap_or(true);
        if template.hides() && hidden.into_iter().any(used) {
            Reach::All
        } else {
            Reach::Visible
        }
    }

    /// Runs a segment again, recording, and goes forward over what it recorded.
    fn segment(
        &mut self,
        storage: &Storage<Op>,
        at: Cursor,
        tape: &mut Tape<Op>,
    ) -> Result<(), EagerError> {
        let segment = &storage.segments[at.segments];
        let body = segment.body.clone();
        let body = body.ok_or_else(|| freed(SEGMENT.into()))?;
        let count = segment.operands as usize;
        let kept = storage.residuals[at.residuals..][..count].iter().flatten();
        let operands = kept.zip(&storage.operands[at.operands..]);
        let operands = operands.map(|(kept, &index)| Var {
            value: kept.clone(),
            place: tape.place_at(index),
        });
        let operands: Vec<Var<Op>> = operands.collect();

        let RunAgain {
            before,
            again,
            results,
        } = tape.run_again(segment, &*body, &operands);
        let first = before.values as usize;
        let outcome = results.and_then(|results| {
            self.by_value.resize(again.values as usize, None);
            self.walk(&again, tape)?;
            for (value, result) in (at.values..).zip(&results) {
                if !self.lose(&[result.index()], value..value + 1)
                    && result.requires_grad()
                    && let Some(tangent) = self.by_value[result.index() as usize].clone()
                {
                    self.add(value, tangent, None, tape)?;
                }
            }
            Ok(())
        });
        // Nothing of it remains, and its indices are given out again.
        tape.restore(before);
        self.by_value.truncate(first);
        self.lost.truncate(first);
        outcome
    }

    /// Whatever depends on a gradient that a hook replaced moves in a way that nobody knows, if the one
    /// in whose place it is moves.
    fn replaced(&mut self, operand: u32, value: u32) {
        let moves = self.by_value[operand as usize].is_some();
        if !self.lose(&[operand], value..value + 1) && moves {
            self.lose_value(value, value);
        }
    }

    /// Whether an operand is lost, and with it the results.
    fn lose(&mut self, operands: &[u32], results: Range<u32>) -> bool {
        if self.lost.is_empty() {
            return false;
        }
        let mut operands = operands.iter();
        let Some(replaced) = operands.find_map(|operand| self.lost_by(*operand)) else {
            return false;
        };
        results.for_each(|result| self.lose_value(result, replaced));
        true
    }

    fn lose_value(&mut self, value: u32, replaced: u32) {
        let value = value as usize;
        if self.lost.len() <= value {
            self.lost.resize(value + 1, CONSTANT);
        }
        self.lost[value] = replaced;
    }

    /// The replaced gradient by which a value is lost.
    fn lost_by(&self, value: u32) -> Option<u32> {
        let replaced = self.lost.get(value as usize).copied();
        replaced.filter(|replaced| *replaced != CONSTANT)
    }

    /// Adds to the tangent of a value.
    fn add(
        &mut self,
        value: u32,
        tangent: Op::Operand,
        from: Option<Origin<'_, Op>>,
        tape: &mut Tape<Op>,
    ) -> Result<(), EagerError> {
        let place = &mut self.by_value[value as usize];
        let sum = match place {
            None => tangent,
            Some(so_far) => {
                let terms = [&*so_far, &tangent];
                apply_one(
                    &Op::add(),
                    terms,
                    &mut self.results,
                    from,
                    &mut Evaluate(tape),
                )?
            }
        };
        *place = Some(sum);
        Ok(())
    }
}
