//! The page of one miner: what it shows, and the forms on it.

use std::net::SocketAddr;

use sluice::sim::MinerModel;
use sluice::status::web::Changeable;

use crate::common::browser::{Browser, Screen};
use crate::common::site::{ADDRESS, PageServer, Site};
use crate::common::wait_for;
use crate::page::look::{assert_fine, assert_fine_everywhere};

const STATUS: &str = "performance.getEntriesByType('navigation')[0].responseStatus";

/// The address of a worker's page at the page's own address.
pub fn miner_url(page: &PageServer, worker: &str) -> String {
    let encoded: String = worker.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("{}miner?worker={encoded}", page.url())
}

/// A page that takes forms, as the program's own.
fn with_forms(site: &Site, token: Option<&str>) -> PageServer {
    let app = site.proxy.app();
    let changeable = Changeable { proxy: None, to_analyzer: app.reloadable.to_analyzer.clone() };
    PageServer::with(app.snapshots.clone(), changeable, token)
}

#[test]
fn a_miner_has_a_page_of_its_own() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.mine("second", MinerModel::NerdMiner);
    site.wait_accepted(4);
    let worker = format!("{ADDRESS}.first");
    wait_for("a history", || site.status().snapshot.worker_histories.get(&worker).is_some());
    browser.hurry(3);
    let url = miner_url(&site.page, &worker);
    browser.open(&url);
    assert_eq!(browser.text("#identity h1"), "first");
    let identity = browser.text("#identity");
    for wanted in ["Connected", "last share", "Bitaxe", "at 127.0.0.1", "A block of this miner would pay you"]
    {
        assert!(identity.contains(wanted), "{wanted}: {identity}");
    }
    browser.wait("document.querySelectorAll('#last-shares tbody tr').length > 1");
    assert!(
        browser.text("#last-shares").contains("accepted") && browser.text("#its-shares").contains("accepted")
    );
    assert!(browser.text("#connections").contains("127.0.0.1:"));
    assert!(browser.is("!document.querySelector('#last-shares').innerText.includes('second')"));

    // The value under the pointer, and the caption again.
    let pointer = "(() => { const plot = [...document.querySelectorAll('.plot')].find(each => each.checkVisibility()); \
        const box = plot.getBoundingClientRect(); const at = { clientX: box.right - 3, clientY: box.top + 5, bubbles: true }; \
        plot.dispatchEvent(new PointerEvent('pointermove', at)); \
        const shown = plot.closest('figure').querySelector('.value').textContent; \
        document.body.dispatchEvent(new PointerEvent('pointermove', { clientX: 0, clientY: 0, bubbles: true })); \
        return [shown, plot.closest('figure').querySelector('.value').textContent] })()";
    let values = browser.value(pointer);
    assert!(values[0].as_str().is_some_and(|text| text.contains("H/s")), "{values}");
    assert_eq!(values[1], "1 hour");
    // The same by the keyboard, from the newest value backwards.
    let keys = "(() => { const plot = [...document.querySelectorAll('.plot')].find(each => each.checkVisibility()); \
        const caption = plot.closest('figure').querySelector('.value'); const seen = []; plot.focus(); \
        for (const key of ['ArrowLeft', 'ArrowLeft', 'ArrowRight', 'Home', 'Escape']) { \
            plot.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })); seen.push(caption.textContent); } \
        return [document.activeElement === plot, ...seen] })()";
    let values = browser.value(keys);
    assert_eq!(values[0], true);
    assert!(values[1].as_str().is_some_and(|text| text.contains("H/s")), "{values}");
    assert!(values[1] == values[3] && values[2] != values[1] && values[4] != values[2], "{values}");
    assert_eq!(values[5], "1 hour");
    assert!(browser.is("document.querySelectorAll('.chart .scale span').length > 4"));
    assert_fine_everywhere(&browser, &url, "a miner");
    browser.assert_silent();

    browser.open(&miner_url(&site.page, "nobody"));
    assert_eq!(browser.number(STATUS), 404.0);
    assert!(browser.text("main").contains("is connected or known here."));
    assert_eq!(browser.value("document.querySelector('main a').pathname"), "/");
}

