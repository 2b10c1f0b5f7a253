//! Plans worked out by hand, and what has to be so for every budget and every row.

use super::*;
use proptest::prelude::*;

fn row(inputs: &[usize], outputs: usize) -> RowBytes {
    RowBytes { inputs: inputs.to_vec(), outputs }
}

fn model(name: &str, row: Option<RowBytes>) -> ModelRows<'_> {
    ModelRows { name, row, max_batch: None, rows_compared: ARENA_ROWS_MAX, queue_max: 4096, inline: true }
}

/// 64 float32 in, 10 out.
fn digits() -> RowBytes {
    row(&[256], 40)
}

/// 3 × 224 × 224 float32 in, 1000 out.
fn picture() -> RowBytes {
    row(&[602_112], 4000)
}

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

fn shared(row: &RowBytes, queue_max: usize, bytes_max: u64) -> Option<LanePlan> {
    lane(row, None, Kind::Shared { queue_max }, bytes_max)
}

#[test]
fn a_batch_is_a_power_of_two_of_rows_within_16_mebibytes() {
    assert_eq!(digits().rows_wanted(None), 128, "no more than that");
    // 16 MiB / 606,112 B = 27.7.
    assert_eq!(picture().rows_wanted(None), 16);
    // 2,097,152 B of inputs and outputs: eight rows exactly, and one byte more is too much for them.
    assert_eq!(row(&[1 << 20, 1 << 19], 1 << 19).rows_wanted(None), 8);
    assert_eq!(row(&[1 << 20, 1 << 19], (1 << 19) + 1).rows_wanted(None), 4);
    assert_eq!(row(&[100 << 20], 0).rows_wanted(None), 1);
    assert_eq!(row(&[], 0).rows_wanted(None), 128);
}

#[test]
fn what_was_said_goes_before_that() {
    assert_eq!(picture().rows_wanted(Some(100)), 100);
    assert_eq!(picture().rows_wanted(Some(0)), 1);
    assert_eq!(digits().rows_wanted(Some(1 << 20)), 32_768, "row numbers have fifteen bits");
}

#[test]
fn arenas_of_small_rows_hold_four_batches() {
    // 512 rows of 256 B; eight of them have room for the queue.
    let plan = LanePlan { rows_max: 128, arena_rows: 512, arena_bytes: 131_072, arenas: 8 };
    assert_eq!(shared(&digits(), 4096, 64 * MIB), Some(plan));
    assert_eq!(shared(&digits(), 4097, 64 * MIB), Some(LanePlan { arenas: 9, ..plan }));
    assert_eq!(shared(&digits(), 1, 64 * MIB), Some(LanePlan { arenas: 3, ..plan }));
    assert_eq!(shared(&digits(), 1 << 20, 64 * MIB), Some(LanePlan { arenas: 16, ..plan }));
    assert_eq!(lane(&digits(), None, Kind::Inline, 64 * MIB), Some(LanePlan { arenas: 2, ..plan }));
}

#[test]
fn arenas_of_large_rows_hold_two_batches_or_one() {
    // 32 rows have 18.4 MiB, 64 would have 36.8; three of the former are what 64 MiB hold.
    let plan = LanePlan { rows_max: 16, arena_rows: 32, arena_bytes: 19_267_584, arenas: 3 };
    assert_eq!(shared(&picture(), 4096, 64 * MIB), Some(plan));
    // 40 MiB hold two of 18.4 MiB, and four of 9.2 MiB: as many rows, in enough arenas.
    let plan = LanePlan { rows_max: 16, arena_rows: 16, arena_bytes: 9_633_792, arenas: 4 };
    assert_eq!(shared(&picture(), 4096, 40 * MIB), Some(plan));
}

#[test]
fn arenas_are_no_longer_than_they_need_to_be() {
    // 512 rows of 16 KiB would have 8 MiB; 256 have 4, and 16 such arenas are as many rows.
    let plan = LanePlan { rows_max: 128, arena_rows: 256, arena_bytes: 4 << 20, arenas: 16 };
    assert_eq!(shared(&row(&[16_384], 0), 4096, 64 * MIB), Some(plan));
}

#[test]
fn inputs_of_an_arena_begin_at_multiples_of_256_and_arenas_fill_pages() {
    // 3 × 100 B and 3 × 4 B: 512 B and 256 B, in one page of 4096 B.
    assert_eq!(row(&[100, 4], 0).arena_bytes(3), 4096);
    // 40 × 100 B and 40 × 2 B would fit into a page; 4096 B and 256 B do not.
    assert_eq!(row(&[100, 2], 0).arena_bytes(40), 8192);
    assert_eq!(row(&[0], 0).arena_bytes(1), 4096, "even nothing has an address");
}

#[test]
fn no_arena_has_more_rows_than_there_are_numbers() {
    let plan = lane(&row(&[1], 0), Some(30_000), Kind::Inline, 64 * MIB).expect("there is memory");
    assert_eq!((plan.rows_max, plan.arena_rows), (30_000, 32_768));
}

