//! `[[notify]]`: who gets messages, which ones, and when.

use jiff::civil::Time;

use super::mail::{self, MailServer};
use super::reader::Section;
use super::redaction::Redaction;
use super::time_of_day::{self, QuietHours};
use super::{Secret, endpoint};

/// One `[[notify]]`: a recipient and the alerts it gets.
#[derive(Debug, Clone, PartialEq)]
pub struct NotifyConfig {
    pub to: NotifyRecipient,
    /// Default: high.
    pub min_severity: Severity,
    /// True if it also gets blocks, near misses and best shares of any severity; default true.
    pub good_news: bool,
    /// True if it also gets outages of pools and miners, of any severity; default true.
    pub outages: bool,
    /// The local time of the daily summary, if it wants one.
    pub summary: Option<Time>,
    /// The part of the day in which only urgent messages are sent.
    pub quiet: Option<QuietHours>,
}

/// `notify.kind` with its settings. A webhook's URL is its key, so it is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyRecipient {
    Ntfy {
        url: Secret,
        token: Option<Secret>,
    },
    Telegram {
        /// URL of a Bot API server other than Telegram's own.
        url: Option<Secret>,
        token: Secret,
        chat: String,
    },
    Discord {
        url: Secret,
    },
    Email {
        server: MailServer,
        /// The sender's address.
        from: String,
        /// Never empty.
        to: Vec<String>,
    },
    Webhook {
        url: Secret,
        token: Option<Secret>,
    },
    /// A program and its arguments, which may contain a password; no shell is involved. Never empty.
    Exec {
        command: Vec<Secret>,
    },
}

/// The severity of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
}

impl NotifyRecipient {
    /// `notify.kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            NotifyRecipient::Ntfy { .. } => "ntfy",
            NotifyRecipient::Telegram { .. } => "telegram",
            NotifyRecipient::Discord { .. } => "discord",
            NotifyRecipient::Email { .. } => "email",
            NotifyRecipient::Webhook { .. } => "webhook",
            NotifyRecipient::Exec { .. } => "exec",
        }
    }
}

impl Severity {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        }
    }

    /// The severity with this word, if there is one.
    pub fn parse(word: &str) -> Option<Severity> {
        let all = [Severity::Info, Severity::Low, Severity::Medium, Severity::High];
        all.into_iter().find(|severity| severity.as_str() == word)
    }
}

/// Reads one recipient; `None` if it is wrong, which is recorded.
pub(super) fn read_notify(mut section: Section) -> Option<NotifyConfig> {
    let kinds = ["ntfy", "telegram", "discord", "email", "webhook", "exec"].map(|kind| (kind, kind));
    let severities =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High].map(|each| (each.as_str(), each));
    let kind = section.choice("kind", &kinds);
    let (mut server, mut url) = (None, None);
    if kind == Some("email") {
        server = section.parsed("url", Redaction::Hidden, MailServer::parse);
    } else {
        url = section.parsed("url", Redaction::Hidden, endpoint::http_url).map(Secret::new);
    }
    let token = section.secret("token");
    let chat = section.text("chat");
    let command = section.list("command", Redaction::Hidden, "[\"/usr/local/bin/tell\", \"me\"]", |word| {
        if word.contains('\0') { Err(String::from("a text without NUL")) } else { Ok(Secret::new(word)) }
    });
    let from = section.parsed("from", Redaction::Value, mail::address);
    let to = section.list("to", Redaction::Value, "[\"me@example.org\"]", mail::address);
    let min_severity = section.choice("min_severity", &severities).unwrap_or(Severity::High);
    let (mut good_news, mut outages) = (true, true);
    section.bool("good_news", &mut good_news);
    section.bool("outages", &mut outages);
    let summary = section.parsed("summary", Redaction::Value, time_of_day::time_of_day);
    let quiet = section.parsed("quiet", Redaction::Value, time_of_day::quiet_hours);
    let needed: &[&str] = match kind {
        _ if !section.is_set("kind") => &["kind"],
        None => &[],
        Some("telegram") => &["token", "chat"],
        Some("exec") => &["command"],
        Some("email") => &["url", "from", "to"],
        Some(_) => &["url"],
    };
    for key in needed.iter().filter(|key| !section.is_set(key)) {
        section.missing(key, "this kind of [[notify]] needs it");
    }
    if command.as_ref().is_some_and(Vec::is_empty) {
        section.conflict("command", "is empty; name a program, then its arguments");
    }
    if to.as_ref().is_some_and(|to| to.is_empty() || to.len() > mail::MAX_RECIPIENTS) {
        section.conflict("to", format!("must have 1 to {} addresses", mail::MAX_RECIPIENTS));
        return None;
    }
    let to = match kind? {
        "telegram" => NotifyRecipient::Telegram { url, token: token?, chat: chat? },
        "exec" => NotifyRecipient::Exec { command: command? },
        "ntfy" => NotifyRecipient::Ntfy { url: url?, token },
        "discord" => NotifyRecipient::Discord { url: url? },
        "email" => NotifyRecipient::Email { server: server?, from: from?, to: to? },
        _webhook => NotifyRecipient::Webhook { url: url?, token },
    };
    Some(NotifyConfig { to, min_severity, good_news, outages, summary, quiet })
}
