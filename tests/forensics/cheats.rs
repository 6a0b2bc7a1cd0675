//! Pools that cheat.
