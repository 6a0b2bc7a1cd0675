//! The difficulty of one miner. Pure.
//!
//! **What is compared.** The shares since the difficulty was sent with those that would have come if
//! it were right. Shares are found without memory, so their number is Poisson's: `exp(-G)` with
//! `G = n ln(n / m) - n + m` is at least the chance of `n` or a number further away where `m` are
//! expected (Chernoff's bound). A difficulty is changed only when its shares are so improbable, which
//! is a wide band for few shares and one of ±20 % for a full window.
//!
//! **How it changes.** Up in one exact step, after 256 shares: too many shares come quickly, so that
//! waiting for them costs little. Where they are more than twice too many, a rough step comes first, after
//! 24 moments with a share: moments, because shares that were kept somewhere come at once. Down at once
//! and rather too far, because too few shares come slowly; an exact step up follows. In silence, of 7
//! times the target since the difficulty was sent or of 12 times otherwise, down by 16, then by 4096 each
//! time.
//!
//! **What is reached**, measured with simulated miners, a share every 15 s and a job every 30 s:
//! - A steady miner at its right difficulty has 0.01 retargets an hour, one in four days. It is within
//!   ±20 % in 99.9 of 100 hours. Once in 1200 hours it has bad luck that looks like silence, and is put
//!   right some minutes later.
//! - From any start to any right difficulty, both from 1e-4 to 1e6, at most three retargets lead to
//!   ±20 %, where it stays for the rest of ten hours, in 99.6 of 100 runs; six do in the worst of 12,100.
//!   This is without the steps in silence, at most five. With them it is three in 87 of 100 runs, and
//!   eight in the worst: what is 10^10 times too high differs from 10^2 times only when it is tried.
//! - A flood is raised every 256 shares, up to 4096-fold: two steps for 1 TH/s at 0.001.
//!
//! **What is not.** More than 256 kept shares at once are taken for a flood. A miner with twice its
//! right rate of shares waits half an hour for its exact step.

use std::time::{Duration, Instant};

use super::share_window::{ShareWindow, WindowSlice};
use crate::config;
use crate::stratum::Difficulty;

/// The `G` from which all shares of a difficulty are no accident: one in a thousand.
const MIN_CERTAINTY: f64 = 7.0;
/// The same for any slice of them, because there are many to look at.
const MIN_SLICE_CERTAINTY: f64 = 12.0;
/// The shares that give the rate to 6 %, which is within 20 % in 99.7 of 100 cases.
const EXACT_SHARES: f64 = 256.0;
/// The moments with a share that give the rate to a fifth, which is enough for a rough step. It must be this
/// far from right, which is then no accident in a million cases.
const ROUGH_MOMENTS: f64 = 24.0;
const MIN_ROUGH_RATIO: f64 = 2.0;
const MIN_ROUGH_CERTAINTY: f64 = 14.0;
/// The share of moments with a share above which the rate can't be estimated from them.
const MAX_BUSY: f64 = 0.8;
/// The shares for a step down of less than a half, to 8 %. The window may not have more.
const EXACT_SHARES_DOWN: f64 = 160.0;
/// The ratio of found to expected shares at which a deviation is small.
const SMALL_DEVIATION: std::ops::Range<f64> = 0.6..1.6;
/// The shortest part of the target over which a rate is reckoned: a kept batch arrives in no time.
const MIN_TARGET_PART: f64 = 1.0 / 16.0;
/// The multiple of the wanted rate that cannot wait for the pool's next job.
const FLOOD_RATE: f64 = 16.0;
/// The first step in silence, and the further ones.
const EASE_FACTORS: [f64; 2] = [16.0, 4096.0];
/// The lowest difficulty: fractions go down to here.
const MIN_DIFFICULTY: f64 = 1e-6;
/// Shares are judged in batches, so that a flood costs little.
const SHARE_BATCH: u32 = 16;
/// Caps the shares that a late share of a much higher difficulty counts for.
const MAX_LATE_SHARES: f64 = 2.0;

/// Decides one miner's difficulty.
#[derive(Debug, Clone)]
pub struct VardiffState {
    settings: config::VardiffConfig,
    floor: f64,
    /// The pool's difficulty. Infinite until it is known.
    cap: f64,
    sent: Difficulty,
    /// The difficulty that the miner would have without the cap.
    pub right: f64,
    /// The last estimate, kept until it is sent.
    estimate: Option<Estimate>,
    /// The present difficulty comes from silence, and there was no share at it yet.
    eased: bool,
    /// The present difficulty is young, and the next step is an exact one.
    young: bool,
    /// The estimate starts over at a difficulty that was not sent yet: the shares so far show nothing about it.
    awaits_start: bool,
    window: ShareWindow,
    unevaluated: u32,
    /// The work of all shares, as a sum of difficulties.
    pub work: f64,
}