#[test]
fn a_miner_gets_a_name_and_is_forgotten_when_it_is_gone() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    let page = with_forms(&site, None);
    let worker = format!("{ADDRESS}.first");
    let url = miner_url(&page, &worker);
    let give = |name: &str| {
        browser.value(&format!("document.querySelector('input[name=name]').value = {name:?}"));
        browser.click(".naming button");
        browser.wait("document.readyState === 'complete' && location.search.startsWith('?worker=')");
    };
    browser.open(&url);
    give("<img src=x onerror=f()> \"K'");
    browser.wait("document.querySelector('#identity h1').textContent === '<img src=x onerror=f()> \"K\\''");
    assert_eq!(browser.number("document.querySelectorAll('img').length"), 0.0);
    give("Kitchen");
    browser.wait("document.querySelector('#identity h1').textContent === 'Kitchen'");
    assert_eq!(browser.text(".full-name"), worker);
    browser.open(&format!("{}shares", page.url()));
    assert_eq!(browser.text("#list td .name"), "Kitchen");
    browser.open(&format!("{}events", page.url()));
    assert!(browser.text("#list").contains("first is shown as Kitchen from now on"));
    assert!(!site.proxy.snapshot().shown_names.name_of(&worker).contains('<'));

    // A connected miner can't be forgotten.
    browser.open(&url);
    assert!(browser.is("!document.querySelector('.forget')"));
    site.stop_miners();
    wait_for("the miner to be gone", || site.status().offline_workers().count() == 1);
    browser.open(&url);
    assert!(browser.text("#identity").contains("Offline"), "{}", browser.text("#identity"));
    assert!(browser.is("document.querySelector('.charts') && !document.querySelector('#connections')"));
    for screen in [Screen::PHONE, Screen::DESK] {
        browser.screen(screen);
        assert_fine(&browser, screen, "a miner that is gone");
    }
    browser.click(".forget");
    browser.wait("location.pathname === '/'");
    // Its shares of this run are still counted, but nobody misses it.
    assert_eq!(site.status().snapshot.known_workers.len(), 0);
    assert!(site.status().snapshot.worker_histories.is_empty());
}

#[test]
fn a_form_needs_the_token_or_this_machine() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    let page = with_forms(&site, Some("opensesame"));
    let url = miner_url(&page, &format!("{ADDRESS}.first"));
    browser.open(&url);
    assert_eq!(browser.number(STATUS), 401.0);
    browser.value("document.querySelector('input[name=token]').value = 'opensesame'");
    browser.click("button");
    // The visitor lands where it wanted to go.
    browser.wait("document.querySelector('#identity')");
    assert_eq!(browser.value("location.pathname"), "/miner");
    browser.value("document.querySelector('input[name=name]').value = 'Kitchen'");
    browser.click(".naming button");
    browser.wait("document.querySelector('#identity h1')?.textContent === 'Kitchen'");
    let name = |address: SocketAddr, headers: &str| {
        let body = format!("worker={ADDRESS}.first&name=y");
        let text = format!(
            "POST /miner/name HTTP/1.1\nHost: {address}\nContent-Length: {}\n{headers}\n{body}",
            body.len()
        );
        crate::http::client::ask(address, &text).status
    };
    let own = format!("Origin: http://{}\n", page.address());
    assert_eq!(name(page.address(), &own), 401);
    assert_eq!(name(page.address(), "X-Sluice-Token: opensesame\n"), 303);
    assert_eq!(name(page.address(), "Origin: http://evil.example\n"), 403);
    let open = with_forms(&site, None);
    assert_eq!(name(open.address(), ""), 403);
    assert_eq!(name(open.address(), &format!("Origin: http://{}\n", open.address())), 303);
}
