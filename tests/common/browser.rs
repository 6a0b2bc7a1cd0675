//! A real browser, driven through chromedriver by the WebDriver protocol.

mod running;

use std::sync::{Condvar, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::wait_for;
use running::{Running, programs};

/// A name that the browser takes for this machine's.
pub const NAME: &str = "pi.local";

/// A visitor's screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    pub width: u32,
    height: u32,
    is_phone: bool,
}

impl Screen {
    pub const PHONE: Screen = Screen { width: 360, height: 740, is_phone: true };
    pub const TABLET: Screen = Screen { width: 768, height: 1024, is_phone: true };
    pub const DESK: Screen = Screen { width: 1440, height: 900, is_phone: false };
    pub const WIDE: Screen = Screen { width: 2560, height: 1440, is_phone: false };
}

/// A browser with an empty profile, for one test. Dropping it ends it, or leaves it to another test
/// while there is one that still runs.
pub struct Browser(Option<Running>);

/// Browsers that no test has, and the number of tests that have one. With the last test the browsers end.
static IDLE: Mutex<(Vec<Running>, usize)> = Mutex::new((Vec::new(), 0));
static RETURNED: Condvar = Condvar::new();
/// More of them at a time only wait for each other, and for the processor.
const MOST: usize = 2;

impl Browser {
    /// `None` where there is no browser, after saying so.
    pub fn start() -> Option<Browser> {
        let (driver, program) = programs()?;
        let idle = {
            let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
            let free = RETURNED.wait_while(idle, |idle| idle.1 >= MOST);
            let mut idle = free.unwrap_or_else(PoisonError::into_inner);
            idle.1 += 1;
            idle.0.pop()
        };
        // Counted already, so that it is given back whatever happens.
        let mut browser = Browser(idle);
        if browser.0.is_none() {
            browser.0 = Some(Running::launch(&driver, &program));
        }
        browser.forget();
        Some(browser)
    }

    /// Back to how it began.
    fn forget(&self) {
        self.open("about:blank");
        self.devtools("Network.clearBrowserCookies", &json!({}));
        for script in std::mem::take(&mut *self.running().hurried.lock().unwrap()) {
            self.devtools("Page.removeScriptToEvaluateOnNewDocument", &script);
        }
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [] }));
        self.scripts(true);
        self.screen(Screen::DESK);
        self.requests();
        self.console();
    }

    fn running(&self) -> &Running {
        self.0.as_ref().expect("a browser")
    }

    /// Opens an address and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// The value of an expression in the page; a promise's when it is one.
    pub fn value(&self, expression: &str) -> Value {
        self.call(expression, &json!(null))
    }

    /// As [`Browser::value`]; the expression knows `argument`.
    pub fn call(&self, expression: &str, argument: &Value) -> Value {
        let script = format!("const argument = arguments[0]; return ({expression});");
        self.command("execute/sync", &json!({ "script": script, "args": [argument] }))
    }

    pub fn is(&self, condition: &str) -> bool {
        self.value(&format!("Boolean({condition})")) == true
    }

    pub fn number(&self, expression: &str) -> f64 {
        self.value(expression).as_f64().unwrap_or(f64::NAN)
    }

    pub fn wait(&self, condition: &str) {
        wait_for(condition, || self.is(condition));
    }

    /// The text that a visitor can read there.
    pub fn text(&self, selector: &str) -> String {
        let text = self.call("document.querySelector(argument)?.innerText", &json!(selector));
        text.as_str().map(str::to_owned).unwrap_or_else(|| panic!("there is no {selector}"))
    }

    /// Clicks as a hand does: what is covered or not visible can't be clicked.
    pub fn click(&self, selector: &str) {
        loop {
            let found = self.command("element", &json!({ "using": "css selector", "value": selector }));
            let id =
                found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str).unwrap();
            match self.running().try_command(&format!("element/{id}/click"), &json!({})) {
                Ok(_) => return,
                // The page has renewed its section in between.
                Err(why) if why.contains("stale element") => {}
                Err(why) => panic!("{selector}: {why}"),
            }
        }
    }

    pub fn screen(&self, screen: Screen) {
        let metrics = json!({
            "width": screen.width, "height": screen.height, "mobile": screen.is_phone,
            "deviceScaleFactor": if screen.is_phone { 2 } else { 1 },
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// `light` or `dark`.
    pub fn scheme(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// Whether pages may run scripts; the tests' own still do.
    pub fn scripts(&self, are_on: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": !are_on }));
    }

    /// Timers of pages that are opened from now on run out so many times as soon.
    pub fn hurry(&self, times: u32) {
        let source = format!(
            "{{ const slow = setTimeout; window.setTimeout = (call, time) => slow(call, time / {times}); }}"
        );
        let added = self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": source }));
        self.running().hurried.lock().unwrap().push(added);
    }

    /// Lines of the console since the last call, without advice to developers.
    pub fn console(&self) -> Vec<String> {
        let said = self.log("browser");
        said.iter()
            .filter(|entry| entry["level"] != "DEBUG")
            .map(|entry| format!("{}: {}", entry["level"], entry["message"]))
            .collect()
    }

    /// Fails when the console has said anything.
    pub fn assert_silent(&self) {
        let said = self.console();
        assert!(said.is_empty(), "{said:#?}");
    }

    /// The requests since the last time this was asked, with what asked for them.
    pub fn requests(&self) -> Vec<(String, String)> {
        let read = |entry: &Value| serde_json::from_str::<Value>(entry["message"].as_str()?).ok();
        let events = self.log("performance").into_iter().filter_map(|entry| read(&entry));
        let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        sent.map(|event| event["message"]["params"].clone())
            .map(|sent| (text(&sent["request"]["url"]), text(&sent["type"])))
            .collect()
    }

    /// A picture of the whole page, as a PNG.
    pub fn picture(&self) -> Vec<u8> {
        let size = self.value("[innerWidth, document.documentElement.scrollHeight]");
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let wanted = json!({ "captureBeyondViewport": true, "clip": clip });
        let taken = self.devtools("Page.captureScreenshot", &wanted);
        STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()
    }

    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.command("se/log", &json!({ "type": kind })).as_array().cloned().unwrap_or_default()
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        self.running().command(name, body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        // What a failed test leaves behind is nobody's.
        idle.0.extend(self.0.take_if(|_| !std::thread::panicking()));
        idle.1 -= 1;
        let ended = if idle.1 == 0 { std::mem::take(&mut idle.0) } else { Vec::new() };
        drop(idle);
        RETURNED.notify_one();
        drop(ended);
    }
}
