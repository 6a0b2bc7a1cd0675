//! `pool.stats_mismatch`: do the pool's statistics credit the accepted work?

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;

use super::super::share::JudgedShare;
use super::{AlertContext, AlertType, number};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::pool_stats::{AcceptedWork, CreditVerdict, PoolFigures, compare};
use crate::record::ShareOutcome;
use crate::work::account_of_worker;

const STATS_MISMATCH: AlertType = ("pool.stats_mismatch", Severity::Medium);

/// The figures are those of the first pool of the list.
const FIRST_UPSTREAM: Option<usize> = Some(0);
/// The time that a comparison covers. A slow miner needs a day to prove anything.
const WINDOW_SECONDS: i64 = 25 * 3600;
/// The time between the earlier figures that are kept for comparison.
const FIGURES_APART_SECONDS: i64 = 1800;

/// The pool's figures for the account, and the verdict on them.
#[derive(Debug, Clone)]
pub struct CreditView {
    pub figures: Arc<PoolFigures>,
    pub verdict: CreditVerdict,
}

/// The accepted work, and the pool's figures.
#[derive(Debug)]
pub(in super::super) struct CreditRule {
    /// The address whose shares count. `None`: all shares.
    pub(super) address: Option<String>,
    /// The time since which all shares are known. `None` before the first tick.
    since: Option<NtpTime>,
    /// The work of each second, the oldest first.
    shares: VecDeque<(NtpTime, f64)>,
    /// Earlier figures, the oldest first.
    earlier: VecDeque<Arc<PoolFigures>>,
    /// The newest figures with their verdict.
    pub(in super::super) newest: Option<CreditView>,
}

impl CreditRule {
    /// The rule for the account of this address.
    pub(super) fn new(address: Option<String>) -> CreditRule {
        let (shares, earlier) = (VecDeque::new(), VecDeque::new());
        CreditRule { address, since: None, shares, earlier, newest: None }
    }

    pub(super) fn share(&mut self, judged: &JudgedShare, at: NtpTime) {
        let Some(proven) = judged.share.proven() else { return };
        let is_credited = judged.outcome == ShareOutcome::Accepted && judged.upstream == FIRST_UPSTREAM;
        if !is_credited || !self.is_of_account(&judged.share.worker) {
            return;
        }
        // The work of one second counts as one share, which makes the proof weaker, never stronger.
        match self.shares.back_mut() {
            Some((second, work)) if second.unix_seconds() == at.unix_seconds() => *work += proven.value(),
            // Verdicts come late. A share that is out of order is only dated a little later.
            Some((newest, _)) if *newest > at => {
                let newest = *newest;
                self.shares.push_back((newest, proven.value()));
            }
            _ => self.shares.push_back((at, proven.value())),
        }
    }

    pub(super) fn tick(&mut self, now: NtpTime) {
        self.since.get_or_insert(now);
        let is_old = |at: NtpTime| now.unix_seconds() - at.unix_seconds() > WINDOW_SECONDS;
        while self.shares.len() > WINDOW_SECONDS as usize
            || self.shares.front().is_some_and(|(at, _)| is_old(*at))
        {
            if let Some((at, _)) = self.shares.pop_front() {
                self.since = self.since.max(Some(at));
            }
        }
        while self.earlier.front().is_some_and(|figures| is_old(figures.at)) {
            self.earlier.pop_front();
        }
    }

    pub(in super::super) fn pool_figures(
        &mut self,
        figures: &Arc<PoolFigures>,
        context: &mut AlertContext<'_>,
    ) {
        let since = *self.since.get_or_insert(figures.at);
        let verdict = self.judge(figures, since);
        let (subject, at) = (context.upstream(FIRST_UPSTREAM), figures.at);
        match &verdict {
            CreditVerdict::CreditsLess { credited, proven, probability } => {
                context.raise(STATS_MISMATCH, subject, || {
                    let description = format!(
                        "{subject}: the pool's statistics credit {} of the {} that the shares have proven ({:.0} %)",
                        number(*credited),
                        number(*proven),
                        credited / proven * 100.0
                    );
                    (description, json!({ "credited": credited, "proven": proven, "probability": probability }))
                });
            }
            CreditVerdict::Agrees => context.resolve(STATS_MISMATCH.0, subject),
            CreditVerdict::Unknown => {}
        }
        let is_apart =
            |last: &Arc<PoolFigures>| at.unix_seconds() - last.at.unix_seconds() >= FIGURES_APART_SECONDS;
        if figures.accepted_difficulty_total.is_some() && self.earlier.back().is_none_or(is_apart) {
            self.earlier.push_back(figures.clone());
        }
        self.newest = Some(CreditView { figures: figures.clone(), verdict });
    }

    /// The worst verdict over the last half hour, hour, two hours and so on, and by the hash rate. A pool that has
    /// just begun to withhold credit was honest before.
    fn judge(&mut self, figures: &PoolFigures, since: NtpTime) -> CreditVerdict {
        let accepted = AcceptedWork { since, shares: self.shares.make_contiguous() };
        let doubling = self.earlier.iter().rev().zip(1_usize..).filter(|(_, n)| n.is_power_of_two());
        let before = doubling.map(|(before, _)| Some(&**before)).chain([None]);
        let verdicts = before.map(|before| compare(&accepted, figures, before));
        verdicts.max_by_key(rank).unwrap_or(CreditVerdict::Unknown)
    }

    /// Returns whether a worker belongs to the account. Pools ignore the part of the name after a dot.
    fn is_of_account(&self, worker: &str) -> bool {
        let Some(address) = &self.address else { return true };
        account_of_worker(worker).eq_ignore_ascii_case(address)
    }
}

fn rank(verdict: &CreditVerdict) -> u8 {
    match verdict {
        CreditVerdict::Unknown => 0,
        CreditVerdict::Agrees => 1,
        CreditVerdict::CreditsLess { .. } => 2,
    }
}
