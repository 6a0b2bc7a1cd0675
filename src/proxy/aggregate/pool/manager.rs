//! Manages a group's connection: connects when a miner is there, replaces a connection that is lost, returns
//! to a better pool (the new connection works before the old one closes), and closes it when no miner needs
//! it.

mod switch_over;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::avoided::AvoidedPools;
use super::connect::{ConnectError, ConnectReason, authorize_all, is_uncredited, no_work, open};
use super::disconnects::{DisconnectCounter, Loss};
use super::no_configure::NoConfigurePools;
use crate::proxy::aggregate::{MinerGroup, SharedConnection};
use crate::upstream::{PoolConnection, PoolFailure, UpstreamId};
use crate::util::format::seconds;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;

/// The longest time between two checks.
const MAX_CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// The pause before the loss that is one too many.
const DISCONNECT_PAUSE: Duration = Duration::from_millis(300);
/// The pause before a connection to a pool that credits no miner of the group.
const AVOIDED_PAUSE: Duration = Duration::from_secs(1);
/// The lost connections that make a pool count as failed.
const MAX_DISCONNECTS: usize = 3;
/// The requests for a reconnection that make a pool count as failed.
const MAX_REDIRECTIONS: usize = 6;

/// Runs the thread of a group.
///
/// # Errors
/// At the end of the program.
pub(crate) fn manage(group: &Arc<MinerGroup>, stop: &Stop) -> Result<(), Stopped> {
    // However this ends, no thread waits for it any longer.
    let _closing = CloseGuard(group);
    let within = group.services.limits.disconnect_window;
    let (disconnects, redirections) =
        (DisconnectCounter::new(within, MAX_DISCONNECTS), DisconnectCounter::new(within, MAX_REDIRECTIONS));
    let (avoided, no_configure) = (AvoidedPools::default(), NoConfigurePools::default());
    let mut manager = ConnectionManager {
        group,
        stop,
        disconnects,
        redirections,
        avoided,
        no_configure,
        unproven: None,
        without_since: None,
        redirected_at: None,
        ignored_until: None,
    };
    manager.run()
}

struct CloseGuard<'a>(&'a MinerGroup);

impl Drop for CloseGuard<'_> {
    fn drop(&mut self) {
        // The end of the program is about to give the miners their answers on the present connection.
        if std::thread::panicking() && supervise::ends_program() {
            self.0.stop_leasing();
        } else {
            self.0.shut_down();
        }
    }
}

struct ConnectionManager<'a> {
    group: &'a Arc<MinerGroup>,
    stop: &'a Stop,
    disconnects: DisconnectCounter,
    redirections: DisconnectCounter,
    avoided: AvoidedPools,
    no_configure: NoConfigurePools,
    /// A better pool that had not shown that it works when the present one was lost: others are tried first.
    unproven: Option<UpstreamId>,
    /// Since when the miners have had no pool.
    without_since: Option<Instant>,
    /// When a reconnection was last made at a pool's request.
    redirected_at: Option<Instant>,
    /// When such requests of the only pool, which has made too many, are followed again.
    ignored_until: Option<Instant>,
}

/// The reason that a connection is not used any longer.
enum ServiceEnd {
    /// The connection ended.
    Lost(UpstreamId),
    /// The connection was closed, for a reason that is logged.
    Left,
    Idle,
}

