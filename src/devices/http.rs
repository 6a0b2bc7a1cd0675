//! Requests to a device's web server: no login, no `Origin`, no redirects, and little time and memory.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use super::reading::ReadError;
use crate::net::https;

/// Time limit of a request. Devices are in the same network.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(3);
/// Caps the size of an answer. AxeOS sends certificates with its settings.
pub(super) const MAX_ANSWER: u64 = 64 * 1024;

/// The client for the web servers of devices.
#[derive(Debug)]
pub(super) struct DeviceHttp {
    agent: Agent,
    port: u16,
}

/// An answer of another status than 200, or none.
#[derive(Debug)]
pub(super) enum HttpFailure {
    Status(u16),
    Other(ReadError),
}

impl DeviceHttp {
    pub(super) fn new(port: u16) -> DeviceHttp {
        DeviceHttp { agent: https::agent(REQUEST_LIMIT), port }
    }

    /// Gets the JSON document at this path.
    pub(super) fn get(&self, address: IpAddr, path: &str) -> Result<Value, HttpFailure> {
        let failed = |reason: String| HttpFailure::Other(ReadError(reason));
        let request = self.agent.get(self.url(address, path)).header("Accept", "application/json");
        let mut response = request.call().map_err(|error| failed(https::describe_error(&error)))?;
        match response.status().as_u16() {
            200 => {}
            status => return Err(HttpFailure::Status(status)),
        }
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body =
            body.map_err(|_| failed(String::from("the answer is too long, too slow or broken off")))?;
        serde_json::from_slice(&body).map_err(|_| failed(String::from("the answer is not JSON")))
    }

    /// Posts nothing to this path. The answer's text depends on the version, and is not read.
    pub(super) fn post(&self, address: IpAddr, path: &str) -> Result<(), HttpFailure> {
        let response = self.agent.post(self.url(address, path)).send_empty();
        let response =
            response.map_err(|error| HttpFailure::Other(ReadError(https::describe_error(&error))))?;
        match response.status().as_u16() {
            200 => Ok(()),
            status => Err(HttpFailure::Status(status)),
        }
    }

    fn url(&self, address: IpAddr, path: &str) -> String {
        // An IPv6 address gets its brackets.
        format!("http://{}{path}", SocketAddr::new(address, self.port))
    }
}

impl From<HttpFailure> for ReadError {
    fn from(failure: HttpFailure) -> ReadError {
        match failure {
            HttpFailure::Other(error) => error,
            HttpFailure::Status(401) => ReadError(String::from(
                "it refuses this machine (401): AxeOS answers only private IPv4 addresses (10/8, 172.16/12, 192.168/16)",
            )),
            HttpFailure::Status(status) => ReadError(format!("it answered {status}")),
        }
    }
}
