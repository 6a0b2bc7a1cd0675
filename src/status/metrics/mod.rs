//! `/metrics`: the same moment for Prometheus. Names, labels and what each means: `docs/api.md`.
//!
//! Base units: seconds, bytes, hashes per second, ratios of one. What is not known has no sample, so
//! that no chart shows a zero that is none.

mod pools;
mod process;
mod references;
mod shares;
mod text;
mod workers;

use super::snapshot::StatusSnapshot;
use text::MetricsText;

/// The document, in the text format 0.0.4.
pub fn metrics(sight: &StatusSnapshot) -> String {
    let mut document = MetricsText::default();
    process::write(&mut document, sight);
    shares::write(&mut document, sight);
    pools::write(&mut document, sight);
    references::write(&mut document, sight);
    workers::write(&mut document, sight);
    document.finish()
}
