//! Peers that take nothing, or half close, or must hear something: they cost the others nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, SockaddrIn, getpeername, send};
use serde_json::{Value, json};
use sluice::proxy::aggregate::Limits;
use socket2::{Domain, Socket, Type};

use crate::aggregate::opened::{expect_accepted, resident};
use crate::aggregate::scripted::{PoolEnd, Scripted};
use crate::aggregate::site::{Line, Site};
use crate::common::certificates::Certificate;
use crate::common::own_process::in_own_process;
use crate::common::{DEADLINE, tls_bridge, upstream, wait_for};

/// A large line of the pool's that goes to everybody.
const LARGE: usize = 32 * 1024;
/// More of them than the kernel keeps for anybody.
const MOST: usize = 400;

fn world(more: &str, limits: Limits) -> (PoolEnd, Site, Line, Scripted) {
    let pool = Scripted::start();
    let site = Site::with_limits(&format!("{more}{}", upstream(pool.address())), limits);
    let (miner, end) = resident(&site, &pool, "resident", 1e-10);
    (end, site, miner, pool)
}

/// A connection with as little room as the kernel allows.
fn narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// Says large things until a session has ended. Who reads gets each of them, at once.
fn talk_until_one_is_gone(end: &mut PoolEnd, site: &Site, resident: &mut Line) {
    let filler = "f".repeat(LARGE);
    let before = site.running().sessions();
    for number in 0..MOST {
        let message = json!({ "id": null, "method": "mining.filler", "params": [number, filler] });
        end.line.say(&message);
        let got = resident.wait("the filler", |message| message["method"] == "mining.filler");
        assert_eq!(got["params"][0], number);
        if site.running().sessions() < before {
            return;
        }
    }
    wait_for("the end of who reads nothing", || site.running().sessions() < before);
}

/// Reads what was on its way, to the end.
fn read_to_the_end(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

#[test]
fn a_miner_that_stops_reading_is_closed_for_its_queue_and_the_others_notice_nothing() {
    // It is not the deadline that closes it.
    let limits = Limits { write_timeout: Duration::from_secs(600), ..Limits::default() };
    let (mut end, site, mut resident, _pool) = world("", limits);
    let mut stuck = Line::of(narrow(site.address()));
    stuck.join("stuck", "w");
    talk_until_one_is_gone(&mut end, &site, &mut resident);
    read_to_the_end(stuck.raw());
    end.notify(true);
    resident.wait_job();
}

#[test]
fn a_miner_that_takes_nothing_is_closed_at_the_deadline() {
    let limits =
        Limits { write_timeout: Duration::from_millis(300), max_queued_bytes: 1 << 30, ..Limits::default() };
    let (mut end, site, mut resident, _pool) = world("", limits);
    let mut stuck = Line::of(narrow(site.address()));
    stuck.join("stuck", "w");
    talk_until_one_is_gone(&mut end, &site, &mut resident);
}

#[test]
fn a_tls_miner_is_served_and_when_it_stops_reading_it_is_closed() {
    let certificate = Certificate::new(&["127.0.0.1"]);
    let tls = format!(
        "[listen.tls]\ncert = {:?}\nkey = {:?}\nlisten = [\"127.0.0.1:0\"]\n",
        certificate.cert_file(),
        certificate.key_file()
    );
    let limits = Limits { write_timeout: Duration::from_secs(600), ..Limits::default() };
    let (mut end, site, mut resident, _pool) = world(&tls, limits);
    let address = site.addresses()[1];
    let connect = || tls_bridge::client(certificate.client(), "127.0.0.1", narrow(address));
    let mut miner = Line::of(connect());
    miner.join("tls", "w");
    let share = miner.mine(1e-10, f64::MAX);
    expect_accepted(&mut miner, &mut end, &share);
    drop(miner);
    wait_for("its end", || site.running().sessions() == 1);
    let mut stuck = Line::of(connect());
    stuck.join("stuck", "w");
    talk_until_one_is_gone(&mut end, &site, &mut resident);
}

#[test]
fn a_miner_that_asks_and_does_not_read_is_not_read_either() {
    let limits = Limits { write_timeout: Duration::from_millis(500), ..Limits::default() };
    let (_end, site, mut resident, _pool) = world("", limits);
    let mut greedy = narrow(site.address());
    greedy.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let id = "9".repeat(4000);
    let line = format!("{{\"id\":{id},\"method\":\"mining.ping\"}}\n");
    let mut sent = 0;
    // The kernel keeps some megabytes for each direction; the proxy nothing beyond its queue.
    while sent < 64 << 20 && greedy.write_all(line.as_bytes()).is_ok() {
        sent += line.len();
    }
    assert!(sent < 64 << 20, "everything was read");
    wait_for("its end", || site.running().sessions() == 1);
    resident.ask(1, "mining.ping", json!([]));
    assert_eq!(resident.answer(1)["result"], "pong");
}

#[test]
fn a_pool_that_stops_reading_is_left_and_nobody_stays_without_an_answer() {
    let limits = Limits { write_timeout: Duration::from_secs(600), ..Limits::default() };
    let (mut end, site, mut resident, pool) = world("", limits);
    resident.ask(1, "mining.extranonce.subscribe", json!([]));
    resident.answer(1);
    let share = resident.mine(1e-10, f64::MAX);
    let id = resident.submit(&share);
    end.share();
    // It asks, and does not read the answers: the way to it fills.
    let question = format!("{{\"id\":\"{}\",\"method\":\"mining.ping\"}}\n", "q".repeat(LARGE));
    let mut writer = end.line.raw().try_clone().unwrap();
    let asking = std::thread::spawn(move || {
        (0..4 * MOST).take_while(|_| writer.write_all(question.as_bytes()).is_ok()).count()
    });
    let lost = json!([20, "The connection to the pool was lost", null]);
    assert_eq!(resident.answer(id), json!({ "id": id, "result": null, "error": lost }));
    assert!(asking.join().unwrap() < 4 * MOST);
    let _next = pool.open("11223344", 8, 1e-10);
    resident.wait("its new extranonce", |message| message["method"] == "mining.set_extranonce");
    resident.wait_job();
    drop(site);
}

#[test]
fn a_miner_that_half_closes_still_gets_its_answers() {
    let (mut end, site, _resident, _pool) = world("", Limits::default());
    let mut miner = site.miner("half", "w");
    miner.forget();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let share = miner.mine(1e-10, f64::MAX);
        ids.push(miner.submit(&share));
    }
    miner.raw().shutdown(Shutdown::Write).unwrap();
    let shares: Vec<Value> = (0..3).map(|_| end.share()).collect();
    // Long enough that an impatient proxy has closed it.
    assert!(miner.is_quiet_for(Duration::from_millis(100)));
    for share in shares.iter().rev() {
        end.answer(share, json!(true));
    }
    let rest = miner.wait_end();
    let answered: Vec<u64> = rest.iter().filter_map(|message| message["id"].as_u64()).collect();
    assert_eq!(answered, ids);
    assert!(rest.iter().all(|message| message["result"] == true), "{rest:?}");
    wait_for("its end", || site.running().sessions() == 1);
}

