//! A new connection to a pool, until miners can be seated there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::link::Link;
use super::listening::{End, listen};
use crate::analyzer::{Conversation, Direction, What};
use crate::net::Stamp;
use crate::serving::{Tap, announce};
use crate::stop::{Stop, Stopped};
use crate::thread::{SERVICE_STACK, spawn};
use crate::upstream::{Failure, Link as Dialled, Standing};

/// How often it is looked what is to be done when nothing has happened.
const LOOK: Duration = Duration::from_millis(250);
/// How long a new connection's first job, and its verdict on our names, are waited for before miners
/// are moved there without.
const FIRST_JOB: Duration = Duration::from_secs(5);

/// Why a connection is of no use.
#[derive(Debug)]
pub(super) enum Useless {
    /// The pool has failed.
    Failed(Failure),
    /// It is there, and knows nobody of this link.
    KnowsNobody,
    /// It was taken out of rotation meanwhile.
    Blocked,
}

/// Opens a connection, and waits until miners can be seated there. Those of the link have no pool from
/// `deadline` on: then they are let go. Without another choice, a pool that knows nobody will do.
///
/// # Errors
/// At the end of the program; the connection is ended then.
pub(super) fn open(
    link: &Arc<Link>,
    dialled: Dialled,
    deadline: Option<Instant>,
    has_choice: bool,
    stop: &Stop,
) -> Result<Result<Arc<Connection>, Useless>, Stopped> {
    let connection = begin(link, dialled);
    let opened = wait_until_usable(link, &connection, deadline, has_choice, stop);
    if !matches!(opened, Ok(Ok(()))) {
        connection.end();
    }
    Ok(opened?.map(|()| connection))
}

/// Asks the pool about everybody who is here.
pub(super) fn authorize_all(link: &Link, connection: &Connection) {
    for worker in link.workers() {
        link.authorize_on(connection, &worker);
    }
    link.services().authorize_own(connection);
}

/// Whether nobody's work is worth anything on this connection.
pub(super) fn is_futile(link: &Link, connection: &Connection) -> bool {
    // Where miners bring their own passwords, it is for them to bring the right ones.
    let names_are_ours = link.services().config.aggregate.local_authorize;
    connection.credits_nobody() || (names_are_ours && connection.refuses_everybody())
}

fn begin(link: &Arc<Link>, dialled: Dialled) -> Arc<Connection> {
    let services = link.services();
    let peer = dialled.stream.socket().peer_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
    let conversation = Arc::new(Conversation::with_pool(services.next_session(), peer, Stamp::now()));
    conversation.set_upstream(dialled.upstream.0);
    announce(&services.to_analyzer, &conversation, What::Opened);
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
    connection.open();
    connection
}

fn start_threads(link: &Arc<Link>, connection: &Arc<Connection>) {
    let name = format!("pool-{}", link.number);
    let (sending, receiving, heard) = (connection.clone(), connection.clone(), link.clone());
    let silence = link.services().config.failover.silence_timeout;
    let threads = spawn(format!("{name}-out"), SERVICE_STACK, move || sending.run_outbox()).and_then(|_| {
        spawn(name, SERVICE_STACK, move || {
            let end = listen(&heard, &receiving, silence);
            ended(&heard, &receiving, &end);
            Ok::<(), Stopped>(())
        })
    });
    if let Err(error) = threads {
        log::error!("no thread for the pool's connection: {error}");
        connection.end();
    }
}

/// A connection has ended: the pool's standing is looked after, and who waits is told.
fn ended(link: &Arc<Link>, connection: &Arc<Connection>, end: &End) {
    let services = link.services();
    let (upstream, name) = (connection.upstream, services.upstreams.name(connection.upstream));
    match end {
        End::Ended => {}
        End::Closed => log::warn!("pool {upstream} {name}: it closed the connection"),
        End::Failed(error) => log::warn!("pool {upstream} {name}: the connection was lost: {error}"),
        // Before the end is seen: the next connection is to another pool.
        End::Silent(time) => services.upstreams.mark_failed(upstream, Failure::Silent(*time)),
    }
    connection.end();
    announce(&services.to_analyzer, &connection.conversation, What::Closed);
    link.news();
}

fn wait_until_usable(
    link: &Arc<Link>,
    connection: &Arc<Connection>,
    deadline: Option<Instant>,
    has_choice: bool,
    stop: &Stop,
) -> Result<Result<(), Useless>, Stopped> {
    let services = link.services();
    let limit = services.config.failover.answer_timeout;
    let began = Instant::now();
    let mut is_asked = false;
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
            return Ok(Err(Useless::Failed(Failure::Refused(why))));
        }
        if connection.is_over() {
            return Ok(Err(Useless::Failed(Failure::ClosedUnanswered)));
        }
        if services.upstreams.standing(connection.upstream) == Standing::Blocked {
            return Ok(Err(Useless::Blocked));
        }
        if has_space && !is_asked {
            is_asked = true;
            authorize_all(link, connection);
        }
        if has_choice && is_futile(link, connection) {
            return Ok(Err(Useless::KnowsNobody));
        }
        // With miners on their way from another pool it is worth waiting for a job to give them.
        let is_moving = !link.miners().is_empty() && began.elapsed() < FIRST_JOB;
        if has_space && (!is_moving || (has_job && !connection.owes_verdicts())) {
            return Ok(Ok(()));
        }
        if !has_space && began.elapsed() > limit {
            return Ok(Err(Useless::Failed(Failure::Silent(limit))));
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            link.let_go();
        }
        // Woken in time for whatever is due first.
        let due = [Some(began + limit).filter(|_| !has_space), deadline].into_iter().flatten();
        let due = due.map(|at| at.saturating_duration_since(now)).filter(|time| !time.is_zero()).min();
        link.wait(seen, due.unwrap_or(LOOK).min(LOOK) + Duration::from_millis(1));
    }
}
