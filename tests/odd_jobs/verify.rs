//! `sluice verify` at pools that send a job in each form: one run of the program for many pools.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::PAYOUT;
use super::forms::{self, Expect, Form};
use super::job::{ADDRESS, Job};
use super::pool::{Pool, Script};

/// The most pools of one run.
const MAX_POOLS: usize = 64;
/// How long a pool is watched that is not bad for certain.
const SECONDS: &str = "2";

/// Runs the program for these pools: a report for each, and the exit code.
fn verify(pools: &[Pool]) -> (Vec<Value>, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(["verify", "--address", ADDRESS, "--seconds", SECONDS, "--json"]);
    command.args(pools.iter().map(Pool::url)).env_remove("RUST_LOG").stdin(Stdio::null());
    let output = command.output().unwrap();
    let reports = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (reports, output.status.code())
}

/// Runs the program for the pools of these scripts, which `check` is to find no fault with.
pub fn check_all(
    scripts: &[(&'static str, Script)],
    check: impl Fn(&'static str, &Value) -> Result<(), String>,
) {
    let mut failed = Vec::new();
    let mut worst = Vec::new();
    std::thread::scope(|scope| {
        let runs = scripts.chunks(MAX_POOLS).map(|scripts| {
            scope.spawn(|| {
                let pools: Vec<Pool> =
                    scripts.iter().map(|(_, script)| Pool::start(script.clone())).collect();
                verify(&pools)
            })
        });
        let runs: Vec<_> = runs.collect();
        for (run, scripts) in runs.into_iter().zip(scripts.chunks(MAX_POOLS)) {
            let (reports, code) = run.join().unwrap();
            assert_eq!(reports.len(), scripts.len());
            let codes: Vec<i64> =
                reports.iter().map(|report| report["exit_code"].as_i64().unwrap()).collect();
            let of_run = [1, 2, 0].into_iter().find(|code| codes.contains(code));
            worst.push((code.map(i64::from), of_run));
            for (report, (name, _)) in reports.iter().zip(scripts) {
                if let Err(why) = check(name, report) {
                    failed.push(format!("{name}: {why}: {}", report["findings"]));
                }
            }
        }
    });
    assert!(failed.is_empty(), "{} of {} pools:\n{}", failed.len(), scripts.len(), failed.join("\n"));
    for (code, of_run) in worst {
        assert_eq!(code, of_run, "the exit code is that of the worst");
    }
}

/// Whether a report is neither good nor silent about the job.
pub fn is_noticed(report: &Value, ids: &[&str]) -> Result<(), String> {
    let code = report["exit_code"].as_i64().unwrap();
    let findings = report["findings"].as_array().unwrap();
    let deciding = |finding: &&Value| finding["weight"] == "bad" || finding["weight"] == "unknown";
    let named = findings.iter().filter(deciding).find(|finding| ids.iter().any(|id| finding["id"] == *id));
    match (code, named) {
        (0, _) => Err("it is called good".to_owned()),
        (_, None) => Err(format!("none of {ids:?} decides")),
        (1, Some(finding)) if finding["id"] == "payout.mismatch" => Ok(()),
        (2, Some(finding)) if finding["id"] == "job.unreadable" => Ok(()),
        (code, Some(finding)) => Err(format!("the exit code is {code}, and {} decides", finding["id"])),
    }
}

/// Whether a report is good, without anything that could not be read.
pub fn is_good(report: &Value) -> Result<(), String> {
    match (report["exit_code"].as_i64(), report["jobs"]["unreadable"].as_u64()) {
        (Some(0), Some(0)) => Ok(()),
        found => Err(format!("exit code and unreadable jobs are {found:?}")),
    }
}

/// A pool that sends two honest jobs and then this one in a form.
fn script(form: &Form, job: &Job) -> Script {
    let honest = Job::honest(1).line() + &Job::honest(2).line();
    Script::saying(&[honest.as_bytes(), &(form.write)(job)].concat())
}

#[test]
fn no_form_of_a_strangers_job_is_good() {
    let forms = forms::ALL.concat();
    let scripts: Vec<_> = forms.iter().map(|form| (form.name, script(form, &Job::stranger(3)))).collect();
    check_all(&scripts, |name, report| {
        let is_read = forms.iter().any(|form| form.name == name && form.expect == Expect::Judged);
        is_noticed(report, if is_read { &PAYOUT[..1] } else { &PAYOUT[..] })
    });
}

#[test]
fn an_honest_pool_may_be_odd() {
    let forms: Vec<Form> =
        forms::ALL.concat().into_iter().filter(|form| form.expect == Expect::Judged).collect();
    let scripts: Vec<_> = forms.iter().map(|form| (form.name, script(form, &Job::honest(3)))).collect();
    check_all(&scripts, |_, report| {
        is_good(report)?;
        let count = report["jobs"]["count"].as_u64();
        if count == Some(3) { Ok(()) } else { Err(format!("{count:?} jobs were read instead of 3")) }
    });
}
