//! Memory that the daemon and a model's process both see. The only place here that touches bytes through addresses.
//!
//! | memory | made by | written by | read by | when |
//! | --- | --- | --- | --- | --- |
//! | an arena | the daemon's pool, which seals it against everybody else's writing | the daemon: the rows that requests are received into | the process, as a [`View`]: the rows of a run | from the message that asks for the run to the answer to it, and longer only if the answer says so, until it is said to be released |
//! | the area for inputs, an [`Area`] of one instance | the daemon, sealed likewise | the daemon, between runs | the process, as a [`View`] | the same; a kept one is given up, and a new one made |
//! | the areas for outputs, an [`Area`] of one instance each | the daemon | the process, as a [`Desk`], during a run | the daemon, which *copies* behind the answer what the answer names, and never refers to it | until the next run |
//!
//! All of it is sealed against becoming shorter, so no access faults. Of what the daemon reads here, nothing is believed: it is
//! the elements of outputs, whatever they are, copied once. A process that breaks these rules spoils its own answers; it cannot
//! write inputs, and of the daemon nothing but its areas for outputs.

use crate::budget::{Budget, Counted};
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

/// The smallest area: small enough to be had for every instance.
const AREA_BYTES_MIN: usize = 64 << 10;
/// As large as a page is on any machine.
const PAGE_BYTES: usize = 64 << 10;
/// The largest area that is kept when its run is over. Both sides go by it, without a word.
const AREA_KEPT_BYTES_MAX: usize = 16 << 20;
/// What an instance has of them between its runs, at the most: for inputs, for outputs, and for those that are lent.
pub const AREAS_BYTES_MAX: usize = 3 * AREA_KEPT_BYTES_MAX;
/// Where elements begin in an area: as in run buffers, which frameworks are used to.
pub(crate) const ALIGN: usize = 256;

/// Whether an area of so many bytes is for the next run, too.
pub(crate) fn is_for_next_run(bytes: usize) -> bool {
    bytes <= AREA_KEPT_BYTES_MAX
}

/// A part of the budget, or why there is none. /// What is smaller than the smallest area is not counted.
pub(crate) fn counted(budget: &dyn Budget, bytes: usize) -> io::Result<Option<Counted>> {
    if bytes <= AREA_BYTES_MIN {
        return Ok(None);
    }
    budget.count(bytes).map(Some).map_err(io::Error::other)
}

/// Bytes that were copied out of an area, and their part of the budget unless they are few.
#[derive(Debug)]
pub(crate) struct Copied {
    bytes: Vec<u8>,
    _counted: Option<Counted>,
}

impl Copied {
    /// So many zeros to be written.
    pub fn new(bytes: usize, budget: &dyn Budget) -> io::Result<Copied> {
        let mut copied = Copied { bytes: Vec::new(), _counted: counted(budget, bytes)? };
        copied.bytes.try_reserve_exact(bytes)?;
        copied.bytes.resize(bytes, 0);
        Ok(copied)
    }

