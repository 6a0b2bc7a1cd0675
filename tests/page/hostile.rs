//! Names and reasons that strangers choose are text and nothing else.

use serde_json::{Value, json};
use sluice::sim::Misbehaviour;

use crate::common::browser::{Browser, Screen};
use crate::common::site::Site;
use crate::look::assert_fine;

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

/// Every name is there, letter by letter; what is no letter may be missing.
fn assert_shown(browser: &Browser, way: &str) {
    let shown =
        browser.value("[...document.querySelectorAll('#miners .name')].map(each => each.textContent)");
    let letters = |text: &str| text.chars().filter(|each| each.is_ascii_graphic()).collect::<String>();
    let shown: Vec<String> =
        shown.as_array().unwrap().iter().filter_map(Value::as_str).map(letters).collect();
    for name in names() {
        // The part before a point is taken for an account.
        let name = letters(name.rsplit('.').next().unwrap());
        assert!(shown.iter().any(|each| each.ends_with(&name)), "{way}: {name:?} is not among {shown:?}");
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
