//! Keeps a link's connection: dials when a miner is there, replaces one that is lost, returns to a
//! better pool (the new connection works before the old one goes), closes when nobody needs it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::link::Link;
use super::opening::{Useless, authorize_all, is_futile, open};
use crate::stop::{Stop, Stopped};
use crate::upstream::{Failure, Link as Dialled, Standing, UpstreamId};

/// How often it is looked what is to be done when nothing has happened.
const LOOK: Duration = Duration::from_millis(250);
/// What is on its way on the connection that is left.
const DRAIN: Duration = Duration::from_secs(2);
/// How often it is looked whether it has arrived.
const DRAIN_LOOK: Duration = Duration::from_millis(10);
/// A connection that ends sooner has not worked.
const BRIEF: Duration = Duration::from_secs(10);
/// So many brief ones in a row are a failure of the pool's.
const BRIEF_ONES: u32 = 3;
/// Before the third of them.
const PAUSE: Duration = Duration::from_millis(300);
/// A pool that knows nobody of this link is not asked again for so long.
const AVOIDED: Duration = Duration::from_secs(600);

/// The body of a link's thread.
///
/// # Errors
/// At the end of the program.
pub(super) fn keep(link: &Arc<Link>, stop: &Stop) -> Result<(), Stopped> {
    // However this ends, nobody waits for it any longer.
    let _closing = Closing(link);
    Keeper { link, stop, brief: None, avoided: Vec::new(), without_since: None }.run()
}

struct Closing<'a>(&'a Link);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close_down();
    }
}

struct Keeper<'a> {
    link: &'a Arc<Link>,
    stop: &'a Stop,
    /// How many connections to this pool ended at once, in a row.
    brief: Option<(UpstreamId, u32)>,
    /// Pools that know nobody of this link, since when. Others may be known there.
    avoided: Vec<(UpstreamId, Instant)>,
    /// Since when miners have no pool.
    without_since: Option<Instant>,
}

/// Why a connection is not served any longer.
enum Over {
    /// It ended, after so long.
    Lost(UpstreamId, Duration),
    /// It was left, for a reason that is noted.
    Left,
    Idle,
}

