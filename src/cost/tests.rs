//! Lines found by hand, noise, changes, and runs that say nothing.

use super::*;
use proptest::prelude::*;

const MICROSECOND: f64 = 1000.0;

fn microseconds(time: f64) -> Duration {
    Duration::from_nanos((time * MICROSECOND) as u64)
}

fn learner() -> (Arc<Cost>, Learner) {
    let cost = Arc::new(Cost::default());
    (cost.clone(), Learner::new(cost))
}

/// What has been learned from these runs of (rows, microseconds), in microseconds.
fn learned(runs: &[(usize, f64)]) -> (f64, f64) {
    let (cost, mut learner) = learner();
    for &(rows, time) in runs {
        learner.observe(rows, microseconds(time));
    }
    let (a, b) = cost.known().expect("there was a run");
    (a / MICROSECOND, b / MICROSECOND)
}

fn is_near(found: f64, expected: f64, share: f64) -> bool {
    (found - expected).abs() <= share * expected.abs() + 1e-3
}

#[test]
fn nothing_is_known_before_the_first_run() {
    let cost = Cost::default();
    assert_eq!(cost.known(), None);
    assert_eq!(cost.predict(7), None);
    assert_eq!(cost.rows_within(Duration::MAX), 0);
}

#[test]
fn one_run_is_taken_to_cost_by_the_row() {
    assert_eq!(learned(&[(4, 100.0)]), (0.0, 25.0));
}

#[test]
fn two_sizes_make_a_line() {
    // 10 + 2·1 = 12 and 10 + 2·65 = 140.
    let (a, b) = learned(&[(1, 12.0), (65, 140.0)]);
    assert!(is_near(a, 10.0, 0.05) && is_near(b, 2.0, 0.01), "{a} + {b}·rows");
}

#[test]
fn a_line_is_read_both_ways() {
    let cost = Cost::default();
    cost.publish((10_000.0, 2_000.0));
    assert_eq!(cost.predict(0), Some(Duration::from_micros(10)));
    assert_eq!(cost.predict(100), Some(Duration::from_micros(210)));
    assert_eq!(cost.rows_within(Duration::from_micros(210)), 100);
    assert_eq!(cost.rows_within(Duration::from_nanos(211_999)), 100);
    assert_eq!(cost.rows_within(Duration::from_micros(10)), 0);
    assert_eq!(cost.rows_within(Duration::from_micros(9)), 0);
    cost.publish((10_000.0, 0.0));
    assert_eq!(cost.rows_within(Duration::from_micros(10)), usize::MAX, "more rows cost no more");
    assert_eq!(cost.rows_within(Duration::from_micros(9)), 0);
}

#[test]
fn runs_of_one_size_change_the_fixed_part_alone() {
    let cost = Arc::new(Cost::default());
    cost.publish((10_000.0, 2_000.0));
    let mut learner = Learner::new(cost.clone());
    for _ in 0..1000 {
        learner.observe(16, microseconds(52.0));
    }
    // Ten microseconds more than 10 + 2·16.
    let (a, b) = cost.known().expect("there were runs");
    assert!(is_near(a, 20_000.0, 1e-6) && is_near(b, 2_000.0, 1e-6), "{a} + {b}·rows");
}

#[test]
fn runs_that_took_no_time_can_become_dearer() {
    let mut runs = vec![(8, 0.0); 10];
    runs.extend([(8, 100.0); 1000]);
    let (a, b) = learned(&runs);
    assert!(is_near(a + 8.0 * b, 100.0, 0.01), "{a} + {b}·8");
}

#[test]
fn neither_part_is_below_zero() {
    // The line through these is 30 - 1·rows; the mean is 20.
    let (a, b) = learned(&[(5, 25.0), (15, 15.0)]);
    assert!(is_near(a, 20.0, 0.01) && b == 0.0, "{a} + {b}·rows");
    // The line through these is -10 + 2·rows; the nearest one through the origin has (10·10 + 20·30) / (10² + 20²).
    let (a, b) = learned(&[(10, 10.0), (20, 30.0)]);
    assert!(a == 0.0 && is_near(b, 1.4, 0.01), "{a} + {b}·rows");
}

#[test]
fn a_run_that_was_interrupted_counts_as_eight_times_what_was_expected() {
    let (cost, mut learner) = learner();
    for _ in 0..1000 {
        learner.observe(1, microseconds(100.0));
    }
    learner.observe(1, Duration::from_hours(1));
    // A hundredth of the weight: 100 + (800 - 100) / 100.
    let after = cost.predict(1).expect("it is known").as_secs_f64() * 1e6;
    assert!(is_near(after, 107.0, 0.001), "{after}");
}

