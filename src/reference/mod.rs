//! `[[reference]]`: other views of the chain, to compare the pool's jobs with. Nobody mines on them.
//!
//! Each has a thread of its own, which tells what the reference works on: whenever that changes, at
//! most once a second, and again every two minutes. Whatever a reference does, it harms nobody: amounts
//! and times are bounded, and failures are answered with growing pauses.
//!
//! | file | what it is |
//! |---|---|
//! | `tip` | what a reference works on |
//! | `pace`, `pauses` | how often everything is done; pauses after failures |
//! | `conversation`, `watcher` | a pool: the miner's side without sockets; the thread around it |
//! | `rpc`, `login`, `poller` | a node: questions and answers; its address and login; the thread |
//! | `herald`, `view` | what is told, and what there is to see |

mod backoff;
mod conversation;
mod login;
mod poll_interval;
mod poller;
mod rpc;
mod tip;
mod tip_publisher;
mod view;
mod watcher;

use std::io;
use std::sync::Arc;

pub use poll_interval::PollInterval;
pub use tip::Tip;
pub use view::{ReferenceKind, ReferenceView};

use crate::config::ReferenceConfig;
use crate::net::{https, process};
use crate::upstream::{name_of, route_to};
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise::service;
use login::NodeAddress;
use poller::NodePoller;
use tip_publisher::TipPublisher;
use view::ReferenceStatus;
use watcher::Watcher;

/// All references, as they fare. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct References(Arc<[Arc<ReferenceStatus>]>);

impl References {
    /// Starts a thread for each, which tells what it works on until `stop`. `tell` must not wait.
    ///
    /// # Errors
    /// When a thread can't be started, or no TLS can be made for a host.
    pub fn start(
        configured: &[ReferenceConfig],
        tell: impl Fn(Tip) + Clone + Send + 'static,
        stop: &Stop,
    ) -> io::Result<References> {
        References::start_with(configured, &PollInterval::default(), tell, stop)
    }

    /// As [`References::start`], with other times than the polite ones.
    ///
    /// # Errors
    /// As [`References::start`].
    pub fn start_with(
        configured: &[ReferenceConfig],
        pace: &PollInterval,
        tell: impl Fn(Tip) + Clone + Send + 'static,
        stop: &Stop,
    ) -> io::Result<References> {
        let mut books = Vec::with_capacity(configured.len());
        for (place, one) in configured.iter().enumerate() {
            let thread = format!("ref-{}", place + 1);
            let (pace, tell, stop) = (pace.clone(), tell.clone(), stop.clone());
            let book = match one {
                ReferenceConfig::Pool { upstream, user } => {
                    let book = Arc::new(ReferenceStatus::new(&name_of(upstream), ReferenceKind::Pool));
                    let route = route_to(upstream, &stop).map_err(io::Error::other)?;
                    let herald = TipPublisher::new(book.clone(), tell, &pace);
                    let mut watcher = Watcher { route, user: user.clone(), book: book.clone(), herald, pace };
                    start(thread, move || watcher.run(&stop))?;
                    book
                }
                ReferenceConfig::Node { url, cookie } => {
                    let node = NodeAddress::new(url, cookie.as_deref()).map_err(|wanted| {
                        io::Error::new(
                            io::ErrorKind::InvalidInput,
                            format!("reference.node must be {wanted}"),
                        )
                    })?;
                    let book = Arc::new(ReferenceStatus::new(&node.name, ReferenceKind::Node));
                    let herald = TipPublisher::new(book.clone(), tell, &pace);
                    let agent = https::agent(pace.request);
                    let mut poller =
                        NodePoller { agent, node, book: book.clone(), herald, pace, nbits: None };
                    start(thread, move || poller.run(&stop))?;
                    book
                }
            };
            books.push(book);
        }
        Ok(References(books.into()))
    }

    /// How each fares, in their order.
    pub fn views(&self) -> Vec<ReferenceView> {
        self.0.iter().map(|book| book.view()).collect()
    }
}

/// Starts a thread that never needs to run at once.
fn start(name: String, mut run: impl FnMut() -> Result<(), Stopped> + Send + 'static) -> io::Result<()> {
    service(name).start(move || {
        if let Err(why) = process::yield_to_others() {
            log::debug!("a reference's thread keeps its priority: {why}");
        }
        // It ends with the program only.
        run().or(Ok::<(), Stopped>(()))
    })?;
    Ok(())
}
