//! The thread that requests the pool's figures.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use ureq::Agent;

use super::figures::PoolFigures;
use super::pool_api::{paths, read, usual_url};
use crate::clock::Clock;
use crate::config;
use crate::net::https;
use crate::util::backoff::{Backoff, jittered};
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise::{self, service};

/// Time limit of a request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Caps the size of an answer.
const MAX_ANSWER: u64 = 256 * 1024;
/// Longest pause after failures, unless the interval is longer; pauses double up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The figures of the pool's newest answer. Clones share them.
#[derive(Debug, Clone)]
pub struct PublishedStats(Arc<PoolStatsShared>);

#[derive(Debug, Default)]
struct PoolStatsShared {
    newest: ArcSwapOption<PoolFigures>,
    health: Mutex<StatsHealth>,
}

/// The state of the requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatsHealth {
    pub answered: u64,
    pub failed: u64,
    /// Why the newest request failed, without URL and token; `None` after an answer.
    pub last_error: Option<String>,
}

impl PublishedStats {
    /// Starts the thread `pool-stats`, which requests the figures at once and then about every `interval`
    /// until `stop`, and passes them to `tell`. `account` is the address, if the pool needs one.
    ///
    /// # Errors
    /// `InvalidInput` if an address is needed and missing; else if no thread can be started.
    pub fn start(
        config: &config::PoolStatsConfig,
        account: Option<&str>,
        clock: Clock,
        tell: impl Fn(Arc<PoolFigures>) + Send + 'static,
        stop: &Stop,
    ) -> io::Result<PublishedStats> {
        let paths = paths(config.kind, account).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "pool_stats.address is missing: set it to the address whose figures are wanted",
            )
        })?;
        let base = config.url.as_deref().unwrap_or(usual_url(config.kind)).trim_end_matches('/');
        let stats = PublishedStats(Arc::default());
        let poller = PoolStatsPoller {
            agent: https::agent(REQUEST_LIMIT),
            urls: paths.iter().map(|path| config::Secret::new(format!("{base}{path}"))).collect(),
            config: config.clone(),
            clock,
            shared: stats.0.clone(),
        };
        let stop = stop.clone();
        service("pool-stats").start(move || poller.run(&tell, &stop))?;
        Ok(stats)
    }

    /// The newest figures, if there are any.
    pub fn newest(&self) -> Option<Arc<PoolFigures>> {
        self.0.newest.load_full()
    }

    /// The state of the requests.
    pub fn health(&self) -> StatsHealth {
        self.0.health.lock().clone()
    }
}

struct PoolStatsPoller {
    agent: Agent,
    urls: Vec<config::Secret>,
    config: config::PoolStatsConfig,
    clock: Clock,
    shared: Arc<PoolStatsShared>,
}

/// A request without usable answer: the reason, and the pause that the pool asks for.
struct FetchError {
    reason: String,
    pause: Option<Duration>,
}

impl PoolStatsPoller {
    fn run(&self, tell: &impl Fn(Arc<PoolFigures>), stop: &Stop) -> Result<(), Stopped> {
        let interval = self.config.interval;
        let longest = LONGEST_PAUSE.max(interval);
        let mut backoff = Backoff::new(interval.saturating_mul(2), longest);
        loop {
            supervise::beat();
            let result = self.ask();
            stop.check()?;
            let mut health = self.shared.health.lock();
            let pause = match result {
                Ok(figures) => {
                    let figures = Arc::new(figures);
                    self.shared.newest.store(Some(figures.clone()));
                    tell(figures);
                    (health.answered, health.last_error) = (health.answered + 1, None);
                    backoff.reset();
                    interval
                }
                Err(unanswered) => {
                    if health.last_error.is_none() {
                        log::warn!(
                            "the pool's figures could not be read: {}; they are requested less often now",
                            unanswered.reason
                        );
                    }
                    health.failed += 1;
                    health.last_error = Some(unanswered.reason);
                    backoff.next_pause().max(unanswered.pause.unwrap_or_default().min(longest))
                }
            };
            drop(health);
            stop.sleep(jittered(pause, 0.9, 1.1))?;
        }
    }

    fn ask(&self) -> Result<PoolFigures, FetchError> {
        let at = self.clock.now();
        let answers = self.urls.iter().map(|url| self.get(url.expose())).collect::<Result<Vec<_>, _>>()?;
        read(self.config.kind, &answers, at)
            .map_err(|unusable| FetchError { reason: unusable.to_string(), pause: None })
    }

    fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let failed = |reason: &str| FetchError { reason: reason.to_owned(), pause: None };
        let mut request = self.agent.get(url).header("Accept", "application/json");
        if let Some(token) = &self.config.token {
            request = match self.config.kind {
                config::PoolStatsKind::Braiins => request.header("Pool-Auth-Token", token.expose()),
                _ => request.header("Authorization", format!("Bearer {}", token.expose())),
            };
        }
        let mut response = request.call().map_err(|error| failed(&https::describe_error(&error)))?;
        if !response.status().is_success() {
            let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
            let pause = asked.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
            let reason = format!("the pool answered {}", response.status().as_u16());
            return Err(FetchError { reason, pause });
        }
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        body.map_err(|_| failed("the answer is too long or broken off"))
    }
}
