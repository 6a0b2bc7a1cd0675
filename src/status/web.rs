//! Routes: the document behind each path. Handlers read the newest
//! [`StatusSnapshot`] and take no lock that a session takes.

use std::sync::Arc;

use super::json::api;
use super::metrics::metrics;
use super::page::{MinersQuery, PageRequest, events_page, page};
use super::server::{GatedRequest, Handler, HttpAnswer, Method};
use super::snapshot::{StatusSnapshot, StatusSnapshots};
use crate::proxy::Proxy;
use crate::upstream::PoolStatus;
use crate::util::escape::Printable;
use crate::util::format::span;
use crate::util::supervise;

/// The content type of Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers GET requests that have passed the gate. With a `proxy`, a POST can clear an upstream that was
/// taken out of rotation; the gate asks for the token before every POST.
pub fn handler(snapshots: StatusSnapshots, proxy: Option<Arc<dyn Proxy>>) -> Handler {
    Arc::new(move |request| match (request.method, &proxy) {
        (Method::Get, _) => answer(request, &snapshots),
        (Method::Post, Some(proxy)) => change(request, &**proxy),
        (Method::Post, None) => method_not_allowed(),
    })
}

/// Checks that every service thread is alive and makes progress; the error has a line for each that does not. It asks
/// the threads themselves, since the [`StatusSnapshot`] is made by one of them.
fn threads_work() -> Result<(), String> {
    let unwell = supervise::unwell();
    if unwell.is_empty() { Ok(()) } else { Err(unwell.join("\n")) }
}

/// Checks that a miner's session is with a pool that is up and whose newest job is younger than
/// `failover.silence_timeout`. If analysis is off, the age of the pool's last bytes counts instead. The
/// error is the reason why Sluice is not ready, in one line.
fn readiness(status: &StatusSnapshot) -> Result<(), String> {
    let limit = status.program.config.failover.silence_timeout;
    let connected = || {
        let upstreams = status.runtime.upstreams.iter().enumerate();
        upstreams.filter(|(_, upstream)| upstream.sessions > 0 && upstream.standing == PoolStatus::Up)
    };
    if connected().next().is_none() {
        return Err(match status.runtime.sessions {
            0 => String::from("no miner is connected, so no pool is"),
            _ if status.runtime.upstreams.iter().any(|one| one.sessions > 0 && one.gives_no_work) => {
                String::from("the pool gives no work")
            }
            _ => String::from("no pool is connected"),
        });
    }
    let newest = match status.program.config.analysis.enabled {
        true => connected()
            .filter_map(|(place, _)| Some(status.age_of(status.pool(place)?.job.as_ref()?.at)))
            .min(),
        false => connected().filter_map(|(_, upstream)| upstream.heard_ago).min(),
    };
    match newest {
        Some(age) if age < limit => Ok(()),
        Some(age) => Err(format!("the newest job is {} old", span(age))),
        None => Err(String::from("the pool has not sent a job yet")),
    }
}

fn method_not_allowed() -> HttpAnswer {
    HttpAnswer::text(405, "only GET and HEAD are answered here\n").with_header("Allow", "GET, HEAD")
}

fn change(request: &GatedRequest, proxy: &dyn Proxy) -> HttpAnswer {
    let number = request.path.strip_prefix("/api/upstreams/").and_then(|rest| rest.strip_suffix("/clear"));
    let Some(number) = number else { return method_not_allowed() };
    // The API counts upstreams from 1.
    let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    match place.and_then(|place| proxy.unblock(place)) {
        None => HttpAnswer::not_found(),
        Some(was_blocked) => HttpAnswer::json(format!("{{\"cleared\":{was_blocked}}}")),
    }
}

fn answer(request: &GatedRequest, snapshots: &StatusSnapshots) -> HttpAnswer {
    let status = snapshots.newest();
    match request.path.as_str() {
        "/" | "/index.html" => {
            let has_charts = request.query.get("charts").and_then(|text| text.parse().ok());
            let miners = MinersQuery::of_query(|name| request.query.get(name));
            let page = page(&status, &PageRequest { host: request.host.as_deref(), has_charts, miners });
            HttpAnswer::html(page.html).with_header("Content-Security-Policy", page.policy)
        }
        "/events" => {
            let page = events_page(&status, |name| request.query.get(name).map(str::to_owned));
            HttpAnswer::html(page.html).with_header("Content-Security-Policy", page.policy)
        }
        "/healthz" => match threads_work() {
            Ok(()) => HttpAnswer::text(200, "ok\n"),
            Err(why) => HttpAnswer::text(503, format!("{why}\n")),
        },
        "/readyz" => match threads_work().and_then(|()| readiness(&status)) {
            Ok(()) => HttpAnswer::text(200, "ready\n"),
            Err(why) => HttpAnswer::text(503, format!("{}\n", Printable(&why.to_string()))),
        },
        "/metrics" => HttpAnswer::new(200, EXPOSITION, metrics(&status)),
        "/robots.txt" => HttpAnswer::text(200, "User-agent: *\nDisallow: /\n"),
        path => api(path, |name| request.query.get(name).map(str::to_owned), &status)
            .unwrap_or_else(HttpAnswer::not_found),
    }
}
