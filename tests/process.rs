//! The real program: how it ends, and how it refuses to start.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::common::binary::{Sluice, fails};
use crate::common::certificates::Certificate;
use crate::common::{BarePool, EchoPool, accepted, expect, expect_end, read_line, submit};

const SUBSCRIBE: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n";
const SUBSCRIBED: &[u8] = b"{\"id\":1,\"result\":[[],\"ae6812eb\",4],\"error\":null}\n";

/// Less than the 10 s that the end waits for shares in flight.
const SOON: Duration = Duration::from_secs(8);

/// The beginning of every configuration here. No page: its port could be taken.
const BASE: &str = "[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"\"\n[ntp]\nservers = []\n";

/// A miner that has subscribed, and the pool's end of it.
fn subscribed(sluice: &Sluice, pool: &BarePool) -> (TcpStream, TcpStream) {
    let mut miner = sluice.connect();
    miner.write_all(SUBSCRIBE).unwrap();
    let mut at_pool = pool.accept();
    expect(&at_pool, SUBSCRIBE);
    at_pool.write_all(SUBSCRIBED).unwrap();
    expect(&miner, SUBSCRIBED);
    (miner, at_pool)
}

fn has_ended(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0; 256]);
    stream.set_nonblocking(false).unwrap();
    !matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Three shares are in flight when the signal comes; the pool answers about a second later. Every
/// answer arrives, and the program ends soon after the last.
fn shares_in_flight_are_answered(signal: &str, more: &str) {
    let pool = BarePool::start();
    let sluice = Sluice::run(&format!("{BASE}{more}{}", pool.upstream()));
    let (mut miner, mut at_pool) = subscribed(&sluice, &pool);
    let (idle, at_pool_idle) = subscribed(&sluice, &pool);
    for id in 4..7 {
        miner.write_all(submit("w", id, id).as_bytes()).unwrap();
        expect(&at_pool, submit("w", id, id).as_bytes());
    }
    sluice.signal(signal);
    sluice.wait_line("shares in flight still get their answers");
    // Nobody is accepted any more.
    crate::common::wait_for("the end of the listener", || TcpStream::connect(sluice.address()).is_err());
    // The pool takes its time; meanwhile the miner is not left alone.
    let later = Instant::now() + Duration::from_secs(1);
    while Instant::now() < later {
        assert!(!has_ended(&miner), "{more}: closed before its answers");
        assert!(!has_ended(&at_pool), "{more}: the pool was told of an end");
        std::thread::sleep(Duration::from_millis(10));
    }
    for id in 4..7 {
        at_pool.write_all(accepted(id).as_bytes()).unwrap();
    }
    let answered = Instant::now();
    for id in 4..7 {
        expect(&miner, accepted(id).as_bytes());
    }
    expect_end(&miner);
    expect_end(&idle);
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    // Far from the ten seconds that a pool has which never answers.
    assert!(answered.elapsed() < SOON, "{:?}\n{log}", answered.elapsed());
    assert!(!log.contains("not every share"), "{log}");
    drop(at_pool_idle);
}

#[test]
fn sigterm_waits_for_the_answers_in_flight() {
    shares_in_flight_are_answered("TERM", "");
}

#[test]
fn sigint_waits_for_the_answers_in_flight() {
    shares_in_flight_are_answered("INT", "");
}

#[test]
fn on_the_splice_path_too() {
    shares_in_flight_are_answered("TERM", "[forward]\npath = \"splice\"\n");
}

#[test]
fn shares_in_flight_are_answered_without_the_analyzer() {
    // Nobody knows then what was the last answer: two seconds after the last share are waited.
    shares_in_flight_are_answered("TERM", "[analysis]\nenabled = false\n");
}

