//! `[record]`, `[http]` and `[[notify]]`: files, page and messages.

use std::net::SocketAddr;
use std::time::Duration;

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
    let default = RecordConfig::default();
    let flush = Duration::from_millis(100)..=Duration::from_secs(3600);
    let record = RecordConfig {
        shares: section.bool("shares", default.shares),
        timing: section.bool("timing", default.timing),
        geek: section.bool("geek", default.geek),
        flush: section.duration("flush", default.flush, flush),
        rotate_mb: section.integer("rotate_mb", default.rotate_mb, 1..=4096),
        keep_days: section.integer("keep_days", default.keep_days, 0..=36_500),
        max_total_mb: section.integer("max_total_mb", default.max_total_mb, 1..=1 << 24),
    };
    if record.max_total_mb < record.rotate_mb {
        let key = if section.is_set("max_total_mb") { "max_total_mb" } else { "rotate_mb" };
        section.conflict(key, "is out of range: max_total_mb must not be less than rotate_mb (default 64)");
    }
    section.finish();
    record
}

/// Reads the section. `from_flag` is the address of `--http`.
pub(super) fn read_http(mut section: Section, from_flag: Option<Option<SocketAddr>>) -> HttpConfig {
    let listen = section.parsed("listen", Redaction::Value, address_or_off);
    let default = HttpConfig::default();
    let http = HttpConfig {
        listen: from_flag.or(listen).unwrap_or(default.listen),
        token: section.secret("token"),
        hosts: section
            .list("hosts", Redaction::Value, "[\"miner.example.org\"]", page_host)
            .unwrap_or(default.hosts),
    };
    section.finish();
    http
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
    #[derive(Clone, Copy)]
    enum NotifyServiceName {
        Ntfy,
        Telegram,
        Discord,
        Webhook,
        Exec,
    }
    let kinds = [
        ("ntfy", NotifyServiceName::Ntfy),
        ("telegram", NotifyServiceName::Telegram),
        ("discord", NotifyServiceName::Discord),
        ("webhook", NotifyServiceName::Webhook),
        ("exec", NotifyServiceName::Exec),
    ];
    let severities = [
        ("info", Severity::Info),
        ("low", Severity::Low),
        ("medium", Severity::Medium),
        ("high", Severity::High),
    ];
    let kind = section.choice("kind", &kinds);
    let url = section.parsed("url", Redaction::Hidden, endpoint::http_url).map(Secret::new);
    let token = section.secret("token");
    let chat = section.text("chat");
    let command = section.list("command", Redaction::Hidden, "[\"/usr/local/bin/tell\", \"me\"]", |word| {
        if word.contains('\0') { Err(String::from("a text without NUL")) } else { Ok(Secret::new(word)) }
    });
    let min_severity = section.choice("min_severity", &severities).unwrap_or(Severity::High);
    let good_news = section.bool("good_news", true);
    let needed: &[&str] = match kind {
        _ if !section.is_set("kind") => &["kind"],
        None => &[],
        Some(NotifyServiceName::Telegram) => &["token", "chat"],
        Some(NotifyServiceName::Exec) => &["command"],
        Some(NotifyServiceName::Ntfy | NotifyServiceName::Discord | NotifyServiceName::Webhook) => &["url"],
    };
    for key in needed.iter().filter(|key| !section.is_set(key)) {
        section.missing(key, "this kind of [[notify]] needs it");
    }
    if command.as_ref().is_some_and(Vec::is_empty) {
        section.conflict("command", "is empty; name a program, then its arguments");
    }
    section.finish();
    let to = match kind? {
        NotifyServiceName::Ntfy => NotifyRecipient::Ntfy { url: url?, token },
        NotifyServiceName::Telegram => NotifyRecipient::Telegram { url, token: token?, chat: chat? },
        NotifyServiceName::Discord => NotifyRecipient::Discord { url: url? },
        NotifyServiceName::Webhook => NotifyRecipient::Webhook { url: url?, token },
        NotifyServiceName::Exec => NotifyRecipient::Exec { command: command? },
    };
    Some(NotifyConfig { to, min_severity, good_news })
}
