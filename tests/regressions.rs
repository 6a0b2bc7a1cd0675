//! Promises that were broken once, each tested as the one who was let down met it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::ServerConnection;
use sluice::config::{Config, Overrides};
use sluice::upstream::Upstreams;
use sluice::util::stop::Stop;

use crate::common::binary::Sluice;
use crate::common::certificates::Certificate;
use crate::common::pool::{Mood, Pool, Port, ask, is_quiet, served_by};
use crate::common::socks5_server::Socks5Server;
use crate::common::{
    BarePool, DEADLINE, Proxy, accepted, expect, expect_end, half_close, holds_for, submit, upstream,
    wait_for,
};

const SUBSCRIBE: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n";
const AUTHORIZE: &str = "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"user\",\"x\"]}";

/// For the real program. No page: its port could be taken.
const BASE: &str = "[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"\"\n[ntp]\nservers = []\n";

/// Bytes that come within this time, if any do.
fn read_within(mut stream: &TcpStream, time: Duration) -> Vec<u8> {
    stream.set_read_timeout(Some(time)).unwrap();
    let mut buffer = [0; 256];
    let length = stream.read(&mut buffer).unwrap_or(0);
    buffer[..length].to_vec()
}

#[test]
fn a_miner_that_leaves_before_any_timeout_does_not_meet_a_silent_pool_for_ever() {
    let (first, second) = (Pool::start("first", Mood::Silent), Pool::start("second", Mood::Answer));
    let proxy = Proxy::to(&[first.address(), second.address()], "[failover]\nanswer_timeout = \"1500ms\"\n");
    // A NerdMiner: 1.2 s, and it starts from the beginning.
    let mut tries = 0;
    wait_for("an answer", || {
        tries += 1;
        let mut miner = proxy.connect();
        miner.write_all(SUBSCRIBE).unwrap();
        read_within(&miner, Duration::from_millis(1200)).starts_with(b"second ")
    });
    assert!(tries <= 6, "{tries}");
    assert!(!proxy.running().is_up(0));
}

#[test]
fn a_miner_that_only_its_preferred_pool_rejects_is_not_moved_back_to_it() {
    let (first, second) = (Pool::start("first", Mood::Answer), Pool::start("second", Mood::Answer));
    let proxy = Proxy::to(&[first.address(), second.address()], "[failover]\nfailback_after = \"100ms\"\n");
    let welcome = proxy.connect();
    assert_eq!(served_by(&welcome), "first");
    // From here on it answers probes only.
    first.set_mood(Mood::Picky);
    let rejected = proxy.connect();
    assert_eq!(served_by(&rejected), "second");
    wait_for("the probe", || first.received().contains("sluice/"));
    holds_for(Duration::from_millis(1500), "it stays", || is_quiet(&rejected) && is_quiet(&welcome));
    assert_eq!(served_by(&rejected), "second");
    assert!(proxy.running().is_up(0));
}

#[test]
fn many_connects_during_an_outage_of_all_pools_are_no_abuse() {
    let port = Port::reserve();
    let proxy =
        Proxy::to(&[port.address()], "[failover]\nconnect_deadline = \"300ms\"\nbackoff_max = \"1s\"\n");
    for _ in 0..3 {
        let miners: Vec<TcpStream> = (0..30).map(|_| proxy.connect()).collect();
        for mut miner in &miners {
            miner.write_all(SUBSCRIBE).unwrap();
            expect_end(miner);
        }
    }
    let _pool = Pool::on(port.open(), "back", Mood::Answer, None);
    wait_for("the pool", || proxy.running().is_up(0));
    for _ in 0..10 {
        assert_eq!(served_by(&proxy.connect()), "back");
    }
}

/// A line that miners will come in a wave is drawn at each of these moments, not at the first only:
/// an outage lasts longer than the grace after one of them.
#[test]
fn waves_are_expected_throughout_an_outage_and_at_its_end() {
    let port = Port::reserve();
    let text = format!(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n[failover]\nbackoff_min = \"20ms\"\nbackoff_max = \"40ms\"\n{}",
        upstream(port.address())
    );
    let config = Config::parse(&text, &Overrides::default()).unwrap();
    let (waves, stop) = (Arc::new(AtomicUsize::new(0)), Stop::new());
    let counted = waves.clone();
    let on_failure = move || _ = counted.fetch_add(1, Ordering::SeqCst);
    let upstreams = Upstreams::start(&[], &config.upstreams, &config.failover, on_failure, &stop).unwrap();
    let pool = sluice::upstream::UpstreamId(0);
    assert!(upstreams.connect(&[], Instant::now() + Duration::from_millis(10)).is_err());
    wait_for("one more at each probe", || waves.load(Ordering::SeqCst) > 5);
    assert!(!upstreams.is_up(pool));
    let _pool = Pool::on(port.open(), "back", Mood::Answer, None);
    wait_for("the pool", || upstreams.is_up(pool));
    let seen = waves.load(Ordering::SeqCst);
    // Well for long enough: a wave is over at some time.
    holds_for(Duration::from_millis(200), "quiet", || waves.load(Ordering::SeqCst) <= seen + 1);
    stop.stop();
}

