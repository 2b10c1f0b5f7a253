//! Bytes that nobody wrote: at random, and at random from real ones. No input makes the readers break a promise.

use super::vectors;
use graphpipe_schema::fuzz;

/// A small generator of our own: the seed alone replays a run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Runs a function with seeds, and prints the one that it panics with.
fn with_seeds(count: u64, run: impl Fn(&mut Random)) {
    struct Printed(u64);
    impl Drop for Printed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("seed {}", self.0);
            }
        }
    }
    for seed in 0..count {
        let printed = Printed(seed);
        run(&mut Random(printed.0));
    }
}

#[test]
fn bytes_at_random_keep_all_promises() {
    with_seeds(5_000, |random| {
        let bytes: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
        fuzz::fuzz_reader(&bytes);
        fuzz::fuzz_frame(&bytes);
    });
}

#[test]
fn small_numbers_at_random_keep_all_promises() {
    // Words that are plausible offsets and counts get much further than random bytes do.
    with_seeds(8_000, |random| {
        let words = 4 + random.below(60);
        let span = 1 + random.below(4 * words);
        let bytes: Vec<u8> = (0..words).flat_map(|_| (random.below(span) as u32).to_le_bytes()).collect();
        fuzz::fuzz_reader(&bytes);
    });
}

#[test]
fn real_messages_with_a_few_words_changed_keep_all_promises() {
    let vectors = vectors::all();
    with_seeds(8_000, |random| {
        let mut bytes = vectors[random.below(vectors.len())].bytes.clone();
        for _ in 0..=random.below(4) {
            if bytes.len() < 4 {
                break;
            }
            let at = random.below(bytes.len() - 3);
            let word = match random.below(5) {
                0 => u32::MAX,
                1 => 1 << 31,
                2 => random.below(bytes.len() + 8) as u32,
                // The distance back to somewhere in the message: a cycle, where an offset could lead back.
                3 => 0_u32.wrapping_sub(random.below(bytes.len()) as u32),
                _ => random.next() as u32,
            };
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes.truncate(bytes.len() - random.below(bytes.len() / 8 + 1));
        fuzz::fuzz_reader(&bytes);
    });
}

#[test]
fn two_messages_spliced_keep_all_promises() {
    let vectors = vectors::all();
    with_seeds(5_000, |random| {
        let left = &vectors[random.below(vectors.len())].bytes;
        let right = &vectors[random.below(vectors.len())].bytes;
        let mut bytes = left[..random.below(left.len() + 1)].to_vec();
        bytes.extend_from_slice(&right[random.below(right.len() + 1)..]);
        fuzz::fuzz_reader(&bytes);
    });
}
