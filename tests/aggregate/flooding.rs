//! Miners that flood: it costs them their own records, and nobody else's.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;
use sluice::sim::{PoolOptions, SimPool};
use socket2::{Domain, Socket, Type};

use crate::aggregate::site::Site;
use crate::common::recorded::rows;
use crate::common::wait_for;

/// A share every 4,300 hashes, and none of them is for the pool.
const LEAST: &str = "[vardiff]\nmax = 0.000001\n";
const SHARES: usize = 60;
/// Shares of the honest miner that the analyzer may not have counted yet.
const WAITING: u64 = 3;
/// A quarter of the usual one. Who floods may come back as often as any stranger.
const QUEUE: &str = "[analysis]\nqueue = 4096\n[ratelimit]\nexempt = [\"127.0.0.1/32\"]\n";

/// Everything a miner can say without work.
fn flood(number: usize) -> Vec<u8> {
    let line = match number % 6 {
        0 => "{\"id\":7,\"method\":\"mining.suggest_difficulty\",\"params\":[0.001]}\n".to_owned(),
        1 => {
            let name = format!("made.up{number}");
            format!("{{\"id\":7,\"method\":\"mining.authorize\",\"params\":[\"{name}\",\"x\"]}}\n")
        }
        2 => "{\"id\":7,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],{}]}\n".to_owned(),
        3 => {
            "{\"id\":7,\"method\":\"mining.submit\",\"params\":[\"a\",\"b\",\"00\",\"5\",\"7\"]}\n".to_owned()
        }
        4 => "{\"id\":7,\"method\":\"pong\",\"params\":[]}\n \n{\"id\":7,\"result\":true}\n".to_owned(),
        _ => "nonsense\n".to_owned(),
    };
    line.repeat(200).into_bytes()
}

/// A connection of the flooder's own address.
fn from(number: usize, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let own = SocketAddr::from(([127, 0, 1, u8::try_from(number).unwrap() + 1], 0));
    socket.bind(&own.into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// Floods, and reconnects when it is closed. It reads what it is answered, or it would be held up by itself.
fn flooder(
    address: SocketAddr,
    number: usize,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
) -> JoinHandle<()> {
    let flood = flood(number);
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let Ok(mut stream) = from(number, address) else { continue };
            let mut answers = stream.try_clone().unwrap();
            let reading =
                std::thread::spawn(move || while answers.read(&mut [0; 65_536]).is_ok_and(|n| n > 0) {});
            stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            while !stop.load(Ordering::Relaxed) && stream.write_all(&flood).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
            let _ = stream.shutdown(Shutdown::Both);
            reading.join().unwrap();
        }
    })
}

#[test]
fn an_honest_miners_shares_have_rows_while_others_flood() {
    let pool = SimPool::start(PoolOptions::with_difficulty(1.0).unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let upstream = crate::common::upstream(pool.addr());
    let text = format!("{QUEUE}{LEAST}{upstream}user = \"farm\"\n");
    let mut site = Site::recording(&text, directory.path());
    let mut honest = site.miner("NerdMinerV2/V1.8.3", "honest");
    // It works already; a newcomer's first copies compete with those of the flood's first second.
    let first = honest.mine(1e-6, 1.0);
    assert_eq!(honest.verdict(&first), None);
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let flooders: Vec<_> =
        (0..12).map(|number| flooder(site.address(), number, stop.clone(), sent.clone())).collect();
    let accepted = |site: &Site| site.snapshot().totals.as_ref().map_or(0, |totals| totals.accepted);
    for number in 2..=SHARES as u64 {
        // The flood goes on between two shares.
        wait_for("the flood", || sent.load(Ordering::Relaxed) >= number);
        let share = honest.mine(1e-6, 1.0);
        assert_eq!(honest.verdict(&share), None);
        // It has few copies waiting, as a miner has that works for its shares.
        wait_for("the analyzer", || accepted(&site) + WAITING >= number);
    }
    stop.store(true, Ordering::Relaxed);
    flooders.into_iter().for_each(|flooder| flooder.join().unwrap());
    drop(honest);
    site.shut_down();
    drop(site);
    let rows = rows(directory.path());
    let accepted = rows.iter().filter(|row| row["worker"] == "honest" && row["result"] == "accepted");
    println!("{} rows, {} pieces of flood", rows.len(), sent.load(Ordering::Relaxed));
    // One of 60 without a fair part of the queue.
    assert_eq!(accepted.count(), SHARES);
}

#[test]
fn more_requests_than_any_miner_has_are_refused_and_then_end_the_connection() {
    let pool = SimPool::start(PoolOptions::with_difficulty(1.0).unwrap()).unwrap();
    let site = Site::with(&format!("{LEAST}{}", crate::common::upstream(pool.addr())));
    let mut miner = site.miner("bitaxe", "a.rig");
    let request = |id: u32, method: &str| format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":[]}}\n");
    let methods =
        ["mining.suggest_difficulty", "mining.extranonce.subscribe", "mining.ping", "mining.configure"];
    // As much as a farm proxy of 1,000 workers says at its start, and shares after it.
    let burst: String = (1000..2900).map(|id| request(id, methods[id as usize % 4])).collect();
    let mut writer = miner.raw().try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(burst.as_bytes()).unwrap());
    for id in 1000..2900 {
        let answer = miner.answer(id);
        assert!(answer["error"].is_null(), "{answer}");
    }
    writing.join().unwrap();
    let share = miner.mine(1e-6, 1.0);
    assert_eq!(miner.verdict(&share), None);
    // Much more than that.
    let flood: String = (5000..9000).map(|id| request(id, methods[id as usize % 4])).collect();
    let mut writer = miner.raw().try_clone().unwrap();
    writer.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let writing = std::thread::spawn(move || writer.write_all(flood.as_bytes()).is_ok());
    let answers = miner.wait_end();
    let refused =
        answers.iter().filter(|answer| answer["error"] == json!([20, "Too many requests", null])).count();
    assert!((100..=130).contains(&refused), "{refused}");
    let _ = writing.join().unwrap();
    // What needs no answer is counted as well.
    for line in ["{\"id\":1,\"method\":\"pong\",\"params\":[]}\n", " \n", "{\"id\":1,\"result\":true}\n"] {
        let mut silent = site.miner("bitaxe", "a.rig");
        silent.raw().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut writer = silent.raw().try_clone().unwrap();
        let flood = line.repeat(4000);
        let writing = std::thread::spawn(move || writer.write_all(flood.as_bytes()).is_ok());
        silent.wait_end();
        let _ = writing.join().unwrap();
    }
}
