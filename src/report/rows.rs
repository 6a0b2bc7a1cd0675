//! Rows of a CSV file, read as bytes: one pass over the file, and no allocation a row.
//!
//! A line break always ends a row, because Sluice escapes those in texts. So a quote that a crash has torn open
//! damages its own row and none behind it.

use std::io::{self, Read};

/// Caps the bytes of a row. Sluice's longest has about 3 KiB.
const MAX_ROW_BYTES: usize = 64 * 1024;
/// Caps the fields of a row. Sluice's longest has 24.
const MAX_ROW_FIELDS: usize = 256;
/// The bytes that are read at once.
const READ_SIZE: usize = 256 * 1024;

const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// Reads the rows of one file.
pub(super) struct RowReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// The unread bytes of `buffer`.
    start: usize,
    end: usize,
    at_end: bool,
    /// The number of the line that was read last, from 1.
    line: u64,
    fields: Vec<(usize, usize)>,
    /// The text of a row with quotes, without them.
    unquoted: Vec<u8>,
}

/// The next row, or the reason why it can't be used.
pub(super) enum NextRow<'a> {
    Row(RowFields<'a>),
    Damaged(&'static str),
}

/// The fields of a row.
#[derive(Clone, Copy)]
pub(super) struct RowFields<'a> {
    text: &'a str,
    places: &'a [(usize, usize)],
}

impl<'a> RowFields<'a> {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The field at this place; empty if there is none.
    pub fn get(&self, place: Option<usize>) -> &'a str {
        let found = place.and_then(|place| self.places.get(place));
        found.and_then(|(start, end)| self.text.get(*start..*end)).unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        let text = self.text;
        self.places.iter().map(move |(start, end)| text.get(*start..*end).unwrap_or_default())
    }
}

impl<R: Read> RowReader<R> {
    pub fn new(source: R) -> RowReader<R> {
        RowReader {
            source,
            buffer: vec![0; READ_SIZE],
            start: 0,
            end: 0,
            at_end: false,
            line: 0,
            fields: Vec::with_capacity(32),
            unquoted: Vec::new(),
        }
    }

    /// The number of the line that was read last, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next row; `None` at the end. Empty lines are skipped.
    ///
    /// # Errors
    /// Errors of the disk, and of a gzip that is damaged or cut off.
    pub fn next(&mut self) -> io::Result<Option<NextRow<'_>>> {
        loop {
            let Some(scanned) = self.scan_line()? else { return Ok(None) };
            self.line += 1;
            let begin = self.start;
            let LineScan { length, is_special, is_too_long } = scanned;
            if is_too_long {
                self.start = begin + length;
                self.skip_line()?;
            } else {
                self.start = (begin + length + 1).min(self.end);
            }
            if length > MAX_ROW_BYTES {
                return Ok(Some(NextRow::Damaged("longer than 64 KiB")));
            }
            let mut end = begin + length;
            if end > begin && self.buffer[end - 1] == b'\r' {
                end -= 1;
            }
            if end == begin {
                continue;
            }
            return Ok(Some(self.row(begin, end, is_special)));
        }
    }

    fn row(&mut self, begin: usize, end: usize, is_special: bool) -> NextRow<'_> {
        let bytes = &self.buffer[begin..end];
        let bytes = if is_special {
            if bytes.contains(&0) {
                return NextRow::Damaged("it has NULs, as a power cut leaves them");
            }
            self.unquoted.clear();
            if !unquote(bytes, &mut self.unquoted, &mut self.fields) {
                return NextRow::Damaged("a quote is not closed");
            }
            &self.unquoted[..]
        } else {
            if let Some(last) = self.fields.last_mut() {
                last.1 = end - begin;
            }
            bytes
        };
        if self.fields.len() >= MAX_ROW_FIELDS {
            return NextRow::Damaged("too many fields");
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => NextRow::Row(RowFields { text, places: &self.fields }),
            Err(_) => NextRow::Damaged("not UTF-8"),
        }
    }

    /// Finds the end of the line at `start`, and the commas before it.
    fn scan_line(&mut self) -> io::Result<Option<LineScan>> {
        self.fields.clear();
        let mut found = LineScan { length: 0, is_special: false, is_too_long: false };
        let mut field_start = 0;
        loop {
            let line = &self.buffer[self.start..self.end];
            // Eight bytes at once; what is left is looked at again after the next read.
            let mut words = line[found.length..].chunks_exact(8);
            let mut is_complete = false;
            for word in words.by_ref() {
                let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
                found.is_special |= (matches(word, b'"') | matches(word, 0)) != 0;
                let mut marks = matches(word, b',') | matches(word, b'\n');
                while marks != 0 {
                    let place = found.length + (marks.trailing_zeros() / 8) as usize;
                    marks &= marks - 1;
                    if self.fields.len() < MAX_ROW_FIELDS {
                        self.fields.push((field_start, place));
                    }
                    field_start = place + 1;
                    if line[place] == b'\n' {
                        found.length = place;
                        is_complete = true;
                        break;
                    }
                }
                if is_complete {
                    // A quote behind the end of the line, in the same word, only costs the slow way.
                    return Ok(Some(found));
                }
                found.length += 8;
            }
            if found.length > MAX_ROW_BYTES {
                return Ok(Some(LineScan { is_too_long: true, ..found }));
            }
            if self.at_end {
                return Ok(self.scan_rest(found, field_start));
            }
            self.fill()?;
        }
    }

    /// The last bytes of the file, one by one. At the end, a line needs no line break.
    fn scan_rest(&mut self, mut found: LineScan, mut field_start: usize) -> Option<LineScan> {
        let line = &self.buffer[self.start..self.end];
        if line.is_empty() {
            return None;
        }
        for (place, byte) in line.iter().enumerate().skip(found.length) {
            found.is_special |= matches!(byte, b'"' | 0);
            if matches!(byte, b',' | b'\n') {
                if self.fields.len() < MAX_ROW_FIELDS {
                    self.fields.push((field_start, place));
                }
                field_start = place + 1;
            }
            if *byte == b'\n' {
                return Some(LineScan { length: place, ..found });
            }
        }
        self.fields.push((field_start, line.len()));
        Some(LineScan { length: line.len(), ..found })
    }

    /// Reads more bytes behind those that are there.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            // A row has at most 64 KiB, so there is room.
            self.at_end = true;
            return Ok(());
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(length) => self.end += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }

    /// Skips to the next line.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if let Some(place) = self.buffer[self.start..self.end].iter().position(|byte| *byte == b'\n') {
                self.start += place + 1;
                return Ok(());
            }
            self.start = self.end;
            if self.at_end {
                return Ok(());
            }
            self.fill()?;
        }
    }
}

