//! The paths and parsers of each kind of pool API.

use std::time::Duration;

use serde_json::Value;

use super::figures::{AnswerError, PoolFigures, PublishedHashRate};
use super::numbers::{count, difficulty, hash_rate, unix_time, with_unit};
use crate::clock::NtpTime;
use crate::config::PoolStatsKind;

/// The default URL of an API.
pub(super) fn usual_url(kind: PoolStatsKind) -> &'static str {
    match kind {
        PoolStatsKind::Ckpool => "https://solo.ckpool.org",
        PoolStatsKind::PublicPool => "https://public-pool.io:40557",
        PoolStatsKind::Ocean => "https://api.ocean.xyz/v1",
        PoolStatsKind::Braiins => "https://pool.braiins.com",
    }
}

/// The paths to request. `None` if an address is needed and missing.
pub(super) fn paths(kind: PoolStatsKind, address: Option<&str>) -> Option<Vec<String>> {
    Some(match kind {
        PoolStatsKind::Ckpool => vec![format!("/users/{}", address?)],
        PoolStatsKind::PublicPool => vec![format!("/api/client/{}", address?)],
        PoolStatsKind::Ocean => {
            vec![format!("/user_hashrate/{}", address?), format!("/statsnap/{}", address?)]
        }
        PoolStatsKind::Braiins => vec![String::from("/accounts/workers/json/btc/")],
    })
}

/// Parses the answers, in the order of the requests made at `at`.
///
/// # Errors
/// If they are not JSON objects, contain none of the expected figures, or an impossible value.
pub fn read(kind: PoolStatsKind, answers: &[Vec<u8>], at: NtpTime) -> Result<PoolFigures, AnswerError> {
    let mut documents = Vec::with_capacity(answers.len());
    for answer in answers {
        match serde_json::from_slice::<Value>(answer) {
            Ok(document @ Value::Object(_)) => documents.push(document),
            _ => return Err(AnswerError { what: String::from("the answer"), why: "is not a JSON object" }),
        }
    }
    let figures = match (kind, documents.as_slice()) {
        (PoolStatsKind::Ckpool, [document]) => read_ckpool(document, at)?,
        (PoolStatsKind::PublicPool, [document]) => read_public_pool(document, at)?,
        (PoolStatsKind::Ocean, [rates, snapshot]) => read_ocean(rates, snapshot, at)?,
        (PoolStatsKind::Braiins, [document]) => read_braiins(document, at)?,
        _ => return Err(AnswerError { what: String::from("an answer"), why: "is missing" }),
    };
    if figures == PoolFigures::empty(at) {
        return Err(AnswerError { what: String::from("the answer"), why: "holds no figures" });
    }
    Ok(figures)
}

/// Parses the answer of ckpool and its relatives (wire reference, section 6.1). Its hash rates are exponential
/// moving averages over these times. The one over an hour is preferred, as neither jittery nor slow.
fn read_ckpool(document: &Value, at: NtpTime) -> Result<PoolFigures, AnswerError> {
    let mut rate = None;
    for (field, seconds) in [("hashrate1hr", 3600), ("hashrate5m", 300), ("hashrate1d", 86_400)] {
        if rate.is_none() {
            let window = Some(Duration::from_secs(seconds));
            rate = hash_rate(document, field)?.map(|per_second| PublishedHashRate { per_second, window });
        }
    }
    let best_ever = difficulty(document, "bestever")?;
    Ok(PoolFigures {
        at,
        hash_rate: rate,
        accepted_difficulty_total: difficulty(document, "shares")?,
        last_share: unix_time(document, "lastshare", at.unix_seconds())?,
        workers: count(document, "workers")?,
        best: match best_ever {
            Some(best) => Some(best),
            None => difficulty(document, "bestshare")?,
        },
    })
}

