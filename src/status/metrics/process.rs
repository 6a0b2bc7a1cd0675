//! Metrics of the program: forwarding, connections, clock, records, alerts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::text::MetricsText;
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
    to.gauges("sluice_build_info", "Always 1; the version is in the label.")
        .sample(&[("version", program.version), ("mode", program.config.mode.as_str())], true);
    to.gauge("sluice_uptime_seconds", "Time since the start.", status.up_for.as_secs_f64());
    let started = program.started.timestamp().as_millisecond() as f64 / 1e3;
    to.gauge("sluice_start_time_seconds", "Start of the program, since 1970.", started);
    let help = "Panics that service threads have survived; each is a bug in Sluice.";
    to.counter("sluice_thread_restarts_total", help, status.runtime.thread_restarts);
    let unwell = status.runtime.threads.iter().filter(|one| one.trouble.is_some()).count();
    to.gauge("sluice_threads_unwell", "Service threads that have died or make no progress.", unwell);
    let is_analyzed = program.config.analysis.enabled;
    to.gauge("sluice_analysis_enabled", "0 when Sluice only counts bytes.", is_analyzed);
}

fn forwarding(to: &mut MetricsText, status: &StatusSnapshot) {
    let (volume, summary) = (&status.runtime.volume, &status.snapshot.summary);
    let mut both = |name, help, up: u64, down: u64| {
        to.counters(name, help).samples(&[], "direction", [("up", up), ("down", down)]);
    };
    both("sluice_forwarding_bytes_total", "Forwarded bytes.", volume.bytes_up, volume.bytes_down);
    let help = "Reads that returned data; nearly always one message each.";
    both("sluice_forwarding_chunks_total", help, volume.chunks_up, volume.chunks_down);
    let help = "Lines that the analyzer read.";
    both("sluice_forwarding_messages_total", help, summary.messages_up, summary.messages_down);
    let help = "Latency that forwarding added: from readable to handed to the kernel.";
    let mut family = to.histograms("sluice_forwarding_latency_seconds", help);
    let bounds = LATENCY_BUCKETS_MICROS.map(Duration::from_micros);
    family.histogram(&[("direction", "up")], &summary.latency_up, &bounds);
    family.histogram(&[("direction", "down")], &summary.latency_down, &bounds);
    let help = "Copies that were not analysed because the analyzer was behind.";
    to.counter("sluice_dropped_copies_total", help, volume.dropped_copies);
    let help = "Lines that are not a Stratum message.";
    to.counter("sluice_unreadable_lines_total", help, summary.unreadable);
    to.counter("sluice_too_long_lines_total", "Lines over 64 KiB.", summary.too_long);
    let help = "Conversations resumed after dropped copies.";
    to.counter("sluice_conversation_gaps_total", help, summary.gaps);
}

fn connections(to: &mut MetricsText, status: &StatusSnapshot) {
    let (runtime, counts) = (&status.runtime, &status.runtime.counts);
    to.gauge("sluice_miners_connected", "Connections of miners, authorized or not.", runtime.sessions);
    let is_analyzed = status.program.config.analysis.enabled;
    let authorized = status.snapshot.miners.iter().filter(|miner| !miner.worker.is_empty()).count();
    let help = "Connected miners whose worker has been accepted.";
    to.gauge("sluice_miners_authorized", help, is_analyzed.then_some(authorized));
    to.gauge("sluice_connections", "Connections that count against the limits.", counts.connections);
    to.gauge("sluice_connection_sources", "Addresses that the limits track.", counts.sources);
    to.gauge("sluice_banned_sources", "Banned addresses.", counts.banned);
    to.counter("sluice_sessions_total", "Opened sessions.", runtime.volume.sessions);
}

fn clock(to: &mut MetricsText, status: &StatusSnapshot) {
    let state = status.snapshot.clock.as_ref();
    let (offset, bound) = match state {
        Some(ClockState::Synchronised { offset, error_bound, .. }) => {
            (Some(offset.seconds()), Some(error_bound.as_secs_f64()))
        }
        Some(ClockState::Unsynchronised { .. }) | None => (None, None),
    };
    let is_synchronised = state.map(|_| offset.is_some());
    to.gauge("sluice_ntp_synchronised", "1 while the clock is synchronised by NTP.", is_synchronised);
    to.gauge("sluice_ntp_offset_seconds", "What must be added to the system's clock.", offset);
    to.gauge("sluice_ntp_error_bound_seconds", "Bound on the error of the offset.", bound);
}

fn recording(to: &mut MetricsText, status: &StatusSnapshot) {
    let health = status.snapshot.recording.as_ref();
    let help = "Rows not written because the disk was too slow.";
    to.counter("sluice_recording_dropped_rows_total", help, health.map(|health| health.dropped));
    let help = "Rows not written because writing failed for too long.";
    to.counter("sluice_recording_lost_rows_total", help, health.map(|health| health.lost));
    let troubles = health.map(|health| health.write_errors.len());
    to.gauge("sluice_recording_troubles", "Files that can't be written now.", troubles);
}

fn alerts(to: &mut MetricsText, status: &StatusSnapshot) {
    let view = &status.snapshot.alerts;
    // Every rule has a sample from the start, so that its first alert is an increase.
    let mut counts: BTreeMap<&str, u64> = RuleId::ALL.iter().map(|rule| (rule.as_str(), 0)).collect();
    counts.extend(&view.counts);
    to.counters("sluice_alerts_total", "Alerts raised, by rule.").samples(&[], "rule", counts);
    let active = status.active_by_severity();
    to.gauges("sluice_alerts_active", "Active alerts by severity.").samples(&[], "severity", active);
    let mut by_rule: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for alert in status.active_alerts() {
        *by_rule.entry((alert.id, alert.severity.as_str())).or_default() += 1;
    }
    let help = "Active alerts by rule; rules without one have no sample.";
    let mut family = to.gauges("sluice_alerts_active_by_rule", help);
    for ((rule, severity), count) in by_rule {
        family.sample(&[("rule", rule), ("severity", severity)], count);
    }
    let help = "Alerts that were not kept because there were too many.";
    to.counter("sluice_alerts_not_kept_total", help, view.overflowed);
}
