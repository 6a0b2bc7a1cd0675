//! Devices that are read: through real sockets, from small servers that speak like them, or like anything else.

use crate::common::{BarePool, Proxy, holds_for, patient_failover, upstream, wait_for};
use crate::notify::server::{Answer, Server, status};

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sluice::app::AppOptions;
use sluice::config::{Config, DevicesConfig, DevicesRead, Overrides};
use sluice::devices::DevicePorts;
use sluice::sim::{
    MinerModel, MinerOptions, PoolOptions, SimDevice, SimFigures, SimHashRate, SimMiner, SimPool,
};
use sluice::status::json::api;
use sluice::status::metrics::metrics;
use sluice::status::page::miner_page;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A share every 43,000 hashes.
const DIFFICULTY: f64 = 0.000_01;
const HASH_RATE: f64 = 100_000.0;
/// Long enough for many readings.
const SOME_READINGS: Duration = Duration::from_millis(600);

fn ports(http: SocketAddr) -> DevicePorts {
    // Nobody listens on the other one.
    DevicePorts { http: http.port(), cgminer: 1 }
}

/// A pool, a proxy that reads devices, and miners.
struct World {
    pool: SimPool,
    proxy: Proxy,
    miners: Vec<SimMiner>,
    records: tempfile::TempDir,
}

impl World {
    fn start(text: &str, devices: DevicesConfig, ports: DevicePorts) -> World {
        let pool = SimPool::start(PoolOptions::with_difficulty(DIFFICULTY).unwrap()).unwrap();
        let text = format!(
            "{text}
[listen]
stratum = [\"127.0.0.1:0\"]
[record]
flush = \"100ms\"
{}{}",
            upstream(pool.addr()),
            patient_failover("")
        );
        let mut config = Config::parse(&text, &Overrides::default()).unwrap_or_else(|e| panic!("{e}"));
        config.devices = devices;
        let records = tempfile::tempdir().unwrap();
        let options = AppOptions {
            device_ports: ports,
            least_stall: Some(Duration::from_secs(2)),
            record_to: Some(records.path().to_owned()),
            ..AppOptions::default()
        };
        let proxy = Proxy::with_options(&config, options);
        World { pool, proxy, miners: Vec::new(), records }
    }

    fn reading(ports: DevicePorts) -> World {
        World::start("", often(), ports)
    }

    fn mine_from(&mut self, address: IpAddr, model: MinerModel, worker: &str) {
        let options = MinerOptions {
            connects_from: Some(address),
            hash_rate_limit: Some(SimHashRate(HASH_RATE)),
            retry_wait: Some(Duration::from_millis(100)),
            ..MinerOptions::new(self.proxy.address(), model, worker)
        };
        self.miners.push(SimMiner::start(options).unwrap());
    }

    fn document(&self, path: &str, worker: &str) -> Value {
        let status = self.proxy.app().snapshots.newest();
        let query = |name: &str| (name == "worker" && !worker.is_empty()).then(|| worker.to_owned());
        serde_json::from_slice(&api(path, query, &status).unwrap().body).unwrap()
    }

    /// The only device.
    fn device(&self) -> Value {
        self.document("/api/devices", "")["devices"][0].clone()
    }

    fn wait_device(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || is_so(&self.device()));
        self.device()
    }

    fn device_alerts(&self) -> Vec<&'static str> {
        let snapshot = self.proxy.snapshot();
        let ids = snapshot.alerts.alerts.iter().map(|alert| alert.id);
        ids.filter(|id| id.starts_with("device.")).collect()
    }

    /// Checks that miners mine as if nothing were.
    fn mines_on(&self) {
        let before = self.pool.stats().accepted();
        wait_for("further shares", || self.pool.stats().accepted() > before + 3);
    }
}

fn often() -> DevicesConfig {
    DevicesConfig {
        read: DevicesRead::Connected,
        interval: Duration::from_millis(50),
        ..DevicesConfig::default()
    }
}

/// A device that mines as `rig`, at this address.
fn axeos(address: SocketAddr, hash_rate: f64) -> SimDevice {
    SimDevice::start(address, SimFigures::new("rig", "127.0.0.1:3333".parse().unwrap(), hash_rate)).unwrap()
}

fn any_port() -> SocketAddr {
    SocketAddr::new(LOOPBACK, 0)
}

