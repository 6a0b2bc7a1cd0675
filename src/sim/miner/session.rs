//! A connection of a simulated miner, from its first byte to its last: what is read, and what is
//! done about it. What is said first is in `opening`.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use serde_json::value::RawValue;

use super::habit::Habit;
use super::opening;
use super::shared::Shared;
use super::work::Work;
use crate::sim::lines::{LineReader, timed_out};
use crate::stop::Stopped;
use crate::stratum::{
    Difficulty, Envelope, Extranonce1, Extranonce2Size, FieldError, Notify, SubscribeAnswer, Verdict,
    VersionMask, elements, first_text,
};

/// The longest line that is taken from a pool, in bytes.
const MAX_LINE: usize = 1024 * 1024;

/// A pool that takes no line for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Without a share sent or a job received for so long a NerdMiner suggests its difficulty again.
const NERDMINER_KEEPALIVE: Duration = Duration::from_secs(30);

/// A NerdMiner takes what it has of a line when the rest is later than this.
const NERDMINER_LINE_GAP: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum SessionEnd {
    Stopped,
    /// By the pool.
    Closed,
    Io(io::Error),
    /// The opening's answers did not come in time.
    NoAnswer(&'static str),
    /// The line that should have been the answer was not.
    BadAnswer(&'static str, String),
    /// A job that could not be read, which makes a NerdMiner start again.
    BadJob(FieldError),
    Silent(Duration),
    /// By `client.reconnect`; where to, when the miner follows.
    Reconnect(Option<SocketAddr>),
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionEnd::Stopped => f.write_str("stopped"),
            SessionEnd::Closed => f.write_str("the pool closed the connection"),
            SessionEnd::Io(error) => write!(f, "the connection broke: {error}"),
            SessionEnd::NoAnswer(method) => write!(f, "no answer to {method}"),
            SessionEnd::BadAnswer(method, line) => write!(f, "bad answer to {method}: {line}"),
            SessionEnd::BadJob(error) => write!(f, "bad job: {error}"),
            SessionEnd::Silent(time) => write!(f, "nothing came for {} s", time.as_secs()),
            SessionEnd::Reconnect(_) => f.write_str("the pool asked to reconnect"),
        }
    }
}

impl From<Stopped> for SessionEnd {
    fn from(Stopped: Stopped) -> SessionEnd {
        SessionEnd::Stopped
    }
}

impl From<io::Error> for SessionEnd {
    fn from(error: io::Error) -> SessionEnd {
        SessionEnd::Io(error)
    }
}

/// A connection.
pub(super) struct Session<'a> {
    pub shared: &'a Shared,
    pub habit: Habit,
    peer: SocketAddr,
    lines: LineReader<TcpStream>,
    connection: u64,
    extranonce: Option<(Extranonce1, Extranonce2Size)>,
    version_mask: Option<VersionMask>,
    /// What the next job is mined at.
    difficulty: Difficulty,
    job: Option<Arc<Notify>>,
    jobs: u64,
    last_line: Instant,
    last_job: Instant,
    last_keepalive: Instant,
}

