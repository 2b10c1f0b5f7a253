//! A lane: arenas for requests whose rows have the same size. Claims go to the one that is open; a full one is replaced by
//! a free one; takers empty the oldest first.

use crate::arena::{Arena, Region};
use crate::claim::Claim;
use crate::free::Free;
use crate::layout::Layout;
use crate::sealed::Sealed;
use crate::sync::{Arc, AtomicU64, Cell, Ordering};
use crate::word::{Claimed, Close, Finish};

/// No arena is open.
const NONE: u32 = u32::MAX;

/// What a taker says of a committed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs into the batch.
    Take,
    /// It is not to be run: it is handed back, its rows are void.
    Reject,
    /// It stays where it is, and with it those behind it. Other takers do not see it while it is judged, so whoever leaves
    /// it answers for somebody coming back to it.
    Leave,
}

/// The arenas of a lane, without what the daemon attaches to requests: all that a claim knows.
#[derive(Debug)]
pub(crate) struct Arenas {
    layout: Layout,
    list: Box<[Arena]>,
    free: Free,
    /// The arena that takes claims, below a version that counts its changes.
    open: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Open {
    version: u32,
    arena: u32,
}

impl Open {
    fn unpack(word: u64) -> Open {
        Open { version: (word >> 32) as u32, arena: word as u32 }
    }

    fn pack(self) -> u64 {
        u64::from(self.version) << 32 | u64::from(self.arena)
    }
}

impl Arenas {
    fn new(layout: Layout, regions: Vec<Box<dyn Region>>) -> Arenas {
        let list: Box<[Arena]> = regions.into_iter().map(|region| Arena::new(&layout, region)).collect();
        let free = Free::all(list.len());
        Arenas { layout, list, free, open: AtomicU64::new(Open { version: 0, arena: NONE }.pack()) }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn arena(&self, index: u16) -> &Arena {
        &self.list[usize::from(index)]
    }

    pub(crate) fn finish(&self, arena: u16, rows: u16) {
        match self.arena(arena).word.finish(rows) {
            Finish::Pending | Finish::Anew => {}
            Finish::Idle => self.free.give(arena.into()),
        }
    }

    /// The arena and the first of `rows` rows.
    fn claim(&self, rows: u16) -> Option<(usize, u16)> {
        loop {
            let open = Open::unpack(self.open.load(Ordering::Acquire));
            if let Some(arena) = self.list.get(open.arena as usize) {
                match arena.word.claim(rows, self.layout.rows() as u16) {
                    Claimed::From(first) => return Some((open.arena as usize, first)),
                    // What is left may still serve smaller claims, as long as there is no other.
                    Claimed::NoRoom if self.free.count() == 0 => return None,
                    Claimed::NoRoom => self.close(open.arena as usize),
                    Claimed::NotOpen => {}
                }
            }
            if !self.replace(open) {
                return None;
            }
        }
    }

    fn close(&self, arena: usize) {
        match self.list[arena].word.close() {
            Close::Pending | Close::NotOpen => {}
            Close::Idle => self.free.give(arena),
        }
    }

    /// Puts a free arena in the place of one that takes no more; `false` if there is none.
    fn replace(&self, old: Open) -> bool {
        let is_replaced = || Open::unpack(self.open.load(Ordering::Acquire)) != old;
        let Some(arena) = self.free.take() else { return is_replaced() };
        let version = old.version.wrapping_add(1);
        self.list[arena].open(version.into());
        let new = Open { version, arena: arena as u32 };
        // Release: who sees it there sees it open. The version is what makes this fail if others have replaced `old`, even
        // by the same arena in a later life.
        if self.open.compare_exchange(old.pack(), new.pack(), Ordering::AcqRel, Ordering::Acquire).is_err() {
            // Somebody was faster. A claimer that was very slow may have claimed here meanwhile, so it is closed, not
            // simply given back.
            self.close(arena);
        }
        true
    }

    /// The arenas that have rows out, the oldest first.
    fn oldest_first(&self) -> impl Iterator<Item = usize> {
        let mut last = None;
        std::iter::from_fn(move || {
            let out = self.list.iter().enumerate().filter(|(_, arena)| arena.word.view().pending() > 0);
            let ages = out.map(|(index, arena)| (arena.opened(), index));
            last = ages.filter(|age| last.is_none_or(|last| *age > last)).min();
            last.map(|(_, index)| index)
        })
    }
}

/// What belongs to a committed claim: what the daemon attached, and how many rows it has.
type Attached<T> = Cell<Option<(T, u16)>>;

/// A lane. `T` is what the daemon attaches to a request when it commits it.
pub struct Lane<T> {
    arenas: Arc<Arenas>,
    /// Per arena and row: what belongs to the committed claim that begins there.
    cells: Box<[Attached<T>]>,
}

// SAFETY: a cell is written by the one committer of its claim and read by the one taker, which the Release and Acquire on
// `ready` order; the `T` in it moves from the first thread to the second, so it has to be `Send`, and is never shared.
unsafe impl<T: Send> Sync for Lane<T> {}
// SAFETY: as above; whoever has the lane alone may drop what is in its cells.
unsafe impl<T: Send> Send for Lane<T> {}

impl<T: Send> Lane<T> {
    /// A lane with an arena in each region: 1 to [`ARENAS_MAX`](crate::ARENAS_MAX), each at least
    /// [`Layout::arena_bytes`] long.
    pub fn new(layout: Layout, regions: Vec<Box<dyn Region>>) -> Arc<Lane<T>> {
        let cells = (0..regions.len() * layout.rows()).map(|_| Cell::new(None)).collect();
        Arc::new(Lane { arenas: Arc::new(Arenas::new(layout, regions)), cells })
    }

