//! A new connection to a pool, until miners can be seated there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::reader::{ConnectionEnd, listen};
use crate::net::Stamp;
use crate::proxy::aggregate::group::MinerGroup;
use crate::tap::{Conversation, Direction, TapEvent};
use crate::tap::{Tap, send_event};
use crate::upstream::{PoolConnection as Dialled, PoolFailure, PoolStatus};
use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::thread::{SERVICE_STACK, spawn};

/// How often it is looked what is to be done when nothing has happened.
const LOOK: Duration = Duration::from_millis(250);

/// What a new connection is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectReason<'a> {
    /// Those of the link have no pool from then on: they are let go. `None`: they have one meanwhile.
    pub(crate) deadline: Option<Instant>,
    /// There is another pool. Without one, a pool that knows nobody or has no work will do.
    pub(crate) has_choice: bool,
    /// A connection to another pool, which it is to replace if it proves better.
    pub(crate) instead_of: Option<&'a Connection>,
    /// The connection that the miners have meanwhile, to whichever pool.
    pub(crate) present: Option<&'a Connection>,
    /// The pool is asked what may be rolled.
    pub(crate) configure: bool,
}

/// Why a connection is of no use.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The pool has failed.
    Failed(PoolFailure),
    /// It has hung up, before or after its first word.
    Wordless,
    Closed,
    /// It is there, and knows nobody of this link.
    KnowsNobody,
    /// It was taken out of rotation meanwhile.
    Blocked,
    /// What it was to replace has ended, and it has not shown that it is any better.
    Overtaken,
}

/// Opens a connection, and waits until miners can be seated there.
///
/// # Errors
/// At the end of the program; the connection is ended then.
pub(crate) fn open(
    link: &Arc<MinerGroup>,
    dialled: Dialled,
    purpose: ConnectReason<'_>,
    stop: &Stop,
) -> Result<Result<Arc<Connection>, ConnectError>, Stopped> {
    let connection = begin(link, dialled, purpose.configure);
    let opened = wait_until_usable(link, &connection, purpose, stop);
    if !matches!(opened, Ok(Ok(()))) {
        connection.end();
    }
    Ok(opened?.map(|()| connection))
}

/// Says that the pool has failed because it gives no work, and leaves a probe the login to find out with.
pub(crate) fn no_work(link: &MinerGroup, connection: &Connection) -> PoolFailure {
    let services = link.services();
    connection
        .login()
        .into_iter()
        .for_each(|login| services.upstreams.note_login(connection.upstream, login));
    PoolFailure::NoWork(services.config.failover.first_job_timeout)
}

/// Asks the pool about everybody who is here.
pub(crate) fn authorize_all(link: &MinerGroup, connection: &Connection) {
    for worker in link.own_workers() {
        link.authorize_on(connection, &worker);
    }
    link.services().authorize_own(connection);
}

/// Whether nobody's work is worth anything on this connection.
pub(crate) fn is_futile(link: &MinerGroup, connection: &Connection) -> bool {
    // Where miners bring their own passwords, it is for them to bring the right ones.
    let names_are_ours = link.services().config.aggregate.local_authorize;
    connection.credits_nobody() || (names_are_ours && connection.refuses_everybody())
}

fn begin(link: &Arc<MinerGroup>, dialled: Dialled, configure: bool) -> Arc<Connection> {
    let services = link.services();
    let peer = dialled.stream.socket().peer_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
    let conversation = Arc::new(Conversation::with_pool(services.next_session(), peer, Stamp::now()));
    conversation.set_upstream(dialled.upstream.0);
    send_event(&services.to_analyzer, &conversation, TapEvent::Opened);
    let tap = Tap::new(services.to_analyzer.clone(), conversation.clone(), Direction::Up);
    let upstream = (dialled.upstream, services.upstreams.configured(dialled.upstream));
    let connection = Arc::new(Connection::new(upstream, dialled.stream, conversation, tap, services.limits));
    log::info!(
        "pool {} {}: connected, for link {}",
        connection.upstream,
        services.upstreams.name(connection.upstream),
        link.number
    );
    start_threads(link, &connection);
    connection.open(configure);
    connection
}

fn start_threads(link: &Arc<MinerGroup>, connection: &Arc<Connection>) {
    let name = format!("pool-{}", link.number);
    let (sending, receiving, heard) = (connection.clone(), connection.clone(), link.clone());
    let silence = link.services().config.failover.silence_timeout;
    let threads = spawn(format!("{name}-out"), SERVICE_STACK, move || sending.run_outbox()).and_then(|_| {
        spawn(name, SERVICE_STACK, move || {
            let _ended = ReaderEndGuard { link: &heard, connection: &receiving };
            let end = listen(&heard, &receiving, silence);
            note_end(&heard, &receiving, &end);
            Ok::<(), Stopped>(())
        })
    });
    if let Err(error) = threads {
        log::error!("no thread for the pool's connection: {}", describe(&error));
        connection.end();
    }
}

