//! What has come of a reply's body: counted always, kept as far as it is wanted. Where a body ends is the protocol's
//! business and not known here.

/// One body after the other, in the same buffer.
#[derive(Debug, Default)]
pub(super) struct Body {
    kept: Vec<u8>,
    kept_max: usize,
    bytes: u64,
}

impl Body {
    /// Begins a body of which at most `kept_max` bytes are kept. Nothing is allocated for it until they are there.
    pub fn begin(&mut self, kept_max: usize) {
        self.kept.clear();
        self.kept_max = kept_max;
        self.bytes = 0;
    }

    /// Takes what is there of the `left` bytes that are still to come.
    pub fn take(&mut self, received: &mut &[u8], left: &mut u64) {
        // At most the length of a slice, which is a `usize`.
        let count = (received.len() as u64).min(*left) as usize;
        let (bytes, rest) = received.split_at(count);
        let room = self.kept_max.saturating_sub(self.kept.len());
        if room != 0 {
            self.kept.extend_from_slice(&bytes[..count.min(room)]);
        }
        self.bytes += count as u64;
        *left -= count as u64;
        *received = rest;
    }

    /// The bytes that were kept.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// How many have come.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether all that have come were kept.
    pub fn is_whole(&self) -> bool {
        self.kept.len() as u64 == self.bytes
    }
}
