//! The vectors of `tests/data/vectors.json`: computed independently of this crate, most of them
//! from shares that real pools accepted. And the shares of the recorded conversations, each with
//! the verdict of the pool that got it. Coinbases and jobs are in `coinbases.rs`.

use crate::common::capture;
#[path = "vectors/session.rs"]
mod session;
use std::collections::HashSet;

use crate::vectors::{all_ran, close, expect, list, read_json, text};
use serde_json::Value;
use serde_json::value::RawValue;
use session::Session;
use sluice::stratum::{
    Difficulty, Envelope, Extranonce1, Extranonce2Size, Nbits, Notify, PrevHash, Submit, Version,
    VersionBits, VersionMask, encode_hex,
};
use sluice::work::{
    AddressChain, BlockHash, PreparedJob, RebuildError, RebuiltShare, ShareTerms, ShareValues, Target,
    VersionConvention, assemble_coinbase, coinbase_txid, expected_hashes, network_difficulty, parent_hash,
    payout_script, prevhash_of, share_difficulty,
};

#[test]
fn every_share_is_rebuilt_to_its_header_and_hash() {
    let vectors = list("vectors");
    let (mut whole, mut would_be, mut without) = (0, 0, 0);
    for vector in &vectors {
        let name = text(vector, "name");
        let share = Share::read(vector).and_then(|share| share.rebuild().ok_or("no share".to_owned()));
        if vector.get("expected_hash").is_some() {
            check_whole(vector, &share.unwrap_or_else(|error| panic!("{name}: {error}")));
            whole += 1;
        } else if let Some(difficulty) = vector.get("would_be_share_difficulty").and_then(Value::as_f64) {
            let share = share.unwrap_or_else(|error| panic!("{name}: {error}"));
            close(share.difficulty, difficulty, name);
            would_be += 1;
        } else {
            assert!(share.is_err(), "{name}: nobody can know what was hashed");
            without += 1;
        }
    }
    assert!(whole > 0 && would_be > 0 && without > 0, "{whole}, {would_be}, {without}");
    all_ran("vectors, rebuilt", &vectors, whole + would_be + without);
}

/// Compares with everything that a vector knows of its share.
fn check_whole(vector: &Value, share: &RebuiltShare) {
    let name = text(vector, "name");
    let Share { extranonce1, job, submit, terms } = Share::read(vector).unwrap();
    let coinbase = assemble_coinbase(&job.coinb1, &extranonce1, &submit.extranonce2, &job.coinb2);
    expect(vector, "expected_coinbase_hex", &encode_hex(&coinbase));
    expect(vector, "expected_coinbase_txid", &coinbase_txid(&coinbase).to_string());
    expect(vector, "expected_prevhash", &share.header.parent.to_string());
    expect(vector, "expected_version", &share.version().to_string());
    expect(vector, "expected_merkle_root_internal", &encode_hex(share.header.merkle_root.as_bytes()));
    expect(vector, "expected_header_hex", &encode_hex(&share.header.to_bytes()));
    expect(vector, "expected_hash", &share.hash.to_string());
    close(share.difficulty, vector["expected_share_difficulty"].as_f64().unwrap(), name);
    assert_eq!(Some(share.is_block), vector["is_block"].as_bool(), "{name}: block");
    if let Some(meets) = vector.get("meets_difficulty") {
        assert_eq!(Some(share.meets(terms.difficulty)), meets.as_bool(), "{name}: difficulty");
    }
}

#[test]
fn every_share_is_judged_as_a_pool_should() {
    let vectors = list("vectors");
    let mut judged = 0;
    for vector in &vectors {
        let name = text(vector, "name");
        let code = judge(vector).err();
        let expected = match text(vector, "expect") {
            "reject" => Some(vector["reject_code"].as_u64().unwrap()),
            "accept" | "header-only" => None,
            other => panic!("{name}: what is {other}?"),
        };
        assert_eq!(code, expected, "{name}");
        if let Some(nonce) = vector.get("forward_nonce") {
            let submit = read_submit(&vector["submit_params"]).unwrap();
            assert_eq!(Some(submit.nonce.to_string().as_str()), nonce.as_str());
        }
        if vector.get("forward_anyway").is_some() {
            assert!(Share::read(vector).unwrap().rebuild().unwrap().is_block, "{name}");
        }
        judged += 1;
    }
    all_ran("vectors, judged", &vectors, judged);
}

