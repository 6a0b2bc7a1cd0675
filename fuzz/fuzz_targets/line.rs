//! One line of a peer, read as everything it could be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::stratum::{
    Difficulty, Envelope, Notify, ResponseVerdict, Submit, SubscribeAnswer, configure_result, elements, first_text,
    granted_version_mask, requested_version_mask,
};

fuzz_target!(|line: &[u8]| {
    let Ok(envelope) = Envelope::read(line) else {
        return;
    };
    let _ = (envelope.id(), envelope.numeric_id(), envelope.has_id(), envelope.method());
    let _ = ResponseVerdict::of(&envelope);
    let _ = requested_version_mask(envelope.params);
    let _ = envelope.params.map(|params| elements("params", params));
    let _ = first_text(envelope.params);
    let _ = Submit::from_params(envelope.params);
    let _ = envelope.result.map(Difficulty::from_json);

    // What is written must be what was read.
    let granted = granted_version_mask(envelope.result);
    let line = format!("{{\"result\":{}}}", configure_result(granted));
    assert_eq!(granted_version_mask(Envelope::read(line.as_bytes()).unwrap().result), granted);
    if let Some(Ok(answer)) = envelope.result.map(SubscribeAnswer::from_result) {
        let line = format!("{{\"result\":{}}}", answer.result("1"));
        let again = Envelope::read(line.as_bytes()).unwrap().result.unwrap();
        assert_eq!(SubscribeAnswer::from_result(again), Ok(answer));
    }
    if let Ok(job) = Notify::from_params(envelope.params) {
        let job = Notify { clean_jobs: job.clean_jobs.or(Some(true)), ..job };
        let line = job.line();
        assert_eq!(Notify::from_params(Envelope::read(line.as_bytes()).unwrap().params), Ok(job));
    }
});
