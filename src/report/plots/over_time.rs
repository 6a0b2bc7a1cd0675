//! Hash rate and shares over time.

use super::canvas::{Ink, PlotAxes, PlotFigure, PlotMark, bounds, draw, linear_ticks, time_ticks};
use crate::report::fields::UnixMs;
use crate::report::series::BucketContent;
use crate::report::statistics::poisson_interval;
use crate::report::tally::{ShareTally, WorkBucket};
use crate::util::format::{count, grouped, rate, span};
use crate::work::HASHES_PER_DIFFICULTY;
use std::time::Duration;

/// The most points of a line.
const MAX_POINTS: usize = 170;
/// Shares that a point should have: fewer are mostly noise.
const SHARES_PER_POINT: u64 = 30;
const HEIGHT: u32 = 220;

/// The shares of a stretch of time, as long as its neighbours.
pub(super) struct PlotBucket {
    pub from: UnixMs,
    pub to: UnixMs,
    pub content: WorkBucket,
}

/// The buckets in groups, so that a plot has not too many points, and each of them enough shares.
pub(super) fn grouped_buckets(tally: &ShareTally, min_shares: u64) -> Vec<PlotBucket> {
    let (width, buckets) = (tally.work.width_ms(), tally.work.iter().len().max(1));
    let by_points = buckets.div_ceil(MAX_POINTS);
    let wanted = (tally.proven_shares / min_shares.max(1)).clamp(4, MAX_POINTS as u64) as usize;
    let group = by_points.max(buckets / wanted).max(1);
    let mut grouped: Vec<PlotBucket> = Vec::new();
    for (place, (start, bucket)) in tally.work.iter().enumerate() {
        let (from, to) = (start.max(tally.first_at), (start + width).min(tally.last_at));
        match grouped.last_mut().filter(|_| place % group != 0) {
            Some(last) => {
                last.content.merge(*bucket);
                last.to = to;
            }
            None => grouped.push(PlotBucket { from, to, content: *bucket }),
        }
    }
    // The last one may be too short to say anything.
    let is_short = |bucket: &PlotBucket| (bucket.to - bucket.from) < width * group as i64 / 4;
    if grouped.len() > 1 && grouped.last().is_some_and(is_short) {
        if let (Some(short), Some(last)) = (grouped.pop(), grouped.last_mut()) {
            last.content.merge(short.content);
            last.to = short.to;
        }
    }
    grouped
}

/// The hash rate with its 95 % band.
pub(in crate::report) fn hash_rate(title: &str, tally: &ShareTally) -> Option<PlotFigure> {
    let buckets = grouped_buckets(tally, SHARES_PER_POINT);
    let known = buckets.iter().filter(|bucket| bucket.to > bucket.from);
    let points: Vec<(f64, [f64; 3])> = known
        .map(|bucket| {
            let seconds = (bucket.to - bucket.from) as f64 / 1000.0;
            let shares = bucket.content.effective_shares();
            let (low, high) = poisson_interval(shares);
            let middle = bucket.content.proven * HASHES_PER_DIFFICULTY / seconds;
            // Without a share the band is that of one share of the usual difficulty.
            let unit = if shares > 0.0 {
                middle / shares
            } else {
                usual_work(tally) * HASHES_PER_DIFFICULTY / seconds
            };
            ((bucket.from + bucket.to) as f64 / 2.0, [low * unit, middle, high * unit])
        })
        .collect();
    if points.len() < 2 || tally.proven_shares == 0 {
        return None;
    }
    let highest = points.iter().map(|(_, [.., high])| *high).fold(0.0, f64::max);
    let middles = || points.iter().map(|(_, [_, middle, _])| *middle);
    let top = highest.min(middles().fold(0.0, f64::max) * 2.0);
    let clipped = |value: f64| value.min(top);
    let band = points.iter().map(|(x, [low, ..])| (*x, clipped(*low)));
    let band: Vec<_> = band.chain(points.iter().rev().map(|(x, [.., high])| (*x, clipped(*high)))).collect();
    let line = points.iter().map(|(x, [_, middle, _])| (*x, *middle)).collect();
    let summary = format!(
        "Hash rate in H/s from {}: lowest {}, highest {}, each point over {}.",
        count(tally.proven_shares, "proven share"),
        rate(middles().fold(f64::INFINITY, f64::min)),
        rate(middles().fold(0.0, f64::max)),
        point_length(&buckets)
    );
    let y_ticks = linear_ticks(top, rate);
    let axes = axes(tally, y_ticks, 76);
    let svg = draw(&axes, &[PlotMark::Area(band, Ink::Band), PlotMark::Line(line, Ink::Water)], &summary);
    let legend = vec![("water", String::from("hash rate")), ("band", String::from("95 % range of luck"))];
    Some(PlotFigure { title: title.to_owned(), svg, legend, summary })
}

