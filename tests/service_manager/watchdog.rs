//! The watchdog of the service manager: fed as long as the program is of use, and no longer.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::manager::{Manager, config, mine, pool};
use crate::common::binary::Sluice;
use crate::common::wait_for;

/// The watchdog's time. It is fed four times as often.
const TIME: Duration = Duration::from_millis(400);

/// The program, and the directory in which a file makes a thread of its name fail.
struct Watched {
    manager: Manager,
    faults: tempfile::TempDir,
    sluice: Sluice,
}

impl Watched {
    /// With this configuration; a thread counts as stuck after this time.
    fn start(text: &str, stuck_after: Duration) -> Watched {
        let (manager, faults) = (Manager::start(), tempfile::tempdir().unwrap());
        let (stuck_after, time) = (stuck_after.as_millis().to_string(), TIME.as_micros().to_string());
        let env = [
            ("SLUICE_TEST_FAULTS", faults.path().to_str().unwrap()),
            ("SLUICE_TEST_STALE_MS", &stuck_after),
            ("WATCHDOG_USEC", &time),
        ];
        let sluice = Sluice::run_by(manager.command(&env), text);
        Watched { manager, faults, sluice }
    }

    fn feeds(&self) -> usize {
        self.manager.count("WATCHDOG=1")
    }

    fn wait_fed(&self) {
        let before = self.feeds();
        wait_for("food", || self.feeds() > before + 1);
    }

    /// Longer than the watchdog's time nothing comes: it would bite.
    fn expect_bite(&self) {
        // What was sent before the end of the reports has arrived by then.
        std::thread::sleep(Duration::from_millis(50));
        let before = self.feeds();
        let until = Instant::now() + 2 * TIME;
        while Instant::now() < until {
            assert_eq!(self.feeds(), before, "{}", self.sluice.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn fail(&self, thread: &str, how: &str) {
        let aside = self.faults.path().join(".new");
        std::fs::write(&aside, how).unwrap();
        std::fs::rename(aside, self.faults.path().join(thread)).unwrap();
    }

    fn heal(&self, thread: &str) {
        std::fs::remove_file(self.faults.path().join(thread)).unwrap();
    }

    /// The reasons, one line for each time that the reports have ended.
    fn hungry(&self) -> Vec<String> {
        self.sluice.lines_with("the watchdog is no longer fed")
    }

    fn expect_fed_for(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.wait_fed();
        }
    }
}

#[test]
fn a_thread_that_hangs_and_serves_everybody_makes_the_watchdog_bite() {
    let pool = pool();
    let watched = Watched::start(&config(pool.addr()), Duration::from_millis(500));
    let (address, page) = (watched.sluice.address(), watched.sluice.page());
    watched.wait_fed();
    let listener = format!("listen-{}", address.port());
    for (thread, named) in [
        ("analyzer", "thread analyzer has not moved"),
        (listener.as_str(), listener.as_str()),
        ("http", "thread http has not moved"),
        ("page-handler", "all threads of the page hang"),
    ] {
        watched.fail(thread, "hang");
        // A thread that waits for work gets some. The page has two threads for it.
        let work = |to| if thread == "page-handler" { visit(page) } else { TcpStream::connect(to).unwrap() };
        let _work = [work(address), work(page), work(page)];
        wait_for(&format!("hunger because of {thread}"), || {
            watched.hungry().iter().any(|line| line.contains(named))
        });
        watched.expect_bite();
        watched.heal(thread);
        watched.wait_fed();
    }
}

/// A request whose answer nobody waits for.
fn visit(page: std::net::SocketAddr) -> TcpStream {
    let mut visitor = TcpStream::connect(page).unwrap();
    let request = format!("GET /status HTTP/1.1\r\nHost: {page}\r\n\r\n");
    std::io::Write::write_all(&mut visitor, request.as_bytes()).unwrap();
    visitor
}

/// Nobody connects and nobody visits, the disk hangs, and a thread hangs that miners do not need.
#[test]
fn an_idle_program_and_one_with_a_stuck_disk_do_not_make_it_bite() {
    let pool = pool();
    let stuck_after = Duration::from_secs(2);
    let watched = Watched::start(&config(pool.addr()), stuck_after);
    watched.manager.wait("READY=1");
    watched.expect_fed_for(stuck_after + TIME);
    watched.fail("record", "hang");
    watched.fail("failback", "hang");
    let miner = mine(watched.sluice.address(), "one");
    wait_for("shares", || miner.stats().accepted > 1);
    watched.expect_fed_for(stuck_after + TIME);
    assert_eq!(watched.hungry(), Vec::<String>::new(), "{}", watched.sluice.log());
    watched.heal("record");
    watched.heal("failback");
    // Until the end.
    let before = watched.feeds();
    watched.sluice.signal("TERM");
    let (status, log) = watched.sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(watched.manager.count("WATCHDOG=1") >= before && !log.contains("no longer fed"), "{log}");
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let manager = Manager::start();
    let env = [("WATCHDOG_USEC", "40000"), ("WATCHDOG_PID", "1")];
    let _sluice = Sluice::run_by(manager.command(&env), &config(crate::common::refusing_address()));
    manager.wait("READY=1");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(manager.count("WATCHDOG=1"), 0);
}
