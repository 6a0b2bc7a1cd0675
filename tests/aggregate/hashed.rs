//! A share is hashed once: what it was hashed to when it was judged, the analyzer does not hash again.

use serde_json::json;
use sluice::tap::TapEvent;
use sluice::work::BlockHash;

use crate::aggregate::finding::Field;
use crate::aggregate::scripted::Scripted;
use crate::aggregate::site::Site;
use crate::common::{upstream, wait_for};

#[test]
fn the_analyzer_takes_the_hash_with_which_a_share_was_judged() {
    // No share has this hash, so the analyzer has it from nowhere else.
    let marked = BlockHash::from_bytes([0x77; 32]);
    let scripted = Scripted::start();
    let text = format!("[vardiff]\nmax = 0.000001\n{}", upstream(scripted.address()));
    let (site, analyzer) = Site::tapped(&text, move |mut copy| {
        if let TapEvent::Hashed(share) = &mut copy.event {
            share.hash = marked;
        }
        copy
    });
    let mut miner = site.connect();
    miner.worker = "w".to_owned();
    miner.ask(1, "mining.subscribe", json!(["NerdMinerV2/V1.8.3"]));
    miner.ask(2, "mining.authorize", json!(["w", "x"]));
    let mut pool = scripted.open("ab12", 8, 1e-5);
    let answer = miner.answer(1);
    miner.seated(&answer);
    miner.wait_job();
    let mut field = Field::of(&miner, 0xbeef);
    // One that is counted here, and one that the pool gets.
    let shares = [field.between(1.01e-6, 9.9e-6), field.at_least(1e-5)];
    for share in &shares {
        miner.submit(share);
    }
    let request = pool.share();
    pool.answer(&request, json!(true));
    let hashes = || -> Vec<_> { analyzer.snapshot().recent.shares.iter().map(|share| share.hash).collect() };
    wait_for("two shares at the analyzer", || hashes().len() == 2);
    assert_eq!(hashes(), [Some(marked), Some(marked)]);
}
