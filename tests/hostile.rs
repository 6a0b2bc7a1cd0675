//! Peers that mean harm, or are broken: their bytes are forwarded all the same, memory stays
//! bounded, and the analyzer goes on with everybody else.

use std::io::{Read, Write};
use std::net::TcpStream;

use crossbeam_channel::Receiver;
use sluice::analyzer::Analyzer;
use sluice::tap::TapMessage;

use crate::common::own_process::in_own_process;
use crate::common::recorded::{Recorded, judged, setup};
use crate::common::{BarePool, expect, expect_end, half_close, resources, submit, wait_for};

/// How much a scenario may add to the resident memory of this process, which is both ends as well.
/// The queue of copies, whose size is the owner's own choice, may take 16 of it and the free buffers 4.
const MOST_GROWTH_KIB: usize = 24 * 1024;

/// Nobody is disconnected because a slow machine takes more than a minute for a test.
const CONFIG: &str = "[listen]\nstratum = [\"127.0.0.1:0\"]\nhandshake_timeout = \"10m\"\n\
                      [analysis]\nqueue = 4096\nshare_timeout = \"1s\"\n";

/// So few copies in the queue that no session loses one.
const FEW_COPIES: usize = 64;

struct Scene {
    recorded: Recorded,
    pool: BarePool,
    /// Only to look whether it is empty.
    copies: Receiver<TapMessage>,
}

impl Scene {
    fn start(text: &str) -> Scene {
        let pool = BarePool::start();
        let (mut recorded, copies, config) = Recorded::stalled(&format!("{text}{}", pool.upstream()));
        let setup = setup(&config, recorded.directory.path());
        recorded.proxy.late_analyzer = Some(Analyzer::start_on(copies.clone(), setup).unwrap());
        Scene { recorded, pool, copies }
    }

    /// Both ends of a session that has logged in and has a job. A pool that ends many sessions without work is left.
    fn open(&self) -> (TcpStream, TcpStream) {
        let mut miner = self.recorded.connect();
        let subscribe = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n";
        miner.write_all(subscribe).unwrap();
        let mut at_pool = self.pool.accept_miner();
        expect(&at_pool, subscribe);
        let answer = b"{\"id\":1,\"result\":[[],\"aabbccdd\",4],\"error\":null}\n";
        at_pool.write_all(answer).unwrap();
        expect(&miner, answer);
        let authorize = b"{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n";
        miner.write_all(authorize).unwrap();
        expect(&at_pool, authorize);
        let work = format!("{{\"id\":2,\"result\":true,\"error\":null}}\n{}", job("first", 0));
        at_pool.write_all(work.as_bytes()).unwrap();
        expect(&miner, work.as_bytes());
        (miner, at_pool)
    }

    /// Another session's share is followed as ever.
    fn others_are_served(&self) {
        wait_for("the queue to be read", || self.copies.is_empty());
        let before = self.judged();
        let (mut miner, mut at_pool) = self.open();
        for id in 0..5 {
            let line = submit("w", id, id);
            miner.write_all(line.as_bytes()).unwrap();
            expect(&at_pool, line.as_bytes());
            let line = format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n");
            at_pool.write_all(line.as_bytes()).unwrap();
            expect(&miner, line.as_bytes());
        }
        self.recorded.wait("the other session's shares", |snapshot| {
            judged(snapshot) >= before + 5 && snapshot.miners.iter().any(|miner| miner.accepted == 5)
        });
    }

    fn judged(&self) -> u64 {
        judged(&self.recorded.snapshot())
    }
}

