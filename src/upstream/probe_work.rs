//! Shows whether a pool gives work: subscribes, authorizes as a miner that it knows, and waits for a job.

use std::time::{Duration, Instant};

use super::Failure;
use super::probe::{SUBSCRIBE, Shown};
use crate::analyzer::LineReader;
use crate::net::options::is_timeout;
use crate::net::{Reader, Stream};
use crate::stop::Stop;
use crate::stratum::{Envelope, Login, Verdict};

/// How often a wait looks whether the program ends.
const STOP_CHECK: Duration = Duration::from_millis(200);
/// The ids of the two requests.
const SUBSCRIBE_ID: u64 = 1;
const AUTHORIZE_ID: u64 = 2;
/// A pool that sends more than this, in bytes, and no job is not waited for any longer.
const MAX_READ: usize = 1 << 20;
/// The longest line of a pool, in bytes, as aggregate mode reads it.
const MAX_POOL_LINE: usize = 1 << 20;

/// What the pool's lines have shown so far.
#[derive(Default)]
struct Progress {
    subscribed: bool,
    verdict: Option<Verdict>,
    has_job: bool,
}

/// Waits up to `limit` for a job. A pool that refuses this login may still give others work, so it is for
/// the miners to find out.
pub(super) fn ask_for_work(stream: Stream, login: &Login, limit: Duration, stop: &Stop) -> Shown {
    let deadline = Instant::now() + limit;
    let asked = stream
        .set_read_timeout(Some(STOP_CHECK.min(limit)))
        .and_then(|()| stream.set_write_timeout(Some(limit)))
        .and_then(|()| stream.send_all(SUBSCRIBE));
    if asked.is_err() {
        return Shown::Failed(Failure::ClosedUnanswered);
    }
    let mut reader = Reader::new(stream.into());
    let (mut lines, mut progress) = (LineReader::up_to(MAX_POOL_LINE), Progress::default());
    let (mut buffer, mut read, mut is_authorizing) = ([0; 4096], 0, false);
    while Instant::now() < deadline && read < MAX_READ {
        match reader.recv(&mut buffer) {
            Ok(received) if received.length > 0 => {
                read += received.length;
                lines.read(&buffer[..received.length], |line| progress.take(line));
            }
            Ok(_) => return Shown::Failed(Failure::ClosedUnanswered),
            Err(error) if is_timeout(&error) && !stop.is_stopped() => continue,
            Err(_) if stop.is_stopped() => return Shown::Nothing,
            Err(_) => return Shown::Failed(Failure::ClosedUnanswered),
        }
        if progress.has_job || progress.verdict.as_ref().is_some_and(|verdict| !verdict.is_accepted()) {
            return Shown::Works;
        }
        if progress.subscribed && !is_authorizing {
            is_authorizing = true;
            let line = login.authorize_line(AUTHORIZE_ID);
            if reader.stream().send_all(line.as_bytes()).is_err() {
                return Shown::Failed(Failure::ClosedUnanswered);
            }
        }
    }
    Shown::Failed(if progress.subscribed { Failure::NoWork(limit) } else { Failure::Silent(limit) })
}

impl Progress {
    fn take(&mut self, line: &[u8]) {
        let Ok(message) = Envelope::read(line) else { return };
        match (message.method().as_deref(), message.numeric_id()) {
            (Some(method), _) if method.eq_ignore_ascii_case("mining.notify") => self.has_job = true,
            (Some(_), _) => {}
            (None, Some(SUBSCRIBE_ID)) => self.subscribed = true,
            (None, Some(AUTHORIZE_ID)) => self.verdict = Some(Verdict::of(&message)),
            (None, _) => {}
        }
    }
}
