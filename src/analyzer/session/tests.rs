//! When a doubt or an excuse ends, on a clock of the test's own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::session_tracker::SessionTracker;
use super::super::setup::Setup;
use crate::config::AnalysisConfig;
use crate::net::Stamp;
use crate::stratum::Difficulty;
use crate::tap::{Conversation, Direction, SessionId, TapBytes};

/// BIP173's example, which is the miner's name.
const OWNER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const OWNERS_SCRIPT: &str = "0014751e76e8199196d454941c45d1b3a323f1433bd6";
const STRANGERS_SCRIPT: &str = "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac";
const BEGIN: u64 = 1_790_000_000;
const HALF_SECOND: i64 = 500_000_000;

/// An analyzer with some sessions at one pool.
struct Site {
    tracker: SessionTracker,
    now: Stamp,
    sessions: Vec<Arc<Conversation>>,
    shares: u32,
}

impl Site {
    /// With one session, whose pool has answered the subscribe. Every hash is a share, and has work enough.
    fn new() -> Site {
        let least_proof = Difficulty::new(1e-12).unwrap();
        let setup = Setup { least_proof, ..Setup::plain(&AnalysisConfig::default()) };
        let now = Stamp::from_nanos(BEGIN * 1_000_000_000);
        let mut site =
            Site { tracker: SessionTracker::new(setup, now), now, sessions: Vec::new(), shares: 0 };
        site.join();
        site
    }

    fn join(&mut self) {
        let peer = "127.0.0.1:1".parse().unwrap();
        let id = SessionId(self.sessions.len() as u64 + 1);
        let conversation = Conversation::new(id, peer, self.now);
        conversation.set_upstream(0);
        self.sessions.push(Arc::new(conversation));
        self.say(Direction::Up, "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"x\"]}\n", false);
        self.down("{\"id\":1,\"result\":[[],\"08000002\",4],\"error\":null}\n");
        self.down("{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1e-12]}\n");
    }

    fn say(&mut self, direction: Direction, text: &str, after_gap: bool) {
        self.now = self.now.shifted(1000);
        let bytes = text.as_bytes().into();
        let chunk = TapBytes { direction, bytes, readable_at: self.now, sent_at: self.now, after_gap };
        let conversation = self.sessions[self.sessions.len() - 1].clone();
        self.tracker.read(&conversation, &chunk);
    }

    /// In the newest session.
    fn down(&mut self, text: &str) {
        self.say(Direction::Down, text, false);
    }

    fn lose_copies(&mut self) {
        self.say(Direction::Down, "the end of a line}\n", true);
    }

    fn authorize(&mut self) {
        let asks = format!("{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{OWNER}.x\",\"\"]}}\n");
        self.say(Direction::Up, &asks, false);
        self.down("{\"id\":2,\"result\":true,\"error\":null}\n");
    }

    fn job(&mut self, id: &str, script: &str) {
        self.job_on("00", id, script);
    }

    /// A job for the block after one with this byte in its hash.
    fn job_on(&mut self, before: &str, id: &str, script: &str) {
        let (length, number) = (script.len() / 2, self.now.as_nanos() as u32);
        let ntime = self.now.as_nanos() / 1_000_000_000;
        self.down(&format!(
            "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{id}\",\"{}\",\"0100000001{}ffffffff\
             100369c10e{number:08x}\",\"ffffffff0100f2052a01000000{length:02x}{script}00000000\",[],\
             \"20000000\",\"17023a04\",\"{ntime:08x}\",false]}}\n",
            before.repeat(32),
            "00".repeat(32)
        ));
    }

