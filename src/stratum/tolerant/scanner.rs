//! A scanner that reads JSON as leniently as the most lenient miner, and writes each value as strict JSON.

use serde_json::value::RawValue;

use super::{KEYS, MAX_READING_BYTES, ObjectFields, key_place};

/// The deepest nesting that is read. No message has more than five levels.
const MAX_DEPTH: usize = 128;

// The leniencies that a line can need, one bit each.
pub(super) const ODD_WHITE_SPACE: u16 = 1;
pub(super) const BEHIND_OBJECT: u16 = 1 << 1;
const DUPLICATE_KEY: u16 = 1 << 2;
const OTHER_CASE: u16 = 1 << 3;
const SINGLE_QUOTES: u16 = 1 << 4;
const CONTROL_CHARACTER: u16 = 1 << 5;
const NOT_UTF8: u16 = 1 << 6;
const ODD_ESCAPE: u16 = 1 << 7;
const BARE_TOKEN: u16 = 1 << 8;
const TRAILING_COMMA: u16 = 1 << 9;

/// A position in a line, and the leniencies needed so far.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    pub(super) place: usize,
    pub(super) shape: u16,
    /// A value has grown too large.
    pub(super) is_too_large: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Scanner<'a> {
        Scanner { bytes, place: 0, shape: 0, is_too_large: false }
    }

    /// The next byte, without taking it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.place).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.place += 1;
        Some(byte)
    }

    /// Skips white space: every byte up to 0x20.
    pub(super) fn skip_white_space(&mut self) {
        while let Some(byte @ 0..=b' ') = self.peek() {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                self.shape |= ODD_WHITE_SPACE;
            }
            self.place += 1;
        }
    }

    /// Reads one object at the top level. Returns `None` if it cannot be read.
    pub(super) fn object(&mut self, fields: &mut ObjectFields) -> Option<()> {
        self.members(b'}', 0, &mut |scanner, _| {
            let key = scanner.key()?;
            let known = key_place(&key);
            scanner.colon()?;
            let Some(index) = known else { return scanner.value(1, &mut String::new()) };
            let mut value = String::new();
            scanner.value(1, &mut value)?;
            let is_exact = KEYS[index] == key;
            if !is_exact {
                scanner.shape |= OTHER_CASE;
            }
            let value = RawValue::from_string(value).ok()?;
            if fields.take(index, is_exact, value.into()) {
                scanner.shape |= DUPLICATE_KEY;
            }
            Some(())
        })
    }

    /// Reads the members between two brackets. `each` reads one and gets whether it is the first.
    fn members(
        &mut self,
        end: u8,
        depth: usize,
        each: &mut dyn FnMut(&mut Self, bool) -> Option<()>,
    ) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.next()?;
        let mut is_first = true;
        loop {
            self.skip_white_space();
            if self.peek()? == end {
                self.place += 1;
                return Some(());
            }
            each(self, is_first)?;
            is_first = false;
            self.skip_white_space();
            match self.peek()? {
                b',' => {
                    self.place += 1;
                    self.skip_white_space();
                    if self.peek()? == end {
                        self.shape |= TRAILING_COMMA;
                    }
                }
                byte if byte == end => {}
                _ => return None,
            }
        }
    }

    /// Reads a value and writes it to `out` as strict JSON.
    fn value(&mut self, depth: usize, out: &mut String) -> Option<()> {
        self.skip_white_space();
        match self.peek()? {
            b'{' => {
                out.push('{');
                self.members(b'}', depth, &mut |scanner, is_first| {
                    if !is_first {
                        out.push(',');
                    }
                    let key = scanner.key()?;
                    quote(&key, out);
                    scanner.colon()?;
                    out.push(':');
                    scanner.value(depth + 1, out)
                })?;
                out.push('}');
            }
            b'[' => {
                out.push('[');
                self.members(b']', depth, &mut |scanner, is_first| {
                    if !is_first {
                        out.push(',');
                    }
                    scanner.value(depth + 1, out)
                })?;
                out.push(']');
            }
            b'"' | b'\'' => {
                let text = self.text()?;
                quote(&text, out);
            }
            _ => {
                let token = self.token()?;
                self.literal(&token, out);
            }
        }
        if out.len() > MAX_READING_BYTES {
            self.is_too_large = true;
            return None;
        }
        Some(())
    }

    fn key(&mut self) -> Option<String> {
        if matches!(self.peek()?, b'"' | b'\'') {
            return self.text();
        }
        self.shape |= BARE_TOKEN;
        self.token()
    }

    fn colon(&mut self) -> Option<()> {
        self.skip_white_space();
        (self.next()? == b':').then_some(())
    }

    /// Reads a run of letters, digits and the signs of numbers.
    fn token(&mut self) -> Option<String> {
        let start = self.place;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte)) {
            self.place += 1;
        }
        let token = &self.bytes[start..self.place];
        (!token.is_empty()).then(|| String::from_utf8_lossy(token).into_owned())
    }

    /// Writes a bare token as the number or text that it is.
    fn literal(&mut self, token: &str, out: &mut String) {
        if serde_json::from_str::<serde::de::IgnoredAny>(token).is_ok() {
            out.push_str(token);
            return;
        }
        self.shape |= BARE_TOKEN;
        match token.parse::<f64>() {
            Ok(number) if number.is_finite() => out.push_str(&serde_json::json!(number).to_string()),
            _ => quote(token, out),
        }
    }

    /// Reads a text in either kind of quotes.
    fn text(&mut self) -> Option<String> {
        let end = self.next()?;
        if end == b'\'' {
            self.shape |= SINGLE_QUOTES;
        }
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                byte if byte == end => break,
                b'\\' => self.escape(&mut bytes)?,
                byte => {
                    if byte < b' ' {
                        self.shape |= CONTROL_CHARACTER;
                    }
                    bytes.push(byte);
                }
            }
        }
        Some(String::from_utf8(bytes).unwrap_or_else(|error| {
            self.shape |= NOT_UTF8;
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }))
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Option<()> {
        let byte = match self.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 0x08,
            b'f' => 0x0c,
            b'u' => {
                let letter = self.unicode();
                bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(());
            }
            byte @ (b'"' | b'\\' | b'/') => byte,
            byte => {
                self.shape |= ODD_ESCAPE;
                byte
            }
        };
        bytes.push(byte);
        Some(())
    }

    /// Reads the digits after `\u`. Half a surrogate pair, or no digits at all, gives U+FFFD.
    fn unicode(&mut self) -> char {
        let Some(high) = self.four_digits() else {
            self.shape |= ODD_ESCAPE;
            return char::REPLACEMENT_CHARACTER;
        };
        if let Some(letter) = char::from_u32(high) {
            return letter;
        }
        let before = self.place;
        if (0xd800..0xdc00).contains(&high) && self.bytes[self.place..].starts_with(b"\\u") {
            self.place += 2;
            if let Some(low @ 0xdc00..0xe000) = self.four_digits() {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
        }
        self.place = before;
        self.shape |= ODD_ESCAPE;
        char::REPLACEMENT_CHARACTER
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = std::str::from_utf8(self.bytes.get(self.place..self.place + 4)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        self.place += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
