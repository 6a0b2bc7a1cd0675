//! Test messages of `sluice check --notify`.

use std::sync::Arc;

use serde_json::json;

use super::health::AlertCounts;
use super::message::Message;
use super::pace::SendPacing;
use super::transport::{Transport, name};
use crate::clock::Clock;
use crate::config::{NotifyConfig, Severity};
use crate::record::{AlertKind, AlertRow};

/// The outcome of one recipient's test message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// Such as `notify[2] (discord)`.
    pub name: String,
    /// `Err` has the reason, without secrets.
    pub result: Result<(), String>,
}

/// Sends each recipient one message with the id `test.message` and the link to the page, one after the other, without
/// retries. Takes up to ten seconds for each, and thirty for a program.
pub fn send_test_messages(recipients: &[NotifyConfig], page: Option<String>) -> Vec<TestResult> {
    let row = AlertRow {
        at: Clock::system().now(),
        kind: AlertKind::Happened,
        severity: Severity::Info,
        id: "test.message",
        description: String::from("This is a test: alerts will arrive here"),
        data: json!({ "subject": "sluice check" }),
    };
    let message = Message { page, ..Message::about(Arc::new(row), 1, AlertCounts::new()) };
    let try_one = |(i, transport): (usize, Transport)| TestResult {
        name: name(i + 1, &recipients[i]),
        result: transport.send(&message, &|| false).map_err(|failure| failure.reason),
    };
    Transport::of_all(recipients, &SendPacing::default()).into_iter().enumerate().map(try_one).collect()
}
