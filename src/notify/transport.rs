//! Sending to one recipient by its service.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jiff::Zoned;
use ureq::Agent;

use super::http::post;
use super::message::Message;
use super::pace::{SendFailure, SendPacing};
use super::{email, exec, services, smtp};
use crate::config::{NotifyConfig, NotifyRecipient};
use crate::net::https;

/// A recipient with what is needed to reach it.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    to: NotifyRecipient,
    agent: Option<Agent>,
    program_limit: Duration,
    mail_limit: Duration,
}

impl Transport {
    /// The transports of all recipients. They share one HTTP client, which reads the system's
    /// certificates.
    pub fn of_all(recipients: &[NotifyConfig], pace: &SendPacing) -> Vec<Transport> {
        let is_http = |notify: &NotifyConfig| {
            !matches!(notify.to, NotifyRecipient::Exec { .. } | NotifyRecipient::Email { .. })
        };
        let agent = recipients.iter().any(is_http).then(|| https::agent(pace.request_limit));
        let (program_limit, mail_limit) = (pace.program_limit, pace.mail_limit);
        let to_transport = |notify: &NotifyConfig| Transport {
            to: notify.to.clone(),
            agent: agent.clone(),
            program_limit,
            mail_limit,
        };
        recipients.iter().map(to_transport).collect()
    }

    /// Makes one attempt. A program is killed early once `is_over` is true.
    ///
    /// # Errors
    /// The reason, without secrets.
    pub fn send(&self, message: &Message, is_over: &dyn Fn() -> bool) -> Result<(), SendFailure> {
        // If a server makes the client panic, later messages must still be sent.
        catch_unwind(AssertUnwindSafe(|| self.send_once(message, is_over)))
            .unwrap_or_else(|_| Err(SendFailure::later("an internal error of the client")))
    }

    fn send_once(&self, message: &Message, is_over: &dyn Fn() -> bool) -> Result<(), SendFailure> {
        let request = match &self.to {
            NotifyRecipient::Ntfy { url, token } => services::ntfy(url, token.as_ref(), message),
            NotifyRecipient::Telegram { url, token, chat } => {
                services::telegram(url.as_ref(), token, chat, message)
            }
            NotifyRecipient::Discord { url } => services::discord(url, message),
            NotifyRecipient::Webhook { url, token } => services::webhook(url, token.as_ref(), message),
            NotifyRecipient::Email { server, from, to } => {
                let document = email::document(message, from, to, &Zoned::now());
                return smtp::send(server, from, to, &document, self.mail_limit);
            }
            NotifyRecipient::Exec { command } => {
                return exec::run(command, message, self.program_limit, is_over);
            }
        };
        let agent = self.agent.as_ref().ok_or_else(|| SendFailure::never("there is no client"))?;
        post(agent, &request)
    }
}

/// The name of a recipient: its place, counted from 1, and its kind.
pub(super) fn name(index: usize, recipient: &NotifyConfig) -> String {
    format!("notify[{index}] ({})", recipient.to.kind())
}
