//! Reads what a pool sends line by line: answers go to their requesters, jobs to all miners.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pending::PendingRequest;
use crate::net::options::{is_dead, is_timeout};
use crate::net::{Stamp, StreamReader};
use crate::proxy::aggregate::{JobChange, MinerGroup, NameStatus, PoolJob, SharedConnection};
use crate::stratum::LineReader;
use crate::stratum::{
    Difficulty, Envelope, Notify, RefusalCode, ResponseVerdict, StratumError, SubscribeAnswer, VersionMask,
    accept_line, granted_version_mask, refuse_line, result_line,
};
use crate::tap::Direction;
use crate::tap::Tap;
use crate::util::format::seconds;
use crate::util::os_error::describe;

/// The time between two checks for requests that wait too long.
const EXPIRY_CHECK: Duration = Duration::from_millis(500);
const BUFFER: usize = 16 * 1024;
/// Caps a line, in bytes (wire reference, section 5.1, 6).
const MAX_LINE: usize = 1024 * 1024;
const NOTIFY: &str = "mining.notify";
/// The methods that miners know. Some recognise a method by its beginning, in any case (wire reference,
/// section 5.2, 16): nothing that begins like these is passed on.
const KNOWN_METHODS: [&str; 5] =
    [NOTIFY, "mining.set_difficulty", "mining.set_extranonce", "mining.set_version_mask", "mining.ping"];
/// Caps the characters that are kept of the reason in a pool's answer.
const MAX_REASON: usize = 200;

/// The end of a connection.
#[derive(Debug)]
pub(crate) enum ConnectionEnd {
    Closed,
    /// The connection failed, for this reason.
    Failed(String),
    /// There was no line for this long.
    Silent(Duration),
    /// This program ended it.
    Ended,
}

/// Reads until the end. The caller then ends the connection.
pub(crate) fn read(
    group: &Arc<MinerGroup>,
    connection: &Arc<SharedConnection>,
    silence: Duration,
) -> ConnectionEnd {
    let mut reader = PoolReader {
        group,
        connection,
        tap: Tap::new(group.services.to_analyzer.clone(), connection.conversation.clone(), Direction::Down),
        lines: LineReader::up_to(MAX_LINE),
        last_received: Instant::now(),
        began: Instant::now(),
    };
    let end = match reader.read(silence) {
        Ok(end) => end,
        Err(_) if connection.is_over() => ConnectionEnd::Ended,
        Err(error) => ConnectionEnd::Failed(lost(&error, reader.last_received.elapsed())),
    };
    // The reading ends, too, when this end could not send. That is the reason then.
    match (end, connection.outbox.failure()) {
        (ConnectionEnd::Closed | ConnectionEnd::Failed(_), Some(failure)) => ConnectionEnd::Failed(failure),
        (end, _) => end,
    }
}

/// The reason that a connection broke, after this long without a line from the pool.
fn lost(error: &io::Error, silence: Duration) -> String {
    if is_dead(error) {
        return format!("it is unreachable: no sign of life for {}", seconds(silence));
    }
    describe(error)
}

struct PoolReader<'a> {
    group: &'a Arc<MinerGroup>,
    connection: &'a Arc<SharedConnection>,
    tap: Tap,
    lines: LineReader,
    last_received: Instant,
    began: Instant,
}

