//! The thread that hashes.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::options::SimHashRate;
use super::shared::SimMinerShared;
use super::work::Search;
use crate::util::stop::Stopped;
use crate::work::share_difficulty;

/// Hashes between two checks for new work: a few milliseconds.
const BATCH: u32 = 4096;

/// The time between two looks of a stalled miner at whether it hashes again.
const STALLED_REST: Duration = Duration::from_millis(50);

/// Hashes until the miner is stopped.
pub(super) fn hash(shared: &SimMinerShared) -> Result<(), Stopped> {
    let mut pace = HashPace::new(shared.options.hash_rate_limit);
    let mut best = BestHash { high: u32::MAX, difficulty: 0.0 };
    let mut search: Option<Search> = None;
    while let Some((work, generation)) = shared.wait_for_work() {
        let mut current = match search.take() {
            Some(mut search) => {
                search.switch(work);
                search
            }
            None => Search::new(work, shared.options.model),
        };
        work_off(shared, &mut current, generation, &mut pace, &mut best);
        search = Some(current);
    }
    Ok(())
}

/// Hashes until there is other work, and for `job_switch_delay` from then on.
fn work_off(
    shared: &SimMinerShared,
    search: &mut Search,
    mut generation: u64,
    pace: &mut HashPace,
    best: &mut BestHash,
) {
    let mut switch_at = None;
    loop {
        if shared.generation() != generation {
            generation = shared.generation();
            switch_at.get_or_insert_with(|| Instant::now() + shared.options.job_switch_delay);
        }
        if shared.stop.is_stopped() || switch_at.is_some_and(|at| at <= Instant::now()) {
            return;
        }
        if shared.is_stalled.load(Ordering::Relaxed) {
            shared.rest(generation, STALLED_REST);
            continue;
        }
        run(shared, search, pace.batch(), generation, best);
        pace.wait(shared, generation);
    }
}

/// The best hash of the miner's life.
struct BestHash {
    /// Its highest 32 bits.
    high: u32,
    difficulty: f64,
}

fn run(shared: &SimMinerShared, search: &mut Search, batch: u32, generation: u64, best: &mut BestHash) {
    let mut hashes = 0;
    for _ in 0..batch {
        hashes += 1;
        let Some((nonce, hash)) = search.step(best.high) else {
            continue;
        };
        let difficulty = share_difficulty(&hash);
        if difficulty > best.difficulty {
            *best = BestHash { high: high(hash.as_bytes()), difficulty };
            shared.stats.update(|stats| stats.best_difficulty = difficulty);
        }
        if search.is_share(&hash) {
            shared.submit(search.connection(), &search.share(nonce));
            if shared.generation() != generation {
                break;
            }
        }
    }
    shared.stats.update(|stats| stats.hashes += hashes);
}

fn high(hash: &[u8; 32]) -> u32 {
    u32::from_le_bytes([hash[28], hash[29], hash[30], hash[31]])
}

/// Keeps a miner at its hash rate.
struct HashPace {
    limit: Option<SimHashRate>,
    /// When the next batch is due.
    due: Instant,
}

impl HashPace {
    fn new(limit: Option<SimHashRate>) -> HashPace {
        HashPace { limit: limit.filter(|rate| rate.0 > 0.0), due: Instant::now() }
    }

    /// Twenty batches a second, as far as that goes.
    fn batch(&self) -> u32 {
        match self.limit {
            Some(rate) => ((rate.0 / 20.0) as u32).clamp(1, BATCH),
            None => BATCH,
        }
    }

    fn wait(&mut self, shared: &SimMinerShared, generation: u64) {
        let Some(rate) = self.limit else { return };
        self.due += Duration::from_secs_f64(f64::from(self.batch()) / rate.0);
        let now = Instant::now();
        if self.due + Duration::from_secs(1) < now {
            // Far behind, for lack of work or CPU time: the backlog is dropped.
            self.due = now;
        }
        while Instant::now() < self.due && shared.generation() == generation {
            shared.rest(generation, self.due.saturating_duration_since(Instant::now()));
        }
    }
}
