//! Sluice: a Stratum V1 proxy that forwards every byte at once and, beside that path, watches
//! what the pool does with the miner's work.
//!
//! Dependencies point downwards: [`stratum`], [`work`] and [`net`] know nothing of the rest.
//!
//! | module | what it is |
//! |---|---|
//! | [`commands`] | one file a subcommand |
//! | [`app`] | the program: the only place that starts its parts and connects them |
//! | [`config`] | the file and the flags, validated |
//! | [`limits`] | who may connect, how often, and who is banned |
//! | [`passthrough`] | a miner's session with a pool connection of its own: dial, two pumps |
//! | [`serving`] | what every mode does around a session: accept, arrival, first bytes, the tap |
//! | [`upstream`] | which pool is taken next: order, health, warm connections, return |
//! | [`aggregate`] | many miners on one connection to the pool |
//! | [`analyzer`] | the consumer of the tap |
//! | [`clock`] | NTP time beside the system's clock |
//! | [`notify`] | messages about alerts |
//! | [`pool_stats`] | what the pool publishes, and whether it credits what was proven |
//! | [`mod@reference`] | other views of the chain, never mined on |
//! | [`record`] | what is written under `data_dir` |
//! | [`status`] | what is shown |
//! | [`net`] | sockets: listen, dial, SOCKS5, TLS, splice, options |
//! | [`stratum`] | the wire: lines and the protocol's quantities |
//! | [`work`] | Bitcoin: coinbase, merkle root, header, difficulty |
//! | [`verify`] | being a miner at a pool for a minute, to see what it is worth |
//! | [`sim`] | the simulated pool and miners behind `demo`, tests and benches |
//! | [`thread`], [`stop`], [`logging`] | named threads, shutdown as an ordinary error, the log |
//! | [`util`] | escaping of strangers' texts, plurals, errors of the system in words |

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

pub mod aggregate;
pub mod analyzer;
pub mod app;
pub mod clock;
pub mod commands;
pub mod config;
pub mod limits;
pub mod logging;
pub mod net;
pub mod notify;
mod nul_tail;
pub mod passthrough;
pub mod pool_stats;
pub mod record;
pub mod reference;
pub mod serving;
pub mod sim;
pub mod status;
pub mod stop;
pub mod stratum;
pub mod supervise;
pub mod thread;
pub mod upstream;
pub mod util;
pub mod verify;
pub mod work;