    /// Where they go.
    pub fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Copied {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Memory of one instance, on the daemon's side.
#[derive(Debug)]
pub(crate) struct Area {
    memory: MmapRaw,
    descriptor: OwnedFd,
    /// Behind the mapping, which is gone before others have its bytes.
    _counted: Option<Counted>,
}

impl Area {
    /// Memory of at least so many bytes that the process can only read. What is for one run alone is counted in the budget.
    pub fn to_be_read(bytes: usize, budget: &dyn Budget) -> io::Result<Area> {
        Area::new(bytes, SealFlags::FUTURE_WRITE, budget)
    }

    /// The same that the process writes.
    pub fn to_be_written(bytes: usize, budget: &dyn Budget) -> io::Result<Area> {
        Area::new(bytes, SealFlags::empty(), budget)
    }

    fn new(bytes: usize, seals: SealFlags, budget: &dyn Budget) -> io::Result<Area> {
        // One that is kept is to do for somewhat more.
        let rounded = if is_for_next_run(bytes) {
            bytes.max(AREA_BYTES_MIN).checked_next_power_of_two()
        } else {
            bytes.checked_next_multiple_of(PAGE_BYTES)
        };
        let bytes = rounded.ok_or(io::ErrorKind::OutOfMemory)?;
        let counted = if is_for_next_run(bytes) { None } else { counted(budget, bytes)? };
        let descriptor = memfd_create("graphpiped-area", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&descriptor, bytes as u64)?;
        let memory = MmapOptions::new().len(bytes).map_raw(&descriptor)?;
        // Behind the mapping, which writes.
        fcntl_add_seals(&descriptor, seals | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(Area { memory, descriptor, _counted: counted })
    }

    /// What the process needs to map it.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// How long it is.
    pub fn bytes(&self) -> usize {
        self.memory.len()
    }

    /// Copies bytes into it. Panics if they do not fit there.
    pub fn write(&mut self, start: usize, bytes: &[u8]) {
        let to = place(&self.memory, &(start..start + bytes.len()));
        // SAFETY: `place` has compared the range with the mapping, which is valid for writes of all of it; the slice is
        // memory of this process, which the mapping is not a part of. Nobody reads there now: the process reads an area only
        // during a run, and this has the one handle of it by `&mut`, between runs.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
    }

    /// Copies bytes out of it, whatever they are. Panics if they do not lie there.
    pub fn read(&self, start: usize, into: &mut [u8]) {
        let from = place(&self.memory, &(start..start + into.len()));
        // SAFETY: `place` has compared the range with the mapping, which is valid for reads of all of it and whose bytes are
        // initialised (a memfd begins as zeros); `into` is memory of this process and borrowed by `&mut`. The process does
        // not write there behind its answer; if it does nevertheless, the copy has some of these bytes and some of those,
        // and no reference has ever seen them change.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr(), into.len()) };
    }
}

/// Memory that the process reads, on its side.
#[derive(Debug)]
pub(crate) struct View(MmapRaw);

impl View {
    /// Maps so many bytes to be read.
    pub fn of(descriptor: &OwnedFd, bytes: usize) -> io::Result<View> {
        has(descriptor, bytes)?;
        Ok(View(MmapOptions::new().len(bytes).map_raw_read_only(descriptor)?))
    }

    /// How long it is.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// A part of it; `None` if there is no such part.
    ///
    /// # Safety
    ///
    /// Nobody writes these bytes before the reference ends. The daemon does not before it has the answer to the run that names
    /// them, or what was kept is released.
    pub unsafe fn part(&self, range: &Range<usize>) -> Option<&[u8]> {
        let start = (range.end <= self.0.len()).then(|| place(&self.0, range))?;
        // SAFETY: the range lies in the mapping (just compared), is initialised, and is not written, as the caller promises.
        Some(unsafe { std::slice::from_raw_parts(start.as_ptr(), range.len()) })
    }
}

/// Memory that the process writes, on its side.
#[derive(Debug)]
pub(crate) struct Desk(MmapRaw);

impl Desk {
    /// Maps so many bytes to be written.
    pub fn of(descriptor: &OwnedFd, bytes: usize) -> io::Result<Desk> {
        has(descriptor, bytes)?;
        Ok(Desk(MmapOptions::new().len(bytes).map_raw(descriptor)?))
    }

    /// How long it is.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Disjoint parts of it, in their order; `None` if there are no such parts.
    pub fn parts(&mut self, ranges: impl Iterator<Item = Option<Range<usize>>>) -> Option<Vec<Option<&mut [u8]>>> {
        let mut end = 0;
        let part = |range: Option<Range<usize>>| {
            let Some(range) = range.filter(|range| !range.is_empty()) else { return Some(None) };
            let start = (end <= range.start && range.end <= self.0.len()).then(|| place(&self.0, &range))?;
            end = range.end;
            // SAFETY: the range lies in the mapping and behind all that were handed out before (just compared), so nothing
            // else in this process refers to it while `self` is borrowed; it is initialised. The daemon only reads it, and
            // only behind the answer, when this reference has ended.
            Some(Some(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), range.len()) }))
        };
        ranges.map(part).collect()
    }
}

