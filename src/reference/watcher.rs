//! The thread that watches one pool: the sockets around a conversation, every amount bounded.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::conversation::{Heard, ReferenceClient};
use super::poll_interval::PollInterval;
use super::tip::Tip;
use super::tip_publisher::TipPublisher;
use super::view::ReferenceStatus;
use crate::net::dial::Route;
use crate::net::options::is_timeout;
use crate::net::{Stamp, Stream, StreamReader};
use crate::stratum::LineReader;
use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;

/// Tor may need as long.
const DIAL_LIMIT: Duration = Duration::from_secs(30);
/// What goes out is a few hundred bytes.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How often it is looked whether the program ends, and what is due.
const LOOK: Duration = Duration::from_millis(250);

/// The longest line that is read, as of the pools that miners are with (wire reference, section 5.1, 6).
const MAX_LINE: usize = 1024 * 1024;
const SECOND: Duration = Duration::from_secs(1);
/// So much is read in a second: the largest job has 34 KB. Who sends more waits.
const MOST_A_SECOND: usize = 256 * 1024;
/// A pool that talks but sends no job for so many times its silence has failed, too: it says no longer
/// where it stands.
const JOBLESS: u32 = 10;

/// One pool.
#[derive(Debug)]
pub(super) struct Watcher<T> {
    pub(super) route: Route,
    pub(super) user: Option<String>,
    pub(super) book: Arc<ReferenceStatus>,
    pub(super) herald: TipPublisher<T>,
    pub(super) pace: PollInterval,
}

/// A connection as it goes on.
struct Talk {
    conversation: ReferenceClient,
    has_job: bool,
    /// Why the newest job can't be used.
    useless: Option<String>,
    /// Whether there was a warning that a job can't be read.
    has_warned: bool,
    /// The newest message; before the first job, the connection.
    heard: Instant,
    newest_job: Instant,
    ended: Option<String>,
}

impl<T: Fn(Tip)> Watcher<T> {
    /// Watches until `stop`.
    pub(super) fn run(&mut self, stop: &Stop) -> Result<(), Stopped> {
        let mut pauses = Backoff::new(self.pace.first_pause, self.pace.longest_pause);
        loop {
            supervise::beat();
            let began = Instant::now();
            let why = self.connect(stop);
            stop.check()?;
            self.herald.lose();
            self.book.failed(why);
            if began.elapsed() >= self.pace.proven {
                pauses.begin_anew();
            }
            stop.sleep(pauses.failed())?;
        }
    }

    /// One connection, to its end: why that came.
    fn connect(&mut self, stop: &Stop) -> String {
        let stream = match self.route.dial(Instant::now() + DIAL_LIMIT, stop) {
            Ok(stream) => Arc::new(stream),
            Err(why) => return why.to_string(),
        };
        let mut talk = Talk::new(self.user.as_deref());
        let end = self.listen(&stream, &mut talk, stop);
        // Nobody waits for what it may have to say still.
        stream.abort();
        let end = end.unwrap_or_else(|why| format!("the connection broke: {}", describe(&why)));
        match (talk.has_job, talk.conversation.refused_user(), talk.useless) {
            (false, Some(refused), _) => format!("{end}; {refused}"),
            (_, _, Some(useless)) => format!("{end}; its newest job can't be read: {useless}"),
            _ => end,
        }
    }

    fn listen(&mut self, stream: &Arc<Stream>, talk: &mut Talk, stop: &Stop) -> io::Result<String> {
        stream.set_write_timeout(Some(WRITE_LIMIT))?;
        stream.set_read_timeout(Some(LOOK.min(self.pace.silence)))?;
        let mut reader = StreamReader::new(stream.clone());
        let mut lines = LineReader::up_to(MAX_LINE);
        let mut buffer = vec![0; 16 * 1024];
        let (mut second, mut bytes) = (Instant::now(), 0);
        loop {
            let outgoing = talk.conversation.take_outgoing();
            if !outgoing.is_empty() {
                stream.send_all(outgoing.as_bytes())?;
            }
            if stop.is_stopped() {
                return Ok(String::from("stopped"));
            }
            let now = Instant::now();
            self.herald.pass(now);
            if now.saturating_duration_since(talk.heard) >= self.pace.silence {
                let what = if talk.has_job { "nothing" } else { "no job" };
                return Ok(format!("it has sent {what} for {:.0?}", self.pace.silence));
            }
            let jobless = self.pace.silence.saturating_mul(JOBLESS);
            if now.saturating_duration_since(talk.newest_job) >= jobless {
                return Ok(format!("it talks, but has sent no job for {jobless:.0?}"));
            }
            let received = match reader.recv(&mut buffer) {
                Ok(received) => received,
                Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if received.length == 0 {
                let when = if talk.has_job { "" } else { " before its first job" };
                return Ok(format!("it closed the connection{when}"));
            }
            bytes += received.length;
            let spent = second.elapsed();
            if spent >= SECOND {
                (second, bytes) = (Instant::now(), received.length);
            } else if bytes > MOST_A_SECOND && stop.sleep(SECOND - spent).is_err() {
                return Ok(String::from("stopped"));
            }
            lines.read(&buffer[..received.length], |line| {
                self.take_line(talk, line, received.readable_at);
            });
            if let Some(why) = talk.ended.take() {
                return Ok(why);
            }
            if lines.too_long > 0 {
                return Ok(String::from("it sent a line of more than 1 MiB, which no pool does"));
            }
        }
    }

    fn take_line(&mut self, talk: &mut Talk, line: &[u8], at: Stamp) {
        let heard = talk.conversation.take_line(line);
        match heard {
            Heard::Nonsense => {}
            Heard::Talk => {
                if talk.has_job {
                    talk.heard = Instant::now();
                }
            }
            Heard::Refusal(why) => {
                talk.ended.get_or_insert(why);
            }
            Heard::UselessJob(why) => {
                // It may work on another block by now: what it worked on before says nothing any more.
                self.herald.lose();
                self.book.lost_tip(format!("its newest job can't be read: {why}"), !talk.has_warned);
                talk.has_warned = true;
                talk.useless = Some(why);
                if talk.has_job {
                    talk.heard = Instant::now();
                }
            }
            Heard::Job { height, prevhash, nbits } => {
                self.herald.hear(Tip { source: self.book.name(), height, prevhash, nbits, at });
                (talk.has_job, talk.useless, talk.newest_job) = (true, None, Instant::now());
                talk.heard = Instant::now();
                self.book.works(None);
            }
        }
    }
}

impl Talk {
    fn new(user: Option<&str>) -> Talk {
        let now = Instant::now();
        Talk {
            conversation: ReferenceClient::new(user),
            has_job: false,
            useless: None,
            has_warned: false,
            heard: now,
            newest_job: now,
            ended: None,
        }
    }
}