impl Session<'_> {
    /// Mines over a new connection until it ends.
    pub fn run(shared: &Shared, stream: TcpStream, peer: SocketAddr) -> SessionEnd {
        let started = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT)))
            .and_then(|()| stream.try_clone());
        let writing = match started {
            Ok(writing) => writing,
            Err(error) => return SessionEnd::Io(error),
        };
        let connection = shared.connect(writing);
        let now = Instant::now();
        let mut session = Session {
            shared,
            habit: shared.options.habit,
            peer,
            lines: LineReader::new(stream, MAX_LINE),
            connection,
            extranonce: None,
            version_mask: None,
            difficulty: Difficulty::ONE,
            job: None,
            jobs: 0,
            last_line: now,
            last_job: now,
            last_keepalive: now,
        };
        let end = match opening::open(&mut session).and_then(|()| session.mine()) {
            Ok(never) => match never {},
            Err(end) => end,
        };
        shared.disconnect(end.to_string());
        end
    }

    /// The next line that is not empty; `None` when `deadline` passes before.
    pub fn read_line(&mut self, deadline: Option<Instant>) -> Result<Option<Vec<u8>>, SessionEnd> {
        loop {
            self.shared.stop.check()?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // Zero would mean no limit to the socket.
            let timeout = left.map(|left| left.max(Duration::from_millis(1)));
            self.lines.stream().set_read_timeout(timeout)?;
            match self.lines.next_line() {
                Ok(Some(line)) if line.trim_ascii().is_empty() => {}
                Ok(Some(line)) => {
                    self.last_line = Instant::now();
                    return Ok(Some(line));
                }
                Ok(None) => {
                    self.shared.stop.check()?;
                    return Err(SessionEnd::Closed);
                }
                Err(error) if timed_out(&error) => {
                    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Ok(self.cut_line());
                    }
                }
                Err(error) => {
                    self.shared.stop.check()?;
                    return Err(SessionEnd::Io(error));
                }
            }
        }
    }

    /// Sends a request and gives its id.
    pub fn request(&mut self, method: &str, params: &serde_json::Value) -> Result<u64, SessionEnd> {
        let sent = self.shared.with_wire(|wire| wire.request(method, params));
        Ok(sent.ok_or(SessionEnd::Closed)??)
    }

    /// Sends a line, or several, as they are.
    pub fn send(&mut self, lines: &str) -> Result<(), SessionEnd> {
        let sent = self.shared.with_wire(|wire| wire.send(lines));
        Ok(sent.ok_or(SessionEnd::Closed)??)
    }

    /// Takes over what the answer to subscribe says.
    pub fn subscribed(&mut self, answer: SubscribeAnswer) {
        self.shared.stats.update(|stats| {
            stats.subscribed = true;
            stats.extranonce1 = Some(answer.extranonce1.clone());
        });
        self.extranonce = Some((answer.extranonce1, answer.extranonce2_size));
        // Of a pool that sends its first job before the answer.
        self.set_work();
    }

    /// Takes over what the answer to authorize says.
    pub fn authorized(&mut self, accepted: bool) {
        self.shared.stats.update(|stats| stats.authorized = accepted);
    }

    /// Takes over the mask the pool grants.
    pub fn set_version_mask(&mut self, mask: Option<VersionMask>) {
        self.version_mask = mask.filter(|mask| !mask.is_empty());
    }

    /// Suggests a difficulty, if this miner does.
    pub fn suggest_difficulty(&mut self) -> Result<(), SessionEnd> {
        let own = self.habit.suggested_difficulty().and_then(|value| Difficulty::new(value).ok());
        let Some(difficulty) = self.shared.options.suggested_difficulty.or(own) else {
            return Ok(());
        };
        self.request("mining.suggest_difficulty", &json!([self.habit.suggestion(difficulty)]))?;
        Ok(())
    }

    /// Acts on a request or notification of the pool.
    pub fn handle_method(&mut self, message: &Envelope<'_>, method: &str) -> Result<(), SessionEnd> {
        match method {
            "mining.notify" => self.take_job(message.params)?,
            "mining.set_difficulty" => self.take_difficulty(message.params),
            "mining.set_extranonce" if self.habit.knows_extensions() => self.take_extranonce(message.params),
            "mining.set_version_mask" if self.habit.knows_extensions() => {
                let text = first_text(message.params);
                self.set_version_mask(text.and_then(|text| VersionMask::from_text(&text).ok()));
            }
            "client.reconnect" if self.habit != Habit::NerdMiner => {
                return Err(SessionEnd::Reconnect(self.reconnect_target(message.params)));
            }
            "client.show_message" if self.habit != Habit::NerdMiner => {
                self.shared.stats.update(|stats| stats.last_message = first_text(message.params));
                if self.habit == Habit::Cpuminer && message.has_id() {
                    self.send(&format!("{{\"id\":{},\"error\":null,\"result\":true}}\n", message.id()))?;
                }
            }
            "client.get_version" if self.habit != Habit::NerdMiner => {
                let agent = self.habit.user_agent();
                self.send(&format!("{{\"id\":{},\"result\":\"{agent}\",\"error\":null}}\n", message.id()))?;
            }
            "mining.ping" if self.habit == Habit::Cgminer => {
                self.send(&format!("{{\"id\":{},\"result\":\"pong\",\"error\":null}}\n", message.id()))?;
            }
            "mining.ping" if self.habit == Habit::Bitaxe => {
                self.send(&format!("{{\"id\":{},\"method\":\"pong\",\"params\":[]}}\n", message.id()))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Acts on an answer that belongs to a share; says whether it did.
    pub fn handle_answer(&mut self, answer: &Envelope<'_>) -> bool {
        let Some(id) = answer.numeric_id() else {
            return false;
        };
        let Some(Some(sent)) = self.shared.with_wire(|wire| wire.answered(id)) else {
            return false;
        };
        let round_trip = sent.elapsed();
        let (accepted, reason) = match self.habit.understand(answer) {
            Verdict::Accepted => (true, None),
            Verdict::Refused { code: Some(code), reason } => {
                (false, Some(format!("{code} {}", reason.unwrap_or_default())))
            }
            Verdict::Refused { code: None, reason } => (false, reason),
        };
        self.shared.stats.update(|stats| stats.record_answer(accepted, reason, Some(round_trip)));
        true
    }

    /// Everything after the opening.
    fn mine(&mut self) -> Result<std::convert::Infallible, SessionEnd> {
        loop {
            let deadline = self.next_deadline();
            match self.read_line(deadline)? {
                Some(line) => opening::handle_line(self, &line)?,
                None => self.act_on_time()?,
            }
        }
    }

    /// What has come of a line when its time is up, if this miner is content with that.
    fn cut_line(&mut self) -> Option<Vec<u8>> {
        let cuts = self.habit == Habit::NerdMiner && self.lines.last_read().elapsed() >= NERDMINER_LINE_GAP;
        if cuts { self.lines.take_partial() } else { None }
    }

    fn silence(&self) -> Option<(Instant, Duration)> {
        let timeout = self.shared.options.silence_timeout.or(self.habit.silence_timeout())?;
        let since = if self.habit == Habit::NerdMiner { self.last_job } else { self.last_line };
        Some((since + timeout, timeout))
    }

    fn keepalive(&self) -> Option<Instant> {
        if self.habit != Habit::NerdMiner {
            return None;
        }
        let last_submit = self.shared.with_wire(|wire| wire.last_submit)?;
        Some(last_submit.max(self.last_job).max(self.last_keepalive) + NERDMINER_KEEPALIVE)
    }

    fn next_deadline(&self) -> Option<Instant> {
        // A NerdMiner looks around at least so often, to find half a line.
        let look = (self.habit == Habit::NerdMiner).then(|| Instant::now() + NERDMINER_LINE_GAP);
        [self.silence().map(|(due, _)| due), self.keepalive(), look].into_iter().flatten().min()
    }

    fn act_on_time(&mut self) -> Result<(), SessionEnd> {
        let now = Instant::now();
        if let Some((due, timeout)) = self.silence() {
            if due <= now {
                return Err(SessionEnd::Silent(timeout));
            }
        }
        if self.keepalive().is_some_and(|due| due <= now) {
            self.last_keepalive = now;
            self.suggest_difficulty()?;
        }
        Ok(())
    }

    fn take_job(&mut self, params: Option<&RawValue>) -> Result<(), SessionEnd> {
        let job = match Notify::from_params(params) {
            Ok(job) => job,
            Err(error) if self.habit == Habit::NerdMiner => return Err(SessionEnd::BadJob(error)),
            Err(error) => {
                log::debug!("simulated miner: a job was ignored: {error}");
                return Ok(());
            }
        };
        self.last_job = Instant::now();
        self.shared.stats.update(|stats| stats.jobs_seen += 1);
        if self.habit == Habit::Cpuminer && self.job.as_ref().is_some_and(|old| old.job_id == job.job_id) {
            // No new work, to a cpuminer.
            return Ok(());
        }
        self.job = Some(Arc::new(job));
        self.jobs += 1;
        self.set_work();
        Ok(())
    }

    fn take_difficulty(&mut self, params: Option<&RawValue>) {
        let new = params
            .and_then(|params| elements("params", params).ok())
            .and_then(|elements| elements.first().and_then(|raw| Difficulty::from_json(raw).ok()));
        let Some(new) = new else { return };
        self.difficulty = new;
        if self.habit.takes_difficulty_at_once() {
            self.set_work();
        }
    }

    fn take_extranonce(&mut self, params: Option<&RawValue>) {
        let Some(elements) = params.and_then(|params| elements("params", params).ok()) else {
            return;
        };
        let (Some(extranonce1), Some(size)) = (elements.first(), elements.get(1)) else {
            return;
        };
        let (Ok(extranonce1), Ok(size)) =
            (Extranonce1::from_json(extranonce1), Extranonce2Size::from_json(size))
        else {
            return;
        };
        self.shared.stats.update(|stats| stats.extranonce1 = Some(extranonce1.clone()));
        self.extranonce = Some((extranonce1, size));
        if self.habit == Habit::Bitaxe {
            // Not with the next job only.
            self.jobs += 1;
            self.set_work();
        }
    }

    /// Gives the hashing thread the newest job with all that holds for it.
    fn set_work(&mut self) {
        let (Some(job), Some((extranonce1, extranonce2_size))) = (&self.job, &self.extranonce) else {
            return;
        };
        let rolls = matches!(self.habit, Habit::Bitaxe | Habit::Cgminer);
        self.shared.set_work(Some(Work {
            job: Arc::clone(job),
            extranonce1: extranonce1.clone(),
            extranonce2_size: *extranonce2_size,
            version_mask: self.version_mask.filter(|_| rolls),
            difficulty: self.difficulty,
            connection: self.connection,
            number: self.jobs,
        }));
    }

    /// Where `client.reconnect` sends this miner: a Bitaxe to its configured pool, cgminer only to
    /// the same host, cpuminer anywhere.
    fn reconnect_target(&self, params: Option<&RawValue>) -> Option<SocketAddr> {
        if self.habit == Habit::Bitaxe {
            return None;
        }
        let elements = elements("params", params?).ok()?;
        let text = |index: usize| elements.get(index).map(|raw| raw.get().trim_matches('"'));
        let host = text(0).filter(|host| !host.is_empty() && *host != "null");
        let host: IpAddr = host.map_or(Ok(self.peer.ip()), str::parse).ok()?;
        let port = text(1).and_then(|port| port.parse().ok()).unwrap_or(self.peer.port());
        let follows = self.habit == Habit::Cpuminer || host == self.peer.ip();
        follows.then(|| SocketAddr::new(host, port))
    }
}
