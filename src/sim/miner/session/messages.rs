//! The reactions of each kind of miner to the pool's messages after the handshake (wire reference,
//! sections 2.5 to 2.11 and 3.6).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;

use super::{SessionEnd, SimMinerSession};
use crate::sim::miner::model::MinerModel;
use crate::stratum::{
    Difficulty, Envelope, Notify, ResponseVerdict, SubscribeAnswer, VersionMask, elements, first_text,
    result_line,
};

impl SimMinerSession<'_> {
    /// Acts on a request or notification of the pool.
    pub fn handle_method(&mut self, message: &Envelope<'_>, method: &str) -> Result<(), SessionEnd> {
        match method {
            "mining.notify" => self.take_job(message.params)?,
            "mining.set_difficulty" => self.take_difficulty(message.params),
            "mining.set_extranonce" if self.habit.knows_extensions() => self.take_extranonce(message.params),
            "mining.set_version_mask" if self.habit.knows_extensions() => {
                self.set_version_mask(VersionMask::from_params(message.params));
            }
            "client.reconnect" if self.habit != MinerModel::NerdMiner => {
                return Err(SessionEnd::Reconnect(self.reconnect_target(message.params)));
            }
            "client.show_message" if self.habit != MinerModel::NerdMiner => {
                self.shared.stats.update(|stats| stats.last_message = first_text(message.params));
                if self.habit == MinerModel::Cpuminer && message.has_id() {
                    self.send(&format!("{{\"id\":{},\"error\":null,\"result\":true}}\n", message.id()))?;
                }
            }
            "client.get_version" if self.habit != MinerModel::NerdMiner => {
                let agent = format!("\"{}\"", self.habit.user_agent());
                self.send(&result_line(message.id(), &agent))?;
            }
            "mining.ping" if self.habit == MinerModel::Cgminer => {
                self.send(&result_line(message.id(), "\"pong\""))?;
            }
            "mining.ping" if self.habit == MinerModel::Bitaxe => {
                self.send(&format!("{{\"id\":{},\"method\":\"pong\",\"params\":[]}}\n", message.id()))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Acts on an answer that belongs to a share; says whether it did.
    pub fn handle_answer(&mut self, answer: &Envelope<'_>) -> bool {
        let sent = answer.numeric_id().and_then(|id| self.shared.with_wire(|wire| wire.answered(id))?);
        let Some(sent) = sent else { return false };
        let round_trip = sent.elapsed();
        let (accepted, reason) = match self.habit.verdict(answer) {
            ResponseVerdict::Accepted => (true, None),
            ResponseVerdict::Refused { code: Some(code), reason } => {
                (false, Some(format!("{code} {}", reason.unwrap_or_default())))
            }
            ResponseVerdict::Refused { code: None, reason } => (false, reason),
        };
        self.shared.stats.update(|stats| stats.record_answer(accepted, reason, round_trip));
        true
    }

    fn take_job(&mut self, params: Option<&RawValue>) -> Result<(), SessionEnd> {
        let job = match Notify::from_params(params) {
            Ok(job) => job,
            Err(error) if self.habit == MinerModel::NerdMiner => return Err(SessionEnd::BadJob(error)),
            Err(error) => {
                log::debug!("simulated miner: a job was ignored: {error}");
                return Ok(());
            }
        };
        self.last_job = Instant::now();
        self.shared.stats.update(|stats| stats.jobs_seen += 1);
        if self.habit == MinerModel::Cpuminer && self.job.as_ref().is_some_and(|old| old.job_id == job.job_id)
        {
            // No new work, to a cpuminer.
            return Ok(());
        }
        self.job = Some(Arc::new(job));
        self.jobs += 1;
        self.set_work();
        Ok(())
    }

    fn take_difficulty(&mut self, params: Option<&RawValue>) {
        let Ok(new) = Difficulty::from_params(params) else { return };
        self.difficulty = new;
        if self.habit.takes_difficulty_at_once() {
            self.set_work();
        }
    }

    fn take_extranonce(&mut self, params: Option<&RawValue>) {
        let Ok(set) = SubscribeAnswer::from_set_extranonce(params) else { return };
        let (extranonce1, size) = (set.extranonce1, set.extranonce2_size);
        self.shared.stats.update(|stats| stats.extranonce1 = Some(extranonce1.clone()));
        self.extranonce = Some((extranonce1, size));
        if self.habit == MinerModel::Bitaxe {
            // Not with the next job only.
            self.jobs += 1;
            self.set_work();
        }
    }

    /// The target of `client.reconnect`: for a Bitaxe its configured pool, for cgminer only the same host,
    /// for cpuminer any host.
    fn reconnect_target(&self, params: Option<&RawValue>) -> Option<SocketAddr> {
        if self.habit == MinerModel::Bitaxe {
            return None;
        }
        let elements = elements("params", params?).ok()?;
        let text = |index: usize| elements.get(index).map(|raw| raw.get().trim_matches('"'));
        let host = text(0).filter(|host| !host.is_empty() && *host != "null");
        let host: IpAddr = host.map_or(Ok(self.peer.ip()), str::parse).ok()?;
        let port = text(1).and_then(|port| port.parse().ok()).unwrap_or(self.peer.port());
        let follows = self.habit == MinerModel::Cpuminer || host == self.peer.ip();
        follows.then(|| SocketAddr::new(host, port))
    }
}
