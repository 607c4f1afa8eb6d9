//! Sparse Jacobians and Hessians.

mod domains;
mod influence;
mod ways;

use tidu_graph::GraphOperation;

use super::derivation::{Activity, Derivation};
use super::{Derive, Function, FunctionError, Mode, Wrt};
use crate::derivatives::LinearMap;
use crate::rules::Primitive;
use crate::sparse::lists::Lists;
use crate::sparse::{Pattern, SparsityError};
use domains::{BLOCK, Domains, meet_blocks, meet_sets};
use influence::Influence;
use ways::Ways;

pub use ways::{SparseReceipt, Way};

/// A sparse Jacobian or Hessian. See [`Function::sparse_jacobian`] and its kin.
#[derive(Clone, Debug)]
pub struct SparseDerivative<Op: GraphOperation> {
    /// Its outputs are the entries of the pattern, in their order, called `d.` and the names of row and column.
    pub function: Function<Op>,
    /// Where the matrix may be nonzero. Of a Hessian, the lower triangle.
    pub pattern: Pattern,
    /// By entry: whether it is a constant, the same wherever the function is evaluated.
    pub constant: Vec<bool>,
    /// What ways there were, what each costs, and which was gone.
    pub receipt: SparseReceipt,
}

/// Which variables and outputs are linear. See [`Function::linear_parts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearParts {
    /// By input that was named: whether all second derivatives by it are zero.
    pub inputs: Vec<bool>,
    /// By output: whether all its second derivatives are zero.
    pub outputs: Vec<bool>,
}

impl<Op: GraphOperation> SparseDerivative<Op> {
    /// The entries that are not constant, as a function, with their positions in the pattern: what has to be evaluated
    /// at each point. Those that are constant are had from evaluating [`function`](Self::function) once.
    ///
    /// # Errors
    ///
    /// Those of [`Function::select`].
    pub fn without_constants(&self) -> Result<(Function<Op>, Vec<usize>), FunctionError> {
        let changing = (0..self.constant.len()).filter(|&at| !self.constant[at]);
        let changing: Vec<usize> = changing.collect();
        Ok((self.function.select_at(&changing)?, changing))
    }

    /// By entry: whether it depends on any of these inputs of the function, so that it has to be computed again when
    /// they change.
    ///
    /// # Errors
    ///
    /// Those of `inputs`.
    ///
    /// # Complexity
    ///
    /// Linear in the function.
    pub fn depends_on(&self, inputs: impl Into<Wrt>) -> Result<Vec<bool>, FunctionError> {
        let inputs = inputs.into().positions(&self.function)?;
        Ok(self.function.outputs_that_depend_on(&inputs))
    }
}

