//! How those who wait for work sleep without missing any.
//!
//! The handshake: a sleeper says that it sleeps, *then* looks for work once more; whoever has work publishes it, *then*
//! looks who sleeps. Both have a sequentially consistent fence between their two steps, so at least one of them sees the
//! other: the sleeper finds the work, or it is rung for. Each sleeper is rung for at most once per sleep, however much is
//! announced meanwhile.

use crate::sync::{AtomicU64, Ordering, fence};

/// Wakes one sleeper. A ring before the sleep makes that sleep end at once.
pub trait Doorbell: Send + Sync {
    /// Rings.
    fn ring(&self);
}

const WORD: usize = u64::BITS as usize;

/// A place for each of those who may sleep.
#[derive(Debug)]
pub struct Gate<D> {
    /// A bit per place: whether somebody sleeps there and has not been rung for.
    asleep: Box<[AtomicU64]>,
    bells: Box<[D]>,
}

impl<D: Doorbell> Gate<D> {
    /// A gate with a bell for each place.
    pub fn new(bells: Vec<D>) -> Gate<D> {
        let words = bells.len().div_ceil(WORD);
        Gate { asleep: (0..words).map(|_| AtomicU64::new(0)).collect(), bells: bells.into() }
    }

    /// The bell of a place.
    pub fn bell(&self, place: usize) -> &D {
        &self.bells[place]
    }

    /// Says that there is work, which has been published before, and wakes at most `count` sleepers for it. Returns how
    /// many were woken.
    pub fn announce(&self, count: usize) -> usize {
        // Pairs with the fence in `fall_asleep`.
        fence(Ordering::SeqCst);
        let mut woken = 0;
        for (index, word) in self.asleep.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 && woken < count {
                let first = bits & bits.wrapping_neg();
                if word.fetch_and(!first, Ordering::Relaxed) & first != 0 {
                    self.bells[index * WORD + first.trailing_zeros() as usize].ring();
                    woken += 1;
                }
                bits &= !first;
            }
        }
        woken
    }

    /// Says that the owner of this place is about to sleep. Before it does, it has to look for work once more.
    pub fn fall_asleep(&self, place: usize) -> Asleep<'_> {
        assert!(place < self.bells.len(), "there is no place {place} among {}", self.bells.len());
        let asleep = Asleep { word: &self.asleep[place / WORD], bit: 1 << (place % WORD) };
        asleep.word.fetch_or(asleep.bit, Ordering::Relaxed);
        // Pairs with the fence in `announce`.
        fence(Ordering::SeqCst);
        asleep
    }

    /// How many sleep and have not been rung for; others may change it at any time.
    pub fn sleepers(&self) -> usize {
        self.asleep.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum()
    }
}

/// Somebody who sleeps until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Asleep<'a> {
    word: &'a AtomicU64,
    bit: u64,
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.word.fetch_and(!self.bit, Ordering::Relaxed);
    }
}
