//! Selection of the alerts that a recipient gets.

use sluice::config::Severity::{High, Info, Low, Medium};
use sluice::notify::is_wanted;
use sluice::record::AlertKind;

use crate::notify::tools::{recipients, row};

const WEBHOOK: &str = "[[notify]]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:1\"\n";

#[test]
fn an_alert_is_wanted_by_its_severity_or_as_good_news() {
    let alerts = [
        ("payout.mismatch", High),
        ("chain.stuck", Medium),
        ("share.duplicate", Low),
        ("payout.unverifiable", Info),
        ("block.found", Info),
        ("share.near_miss", Info),
        ("share.best", Info),
        ("pool.failed_over", Medium),
        ("miner.gone", Medium),
        ("pool.no_work", Medium),
    ];
    for (settings, wanted) in [
        ("", "1000111111"),
        ("good_news = false\n", "1000000111"),
        ("outages = false\n", "1000111000"),
        ("min_severity = \"medium\"\n", "1100111111"),
        ("min_severity = \"low\"\ngood_news = false\noutages = false\n", "1110000111"),
        ("min_severity = \"info\"\ngood_news = false\n", "1111111111"),
        ("min_severity = \"info\"\n", "1111111111"),
    ] {
        let recipient = &recipients(&format!("{WEBHOOK}{settings}"))[0];
        for kind in [AlertKind::Begins, AlertKind::Ends, AlertKind::Happened] {
            let found: String = alerts
                .iter()
                .map(|(id, severity)| is_wanted(&row(id, *severity, kind, "s"), recipient))
                .map(|wanted| if wanted { '1' } else { '0' })
                .collect();
            assert_eq!(found, wanted, "{settings}");
        }
    }
}

#[test]
fn a_best_share_is_news_if_the_former_best_is_of_another_day() {
    let recipient = |settings: &str| recipients(&format!("{WEBHOOK}{settings}")).remove(0);
    let mut best = row("share.best", Info, AlertKind::Happened, "rig");
    // Noon of that day in this machine's time zone.
    let local = best.at.timestamp().to_zoned(jiff::tz::TimeZone::system()).date();
    let at = |day: i8, hour: i8| {
        let moment = local.at(hour, 0, 0, 0).checked_add(jiff::Span::new().days(day)).unwrap();
        moment.to_zoned(jiff::tz::TimeZone::system()).unwrap().timestamp()
    };
    for (former, is_news) in [(at(0, 0), false), (at(0, 23), false), (at(-1, 23), true), (at(-30, 1), true)] {
        best.data["former_best_at"] = former.to_string().into();
        assert_eq!(is_wanted(&best, &recipient("")), is_news, "{former}");
        assert!(is_wanted(&best, &recipient("min_severity = \"info\"\n")));
        assert!(!is_wanted(&best, &recipient("good_news = false\n")));
    }
}
