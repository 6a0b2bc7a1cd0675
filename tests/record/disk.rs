//! A disk that is full, read-only, or changed under us.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sluice::record::Recorder;

use super::{msg_ids, quick, read, share, start, start_at_noon, wait_until};

/// A file system with so little room; unmounted at the end.
struct Tiny<'a>(&'a Path);

impl Tiny<'_> {
    /// `None` where mounting is not allowed.
    fn mount(at: &Path) -> Option<Tiny<'_>> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(at).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Tiny(at))
    }
}

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn wait_for_trouble(recorder: &Recorder, error: &str) {
    wait_until("the trouble is told", || {
        recorder.health().write_errors.iter().any(|trouble| trouble.error.contains(error))
    });
}

#[test]
fn a_full_disk_is_told_and_rows_go_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shares.csv");
    symlink("/dev/full", &path).unwrap();
    let (recorder, _) = start_at_noon(dir.path(), &quick());
    for id in 0..10 {
        recorder.record_share(&share(id));
    }
    wait_for_trouble(&recorder, "No space left");
    let trouble = recorder.health().write_errors.remove(0);
    assert_eq!((trouble.file, trouble.since), (path.clone(), super::noon()));
    fs::remove_file(&path).unwrap();
    recorder.record_share(&share(10));
    wait_until("written", || fs::read_to_string(&path).is_ok_and(|text| msg_ids(&text).len() == 11));
    wait_until("well again", || recorder.health().write_errors.is_empty());
    recorder.finish().unwrap();
    assert_eq!(msg_ids(&read(&path)), (0..11).collect::<Vec<_>>());
    assert_eq!(recorder.health().lost, 0);
}

#[test]
fn rows_that_a_full_disk_does_not_take_are_bounded_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shares.csv");
    symlink("/dev/full", &path).unwrap();
    let (recorder, _) = start(dir.path(), &quick());
    let begin = Instant::now();
    for id in 0..3000 {
        recorder.record_share(&share(id));
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "nobody waits for the disk");
    wait_until("lost", || recorder.health().lost > 1000);
    fs::remove_file(&path).unwrap();
    wait_until("written", || path.exists());
    recorder.finish().unwrap();
    let kept = msg_ids(&read(&path));
    assert!(kept.iter().copied().eq(0..kept.len() as u64), "the first are kept");
    let health = recorder.health();
    assert_eq!(kept.len() as u64 + health.lost + health.dropped, 3000);
}

#[test]
fn half_a_row_never_stays_on_a_disk_that_became_full() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_tiny) = Tiny::mount(dir.path()) else {
        eprintln!("skipped: no file system can be mounted here");
        return;
    };
    let path = dir.path().join("shares.csv");
    let filler = dir.path().join("filler");
    fs::write(&filler, vec![0; 100 << 10]).unwrap();
    let (recorder, _) = start(dir.path(), &quick());
    for id in 0..1000 {
        recorder.record_share(&share(id));
    }
    wait_for_trouble(&recorder, "No space left");
    let full = read(&path);
    assert!(full.ends_with('\n') && full.len() > 64 << 10, "{}", full.len());
    let before = msg_ids(&full).len();
    assert!((100..1000).contains(&before));
    fs::remove_file(&filler).unwrap();
    wait_until("written", || msg_ids(&read(&path)).len() > before);
    recorder.finish().unwrap();
    let ids = msg_ids(&read(&path));
    assert!(ids.iter().copied().eq(0..ids.len() as u64), "no gap and no row twice");
    assert!(!dir.path().join("shares.csv.partial").exists());
}

#[test]
fn a_directory_that_can_not_be_made_is_told_and_made_later() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("in_the_way");
    fs::write(&file, "").unwrap();
    let data_dir = file.join("data");
    let (recorder, _) = start(&data_dir, &quick());
    recorder.record_share(&share(1));
    wait_for_trouble(&recorder, "Not a directory");
    fs::remove_file(&file).unwrap();
    let path = data_dir.join("shares.csv");
    wait_until("written", || path.exists());
    recorder.finish().unwrap();
    assert_eq!(msg_ids(&read(&path)), [1]);
    assert!(recorder.health().write_errors.is_empty());
}

#[test]
fn rows_that_can_not_be_written_at_the_end_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/dev/full", dir.path().join("shares.csv")).unwrap();
    let (recorder, _) = start(dir.path(), &quick());
    recorder.record_share(&share(1));
    recorder.finish().unwrap();
    assert_eq!((recorder.health().lost, recorder.health().write_errors.len()), (1, 1));
    recorder.record_share(&share(2));
    assert_eq!(recorder.health().dropped, 1, "after the end nothing is taken");
    recorder.finish().unwrap();
}

/// The end is regular, and the disk takes nothing any more: what waits is counted, whenever it came.
#[test]
fn no_row_is_lost_at_the_end_without_being_counted() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/dev/full", dir.path().join("shares.csv")).unwrap();
    let (recorder, _) = start(dir.path(), &quick());
    let others = recorder.clone();
    let (go, gone) = std::sync::mpsc::channel();
    let recording = std::thread::spawn(move || {
        (0..20_000_u64)
            .inspect(|id| {
                others.record_share(&share(*id));
                if *id == 500 {
                    go.send(()).unwrap();
                }
            })
            .count() as u64
    });
    gone.recv().unwrap();
    recorder.finish().unwrap();
    let recorded = recording.join().unwrap();
    recorder.finish().unwrap();
    let health = recorder.health();
    assert!(health.lost > 0);
    // One may be on its way at the very moment of the end.
    assert!(health.lost + health.dropped >= recorded - 1, "{health:?} of {recorded}");
}

#[test]
fn a_file_that_is_deleted_renamed_or_emptied_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shares.csv");
    let (recorder, _) = start(dir.path(), &quick());
    let record = |id: u64| {
        recorder.record_share(&share(id));
        wait_until("written", || fs::read_to_string(&path).is_ok_and(|text| msg_ids(&text).contains(&id)));
    };
    record(1);
    fs::remove_file(&path).unwrap();
    record(2);
    assert_eq!(msg_ids(&read(&path)), [2]);
    fs::rename(&path, dir.path().join("taken")).unwrap();
    record(3);
    assert_eq!(msg_ids(&read(dir.path().join("taken"))), [2]);
    fs::File::create(&path).unwrap();
    record(4);
    assert_eq!(msg_ids(&read(&path)), [4]);
    fs::remove_dir_all(dir.path()).unwrap();
    record(5);
    assert_eq!(msg_ids(&read(&path)), [5]);
    recorder.finish().unwrap();
}

/// A pipe that nobody reads takes 64 KiB, and then holds the write, as a disk that hangs does.
#[test]
fn a_write_that_hangs_is_told_while_it_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, _) = start_at_noon(dir.path(), &quick());
    let made = Command::new("mkfifo").arg(dir.path().join("shares.csv")).status().unwrap();
    assert!(made.success());
    (0..1000).for_each(|id| recorder.record_share(&share(id)));
    let hangs = || recorder.health().blocked_for.is_some_and(|time| time >= Duration::from_millis(300));
    wait_until("the write hangs", hangs);
    assert_eq!((recorder.health().dropped, recorder.health().write_errors.len()), (0, 0));
}
