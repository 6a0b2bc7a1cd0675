//! Days of honest pools, on which nothing may alert, and pools that cheat, each of which must be
//! found out. Time is virtual: a day passes in a second. The shares are real by their hashes.

#[path = "common/random.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod random;

#[path = "forensics/blocks.rs"]
mod blocks;
#[path = "forensics/books.rs"]
mod books;
#[path = "forensics/cheats.rs"]
mod cheats;
#[path = "forensics/documented.rs"]
mod documented;
#[path = "forensics/floods.rs"]
mod floods;
#[path = "forensics/honest.rs"]
mod honest;
#[path = "forensics/pool.rs"]
mod pool;
#[path = "forensics/references.rs"]
mod references;
#[path = "forensics/seen.rs"]
mod seen;
#[path = "forensics/shared.rs"]
mod shared;
#[path = "forensics/shares.rs"]
mod shares;
#[path = "forensics/unread.rs"]
mod unread;
#[path = "forensics/workless.rs"]
mod workless;
#[path = "forensics/world.rs"]
mod world;
