//! Whether this process may open as many files as the miners need.

use crate::config::{Config, ForwardPath, Mode};
use crate::net::process;
use crate::proxy::passthrough::{DESCRIPTORS_PER_PIPE, OWN_DESCRIPTORS, SOCKETS_PER_SESSION};
use crate::util::os_error::describe;

/// A farm should hear at the start, not at the thousandth miner, that its limit is too low. Raises this process's
/// own limit as far as it may.
pub(super) fn verify(config: &Config) -> Option<String> {
    let session = per_miner(config);
    let wanted = OWN_DESCRIPTORS + session * config.listen.max_miners as u64;
    match process::raise_fd_limit() {
        Ok(limit) if limit < wanted => Some(format!(
            "this process may open {limit} files, but listen.max_miners = {} may need {wanted} ({session} for each \
             miner, {OWN_DESCRIPTORS} beside them): raise the limit (LimitNOFILE= in systemd, ulimit -Hn), or lower \
             listen.max_miners",
            config.listen.max_miners
        )),
        Ok(_) => None,
        Err(why) => Some(format!("can't raise the limit of open files: {}", describe(&why))),
    }
}

/// Descriptors that one miner takes. In aggregate mode miners share their connections to the pool.
fn per_miner(config: &Config) -> u64 {
    match (config.mode, config.forward.path, config.analysis.enabled) {
        (Mode::Aggregate, _, _) => 1,
        (_, ForwardPath::Copy, _) => SOCKETS_PER_SESSION,
        (_, ForwardPath::Splice, false) => SOCKETS_PER_SESSION + 2 * DESCRIPTORS_PER_PIPE,
        (_, ForwardPath::Splice, true) => SOCKETS_PER_SESSION + 4 * DESCRIPTORS_PER_PIPE,
    }
}
