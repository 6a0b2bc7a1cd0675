//! Helpers that every other module may use and that know none of them.
//!
//! | file | what it is |
//! |---|---|
//! | [`address`] | addresses of peers in one form |
//! | [`escape`] | strangers' texts as every output shows them |
//! | [`plural`] | counted nouns: "1 connection", "2 connections" |
//! | [`span`] | lengths of time |
//! | [`os_error`] | operating system errors in words for people |

pub mod address;
pub mod escape;
pub mod format;
pub mod logging;
pub(crate) mod nul_tail;
pub mod os_error;
pub mod plural;
pub(crate) mod shared_memory;
pub mod span;
pub mod stop;
pub mod supervise;
pub mod thread;
pub(crate) mod token_bucket;
