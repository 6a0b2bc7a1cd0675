//! Connections open, carry jobs and close.

use std::collections::HashSet;
use std::sync::Arc;

use sluice::stratum::encode_hex;
use sluice::tap::{Conversation, Direction, SessionId};

use super::{SECOND, Session, WAY, What, World};
use crate::forensics::blocks::{EASIEST, branches, coinbase, prevhash_text};
use crate::forensics::pool::{Job, Link};

impl Session {
    /// The ids of the jobs it was given, as long as the pool knows them.
    pub fn link_jobs(&self) -> Vec<String> {
        self.link.jobs.iter().map(|job| job.id.clone()).collect()
    }
}

impl World {
    /// The miner's connection breaks and the proxy knows at once, or not.
    pub fn disconnect(&mut self, miner: usize, is_known: bool) {
        let Some(session) = self.miners[miner].session.take() else { return };
        self.miners[miner].job = None;
        if is_known {
            self.close(session);
        } else {
            self.sessions[session].is_dead = true;
        }
    }

    pub fn close(&mut self, session: usize) {
        let Session { conversation, with_miner, .. } = &mut self.sessions[session];
        for conversation in [conversation.take(), with_miner.take()].into_iter().flatten() {
            self.replay.closed(&conversation);
        }
    }

    pub fn connect(&mut self, miner: usize, pool: usize) -> usize {
        let place = self.sessions.len();
        let id = SessionId(place as u64 + 1);
        let (address, now) = (self.miners[miner].address, self.stamp());
        let (conversation, with_miner) = match self.shared {
            None => (Conversation::new(id, address, now), None),
            Some(_) => {
                let of_pool = Conversation::with_pool(id, address, now);
                of_pool.set_upstream(pool);
                let of_miner = Conversation::with_miner(SessionId(id.0 + 1_000_000), address, now);
                of_miner.set_carrier(&of_pool);
                (of_pool, Some(Arc::new(of_miner)))
            }
        };
        conversation.set_upstream(pool);
        self.pools[pool].connections += 1;
        let (habit, connections) = (self.pools[pool].habit.clone(), self.pools[pool].connections);
        let number = if habit.same_space { 7 } else { connections };
        let mut extranonce1 = number.to_be_bytes().repeat(32);
        extranonce1.truncate(habit.extranonce1.max(4));
        extranonce1.truncate(habit.extranonce1);
        let link = Link {
            extranonce1,
            difficulty: habit.difficulty,
            jobs: Vec::new(),
            seen: HashSet::new(),
            counted: (self.now, 0),
            mark: number,
        };
        self.sessions.push(Session {
            conversation: Some(Arc::new(conversation)),
            with_miner,
            pool,
            miner,
            link,
            ids: 10,
            is_dead: false,
        });
        self.miners[miner].session = Some(place);
        let worker = self.miners[miner].worker.clone();
        let asks = format!(
            "{{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"virtual/1\"]}}\n{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{worker}\",\"x\"]}}\n"
        );
        self.said(place, Direction::Up, asks.as_bytes());
        let extranonce1 = encode_hex(&self.sessions[place].link.extranonce1);
        let subscribed = format!(
            "{{\"id\":1,\"result\":[[[\"mining.notify\",\"s\"]],\"{}\",{}],\"error\":null}}\n",
            habit.extranonce1_form.map_or(extranonce1.clone(), |form| form(&extranonce1)),
            habit.extranonce2
        );
        if habit.job_first {
            self.notify(place, habit.first_clean);
        }
        let authorized = match habit.refuses_workers {
            true => "{\"id\":2,\"result\":false,\"error\":[24,\"Unauthorized worker\",null]}\n",
            false => "{\"id\":2,\"result\":true,\"error\":null}\n",
        };
        self.after(2.0 * WAY, What::Says(place, subscribed.into_bytes()));
        if !habit.early_job {
            self.after(2.0 * WAY, What::Says(place, authorized.into()));
        }
        if !habit.job_first && !habit.workless {
            self.notify(place, habit.first_clean);
        }
        if habit.early_job {
            self.after(2.0 * WAY, What::Says(place, authorized.into()));
        }
        place
    }

    /// Something else the pool says to a session.
    pub fn pool_says(&mut self, session: usize, line: &str) {
        let line = format!("{line}\n");
        self.said(session, Direction::Down, line.as_bytes());
    }

