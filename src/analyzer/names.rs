//! What the upstreams are called, by their numbers. More can be listed while the program runs.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// The upstreams' URLs, by their numbers. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct UpstreamNames(Arc<ArcSwap<Vec<String>>>);

impl UpstreamNames {
    /// From now on these. Nobody's number changes.
    pub fn set(&self, names: Vec<String>) {
        self.0.store(Arc::new(names));
    }

    /// As of now.
    pub(super) fn all(&self) -> Arc<Vec<String>> {
        self.0.load_full()
    }

    /// Empty for one that has no number, or that nobody has named.
    pub(super) fn name(&self, place: Option<usize>) -> String {
        place.and_then(|place| self.0.load().get(place).cloned()).unwrap_or_default()
    }
}

impl<T: ToString> FromIterator<T> for UpstreamNames {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> UpstreamNames {
        let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
        UpstreamNames(Arc::new(ArcSwap::from_pointee(names)))
    }
}
