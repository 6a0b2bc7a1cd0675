//! `record.failing`: is what happens here still written down?

use std::collections::BTreeSet;

use serde_json::json;

use super::Tongue;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::Health;

const FAILING: (&str, Severity) = ("record.failing", Severity::Medium);

/// The subject of rows that came faster than a working disk took them.
const TOO_SLOW: &str = "the disk";

#[derive(Debug, Default)]
pub(super) struct Recording {
    /// Files that could not be written when last looked at.
    failing: BTreeSet<String>,
    /// Rows that had found no room when last looked at.
    dropped: u64,
}

impl Recording {
    /// Looks at how the recording goes. The files are a handful, so their number needs no bound.
    pub(super) fn tick(&mut self, health: &Health, now: NtpTime, tongue: &mut Tongue<'_>) {
        let mut failing = BTreeSet::new();
        for trouble in &health.troubles {
            let subject = trouble.file.display().to_string();
            tongue.persists(FAILING, &subject, now, || {
                let description = format!(
                    "{subject} can't be written: {}; rows wait in memory (256 KiB for each file) and are lost when \
                     that is full, while forwarding goes on; make room, or see what is wrong with the disk",
                    trouble.error
                );
                let evidence = json!({
                    "error": trouble.error,
                    "since": trouble.since.to_string(),
                    "lost_rows": health.lost,
                    "dropped_rows": health.dropped,
                });
                (description, evidence)
            });
            failing.insert(subject);
        }
        for subject in self.failing.difference(&failing) {
            tongue.ends(FAILING.0, subject, now);
        }
        self.failing = failing;
        let dropped = health.dropped.saturating_sub(self.dropped);
        self.dropped = health.dropped;
        if dropped > 0 {
            tongue.persists(FAILING, TOO_SLOW, now, || {
                let description = String::from(
                    "rows of the records are dropped, because the disk is too slow for them; use a faster disk, or \
                     switch off record.timing or record.geek",
                );
                (description, json!({ "lost_rows": health.lost, "dropped_rows": health.dropped }))
            });
        } else if tongue.is_open(FAILING.0) {
            tongue.ends(FAILING.0, TOO_SLOW, now);
        }
    }
}
