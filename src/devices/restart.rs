//! Restarts of devices that have stalled: which device may be restarted now, and how often.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::reading::{DeviceReading, ReadError};

/// The least time between two restarts of a device.
const APART: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// Caps the restarts of a device in a day.
const MAX_A_DAY: usize = 3;

/// The answer that a device must give once more before it is restarted.
#[derive(Debug, Clone)]
pub(super) struct RestartCheck {
    /// The hardware address by its last reading. The address may belong to another device by now.
    pub(super) mac: String,
    /// The ports that miners connect to. A device that is set to another one does not mine here.
    pub(super) ports: Vec<u16>,
    /// True if so many devices have stalled at once that the cause is not in them.
    pub(super) is_common: bool,
}

/// The restarts of the last day, by hardware address.
#[derive(Debug, Default)]
pub(super) struct RestartBudget {
    restarts: BTreeMap<String, Vec<Instant>>,
}

impl RestartCheck {
    /// Checks what the device says just now.
    pub(super) fn check(&self, reading: &DeviceReading) -> Result<(), ReadError> {
        let refuse = |why: &str| Err(ReadError(why.to_owned()));
        let port = reading.pool.as_ref().and_then(|pool| pool.rsplit_once(':')?.1.parse().ok());
        if self.is_common {
            refuse("several devices have stalled at once, so the cause is hardly in them")
        } else if reading.mac.as_ref() != Some(&self.mac) {
            refuse("another device has its address now")
        } else if reading.uses_fallback == Some(true) {
            refuse("it mines on the second pool of its settings")
        } else if reading.is_paused == Some(true) {
            refuse("it is paused")
        } else if !port.is_some_and(|port| self.ports.contains(&port)) {
            refuse("its settings name another port than those that miners connect to here")
        } else {
            Ok(())
        }
    }
}

impl RestartBudget {
    /// Whether the device of this hardware address may be restarted now.
    pub(super) fn allows(&self, mac: &str, now: Instant) -> bool {
        let Some(restarts) = self.restarts.get(mac) else { return true };
        let within = |time: Duration| restarts.iter().filter(|at| now.duration_since(**at) < time).count();
        within(APART) == 0 && within(DAY) < MAX_A_DAY
    }

    /// Counts an attempt, successful or not.
    pub(super) fn count(&mut self, mac: &str, now: Instant) {
        for restarts in self.restarts.values_mut() {
            restarts.retain(|at| now.duration_since(*at) < DAY);
        }
        self.restarts.retain(|_, restarts| !restarts.is_empty());
        self.restarts.entry(mac.to_owned()).or_default().push(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::DeviceInterface;

    #[test]
    fn once_an_hour_and_three_times_a_day() {
        let (mut budget, start) = (RestartBudget::default(), Instant::now());
        let mut restarted = Vec::new();
        for minute in 0..60 * 26 {
            let now = start + Duration::from_secs(60 * minute);
            if budget.allows("AA", now) {
                budget.count("AA", now);
                restarted.push(minute);
            }
        }
        assert_eq!(restarted, [0, 60, 120, 1440, 1500]);
        assert!(budget.allows("BB", start));
    }

    #[test]
    fn a_device_must_be_the_same_and_point_here() {
        let check = RestartCheck { mac: String::from("AA"), ports: vec![3333, 3334], is_common: false };
        let good = DeviceReading {
            mac: Some(String::from("AA")),
            pool: Some(String::from("10.0.0.1:3334")),
            uses_fallback: Some(false),
            ..DeviceReading::empty(DeviceInterface::AxeOs)
        };
        assert_eq!(check.check(&good), Ok(()));
        for bad in [
            DeviceReading { mac: Some(String::from("BB")), ..good.clone() },
            DeviceReading { mac: None, ..good.clone() },
            DeviceReading { pool: Some(String::from("10.0.0.1:3335")), ..good.clone() },
            DeviceReading { pool: None, ..good.clone() },
            DeviceReading { uses_fallback: Some(true), ..good.clone() },
            DeviceReading { is_paused: Some(true), ..good.clone() },
        ] {
            assert!(check.check(&bad).is_err(), "{bad:?}");
        }
        assert!(RestartCheck { is_common: true, ..check }.check(&good).is_err());
    }
}
