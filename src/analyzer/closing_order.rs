//! The order in which a backlog is read when there may be no time for all of it.

use std::collections::HashMap;
use std::hash::Hash;

/// Puts a backlog into turns: each session reads its first `per_turn` items, then each its next ones. The order of a
/// session's own items stays. A session with little waiting is done after a few turns, however much others have.
pub(super) fn in_turns<Id: Copy + Eq + Hash, T>(
    backlog: impl IntoIterator<Item = (Id, T)>,
    per_turn: impl Fn(Id) -> usize,
) -> Vec<(Id, T)> {
    let mut counts: HashMap<Id, usize> = HashMap::new();
    let with_turn = |(id, item)| {
        let count = counts.entry(id).or_default();
        *count += 1;
        ((*count - 1) / per_turn(id).max(1), id, item)
    };
    let mut turns: Vec<(usize, Id, T)> = backlog.into_iter().map(with_turn).collect();
    turns.sort_by_key(|(turn, _, _)| *turn);
    turns.into_iter().map(|(_, id, item)| (id, item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_little_waiting_is_read_first_and_in_its_own_order() {
        let mut backlog: Vec<(char, u32)> = (0..1000).map(|number| ('f', number)).collect();
        backlog.extend([('h', 1), ('h', 2), ('p', 1), ('p', 2), ('p', 3)]);
        let turns = in_turns(backlog, |id| if id == 'p' { 2 } else { 1 });
        let first: Vec<(char, u32)> = turns.iter().copied().take(8).collect();
        let expected = [('f', 0), ('h', 1), ('p', 1), ('p', 2), ('f', 1), ('h', 2), ('p', 3), ('f', 2)];
        assert_eq!(first, expected);
        assert_eq!(turns.len(), 1005);
    }
}
