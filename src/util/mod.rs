//! Helpers that every other module may use.

pub mod address;
pub mod escape;
pub(crate) mod files;
pub mod format;
pub mod logging;
pub(crate) mod memory_budget;
pub mod os_error;
pub mod plural;
pub mod span;
pub mod stop;
pub mod supervise;
pub mod thread;
pub(crate) mod token_bucket;
