//! A simulated device's own interface, as AxeOS has it: what a miner says about itself over HTTP.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::util::stop::{Stop, Stopped};
use crate::util::thread::{SERVICE_STACK, spawn};

/// Time limit of a request.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// Longest accepted head of a request.
const MAX_HEAD: usize = 8 * 1024;
const GIGAHASHES: f64 = 1e9;

/// The figures that a device reports.
#[derive(Debug, Clone)]
pub struct SimFigures {
    /// Hashes per second.
    pub hash_rate: f64,
    /// Watts.
    pub power: f64,
    /// Degrees Celsius.
    pub temperature: f64,
    pub is_overheated: bool,
    pub uses_fallback: bool,
    /// The user name at its pool.
    pub user: String,
    pub pool: SocketAddr,
    pub mac: String,
    /// When it was switched on.
    pub started: Instant,
    /// Further fields, or other values for those above.
    pub more: Value,
}

/// A web server that answers like AxeOS. Dropping it stops it.
#[derive(Debug)]
pub struct SimDevice {
    address: SocketAddr,
    shared: Arc<SimDeviceShared>,
    stop: Stop,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct SimDeviceShared {
    figures: Mutex<SimFigures>,
    readings: AtomicU64,
    restarts: AtomicU64,
}

impl SimFigures {
    /// A cool device that mines with this name on this pool.
    pub fn new(user: impl Into<String>, pool: SocketAddr, hash_rate: f64) -> SimFigures {
        SimFigures {
            hash_rate,
            power: 17.9,
            temperature: 58.5,
            is_overheated: false,
            uses_fallback: false,
            user: user.into(),
            pool,
            mac: String::from("AA:BB:CC:00:11:22"),
            started: Instant::now(),
            more: json!({}),
        }
    }

    fn to_json(&self) -> Value {
        let gigahashes = self.hash_rate / GIGAHASHES;
        let mut info = json!({
            "hashRate": gigahashes,
            "hashRate_1m": gigahashes,
            "expectedHashrate": gigahashes,
            "errorPercentage": 0.2,
            "power": self.power,
            "temp": self.temperature,
            "vrTemp": self.temperature + 4.0,
            "fanspeed": 45,
            "fanrpm": 4120,
            "bestDiff": 0.01,
            "sharesAccepted": 0,
            "sharesRejected": 0,
            "uptimeSeconds": self.started.elapsed().as_secs(),
            "isUsingFallbackStratum": u8::from(self.uses_fallback),
            "stratumURL": self.pool.ip().to_string(),
            "stratumPort": self.pool.port(),
            "stratumUser": self.user,
            "fallbackStratumURL": "spare.example",
            "fallbackStratumPort": 3333,
            "fallbackStratumUser": self.user,
            "ASICModel": "BM1370",
            "boardVersion": "601",
            "hostname": "bitaxe",
            "macAddr": self.mac,
            "version": "v2.15.1",
            "overheat_mode": u8::from(self.is_overheated),
            "miningPaused": false,
            "wifiRSSI": -58,
            "resetReason": "Power on",
        });
        if let (Some(all), Some(more)) = (info.as_object_mut(), self.more.as_object()) {
            all.extend(more.clone());
        }
        info
    }
}

impl SimDevice {
    /// Starts to answer at this address.
    ///
    /// # Errors
    /// If the address is in use, or there is no room for a thread.
    pub fn start(address: SocketAddr, figures: SimFigures) -> io::Result<SimDevice> {
        let listener = TcpListener::bind(address)?;
        let (address, stop) = (listener.local_addr()?, Stop::new());
        let (readings, restarts) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(SimDeviceShared { figures: Mutex::new(figures), readings, restarts });
        let (serving, until) = (shared.clone(), stop.clone());
        let thread = spawn("sim-device", SERVICE_STACK, move || serve(&listener, &serving, &until))?;
        Ok(SimDevice { address, shared, stop, thread: Mutex::new(Some(thread)) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it reports.
    pub fn change(&self, change: impl FnOnce(&mut SimFigures)) {
        change(&mut self.shared.figures.lock());
    }

    /// The readings so far.
    pub fn readings(&self) -> u64 {
        self.shared.readings.load(Ordering::Relaxed)
    }

    /// The restarts that were asked for.
    pub fn restarts(&self) -> u64 {
        self.shared.restarts.load(Ordering::Relaxed)
    }

    /// Stops answering. The address is free afterwards.
    pub fn stop(&self) {
        self.stop.stop();
        // A connection wakes the thread.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(thread) = self.thread.lock().take() {
            // The thread that started it logs how it ended.
            let _ = thread.join();
        }
    }
}

impl Drop for SimDevice {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(listener: &TcpListener, shared: &SimDeviceShared, stop: &Stop) -> Result<(), Stopped> {
    for stream in listener.incoming() {
        if stop.is_stopped() {
            break;
        }
        // A visitor that closes early has read enough.
        let _ = stream.and_then(|stream| answer(stream, shared));
    }
    Ok(())
}

fn answer(mut stream: TcpStream, shared: &SimDeviceShared) -> io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_LIMIT))?;
    stream.set_write_timeout(Some(REQUEST_LIMIT))?;
    let head = read_head(&mut stream)?;
    let (status, body) = match head.split_once(" HTTP/").map_or("", |(request, _)| request) {
        "GET /api/system/info" => {
            shared.readings.fetch_add(1, Ordering::Relaxed);
            ("200 OK", shared.figures.lock().to_json().to_string())
        }
        "POST /api/system/restart" => {
            shared.restarts.fetch_add(1, Ordering::Relaxed);
            shared.figures.lock().started = Instant::now();
            ("200 OK", json!({ "message": "System will restart shortly." }).to_string())
        }
        _ => ("404 Not Found", String::from("not found")),
    };
    let length = body.len();
    let head = "Content-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n";
    write!(stream, "HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\n\r\n{body}")
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let (mut head, mut chunk) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut chunk)?;
        if length == 0 || head.len() > MAX_HEAD {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&chunk[..length]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(device: &SimDevice, request: &str) -> String {
        let mut stream = TcpStream::connect(device.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn it_answers_like_axeos() {
        let pool = "127.0.0.1:3333".parse().unwrap();
        let figures = SimFigures::new("rig", pool, 1.2e12);
        let device = SimDevice::start("127.0.0.1:0".parse().unwrap(), figures).unwrap();
        device.change(|figures| figures.more = json!({ "temp": 71 }));
        let answer = ask(&device, "GET /api/system/info HTTP/1.1\r\nHost: x\r\n\r\n");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let info: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&info["hashRate"], &info["temp"], &info["stratumUser"]),
            (&json!(1200.0), &json!(71), &json!("rig"))
        );
        assert!(ask(&device, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        assert!(ask(&device, "POST /api/system/restart HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
        assert_eq!((device.readings(), device.restarts()), (1, 1));
    }
}
