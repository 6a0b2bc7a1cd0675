//! Texts of unknown origin in our files: no line can be forged, no terminal driven, no formula
//! smuggled into a spreadsheet. What a page makes of them is the page's concern.

use crate::util::escape::{is_unprintable, line_text};

/// More characters of one name or reason say nothing more. The longest address has 90.
const MAX_CELL: usize = 128;

/// A text for a CSV field: as [`line_text`] with 128 characters, and with an apostrophe in front when a spreadsheet
/// would take it for a formula (first character `=`, `+`, `-`, `@`, their full-width forms, tab or a
/// line break; <https://owasp.org/www-community/attacks/CSV_Injection>). Quoting is the CSV
/// writer's concern.
pub(super) fn csv_field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n']);
    if is_formula { format!("'{}", line_text(text, MAX_CELL)) } else { line_text(text, MAX_CELL) }
}

/// JSON of a file that this program reads back, or that is evidence: its texts stay what they are. `serde_json`
/// escapes the ASCII control characters; the others can only stand inside of a text, where `\u202e`
/// means the same. What is written for readers elsewhere is [`to_json`](crate::util::escape::to_json).
pub(crate) fn escape_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_unprintable(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            safe.push_str(&format!("\\u{unit:04x}"));
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
            assert_eq!(csv_field(formula), format!("'{formula}"));
        }
        assert_eq!(csv_field("\t=1"), "'\\t=1");
        assert_eq!(csv_field("\r=1"), "'\\r=1");
        assert_eq!(csv_field("bc1q.rig-1"), "bc1q.rig-1");
    }

    #[test]
    fn what_is_read_back_is_what_was_written() {
        let json = escape_json(&serde_json::json!("a\n\u{202e}\u{85}\u{61c}\u{e0041}⛏️").to_string());
        assert_eq!(json, "\"a\\n\\u202e\\u0085\\u061c\\udb40\\udc41⛏️\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "a\n\u{202e}\u{85}\u{61c}\u{e0041}⛏️");
    }
}
