//! The worker threads that take requests from `tiny_http` and call the handler.

use std::convert::Infallible;
use std::io::{self, Cursor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use parking_lot::Mutex;
use tiny_http::{Header, Response, Server, StatusCode};

use super::answer::is_single_header;
use super::head::MAX_BODY;
use super::log_once::LogOnce;
use super::relay::{CHANGE_HEADER, HOST_HEADER, KEY_HEADER};
use super::target::RequestTarget;
use super::{GatedRequest, Handler, HttpAnswer, Method};
use crate::net::sched;
use crate::util::supervise;
use crate::util::thread::{SERVICE_STACK, spawn};

/// The number of workers. A slow request blocks one of them.
pub(super) const WORKER_COUNT: usize = 2;

/// The state that the workers of one server share.
#[derive(Debug, Default)]
pub(super) struct WorkerShared {
    /// The time at which each worker entered the handler.
    busy: Mutex<[Option<Instant>; WORKER_COUNT]>,
    ended: AtomicBool,
    panics: LogOnce,
}

impl WorkerShared {
    /// Tells whether every worker has been in the handler for this time.
    pub(super) fn is_stuck(&self, time: Duration) -> bool {
        let now = Instant::now();
        let busy = self.busy.lock();
        busy.iter().all(|since| since.is_some_and(|since| now.saturating_duration_since(since) >= time))
    }

    /// Tells whether the workers have ended or are about to.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Asks all workers to end after their current request.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    fn set_busy(&self, index: usize, since: Option<Instant>) {
        let mut busy = self.busy.lock();
        if let Some(slot) = busy.get_mut(index) {
            *slot = since;
        }
    }
}

/// Starts the workers. Each holds `alive` until it ends.
pub(super) fn start(
    server: &Arc<Server>,
    handler: &Handler,
    key: &str,
    work: &Arc<WorkerShared>,
    alive: &Sender<Infallible>,
) -> io::Result<()> {
    for index in 0..WORKER_COUNT {
        let (server, work, alive) = (server.clone(), work.clone(), alive.clone());
        let (handler, key) = (handler.clone(), key.to_owned());
        spawn(format!("page-{index}"), SERVICE_STACK, move || {
            sched::yield_to_others("the page");
            serve_all(&server, &handler, &key, &work, index);
            // The server ends with its last owner, before `alive` disconnects.
            drop(server);
            drop(alive);
        })?;
    }
    Ok(())
}

fn serve_all(server: &Server, handler: &Handler, key: &str, work: &WorkerShared, index: usize) {
    while !work.has_ended() {
        let Ok(request) = server.recv() else {
            // The server accepts no more requests, or is to end. So are the other workers.
            work.end();
            server.unblock();
            return;
        };
        // `tiny_http` answers a dropped request with 500.
        let _ = catch_unwind(AssertUnwindSafe(|| respond(request, handler, key, work, index)));
        work.set_busy(index, None);
    }
    server.unblock();
}

fn respond(mut request: tiny_http::Request, handler: &Handler, key: &str, work: &WorkerShared, index: usize) {
    let answer = match read_gated(&mut request, key) {
        Some(gated) => {
            work.set_busy(index, Some(Instant::now()));
            let answer = call_handler(handler, &gated, work);
            work.set_busy(index, None);
            answer
        }
        None => HttpAnswer::text(400, "This did not come through the gate.\n"),
    };
    // On an error the gate has given up on the request.
    let _ = request.respond(response(answer));
}

/// Reads a request of the gate. `None` if it came from anywhere else.
fn read_gated(request: &mut tiny_http::Request, key: &str) -> Option<GatedRequest> {
    let header = |name: &'static str| {
        let headers = request.headers().iter();
        headers.filter(|header| header.field.equiv(name)).map(|header| header.value.to_string()).next()
    };
    if header(KEY_HEADER).as_deref() != Some(key) {
        return None;
    }
    let (host, may_change) = (header(HOST_HEADER), header(CHANGE_HEADER).is_some());
    let method = match request.method() {
        tiny_http::Method::Get => Method::Get,
        tiny_http::Method::Post => Method::Post,
        _ => return None,
    };
    let RequestTarget { path, query, .. } = RequestTarget::parse(request.url()).ok()?;
    let mut body = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(request.as_reader(), MAX_BODY as u64), &mut body).ok()?;
    Some(GatedRequest { method, path, query, body, host, may_change })
}

fn call_handler(handler: &Handler, request: &GatedRequest, work: &WorkerShared) -> HttpAnswer {
    // The handler shares no state with the worker, and its own survives a panic.
    let answered = || {
        supervise::fault_point("page-handler");
        handler(request)
    };
    if let Ok(answer) = catch_unwind(AssertUnwindSafe(answered)) {
        return answer;
    }
    if work.panics.is_first(Instant::now()) {
        log::error!("the status page panicked while answering {:?}: please report this bug", request.path);
    }
    HttpAnswer::text(500, "The page could not be rendered. The log says why.\n")
}

fn response(answer: HttpAnswer) -> Response<Cursor<Vec<u8>>> {
    let headers = answer.headers.iter();
    let headers = headers
        // It would replace the body's own length.
        .filter(|(name, _)| !name.eq_ignore_ascii_case("Content-Length"))
        .filter(|(name, value)| is_single_header(name, value))
        .filter_map(|(name, value)| Header::from_bytes(name.as_str(), value.as_str()).ok())
        .collect();
    let status = if (200..=599).contains(&answer.status) { answer.status } else { 500 };
    let length = answer.body.len();
    // By default longer bodies are chunked.
    Response::new(StatusCode(status), headers, Cursor::new(answer.body), Some(length), None)
        .with_chunked_threshold(usize::MAX)
}
