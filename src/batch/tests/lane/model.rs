//! A lane as plainly as it can be said: lists of claims, one thread, no memory. What the real one is compared with.

use graphpiped_batch::Verdict;

/// Where a claim is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Claimed,
    Committed,
    Sealed,
    Done,
}

#[derive(Debug)]
struct Entry {
    id: usize,
    rows: usize,
    stage: Stage,
}

/// A life of an arena: its claims, in the order of their rows.
#[derive(Debug, Default)]
struct Arena {
    is_open: bool,
    /// When it was opened.
    turn: usize,
    entries: Vec<Entry>,
}

impl Arena {
    fn claimed(&self) -> usize {
        self.entries.iter().map(|entry| entry.rows).sum()
    }

    fn pending(&self) -> usize {
        self.entries.iter().filter(|entry| entry.stage != Stage::Done).map(|entry| entry.rows).sum()
    }

    fn is_free(&self) -> bool {
        !self.is_open && self.entries.is_empty()
    }

    /// A life ends when all that was claimed is done.
    fn settle(&mut self) {
        if self.pending() == 0 {
            self.entries.clear();
        }
    }

    /// The place of the first entry of the first run of committed entries that has `rows_max` rows, or else of the
    /// longest.
    fn best_run(&self, rows_max: usize) -> Option<usize> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let mut is_within = false;
        for (place, entry) in self.entries.iter().enumerate() {
            if entry.stage == Stage::Committed {
                if !is_within {
                    runs.push((place, 0));
                }
                runs.last_mut().unwrap().1 += entry.rows;
            }
            is_within = entry.stage == Stage::Committed;
        }
        let longest = runs.iter().map(|run| run.1.min(rows_max)).max()?;
        runs.iter().find(|run| run.1 >= longest).map(|run| run.0)
    }
}

/// What a take comes to: the requests of the batch with their rows, and those that were rejected.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub batch: Vec<(usize, usize)>,
    pub rejected: Vec<usize>,
}

#[derive(Debug)]
pub struct Model {
    rows: usize,
    arenas: Vec<Arena>,
    /// The one that takes claims.
    open: Option<usize>,
    turn: usize,
}

impl Model {
    pub fn new(arenas: usize, rows: usize) -> Model {
        Model { rows, arenas: (0..arenas).map(|_| Arena::default()).collect(), open: None, turn: 0 }
    }

    /// Whether the claim, which would have this number, finds room.
    pub fn claim(&mut self, id: usize, rows: usize) -> bool {
        if rows == 0 || rows > self.rows {
            return false;
        }
        let has_room = |arena: &Arena, limit| arena.is_open && arena.claimed() + rows <= limit;
        let place = if let Some(open) = self.open.filter(|&open| has_room(&self.arenas[open], self.rows)) {
            open
        } else {
            let Some(next) = self.arenas.iter().position(Arena::is_free) else { return false };
            if let Some(old) = self.open.replace(next) {
                self.arenas[old].is_open = false;
            }
            self.turn += 1;
            (self.arenas[next].is_open, self.arenas[next].turn) = (true, self.turn);
            next
        };
        self.arenas[place].entries.push(Entry { id, rows, stage: Stage::Claimed });
        true
    }

    pub fn commit(&mut self, id: usize) {
        self.set(id, Stage::Claimed, Stage::Committed);
    }

    pub fn void(&mut self, id: usize) {
        self.set(id, Stage::Claimed, Stage::Done);
    }

    /// The requests of a batch, or of a half of one, have ended together.
    pub fn end(&mut self, ids: impl IntoIterator<Item = usize>) {
        for id in ids {
            self.set(id, Stage::Sealed, Stage::Done);
        }
    }

    pub fn take(&mut self, rows_max: usize, judge: impl Fn(usize) -> Verdict) -> Taken {
        let mut taken = Taken::default();
        if rows_max == 0 {
            return taken;
        }
        let mut by_age: Vec<usize> = (0..self.arenas.len()).filter(|&index| self.arenas[index].pending() > 0).collect();
        by_age.sort_by_key(|&index| self.arenas[index].turn);
        for index in by_age {
            while let Some(first) = self.arenas[index].best_run(rows_max) {
                let is_left = self.take_run(index, first, rows_max, &judge, &mut taken);
                if is_left || !taken.batch.is_empty() {
                    return taken;
                }
            }
        }
        taken
    }

    /// Whether the first one was left.
    fn take_run(
        &mut self,
        index: usize,
        first: usize,
        rows_max: usize,
        judge: impl Fn(usize) -> Verdict,
        taken: &mut Taken,
    ) -> bool {
        let arena = &mut self.arenas[index];
        let mut sum = 0;
        for entry in &mut arena.entries[first..] {
            let is_too_long = sum > 0 && sum + entry.rows > rows_max;
            if entry.stage != Stage::Committed || is_too_long {
                break;
            }
            match judge(entry.id) {
                Verdict::Take => {
                    entry.stage = Stage::Sealed;
                    sum += entry.rows;
                    taken.batch.push((entry.id, entry.rows));
                }
                Verdict::Leave => return sum == 0,
                Verdict::Reject => {
                    entry.stage = Stage::Done;
                    taken.rejected.push(entry.id);
                    break;
                }
            }
        }
        arena.settle();
        false
    }

    pub fn pending_rows(&self) -> usize {
        self.arenas.iter().map(Arena::pending).sum()
    }

    pub fn free_arenas(&self) -> usize {
        self.arenas.iter().filter(|arena| arena.is_free()).count()
    }

    pub fn has_committed(&self) -> bool {
        self.arenas.iter().flat_map(|arena| &arena.entries).any(|entry| entry.stage == Stage::Committed)
    }

    fn set(&mut self, id: usize, from: Stage, to: Stage) {
        for arena in &mut self.arenas {
            // Numbers are given once, so at most one arena has it.
            if let Some(entry) = arena.entries.iter_mut().find(|entry| entry.id == id) {
                assert_eq!(entry.stage, from, "request {id}");
                entry.stage = to;
                if to == Stage::Done {
                    arena.settle();
                }
                return;
            }
        }
        panic!("there is no request {id}");
    }
}
