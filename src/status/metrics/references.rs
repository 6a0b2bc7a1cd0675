//! Metrics of each reference. The label `reference` is its number, since the same one can be
//! configured twice.

use super::text::{MetricKind, MetricsText, label};
use crate::reference::ReferenceView;
use crate::status::snapshot::StatusSnapshot;

pub(super) fn write(to: &mut MetricsText, status: &StatusSnapshot) {
    let mut gauge = |name, help, of: &dyn Fn(&ReferenceView) -> Option<f64>| {
        let mut family = to.family(name, MetricKind::Gauge, help);
        for (place, view) in status.runtime.references.iter().enumerate() {
            if let Some(value) = of(view) {
                family
                    .sample(&[("reference", &(place + 1).to_string()), ("name", &label(&view.name))], value);
            }
        }
    };
    gauge("sluice_reference_connected", "1 while the reference is connected.", &|view| {
        Some(f64::from(u8::from(view.is_connected)))
    });
    gauge("sluice_reference_height", "Height of the block that the reference works on.", &|view| {
        view.tip.as_ref().map(|tip| f64::from(tip.height.0))
    });
}