#[test]
fn a_reconnect_wave_after_a_quick_restart_of_the_pool_is_no_abuse() {
    let pool = Pool::start("pool", Mood::Answer);
    let proxy = Proxy::to(&[pool.address()], "[ratelimit]\nmax_connections_per_minute = 6\n");
    let miners: Vec<TcpStream> = (0..5).map(|_| proxy.connect()).collect();
    let begun = Instant::now();
    // They have been at work for a while.
    while begun.elapsed() < Duration::from_millis(5100) {
        for miner in &miners {
            assert_eq!(served_by(miner), "pool");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    pool.drop_connections();
    let mut back = Vec::new();
    for miner in miners {
        expect_end(&miner);
        drop(miner);
        back.push(proxy.connect());
        assert_eq!(served_by(back.last().unwrap()), "pool");
    }
    // None of them was counted: there is room for one more, and only for that.
    assert_eq!(served_by(&proxy.connect()), "pool");
    expect_end(&proxy.connect());
}

#[test]
fn waiting_miners_with_little_time_left_do_not_fail_a_slow_pool_that_is_back() {
    let (target, port) = (Pool::start("far", Mood::Answer), Port::reserve());
    let proxy = Proxy::start(&format!(
        "[ratelimit]\nmax_connections_per_minute = 0\n\
         [failover]\nconnect_deadline = \"800ms\"\nbackoff_min = \"50ms\"\nbackoff_max = \"100ms\"\n\
         [[upstream]]\nurl = \"stratum+tcp://pool.test:3333\"\nsocks5 = \"socks5://{}\"\n",
        port.address()
    ));
    let mut waiting = Vec::new();
    let mut one_more = || {
        let mut miner = proxy.connect();
        miner.write_all(SUBSCRIBE).unwrap();
        waiting.push(miner);
        std::thread::sleep(Duration::from_millis(20));
        !is_quiet(&waiting[0])
    };
    // From here on there are some at every moment that have less time left than one connect takes.
    wait_for("the first one's deadline", &mut one_more);
    let delay = Duration::from_millis(300);
    let _server = Socks5Server::on(port.open(), target.address(), None, delay);
    wait_for("the recovery", || one_more() && proxy.running().is_up(0));
    holds_for(Duration::from_millis(1200), "the pool is up", || proxy.running().is_up(0));
    assert_eq!(served_by(&proxy.connect()), "far");
}

/// Whether a network namespace can be had here.
fn may_unshare() -> bool {
    let made = Command::new("unshare").args(["-rn", "ip", "link", "set", "lo", "up"]).output();
    made.is_ok_and(|output| output.status.success())
}

#[test]
fn a_listener_whose_address_has_gone_does_not_hold_up_the_end() {
    if !may_unshare() {
        eprintln!("skipped: no network namespace, or no ip command");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (remove, removed) = (directory.path().join("remove"), directory.path().join("removed"));
    let mut command = Command::new("unshare");
    command.args(["-rn", "sh", "-c"]).arg(
        "ip link set lo up && ip addr add 10.77.0.1/32 dev lo || exit 9\n\
         (for i in $(seq 2000); do [ -e \"$REMOVE\" ] && break; sleep 0.01; done\n\
         ip addr del 10.77.0.1/32 dev lo && : >\"$REMOVED\") 2>&- &\n\
         exec \"$0\" \"$@\"",
    );
    command.arg(env!("CARGO_BIN_EXE_sluice")).env("REMOVE", &remove).env("REMOVED", &removed);
    let text = BASE.replace("127.0.0.1:0", "10.77.0.1:0");
    let nowhere = upstream("127.0.0.1:3333".parse().unwrap());
    let sluice = Sluice::run_by(command, &format!("{text}{nowhere}"));
    sluice.wait_line("miners can connect to 10.77.0.1:");
    std::fs::write(&remove, "").unwrap();
    wait_for("the address to go", || removed.exists());
    let begun = Instant::now();
    sluice.signal("TERM");
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}\n{log}", begun.elapsed());
}

/// A pool that answers, but takes 400 ms to close on lines that it does not like.
struct SlowlyPicky {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl SlowlyPicky {
    fn start() -> SlowlyPicky {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve_slowly(&stream));
            }
        });
        SlowlyPicky { address, accepted }
    }
}

