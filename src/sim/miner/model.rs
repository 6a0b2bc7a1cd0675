//! The constants and texts of each kind of miner, from the wire reference, sections 1.3 to 1.6, 2.3 and
//! 7. Their sequence of messages is in `handshake`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stratum::{
    Envelope, Extranonce2, Extranonce2Size, JobId, Nonce, Ntime, ResponseVerdict, Version, VersionBits,
    VersionMask,
};
use crate::work::VersionConvention;

/// The kinds of miners that are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MinerModel {
    /// NerdMiner_v2 V1.8.3.
    NerdMiner,
    /// ESP-Miner on a Bitaxe.
    Bitaxe,
    /// kano's cgminer 4.13.6, built for boards that roll the version.
    Cgminer,
    /// pooler's cpuminer 2.5.1.
    Cpuminer,
}

/// A share as it is written into a submit.
#[derive(Debug, Clone)]
pub(super) struct FoundShare {
    pub job_id: JobId,
    pub extranonce2: Extranonce2,
    pub ntime: Ntime,
    pub nonce: Nonce,
    /// Zero for a miner that rolls nothing.
    pub version_bits: VersionBits,
    /// True if rolling was negotiated.
    pub rolling: bool,
}

impl MinerModel {
    /// All of them.
    pub const ALL: [MinerModel; 4] =
        [MinerModel::NerdMiner, MinerModel::Bitaxe, MinerModel::Cgminer, MinerModel::Cpuminer];

