//! The known name that an unknown one was probably meant to be.

/// The nearest of `known` to `wrong`, if it is near enough to be worth naming.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|name| (cost(&wrong, name), name))
        .filter(|(cost, name)| *cost <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// Edits between the two; a name that only lacks its beginning or end ("max" for "max_miners")
/// counts as one edit.
fn cost(wrong: &str, name: &str) -> usize {
    let is_part = wrong.len() >= 3 && (name.starts_with(wrong) || name.ends_with(wrong));
    if is_part { usize::from(wrong != name) } else { edits(wrong, name) }
}

/// Levenshtein distance with swaps of neighbours counted as one.
fn edits(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let known = ["max_miners", "idle_timeout", "url", "stratum"];
        assert_eq!(nearest("max_miner", known), Some("max_miners"));
        assert_eq!(nearest("idle-timeuot", known), Some("idle_timeout"));
        assert_eq!(nearest("ulr", known), Some("url"));
        assert_eq!(nearest("miners", known), Some("max_miners"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("", known), None);
    }
}
