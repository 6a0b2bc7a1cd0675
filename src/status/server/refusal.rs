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
    /// 403: a form that another site has sent, or that does not say which one.
    ForeignForm,
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
                "A token is needed. Send it as the header Authorization: Bearer ... or X-Sluice-Token: ...",
            ),
            GateRefusal::WrongToken => (401, "Wrong token. The configuration has it as http.token."),
            GateRefusal::WritesDisabled => (
                403,
                "Changes are off, because no token is configured. To allow them, set http.token in the configuration. Without it the two forms of a miner work on the machine that runs Sluice, if http.hosts and http.public_url are not set.",
            ),
            GateRefusal::WriteNeedsHeader => (
                401,
                "To change something, send the token as the header Authorization: Bearer ... or X-Sluice-Token: ...",
            ),
            GateRefusal::ForeignForm => (
                403,
                "This form did not come from a page of Sluice. Open the page again, and send the form from there.",
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
        self.with_headers(HttpAnswer::text(status, format!("{text}\n")))
    }

    /// Adds the headers that belong to the status.
    pub(super) fn with_headers(self, answer: HttpAnswer) -> HttpAnswer {
        match self {
            GateRefusal::Method => answer.with_header("Allow", "GET, HEAD, POST"),
            GateRefusal::TooManyAttempts => answer.with_header("Retry-After", "60"),
            GateRefusal::Full | GateRefusal::Unavailable => answer.with_header("Retry-After", "1"),
            _ if self.status().0 == 401 => answer.with_header("WWW-Authenticate", "Bearer realm=\"sluice\""),
            _ => answer,
        }
    }

    /// Whether a page with a field for the token helps.
    pub(super) fn asks_for_token(self) -> bool {
        matches!(self, GateRefusal::NoToken | GateRefusal::WrongToken | GateRefusal::TooManyAttempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_or_wrong_token_is_a_page() {
        assert!(GateRefusal::NoToken.asks_for_token() && !GateRefusal::WriteNeedsHeader.asks_for_token());
        let missing = GateRefusal::NoToken.status().1;
        assert!(missing.contains("Authorization: Bearer") && !missing.contains("?token="), "{missing}");
        assert!(GateRefusal::UnknownHost.status().1.contains("http.hosts"));
        assert!(GateRefusal::WritesDisabled.status().1.contains("http.token"));
    }
}
