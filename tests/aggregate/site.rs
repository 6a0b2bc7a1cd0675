//! The proxy in this process, and miners whose every line the test writes.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sluice::analyzer::{Analyzer, Setup, Snapshot};
use sluice::app::AppOptions;
use sluice::config::{Config, Overrides};
use sluice::proxy::aggregate::Limits;
use sluice::stratum::{Difficulty, Extranonce1, Extranonce2, Nonce, Notify, Submit};
use sluice::tap::TapMessage;
use sluice::work::{PreparedJob, ShareTerms, Target};
use std::sync::Arc;

use crate::common::{DEADLINE, Proxy};

/// The proxy. Shut down when dropped.
pub struct Site {
    proxy: Proxy,
    /// The last snapshot of a proxy that was shut down.
    stopped: Option<Arc<Snapshot>>,
}

impl Site {
    /// With these pools, and `more` configuration.
    pub fn start(pools: &[SocketAddr], more: &str) -> Site {
        let pools: String = pools.iter().map(|pool| crate::common::upstream(*pool)).collect();
        Site::with(&format!("{more}\n{pools}"))
    }

    /// With a whole configuration text, without `mode` and `[listen]`.
    pub fn with(text: &str) -> Site {
        Site::with_limits(text, Limits::default())
    }

    pub fn with_limits(text: &str, limits: Limits) -> Site {
        let config = config(text);
        Site::with_options(&config, AppOptions { limits, ..AppOptions::default() })
    }

    /// As [`Site::with`]; what is recorded goes to `directory`.
    pub fn recording(text: &str, directory: &Path) -> Site {
        let config = config(text);
        let record_to = Some(directory.to_owned());
        Site::with_options(&config, AppOptions { record_to, ..AppOptions::default() })
    }

    fn with_options(config: &Config, options: AppOptions) -> Site {
        Site { proxy: Proxy::with_options(config, options), stopped: None }
    }

    /// As [`Site::with`], with an analyzer whose copies pass through `change` on their way.
    pub fn tapped(
        text: &str,
        change: impl Fn(TapMessage) -> TapMessage + Send + 'static,
    ) -> (Site, Analyzer) {
        let config = config(text);
        let (analyzer, to_analyzer) = Analyzer::start(Setup::plain(&config.analysis)).unwrap();
        let (queue, copies) = crossbeam_channel::bounded(config.analysis.queue);
        std::thread::spawn(move || copies.iter().try_for_each(|copy| to_analyzer.send(change(copy))));
        let options = AppOptions { queue: Some(queue), ..AppOptions::default() };
        (Site::with_options(&config, options), analyzer)
    }

