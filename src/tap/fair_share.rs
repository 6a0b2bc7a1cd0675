//! The part of the analyzer's queue that one direction of one session may fill. Without a limit one peer that
//! floods takes the whole queue, and the copies of everybody else are lost.
//!
//! While the queue is less than three quarters full, each direction may fill those alone, so that a busy miner is
//! not limited by itself. Then the limit moves with the room that is left: a direction may have a sixteenth as many
//! copies waiting as there are free places. A hundred that flood a queue of 16,384 have 141 each and leave
//! 2,260 places free. So whoever has little waiting finds a place however many others flood, and also while the
//! analyzer takes nothing out. Both directions of a session have a limit of their own: a pool that floods must
//! not hide what its miner sends, nor the other way round.
//!
//! An address has no limit beside those of its connections: `[ratelimit]` allows it 100 of them.

use super::Role;

/// The queue is quiet while no less than this part of it is free.
const QUIET: usize = 4;
/// In a queue that is not quiet a direction needs so many free places for each copy that it has waiting.
const FREE_PER_COPY: usize = 16;
/// One connection to a pool carries the shares and answers of all miners in aggregate mode.
const POOL_WEIGHT: usize = 8;

/// Whether a direction with so many copies in the queue may put in another. Asks for the number of free places
/// only where it matters.
pub(crate) fn has_room(role: Role, waiting: usize, capacity: usize, free: impl FnOnce() -> usize) -> bool {
    // A few are never too many: 16 with the default queue.
    if waiting < (capacity / 1024).clamp(2, 16) {
        return true;
    }
    let weight = match role {
        Role::Direct | Role::Miner => 1,
        Role::Pool => POOL_WEIGHT,
    };
    let free = free();
    let kept_free = capacity / QUIET;
    let limit = if free >= kept_free { capacity - kept_free } else { free / FREE_PER_COPY };
    waiting < limit.saturating_mul(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: usize = 16_384;

    /// The copies that each has waiting when all put in as many as they may and nobody takes any out: in turn,
    /// or one after the other.
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
