//! Functions: closed graphs whose derivatives are functions again.

mod arrange;
mod call;
mod composite;
mod dependence;
mod derivation;
mod derive;
mod error;
mod linear;
mod masked;
mod missing;
mod operations;
mod program;
mod residuals;
mod saving;
mod scope;
mod select;
mod simplify;
mod sparse;
mod survey;
mod types;
mod unit;

use std::borrow::Cow;
use std::fmt::{self, Debug, Display};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use tidu_graph::text::{
    Listing, ListingOutput, ParseError, ParseNames, input_label, input_name, parse_function,
};
use tidu_graph::{
    DenseGraph, Exactness, Graph, GraphBuilder, GraphOperation, LocalValueId, MaterializedGraph,
    Picture, ValueKey, merge, resolve, try_materialize_merge, try_simplify,
};

pub use composite::{Composite, Rules};
pub use derive::{Derive, Nonzero};
pub use error::FunctionError;
pub(crate) use error::check_flags;
pub use linear::{Linearization, Pullback, ResidualOrigin};
pub use missing::Mode;
pub use program::FunctionProgram;
pub use saving::Saving;
pub use scope::FunctionScope;
pub use select::{Wrt, WrtKeys};
pub use sparse::{LinearParts, SparseDerivative, SparseReceipt, Way};

use crate::derivatives::Derivatives;
use crate::rules::{ADKey, MissingRule, Primitive, ValueType};

/// A function of named inputs: a closed graph with ordered inputs and outputs.
///
/// Every transform of a function gives a function, so that they compose to any order:
/// `f.grad("x")?.grad("x")?` is a second derivative. Transforms choose their passes themselves, merge
/// what is computed twice, and drop what no output needs. (JAX: a jaxpr, and `jax.jvp`, `jax.vjp`,
/// `jax.grad` and their kin.)
///
/// Immutable and shared: cloning is O(1), and many threads may use one function.
///
/// # Example
///
/// f(x, y) = x·eʸ, its gradient, and ∂²f/∂y²:
///
/// ```
/// use tidu_ad::Function;
/// use tidu_scalar::ScalarOp;
///
/// let f: Function<ScalarOp> = "function {
///     input %0 = x
///     input %1 = y
///     %2 = exp %1
///     %3 = mul %0, %2
///     output %3 -> f
/// }".parse()?;
///
/// let gradient = f.grad(..)?;
/// assert_eq!(gradient.compile().call(&[2.0, 0.0])?, [1.0, 2.0]);
///
/// let second = f.grad("y")?.grad("y")?;
/// assert_eq!(second.compile().call_named(&[("y", 0.0), ("x", 3.0)])?, [3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Function<Op: GraphOperation> {
    content: Arc<Content<Op>>,
    /// By input, if they were given. Those of all values are in the graph, if the operation set infers any.
    types: Option<Arc<[ValueType]>>,
}

struct Content<Op: GraphOperation> {
    /// Equal work is done once in it, and no work is dead.
    dense: Arc<DenseGraph<Op>>,
    /// No two are the same.
    input_keys: Vec<Op::InputKey>,
    /// As they are printed, made when someone first asks.
    input_names: OnceLock<Box<[String]>>,
    output_names: Arc<[String]>,
    /// The same computation with keys, made when someone first looks at it.
    graph: OnceLock<Graph<Op>>,
    /// What is known of the derivatives of its operations, once someone has asked for some.
    derivatives: OnceLock<Derivatives<Op>>,
}

