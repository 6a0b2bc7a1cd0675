//! Recognises peers that connect to a Stratum port by mistake: browsers, TLS clients, senders of a PROXY
//! header (wire reference, section 5.1), miners that are set to Stratum V2. Stratum V1 begins with `{`, so a
//! few bytes are enough.

use std::fmt;

const PROXY_V1: &[u8] = b"PROXY ";
/// The PROXY protocol's binary signature, version 2.
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// A byte order mark, which some write in front of JSON.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const HTTP_METHODS: [&[u8]; 9] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ", b"PATCH "];
/// A TLS record of type handshake, and the major version of every TLS there is.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 3];

/// A Stratum V2 miner begins with its half of a Noise key exchange, which is one public key in the
/// ElligatorSwift encoding: 64 bytes that look random. It sends nothing more before it has an answer.
const V2_KEY_LENGTH: usize = 64;
/// The fewest of these bytes with the highest bit set: 32 on average, and fewer than 8 once in 1e11.
const V2_MIN_HIGH_BYTES: usize = 8;
/// Without encryption it begins with a frame of type SetupConnection: extension 0, message type 0, three
/// bytes of length, a protocol number (0 is mining), and 2 as the least and the greatest version.
const V2_SETUP: [u8; 3] = [0, 0, 0];
const V2_SETUP_VERSIONS: [u8; 4] = [2, 0, 2, 0];
const V2_SETUP_LENGTH: usize = 11;

/// A protocol that does not belong on this port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignProtocol {
    Tls,
    Http,
    ProxyHeader,
    /// The encrypted handshake, as far as random bytes can be recognised.
    LikelyStratumV2,
    /// The first message without encryption.
    StratumV2,
}

impl fmt::Display for ForeignProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ForeignProtocol::Tls => {
                "it speaks TLS to a plain port: set the miner to stratum+tcp, or configure listen.tls"
            }
            ForeignProtocol::Http => "it sent an HTTP request to a Stratum port",
            ForeignProtocol::LikelyStratumV2 => {
                "it seems to speak Stratum V2 (its first 64 bytes look like that protocol's handshake), which \
                 this port does not: set the miner to Stratum V1"
            }
            ForeignProtocol::StratumV2 => {
                "it speaks Stratum V2, which this port does not: set the miner to Stratum V1"
            }
            ForeignProtocol::ProxyHeader => {
                "it sent a PROXY header, which listen.proxy_protocol does not allow from this address"
            }
        })
    }
}

/// The guess about the first bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolGuess {
    /// Nothing known to be another protocol: forward.
    Stratum,
    Foreign(ForeignProtocol),
    /// The beginning could still become another protocol; more bytes will tell.
    Undecided,
}

/// Guesses the protocol from the first bytes.
pub fn guess(head: &[u8]) -> ProtocolGuess {
    if is_setup_connection(head) {
        return ProtocolGuess::Foreign(ForeignProtocol::StratumV2);
    }
    if looks_like_v2_key(head) {
        return ProtocolGuess::Foreign(ForeignProtocol::LikelyStratumV2);
    }
    let mut undecided = head.is_empty() || could_become_v2(head);
    let known = [
        (PROXY_V1, ForeignProtocol::ProxyHeader),
        (PROXY_V2, ForeignProtocol::ProxyHeader),
        (&TLS_HANDSHAKE, ForeignProtocol::Tls),
    ]
    .into_iter()
    .chain(HTTP_METHODS.map(|method| (method, ForeignProtocol::Http)));
    for (mark, foreign) in known {
        if head.starts_with(mark) {
            return ProtocolGuess::Foreign(foreign);
        }
        undecided |= mark.starts_with(head);
    }
    if undecided { ProtocolGuess::Undecided } else { ProtocolGuess::Stratum }
}

fn is_setup_connection(head: &[u8]) -> bool {
    head.len() >= V2_SETUP_LENGTH && head.starts_with(&V2_SETUP) && head[7..11] == V2_SETUP_VERSIONS
}

