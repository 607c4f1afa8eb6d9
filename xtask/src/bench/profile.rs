//! Which functions the instructions of a stage are spent in, from what callgrind wrote.

use std::collections::HashMap;

/// What one function takes.
#[derive(Debug, PartialEq)]
pub struct Cost {
    pub function: String,
    /// What it takes itself.
    pub own: u64,
    /// What it takes with all that it calls. A function that calls itself counts that twice.
    pub whole: u64,
}

/// What each function takes, in the order of their names.
///
/// The format is that of the manual of Valgrind, "Callgrind Format Specification": a function has a number,
/// and a name where it is first met; a line below `calls=` holds what the called function took.
pub fn costs(text: &str) -> Vec<Cost> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut costs: HashMap<&str, (u64, u64)> = HashMap::new();
    let (mut current, mut called) = ("", "");
    let mut is_call = false;
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            current = numbered(function, &mut names);
        } else if let Some(function) = line.strip_prefix("cfn=") {
            called = numbered(function, &mut names);
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split_whitespace().nth(1);
            let cost: u64 = cost.and_then(|cost| cost.parse().ok()).unwrap_or(0);
            let own = if std::mem::take(&mut is_call) {
                0
            } else {
                cost
            };
            costs.entry(current).or_default().0 += own;
            costs.entry(called).or_default().1 += cost - own;
        }
    }
    let costs = costs.into_iter().filter(|(number, _)| !number.is_empty());
    let mut costs: Vec<Cost> = costs
        .map(|(number, (own, whole))| Cost {
            function: plain(names.get(number).unwrap_or(&number)),
            own,
            whole: whole.max(own),
        })
        .collect();
    costs.sort_by(|a, b| a.function.cmp(&b.function));
    costs
}

/// The number of a function, whose name is noted if it is there.
fn numbered<'a>(text: &'a str, names: &mut HashMap<&'a str, &'a str>) -> &'a str {
    match text.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            number
        }
        None => text,
    }
}

/// A name without the parts that only the compiler needs: the paths of types, and repeated calls.
fn plain(name: &str) -> String {
    let name = name.split_once("'2").map_or(name, |(name, _)| name);
    let mut text = String::new();
    for word in name.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
        let end = word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let parts: Vec<&str> = end.split("::").collect();
        text.push_str(&parts[parts.len().saturating_sub(2)..].join("::"));
        text.push_str(&word[end.len()..]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_not_the_callers_own() {
        let text = "\
events: Ir
summary: 111

fn=(1) tidu_ad::transpose::walk
10 1
cfn=(2) malloc
calls=3 20
11 100
+1 4
fn=(2)
20 60
* 40
";
        let cost = |function: &str, own, whole| Cost {
            function: function.to_owned(),
            own,
            whole,
        };
        let expected = [cost("malloc", 100, 100), cost("transpose::walk", 5, 5)];
        assert_eq!(costs(text), expected);
    }

    #[test]
    fn names_are_shortened() {
        let name = "<alloc::vec::Vec<T,A> as core::ops::drop::Drop>::drop";
        assert_eq!(plain(name), "<vec::Vec<T,A> as drop::Drop>::drop");
    }
}
