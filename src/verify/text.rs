//! The report for people. Texts from the network are escaped.

use std::fmt;

use super::job::ObservedJob;
use super::judge::{VerifyOutcome, Weight};
use super::nerdminer_check::{MAX_COINBASE_BYTES, MAX_JSON_MEMORY, best_in_a_day};
use super::observations::{Authorized, Suggestion};
use super::phrases::{number, span};
use super::report::PoolReport;
use crate::analyzer::{ChainState, PayoutState};
use crate::util::escape::Printable;
use crate::util::format::{count, count_of, delay};

/// Caps the listed jobs.
const MAX_LISTED_JOBS: usize = 12;
/// Caps the listed outputs.
const MAX_LISTED_OUTPUTS: usize = 24;

/// The use of colours in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorMode {
    Plain,
    Colour,
}

#[derive(Debug)]
pub struct ReportText<'a> {
    pub report: &'a PoolReport,
    pub color: ColorMode,
}

impl ColorMode {
    /// The outcome as a word in its colour.
    pub(super) fn outcome(self, outcome: VerifyOutcome) -> String {
        let (word, colour) = match outcome {
            VerifyOutcome::Good => ("GOOD", 32),
            VerifyOutcome::Bad => ("BAD", 31),
            VerifyOutcome::Unknown => ("CAN'T TELL", 33),
        };
        match self {
            ColorMode::Plain => word.to_owned(),
            ColorMode::Colour => format!("\x1b[1;{colour}m{word}\x1b[0m"),
        }
    }
}

/// The note on a good outcome: the check proves nothing about other connections.
const CAVEAT: &str = "This was one connection. A pool can treat your miners differently: `sluice run` checks the work they get.";

impl fmt::Display for ReportText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report;
        writeln!(f, "{}", report.pool)?;
        writeln!(f, "{}: {}", self.color.outcome(report.outcome), headline(report))?;
        if report.watched.dial.is_none() {
            return Ok(());
        }
        self.payout(f)?;
        self.chain(f)?;
        self.timing(f)?;
        self.difficulty(f)?;
        self.nerdminer(f)?;
        self.jobs(f)?;
        self.remarks(f)
    }
}

/// The outcome's reason in one sentence.
fn headline(report: &PoolReport) -> String {
    let deciding = report.findings.iter().find(|finding| finding.weight >= Weight::Unknown);
    match (deciding, &report.watched.observations.jobs.worst) {
        (Some(finding), _) => finding.text.clone(),
        (None, Some(worst)) => format!(
            "a block would pay {} {:.2} % ({})",
            report.settings.expected.address, worst.payout.percent, worst.paid
        ),
        (None, None) => "nothing was received".to_owned(),
    }
}

