//! The coinbases of real pools: the list in `tests/data/vectors.json`, the jobs in
//! `tests/data/real_notifies.jsonl`, and those of the recorded conversations.

use crate::common::capture;
use crate::vectors::{all_ran, chain, list, real_notifies, text};
use serde_json::Value;
use sluice::stratum::{
    Envelope, Extranonce1, Extranonce2Size, JobId, Nbits, Notify, Ntime, PrevHash, Version, decode_hex,
    encode_hex,
};
use sluice::work::{Coinbase, Height, Sats, Target, parent_hash, payout_script};

/// The texts in the coinbases of `real_notifies.jsonl`, in the order of the file.
const TAGS: [&str; 23] = [
    "/P2SH/ /slush/",
    "/Tangpool/panzhibiao/aksk/",
    "ckpool /solo.ckpool.org/",
    "/slush/",
    "/slush/",
    "/slush/",
    "p8!/slush/",
    "qDU!/slush/",
    "\\public-pool\\",
    "OCEAN.XYZ",
    "ckpool /solo.ckpool.org/",
    "Public-Pool",
    "/slush/#",
    "/slush/#",
    "ckpool eu/solo.ckpool.org/",
    "ckpool /solo.ckpool.org/",
    "ckpool /solo.ckpool.org/",
    "Public-Pool",
    "ckpool /braiinssolo/",
    "ckpool /BitAxe Brrr/",
    "ckpool /BitAxe Brrr/",
    "ckpool uw/solo.ckpool.org/",
    "ckpool uw/solo.ckpool.org/",
];

#[test]
fn the_coinbases_of_the_vectors() {
    let vectors = list("coinbases");
    let mut ran = 0;
    for vector in &vectors {
        let total = vector["extranonce_total_bytes"].as_u64().unwrap();
        let job = Notify {
            job_id: JobId::from_counter(1),
            prevhash: PrevHash::from_wire_bytes([0; 32]),
            coinb1: decode_hex("coinb1", text(vector, "coinb1")).unwrap(),
            coinb2: decode_hex("coinb2", text(vector, "coinb2")).unwrap(),
            branches: Vec::new(),
            version: Version(0),
            nbits: Nbits(0),
            ntime: Ntime(0),
            clean_jobs: None,
        };
        let coinbase = decode(&job, "", total);
        let expected = Expected {
            pool: text(vector, "pool"),
            network: text(vector, "network"),
            height: &vector["expected_height"],
            script_sig_length: &vector["expected_script_sig_len"],
            place: text(vector, "extranonce_place"),
            total: &vector["expected_total_sats"],
            outputs: &vector["expected_outputs"],
        };
        expected.check(&coinbase);
        ran += 1;
    }
    all_ran("coinbases", &vectors, ran);
}

#[test]
fn the_jobs_of_real_pools() {
    let jobs = real_notifies();
    let mut ran = 0;
    for (entry, tag) in jobs.iter().zip(TAGS) {
        let pool = text(entry, "pool");
        let line = text(entry, "line");
        let decoded = &entry["decoded"];
        let job = Notify::from_params(Envelope::read(line.as_bytes()).unwrap().params).unwrap();
        let number = |key: &str| usize::try_from(decoded[key].as_u64().unwrap()).unwrap();

        assert_eq!(job.job_id.as_str(), text(decoded, "job_id"), "{pool}");
        assert_eq!(job.branches.len(), number("branches"), "{pool}");
        assert_eq!(job.coinb1.len(), number("coinb1_bytes"), "{pool}");
        assert_eq!(job.coinb2.len(), number("coinb2_bytes"), "{pool}");
        assert_eq!(line.len() + "\n".len(), number("line_bytes"), "{pool}");
        assert_eq!(job.clean_jobs, decoded["clean_jobs"].as_bool(), "{pool}");
        let parent = parent_hash(&job.prevhash);
        assert_eq!(parent.to_string(), text(decoded, "prevhash_display"), "{pool}");
        let meets = Target::from_nbits(job.nbits).unwrap().is_met_by(&parent);
        assert_eq!(Some(meets), decoded["prevhash_meets_nbits"].as_bool(), "{pool}");

        let total = decoded["extranonce_total_bytes"].as_u64().unwrap();
        let coinbase = decode(&job, entry["extranonce1"].as_str().unwrap_or_default(), total);
        assert_eq!(coinbase.as_bytes().len(), number("coinbase_bytes"), "{pool}");
        let expected = Expected {
            pool,
            network: text(entry, "network"),
            height: &decoded["height"],
            script_sig_length: &decoded["script_sig_len"],
            place: text(decoded, "extranonce_place"),
            total: &decoded["total_sats"],
            outputs: &decoded["outputs"],
        };
        expected.check(&coinbase);

        assert_eq!(coinbase.tag().unwrap().as_str(), tag, "{pool}");
        // The file has a dot for every byte that cannot be printed.
        let printable = text(decoded, "script_sig_text");
        for word in tag.split(' ') {
            assert!(printable.contains(word), "{pool}: {word} in {printable}");
        }
        // Written and read again it is the same job.
        let written = job.line();
        let again = Notify::from_params(Envelope::read(written.as_bytes()).unwrap().params);
        assert_eq!(again.unwrap(), job, "{pool}");
        ran += 1;
    }
    all_ran("real_notifies", &jobs, ran);
}

