//! The lists of shares, jobs, alerts and events.

use sluice::sim::MinerModel;

use crate::common::browser::Browser;
use crate::common::site::{ADDRESS, Site};
use crate::page::look::assert_fine_everywhere;

#[test]
fn the_lists_are_pages_with_filters() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.mine("second", MinerModel::Bitaxe);
    site.wait_accepted(60);
    let at = |path: &str| format!("{}{path}", site.url());
    browser.scripts(false);
    browser.open(&at("shares"));
    assert_eq!(browser.number("document.querySelectorAll('#list tbody tr').length"), 50.0);
    browser.click("nav.pages a[rel=next]");
    assert!(browser.text("nav.pages").contains("page 2 of"));
    browser.click("#list td a.name");
    assert_eq!(browser.value("location.pathname"), "/miner");
    browser.click("#last-shares p a");
    let names =
        "[...new Set([...document.querySelectorAll('#list td .name')].map(each => each.textContent))].length";
    assert_eq!(browser.number(names), 1.0);
    browser.open(&at(&format!("shares?worker={ADDRESS}.first&result=rejected")));
    assert!(browser.text("#list").contains("None so far."));
    browser.open(&at("jobs"));
    let jobs = browser.text("#list tbody");
    assert!(jobs.contains('%') && jobs.contains("mainnet"), "{jobs}");
    browser.open(&at("alerts?show=high"));
    assert!(browser.text("#list").contains("None so far."));
    browser.open(&at("events?kind=miner"));
    assert_eq!(browser.text("nav.filters [aria-current]"), "miners");
    browser.scripts(true);
    browser.console();
    for path in ["shares", "jobs", "alerts", "events"] {
        assert_fine_everywhere(&browser, &at(path), path);
    }
    browser.assert_silent();
}
