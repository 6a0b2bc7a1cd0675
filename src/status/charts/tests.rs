use super::*;

fn data(series: &[Bucket], span: Span) -> ChartData<'_> {
    ChartData { series, span, seconds: span.bucket_seconds(), marks: &[] }
}

fn hash_rate(series: &[Bucket], span: Span) -> Chart {
    super::hash_rate(&data(series, span))
}

fn shares(series: &[Bucket], span: Span) -> Chart {
    super::shares(&data(series, span))
}

const CLASSES: [&str; 6] = ["grid", "area", "line", "accepted", "rejected", "unanswered"];

/// A bucket of the span that was watched from start to end.
fn bucket(span: Span, work: f64, accepted: u32, rejected: u32, unanswered: u32) -> Bucket {
    let watched = span.bucket_seconds() as f64;
    Bucket { watched, work, accepted, rejected, unanswered, ..Bucket::default() }
}

fn full(span: Span, work: impl Fn(usize) -> f64) -> Vec<Bucket> {
    (0..span.buckets()).map(|place| bucket(span, work(place), 20, 3, 1)).collect()
}

/// The data of the path of this class.
fn path<'a>(svg: &'a str, class: &str) -> Option<&'a str> {
    let (_, rest) = svg.split_once(&format!("<path class=\"{class}\""))?;
    let (_, data) = rest.split_once(" d=\"")?;
    Some(data.split_once('"')?.0)
}

