//! The vectors of `tests/data/vectors.json`: computed independently of this crate, most of them
//! from shares that real pools accepted.

use serde_json::Value;
use serde_json::value::RawValue;
use sluice::stratum::{
    Difficulty, Envelope, Extranonce1, Extranonce2Size, Nbits, Notify, PrevHash, Submit, Version,
    VersionBits, VersionMask, encode_hex,
};
use sluice::work::{
    BlockHash, Chain, ShareValues, Target, VersionConvention, assemble_coinbase, coinbase_txid,
    expected_hashes, network_difficulty, parent_hash, payout_script, prevhash_of, share_difficulty,
};

/// How far a computed difficulty may be from the expected one, relatively.
const TOLERANCE: f64 = 1e-9;

#[test]
fn every_share_is_rebuilt_to_its_hash() {
    let mut rebuilt = 0;
    for vector in list("vectors") {
        let name = text(&vector, "name");
        let Some(expected_hash) = vector.get("expected_hash").and_then(Value::as_str) else {
            continue;
        };
        let Ok(share) = Share::read(&vector) else { panic!("{name}: cannot be read") };

        let coinbase = assemble_coinbase(
            &share.job.coinb1,
            &share.extranonce1,
            &share.values.extranonce2,
            &share.job.coinb2,
        );
        expect(&vector, "expected_coinbase_hex", &encode_hex(&coinbase));
        expect(&vector, "expected_coinbase_txid", &coinbase_txid(&coinbase).to_string());
        expect(&vector, "expected_prevhash", &parent_hash(&share.job.prevhash).to_string());
        expect(&vector, "expected_version", &share.values.version.to_string());

        let header = share.values.header(&share.job, &share.extranonce1);
        expect(&vector, "expected_merkle_root_internal", &encode_hex(header.merkle_root.as_bytes()));
        expect(&vector, "expected_header_hex", &encode_hex(&header.to_bytes()));
        assert_eq!(header.hash().to_string(), expected_hash, "{name}");
        judge(&vector, &header.hash(), share.job.nbits);
        rebuilt += 1;
    }
    assert!(rebuilt >= 15, "only {rebuilt} vectors have a hash");
}

#[test]
fn refused_shares_have_the_difficulty_they_would_have() {
    let mut rebuilt = 0;
    for vector in list("vectors") {
        let Some(expected) = vector.get("would_be_share_difficulty").and_then(Value::as_f64) else {
            continue;
        };
        let name = text(&vector, "name");
        let Ok(share) = Share::read(&vector) else { panic!("{name}: cannot be read") };
        let hash = share.values.header(&share.job, &share.extranonce1).hash();
        close(share_difficulty(&hash), expected, name);
        rebuilt += 1;
    }
    assert!(rebuilt >= 5, "only {rebuilt} vectors have such a difficulty");
}

#[test]
fn malformed_submits_are_refused_by_the_reading() {
    let mut refused = 0;
    for vector in list("vectors") {
        let reason = vector.get("reject_reason").and_then(Value::as_str).unwrap_or_default();
        let malformed =
            ["Invalid extranonce2", "Invalid extranonce2 size", "Invalid nonce", "Invalid params"];
        if malformed.contains(&reason) {
            assert!(Share::read(&vector).is_err(), "{}", text(&vector, "name"));
            refused += 1;
        }
    }
    assert!(refused >= 8, "only {refused} vectors are malformed");
}

#[test]
fn the_version_conventions() {
    let (mut pools, mut clients) = (0, 0);
    for vector in list("version_semantics") {
        let job = Version::from_text(text(&vector, "job_version")).unwrap();
        if vector["kind"] == "version" {
            let mask = VersionMask::from_text(text(&vector, "mask")).unwrap();
            let bits = VersionBits::from_text(text(&vector, "bits")).unwrap();
            for (convention, key) in [
                (VersionConvention::Bip310, "bip310"),
                (VersionConvention::Or, "or_"),
                (VersionConvention::Xor, "xor"),
            ] {
                expect(&vector, key, &convention.apply(job, mask, bits).to_string());
            }
            assert_eq!(Some(mask.allows(bits)), vector["bits_inside_mask"].as_bool());
            pools += 1;
        } else {
            let rolled = Version::from_text(text(&vector, "rolled_version")).unwrap();
            let convention = if text(&vector, "client").starts_with("ESP-Miner") {
                VersionConvention::Xor
            } else {
                VersionConvention::Bip310
            };
            let bits = convention.bits_of(job, VersionMask::BIP320, rolled);
            expect(&vector, "submitted_bits", &bits.to_string());
            clients += 1;
        }
    }
    assert!(pools >= 10 && clients >= 2);
}

#[test]
fn targets_of_difficulties() {
    for vector in list("difficulty_targets") {
        let name = text(&vector, "difficulty_text");
        let value = vector["difficulty"].as_f64().unwrap();
        let raw: &RawValue = serde_json::from_str(name).unwrap();
        let difficulty = Difficulty::from_json(raw).unwrap();
        assert_eq!(difficulty.value(), value, "{name}");

        let target = Target::from_difficulty(difficulty);
        let expected = text(&vector, "target");
        if value.fract() == 0.0 || (value * 4.0).fract() == 0.0 {
            // An f64 holds these exactly, so the quotient is exact as well.
            assert_eq!(target.to_string(), expected, "{name}");
        }
        close(as_f64(&target.to_string()), as_f64(expected), name);
        close(expected_hashes(difficulty), vector["hashes_per_share"].as_f64().unwrap(), name);
    }
}