/// A small pool with ckpool's order of tests.
///
/// # Errors
/// The code of the refusal.
fn judge(vector: &Value) -> Result<(), u64> {
    let context = &vector["context"];
    if context["subscribed"] == false {
        return Err(25);
    }
    let submit = read_submit(&vector["submit_params"]).map_err(|_| 20_u64)?;
    if let Some(names) = context["authorized"].as_array() {
        if !names.iter().any(|name| *name == submit.worker.as_str()) {
            return Err(24);
        }
    }
    let share = Share::read(vector).map_err(|_| 20_u64)?;
    let stale = context.get("then_notify").map(read_notify).is_some_and(|next| {
        next.is_clean_after(Some(&share.job.prevhash)) && next.prevhash != share.job.prevhash
    });
    if submit.job_id != share.job.job_id || stale {
        return Err(21);
    }
    if !submit.ntime.is_within(share.job.ntime) {
        return Err(20);
    }
    let rebuilt = share.prepared().rebuild(&submit, &share.terms).map_err(|_| 20_u64)?;
    let mut seen = HashSet::new();
    for earlier in context["already_accepted"].as_array().unwrap_or(&Vec::new()) {
        let earlier = read_submit(earlier).unwrap();
        seen.insert(share.prepared().rebuild(&earlier, &share.terms).unwrap().hash);
    }
    if !rebuilt.meets(share.terms.difficulty) && text(vector, "expect") != "header-only" {
        return Err(23);
    }
    if seen.insert(rebuilt.hash) { Ok(()) } else { Err(22) }
}

#[test]
fn version_semantics() {
    let vectors = list("version_semantics");
    let mut ran = 0;
    for vector in &vectors {
        let job = Version::from_text(text(vector, "job_version")).unwrap();
        if vector["kind"] == "version" {
            let mask = VersionMask::from_text(text(vector, "mask")).unwrap();
            let bits = VersionBits::from_text(text(vector, "bits")).unwrap();
            let versions = VersionConvention::ALL.map(|convention| convention.apply(job, mask, bits));
            for (version, key) in versions.iter().zip(["bip310", "xor", "or_"]) {
                expect(vector, key, &version.to_string());
            }
            assert_eq!(Some(mask.allows(bits)), vector["bits_inside_mask"].as_bool());
            let agree = versions.iter().all(|version| *version == versions[0]);
            assert_eq!(Some(agree), vector["all_agree"].as_bool());
        } else {
            let rolled = Version::from_text(text(vector, "rolled_version")).unwrap();
            let convention = match text(vector, "client").starts_with("ESP-Miner") {
                true => VersionConvention::Xor,
                false => VersionConvention::Bip310,
            };
            let bits = VersionBits::from_text(text(vector, "submitted_bits")).unwrap();
            assert_eq!(convention.apply(job, VersionMask::BIP320, bits), rolled);
        }
        ran += 1;
    }
    all_ran("version_semantics", &vectors, ran);
}

#[test]
fn targets_of_difficulties() {
    let vectors = list("difficulty_targets");
    let mut ran = 0;
    for vector in &vectors {
        let name = text(vector, "difficulty_text");
        let value = vector["difficulty"].as_f64().unwrap();
        let raw: &RawValue = serde_json::from_str(name).unwrap();
        let difficulty = Difficulty::from_json(raw).unwrap();
        assert_eq!(difficulty.value(), value, "{name}");

        let target = Target::from_difficulty(difficulty);
        let expected = text(vector, "target");
        if (value * 4.0).fract() == 0.0 {
            // An f64 holds these exactly, so the quotient is exact as well.
            assert_eq!(target.to_string(), expected, "{name}");
        }
        close(as_f64(&target.to_string()), as_f64(expected), name);
        close(expected_hashes(difficulty), vector["hashes_per_share"].as_f64().unwrap(), name);
        ran += 1;
    }
    all_ran("difficulty_targets", &vectors, ran);
}

