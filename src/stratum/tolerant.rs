//! The readings of a line by lenient miners. Each value is written once as strict JSON. A reading chooses among the
//! values as a miner chooses among equal keys.
//!
//! The leniencies, and the libraries and miners that have them:
//! - the first of two equal keys (cJSON: ESP-Miner) or the last (jansson: cgminer, cpuminer; ArduinoJson: NerdMiner);
//! - keys in another case or with a NUL (cJSON);
//! - anything behind the object (cJSON, ArduinoJson; cgminer behind a NUL);
//! - every byte up to 0x20 as white space, control characters in texts, invalid UTF-8 (cJSON);
//! - texts in single quotes, keys without quotes (ArduinoJson).

mod scanner;

use std::rc::Rc;

use serde_json::value::RawValue;

use super::message::Envelope;
use scanner::{BEHIND_OBJECT, ODD_WHITE_SPACE, Scanner};

/// The most objects of one line that are read. Miners read one.
const MAX_OBJECTS: usize = 4;
/// The most bytes of all readings of one line. A pool's line can have 1 MiB, and each byte can become six (`\u0001`)
/// in each of sixteen readings. Lines of honest pools have one reading.
const MAX_READING_BYTES: usize = 2 * 1024 * 1024;
/// The keys of a message that [`Envelope`] knows.
pub(super) const KEYS: [&str; 6] = ["id", "method", "params", "result", "error", "reject-reason"];

/// The index in [`KEYS`] of a key as cJSON compares it: without case, and up to a NUL.
pub(super) fn key_place(key: &str) -> Option<usize> {
    // Nearly every key is spelled as it should be.
    if let Some(place) = KEYS.iter().position(|known| *known == key) {
        return Some(place);
    }
    let name = key.split('\0').next().unwrap_or_default();
    KEYS.iter().position(|known| known.eq_ignore_ascii_case(name))
}

/// All readings of a line.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// The distinct readings. The first one is jansson's.
    pub(super) readings: Vec<ObjectReading>,
    /// The leniencies that the line needs. Lines of the same shape are read by the same miners.
    pub(super) shape: u16,
    /// The start of the part that could not be read; `None` if everything but white space was read.
    pub(super) unread: Option<usize>,
    /// The line has more readings, which would take too much memory.
    pub(super) is_too_large: bool,
}

/// One reading of an object: the values of [`KEYS`] as strict JSON, which all readings share.
#[derive(Debug, Default)]
pub(super) struct ObjectReading([Option<Rc<RawValue>>; KEYS.len()]);

/// Reads all objects of `line`.
pub(super) fn scan(line: &[u8]) -> Scanned {
    let mut scanner = Scanner::new(line);
    let (mut readings, mut bytes): (Vec<ObjectReading>, usize) = (Vec::new(), 0);
    if line.starts_with(b"\xef\xbb\xbf") {
        (scanner.place, scanner.shape) = (3, ODD_WHITE_SPACE);
    }
    let mut unread = None;
    for number in 0.. {
        scanner.skip_white_space();
        let start = scanner.place;
        if start >= line.len() {
            break;
        }
        if number > 0 {
            scanner.shape |= BEHIND_OBJECT;
        }
        let mut fields = ObjectFields::default();
        if number >= MAX_OBJECTS || scanner.peek() != Some(b'{') || scanner.object(&mut fields).is_none() {
            unread = Some(start);
            break;
        }
        for reading in fields.readings() {
            if readings.iter().any(|known| known.is_same(&reading)) {
                continue;
            }
            bytes += reading.bytes();
            if bytes > MAX_READING_BYTES {
                scanner.is_too_large = true;
                break;
            }
            readings.push(reading);
        }
        if scanner.is_too_large {
            break;
        }
    }
    Scanned { readings, shape: scanner.shape, unread, is_too_large: scanner.is_too_large }
}

