//! Every way in which miners may read one line of a pool.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::job_reading::{JobReading, ReadingAgreement};
use super::json_field::FieldError;
use super::message::Envelope;
use super::method::PoolMethod;
use super::notify::Notify;
use super::tolerant::{ObjectReading, Scanned, scan};

/// The readings of a line. An ordinary line has one. An odd line has one for each way in which miners read it, at
/// most sixteen, or none.
#[derive(Debug)]
pub struct Readings<'a> {
    line: &'a [u8],
    /// The one reading of an ordinary line.
    plain: Option<Envelope<'a>>,
    odd: Scanned,
    may_hide_job: OnceCell<bool>,
}

/// The oddities of a line. A miner reads either all lines of one shape or none. An ordinary line has no shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineShape(u16);

impl<'a> Readings<'a> {
    /// Reads one line.
    pub fn of(line: &'a [u8]) -> Readings<'a> {
        let (plain, odd) = match Envelope::read(line) {
            Ok(message) => (Some(message), Scanned::default()),
            Err(_) => (None, scan(line)),
        };
        Readings { line, plain, odd, may_hide_job: OnceCell::new() }
    }

    /// The message of an ordinary line, which every miner reads the same way.
    pub fn plain(&self) -> Option<&Envelope<'a>> {
        self.plain.as_ref()
    }

    /// Every reading, that of most miners first.
    pub fn messages(&self) -> impl Iterator<Item = Envelope<'_>> {
        self.plain.iter().copied().chain(self.odd.readings.iter().map(ObjectReading::message))
    }

    /// The reading of most miners; `None` for a line that no miner can read.
    pub fn first(&self) -> Option<Envelope<'_>> {
        self.messages().next()
    }

    /// The job in one of the messages; `None` for a message that is no job. An error if no miner is known to read it.
    pub fn job(&self, message: &Envelope<'_>) -> Option<Result<JobReading, FieldError>> {
        let name = message.method()?;
        if PoolMethod::of(&name) != Some(PoolMethod::Notify) {
            return None;
        }
        let is_ordinary = self.plain.is_some() && name == PoolMethod::Notify.name();
        let least = if is_ordinary { ReadingAgreement::All } else { ReadingAgreement::OrIgnored };
        let read = |JobReading { job, agreement }| JobReading { job, agreement: agreement.max(least) };
        Some(Notify::as_miners_read(message.params).map(read))
    }

    /// The distinct jobs of all readings.
    pub fn jobs(&self) -> Vec<Result<JobReading, FieldError>> {
        let mut jobs = Vec::new();
        for job in self.messages().filter_map(|message| self.job(&message)) {
            if !jobs.contains(&job) {
                jobs.push(job);
            }
        }
        jobs
    }

    /// The oddities of the line; `None` for an ordinary one.
    pub fn shape(&self) -> Option<LineShape> {
        self.plain.is_none().then_some(LineShape(self.odd.shape))
    }

    /// Returns whether a miner may read a job that was not read here: a part of the line looks like a job but could
    /// not be read, or the readings of the line are too large.
    pub fn may_hide_job(&self) -> bool {
        *self.may_hide_job.get_or_init(|| self.odd.is_too_large || self.has_unread_job())
    }

    fn has_unread_job(&self) -> bool {
        let unread = self.odd.unread.is_some_and(|place| looks_like_job(&self.line[place..]));
        unread
            || (!self.messages().any(|message| is_understood(&message)) && looks_like_job(self.line))
            || self.has_part_of_job()
    }

    /// Returns whether one of the messages is a job, readable or not.
    fn names_job(&self) -> bool {
        let is_job = |name: Cow<'_, str>| PoolMethod::of(&name) == Some(PoolMethod::Notify);
        self.messages().any(|message| message.method().is_some_and(is_job))
    }

    /// Returns whether the line holds a job, or a part of one, in the wrong place. Miners that read C strings take
    /// the rest behind a NUL or after a timeout as a line, and some read inside of a text.
    fn has_part_of_job(&self) -> bool {
        let runs = self.line.split(|byte| !byte.is_ascii_hexdigit());
        let mut values = runs.filter(|run| run.len() >= 2 * PREVHASH_BYTES);
        match self.first() {
            // An unreadable line may be any part of a job.
            None => self.line.split(|byte| !byte.is_ascii_hexdigit()).any(|run| run.len() >= PREVHASH_BYTES),
            // A message for people may hold one hash. A job has its prevhash and a coinbase in two parts.
            Some(_) => {
                self.line.len() >= 4 * PREVHASH_BYTES
                    && !self.names_job()
                    && values.nth(1).is_some()
                    && names_params(self.line)
            }
        }
    }
}

/// Returns whether a message is an answer or has a known method.
fn is_understood(message: &Envelope<'_>) -> bool {
    message.result.is_some()
        || message.error.is_some()
        || message.method().is_some_and(|name| PoolMethod::of(&name).is_some())
}

/// The length of the prevhash, which each job has, in bytes.
const PREVHASH_BYTES: usize = 32;

/// Returns whether `text` names params or a job's method, in any case or in escapes.
fn names_params(text: &[u8]) -> bool {
    let word = b"params";
    unescaped(text).windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)) || looks_like_job(text)
}

