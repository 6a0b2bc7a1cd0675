//! Alerts and recipients to try with.

use std::time::Duration;

use serde_json::json;
use sluice::clock::NtpTime;
use sluice::config::{Config, NotifyConfig, Overrides, Severity};
use sluice::notify::{Notifier, RecipientHealth, SendPacing};
use sluice::record::{AlertKind, AlertRow};
use sluice::util::stop::Stop;

use crate::common::wait_for;

/// The `[[notify]]` sections of this text.
pub fn recipients(text: &str) -> Vec<NotifyConfig> {
    let text = format!("[[upstream]]\nurl = \"stratum+tcp://127.0.0.1:1\"\n{text}");
    Config::parse(&text, &Overrides::default()).unwrap_or_else(|e| panic!("{e}")).notify
}

pub fn webhook(url: &str) -> String {
    format!("[[notify]]\nkind = \"webhook\"\nurl = \"{url}\"\n")
}

/// Impatient.
pub fn pace() -> SendPacing {
    SendPacing {
        retry_pauses: vec![Duration::from_millis(5); 4],
        longest_pause: Duration::from_millis(20),
        request_limit: Duration::from_secs(5),
        program_limit: Duration::from_secs(10),
        finish_limit: Duration::from_secs(60),
        ..SendPacing::default()
    }
}

pub fn start(text: &str, pace: &SendPacing) -> Notifier {
    Notifier::with_pacing(&recipients(text), pace, &Stop::new()).unwrap()
}

pub fn alert(subject: &str) -> AlertRow {
    row("payout.mismatch", Severity::High, AlertKind::Begins, subject)
}

pub fn row(id: &'static str, severity: Severity, kind: AlertKind, subject: &str) -> AlertRow {
    AlertRow {
        at: NtpTime::from_timestamp("2026-11-21T02:13:40.123Z".parse().unwrap()),
        kind,
        severity,
        id,
        description: format!("{subject}: a block would pay nothing to you"),
        data: json!({ "subject": subject, "count": 1, "percent": 0.5 }),
    }
}

/// Waits until the first recipient's health is so.
pub fn wait_health(
    notifier: &Notifier,
    what: &str,
    is_so: impl Fn(&RecipientHealth) -> bool,
) -> RecipientHealth {
    wait_for(what, || is_so(&notifier.health()[0]));
    notifier.health().remove(0)
}

/// The last line of a message about [`row`]: when, in this machine's time zone, and where.
pub fn place() -> String {
    let at: jiff::Timestamp = "2026-11-21T02:13:40.123Z".parse().unwrap();
    let local = at.to_zoned(jiff::tz::TimeZone::system());
    format!("{}, {}", local.strftime("%Y-%m-%d %H:%M %Z"), host())
}

/// This machine's name.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}