    pub fn running(&self) -> &Arc<dyn sluice::proxy::Proxy> {
        self.proxy.running()
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        self.proxy.app().addresses()
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// Ends the proxy, as a signal would.
    pub fn shut_down(&mut self) {
        self.stopped = Some(self.proxy.shut_down());
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.stopped.clone().unwrap_or_else(|| self.proxy.snapshot())
    }

    pub fn connect(&self) -> Line {
        Line::to(self.address())
    }

    /// A miner that has subscribed as this agent and asked to authorize in this name.
    pub fn asking(&self, agent: &str, worker: &str) -> Line {
        let mut line = self.connect();
        line.subscribe(agent);
        line.authorize(worker);
        line
    }

    /// A miner that has subscribed as this agent and authorized in this name; what it was told so far
    /// is with it.
    pub fn miner(&self, agent: &str, worker: &str) -> Line {
        let mut line = self.connect();
        line.join(agent, worker);
        line
    }
}

/// A configuration without `mode`, with `[listen]` put before it.
fn config(text: &str) -> Config {
    let listen = "mode = \"aggregate\"\n[listen]\nstratum = [\"127.0.0.1:0\"]\nmax_miners = 6000\n\
                  [ratelimit]\nexempt = [\"127.0.0.0/8\"]\n";
    let listen = if text.contains("[ratelimit]") {
        "mode = \"aggregate\"\n[listen]\nstratum = [\"127.0.0.1:0\"]\n"
    } else {
        listen
    };
    let failover = crate::common::patient_failover(text);
    Config::parse(&format!("{listen}{text}{failover}"), &Overrides::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// One end of a conversation.
pub struct Line {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    /// Read, and not asked for yet.
    kept: VecDeque<Value>,
    pub extranonce1: Extranonce1,
    pub extranonce2_size: usize,
    pub difficulty: f64,
    pub job: Option<Notify>,
    pub worker: String,
    ids: u64,
    nonces: u32,
}

impl Line {
    pub fn to(address: SocketAddr) -> Line {
        let stream = TcpStream::connect(address).unwrap();
        Line::of(stream)
    }

    pub fn of(stream: TcpStream) -> Line {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Line {
            reader: BufReader::new(stream.try_clone().unwrap()),
            stream,
            kept: VecDeque::new(),
            extranonce1: Extranonce1::default(),
            extranonce2_size: 0,
            difficulty: 0.0,
            job: None,
            worker: String::new(),
            ids: 100,
            nonces: 0,
        }
    }

    pub fn raw(&self) -> &TcpStream {
        &self.stream
    }

    pub fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    pub fn say(&mut self, message: &Value) {
        self.write(&format!("{message}\n"));
    }

    /// Sends a request; its answer is read by [`Line::answer`].
    pub fn ask(&mut self, id: impl Into<Value>, method: &str, params: Value) {
        let id: Value = id.into();
        self.say(&json!({ "id": id, "method": method, "params": params }));
    }

    /// The next line; `None` at the end.
    pub fn read(&mut self) -> Option<Value> {
        let mut text = String::new();
        match self.reader.read_line(&mut text) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next line, `None` at the end; `Err` if none comes within the socket's timeout.
    pub fn read_or_timeout(&mut self) -> Result<Option<Value>, ()> {
        let mut text = String::new();
        match self.reader.read_line(&mut text) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && text.is_empty() => Err(()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next line that was not asked for yet; a miner keeps track of what it says.
    pub fn next(&mut self) -> Value {
        if let Some(kept) = self.kept.pop_front() {
            return kept;
        }
        let message = self.read().expect("the connection was closed");
        self.follow(&message);
        message
    }

    /// The first line that `fits`; those before it are kept.
    pub fn wait(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(place) = self.kept.iter().position(&fits) {
            return self.kept.remove(place).unwrap();
        }
        loop {
            let message = self.read().unwrap_or_else(|| panic!("closed instead of {what}"));
            self.follow(&message);
            if fits(&message) {
                return message;
            }
            self.kept.push_back(message);
        }
    }

    /// Whether the first line is this request, which is kept.
    pub fn is_beginning_with(&mut self, method: &str) -> bool {
        let Some(message) = self.read() else { return false };
        let is_it = message["method"] == method;
        self.kept.push_back(message);
        is_it
    }

    /// The oldest message that was read and not asked for.
    pub fn kept(&mut self) -> Option<Value> {
        self.kept.pop_front()
    }

    /// A request that comes within a moment.
    pub fn wait_briefly(&mut self, method: &str) -> Option<Value> {
        self.stream.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
        let mut text = String::new();
        let read = self.reader.read_line(&mut text);
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let message: Value = read.ok().and_then(|_| serde_json::from_str(&text).ok())?;
        (message["method"] == method).then_some(message)
    }

    /// The answer to this request, if it comes soon.
    pub fn wait_briefly_for_answer(&mut self, id: u64) -> Option<Value> {
        self.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut text = String::new();
        let read = self.reader.read_line(&mut text);
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let message: Value = read.ok().and_then(|_| serde_json::from_str(&text).ok())?;
        (message["id"] == id && message.get("method").is_none()).then_some(message)
    }

    /// Forgets what was read and not asked for.
    pub fn forget(&mut self) {
        self.kept.clear();
    }

    /// Bytes that came with the last line and are not read yet.
    pub fn buffered(&self) -> String {
        String::from_utf8_lossy(self.reader.buffer()).into_owned()
    }

    /// The answer to this id.
    pub fn answer(&mut self, id: impl Into<Value>) -> Value {
        let id = id.into();
        self.wait("an answer", |message| message["id"] == id && message.get("method").is_none())
    }

    /// Everything that the proxy has sent by now.
    pub fn sent_by_now(&mut self) -> Vec<Value> {
        self.ask("p", "mining.ping", json!([]));
        let mut messages = Vec::new();
        loop {
            let next = self.next();
            if next["id"] == "p" {
                return messages;
            }
            messages.push(next);
        }
    }

    /// The next answer, to whatever request.
    pub fn next_answer(&mut self) -> Value {
        self.wait("an answer", |message| message.get("method").is_none())
    }

    pub fn wait_job(&mut self) -> Notify {
        self.wait("a job", |message| message["method"] == "mining.notify");
        self.job.clone().unwrap()
    }

    /// Whether nothing comes for so long.
    pub fn is_quiet_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let mut text = String::new();
        let quiet = self.reader.read_line(&mut text).is_err();
        // For a test that fails.
        print!("{text}");
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        quiet
    }

    /// Reads until the other end closes.
    pub fn wait_end(&mut self) -> Vec<Value> {
        let mut rest: Vec<Value> = self.kept.drain(..).collect();
        while let Some(message) = self.read() {
            rest.push(message);
        }
        rest
    }

    /// Subscribes, authorizes, and waits for the first job.
    pub fn join(&mut self, agent: &str, worker: &str) {
        self.subscribe(agent);
        self.authorize(worker);
        assert_eq!(self.answer(2)["result"], true);
        self.wait_job();
    }

    /// Subscribes as this agent, on a link whose pool is there already.
    pub fn subscribe(&mut self, agent: &str) {
        self.ask(1, "mining.subscribe", json!([agent]));
        self.wait_subscribed(1);
    }

    /// Asks to authorize, and submits in this name from now on.
    pub fn authorize(&mut self, worker: &str) {
        self.worker = worker.to_owned();
        self.ask(2, "mining.authorize", json!([worker, "x"]));
    }

    /// Waits for the answer to the subscribe with this id, and takes the search space in it.
    pub fn wait_subscribed(&mut self, id: impl Into<Value>) {
        let answer = self.answer(id);
        self.take_search_space(&answer);
    }

    /// Takes the search space in an answer to subscribe.
    pub fn take_search_space(&mut self, answer: &Value) {
        self.extranonce1 = Extranonce1::from_text(answer["result"][1].as_str().unwrap()).unwrap();
        self.extranonce2_size = answer["result"][2].as_u64().unwrap() as usize;
    }

    fn follow(&mut self, message: &Value) {
        match message["method"].as_str() {
            Some("mining.set_difficulty") => self.difficulty = message["params"][0].as_f64().unwrap(),
            Some("mining.notify") => {
                let params = serde_json::value::to_raw_value(&message["params"]).unwrap();
                self.job = Some(Notify::from_params(Some(&params)).unwrap());
            }
            Some("mining.set_extranonce") => {
                let text = message["params"][0].as_str().unwrap();
                self.extranonce1 = Extranonce1::from_text(text).unwrap();
                self.extranonce2_size = message["params"][1].as_u64().unwrap() as usize;
            }
            _ => {}
        }
    }

    /// A share of the newest job, whose difficulty lies between these.
    pub fn mine(&mut self, least: f64, most: f64) -> Submit {
        let job = self.job.clone().unwrap();
        self.mine_on(&job, least, most)
    }

    pub fn mine_on(&mut self, job: &Notify, least: f64, most: f64) -> Submit {
        let size = sluice::stratum::Extranonce2Size::new(self.extranonce2_size as u8).unwrap();
        let difficulty = Difficulty::new(least).unwrap();
        let (low, high) =
            (Target::from_difficulty(difficulty), Difficulty::new(most).map(Target::from_difficulty));
        let prepared = PreparedJob::new(job.clone(), self.extranonce1.clone());
        loop {
            self.nonces += 1;
            let submit = Submit {
                worker: self.worker.clone(),
                job_id: job.job_id.clone(),
                extranonce2: Extranonce2::from_counter(7, size),
                ntime: job.ntime,
                nonce: Nonce(self.nonces),
                version_bits: None,
            };
            let terms = ShareTerms { extranonce2_size: size, version_mask: None, difficulty };
            let share = prepared.rebuild(&submit, &terms).unwrap();
            let is_too_good = high.as_ref().is_ok_and(|high| high.is_met_by(&share.hash));
            if low.is_met_by(&share.hash) && !is_too_good {
                return submit;
            }
        }
    }

    /// Sends a share; its id.
    pub fn submit(&mut self, share: &Submit) -> u64 {
        self.ids += 1;
        let params = json!([
            share.worker,
            share.job_id.as_str(),
            share.extranonce2.to_string(),
            share.ntime.to_string(),
            share.nonce.to_string()
        ]);
        self.ask(self.ids, "mining.submit", params);
        self.ids
    }

    /// Sends a share and reads its verdict: `None` when it was accepted, else the code.
    pub fn verdict(&mut self, share: &Submit) -> Option<i64> {
        let id = self.submit(share);
        let answer = self.answer(id);
        if answer["result"] == true { None } else { Some(answer["error"][0].as_i64().unwrap()) }
    }
}
