//! The PROXY protocol header (versions 1 and 2), which a load balancer sends first to pass on the
//! client's address. Pure: the caller parses again whenever more bytes arrive.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The longest header of version 1, its line end included.
pub const MAX_V1: usize = 107;

/// The longest accepted header of version 2: 16 fixed bytes and 536 of addresses and TLVs, which the
/// specification guarantees to fit into one segment. Longer ones carry certificates and the like,
/// which Sluice does not use.
pub const MAX_V2: usize = 16 + 536;

const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The result of parsing the bytes received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header; never for [`MAX_V2`] bytes or more.
    Incomplete,
    /// A whole header, which ends after `length` bytes.
    Header {
        /// The client's address. `None` if the header has none (`UNKNOWN`, `LOCAL`, or no TCP over
        /// IP): the sender itself connects, for example for a health check.
        source: Option<SocketAddr>,
        length: usize,
    },
}

/// The reason why the bytes are no header. Each has the offending bytes, escaped, at most 64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyHeaderError {
    /// Neither version's signature.
    NoHeader { bytes: String },
    /// A version 1 line that is malformed or longer than [`MAX_V1`].
    BadLine { bytes: String },
    /// A version 2 header with an unknown version, command or address family, or with less room
    /// than its addresses need.
    BadBinary { bytes: String },
    /// A version 2 header longer than [`MAX_V2`].
    TooLong { length: usize },
}

/// Reads the header at the beginning of `buf`.
///
/// # Errors
/// The reason, as soon as the bytes can't become a header.
pub fn parse(buf: &[u8]) -> Result<Parsed, ProxyHeaderError> {
    if starts_like(buf, &V2_SIGNATURE) {
        parse_v2(buf)
    } else if starts_like(buf, b"PROXY ") {
        parse_v1(buf)
    } else {
        Err(ProxyHeaderError::NoHeader { bytes: escaped(buf) })
    }
}

fn parse_v1(buf: &[u8]) -> Result<Parsed, ProxyHeaderError> {
    let head = &buf[..buf.len().min(MAX_V1)];
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        let is_hopeless = buf.len() >= MAX_V1 || head.contains(&b'\n');
        return if is_hopeless { Err(bad_line(head)) } else { Ok(Parsed::Incomplete) };
    };
    let line = &buf[..end];
    let text = std::str::from_utf8(line).map_err(|_| bad_line(line))?;
    let fields: Vec<&str> = text.split(' ').collect();
    let source = match fields[..] {
        // Text after UNKNOWN must be ignored.
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, port, destination_port] => {
            let end = |ip: &str, port: &str| {
                let ip: IpAddr = ip.parse().ok()?;
                (ip.is_ipv4() == (family == "TCP4")).then_some((ip, port_v1(port)?))
            };
            end(destination, destination_port).ok_or_else(|| bad_line(line))?;
            Some(end(source, port).ok_or_else(|| bad_line(line))?)
        }
        _ => return Err(bad_line(line)),
    };
    Ok(Parsed::Header { source: source.map(SocketAddr::from), length: end + 2 })
}

fn parse_v2(buf: &[u8]) -> Result<Parsed, ProxyHeaderError> {
    let bad = || ProxyHeaderError::BadBinary { bytes: escaped(buf) };
    // Fields are checked as soon as they have arrived.
    let version_command = buf.get(12).copied();
    if version_command.is_some_and(|byte| byte != 0x20 && byte != 0x21) {
        return Err(bad());
    }
    let family = buf.get(13).copied();
    if family.is_some_and(|byte| byte >> 4 > 3 || byte & 0x0f > 2) {
        return Err(bad());
    }
    let (Some(version_command), Some(family), Some(&[high, low])) =
        (version_command, family, buf.get(14..16))
    else {
        return Ok(Parsed::Incomplete);
    };
    let payload = usize::from(u16::from_be_bytes([high, low]));
    let length = 16 + payload;
    if length > MAX_V2 {
        return Err(ProxyHeaderError::TooLong { length });
    }
    let ip_length = match (version_command, family) {
        (0x21, 0x11) => 4,
        (0x21, 0x21) => 16,
        _ => 0,
    };
    // Two addresses and two ports.
    if ip_length > 0 && payload < 2 * ip_length + 4 {
        return Err(bad());
    }
    let Some(body) = buf.get(16..length) else {
        return Ok(Parsed::Incomplete);
    };
    // TLVs behind the addresses are skipped with the rest of the body.
    let port = body.get(2 * ip_length..).and_then(|ports| ports.first_chunk::<2>());
    let ip = match ip_length {
        4 => body.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes)),
        16 => body.first_chunk::<16>().map(|bytes| IpAddr::from(*bytes)),
        _ => None,
    };
    let source = ip.zip(port).map(|(ip, port)| SocketAddr::new(ip, u16::from_be_bytes(*port)));
    Ok(Parsed::Header { source, length })
}

/// True if `buf` begins with `signature`, or is itself the beginning of it.
fn starts_like(buf: &[u8], signature: &[u8]) -> bool {
    let common = buf.len().min(signature.len());
    buf[..common] == signature[..common]
}

fn port_v1(text: &str) -> Option<u16> {
    // `parse` alone would accept "+1".
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn bad_line(line: &[u8]) -> ProxyHeaderError {
    ProxyHeaderError::BadLine { bytes: escaped(line) }
}

fn escaped(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(64)].escape_ascii().to_string()
}

