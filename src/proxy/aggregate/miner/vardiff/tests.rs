use super::*;

mod simulation;

use simulation::Simulation;

/// Hashes behind difficulty 1, as every pool counts (wire reference, section 3.2).
const HASHES: f64 = 4_294_967_296.0;

/// The hashes per second for which `difficulty` is right with the default target.
fn hashes(difficulty: f64) -> f64 {
    difficulty * HASHES / 15.0
}

fn difficulty(value: f64) -> Difficulty {
    Difficulty::new(value).unwrap()
}

fn vardiff(start: f64, now: Instant) -> VardiffState {
    VardiffState::new(&config::VardiffConfig::default(), 1e-6, difficulty(start), now)
}

#[test]
fn every_miner_is_near_its_right_difficulty_after_three_retargets() {
    let (mut runs, mut near) = (0, 0);
    for start in [1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6] {
        for right in [1e-4, 1.3e-3, 0.02, 0.7, 12.0, 150.0, 2.2e3, 4.1e4, 1e6] {
            let mut run = Simulation::new(start, hashes(right), 7 + runs);
            run.hours(8.0);
            runs += 1;
            near += u64::from(run.steps_until_near <= 3);
            let [down, up] = [run.eased, run.steps - run.eased];
            assert!(down <= 5 && up <= 6, "{start} {right}: {down} {up}");
        }
    }
    assert!(near * 100 >= runs * 96, "{near} of {runs}");
}

#[test]
fn a_miner_at_its_right_difficulty_is_left_alone() {
    let (mut steps, mut near) = (0, 0);
    for seed in 0..10 {
        let mut run = Simulation::new(0.0014, hashes(0.0014), 100 + seed);
        for _ in 0..100 {
            run.hours(1.0);
            near += u32::from((0.8..=1.2).contains(&run.off()));
        }
        assert!((run.shares as f64 / 24_000.0 - 1.0).abs() < 0.2, "{}", run.shares);
        steps += run.steps;
    }
    assert!(steps <= 50 && near >= 980, "{steps} in 1000 hours, {near} of them near");
}

#[test]
fn a_nerdminer_with_two_shares_a_minute_gets_four() {
    for seed in 0..5 {
        let mut run = Simulation::new(0.002, hashes(0.001), seed);
        run.hours(24.0);
        assert!((0.8..=1.2).contains(&run.off()) && run.steps <= 5, "{} {}", run.off(), run.steps);
    }
}

#[test]
fn a_flood_ends_within_some_hundred_shares() {
    let mut run = Simulation::new(0.001, 1e12, 3);
    run.hours(0.01);
    assert!((0.8..=1.2).contains(&run.off()) && run.steps == 2, "{} {}", run.off(), run.steps);
    assert!(run.shares <= 530, "{}", run.shares);
    // It is urgent, and stays so until it is sent.
    let now = Instant::now();
    let mut vardiff = vardiff(0.001, now);
    let shares = (1..=2000).map(|share| now + share * Duration::from_micros(4));
    let wanted: Vec<_> = shares.filter_map(|at| vardiff.share(difficulty(0.001), at)).collect();
    assert!(wanted.len() > 100 && wanted.iter().all(|wanted| wanted.urgent));
    assert!(wanted.iter().all(|wanted| wanted.difficulty.value() >= 3.84), "{:?}", wanted[0]);
}

#[test]
fn late_shares_of_a_flood_count_for_their_own_work() {
    let now = Instant::now();
    let mut vardiff = vardiff(0.001, now);
    vardiff.sent(difficulty(3500.0), now);
    for share in 0..200_000_u32 {
        let at = now + share * Duration::from_micros(4);
        assert_eq!(vardiff.share(difficulty(0.001), at), None);
    }
    // A share of a difficulty that was far too high does not count for more either.
    vardiff.sent(difficulty(0.01), now + Duration::from_secs(2));
    for _ in 0..20 {
        assert_eq!(vardiff.share(difficulty(3500.0), now + Duration::from_secs(30)), None);
    }
}

