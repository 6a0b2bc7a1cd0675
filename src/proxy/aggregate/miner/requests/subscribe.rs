//! Handles `mining.configure` and `mining.subscribe`: the extensions and the part of the search space that a
//! miner gets.

use std::time::Instant;

use serde_json::json;

use super::{Flow, MinerRequests};
use crate::net::Stamp;
use crate::proxy::LogTopic;
use crate::proxy::aggregate::{Account, LeaseError};
use crate::stratum::{
    Envelope, RefusalCode, configure_result, first_text, requested_version_mask, result_line, shortened,
};

impl MinerRequests {
    pub(crate) fn configure(&mut self, message: &Envelope<'_>, at: Stamp) -> Flow {
        let asked = requested_version_mask(message.params);
        let of_pool = self
            .miner
            .group()
            .and_then(|group| group.known_mask())
            .unwrap_or_else(|| self.services.likely_mask());
        let granted = asked.zip(of_pool).map(|(asked, of_pool)| asked.intersection(of_pool));
        let granted = granted.filter(|mask| !mask.is_empty());
        let wants_extranonce = asks_for(message, "subscribe-extranonce");
        {
            let mut work = self.miner.work();
            // A request about other extensions leaves the granted mask.
            if asked.is_some() {
                (work.asked_mask, work.mask, work.narrowed_at) = (asked, granted, None);
            }
            work.wants_extranonce |= wants_extranonce;
        }
        let mut answer = serde_json::Map::new();
        if asked.is_some() {
            if let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(&configure_result(granted)) {
                answer.extend(fields);
            }
        }
        for extension in ["minimum-difficulty", "subscribe-extranonce", "info"] {
            if asks_for(message, extension) {
                // Vardiff decides the lowest difficulty; no miner was seen to insist.
                answer.insert(extension.to_owned(), json!(extension != "minimum-difficulty"));
            }
        }
        self.answer(result_line(message.id(), &serde_json::Value::Object(answer).to_string()), at)
    }

    pub(crate) fn subscribe(&mut self, message: &Envelope<'_>, at: Stamp) -> Flow {
        let user_agent = shortened(&first_text(message.params).unwrap_or_default());
        {
            let known = self.services.difficulty_cache.recall(self.miner.address().ip(), &user_agent);
            let mut work = self.miner.work();
            work.set_user_agent(user_agent);
            work.remembered = known;
        }
        let deadline = Instant::now() + self.services.config.failover.connect_deadline;
        let account = self.account.clone().or_else(|| self.account_ahead.clone());
        let is_told_again = self.miner.work().is_subscribed;
        while !self.miner.answer_subscribe(message.id(), self.since(at)) {
            self.services.router.remove(&self.miner);
            let leased = self.take_lease(account.as_ref(), deadline);
            self.has_waited();
            if let Err(why) = leased {
                return self.refuse_lease(&why, message.id(), self.since(at));
            }
        }
        if let Some(group) = self.miner.group() {
            let workers = self.miner.work().workers.clone();
            workers.iter().for_each(|worker| group.authorize(worker));
        }
        self.miner.send_after_subscribe();
        // Each answer is followed by a job of its own, and no miner needs many.
        if is_told_again { self.fault() } else { Flow::Continue }
    }

    /// Leases a part of the search space of a group of the miner's account, as far as that is known.
    pub(crate) fn take_lease(
        &mut self,
        account: Option<&Account>,
        deadline: Instant,
    ) -> Result<(), LeaseError> {
        // A miner without a name may join any group.
        let account = account.filter(|account| !account.0.is_empty());
        loop {
            self.guessed_account =
                self.services.router.lease(&self.services, &self.miner, account, deadline)?;
            let is_claimed = |account| self.miner.group().is_some_and(|group| group.claim(account));
            if account.is_none_or(is_claimed) {
                return Ok(());
            }
            // The group became another account's meanwhile.
            self.services.router.remove(&self.miner);
        }
    }

    pub(crate) fn refuse_lease(&mut self, why: &LeaseError, id: &str, at: Stamp) -> Flow {
        let text = match why {
            LeaseError::NoPool => "no pool can be reached".to_owned(),
            LeaseError::Full => "the pool has no search space left".to_owned(),
            LeaseError::TooMany => {
                "too many accounts, each with a connection to the pool of its own".to_owned()
            }
            LeaseError::Unusable(why) => why.clone(),
        };
        self.log(LogTopic::Pool, &format_args!("closed: {text}"));
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
