//! The health of one upstream: up, or failed and not tried again before a growing pause is over. Pure; time
//! is passed in.

use std::fmt;
use std::time::{Duration, Instant};

use crate::util::backoff::{Backoff, jittered};
use crate::util::format::seconds;

/// A failure of a pool. It decides what a probe must show before the pool counts as up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolFailure {
    /// The pool could not be reached: name, TCP, SOCKS5 or TLS.
    Dial(String),
    /// The pool closed a connection that had sent a request, without one byte of an answer.
    ClosedUnanswered,
    /// The connection was lost before one byte of an answer, by a reset or another error.
    LostUnanswered(String),
    /// The pool accepted the connection and sent nothing for this long.
    Silent(Duration),
    /// Another service than a pool answers there.
    OtherProtocol(OtherProtocol),
    /// The pool can be reached and refuses the miner. Has what it refused.
    Refused(String),
    /// The pool accepts miners and has sent no job for this long. A probe must see a job before it is trusted
    /// again.
    NoWork(Duration),
    /// The pool refuses every miner, or closes before they have work. A probe must see a job, or that its subscribe
    /// is accepted if no login is known.
    TurnsMinersAway(String),
}

/// A protocol in which the wrong port, or the right one with the wrong scheme, answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherProtocol {
    Http,
    Ssh,
    Tls,
}

impl OtherProtocol {
    /// Recognises the first bytes of an answer that is not Stratum.
    pub fn of(answer: &[u8]) -> Option<OtherProtocol> {
        match answer {
            // A page without a header is the answer of some to a request that they do not know.
            [b'H', b'T', b'T', b'P', b'/', ..] | [b'<', ..] => Some(OtherProtocol::Http),
            // RFC 4253, section 4.2.
            [b'S', b'S', b'H', b'-', ..] => Some(OtherProtocol::Ssh),
            // An alert (RFC 8446, section 5.1): what came before it was no handshake.
            [0x15, 3, ..] => Some(OtherProtocol::Tls),
            _ => None,
        }
    }
}

impl PoolFailure {
    /// Whether the pool can be reached and gives no work to miners. It may give some to the next miner.
    pub fn is_about_work(&self) -> bool {
        matches!(self, PoolFailure::NoWork(_) | PoolFailure::TurnsMinersAway(_))
    }
}

impl fmt::Display for PoolFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolFailure::Dial(why) => f.write_str(why),
            PoolFailure::ClosedUnanswered => f.write_str("it closes connections without an answer"),
            PoolFailure::LostUnanswered(why) => write!(f, "its connections end without an answer: {why}"),
            PoolFailure::Refused(why) | PoolFailure::TurnsMinersAway(why) => f.write_str(why),
            PoolFailure::Silent(time) => write!(f, "it has sent nothing for {}", seconds(*time)),
            PoolFailure::OtherProtocol(OtherProtocol::Http) => {
                f.write_str("a web server answers there: check the port in its url")
            }
            PoolFailure::OtherProtocol(OtherProtocol::Ssh) => {
                f.write_str("an SSH server answers there: check the port in its url")
            }
            PoolFailure::OtherProtocol(OtherProtocol::Tls) => {
                f.write_str("it expects TLS: write stratum+ssl:// in its url, or use another port")
            }
            PoolFailure::NoWork(time) => {
                write!(f, "it gives no work: it accepts miners and has sent no job for {}", seconds(*time))
            }
        }
    }
}

/// The health of one pool.
#[derive(Debug)]
pub struct PoolHealth {
    /// The pauses between tries. A recovery that does not last leaves them as they are, see [`PoolHealth::recovered`].
    backoff: Backoff,
    state: HealthState,
    /// A failure that a session has seen and only a probe can confirm.
    suspicion: Option<PoolFailure>,
    /// The failure to give work, until a probe has seen a job, whatever else has failed meanwhile.
    owes_work: Option<PoolFailure>,
}

#[derive(Debug)]
enum HealthState {
    Up { since: Instant },
    Failed { until: Instant, failure: PoolFailure },
}

