//! Nodes that are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sluice::reference::{ReferenceKind, ReferenceTimings};
use sluice::work::parent_hash;

use crate::reference::server::{Answer, Server, status};
use crate::reference::{WatchedReference, hurried};

fn hash(number: u32) -> String {
    format!("{number:064x}")
}

fn result(result: &Value) -> Answer {
    Answer::Status(200, String::new(), json!({ "result": result, "error": null, "id": "sluice" }).to_string())
}

fn info(blocks: u32) -> Value {
    json!({
        "chain": "main", "blocks": blocks, "headers": blocks, "bestblockhash": hash(blocks),
        "bits": "17023a04", "initialblockdownload": false, "warnings": []
    })
}

fn section(server: &Server, more: &str) -> String {
    format!("[[reference]]\nnode = \"{}\"\n{more}", server.url(""))
}

fn with_login(server: &Server, login: &str) -> String {
    format!("[[reference]]\nnode = \"http://{login}@{}/\"\n", server.address())
}

#[test]
fn a_node_is_asked_again_and_again_with_user_and_password() {
    let blocks = Arc::new(AtomicU32::new(970_000));
    let newest = blocks.clone();
    let server = Server::start(move |_| result(&info(newest.load(Ordering::Relaxed))));
    let reference = WatchedReference::start(&with_login(&server, "me:p%40ss"), &hurried());
    let first = reference.wait(1)[0].clone();
    assert_eq!(&*first.source, server.address().to_string());
    assert_eq!((first.height.0, first.nbits.0), (970_001, 0x1702_3a04));
    assert_eq!(parent_hash(&first.prevhash).to_string(), hash(970_000));
    blocks.store(970_001, Ordering::Relaxed);
    assert_eq!(reference.wait(2)[1].height.0, 970_002);
    let view =
        reference.see("the new block", |view| view.tip.as_ref().is_some_and(|tip| tip.height.0 == 970_002));
    assert_eq!((view.kind, view.is_connected, view.error), (ReferenceKind::Node, true, None));
    assert_eq!(reference.tips().len(), 2);
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST / HTTP/1.1");
    assert_eq!(asked.header("authorization"), "Basic bWU6cEBzcw==");
    assert_eq!(asked.json()["method"], "getblockchaininfo");
}

#[test]
fn an_older_node_is_asked_for_the_header_once_a_block() {
    let server = Server::start(|number| match number {
        1 => result(&json!({ "hash": hash(970_000), "bits": "17023a04" })),
        _ => {
            let mut old = info(970_000);
            old.as_object_mut().unwrap().remove("bits");
            result(&old)
        }
    });
    let reference = WatchedReference::start(&section(&server, ""), &hurried());
    assert_eq!(reference.wait(1)[0].nbits.0, 0x1702_3a04);
    let asked = server.wait(5);
    assert_eq!(asked[1].json()["params"], json!([hash(970_000)]));
    let headers = asked.iter().filter(|asked| asked.json()["method"] == "getblockheader").count();
    assert_eq!(headers, 1);
    assert_eq!(asked[0].header("authorization"), "");
}

/// Starts a node that accepts the login in this file.
fn guarded(file: std::path::PathBuf) -> Server {
    let cell: Arc<std::sync::OnceLock<Server>> = Arc::default();
    let own = cell.clone();
    let server = Server::start(move |number| {
        use base64::Engine;
        let server = own.wait_for();
        let cookie = std::fs::read_to_string(&file).unwrap_or_default();
        let right = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(cookie.trim()));
        match server.asked()[number].header("authorization") == right {
            true => result(&info(970_000 + number as u32)),
            false => status(401),
        }
    });
    let _ = cell.set(server.clone());
    server
}

trait WaitFor {
    fn wait_for(&self) -> &Server;
}

impl WaitFor for std::sync::OnceLock<Server> {
    fn wait_for(&self) -> &Server {
        crate::common::wait_for("the server", || self.get().is_some());
        self.get().unwrap()
    }
}

