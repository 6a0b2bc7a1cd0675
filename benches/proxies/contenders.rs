//! What is compared: the direct line, other proxies, and Sluice in each of its ways to forward.

use std::net::SocketAddr;

use super::common::proxies::{Build, Proxy};
use super::common::{listen, proc};

/// A path between miners and pool.
pub struct Contender {
    pub name: String,
    pub address: SocketAddr,
    /// The address of Sluice's page.
    pub page: Option<SocketAddr>,
    proxy: Option<Proxy>,
}

const DIRECT: &str = "direct";
const PEERS: [&str; 3] = ["haproxy", "nginx", "socat"];

/// Sluice's variants: the name, the mode, and its configuration.
const SLUICE: [(&str, &str, &str); 6] = [
    ("copy", "passthrough", ""),
    ("copy without analysis", "passthrough", "[analysis]\nenabled = false\n"),
    ("splice", "passthrough", "[forward]\npath = \"splice\"\n"),
    ("splice without analysis", "passthrough", "[forward]\npath = \"splice\"\n[analysis]\nenabled = false\n"),
    // Without its own difficulties every share is passed on, as in the other variants.
    ("aggregate", "aggregate", "[vardiff]\nenabled = false\n"),
    ("aggregate without analysis", "aggregate", "[vardiff]\nenabled = false\n[analysis]\nenabled = false\n"),
];

impl Contender {
    /// Starts those of the contenders that `wanted` names, or all, in front of `pool`. Another build of Sluice takes part
    /// as "before" if there is one.
    pub fn start_all(pool: SocketAddr, wanted: &[String]) -> Vec<Contender> {
        let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
        let mut contenders = Vec::new();
        if is_wanted(DIRECT) {
            contenders.push(Contender { name: DIRECT.to_owned(), address: pool, page: None, proxy: None });
        }
        for name in PEERS.into_iter().filter(|name| is_wanted(name)) {
            match Proxy::peer(name, pool) {
                Ok(proxy) => contenders.push(Contender::new(proxy, None)),
                Err(why) => eprintln!("without {name}: {why}"),
            }
        }
        for (name, mode, configuration) in SLUICE.into_iter().filter(|(name, ..)| is_wanted(name)) {
            for build in Build::all() {
                contenders.push(Contender::sluice(name, mode, configuration, &build, pool));
            }
        }
        contenders
    }

    fn new(proxy: Proxy, page: Option<SocketAddr>) -> Contender {
        Contender { name: proxy.name.clone(), address: proxy.address, page, proxy: Some(proxy) }
    }

    /// Starts Sluice as it is shipped, with its page, records and alerts.
    fn sluice(name: &str, mode: &str, configuration: &str, build: &Build, pool: SocketAddr) -> Contender {
        let page = listen().1;
        let name = format!("{} {name}", build.name);
        let http = format!("[http]\nlisten = \"{page}\"\n");
        let upstream = format!("[[upstream]]\nurl = \"stratum+tcp://{pool}\"\n");
        let proxy = Proxy::sluice_of(build, &name, mode, &format!("{configuration}{http}{upstream}"));
        Contender::new(proxy, Some(page))
    }

    /// Its processes: none of the direct line's, and one more a connection of socat's.
    pub fn processes(&self) -> Vec<u32> {
        self.proxy.iter().flat_map(|proxy| proc::with_children(proxy.pid())).collect()
    }

    /// Lines that Sluice has logged about `subject`.
    pub fn log_about(&self, subject: &str) -> Vec<String> {
        let log = self.proxy.iter().map(Proxy::stderr).collect::<String>();
        log.lines().filter(|line| line.contains(subject)).map(str::to_owned).collect()
    }
}
