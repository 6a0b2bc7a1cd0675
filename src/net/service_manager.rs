//! Messages to the service manager that has started the program, over the socket that it names in `NOTIFY_SOCKET`
//! (`sd_notify(3)`), and what it wants of the program. Without such a socket nothing happens.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::util::os_error::describe;

/// A service manager that is busy must not hold up the program. It reads within milliseconds, and its socket has room for
/// many messages.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The connection to the service manager. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ServiceManager(Option<Arc<NotifySocket>>);

#[derive(Debug)]
struct NotifySocket {
    socket: UnixDatagram,
    address: SocketAddr,
    /// The last message could not be sent.
    is_failing: AtomicBool,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The service manager that the environment names.
    pub fn from_environment() -> ServiceManager {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return ServiceManager::default();
        };
        let variable = |name| env::var(name).ok();
        let own_pid = std::process::id();
        let watchdog =
            watchdog_time(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref(), own_pid);
        match NotifySocket::open(&name, watchdog) {
            Ok(socket) => ServiceManager(Some(Arc::new(socket))),
            Err(why) => {
                log::warn!("NOTIFY_SOCKET is {name:?}, which can't be used: {}", describe(&why));
                ServiceManager::default()
            }
        }
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// The time within which it expects [`ServiceManager::feed_watchdog`], or else ends the program and starts it again.
    pub fn watchdog(&self) -> Option<Duration> {
        self.0.as_ref()?.watchdog
    }

    /// Reports that the program has started, or has read its configuration again.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// Reports that the program reads its configuration again. [`ServiceManager::ready`] has to follow.
    pub fn reloading(&self) {
        if self.is_there() {
            self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()));
        }
    }

    /// Reports that the program is about to end.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Shows this line as the service's status.
    pub fn show(&self, status: &str) {
        // A second line would be another message.
        let line = status.lines().next().unwrap_or_default();
        self.send(&format!("STATUS={line}"));
    }

    /// Reports that the program lives.
    pub fn feed_watchdog(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        let Some(NotifySocket { socket, address, is_failing, .. }) = self.0.as_deref() else { return };
        match socket.send_to_addr(message.as_bytes(), address) {
            Ok(_) => is_failing.store(false, Ordering::Relaxed),
            Err(why) if is_failing.swap(true, Ordering::Relaxed) => {
                log::debug!("{message}: {}", describe(&why));
            }
            Err(why) => log::warn!("can't tell the service manager {message}: {}", describe(&why)),
        }
    }
}

impl NotifySocket {
    fn open(name: &OsStr, watchdog: Option<Duration>) -> io::Result<NotifySocket> {
        let address = match name.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
            _ => return Err(io::Error::other("it begins neither with / nor with @")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(NotifySocket { socket, address, is_failing: AtomicBool::new(false), watchdog })
    }
}

/// The microseconds of `CLOCK_MONOTONIC`, which all processes of the machine share. 0 if it can't be read.
pub fn monotonic_micros() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    time.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// The watchdog's time in `WATCHDOG_USEC`, unless `WATCHDOG_PID` names another process.
fn watchdog_time(micros: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own_pid)) {
        return None;
    }
    let micros = micros?.parse().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn received(manager: &UnixDatagram) -> String {
        manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut message = [0; 256];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    fn connected(name: &OsStr) -> ServiceManager {
        ServiceManager(Some(Arc::new(NotifySocket::open(name, None).unwrap())))
    }

    #[test]
    fn messages_arrive_at_a_path_and_at_an_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("sluice-test-{}-{}", std::process::id(), monotonic_micros());
        let bound = |address: SocketAddr| UnixDatagram::bind_addr(&address).unwrap();
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (manager, named) in [
            (bound(SocketAddr::from_pathname(&path).unwrap()), path.clone().into_os_string()),
            (bound(abstract_name), format!("@{name}").into()),
        ] {
            let to = connected(&named);
            let before = monotonic_micros();
            to.ready();
            to.show("2 miners\nREADY=1");
            to.reloading();
            to.feed_watchdog();
            to.stopping();
            assert_eq!(received(&manager), "READY=1");
            assert_eq!(received(&manager), "STATUS=2 miners");
            let reloading = received(&manager);
            let micros: u64 =
                reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
            assert!(micros >= before && micros <= monotonic_micros());
            assert_eq!(received(&manager), "WATCHDOG=1");
            assert_eq!(received(&manager), "STOPPING=1");
        }
    }

    #[test]
    fn a_service_manager_that_has_gone_is_no_failure() {
        let to = connected(Path::new("/nowhere/notify").as_os_str());
        to.ready();
        to.stopping();
        assert!(NotifySocket::open(OsStr::new("notify"), None).is_err());
        ServiceManager::default().ready();
    }

    #[test]
    fn the_watchdog_is_that_of_this_process() {
        let time = Some(Duration::from_millis(1500));
        assert_eq!(watchdog_time(Some("1500000"), None, 7), time);
        assert_eq!(watchdog_time(Some("1500000"), Some("7"), 7), time);
        for (micros, pid) in
            [(Some("1500000"), Some("8")), (Some("0"), None), (Some("x"), None), (None, None)]
        {
            assert_eq!(watchdog_time(micros, pid, 7), None);
        }
    }
}
