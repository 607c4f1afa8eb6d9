//! Which functions the instructions of a stage are spent in, from what callgrind wrote.

use std::collections::HashMap;

/// Each function with its own instructions, those that it calls not counted; the largest first.
///
/// The format is that of the manual of Valgrind, "Callgrind Format Specification": a function has a number,
/// and a name where it is first met; a line below `calls=` holds what the called function took.
pub fn own_costs(text: &str) -> Vec<(String, u64)> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut costs: HashMap<&str, u64> = HashMap::new();
    let mut current = "";
    let mut is_call = false;
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            current = numbered(function, &mut names);
        } else if let Some(function) = line.strip_prefix("cfn=") {
            numbered(function, &mut names);
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split_whitespace().nth(1);
            let cost = cost.and_then(|cost| cost.parse().ok()).unwrap_or(0);
            // What a call took is not the caller's own.
            if !std::mem::take(&mut is_call) {
                *costs.entry(current).or_default() += cost;
            }
        }
    }
    let named = costs.into_iter();
    let mut named: Vec<(String, u64)> = named
        .map(|(number, cost)| (plain(names.get(number).unwrap_or(&number)), cost))
        .collect();
    named.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    named
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
        let expected = [
            ("malloc".to_owned(), 100),
            ("transpose::walk".to_owned(), 5),
        ];
        assert_eq!(own_costs(text), expected);
    }

    #[test]
    fn names_are_shortened() {
        let name = "<alloc::vec::Vec<T,A> as core::ops::drop::Drop>::drop";
        assert_eq!(plain(name), "<vec::Vec<T,A> as drop::Drop>::drop");
    }
}
