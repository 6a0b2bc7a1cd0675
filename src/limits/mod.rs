//! Who may connect, how often, and who is banned. Everything here is told the time, so nothing
//! here sleeps, and every table is bounded: a hostile peer can make it forget, never grow.

mod connections;
mod minute;
mod networks;
mod quiet;
mod source;

pub use connections::{
    Abuse, Admission, AdmissionError, ConnectionCounts, Gatekeeper, MAX_SOURCES, POOL_FAILURE_GRACE,
};
pub use networks::{AddressBlock, AllowList, BlockError};
pub use quiet::LogLimiter;
pub use source::AddressKey;
