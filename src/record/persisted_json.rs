//! JSON files kept from run to run: read at the start, and replaced as a whole from time to time.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{info, warn};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::history::History;
use super::json::escape_json;
use super::worker_history::WorkerHistories;
use super::write_retry::{TimePair, WriteError, WriteRetry};
use crate::clock::NtpTime;
use crate::util::files::replace;
use crate::util::os_error::describe;

/// The name of the charts' time series in the data directory.
pub const HISTORY_FILE: &str = "history.json";
/// The name of the time series of each worker.
pub(super) const WORKER_HISTORY_FILE: &str = "worker_history.json";

/// Caps what is read. Sluice writes less than 4 MiB: 8,192 known workers take 2, the rest less than 1.
const MAX_BYTES: u64 = 16 << 20;

/// The content of such a file.
pub(super) trait PersistedJson: Serialize + DeserializeOwned + Default {
    /// The file's name in the data directory.
    const FILE: &'static str;
    /// Shortest time between two saves. Each is an fsync, which wears an SD card.
    const SAVE_INTERVAL: Duration;
    /// Shortest time between two saves of urgent content.
    const URGENT_SAVE_INTERVAL: Duration = Self::SAVE_INTERVAL;
    /// The consequence if there is no file, for the log.
    const IF_MISSING: &'static str;

    /// Applies our limits to content that another program may have written.
    fn bounded(self, now: NtpTime) -> Self;

    /// # Errors
    /// If it can't be written as JSON.
    fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

/// The newest unsaved content, which the analyzer hands to the writer.
#[derive(Debug)]
pub(super) struct SaveSlot<T>(Mutex<Option<UnsavedContent<T>>>);

#[derive(Debug)]
struct UnsavedContent<T> {
    content: Arc<T>,
    is_urgent: bool,
}

/// The writer's handle of such a file.
#[derive(Debug)]
pub(super) struct PersistedFile<T> {
    path: PathBuf,
    waiting: Arc<SaveSlot<T>>,
    condition: WriteRetry,
    saved: Option<Instant>,
}

/// Reads the file. If it can't be read, it is renamed to `<file>.bad-<time>`, and the default content
/// is returned.
pub(super) fn load<T: PersistedJson>(dir: &Path, now: NtpTime) -> T {
    let (path, without) = (dir.join(T::FILE), T::IF_MISSING);
    let reason = match read::<T>(&path) {
        Ok(content) => return content.bounded(now),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            info!("{}: not there yet; {without}", path.display());
            return T::default();
        }
        Err(error) => error,
    };
    let time = now.timestamp().strftime("%Y%m%dT%H%M%S%.3fZ");
    let aside = dir.join(format!("{}.bad-{time}", T::FILE));
    let kept = match fs::rename(&path, &aside) {
        Ok(()) => format!("it is kept as {}", aside.display()),
        Err(error) => format!("it can't be renamed either: {}", describe(&error)),
    };
    warn!("{}: {reason}; {kept}; {without}", path.display());
    T::default()
}

impl<T> SaveSlot<T> {
    pub fn set(&self, content: Arc<T>) {
        let mut waiting = self.0.lock();
        let is_urgent = waiting.as_ref().is_some_and(|newest| newest.is_urgent);
        *waiting = Some(UnsavedContent { content, is_urgent });
    }

    /// Like [`SaveSlot::set`], for content that must be saved soon.
    pub fn set_urgent(&self, content: Arc<T>) {
        *self.0.lock() = Some(UnsavedContent { content, is_urgent: true });
    }

    /// Returns content that could not be saved. If there is newer content by now, that inherits the urgency.
    fn put_back(&self, unsaved: UnsavedContent<T>) {
        let mut waiting = self.0.lock();
        match waiting.as_mut() {
            Some(newer) => newer.is_urgent |= unsaved.is_urgent,
            None => *waiting = Some(unsaved),
        }
    }

    fn is_urgent(&self) -> bool {
        self.0.lock().as_ref().is_some_and(|newest| newest.is_urgent)
    }
}

impl<T> Default for SaveSlot<T> {
    fn default() -> SaveSlot<T> {
        SaveSlot(Mutex::new(None))
    }
}