#[test]
fn every_miner_gets_a_reminder_from_time_to_time() {
    let limits = Limits { remind_after: Duration::from_millis(150), ..Limits::default() };
    let (_end, _site, mut miner, _pool) = world("", limits);
    for _ in 0..3 {
        let began = Instant::now();
        let message = miner.next();
        assert_eq!(message["method"], "mining.set_difficulty");
        assert_eq!(message["params"][0], miner.difficulty);
        assert!(began.elapsed() > Duration::from_millis(50), "{:?}", began.elapsed());
    }
}

#[test]
fn a_miner_without_a_job_is_pinged_from_time_to_time() {
    let limits = Limits { remind_after: Duration::from_millis(150), ..Limits::default() };
    let pool = Scripted::start();
    let site = Site::with_limits(&upstream(pool.address()), limits);
    let mut miner = site.connect();
    let mut end = pool.open_for(&mut miner, "cgminer/4.13.6", "0a0b0c0d");
    miner.ask(2, "mining.authorize", json!(["w", "x"]));
    miner.answer(2);
    for _ in 0..2 {
        assert_eq!(miner.next()["method"], "mining.ping");
        miner.write("{\"id\":42,\"result\":\"pong\",\"error\":null}\n");
    }
    end.notify(true);
    miner.wait_job();
}

#[test]
fn a_job_reaches_a_thousand_miners() {
    in_own_process(|| {
        const MINERS: usize = 1000;
        sluice::net::process::raise_fd_limit().unwrap();
        let (mut end, site, _resident, _pool) = world("", Limits::default());
        let miners: Vec<TcpStream> = (0..MINERS)
            .map(|_| {
                let mut miner = TcpStream::connect(site.address()).unwrap();
                miner
                    .write_all(
                        b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"x\"]}\n\
                      {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n",
                    )
                    .unwrap();
                miner.set_nonblocking(true).unwrap();
                miner
            })
            .collect();
        read_jobs(&miners);
        let mut spreads = Vec::new();
        for _ in 0..5 {
            end.notify(true);
            spreads.push(read_jobs(&miners));
        }
        spreads.sort_unstable();
        println!(
            "a job reaches {MINERS} miners: first to last {:.1?} (median of 5), {:.1?} (worst)",
            spreads[2], spreads[4]
        );
    });
}

