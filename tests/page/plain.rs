//! The page without script, and the browser's messages while it loads the page.

use sluice::sim::MinerModel;

use crate::common::browser::{Browser, Screen};
use crate::common::site::Site;
use crate::common::wait_for;
use crate::page::look::assert_fine;

#[test]
fn one_request_shows_all_and_the_console_is_silent() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    browser.hurry(3);
    // What the browser did while it started.
    browser.requests();
    browser.console();
    browser.open(&site.url());
    let mut requests = Vec::new();
    // The page is complete before it asks for itself again.
    wait_for("an update", || {
        requests.extend(browser.requests());
        requests.iter().any(|(_, kind)| kind == "Fetch")
    });
    let (own, others): (Vec<_>, Vec<_>) =
        requests.iter().filter(|(url, _)| !url.starts_with("data:")).partition(|(url, _)| {
            url.strip_prefix(&site.url()).is_some_and(|rest| rest.is_empty() || rest.starts_with("?charts="))
        });
    assert!(others.is_empty(), "asked for elsewhere: {others:?}");
    let first: Vec<_> = own.iter().take_while(|(_, kind)| kind != "Fetch").collect();
    assert_eq!(first.len(), 1, "{requests:?}");
    assert_eq!(first[0].1, "Document");
    assert!(own.iter().skip(1).all(|(_, kind)| kind == "Fetch"), "{requests:?}");
    assert!(browser.is("document.querySelector('link[rel=icon]').href.startsWith('data:')"));
    assert_eq!(browser.value("document.readyState"), "complete");
    assert_eq!(browser.value("document.compatMode"), "CSS1Compat");
    browser.assert_silent();
}

#[test]
fn without_script_everything_can_be_read() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    for name in ["first", "second", "third"] {
        site.mine(name, MinerModel::Bitaxe);
    }
    site.wait_accepted(3);
    browser.scripts(false);
    browser.screen(Screen::PHONE);
    // The first visit may come before the last miner has found a share.
    wait_for("three miners", || {
        browser.open(&site.url());
        browser.number("document.querySelectorAll('#miners tbody tr').length") >= 3.0
    });
    assert!(browser.text(".speed .rate").ends_with("H/s"));
    assert_eq!(browser.number("document.querySelectorAll('#answers li').length"), 5.0);
    for name in ["first", "second", "third"] {
        assert!(browser.text("#miners").contains(name));
    }
    for section in
        ["headline", "odds", "network", "charts", "shares", "path", "payout", "alerts", "pools", "details"]
    {
        assert!(browser.text(&format!("section.{section}")).len() > 12, "{section}");
    }
    for (span, axis) in [("7d", "7 days ago"), ("24h", "24 h ago"), ("1h", "1 h ago")] {
        browser.click(&format!("label[for=span-{span}]"));
        let shown = "[...document.querySelectorAll('#charts .span')].filter(each => each.checkVisibility())";
        assert_eq!(
            browser.value(&format!("{shown}.map(each => each.className)[0]")),
            format!("span span-{span}")
        );
        assert_eq!(browser.number(&format!("{shown}.length")), 1.0);
        assert!(browser.text(&format!(".span-{span} .axis")).contains(axis));
        assert!(browser.is(&format!("document.querySelector('.span-{span} svg').clientHeight > 40")));
    }
    assert!(browser.text("#stamp").ends_with("UTC"), "nobody renders it in the local zone");
    assert_fine(&browser, Screen::PHONE, "without script");
    // The table is sorted and filtered by the server.
    browser.value("document.querySelector('#miners input').value = 'SECON'");
    browser.click("#miners button");
    let names = "[...document.querySelectorAll('#miners .name')].map(each => each.textContent).join(' ')";
    browser.wait(&format!("{names} === 'second'"));
    browser.screen(Screen::DESK);
    browser.click("#show-all");
    browser.wait("!location.search");
    browser.click("#sort-name");
    browser.wait(&format!("{names} === 'first second third'"));
    assert_eq!(browser.value("document.querySelector('[aria-sort]').textContent.trim()"), "miner ▴");
    browser.click("#sort-name");
    browser.wait(&format!("{names} === 'third second first'"));
    // It would have been updated by a script.
    assert!(browser.requests().iter().all(|(_, kind)| kind != "Fetch"));
}
