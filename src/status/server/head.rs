//! The head of a request: read with a deadline and a size limit, and parsed strictly.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::time::Instant;

use httparse::{EMPTY_HEADER, Error, Status};

use super::access::VisitorCredentials;
use super::form_origin::{PROXY_HEADERS, RequestSender};
use super::refusal::GateRefusal;
use super::target::RequestTarget;
use super::{Method, timed, token};
use crate::config::Secret;

/// Caps the head, in bytes.
pub(super) const MAX_HEAD: usize = 8192;

/// Caps the body, in bytes.
pub(super) const MAX_BODY: usize = 4096;

/// Caps the headers of a request.
const MAX_HEADERS: usize = 64;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub(super) method: Method,
    /// The method is HEAD: the reply is that of GET without its body.
    pub(super) head_only: bool,
    /// Without the token.
    pub(super) target: RequestTarget,
    /// The Host header as it was sent. `None` with HTTP/1.0 only.
    pub(super) host: Option<String>,
    /// The body's length in bytes.
    pub(super) length: usize,
    /// The client sends the body only after `100 Continue`.
    pub(super) expects_continue: bool,
    pub(super) credentials: VisitorCredentials,
    /// The client is a browser.
    pub(super) accepts_html: bool,
    /// The page that the request comes from.
    pub(super) sender: RequestSender,
}

/// The reason why there is no request.
#[derive(Debug)]
pub(super) enum HeadError {
    Rejected(GateRefusal),
    /// The visitor left or sent nothing, as browsers do that connect in advance.
    Closed(io::Error),
}

impl From<GateRefusal> for HeadError {
    fn from(refusal: GateRefusal) -> HeadError {
        HeadError::Rejected(refusal)
    }
}

/// Reads a head until `deadline`, and returns it with the part of the body that came with it.
pub(super) fn read(socket: &TcpStream, deadline: Instant) -> Result<(RequestHead, Vec<u8>), HeadError> {
    let mut buffer = vec![0; MAX_HEAD];
    let mut filled = 0;
    loop {
        let was_empty = filled == 0;
        let count = match timed::read(socket, &mut buffer[filled..], deadline) {
            Ok(0) if was_empty => return Err(HeadError::Closed(ErrorKind::UnexpectedEof.into())),
            Ok(0) => return Err(GateRefusal::Malformed("The request ends in its middle.").into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::TimedOut && !was_empty => {
                return Err(GateRefusal::RequestTimeout.into());
            }
            Err(error) => return Err(HeadError::Closed(error)),
        };
        let has_line = buffer[filled..filled + count].contains(&b'\n');
        filled += count;
        // Parses after each line rather than after each byte, and after the first bytes, so that a peer
        // that speaks another protocol gets its answer at once.
        if has_line || was_empty || filled == MAX_HEAD {
            if let Some((head, length)) = RequestHead::parse(&buffer[..filled])? {
                buffer.truncate(filled);
                buffer.drain(..length);
                return Ok((head, buffer));
            }
        }
        if filled == MAX_HEAD {
            let has_first_line = buffer.contains(&b'\n');
            return Err(HeadError::Rejected(match has_first_line {
                true => GateRefusal::HeadTooLarge,
                false => GateRefusal::TargetTooLong,
            }));
        }
    }
}

impl RequestHead {
    /// Parses the head at the start of `bytes`, with its length. `None` if it is incomplete.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(RequestHead, usize)>, GateRefusal> {
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(None),
            Err(error) => return Err(refusal(error)),
        };
        // A complete head has all three.
        let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version)
        else {
            return Err(GateRefusal::Malformed("The request line is not complete."));
        };
        let (method, head_only) = match method {
            "GET" => (Method::Get, false),
            "HEAD" => (Method::Get, true),
            "POST" => (Method::Post, false),
            _ => return Err(GateRefusal::Method),
        };
        let headers = Headers(request.headers);
        let mut target = RequestTarget::parse(target).map_err(GateRefusal::Malformed)?;
        let host = headers.only_one("Host", "There is more than one Host header.")?.map(String::from);
        if host.is_none() && version > 0 {
            return Err(GateRefusal::Malformed("A Host header is needed."));
        }
        let length_header = content_length(headers.all("Content-Length"))?;
        if headers.all("Transfer-Encoding").next().is_some() {
            // Both headers together are a request smuggling attack.
            return Err(match length_header {
                Some(_) => GateRefusal::Malformed("There are both Content-Length and Transfer-Encoding."),
                None => GateRefusal::TransferEncoding,
            });
        }
        if method == Method::Post && length_header.is_none() {
            return Err(GateRefusal::NoLength);
        }
        let expects_continue = match headers.only_one("Expect", "There is more than one Expect header.")? {
            None => false,
            Some(value) if value.eq_ignore_ascii_case("100-continue") => version > 0,
            Some(_) => return Err(GateRefusal::Expectation),
        };
        let credentials = headers.credentials(target.query.take("token"))?;
        let accepts_html = headers.texts("Accept").any(|value| value.contains("text/html"));
        let head = RequestHead {
            method,
            head_only,
            target,
            host,
            length: length_header.unwrap_or(0),
            expects_continue,
            credentials,
            accepts_html,
            sender: headers.sender(version)?,
        };
        Ok(Some((head, length)))
    }
}

