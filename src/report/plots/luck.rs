//! Luck: the difficulties of shares against the law of honest hashes, and the best share against the work.

use super::canvas::{Ink, PlotAxes, PlotFigure, PlotMark, bounds, draw, log_ticks};
use super::over_time::{axes, grouped_buckets};
use crate::report::statistics::poisson_interval;
use crate::report::tally::ShareTally;
use crate::util::format::{count, grouped, short};

const HEIGHT: u32 = 220;
/// Shares before the plots say anything.
const MIN_SHARES: u64 = 20;

/// How many shares reach a multiple of what was asked for: half of them twice as much, a quarter four times, and so on.
pub(in crate::report) fn share_difficulties(tally: &ShareTally) -> Option<PlotFigure> {
    let all = tally.proven_shares;
    if all < MIN_SHARES {
        return None;
    }
    let last = tally.powers.iter().rposition(|shares| *shares > 0)? + 1;
    let at_least = |power: usize| tally.powers[power.min(tally.powers.len())..].iter().sum::<u64>();
    let expected = |power: usize| all as f64 / 2_f64.powi(power as i32);
    // Less than one share is the lower edge.
    let place = |shares: f64| shares.max(0.5).log10();
    let seen: Vec<(f64, f64)> =
        (0..=last).map(|power| (power as f64, place(at_least(power) as f64))).collect();
    let law: Vec<(f64, f64)> = (0..=last).map(|power| (power as f64, place(expected(power)))).collect();
    let low = (0..=last).map(|power| (power as f64, place(poisson_interval(expected(power)).0)));
    let high = (0..=last).rev().map(|power| (power as f64, place(poisson_interval(expected(power)).1)));
    let mut y_ticks = log_ticks(1.0, all as f64, |value| grouped(value as u64));
    y_ticks.insert(0, (0.5_f64.log10(), String::from("0")));
    let step = last.div_ceil(5).max(1);
    let x_ticks = (0..=last)
        .step_by(step)
        .map(|power| (power as f64, format!("×{}", short(2_f64.powi(power as i32)))))
        .collect();
    let axes = PlotAxes {
        x: (0.0, last as f64),
        x_ticks,
        y: bounds(&y_ticks),
        y_ticks,
        height: HEIGHT,
        label_width: 64,
    };
    let summary = format!(
        "Shares by how far their hash exceeds what was asked for, {}: {} reach twice as much ({} expected), {} a thousand times as much ({} expected).",
        count(all, "share"),
        grouped(at_least(1)),
        grouped(expected(1).round() as u64),
        grouped(at_least(10)),
        grouped(expected(10).round() as u64)
    );
    let marks = [
        PlotMark::Area(low.chain(high).collect(), Ink::Band),
        PlotMark::Line(law, Ink::Gold),
        PlotMark::Line(seen, Ink::Water),
    ];
    let svg = draw(&axes, &marks, &summary);
    let legend =
        [("water", "shares found"), ("gold", "the law of honest hashes"), ("band", "its 95 % range")];
    let legend = legend.map(|(class, text)| (class, text.to_owned())).to_vec();
    Some(PlotFigure {
        title: String::from("Difficulty of the shares (number that reach a multiple of the asked)"),
        svg,
        legend,
        summary,
    })
}

/// The best share so far, against the one that the work so far has on average.
pub(in crate::report) fn best_over_time(tally: &ShareTally) -> Option<PlotFigure> {
    let buckets = grouped_buckets(tally, 1);
    let (mut work, mut best) = (0.0, 0.0_f64);
    let mut points: Vec<(f64, f64, f64)> = Vec::new();
    for bucket in &buckets {
        work += bucket.content.proven;
        best = best.max(bucket.content.best);
        if work > 0.0 && best > 0.0 {
            points.push((bucket.to as f64, work, best));
        }
    }
    if points.len() < 2 || tally.proven_shares < MIN_SHARES {
        return None;
    }
    // The best of so much work is below `work / -ln(chance)` with this chance.
    let quantile = |work: f64, chance: f64| (work / -f64::ln(chance)).max(1e-12).log10();
    let lowest = points.iter().map(|(_, work, best)| (work / 3.0).min(*best)).fold(f64::INFINITY, f64::min);
    let highest = points.iter().map(|(_, work, best)| (work * 20.0).max(*best)).fold(0.0, f64::max);
    let y_ticks = log_ticks(lowest, highest, short);
    let low = points.iter().map(|(x, work, _)| (*x, quantile(*work, 0.05)));
    let high = points.iter().rev().map(|(x, work, _)| (*x, quantile(*work, 0.95)));
    let band = low.chain(high).collect();
    let median = points.iter().map(|(x, work, _)| (*x, quantile(*work, 0.5))).collect();
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for (x, _, best) in &points {
        let before = steps.last().map(|(_, y)| *y);
        steps.extend(before.map(|y| (*x, y)));
        steps.push((*x, best.log10()));
    }
    let summary = format!(
        "Best share so far, from {}: {} at the end; this much work has {} on average (median).",
        count(tally.proven_shares, "proven share"),
        short(best),
        short(work / std::f64::consts::LN_2)
    );
    let marks = [
        PlotMark::Area(band, Ink::Band),
        PlotMark::Line(median, Ink::Gold),
        PlotMark::Line(steps, Ink::Water),
    ];
    let svg = draw(&axes(tally, y_ticks, 64), &marks, &summary);
    let legend = [("water", "best share so far"), ("gold", "expected"), ("band", "90 % of such times")];
    let legend = legend.map(|(class, text)| (class, text.to_owned())).to_vec();
    Some(PlotFigure { title: String::from("Luck: the best share so far (difficulty)"), svg, legend, summary })
}
