//! The proxy in the mode that is configured.

use std::io;
use std::net::SocketAddr;

use crossbeam_channel::Receiver;

use crate::analyzer::EnforcementRequest;
use crate::config::{Config, Mode};
use crate::proxy::aggregate::AggregateProxy;
use crate::proxy::passthrough::Passthrough;
use crate::proxy::{Observer, StartError, Tuner};
use crate::tap::ToAnalyzer;
use crate::util::stop::Stop;

/// Either of the two.
#[derive(Debug)]
pub(super) enum Proxy {
    Passthrough(Passthrough),
    Aggregate(AggregateProxy),
}

impl Proxy {
    /// Opens the listeners; nobody is accepted yet.
    pub(super) fn prepare(
        config: &Config,
        to_analyzer: ToAnalyzer,
        stop: &Stop,
    ) -> Result<Proxy, StartError> {
        match config.mode {
            Mode::Passthrough => Passthrough::prepare(config, to_analyzer, stop).map(Proxy::Passthrough),
            Mode::Aggregate => AggregateProxy::prepare(config, to_analyzer, stop).map(Proxy::Aggregate),
        }
    }

    /// Begins to accept miners.
    pub(super) fn accept(&mut self) -> Result<(), StartError> {
        match self {
            Proxy::Passthrough(proxy) => proxy.accept(),
            Proxy::Aggregate(proxy) => proxy.accept(),
        }
    }

    pub(super) fn enforce(&self, offences: Receiver<EnforcementRequest>) -> io::Result<()> {
        match self {
            Proxy::Passthrough(proxy) => proxy.enforce(offences),
            Proxy::Aggregate(proxy) => proxy.enforce(offences),
        }
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        match self {
            Proxy::Passthrough(proxy) => proxy.addresses(),
            Proxy::Aggregate(proxy) => proxy.addresses(),
        }
    }

    pub(super) fn observer(&self) -> Observer {
        match self {
            Proxy::Passthrough(proxy) => proxy.observer(),
            Proxy::Aggregate(proxy) => proxy.observer(),
        }
    }

    pub(super) fn tuner(&self) -> Tuner {
        match self {
            Proxy::Passthrough(proxy) => proxy.tuner(),
            Proxy::Aggregate(proxy) => proxy.tuner(),
        }
    }

    pub(super) fn shut_down(self) {
        match self {
            Proxy::Passthrough(proxy) => proxy.shut_down(),
            Proxy::Aggregate(proxy) => proxy.shut_down(),
        }
    }
}