    /// How its rows lie.
    pub fn layout(&self) -> &Layout {
        &self.arenas.layout
    }

    /// Claims `rows` rows that lie one behind the other; `None` if no arena has so many left.
    pub fn claim(&self, rows: usize) -> Option<Claim> {
        let count = u16::try_from(rows).ok().filter(|&rows| rows > 0 && usize::from(rows) <= self.layout().rows())?;
        let (arena, first) = self.arenas.claim(count)?;
        Some(Claim::new(Arc::clone(&self.arenas), arena, first, count))
    }

    /// Says that the rows of a claim of this lane are filled, and what they belong to. Executors that sleep are not woken
    /// by this: several commits are best announced together.
    pub fn commit(&self, claim: Claim, attached: T) {
        assert!(claim.is_of(&self.arenas), "a claim is committed to the lane that it is of");
        let (arena, first, rows) = claim.into_place();
        // SAFETY: the claim was the only owner of this row, and nobody else looks at its cell before `ready` says so.
        self.cell(arena, first).with_mut(|cell| *unsafe { &mut *cell } = Some((attached, rows)));
        self.arenas.arena(arena).commit(first, rows);
    }

    /// Seals a batch of at most `rows_max` rows (a claim that has more comes alone): the longest run of committed rows of
    /// the oldest arena that has any. `judge` is asked about each request, and told how many rows the batch would have with it;
    /// those that it rejects go to `rejected`.
    pub fn take(
        self: &Arc<Self>,
        rows_max: usize,
        mut judge: impl FnMut(&T, usize) -> Verdict,
        mut rejected: impl FnMut(T),
    ) -> Option<Sealed<T>> {
        for index in self.arenas.oldest_first() {
            let arena = &self.arenas.list[index];
            // What is found may be taken or rejected before we have it; then there may be another run.
            while let Some(first) = arena.longest_run(rows_max) {
                match self.take_run(index as u16, first, rows_max, &mut judge, &mut rejected) {
                    Run::Taken(batch) => return Some(batch),
                    Run::Left => return None,
                    Run::Nothing => {}
                }
            }
        }
        None
    }

