//! Memory for one arena: set aside once, shared by those who hold its rows, unmapped with the lane that has it.
//!
//! Not a [`Buffer`](crate::Buffer): many write into it at once, each into rows of its own. Who may touch which bytes is
//! what the lane decides; here is only where the bytes come from and that they stay.

use crate::block::map_anonymous;
use crate::class::PAGE_BYTES;
use crate::pool::SetAside;
use crate::shared::{Companion, Shareable, map_shared};
use crate::{BASE_ALIGN, Limit};
use graphpiped_batch::Region;
use memmap2::MmapRaw;
use std::ptr::NonNull;

/// Memory for one arena, from [`Pool::set_aside`](crate::Pool::set_aside) or
/// [`Pool::set_aside_shared`](crate::Pool::set_aside_shared). Dropping it unmaps it and gives its part of the budget back.
pub struct Mapping {
    // Fields drop in this order: nobody is told of an address where something else may be mapped already, and the budget has
    // room again only when the memory is gone.
    /// Of an arena that another process reads.
    _companion: Option<Companion>,
    memory: MmapRaw,
    set_aside: SetAside,
}

impl Mapping {
    /// Makes the mapping that has been counted.
    pub(crate) fn new(set_aside: SetAside) -> Result<Mapping, Limit> {
        let mut memory = map_anonymous(set_aside.bytes()).map_err(|_| Limit::System)?;
        assert!(
            memory.as_ptr().addr().is_multiple_of(BASE_ALIGN),
            "mappings begin at pages, and pages are aligned to more"
        );
        // Receiving into memory that is not resident yet costs 2.4-2.8 times as much, so it is made resident here. The
        // advice for huge pages has been given, so one touch brings 2 MiB where the system has them. `MAP_POPULATE`
        // would fault in small pages, before any advice.
        for page in memory.chunks_mut(PAGE_BYTES as usize) {
            page[0] = 0;
        }
        Ok(Mapping { _companion: None, memory: MmapRaw::from(memory), set_aside })
    }

    /// Makes the mapping that has been counted, and lets `share` have what another process needs to read it.
    pub(crate) fn shared(set_aside: SetAside, share: &mut dyn FnMut(Shareable) -> Companion) -> Result<Mapping, Limit> {
        let (memory, shareable) = map_shared(set_aside.bytes()).map_err(|_| Limit::System)?;
        assert!(
            memory.as_ptr().addr().is_multiple_of(BASE_ALIGN),
            "mappings begin at pages, and pages are aligned to more"
        );
        let companion = share(shareable);
        Ok(Mapping { _companion: Some(companion), memory, set_aside })
    }
}

#[expect(unsafe_code, reason = "a lane dereferences what a region promises, and the promise cannot be checked")]
// SAFETY: `base` is where a mapping begins, aligned to `BASE_ALIGN` (256, asserted in both constructors); it is readable
// and writable over the `bytes` bytes that were mapped, and stays so until `memory` drops with the value (there is no file
// behind it, or a memfd that is sealed, which cannot be truncated). Nobody else writes them: an anonymous mapping is
// private, and a memfd with the seal FUTURE_WRITE is written through the one mapping that was made before, which is this.
// What another process reads there, it reads in memory of its own. Here nobody else reads or writes them either:
// `Mapping::new` ended its one borrow of the bytes when it turned it into a `MmapRaw`, which makes no references, the
// field is private, and the address that a `Shareable` says is a number, to compare others with.
unsafe impl Region for Mapping {
    fn base(&self) -> NonNull<u8> {
        NonNull::new(self.memory.as_mut_ptr()).expect("no mapping begins at the address 0")
    }

