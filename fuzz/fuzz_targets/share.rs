//! Two lines, a job and a submit: rebuilt with a prepared job, and from the values of the share.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::stratum::{Difficulty, Envelope, Extranonce1, Extranonce2Size, Notify, Submit, VersionMask};
use sluice::work::{PreparedJob, ShareTerms, ShareValues};

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (Some(job), Some(submit)) = (lines.next(), lines.next()) else {
        return;
    };
    let (Ok(job), Ok(submit)) = (Envelope::read(job), Envelope::read(submit)) else {
        return;
    };
    let (Ok(job), Ok(submit)) = (Notify::from_params(job.params), Submit::from_params(submit.params)) else {
        return;
    };
    let extranonce1 = Extranonce1::from_text("d1e54072").unwrap();
    let length = u8::try_from(submit.extranonce2.as_bytes().len()).unwrap();
    let prepared = PreparedJob::new(job.clone(), extranonce1.clone());
    for version_mask in [None, Some(VersionMask::BIP320)] {
        for size in [length, 8] {
            let terms = ShareTerms {
                extranonce2_size: Extranonce2Size::new(size).unwrap(),
                version_mask,
                difficulty: Difficulty::new(1e-9).unwrap(),
            };
            if let Ok(share) = prepared.rebuild(&submit, &terms) {
                let Submit { extranonce2, ntime, nonce, .. } = submit.clone();
                let values = ShareValues { extranonce2, ntime, nonce, version: share.version() };
                assert_eq!(values.header(&job, &extranonce1), share.header);
                assert_eq!(share.header.hash(), share.hash);
            }
        }
    }
});