    fn take_run(
        self: &Arc<Self>,
        index: u16,
        first: u16,
        rows_max: usize,
        judge: &mut impl FnMut(&T, usize) -> Verdict,
        rejected: &mut impl FnMut(T),
    ) -> Run<T> {
        let arena = self.arenas.arena(index);
        let mut run = Sealed::new(Arc::clone(self), index, first..first);
        while usize::from(run.end()) < self.layout().rows() {
            let end = run.end();
            let rows = arena.committed(end);
            if rows == 0 {
                break;
            }
            if run.rows() > 0 && run.rows() + usize::from(rows) > rows_max {
                run.cut();
                break;
            }
            // Another taker may have been faster.
            let Some(rows) = arena.take(end) else { break };
            // It is the run's before it is judged: should that panic, the run's drop answers for it.
            run.grow(rows);
            // SAFETY: we have just taken this claim.
            let (attached, _) = unsafe { self.attached(index, end) };
            match judge(attached, run.rows()) {
                Verdict::Take => {}
                Verdict::Leave => {
                    run.shrink(rows);
                    arena.commit(end, rows);
                    return if run.rows() == 0 { Run::Left } else { Run::Taken(run) };
                }
                Verdict::Reject => {
                    run.shrink(rows);
                    // SAFETY: as above, and the run does not name it any more.
                    let (attached, _) = unsafe { self.detach(index, end) };
                    self.arenas.finish(index, rows);
                    rejected(attached);
                    break;
                }
            }
        }
        if run.rows() == 0 { Run::Nothing } else { Run::Taken(run) }
    }

    /// Takes out what is attached to the committed claim that begins at `row`, and its rows.
    ///
    /// # Safety
    ///
    /// The caller has taken the claim that begins there, and neither detached it nor finished its rows.
    pub(crate) unsafe fn detach(&self, arena: u16, row: u16) -> (T, u16) {
        // SAFETY: the caller owns the claim, and with it the cell, of which no reference is left.
        let cell = self.cell(arena, row).with_mut(|cell| unsafe { &mut *cell }.take());
        cell.expect("a claim that was taken was committed")
    }

    /// Looks at what is attached to the committed claim that begins at `row`.
    ///
    /// # Safety
    ///
    /// The caller has taken the claim that begins there, and while the reference lives, neither detaches it nor finishes
    /// its rows.
    pub(crate) unsafe fn attached(&self, arena: u16, row: u16) -> (&T, u16) {
        // SAFETY: the caller owns the claim, and with it the cell, which nobody writes meanwhile.
        let cell = self.cell(arena, row).with(|cell| unsafe { &*cell }.as_ref());
        let (attached, rows) = cell.expect("a claim that was taken was committed");
        (attached, *rows)
    }

    pub(crate) fn arenas(&self) -> &Arenas {
        &self.arenas
    }

    pub(crate) fn shared_arenas(&self) -> &Arc<Arenas> {
        &self.arenas
    }

    /// Rows that are claimed and not finished: received, committed, or running. Others may change it at any time.
    pub fn pending_rows(&self) -> usize {
        self.arenas.list.iter().map(|arena| usize::from(arena.word.view().pending())).sum()
    }

    /// Arenas of which nothing is claimed and that are not open.
    pub fn free_arenas(&self) -> usize {
        self.arenas.free.count()
    }

    /// Arenas, all of them.
    pub fn arena_count(&self) -> usize {
        self.arenas.list.len()
    }

    /// Whether something is committed and not taken; others may change it at any time.
    pub fn has_committed(&self) -> bool {
        self.arenas.list.iter().any(|arena| arena.longest_run(1).is_some())
    }

    /// Rows that are committed and not taken; others may change it at any time.
    pub fn committed_rows(&self) -> usize {
        self.arenas.list.iter().map(Arena::committed_rows).sum()
    }

    fn cell(&self, arena: u16, row: u16) -> &Attached<T> {
        &self.cells[usize::from(arena) * self.layout().rows() + usize::from(row)]
    }
}

enum Run<T: Send> {
    Taken(Sealed<T>),
    /// The first of it is to stay.
    Left,
    Nothing,
}

impl<T> std::fmt::Debug for Lane<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("arenas", &self.arenas).finish_non_exhaustive()
    }
}
