//! `[[reference]]`: pools and nodes that are watched and never mined on, to compare the pool's jobs with.
//!
//! Each reference has a thread of its own. It publishes the block that the reference works on: at each change, at
//! most once a second, and again every two minutes. A misbehaving reference does no harm: amounts and times are
//! bounded, and the thread backs off after failures.

mod client;
mod node_login;
mod node_poller;
mod node_rpc;
mod pool_watcher;
mod status;
mod timings;
mod tip;

use std::io;
use std::sync::Arc;

pub use status::{ReferenceKind, ReferenceView};
pub use timings::ReferenceTimings;
pub use tip::Tip;

use crate::config::ReferenceConfig;
use crate::net::{https, sched};
use crate::upstream::route_to;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise::service;
use node_login::NodeAddress;
use node_poller::NodePoller;
use pool_watcher::PoolWatcher;
use status::ReferenceStatus;
use tip::TipPublisher;

/// The running references. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct References(Arc<[Arc<ReferenceStatus>]>);

impl References {
    /// Starts a thread for each reference. It passes tips to `publish` until `stop`; `publish` must not block.
    ///
    /// # Errors
    /// A thread can't be started, or a host can't be used with TLS.
    pub fn start(
        configured: &[ReferenceConfig],
        timings: &ReferenceTimings,
        publish: impl Fn(Tip) + Clone + Send + 'static,
        stop: &Stop,
    ) -> io::Result<References> {
        let mut statuses = Vec::with_capacity(configured.len());
        for (index, reference) in configured.iter().enumerate() {
            let thread = format!("ref-{}", index + 1);
            let (timings, publish, stop) = (timings.clone(), publish.clone(), stop.clone());
            let status = match reference {
                ReferenceConfig::Pool { upstream, user } => {
                    let status = Arc::new(ReferenceStatus::new(&upstream.name(), ReferenceKind::Pool));
                    let route = route_to(upstream, &stop).map_err(io::Error::other)?;
                    let publisher = TipPublisher::new(status.clone(), publish, &timings);
                    let user = user.clone();
                    let mut watcher = PoolWatcher { route, user, status: status.clone(), publisher, timings };
                    start_thread(thread, move || watcher.run(&stop))?;
                    status
                }
                ReferenceConfig::Node { url, cookie } => {
                    let node = NodeAddress::new(url, cookie.as_deref()).map_err(|expected| {
                        let reason = format!("reference.node must be {expected}");
                        io::Error::new(io::ErrorKind::InvalidInput, reason)
                    })?;
                    let status = Arc::new(ReferenceStatus::new(&node.name, ReferenceKind::Node));
                    let publisher = TipPublisher::new(status.clone(), publish, &timings);
                    let agent = https::agent(timings.request_timeout);
                    let mut poller =
                        NodePoller { agent, node, status: status.clone(), publisher, timings, nbits: None };
                    start_thread(thread, move || poller.run(&stop))?;
                    status
                }
            };
            statuses.push(status);
        }
        Ok(References(statuses.into()))
    }

    /// The state of each reference, in the order of the configuration.
    pub fn views(&self) -> Vec<ReferenceView> {
        self.0.iter().map(|status| status.view()).collect()
    }
}

/// Starts a thread with the lowest priority: a reference is never urgent.
fn start_thread(
    name: String,
    mut run: impl FnMut() -> Result<(), Stopped> + Send + 'static,
) -> io::Result<()> {
    service(name).start(move || {
        sched::yield_to_others("a reference");
        // It ends with the program only.
        run().or(Ok::<(), Stopped>(()))
    })?;
    Ok(())
}
