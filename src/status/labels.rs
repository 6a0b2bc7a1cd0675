//! Stable words for machines, in JSON and metrics.

use crate::config::{PayoutKind, Severity};
use crate::upstream::PoolStatus;

pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
    }
}

pub(super) fn standing(standing: PoolStatus) -> &'static str {
    match standing {
        PoolStatus::Untried => "untried",
        PoolStatus::Up => "up",
        PoolStatus::Failed => "failed",
        PoolStatus::Blocked => "blocked",
    }
}

pub(super) fn payout_kind(kind: PayoutKind) -> &'static str {
    match kind {
        PayoutKind::Solo => "solo",
        PayoutKind::Pooled => "pooled",
    }
}