/// Parses the answer of public-pool (wire reference, section 6.2), which has each session's hash rate over an unknown
/// time, and no sum of work.
fn read_public_pool(document: &Value, at: NtpTime) -> Result<PoolFigures, AnswerError> {
    let mut rate = None;
    for worker in document.get("workers").and_then(Value::as_array).into_iter().flatten() {
        if let Some(more) = hash_rate(worker, "hashRate")? {
            rate = Some(rate.unwrap_or(0.0) + more);
        }
    }
    Ok(PoolFigures {
        hash_rate: rate.map(|per_second| PublishedHashRate { per_second, window: None }),
        workers: count(document, "workersCount")?,
        best: difficulty(document, "bestDifficulty")?,
        ..PoolFigures::empty(at)
    })
}

/// Parses the answers of OCEAN (wire reference, section 6.3), in the order of [`paths`].
fn read_ocean(rates: &Value, snapshot: &Value, at: NtpTime) -> Result<PoolFigures, AnswerError> {
    let result = |document: &Value| document.get("result").cloned().unwrap_or_default();
    let (rates, snapshot) = (result(rates), result(snapshot));
    let window = Some(Duration::from_secs(3600));
    Ok(PoolFigures {
        hash_rate: hash_rate(&rates, "hashrate_3600s")?
            .map(|per_second| PublishedHashRate { per_second, window }),
        // The misspelling is theirs.
        last_share: unix_time(&snapshot, "lastest_share_ts", at.unix_seconds())?,
        workers: count(&rates, "active_worker_count")?,
        ..PoolFigures::empty(at)
    })
}

