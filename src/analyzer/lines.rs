//! Chunks of bytes to lines. Bounded: a line that is too long is skipped to its end and counted.

/// The longest line that is looked at, in bytes: the largest coinbase in use makes a notify of
/// 34,000 (wire reference, section 1.2).
pub const MOST_LINE: usize = 64 * 1024;

/// Joins one direction of one conversation to lines.
#[derive(Debug)]
pub struct LineReader {
    most: usize,
    partial: Vec<u8>,
    /// Everything up to the next newline is thrown away.
    skipping: bool,
    /// How many lines were too long.
    pub too_long: u64,
    /// How often bytes were missing.
    pub gaps: u64,
}

impl Default for LineReader {
    fn default() -> LineReader {
        LineReader::up_to(MOST_LINE)
    }
}

impl LineReader {
    /// Lines longer than `most` bytes are skipped.
    pub fn up_to(most: usize) -> LineReader {
        LineReader { most, partial: Vec::new(), skipping: false, too_long: 0, gaps: 0 }
    }

    /// Copies were lost: what there is of a line is no use, and the next bytes may begin in the
    /// middle of one.
    pub fn gap(&mut self) {
        self.partial = Vec::new();
        self.skipping = true;
        self.gaps += 1;
    }

    /// The beginning of the line that is not complete yet.
    pub fn unfinished(&self) -> &[u8] {
        &self.partial
    }

    /// Takes bytes and gives each line that they complete to `each`, without its newline. Empty
    /// lines are left out (wire reference, section 1.1). A line that lies within `bytes` is not copied.
    pub fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.skipping {
                self.skipping = false;
            } else if self.partial.is_empty() && head.len() <= self.most {
                give(head, &mut each);
            } else if self.keep(head) {
                give(&self.partial, &mut each);
                self.partial.clear();
            } else {
                // The end of the line that was too long.
                self.skipping = false;
            }
        }
        if !self.skipping && !bytes.is_empty() {
            self.keep(bytes);
        }
        // One long line should not hold its memory for the rest of the session.
        if self.partial.is_empty() && self.partial.capacity() > 4096 {
            self.partial = Vec::new();
        }
    }

    /// Adds to the unfinished line; `false` when it has become too long.
    fn keep(&mut self, bytes: &[u8]) -> bool {
        if self.partial.len() + bytes.len() > self.most {
            self.partial = Vec::new();
            self.skipping = true;
            self.too_long += 1;
            return false;
        }
        self.partial.extend_from_slice(bytes);
        true
    }
}

fn give(line: &[u8], each: &mut impl FnMut(&[u8])) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.is_empty() {
        each(line);
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
            assert!(reader.partial.len() <= MOST_LINE);
        }
        let mut lines = Vec::new();
        reader.read(b"tail\nnext\n", |line| lines.push(line.to_vec()));
        assert_eq!((lines, reader.too_long), (vec![b"next".to_vec()], 1));
    }

    #[test]
    fn the_longest_line_is_read_and_one_byte_more_is_not() {
        for (length, expected) in [(MOST_LINE, 1), (MOST_LINE + 1, 0)] {
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

    proptest! {
        #[test]
        fn chunk_borders_do_not_matter(text in "[a-c\n\r]{0,200}", cut in 1_usize..20) {
            let (whole, _) = read_all(&[text.as_bytes()]);
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(read_all(&chunks).0, whole);
        }
    }
}
