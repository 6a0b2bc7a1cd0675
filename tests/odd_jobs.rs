//! A pool that is honest for two jobs and then pays a stranger, in forms that some miner reads. The
//! owner must see it, whatever the form: through real sockets, in both modes, by `sluice verify` and
//! by the pools that are only watched.

mod aggregate;
mod dropped;
mod early;
mod excused;
mod forms;
mod job;
mod miner;
mod owner;
mod passthrough;
mod pool;
mod references;
mod spaces;
mod subsidy;
mod verify;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::http::client;
use forms::Form;

/// The alerts of a job that pays somebody else, and of one that can't be read.
const PAYOUT: [&str; 2] = ["payout.mismatch", "job.unreadable"];

/// How many forms are tried at a time: most of the time is waiting.
const AT_A_TIME: usize = 16;

/// Tries each form, and fails with all those that did not do as they should.
fn each(group: &[Form], check: impl Fn(&Form) -> Result<(), String> + Sync) {
    each_of(group, |form| form.name, check);
}

/// As [`each`], with other things that have a name.
fn each_of<T: Sync>(
    group: &[T],
    name: impl Fn(&T) -> &'static str + Sync,
    check: impl Fn(&T) -> Result<(), String> + Sync,
) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(group.len()) {
            scope.spawn(|| {
                while let Some(one) = group.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = check(one) {
                        failed.lock().unwrap().push(format!("{}: {why}", name(one)));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} forms:\n{}", failed.len(), group.len(), failed.join("\n"));
}

/// The job id in a message, as it is written there.
fn job_id(line: &[u8]) -> Option<Vec<u8>> {
    let lower = line.to_ascii_lowercase();
    // Behind the last beginning of params: of several jobs the one that came last.
    let place = lower.windows(10).rposition(|part| part == b"\"params\":[")? + 10;
    let end = line[place..].iter().position(|byte| *byte == b',')?;
    Some(line[place..place + end].to_vec())
}
