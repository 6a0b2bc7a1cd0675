//! The wire: Stratum V1 lines and the protocol's quantities. Only this module reads leniently; it always writes the
//! form that every known peer reads.
//!
//! A line is first read as an [`Envelope`], which borrows from it and understands only the JSON-RPC frame. The
//! method's own file then reads the params or the result.
//!
//! | file | content |
//! |---|---|
//! | `message` | one line: id, method, params, result, error |
//! | `readings`, `tolerant` | every way in which miners may read an odd line |
//! | `job_reading` | a job that only lenient miners can read |
//! | `method` | the pool's methods, recognized as leniently as miners do |
//! | `verdict` | the verdict of an answer, in every form that pools use |
//! | `answer` | writing answers, in every form that pools use |
//! | `request` | writing the requests that open a connection |
//! | `client` | the miner's side of a connection, without I/O |
//! | `subscribe`, `configure`, `notify`, `submit`, `login`, `reconnect` | the methods with a structure of their own |
//! | `extranonce`, `job_id`, `difficulty`, `version`, `header_fields` | the quantities |
//! | `timeline` | the difficulty in force for each job |
//! | `line_reader` | chunks of bytes joined to lines |
//! | `json_field`, `hex`, `hex_u32` | the shared parts: JSON fields, hex text, 32-bit numbers |
//!
//! A quantity keeps the byte order of its text on the wire. [`work`](crate::work) knows the byte order in a block
//! header.

mod answer;
mod client;
mod configure;
mod difficulty;
mod extranonce;
mod header_fields;
mod hex;
mod hex_u32;
mod job_id;
mod job_reading;
mod json_field;
pub(crate) mod line_reader;
mod login;
mod message;
mod method;
mod notify;
mod readings;
mod reconnect;
mod request;
mod submit;
mod subscribe;
mod timeline;
mod tolerant;
mod verdict;
mod version;

pub use line_reader::{Line, LineReader, LongLines, MAX_MINER_LINE, MAX_POOL_LINE};

pub use answer::{ErrorForm, RefusalCode, StratumError, accept_line, refuse_line, result_line};
pub use client::{Client, ClientEvent, JobLine, SearchSpaces};
pub use configure::{configure_result, granted_version_mask, requested_version_mask};
pub use difficulty::Difficulty;
pub use extranonce::{Extranonce1, Extranonce2, Extranonce2Size};
pub use header_fields::{MerkleBranch, Nbits, Nonce, Ntime, PrevHash};
pub(crate) use hex::{debug_as_display, display_as_hex, write_hex};
pub use hex::{decode as decode_hex, encode as encode_hex};
pub use job_id::JobId;
pub use job_reading::{JobReading, ReadingAgreement};
pub use json_field::{FieldError, elements, first_text, shorten, shortened, worker_name};
pub use login::Login;
pub use message::{Envelope, EnvelopeError};
pub use method::PoolMethod;
pub use notify::Notify;
pub use readings::{LineShape, Readings};
pub use reconnect::Reconnect;
pub use request::{configure_line, request_line, subscribe_line};
pub use submit::Submit;
pub use subscribe::SubscribeAnswer;
pub use timeline::{DifficultyRange, DifficultyTimeline};
pub use verdict::{ResponseVerdict, says_low_difficulty};
pub use version::{Version, VersionBits, VersionMask};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lines of every kind that is read here.
    const LINES: [&str; 5] = [
        r#"{"id":1,"error":null,"result":[[["mining.notify","168e39c1"]],"168e39c1",4]}"#,
        r#"{"id":0,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},"error":[21,"x",null]}"#,
        r#"{"params":["w","765c","08000000008f","68596192","6ab60150","043c8000"],"id":3,"method":"mining.submit"}"#,
        r#"{"params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}],"id":0,"method":"mining.configure"}"#,
        r#"{"params":["bf","4d16b6f85af6e2198f44ae2a6de67f78487ae5611b77c6c0440b921e00000000","01","02",["4d16b6f85af6e2198f44ae2a6de67f78487ae5611b77c6c0440b921e00000000"],"00000002","1c2ac4af","504e86b9",false],"id":null,"method":"mining.notify"}"#,
    ];

    /// Replacements for a part of a line.
    const PIECES: [&[u8]; 8] = [b"null", b"[]", b"{}", b"-1", b"1e999", b"\"\\u00e9\"", b"\xff", b","];

    fn read_as_everything(line: &[u8]) {
        let readings = Readings::of(line);
        let _ = (readings.shape(), readings.may_hide_job());
        readings.messages().for_each(|message| read_message(&message));
    }

    fn read_message(envelope: &Envelope<'_>) {
        let _ = (envelope.id(), envelope.numeric_id(), envelope.method());
        let _ = ResponseVerdict::of(envelope);
        let _ = (requested_version_mask(envelope.params), granted_version_mask(envelope.result));
        let _ = envelope.result.map(SubscribeAnswer::as_miners_read);
        let _ = Notify::from_params(envelope.params).map(|job| job.line());
        let _ = Notify::as_miners_read(envelope.params).map(|reading| reading.job.line());
        let _ = Submit::from_params(envelope.params);
        let _ = (first_text(envelope.params), worker_name(envelope.params));
        let _ = envelope.result.map(Difficulty::from_json);
    }

    proptest! {
        #[test]
        fn nothing_at_all_panics(line in prop::collection::vec(any::<u8>(), 0..200)) {
            read_as_everything(&line);
            // Most of the above end at the brace.
            read_as_everything(&[b"{", &line[..], b"}"].concat());
            read_as_everything(&[b"{'Method':mining.notify,params:[{'", &line[..], b"'}]}"].concat());
        }

        #[test]
        fn nothing_a_peer_sends_panics(
            line in prop::sample::select(&LINES[..]),
            place in any::<prop::sample::Index>(),
            length in 0..40_usize,
            instead in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..20),
                prop::sample::select(&PIECES[..]).prop_map(<[u8]>::to_vec),
            ],
        ) {
            let start = place.index(line.len());
            let end = (start + length).min(line.len());
            read_as_everything(&[&line.as_bytes()[..start], &instead, &line.as_bytes()[end..]].concat());
        }
    }
}
