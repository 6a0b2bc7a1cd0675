//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;
use std::time::Duration;

use crate::analyzer::Latency;
use crate::util::escape::printable;

/// Caps the value of a label, in characters.
const MAX_LABEL_CHARS: usize = 128;

/// The document, written one metric family after the other.
#[derive(Debug, Default)]
pub(super) struct MetricsText {
    text: String,
}

/// A metric family whose samples are being written.
#[derive(Debug)]
pub(super) struct MetricFamily<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// The names and values of a sample's labels.
pub(super) type MetricLabels<'a> = &'a [(&'static str, &'a str)];

/// A sample's value. An unknown one has no sample, and one that is not finite has none, since it would spoil every
/// sum.
pub(super) trait MetricValue {
    fn text(&self) -> Option<String>;
}

impl MetricValue for u64 {
    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl MetricValue for usize {
    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl MetricValue for f64 {
    fn text(&self) -> Option<String> {
        self.is_finite().then(|| number(*self))
    }
}

/// True is 1.
impl MetricValue for bool {
    fn text(&self) -> Option<String> {
        u64::from(*self).text()
    }
}

impl<V: MetricValue> MetricValue for Option<V> {
    fn text(&self) -> Option<String> {
        self.as_ref()?.text()
    }
}

impl MetricsText {
    /// Starts a family that only grows while the program runs. Its name ends in `_total`.
    pub(super) fn counters(&mut self, name: &'static str, help: &str) -> MetricFamily<'_> {
        self.family(name, "counter", help)
    }

    pub(super) fn gauges(&mut self, name: &'static str, help: &str) -> MetricFamily<'_> {
        self.family(name, "gauge", help)
    }

    pub(super) fn histograms(&mut self, name: &'static str, help: &str) -> MetricFamily<'_> {
        self.family(name, "histogram", help)
    }

    /// A counter without labels.
    pub(super) fn counter(&mut self, name: &'static str, help: &str, value: impl MetricValue) {
        self.counters(name, help).sample(&[], value);
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str, value: impl MetricValue) {
        self.gauges(name, help).sample(&[], value);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> MetricFamily<'_> {
        // Writing to memory can't fail, here and below.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        MetricFamily { text: &mut self.text, name }
    }
}

impl MetricFamily<'_> {
    pub(super) fn sample(&mut self, labels: MetricLabels<'_>, value: impl MetricValue) {
        if let Some(value) = value.text() {
            self.line("", labels, None, &value);
        }
    }

    /// Writes a sample for each value of one more label.
    pub(super) fn samples<'v>(
        &mut self,
        labels: MetricLabels<'_>,
        name: &'static str,
        values: impl IntoIterator<Item = (&'v str, impl MetricValue)>,
    ) {
        for (label, value) in values {
            let labels: Vec<_> = labels.iter().copied().chain([(name, label)]).collect();
            self.sample(&labels, value);
        }
    }

    /// Writes a state as one sample a possible value: 1 for the current one, 0 for the others.
    pub(super) fn state(&mut self, labels: MetricLabels<'_>, states: &[&str], current: &str) {
        self.samples(labels, "state", states.iter().map(|state| (*state, *state == current)));
    }

    /// Writes cumulative buckets with these upper bounds.
    pub(super) fn histogram(&mut self, labels: MetricLabels<'_>, latency: &Latency, bounds: &[Duration]) {
        let count = latency.count();
        for bound in bounds {
            let le = number(bound.as_secs_f64());
            self.line("_bucket", labels, Some(&le), &latency.within(*bound).min(count).to_string());
        }
        self.line("_bucket", labels, Some("+Inf"), &count.to_string());
        self.line("_sum", labels, None, &number(latency.total().as_secs_f64()));
        self.line("_count", labels, None, &count.to_string());
    }

    fn line(&mut self, suffix: &str, labels: MetricLabels<'_>, le: Option<&str>, value: &str) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        let all = labels.iter().copied().chain(le.map(|le| ("le", le)));
        let mut before = '{';
        for (name, value) in all {
            let _ = write!(self.text, "{before}{name}=\"");
            escape(self.text, value);
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// Turns a text from the network into the value of a label: escaped as in every other output, and of
/// bounded length. Different texts can become the same value, so callers add up samples by value.
pub(super) fn label(text: &str) -> String {
    printable(text).chars().take(MAX_LABEL_CHARS).collect()
}

fn escape(text: &mut String, value: &str) {
    // Escapes texts that did not pass through `label` as well.
    for c in printable(value).chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

/// Formats a number without hundreds of zeros.
fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-6..1e15).contains(&size) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact() {
        for value in [0.0, -0.0, 1.0, 0.000_15, 1e-9, 5e-324, 1e15, f64::MAX, -2.5, 1.0 / 3.0] {
            let text = number(value);
            assert_eq!(text.parse::<f64>().unwrap(), value, "{text}");
            assert!(text.len() < 25, "{text}");
        }
    }

    #[test]
    fn labels_are_escaped_and_bounded() {
        let mut document = MetricsText::default();
        let mut family = document.gauges("sluice_x", "Help.");
        family.sample(&[("worker", &label("a\"b\\c\nd\u{0}é"))], 1.0);
        family.sample(&[], f64::NAN);
        family.sample(&[("a", &"x".repeat(3)), ("b", "")], 2_u64);
        assert_eq!(
            document.finish(),
            "# HELP sluice_x Help.\n# TYPE sluice_x gauge\nsluice_x{worker=\"a\\\"b\\\\c\\\\nd\\\\u{0}é\"} \
             1\nsluice_x{a=\"xxx\",b=\"\"} 2\n"
        );
        assert_eq!(label(&"é".repeat(1000)).chars().count(), MAX_LABEL_CHARS);
    }

    #[test]
    fn a_histogram_is_cumulative() {
        let mut latency = Latency::default();
        for millis in [1, 2, 700] {
            latency.record(Duration::from_millis(millis));
        }
        let mut document = MetricsText::default();
        let bounds = [Duration::from_micros(10), Duration::from_millis(5), Duration::from_secs(1)];
        document.histograms("sluice_y_seconds", "Help.").histogram(&[("d", "up")], &latency, &bounds);
        let text = document.finish();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "sluice_y_seconds_bucket{d=\"up\",le=\"0.00001\"} 0",
                "sluice_y_seconds_bucket{d=\"up\",le=\"0.005\"} 2",
                "sluice_y_seconds_bucket{d=\"up\",le=\"1\"} 3",
                "sluice_y_seconds_bucket{d=\"up\",le=\"+Inf\"} 3",
                "sluice_y_seconds_sum{d=\"up\"} 0.703",
                "sluice_y_seconds_count{d=\"up\"} 3",
            ]
        );
    }
}
