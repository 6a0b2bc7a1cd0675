//! Routes: the document behind each path. Handlers read the newest
//! [`StatusSnapshot`] and take no lock that a session takes.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::forms::answer_form;
use super::json::api;
use super::metrics::metrics;
use super::page::{
    ListQuery, MinersQuery, Page, PageRequest, alerts_page, events_page, jobs_page, miner_page, page,
    shares_page, unknown_miner_page,
};
use super::server::{GatedRequest, Handler, HttpAnswer, Method};
use super::snapshot::{StatusSnapshot, StatusSnapshots};
use crate::analyzer::{ExternalUpdate, PoolReach};
use crate::proxy::Proxy;
use crate::upstream::PoolStatus;
use crate::util::escape::Printable;
use crate::util::format::span;
use crate::util::supervise;

/// The content type of Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The parts of the program that a POST changes. The gate asks for the token before every POST.
#[derive(Debug, Clone, Default)]
pub struct Changeable {
    /// Its upstreams can be put back into rotation.
    pub proxy: Option<Arc<dyn Proxy>>,
    /// Takes the names of workers, and which to forget. `None` when analysis is off.
    pub to_analyzer: Option<Sender<ExternalUpdate>>,
}

/// Answers requests that have passed the gate.
pub fn handler(snapshots: StatusSnapshots, changeable: Changeable) -> Handler {
    Arc::new(move |request| match request.method {
        Method::Get => answer(request, &snapshots, changeable.proxy.as_deref()),
        Method::Post => {
            let form = answer_form(&request.path, &request.body, &snapshots, changeable.to_analyzer.as_ref());
            form.unwrap_or_else(|| match &changeable.proxy {
                Some(proxy) => change(request, &**proxy),
                None => method_not_allowed(),
            })
        }
    })
}

/// Checks that every service thread is alive and makes progress; the error has a line for each that does not. It asks
/// the threads themselves, since the [`StatusSnapshot`] is made by one of them.
fn threads_work() -> Result<(), String> {
    let unwell = supervise::unwell();
    if unwell.is_empty() { Ok(()) } else { Err(unwell.join("\n")) }
}

/// Checks that a miner can connect and that a pool can be reached; no miner is needed for that. The error is the reason
/// why not, in one line.
fn can_serve(status: &StatusSnapshot) -> Result<(), String> {
    let (sessions, most) = (status.runtime.sessions, status.program.config.listen.max_miners);
    if sessions >= most {
        return Err(format!("{sessions} miners are connected; listen.max_miners = {most} allows no more"));
    }
    let pools = status.runtime.pool_reach();
    let usable = || pools.iter().filter(|pool| pool.is_usable());
    if usable().any(|pool| pool.status != PoolStatus::Untried) {
        return Ok(());
    }
    if usable().next().is_some() {
        return Err(String::from("no pool has been tried so far; Sluice asks them now"));
    }
    let reason = |pool: &PoolReach| {
        let reason = pool.reason.as_deref().unwrap_or("it has failed");
        pool.rank.is_some().then(|| format!("{}: {reason}", pool.name))
    };
    let reasons: Vec<String> = pools.iter().filter_map(reason).collect();
    Err(format!("no pool can be used: {}", reasons.join("; ")))
}

/// Checks that a miner's session is with a pool whose newest job is younger than `failover.silence_timeout`. A pool that
/// new sessions can't reach may still serve those that it has. If analysis is off, the age of the pool's last bytes
/// counts instead. The error is the reason why Sluice is not ready, in one line.
fn is_mining(status: &StatusSnapshot) -> Result<(), String> {
    let limit = status.program.config.failover.silence_timeout;
    let connected = || {
        let upstreams = status.runtime.upstreams.iter().enumerate();
        upstreams.filter(|(_, upstream)| {
            let is_usable = upstream.standing != PoolStatus::Blocked && upstream.serves_sessions;
            upstream.sessions > 0 && is_usable
        })
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

/// The answer to a question of readiness.
fn readiness(yes: &'static str, state: Result<(), String>) -> HttpAnswer {
    match state {
        Ok(()) => HttpAnswer::text(200, yes),
        Err(why) => HttpAnswer::text(503, format!("{}\n", Printable(&why))),
    }
}

fn html(page: Page) -> HttpAnswer {
    HttpAnswer::html(page.html).with_header("Content-Security-Policy", page.policy)
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

fn answer(request: &GatedRequest, snapshots: &StatusSnapshots, proxy: Option<&dyn Proxy>) -> HttpAnswer {
    let status = snapshots.newest();
    match request.path.as_str() {
        "/" | "/index.html" => {
            let has_charts = request.query.get("charts").and_then(|text| text.parse().ok());
            let miners = MinersQuery::of_query(|name| request.query.get(name));
            html(page(&status, &PageRequest { host: request.host.as_deref(), has_charts, miners }))
        }
        "/miner" => {
            let has_charts = request.query.get("charts").and_then(|text| text.parse().ok());
            let worker = request.query.get("worker").unwrap_or_default();
            match miner_page(&status, worker, has_charts, request.may_change) {
                // The forms on it need the browser to say from which page they come.
                Some(page) => html(page).with_header("Referrer-Policy", "same-origin"),
                None => HttpAnswer { status: 404, ..html(unknown_miner_page(&status, worker)) },
            }
        }
        "/shares" => html(shares_page(&status, &ListQuery(&request.query))),
        "/jobs" => html(jobs_page(&status, &ListQuery(&request.query))),
        "/alerts" => html(alerts_page(&status, &ListQuery(&request.query))),
        "/events" => html(events_page(&status, &ListQuery(&request.query))),
        // The gate answers the form. Its address may be opened again from the browser's history.
        "/login" => HttpAnswer::text(303, "").with_header("Location", "/"),
        "/healthz" => match threads_work() {
            Ok(()) => HttpAnswer::text(200, "ok\n"),
            Err(why) => HttpAnswer::text(503, format!("{why}\n")),
        },
        "/readyz" => readiness("ready\n", threads_work().and_then(|()| is_mining(&status))),
        "/servingz" => {
            if let Some(proxy) = proxy {
                proxy.upstreams().try_untried();
            }
            readiness("serving\n", threads_work().and_then(|()| can_serve(&status)))
        }
        "/metrics" => HttpAnswer::new(200, EXPOSITION, metrics(&status)),
        "/robots.txt" => HttpAnswer::text(200, "User-agent: *\nDisallow: /\n"),
        path => api(path, |name| request.query.get(name).map(str::to_owned), &status)
            .unwrap_or_else(HttpAnswer::not_found),
    }
}
