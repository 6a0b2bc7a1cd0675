//! Keeps a link's connection: dials when a miner is there, replaces one that is lost, returns to a
//! better pool (the new connection works before the old one goes), closes when nobody needs it.

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
use crate::upstream::{Failure, Link as Dialled, Rank};

/// How often it is looked what is to be done when nothing has happened.
const LOOK: Duration = Duration::from_millis(250);
/// How long a new connection's first job is waited for, before miners are moved there without one.
const FIRST_JOB: Duration = Duration::from_secs(5);
/// What is on its way on the connection that is left.
const DRAIN: Duration = Duration::from_secs(2);
/// A connection that ends sooner has not worked.
const BRIEF: Duration = Duration::from_secs(10);
/// So many brief ones in a row are a failure of the pool's.
const BRIEF_ONES: u32 = 3;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(300);

/// The body of a link's thread.
///
/// # Errors
/// At the end of the program.
pub(super) fn keep(link: &Arc<Link>, stop: &Stop) -> Result<(), Stopped> {
    let mut keeper = Keeper { link, stop, brief: 0 };
    let ended = keeper.run();
    if let Some(connection) = link.connection() {
        connection.end();
    }
    link.abandon();
    ended
}

struct Keeper<'a> {
    link: &'a Arc<Link>,
    stop: &'a Stop,
    /// Connections in a row that ended at once.
    brief: u32,
}

/// Why a connection is not served any longer.
enum Over {
    Lost,
    Idle,
}

