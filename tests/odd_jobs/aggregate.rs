//! Each form through the program in aggregate mode: a job that could not be judged reaches no miner.

use super::PAYOUT;
use super::each;
use super::forms::{self, Form, USUAL};
use super::job::{Job, STRANGER};
use super::miner::Miner;
use super::owner::Owner;
use super::pool::{Pool, Script};

/// The pool's message behind the odd bytes. A newline ends a line that has no end.
const MARKER: &str = "\n{\"id\":null,\"method\":\"client.show_message\",\"params\":[\"behind it\"]}\n";

/// The program between a miner and a pool that has been honest for two jobs.
struct Site {
    pool: Pool,
    owner: Owner,
    miner: Miner,
}

impl Site {
    fn start() -> Result<Site, String> {
        let (first, second) = (Job::honest(1), Job::honest(2));
        let pool = Pool::start(Script::saying((first.line() + &second.line()).as_bytes()));
        let owner = Owner::start("mode = \"aggregate\"", &pool.upstream());
        let miner = Miner::join(owner.sluice.address());
        miner.wait("both jobs", |received| count(received, b"mining.notify") >= 2);
        owner.wait_verified()?;
        Ok(Site { pool, owner, miner })
    }

    /// Whether a stranger's job in this form reaches the miner.
    fn reaches_miner(&self, form: &Form) -> bool {
        let before = self.miner.told_bytes();
        let bytes = [(form.write)(&Job::stranger(3)), MARKER.as_bytes().to_vec()].concat();
        self.pool.connection().say(&bytes);
        // A line that is too long ends the connection to the pool, and a new one begins.
        let is_over = || self.pool.authorizes() > 1;
        self.miner
            .wait_or("the words behind it", is_over, |received| count(&received[before..], b"behind it") > 0);
        let received = self.miner.received()[before..].to_ascii_lowercase();
        let is_odd = |line: &[u8]| count(line, b"notify") > 0 && !is_plain(line);
        count(&received, STRANGER.as_bytes()) > 0 || received.split(|byte| *byte == b'\n').any(is_odd)
    }
}

/// A stranger's job in this form reaches the miner, and is noticed.
fn notice(form: &Form) -> Result<(), String> {
    let site = Site::start()?;
    if !site.reaches_miner(form) {
        return Err("it reached the miner once, and now it does not".to_owned());
    }
    site.owner.wait("a stranger's job", |seen| seen.is_noticed(&PAYOUT))
}

fn count(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).filter(|window| *window == part).count()
}

/// Whether a line is a message as every miner reads it.
fn is_plain(line: &[u8]) -> bool {
    let message = sluice::stratum::Envelope::read(line);
    message.is_ok_and(|message| message.method().as_deref() == Some("mining.notify"))
}

#[test]
fn what_reaches_a_miner_is_judged() {
    let site = Site::start().unwrap();
    let is_too_long = |form: &Form| (form.write)(&Job::stranger(3)).len() > 1024 * 1024;
    let (endless, forms): (Vec<Form>, Vec<Form>) = forms::ALL.concat().into_iter().partition(is_too_long);
    let reached: Vec<Form> = forms.into_iter().filter(|form| site.reaches_miner(form)).collect();
    assert_eq!(site.pool.authorizes(), 1, "the pool was left before it had said everything");
    assert!(endless.iter().all(|form| !site.reaches_miner(form)));
    assert!(USUAL.iter().all(|usual| reached.iter().any(|form| form.name == usual.name)));
    each(&reached, notice);
}
