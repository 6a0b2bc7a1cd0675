//! Lines that fit a terminal: long texts are wrapped, and addresses shortened.

/// The width of a terminal that every line of the log and the demo fits.
pub const CONSOLE_COLUMNS: usize = 100;

/// Letters and digits in a row that are shortened: every Bitcoin address has as many, no word of a sentence has.
const MIN_SHORTENED: usize = 26;
/// The characters that remain of a shortened one, at its beginning and end.
const KEPT_AT_BEGIN: usize = 8;
const KEPT_AT_END: usize = 4;

/// Lines of at most `width` characters: `head` with the beginning of the text, and the rest below that, from column
/// `indent` on. A word that is too long for a line is broken.
pub fn wrapped(head: &str, text: &str, indent: usize, width: usize) -> Vec<String> {
    let room = width.saturating_sub(indent).max(1);
    let (mut lines, mut line, mut is_empty) = (Vec::new(), head.to_owned(), true);
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        let mut rest: Vec<char> = word.chars().collect();
        while !rest.is_empty() {
            let used = line.chars().count() + usize::from(!is_empty);
            if used + rest.len() > width && !is_empty {
                lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
                is_empty = true;
                continue;
            }
            if !is_empty {
                line.push(' ');
            }
            let piece = rest.drain(..rest.len().min(room));
            line.extend(piece);
            is_empty = false;
        }
    }
    lines.push(line);
    lines
}

/// The items of a section below each other, as many in a line as fit, with ` | ` between them. An item is broken only
/// if a line can't hold it.
pub fn wrapped_items<'a>(
    head: &str,
    items: impl IntoIterator<Item = &'a str>,
    indent: usize,
    width: usize,
) -> Vec<String> {
    let room = width.saturating_sub(indent).max(1);
    let (mut lines, mut line, mut is_empty) = (Vec::new(), head.to_owned(), true);
    for item in items {
        let length = item.chars().count();
        if !is_empty && line.chars().count() + " | ".len() + length > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            is_empty = true;
        }
        if !is_empty {
            line.push_str(" | ");
        } else if length > room {
            lines.append(&mut wrapped(&line, item, indent, width));
            line = lines.pop().unwrap_or_default();
            is_empty = false;
            continue;
        }
        line.push_str(item);
        is_empty = false;
    }
    lines.push(line);
    lines
}

/// The text with each address and hash shortened: `bc1qw508…f3t4`.
pub fn shortened(text: &str) -> String {
    let (mut short, mut run) = (String::with_capacity(text.len()), String::new());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            run.push(c);
        } else {
            push_run(&mut short, &run);
            run.clear();
            short.push(c);
        }
    }
    push_run(&mut short, &run);
    short
}

/// Adds letters and digits in a row, shortened if there are many. They are ASCII.
fn push_run(text: &mut String, run: &str) {
    // A long word without a digit is none of the two.
    if run.len() < MIN_SHORTENED || !run.contains(|c: char| c.is_ascii_digit()) {
        return text.push_str(run);
    }
    text.push_str(&run[..KEPT_AT_BEGIN]);
    text.push('…');
    text.push_str(&run[run.len() - KEPT_AT_END..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_below_their_beginning() {
        let text = format!("{} {} end", "word ".repeat(30), "é".repeat(200));
        let lines = wrapped("00:01  HIGH    ", &text, 15, 100);
        assert!(lines.iter().all(|line| line.chars().count() <= 100), "{lines:#?}");
        assert!(lines[1..].iter().all(|line| line.starts_with(&" ".repeat(15))), "{lines:#?}");
        let (joined, given) = (lines.concat(), text.replace(' ', ""));
        assert!(joined.replace(' ', "").ends_with(&given), "nothing is lost: {joined}");
        assert_eq!(wrapped("a  ", "short", 3, 100), ["a  short"]);
        assert_eq!(wrapped("a  ", "", 3, 100), ["a  "]);
    }

    #[test]
    fn items_stay_whole_if_a_line_holds_them() {
        let items = ["12345678", "1234", "123456789", "1 2 3 4 5 6 7 8 9 10", "end"];
        let lines = wrapped_items("LABEL  ", items, 7, 22);
        let expected =
            ["LABEL  12345678 | 1234", "       123456789", "       1 2 3 4 5 6 7 8", "       9 10 | end"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn addresses_and_hashes_are_shortened_and_nothing_else() {
        for (text, short) in [
            ("to bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.rig, then", "to bc1qw508…f3t4.rig, then"),
            ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP…vfNa"),
            ("stratum+tcp://solo.ckpool.org:3333", "stratum+tcp://solo.ckpool.org:3333"),
            ("2026-12-01T11:26:45.006Z INFO", "2026-12-01T11:26:45.006Z INFO"),
            ("antidisestablishmentarianism", "antidisestablishmentarianism"),
        ] {
            assert_eq!(shortened(text), short);
        }
    }
}