impl ReportText<'_> {
    fn payout(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = &self.report.watched.observations.jobs;
        let Some(shown) = jobs.shown() else { return Ok(()) };
        let of = match jobs.count {
            0 | 1 => String::new(),
            count if jobs.all_pay() => format!(" (job {} of {count}; none pays you less)", shown.number),
            count => format!(" (job {} of {count})", shown.number),
        };
        writeln!(f, "\nWhom a block pays{of}")?;
        for output in shown.outputs.iter().take(MAX_LISTED_OUTPUTS) {
            let whom = output.address.as_deref().unwrap_or(output.kind);
            let mark = if output.is_expected { "  <- your address" } else { "" };
            writeln!(f, "  {:>6.2} %  {:>16}  {whom}{mark}", output.percent, output.value.to_string())?;
        }
        match shown.outputs.len() {
            0 => writeln!(f, "  no readable output"),
            length if length > MAX_LISTED_OUTPUTS => {
                writeln!(f, "  and {}", count((length - MAX_LISTED_OUTPUTS) as u64, "smaller one"))
            }
            _ => Ok(()),
        }
    }

    fn chain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = &self.report.watched.observations.jobs;
        let Some(newest) = &jobs.newest else { return Ok(()) };
        writeln!(f, "\nChain")?;
        let verdict = match newest.chain.state {
            ChainState::Plausible => "plausible for this network",
            ChainState::Unknown => "test networks have no minimum difficulty to compare with",
            ChainState::Wrong => "NOT this network's",
        };
        let height = newest.height.map_or("no height".to_owned(), |height| format!("height {height}"));
        row(f, "network", format_args!("{}, {height}", newest.chain.network))?;
        row(f, "difficulty", format_args!("{}: {verdict}", number(newest.chain.difficulty)))?;
        let work = match newest.parent_meets_target {
            Some(true) => "its hash meets the target",
            Some(false) => "its hash MISSES the target",
            None => "its own target is unknown",
        };
        row(f, "builds on", format_args!("{} ({work})", newest.parent))?;
        match &newest.tag {
            Some(tag) => row(f, "pool's tag", Printable(tag.as_str())),
            None => row(f, "pool's tag", "none"),
        }
    }

    fn timing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolReport { watched, is_ntp, .. } = self.report;
        let observations = &watched.observations;
        writeln!(f, "\nTiming")?;
        if let Some(dial) = &watched.dial {
            let steps = [("TCP", Some(dial.connect)), ("SOCKS5", dial.socks5), ("TLS", dial.tls)];
            let steps = steps.iter().filter_map(|(name, time)| Some(format!("{name} {}", delay((*time)?))));
            row(f, "connected in", steps.collect::<Vec<_>>().join(", "))?;
        }
        if let Some(subscribed) = &observations.subscribed {
            row(f, "subscribe", format_args!("answered after {}", delay(subscribed.took)))?;
        }
        let answer = match observations.authorized {
            Authorized::Unanswered => None,
            Authorized::Accepted => Some("accepted"),
            Authorized::Refused(_) => Some("refused"),
        };
        if let Some((answer, took)) = answer.zip(observations.authorize_took) {
            row(f, "authorize", format_args!("{answer} after {}", delay(took)))?;
        }
        let jobs = &observations.jobs;
        let Some(first) = jobs.first() else { return Ok(()) };
        let after = if first.is_named { "authorize" } else { "subscribe, before authorize" };
        let took = self.report.first_job().unwrap_or_default();
        row(f, "first job", format_args!("{} after {after}", delay(took)))?;
        let (count, lasted) = (jobs.count, delay(watched.lasted));
        let cadence = match jobs.interval() {
            Some(interval) => format!("{count} in {lasted}, one every {} on average", delay(interval)),
            None => format!("one in {lasted}"),
        };
        row(f, "jobs", format_args!("{cadence}; {} clean", jobs.clean))?;
        let clock = if *is_ntp { "NTP time" } else { "this machine's clock (--ntp asks time servers)" };
        let drift = match jobs.worst_drift.unwrap_or_default() {
            0 => format!("the same as {clock}"),
            ahead @ 1.. => format!("{} ahead of {clock}", whole_seconds(ahead)),
            behind => format!("{} behind {clock}", whole_seconds(behind)),
        };
        row(f, "job's time", drift)
    }

    fn difficulty(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let observations = &self.report.watched.observations;
        let Some(subscribed) = &observations.subscribed else { return Ok(()) };
        writeln!(f, "\nDifficulty and extranonces")?;
        let asked = &observations.difficulty;
        let first = asked.first.map_or("1 (never set)".to_owned(), |first| number(first.value()));
        row(f, "asked", first)?;
        let newest = asked.newest.map_or(1.0, |newest| newest.value());
        let suggestion = match asked.suggestion {
            Suggestion::Unmade => "not made".to_owned(),
            Suggestion::Ignored => "ignored".to_owned(),
            Suggestion::Refused => "refused".to_owned(),
            Suggestion::Lowered => format!("not followed, but lowered to {}", number(newest)),
            Suggestion::Followed => format!("followed: {}", number(newest)),
            Suggestion::Needless => "not needed, the pool already asks for less".to_owned(),
        };
        row(f, "suggested", format_args!("{} {suggestion}", super::SUGGESTED_DIFFICULTY))?;
        let extranonces = &subscribed.extranonces;
        let room = self.report.extranonce_room().map_or(String::new(), span);
        let extranonce1 = extranonces.extranonce1.to_string();
        row(f, "extranonce1", if extranonce1.is_empty() { "empty" } else { &extranonce1 })?;
        let size = count(extranonces.extranonce2_size.bytes() as u64, "byte");
        row(f, "extranonce2", format_args!("{size}: room for {room} at 1 TH/s"))?;
        match observations.version_mask {
            Some(mask) => row(f, "version bits", mask),
            None => row(f, "version bits", "no version rolling"),
        }
    }

    fn nerdminer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(nerdminer) = &self.report.nerdminer else { return Ok(()) };
        let fits = if nerdminer.is_fit() { "fits" } else { "does NOT fit" };
        writeln!(f, "\nFor a NerdMiner: {fits}")?;
        if let Some(bytes) = nerdminer.coinbase_bytes {
            row(f, "coinbase", format_args!("{bytes} of at most {MAX_COINBASE_BYTES} bytes"))?;
        }
        let (line, memory) = (nerdminer.longest_line, nerdminer.largest_memory);
        let line = format!("{line} bytes, about {memory} of {MAX_JSON_MEMORY} bytes of its memory");
        row(f, "longest line", line)?;
        if let Some(seconds) = nerdminer.share_time {
            let best = number(best_in_a_day());
            row(
                f,
                "a share",
                format_args!("every {} at 78 kH/s (in a day it reaches {best})", span(seconds)),
            )?;
        }
        for text in nerdminer.obstacles.iter().chain(&nerdminer.nuisances) {
            writeln!(f, "  - {text}")?;
        }
        Ok(())
    }

    fn jobs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = &self.report.watched.observations.jobs;
        if jobs.count == 0 {
            return Ok(());
        }
        writeln!(f, "\nJobs")?;
        for job in jobs.kept.iter().take(MAX_LISTED_JOBS) {
            write_job(f, job)?;
        }
        // The deciding job is always shown.
        let later = jobs.worst.as_ref().filter(|job| job.number > MAX_LISTED_JOBS as u64);
        if let Some(worst) = later.filter(|job| job.payout.state != PayoutState::Verified) {
            write_job(f, worst)?;
        }
        match jobs.count {
            count if count > MAX_LISTED_JOBS as u64 => writeln!(f, "  … {count} in all"),
            _ => Ok(()),
        }
    }

    fn remarks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headline_text = headline(self.report);
        let mut rest = self.report.findings.iter().filter(|finding| finding.text != headline_text).peekable();
        if rest.peek().is_some() {
            writeln!(f, "\nRemarks")?;
        }
        for finding in rest {
            let mark = if finding.weight >= Weight::Warning { "! " } else { "- " };
            writeln!(f, "  {mark}{}", finding.text)?;
        }
        if self.report.outcome == VerifyOutcome::Good {
            writeln!(f, "\n{CAVEAT}")?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, text: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<13} {text}")
}

