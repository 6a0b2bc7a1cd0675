//! A page with a token.

use crate::common::browser::{Browser, Screen};
use crate::common::site::Site;
use crate::common::wait_for;
use crate::page::look::assert_fine;

const STATUS: &str = "performance.getEntriesByType('navigation')[0].responseStatus";

#[test]
fn the_token_is_asked_for_once_and_leaves_the_address() {
    let Some(browser) = Browser::start() else { return };
    let site = Site::with(Site::pool(1), "127.0.0.1:0", Some("opensesame"));
    browser.hurry(6);
    browser.open(&site.url());
    assert_eq!(browser.number(STATUS), 401.0);
    assert!(browser.text("body").contains("http.token"));
    browser.click("summary");
    let text = browser.text("body");
    assert!(!text.contains("?token=") && text.contains("Authorization: Bearer"), "{text}");
    for screen in [Screen::PHONE, Screen::DESK] {
        browser.screen(screen);
        assert_fine(&browser, screen, "the token's page");
    }
    browser.open(&format!("{}?token=wrong", site.url()));
    assert_eq!(browser.number(STATUS), 401.0);
    // The browser itself reports these answers.
    let said = browser.console();
    assert!(said.iter().all(|said| said.contains("401")), "{said:?}");

    browser.open(&format!("{}?token=opensesame", site.url()));
    assert_let_in(&browser, &site);
}

#[test]
fn the_token_can_be_typed() {
    let Some(browser) = Browser::start() else { return };
    let site = Site::with(Site::pool(1), "127.0.0.1:0", Some("opensesame"));
    browser.hurry(6);
    browser.open(&site.url());
    browser.console();
    let type_token = |token: &str| {
        browser.value(&format!("document.querySelector('input[name=token]').value = '{token}'"));
        browser.click("button");
    };
    type_token("opensesami");
    browser.wait("document.querySelector('[role=alert]')");
    assert!(browser.text("body").contains("Wrong token") && !browser.text("body").contains("opensesami"));
    // It never was a part of an address.
    assert!(browser.requests().iter().all(|(url, _)| !url.contains("opensesam")));
    browser.console();
    type_token("opensesame");
    browser.wait("document.querySelector('#welcome')");
    assert_let_in(&browser, &site);
}

fn assert_let_in(browser: &Browser, site: &Site) {
    assert_eq!(browser.number(STATUS), 200.0);
    assert_eq!(browser.value("location.href"), site.url());
    let before = browser.text("#stamp");
    wait_for("an update", || browser.text("#stamp") != before);
    assert!(!browser.is("document.body.classList.contains('away')"));
    browser.assert_silent();
}
