//! `sluice demo`.

use super::Failure;
use crate::stop::Stop;

/// Shows a world on loopback until `stop`.
///
/// # Errors
/// When it could not start.
pub fn run(stop: Stop) -> Result<(), Failure> {
    let _ = stop;
    Err(Failure::Runtime("demo is not wired yet".into()))
}
