//! Holds a miner's first bytes back just long enough to see that they are a miner's.

use std::net::SocketAddr;
use std::time::Duration;

use super::ListenerContext;
use super::peer_log::LogTopic;
use super::protocol_guess::{ForeignProtocol, ProtocolGuess, guess, guess_final};
use super::read_watch::{OnTimeout, Watch, linger};
use crate::limits::Abuse;
use crate::net::options::is_timeout;
use crate::net::{Received, Stamp, StreamReader};

/// The time that first bytes are held back while they could still become another protocol.
const MAX_GUESS_WAIT: Duration = Duration::from_secs(1);

/// The page for people who open the wrong port in a browser.
const HTTP_TEXT: &str = "This is a Stratum port, for miners only.\n";

/// The outcome of waiting for a miner's first bytes.
pub enum FirstBytes {
    /// The bytes are in the buffer, and nothing shows that they are not a miner's.
    Miner(Received),
    /// The peer closed before it sent anything.
    Finished,
    /// The connection failed before that, or the time was up.
    Broken,
    /// The peer is no miner, and its connection is closed. A browser got a page that says so.
    Refused,
}

/// Waits for the first bytes and checks that they are a miner's.
pub fn first_bytes(
    listener_context: &ListenerContext,
    miner: SocketAddr,
    watch: &mut impl Watch,
    reader: &mut StreamReader,
    buffer: &mut [u8],
) -> FirstBytes {
    let mut held = 0;
    let mut readable_at = None;
    loop {
        let timeout = if held == 0 { watch.read_timeout() } else { Some(MAX_GUESS_WAIT) };
        let read = match reader.stream().set_read_timeout(timeout) {
            Ok(()) => reader.recv(&mut buffer[held..]),
            Err(error) => Err(error),
        };
        let guessed = match read {
            Ok(received) if received.length > 0 => {
                held += received.length;
                readable_at.get_or_insert(received.readable_at);
                guess(&buffer[..held])
            }
            Err(error) if is_timeout(&error) && held == 0 => match watch.on_timeout() {
                OnTimeout::Wait => continue,
                OnTimeout::End => return FirstBytes::Broken,
            },
            Ok(_) if held == 0 => return FirstBytes::Finished,
            Err(error) if !is_timeout(&error) && held == 0 => return FirstBytes::Broken,
            // The peer closed, or sent nothing more for a while: what was read is delivered, and the end is
            // read again.
            Ok(_) | Err(_) => guess_final(&buffer[..held]),
        };
        match guessed {
            ProtocolGuess::Foreign(foreign) => {
                refuse(listener_context, miner, foreign);
                turn_away(reader, foreign);
                return FirstBytes::Refused;
            }
            ProtocolGuess::Stratum => {
                let readable_at = readable_at.unwrap_or_else(Stamp::now);
                return FirstBytes::Miner(Received { length: held, readable_at });
            }
            ProtocolGuess::Undecided => {}
        }
    }
}

/// Logs what was wrong and counts it against the peer.
fn refuse(listener_context: &ListenerContext, miner: SocketAddr, foreign: ForeignProtocol) {
    let (topic, abuse) = match foreign {
        ForeignProtocol::Tls => (LogTopic::TlsOnPlainPort, Abuse::TlsOnPlainPort),
        ForeignProtocol::Http => (LogTopic::Http, Abuse::Http),
        ForeignProtocol::ProxyHeader => (LogTopic::ProxyHeader, Abuse::Garbage),
        ForeignProtocol::LikelyStratumV2 | ForeignProtocol::StratumV2 => {
            (LogTopic::StratumV2, Abuse::Garbage)
        }
    };
    listener_context.log_peer(miner, topic, &format_args!("refused: {foreign}"));
    listener_context.report_abuse(miner, abuse);
}

/// Closes the connection. A browser first gets a page that says why.
fn turn_away(reader: &mut StreamReader, foreign: ForeignProtocol) {
    let stream = reader.stream().clone();
    if foreign == ForeignProtocol::Http {
        // An answer that does not arrive is lost; nothing depends on it.
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
