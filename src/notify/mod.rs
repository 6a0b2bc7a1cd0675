//! Messages about alerts, to phones and programs. The user's guide is `docs/notifications.md`.
//!
//! **Selection** (`notifier`). A recipient gets the alerts that reach its `min_severity`, and good news
//! if `good_news` is set.
//!
//! **Rate** (`limiter`). Anyone on the network can cause alerts, and must not flood a phone. Each
//! recipient gets at most five messages at once and twenty an hour, and the same alert about the same
//! subject once an hour. The next message sums up the deferred ones.
//!
//! **Delivery** (`worker`). Each recipient has a thread, so that a slow one delays neither the analyzer,
//! whose [`Notifier::notify`] never waits, nor the others, and the shutdown by two seconds at most. A
//! message that fails is tried five times; a rejection is logged.
//!
//! **Services** (`services` builds the requests, which `http` sends; `exec` runs a program). URLs and tokens are secrets, so recipients are called `notify[2] (discord)`.
//! Untrusted texts (`message`) are shown as text, never as commands, links or mentions.

mod exec;
mod health;
mod http;
mod limiter;
mod message;
mod notifier;
mod pace;
mod services;
mod test_message;
mod transport;
mod worker;

pub use health::RecipientHealth;
pub use message::is_good_news;
pub use notifier::{Notifier, is_wanted};
pub use pace::SendPacing;
pub use test_message::{TestResult, send_test_messages};
