//! Replies in the order of their requests. A share that the pool has to judge keeps its place; replies that
//! are ready earlier wait behind it (wire reference, section 1.4).

use std::collections::VecDeque;

/// Caps the requests of one miner that wait for the pool; a NerdMiner keeps 32 itself.
const MAX_WAITING_REPLIES: usize = 512;

/// The place of a reply among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplySlot(u64);

/// The replies of one miner that can't be sent yet.
#[derive(Debug, Default)]
pub(crate) struct OrderedReplies {
    /// The place of the first in the queue.
    first: u64,
    queue: VecDeque<QueuedReply>,
    /// No more requests are passed to the pool.
    is_over: bool,
}

#[derive(Debug)]
enum QueuedReply {
    /// Not known yet: the request's id, as the miner wrote it.
    Open(Box<str>),
    Known(String),
    /// The answer to a subscribe of this id. Its search space may change before it is sent.
    Subscribe {
        id: Box<str>,
        line: String,
    },
}

/// The replies that may be sent now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) lines: String,
    /// An answer to subscribe is among them.
    pub(crate) answers_subscribe: bool,
}

impl OrderedReplies {
    /// Reserves the place of a reply that comes later. `None` when too many wait already.
    pub(crate) fn reserve(&mut self, id: &str) -> Option<ReplySlot> {
        if self.is_full() || self.is_over {
            return None;
        }
        self.queue.push_back(QueuedReply::Open(id.into()));
        Some(ReplySlot(self.first + self.queue.len() as u64 - 1))
    }

    /// Whether no more requests should be read before some are answered.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= MAX_WAITING_REPLIES
    }

    /// Replies at once. Returns the lines that may be sent now, which are none while an earlier reply waits.
    pub(crate) fn answer(&mut self, line: String) -> String {
        if self.queue.is_empty() {
            return line;
        }
        self.queue.push_back(QueuedReply::Known(line));
        String::new()
    }

    /// Replies to a subscribe, as [`OrderedReplies::answer`] does.
    pub(crate) fn answer_subscribe(&mut self, id: &str, line: String) -> Ready {
        self.queue.push_back(QueuedReply::Subscribe { id: id.into(), line });
        self.ready()
    }

    /// Renders the answers to subscribe that were not sent yet again, because the search space has changed.
    pub(crate) fn change_lease(&mut self, render: impl Fn(&str) -> String) {
        for answer in &mut self.queue {
            if let QueuedReply::Subscribe { id, line } = answer {
                *line = render(id);
            }
        }
    }

    /// Fills a reserved place, once. Returns what may be sent now.
    pub(crate) fn complete(&mut self, slot: ReplySlot, line: String) -> Ready {
        let index = slot.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(open @ QueuedReply::Open(_)) = index.and_then(|index| self.queue.get_mut(index)) {
            *open = QueuedReply::Known(line);
        }
        self.ready()
    }

    /// Fills all reserved places in this way. No more can be reserved from now on.
    pub(crate) fn give_up(&mut self, render: impl Fn(&str) -> String) -> Ready {
        self.is_over = true;
        for answer in &mut self.queue {
            if let QueuedReply::Open(id) = answer {
                *answer = QueuedReply::Known(render(id));
            }
        }
        self.ready()
    }

    /// Drops all replies, because the miner is gone.
    pub(crate) fn close(&mut self) {
        self.is_over = true;
        self.first += self.queue.len() as u64;
        self.queue.clear();
    }

    /// The number of replies that wait for the pool.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.iter().filter(|answer| matches!(answer, QueuedReply::Open(_))).count()
    }

    fn ready(&mut self) -> Ready {
        let mut ready = Ready::default();
        while !matches!(self.queue.front(), None | Some(QueuedReply::Open(_))) {
            match self.queue.pop_front() {
                Some(QueuedReply::Known(line)) => ready.lines.push_str(&line),
                Some(QueuedReply::Subscribe { line, .. }) => {
                    ready.lines.push_str(&line);
                    ready.answers_subscribe = true;
                }
                Some(QueuedReply::Open(_)) | None => {}
            }
            self.first += 1;
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_keep_the_order_of_their_requests() {
        let mut replies = OrderedReplies::default();
        assert_eq!(replies.answer("a".into()), "a");
        let (one, two) = (replies.reserve("1").unwrap(), replies.reserve("2").unwrap());
        assert_eq!(replies.answer("b".into()), "");
        assert_eq!(replies.complete(two, "2".into()).lines, "");
        assert_eq!(replies.waiting(), 1);
        assert_eq!(replies.complete(one, "1".into()).lines, "12b");
        assert_eq!(replies.answer("c".into()), "c");
        assert_eq!(replies.complete(two, "again".into()).lines, "", "one request, one answer");
    }

    #[test]
    fn waiting_replies_are_bounded() {
        let mut replies = OrderedReplies::default();
        let places: Vec<_> = std::iter::from_fn(|| replies.reserve("1")).collect();
        assert_eq!(places.len(), MAX_WAITING_REPLIES);
        assert!(replies.is_full());
        for slot in places.iter().rev().take(MAX_WAITING_REPLIES - 1) {
            assert_eq!(replies.complete(*slot, "x".into()).lines, "");
        }
        assert_eq!(replies.complete(places[0], "x".into()).lines.len(), MAX_WAITING_REPLIES);
        assert!(replies.reserve("1").is_some());
    }

    #[test]
    fn an_answer_to_subscribe_has_the_lease_of_the_moment_it_is_sent() {
        let mut replies = OrderedReplies::default();
        let at_once = replies.answer_subscribe("1", "old".into());
        assert_eq!(at_once, Ready { lines: "old".into(), answers_subscribe: true });
        let slot = replies.reserve("2").unwrap();
        assert_eq!(replies.answer_subscribe("3", "old".into()), Ready::default());
        replies.change_lease(|id| format!("new {id}"));
        let ready = replies.complete(slot, "2 ".into());
        assert_eq!(ready, Ready { lines: "2 new 3".into(), answers_subscribe: true });
    }

    #[test]
    fn replies_that_are_given_up_are_sent_once() {
        let mut replies = OrderedReplies::default();
        let (one, _two) = (replies.reserve("1").unwrap(), replies.reserve("2").unwrap());
        replies.answer("b".into());
        assert_eq!(replies.give_up(|id| format!("no {id} ")).lines, "no 1 no 2 b");
        assert_eq!(replies.complete(one, "late".into()).lines, "");
        assert!(replies.reserve("3").is_none());
        assert_eq!(replies.answer("c".into()), "c");
    }
}
