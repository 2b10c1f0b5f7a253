//! The state of an arena in one word, and its transitions: one total function each.
//!
//! ```text
//!           open()              close(), rows left unfinished
//!   Idle ──────────► Open ────────────────────────────────────► Closed
//!    ▲                │ ▲│                                        │
//!    │   close(), all │ └┘ finish(), the last one:                │ finish(), the last one
//!    │   finished     │    a new generation                       │
//!    └────────────────┴───────────────────────────────────────────┘
//! ```
//!
//! | bits | field |
//! | --- | --- |
//! | 0-15 | rows claimed |
//! | 16-31 | rows finished |
//! | 32-33 | state |
//! | 34-63 | generation |

use crate::sync::{AtomicU64, Ordering};

const FINISHED_SHIFT: u32 = 16;
const STATE_SHIFT: u32 = 32;
const GENERATION_SHIFT: u32 = 34;

/// What may happen to an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is free: nothing of it is claimed.
    Idle,
    /// Rows may be claimed.
    Open,
    /// No more rows are claimed; what is claimed goes its way.
    Closed,
}

/// What the word says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The state.
    pub state: State,
    /// Rows handed out in this generation.
    pub claimed: u16,
    /// Rows of them that are done with.
    pub finished: u16,
    /// Which life of the arena this is; wraps around.
    pub generation: u32,
}

impl View {
    fn unpack(word: u64) -> View {
        let state = match word >> STATE_SHIFT & 3 {
            0 => State::Idle,
            1 => State::Open,
            _ => State::Closed,
        };
        View {
            state,
            claimed: word as u16,
            finished: (word >> FINISHED_SHIFT) as u16,
            generation: (word >> GENERATION_SHIFT) as u32,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.claimed)
            | u64::from(self.finished) << FINISHED_SHIFT
            | (self.state as u64) << STATE_SHIFT
            | u64::from(self.generation) << GENERATION_SHIFT
    }

    /// The same arena at the beginning of its next life.
    fn anew(self, state: State) -> View {
        View { state, claimed: 0, finished: 0, generation: self.generation.wrapping_add(1) & (u32::MAX >> 2) }
    }

    /// Rows that are claimed and not finished.
    pub fn pending(self) -> u16 {
        self.claimed - self.finished
    }
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claimed {
    /// The rows from this one on are the claimer's.
    From(u16),
    /// Too few rows are left.
    NoRoom,
    /// The arena takes no claims.
    NotOpen,
}

/// What became of a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Close {
    /// Rows are still out; who finishes the last of them gets [`Finish::Idle`].
    Pending,
    /// None was out: the arena is idle, and the caller is to free it.
    Idle,
    /// Somebody else has closed it.
    NotOpen,
}

/// What became of the rows that were finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Finish {
    /// Others are still out.
    Pending,
    /// They were the last; the arena has begun anew and is open.
    Anew,
    /// They were the last of a closed arena: it is idle, and the caller is to free it.
    Idle,
}

/// The word of an arena.
#[derive(Debug)]
pub struct Word(AtomicU64);

impl Default for Word {
    fn default() -> Word {
        Word(AtomicU64::new(View { state: State::Idle, claimed: 0, finished: 0, generation: 0 }.pack()))
    }
}

impl Word {
    /// What it says now. A hint, which orders nothing: others may change it at any time.
    pub fn view(&self) -> View {
        View::unpack(self.0.load(Ordering::Relaxed))
    }

    /// Opens an idle arena, which the caller has taken from the free ones.
    pub fn open(&self) {
        // Nobody else changes an idle arena's word: whoever has its bit is alone with it. Acquire pairs with the Release of
        // every `finish` of the life before.
        let idle = View::unpack(self.0.load(Ordering::Acquire));
        assert_eq!(idle.state, State::Idle, "only an arena that was free is opened");
        // Release: a store ends what those releases reach, so it passes them on, to claimers that have come here by an old
        // `Lane::open` and see nothing else of what the opener did.
        self.0.store(View { state: State::Open, ..idle }.pack(), Ordering::Release);
    }

