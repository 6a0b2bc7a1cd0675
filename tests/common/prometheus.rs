//! A strict reader of Prometheus' text format, version 0.0.4: what it takes, every scraper takes.

use std::collections::{BTreeMap, BTreeSet};

/// A family with its samples.
#[derive(Debug)]
pub struct Family {
    pub kind: String,
    pub samples: Vec<Sample>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// With a histogram's suffix.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Families by name.
pub type Families = BTreeMap<String, Family>;

/// Reads a document.
///
/// # Panics
/// At whatever is not as it must be.
#[track_caller]
pub fn read(text: &str) -> Families {
    assert!(text.ends_with('\n') && !text.contains('\r'), "lines end with a newline alone");
    let mut families = Families::new();
    let (mut current, mut helped) = (String::new(), String::new());
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help in {line:?}"));
            assert!(!help.trim().is_empty() && is_metric_name(name), "{line:?}");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("no type in {line:?}"));
            assert_eq!(name, helped, "HELP comes right before TYPE");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line:?}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line:?}");
            assert!(name.starts_with("sluice_"), "{line:?}");
            let family = Family { kind: kind.to_owned(), samples: Vec::new() };
            assert!(families.insert(name.to_owned(), family).is_none(), "{name} is there twice");
            current = name.to_owned();
        } else {
            let sample = sample(line);
            let family = families.get_mut(&current).unwrap_or_else(|| panic!("no TYPE before {line:?}"));
            let suffix = sample.name.strip_prefix(&current);
            let suffix = suffix.unwrap_or_else(|| panic!("{line:?} among the samples of {current}"));
            let is_right = match family.kind.as_str() {
                "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                _ => suffix.is_empty(),
            };
            assert!(is_right, "{line:?} in a {}", family.kind);
            assert!(sample.value.is_finite(), "{line:?}");
            assert!(family.kind != "counter" || sample.value >= 0.0, "{line:?}");
            assert!(seen.insert(format!("{} {:?}", sample.name, sample.labels)), "twice: {line:?}");
            family.samples.push(sample);
        }
    }
    for (name, family) in families.iter().filter(|(_, family)| family.kind == "histogram") {
        check_histogram(name, family);
    }
    families
}

/// The value of the sample with exactly these labels.
#[track_caller]
pub fn value(families: &Families, name: &str, labels: &[(&str, &str)]) -> f64 {
    find(families, name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"))
}

/// The same, if there is one.
pub fn find(families: &Families, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let samples = families.values().flat_map(|family| &family.samples);
    samples.filter(|sample| sample.name == name && sample.labels == labels).map(|sample| sample.value).next()
}

fn is_metric_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':') && !name.starts_with("__")
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value in {line:?}"));
    let name = &line[..end];
    assert!(is_metric_name(name), "{line:?}");
    let (labels, rest) = match line[end..].strip_prefix('{') {
        Some(inside) => labels(inside, line),
        None => (BTreeMap::new(), &line[end..]),
    };
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no space before the value: {line:?}"));
    assert!(!value.is_empty() && !value.contains(' '), "{line:?}");
    let value = value.parse().unwrap_or_else(|_| panic!("no number in {line:?}"));
    Sample { name: name.to_owned(), labels, value }
}

/// Splits at the closing brace: the labels, and the rest.
fn labels<'a>(mut rest: &'a str, line: &str) -> (BTreeMap<String, String>, &'a str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label in {line:?}"));
        assert!(is_label_name(name), "{name:?} in {line:?}");
        let (value, after) = unescaped(after, line);
        assert!(value.chars().count() <= 128, "a long label in {line:?}");
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} twice in {line:?}");
        match after.strip_prefix('}') {
            Some(after) => return (labels, after),
            None => rest = after.strip_prefix(',').unwrap_or_else(|| panic!("no comma in {line:?}")),
        }
    }
}

/// A label's value up to its closing quote, and what follows it.
fn unescaped<'a>(text: &'a str, line: &str) -> (String, &'a str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => return (value, &text[place + 1..]),
            '\\' => value.push(match chars.next() {
                Some((_, '\\')) => '\\',
                Some((_, '"')) => '"',
                Some((_, 'n')) => '\n',
                other => panic!("{other:?} after a backslash in {line:?}"),
            }),
            c => {
                assert!(!c.is_control(), "a control character in {line:?}");
                value.push(c);
            }
        }
    }
    panic!("an open quote in {line:?}");
}

/// Buckets by their bound, and sum and count.
type Series = (Vec<(f64, f64)>, [Option<f64>; 2]);

/// Cumulative, with +Inf as large as the count.
fn check_histogram(name: &str, family: &Family) {
    let mut series: BTreeMap<BTreeMap<String, String>, Series> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        let le = labels.remove("le");
        let (buckets, [sum, count]) = series.entry(labels).or_default();
        match (sample.name.strip_prefix(name), le) {
            (Some("_bucket"), Some(le)) => buckets.push((le.parse().unwrap(), sample.value)),
            (Some("_sum"), None) => *sum = Some(sample.value),
            (Some("_count"), None) => *count = Some(sample.value),
            _ => panic!("{sample:?}"),
        }
    }
    for (labels, (buckets, [sum, count])) in series {
        let at = format!("{name} {labels:?}: {buckets:?}");
        assert!(buckets.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1), "{at}");
        let (bound, last) = buckets.last().unwrap();
        assert!(bound.is_infinite() && Some(*last) == count && sum.is_some_and(|sum| sum >= 0.0), "{at}");
        assert!(count != Some(0.0) || sum == Some(0.0), "{at}");
    }
}
