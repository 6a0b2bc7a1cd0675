//! How the page looks: on a phone and on a desk, by day and by night.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluice::sim::MinerModel;

use crate::common::browser::{Browser, Screen};
use crate::common::site::Site;

/// Finds what is wrong.
const LOOK: &str = include_str!("look.js");

/// Fails with everything that is wrong with how the page looks.
pub fn assert_fine(browser: &Browser, screen: Screen, what: &str) {
    let problems = browser.call(&format!("({LOOK})(argument)"), &json!(screen.width));
    let problems: Vec<&str> = problems.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(problems.is_empty(), "{what} at {} pixels:\n{}", screen.width, problems.join("\n"));
}

/// Both screens in both schemes, of the page at `url`.
pub fn assert_fine_everywhere(browser: &Browser, url: &str, what: &str) {
    let mut grounds = BTreeSet::new();
    for screen in [Screen::PHONE, Screen::DESK] {
        browser.screen(screen);
        for scheme in ["light", "dark"] {
            browser.scheme(scheme);
            browser.open(url);
            assert_fine(browser, screen, &format!("{what}, {scheme}"));
            grounds.insert(browser.value("getComputedStyle(document.body).backgroundColor").to_string());
        }
    }
    assert_eq!(grounds.len(), 2, "light and dark: {grounds:?}");
}

#[test]
fn nothing_overflows_overlaps_or_is_hard_to_read() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    for (name, habit) in [
        ("nerd-1", MinerModel::NerdMiner),
        ("the-bitaxe-in-the-living-room", MinerModel::Bitaxe),
        ("laptop", MinerModel::Cpuminer),
    ] {
        site.mine(name, habit);
    }
    site.wait_accepted(3);
    browser.open(&site.url());
    browser.wait("document.querySelectorAll('#miners tbody tr').length === 3");
    assert_fine_everywhere(&browser, &site.url(), "miners");
}