impl<Op: GraphOperation<InputKey: ADKey>> Function<Op> {
    /// Makes a function by building its graph: `body` is given the inputs and returns the outputs,
    /// which are called `out0`, `out1`, and so on.
    ///
    /// Meanwhile the inputs have keys of their own ([`FunctionScope`]), so that no input of another
    /// function is taken for one of them, whatever it is called.
    ///
    /// # Errors
    ///
    /// [`FunctionError::RepeatedInput`]; [`FunctionError::Graph`] if `body` uses a value of another
    /// graph.
    pub fn build<Key: Into<Op::InputKey>>(
        inputs: impl IntoIterator<Item = Key>,
        body: impl FnOnce(&mut GraphBuilder<Op>, &[LocalValueId]) -> Vec<LocalValueId>,
    ) -> Result<Self, FunctionError> {
        let scope = FunctionScope::new(inputs.into_iter().map(Into::into).collect());
        let mut builder = GraphBuilder::new();
        let ids = scope.inputs().filter_map(|input| match input {
            ValueKey::Input(key) => Some(builder.add_input(key)),
            ValueKey::Derived { .. } => None,
        });
        let ids: Vec<LocalValueId> = ids.collect();
        let outputs = body(&mut builder, &ids);
        builder.try_set_outputs(outputs)?;
        let graph = builder.build();
        let outputs = graph.outputs().iter();
        let outputs: Vec<ValueKey<Op>> =
            outputs.map(|&id| graph.values()[id].key.clone()).collect();
        let flat = try_materialize_merge(&resolve(vec![Arc::new(graph)]), &outputs)?;
        let names = (0..outputs.len()).map(|position| format!("out{position}"));
        scope.settle(&flat, names.collect())
    }
}

impl<Op: GraphOperation> Function<Op> {
    /// Makes a function of values of graphs that exist already, and of all their parents. An input is what
    /// its key says: keys that are equal are one input, whichever graph they come from.
    ///
    /// # Errors
    ///
    /// [`FunctionError::RepeatedInput`]; [`FunctionError::Graph`] for an output or operand that no
    /// graph defines, and for an input that the outputs need and that is not listed.
    pub fn from_graphs(
        graphs: Vec<Arc<Graph<Op>>>,
        inputs: &[Op::InputKey],
        outputs: &[ValueKey<Op>],
    ) -> Result<Self, FunctionError> {
        let names = (0..outputs.len()).map(|position| format!("out{position}"));
        let outputs = outputs.iter().cloned().zip(names).collect();
        Self::close(graphs, inputs, outputs, None)
    }

    /// Makes a function of the values that `outputs` describe, each with a name. An input is what its key
    /// says, whoever wrote it: in a body, where an expression of another function may come along whose inputs
    /// are called alike, let a [`FunctionScope`] keep the two apart.
    ///
    /// # Errors
    ///
    /// [`FunctionError::RepeatedInput`]; [`FunctionError::Graph`] for an input that the outputs need
    /// and that is not listed.
    pub fn from_keys(
        inputs: &[Op::InputKey],
        outputs: Vec<(ValueKey<Op>, String)>,
    ) -> Result<Self, FunctionError> {
        let (keys, names): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        error::check_distinct::<Op>(inputs)?;
        let dense = MaterializedGraph::from_keys(&keys)?.closed_over(inputs)?;
        Self::settle(dense, inputs.to_vec(), names, None)
    }

