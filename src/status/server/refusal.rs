//! The answers of the gate itself.

use super::answer::HttpAnswer;

/// The reason why the gate rejects a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GateRefusal {
    /// 400, with the problem.
    Malformed(&'static str),
    NoToken,
    WrongToken,
    /// 403: nothing can be changed, because no token is configured.
    WritesDisabled,
    /// 401: a write whose token came in a cookie or a query.
    WriteNeedsHeader,
    Method,
    RequestTimeout,
    NoLength,
    BodyTooLarge,
    TargetTooLong,
    Expectation,
    UnknownHost,
    TooManyAttempts,
    HeadTooLarge,
    /// 500: the handler's answer is larger than the gate relays.
    AnswerTooLarge,
    TransferEncoding,
    /// 503: too many visitors.
    Full,
    /// 503: the inner server does not answer.
    Unavailable,
    /// 504: the handler took too long.
    HandlerTimeout,
    Version,
}

impl GateRefusal {
    /// The status and a sentence for a person.
    pub(super) fn status(self) -> (u16, &'static str) {
        match self {
            GateRefusal::Malformed(what) => (400, what),
            GateRefusal::NoToken => (
                401,
                "A token is needed. Add ?token=... to the address once, or send it as the header Authorization: Bearer ... or X-Sluice-Token: ...",
            ),
            GateRefusal::WrongToken => (401, "Wrong token. The configuration has it as http.token."),
            GateRefusal::WritesDisabled => (
                403,
                "Changes are off, because no token is configured. To allow them, set http.token in the configuration.",
            ),
            GateRefusal::WriteNeedsHeader => (
                401,
                "To change something, send the token as the header Authorization: Bearer ... or X-Sluice-Token: ...",
            ),
            GateRefusal::Method => (405, "Only GET, HEAD and POST are supported."),
            GateRefusal::RequestTimeout => (408, "The request took too long to arrive."),
            GateRefusal::NoLength => (411, "A POST needs a Content-Length, which may be 0."),
            GateRefusal::BodyTooLarge => (413, "The body is larger than 4096 bytes."),
            GateRefusal::TargetTooLong => (414, "The address is too long."),
            GateRefusal::Expectation => (417, "Only Expect: 100-continue is supported."),
            GateRefusal::UnknownHost => (
                421,
                "The page does not answer to this host name, to protect it from other web pages. Use the machine's address, or add the name to http.hosts in the configuration.",
            ),
            GateRefusal::TooManyAttempts => {
                (429, "Too many wrong tokens came from this address. Try again in a minute.")
            }
            GateRefusal::HeadTooLarge => {
                (431, "The headers are too large; 8 KiB and 64 headers are allowed.")
            }
            GateRefusal::AnswerTooLarge => (500, "The answer is too large."),
            GateRefusal::TransferEncoding => {
                (501, "Transfer-Encoding is not supported; send a Content-Length.")
            }
            GateRefusal::Full => (503, "Too many visitors at the same time. Try again in a second."),
            GateRefusal::Unavailable => (503, "The page can't answer now. Try again in a second."),
            GateRefusal::HandlerTimeout => (504, "The page took too long to answer."),
            GateRefusal::Version => (505, "Only HTTP/1.0 and HTTP/1.1 are supported."),
        }
    }

    /// The answer as plain text.
    pub(super) fn answer(self) -> HttpAnswer {
        let (status, text) = self.status();
        let answer = HttpAnswer::text(status, format!("{text}\n"));
        match self {
            GateRefusal::Method => answer.with_header("Allow", "GET, HEAD, POST"),
            GateRefusal::TooManyAttempts => answer.with_header("Retry-After", "60"),
            GateRefusal::Full | GateRefusal::Unavailable => answer.with_header("Retry-After", "1"),
            _ if status == 401 => answer.with_header("WWW-Authenticate", "Bearer realm=\"sluice\""),
            _ => answer,
        }
    }

    /// The answer as a page with a field for the token, if a token would help.
    pub(super) fn page(self) -> HttpAnswer {
        if !matches!(self, GateRefusal::NoToken | GateRefusal::WrongToken) {
            return self.answer();
        }
        let (status, text) = self.status();
        let page = format!(
            "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>Sluice</title><h1>Sluice</h1><p>{text}</p>\
             <form action=\"/\" method=\"get\"><label>Token <input name=\"token\" type=\"password\" \
             autocomplete=\"current-password\" required autofocus></label> <button>Show</button></form>"
        );
        let policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
        HttpAnswer { status, ..HttpAnswer::html(page) }
            .with_header("WWW-Authenticate", "Bearer realm=\"sluice\"")
            .with_header("Content-Security-Policy", policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_or_wrong_token_is_a_page() {
        let is_page = |refusal: GateRefusal| {
            refusal.page().header("Content-Type").is_some_and(|kind| kind.starts_with("text/html"))
        };
        assert!(is_page(GateRefusal::NoToken) && !is_page(GateRefusal::WriteNeedsHeader));
        assert!(GateRefusal::UnknownHost.status().1.contains("http.hosts"));
        assert!(GateRefusal::WritesDisabled.status().1.contains("http.token"));
    }
}
