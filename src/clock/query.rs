//! One question to one address, and what an answer must be like to be believed. The arithmetic of
//! the four timestamps is `sntpc`'s.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sntpc::{NtpContext, NtpTimestampGenerator, NtpUdpSocket};

use super::host::{ClockReading, HostClocks};
use super::time::Offset;

/// An answer that took longer says too little: the offset is uncertain by half of it.
pub(super) const MAX_ROUND_TRIP: Duration = Duration::from_secs(1);

/// How far a server may be from its own reference: half the root delay and the root dispersion
/// (RFC 5905, section 7.2, MAXDIST).
const MAX_ROOT_DISTANCE: Duration = Duration::from_secs(1);

/// 2026-01-01: this program is not older, so no right clock shows an earlier time.
const EARLIEST: i64 = 1_767_225_600;
/// The end of the 32-bit seconds in a block header, in 2106.
const LATEST: i64 = u32::MAX as i64;

/// One server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NtpSample {
    /// To the system's clock as it stood then.
    pub offset: Offset,
    pub round_trip: Duration,
    /// When it was taken.
    pub reading: ClockReading,
}

impl NtpSample {
    /// The same, for the system's clock as it stands now: it may have been set since.
    pub fn at(self, now: ClockReading) -> NtpSample {
        NtpSample { offset: self.offset.minus(now.step_since(&self.reading)), reading: now, ..self }
    }
}

/// Why a question gave no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NtpQueryError {
    /// Nothing came that could be the answer.
    Silent,
    /// Something came, but not the answer to this question.
    NotTheAnswer,
    /// Nobody listens there.
    Refused,
    Io(io::ErrorKind),
    /// The server asks to be asked less.
    Rate,
    /// The server asks not to be asked again (DENY, RSTR).
    Denied,
    /// Another kiss of death.
    Kiss,
    /// The server says of itself that it is not synchronised.
    Unsynchronised,
    Stratum(u8),
    RoundTrip(Duration),
    RootDistance(Duration),
    /// A time before this program was written, or one that no block can have.
    Implausible,
    /// The system's clock was set between question and answer.
    ClockSet,
    Malformed,
}

/// Asks the server at `address` once. Ends after `timeout` at the latest; a closed port is noticed
/// at once. Stray datagrams are passed over.
pub(super) fn ask(
    address: SocketAddr,
    timeout: Duration,
    host: &HostClocks,
) -> Result<NtpSample, NtpQueryError> {
    let exchange = Exchange::open(address, Instant::now() + timeout).map_err(|error| from_io(&error))?;
    let before = host.read();
    let context = NtpContext::new(SystemClock { host, reading: before });
    let result = sntpc::sync::get_time(address, &exchange, context);
    let reading = host.read();
    // What the exchange saw is more precise than what sntpc makes of it.
    if let Some(failure) = exchange.failure.get() {
        return Err(failure);
    }
    exchange.answer.get().ok_or(NtpQueryError::Malformed)?.verify()?;
    let result = result.map_err(|_| NtpQueryError::Malformed)?;
    let sample = NtpSample {
        offset: Offset::from_micros(result.offset),
        round_trip: Duration::from_micros(result.roundtrip),
        reading,
    };
    if reading.step_since(&before) != Offset::default() {
        return Err(NtpQueryError::ClockSet);
    }
    if sample.round_trip > MAX_ROUND_TRIP {
        return Err(NtpQueryError::RoundTrip(sample.round_trip));
    }
    let system = i64::try_from(reading.system.as_nanos() / 1_000_000_000).unwrap_or(i64::MAX);
    if !(EARLIEST..=LATEST).contains(&system.saturating_add(result.offset / 1_000_000)) {
        return Err(NtpQueryError::Implausible);
    }
    Ok(sample)
}

/// A packet without extensions.
const PACKET_LENGTH: usize = 48;

/// The socket that `sntpc` speaks through. The transmit timestamp on the wire is a random number,
/// so that nobody who has not seen the question can forge its answer, and the server learns
/// nothing of this machine's clock; `sntpc` never notices.
struct Exchange {
    /// Connected: other senders' datagrams are dropped by the kernel, a closed port is an error.
    socket: UdpSocket,
    address: SocketAddr,
    deadline: Instant,
    cookie: [u8; 8],
    /// The transmit timestamp that the cookie stands for.
    sent: Cell<[u8; 8]>,
    answer: Cell<Option<NtpHeader>>,
    failure: Cell<Option<NtpQueryError>>,
}

impl Exchange {
    fn open(address: SocketAddr, deadline: Instant) -> io::Result<Exchange> {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        // Keyed by the operating system's random numbers.
        let cookie = RandomState::new().build_hasher().finish().to_be_bytes();
        Ok(Exchange {
            socket,
            address,
            deadline,
            cookie,
            sent: Cell::default(),
            answer: Cell::default(),
            failure: Cell::default(),
        })
    }

