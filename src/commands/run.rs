//! `sluice run`.

use super::Failure;
use crate::config::Config;
use crate::stop::Stop;

/// Forwards until `stop`.
///
/// # Errors
/// When it could not start.
pub fn run(config: Config, stop: Stop) -> Result<(), Failure> {
    let _ = (config, stop);
    Err(Failure::Runtime("run is not wired yet".into()))
}