/// Shares by their result, as stacked bars.
pub(in crate::report) fn shares_by_result(tally: &ShareTally) -> Option<PlotFigure> {
    let buckets = grouped_buckets(tally, 1);
    let parts = |bucket: &WorkBucket| {
        [
            (bucket.accepted, Ink::Water),
            (bucket.rejected, Ink::Bad),
            (bucket.unanswered, Ink::Warn),
            (bucket.unknown, Ink::Label),
        ]
    };
    let total = |bucket: &PlotBucket| {
        parts(&bucket.content).iter().map(|(shares, _)| f64::from(*shares)).sum::<f64>()
    };
    let highest = buckets.iter().map(total).fold(0.0, f64::max);
    if highest <= 0.0 || tally.last_at <= tally.first_at {
        return None;
    }
    let y_ticks = linear_ticks(highest, |value| grouped(value as u64));
    let (_, top) = bounds(&y_ticks);
    let mut marks = Vec::new();
    for bucket in &buckets {
        let mut below = 0.0;
        for (shares, ink) in parts(&bucket.content).into_iter().filter(|(shares, _)| *shares > 0) {
            // One rejected share among thousands is visible, too.
            let above = below + f64::from(shares).max(top / 200.0);
            marks.push(PlotMark::Bar((bucket.from as f64, above), (bucket.to as f64, below), ink, 1.0));
            below = above;
        }
    }
    let summary = format!(
        "Shares by result, each bar over {}: {} accepted, {} rejected, {} unanswered, {} unknown.",
        point_length(&buckets),
        grouped(tally.accepted),
        grouped(tally.rejected),
        grouped(tally.unanswered),
        grouped(tally.unknown)
    );
    let svg = draw(&axes(tally, y_ticks, 56), &marks, &summary);
    let legend = [("water", "accepted"), ("bad", "rejected"), ("warn", "unanswered"), ("label", "unknown")];
    let legend = legend.map(|(class, text)| (class, text.to_owned())).to_vec();
    Some(PlotFigure { title: String::from("Shares by result"), svg, legend, summary })
}

/// Axes with the time of these shares.
pub(super) fn axes(tally: &ShareTally, y_ticks: Vec<(f64, String)>, label_width: u32) -> PlotAxes {
    let (from, to) = (tally.first_at, tally.last_at.max(tally.first_at + 1));
    let x_ticks = time_ticks(from, to);
    PlotAxes {
        x: (from as f64, to as f64),
        x_ticks,
        y: bounds(&y_ticks),
        y_ticks,
        height: HEIGHT,
        label_width,
    }
}

fn usual_work(tally: &ShareTally) -> f64 {
    tally.proven_difficulty / tally.proven_shares.max(1) as f64
}

fn point_length(buckets: &[PlotBucket]) -> String {
    let longest = buckets.iter().map(|bucket| bucket.to - bucket.from).max().unwrap_or(0);
    span(Duration::from_millis(longest.unsigned_abs()))
}
