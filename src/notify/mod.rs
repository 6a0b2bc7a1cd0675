//! Messages about alerts, to phones and programs. The user's guide is `docs/notifications.md`.
//!
//! `notifier` queues an alert for each recipient that wants it, and never waits. Each recipient has a thread (`worker`),
//! so that a slow one delays neither the analyzer nor the others. Anyone on the network can cause alerts, and must not
//! flood a phone: `limiter` defers them, and the next message sums them up. `timetable` keeps the quiet hours and sends
//! the daily summary, which `program` asks for. `wording` has the titles. `transport` sends a message with `services` and
//! `http`, with `email` and `smtp`, or with `exec`. URLs and tokens are secrets, so recipients are called `notify[2] (discord)`.
//! Untrusted texts (`text`) are shown as text, never as commands, links or mentions.

mod email;
mod encoded_words;
mod exec;
mod health;
mod http;
mod limiter;
mod message;
mod notifier;
mod pace;
mod program;
mod services;
mod smtp;
mod test_message;
mod text;
mod timetable;
mod transport;
mod wording;
mod worker;

pub use health::RecipientHealth;
pub use message::is_good_news;
pub use notifier::{Notifier, is_wanted};
pub use pace::SendPacing;
pub use program::DailySummary;
pub use test_message::{TestResult, send_test_messages};
pub use wording::{advice, advice_on, title};
