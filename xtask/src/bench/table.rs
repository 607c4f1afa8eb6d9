//! Tables of text, aligned for the terminal and good Markdown at the same time.

/// Lines of cells below a line of titles. All but the first `left` columns are aligned to the right.
pub fn markdown(titles: &[&str], left: usize, lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        let widths = cells.map(|cell| cell.chars().count());
        widths
            .chain([titles[column].chars().count(), 3])
            .max()
            .unwrap_or(3)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let mut text = row(titles, left, &widths);
    let rule = widths
        .iter()
        .enumerate()
        .map(|(column, width)| match column < left {
            true => "-".repeat(*width),
            false => format!("{}:", "-".repeat(width - 1)),
        });
    text.push_str(&row(&rule.collect::<Vec<_>>(), left, &widths));
    for line in lines {
        text.push_str(&row(line, left, &widths));
    }
    text
}

fn row(cells: &[impl AsRef<str>], left: usize, widths: &[usize]) -> String {
    let cells = cells.iter().zip(widths).enumerate();
    let cells = cells.map(|(column, (cell, width))| {
        let (cell, width) = (cell.as_ref(), *width);
        match column < left {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        }
    });
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

/// A number with three digits that matter, or more if it is large.
pub fn number(value: f64) -> String {
    match value.abs() {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let lines = [
            vec!["a".into(), "1.5".into()],
            vec!["long".into(), "12345".into()],
        ];
        let expected = "\
| what |  ns/op |
| ---- | -----: |
| a    |    1.5 |
| long |  12345 |
";
        let found = markdown(&["what", " ns/op"], 1, &lines);
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_keep_three_digits() {
        let shown = [0.123, 1.5, 9.996, 12.34, 99.96, 1234.5].map(number);
        assert_eq!(shown, ["0.12", "1.50", "10.0", "12.3", "100", "1234"]);
    }
}
