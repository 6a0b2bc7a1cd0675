//! Helpers that every other module may use.
//!
//! | file | content |
//! |---|---|
//! | [`address`] | IPv4-mapped peer addresses as IPv4 |
//! | [`backoff`] | growing pauses between retries |
//! | [`budget`], [`token_bucket`] | limits on amounts and on rates |
//! | [`escape`] | escaping of peers' texts for every output |
//! | [`files`] | files that a power cut has damaged, or that were replaced |
//! | [`mod@format`] | numbers, counted nouns ("1 connection") and durations for people |
//! | [`journal`] | priorities for the journal, if it reads stderr |
//! | [`logging`] | the log, on stderr and in `sluice.log` |
//! | [`os_error`] | operating system errors in words |
//! | [`stop`] | shutdown as an ordinary error |
//! | [`supervise`], [`thread`] | service threads that are restarted; named threads |
//! | [`wrap`] | lines that fit a terminal |

pub mod address;
pub(crate) mod backoff;
pub(crate) mod budget;
pub mod escape;
pub(crate) mod files;
pub mod format;
pub mod journal;
pub mod logging;
pub mod os_error;
pub mod stop;
pub mod supervise;
pub mod thread;
pub(crate) mod token_bucket;
pub mod wrap;
