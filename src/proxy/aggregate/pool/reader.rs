//! What a pool says, read line by line: answers go to whom they belong, jobs to all.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{Connection, tell};
use super::names::NameStatus;
use super::pending::PendingRequest;
use crate::net::options::{is_dead, is_timeout};
use crate::net::{Stamp, StreamReader};
use crate::proxy::aggregate::group::{JobNews, MinerGroup};
use crate::proxy::aggregate::jobs::PoolJob;
use crate::proxy::{LogTopic, say};
use crate::stratum::LineReader;
use crate::stratum::{
    ConfigureAnswer, Difficulty, Envelope, Notify, RefusalCode, ResponseVerdict, StratumError,
    SubscribeAnswer, VersionMask, accept_line, refuse_line, result_line,
};
use crate::tap::Direction;
use crate::tap::Tap;
use crate::util::os_error::describe;
use crate::util::span::seconds;

/// How often it is looked for requests that wait too long.
const LOOK: Duration = Duration::from_millis(500);
const BUFFER: usize = 16 * 1024;
/// The longest line that is read (wire reference, section 5.1, 6).
const MAX_LINE: usize = 1024 * 1024;
const NOTIFY: &str = "mining.notify";
/// What miners know. Some take a method by its beginning, and don't mind capitals (wire reference, section
/// 5.2, 16): nothing that begins like these is passed on.
const KNOWN: [&str; 5] =
    [NOTIFY, "mining.set_difficulty", "mining.set_extranonce", "mining.set_version_mask", "mining.ping"];
/// A pool's words in an answer are kept so far.
const MOST_WORDS: usize = 200;

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum ConnectionEnd {
    Closed,
    /// The failure, in words.
    Failed(String),
    /// There was no line for so long.
    Silent(Duration),
    /// It was told to.
    Ended,
}

/// Reads until the end. Whoever called this ends the connection.
pub(crate) fn listen(
    link: &Arc<MinerGroup>,
    connection: &Arc<Connection>,
    silence: Duration,
) -> ConnectionEnd {
    let mut listener = PoolReader {
        link,
        connection,
        tap: Tap::new(link.to_analyzer(), connection.conversation.clone(), Direction::Down),
        lines: LineReader::up_to(MAX_LINE),
        heard: Instant::now(),
        began: Instant::now(),
    };
    let end = match listener.read(silence) {
        Ok(end) => end,
        Err(_) if connection.is_over() => ConnectionEnd::Ended,
        Err(error) => ConnectionEnd::Failed(lost(&error, listener.heard.elapsed())),
    };
    // The reading ends, too, when this end could not send: that is the reason then.
    match (end, connection.send_failure()) {
        (ConnectionEnd::Closed | ConnectionEnd::Failed(_), Some(failure)) => ConnectionEnd::Failed(failure),
        (end, _) => end,
    }
}

/// Why a connection broke, after so long without a word of the pool's.
fn lost(error: &io::Error, silence: Duration) -> String {
    if is_dead(error) {
        return format!("it is unreachable: no sign of life for {}", seconds(silence));
    }
    describe(error)
}

struct PoolReader<'a> {
    link: &'a Arc<MinerGroup>,
    connection: &'a Arc<Connection>,
    tap: Tap,
    lines: LineReader,
    heard: Instant,
    began: Instant,
}