#[test]
fn a_batch_is_halved_until_two_arenas_fit() {
    let four_mebibytes = row(&[4 << 20], 0);
    let rows_max = |bytes| shared(&four_mebibytes, 100, bytes).map(|plan| (plan.rows_max, plan.arenas));
    assert_eq!(rows_max(64 * MIB), Some((4, 4)));
    assert_eq!(rows_max(31 * MIB), Some((2, 3)));
    assert_eq!(rows_max(16 * MIB), Some((2, 2)));
    assert_eq!(rows_max(8 * MIB), Some((1, 2)));
    assert_eq!(rows_max(8 * MIB - 1), None);
}

#[test]
fn the_plan_says_what_the_memory_is_for() {
    let plan = MemoryPlan::new(6 * GIB, 2, &[model("digits", Some(digits())), model("words", None)]);
    let expected = "memory 6 GiB = 1 MiB rows of digits (8 arenas of 512 rows of 256 B) \
                    + 512 KiB rows of digits on reactors (4 arenas of 512 rows of 256 B) \
                    + 1.5 GiB lanes made later (24 of 64 MiB, 8 row shapes) \
                    + 4.5 GiB requests of their own and outputs";
    assert_eq!(plan.to_string(), expected);
    let inline = plan.at_start(0).expect("its rows are known").inline.expect("there is memory");
    assert_eq!((inline.rows_max, inline.arenas), (128, 2));
    assert_eq!(plan.at_start(1), None);
    let later = plan.later(&model("words", None), &row(&[4096], 0));
    assert_eq!(later.shared.map(|plan| plan.rows_max), Some(128));
}

#[test]
fn a_model_that_reactors_do_not_run_has_one_lane() {
    let never = ModelRows { inline: false, ..model("digits", Some(digits())) };
    let plan = MemoryPlan::new(GIB, 4, &[never]);
    let lanes = plan.at_start(0).expect("its rows are known");
    assert!(lanes.shared.is_some() && lanes.inline.is_none());
    assert_eq!(plan.lines().len(), 2, "{plan}");
}

#[test]
fn without_models_that_are_batched_all_is_for_requests_of_their_own() {
    let plan = MemoryPlan::new(GIB, 4, &[]);
    assert_eq!(plan.to_string(), "memory 1 GiB = 1 GiB requests of their own and outputs");
}

#[test]
fn whoever_needs_little_leaves_the_rest_to_the_others() {
    // 10 lanes want 1 each, and 2 want as much as they can get: (100 - 10) / 2.
    assert_eq!(level(100, &[(2, 1000), (10, 1)]), 45);
    assert_eq!(level(100, &[(3, 1000)]), 33);
    assert_eq!(level(100, &[(2, 50)]), LANE_BYTES_MAX, "there is enough");
    assert_eq!(level(100, &[]), LANE_BYTES_MAX);
}

#[test]
fn a_connection_may_have_two_batches_in_flight() {
    let weights = Weights::new([16, 128, 1]);
    assert_eq!(weights.max(), 256);
    assert_eq!([0, 1, 3, 1000].map(|rows| weights.of_rows(rows)), [1, 1, 3, 256]);
    // Eight in flight for two instances; and for a thousand still no fewer than fit.
    assert_eq!([1, 2, 1000].map(|instances| weights.alone(instances)), [64, 32, 1]);
    assert_eq!(weights.free(), 1);
    assert_eq!(Weights::new([1, 2]).max(), 64);
    assert_eq!(Weights::new([]).max(), 64);
}

/// Rows from one byte to a gigabyte, mostly small ones.
fn any_row() -> impl Strategy<Value = RowBytes> {
    let bytes = (0_u32..30, 0.0..1.0_f64).prop_map(|(log, part)| ((1.0 + part) * f64::from(1 << log)) as usize);
    (prop::collection::vec(bytes.clone(), 1..4), bytes).prop_map(|(inputs, outputs)| RowBytes { inputs, outputs })
}

/// From a mebibyte to four tebibytes, as many small ones as large ones.
fn any_budget() -> impl Strategy<Value = u64> {
    (20_u32..42, 0.0..1.0_f64).prop_map(|(log, part)| ((1.0 + part) * (1_u64 << log) as f64) as u64)
}

#[test]
fn no_batch_has_more_rows_than_a_trial_has_compared() {
    // 128 rows would have been there otherwise, and 200 if somebody says so.
    let tried = |rows_compared| ModelRows { rows_compared, ..model("digits", Some(digits())) };
    let rows_max = |model: ModelRows<'_>| {
        let lanes = MemoryPlan::new(1 << 30, 1, &[model]).at_start(0).unwrap();
        [lanes.shared.unwrap().rows_max, lanes.inline.unwrap().rows_max]
    };
    assert_eq!(rows_max(tried(20)), [20, 20]);
    assert_eq!(rows_max(tried(1000)), [128, 128]);
    assert_eq!(rows_max(ModelRows { max_batch: Some(200), ..tried(150) }), [150, 150]);
    let later = MemoryPlan::new(1 << 30, 1, &[model("words", None)]).later(&tried(20), &digits());
    assert_eq!(later.shared.unwrap().rows_max, 20);
}

