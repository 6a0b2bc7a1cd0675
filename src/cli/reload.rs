//! SIGHUP: the configuration is read again, and what can change while miners mine does. What can't
//! is named; what is wrong changes nothing. A file that says the same touches nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender};

use super::Options;
use crate::analyzer::{ExternalUpdate, ReloadedPolicy, UpstreamNames};
use crate::config::Config;
use crate::proxy::Tuner;
use crate::util::stop::Stopped;
use crate::util::supervise;
use crate::util::supervise::service;

/// These take effect at once; the others at the next start.
const LIVE: [&str; 6] = ["network", UPSTREAMS, "[payout]", "[chain]", "[rules]", VARDIFF];

const UPSTREAMS: &str = "[[upstream]]";
const VARDIFF: &str = "[vardiff]";

/// Follows `payout.address` where it names none itself.
const POOL_STATS: &str = "[pool_stats]";

/// How long the analyzer may take to make room for it; it does so twice a second.
const TAKE_LIMIT: Duration = Duration::from_secs(5);

/// Who can be told.
pub(super) struct Reload {
    pub(super) options: Options,
    /// What holds now.
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) tuner: Tuner,
    /// What the analyzer calls the upstreams.
    pub(super) names: UpstreamNames,
    /// To the analyzer; `None` when analysis is off.
    pub(super) news: Option<Sender<ExternalUpdate>>,
}

impl Reload {
    /// Starts the thread that reloads at every signal, until nobody can send any.
    ///
    /// # Errors
    /// When there is no room for it.
    pub(super) fn start(self, signals: Receiver<()>) -> io::Result<()> {
        service("reload").start(move || {
            for () in &signals {
                supervise::beat();
                self.again();
            }
            Ok::<(), Stopped>(())
        })?;
        Ok(())
    }

    fn again(&self) {
        let config = match self.options.load() {
            Ok(config) => config,
            Err(error) => {
                log::error!("SIGHUP: the configuration stays as it was: {error}");
                return;
            }
        };
        let before = self.config.load();
        let mut changes = before.changes(&config);
        // Whose figures are asked for may have been told by the address that is to be paid.
        let account =
            |config: &Config| config.pool_stats.as_ref().and_then(|stats| stats.account(&config.payout));
        if account(&before) != account(&config) && !changes.contains(&POOL_STATS) {
            changes.push(POOL_STATS);
        }
        if changes.is_empty() {
            log::info!("SIGHUP: the configuration says what it said; nothing is touched");
            return;
        }
        let (live, later): (Vec<_>, Vec<_>) = changes.into_iter().partition(|name| LIVE.contains(name));
        if live.contains(&UPSTREAMS) {
            if let Err(error) = self.tuner.relist(&config.upstreams, |names| self.names.set(names)) {
                log::error!("SIGHUP: the configuration stays as it was: {error}");
                return;
            }
        }
        if !live.is_empty() {
            if !self.apply(&config, &live) {
                log::error!(
                    "SIGHUP: the analyzer did not take the new {} within {} s; nothing else of it holds: \
                     send SIGHUP again, or restart sluice",
                    live.join(", "),
                    TAKE_LIMIT.as_secs()
                );
                return;
            }
            log::info!("SIGHUP: from now on with the new {}", live.join(", "));
        }
        if !later.is_empty() {
            log::warn!("SIGHUP: {} changed; that takes effect at the next start", later.join(", "));
        }
    }

    /// Puts the changes into effect. `false` when the analyzer, which is first, does not take them.
    fn apply(&self, config: &Config, changes: &[&str]) -> bool {
        if changes.iter().any(|name| ![UPSTREAMS, VARDIFF].contains(name)) {
            // Without analysis nothing is judged.
            if let Some(news) = &self.news {
                let judgement = ExternalUpdate::Judgement(Arc::new(ReloadedPolicy::new(config)));
                if news.send_timeout(judgement, TAKE_LIMIT).is_err() {
                    return false;
                }
            }
        }
        if changes.contains(&VARDIFF) {
            self.tuner.set_vardiff(&config.vardiff);
        }
        self.config.store(Arc::new(Config {
            network: config.network,
            upstreams: config.upstreams.clone(),
            payout: config.payout.clone(),
            chain: config.chain.clone(),
            rules: config.rules.clone(),
            vardiff: config.vardiff.clone(),
            ..(**self.config.load()).clone()
        }));
        true
    }
}
