//! Ids are the miner's own business: repeated, of any type, the same for many miners at once.

use std::io::Write;
use std::net::TcpStream;

use crate::common::recorded::{Recorded, Row};
use crate::common::{BarePool, expect, submit};

/// A pool's answer, and its record.
const ANSWERS: [(&str, [&str; 3]); 10] = [
    ("\"result\":true,\"error\":null", ["accepted", "", ""]),
    ("\"result\":null,\"error\":[21,\"Job not found\",null]", ["rejected", "21", "Job not found"]),
    ("\"result\":null,\"error\":[22,\"Duplicate share\",\"\"]", ["rejected", "22", "Duplicate share"]),
    ("\"result\":true", ["accepted", "", ""]),
    ("\"result\":null,\"error\":[23,\"Low\"]", ["rejected", "23", "Low"]),
    ("\"result\":false,\"error\":null,\"reject-reason\":\"Above target\"", ["rejected", "", "Above target"]),
    ("\"result\":false,\"error\":\"Invalid worker name\"", ["rejected", "", "Invalid worker name"]),
    (
        "\"result\":null,\"error\":{\"code\":24,\"message\":\"Unauthorized\",\"traceback\":null}",
        ["rejected", "24", "Unauthorized"],
    ),
    ("\"result\":false,\"error\":null", ["rejected", "", ""]),
    ("\"result\":true,\"error\":null", ["accepted", "", ""]),
];

/// Every type, and `4` as often as cpuminer sends it.
const IDS: [&str; 16] = [
    "4",
    "4",
    "\"4\"",
    "null",
    "4.0",
    "4",
    "99999999999999999999999",
    "null",
    "\"b\\u0020c\"",
    "-7",
    "1e3",
    "4",
    "0",
    "\"\"",
    "[4]",
    "4",
];

fn find(rows: &[Row], session: usize, nonce: u32) -> [&str; 4] {
    let (session, nonce) = (session.to_string(), format!("{nonce:08x}"));
    let mut found = rows.iter().filter(|row| row["session"] == session && row["nonce"] == nonce);
    let row = found.next().unwrap_or_else(|| panic!("session {session} has no share {nonce}"));
    assert!(found.next().is_none(), "session {session} has share {nonce} twice");
    [&row["result"], &row["reject_code"], &row["reject_reason"], &row["msg_id"]]
}

#[test]
fn verdicts_find_their_shares_whatever_the_ids() {
    let pool = BarePool::start();
    let recorded = Recorded::start(&pool.upstream());
    let mut miners: Vec<(TcpStream, TcpStream)> = (0..2)
        .map(|_| {
            let miner = recorded.connect();
            (miner, pool.accept())
        })
        .collect();
    let rounds = 20;
    for round in 0..rounds {
        // The shares of both in turn, in segments of several.
        for (place, id) in IDS.iter().enumerate() {
            for (miner, at_pool) in &mut miners {
                let line = submit("w", id, nonce(round, place));
                miner.write_all(line.as_bytes()).unwrap();
                expect(at_pool, line.as_bytes());
            }
        }
        // The second miner is answered first and backwards, but for what has one id: there the
        // order is all there is.
        for (number, (miner, at_pool)) in miners.iter_mut().enumerate().rev() {
            for place in order(number) {
                let (said, _) = ANSWERS[answer(round, number, place)];
                let line = format!("{{\"id\":{},{said}}}\n", IDS[place]);
                at_pool.write_all(line.as_bytes()).unwrap();
                expect(miner, line.as_bytes());
            }
        }
    }
    recorded.wait_judged(2 * (rounds * IDS.len()) as u64);
    let records = recorded.finish();
    for round in 0..rounds {
        for number in 0..2 {
            for (place, id) in IDS.iter().enumerate() {
                let [result, code, reason] = ANSWERS[answer(round, number, place)].1;
                let escaped = match *id {
                    "-7" => "'-7",
                    other => other,
                };
                assert_eq!(
                    find(&records.rows, number + 1, nonce(round, place)),
                    [result, code, reason, escaped],
                    "round {round}, miner {number}, id {id}"
                );
            }
        }
    }
    assert_eq!(records.rows.len(), 2 * rounds * IDS.len());
    assert_eq!(records.snapshot.summary.unreadable, 0);
}

fn nonce(round: usize, place: usize) -> u32 {
    (round * 100 + place) as u32
}

fn answer(round: usize, number: usize, place: usize) -> usize {
    (round * 7 + number * 3 + place) % ANSWERS.len()
}

/// In which order the shares of a miner are answered.
fn order(number: usize) -> Vec<usize> {
    let forwards: Vec<usize> = (0..IDS.len()).collect();
    if number == 0 {
        return forwards;
    }
    // Backwards; those with the same id change places among each other.
    let mut left: Vec<usize> = forwards.clone();
    forwards
        .iter()
        .rev()
        .map(|place| {
            let first = left.iter().position(|other| IDS[*other] == IDS[*place]).unwrap();
            left.remove(first)
        })
        .collect()
}