    fn bytes(&self) -> usize {
        self.memory.len()
    }
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the content: it is the requests of many.
        f.debug_struct("Mapping").field("bytes", &self.set_aside.bytes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;
    use std::os::unix::fs::FileExt;

    const MIB: usize = 1 << 20;

    /// How many of the system's pages of these bytes are resident, by the kernel's own account.
    fn resident_pages(address: usize, bytes: usize) -> usize {
        let page_bytes = rustix::param::page_size();
        let mut entries = vec![0; bytes / page_bytes * 8];
        let pagemap = std::fs::File::open("/proc/self/pagemap").unwrap();
        pagemap.read_exact_at(&mut entries, (address / page_bytes * 8) as u64).unwrap();
        // Bits 63 and 62 of each page's eight bytes, "present" and "swapped": Documentation/admin-guide/mm/pagemap.rst
        // of Linux. What has gone to the swap was resident before.
        entries.chunks_exact(8).filter(|entry| entry[7] & 0xc0 != 0).count()
    }

    /// Whether the kernel has noted the advice for huge pages at this address.
    fn is_advised(address: usize) -> bool {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_here = false;
        for line in smaps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let bounds = range.map(|(start, end)| (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16)));
            if let Some((Ok(start), Ok(end))) = bounds {
                is_here = (start..end).contains(&address);
            } else if let (true, Some(flags)) = (is_here, line.strip_prefix("VmFlags:")) {
                return flags.split_whitespace().any(|flag| flag == "hg");
            }
        }
        panic!("nothing is mapped at {address:#x}");
    }

    #[test]
    fn what_is_set_aside_is_resident_and_a_fresh_buffer_is_not() {
        let pool = Pool::new(64 << 20);
        for bytes in [1 << 16, 3 * MIB + (1 << 16)] {
            let mapping = pool.set_aside(bytes).unwrap();
            let pages = bytes / rustix::param::page_size();
            assert_eq!(resident_pages(mapping.base().addr().get(), bytes), pages);
            let mut buffer = pool.reserve(bytes).unwrap();
            assert_eq!(resident_pages(buffer.as_mut_ptr().addr(), bytes), 0);
        }
    }

    #[test]
    fn huge_pages_are_asked_for_from_their_size_on() {
        let pool = Pool::new(64 << 20);
        let small = pool.set_aside(2 * MIB - 4096).unwrap();
        assert!(!is_advised(small.base().addr().get()));
        // A kernel without huge pages takes no note.
        let has_huge_pages = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
        let large = pool.set_aside(2 * MIB).unwrap();
        assert_eq!(is_advised(large.base().addr().get()), has_huge_pages);
    }

    #[test]
    fn it_is_aligned_and_has_at_least_what_was_asked_for() {
        let pool = Pool::new(64 << 20);
        for (wanted, given) in [(0, 4096), (1, 4096), (4096, 4096), (4097, 8192), (5_000_000, 5_001_216)] {
            let mapping = pool.set_aside(wanted).unwrap();
            assert!(mapping.base().addr().get().is_multiple_of(256));
            assert_eq!(mapping.bytes(), given);
        }
    }

    #[test]
    fn it_counts_as_mapped_until_it_is_dropped() {
        let pool = Pool::new(64 << 20);
        let mapping = pool.set_aside(10_000).unwrap();
        let stats = pool.stats();
        assert_eq!((stats.mapped_bytes, stats.set_aside_bytes, stats.in_use_bytes), (12_288, 12_288, 0));
        assert_eq!((stats.mapped_total, stats.idle_blocks), (0, 0), "it is not a block");
        drop(mapping);
        let stats = pool.stats();
        assert_eq!((stats.mapped_bytes, stats.set_aside_bytes), (0, 0));
    }

    #[test]
    fn it_outlives_the_handles_of_its_pool() {
        let pool = Pool::new(MIB as u64);
        let mapping = pool.set_aside(4096).unwrap();
        drop(pool);
        assert_eq!(resident_pages(mapping.base().addr().get(), mapping.bytes()), 4096 / rustix::param::page_size());
    }

    #[test]
    fn idle_blocks_make_room_and_blocks_in_use_do_not() {
        let pool = Pool::new(MIB as u64);
        let held = pool.reserve(MIB / 2).unwrap();
        drop(pool.reserve(MIB / 4).unwrap());
        let _mapping = pool.set_aside(MIB / 2).unwrap();
        assert_eq!((pool.stats().idle_blocks, pool.mapped_bytes()), (0, MIB as u64));
        let refused = pool.set_aside(1).unwrap_err();
        assert_eq!((refused.limit, refused.in_use_bytes, refused.wanted_bytes), (Limit::Budget, MIB as u64, 1));
        assert_eq!(pool.reserve(1).unwrap_err().in_use_bytes, MIB as u64);
        drop(held);
        assert!(pool.set_aside(MIB / 2).is_ok());
        assert_eq!(pool.stats().exhausted_total, 2);
    }

    #[test]
    fn what_can_never_fit_evicts_nothing() {
        let pool = Pool::new(MIB as u64);
        drop(pool.reserve(4096).unwrap());
        let refused = pool.set_aside(MIB + 1).unwrap_err();
        assert!(refused.to_string().ends_with("has 1048576 bytes in all; raise --memory"), "{refused}");
        assert!(pool.set_aside(usize::MAX).is_err());
        assert_eq!(pool.stats().idle_blocks, 1);
    }

    #[test]
    fn what_the_system_refuses_is_not_counted() {
        // 2^50 bytes are more than a process can address on any machine with 47 or 48 bits of addresses.
        let pool = Pool::new(1 << 60);
        assert_eq!(pool.set_aside(1 << 50).unwrap_err().limit, Limit::System);
        assert_eq!((pool.mapped_bytes(), pool.stats().set_aside_bytes), (0, 0));
    }

    #[test]
    fn its_debug_form_does_not_show_the_content() {
        assert_eq!(format!("{:?}", Pool::new(4096).set_aside(1).unwrap()), "Mapping { bytes: 4096, .. }");
    }
}