#[test]
fn a_model_that_becomes_three_times_slower_is_noticed_within_200_runs() {
    for rows in [|_| 1, |_| 64, |run: usize| 1 + run * 37 % 64] {
        let mut runs: Vec<_> = (0..1000).map(|run| (rows(run), 50.0 + 3.0 * rows(run) as f64)).collect();
        runs.extend((0..200).map(|run| (rows(run), 3.0 * (50.0 + 3.0 * rows(run) as f64))));
        let (a, b) = learned(&runs);
        let (found, expected) = (a + b * rows(0) as f64, 3.0 * (50.0 + 3.0 * rows(0) as f64));
        assert!(is_near(found, expected, 0.15), "{found} for {expected}");
    }
}

#[test]
fn what_one_thread_has_learned_of_a_row_another_one_keeps() {
    let cost = Arc::new(Cost::default());
    let (mut one, mut other) = (Learner::new(cost.clone()), Learner::new(cost.clone()));
    for (rows, time) in [(1, 12.0), (65, 140.0)] {
        one.observe(rows, microseconds(time));
    }
    other.observe(33, microseconds(76.0));
    let predicted = cost.predict(65).expect("it is known").as_secs_f64() * 1e6;
    assert!(is_near(predicted, 140.0, 0.02), "{predicted}");
}

/// What a cost settles to after runs of 1 to 64 rows whose times are off by up to `noise`, in either direction.
fn settled(a: f64, b: f64, noise: f64, seed: u64) -> (f64, f64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let runs: Vec<_> = (0..1000)
        .map(|_| {
            let rows = random.usize(1..=64);
            (rows, (a + b * rows as f64) * (1.0 + noise * (2.0 * random.f64() - 1.0)))
        })
        .collect();
    learned(&runs)
}

proptest! {
    #[test]
    fn noisy_runs_show_their_line(a in 1.0..1000.0_f64, b in 0.1..100.0_f64, seed: u64) {
        // Ten percent of noise in a hundred runs that count: a few percent in what the line says of common sizes.
        let (found_a, found_b) = settled(a, b, 0.1, seed);
        for rows in [8.0, 32.0, 64.0] {
            let (found, expected) = (found_a + found_b * rows, a + b * rows);
            prop_assert!(is_near(found, expected, 0.08), "seed {}: {} for {}", seed, found, expected);
        }
    }

    #[test]
    fn any_runs_leave_a_line_that_rises(runs in prop::collection::vec((0_usize..100_000, 0_u64..u64::MAX), 1..200)) {
        let (cost, mut learner) = learner();
        for (rows, nanoseconds) in runs {
            learner.observe(rows, Duration::from_nanos(nanoseconds));
            let (a, b) = cost.known().expect("there was a run");
            prop_assert!(a >= 0.0 && b >= 0.0 && a.is_finite() && b.is_finite(), "{} + {}·rows", a, b);
            prop_assert!(cost.predict(3) <= cost.predict(4));
        }
    }

    #[test]
    fn what_fits_into_a_time_takes_no_longer(a in 0.0..1e9_f64, b in 1.0..1e6_f64, nanoseconds in 0_u64..10_000_000_000) {
        let cost = Cost::default();
        cost.publish((a, b));
        let time = Duration::from_nanos(nanoseconds);
        let rows = cost.rows_within(time);
        prop_assert!(rows == 0 || cost.predict(rows).expect("it is known") <= time);
        prop_assert!(cost.predict(rows + 1).expect("it is known") + Duration::from_nanos(1) >= time);
    }
}

#[test]
fn a_run_is_worth_its_fixed_cost_from_four_times_as_much_in_rows() {
    let cost = |fixed_us: f64, row_us: f64| {
        let cost = Cost::default();
        cost.publish((fixed_us * 1e3, row_us * 1e3));
        cost.rows_worthwhile()
    };
    assert_eq!(Cost::default().rows_worthwhile(), 1, "nothing is known");
    assert_eq!(cost(10.0, 1.0), 40, "10 us are a fifth of 10 + 40");
    assert_eq!(cost(100.0, 20_000.0), 1, "a costly row is a batch");
    assert_eq!(cost(10.0, 0.0), usize::MAX);
}
