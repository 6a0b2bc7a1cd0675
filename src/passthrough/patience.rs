//! How long a miner may say nothing: until it has authorized, and afterwards.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::pump::Patience;
use super::session::Presence;
use super::talk::{Topic, say};
use crate::net::Stamp;

/// How long the miner's next bytes may take.
pub(super) fn time_to_wait(presence: &Presence) -> Option<Duration> {
    let listen = &presence.services.config.listen;
    if is_authorized(presence) {
        listen.idle_timeout
    } else {
        let left = listen.handshake_timeout.saturating_sub(presence.session.accepted_at.elapsed());
        // Zero would mean "for ever".
        Some(left.max(Duration::from_millis(1)))
    }
}

/// The miner has said nothing for as long as it may.
pub(super) fn patience(presence: &Presence) -> Patience {
    let conversation = &presence.session.conversation;
    let listen = &presence.services.config.listen;
    let (limit, why) = if is_authorized(presence) {
        (listen.idle_timeout, "sent nothing for the whole of listen.idle_timeout")
    } else {
        (Some(listen.handshake_timeout), "did not authorize within listen.handshake_timeout")
    };
    let since_open = presence.session.accepted_at.elapsed();
    let quiet_for = match conversation.up.last_at() {
        Some(last) if is_authorized(presence) => Stamp::now().since(last).unwrap_or_default(),
        _ => since_open,
    };
    match limit {
        Some(limit) if quiet_for >= limit => {
            say(
                &presence.services,
                conversation.miner(),
                Topic::Quiet,
                &format_args!("closed: it {why} ({limit:?})"),
            );
            Patience::End
        }
        _ => Patience::Wait,
    }
}

/// Whether the handshake is over, as far as anybody can tell: the analyzer sees it; where it sees
/// nothing, or not all, a conversation both sides take part in has to do.
fn is_authorized(presence: &Presence) -> bool {
    let conversation = &presence.session.conversation;
    let blind =
        presence.services.to_analyzer.is_none() || conversation.dropped_copies.load(Ordering::Relaxed) > 0;
    conversation.authorized.load(Ordering::Relaxed)
        || (blind && conversation.up.last_at().is_some() && conversation.down.last_at().is_some())
}