impl Keeper<'_> {
    fn run(&mut self) -> Result<(), Stopped> {
        while self.wait_for_miners()? {
            let Some(connection) = self.connect()? else { continue };
            self.without_since = None;
            self.link.adopt(&connection);
            // Also those who came while it was made.
            authorize_all(self.link, &connection);
            let over = self.serve(connection)?;
            self.link.abandon();
            match over {
                Over::Idle => continue,
                Over::Left => {}
                Over::Lost(upstream, lasted) => self.lost(upstream, lasted)?,
            }
            self.without_since = Some(Instant::now());
            // The miners may come back in a wave, and it is not their fault.
            self.link.services().reception.gatekeeper.pool_failed(Instant::now());
        }
        Ok(())
    }

    /// `false` when nobody has come for so long that the link is not kept.
    fn wait_for_miners(&mut self) -> Result<bool, Stopped> {
        loop {
            let seen = self.link.moment();
            self.stop.check()?;
            if self.link.is_wanted() {
                return Ok(true);
            }
            self.without_since = None;
            // The first link stays, so that the next miner need not wait for a thread.
            let is_spare = self.link.number > 1 || self.link.account().is_some();
            let is_over = self.link.empty_for().is_some_and(|time| time > self.grace());
            if is_spare && is_over && self.link.retire() {
                return Ok(false);
            }
            self.link.wait(seen, LOOK);
        }
    }

    /// A connection on which miners can be seated. Miners who have no pool for too long are let go: their
    /// own next pool may be better than none.
    fn connect(&mut self) -> Result<Option<Arc<Connection>>, Stopped> {
        let since = *self.without_since.get_or_insert_with(Instant::now);
        let deadline = since + self.link.services().config.failover.connect_deadline;
        let dialled = self.dial(deadline)?;
        let was_reached = dialled.is_some();
        let connection = match dialled {
            Some(dialled) => self.open(dialled, Some(deadline))?,
            None => None,
        };
        if connection.is_none() && Instant::now() >= deadline {
            self.link.let_go();
            self.without_since = None;
        } else if !was_reached {
            // Before the deadline only for reasons of our own, such as no more descriptors.
            self.stop.sleep(PAUSE)?;
        }
        Ok(connection)
    }

    fn dial(&mut self, deadline: Instant) -> Result<Option<Dialled>, Stopped> {
        let avoided = self.avoided();
        let upstreams = &self.link.services().upstreams;
        let mut dialled = None;
        if !avoided.is_empty() {
            dialled = upstreams.connect(&avoided, deadline).ok();
        }
        if dialled.is_none() {
            // Better one that knows nobody, and says so, than none.
            dialled = upstreams.connect(&[], deadline).ok();
        }
        self.stop.check()?;
        Ok(dialled)
    }

    /// What is wrong with the pool is noted.
    fn open(
        &mut self,
        dialled: Dialled,
        deadline: Option<Instant>,
    ) -> Result<Option<Arc<Connection>>, Stopped> {
        let upstream = dialled.upstream;
        match open(self.link, dialled, deadline, self.has_other(upstream), self.stop)? {
            Ok(connection) => return Ok(Some(connection)),
            Err(Useless::Blocked) => {}
            Err(Useless::KnowsNobody) => self.avoid(upstream),
            // Whoever waits for it has nothing to lose by another try.
            Err(Useless::Failed(Failure::ClosedUnanswered)) if deadline.is_some() => {
                self.lost(upstream, Duration::ZERO)?;
            }
            Err(Useless::Failed(failure)) => self.link.services().upstreams.mark_failed(upstream, failure),
        }
        Ok(None)
    }

    /// Until the connection is lost or nobody needs it any more. A better one replaces it meanwhile.
    fn serve(&mut self, mut connection: Arc<Connection>) -> Result<Over, Stopped> {
        let services = self.link.services().clone();
        let mut began = Instant::now();
        loop {
            let seen = self.link.moment();
            self.stop.check()?;
            let upstream = connection.upstream;
            if services.upstreams.standing(upstream) == Standing::Blocked {
                connection.end();
                return Ok(Over::Left);
            }
            if connection.is_over() {
                return Ok(Over::Lost(upstream, began.elapsed()));
            }
            let unusable = connection.facts().unusable.clone();
            if let Some(why) = unusable {
                services.upstreams.mark_failed(upstream, Failure::Refused(why));
                connection.end();
                return Ok(Over::Left);
            }
            if is_futile(self.link, &connection) && self.has_other(upstream) {
                self.avoid(upstream);
                connection.end();
                return Ok(Over::Left);
            }
            if self.link.rest(self.grace()) {
                log::info!("pool {upstream}: nobody mines; closed");
                connection.end();
                return Ok(Over::Idle);
            }
            let stable = services.config.failover.failback_after;
            if let Some((better, _)) = services.upstreams.better_than(upstream, stable, &self.avoided()) {
                if let Some(next) = self.go_back(better, &connection)? {
                    (connection, began) = (next, Instant::now());
                    continue;
                }
            }
            self.link.wait(seen, LOOK);
        }
    }

    /// Make before break: the miners move when the better pool has answered and given a job.
    fn go_back(
        &mut self,
        to: UpstreamId,
        from: &Arc<Connection>,
    ) -> Result<Option<Arc<Connection>>, Stopped> {
        let upstreams = &self.link.services().upstreams;
        let deadline = Instant::now() + self.link.services().config.failover.connect_deadline;
        let Ok(dialled) = upstreams.connect_to(to, deadline) else { return Ok(None) };
        let Some(next) = self.open(dialled, None)? else { return Ok(None) };
        log::info!("over to pool {to} {}", self.link.services().upstreams.name(to));
        self.link.adopt(&next);
        authorize_all(self.link, &next);
        let deadline = Instant::now() + DRAIN;
        while from.open_shares() > 0 && !from.is_over() && !next.is_over() && Instant::now() < deadline {
            if self.stop.sleep(DRAIN_LOOK).is_err() {
                break;
            }
        }
        from.end();
        Ok(Some(next))
    }

    /// A connection ended. One that does so is bad luck; the next is to the same pool.
    fn lost(&mut self, upstream: UpstreamId, lasted: Duration) -> Result<(), Stopped> {
        let before =
            self.brief.filter(|(of, _)| *of == upstream && lasted < BRIEF).map_or(0, |(_, count)| count);
        let count = before + u32::from(lasted < BRIEF);
        self.brief = Some((upstream, count));
        if count >= BRIEF_ONES {
            self.brief = None;
            self.link.services().upstreams.mark_failed(upstream, Failure::ClosedUnanswered);
        } else if count + 1 == BRIEF_ONES {
            self.stop.sleep(PAUSE)?;
        }
        Ok(())
    }

    fn avoid(&mut self, upstream: UpstreamId) {
        let name = self.link.services().upstreams.name(upstream);
        log::warn!("pool {upstream} {name}: it credits nobody of link {}; left", self.link.number);
        self.avoided.retain(|(avoided, _)| *avoided != upstream);
        self.avoided.push((upstream, Instant::now()));
    }

    fn avoided(&mut self) -> Vec<UpstreamId> {
        self.avoided.retain(|(_, since)| since.elapsed() < AVOIDED);
        self.avoided.iter().map(|(upstream, _)| *upstream).collect()
    }

    /// Whether another pool may know them.
    fn has_other(&mut self, than: UpstreamId) -> bool {
        let avoided = self.avoided();
        let upstreams = &self.link.services().upstreams;
        let others = upstreams.order().into_iter().filter(|other| *other != than && !avoided.contains(other));
        others.into_iter().any(|other| upstreams.is_up(other))
    }

    fn grace(&self) -> Duration {
        self.link.services().config.aggregate.grace
    }
}
