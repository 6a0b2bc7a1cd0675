//! The running program as its owner sees it: the page, the JSON and the metrics of its port.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client;
use crate::common::binary::Sluice;
use crate::common::wait_for;

/// How long the program may take to show something.
const SOON: Duration = Duration::from_secs(20);
/// The pause between two looks: the program gathers what it shows twice a second.
const PAUSE: Duration = Duration::from_millis(200);

/// The program, with a page.
pub struct Owner {
    pub sluice: Sluice,
    page: SocketAddr,
}

/// All that is shown at one time.
pub struct Seen {
    pub status: Value,
    pub alerts: Value,
    pub metrics: String,
    pub page: String,
}

impl Owner {
    /// The program with these tables of configuration, and `head` above them.
    pub fn start(head: &str, tables: &str) -> Owner {
        let text = format!(
            "{head}\n[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n{tables}"
        );
        let sluice = Sluice::run(&text);
        let line = sluice.wait_line("the page is at http://");
        let page = line.rsplit("http://").next().unwrap().trim_end_matches('/').parse().unwrap();
        Owner { sluice, page }
    }

    pub fn json(&self, path: &str) -> Value {
        let answered = client::get(self.page, path);
        serde_json::from_slice(&answered.body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn look(&self) -> Seen {
        Seen {
            status: self.json("/status"),
            alerts: self.json("/api/alerts"),
            metrics: client::get(self.page, "/metrics").text(),
            page: client::get(self.page, "/").text(),
        }
    }

    /// Waits until the owner sees this.
    pub fn wait(&self, what: &str, is_so: impl Fn(&Seen) -> Result<(), String>) -> Result<(), String> {
        let deadline = Instant::now() + SOON;
        loop {
            let seen = self.look();
            match is_so(&seen) {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() > deadline => return Err(format!("{what}: {why}")),
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Waits until the page says that a block would pay the owner, without any alert.
    pub fn wait_verified(&self) -> Result<(), String> {
        self.wait("an honest pool", Seen::is_fine)
    }

    /// Waits until `/status` was made anew so many times since now.
    pub fn wait_moments(&self, count: usize) {
        let mut moments = Vec::new();
        wait_for("new moments", || {
            let at = self.json("/status")["at"].as_str().unwrap().to_owned();
            if moments.last() != Some(&at) {
                moments.push(at);
            }
            std::thread::sleep(PAUSE);
            moments.len() > count
        });
    }
}

impl Seen {
    /// Whether everything says that a block would pay the owner, and nothing is wrong.
    pub fn is_fine(&self) -> Result<(), String> {
        let (state, payout) = (&self.status["payout"]["state"], &self.status["payout"]);
        let check = |is_so: bool, what: &str| if is_so { Ok(()) } else { Err(format!("{what} ({payout})")) };
        check(state == "verified", "/status does not say that a block would pay the owner")?;
        check(self.metric("verified"), "/metrics does not say that a block would pay the owner")?;
        check(self.page_promises(), "the page does not say so")?;
        check(self.serious().is_empty(), &format!("alerts: {:?}", self.serious()))?;
        check(self.lasting().is_empty(), &format!("alerts: {:?}", self.lasting()))?;
        check(self.says_no_alert(), "the page does not say that there is no alert")
    }

    /// Whether nothing says any more that a block would pay the owner, and one of these alerts lasts.
    pub fn is_noticed(&self, ids: &[&str]) -> Result<(), String> {
        let state = &self.status["payout"]["state"];
        let check = |is_so: bool, what: &str| if is_so { Ok(()) } else { Err(what.to_owned()) };
        check(state != "verified", "/status says that a block would pay the owner")?;
        check(!self.metric("verified"), "/metrics says that a block would pay the owner")?;
        check(!self.page_promises(), "the page says that a block would pay the owner")?;
        let lasting = self.lasting();
        let found = ids.iter().any(|id| lasting.contains(&(*id).to_owned()));
        check(found, &format!("none of {ids:?} among the alerts {lasting:?}, payout is {state}"))?;
        check(!self.says_no_alert(), "the page says that there is no alert")?;
        // The target can be read where the coinbase can't.
        let alerts = self.alerts["alerts"].as_array().unwrap();
        let has_target = |alert: &Value| {
            alert["id"] == "payout.mismatch" || alert["evidence"]["reason"] == "its coinbase can't be decoded"
        };
        let is_doubtful = self.status["chain"]["state"] != "plausible";
        check(is_doubtful || alerts.iter().any(has_target), "/status says that the chain is right")
    }

    /// Whether the page says how much of a block the owner would get.
    fn page_promises(&self) -> bool {
        let mut places = self.page.split("A block would pay you ").skip(1);
        places.any(|rest| rest.starts_with(|next: char| next.is_ascii_digit()))
    }

    /// Whether the page shows that there is no alert, or none yet.
    fn says_no_alert(&self) -> bool {
        self.page.contains("No alert")
    }

    fn metric(&self, state: &str) -> bool {
        let state = format!("state=\"{state}\"");
        let mut lines = self.metrics.lines().filter(|line| line.starts_with("sluice_payout_state{"));
        lines.any(|line| line.contains(&state) && line.ends_with(" 1"))
    }

    /// The ids of alerts above `info`, ended ones included.
    pub fn serious(&self) -> Vec<String> {
        self.alerts_where(|alert| alert["severity"] != "info")
    }

    /// The ids of alerts that have not ended.
    pub fn lasting(&self) -> Vec<String> {
        self.alerts_where(|alert| alert["ended"].is_null())
    }

    fn alerts_where(&self, fits: impl Fn(&Value) -> bool) -> Vec<String> {
        let alerts = self.alerts["alerts"].as_array().unwrap();
        alerts
            .iter()
            .filter(|alert| fits(alert))
            .map(|alert| alert["id"].as_str().unwrap().to_owned())
            .collect()
    }
}
