//! Fails back: when a preferred pool has been reachable and stable for `failback_after`, sessions on a lower
//! one are closed one by one, so that their miners reconnect to it. They are never closed all at once: a pool
//! that has just come up should not be met by a wave.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::PassthroughServices;
use super::session::PassthroughSession;
use crate::upstream::UpstreamId;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise::{self, service};

/// The thread's heartbeat is later than this only if something holds it: a move takes less.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// The time between two searches for a session to move.
const MOVE_CHECK: Duration = Duration::from_secs(1);
/// The least time between two moves.
const MOVE_GAP: Duration = Duration::from_millis(250);
/// The time that the next move waits for the moved miner to be back.
const MAX_RECONNECT_WAIT: Duration = Duration::from_secs(10);
/// The time between two checks whether the pool has answered.
const ANSWER_CHECK: Duration = Duration::from_millis(20);
/// The time for which a session with unanswered shares is not moved.
const MAX_ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Starts the thread.
pub(super) fn start(services: &Arc<PassthroughServices>, stop: &Stop) -> io::Result<()> {
    let (services, stop) = (services.clone(), stop.clone());
    service("failback").beats_within(STUCK_AFTER).start(move || fail_back(&services, &stop)).map(drop)
}

fn fail_back(services: &PassthroughServices, stop: &Stop) -> Result<(), Stopped> {
    let failback_after = services.config.failover.failback_after;
    let round = MOVE_CHECK.min(failback_after / 4).max(Duration::from_millis(10));
    loop {
        stop.sleep(round)?;
        supervise::beat();
        if let Some((session, better)) = session_to_move(services, failback_after) {
            wait_for_answers(services, &session, better, stop)?;
            // A session that is not read any more has to be closed in any case.
            if services.upstreams.is_up(better) || session.is_paused() {
                move_back(services, &session, better, stop)?;
            }
        }
    }
}

/// The oldest session that is on a lower upstream because the preferred one was down, or on one that is not
/// listed any more, and the upstream it should be on. A session that began later was failed by the preferred
/// one, and would be again.
fn session_to_move(
    services: &PassthroughServices,
    stable: Duration,
) -> Option<(Arc<PassthroughSession>, UpstreamId)> {
    let should_be = |session: Arc<PassthroughSession>| {
        let here = UpstreamId(session.conversation.upstream()?);
        let (better, since) = services.upstreams.better_than(here, stable, &[])?;
        (!session.is_closing() && session.accepted_at < since).then_some((session, better))
    };
    services.registry.all().into_iter().find_map(should_be)
}

/// Waits for a moment at which the pool owes the miner nothing. A miner that always has a share in flight is
/// paused, so that there is one.
fn wait_for_answers(
    services: &PassthroughServices,
    session: &PassthroughSession,
    better: UpstreamId,
    stop: &Stop,
) -> Result<(), Stopped> {
    let patience = MAX_ANSWER_WAIT.min(services.config.failover.failback_after);
    let deadline = Instant::now() + patience;
    while session.conversation.unanswered.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
        stop.sleep(ANSWER_CHECK)?;
    }
    if session.conversation.unanswered.load(Ordering::Relaxed) == 0 || !services.upstreams.is_up(better) {
        return Ok(());
    }
    session.pause_miner();
    let deadline = Instant::now() + MAX_ANSWER_WAIT;
    let watched = services.to_analyzer.is_some();
    while !session.is_answered(watched) && Instant::now() < deadline {
        stop.sleep(ANSWER_CHECK)?;
    }
    Ok(())
}

/// Closes the session, and waits until its miner is back or has had the time for it.
fn move_back(
    services: &PassthroughServices,
    session: &PassthroughSession,
    best: UpstreamId,
    stop: &Stop,
) -> Result<(), Stopped> {
    let miner = session.conversation.miner();
    log::info!(
        "session {} of {miner} closed, so that the miner reconnects to pool {best} {}",
        session.conversation.id,
        services.upstreams.name(best)
    );
    let next = services.next_session.load(Ordering::Relaxed);
    session.close();
    stop.sleep(MOVE_GAP)?;
    let deadline = Instant::now() + MAX_RECONNECT_WAIT;
    let is_back = |other: &Arc<PassthroughSession>| {
        other.conversation.id.0 >= next
            && other.conversation.miner().ip() == miner.ip()
            && other.conversation.down.has_begun()
    };
    while Instant::now() < deadline && !services.registry.all().iter().any(is_back) {
        stop.sleep(MOVE_GAP)?;
    }
    Ok(())
}
