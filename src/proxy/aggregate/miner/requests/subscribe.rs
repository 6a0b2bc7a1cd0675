//! A miner's place: what it agrees upon, and the part of the search space that it is told of.

use std::time::Instant;

use serde_json::json;

use super::{Flow, MinerRequests};
use crate::net::Stamp;
use crate::proxy::aggregate::group::LeaseError;
use crate::proxy::aggregate::identity::Account;
use crate::proxy::{LogTopic, say};
use crate::stratum::{
    ConfigureAnswer, ConfigureRequest, Envelope, RefusalCode, first_text, result_line, shortened,
};

impl MinerRequests {
    pub(crate) fn configure(&mut self, message: &Envelope<'_>, at: Stamp) -> Flow {
        let asked = ConfigureRequest::from_params(message.params).version_rolling;
        let of_pool = self
            .miner
            .link()
            .and_then(|link| link.known_mask())
            .unwrap_or_else(|| self.services.likely_mask());
        let granted = asked.zip(of_pool).map(|(asked, of_pool)| asked.intersection(of_pool));
        let granted = granted.filter(|mask| !mask.is_empty());
        let wants_extranonce = asks_for(message, "subscribe-extranonce");
        {
            let mut desk = self.miner.desk();
            // One about something else leaves what was agreed upon.
            if asked.is_some() {
                (desk.asked_mask, desk.mask, desk.narrowed_at) = (asked, granted, None);
            }
            desk.wants_extranonce |= wants_extranonce;
        }
        let mut answer = serde_json::Map::new();
        if asked.is_some() {
            let rolling = ConfigureAnswer { version_rolling: granted };
            if let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(&rolling.result()) {
                answer.extend(fields);
            }
        }
        for extension in ["minimum-difficulty", "subscribe-extranonce", "info"] {
            if asks_for(message, extension) {
                // The least difficulty is the vardiff's business; nobody was seen to insist.
                answer.insert(extension.to_owned(), json!(extension != "minimum-difficulty"));
            }
        }
        self.answer(result_line(message.id(), &serde_json::Value::Object(answer).to_string()), at)
    }

    pub(crate) fn subscribe(&mut self, message: &Envelope<'_>, at: Stamp) -> Flow {
        let user_agent = shortened(&first_text(message.params).unwrap_or_default());
        {
            let known = self.services.memory.recall(self.miner.address().ip(), &user_agent);
            let mut desk = self.miner.desk();
            desk.user_agent = user_agent;
            desk.recall(known);
        }
        let deadline = Instant::now() + self.services.config.failover.connect_deadline;
        let account = self.account.clone().or_else(|| self.foreseen.clone());
        let is_told_again = self.miner.desk().is_subscribed;
        while !self.miner.tell_seat(message.id(), self.since(at)) {
            self.services.hub.part(&self.miner);
            let seated = self.take_seat(account.as_ref(), deadline);
            self.has_waited();
            if let Err(why) = seated {
                return self.no_seat(&why, message.id(), self.since(at));
            }
        }
        if let Some(link) = self.miner.link() {
            let workers = self.miner.desk().workers.clone();
            workers.iter().for_each(|worker| link.authorize(worker));
        }
        self.miner.welcome();
        // Each answer is followed by a job of its own, and there is no need for many.
        if is_told_again { self.fault() } else { Flow::GoOn }
    }

    /// Seats the miner with those of its account's, as far as that is known.
    pub(crate) fn take_seat(
        &mut self,
        account: Option<&Account>,
        deadline: Instant,
    ) -> Result<(), LeaseError> {
        // Who has no name is welcome anywhere.
        let account = account.filter(|account| !account.0.is_empty());
        loop {
            self.taken_for = self.services.hub.seat(&self.services, &self.miner, account, deadline)?;
            let is_claimed = |account| self.miner.link().is_some_and(|link| link.claim(account));
            if account.is_none_or(is_claimed) {
                return Ok(());
            }
            // It became another's meanwhile.
            self.services.hub.part(&self.miner);
        }
    }

    pub(crate) fn no_seat(&mut self, why: &LeaseError, id: &str, at: Stamp) -> Flow {
        let text = match why {
            LeaseError::NoPool => "no pool can be reached".to_owned(),
            LeaseError::Full => "the pool has no search space left".to_owned(),
            LeaseError::TooMany => {
                "too many accounts, each with a connection to the pool of its own".to_owned()
            }
            LeaseError::Unusable(why) => why.clone(),
        };
        say(&self.services.reception, self.miner.address(), LogTopic::Pool, &format_args!("closed: {text}"));
        if *why != LeaseError::NoPool {
            self.refuse(id, RefusalCode::Other, &text, at);
        }
        Flow::Leave
    }
}

fn asks_for(message: &Envelope<'_>, extension: &str) -> bool {
    let params = message.params.and_then(|raw| serde_json::from_str::<serde_json::Value>(raw.get()).ok());
    let names = params.as_ref().and_then(|params| params.get(0)?.as_array().cloned()).unwrap_or_default();
    names.iter().any(|name| name == extension)
}
