//! One session, many threads: what the backend relies on ONNX Runtime for.

use crate::support::{floats, floats_of, integers_of, open, prepared, slot, unkept};
use graphpiped_backend_api::{Instance, Produced};
use graphpiped_backend_conformance::Aligned;

const THREADS: u64 = 8;
const RUNS: usize = 2_000;

/// A small generator whose seed replays a run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> usize {
        (self.next() >> 33) as usize % bound as usize
    }
}

#[test]
fn eight_threads_on_one_session_get_their_own_answers() {
    let model = open("two_by_two");
    std::thread::scope(|scope| {
        for seed in 1..=THREADS {
            let mut instance = model.instance().expect("an instance");
            scope.spawn(move || {
                let mut random = Random(seed);
                for run in 0..RUNS {
                    one_run(&mut *instance, &mut random, &format!("seed {seed}, run {run}"));
                }
            });
        }
    });
}

/// A run of random shape on random whole numbers, which float32 adds and multiplies exactly.
fn one_run(instance: &mut dyn Instance, random: &mut Random, replay: &str) {
    let shape = [random.below(40) as i64, 1 + random.below(16) as i64];
    let count = (shape[0] * shape[1]) as usize;
    let mut numbers = || (0..count).map(|_| random.below(2_000) as f32 - 1_000.0).collect::<Vec<_>>();
    let (a, b) = (numbers(), numbers());
    let (a_bytes, b_bytes) = (Aligned::floats(&a), Aligned::floats(&b));
    let inputs = [floats(0, &shape, &a_bytes), floats(1, &shape, &b_bytes)];
    let mut memory = Aligned::of(&vec![0xee; count * 4]);
    let is_in_place = random.below(2) == 0;
    let mut slots = [if is_in_place { prepared(0, &shape, &mut memory) } else { slot(0) }, slot(1)];
    instance.run(&unkept(&inputs), &mut slots).unwrap_or_else(|error| panic!("{replay}: {error}"));

    let sums: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
    let products: Vec<i64> = a.iter().zip(&b).map(|(a, b)| *a as i64 * *b as i64).collect();
    assert_eq!(matches!(slots[0].produced, Some(Produced::InPlace)), is_in_place, "{replay}");
    assert_eq!(floats_of(&slots[0], &inputs), (sums, shape.to_vec()), "{replay}");
    assert_eq!(integers_of(&slots[1], &inputs), (products, shape.to_vec()), "{replay}");
}