#[test]
fn a_bitaxe_is_read_and_shown_everywhere() {
    let device = axeos(any_port(), HASH_RATE);
    let mut world = World::reading(ports(device.address()));
    world.mine_from(LOOPBACK, MinerModel::Bitaxe, "rig");
    let read = world.wait_device("a reading", |device| device["reading"].is_object());
    assert_eq!(
        (&read["worker"], &read["ip"], &read["connected"]),
        (&json!("rig"), &json!("127.0.0.1"), &json!(true))
    );
    let said = &read["reading"];
    assert_eq!((&said["hashrate"], &said["power_watts"]), (&json!(HASH_RATE), &json!(17.9)));
    assert_eq!((&said["mac"], &said["interface"]), (&json!("AA:BB:CC:00:11:22"), &json!("axeos")));
    // A change is seen with the next reading.
    device.change(|figures| figures.temperature = 71.0);
    world.wait_device("a new reading", |device| device["reading"]["temperature_celsius"] == 71.0);
    let status = world.proxy.app().snapshots.newest();
    let page = miner_page(&status, "rig", None, false).unwrap().html;
    assert!(page.contains("What the device says") && page.contains("71 °C"), "{page}");
    let text = metrics(&status);
    let sample = "sluice_device_power_watts{worker=\"rig\",address=\"127.0.0.1\"} 17.9";
    assert!(text.contains(sample), "{text}");
    assert_eq!(world.document("/api/miner", "rig")["devices"][0]["reading"]["model"], "BM1370, board 601");
    assert!(status.snapshot.events.iter().any(|event| event.kind == "device.read"));
    assert_eq!(world.document("/api/devices", "nobody")["total"], 0);
    let csv = world.records.path().join("devices.csv");
    wait_for("a row", || std::fs::read_to_string(&csv).is_ok_and(|text| text.lines().count() == 2));
    let text = std::fs::read_to_string(&csv).unwrap();
    assert!(
        text.lines().nth(1).unwrap().contains(",rig,127.0.0.1,true,axeos,\"BM1370, board 601\",v2.15.1,"),
        "{text}"
    );
    world.mines_on();
    assert_eq!(world.device_alerts(), [""; 0]);
}

#[test]
fn in_aggregate_mode_too() {
    let device = axeos(any_port(), HASH_RATE);
    let mut world = World::start("mode = \"aggregate\"", often(), ports(device.address()));
    world.mine_from(LOOPBACK, MinerModel::Bitaxe, "rig");
    let read = world.wait_device("a reading", |device| device["reading"].is_object());
    assert_eq!((&read["worker"], &read["failure"]), (&json!("rig"), &Value::Null));
}

#[test]
fn each_device_is_asked_at_its_own_address() {
    let first = axeos(SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), 0), HASH_RATE);
    let port = first.address().port();
    let second = axeos(SocketAddr::new(Ipv4Addr::new(127, 0, 0, 3).into(), port), 2.0 * HASH_RATE);
    second.change(|figures| figures.user = String::from("other"));
    let mut world = World::reading(ports(first.address()));
    world.mine_from(first.address().ip(), MinerModel::Bitaxe, "rig");
    world.mine_from(second.address().ip(), MinerModel::Bitaxe, "other");
    world.mine_from(LOOPBACK, MinerModel::NerdMiner, "nerd");
    let rate = |worker| world.document("/api/devices", worker)["devices"][0]["reading"]["hashrate"].as_f64();
    wait_for("both", || rate("rig").is_some() && rate("other").is_some());
    assert_eq!((rate("rig"), rate("other")), (Some(HASH_RATE), Some(2.0 * HASH_RATE)));
    assert_eq!(world.document("/api/devices", "")["total"], 2);
}

#[test]
fn with_read_off_nothing_is_asked() {
    let device = axeos(any_port(), HASH_RATE);
    let mut world =
        World::start("", DevicesConfig { read: DevicesRead::Off, ..often() }, ports(device.address()));
    world.mine_from(LOOPBACK, MinerModel::Bitaxe, "rig");
    world.mines_on();
    holds_for(SOME_READINGS, "no reading", || device.readings() == 0);
    assert_eq!(world.document("/api/devices", "")["total"], 0);
    assert!(!metrics(&world.proxy.app().snapshots.newest()).contains("sluice_device_power_watts{"));
}

