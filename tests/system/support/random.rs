//! Random numbers from a seed that is printed, so that a failure can be run again.

/// SplitMix64: good enough to draw shapes, and the same on every machine.
pub struct Random(u64);

impl Random {
    /// Numbers from `GRAPHPIPED_SEED`, or from the clock. The seed is printed, and so shown when a test fails.
    pub fn new() -> Random {
        let seed = match std::env::var("GRAPHPIPED_SEED") {
            Ok(text) => text.parse().expect("GRAPHPIPED_SEED is a number"),
            Err(_) => std::time::SystemTime::UNIX_EPOCH.elapsed().expect("the clock is right").as_nanos() as u64,
        };
        println!("GRAPHPIPED_SEED={seed}");
        Random(seed)
    }

    /// A generator of its own for the `index`-th thread.
    pub fn fork(&self, index: u64) -> Random {
        Random(self.0 ^ index.wrapping_add(1).wrapping_mul(0xa076_1d64_78bd_642f))
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
