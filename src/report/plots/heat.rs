//! The hash rate by day and hour, as a map of shades.

use super::canvas::{Ink, PlotAxes, PlotFigure, PlotMark, draw};
use crate::report::fields::{day_and_hour, timestamp};
use crate::report::tally::ShareTally;
use crate::util::format::{count, rate};
use crate::work::HASHES_PER_DIFFICULTY;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// Days that each have a row. More days share a row for each day of the week.
const MAX_DAYS: i64 = 31;
const HOURS: usize = 24;

/// The work of an hour, and how much of the hour the records cover.
#[derive(Debug, Clone, Copy, Default)]
struct HourCell {
    work: f64,
    time_ms: f64,
}

/// The mean hash rate of each hour (UTC), a row for a day, or for a day of the week if there are many.
pub(in crate::report) fn hours(tally: &ShareTally) -> Option<PlotFigure> {
    let (first, _) = day_and_hour(tally.first_at);
    let (last, _) = day_and_hour(tally.last_at);
    let is_weekly = last - first >= MAX_DAYS;
    if tally.work.width_ms() > HOUR_MS || tally.last_at - tally.first_at < 6 * HOUR_MS {
        return None;
    }
    let rows = if is_weekly { 7 } else { usize::try_from(last - first + 1).unwrap_or(1) };
    // 1 January 1970 was a Thursday; weeks begin on Monday.
    let row = |day: i64| if is_weekly { (day + 3).rem_euclid(7) } else { day - first };
    let mut cells = vec![[HourCell::default(); HOURS]; rows];
    let width = tally.work.width_ms();
    for (start, bucket) in tally.work.iter() {
        let (day, hour) = day_and_hour(start);
        let Some(cell) = usize::try_from(row(day)).ok().and_then(|row| cells.get_mut(row)) else { continue };
        cell[hour].work += bucket.proven;
        cell[hour].time_ms += ((start + width).min(tally.last_at) - start.max(tally.first_at)).max(0) as f64;
    }
    let rate_of = |cell: &HourCell| cell.work * HASHES_PER_DIFFICULTY / (cell.time_ms / 1000.0);
    // A few minutes at the edge say nothing.
    let known = || cells.iter().flatten().filter(|cell| cell.time_ms > HOUR_MS as f64 / 4.0);
    let highest = known().map(rate_of).fold(0.0, f64::max);
    if highest <= 0.0 {
        return None;
    }
    let lowest = known().map(rate_of).fold(f64::INFINITY, f64::min);
    let mut marks = Vec::new();
    for (row, hours) in cells.iter().enumerate() {
        let above = (rows - row) as f64;
        for (hour, cell) in hours.iter().enumerate().filter(|(_, cell)| cell.time_ms > HOUR_MS as f64 / 4.0) {
            let shade = rate_of(cell) / highest;
            let (ink, opacity) =
                if cell.work > 0.0 { (Ink::Water, 0.08 + 0.92 * shade) } else { (Ink::Bad, 0.6) };
            marks.push(PlotMark::Bar(
                (hour as f64 + 0.03, above - 0.04),
                (hour as f64 + 0.97, above - 0.96),
                ink,
                opacity,
            ));
        }
    }
    let label = |row: usize| {
        if is_weekly {
            return ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][row % 7].to_owned();
        }
        timestamp((first + row as i64) * DAY_MS)
            .map_or_else(String::new, |time| time.strftime("%a %-d %b").to_string())
    };
    let every = rows.div_ceil(16);
    let y_ticks = (0..rows).step_by(every).map(|row| ((rows - row) as f64 - 0.5, label(row))).collect();
    let x_ticks = (0..=HOURS).step_by(4).map(|hour| (hour as f64, format!("{hour}:00"))).collect();
    let height = 44 + u32::try_from(rows).unwrap_or(1) * if rows > 16 { 14 } else { 24 };
    let axes =
        PlotAxes { x: (0.0, HOURS as f64), x_ticks, y: (0.0, rows as f64), y_ticks, height, label_width: 76 };
    let summary = format!(
        "Mean hash rate of each hour (UTC), from {}: the best hour has {}, the worst {}.",
        count(tally.proven_shares, "proven share"),
        rate(highest),
        rate(lowest)
    );
    let svg = draw(&axes, &marks, &summary);
    let legend = vec![
        ("water", format!("darker is more, up to {}", rate(highest))),
        ("bad", String::from("no share")),
    ];
    Some(PlotFigure { title: String::from("Hours of the day (UTC)"), svg, legend, summary })
}
