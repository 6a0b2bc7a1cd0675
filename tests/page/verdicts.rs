//! A pool that pays somebody else, or works on another chain, can't be overlooked.

use sluice::sim::{MinerModel, PoolOptions, SimPayout};
use sluice::stratum::Nbits;

use crate::common::browser::{Browser, Screen};
use crate::common::site::{STRANGER, Site};
use crate::page::look::assert_fine_everywhere;

/// The target of difficulty 1: any machine could find this chain's blocks.
const EASY_CHAIN: Nbits = Nbits(0x1d00_ffff);

#[test]
fn a_pool_that_pays_a_stranger_on_no_chain_of_ours() {
    let Some(browser) = Browser::start() else { return };
    let payout = SimPayout::Address(STRANGER.to_owned());
    let pool = PoolOptions {
        payout,
        opening: sluice::sim::OpeningOrder::PublicPool,
        nbits: EASY_CHAIN,
        ..Site::pool(3)
    };
    let mut site = Site::with(pool, "127.0.0.1:0", None);
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    browser.open(&site.url());
    browser.wait("document.querySelectorAll('#alerts details').length >= 2");
    assert_fine_everywhere(&browser, &site.url(), "bad pool");

    browser.screen(Screen::PHONE);
    let answer = |place: u32| format!("#answers li:nth-child({place})");
    for (place, words) in [(2, "A block would pay you nothing"), (3, "This is not Bitcoin")] {
        let title = format!("{} strong", answer(place));
        assert_eq!(browser.text(&title), words);
        assert_eq!(browser.text(&format!("{} .sign", answer(place))), "✕");
        let colour = |selector: &str| {
            browser.value(&format!("getComputedStyle(document.querySelector('{selector}')).color"))
        };
        assert_eq!(colour(&title), colour("span.bad"));
        assert_ne!(colour(&title), colour("body"));
        assert_eq!(colour("#alerts details.bad .sign"), colour(&title));
        let bottom = format!("document.querySelector('{title}').getBoundingClientRect().bottom");
        assert!(browser.number(&bottom) < 740.0, "on the first screen of a phone");
    }
    assert!(browser.text("#payout").contains(STRANGER));
    assert!(browser.text("#payout h2").contains("not yours"));

    let evidence = "document.querySelector('#alerts details pre')";
    assert!(!browser.is(&format!("{evidence}.checkVisibility()")));
    browser.click("#alerts summary");
    browser.wait(&format!("{evidence}.checkVisibility()"));
    assert!(browser.text("#alerts details pre").contains('{'));
}
