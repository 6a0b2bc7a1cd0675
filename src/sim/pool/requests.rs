//! A client's requests, and the order of the answers (wire reference, section 1.4). Shares are in
//! `submit`.

use std::time::Duration;

use super::SimPoolWorld;
use super::options::OpeningOrder;
use super::outbox::Outgoing;
use super::session::SimPoolSession;
use super::stats::keep;
use crate::stratum::{
    Difficulty, Envelope, RefusalCode, SubscribeAnswer, accept_line, configure_result, first_text,
    requested_version_mask, result_line,
};

/// Workers that may be authorised on one connection.
const MAX_WORKERS: usize = 1000;

/// Delays of an OCEAN-like pool's configure answer and of its set_version_mask.
const OCEAN_CONFIGURE: Duration = Duration::from_millis(50);
const OCEAN_VERSION_MASK: Duration = Duration::from_secs(1);

impl SimPoolSession {
    /// Answers a request.
    pub(super) fn dispatch(&self, world: &SimPoolWorld, request: &Envelope<'_>, method: &str) {
        match method {
            "mining.configure" => self.configure(world, request),
            "mining.subscribe" => self.subscribe(world, request),
            "mining.authorize" => self.authorize(world, request),
            "mining.submit" => self.submit(world, request),
            "mining.extranonce.subscribe" => {
                if world.options.extranonce_subscribe {
                    self.lock().subscribed_extranonce = true;
                    self.send_line(accept_line(request.id()));
                } else {
                    self.refuse(world, request, RefusalCode::Other, "Not supported.");
                }
            }
            "mining.ping" => self.send_line(result_line(request.id(), "\"pong\"")),
            // A Bitaxe's way of answering a ping.
            "pong" => {}
            _ if method.starts_with("mining.suggest_difficulty") => self.suggest_difficulty(world, request),
            _ if world.options.opening == OpeningOrder::Ocean => {
                self.refuse(world, request, RefusalCode::MethodNotFound, "Method not found");
            }
            _ => self.refuse(world, request, RefusalCode::Other, "Not supported."),
        }
    }

    fn configure(&self, world: &SimPoolWorld, request: &Envelope<'_>) {
        let Some(mask) = world.options.version_mask else {
            return self.refuse(world, request, RefusalCode::Other, "Not supported.");
        };
        let asked = requested_version_mask(request.params);
        let granted = asked.map(|asked| asked.intersection(mask)).filter(|granted| !granted.is_empty());
        self.lock().version_mask = granted;
        let answer = result_line(request.id(), &configure_result(granted));
        match (world.options.opening, granted) {
            (OpeningOrder::Ocean, Some(granted)) => {
                self.send(Outgoing::after(answer, OCEAN_CONFIGURE));
                let line = format!(
                    "{{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"{granted}\"]}}\n"
                );
                self.send(Outgoing::after(line, OCEAN_VERSION_MASK));
            }
            _ => self.send_line(answer),
        }
    }

    fn subscribe(&self, world: &SimPoolWorld, request: &Envelope<'_>) {
        let mut state = self.lock();
        state.subscribed = true;
        world.stats.update(|stats| {
            stats.subscribed_ever += 1;
            keep(&mut stats.user_agents, first_text(request.params).unwrap_or_default());
        });
        let answer = SubscribeAnswer {
            extranonce1: state.extranonce1.clone(),
            extranonce2_size: world.options.extranonce2_size,
        };
        self.send_line(result_line(request.id(), &answer.result(&format!("{:08x}", self.id.0))));
        match world.options.opening {
            OpeningOrder::Ckpool => self.resend_difficulty(&mut state),
            OpeningOrder::CkpoolPooled | OpeningOrder::Ocean => {
                self.resend_difficulty(&mut state);
                self.send_job_locked(world, &mut state, true);
            }
            OpeningOrder::PublicPool | OpeningOrder::F2Pool => {}
        }
        // Some farm tools authorise before they subscribe; a job has to come from somewhere.
        if state.worker.is_some() && state.jobs.is_empty() {
            if !state.difficulty_sent {
                self.resend_difficulty(&mut state);
            }
            self.send_job_locked(world, &mut state, true);
        }
    }

    fn authorize(&self, world: &SimPoolWorld, request: &Envelope<'_>) {
        let mut state = self.lock();
        if world.misbehaviour().refuse_authorize {
            return self.refuse(world, request, RefusalCode::Unauthorized, "Invalid worker name");
        }
        let worker = first_text(request.params).unwrap_or_default();
        if state.workers.len() >= MAX_WORKERS {
            return self.refuse(world, request, RefusalCode::Unauthorized, "Too many workers");
        }
        world.stats.update(|stats| stats.authorized_ever += 1);
        state.workers.insert(worker.clone());
        let first = state.worker.is_none();
        state.worker.get_or_insert(worker);
        let answer = accept_line(request.id());
        if !first || !state.subscribed {
            return self.send_line(answer);
        }
        match world.options.opening {
            OpeningOrder::Ckpool => {
                self.send_job_locked(world, &mut state, true);
                self.resend_difficulty(&mut state);
                self.send_line(answer);
            }
            OpeningOrder::CkpoolPooled | OpeningOrder::Ocean => self.send_line(answer),
            OpeningOrder::PublicPool => {
                self.send_line(answer);
                if !state.difficulty_sent {
                    self.resend_difficulty(&mut state);
                }
                self.send_job_locked(world, &mut state, false);
            }
            OpeningOrder::F2Pool => {
                self.send_line(answer);
                self.resend_difficulty(&mut state);
                self.send_job_locked(world, &mut state, true);
            }
        }
    }

    fn suggest_difficulty(&self, world: &SimPoolWorld, request: &Envelope<'_>) {
        let mut state = self.lock();
        let order = world.options.opening;
        if order == OpeningOrder::Ocean {
            return self.refuse(world, request, RefusalCode::MethodNotFound, "Method not found");
        }
        // The form of the params is that of mining.set_difficulty.
        let suggested = Difficulty::from_params(request.params).ok();
        let followed = suggested.filter(|_| world.options.follow_suggested_difficulty);
        match followed {
            Some(new) if new != state.difficulty => {
                self.send_difficulty(&mut state, new);
                if !state.jobs.is_empty() {
                    self.send_job_locked(world, &mut state, false);
                }
            }
            // public-pool's only answer, once a connection.
            _ if order == OpeningOrder::PublicPool && !state.difficulty_sent => {
                self.resend_difficulty(&mut state)
            }
            _ => {}
        }
    }
}
