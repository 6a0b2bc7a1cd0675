//! The memory of idle miners: they have subscribed, authorized and received a job, and send nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::common::miners::Miners;
use super::common::pool::Pool;
use super::common::proc::Memory;
use super::contenders::Contender;
use super::runs::{Run, Turn, round};

pub const NAME: &str = "memory, 1500 idle miners";
pub const MINERS: usize = 1500;
/// The time until all threads wait again.
const SETTLE: Duration = Duration::from_secs(2);
/// The time after the miners have left until the rest is measured.
const AFTER: Duration = Duration::from_secs(60);

/// Measures processes that have just been started, each once.
pub fn measure(pool: &Pool, wanted: &[String], cpus: usize, run: &mut Run) {
    let contenders = Contender::start_all(pool.address, wanted);
    let proxies =
        || contenders.iter().filter(|contender| !matches!(contender.name.as_str(), "direct" | "socat"));
    std::thread::sleep(SETTLE);
    let mut all = Vec::new();
    for contender in proxies() {
        let before = resident(contender);
        let miners = Miners::connect(contender.address, MINERS);
        std::thread::sleep(SETTLE);
        let each = (resident(contender) - before) / MINERS as f64;
        drop(miners);
        all.push(BTreeMap::from([
            ("before".to_owned(), round(before / 1024.0)),
            ("resident".to_owned(), round(each)),
        ]));
    }
    std::thread::sleep(AFTER);
    for (contender, mut figures) in proxies().zip(all) {
        figures.insert("after".to_owned(), round(resident(contender) / 1024.0));
        run.push(Turn {
            cpus,
            scenario: NAME.to_owned(),
            round: 0,
            contender: contender.name.clone(),
            figures,
        });
    }
}

/// KiB, of all processes.
fn resident(contender: &Contender) -> f64 {
    contender.processes().iter().map(|process| Memory::of(*process).resident).sum()
}
