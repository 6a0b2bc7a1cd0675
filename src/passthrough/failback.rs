//! The way back: when a preferred pool has been reachable and stable for `failback_after`, sessions
//! on a lower one are closed one by one, so that their miners reconnect to it. Never all at once: a
//! pool that has just come up should not be met by a wave.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Services;
use super::session::Session;
use crate::stop::{Stop, Stopped};
use crate::thread::{SERVICE_STACK, spawn};
use crate::upstream::Rank;

/// How often it is looked for a session to move.
const ROUND: Duration = Duration::from_secs(1);
/// The least time between two moves.
const GAP: Duration = Duration::from_millis(250);
/// How long the next move waits for the moved miner to be back.
const BACK_LIMIT: Duration = Duration::from_secs(10);
/// A session whose shares are not all answered is left alone for so long.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Starts the thread, if there is anything to return to.
pub(super) fn start(services: &Arc<Services>, stop: &Stop) -> io::Result<()> {
    if services.upstreams.count() > 1 {
        let (services, stop) = (services.clone(), stop.clone());
        spawn("failback", SERVICE_STACK, move || match keep_returning(&services, &stop) {
            Ok(()) | Err(Stopped) => Ok::<(), Stopped>(()),
        })?;
    }
    Ok(())
}

fn keep_returning(services: &Services, stop: &Stop) -> Result<(), Stopped> {
    let failback_after = services.config.failover.failback_after;
    let round = ROUND.min(failback_after / 4).max(Duration::from_millis(10));
    loop {
        stop.sleep(round)?;
        let Some((best, up_since)) = services.upstreams.stable_for(failback_after) else {
            continue;
        };
        if let Some(session) = on_a_lower_one(services, best, up_since) {
            wait_for_answers(&session, stop)?;
            if services.upstreams.is_up(best) {
                move_back(services, &session, best, stop)?;
            }
        }
    }
}

/// The oldest session that is on a lower upstream because the preferred one was down. One that came
/// later has been let down by it, and would be so again.
fn on_a_lower_one(services: &Services, best: Rank, up_since: Instant) -> Option<Arc<Session>> {
    let is_lower = |session: &Arc<Session>| {
        !session.is_closing()
            && session.accepted_at < up_since
            && session.conversation.upstream().is_some_and(|place| place > best.0)
    };
    services.registry.all().into_iter().find(is_lower)
}

/// Waits for a moment at which the pool owes the miner nothing.
fn wait_for_answers(session: &Session, stop: &Stop) -> Result<(), Stopped> {
    let deadline = Instant::now() + ANSWER_LIMIT;
    while session.conversation.unanswered.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
        stop.sleep(Duration::from_millis(20))?;
    }
    Ok(())
}

/// Closes the session, and waits until its miner is back or has had the time for it.
fn move_back(services: &Services, session: &Session, best: Rank, stop: &Stop) -> Result<(), Stopped> {
    let miner = session.conversation.miner();
    log::info!(
        "session {} of {miner} goes back to pool {best} {}",
        session.conversation.id,
        services.upstreams.name(best)
    );
    let next = services.next_session.load(Ordering::Relaxed);
    session.close();
    stop.sleep(GAP)?;
    let deadline = Instant::now() + BACK_LIMIT;
    let is_back = |other: &Arc<Session>| {
        other.conversation.id.0 >= next
            && other.conversation.miner().ip() == miner.ip()
            && other.conversation.down.has_begun()
    };
    while Instant::now() < deadline && !services.registry.all().iter().any(is_back) {
        stop.sleep(GAP)?;
    }
    Ok(())
}
