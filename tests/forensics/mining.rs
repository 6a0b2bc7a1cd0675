//! Miners find shares, pools judge them.

use sluice::stratum::{Nbits, Nonce, Ntime, Version, encode_hex};
use sluice::work::{Header, Txid, double_sha256, merkle_root, share_difficulty};

use sluice::tap::Direction;

use super::{SECOND, Sent, WAY, What, World};

impl World {
    /// Draws when the miner finds its next share. Finding has no memory.
    pub fn next_share(&mut self, miner: usize) {
        let Some(job) = &self.miners[miner].job else { return };
        let mean = job.difficulty * 2_f64.powi(32) / self.miners[miner].hash_rate;
        self.miners[miner].generation += 1;
        let generation = self.miners[miner].generation;
        if mean.is_finite() {
            let wait = self.exponential(mean);
            self.after(wait, What::Share(miner, generation));
        }
    }

    pub fn set_hash_rate(&mut self, miner: usize, hash_rate: f64) {
        self.miners[miner].hash_rate = hash_rate;
        self.next_share(miner);
    }

    pub(super) fn share(&mut self, miner: usize) {
        let Some(session) = self.miners[miner].session else { return };
        let Some(job) = self.miners[miner].job.clone() else { return };
        let sloppy = self.miners[miner].sloppy;
        let size = self.pools[self.sessions[session].pool].habit.extranonce2;
        let extranonce2 = self.random.bytes(size);
        let extranonce1 = self.sessions[session].link.extranonce1.clone();
        let mut bytes = job.coinb1.clone();
        bytes.extend(&extranonce1);
        bytes.extend(&extranonce2);
        bytes.extend(&job.coinb2);
        let ntime = (i64::from(job.ntime) + self.miners[miner].ntime) as u32;
        let mut header = Header {
            version: Version(0x2000_0000),
            parent: job.parent,
            merkle_root: merkle_root(&Txid::from_bytes(double_sha256(&bytes)), &job.branches),
            ntime: Ntime(ntime),
            nbits: Nbits(job.nbits),
            nonce: Nonce(self.random.next() as u32),
        };
        let (least, most) = match sloppy {
            1.0 => (job.difficulty, f64::INFINITY),
            sloppy => (job.difficulty * sloppy, job.difficulty * 0.5),
        };
        let (hash, worth) = loop {
            let hash = header.hash();
            let worth = share_difficulty(&hash);
            if (least..most).contains(&worth) {
                break (hash, worth);
            }
            header.nonce.0 = header.nonce.0.wrapping_add(1);
        };
        let times = if self.miners[miner].stutters { 2 } else { 1 };
        for _ in 0..times {
            self.sessions[session].ids += 1;
            let id = self.sessions[session].ids;
            let line = format!(
                "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"{}\",\"{}\",\"{}\",\"{ntime:08x}\",\"{:08x}\"]}}\n",
                self.miners[miner].worker,
                job.id,
                encode_hex(&extranonce2),
                header.nonce.0
            );
            if let Some(answer) = self.by_proxy(id) {
                self.said_to_miner(session, Direction::Up, line.as_bytes());
                self.after(WAY, What::SaysItself(session, answer.into_bytes()));
                continue;
            }
            self.said(session, Direction::Up, line.as_bytes());
            let sent = Sent { id, job: job.id.clone(), hash, worth };
            self.after(WAY, What::Arrives(session, Box::new(sent)));
        }
    }

    /// The proxy's own answer, if there is a proxy and it answers.
    fn by_proxy(&mut self, id: u64) -> Option<String> {
        let shared = self.shared?;
        if shared.is_cut_off {
            let refusal = "[20,\"The connection to the pool was lost\",null]";
            return Some(format!("{{\"id\":{id},\"result\":null,\"error\":{refusal}}}\n"));
        }
        let is_counted = shared.counted > 0.0 && self.chance() < shared.counted;
        is_counted.then(|| format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n"))
    }

    pub(super) fn answer(&mut self, session: usize, sent: Sent) {
        let pool = self.sessions[session].pool;
        if self.pools[pool].habit.swallows {
            return;
        }
        let link = &self.sessions[session].link;
        let mut fault = self.pools[pool].judge(link, &sent.job, sent.hash, sent.worth);
        if let (None, Some((part, words))) = (fault, self.pools[pool].habit.refuses) {
            let code = if words == "Above target" { 23 } else { 20 };
            fault = (self.chance() < part).then_some((code, words));
        }
        let link = &mut self.sessions[session].link;
        link.counted.1 += u32::from(fault.is_none());
        link.seen.insert(sent.hash);
        if fault.is_none() {
            self.pools[pool].accepted += link.difficulty;
        }
        let answer = match fault {
            None => format!("{{\"id\":{},\"result\":true,\"error\":null}}\n", sent.id),
            Some((code, words)) => {
                format!("{{\"id\":{},\"result\":null,\"error\":[{code},\"{words}\",null]}}\n", sent.id)
            }
        };
        self.after(WAY, What::Says(session, answer.into_bytes()));
        if self.pools[pool].habit.clean_with_difficulty && self.pools[pool].habit.vardiff.is_some() {
            let before = self.sessions[session].link.difficulty;
            if self.sessions[session].link.counted.1 >= 8 {
                self.vardiff(session);
            }
            if self.sessions[session].link.difficulty != before {
                self.notify(session, true);
            }
        }
    }

    pub(super) fn vardiff(&mut self, session: usize) {
        let pool = self.sessions[session].pool;
        let Some(target) = self.pools[pool].habit.vardiff else { return };
        let link = &mut self.sessions[session].link;
        let seconds = (self.now - link.counted.0) as f64 / SECOND;
        if link.counted.1 < 8 && seconds < 8.0 * target {
            return;
        }
        let ratio = f64::from(link.counted.1.max(1)) * target / seconds;
        if !(0.5..2.0).contains(&ratio) {
            link.difficulty *= ratio.clamp(1.0 / 64.0, 64.0);
        }
        link.counted = (self.now, 0);
    }
}