impl PoolHealth {
    /// A pool that counts as up.
    pub fn new(backoff_min: Duration, backoff_max: Duration, now: Instant) -> PoolHealth {
        PoolHealth {
            backoff: Backoff::new(backoff_min, backoff_max),
            state: HealthState::Up { since: now },
            suspicion: None,
            owes_work: None,
        }
    }

    /// Since when it is up; `None` while it counts as failed.
    pub fn up_since(&self) -> Option<Instant> {
        match self.state {
            HealthState::Up { since } => Some(since),
            HealthState::Failed { .. } => None,
        }
    }

    /// Marks a pool that counted as up as failed, and returns the pause until the next try. Several sessions
    /// that see the same failure count once.
    pub fn failed(&mut self, failure: PoolFailure, now: Instant) -> Option<Duration> {
        match self.state {
            // Miners that had no other pool still used it.
            HealthState::Failed { failure: ref known, .. }
                if known.is_about_work() && !failure.is_about_work() =>
            {
                Some(self.pause(failure, now))
            }
            HealthState::Failed { .. } => None,
            HealthState::Up { since } => {
                // A pool that held for longer than the longest pause starts over.
                if now.saturating_duration_since(since) > self.backoff.max {
                    self.backoff.reset();
                }
                Some(self.pause(failure, now))
            }
        }
    }

    /// Notes that one session failed. A probe decides whether the pool has.
    pub fn suspect(&mut self, failure: PoolFailure) {
        if self.up_since().is_some() {
            self.suspicion = Some(failure);
        }
    }

    /// Takes the suspicion, to be probed now.
    pub fn take_suspicion(&mut self) -> Option<PoolFailure> {
        self.suspicion.take()
    }

    /// Whether there is a failure or a suspicion.
    pub fn wants_probe(&self) -> bool {
        self.suspicion.is_some() || self.up_since().is_none()
    }

    /// Makes the next pause longer: a probe failed, too.
    pub fn still_failed(&mut self, failure: PoolFailure, now: Instant) {
        self.pause(failure, now);
    }

    /// Marks the pool as up after a good probe. `true` when it had counted as failed.
    pub fn recovered(&mut self, now: Instant) -> bool {
        let was_failed = self.up_since().is_none();
        self.owes_work = None;
        if was_failed {
            self.state = HealthState::Up { since: now };
        }
        was_failed
    }

    /// Notes that a probe was answered. `true` when the upstream gave no work and then could not be reached:
    /// its failure is now only that it gives no work.
    pub fn answered(&mut self) -> bool {
        match (&mut self.state, &self.owes_work) {
            (HealthState::Failed { failure, .. }, Some(owed)) if !failure.is_about_work() => {
                *failure = owed.clone();
                true
            }
            _ => false,
        }
    }

    /// Whether it has failed because it gives no work. It is still better than no pool at all.
    pub fn gives_no_work(&self) -> bool {
        matches!(&self.state, HealthState::Failed { failure, .. } if failure.is_about_work())
    }

    /// Whether it has failed because it refuses miners, or closes before they have work.
    pub fn turns_miners_away(&self) -> bool {
        matches!(&self.state, HealthState::Failed { failure: PoolFailure::TurnsMinersAway(_), .. })
    }

    /// The failure to give work, until a probe has seen a job.
    pub fn owes_work(&self) -> Option<&PoolFailure> {
        self.owes_work.as_ref()
    }

    /// When a failed upstream is to be probed, and its failure.
    pub fn due(&self) -> Option<(Instant, &PoolFailure)> {
        match &self.state {
            HealthState::Up { .. } => None,
            HealthState::Failed { until, failure } => Some((*until, failure)),
        }
    }

