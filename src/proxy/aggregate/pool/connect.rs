//! Connects to a pool, until miners can be moved there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reader::{ConnectionEnd, read};
use crate::net::Stamp;
use crate::net::sched::wake_first;
use crate::proxy::aggregate::{MinerGroup, SharedConnection};
use crate::tap::{Conversation, Direction, TapEvent};
use crate::tap::{Tap, send_event};
use crate::upstream::{PoolConnection, PoolFailure, PoolInUse};
use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::thread::{SERVICE_STACK, spawn};

/// The longest time between two checks.
const MAX_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The purpose of a new connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectReason<'a> {
    /// When the group's miners are disconnected for want of a pool. `None`: they have one meanwhile.
    pub(crate) deadline: Option<Instant>,
    /// Whether there is another pool. Without one, a pool that credits nobody or has no work will do.
    pub(crate) has_choice: bool,
    /// A connection to another pool, which this one replaces if it proves better.
    pub(crate) instead_of: Option<&'a SharedConnection>,
    /// The connection that the miners have meanwhile, to whichever pool.
    pub(crate) present: Option<&'a SharedConnection>,
    /// Whether the pool gets `mining.configure`.
    pub(crate) configure: bool,
}

/// The reason that a connection can't be used.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The pool has failed.
    Failed(PoolFailure),
    /// The connection was closed before the pool's first line, or after it.
    ClosedUnanswered,
    Closed,
    /// The pool credits no miner of this group.
    CreditsNobody,
    /// The pool was taken out of rotation meanwhile.
    Blocked,
    /// The connection that it was to replace has ended, and this one has not proven better.
    Superseded,
}

/// Connects, and waits until miners can be moved there.
///
/// # Errors
/// Only at the end of the program; the connection is closed then.
pub(crate) fn open(
    group: &Arc<MinerGroup>,
    dialled: PoolConnection,
    reason: ConnectReason<'_>,
    stop: &Stop,
) -> Result<Result<Arc<SharedConnection>, ConnectError>, Stopped> {
    let connection = start_connection(group, dialled, reason.configure);
    let opened = wait_until_usable(group, &connection, reason, stop);
    if !matches!(opened, Ok(Ok(()))) {
        connection.end();
    }
    Ok(opened?.map(|()| connection))
}

/// The failure of a pool that gives no work. A probe gets the login to find out with.
pub(crate) fn no_work(group: &MinerGroup, connection: &SharedConnection) -> PoolFailure {
    let services = &group.services;
    connection
        .login()
        .into_iter()
        .for_each(|login| services.upstreams.note_login(connection.upstream, login));
    PoolFailure::NoWork(services.config.failover.first_job_timeout)
}

/// Authorizes the names of all miners of the group.
pub(crate) fn authorize_all(group: &MinerGroup, connection: &SharedConnection) {
    for worker in group.own_workers() {
        group.authorize_on(connection, &worker);
    }
    group.services.authorize_own(connection);
}

/// Whether no miner's work is credited on this connection.
pub(crate) fn is_uncredited(group: &MinerGroup, connection: &SharedConnection) -> bool {
    // Where miners bring their own passwords, they have to bring the right ones.
    let names_are_ours = group.services.config.aggregate.local_authorize;
    let connection_state = connection.connection_state();
    connection_state.credits_nobody() || (names_are_ours && connection_state.names.are_all_refused())
}

fn start_connection(
    group: &Arc<MinerGroup>,
    dialled: PoolConnection,
    configure: bool,
) -> Arc<SharedConnection> {
    let services = &group.services;
    let peer = dialled.stream.socket().peer_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
    let conversation = Arc::new(Conversation::with_pool(services.next_session(), peer, Stamp::now()));
    conversation.set_upstream(dialled.upstream.0);
    let tap = Tap::new(services.to_analyzer.clone(), conversation.clone(), Direction::Up);
    let upstream = (dialled.upstream, services.upstreams.configured(dialled.upstream));
    let connection =
        Arc::new(SharedConnection::new(upstream, dialled.stream, conversation, tap, services.limits));
    log::info!(
        "pool {} {}: connected, for group {}",
        connection.upstream,
        services.upstreams.name(connection.upstream),
        group.number
    );
    start_threads(group, &connection, dialled.usage);
    connection.open(configure);
    connection
}

fn start_threads(group: &Arc<MinerGroup>, connection: &Arc<SharedConnection>, usage: PoolInUse) {
    let name = format!("pool-{}", group.number);
    let (sending, receiving, reading_group) = (connection.clone(), connection.clone(), group.clone());
    let silence = group.services.config.failover.silence_timeout;
    let threads = spawn(format!("{name}-out"), SERVICE_STACK, move || {
        wake_first();
        sending.run_outbox()
    })
    .and_then(|_| {
        spawn(name, SERVICE_STACK, move || {
            wake_first();
            let _used = usage;
            let _ended = ReaderEndGuard { group: &reading_group, connection: &receiving };
            let end = read(&reading_group, &receiving, silence);
            note_end(&reading_group, &receiving, &end);
        })
    });
    if let Err(error) = threads {
        log::error!("can't start a thread for the connection to the pool: {}", describe(&error));
        connection.end();
    }
}

