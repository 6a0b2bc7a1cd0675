//! One query to one address, and the validation of its answer. `sntpc` does the arithmetic of the four
//! timestamps.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sntpc::{NtpContext, NtpTimestampGenerator, NtpUdpSocket};

use super::host::{ClockReading, HostClocks};
use super::time::Offset;

/// Longest round trip that is accepted; the offset is uncertain by half of it.
pub(super) const MAX_ROUND_TRIP: Duration = Duration::from_secs(1);

/// Largest root distance of a server, which is half the root delay plus the root dispersion (RFC 5905,
/// section 7.2, MAXDIST).
const MAX_ROOT_DISTANCE: Duration = Duration::from_secs(1);

/// 2026-01-01, before this program was written; no right clock shows an earlier time.
const EARLIEST: i64 = 1_767_225_600;
/// The end of the 32-bit seconds in a block header, in 2106.
const LATEST: i64 = u32::MAX as i64;

/// One server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NtpSample {
    /// The offset of the system's clock at `reading`.
    pub offset: Offset,
    pub round_trip: Duration,
    /// The clocks when the answer arrived.
    pub reading: ClockReading,
}

impl NtpSample {
    /// The sample corrected to `now`, if the system's clock was set since.
    pub fn at(self, now: ClockReading) -> NtpSample {
        NtpSample { offset: self.offset.minus(now.step_since(&self.reading)), reading: now, ..self }
    }
}

/// The reason why a server gave no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NtpFailure {
    NoAddress,
    /// The server asked for a pause, in this round or an earlier one.
    BackingOff,
    /// No answer arrived in time.
    Silent,
    /// A packet arrived, but not the answer to this query.
    NotTheAnswer,
    /// The port is closed.
    Refused,
    Io(io::ErrorKind),
    /// The server asks for fewer queries (RATE).
    Rate,
    /// The server rejects further queries (DENY, RSTR).
    Denied,
    /// Another kiss of death.
    Kiss,
    /// The server reports that it is not synchronised.
    Unsynchronised,
    Stratum(u8),
    RoundTrip(Duration),
    RootDistance(Duration),
    /// The time is before this program was written, or later than a block header can hold.
    Implausible,
    /// The system's clock was set between query and answer.
    ClockSet,
    Malformed,
}

/// Queries the server at `address` once, for at most `timeout`. A closed port is noticed at once;
/// stray datagrams are ignored.
pub(super) fn ask(
    address: SocketAddr,
    timeout: Duration,
    host: &HostClocks,
) -> Result<NtpSample, NtpFailure> {
    let exchange = Exchange::open(address, Instant::now() + timeout).map_err(|error| from_io(&error))?;
    let before = host.read();
    let context = NtpContext::new(SystemClock { host, reading: before });
    let result = sntpc::sync::get_time(address, &exchange, context);
    let reading = host.read();
    // The exchange's own error is more precise than that of `sntpc`.
    if let Some(failure) = exchange.failure.get() {
        return Err(failure);
    }
    exchange.answer.get().ok_or(NtpFailure::Malformed)?.verify()?;
    let result = result.map_err(|_| NtpFailure::Malformed)?;
    let sample = NtpSample {
        offset: Offset::from_micros(result.offset),
        round_trip: Duration::from_micros(result.roundtrip),
        reading,
    };
    if reading.step_since(&before) != Offset::default() {
        return Err(NtpFailure::ClockSet);
    }
    if sample.round_trip > MAX_ROUND_TRIP {
        return Err(NtpFailure::RoundTrip(sample.round_trip));
    }
    let system = i64::try_from(reading.system.as_nanos() / 1_000_000_000).unwrap_or(i64::MAX);
    if !(EARLIEST..=LATEST).contains(&system.saturating_add(result.offset / 1_000_000)) {
        return Err(NtpFailure::Implausible);
    }
    Ok(sample)
}

/// Length of a packet without extensions.
const PACKET_LENGTH: usize = 48;

/// The socket used by `sntpc`. It replaces the transmit timestamp on the wire by a random number, so
/// that nobody who has not seen the query can forge its answer, and the server learns nothing about
/// this machine's clock. `sntpc` does not notice.
struct Exchange {
    /// A connected socket: the kernel drops other senders' datagrams and reports a closed port.
    socket: UdpSocket,
    address: SocketAddr,
    deadline: Instant,
    cookie: [u8; 8],
    /// The transmit timestamp that the cookie replaces.
    sent: Cell<[u8; 8]>,
    answer: Cell<Option<NtpHeader>>,
    failure: Cell<Option<NtpFailure>>,
}

