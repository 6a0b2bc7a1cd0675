//! Operating system errors in words.

use std::io::{self, ErrorKind};

/// The reason in a few words, to follow a colon, without the error number. Messages that Sluice has created itself
/// stay as they are.
pub fn describe(error: &io::Error) -> String {
    // Rust appends the error number, which tells most readers nothing.
    let text = error.to_string();
    let words = text.split(" (os error ").next().unwrap_or(&text);
    let words = words.strip_prefix("failed to lookup address information: ").unwrap_or(words);
    if error.get_ref().is_some() {
        return words.to_owned();
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused, nothing listens there",
        ErrorKind::ConnectionReset => "the other side reset the connection",
        ErrorKind::ConnectionAborted => "the connection was aborted",
        ErrorKind::BrokenPipe => "the other side had closed the connection",
        ErrorKind::UnexpectedEof => "the other side closed the connection too early",
        ErrorKind::TimedOut => "no answer from the other side in time",
        ErrorKind::WouldBlock => "it took too long",
        ErrorKind::HostUnreachable => "host unreachable",
        ErrorKind::NetworkUnreachable => "network unreachable; is this machine online?",
        ErrorKind::AddrInUse => "another program already uses this address and port",
        ErrorKind::AddrNotAvailable => "this machine has no such address",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::NotFound => "no such file or directory",
        ErrorKind::InvalidData if text == "stream did not contain valid UTF-8" => "it is not UTF-8 text",
        _ => words,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_number_is_shown() {
        for number in 1..134 {
            let text = describe(&io::Error::from_raw_os_error(number));
            assert!(!text.contains("os error") && !text.is_empty(), "{number}: {text}");
        }
        let system = io::Error::from_raw_os_error(nix::errno::Errno::EADDRINUSE as i32);
        assert_eq!(describe(&system), "another program already uses this address and port");
        let named = io::Error::new(ErrorKind::TimedOut, "192.0.2.1:3333: too late (os error 110)");
        assert_eq!(describe(&named), "192.0.2.1:3333: too late");
    }
}
