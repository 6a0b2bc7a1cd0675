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
pub fn metrics(status: &StatusSnapshot) -> String {
    let mut document = MetricsText::default();
    process::write(&mut document, status);
    shares::write(&mut document, status);
    pools::write(&mut document, status);
    references::write(&mut document, status);
    workers::write(&mut document, status);
    document.finish()
}
