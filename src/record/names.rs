//! Names of the live and the rotated files. Files with other names are never touched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

/// The name of a file that is appended to and rotated: `stem.extension`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileName {
    pub stem: &'static str,
    pub extension: &'static str,
}

/// The name of a rotated file: `stem-2026-11-21.1.extension`, followed by `.gz` once it is compressed.
/// The date is the day of its rows in UTC; the number counts the files of that day from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotatedName {
    pub file: FileName,
    pub date: Date,
    pub number: u32,
    pub is_compressed: bool,
}

impl FileName {
    /// `shares.csv`
    pub const SHARES: FileName = FileName { stem: "shares", extension: "csv" };
    /// `timing.csv`
    pub const TIMING: FileName = FileName { stem: "timing", extension: "csv" };
    /// `devices.csv`
    pub const DEVICES: FileName = FileName { stem: "devices", extension: "csv" };
    /// `alerts.log`
    pub const ALERTS: FileName = FileName { stem: "alerts", extension: "log" };
    /// `geek.log`
    pub const GEEK: FileName = FileName { stem: "geek", extension: "log" };
    /// `events.jsonl`
    pub const EVENTS: FileName = FileName { stem: "events", extension: "jsonl" };
    /// All rotating files.
    pub const ALL: [FileName; 6] = [
        FileName::SHARES,
        FileName::TIMING,
        FileName::DEVICES,
        FileName::ALERTS,
        FileName::GEEK,
        FileName::EVENTS,
    ];

    /// The name of the live file.
    pub fn live(self) -> String {
        format!("{}.{}", self.stem, self.extension)
    }

    /// The name with the next free number of this day.
    pub(super) fn next_rotated(self, dir: &Path, date: Date) -> io::Result<RotatedName> {
        let same_day = |(_, rotated): &(PathBuf, RotatedName)| rotated.file == self && rotated.date == date;
        let taken = rotated_files(dir)?;
        let last = taken.iter().filter(|one| same_day(one)).map(|(_, rotated)| rotated.number).max();
        let number = last.unwrap_or(0).saturating_add(1);
        Ok(RotatedName { file: self, date, number, is_compressed: false })
    }
}

impl RotatedName {
    pub(super) fn name(self) -> String {
        let FileName { stem, extension } = self.file;
        let gz = if self.is_compressed { ".gz" } else { "" };
        format!("{stem}-{}.{}.{extension}{gz}", self.date, self.number)
    }

    /// Parses a name; `None` unless Sluice would write it exactly so.
    pub fn parse(name: &str) -> Option<RotatedName> {
        let plain = name.strip_suffix(".gz");
        FileName::ALL.into_iter().find_map(|file| {
            let rest = plain.unwrap_or(name).strip_prefix(file.stem)?.strip_prefix('-')?;
            let rest = rest.strip_suffix(file.extension)?.strip_suffix('.')?;
            let (date, number) = rest.split_once('.')?;
            let (date, number) = (date.parse().ok()?, number.parse().ok()?);
            let rotated = RotatedName { file, date, number, is_compressed: plain.is_some() };
            // Sluice writes dates and numbers in one form only.
            (rotated.name() == name).then_some(rotated)
        })
    }
}

/// The rotated files in `dir`, in no particular order, without links and directories.
pub(super) fn rotated_files(dir: &Path) -> io::Result<Vec<(PathBuf, RotatedName)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let rotated = entry.file_name().to_str().and_then(RotatedName::parse);
        if let (Some(rotated), true) = (rotated, entry.file_type()?.is_file()) {
            files.push((entry.path(), rotated));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_parsed() {
        for name in ["shares-2026-11-21.1.csv", "alerts-2026-01-02.37.log.gz"] {
            assert_eq!(RotatedName::parse(name).unwrap().name(), name);
        }
        for name in [
            "shares.csv",
            "shares-2026-11-21.csv",
            "shares-2026-11-21.1.csv.gz.part",
            "shares-2026-11-21.01.csv",
            "shares-2026-11-21.+1.csv",
            "shares-2026-13-21.1.csv",
            "shares-20261121.1.csv",
            "shares-2026-11-21.1.log",
            "my-shares-2026-11-21.1.csv",
            "sluice.log.1",
            "",
        ] {
            assert_eq!(RotatedName::parse(name), None, "{name}");
        }
    }
}
