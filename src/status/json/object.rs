//! JSON objects whose keys keep their order.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A JSON object, as the macro `object!` makes it.
pub(super) struct Object<F>(pub(super) F);

/// Keys with their values. Nothing is copied into a map: the values keep their types until they are written.
pub(super) trait Fields {
    fn write<M: SerializeMap>(&self, to: &mut M) -> Result<(), M::Error>;
}

impl<F: Fields> Object<F> {
    /// Appends the keys of another object.
    pub(super) fn and<G: Fields>(self, more: Object<G>) -> Object<(F, G)> {
        Object((self.0, more.0))
    }
}

impl<F: Fields> Serialize for Object<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        self.0.write(&mut map)?;
        map.end()
    }
}

impl Fields for () {
    fn write<M: SerializeMap>(&self, _: &mut M) -> Result<(), M::Error> {
        Ok(())
    }
}

impl<V: Serialize, F: Fields> Fields for (&'static str, V, F) {
    fn write<M: SerializeMap>(&self, to: &mut M) -> Result<(), M::Error> {
        let (key, value, rest) = self;
        to.serialize_entry(key, value)?;
        rest.write(to)
    }
}

impl<F: Fields, G: Fields> Fields for (F, G) {
    fn write<M: SerializeMap>(&self, to: &mut M) -> Result<(), M::Error> {
        self.0.write(to)?;
        self.1.write(to)
    }
}
