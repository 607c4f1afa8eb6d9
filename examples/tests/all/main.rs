//! Tests of the programs: each runs, and the pages show what they are and print.

mod pictures;
mod programs;
mod tutorials;