/// Sparse derivatives.
///
/// Rows and columns are counted as outputs and as inputs that are named are listed. An entry is in the pattern if it
/// may be other than zero somewhere, as far as rules and declarations tell: a rule that returns a symbolic zero says
/// that a result does not depend on an operand, and [`Primitive::linearity`] that a second derivative is zero. So no
/// entry is ever missing, and some may be zero after all. A value with axes is one row or
/// column of a pattern; sparse derivatives of such values are an error
/// ([`FunctionError::SparseArray`]).
impl<Op: Primitive> Function<Op> {
    /// Where the Jacobian may be nonzero: rows are outputs, columns are `wrt`.
    ///
    /// Sets of inputs are handed on from value to value, and blocks of bits where they are large (Griewank and Walther:
    /// Evaluating Derivatives, section 7.1).
    ///
    /// # Errors
    ///
    /// Those of [`jacobian`](Self::jacobian), but for zeros and bases; [`FunctionError::Sparsity`] for more than
    /// `u32::MAX` entries.
    ///
    /// # Complexity
    ///
    /// Linear in the function and the entries, as long as few outputs depend on more than 32 inputs each; in general,
    /// linear in the function for each 256 outputs.
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x", "y", "z"], |[x, y, z]| [&x * &y, y.floor() + z.sin()])?;
    /// let pattern = f.sparsity(..)?;
    /// let entries: Vec<_> = pattern.entries().collect();
    /// assert_eq!(entries, [(0, 0), (0, 1), (1, 2)]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn sparsity(&self, wrt: impl Into<Wrt>) -> Result<Pattern, FunctionError> {
        self.within(&mut Op::ADContext::default()).sparsity(wrt)
    }

    /// Where the second derivatives of the outputs may be nonzero: a symmetric pattern, the union of those of all
    /// outputs.
    ///
    /// Second derivatives begin where two values meet in an operation that is not linear in them together, and reach
    /// the inputs that these depend on (Walther: Computing sparse Hessians with automatic differentiation, 2008). Rules
    /// that are not those of any function may have second derivatives that are not symmetric; then it is left open
    /// which of two mirrored entries one is.
    ///
    /// # Errors
    ///
    /// Those of [`sparsity`](Self::sparsity).
    ///
    /// # Complexity
    ///
    /// That of [`sparsity`](Self::sparsity), of operands of operations that are not linear in place of outputs; or,
    /// where inputs meet too often for that, linear in the function for each 256 inputs.
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x", "y", "z"], |[x, y, z]| [&x * &y + z.sin() + 3.0 * x])?;
    /// let entries: Vec<_> = f.hessian_sparsity(..)?.entries().collect();
    /// assert_eq!(entries, [(0, 1), (1, 0), (2, 2)]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn hessian_sparsity(&self, wrt: impl Into<Wrt>) -> Result<Pattern, FunctionError> {
        self.within(&mut Op::ADContext::default())
            .hessian_sparsity(wrt)
    }

    /// The Jacobian's entries that may be nonzero.
    ///
    /// # Errors
    ///
    /// Those of [`sparsity`](Self::sparsity) and [`jacobian`](Self::jacobian). [`FunctionError::SparseArray`] for
    /// inputs and outputs that have axes.
    ///
    /// # Complexity
    ///
    /// Linear in what the way that is taken costs ([`SparseReceipt`]).
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x", "y"], |[x, y]| [x.powi(2) + &y, 3.0 * y])?;
    /// let jacobian = f.sparse_jacobian(..)?;
    /// assert_eq!(jacobian.function.output_names(), ["d.out0.x", "d.out0.y", "d.out1.y"]);
    /// assert_eq!(jacobian.constant, [false, true, true]);
    /// assert_eq!(jacobian.function.compile().call(&[5.0, 1.0])?, [10.0, 1.0, 3.0]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn sparse_jacobian(
        &self,
        wrt: impl Into<Wrt>,
    ) -> Result<SparseDerivative<Op>, FunctionError> {
        self.within(&mut Op::ADContext::default())
            .sparse_jacobian(wrt)
    }

    /// The Hessian's entries that may be nonzero, of its lower triangle; of a function of one output, which is a single
    /// number.
    ///
    /// # Errors
    ///
    /// Those of [`hessian_sparsity`](Self::hessian_sparsity) and [`hessian`](Self::hessian).
    ///
    /// # Complexity
    ///
    /// As for [`sparse_jacobian`](Self::sparse_jacobian), of the gradient.
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x", "y", "z"], |[x, y, z]| [x.powi(2) * &y + z])?;
    /// let hessian = f.sparse_hessian(..)?;
    /// let entries: Vec<_> = hessian.pattern.entries().collect();
    /// assert_eq!(entries, [(0, 0), (1, 0)]);
    /// assert_eq!(hessian.function.compile().call(&[5.0, 7.0, 0.0])?, [14.0, 10.0]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn sparse_hessian(
        &self,
        wrt: impl Into<Wrt>,
    ) -> Result<SparseDerivative<Op>, FunctionError> {
        self.within(&mut Op::ADContext::default())
            .sparse_hessian(wrt)
    }

    /// The lower triangle of the Hessian of Σᵢ λᵢ·yᵢ, of all outputs yᵢ: for a solver of nonlinear programmes, the
    /// first output being the objective, whose factor is λ₀, and the others constraints, whose multipliers follow.
    ///
    /// Inputs: those of the function, then a factor for each output.
    ///
    /// # Errors
    ///
    /// Those of [`sparse_jacobian`](Self::sparse_jacobian) and [`vjp`](Self::vjp).
    ///
    /// # Complexity
    ///
    /// As for [`sparse_hessian`](Self::sparse_hessian).
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x", "y"], |[x, y]| [x.powi(2), &x * &y])?;
    /// let hessian = f.lagrangian_hessian(..)?;
    /// let entries: Vec<_> = hessian.pattern.entries().collect();
    /// assert_eq!(entries, [(0, 0), (1, 0)]);
    /// // At x = 1, y = 2, for factors 3 and 4.
    /// assert_eq!(hessian.function.compile().call(&[1.0, 2.0, 3.0, 4.0])?, [6.0, 4.0]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn lagrangian_hessian(
        &self,
        wrt: impl Into<Wrt>,
    ) -> Result<SparseDerivative<Op>, FunctionError> {
        self.within(&mut Op::ADContext::default())
            .lagrangian_hessian(wrt)
    }

    /// Which of `wrt` and of the outputs are linear, as solvers ask: as far as rules and declarations tell, a linear
    /// one may be missed, and none that is not linear is listed.
    ///
    /// # Errors
    ///
    /// Those of [`hessian_sparsity`](Self::hessian_sparsity).
    ///
    /// # Complexity
    ///
    /// That of [`hessian_sparsity`](Self::hessian_sparsity).
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x", "y"], |[x, y]| [x.exp() + &y, 2.0 * &x - y])?;
    /// let linear = f.linear_parts(..)?;
    /// assert_eq!(linear.inputs, [false, true]);
    /// assert_eq!(linear.outputs, [false, true]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn linear_parts(&self, wrt: impl Into<Wrt>) -> Result<LinearParts, FunctionError> {
        self.within(&mut Op::ADContext::default()).linear_parts(wrt)
    }
}

