//! The page's charts, as SVG without any text. The page writes the labels around them in HTML, so
//! that they stay readable on a phone.
//!
//! A chart stretches to the available width. Its shapes have classes instead of colours (`grid`,
//! `area`, `line`, `accepted`, `rejected`, `unanswered`). The page's stylesheet gives `grid` and `line`
//! a `stroke`, and the others a `fill`. A second layer has what the eye does not need: the values, gaps and
//! events.

mod markup;
mod overlay;
mod scale;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use self::markup::{HEIGHT, RESOLUTION, ShapeClass, WIDTH};
pub use self::overlay::{ChartMark, MarkKind};
use self::overlay::{ChartQuantity, overlay};
use self::scale::Scale;
use crate::record::{Bucket, Span};
use crate::util::format::rate;

/// The width of a bar as a part of its bucket's width.
const BAR_WIDTH: f64 = 0.8;
/// The smallest height of a bar's segment, so that one rejected share among a thousand is visible.
const MIN_SEGMENT_HEIGHT: f64 = 1.0 / 200.0;
/// The smallest top of the scale, so that few shares do not fill the height.
const MIN_TOP_SHARES: f64 = 5.0;
/// Leaves room above the line, so that it is not cut at the edge.
const HEADROOM: f64 = 1.03;

/// A drawing, with the values that the page needs to label it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub svg: String,
    /// The layer over it.
    pub over: String,
    /// The value of each bucket for the page's script, with commas between them. Empty where nothing is known. Shares
    /// have the accepted, rejected and unanswered ones, with slashes between them.
    pub values: String,
    /// The value at the upper edge, in H/s or in shares a bucket. Zero is at the lower edge.
    pub top: f64,
    /// The values of the horizontal grid lines, from zero to the top, in the same unit.
    pub lines: Vec<f64>,
    /// The chart shows nothing, because Sluice did not run in that time.
    pub is_empty: bool,
    /// One sentence for people who can't see the chart.
    pub summary: String,
}

/// The data that a chart shows.
#[derive(Debug, Clone, Copy)]
pub struct ChartData<'a> {
    /// The oldest bucket first.
    pub series: &'a [Bucket],
    pub span: Span,
    /// The length of a bucket.
    pub seconds: u64,
    pub marks: &'a [ChartMark],
}

/// Draws the hash rate over time as a line with its area. Time that was not watched is a gap.
pub fn hash_rate(data: &ChartData<'_>) -> Chart {
    let (series, span) = (data.series, data.span);
    let rates = rates(series, data.seconds);
    let known = || rates.iter().flatten().copied();
    let highest = known().fold(0.0, f64::max);
    let scale = Scale::over(highest * HEADROOM);
    let summary = match known().last() {
        Some(last) => {
            let lowest = rate(known().fold(f64::INFINITY, f64::min));
            let (highest, last) = (rate(highest), rate(last));
            format!("Hash rate over {}: lowest {lowest}, highest {highest}, last {last}", period(span))
        }
        None => nothing("Hash rate", span),
    };
    let svg = markup::svg(&summary, |canvas| {
        grid(canvas, &scale)?;
        let coordinates = coordinates(canvas, rates.len(), &scale);
        for run in runs(&rates) {
            let points = points(&rates, run);
            coordinates.draw(&Polygon::new(closed(&points), ShapeClass::Area.marker().filled()))?;
            coordinates.draw(&PathElement::new(points, ShapeClass::Line.marker()))?;
        }
        Ok(())
    });
    let over = overlay(series, data.seconds, ChartQuantity::HashRate, data.marks);
    let value = |rate: &Option<f64>| rate.map_or_else(String::new, |rate| format!("{rate:.3e}"));
    let values = rates.iter().map(value).collect::<Vec<_>>().join(",");
    let is_empty = known().next().is_none();
    Chart { svg, over, values, top: scale.top, lines: scale.lines, is_empty, summary }
}

