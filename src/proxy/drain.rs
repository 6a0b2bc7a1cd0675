//! Ends all sessions at shutdown. Shares in flight get their answers first.

use std::time::{Duration, Instant};

use super::registry::{ProxySession, Registry};
use crate::util::format::count;

/// The time between two checks whether shares in flight are answered.
const ANSWER_CHECK: Duration = Duration::from_millis(5);
/// The time that sessions may take to end once they are told to.
const MAX_CLOSE_WAIT: Duration = Duration::from_secs(3);

/// Ends all sessions. Shares in flight may take `limit` to be answered; `close_pools` then closes the
/// connections that sessions share.
pub fn drain<S: ProxySession>(
    registry: &Registry<S>,
    limit: Duration,
    is_analyzed: bool,
    close_pools: impl FnOnce(),
) {
    let deadline = Instant::now() + limit;
    let mut waiting = registry.all();
    // Miners that the pool does not answer in time are answered by the end of its connection.
    waiting.iter().for_each(|session| session.stop_reading(deadline + MAX_CLOSE_WAIT));
    loop {
        // Each session ends as soon as its own answers are in.
        let is_late = Instant::now() >= deadline;
        waiting.retain(|session| {
            let is_answered = session.is_answered(is_analyzed);
            if is_answered || is_late {
                session.end_drained();
            }
            !is_answered
        });
        if is_late || waiting.is_empty() {
            break;
        }
        std::thread::sleep(ANSWER_CHECK);
    }
    if !waiting.is_empty() {
        log::warn!("{} closed before the pool answered all shares", count(waiting.len() as u64, "session"));
    }
    drop(waiting);
    close_pools();
    if registry.wait_empty(Instant::now() + MAX_CLOSE_WAIT) {
        return;
    }
    registry.all().iter().for_each(|session| session.abort());
    if !registry.wait_empty(Instant::now() + MAX_CLOSE_WAIT) {
        log::warn!("{} did not end in time", count(registry.count() as u64, "session"));
    }
}