/// Wakes those that wait for the connection when the reading ends, also by a panic.
struct ReaderEndGuard<'a> {
    group: &'a MinerGroup,
    connection: &'a SharedConnection,
}

impl Drop for ReaderEndGuard<'_> {
    fn drop(&mut self) {
        self.connection.end();
        send_event(&self.group.services.to_analyzer, &self.connection.conversation, TapEvent::Closed);
        self.group.wake_waiters();
    }
}

/// Records how a connection has ended.
fn note_end(group: &MinerGroup, connection: &SharedConnection, end: &ConnectionEnd) {
    let services = &group.services;
    let (upstream, name) = (connection.upstream, services.upstreams.name(connection.upstream));
    match end {
        ConnectionEnd::Ended => {}
        ConnectionEnd::Closed => log::warn!("pool {upstream} {name}: it closed the connection"),
        ConnectionEnd::Failed(why) => log::warn!("pool {upstream} {name}: the connection was lost: {why}"),
        // Marked before the end is seen: the next connection is to another pool.
        ConnectionEnd::Silent(time) => services.upstreams.mark_failed(upstream, PoolFailure::Silent(*time)),
    }
}

fn wait_until_usable(
    group: &Arc<MinerGroup>,
    connection: &Arc<SharedConnection>,
    reason: ConnectReason<'_>,
    stop: &Stop,
) -> Result<Result<(), ConnectError>, Stopped> {
    let services = &group.services;
    let ConnectReason { deadline, has_choice, instead_of, present, configure: _ } = reason;
    let (limit, job_limit) =
        (services.config.failover.answer_timeout, services.config.failover.first_job_timeout);
    let began = Instant::now();
    // When the names were authorized.
    let mut asked_at = None;
    loop {
        let seen = group.change_count();
        stop.check()?;
        let (has_space, has_job, unusable, owes_verdicts) = {
            let state = connection.connection_state();
            let owes_verdicts = state.names.are_all_pending();
            (state.space.is_some(), state.newest.is_some(), state.unusable.clone(), owes_verdicts)
        };
        if let Some(why) = unusable {
            log::error!("pool {}: {why}", connection.upstream);
            group.note_unusable(connection.upstream, &why);
            return Ok(Err(ConnectError::Failed(PoolFailure::Refused(why))));
        }
        if connection.is_over() {
            let has_spoken = connection.conversation.down.has_begun();
            return Ok(Err(if has_spoken { ConnectError::Closed } else { ConnectError::ClosedUnanswered }));
        }
        if services.upstreams.is_blocked(connection.upstream) {
            return Ok(Err(ConnectError::Blocked));
        }
        if has_space && asked_at.is_none() {
            asked_at = Some(Instant::now());
            authorize_all(group, connection);
        }
        if has_choice && is_uncredited(group, connection) {
            return Ok(Err(ConnectError::CreditsNobody));
        }
        // With miners on their way from another pool it is worth waiting for a job.
        if has_space && (!group.has_miners() || (has_job && !owes_verdicts)) {
            return Ok(Ok(()));
        }
        if instead_of.is_some_and(SharedConnection::is_spent) {
            return Ok(Err(ConnectError::Superseded));
        }
        let waited = asked_at.map_or(Duration::ZERO, |at| at.elapsed());
        if waited >= services.limits.first_job.min(job_limit) {
            // Miners that have a pool are not moved to one without work.
            let has_pool = present.is_some_and(|present| !present.is_spent());
            if !connection.owes_work() || !has_pool && waited < job_limit {
                return Ok(Ok(()));
            }
            if waited >= job_limit {
                let is_useless = has_pool || has_choice;
                let failed = || Err(ConnectError::Failed(no_work(group, connection)));
                return Ok(if is_useless { failed() } else { Ok(()) });
            }
        }
        if !has_space && began.elapsed() > limit {
            return Ok(Err(ConnectError::Failed(PoolFailure::Silent(limit))));
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            group.disconnect_all("no pool could be reached");
        }
        // Wakes in time for whatever is due first.
        let job_due = asked_at.map(|at| at + services.limits.first_job.min(job_limit));
        let due = [Some(began + limit).filter(|_| !has_space), job_due, deadline].into_iter().flatten();
        let due = due.map(|at| at.saturating_duration_since(now)).filter(|time| !time.is_zero()).min();
        group.wait_for_change(
            seen,
            due.unwrap_or(MAX_CHECK_INTERVAL).min(MAX_CHECK_INTERVAL) + Duration::from_millis(1),
        );
    }
}