/// The program ends soon, with these miners connected.
/// Two miners have found a share, a third has not; all are there until the signal. Their sessions have ended
/// when the last report is made.
#[test]
fn the_last_report_is_about_the_miners_that_were_there() {
    let pool = BarePool::start();
    let sluice = Sluice::run(&format!("{BASE}{}", pool.upstream()));
    let mut pairs: Vec<_> = (0..3).map(|_| subscribed(&sluice, &pool)).collect();
    for (miner, at_pool) in &mut pairs[1..] {
        miner.write_all(submit("w", 7, 7).as_bytes()).unwrap();
        expect(at_pool, submit("w", 7, 7).as_bytes());
        at_pool.write_all(accepted(7).as_bytes()).unwrap();
        expect(miner, accepted(7).as_bytes());
    }
    sluice.signal("TERM");
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("MINERS       3 connected | 2 with a share in the last 10 min"), "{log}");
    assert!(log.contains("2 submitted | 2 accepted"), "{log}");
    assert_eq!(log.matches("1 accepted of 1").count(), 2, "{log}");
}

fn ends_soon(sluice: Sluice, miners: &[&TcpStream]) {
    let begun = Instant::now();
    sluice.signal("TERM");
    for miner in miners {
        expect_end(miner);
    }
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(begun.elapsed() < SOON, "{:?}\n{log}", begun.elapsed());
}

#[test]
fn idle_miners_do_not_hold_up_the_end() {
    for more in ["", "[analysis]\nenabled = false\n", "[forward]\npath = \"splice\"\n"] {
        let pool = BarePool::start();
        let sluice = Sluice::run(&format!("{BASE}{more}{}", pool.upstream()));
        let served = [subscribed(&sluice, &pool), subscribed(&sluice, &pool)];
        // One that has said nothing yet, and one whose subscribe is not answered.
        let silent = sluice.connect();
        let kept = pool.accept();
        let mut waiting = sluice.connect();
        waiting.write_all(SUBSCRIBE).unwrap();
        let unanswered = pool.accept();
        expect(&unanswered, SUBSCRIBE);
        ends_soon(sluice, &[&served[0].0, &served[1].0, &silent, &waiting]);
        drop((kept, unanswered));
    }
}

/// How often the program's thread of this name has waited for something until now.
fn waits(sluice: &Sluice, name: &str) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{}/task", sluice.id())).unwrap();
    let status = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("status")).ok())
        .find(|status| status.starts_with(&format!("Name:\t{name}\n")))
        .expect("a thread of that name");
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn nothing_wakes_the_threads_of_a_quiet_miner() {
    let pool = BarePool::start();
    let sluice = Sluice::run(&format!("mode = \"aggregate\"\n{BASE}{}", pool.upstream()));
    let mut miner = sluice.connect();
    miner.write_all(SUBSCRIBE).unwrap();
    let mut at_pool = pool.accept();
    read_line(&at_pool);
    read_line(&at_pool);
    at_pool.write_all(b"{\"id\":2,\"result\":[[],\"ae6812eb\",8],\"error\":null}\n").unwrap();
    read_line(&miner);
    miner.write_all(b"{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n").unwrap();
    read_line(&miner);
    let count = || waits(&sluice, "1-up");
    // The last of what it did for the miner.
    let mut before = count();
    crate::common::wait_for("rest", || {
        std::thread::sleep(Duration::from_millis(50));
        std::mem::replace(&mut before, count()) == before
    });
    std::thread::sleep(Duration::from_millis(1300));
    assert_eq!(count(), before);
    // It is there all the same.
    miner.write_all(b"{\"id\":3,\"method\":\"mining.ping\"}\n").unwrap();
    expect(&miner, b"{\"id\":3,\"result\":\"pong\",\"error\":null}\n");
    ends_soon(sluice, &[&miner]);
}

#[test]
fn an_unreachable_pool_does_not_hold_up_the_end() {
    let nowhere = crate::common::Unroutable::start();
    let sluice = Sluice::run(&format!("{BASE}{}", crate::common::upstream(nowhere.address())));
    let mut miner = sluice.connect();
    miner.write_all(SUBSCRIBE).unwrap();
    ends_soon(sluice, &[&miner]);
}

