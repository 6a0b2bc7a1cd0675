//! What can be changed while miners mine, for whoever reads the configuration again.

use std::fmt;
use std::sync::Arc;

use crate::config;
use crate::upstream::RelistError;

/// A mode's running sessions, as far as they can be changed.
pub trait Tuned: fmt::Debug + Send + Sync {
    /// Other pools, or another order of preference. Miners with a pool that stays are not touched; those
    /// with one that does not are moved as soon as another works. `tell` as for
    /// [`crate::upstream::Upstreams::relist`].
    ///
    /// # Errors
    /// [`RelistError`]; everything is as before then.
    fn relist(
        &self,
        configured: &[config::UpstreamConfig],
        tell: &mut dyn FnMut(Vec<String>),
    ) -> Result<(), RelistError>;

    /// New bounds and a new target for the miners' difficulties; those who are here go on from where
    /// they are. Of no use where the pool says the difficulty.
    fn set_vardiff(&self, vardiff: &config::VardiffConfig);
}

/// A hold on a running proxy.
#[derive(Debug, Clone)]
pub struct Tuner(Arc<dyn Tuned>);

impl Tuner {
    pub fn new(tuned: Arc<dyn Tuned>) -> Tuner {
        Tuner(tuned)
    }

    /// As [`Tuned::relist`].
    ///
    /// # Errors
    /// As [`Tuned::relist`].
    pub fn relist(
        &self,
        configured: &[config::UpstreamConfig],
        mut tell: impl FnMut(Vec<String>),
    ) -> Result<(), RelistError> {
        self.0.relist(configured, &mut tell)
    }

    /// As [`Tuned::set_vardiff`].
    pub fn set_vardiff(&self, vardiff: &config::VardiffConfig) {
        self.0.set_vardiff(vardiff);
    }
}
