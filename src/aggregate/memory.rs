//! What is remembered of miners that have left: a machine that comes back after the pool's failure
//! goes on at its own difficulty.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::stratum::Difficulty;

/// The most machines that are remembered; each takes about 200 bytes.
const MOST: usize = 10_000;

/// A machine: where it is, and what it calls itself. Two alike share an entry, which is a first guess
/// only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Machine {
    address: IpAddr,
    user_agent: String,
}

/// The last difficulty of each machine.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    difficulties: HashMap<Machine, Difficulty>,
    /// The oldest first.
    order: VecDeque<Machine>,
}

impl Memory {
    pub(super) fn remember(&self, address: IpAddr, user_agent: &str, difficulty: Difficulty) {
        let machine = Machine { address, user_agent: user_agent.to_owned() };
        let mut entries = self.lock();
        if entries.difficulties.insert(machine.clone(), difficulty).is_none() {
            entries.order.push_back(machine);
        }
        if entries.order.len() > MOST {
            if let Some(oldest) = entries.order.pop_front() {
                entries.difficulties.remove(&oldest);
            }
        }
    }

    pub(super) fn recall(&self, address: IpAddr, user_agent: &str) -> Option<Difficulty> {
        let machine = Machine { address, user_agent: user_agent.to_owned() };
        self.lock().difficulties.get(&machine).copied()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
