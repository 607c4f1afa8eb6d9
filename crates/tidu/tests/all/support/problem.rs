//! A function at a point, and its derivatives through the graph path and the builder path.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tidu::graph::{
    Graph, LocalValueId, ResolvedView, ValueKey, compile, materialize_merge, resolve,
};
use tidu::{
    ADRuleResult, DiffPassId, LinearizedGraph, try_linear_transpose,
    try_linear_transpose_with_builder, try_linearize,
};

use super::interpreter::{Interpreter, KeyEvaluator};
use super::{Point, TestKey, TestOp};

/// A function f at a point x, with the inputs to differentiate by.
///
/// [`forward`](Self::forward) and [`reverse`](Self::reverse) make problems of problems, so that
/// derivatives of any order read as they are written.
pub struct Problem<Op: TestOp> {
    pub roots: Vec<Arc<Graph<Op>>>,
    /// `None` where an earlier derivative is a symbolic zero.
    pub outputs: Vec<Option<ValueKey<Op>>>,
    pub wrt: Vec<Op::InputKey>,
    pub point: Point<Op>,
    pub aliases: HashMap<Op::InputKey, ValueKey<Op>>,
    pub context: Rc<RefCell<Op::ADContext>>,
    /// How many passes were taken.
    passes: DiffPassId,
}

impl<Op: TestOp> Problem<Op> {
    pub fn new(
        roots: Vec<Arc<Graph<Op>>>,
        outputs: Vec<ValueKey<Op>>,
        wrt: Vec<Op::InputKey>,
        point: Point<Op>,
    ) -> Self {
        let problem = Self {
            roots,
            outputs: outputs.into_iter().map(Some).collect(),
            wrt,
            point,
            aliases: HashMap::new(),
            context: Rc::default(),
            passes: 0,
        };
        for (key, value) in &problem.point {
            Op::register(&mut problem.context.borrow_mut(), key, value);
        }
        problem
    }