#[test]
fn a_silent_miner_is_eased_by_powers_down_to_its_floor() {
    let now = Instant::now();
    let mut vardiff = VardiffState::new(&config::VardiffConfig::default(), 1.0, difficulty(1e6), now);
    let (mut sent, mut last) = (Vec::new(), 0);
    for second in 1..4000 {
        let at = now + Duration::from_secs(second);
        if let Some(wanted) = vardiff.tick(at) {
            assert!(!wanted.urgent && wanted.difficulty < vardiff.difficulty() && second - last >= 100);
            vardiff.sent(wanted.difficulty, at);
            sent.push(wanted.difficulty.value());
            last = second;
        }
    }
    assert_eq!(sent, [62_500.0, 15.0, 1.0]);
    assert_eq!(vardiff.work, 0.0);
    assert!(vardiff.silence() > Duration::from_secs(3000));
    // Now fractions are allowed after all.
    vardiff.lower_floor(0.001);
    let wanted = vardiff.tick(now + Duration::from_secs(4000)).unwrap();
    assert_eq!(wanted.difficulty.value(), 0.001);
}

#[test]
fn a_miner_that_falls_silent_is_never_raised() {
    let now = Instant::now();
    let mut vardiff = vardiff(1.0, now);
    let mut wanted = false;
    for share in 1..=600_u32 {
        wanted |= vardiff.share(Difficulty::ONE, now + share * Duration::from_millis(500)).is_some();
    }
    // The retarget was due and has not been sent.
    assert!(wanted);
    let silent = now + Duration::from_secs(300);
    for second in 5..100_000 {
        if let Some(wanted) = vardiff.tick(silent + Duration::from_secs(second)) {
            assert!(wanted.difficulty < vardiff.difficulty(), "{second} {wanted:?}");
            vardiff.sent(wanted.difficulty, silent + Duration::from_secs(second));
        }
    }
    assert_eq!(vardiff.difficulty().value(), 1e-6);
}

#[test]
fn a_burst_of_kept_shares_is_no_hash_rate() {
    for burst in [8, 30, 120, 200] {
        // At the beginning, and in the midst.
        for hours in [0.0, 1.9] {
            let mut run = Simulation::new(10.0, hashes(10.0), 5);
            run.hours(hours);
            for _ in 0..burst {
                let wanted = run.vardiff.share(difficulty(10.0), run.at());
                run.send(wanted);
            }
            run.hours(5.0);
            assert!(run.furthest <= 0.25, "{burst} {hours}: {}", run.furthest);
        }
    }
}

#[test]
fn far_too_many_shares_are_not_waited_for() {
    for (factor, seconds) in [(4.5, 200.0), (10.0, 100.0), (100.0, 60.0)] {
        for seed in 0..20 {
            let mut run = Simulation::new(1.0, hashes(factor), 300 + seed);
            run.hours(seconds / 3600.0);
            assert!((0.5..=2.0).contains(&run.off()) && run.steps == 1, "{factor} {}", run.off());
            run.hours(4.0);
            assert!((0.8..=1.25).contains(&run.off()) && run.steps <= 4, "{factor} {}", run.off());
        }
    }
}

#[test]
fn a_miner_that_changes_its_rate_is_followed() {
    for factor in [2.0, 0.5, 10.0, 0.1, 1000.0] {
        let mut run = Simulation::new(500.0, hashes(500.0), 11);
        run.hours(8.0);
        let before = run.steps;
        run.rate *= factor;
        run.hours(1.5);
        assert!((0.8..=1.2).contains(&run.off()), "{factor}: {}", run.off());
        assert!(run.steps - before <= 3, "{factor}: {}", run.steps - before);
    }
}

