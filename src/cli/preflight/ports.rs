//! Whether every address of the configuration can be listened on.

use std::io;
use std::net::{SocketAddr, TcpListener};

use super::EnvironmentError;
use crate::config::Config;
use crate::net::listen;
use crate::net::port_owner::port_owner;

/// Opens every port for a moment, all at the same time, and accepts nobody.
pub(super) fn verify(config: &Config) -> Vec<EnvironmentError> {
    let plain = config.listen.stratum.iter().map(|address| ("listen.stratum", Some("--listen"), *address));
    let tls = config.listen.tls.iter().flat_map(|tls| &tls.listen);
    let tls = tls.map(|address| ("listen.tls.listen", None, *address));
    let page = config.http.listen.map(|address| ("http.listen", Some("--http"), address));
    let mut open: Vec<TcpListener> = Vec::new();
    let mut errors = Vec::new();
    for (key, flag, address) in plain.chain(tls).chain(page) {
        match listen::bind_bare(address) {
            Ok(socket) => open.push(socket),
            Err(reason) => {
                // Our own sockets must not be found.
                let in_use = reason.kind() == io::ErrorKind::AddrInUse;
                let is_ours = |socket: &TcpListener| is_port_of(socket, address);
                let owner = if in_use && !open.iter().any(is_ours) { port_owner(address) } else { None };
                errors.push(EnvironmentError::Port { key, flag, address, owner, reason });
            }
        }
    }
    errors
}

fn is_port_of(socket: &TcpListener, address: SocketAddr) -> bool {
    socket.local_addr().is_ok_and(|own| own.port() == address.port())
}