    /// The user agent in `mining.subscribe`.
    pub fn user_agent(self) -> &'static str {
        match self {
            MinerModel::NerdMiner => "NerdMinerV2/V1.8.3",
            MinerModel::Bitaxe => "bitaxe/BM1370/v2.15.1",
            MinerModel::Cgminer => "cgminer/4.13.6",
            MinerModel::Cpuminer => "cpuminer/2.5.1",
        }
    }

    /// Time limit of a connection attempt.
    pub(super) fn connect_timeout(self) -> Duration {
        Duration::from_secs(match self {
            MinerModel::NerdMiner => 3,
            MinerModel::Bitaxe => 5,
            MinerModel::Cgminer => 2,
            MinerModel::Cpuminer => 30,
        })
    }

    /// Seconds it waits after a failed connection; a NerdMiner waits a random time within the range.
    pub(super) fn retry_wait(self) -> std::ops::RangeInclusive<u64> {
        match self {
            MinerModel::NerdMiner => 1..=60,
            MinerModel::Bitaxe | MinerModel::Cgminer => 5..=5,
            MinerModel::Cpuminer => 30..=30,
        }
    }

    /// Time limit of the answers during its handshake.
    pub(super) fn answer_timeout(self) -> Option<Duration> {
        match self {
            MinerModel::NerdMiner => Some(Duration::from_secs(1)),
            MinerModel::Bitaxe => None,
            MinerModel::Cgminer => Some(Duration::from_secs(60)),
            MinerModel::Cpuminer => Some(Duration::from_secs(30)),
        }
    }

    /// Time without a line (a NerdMiner: without a job) after which it reconnects.
    pub(super) fn silence_timeout(self) -> Option<Duration> {
        match self {
            MinerModel::NerdMiner => Some(Duration::from_secs(600)),
            MinerModel::Bitaxe => None,
            MinerModel::Cgminer => Some(Duration::from_secs(90)),
            MinerModel::Cpuminer => Some(Duration::from_secs(120)),
        }
    }

    /// The difficulty that it suggests, if any. A Bitaxe writes an integer.
    pub(super) fn suggested_difficulty(self) -> Option<Value> {
        match self {
            MinerModel::NerdMiner => Some(json!(0.000_15)),
            MinerModel::Bitaxe => Some(json!(1000)),
            MinerModel::Cgminer | MinerModel::Cpuminer => None,
        }
    }

    /// The id of its first request.
    pub(super) fn first_id(self) -> u64 {
        if self == MinerModel::Cgminer { 0 } else { 1 }
    }

    /// True if a difficulty holds for the job that is being worked on, too.
    pub(super) fn takes_difficulty_at_once(self) -> bool {
        self == MinerModel::NerdMiner
    }

    /// True if it knows `mining.set_extranonce` and `mining.set_version_mask`.
    pub(super) fn knows_extensions(self) -> bool {
        matches!(self, MinerModel::Bitaxe | MinerModel::Cgminer)
    }

    /// True if a share must be harder than the difficulty, not just as hard.
    pub(super) fn is_strict(self) -> bool {
        self == MinerModel::NerdMiner
    }

    /// The nonce it begins a job with.
    pub(super) fn first_nonce(self) -> Nonce {
        if self == MinerModel::NerdMiner { Nonce(0xda54_e700) } else { Nonce(0) }
    }

    /// Its extranonce2 number `counter` of a job.
    pub(super) fn extranonce2(self, counter: u64, size: Extranonce2Size) -> Extranonce2 {
        if self != MinerModel::NerdMiner {
            return Extranonce2::from_counter(counter, size);
        }
        // A constant for the sizes it knows, and the one of 4 bytes, which is wrong, for others.
        let length = if matches!(size.bytes(), 2 | 4 | 8) { size.bytes() } else { 4 };
        let mut bytes = vec![0; length];
        bytes[length - 1] = 1;
        Extranonce2::from_bytes(bytes)
    }

    /// The version it hashes after `turn` changes, and the bits it submits for it.
    pub(super) fn roll(self, job: Version, mask: VersionMask, turn: u32) -> (Version, VersionBits) {
        // The turn's bits, put where the mask has its lowest.
        let rolled = turn.checked_shl(mask.0.trailing_zeros()).unwrap_or(0) & mask.0;
        let convention = match self {
            MinerModel::Bitaxe => VersionConvention::Xor,
            _ => VersionConvention::Or,
        };
        let version = convention.apply(job, mask, VersionBits(rolled));
        (version, VersionBits(rolled))
    }

    /// The params of its submit.
    pub(super) fn submit_params(self, worker: &str, share: &FoundShare) -> Value {
        let nonce = match self {
            // Unpadded.
            MinerModel::NerdMiner => format!("{:x}", share.nonce.0),
            _ => share.nonce.to_string(),
        };
        let mut params = vec![
            worker.to_owned(),
            share.job_id.to_string(),
            share.extranonce2.to_string(),
            share.ntime.to_string(),
            nonce,
        ];
        if self == MinerModel::Bitaxe || (self == MinerModel::Cgminer && share.rolling) {
            params.push(share.version_bits.to_string());
        }
        json!(params)
    }

    /// A request as one line with its end, its keys in the order this miner writes them.
    pub(super) fn request(self, id: u64, method: &str, params: &Value) -> String {
        let params_first = match self {
            MinerModel::NerdMiner => method == "mining.authorize",
            MinerModel::Cgminer => method == "mining.submit",
            MinerModel::Bitaxe | MinerModel::Cpuminer => false,
        };
        if params_first {
            format!("{{\"params\": {params}, \"id\": {id}, \"method\": \"{method}\"}}\n")
        } else if self == MinerModel::Cpuminer && method == "mining.submit" {
            format!("{{\"method\": \"{method}\", \"params\": {params}, \"id\":{id}}}\n")
        } else {
            format!("{{\"id\": {id}, \"method\": \"{method}\", \"params\": {params}}}\n")
        }
    }

    /// Its interpretation of an answer to a share.
    pub(super) fn verdict(self, answer: &Envelope<'_>) -> ResponseVerdict {
        if self != MinerModel::NerdMiner {
            return ResponseVerdict::of(answer);
        }
        // An error that is an array or an object; everything else is good news.
        let error = answer.error.map_or("", |error| error.get());
        if error.starts_with(['[', '{']) { ResponseVerdict::of(answer) } else { ResponseVerdict::Accepted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> FoundShare {
        FoundShare {
            job_id: JobId::from_counter(0xbf),
            extranonce2: Extranonce2::from_bytes(vec![0, 0, 0, 1]),
            ntime: Ntime(0x504e_86ed),
            nonce: Nonce(0xe4_f2a1),
            version_bits: VersionBits(0xa000),
            rolling: true,
        }
    }

    #[test]
    fn submits_look_like_those_of_the_real_ones() {
        let line =
            |habit: MinerModel, id| habit.request(id, "mining.submit", &habit.submit_params("w", &share()));
        assert_eq!(
            line(MinerModel::NerdMiner, 4),
            "{\"id\": 4, \"method\": \"mining.submit\", \"params\": [\"w\",\"bf\",\"00000001\",\"504e86ed\",\"e4f2a1\"]}\n"
        );
        assert_eq!(
            line(MinerModel::Cgminer, 3),
            "{\"params\": [\"w\",\"bf\",\"00000001\",\"504e86ed\",\"00e4f2a1\",\"0000a000\"], \"id\": 3, \"method\": \"mining.submit\"}\n"
        );
        assert_eq!(
            line(MinerModel::Cpuminer, 4),
            "{\"method\": \"mining.submit\", \"params\": [\"w\",\"bf\",\"00000001\",\"504e86ed\",\"00e4f2a1\"], \"id\":4}\n"
        );
    }

    #[test]
    fn only_a_nerdminer_is_deceived() {
        for line in [
            &br#"{"id":4,"result":false,"error":null,"reject-reason":"Above target"}"#[..],
            br#"{"id":4,"result":false,"error":"Invalid worker name"}"#,
            br#"{"id":4,"result":false,"error":null}"#,
        ] {
            let answer = Envelope::read(line).unwrap();
            for habit in MinerModel::ALL {
                assert_eq!(habit.verdict(&answer).is_accepted(), habit == MinerModel::NerdMiner);
            }
        }
        let answer = Envelope::read(br#"{"id":4,"result":null,"error":[21,"Stale",null]}"#).unwrap();
        assert!(MinerModel::ALL.into_iter().all(|habit| !habit.verdict(&answer).is_accepted()));
    }

    #[test]
    fn the_nerdminers_extranonce2_is_constant() {
        let text =
            |size| MinerModel::NerdMiner.extranonce2(7, Extranonce2Size::new(size).unwrap()).to_string();
        assert_eq!((text(2).as_str(), text(4).as_str()), ("0001", "00000001"));
        assert_eq!((text(8).as_str(), text(6).as_str()), ("0000000000000001", "00000001"));
    }

    #[test]
    fn rolled_versions_stay_inside_the_mask_and_can_be_rebuilt() {
        let job = Version(0x2000_0004);
        for habit in [MinerModel::Bitaxe, MinerModel::Cgminer] {
            for turn in [0, 1, 65_535, 65_536] {
                let (version, bits) = habit.roll(job, VersionMask::BIP320, turn);
                assert!(VersionMask::BIP320.allows(bits));
                for convention in VersionConvention::ALL {
                    assert_eq!(convention.apply(job, VersionMask::BIP320, bits), version);
                }
            }
        }
        assert_eq!(MinerModel::Bitaxe.roll(job, VersionMask(0), 5), (job, VersionBits(0)));
    }
}
