//! What a pool says, read line by line: answers go to whom they belong, jobs to all.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::connection::{Connection, Standing, tell};
use super::link::{JobNews, Link};
use super::pending::Asked;
use super::work::{PoolJob, is_other_work};
use crate::analyzer::{Direction, LineReader};
use crate::net::options::is_timeout;
use crate::net::{Reader, Stamp};
use crate::serving::Tap;
use crate::stratum::{
    ConfigureAnswer, Difficulty, Envelope, Extranonce1, Extranonce2Size, Notify, Refusal, RefusalCode,
    SubscribeAnswer, Verdict, VersionMask, accepted, elements, first_text, refused, result,
};

/// How often it is looked for requests that wait too long.
const LOOK: Duration = Duration::from_millis(500);
const BUFFER: usize = 16 * 1024;
/// A pool's words in an answer are kept so far.
const MOST_WORDS: usize = 200;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    Closed,
    Failed(io::Error),
    /// It said nothing for so long.
    Silent(Duration),
    /// It was told to.
    Ended,
}

/// Reads until the end. Whoever called this ends the connection.
pub(super) fn listen(link: &Arc<Link>, connection: &Arc<Connection>, silence: Duration) -> End {
    let mut listener = Listener {
        link,
        connection,
        tap: Tap::new(link.to_analyzer(), connection.conversation.clone(), Direction::Down),
        lines: LineReader::default(),
        heard: Instant::now(),
        began: Instant::now(),
    };
    match listener.read(silence) {
        Ok(end) => end,
        Err(_) if connection.is_over() => End::Ended,
        Err(error) => End::Failed(error),
    }
}

struct Listener<'a> {
    link: &'a Arc<Link>,
    connection: &'a Arc<Connection>,
    tap: Tap,
    lines: LineReader,
    heard: Instant,
    began: Instant,
}

