//! From the wire to the message: a pool that pays a stranger.

use std::time::Instant;

use sluice::app::{App, AppOptions};
use sluice::config::{Config, Overrides};
use sluice::notify::Notifier;
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPayout, SimPool};
use sluice::stratum::{Difficulty, Nbits};
use sluice::util::stop::Stop;

use crate::common::{DEADLINE, upstream, wait_for};
use crate::notify::server::{Server, ok};
use crate::notify::tools::{pace, webhook};

const OWN: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const STRANGER: &str = "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3";

#[test]
fn a_pool_that_pays_a_stranger_is_told_once() {
    let server = Server::start(|_| ok());
    let pool = SimPool::start(PoolOptions {
        difficulty: Difficulty::new(0.000_001).unwrap(),
        payout: SimPayout::Address(STRANGER.into()),
        // As difficult as Bitcoin's, or that would be an alert too.
        nbits: Nbits(0x1702_1369),
        ..PoolOptions::default()
    })
    .unwrap();
    let text = format!(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n{}{}good_news = false\n",
        upstream(pool.addr()),
        webhook(&server.url("/hook"))
    );
    let config = Config::parse(&text, &Overrides::default()).unwrap();
    assert!(config.ignored_keys.is_empty());
    let directory = tempfile::tempdir().unwrap();
    let notifier = Notifier::with_pacing(&config.notify, &pace(), &Stop::new()).unwrap();
    let record_to = Some(directory.path().to_owned());
    let options = AppOptions { record_to, notifier: Some(notifier.clone()), ..AppOptions::default() };
    let app = App::start(&config, options, &Stop::new()).unwrap();
    let options = MinerOptions {
        hash_rate_limit: Some(SimHashRate(200_000.0)),
        ..MinerOptions::new(app.addresses()[0], MinerModel::Bitaxe, format!("{OWN}.rig"))
    };
    let miner = SimMiner::start(options).unwrap();
    for shares in [20, 40, 60] {
        let deadline = Instant::now() + DEADLINE;
        assert!(pool.wait_until(deadline, |stats| stats.accepted() >= shares));
        pool.new_block();
    }
    let asked = server.wait(1).remove(0).json();
    wait_for("several jobs to be judged", || {
        app.snapshot().totals.as_ref().is_some_and(|totals| totals.accepted >= 60)
    });
    drop(miner);
    app.shut_down(|_| ());
    assert_eq!((&asked["id"], &asked["kind"]), (&"payout.mismatch".into(), &"begins".into()));
    assert!(asked["description"].as_str().unwrap().contains(OWN), "{asked}");
    assert_eq!(asked["data"]["outputs"][0]["address"], STRANGER);
    assert_eq!(server.asked().len(), 1, "{:?}", server.asked());
    assert_eq!(notifier.health()[0].sent, 1);
}
