//! Remembers the difficulty of miners that have left: a machine that reconnects after the pool's failure goes
//! on at its own difficulty.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::stratum::Difficulty;

/// Caps the machines that are remembered; each takes about 200 bytes.
const MAX_MACHINES: usize = 10_000;

/// A machine: its address and its user agent. Two alike share an entry, which is a first guess only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Machine {
    address: IpAddr,
    user_agent: String,
}

/// The last difficulty of each machine.
#[derive(Debug, Default)]
pub(crate) struct DifficultyCache(Mutex<CachedDifficulties>);

#[derive(Debug, Default)]
struct CachedDifficulties {
    /// The last difficulty, with the machine's number in `order`.
    difficulties: HashMap<Machine, (u64, Difficulty)>,
    /// The machines, those that left longest ago first.
    order: BTreeMap<u64, Machine>,
    last: u64,
}

impl DifficultyCache {
    pub(crate) fn remember(&self, address: IpAddr, user_agent: &str, difficulty: Difficulty) {
        let machine = Machine { address, user_agent: user_agent.to_owned() };
        let mut entries = self.0.lock();
        entries.last += 1;
        let number = entries.last;
        if let Some((before, _)) = entries.difficulties.insert(machine.clone(), (number, difficulty)) {
            entries.order.remove(&before);
        }
        entries.order.insert(number, machine);
        if entries.order.len() > MAX_MACHINES {
            if let Some((_, oldest)) = entries.order.pop_first() {
                entries.difficulties.remove(&oldest);
            }
        }
    }

    pub(crate) fn recall(&self, address: IpAddr, user_agent: &str) -> Option<Difficulty> {
        let machine = Machine { address, user_agent: user_agent.to_owned() };
        self.0.lock().difficulties.get(&machine).map(|(_, difficulty)| *difficulty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_that_left_longest_ago_is_dropped_first() {
        let memory = DifficultyCache::default();
        let remember = |agent: &str| memory.remember([127, 0, 0, 1].into(), agent, Difficulty::ONE);
        let knows = |agent: &str| memory.recall([127, 0, 0, 1].into(), agent).is_some();
        remember("busy");
        (1..MAX_MACHINES).for_each(|number| remember(&number.to_string()));
        // There is no room left when it leaves for the second time, and another one for the first.
        remember("busy");
        remember("new");
        assert!(knows("busy") && knows("new") && !knows("1") && knows("2"));
        let entries = memory.0.lock();
        assert_eq!((entries.order.len(), entries.difficulties.len()), (MAX_MACHINES, MAX_MACHINES));
    }
}
