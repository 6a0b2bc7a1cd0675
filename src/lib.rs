//! Sluice: a Stratum V1 proxy that forwards every byte at once and, beside that path, checks what the pool does with
//! the miners' work.
//!
//! Dependencies point downwards in this table; `docs/architecture.md` states the floors.
//!
//! | module | content |
//! |---|---|
//! | [`crate::cli`] | the command line, one file a subcommand |
//! | [`crate::app`] | the composition root: starts the program's parts and connects them |
//! | [`crate::status`] | the page, JSON, metrics and the console report |
//! | [`crate::verify`] | `sluice verify`: a miner at a pool for a minute, to check its work |
//! | [`crate::report`] | `sluice report`: what the records show, as text, JSON or a page |
//! | [`crate::proxy`] | code for both modes: listener, handshake, time-outs, sessions |
//! | [`crate::proxy::passthrough`] | a pool connection for each miner: connect, two pumps, failover |
//! | [`crate::proxy::aggregate`] | many miners on one pool connection |
//! | [`crate::analyzer`] | analysis of the copied bytes: shares, rules, alerts |
//! | [`crate::notify`] | messages about alerts |
//! | [`mod@crate::reference`] | pools and nodes that are watched and never mined on |
//! | [`crate::record`] | the files in `data_dir` |
//! | [`crate::devices`] | the miners' own interfaces: what each says of itself |
//! | [`crate::pool_stats`] | the statistics that the pool publishes, compared with the miners' work |
//! | [`crate::upstream`] | the list of pools: order, health, probes, spare connections |
//! | [`crate::clock`] | NTP time beside the system's clock |
//! | [`crate::sim`] | simulated pool and miners for `demo`, tests and benchmarks |
//! | [`crate::tap`] | the events that forwarding sends to the analyzer |
//! | [`crate::config`] | the file, environment and flags, validated |
//! | [`crate::work`] | Bitcoin: coinbase, merkle root, header, difficulty |
//! | [`crate::net`] | sockets: listen, connect, SOCKS5, TLS, splice, options |
//! | [`crate::stratum`] | the wire: lines, messages and their quantities |
//! | [`crate::limits`] | allow list, connection limits, bans |
//! | [`crate::util`] | threads, shutdown, the log, escaping, formats |

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
    reason = "the documentation is for the program's developers and links to private items"
)]

pub mod analyzer;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod devices;
pub mod limits;
pub mod net;
pub mod notify;
pub mod pool_stats;
pub mod proxy;
pub mod record;
pub mod reference;
pub mod report;
pub mod sim;
pub mod status;
pub mod stratum;
pub mod tap;
pub mod upstream;
pub mod util;
pub mod verify;
pub mod work;
