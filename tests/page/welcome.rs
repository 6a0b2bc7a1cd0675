//! Before the first miner.

use sluice::sim::MinerModel;

use crate::common::browser::{Browser, NAME};
use crate::common::site::Site;
use crate::page::look::assert_fine_everywhere;

#[test]
fn the_first_visitor_is_told_how_to_point_a_miner_here() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut site = Site::with(Site::pool(1), "0.0.0.0:0", None);
    let port = site.address().port().to_string();
    browser.open(&site.url());
    let text = browser.text("#welcome");
    assert!(text.contains(&port), "{text}");
    assert!(!text.contains("127.0.0.1\n") && !text.contains(&format!("//127.0.0.1:{port}")), "{text}");

    let named = site.url().replace("127.0.0.1", NAME);
    assert_fine_everywhere(&browser, &named, "welcome");
    let text = browser.text("#welcome");
    assert!(text.contains(&format!("stratum+tcp://{NAME}:{port}")), "{text}");

    site.mine("first", MinerModel::Bitaxe);
    browser.wait("document.querySelectorAll('#miners tbody tr').length === 1");
    assert!(browser.is("!document.querySelector('#welcome')"));
    let said = browser.console();
    assert!(said.is_empty(), "{said:?}");
}
