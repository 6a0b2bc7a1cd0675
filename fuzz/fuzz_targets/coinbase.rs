//! A coinbase: two bytes for the place of the extranonces, one for their length, then coinb1 and
//! coinb2 in one piece.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::stratum::{Extranonce1, Extranonce2Size, JobId, Nbits, Notify, Ntime, PrevHash, Version};
use sluice::work::{AddressChain, Coinbase, payout_script};

fuzz_target!(|data: &[u8]| {
    let Some(([low, high, total], halves)) = data.split_first_chunk() else {
        return;
    };
    let cut = usize::from(u16::from_le_bytes([*low, *high])).min(halves.len());
    let job = Notify {
        job_id: JobId::from_counter(1),
        prevhash: PrevHash::from_wire_bytes([0; 32]),
        coinb1: halves[..cut].to_vec(),
        coinb2: halves[cut..].to_vec(),
        branches: Vec::new(),
        version: Version(0),
        nbits: Nbits(0),
        ntime: Ntime(0),
        clean_jobs: None,
    };
    let size = Extranonce2Size::new(total % 33).unwrap();
    let Ok(coinbase) = Coinbase::of_job(&job, &Extranonce1::default(), size) else {
        return;
    };
    let _ = (coinbase.height(), coinbase.witness_commitment());
    if let Some(tag) = coinbase.tag() {
        assert!(!tag.as_str().contains(char::is_control), "{tag}");
    }
    for output in coinbase.outputs() {
        assert!(output.value <= coinbase.total());
        for chain in [AddressChain::Mainnet, AddressChain::Testnet, AddressChain::Signet, AddressChain::Regtest] {
            if let Some(address) = output.address(chain) {
                let (script, chains) = payout_script(&address).unwrap();
                assert_eq!(script.as_bytes(), output.script);
                assert!(chains.contains(&chain));
            }
        }
    }
    // The same bytes are the same transaction, whoever joined them.
    let again = Coinbase::decode(coinbase.as_bytes().to_vec()).unwrap();
    assert!(again.outputs().eq(coinbase.outputs()));
});
