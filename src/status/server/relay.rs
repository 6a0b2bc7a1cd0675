//! The relay over the private socket: it rewrites a request to the necessary lines and reads the answer
//! into memory.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use httparse::{EMPTY_HEADER, Status};

use super::Method;
use super::answer::HttpAnswer;
use super::head::RequestHead;
use super::timed;

/// Caps an answer's body, in bytes.
pub(super) const MAX_ANSWER: usize = 8 << 20;

/// Caps an answer's head, in bytes, and its headers.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 64;

/// The headers that the gate adds for the workers.
pub(super) const HOST_HEADER: &str = "X-Sluice-Host";
pub(super) const KEY_HEADER: &str = "X-Sluice-Key";
pub(super) const CHANGE_HEADER: &str = "X-Sluice-May-Change";

/// The reason why there is no answer.
#[derive(Debug)]
pub(super) enum ExchangeError {
    TimedOut,
    /// The size of the body in bytes.
    TooLarge(usize),
    /// No answer memory left.
    NoMemory,
    Failed(io::Error),
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> ExchangeError {
        if error.kind() == ErrorKind::TimedOut {
            ExchangeError::TimedOut
        } else {
            ExchangeError::Failed(error)
        }
    }
}

/// Encodes the request for the private socket. It is HTTP/1.0, so that the answer is never chunked.
pub(super) fn encode(head: &RequestHead, body: &[u8], may_change: bool, key: &str) -> Vec<u8> {
    let (method, target) = (if head.method == Method::Post { "POST" } else { "GET" }, head.target.encode());
    let mut text = format!("{method} {target} HTTP/1.0\r\nHost: sluice\r\nConnection: close\r\n");
    text.push_str(&format!("{KEY_HEADER}: {key}\r\n"));
    if may_change {
        text.push_str(&format!("{CHANGE_HEADER}: yes\r\n"));
    }
    if let Some(host) = head.target.authority.as_ref().or(head.host.as_ref()) {
        text.push_str(&format!("{HOST_HEADER}: {host}\r\n"));
    }
    if head.method == Method::Get {
        return (text + "\r\n").into_bytes();
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [text.as_bytes(), body].concat()
}

/// Sends `request` and reads the whole answer until `deadline`. `reserve` reserves memory for it.
pub(super) fn exchange<S: AsFd>(
    socket: &S,
    request: &[u8],
    deadline: Instant,
    reserve: &dyn Fn(usize) -> bool,
) -> Result<HttpAnswer, ExchangeError>
where
    for<'a> &'a S: Read + Write,
{
    timed::write_all(socket, request, deadline)?;
    let mut buffer = [0; 8192];
    let mut read_more = |bytes: &mut Vec<u8>| match timed::read(socket, &mut buffer, deadline)? {
        0 => Err(ExchangeError::Failed(ErrorKind::UnexpectedEof.into())),
        count => {
            bytes.extend_from_slice(&buffer[..count]);
            Ok(())
        }
    };
    let mut bytes = Vec::new();
    let (mut answer, head_length, body_length) = loop {
        read_more(&mut bytes)?;
        if let Some(head) = parse_head(&bytes)? {
            break head;
        }
        if bytes.len() > MAX_HEAD {
            return Err(malformed());
        }
    };
    if body_length > MAX_ANSWER {
        return Err(ExchangeError::TooLarge(body_length));
    }
    if !reserve(body_length) {
        return Err(ExchangeError::NoMemory);
    }
    answer.body.reserve_exact(body_length);
    answer.body.extend_from_slice(&bytes[head_length..]);
    while answer.body.len() < body_length {
        read_more(&mut answer.body)?;
    }
    answer.body.truncate(body_length);
    Ok(answer)
}

/// Parses the head: the answer, the length of the head and that of the body. `None` if it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(HttpAnswer, usize, usize)>, ExchangeError> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(_) => return Err(malformed()),
    };
    let mut answer =
        HttpAnswer { status: response.code.unwrap_or(500), headers: Vec::new(), body: Vec::new() };
    let mut body_length = None;
    for header in response.headers.iter() {
        let value = String::from_utf8_lossy(header.value).into_owned();
        if header.name.eq_ignore_ascii_case("Content-Length") {
            body_length = value.parse().ok();
        }
        answer.headers.push((header.name.to_owned(), value));
    }
    // Every answer of a worker has a type. A dying server answers without one.
    if answer.header("Content-Type").is_none() {
        return Err(ExchangeError::Failed(io::Error::other("it gave up a request")));
    }
    // Without a length a truncated answer would go unnoticed.
    let body_length = body_length.ok_or_else(malformed)?;
    Ok(Some((answer, length, body_length)))
}

fn malformed() -> ExchangeError {
    ExchangeError::Failed(io::Error::new(ErrorKind::InvalidData, "an answer that is not HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "k";

    /// Splits a request into its lines and its body.
    fn taken_apart(bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        (head.split("\r\n").map(str::to_owned).collect(), bytes[end + 4..].to_vec())
    }

    /// Checks that the inner server gets these lines and no others, whatever a visitor sends.
    fn is_minimal(head: &RequestHead, body: &[u8]) {
        let (lines, passed_on) = taken_apart(&encode(head, body, false, KEY));
        let is_post = head.method == Method::Post;
        let mut names = vec!["Host", "Connection", KEY_HEADER];
        names.extend((head.host.is_some() || head.target.authority.is_some()).then_some(HOST_HEADER));
        names.extend(is_post.then_some("Content-Length"));
        let found: Vec<&str> = lines[1..].iter().map(|line| line.split_once(": ").unwrap().0).collect();
        assert_eq!(found, names);
        assert_eq!(lines[0].split(' ').count(), 3, "{lines:?}");
        assert!(lines.iter().all(|line| line.bytes().all(|byte| byte >= b' ')), "{lines:?}");
        assert_eq!(passed_on, if is_post { body } else { b"" });
    }

    #[test]
    fn the_rewritten_request_is_minimal() {
        let text = "POST /a?b=%26c HTTP/1.1\r\nHost: Pi\r\nX: y\r\nCookie: a=b\r\nContent-Length: 3\r\n\r\n";
        let (head, _) = RequestHead::parse(text.as_bytes()).unwrap().unwrap();
        is_minimal(&head, b"a\r\n");
        let text = "GET http://pi:80/x HTTP/1.1\r\nHost: Pi\r\nConnection: keep-alive\r\n\r\n";
        let (head, _) = RequestHead::parse(text.as_bytes()).unwrap().unwrap();
        is_minimal(&head, b"ignored");
    }

    proptest! {
        #[test]
        fn whatever_is_let_through_is_rewritten_to_the_same_lines(
            method in "(GET|POST|HEAD)",
            target in "(/|http://h/|)[!-~]{0,30}",
            host in "[ -~]{0,12}",
            lines in prop::collection::vec("(Content-Length|Transfer-Encoding|Host|X-Sluice-Key|[A-Za-z-]{1,8})[: \t]{1,3}[ -~\t]{0,12}(\r\n|\n|\r)", 0..5),
        ) {
            let text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{}\r\n", lines.concat());
            if let Ok(Some((head, _))) = RequestHead::parse(text.as_bytes()) {
                is_minimal(&head, b"body\r\n\r\n");
            }
        }
    }
}
