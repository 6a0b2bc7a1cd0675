//! Restores best shares from `shares.csv` that `state.json` lacks because the program was killed
//! before it was saved, or because it can't be read.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use flate2::read::GzDecoder;
use log::{info, warn};

use super::json::hash_from_hex;
use super::names::{FileName, rotated_files};
use super::shares_csv::ShareRow;
use super::state_json::{BestShare, SavedState};
use crate::stratum::Difficulty;
use crate::work::share_difficulty;

/// Caps the bytes read at one start. The state is at most a minute older than the rows, and a farm of
/// 5,000 miners writes 20 MiB in that time.
const MAX_READ_BYTES: u64 = 64 << 20;

/// Caps the delay of the start.
const MAX_READ_TIME: Duration = Duration::from_secs(2);

/// Longest row that Sluice writes; a longer one is skipped.
const MAX_ROW: u64 = 64 * 1024;

/// Rows read between two checks of the time.
const ROWS_AT_ONCE: usize = 256;

/// A rotated file last written this long before the state was saved has no new rows.
const ROTATED_BEFORE: Duration = Duration::from_secs(600);

/// Adds the accepted shares of `shares.csv`, and of rotated files where needed, to `state`, which was
/// saved at `saved`. Torn and corrupt rows are skipped, and only the newest rows are read if there are
/// too many. It does not fail: a file that can't be read restores nothing. Returns whether the state
/// has changed.
pub(super) fn restore_best(state: &mut SavedState, dir: &Path, saved: Option<SystemTime>) -> bool {
    let before = state.clone();
    let mut reading =
        ReadBack { state, left: MAX_READ_BYTES, deadline: Instant::now() + MAX_READ_TIME, row: Vec::new() };
    for path in files(dir, saved) {
        if let Err(error) = reading.file(&path) {
            warn!("{}: {error}; the best shares in it are not read back", path.display());
        }
        if reading.left == 0 || Instant::now() >= reading.deadline {
            break;
        }
    }
    if let Some(best) = state.best().first().filter(|best| before.best().first() != Some(best)) {
        let (difficulty, worker) = (best.difficulty.value(), &best.worker);
        info!("the best share ever, {difficulty:.6} by {worker:?}, was read back from the records");
    }
    *state != before
}

/// The files that may contain missing shares, newest first.
fn files(dir: &Path, saved: Option<SystemTime>) -> Vec<PathBuf> {
    let live = dir.join(FileName::SHARES.live());
    let is_newer = |path: &Path, margin: Duration| {
        let modified = fs::metadata(path).and_then(|data| data.modified());
        modified.is_ok_and(|modified| saved.is_none_or(|saved| modified + margin > saved))
    };
    // A regular shutdown saves the state after the rows.
    let mut files = if is_newer(&live, Duration::ZERO) { vec![live] } else { Vec::new() };
    let mut rotated = rotated_files(dir).unwrap_or_default();
    rotated.retain(|(path, rotated)| rotated.file == FileName::SHARES && is_newer(path, ROTATED_BEFORE));
    rotated.sort_by_key(|(_, rotated)| std::cmp::Reverse((rotated.date, rotated.number)));
    files.extend(rotated.into_iter().map(|(path, _)| path));
    files
}

struct ReadBack<'a> {
    state: &'a mut SavedState,
    /// Bytes left to read.
    left: u64,
    deadline: Instant,
    row: Vec<u8>,
}

impl ReadBack<'_> {
    fn file(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
        if path.extension().is_some_and(|extension| extension == "gz") {
            return self.rows(BufReader::new(GzDecoder::new(file)));
        }
        let length = file.metadata()?.len();
        if length > self.left {
            file.seek(SeekFrom::Start(length - self.left))?;
        }
        self.rows(BufReader::with_capacity(64 * 1024, file))
    }

    fn rows(&mut self, mut source: impl BufRead) -> io::Result<()> {
        while self.left > 0 && Instant::now() < self.deadline {
            for _ in 0..ROWS_AT_ONCE {
                self.row.clear();
                let length = source.by_ref().take(MAX_ROW.min(self.left)).read_until(b'\n', &mut self.row)?;
                self.left -= length as u64;
                if length == 0 {
                    return Ok(());
                }
                if let Some(share) = accepted_share(&self.row) {
                    self.state.offer(share);
                }
            }
        }
        Ok(())
    }
}

/// Parses a row with an accepted share; `None` for any other row. The difficulty must match the hash,
/// so that a corrupt row sets no record.
fn accepted_share(row: &[u8]) -> Option<BestShare> {
    let row = row.strip_suffix(b"\n")?;
    let mut fields = csv::StringRecord::new();
    if row.contains(&b'"') {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).buffer_capacity(1024).from_reader(row);
        reader.read_record(&mut fields).ok().filter(|is_there| *is_there)?;
    } else {
        fields.extend(std::str::from_utf8(row).ok()?.split(','));
    }
    let column = |name: &str| fields.get(ShareRow::COLUMNS.iter().position(|column| *column == name)?);
    if fields.len() != ShareRow::COLUMNS.len() || column("result")? != "accepted" {
        return None;
    }
    let hash = hash_from_hex(column("hash")?)?;
    let difficulty = Difficulty::new(share_difficulty(&hash)).ok()?;
    let written: f64 = column("share_difficulty")?.parse().ok()?;
    let at = column("timestamp")?.parse().ok()?;
    (written == difficulty.value()).then(|| BestShare {
        worker: column("worker").unwrap_or_default().to_owned(),
        difficulty,
        hash,
        at,
    })
}
