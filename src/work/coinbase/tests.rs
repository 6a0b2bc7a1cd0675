use bitcoin::consensus::encode::deserialize;
use proptest::prelude::*;

use super::*;
use crate::work::payout::{AddressChain, payout_script};

/// The parts of a valid coinbase, to be put together and spoilt.
struct Parts {
    version: Vec<u8>,
    inputs: Vec<u8>,
    outpoint: Vec<u8>,
    script_sig: Vec<u8>,
    sequence: Vec<u8>,
    outputs: Vec<u8>,
    locktime: Vec<u8>,
}

impl Default for Parts {
    fn default() -> Parts {
        let outpoint = [vec![0; 32], vec![0xff; 4]].concat();
        let script_sig = b"\x09\x03\x69\xc1\x0e/tag/".to_vec();
        // Two outputs: 7 satoshi to OP_1, 1 satoshi to nothing.
        let outputs = vec![2, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0x51, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        Parts {
            version: vec![2, 0, 0, 0],
            inputs: vec![1],
            outpoint,
            script_sig,
            sequence: vec![0xfe, 0xff, 0xff, 0xff],
            outputs,
            locktime: vec![0x68, 0xc1, 0x0e, 0],
        }
    }
}

impl Parts {
    fn bytes(&self) -> Vec<u8> {
        let parts = [&self.version, &self.inputs, &self.outpoint, &self.script_sig, &self.sequence];
        [parts.map(Vec::as_slice).concat(), self.outputs.clone(), self.locktime.clone()].concat()
    }

