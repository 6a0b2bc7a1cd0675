//! The part of a miner's page that its device is asked about: what it says, and the way of its work as three numbers.

use maud::{Markup, html};

use crate::analyzer::DeviceView;
use crate::config::Mode;
use crate::devices::DeviceReading;
use crate::pool_stats::CreditVerdict;
use crate::status::snapshot::StatusSnapshot;
use crate::status::worker_facts::WorkerFacts;
use crate::util::format::{ago, rate, short, span};

/// A reading of this age, in seconds, is shown as old.
const OLD_SECONDS: u64 = 120;

/// More joules for 10^12 hashes than this are no measure: the device hashes in software. Ordinary ones take 10 to 100.
const MAX_JOULES: f64 = 10_000.0;

/// Both sections; nothing if no device of the worker is read.
pub(super) fn sections(status: &StatusSnapshot, facts: &WorkerFacts<'_>) -> Markup {
    let devices: Vec<&DeviceView> = facts.devices().collect();
    html! {
        @if !devices.is_empty() {
            section.readings #device data-live {
                h2 { "What the device says" }
                @for device in &devices { (says(status, device, devices.len() > 1)) }
            }
            section.path #work data-live {
                h2 { "The way of its work" }
                @for device in &devices { (way(status, device, devices.len() > 1)) }
            }
        }
    }
}

fn says(status: &StatusSnapshot, device: &DeviceView, has_others: bool) -> Markup {
    html! {
        p.quiet {
            @if has_others { (device.address) ": " }
            @if let Some((at, reading)) = &device.reading {
                @if let Some(model) = &reading.model { (model) ", " }
                @if let Some(firmware) = &reading.firmware { "firmware " (firmware) ", " }
                "read " (ago(status.age_of(*at)))
                @if device.failure.is_some() { "; " }
            }
            @if let Some(failure) = &device.failure { "it can't be read now: " (failure) }
        }
        @if let Some((at, reading)) = &device.reading {
            dl.tiles.old[status.age_of(*at).as_secs() >= OLD_SECONDS] { (tiles(reading)) }
            (troubles(device, reading))
        }
    }
}

fn tiles(reading: &DeviceReading) -> Markup {
    let degrees = |degrees: f64| format!("{degrees:.0} °C");
    html! {
        div {
            dt { "hash rate" }
            dd {
                (reading.steady_hash_rate().map_or_else(|| String::from("–"), rate))
                @if let Some(expected) = reading.expected_hash_rate { small { "should be " (rate(expected)) } }
            }
        }
        @if let Some(temperature) = reading.temperature {
            div {
                dt { "temperature" }
                dd {
                    (degrees(temperature))
                    @if let Some(regulator) = reading.regulator_temperature { small { "regulator " (degrees(regulator)) } }
                }
            }
        }
        @if let Some(power) = reading.power {
            div {
                dt { "power" }
                dd {
                    (format!("{power:.1} W"))
                    @if let Some(joules) = reading.joules_per_terahash().filter(|joules| *joules < MAX_JOULES) {
                        small { (format!("{joules:.1} J/TH")) }
                    }
                }
            }
        }
        @if let Some(errors) = reading.error_percent {
            div { dt { "wrong hashes" } dd { (format!("{errors:.2} %")) small { "by its chips" } } }
        }
        @if let Some(uptime) = reading.uptime {
            div {
                dt { "on for" }
                dd { (span(uptime)) @if let Some(reason) = &reading.reset_reason { small { (reason) } } }
            }
        }
        @if let Some(rssi) = reading.wifi_rssi {
            div { dt { "Wi-Fi" } dd { (format!("{rssi:.0} dBm")) small { (signal(rssi)) } } }
        }
        @if let Some(rpm) = reading.fan_rpm { div { dt { "fan" } dd { (format!("{rpm:.0}")) small { "turns a minute" } } } }
        @if let Some(best) = reading.best_difficulty { div { dt { "best share, it says" } dd { (short(best)) } } }
    }
}

fn troubles(device: &DeviceView, reading: &DeviceReading) -> Markup {
    let troubles = [
        (device.is_stalled, "It proves nothing: it has stalled."),
        (reading.is_overheated == Some(true), "It was too hot, and has stopped its chips."),
        (reading.is_paused == Some(true), "It is paused."),
        (reading.uses_fallback == Some(true), "It mines on the second pool of its settings."),
    ];
    html! {
        @for (_, text) in troubles.iter().filter(|(is_so, _)| *is_so) { p { (text) } }
        @if let Some(fault) = &reading.fault { p { "It reports a fault: " (fault) "." } }
    }
}

