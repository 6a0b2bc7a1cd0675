//! The journal of the service manager, if it reads stderr: a line that begins with `<N>` has the priority N there
//! (`sd-daemon(3)`).

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::LazyLock;

use log::Level;

/// Whether stderr leads to the journal. It sets `JOURNAL_STREAM` to the device and the inode of its stream; a program that
/// is started with stderr elsewhere inherits the variable, too.
pub fn reads_stderr() -> bool {
    static READS_STDERR: LazyLock<bool> = LazyLock::new(|| {
        let Ok(named) = env::var("JOURNAL_STREAM") else { return false };
        let stream =
            io::stderr().as_fd().try_clone_to_owned().and_then(|stderr| File::from(stderr).metadata());
        stream.is_ok_and(|stream| is_stream(&named, stream.dev(), stream.ino()))
    });
    *READS_STDERR
}

/// The prefix of a line of this level.
pub fn priority(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

/// A text for stderr that was not written by the log: each of its lines gets the priority, if the journal reads them.
pub fn marked(level: Level, text: &str) -> String {
    if reads_stderr() { with_priority(level, text) } else { text.to_owned() }
}

fn with_priority(level: Level, text: &str) -> String {
    text.split_inclusive('\n').map(|line| format!("{}{line}", priority(level))).collect()
}

/// Whether `DEVICE:INODE` names this stream.
fn is_stream(named: &str, device: u64, inode: u64) -> bool {
    let parsed = named.split_once(':');
    let parsed = parsed.and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    parsed == Some((device, inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_named_by_device_and_inode() {
        assert!(is_stream("8:12345", 8, 12_345));
        for other in ["8:12346", "9:12345", "8", "", ":", "8:12345:1", "x:12345"] {
            assert!(!is_stream(other, 8, 12_345), "{other}");
        }
    }

    #[test]
    fn each_line_has_its_priority() {
        assert_eq!(with_priority(Level::Error, "sluice: one\ntwo\n"), "<3>sluice: one\n<3>two\n");
        assert_eq!(with_priority(Level::Debug, "one"), "<7>one");
        assert_eq!(with_priority(Level::Info, ""), "");
    }
}
