//! NTP servers on loopback: honest, skewed, lying, silent, refusing and broken.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice::clock::{Clock, ClockReading, HostClocks, NtpSchedule};
use sluice::net::Stamp;
use sluice::util::stop::Stop;

/// Seconds.
pub const DAY: i64 = 86_400;

#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// Answers; its clock is ahead by so many milliseconds.
    Skewed(i64),
    Silent,
    Kiss(&'static [u8; 4]),
    LeapAlarm,
    Stratum(u8),
    RootDispersion(u32),
    Short,
    /// A datagram that answers nothing, then the answer.
    StrayFirst,
    /// Only answers to a question that was never asked.
    WrongOrigin,
    /// Takes this long in each direction.
    Slow {
        there: Duration,
        back: Duration,
    },
}

pub struct Server {
    pub address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<AtomicU32>,
}

impl Server {
    pub fn start(manner: Manner) -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let manner = Arc::new(Mutex::new(manner));
        let asked = Arc::new(AtomicU32::new(0));
        let (shared, count) = (manner.clone(), asked.clone());
        std::thread::spawn(move || {
            let mut request = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut request) {
                count.fetch_add(1, Ordering::Relaxed);
                assert_eq!(length, 48);
                let manner = *shared.lock().unwrap();
                for answer in answers(&request[..48], manner) {
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        Server { address, manner, asked }
    }

    pub fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answers(request: &[u8], manner: Manner) -> Vec<Vec<u8>> {
    let mut skew_ms = 0;
    if let Manner::Slow { there, .. } = manner {
        std::thread::sleep(there);
    }
    if let Manner::Skewed(milliseconds) = manner {
        skew_ms = milliseconds;
    }
    let mut packet = vec![0_u8; 48];
    // No leap second, version 4, server; stratum 2.
    (packet[0], packet[1], packet[2], packet[3]) = (0x24, 2, 6, 0xec);
    packet[8..12].copy_from_slice(&656_u32.to_be_bytes());
    packet[12..16].copy_from_slice(&[192, 0, 2, 1]);
    let time = ntp_now(skew_ms);
    packet[16..24].copy_from_slice(&time);
    packet[24..32].copy_from_slice(&request[40..48]);
    packet[32..40].copy_from_slice(&time);
    packet[40..48].copy_from_slice(&time);
    match manner {
        Manner::Silent => return Vec::new(),
        Manner::Kiss(code) => {
            (packet[0], packet[1]) = (0xe4, 0);
            packet[12..16].copy_from_slice(code);
        }
        Manner::LeapAlarm => packet[0] = 0xe4,
        Manner::Stratum(stratum) => packet[1] = stratum,
        Manner::RootDispersion(seconds) => packet[8..12].copy_from_slice(&(seconds << 16).to_be_bytes()),
        Manner::Short => packet.truncate(20),
        Manner::StrayFirst => return vec![b"hello".to_vec(), vec![0x24; 48], packet],
        Manner::WrongOrigin => packet[24] ^= 1,
        Manner::Slow { back, .. } => std::thread::sleep(back),
        Manner::Skewed(_) => {}
    }
    vec![packet]
}

fn ntp_now(skew_ms: i64) -> [u8; 8] {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i128;
    let nanos = nanos + i128::from(skew_ms) * 1_000_000 + 2_208_988_800 * 1_000_000_000;
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let fraction = (rest << 32) / 1_000_000_000;
    (((seconds as u64) << 32) | fraction as u64).to_be_bytes()
}

/// Asks as often as a test wants.
pub fn impatient() -> NtpSchedule {
    NtpSchedule {
        interval: Duration::from_secs(60),
        retry: Duration::from_millis(50),
        between: Duration::from_millis(5),
        timeout: Duration::from_millis(400),
        watch: Duration::from_millis(20),
    }
}

/// Clocks of a machine that run as this one's, and can be set.
#[derive(Clone, Default)]
pub struct Machine(Arc<Mutex<Shift>>);

#[derive(Default, Clone, Copy)]
struct Shift {
    /// Seconds that the system's clock is ahead.
    ahead: i64,
    /// Seconds that have passed beside those that really did.
    passed: u64,
}

impl Machine {
    /// With a system's clock that is ahead by so many seconds.
    pub fn ahead(seconds: i64) -> Machine {
        let machine = Machine::default();
        machine.set_ahead(seconds);
        machine
    }

    /// Somebody sets the system's clock.
    pub fn set_ahead(&self, seconds: i64) {
        self.0.lock().unwrap().ahead = seconds;
    }

    /// Time passes.
    pub fn pass(&self, seconds: u64) {
        self.0.lock().unwrap().passed += seconds;
    }

    pub fn clocks(&self) -> HostClocks {
        let shift = self.0.clone();
        HostClocks::simulated(move || {
            let Shift { ahead, passed } = *shift.lock().unwrap();
            let real = ClockReading::now();
            let system = real.system.shifted((ahead + passed as i64) * 1_000_000_000);
            ClockReading { system, steady: real.steady + Duration::from_secs(passed) }
        })
    }

    /// The clock of a program on this machine.
    pub fn clock(&self, servers: &[&Server], stop: &Stop) -> Clock {
        let names: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
        Clock::start_on(self.clocks(), &names, impatient(), stop).unwrap()
    }
}

/// Seconds since 1970, really.
pub fn really() -> i64 {
    i64::try_from(Stamp::now().as_nanos() / 1_000_000_000).unwrap()
}
