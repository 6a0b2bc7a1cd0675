//! Sends a request and classifies the answer.

use std::time::Duration;

use serde_json::Value;
use ureq::{Agent, Error};

use super::pace::{Retry, SendFailure};
use crate::config::Secret;
use crate::net::https;
use crate::util::escape::line_text;

/// Caps the bytes read of an answer. Only error answers are read.
const MAX_ANSWER: u64 = 4096;

/// Caps the characters of a service's explanation.
const MAX_EXPLANATION: usize = 200;

/// A POST request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpPost {
    pub url: Secret,
    pub headers: Vec<(&'static str, String)>,
    /// `Authorization: Bearer …`
    pub token: Option<Secret>,
    pub content_type: &'static str,
    pub body: String,
    /// The field of an error answer's JSON that has the reason; `None` for untrusted servers.
    pub explanation: Option<&'static str>,
    /// Texts that must not appear in an explanation.
    pub secrets: Vec<Secret>,
}

impl HttpPost {
    /// A request with a JSON document and nothing else.
    pub fn json(url: Secret, body: String) -> HttpPost {
        HttpPost {
            url,
            headers: Vec::new(),
            token: None,
            content_type: "application/json",
            body,
            explanation: None,
            secrets: Vec::new(),
        }
    }
}

/// Sends the request. 2xx is success. 408, 429, 5xx and connection errors are temporary failures; every
/// other status, redirects included, is permanent.
///
/// # Errors
/// With a reason that contains neither URL nor token.
pub(super) fn post(agent: &Agent, request: &HttpPost) -> Result<(), SendFailure> {
    let mut post = agent.post(request.url.expose()).header("Content-Type", request.content_type);
    for (name, value) in &request.headers {
        post = post.header(*name, value);
    }
    if let Some(token) = &request.token {
        post = post.header("Authorization", format!("Bearer {}", token.expose()));
    }
    let mut response = post.send(request.body.as_bytes()).map_err(|error| send_failure(&error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let asked_pause = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let body = response.body_mut().with_config().limit(MAX_ANSWER).lossy_utf8(true).read_to_string();
    let answer = body.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok()).unwrap_or_default();
    let text = request.explanation.and_then(|field| answer.get(field)).and_then(Value::as_str);
    let mut reason = format!("it answered {}", status.as_u16());
    if status.is_redirection() {
        reason.push_str(", a redirect, which is not followed");
    }
    if let Some(text) = text {
        reason.push_str(&format!(": {}", line_text(&redact(text, request), MAX_EXPLANATION)));
    }
    let again = match status.as_u16() {
        408 | 429 | 500..=599 => Retry::Later(asked_pause.or_else(|| asked_in_body(&answer))),
        _ => Retry::Never,
    };
    Err(SendFailure { reason, again })
}

/// The pause that Telegram and Discord ask for in the body.
fn asked_in_body(answer: &Value) -> Option<Duration> {
    let asked = answer.get("retry_after").or_else(|| answer.get("parameters")?.get("retry_after"))?;
    Duration::try_from_secs_f64(asked.as_f64()?).ok()
}

/// Classifies an error of the client: only an unusable URL or token is permanent.
fn send_failure(error: &Error) -> SendFailure {
    let reason = https::describe_error(error);
    match error {
        Error::Http(_) | Error::BadUri(_) => SendFailure::never(reason),
        _ => SendFailure::later(reason),
    }
}

/// Removes our secrets from a service's explanation, which may repeat the request.
fn redact(text: &str, request: &HttpPost) -> String {
    let url = request.url.expose();
    let after_host = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let tokens = request.secrets.iter().chain(&request.token).map(Secret::expose);
    let secrets = [Some(url), after_host].into_iter().flatten().chain(tokens);
    secrets
        .filter(|secret| secret.len() > 1)
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_contain_no_secret() {
        let request = HttpPost {
            token: Some(Secret::new("tk_1")),
            secrets: vec![Secret::new("42:abc")],
            ..HttpPost::json(Secret::new("https://h/hook/s3cret?x=1"), String::new())
        };
        let text = "no /hook/s3cret?x=1 for tk_1, see https://h/hook/s3cret?x=1, 42:abc";
        assert_eq!(redact(text, &request), "no *** for ***, see ***, ***");
        assert!(!format!("{request:?}").contains("s3cret"));
    }
}