/// A line without its line break.
#[derive(Clone, Copy)]
struct LineScan {
    length: usize,
    /// Whether it may have a quote or a NUL.
    is_special: bool,
    is_too_long: bool,
}

/// Has the highest bit of each byte that is `byte`, and no other bit.
fn matches(word: u64, byte: u8) -> u64 {
    let zeros = word ^ (u64::from(byte) * 0x0101_0101_0101_0101);
    !(((zeros & LOW_BITS) + LOW_BITS) | zeros | LOW_BITS)
}

/// Splits a row with quotes, as RFC 4180 has it. False if a quote is not closed.
fn unquote(row: &[u8], text: &mut Vec<u8>, fields: &mut Vec<(usize, usize)>) -> bool {
    fields.clear();
    let mut bytes = row.iter().copied().peekable();
    loop {
        let start = text.len();
        let is_quoted = bytes.next_if_eq(&b'"').is_some();
        let mut is_open = is_quoted;
        let mut has_more = false;
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' if is_open && bytes.next_if_eq(&b'"').is_some() => text.push(b'"'),
                b'"' if is_open => is_open = false,
                b',' if !is_open => {
                    has_more = true;
                    break;
                }
                byte => text.push(byte),
            }
        }
        if fields.len() < MAX_ROW_FIELDS {
            fields.push((start, text.len()));
        }
        if is_open || !has_more {
            return !is_open;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(to.len());
            to[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn rows(bytes: &[u8], step: usize) -> Vec<String> {
        let mut reader = RowReader::new(Slow(bytes, step));
        let mut rows = Vec::new();
        while let Some(row) = reader.next().unwrap() {
            let text = match row {
                NextRow::Row(row) => row.iter().collect::<Vec<_>>().join("|"),
                NextRow::Damaged(why) => format!("<{why}>"),
            };
            rows.push(format!("{}:{text}", reader.line()));
        }
        rows
    }

    #[test]
    fn rows_are_the_same_however_the_bytes_come() {
        let text =
            b"a,b,c\r\n\n,,\n\"x,\"\"y\"\"\",2\nlong field here,and another one\nno \"end\nnul\0,1\nlast,";
        let expected = [
            "1:a|b|c",
            "3:||",
            "4:x,\"y\"|2",
            "5:long field here|and another one",
            "6:no \"end",
            "7:<it has NULs, as a power cut leaves them>",
            "8:last|",
        ];
        for step in [1, 2, 7, 8, 9, 64, 1000] {
            assert_eq!(rows(text, step), expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn the_csv_crate_finds_the_same_fields() {
        let text = "one,two,three\n\"q\",\"a,b\",\"\"\"\"\n1234567,12345678,123456789\n,x,\n";
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let expected: Vec<String> =
            reader.records().map(|row| row.unwrap().iter().collect::<Vec<_>>().join("|")).collect();
        let found = rows(text.as_bytes(), 5);
        assert_eq!(found.iter().map(|row| row.split_once(':').unwrap().1).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_row_without_end_is_skipped_and_the_next_one_is_read() {
        let mut text = b"first\n".to_vec();
        text.extend(vec![b'x'; 1 << 20]);
        text.extend(b"\nsecond,1\n\"open,1\nthird,1\n");
        text.extend(b"\xff\xfe,1\nend\n");
        assert_eq!(
            rows(&text, 4096),
            [
                "1:first",
                "2:<longer than 64 KiB>",
                "3:second|1",
                "4:<a quote is not closed>",
                "5:third|1",
                "6:<not UTF-8>",
                "7:end"
            ]
        );
    }
}
