//! Access control: the allow list, connection limits and bans. Callers pass the time, so nothing here
//! sleeps. Every table is bounded: a hostile peer can cause evictions, but no growth.

mod address_key;
mod gatekeeper;
mod log_limiter;
mod minute_counter;
mod networks;

pub use address_key::AddressKey;
pub use gatekeeper::{
    Abuse, Admission, AdmissionError, ConnectionCounts, Gatekeeper, MAX_SOURCES, POOL_FAILURE_GRACE,
    RateLimitConfig,
};
pub use log_limiter::{LogLimiter, SuppressedLines};
pub use networks::{AddressBlock, AllowList, BlockError};
