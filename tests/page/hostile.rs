//! Names and reasons that strangers choose are text and nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use sluice::sim::Misbehaviour;
use sluice::status::console;
use sluice::util::escape::printable;

use crate::common::browser::{Browser, Screen};
use crate::common::site::Site;
use crate::common::{DEADLINE, wait_for};
use crate::page::look::assert_fine;
use crate::page::miner::miner_url;

/// As long as what the simulated pool signs with, so that it can take its place.
const TAG: &str = "<img src=x onerror=f()>";
const USUAL_TAG: &str = "/sluice simulated pool/";

fn names() -> Vec<String> {
    let endless = "W".repeat(120);
    let mut names = [
        "<img src=x onerror=alert(1)>",
        "\"><script>document.title='pwned'</script>",
        "</style><script>document.title='pwned'</script>",
        "</title><script>document.title='pwned'</script>",
        "' onmouseover='document.title=1' x='",
        "<!--",
        "&lt;b&gt;&#x202e;",
        "\u{202e}gnirts desrever",
        "\u{2066}\u{202d}isolated",
        "nul\0 bell\u{7} escape\u{1b}[31m delete\u{7f}",
        "line\nfeed\r\u{2028}tab\t",
        "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
        "矿工",
        "{{constructor.constructor('alert(1)')()}}",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(endless);
    names
}

/// Elements that the page never has, and attributes that would run something.
const FOREIGN: &str = "[...document.querySelectorAll('*')].filter(each => \
    ['IMG', 'B', 'IFRAME', 'OBJECT'].includes(each.tagName) && !each.closest('.windows, .reasons') || \
    [...each.attributes].some(its => its.name.startsWith('on') || its.name === 'style')).length";

/// With everything that strangers choose chosen badly.
pub fn site() -> Site {
    let mut site = Site::start();
    site.pool.set_misbehaviour(Misbehaviour { swallow_submit_answers: true, ..Misbehaviour::default() });
    for name in names() {
        let job = site.introduce(&name, &name);
        let submit = json!([name, job["params"][0], "0000000000000000", job["params"][7], "00000000"]);
        site.say(&json!({ "id": 3, "method": "mining.submit", "params": submit }));
    }
    // Each gives the same answer to everybody's share.
    site.pool.broadcast(&json!({ "id": 3, "result": null, "error": [23, names()[1], null] }).to_string());
    let tagged = with_tag(site.introduce("last", "last"));
    site.pool.broadcast(&tagged.to_string());
    site
}

#[test]
fn hostile_names_are_text() {
    let Some(browser) = Browser::start() else { return };
    let site = site();
    browser.screen(Screen::PHONE);
    browser.open(&site.url());
    let rows = names().len() + 1;
    browser.wait(&format!("document.querySelectorAll('#miners tbody tr').length === {rows}"));
    browser.wait("document.querySelector('#pools').innerText.includes('<img src=x onerror=f()>')");
    browser.wait("document.querySelector('#shares q')?.innerText.includes('<script>')");

    // By the first rendering, and by the script's.
    for way in ["as updated", "as loaded"] {
        assert_eq!(browser.number(FOREIGN), 0.0, "{way}");
        assert_eq!(browser.number("document.scripts.length"), 1.0, "{way}");
        assert!(browser.text("title").ends_with("· Sluice"), "{way}");
        assert_shown(&browser, way);
        assert_fine(&browser, Screen::PHONE, way);
        browser.open(&site.url());
    }
    browser.screen(Screen::DESK);
    assert_fine(&browser, Screen::DESK, "on a desk");
    browser.assert_silent();
}

#[test]
fn hostile_names_are_text_on_their_own_pages_and_in_the_lists() {
    let Some(browser) = Browser::start() else { return };
    let site = site();
    wait_for("all miners", || site.status().snapshot.miners.len() > names().len());
    for name in names() {
        let name = printable(&name).into_owned();
        browser.open(&miner_url(&site.page, &name));
        let shown = browser.text("#identity h1");
        // A long name is cut.
        let start: String = name.chars().take(60).collect();
        assert!(shown.contains(start.trim()), "{shown:?} is not {name:?}");
        assert_eq!(browser.number(FOREIGN), 0.0, "{name}");
    }
    browser.screen(Screen::PHONE);
    assert_fine(&browser, Screen::PHONE, "a hostile name");
    for path in ["shares", "jobs", "alerts", "events", "miner?worker=%3Cscript%3E%22"] {
        browser.open(&format!("{}{path}", site.url()));
        assert_eq!(browser.number(FOREIGN), 0.0, "{path}");
        assert_eq!(browser.number("document.scripts.length"), 1.0, "{path}");
        assert_fine(&browser, Screen::PHONE, path);
    }
}

/// Drives a terminal, reorders a line or can't be seen; a stranger's line end must not be one of ours.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

fn get(site: &Site, path: &str) -> String {
    let mut stream = TcpStream::connect(site.page.address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    body.to_owned()
}

/// Every text in it, keys included, as `jq -r` would print them.
fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|each| texts(each, into)),
        Value::Object(object) => object.iter().for_each(|(key, each)| {
            into.push(key.clone());
            texts(each, into);
        }),
        _ => {}
    }
}

