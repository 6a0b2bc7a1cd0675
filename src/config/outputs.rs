//! `[record]`, `[http]` and `[[notify]]`: files, page and messages.

use std::net::SocketAddr;
use std::time::Duration;

use super::duration::HOUR;
use super::reader::Section;
use super::redaction::Redaction;
use super::{Secret, endpoint, listen};

/// `[record]`: the files under `data_dir`.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordConfig {
    /// `shares.csv`; default true.
    pub shares: bool,
    /// `timing.csv`; default true.
    pub timing: bool,
    /// `geek.log`; default false.
    pub geek: bool,
    /// Longest time a line is buffered in memory, which spares SD cards; 100 ms to 1 h, default 5 s.
    pub flush: Duration,
    /// Size at which a file is rotated, in MiB; 1 to 4096, default 64.
    pub rotate_mb: u64,
    /// Days after which rotated files are removed; 0 for never, default 90.
    pub keep_days: u64,
    /// Total size of rotated files in MiB; at least `rotate_mb`, default 1024.
    pub max_total_mb: u64,
}

/// `[http]`: the page.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpConfig {
    /// `None` for off; default `127.0.0.1:8080`.
    pub listen: Option<SocketAddr>,
    /// Token that every visitor needs, if set.
    pub token: Option<Secret>,
    /// Further host names of the page, in lower case and without a final dot. Addresses and the names
    /// of a home network need not be listed.
    pub hosts: Vec<String>,
}

/// One `[[notify]]`: a recipient and the alerts it gets.
#[derive(Debug, Clone, PartialEq)]
pub struct NotifyConfig {
    pub to: NotifyRecipient,
    /// Default: high.
    pub min_severity: Severity,
    /// True if it also gets blocks, near misses and best shares of any severity; default true.
    pub good_news: bool,
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

impl Default for RecordConfig {
    fn default() -> RecordConfig {
        RecordConfig {
            shares: true,
            timing: true,
            geek: false,
            flush: Duration::from_secs(5),
            rotate_mb: 64,
            keep_days: 90,
            max_total_mb: 1024,
        }
    }
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig { listen: Some(SocketAddr::from(([127, 0, 0, 1], 8080))), token: None, hosts: Vec::new() }
    }
}

pub(super) fn read_record(mut section: Section) -> RecordConfig {
    let mut record = RecordConfig::default();
    section.bool("shares", &mut record.shares);
    section.bool("timing", &mut record.timing);
    section.bool("geek", &mut record.geek);
    section.duration("flush", &mut record.flush, Duration::from_millis(100)..=HOUR);
    section.integer("rotate_mb", &mut record.rotate_mb, 1..=4096);
    section.integer("keep_days", &mut record.keep_days, 0..=36_500);
    section.integer("max_total_mb", &mut record.max_total_mb, 1..=1 << 24);
    if record.max_total_mb < record.rotate_mb {
        let key = if section.is_set("max_total_mb") { "max_total_mb" } else { "rotate_mb" };
        section.conflict(key, "is out of range: max_total_mb must not be less than rotate_mb (default 64)");
    }
    record
}

/// Reads the section. `from_flag` is the address of `--http`.
pub(super) fn read_http(mut section: Section, from_flag: Option<Option<SocketAddr>>) -> HttpConfig {
    let listen = section.parsed("listen", Redaction::Value, address_or_off);
    let hosts = section.list("hosts", Redaction::Value, "[\"miner.example.org\"]", page_host);
    HttpConfig {
        listen: from_flag.or(listen).unwrap_or(HttpConfig::default().listen),
        token: section.secret("token"),
        hosts: hosts.unwrap_or_default(),
    }
}

/// Parses a host name as a browser sends it, without the port.
fn page_host(text: &str) -> Result<String, String> {
    let wanted = || String::from("a host name without a port, such as \"miner.example.org\"");
    let name = endpoint::host_name(text).map_err(|_| wanted())?;
    Ok(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
}

/// Parses an address to listen on, or an empty text for off.
pub(super) fn address_or_off(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    listen::socket_address(text)
        .map(Some)
        .map_err(|_| String::from("an address with a port, such as \"127.0.0.1:8080\", or \"\" for off"))
}

/// Reads one recipient; `None` if it is wrong, which is recorded.
pub(super) fn read_notify(mut section: Section) -> Option<NotifyConfig> {
    let kinds = ["ntfy", "telegram", "discord", "webhook", "exec"].map(|kind| (kind, kind));
    let severities =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High].map(|each| (each.as_str(), each));
    let kind = section.choice("kind", &kinds);
    let url = section.parsed("url", Redaction::Hidden, endpoint::http_url).map(Secret::new);
    let token = section.secret("token");
    let chat = section.text("chat");
    let command = section.list("command", Redaction::Hidden, "[\"/usr/local/bin/tell\", \"me\"]", |word| {
        if word.contains('\0') { Err(String::from("a text without NUL")) } else { Ok(Secret::new(word)) }
    });
    let min_severity = section.choice("min_severity", &severities).unwrap_or(Severity::High);
    let mut good_news = true;
    section.bool("good_news", &mut good_news);
    let needed: &[&str] = match kind {
        _ if !section.is_set("kind") => &["kind"],
        None => &[],
        Some("telegram") => &["token", "chat"],
        Some("exec") => &["command"],
        Some(_) => &["url"],
    };
    for key in needed.iter().filter(|key| !section.is_set(key)) {
        section.missing(key, "this kind of [[notify]] needs it");
    }
    if command.as_ref().is_some_and(Vec::is_empty) {
        section.conflict("command", "is empty; name a program, then its arguments");
    }
    let to = match kind? {
        "telegram" => NotifyRecipient::Telegram { url, token: token?, chat: chat? },
        "exec" => NotifyRecipient::Exec { command: command? },
        "ntfy" => NotifyRecipient::Ntfy { url: url?, token },
        "discord" => NotifyRecipient::Discord { url: url? },
        _webhook => NotifyRecipient::Webhook { url: url?, token },
    };
    Some(NotifyConfig { to, min_severity, good_news })
}