impl PoolReader<'_> {
    fn read(&mut self, silence: Duration) -> io::Result<ConnectionEnd> {
        let stream = self.connection.stream.clone();
        stream.set_read_timeout(Some(EXPIRY_CHECK.min(silence)))?;
        let mut reader = StreamReader::new(stream);
        let mut buffer = vec![0; BUFFER];
        let mut checked_at = Instant::now();
        loop {
            let received = match reader.recv(&mut buffer) {
                Ok(received) if received.length == 0 => {
                    return Ok(if self.connection.is_over() {
                        ConnectionEnd::Ended
                    } else {
                        ConnectionEnd::Closed
                    });
                }
                Ok(received) => Some(received),
                Err(error) if is_timeout(&error) => None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
                Err(error) => return Err(error),
            };
            if checked_at.elapsed() >= EXPIRY_CHECK {
                let config = &self.group.services.config;
                self.connection.expire(config.analysis.share_timeout, config.failover.answer_timeout);
                self.group.retry_refused_names(self.connection);
                self.miss_configure();
                self.miss_job();
                checked_at = Instant::now();
            }
            if let Some(received) = received {
                let bytes = &buffer[..received.length];
                let mut lines = std::mem::take(&mut self.lines);
                lines.read(bytes, |line| {
                    self.last_received = Instant::now();
                    self.take(line, received.readable_at);
                });
                self.lines = lines;
                self.tap.forwarded(bytes, received.readable_at, Stamp::now());
                if self.lines.too_long > 0 {
                    self.give_up("it sends a line of more than 1 MiB".to_owned());
                }
            }
            if self.last_received.elapsed() >= silence {
                return Ok(ConnectionEnd::Silent(silence));
            }
        }
    }

    fn take(&self, line: &[u8], at: Stamp) {
        let Ok(message) = Envelope::read(line) else {
            let is_notify = |part: &[u8]| part.eq_ignore_ascii_case(NOTIFY.as_bytes());
            if line.windows(NOTIFY.len()).any(is_notify) {
                self.unread(None, &"it is no Stratum message");
            }
            log::debug!("pool {}: not a Stratum line: {}", self.connection.upstream, line.escape_ascii());
            return;
        };
        let name = message.method();
        match name.as_ref().map(|method| method.to_ascii_lowercase()).as_deref() {
            None => self.answer(&message, at),
            // Some pools repeat the method in an answer. A job never is an answer.
            Some(method) if message.is_answer() && method != NOTIFY => self.answer(&message, at),
            // Some miners would ignore it, so that it is not known whether the pool means it as a job.
            Some(NOTIFY) if name.as_deref() != Some(NOTIFY) => {
                self.unread(Notify::clean_in(message.params), &"its method is not in lower case");
            }
            Some(NOTIFY) if self.connection.connection_state().space.is_none() => {
                // It is read once the search space is known (wire reference, section 5.3, 19).
                self.connection.connection_state().early_job = Some(line.into());
            }
            // It would fill the queue of every miner that does not take it at once.
            Some(NOTIFY) if line.len() > self.group.services.limits.max_queued_bytes / 2 => {
                self.unread(Notify::clean_in(message.params), &"it is too long for miners");
            }
            Some(NOTIFY) => self.job(&message, at),
            Some("mining.set_difficulty") => self.difficulty(&message),
            Some("mining.set_extranonce") => self.extranonce(&message),
            Some("mining.set_version_mask") => {
                if let Some(mask) = VersionMask::from_params(message.params) {
                    self.mask((!mask.is_empty()).then_some(mask), at);
                }
            }
            Some("mining.ping") => self.connection.answer(result_line(message.id(), "\"pong\"")),
            Some("client.get_version") => {
                let version = concat!("\"sluice/", env!("CARGO_PKG_VERSION"), "\"");
                self.connection.answer(result_line(message.id(), version));
            }
            Some("client.show_message") => {
                self.group.pass_on(self.connection, line, at);
                if message.has_id() && message.id() != "null" {
                    self.connection.answer(accept_line(message.id()));
                }
            }
            Some("client.reconnect") => self.group.redirected(self.connection, message.params),
            Some(method)
                if method.starts_with("mining.") && (!message.has_id() || message.id() == "null") =>
            {
                if !self.group.services.config.aggregate.strict_broadcast
                    && !KNOWN_METHODS.iter().any(|known| method.starts_with(known))
                {
                    self.group.pass_on(self.connection, line, at);
                }
            }
            Some(_) if message.has_id() && message.id() != "null" => {
                let refusal = StratumError::new(RefusalCode::Other, "Not supported.");
                self.connection.answer(refuse_line(message.id(), &refusal, Default::default()));
            }
            Some(_) => {}
        }
    }

    fn answer(&self, message: &Envelope<'_>, at: Stamp) {
        let Some((asked, _)) = message.numeric_id().and_then(|id| self.connection.answered(id)) else {
            return;
        };
        match asked {
            PendingRequest::Configure => {
                let granted = granted_version_mask(message.good_result());
                self.mask(granted, at);
            }
            PendingRequest::Subscribe => self.subscribed(message, at),
            PendingRequest::Authorize { name, password, requester } => {
                let verdict = ResponseVerdict::of(message);
                let status = match refusal_of(&verdict, RefusalCode::Unauthorized, "Unauthorized worker") {
                    None => NameStatus::Accepted,
                    Some(refusal) => NameStatus::Refused(refusal),
                };
                if let Some(requester) = requester {
                    match &status {
                        NameStatus::Refused(refusal) => requester.refuse(refusal, at),
                        NameStatus::Asked | NameStatus::Accepted => requester.accept(at),
                    }
                    self.group.authorized(&requester, status == NameStatus::Accepted);
                }
                self.connection.connection_state().names.record_verdict(&name, status.clone(), password);
                self.group.name_judged(self.connection, &name, &status);
            }
            PendingRequest::Submit { requester } => {
                let verdict = ResponseVerdict::of(message);
                let refusal = refusal_of(&verdict, RefusalCode::Other, "Refused by the pool");
                self.group.share_judged(self.connection, refusal.as_ref());
                let is_good_here = requester.is_good_here && verdict.is_low_difficulty();
                match refusal.filter(|_| !is_good_here) {
                    Some(refusal) => requester.refuse(&refusal, at),
                    None => requester.accept(at),
                }
            }
        }
    }

    fn subscribed(&self, message: &Envelope<'_>, at: Stamp) {
        let early = {
            let mut connection_state = self.connection.connection_state();
            match space_in(message) {
                Ok(answer) => {
                    connection_state.divide(
                        self.group.services.next_space_id(),
                        answer.extranonce1,
                        answer.extranonce2_size,
                    );
                }
                Err(why) => connection_state.unusable = Some(why),
            }
            connection_state.early_job.take().filter(|_| connection_state.space.is_some())
        };
        if let Some(line) = early {
            self.take(&line, at);
        }
        self.group.wake_waiters();
    }

    /// Assumes no version rolling if the pool does not answer `mining.configure`, unless it sets a mask later
    /// (wire reference, section 2.4).
    fn miss_configure(&self) {
        let limit = self.group.services.config.failover.answer_timeout;
        if self.began.elapsed() > limit && !self.connection.connection_state().knows_mask {
            log::warn!(
                "pool {}: it does not answer mining.configure: no version rolling",
                self.connection.upstream
            );
            self.mask(None, Stamp::now());
        }
    }

    fn mask(&self, mask: Option<VersionMask>, at: Stamp) {
        {
            let mut connection_state = self.connection.connection_state();
            (connection_state.mask, connection_state.knows_mask) = (mask, true);
        }
        self.group.mask_changed(self.connection, mask, at);
    }

    fn difficulty(&self, message: &Envelope<'_>) {
        if let Ok(difficulty) = Difficulty::from_params(message.params) {
            self.connection.set_difficulty(difficulty);
            let newest = self.connection.connection_state().newest.clone();
            newest.iter().for_each(|miner_job| miner_job.pool_job.lower_difficulty(difficulty));
            self.group.difficulty_changed(self.connection, difficulty);
        }
    }

    fn extranonce(&self, message: &Envelope<'_>) {
        match SubscribeAnswer::from_set_extranonce(message.params) {
            Ok(SubscribeAnswer { extranonce1, extranonce2_size: size }) => {
                let mut connection_state = self.connection.connection_state();
                // Some pools repeat what they gave; no miner has to move for that.
                let is_same =
                    connection_state.space.as_ref().is_some_and(|space| space.is(&extranonce1, size));
                connection_state.next_space = (!is_same).then_some((extranonce1, size));
            }
            // Work in the former search space is worthless from the next job on.
            Err(error) => self.give_up(format!("its mining.set_extranonce can't be read: {error}")),
        }
    }

    fn job(&self, message: &Envelope<'_>, at: Stamp) {
        let notify = match Notify::from_params(message.params) {
            Ok(notify) => notify,
            Err(error) => return self.unread(Notify::clean_in(message.params), &error),
        };
        // Under one lock: a job that is issued again meanwhile must not get a later number than this one.
        let (miner_job, change) = {
            let mut connection_state = self.connection.connection_state();
            let next = connection_state.next_space.take();
            let is_moved = next.is_some();
            if let Some((extranonce1, size)) = next {
                connection_state.divide(self.group.services.next_space_id(), extranonce1, size);
            }
            if connection_state.unusable.is_some() {
                // The manager leaves it.
                drop(connection_state);
                return self.group.wake_waiters();
            }
            let Some(space) = connection_state.space.clone() else { return };
            let parent =
                connection_state.newest.as_ref().map(|miner_job| miner_job.pool_job.notify().prevhash);
            let clean = notify.is_clean_after(parent.as_ref()) || is_moved;
            // The pool judges the shares of jobs that an unreadable one has ended.
            let was_unread = connection_state.unread_since.take().is_some();
            let generation =
                if clean { self.connection.next_generation() } else { self.connection.generation() };
            let before = connection_state.live.latest_time_of(&notify);
            let source = Arc::downgrade(self.connection);
            let difficulty = self.connection.difficulty();
            let mask = if connection_state.knows_mask {
                connection_state.mask
            } else {
                self.group.services.likely_mask()
            };
            let job = Arc::new(PoolJob::new((source, space), notify, difficulty, mask, generation, at));
            connection_state.live.keep(&job);
            let miner_job = self.group.services.numbers.issue(job, clean || was_unread, before);
            connection_state.newest = Some(miner_job.clone());
            // Pools may repeat a job with only a new time, which jobs that are issued again have, too.
            (miner_job, JobChange { is_moved, is_other_work: before.is_none() })
        };
        self.group.job(self.connection, &miner_job, change);
    }

    /// Notes a job that can't be read. If it has ended those before it, or may have, miners work for nothing
    /// until the next one. The connection is kept for a moment, as an empty block's job is followed by the
    /// full one (wire reference, section 2.9).
    fn unread(&self, clean: Option<bool>, why: &dyn Display) {
        let (services, upstream) = (&self.group.services, self.connection.upstream);
        let text = format!("pool {upstream} sent a job that can't be read: {why}");
        self.connection.log(&services.listener_context, &text);
        if clean != Some(false) {
            self.connection.connection_state().unread_since.get_or_insert_with(Instant::now);
        }
    }

    fn miss_job(&self) {
        let limit = self.group.services.limits.unreadable_job_grace;
        let since = self.connection.connection_state().unread_since;
        if since.is_some_and(|since| since.elapsed() >= limit) {
            self.give_up("its job can't be read".to_owned());
        }
    }

    /// Marks the connection as unusable. The manager leaves it.
    fn give_up(&self, why: String) {
        self.connection.connection_state().unusable.get_or_insert(why);
        self.group.wake_waiters();
    }
}

/// The search space in the answer to the subscribe, or why it can't be used.
fn space_in(answer: &Envelope<'_>) -> Result<SubscribeAnswer, String> {
    match answer.good_result() {
        Some(result) => SubscribeAnswer::from_result(result)
            .map_err(|error| format!("its answer to the subscribe can't be read: {error}")),
        None => Err("it refused the subscribe".to_owned()),
    }
}

/// The pool's refusal, or `None` if it accepted. A missing code or reason is filled in: miners show nothing
/// else properly.
fn refusal_of(verdict: &ResponseVerdict, code: RefusalCode, words: &str) -> Option<StratumError> {
    let ResponseVerdict::Refused { code: given, reason } = verdict else { return None };
    let known = [
        RefusalCode::Other,
        RefusalCode::JobNotFound,
        RefusalCode::Duplicate,
        RefusalCode::LowDifficulty,
        RefusalCode::Unauthorized,
        RefusalCode::NotSubscribed,
    ];
    let code = known.into_iter().find(|known| Some(known.number()) == *given).unwrap_or(code);
    let reason = reason.as_deref().unwrap_or(words);
    Some(StratumError::new(code, reason.chars().take(MAX_REASON).collect::<String>()))
}