impl Exchange {
    fn open(address: SocketAddr, deadline: Instant) -> io::Result<Exchange> {
        let any_address: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any_address, 0))?;
        socket.connect(address)?;
        // Keyed by the operating system's random numbers.
        let cookie = RandomState::new().build_hasher().finish().to_be_bytes();
        let (sent, answer, failure) = Default::default();
        Ok(Exchange { socket, address, deadline, cookie, sent, answer, failure })
    }

    fn send(&self, request: &[u8]) -> Result<usize, NtpFailure> {
        let mut packet: [u8; PACKET_LENGTH] = request.try_into().map_err(|_| NtpFailure::Malformed)?;
        self.sent.set(*packet.last_chunk().ok_or(NtpFailure::Malformed)?);
        packet[40..48].copy_from_slice(&self.cookie);
        self.socket.send(&packet).map_err(|error| from_io(&error))
    }

    fn receive(&self, buffer: &mut [u8]) -> Result<usize, NtpFailure> {
        let mut nothing_yet = NtpFailure::Silent;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(nothing_yet);
            }
            self.socket.set_read_timeout(Some(left)).map_err(|error| from_io(&error))?;
            // Extensions and a signature after the packet are cut off.
            let mut packet = [0; PACKET_LENGTH];
            match self.socket.recv(&mut packet) {
                Ok(PACKET_LENGTH) if packet[24..32] == self.cookie => {
                    self.answer.set(Some(NtpHeader(packet)));
                    packet[24..32].copy_from_slice(&self.sent.get());
                    buffer.get_mut(..PACKET_LENGTH).ok_or(NtpFailure::Malformed)?.copy_from_slice(&packet);
                    return Ok(PACKET_LENGTH);
                }
                Ok(_) => nothing_yet = NtpFailure::NotTheAnswer,
                Err(error) => match from_io(&error) {
                    NtpFailure::Silent | NtpFailure::Io(io::ErrorKind::Interrupted) => {}
                    failure => return Err(failure),
                },
            }
        }
    }

    fn keep_failure<T>(&self, result: Result<T, NtpFailure>) -> sntpc::Result<T> {
        result.map_err(|failure| {
            self.failure.set(Some(failure));
            sntpc::Error::Network
        })
    }
}

impl NtpUdpSocket for Exchange {
    async fn send_to(&self, request: &[u8], _address: SocketAddr) -> sntpc::Result<usize> {
        self.keep_failure(self.send(request))
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        self.keep_failure(self.receive(buffer)).map(|length| (length, self.address))
    }
}

/// The fields of an answer that `sntpc` does not expose (RFC 5905, section 7.3).
#[derive(Clone, Copy)]
struct NtpHeader([u8; PACKET_LENGTH]);

impl NtpHeader {
    fn verify(self) -> Result<(), NtpFailure> {
        let (leap, stratum) = (self.0[0] >> 6, self.0[1]);
        match (stratum, &self.0[12..16]) {
            (0, b"RATE") => return Err(NtpFailure::Rate),
            (0, b"DENY" | b"RSTR") => return Err(NtpFailure::Denied),
            (0, _) => return Err(NtpFailure::Kiss),
            (1..=15, _) => {}
            (16.., _) => return Err(NtpFailure::Stratum(stratum)),
        }
        if leap == 3 {
            return Err(NtpFailure::Unsynchronised);
        }
        if self.0[40..48] == [0; 8] {
            return Err(NtpFailure::Malformed);
        }
        let distance = self.short_format(4) / 2 + self.short_format(8);
        if distance > MAX_ROOT_DISTANCE {
            return Err(NtpFailure::RootDistance(distance));
        }
        Ok(())
    }

    /// A short-format time: 16 bits of seconds and 16 bits of fraction.
    fn short_format(self, at: usize) -> Duration {
        let bytes = [self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]];
        Duration::from_secs_f64(f64::from(u32::from_be_bytes(bytes)) / 65_536.0)
    }
}

/// A timestamp generator for `sntpc`, whose own panics before 1970, where a Pi without a battery may
/// start.
#[derive(Clone, Copy)]
struct SystemClock<'a> {
    host: &'a HostClocks,
    reading: ClockReading,
}

impl NtpTimestampGenerator for SystemClock<'_> {
    fn init(&mut self) {
        self.reading = self.host.read();
    }

    fn timestamp_sec(&self) -> u64 {
        self.reading.system.as_nanos() / 1_000_000_000
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        u32::try_from(self.reading.system.as_nanos() / 1000 % 1_000_000).unwrap_or(0)
    }
}

fn from_io(error: &io::Error) -> NtpFailure {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => NtpFailure::Silent,
        io::ErrorKind::ConnectionRefused => NtpFailure::Refused,
        kind => NtpFailure::Io(kind),
    }
}

impl fmt::Display for NtpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NtpFailure::NoAddress => f.write_str("has no address; is the name right, does DNS work?"),
            NtpFailure::BackingOff => f.write_str("asked for a pause"),
            NtpFailure::Silent => f.write_str("does not answer; is UDP port 123 open in the firewall?"),
            NtpFailure::NotTheAnswer => f.write_str("sends packets that do not answer the query"),
            NtpFailure::Refused => f.write_str("nobody listens on that port"),
            NtpFailure::Io(kind) => write!(f, "{kind}"),
            NtpFailure::Rate => f.write_str("asks for fewer queries"),
            NtpFailure::Denied => f.write_str("refuses to serve this address"),
            NtpFailure::Kiss => f.write_str("refuses to answer"),
            NtpFailure::Unsynchronised => f.write_str("is not synchronised itself"),
            NtpFailure::Stratum(stratum) => write!(f, "has stratum {stratum}"),
            NtpFailure::RoundTrip(time) => write!(f, "took {time:.1?} to answer"),
            NtpFailure::RootDistance(distance) => write!(f, "may be off by {distance:.1?} itself"),
            NtpFailure::Implausible => f.write_str("gives an impossible time"),
            NtpFailure::ClockSet => f.write_str("was queried while the system's clock was set"),
            NtpFailure::Malformed => f.write_str("sends no valid answer"),
        }
    }
}