impl PoolReader<'_> {
    fn read(&mut self, silence: Duration) -> io::Result<ConnectionEnd> {
        let stream = self.connection.stream.clone();
        stream.set_read_timeout(Some(LOOK.min(silence)))?;
        let mut reader = StreamReader::new(stream);
        let mut buffer = vec![0; BUFFER];
        let mut looked = Instant::now();
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
            if looked.elapsed() >= LOOK {
                let config = &self.link.services().config;
                self.connection.expire(config.analysis.share_timeout, config.failover.answer_timeout);
                self.link.ask_again(self.connection);
                self.miss_configure();
                self.miss_job();
                looked = Instant::now();
            }
            if let Some(received) = received {
                let bytes = &buffer[..received.length];
                let mut lines = std::mem::take(&mut self.lines);
                lines.read(bytes, |line| {
                    self.heard = Instant::now();
                    self.take(line, received.readable_at);
                });
                self.lines = lines;
                self.tap.forwarded(bytes, received.readable_at, Stamp::now());
                if self.lines.too_long > 0 {
                    self.give_up("it sends a line of more than 1 MiB".to_owned());
                }
            }
            if self.heard.elapsed() >= silence {
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
            // Some pools repeat the method in an answer. Nobody asks for a job.
            Some(method) if message.is_answer() && method != NOTIFY => self.answer(&message, at),
            // Some miners would ignore it: nobody can say that the pool means it as a job.
            Some(NOTIFY) if name.as_deref() != Some(NOTIFY) => {
                self.unread(Notify::clean_in(message.params), &"its method is not in lower case");
            }
            Some(NOTIFY) if self.connection.facts().space.is_none() => {
                // It is read once its search space is known (wire reference, section 5.3, 19).
                self.connection.facts().early_job = Some(line.into());
            }
            // It would fill the queue of every miner that does not take it at once.
            Some(NOTIFY) if line.len() > self.link.services().limits.most_queued / 2 => {
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
                self.link.pass_on(self.connection, line, at);
                if message.has_id() && message.id() != "null" {
                    self.connection.answer(accept_line(message.id()));
                }
            }
            Some("client.reconnect") => self.link.redirected(self.connection, message.params),
            Some(method)
                if method.starts_with("mining.") && (!message.has_id() || message.id() == "null") =>
            {
                if !self.link.is_strict() && !KNOWN.iter().any(|known| method.starts_with(known)) {
                    self.link.pass_on(self.connection, line, at);
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
                let granted = ConfigureAnswer::from_result(message.good_result()).version_rolling;
                self.mask(granted, at);
            }
            PendingRequest::Subscribe => self.subscribed(message, at),
            PendingRequest::Authorize { name, password, asker } => {
                let verdict = ResponseVerdict::of(message);
                let standing = match refusal_of(&verdict, RefusalCode::Unauthorized, "Unauthorized worker") {
                    None => NameStatus::Accepted,
                    Some(refusal) => NameStatus::Refused(refusal),
                };
                if let Some(asker) = asker {
                    let line = match &standing {
                        NameStatus::Refused(refusal) => refuse_line(&asker.id, refusal, Default::default()),
                        _ => accept_line(&asker.id),
                    };
                    tell(&asker, line, at);
                    self.link.authorized(&asker, standing == NameStatus::Accepted);
                }
                self.connection.facts().names.judge(&name, standing.clone(), password);
                self.link.name_judged(self.connection, &name, &standing);
            }
            PendingRequest::Submit { asker } => {
                let verdict = ResponseVerdict::of(message);
                let refusal = refusal_of(&verdict, RefusalCode::Other, "Refused by the pool");
                self.link.share_judged(self.connection, refusal.as_ref());
                let line = match &refusal {
                    None => accept_line(&asker.id),
                    Some(_) if asker.is_good_here && verdict.is_low_difficulty() => accept_line(&asker.id),
                    Some(refusal) => refuse_line(&asker.id, refusal, Default::default()),
                };
                tell(&asker, line, at);
            }
        }
    }

    fn subscribed(&self, message: &Envelope<'_>, at: Stamp) {
        let early = {
            let mut facts = self.connection.facts();
            match space_in(message) {
                Ok(answer) => {
                    facts.divide(self.link.next_epoch(), answer.extranonce1, answer.extranonce2_size);
                }
                Err(why) => facts.unusable = Some(why),
            }
            facts.early_job.take().filter(|_| facts.space.is_some())
        };
        if let Some(line) = early {
            self.take(&line, at);
        }
        self.link.news();
    }

    /// A pool that does not answer the configure has no version rolling, unless it says so later (wire
    /// reference, section 2.4).
    fn miss_configure(&self) {
        let limit = self.link.services().config.failover.answer_timeout;
        if self.began.elapsed() > limit && !self.connection.facts().knows_mask {
            log::warn!(
                "pool {}: it does not answer mining.configure: no version rolling",
                self.connection.upstream
            );
            self.mask(None, Stamp::now());
        }
    }

    fn mask(&self, mask: Option<VersionMask>, at: Stamp) {
        {
            let mut facts = self.connection.facts();
            (facts.mask, facts.knows_mask) = (mask, true);
        }
        self.link.mask_changed(self.connection, mask, at);
    }

    fn difficulty(&self, message: &Envelope<'_>) {
        if let Ok(difficulty) = Difficulty::from_params(message.params) {
            self.connection.set_difficulty(difficulty);
            let newest = self.connection.facts().newest.clone();
            newest.iter().for_each(|task| task.job.asked_for(difficulty));
            self.link.difficulty_changed(self.connection, difficulty);
        }
    }

    fn extranonce(&self, message: &Envelope<'_>) {
        match SubscribeAnswer::from_set_extranonce(message.params) {
            Ok(SubscribeAnswer { extranonce1, extranonce2_size: size }) => {
                let mut facts = self.connection.facts();
                // Some pools repeat what they gave; nobody has to move for that.
                let is_same = facts.space.as_ref().is_some_and(|space| space.is(&extranonce1, size));
                facts.next_space = (!is_same).then_some((extranonce1, size));
            }
            // What is done in the former search space from the next job on is worth nothing.
            Err(error) => self.give_up(format!("its mining.set_extranonce can't be read: {error}")),
        }
    }

    fn job(&self, message: &Envelope<'_>, at: Stamp) {
        let notify = match Notify::from_params(message.params) {
            Ok(notify) => notify,
            Err(error) => return self.unread(Notify::clean_in(message.params), &error),
        };
        // Under one lock: a job that is given again meanwhile may not get a later number than this one.
        let (task, news) = {
            let mut facts = self.connection.facts();
            let next = facts.next_space.take();
            let is_moved = next.is_some();
            if let Some((extranonce1, size)) = next {
                facts.divide(self.link.next_epoch(), extranonce1, size);
            }
            if facts.unusable.is_some() {
                // The link leaves it.
                drop(facts);
                return self.link.news();
            }
            let Some(space) = facts.space.clone() else { return };
            let parent = facts.newest.as_ref().map(|task| task.job.notify().prevhash);
            let clean = notify.is_clean_after(parent.as_ref()) || is_moved;
            // Shares of what an unread job has ended are the pool's to judge.
            let was_unread = facts.unread_since.take().is_some();
            let generation =
                if clean { self.connection.next_generation() } else { self.connection.generation() };
            let before = facts.live.latest_time_of(&notify);
            let source = Arc::downgrade(self.connection);
            let difficulty = self.connection.difficulty();
            let mask = if facts.knows_mask { facts.mask } else { self.link.services().likely_mask() };
            let job = Arc::new(PoolJob::new((source, space), notify, difficulty, mask, generation, at));
            facts.live.keep(&job);
            let task = self.link.numbers().first(job, clean || was_unread, before);
            facts.newest = Some(task.clone());
            // Pools may repeat a job with nothing but a new time, which jobs that are given again have too.
            (task, JobNews { is_moved, is_other_work: before.is_none() })
        };
        self.link.job(self.connection, &task, news);
    }

    /// A job can't be read. Where it has ended those before it, or may have, miners work for nothing until
    /// the next one; there is a moment for that, as an empty block's job is followed by the full one (wire
    /// reference, section 2.9).
    fn unread(&self, clean: Option<bool>, why: &dyn Display) {
        let (services, upstream) = (self.link.services(), self.connection.upstream);
        let text = format!("pool {upstream}: a job that can't be read: {why}");
        say(&services.reception, self.connection.conversation.miner(), LogTopic::Pool, &text);
        if clean != Some(false) {
            self.connection.facts().unread_since.get_or_insert_with(Instant::now);
        }
    }

    fn miss_job(&self) {
        let limit = self.link.services().limits.unread_job;
        let since = self.connection.facts().unread_since;
        if since.is_some_and(|since| since.elapsed() >= limit) {
            self.give_up("its job can't be read".to_owned());
        }
    }

    /// The link leaves it.
    fn give_up(&self, why: String) {
        self.connection.facts().unusable.get_or_insert(why);
        self.link.news();
    }
}

/// What the answer to the subscribe gives, or why it can't be used.
fn space_in(answer: &Envelope<'_>) -> Result<SubscribeAnswer, String> {
    match answer.good_result() {
        Some(result) => SubscribeAnswer::from_result(result)
            .map_err(|error| format!("its answer to the subscribe can't be read: {error}")),
        None => Err("it refused the subscribe".to_owned()),
    }
}

/// `None`: accepted. What the pool leaves out is put in: miners show nothing else properly.
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
    Some(StratumError::new(code, reason.chars().take(MOST_WORDS).collect::<String>()))
}
