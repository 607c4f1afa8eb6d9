//! Sparse derivatives: where a matrix may be nonzero, and how few products give all its entries.
//!
//! A Jacobian J of n columns is had from n products J·eⱼ, or, if it is sparse, from fewer: columns that have no row in
//! common may share a product, J·(eⱼ + eₖ), from which the entries of both are read. To share out the columns is to
//! colour a graph with few colours, and so it is for rows and products Jᵀ·s, for both at once, and for a Hessian, whose
//! symmetry saves more. What is here is the work on indices: no operation is emitted, and no number is computed.
//!
//! | piece | what it is |
//! |---|---|
//! | [`Pattern`] | where a matrix may be nonzero |
//! | [`Coloring`] | which columns and rows share a product, found in one of several ways |
//! | [`Order`] | in which order vertices are coloured |
//! | [`Recovery`], [`Step`] | how the entries are read from the products |
//! | [`SparsityError`] | what can go wrong |
//!
//! # Which colouring
//!
//! | matrix | colouring | products | recovery |
//! |---|---|---|---|
//! | Jacobian, its rows short | [`Coloring::of_columns`] | J·s | direct |
//! | Jacobian, its columns short | [`Coloring::of_rows`] | Jᵀ·s | direct |
//! | Jacobian, some rows and some columns long | [`Coloring::star_bidirectional`], [`Coloring::acyclic_bidirectional`] | both | direct, by substitution |
//! | Hessian | [`Coloring::star`], [`Coloring::acyclic`] | H·s | direct, by substitution |
//!
//! A row of k entries makes k columns differ, so there are at least k products, and so it is for columns. Substitution
//! needs fewer products than direct recovery, if not always with these algorithms, and subtractions; rounding errors
//! add up along it. Colourings are cheap beside derivatives: to know which is best, count.
//!
//! # Literature
//!
//! - A. H. Gebremedhin, F. Manne, A. Pothen: What color is your Jacobian? Graph coloring for computing derivatives. SIAM
//!   Review 47 (2005).
//! - A. H. Gebremedhin, A. Tarafdar, F. Manne, A. Pothen: New acyclic and star coloring algorithms with application to
//!   computing Hessians. SIAM Journal on Scientific Computing 29 (2007).
//! - A. Montoison, G. Dalle, A. Gebremedhin: Revisiting sparse matrix coloring and bicoloring. arXiv:2505.07308 (2025).

mod coloring;
mod error;
pub(crate) mod lists;
mod pattern;
mod picture;

pub use coloring::{Coloring, Group, Order, Recovery, Side, Step};
pub use error::SparsityError;
pub use pattern::Pattern;
