//! The part of the analyzer's queue that one direction of one session may fill. Without a limit one flooding peer
//! could take the whole queue, and the copies of all others would be lost.
//!
//! While the queue is less than three quarters full, a single direction may fill those three quarters. Above that, a
//! direction may have one copy in the queue for each sixteen free places. A hundred floods in a queue of 16,384 have
//! 141 copies each and leave 2,260 places free. A peer with few copies therefore always finds a place, even while the
//! analyzer is stopped. Each direction has its own limit, so that a flooding pool cannot hide its miner's bytes, nor
//! the other way round.
//!
//! A peer that floods and reconnects has a few copies of each of its connections in the queue. The last 1/32 of
//! the places is therefore for established sessions: those that have had a share accepted, or are a minute old.
//!
//! An address has no further limit: `[ratelimit]` allows it 100 connections.

use super::Role;

/// The queue is quiet while at least one in this many places is free.
const QUIET_FREE_PART: usize = 4;
/// The free places that a direction needs for each of its copies in a queue that is not quiet.
const FREE_PER_COPY: usize = 16;
/// The limit of a pool connection in aggregate mode, as a multiple: it carries the shares and answers of all miners.
const POOL_WEIGHT: usize = 8;

/// The part of the places that is kept for established sessions. Many that flood leave more to a newcomer.
const ESTABLISHED_PART: usize = 32;

/// The free places that only established sessions may use.
pub(crate) fn places_of_established(capacity: usize) -> usize {
    capacity / ESTABLISHED_PART
}

/// Returns whether a direction with `waiting` copies in the queue may add another one. Counts the free places only if
/// they matter.
pub(crate) fn has_room(role: Role, waiting: usize, capacity: usize, free: impl FnOnce() -> usize) -> bool {
    // A few copies are always allowed: 16 with the default queue.
    if waiting < (capacity / 1024).clamp(2, 16) {
        return true;
    }
    let weight = match role {
        Role::Direct | Role::Miner => 1,
        Role::Pool => POOL_WEIGHT,
    };
    let free = free();
    let kept_free = capacity / QUIET_FREE_PART;
    let limit = if free >= kept_free { capacity - kept_free } else { free / FREE_PER_COPY };
    waiting < limit.saturating_mul(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: usize = 16_384;

    /// The copies of each direction after all have added as many as they may, in turn or one after the other.
    fn filled(roles: &[Role], in_turn: bool) -> Vec<usize> {
        let mut waiting = vec![0; roles.len()];
        loop {
            let before = waiting.clone();
            for (place, role) in roles.iter().enumerate() {
                loop {
                    let free = QUEUE - waiting.iter().sum::<usize>();
                    let is_put_in = free > 0 && has_room(*role, waiting[place], QUEUE, || free);
                    waiting[place] += usize::from(is_put_in);
                    if in_turn || !is_put_in {
                        break;
                    }
                }
            }
            if waiting == before {
                return waiting;
            }
        }
    }

    #[test]
    fn many_that_flood_leave_room_for_one_more() {
        for (floods, in_turn, least) in
            [(1, true, 250), (10, true, 250), (100, true, 140), (10, false, 140), (40, false, 20)]
        {
            let full = filled(&vec![Role::Miner; floods], in_turn);
            let free = QUEUE - full.iter().sum::<usize>();
            assert!(free / FREE_PER_COPY >= least, "{floods}: {free}");
            assert!(has_room(Role::Miner, least - 1, QUEUE, || free), "{floods}");
        }
        assert_eq!(filled(&[Role::Direct], true), [QUEUE / 4 * 3]);
        let free = QUEUE - filled(&vec![Role::Miner; 900], true).iter().sum::<usize>();
        assert!(has_room(Role::Miner, 15, QUEUE, || free) && free > 200, "{free}");
    }

    #[test]
    fn a_pools_connection_has_more_than_a_miners() {
        let mut roles = vec![Role::Miner; 100];
        roles.push(Role::Pool);
        let full = filled(&roles, true);
        assert!(full[100] >= 5 * full[0], "{full:?}");
    }
}
