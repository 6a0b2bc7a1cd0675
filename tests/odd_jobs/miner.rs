//! A miner that understands nothing and works on everything.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use sluice::stratum::Nonce;

use super::job::WORKER;
use crate::common::DEADLINE;

/// A miner. All that it is told is kept.
pub struct Miner {
    stream: TcpStream,
    received: Arc<(Mutex<Received>, Condvar)>,
    submits: u32,
}

#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    has_ended: bool,
}

impl Miner {
    /// Subscribes and authorizes at once, as many miners do.
    pub fn join(address: SocketAddr) -> Miner {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let received: Arc<(Mutex<Received>, Condvar)> = Arc::default();
        let (kept, mut reader) = (Arc::clone(&received), stream.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let length = reader.read(&mut buffer).unwrap_or(0);
                let mut received = kept.0.lock().unwrap();
                received.bytes.extend_from_slice(&buffer[..length]);
                received.has_ended = length == 0;
                kept.1.notify_all();
                if length == 0 {
                    return;
                }
            }
        });
        let mut miner = Miner { stream, received, submits: 0 };
        miner.say("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"odd/1\"]}\n");
        miner.say(&format!("{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{WORKER}\",\"x\"]}}\n"));
        miner
    }

    /// Ends the connection.
    pub fn leave(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Sends these bytes. The other end may have gone.
    pub fn say(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes());
    }

    /// A share of the job with this id, as it is written in JSON.
    pub fn submit(&mut self, job: &[u8], ntime: &str) {
        self.submits += 1;
        let number = self.submits;
        let start =
            format!("{{\"id\":{},\"method\":\"mining.submit\",\"params\":[\"{WORKER}\",", 100 + number);
        let end = format!(",\"0000000{}\",{ntime},\"{number:08x}\"]}}\n", number % 10);
        let _ = self.stream.write_all(&[start.as_bytes(), job, end.as_bytes()].concat());
    }

    /// A share of the job with this id, as it is written in JSON, with this nonce and an extranonce2 of zeros.
    pub fn submit_nonce(&mut self, job: &[u8], ntime: &str, nonce: Nonce) {
        self.submits += 1;
        let id = 100 + self.submits;
        let start = format!("{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"{WORKER}\",");
        let end = format!(",\"00000000\",{ntime},\"{:08x}\"]}}\n", nonce.0);
        let _ = self.stream.write_all(&[start.as_bytes(), job, end.as_bytes()].concat());
    }

    /// Waits until what it was told fulfils this, or the connection has ended.
    pub fn wait(&self, what: &str, is_so: impl Fn(&[u8]) -> bool) {
        self.wait_or(what, || false, is_so);
    }

    /// As [`Miner::wait`], or until something else has happened.
    pub fn wait_or(&self, what: &str, other: impl Fn() -> bool, is_so: impl Fn(&[u8]) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        let mut received = self.received.0.lock().unwrap();
        while !is_so(&received.bytes) && !received.has_ended && !other() {
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            received = self.received.1.wait_timeout(received, Duration::from_millis(50)).unwrap().0;
        }
    }

    /// Everything it was told.
    pub fn received(&self) -> Vec<u8> {
        self.received.0.lock().unwrap().bytes.clone()
    }

    pub fn told_bytes(&self) -> usize {
        self.received.0.lock().unwrap().bytes.len()
    }
}