/// However the reading ends, also by a panic: what waits for the connection is told.
struct ReaderEndGuard<'a> {
    link: &'a MinerGroup,
    connection: &'a Connection,
}

impl Drop for ReaderEndGuard<'_> {
    fn drop(&mut self) {
        self.connection.end();
        send_event(&self.link.services().to_analyzer, &self.connection.conversation, TapEvent::Closed);
        self.link.news();
    }
}

/// A connection has ended: the pool's standing is looked after.
fn note_end(link: &MinerGroup, connection: &Connection, end: &ConnectionEnd) {
    let services = link.services();
    let (upstream, name) = (connection.upstream, services.upstreams.name(connection.upstream));
    match end {
        ConnectionEnd::Ended => {}
        ConnectionEnd::Closed => log::warn!("pool {upstream} {name}: it closed the connection"),
        ConnectionEnd::Failed(why) => log::warn!("pool {upstream} {name}: the connection was lost: {why}"),
        // Before the end is seen: the next connection is to another pool.
        ConnectionEnd::Silent(time) => services.upstreams.mark_failed(upstream, PoolFailure::Silent(*time)),
    }
}

fn wait_until_usable(
    link: &Arc<MinerGroup>,
    connection: &Arc<Connection>,
    purpose: ConnectReason<'_>,
    stop: &Stop,
) -> Result<Result<(), ConnectError>, Stopped> {
    let services = link.services();
    let ConnectReason { deadline, has_choice, instead_of, present, configure: _ } = purpose;
    let (limit, job_limit) =
        (services.config.failover.answer_timeout, services.config.failover.first_job_timeout);
    let began = Instant::now();
    // When it was asked about our names.
    let mut asked_at = None;
    loop {
        let seen = link.moment();
        stop.check()?;
        let (has_space, has_job, unusable) = {
            let facts = connection.facts();
            (facts.space.is_some(), facts.newest.is_some(), facts.unusable.clone())
        };
        if let Some(why) = unusable {
            log::error!("pool {}: {why}", connection.upstream);
            link.note_unusable(connection.upstream, &why);
            return Ok(Err(ConnectError::Failed(PoolFailure::Refused(why))));
        }
        if connection.is_over() {
            let has_spoken = connection.conversation.down.has_begun();
            return Ok(Err(if has_spoken { ConnectError::Closed } else { ConnectError::Wordless }));
        }
        if services.upstreams.standing(connection.upstream) == PoolStatus::Blocked {
            return Ok(Err(ConnectError::Blocked));
        }
        if has_space && asked_at.is_none() {
            asked_at = Some(Instant::now());
            authorize_all(link, connection);
        }
        if has_choice && is_futile(link, connection) {
            return Ok(Err(ConnectError::KnowsNobody));
        }
        // With miners on their way from another pool it is worth waiting for a job to give them.
        if has_space && (link.miners().is_empty() || (has_job && !connection.owes_verdicts())) {
            return Ok(Ok(()));
        }
        if instead_of.is_some_and(Connection::is_spent) {
            return Ok(Err(ConnectError::Overtaken));
        }
        let waited = asked_at.map_or(Duration::ZERO, |at| at.elapsed());
        if waited >= services.limits.first_job.min(job_limit) {
            // Who has a pool is not brought to one without work.
            let has_pool = present.is_some_and(|present| !present.is_spent());
            if !connection.owes_work() || !has_pool && waited < job_limit {
                return Ok(Ok(()));
            }
            if waited >= job_limit {
                let is_useless = has_pool || has_choice;
                let failed = || Err(ConnectError::Failed(no_work(link, connection)));
                return Ok(if is_useless { failed() } else { Ok(()) });
            }
        }
        if !has_space && began.elapsed() > limit {
            return Ok(Err(ConnectError::Failed(PoolFailure::Silent(limit))));
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            link.let_go("no pool could be reached");
        }
        // Woken in time for whatever is due first.
        let job_due = asked_at.map(|at| at + services.limits.first_job.min(job_limit));
        let due = [Some(began + limit).filter(|_| !has_space), job_due, deadline].into_iter().flatten();
        let due = due.map(|at| at.saturating_duration_since(now)).filter(|time| !time.is_zero()).min();
        link.wait(seen, due.unwrap_or(LOOK).min(LOOK) + Duration::from_millis(1));
    }
}
