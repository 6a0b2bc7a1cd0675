//! The pool side of aggregate mode: one connection to a pool, which many miners share.

pub(crate) mod avoided;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod disconnects;
pub(crate) mod forwarded;
pub(crate) mod live_jobs;
pub(crate) mod manager;
pub(crate) mod names;
pub(crate) mod no_configure;
pub(crate) mod pending;
pub(crate) mod reader;
pub(crate) mod state;
