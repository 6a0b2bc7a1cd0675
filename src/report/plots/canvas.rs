//! Axes, areas, lines and bars in the page's colours.

use std::fmt::Write;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::report::fields::{UnixMs, timestamp};
use crate::util::escape::printable;

/// The size in the SVG's own units.
const WIDTH: u32 = 560;
/// Plotters draws in whole numbers; without steps between them a line looks like a staircase.
const STEPS: u32 = 4;
const FONT: u32 = 17 * STEPS;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The most ticks of an axis of time.
const MAX_TIME_TICKS: i64 = 7;

/// The colours, each with its variable of the stylesheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Grid,
    Label,
    Band,
    Water,
    Gold,
    Good,
    Warn,
    Bad,
}

/// A plot with its caption, which says what it shows, in which unit and from how many shares.
#[derive(Debug, Clone)]
pub(in crate::report) struct PlotFigure {
    pub title: String,
    pub svg: String,
    /// The colours and what they mean: the class of the stylesheet and the text.
    pub legend: Vec<(&'static str, String)>,
    /// The figures in words, for those who can't see the plot.
    pub summary: String,
}

/// The axes of a plot.
pub(super) struct PlotAxes {
    pub x: (f64, f64),
    pub x_ticks: Vec<(f64, String)>,
    pub y: (f64, f64),
    pub y_ticks: Vec<(f64, String)>,
    pub height: u32,
    /// The room for the labels of the upward axis.
    pub label_width: u32,
}

/// A shape, in the units of the axes.
pub(super) enum PlotMark {
    /// A closed area.
    Area(Vec<(f64, f64)>, Ink),
    Line(Vec<(f64, f64)>, Ink),
    /// A box by two corners. The last number is its opacity.
    Bar((f64, f64), (f64, f64), Ink, f64),
}

impl Ink {
    const ALL: [(Ink, &'static str); 8] = [
        (Ink::Grid, "var(--line)"),
        (Ink::Label, "var(--soft)"),
        (Ink::Band, "var(--water-soft)"),
        (Ink::Water, "var(--water)"),
        (Ink::Gold, "var(--gold)"),
        (Ink::Good, "var(--good)"),
        (Ink::Warn, "var(--warn)"),
        (Ink::Bad, "var(--bad)"),
    ];

    fn marker(self) -> RGBColor {
        RGBColor(1, 2, self as u8)
    }
}

/// Draws a plot. `summary` is its label for those who can't see it.
pub(super) fn draw(axes: &PlotAxes, marks: &[PlotMark], summary: &str) -> String {
    let mut drawn = String::new();
    if let Err(error) = draw_into(&mut drawn, axes, marks) {
        log::debug!("a plot was not drawn: {error}");
    }
    let body = drawn.split_once('>').map_or("", |(_, body)| body);
    // Line breaks are characters that the page escapes.
    let mut body = body.replace('\n', "");
    for (ink, variable) in Ink::ALL {
        let RGBColor(red, green, blue) = ink.marker();
        body = body.replace(&format!("#{red:02X}{green:02X}{blue:02X}"), variable);
    }
    let mut svg = String::with_capacity(body.len() + 200);
    let (width, height) = (WIDTH * STEPS, axes.height * STEPS);
    let label = printable(summary)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    // Writing to memory can't fail.
    let _ = write!(svg, "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">{body}");
    if !svg.trim_end().ends_with("</svg>") {
        svg.push_str("</svg>");
    }
    svg
}

fn draw_into(
    to: &mut String,
    axes: &PlotAxes,
    marks: &[PlotMark],
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let root = SVGBackend::with_string(to, (WIDTH * STEPS, axes.height * STEPS)).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin_top(10 * STEPS)
        .margin_right(24 * STEPS)
        .x_label_area_size(28 * STEPS)
        .y_label_area_size(axes.label_width * STEPS * 5 / 4)
        .build_cartesian_2d(TickAxis::new(axes.x, &axes.x_ticks), TickAxis::new(axes.y, &axes.y_ticks))?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .disable_x_mesh()
        .bold_line_style(Ink::Grid.marker().stroke_width(STEPS))
        .axis_style(Ink::Grid.marker().stroke_width(STEPS))
        .label_style(("sans-serif", FONT).into_font().color(&Ink::Label.marker()))
        .draw()?;
    for mark in marks {
        match mark {
            PlotMark::Area(points, ink) => {
                chart.draw_series([Polygon::new(points.clone(), ink.marker().filled())])?;
            }
            PlotMark::Line(points, ink) => {
                chart
                    .draw_series([PathElement::new(points.clone(), ink.marker().stroke_width(2 * STEPS))])?;
            }
            PlotMark::Bar(first, second, ink, opacity) => {
                let style = ink.marker().mix(*opacity).filled();
                chart.draw_series([Rectangle::new([*first, *second], style)])?;
            }
        }
    }
    root.present()
}

/// An axis with labelled ticks at given places.
struct TickAxis {
    from: f64,
    to: f64,
    ticks: Vec<(f64, String)>,
}

impl TickAxis {
    fn new((from, to): (f64, f64), ticks: &[(f64, String)]) -> TickAxis {
        TickAxis { from, to, ticks: ticks.to_vec() }
    }
}

impl Ranged for TickAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let part = (value - self.from) / (self.to - self.from);
        first + (part * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks
            .iter()
            .map(|(value, _)| *value)
            .filter(|value| (self.from..=self.to).contains(value))
            .collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for TickAxis {
    fn format_ext(&self, value: &f64) -> String {
        let nearest =
            self.ticks.iter().min_by(|(a, _), (b, _)| (a - value).abs().total_cmp(&(b - value).abs()));
        nearest.map_or_else(String::new, |(_, label)| label.clone())
    }
}

/// Ticks from 0 to at least `highest`: 1, 2 or 5 times a power of ten apart. The last one is the top.
pub(super) fn linear_ticks(highest: f64, label: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    let highest = if highest.is_finite() && highest > 0.0 { highest } else { 1.0 };
    let rough = highest / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(power * 10.0);
    let parts = (highest / step).ceil().clamp(1.0, 20.0) as u32;
    (0..=parts).map(|part| (f64::from(part) * step, label(f64::from(part) * step))).collect()
}

/// Ticks at the powers of ten around the values; the axis is the logarithm.
pub(super) fn log_ticks(low: f64, high: f64, label: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    let low = if low > 0.0 && low.is_finite() { low } else { 1.0 };
    let high = if high > low && high.is_finite() { high } else { low * 10.0 };
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let step = ((last - first) / 8 + 1).max(1) as usize;
    (first..=last.max(first + 1))
        .step_by(step)
        .map(|power| (f64::from(power), label(10_f64.powi(power))))
        .collect()
}

/// The first and the last tick.
pub(super) fn bounds(ticks: &[(f64, String)]) -> (f64, f64) {
    let first = ticks.first().map_or(0.0, |(value, _)| *value);
    let last = ticks.last().map_or(1.0, |(value, _)| *value);
    (first, if last > first { last } else { first + 1.0 })
}

/// Ticks at full seconds, minutes, hours or days of UTC.
pub(super) fn time_ticks(from: UnixMs, to: UnixMs) -> Vec<(f64, String)> {
    let length = (to - from).max(1);
    let seconds = [1, 2, 5, 10, 15, 30].map(|seconds| seconds * 1000);
    let minutes = [1, 2, 5, 10, 15, 30].map(|minutes| minutes * MINUTE_MS);
    let hours = [1, 2, 3, 6, 12, 24, 48, 168, 720, 2160, 8760, 87_600].map(|hours| hours * HOUR_MS);
    // A label with seconds is wide.
    let is_room =
        |step: &i64| length / step < if *step < MINUTE_MS { MAX_TIME_TICKS - 2 } else { MAX_TIME_TICKS };
    let step = seconds.into_iter().chain(minutes).chain(hours).find(is_room).unwrap_or(length);
    let first = (from + step - 1).div_euclid(step) * step;
    let mut ticks = Vec::new();
    let mut at = first;
    while at <= to && ticks.len() < 40 {
        let form = match step {
            _ if at.rem_euclid(DAY_MS) == 0 => "%-d %b",
            ..MINUTE_MS => "%H:%M:%S",
            MINUTE_MS..DAY_MS => "%H:%M",
            _ => "%-d %b",
        };
        ticks.push((
            at as f64,
            timestamp(at).map_or_else(String::new, |time| time.strftime(form).to_string()),
        ));
        at += step;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_values() {
        for highest in [0.0, 1e-9, 0.3, 7.0, 100.0, 1.1e12, f64::NAN, f64::INFINITY] {
            let ticks = linear_ticks(highest, |value| value.to_string());
            let (low, high) = bounds(&ticks);
            assert!(
                low == 0.0 && (!highest.is_finite() || high >= highest) && (2..=7).contains(&ticks.len()),
                "{highest}: {ticks:?}"
            );
        }
        let (low, high) = bounds(&log_ticks(3.0, 40_000.0, |value| value.to_string()));
        assert_eq!((low, high), (0.0, 5.0));
        let begin = 1_790_000_000_000;
        for hours in [1, 5, 24, 168, 8760] {
            let ticks = time_ticks(begin, begin + hours * HOUR_MS);
            assert!((2..=8).contains(&ticks.len()), "{hours}: {ticks:?}");
        }
        for seconds in [3, 10, 42, 90, 336, 1728, 3599] {
            let ticks = time_ticks(begin, begin + seconds * 1000);
            assert!((2..=8).contains(&ticks.len()), "{seconds}: {ticks:?}");
        }
        let labels = |seconds: i64| time_ticks(begin, begin + seconds * 1000).remove(0).1;
        assert_eq!((labels(42), labels(336)), ("14:13:20".into(), "14:14".into()));
    }

    #[test]
    fn a_plot_has_the_pages_colours_and_its_label_is_escaped() {
        let axes = PlotAxes {
            x: (0.0, 10.0),
            x_ticks: vec![(0.0, "a".into()), (10.0, "b".into())],
            y: (0.0, 1.0),
            y_ticks: linear_ticks(1.0, |value| value.to_string()),
            height: 200,
            label_width: 50,
        };
        let marks = [
            PlotMark::Area(vec![(0.0, 0.0), (5.0, 1.0), (9.0, 0.0)], Ink::Band),
            PlotMark::Line(vec![(0.0, f64::NAN), (5.0, 1.0)], Ink::Water),
            PlotMark::Bar((1.0, 0.0), (2.0, 0.5), Ink::Bad, 0.5),
        ];
        let svg = draw(&axes, &marks, "<b>\u{1b}\"");
        assert!(svg.contains("var(--band)") || svg.contains("var(--water-soft)"));
        assert!(!svg.contains('\n'));
        assert!(svg.contains("var(--bad)") && !svg.contains("#0102"), "{svg}");
        assert!(svg.contains("aria-label=\"&lt;b&gt;\\u{1b}&quot;\"") && svg.trim_end().ends_with("</svg>"));
    }
}
