//! The handshake of each kind of miner (wire reference, section 1.4).

use std::time::{Duration, Instant};

use serde_json::json;

use super::{SessionEnd, SimMinerSession};
use crate::sim::miner::model::MinerModel;
use crate::stratum::{Envelope, ResponseVerdict, SubscribeAnswer, granted_version_mask};

/// Pause of a NerdMiner after subscribe and authorize.
const NERDMINER_PAUSE: Duration = Duration::from_millis(200);

/// The ids of a Bitaxe's burst.
const BITAXE_CONFIGURE: u64 = 1;
const BITAXE_SUBSCRIBE: u64 = 2;
const BITAXE_AUTHORIZE: u64 = 3;

/// Opens the session as this kind of miner does.
pub(super) fn open(session: &mut SimMinerSession<'_>) -> Result<(), SessionEnd> {
    match session.habit {
        MinerModel::NerdMiner => open_nerdminer(session),
        MinerModel::Bitaxe => open_bitaxe(session),
        MinerModel::Cgminer => open_cgminer(session),
        MinerModel::Cpuminer => open_cpuminer(session),
    }
}

/// Acts on a line after the opening; a Bitaxe, which does not wait, gets the answers of its
/// opening here as well.
pub(super) fn handle_line(session: &mut SimMinerSession<'_>, line: &[u8]) -> Result<(), SessionEnd> {
    let message = match Envelope::read(line) {
        Ok(message) => message,
        Err(error) => {
            // No miner closes a connection because of it, but the reason is recorded.
            session.shared.stats.update(|stats| stats.last_error = Some(error.to_string()));
            return Ok(());
        }
    };
    if let Some(method) = message.method() {
        return session.handle_method(&message, &method);
    }
    if session.handle_answer(&message) || session.habit != MinerModel::Bitaxe {
        return Ok(());
    }
    match message.numeric_id() {
        Some(BITAXE_CONFIGURE) => {
            session.set_version_mask(granted_version_mask(message.result));
        }
        Some(BITAXE_SUBSCRIBE) => session.subscribed(read_subscribe(&message, line)?),
        Some(BITAXE_AUTHORIZE) => {
            let accepted = ResponseVerdict::of(&message).is_accepted();
            session.authorized(accepted);
            if accepted {
                session.suggest_difficulty()?;
                if session.shared.options.extranonce_subscribe {
                    session.request("mining.extranonce.subscribe", &json!([]))?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Subscribe, and exactly one line as its answer; authorize and suggest_difficulty without looking
/// at theirs.
fn open_nerdminer(session: &mut SimMinerSession<'_>) -> Result<(), SessionEnd> {
    subscribe(session, NERDMINER_PAUSE)?;
    authorize(session)?;
    session.shared.stop.sleep(NERDMINER_PAUSE)?;
    session.suggest_difficulty()
}

/// Three requests in one write.
fn open_bitaxe(session: &mut SimMinerSession<'_>) -> Result<(), SessionEnd> {
    let options = &session.shared.options;
    let burst = session.shared.with_wire(|wire| {
        let requests = [
            ("mining.configure", json!([["version-rolling"], { "version-rolling.mask": "ffffffff" }])),
            ("mining.subscribe", json!([options.model.user_agent()])),
            ("mining.authorize", json!([options.worker, "x"])),
        ];
        requests.iter().map(|(method, params)| wire.prepare(method, params).1).collect::<String>()
    });
    session.send(&burst.ok_or(SessionEnd::Closed)?)
}

/// Each request waits for the answer to the one before, taking the next line for it; between
/// authorize and its answer the methods it knows may come.
fn open_cgminer(session: &mut SimMinerSession<'_>) -> Result<(), SessionEnd> {
    let mask = json!([["version-rolling"], { "version-rolling.mask": "ffffffff" }]);
    session.request("mining.configure", &mask)?;
    let line = wait_for_line(session, "mining.configure")?;
    let answer = read_message("mining.configure", &line)?;
    session.set_version_mask(granted_version_mask(answer.result));

    subscribe(session, Duration::ZERO)?;
    authorize(session)?;
    loop {
        let line = wait_for_line(session, "mining.authorize")?;
        let message = read_message("mining.authorize", &line)?;
        match message.method() {
            Some(method) => session.handle_method(&message, &method)?,
            None => return read_authorize(session, &message, &line),
        }
    }
}

/// The next line is the answer to subscribe; the answer to authorize is the one with its id.
fn open_cpuminer(session: &mut SimMinerSession<'_>) -> Result<(), SessionEnd> {
    subscribe(session, Duration::ZERO)?;
    let id = authorize(session)?;
    loop {
        let line = wait_for_line(session, "mining.authorize")?;
        let Ok(message) = Envelope::read(&line) else {
            continue;
        };
        match message.method() {
            Some(method) => session.handle_method(&message, &method)?,
            None if message.numeric_id() == Some(id) => return read_authorize(session, &message, &line),
            None => {}
        }
    }
}

/// Subscribes, and takes the next line after `pause` for the answer.
fn subscribe(session: &mut SimMinerSession<'_>, pause: Duration) -> Result<(), SessionEnd> {
    session.request("mining.subscribe", &json!([session.habit.user_agent()]))?;
    session.shared.stop.sleep(pause)?;
    let line = wait_for_line(session, "mining.subscribe")?;
    let answer = read_subscribe(&read_message("mining.subscribe", &line)?, &line)?;
    if session.habit == MinerModel::NerdMiner && answer.extranonce1.as_bytes().is_empty() {
        return Err(bad("mining.subscribe", &line));
    }
    session.subscribed(answer);
    Ok(())
}

fn authorize(session: &mut SimMinerSession<'_>) -> Result<u64, SessionEnd> {
    session.request("mining.authorize", &json!([session.shared.options.worker, "x"]))
}

fn wait_for_line(session: &mut SimMinerSession<'_>, method: &'static str) -> Result<Vec<u8>, SessionEnd> {
    let deadline = session.habit.answer_timeout().map(|timeout| Instant::now() + timeout);
    session.read_line(deadline)?.ok_or(SessionEnd::NoAnswer(method))
}

fn read_message<'a>(method: &'static str, line: &'a [u8]) -> Result<Envelope<'a>, SessionEnd> {
    Envelope::read(line).map_err(|_| bad(method, line))
}

fn read_subscribe(answer: &Envelope<'_>, line: &[u8]) -> Result<SubscribeAnswer, SessionEnd> {
    let result = answer.result.ok_or_else(|| bad("mining.subscribe", line))?;
    SubscribeAnswer::from_result(result).map_err(|_| bad("mining.subscribe", line))
}

fn read_authorize(
    session: &mut SimMinerSession<'_>,
    answer: &Envelope<'_>,
    line: &[u8],
) -> Result<(), SessionEnd> {
    let accepted = ResponseVerdict::of(answer).is_accepted();
    session.authorized(accepted);
    if accepted { Ok(()) } else { Err(bad("mining.authorize", line)) }
}

fn bad(method: &'static str, line: &[u8]) -> SessionEnd {
    let start = &line[..line.len().min(200)];
    SessionEnd::BadAnswer(method, start.escape_ascii().to_string())
}
