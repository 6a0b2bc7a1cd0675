//! The real program in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use super::{DEADLINE, wait_for};

/// A running `sluice run`. Killed when dropped.
pub struct Sluice {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    directory: tempfile::TempDir,
}

impl Sluice {
    /// With this configuration, in a directory of its own.
    pub fn run(text: &str) -> Sluice {
        Sluice::run_by(Command::new(env!("CARGO_BIN_EXE_sluice")), text)
    }

    /// As [`Sluice::run`], allowed no more than so many open files.
    pub fn run_with_files(files: u32, text: &str) -> Sluice {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {files} && exec \"$0\" \"$@\""));
        shell.arg(env!("CARGO_BIN_EXE_sluice"));
        Sluice::run_by(shell, text)
    }

    /// By this command, which gets the program's arguments.
    pub fn run_by(command: Command, text: &str) -> Sluice {
        Sluice::spawn(command, [Stdio::null(), Stdio::null()], text)
    }

    /// As a service manager starts it, with these sockets, of which the program gets copies.
    pub fn run_with_sockets(sockets: &[&TcpListener], env: &[(&str, &str)], text: &str) -> Sluice {
        // The shell has the sockets as stdin and stdout, and its own process becomes the program.
        let move_them = ["", "3<&0 0</dev/null", "3<&0 4<&1 0</dev/null 1>/dev/null"][sockets.len()];
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec {move_them}; LISTEN_PID=$$ exec \"$0\" \"$@\""));
        shell.arg(env!("CARGO_BIN_EXE_sluice")).env("LISTEN_FDS", sockets.len().to_string());
        shell.envs(env.iter().copied());
        let copy = |place: usize| match sockets.get(place) {
            Some(socket) => OwnedFd::from(socket.try_clone().unwrap()).into(),
            None => Stdio::null(),
        };
        Sluice::spawn(shell, [copy(0), copy(1)], text)
    }

    fn spawn(mut command: Command, [stdin, stdout]: [Stdio; 2], text: &str) -> Sluice {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        let has_data_dir = text.contains("data_dir");
        let data_dir = format!("data_dir = {:?}\n", directory.path().join("data"));
        // No test asks anybody for the time.
        let ntp = if text.contains("[ntp]") { "" } else { "\n[ntp]\nservers = []\n" };
        // Nor does any listen on a fixed port.
        let http = if text.contains("[http]") { "" } else { "\n[http]\nlisten = \"\"\n" };
        let text = format!("{}{text}{ntp}{http}", if has_data_dir { "" } else { &data_dir });
        std::fs::write(&file, text).unwrap();
        let mut child = command
            .arg("run")
            .arg("--config")
            .arg(&file)
            .env_remove("RUST_LOG")
            // Where the page's sockets are: a program that is killed leaves them behind.
            .env("RUNTIME_DIRECTORY", directory.path())
            .stdin(stdin)
            .stdout(stdout)
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
        Sluice { child, log, directory }
    }

    /// Replaces something in its configuration file.
    pub fn edit(&self, from: &str, to: &str) {
        let file = self.directory.path().join("config.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(file, text.replace(from, to)).unwrap();
    }

    /// The directory of its configuration and its data.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The lines on stderr so far that contain `text`.
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Waits for such a line.
    pub fn wait_line(&self, text: &str) -> String {
        let deadline = std::time::Instant::now() + DEADLINE;
        loop {
            if let Some(line) = self.lines_with(text).first() {
                return line.clone();
            }
            assert!(std::time::Instant::now() < deadline, "no {text:?} in:\n{}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// The address for miners.
    pub fn address(&self) -> SocketAddr {
        let line = self.wait_line("miners can connect to ");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// The address of the page.
    pub fn page(&self) -> SocketAddr {
        let line = self.wait_line("the page is at http://");
        line.rsplit("http://").next().unwrap().trim_end_matches('/').parse().unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end: the status, and all that was said.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let mut ended = None;
        wait_for("the end of the program", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        // The reader has it all when the pipe ends, which it does with the process.
        wait_for("the end of the log", || Arc::strong_count(&self.log) == 1);
        (ended.unwrap(), self.log())
    }
}

impl Drop for Sluice {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end: code and stderr.
pub fn fails(text: &str) -> (Option<i32>, String) {
    let (status, log) = Sluice::run(text).wait();
    (status.code(), log)
}
