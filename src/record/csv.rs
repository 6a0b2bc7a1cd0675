//! The fields and rows of the CSV files, as RFC 4180 writes them and spreadsheets read them.

use std::time::Duration;

use crate::util::escape::line_text;

/// Caps the characters of one field. The longest address has 90.
const MAX_CELL: usize = 128;

/// Formats one row with its newline, and quotes fields where needed.
pub(super) fn row<const N: usize>(fields: [String; N]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().buffer_capacity(512).from_writer(Vec::new());
    // Writing to memory, with a fixed number of fields, can't fail.
    let _ = writer.write_record(&fields);
    writer.into_inner().unwrap_or_default()
}

/// The value, or an empty field if it is unknown.
pub(super) fn optional<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A number with all digits, or an empty field if it is not finite.
pub(super) fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

/// Seconds with three decimals.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// Milliseconds with three decimals.
pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

/// Makes an untrusted text safe for a CSV field: [`line_text`] with at most 128 characters, and an
/// apostrophe in front if a spreadsheet would take it for a formula (first character `=`, `+`, `-`,
/// `@`, their full-width forms, tab or a line break;
/// <https://owasp.org/www-community/attacks/CSV_Injection>). The CSV writer adds quotes.
pub(super) fn csv_field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n']);
    if is_formula { format!("'{}", line_text(text, MAX_CELL)) } else { line_text(text, MAX_CELL) }
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
}