#[test]
fn miners_without_an_interface_or_with_a_shared_address_are_not_asked() {
    let device = axeos(any_port(), HASH_RATE);
    let mut world = World::reading(ports(device.address()));
    world.mine_from(LOOPBACK, MinerModel::NerdMiner, "nerd");
    world.mine_from(Ipv4Addr::new(127, 0, 0, 2).into(), MinerModel::Cgminer, "large");
    world.mines_on();
    holds_for(SOME_READINGS, "no reading", || device.readings() == 0);
    // A Bitaxe beside it, as behind one router.
    world.mine_from(LOOPBACK, MinerModel::Bitaxe, "rig");
    world.mines_on();
    holds_for(SOME_READINGS, "no reading", || device.readings() == 0);
    assert_eq!(world.document("/api/devices", "")["total"], 0);
}

#[test]
fn a_request_is_one_plain_get_without_origin_and_redirects() {
    let other = Server::start(|_| status(200));
    let location = format!("Location: {}\r\n", other.url("/api/system/info"));
    let server = Server::start(move |_| Answer::Status(302, location.clone(), String::new()));
    let mut world = World::reading(ports(server.address()));
    world.mine_from(LOOPBACK, MinerModel::Bitaxe, "rig");
    world.wait_device("a failure", |device| device["failure"] == "it answered 302");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "GET /api/system/info HTTP/1.1");
    assert_eq!((asked.header("origin"), asked.header("authorization"), asked.header("cookie")), ("", "", ""));
    assert!(asked.header("user-agent").starts_with("sluice/") && asked.body.is_empty());
    assert!(other.asked().is_empty());
}

/// Makes one answer.
type MakesAnswer = fn() -> Answer;

#[test]
fn a_device_that_answers_badly_harms_nothing_and_raises_nothing() {
    let answers: [(MakesAnswer, &str); 9] = [
        (|| Answer::Never, "no answer in time"),
        (|| Answer::HugeBody(200), "the answer is too long"),
        (|| Answer::HugeHeader, "its answer is not valid HTTP"),
        (|| Answer::Garbage, "its answer is not valid HTTP"),
        (|| Answer::Close, "connection: "),
        (|| status(401), "it refuses this machine (401)"),
        (|| status(404), "it answered 404"),
        (
            || Answer::Status(200, String::new(), String::from("<html>a router</html>")),
            "the answer is not JSON",
        ),
        (
            || Answer::Status(200, String::new(), String::from("{\"uptime\": 1}")),
            "the answer is not that of AxeOS",
        ),
    ];
    for (answer, failure) in answers {
        let server = Server::start(move |_| answer());
        let mut world = World::reading(ports(server.address()));
        world.mine_from(LOOPBACK, MinerModel::Bitaxe, "rig");
        let is_it = |device: &Value| device["failure"].as_str().is_some_and(|said| said.contains(failure));
        let device = world.wait_device(failure, is_it);
        assert_eq!((&device["reading"], &device["stalled"]), (&Value::Null, &json!(false)));
        world.mines_on();
        assert_eq!(world.device_alerts(), [""; 0]);
    }
}

#[test]
fn liars_raise_nothing_false() {
    let device = axeos(any_port(), HASH_RATE);
    let mut world = World::reading(ports(device.address()));
    world.mine_from(LOOPBACK, MinerModel::Bitaxe, "rig");
    world.wait_device("a reading", |device| device["reading"].is_object());
    let lies = [
        json!({ "hashRate": 1e300, "hashRate_1m": -1, "temp": 1e9, "vrTemp": "hot", "uptimeSeconds": -5 }),
        json!({ "hashRate": null, "power": [], "overheat_mode": "yes", "isUsingFallbackStratum": {} }),
        json!({ "version": "\u{202e}<script>\n", "ASICModel": "x".repeat(5000), "resetReason": "=cmd()" }),
    ];
    for lie in lies {
        device.change(|figures| figures.more = lie.clone());
        let before = device.readings();
        wait_for("readings of it", || device.readings() > before + 3);
        let status = world.proxy.app().snapshots.newest();
        let page = miner_page(&status, "rig", None, false).unwrap().html;
        assert!(!page.contains("<script>\n") && !page.contains('\u{202e}'), "{page}");
        assert_eq!(world.device_alerts(), [""; 0], "{lie}");
    }
    // Another device has got the address: it says that it mines for somebody else.
    device.change(|figures| (figures.more, figures.user) = (json!({}), String::from("stranger")));
    let is_other =
        |device: &Value| device["failure"].as_str().is_some_and(|said| said.contains("another user"));
    world.wait_device("the failure", is_other);
    assert_eq!(world.device_alerts(), [""; 0]);
}

