//! Bytes that have arrived and have to wait, for the rest of their frame or for a place among the requests in flight.

use super::Spare;

/// The bytes, the first of which may be done with: what is taken moves nothing, so that many requests that wait are not
/// moved once for each of them.
#[derive(Debug, Default)]
pub(super) struct Carry {
    bytes: Vec<u8>,
    taken: usize,
}

impl Carry {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn add(&mut self, bytes: &[u8], spare: &mut Spare) {
        if bytes.is_empty() {
            return;
        }
        if self.bytes.capacity() == 0 {
            self.bytes = spare.take();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Passes over the first `count` bytes.
    pub(super) fn take(&mut self, count: usize, spare: &mut Spare) {
        self.taken += count;
        if self.is_empty() {
            self.clear(spare);
        } else if self.taken >= self.len() {
            // Each byte is moved at most once for each byte that was taken.
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Lets everything go: an empty one holds no memory.
    pub(super) fn clear(&mut self, spare: &mut Spare) {
        self.taken = 0;
        spare.give(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_stays_in_order() {
        let (mut carry, mut spare) = (Carry::default(), Spare::default());
        carry.add(b"0123456789", &mut spare);
        carry.take(3, &mut spare);
        assert_eq!(carry.as_slice(), b"3456789");
        carry.add(b"ab", &mut spare);
        carry.take(6, &mut spare);
        assert_eq!((carry.as_slice(), carry.len()), (b"9ab".as_slice(), 3));
        carry.take(3, &mut spare);
        assert!(carry.is_empty());
    }

    #[test]
    fn an_empty_one_holds_no_memory() {
        let (mut carry, mut spare) = (Carry::default(), Spare::default());
        carry.add(b"", &mut spare);
        assert_eq!(carry.bytes.capacity(), 0);
        carry.add(b"abc", &mut spare);
        carry.take(3, &mut spare);
        assert_eq!(carry.bytes.capacity(), 0);
    }
}
