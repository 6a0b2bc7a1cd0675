//! The way to one recipient.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ureq::Agent;

use super::failure::Failure;
use super::http::post;
use super::message::Message;
use super::pace::Pace;
use super::{discord, exec, ntfy, telegram, webhook};
use crate::config::{Notify, Recipient};
use crate::net::https;

/// Whom messages are sent to, and by what.
#[derive(Debug, Clone)]
pub(super) struct Medium {
    to: Recipient,
    agent: Option<Agent>,
    program_limit: Duration,
}

impl Medium {
    /// Those of all recipients; they share one client, which reads the system's certificates.
    pub fn of_all(recipients: &[Notify], pace: &Pace) -> Vec<Medium> {
        let is_http = |notify: &Notify| !matches!(notify.to, Recipient::Exec { .. });
        let agent = recipients.iter().any(is_http).then(|| https::agent(pace.request_limit));
        let medium = |notify: &Notify| Medium {
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
    pub fn send(&self, message: &Message, is_over: &dyn Fn() -> bool) -> Result<(), Failure> {
        // A server that makes the client panic must not silence this recipient for ever.
        catch_unwind(AssertUnwindSafe(|| self.send_once(message, is_over)))
            .unwrap_or_else(|_| Err(Failure::later("the sending failed on a fault of ours")))
    }

    fn send_once(&self, message: &Message, is_over: &dyn Fn() -> bool) -> Result<(), Failure> {
        let request = match &self.to {
            Recipient::Ntfy { url, token } => ntfy::request(url, token.as_ref(), message),
            Recipient::Telegram { url, token, chat } => telegram::request(url.as_ref(), token, chat, message),
            Recipient::Discord { url } => discord::request(url, message),
            Recipient::Webhook { url, token } => webhook::request(url, token.as_ref(), message),
            Recipient::Exec { command } => return exec::run(command, message, self.program_limit, is_over),
        };
        let agent = self.agent.as_ref().ok_or_else(|| Failure::never("there is no client"))?;
        post(agent, &request)
    }
}

/// What a recipient is called: its place from 1, and its kind.
pub(super) fn name(place: usize, recipient: &Notify) -> String {
    format!("notify[{place}] ({})", recipient.to.kind())
}
