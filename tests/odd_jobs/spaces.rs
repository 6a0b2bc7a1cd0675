//! Search spaces in odd forms: whoever can't read them can't read a job. Through the program, and by
//! `sluice verify`.

use super::forms::Expect;
use super::job::Job;
use super::miner::Miner;
use super::owner::Owner;
use super::pool::{ID, Pool, SUBSCRIBED, Script};
use super::verify::{check_all, is_good, is_noticed};
use super::{PAYOUT, each_of};

/// A pool's way to give a search space.
struct Space {
    name: &'static str,
    expect: Expect,
    /// The answer to subscribe, as one line or more.
    subscribed: String,
    /// How many bytes both extranonces have, as the owner of the miner would read it.
    room: usize,
    /// Bytes between the honest jobs and the last one.
    change: String,
}

/// A result of subscribe, and how many bytes both extranonces have then.
fn result(name: &'static str, expect: Expect, result: &str, room: usize) -> Space {
    let subscribed = format!("{{\"id\":{ID},\"result\":{result},\"error\":null}}\n");
    Space { name, expect, subscribed, room, change: String::new() }
}

/// The usual result, in another message.
fn message(name: &'static str, expect: Expect, message: &str) -> Space {
    let subscribed = message.replace("$RESULT", SUBSCRIBED) + "\n";
    Space { name, expect, subscribed, room: 8, change: String::new() }
}

/// A change of the search space to 4 and 6 bytes in the midst.
fn change(name: &'static str, expect: Expect, message: &str) -> Space {
    let change = message.to_owned() + "\n";
    Space { change, ..result(name, expect, SUBSCRIBED, 8) }
}

fn spaces() -> Vec<Space> {
    use Expect::{Judged, Noticed};
    let long = |bytes: usize| format!("[[],\"{}\",4]", "ab".repeat(bytes));
    vec![
        result("usual", Judged, SUBSCRIBED, 8),
        result("32 bytes", Judged, &long(32), 36),
        result("33 bytes", Judged, &long(33), 37),
        result("64 bytes", Judged, &long(64), 68),
        result("101 bytes", Noticed, &long(101), 105),
        result("empty", Judged, "[[],\"\",4]", 4),
        result("0x", Noticed, "[[],\"0x08000002\",4]", 9),
        result("0x, which is left out", Noticed, "[[],\"0x08000002\",4]", 8),
        result("half a byte more", Noticed, "[[],\"080000021\",4]", 8),
        result("half a byte less", Noticed, "[[],\"0800000\",4]", 7),
        result("a blank behind", Noticed, "[[],\"08000002 \",4]", 8),
        result("other letters", Noticed, "[[],\"zz000002\",4]", 8),
        result("a number", Noticed, "[[],8000002,4]", 8),
        result("null", Noticed, "[[],null,4]", 4),
        result("a size as text", Judged, "[[],\"08000002\",\"4\"]", 8),
        result("a size of 33", Noticed, "[[],\"08000002\",33]", 37),
        result("a size of 4.0", Noticed, "[[],\"08000002\",4.0]", 8),
        result("no size", Noticed, "[[],\"08000002\"]", 8),
        result("a result that is an object", Noticed, "{\"extranonce1\":\"08000002\",\"size\":4}", 8),
        result("a result in a list", Noticed, &format!("[{SUBSCRIBED}]"), 8),
        message("id twice", Judged, "{\"id\":$ID,\"id\":$ID,\"result\":$RESULT,\"error\":null}"),
        message("result twice", Judged, "{\"id\":$ID,\"result\":$RESULT,\"result\":$RESULT,\"error\":null}"),
        message(
            "two results",
            Judged,
            "{\"id\":$ID,\"result\":[[],\"08\",4],\"result\":$RESULT,\"error\":null}",
        ),
        message(
            "two results, the other last",
            Judged,
            "{\"id\":$ID,\"result\":$RESULT,\"result\":[[],\"08\",4]}",
        ),
        message("keys in capitals", Judged, "{\"ID\":$ID,\"RESULT\":$RESULT,\"error\":null}"),
        message("text behind", Judged, "{\"id\":$ID,\"result\":$RESULT,\"error\":null} more"),
        message("an empty error", Judged, "{\"id\":$ID,\"result\":$RESULT,\"error\":[]}"),
        change(
            "set_extranonce",
            Judged,
            "{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"0a000003\",6]}",
        ),
        change(
            "Set_Extranonce",
            Judged,
            "{\"id\":null,\"method\":\"Mining.Set_Extranonce\",\"params\":[\"0a000003\",6]}",
        ),
        change(
            "set_extranonce with params twice",
            Judged,
            "{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"0a\",6],\"params\":[\"0a000003\",6]}",
        ),
        change(
            "set_extranonce with half a byte more",
            Noticed,
            "{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"0a0000031\",6]}",
        ),
        change(
            "set_extranonce with text behind",
            Judged,
            "{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"0a000003\",6]} more",
        ),
    ]
}

impl Space {
    fn script(&self, last: &Job) -> Script {
        let honest = Job::honest(1).with_room(self.room).line() + &Job::honest(2).with_room(self.room).line();
        let room = if self.change.is_empty() { self.room } else { 10 };
        let lines = honest + &self.change + &last.with_room(room).line();
        Script { subscribed: self.subscribed.clone().into_bytes(), ..Script::saying(lines.as_bytes()) }
    }
}

#[test]
fn no_search_space_makes_a_stranger_good_for_verify() {
    let spaces = spaces();
    let scripts: Vec<_> = spaces.iter().map(|space| (space.name, space.script(&Job::stranger(3)))).collect();
    check_all(&scripts, |name, report| {
        let is_read = spaces.iter().any(|space| space.name == name && space.expect == Expect::Judged);
        is_noticed(report, if is_read { &PAYOUT[..1] } else { &PAYOUT[..] })
    });
}

#[test]
fn an_honest_pool_may_give_odd_search_spaces_to_verify() {
    let read: Vec<Space> = spaces().into_iter().filter(Space::is_honest).collect();
    let scripts: Vec<_> = read.iter().map(|space| (space.name, space.script(&Job::honest(3)))).collect();
    check_all(&scripts, |_, report| is_good(report));
}

#[test]
fn no_search_space_hides_a_stranger() {
    each_of(
        &spaces(),
        |space| space.name,
        |space| {
            let job = Job::stranger(3);
            let pool = Pool::start(space.script(&job));
            let owner = Owner::start("", &pool.upstream());
            let mut miner = Miner::join(owner.sluice.address());
            let connection = pool.connection();
            miner.wait("all that the pool said", |received| received.len() as u64 >= connection.sent());
            for _ in 0..3 {
                miner.submit(job.id.as_bytes(), &job.ntime);
            }
            // Where miners differ it is enough to say so.
            let ids = if space.is_honest() { &PAYOUT[..1] } else { &PAYOUT[..] };
            owner.wait("a stranger's job", |seen| seen.is_noticed(ids))
        },
    );
}

impl Space {
    /// Whether everybody who reads it agrees in it.
    fn is_honest(&self) -> bool {
        self.expect == Expect::Judged
            && !self.name.starts_with("two results")
            && !self.name.ends_with("twice")
            || self.name == "id twice"
            || self.name == "result twice"
    }
}
