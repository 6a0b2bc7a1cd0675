//! Everything that was read: the figures of all shares, of each worker and of each pool.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::absences::PauseFinder;
use super::input::UnreadableFile;
use super::jobs_seen::JobsSeen;
use super::selection::ReportSelection;
use super::series::BucketSeries;
use super::share_line::{ShareLine, ShareResult};
use super::tally::{DelayBucket, ShareTally};
use super::time_line::TimeLine;
use crate::record::SavedState;

/// Caps the workers that are told apart, the first that come. The others are one.
const MAX_WORKERS: usize = 1000;
/// Caps the pools that are told apart.
const MAX_POOLS: usize = 64;
/// Caps the kinds of rejection that are told apart.
const MAX_REASONS: usize = 200;
/// Caps the remembered hashes: a share that is sent twice is sent again soon.
const MAX_HASHES: usize = 65_536;
/// Caps the minutes with stale shares.
const MAX_STALE_MINUTES: usize = 50_000;
/// Caps the damaged rows that are named.
const MAX_DAMAGE_PLACES: usize = 20;
/// The name of the workers, or pools, that are too many.
const OTHERS: &str = "(others)";

/// Buckets over time: a year in hours for all, a week in half hours for one.
const BUCKETS_OF_ALL: usize = 9000;
const BUCKETS_OF_ONE: usize = 400;
const DELAY_BUCKETS: usize = 400;

/// The figures of the records.
#[derive(Debug)]
pub(super) struct Records {
    pub all: ShareTally,
    /// Times without a share from anybody. None if a selection, or another Sluice, hides who else mined.
    pub all_pauses: PauseFinder,
    pub delays: BucketSeries<DelayBucket>,
    pub workers: Vec<NamedTally>,
    pub pools: Vec<NamedTally>,
    pub reasons: BTreeMap<(String, String), u64>,
    /// Stale shares of each minute.
    pub stale_minutes: BTreeMap<i64, u32>,
    pub jobs: JobsSeen,
    pub time_line: TimeLine,
    pub states: Vec<SavedState>,
    pub damage: DamageLog,
    pub unreadable: Vec<UnreadableFile>,
    pub files: u64,
    pub bytes: u64,
    /// Rows that the selection leaves out.
    pub not_selected: u64,
    pub selection: ReportSelection,
    /// The directory of the first share, and whether others have shares as well.
    first_directory: Option<usize>,
    has_more_directories: bool,
    worker_places: HashMap<Box<str>, usize>,
    pool_places: HashMap<Box<str>, usize>,
    hashes: HashSet<u64>,
    hash_order: VecDeque<u64>,
    last_worker: usize,
    last_pool: usize,
}

/// The figures of a worker or a pool.
#[derive(Debug)]
pub(super) struct NamedTally {
    pub name: String,
    pub tally: ShareTally,
    pub pauses: PauseFinder,
    /// Only its shares at the selected pool are here, so nobody knows when it was away.
    pub is_part: bool,
    /// A worker's rejected and answered shares at each pool, in the order of the pools.
    pub by_pool: Vec<(u64, u64)>,
}

/// The rows that could not be read.
#[derive(Debug, Default)]
pub(super) struct DamageLog {
    pub rows: u64,
    /// The first ones.
    pub places: Vec<DamagedPlace>,
}

/// The place of a row that could not be read, and why.
#[derive(Debug, Clone)]
pub(super) struct DamagedPlace {
    pub file: String,
    pub line: u64,
    pub reason: &'static str,
}

impl Records {
    pub fn new() -> Records {
        Records {
            all: ShareTally::new(BUCKETS_OF_ALL),
            all_pauses: PauseFinder::default(),
            delays: BucketSeries::new(DELAY_BUCKETS),
            workers: Vec::new(),
            pools: Vec::new(),
            reasons: BTreeMap::new(),
            stale_minutes: BTreeMap::new(),
            jobs: JobsSeen::default(),
            time_line: TimeLine::default(),
            states: Vec::new(),
            damage: DamageLog::default(),
            unreadable: Vec::new(),
            files: 0,
            bytes: 0,
            not_selected: 0,
            selection: ReportSelection::default(),
            first_directory: None,
            has_more_directories: false,
            worker_places: HashMap::new(),
            pool_places: HashMap::new(),
            hashes: HashSet::with_capacity(MAX_HASHES + 1),
            hash_order: VecDeque::with_capacity(MAX_HASHES + 1),
            last_worker: usize::MAX,
            last_pool: usize::MAX,
        }
    }

