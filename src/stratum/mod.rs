//! The wire: Stratum V1 lines and the protocol's quantities. Leniency in reading lives here and
//! nowhere else; what is written is always in the form every known peer reads.
//!
//! A line is first read as an [`Envelope`], which borrows from it and understands nothing but the
//! JSON-RPC frame. The method's own file then reads the params or the result.
//!
//! | file | what it is |
//! |---|---|
//! | `envelope` | one line: id, method, params, result, error |
//! | `verdict` | whether an answer accepts or refuses, in all the forms pools use |
//! | `answer` | writing answers, in all the forms pools use |
//! | `subscribe`, `configure`, `notify`, `submit` | the methods with a structure of their own |
//! | `extranonce`, `job_id`, `difficulty`, `nbits`, `ntime`, `nonce`, `version`, `prevhash`, `branch` | a quantity each |
//! | `field`, `hex`, `word` | what the quantities share: reading a JSON field, hex text, 32-bit words |
//!
//! The byte order of a quantity is that of its text on the wire; what becomes of it in a block
//! header is [`work`](crate::work)'s concern.

mod answer;
mod branch;
mod configure;
mod difficulty;
mod envelope;
mod extranonce;
mod field;
mod hex;
mod job_id;
mod nbits;
mod nonce;
mod notify;
mod ntime;
mod prevhash;
mod submit;
mod subscribe;
mod verdict;
mod version;
mod word;

pub use answer::{ErrorForm, Refusal, RefusalCode, accepted, refused, result};
pub use branch::MerkleBranch;
pub use configure::{ConfigureAnswer, ConfigureRequest};
pub use difficulty::Difficulty;
pub use envelope::{Envelope, EnvelopeError};
pub use extranonce::{Extranonce1, Extranonce2, Extranonce2Size};
pub use field::{FieldError, elements, first_text};
pub use hex::{decode as decode_hex, encode as encode_hex};
pub use job_id::JobId;
pub use nbits::Nbits;
pub use nonce::Nonce;
pub use notify::Notify;
pub use ntime::Ntime;
pub use prevhash::PrevHash;
pub use submit::Submit;
pub use subscribe::SubscribeAnswer;
pub use verdict::Verdict;
pub use version::{Version, VersionBits, VersionMask};
