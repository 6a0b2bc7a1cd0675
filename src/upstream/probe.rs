//! Probes pools in the background: finds out when a failed pool is back, so that no miner has to try it, and
//! whether a preferred pool that nobody uses still works before miners are moved back to it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::UpstreamEntry;
use super::probe_work::ask_for_work;
use super::{OtherProtocol, PoolFailure, Upstreams};
use crate::net::options::is_timeout;
use crate::net::{Stream, StreamReader};
use crate::stratum::LineReader;
use crate::stratum::{Client, ClientEvent};
use crate::util::os_error::describe;
use crate::util::supervise::{self, service};

/// Caps the time of one probe's connection.
const MAX_PROBE_TIME: Duration = Duration::from_secs(10);
/// The longest time between two probes of a pool that is back, before miners are moved to it.
const MAX_RECHECK_INTERVAL: Duration = Duration::from_secs(30);
/// The thread's heartbeat is later than this, and than the time for an answer, only if something holds it: a
/// connection and a pause are shorter, and a wait for a job beats meanwhile.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// The longest time between two checks of the probes' thread for work.
const MAX_SLEEP: Duration = Duration::from_secs(1);

/// A pool that no miner needs after the start is checked after this part of `failover.idle_check`.
const FIRST_IDLE_CHECK: u32 = 3;
/// A pool that the next miner would not get is checked this many times more rarely than the one it would get.
const RARER_IDLE_CHECK: u32 = 10;

/// Caps the bytes that a probe reads. The answer to a subscribe has a few hundred; other lines before it may
/// have more.
const MAX_ANSWER: usize = 64 * 1024;

/// The user agent of probes.
const AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));

/// Starts a thread for this upstream: a pool that drops its probes delays nobody else's.
pub(super) fn start(upstreams: &Upstreams, upstream: &Arc<UpstreamEntry>) -> io::Result<()> {
    let (upstreams, upstream) = (upstreams.clone(), upstream.clone());
    let name = format!("probe-{}", upstream.id.0 + 1);
    let stuck_after = stuck_after(upstreams.shared.failover.answer_timeout);
    service(name).beats_within(stuck_after).start(move || keep_probing(&upstreams, &upstream)).map(drop)
}

/// Both the request and the answer may take this long.
fn stuck_after(answer_timeout: Duration) -> Duration {
    STUCK_AFTER + answer_timeout * 2
}

fn keep_probing(upstreams: &Upstreams, upstream: &UpstreamEntry) {
    let failback_after = upstreams.shared.failover.failback_after;
    let recheck = (failback_after / 3).min(MAX_RECHECK_INTERVAL);
    let mut checked_at = Instant::now();
    // The failure that a pool must keep disproving until miners are moved back to it.
    let mut last_failure: Option<PoolFailure> = None;
    let mut addresses = upstream.address_changes();
    let mut idle = IdleCheck::new(upstreams);
    loop {
        supervise::beat();
        if last_failure.is_none() {
            idle.suspect(upstreams, upstream);
        }
        let suspicion = upstream.health().take_suspicion();
        if let Some(suspicion) = suspicion {
            match probe(upstreams, upstream, &suspicion) {
                ProbeResult::Failed(failure) => upstreams.fail(upstream, failure),
                ProbeResult::Nothing => {}
                _ => upstream.note_reached(),
            }
        }
        let due = upstream.health().due().map(|(until, failure)| (until, failure.clone()));
        let due_before = due.is_some();
        let now = Instant::now();
        let pause = match due {
            // A pool that has moved is tried at its new address at once.
            Some((until, _)) if until > now && upstream.address_changes() == addresses => until - now,
            Some((_, failure)) => {
                addresses = upstream.address_changes();
                last_failure = Some(failure.clone());
                checked_at = now;
                match probe(upstreams, upstream, &failure) {
                    ProbeResult::Failed(failure) => upstreams.still_failing(upstream, failure),
                    ProbeResult::Nothing => upstreams.still_failing(upstream, failure),
                    _ => upstreams.recover(upstream),
                }
                Duration::ZERO
            }
            // Back, but is it stable? Miners are moved only after `failback_after` of good checks.
            None => match &last_failure {
                Some(failure) if now >= checked_at + recheck => {
                    checked_at = now;
                    if let ProbeResult::Failed(failure) = probe(upstreams, upstream, failure) {
                        upstreams.fail(upstream, failure);
                    }
                    // It has been up long enough: miners that use it from now on will notice a failure.
                    let since = upstream.health().up_since();
                    if since.is_some_and(|since| since.elapsed() >= failback_after) {
                        last_failure = None;
                    }
                    Duration::ZERO
                }
                Some(_) => (checked_at + recheck).saturating_duration_since(now),
                None => MAX_SLEEP,
            },
        };
        if upstream.stop.is_stopped() {
            // Threads that wait for an upstream see the end.
            upstreams.wake_waiters();
            return;
        }
        if !pause.is_zero() {
            upstream.wait_for_probe_request(pause.min(MAX_SLEEP), due_before);
        }
    }
}

/// The regular checks of a pool that no miner uses, so that the owner hears of a dead or mistyped one before a miner
/// needs it.
struct IdleCheck {
    interval: Option<Duration>,
    /// When the pool was last known to be used or checked.
    checked_at: Instant,
}

impl IdleCheck {
    fn new(upstreams: &Upstreams) -> IdleCheck {
        let interval = upstreams.shared.failover.idle_check;
        let now = Instant::now();
        // Miners connect as soon as the program runs. A pool that they use needs no check.
        let early = interval.map_or(Duration::ZERO, |interval| interval - interval / FIRST_IDLE_CHECK);
        IdleCheck { interval, checked_at: now.checked_sub(early).unwrap_or(now) }
    }

