//! Who may connect.

mod networks;

pub use networks::{AddressBlock, AllowList};