#[test]
fn the_cap_holds_at_once_and_frees_the_miner_when_it_rises() {
    let now = Instant::now();
    let mut vardiff = vardiff(1000.0, now);
    assert_eq!(vardiff.cap(difficulty(16_383.75), now), None);
    let fall = vardiff.cap(difficulty(100.75), now).unwrap();
    assert_eq!((fall.difficulty.value(), fall.urgent), (100.75, true));
    // It stays wanted until it is sent.
    assert_eq!(vardiff.tick(now), Some(fall));
    vardiff.sent(fall.difficulty, now);
    assert_eq!(vardiff.tick(now), None);
    let rise = vardiff.cap(difficulty(400.0), now).unwrap();
    assert_eq!((rise.difficulty.value(), rise.urgent), (400.0, false));
    vardiff.sent(rise.difficulty, now);
    let rise = vardiff.cap(difficulty(1e9), now).unwrap();
    assert_eq!(rise.difficulty.value(), 1000.0);
    // Below the floor and the configured minimum the pool's difficulty counts.
    let mut vardiff = VardiffState::new(&config::VardiffConfig::default(), 1.0, difficulty(5.0), now);
    assert_eq!(vardiff.cap(difficulty(0.5), now).unwrap().difficulty.value(), 0.5);
}

#[test]
fn what_a_miner_shows_under_the_cap_counts_when_it_rises() {
    let mut run = Simulation::new(10.0, hashes(1000.0), 2);
    let at = run.at();
    let fall = run.vardiff.cap(difficulty(10.0), at);
    assert_eq!(fall, None);
    run.hours(2.0);
    assert_eq!((run.vardiff.difficulty().value(), run.steps), (10.0, 0));
    let at = run.at();
    let rise = run.vardiff.cap(difficulty(1e6), at);
    run.send(rise);
    assert!((0.8..=1.2).contains(&run.off()), "{}", run.off());
}

#[test]
fn without_vardiff_the_difficulty_is_the_pools() {
    let settings = config::VardiffConfig { enabled: false, ..config::VardiffConfig::default() };
    let now = Instant::now();
    let mut vardiff = VardiffState::new(&settings, 1.0, difficulty(3.0), now);
    assert_eq!(vardiff.tick(now), None);
    for pools in [0.000_123_456_7, 16_383.75, 1e13] {
        let wanted = vardiff.cap(difficulty(pools), now).unwrap();
        assert_eq!(wanted.difficulty.value(), pools);
        vardiff.sent(wanted.difficulty, now);
        for share in 0..1000_u32 {
            assert_eq!(vardiff.share(difficulty(pools), now + share * Duration::from_millis(1)), None);
        }
        assert_eq!(vardiff.tick(now + Duration::from_secs(100_000)), None);
    }
}

#[test]
fn nothing_leaves_the_bounds_and_no_clock_breaks_it() {
    let settings = config::VardiffConfig { min: 0.01, max: 50.0, ..config::VardiffConfig::default() };
    for right in [1e-4, 3.0, 1e5] {
        let mut run = Simulation::new(1.0, hashes(right), 9);
        run.vardiff = VardiffState::new(&settings, 0.02, difficulty(1.0), run.at());
        for _ in 0..100 {
            run.hours(0.02);
            assert!((0.02..=50.0).contains(&run.vardiff.difficulty().value()));
        }
    }
    // The same instant for all, and one before all.
    let now = Instant::now() + Duration::from_secs(60);
    let mut vardiff = vardiff(1.0, now);
    for _ in 0..100_000 {
        assert_eq!(vardiff.share(Difficulty::ONE, now), None);
        assert_eq!(vardiff.share(Difficulty::ONE, now - Duration::from_secs(50)), None);
    }
    assert!(vardiff.difficulty().value().is_finite());
    let settings = config::VardiffConfig { target: Duration::ZERO, min: f64::NAN, max: 0.0, enabled: true };
    let mut vardiff = VardiffState::new(&settings, f64::NAN, difficulty(1.0), now);
    vardiff.share(difficulty(1e300), now);
    vardiff.tick(now + Duration::from_secs(1));
    assert!(vardiff.difficulty().value().is_finite());
}

#[test]
fn difficulties_are_written_with_three_digits() {
    for (value, written) in [(0.001_418_372_6, "0.00142"), (3492.4, "3490"), (1e-6, "0.000001")] {
        assert_eq!(difficulty(rounded(value)).to_string(), written);
    }
    // A miner that knows no fractions gets none.
    let now = Instant::now();
    let vardiff = VardiffState::new(&config::VardiffConfig::default(), 1.0, difficulty(14.2), now);
    assert_eq!(vardiff.difficulty().value(), 14.0);
}
