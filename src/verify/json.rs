//! The reports as one JSON array. Names are stable, times are RFC 3339, and unknown values are null.

#![allow(non_camel_case_types, reason = "the type parameters of `object!` are named as the fields are")]

use std::time::Duration;

use serde::Serialize;

use super::best_in_a_day;
use super::job::ObservedJob;
use super::jobs::ObservedJobs;
use super::nerdminer_check::NerdMinerCheck;
use super::observations::{Authorized, PoolRefusal};
use super::report::PoolReport;
use crate::stratum::Reconnect;
use crate::util::escape::to_json_pretty;

/// Makes a value that serializes as an object with these fields, in this order.
macro_rules! object {
    ($($field:ident: $value:expr),* $(,)?) => {{
        // The type of each field is a parameter with the field's name.
        #[derive(Serialize)]
        struct JsonObject<$($field),*> {
            $($field: $field),*
        }
        JsonObject { $($field: $value),* }
    }};
}

/// Renders the document with a final newline.
///
/// # Errors
/// The error of serde. There is no known cause of one.
pub fn document(reports: &[PoolReport]) -> serde_json::Result<String> {
    let documents: Vec<_> = reports.iter().map(report_json).collect();
    to_json_pretty(&documents).map(|text| text + "\n")
}

fn report_json(report: &PoolReport) -> impl Serialize {
    let PoolReport { watched, settings, .. } = report;
    let observations = &watched.observations;
    let findings = report
        .findings
        .iter()
        .map(|finding| object! { id: finding.id, weight: finding.weight, text: &finding.text });
    let reconnect = observations.reconnect.as_ref().map(|reconnect| {
        let Reconnect { host, port, .. } = &reconnect.target;
        let host = Some(host).filter(|host| !host.is_empty());
        object! { host: host, port: port, is_foreign: reconnect.is_foreign }
    });
    object! {
        pool: &report.pool,
        address: &settings.expected.address,
        worker: settings.worker(),
        verdict: report.outcome,
        exit_code: report.outcome.exit_code(),
        at: watched.began.to_string(),
        seconds: watched.lasted.as_secs_f64(),
        ended: watched.end.as_str(),
        findings: findings.collect::<Vec<_>>(),
        payout: payout(&observations.jobs, settings.min_percent),
        chain: chain(&observations.jobs),
        timing: timing(report),
        difficulty: difficulty(report),
        authorize: authorize(&observations.authorized),
        nerdminer: report.nerdminer.as_ref().map(nerdminer),
        reconnect: reconnect,
        messages: &observations.messages,
        jobs: jobs(&observations.jobs),
    }
}

fn payout(jobs: &ObservedJobs, min_percent: f64) -> impl Serialize {
    let telling = jobs.worst.as_ref();
    let outputs = jobs.shown().map_or(&[][..], |job| &job.outputs).iter().map(|output| {
        object! {
            address: &output.address,
            kind: output.kind,
            sats: output.value.0,
            percent: output.percent,
            is_expected: output.is_expected,
        }
    });
    object! {
        state: telling.map(|job| job.payout.state.as_str()),
        percent: telling.map(|job| job.payout.percent),
        paid_sats: telling.map(|job| job.paid.0),
        total_sats: telling.map(|job| job.payout.total.0),
        reward_sats: telling.map(|job| job.payout.reward.0),
        wasted_sats: telling.map(|job| job.payout.waste().map_or(0, |waste| waste.lost.0)),
        min_percent: min_percent,
        job: jobs.shown().map(|job| job.number),
        outputs: outputs.collect::<Vec<_>>(),
    }
}

fn chain(jobs: &ObservedJobs) -> impl Serialize {
    let newest = jobs.newest.as_ref();
    let worst = jobs.worst_chain.as_ref();
    object! {
        state: worst.map(|chain| chain.state.as_str()),
        network: worst.map(|chain| chain.network),
        height: newest.and_then(|job| job.height).map(|height| height.0),
        network_difficulty: newest.map(|job| job.chain.difficulty),
        nbits: newest.map(|job| job.nbits.to_string()),
        prevhash: newest.map(|job| job.parent.to_string()),
        prevhash_meets_target: newest.and_then(|job| job.parent_meets_target),
        tag: newest.and_then(|job| job.tag.as_ref()).map(|tag| tag.as_str()),
    }
}

