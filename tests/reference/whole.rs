//! The real program between a pool and two references.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use sluice::net::Stamp;
use sluice::reference::{ReferenceKind, ReferenceView, Tip};
use sluice::sim::{PoolOptions, SimPool};
use sluice::status::json::status as status_document;
use sluice::status::metrics::metrics;
use sluice::status::page::{PageRequest, page};
use sluice::status::snapshot::StatusSnapshot;
use sluice::stratum::{Nbits, PrevHash};
use sluice::work::Height;

use crate::common::binary::Sluice;
use crate::common::prometheus::{read, value};
use crate::common::shown::empty;
use crate::common::{DEADLINE, upstream, wait_for};
use crate::reference::server::{Server, status};

fn pool(height: u32, seed: u64) -> SimPool {
    let options = PoolOptions::default();
    SimPool::start(PoolOptions { height: Height(height), nbits: Nbits(0x1702_3a04), seed, ..options })
        .unwrap()
}

/// Gets this path of the program's page.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn the_status_shows_what_references_work_on() {
    let (own, other) = (pool(970_000, 1), pool(970_001, 2));
    let node = Server::start(|_| status(401));
    let text = format!(
        "{}[[reference]]\nurl = \"stratum+tcp://{}\"\n[[reference]]\nnode = \"http://me:s3cret@{}\"\n\
         [listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n",
        upstream(own.addr()),
        other.addr(),
        node.address()
    );
    let sluice = Sluice::run(&text);
    let line = sluice.wait_line("the page is at http://");
    let address = line.rsplit("http://").next().unwrap().trim_end_matches('/').to_owned();
    let references = || -> Value {
        let status: Value = serde_json::from_str(&get(&address, "/status")).unwrap();
        status["references"].clone()
    };
    wait_for("both references", || {
        let references = references();
        references[0]["connected"] == true && !references[1]["error"].is_null()
    });
    let shown = references();
    assert_eq!(shown[0]["name"], json!(other.addr().to_string()));
    assert_eq!((&shown[0]["kind"], &shown[0]["height"]), (&json!("pool"), &json!(970_001)));
    assert!(shown[0]["prevhash"].as_str().unwrap().starts_with("0000000000"));
    assert!(shown[0]["since"].as_str().unwrap().ends_with('Z') && shown[0]["error"].is_null());
    assert_eq!((&shown[1]["kind"], &shown[1]["connected"]), (&json!("node"), &json!(false)));
    assert!(shown[1]["error"].as_str().unwrap().contains("rpcauth"));
    assert!(shown[1]["height"].is_null() && shown[1]["since"].is_null());
    other.new_block();
    wait_for("the new block", || references()[0]["height"] == 970_002);
    let metrics = get(&address, "/metrics");
    let first = format!("{{reference=\"1\",name=\"{}\"}}", other.addr());
    assert!(metrics.contains(&format!("sluice_reference_connected{first} 1")), "{metrics}");
    assert!(metrics.contains(&format!("sluice_reference_height{first} 970002")), "{metrics}");
    assert!(
        !sluice.log().contains("s3cret") && !sluice.log().contains("does not act upon"),
        "{}",
        sluice.log()
    );
    sluice.signal("TERM");
    assert!(sluice.wait().0.success());
    let stats = other.stats();
    assert_eq!(stats.accepted() + stats.rejected(), 0);
    assert_eq!(stats.lines_received, 2);
}

/// A made-up moment with a miner, so that the page is no welcome.
fn moment() -> StatusSnapshot {
    let mut moment = empty("");
    moment.runtime.sessions = 1;
    let hostile = "it refuses: <script>alert(1)</script> \" ' & </section>".to_owned();
    let tip = Tip {
        source: "node.example:8332".into(),
        height: Height(970_001),
        prevhash: PrevHash::from_wire_bytes([0x11; 32]),
        nbits: Nbits(0x1702_3a04),
        at: Stamp::from_nanos(
            u64::try_from((moment.at.timestamp().as_second() - 90) * 1_000_000_000).unwrap(),
        ),
    };
    let view = ReferenceView {
        name: tip.source.clone(),
        kind: ReferenceKind::Node,
        is_connected: false,
        error: Some(hostile),
        tip: Some(tip),
    };
    moment.runtime.references = vec![view.clone(), view];
    moment
}

#[test]
fn strangers_words_are_escaped_everywhere_and_one_may_be_configured_twice() {
    let moment = moment();
    let page = page_of(&moment);
    let section =
        page.split("<section class=\"references\"").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(section.contains("&lt;script&gt;alert(1)&lt;/script&gt; &quot;"), "{section}");
    assert!(section.contains("block 970,001 for 1 min") && !section.contains("<script"), "{section}");
    assert!(!page.contains("<script>alert"));
    let status: Value = serde_json::from_str(&status_document(&moment)).unwrap();
    assert_eq!(status["references"][1]["prevhash"], "11".repeat(32));
    assert!(status["references"][0]["error"].as_str().unwrap().contains("<script>"));
    let found = read(&metrics(&moment));
    let second = [("reference", "2"), ("name", "node.example:8332")];
    assert_eq!(value(&found, "sluice_reference_connected", &second), 0.0);
    assert_eq!(value(&found, "sluice_reference_height", &second), 970_001.0);
    let mut without = moment.clone();
    without.runtime.references.clear();
    assert!(!page_of(&without).contains("id=\"references\""));
}

fn page_of(moment: &StatusSnapshot) -> String {
    page(moment, &PageRequest::default()).html
}
