//! From a pool's failure to the message, and from its return to the next one.

use std::time::{Duration, Instant};

use serde_json::Value;
use sluice::app::{App, AppOptions};
use sluice::config::{Config, Overrides};
use sluice::notify::Notifier;
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};
use sluice::stratum::Difficulty;
use sluice::util::stop::Stop;

use crate::common::{DEADLINE, upstream};
use crate::notify::server::{Server, ok};
use crate::notify::tools::{pace, webhook};

/// The message about `pool.unreachable` of this kind, which comes within `limit`.
fn wait_outage(server: &Server, kind: &str, limit: Duration) -> Value {
    let began = Instant::now();
    loop {
        let messages = server.asked().into_iter().map(|asked| asked.json());
        let mut outages = messages.filter(|message| message["id"] == "pool.unreachable");
        if let Some(message) = outages.find(|message| message["kind"] == kind) {
            return message;
        }
        assert!(began.elapsed() < limit, "no {kind} within {limit:?}: {:?}", server.asked());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn cheap() -> PoolOptions {
    PoolOptions { difficulty: Difficulty::new(0.000_001).unwrap(), ..PoolOptions::default() }
}

/// Takes about two minutes: the outage is reported after 30 s, and its end when it was over for 60 s.
#[test]
fn the_failure_of_the_only_pool_and_its_return_are_told() {
    let (server, pool) = (Server::start(|_| ok()), SimPool::start(cheap()).unwrap());
    let text = format!(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\npublic_url = \"http://192.168.1.5:8080/\"\n{}{}",
        upstream(pool.addr()),
        webhook(&server.url("/hook"))
    );
    let config = Config::parse(&text, &Overrides::default()).unwrap();
    let notifier = Notifier::with_pacing(&config.notify, &pace(), &Stop::new()).unwrap();
    let options = AppOptions { notifier: Some(notifier), ..AppOptions::default() };
    let app = App::start(&config, options, &Stop::new()).unwrap();
    let options = MinerOptions {
        hash_rate_limit: Some(SimHashRate(20_000.0)),
        ..MinerOptions::new(app.addresses()[0], MinerModel::Bitaxe, "me.rig")
    };
    let miner = SimMiner::start(options).unwrap();
    assert!(pool.wait_until(Instant::now() + DEADLINE, |stats| stats.accepted() >= 1));
    pool.stop();
    let begin = wait_outage(&server, "begins", Duration::from_secs(60));
    assert_eq!(begin["title"], "Not mining: no pool can be used");
    assert_eq!(begin["page"], "http://192.168.1.5:8080/");
    pool.restart().unwrap();
    let end = wait_outage(&server, "ends", Duration::from_secs(120));
    assert!(end["title"].as_str().unwrap().starts_with("A pool can be used again after "), "{end}");
    drop(miner);
    app.shut_down(|_| ());
}
