//! Finds a miner's login and the pool's first job while analysis is off. The bytes are scanned after they
//! were forwarded, and only until both have been seen.

use crate::stratum::LineReader;
use crate::stratum::{Envelope, Login};

/// An authorize request is shorter than this, in bytes (wire reference, section 1.2: ckpool reads no longer
/// one).
const MAX_AUTHORIZE_LINE: usize = 2048;
/// Caps the bytes of one direction that are scanned, whether something was found or not.
const MAX_HANDSHAKE: usize = 64 * 1024;
/// Caps the bytes between a key's colon and the end of its value.
const OVERLAP: usize = 64;

const AUTHORIZE: &[u8] = b"mining.authorize";
const NOTIFY: &[u8] = b"\"mining.notify\"";

/// Looks for the login in the miner's bytes.
#[derive(Debug)]
pub(super) struct LoginFinder {
    lines: LineReader,
    seen: usize,
}

/// The outcome of scanning some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScanResult<T> {
    NotYet,
    Found(T),
    /// Too many other bytes came first; the scan has ended.
    GivenUp,
}

impl LoginFinder {
    pub(super) fn new() -> LoginFinder {
        LoginFinder { lines: LineReader::up_to(MAX_AUTHORIZE_LINE), seen: 0 }
    }

    pub(super) fn scan(&mut self, bytes: &[u8]) -> ScanResult<Login> {
        let mut login = None;
        self.lines.read(bytes, |line| {
            if login.is_none() && line.windows(AUTHORIZE.len()).any(|part| part == AUTHORIZE) {
                login = login_in(line);
            }
        });
        self.seen += bytes.len();
        match login {
            Some(login) => ScanResult::Found(login),
            None if self.seen > MAX_HANDSHAKE => ScanResult::GivenUp,
            None => ScanResult::NotYet,
        }
    }
}

fn login_in(line: &[u8]) -> Option<Login> {
    let message = Envelope::read(line).ok()?;
    let is_authorize = message.method().is_some_and(|method| method == "mining.authorize");
    Login::from_params(message.params.filter(|_| is_authorize))
}

/// Looks for a job in the pool's bytes. The answer to a subscribe has the name of the method, too, but not as
/// the value of a key.
#[derive(Debug, Default)]
pub(super) struct JobFinder {
    /// The end of the bytes before.
    tail: Vec<u8>,
    seen: usize,
}

impl JobFinder {
    pub(super) fn scan(&mut self, bytes: &[u8]) -> ScanResult<()> {
        let text = [&self.tail, bytes].concat();
        self.seen += bytes.len();
        if has_job(&text) {
            return ScanResult::Found(());
        }
        if self.seen > MAX_HANDSHAKE {
            return ScanResult::GivenUp;
        }
        self.tail = text[text.len().saturating_sub(OVERLAP)..].to_vec();
        ScanResult::NotYet
    }
}

fn has_job(text: &[u8]) -> bool {
    let is_value = |place: &usize| {
        let before = text[..*place].trim_ascii_end();
        before.ends_with(b":") && text[*place..][..NOTIFY.len()].eq_ignore_ascii_case(NOTIFY)
    };
    (0..(text.len() + 1).saturating_sub(NOTIFY.len()))
        .filter(|place| text[*place] == b'"')
        .any(|at| is_value(&at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] =
        br#"{"id":1,"result":[[["mining.notify","1"],["mining.set_difficulty","2"]],"aa",8]}
"#;

    #[test]
    fn a_job_is_found_however_it_is_written_and_a_subscription_is_none() {
        for job in [
            &br#"{"id":null,"method":"mining.notify","params":[]}"#[..],
            br#"{"params":[],"id":null,"method" : "mining.notify"}"#,
            br#"{"method":"Mining.Notify"}"#,
        ] {
            let text = [ANSWER, job].concat();
            let mut whole = JobFinder::default();
            assert_eq!(whole.scan(ANSWER), ScanResult::NotYet);
            assert_eq!(whole.scan(job), ScanResult::Found(()));
            for split in 0..text.len() {
                let mut parts = JobFinder::default();
                let first = parts.scan(&text[..split]);
                assert!(
                    first == ScanResult::Found(()) || parts.scan(&text[split..]) == ScanResult::Found(()),
                    "{split}"
                );
            }
            let mut bytes = JobFinder::default();
            assert!(text.iter().any(|byte| bytes.scan(&[*byte]) == ScanResult::Found(())));
        }
        assert_eq!(JobFinder::default().scan(br#"["mining.notify"]"#), ScanResult::NotYet);
    }

    #[test]
    fn a_login_is_found_across_chunks() {
        let sent = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"x\"]}\n\
            {\"params\": [\"a.b\", \"x\"], \"id\": 2, \"method\": \"mining.authorize\"}\n";
        for split in 0..sent.len() {
            let mut finder = LoginFinder::new();
            assert_eq!(finder.scan(&sent[..split]), ScanResult::NotYet);
            assert_eq!(finder.scan(&sent[split..]), ScanResult::Found(Login::new("a.b", "x")));
        }
    }

    #[test]
    fn the_search_ends() {
        let noise = vec![b'x'; MAX_HANDSHAKE + 1];
        assert_eq!(LoginFinder::new().scan(&noise), ScanResult::GivenUp);
        assert_eq!(JobFinder::default().scan(&noise), ScanResult::GivenUp);
    }
}
