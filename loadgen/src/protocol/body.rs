//! What has come of a reply's body: counted always, kept as far as it is wanted. Where a body ends is the protocol's
//! business and not known here.

/// Of a body whose kept bytes are full, how many are to be kept, now that these are known; none more if it says so few.
pub(super) type More = fn(&[u8]) -> usize;

/// One body after the other, in the same buffer.
#[derive(Debug, Default)]
pub(super) struct Body {
    kept: Vec<u8>,
    kept_max: usize,
    more: Option<More>,
    bytes: u64,
}

impl Body {
    /// Begins a body of which at most `kept_max` bytes are kept. Nothing is allocated for it until they are there.
    pub fn begin(&mut self, kept_max: usize, more: Option<More>) {
        self.more = more;
        self.kept.clear();
        self.kept_max = kept_max;
        self.bytes = 0;
    }

    /// Takes what is there of the `left` bytes that are still to come.
    pub fn take(&mut self, received: &mut &[u8], left: &mut u64) {
        // At most the length of a slice, which is a `usize`.
        let count = (received.len() as u64).min(*left) as usize;
        let (bytes, rest) = received.split_at(count);
        self.keep(bytes);
        self.bytes += count as u64;
        *left -= count as u64;
        *received = rest;
    }

    fn keep(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.kept_max - self.kept.len();
            if room == 0 {
                let Some(more) = self.more else { return };
                let wanted = more(&self.kept);
                if wanted <= self.kept_max {
                    self.more = None;
                    return;
                }
                self.kept_max = wanted;
                continue;
            }
            let (kept, rest) = bytes.split_at(bytes.len().min(room));
            self.kept.extend_from_slice(kept);
            bytes = rest;
        }
    }

    /// The bytes that were kept.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// How many have come.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
