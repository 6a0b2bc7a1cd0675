//! Spare connections, made ahead of need for routes that take long to connect (Tor, TLS): a NerdMiner gives
//! up after 1.2 s (wire reference, section 1.6).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, iter};

use parking_lot::{Condvar, Mutex};

use super::entry::UpstreamEntry;
use super::{PoolFailure, Upstreams};
use crate::net::Stream;
use crate::util::stop::Stopped;
use crate::util::supervise::{self, service};

/// The age at which an unused connection is closed. DATUM closes one that has not subscribed after 15 s (wire
/// reference, section 1.6).
const MAX_SPARE_AGE: Duration = Duration::from_secs(12);
/// The longest time between two checks of the spare connections.
const SPARE_CHECK: Duration = Duration::from_secs(1);
/// Caps the time for one connection; Tor needs its time.
const MAX_DIAL_TIME: Duration = Duration::from_secs(30);

/// The spare connections of one upstream.
#[derive(Debug)]
pub(super) struct SpareConnections {
    wanted: usize,
    stock: Mutex<VecDeque<SpareConnection>>,
    taken: Condvar,
}

#[derive(Debug)]
struct SpareConnection {
    stream: Stream,
    since: Instant,
}

impl SpareConnections {
    pub(super) fn new(wanted: usize) -> SpareConnections {
        SpareConnections { wanted, stock: Mutex::default(), taken: Condvar::new() }
    }

    /// Takes the freshest connection that is still alive.
    pub(super) fn take(&self) -> Option<Stream> {
        let taken = iter::from_fn(|| self.stock.lock().pop_back()).find(is_alive);
        if self.wanted > 0 {
            self.taken.notify_one();
        }
        taken.map(|spare| spare.stream)
    }

    /// Closes all, because the pool has failed.
    pub(super) fn clear(&self) {
        self.stock.lock().clear();
    }

    /// Removes connections that are old or dead, and returns how many are missing then.
    fn missing(&self) -> usize {
        let mut stock = self.stock.lock();
        stock.retain(is_alive);
        self.wanted.saturating_sub(stock.len())
    }

    fn wait(&self) {
        let mut stock = self.stock.lock();
        if stock.len() >= self.wanted {
            self.taken.wait_for(&mut stock, SPARE_CHECK);
        }
    }
}

/// Starts a thread for this upstream, if spare connections are configured.
pub(super) fn start(upstreams: &Upstreams, upstream: &Arc<UpstreamEntry>) -> io::Result<()> {
    if upstream.spares.wanted > 0 {
        let (upstreams, upstream) = (upstreams.clone(), upstream.clone());
        let name = format!("warm-{}", upstream.id.0 + 1);
        service(name).start(move || {
            let end = keep_connected(&upstreams, &upstream);
            upstream.spares.clear();
            end
        })?;
    }
    Ok(())
}

fn keep_connected(upstreams: &Upstreams, upstream: &UpstreamEntry) -> Result<(), Stopped> {
    let stop = &upstream.stop;
    loop {
        stop.check()?;
        supervise::beat();
        if upstream.up_since().is_none() {
            // The probes find out; spare connections to a pool that refuses them would not help.
            stop.sleep(SPARE_CHECK)?;
            continue;
        }
        for _ in 0..upstream.spares.missing() {
            match upstream.dial_new(Instant::now() + MAX_DIAL_TIME) {
                Ok(stream) => {
                    upstream.spares.stock.lock().push_back(SpareConnection { stream, since: Instant::now() })
                }
                Err(error) if error.is_local() => {
                    stop.sleep(SPARE_CHECK)?;
                    break;
                }
                Err(error) => {
                    upstreams.fail(upstream, PoolFailure::Dial(error.to_string()));
                    break;
                }
            }
        }
        upstream.spares.wait();
    }
}

fn is_alive(spare: &SpareConnection) -> bool {
    spare.since.elapsed() < MAX_SPARE_AGE && spare.stream.is_alive()
}