/// The parts of a model.
type Parts = (Option<RowBytes>, Option<usize>, usize, bool);

fn any_model() -> impl Strategy<Value = Parts> {
    let max_batch = prop::option::of(1_usize..100_000);
    (prop::option::weighted(0.8, any_row()), max_batch, 1_usize..100_000, any::<bool>())
}

fn models(parts: &[Parts]) -> Vec<ModelRows<'_>> {
    let model = |(row, max_batch, queue_max, inline): &Parts| ModelRows {
        name: "m",
        row: row.clone(),
        max_batch: *max_batch,
        rows_compared: ARENA_ROWS_MAX,
        queue_max: *queue_max,
        inline: *inline,
    };
    parts.iter().map(model).collect()
}

proptest! {
    #[test]
    fn the_parts_make_up_the_budget_and_lanes_at_most_half_of_it(
        budget in any_budget(), reactors in 1_usize..64, parts in prop::collection::vec(any_model(), 0..6),
    ) {
        let models = models(&parts);
        let plan = MemoryPlan::new(budget, reactors, &models);
        prop_assert_eq!(plan.lines().iter().map(|line| line.bytes).sum::<u64>(), budget);
        prop_assert!(plan.lines().last().expect("there is a rest").bytes >= budget / 2);
        let mut at_start = 0;
        for (position, model) in models.iter().enumerate() {
            let Some(Lanes { shared, inline }) = plan.at_start(position) else { continue };
            at_start += shared.map_or(0, |plan| plan.bytes());
            at_start += inline.map_or(0, |plan| plan.bytes() * reactors as u64);
            prop_assert!(model.inline || inline.is_none());
        }
        prop_assert!(at_start <= budget / 4, "{}", at_start);
    }

    #[test]
    fn lanes_made_later_fit_into_what_was_left_for_them(
        budget in any_budget(), reactors in 1_usize..64, parts in prop::collection::vec(any_model(), 1..6),
        row in any_row(),
    ) {
        let models = models(&parts);
        let plan = MemoryPlan::new(budget, reactors, &models);
        let mut later = 0;
        for model in models.iter().filter(|model| model.row.is_none()) {
            let Lanes { shared, inline } = plan.later(model, &row);
            later += LANES_MAX as u64 * shared.map_or(0, |plan| plan.bytes());
            later += LANES_MAX as u64 * inline.map_or(0, |plan| plan.bytes() * reactors as u64);
        }
        prop_assert!(later <= budget / 4, "{}", later);
    }

    #[test]
    fn a_lane_has_room_for_two_batches_and_keeps_its_bounds(
        row in any_row(), said in prop::option::of(1_usize..100_000), queue_max in 1_usize..100_000,
        bytes_max in 1_u64..LANE_BYTES_MAX,
    ) {
        for kind in [Kind::Shared { queue_max }, Kind::Inline] {
            let Some(plan) = lane(&row, said, kind, bytes_max) else {
                prop_assert!(2 * row.arena_bytes(1) > bytes_max, "one row fits");
                continue;
            };
            prop_assert!(plan.rows_max >= 1 && plan.rows_max <= row.rows_wanted(said));
            prop_assert!(plan.arena_rows >= plan.rows_max && plan.arena_rows <= ARENA_ROWS_MAX);
            prop_assert!((2..=16).contains(&plan.arenas) && plan.bytes() <= bytes_max);
        }
    }

    #[test]
    fn more_memory_never_makes_a_lane_smaller(
        row in any_row(), said in prop::option::of(1_usize..100_000), queue_max in 1_usize..100_000,
        bytes in 1_u64..LANE_BYTES_MAX, more in 0_u64..LANE_BYTES_MAX,
    ) {
        for kind in [Kind::Shared { queue_max }, Kind::Inline] {
            let size = |bytes| lane(&row, said, kind, bytes).map(|plan| (plan.rows_max, plan.rows()));
            prop_assert!(size(bytes) <= size(bytes + more), "{:?} > {:?}", size(bytes), size(bytes + more));
        }
    }

    #[test]
    fn longer_rows_never_make_a_larger_batch(row in any_row(), longer in 1_usize..1 << 20, bytes in 1_u64..LANE_BYTES_MAX) {
        let mut other = row.clone();
        other.inputs[0] += longer;
        let rows_max = |row| shared(row, 4096, bytes).map(|plan| plan.rows_max);
        prop_assert!(rows_max(&other) <= rows_max(&row));
    }
}
