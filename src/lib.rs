//! Sluice: a Stratum V1 proxy that forwards every byte at once and, beside that path, watches
//! what the pool does with the miner's work.
//!
//! Dependencies point downwards: [`crate::stratum`], [`crate::work`] and [`crate::net`] know nothing of the rest.
//!
//! | module | what it is |
//! |---|---|
//! | [`crate::cli`] | one file a subcommand |
//! | [`crate::app`] | the program: the only place that starts its parts and connects them |
//! | [`crate::config`] | the file and the flags, validated |
//! | [`crate::limits`] | who may connect, how often, and who is banned |
//! | [`crate::proxy::passthrough`] | a miner's session with a pool connection of its own: dial, two pumps |
//! | [`crate::proxy`] | what every mode does around a session: accept, arrival, first bytes, the tap |
//! | [`crate::upstream`] | which pool is taken next: order, health, warm connections, return |
//! | [`crate::proxy::aggregate`] | many miners on one connection to the pool |
//! | [`crate::analyzer`] | the consumer of the tap |
//! | [`crate::clock`] | NTP time beside the system's clock |
//! | [`crate::notify`] | messages about alerts |
//! | [`crate::pool_stats`] | what the pool publishes, and whether it credits what was proven |
//! | [`mod@crate::reference`] | other views of the chain, never mined on |
//! | [`crate::record`] | what is written under `data_dir` |
//! | [`crate::status`] | what is shown |
//! | [`crate::net`] | sockets: listen, dial, SOCKS5, TLS, splice, options |
//! | [`crate::stratum`] | the wire: lines and the protocol's quantities |
//! | [`crate::work`] | Bitcoin: coinbase, merkle root, header, difficulty |
//! | [`crate::verify`] | being a miner at a pool for a minute, to see what it is worth |
//! | [`crate::sim`] | the simulated pool and miners behind `demo`, tests and benches |
//! | [`crate::util::thread`], [`crate::util::stop`], [`crate::util::logging`] | named threads, shutdown as an ordinary error, the log |
//! | [`crate::util`] | escaping of strangers' texts, plurals, errors of the system in words |

#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::unreachable,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]
#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the documentation is for whoever changes the program, and leads to its private parts"
)]

pub mod analyzer;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod limits;
pub mod net;
pub mod notify;
pub mod pool_stats;
pub mod proxy;
pub mod record;
pub mod reference;
pub mod sim;
pub mod status;
pub mod stratum;
pub mod tap;
pub mod upstream;
pub mod util;
pub mod verify;
pub mod work;