    pub fn miner_says(&mut self, session: usize, line: &str) {
        let line = format!("{line}\n");
        self.said(session, Direction::Up, line.as_bytes());
    }

    pub(super) fn said(&mut self, session: usize, direction: Direction, bytes: &[u8]) {
        let stamp = self.stamp();
        if let Some(conversation) = self.sessions[session].conversation.clone() {
            self.replay.forwarded(&conversation, direction, bytes, stamp);
        }
        self.said_to_miner(session, direction, bytes);
    }

    /// Between miner and proxy, where there is one.
    pub(super) fn said_to_miner(&mut self, session: usize, direction: Direction, bytes: &[u8]) {
        let stamp = self.stamp();
        if let Some(conversation) = self.sessions[session].with_miner.clone() {
            self.replay.forwarded(&conversation, direction, bytes, stamp);
        }
    }

    pub(super) fn notify_all(&mut self, pool: usize, clean: bool) {
        if self.pools[pool].habit.mute || self.pools[pool].habit.workless {
            return;
        }
        for session in 0..self.sessions.len() {
            if self.sessions[session].pool == pool && self.sessions[session].conversation.is_some() {
                self.vardiff(session);
                self.notify(session, clean);
            }
        }
    }

    /// A job to one connection, with its difficulty in front.
    pub fn notify(&mut self, session: usize, clean: bool) {
        let Session { pool, miner, .. } = self.sessions[session];
        let (now, since) = (self.now / 1_000_000_000, self.now - self.pools[pool].block_at);
        let state = &mut self.pools[pool];
        let habit = state.habit.clone();
        state.jobs += 1;
        let id =
            if habit.decimal_ids { state.jobs.to_string() } else { format!("{:x}", state.jobs + 0xace0) };
        let id = id + &habit.id_tail;
        let is_easy = habit.easy_after.is_some_and(|after| since as f64 / SECOND > after);
        let nbits = if is_easy { EASIEST } else { habit.nbits };
        let ahead = if is_easy { 1201 - (since / 1_000_000_000) as i64 } else { 0 };
        let ntime = now as i64 + habit.ntime + ahead.max(0);
        let height = (i64::from(state.height) + 1 + habit.height) as u32;
        let outputs = state.outputs(&self.miners[miner].worker);
        let transactions = if state.is_empty { 0 } else { habit.transactions };
        let parent = state.parent;
        let room = habit.extranonce1 + habit.extranonce2;
        let mark = self.sessions[session].link.mark;
        let (coinb1, coinb2) = coinbase(habit.layout, height, &outputs, room, mark);
        let branches = branches(transactions, &mut self.random);
        let link = &mut self.sessions[session].link;
        let is_told = link.jobs.last().map(|job| job.difficulty) != Some(link.difficulty);
        let job = Job {
            id,
            difficulty: link.difficulty,
            parent,
            coinb1,
            coinb2,
            branches,
            ntime: ntime as u32,
            nbits,
            number: self.count,
            is_dead: false,
        };
        let has_new_block = link.jobs.last().is_some_and(|last| last.parent != parent);
        if clean || has_new_block {
            link.jobs.iter_mut().for_each(|job| job.is_dead = true);
        }
        if link.jobs.len() >= 16 {
            link.jobs.remove(0);
        }
        link.jobs.retain(|known| known.id != job.id);
        link.jobs.push(job.clone());
        let mut bytes = Vec::new();
        if is_told {
            bytes = format!(
                "{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{:e}]}}\n",
                job.difficulty
            )
            .into_bytes();
        }
        let hashes: Vec<String> =
            job.branches.iter().map(|branch| format!("\"{}\"", encode_hex(&branch.0))).collect();
        let line = format!(
            "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{}\",\"{}\",\"{}\",\"{}\",[{}],\"20000000\",\"{nbits:08x}\",\"{:08x}\",{clean}]}}",
            job.id,
            prevhash_text(&parent),
            encode_hex(&job.coinb1),
            encode_hex(&job.coinb2),
            hashes.join(","),
            job.ntime,
        );
        bytes.extend(habit.form.map_or(line.clone().into_bytes(), |form| form(&line)));
        bytes.push(b'\n');
        self.after(2.0 * WAY, What::Says(session, bytes));
        let takes = 2.0 * WAY + 0.02 + 0.2 * self.chance();
        self.after(takes, What::Takes(session, Box::new(job)));
    }
}
