//! A miner's first bytes, held back just long enough to see that they are a miner's.

use std::time::{Duration, Instant};

use super::ending::{End, linger};
use super::foreign::{Beginning, Foreign, judge, judge_at_last};
use super::patience::MinerWatch;
use super::pump::{Patience, Watch};
use super::session::Presence;
use super::talk::{Topic, say};
use crate::limits::Abuse;
use crate::net::options::is_timeout;
use crate::net::{Reader, Received, Stamp};

/// How long first bytes that could become something foreign are held back.
const FOREIGN_WAIT: Duration = Duration::from_secs(1);

/// For those who opened the wrong port in a browser.
const HTTP_TEXT: &str = "This is a Stratum port, for miners only.\n";

/// The first bytes of a miner.
pub(super) enum First {
    Bytes(Received),
    Ended(End),
    Refused,
}

/// Waits for the first bytes and looks whether they are a miner's.
pub(super) fn first_bytes(
    presence: &Presence,
    watch: &mut MinerWatch<'_>,
    reader: &mut Reader,
    buffer: &mut [u8],
) -> First {
    let mut held = 0;
    let mut readable_at = None;
    loop {
        let timeout = if held == 0 { watch.time_to_wait() } else { Some(FOREIGN_WAIT) };
        let read = match reader.stream().set_read_timeout(timeout) {
            Ok(()) => reader.recv(&mut buffer[held..]),
            Err(error) => Err(error),
        };
        let beginning = match read {
            Ok(received) if received.length > 0 => {
                held += received.length;
                readable_at.get_or_insert(received.readable_at);
                judge(&buffer[..held])
            }
            Err(error) if is_timeout(&error) && held == 0 => match watch.on_timeout() {
                Patience::Wait => continue,
                Patience::End => return First::Ended(End::SourceBroken),
            },
            Ok(_) if held == 0 => return First::Ended(End::Finished),
            Err(error) if !is_timeout(&error) && held == 0 => return First::Ended(End::SourceBroken),
            // Closed, or nothing more for a while: what was read is delivered; the end is read again.
            Ok(_) | Err(_) => judge_at_last(&buffer[..held]),
        };
        match beginning {
            Beginning::Foreign(foreign) => {
                refuse(presence, foreign);
                turn_away(reader, foreign);
                return First::Refused;
            }
            Beginning::Stratum => {
                let readable_at = readable_at.unwrap_or_else(Stamp::now);
                return First::Bytes(Received { length: held, readable_at });
            }
            Beginning::Undecided => {}
        }
    }
}

/// Says what was wrong and counts it against the peer.
fn refuse(presence: &Presence, foreign: Foreign) {
    let services = &presence.services;
    let miner = presence.session.conversation.miner();
    let (topic, abuse) = match foreign {
        Foreign::Tls => (Topic::TlsOnPlainPort, Abuse::TlsOnPlainPort),
        Foreign::Http => (Topic::Http, Abuse::Http),
        Foreign::ProxyHeader => (Topic::ProxyHeader, Abuse::Garbage),
    };
    say(services, miner, topic, &format_args!("refused: {foreign}"));
    if let Some(ban) = services.gatekeeper.report_abuse(miner.ip(), abuse, Instant::now()) {
        say(services, miner, Topic::Refused, &format_args!("banned for {ban:.0?}"));
    }
}

/// Closes; a browser is told why first.
fn turn_away(reader: &mut Reader, foreign: Foreign) {
    let stream = reader.stream().clone();
    if foreign == Foreign::Http {
        // If it does not arrive, nobody reads it.
        let length = HTTP_TEXT.len();
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{HTTP_TEXT}"
        );
        let _ = stream.send_all(answer.as_bytes());
        stream.finish();
        linger(reader);
    }
    stream.abort();
}
