//! The host names that the page answers to. A web page elsewhere can point its own name at this machine
//! (DNS rebinding) and read the status page through the visitor's browser. The Host header reveals it.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::refusal::GateRefusal;

/// Name suffixes that nobody outside can point at a home network.
const HOME_SUFFIXES: [&str; 7] =
    [".localhost", ".local", ".lan", ".home", ".internal", ".home.arpa", ".fritz.box"];

#[derive(Debug, Clone)]
pub(super) struct MachineNames(Vec<String>);

/// The refusal of a Host header that is no host name.
const MALFORMED: GateRefusal = GateRefusal::Malformed("The Host header is not a host.");

impl MachineNames {
    /// The `configured` names, which are in lower case, and the machine's own name.
    pub(super) fn new(configured: &[String]) -> MachineNames {
        let mut names = configured.to_vec();
        // Without it, one name fewer is allowed.
        if let Ok(own) = fs::read_to_string("/proc/sys/kernel/hostname") {
            names.push(own.trim().to_ascii_lowercase());
        }
        MachineNames(names)
    }

    /// Checks the value of a Host header or the authority of an absolute target.
    pub(super) fn check(&self, value: &str) -> Result<(), GateRefusal> {
        if let Some(rest) = value.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or(MALFORMED)?;
            let is_right = address.parse::<Ipv6Addr>().is_ok() && is_port_or_nothing(port);
            return if is_right { Ok(()) } else { Err(MALFORMED) };
        }
        let (name, port) = value.split_at(value.find(':').unwrap_or(value.len()));
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let is_label = |label: &str| {
            let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !label.is_empty() && label.bytes().all(is_usual)
        };
        if name.len() > 253 || !name.split('.').all(is_label) || !is_port_or_nothing(port) {
            return Err(MALFORMED);
        }
        let is_ours = !name.contains('.')
            || name.parse::<Ipv4Addr>().is_ok()
            || HOME_SUFFIXES.iter().any(|ending| name.ends_with(ending))
            || self.0.contains(&name);
        if is_ours { Ok(()) } else { Err(GateRefusal::UnknownHost) }
    }
}

fn is_port_or_nothing(text: &str) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty(),
        Some(port) => port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_unknown_and_malformed_hosts() {
        let names = MachineNames::new(&[String::from("miner.example.org")]);
        let known = "127.0.0.1 192.168.1.5:8080 8.8.8.8 [::1] [fd00::5]:8080 localhost LOCALHOST:8080 \
             x.localhost sluice umbrel:8080 pi.local Pi.Local. pi.lan:80 pi.home pi.internal \
             pi.home.arpa pi.fritz.box fritz.box.local miner.example.org Miner.Example.org.:443 pi:";
        for host in known.split(' ') {
            assert_eq!(names.check(host), Ok(()), "{host}");
        }
        let unknown = "evil.example evil.example:8080 miner.example.org.evil.example xminer.example.org \
             127.0.0.1.nip.io 1.2.3.4.5 300.1.2.3 localhost.evil.example evillocal.com";
        for host in unknown.split(' ') {
            assert_eq!(names.check(host), Err(GateRefusal::UnknownHost), "{host}");
        }
        let malformed = ". :80 [::1 [::1]x [evil] [::1]:+80 a@b.local a,b a..local .local pi.local:80:80 \
             pi.local:x pi.local/ ::1 pi:123456";
        for host in malformed.split(' ').chain(["", "a b", "\u{e9}.local"]) {
            assert_eq!(names.check(host), Err(MALFORMED), "{host}");
        }
    }

    #[test]
    fn this_machine_answers_to_its_own_name() {
        let names = MachineNames::new(&[]);
        if let Ok(own) = fs::read_to_string("/proc/sys/kernel/hostname") {
            assert_eq!(names.check(own.trim()), Ok(()));
        }
        assert_eq!(MachineNames(vec![String::from("a.example")]).check("a.example"), Ok(()));
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_no_panic(text in "[\\[\\]:.a1\\PC]{0,30}") {
            let _ = MachineNames(Vec::new()).check(&text);
        }
    }
}