    /// Has the pool probed if a check is due: it must answer a subscribe. One that the next miner would not get, and
    /// that has been reached before, is checked less often.
    fn suspect(&mut self, upstreams: &Upstreams, upstream: &UpstreamEntry) {
        let Some(interval) = self.interval else { return };
        let now = Instant::now();
        if upstream.is_used() || upstream.up_since().is_none() {
            self.checked_at = now;
            return;
        }
        let factor =
            if upstreams.is_next(upstream.id) || !upstream.is_reached() { 1 } else { RARER_IDLE_CHECK };
        if now.saturating_duration_since(self.checked_at) >= interval * factor {
            self.checked_at = now;
            upstream.suspect(PoolFailure::Silent(upstreams.shared.failover.answer_timeout));
        }
    }
}

/// The outcome of a probe.
pub(super) enum ProbeResult {
    Works,
    /// The pool has sent a job.
    GivesWork,
    /// The pool has refused the login.
    RefusesLogin,
    Failed(PoolFailure),
    /// The probe could not be made, for reasons of this program.
    Nothing,
}

/// Probes whether a failed pool works again.
fn probe(upstreams: &Upstreams, upstream: &UpstreamEntry, failed: &PoolFailure) -> ProbeResult {
    supervise::beat();
    let deadline = Instant::now() + MAX_PROBE_TIME;
    let failover = &upstreams.shared.failover;
    let owes_work = upstream.health().owes_work().is_some() || failed.is_about_work();
    let has_failed = upstream.health().up_since().is_none();
    let stream = match upstream.dial_new(deadline) {
        Ok(stream) => stream,
        Err(error) if error.is_local() => return ProbeResult::Nothing,
        Err(error) => return ProbeResult::Failed(PoolFailure::Dial(error.to_string())),
    };
    let login = if owes_work { upstream.probe_logins().next(has_failed) } else { None };
    if let Some(login) = login {
        let answered = || upstreams.answered(upstream);
        let shown = ask_for_work(stream, &login, failover.first_job_timeout, answered, &upstream.stop);
        match shown {
            ProbeResult::GivesWork => upstream.probe_logins().got_work(login),
            ProbeResult::RefusesLogin if matches!(failed, PoolFailure::TurnsMinersAway(_)) => {
                upstream.probe_logins().refused_like_others(&login);
                return ProbeResult::Failed(failed.clone());
            }
            // The refusal of one account shows nothing about the work that others wait for.
            ProbeResult::RefusesLogin if has_failed && upstream.probe_logins().refused(&login) => {
                return ProbeResult::Failed(PoolFailure::NoWork(failover.first_job_timeout));
            }
            _ => {}
        }
        return shown;
    }
    if matches!(failed, PoolFailure::Dial(_)) {
        return ProbeResult::Works;
    }
    probe_subscribe(stream, failover.answer_timeout, failed)
}

/// A client that is about to subscribe. The answer proves more than a connection does: a pool can accept
/// connections and be dead behind that.
pub(super) fn subscribing_client() -> Client<()> {
    let mut client = Client::new(AGENT);
    client.subscribe();
    client
}

/// Subscribes and waits for the answer. Any answer that may be Stratum will do, except from a pool that had refused
/// miners.
fn probe_subscribe(stream: Stream, limit: Duration, failed: &PoolFailure) -> ProbeResult {
    let deadline = Instant::now() + limit;
    let mut client = subscribing_client();
    let request = client.take_outgoing();
    let asked = stream.set_write_timeout(Some(limit)).and_then(|()| stream.send_all(request.as_bytes()));
    if let Err(error) = asked {
        return ProbeResult::Failed(unanswered(&error, limit));
    }
    let must_accept = matches!(failed, PoolFailure::TurnsMinersAway(_) | PoolFailure::Refused(_));
    let mut reader = StreamReader::new(stream.into());
    let (mut lines, mut answer) = (LineReader::up_to(MAX_ANSWER), None);
    let (mut buffer, mut read) = ([0; 512], 0);
    while answer.is_none() && read < MAX_ANSWER {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let received = reader.stream().set_read_timeout(Some(left)).and_then(|()| reader.recv(&mut buffer));
        match received {
            Ok(received) if received.length > 0 => {
                let bytes = &buffer[..received.length];
                if let Some(protocol) = OtherProtocol::of(bytes).filter(|_| read == 0) {
                    return ProbeResult::Failed(PoolFailure::OtherProtocol(protocol));
                }
                if !must_accept {
                    return ProbeResult::Works;
                }
                read += bytes.len();
                lines.read(bytes, |line| answer = answer.or_else(|| subscribed(&mut client, line)));
            }
            Ok(_) => return ProbeResult::Failed(PoolFailure::ClosedUnanswered),
            Err(error) => return ProbeResult::Failed(unanswered(&error, limit)),
        }
    }
    match answer {
        Some(true) => ProbeResult::Works,
        _ => ProbeResult::Failed(failed.clone()),
    }
}

/// Whether this line accepts the subscribe. `None` if it is about something else.
fn subscribed(client: &mut Client<()>, line: &[u8]) -> Option<bool> {
    client.take_line(line, ()).into_iter().find_map(|event| match event {
        ClientEvent::SubscribeAnswered { is_accepted } => Some(is_accepted),
        _ => None,
    })
}

/// The failure of a connection that ended after a request.
pub(super) fn unanswered(error: &io::Error, limit: Duration) -> PoolFailure {
    if is_timeout(error) { PoolFailure::Silent(limit) } else { PoolFailure::LostUnanswered(describe(error)) }
}
