//! `internal.restarted`: a thread of the program has panicked and was started again.

use serde_json::json;

use super::{AlertContext, AlertType};
use crate::config::Severity;
use crate::util::supervise::Restart;

const RESTARTED: AlertType = ("internal.restarted", Severity::High);

/// Reports a thread that panicked and was restarted.
pub(in super::super) fn restarted(restart: &Restart, context: &mut AlertContext<'_>) {
    let Restart { thread, reason } = restart;
    context.report(RESTARTED, thread, || {
        let description = format!(
            "thread {thread} of sluice failed and was started again: {reason}. Forwarding went on; what this thread \
             was doing at that moment may be missing. This is a fault of sluice: please report it"
        );
        (description, json!({ "thread": thread, "reason": reason }))
    });
}

#[cfg(test)]
mod tests {
    use super::super::{test_clock, test_time};
    use super::*;
    use crate::analyzer::alerts::AlertBook;
    use crate::record::AlertKind;

    #[test]
    fn the_alert_names_the_thread_and_the_reason() {
        let mut alerts = AlertBook::new(&[]);
        let restart = Restart { thread: "clock".into(), reason: "index out of bounds".into() };
        let report = |context: &mut AlertContext<'_>| restarted(&restart, context);
        let rows = AlertContext::for_tests(&mut alerts, &test_clock(), test_time(0), report);
        assert_eq!((rows.len(), rows[0].kind), (1, AlertKind::Happened));
        assert_eq!((rows[0].data["thread"].as_str(), rows[0].severity), (Some("clock"), Severity::High));
        assert!(rows[0].description.contains("index out of bounds"));
    }
}
