//! The fields and rows of the CSV files, as RFC 4180 writes them and spreadsheets read them.

use std::borrow::Cow;
use std::fmt::{Display, Write};
use std::time::Duration;

use crate::util::escape::line_text;

/// Caps the characters of one field. The longest address has 90.
const MAX_CELL: usize = 128;

/// Room for an ordinary row.
const ROW_CAPACITY: usize = 512;

/// A row in the making: each field is written into the one buffer that is queued for the file.
#[derive(Debug)]
pub(super) struct Row(String);

impl Row {
    pub(super) fn new() -> Row {
        Row(String::with_capacity(ROW_CAPACITY))
    }

    /// Adds a value whose text needs no quotes: a number, an address, a time, hex digits.
    pub(super) fn value(mut self, value: impl Display) -> Row {
        // Writing to memory can't fail.
        let _ = write!(self.0, "{value},");
        self
    }

    /// Adds a value as [`Row::value`] does, or an empty field if it is unknown.
    pub(super) fn optional(mut self, value: Option<impl Display>) -> Row {
        match value {
            Some(value) => self.value(value),
            None => {
                self.0.push(',');
                self
            }
        }
    }

    /// Adds a number with all digits, or an empty field if it is unknown or not finite.
    pub(super) fn number(self, value: Option<f64>) -> Row {
        self.optional(value.filter(|value| value.is_finite()))
    }

    /// Adds seconds with three decimals.
    pub(super) fn seconds(self, time: Option<Duration>) -> Row {
        self.thousandths(time.map(|time| time.as_secs_f64()))
    }

    /// Adds milliseconds with three decimals.
    pub(super) fn milliseconds(self, time: Option<Duration>) -> Row {
        self.thousandths(time.map(|time| time.as_secs_f64() * 1e3))
    }

    fn thousandths(mut self, value: Option<f64>) -> Row {
        if let Some(value) = value {
            // Writing to memory can't fail.
            let _ = write!(self.0, "{value:.3}");
        }
        self.0.push(',');
        self
    }

    /// Adds an untrusted text as [`csv_field`] makes it safe, in quotes where RFC 4180 wants them.
    pub(super) fn text(mut self, text: &str) -> Row {
        let field = csv_field(text);
        // Line breaks are escaped already.
        if field.contains([',', '"']) {
            let _ = write!(self.0, "\"{}\",", field.replace('"', "\"\""));
        } else {
            self.0.push_str(&field);
            self.0.push(',');
        }
        self
    }

    /// Ends the row.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.pop();
        self.0.push('\n');
        self.0.into_bytes()
    }
}

/// Makes an untrusted text safe for a CSV field: [`line_text`] with at most 128 characters, and an
/// apostrophe in front if a spreadsheet would take it for a formula (first character `=`, `+`, `-`,
/// `@`, their full-width forms, tab or a line break;
/// <https://owasp.org/www-community/attacks/CSV_Injection>).
pub(super) fn csv_field(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let is_letter_or_digit = text.as_bytes().first().is_none_or(u8::is_ascii_alphanumeric);
    if is_letter_or_digit && text.len() <= MAX_CELL && text.bytes().all(is_plain) {
        // Nearly every text.
        return Cow::Borrowed(text);
    }
    let is_formula = text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n']);
    let safe = line_text(text, MAX_CELL);
    Cow::Owned(if is_formula { format!("'{safe}") } else { safe })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_get_an_apostrophe() {
        for formula in ["=cmd()|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "＝1"] {
            assert_eq!(Row::new().text(formula).end(), format!("'{formula}\n").as_bytes());
        }
        assert_eq!(Row::new().text("\t=1").text("\r=1").end(), b"'\\t=1,'\\r=1\n");
        assert_eq!(Row::new().text("bc1q.rig-1").end(), b"bc1q.rig-1\n");
    }

    #[test]
    fn a_reader_of_csv_finds_the_same_fields() {
        for text in ["", "a,b", "\"", "say \"hi\", x", "=\"1,2\"", "'", "a\nb", "ü,ü"] {
            let row = Row::new().value(1).text(text).optional(None::<u8>).text(text).end();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(row.as_slice());
            let fields = reader.records().next().unwrap().unwrap();
            assert_eq!(fields, csv::StringRecord::from(vec!["1", &*csv_field(text), "", &*csv_field(text)]));
        }
    }
}
