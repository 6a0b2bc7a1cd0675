//! Days of honest pools, on which nothing may alert, and pools that cheat, each of which must be
//! found out. Time is virtual: a day passes in a second. The shares are real by their hashes.

use crate::common::random;

mod blocks;
mod books;
mod cheats;
mod documented;
mod floods;
mod honest;
mod pool;
mod references;
mod seen;
mod service;
mod shared;
mod shares;
mod unread;
mod workless;
mod world;