impl ObjectReading {
    /// The reading as a message.
    pub(super) fn message(&self) -> Envelope<'_> {
        Envelope::of_values(self.0.each_ref().map(Option::as_deref))
    }

    fn bytes(&self) -> usize {
        self.0.iter().flatten().map(|value| value.get().len()).sum()
    }

    fn is_same(&self, other: &ObjectReading) -> bool {
        self.0.iter().zip(&other.0).all(|pair| match pair {
            (Some(one), Some(other)) => Rc::ptr_eq(one, other) || one.get() == other.get(),
            (None, None) => true,
            _ => false,
        })
    }
}

/// The values of one key: the first and last of all, and of those whose key is in the usual case.
#[derive(Debug, Default, Clone)]
struct Field {
    first: Option<Rc<RawValue>>,
    last: Option<Rc<RawValue>>,
    first_exact: Option<Rc<RawValue>>,
    last_exact: Option<Rc<RawValue>>,
}

/// The fields of one object, in the order of [`KEYS`].
#[derive(Debug, Default)]
struct ObjectFields([Field; KEYS.len()]);

impl ObjectFields {
    /// Adds a value. Returns whether the key was there before.
    fn take(&mut self, index: usize, is_exact: bool, value: Rc<RawValue>) -> bool {
        let Some(field) = self.0.get_mut(index) else { return false };
        let was_there = field.first.is_some();
        field.first.get_or_insert_with(|| value.clone());
        if is_exact {
            field.first_exact.get_or_insert_with(|| value.clone());
            field.last_exact = Some(value.clone());
        }
        field.last = Some(value);
        was_there
    }

    /// One reading for each way to choose among equal keys.
    fn readings(&self) -> [ObjectReading; 4] {
        [
            self.chosen(|field| &field.last_exact),
            self.chosen(|field| &field.first),
            self.chosen(|field| &field.last),
            self.chosen(|field| &field.first_exact),
        ]
    }

    fn chosen(&self, choose: impl Fn(&Field) -> &Option<Rc<RawValue>>) -> ObjectReading {
        ObjectReading(self.0.each_ref().map(|field| choose(field).clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn readings(line: impl AsRef<[u8]>) -> Vec<String> {
        let text = |reading: &ObjectReading| {
            let values = KEYS.iter().zip(&reading.0).filter_map(|(key, value)| Some((key, value.as_ref()?)));
            let fields: Vec<String> = values.map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}}}", fields.join(","))
        };
        scan(line.as_ref()).readings.iter().map(text).collect()
    }

    #[test]
    fn the_readings_of_one_line_are_bounded() {
        let long = "1".repeat(MAX_READING_BYTES / 4);
        let line = format!("{{\"id\":1,\"params\":[{long}]}}");
        let twice = scan(line.repeat(2).replacen(":1,", ":2,", 1).as_bytes());
        assert_eq!((twice.readings.len(), twice.is_too_large, twice.unread), (2, false, None));
        let shared = scan(format!("{{\"id\":1,\"id\":2,\"ID\":3,\"params\":[{long}]}}").as_bytes());
        assert_eq!((shared.readings.len(), shared.is_too_large), (3, false));
        let many = scan(format!("{{\"ID\":0,\"id\":1,\"id\":2,\"ID\":3,\"params\":[{long}]}}").as_bytes());
        assert_eq!((many.readings.len(), many.is_too_large), (3, true));
        // A byte that becomes six.
        let grown = format!("{{\"params\":[\"{}\"]}}", "\u{1}".repeat(MAX_READING_BYTES / 4));
        let grown = scan(grown.as_bytes());
        assert_eq!((grown.readings.len(), grown.is_too_large, grown.unread), (0, true, Some(0)));
    }

