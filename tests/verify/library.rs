//! The same in this process, where the pool can be told what to do at the right moment.

use std::time::{Duration, Instant};

use sluice::config::{Network, TargetFlags};
use sluice::sim::PoolOptions;
use sluice::util::stop::Stop;
use sluice::verify::{PoolReport, VerifyOutcome, VerifySettings, WatchEnd, Weight, verify, verify_all};

use super::{ADDRESS, options, pool, url};
use crate::common::{DEADLINE, refusing_address};

fn settings(limit: Duration) -> VerifySettings {
    let settings = VerifySettings::new(ADDRESS, Network::Auto).unwrap();
    VerifySettings { limit, is_brief: false, ..settings }
}

fn flags(urls: Vec<String>) -> TargetFlags {
    TargetFlags { urls, address: ADDRESS.to_owned(), ..TargetFlags::default() }
}

#[test]
fn what_a_pool_says_in_the_middle_is_told() {
    let pool = pool(options());
    let targets = flags(vec![url(&pool)]).parse().unwrap();
    let stop = Stop::new();
    let report: PoolReport = std::thread::scope(|scope| {
        let watching = scope.spawn(|| verify(&targets.pools[0], &settings(DEADLINE), &stop));
        assert!(pool.wait_until(Instant::now() + DEADLINE, |stats| stats.jobs_sent >= 1));
        pool.broadcast(r#"{"id":null,"method":"client.reconnect","params":["elsewhere.example",3333]}"#);
        pool.broadcast(r#"{"id":null,"method":"client.show_message","params":["down at noon"]}"#);
        pool.broadcast(r#"{"id":null,"method":"mining.set_extranonce","params":["0badcafe",8]}"#);
        pool.new_block();
        let before = pool.stats().jobs_sent;
        assert!(pool.wait_until(Instant::now() + DEADLINE, |stats| stats.jobs_sent >= before + 2));
        // The end of the connection comes after all that was sent.
        pool.kill_connections();
        watching.join().unwrap()
    });
    let observations = &report.watched.observations;
    assert!(
        observations.reconnect.as_ref().is_some_and(|reconnect| reconnect.is_foreign),
        "{observations:?}"
    );
    assert_eq!(observations.messages, ["down at noon"]);
    assert!(observations.extranonce_changed && matches!(report.watched.end, WatchEnd::Closed(_)));
    let height =
        |job: Option<&sluice::verify::ObservedJob>| job.and_then(|job| job.height).map(|height| height.0);
    assert_eq!(height(observations.jobs.first()), Some(967_017));
    assert_eq!(height(observations.jobs.newest.as_ref()), Some(967_018));
    let warned = |id: &str| {
        report.findings.iter().any(|finding| finding.id == id && finding.weight == Weight::Warning)
    };
    assert!(warned("pool.redirect") && warned("extranonce.changed"), "{:?}", report.findings);
    assert_eq!(report.outcome, VerifyOutcome::Good);
}

#[test]
fn reports_come_in_the_order_asked_for() {
    let nobody = format!("stratum+tcp://{}", refusing_address());
    let pools = [pool(options()), pool(PoolOptions { transactions: 0, ..options() })];
    let urls = vec![url(&pools[0]), nobody, url(&pools[1])];
    let targets = flags(urls.clone()).parse().unwrap();
    let brief = VerifySettings { is_brief: true, ..settings(DEADLINE) };
    let reports = verify_all(&targets.pools, &brief, &Stop::new()).unwrap();
    let found: Vec<(&str, VerifyOutcome)> =
        reports.iter().map(|report| (report.pool.as_str(), report.outcome)).collect();
    let wanted = [VerifyOutcome::Good, VerifyOutcome::Unknown, VerifyOutcome::Good];
    assert_eq!(found, urls.iter().map(String::as_str).zip(wanted).collect::<Vec<_>>());
    let empty = |report: &PoolReport| report.findings.iter().any(|finding| finding.id == "chain.empty_job");
    assert!(!empty(&reports[0]) && empty(&reports[2]));
    // Nobody submitted anything.
    assert!(pools.iter().all(|pool| pool.stats().workers.is_empty()));
}

#[test]
fn whoever_is_stopped_at_once_says_so() {
    let pool = pool(options());
    let targets = flags(vec![url(&pool)]).parse().unwrap();
    let stop = Stop::new();
    stop.stop();
    let report = verify(&targets.pools[0], &settings(DEADLINE), &stop);
    assert_eq!((report.outcome, &report.watched.end), (VerifyOutcome::Unknown, &WatchEnd::Stopped));
}
