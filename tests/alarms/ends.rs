//! The ends of alerts are told, too.

use std::time::Duration;

use super::{QUICK, WRONG, alert, known_miner};
use crate::common::job_pool::{JobMiner, JobPool};
use crate::common::pool::Port;
use crate::common::{Proxy, expect_end, wait_for, wait_within};

/// Takes a minute, since an alert ends when its state was over for so long.
#[test]
fn every_alert_ends_when_its_reason_is_gone() {
    let (port, second) = (Port::reserve(), JobPool::start(true));
    let rules = "[rules]\nminer_gone_after = \"1s\"\n";
    let proxy = Proxy::to(&[port.address(), second.address()], &format!("{rules}{QUICK}"));
    let (rig, other) = (known_miner(&proxy, "w.rig"), known_miner(&proxy, "w.other"));
    drop(rig);
    let wrong = JobMiner::join(proxy.address(), WRONG);
    let ids = ["miner.gone", "pool.failed_over", "payout.address_typo"];
    for id in ids {
        wait_for(id, || alert(&proxy, id).is_some_and(|alert| alert.ended.is_none()));
    }
    drop(wrong);
    let _first = JobPool::on(port.open(), true);
    expect_end(&other.0);
    let _back = (known_miner(&proxy, "w.rig"), known_miner(&proxy, "w.other"));
    for id in ids {
        let ended = || alert(&proxy, id).is_some_and(|alert| alert.ended.is_some());
        wait_within(Duration::from_secs(150), id, &mut { ended });
    }
    let events = proxy.snapshot().events.clone();
    for id in ids {
        let kinds = events.iter().filter(|event| event.subject == id).map(|event| event.kind.as_ref());
        assert_eq!(kinds.collect::<Vec<_>>(), ["alert.ended", "alert.begun"], "{id}");
    }
}
