//! The time line: when Sluice, pools and miners were away, and when alerts were raised.

use super::canvas::{Ink, PlotAxes, PlotFigure, PlotMark, draw, time_ticks};
use crate::config::Severity;
use crate::report::absences::{Absence, AbsenceCause};
use crate::report::fields::UnixMs;
use crate::report::records::Records;
use crate::report::selection::plain_pool;
use crate::util::escape::line_text;
use crate::util::format::count;
use crate::work::name_of_worker;

/// Caps the lanes of pools, and of workers.
const MAX_LANES: usize = 12;
/// Caps the characters of a lane's name.
const MAX_NAME: usize = 18;
const LANE_HEIGHT: u32 = 26;
/// The least width of a mark, as a part of the whole, so that it can be seen.
const MIN_WIDTH: f64 = 1.0 / 300.0;

/// One lane: its name, and its marks from, to.
type Lane = (String, Vec<(UnixMs, UnixMs, Ink)>);

/// Lanes for Sluice, the pools, the alerts and the workers. `cause` says why a worker was absent.
pub(in crate::report) fn time_line(
    records: &Records,
    cause: impl Fn(&Absence) -> AbsenceCause,
) -> Option<PlotFigure> {
    let all = &records.all;
    if all.submitted == 0 || all.last_at <= all.first_at {
        return None;
    }
    let (from, to) = (all.first_at, all.last_at);
    let mut lanes: Vec<Lane> = Vec::new();
    let line = &records.time_line;
    let sluice = line.sluice_outages.iter().map(|outage| (outage.from, outage.to.unwrap_or(to), Ink::Bad));
    lanes.push((String::from("Sluice"), sluice.collect()));
    for pool in records.pools.iter().filter(|pool| !pool.name.is_empty()).take(MAX_LANES) {
        let own =
            line.pool_outages.iter().filter(|outage| plain_pool(&outage.subject) == plain_pool(&pool.name));
        lanes.push((
            shown(plain_pool(&pool.name)),
            own.map(|outage| (outage.from, outage.to.unwrap_or(to), Ink::Bad)).collect(),
        ));
    }
    let alerts = line.alert_states.iter().filter(|state| state.severity >= Severity::Medium).map(|state| {
        let ink = if state.severity == Severity::High { Ink::Bad } else { Ink::Warn };
        (state.from, state.to.unwrap_or(to), ink)
    });
    lanes.push((String::from("Alerts"), alerts.collect()));
    for worker in records.workers.iter().take(MAX_LANES) {
        let absences = worker.pauses.absences.iter().map(|absence| {
            let ink = match cause(absence) {
                AbsenceCause::Miner => Ink::Gold,
                AbsenceCause::Sluice | AbsenceCause::Pool | AbsenceCause::Everything => Ink::Label,
            };
            (absence.from, absence.to, ink)
        });
        lanes.push((shown(name_of_worker(&worker.name)), absences.collect()));
    }
    let rows = lanes.len();
    let least = (to - from) as f64 * MIN_WIDTH;
    let mut marks = Vec::new();
    let mut shown_marks = 0;
    for (row, (_, stretches)) in lanes.iter().enumerate() {
        let above = (rows - row) as f64;
        marks.push(PlotMark::Bar((from as f64, above - 0.25), (to as f64, above - 0.75), Ink::Grid, 0.7));
        for (first, last, ink) in stretches.iter().filter(|(first, last, _)| *last >= from && *first <= to) {
            let left = (*first).max(from) as f64;
            let right = ((*last).min(to) as f64).max(left + least).min(to as f64);
            marks.push(PlotMark::Bar(
                (left.min(right - least), above - 0.12),
                (right, above - 0.88),
                *ink,
                1.0,
            ));
            shown_marks += 1;
        }
    }
    let y_ticks =
        lanes.iter().enumerate().map(|(row, (name, _))| ((rows - row) as f64 - 0.5, name.clone())).collect();
    let height = 44 + LANE_HEIGHT * u32::try_from(rows).unwrap_or(1);
    let (x, x_ticks) = ((from as f64, to as f64), time_ticks(from, to));
    let axes = PlotAxes { x, x_ticks, y: (0.0, rows as f64), y_ticks, height, label_width: 130 };
    let summary = format!(
        "Time line with {}: outages, alerts above low, and gaps without shares.",
        count(shown_marks, "mark")
    );
    let svg = draw(&axes, &marks, &summary);
    let legend = [
        ("bad", "Sluice or a pool away, high alert"),
        ("warn", "medium alert"),
        ("gold", "miner away by itself"),
        ("label", "miner without work for another reason"),
    ];
    let legend = legend.map(|(class, text)| (class, text.to_owned())).to_vec();
    Some(PlotFigure { title: String::from("Time line"), svg, legend, summary })
}

fn shown(name: &str) -> String {
    line_text(name, MAX_NAME)
}
