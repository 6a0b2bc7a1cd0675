//! The way to one recipient.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ureq::Agent;

use super::failure::SendFailure;
use super::http::post;
use super::message::Message;
use super::pace::SendPacing;
use super::{discord, exec, ntfy, telegram, webhook};
use crate::config::{NotifyConfig, NotifyRecipient};
use crate::net::https;

/// Whom messages are sent to, and by what.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    to: NotifyRecipient,
    agent: Option<Agent>,
    program_limit: Duration,
}

impl Transport {
    /// Those of all recipients; they share one client, which reads the system's certificates.
    pub fn of_all(recipients: &[NotifyConfig], pace: &SendPacing) -> Vec<Transport> {
        let is_http = |notify: &NotifyConfig| !matches!(notify.to, NotifyRecipient::Exec { .. });
        let agent = recipients.iter().any(is_http).then(|| https::agent(pace.request_limit));
        let medium = |notify: &NotifyConfig| Transport {
            to: notify.to.clone(),
            agent: agent.clone(),
            program_limit: pace.program_limit,
        };
        recipients.iter().map(medium).collect()
    }

    /// One try. `is_over` cuts a program short.
    ///
    /// # Errors
    /// Why it did not arrive, without secrets.
    pub fn send(&self, message: &Message, is_over: &dyn Fn() -> bool) -> Result<(), SendFailure> {
        // A server that makes the client panic must not silence this recipient for ever.
        catch_unwind(AssertUnwindSafe(|| self.send_once(message, is_over)))
            .unwrap_or_else(|_| Err(SendFailure::later("the sending failed on a fault of ours")))
    }

    fn send_once(&self, message: &Message, is_over: &dyn Fn() -> bool) -> Result<(), SendFailure> {
        let request = match &self.to {
            NotifyRecipient::Ntfy { url, token } => ntfy::request(url, token.as_ref(), message),
            NotifyRecipient::Telegram { url, token, chat } => {
                telegram::request(url.as_ref(), token, chat, message)
            }
            NotifyRecipient::Discord { url } => discord::request(url, message),
            NotifyRecipient::Webhook { url, token } => webhook::request(url, token.as_ref(), message),
            NotifyRecipient::Exec { command } => {
                return exec::run(command, message, self.program_limit, is_over);
            }
        };
        let agent = self.agent.as_ref().ok_or_else(|| SendFailure::never("there is no client"))?;
        post(agent, &request)
    }
}

/// What a recipient is called: its place from 1, and its kind.
pub(super) fn name(place: usize, recipient: &NotifyConfig) -> String {
    format!("notify[{place}] ({})", recipient.to.kind())
}
