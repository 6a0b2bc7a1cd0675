//! Pages of moments that are made up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice::analyzer::{BlockSpread, KnownWorkerView, MinerView, Snapshot};
use sluice::net::Stamp;
use sluice::reference::{ReferenceKind, ReferenceView, Tip};
use sluice::sim::MinerModel;
use sluice::status::snapshot::StatusSnapshot;
use sluice::stratum::{Nbits, PrevHash};
use sluice::upstream::PoolStatus;
use sluice::work::Height;

use crate::common::browser::{Browser, Screen};
use crate::common::shown::device;
use crate::common::site::{ADDRESS, PageServer, Site};
use crate::page::look::{assert_fine, assert_fine_everywhere};
use crate::page::miner::miner_url;

/// The status with one miner, repeated for many.
fn with_miners(status: &StatusSnapshot, count: usize) -> StatusSnapshot {
    let one = &status.snapshot.miners[0];
    let named = |place| MinerView { worker: format!("{ADDRESS}.miner-{place:03}").into(), ..one.clone() };
    let snapshot = Snapshot { miners: (0..count).map(named).collect(), ..(*status.snapshot).clone() };
    let mut runtime = status.runtime.clone();
    runtime.sessions = count;
    StatusSnapshot { snapshot: Arc::new(snapshot), runtime, ..status.clone() }
}

/// The status with 2,000 miners and one that is gone.
pub fn farm(status: &StatusSnapshot) -> StatusSnapshot {
    let mut status = with_miners(status, 2000);
    let last_seen = status.at;
    Arc::make_mut(&mut status.snapshot).known_workers = [KnownWorkerView {
        worker: format!("{ADDRESS}.gone").into(),
        is_connected: false,
        first_seen: last_seen,
        last_seen,
        address: None,
        user_agent: None,
        best_ever: None,
    }]
    .into();
    status
}

/// The status when the pool has just failed and its miners are gone.
pub fn outage(mut status: StatusSnapshot) -> StatusSnapshot {
    let pool = &mut status.runtime.upstreams[0];
    pool.standing = PoolStatus::Failed;
    pool.trouble = Some((String::from("connection refused"), Duration::from_secs(12)));
    (status.runtime.sessions, pool.sessions) = (0, 0);
    let snapshot = Arc::make_mut(&mut status.snapshot);
    snapshot.miners.clear();
    snapshot.pools[0].miners = 0;
    status
}

/// The bytes of the page and the time to its first byte, the shortest of a few: the machine may be busy.
fn size_and_time(page: &PageServer) -> (usize, Duration) {
    let ask = |_| {
        let mut stream = TcpStream::connect(page.address()).unwrap();
        let asked = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = vec![0];
        stream.read_exact(&mut answer).unwrap();
        let first = asked.elapsed();
        stream.read_to_end(&mut answer).unwrap();
        (answer.len(), first)
    };
    (0..5).map(ask).min_by_key(|(_, first)| *first).unwrap()
}

#[test]
fn a_farm_is_shown_page_by_page_with_the_worst_first() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    let farm = PageServer::fixed(farm(&site.status()));
    let (bytes, first_byte) = size_and_time(&farm);
    println!("the page of 2,000 miners: {bytes} bytes, the first after {first_byte:?}");
    assert!(bytes < 300_000, "{bytes} bytes");

    browser.open(&farm.url());
    let rows = "[...document.querySelectorAll('#miners tbody .name')].map(each => each.textContent)";
    assert_eq!(browser.number(&format!("{rows}.length")), 100.0);
    assert_eq!(browser.text("#miners h2"), "2,000 miners, 1 offline");
    assert_eq!(browser.value(&format!("{rows}[0]")), "gone");
    assert!(browser.text("#miners tbody tr").contains("offline since"));
    let href = "document.querySelector('#miners tbody a').getAttribute('href')";
    assert_eq!(browser.value(href), format!("/miner?worker={ADDRESS}.gone"));
    // Every miner is on one of the pages, whatever script runs.
    browser.scripts(false);
    browser.click("#sort-name");
    browser.wait(&format!("{rows}[1] === 'miner-000'"));
    browser.click("#page-21");
    browser.wait(&format!("{rows}[0] === 'miner-999'"));
    assert_eq!(browser.number(&format!("{rows}.length")), 1.0);
    browser.click("#page-before");
    browser.wait(&format!("{rows}.length === 100"));
    browser.scripts(true);
    // The script keeps what the visitor has chosen.
    browser.hurry(6);
    browser.open(&format!("{}?sort=name&order=desc&filter=miner-00&page=9", farm.url()));
    browser.value("document.querySelector('#miners input').focus() ?? (window.marked = true)");
    browser.value("document.querySelector('#miners-list').firstChild.remove()");
    browser.wait("document.querySelector('#miners-list > p')");
    assert_eq!(browser.number(&format!("{rows}.length")), 10.0);
    assert_eq!(browser.value(&format!("{rows}[0]")), "miner-009");
    assert!(browser.is("window.marked && document.activeElement.name === 'filter'"));
    for screen in [Screen::PHONE, Screen::TABLET, Screen::DESK, Screen::WIDE] {
        browser.screen(screen);
        assert_fine(&browser, screen, "a farm");
    }
}