#[test]
fn a_device_that_dies_and_returns_is_read_again() {
    let device = axeos(any_port(), HASH_RATE);
    let address = device.address();
    let mut world = World::reading(ports(address));
    world.mine_from(LOOPBACK, MinerModel::Bitaxe, "rig");
    world.wait_device("a reading", |device| device["reading"].is_object());
    drop(device);
    world.wait_device("a failure", |device| device["failure"].is_string());
    world.mines_on();
    let _again = axeos(address, 2.0 * HASH_RATE);
    world.wait_device("it again", |device| {
        device["failure"].is_null() && device["reading"]["hashrate"] == 2.0 * HASH_RATE
    });
    assert_eq!(world.device_alerts(), [""; 0]);
}

#[test]
fn a_miner_that_stalls_is_told_and_its_work_too() {
    let device = axeos(any_port(), HASH_RATE);
    let mut world = World::reading(ports(device.address()));
    world.mine_from(LOOPBACK, MinerModel::Bitaxe, "rig");
    world.wait_device("a reading", |device| device["reading"].is_object());
    world.mines_on();
    assert_eq!(world.device_alerts(), [""; 0]);
    world.miners[0].set_stalled(true);
    wait_for("the alert", || world.device_alerts() == ["device.stalled"]);
    world.wait_device("the stall", |device| device["stalled"] == true);
    world.miners[0].set_stalled(false);
    world.wait_device("the end of the stall", |device| device["stalled"] == false);
    assert_eq!(world.device_alerts(), ["device.stalled"]);
}

/// A world with one device that says that its chips hang.
fn stalled(restart_stalled: bool, prepare: impl FnOnce(&World, &SimDevice)) -> (World, SimDevice) {
    let device = axeos(any_port(), HASH_RATE);
    let mut world = World::start("", DevicesConfig { restart_stalled, ..often() }, ports(device.address()));
    device.change(|figures| figures.pool = world.proxy.address());
    world.mine_from(LOOPBACK, MinerModel::Bitaxe, "rig");
    world.wait_device("a reading", |device| device["reading"].is_object());
    prepare(&world, &device);
    device.change(|figures| figures.hash_rate = 0.0);
    world.miners[0].set_stalled(true);
    wait_for("the alert", || world.device_alerts().contains(&"device.stalled"));
    (world, device)
}

fn restarts_told(world: &World) -> Vec<String> {
    let snapshot = world.proxy.snapshot();
    let told = snapshot.events.iter().filter(|event| event.kind == "device.restart");
    told.map(|event| event.text.clone()).collect()
}

#[test]
fn a_stalled_device_is_restarted_once_if_that_is_wanted() {
    let (world, device) = stalled(true, |_, _| ());
    wait_for("the restart", || device.restarts() > 0);
    wait_for("the event", || restarts_told(&world) == ["rig had stalled, and was told to restart"]);
    // Not again within the hour, and it is no surprise.
    holds_for(SOME_READINGS, "one restart", || device.restarts() == 1);
    assert!(!world.device_alerts().contains(&"device.restarted"));
    let (_world, device) = stalled(false, |_, _| ());
    holds_for(SOME_READINGS, "no restart", || device.restarts() == 0);
}

#[test]
fn a_device_that_points_elsewhere_is_not_restarted() {
    let (world, device) = stalled(true, |_, device| {
        device.change(|figures| figures.pool = "127.0.0.1:1".parse().unwrap());
    });
    wait_for("the event", || restarts_told(&world).len() == 1);
    assert!(restarts_told(&world)[0].contains("was not restarted: its settings name another port"));
    holds_for(SOME_READINGS, "no restart", || device.restarts() == 0);
}

/// Answers each connection with these bytes, after it has been asked something. Counts the requests.
fn raw_server(answer: &'static [u8], closes: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(any_port()).unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 256];
            let length = stream.read(&mut asked).unwrap_or(0);
            assert_eq!(&asked[..length], b"{\"command\":\"summary\"}");
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(answer);
            if !closes {
                kept.push(stream);
            }
        }
    });
    (address, count)
}

#[test]
fn the_cgminer_family_is_asked_if_that_is_wanted() {
    let answer = b"{\"STATUS\":[{\"STATUS\":\"S\"}],\"SUMMARY\":[{\"Elapsed\":60,\"MHS 5s\":0.1,\"Accepted\":7}],\"id\":1}\0";
    // Some close, some keep the connection open after the NUL.
    for closes in [true, false] {
        let (address, asked) = raw_server(answer, closes);
        let ports = DevicePorts { http: 1, cgminer: address.port() };
        let mut world = World::start("", DevicesConfig { cgminer: true, ..often() }, ports);
        world.mine_from(LOOPBACK, MinerModel::Cgminer, "large");
        let read = world.wait_device("a reading", |device| device["reading"].is_object());
        assert_eq!(
            (&read["reading"]["hashrate"], &read["reading"]["accepted"]),
            (&json!(HASH_RATE), &json!(7))
        );
        assert!(asked.load(Ordering::Relaxed) > 0);
    }
    let (address, asked) = raw_server(answer, true);
    let mut world = World::reading(DevicePorts { http: 1, cgminer: address.port() });
    world.mine_from(LOOPBACK, MinerModel::Cgminer, "large");
    world.mines_on();
    holds_for(SOME_READINGS, "nobody asks", || asked.load(Ordering::Relaxed) == 0);
}

