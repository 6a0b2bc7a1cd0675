//! The cost of analysing lines, jobs and shares, on one thread: `cargo bench --bench share_cost`. The job is one of solo.ckpool.org with 12 merkle branches.

use std::hint::black_box;

use divan::Bencher;
use serde_json::Value;
use sluice::stratum::{
    Difficulty, DifficultyTimeline, Envelope, Extranonce1, Extranonce2Size, JobId, Notify, ResponseVerdict,
    Submit, elements,
};
use sluice::work::{AddressChain, Coinbase, PreparedJob, ShareTerms};

const SET_DIFFICULTY: &[u8] = br#"{"params":[10000],"id":null,"method":"mining.set_difficulty"}"#;
const SUBMIT: &[u8] = br#"{"id":11,"method":"mining.submit","params":["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.bitaxe","64851638001239e9","1700000000000000","668d76e2","7552034c","00b44000"]}"#;
const ANSWER: &[u8] = br#"{"id":11,"result":true,"error":null}"#;

fn main() {
    divan::main();
}

/// The line of the job with this id among the collected jobs.
fn notify_line(id: &str) -> Vec<u8> {
    let jobs = include_str!("../tests/data/real_notifies.jsonl").lines();
    let jobs = jobs.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = jobs
        .map(|job| job["line"].as_str().unwrap().to_owned())
        .find(|line| line.contains(&format!("\"{id}\"")));
    line.unwrap().into_bytes()
}

fn job() -> Notify {
    let line = notify_line("64851638001239e9");
    let job = Notify::from_params(Envelope::read(&line).unwrap().params).unwrap();
    assert_eq!(job.branches.len(), 12);
    job
}

fn extranonce1() -> Extranonce1 {
    Extranonce1::from_text("d1e54072").unwrap()
}

fn size() -> Extranonce2Size {
    Extranonce2Size::new(8).unwrap()
}

fn submit() -> Submit {
    Submit::from_params(Envelope::read(SUBMIT).unwrap().params).unwrap()
}

fn terms() -> ShareTerms {
    ShareTerms {
        extranonce2_size: size(),
        version_mask: Some(sluice::stratum::VersionMask::BIP320),
        // Every hash reaches it, so that each share is valid.
        difficulty: Difficulty::new(1e-12).unwrap(),
    }
}

#[divan::bench]
fn line_notify(bencher: Bencher) {
    let line = notify_line("64851638001239e9");
    bencher.bench(|| {
        let envelope = Envelope::read(black_box(&line)).unwrap();
        black_box(envelope.method());
        Notify::from_params(envelope.params).unwrap()
    });
}

#[divan::bench]
fn line_submit() -> Submit {
    let envelope = Envelope::read(black_box(SUBMIT)).unwrap();
    black_box(envelope.method());
    Submit::from_params(envelope.params).unwrap()
}

#[divan::bench]
fn line_answer() -> ResponseVerdict {
    let envelope = Envelope::read(black_box(ANSWER)).unwrap();
    black_box((envelope.method(), envelope.numeric_id()));
    ResponseVerdict::of(&envelope)
}

#[divan::bench]
fn line_set_difficulty() -> Difficulty {
    let envelope = Envelope::read(black_box(SET_DIFFICULTY)).unwrap();
    black_box(envelope.method());
    let params = elements("params", envelope.params.unwrap()).unwrap();
    Difficulty::from_json(params[0]).unwrap()
}

/// The lengths of coinb1, in bytes: ckpool's own, and DATUM's with its largest coinbase.
const COINB1: [usize; 2] = [58, 16_000];

fn job_with(coinb1: usize) -> Notify {
    let mut job = job();
    job.coinb1.resize(coinb1, 0);
    job
}

#[divan::bench(args = COINB1)]
fn share_prepared(bencher: Bencher, coinb1: usize) {
    let (job, submit, terms) = (PreparedJob::new(job_with(coinb1), extranonce1()), submit(), terms());
    bencher.bench(|| job.rebuild(black_box(&submit), &terms).unwrap());
}

#[divan::bench]
fn job_prepare(bencher: Bencher) {
    bencher
        .with_inputs(|| (job(), extranonce1()))
        .bench_values(|(job, extranonce1)| PreparedJob::new(job, extranonce1));
}

/// Decodes all of the coinbase: height, tag, outputs with their addresses.
#[divan::bench(args = ["64851638001239e9", "765b", "17137173556511577"])]
fn job_decode(bencher: Bencher, id: &str) {
    let line = notify_line(id);
    let job = Notify::from_params(Envelope::read(&line).unwrap().params).unwrap();
    let extranonce1 = extranonce1();
    // 6 bytes altogether at Braiins, 12 elsewhere.
    let sizes = [8, 2].map(|size| Extranonce2Size::new(size).unwrap());
    let size = *sizes.iter().find(|size| Coinbase::of_job(&job, &extranonce1, **size).is_ok()).unwrap();
    bencher.bench(|| {
        let coinbase = Coinbase::of_job(black_box(&job), &extranonce1, size).unwrap();
        black_box((coinbase.height().ok(), coinbase.tag()));
        for output in coinbase.outputs() {
            black_box((output.kind(), output.address(AddressChain::Mainnet)));
        }
        black_box((coinbase.total(), coinbase.witness_commitment()))
    });
}

#[divan::bench]
fn timeline_share(bencher: Bencher) {
    let mut timeline = DifficultyTimeline::new();
    for counter in 0..300 {
        timeline.notify(JobId::from_counter(counter));
    }
    let newest = JobId::from_counter(299);
    bencher.bench(|| timeline.range(black_box(&newest)));
}
