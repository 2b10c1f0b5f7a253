//! Models that mix rows up only under a condition, which the trial has to bring about.

use super::*;

const NEIGHBOURS: &str = "output y of a row is another one when other rows are run beside it";

/// Adds the first row to the others, where it is said to.
fn mixed(rows: &[[f32; 2]], is_mixed: bool) -> Vec<[f32; 2]> {
    rows.iter().map(|row| if is_mixed { [row[0] + rows[0][0], row[1]] } else { *row }).collect()
}

#[test]
fn rows_that_are_mixed_only_in_long_runs() {
    let fake = Fake::new(|rows| Ok(mixed(rows, rows.len() > 100)));
    assert_eq!(fake.why(), NEIGHBOURS);
    let probed = fake.probe(BatchMode::Auto, 100).expect("nobody insists");
    assert_eq!((probed.verdict, probed.rows_compared), (Verdict::Batched, 100), "batches are never longer");
}

#[test]
fn a_slow_model_is_never_trusted_beyond_what_it_was_tried_with() {
    let slow = |milliseconds: u64| {
        let fake = Fake::new(|rows| Ok(mixed(rows, rows.len() > 5)));
        Fake { cost: (milliseconds * 1_000_000, 0), ..fake }.probe(BatchMode::Auto, 128).expect("nobody insists")
    };
    assert_eq!(slow(300).verdict, Verdict::Not { why: NEIGHBOURS.into() });
    assert_eq!((slow(1500).verdict, slow(1500).rows_compared), (Verdict::Batched, 5));
}

#[test]
fn large_rows_are_tried_in_runs_of_bounded_size() {
    // 64 MiB, in rows of two numbers going in and two coming out.
    let fake = Fake::new(|rows| Ok(doubled(rows)));
    let shapes = [Shape::new(&[2]).expect("one axis")];
    let trial = Trial::new(&fake, Runner::new(&fake), &shapes, &mut Rng::with_seed(SEED)).expect("it runs");
    assert_eq!(trial.rows.most(&trial.alone[0]), (64 << 20) / (8 + 8));
}

#[test]
fn rows_that_are_divided_by_the_largest_number_of_all() {
    // Pixels go up to 255, and the numbers of the other rows never to 10.
    let fake = Fake::new(|rows| {
        let most = rows.iter().flatten().fold(10.0_f32, |most, number| most.max(number.abs()));
        Ok(rows.iter().map(|row| row.map(|number| number / most)).collect())
    });
    assert_eq!(fake.why(), NEIGHBOURS);
}

#[test]
fn a_leak_into_a_small_number_beside_a_large_one() {
    let fake = Fake::new(|rows| {
        let mean = rows.iter().map(|row| row[1]).sum::<f32>() / rows.len() as f32;
        Ok(rows.iter().map(|row| [1e9 * (1.0 + row[0].abs()), mean]).collect())
    });
    assert_eq!(fake.why(), NEIGHBOURS);
}

#[test]
fn an_output_that_tells_no_rows_apart_is_named_though_another_one_does() {
    let mut fake = Fake::new(|rows| Ok(doubled(rows)));
    let mut signature = (*fake.signature).clone();
    signature.outputs.push(TensorSpec { name: "z".into(), ..signature.outputs[0].clone() });
    fake.signature = Arc::new(signature);
    assert_eq!(fake.why(), "output z is the same for all rows that were tried");
    assert_eq!(fake.probe(BatchMode::On, 8).expect("nothing speaks against it").verdict, Verdict::Batched);
}

#[test]
fn rows_that_come_back_in_the_place_of_others() {
    // As far away as there are rows that are tried alone, or some of that: what a pattern in the order would hide.
    for places in [1, 4, 5, 12, 24, 60] {
        let fake = Fake::new(move |rows| {
            let mut made = doubled(rows);
            if made.len() > 100 {
                made.swap(20, 20 + places);
            }
            Ok(made)
        });
        assert_eq!(fake.why(), NEIGHBOURS, "{places}");
    }
}

#[test]
fn rows_that_are_mixed_only_in_prepared_memory() {
    let in_place = |work: fn(&[[f32; 2]]) -> Vec<[f32; 2]>| Fake {
        work_in_place: Some(Arc::new(move |rows| Ok(work(rows)))),
        ..Fake::new(|rows| Ok(doubled(rows)))
    };
    assert_eq!(in_place(doubled).verdict(), Verdict::Batched);
    assert_eq!(in_place(|rows| mixed(&doubled(rows), rows.len() > 1)).why(), NEIGHBOURS);
    let why = in_place(<[[f32; 2]]>::to_vec).why();
    assert_eq!(why, "output y of the same row differs from run to run", "it is seen in a row alone");
}