#[test]
fn a_miner_that_does_not_read_does_not_hold_up_the_end_for_ever() {
    let pool = BarePool::start();
    let sluice = Sluice::run(&format!("{BASE}{}", pool.upstream()));
    let (stuck, mut at_pool) = subscribed(&sluice, &pool);
    at_pool.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    while at_pool.write_all(&[b'\n'; 65_536]).is_ok() {}
    sluice.signal("TERM");
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    drop(stuck);
}

#[test]
fn a_second_signal_ends_at_once() {
    let pool = BarePool::start();
    let sluice = Sluice::run(&format!("{BASE}{}", pool.upstream()));
    let (mut miner, at_pool) = subscribed(&sluice, &pool);
    miner.write_all(submit("w", 4, 4).as_bytes()).unwrap();
    expect(&at_pool, submit("w", 4, 4).as_bytes());
    sluice.signal("TERM");
    sluice.wait_line("shares in flight still get their answers");
    let begun = Instant::now();
    sluice.signal("INT");
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(130), "{log}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_hangup_does_not_end_it() {
    let pool = BarePool::start();
    let mut sluice = Sluice::run(&format!("{BASE}{}", pool.upstream()));
    let (miner, at_pool) = subscribed(&sluice, &pool);
    sluice.signal("HUP");
    sluice.wait_line("configuration unchanged; nothing to reload");
    crate::common::round_trip(&miner, &at_pool, "{\"id\":5}\n");
    assert!(sluice.is_running());
}

/// It does not start: with this code, in one sentence that names this.
fn does_not_start(text: &str, code: i32, named: &[&str]) {
    let (found, log) = fails(text);
    assert_eq!(found, Some(code), "{log}");
    let said: Vec<&str> = log.lines().filter(|line| line.starts_with("sluice: ")).collect();
    assert_eq!(said.len(), 1, "{log}");
    for name in named {
        assert!(said[0].contains(name), "no {name:?} in {log}");
    }
    assert!(!log.contains("panicked"), "{log}");
}

fn with_tls(cert: &std::path::Path, key: &std::path::Path) -> String {
    format!(
        "[listen]\nstratum = []\ntls = {{ cert = {cert:?}, key = {key:?}, listen = [\"127.0.0.1:0\"] }}\n\
         [http]\nlisten = \"\"\n{}",
        crate::common::upstream("127.0.0.1:3333".parse().unwrap())
    )
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = format!(
        "[listen]\nstratum = [{address:?}]\n[http]\nlisten = \"\"\n{}",
        crate::common::upstream("127.0.0.1:3333".parse().unwrap())
    );
    does_not_start(&text, 1, &[&address, "uses this port already"]);
}

#[test]
fn a_busy_page_port_is_named_before_any_miner_is_served() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let page = taken.local_addr().unwrap();
    for mode in ["passthrough", "aggregate"] {
        let text = format!(
            "mode = \"{mode}\"\n[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"{page}\"\n{}",
            crate::common::upstream("127.0.0.1:3333".parse().unwrap())
        );
        does_not_start(&text, 1, &[&page.to_string(), "uses this port already"]);
        let (_, log) = fails(&text);
        assert!(!log.contains("miners can connect"), "{log}");
    }
}

#[test]
fn a_certificate_that_is_not_there_is_named() {
    let good = Certificate::new(&["127.0.0.1"]);
    let missing = good.cert_file().with_file_name("missing.pem");
    does_not_start(&with_tls(&missing, &good.key_file()), 1, &["missing.pem"]);
    does_not_start(&with_tls(&good.cert_file(), &missing), 1, &["missing.pem"]);
}

