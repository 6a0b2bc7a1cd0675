//! A real browser, driven through chromedriver by the WebDriver protocol.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::wait_for;

/// Chromium has a sandbox of its own, which does not work for root and in most containers; what it
/// loads here is this program's own page.
const FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];
/// A browser that starts on a busy machine may take long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A visitor's screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    pub width: u32,
    height: u32,
    is_phone: bool,
}

impl Screen {
    pub const PHONE: Screen = Screen { width: 360, height: 740, is_phone: true };
    pub const DESK: Screen = Screen { width: 1440, height: 900, is_phone: false };
}

/// A browser with an empty profile. Dropping it ends it.
pub struct Browser {
    agent: ureq::Agent,
    session: String,
    driver: Driver,
    /// To end it should chromedriver not.
    process: Option<i32>,
    _profile: tempfile::TempDir,
}

struct Driver {
    process: Child,
    url: String,
    /// Held, so that chromedriver can write to it.
    _output: BufReader<ChildStdout>,
}

impl Browser {
    /// `None` where there is no browser, after saying so.
    pub fn start() -> Option<Browser> {
        Browser::with_flags(&[])
    }

    pub fn with_flags(flags: &[&str]) -> Option<Browser> {
        match (find("chromedriver"), find("chromium").or_else(|| find("google-chrome"))) {
            (Some(driver), Some(browser)) => Some(Browser::launch(&driver, &browser, flags)),
            _ => {
                let text = "the page is not tested: no browser; apt-get install chromium chromium-driver";
                assert!(!is_required(), "{text}");
                println!("{text}");
                None
            }
        }
    }

    fn launch(driver: &Path, browser: &Path, flags: &[&str]) -> Browser {
        let driver = Driver::start(driver);
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT));
        let agent = ureq::Agent::from(config.build());
        let profile = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = FLAGS.iter().chain(flags).map(ToString::to_string).collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({ "binary": browser, "args": arguments });
        let wanted = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let body = json!({ "capabilities": { "alwaysMatch": wanted } });
        let answer = post(&agent, &format!("{}/session", driver.url), &body);
        let session = answer["sessionId"].as_str().expect("a session").to_owned();
        let process = answer["capabilities"]["goog:processID"].as_i64().and_then(|id| id.try_into().ok());
        let browser = Browser { agent, session, driver, process, _profile: profile };
        browser.screen(Screen::DESK);
        browser
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

    /// What a visitor can read there.
    pub fn text(&self, selector: &str) -> String {
        let text = self.call("document.querySelector(argument)?.innerText", &json!(selector));
        text.as_str().map(str::to_owned).unwrap_or_else(|| panic!("there is no {selector}"))
    }

    /// Clicks as a hand does: what is covered or not visible can't be clicked.
    pub fn click(&self, selector: &str) {
        let found = self.command("element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str).unwrap();
        self.command(&format!("element/{id}/click"), &json!({}));
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
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": source }));
    }

    /// What the console said since the last time this was asked, without advice to developers.
    pub fn console(&self) -> Vec<String> {
        let said = self.log("browser");
        said.iter()
            .filter(|entry| entry["level"] != "DEBUG")
            .map(|entry| format!("{}: {}", entry["level"], entry["message"]))
            .collect()
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
        post(&self.agent, &format!("{}/session/{}/{name}", self.driver.url, self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Returns when the browser has ended, so that its profile can be removed.
        let ended = self.agent.delete(format!("{}/session/{}", self.driver.url, self.session)).call();
        if let (Err(_), Some(process)) = (ended, self.process) {
            let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
        }
    }
}

impl Driver {
    /// On a port that it chooses itself, and says on its standard output.
    fn start(program: &Path) -> Driver {
        let mut process = Command::new(program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "chromedriver ended");
            let port = line.trim().strip_prefix("ChromeDriver was started successfully on port ");
            if let Some(port) = port {
                break port.trim_end_matches('.').to_owned();
            }
        };
        Driver { process, url: format!("http://127.0.0.1:{port}"), _output: output }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn post(agent: &ureq::Agent, url: &str, body: &Value) -> Value {
    let mut answer = agent.post(url).send_json(body).unwrap_or_else(|why| panic!("{url}: {why}"));
    let mut read: Value = answer.body_mut().read_json().unwrap();
    assert!(answer.status().is_success(), "{body}: {}", read["value"]["message"]);
    read["value"].take()
}

/// A program on the search path, or where distributions put it.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/lib/chromium", "/usr/lib/chromium-browser"].map(PathBuf::from);
    env::split_paths(&path).chain(usual).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Where changes are judged, a test that can't run has failed.
fn is_required() -> bool {
    let is_set = |name: &str| {
        env::var(name).is_ok_and(|value| !["", "0", "false"].contains(&value.to_ascii_lowercase().as_str()))
    };
    is_set("CI") || is_set("SLUICE_REQUIRE_BROWSER")
}
