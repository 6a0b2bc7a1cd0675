//! `internal.restarted`: a thread of the program has panicked.

use serde_json::json;

use super::AlertContext;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::util::supervise::Restart;

const RESTARTED: (&str, Severity) = ("internal.restarted", Severity::High);

/// Reports a thread that panicked and was restarted.
pub(in super::super) fn restarted(restart: &Restart, at: NtpTime, context: &mut AlertContext<'_>) {
    let Restart { thread, reason } = restart;
    context.report(RESTARTED, thread, at, || {
        let description = format!(
            "thread {thread} of sluice failed and was started again: {reason}. Forwarding went on; what this thread \
             was doing at that moment may be missing. This is a fault of sluice: please report it"
        );
        (description, json!({ "thread": thread, "reason": reason }))
    });
}
