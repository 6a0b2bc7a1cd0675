//! The page follows what happens without being loaded again, and without disturbing who reads it.

use sluice::sim::{MinerModel, SimPayout};

use crate::common::browser::Browser;
use crate::common::site::{STRANGER, Site};
use crate::common::wait_for;

/// Shares and miners as the page shows them.
const SHARES: &str = "document.querySelector('#shares').innerText";
const MINERS: &str = "document.querySelectorAll('#miners tbody tr').length";

/// Notes that this is the same document, which a reload would forget.
fn mark(browser: &Browser) {
    browser.value("window.marked = true");
}

fn assert_not_reloaded(browser: &Browser) {
    assert!(browser.is("window.marked"), "the page was loaded again");
}

/// Waits until the page has shown new shares so many times.
fn wait_updates(browser: &Browser, count: u32) {
    for _ in 0..count {
        let before = browser.value(SHARES);
        wait_for("new shares on the page", || browser.value(SHARES) != before);
    }
}

#[test]
fn shares_and_miners_appear_by_themselves() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    browser.open(&site.url());
    browser.wait(&format!("{MINERS} === 1"));
    mark(&browser);
    wait_updates(&browser, 1);
    site.mine("second", MinerModel::Cpuminer);
    browser.wait(&format!("{MINERS} === 2"));
    assert!(browser.text("#miners").contains("second"));
    assert!(browser.text("#answers").contains("2 miners"));
    assert_not_reloaded(&browser);
    browser.assert_silent();
}

#[test]
fn what_the_visitor_does_survives_updates() {
    let Some(browser) = Browser::start() else { return };
    let pool = Site::pool(2);
    let payout = SimPayout::Address(STRANGER.to_owned());
    // Its first job comes after the name was accepted, so it is answerable for that one.
    let opening = sluice::sim::OpeningOrder::PublicPool;
    let options = sluice::sim::PoolOptions { payout, opening, ..pool };
    let mut site = Site::with(options, "127.0.0.1:0", None);
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    browser.hurry(6);
    browser.open(&site.url());
    mark(&browser);

    browser.click("label[for=span-7d]");
    browser.wait("document.querySelector('.span-7d').checkVisibility()");
    assert!(!browser.is("document.querySelector('.span-1h').checkVisibility()"));

    // News of shares may come first; what lasts is above them.
    browser.wait("document.querySelector('#alerts details.bad')");
    let evidence = "document.querySelector('#alerts details.bad pre').checkVisibility()";
    assert!(!browser.is(evidence), "the evidence is folded");
    browser.click("#alerts details.bad summary");
    browser.wait(evidence);

    browser.value(
        "getSelection().selectAllChildren(document.querySelector('#miners .name')) ?? getSelection().toString()",
    );
    wait_updates(&browser, 2);
    // The alert is told again with each job, so its section is another than before.
    let alert = browser.text("#alerts");
    site.pool.refresh_job();
    wait_for("another alert", || browser.text("#alerts") != alert);

    assert!(browser.is(evidence), "the alert stays unfolded");
    assert!(browser.is("document.querySelector('#span-7d').checked"));
    assert!(browser.is("document.querySelector('.span-7d').checkVisibility()"));
    assert_eq!(browser.value("getSelection().toString().trim()"), "first");
    assert_not_reloaded(&browser);
}

#[test]
fn sections_come_when_there_is_something_to_show() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    // Connected and silent: nothing is known of a pool's job.
    let silent = site.proxy.connect();
    site.proxy.wait_sessions(1);
    wait_for("the page to know of it", || site.status().runtime.sessions == 1);
    browser.hurry(6);
    browser.open(&site.url());
    assert!(browser.is("document.querySelector('#speed') && !document.querySelector('#payout')"));
    mark(&browser);
    site.mine("first", MinerModel::Bitaxe);
    browser.wait("document.querySelector('#payout')?.innerText.includes('yours')");
    let order = "[...document.querySelectorAll('main section')].map(each => each.classList[0]).join(' ')";
    let sections = "headline summary odds network shares charts payout alerts pools miners path details";
    assert_eq!(browser.value(order), sections);
    assert_not_reloaded(&browser);
    drop(silent);
}

#[test]
fn a_lost_connection_is_told_and_found_again() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    browser.hurry(6);
    browser.open(&site.url());
    mark(&browser);
    let notice =
        "getComputedStyle(document.querySelector('.stamp'), '::after').content.includes('no connection')";
    assert!(!browser.is(notice));
    site.page.interrupt();
    browser.wait(notice);
    let shares = browser.value(SHARES);
    site.page.resume();
    browser.wait(&format!("!{notice}"));
    wait_for("new shares on the page", || browser.value(SHARES) != shares);
    assert_not_reloaded(&browser);
}