/// Parses the answer of Braiins (wire reference, section 6.4). The hash rate is the sum of the workers' rates of the
/// last hour, whose units are in separate fields.
fn read_braiins(document: &Value, at: NtpTime) -> Result<PoolFigures, AnswerError> {
    let workers = document.get("btc").and_then(|btc| btc.get("workers")).and_then(Value::as_object);
    let Some(workers) = workers else {
        return Err(AnswerError { what: String::from("btc.workers"), why: "is missing" });
    };
    let (mut total, mut last_share) = (0.0, None);
    for worker in workers.values() {
        let unit = worker.get("hash_rate_unit").and_then(Value::as_str).unwrap_or("Gh/s");
        let factor = with_unit(&format!("1{unit}"))
            .ok_or_else(|| AnswerError { what: String::from("hash_rate_unit"), why: "is not known" })?;
        total += hash_rate(worker, "hash_rate_60m")?.unwrap_or(0.0) * factor;
        last_share = last_share.max(unix_time(worker, "last_share", at.unix_seconds())?);
    }
    if total > 1e24 {
        return Err(AnswerError { what: String::from("hash_rate_60m"), why: "has a value that can't be" });
    }
    let is_on = |worker: &&Value| worker.get("state").and_then(Value::as_str) == Some("ok");
    Ok(PoolFigures {
        hash_rate: Some(PublishedHashRate { per_second: total, window: Some(Duration::from_secs(3600)) }),
        last_share,
        workers: Some(workers.values().filter(is_on).count() as u64),
        ..PoolFigures::empty(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> NtpTime {
        NtpTime::from_timestamp(jiff::Timestamp::from_second(1_790_000_000).unwrap())
    }

    fn read_texts(kind: PoolStatsKind, answers: &[&str]) -> Result<PoolFigures, AnswerError> {
        let answers: Vec<Vec<u8>> = answers.iter().map(|text| text.as_bytes().to_vec()).collect();
        read(kind, &answers, at())
    }

    fn hour(per_second: f64) -> Option<PublishedHashRate> {
        Some(PublishedHashRate { per_second, window: Some(Duration::from_secs(3600)) })
    }

    #[test]
    fn ckpools_users() {
        let figures = read_texts(
            PoolStatsKind::Ckpool,
            &[r#"{"hashrate1m": "1.5T", "hashrate5m": "1.4T", "hashrate1hr": "1.25T", "hashrate1d": "312G",
                "hashrate7d": "78.2K", "lastshare": 1789999990, "workers": 2, "shares": "123456789",
                "bestshare": 1234.5, "bestever": 99887766, "authorised": 1700000000, "worker": []}"#],
        )
        .unwrap();
        assert_eq!(figures.hash_rate, hour(1.25e12));
        assert_eq!(figures.accepted_difficulty_total, Some(123_456_789.0));
        assert_eq!((figures.last_share, figures.workers), (Some(1_789_999_990), Some(2)));
        assert_eq!(figures.best, Some(99_887_766.0));
        let old =
            read_texts(PoolStatsKind::Ckpool, &[r#"{"hashrate5m": "2M", "bestshare": "7.5"}"#]).unwrap();
        assert_eq!(old.hash_rate.unwrap().window, Some(Duration::from_secs(300)));
        assert_eq!(old.best, Some(7.5));
    }

    #[test]
    fn public_pools_client() {
        let text = r#"{"bestDifficulty": "123.45", "workersCount": 2, "workers": [
            {"sessionId": "a", "name": "x", "bestDifficulty": "1", "hashRate": 500000, "startTime": "2026-01-01"},
            {"sessionId": "b", "name": "y", "bestDifficulty": "1", "hashRate": "250000.5"}]}"#;
        let figures = read_texts(PoolStatsKind::PublicPool, &[text]).unwrap();
        assert_eq!(figures.hash_rate, Some(PublishedHashRate { per_second: 750_000.5, window: None }));
        assert_eq!((figures.best, figures.workers), (Some(123.45), Some(2)));
    }

    #[test]
    fn oceans_rates_and_snapshot() {
        let rates =
            r#"{"result": {"hashrate_60s": "1", "hashrate_3600s": "123456789.5", "active_worker_count": 3}}"#;
        let snapshot = r#"{"result": {"unpaid": "0.1", "lastest_share_ts": "1789999000"}}"#;
        let figures = read_texts(PoolStatsKind::Ocean, &[rates, snapshot]).unwrap();
        assert_eq!(figures.hash_rate, hour(123_456_789.5));
        assert_eq!((figures.last_share, figures.workers), (Some(1_789_999_000), Some(3)));
        assert!(read_texts(PoolStatsKind::Ocean, &[rates]).is_err());
    }

    #[test]
    fn braiins_workers_with_their_units() {
        let text = r#"{"btc": {"workers": {
            "me.a": {"last_share": 1789999000, "state": "ok", "hash_rate_unit": "Gh/s", "hash_rate_60m": 100.5},
            "me.b": {"last_share": 1789999900, "state": "off", "hash_rate_unit": "Th/s", "hash_rate_60m": "2"},
            "me.c": {"last_share": 0, "state": "ok", "hash_rate_60m": null}}}}"#;
        let figures = read_texts(PoolStatsKind::Braiins, &[text]).unwrap();
        assert_eq!(figures.hash_rate, hour(2_100.5e9));
        assert_eq!((figures.last_share, figures.workers), (Some(1_789_999_900), Some(2)));
    }

    #[test]
    fn invalid_answers_are_rejected() {
        for kind in [PoolStatsKind::Ckpool, PoolStatsKind::PublicPool, PoolStatsKind::Braiins] {
            for text in ["", "<html>", "[]", "{}", "null", "{\"error\": \"no such user\"}"] {
                assert!(read_texts(kind, &[text]).is_err(), "{kind:?} {text}");
            }
        }
        let error = read_texts(PoolStatsKind::Ckpool, &[r#"{"hashrate1hr": "1.0e30"}"#]).unwrap_err();
        assert_eq!(error.to_string(), "hashrate1hr has a value that can't be");
        let unit = r#"{"btc": {"workers": {"a": {"hash_rate_unit": "Furlong", "hash_rate_60m": 1}}}}"#;
        assert!(read_texts(PoolStatsKind::Braiins, &[unit]).is_err());
    }
}
