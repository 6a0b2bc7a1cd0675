//! `payout.*`: would a block pay the miner, and does the pool pay the same others as before?

use serde_json::{Value, json};

use super::super::verdicts::{PayoutState, Unverifiable};
use super::{AlertContext, AlertType, SessionSample, seconds_between};
use crate::analyzer::job_verdict::OutputView;
use crate::analyzer::session_event::JobSeen;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::stratum::{PrevHash, ReadingAgreement};
use crate::work::parent_hash;

const MISMATCH: AlertType = ("payout.mismatch", Severity::High);
const SHORT: AlertType = ("payout.short", Severity::High);
const UNVERIFIABLE: AlertType = ("payout.unverifiable", Severity::Info);
const CHANGED: AlertType = ("payout.changed", Severity::Medium);

/// The time, jobs and blocks after which the payees of a pool are settled and a change is reported. Pools that share
/// a block out change the payees with each job, and some use a fresh fee address for each block. Their payees never
/// settle.
const SETTLED_SECONDS: f64 = 1800.0;
const SETTLED_JOBS: u32 = 20;
const SETTLED_BLOCKS: u32 = 3;
/// The number of jobs after which settled payees are saved again.
const SAVE_EVERY_JOBS: u32 = 256;
/// Caps the remembered payees. The ones that were seen longest ago are dropped.
const MAX_USUAL_PAYEES: usize = 64;

#[derive(Debug, Default)]
pub(in super::super) struct PayoutRules {
    usual_payees: Vec<UsualPayees>,
}

/// The payees of a pool's jobs besides the miner, for one address. Some pools take a fee from large miners only.
#[derive(Debug)]
struct UsualPayees {
    upstream: Option<usize>,
    address: String,
    payees: String,
    since: NtpTime,
    seen: NtpTime,
    jobs: u32,
    blocks: u32,
    prevhash: PrevHash,
    /// The payees have settled, in this run or an earlier one.
    is_settled: bool,
}

impl PayoutRules {
    pub(super) fn job(&mut self, job: &JobSeen, context: &mut AlertContext<'_>) {
        let upstream = context.upstream(job.upstream);
        check_verdict(job, upstream, context);
        self.check_payees(job, upstream, context);
    }

    /// Handles a job whose excuse has ended.
    pub(in super::super) fn rejudged(&mut self, job: &JobSeen, context: &mut AlertContext<'_>) {
        check_verdict(job, context.upstream(job.upstream), context);
    }

    /// Keeps alerts open while a miner works on a job that shows the state, and resolves the others.
    pub(super) fn tick(&self, sessions: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        for id in [MISMATCH.0, SHORT.0, UNVERIFIABLE.0] {
            // The alerts that no session shows.
            let mut open = context.alerts.open_subjects(id);
            for sample in sessions {
                if open.is_empty() {
                    break;
                }
                let upstream = context.upstream(sample.upstream);
                let shown = open.iter().position(|subject| shows(sample, id, upstream, subject));
                if let Some(subject) = shown.map(|index| open.swap_remove(index)) {
                    context.keep_open(id, &subject);
                }
            }
            open.iter().for_each(|subject| context.resolve(id, subject));
        }
    }

    fn check_payees(&mut self, job: &JobSeen, upstream: &str, context: &mut AlertContext<'_>) {
        // A job without an expected address says nothing: the miner is unknown, or payouts are pooled.
        let (Some(payees), Some(expected)) = (&job.payees, &job.payout.expected) else { return };
        if job.early || job.agreement != ReadingAgreement::All {
            return;
        }
        let (address, at) = (&expected.address, context.at);
        let usual = self.usual(job, address, payees, upstream, context);
        usual.seen = at;
        if usual.payees != *payees {
            let before = std::mem::replace(usual, UsualPayees::new(job, address, payees, at));
            if before.is_settled {
                context.report(CHANGED, upstream, || {
                    let UsualPayees { address, payees: usual, since, .. } = before;
                    let since = since.to_string();
                    let change =
                        json!({ "address": address, "before": usual, "now": payees, "since": since });
                    let description =
                        format!("{upstream}: the pool's blocks would pay other addresses than before");
                    (description, job_evidence(job, change))
                });
            }
            return;
        }
        usual.jobs = usual.jobs.saturating_add(1);
        if usual.prevhash != job.prevhash {
            (usual.prevhash, usual.blocks) = (job.prevhash, usual.blocks.saturating_add(1));
        }
        if !usual.is_settled && usual.has_settled(at) {
            (usual.is_settled, usual.jobs) = (true, 0);
        }
        if usual.is_settled && usual.jobs % SAVE_EVERY_JOBS == 0 {
            let fingerprint = json!({ "payees": payees, "since": usual.since.to_string() });
            context.save_fingerprint(&subject(upstream, address), fingerprint);
        }
    }

    /// The payees that this pool's jobs had so far for this address. The job's own at first, if none are saved.
    fn usual(
        &mut self,
        job: &JobSeen,
        address: &str,
        payees: &str,
        upstream: &str,
        context: &AlertContext<'_>,
    ) -> &mut UsualPayees {
        let is_this = |usual: &UsualPayees| usual.upstream == job.upstream && usual.address == *address;
        let known = self.usual_payees.iter().position(is_this);
        let index = known.unwrap_or_else(|| {
            let mut usual = UsualPayees::new(job, address, payees, context.at);
            let saved = context.state.fingerprint(&subject(upstream, address));
            if let Some(saved) = saved.and_then(|saved| saved["payees"].as_str()) {
                (usual.payees, usual.is_settled) = (saved.to_owned(), true);
            }
            self.make_room();
            self.usual_payees.push(usual);
            self.usual_payees.len() - 1
        });
        &mut self.usual_payees[index]
    }

