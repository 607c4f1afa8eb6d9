//! Graphs as text: one item per line, to be read, compared and parsed again.
//!
//! ```text
//! graph {
//!     input %0 = x
//!     input %1 = y
//!     %2 = exp %1
//!     %3 = mul %0, %2
//!     output %3
//! }
//! ```
//!
//! `%N` is the [`LocalValueId`](crate::LocalValueId), `@` marks values that another graph owns, `~`
//! the operands that a linearized operation is linear in. Derived values of other graphs are
//! numbered in the order in which they are first needed and defined once, so that the text is linear
//! in the number of distinct values.
//!
//! The grammar:
//!
//! ```text
//! listing     = header "{" { item } "}"                 one item per line, "//" starts a comment line
//! header      = "graph" | "linear" | "recorded"         as the reader expects
//!             | "flat" | "function" | "dense"
//! text        = { definition } listing
//! definition  = "function" "@" label "{" { item } "}"   as in a "dense" listing
//! item        = external | input | operation | output
//! external    = ( "external" | "residual" ) ( "@" key | names "=" application )
//! input       = "input" value [ "=" key ]
//! operation   = values "=" application
//! output      = "output" ( local | "zero" ) [ "->" label ]
//! application = [ "fixed" | "masked" bits ] name [ functions ] [ operand { "," operand } ]
//! functions   = "@" label { "," "@" label }             those that the operation holds
//! operand     = [ "~" ] ( local | "@" number | "@" key )
//! names       = slot { "," slot }                       slot = "@" number | "_"
//! values      = value { "," value } | "_"               value = local [ ":" type ]
//! local       = "%" number
//! type        = kind [ "[" number { "," number } "]" ]
//! bits        = { "0" | "1" } | "-"
//! name        = word { word } | string                  key, label, kind = word | string
//! ```
//!
//! Operands with a `~` make the operation `Linearized`, with those active. `fixed` marks a
//! `Linearized` operation without active operands; `masked` spells a mask out whose length is wrong,
//! and stands in place of any `~`.
//! In a `linear` listing, `residual` marks what its operations use of other graphs, that is, what
//! must be saved to run it; `external` lines only define what residuals are made of. A string is
//! quoted with `"`, and escapes `\"`, `\\`, `\n`, `\r`, `\t` and `\u{..}`.
//!
//! In a `dense` listing, that of a [`DenseGraph`](crate::DenseGraph), there are no names: inputs come first and have no
//! key, outputs no label, operations no `~`, and there are no values of other graphs. All other inputs have a key.
//!
//! Types stand in a `function` or `dense` only, where each value may have one ([`Listing::with_types`]): `%3: f64[3, 4]`,
//! or `%3: f64` for a type without axes. If one value has a type, each input has one; beside a result it may be left out,
//! and what is there must be what [`GraphOperation::infer_types`](crate::GraphOperation::infer_types) says.
//!
//! The [functions](crate::GraphOperation::functions) that operations hold are defined before the listing, each once, in the
//! order of first use, and after those that it holds itself. Of two that are called alike the second one gets a number,
//! `@body_2`:
//!
//! ```text
//! function @square {
//!     input %0
//!     %1 = mul %0, %0
//!     output %1
//! }
//! graph {
//!     input %0 = x
//!     %1 = call @square %0
//!     output %1
//! }
//! ```
//!
//! A [`MaterializedGraph`](crate::MaterializedGraph) prints in the same form under the header `flat`,
//! a [`CompiledProgram`](crate::CompiledProgram) under `program`, with slots `sN` in place of values.

mod definitions;
mod flat;
mod listing;
mod name;
mod parse;

pub use crate::error::counted;
pub(crate) use definitions::Definitions;

pub use listing::{Line, Listing, ListingOutput};
pub(crate) use name::type_name;
pub use name::{input_label, input_name, name_list, operation_label, operation_name, shortened};
pub use parse::{
    ParseError, ParseNames, ParsedFunction, ParsedListing, ParsedOutput, parse, parse_function,
};
