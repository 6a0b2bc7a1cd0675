//! The vertical scale.

/// Caps a scale. Twice this value is still finite.
const MAX_TOP: f64 = 1e300;

/// A scale from zero to a round value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    /// 1, 2 or 5 times a power of ten, so that it rarely changes.
    pub top: f64,
    /// Round values from zero to the top.
    pub lines: Vec<f64>,
}

impl Scale {
    /// A scale with room for `highest`. If that is zero, the scale has only the line at zero.
    pub(super) fn over(highest: f64) -> Scale {
        let is_something = highest > 0.0 && !highest.is_nan();
        if !is_something {
            return Scale { top: 1.0, lines: vec![0.0] };
        }
        let highest = highest.clamp(1.0 / MAX_TOP, MAX_TOP);
        let power = highest.log10().floor() as i32;
        // The logarithm may be slightly off in either direction.
        let tops = (power - 1..=power + 1)
            .flat_map(|power| [(1, 5), (2, 4), (5, 5)].map(|(digit, parts)| (digit, power, parts)));
        let fitting = tops.map(|(digit, power, parts)| (round(digit, power), parts));
        let (top, parts) = fitting.into_iter().find(|(top, _)| *top >= highest).unwrap_or((MAX_TOP, 5));
        let below = (0..parts).map(|part| top * f64::from(part) / f64::from(parts));
        Scale { top, lines: below.chain([top]).collect() }
    }
}

/// `digit` times ten to the `power`, with the precision of a literal.
fn round(digit: i32, power: i32) -> f64 {
    let factor = 10_f64.powi(power.abs());
    if power < 0 { f64::from(digit) / factor } else { f64::from(digit) * factor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_rounded_up_to_1_2_or_5() {
        let cases =
            [(1.0, 1.0), (1.01, 2.0), (2.0, 2.0), (2.1, 5.0), (5.5, 10.0), (99.0, 100.0), (1.25e6, 2e6)];
        for (highest, top) in cases.into_iter().chain([(0.3, 0.5), (0.06, 0.1), (1e-9, 1e-9), (3e21, 5e21)]) {
            assert_eq!(Scale::over(highest).top, top, "{highest}");
        }
        assert_eq!(Scale::over(1.9e6).lines, [0.0, 5e5, 1e6, 1.5e6, 2e6]);
        assert_eq!(Scale::over(4.0).lines, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(Scale::over(0.0), Scale { top: 1.0, lines: vec![0.0] });
    }

    #[test]
    fn every_power_of_ten_is_its_own_top() {
        for power in -250..250 {
            let value = round(1, power);
            let scale = Scale::over(value);
            assert!(scale.top >= value && scale.top < value * 2.1, "{value}: {}", scale.top);
            assert_eq!(scale.lines.last(), Some(&scale.top));
        }
    }

    #[test]
    fn hostile_values_have_a_scale() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, -1.0, 5e-324] {
            let scale = Scale::over(value);
            assert!(scale.top.is_finite() && scale.top > 0.0, "{value}: {scale:?}");
        }
    }
}