/// Sends pieces one way through and compares them at the other end. Gives what was sent.
fn pour(from: &TcpStream, to: &TcpStream, mut piece: impl FnMut(usize) -> Option<Vec<u8>> + Send) -> u64 {
    let (mut writer, mut reader) = (from, to);
    std::thread::scope(|scope| {
        let sent = scope.spawn(move || {
            let (mut length, mut sum, mut number) = (0_u64, 0_u64, 0);
            while let Some(bytes) = piece(number) {
                (length, sum) = (length + bytes.len() as u64, checksum(sum, &bytes));
                number += 1;
                writer.write_all(&bytes).unwrap();
            }
            half_close(writer);
            (length, sum)
        });
        let (mut length, mut sum) = (0_u64, 0_u64);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = reader.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            (length, sum) = (length + read as u64, checksum(sum, &buffer[..read]));
        }
        assert_eq!((length, sum), sent.join().unwrap(), "bytes and their sum");
        length
    })
}

/// Depends on the order; quick enough for 100 MB without optimisation.
fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

/// A job on a previous block of this number.
fn job(id: &str, prevhash: usize) -> String {
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{id}\",\"{prevhash:064x}\",\"01\",\"02\",[],\
         \"20000000\",\"1d00ffff\",\"6b009568\",false]}}\n"
    )
}

/// Memory before and after, with the first part of the work as the warm-up.
fn measured(name: &str, warm_up: impl FnOnce(), work: impl FnOnce()) {
    warm_up();
    let before = resources::of("self").kib;
    work();
    let grown = resources::of("self").kib.saturating_sub(before);
    println!("{name}: {grown} KiB grown from {before} KiB");
    assert!(grown < MOST_GROWTH_KIB, "{name}: {grown} KiB");
}

/// The same both ways: `pieces` of it in all, a tenth of them to warm up.
fn both_ways(name: &str, count: usize, piece: fn(usize) -> Vec<u8>, directions: &[&str], pace: Pace) {
    let scene = Scene::start(CONFIG);
    for direction in directions {
        let run = |count: usize| {
            let (miner, at_pool) = scene.open();
            let pieces = |number: usize| {
                if pace == Pace::Followed && number % 4 == 0 {
                    wait_for("the queue to be read", || scene.copies.len() < FEW_COPIES);
                }
                (number < count).then(|| piece(number))
            };
            match *direction {
                "up" => pour(&miner, &at_pool, pieces),
                _ => pour(&at_pool, &miner, pieces),
            };
            drop((miner, at_pool));
        };
        measured(&format!("{name}, {direction}"), || run(count / 10), || run(count));
        scene.others_are_served();
        let summary = scene.recorded.snapshot().summary.clone();
        let lines = summary.messages_up + summary.messages_down;
        println!("  {lines} lines read, {} unreadable, {} too long", summary.unreadable, summary.too_long);
        if let Pace::Followed = pace {
            // What is in the sockets' buffers comes after the wait.
            assert!(summary.gaps < 20, "{name}: {} gaps", summary.gaps);
        }
    }
}

/// How fast the bytes come.
#[derive(Clone, Copy, PartialEq)]
enum Pace {
    /// As fast as they are forwarded; the analyzer loses copies.
    Flood,
    /// Now and then the analyzer is waited for, so that it sees nearly everything.
    Followed,
}

#[test]
fn a_line_without_end() {
    in_own_process(|| {
        let name = "100 MB without a newline";
        let piece = |number: usize| vec![if number == 0 { b'{' } else { b'x' }; 62_500];
        both_ways(name, 1600, piece, &["up", "down"], Pace::Followed);
    });
}

/// The analyzer is shown 200,000 of them: a million would take the test's whole time.
#[test]
fn jobs_without_end() {
    in_own_process(|| {
        let piece = |number: usize| {
            let id = |place: usize| format!("{:x}", number * 100 + place);
            (0..100).map(|place| job(&id(place), number)).collect::<String>().into_bytes()
        };
        both_ways("200,000 jobs", 2000, piece, &["down"], Pace::Followed);
        both_ways("1,000,000 jobs", 10_000, piece, &["down"], Pace::Flood);
    });
}

/// The pool reads them and says nothing.
#[test]
fn submits_that_are_never_answered() {
    in_own_process(|| {
        let piece = |number: usize| {
            let share = |nonce: usize| submit("w", nonce, nonce as u32);
            (0..100).map(|place| share(number * 100 + place)).collect::<String>().into_bytes()
        };
        both_ways("200,000 submits", 2000, piece, &["up"], Pace::Followed);
        both_ways("1,000,000 submits", 10_000, piece, &["up"], Pace::Flood);
    });
}

