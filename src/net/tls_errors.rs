//! Messages for failed TLS handshakes: what is wrong, and what to do.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::util::format::span;
use crate::util::os_error::describe;

/// Offset of NTP time from the system's clock in milliseconds; [`UNKNOWN`] while there is no NTP time.
static CLOCK_ERROR: AtomicI64 = AtomicI64::new(UNKNOWN);
const UNKNOWN: i64 = i64::MIN;
/// Clock error in milliseconds from which the clock is blamed for a rejected certificate.
const CLOCK_IS_WRONG: i64 = 60_000;

/// Sets the error of the system's clock, so that a certificate is not blamed for it. `None` if unknown.
pub fn note_clock_error(error: Option<SignedDuration>) {
    let millis = error.and_then(|error| i64::try_from(error.as_millis()).ok());
    CLOCK_ERROR.store(millis.unwrap_or(UNKNOWN), Ordering::Relaxed);
}

/// The reason of a failed handshake, if the error has one.
pub fn tls_reason(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Describes why our handshake as a client failed.
pub fn describe_client_error(error: &io::Error) -> String {
    match tls_reason(error) {
        Some(reason) => describe_server_fault(reason),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            String::from("it closed the connection during the TLS handshake; is this its port for TLS?")
        }
        None => describe(error),
    }
}

/// Describes why a miner's handshake failed.
pub fn describe_miner_error(error: &io::Error) -> String {
    match tls_reason(error) {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => String::from(
            "it does not speak TLS: set the miner to stratum+ssl, or to a port of listen.stratum",
        ),
        Some(Error::AlertReceived(alert)) if distrusts(*alert) => String::from(
            "the miner does not trust the certificate of listen.tls: give the miner its authority, or use a \
             certificate that the miner trusts",
        ),
        Some(reason) => generic(reason),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            String::from("the miner closed the connection before the handshake was complete")
        }
        None => describe(error),
    }
}

/// Describes why an HTTPS service could not be reached. It is verified by the system's authorities.
pub fn describe_https_error(reason: &Error) -> String {
    match reason {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => String::from(
            "its certificate was issued by no authority that this machine trusts: add that authority to the \
             system's certificates",
        ),
        other => describe_server_fault(other),
    }
}

/// Describes a server's fault, as a client sees it.
fn describe_server_fault(reason: &Error) -> String {
    match reason {
        Error::InvalidCertificate(fault) => describe_certificate_fault(fault),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => String::from(
            "it does not speak TLS on this port: is the port right, or is it a plain one (stratum+tcp://)?",
        ),
        other => generic(other),
    }
}

fn describe_certificate_fault(fault: &CertificateError) -> String {
    let clock = |validated: UnixTime| clock(validated.as_secs(), CLOCK_ERROR.load(Ordering::Relaxed));
    match fault {
        CertificateError::UnknownIssuer => String::from(
            "its certificate was issued by no authority that this machine trusts (it is self-signed, or of a \
             private authority): name the authority's certificate with ca_file, or the server's own with \
             pin_sha256",
        ),
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("its certificate is not valid before {}; {}", day(not_before.as_secs()), clock(*time))
        }
        CertificateError::NotValidYet => {
            format!("its certificate is not valid yet; {}", clock(UnixTime::now()))
        }
        CertificateError::ExpiredContext { time, not_after } => {
            format!("its certificate expired on {}; {}", day(not_after.as_secs()), clock(*time))
        }
        CertificateError::Expired => format!("its certificate has expired; {}", clock(UnixTime::now())),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "its certificate is not for {}{}: is the URL right?",
            expected.to_str(),
            match &presented[..presented.len().min(4)] {
                [] => String::from(", nor for any other name"),
                names => format!(", but for {}", names.join(", ")),
            }
        ),
        CertificateError::NotValidForName => {
            String::from("its certificate is for another name: is the URL right?")
        }
        CertificateError::ApplicationVerificationFailure => String::from(
            "its certificate is not the one of pin_sha256: somebody sits between, or the pool has a new one",
        ),
        CertificateError::BadSignature => String::from(
            "its certificate was not issued by the authority that it names: somebody sits between, or this machine \
             trusts another authority of that name",
        ),
        CertificateError::Revoked => String::from("its certificate was revoked by its authority"),
        // It only has a Debug name.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            String::from("its certificate is self-signed, as an authority's own: name it with pin_sha256")
        }
        other => format!("its certificate can't be used: {other}"),
    }
}

/// Describes faults that either end can have.
fn generic(reason: &Error) -> String {
    match reason {
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            String::from("it does not know the host name of the URL")
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            String::from("no common version of TLS or cipher: TLS 1.2 or 1.3 is needed")
        }
        Error::AlertReceived(alert) => format!("the other side refused the handshake ({alert:?})"),
        other => other.to_string(),
    }
}

fn distrusts(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate
    )
}

/// Says whether the certificate or the clock is wrong, as far as NTP tells.
fn clock(machine: u64, error_millis: i64) -> String {
    let now = time(machine);
    if error_millis == UNKNOWN {
        return format!("this machine's clock says {now}: is that right?");
    }
    if error_millis.abs() < CLOCK_IS_WRONG {
        return format!("it is {now} now, also by NTP: the pool must renew its certificate");
    }
    let right = SystemTime::UNIX_EPOCH + Duration::from_secs(machine);
    let shift = Duration::from_millis(error_millis.unsigned_abs());
    let right = if error_millis > 0 { right.checked_add(shift) } else { right.checked_sub(shift) };
    let right = right.and_then(|right| right.duration_since(SystemTime::UNIX_EPOCH).ok());
    let side = if error_millis > 0 { "behind" } else { "ahead" };
    format!(
        "the clock of this machine is wrong: it says {now}, but by NTP it is {} ({} {side}): set it (timedatectl)",
        right.map_or_else(|| String::from("another time"), |right| time(right.as_secs())),
        span(shift)
    )
}

fn day(seconds: u64) -> String {
    at(seconds).map_or_else(|| String::from("an impossible day"), |at| at.strftime("%Y-%m-%d").to_string())
}

fn time(seconds: u64) -> String {
    at(seconds).map_or_else(
        || String::from("an impossible time"),
        |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

fn at(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_blamed_only_where_ntp_says_so() {
        let january = 1_767_225_600;
        assert_eq!(clock(january, UNKNOWN), "this machine's clock says 2026-01-01 00:00 UTC: is that right?");
        assert!(clock(january, 500).contains("must renew"), "{}", clock(january, 500));
        let message = clock(january, 86_400_000 * 31);
        assert!(
            message.contains("is wrong") && message.contains("by NTP it is 2026-02-01 00:00 UTC"),
            "{message}"
        );
        assert!(clock(january, -86_400_000).contains("2025-12-31"), "{}", clock(january, -86_400_000));
    }

    #[test]
    fn no_name_of_the_library_is_shown() {
        for (fault, remedy) in [
            (CertificateError::UnknownIssuer, "ca_file"),
            (CertificateError::ApplicationVerificationFailure, "pin_sha256"),
            (CertificateError::NotValidYet, "clock"),
            (CertificateError::Expired, "clock"),
            (CertificateError::NotValidForName, "URL"),
        ] {
            let name = format!("{fault:?}");
            let message = describe_client_error(&io::Error::new(
                io::ErrorKind::InvalidData,
                Error::InvalidCertificate(fault),
            ));
            assert!(message.contains(remedy) && !message.contains(&name), "{message}");
        }
    }
}
