//! The difficulty in force for each job (wire reference, section 3.6).

use std::collections::VecDeque;

use super::difficulty::Difficulty;
use super::job_id::JobId;

/// The difficulties that a pool has set on one connection, in the order of its messages.
///
/// A share must meet the difficulty in force when its job came. Pools differ: some apply a change to shares of older
/// jobs as well, some apply a rise one job later. [`DifficultyTimeline::range`] gives the difficulties that a pool
/// can ask for without being wrong.
#[derive(Debug, Clone)]
pub struct DifficultyTimeline {
    current: Difficulty,
    /// The difficulties in force since the newest job came.
    now: DifficultyRange,
    /// The difficulties in force between the job before and the newest one.
    before: DifficultyRange,
    /// The newest last.
    jobs: VecDeque<DifficultyAt>,
}

/// The lowest and the highest difficulty of several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DifficultyRange {
    pub lowest: Difficulty,
    pub highest: Difficulty,
}

#[derive(Debug, Clone)]
struct DifficultyAt {
    job: JobId,
    difficulty: Difficulty,
}

impl DifficultyTimeline {
    /// The most jobs that are remembered: at a job every 3 seconds, the most frequent seen, for over 12 minutes.
    /// Pools take shares of an old job for 10 minutes at most.
    pub const MAX_JOBS: usize = 256;

    /// The timeline of a new connection. Difficulty 1 is in force until the pool sets another one.
    pub fn new() -> DifficultyTimeline {
        let one = DifficultyRange::only(Difficulty::ONE);
        DifficultyTimeline { current: Difficulty::ONE, now: one, before: one, jobs: VecDeque::new() }
    }

    /// Records a `mining.set_difficulty`.
    pub fn set_difficulty(&mut self, difficulty: Difficulty) {
        self.current = difficulty;
        // A difficulty that was never in force for a job does not count.
        let now = DifficultyRange::only(difficulty);
        self.now = if self.jobs.is_empty() { now } else { self.now.and(now) };
    }

    /// Records a `mining.notify`. It replaces an older job with the same id. The oldest job is forgotten if there are
    /// too many.
    pub fn notify(&mut self, job: JobId) {
        self.before = self.now;
        self.now = DifficultyRange::only(self.current);
        self.jobs.retain(|known| known.job != job);
        if self.jobs.len() == DifficultyTimeline::MAX_JOBS {
            self.jobs.pop_front();
        }
        if self.jobs.is_empty() {
            // Many miners are idle, with one job.
            self.jobs.reserve_exact(1);
        }
        self.jobs.push_back(DifficultyAt { job, difficulty: self.current });
    }

    /// The difficulty that the pool set last; 1 if it has set none.
    pub fn current(&self) -> Difficulty {
        self.current
    }

    /// The difficulty assigned to `job`, in force when its notify came. `None` for an unknown or forgotten job.
    pub fn assigned(&self, job: &JobId) -> Option<Difficulty> {
        // Shares are for the newest jobs.
        self.jobs.iter().rev().find(|known| known.job == *job).map(|known| known.difficulty)
    }

    /// The lowest and highest difficulty that the pool can now ask of a share of `job`: of the assigned one, the
    /// current one, and all in force during the newest job and the one before it. After a change the old value thus
    /// stays possible for one more job: shares are on their way during the change, and ckpool's own rises take that
    /// long. `None` for an unknown job.
    pub fn range(&self, job: &JobId) -> Option<DifficultyRange> {
        let assigned = DifficultyRange::only(self.assigned(job)?);
        Some(assigned.and(self.now).and(self.before))
    }

    /// The lower end of [`DifficultyTimeline::range`].
    pub fn lowest(&self, job: &JobId) -> Option<Difficulty> {
        self.range(job).map(|range| range.lowest)
    }
}

impl Default for DifficultyTimeline {
    fn default() -> DifficultyTimeline {
        DifficultyTimeline::new()
    }
}

impl DifficultyRange {
    fn only(difficulty: Difficulty) -> DifficultyRange {
        DifficultyRange { lowest: difficulty, highest: difficulty }
    }

