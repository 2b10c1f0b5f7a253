//! Memory for arenas, out of the allocator. What the tests of the lane and its models share.

use graphpiped_batch::{BASE_ALIGN, Layout, Region};
use std::alloc;
use std::ptr::NonNull;

struct Heap {
    base: NonNull<u8>,
    layout: alloc::Layout,
}

impl Heap {
    fn new(bytes: usize) -> Heap {
        // The allocator gives nothing for no bytes.
        let layout = alloc::Layout::from_size_align(bytes.max(1), BASE_ALIGN).unwrap();
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        Heap { base: NonNull::new(base).expect("memory for a test"), layout }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: it came from the same allocator with the same layout, and whoever had references to it has dropped us.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) }
    }
}

// SAFETY: it is memory like that of a `Box<[u8]>`, and this type makes no reference to it.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

// SAFETY: the allocation stays where it is until the drop, is aligned to `BASE_ALIGN`, as long as it says, and zeroed; the
// address is given to the arena alone.
unsafe impl Region for Heap {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn bytes(&self) -> usize {
        self.layout.size()
    }
}

/// Memory for `arenas` arenas.
pub fn regions(layout: &Layout, arenas: usize) -> Vec<Box<dyn Region>> {
    (0..arenas).map(|_| Box::new(Heap::new(layout.arena_bytes())) as Box<dyn Region>).collect()
}