impl ConnectionManager<'_> {
    fn run(&mut self) -> Result<(), Stopped> {
        while self.wait_for_miners()? {
            let Some(connection) = self.connect()? else { continue };
            self.without_since = None;
            self.group.disconnect_others();
            self.group.switch_to(&connection);
            // Also the names of miners that joined while it was made.
            authorize_all(self.group, &connection);
            let over = self.serve(connection)?;
            self.group.drop_connection();
            match over {
                ServiceEnd::Idle => continue,
                ServiceEnd::Left => {}
                ServiceEnd::Lost(upstream) => {
                    self.note_lost(upstream)?;
                }
            }
            self.without_since = Some(Instant::now());
            // The miners may reconnect in a wave, which is not their fault.
            self.group.services.listener_context.gatekeeper.pool_failed(Instant::now());
        }
        Ok(())
    }

    /// Waits until a miner needs a pool. `false` when none has come for so long that the group is retired.
    fn wait_for_miners(&mut self) -> Result<bool, Stopped> {
        loop {
            supervise::beat();
            let seen = self.group.change_count();
            self.stop.check()?;
            if self.group.is_wanted() {
                return Ok(true);
            }
            self.without_since = None;
            // The first group stays, so that the next miner need not wait for a thread.
            let is_spare = self.group.number > 1 || self.group.account().is_some();
            let is_over = self.group.empty_for().is_some_and(|time| time > self.grace());
            if is_spare && is_over && self.group.retire() {
                return Ok(false);
            }
            self.group.wait_for_change(seen, MAX_CHECK_INTERVAL);
        }
    }

    /// A connection that miners can be moved to. Miners that have no pool for too long are disconnected:
    /// their own next pool may be better than none.
    fn connect(&mut self) -> Result<Option<Arc<SharedConnection>>, Stopped> {
        let since = *self.without_since.get_or_insert_with(Instant::now);
        let deadline = since + self.group.services.config.failover.connect_deadline;
        let dialled = self.dial(deadline)?;
        let was_reached = dialled.is_some();
        let connection = match dialled {
            Some(dialled) => self.open(dialled, Some(deadline), None, None)?,
            None => None,
        };
        if connection.is_none() && Instant::now() >= deadline {
            self.group.disconnect_all("no pool could be reached");
            self.without_since = None;
        } else if !was_reached {
            // Before the deadline this happens only for reasons of this program, such as no more file
            // descriptors.
            self.stop.sleep(DISCONNECT_PAUSE)?;
        }
        Ok(connection)
    }

    fn dial(&mut self, deadline: Instant) -> Result<Option<PoolConnection>, Stopped> {
        let mut avoided = self.avoided();
        avoided.extend(self.unproven.take());
        let upstreams = &self.group.services.upstreams;
        let mut dialled = None;
        if !avoided.is_empty() {
            dialled = upstreams.connect(&avoided, deadline).ok();
        }
        if dialled.is_none() {
            if !avoided.is_empty() {
                // Such a pool is not asked all the time.
                let left = deadline.saturating_duration_since(Instant::now());
                self.stop.sleep(AVOIDED_PAUSE.min(left / 4))?;
            }
            // A pool that credits nobody, and says so, is better than none.
            dialled = upstreams.connect(&[], deadline).ok();
        }
        self.stop.check()?;
        Ok(dialled)
    }

    /// Opens a connection, and records what is wrong with the pool if that fails.
    fn open(
        &mut self,
        dialled: PoolConnection,
        deadline: Option<Instant>,
        instead_of: Option<&SharedConnection>,
        present: Option<&SharedConnection>,
    ) -> Result<Option<Arc<SharedConnection>>, Stopped> {
        let upstream = dialled.upstream;
        let configure = !self.no_configure.is_due(upstream);
        // Miners that have a pool that works need not take one that does not.
        let has_choice = instead_of.is_some() || self.has_other(upstream);
        let reason = ConnectReason { deadline, has_choice, instead_of, present, configure };
        match open(self.group, dialled, reason, self.stop)? {
            Ok(connection) => {
                self.no_configure.answered(upstream, configure);
                return Ok(Some(connection));
            }
            Err(ConnectError::Blocked) => {}
            Err(ConnectError::Superseded) => self.unproven = Some(upstream),
            Err(ConnectError::CreditsNobody) => self.avoid(upstream),
            // Miners that wait for it have nothing to lose by another try.
            Err(useless @ (ConnectError::Closed | ConnectError::ClosedUnanswered)) if deadline.is_some() => {
                if matches!(useless, ConnectError::ClosedUnanswered) {
                    self.no_configure.closed_unanswered(upstream);
                }
                self.note_lost(upstream)?;
            }
            Err(ConnectError::Closed | ConnectError::ClosedUnanswered) => {
                self.failed(upstream, PoolFailure::ClosedUnanswered)
            }
            Err(ConnectError::Failed(failure)) => self.failed(upstream, failure),
        }
        Ok(None)
    }

    /// Manages the connection until it is lost or no miner needs it any more. A better one replaces it
    /// meanwhile.
    fn serve(&mut self, mut connection: Arc<SharedConnection>) -> Result<ServiceEnd, Stopped> {
        let services = self.group.services.clone();
        let max_wait = services.config.failover.connect_deadline;
        let is_past = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= max_wait);
        let max_work_wait = max_wait.max(services.config.failover.first_job_timeout);
        let is_idle = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= max_work_wait);
        let (mut without_work, mut uncredited_since, mut switch_after, mut is_noted) =
            (None, None, None, false);
        loop {
            supervise::beat();
            let seen = self.group.change_count();
            self.stop.check()?;
            let upstream = connection.upstream;
            if services.upstreams.is_blocked(upstream) {
                connection.end();
                return Ok(ServiceEnd::Left);
            }
            if connection.is_over() {
                return Ok(ServiceEnd::Lost(upstream));
            }
            without_work = connection.owes_work().then(|| without_work.unwrap_or_else(Instant::now));
            if let Some(failure) = self.failure_of(&connection, without_work) {
                self.failed(upstream, failure);
                connection.end();
                return Ok(ServiceEnd::Left);
            }
            let has_work = connection.connection_state().newest.is_some();
            if !is_noted && has_work {
                is_noted = true;
                services.upstreams.gave_work(upstream, connection.login());
            }
            if is_idle(without_work) {
                // The pool may give work later, to miners that come then.
                self.group.disconnect_all("the pool gives no work");
                without_work = None;
            }
            let is_uncredited = is_uncredited(self.group, &connection);
            if is_uncredited && self.has_other(upstream) {
                self.avoid(upstream);
                connection.end();
                return Ok(ServiceEnd::Left);
            }
            uncredited_since = is_uncredited.then(|| uncredited_since.unwrap_or_else(Instant::now));
            if is_past(uncredited_since) {
                // No miner of the group is credited here: their own next pool may be better.
                log::warn!("pool {upstream} {}: {}", services.upstreams.name(upstream), connection.refusal());
                self.group.disconnect_all("the pool credits none of them");
                self.avoid(upstream);
                connection.end();
                return Ok(ServiceEnd::Left);
            }
            if self.group.drop_if_idle(self.grace()) {
                log::info!("pool {upstream}: connection closed, because no miner is connected");
                connection.end();
                return Ok(ServiceEnd::Idle);
            }
            let redirection = self.take_redirection(&connection);
            let next = if let Some(port) = redirection {
                let loss = self.redirections.note(upstream, Instant::now());
                if loss == Loss::TooMany && self.has_other(upstream) {
                    let failure =
                        PoolFailure::Refused("it asks Sluice to reconnect again and again".to_owned());
                    self.failed(upstream, failure);
                    connection.end();
                    return Ok(ServiceEnd::Left);
                }
                if loss == Loss::TooMany {
                    let pause = services.limits.disconnect_window;
                    self.ignored_until = Some(Instant::now() + pause);
                    log::warn!(
                        "pool {upstream} {}: it asks Sluice to reconnect again and again; there is no other pool, so \
                         that is ignored for {}",
                        services.upstreams.name(upstream),
                        seconds(pause)
                    );
                    continue;
                }
                Some((upstream, port))
            } else {
                let stable = services.config.failover.failback_after;
                let better = services.upstreams.better_than(upstream, stable, &self.avoided());
                better.map(|(better, _)| (better, None))
            };
            if let Some((to, port)) = next.filter(|_| switch_after.is_none_or(|at| Instant::now() >= at)) {
                if let Some(next) = self.switch_over(to, port, &connection)? {
                    (connection, without_work, uncredited_since, is_noted) = (next, None, None, false);
                    continue;
                }
                // Perhaps the cause is in this program, and will not be gone at once.
                switch_after = Some(Instant::now() + MAX_CHECK_INTERVAL);
            }
            self.group.wait_for_change(seen, MAX_CHECK_INTERVAL);
        }
    }

    /// The port for a reconnection that the pool wants now, `Some(None)` for the configured one. `None` if it
    /// wants none, or has had one just before.
    fn take_redirection(&mut self, connection: &SharedConnection) -> Option<Option<u16>> {
        let pause = self.group.services.limits.redirect_interval;
        let is_obeyed = self.redirected_at.is_none_or(|at| at.elapsed() >= pause);
        let is_ignored = self.ignored_until.is_some_and(|until| Instant::now() < until);
        let is_due = |(at, _): &mut (Instant, Option<u16>)| is_obeyed && *at <= Instant::now();
        let (_, port) = connection.connection_state().redirection.take_if(is_due).filter(|_| !is_ignored)?;
        self.redirected_at = Some(Instant::now());
        Some(port)
    }

    /// The failure for which a live connection can't be kept.
    fn failure_of(
        &mut self,
        connection: &SharedConnection,
        without_work: Option<Instant>,
    ) -> Option<PoolFailure> {
        let unusable = connection.connection_state().unusable.clone();
        if let Some(why) = unusable {
            return Some(PoolFailure::Refused(why));
        }
        let max_wait = self.group.services.config.failover.first_job_timeout;
        let is_idle = without_work.is_some_and(|since| since.elapsed() >= max_wait);
        (is_idle && self.has_other(connection.upstream)).then(|| no_work(self.group, connection))
    }

    /// Notes that a connection ended. One is bad luck; the next is to the same pool.
    fn note_lost(&mut self, upstream: UpstreamId) -> Result<Loss, Stopped> {
        let loss = self.disconnects.note(upstream, Instant::now());
        match loss {
            Loss::First => {}
            Loss::Repeated => self.stop.sleep(DISCONNECT_PAUSE)?,
            Loss::TooMany => {
                self.no_configure.reset();
                self.failed(upstream, PoolFailure::Refused("its connections end again and again".to_owned()));
            }
        }
        Ok(loss)
    }

    fn avoid(&mut self, upstream: UpstreamId) {
        let name = self.group.services.upstreams.name(upstream);
        log::warn!(
            "pool {upstream} {name}: it credits no miner of group {}; the group leaves it",
            self.group.number
        );
        self.avoided.add(upstream, self.group.names_at(upstream), Instant::now());
    }

    fn avoided(&mut self) -> Vec<UpstreamId> {
        self.avoided.now(|upstream| self.group.names_at(upstream), Instant::now())
    }

    /// Records a failure that this group has seen. If other groups work with the pool, the names of this one
    /// are to blame.
    fn failed(&mut self, upstream: UpstreamId, failure: PoolFailure) {
        if self.group.is_used_by_others(upstream) {
            log::warn!(
                "pool {upstream}: {failure}; only group {} leaves it, because others work with it",
                self.group.number
            );
            self.avoided.add(upstream, self.group.names_at(upstream), Instant::now());
        } else {
            self.group.services.upstreams.mark_failed(upstream, failure);
        }
    }

    /// Whether another pool is up and may credit the miners.
    fn has_other(&mut self, than: UpstreamId) -> bool {
        let avoided = self.avoided();
        let upstreams = &self.group.services.upstreams;
        let others = upstreams.order().into_iter().filter(|other| *other != than && !avoided.contains(other));
        others.into_iter().any(|other| upstreams.is_up(other))
    }

    fn grace(&self) -> Duration {
        self.group.services.config.aggregate.grace
    }
}
