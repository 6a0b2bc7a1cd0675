//! The answer to a visitor, of a handler or of the gate: the default headers and the bytes.

use jiff::Timestamp;

/// The headers of every answer, unless the answer sets its own. No other site may frame, read or run a
/// page, and nothing is cached.
const DEFAULT_HEADERS: [(&str, &str); 6] = [
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
];

/// Headers that belong to one hop or are written here. Those that would open the page to other sites
/// are stripped as well, by their prefix.
const STRIPPED_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-sluice-key",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// 200 to 599.
    pub status: u16,
    /// All headers, the Content-Type first. A header that the gate sets by default, such as
    /// `Content-Security-Policy` or `Cache-Control`, replaces the default.
    pub headers: Vec<(String, String)>,
    /// At most 8 MiB.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    pub fn html(page: impl Into<String>) -> HttpAnswer {
        HttpAnswer::new(200, "text/html; charset=utf-8", page.into())
    }

    pub fn json(text: String) -> HttpAnswer {
        HttpAnswer::new(200, "application/json", text)
    }

    pub fn text(status: u16, text: impl Into<String>) -> HttpAnswer {
        HttpAnswer::new(status, "text/plain; charset=utf-8", text.into())
    }

    pub fn not_found() -> HttpAnswer {
        HttpAnswer::text(404, "There is nothing here.\n")
    }

    /// Any other answer.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> HttpAnswer {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        HttpAnswer { status, headers, body: body.into() }
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> HttpAnswer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The first value of the header with this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Encodes everything before the body.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let mut add = |name: &str, value: &str| text.push_str(&format!("{name}: {value}\r\n"));
        add("Date", &Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        for (name, value) in self.headers.iter().filter(|(name, value)| is_sendable(name, value)) {
            add(name, value);
        }
        for (name, value) in DEFAULT_HEADERS {
            if self.header(name).is_none() {
                add(name, value);
            }
        }
        add("Content-Length", &self.body.len().to_string());
        add("Connection", "close");
        (text + "\r\n").into_bytes()
    }
}

fn is_sendable(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !STRIPPED_HEADERS.contains(&name.as_str())
        && !name.starts_with("access-control-")
        && is_single_header(&name, value)
}

/// Tells whether name and value can only be read as one header.
pub(super) fn is_single_header(name: &str, value: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.is_empty() && name.bytes().all(is_name) && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        // The reason phrase may be empty.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: HttpAnswer) -> String {
        String::from_utf8(answer.head()).unwrap()
    }

    #[test]
    fn every_answer_has_each_default_header_once() {
        let answer = HttpAnswer::html("x").with_header("content-security-policy", "default-src 'self'");
        let text = text(answer).to_ascii_lowercase();
        for (name, _) in DEFAULT_HEADERS {
            assert_eq!(text.matches(&format!("\r\n{}: ", name.to_ascii_lowercase())).count(), 1, "{text}");
        }
        assert!(text.contains("content-security-policy: default-src 'self'\r\n"), "{text}");
        assert!(text.ends_with("\r\ncontent-length: 1\r\nconnection: close\r\n\r\n"), "{text}");
        assert!(text.contains("\r\ndate: ") && text.contains(" gmt\r\n"), "{text}");
    }

    #[test]
    fn headers_of_the_inner_server_are_stripped() {
        let answer = HttpAnswer::text(200, "")
            .with_header("Server", "tiny-http")
            .with_header("Transfer-Encoding", "chunked")
            .with_header("Access-Control-Allow-Origin", "*")
            .with_header("X-Split", "a\r\nSet-Cookie: b")
            .with_header("X-Kept", "yes");
        let text = text(answer);
        for name in ["Server", "Transfer-Encoding", "Access-Control", "Set-Cookie"] {
            assert!(!text.contains(name), "{text}");
        }
        assert!(text.contains("X-Kept: yes\r\n"));
    }
}
