//! Lines of a text file, each in bounded memory.

use std::io::{self, BufRead, Read};

/// Caps the bytes of a line. Sluice's longest has about 16 KiB.
const MAX_LINE: u64 = 64 * 1024;

/// Calls `take` with each line and its number from 1; with `None` for a line that is too long.
pub(super) fn each_line(source: impl Read, mut take: impl FnMut(u64, Option<&str>)) -> io::Result<()> {
    let mut source = io::BufReader::with_capacity(64 * 1024, source);
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        if source.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        number += 1;
        if line.last() != Some(&b'\n') && line.len() as u64 >= MAX_LINE {
            take(number, None);
            skip_rest(&mut source)?;
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        take(number, Some(text.trim_end_matches(['\n', '\r'])));
    }
}

fn skip_rest(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = source.fill_buf()?;
        let Some(place) = buffer.iter().position(|byte| *byte == b'\n') else {
            let length = buffer.len();
            if length == 0 {
                return Ok(());
            }
            source.consume(length);
            continue;
        };
        source.consume(place + 1);
        return Ok(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_none_and_the_last_one_needs_no_end() {
        let text = format!("a\r\n{}\n\nb", "x".repeat(200_000));
        let mut found = Vec::new();
        each_line(text.as_bytes(), |number, line| found.push((number, line.map(str::to_owned)))).unwrap();
        let line = |text: &str| Some(text.to_owned());
        assert_eq!(found, [(1, line("a")), (2, None), (3, line("")), (4, line("b"))]);
    }
}
