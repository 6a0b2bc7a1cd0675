//! The part of the records that a report is about.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::fields::UnixMs;
use crate::work::name_of_worker;

/// The times, the worker and the pool that a report is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportSelection {
    /// The first time that counts.
    pub since: Option<UnixMs>,
    /// The first time that counts no more.
    pub until: Option<UnixMs>,
    pub worker: Option<String>,
    pub upstream: Option<String>,
}

impl ReportSelection {
    pub(super) fn has_time(&self, at: UnixMs) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }

    /// A worker is selected by its whole name, or by the part behind the address.
    pub(super) fn has_worker(&self, worker: &str) -> bool {
        self.worker.as_deref().is_none_or(|wanted| worker == wanted || name_of_worker(worker) == wanted)
    }

    /// True if nothing is selected but a time.
    pub(super) fn has_everybody(&self) -> bool {
        self.worker.is_none() && self.upstream.is_none()
    }

    /// True unless the worker or the pool that something is about is another.
    pub(super) fn has_subjects(&self, worker: Option<&str>, upstream: Option<&str>) -> bool {
        worker.is_none_or(|worker| self.has_worker(worker))
            && upstream.is_none_or(|upstream| self.has_upstream(upstream))
    }

    /// A pool is selected by its name in the records, or by its host.
    pub(super) fn has_upstream(&self, upstream: &str) -> bool {
        self.upstream.as_deref().is_none_or(|wanted| {
            let plain = plain_pool(upstream);
            let host = plain.rsplit_once(':').map_or(plain, |(host, _)| host);
            [upstream, plain, host].contains(&wanted)
        })
    }
}

/// The host and port of a pool. `shares.csv` has the scheme as well, `events.jsonl` has not.
pub(super) fn plain_pool(upstream: &str) -> &str {
    upstream.split_once("://").map_or(upstream, |(_, rest)| rest)
}

/// Parses a time of the command line: RFC 3339, a date, or a time before `now` (`7d`, `12h`, `30m`).
///
/// # Errors
/// A sentence about the forms that it may have.
pub fn parse_report_time(text: &str, now: Timestamp) -> Result<UnixMs, &'static str> {
    const FORMS: &str = "it must be a time (2026-11-21T09:00:00Z), a date (2026-11-21, in UTC) or a time before now (7d, 12h, 30m)";
    if let Ok(date) = text.parse::<Date>() {
        if text.len() == 10 {
            return date
                .to_zoned(TimeZone::UTC)
                .map(|day| day.timestamp().as_millisecond())
                .map_err(|_| FORMS);
        }
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_millisecond());
    }
    let unit = text.chars().next_back().ok_or(FORMS)?;
    let hours = match unit {
        'd' => 24 * 60,
        'h' => 60,
        'm' => 1,
        _ => return Err(FORMS),
    };
    let number: u32 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| FORMS)?;
    let minutes = Span::new().try_minutes(i64::from(number) * hours).map_err(|_| FORMS)?;
    now.checked_sub(minutes).map(Timestamp::as_millisecond).map_err(|_| FORMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_forms() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let parse = |text| parse_report_time(text, now);
        assert_eq!(parse("7d"), Ok(at("2026-11-14T12:00:00Z")));
        assert_eq!(parse("90m"), Ok(at("2026-11-21T10:30:00Z")));
        assert_eq!(parse("2026-11-20"), Ok(at("2026-11-20T00:00:00Z")));
        assert_eq!(parse("2026-11-20T01:00:00+01:00"), Ok(at("2026-11-20T00:00:00Z")));
        for wrong in ["", "d", "7", "-7d", "7w", "yesterday", "2026-13-01", "99999999999d", "7é"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pool_is_known_by_its_host_and_a_worker_by_its_short_name() {
        let named = |worker: &str, upstream: &str| ReportSelection {
            worker: Some(worker.into()),
            upstream: Some(upstream.into()),
            ..ReportSelection::default()
        };
        let selection = named("rig", "pool.example");
        assert!(
            selection.has_upstream("stratum+tcp://pool.example:3333")
                && selection.has_upstream("pool.example:3333")
        );
        assert!(!selection.has_upstream("pool.example.org:3333"));
        assert!(
            selection.has_worker("rig")
                && selection.has_worker("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq.rig")
        );
        assert!(!selection.has_worker("rig2"));
        assert!(ReportSelection::default().has_worker("") && ReportSelection::default().has_time(0));
    }
}