fn write_job(f: &mut fmt::Formatter<'_>, job: &ObservedJob) -> fmt::Result {
    let height = job.height.map_or("no height".to_owned(), |height| format!("height {height}"));
    let pays = match (job.payout.state, job.is_named) {
        (PayoutState::Verified, _) => format!("pays {:.2} %", job.payout.percent),
        (_, false) => "before authorize".to_owned(),
        (PayoutState::Unverifiable(_), _) => "can't tell".to_owned(),
        (PayoutState::Short, _) => format!("pays ONLY {:.2} %", job.payout.percent),
        (PayoutState::Mismatch, _) => "pays NOTHING".to_owned(),
    };
    let clean = if job.clean { "clean" } else { "     " };
    let at = format!("{:.1} s", job.at.since.as_secs_f64());
    writeln!(f, "  {:>3}  {at:>8}  {clean}  {height}  {pays:<16}  {}", job.number, branches(job.branches))
}

fn branches(branches: usize) -> String {
    match branches {
        0 => "no transactions".to_owned(),
        some => count_of(some as u64, "branch", "branches"),
    }
}

fn whole_seconds(seconds: i64) -> String {
    match seconds.unsigned_abs() {
        short if short < 60 => format!("{short} s"),
        long => span(long as f64),
    }
}