/// That a memfd has what it is said to have: beyond its end, an access would be a fault.
fn has(descriptor: &OwnedFd, bytes: usize) -> io::Result<()> {
    let size = fstat(descriptor)?.st_size;
    if usize::try_from(size).is_ok_and(|size| size >= bytes) { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Where a range of a mapping begins.
fn place(memory: &MmapRaw, range: &Range<usize>) -> NonNull<u8> {
    assert!(range.start <= range.end && range.end <= memory.len(), "{range:?} is not within {} bytes", memory.len());
    let base = NonNull::new(memory.as_mut_ptr()).expect("no mapping begins at the address 0");
    // SAFETY: the offset lies within the mapping, which is one object of that many bytes.
    unsafe { base.add(range.start) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::tests::Bytes;

    #[test]
    fn what_one_side_writes_the_other_one_reads() {
        let mut inputs = Area::to_be_read(100_000, &Bytes::new(0)).expect("memory");
        assert_eq!(inputs.bytes(), 131_072);
        inputs.write(99_997, b"abc");
        let copy = inputs.descriptor().try_clone_to_owned().expect("a descriptor");
        let view = View::of(&copy, inputs.bytes()).expect("it can be read");
        // SAFETY: nobody writes any more.
        assert_eq!(unsafe { view.part(&(99_996..100_001)) }, Some(&b"\0abc\0"[..]));
        // SAFETY: as above.
        assert_eq!(unsafe { view.part(&(131_000..131_073)) }, None);
        assert!(Desk::of(&copy, inputs.bytes()).is_err(), "nobody but the daemon writes inputs");
        assert!(View::of(&copy, inputs.bytes() + 1).is_err(), "there are not so many bytes");

        let outputs = Area::to_be_written(1, &Bytes::new(0)).expect("memory");
        let copy = outputs.descriptor().try_clone_to_owned().expect("a descriptor");
        let mut desk = Desk::of(&copy, outputs.bytes()).expect("it can be written");
        let mut parts = desk.parts([Some(0..2), None, Some(2..2), Some(256..259)].into_iter()).expect("they are there");
        parts[3].as_mut().expect("a part").copy_from_slice(b"xyz");
        assert!(parts[1].is_none() && parts[2].is_none());
        assert!(desk.parts([Some(0..2), Some(1..3)].into_iter()).is_none(), "they overlap");
        assert!(desk.parts([Some(0..65_537)].into_iter()).is_none());
        let mut read = [0; 4];
        outputs.read(255, &mut read);
        assert_eq!(&read, b"\0xyz");
    }

    #[test]
    #[should_panic(expected = "is not within 65536 bytes")]
    fn nothing_is_read_beyond_an_area() {
        Area::to_be_written(1, &Bytes::new(0)).expect("memory").read(65_535, &mut [0; 2]);
    }

    #[test]
    fn what_is_for_one_run_alone_is_counted_while_it_is_there() {
        const MIB: usize = 1 << 20;
        let budget = Bytes::new(40 * MIB);
        let resting = Area::to_be_written(16 * MIB, &budget).expect("memory");
        assert_eq!(budget.left(), 40 * MIB, "whoever makes instances has counted it");
        let large = Area::to_be_read(17 * MIB, &budget).expect("memory");
        assert_eq!((large.bytes(), budget.left()), (17 * MIB, 23 * MIB));
        let refused = Area::to_be_written(24 * MIB, &budget).expect_err("there is no more").to_string();
        assert_eq!(refused, "25165824 of 24117248");
        let copied = Copied::new(20 * MIB, &budget).expect("memory");
        assert_eq!((copied.as_ref().len(), budget.left()), (20 * MIB, 3 * MIB));
        assert!(Copied::new(5 * MIB, &budget).is_err());
        assert!(Copied::new(65_536, &Bytes::new(0)).is_ok(), "a few bytes are not counted");
        drop((resting, large, copied));
        assert_eq!(budget.left(), 40 * MIB);
    }
}