impl<T: PersistedJson> PersistedFile<T> {
    pub fn new(dir: &Path, waiting: Arc<SaveSlot<T>>) -> PersistedFile<T> {
        PersistedFile { path: dir.join(T::FILE), waiting, condition: WriteRetry::default(), saved: None }
    }

    /// Saves new content if a save is due, or at the end.
    pub fn write(&mut self, moment: TimePair, is_end: bool) {
        let every = if self.waiting.is_urgent() { T::URGENT_SAVE_INTERVAL } else { T::SAVE_INTERVAL };
        let is_early = self.saved.is_some_and(|saved| saved.elapsed() < every);
        if !is_end && (is_early || !self.condition.may_try(moment)) {
            return;
        }
        let Some(newest) = self.waiting.0.lock().take() else { return };
        match save(&self.path, &*newest.content) {
            Ok(()) => {
                self.saved = Some(moment.monotonic);
                self.condition.succeeded();
            }
            Err(reason) => {
                self.condition.failed(moment, &self.path, &reason, "its content stays in memory");
                self.waiting.put_back(newest);
            }
        }
    }

    /// Time until urgent content may be saved; `None` if there is none, or if the disk fails.
    pub fn urgent_delay(&self, moment: TimePair) -> Option<Duration> {
        let is_due = self.waiting.is_urgent() && self.condition.may_try(moment);
        let passed = self.saved.map_or(T::URGENT_SAVE_INTERVAL, |saved| saved.elapsed());
        is_due.then(|| T::URGENT_SAVE_INTERVAL.saturating_sub(passed))
    }

    pub fn error(&self) -> Option<&WriteError> {
        self.condition.error()
    }
}

impl PersistedJson for History {
    const FILE: &'static str = HISTORY_FILE;
    /// The history always has new content; a crash may cost the charts this much.
    const SAVE_INTERVAL: Duration = Duration::from_secs(300);
    const IF_MISSING: &'static str = "the charts start empty";

    fn bounded(self, now: NtpTime) -> History {
        History::bounded(self, u64::try_from(now.unix_seconds()).unwrap_or(0))
    }

    /// One line, because indentation would double its length.
    fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

impl PersistedJson for WorkerHistories {
    const FILE: &'static str = WORKER_HISTORY_FILE;
    /// Always new content, like the history, and up to 2 MiB: four times an hour is 200 MB a day for 512 workers, and
    /// 4 MB for ten.
    const SAVE_INTERVAL: Duration = Duration::from_secs(900);
    const IF_MISSING: &'static str = "the charts of each miner start empty";

    fn bounded(self, _: NtpTime) -> WorkerHistories {
        WorkerHistories::bounded(self)
    }

    fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

fn save<T: PersistedJson>(path: &Path, content: &T) -> io::Result<()> {
    replace(path, format!("{}\n", escape_json(&content.to_json()?)).as_bytes())
}

fn read<T: PersistedJson>(path: &Path) -> io::Result<T> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use serde::Deserialize;

    /// Content that is replaced by newer, not urgent content while it is being saved.
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Busy {
        number: u64,
        #[serde(skip)]
        news: Option<Arc<SaveSlot<Busy>>>,
    }

    impl PersistedJson for Busy {
        const FILE: &'static str = "busy.json";
        const SAVE_INTERVAL: Duration = Duration::from_secs(60);
        const URGENT_SAVE_INTERVAL: Duration = Duration::ZERO;
        const IF_MISSING: &'static str = "";

        fn bounded(self, _: NtpTime) -> Busy {
            self
        }

        fn to_json(&self) -> serde_json::Result<String> {
            if let Some(news) = &self.news {
                news.set(Arc::new(Busy { number: self.number + 1, news: None }));
            }
            serde_json::to_string(self)
        }
    }

    #[test]
    fn newer_content_inherits_the_urgency_of_unsaved_content() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        fs::write(&data_dir, "no directory").unwrap();
        let waiting = Arc::new(SaveSlot::default());
        let mut file = PersistedFile::new(&data_dir, waiting.clone());
        waiting.set_urgent(Arc::new(Busy { number: 1, news: Some(waiting.clone()) }));
        let now = Clock::system().now();
        file.write(TimePair { monotonic: Instant::now(), time: now }, false);
        assert!(file.error().is_some());
        assert!(waiting.is_urgent());
        assert_eq!(waiting.0.lock().as_ref().map(|newest| newest.content.number), Some(2));
    }
}