    /// Makes a function of a graph by positions, of whose inputs these are the keys, and of whose outputs these are
    /// the names. If the graph's values have types, the function's have.
    ///
    /// # Errors
    ///
    /// [`FunctionError::WrongNameCount`] if there is not one key per input and one name per output;
    /// [`FunctionError::RepeatedInput`].
    ///
    /// # Complexity
    ///
    /// Linear in the graph.
    ///
    /// # Example
    ///
    /// The gradient of x·eʸ:
    ///
    /// ```
    /// use tidu_ad::Function;
    /// use tidu_graph::DenseGraph;
    /// use tidu_scalar::ScalarOp;
    ///
    /// let mut graph = DenseGraph::new(2);
    /// let [x, y] = [graph.input(0), graph.input(1)];
    /// let exp = graph.push(ScalarOp::Exp, &[y])?.start();
    /// let product = graph.push(ScalarOp::Mul, &[x, exp])?.start();
    /// graph.try_set_outputs(vec![product])?;
    ///
    /// let f = Function::from_dense(graph, vec!["x".into(), "y".into()], vec!["f".into()])?;
    /// let gradient = f.grad(..)?;
    /// assert_eq!(gradient.output_names(), ["d.x", "d.y"]);
    /// assert_eq!(gradient.compile().call(&[2.0, 0.0])?, [1.0, 2.0]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn from_dense(
        graph: DenseGraph<Op>,
        input_keys: Vec<Op::InputKey>,
        output_names: Vec<String>,
    ) -> Result<Self, FunctionError> {
        let counts = [
            ("input", graph.input_count(), input_keys.len()),
            ("output", graph.outputs().len(), output_names.len()),
        ];
        for (what, expected, found) in counts {
            if expected != found {
                return Err(FunctionError::WrongNameCount {
                    what,
                    expected,
                    found,
                });
            }
        }
        error::check_distinct::<Op>(&input_keys)?;
        Self::settle(graph, input_keys, output_names, None)
    }

    /// Whether this is a clone of the other, or the other way round.
    pub fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.content, &other.content)
    }

    /// The computation by positions. Its inputs and outputs are the function's, in order.
    pub fn as_dense(&self) -> &DenseGraph<Op> {
        &self.content.dense
    }

    /// The graph. Its inputs and outputs are the function's, in order.
    ///
    /// # Complexity
    ///
    /// Linear in the function when it is first asked for, by any of the function's clones; O(1) from
    /// then on.
    pub fn as_graph(&self) -> &Graph<Op> {
        let content = &*self.content;
        let make = || content.dense.to_graph(&content.input_keys);
        content.graph.get_or_init(make)
    }

    /// The keys of the inputs, in order.
    pub fn input_keys(&self) -> Vec<Op::InputKey> {
        self.content.input_keys.clone()
    }

    /// The names of the inputs, in order, as they are printed.
    pub fn input_names(&self) -> Vec<String> {
        self.names().to_vec()
    }

    /// The names of the inputs, formatted once.
    fn names(&self) -> &[String] {
        let keys = self.content.input_keys.iter();
        let names = || keys.map(input_label::<Op>).collect();
        self.content.input_names.get_or_init(names)
    }

    /// The names of the outputs, in order.
    pub fn output_names(&self) -> &[String] {
        &self.content.output_names
    }

    /// The graph as a picture; [`Picture::with_types`] shows the types of its values, if they are known.
    pub fn picture(&self) -> Picture {
        let names = self.content.input_keys.iter().map(input_name::<Op>);
        Picture::of_dense_named("function", self.as_dense(), names)
    }

    /// Flattens what `outputs` need of `graphs`, as it is written, or simplified.
    pub(crate) fn close(
        graphs: Vec<Arc<Graph<Op>>>,
        inputs: &[Op::InputKey],
        outputs: Vec<(ValueKey<Op>, String)>,
        level: Option<Exactness>,
    ) -> Result<Self, FunctionError> {
        let (keys, names): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        let flat = try_materialize_merge(&resolve(graphs), &keys)?;
        error::check_distinct::<Op>(inputs)?;
        Self::settle(flat.closed_over(inputs)?, inputs.to_vec(), names, level)
    }

    /// What graphs that rules have made compute of values, of which `given` says which inputs they are: see
    /// [`DenseGraph::of_fragments`].
    pub(crate) fn of_fragments<'a>(
        inputs: Vec<Op::InputKey>,
        given: impl IntoIterator<Item = (&'a ValueKey<Op>, usize)>,
        graphs: &[&'a Graph<Op>],
        outputs: Vec<(ValueKey<Op>, String)>,
        level: Option<Exactness>,
    ) -> Result<Self, FunctionError> {
        let (keys, names): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        error::check_distinct::<Op>(&inputs)?;
        let dense = DenseGraph::of_fragments(inputs.len(), given, graphs, &keys)?;
        Self::settle(dense, inputs, names, level)
    }

    /// The one way by which a function comes about. No two of `input_keys` may be the same.
    fn settle<'a>(
        dense: impl Into<Cow<'a, DenseGraph<Op>>>,
        input_keys: Vec<Op::InputKey>,
        output_names: impl Into<Arc<[String]>>,
        level: Option<Exactness>,
    ) -> Result<Self, FunctionError> {
        let settled = match level {
            None => merge(dense),
            Some(level) => try_simplify(dense, level)?,
        };
        Ok(Self::new(settled, input_keys, output_names.into()))
    }

    fn new(
        dense: DenseGraph<Op>,
        input_keys: Vec<Op::InputKey>,
        output_names: Arc<[String]>,
    ) -> Self {
        let types = dense.types_of(dense.inputs());
        let content = Content {
            dense: Arc::new(dense),
            input_keys,
            input_names: OnceLock::new(),
            output_names,
            graph: OnceLock::new(),
            derivatives: OnceLock::new(),
        };
        Self {
            content: Arc::new(content),
            types: types.map(Into::into),
        }
    }

    /// Where derivatives of its operations are kept.
    fn derivatives(&self) -> Derivatives<Op> {
        let derivatives = &self.content.derivatives;
        derivatives.get_or_init(Derivatives::default).clone()
    }

    /// With a place for derivatives of its operations, if it is new and has none.
    fn sharing(self, derivatives: Derivatives<Op>) -> Self {
        // If somebody has a clone already, so be it.
        let _ = self.content.derivatives.set(derivatives);
        self
    }

    /// The same function with no place for derivatives yet, for those who hold it inside of an operation: a cache that
    /// holds the operation would hold itself otherwise.
    fn apart(&self) -> Self {
        let content = &*self.content;
        if content.derivatives.get().is_none() {
            return self.clone();
        }
        let apart = Content {
            dense: Arc::clone(&content.dense),
            input_keys: content.input_keys.clone(),
            input_names: content.input_names.clone(),
            output_names: Arc::clone(&content.output_names),
            graph: content.graph.clone(),
            derivatives: OnceLock::new(),
        };
        Self {
            content: Arc::new(apart),
            types: self.types.clone(),
        }
    }

    fn output_keys(&self) -> Vec<ValueKey<Op>> {
        let graph = self.as_graph();
        let outputs = graph.outputs().iter();
        outputs.map(|&id| graph.values()[id].key.clone()).collect()
    }
}

