//! Bytes that somebody keeps alive: what a reply sends from. Never written, never copied, never a pool's business.

use crate::Frozen;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that somebody keeps alive: a range of a [`Frozen`] buffer, or of memory that a framework lent. A clone counts
/// one owner more, and neither allocates nor copies.
#[derive(Clone)]
pub struct Payload {
    owner: Owner,
    range: Range<usize>,
}

/// Who keeps the bytes.
#[derive(Clone)]
enum Owner {
    Frozen(Frozen),
    Lent(Arc<dyn AsRef<[u8]> + Send + Sync>),
}

impl Payload {
    /// A range of a buffer. Panics if the range is not inside.
    pub fn new(owner: Frozen, range: Range<usize>) -> Payload {
        Payload::within(Owner::Frozen(owner), range)
    }

    /// A range of what somebody else's `owner` keeps. Panics if the range is not inside.
    pub fn lent(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Payload {
        Payload::within(Owner::Lent(owner), range)
    }

    fn within(owner: Owner, range: Range<usize>) -> Payload {
        let bytes = owner.as_slice().len();
        assert!(range.start <= range.end && range.end <= bytes, "{range:?} is not inside a payload of {bytes} bytes");
        Payload { owner, range }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.owner.as_slice()[self.range.clone()]
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

impl Owner {
    fn as_slice(&self) -> &[u8] {
        match self {
            Owner::Frozen(frozen) => frozen.as_ref(),
            Owner::Lent(lent) => (**lent).as_ref(),
        }
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;

    /// The bytes 1 to 5, kept in either way.
    fn five(range: Range<usize>) -> [Payload; 2] {
        let mut buffer = Pool::new(4096).reserve(5).unwrap();
        buffer.as_mut_slice().copy_from_slice(&[1, 2, 3, 4, 5]);
        [Payload::new(buffer.freeze(), range.clone()), Payload::lent(Arc::new(vec![1, 2, 3, 4, 5]), range)]
    }

    #[test]
    fn a_payload_shows_its_range_and_nothing_else() {
        for payload in five(1..4) {
            assert_eq!(payload.as_slice(), [2, 3, 4]);
            assert_eq!(payload.len(), 3);
            assert!(!payload.is_empty());
            assert_eq!(format!("{payload:?}"), "Payload { bytes: 3, .. }");
        }
    }

    #[test]
    fn an_empty_range_at_the_end_is_inside() {
        assert!(five(5..5).iter().all(Payload::is_empty));
    }

    #[test]
    #[should_panic(expected = "1..6 is not inside a payload of 5 bytes")]
    fn a_range_that_ends_outside_of_a_buffer_is_refused() {
        // The block behind the buffer is a whole page, but the buffer is not.
        let _ = Payload::new(Pool::new(4096).reserve(5).unwrap().freeze(), 1..6);
    }

    #[test]
    #[should_panic(expected = "1..6 is not inside a payload of 5 bytes")]
    fn a_range_that_ends_outside_of_lent_memory_is_refused() {
        let _ = Payload::lent(Arc::new(vec![0; 5]), 1..6);
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "a range of a caller's arithmetic may be one")]
    #[should_panic(expected = "3..2 is not inside")]
    fn a_range_that_ends_before_it_begins_is_refused() {
        let _ = five(3..2);
    }

    #[test]
    fn lent_memory_lives_as_long_as_the_last_payload() {
        let owner: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(vec![7]);
        let watch = Arc::downgrade(&owner);
        let first = Payload::lent(owner, 0..1);
        let second = first.clone();
        drop(first);
        assert!(watch.upgrade().is_some());
        drop(second);
        assert!(watch.upgrade().is_none());
    }

    #[test]
    fn both_kinds_of_owner_share_one_small_form() {
        // Two pointers and a range: the kind costs nothing, so a queue of payloads stays dense.
        assert_eq!(size_of::<Payload>(), 32);
    }
}