/// Every thread there is was told to end: that is nothing to be warned of.
#[test]
fn a_clean_stop_warns_of_nothing() {
    let pool = EchoPool::start();
    let dead = crate::common::refusing_address();
    for mode in ["passthrough", "aggregate"] {
        let text = format!(
            "mode = \"{mode}\"\n[listen]\nstratum = [\"127.0.0.1:0\"]\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[ntp]\nservers = [\"{dead}\"]\n{}warm = 1\n\
             [[upstream]]\nurl = \"stratum+tcp://{dead}\"\n\
             [[reference]]\nurl = \"stratum+tcp://{dead}\"\n[[reference]]\nnode = \"http://{dead}\"\n\
             [pool_stats]\nkind = \"ckpool\"\nurl = \"http://{dead}\"\n\
             address = \"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\"\n\
             [[notify]]\nkind = \"webhook\"\nurl = \"http://{dead}\"\n",
            pool.upstream()
        );
        let sluice = Sluice::run(&text);
        let miner = sluice.connect();
        (&miner).write_all(SUBSCRIBE).unwrap();
        sluice.wait_line("the pool's figures could not be read: ");
        sluice.signal("TERM");
        let (status, log) = sluice.wait();
        assert!(status.success(), "{log}");
        let warnings: Vec<&str> =
            log.lines().filter(|line| line.contains(" thread ") || line.ends_with(": stopped")).collect();
        assert!(warnings.is_empty(), "{mode}: {warnings:#?}");
    }
}

#[test]
fn a_bad_certificate_is_named() {
    let good = Certificate::new(&["127.0.0.1"]);
    let bad = good.cert_file().with_file_name("bad.pem");
    for content in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&bad, content).unwrap();
        does_not_start(&with_tls(&bad, &good.key_file()), 1, &["bad.pem"]);
        does_not_start(&with_tls(&good.cert_file(), &bad), 1, &["bad.pem"]);
    }
    let other = Certificate::new(&["127.0.0.1"]);
    does_not_start(&with_tls(&good.cert_file(), &other.key_file()), 1, &["key.pem"]);
}

#[test]
fn a_bad_ca_file_is_named() {
    let good = Certificate::new(&["127.0.0.1"]);
    let bad = good.cert_file().with_file_name("roots.pem");
    std::fs::write(&bad, "no roots").unwrap();
    let text = format!("{BASE}[[upstream]]\nurl = \"stratum+ssl://127.0.0.1:3333\"\nca_file = {bad:?}\n");
    does_not_start(&text, 1, &["roots.pem"]);
}

#[test]
fn an_unknown_key_is_named() {
    let text = format!("banana = 1\n{BASE}{}", crate::common::upstream("127.0.0.1:3333".parse().unwrap()));
    does_not_start(&text, 2, &["banana"]);
    let text = format!(
        "{BASE}[forward]\npaht = \"copy\"\n{}",
        crate::common::upstream("127.0.0.1:3333".parse().unwrap())
    );
    does_not_start(&text, 2, &["paht"]);
}

#[test]
fn an_unwritable_data_dir_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("data");
    let text =
        format!("data_dir = {below:?}\n{BASE}{}", crate::common::upstream("127.0.0.1:3333".parse().unwrap()));
    does_not_start(&text, 1, &[file.path().to_str().unwrap()]);
}

#[test]
fn the_splice_path_leaves_descriptors_to_accept_and_dial_with() {
    let pool = EchoPool::start();
    let text = "[listen]\nstratum = [\"127.0.0.1:0\"]\nmax_miners = 60\n[http]\nlisten = \"\"\n\
                [ntp]\nservers = []\n[forward]\npath = \"splice\"\n";
    let sluice = Sluice::run_with_files(220, &format!("{text}{}", pool.upstream()));
    sluice.wait_line("may open 220 files");
    let miners: Vec<TcpStream> = (0..60).map(|_| sluice.connect()).collect();
    // Twice: only when the first answer has come a session makes its pipes.
    for _ in 0..2 {
        for mut miner in &miners {
            miner.write_all(SUBSCRIBE).unwrap();
            expect(miner, SUBSCRIBE);
        }
    }
    assert!(sluice.lines_with("Too many open files").is_empty(), "{}", sluice.log());
}
