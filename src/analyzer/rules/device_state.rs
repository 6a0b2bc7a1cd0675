//! `device.hot`, `device.restarted`, `device.elsewhere`: what a device says about its own state.

use std::time::Duration;

use serde_json::json;

use super::{AlertContext, AlertType, SessionSample, seconds_between};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::devices::{DeviceInterface, DeviceReading};
use crate::util::format::span;

const HOT: AlertType = ("device.hot", Severity::Low);
/// The device has stopped its chips.
const OVERHEATED: AlertType = ("device.hot", Severity::Medium);
const RESTARTED: AlertType = ("device.restarted", Severity::Low);
const ELSEWHERE: AlertType = ("device.elsewhere", Severity::Medium);

/// The degrees Celsius at which AxeOS stops the chip, and throttles for the voltage regulator.
const CHIP_LIMIT: f64 = 75.0;
const REGULATOR_LIMIT: f64 = 105.0;
/// A device this close to a limit, in degrees, is hot; one this far below all of them is not any more.
const NEAR: f64 = 3.0;
const FAR: f64 = 6.0;
/// The readings in a row that must be hot: one may be a sensor's slip.
const HOT_READINGS: u32 = 3;
/// The uptime may be off by this much, in seconds, without a restart.
const UPTIME_SLACK: f64 = 30.0;
/// The time within which a device restarts that was told so.
const RESTART_SECONDS: f64 = 600.0;
/// The time for which a device must mine elsewhere. AxeOS looks once a minute whether its first pool is back.
const ELSEWHERE_SECONDS: f64 = 180.0;
/// The silence on its connection after which a device on its fallback pool is elsewhere.
const FALLBACK_SILENCE_SECONDS: f64 = 300.0;

/// The state of the three rules for one device.
#[derive(Debug, Default)]
pub(super) struct StateRules {
    hot_readings: u32,
    /// Since when it has been mining without a connection here.
    away_since: Option<NtpTime>,
    /// When Sluice has told it to restart.
    pub(super) told_to_restart: Option<NtpTime>,
}

/// The part of a tick that concerns one device.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeviceTick<'a> {
    /// The subject of alerts: the worker, and the address if several devices have one name.
    pub(super) subject: &'a str,
    pub(super) seconds: f64,
    pub(super) is_connected: bool,
    /// The device's only connection; `None` without one, and with several.
    pub(super) sample: Option<&'a SessionSample<'a>>,
    /// No pool can be used.
    pub(super) is_outage: bool,
    /// The least time without a share, in seconds, before a device has stalled.
    pub(super) least_stall: f64,
    /// The age up to which a reading says what the device does now.
    pub(super) fresh_seconds: f64,
}

impl StateRules {
    /// Takes in a reading, and the one before of the same device.
    pub(super) fn read(
        &mut self,
        (worker, subject): (&str, &str),
        before: Option<(NtpTime, &DeviceReading)>,
        (reading, is_connected): (&DeviceReading, bool),
        context: &mut AlertContext<'_>,
    ) {
        if let Some((at, before)) = before {
            let is_expected =
                self.told_to_restart.is_some_and(|told| seconds_between(told, context.at) < RESTART_SECONDS);
            if is_surprise(before, reading) && !is_expected {
                restarted((worker, subject), (at, before), reading, context);
            }
        }
        self.heat((worker, subject), reading, context);
        let is_mining = reading.hash_rate.is_some_and(|rate| rate > 0.0);
        self.away_since = (!is_connected && is_mining).then(|| self.away_since.unwrap_or(context.at));
    }