/// The three numbers: said by the device, proven by its shares, accepted by the pool.
fn way(status: &StatusSnapshot, device: &DeviceView, has_others: bool) -> Markup {
    let Some(work) = &device.work else {
        return html! {
            p.quiet {
                @if has_others { (device.address) ": " }
                "Not known yet: it takes a minute in which the device is connected, has work and is read."
            }
        };
    };
    html! {
        @if has_others { p.quiet { (device.address) } }
        ol {
            li {
                strong { "the device says" }
                span.figure { (rate(work.reported)) }
                span.quiet { "mean of " (span(std::time::Duration::from_secs_f64(work.seconds))) }
            }
            li {
                strong { "its shares prove" }
                span.figure { (rate(work.proven)) }
                span.quiet { (part(work.proven, work.reported)) " of that, ± " (format!("{:.0}", work.chance * 100.0)) " % by chance" }
            }
            li {
                @if status.program.config.mode == Mode::Aggregate { strong { "Sluice accepts for the pool" } }
                @else { strong { "the pool accepts" } }
                span.figure { (rate(work.accepted)) }
                span.quiet { (part(work.accepted, work.proven)) " of what they prove" }
            }
            (credited(status))
        }
    }
}

/// The pool's own figures about all miners of the account.
fn credited(status: &StatusSnapshot) -> Markup {
    let Some(credit) = &status.snapshot.credit else { return html! {} };
    let (figure, text) = match &credit.verdict {
        CreditVerdict::Agrees => ("agree", String::from("for all your miners together")),
        CreditVerdict::CreditsLess { credited, proven, .. } => {
            ("less", format!("{} of what all your miners have proven", part(*credited, *proven)))
        }
        CreditVerdict::Unknown => ("–", String::from("not enough is proven yet to compare")),
    };
    html! { li { strong { "the pool's own figures" } span.figure { (figure) } span.quiet { (text) } } }
}

fn part(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1} %", part / whole * 100.0) } else { String::from("–") }
}

fn signal(rssi: f64) -> &'static str {
    match rssi {
        -60.0.. => "good",
        -72.0.. => "fair",
        _ => "weak",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::analyzer::WorkLegs;
    use crate::devices::DeviceInterface;
    use crate::status::page::tests::{change, miner, status};

    fn page(view: impl FnOnce(&mut DeviceView)) -> String {
        let mut status = status();
        let reading = DeviceReading {
            model: Some(String::from("BM1370, board 601")),
            hash_rate: Some(1.2e12),
            power: Some(18.0),
            temperature: Some(59.1),
            uptime: Some(Duration::from_secs(7200)),
            wifi_rssi: Some(-57.0),
            ..DeviceReading::empty(DeviceInterface::AxeOs)
        };
        let mut device = DeviceView {
            worker: "rig".into(),
            address: "10.0.0.7".parse().unwrap(),
            is_connected: true,
            reading: Some((status.at, Arc::new(reading))),
            failure: None,
            work: Some(WorkLegs {
                seconds: 3600.0,
                reported: 1.2e12,
                proven: 1.18e12,
                accepted: 1.18e12,
                chance: 0.05,
            }),
            is_stalled: false,
        };
        view(&mut device);
        change(&mut status, |snapshot| {
            snapshot.miners = vec![miner(1, "rig")];
            snapshot.devices = [device].into();
        });
        let facts = WorkerFacts::of(&status, "rig").unwrap();
        sections(&status, &facts).into_string()
    }

    #[test]
    fn the_three_numbers_are_shown() {
        let html = page(|_| ());
        for text in [
            "1.20 TH/s",
            "1.18 TH/s",
            "98.3 % of that, ± 5 % by chance",
            "100.0 % of what they prove",
            "15.0 J/TH",
            "59 °C",
        ] {
            assert!(html.contains(text), "no {text} in {html}");
        }
        assert!(!html.contains("class=\"tiles old\""));
    }

    #[test]
    fn a_failure_and_a_stall_are_shown() {
        let html = page(|device| {
            device.failure = Some("no answer in time".into());
            (device.work, device.is_stalled) = (None, true);
        });
        assert!(
            html.contains("it can't be read now: no answer in time") && html.contains("it has stalled"),
            "{html}"
        );
        assert!(html.contains("Not known yet"));
        let html = page(|device| (device.reading, device.failure) = (None, Some("<b>".into())));
        assert!(html.contains("&lt;b&gt;") && !html.contains("tiles"), "{html}");
    }
}