    fn decode(&self) -> Result<Coinbase, CoinbaseError> {
        Coinbase::decode(self.bytes())
    }
}

/// The coinbase of `bytes` with `extranonce` cut out of it and put back by a job.
fn of_job(bytes: &[u8], extranonce: Range<usize>) -> Result<Coinbase, CoinbaseError> {
    let length = extranonce.len().min(Extranonce1::MAX);
    let middle = extranonce.start + length;
    let job = Notify::with_coinbase(bytes[..extranonce.start].to_vec(), bytes[extranonce.end..].to_vec());
    let extranonce1 = Extranonce1::from_bytes(bytes[extranonce.start..middle].to_vec()).unwrap();
    let size = Extranonce2Size::new((extranonce.end - middle) as u8).unwrap();
    Coinbase::of_job(&job, &extranonce1, size)
}

#[test]
fn every_field_is_read() {
    let coinbase = Parts::default().decode().unwrap();
    assert_eq!(coinbase.script_sig(), b"\x03\x69\xc1\x0e/tag/");
    assert_eq!(coinbase.height(), Ok(Height(967_017)));
    assert_eq!(coinbase.tag().unwrap().as_str(), "/tag/");
    let outputs: Vec<_> = coinbase.outputs().map(|output| (output.value.0, output.script)).collect();
    assert_eq!(outputs, [(7, &[0x51][..]), (1, &[])]);
    assert_eq!(coinbase.total(), Sats(8));
    let script = PayoutScript::from_bytes(vec![0x51]);
    assert_eq!(coinbase.percent_to(&script), 87.5);
    assert_eq!(coinbase.witness_commitment(), None);
}

#[test]
fn every_fault_is_named() {
    let decode = |spoil: fn(&mut Parts)| {
        let mut parts = Parts::default();
        spoil(&mut parts);
        parts.decode().unwrap_err()
    };
    assert!(matches!(decode(|parts| parts.locktime.push(9)), CoinbaseError::Trailing { .. }));
    let truncated = |error| matches!(error, CoinbaseError::Truncated { .. });
    assert!(truncated(decode(|parts| parts.locktime.truncate(3))));
    assert!(truncated(decode(|parts| parts.outputs[0] = 3)));
    assert!(truncated(decode(|parts| parts.script_sig[0] = 0xfc)));
    // A count without outputs must not make room for them.
    assert!(truncated(decode(|parts| parts.outputs = [0xff; 9].to_vec())));
    assert!(matches!(decode(|parts| parts.inputs = vec![0, 1]), CoinbaseError::Witness { at: 4, .. }));
    assert_eq!(decode(|parts| parts.inputs = vec![2]), CoinbaseError::InputCount { found: 2 });
    assert!(matches!(decode(|parts| parts.outpoint[7] = 1), CoinbaseError::Outpoint { .. }));
    assert!(matches!(decode(|parts| parts.inputs = vec![0xfd, 1, 0]), CoinbaseError::LongLength { .. }));
}

#[test]
fn sums_beyond_a_u64_do_not_overflow() {
    let mut outputs = vec![3];
    for _ in 0..3 {
        outputs.extend([0xff; 8]);
        outputs.push(0);
    }
    let coinbase = Parts { outputs, ..Parts::default() }.decode().unwrap();
    assert_eq!(coinbase.total(), Sats(u64::MAX));
    assert_eq!(coinbase.percent_to(&PayoutScript::from_bytes(vec![])), 100.0);
    let coinbase = Parts { outputs: vec![0], ..Parts::default() }.decode().unwrap();
    assert_eq!(coinbase.percent_to(&PayoutScript::from_bytes(vec![])), 0.0);
}

/// Compares with the `bitcoin` crate: whether it is a coinbase, and what is in it.
fn assert_same_as_bitcoin(bytes: &[u8]) {
    let theirs = deserialize::<bitcoin::Transaction>(bytes).ok();
    let theirs = theirs.filter(|transaction| transaction.is_coinbase());
    let theirs = theirs.filter(|transaction| transaction.input[0].witness.is_empty());
    let Ok(ours) = Coinbase::decode(bytes.to_vec()) else {
        assert_eq!(theirs, None, "{}", crate::stratum::encode_hex(bytes));
        return;
    };
    let theirs = theirs.unwrap_or_else(|| panic!("{}", crate::stratum::encode_hex(bytes)));
    assert_eq!(ours.script_sig(), theirs.input[0].script_sig.as_bytes());
    assert_eq!(ours.outputs().len(), theirs.output.len());
    for (ours, theirs) in ours.outputs().zip(&theirs.output) {
        assert_eq!(ours.value.0, theirs.value.to_sat());
        assert_eq!(ours.script, theirs.script_pubkey.as_bytes());
    }
    assert_eq!(coinbase_txid(bytes).to_string(), theirs.compute_txid().to_string());
}

fn output() -> impl Strategy<Value = (u64, Vec<u8>)> {
    (any::<u64>(), prop::collection::vec(any::<u8>(), 0..300))
}

prop_compose! {
    fn coinbase_bytes()(
        version in any::<[u8; 4]>(),
        script_sig in prop::collection::vec(any::<u8>(), 0..120),
        sequence in any::<[u8; 4]>(),
        outputs in prop::collection::vec(output(), 0..6),
        locktime in any::<[u8; 4]>(),
    ) -> Vec<u8> {
        use bitcoin::consensus::encode::serialize;
        let mut list = vec![outputs.len() as u8];
        for (value, script) in outputs {
            list.extend(value.to_le_bytes());
            list.extend(serialize(&script));
        }
        Parts {
            version: version.to_vec(),
            script_sig: serialize(&script_sig),
            sequence: sequence.to_vec(),
            outputs: list,
            locktime: locktime.to_vec(),
            ..Parts::default()
        }.bytes()
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_coinbase_to_both(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        assert_same_as_bitcoin(&bytes);
    }

    #[test]
    fn whole_coinbases_are_read_alike(bytes in coinbase_bytes()) {
        prop_assert!(Coinbase::decode(bytes.clone()).is_ok());
        assert_same_as_bitcoin(&bytes);
    }

    #[test]
    fn spoilt_coinbases_are_read_alike(
        bytes in coinbase_bytes(),
        place in any::<prop::sample::Index>(),
        instead in prop::collection::vec(any::<u8>(), 0..6),
        length in 0..6_usize,
    ) {
        let start = place.index(bytes.len());
        let end = (start + length).min(bytes.len());
        assert_same_as_bitcoin(&[&bytes[..start], &instead, &bytes[end..]].concat());
    }

    #[test]
    fn everything_can_be_asked_of_every_coinbase(
        bytes in coinbase_bytes(),
        start in any::<prop::sample::Index>(),
        length in 0..40_usize,
    ) {
        let start = start.index(bytes.len());
        let end = (start + length).min(bytes.len());
        // Zeros for the extranonce2 may make it another transaction, or none.
        if let Ok(coinbase) = of_job(&bytes, start..end) {
            let _ = (coinbase.height(), coinbase.tag(), coinbase.total(), coinbase.witness_commitment());
            for output in coinbase.outputs() {
                let percent = coinbase.percent_to(&output.payout_script());
                prop_assert!((0.0..=100.0).contains(&percent));
                for chain in [AddressChain::Mainnet, AddressChain::Testnet, AddressChain::Signet, AddressChain::Regtest] {
                    if let Some(address) = output.address(chain) {
                        let (script, chains) = payout_script(&address).unwrap();
                        prop_assert_eq!(script.as_bytes(), output.script);
                        prop_assert!(chains.contains(&chain));
                    }
                }
            }
        }
    }
}
