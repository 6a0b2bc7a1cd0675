//! A miner that finds shares at random, in virtual time, and the pool's job every 30 seconds.

use super::*;

const JOBS: f64 = 30.0;

pub(crate) struct Simulation {
    pub vardiff: VardiffState,
    /// Hashes per second.
    pub rate: f64,
    /// Seconds.
    pub now: f64,
    /// Retargets sent, and those of them that only ended a silence.
    pub steps: u32,
    pub eased: u32,
    pub shares: u64,
    /// The retargets and easings that were sent when the difficulty was last not within 20 %.
    pub steps_until_near: u32,
    /// The largest distance of the difficulty from the right one, as a logarithm.
    pub furthest: f64,
    began: Instant,
    random: u64,
    next_job: f64,
}

impl Simulation {
    pub fn new(start: f64, rate: f64, seed: u64) -> Simulation {
        let began = Instant::now();
        let mut run = Simulation {
            vardiff: vardiff(start, began),
            rate,
            now: 0.0,
            steps: 0,
            eased: 0,
            shares: 0,
            steps_until_near: 0,
            furthest: 0.0,
            began,
            random: seed,
            next_job: JOBS,
        };
        run.look();
        run
    }

    pub fn at(&self) -> Instant {
        self.began + Duration::from_secs_f64(self.now)
    }

    pub fn right(&self) -> f64 {
        self.rate * 15.0 / HASHES
    }

    pub fn hours(&mut self, hours: f64) {
        let end = self.now + hours * 3600.0;
        while self.now < end {
            let pause = self.pause();
            if self.now + pause < self.next_job {
                self.now += pause;
                self.shares += 1;
                let worth = self.vardiff.difficulty();
                let wanted = self.vardiff.share(worth, self.at());
                self.send(wanted.filter(|wanted| wanted.urgent));
            } else {
                self.now = self.next_job;
                self.next_job += JOBS;
                let wanted = self.vardiff.tick(self.at());
                self.send(wanted);
            }
        }
    }

    pub fn send(&mut self, wanted: Option<Retarget>) {
        let Some(Retarget { difficulty, .. }) = wanted else { return };
        let silent = self.vardiff.estimate.is_some_and(|estimate| estimate.silent);
        self.vardiff.sent(difficulty, self.at());
        self.steps += 1;
        self.eased += u32::from(silent);
        self.look();
    }

    pub fn off(&self) -> f64 {
        self.vardiff.difficulty().value() / self.right()
    }

    fn look(&mut self) {
        self.furthest = self.furthest.max(self.off().ln().abs());
        if !(0.8..=1.2).contains(&self.off()) {
            // One more is needed at least.
            self.steps_until_near = self.steps - self.eased + 1;
        }
    }

    /// An exponential pause, because hashing has no memory.
    fn pause(&mut self) -> f64 {
        // SplitMix64 (Steele, Lea and Flood, 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let uniform = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        -(1.0 - uniform).ln() * self.vardiff.difficulty().value() * HASHES / self.rate.max(1e-300)
    }
}
