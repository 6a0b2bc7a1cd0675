//! The layer over a chart: time without data, blocks and failovers, and the values as titles.

use std::fmt::Write;

use super::markup::{HEIGHT, WIDTH, escaped};
use crate::record::Bucket;
use crate::util::format::{grouped, rate};
use crate::work::HASHES_PER_DIFFICULTY;

/// Caps the parts of a chart with a title of their own. With script every bucket has its value.
const MAX_TITLES: usize = 24;
/// Caps the marks of a chart.
const MAX_MARKS: usize = 20;

/// An event that a chart shows as a line from top to bottom.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartMark {
    /// Seconds since 1970.
    pub at: u64,
    pub kind: MarkKind,
    /// One sentence.
    pub text: String,
}

/// The kinds of marks that the page's stylesheet distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// A block was found.
    Block,
    /// Miners moved to another pool.
    Pool,
    /// A miner left or came back.
    Miner,
    /// Sluice started.
    Start,
}

impl MarkKind {
    /// The class and the sign.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            MarkKind::Block => ("block", "★"),
            MarkKind::Pool => ("pool", "⇄"),
            MarkKind::Miner => ("miner", "●"),
            MarkKind::Start => ("start", "↻"),
        }
    }
}

/// The quantity that a chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChartQuantity {
    HashRate,
    Shares,
}

/// The layer as an `<svg>` element, of the same size as the chart's.
pub(super) fn overlay(
    series: &[Bucket],
    seconds: u64,
    quantity: ChartQuantity,
    marks: &[ChartMark],
) -> String {
    let mut svg = format!(
        "<svg class=\"over\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
    );
    // Writing to memory can't fail.
    let _ = gaps(&mut svg, series);
    let _ = titles(&mut svg, series, seconds, quantity);
    let _ = lines(&mut svg, series, seconds, marks);
    svg + "</svg>"
}

/// The place of a bucket's left edge.
fn left(place: usize, count: usize) -> f64 {
    let exact = place as f64 * f64::from(WIDTH) / count.max(1) as f64;
    (exact * 10.0).round() / 10.0
}

/// Shades the time without data, from the first data on.
fn gaps(svg: &mut String, series: &[Bucket]) -> std::fmt::Result {
    let is_known = |bucket: &Bucket| bucket.hash_rate().is_some();
    let first = series.iter().position(is_known).unwrap_or(series.len());
    // The newest bucket may have begun a moment ago.
    let end = series.len().saturating_sub(1);
    let mut place = first;
    while place < end {
        let length = series[place..end].iter().take_while(|bucket| !is_known(bucket)).count();
        if length > 0 {
            let (from, to) = (left(place, series.len()), left(place + length, series.len()));
            write!(svg, "<path class=\"gap\" d=\"M{from} 0H{to}V{HEIGHT}H{from}z\"/>")?;
        }
        place += length.max(1);
    }
    Ok(())
}

/// One invisible area for each part of the time, with its values as the title.
fn titles(svg: &mut String, series: &[Bucket], seconds: u64, quantity: ChartQuantity) -> std::fmt::Result {
    let size = series.len().div_ceil(MAX_TITLES).max(1);
    for (part, buckets) in series.chunks(size).enumerate() {
        let Some(first) = buckets.first() else { continue };
        let (from, to) = (left(part * size, series.len()), left(part * size + buckets.len(), series.len()));
        let until = first.start + seconds * buckets.len() as u64;
        write!(
            svg,
            "<path class=\"hit\" d=\"M{from} 0H{to}V{HEIGHT}H{from}z\"><title>{} to {} UTC: {}</title></path>",
            clock(first.start, seconds),
            clock(until, seconds),
            sum(buckets, quantity)
        )?;
    }
    Ok(())
}

fn lines(svg: &mut String, series: &[Bucket], seconds: u64, marks: &[ChartMark]) -> std::fmt::Result {
    let Some(start) = series.first().map(|bucket| bucket.start) else { return Ok(()) };
    let end = start + seconds * series.len() as u64;
    for mark in marks.iter().filter(|mark| (start..end).contains(&mark.at)).take(MAX_MARKS) {
        let x = (mark.at - start) as f64 * f64::from(WIDTH) / (end - start) as f64;
        write!(
            svg,
            "<path class=\"mark {}\" data-at=\"{}\" vector-effect=\"non-scaling-stroke\" d=\"M{:.1} 0V{HEIGHT}\"><title>{} UTC: {}</title></path>",
            mark.kind.names().0,
            mark.at,
            x,
            clock(mark.at, seconds),
            escaped(&mark.text)
        )?;
    }
    Ok(())
}

