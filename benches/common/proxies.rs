//! The proxies under test, each a process of its own: Sluice, and other proxies if they are installed.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{listen, wait_for};

/// A running proxy. Dropping it ends the process.
pub struct Proxy {
    pub name: String,
    pub address: SocketAddr,
    child: Child,
    directory: tempfile::TempDir,
}

/// A build of Sluice.
pub struct Build {
    pub name: &'static str,
    binary: String,
}

impl Build {
    /// The one under test: `SLUICE_BINARY`, or the one just built.
    pub fn current() -> Build {
        let binary = std::env::var("SLUICE_BINARY").unwrap_or(env!("CARGO_BIN_EXE_sluice").to_owned());
        Build { name: "sluice", binary }
    }

    /// The one under test, and `SLUICE_BINARY_BEFORE` if it is set.
    pub fn all() -> Vec<Build> {
        let before = std::env::var("SLUICE_BINARY_BEFORE").ok();
        let before = before.map(|binary| Build { name: "before:", binary });
        before.into_iter().chain([Build::current()]).collect()
    }
}

impl Proxy {
    /// Sluice with any configuration that has upstreams and no `[listen]` table, only subtables of it.
    pub fn sluice_with(name: &str, configuration: &str) -> Proxy {
        Proxy::sluice_of(&Build::current(), name, "passthrough", configuration)
    }

    /// Sluice in this mode, which is also its name; otherwise like [`Proxy::sluice_with`].
    pub fn sluice_in(mode: &str, configuration: &str) -> Proxy {
        Proxy::sluice_of(&Build::current(), mode, mode, configuration)
    }

    /// A build of Sluice in this mode; otherwise like [`Proxy::sluice_with`].
    pub fn sluice_of(build: &Build, name: &str, mode: &str, configuration: &str) -> Proxy {
        let text = format!(
            "mode = \"{mode}\"\ndata_dir = \"data\"\n[listen]\nmax_miners = 8000\n[ratelimit]\nexempt = [\"127.0.0.0/8\"]\n\
             [report]\nconsole = \"off\"\n[ntp]\nservers = []\n{configuration}"
        );
        let binary =
            fs::canonicalize(&build.binary).unwrap_or_else(|error| panic!("{}: {error}", build.binary));
        let start = |dir: &Path, address: SocketAddr| {
            let file = dir.join("config.toml");
            fs::write(&file, &text).unwrap();
            let mut command = Command::new(binary);
            command.arg("run").arg("--config").arg(file);
            if !text.contains("[http]") {
                command.args(["--http", ""]);
            }
            command.arg("--listen").arg(address.to_string());
            command
        };
        Proxy::start(name, start).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    /// Another proxy before `pool`: haproxy, nginx or socat.
    ///
    /// # Errors
    /// The reason why it does not run, such as that it is not installed.
    pub fn peer(name: &str, pool: SocketAddr) -> Result<Proxy, String> {
        Proxy::start(name, |dir, address| match name {
            "haproxy" => haproxy(dir, address, pool),
            "nginx" => nginx(dir, address, pool),
            _ => socat(address, pool),
        })
    }

    fn start(name: &str, command: impl FnOnce(&Path, SocketAddr) -> Command) -> Result<Proxy, String> {
        let directory = tempfile::tempdir().unwrap();
        // The port is free until the proxy opens it. On a machine that only runs benchmarks nothing else takes it.
        let (_, address) = listen();
        let child = command(directory.path(), address)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("stderr")).unwrap())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut proxy = Proxy { name: name.to_owned(), address, child, directory };
        let mut ended = false;
        wait_for("the proxy's listener", || {
            ended = proxy.child.try_wait().unwrap().is_some();
            ended || is_listening(address)
        });
        if ended { Err(proxy.stderr()) } else { Ok(proxy) }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The output on stderr so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// True if the port is open. Does not connect, which would already be a session.
fn is_listening(address: SocketAddr) -> bool {
    let port = format!(":{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("0A")
    })
}

fn haproxy(dir: &Path, address: SocketAddr, pool: SocketAddr) -> Command {
    let text = format!(
        "global\n  maxconn 8000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  \
         timeout server 1h\nlisten stratum\n  bind {address}\n  server pool {pool}\n"
    );
    let file = dir.join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-q").arg("-f").arg(file);
    command
}

fn nginx(dir: &Path, address: SocketAddr, pool: SocketAddr) -> Command {
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let load = match Path::new(module).exists() {
        true => format!("load_module {module};\n"),
        false => String::new(),
    };
    let text = format!(
        "{load}daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\n\
         worker_rlimit_nofile 20000;\nevents {{ worker_connections 12000; }}\n\
         stream {{ server {{ listen {address}; proxy_pass {pool}; proxy_timeout 1h; tcp_nodelay on; }} }}\n"
    );
    let file = dir.join("nginx.conf");
    fs::write(&file, text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(dir).args(["-e", "stderr"]).arg("-c").arg(file);
    command
}

fn socat(address: SocketAddr, pool: SocketAddr) -> Command {
    let mut command = Command::new("socat");
    let (host, port) = (address.ip(), address.port());
    command.arg(format!("TCP-LISTEN:{port},bind={host},fork,reuseaddr,nodelay"));
    command.arg(format!("TCP:{pool},nodelay"));
    command
}
