//! Memory as run buffers are: aligned to 256, and watched, so that a test sees whether somebody still refers to it.

use graphpiped_backend_api::{Keep, Kept};
use std::sync::Arc;

/// As for run buffers.
const ALIGN: usize = 256;

/// Bytes that begin at a multiple of 256.
#[derive(Debug)]
pub struct Aligned {
    storage: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// So many zeros, which take no memory until somebody touches them.
    pub fn zeros(len: usize) -> Aligned {
        let storage = vec![0; len + ALIGN];
        let start = storage.as_ptr().align_offset(ALIGN);
        Aligned { storage, start, len }
    }

    /// A copy of these bytes.
    pub fn of(bytes: &[u8]) -> Aligned {
        let mut aligned = Aligned::zeros(bytes.len());
        aligned.as_mut().copy_from_slice(bytes);
        aligned
    }

    /// These numbers.
    pub fn floats(values: &[f32]) -> Aligned {
        Aligned::of(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    /// These numbers.
    pub fn integers(values: &[i64]) -> Aligned {
        Aligned::of(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl AsMut<[u8]> for Aligned {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

/// The memory of a run's inputs. It is freed with the last of its references, so a framework that goes on reading what it has not
/// kept is seen by a memory checker; and one that keeps it for ever, by [`Watched::references`].
#[derive(Clone, Debug)]
pub struct Watched(Arc<Vec<Aligned>>);

impl Watched {
    /// One piece for each input.
    pub fn new(pieces: Vec<Aligned>) -> Watched {
        Watched(Arc::new(pieces))
    }

    /// The bytes of one input.
    pub fn piece(&self, position: usize) -> &[u8] {
        self.0[position].as_ref()
    }

    /// Who refers to it now, besides the caller.
    pub fn references(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

impl Keep for Watched {
    fn keep(&self) -> Kept {
        let pieces: Arc<Vec<Aligned>> = Arc::clone(&self.0);
        pieces
    }
}
