//! AxeOS from 2.15 on ignores a job whose id is among the last 16 that it has seen since the last clean one
//! (wire reference, section 3.7). All that is given again must be new to it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice::proxy::aggregate::Limits;

use crate::aggregate::opened::{EASY, expect_accepted, expect_credited, follow_extranonces, one_pool, share};
use crate::aggregate::scripted::{PoolEnd, Scripted, Work};
use crate::aggregate::site::{Line, Site};
use crate::common::{DEADLINE, upstream};

const AGENT: &str = "bitaxe/BM1370/v2.15.1";

/// The work of such a miner.
#[derive(Default)]
struct AxeOs {
    seen: VecDeque<String>,
    /// The difficulty of the job it has taken last.
    working_at: f64,
    /// The difficulty of the next job.
    difficulty: f64,
    taken: usize,
    ignored: usize,
}

impl AxeOs {
    fn read(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("mining.set_difficulty") => self.difficulty = params[0].as_f64().unwrap(),
            Some("mining.notify") => {
                let id = params[0].as_str().unwrap().to_owned();
                if params[8] == true {
                    self.seen.clear();
                } else if self.seen.contains(&id) {
                    self.ignored += 1;
                    return;
                }
                self.seen.push_back(id);
                if self.seen.len() > 16 {
                    self.seen.pop_front();
                }
                (self.working_at, self.taken) = (self.difficulty, self.taken + 1);
            }
            _ => {}
        }
    }

    /// Reads all that came by now. Returns how many jobs of it were taken.
    fn catch_up(&mut self, line: &mut Line) -> usize {
        let before = self.taken;
        line.sent_by_now().iter().for_each(|message| self.read(message));
        self.taken - before
    }

    /// Reads until it has taken this many jobs.
    fn take(&mut self, line: &mut Line, count: usize) {
        let (until, began) = (self.taken + count, Instant::now());
        while self.taken < until {
            assert!(began.elapsed() < DEADLINE, "no job came that it would take");
            let message = line.next();
            self.read(&message);
            assert_eq!(self.ignored, 0, "{message}");
        }
    }
}

fn open(pool: &Scripted, site: &Site) -> (Line, PoolEnd, AxeOs) {
    let mut line = site.connect();
    line.worker = "acct.axe".to_owned();
    let mut end = pool.open_for(&mut line, AGENT, "aa000001");
    follow_extranonces(&mut line);
    line.ask(2, "mining.authorize", json!(["acct.axe", "x"]));
    end.authorize();
    end.set_difficulty(4000.0);
    end.notify(true);
    let mut axe = AxeOs::default();
    axe.take(&mut line, 1);
    (line, end, axe)
}

#[test]
fn every_job_that_is_given_again_is_taken() {
    let pool = Scripted::start();
    let limits = Limits { remind_after: Duration::from_millis(40), ..Limits::default() };
    let site = Site::with_limits(&upstream(pool.address()), limits);
    let (mut line, mut end, mut axe) = open(&pool, &site);
    assert_eq!(axe.working_at, 1000.0);
    // Its own wish.
    line.ask(9, "mining.suggest_difficulty", json!([2000]));
    axe.take(&mut line, 1);
    assert_eq!(axe.working_at, 2000.0);
    // The pool's difficulty falls below its own, again and again.
    for difficulty in [500.0, 250.0, 125.0, 64.0] {
        end.set_difficulty(difficulty);
        axe.take(&mut line, 1);
        assert_eq!(axe.working_at, difficulty);
    }
    // The pool gives the same job again under the same id, and others in between, which are not clean.
    for salt in [1, 2, 1, 2, 1] {
        end.give(&Work { id: format!("job{salt}"), salt, ..Work::default() });
        axe.take(&mut line, 1);
    }
    // A reminder is no job.
    axe.catch_up(&mut line);
    let reminded = line.wait("a reminder", |message| message["id"].is_null());
    assert_eq!(reminded["method"], "mining.set_difficulty");
    // It subscribes once more: it may have forgotten everything, or nothing.
    line.ask(5, "mining.subscribe", json!([AGENT]));
    line.wait_subscribed(5);
    axe.take(&mut line, 1);
    // A late joiner is another one, whose first job is the newest.
    let (mut late, mut other) = (site.connect(), AxeOs::default());
    late.worker = "acct.late".to_owned();
    late.subscribe(AGENT);
    late.ask(2, "mining.authorize", json!(["acct.late", "x"]));
    other.take(&mut late, 1);
    assert_eq!(other.working_at, 64.0);
    // A share of what it works on is good.
    end.set_difficulty(EASY);
    axe.take(&mut line, 1);
    other.take(&mut late, 1);
    expect_credited(&mut line, &mut end, "acct");
    assert_eq!((axe.ignored, other.ignored), (0, 0));
}

#[test]
fn work_of_another_connection_is_taken_and_so_is_a_flood_of_jobs() {
    let (pool, site) = one_pool("");
    let (mut line, mut end, mut axe) = open(&pool, &site);
    // More than it remembers, none of them clean; then the first ids anew.
    for salt in 1..24 {
        end.give(&Work { id: format!("job{salt}"), salt, ..Work::default() });
        axe.take(&mut line, 1);
    }
    drop(end);
    let mut end = pool.accept();
    end.open("bb000001", 8);
    end.authorize();
    end.set_difficulty(EASY);
    // As after a restart of the pool: its ids begin anew.
    end.notify(false);
    axe.take(&mut line, 1);
    assert_eq!(axe.seen.len(), 1, "the first job of another search space is clean");
    let share = share(&mut line);
    expect_accepted(&mut line, &mut end, &share);
}