/// The files' facts about a coinbase.
struct Expected<'a> {
    pool: &'a str,
    network: &'a str,
    height: &'a Value,
    script_sig_length: &'a Value,
    place: &'a str,
    total: &'a Value,
    outputs: &'a Value,
}

impl Expected<'_> {
    fn check(&self, coinbase: &Coinbase) {
        let pool = self.pool;
        let height = coinbase.height().unwrap();
        assert_eq!(Some(u64::from(height.0)), self.height.as_u64(), "{pool}");
        assert_eq!(Some(coinbase.script_sig().len() as u64), self.script_sig_length.as_u64(), "{pool}");
        assert_eq!(coinbase.total(), sats(self.total), "{pool}");

        let outputs = self.outputs.as_array().unwrap();
        assert_eq!(coinbase.outputs().len(), outputs.len(), "{pool}");
        let is_in_output = self.place.starts_with("output script (OP_RETURN)");
        let mut committed = None;
        for (output, expected) in coinbase.outputs().zip(outputs) {
            let script = text(expected, "script");
            assert_eq!(output.value, sats(&expected["sats"]), "{pool}");
            assert_eq!(output.kind().as_str(), text(expected, "type"), "{pool}: {script}");
            if !is_in_output || output.witness_commitment().is_some() {
                assert_eq!(encode_hex(output.script), script, "{pool}");
            }
            let address = output.address(chain(self.network));
            assert_eq!(address.as_deref(), expected["address"].as_str(), "{pool}: {script}");
            if let Some(address) = address {
                let script = payout_script(&address).unwrap().0;
                let same = coinbase.outputs().filter(|output| output.payout_script() == script);
                let paid: u64 = same.map(|output| output.value.0).sum();
                let percent = coinbase.percent_to(&script);
                crate::vectors::close(percent, paid as f64 * 100.0 / sats(self.total).0 as f64, pool);
            }
            if let Some(commitment) = script.strip_prefix("6a24aa21a9ed") {
                committed = Some(commitment.to_owned());
            }
        }
        assert_eq!(coinbase.witness_commitment().map(|bytes| encode_hex(&bytes)), committed, "{pool}");
    }
}

#[test]
fn the_jobs_of_the_recorded_conversations() {
    let mut ran = 0;
    for file in capture::files() {
        for conversation in capture::read(&file) {
            let mut last: Option<Height> = None;
            let pieces = conversation.pieces.iter().filter(|piece| piece.from == capture::From::Pool);
            for line in pieces.flat_map(|piece| piece.bytes.split(|byte| *byte == b'\n')) {
                let Ok(envelope) = Envelope::read(line) else { continue };
                if envelope.method().as_deref() != Some("mining.notify") {
                    continue;
                }
                let job = Notify::from_params(envelope.params).unwrap();
                // Whatever there is room for: the recordings leave 8, 12 or 16 bytes.
                let coinbase = [8, 12, 16].iter().find_map(|total| {
                    let size = Extranonce2Size::new(*total).unwrap();
                    Coinbase::of_job(&job, &Extranonce1::default(), size).ok()
                });
                let coinbase = coinbase.unwrap_or_else(|| panic!("{}: {job:?}", file.display()));
                let height = coinbase.height().unwrap();
                assert!(last.is_none_or(|last| height >= last), "{}", file.display());
                assert!(coinbase.total() > Sats(0));
                last = Some(height);
                ran += 1;
            }
        }
    }
    println!("recorded jobs: {ran}");
    assert!(ran > 20, "only {ran} jobs are recorded");
}

/// The job's coinbase, its extranonces having so many bytes altogether.
fn decode(job: &Notify, extranonce1: &str, total: u64) -> Coinbase {
    let extranonce1 = Extranonce1::from_text(extranonce1).unwrap();
    let size = usize::try_from(total).unwrap() - extranonce1.as_bytes().len();
    let size = Extranonce2Size::new(u8::try_from(size).unwrap()).unwrap();
    Coinbase::of_job(job, &extranonce1, size).unwrap()
}

fn sats(value: &Value) -> Sats {
    Sats(value.as_u64().unwrap())
}
