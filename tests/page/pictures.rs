//! Pictures to look at:
//! `SLUICE_SCREENSHOTS=directory cargo test --test suite pictures -- --ignored`

use std::path::{Path, PathBuf};

use sluice::sim::{MinerModel, PoolOptions, SimPayout};
use sluice::stratum::Nbits;

use crate::common::browser::{Browser, Screen};
use crate::common::site::{ADDRESS, PageServer, STRANGER, Site};
use crate::common::wait_for;
use crate::page::fixed::{farm, outage};
use crate::page::hostile;
use crate::page::miner::miner_url;

fn take(browser: &Browser, url: &str, directory: &Path, name: &str) {
    for (screen, size) in
        [(Screen::PHONE, "360"), (Screen::TABLET, "768"), (Screen::DESK, "1440"), (Screen::WIDE, "2560")]
    {
        browser.screen(screen);
        for scheme in ["light", "dark"] {
            browser.scheme(scheme);
            browser.open(url);
            let file = directory.join(format!("{name}-{size}-{scheme}.png"));
            std::fs::write(file, browser.picture()).unwrap();
        }
    }
}

#[test]
#[ignore = "writes pictures; asserts nothing"]
fn pictures() {
    let directory = std::env::var_os("SLUICE_SCREENSHOTS").expect("SLUICE_SCREENSHOTS is a directory");
    let directory = PathBuf::from(directory);
    std::fs::create_dir_all(&directory).unwrap();
    let Some(browser) = Browser::start() else { return };

    let empty = Site::with(Site::pool(1), "0.0.0.0:0", None);
    take(&browser, &empty.url(), &directory, "welcome");

    let mut site = Site::start();
    for (name, habit) in [
        ("nerd-1", MinerModel::NerdMiner),
        ("nerd-kitchen", MinerModel::NerdMiner),
        ("bitaxe", MinerModel::Bitaxe),
        ("laptop", MinerModel::Cpuminer),
    ] {
        site.mine(name, habit);
    }
    site.wait_accepted(60);
    site.pool.new_block();
    browser.open(&site.url());
    browser.wait("document.querySelector('#pools').textContent.includes('new block')");
    take(&browser, &site.url(), &directory, "miners");
    let ill = PageServer::fixed(outage(site.status()));
    take(&browser, &ill.url(), &directory, "outage");
    let crowded = PageServer::fixed(farm(&site.status()));
    take(&browser, &crowded.url(), &directory, "farm");

    let bitaxe = miner_url(&site.page, &format!("{ADDRESS}.bitaxe"));
    take(&browser, &bitaxe, &directory, "miner");
    for list in ["shares", "jobs", "alerts", "events"] {
        take(&browser, &format!("{}{list}", site.url()), &directory, list);
    }
    site.stop_miners();
    wait_for("all to be gone", || site.status().offline_workers().count() >= 4);
    take(&browser, &bitaxe, &directory, "miner-gone");
    take(&browser, &miner_url(&site.page, "nobody"), &directory, "miner-unknown");
    let locked = Site::with(Site::pool(4), "127.0.0.1:0", Some("opensesame"));
    take(&browser, &locked.url(), &directory, "token");

    let payout = SimPayout::Address(STRANGER.to_owned());
    let pool = PoolOptions {
        payout,
        opening: sluice::sim::OpeningOrder::PublicPool,
        nbits: Nbits(0x1d00_ffff),
        ..Site::pool(3)
    };
    let mut bad = Site::with(pool, "127.0.0.1:0", None);
    bad.mine("bitaxe", MinerModel::Bitaxe);
    bad.wait_accepted(10);
    take(&browser, &bad.url(), &directory, "bad-pool");

    let hostile = hostile::site();
    browser.open(&hostile.url());
    browser.wait("document.querySelectorAll('#miners tbody tr').length > 10");
    take(&browser, &hostile.url(), &directory, "hostile");
}
