//! Where what was completed on other threads waits for its one reader, and the gate at which the reader sleeps.
//!
//! The queue is crossbeam's `ArrayQueue`: bounded, lock-free, many years in use. What is ours is the handshake with a
//! reader that sleeps, and that is what the model checker looks at, with a queue that it knows in the place of crossbeam's.

use crate::gate::{Asleep, Doorbell, Gate};
use queue::Queue;

/// A bounded queue with one reader.
#[derive(Debug)]
pub struct Mailbox<M, D> {
    queue: Queue<M>,
    gate: Gate<D>,
}

impl<M: Send, D: Doorbell> Mailbox<M, D> {
    /// A mailbox for at most `capacity` messages, and the bell of its reader.
    pub fn new(capacity: usize, bell: D) -> Mailbox<M, D> {
        Mailbox { queue: Queue::new(capacity.max(1)), gate: Gate::new(vec![bell]) }
    }

    /// Puts a message in, from any thread; gives it back if there is no room. Several are best announced together.
    pub fn put(&self, message: M) -> Result<(), M> {
        self.queue.push(message)
    }

    /// Wakes the reader if it sleeps, or is about to.
    pub fn announce(&self) {
        self.gate.announce(1);
    }

    /// Takes the message that has waited longest.
    pub fn take(&self) -> Option<M> {
        self.queue.pop()
    }

    /// Says that the reader is about to sleep. Before it does, it has to look into the mailbox once more.
    pub fn fall_asleep(&self) -> Asleep<'_> {
        self.gate.fall_asleep(0)
    }

    /// The reader's bell.
    pub fn bell(&self) -> &D {
        self.gate.bell(0)
    }

    /// Messages that it has room for.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Messages that wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(not(loom))]
mod queue {
    pub(super) use crossbeam::queue::ArrayQueue as Queue;
}

#[cfg(loom)]
mod queue {
    use crate::sync::{AtomicU64, Cell, Ordering};

    const EMPTY: u64 = 0;
    const BUSY: u64 = 1;
    const FULL: u64 = 2;

    /// A queue with crossbeam's interface that the model checker can see through, and one that orders as little as a queue
    /// may: a message behind its own sending, nothing else. (A mutex would do half of the gate's work.)
    #[derive(Debug)]
    pub(super) struct Queue<M>(Box<[(AtomicU64, Cell<Option<M>>)]>);

    // SAFETY: a cell is touched by the one who has made its slot busy; that is what the model checker watches.
    unsafe impl<M: Send> Sync for Queue<M> {}

    impl<M> Queue<M> {
        pub(super) fn new(capacity: usize) -> Queue<M> {
            Queue((0..capacity).map(|_| (AtomicU64::new(EMPTY), Cell::new(None))).collect())
        }

        /// Finds a slot in this state and moves it to the next one, with its cell in between.
        fn pass<R>(&self, from: u64, to: u64, mut touch: impl FnMut(&mut Option<M>) -> R) -> Option<R> {
            for (state, cell) in &self.0 {
                let is_there = state.load(Ordering::Relaxed) == from;
                if is_there && state.compare_exchange(from, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    // SAFETY: the slot is busy with us.
                    let result = cell.with_mut(|cell| touch(unsafe { &mut *cell }));
                    state.store(to, Ordering::Release);
                    return Some(result);
                }
            }
            None
        }

        pub(super) fn push(&self, message: M) -> Result<(), M> {
            let mut message = Some(message);
            self.pass(EMPTY, FULL, |slot| *slot = message.take());
            message.map_or(Ok(()), Err)
        }

        pub(super) fn pop(&self) -> Option<M> {
            self.pass(FULL, EMPTY, Option::take).flatten()
        }

        pub(super) fn len(&self) -> usize {
            self.0.iter().filter(|(state, _)| state.load(Ordering::Relaxed) == FULL).count()
        }

        pub(super) fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub(super) fn capacity(&self) -> usize {
            self.0.len()
        }
    }
}
