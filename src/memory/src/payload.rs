//! Bytes that somebody keeps alive: what a reply sends from. Never written, never copied, never a pool's business.

use std::ops::Range;
use std::sync::Arc;

/// Bytes that somebody keeps alive: a range of a [`Frozen`](crate::Frozen) buffer, or memory that a framework lent.
#[derive(Clone)]
pub struct Payload {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl Payload {
    /// A range of what `owner` keeps. Panics if the range is not inside.
    pub fn new(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Payload {
        let bytes = (*owner).as_ref().len();
        assert!(range.start <= range.end && range.end <= bytes, "{range:?} is not inside a payload of {bytes} bytes");
        Payload { owner, range }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.range.clone()]
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

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn five() -> Arc<dyn AsRef<[u8]> + Send + Sync> {
        Arc::new(vec![1, 2, 3, 4, 5])
    }

    #[test]
    fn a_payload_shows_its_range_and_nothing_else() {
        let payload = Payload::new(five(), 1..4);
        assert_eq!(payload.as_slice(), [2, 3, 4]);
        assert_eq!(payload.len(), 3);
        assert!(!payload.is_empty());
    }

    #[test]
    fn an_empty_range_at_the_end_is_inside() {
        assert!(Payload::new(five(), 5..5).is_empty());
    }

    #[test]
    #[should_panic(expected = "1..6 is not inside a payload of 5 bytes")]
    fn a_range_that_ends_outside_is_refused() {
        let _ = Payload::new(five(), 1..6);
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "a range of a caller's arithmetic may be one")]
    #[should_panic(expected = "3..2 is not inside")]
    fn a_range_that_ends_before_it_begins_is_refused() {
        let _ = Payload::new(five(), 3..2);
    }

    #[test]
    fn the_owner_lives_as_long_as_the_last_payload() {
        let owner: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(vec![7]);
        let watch = Arc::downgrade(&owner);
        let first = Payload::new(owner, 0..1);
        let second = first.clone();
        drop(first);
        assert!(watch.upgrade().is_some());
        drop(second);
        assert!(watch.upgrade().is_none());
    }
}