/// Returns whether `text` holds the word of a job's method, in any case or in escapes.
fn looks_like_job(text: &[u8]) -> bool {
    let word = PoolMethod::Notify.name().as_bytes();
    let word = word.strip_prefix(b"mining.").unwrap_or(word);
    let letters = unescaped(text);
    letters.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// `text` with its `\u00xx` resolved.
fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut letters = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let digits = rest.strip_prefix(b"\\u00").and_then(|digits| digits.get(..2));
        let letter = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match letter {
            Some(letter) => {
                letters.push(letter);
                rest = &rest[6..];
            }
            None => {
                letters.push(*first);
                rest = behind;
            }
        }
    }
    Cow::Owned(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTIFY: &str = r#""method":"mining.notify","params":[]"#;

    fn methods(line: &str) -> Vec<String> {
        let readings = Readings::of(line.as_bytes());
        readings.messages().map(|message| message.method().unwrap_or_default().into_owned()).collect()
    }

    #[test]
    fn an_ordinary_line_has_one_reading() {
        let line = format!("{{\"id\":null,{NOTIFY}}}");
        let readings = Readings::of(line.as_bytes());
        assert!(readings.plain().is_some() && readings.shape().is_none() && !readings.may_hide_job());
        assert_eq!(methods(&line), ["mining.notify"]);
    }

    #[test]
    fn an_odd_line_has_as_many_as_miners_differ() {
        for line in [
            format!("{{\"id\":1,\"id\":1,{NOTIFY}}}"),
            format!("{{{NOTIFY}}} x"),
            format!("{{{NOTIFY}}}\0"),
            format!("\u{feff}{{{NOTIFY}}}"),
        ] {
            assert_eq!(methods(&line), ["mining.notify"], "{line}");
            assert!(Readings::of(line.as_bytes()).shape().is_some(), "{line}");
        }
        assert_eq!(methods(&format!("{{\"method\":\"x\",{NOTIFY}}}")), ["mining.notify", "x"]);
        // Only ESP-Miner reads a key in another case.
        assert_eq!(methods(r#"{"Method":"mining.notify"}"#), ["", "mining.notify"]);
        assert_eq!(methods(&format!("{{\"id\":1}} {{{NOTIFY}}}")), ["", "mining.notify"]);
    }

    #[test]
    fn every_job_of_a_line_is_read_and_how_far_miners_agree() {
        let hash = "1901125004612a1701c3a621d930d31d36b607df1fccc2160002d01c00000000";
        let params =
            |id| format!(r#""params":["{id}","{hash}","01","02",[],"20000000","1b04864c","4d1b2237",true]"#);
        let jobs = |line: &str| -> Vec<_> {
            let jobs = Readings::of(line.as_bytes()).jobs();
            jobs.into_iter().map(|job| job.map(|job| (job.job.job_id.to_string(), job.agreement))).collect()
        };
        let (a, b) = (params("a"), params("b"));
        let job = |id: &str, agreement| Ok((id.to_owned(), agreement));
        assert_eq!(jobs(&format!("{{\"method\":\"mining.notify\",{a}}}")), [job("a", ReadingAgreement::All)]);
        for odd in [
            format!("{{\"method\":\"Mining.Notify\",{a}}}"),
            format!("{{\"method\":\"mining.notify\",{a}}} ."),
            format!("{{\"method\":\"mining.notify\",{a},{a}}}"),
        ] {
            assert_eq!(jobs(&odd), [job("a", ReadingAgreement::OrIgnored)], "{odd}");
        }
        assert_eq!(
            jobs(&format!("{{\"method\":\"mining.notify\",{a},{b}}}")),
            [job("b", ReadingAgreement::OrIgnored), job("a", ReadingAgreement::OrIgnored)]
        );
        assert_eq!(
            jobs(&format!("{{\"method\":\"x\",\"Method\":\"mining.notify\",{a}}}")),
            [job("a", ReadingAgreement::OrIgnored)]
        );
        assert!(jobs("{\"method\":\"mining.notify\",\"params\":[]}")[0].is_err());
        assert_eq!(jobs("{\"id\":1,\"result\":true}"), []);
    }

    #[test]
    fn what_can_not_be_read_and_looks_like_a_job_is_said() {
        for line in [
            "{\"method\":\"mining.notify\"",
            "xx NOTIFY",
            "{} \"\\u006eotify\"",
            "mining.noti\\u0066y",
            r#"{"method":["mining.notify"]}"#,
            r#"{"method":" mining.notify"}"#,
        ] {
            assert!(Readings::of(line.as_bytes()).may_hide_job(), "{line}");
        }
        let hash = "ab".repeat(32);
        for line in [
            // The end of a job whose beginning is missing.
            format!("tify\",\"params\":[\"x\",\"{hash}\""),
            format!(
                "{{\"id\":77,\"result\":{{\"method\":\"mining.notify\",\"params\":[\"{hash}\",\"{hash}\"]}}}}"
            ),
            format!(
                "{{\"method\":\"client.show_message\",\"params\":[\"{{'params':['{hash}','{hash}']}}\"]}}"
            ),
        ] {
            assert!(Readings::of(line.as_bytes()).may_hide_job(), "{line}");
        }
        let news = format!("{{\"method\":\"client.show_message\",\"params\":[\"a block: {hash}\"]}}");
        assert!(!Readings::of(news.as_bytes()).may_hide_job());
        for line in [
            "HTTP/1.1 400 Bad Request",
            "",
            "{\"id\":1}",
            "{\"id\":1,\"result\":tru",
            r#"{"id":1,"result":[["mining.notify","s"],"00",4]}"#,
            r#"{"method":"client.show_message","params":["we notify you"]}"#,
        ] {
            assert!(!Readings::of(line.as_bytes()).may_hide_job(), "{line}");
        }
    }
}
