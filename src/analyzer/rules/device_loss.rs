//! `device.loses_work`, `device.stalled`: does a device prove the work that it says it does?

use std::time::Duration;

use serde_json::json;

use super::device_state::DeviceTick;
use super::device_work::DeviceWork;
use super::poisson::{FALSE_ALARM_CHANCE, poisson_at_most};
use super::{AlertContext, AlertType};
use crate::config::Severity;
use crate::devices::DeviceReading;
use crate::util::format::{rate, span};
use crate::work::HASHES_PER_DIFFICULTY;

const LOSES_WORK: AlertType = ("device.loses_work", Severity::Medium);
const STALLED: AlertType = ("device.stalled", Severity::Medium);

/// The time between two checks for a loss.
const CHECK_SECONDS: f64 = 60.0;
/// The part of its hash rate that an honest device has at the least.
const HONEST_PART: f64 = 0.85;

/// Whether a device has a reason to prove nothing here: it mines elsewhere, or is to stand still.
pub(super) fn is_excused(reading: &DeviceReading) -> bool {
    [reading.is_paused, reading.is_overheated, reading.uses_fallback].contains(&Some(true))
}

/// The state of both rules for one device.
#[derive(Debug, Default)]
pub(super) struct LossRule {
    /// The time since the last share, as far as the device was connected, had work and was read.
    silent_seconds: f64,
    /// The shares that the device should have sent in that time.
    silent_shares: f64,
    /// The time in which the device said that it makes no hashes.
    idle_seconds: f64,
    pub(super) is_stalled: bool,
    /// The part of its work that the device proved when the alert about its loss began.
    lost_to: Option<f64>,
    since_check: f64,
}

impl LossRule {
    /// Counts time in which the device was connected with work and said that it has this hash rate.
    pub(super) fn pass(&mut self, seconds: f64, hash_rate: f64, difficulty: f64) {
        self.silent_seconds += seconds;
        self.silent_shares += hash_rate * seconds / HASHES_PER_DIFFICULTY / difficulty.max(f64::MIN_POSITIVE);
        self.idle_seconds = if hash_rate == 0.0 { self.idle_seconds + seconds } else { 0.0 };
    }

    /// A share has come, or may have.
    pub(super) fn end_silence(&mut self) {
        (self.silent_seconds, self.silent_shares, self.idle_seconds) = (0.0, 0.0, 0.0);
        self.is_stalled = false;
    }

    pub(super) fn silent_seconds(&self) -> f64 {
        self.silent_seconds
    }

    pub(super) fn tick(
        &mut self,
        work: &mut DeviceWork,
        reading: Option<&DeviceReading>,
        (worker, tick): (&str, &DeviceTick<'_>),
        context: &mut AlertContext<'_>,
    ) {
        let (Some(reading), true) = (reading, tick.sample.is_some()) else {
            // Nothing can be said, and nobody acts on an old verdict. An alert that is open ends by itself after a while.
            self.is_stalled = false;
            if self.silent_seconds == 0.0 {
                context.resolve(STALLED.0, tick.subject);
            }
            return;
        };
        self.is_stalled = self.is_silent_for_too_long(reading, tick.least_stall);
        if self.is_stalled {
            self.stalled(reading, (worker, tick.subject), context);
            // One alert is enough for one loss.
            work.start_over();
        } else {
            context.resolve(STALLED.0, tick.subject);
        }
    }

    /// Checks for a loss once a minute, while work is compared. Otherwise an open alert ends by itself after a while.
    pub(super) fn tick_loss(
        &mut self,
        work: &mut DeviceWork,
        reading: &DeviceReading,
        (worker, tick): (&str, &DeviceTick<'_>),
        context: &mut AlertContext<'_>,
    ) {
        self.since_check += tick.seconds;
        if self.since_check >= CHECK_SECONDS {
            self.since_check = 0.0;
            self.check_loss(work, reading, (worker, tick.subject), context);
        }
    }

    fn is_silent_for_too_long(&self, reading: &DeviceReading, least: f64) -> bool {
        if is_excused(reading) || self.silent_seconds < least {
            return false;
        }
        // A device that has just started tunes its chips before it mines.
        let is_tuning = reading.uptime.is_some_and(|uptime| uptime.as_secs_f64() < least);
        let is_idle = self.idle_seconds >= least && !is_tuning;
        is_idle || poisson_at_most(0.0, HONEST_PART * self.silent_shares) < FALSE_ALARM_CHANCE
    }

    fn stalled(
        &self,
        reading: &DeviceReading,
        (worker, subject): (&str, &str),
        context: &mut AlertContext<'_>,
    ) {
        let name = context.state.shown_names.name_of(worker).to_owned();
        context.raise(STALLED, subject, || {
            let time = span(Duration::from_secs_f64(self.silent_seconds));
            let fault = reading.fault.as_ref().map_or(String::new(), |fault| format!(" and reports a fault ({fault})"));
            let description = match reading.hash_rate {
                Some(says) if says > 0.0 => format!(
                    "{name} says that it makes {}{fault}, but has sent no share for {time}, in which {:.0} were \
                     expected; restart it, and check its pool settings",
                    rate(says),
                    self.silent_shares
                ),
                _ => format!(
                    "{name} is connected and answers, but says that it makes no hashes{fault}, for {time}; restart it, \
                     and check its power supply and its frequency settings"
                ),
            };
            let evidence = json!({
                "worker": worker,
                "seconds": self.silent_seconds,
                "expected_shares": self.silent_shares,
                "hash_rate": reading.hash_rate,
                "fault": reading.fault,
            });
            (description, evidence)
        });
    }

    fn check_loss(
        &mut self,
        work: &mut DeviceWork,
        reading: &DeviceReading,
        (worker, subject): (&str, &str),
        context: &mut AlertContext<'_>,
    ) {
        if self.lost_to.is_some_and(|part| work.has_recovered(part)) {
            self.lost_to = None;
            context.resolve(LOSES_WORK.0, subject);
            return;
        }
        let Some(loss) = work.loss() else {
            if self.lost_to.is_some() {
                context.keep_open(LOSES_WORK.0, subject);
            }
            return;
        };
        let part = loss.proven / loss.reported;
        if self.lost_to.is_none() {
            self.lost_to = Some(part);
            work.begin_loss();
        }
        let name = context.state.shown_names.name_of(worker).to_owned();
        context.raise(LOSES_WORK, subject, || {
            let errors = match reading.error_percent {
                Some(percent) if percent >= 2.0 => {
                    format!("; {percent:.1} % of its hashes are wrong, so lower its frequency or raise its voltage")
                }
                _ => String::from(
                    "; check its network (Wi-Fi), whether it mines on a second pool too, and its hardware errors",
                ),
            };
            let description = format!(
                "{name} says that it makes {}, but its shares prove {} ({:.0} %, over {}){errors}",
                rate(loss.reported),
                rate(loss.proven),
                part * 100.0,
                span(Duration::from_secs_f64(loss.seconds)),
            );
            let evidence = json!({
                "worker": worker,
                "reported": loss.reported,
                "proven": loss.proven,
                "window_seconds": loss.seconds,
                "probability": loss.probability,
                "error_percent": reading.error_percent,
                "wifi_rssi": reading.wifi_rssi,
            });
            (description, evidence)
        });
    }
}
