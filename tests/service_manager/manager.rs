//! A service manager's side of the notification socket, and the world that the program serves.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{upstream, wait_for};
use sluice::sim::{MinerModel, MinerOptions, OpeningOrder, PoolOptions, SimHashRate, SimMiner, SimPool};
use sluice::stratum::{Difficulty, Nbits};

pub const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// Receives what the program reports.
pub struct Manager {
    directory: tempfile::TempDir,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    pub fn start() -> Manager {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        let messages = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::downgrade(&messages);
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        std::thread::spawn(move || {
            let mut message = [0; 4096];
            while let Some(received) = received.upgrade() {
                if let Ok(length) = socket.recv(&mut message) {
                    let text = String::from_utf8(message[..length].to_vec()).unwrap();
                    received.lock().unwrap().push(text);
                }
            }
        });
        Manager { directory, messages }
    }

    /// The program, which reports to this service manager. Gets its arguments from the caller.
    pub fn command(&self, env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.env("NOTIFY_SOCKET", self.directory.path().join("notify")).envs(env.iter().copied());
        command
    }

    /// Everything so far.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    pub fn count(&self, message: &str) -> usize {
        self.messages().iter().filter(|received| *received == message).count()
    }

    pub fn wait(&self, message: &str) {
        self.wait_for(message, |received| received == message);
    }

    pub fn wait_for(&self, what: &str, is_it: impl Fn(&str) -> bool) {
        wait_for(what, || self.messages().iter().any(|received| is_it(received)));
    }
}

/// A configuration for this pool, with a page.
pub fn config(pool: SocketAddr) -> String {
    format!(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [payout]\naddress = \"{ADDRESS}\"\n{}",
        upstream(pool)
    )
}

/// A pool whose shares are cheap, so that fifty miners need no processor of their own.
pub fn pool() -> SimPool {
    let (nbits, opening) = (Nbits(0x1702_3a04), OpeningOrder::PublicPool);
    let difficulty = Difficulty::new(0.000_000_1).unwrap();
    SimPool::start(PoolOptions { nbits, opening, difficulty, ..PoolOptions::default() }).unwrap()
}

/// A miner that finds about two shares a second, and connects again at once.
pub fn mine(address: SocketAddr, name: &str) -> SimMiner {
    let options = MinerOptions::new(address, MinerModel::Bitaxe, format!("{ADDRESS}.{name}"));
    SimMiner::start(MinerOptions {
        hash_rate_limit: Some(SimHashRate(1_000.0)),
        retry_wait: Some(Duration::from_millis(20)),
        ..options
    })
    .unwrap()
}
