//! The processes: chromedriver and the browser that it starts.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::NAME;

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

/// A browser with an empty profile. Dropping it ends it.
pub struct Running {
    agent: ureq::Agent,
    session: String,
    driver: Driver,
    /// To end it should chromedriver not.
    process: Option<i32>,
    /// Script that [`super::Browser::hurry`] has added.
    pub hurried: Mutex<Vec<Value>>,
    _profile: tempfile::TempDir,
}

struct Driver {
    process: Child,
    url: String,
    /// Held, so that chromedriver can write to it.
    _output: BufReader<ChildStdout>,
}

impl Running {
    pub fn launch(driver: &Path, program: &Path) -> Running {
        let driver = Driver::start(driver);
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT));
        let agent = ureq::Agent::from(config.build());
        let profile = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = FLAGS.map(str::to_owned).to_vec();
        arguments.push(format!("--host-resolver-rules=MAP {NAME} 127.0.0.1"));
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({
            "goog:chromeOptions": { "binary": program, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let body = json!({ "capabilities": { "alwaysMatch": wanted } });
        let answer = post(&agent, &format!("{}/session", driver.url), &body);
        let session = answer["sessionId"].as_str().expect("a session").to_owned();
        let process = answer["capabilities"]["goog:processID"].as_i64().and_then(|id| id.try_into().ok());
        Running { agent, session, driver, process, hurried: Mutex::default(), _profile: profile }
    }

    /// Gives a command, and the value that is answered.
    pub fn command(&self, name: &str, body: &Value) -> Value {
        post(&self.agent, &format!("{}/{name}", self.url()), body)
    }

    /// Like [`Running::command`]; the error is the driver's message.
    pub fn try_command(&self, name: &str, body: &Value) -> Result<Value, String> {
        try_post(&self.agent, &format!("{}/{name}", self.url()), body)
    }

    fn url(&self) -> String {
        format!("{}/session/{}", self.driver.url, self.session)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Returns when the browser has ended, so that its profile can be removed.
        let ended = self.agent.delete(self.url()).call();
        if let (Err(_), Some(process)) = (ended, self.process) {
            let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
        }
    }
}

impl Driver {
    /// On a port that it chooses itself. It ends if somebody else takes that port of IPv6 at the same moment.
    fn start(program: &Path) -> Driver {
        (0..5).find_map(|_| Driver::try_start(program)).expect("chromedriver ended five times")
    }

    /// `None` if it ends before it has said its port on its standard output.
    fn try_start(program: &Path) -> Option<Driver> {
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
            if output.read_line(&mut line).unwrap() == 0 {
                process.wait().unwrap();
                return None;
            }
            let port = line.trim().strip_prefix("ChromeDriver was started successfully on port ");
            if let Some(port) = port {
                break port.trim_end_matches('.').to_owned();
            }
        };
        Some(Driver { process, url: format!("http://127.0.0.1:{port}"), _output: output })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn post(agent: &ureq::Agent, url: &str, body: &Value) -> Value {
    try_post(agent, url, body).unwrap_or_else(|why| panic!("{body}: {why}"))
}

fn try_post(agent: &ureq::Agent, url: &str, body: &Value) -> Result<Value, String> {
    let mut answer = agent.post(url).send_json(body).unwrap_or_else(|why| panic!("{url}: {why}"));
    let mut read: Value = answer.body_mut().read_json().unwrap();
    if answer.status().is_success() {
        Ok(read["value"].take())
    } else {
        Err(read["value"]["message"].to_string())
    }
}

/// chromedriver and the browser; `None` where one is missing, after saying so.
pub fn programs() -> Option<(PathBuf, PathBuf)> {
    if let (Some(driver), Some(browser)) = (find("chromedriver"), find("chromium")) {
        return Some((driver, browser));
    }
    let text = "the page is not tested: no browser; apt-get install chromium chromium-driver";
    assert!(!is_required(), "{text}");
    println!("{text}");
    None
}

/// A program on the search path, or where distributions put it.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/lib/chromium", "/usr/lib/chromium-browser"].map(PathBuf::from);
    env::split_paths(&path).chain(usual).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// In CI, a test that can't run has failed.
fn is_required() -> bool {
    let is_set = |name: &str| {
        env::var(name).is_ok_and(|value| !["", "0", "false"].contains(&value.to_ascii_lowercase().as_str()))
    };
    is_set("CI") || is_set("SLUICE_REQUIRE_BROWSER")
}
