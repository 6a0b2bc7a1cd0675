//! The page's charts, as SVG without any text: the page writes the labels around them in HTML, so
//! that they do not shrink on a phone.
//!
//! A chart is stretched to whatever room there is. Its shapes have classes instead of colours
//! (`grid`, `area`, `line`, `accepted`, `rejected`, `unanswered`); the page's stylesheet has to give
//! `grid` and `line` a `stroke`, and the others a `fill`.

mod markup;
mod scale;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use self::markup::{Class, HEIGHT, RESOLUTION, WIDTH};
use self::scale::Scale;
use crate::record::{Bucket, Span};
use crate::util::format::rate;

/// How much of a bucket's width its bar has.
const BAR: f64 = 0.8;
/// The least height of a part of a bar: one refused share among a thousand is to be seen.
const LEAST_PART: f64 = 1.0 / 200.0;
/// Fewer shares than this do not fill the height.
const LEAST_SHARES: f64 = 5.0;
/// Room above the line, which must not be cut at the edge.
const HEADROOM: f64 = 1.03;

/// A drawing, and what a page needs to label it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The element, to be put into a page as it is.
    pub svg: String,
    /// The value at the upper edge, in H/s or in shares a bucket; zero is at the lower edge.
    pub top: f64,
    /// The values of the horizontal grid lines, from zero to the top, in the same unit.
    pub lines: Vec<f64>,
    /// There is nothing to be seen: Sluice did not run.
    pub is_empty: bool,
    /// One sentence for whoever can't see it.
    pub summary: String,
}

/// The hash rate over time, as a line with its area. Where nothing was watched is a gap.
pub fn hash_rate(series: &[Bucket], span: Span) -> Chart {
    let rates = rates(series, span);
    let known = || rates.iter().flatten().copied();
    let highest = known().fold(0.0, f64::max);
    let scale = Scale::over(highest * HEADROOM);
    let summary = match known().last() {
        Some(last) => format!(
            "Hash rate over {}: lowest {}, highest {}, last {}",
            period(span),
            rate(known().fold(f64::INFINITY, f64::min)),
            rate(highest),
            rate(last)
        ),
        None => nothing("Hash rate", span),
    };
    let svg = markup::svg(&summary, |canvas| {
        grid(canvas, &scale)?;
        let plane = plane(canvas, rates.len(), &scale);
        for run in runs(&rates) {
            let points = points(&rates, run);
            plane.draw(&Polygon::new(closed(&points), Class::Area.marker().filled()))?;
            plane.draw(&PathElement::new(points, Class::Line.marker()))?;
        }
        Ok(())
    });
    Chart { svg, top: scale.top, lines: scale.lines, is_empty: known().next().is_none(), summary }
}

/// The shares of each bucket, as bars: accepted ones below, rejected and unanswered ones above.
pub fn shares(series: &[Bucket], span: Span) -> Chart {
    let counts: Vec<[f64; 3]> = series.iter().map(counts).collect();
    let total = |place: usize| counts.iter().map(|counts| counts[place]).sum::<f64>();
    let totals = [total(0), total(1), total(2)];
    let is_empty =
        totals.iter().sum::<f64>() == 0.0 && series.iter().all(|bucket| bucket.hash_rate().is_none());
    let highest = counts.iter().map(|counts| counts.iter().sum()).fold(LEAST_SHARES, f64::max);
    let scale = Scale::over(highest);
    let summary = match is_empty {
        false => {
            let [accepted, rejected, unanswered] = totals;
            let period = period(span);
            format!("Shares over {period}: {accepted} accepted, {rejected} rejected, {unanswered} unanswered")
        }
        true => nothing("Shares", span),
    };
    let svg = markup::svg(&summary, |canvas| {
        grid(canvas, &scale)?;
        let plane = plane(canvas, counts.len(), &scale);
        for (place, counts) in counts.iter().enumerate() {
            let left = place as f64 + (1.0 - BAR) / 2.0;
            let mut below = 0.0;
            let parts = counts.iter().zip([Class::Accepted, Class::Rejected, Class::Unanswered]);
            for (count, class) in parts.filter(|(count, _)| **count > 0.0) {
                let above = below + count.max(scale.top * LEAST_PART);
                let corners = [(left, above), (left + BAR, below)];
                plane.draw(&Rectangle::new(corners, class.marker().filled()))?;
                below = above;
            }
        }
        Ok(())
    });
    Chart { svg, top: scale.top, lines: scale.lines, is_empty, summary }
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plane<'a> = DrawingArea<SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Where a bucket is as wide as 1, and zero is at the lower edge.
fn plane<'a>(canvas: &Canvas<'a>, buckets: usize, scale: &Scale) -> Plane<'a> {
    let (right, bottom) = ((WIDTH * RESOLUTION) as i32, (HEIGHT * RESOLUTION) as i32);
    let (across, up) = (0.0..buckets.max(1) as f64, 0.0..scale.top);
    canvas.apply_coord_spec(Cartesian2d::new(across, up, (0..right, bottom..0)))
}

fn grid(canvas: &Canvas, scale: &Scale) -> markup::Drawn {
    let plane = plane(canvas, 1, scale);
    for line in &scale.lines {
        plane.draw(&PathElement::new([(0.0, *line), (1.0, *line)], Class::Grid.marker()))?;
    }
    Ok(())
}

/// Hashes per second of each bucket. What a bucket lacks, as the current one does, is taken from the
/// one before, or else from the next: one share in its first second would be a spike.
fn rates(series: &[Bucket], span: Span) -> Vec<Option<f64>> {
    let length = span.bucket_seconds() as f64;
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

fn counts(bucket: &Bucket) -> [f64; 3] {
    [bucket.accepted, bucket.rejected, bucket.unanswered].map(f64::from)
}

/// Where there is a rate without a gap.
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

/// The line from bucket's middle to bucket's middle, and on to the outer edges: also a bucket
/// between two gaps is seen.
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

/// Down to zero and back.
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