/// Sparse derivatives, as [`Function`] has them.
impl<Op: Primitive> Derive<'_, Op> {
    /// [`Function::sparsity`] with these choices.
    ///
    /// # Errors
    ///
    /// Those of [`Function::sparsity`].
    pub fn sparsity(mut self, wrt: impl Into<Wrt>) -> Result<Pattern, FunctionError> {
        let wrt = self.checked(&wrt.into())?;
        let mut sparse = self.begin(&wrt)?;
        sparse.pattern()
    }

    /// [`Function::hessian_sparsity`] with these choices.
    ///
    /// # Errors
    ///
    /// Those of [`Function::hessian_sparsity`].
    pub fn hessian_sparsity(mut self, wrt: impl Into<Wrt>) -> Result<Pattern, FunctionError> {
        let wrt = self.checked(&wrt.into())?;
        self.begin(&wrt)?.second_pattern()
    }

    /// [`Function::sparse_jacobian`] with these choices: in a [`mode`](Self::mode) that is asked for, whatever it
    /// costs.
    ///
    /// # Errors
    ///
    /// Those of [`Function::sparse_jacobian`].
    pub fn sparse_jacobian(
        mut self,
        wrt: impl Into<Wrt>,
    ) -> Result<SparseDerivative<Op>, FunctionError> {
        let wrt = self.checked(&wrt.into())?;
        let rows = self.function.output_names().to_vec();
        let mode = self.mode;
        let mut sparse = self.begin(&wrt)?;
        let pattern = sparse.pattern()?;
        sparse.finish(pattern, None, &rows, mode)
    }

    /// [`Function::sparse_hessian`] with these choices.
    ///
    /// # Errors
    ///
    /// Those of [`Function::sparse_hessian`].
    pub fn sparse_hessian(
        mut self,
        wrt: impl Into<Wrt>,
    ) -> Result<SparseDerivative<Op>, FunctionError> {
        let wrt = self.checked(&wrt.into())?;
        let pattern = self.again(self.function).hessian_sparsity(wrt.clone())?;
        let gradient = self.again(self.function).grad(wrt.clone())?;
        self.of_gradient(&gradient, &wrt, &pattern)
    }

    /// [`Function::lagrangian_hessian`] with these choices.
    ///
    /// # Errors
    ///
    /// Those of [`Function::lagrangian_hessian`].
    pub fn lagrangian_hessian(
        mut self,
        wrt: impl Into<Wrt>,
    ) -> Result<SparseDerivative<Op>, FunctionError> {
        let wrt = self.checked(&wrt.into())?;
        let pattern = self.again(self.function).hessian_sparsity(wrt.clone())?;
        let gradient = self.again(self.function).vjp(wrt.clone())?;
        let outputs = self.function.output_names().len();
        let cotangents: Vec<usize> = (outputs..gradient.output_names().len()).collect();
        let gradient = gradient.select_at(&cotangents)?;
        self.of_gradient(&gradient, &wrt, &pattern)
    }

    /// [`Function::linear_parts`] with these choices.
    ///
    /// # Errors
    ///
    /// Those of [`Function::linear_parts`].
    pub fn linear_parts(mut self, wrt: impl Into<Wrt>) -> Result<LinearParts, FunctionError> {
        let wrt = self.checked(&wrt.into())?;
        self.begin(&wrt)?.linear_parts()
    }

    /// The positions of what is differentiated by.
    fn checked(&mut self, wrt: &Wrt) -> Result<Vec<usize>, FunctionError> {
        let wrt = wrt.positions(self.function)?;
        self.function.note_types(self.ctx)?;
        self.function.check_inputs(&wrt, self.ctx)?;
        self.function.check_outputs(self.ctx)?;
        Ok(wrt)
    }

    fn begin<'b>(&'b mut self, wrt: &'b [usize]) -> Result<Sparse<'b, Op>, FunctionError> {
        let map = LinearMap::Derivative;
        let mode = self.mode.or(Some(Mode::Reverse));
        let again = self.again(self.function);
        let mut derivation = Derivation::new(again.function, again.choices(), wrt, &[], map, mode)?;
        let activity = derivation.activity()?;
        let influence = Influence::of(&mut derivation, &activity)?;
        Ok(Sparse {
            derivation,
            activity,
            influence,
        })
    }

    /// The lower triangle of the Jacobian of a gradient, whose pattern is known.
    fn of_gradient(
        mut self,
        gradient: &Function<Op>,
        wrt: &[usize],
        pattern: &Pattern,
    ) -> Result<SparseDerivative<Op>, FunctionError> {
        let names = self.function.input_names();
        let rows: Vec<String> = wrt.iter().map(|&at| names[at].clone()).collect();
        let mode = self.mode;
        let mut of_gradient = self.again(gradient);
        let sparse = of_gradient.begin(wrt)?;
        sparse.finish(pattern.lower_triangle(), Some(pattern), &rows, mode)
    }
}

