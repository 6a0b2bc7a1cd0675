//! The part of the analyzer's queue that one direction of one session may fill. Without a limit one flooding peer
//! could take the whole queue, and the copies of all others would be lost.
//!
//! A direction of an established session, whose miner has had a share accepted or has been here for a minute, may fill
//! three quarters of the queue. Above that, it may have one copy in the queue for each sixteen free places. A hundred
//! floods in a queue of 16,384 have 141 copies each and leave 2,260 places free. A peer with few copies therefore always
//! finds a place, even while the analyzer is stopped. Each direction has its own limit, so that a flooding pool cannot
//! hide its miner's bytes, nor the other way round.
//!
//! A peer can make new sessions one after the other, and each has its part. So the direction of a session that is not
//! established may fill half of the queue; above that it may have one copy for each 32 free places, and the last 1/32 of
//! all places is for established sessions alone.
//!
//! An address has no further limit: `[ratelimit]` allows it 100 connections, and bans it if it sends garbage.

use super::Role;

/// The part of the places that is free in a quiet queue, for established sessions and for new ones.
const QUIET_FREE_PART: usize = 4;
const QUIET_FREE_PART_FOR_NEW: usize = 2;
/// The free places that a direction needs for each of its copies in a queue that is not quiet.
const FREE_PER_COPY: usize = 16;
const FREE_PER_COPY_FOR_NEW: usize = 32;
/// The part of the places that is kept for established sessions.
const ESTABLISHED_PART: usize = 32;
/// The limit of a pool connection in aggregate mode, as a multiple: it carries the shares and answers of all miners.
const POOL_WEIGHT: usize = 8;

/// Returns whether a direction with `waiting` copies in the queue may add another one. Counts the free places only if
/// they matter.
pub(crate) fn has_room(
    role: Role,
    is_established: bool,
    waiting: usize,
    capacity: usize,
    free: impl FnOnce() -> usize,
) -> bool {
    // A few copies are always allowed: 16 with the default queue.
    let has_few = waiting < (capacity / 1024).clamp(2, 16);
    if has_few && is_established {
        return true;
    }
    let free = free();
    let (quiet_part, free_per_copy) = match is_established {
        true => (QUIET_FREE_PART, FREE_PER_COPY),
        false => (QUIET_FREE_PART_FOR_NEW, FREE_PER_COPY_FOR_NEW),
    };
    let kept_free = capacity / quiet_part;
    let limit = if free >= kept_free { capacity - kept_free } else { free / free_per_copy };
    let weight = match role {
        Role::Direct | Role::Miner => 1,
        Role::Pool => POOL_WEIGHT,
    };
    (has_few || waiting < limit.saturating_mul(weight))
        && (is_established || free > capacity / ESTABLISHED_PART)
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
                    let is_put_in = free > 0 && has_room(*role, true, waiting[place], QUEUE, || free);
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
            assert!(has_room(Role::Miner, true, least - 1, QUEUE, || free), "{floods}");
        }
        assert_eq!(filled(&[Role::Direct], true), [QUEUE / 4 * 3]);
        let free = QUEUE - filled(&vec![Role::Miner; 900], true).iter().sum::<usize>();
        assert!(has_room(Role::Miner, true, 15, QUEUE, || free) && free > 200, "{free}");
    }

    #[test]
    fn a_new_session_has_less_of_the_queue_and_none_of_the_last_places() {
        let new = |waiting, free| has_room(Role::Miner, false, waiting, QUEUE, || free);
        assert!(new(QUEUE / 2 - 1, QUEUE / 2) && !new(QUEUE / 2, QUEUE / 2));
        assert!(new(124, 4000) && !new(125, 4000));
        assert!(new(15, QUEUE / 32 + 1) && !new(0, QUEUE / 32));
        assert!(has_room(Role::Miner, true, 15, QUEUE, || 1));
    }

    #[test]
    fn a_pools_connection_has_more_than_a_miners() {
        let mut roles = vec![Role::Miner; 100];
        roles.push(Role::Pool);
        let full = filled(&roles, true);
        assert!(full[100] >= 5 * full[0], "{full:?}");
    }
}