#[test]
fn targets_and_difficulties_of_nbits() {
    let vectors = list("nbits");
    let mut ran = 0;
    for vector in &vectors {
        let nbits = Nbits::from_text(text(vector, "nbits")).unwrap();
        expect(vector, "target", &Target::from_nbits(nbits).unwrap().to_string());
        let expected = vector["network_difficulty"].as_f64().unwrap();
        close(network_difficulty(nbits).unwrap(), expected, text(vector, "nbits"));
        ran += 1;
    }
    all_ran("nbits", &vectors, ran);
}

#[test]
fn prevhashes_in_their_three_orders() {
    let vectors = list("prevhash");
    let mut ran = 0;
    for vector in &vectors {
        let prevhash = PrevHash::from_text(text(vector, "stratum")).unwrap();
        let parent = parent_hash(&prevhash);
        expect(vector, "display", &parent.to_string());
        expect(vector, "internal", &encode_hex(parent.as_bytes()));
        assert_eq!(prevhash_of(&parent), prevhash);
        ran += 1;
    }
    all_ran("prevhash", &vectors, ran);
}

#[test]
fn addresses_pay_their_scripts() {
    let vectors = list("addresses");
    let mut ran = 0;
    for vector in &vectors {
        let address = text(vector, "address");
        match vector["network"].as_str() {
            None => assert!(payout_script(address).is_err(), "{address} is no address"),
            Some(network) => {
                let (script, chains) = payout_script(address).unwrap();
                expect(vector, "script", &script.to_string());
                assert!(
                    chains.contains(&crate::vectors::chain(network)),
                    "{address} on {network}: {chains:?}"
                );
                // No text is one of the main chain and of another.
                assert_eq!(
                    chains.contains(&AddressChain::Mainnet),
                    chains.len() == 1 && network == "mainnet"
                );
            }
        }
        ran += 1;
    }
    all_ran("addresses", &vectors, ran);
}

#[test]
fn sequences_of_difficulties() {
    let sequences = list("sequences");
    let mut ran = 0;
    for sequence in &sequences {
        let name = text(sequence, "name");
        let mut session = Session::new();
        let mut submits = 0;
        for message in sequence["messages"].as_array().unwrap() {
            let value = &message[1];
            match message[0].as_str().unwrap() {
                "subscribe_result" => {
                    session.extranonce1 = Extranonce1::from_text(value.as_str().unwrap()).unwrap();
                    session.size = Extranonce2Size::new(message[2].as_u64().unwrap() as u8).unwrap();
                }
                "set_version_mask" => {
                    session.mask = VersionMask::from_text(value.as_str().unwrap()).ok();
                }
                "set_difficulty" => session.timeline.set_difficulty(difficulty(value)),
                "notify" => session.notify(read_notify(value)),
                "submit" => {
                    check_sequence(sequence, &session, &read_submit(value).unwrap());
                    submits += 1;
                }
                other => panic!("{name}: what is {other}?"),
            }
        }
        assert_eq!(submits, 1, "{name}");
        ran += 1;
    }
    all_ran("sequences", &sequences, ran);
}

/// The session's verdict on its only share is the sequence's.
fn check_sequence(sequence: &Value, session: &Session, submit: &Submit) {
    let name = text(sequence, "name");
    let lowest = session.timeline.lowest(&submit.job_id).unwrap();
    let share = match session.rebuild(submit) {
        Ok(share) => share,
        Err(error) => {
            // OCEAN's share came before the answer to configure.
            assert!(matches!(error, RebuildError::RollingNotAgreed { .. }), "{name}: {error}");
            error.share().unwrap().clone()
        }
    };
    assert_eq!(share.meets(lowest), text(sequence, "expect").starts_with("accept"), "{name}");
    if let Some(credited) = sequence.get("credited_difficulty") {
        assert_eq!(Some(lowest.value()), credited.as_f64(), "{name}");
    }
}