/// Checks that the SVG is well-formed and contains nothing that the page must not have.
#[track_caller]
fn check(chart: &Chart) {
    let svg = &chart.svg;
    let inner = svg.strip_prefix("<svg ").and_then(|rest| rest.strip_suffix("</svg>")).unwrap();
    let mut elements = inner.split('>');
    let mut head = elements.next().unwrap().to_owned();
    for element in elements.filter(|element| !element.is_empty()) {
        let attributes = element.strip_prefix("<path ").and_then(|rest| rest.strip_suffix('/'));
        head = format!("{head} {}", attributes.expect(element));
    }
    let quotes: Vec<&str> = head.split('"').collect();
    assert_eq!(quotes.len() % 2, 1, "{head}");
    for name in quotes.iter().step_by(2).filter(|name| !name.is_empty()) {
        let name = name.trim().strip_suffix('=').expect(name);
        let known = "viewBox preserveAspectRatio overflow role aria-label class fill vector-effect d";
        assert!(known.split(' ').any(|known| known == name), "{name}");
    }
    for data in quotes.iter().skip(1).step_by(2) {
        assert!(!data.contains(['<', '>', '#']), "{data}");
    }
    for data in CLASSES.iter().filter_map(|class| path(svg, class)) {
        assert!(data.starts_with('M') && !data.contains("NaN") && !data.contains("inf"), "{data}");
    }
    assert!(svg.starts_with("<svg viewBox=\"0 0 720 200\" preserveAspectRatio=\"none\""));
    assert!(svg.contains(&format!("role=\"img\" aria-label=\"{}\"", chart.summary)));
    assert!(!svg.contains("style") && !svg.contains("<text") && !svg.contains(" id="));
    assert!(chart.top.is_finite() && chart.top > 0.0);
    assert!(!chart.over.contains(" style=") && !chart.values.contains(['"', '<', 'N', 'i']));
    assert!(chart.lines.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn a_full_week_has_every_class_and_is_short() {
    let series = full(Span::Week, |place| 1e6 + 1e5 * (place as f64 * 0.7).sin());
    let rate = hash_rate(&series, Span::Week);
    let shares = shares(&series, Span::Week);
    for (chart, classes) in
        [(&rate, &["grid", "area", "line"][..]), (&shares, &["grid", "accepted", "rejected", "unanswered"])]
    {
        check(chart);
        assert!(chart.svg.len() < 12_000, "{}", chart.svg.len());
        let found: Vec<&str> =
            CLASSES.into_iter().filter(|class| path(&chart.svg, class).is_some()).collect();
        assert_eq!(found, classes);
        assert!(!chart.is_empty);
    }
    assert_eq!((rate.top, rate.lines.len()), (2e12, 5));
    assert_eq!((shares.top, shares.lines.len()), (50.0, 6));
    assert_eq!(shares.summary, "Shares over the last 7 days: 3360 accepted, 504 rejected, 168 unanswered");
    assert_eq!(path(&shares.svg, "accepted").unwrap().matches('M').count(), 168);
}

#[test]
fn the_line_is_where_the_values_are() {
    // 1 MH/s, in a scale up to 2 MH/s.
    let work = 1e6 * 60.0 / 4_294_967_296.0;
    let chart = hash_rate(&full(Span::Hour, |_| work), Span::Hour);
    check(&chart);
    let line = path(&chart.svg, "line").unwrap();
    assert!(line.starts_with("M0 100 6 100 18 100 ") && line.ends_with(" 714 100 720 100"), "{line}");
    assert!(path(&chart.svg, "area").unwrap().ends_with(" 720 100 720 200 0 200z"));
    assert_eq!(
        path(&chart.svg, "grid").unwrap(),
        "M0 200 720 200M0 150 720 150M0 100 720 100M0 50 720 50M0 0 720 0"
    );
    assert_eq!(
        chart.summary,
        "Hash rate over the last hour: lowest 1.00 MH/s, highest 1.00 MH/s, last 1.00 MH/s"
    );
}

#[test]
fn a_gap_is_a_gap_and_not_a_zero() {
    let mut series = full(Span::Hour, |_| 100.0);
    for place in (0..20).chain(30..31).chain(32..33) {
        series[place] = Bucket::default();
    }
    let chart = hash_rate(&series, Span::Hour);
    check(&chart);
    let line = path(&chart.svg, "line").unwrap();
    let runs: Vec<&str> = line.split('M').skip(1).collect();
    assert_eq!(runs.len(), 3);
    assert!(runs[0].starts_with("240 ") && runs[1].starts_with("372 ") && runs[2].starts_with("396 "));
    assert_eq!(path(&chart.svg, "area").unwrap().matches('z').count(), 3);
    // A bucket between two gaps is as wide as the bucket.
    assert!(runs[1].contains("378 ") && runs[1].contains("384 "));
}

#[test]
fn a_bucket_that_has_just_begun_is_no_spike() {
    let mut series = full(Span::Hour, |_| 60.0);
    series[59] = Bucket { watched: 2.0, work: 10.0, ..Bucket::default() };
    let rates = rates(&series, Span::Hour.bucket_seconds());
    let (before, last) = (rates[58].unwrap(), rates[59].unwrap());
    assert!((1.0..1.2).contains(&(last / before)), "{last} after {before}");
    // A first second without shares is not a drop either.
    series[59].work = 0.0;
    assert!(super::rates(&series, Span::Hour.bucket_seconds())[59].unwrap() > 0.9 * before);
}

#[test]
fn unwatched_time_is_empty_and_time_without_shares_is_zero() {
    for span in Span::ALL {
        let nothing = vec![Bucket::default(); span.buckets()];
        for chart in
            [hash_rate(&nothing, span), shares(&nothing, span), hash_rate(&[], span), shares(&[], span)]
        {
            check(&chart);
            assert!(chart.is_empty);
            assert_eq!((path(&chart.svg, "line"), path(&chart.svg, "accepted")), (None, None));
            assert!(chart.summary.ends_with("nothing was watched yet"));
        }
    }
    let zeros = vec![bucket(Span::Day, 0.0, 0, 0, 0); 144];
    for chart in [hash_rate(&zeros, Span::Day), shares(&zeros, Span::Day)] {
        check(&chart);
        assert!(!chart.is_empty);
    }
    let chart = hash_rate(&zeros, Span::Day);
    assert!(path(&chart.svg, "line").unwrap().starts_with("M0 200 2.5 200 "));
    assert!(chart.summary.ends_with("lowest 0 H/s, highest 0 H/s, last 0 H/s"), "{}", chart.summary);
}

#[test]
fn few_shares_do_not_fill_the_height() {
    let mut series = vec![bucket(Span::Hour, 0.0, 0, 0, 0); 60];
    series[7].accepted = 1;
    let chart = shares(&series, Span::Hour);
    check(&chart);
    assert_eq!((chart.top, path(&chart.svg, "accepted")), (5.0, Some("M85.2 160h9.6v40h-9.6")));
}

#[test]
fn one_rejected_share_among_many_is_visible() {
    let mut series = vec![bucket(Span::Week, 0.0, 4000, 0, 0); 168];
    series[0].rejected = 1;
    let chart = shares(&series, Span::Week);
    assert_eq!(path(&chart.svg, "rejected"), Some("M0.4 39h3.4v1h-3.4"));
}

#[test]
fn hostile_values_never_panic() {
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -1.0, 1e300, 5e-324, 0.0, 1e15];
    let mut series = Vec::new();
    for watched in values {
        for work in values {
            let count = u32::MAX;
            series.push(Bucket { watched, work, ..bucket(Span::Day, 0.0, count, count, count) });
        }
    }
    for span in Span::ALL {
        check(&hash_rate(&series, span));
        check(&shares(&series, span));
        for one in &series {
            check(&hash_rate(std::slice::from_ref(one), span));
            check(&shares(std::slice::from_ref(one), span));
        }
    }
}
