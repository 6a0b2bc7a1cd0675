//! The difficulty that a miner would like to begin with, in all the ways in which it can say so (wire
//! reference, sections 2.2 and 2.8).

use std::time::Instant;

use serde_json::value::RawValue;

use super::{Flow, MinerRequests};
use crate::net::Stamp;
use crate::proxy::aggregate::miner::work::WishSource;
use crate::stratum::{Difficulty, Envelope, accept_line, decode_hex, elements};
use crate::work::{BlockHash, share_difficulty};

impl MinerRequests {
    /// `mining.suggest_difficulty`, with the number in the params, in their place, or in the method's name.
    pub(crate) fn suggest_difficulty(&mut self, method: &str, message: &Envelope<'_>, at: Stamp) -> Flow {
        let in_params = only_param(message).and_then(|raw| Difficulty::from_json(raw).ok());
        self.answer_wish(in_params.or_else(|| in_name(method)), message.id(), at)
    }

    /// `mining.suggest_target`: the same, by the highest hash.
    pub(crate) fn suggest_target(&mut self, message: &Envelope<'_>, at: Stamp) -> Flow {
        let target = only_param(message).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        self.answer_wish(target.as_deref().and_then(of_target), message.id(), at)
    }

    /// The answer comes first: cgminer takes the next line for it.
    fn answer_wish(&self, wish: Option<Difficulty>, id: &str, at: Stamp) -> Flow {
        let then = self.answer(accept_line(id), at);
        self.heed(wish, WishSource::Suggested);
        then
    }

    /// The password of `mining.authorize` may carry a wish.
    pub(crate) fn heed_password(&mut self, message: &Envelope<'_>) {
        let params = message.params.and_then(|params| elements("params", params).ok()).unwrap_or_default();
        let password = params.get(1).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        self.heed(password.as_deref().and_then(in_password), WishSource::Password);
    }

    fn heed(&self, wish: Option<Difficulty>, source: WishSource) {
        let has_to_change = |wish| self.miner.desk().wish(wish, source, Instant::now());
        if wish.is_some_and(has_to_change) {
            self.give_again();
        }
    }
}

/// The first param. Some write it without the list around it.
fn only_param<'a>(message: &Envelope<'a>) -> Option<&'a RawValue> {
    let params = message.params?;
    match elements("params", params) {
        Ok(elements) => elements.first().copied(),
        Err(_) => Some(params),
    }
}

/// 64 hex digits, the highest first. A hash that is just low enough has the same difficulty.
fn of_target(text: &str) -> Option<Difficulty> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes: [u8; 32] = decode_hex("target", digits).ok()?.try_into().ok()?;
    bytes.reverse();
    Difficulty::new(share_difficulty(&BlockHash::from_bytes(bytes))).ok()
}

/// `mining.suggest_difficulty(512)`
fn in_name(method: &str) -> Option<Difficulty> {
    let (_, rest) = method.split_once('(')?;
    number(rest.strip_suffix(')')?)
}

/// `d=512` or `diff=512`, among other settings.
fn in_password(password: &str) -> Option<Difficulty> {
    password.split([',', ';', ' ']).find_map(|setting| {
        let (key, value) = setting.split_once('=')?;
        let is_wish = ["d", "diff"].iter().any(|name| key.trim().eq_ignore_ascii_case(name));
        if is_wish { number(value) } else { None }
    })
}

fn number(text: &str) -> Option<Difficulty> {
    Difficulty::new(text.trim().parse().ok()?).ok()
}
