//! Answers in the order of their requests. A share that the pool has to judge keeps its place; what
//! is answered at once after it waits behind it (wire reference, section 1.4).

use std::collections::VecDeque;

/// The most requests of one miner that wait for the pool; a NerdMiner keeps 32 itself.
const MOST_WAITING: usize = 512;

/// A request's place among the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u64);

/// The answers of one miner that can't be sent yet.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// The place of the first in the queue.
    first: u64,
    /// `None`: not known yet.
    queue: VecDeque<Option<String>>,
}

impl Answers {
    /// A request whose answer comes later. `None` when too many wait already.
    pub(super) fn reserve(&mut self) -> Option<Place> {
        if self.is_full() {
            return None;
        }
        self.queue.push_back(None);
        Some(Place(self.first + self.queue.len() as u64 - 1))
    }

    /// Whether nothing more should be asked before some of it was answered.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MOST_WAITING
    }

    /// A request that is answered at once: the lines that may be sent now, which is none while an
    /// earlier one waits.
    pub(super) fn answer(&mut self, line: String) -> String {
        if self.queue.is_empty() {
            return line;
        }
        self.queue.push_back(Some(line));
        String::new()
    }

    /// The answer to a reserved place, once: the lines that may be sent now.
    pub(super) fn complete(&mut self, place: Place, line: String) -> String {
        let index = place.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.queue.get_mut(index)) {
            Some(open) => {
                open.get_or_insert(line);
                self.ready()
            }
            // It was answered before.
            None => String::new(),
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.iter().filter(|answer| answer.is_none()).count()
    }

    fn ready(&mut self) -> String {
        let mut lines = String::new();
        while let Some(Some(_)) = self.queue.front() {
            lines.extend(self.queue.pop_front().flatten());
            self.first += 1;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overtakes_what_waits_for_the_pool() {
        let mut answers = Answers::default();
        assert_eq!(answers.answer("a".into()), "a");
        let (one, two) = (answers.reserve().unwrap(), answers.reserve().unwrap());
        assert_eq!(answers.answer("b".into()), "");
        assert_eq!(answers.complete(two, "2".into()), "");
        assert_eq!(answers.waiting(), 1);
        assert_eq!(answers.complete(one, "1".into()), "12b");
        assert_eq!(answers.answer("c".into()), "c");
        assert_eq!(answers.complete(two, "again".into()), "", "one request, one answer");
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut answers = Answers::default();
        let places: Vec<_> = std::iter::from_fn(|| answers.reserve()).collect();
        assert_eq!(places.len(), MOST_WAITING);
        assert!(answers.is_full());
        for place in places.iter().rev().take(MOST_WAITING - 1) {
            assert_eq!(answers.complete(*place, "x".into()), "");
        }
        assert_eq!(answers.complete(places[0], "x".into()).len(), MOST_WAITING);
        assert!(answers.reserve().is_some());
    }
}
