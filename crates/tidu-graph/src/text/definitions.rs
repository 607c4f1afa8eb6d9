//! The functions that operations hold, as they are called and defined in a text.

use hashbrown::{HashMap, HashSet};

use super::name::{operation_name, plain_or_quoted_word};
use crate::GraphOperation;
use crate::key::FixedState;
use crate::sub_function::{SubFunction, SubFunctions};

/// The functions that operations of a text hold, each with a name that no other one has.
pub(crate) struct Definitions<Op: GraphOperation> {
    functions: SubFunctions<Op>,
    /// By position among the functions: `@` and its name.
    names: Vec<String>,
}

impl<Op: GraphOperation> Definitions<Op> {
    pub fn of<'a>(operations: impl IntoIterator<Item = &'a Op>) -> Self {
        let functions = SubFunctions::of(operations);
        Self {
            names: distinct_names(functions.list().iter().map(|function| function.name())),
            functions,
        }
    }

    /// The name of an operation, and which functions it holds: `cond @then, @else`.
    pub fn operation_name(&self, operation: &Op) -> String {
        let mut text = operation_name(operation);
        for (position, function) in operation.functions().iter().enumerate() {
            text.push_str(if position == 0 { " " } else { ", " });
            let known = self.functions.position(function);
            text.push_str(known.map_or("@?", |known| &self.names[known]));
        }
        text
    }

    /// Where a function that an operation holds stands among them.
    pub fn position(&self, function: &SubFunction<Op>) -> Option<usize> {
        self.functions.position(function)
    }

    /// The functions, each after those that it holds, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&SubFunction<Op>, &str)> {
        let names = self.names.iter().map(String::as_str);
        self.functions.list().iter().zip(names)
    }
}

/// `@` and these names, those that are taken already with a number behind them.
fn distinct_names<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let given: HashSet<&str, FixedState> = names.clone().collect();
    let mut uses: HashMap<&str, usize, FixedState> = HashMap::default();
    let mut taken: HashSet<String, FixedState> = HashSet::default();
    let distinct = names.map(|name| {
        let uses = uses.entry(name).or_insert(0);
        *uses += 1;
        if *uses == 1 {
            return name.to_owned();
        }
        loop {
            let numbered = format!("{name}_{uses}");
            if !given.contains(numbered.as_str()) && taken.insert(numbered.clone()) {
                return numbered;
            }
            *uses += 1;
        }
    });
    distinct
        .map(|name| format!("@{}", plain_or_quoted_word(&name)))
        .collect()
}