    /// The same function, to be differentiated by these inputs.
    pub fn wrt<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.wrt = names.iter().map(|&name| TestKey::named(name)).collect();
        self
    }

    pub fn view(&self) -> ResolvedView<Op> {
        resolve(self.roots.clone())
    }

    /// f(x), through view, flat graph and program.
    pub fn evaluate(&self) -> Vec<Option<Op::Operand>> {
        let outputs: Vec<ValueKey<Op>> = self.outputs.iter().flatten().cloned().collect();
        let flat = materialize_merge(&self.view(), &outputs);
        let value = |key| match self.point.get(key) {
            Some(value) => value,
            None => panic!("{key:?} has no value"),
        };
        let inputs: Vec<&Op::Operand> = flat.inputs.iter().map(value).collect();
        let mut results = compile(&flat)
            .eval(&mut Op::Context::default(), &inputs)
            .into_iter();
        let outputs = self.outputs.iter();
        outputs
            .map(|output| output.as_ref().and_then(|_| results.next()))
            .collect()
    }

    pub fn try_linearize(&self, pass: DiffPassId) -> ADRuleResult<LinearizedGraph<Op>> {
        let outputs: Vec<ValueKey<Op>> = self.outputs.iter().flatten().cloned().collect();
        let mut context = self.context.borrow_mut();
        let linear = try_linearize(
            &self.view(),
            &outputs,
            &self.wrt,
            pass,
            &mut context,
            &self.aliases,
        )?;
        for ((key, id), wrt) in linear.tangent_inputs().iter().zip(&self.wrt) {
            assert_eq!(*key, *wrt);
            if let Some(primal) = self.point.get(&ValueKey::Input(wrt.clone())) {
                let tangent = &linear.as_graph().values()[*id].key;
                Op::register(&mut context, tangent, primal);
            }
        }
        Ok(linear)
    }

    /// The linear map of the next pass.
    pub fn linearize(&self) -> LinearizedGraph<Op> {
        self.try_linearize(self.passes + 1)
            .expect("the function can be linearized")
    }

    pub fn transpose(&self, linear: &LinearizedGraph<Op>) -> LinearizedGraph<Op> {
        try_linear_transpose(linear, &mut self.context.borrow_mut())
            .expect("the linear map can be transposed")
    }

    /// x ↦ J(x)·t
    pub fn forward(&self, t: &[Op::Operand]) -> Self {
        let linear = self.linearize();
        let mut next = self.next();
        for ((_, id), t) in linear.tangent_inputs().iter().zip(t) {
            next.bind(&linear, *id, t);
        }
        next.outputs = self.align(keys(&linear, linear.tangent_outputs()));
        next.roots.push(Arc::new(linear.into_graph()));
        next
    }

    /// x ↦ J(x)ᵀ·c
    pub fn reverse(&self, c: &[Op::Operand]) -> Self {
        let linear = self.linearize();
        let transposed = self.transpose(&linear);
        let mut next = self.next();
        let seeds = self.active(&linear, c);
        assert_eq!(seeds.len(), transposed.tangent_inputs().len());
        for ((_, id), c) in transposed.tangent_inputs().iter().zip(&seeds) {
            next.bind(&transposed, *id, c);
        }
        next.outputs = keys(&transposed, transposed.tangent_outputs());
        next.roots.push(Arc::new(linear.into_graph()));
        next.roots.push(Arc::new(transposed.into_graph()));
        next
    }

    /// J(x)·t
    pub fn jvp(&self, t: &[Op::Operand]) -> Vec<Option<Op::Operand>> {
        self.forward(t).evaluate()
    }

    /// J(x)ᵀ·c, through the graph path.
    pub fn vjp(&self, c: &[Op::Operand]) -> Vec<Option<Op::Operand>> {
        self.reverse(c).evaluate()
    }

    /// J(x)·t, by transposing the linear map twice.
    pub fn jvp_transposed_twice(&self, t: &[Op::Operand]) -> Vec<Option<Op::Operand>> {
        let linear = self.linearize();
        let once = self.transpose(&linear);
        let tangents = self.jvp(t).into_iter().flatten();
        for ((key, _), tangent) in once.tangent_inputs().iter().zip(tangents) {
            // A seed is like the tangent that it belongs to.
            let key = ValueKey::Input(key.clone());
            Op::register(&mut self.context.borrow_mut(), &key, &tangent);
        }
        let twice = self.transpose(&once);
        let mut next = self.next();
        let active = once.tangent_outputs().iter().zip(t);
        let seeds = active.filter_map(|(active, t)| active.map(|_| t));
        for ((_, id), t) in twice.tangent_inputs().iter().zip(seeds) {
            next.bind(&twice, *id, t);
        }
        let mut back = keys(&twice, twice.tangent_outputs()).into_iter();
        let outputs = linear.tangent_outputs().iter();
        next.outputs = self.align(
            outputs
                .map(|active| active.and_then(|_| back.next().expect("one an active output")))
                .collect(),
        );
        for map in [linear, once, twice] {
            next.roots.push(Arc::new(map.into_graph()));
        }
        next.evaluate()
    }

    /// J(x)ᵀ·c, through a builder that computes at once; `None` is a symbolic zero.
    pub fn vjp_by_builder(&self, c: &[Option<Op::Operand>]) -> Vec<Option<Op::Operand>> {
        let linear = self.linearize();
        let mut keys = KeyEvaluator::new(&self.point);
        let mut runtime = Interpreter::new(|key: &ValueKey<Op>| keys.value(key));
        let seeds = runtime.seed(&self.active(&linear, c));
        let mut context = self.context.borrow_mut();
        let cotangents =
            try_linear_transpose_with_builder(&linear, &mut runtime, &seeds, &mut context)
                .expect("the linear map can be transposed");
        runtime.read(&cotangents)
    }

    /// Those of `c` whose outputs are active in the linear map.
    pub fn active<T: Clone>(&self, linear: &LinearizedGraph<Op>, c: &[T]) -> Vec<T> {
        assert_eq!(c.len(), self.outputs.len());
        let active = self.align(linear.tangent_outputs().to_vec());
        let active = active.iter().zip(c);
        active
            .filter_map(|(active, c)| active.map(|_| c.clone()))
            .collect()
    }

    /// What a transform says of the outputs that are there, for all outputs.
    fn align<T>(&self, of_those_there: Vec<Option<T>>) -> Vec<Option<T>> {
        let mut of_those_there = of_those_there.into_iter();
        let outputs = self.outputs.iter();
        outputs
            .map(|output| {
                let there = output.as_ref()?;
                let of_it = of_those_there.next();
                of_it.unwrap_or_else(|| panic!("nothing is said of {there:?}"))
            })
            .collect()
    }

    fn next(&self) -> Self {
        let mut next = self.clone();
        next.passes += 1;
        next
    }

    fn bind(&mut self, map: &LinearizedGraph<Op>, id: LocalValueId, value: &Op::Operand) {
        let key = map.as_graph().values()[id].key.clone();
        Op::register(&mut self.context.borrow_mut(), &key, value);
        self.point.insert(key, value.clone());
    }
}

/// The AD context is shared, so that what is learnt of one derivative is known of the next.
impl<Op: TestOp> Clone for Problem<Op> {
    fn clone(&self) -> Self {
        Self {
            roots: self.roots.clone(),
            outputs: self.outputs.clone(),
            wrt: self.wrt.clone(),
            point: self.point.clone(),
            aliases: self.aliases.clone(),
            context: Rc::clone(&self.context),
            passes: self.passes,
        }
    }
}

/// The keys of values of a linear map.
pub fn keys<Op: TestOp>(
    map: &LinearizedGraph<Op>,
    ids: &[Option<LocalValueId>],
) -> Vec<Option<ValueKey<Op>>> {
    let key = |id: LocalValueId| map.as_graph().values()[id].key.clone();
    ids.iter().map(|id| id.map(key)).collect()
}

/// Everything that can be seen of a linear map, as text.
pub fn linear_listing<Op: TestOp>(map: &LinearizedGraph<Op>) -> String {
    format!(
        "{:#?} {:?} {:?}",
        map.as_graph().operations(),
        map.tangent_inputs(),
        map.tangent_outputs()
    )
}
