//! Programs that are told.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice::notify::SendPacing;

use crate::common::wait_for;
use crate::notify::tools::{alert, pace, start, wait_health};

fn exec(script: &str, argument: &Path) -> String {
    format!(
        "[[notify]]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", {script:?}, \"sh\", {argument:?}]\n"
    )
}

#[test]
fn it_gets_the_alert_on_stdin_and_in_its_environment_and_nothing_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let script = "cat > \"$1/stdin\"; env > \"$1/env\"; pwd > \"$1/pwd\"; echo well >&2";
    let notifier = start(&exec(script, dir.path()), &pace());
    notifier.notify(&alert("$(touch /tmp/never) `x`; pool"));
    wait_health(&notifier, "its end", |health| health.sent == 1);
    let written: Value = serde_json::from_slice(&fs::read(dir.path().join("stdin")).unwrap()).unwrap();
    assert_eq!((&written["id"], &written["data"]["percent"]), (&"payout.mismatch".into(), &0.5.into()));
    let environment = fs::read_to_string(dir.path().join("env")).unwrap();
    for line in [
        "SLUICE_ALERT_ID=payout.mismatch",
        "SLUICE_ALERT_KIND=begins",
        "SLUICE_ALERT_SEVERITY=high",
        "SLUICE_ALERT_TIME=2026-11-21T02:13:40.123Z",
        "SLUICE_ALERT_SUBJECT=$(touch /tmp/never) `x`; pool",
        "SLUICE_ALERT_DESCRIPTION=$(touch /tmp/never) `x`; pool: a block would pay nothing to you",
    ] {
        assert!(environment.lines().any(|found| found == line), "no {line} in {environment}");
    }
    // Cargo sets many for this test, as a service manager may set secrets.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!environment.contains("CARGO"), "{environment}");
}

#[test]
fn one_that_does_not_read_may_end_as_it_likes() {
    let dir = tempfile::tempdir().unwrap();
    let notifier = start(&exec("exec 0<&-; exit 0", dir.path()), &pace());
    let mut large = alert("pool");
    large.data["much"] = "x".repeat(15_000).into();
    notifier.notify(&large);
    wait_health(&notifier, "its end", |health| health.sent == 1);
}

#[test]
fn one_that_hangs_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let script = "sleep 3600 & echo $! > \"$1/child\"; echo $$ > \"$1/own\"; cat /dev/zero >&2; wait";
    let quick = SendPacing { program_limit: Duration::from_millis(500), ..pace() };
    let notifier = start(&exec(script, dir.path()), &quick);
    notifier.notify(&alert("pool"));
    let health = wait_health(&notifier, "its end", |health| health.failed == 1);
    assert_eq!(health.last_error.as_deref(), Some("it did not end within 500ms and was killed"));
    for name in ["own", "child"] {
        let id = fs::read_to_string(dir.path().join(name)).unwrap();
        wait_for("the end of the processes", || is_gone(id.trim()));
    }
}

/// Gone, or a zombie whose new parent has not looked yet.
fn is_gone(id: &str) -> bool {
    match fs::read_to_string(format!("/proc/{id}/stat")) {
        Ok(stat) => stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')),
        Err(_) => true,
    }
}

#[test]
fn the_end_does_not_wait_for_one_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let script = "echo $$ > \"$1/own.new\"; mv \"$1/own.new\" \"$1/own\"; exec sleep 3600";
    let quick = SendPacing { finish_limit: Duration::from_millis(200), ..pace() };
    let notifier = start(&exec(script, dir.path()), &quick);
    notifier.notify(&alert("pool"));
    wait_for("its start", || dir.path().join("own").exists());
    let began = Instant::now();
    notifier.finish();
    // `program_limit` is 10 s.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let id = fs::read_to_string(dir.path().join("own")).unwrap();
    wait_for("its end", || is_gone(id.trim()));
}

#[test]
fn its_exit_code_counts() {
    let dir = tempfile::tempdir().unwrap();
    let count = || fs::read_to_string(dir.path().join("runs")).unwrap().lines().count();
    let notifier = start(&exec("echo run >> \"$1/runs\"; exit 3", dir.path()), &pace());
    notifier.notify(&alert("pool"));
    let health = wait_health(&notifier, "its end", |health| health.failed == 1);
    assert_eq!((health.last_error.as_deref(), count()), (Some("it ended with exit status: 3"), 1));
    let notifier = start(&exec("echo run >> \"$1/runs\"; exit 75", dir.path()), &pace());
    notifier.notify(&alert("pool"));
    wait_health(&notifier, "giving up", |health| health.failed == 1);
    assert_eq!(count(), 1 + 5);
}

#[test]
fn one_that_is_not_there_is_told() {
    let notifier =
        start("[[notify]]\nkind = \"exec\"\ncommand = [\"/nowhere/s3cret\", \"s3cret\"]\n", &pace());
    assert!(!format!("{notifier:?}").contains("s3cret"));
    notifier.notify(&alert("pool"));
    let error = wait_health(&notifier, "giving up", |health| health.failed == 1).last_error.unwrap();
    assert!(error.starts_with("it can't be started") && !error.contains("s3cret"), "{error}");
}
