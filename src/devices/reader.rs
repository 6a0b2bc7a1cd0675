//! The threads that ask the devices: `devices` decides who is due, and a few `device-K` wait for the answers.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::axeos::AxeOsApi;
use super::cgminer::CgminerApi;
use super::http::DeviceHttp;
use super::interface::{DeviceInterface, DevicePorts};
use super::nmminer::NmMinerApi;
use super::reading::{DeviceApi, DeviceReading, DeviceReport, ReadError};
use super::roster::{DeviceConnection, DeviceRoster, ReadJob};
use crate::clock::Clock;
use crate::config::DevicesConfig;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise::{self, service};

/// The threads that wait for answers. A device that does not answer holds one of them for three seconds, and is asked
/// less often from then on.
const WORKERS: usize = 4;
/// The time between two looks at the connected miners.
const UPDATE_INTERVAL: Duration = Duration::from_secs(1);
/// The longest wait for a result, so that what becomes due is not late.
const TICK: Duration = Duration::from_millis(250);
/// The thread `devices` is reported as stuck when its heartbeat is later than this.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// The end of one job.
#[derive(Debug)]
struct Done {
    job: ReadJob,
    reading: Result<DeviceReading, ReadError>,
    /// The result of a restart, if one was to be and the device could be read.
    restart: Option<Result<(), ReadError>>,
}

/// Asks the devices among `connected` in turn until `stop`, and passes the results to `tell`. Miners connect to the ports
/// `listening`.
///
/// # Errors
/// If no thread can be started.
pub fn start_reading(
    (config, listening): (&DevicesConfig, Vec<u16>),
    ports: DevicePorts,
    clock: Clock,
    connected: impl Fn() -> Vec<DeviceConnection> + Send + 'static,
    tell: impl Fn(DeviceReport) + Send + 'static,
    stop: &Stop,
) -> io::Result<()> {
    let (jobs, due) = bounded(WORKERS);
    let (done, results) = bounded(WORKERS);
    let apis = Arc::new(DeviceApis::new(ports));
    for number in 1..=WORKERS {
        let (due, done, apis) = (due.clone(), done.clone(), apis.clone());
        service(format!("device-{number}")).start(move || work(&due, &done, &apis))?;
    }
    let mut reader = DevicesReader { roster: DeviceRoster::new(config, listening), clock, jobs, results };
    let stop = stop.clone();
    service("devices").beats_within(STUCK_AFTER).start(move || reader.run(&connected, &tell, &stop))?;
    Ok(())
}

/// Asks one device after the other until the thread `devices` has ended.
fn work(due: &Receiver<ReadJob>, done: &Sender<Done>, apis: &DeviceApis) {
    for job in due {
        supervise::beat();
        let api = apis.of(job.interface);
        let reading = api.read(job.address);
        let restart = job.restart.as_ref().zip(reading.as_ref().ok());
        let restart =
            restart.map(|(check, reading)| check.check(reading).and_then(|()| api.restart(job.address)));
        if done.send(Done { job, reading, restart }).is_err() {
            return;
        }
    }
}

struct DevicesReader {
    roster: DeviceRoster,
    clock: Clock,
    jobs: Sender<ReadJob>,
    results: Receiver<Done>,
}

impl DevicesReader {
    fn run(
        &mut self,
        connected: &impl Fn() -> Vec<DeviceConnection>,
        tell: &impl Fn(DeviceReport),
        stop: &Stop,
    ) -> Result<(), Stopped> {
        let mut next_update = Instant::now();
        loop {
            supervise::beat();
            stop.check()?;
            let now = Instant::now();
            if now >= next_update {
                self.roster.update(&connected(), now);
                next_update = now + UPDATE_INTERVAL;
            }
            self.hand_out(now);
            match self.results.recv_timeout(TICK) {
                Ok(done) => self.take(done, tell),
                Err(RecvTimeoutError::Timeout) => {}
                // All workers have died, which the supervisor reports.
                Err(RecvTimeoutError::Disconnected) => stop.sleep(TICK)?,
            }
        }
    }

    /// Gives the devices that are due to the workers, as far as these have time.
    fn hand_out(&mut self, now: Instant) {
        while !self.jobs.is_full() {
            let Some(job) = self.roster.next_due(now) else { return };
            match self.jobs.try_send(job) {
                Ok(()) => {}
                Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                    self.roster.give_back(&job);
                    return;
                }
            }
        }
    }

    fn take(&mut self, done: Done, tell: &impl Fn(DeviceReport)) {
        let Done { job, reading, restart } = done;
        let now = Instant::now();
        if let Some(restart) = &restart {
            self.roster.count_restart(&job, now);
            // Here, since the device may have been replaced meanwhile, and the analyzer may have no room for the event.
            match restart {
                Ok(()) => log::warn!("The device at {} had stalled, and was told to restart", job.address),
                Err(ReadError(why)) => {
                    log::warn!("The device at {} has stalled, and was not restarted: {why}", job.address);
                }
            }
        }
        let Some(result) = self.roster.finish(&job, reading, now) else { return };
        tell(DeviceReport {
            worker: result.worker,
            address: job.address,
            at: self.clock.now(),
            is_connected: result.is_connected,
            outcome: result.outcome.map(Arc::new).map_err(|ReadError(reason)| reason),
            restart: restart.map(|restart| restart.map_err(|ReadError(reason)| reason)),
        });
    }
}

/// All interfaces.
#[derive(Debug)]
struct DeviceApis {
    axeos: AxeOsApi,
    nmminer: NmMinerApi,
    cgminer: CgminerApi,
}

impl DeviceApis {
    fn new(ports: DevicePorts) -> DeviceApis {
        DeviceApis {
            axeos: AxeOsApi(DeviceHttp::new(ports.http)),
            nmminer: NmMinerApi(DeviceHttp::new(ports.http)),
            cgminer: CgminerApi { port: ports.cgminer },
        }
    }

    fn of(&self, interface: DeviceInterface) -> &dyn DeviceApi {
        match interface {
            DeviceInterface::AxeOs => &self.axeos,
            DeviceInterface::NmMiner => &self.nmminer,
            DeviceInterface::Cgminer => &self.cgminer,
        }
    }
}
