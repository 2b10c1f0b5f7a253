//! Memory for an arena that one other process reads as well: where it comes from, and what keeps it from being more than
//! that.
//!
//! It is a memfd of its own, so whoever gets its descriptor sees this arena and nothing else. Once it is mapped here it is
//! sealed: nobody can make it shorter, so no access faults; and nobody but this one mapping can ever write it, whatever
//! the other process does. So it is to the daemon as private as an anonymous mapping, and to the other process read-only.

use crate::block::HUGE_BYTES;
use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use std::io;
use std::os::fd::OwnedFd;

/// Memory that is about to become an arena, for whoever lets the other process have it.
#[derive(Debug)]
pub struct Shareable {
    /// To be sent to that process, which can map it to be read.
    pub descriptor: OwnedFd,
    /// Where the arena begins in this process.
    pub address: usize,
    /// How long it is.
    pub bytes: usize,
}

/// What is dropped when the arena goes, before it is unmapped: whoever shared it then takes it back.
pub type Companion = Box<dyn Send + Sync>;

/// Maps a memfd of so many bytes, all of them resident, and seals it.
pub(crate) fn map_shared(bytes: u64) -> io::Result<(MmapRaw, Shareable)> {
    let length = usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let descriptor = memfd_create("graphpiped-arena", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&descriptor, bytes)?;
    let memory = MmapOptions::new().len(length).map_raw(&descriptor)?;
    if bytes >= HUGE_BYTES {
        // A kernel built without huge pages refuses the advice; the memory serves as well, only somewhat slower.
        let _ = memory.advise(Advice::HugePage);
    }
    // As for other arenas: receiving into memory that is not resident yet costs more than twice as much.
    memory.advise(Advice::PopulateWrite)?;
    // In this order: a memfd that nobody may write any more cannot be mapped to be written.
    fcntl_add_seals(&descriptor, SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL)?;
    let address = memory.as_ptr().addr();
    Ok((memory, Shareable { descriptor, address, bytes: length }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;
    use graphpiped_batch::{Lane, Layout, Region, Verdict};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;

    /// Says when it is dropped.
    struct Flag(Arc<AtomicBool>);

    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_other_process_sees_what_is_received_and_can_change_nothing() {
        let pool = Pool::new(1 << 20);
        let (send, receive) = channel();
        let layout = Layout::new(4, &[100]).unwrap();
        let mapping = pool.set_aside_shared(layout.arena_bytes(), &mut |shareable| {
            send.send(shareable).unwrap();
            Box::new(())
        });
        let shared = receive.recv().unwrap();
        let lane = Lane::new(layout, vec![Box::new(mapping.unwrap()) as Box<dyn Region>]);
        let mut claim = lane.claim(1).unwrap();
        claim.slice_mut(0..100).fill(7);
        lane.commit(claim, ());
        let batch = lane.take(4, |(), _| Verdict::Take, drop).unwrap();
        assert_eq!(batch.column(0).as_ptr().addr(), shared.address, "it is the first row of the first column");
        // What any process that has the descriptor can do with it.
        let mut seen = [0; 100];
        rustix::io::pread(&shared.descriptor, &mut seen, 0).unwrap();
        assert_eq!(seen, [7; 100]);
        assert!(MmapOptions::new().len(shared.bytes).map_raw_read_only(&shared.descriptor).is_ok());
        assert!(MmapOptions::new().len(shared.bytes).map_raw(&shared.descriptor).is_err(), "to be written");
        assert!(rustix::io::pwrite(&shared.descriptor, &[1], 0).is_err());
        assert!(ftruncate(&shared.descriptor, 0).is_err());
        assert!(fcntl_add_seals(&shared.descriptor, SealFlags::WRITE).is_err());
    }

    #[test]
    fn it_counts_as_any_arena_and_its_companion_goes_with_it() {
        let pool = Pool::new(1 << 20);
        let is_gone = Arc::new(AtomicBool::new(false));
        let companion = Arc::clone(&is_gone);
        let mapping = pool.set_aside_shared(10_000, &mut |shareable| {
            assert_eq!(shareable.bytes, 12_288);
            Box::new(Flag(companion.clone()))
        });
        let stats = pool.stats();
        assert_eq!((stats.mapped_bytes, stats.set_aside_bytes), (12_288, 12_288));
        assert!(!is_gone.load(Ordering::Relaxed));
        drop(mapping);
        assert!(is_gone.load(Ordering::Relaxed));
        assert_eq!((pool.mapped_bytes(), pool.stats().set_aside_bytes), (0, 0));
        assert!(pool.set_aside_shared(2 << 20, &mut |_| panic!("there is none")).is_err());
    }

    #[test]
    fn all_of_it_is_zero_and_resident() {
        let (memory, shared) = map_shared(1 << 16).unwrap();
        let status = rustix::fs::fstat(&shared.descriptor).unwrap();
        assert_eq!((memory.len(), status.st_size, status.st_blocks * 512), (1 << 16, 1 << 16, 1 << 16));
    }
}
