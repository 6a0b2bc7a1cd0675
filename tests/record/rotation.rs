//! Rotation by size and by day, compression, and how long files are kept. Time is passed in.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::read::GzDecoder;
use sluice::clock::{Clock, ClockState, DateCertainty, JobTime, MIN_AGREEMENT, NtpTime, Offset};
use sluice::config::RecordConfig;
use sluice::record::{FileName, Recorder, Retention, RotatingFile, TimePair, TimeSource, apply_retention};
use sluice::util::stop::Stop;

use super::ntp_server::{DAY, Machine, Manner, Server, really};
use super::{msg_ids, noon, quick, read, share, start_at_noon, time, wait_until};

fn at(time: NtpTime) -> TimePair {
    TimePair { monotonic: Instant::now(), time }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A time that is certain.
struct Certain(NtpTime);

impl TimeSource for Certain {
    fn now(&self) -> NtpTime {
        self.0
    }

    fn date_certainty(&self) -> DateCertainty {
        DateCertainty::Certain
    }
}

/// Writes an archive of the day in its name.
fn archive(dir: &Path, name: &str, length: usize) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, vec![0; length]).unwrap();
    let day = name.split_once('-').unwrap().1.split_once('.').unwrap().0;
    set_modified(&path, time(&format!("{day}T23:00:00Z")));
    path
}

fn set_modified(path: &Path, time: NtpTime) {
    let file = File::options().append(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::from(time.timestamp())).unwrap();
}

/// The day that was so many days ago, really.
fn days_ago(days: i64) -> String {
    let time = jiff::Timestamp::from_second(really() - days * DAY).unwrap();
    NtpTime::from_timestamp(time).date().to_string()
}

fn shares_file(dir: &Path, max_bytes: u64) -> RotatingFile {
    RotatingFile::new(dir, FileName::SHARES, "a,b", max_bytes)
}

#[test]
fn a_new_day_begins_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = shares_file(dir.path(), 1 << 20);
    file.append(b"1,1\n", at(time("2026-11-21T23:59:59.999Z")));
    file.append(b"1,2\n", at(time("2026-11-21T23:59:59.999Z")));
    file.append(b"2,1\n", at(time("2026-11-22T00:00:00Z")));
    file.flush(at(time("2026-11-22T00:00:01Z")));
    file.append(b"3,1\n", at(time("2026-11-25T08:00:00Z")));
    file.close(at(time("2026-11-25T08:00:00Z")));
    assert_eq!(names(dir.path()), ["shares-2026-11-21.1.csv", "shares-2026-11-22.1.csv", "shares.csv"]);
    assert_eq!(read(dir.path().join("shares-2026-11-21.1.csv")), "a,b\n1,1\n1,2\n");
    assert_eq!(read(dir.path().join("shares-2026-11-22.1.csv")), "a,b\n2,1\n");
    assert_eq!(read(dir.path().join("shares.csv")), "a,b\n3,1\n");
}

#[test]
fn a_full_file_is_put_aside_before_it_is_too_large_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("shares-2026-11-21.7.csv.gz"), "").unwrap();
    let mut file = shares_file(dir.path(), 12);
    for row in [b"1,1\n", b"1,2\n", b"1,3\n", b"1,4\n", b"1,5\n"] {
        file.append(row, at(noon()));
        file.flush(at(noon()));
    }
    file.close(at(noon()));
    assert_eq!(read(dir.path().join("shares-2026-11-21.8.csv")), "a,b\n1,1\n1,2\n");
    assert_eq!(read(dir.path().join("shares-2026-11-21.9.csv")), "a,b\n1,3\n1,4\n");
    assert_eq!(read(dir.path().join("shares.csv")), "a,b\n1,5\n");
}

#[test]
fn a_file_of_another_day_is_rotated_and_one_of_today_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shares.csv");
    fs::write(&path, "a,b\nold,1\n").unwrap();
    let yesterday = std::time::SystemTime::from(time("2026-11-20T08:00:00Z").timestamp());
    File::options().append(true).open(&path).unwrap().set_modified(yesterday).unwrap();
    let mut file = shares_file(dir.path(), 1 << 20);
    file.append(b"new,1\n", at(noon()));
    file.close(at(noon()));
    assert_eq!(read(dir.path().join("shares-2026-11-20.1.csv")), "a,b\nold,1\n");
    let today = std::time::SystemTime::from(noon().timestamp());
    File::options().append(true).open(&path).unwrap().set_modified(today).unwrap();
    let mut file = shares_file(dir.path(), 1 << 20);
    file.append(b"new,2\n", at(noon()));
    file.close(at(noon()));
    assert_eq!(read(&path), "a,b\nnew,1\nnew,2\n");
}

