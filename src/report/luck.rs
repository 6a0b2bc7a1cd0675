//! The luck of the records: are the shares' difficulties those of honest hashes, and is the best one good?

use serde::Serialize;

use super::statistics::{best_at_least, chance_text, chi_square_at_least};
use super::tally::{LUCK_PARTS, ShareTally};
use crate::util::format::{grouped, short};

/// Shares that the test of the distribution needs: ten in each part.
const MIN_SHARES: u64 = 10 * LUCK_PARTS as u64;
/// Chance of the distribution below which honest hashes do not explain it.
pub(super) const ODD_LUCK: f64 = 1e-6;
/// Chances outside these are worth a word.
const RARE: f64 = 0.025;
/// Chances outside these are good or bad luck, and those within are ordinary.
const USUAL: f64 = 0.1;

/// The luck of all shares.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedLuck {
    /// The chance that this much work finds a best share at least as good. `null` without a share.
    pub best_chance: Option<f64>,
    /// The best share that this much work has on average (its median).
    pub best_expected: Option<f64>,
    /// The test of the shares' difficulties against the exponential law; `null` with too few shares.
    pub distribution: Option<LuckDistribution>,
    /// Blocks that this work finds on average, at the network's difficulty.
    pub blocks_expected: Option<f64>,
    /// The luck in plain words.
    pub text: Vec<String>,
}

/// The proven shares by the chance of their difficulty, in 20 equal parts.
#[derive(Debug, Clone, Serialize)]
pub struct LuckDistribution {
    pub shares: u64,
    pub parts: Vec<u64>,
    pub chi_square: f64,
    pub p_value: f64,
}

impl ReportedLuck {
    pub(super) fn of(all: &ShareTally) -> ReportedLuck {
        let work = all.proven_difficulty;
        let best = all.best.filter(|_| work > 0.0);
        let best_chance = best.map(|best| best_at_least(best.difficulty, work));
        let distribution = LuckDistribution::of(&all.luck);
        let blocks_expected =
            all.network_difficulty.filter(|network| *network > 0.0).map(|network| work / network);
        let mut text = Vec::new();
        if let (Some(best), Some(chance)) = (best, best_chance) {
            let word = if chance < RARE {
                "very good luck"
            } else if chance < USUAL {
                "good luck"
            } else if chance <= 1.0 - USUAL {
                "ordinary luck"
            } else if chance <= 1.0 - RARE {
                "bad luck"
            } else {
                "very bad luck"
            };
            text.push(format!(
                "The best share has difficulty {}. So much work finds one as good with a chance of {}: {word}.",
                short(best.difficulty),
                chance_text(chance)
            ));
        }
        text.push(match &distribution {
            None => format!(
                "Not enough data to test the shares' difficulties: {} of at least {MIN_SHARES} shares.",
                grouped(all.proven_shares)
            ),
            Some(found) if found.p_value < ODD_LUCK => format!(
                "The difficulties of {} shares do not follow the law of honest hashes (p = {:.1e}): some shares are \
                 missing, invented or counted twice.",
                grouped(found.shares),
                found.p_value
            ),
            Some(found) => format!(
                "The difficulties of {} shares are as chance makes them: honest hashes deviate at least so much with a \
                 chance of {}.",
                grouped(found.shares),
                chance_text(found.p_value)
            ),
        });
        let best_expected = (work > 0.0).then(|| work / std::f64::consts::LN_2);
        ReportedLuck { best_chance, best_expected, distribution, blocks_expected, text }
    }
}

impl LuckDistribution {
    fn of(parts: &[u64; LUCK_PARTS]) -> Option<LuckDistribution> {
        let shares: u64 = parts.iter().sum();
        if shares < MIN_SHARES {
            return None;
        }
        let expected = shares as f64 / LUCK_PARTS as f64;
        let chi_square: f64 = parts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
        let p_value = chi_square_at_least(chi_square, LUCK_PARTS as f64 - 1.0);
        Some(LuckDistribution { shares, parts: parts.to_vec(), chi_square, p_value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_distribution_is_honest_and_a_torn_one_is_not() {
        let mut parts = [100; LUCK_PARTS];
        parts[3] = 110;
        assert!(LuckDistribution::of(&parts).unwrap().p_value > 0.9);
        parts[0] = 20;
        assert!(LuckDistribution::of(&parts).unwrap().p_value < ODD_LUCK);
        assert!(LuckDistribution::of(&[5; LUCK_PARTS]).is_none());
    }
}
