//! The thread that asks the pool, politely.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ureq::Agent;

use super::figures::PoolFigures;
use super::kinds::{paths, read, usual_url};
use crate::clock::Clock;
use crate::config;
use crate::net::https;
use crate::net::tls_words;
use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;
use crate::util::supervise::service;

/// A request takes no longer.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// An answer is no larger.
const MAX_ANSWER: u64 = 256 * 1024;
/// After failures the pauses double up to this, or the interval if that is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What a pool publishes, as of its newest answer. Clones share it.
#[derive(Debug, Clone)]
pub struct PublishedStats(Arc<PoolStatsShared>);

#[derive(Debug, Default)]
struct PoolStatsShared {
    newest: ArcSwapOption<PoolFigures>,
    health: Mutex<StatsHealth>,
}

/// How the asking goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatsHealth {
    pub answered: u64,
    pub failed: u64,
    /// Why the newest question failed, without URL and token; `None` after an answer.
    pub last_error: Option<String>,
}

impl PublishedStats {
    /// Starts the thread `pool-stats`, which asks at once and then about every `interval` until
    /// `stop`, about `account` where the pool wants an address, and tells `tell` what it was answered.
    ///
    /// # Errors
    /// `InvalidInput` when an address is needed and there is none; when no thread can be started.
    pub fn start(
        config: &config::PoolStatsConfig,
        account: Option<&str>,
        clock: Clock,
        tell: impl Fn(Arc<PoolFigures>) + Send + 'static,
        stop: &Stop,
    ) -> io::Result<PublishedStats> {
        let paths = paths(config.kind, account).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "pool_stats.address is missing: whose figures?")
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

    /// The newest figures, if there was an answer.
    pub fn newest(&self) -> Option<Arc<PoolFigures>> {
        self.0.newest.load_full()
    }

    /// How the asking goes.
    pub fn health(&self) -> StatsHealth {
        self.0.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct PoolStatsPoller {
    agent: Agent,
    urls: Vec<config::Secret>,
    config: config::PoolStatsConfig,
    clock: Clock,
    shared: Arc<PoolStatsShared>,
}

/// A question that got no figures: why, and when the pool wants to be asked again.
struct FetchError {
    reason: String,
    pause: Option<Duration>,
}

impl PoolStatsPoller {
    fn run(&self, tell: &impl Fn(Arc<PoolFigures>), stop: &Stop) -> Result<(), Stopped> {
        let mut failures = 0_u32;
        loop {
            supervise::beat();
            let result = self.ask();
            stop.check()?;
            let mut pause = self.config.interval;
            let mut health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(figures) => {
                    let figures = Arc::new(figures);
                    self.shared.newest.store(Some(figures.clone()));
                    tell(figures);
                    (health.answered, health.last_error) = (health.answered + 1, None);
                    failures = 0;
                }
                Err(unanswered) => {
                    if failures == 0 {
                        log::warn!("the pool's figures: {}; asking less often", unanswered.reason);
                    }
                    health.failed += 1;
                    health.last_error = Some(unanswered.reason);
                    failures = failures.saturating_add(1);
                    let longest = LONGEST_PAUSE.max(pause);
                    let asked = unanswered.pause.unwrap_or_default().min(longest);
                    pause = pause.saturating_mul(1 << failures.min(16)).min(longest).max(asked);
                }
            }
            drop(health);
            stop.sleep(with_jitter(pause))?;
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
        // The client's own texts may hold the URL.
        let mut response = request.call().map_err(|error| match error {
            ureq::Error::Timeout(_) => failed("no answer in time"),
            ureq::Error::HostNotFound => failed("the host's name is not known"),
            ureq::Error::Io(why) if why.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                failed(&format!("TLS: {}", tls_words::describe_https_io_error(&why)))
            }
            ureq::Error::Io(why) => failed(&format!("connection: {}", describe(&why))),
            ureq::Error::Rustls(why) => failed(&format!("TLS: {}", tls_words::describe_https_error(&why))),
            ureq::Error::Tls(why) => failed(&format!("TLS: {why}")),
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => failed("the URL or token can't be used"),
            _ => failed("the answer is not proper HTTP"),
        })?;
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

/// A tenth more or less: many proxies that were started together do not ask together.
fn with_jitter(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 2001;
    pause.mul_f64(0.9 + random as f64 / 10_000.0)
}
