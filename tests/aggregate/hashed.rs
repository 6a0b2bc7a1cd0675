//! A share is hashed once: what it was hashed to when it was judged, the analyzer does not hash again.

use sluice::tap::TapEvent;
use sluice::work::BlockHash;

use crate::aggregate::opened::first_at_once;
use crate::aggregate::scripted::Scripted;
use crate::aggregate::share_search::Field;
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
    let (mut miner, mut pool) = first_at_once(&site, &scripted, ("NerdMinerV2/V1.8.3", "w"), 1e-5);
    let mut field = Field::of(&miner, 0xbeef);
    // One that is counted here, and one that the pool gets.
    let shares = [field.between(1.01e-6, 9.9e-6), field.at_least(1e-5)];
    for share in &shares {
        miner.submit(share);
    }
    pool.accept_share();
    let hashes = || -> Vec<_> { analyzer.snapshot().recent.shares.iter().map(|share| share.hash).collect() };
    wait_for("two shares at the analyzer", || hashes().len() == 2);
    assert_eq!(hashes(), [Some(marked), Some(marked)]);
}