/// Draws the shares of each bucket as bars: accepted shares below, rejected and unanswered ones above.
pub fn shares(data: &ChartData<'_>) -> Chart {
    let (series, span) = (data.series, data.span);
    let counts = |bucket: &Bucket| [bucket.accepted, bucket.rejected, bucket.unanswered].map(f64::from);
    let counts: Vec<[f64; 3]> = series.iter().map(counts).collect();
    let totals = [0, 1, 2].map(|place| counts.iter().map(|counts| counts[place]).sum::<f64>());
    let is_empty = totals == [0.0; 3] && series.iter().all(|bucket| bucket.hash_rate().is_none());
    let highest = counts.iter().map(|counts| counts.iter().sum()).fold(MIN_TOP_SHARES, f64::max);
    let scale = Scale::over(highest);
    let ([accepted, rejected, unanswered], period) = (totals, period(span));
    let summary = match is_empty {
        true => nothing("Shares", span),
        false => {
            format!("Shares over {period}: {accepted} accepted, {rejected} rejected, {unanswered} unanswered")
        }
    };
    let svg = markup::svg(&summary, |canvas| {
        grid(canvas, &scale)?;
        let coordinates = coordinates(canvas, counts.len(), &scale);
        for (place, counts) in counts.iter().enumerate() {
            let left = place as f64 + (1.0 - BAR_WIDTH) / 2.0;
            let mut below = 0.0;
            let parts =
                counts.iter().zip([ShapeClass::Accepted, ShapeClass::Rejected, ShapeClass::Unanswered]);
            for (count, class) in parts.filter(|(count, _)| **count > 0.0) {
                let above = below + count.max(scale.top * MIN_SEGMENT_HEIGHT);
                let corners = [(left, above), (left + BAR_WIDTH, below)];
                coordinates.draw(&Rectangle::new(corners, class.marker().filled()))?;
                below = above;
            }
        }
        Ok(())
    });
    let over = overlay(series, data.seconds, ChartQuantity::Shares, data.marks);
    let values = series.iter().map(value_of_shares).collect::<Vec<_>>().join(",");
    Chart { svg, over, values, top: scale.top, lines: scale.lines, is_empty, summary }
}

/// `12`, or `12/1/0` if there is more than accepted shares.
fn value_of_shares(bucket: &Bucket) -> String {
    match (bucket.accepted, bucket.rejected, bucket.unanswered) {
        (0, 0, 0) if bucket.hash_rate().is_none() => String::new(),
        (accepted, 0, 0) => accepted.to_string(),
        (accepted, rejected, unanswered) => format!("{accepted}/{rejected}/{unanswered}"),
    }
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Coordinates<'a> = DrawingArea<SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// The coordinate system: a bucket is 1 wide, and zero is at the lower edge.
fn coordinates<'a>(canvas: &Canvas<'a>, buckets: usize, scale: &Scale) -> Coordinates<'a> {
    let (right, bottom) = ((WIDTH * RESOLUTION) as i32, (HEIGHT * RESOLUTION) as i32);
    let (across, up) = (0.0..buckets.max(1) as f64, 0.0..scale.top);
    canvas.apply_coord_spec(Cartesian2d::new(across, up, (0..right, bottom..0)))
}

fn grid(canvas: &Canvas, scale: &Scale) -> markup::DrawResult {
    let coordinates = coordinates(canvas, 1, scale);
    for line in &scale.lines {
        coordinates.draw(&PathElement::new([(0.0, *line), (1.0, *line)], ShapeClass::Grid.marker()))?;
    }
    Ok(())
}

/// Hashes per second of each bucket. The missing part of an incomplete bucket, such as the current
/// one, is taken from the bucket before it, else from the next. Otherwise one share in its first
/// second would be a spike.
fn rates(series: &[Bucket], seconds: u64) -> Vec<Option<f64>> {
    let length = seconds as f64;
    let whole = |place: usize| {
        let bucket = series.get(place)?;
        bucket.hash_rate().filter(|_| bucket.watched >= length / 2.0)
    };
    let rate = |place: usize| {
        let rate = series.get(place)?.hash_rate()?.max(0.0);
        let part = (series.get(place)?.watched / length).min(1.0);
        let beside = place.checked_sub(1).and_then(whole).or_else(|| whole(place + 1));
        Some(beside.map_or(rate, |beside| rate * part + beside.max(0.0) * (1.0 - part)))
    };
    (0..series.len()).map(rate).collect()
}

/// The ranges of buckets with a known rate.
fn runs(rates: &[Option<f64>]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (place, _) in rates.iter().enumerate().filter(|(_, rate)| rate.is_some()) {
        match runs.last_mut() {
            Some(run) if run.end == place => run.end += 1,
            _ => runs.push(place..place + 1),
        }
    }
    runs
}

/// The points of the line: the middle of each bucket, and the outer edges, so that a bucket between
/// two gaps is visible as well.
fn points(rates: &[Option<f64>], run: Range<usize>) -> Vec<(f64, f64)> {
    let (left, right) = (run.start as f64, run.end as f64);
    let known = run.filter_map(|place| Some((place as f64 + 0.5, (*rates.get(place)?)?)));
    let mut points: Vec<(f64, f64)> = known.collect();
    if let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) {
        points.insert(0, (left, first.1));
        points.push((right, last.1));
    }
    points
}

/// Closes the line to an area, down to zero and back.
fn closed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let feet = points.last().into_iter().chain(points.first()).map(|(across, _)| (*across, 0.0));
    points.iter().copied().chain(feet).collect()
}

fn period(span: Span) -> &'static str {
    match span {
        Span::Hour => "the last hour",
        Span::Day => "the last 24 hours",
        Span::Week => "the last 7 days",
    }
}

fn nothing(what: &str, span: Span) -> String {
    format!("{what} over {}: nothing was watched yet", period(span))
}

#[cfg(test)]
mod tests;
