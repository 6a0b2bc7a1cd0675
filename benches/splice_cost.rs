//! The cost of the hot path's system calls: one thread passes messages from socket to socket over loopback, by each
//! method that was considered for it.
//!
//! The same thread writes each message before and reads it after. The time of that alone is the first line, and part
//! of every other. The methods take turns within a round; figures are medians over rounds of the mean of a message.
//!
//! Settings: `BENCH_ROUNDS`, `BENCH_MESSAGES` (a round).

mod common;

use std::io::{IoSliceMut, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Instant;

use common::{median, print_table, setting};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use sluice::net::splice::Splicer;
use sluice::tap::CopiedBytes;

const SIZES: [usize; 4] = [120, 300, 1400, 4000];
const BUFFER: usize = 16 * 1024;

/// Passes a message from the first socket to the second.
type Method = Box<dyn FnMut(&TcpStream, &TcpStream)>;

fn main() {
    let (rounds, messages) = (setting("BENCH_ROUNDS", 15), setting("BENCH_MESSAGES", 5000));
    let names =
        ["nothing between", "read, write", "recvmsg with stamp, write", "splice", "splice, tee, read"];
    let mut columns = Vec::new();
    for size in SIZES {
        columns.push(measure(size, rounds, messages));
    }
    println!("\nMicroseconds a message ({rounds} rounds of {messages})\n");
    let mut rows = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let mut row = vec![(*name).to_owned()];
        for column in &columns {
            row.push(match i {
                0 => format!("{:.2}", column[0]),
                _ => format!("{:+.2}", column[i] - column[0]),
            });
        }
        rows.push(row);
    }
    let head: Vec<String> = SIZES.iter().map(|size| format!("{size} B")).collect();
    let head: Vec<&str> = [""].into_iter().chain(head.iter().map(String::as_str)).collect();
    print_table(&head, &rows);
}

/// The mean time of each method, in microseconds. The first is without any method.
fn measure(size: usize, rounds: usize, messages: usize) -> Vec<f64> {
    let mut methods = methods();
    let mut means = vec![Vec::new(); methods.len() + 1];
    // Each method has its own connections, so that the time stamps of one don't slow down another.
    let (sender, receiver) = pair();
    let pairs: Vec<_> = methods.iter().map(|_| (pair(), pair())).collect();
    for (i, ((_, inside), _)) in pairs.iter().enumerate() {
        setsockopt(inside, sockopt::ReceiveTimestampns, &(i == 1)).unwrap();
    }
    let message = vec![b'x'; size];
    let mut arrived = vec![0; size];
    for _ in 0..rounds {
        let start = Instant::now();
        for _ in 0..messages {
            (&sender).write_all(&message).unwrap();
            (&receiver).read_exact(&mut arrived).unwrap();
        }
        means[0].push(start.elapsed().as_secs_f64() * 1e6 / messages as f64);
        for (i, method) in methods.iter_mut().enumerate() {
            let ((from, inside), (outside, to)) = &pairs[i];
            let start = Instant::now();
            for _ in 0..messages {
                (&*from).write_all(&message).unwrap();
                method(inside, outside);
                (&*to).read_exact(&mut arrived).unwrap();
            }
            means[i + 1].push(start.elapsed().as_secs_f64() * 1e6 / messages as f64);
        }
    }
    means.into_iter().map(median).collect()
}

fn methods() -> Vec<Method> {
    let mut buffer = vec![0; BUFFER];
    let read_write = move |mut from: &TcpStream, mut to: &TcpStream| {
        let length = from.read(&mut buffer).unwrap();
        to.write_all(&buffer[..length]).unwrap();
    };
    let mut buffer = vec![0; BUFFER];
    let mut control = nix::cmsg_space!(TimeSpec);
    let stamped = move |from: &TcpStream, mut to: &TcpStream| {
        let length = {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let message =
                recvmsg::<()>(from.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty()).unwrap();
            let stamp = message.cmsgs().unwrap().next();
            assert!(matches!(stamp, Some(ControlMessageOwned::ScmTimestampns(_))));
            message.bytes
        };
        to.write_all(&buffer[..length]).unwrap();
    };
    let mut splicer = Splicer::new(BUFFER, false).unwrap();
    let spliced = move |from: &TcpStream, to: &TcpStream| {
        let length = splicer.take(from).unwrap();
        splicer.give(to, length).unwrap();
    };
    let mut splicer = Splicer::new(BUFFER, true).unwrap();
    let copied = move |from: &TcpStream, to: &TcpStream| {
        let length = splicer.take(from).unwrap();
        let length = splicer.duplicate(length).unwrap();
        splicer.give(to, length).unwrap();
        splicer.copy(&mut CopiedBytes::of_length(length)).unwrap();
    };
    vec![Box::new(read_write), Box::new(stamped), Box::new(spliced), Box::new(copied)]
}

fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = common::listen();
    let client = common::connect(address);
    let (server, _) = listener.accept().unwrap();
    common::tune(&server);
    (client, server)
}