    fn and(self, other: DifficultyRange) -> DifficultyRange {
        DifficultyRange {
            lowest: self.lowest.min(other.lowest),
            highest: if other.highest > self.highest { other.highest } else { self.highest },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn job(name: &str) -> JobId {
        JobId::from_text(name).unwrap()
    }

    /// Plays `story`: a word is a notify, a number a set_difficulty.
    fn play(story: &str) -> DifficultyTimeline {
        let mut timeline = DifficultyTimeline::new();
        for event in story.split(' ').filter(|event| !event.is_empty()) {
            match event.parse() {
                Ok(value) => timeline.set_difficulty(Difficulty::new(value).unwrap()),
                Err(_) => timeline.notify(job(event)),
            }
        }
        timeline
    }

    /// Assigned, lowest and highest.
    fn of(story: &str, name: &str) -> Option<(f64, f64, f64)> {
        let timeline = play(story);
        let range = timeline.range(&job(name))?;
        Some((timeline.assigned(&job(name))?.value(), range.lowest.value(), range.highest.value()))
    }

    #[test]
    fn the_range_of_a_job_follows_the_changes_after_it() {
        for (why, story, name, expected) in [
            ("one holds until something is said", "a", "a", (1.0, 1.0, 1.0)),
            ("one holds until something is said", "a 512", "a", (1.0, 1.0, 512.0)),
            ("one holds until something is said", "512 a", "a", (512.0, 512.0, 512.0)),
            ("the last of several changes counts for the next job", "16 32 64 a", "a", (64.0, 64.0, 64.0)),
            ("the last of several changes counts for the next job", "64 z 16 32 a", "a", (32.0, 16.0, 64.0)),
            (
                "the last of several changes counts for the next job",
                "64 z 16 32 a b",
                "b",
                (32.0, 32.0, 32.0),
            ),
            ("a fall counts at once for older jobs", "64 a 8", "a", (64.0, 8.0, 64.0)),
            ("a fall counts at once for older jobs", "64 a 8 b c d", "a", (64.0, 8.0, 64.0)),
            ("a fall counts at once for older jobs", "64 a 8 b c d", "d", (8.0, 8.0, 8.0)),
            ("what held before a rise stays possible for one job", "8 a 64 b", "b", (64.0, 8.0, 64.0)),
            ("what held before a rise stays possible for one job", "8 a 64 b c", "b", (64.0, 64.0, 64.0)),
            ("what held before a rise stays possible for one job", "8 a 64 b c", "c", (64.0, 64.0, 64.0)),
            ("what held before a rise stays possible for one job", "8 a 64 b c", "a", (8.0, 8.0, 64.0)),
            ("a short fall stays possible for one job", "64 a 8 64", "a", (64.0, 8.0, 64.0)),
            ("a short fall stays possible for one job", "64 a 8 64 b", "a", (64.0, 8.0, 64.0)),
            ("a short fall stays possible for one job", "64 a 8 64 b c", "a", (64.0, 64.0, 64.0)),
        ] {
            assert_eq!(of(story, name), Some(expected), "{why}: {story}");
        }
        assert_eq!(of("", "a"), None);
    }

    #[test]
    fn a_name_means_the_newest_job_of_that_name() {
        assert_eq!(of("8 a 64 b a", "a").unwrap().0, 64.0);
    }

    #[test]
    fn the_oldest_jobs_are_forgotten() {
        let mut timeline = DifficultyTimeline::new();
        for counter in 0..10_000 {
            timeline.notify(JobId::from_counter(counter));
        }
        assert_eq!(timeline.jobs.len(), DifficultyTimeline::MAX_JOBS);
        assert_eq!(timeline.assigned(&JobId::from_counter(0)), None);
        assert_eq!(timeline.assigned(&JobId::from_counter(9_999)), Some(Difficulty::ONE));
    }

    proptest! {
        #[test]
        fn the_range_contains_then_and_now(story in prop::collection::vec(0..12_u32, 0..40)) {
            let mut timeline = DifficultyTimeline::new();
            let mut current = 1.0;
            let mut given = std::collections::HashMap::new();
            for event in story {
                // Four jobs, eight difficulties.
                if event < 4 {
                    timeline.notify(JobId::from_counter(event.into()));
                    given.insert(event, current);
                } else {
                    current = f64::from(1 << event);
                    timeline.set_difficulty(Difficulty::new(current).unwrap());
                }
            }
            for name in 0..4 {
                let id = JobId::from_counter(name.into());
                prop_assert_eq!(timeline.assigned(&id).map(Difficulty::value), given.get(&name).copied());
                if let Some(then) = given.get(&name) {
                    let range = timeline.range(&id).unwrap();
                    prop_assert!(range.lowest.value() <= then.min(current));
                    prop_assert!(range.highest.value() >= then.max(current));
                }
            }
        }
    }
}
