//! The thread that asks one node, one question after the other.

use std::sync::Arc;
use std::time::Instant;

use serde::de::DeserializeOwned;
use ureq::Agent;

use super::backoff::Backoff;
use super::login::NodeAddress;
use super::poll_interval::PollInterval;
use super::rpc::{self, ChainInfo, HeaderInfo, NodeTip};
use super::tip::Tip;
use super::tip_publisher::TipPublisher;
use super::view::ReferenceStatus;
use crate::config::Secret;
use crate::net::Stamp;
use crate::stratum::Nbits;
use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;

/// An answer is no larger; the right ones have 1 KB.
const MAX_ANSWER: u64 = 256 * 1024;
const REFUSED: u16 = 401;

/// One node.
pub(super) struct NodePoller<T> {
    pub(super) agent: Agent,
    pub(super) node: NodeAddress,
    pub(super) book: Arc<ReferenceStatus>,
    pub(super) herald: TipPublisher<T>,
    pub(super) pace: PollInterval,
    /// The nbits of the newest block that was asked for, by its hash.
    pub(super) nbits: Option<(String, Nbits)>,
}

impl<T: Fn(Tip)> NodePoller<T> {
    /// Asks until `stop`.
    pub(super) fn run(&mut self, stop: &Stop) -> Result<(), Stopped> {
        let mut pauses = Backoff::new(self.pace.poll, self.pace.longest_poll);
        loop {
            supervise::beat();
            let asked = self.ask();
            stop.check()?;
            let pause = match asked {
                Ok(remark) => {
                    self.herald.pass(Instant::now());
                    self.book.works(remark);
                    pauses.begin_anew();
                    self.pace.poll
                }
                Err(why) => {
                    self.herald.lose();
                    self.book.failed(why);
                    pauses.failed()
                }
            };
            stop.sleep(pause)?;
        }
    }

    /// What there is to remark of a node that answers.
    fn ask(&mut self) -> Result<Option<String>, String> {
        let standing = self.call::<ChainInfo>("getblockchaininfo", &[])?.standing()?;
        let at = Stamp::now();
        if standing.loading.is_some() {
            self.herald.lose();
            return Ok(standing.loading);
        }
        let nbits = self.nbits_of(&standing)?;
        let NodeTip { height, prevhash, .. } = standing;
        self.herald.hear(Tip { source: self.book.name(), height, prevhash, nbits, at });
        Ok(None)
    }

    fn nbits_of(&mut self, standing: &NodeTip) -> Result<Nbits, String> {
        if let Some(nbits) = standing.nbits {
            return Ok(nbits);
        }
        match &self.nbits {
            Some((hash, nbits)) if *hash == standing.best => Ok(*nbits),
            _ => {
                let nbits = self.call::<HeaderInfo>("getblockheader", &[&standing.best])?.nbits()?;
                self.nbits = Some((standing.best.clone(), nbits));
                Ok(nbits)
            }
        }
    }

    fn call<R: DeserializeOwned>(&mut self, method: &str, params: &[&str]) -> Result<R, String> {
        let question = rpc::question(method, params);
        let login = self.node.login.header()?;
        let (mut status, mut body) = self.post(&question, login.as_ref())?;
        if status == REFUSED && self.node.login.renew()? {
            // The node was started anew, and wrote another cookie.
            let login = self.node.login.header()?;
            (status, body) = self.post(&question, login.as_ref())?;
        }
        if status == REFUSED {
            return Err(format!("it refuses (401) {}", self.node.login));
        }
        rpc::read(status, &body)
    }

    fn post(&self, question: &str, login: Option<&Secret>) -> Result<(u16, Vec<u8>), String> {
        let mut post = self.agent.post(self.node.url.expose()).header("Content-Type", "application/json");
        if let Some(login) = login {
            post = post.header("Authorization", login.expose());
        }
        // The client's own texts may hold the URL.
        let mut response = post.send(question.as_bytes()).map_err(|error| match error {
            ureq::Error::Timeout(_) => String::from("no answer in time: is it overloaded?"),
            ureq::Error::HostNotFound => String::from("the host's name is not known: see reference.node"),
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
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        body.map(|body| (status, body))
            .map_err(|_| String::from("its answer is longer than 256 KiB, or broken off"))
    }
}
