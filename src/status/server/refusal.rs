//! Every answer of the gate's own.

use super::answer::Answer;

/// Why the gate answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400, and what is wrong.
    Malformed(&'static str),
    /// 401, without a token.
    NoToken,
    /// 401, with a wrong one.
    WrongToken,
    /// 403: nothing can be changed, because no token is configured.
    WritesAreOff,
    /// 401: a write whose token came in a cookie or a query.
    WriteNeedsHeader,
    /// 405.
    Method,
    /// 408.
    Slow,
    /// 411.
    NoLength,
    /// 413.
    BodyTooLarge,
    /// 414.
    TargetTooLong,
    /// 417.
    Expectation,
    /// 421.
    ForeignHost,
    /// 429.
    TooManyTries,
    /// 431.
    HeadTooLarge,
    /// 500: the handler's answer is larger than the gate holds.
    AnswerTooLarge,
    /// 501.
    TransferEncoding,
    /// 503: as many visitors as there may be.
    Full,
    /// 503: what answers is not there.
    Unavailable,
    /// 504: the handler takes too long.
    NoAnswer,
    /// 505.
    Version,
}

impl Refusal {
    /// The status and a sentence for a person.
    pub(super) fn status(self) -> (u16, &'static str) {
        match self {
            Refusal::Malformed(what) => (400, what),
            Refusal::NoToken => (
                401,
                "A token is needed. Put ?token=... behind the address once, or send it as the header Authorization: Bearer ... or X-Sluice-Token: ...",
            ),
            Refusal::WrongToken => (401, "This is not the token that the configuration has as http.token."),
            Refusal::WritesAreOff => (
                403,
                "Nothing can be changed from here without a token: set http.token in the configuration.",
            ),
            Refusal::WriteNeedsHeader => (
                401,
                "To change something, send the token as the header Authorization: Bearer ... or X-Sluice-Token: ...",
            ),
            Refusal::Method => (405, "Only GET, HEAD and POST are understood."),
            Refusal::Slow => (408, "The request took too long to arrive."),
            Refusal::NoLength => (411, "A POST needs a Content-Length, which may be 0."),
            Refusal::BodyTooLarge => (413, "A body may have 4096 bytes."),
            Refusal::TargetTooLong => (414, "The address is too long."),
            Refusal::Expectation => (417, "Only 100-continue can be expected."),
            Refusal::ForeignHost => (
                421,
                "This name is not one that the page answers to, to protect it from other web pages. Use the machine's address, or put the name into http.hosts in the configuration.",
            ),
            Refusal::TooManyTries => {
                (429, "Too many wrong tokens came from this address. Try again in a minute.")
            }
            Refusal::HeadTooLarge => (431, "The headers are too large; 8 KiB and 64 headers are allowed."),
            Refusal::AnswerTooLarge => (500, "The answer is too large."),
            Refusal::TransferEncoding => (501, "Transfer-Encoding is not understood; send a Content-Length."),
            Refusal::Full => (503, "Too many visitors at the same time. Try again in a second."),
            Refusal::Unavailable => (503, "The page can't answer now. Try again in a second."),
            Refusal::NoAnswer => (504, "The page took too long to answer."),
            Refusal::Version => (505, "Only HTTP/1.0 and HTTP/1.1 are understood."),
        }
    }

    /// As plain text.
    pub(super) fn answer(self) -> Answer {
        let (status, text) = self.status();
        let answer = Answer::text(status, format!("{text}\n"));
        match self {
            Refusal::Method => answer.with_header("Allow", "GET, HEAD, POST"),
            Refusal::TooManyTries => answer.with_header("Retry-After", "60"),
            Refusal::Full | Refusal::Unavailable => answer.with_header("Retry-After", "1"),
            _ if status == 401 => answer.with_header("WWW-Authenticate", "Bearer realm=\"sluice\""),
            _ => answer,
        }
    }

    /// As a page with a field for the token, where one helps.
    pub(super) fn page(self) -> Answer {
        if !matches!(self, Refusal::NoToken | Refusal::WrongToken) {
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
        Answer { status, ..Answer::html(page) }
            .with_header("WWW-Authenticate", "Bearer realm=\"sluice\"")
            .with_header("Content-Security-Policy", policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_or_wrong_token_is_a_page() {
        assert_eq!(Refusal::NoToken.page().content_type, "text/html; charset=utf-8");
        assert_eq!(Refusal::WriteNeedsHeader.page().content_type, "text/plain; charset=utf-8");
        assert!(Refusal::ForeignHost.status().1.contains("http.hosts"));
        assert!(Refusal::WritesAreOff.status().1.contains("http.token"));
    }
}