impl fmt::Display for ProxyHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyHeaderError::NoHeader { bytes } => {
                write!(f, "expected a PROXY protocol header (listen.proxy_protocol), got \"{bytes}\"")
            }
            ProxyHeaderError::BadLine { bytes } => write!(f, "malformed PROXY line \"{bytes}\""),
            ProxyHeaderError::BadBinary { bytes } => write!(f, "malformed PROXY v2 header \"{bytes}\""),
            ProxyHeaderError::TooLong { length } => {
                write!(f, "PROXY v2 header of {length} bytes; at most {MAX_V2} are accepted")
            }
        }
    }
}

impl std::error::Error for ProxyHeaderError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(source: Option<&str>, length: usize) -> Result<Parsed, ProxyHeaderError> {
        Ok(Parsed::Header { source: source.map(|text| text.parse().unwrap()), length })
    }

    fn v2(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend([version_command, family]);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    const TCP4: &[u8] = &[192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 0x0d, 0x06];

    #[test]
    fn version_1() {
        let line = b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 3334\r\n{\"id\":1}";
        assert_eq!(parse(line), header(Some("192.0.2.1:56324"), 42));
        let line = b"PROXY TCP6 2001:db8::1 ::1 1 3334\r\n";
        assert_eq!(parse(line), header(Some("[2001:db8::1]:1"), line.len()));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), header(None, 15));
        assert_eq!(parse(b"PROXY UNKNOWN ff:ff 1 2 3\r\n"), header(None, 27));
    }

    #[test]
    fn version_1_wrong() {
        for wrong in [
            &b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n"[..],
            b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 3334\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 +1 3334\r\n",
            b"PROXY TCP4  192.0.2.1 10.0.0.1 1 3334\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
            b"PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n",
            b"PROXY \xff\r\n",
            b"PROXY TCP4\n",
        ] {
            assert!(
                matches!(parse(wrong), Err(ProxyHeaderError::BadLine { .. })),
                "{}",
                wrong.escape_ascii()
            );
        }
        let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; MAX_V1]].concat();
        assert!(matches!(parse(&endless), Err(ProxyHeaderError::BadLine { .. })));
        assert_eq!(parse(&endless[..MAX_V1 - 1]), Ok(Parsed::Incomplete));
    }

    #[test]
    fn no_header_at_all_is_said_at_the_first_byte_and_escaped() {
        let message = parse(b"{\"id\":1,\x1b[31m").unwrap_err().to_string();
        assert!(message.contains("\\x1b[31m") && !message.contains('\x1b'), "{message}");
        assert!(matches!(parse(b"\r\n\r\n\0\r\nQUIX"), Err(ProxyHeaderError::NoHeader { .. })));
    }

    #[test]
    fn version_2() {
        let bytes = v2(0x21, 0x11, TCP4);
        assert_eq!(parse(&bytes), header(Some("192.0.2.1:56324"), 28));
        let with_tlv = v2(0x21, 0x11, &[TCP4, &[0x04, 0, 2, 0, 0]].concat());
        assert_eq!(parse(&with_tlv), header(Some("192.0.2.1:56324"), 33));
        let mut six = [0u8; 36];
        (six[0], six[1], six[15], six[33]) = (0x20, 0x01, 9, 7);
        assert_eq!(parse(&v2(0x21, 0x21, &six)), header(Some("[2001::9]:7"), 52));
        assert_eq!(parse(&v2(0x20, 0x00, &[])), header(None, 16));
        assert_eq!(parse(&v2(0x20, 0x11, TCP4)), header(None, 28));
        // UDP and Unix sockets carry no TCP address.
        assert_eq!(parse(&v2(0x21, 0x12, TCP4)), header(None, 28));
    }

    #[test]
    fn version_2_wrong() {
        for (command, family, body) in
            [(0x11, 0x11, TCP4), (0x22, 0x11, TCP4), (0x21, 0x41, TCP4), (0x21, 0x11, &TCP4[..11])]
        {
            assert!(matches!(parse(&v2(command, family, body)), Err(ProxyHeaderError::BadBinary { .. })));
        }
        assert_eq!(parse(&v2(0x21, 0x11, &[0; 536])), header(Some("0.0.0.0:0"), MAX_V2));
        assert_eq!(
            parse(&v2(0x21, 0x11, &[0; 537])[..16]),
            Err(ProxyHeaderError::TooLong { length: MAX_V2 + 1 })
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_no_panic_and_never_incomplete_for_ever(
            start in 0usize..4,
            bytes in proptest::collection::vec(any::<u8>(), 0..700),
        ) {
            let starts: [&[u8]; 4] = [b"", b"PROXY TCP4 ", &V2_SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11"];
            let bytes = [starts[start], &bytes].concat();
            let parsed = parse(&bytes);
            prop_assert!(bytes.len() < MAX_V2 || parsed != Ok(Parsed::Incomplete));
            if let Ok(Parsed::Header { length, .. }) = parsed {
                prop_assert!(length <= bytes.len());
            }
        }

        #[test]
        fn every_beginning_of_a_header_is_incomplete(cut in 0usize..42) {
            prop_assert_eq!(parse(&b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 3334\r\n"[..cut]), Ok(Parsed::Incomplete));
            let bytes = v2(0x21, 0x11, TCP4);
            prop_assert_eq!(parse(&bytes[..cut.min(27)]), Ok(Parsed::Incomplete));
        }
    }
}
