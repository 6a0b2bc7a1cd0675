//! The page with everything that is behind it, in this process: a pool, the proxy, miners.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use sluice::config::{Config, HttpConfig, Overrides, Secret};
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};
use sluice::status::server::{Handler, HttpServer};
use sluice::status::snapshot::{StatusSnapshot, StatusSnapshots};
use sluice::status::web::{self, Changeable};
use sluice::stratum::Nbits;
use sluice::util::stop::Stop;

use super::{DEADLINE, Proxy, read_line, upstream, wait_for};

/// An address whose key is public (BIP173's example).
pub const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
/// Somebody else's (bitcoin.org's example).
pub const STRANGER: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
/// The network's target, as on mainnet in 2026.
pub const NBITS: Nbits = Nbits(0x1702_3a04);
/// A share every 21,000 hashes.
const DIFFICULTY: f64 = 0.000_005;

/// The page's server, which can go and come back.
pub struct PageServer {
    handler: Handler,
    http: HttpConfig,
    server: Option<HttpServer>,
}

/// The page of a proxy with one pool.
pub struct Site {
    pub page: PageServer,
    pub pool: SimPool,
    pub proxy: Proxy,
    miners: Vec<SimMiner>,
    talkers: Vec<TcpStream>,
}

impl PageServer {
    pub fn start(snapshots: StatusSnapshots, token: Option<&str>) -> PageServer {
        PageServer::with(snapshots, Changeable::default(), token)
    }

    /// With forms that change something.
    pub fn with(snapshots: StatusSnapshots, changeable: Changeable, token: Option<&str>) -> PageServer {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let http = HttpConfig { listen, token: token.map(Secret::new), ..HttpConfig::default() };
        let mut page = PageServer { handler: web::handler(snapshots, changeable), http, server: None };
        page.resume();
        page.http.listen = Some(page.address());
        page
    }

    /// Starts a page that shows this and nothing else.
    pub fn fixed(status: StatusSnapshot) -> PageServer {
        PageServer::start(StatusSnapshots::fixed(status), None)
    }

    pub fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().address()
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address())
    }

    pub fn interrupt(&mut self) {
        self.server.take().unwrap().shut_down();
    }

    /// At the address where it was.
    pub fn resume(&mut self) {
        self.server = HttpServer::start(&self.http, self.handler.clone(), &Stop::new()).unwrap();
    }
}

impl Site {
    /// With a pool that pays as it should, on Bitcoin's chain.
    pub fn start() -> Site {
        Site::with(Site::pool(1), "127.0.0.1:0", None)
    }

    /// A pool's options; no two with the same seed.
    pub fn pool(seed: u64) -> PoolOptions {
        PoolOptions { nbits: NBITS, seed, ..PoolOptions::with_difficulty(DIFFICULTY).unwrap() }
    }

    pub fn with(pool: PoolOptions, listen: &str, token: Option<&str>) -> Site {
        let pool = SimPool::start(pool).unwrap();
        let text = format!("[listen]\nstratum = [\"{listen}\"]\n{}", upstream(pool.addr()));
        let config = Config::parse(&text, &Overrides::default()).unwrap_or_else(|e| panic!("{e}"));
        let proxy = Proxy::with(&config);
        let page = PageServer::start(proxy.app().snapshots.clone(), token);
        Site { page, pool, proxy, miners: Vec::new(), talkers: Vec::new() }
    }

    /// The address for miners.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.proxy.address().port()))
    }

    pub fn url(&self) -> String {
        self.page.url()
    }

    /// This moment.
    pub fn status(&self) -> StatusSnapshot {
        (*self.proxy.app().snapshots.newest()).clone()
    }

    /// A miner that hashes, of this name behind the usual address.
    pub fn mine(&mut self, name: &str, habit: MinerModel) {
        let options = MinerOptions {
            hash_rate_limit: Some(SimHashRate(60_000.0)),
            retry_wait: Some(Duration::from_millis(100)),
            ..MinerOptions::new(self.address(), habit, format!("{ADDRESS}.{name}"))
        };
        self.miners.push(SimMiner::start(options).unwrap());
    }

    /// All miners that hash leave.
    pub fn stop_miners(&mut self) {
        self.miners.clear();
    }

    /// A miner that only says who it is; its connection stays open. Answers with its first job.
    pub fn introduce(&mut self, worker: &str, user_agent: &str) -> Value {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let subscribe = json!({ "id": 1, "method": "mining.subscribe", "params": [user_agent] });
        let authorize = json!({ "id": 2, "method": "mining.authorize", "params": [worker, "x"] });
        stream.write_all(format!("{subscribe}\n{authorize}\n").as_bytes()).unwrap();
        let job = loop {
            let line: Value = serde_json::from_str(&read_line(&stream)).unwrap();
            if line["method"] == "mining.notify" {
                break line;
            }
        };
        self.talkers.push(stream);
        job
    }

    /// The newest introduced miner says this.
    pub fn say(&mut self, line: &Value) {
        self.talkers.last_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits until so many shares were accepted, as the analyzer has it.
    pub fn wait_accepted(&self, count: u64) {
        let accepted = || self.proxy.snapshot().totals.as_ref().map_or(0, |totals| totals.accepted);
        wait_for(&format!("{count} accepted shares"), || accepted() >= count);
        let shown = || self.status().snapshot.totals.as_ref().map_or(0, |totals| totals.accepted);
        wait_for("the page to know them", || shown() >= count);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.miners.clear();
    }
}