/// A change of the difficulty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retarget {
    pub difficulty: Difficulty,
    /// Whether the miner must get a job at once. Otherwise it gets the difficulty with the pool's next job.
    pub urgent: bool,
}

#[derive(Debug, Clone, Copy)]
struct Estimate {
    right: f64,
    silent: bool,
}

impl VardiffState {
    /// The state of a miner that gets `start`, put within the bounds, at `now`; see
    /// [`VardiffState::difficulty`]. It never gets less than `floor`, unless the pool asks for less.
    pub fn new(
        settings: &config::VardiffConfig,
        floor: f64,
        start: Difficulty,
        now: Instant,
    ) -> VardiffState {
        let mut vardiff = VardiffState {
            settings: settings.clone(),
            floor,
            cap: f64::INFINITY,
            sent: start,
            right: start.value(),
            estimate: None,
            eased: false,
            young: false,
            awaits_start: false,
            window: ShareWindow::new(settings.target, now),
            unevaluated: 0,
            work: 0.0,
        };
        if settings.enabled {
            vardiff.sent = vardiff.within(start.value());
            vardiff.right = vardiff.sent.value();
        }
        vardiff
    }

    /// Sets other bounds and another target, from the next estimate on.
    pub fn set_config(&mut self, settings: &config::VardiffConfig) {
        self.settings = settings.clone();
    }

    /// The difficulty last sent.
    pub fn difficulty(&self) -> Difficulty {
        self.sent
    }

    /// Counts a share, `worth` the difficulty that its job was sent with. Returns only now and then what
    /// [`VardiffState::tick`] would.
    pub fn share(&mut self, worth: Difficulty, now: Instant) -> Option<Retarget> {
        let count = worth.value() / self.sent.value();
        self.window.add(count.min(MAX_LATE_SHARES), now);
        self.work += worth.value();
        // A late share of an easier job does not end the silence.
        self.eased &= count < 0.999;
        self.unevaluated += 1;
        if self.unevaluated < SHARE_BATCH { None } else { self.tick(now) }
    }

    /// The retarget that is wanted now. Called once a second, and before each job of the pool. A retarget
    /// stays wanted until it is sent, unless the miner falls silent.
    pub fn tick(&mut self, now: Instant) -> Option<Retarget> {
        self.unevaluated = 0;
        self.window.advance(now);
        // This many shares would have shown that it is not right.
        self.young &= self.window.whole().count < EXACT_SHARES;
        self.estimate = if self.settings.enabled && !self.awaits_start { self.estimate() } else { None };
        let difficulty = self.within(self.estimate.map_or(self.right, |estimate| estimate.right));
        if difficulty == self.sent {
            // A bound limits the difficulty. The miner's own one is known all the same.
            if let Some(estimate) = self.estimate.take() {
                self.settle(estimate);
            }
            return None;
        }
        let rate = self.window.whole();
        let flood = rate.count > FLOOD_RATE * self.expected(rate.seconds, self.sent.value());
        let urgent = self.sent.value() > self.cap || (difficulty > self.sent && flood);
        Some(Retarget { difficulty, urgent })
    }

    /// Sets the pool's difficulty, above which no miner gets. If this is more than before, the miner gets up
    /// to its own one.
    pub fn cap(&mut self, most: Difficulty, now: Instant) -> Option<Retarget> {
        self.cap = most.value();
        self.tick(now)
    }

    /// Starts over at `start`, put within the bounds, as if nothing had been sent: it goes out as a retarget
    /// with the next job. `false`, and nothing changes, if that is the difficulty that was sent.
    pub fn restart(&mut self, floor: f64, start: Difficulty, now: Instant) -> bool {
        let fresh = VardiffState::new(&self.settings, floor, start, now);
        let fresh =
            VardiffState { cap: self.cap, sent: self.sent, work: self.work, awaits_start: true, ..fresh };
        let is_other = fresh.within(fresh.right) != self.sent;
        if is_other {
            *self = fresh;
        }
        is_other
    }

    /// Lowers the floor. It never rises.
    pub fn lower_floor(&mut self, floor: f64) {
        self.floor = self.floor.min(floor);
    }

    /// Notes that the retarget was sent, with a job. From here on this difficulty is judged by its own
    /// shares; late ones of jobs before it count for their own work.
    pub fn sent(&mut self, difficulty: Difficulty, now: Instant) {
        self.awaits_start = false;
        if difficulty == self.sent {
            return;
        }
        match self.estimate.take() {
            Some(estimate) if self.within(estimate.right) == difficulty => self.settle(estimate),
            // Changed by the cap alone.
            _ if self.within(self.right) == difficulty => {}
            _ => self.right = difficulty.value(),
        }
        self.sent = difficulty;
        self.resume(now);
    }

    /// Starts a new window, because the miner had no work until now: the time before shows nothing about it.
    pub fn resume(&mut self, now: Instant) {
        self.window = ShareWindow::new(self.settings.target, now);
        self.unevaluated = 0;
    }