/// Transforms with an AD context of their own; [`within`](Self::within) takes the caller's.
impl<Op: Primitive> Function<Op> {
    /// The transforms of this function, whose rules are given `ctx`.
    ///
    /// A context that is to know types is told them by the names of values: take a new one for each function, as two
    /// functions may call different values the same. If it knows the types of all inputs, and the operation set infers
    /// those of results, derivatives are made as those of a function that has types
    /// ([`with_types`](Self::with_types)), operation by operation.
    ///
    /// ```
    /// # use tidu_ad::Function;
    /// # use tidu_scalar::ScalarOp;
    /// # let f: Function<ScalarOp> =
    /// #     "function {\n input %0 = x\n %1 = sin %0\n output %1 -> f\n}".parse()?;
    /// let mut ctx = ();
    /// let gradient = f.within(&mut ctx).grad("x")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within<'a>(&'a self, ctx: &'a mut Op::ADContext) -> Derive<'a, Op> {
        Derive::new(self, ctx)
    }

    /// Forward mode: (x, ẋ) ↦ (f(x), J(x)·ẋ), with a tangent for each of `wrt`. More in [`Derive::jvp`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::jvp`].
    pub fn jvp(&self, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        self.within(&mut Op::ADContext::default()).jvp(wrt)
    }

    /// Forward mode to order n: (x, v) ↦ (f(x), ∂ᵥf(x), …, ∂ᵥⁿf(x)). More in [`Derive::jvp_to_order`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::jvp_to_order`].
    pub fn jvp_to_order(&self, order: usize, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        self.within(&mut Op::ADContext::default())
            .jvp_to_order(order, wrt)
    }

    /// The derivative split into what can be computed from x, once, and what remains to be computed for each ẋ. More in [`Derive::linearize`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::linearize`].
    pub fn linearize(&self, wrt: impl Into<Wrt>) -> Result<Linearization<Op>, FunctionError> {
        self.within(&mut Op::ADContext::default()).linearize(wrt)
    }

    /// The transpose of a function that is linear in `wrt`. More in [`Derive::transpose`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::transpose`].
    pub fn transpose(&self, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        self.within(&mut Op::ADContext::default()).transpose(wrt)
    }

    /// The rules that derivatives in a mode need and that are not there, each once. More in [`Derive::missing_rules`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::missing_rules`].
    pub fn missing_rules(
        &self,
        wrt: impl Into<Wrt>,
        mode: Mode,
    ) -> Result<Vec<MissingRule>, FunctionError> {
        self.within(&mut Op::ADContext::default())
            .missing_rules(wrt, mode)
    }

    /// Reverse mode: (x, ȳ) ↦ (f(x), J(x)ᵀ·ȳ), with a cotangent for each of `wrt`. More in [`Derive::vjp`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::vjp`].
    pub fn vjp(&self, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        self.within(&mut Op::ADContext::default()).vjp(wrt)
    }

    /// The gradient x ↦ ∇f(x) of a function of one output: one output for each of `wrt`. More in [`Derive::grad`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::grad`].
    pub fn grad(&self, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        self.within(&mut Op::ADContext::default()).grad(wrt)
    }

    /// Value and gradient of a function of one output. More in [`Derive::value_and_grad`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::value_and_grad`].
    pub fn value_and_grad(&self, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        self.within(&mut Op::ADContext::default())
            .value_and_grad(wrt)
    }

    /// The Hessian-vector product (x, v) ↦ ∇²f(x)·v of a function of one output, forward over reverse. More in [`Derive::hvp`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::hvp`].
    pub fn hvp(&self, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        self.within(&mut Op::ADContext::default()).hvp(wrt)
    }

    /// All first derivatives: output (i, j), in the order of rows, is ∂fᵢ/∂xⱼ for j in `wrt`. More in [`Derive::jacobian`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::jacobian`].
    pub fn jacobian(&self, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        self.within(&mut Op::ADContext::default()).jacobian(wrt)
    }

    /// Values and all first derivatives, which share their work. More in [`Derive::value_and_jacobian`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::value_and_jacobian`].
    pub fn value_and_jacobian(&self, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        self.within(&mut Op::ADContext::default())
            .value_and_jacobian(wrt)
    }

    /// All second derivatives of a function of one output: the Jacobian of its gradient. More in [`Derive::hessian`].
    ///
    /// # Errors
    ///
    /// Those of [`Derive::hessian`].
    pub fn hessian(&self, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        self.within(&mut Op::ADContext::default()).hessian(wrt)
    }
}

