//! Turns the SVG that plotters writes into markup for the page.

use std::fmt::Write;

use plotters::coord::Shift;
use plotters::prelude::*;

/// The size in the SVG's own units.
pub(super) const WIDTH: u32 = 720;
pub(super) const HEIGHT: u32 = 200;
/// The steps in one SVG unit. Plotters draws in whole numbers; without tenths a line looks like a
/// staircase.
pub(super) const RESOLUTION: u32 = 10;

/// The result of drawing into memory, which does not fail.
pub(super) type DrawResult = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The kinds of shapes that the page's stylesheet distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShapeClass {
    Grid,
    Area,
    Line,
    Accepted,
    Rejected,
    Unanswered,
}

impl ShapeClass {
    /// All classes in drawing order, with their names in the stylesheet.
    const ALL: [(ShapeClass, &str); 6] = [
        (ShapeClass::Grid, "grid"),
        (ShapeClass::Area, "area"),
        (ShapeClass::Line, "line"),
        (ShapeClass::Accepted, "accepted"),
        (ShapeClass::Rejected, "rejected"),
        (ShapeClass::Unanswered, "unanswered"),
    ];

    /// The colour that marks shapes of this class in plotters' output.
    pub(super) fn marker(self) -> RGBColor {
        RGBColor(1, 2, self as u8)
    }
}

/// Draws a chart and returns its `<svg>` element. The summary is its label.
pub(super) fn svg(
    summary: &str,
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> DrawResult,
) -> String {
    let mut drawn = String::new();
    {
        let size = (WIDTH * RESOLUTION, HEIGHT * RESOLUTION);
        let canvas = SVGBackend::with_string(&mut drawn, size).into_drawing_area();
        if let Err(error) = draw(&canvas).and_then(|()| canvas.present()) {
            log::debug!("a chart was not drawn: {error}");
        }
    }
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" overflow=\"visible\" role=\"img\" \
         aria-label=\"{}\">{}</svg>",
        escaped(summary),
        paths(&drawn)
    )
}

/// Joins all shapes of a class into one path.
fn paths(drawn: &str) -> String {
    let mut paths = String::new();
    for (class, name) in ShapeClass::ALL {
        let RGBColor(red, green, blue) = class.marker();
        let marker = format!("\"#{red:02X}{green:02X}{blue:02X}\"");
        let shapes: String = drawn.lines().filter(|line| line.contains(&marker)).filter_map(shape).collect();
        if !shapes.is_empty() {
            let stroke = match class {
                ShapeClass::Grid | ShapeClass::Line => " fill=\"none\" vector-effect=\"non-scaling-stroke\"",
                _ => "",
            };
            let _ = write!(paths, "<path class=\"{name}\"{stroke} d=\"{shapes}\"/>");
        }
    }
    paths
}

/// Converts one element of plotters to a part of a path. `None` for elements that the charts do not use.
fn shape(element: &str) -> Option<String> {
    let value = |name: &str| attribute(element, name);
    let number = |name: &str| value(name)?.parse::<i64>().ok();
    if element.starts_with("<rect ") {
        // There are many bars. Whole numbers are precise enough for their height, and shorter.
        let edge = |y: i64| (y as f64 / f64::from(RESOLUTION)).round();
        let (x, width, y) = (unit(number("x")?), number("width")?, number("y")?);
        let (top, bottom) = (edge(y), edge(y + number("height")?));
        return Some(format!("M{x} {top}h{}v{}h{}", unit(width), bottom - top, unit(-width)));
    }
    let end = if element.starts_with("<polygon ") { "z" } else { "" };
    let mut path = String::new();
    for point in value("points")?.split_whitespace() {
        let (x, y) = point.split_once(',')?;
        let (x, y) = (unit(x.parse().ok()?), unit(y.parse().ok()?));
        // After an M, coordinates without a letter are a line.
        let _ = write!(path, "{}{x} {y}", if path.is_empty() { "M" } else { " " });
    }
    Some(path + end)
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = element.split_once(&format!(" {name}=\""))?;
    Some(rest.split_once('"')?.0)
}

/// Converts a coordinate of plotters to the SVG's units.
fn unit(number: i64) -> String {
    (number as f64 / f64::from(RESOLUTION)).to_string()
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_becomes_one_path_without_colours() {
        let drawn = "<svg width=\"7200\" height=\"2000\" viewBox=\"0 0 7200 2000\" xmlns=\"http://www.w3.org/2000/svg\">\n\
            <polyline fill=\"none\" opacity=\"1\" stroke=\"#010200\" stroke-width=\"1\" points=\"0,2000 7200,2000 \"/>\n\
            <polygon opacity=\"1\" fill=\"#010201\" points=\"0,15 72,20 72,2000 \"/>\n\
            <polyline fill=\"none\" opacity=\"1\" stroke=\"#010200\" stroke-width=\"1\" points=\"0,5 7200,5 \"/>\n\
            <rect x=\"1\" y=\"20\" width=\"30\" height=\"45\" opacity=\"1\" fill=\"#010204\" stroke=\"none\"/>\n\
            <rect x=\"0\" y=\"0\" width=\"1\" height=\"1\" opacity=\"1\" fill=\"#FFFFFF\" stroke=\"none\"/>\n\
            </svg>\n";
        assert_eq!(
            paths(drawn),
            "<path class=\"grid\" fill=\"none\" vector-effect=\"non-scaling-stroke\" d=\"M0 200 720 200M0 0.5 720 0.5\"/>\
             <path class=\"area\" d=\"M0 1.5 7.2 2 7.2 200z\"/>\
             <path class=\"rejected\" d=\"M0.1 2h3v5h-3\"/>"
        );
    }

    #[test]
    fn the_summary_is_escaped() {
        let svg = svg("a \"b\" <c> & d", |_| Ok(()));
        assert!(svg.ends_with(" aria-label=\"a &quot;b&quot; &lt;c&gt; &amp; d\"></svg>"), "{svg}");
    }

    #[test]
    fn unknown_elements_are_left_out() {
        let odd = "|<rect x=\"a\"/>|<polygon points=\"1 2\"/>|<circle r=\"1\"/>|<polyline points=\"\"/>";
        for odd in odd.split('|') {
            assert!(shape(odd).is_none_or(|path| path.is_empty()), "{odd}");
        }
    }
}
