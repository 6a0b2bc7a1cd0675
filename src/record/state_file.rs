//! Reading and replacing `state.json`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use log::{info, warn};

use super::atomic::replace;
use super::state::State;
use super::text::json_text;
use crate::clock::NtpTime;

/// The file's name in the data directory.
pub const STATE_FILE: &str = "state.json";

/// Ours is below 1 MiB.
const MAX_BYTES: u64 = 16 << 20;

/// Reads the state that was kept. One that can't be read is put aside as `state.json.bad-<time>`,
/// and a fresh one returned.
pub(super) fn load(dir: &Path, now: NtpTime) -> State {
    let path = dir.join(STATE_FILE);
    let reason = match read(&path) {
        Ok(state) => return state.bounded(),
        Err(error) if is_nothing(&error) => {
            info!("{}: not there yet; best shares and counters begin anew", path.display());
            return State::default();
        }
        Err(error) => error,
    };
    let time = now.timestamp().strftime("%Y%m%dT%H%M%S%.3fZ");
    let aside = dir.join(format!("{STATE_FILE}.bad-{time}"));
    let kept = match fs::rename(&path, &aside) {
        Ok(()) => format!("it is kept as {}", aside.display()),
        Err(error) => format!("it can't be kept aside either: {error}"),
    };
    warn!("{}: {reason}; {kept}; best shares and counters begin anew", path.display());
    State::default()
}

/// Replaces the state on the disk.
pub(super) fn save(dir: &Path, state: &State) -> io::Result<()> {
    let json = serde_json::to_string_pretty(state)?;
    replace(&dir.join(STATE_FILE), format!("{}\n", json_text(&json)).as_bytes())
}

fn read(path: &Path) -> io::Result<State> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