    /// Claims `rows` rows of an arena of `capacity`.
    pub fn claim(&self, rows: u16, capacity: u16) -> Claimed {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let view = View::unpack(word);
            if view.state != State::Open {
                return Claimed::NotOpen;
            }
            let Some(claimed) = view.claimed.checked_add(rows).filter(|&claimed| claimed <= capacity) else {
                return Claimed::NoRoom;
            };
            // Acquire pairs with the Release in `finish`: what the rows were used for before has ended.
            match self.exchange(word, View { claimed, ..view }, Ordering::Acquire) {
                Ok(()) => return Claimed::From(view.claimed),
                Err(now) => word = now,
            }
        }
    }

    /// Ends the claiming.
    pub fn close(&self) -> Close {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let view = View::unpack(word);
            if view.state != State::Open {
                return Close::NotOpen;
            }
            let is_idle = view.pending() == 0;
            let next = if is_idle { view.anew(State::Idle) } else { View { state: State::Closed, ..view } };
            // Relaxed: it hands out nothing, and does not come between a `finish` and whoever claims or opens next.
            match self.exchange(word, next, Ordering::Relaxed) {
                Ok(()) if is_idle => return Close::Idle,
                Ok(()) => return Close::Pending,
                Err(now) => word = now,
            }
        }
    }

    /// Finishes rows that were claimed.
    pub fn finish(&self, rows: u16) -> Finish {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let view = View::unpack(word);
            assert!(rows <= view.pending(), "{rows} rows are finished, {} are out", view.pending());
            let is_last = rows == view.pending();
            let next = match view.state {
                _ if !is_last => View { finished: view.finished + rows, ..view },
                State::Open => view.anew(State::Open),
                State::Closed => view.anew(State::Idle),
                State::Idle => unreachable!("nothing of an idle arena is out"),
            };
            // Release: what was done with these rows is over for whoever claims them next. The exchanges of others in
            // between leave that as it is, so the last finisher need not acquire to pass it on.
            match self.exchange(word, next, Ordering::Release) {
                Ok(()) if !is_last => return Finish::Pending,
                Ok(()) if view.state == State::Open => return Finish::Anew,
                Ok(()) => return Finish::Idle,
                Err(now) => word = now,
            }
        }
    }

    fn exchange(&self, from: u64, to: View, success: Ordering) -> Result<(), u64> {
        self.0.compare_exchange_weak(from, to.pack(), success, Ordering::Relaxed).map(drop)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const GENERATION_MAX: u32 = (1 << 30) - 1;

    fn view(state: State, claimed: u16, finished: u16, generation: u32) -> View {
        View { state, claimed, finished, generation }
    }

    /// A word that says this.
    fn word(state: State, claimed: u16, finished: u16) -> Word {
        Word(AtomicU64::new(view(state, claimed, finished, 7).pack()))
    }

    #[test]
    fn the_fields_lie_where_the_table_says() {
        assert_eq!(view(State::Idle, 0, 0, 0).pack(), 0);
        assert_eq!(view(State::Open, 0x1234, 0x0567, 1).pack(), 0x5_0567_1234);
        assert_eq!(view(State::Closed, 32_768, 32_767, GENERATION_MAX).pack(), 0xffff_fffe_7fff_8000);
        for view in [
            view(State::Idle, 0, 0, 5),
            view(State::Open, 32_768, 32_767, 0),
            view(State::Closed, 3, 1, GENERATION_MAX),
        ] {
            assert_eq!(View::unpack(view.pack()), view);
        }
    }

    #[test]
    fn only_an_idle_arena_is_opened() {
        let idle = word(State::Idle, 0, 0);
        idle.open();
        assert_eq!(idle.view(), view(State::Open, 0, 0, 7));
        for state in [State::Open, State::Closed] {
            let word = word(state, 2, 1);
            assert!(catch_unwind(AssertUnwindSafe(|| word.open())).is_err());
            assert_eq!(word.view(), view(state, 2, 1, 7));
        }
    }

    #[test]
    fn claims_are_for_open_arenas_with_room() {
        use Claimed::{From, NoRoom, NotOpen};
        // State, claimed, finished, rows; of 4 rows: what becomes of it, claimed then.
        let table = [
            (State::Idle, 0, 0, 1, NotOpen, 0),
            (State::Closed, 1, 0, 1, NotOpen, 1),
            (State::Open, 0, 0, 1, From(0), 1),
            (State::Open, 0, 0, 4, From(0), 4),
            (State::Open, 0, 0, 5, NoRoom, 0),
            (State::Open, 3, 2, 1, From(3), 4),
            (State::Open, 3, 2, 2, NoRoom, 3),
            (State::Open, 4, 3, 1, NoRoom, 4),
            (State::Open, 3, 0, u16::MAX, NoRoom, 3),
        ];
        for (state, claimed, finished, rows, result, then) in table {
            let word = word(state, claimed, finished);
            assert_eq!(word.claim(rows, 4), result, "{rows} of {state:?} {claimed}/{finished}");
            assert_eq!(word.view(), view(state, then, finished, 7));
        }
    }

    #[test]
    fn an_open_arena_is_closed_and_idle_if_nothing_is_out() {
        let table = [
            (State::Idle, 0, 0, Close::NotOpen, view(State::Idle, 0, 0, 7)),
            (State::Closed, 2, 1, Close::NotOpen, view(State::Closed, 2, 1, 7)),
            (State::Open, 0, 0, Close::Idle, view(State::Idle, 0, 0, 8)),
            (State::Open, 2, 1, Close::Pending, view(State::Closed, 2, 1, 7)),
        ];
        for (state, claimed, finished, result, then) in table {
            let word = word(state, claimed, finished);
            assert_eq!(word.close(), result, "{state:?} {claimed}/{finished}");
            assert_eq!(word.view(), then);
        }
    }

    #[test]
    fn the_last_rows_to_be_finished_begin_a_new_life() {
        let table = [
            (State::Open, 3, 1, 1, Finish::Pending, view(State::Open, 3, 2, 7)),
            (State::Open, 3, 1, 2, Finish::Anew, view(State::Open, 0, 0, 8)),
            (State::Closed, 3, 0, 2, Finish::Pending, view(State::Closed, 3, 2, 7)),
            (State::Closed, 3, 2, 1, Finish::Idle, view(State::Idle, 0, 0, 8)),
        ];
        for (state, claimed, finished, rows, result, then) in table {
            let word = word(state, claimed, finished);
            assert_eq!(word.finish(rows), result, "{rows} of {state:?} {claimed}/{finished}");
            assert_eq!(word.view(), then);
        }
    }

    #[test]
    fn rows_that_are_not_out_are_not_finished() {
        for (state, claimed, finished) in [(State::Idle, 0, 0), (State::Open, 2, 2), (State::Closed, 3, 2)] {
            let word = word(state, claimed, finished);
            assert!(catch_unwind(AssertUnwindSafe(|| word.finish(2))).is_err(), "{state:?} {claimed}/{finished}");
        }
    }

    #[test]
    fn generations_wrap_around_within_their_bits() {
        let word = Word(AtomicU64::new(view(State::Open, 1, 0, GENERATION_MAX).pack()));
        assert_eq!(word.finish(1), Finish::Anew);
        assert_eq!(word.view(), view(State::Open, 0, 0, 0));
    }
}