#[test]
fn every_recorded_share_is_worth_what_its_pool_said() {
    let (mut accepted, mut refused) = (0, 0);
    for file in capture::files() {
        for conversation in capture::read(&file) {
            let mut session = Session::new();
            let lines = conversation
                .pieces
                .iter()
                .flat_map(|piece| piece.bytes.split(|byte| *byte == b'\n').map(|line| (piece.from, line)));
            for (from, line) in lines.filter(|(_, line)| !line.is_empty()) {
                let Ok(envelope) = Envelope::read(line) else { continue };
                let name = format!("{}, connection {}", file.display(), conversation.connection);
                match from {
                    capture::From::Miner => session.request(&envelope),
                    capture::From::Pool => match session.message(&envelope) {
                        Some((share, range, true)) => {
                            assert!(share.meets(range.lowest), "{name}: {share:?} below {range:?}");
                            accepted += 1;
                        }
                        Some((share, range, false)) => {
                            // Duplicates and the like may be good; what is low must be refused.
                            refused += usize::from(!share.meets(range.lowest));
                        }
                        None => {}
                    },
                }
            }
        }
    }
    println!("recorded shares: {accepted} accepted, {refused} refused as too low");
    assert!(accepted >= 20, "only {accepted} accepted shares are recorded");
}

/// A vector's job, share and terms, read as a proxy would.
struct Share {
    extranonce1: Extranonce1,
    job: Notify,
    submit: Submit,
    terms: ShareTerms,
}

impl Share {
    fn read(vector: &Value) -> Result<Share, String> {
        let size = u8::try_from(vector["extranonce2_size"].as_u64().unwrap()).unwrap();
        let mask = vector.get("version_mask").and_then(Value::as_str);
        let terms = ShareTerms {
            extranonce2_size: Extranonce2Size::new(size).unwrap(),
            version_mask: mask.map(|mask| VersionMask::from_text(mask).unwrap()),
            // Only a header is attested for those without one.
            difficulty: vector["difficulty"]
                .as_f64()
                .map_or(Difficulty::ONE, |_| difficulty(&vector["difficulty"])),
        };
        Ok(Share {
            extranonce1: Extranonce1::from_text(text(vector, "extranonce1")).unwrap(),
            job: read_notify(&vector["notify_params"]),
            submit: read_submit(&vector["submit_params"])?,
            terms,
        })
    }

    fn prepared(&self) -> PreparedJob {
        PreparedJob::new(self.job.clone(), self.extranonce1.clone())
    }

    /// The share, or what could be rebuilt of it; its header must be that of its values.
    fn rebuild(&self) -> Option<RebuiltShare> {
        let share = match self.prepared().rebuild(&self.submit, &self.terms) {
            Ok(share) => share,
            Err(error) => error.share()?.clone(),
        };
        let Submit { extranonce2, ntime, nonce, .. } = self.submit.clone();
        let values = ShareValues { extranonce2, ntime, nonce, version: share.version() };
        assert_eq!(values.header(&self.job, &self.extranonce1), share.header);
        assert_eq!(share.header.hash(), share.hash);
        assert_eq!(share_difficulty(&BlockHash::from_bytes(*share.hash.as_bytes())), share.difficulty);
        Some(share)
    }
}

fn difficulty(value: &Value) -> Difficulty {
    Difficulty::new(value.as_f64().unwrap()).unwrap()
}

fn read_notify(params: &Value) -> Notify {
    Notify::from_params(Some(&read_json(params))).unwrap()
}

fn read_submit(params: &Value) -> Result<Submit, String> {
    Submit::from_params(Some(&read_json(params))).map_err(|error| error.to_string())
}

/// A big-endian hex number.
fn as_f64(hex: &str) -> f64 {
    hex.chars().fold(0.0, |number, digit| number * 16.0 + f64::from(digit.to_digit(16).unwrap()))
}
