//! Suggestions for mistyped names.

/// The one of `known` that is nearest to `wrong`, if it is near enough to be a likely typing error.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|name| (cost(&wrong, name), name))
        .filter(|(cost, name)| *cost <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// The number of edits between the two. A name without its beginning or end ("max" for "max_miners")
/// counts as one edit.
fn cost(wrong: &str, name: &str) -> usize {
    let is_part = wrong.len() >= 3 && (name.starts_with(wrong) || name.ends_with(wrong));
    if is_part { usize::from(wrong != name) } else { strsim::osa_distance(wrong, name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_recognised() {
        let known = ["max_miners", "idle_timeout", "url", "stratum"];
        assert_eq!(nearest("max_miner", known), Some("max_miners"));
        assert_eq!(nearest("idle-timeuot", known), Some("idle_timeout"));
        assert_eq!(nearest("ulr", known), Some("url"));
        assert_eq!(nearest("miners", known), Some("max_miners"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("", known), None);
    }
}
