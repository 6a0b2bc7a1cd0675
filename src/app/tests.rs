use super::*;
use crate::config::UpstreamConfig;
use crate::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);
/// A share every 4,295 hashes.
const DIFFICULTY: f64 = 0.000_001;
const WORKER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.rig";

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn pool() -> SimPool {
    SimPool::start(PoolOptions::with_difficulty(DIFFICULTY).unwrap()).unwrap()
}

fn config(mode: Mode, pool: &SimPool) -> Config {
    let address = pool.addr();
    let mut config =
        Config::with_upstreams(vec![UpstreamConfig::new(address.ip().to_string(), address.port())]);
    config.mode = mode;
    config.listen.stratum = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config
}

#[test]
fn both_modes_serve_reload_and_shut_down_without_losing_a_share() {
    for mode in [Mode::Passthrough, Mode::Aggregate] {
        let (pool, directory) = (pool(), tempfile::tempdir().unwrap());
        let record_to = Some(directory.path().to_owned());
        let config = config(mode, &pool);
        let app =
            App::start(&config, AppOptions { record_to, ..AppOptions::default() }, &Stop::new()).unwrap();
        let mut options = MinerOptions::new(app.addresses()[0], MinerModel::Bitaxe, WORKER);
        options.hash_rate_limit = Some(SimHashRate(100_000.0));
        let miner = SimMiner::start(options).unwrap();
        wait_for("accepted shares", || miner.stats().accepted >= 3);
        let stats = app.proxy().stats();
        assert_eq!((stats.sessions, stats.upstreams[0].sessions), (1, 1), "{mode:?}");
        assert!(stats.upstreams[0].heard_ago.is_some(), "{mode:?}");
        assert_eq!(app.proxy().conversations().len(), 1, "{mode:?}");
        assert_eq!((app.proxy().unblock(0), app.proxy().unblock(1)), (Some(false), None), "{mode:?}");
        let Reloadable { proxy, names, .. } = app.reloadable.clone();
        proxy.relist(&config.upstreams, |listed| names.set(listed)).unwrap();
        proxy.set_vardiff(&config.vardiff);
        let mut reported = None;
        let last = app.shut_down(|status| reported = Some(status.clone()));
        let accepted = pool.stats().accepted();
        assert_eq!(miner.stats().accepted, accepted, "{mode:?}: a share in flight got no answer");
        let totals = last.totals.as_ref().unwrap();
        assert_eq!((totals.accepted, proxy.sessions()), (accepted, 0), "{mode:?}");
        let runtime = reported.unwrap().runtime;
        assert_eq!((runtime.sessions, runtime.upstreams[0].sessions), (1, 1), "{mode:?}");
        assert!(runtime.volume.bytes_up > 0, "{mode:?}");
        assert!(directory.path().join("shares.csv").exists(), "{mode:?}");
    }
}

#[test]
fn the_status_follows_the_analyzer_within_100_ms() {
    let pool = pool();
    let app = App::start(&config(Mode::Passthrough, &pool), AppOptions::default(), &Stop::new()).unwrap();
    let mut lags = Vec::new();
    // On a busy machine some may be late; one in time is enough.
    while lags.len() < 4 && lags.iter().all(|lag| *lag >= Duration::from_millis(100)) {
        let before = app.snapshot();
        wait_for("the analyzer to publish", || !Arc::ptr_eq(&before, &app.snapshot()));
        let (published_at, published) = (Instant::now(), app.snapshot());
        let is_shown = || app.snapshots.newest().snapshot.at >= published.at;
        wait_for("it to be shown", is_shown);
        lags.push(published_at.elapsed());
    }
    app.shut_down(|_| ());
    assert!(lags.iter().any(|lag| *lag < Duration::from_millis(100)), "{lags:?}");
}

#[test]
fn copies_go_to_the_given_queue_instead_of_an_analyzer() {
    let pool = pool();
    let (queue, copies) = crossbeam_channel::bounded(64);
    let options = AppOptions { queue: Some(queue), ..AppOptions::default() };
    let app = App::start(&config(Mode::Passthrough, &pool), options, &Stop::new()).unwrap();
    assert!(app.reloadable.to_analyzer.is_none() && app.snapshot().at.is_none());
    let miner =
        SimMiner::start(MinerOptions::new(app.addresses()[0], MinerModel::NerdMiner, WORKER)).unwrap();
    assert!(copies.recv_timeout(DEADLINE).is_ok());
    drop(miner);
    app.shut_down(|_| panic!("there is no analyzer to report on"));
}

/// Takes the two seconds in which more miners may follow, in both modes at once.
#[test]
fn a_new_block_is_followed_from_the_pool_to_its_last_miner() {
    let follow = |mode| {
        let pool = pool();
        let app = App::start(&config(mode, &pool), AppOptions::default(), &Stop::new()).unwrap();
        let join = || {
            let options = MinerOptions::new(app.addresses()[0], MinerModel::Bitaxe, WORKER);
            SimMiner::start(MinerOptions { hash_rate_limit: Some(SimHashRate(50_000.0)), ..options }).unwrap()
        };
        let mut miners: Vec<SimMiner> = (0..3).map(|_| join()).collect();
        wait_for("work for all", || miners.iter().all(|miner| miner.stats().accepted > 0));
        let shown = || app.snapshot().pools.first().and_then(|pool| pool.new_block);
        wait_for("their jobs", || app.snapshot().totals.as_ref().is_some_and(|totals| totals.accepted > 2));
        assert_eq!(shown(), None, "{mode:?}: a first job is no new block");
        let height = || app.snapshot().totals.as_ref().and_then(|totals| totals.height);
        let before = height();
        pool.new_block();
        wait_for("the next height", || height() > before);
        miners.push(join());
        wait_for("the new block", || shown().is_some());
        let block = shown().unwrap();
        assert_eq!((block.miners, block.blocks), (3, 1), "{mode:?}: one came after it");
        assert!(block.time > Duration::ZERO && block.time < DEADLINE, "{mode:?}: {block:?}");
        assert!(block.age >= block.time && block.median == block.time, "{mode:?}: {block:?}");
        app.shut_down(|_| ());
    };
    std::thread::scope(|scope| {
        scope.spawn(|| follow(Mode::Passthrough));
        scope.spawn(|| follow(Mode::Aggregate));
    });
}