#[test]
fn deep_json() {
    in_own_process(|| {
        let piece = |number: usize| {
            let depth = 20_000;
            let (open, close) = if number % 2 == 0 { ("[", "]") } else { ("{\"a\":", "}") };
            let inner = if number % 2 == 0 { "" } else { "1" };
            let deep =
                format!("{}{inner}{}", open.repeat(depth / open.len()), close.repeat(depth / open.len()));
            match number % 3 {
                0 => format!("{{\"id\":{number},\"method\":\"mining.submit\",\"params\":{deep}}}\n"),
                1 => format!("{{\"id\":{deep},\"result\":{deep},\"error\":null}}\n"),
                _ => format!("{{\"id\":1,\"result\":null,\"error\":{deep}}}\n{deep}\n"),
            }
            .into_bytes()
        };
        both_ways("deep JSON", 300, piece, &["up", "down"], Pace::Followed);
    });
}

#[test]
fn invalid_utf_8() {
    in_own_process(|| {
        let piece = |number: usize| {
            let mut line = submit("w\u{e9}\u{202e}", number, number as u32).into_bytes();
            let place = number % (line.len() - 1);
            line[place] = [0xff, 0xc3, 0x80, 0x00, 0x1b][number % 5];
            line
        };
        both_ways("invalid UTF-8", 20_000, piece, &["up", "down"], Pace::Followed);
    });
}

/// Texts just below the longest line that is looked at, as an id and as a name.
#[test]
fn ids_and_names_of_60_kb() {
    in_own_process(|| {
        let piece = |number: usize| {
            let long = "i".repeat(60_000);
            match number % 2 {
                0 => submit("w", format!("\"{number}{long}\""), number as u32),
                _ => submit(&format!("{number}{long}"), number, number as u32),
            }
            .into_bytes()
        };
        both_ways("60 KB ids and names", 1000, piece, &["up"], Pace::Followed);
        let piece = |number: usize| {
            let long = "r".repeat(60_000);
            format!("{{\"id\":\"{number}{long}\",\"result\":null,\"error\":[20,\"{number}{long}\",null]}}\n")
                .into_bytes()
        };
        both_ways("60 KB ids and reasons", 1000, piece, &["down"], Pace::Followed);
    });
}

/// Reasons that a pool makes up, each with a share of its own, so that all are counted.
#[test]
fn reasons_of_60_kb_are_not_kept() {
    in_own_process(|| {
        let scene = Scene::start("[analysis]\nqueue = 1024\n");
        let (mut miner, mut at_pool) = scene.open();
        measured(
            "60 KB reasons",
            || {},
            || {
                for nonce in 0..400_u32 {
                    // Nothing of this flood is to be lost.
                    wait_for("the queue to be read", || scene.copies.is_empty());
                    let line = submit(&format!("{nonce}{}", "n".repeat(2000)), nonce, nonce);
                    miner.write_all(line.as_bytes()).unwrap();
                    expect(&at_pool, line.as_bytes());
                    let reason = format!("{nonce}{}", "r".repeat(60_000));
                    let line =
                        format!("{{\"id\":{nonce},\"result\":null,\"error\":[20,\"{reason}\",null]}}\n");
                    at_pool.write_all(line.as_bytes()).unwrap();
                    expect(&miner, line.as_bytes());
                }
                scene.recorded.wait("the verdicts", |snapshot| judged(snapshot) == 400);
            },
        );
        let totals = scene.recorded.snapshot().totals.clone().unwrap();
        assert_eq!(totals.rejected, 400);
        assert!(totals.reasons.keys().chain(totals.workers.keys()).all(|text| text.len() <= 129));
        drop(at_pool);
        expect_end(&miner);
        scene.others_are_served();
    });
}
