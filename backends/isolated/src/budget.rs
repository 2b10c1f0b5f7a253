//! The daemon's budget of memory, as far as it is known here: what a run needs beyond what every instance has is counted there.
//!
//! Areas that stay with an instance are few and of a known size, so whoever makes instances counts them. What is larger is made for
//! one run, and how large it is follows from what a process says; so it is asked for, and may be refused.

/// A budget of bytes for tensors.
pub trait Budget: Send + Sync {
    /// Counts so many bytes until what this returns is dropped. Otherwise: why that cannot be, and what to do.
    fn count(&self, bytes: usize) -> Result<Counted, String>;
}

/// A part of a budget, given back when this is dropped.
pub struct Counted(#[expect(dead_code, reason = "dropping it is all that is done with it")] Box<dyn Send + Sync>);

impl Counted {
    /// Of what gives it back when it is dropped.
    pub fn new(part: impl Send + Sync + 'static) -> Counted {
        Counted(Box::new(part))
    }
}

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// So many bytes.
    pub(crate) struct Bytes(Arc<AtomicUsize>);

    struct Part(Arc<AtomicUsize>, usize);

    impl Bytes {
        pub fn new(bytes: usize) -> Bytes {
            Bytes(Arc::new(AtomicUsize::new(bytes)))
        }

        pub fn left(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Budget for Bytes {
        fn count(&self, bytes: usize) -> Result<Counted, String> {
            let less = |left: usize| left.checked_sub(bytes);
            let counted = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            counted.map_err(|left| format!("{bytes} of {left}"))?;
            Ok(Counted::new(Part(Arc::clone(&self.0), bytes)))
        }
    }

    impl Drop for Part {
        fn drop(&mut self) {
            self.0.fetch_add(self.1, Ordering::Relaxed);
        }
    }
}