fn serve_slowly(mut stream: &TcpStream) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if line.contains("bad") {
            std::thread::sleep(Duration::from_millis(400));
            return;
        }
        if stream.write_all(format!("picky {line}\n").as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn a_miner_that_the_only_pool_left_rejects_is_closed_and_not_dialled_for_without_end() {
    let (picky, port) = (SlowlyPicky::start(), Port::reserve());
    let proxy = Proxy::to(&[picky.address, port.address()], "[failover]\nconnect_deadline = \"1s\"\n");
    // Others hear from that pool.
    let good = proxy.connect();
    assert_eq!(served_by(&good), "picky");
    let begun = Instant::now();
    let mut miner = proxy.connect();
    miner.write_all(b"{\"id\":1,\"method\":\"mining.authorize\",\"params\":[\"bad\",\"x\"]}\n").unwrap();
    expect_end(&miner);
    // The deadline, its one extension, the last answer's 400 ms, and what a busy machine adds.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let accepted = picky.accepted.load(Ordering::SeqCst);
    assert!(accepted <= 12, "{accepted} connects");
    assert_eq!(served_by(&good), "picky");
}

#[test]
fn half_a_line_asks_nothing_and_makes_no_pool_look_dead() {
    let (first, second) = (Pool::start("first", Mood::Answer), Pool::start("second", Mood::Answer));
    let proxy = Proxy::to(
        &[first.address(), second.address()],
        "[failover]\nanswer_timeout = \"100ms\"\nbackoff_min = \"5m\"\nbackoff_max = \"5m\"\n",
    );
    let mut telnet = proxy.connect();
    telnet.write_all(b"x").unwrap();
    holds_for(Duration::from_millis(1200), "both are up", || {
        is_quiet(&telnet) && proxy.running().is_up(0) && proxy.running().is_up(1)
    });
    // Not even a probe was sent, and no other pool was asked.
    assert_eq!((first.accepted(), second.accepted()), (1, 0));
    assert_eq!(ask(&telnet, "yz"), "first xyz\n");
}

#[test]
fn an_answer_that_comes_together_with_a_fatal_alert_is_delivered() {
    let (certificate, pool) = (Certificate::new(&["127.0.0.1"]), BarePool::start());
    let proxy = Proxy::start(&format!(
        "[[upstream]]\nurl = \"stratum+ssl://{}\"\nca_file = {:?}\n",
        pool.address(),
        certificate.cert_file()
    ));
    // As the first thing that the pool says, and later on.
    for before in ["", "{\"id\":1,\"result\":true}\n"] {
        let mut miner = proxy.connect();
        let mut socket = pool.accept();
        let mut tls = ServerConnection::new(certificate.server()).unwrap();
        tls.complete_io(&mut socket).unwrap();
        miner.write_all(SUBSCRIBE).unwrap();
        let mut received = vec![0; SUBSCRIBE.len()];
        rustls::Stream::new(&mut tls, &mut socket).read_exact(&mut received).unwrap();
        rustls::Stream::new(&mut tls, &mut socket).write_all(before.as_bytes()).unwrap();
        expect(&miner, before.as_bytes());
        let answer = b"{\"id\":2,\"error\":[25,\"not subscribed\",null]}\n";
        tls.writer().write_all(answer).unwrap();
        // A record that nobody encrypted is answered by an alert.
        let nonsense = [&[23, 3, 3, 0, 32][..], &[0; 32]].concat();
        tls.read_tls(&mut &nonsense[..]).unwrap();
        tls.process_new_packets().unwrap_err();
        let mut both = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut both).unwrap();
        }
        assert!(both.len() > answer.len() + 40, "no alert");
        socket.write_all(&both).unwrap();
        expect(&miner, answer);
        expect_end(&miner);
    }
}

/// A miner with an unanswered share, and the pool's end of it.
fn with_a_share(sluice: &Sluice, pool: &BarePool) -> (TcpStream, TcpStream) {
    let miner = sluice.connect();
    let at_pool = pool.accept();
    crate::common::round_trip(&miner, &at_pool, "{\"id\":1}\n");
    (&miner).write_all(submit("w", 4, 4).as_bytes()).unwrap();
    expect(&at_pool, submit("w", 4, 4).as_bytes());
    (miner, at_pool)
}

