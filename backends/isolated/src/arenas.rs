//! The arenas that a model's process reads, by the addresses that they have in the daemon: whether elements lie in one decides
//! whether they are copied.

use arc_swap::ArcSwap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// One arena.
#[derive(Debug)]
pub(crate) struct Arena {
    /// What the process knows it as. Never used twice.
    pub id: u64,
    /// Where it begins in the daemon.
    pub address: usize,
    /// How long it is.
    pub bytes: usize,
    /// What another process needs to read it.
    pub descriptor: OwnedFd,
}

/// All of them, in the order of their addresses. Read by every run, without a lock; replaced by whoever holds the lock of the
/// model's life.
#[derive(Debug, Default)]
pub(crate) struct Arenas(ArcSwap<Vec<Arc<Arena>>>);

impl Arenas {
    /// Adds one. None of the others lies where it does: they are mapped, all of them.
    pub fn add(&self, arena: Arc<Arena>) {
        let mut all = self.all();
        let at = all.partition_point(|other| other.address < arena.address);
        all.insert(at, arena);
        self.0.store(Arc::new(all));
    }

    /// Removes one, which is still mapped.
    pub fn remove(&self, id: u64) {
        let mut all = self.all();
        all.retain(|arena| arena.id != id);
        self.0.store(Arc::new(all));
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Vec<Arc<Arena>> {
        self.0.load().to_vec()
    }

    /// The arena that these bytes lie in, and where they begin there.
    pub fn find(&self, bytes: &[u8]) -> Option<(u64, usize)> {
        let all = self.0.load();
        let address = bytes.as_ptr().addr();
        let at = all.partition_point(|arena| arena.address <= address).checked_sub(1)?;
        let arena = &all[at];
        let start = address - arena.address;
        (start.checked_add(bytes.len())? <= arena.bytes).then_some((arena.id, start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arena(id: u64, memory: &[u8]) -> Arc<Arena> {
        let descriptor = std::fs::File::open("/dev/null").expect("Linux").into();
        Arc::new(Arena { id, address: memory.as_ptr().addr(), bytes: memory.len(), descriptor })
    }

    #[test]
    fn bytes_are_found_in_the_arena_that_has_all_of_them() {
        let memory = [0_u8; 300];
        let arenas = Arenas::default();
        assert_eq!(arenas.find(&memory), None);
        arenas.add(arena(2, &memory[200..]));
        arenas.add(arena(1, &memory[50..150]));
        assert_eq!(arenas.find(&memory[50..150]), Some((1, 0)));
        assert_eq!(arenas.find(&memory[149..150]), Some((1, 99)));
        assert_eq!(arenas.find(&memory[210..300]), Some((2, 10)));
        for outside in [&memory[49..60], &memory[100..151], &memory[160..170], &memory[190..210], &memory[..10]] {
            assert_eq!(arenas.find(outside), None);
        }
    }

    #[test]
    fn what_was_removed_is_not_found() {
        let memory = [0_u8; 100];
        let arenas = Arenas::default();
        arenas.add(arena(1, &memory[..50]));
        arenas.add(arena(2, &memory[50..]));
        arenas.remove(1);
        assert_eq!((arenas.find(&memory[..50]), arenas.find(&memory[60..])), (None, Some((2, 10))));
    }
}
