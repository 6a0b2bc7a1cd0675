//! Messages about alerts, to phones and programs. For people: `docs/notifications.md`.
//!
//! **Who** (`selection`). An alert goes to those whose `min_severity` it reaches; good news also to
//! those with `good_news`.
//!
//! **How much** (`restraint`). Whoever sits on the network can raise alerts; nobody's phone may be
//! filled by it. Each recipient gets at most five messages at once and twenty an hour; the same
//! about the same subject once an hour. What is held back is summed up in the next message.
//!
//! **How** (`worker`). Each recipient has a thread, so a slow one delays nobody: not the analyzer,
//! whose [`Notifier::tell`] never waits, not the others, and the program's end by two seconds. What
//! fails is tried five times; what is refused is said in the log.
//!
//! **To whom** (`ntfy`, `telegram`, `discord`, `webhook` make requests, `http` sends them; `exec`
//! runs a program). URLs and tokens are secrets: recipients are called `notify[2] (discord)`.
//! Strangers' texts (`message`) are shown as they are, never as commands, links or mentions.

mod discord;
mod exec;
mod failure;
mod health;
mod http;
mod limiter;
mod message;
mod notifier;
mod ntfy;
mod pace;
mod selection;
mod telegram;
mod test_message;
mod transport;
mod webhook;
mod worker;

pub use health::RecipientHealth;
pub use notifier::Notifier;
pub use pace::SendPacing;
pub use selection::{is_good_news, is_wanted};
pub use test_message::{TestResult, send_test_messages};
