//! The depth of Sluice's stacks, by kind of session and of thread: the basis of `SESSION_STACK` and `SERVICE_STACK`.
//!
//! A stack's depth is its high-water mark: the pages that were ever touched, counted while the thread still lives.
//! `cargo bench --profile dev --bench stacks` measures a debug build.

mod common;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/common/mod.rs"]
mod tests_common;

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use common::miners::Miners;
use common::pool::Pool;
use common::proc;
use common::proxies::Proxy;
use common::{connect, print_table};
use rustls::ServerConfig;
use sluice::util::thread::{SERVICE_STACK, SESSION_STACK};
use tests_common::certificates::Certificate;
use tests_common::tls_bridge;

/// The time until all threads of the proxy wait again.
const SETTLE: Duration = Duration::from_millis(800);
/// The time in which the miners send shares.
const WORK: Duration = Duration::from_millis(300);
/// The recommended session stack is this multiple of the measured depth.
const MARGIN: usize = 2;

/// A kind of session.
struct Scenario {
    name: &'static str,
    configuration: String,
    /// The certificate, if miners connect by TLS.
    miner_tls: Option<Certificate>,
}

fn main() {
    let pool = Pool::start();
    let certificate = Certificate::new(&["localhost"]);
    let (tls, tls_address) = common::listen();
    let upstream = |url: &str| format!("[[upstream]]\nurl = \"{url}\"\n");
    let to_plain = upstream(&format!("stratum+tcp://{}", pool.address));
    let to_tls = upstream(&format!("stratum+ssl://localhost:{}", tls_address.port()));
    let trusted = format!("{to_tls}ca_file = {:?}\n", certificate.cert_file());
    let refused = upstream(&format!("stratum+tcp://{}", tests_common::refusing_address()));
    let listener = Certificate::new(&["localhost"]);
    let (_, tls_listen) = common::listen();
    let listen_tls = format!(
        "[listen.tls]\ncert = {:?}\nkey = {:?}\nlisten = [\"{tls_listen}\"]\n",
        listener.cert_file(),
        listener.key_file()
    );
    start_tls_port(tls, certificate.server(), pool);
    let scenario = |name, configuration: String| Scenario { name, configuration, miner_tls: None };
    let scenarios = [
        scenario("plain", to_plain.clone()),
        scenario("splice", format!("[forward]\npath = \"splice\"\n{to_plain}")),
        scenario("TLS to the pool", trusted.clone()),
        scenario("first pool refuses", format!("{refused}{to_plain}")),
        scenario("first pool's certificate is not trusted", format!("{to_tls}{to_plain}")),
        Scenario {
            name: "TLS from the miner",
            configuration: format!("{listen_tls}{to_plain}"),
            miner_tls: Some(listener),
        },
    ];

    let mut deepest: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = Vec::new();
    for scenario in scenarios {
        let name = scenario.name;
        let depths = measure_stacks(scenario, tls_listen);
        let cell = |thread: &str| depths.get(thread).map_or(String::new(), |depth| kib(*depth));
        rows.push(vec![name.to_owned(), cell("up"), cell("down")]);
        for (thread, depth) in depths {
            let most = deepest.entry(thread).or_default();
            *most = depth.max(*most);
        }
    }
    let panic = depth_of_a_panic();
    rows.push(vec!["panic with backtrace (in this program)".to_owned(), kib(panic), kib(panic)]);
    println!("\nSession threads' stacks, KiB touched of {}\n", kib(SESSION_STACK));
    print_table(&["", "up", "down"], &rows);

    let sessions = ["up", "down"].map(|thread| deepest.remove(thread).unwrap_or(0));
    println!("\nOther threads' stacks, KiB touched of {}\n", kib(SERVICE_STACK));
    let others: Vec<_> = deepest.iter().map(|(name, depth)| vec![name.clone(), kib(*depth)]).collect();
    print_table(&["thread", "touched"], &others);

    let most = sessions.into_iter().max().unwrap_or(0).max(panic);
    let recommended = (most * MARGIN).next_multiple_of(16 * 1024);
    println!(
        "\nSESSION_STACK is {} KiB; the deepest session needs {} KiB: {MARGIN} times that is {} KiB",
        kib(SESSION_STACK),
        kib(most),
        kib(recommended)
    );
}

/// Measures two sessions that have used every path, one of them half-closed. Returns the deepest stack of each kind of
/// thread.
fn measure_stacks(scenario: Scenario, tls_listen: SocketAddr) -> BTreeMap<String, usize> {
    let proxy = Proxy::sluice_with(scenario.name, &scenario.configuration);
    let miners = [(); 2].map(|()| match &scenario.miner_tls {
        None => connect(proxy.address),
        Some(certificate) => tls_bridge::client(certificate.client(), "localhost", connect(tls_listen)),
    });
    let mut miners = Miners::over(miners.into_iter());
    miners.closed_loop(1, WORK);
    let _ = miners.stream(0).shutdown(Shutdown::Write);
    std::thread::sleep(SETTLE);
    let mut depths = BTreeMap::new();
    for stack in proc::stacks(proxy.pid()) {
        // "17-up" is a session's thread; the system chooses the main thread's stack.
        let (kind, size) = match stack.thread.split_once('-') {
            Some((number, kind)) if number.parse::<u64>().is_ok() => (kind.to_owned(), SESSION_STACK),
            Some(("listen", _)) => ("listen".to_owned(), SERVICE_STACK),
            _ if stack.is_main => continue,
            _ => (stack.thread, SERVICE_STACK),
        };
        let depth = size.saturating_sub(stack.untouched);
        let most = depths.entry(kind).or_insert(0);
        *most = depth.max(*most);
    }
    depths
}

/// Lets miners reach the pool by TLS, too, as long as the benchmark runs.
fn start_tls_port(listener: TcpListener, config: Arc<ServerConfig>, pool: Pool) {
    std::thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            pool.serve(tls_bridge::server(config.clone(), socket));
        }
    });
}

/// The stack depth of a caught panic with a backtrace, as with `RUST_BACKTRACE=1`.
fn depth_of_a_panic() -> usize {
    let (depth, measured) = std::sync::mpsc::channel();
    let thread = sluice::util::thread::spawn("1-panic", SESSION_STACK, move || {
        let caught = std::panic::catch_unwind(|| {
            let trace = std::backtrace::Backtrace::force_capture().to_string();
            std::panic::resume_unwind(Box::new(trace));
        });
        assert!(caught.is_err());
        depth.send(SESSION_STACK - proc::own_untouched_stack()).unwrap();
        Ok::<(), sluice::util::stop::Stopped>(())
    });
    thread.unwrap().join().unwrap();
    measured.recv().unwrap()
}

fn kib(bytes: usize) -> String {
    (bytes / 1024).to_string()
}
