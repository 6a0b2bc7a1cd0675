//! The reports as one JSON array. Names are stable, times are RFC 3339, and unknown values are null.

mod jobs;

use std::time::Duration;

use serde::Serialize;

use self::jobs::JobsView;
use super::best_in_a_day;
use super::jobs::ObservedJobs;
use super::nerdminer_check::NerdMinerCheck;
use super::observations::{Authorized, ObservedReconnect, PoolRefusal};
use super::report::PoolReport;
use crate::analyzer::OutputView;
use crate::util::escape::to_json_pretty;

/// Renders the document with a final newline.
///
/// # Errors
/// The error of serde. There is no known cause of one.
pub fn document(reports: &[PoolReport]) -> serde_json::Result<String> {
    let documents: Vec<VerifyJson<'_>> = reports.iter().map(VerifyJson::of).collect();
    to_json_pretty(&documents).map(|text| text + "\n")
}

#[derive(Serialize)]
struct VerifyJson<'a> {
    pool: &'a str,
    address: &'a str,
    worker: String,
    verdict: &'static str,
    exit_code: u8,
    at: String,
    seconds: f64,
    ended: &'static str,
    findings: Vec<FindingView<'a>>,
    payout: PayoutView<'a>,
    chain: ChainView<'a>,
    timing: TimingView,
    difficulty: DifficultyView,
    authorize: AuthorizeView<'a>,
    nerdminer: Option<NerdminerView<'a>>,
    reconnect: Option<ReconnectView<'a>>,
    messages: &'a [String],
    jobs: JobsView,
}

#[derive(Serialize)]
struct FindingView<'a> {
    id: &'static str,
    weight: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct PayoutView<'a> {
    state: Option<&'static str>,
    percent: Option<f64>,
    paid_sats: Option<u64>,
    total_sats: Option<u64>,
    reward_sats: Option<u64>,
    wasted_sats: Option<u64>,
    min_percent: f64,
    job: Option<u64>,
    outputs: Vec<VerifyOutputJson<'a>>,
}

#[derive(Serialize)]
struct VerifyOutputJson<'a> {
    address: Option<&'a str>,
    kind: &'static str,
    sats: u64,
    percent: f64,
    is_expected: bool,
}

#[derive(Serialize)]
struct ChainView<'a> {
    state: Option<&'static str>,
    network: Option<&'static str>,
    height: Option<u32>,
    network_difficulty: Option<f64>,
    nbits: Option<String>,
    prevhash: Option<String>,
    prevhash_meets_target: Option<bool>,
    tag: Option<&'a str>,
}

#[derive(Serialize)]
struct TimingView {
    resolve_ms: Option<f64>,
    connect_ms: Option<f64>,
    socks5_ms: Option<f64>,
    tls_ms: Option<f64>,
    subscribe_ms: Option<f64>,
    authorize_ms: Option<f64>,
    first_job_ms: Option<f64>,
    first_job_after_authorize_ms: Option<f64>,
    job_interval_seconds: Option<f64>,
    longest_gap_seconds: Option<f64>,
    clock: &'static str,
    ntime_offset_seconds: Option<i64>,
}

#[derive(Serialize)]
struct DifficultyView {
    asked: Option<f64>,
    newest: Option<f64>,
    suggested: f64,
    suggestion: &'static str,
    extranonce1: Option<String>,
    extranonce2_size: Option<usize>,
    extranonce2_seconds_at_1_ths: Option<f64>,
    version_mask: Option<String>,
}

#[derive(Serialize)]
struct AuthorizeView<'a> {
    state: &'static str,
    code: Option<i64>,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct NerdminerView<'a> {
    fits: bool,
    obstacles: &'a [String],
    nuisances: &'a [String],
    coinbase_bytes: Option<usize>,
    longest_line_bytes: usize,
    memory_bytes: usize,
    seconds_per_share: Option<f64>,
    best_difficulty_per_day: f64,
}

#[derive(Serialize)]
struct ReconnectView<'a> {
    host: Option<&'a str>,
    port: Option<&'a str>,
    is_foreign: bool,
}

