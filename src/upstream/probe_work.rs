//! Probes whether a pool gives work: subscribes, authorizes as a miner that the pool knows, and waits for a
//! job.

use std::time::{Duration, Instant};

use super::PoolFailure;
use super::probe::{ProbeResult, subscribing_client, unanswered};
use crate::net::options::is_timeout;
use crate::net::{Stream, StreamReader};
use crate::stratum::LineReader;
use crate::stratum::{Client, ClientEvent, Login, PoolMethod, ResponseVerdict};
use crate::util::stop::Stop;
use crate::util::supervise;

/// The time between two checks whether the program ends.
const STOP_CHECK: Duration = Duration::from_millis(200);
/// Caps the time for sending a request, which is short: nothing else waits to be sent.
const MAX_WRITE_TIME: Duration = Duration::from_secs(10);
/// Caps the bytes that are read before a job. A pool that sends more and no job is not waited for any longer.
const MAX_READ: usize = 1 << 20;
/// Caps a pool's line, in bytes, as aggregate mode does.
const MAX_POOL_LINE: usize = 1 << 20;

/// The outcome of the pool's lines so far.
#[derive(Default)]
struct Progress {
    subscribed: bool,
    refuses_subscribe: bool,
    verdict: Option<ResponseVerdict>,
    has_job: bool,
}

/// Waits up to `limit` for a job. A pool that refuses this login may still give others work, so the miners
/// have to find out. `answered` is called when the pool has answered the subscribe.
pub(super) fn ask_for_work(
    stream: Stream,
    login: &Login,
    limit: Duration,
    answered: impl FnOnce(),
    stop: &Stop,
) -> ProbeResult {
    let deadline = Instant::now() + limit;
    let mut client = subscribing_client();
    let asked = stream
        .set_read_timeout(Some(STOP_CHECK.min(limit)))
        .and_then(|()| stream.set_write_timeout(Some(limit.min(MAX_WRITE_TIME))))
        .and_then(|()| stream.send_all(client.take_outgoing().as_bytes()));
    if let Err(error) = asked {
        return ProbeResult::Failed(unanswered(&error, limit));
    }
    let mut reader = StreamReader::new(stream.into());
    let (mut lines, mut progress) = (LineReader::up_to(MAX_POOL_LINE), Progress::default());
    let (mut buffer, mut read, mut answered) = ([0; 4096], 0, Some(answered));
    while Instant::now() < deadline && read < MAX_READ {
        // `limit` may be an hour.
        supervise::beat();
        match reader.recv(&mut buffer) {
            Ok(received) if received.length > 0 => {
                read += received.length;
                lines.read(&buffer[..received.length], |line| progress.take(&mut client, line));
            }
            Err(error) if is_timeout(&error) && !stop.is_stopped() => continue,
            Err(_) if stop.is_stopped() => return ProbeResult::Nothing,
            _ if progress.subscribed => return ProbeResult::Failed(closes_early()),
            Ok(_) => return ProbeResult::Failed(PoolFailure::ClosedUnanswered),
            Err(error) => return ProbeResult::Failed(unanswered(&error, limit)),
        }
        if progress.has_job {
            return ProbeResult::GivesWork;
        }
        if progress.refuses_subscribe
            || progress.verdict.as_ref().is_some_and(|verdict| !verdict.is_accepted())
        {
            return ProbeResult::RefusesLogin;
        }
        if let Some(answered) = answered.take_if(|_| progress.subscribed) {
            answered();
            client.authorize(login);
            if reader.stream().send_all(client.take_outgoing().as_bytes()).is_err() {
                return ProbeResult::Failed(closes_early());
            }
        }
    }
    ProbeResult::Failed(if progress.subscribed {
        PoolFailure::NoWork(limit)
    } else {
        PoolFailure::Silent(limit)
    })
}

/// The failure of a pool that answers the subscribe and then ends the connection.
fn closes_early() -> PoolFailure {
    PoolFailure::TurnsMinersAway(String::from("it closes connections before it sends a job"))
}

impl Progress {
    /// Takes a line as any miner may read it. The reading of most miners comes first.
    fn take(&mut self, client: &mut Client<()>, line: &[u8]) {
        for event in client.take_line(line, ()) {
            match event {
                ClientEvent::Called { method, .. } => self.has_job |= method == Some(PoolMethod::Notify),
                ClientEvent::SubscribeAnswered { is_accepted } if !self.subscribed => {
                    self.subscribed = true;
                    self.refuses_subscribe = !is_accepted;
                }
                ClientEvent::Authorized(verdict) => {
                    self.verdict.get_or_insert(verdict);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::util::supervise::{service, unwell};

    #[test]
    fn a_long_wait_for_a_job_is_no_stuck_thread() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut stream = Some(Stream::Plain(stream));
        let thread = service("t-probe")
            .beats_within(Duration::from_secs(1))
            .start(move || {
                let login = Login::new("w", "x");
                if let Some(stream) = stream.take() {
                    ask_for_work(stream, &login, Duration::from_millis(1600), || {}, &Stop::new());
                }
            })
            .unwrap();
        while !thread.is_finished() {
            assert!(!unwell().iter().any(|line| line.contains("t-probe")), "{:?}", unwell());
            std::thread::sleep(Duration::from_millis(5));
        }
        thread.join().unwrap();
    }

    #[test]
    fn a_pool_that_writes_every_line_oddly_gives_work_all_the_same() {
        let (mut client, mut progress) = (subscribing_client(), Progress::default());
        progress.take(&mut client, br#"{"id":1,"id":1,"result":[[],"0a0b0c0d",8],"error":null}"#);
        assert!(progress.subscribed);
        client.authorize(&Login::new("w", "x"));
        progress.take(&mut client, br#"{"id":2,"id":2,"result":true,"error":null}"#);
        assert!(progress.verdict.as_ref().is_some_and(ResponseVerdict::is_accepted));
        assert!(!progress.has_job);
        progress.take(&mut client, br#"{"id":null,"id":null,"method":"mining.notify","params":["1"]} ."#);
        assert!(progress.has_job);
    }
}
