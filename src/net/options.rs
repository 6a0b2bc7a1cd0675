//! The socket options of every connection.

use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use socket2::{SockRef, TcpKeepalive};

/// Silence before the first keepalive probe. A Bitaxe uses the same 60/10/3 towards its pool
/// (wire reference, section 1.6).
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// Time that sent bytes may stay unacknowledged, a closed window included: the 90 s after which
/// keepalive gives up an idle peer, instead of the kernel's quarter of an hour.
const USER_TIMEOUT: Duration = Duration::from_secs(90);

/// Keepalive towards pools. A cut line is noticed after 30 s, whether or not there is something to send,
/// because work for an unreachable pool is lost. A connection survives a shorter interruption; after a
/// longer one, TCP would only notice the return after a minute.
const POOL_KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const POOL_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
pub const POOL_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Disables the delay of small messages, and makes a dead peer noticed after about 90 s, whether or not
/// there was something to send.
///
/// # Errors
/// Errors of `setsockopt`; the socket is then unusable.
pub fn tune<'s, S>(socket: &'s S) -> io::Result<()>
where
    SockRef<'s>: From<&'s S>,
{
    set(&SockRef::from(socket), (KEEPALIVE_IDLE, KEEPALIVE_INTERVAL), USER_TIMEOUT)
}

/// Like [`tune`], for connections to pools: a dead pool is noticed after about 30 s.
///
/// # Errors
/// Like [`tune`].
pub fn tune_towards_pool<'s, S>(socket: &'s S) -> io::Result<()>
where
    SockRef<'s>: From<&'s S>,
{
    set(&SockRef::from(socket), (POOL_KEEPALIVE_IDLE, POOL_KEEPALIVE_INTERVAL), POOL_USER_TIMEOUT)
}

fn set(
    socket: &SockRef<'_>,
    (idle, interval): (Duration, Duration),
    user_timeout: Duration,
) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(user_timeout))?;
    Ok(())
}

/// The time left until `deadline`, as a socket timeout.
///
/// # Errors
/// `TimedOut` if no time is left (a socket timeout of zero would mean "for ever").
pub fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(io::Error::new(io::ErrorKind::TimedOut, "the time for this step is over"))
    } else {
        // Below a microsecond the kernel would round down to "for ever".
        Ok(left.max(Duration::from_millis(1)))
    }
}

/// True if a socket timeout or our own deadline has expired. A peer that the kernel has given up
/// ([`is_dead`]) is not a timeout: that connection has ended.
pub fn is_timeout(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::WouldBlock => true,
        io::ErrorKind::TimedOut => !is_dead(error),
        _ => false,
    }
}

/// True if the kernel has given up the connection, because the peer acknowledged nothing for too long.
pub fn is_dead(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ETIMEDOUT as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn options_are_read_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        tune(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
    }

    #[test]
    fn a_dead_pool_is_noticed_sooner_than_a_dead_miner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        tune_towards_pool(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(POOL_USER_TIMEOUT));
        // Several lost probes, not one, end an idle connection.
        let probes = (POOL_USER_TIMEOUT - POOL_KEEPALIVE_IDLE).as_secs() / POOL_KEEPALIVE_INTERVAL.as_secs();
        assert!(probes >= 3 && socket.tcp_keepalive_time().unwrap() == POOL_KEEPALIVE_IDLE);
    }

    #[test]
    fn no_time_left_is_an_error_and_not_for_ever() {
        let error = time_left(Instant::now()).unwrap_err();
        assert!(is_timeout(&error));
        let kernels = io::Error::from_raw_os_error(Errno::ETIMEDOUT as i32);
        assert!(is_dead(&kernels) && !is_timeout(&kernels) && !is_dead(&error));
    }
}