/// A job, and not the list of subscriptions, which has the same word.
fn is_job(line: &[u8]) -> bool {
    line.windows(24).any(|window| window == b"\"method\":\"mining.notify\"")
}

/// Reads until every miner has got a job; from the first to the last of them.
fn read_jobs(miners: &[TcpStream]) -> Duration {
    let mut open: Vec<(&TcpStream, Vec<u8>)> = miners.iter().map(|miner| (miner, Vec::new())).collect();
    let (mut first, mut last) = (None, Instant::now());
    let deadline = Instant::now() + DEADLINE;
    let mut buffer = [0; 4096];
    while !open.is_empty() {
        assert!(Instant::now() < deadline, "{} miners have no job", open.len());
        let mut waiting: Vec<PollFd> =
            open.iter().map(|(miner, _)| PollFd::new(miner.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut waiting, PollTimeout::from(1000_u16)).unwrap();
        let ready: Vec<bool> = waiting.iter().map(|one| one.any().unwrap_or(true)).collect();
        let mut place = 0;
        open.retain_mut(|(miner, text)| {
            place += 1;
            if !ready[place - 1] {
                return true;
            }
            let length = (&mut &**miner).read(&mut buffer).unwrap_or(0);
            text.extend_from_slice(&buffer[..length]);
            let has_job = text.ends_with(b"\n") && text.split(|byte| *byte == b'\n').any(is_job);
            if has_job {
                last = Instant::now();
                first.get_or_insert(last);
            }
            !has_job
        });
    }
    last - first.unwrap_or(last)
}

/// The proxy's own end of a connection, by the address that the miner has. It is in this process.
fn far_end(miner: SocketAddr) -> i32 {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = descriptors.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_its = |number: &i32| {
        let peer = getpeername::<SockaddrIn>(*number);
        peer.is_ok_and(|peer| SocketAddr::from((peer.ip(), peer.port())) == miner)
    };
    numbers.into_iter().find(is_its).expect("no connection of this miner")
}

/// Fills what the kernel keeps for a connection until it takes nothing more for a while.
fn fill(descriptor: i32) {
    let (junk, mut refused) = (vec![0; 64 * 1024], 0);
    while refused < 20 {
        let sent = [junk.len(), 1].iter().any(|length| {
            send(descriptor, &junk[..*length], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).is_ok()
        });
        refused = if sent { 0 } else { refused + 1 };
        if !sent {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// How often the thread of this name has gone to sleep.
fn sleeps_of(name: &str) -> Option<u64> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let mut paths = tasks.filter_map(|entry| Some(entry.ok()?.path()));
    let is_its = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let status = std::fs::read_to_string(paths.find(is_its)?.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

#[test]
fn a_tls_miner_that_leaves_and_does_not_read_delays_nobodys_job() {
    in_own_process(|| {
        let certificate = Certificate::new(&["127.0.0.1"]);
        let tls = format!(
            "[listen.tls]\ncert = {:?}\nkey = {:?}\nlisten = [\"127.0.0.1:0\"]\n",
            certificate.cert_file(),
            certificate.key_file()
        );
        let (mut end, site, mut resident, _pool) = world(&tls, Limits::default());
        let mut socket = narrow(site.addresses()[1]);
        let mut session =
            rustls::ClientConnection::new(certificate.client(), "127.0.0.1".try_into().unwrap()).unwrap();
        let mut leaving = rustls::Stream::new(&mut session, &mut socket);
        let opening = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"tls\"]}\n\
                   {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n";
        leaving.write_all(opening.as_bytes()).unwrap();
        let mut received = Vec::new();
        while !String::from_utf8_lossy(&received).contains("mining.notify") {
            let mut buffer = [0; 4096];
            let length = leaving.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..length]);
        }
        let first = String::from_utf8_lossy(&received);
        let subscribed: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
        let sender = format!("{}-down", subscribed["result"][0][0][1].as_str().unwrap());
        // Jobs are given in the order in which the miners came: one before it, one after it.
        let mut later = site.miner("later", "w");
        let before_it = later.job.clone().unwrap().job_id;
        fill(far_end(socket.local_addr().unwrap()));
        let before = sleeps_of(&sender).expect("no thread sends to it");
        socket.shutdown(Shutdown::Write).unwrap();
        // Its thread wakes for the end, and sleeps again in the attempt to say goodbye.
        wait_for("the goodbye", || sleeps_of(&sender).is_none_or(|sleeps| sleeps > before));
        let began = Instant::now();
        end.notify(true);
        resident.wait_job();
        wait_for("the new job", || later.wait_job().job_id != before_it);
        let took = began.elapsed();
        // `write_timeout` is 20 s.
        assert!(took < Duration::from_secs(10), "{took:?}");
        read_to_the_end(&socket);
    });
}
