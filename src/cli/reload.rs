//! SIGHUP: the configuration is read again, and what can change while miners mine does. What can't
//! is named; what is wrong changes nothing. A file that says the same touches nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::Options;
use crate::analyzer::{ExternalUpdate, ReloadedPolicy};
use crate::app::Reloadable;
use crate::config::Config;
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

/// A reload of the configuration at each SIGHUP.
pub(super) struct Reload {
    pub(super) options: Options,
    pub(super) app: Reloadable,
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
        let Reloadable { config: live, proxy, names, .. } = &self.app;
        let before = live.load();
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
        let (now, later): (Vec<_>, Vec<_>) = changes.into_iter().partition(|name| LIVE.contains(name));
        if now.contains(&UPSTREAMS) {
            if let Err(error) = proxy.relist(&config.upstreams, |listed| names.set(listed)) {
                log::error!("SIGHUP: the configuration stays as it was: {error}");
                return;
            }
        }
        if !now.is_empty() {
            if !self.apply(&config, &now) {
                log::error!(
                    "SIGHUP: the analyzer did not take the new {} within {} s; nothing else of it holds: \
                     send SIGHUP again, or restart sluice",
                    now.join(", "),
                    TAKE_LIMIT.as_secs()
                );
                return;
            }
            log::info!("SIGHUP: from now on with the new {}", now.join(", "));
        }
        if !later.is_empty() {
            log::warn!("SIGHUP: {} changed; that takes effect at the next start", later.join(", "));
        }
    }

    /// Puts the changes into effect. `false` when the analyzer, which is first, does not take them.
    fn apply(&self, config: &Config, changes: &[&str]) -> bool {
        if changes.iter().any(|name| ![UPSTREAMS, VARDIFF].contains(name)) {
            // Without analysis nothing is judged.
            if let Some(to_analyzer) = &self.app.to_analyzer {
                let policy = ExternalUpdate::Policy(Arc::new(ReloadedPolicy::new(config)));
                if to_analyzer.send_timeout(policy, TAKE_LIMIT).is_err() {
                    return false;
                }
            }
        }
        if changes.contains(&VARDIFF) {
            self.app.proxy.set_vardiff(&config.vardiff);
        }
        self.app.config.store(Arc::new(Config {
            network: config.network,
            upstreams: config.upstreams.clone(),
            payout: config.payout.clone(),
            chain: config.chain.clone(),
            rules: config.rules.clone(),
            vardiff: config.vardiff.clone(),
            ..(**self.app.config.load()).clone()
        }));
        true
    }
}
