//! The thread `ntp`, which queries the servers on a schedule.

use std::io;
use std::time::{Duration, Instant};

use log::{debug, info, warn};

use super::median::{self, Disagreement};
use super::query::NtpSample;
use super::server::NtpServer;
use super::time::{NtpTime, Offset};
use super::{Clock, ClockState, UnsyncReason};
use crate::util::backoff::jittered;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise::{self, service};

/// Caps the servers: more do not improve the median.
const MAX_SERVERS: usize = 16;

/// Queries to each server in a round; the sample with the lowest round trip counts.
const SAMPLES: usize = 3;

/// Age from which an offset is not trusted: an ordinary crystal (50 ppm) has then drifted by 4 s.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// The schedule of queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtpSchedule {
    /// Time between two rounds, give or take a tenth.
    pub interval: Duration,
    /// Pause after the first round without a result; doubled each time, up to `interval`.
    pub retry: Duration,
    /// Time between two queries to the same server. Rate-limiting servers want 2 s (ntpd's `discard
    /// minimum`).
    pub between: Duration,
    /// Time limit for resolving a name, and for an answer.
    pub timeout: Duration,
    /// Time between two comparisons of the system's clock with the monotonic one.
    pub watch: Duration,
}

impl NtpSchedule {
    /// A schedule that public servers allow: one round every `interval`, which is at least a minute.
    pub fn every(interval: Duration) -> NtpSchedule {
        NtpSchedule {
            interval: interval.max(Duration::from_secs(60)),
            retry: Duration::from_secs(15),
            between: Duration::from_secs(2),
            timeout: Duration::from_millis(1500),
            watch: Duration::from_secs(10),
        }
    }
}

/// Starts the thread that updates `clock` until `stop`.
pub(super) fn start(clock: Clock, servers: &[String], schedule: NtpSchedule, stop: &Stop) -> io::Result<()> {
    if servers.len() > MAX_SERVERS {
        warn!("ntp.servers: only the first {MAX_SERVERS} are queried");
    }
    let servers = servers.iter().take(MAX_SERVERS).map(|name| NtpServer::new(name)).collect();
    let stop = stop.clone();
    let mut poller = NtpPoller { clock, servers, schedule, stop, last_good: None };
    // The thread is not joined: an unanswered query may block it for `timeout` after the end.
    service("ntp").start(move || poller.run())?;
    Ok(())
}

struct NtpPoller {
    clock: Clock,
    servers: Vec<NtpServer>,
    schedule: NtpSchedule,
    stop: Stop,
    last_good: Option<Instant>,
}

impl NtpPoller {
    fn run(&mut self) -> Result<(), Stopped> {
        let mut retry = self.schedule.retry;
        loop {
            supervise::beat();
            let Err(reason) = self.round()? else {
                retry = self.schedule.retry;
                self.wait(pause(self.schedule.interval))?;
                continue;
            };
            if self.last_good.is_none_or(|good| good.elapsed() > MAX_AGE) {
                self.report_loss(reason);
            } else {
                debug!("this round of NTP had no result: {reason}");
            }
            self.wait(retry)?;
            retry = (retry * 2).min(self.schedule.interval);
        }
    }

    /// Queries every server [`SAMPLES`] times. The first answers are used at once; later ones improve the
    /// result.
    fn round(&mut self) -> Result<Result<(), UnsyncReason>, Stopped> {
        self.servers.iter_mut().for_each(NtpServer::begin_round);
        let mut result = Err(UnsyncReason::Starting);
        for pass in 0..SAMPLES {
            if pass > 0 {
                self.stop.sleep(self.schedule.between)?;
            }
            for server in &mut self.servers {
                self.stop.check()?;
                // After two unanswered queries the server counts as unreachable.
                if pass < 2 || server.best.is_some() {
                    server.ask(self.schedule.timeout, &self.clock.shared.host);
                }
            }
            result = self.combine_samples();
        }
        Ok(result)
    }

    fn combine_samples(&mut self) -> Result<(), UnsyncReason> {
        let now = self.clock.reading();
        let best = self.servers.iter().filter_map(|server| server.best);
        let samples: Vec<NtpSample> = best.map(|sample| sample.at(now)).collect();
        match median::agree(&samples) {
            None => Err(UnsyncReason::NoAnswer(self.describe_servers())),
            Some(Err(Disagreement)) => Err(UnsyncReason::Disagreement(self.describe_servers())),
            Some(Ok(agreed)) => {
                self.last_good = Some(Instant::now());
                let state = ClockState::Synchronised {
                    offset: agreed.offset,
                    error_bound: agreed.error_bound,
                    servers: agreed.servers,
                    at: NtpTime::from_stamp(now.system, agreed.offset),
                };
                if !self.clock.is_synchronised() {
                    info!("NTP: {state}");
                }
                self.clock.set(state, now);
                Ok(())
            }
        }
    }

    /// Lists each server's offset or failure.
    fn describe_servers(&self) -> String {
        let describe = |server: &NtpServer| match (server.best, server.failure) {
            (Some(sample), _) => format!("{}: {}", server.name, sample.offset),
            (None, Some(failure)) => format!("{}: {failure}", server.name),
            (None, None) => format!("{}: not asked", server.name),
        };
        self.servers.iter().map(describe).collect::<Vec<_>>().join("; ")
    }

    fn report_loss(&mut self, reason: UnsyncReason) {
        self.last_good = None;
        if let ClockState::Synchronised { .. }
        | ClockState::Unsynchronised { reason: UnsyncReason::Starting, .. } = self.clock.state()
        {
            warn!("no NTP time: {reason}; the system's clock is used until there is");
        }
        let now = self.clock.reading();
        let since = NtpTime::from_stamp(now.system, Offset::default());
        self.clock.set(ClockState::Unsynchronised { since, reason }, now);
    }

    /// Waits for `pause`, or until the system's clock is set. Users of the offset correct it by that step
    /// at once; the next round verifies the result.
    fn wait(&mut self, pause: Duration) -> Result<(), Stopped> {
        let end = Instant::now() + pause;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let before = self.clock.reading();
            self.stop.sleep(left.min(self.schedule.watch))?;
            let step = self.clock.reading().step_since(&before);
            if step != Offset::default() {
                let way = if step.micros() > 0 { "forward" } else { "back" };
                info!("the system's clock was set {way} by {}; NTP servers are queried again", step.amount());
                return Ok(());
            }
        }
    }
}

/// `interval` give or take a tenth, so that many programs do not query in step; never below a minute unless
/// `interval` is.
fn pause(interval: Duration) -> Duration {
    jittered(interval, 0.9, 1.1).max(interval.min(Duration::from_secs(60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_never_below_a_minute() {
        for interval in [Duration::from_secs(60), Duration::from_secs(3600)] {
            for _ in 0..100 {
                let pause = pause(interval);
                assert!(pause >= Duration::from_secs(60));
                assert!(pause >= interval.mul_f64(0.9) && pause <= interval.mul_f64(1.1));
            }
        }
        assert_eq!(NtpSchedule::every(Duration::from_secs(1)).interval, Duration::from_secs(60));
    }
}