/// The time of day, with the day where a chart covers several.
fn clock(at: u64, seconds: u64) -> String {
    let format = if seconds >= 3600 { "%a %H:%M" } else { "%H:%M" };
    let at = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.unwrap_or_default().strftime(format).to_string()
}

fn sum(buckets: &[Bucket], quantity: ChartQuantity) -> String {
    let watched: f64 = buckets.iter().map(|bucket| bucket.watched).sum();
    let count =
        |count: fn(&Bucket) -> u32| buckets.iter().map(|bucket| u64::from(count(bucket))).sum::<u64>();
    match quantity {
        ChartQuantity::HashRate if watched >= 1.0 => {
            let work: f64 = buckets.iter().map(|bucket| bucket.work).sum();
            let hashes = work * HASHES_PER_DIFFICULTY / watched;
            rate(if hashes.is_finite() { hashes } else { 0.0 })
        }
        ChartQuantity::HashRate => String::from("no data"),
        ChartQuantity::Shares => {
            let rejected = count(|bucket| bucket.rejected);
            let unanswered = count(|bucket| bucket.unanswered);
            let mut text = format!("{} accepted", grouped(count(|bucket| bucket.accepted)));
            for (count, word) in [(rejected, "rejected"), (unanswered, "unanswered")] {
                if count > 0 {
                    text += &format!(", {} {word}", grouped(count));
                }
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_790_006_400;

    fn series() -> Vec<Bucket> {
        let bucket = |place: u64| {
            let start = START + place * 60;
            Bucket {
                start,
                watched: 60.0,
                work: 1.0,
                accepted: 2,
                rejected: u32::from(place == 0),
                ..Bucket::default()
            }
        };
        let mut series: Vec<Bucket> = (0..60).map(bucket).collect();
        for place in (0..5).chain(10..20).chain([59]) {
            series[place] = Bucket { start: series[place].start, ..Bucket::default() };
        }
        series
    }

    #[test]
    fn a_gap_is_shaded_unless_it_is_before_the_first_data_or_now() {
        let svg = overlay(&series(), 60, ChartQuantity::HashRate, &[]);
        assert_eq!(svg.matches("class=\"gap\"").count(), 1, "{svg}");
        assert!(svg.contains("<path class=\"gap\" d=\"M120 0H240V200H120z\"/>"), "{svg}");
    }

    #[test]
    fn values_are_titles_in_few_parts() {
        let svg = overlay(&series(), 60, ChartQuantity::HashRate, &[]);
        assert_eq!(svg.matches("<title>").count(), 20);
        assert!(svg.contains("<title>16:00 to 16:03 UTC: no data</title>"), "{svg}");
        assert!(svg.contains("<title>16:06 to 16:09 UTC: 71.6 MH/s</title>"), "{svg}");
        let svg = overlay(&series(), 60, ChartQuantity::Shares, &[]);
        assert!(svg.contains("<title>16:06 to 16:09 UTC: 6 accepted</title>"), "{svg}");
        let week: Vec<Bucket> =
            (0..168).map(|place| Bucket { start: START + place * 3600, ..Bucket::default() }).collect();
        assert_eq!(overlay(&week, 3600, ChartQuantity::Shares, &[]).matches("<title>").count(), 24);
    }

    #[test]
    fn a_mark_is_where_it_happened_and_its_text_is_escaped() {
        let mark = |at| ChartMark { at, kind: MarkKind::Pool, text: String::from("<b>\"moved\"</b>") };
        let marks = [mark(START + 1800), mark(START - 1), mark(START + 3600)];
        let svg = overlay(&series(), 60, ChartQuantity::HashRate, &marks);
        assert_eq!(svg.matches("class=\"mark pool\"").count(), 1);
        assert!(
            svg.contains("d=\"M360.0 0V200\"><title>16:30 UTC: &lt;b&gt;&quot;moved&quot;&lt;/b&gt;</title>"),
            "{svg}"
        );
        assert!(overlay(&[], 60, ChartQuantity::Shares, &marks).ends_with("aria-hidden=\"true\"></svg>"));
    }
}