#[test]
fn at_the_end_a_miner_waits_for_its_own_answers_only() {
    let pool = BarePool::start();
    let sluice = Sluice::run(&format!("{BASE}{}", pool.upstream()));
    let (slow, mut at_pool_slow) = with_a_share(&sluice, &pool);
    let (quick, mut at_pool_quick) = with_a_share(&sluice, &pool);
    let (idle, at_pool_idle) = (sluice.connect(), pool.accept());
    crate::common::round_trip(&idle, &at_pool_idle, "{\"id\":1}\n");
    sluice.signal("TERM");
    sluice.wait_line("shares in flight still get their answers");
    let begun = Instant::now();
    expect_end(&idle);
    at_pool_quick.write_all(accepted(4).as_bytes()).unwrap();
    expect(&quick, accepted(4).as_bytes());
    expect_end(&quick);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(is_quiet(&slow), "closed before its answer");
    at_pool_slow.write_all(accepted(4).as_bytes()).unwrap();
    expect(&slow, accepted(4).as_bytes());
    expect_end(&slow);
    assert_eq!(sluice.wait().0.code(), Some(0));
}

#[test]
fn a_share_sent_during_the_drain_does_not_cost_the_answers_before_it() {
    for more in ["", "[forward]\npath = \"splice\"\n"] {
        let pool = BarePool::start();
        let sluice = Sluice::run(&format!("{BASE}{more}{}", pool.upstream()));
        let (mut miner, mut at_pool) = with_a_share(&sluice, &pool);
        sluice.signal("TERM");
        sluice.wait_line("shares in flight still get their answers");
        // What is still read is still answered; the first that is not stays where it is.
        let mut expected = String::new();
        for id in 5.. {
            miner.write_all(submit("w", id, id).as_bytes()).unwrap();
            if read_within(&at_pool, Duration::from_millis(300)).is_empty() {
                break;
            }
            at_pool.write_all(accepted(id).as_bytes()).unwrap();
            expected += &accepted(id);
        }
        at_pool.write_all(accepted(4).as_bytes()).unwrap();
        expected += &accepted(4);
        let (status, log) = sluice.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        // A reset would make many a miner forget what it has not read yet.
        assert!(miner.take_error().unwrap().is_none(), "it was reset");
        expect(&miner, expected.as_bytes());
        expect_end(&miner);
    }
}

#[test]
fn a_miner_that_has_left_does_not_hold_up_the_end() {
    for more in ["", "[analysis]\nenabled = false\n", "[forward]\npath = \"splice\"\n"] {
        let pool = BarePool::start();
        let sluice = Sluice::run(&format!("{BASE}{more}{}", pool.upstream()));
        let (miner, at_pool) = (sluice.connect(), pool.accept());
        crate::common::round_trip(&miner, &at_pool, "{\"id\":1}\n");
        half_close(&miner);
        // The pool has heard of it, and keeps its side open.
        expect_end(&at_pool);
        let begun = Instant::now();
        sluice.signal("TERM");
        expect_end(&miner);
        assert_eq!(sluice.wait().0.code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(8), "{more}: {:?}", begun.elapsed());
    }
}

/// Ten sessions that say these lines, each of which the pool answers.
fn ten_times(proxy: &Proxy, lines: &[&str]) {
    for _ in 0..10 {
        let miner = proxy.connect();
        for line in lines {
            assert_eq!(ask(&miner, line), format!("pool {line}\n"));
        }
        let conversation = proxy.running().conversations()[0].clone();
        wait_for("the analyzer", || conversation.unreadable_lines.load(Ordering::Relaxed) > 0);
        drop(miner);
        proxy.wait_sessions(0);
    }
}

#[test]
fn garbage_before_authorizing_is_abuse_and_afterwards_it_is_not() {
    let pool = Pool::start("pool", Mood::Answer);
    let proxy = Proxy::start(&pool.upstream());
    ten_times(&proxy, &[AUTHORIZE, "hello"]);
    ten_times(&proxy, &["hello"]);
    let before = pool.accepted();
    let mut stranger = proxy.connect();
    stranger.set_read_timeout(Some(DEADLINE)).unwrap();
    let _ = stranger.write_all(b"hello\n");
    expect_end(&stranger);
    assert_eq!(pool.accepted(), before);
}
