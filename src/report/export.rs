//! The typed export: `shares.csv` in a form that no program takes for other types.
//!
//! Programs guess the type of a column by its first rows. Hex digits look like numbers (`20000000`) until the first row
//! with a letter, `1e5` looks like a float, and DuckDB even takes `0x20000000` for a number. So a text that is not for
//! counting begins with a letter here: `x` before hex digits, `id:` before ids of others.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::rows::RowFields;
use super::share_line::ShareColumns;
use crate::record::ShareRow;
use crate::util::escape::printable;

/// The columns of hex digits.
const HEX: [&str; 6] = ["nonce", "ntime", "version", "extranonce1", "extranonce2", "hash"];
/// The columns of ids that others chose.
const IDS: [&str; 2] = ["job_id", "msg_id"];
/// The columns whose text may be any.
const TEXTS: [&str; 4] = ["worker", "reject_reason", "upstream", "user_agent"];

/// The export, while it is written.
pub struct TypedExport {
    out: BufWriter<File>,
    row: String,
    pub rows: u64,
}

/// The way in which a column is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ColumnForm {
    /// The text of the records: a number, a time, a fixed word.
    Plain,
    Prefixed(&'static str),
    Text,
}

impl TypedExport {
    /// Creates the file, with its header.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn create(path: &Path) -> io::Result<TypedExport> {
        let mut out = BufWriter::with_capacity(256 * 1024, File::create(path)?);
        writeln!(out, "{}", ShareRow::COLUMNS.join(","))?;
        Ok(TypedExport { out, row: String::new(), rows: 0 })
    }

    pub(super) fn add(&mut self, columns: &ShareColumns, row: &RowFields<'_>) -> io::Result<()> {
        self.row.clear();
        for (place, name) in ShareRow::COLUMNS.iter().enumerate() {
            if place > 0 {
                self.row.push(',');
            }
            let text = columns.text(row, place);
            if text.is_empty() {
                continue;
            }
            match form_of(name) {
                ColumnForm::Plain => push_field(&mut self.row, text, ""),
                ColumnForm::Prefixed(prefix) => push_field(&mut self.row, text, prefix),
                ColumnForm::Text => push_field(&mut self.row, text, formula_guard(text)),
            }
        }
        self.row.push('\n');
        self.rows += 1;
        self.out.write_all(self.row.as_bytes())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The disk is full.
    pub fn finish(mut self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.rows)
    }
}

fn form_of(column: &str) -> ColumnForm {
    if HEX.contains(&column) {
        ColumnForm::Prefixed("x")
    } else if IDS.contains(&column) {
        ColumnForm::Prefixed("id:")
    } else if TEXTS.contains(&column) {
        ColumnForm::Text
    } else {
        ColumnForm::Plain
    }
}

/// An apostrophe, if a spreadsheet would take the text for a formula. Sluice's own files have it already.
fn formula_guard(text: &str) -> &'static str {
    if text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) { "'" } else { "" }
}

fn push_field(row: &mut String, text: &str, prefix: &str) {
    let text = printable(text);
    // A file of another program may have anything in a column of numbers.
    let guard = if prefix.is_empty() { formula_guard(&text) } else { prefix };
    if text.contains([',', '"']) {
        row.push('"');
        row.push_str(guard);
        row.push_str(&text.replace('"', "\"\""));
        row.push('"');
    } else {
        row.push_str(guard);
        row.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{NextRow, RowReader};
    use super::*;

    #[test]
    fn hex_and_ids_begin_with_a_letter_and_texts_are_no_formulas() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.csv");
        let text = "timestamp,worker,job_id,nonce,version,msg_id,unknown\n\
                    2026-11-21T01:53:42.512Z,\"=HYPERLINK(\"\"x\"\",1)\",1e5,00000001,20000000,7,x\n\
                    2026-11-21T01:53:42.512Z,a\x1b[2J,,,,,x\n";
        let mut export = TypedExport::create(&path).unwrap();
        let mut reader = RowReader::new(text.as_bytes());
        let mut columns = None;
        while let Some(NextRow::Row(row)) = reader.next().unwrap() {
            match &columns {
                None => columns = ShareColumns::of_header(&row),
                Some(columns) => export.add(columns, &row).unwrap(),
            }
        }
        assert_eq!(export.finish().unwrap(), 2);
        let written = std::fs::read_to_string(path).unwrap();
        let mut lines = written.lines();
        assert_eq!(lines.next().unwrap(), ShareRow::COLUMNS.join(","));
        assert_eq!(
            lines.next().unwrap(),
            "2026-11-21T01:53:42.512Z,,\"'=HYPERLINK(\"\"x\"\",1)\",id:1e5,x00000001,,,,id:7,,,,,,,x20000000,,,,,,,,"
        );
        assert!(lines.next().unwrap().contains("a\\u{1b}[2J"));
    }
}