fn timing(report: &PoolReport) -> impl Serialize {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let watched = &report.watched;
    let (observations, dial) = (&watched.observations, watched.dial);
    let after_authorize =
        observations.jobs.kept.iter().find(|job| job.is_named).zip(observations.authorize_sent);
    object! {
        resolve_ms: dial.map(|dial| milliseconds(dial.resolve)),
        connect_ms: dial.map(|dial| milliseconds(dial.connect)),
        socks5_ms: dial.and_then(|dial| dial.socks5).map(milliseconds),
        tls_ms: dial.and_then(|dial| dial.tls).map(milliseconds),
        subscribe_ms: observations.subscribed.as_ref().map(|subscribed| milliseconds(subscribed.took)),
        authorize_ms: observations.authorize_took.map(milliseconds),
        first_job_ms: observations.jobs.first().map(|job| milliseconds(job.at.since)),
        first_job_after_authorize_ms:
            after_authorize.map(|(job, sent)| milliseconds(job.at.since.saturating_sub(sent))),
        job_interval_seconds: observations.jobs.interval().map(|time| time.as_secs_f64()),
        longest_gap_seconds: observations.jobs.longest_gap.map(|time| time.as_secs_f64()),
        clock: if report.is_ntp { "ntp" } else { "system" },
        ntime_offset_seconds: observations.jobs.worst_drift,
    }
}

fn difficulty(report: &PoolReport) -> impl Serialize {
    let observations = &report.watched.observations;
    let extranonces = observations.subscribed.as_ref().map(|subscribed| &subscribed.extranonces);
    object! {
        asked: observations.difficulty.first.map(|difficulty| difficulty.value()),
        newest: observations.difficulty.newest.map(|difficulty| difficulty.value()),
        suggested: super::SUGGESTED_DIFFICULTY,
        suggestion: observations.difficulty.suggestion,
        extranonce1: extranonces.map(|extranonces| extranonces.extranonce1.to_string()),
        extranonce2_size: extranonces.map(|extranonces| extranonces.extranonce2_size.bytes()),
        extranonce2_seconds_at_1_ths: report.extranonce_room(),
        version_mask: observations.version_mask.map(|mask| mask.to_string()),
    }
}

fn authorize(authorized: &Authorized) -> impl Serialize {
    let (state, PoolRefusal { code, reason }) = match authorized {
        Authorized::Unanswered => ("unanswered", PoolRefusal::default()),
        Authorized::Accepted => ("accepted", PoolRefusal::default()),
        Authorized::Refused(refusal) => ("refused", refusal.clone()),
    };
    object! { state: state, code: code, reason: reason }
}

fn nerdminer(nerdminer: &NerdMinerCheck) -> impl Serialize {
    object! {
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

fn jobs(jobs: &ObservedJobs) -> impl Serialize {
    object! {
        count: jobs.count,
        telling: jobs.telling,
        clean: jobs.clean,
        empty: jobs.empty,
        unreadable: jobs.unreadable,
        list: jobs.kept.iter().map(job).collect::<Vec<_>>(),
    }
}

fn job(job: &ObservedJob) -> impl Serialize {
    object! {
        number: job.number,
        at: job.at.clock.to_string(),
        seconds: job.at.since.as_secs_f64(),
        job_id: job.job_id.to_string(),
        clean: job.clean,
        after_authorize: job.is_named,
        payout: job.payout.state.as_str(),
        percent: job.payout.percent,
        chain: job.chain.state.as_str(),
        height: job.height.map(|height| height.0),
        prevhash: job.parent.to_string(),
        prevhash_meets_target: job.parent_meets_target,
        nbits: job.nbits.to_string(),
        ntime: job.ntime.0,
        ntime_offset_seconds: job.drift(),
        branches: job.branches,
        coinbase_bytes: job.coinbase_bytes,
    }
}