#[test]
fn targets_and_difficulties_of_nbits() {
    for vector in list("nbits") {
        let nbits = Nbits::from_text(text(&vector, "nbits")).unwrap();
        expect(&vector, "target", &Target::from_nbits(nbits).unwrap().to_string());
        let expected = vector["network_difficulty"].as_f64().unwrap();
        close(network_difficulty(nbits).unwrap(), expected, text(&vector, "nbits"));
    }
}

#[test]
fn prevhashes_in_their_three_orders() {
    for vector in list("prevhash") {
        let prevhash = PrevHash::from_text(text(&vector, "stratum")).unwrap();
        let parent = parent_hash(&prevhash);
        expect(&vector, "display", &parent.to_string());
        expect(&vector, "internal", &encode_hex(parent.as_bytes()));
        assert_eq!(prevhash_of(&parent), prevhash);
    }
}

#[test]
fn addresses_pay_their_scripts() {
    for vector in list("addresses") {
        let address = text(&vector, "address");
        match vector["network"].as_str() {
            None => assert!(payout_script(address).is_err(), "{address} is no address"),
            Some(network) => {
                let (script, chains) = payout_script(address).unwrap();
                expect(&vector, "script", &script.to_string());
                let chain = match network {
                    "mainnet" => Chain::Mainnet,
                    "testnet" => Chain::Testnet,
                    "regtest" => Chain::Regtest,
                    other => panic!("unknown network {other}"),
                };
                assert!(chains.contains(&chain), "{address} on {network}: {chains:?}");
            }
        }
    }
}

#[test]
fn jobs_of_real_pools_are_read_and_written_alike() {
    let mut jobs = 0;
    for line in include_str!("data/real_notifies.jsonl").lines() {
        let job: Value = serde_json::from_str(line).unwrap();
        let envelope = Envelope::read(text(&job, "line").as_bytes()).unwrap();
        let notify = Notify::from_params(envelope.params).unwrap();
        let written: Value = serde_json::from_str(&notify.line()).unwrap();
        let again = Notify::from_params(serde_json::from_str(&written["params"].to_string()).ok());
        assert_eq!(again.unwrap(), Notify { clean_jobs: Some(notify.clean_jobs.unwrap_or(true)), ..notify });
        jobs += 1;
    }
    assert!(jobs >= 20, "only {jobs} jobs");
}

/// A vector's job and share, read as a proxy would.
struct Share {
    extranonce1: Extranonce1,
    job: Notify,
    values: ShareValues,
}

impl Share {
    fn read(vector: &Value) -> Result<Share, String> {
        let message = |error: sluice::stratum::FieldError| error.to_string();
        let extranonce1 = Extranonce1::from_text(text(vector, "extranonce1")).map_err(message)?;
        let size = u8::try_from(vector["extranonce2_size"].as_u64().unwrap()).unwrap();
        let size = Extranonce2Size::new(size).map_err(message)?;
        let job = vector["notify_params"].to_string();
        let job = Notify::from_params(serde_json::from_str(&job).ok()).map_err(message)?;
        let submit = vector["submit_params"].to_string();
        let submit = Submit::from_params(serde_json::from_str(&submit).ok()).map_err(message)?;
        if !submit.extranonce2.has_size(size) {
            return Err(format!("extranonce2 {} is not of {size} bytes", submit.extranonce2));
        }
        let mask = vector.get("version_mask").and_then(Value::as_str);
        let version = match (submit.version_bits, mask) {
            (Some(bits), Some(mask)) => {
                let mask = VersionMask::from_text(mask).map_err(message)?;
                VersionConvention::Bip310.apply(job.version, mask, bits)
            }
            _ => job.version,
        };
        let values = ShareValues {
            extranonce2: submit.extranonce2,
            ntime: submit.ntime,
            nonce: submit.nonce,
            version,
        };
        Ok(Share { extranonce1, job, values })
    }
}

fn judge(vector: &Value, hash: &BlockHash, nbits: Nbits) {
    let name = text(vector, "name");
    if let Some(expected) = vector["expected_share_difficulty"].as_f64() {
        close(share_difficulty(hash), expected, name);
    }
    if let Some(is_block) = vector["is_block"].as_bool() {
        assert_eq!(Target::from_nbits(nbits).unwrap().is_met_by(hash), is_block, "{name}: block");
    }
    if let (Some(difficulty), Some(meets)) =
        (vector["difficulty"].as_f64(), vector["meets_difficulty"].as_bool())
    {
        let target = Target::from_difficulty(Difficulty::new(difficulty).unwrap());
        assert_eq!(target.is_met_by(hash), meets, "{name}: difficulty");
    }
}

fn list(key: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("data/vectors.json")).unwrap();
    let list = all[key].as_array().unwrap().clone();
    assert!(!list.is_empty(), "there are no {key}");
    list
}

fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {vector}"))
}

/// Compares with the vector's `key`, when it has one.
fn expect(vector: &Value, key: &str, computed: &str) {
    if let Some(expected) = vector.get(key).and_then(Value::as_str) {
        assert_eq!(computed, expected, "{key} of {}", vector.get("name").unwrap_or(&Value::Null));
    }
}

fn close(computed: f64, expected: f64, name: &str) {
    assert!((computed / expected - 1.0).abs() < TOLERANCE, "{name}: {computed} instead of {expected}");
}

/// A big-endian hex number.
fn as_f64(hex: &str) -> f64 {
    hex.chars().fold(0.0, |number, digit| number * 16.0 + f64::from(digit.to_digit(16).unwrap()))
}