#[test]
fn the_cgminer_family_may_send_anything() {
    let endless: &'static [u8] = vec![b'x'; 1 << 20].leak();
    for (answer, failure) in [
        (endless, "too long"),
        (&b"not json\0"[..], "the answer is not JSON"),
        (b"", "the answer is not JSON"),
        (b"{\"STATUS\":[{\"STATUS\":\"E\",\"Msg\":\"no\"}]}\0", "it refuses the command"),
    ] {
        let (address, _) = raw_server(answer, true);
        let ports = DevicePorts { http: 1, cgminer: address.port() };
        let mut world = World::start("", DevicesConfig { cgminer: true, ..often() }, ports);
        world.mine_from(LOOPBACK, MinerModel::Cgminer, "large");
        world.wait_device(failure, |device| {
            device["failure"].as_str().is_some_and(|said| said.contains(failure))
        });
        world.mines_on();
    }
}

/// A miner of this name that only introduces itself.
fn introduce(world: &World, user_agent: &str) -> std::net::TcpStream {
    let mut stream = world.proxy.connect();
    let subscribe = json!({ "id": 1, "method": "mining.subscribe", "params": [user_agent] });
    let authorize = json!({ "id": 2, "method": "mining.authorize", "params": ["rig", "x"] });
    stream.write_all(format!("{subscribe}\n{authorize}\n").as_bytes()).unwrap();
    stream
}

#[test]
fn an_nmminer_is_asked_for_its_own_document_and_else_for_its_probe() {
    let nested = json!({
        "identity": { "hwModel": "NMMiner", "fwVersion": "2.0.1", "rssi": -60 },
        "miner": { "hashRate": 0.000_1, "bestDiffEver": "45.20K", "sAccepted": 3 },
        "stratum": { "url": "stratum+tcp://10.0.0.1:3333", "user": "rig", "pwd": "s3cret" },
    });
    let server = Server::start(move |_| Answer::Status(200, String::new(), nested.to_string()));
    let world = World::reading(ports(server.address()));
    let _miner = introduce(&world, "NMMiner/2.0.1");
    let read = world.wait_device("a reading", |device| device["reading"].is_object());
    assert_eq!(
        (&read["reading"]["hashrate"], &read["reading"]["best"]),
        (&json!(100_000.0), &json!(45_200.0))
    );
    assert!(!world.document("/api/devices", "").to_string().contains("s3cret"));

    let probe =
        json!({ "model": "NMMiner", "hostname": "n", "ver": "2.0.1", "hr": 1020.5, "ebd": 9.5, "ut": 60 });
    let server = Server::start(move |number| match number % 2 {
        0 => status(404),
        _ => Answer::Status(200, String::new(), probe.to_string()),
    });
    let world = World::reading(ports(server.address()));
    let _miner = introduce(&world, "NMMiner/2.0.1");
    let read = world.wait_device("a reading", |device| device["reading"].is_object());
    assert_eq!(read["reading"]["hashrate"], 1020.5);
    assert_eq!(server.asked()[1].line, "GET /probe HTTP/1.1");
}

#[test]
fn a_miner_that_no_pool_has_accepted_is_not_asked() {
    let device = axeos(any_port(), HASH_RATE);
    let pool = BarePool::start();
    let text = format!("[listen]\nstratum = [\"127.0.0.1:0\"]\n{}", pool.upstream());
    let mut config = Config::parse(&text, &Overrides::default()).unwrap();
    config.devices = often();
    let options = AppOptions { device_ports: ports(device.address()), ..AppOptions::default() };
    let proxy = Proxy::with_options(&config, options);
    let mut miner = proxy.connect();
    miner
        .write_all(b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"bitaxe/BM1370/v2.15.1\"]}\n")
        .unwrap();
    let _pool = pool.accept_miner();
    holds_for(SOME_READINGS, "nobody asks", || device.readings() == 0);
}
