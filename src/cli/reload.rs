//! Reload on SIGHUP: reads the configuration again and applies the sections that can change at run time. Changes of
//! other sections are named in the log. A wrong or unchanged configuration changes nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::{Options, preflight};
use crate::analyzer::{ExternalUpdate, ReloadedPolicy};
use crate::app::Reloadable;
use crate::config::Config;
use crate::util::stop::Stopped;
use crate::util::supervise;
use crate::util::supervise::service;

/// The sections that take effect at once. Others take effect at the next start.
const RELOADABLE: [&str; 6] = ["network", UPSTREAMS, "[payout]", "[chain]", "[rules]", VARDIFF];

const UPSTREAMS: &str = "[[upstream]]";
const VARDIFF: &str = "[vardiff]";

/// Uses `payout.address` if it names no account itself.
const POOL_STATS: &str = "[pool_stats]";

/// The time that the analyzer has to accept a new policy. It empties its channel twice a second.
const ANALYZER_TIMEOUT: Duration = Duration::from_secs(5);

/// Reloads the configuration at each SIGHUP.
pub(super) struct Reload {
    pub(super) options: Options,
    pub(super) app: Reloadable,
}

impl Reload {
    /// Starts the thread that reloads at each signal, until the channel is closed.
    pub(super) fn start(self, signals: Receiver<()>) -> io::Result<()> {
        service("reload").start(move || {
            for () in &signals {
                supervise::beat();
                self.reload();
            }
            Ok::<(), Stopped>(())
        })?;
        Ok(())
    }

    fn reload(&self) {
        let config = match self.options.load() {
            Ok(config) => config,
            Err(error) => {
                log::error!("SIGHUP: the old configuration stays in effect: {error}");
                return;
            }
        };
        if let Some(error) = preflight::check_upstreams(&config).first() {
            log::error!("SIGHUP: the old configuration stays in effect: {error}");
            return;
        }
        let Reloadable { config: live, proxy, names, .. } = &self.app;
        let before = live.load();
        let mut changes = before.changes(&config);
        // The account of the pool's statistics may come from the payout address.
        let account =
            |config: &Config| config.pool_stats.as_ref().and_then(|stats| stats.account(&config.payout));
        if account(&before) != account(&config) && !changes.contains(&POOL_STATS) {
            changes.push(POOL_STATS);
        }
        if changes.is_empty() {
            log::info!("SIGHUP: configuration unchanged; nothing to reload");
            return;
        }
        let (now, later): (Vec<_>, Vec<_>) = changes.into_iter().partition(|name| RELOADABLE.contains(name));
        if now.contains(&UPSTREAMS) {
            if let Err(error) = proxy.relist(&config.upstreams, |listed| names.set(listed)) {
                log::error!("SIGHUP: the old configuration stays in effect: {error}");
                return;
            }
        }
        if !now.is_empty() {
            if !self.apply(&config, &now) {
                log::error!(
                    "SIGHUP: the analyzer did not accept the new {} within {} s; the other changes were not applied \
                     either: send SIGHUP again, or restart sluice",
                    now.join(", "),
                    ANALYZER_TIMEOUT.as_secs()
                );
                return;
            }
            log::info!("SIGHUP: applied the new {}", now.join(", "));
        }
        if !later.is_empty() {
            log::warn!("SIGHUP: {} changed; this takes effect at the next start", later.join(", "));
        }
    }

    /// Applies the changes. Returns `false` if the analyzer, which comes first, does not accept them.
    fn apply(&self, config: &Config, changes: &[&str]) -> bool {
        if changes.iter().any(|name| ![UPSTREAMS, VARDIFF].contains(name)) {
            // Without analysis no policy is applied.
            if let Some(to_analyzer) = &self.app.to_analyzer {
                let policy = ExternalUpdate::Policy(Arc::new(ReloadedPolicy::new(config)));
                if to_analyzer.send_timeout(policy, ANALYZER_TIMEOUT).is_err() {
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
