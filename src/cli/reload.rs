//! Reload on SIGHUP: reads the configuration again and applies the sections that can change at run time. Changes of
//! other sections are named in the log. A wrong or unchanged configuration changes nothing.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Receiver;
use log::Level;

use super::reload_result::{ReloadFile, ReloadOutcome, ReloadResult};
use super::{Options, preflight};
use crate::analyzer::{ExternalUpdate, ReloadedPolicy};
use crate::app::Reloadable;
use crate::config::Config;
use crate::net::service_manager::{ServiceManager, monotonic_micros};
use crate::upstream::SetupError;
use crate::util::supervise::{self, service};

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
    pub(super) manager: ServiceManager,
    /// The last reload was not taken: the file and the configuration in effect differ.
    pub(super) is_refused: Arc<AtomicBool>,
}

impl Reload {
    /// Starts the thread that reloads at each signal, until the channel is closed.
    pub(super) fn start(self, signals: Receiver<()>) -> io::Result<()> {
        let file = ReloadFile::create();
        service("reload").start(move || {
            for () in &signals {
                supervise::beat();
                self.reload_and_report(&file);
            }
        })?;
        Ok(())
    }

    /// Reloads, and reports it: in the log, in the file, and to the service manager.
    fn reload_and_report(&self, file: &ReloadFile) {
        let began = monotonic_micros();
        self.manager.reloading();
        // After a panic the thread starts again, and the others have to know that this reload is over.
        let result = catch_unwind(AssertUnwindSafe(|| self.reload()));
        let panicked = || ReloadResult::failed("the reload panicked; the log says why".to_owned());
        let result = result.map_err(|panic| (panic, panicked()));
        let shown = result.as_ref().unwrap_or_else(|(_, result)| result);
        for (level, line) in &shown.lines {
            log::log!(*level, "SIGHUP: {line}");
        }
        self.is_refused.store(shown.outcome != ReloadOutcome::Taken, Ordering::Relaxed);
        file.record(began, shown);
        self.manager.ready();
        if let Err((panic, _)) = result {
            resume_unwind(panic);
        }
    }

    fn reload(&self) -> ReloadResult {
        supervise::fault_point("reload-file");
        let config = match self.options.load() {
            Ok(config) => config,
            Err(error) => return ReloadResult::refused(&error),
        };
        if let Some(error) = preflight::check_upstreams(&config).first() {
            return ReloadResult::refused(error);
        }
        let before = self.app.config.load_full();
        let mut changes = before.changes(&config);
        // The account of the pool's statistics may come from the payout address.
        let account =
            |config: &Config| config.pool_stats.as_ref().and_then(|stats| stats.account(&config.payout));
        if account(&before) != account(&config) && !changes.contains(&POOL_STATS) {
            changes.push(POOL_STATS);
        }
        let mut lines = Vec::new();
        if changes.is_empty() {
            lines.push((Level::Info, "configuration unchanged; nothing to reload".to_owned()));
        }
        let (now, later): (Vec<_>, Vec<_>) = changes.into_iter().partition(|name| RELOADABLE.contains(name));
        if !now.is_empty() {
            if let Err(error) = self.apply(&before, &config, &now) {
                return ReloadResult::failed(error);
            }
            lines.push((Level::Info, format!("applied the new {}", now.join(", "))));
            self.tell(now);
        }
        if !later.is_empty() {
            let text = format!("{} changed; this takes effect at the next start", later.join(", "));
            lines.push((Level::Warn, text));
        }
        ReloadResult::taken(lines)
    }

