//! What a test says to the fake service while that is with its reactor on another thread, and what the service was told
//! there.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Shared by a test and its service.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    /// How often the service will still say that it has no patience at all.
    hurry: AtomicU32,
    /// How many turns the service lets pass before it answers.
    pub idle_turns: AtomicU32,
    /// Whether it answers nothing in its turns.
    pub is_holding: AtomicBool,
    /// For how many microseconds a reactor may rest; 0 = not at all.
    rest_us: AtomicU32,
    /// How often a reactor was told that it may.
    rests: AtomicU32,
    gone: Mutex<Vec<(u32, u32)>>,
    apart: Mutex<Vec<Vec<(usize, usize)>>>,
}

impl Talk {
    /// Lets the service be impatient, once.
    pub(crate) fn hurry_once(&self) {
        self.hurry.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it is now.
    pub(super) fn take_hurry(&self) -> bool {
        self.hurry.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Whether what has been called for with [`Talk::hurry_once`] was asked for.
    pub(crate) fn is_calm(&self) -> bool {
        self.hurry.load(Ordering::Relaxed) == 0
    }

    /// Lets the reactor rest from now on.
    pub(crate) fn set_rest(&self, rest: Duration) {
        self.rest_us.store(u32::try_from(rest.as_micros()).unwrap(), Ordering::Relaxed);
    }

    pub(super) fn rest(&self) -> Option<Duration> {
        let rest_us = Some(self.rest_us.load(Ordering::Relaxed)).filter(|rest_us| *rest_us > 0)?;
        self.rests.fetch_add(1, Ordering::Relaxed);
        Some(Duration::from_micros(rest_us.into()))
    }

    /// How often a reactor was told that it may rest.
    pub(crate) fn rests(&self) -> u32 {
        self.rests.load(Ordering::Relaxed)
    }

    /// Whether the service is to let this turn pass.
    pub(super) fn is_idle_turn(&self) -> bool {
        self.idle_turns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// The connections whose peer is gone, and their generations.
    pub(crate) fn gone(&self) -> Vec<(u32, u32)> {
        self.gone.lock().expect("nobody panics with it").clone()
    }

    pub(super) fn note_gone(&self, connection: u32, generation: u32) {
        self.gone.lock().expect("nobody panics with it").push((connection, generation));
    }

    /// What had arrived of each request that was to be set apart: the ends of its ranges.
    pub(crate) fn apart(&self) -> Vec<Vec<(usize, usize)>> {
        self.apart.lock().expect("nobody panics with it").clone()
    }

    pub(super) fn note_apart(&self, arrived: &[Range<usize>]) {
        let ends = arrived.iter().map(|range| (range.start, range.end)).collect();
        self.apart.lock().expect("nobody panics with it").push(ends);
    }
}
