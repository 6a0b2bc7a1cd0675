//! Selection of the alerts that a recipient gets.

use sluice::config::Severity::{High, Info, Low, Medium};
use sluice::notify::is_wanted;
use sluice::record::AlertKind;

use crate::notify::tools::{recipients, row};

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
    ];
    for (settings, wanted) in [
        ("", "1000111"),
        ("good_news = false\n", "1000000"),
        ("min_severity = \"medium\"\n", "1100111"),
        ("min_severity = \"low\"\ngood_news = false\n", "1110000"),
        ("min_severity = \"info\"\ngood_news = false\n", "1111111"),
        ("min_severity = \"info\"\n", "1111111"),
    ] {
        let text = format!("[[notify]]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:1\"\n{settings}");
        let recipient = &recipients(&text)[0];
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