fn refusal(error: Error) -> GateRefusal {
    match error {
        Error::TooManyHeaders => GateRefusal::HeadTooLarge,
        Error::Version => GateRefusal::Version,
        _ => GateRefusal::Malformed("This is not an HTTP request. This port speaks http, not https."),
    }
}

/// The body's length from the Content-Length headers, of which there may be one.
fn content_length<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<usize>, GateRefusal> {
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(GateRefusal::Malformed("There is more than one Content-Length."));
    }
    // `parse` alone would accept "+5".
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(GateRefusal::Malformed("The Content-Length is not a number."));
    }
    // Only digits, so a failure means that the number is too large.
    let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    match length {
        Some(length) if length <= MAX_BODY => Ok(Some(length)),
        _ => Err(GateRefusal::BodyTooLarge),
    }
}

struct Headers<'h>(&'h [httparse::Header<'h>]);

impl<'h> Headers<'h> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// The values of a header that are text.
    fn texts(&self, name: &str) -> impl Iterator<Item = &'h str> {
        self.all(name).filter_map(|value| std::str::from_utf8(value).ok())
    }

    fn only_one(&self, name: &str, problem: &'static str) -> Result<Option<&'h str>, GateRefusal> {
        let mut all = self.all(name);
        let Some(value) = all.next() else { return Ok(None) };
        if all.next().is_some() {
            return Err(GateRefusal::Malformed(problem));
        }
        std::str::from_utf8(value).map(Some).map_err(|_| GateRefusal::Malformed("A header is not text."))
    }

    fn sender(&self, version: u8) -> Result<RequestSender, GateRefusal> {
        let origin = self.only_one("Origin", "There is more than one Origin header.")?;
        let site = self.only_one("Sec-Fetch-Site", "There is more than one Sec-Fetch-Site header.")?;
        // A default nginx sends none of the headers, but HTTP/1.0 or `Connection: close`.
        let is_like_proxy =
            version == 0 || self.texts("Connection").any(|value| value.trim().eq_ignore_ascii_case("close"));
        let is_named = PROXY_HEADERS.iter().any(|name| self.all(name).next().is_some());
        Ok(RequestSender {
            origin: origin.map(String::from),
            is_other_site: site.is_some_and(|site| site != "same-origin"),
            is_forwarded: is_named || is_like_proxy,
        })
    }

    fn credentials(&self, query: Option<String>) -> Result<VisitorCredentials, GateRefusal> {
        let own = self.only_one("X-Sluice-Token", "There is more than one X-Sluice-Token.")?;
        let bearer = self
            .only_one("Authorization", "There is more than one Authorization header.")?
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map(|(_, token)| token.trim());
        let cookie = self
            .texts("Cookie")
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| name.trim() == token::COOKIE)
            .map(|(_, value)| value.trim());
        Ok(VisitorCredentials {
            header: own.or(bearer).map(Secret::new),
            query: query.map(Secret::new),
            cookie: cookie.map(Secret::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Option<(RequestHead, usize)>, GateRefusal> {
        RequestHead::parse(text.replace('\n', "\r\n").as_bytes())
    }

    fn refused(text: &str) -> u16 {
        match parse(text) {
            Err(refusal) => refusal.status().0,
            Ok(Some(_)) => 200,
            Ok(None) => 0,
        }
    }

    #[test]
    fn a_usual_request() {
        let text = "POST /a?b=c&token=t HTTP/1.1\nHost: Pi:8080\nContent-Length: 3\n\nabc";
        let (head, length) = parse(text).unwrap().unwrap();
        assert_eq!(length, text.replace('\n', "\r\n").len() - 3);
        assert_eq!((head.method, head.length, head.expects_continue), (Method::Post, 3, false));
        assert_eq!(head.host.as_deref(), Some("Pi:8080"));
        assert_eq!(head.target.encode(), "/a?b=c");
        assert_eq!(head.credentials.query.unwrap().expose(), "t");
    }

    #[test]
    fn malformed_requests_are_rejected() {
        let with = |line: &str| format!("GET / HTTP/1.1\nHost: a\n{line}\n\n");
        for (text, status) in [
            ("GET / HTTP/1.1\nHost: a\n", 0),
            ("GET /\n", 400),
            ("GET / HTTP/1.1\n\n", 400),
            ("GET / HTTP/1.0\n\n", 200),
            ("GET / HTTP/1.1\nHost: a\nHost: a\n\n", 400),
            ("GET / HTTP/1.2\nHost: a\n\n", 505),
            ("PRI * HTTP/2.0\n\nSM\n\n", 505),
            ("OPTIONS * HTTP/1.1\nHost: a\n\n", 405),
            ("get / HTTP/1.1\nHost: a\n\n", 405),
            ("CONNECT a:1 HTTP/1.1\nHost: a\n\n", 405),
            ("GET * HTTP/1.1\nHost: a\n\n", 400),
            ("GET  / HTTP/1.1\nHost: a\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\n\n", 411),
            ("\u{16}\u{3}\u{1}", 400),
        ] {
            assert_eq!(refused(text), status, "{text:?}");
        }
        for (line, status) in [
            ("X: y", 200),
            ("X: \0", 400),
            ("X : y", 400),
            ("X", 400),
            (" X: folded", 400),
            ("Content-Length: 99999999999", 413),
            ("Content-Length: 1\nContent-Length: 1", 400),
            ("Content-Length: 1\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding: chunked", 501),
            ("Transfer-Encoding:", 501),
            ("Expect: 200-ok", 417),
            ("X-Sluice-Token: a\nX-Sluice-Token: b", 400),
        ] {
            assert_eq!(refused(&with(line)), status, "{line:?}");
        }
        assert_eq!(refused(&with(&vec!["A: b"; 63].join("\n"))), 200);
        assert_eq!(refused(&with(&vec!["A: b"; 64].join("\n"))), 431);
    }

    #[test]
    fn the_content_length_is_one_number_up_to_the_limit() {
        let read = |values: &[&str]| content_length(values.iter().map(|value| value.as_bytes()));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["0"]), Ok(Some(0)));
        assert_eq!(read(&["4096"]), Ok(Some(4096)));
        for large in ["4097", "99999999999", "99999999999999999999999999"] {
            assert_eq!(read(&[large]), Err(GateRefusal::BodyTooLarge));
        }
        for wrong in ["", "+5", "-5", "5, 5", "0x5", "5 5"] {
            assert!(matches!(read(&[wrong]), Err(GateRefusal::Malformed(_))), "{wrong}");
        }
        assert!(matches!(read(&["5", "5"]), Err(GateRefusal::Malformed(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = RequestHead::parse(&bytes);
        }

        #[test]
        fn nearly_a_request_is_no_panic(
            method in "(GET|POST|HEAD|X)", target in "\\PC{0,20}", line in "[ -~\r\n]{0,40}",
        ) {
            let _ = RequestHead::parse(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n").as_bytes());
        }
    }
}