    pub(super) fn tick(
        &mut self,
        reading: Option<&DeviceReading>,
        silent_seconds: f64,
        (worker, tick): (&str, &DeviceTick<'_>),
        context: &mut AlertContext<'_>,
    ) {
        if tick.is_outage {
            // While no pool can be used, miners are right to go. Afterwards they need a while to return.
            self.away_since = self.away_since.map(|_| context.at);
        }
        let is_on_fallback = reading.is_some_and(|reading| reading.uses_fallback == Some(true));
        let away = match tick.is_connected {
            false => self.away_since.map(|since| seconds_between(since, context.at)),
            // The connection is dead, or kept beside the one to the fallback pool.
            true if is_on_fallback && silent_seconds >= FALLBACK_SILENCE_SECONDS => Some(silent_seconds),
            true => {
                self.away_since = None;
                context.resolve(ELSEWHERE.0, tick.subject);
                None
            }
        };
        let away = away.filter(|away| *away >= ELSEWHERE_SECONDS && !tick.is_outage);
        let Some((away, reading)) = away.zip(reading) else { return };
        let name = context.state.shown_names.name_of(worker).to_owned();
        context.raise(ELSEWHERE, tick.subject, || {
            let pool = reading.pool.as_deref().unwrap_or("another pool");
            let which = if reading.uses_fallback == Some(true) { ", the second pool of its settings" } else { "" };
            let description = format!(
                "{name} has power and mines on {pool}{which}, not here, for {}; check that it can reach this machine, \
                 and the address and port of the first pool in its settings",
                span(Duration::from_secs_f64(away)),
            );
            let evidence = json!({
                "worker": worker,
                "seconds": away,
                "pool": reading.pool,
                "uses_fallback": reading.uses_fallback,
                "hash_rate": reading.hash_rate,
            });
            (description, evidence)
        });
    }

    fn heat(
        &mut self,
        (worker, subject): (&str, &str),
        reading: &DeviceReading,
        context: &mut AlertContext<'_>,
    ) {
        let limits = [
            (reading.temperature, chip_limit(reading)),
            (reading.regulator_temperature, chip_limit(reading).and(Some(REGULATOR_LIMIT))),
        ];
        let margins = limits.iter().filter_map(|(temperature, limit)| Some((*limit)? - (*temperature)?));
        let margin = margins.min_by(f64::total_cmp);
        let is_overheated = reading.is_overheated == Some(true);
        self.hot_readings = match margin {
            Some(margin) if margin <= NEAR => self.hot_readings.saturating_add(1),
            Some(margin) if margin < FAR => self.hot_readings,
            _ => 0,
        };
        if !is_overheated && self.hot_readings < HOT_READINGS {
            if self.hot_readings == 0 {
                context.resolve(HOT.0, subject);
            } else {
                context.keep_open(HOT.0, subject);
            }
            return;
        }
        let name = context.state.shown_names.name_of(worker).to_owned();
        context.raise(if is_overheated { OVERHEATED } else { HOT }, subject, || {
            let degrees = |value: Option<f64>| value.map_or("?".to_owned(), |value| format!("{value:.0} °C"));
            let temperatures = format!(
                "chip {}, regulator {}",
                degrees(reading.temperature),
                degrees(reading.regulator_temperature)
            );
            let description = if is_overheated {
                format!(
                    "{name} was too hot and has stopped its chips ({temperatures}); cool it, then restart it: many \
                     devices stay off until somebody does"
                )
            } else {
                format!(
                    "{name} is within {NEAR} °C of the temperature at which it stops ({temperatures}); clean its fan, \
                     give it air, or lower its frequency"
                )
            };
            let evidence = json!({
                "worker": worker,
                "temperature": reading.temperature,
                "regulator_temperature": reading.regulator_temperature,
                "limit": chip_limit(reading),
                "overheated": is_overheated,
                "fan_rpm": reading.fan_rpm,
            });
            (description, evidence)
        });
    }
}

/// The temperature at which the firmware stops the chips, if that is known.
fn chip_limit(reading: &DeviceReading) -> Option<f64> {
    let usual = (reading.interface == DeviceInterface::AxeOs).then_some(CHIP_LIMIT);
    reading.temperature_limit.or(usual)
}

/// Whether the uptime has become shorter.
pub(super) fn has_restarted(before: &DeviceReading, reading: &DeviceReading) -> bool {
    let (Some(was), Some(is)) = (before.uptime, reading.uptime) else { return false };
    is.as_secs_f64() + UPTIME_SLACK < was.as_secs_f64()
}

/// Whether it has restarted without an obvious reason. A new firmware needs a restart.
fn is_surprise(before: &DeviceReading, reading: &DeviceReading) -> bool {
    has_restarted(before, reading) && before.firmware == reading.firmware
}

fn restarted(
    (worker, subject): (&str, &str),
    (at, before): (NtpTime, &DeviceReading),
    reading: &DeviceReading,
    context: &mut AlertContext<'_>,
) {
    let (was, is) = (before.uptime.unwrap_or_default(), reading.uptime.unwrap_or_default());
    let name = context.state.shown_names.name_of(worker).to_owned();
    context.report(RESTARTED, subject, || {
        let reason = reading.reset_reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
        let description = format!(
            "{name} has restarted{reason} {} ago, after {}; if that was not you, check its power supply",
            span(is),
            span(was),
        );
        let evidence = json!({
            "worker": worker,
            "uptime_seconds": is.as_secs(),
            "uptime_before_seconds": was.as_secs(),
            "reset_reason": reading.reset_reason,
            "last_read": at.to_string(),
        });
        (description, evidence)
    });
}
