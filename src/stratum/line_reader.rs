//! Joins chunks of bytes to lines. A line that is too long is skipped to its end and counted.

use crate::util::memory_budget::{MemoryBudget, MemoryReservation};

/// The longest line of a miner that is read, in bytes. Lines of a pool up to this length need no shared memory: the
/// largest coinbase in use makes a notify of 34,000 bytes (wire reference, section 1.2).
pub const MAX_MINER_LINE: usize = 64 * 1024;
/// The longest line of a pool that is read, in bytes: miners read longer lines than any honest pool sends.
pub const MAX_POOL_LINE: usize = 1024 * 1024;
/// The most bytes of unfinished lines longer than [`MAX_MINER_LINE`] in all sessions: enough for 64 of the longest
/// lines. Without this bound 5,000 sessions could take 5 GB.
const MAX_LONG_LINE_BYTES: usize = 64 * MAX_POOL_LINE;

/// The memory for long unfinished lines, which all sessions share.
#[derive(Debug, Clone)]
pub struct LongLines(MemoryBudget);

/// Joins the bytes of one direction to lines.
#[derive(Debug)]
pub struct LineReader {
    max: usize,
    partial: Vec<u8>,
    /// The memory for lines longer than [`MAX_MINER_LINE`]; `None` for a reader with only its own bound.
    long_lines: Option<LongLines>,
    reserved: Option<MemoryReservation>,
    /// Everything up to the next newline is skipped.
    skipping: bool,
    /// The number of lines that were too long.
    pub too_long: u64,
}

/// A line as the reader found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its newline.
    Whole(&'a [u8]),
    /// A line that is too long. Reported as soon as that shows.
    TooLong,
}

impl Default for LineReader {
    fn default() -> LineReader {
        LineReader::up_to(MAX_MINER_LINE)
    }
}

impl Default for LongLines {
    fn default() -> LongLines {
        LongLines(MemoryBudget::new(MAX_LONG_LINE_BYTES))
    }
}

impl LineReader {
    /// A reader that skips lines longer than `max` bytes.
    pub fn up_to(max: usize) -> LineReader {
        LineReader {
            max,
            partial: Vec::new(),
            long_lines: None,
            reserved: None,
            skipping: false,
            too_long: 0,
        }
    }

    /// A reader of a pool's lines. Those longer than [`MAX_MINER_LINE`] are read if there is room in `long_lines`.
    pub fn of_pool(long_lines: LongLines) -> LineReader {
        LineReader { long_lines: Some(long_lines), ..LineReader::up_to(MAX_POOL_LINE) }
    }

    /// Handles lost bytes: drops the unfinished line, and skips to the next newline because the next bytes may begin
    /// in the middle of a line.
    pub fn gap(&mut self) {
        self.forget();
        self.skipping = true;
    }

    /// The beginning of the unfinished line.
    pub fn unfinished(&self) -> &[u8] {
        &self.partial
    }

    /// Gives back the memory that is kept for the next unfinished line.
    pub fn release_memory(&mut self) {
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
    }

    /// Takes bytes and passes each line that they complete to `each`, without its newline. Empty lines are left out
    /// (wire reference, section 1.1). A line that lies within `bytes` is not copied.
    pub fn read(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        self.read_all(bytes, |line| {
            if let Line::Whole(line) = line {
                each(line);
            }
        });
    }

    /// Reads like [`LineReader::read`], and reports lines that are too long as well, in order.
    pub fn read_all(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.skipping {
                self.skipping = false;
            } else if self.partial.is_empty() && head.len() <= self.max {
                emit(head, &mut each);
            } else if self.keep(head) {
                emit(&self.partial, &mut each);
                self.partial.clear();
                self.reserved = None;
            } else {
                // The end of the line that was too long.
                each(Line::TooLong);
                self.skipping = false;
            }
        }
        if !self.skipping && !bytes.is_empty() && !self.keep(bytes) {
            each(Line::TooLong);
        }
        // A long line should not keep its memory for the rest of the session.
        if self.partial.is_empty() && self.partial.capacity() > 4096 {
            self.partial = Vec::new();
        }
    }

    /// Appends to the unfinished line. Returns `false` if it has become too long.
    fn keep(&mut self, bytes: &[u8]) -> bool {
        let length = self.partial.len() + bytes.len();
        if length > self.max || !self.has_room(length) {
            self.forget();
            self.skipping = true;
            self.too_long += 1;
            return false;
        }
        self.partial.extend_from_slice(bytes);
        true
    }

    /// Returns whether an unfinished line may have this length. A long one reserves memory for the longest line.
    fn has_room(&mut self, length: usize) -> bool {
        match &self.long_lines {
            Some(long_lines) if length > MAX_MINER_LINE && self.reserved.is_none() => {
                self.reserved = long_lines.0.reserve(self.max);
                self.reserved.is_some()
            }
            _ => true,
        }
    }

    fn forget(&mut self) {
        (self.partial, self.reserved) = (Vec::new(), None);
    }
}