/// As much work as nobody minds: pairs of inputs that meet.
const CHEAP: u64 = 1 << 20;

/// A function whose sparse derivatives are in the making.
struct Sparse<'a, Op: Primitive> {
    derivation: Derivation<'a, Op>,
    activity: Activity,
    influence: Influence,
}

impl<Op: Primitive> Sparse<'_, Op> {
    /// By value: which column it is, if it is an input to differentiate by.
    fn columns(&self) -> Vec<Option<u32>> {
        let mut columns = vec![None; self.influence.sources.len()];
        for (column, &input) in (0..).zip(self.derivation.wrt) {
            columns[input] = Some(column);
        }
        columns
    }

    fn pattern(&mut self) -> Result<Pattern, FunctionError> {
        let outputs = self.derivation.function.as_dense().outputs().iter();
        let outputs: Vec<u32> = outputs.map(|id| id.index() as u32).collect();
        let columns = self.derivation.wrt.len();
        let mut domains = Domains::new(&self.influence.sources, &self.columns());
        let too_many = || self.too_many_entries(outputs.len());
        let most = u64::from(u32::MAX);
        let bound = domains.known_sizes(&outputs, columns as u64);
        if bound.iter().sum::<u64>() > most {
            domains.sizes(&outputs, most).ok_or_else(too_many)?;
        }
        let mut rows = Lists::with_capacity(outputs.len());
        for set in domains.find(&outputs) {
            rows.items.extend_from_slice(domains.sets.get(set));
            rows.end_list();
        }
        Ok(Pattern::of_rows(columns, rows))
    }

    fn second_pattern(&mut self) -> Result<Pattern, FunctionError> {
        let pairs = self.pairs().into_iter().map(|[a, b, _]| [a, b]);
        let mut pairs: Vec<[u32; 2]> = pairs.collect();
        pairs.dedup();
        let size = self.derivation.wrt.len();
        let rows = self.meetings(&pairs);
        let rows = rows.ok_or_else(|| self.too_many_entries(size))?;
        Ok(Pattern::of_rows(size, rows))
    }

    /// The inputs that pairs of values make meet, by row; `None` if there are too many.
    fn meetings(&self, pairs: &[[u32; 2]]) -> Option<Lists> {
        let sources = &self.influence.sources;
        let wrt = self.derivation.wrt;
        let mut values: Vec<u32> = pairs.iter().flatten().copied().collect();
        values.sort_unstable();
        values.dedup();
        let place_of = |value: u32| {
            let place = values.binary_search(&value);
            place.expect("it is among all values of pairs")
        };
        let places: Vec<[usize; 2]> = pairs.iter().map(|pair| pair.map(place_of)).collect();
        let products = |sizes: &[u64]| {
            let of_pairs = places.iter();
            let products: Vec<u64> = of_pairs
                .map(|&[a, b]| sizes[a].saturating_mul(sizes[b]))
                .collect();
            products
        };
        let work = |products: &[u64]| {
            let all = products.iter();
            all.fold(0_u64, |sum, product| {
                sum.saturating_add(product.saturating_mul(2))
            })
        };
        let mut domains = Domains::new(sources, &self.columns());
        let by_blocks =
            wrt.len().div_ceil(BLOCK) as u64 * (sources.items.len() + pairs.len()) as u64;
        let most = by_blocks.max(CHEAP);
        let is_too_much = |sizes: &[u64]| {
            let members: u64 = sizes.iter().sum();
            work(&products(sizes)) > most || members > u64::from(u32::MAX)
        };
        let mut sizes = domains.known_sizes(&values, wrt.len() as u64);
        if is_too_much(&sizes) && domains.large_among(&values) <= wrt.len() {
            let known = domains.sizes(&values, u64::MAX);
            sizes = known.expect("nothing is too much");
            if products(&sizes)
                .iter()
                .any(|&product| product > u64::from(u32::MAX))
            {
                return None;
            }
        }
        if is_too_much(&sizes) {
            return meet_blocks(sources, wrt, pairs);
        }
        let sets = domains.find(&values);
        let mut meetings: Vec<[u32; 2]> = places
            .iter()
            .map(|&[a, b]| [sets[a].min(sets[b]), sets[a].max(sets[b])])
            .collect();
        meetings.sort_unstable();
        meetings.dedup();
        meet_sets(&domains.sets, &meetings, wrt.len())
    }

    fn too_many_entries(&self, rows: usize) -> FunctionError {
        let columns = self.derivation.wrt.len();
        let limit = u32::MAX as usize;
        SparsityError::TooManyEntries {
            rows,
            columns,
            limit,
        }
        .into()
    }

    fn linear_parts(&mut self) -> Result<LinearParts, FunctionError> {
        let pairs = self.pairs();
        let [values, bent] = [
            pairs
                .iter()
                .flat_map(|&[a, b, _]| [a, b])
                .collect::<Vec<_>>(),
            pairs.iter().map(|&[_, _, result]| result).collect(),
        ];
        let reached = self
            .influence
            .needed_for(values.iter().map(|&value| value as usize));
        let mut from = vec![false; reached.len()];
        let dense = self.derivation.function.as_dense();
        for result in bent {
            let maker = self.influence.makers[result as usize];
            let node = dense.node(maker.expect("a result is made by an operation"));
            from[node.results.indices()].fill(true);
        }
        let bent = self.influence.depends_on(from);
        let inputs = self.derivation.wrt.iter();
        let outputs = dense.outputs().iter();
        Ok(LinearParts {
            inputs: inputs.map(|&at| !reached[at]).collect(),
            outputs: outputs.map(|id| !bent[id.index()]).collect(),
        })
    }

    /// The pairs of values that meet in an operation that is not linear and matters for an output.
    fn pairs(&self) -> Vec<[u32; 3]> {
        let outputs = self.derivation.function.as_dense().outputs().iter();
        let matters = self.influence.needed_for(outputs.map(|id| id.index()));
        let mut pairs = self
            .influence
            .pairs(&self.derivation, &self.activity, &matters);
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// Fails for inputs to differentiate by, and for outputs, that have axes.
    fn check_numbers(&self) -> Result<(), FunctionError> {
        let function = &self.derivation.function;
        let dense = function.as_dense();
        let inputs = self.derivation.wrt.iter();
        let inputs = inputs.map(|&at| (dense.input(at), &function.names()[at]));
        let outputs = dense.outputs().iter().copied().zip(function.output_names());
        for (value, name) in inputs.chain(outputs) {
            if let Some(value_type) = dense.type_of(value).filter(|of| !of.dims().is_empty()) {
                return Err(FunctionError::SparseArray {
                    value: name.clone(),
                    value_type: Box::new(value_type.clone()),
                });
            }
        }
        Ok(())
    }

    /// The derivative with the entries of a pattern, which is the lower triangle of another one if that is given.
    fn finish(
        mut self,
        pattern: Pattern,
        whole: Option<&Pattern>,
        rows: &[String],
        mode: Option<Mode>,
    ) -> Result<SparseDerivative<Op>, FunctionError> {
        self.check_numbers()?;
        let (values, receipt) = Ways {
            derivation: &mut self.derivation,
            activity: &self.activity,
            influence: &self.influence,
            pattern: &pattern,
            whole,
            mode,
        }
        .write()?;
        let names = self.derivation.function.input_names();
        let named = pattern.entries().map(|(row, column)| {
            let column = &names[self.derivation.wrt[column]];
            format!("d.{}.{column}", rows[row])
        });
        let outputs: Vec<_> = values.into_iter().zip(named).collect();
        let function = self.derivation.finish_without(&[], outputs)?;
        let inputs: Vec<usize> = (0..function.as_dense().input_count()).collect();
        let changes = function.outputs_that_depend_on(&inputs);
        Ok(SparseDerivative {
            function,
            pattern,
            constant: changes.into_iter().map(|changes| !changes).collect(),
            receipt,
        })
    }
}
