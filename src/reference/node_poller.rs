//! The thread that polls one node, one request at a time.

use std::sync::Arc;
use std::time::Instant;

use serde::de::DeserializeOwned;
use ureq::Agent;

use super::node_login::NodeAddress;
use super::node_rpc::{self, ChainInfo, HeaderInfo, NodeTip};
use super::status::ReferenceStatus;
use super::timings::{ReferenceTimings, backoff};
use super::tip::{Tip, TipPublisher};
use crate::config::Secret;
use crate::net::Stamp;
use crate::stratum::Nbits;
use crate::util::backoff::jittered;
use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;

/// The answers that are needed have about 1 KB.
const MAX_RESPONSE_BYTES: u64 = 256 * 1024;
const UNAUTHORIZED: u16 = 401;

pub(super) struct NodePoller<T> {
    pub(super) agent: Agent,
    pub(super) node: NodeAddress,
    pub(super) status: Arc<ReferenceStatus>,
    pub(super) publisher: TipPublisher<T>,
    pub(super) timings: ReferenceTimings,
    /// The nbits of the last block that was looked up, with its hash.
    pub(super) nbits: Option<(String, Nbits)>,
}

impl<T: Fn(Tip)> NodePoller<T> {
    /// Polls until `stop`.
    pub(super) fn run(&mut self, stop: &Stop) -> Result<(), Stopped> {
        let mut retries = backoff(self.timings.poll_interval, self.timings.max_poll_interval);
        loop {
            supervise::beat();
            let polled = self.poll();
            stop.check()?;
            let pause = match polled {
                Ok(remark) => {
                    self.publisher.publish_due(Instant::now());
                    self.status.set_connected(remark);
                    retries.reset();
                    self.timings.poll_interval
                }
                Err(why) => {
                    self.publisher.clear();
                    self.status.set_failed(why);
                    jittered(retries.next_pause(), 1.0, 1.25)
                }
            };
            stop.sleep(pause)?;
        }
    }

    /// Asks the node for its tip. `Ok(Some(remark))` if it answers but can't be used yet.
    fn poll(&mut self) -> Result<Option<String>, String> {
        let tip = self.call::<ChainInfo>("getblockchaininfo", &[])?.tip()?;
        let at = Stamp::now();
        if tip.loading.is_some() {
            self.publisher.clear();
            return Ok(tip.loading);
        }
        let nbits = self.nbits_of(&tip)?;
        let NodeTip { height, prevhash, .. } = tip;
        self.publisher.set_tip(Tip { source: self.status.name(), height, prevhash, nbits, at });
        Ok(None)
    }

    fn nbits_of(&mut self, tip: &NodeTip) -> Result<Nbits, String> {
        if let Some(nbits) = tip.nbits {
            return Ok(nbits);
        }
        match &self.nbits {
            Some((hash, nbits)) if *hash == tip.best_hash => Ok(*nbits),
            _ => {
                let nbits = self.call::<HeaderInfo>("getblockheader", &[&tip.best_hash])?.nbits()?;
                self.nbits = Some((tip.best_hash.clone(), nbits));
                Ok(nbits)
            }
        }
    }

    fn call<R: DeserializeOwned>(&mut self, method: &str, params: &[&str]) -> Result<R, String> {
        let body = node_rpc::request_body(method, params);
        let login = self.node.login.header()?;
        let (mut status, mut response) = self.post(&body, login.as_ref())?;
        if status == UNAUTHORIZED && self.node.login.renew()? {
            // The node has restarted and written a new cookie.
            let login = self.node.login.header()?;
            (status, response) = self.post(&body, login.as_ref())?;
        }
        if status == UNAUTHORIZED {
            return Err(format!("it refuses (401) {}", self.node.login));
        }
        node_rpc::parse_response(status, &response)
    }

    fn post(&self, body: &str, login: Option<&Secret>) -> Result<(u16, Vec<u8>), String> {
        let mut post = self.agent.post(self.node.url.expose()).header("Content-Type", "application/json");
        if let Some(login) = login {
            post = post.header("Authorization", login.expose());
        }
        // The HTTP client's own messages may contain the URL, which can hold a password.
        let mut response = post.send(body.as_bytes()).map_err(|error| match error {
            ureq::Error::Timeout(_) => String::from("no answer in time: is it overloaded?"),
            ureq::Error::HostNotFound => {
                String::from("its host name can't be resolved: check reference.node")
            }
            ureq::Error::Io(why) => format!("can't connect ({}): does it run with server=1?", describe(&why)),
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) => String::from(
                "TLS failed: a node speaks http:// unless a server in front of it has a certificate",
            ),
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => {
                String::from("reference.node can't be used as a URL")
            }
            _ => String::from("its answer is not proper HTTP: is this its JSON-RPC port?"),
        })?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_vec();
        body.map(|body| (status, body))
            .map_err(|_| String::from("its answer is longer than 256 KiB, or was cut off"))
    }
}