fn emit(line: &[u8], each: &mut impl FnMut(Line<'_>)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.is_empty() {
        each(Line::Whole(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, LineReader) {
        let (mut lines, mut reader) = (Vec::new(), LineReader::default());
        for chunk in chunks {
            reader.read(chunk, |line| lines.push(line.to_vec()));
        }
        (lines, reader)
    }

    #[test]
    fn lines_are_joined_and_empty_ones_left_out() {
        let (lines, reader) = read_all(&[b"a", b"b\r\n\n\r\nc", b"d\ne\nf"]);
        assert_eq!(lines, [&b"ab"[..], b"cd", b"e"]);
        assert_eq!((reader.too_long, reader.partial.as_slice()), (0, &b"f"[..]));
    }

    #[test]
    fn a_line_without_end_is_skipped_and_costs_no_memory() {
        let chunk = vec![b'x'; 10_000];
        let mut reader = LineReader::default();
        for _ in 0..1000 {
            reader.read(&chunk, |_| panic!("no line is complete"));
            assert!(reader.partial.len() <= MAX_MINER_LINE);
        }
        let mut lines = Vec::new();
        reader.read(b"tail\nnext\n", |line| lines.push(line.to_vec()));
        assert_eq!((lines, reader.too_long), (vec![b"next".to_vec()], 1));
    }

    #[test]
    fn the_longest_line_is_read_and_one_byte_more_is_not() {
        for (length, expected) in [(MAX_MINER_LINE, 1), (MAX_MINER_LINE + 1, 0)] {
            let mut line = vec![b'x'; length];
            line.push(b'\n');
            for split in [0, 1, length, length + 1] {
                let (lines, reader) = read_all(&[&line[..split], &line[split..], b"after\n"]);
                assert_eq!(lines.len(), expected + 1, "{length} split at {split}");
                assert_eq!(reader.too_long, 1 - expected as u64);
            }
        }
    }

    #[test]
    fn after_a_gap_the_next_whole_line_counts() {
        let mut reader = LineReader::default();
        reader.read(b"{\"id\":", |_| panic!("no line is complete"));
        reader.gap();
        let mut lines = Vec::new();
        reader.read(b"rest of another}\nwhole\n", |line| lines.push(line.to_vec()));
        assert_eq!(lines, [b"whole"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_told_in_its_order() {
        let mut reader = LineReader::up_to(4);
        let mut seen = Vec::new();
        for bytes in [&b"a\n12"[..], b"345", b"67\nb\n123456\nc\n"] {
            reader.read_all(bytes, |line| {
                seen.push(match line {
                    Line::Whole(line) => String::from_utf8(line.to_vec()).unwrap(),
                    Line::TooLong => String::from("too long"),
                });
            });
        }
        assert_eq!(seen, ["a", "too long", "b", "too long", "c"]);
    }

    #[test]
    fn long_lines_of_all_sessions_share_their_memory() {
        let long_lines = LongLines::default();
        let chunk = vec![b'x'; MAX_MINER_LINE + 1];
        let mut readers: Vec<LineReader> = (0..65).map(|_| LineReader::of_pool(long_lines.clone())).collect();
        for reader in &mut readers {
            reader.read(&chunk, |_| {});
        }
        assert_eq!(readers.iter().filter(|reader| reader.too_long > 0).count(), 1);
        let used = || long_lines.0.used();
        assert_eq!(used(), MAX_LONG_LINE_BYTES);
        // The end of a line gives its part back, and so do a gap, a line that is too long, and the session's end.
        let mut lengths = Vec::new();
        readers[0].read(b"end\n", |line| lengths.push(line.len()));
        assert_eq!(lengths, [chunk.len() + 3]);
        readers[1].gap();
        readers[2].read(&vec![b'x'; MAX_POOL_LINE], |_| {});
        assert_eq!(used(), MAX_LONG_LINE_BYTES - 3 * MAX_POOL_LINE);
        drop(readers);
        assert_eq!(used(), 0);
    }

    #[test]
    fn ordinary_lines_are_read_when_that_memory_is_used_up() {
        let long_lines = LongLines::default();
        let _all: Vec<MemoryReservation> =
            (0..64).map(|_| long_lines.0.reserve(MAX_POOL_LINE).unwrap()).collect();
        let mut reader = LineReader::of_pool(long_lines);
        let mut lines = 0;
        reader.read(&vec![b'x'; MAX_MINER_LINE], |_| {});
        reader.read(b"\n", |_| lines += 1);
        assert_eq!((lines, reader.too_long), (1, 0));
    }

    proptest! {
        #[test]
        fn chunk_borders_do_not_matter(text in "[a-c\n\r]{0,200}", cut in 1_usize..20) {
            let (whole, _) = read_all(&[text.as_bytes()]);
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(read_all(&chunks).0, whole);
        }
    }
}
