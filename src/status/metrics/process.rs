//! Metrics of the program: forwarding, connections, clock, records, alerts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::text::{MetricKind, MetricsText};
use crate::clock::ClockState;
use crate::config::RuleId;
use crate::status::snapshot::StatusSnapshot;

/// The histogram bounds, from a copy on a fast machine to a delay that people notice.
const LATENCY_BUCKETS_MICROS: [u64; 13] =
    [10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 100_000, 1_000_000];

pub(super) fn write(to: &mut MetricsText, status: &StatusSnapshot) {
    program(to, status);
    forwarding(to, status);
    connections(to, status);
    clock(to, status);
    recording(to, status);
    alerts(to, status);
}

fn program(to: &mut MetricsText, status: &StatusSnapshot) {
    let program = &status.program;
    to.family("sluice_build_info", MetricKind::Gauge, "Always 1; the version is in the label.")
        .count(&[("version", program.version), ("mode", program.config.mode.as_str())], 1);
    to.gauge("sluice_uptime_seconds", "Time since the start.", Some(status.up_for.as_secs_f64()));
    to.gauge(
        "sluice_start_time_seconds",
        "Start of the program, since 1970.",
        Some(program.started.timestamp().as_millisecond() as f64 / 1e3),
    );
    to.counter(
        "sluice_thread_restarts_total",
        "Panics that service threads have survived; each is a bug in Sluice.",
        Some(status.runtime.thread_restarts),
    );
    let unwell = status.runtime.threads.iter().filter(|one| one.trouble.is_some()).count();
    to.gauge(
        "sluice_threads_unwell",
        "Service threads that have died or make no progress.",
        Some(unwell as f64),
    );
    let analysis = f64::from(u8::from(program.config.analysis.enabled));
    to.gauge("sluice_analysis_enabled", "0 when Sluice only counts bytes.", Some(analysis));
}

fn forwarding(to: &mut MetricsText, status: &StatusSnapshot) {
    let (volume, summary) = (&status.runtime.volume, &status.snapshot.summary);
    let mut each = |name, help, [up, down]: [u64; 2]| {
        let mut family = to.family(name, MetricKind::Counter, help);
        family.count(&[("direction", "up")], up);
        family.count(&[("direction", "down")], down);
    };
    let chunks = [volume.chunks_up, volume.chunks_down];
    each("sluice_forwarding_bytes_total", "Forwarded bytes.", [volume.bytes_up, volume.bytes_down]);
    each(
        "sluice_forwarding_chunks_total",
        "Reads that returned data; nearly always one message each.",
        chunks,
    );
    let messages = [summary.messages_up, summary.messages_down];
    each("sluice_forwarding_messages_total", "Lines that the analyzer read.", messages);
    let mut family = to.family(
        "sluice_forwarding_latency_seconds",
        MetricKind::Histogram,
        "Latency that forwarding added: from readable to handed to the kernel.",
    );
    family.histogram(
        &[("direction", "up")],
        &summary.latency_up,
        &LATENCY_BUCKETS_MICROS.map(Duration::from_micros),
    );
    family.histogram(
        &[("direction", "down")],
        &summary.latency_down,
        &LATENCY_BUCKETS_MICROS.map(Duration::from_micros),
    );
    let mut counter = |name, help, value| to.counter(name, help, Some(value));
    counter(
        "sluice_dropped_copies_total",
        "Copies that were not analysed because the analyzer was behind.",
        volume.dropped_copies,
    );
    counter("sluice_unreadable_lines_total", "Lines that are not a Stratum message.", summary.unreadable);
    counter("sluice_too_long_lines_total", "Lines over 64 KiB.", summary.too_long);
    counter("sluice_conversation_gaps_total", "Conversations resumed after dropped copies.", summary.gaps);
}

fn connections(to: &mut MetricsText, status: &StatusSnapshot) {
    let (runtime, counts) = (&status.runtime, &status.runtime.counts);
    let mut gauge = |name, help, value: usize| to.gauge(name, help, Some(value as f64));
    gauge("sluice_miners_connected", "Connected miners.", runtime.sessions);
    gauge("sluice_connections", "Connections that count against the limits.", counts.connections);
    gauge("sluice_connection_sources", "Addresses that the limits track.", counts.sources);
    gauge("sluice_banned_sources", "Banned addresses.", counts.banned);
    to.counter("sluice_sessions_total", "Opened sessions.", Some(runtime.volume.sessions));
}

fn clock(to: &mut MetricsText, status: &StatusSnapshot) {
    let state = status.snapshot.clock.as_ref();
    let (offset, bound) = match state {
        Some(ClockState::Synchronised { offset, error_bound, .. }) => {
            (Some(offset.seconds()), Some(error_bound.as_secs_f64()))
        }
        Some(ClockState::Unsynchronised { .. }) | None => (None, None),
    };
    let known = state.map(|_| f64::from(u8::from(offset.is_some())));
    to.gauge("sluice_ntp_synchronised", "1 while the clock is synchronised by NTP.", known);
    to.gauge("sluice_ntp_offset_seconds", "What must be added to the system's clock.", offset);
    to.gauge("sluice_ntp_error_bound_seconds", "Bound on the error of the offset.", bound);
}

fn recording(to: &mut MetricsText, status: &StatusSnapshot) {
    let health = status.snapshot.recording.as_ref();
    let (dropped, lost) = (health.map(|health| health.dropped), health.map(|health| health.lost));
    to.counter(
        "sluice_recording_dropped_rows_total",
        "Rows not written because the disk was too slow.",
        dropped,
    );
    to.counter(
        "sluice_recording_lost_rows_total",
        "Rows not written because writing failed for too long.",
        lost,
    );
    let troubles = health.map(|health| health.write_errors.len() as f64);
    to.gauge("sluice_recording_troubles", "Files that can't be written now.", troubles);
}

fn alerts(to: &mut MetricsText, status: &StatusSnapshot) {
    let view = &status.snapshot.alerts;
    // Every rule has a sample from the start, so that its first alert is an increase.
    let mut counts: BTreeMap<&str, u64> = RuleId::ALL.iter().map(|rule| (rule.as_str(), 0)).collect();
    counts.extend(&view.counts);
    let mut family = to.family("sluice_alerts_total", MetricKind::Counter, "Alerts raised, by rule.");
    for (rule, count) in counts {
        family.count(&[("rule", rule)], count);
    }
    let mut family = to.family("sluice_alerts_active", MetricKind::Gauge, "Active alerts by severity.");
    for (severity, count) in status.active_by_severity() {
        family.count(&[("severity", severity)], count as u64);
    }
    let mut by_rule: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for alert in status.active_alerts() {
        *by_rule.entry((alert.id, alert.severity.as_str())).or_default() += 1;
    }
    let mut family = to.family(
        "sluice_alerts_active_by_rule",
        MetricKind::Gauge,
        "Active alerts by rule; rules without one have no sample.",
    );
    for ((rule, severity), count) in by_rule {
        family.count(&[("rule", rule), ("severity", severity)], count);
    }
    to.counter(
        "sluice_alerts_not_kept_total",
        "Alerts that were not kept because there were too many.",
        Some(view.overflowed),
    );
}
