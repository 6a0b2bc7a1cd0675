//! Access control: the allow list, connection limits and bans. Callers pass the time, so nothing here
//! sleeps. Every table is bounded: a hostile peer can cause evictions, but no growth.

mod connections;
mod log_limiter;
mod minute;
mod networks;
mod source;

pub use connections::{
    Abuse, Admission, AdmissionError, ConnectionCounts, Gatekeeper, MAX_SOURCES, POOL_FAILURE_GRACE,
    RateLimitConfig,
};
pub use log_limiter::LogLimiter;
pub use networks::{AddressBlock, AllowList, BlockError};
pub use source::AddressKey;