impl Listener<'_> {
    fn read(&mut self, silence: Duration) -> io::Result<End> {
        let stream = self.connection.stream.clone();
        stream.set_read_timeout(Some(LOOK.min(silence)))?;
        let mut reader = Reader::new(stream);
        let mut buffer = vec![0; BUFFER];
        let mut looked = Instant::now();
        loop {
            let received = match reader.recv(&mut buffer) {
                Ok(received) if received.length == 0 => {
                    return Ok(if self.connection.is_over() { End::Ended } else { End::Closed });
                }
                Ok(received) => Some(received),
                Err(error) if is_timeout(&error) => None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
                Err(error) => return Err(error),
            };
            if looked.elapsed() >= LOOK {
                self.connection.expire(self.link.answer_limit());
                self.miss_configure();
                looked = Instant::now();
            }
            match received {
                Some(received) => {
                    self.heard = Instant::now();
                    let bytes = &buffer[..received.length];
                    let mut lines = std::mem::take(&mut self.lines);
                    lines.read(bytes, |line| self.take(line, received.readable_at));
                    self.lines = lines;
                    self.tap.in_pieces(bytes, received.readable_at, Stamp::now());
                }
                None if self.heard.elapsed() >= silence => return Ok(End::Silent(silence)),
                None => {}
            }
        }
    }

    fn take(&self, line: &[u8], at: Stamp) {
        let Ok(message) = Envelope::read(line) else {
            log::debug!("pool {}: not a Stratum line: {}", self.connection.upstream, line.escape_ascii());
            return;
        };
        match message.method().as_deref() {
            None => self.answer(&message, at),
            Some("mining.notify") if self.connection.facts().space.is_none() => {
                // It is read once its search space is known (wire reference, section 5.3, 19).
                self.connection.facts().early_job = Some(line.into());
            }
            Some("mining.notify") => self.job(&message, at),
            Some("mining.set_difficulty") => self.difficulty(&message),
            Some("mining.set_extranonce") => self.extranonce(&message),
            Some("mining.set_version_mask") => {
                let mask = first_text(message.params).and_then(|text| VersionMask::from_text(&text).ok());
                if let Some(mask) = mask {
                    self.mask((!mask.is_empty()).then_some(mask), at);
                }
            }
            Some("mining.ping") => self.connection.answer(result(message.id(), "\"pong\"")),
            Some("client.get_version") => {
                let version = concat!("\"sluice/", env!("CARGO_PKG_VERSION"), "\"");
                self.connection.answer(result(message.id(), version));
            }
            Some("client.show_message") => {
                self.link.pass_on(self.connection, line, at);
                if message.has_id() && message.id() != "null" {
                    self.connection.answer(accepted(message.id()));
                }
            }
            Some("client.reconnect") => self.link.redirected(self.connection, message.params),
            Some(method)
                if method.starts_with("mining.") && (!message.has_id() || message.id() == "null") =>
            {
                if !self.link.is_strict() {
                    self.link.pass_on(self.connection, line, at);
                }
            }
            Some(_) if message.has_id() && message.id() != "null" => {
                let refusal = Refusal::new(RefusalCode::Other, "Not supported.");
                self.connection.answer(refused(message.id(), &refusal, Default::default()));
            }
            Some(_) => {}
        }
    }

    fn answer(&self, message: &Envelope<'_>, at: Stamp) {
        let Some((asked, _)) = message.numeric_id().and_then(|id| self.connection.answered(id)) else {
            return;
        };
        match asked {
            Asked::Configure => {
                let granted = ConfigureAnswer::from_result(message.result).version_rolling;
                self.mask(granted, at);
            }
            Asked::Subscribe => self.subscribed(message, at),
            Asked::Authorize { name, asker } => {
                let verdict = Verdict::of(message);
                let standing = match refusal_of(&verdict, RefusalCode::Unauthorized, "Unauthorized worker") {
                    None => Standing::Accepted,
                    Some(refusal) => Standing::Refused(refusal),
                };
                if let Some(asker) = asker {
                    let line = match &standing {
                        Standing::Refused(refusal) => refused(&asker.id, refusal, Default::default()),
                        _ => accepted(&asker.id),
                    };
                    tell(&asker, line, at);
                    self.link.authorized(&asker, standing == Standing::Accepted);
                }
                self.connection.set_standing(name.clone(), standing.clone());
                self.link.name_judged(self.connection, &name, &standing);
            }
            Asked::Submit { asker } => {
                let refusal = refusal_of(&Verdict::of(message), RefusalCode::Other, "Refused by the pool");
                self.link.share_judged(self.connection, refusal.as_ref());
                let line = match &refusal {
                    None => accepted(&asker.id),
                    Some(refusal) => refused(&asker.id, refusal, Default::default()),
                };
                tell(&asker, line, at);
            }
        }
    }

    fn subscribed(&self, message: &Envelope<'_>, at: Stamp) {
        let read = message.result.filter(|_| message.error.is_none_or(|error| error.get() == "null"));
        let answer = read.and_then(|result| SubscribeAnswer::from_result(result).ok());
        let early = {
            let mut facts = self.connection.facts();
            match answer {
                Some(answer) => {
                    facts.divide(self.link.next_epoch(), answer.extranonce1, answer.extranonce2_size);
                }
                None => facts.unusable = Some("it refused the subscribe".to_owned()),
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
        let first = message.params.and_then(|params| elements("params", params).ok()?.first().copied());
        if let Some(difficulty) = first.and_then(|raw| Difficulty::from_json(raw).ok()) {
            self.connection.set_difficulty(difficulty);
            self.link.difficulty_changed(self.connection, difficulty);
        }
    }

    fn extranonce(&self, message: &Envelope<'_>) {
        let read = || {
            let params = elements("params", message.params?).ok()?;
            let extranonce1 = Extranonce1::from_json(params.first()?).ok()?;
            Some((extranonce1, Extranonce2Size::from_json(params.get(1)?).ok()?))
        };
        if let Some((extranonce1, size)) = read() {
            let mut facts = self.connection.facts();
            // Some pools repeat what they gave; nobody has to move for that.
            let is_same = facts.space.as_ref().is_some_and(|space| space.is(&extranonce1, size));
            facts.next_space = (!is_same).then_some((extranonce1, size));
        }
    }

    fn job(&self, message: &Envelope<'_>, at: Stamp) {
        let Ok(notify) = Notify::from_params(message.params) else {
            log::warn!("pool {}: a job that can't be read", self.connection.upstream);
            return;
        };
        // Under one lock: a job that is given again meanwhile may not get a later number than this one.
        let (task, news) = {
            let mut facts = self.connection.facts();
            let next = facts.next_space.take();
            let is_moved = next.is_some();
            if let Some((extranonce1, size)) = next {
                facts.divide(self.link.next_epoch(), extranonce1, size);
            }
            if let Some(why) = &facts.unusable {
                log::error!("pool {}: {why}", self.connection.upstream);
                // The link leaves it.
                drop(facts);
                return self.link.news();
            }
            let Some(space) = &facts.space else { return };
            let epoch = space.epoch;
            let before = facts.newest.clone();
            let parent = before.as_ref().map(|task| task.job.notify.prevhash);
            let clean = notify.is_clean_after(parent.as_ref()) || is_moved;
            let generation =
                if clean { self.connection.next_generation() } else { self.connection.generation() };
            let job = Arc::new(PoolJob {
                epoch,
                notify,
                difficulty: self.connection.difficulty(),
                generation,
                readable_at: at,
                received: Instant::now(),
                is_replaced: AtomicBool::new(false),
            });
            facts.keep_alive(&job);
            // Pools may repeat a job with nothing but a new time, which jobs that are given again have too.
            let is_other_work =
                before.as_ref().is_none_or(|before| is_other_work(&before.job.notify, &job.notify));
            let task = self.link.numbers().first(job, clean, before.as_deref());
            facts.newest = Some(task.clone());
            (task, JobNews { is_moved, is_other_work })
        };
        self.link.job(self.connection, &task, news);
    }
}

/// `None`: accepted. What the pool leaves out is put in: miners show nothing else properly.
fn refusal_of(verdict: &Verdict, code: RefusalCode, words: &str) -> Option<Refusal> {
    let Verdict::Refused { code: given, reason } = verdict else { return None };
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
    Some(Refusal::new(code, reason.chars().take(MOST_WORDS).collect::<String>()))
}