    #[test]
    fn equal_keys_are_read_in_both_ways() {
        assert_eq!(
            readings(r#"{"id":1,"id":2,"method":"x"}"#),
            [r#"{"id":2,"method":"x"}"#, r#"{"id":1,"method":"x"}"#]
        );
        assert_eq!(
            readings(r#"{"METHOD":"a","method":"b","Method":"c"}"#),
            [r#"{"method":"b"}"#, r#"{"method":"a"}"#, r#"{"method":"c"}"#]
        );
        assert_eq!(readings(r#"{"id":1,"id":1}"#), [r#"{"id":1}"#]);
        assert_eq!(readings(r#"{"method\u0000x":"a"}"#), ["{}", r#"{"method":"a"}"#]);
        assert_eq!(readings(r#"{"id":1,"method\u0000x":"b"}"#), [r#"{"id":1}"#, r#"{"id":1,"method":"b"}"#]);
    }

    #[test]
    fn what_one_miner_or_another_lets_through_is_read() {
        let plain = [r#"{"id":null,"params":["a","\u0001"]}"#];
        for line in [
            &b"{'id':null,params:['a',\"\\u0001\"]}"[..],
            b"{\"id\":null,\"params\":[\"a\",\"\x01\"]}",
            b"\xef\xbb\xbf{\"id\":null,\"params\":[\"a\",\"\\u0001\"]}",
            b"\x00\x0b{\x0c\"id\"\x01:null,\"params\":[\"a\",\"\\u0001\"],}",
            b"{\"id\":null,\"params\":[\"a\",\"\\u0001\"]} and more",
            b"{\"id\":null,\"params\":[\"a\",\"\\u0001\"]}\x00{",
            b"{\"id\":null,\"\xff\":[{}],\"params\":[\"\\u0061\",\"\\u0001\"]}",
        ] {
            assert_eq!(readings(line), plain, "{}", line.escape_ascii());
        }
        assert_eq!(readings("{\"id\":1}{\"id\":2}"), ["{\"id\":1}", "{\"id\":2}"]);
        assert_eq!(readings(b"{\"id\":\"\xff\"}"), ["{\"id\":\"\u{fffd}\"}"]);
        assert_eq!(readings("{\"id\":007}"), ["{\"id\":7.0}"]);
        assert_eq!(readings(r#"{"id":"\ud83d\ude00\ud83d"}"#), ["{\"id\":\"😀\u{fffd}\"}"]);
    }

    #[test]
    fn what_no_miner_reads_is_unread() {
        for line in ["", "x", "[1]", "{\"id\":1", "{\"id\"}", "{\"id\":}", "{\"id\":1 2}", "{,}", "{\"id"] {
            assert!(readings(line).is_empty(), "{line}");
            assert_eq!(scan(line.as_bytes()).unread.is_some(), !line.is_empty(), "{line}");
        }
        let deep = |depth| format!("{{\"x\":{}1{},\"id\":1}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(readings(deep(100)).len(), 1);
        assert!(readings(deep(100_000)).is_empty());
        assert_eq!(scan(b"{\"id\":1} x").unread, Some(9));
    }

    #[test]
    fn the_same_leniencies_are_the_same_shape() {
        let shape = |line: &str| scan(line.as_bytes()).shape;
        assert_eq!(shape(r#"{"id":1,"id":2}"#), shape(r#"{"id":5,"params":[],"id":6}"#));
        assert_ne!(shape(r#"{"id":1,"id":2}"#), shape(r#"{"id":5} "#));
        assert_ne!(shape(r#"{"id":1}x"#), shape(r#"{"ID":5}"#));
    }

    proptest! {
        #[test]
        fn every_reading_is_a_message(line in prop::collection::vec(any::<u8>(), 0..200)) {
            for reading in readings(&line) {
                prop_assert!(super::super::Envelope::read(reading.as_bytes()).is_ok(), "{}", reading);
            }
        }

        #[test]
        fn odd_objects_too(line in r#"(\{('|")?(id|Method|params)('|")?:(\[\{?|\]|"|'|1|nul|\\u0[0-9]|,|\}){0,12}){1,4}"#) {
            for reading in readings(&line) {
                prop_assert!(super::super::Envelope::read(reading.as_bytes()).is_ok(), "{}", reading);
            }
        }
    }
}