#[test]
fn strangers_texts_are_escaped_alike_everywhere() {
    let mut site = Site::start();
    site.pool.set_misbehaviour(Misbehaviour { swallow_submit_answers: true, ..Misbehaviour::default() });
    let hostile = "rig\u{1b}[2J\u{7}\u{9b}\u{202e}\u{200b}\u{feff}\u{e0041}\n\tend";
    let shown = "rig\\u{1b}[2J\\u{7}\\u{9b}\\u{202e}\\u{200b}\\u{feff}\\u{e0041}\\n\\tend";
    let agent = format!("agent-{hostile}");
    let job = site.introduce(hostile, &agent);
    let submit = json!([hostile, job["params"][0], "0000000000000000", job["params"][7], "00000000"]);
    site.say(&json!({ "id": 3, "method": "mining.submit", "params": submit }));
    let why = format!("why-{hostile}");
    site.pool.broadcast(&json!({ "id": 3, "result": null, "error": [20, why, null] }).to_string());
    wait_for("the reason to be shown", || get(&site, "/api/shares").contains("why-rig"));

    let mut all = Vec::new();
    for path in ["/status", "/api/miners", "/api/shares", "/api/alerts", "/api/jobs", "/api/upstreams"] {
        texts(&serde_json::from_str(&get(&site, path)).unwrap(), &mut all);
    }
    for wanted in [shown.to_owned(), format!("agent-{shown}"), format!("why-{shown}")] {
        assert!(all.contains(&wanted), "{wanted} is not among {all:?}");
    }
    for text in &all {
        assert!(!text.contains(is_unsafe), "{text:?}");
    }
    // Who copies the name from there finds its miner.
    let asked: String = shown.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let found: Value = serde_json::from_str(&get(&site, &format!("/api/miners?worker={asked}"))).unwrap();
    assert_eq!(found["total"], 1);

    let page = get(&site, "/");
    let main = &page[page.find("<main").unwrap()..page.find("</main>").unwrap()];
    assert!(!main.contains(is_unsafe), "{main:?}");
    for wanted in [format!(">{shown}<"), format!("\"agent-{shown}\""), format!("why-{shown}")] {
        assert!(main.contains(&wanted), "{wanted}: {main}");
    }

    let metrics = get(&site, "/metrics");
    assert!(!metrics.contains(|c| c != '\n' && is_unsafe(c)), "{metrics:?}");
    let label = format!("worker=\"{}\"", shown.replace('\\', "\\\\"));
    assert!(metrics.contains(&label), "{label}: {metrics}");

    let status = site.status();
    let report = console::report(&status.snapshot, &status.runtime);
    assert!(report.iter().all(|line| !line.contains(is_unsafe)), "{report:?}");
    // A long line is wrapped.
    let unwrapped: String = report.iter().map(|line| line.trim_start()).collect();
    assert!(unwrapped.contains(shown), "{report:?}");
}

/// Every name is there as every output shows it, character by character.
fn assert_shown(browser: &Browser, way: &str) {
    let shown =
        browser.value("[...document.querySelectorAll('#miners .name')].map(each => each.textContent)");
    let shown: Vec<&str> = shown.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for name in names() {
        let name = printable(&name);
        assert!(shown.contains(&&*name), "{way}: {name:?} is not among {shown:?}");
    }
}

fn with_tag(mut job: Value) -> Value {
    let hex = |text: &str| faster_hex::hex_string(text.as_bytes());
    let coinbase = job["params"][3].as_str().unwrap().replace(&hex(USUAL_TAG), &hex(TAG));
    assert!(coinbase.contains(&hex(TAG)));
    job["params"][3] = json!(coinbase);
    job["params"][0] = json!("0badcafe");
    job
}