    /// Counts a share of the Sluice in this directory.
    pub fn add_share(&mut self, share: &ShareLine<'_>, directory: usize) {
        let is_repeated = share.hash_key().is_some_and(|key| self.is_repeated(key));
        self.all.add(share, is_repeated);
        let is_part = self.selection.upstream.is_some();
        self.has_more_directories |= *self.first_directory.get_or_insert(directory) != directory;
        if !is_part {
            self.all_pauses.add(share.at, directory);
        }
        let is_last = |names: &[NamedTally], place: usize, name: &str| {
            names.get(place).is_some_and(|last| last.name == name)
        };
        if !is_last(&self.workers, self.last_worker, share.worker) {
            self.last_worker = place(share.worker, &mut self.worker_places, &mut self.workers, MAX_WORKERS);
        }
        if !is_last(&self.pools, self.last_pool, share.upstream) {
            self.last_pool = place(share.upstream, &mut self.pool_places, &mut self.pools, MAX_POOLS);
        }
        let worker = &mut self.workers[self.last_worker];
        worker.tally.add(share, is_repeated);
        worker.is_part = is_part;
        if !is_part {
            worker.pauses.add(share.at, directory);
        }
        worker.add_answer(self.last_pool, share.result);
        self.pools[self.last_pool].tally.add(share, is_repeated);
        let delays = self.delays.at(share.at);
        if let Some(response) = share.response_ms {
            delays.response.add(response);
        }
        if let Some(age) = share.job_age {
            delays.job_age.add(age);
        }
        if share.result == ShareResult::Rejected {
            self.add_reject(share);
        }
    }

    fn add_reject(&mut self, share: &ShareLine<'_>) {
        let key = (share.code.to_owned(), share.reason.to_owned());
        let has_room = self.reasons.len() < MAX_REASONS || self.reasons.contains_key(&key);
        let key = if has_room { key } else { (String::new(), String::from(OTHERS)) };
        *self.reasons.entry(key).or_default() += 1;
        if share.is_stale_reject() {
            let minute = share.at.div_euclid(60_000);
            if self.stale_minutes.len() < MAX_STALE_MINUTES || self.stale_minutes.contains_key(&minute) {
                *self.stale_minutes.entry(minute).or_default() += 1;
            }
        }
    }

    /// Notes the place of a row that can't be read.
    pub fn add_damage(&mut self, file: &str, line: u64, reason: &'static str) {
        self.damage.rows += 1;
        if self.damage.places.len() < MAX_DAMAGE_PLACES {
            self.damage.places.push(DamagedPlace { file: file.to_owned(), line, reason });
        }
    }

    /// True if the hash came before.
    fn is_repeated(&mut self, key: u64) -> bool {
        if !self.hashes.insert(key) {
            return true;
        }
        self.hash_order.push_back(key);
        if self.hash_order.len() > MAX_HASHES {
            if let Some(oldest) = self.hash_order.pop_front() {
                self.hashes.remove(&oldest);
            }
        }
        false
    }

    /// Dates the beginning of crashes, which no event has: the last share before. A pause that is too short to be an absence
    /// tells nothing, and the outage has no length. Then drops the silences that are not known to be everybody's.
    pub fn date_crashes(&mut self) {
        for crash in self.time_line.sluice_outages.iter_mut().filter(|outage| outage.is_crash) {
            let back = crash.to.unwrap_or(crash.from);
            let silence =
                self.all_pauses.absences.iter().filter(|silence| silence.from <= back && back <= silence.to);
            // Two Sluices have silences of their own: the shorter one claims less.
            let silence = silence.min_by_key(|silence| silence.length_ms());
            crash.from = silence.map_or(back, |silence| silence.from);
        }
        if !self.shows_everybody() {
            self.all_pauses.absences.clear();
        }
    }

    /// True if nobody is left out and there is one Sluice: only then a time without shares is everybody's.
    pub fn shows_everybody(&self) -> bool {
        self.selection.has_everybody() && !self.has_more_directories
    }