#[test]
fn a_file_with_other_columns_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("shares.csv"), "a,b,c\n1,2,3\n").unwrap();
    let mut file = shares_file(dir.path(), 1 << 20);
    file.append(b"1,2\n", at(noon()));
    file.close(at(noon()));
    assert_eq!(read(dir.path().join("shares.csv")), "a,b\n1,2\n");
    let rotated = names(dir.path()).into_iter().find(|name| name.starts_with("shares-")).unwrap();
    assert_eq!(read(dir.path().join(rotated)), "a,b,c\n1,2,3\n");
}

#[test]
fn rotated_files_are_compressed_and_no_row_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    // What earlier runs left: one not compressed, one half compressed.
    fs::write(dir.path().join("timing-2026-11-20.1.csv"), "left\n").unwrap();
    fs::write(dir.path().join("shares-2026-11-20.1.csv.gz.part"), "half").unwrap();
    let (recorder, _) = start_at_noon(dir.path(), &RecordConfig { rotate_mb: 1, ..quick() });
    for batch in 0..12 {
        for id in 0..1000 {
            recorder.record_share(&share(batch * 1000 + id));
        }
        // No faster than the queue is emptied.
        wait_until("written", || {
            let last = format!(",{},512,", batch * 1000 + 999);
            fs::read_to_string(dir.path().join("shares.csv")).is_ok_and(|text| text.contains(&last))
        });
    }
    wait_until("compressed", || {
        names(dir.path()).iter().all(|name| !name.contains("-2026") || name.ends_with(".gz"))
    });
    recorder.finish().unwrap();
    assert_eq!(recorder.health(), sluice::record::RecordingHealth::default());
    let names = names(dir.path());
    assert!(names.contains(&"timing-2026-11-20.1.csv.gz".to_owned()), "{names:?}");
    let mut ids = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("shares")) {
        let path = dir.path().join(name);
        let mut text = String::new();
        if name.ends_with(".gz") {
            GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        } else {
            text = read(path);
        }
        assert!(text.len() <= 1 << 20);
        ids.extend(msg_ids(&text));
    }
    assert!(names.len() >= 4, "{names:?}");
    ids.sort_unstable();
    assert_eq!(ids, (0..12_000).collect::<Vec<_>>());
}

#[test]
fn the_oldest_go_first_and_nothing_that_is_not_ours() {
    let dir = tempfile::tempdir().unwrap();
    let others = [
        "shares.csv",
        "state.json",
        "sluice.log.1",
        "shares-2020-01-01.csv",
        "shares-2020-01-01.1.csv.bak",
        "my-shares-2020-01-01.1.csv.gz",
    ];
    for name in others {
        fs::write(dir.path().join(name), [0; 2000]).unwrap();
    }
    fs::create_dir(dir.path().join("shares-2020-01-01.1.csv")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("shares-2020-01-01.2.csv")).unwrap();
    for name in ["shares-2026-08-22.1.csv.gz", "shares-2026-08-23.1.csv.gz", "alerts-2026-11-01.1.log"] {
        archive(dir.path(), name, 100);
    }
    for number in 9..=11 {
        archive(dir.path(), &format!("timing-2026-11-01.{number}.csv.gz"), 100);
    }
    let rotated = |dir: &Path| -> Vec<String> {
        let ours = |name: &String| name.contains("-2026-");
        names(dir).into_iter().filter(ours).collect()
    };
    let certain = Certain(noon());
    apply_retention(dir.path(), Retention { days: Some(90), bytes: 1 << 20 }, &certain).unwrap();
    assert_eq!(rotated(dir.path()).len(), 5, "one was older than 90 days");
    // Written before the clock was right: then nobody knows how old they are.
    let of_no_day = archive(dir.path(), "shares-1970-01-01.1.csv.gz", 100);
    let of_the_past = archive(dir.path(), "shares-2026-01-02.1.csv.gz", 100);
    set_modified(&of_the_past, noon());
    let of_the_future = archive(dir.path(), "shares-2027-03-01.1.csv.gz", 100);
    apply_retention(dir.path(), Retention { days: Some(90), bytes: 1 << 20 }, &certain).unwrap();
    for file in [of_no_day, of_the_past, of_the_future] {
        assert!(file.exists());
        fs::remove_file(file).unwrap();
    }
    // The date may be wrong: then age is no reason, and size still is one.
    let old = archive(dir.path(), "shares-2026-08-22.1.csv.gz", 100);
    assert_eq!(apply_retention(dir.path(), Retention { days: Some(90), bytes: 1 << 20 }, &noon).unwrap(), 1);
    assert!(old.exists());
    apply_retention(dir.path(), Retention { days: None, bytes: 250 }, &noon).unwrap();
    assert_eq!(rotated(dir.path()), ["timing-2026-11-01.10.csv.gz", "timing-2026-11-01.11.csv.gz"]);
    apply_retention(dir.path(), Retention { days: None, bytes: 0 }, &noon).unwrap();
    assert!(rotated(dir.path()).is_empty());
    for name in others {
        assert!(dir.path().join(name).exists(), "{name}");
    }
    assert_eq!(names(dir.path()).len(), others.len() + 2);
}

