//! The toy server in a process of its own, whose end, threads and memory can be seen.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::common::resources::{self, Resources};
use crate::common::wait_for;
use crate::http::toy::Toy;

const WANTED: &str = "SLUICE_TEST_HTTP_SERVER";

/// Not a test: this program starts itself with only this one.
#[test]
#[ignore = "the server that other tests start"]
fn serves() {
    if std::env::var_os(WANTED).is_none() {
        return;
    }
    sluice::util::logging::start(None, "sluice::status::server=debug,error");
    let mut toy = Toy::start();
    eprintln!("address {}", toy.address());
    // Until the test lets go.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let begun = std::time::Instant::now();
    toy.server.take().unwrap().shut_down();
    eprintln!("ended after {} ms", begun.elapsed().as_millis());
}

/// Killed when dropped.
pub struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    log: Arc<Mutex<Vec<String>>>,
    /// The directory of its private socket.
    pub directory: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Server {
        Server::start_with("")
    }

    /// `prepare`: what the shell does before, such as `ulimit -n 40;`.
    pub fn start_with(prepare: &str) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("{prepare} exec \"$0\" --exact http::process::serves --ignored --nocapture"))
            .arg(std::env::current_exe().unwrap())
            .env(WANTED, "1")
            .env("TMPDIR", directory.path())
            .env_remove("RUNTIME_DIRECTORY")
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("RUST_LOG")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                written.lock().unwrap().push(line);
            }
        });
        let stdin = child.stdin.take();
        let server = Server { child, stdin, log, directory };
        wait_for("the server", || server.says("address "));
        server
    }

    pub fn address(&self) -> SocketAddr {
        let log = self.log.lock().unwrap();
        log.iter().find_map(|line| line.strip_prefix("address ")).unwrap().parse().unwrap()
    }

    pub fn resources(&self) -> Resources {
        resources::of(&self.child.id().to_string())
    }

    pub fn says(&self, text: &str) -> bool {
        self.count(text) > 0
    }

    /// How many lines hold `text`.
    pub fn count(&self, text: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// It lives, and nothing in it panicked or was called an error.
    pub fn is_unharmed(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "it ended:\n{}", self.log());
        for bad in ["panicked", "ERROR", "WARN"] {
            assert!(!self.says(bad), "{}", self.log());
        }
    }

    /// Ends it in its own way; whether it ended well, and all that was said.
    pub fn end(self) -> (bool, String) {
        self.end_with(&|| {})
    }

    /// As [`Server::end`], with a look at what it left before its directory is removed.
    pub fn end_with(mut self, look: &dyn Fn()) -> (bool, String) {
        drop(self.stdin.take());
        let mut ended = None;
        wait_for("the end of the server", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        wait_for("the end of the log", || Arc::strong_count(&self.log) == 1);
        look();
        (ended.unwrap().success(), self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
