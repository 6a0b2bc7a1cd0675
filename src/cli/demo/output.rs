//! The lines of the demo: what happens, what Sluice says of it, and the figures.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::analyzer::Snapshot;
use crate::config::Severity;
use crate::record::EventRow;
use crate::util::escape::Printable;
use crate::util::format::{count, delay, rate};

/// The widest line, in characters.
const WIDTH: usize = 100;
/// The first column of a text, behind the time and the kind of line.
const TEXT_COLUMN: usize = 15;

/// Events that the demo does not print: the miners' connections and shares are printed anyway, and a new demo has a
/// best share every few seconds.
const NOT_PRINTED: [&str; 4] = ["miner.first_seen", "share.best", "program.start", "program.stop"];

/// The demo's standard output.
pub(super) struct Output<'a, W> {
    out: &'a mut W,
    began: Instant,
    /// The newest event that was printed.
    newest: Option<Arc<EventRow>>,
}

impl<'a, W: Write> Output<'a, W> {
    pub fn new(out: &'a mut W, began: Instant) -> Output<'a, W> {
        Output { out, began, newest: None }
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
    pub fn events(&mut self, events: &[Arc<EventRow>]) -> io::Result<()> {
        let is_printed =
            |event: &&Arc<EventRow>| self.newest.as_ref().is_some_and(|newest| Arc::ptr_eq(newest, event));
        let new = events.iter().position(|event| is_printed(&event)).unwrap_or(events.len());
        for event in events[..new].iter().rev() {
            if !NOT_PRINTED.contains(&event.subject.as_str()) && !NOT_PRINTED.contains(&&*event.kind) {
                self.timed(severity(event.severity), &Printable(&event.text).to_string())?;
            }
        }
        self.newest = events.first().cloned().or(self.newest.take());
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

    pub fn plain(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// A line with the time and a mark; a long text goes on below its beginning.
    fn timed(&mut self, mark: &str, text: &str) -> io::Result<()> {
        let head = format!("{}  {mark:<6}  ", self.time());
        for line in wrapped(&head, text) {
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

/// The text behind `head`, in lines of at most [`WIDTH`] characters. A word that is longer is cut.
fn wrapped(head: &str, text: &str) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), head.to_owned());
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let word: String = word.chars().take(WIDTH - TEXT_COLUMN).collect();
        let length = line.chars().count();
        if !is_empty && length + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, " ".repeat(TEXT_COLUMN)));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(&word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_below_their_beginning() {
        let text = format!("{} {} end", "word ".repeat(30), "x".repeat(200));
        let lines = wrapped("00:01  HIGH    ", &text);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
        assert_eq!(lines.len(), 4);
        assert!(lines[1..].iter().all(|line| line.starts_with(&" ".repeat(TEXT_COLUMN))));
        assert_eq!(wrapped("00:01  >>      ", "short"), ["00:01  >>      short"]);
    }
}
