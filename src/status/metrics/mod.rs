//! `/metrics` for Prometheus. Names, labels and meanings: `docs/api.md`.
//!
//! Base units: seconds, bytes, hashes per second, ratios of one. An unknown value has no sample, so
//! that no chart shows it as zero.

mod pools;
mod process;
mod references;
mod shares;
mod text;
mod workers;

use super::snapshot::StatusSnapshot;
use text::MetricsText;

/// Renders the document in the text format 0.0.4.
pub fn metrics(sight: &StatusSnapshot) -> String {
    let mut document = MetricsText::default();
    process::write(&mut document, sight);
    shares::write(&mut document, sight);
    pools::write(&mut document, sight);
    references::write(&mut document, sight);
    workers::write(&mut document, sight);
    document.finish()
}