impl Keeper<'_> {
    fn run(&mut self) -> Result<(), Stopped> {
        loop {
            while !self.link.is_wanted() {
                self.stop.check()?;
                // The first link stays, so that the next miner need not wait for a thread.
                let is_spare = self.link.number > 1 || self.link.account().is_some();
                if is_spare
                    && self.link.empty_for().is_some_and(|time| time > self.grace())
                    && self.link.retire()
                {
                    return Ok(());
                }
                self.link.wait(LOOK);
            }
            let Some(connection) = self.connect()? else { continue };
            let began = Instant::now();
            self.link.adopt(&connection);
            let over = self.serve(connection)?;
            let rank = self.link.rank();
            self.link.abandon();
            if let Over::Lost = over {
                self.lost_after(began.elapsed(), rank)?;
            }
        }
    }

    /// A connection with a search space, and with a job if miners wait for one.
    fn connect(&mut self) -> Result<Option<Arc<Connection>>, Stopped> {
        let services = self.link.services();
        let deadline = Instant::now() + services.config.failover.connect_deadline;
        let dialled = services.upstreams.connect(&[], deadline);
        self.stop.check()?;
        let Ok(dialled) = dialled else {
            // Their own next pool may be better than none.
            let miners = self.link.miners();
            if !miners.is_empty() {
                log::warn!("no pool could be reached; {} miners are let go", miners.len());
                miners.iter().for_each(|miner| miner.dismiss());
            }
            return Ok(None);
        };
        let connection = self.begin(dialled)?;
        match self.wait_until_usable(&connection)? {
            Ok(()) => Ok(Some(connection)),
            Err(failure) => {
                connection.end();
                services.upstreams.mark_failed(connection.rank, failure);
                Ok(None)
            }
        }
    }

    fn begin(&self, dialled: Dialled) -> Result<Arc<Connection>, Stopped> {
        let services = self.link.services();
        let peer = dialled.stream.socket().peer_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
        let conversation = Arc::new(Conversation::with_pool(services.next_session(), peer, Stamp::now()));
        conversation.set_upstream(dialled.rank.0);
        announce(&services.to_analyzer, &conversation, What::Opened);
        let tap = Tap::new(services.to_analyzer.clone(), conversation.clone(), Direction::Up);
        let connection = Arc::new(Connection::new(dialled.rank, dialled.stream, conversation, tap));
        log::info!(
            "pool {} {}: connected, for link {}",
            connection.rank,
            services.upstreams.name(connection.rank),
            self.link.number
        );
        self.start_threads(&connection)?;
        connection.open();
        Ok(connection)
    }

    fn start_threads(&self, connection: &Arc<Connection>) -> Result<(), Stopped> {
        let name = format!("pool-{}", self.link.number);
        let (sending, receiving, link) = (connection.clone(), connection.clone(), self.link.clone());
        let silence = link.services().config.failover.silence_timeout;
        let threads =
            spawn(format!("{name}-out"), SERVICE_STACK, move || sending.run_outbox()).and_then(|_| {
                spawn(name, SERVICE_STACK, move || {
                    let end = listen(&link, &receiving, silence);
                    ended(&link, &receiving, &end);
                    Ok::<(), Stopped>(())
                })
            });
        if let Err(error) = threads {
            log::error!("no thread for the pool's connection: {error}");
            connection.end();
            self.stop.sleep(PAUSE)?;
        }
        Ok(())
    }

    /// Waits until miners can be seated there.
    fn wait_until_usable(&self, connection: &Arc<Connection>) -> Result<Result<(), Failure>, Stopped> {
        let limit = self.link.services().config.failover.answer_timeout;
        let began = Instant::now();
        let mut authorized = false;
        loop {
            self.stop.check()?;
            let (has_space, has_job, unusable) = {
                let facts = connection.facts();
                (facts.space.is_some(), facts.newest.is_some(), facts.unusable.clone())
            };
            if let Some(why) = unusable {
                log::error!("pool {}: {why}", connection.rank);
                self.link.note_unusable(connection.rank, &why);
                return Ok(Err(Failure::Refused(why)));
            }
            if connection.is_over() {
                return Ok(Err(Failure::ClosedUnanswered));
            }
            if has_space && !authorized {
                authorized = true;
                self.authorize_all(connection);
            }
            // With miners on their way from another pool it is worth waiting for a job to give them.
            let is_moving = !self.link.miners().is_empty();
            if has_space && (has_job || !is_moving || began.elapsed() > FIRST_JOB) {
                return Ok(Ok(()));
            }
            if !has_space && began.elapsed() > limit {
                return Ok(Err(Failure::Silent(limit)));
            }
            self.link.wait(LOOK);
        }
    }

    /// Until the connection is lost or nobody needs it any more. A better one replaces it meanwhile.
    fn serve(&mut self, mut connection: Arc<Connection>) -> Result<Over, Stopped> {
        let services = self.link.services().clone();
        loop {
            self.stop.check()?;
            if connection.is_over() {
                return Ok(Over::Lost);
            }
            if self.link.empty_for().is_some_and(|time| time >= self.grace()) {
                log::info!("pool {}: nobody mines; closed", connection.rank);
                connection.end();
                return Ok(Over::Idle);
            }
            let better = services.upstreams.stable_for(services.config.failover.failback_after);
            if let Some((rank, _)) = better.filter(|(rank, _)| *rank < connection.rank) {
                if let Some(next) = self.go_back(rank, &connection)? {
                    connection = next;
                }
            }
            self.link.wait(LOOK);
        }
    }

    /// Make before break: the miners move when the better pool has answered and given a job.
    fn go_back(&mut self, to: Rank, from: &Arc<Connection>) -> Result<Option<Arc<Connection>>, Stopped> {
        let Some(next) = self.connect()? else { return Ok(None) };
        if next.rank >= from.rank {
            next.end();
            return Ok(None);
        }
        log::info!("back to pool {to} {}", self.link.services().upstreams.name(to));
        self.link.adopt(&next);
        let deadline = Instant::now() + DRAIN;
        while from.open_shares() > 0 && !from.is_over() && Instant::now() < deadline {
            self.stop.sleep(Duration::from_millis(10))?;
        }
        from.end();
        Ok(Some(next))
    }

    fn lost_after(&mut self, lasted: Duration, rank: Option<Rank>) -> Result<(), Stopped> {
        self.brief = if lasted < BRIEF { self.brief + 1 } else { 0 };
        if self.brief >= BRIEF_ONES {
            self.brief = 0;
            if let Some(rank) = rank {
                self.link.services().upstreams.mark_failed(rank, Failure::ClosedUnanswered);
            }
        }
        // The miners may come back in a wave, and it is not their fault.
        self.link.services().reception.gatekeeper.pool_failed(Instant::now());
        if self.brief > 1 {
            self.stop.sleep(PAUSE)?;
        }
        Ok(())
    }

    fn authorize_all(&self, connection: &Connection) {
        for name in self.link.names() {
            self.link.authorize_on(connection, &name);
        }
        self.link.services().authorize_own(connection);
    }

    fn grace(&self) -> Duration {
        self.link.services().config.aggregate.grace
    }
}

/// A connection has ended: who waits is told, the pool's standing is looked after.
fn ended(link: &Arc<Link>, connection: &Arc<Connection>, end: &End) {
    let services = link.services();
    let (rank, name) = (connection.rank, services.upstreams.name(connection.rank));
    match end {
        End::Ended => {}
        End::Closed => log::warn!("pool {rank} {name}: it closed the connection"),
        End::Failed(error) => log::warn!("pool {rank} {name}: the connection was lost: {error}"),
        End::Silent(time) => services.upstreams.mark_failed(rank, Failure::Silent(*time)),
    }
    announce(&services.to_analyzer, &connection.conversation, What::Closed);
    link.news();
}