impl<'a> VerifyJson<'a> {
    fn of(report: &'a PoolReport) -> VerifyJson<'a> {
        let PoolReport { watched, settings, .. } = report;
        let found = &watched.found;
        VerifyJson {
            pool: &report.pool,
            address: &settings.expected.address,
            worker: settings.worker(),
            verdict: report.outcome.as_str(),
            exit_code: report.outcome.exit_code(),
            at: watched.began.to_string(),
            seconds: watched.lasted.as_secs_f64(),
            ended: watched.end.as_str(),
            findings: (report.findings.iter())
                .map(|finding| FindingView {
                    id: finding.id,
                    weight: finding.weight.as_str(),
                    text: &finding.text,
                })
                .collect(),
            payout: PayoutView::of(&found.jobs, settings.min_percent),
            chain: ChainView::of(&found.jobs),
            timing: TimingView::of(report),
            difficulty: DifficultyView::of(report),
            authorize: AuthorizeView::of(&found.authorized),
            nerdminer: report.nerdminer.as_ref().map(NerdminerView::of),
            reconnect: found.reconnect.as_ref().map(ReconnectView::of),
            messages: &found.messages,
            jobs: JobsView::of(&found.jobs),
        }
    }
}

impl<'a> PayoutView<'a> {
    fn of(jobs: &'a ObservedJobs, min_percent: f64) -> PayoutView<'a> {
        let telling = jobs.worst.as_ref();
        PayoutView {
            state: telling.map(|job| job.payout.state.as_str()),
            percent: telling.map(|job| job.payout.percent),
            paid_sats: telling.map(|job| job.paid.0),
            total_sats: telling.map(|job| job.payout.total.0),
            reward_sats: telling.map(|job| job.payout.reward.0),
            wasted_sats: telling.map(|job| job.payout.waste().map_or(0, |waste| waste.lost.0)),
            min_percent,
            job: jobs.shown().map(|job| job.number),
            outputs: jobs
                .shown()
                .map_or(&[][..], |job| &job.outputs)
                .iter()
                .map(VerifyOutputJson::of)
                .collect(),
        }
    }
}

impl<'a> VerifyOutputJson<'a> {
    fn of(output: &'a OutputView) -> VerifyOutputJson<'a> {
        VerifyOutputJson {
            address: output.address.as_deref(),
            kind: output.kind,
            sats: output.value.0,
            percent: output.percent,
            is_expected: output.is_expected,
        }
    }
}

impl<'a> ChainView<'a> {
    fn of(jobs: &'a ObservedJobs) -> ChainView<'a> {
        let newest = jobs.newest.as_ref();
        let worst = jobs.worst_chain.as_ref();
        ChainView {
            state: worst.map(|chain| chain.state.as_str()),
            network: worst.map(|chain| chain.network),
            height: newest.and_then(|job| job.height).map(|height| height.0),
            network_difficulty: newest.map(|job| job.chain.difficulty),
            nbits: newest.map(|job| job.nbits.to_string()),
            prevhash: newest.map(|job| job.parent.to_string()),
            prevhash_meets_target: newest.and_then(|job| job.parent_work.is_met()),
            tag: newest.and_then(|job| job.tag.as_ref()).map(|tag| tag.as_str()),
        }
    }
}

impl TimingView {
    fn of(report: &PoolReport) -> TimingView {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let watched = &report.watched;
        let (found, dial) = (&watched.found, watched.dial);
        let first = found.jobs.first().map(|job| job.at.since);
        TimingView {
            resolve_ms: dial.map(|dial| milliseconds(dial.resolve)),
            connect_ms: dial.map(|dial| milliseconds(dial.connect)),
            socks5_ms: dial.and_then(|dial| dial.socks5).map(milliseconds),
            tls_ms: dial.and_then(|dial| dial.tls).map(milliseconds),
            subscribe_ms: found.subscribed.as_ref().map(|subscribed| milliseconds(subscribed.took)),
            authorize_ms: found.authorize_took.map(milliseconds),
            first_job_ms: first.map(milliseconds),
            first_job_after_authorize_ms: (found.jobs.kept.iter().find(|job| job.is_named))
                .zip(found.authorize_sent)
                .map(|(job, sent)| milliseconds(job.at.since.saturating_sub(sent))),
            job_interval_seconds: found.jobs.interval().map(|time| time.as_secs_f64()),
            longest_gap_seconds: found.jobs.longest_gap.map(|time| time.as_secs_f64()),
            clock: if report.is_ntp { "ntp" } else { "system" },
            ntime_offset_seconds: found.jobs.worst_drift,
        }
    }
}

impl DifficultyView {
    fn of(report: &PoolReport) -> DifficultyView {
        let found = &report.watched.found;
        let extranonces = found.subscribed.as_ref().map(|subscribed| &subscribed.extranonces);
        DifficultyView {
            asked: found.difficulty.first.map(|difficulty| difficulty.value()),
            newest: found.difficulty.newest.map(|difficulty| difficulty.value()),
            suggested: super::SUGGESTED_DIFFICULTY,
            suggestion: found.difficulty.suggestion.as_str(),
            extranonce1: extranonces.map(|extranonces| extranonces.extranonce1.to_string()),
            extranonce2_size: extranonces.map(|extranonces| extranonces.extranonce2_size.bytes()),
            extranonce2_seconds_at_1_ths: report.extranonce_room(),
            version_mask: found.version_mask.map(|mask| mask.to_string()),
        }
    }
}

impl<'a> AuthorizeView<'a> {
    fn of(authorized: &'a Authorized) -> AuthorizeView<'a> {
        let view = |state| AuthorizeView { state, code: None, reason: None };
        match authorized {
            Authorized::Unanswered => view("unanswered"),
            Authorized::Accepted => view("accepted"),
            Authorized::Refused(PoolRefusal { code, reason }) => {
                AuthorizeView { code: *code, reason: reason.as_deref(), ..view("refused") }
            }
        }
    }
}

impl<'a> NerdminerView<'a> {
    fn of(nerdminer: &'a NerdMinerCheck) -> NerdminerView<'a> {
        NerdminerView {
            fits: nerdminer.is_fit(),
            obstacles: &nerdminer.obstacles,
            nuisances: &nerdminer.nuisances,
            coinbase_bytes: nerdminer.coinbase_bytes,
            longest_line_bytes: nerdminer.longest_line,
            memory_bytes: nerdminer.largest_memory,
            seconds_per_share: nerdminer.share_time,
            best_difficulty_per_day: best_in_a_day(),
        }
    }
}

impl<'a> ReconnectView<'a> {
    fn of(reconnect: &'a ObservedReconnect) -> ReconnectView<'a> {
        ReconnectView {
            host: reconnect.host.as_deref(),
            port: reconnect.port.as_deref(),
            is_foreign: reconnect.is_foreign,
        }
    }
}
