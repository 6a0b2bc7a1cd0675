//! Finds out in the background when a failed pool is back, so that no miner pays for the attempt,
//! and whether a preferred pool that nobody uses still works before miners are moved back to it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::UpstreamEntry;
use super::probe_work::ask_for_work;
use super::{PoolFailure, Upstreams};
use crate::net::options::is_timeout;
use crate::net::{Stream, StreamReader};
use crate::stratum::LineReader;
use crate::stratum::{Client, ClientEvent};
use crate::util::os_error::describe;
use crate::util::stop::Stopped;
use crate::util::supervise;
use crate::util::supervise::service;

/// The most that one probe's connection may take.
const PROBE_LIMIT: Duration = Duration::from_secs(10);
/// How often a pool that is back is probed before miners are moved to it, at least.
const LONGEST_RECHECK: Duration = Duration::from_secs(30);
/// The thread's heartbeat is later than this, and than what an answer may take, only if something holds it: a
/// connection and a pause are shorter, and whoever waits for a job beats meanwhile.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// How often the probes' thread looks for work at least.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// The answer to a subscribe has a few hundred bytes; what a pool says before it may be more. A probe reads
/// no more than this, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// The name that probes give themselves.
const AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));

/// A thread of its own: a pool that swallows its probes delays nobody else's.
pub(super) fn start(upstreams: &Upstreams, upstream: &Arc<UpstreamEntry>) -> io::Result<()> {
    let (upstreams, upstream) = (upstreams.clone(), upstream.clone());
    let name = format!("probe-{}", upstream.id.0 + 1);
    let stuck_after = stuck_after(upstreams.shared.failover.answer_timeout);
    service(name).beats_within(stuck_after).start(move || keep_probing(&upstreams, &upstream))?;
    Ok(())
}

/// The question may take as long as the answer.
fn stuck_after(answer_timeout: Duration) -> Duration {
    STUCK_AFTER + answer_timeout * 2
}

fn keep_probing(upstreams: &Upstreams, upstream: &UpstreamEntry) -> Result<(), Stopped> {
    let failback_after = upstreams.shared.failover.failback_after;
    let recheck = (failback_after / 3).min(LONGEST_RECHECK);
    let mut checked_at = Instant::now();
    // What a pool that is back must go on to disprove until miners are moved to it.
    let mut last_failure: Option<PoolFailure> = None;
    let mut addresses = upstream.address_changes();
    loop {
        supervise::beat();
        let suspicion = upstream.health().take_suspicion();
        if let Some(suspicion) = suspicion {
            if let ProbeResult::Failed(failure) = probe(upstreams, upstream, &suspicion) {
                upstreams.fail(upstream, failure);
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
                    ProbeResult::Works | ProbeResult::GivesWork | ProbeResult::RefusesLogin => {
                        upstreams.recover(upstream)
                    }
                    ProbeResult::Failed(failure) => upstreams.fail_again(upstream, failure),
                    ProbeResult::Nothing => upstreams.fail_again(upstream, failure),
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
                    // Long enough up: whoever uses it from now on will notice a failure.
                    let since = upstream.health().up_since();
                    if since.is_some_and(|since| since.elapsed() >= failback_after) {
                        last_failure = None;
                    }
                    Duration::ZERO
                }
                Some(_) => (checked_at + recheck).saturating_duration_since(now),
                None => LONGEST_SLEEP,
            },
        };
        if upstream.stop.is_stopped() {
            // Those who wait for an upstream learn of the end.
            upstreams.wake_waiters();
            return Ok(());
        }
        if !pause.is_zero() {
            upstream.wait_for_news(pause.min(LONGEST_SLEEP), due_before);
        }
    }
}

/// What a probe has shown.
pub(super) enum ProbeResult {
    Works,
    /// It has sent a job.
    GivesWork,
    /// It has refused the login.
    RefusesLogin,
    Failed(PoolFailure),
    /// It could not be made, for reasons of our own.
    Nothing,
}

/// Shows whether what had failed works again.
fn probe(upstreams: &Upstreams, upstream: &UpstreamEntry, failed: &PoolFailure) -> ProbeResult {
    supervise::beat();
    let deadline = Instant::now() + PROBE_LIMIT;
    let failover = &upstreams.shared.failover;
    let owes_work = upstream.health().owes_work().is_some() || failed.is_about_work();
    let has_failed = upstream.health().up_since().is_none();
    let stream = match upstream.dial_anew(deadline) {
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
            // What one account is refused says nothing of the work that others wait for.
            ProbeResult::RefusesLogin if has_failed && upstream.probe_logins().refused(&login) => {
                return ProbeResult::Failed(PoolFailure::NoWork(failover.first_job_timeout));
            }
            _ => {}
        }
        return shown;
    }
    match failed {
        PoolFailure::Dial(_) => ProbeResult::Works,
        PoolFailure::ClosedUnanswered
        | PoolFailure::LostUnanswered(_)
        | PoolFailure::NoWork(_)
        | PoolFailure::TurnsMinersAway(_)
        | PoolFailure::Silent(_)
        | PoolFailure::Refused(_) => ask(stream, failover.answer_timeout, failed),
    }
}

/// A connection that is about to subscribe. The answer proves more than a connection does: a pool can accept and
/// be dead behind it.
pub(super) fn subscribing() -> Client<()> {
    let mut client = Client::new(AGENT);
    client.subscribe();
    client
}

/// Subscribes and waits for the answer. Any will do, except from a pool that had refused miners.
fn ask(stream: Stream, limit: Duration, failed: &PoolFailure) -> ProbeResult {
    let deadline = Instant::now() + limit;
    let mut client = subscribing();
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
            Ok(received) if received.length > 0 && !must_accept => return ProbeResult::Works,
            Ok(received) if received.length > 0 => {
                read += received.length;
                lines.read(&buffer[..received.length], |line| {
                    answer = answer.or_else(|| subscribed(&mut client, line))
                });
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

/// Whether this line accepts the subscribe; `None` if it is about something else.
fn subscribed(client: &mut Client<()>, line: &[u8]) -> Option<bool> {
    client.take_line(line, ()).into_iter().find_map(|event| match event {
        ClientEvent::SubscribeAnswered { is_accepted } => Some(is_accepted),
        _ => None,
    })
}

/// How a connection ended that had asked something.
pub(super) fn unanswered(error: &io::Error, limit: Duration) -> PoolFailure {
    if is_timeout(error) { PoolFailure::Silent(limit) } else { PoolFailure::LostUnanswered(describe(error)) }
}