#[test]
fn a_cookie_is_read_again_when_the_node_was_started_anew() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".cookie");
    let server = guarded(file.clone());
    let reference = WatchedReference::start(&section(&server, &format!("cookie = {file:?}\n")), &hurried());
    let error = reference.fails("can't read its cookie").error.unwrap();
    assert!(error.contains(".cookie") && error.contains("does the node run"), "{error}");
    assert_eq!(server.asked().len(), 0);
    std::fs::write(&file, "__cookie__:0123\n").unwrap();
    let count = reference.wait(2).len();
    std::fs::write(&file, "__cookie__:4567\n").unwrap();
    reference.wait(count + 3);
    assert_eq!(reference.view().error, None);
    // One that belongs to another node.
    let other = Server::start(|_| status(401));
    let reference = WatchedReference::start(&section(&other, &format!("cookie = {file:?}\n")), &hurried());
    let error = reference.fails("it refuses (401) the cookie in").error.unwrap();
    assert!(!error.contains("4567"), "{error}");
}

#[test]
fn a_wrong_password_and_a_missing_one_say_what_to_do() {
    let server = Server::start(|_| status(401));
    let reference = WatchedReference::start(&with_login(&server, "me:s3cret"), &hurried());
    let view = reference.fails("rpcauth");
    assert!(!format!("{view:?}").contains("s3cret"), "{view:?}");
    let reference = WatchedReference::start(&section(&server, ""), &hurried());
    reference.fails("reference.cookie");
    assert!(reference.tips().is_empty());
}

#[test]
fn a_node_that_loads_the_chain_says_nothing() {
    let is_done = Arc::new(AtomicBool::new(false));
    let done = is_done.clone();
    let server = Server::start(move |_| {
        let mut info = info(500_000);
        info["initialblockdownload"] = json!(!done.load(Ordering::Relaxed));
        info["headers"] = json!(970_000);
        result(&info)
    });
    let reference = WatchedReference::start(&section(&server, ""), &hurried());
    let view = reference.see("the loading", |view| view.error.is_some());
    assert!(view.is_connected && view.error.unwrap().contains("block 500000 of 970000"));
    server.wait(4);
    assert!(reference.tips().is_empty() && reference.view().tip.is_none());
    is_done.store(true, Ordering::Relaxed);
    reference.wait(1);
    reference.see("no complaint", |view| view.error.is_none());
}

#[test]
fn every_bad_answer_is_survived_and_named() {
    type Bad = (fn() -> Answer, &'static str);
    let bad: [Bad; 8] = [
        (|| Answer::HugeBody(200), "longer than 256 KiB"),
        (|| Answer::HugeHeader, ""),
        (|| Answer::Garbage, ""),
        (|| Answer::Close, ""),
        (|| status(302), "it answered 302"),
        (|| status(403), "rpcallowip"),
        (
            || Answer::Status(500, String::new(), r#"{"error":{"code":-28,"message":"Loading"}}"#.to_owned()),
            "it is starting: Loading",
        ),
        (|| result(&json!({ "blocks": 1 })), "lacks what is needed"),
    ];
    for (answer, said) in bad {
        let is_bad = Arc::new(AtomicBool::new(true));
        let bad = is_bad.clone();
        let server =
            Server::start(
                move |_| if bad.load(Ordering::Relaxed) { answer() } else { result(&info(970_000)) },
            );
        let reference = WatchedReference::start(&with_login(&server, "me:s3cret"), &hurried());
        let view = reference.fails(said);
        assert!(!format!("{view:?}").contains("s3cret"), "{view:?}");
        is_bad.store(false, Ordering::Relaxed);
        reference.wait(1);
        server.end();
    }
}

#[test]
fn a_node_that_does_not_answer_has_one_request_at_most() {
    let server = Server::start(|_| Answer::Never);
    let pace = ReferenceTimings { request_timeout: Duration::from_millis(200), ..hurried() };
    let reference = WatchedReference::start(&section(&server, ""), &pace);
    assert_eq!(server.wait(1).len(), 1);
    reference.fails("no answer in time");
    server.end();
    reference.fails("can't connect");
}
