//! `sluice verify`: the real program against simulated pools in this process, whose chain is
//! plausible for mainnet.

mod hostile;
mod library;
mod output;
mod pools;
mod tls;

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice::sim::{PoolOptions, SimPool};
use sluice::stratum::{Difficulty, Nbits};

/// BIP173's example; nobody mines for it.
const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
/// The genesis block's.
const STRANGER: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

/// Each pool invents other transactions.
static SEED: AtomicU64 = AtomicU64::new(1000);

/// A pool on mainnet that sends jobs quickly.
fn options() -> PoolOptions {
    PoolOptions {
        nbits: Nbits(0x1702_3a04),
        difficulty: Difficulty::new(1000.0).unwrap(),
        refresh_interval: Some(Duration::from_millis(300)),
        seed: SEED.fetch_add(1, Ordering::Relaxed),
        ..PoolOptions::default()
    }
}

fn pool(options: PoolOptions) -> SimPool {
    SimPool::start(options).unwrap()
}

fn url(pool: &SimPool) -> String {
    format!("stratum+tcp://{}", pool.addr())
}

/// The program's exit code and output.
struct VerifyOutput {
    code: Option<i32>,
    out: String,
    err: String,
}

impl VerifyOutput {
    /// Fails unless the exit code is this one.
    fn expect(self, code: i32) -> VerifyOutput {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    fn has(self, text: &str) -> VerifyOutput {
        assert!(self.out.contains(text), "no {text:?} in:\n{}\n{}", self.out, self.err);
        self
    }

    fn has_not(self, text: &str) -> VerifyOutput {
        assert!(!self.out.contains(text), "{text:?} in:\n{}", self.out);
        self
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.arg("verify").args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> VerifyOutput {
    let output = command(args).output().unwrap();
    VerifyOutput {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// As long as the second job takes.
fn verify(url: &str) -> VerifyOutput {
    run(&[url, "--address", ADDRESS])
}

/// For so many seconds at most.
fn watch(url: &str, seconds: u64) -> VerifyOutput {
    run(&[url, "--address", ADDRESS, "--seconds", &seconds.to_string()])
}