    fn make_room(&mut self) {
        if self.usual_payees.len() < MAX_USUAL_PAYEES {
            return;
        }
        let oldest = self.usual_payees.iter().enumerate().min_by_key(|(_, usual)| usual.seen);
        if let Some((index, _)) = oldest {
            self.usual_payees.swap_remove(index);
        }
    }
}

impl UsualPayees {
    fn new(job: &JobSeen, address: &str, payees: &str, at: NtpTime) -> UsualPayees {
        UsualPayees {
            upstream: job.upstream,
            address: address.to_owned(),
            payees: payees.to_owned(),
            since: at,
            seen: at,
            jobs: 1,
            blocks: 1,
            prevhash: job.prevhash,
            is_settled: false,
        }
    }

    fn has_settled(&self, at: NtpTime) -> bool {
        self.jobs >= SETTLED_JOBS
            && self.blocks >= SETTLED_BLOCKS
            && seconds_between(self.since, at) >= SETTLED_SECONDS
    }
}

/// Returns whether a session's work shows the state of this rule about `subject`.
fn shows(sample: &SessionSample<'_>, id: &str, upstream: &str, subject: &str) -> bool {
    let Some((state, address)) = sample.payout else { return false };
    let about = subject.strip_prefix(upstream);
    let is_about_money =
        || about.and_then(|rest| rest.strip_prefix(' ')) == Some(address.unwrap_or_default());
    match state {
        PayoutState::Mismatch => id == MISMATCH.0 && is_about_money(),
        PayoutState::Short => id == SHORT.0 && is_about_money(),
        PayoutState::Unverifiable(Unverifiable::NoAddress | Unverifiable::Unreadable) => {
            id == UNVERIFIABLE.0 && about == Some("")
        }
        PayoutState::Unverifiable(_) | PayoutState::Verified => false,
    }
}

/// The subject of alerts about an address, and the key of its saved payees.
fn subject(upstream: &str, address: &str) -> String {
    format!("{upstream} {address}")
}

fn check_verdict(job: &JobSeen, upstream: &str, context: &mut AlertContext<'_>) {
    let verdict = &job.payout;
    let address = verdict.expected.as_ref().map_or("", |expected| &expected.address);
    if job.early && matches!(verdict.state, PayoutState::Short | PayoutState::Mismatch) {
        return;
    }
    let is_good = verdict.state == PayoutState::Verified;
    if is_good && !context.alerts.is_open(MISMATCH.0) && !context.alerts.is_open(SHORT.0) {
        return;
    }
    let about_money = subject(upstream, address);
    // An unverifiable job resolves nothing: another miner's name proves nothing about this address. A job that
    // some miners ignore does not replace the one before it.
    if !matches!(verdict.state, PayoutState::Unverifiable(_)) && job.agreement == ReadingAgreement::All {
        if verdict.state != PayoutState::Mismatch {
            context.resolve(MISMATCH.0, &about_money);
        }
        if verdict.state != PayoutState::Short {
            context.resolve(SHORT.0, &about_money);
        }
    }
    match verdict.state {
        PayoutState::Verified
        | PayoutState::Unverifiable(Unverifiable::NoWorker | Unverifiable::Pooled | Unverifiable::Doubt(_)) =>
            {}
        PayoutState::Mismatch => context.raise(MISMATCH, &about_money, || {
            let description =
                format!("{upstream}: a block would pay nothing to {address}{}", waste_suffix(job));
            (description, money_evidence(job, address))
        }),
        PayoutState::Short => context.raise(SHORT, &about_money, || {
            let percent = verdict.percent;
            (
                format!("{upstream}: a block would pay {address} only {percent:.2} %{}", waste_suffix(job)),
                money_evidence(job, address),
            )
        }),
        PayoutState::Unverifiable(why) => context.raise(UNVERIFIABLE, upstream, || {
            let evidence = job_evidence(job, json!({ "worker": job.worker }));
            let whose = if job.worker.is_empty() { String::new() } else { format!(" for {:?}", job.worker) };
            (format!("{upstream}: nobody can tell whom a block would pay{whose}: {why}"), evidence)
        }),
    }
}

/// The end of a description if the job throws away a part of the reward.
fn waste_suffix(job: &JobSeen) -> String {
    job.payout.waste().map_or_else(String::new, |waste| format!("; {waste}"))
}

fn money_evidence(job: &JobSeen, address: &str) -> Value {
    let output = |output: &OutputView| {
        let OutputView { address, kind, value, percent, .. } = output;
        json!({ "address": address, "kind": kind, "sats": value.0, "percent": percent })
    };
    let money = json!({
        "expected": address,
        "percent": job.payout.percent,
        "total_sats": job.payout.total.0,
        "reward_sats": job.payout.reward.0,
        "wasted_sats": job.payout.waste().map_or(0, |waste| waste.lost.0),
        "outputs": job.outputs.iter().map(output).collect::<Value>(),
    });
    job_evidence(job, money)
}

/// Adds to an object of evidence what identifies a job.
pub(super) fn job_evidence(job: &JobSeen, mut evidence: Value) -> Value {
    evidence["job_id"] = json!(job.job_id.as_str());
    evidence["height"] = json!(job.height.map(|height| height.0));
    evidence["nbits"] = json!(job.nbits.to_string());
    evidence["prevhash"] = json!(parent_hash(&job.prevhash).to_string());
    evidence["session"] = json!(job.session.0);
    evidence
}
