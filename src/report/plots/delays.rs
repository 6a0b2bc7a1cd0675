//! Answer times and job ages over time, median and 99th percentile.

use super::canvas::{Ink, PlotFigure, PlotMark, bounds, draw, log_ticks};
use super::over_time::axes;
use crate::report::histogram::ValueHistogram;
use crate::report::records::Records;
use crate::report::series::BucketContent;
use crate::report::tally::DelayBucket;
use crate::util::format::{count, delay, span};
use std::time::Duration;

/// The most points of a line, and the shares that a point should have.
const MAX_POINTS: usize = 120;
const SHARES_PER_POINT: u64 = 40;

/// The time from a share to the pool's answer.
pub(in crate::report) fn answer_times(records: &Records) -> Option<PlotFigure> {
    let title = "Time to the pool's answer";
    plot(records, title, "answer", |bucket| &bucket.response, &records.all.response, 1.0)
}

/// The age of the job when a share for it comes.
pub(in crate::report) fn job_ages(records: &Records) -> Option<PlotFigure> {
    plot(
        records,
        "Age of the job when its share comes",
        "share",
        |bucket| &bucket.job_age,
        &records.all.job_age,
        1000.0,
    )
}

fn plot(
    records: &Records,
    title: &str,
    noun: &str,
    of: impl Fn(&DelayBucket) -> &ValueHistogram,
    all: &ValueHistogram,
    to_ms: f64,
) -> Option<PlotFigure> {
    let series = &records.delays;
    let wanted = (all.total() / SHARES_PER_POINT).clamp(4, MAX_POINTS as u64) as usize;
    let group = series.iter().len().div_ceil(wanted).max(1);
    let mut points: Vec<(f64, [f64; 2])> = Vec::new();
    let buckets: Vec<_> = series.iter().collect();
    for chunk in buckets.chunks(group) {
        let mut sum = DelayBucket::default();
        for (_, bucket) in chunk {
            sum.merge((*bucket).clone());
        }
        let (first, last) = (
            chunk.first().map_or(0, |(at, _)| *at),
            chunk.last().map_or(0, |(at, _)| *at + series.width_ms()),
        );
        let middle = ((first.max(records.all.first_at) + last.min(records.all.last_at)) / 2) as f64;
        if let (Some(p50), Some(p99)) = (of(&sum).quantile(0.5), of(&sum).quantile(0.99)) {
            points.push((middle, [p50 * to_ms, p99 * to_ms]));
        }
    }
    if points.len() < 2 {
        return None;
    }
    let time = |ms: f64| {
        let time = Duration::from_secs_f64(ms.clamp(0.0, 1e12) / 1000.0);
        if time.as_secs() < 100 { delay(time) } else { span(time) }
    };
    let lowest = points.iter().map(|(_, [p50, _])| *p50).fold(f64::INFINITY, f64::min);
    let highest = points.iter().map(|(_, [_, p99])| *p99).fold(0.0, f64::max);
    let y_ticks = log_ticks(lowest, highest, time);
    let (low, high) = bounds(&y_ticks);
    let place = |value: f64| value.max(1e-9).log10().clamp(low, high);
    let line = |which: usize| points.iter().map(|(x, values)| (*x, place(values[which]))).collect::<Vec<_>>();
    let (p50, p99) = (all.quantile(0.5).unwrap_or(0.0) * to_ms, all.quantile(0.99).unwrap_or(0.0) * to_ms);
    let summary =
        format!("{title}, of {}: median {}, p99 {}.", count(all.total(), noun), time(p50), time(p99));
    let marks = [PlotMark::Line(line(1), Ink::Gold), PlotMark::Line(line(0), Ink::Water)];
    let svg = draw(&axes(&records.all, y_ticks, 64), &marks, &summary);
    let legend =
        vec![("water", String::from("median")), ("gold", String::from("p99: one of a hundred takes longer"))];
    Some(PlotFigure { title: title.to_owned(), svg, legend, summary })
}