/// Whether these are random bytes of just this length, which are no text in any encoding that JSON may have.
fn looks_like_v2_key(head: &[u8]) -> bool {
    head.len() == V2_KEY_LENGTH
        && head.iter().filter(|byte| !byte.is_ascii()).count() >= V2_MIN_HIGH_BYTES
        && std::str::from_utf8(head).is_err()
}

/// Whether this may be part of a key or of a frame. Nothing that begins like text is held back for the rare
/// key that arrives in pieces and begins like text.
fn could_become_v2(head: &[u8]) -> bool {
    let is_binary = |byte: &u8| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace();
    let is_byte_order_mark =
        |head: &[u8]| BYTE_ORDER_MARK.starts_with(head) || head.starts_with(BYTE_ORDER_MARK);
    head.len() < V2_KEY_LENGTH && head.first().is_some_and(is_binary) && !is_byte_order_mark(head)
}

/// Guesses the protocol when no more bytes have followed for a while.
pub fn guess_final(head: &[u8]) -> ProtocolGuess {
    match guess(head) {
        // A lone first byte of TLS: nothing of Stratum begins like this.
        ProtocolGuess::Undecided if head == &TLS_HANDSHAKE[..1] => {
            ProtocolGuess::Foreign(ForeignProtocol::Tls)
        }
        ProtocolGuess::Undecided => ProtocolGuess::Stratum,
        decided => decided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stratum_is_recognised_by_its_first_byte() {
        for head in [&b"{"[..], b"{\"id\":1}\n", b" {", b"\n", b"\xef\xbb\xbf{", b"\xef", b"hello", b"get "] {
            assert_eq!(guess(head), ProtocolGuess::Stratum, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn foreign_protocols_are_recognised() {
        for (head, foreign) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], ForeignProtocol::Tls),
            (b"GET / HTTP/1.1\r\n", ForeignProtocol::Http),
            (b"OPTIONS * ", ForeignProtocol::Http),
            (b"PROXY TCP4 1.2.3.4 ", ForeignProtocol::ProxyHeader),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", ForeignProtocol::ProxyHeader),
        ] {
            assert_eq!(guess(head), ProtocolGuess::Foreign(foreign));
            for length in 0..head.len() {
                assert_ne!(
                    guess(&head[..length]),
                    ProtocolGuess::Stratum,
                    "{}",
                    head[..length].escape_ascii()
                );
            }
        }
    }

    #[test]
    fn undecided_bytes_are_forwarded() {
        assert_eq!(guess(b"P"), ProtocolGuess::Undecided);
        assert_eq!(guess_final(b"P"), ProtocolGuess::Stratum);
        assert_eq!(guess_final(b"\r\n"), ProtocolGuess::Stratum);
        assert_eq!(guess_final(b"\x16"), ProtocolGuess::Foreign(ForeignProtocol::Tls));
        assert_eq!(guess_final(b"\x16\x04"), ProtocolGuess::Stratum);
        assert_eq!(guess_final(b"\0"), ProtocolGuess::Stratum);
    }

    /// As random as a key, and the same each time.
    fn key(seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..64).map(|_| next()).collect()
    }

    #[test]
    fn a_stratum_v2_miner_is_recognised() {
        for seed in 1..500 {
            let key = key(seed);
            assert_eq!(
                guess(&key),
                ProtocolGuess::Foreign(ForeignProtocol::LikelyStratumV2),
                "{}",
                key.escape_ascii()
            );
        }
        let setup = b"\0\0\0\x2a\0\0\0\x02\0\x02\0\0\0\0\0\x09localhost";
        assert_eq!(guess(setup), ProtocolGuess::Foreign(ForeignProtocol::StratumV2));
        for length in 1..11 {
            assert_eq!(guess(&setup[..length]), ProtocolGuess::Undecided);
        }
    }

    #[test]
    fn other_garbage_is_not_taken_for_stratum_v2() {
        let key = key(7);
        for head in [
            &[&key[..], b"x"].concat()[..],
            &key[..63],
            &[0xff; 63],
            "é".repeat(32).as_bytes(),
            &[b'x'; 64],
            &[0; 64],
        ] {
            assert!(!matches!(guess_final(head), ProtocolGuess::Foreign(_)), "{}", head.escape_ascii());
        }
    }
}