    /// Applies the changes, all or none.
    ///
    /// # Errors
    /// The message for the log: the new pools can't be listed, or the analyzer does not accept the new policy.
    fn apply(&self, before: &Config, config: &Config, changes: &[&str]) -> Result<(), String> {
        let Reloadable { proxy, names, .. } = &self.app;
        let stays = |error: SetupError| format!("the old configuration stays in effect: {error}");
        if changes.contains(&UPSTREAMS) {
            proxy.check_relist(&config.upstreams).map_err(stays)?;
        }
        // The analyzer comes first, because it may not accept: then nothing has changed yet.
        let has_policy = changes.iter().any(|name| ![UPSTREAMS, VARDIFF].contains(name));
        if has_policy && !self.send_policy(config) {
            return Err(format!(
                "the analyzer did not accept the new {} within {} s; the other changes were not applied either: \
                 send SIGHUP again, or restart sluice",
                changes.join(", "),
                ANALYZER_TIMEOUT.as_secs()
            ));
        }
        if changes.contains(&UPSTREAMS) {
            if let Err(error) = proxy.relist(&config.upstreams, |listed| names.set(listed)) {
                if has_policy && !self.send_policy(before) {
                    return Err(format!(
                        "the old pools stay in effect: {error}; but the new rules may be in effect: send SIGHUP \
                         again, or restart sluice"
                    ));
                }
                return Err(stays(error));
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
            ..before.clone()
        }));
        Ok(())
    }

    /// Tells the time line which sections have changed. Left out if the analyzer's channel is full.
    fn tell(&self, sections: Vec<&'static str>) {
        if let Some(to_analyzer) = &self.app.to_analyzer {
            let _ = to_analyzer.try_send(ExternalUpdate::Reloaded(sections));
        }
    }

    /// Sends the policy of this configuration to the analyzer. `false` if it does not accept. Without analysis there is
    /// no policy to apply.
    fn send_policy(&self, config: &Config) -> bool {
        let Some(to_analyzer) = &self.app.to_analyzer else { return true };
        let policy = ExternalUpdate::Policy(Arc::new(ReloadedPolicy::new(config)));
        to_analyzer.send_timeout(policy, ANALYZER_TIMEOUT).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use crossbeam_channel::bounded;

    use super::*;
    use crate::app::{App, AppOptions};
    use crate::util::stop::Stop;

    #[derive(Parser)]
    struct TestOptions {
        #[command(flatten)]
        options: Options,
    }

    /// A configuration with these pools on loopback, where nobody listens, and this limit of a rule.
    fn write(file: &Path, ports: impl IntoIterator<Item = u32>, size: usize) {
        let mut text = format!("[ntp]\nservers = []\n[rules]\nmin_extranonce2_size = {size}\n");
        for port in ports {
            text.push_str(&format!("[[upstream]]\nurl = \"stratum+tcp://127.0.0.1:{port}\"\n"));
        }
        std::fs::write(file, text).unwrap();
    }

    fn start(file: &Path) -> (App, Reload) {
        let arguments = ["test", "--listen", "127.0.0.1:0", "--http", "", "--config", file.to_str().unwrap()];
        let options = TestOptions::parse_from(arguments).options;
        let app = App::start(&options.load().unwrap(), AppOptions::default(), &Stop::new()).unwrap();
        let (manager, is_refused) = (ServiceManager::default(), Arc::default());
        let reload = Reload { options, app: app.reloadable.clone(), manager, is_refused };
        (app, reload)
    }

    /// The pools that were ever listed, and the configuration in effect: its pools and the rule's limit.
    fn in_effect(reload: &Reload) -> (usize, usize, Option<usize>) {
        let config = reload.app.config.load();
        (reload.app.proxy.stats().upstreams.len(), config.upstreams.len(), config.rules.min_extranonce2_size)
    }

    #[test]
    fn new_pools_are_not_listed_if_the_analyzer_does_not_accept_the_new_policy() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        write(&file, [1], 3);
        let (app, mut reload) = start(&file);
        let to_analyzer = reload.app.to_analyzer.replace(bounded(0).0);
        write(&file, [1, 2], 4);
        reload.reload();
        assert_eq!(in_effect(&reload), (1, 1, Some(3)));
        reload.app.to_analyzer = to_analyzer;
        reload.reload();
        assert_eq!(in_effect(&reload), (2, 2, Some(4)));
        // Only the reload that took effect is on the time line.
        let last = app.shut_down(|_| ());
        let reloads = last.events.iter().filter(|event| event.kind == "program.reload");
        let texts: Vec<&str> = reloads.map(|event| event.text.as_str()).collect();
        assert_eq!(texts, ["the configuration was reloaded: [[upstream]], [rules]"]);
    }

    #[test]
    fn the_analyzer_gets_no_new_policy_if_the_new_pools_cannot_be_listed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        write(&file, [1], 3);
        let (app, mut reload) = start(&file);
        let (to_analyzer, updates) = bounded(8);
        reload.app.to_analyzer = Some(to_analyzer);
        write(&file, 1000..1300, 4);
        reload.reload();
        assert_eq!(in_effect(&reload), (1, 1, Some(3)));
        assert!(updates.is_empty(), "{updates:?}");
        app.shut_down(|_| ());
    }
}