    fn pause(&mut self, failure: PoolFailure, now: Instant) -> Duration {
        let pause = jittered(self.backoff.next_pause(), 0.5, 1.0);
        self.suspicion = None;
        if failure.is_about_work() {
            self.owes_work = Some(failure.clone());
        }
        self.state = HealthState::Failed { until: now + pause, failure };
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(60);

    fn dial() -> PoolFailure {
        PoolFailure::Dial("refused".to_owned())
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let now = Instant::now();
        let mut health = PoolHealth::new(MIN, MAX, now);
        health.failed(dial(), now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let (until, _) = health.due().unwrap();
            pauses.push(until - now);
            health.still_failed(dial(), now);
        }
        for (step, pause) in pauses.iter().enumerate() {
            let longest = (MIN * 2_u32.pow(step as u32)).min(MAX);
            assert!(*pause >= longest / 2 && *pause <= longest, "{step}: {pause:?}");
        }
    }

    #[test]
    fn many_sessions_that_see_one_failure_count_once() {
        let now = Instant::now();
        let mut health = PoolHealth::new(MIN, MAX, now);
        assert!(health.failed(dial(), now).is_some());
        assert_eq!(health.failed(dial(), now), None);
    }

    #[test]
    fn a_recovery_that_does_not_last_keeps_its_pauses() {
        let now = Instant::now();
        let mut health = PoolHealth::new(MIN, MAX, now);
        for _ in 0..4 {
            health.failed(dial(), now);
            assert!(health.recovered(now));
        }
        assert!(health.failed(dial(), now).unwrap() >= MIN * 8);
        health.recovered(now);
        let later = now + MAX * 2;
        assert!(health.failed(dial(), later).unwrap() <= MIN);
    }

    #[test]
    fn a_pool_without_work_owes_a_job_whatever_else_fails_meanwhile() {
        let now = Instant::now();
        let mut health = PoolHealth::new(MIN, MAX, now);
        health.failed(PoolFailure::NoWork(MAX), now);
        assert!(health.gives_no_work());
        assert_eq!(health.failed(PoolFailure::NoWork(MAX), now), None);
        // Miners that have no other pool still go there, and notice that it is down.
        assert!(health.failed(dial(), now).is_some());
        assert!(!health.gives_no_work());
        health.still_failed(dial(), now);
        assert_eq!(health.owes_work(), Some(&PoolFailure::NoWork(MAX)));
        // It is there again, and still owes work.
        assert!(health.answered() && health.gives_no_work());
        assert!(!health.answered());
        health.recovered(now);
        assert_eq!(health.owes_work(), None);
        health.failed(dial(), now);
        assert!(!health.answered() && !health.gives_no_work());
    }

    #[test]
    fn answers_of_other_services_are_recognised() {
        assert_eq!(OtherProtocol::of(b"HTTP/1.1 400 Bad Request\r\n"), Some(OtherProtocol::Http));
        assert_eq!(OtherProtocol::of(b"<!DOCTYPE HTML>"), Some(OtherProtocol::Http));
        assert_eq!(OtherProtocol::of(b"SSH-2.0-OpenSSH_9.2p1\r\n"), Some(OtherProtocol::Ssh));
        assert_eq!(OtherProtocol::of(&[0x15, 3, 1, 0, 2, 2, 70]), Some(OtherProtocol::Tls));
        for answer in [&b"{\"id\":1}\n"[..], b"HTTP", b"", b"\x15", b"\r\n{"] {
            assert_eq!(OtherProtocol::of(answer), None, "{answer:?}");
        }
    }

    #[test]
    fn up_since_begins_with_the_recovery() {
        let now = Instant::now();
        let mut health = PoolHealth::new(MIN, MAX, now);
        assert_eq!(health.up_since(), Some(now));
        health.failed(PoolFailure::ClosedUnanswered, now);
        assert_eq!(health.up_since(), None);
        let later = now + MIN;
        assert!(health.recovered(later));
        assert!(!health.recovered(later + MIN));
        assert_eq!(health.up_since(), Some(later));
    }

    #[test]
    fn a_suspicion_is_probed_once_and_only_while_up() {
        let now = Instant::now();
        let mut health = PoolHealth::new(MIN, MAX, now);
        health.suspect(PoolFailure::ClosedUnanswered);
        assert!(health.wants_probe() && health.up_since().is_some());
        assert_eq!(health.take_suspicion(), Some(PoolFailure::ClosedUnanswered));
        assert!(!health.wants_probe());
        health.failed(dial(), now);
        health.suspect(PoolFailure::ClosedUnanswered);
        assert_eq!(health.take_suspicion(), None);
    }
}