    /// A share for the job with this id, which the pool accepts.
    fn share(&mut self, job: &str) {
        self.shares += 1;
        let (id, number) = (100 + self.shares, self.shares);
        let ntime = BEGIN;
        self.say(
            Direction::Up,
            &format!(
                "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"{OWNER}.x\",\"{job}\",\
                 \"{number:08x}\",\"{ntime:08x}\",\"{number:08x}\"]}}\n"
            ),
            false,
        );
        self.down(&format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n"));
    }

    fn wait(&mut self, seconds: u32) {
        for _ in 0..2 * seconds {
            self.now = self.now.shifted(HALF_SECOND);
            self.tracker.tick(self.now);
        }
    }

    fn close(&mut self) {
        let id = self.sessions[self.sessions.len() - 1].id;
        self.tracker.close(id, self.now);
    }

    /// How often this alert was raised.
    fn alerts(&mut self, id: &str) -> u64 {
        self.tracker.snapshot(self.now).alerts.counts.get(id).copied().unwrap_or_default()
    }

    fn mismatches(&mut self) -> u64 {
        self.alerts("payout.mismatch")
    }

    fn is_unreadable(&mut self) -> bool {
        let view = self.tracker.snapshot(self.now).alerts;
        view.alerts.iter().any(|alert| alert.id == "job.unreadable" && alert.ended.is_none())
    }
}

#[test]
fn lost_copies_end_no_excuse() {
    for is_lost in [false, true] {
        let mut site = Site::new();
        site.job("a", STRANGERS_SCRIPT);
        if is_lost {
            site.lose_copies();
        }
        site.authorize();
        site.wait(20);
        assert_eq!(site.mismatches() == 0, is_lost);
    }
}

/// The right job may have been lost, and the miner shows that it has another one.
#[test]
fn a_share_ends_an_excuse_after_lost_copies() {
    let mut site = Site::new();
    site.job("a", STRANGERS_SCRIPT);
    site.lose_copies();
    site.authorize();
    site.wait(5);
    site.share("a");
    site.wait(4);
    assert_eq!(site.mismatches(), 0);
    site.wait(4);
    site.share("a");
    assert_eq!(site.mismatches(), 1);
}

#[test]
fn a_share_that_the_pool_accepts_ends_an_excuse_early() {
    let mut site = Site::new();
    site.job("a", STRANGERS_SCRIPT);
    site.authorize();
    site.wait(1);
    site.share("a");
    assert_eq!(site.mismatches(), 0);
    site.wait(2);
    site.share("a");
    assert_eq!(site.mismatches(), 1);
}

#[test]
fn a_session_that_ends_early_is_no_excuse() {
    for (seconds, is_lost, mismatches) in [(1, false, 0), (3, true, 0), (3, false, 1)] {
        let mut site = Site::new();
        site.job("a", STRANGERS_SCRIPT);
        site.authorize();
        site.wait(seconds);
        site.sessions[0].down.dropped.store(u64::from(is_lost), Ordering::Relaxed);
        site.close();
        assert_eq!(site.mismatches(), mismatches, "{seconds} s, {is_lost}");
    }
    // A pool that gives the miner a job of its own is honest.
    let mut site = Site::new();
    site.job("a", STRANGERS_SCRIPT);
    site.authorize();
    site.job("b", OWNERS_SCRIPT);
    site.wait(3);
    site.share("b");
    site.close();
    assert_eq!(site.mismatches(), 0);
}

#[test]
fn a_share_for_an_excused_job_long_after_a_good_one_ends_the_excuse() {
    let mut site = Site::new();
    site.job("a", STRANGERS_SCRIPT);
    site.authorize();
    site.job("b", OWNERS_SCRIPT);
    site.wait(5);
    site.share("a");
    assert_eq!(site.mismatches(), 0, "it was on its way");
    site.wait(6);
    site.share("a");
    assert_eq!(site.mismatches(), 1);
}

#[test]
fn an_excused_job_does_not_keep_unreadable_work_open() {
    let mut site = Site::new();
    site.job("a", STRANGERS_SCRIPT);
    site.authorize();
    site.job("b", OWNERS_SCRIPT);
    site.join();
    site.down("xx{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"c\"]}\n");
    site.wait(1);
    assert!(site.is_unreadable());
    site.close();
    site.wait(120);
    assert!(!site.is_unreadable());
}

/// A good job that the miner drops does not excuse the pool any longer, nor does losing copies for ever.
#[test]
fn lost_copies_excuse_shares_for_unknown_jobs_for_a_while() {
    let mut site = Site::new();
    site.authorize();
    site.job("a", OWNERS_SCRIPT);
    site.lose_copies();
    site.job("b", OWNERS_SCRIPT);
    site.wait(100);
    site.share("x");
    assert_eq!(site.alerts("job.unreadable"), 0);
    site.wait(30);
    site.share("x");
    assert_eq!(site.alerts("job.unreadable"), 1);
    for is_honest in [true, false] {
        let mut site = Site::new();
        site.authorize();
        for minute in 0..40 {
            let id = format!("j{minute}");
            site.lose_copies();
            site.share("x");
            site.job(&id, OWNERS_SCRIPT);
            if is_honest {
                site.share(&id);
            }
            site.wait(60);
        }
        assert_eq!(site.alerts("job.unreadable") == 0, is_honest);
    }
}

#[test]
fn only_a_job_for_another_block_is_a_new_block() {
    let mut site = Site::new();
    let new_blocks = |site: &mut Site| {
        site.wait(3);
        let view = site.tracker.snapshot(site.now);
        view.pools[0].new_block.map_or((0, 0), |block| (block.blocks, block.miners))
    };
    site.job_on("11", "a", OWNERS_SCRIPT);
    site.job_on("11", "b", OWNERS_SCRIPT);
    assert_eq!(new_blocks(&mut site), (0, 0), "the first job, and one for the same block");
    site.job_on("22", "c", OWNERS_SCRIPT);
    assert_eq!(new_blocks(&mut site), (1, 1));
    site.join();
    site.job_on("22", "a", OWNERS_SCRIPT);
    assert_eq!(new_blocks(&mut site), (1, 1), "a miner that connects");
    // The first job of the next block may be among what was lost or could not be read.
    site.lose_copies();
    site.job_on("33", "b", OWNERS_SCRIPT);
    site.down("{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"c\"]}\n");
    site.job_on("44", "d", OWNERS_SCRIPT);
    assert_eq!(new_blocks(&mut site), (1, 1));
    site.job_on("55", "e", OWNERS_SCRIPT);
    assert_eq!(new_blocks(&mut site), (2, 1));
}