    /// The time without a share at the present difficulty, as of the last call with a time.
    pub fn silence(&self) -> Duration {
        Duration::try_from_secs_f64(self.window.silence()).unwrap_or_default()
    }

    fn settle(&mut self, estimate: Estimate) {
        self.right = estimate.right;
        self.eased = estimate.silent;
        self.young = true;
    }

    /// The estimate from the shares, if they show that the difficulty is not right.
    fn estimate(&self) -> Option<Estimate> {
        let silence =
            WindowSlice { count: 0.0, moments: (0.0, 0.0), seconds: self.window.silence(), whole: false };
        let (_, clearest) = self
            .window
            .slices()
            .chain([silence])
            .filter(|slice| slice.whole || slice.seconds >= self.target() || slice.count >= EXACT_SHARES)
            .map(|slice| {
                let bound = if slice.whole { MIN_CERTAINTY } else { MIN_SLICE_CERTAINTY };
                (improbability(slice.count, self.expected(slice.seconds, self.right)) - bound, slice)
            })
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .filter(|(clear, _)| *clear >= 0.0)?;
        let right = self.right_by(clearest).or_else(|| self.roughly_right_by(clearest))?;
        // Not `clamp`, which panics when the bounds are crossed.
        let right = right.min(self.settings.max).max(self.least());
        Some(Estimate { right, silent: clearest.count < 0.5 })
    }

    /// A rough estimate from far too many shares, before there are enough to be exact. It is used as the
    /// first step only; the next are exact ones.
    fn roughly_right_by(
        &self,
        WindowSlice { moments: (busy, all), seconds, .. }: WindowSlice,
    ) -> Option<f64> {
        if self.young || busy < ROUGH_MOMENTS || busy > MAX_BUSY * all {
            return None;
        }
        // The rate as the moments without a share show it.
        let count = -all * (1.0 - busy / all).ln();
        let expected = self.expected(seconds, self.right);
        let is_clear =
            count > MIN_ROUGH_RATIO * expected && improbability(count, expected) >= MIN_ROUGH_CERTAINTY;
        let silent = self.window.silence() * count > MIN_CERTAINTY * seconds;
        (is_clear && !silent).then(|| self.right * count / expected)
    }

    /// The right difficulty from an improbable slice. `None` when a better estimate is worth waiting for.
    fn right_by(&self, slice: WindowSlice) -> Option<f64> {
        let WindowSlice { count, seconds, .. } = slice;
        let expected = self.expected(seconds, self.right);
        let ratio = count / expected;
        // A small deviation is checked until chance makes it large: three quarters of it, as a power, come
        // nearer to the truth.
        let found = self.right * if SMALL_DEVIATION.contains(&ratio) { ratio.powf(0.75) } else { ratio };
        if count > expected {
            // Without time there is no rate, and a miner that has just fallen silent has another.
            let silent = self.window.silence() * count > MIN_CERTAINTY * seconds;
            return (count >= EXACT_SHARES && seconds > 0.0 && !silent).then_some(found);
        }
        if count < 0.5 {
            return Some(self.right / EASE_FACTORS[usize::from(self.eased)]);
        }
        if count >= EXACT_SHARES_DOWN {
            return Some(found);
        }
        // The low end of the likely range: the next step is one up, which is exact.
        (count < 0.5 * expected).then(|| found * count / (count + 2.0 * count.sqrt()))
    }

    /// The shares of the present difficulty that a miner finds in `seconds` for which `right` is right.
    fn expected(&self, seconds: f64, right: f64) -> f64 {
        (seconds / self.target()).max(MIN_TARGET_PART) * right / self.sent.value()
    }

    fn target(&self) -> f64 {
        self.settings.target.as_secs_f64().max(0.001)
    }

    fn least(&self) -> f64 {
        self.settings.min.max(self.floor).max(MIN_DIFFICULTY)
    }

    /// The difficulty that may be sent for `right`. The cap is above everything, then the settings, then the
    /// floor.
    fn within(&self, right: f64) -> Difficulty {
        let value = if self.settings.enabled {
            // Miners that know no fractions read 14.2 as 14 (wire reference, section 2.7).
            let right = if self.floor >= 1.0 { rounded(right).round() } else { rounded(right) };
            right.max(self.least()).min(self.settings.max).min(self.cap)
        } else if self.cap.is_finite() {
            self.cap
        } else {
            return self.sent;
        };
        Difficulty::new(value).unwrap_or(self.sent)
    }
}

/// `G`: at most exp(-G) is the chance of `count` or a number further away where `expected` are.
fn improbability(count: f64, expected: f64) -> f64 {
    if count > 0.0 { count * (count / expected).ln() - count + expected } else { expected }
}

/// Rounds to three digits, because people read it.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests;
