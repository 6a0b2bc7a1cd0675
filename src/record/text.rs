//! Texts of unknown origin in our files: no line can be forged, no terminal driven, no formula
//! smuggled into a spreadsheet. What a page makes of them is the page's concern.

use crate::logging::Printable;

/// More characters of one name or reason say nothing more. The longest address has 90.
const MAX_CELL: usize = 128;

/// A text for a line of a log or a record: control characters and those that reorder a line are
/// escaped as Rust writes them (`\n`, `\u{1b}`); what is longer than `max` characters ends with
/// `…`. Quotes and emoji stay.
pub(crate) fn line_text(text: &str, max: usize) -> String {
    let escaped = match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", Printable(&text[..end])),
        None => Printable(text).to_string(),
    };
    // The Arabic letter mark reorders as the others do.
    escaped.replace('\u{61c}', "\\u{61c}")
}

/// A text for a CSV field: as [`line_text`] with 128 characters, and with an apostrophe in front when a spreadsheet
/// would take it for a formula (first character `=`, `+`, `-`, `@`, their full-width forms, tab or a
/// line break; <https://owasp.org/www-community/attacks/CSV_Injection>). Quoting is the CSV
/// writer's concern.
pub(super) fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n']);
    if is_formula { format!("'{}", line_text(text, MAX_CELL)) } else { line_text(text, MAX_CELL) }
}

/// JSON as it may be shown on a terminal. `serde_json` escapes the ASCII control characters; the
/// others can only stand inside of a text, where `\u202e` means the same.
pub(crate) fn json_text(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        let is_dangerous = c != '\n'
            && (c.is_control()
                || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
        if is_dangerous {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_get_an_apostrophe() {
        for formula in ["=cmd()|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "＝1"] {
            assert_eq!(cell(formula), format!("'{formula}"));
        }
        assert_eq!(cell("\t=1"), "'\\t=1");
        assert_eq!(cell("\r=1"), "'\\r=1");
        assert_eq!(cell("bc1q.rig-1"), "bc1q.rig-1");
    }

    #[test]
    fn nothing_drives_a_terminal_and_emoji_survive() {
        assert_eq!(
            line_text("a\nb\u{1b}[2J\u{202e}\u{61c}\"⛏️é", 100),
            "a\\nb\\u{1b}[2J\\u{202e}\\u{61c}\"⛏️é"
        );
        let json = json_text(&serde_json::json!("a\n\u{202e}\u{85}\u{61c}⛏️").to_string());
        assert_eq!(json, "\"a\\n\\u202e\\u0085\\u061c⛏️\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "a\n\u{202e}\u{85}\u{61c}⛏️");
    }

    #[test]
    fn long_texts_end() {
        let cut = line_text(&"é".repeat(1000), 256);
        assert_eq!(cut.chars().count(), 257);
        assert!(cut.ends_with('…'));
    }
}
