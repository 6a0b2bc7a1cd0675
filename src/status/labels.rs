//! Stable words for machines.

use crate::config::{PayoutKind, Severity};
use crate::upstream::Standing;

pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
    }
}

pub(super) fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Untried => "untried",
        Standing::Up => "up",
        Standing::Failed => "failed",
        Standing::Blocked => "blocked",
    }
}

pub(super) fn payout_kind(kind: PayoutKind) -> &'static str {
    match kind {
        PayoutKind::Solo => "solo",
        PayoutKind::Pooled => "pooled",
    }
}