/// Runs a recorder by this clock until it has looked at its archives, and tells which of `old` are left.
fn left_after_a_start(clock: Clock, old: &[i64]) -> Vec<i64> {
    let dir = tempfile::tempdir().unwrap();
    let name = |days: i64| format!("shares-{}.1.csv.gz", days_ago(days));
    for days in old {
        archive(dir.path(), &name(*days), 100);
    }
    // Compressed after the files that are too old were removed.
    archive(dir.path(), &format!("timing-{}.1.csv", days_ago(0)), 100);
    let (recorder, ..) =
        Recorder::start(&RecordConfig { keep_days: 90, ..quick() }, dir.path(), clock).unwrap();
    wait_until("compressed", || dir.path().join(format!("timing-{}.1.csv.gz", days_ago(0))).exists());
    recorder.finish().unwrap();
    let names = names(dir.path());
    old.iter().copied().filter(|days| names.contains(&name(*days))).collect()
}

#[test]
fn a_clock_that_is_wrong_deletes_nothing() {
    let stop = Stop::new();
    // An NTP server that lies; two of three; the system's clock.
    let lie = Manner::Skewed(100 * DAY * 1000);
    let [liar, other_liar, honest] = [lie, lie, Manner::Skewed(0)].map(Server::start);
    for (machine, servers) in [
        (Machine::default(), &[&liar] as &[&Server]),
        (Machine::default(), &[&liar, &other_liar, &honest]),
        (Machine::ahead(100 * DAY), &[]),
    ] {
        let clock = machine.clock(servers, &stop);
        wait_until("the lie is believed", || {
            servers.is_empty() || matches!(clock.state(), ClockState::Synchronised { .. })
        });
        assert!(clock.now().unix_seconds() > really() + 99 * DAY);
        assert_eq!(left_after_a_start(clock, &[91, 30, 1]), [91, 30, 1]);
    }
    stop.stop();
}

#[test]
fn old_archives_are_removed_once_all_time_sources_have_agreed_for_hours() {
    let stop = Stop::new();
    let honest = Server::start(Manner::Skewed(0));
    for servers in [&[&honest] as &[&Server], &[]] {
        let machine = Machine::default();
        let clock = machine.clock(servers, &stop);
        wait_until("synchronised", || {
            servers.is_empty() || matches!(clock.state(), ClockState::Synchronised { .. })
        });
        let job = |ahead| JobTime { ahead: Offset::from_micros(ahead), is_exact: true, is_first: false };
        assert!(matches!(clock.date_certainty(), DateCertainty::Doubtful(_)), "no pool has said anything");
        clock.job_time("pool.example", job(-5_000_000), &clock.reading());
        assert_eq!(clock.date_certainty(), DateCertainty::NotYet);
        assert_eq!(left_after_a_start(clock.clone(), &[91, 30]), [91, 30]);
        for _ in 0..3 {
            // The machine sleeps, or is busy; NTP's answers are still good.
            machine.pass(MIN_AGREEMENT.as_secs() / 3);
            clock.job_time("pool.example", job(-5_000_000), &clock.reading());
            clock.date_certainty();
        }
        assert_eq!(clock.date_certainty(), DateCertainty::Certain);
        assert_eq!(left_after_a_start(clock.clone(), &[91, 30, 0, -30]), [30, 0, -30]);
        // The system's clock is set to something else.
        machine.set_ahead(100 * DAY);
        assert_eq!(left_after_a_start(clock, &[91, 30]), [91, 30]);
    }
    stop.stop();
}