    fn send(&self, request: &[u8]) -> Result<usize, NtpQueryError> {
        let mut packet: [u8; PACKET_LENGTH] = request.try_into().map_err(|_| NtpQueryError::Malformed)?;
        self.sent.set(eight_bytes(&packet, 40));
        packet[40..48].copy_from_slice(&self.cookie);
        self.socket.send(&packet).map_err(|error| from_io(&error))
    }

    fn receive(&self, buffer: &mut [u8]) -> Result<usize, NtpQueryError> {
        let mut nothing_yet = NtpQueryError::Silent;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(nothing_yet);
            }
            self.socket.set_read_timeout(Some(left)).map_err(|error| from_io(&error))?;
            // Extensions and a signature behind the packet are cut off.
            let mut packet = [0; PACKET_LENGTH];
            match self.socket.recv(&mut packet) {
                Ok(PACKET_LENGTH) if packet[24..32] == self.cookie => {
                    self.answer.set(Some(NtpHeader(packet)));
                    packet[24..32].copy_from_slice(&self.sent.get());
                    buffer.get_mut(..PACKET_LENGTH).ok_or(NtpQueryError::Malformed)?.copy_from_slice(&packet);
                    return Ok(PACKET_LENGTH);
                }
                Ok(_) => nothing_yet = NtpQueryError::NotTheAnswer,
                Err(error) => match from_io(&error) {
                    NtpQueryError::Silent | NtpQueryError::Io(io::ErrorKind::Interrupted) => {}
                    failure => return Err(failure),
                },
            }
        }
    }

    fn keep_failure<T>(&self, result: Result<T, NtpQueryError>) -> sntpc::Result<T> {
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

/// The parts of an answer that `sntpc` keeps to itself (RFC 5905, section 7.3).
#[derive(Clone, Copy)]
struct NtpHeader([u8; PACKET_LENGTH]);

impl NtpHeader {
    fn verify(self) -> Result<(), NtpQueryError> {
        let (leap, stratum) = (self.0[0] >> 6, self.0[1]);
        match (stratum, &self.0[12..16]) {
            (0, b"RATE") => return Err(NtpQueryError::Rate),
            (0, b"DENY" | b"RSTR") => return Err(NtpQueryError::Denied),
            (0, _) => return Err(NtpQueryError::Kiss),
            (1..=15, _) => {}
            (16.., _) => return Err(NtpQueryError::Stratum(stratum)),
        }
        if leap == 3 {
            return Err(NtpQueryError::Unsynchronised);
        }
        if self.0[40..48] == [0; 8] {
            return Err(NtpQueryError::Malformed);
        }
        let distance = self.short_format(4) / 2 + self.short_format(8);
        if distance > MAX_ROOT_DISTANCE {
            return Err(NtpQueryError::RootDistance(distance));
        }
        Ok(())
    }

    /// 16 bits of seconds and 16 of their fraction.
    fn short_format(self, at: usize) -> Duration {
        let bytes = [self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]];
        Duration::from_secs_f64(f64::from(u32::from_be_bytes(bytes)) / 65_536.0)
    }
}

/// `sntpc`'s own reads the clock with an unwrap, and a Pi without a battery may start before 1970.
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

fn eight_bytes(packet: &[u8; PACKET_LENGTH], at: usize) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&packet[at..at + 8]);
    bytes
}

fn from_io(error: &io::Error) -> NtpQueryError {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => NtpQueryError::Silent,
        io::ErrorKind::ConnectionRefused => NtpQueryError::Refused,
        kind => NtpQueryError::Io(kind),
    }
}

impl fmt::Display for NtpQueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NtpQueryError::Silent => f.write_str("does not answer; is UDP port 123 open in the firewall?"),
            NtpQueryError::NotTheAnswer => f.write_str("sends what is no answer to the question"),
            NtpQueryError::Refused => f.write_str("nobody listens on that port"),
            NtpQueryError::Io(kind) => write!(f, "{kind}"),
            NtpQueryError::Rate => f.write_str("asks to be asked less"),
            NtpQueryError::Denied => f.write_str("refuses to serve this address"),
            NtpQueryError::Kiss => f.write_str("refuses to answer"),
            NtpQueryError::Unsynchronised => f.write_str("is not synchronised itself"),
            NtpQueryError::Stratum(stratum) => write!(f, "has stratum {stratum}"),
            NtpQueryError::RoundTrip(time) => write!(f, "took {time:.1?} to answer"),
            NtpQueryError::RootDistance(distance) => write!(f, "may be off by {distance:.1?} itself"),
            NtpQueryError::Implausible => f.write_str("gives a time that cannot be"),
            NtpQueryError::ClockSet => f.write_str("was asked while the system's clock was set"),
            NtpQueryError::Malformed => f.write_str("sends no valid answer"),
        }
    }
}
