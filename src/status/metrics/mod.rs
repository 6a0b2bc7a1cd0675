//! `/metrics` for Prometheus. Names, labels and meanings: `docs/api.md`.
//!
//! Base units: seconds, bytes, hashes per second, ratios of one. An unknown value has no sample, so
//! that no chart shows it as zero.

mod devices;
mod pools;
mod process;
mod shares;
mod text;
mod workers;

use super::snapshot::StatusSnapshot;
use crate::reference::ReferenceView;
use text::{MetricsText, label};

/// Renders the document in the text format 0.0.4.
pub fn metrics(status: &StatusSnapshot) -> String {
    let mut document = MetricsText::default();
    process::write(&mut document, status);
    shares::write(&mut document, status);
    pools::write(&mut document, status);
    references(&mut document, status);
    workers::write(&mut document, status);
    devices::write(&mut document, status);
    document.finish()
}

/// Writes each reference. The label `reference` is its number, since the same one can be configured twice.
fn references(to: &mut MetricsText, status: &StatusSnapshot) {
    let mut gauge = |name, help, of: &dyn Fn(&ReferenceView) -> Option<f64>| {
        let mut family = to.gauges(name, help);
        for (place, view) in status.runtime.references.iter().enumerate() {
            let labels = [("reference", &*(place + 1).to_string()), ("name", &label(&view.name))];
            family.sample(&labels, of(view));
        }
    };
    gauge("sluice_reference_connected", "1 while the reference is connected.", &|view| {
        Some(f64::from(u8::from(view.is_connected)))
    });
    gauge("sluice_reference_height", "Height of the block that the reference works on.", &|view| {
        view.tip.as_ref().map(|tip| f64::from(tip.height.0))
    });
}