#[test]
fn the_sentences_of_an_outage_agree() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    let page = PageServer::fixed(outage(site.status()));
    for (screen, scheme) in [(Screen::PHONE, "light"), (Screen::DESK, "dark")] {
        browser.screen(screen);
        browser.scheme(scheme);
        browser.open(&page.url());
        assert_eq!(browser.text("h1"), "Not mining: no pool can be reached");
        assert!(browser.text("#headline p").contains("connection refused. Next try in 12 s."));
        assert_eq!(browser.number("document.querySelectorAll('.good .sign').length"), 0.0, "no green mark");
        assert_eq!(browser.text("#answers li:nth-child(5) strong"), "No alert yet");
        assert!(
            browser.is("document.querySelector('.rate.old') && !document.querySelector('.rate:not(.old)')")
        );
        assert!(browser.text(".scope").ends_with(" ago"));
        assert_eq!(browser.value("document.title"), "Not mining · Sluice");
        assert_fine(&browser, screen, "an outage");
    }
}

#[test]
fn a_pools_newest_block_is_told_with_its_miners() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    let status = site.status();
    let show = |block: Option<BlockSpread>| {
        let mut snapshot = (*status.snapshot).clone();
        snapshot.pools[0].new_block = block;
        let page = PageServer::fixed(StatusSnapshot { snapshot: Arc::new(snapshot), ..status.clone() });
        browser.open(&page.url());
        let text = browser.text("#pools");
        for screen in [Screen::PHONE, Screen::DESK] {
            browser.screen(screen);
            assert_fine(&browser, screen, "a new block");
        }
        text
    };
    assert!(!show(None).contains("new block"));
    let (time, median, age) =
        (Duration::from_micros(8400), Duration::from_micros(7900), Duration::from_secs(180));
    let one = show(Some(BlockSpread { time, miners: 1, age, median: time, blocks: 1 }));
    assert!(
        one.contains("new block 3 min ago: at 1 miner within 8.4 ms") && !one.contains("median"),
        "{one}"
    );
    let many = show(Some(BlockSpread { time, miners: 1200, age, median, blocks: 20 }));
    assert!(many.contains("at 1,200 miners within 8.4 ms, median of 20 blocks 7.9 ms"), "{many}");
}

/// One for each state, the last with words of a stranger.
fn references() -> Vec<ReferenceView> {
    let tip = Tip {
        source: "x:1".into(),
        height: Height(970_001),
        prevhash: PrevHash::from_wire_bytes([0x11; 32]),
        nbits: Nbits(0x1702_3a04),
        at: Stamp::now(),
    };
    let error = |text: &str| Some(text.to_owned());
    let endless = format!("it closes: <img src=x> {}", "W".repeat(200));
    [
        ("127.0.0.1:8332", true, None, true),
        ("public-pool.example:3333", true, error("it is still loading the chain"), true),
        ("not-yet.example:3333", false, None, false),
        ("a-rather-long-name-of-a-pool-in-some-country.example.org:3333", false, Some(endless), true),
    ]
    .into_iter()
    .map(|(name, is_connected, error, has_tip)| ReferenceView {
        name: name.into(),
        kind: ReferenceKind::Pool,
        is_connected,
        error,
        tip: has_tip.then(|| tip.clone()),
    })
    .collect()
}

#[test]
fn references_are_shown_in_every_state() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    let mut status = site.status();
    browser.open(&site.url());
    assert!(browser.is("!document.querySelector('#references')"));
    status.runtime.references = references();
    let shown = PageServer::fixed(status);
    assert_fine_everywhere(&browser, &shown.url(), "references");
    let signs = "[...document.querySelectorAll('#references .sign')].map(each => each.textContent).join('')";
    assert_eq!(browser.value(signs), "✓!·✕");
    assert!(browser.text("#references").contains("block 970,001 for"));
    assert!(browser.text("#references").contains("<img src=x>"));
    browser.assert_silent();
}

#[test]
fn a_miner_whose_device_is_read_has_a_fine_page() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::start();
    site.mine("first", MinerModel::Bitaxe);
    site.wait_accepted(1);
    let mut status = site.status();
    let worker = format!("{ADDRESS}.first");
    let mut devices = vec![device(&worker, status.at), device(&worker, status.at)];
    devices[1].address = "10.0.0.8".parse().unwrap();
    (devices[1].failure, devices[1].work) = (Some("no answer in time".into()), None);
    Arc::make_mut(&mut status.snapshot).devices = devices.into();
    let page = PageServer::fixed(status);
    let url = miner_url(&page, &worker);
    assert_fine_everywhere(&browser, &url, "a miner with devices");
    let said = browser.text("#device");
    for wanted in
        ["59 °C", "15.0 J/TH", "-57 dBm", "BM1370, board 601", "can't be read now: no answer in time"]
    {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(browser.text("#work").contains("98.4 % of that"), "{}", browser.text("#work"));
    browser.assert_silent();
}
