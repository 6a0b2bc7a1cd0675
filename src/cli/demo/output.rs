//! The lines of the demo: what happens, what Sluice says of it, and the figures.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::analyzer::Snapshot;
use crate::config::Severity;
use crate::record::EventRow;
use crate::util::escape::Printable;
use crate::util::format::{count, delay, rate};
use crate::util::wrap::{CONSOLE_COLUMNS, shortened, wrapped};

/// The first column of a text, behind the time and the kind of line.
const TEXT_COLUMN: usize = 15;

/// Events and alerts that the demo does not print: the miners' connections and shares are printed anyway, and a new demo
/// has a best share every few seconds.
const NOT_PRINTED: [&str; 4] = ["miner.first_seen", "share.best", "program.start", "program.stop"];

/// The demo's standard output.
pub(super) struct Output<'a, W> {
    out: &'a mut W,
    began: Instant,
    /// The start. Events of earlier runs, from kept records, are not printed.
    started: Timestamp,
    /// The events at the last look. New ones are not always the newest: some are told ten seconds late.
    seen: Arc<[Arc<EventRow>]>,
}

impl<'a, W: Write> Output<'a, W> {
    pub fn new(out: &'a mut W, began: Instant) -> Output<'a, W> {
        Output { out, began, started: Timestamp::now(), seen: Arc::default() }
    }

    /// A line of something that happens in the simulated world.
    pub fn happens(&mut self, text: &str) -> io::Result<()> {
        self.timed(">>", text)
    }

    /// A line about a miner, or about the figures.
    pub fn says(&mut self, who: &str, text: &str) -> io::Result<()> {
        let time = self.time();
        self.plain(&format!("{time}  {who:<13}  {text}"))
    }

    /// The events since the last call, the oldest first.
    pub fn events(&mut self, events: &Arc<[Arc<EventRow>]>) -> io::Result<()> {
        let seen: HashSet<*const EventRow> = self.seen.iter().map(Arc::as_ptr).collect();
        let is_new = |event: &&Arc<EventRow>| {
            !seen.contains(&Arc::as_ptr(event)) && event.at.timestamp() >= self.started
        };
        for event in events.iter().rev().filter(is_new).cloned().collect::<Vec<_>>() {
            // A failover and a missing miner are each an event and an alert, which say the same.
            let is_twice = event.kind == "miner.gone"
                || (event.kind == "alert.begun" && event.subject == "pool.failed_over");
            if !is_twice && ![&*event.subject, &*event.kind].iter().any(|name| NOT_PRINTED.contains(name)) {
                if event.kind == "alert.ended" {
                    self.timed("over", &event.subject)?;
                } else {
                    self.timed(severity(event.severity), &Printable(&event.text).to_string())?;
                }
            }
        }
        self.seen = events.clone();
        Ok(())
    }

    /// One line with the figures of all miners.
    pub fn figures(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let Some(totals) = &snapshot.totals else { return Ok(()) };
        let best = snapshot.bests.run.as_ref().map_or(0.0, |best| best.difficulty.value());
        let text = format!(
            "{} at {}: {} accepted, {} rejected, best {best:.4}; delay added {}",
            count(snapshot.miners.len() as u64, "miner"),
            rate(snapshot.hash_rates.one_minute),
            totals.accepted,
            totals.rejected,
            delay(snapshot.summary.latency_up.quantile(0.5)),
        );
        self.timed("--", &text)
    }

    /// Whether Sluice has raised an alert of this rule since the start.
    pub fn has_raised(&self, snapshot: &Snapshot, rule: &str) -> bool {
        snapshot.alerts.alerts.iter().any(|alert| alert.id == rule && alert.last.timestamp() >= self.started)
    }

    pub fn plain(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// A line with the time and a mark; a long text goes on below its beginning.
    fn timed(&mut self, mark: &str, text: &str) -> io::Result<()> {
        let head = format!("{}  {mark:<6}  ", self.time());
        for line in wrapped(&head, &shortened(text), TEXT_COLUMN, CONSOLE_COLUMNS) {
            writeln!(self.out, "{line}")?;
        }
        self.out.flush()
    }

    fn time(&self) -> String {
        time(self.began.elapsed())
    }
}

/// `01:23`
pub(super) fn time(time: Duration) -> String {
    format!("{:02}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "HIGH",
        Severity::Medium => "MEDIUM",
        Severity::Low => "low",
        Severity::Info => "info",
    }
}