    /// The shares of workers that were too many to be told apart.
    pub fn workers_left_out(&self) -> u64 {
        let others = self.workers.iter().skip(MAX_WORKERS).find(|worker| worker.name == OTHERS);
        others.map_or(0, |others| others.tally.submitted)
    }
}

impl NamedTally {
    fn add_answer(&mut self, pool: usize, result: ShareResult) {
        if self.by_pool.len() <= pool {
            self.by_pool.resize(pool + 1, (0, 0));
        }
        let (rejected, answered) = &mut self.by_pool[pool];
        *rejected += u64::from(result == ShareResult::Rejected);
        *answered += u64::from(matches!(result, ShareResult::Accepted | ShareResult::Rejected));
    }
}

/// The place of a name, which is added if it is new.
fn place(
    name: &str,
    places: &mut HashMap<Box<str>, usize>,
    tallies: &mut Vec<NamedTally>,
    max: usize,
) -> usize {
    if let Some(place) = places.get(name) {
        return *place;
    }
    let is_over = tallies.len() >= max;
    if is_over && tallies.len() > max {
        return max;
    }
    let name = if is_over { OTHERS } else { name };
    if !is_over {
        places.insert(name.into(), tallies.len());
    }
    let tally = ShareTally::new(BUCKETS_OF_ONE);
    let pauses = PauseFinder::default();
    tallies.push(NamedTally { name: name.to_owned(), tally, pauses, is_part: false, by_pool: Vec::new() });
    tallies.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share<'a>(worker: &'a str, hash: &'a str) -> ShareLine<'a> {
        ShareLine { hash, ..ShareLine::for_tests(worker, 1_790_000_000_000) }
    }

    #[test]
    fn a_hash_that_is_sent_twice_proves_nothing_the_second_time() {
        let mut records = Records::new();
        let hash = "0000000000000000000000000000000000000000000000000123456789abcdef";
        records.add_share(&share("a", hash), 0);
        records.add_share(&share("b", hash), 0);
        assert_eq!((records.all.proven_difficulty, records.all.accepted_difficulty), (8.0, 16.0));
        assert_eq!((records.all.duplicates, records.workers[1].tally.duplicates), (1, 1));
    }

    /// Shares every minute, with a pause of two hours.
    fn with_pause(directories: &[usize], selection: ReportSelection) -> Records {
        let mut records = Records::new();
        records.selection = selection;
        for directory in directories {
            for minute in (0..60).chain(180..240) {
                for worker in ["a", "b"] {
                    let at = 1_790_000_000_000 + minute * 60_000;
                    records.add_share(&ShareLine { at, ..share(worker, "") }, *directory);
                }
            }
        }
        records.workers.iter_mut().for_each(|worker| worker.pauses.end(1_790_000_000_000 + 240 * 60_000));
        records.date_crashes();
        records
    }

    #[test]
    fn a_silence_is_everybodys_only_if_nobody_is_left_out() {
        let silences =
            |records: &Records| (records.all_pauses.absences.len(), records.workers[0].pauses.absences.len());
        assert_eq!(silences(&with_pause(&[0], ReportSelection::default())), (1, 1));
        // Another Sluice may have mined on.
        assert_eq!(silences(&with_pause(&[0, 1], ReportSelection::default())), (0, 2));
        let worker = ReportSelection { worker: Some("a".into()), ..ReportSelection::default() };
        assert_eq!(silences(&with_pause(&[0], worker)), (0, 1));
        // Another pool may have got the work.
        let upstream = ReportSelection { upstream: Some("pool".into()), ..ReportSelection::default() };
        let records = with_pause(&[0], upstream);
        assert_eq!((silences(&records), records.workers[0].is_part), ((0, 0), true));
    }

    #[test]
    fn too_many_workers_are_one() {
        let mut records = Records::new();
        let names: Vec<String> = (0..MAX_WORKERS + 50).map(|number| format!("w{number}")).collect();
        for name in names.iter().chain(&names) {
            records.add_share(&share(name, ""), 0);
        }
        assert_eq!(records.workers.len(), MAX_WORKERS + 1);
        assert_eq!((records.workers[MAX_WORKERS].name.as_str(), records.workers_left_out()), (OTHERS, 100));
        assert_eq!(records.workers[3].tally.submitted, 2);
    }
}
