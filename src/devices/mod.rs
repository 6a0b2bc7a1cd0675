//! Readings of the miners' own interfaces: hash rate, temperature and power as the device itself reports them.
//!
//! Only a device is asked that has a connection to Sluice, alone from a private address, with a user agent that is
//! known to have an interface. A reading is one request without a login, at most 3 s long and 64 KiB large. A device
//! that was read and has left is asked for a day more, as long as its hardware address stays the same: otherwise
//! nobody could say that it mines elsewhere.

mod axeos;
mod cgminer;
mod fields;
mod http;
mod interface;
mod nmminer;
mod reader;
mod reading;
mod restart;
mod roster;

pub use interface::{DeviceInterface, DevicePorts};
pub use reader::start_reading;
pub use reading::{DeviceReading, DeviceReport};
pub use roster::{DeviceConnection, MAX_DEVICES};
