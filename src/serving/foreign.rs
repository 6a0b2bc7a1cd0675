//! Who connects to a Stratum port by mistake: browsers, TLS clients, senders of a PROXY header
//! (wire reference, section 5.1). Stratum begins with `{`, so a few bytes tell.

use std::fmt;

const PROXY_V1: &[u8] = b"PROXY ";
/// The PROXY protocol's binary signature, version 2.
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const HTTP_METHODS: [&[u8]; 9] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ", b"PATCH "];
/// A TLS record of type handshake, and the major version of every TLS there is.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 3];

/// A protocol that does not belong on this port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    Tls,
    Http,
    ProxyHeader,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Foreign::Tls => {
                "it speaks TLS to a plain port: set the miner to stratum+tcp, or give Sluice a listen.tls"
            }
            Foreign::Http => "it sent an HTTP request to a Stratum port",
            Foreign::ProxyHeader => {
                "it sent a PROXY header, which listen.proxy_protocol does not allow from this address"
            }
        })
    }
}

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing known to be foreign: forward.
    Stratum,
    Foreign(Foreign),
    /// Could still become something foreign; more bytes will tell.
    Undecided,
}

/// Judges the first bytes.
pub fn judge(head: &[u8]) -> Beginning {
    let mut undecided = head.is_empty();
    let known =
        [(PROXY_V1, Foreign::ProxyHeader), (PROXY_V2, Foreign::ProxyHeader), (&TLS_HANDSHAKE, Foreign::Tls)]
            .into_iter()
            .chain(HTTP_METHODS.map(|method| (method, Foreign::Http)));
    for (mark, foreign) in known {
        if head.starts_with(mark) {
            return Beginning::Foreign(foreign);
        }
        undecided |= mark.starts_with(head);
    }
    if undecided { Beginning::Undecided } else { Beginning::Stratum }
}

/// Judges first bytes that no more have followed for a while.
pub fn judge_at_last(head: &[u8]) -> Beginning {
    match judge(head) {
        // A lone first byte of TLS: nothing of Stratum begins like this.
        Beginning::Undecided if head == &TLS_HANDSHAKE[..1] => Beginning::Foreign(Foreign::Tls),
        Beginning::Undecided => Beginning::Stratum,
        decided => decided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stratum_is_known_by_its_first_byte() {
        for head in [&b"{"[..], b"{\"id\":1}\n", b" {", b"\n", b"\xef\xbb\xbf{", b"\0", b"hello", b"get "] {
            assert_eq!(judge(head), Beginning::Stratum, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn strangers_are_known() {
        for (head, foreign) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], Foreign::Tls),
            (b"GET / HTTP/1.1\r\n", Foreign::Http),
            (b"OPTIONS * ", Foreign::Http),
            (b"PROXY TCP4 1.2.3.4 ", Foreign::ProxyHeader),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", Foreign::ProxyHeader),
        ] {
            assert_eq!(judge(head), Beginning::Foreign(foreign));
            for length in 0..head.len() {
                assert_ne!(judge(&head[..length]), Beginning::Stratum, "{}", head[..length].escape_ascii());
            }
        }
    }

    #[test]
    fn what_stays_undecided_is_forwarded() {
        assert_eq!(judge(b"P"), Beginning::Undecided);
        assert_eq!(judge_at_last(b"P"), Beginning::Stratum);
        assert_eq!(judge_at_last(b"\r\n"), Beginning::Stratum);
        assert_eq!(judge_at_last(b"\x16"), Beginning::Foreign(Foreign::Tls));
        assert_eq!(judge(b"\x16\x04"), Beginning::Stratum);
    }
}