impl<Op: GraphOperation> Clone for Function<Op> {
    fn clone(&self) -> Self {
        Self {
            content: Arc::clone(&self.content),
            types: self.types.clone(),
        }
    }
}

impl<Op: GraphOperation> Debug for Function<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("inputs", &self.as_dense().input_count())
            .field("outputs", &self.output_names().len())
            .field("operations", &self.as_dense().operation_count())
            .finish()
    }
}

/// The graph in the text form, under the header `function`, with the names of the outputs; in the alternate form `{:#}`,
/// each value with its type, if types are known.
impl<Op: GraphOperation> Display for Function<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outputs = self.as_dense().outputs().iter().zip(self.output_names());
        let outputs = outputs.map(|(value, name)| ListingOutput {
            value: Some(value.index()),
            label: Some(name.clone()),
        });
        let listing = Listing::of_dense("function", self.as_dense())
            .with_inputs(&self.content.input_keys)
            .with_outputs(outputs.collect());
        Display::fmt(&listing.with_types(f.alternate()), f)
    }
}

/// Reads a `function` or `graph` listing. It must be closed, and no output may be `zero`; outputs
/// without a label are called `out0`, `out1`, and so on, by position. Of a `function` whose inputs have types, the function
/// has them too, as after [`with_types`](Function::with_types).
impl<Op: ParseNames> FromStr for Function<Op> {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let read = parse_function::<Op>(text)?;
        let labels = read.output_labels.into_iter().enumerate();
        let names = labels.map(|(at, label)| label.unwrap_or_else(|| format!("out{at}")));
        Self::from_dense(read.graph, read.input_keys, names.collect())
            .map_err(|error| ParseError::new(1, 1, "a closed function", error.to_string()))
    }
}
