//! The lines in which two texts differ.

/// Lines that are only in `old` after a `-`, only in `new` after a `+`, in both after a blank.
///
/// Quadratic in the number of lines, which are those of a snapshot.
pub fn lines(old: &str, new: &str) -> String {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let common = common_lines(&old, &new);
    let (mut i, mut j) = (0, 0);
    let mut text = String::new();
    let mut push = |mark: char, line: &str| text.push_str(&format!("  {mark} {line}\n"));
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            push(' ', old[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            push('-', old[i]);
            i += 1;
        } else {
            push('+', new[j]);
            j += 1;
        }
    }
    text
}

/// By (i, j): how many lines `old[i..]` and `new[j..]` have in common, in order.
fn common_lines(old: &[&str], new: &[&str]) -> Vec<Vec<usize>> {
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_marked() {
        assert_eq!(
            lines("a\nb\nc\nd", "a\nc\ne\nd\nf"),
            "    a\n  - b\n    c\n  + e\n    d\n  + f\n"
        );
        assert_eq!(lines("", "a"), "  + a\n");
        assert_eq!(lines("a", ""), "  - a\n");
        assert_eq!(lines("a\nb", "b\na"), "  - a\n    b\n  + a\n");
        assert_eq!(lines("", ""), "");
    }
}
