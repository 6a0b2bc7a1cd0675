use super::*;

fn at(seconds: i64) -> NtpTime {
    NtpTime::from_timestamp(jiff::Timestamp::from_second(1_790_000_000 + seconds).unwrap())
}

fn new_alert(subject: &str, seconds: i64) -> NewAlert<'_> {
    NewAlert { id: "chain.wrong", severity: Severity::High, subject, at: at(seconds), is_counted: true }
}

fn describe() -> (String, Value) {
    ("another coin".to_owned(), json!({ "nbits": "1d00ffff" }))
}

#[test]
fn a_state_begins_lasts_and_ends() {
    let mut alerts = AlertBook::default();
    let row = alerts.raise(&new_alert("pool", 0), describe).unwrap();
    assert_eq!(row.data, json!({ "subject": "pool", "count": 1, "nbits": "1d00ffff" }));
    for second in 1..10 {
        assert!(alerts.raise(&new_alert("pool", second), describe).is_none());
    }
    // A state that comes back at once has not ended.
    alerts.resolve("chain.wrong", "pool", at(10));
    assert!(alerts.raise(&new_alert("pool", 11), describe).is_none());
    assert!(alerts.expire(at(80)).is_empty());
    alerts.resolve("chain.wrong", "pool", at(12));
    alerts.resolve("chain.wrong", "pool", at(13));
    assert!(alerts.expire(at(71)).is_empty());
    let rows = alerts.expire(at(72));
    assert!(rows[0].description.contains("seen 11 times"), "{}", rows[0].description);
    assert!(alerts.expire(at(73)).is_empty());
    let view = alerts.view();
    assert_eq!((view.alerts.len(), view.counts["chain.wrong"]), (1, 1));
    assert_eq!((view.alerts[0].last, view.alerts[0].ended), (at(11), Some(at(12))));
}

#[test]
fn the_passing_of_time_is_not_counted() {
    let mut alerts = AlertBook::default();
    let uncounted = |second| NewAlert { is_counted: false, ..new_alert("pool", second) };
    assert!(alerts.raise(&uncounted(0), describe).is_some());
    for second in 1..100 {
        assert!(alerts.raise(&uncounted(second), describe).is_none());
    }
    let alert = alerts.view().alerts[0].clone();
    assert_eq!((alert.count, alert.last), (1, at(99)));
    alerts.resolve("chain.wrong", "pool", at(120));
    let rows = alerts.expire(at(300));
    assert!(rows[0].description.contains("lasted 2 min: "), "{}", rows[0].description);
}

#[test]
fn a_state_that_becomes_more_severe_is_recorded_again() {
    let mut alerts = AlertBook::default();
    let medium = NewAlert { severity: Severity::Medium, ..new_alert("pool", 0) };
    assert!(alerts.raise(&medium, describe).is_some());
    let row = alerts.raise(&new_alert("pool", 5), || ("worse".to_owned(), json!({}))).unwrap();
    assert_eq!((row.severity, row.at, row.description.as_str()), (Severity::High, at(5), "worse"));
    // The severity never falls, and it is one alert.
    assert!(alerts.raise(&NewAlert { at: at(6), ..medium }, describe).is_none());
    let view = alerts.view();
    assert_eq!(
        (view.alerts.len(), view.alerts[0].severity, view.counts["chain.wrong"]),
        (1, Severity::High, 1)
    );
}

#[test]
fn a_state_that_goes_on_is_not_counted() {
    let mut alerts = AlertBook::default();
    alerts.keep_open("chain.wrong", "pool", at(0));
    alerts.raise(&new_alert("pool", 0), describe);
    alerts.keep_open("chain.wrong", "pool", at(2000));
    assert!(alerts.expire(at(2001)).is_empty());
    assert_eq!(alerts.view().alerts[0].count, 1);
}

#[test]
fn open_alerts_come_first() {
    let mut alerts = AlertBook::default();
    alerts.raise(&new_alert("one", 0), describe);
    alerts.report(&NewAlert { id: "share.best", severity: Severity::Info, ..new_alert("w", 5) }, describe);
    let ids: Vec<_> = alerts.view().alerts.iter().map(|alert| alert.id).collect();
    assert_eq!(ids, ["chain.wrong", "share.best"]);
}

#[test]
fn a_flood_is_counted_and_neither_kept_nor_recorded() {
    let mut alerts = AlertBook::default();
    let recorded = (0..5000).filter(|n| alerts.raise(&new_alert(&format!("pool{n}"), 0), describe).is_some());
    assert_eq!(recorded.count(), 20);
    let view = alerts.view();
    assert_eq!((view.alerts.len(), view.overflowed), (MAX_OPEN_PER_RULE, 5000 - MAX_OPEN_PER_RULE as u64));
    for n in 0..5000 {
        alerts.report(&new_alert(&n.to_string(), 1), describe);
    }
    assert_eq!(alerts.view().alerts.len(), MAX_OPEN_PER_RULE + MAX_PAST_PER_RULE);
    // An hour later there is room for records again.
    assert!(alerts.report(&new_alert("later", 3600), describe).is_some());
}

#[test]
fn a_repeated_event_is_counted_and_good_news_are_reported_each_time() {
    let mut alerts = AlertBook::default();
    let raised = (0..1000).filter(|second| alerts.report(&new_alert("pool", *second), describe).is_some());
    assert_eq!(raised.count(), 1);
    assert_eq!(alerts.view().alerts[0].count, 1000);
    let best = |second| NewAlert { id: "share.best", severity: Severity::Info, ..new_alert("w", second) };
    assert!(alerts.report(&best(1), describe).is_some() && alerts.report(&best(2), describe).is_some());
}

#[test]
fn a_state_that_is_not_seen_any_more_expires() {
    let mut alerts = AlertBook::default();
    alerts.raise(&new_alert("pool", 0), describe);
    assert!(alerts.expire(at(EXPIRY_SECONDS)).is_empty());
    assert_eq!(alerts.expire(at(EXPIRY_SECONDS + 1)).len(), 1);
    assert_eq!(alerts.view().alerts[0].ended, Some(at(0)));
}

#[test]
fn a_disabled_rule_raises_no_alert() {
    let mut alerts = AlertBook::new(&[RuleId::parse("chain.wrong").unwrap()]);
    assert!(alerts.raise(&new_alert("pool", 0), describe).is_none());
    assert!(alerts.view().alerts.is_empty());
}
