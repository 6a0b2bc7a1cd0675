//! What the two CSV files share: a row as RFC 4180 writes it, and numbers as spreadsheets read
//! them.

use std::time::Duration;

/// One row, with a newline at its end. Fields that need quotes get them.
pub(super) fn row<const N: usize>(fields: [String; N]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().buffer_capacity(512).from_writer(Vec::new());
    // Into memory, and with as many fields as ever: neither can fail.
    let _ = writer.write_record(&fields);
    writer.into_inner().unwrap_or_default()
}

/// Nothing for what is not known.
pub(super) fn optional<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// All digits; nothing for what is no number.
pub(super) fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

/// With milliseconds.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// With microseconds.
pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}
