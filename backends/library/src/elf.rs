//! What a shared library tells before the dynamic linker maps it: for which machine it is, and whether all of it is there. Of a
//! library for another machine the linker says that there is no such file; and one that is cut short ends the process, by SIGBUS
//! and without a word, as soon as something is touched that is not there.
//!
//! ```text
//! header ──► table of segments ──► what is mapped        its end is compared with the file's
//!                              └─► the dynamic section ──► names of libraries that it needs: those beside it are looked at, too
//! ```
//!
//! Only what the linker could not load is refused, but for a neighbour that is spoilt while it has another one of that name: by
//! `LD_LIBRARY_PATH`, or because somebody has loaded it. What cannot be read, or is of a kind that is not known here, is left to the linker's words. Every number that is read is an offset
//! into the file, where a read beyond its end fails.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Why this program cannot load a file, if the file tells.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let Some(library) = Elf::open(path)? else { return Ok(()) };
    let own = Elf::open(Path::new("/proc/self/exe")).ok().flatten().map(|own| own.target);
    if let Some(own) = own.filter(|own| *own != library.target) {
        return Err(format!("it is for {}, and this program is for {own}", library.target));
    }
    library.is_whole()?;
    // Whoever ended the copy of a folder has cut its last file, which need not be the one that is asked for.
    for name in library.needs_from_its_folder() {
        let beside =
            Elf::open(&path.with_file_name(&name)).and_then(|beside| beside.map_or(Ok(()), |it| it.is_whole()));
        beside.map_err(|cause| format!("it needs {name}, which lies beside it: {cause}"))?;
    }
    Ok(())
}

/// A file that says that it is a program or a library.
struct Elf {
    file: File,
    bytes: u64,
    target: Target,
    header: Vec<u8>,
}

impl Elf {
    /// `None` if there is nothing that can be read.
    fn open(path: &Path) -> Result<Option<Elf>, String> {
        // Opening a pipe would wait for somebody to write into it.
        let Some(metadata) = path.metadata().ok().filter(Metadata::is_file) else { return Ok(None) };
        let Ok(file) = File::open(path) else { return Ok(None) };
        let mut header = Vec::new();
        if (&file).take(HEADER_BYTES).read_to_end(&mut header).is_err() {
            return Ok(None);
        }
        if !header.starts_with(b"\x7fELF") {
            return Err(if header.is_empty() { "the file is empty" } else { "it is no shared library" }.to_string());
        }
        let bytes = metadata.len();
        let Some(target) = Target::of(&header) else { return Err(cut_short(HEADER_BYTES, bytes)) };
        Ok(Some(Elf { file, bytes, target, header }))
    }

    /// Whether everything is there that is mapped.
    fn is_whole(&self) -> Result<(), String> {
        let Some(place) = self.segments_place() else { return Ok(()) };
        let segments = self.segments();
        // Of one that has nothing in the file nothing is mapped, wherever it says that it begins.
        let mapped = segments.iter().filter(|segment| segment.kind == LOADED && !segment.file.is_empty());
        let ends = mapped.map(|segment| segment.file.end);
        // The table is mapped as well.
        let wanted = ends.max().unwrap_or(place.end);
        if wanted > self.bytes { Err(cut_short(wanted, self.bytes)) } else { Ok(()) }
    }

    /// Where the table of segments is, of a file of 64 bits. It is less than 4 MiB: 65,535 of 56 bytes at most.
    fn segments_place(&self) -> Option<Range<u64>> {
        let field = |range: Range<usize>| self.target.number(self.header.get(range)?);
        let (start, each, count) = (field(32..40)?, field(54..56)?, field(56..58)?);
        let end = start.checked_add(count * SEGMENT_BYTES)?;
        (self.target.class == 2 && each == SEGMENT_BYTES).then_some(start..end)
    }

    /// None of them if their table is not there.
    fn segments(&self) -> Vec<Segment> {
        let table = self.segments_place().and_then(|place| self.read(place));
        let segment = |entry: &[u8]| {
            let number = |range: Range<usize>| self.target.number(&entry[range]);
            let (start, bytes) = (number(8..16)?, number(32..40)?);
            Some(Segment { kind: number(0..4)?, address: number(16..24)?, file: start..start.checked_add(bytes)? })
        };
        table.unwrap_or_default().chunks_exact(SEGMENT_BYTES as usize).filter_map(segment).collect()
    }

    /// The names of the libraries that the linker loads with it, if it looks for them in its own folder. Of a file that is whole.
    fn needs_from_its_folder(&self) -> Vec<String> {
        let segments = self.segments();
        let dynamic = segments.iter().find(|segment| segment.kind == DYNAMIC).map(|segment| segment.file.clone());
        let dynamic = dynamic.filter(|place| place.end - place.start <= DYNAMIC_BYTES_MAX);
        let entries = dynamic.and_then(|place| self.read(place)).unwrap_or_default();
        let entries = entries.as_chunks::<16>().0.iter().filter_map(|entry| {
            let (tag, value) = entry.split_at(8);
            Some((self.target.number(tag)?, self.target.number(value)?))
        });
        let entries: Vec<(u64, u64)> = entries.collect();
        let of = |wanted: u64| entries.iter().filter(move |(tag, _)| *tag == wanted).map(|(_, value)| *value);
        let in_file = |address: u64| {
            let has_it = |segment: &Segment| {
                let offset = address.checked_sub(segment.address).filter(|_| segment.kind == LOADED)?;
                segment.file.start.checked_add(offset).filter(|place| segment.file.contains(place))
            };
            segments.iter().find_map(has_it)
        };
        let Some(names) = of(NAMES).next().and_then(in_file) else { return Vec::new() };
        let text = |offset: u64| self.text(names.checked_add(offset)?);
        let is_own = |folder: &str| {
            matches!(folder.trim_end_matches('/'), "$ORIGIN" | "${ORIGIN}" | "$ORIGIN/." | "${ORIGIN}/.")
        };
        let mut paths = SEARCHED.into_iter().flat_map(of).filter_map(text);
        if !paths.any(|paths| paths.split(':').any(is_own)) {
            return Vec::new();
        }
        // One with a path is no neighbour.
        of(NEEDED).filter_map(text).filter(|name| !name.is_empty() && !name.contains('/')).collect()
    }

    /// The text that stands there, or its beginning.
    fn text(&self, start: u64) -> Option<String> {
        let mut bytes = vec![0; TEXT_BYTES_MAX.min(self.bytes.checked_sub(start)?) as usize];
        self.file.read_exact_at(&mut bytes, start).ok()?;
        String::from_utf8(bytes.split(|byte| *byte == 0).next()?.to_vec()).ok()
    }

    /// Bytes of the file, if all of them are there.
    fn read(&self, place: Range<u64>) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(place.end.checked_sub(place.start)?).ok()?];
        self.file.read_exact_at(&mut bytes, place.start).ok()?;
        Some(bytes)
    }
}

fn cut_short(wanted: u64, bytes: u64) -> String {
    format!("it is cut short: it has {bytes} bytes, and {wanted} at least belong to it")
}

/// A part of a file, and where it is in memory.
struct Segment {
    kind: u64,
    address: u64,
    file: Range<u64>,
}

/// The header of a file of 64 bits; that of one of 32 is a little shorter, but no library ends with its header.
const HEADER_BYTES: u64 = 64;
/// Of an entry in the table of segments, in files of 64 bits.
const SEGMENT_BYTES: u64 = 56;
/// The kind of a segment that is mapped.
const LOADED: u64 = 1;
/// The kind of the segment that tells the linker what to do.
const DYNAMIC: u64 = 2;
/// A thousand times what libraries have, which is some dozens of entries.
const DYNAMIC_BYTES_MAX: u64 = 1 << 20;
/// In that segment: a library that is needed, by the place of its name among the names; the address of the names; and where
/// libraries are looked for, in the older and in the newer form.
const NEEDED: u64 = 1;
const NAMES: u64 = 5;
const SEARCHED: [u64; 2] = [15, 29];
/// Longer than any name of a file, and than most lists of folders.
const TEXT_BYTES_MAX: u64 = 4096;

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    /// As in the header: 1 for 32 bits, 2 for 64.
    class: u8,
    is_little_endian: bool,
    machine: u16,
}

impl Target {
    /// As a header says; `None` if it is not all there.
    fn of(header: &[u8]) -> Option<Target> {
        let (&[class, order], machine) = (header.get(4..6)?, header.get(18..20)?) else { return None };
        let target = Target { class, is_little_endian: order == 1, machine: 0 };
        let machine = target.number(machine).and_then(|number| u16::try_from(number).ok())?;
        (header.len() as u64 == HEADER_BYTES).then_some(Target { machine, ..target })
    }

    /// A number of up to eight bytes.
    fn number(self, bytes: &[u8]) -> Option<u64> {
        let mut eight = [0; 8];
        if self.is_little_endian {
            eight.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some(u64::from_le_bytes(eight))
        } else {
            eight.get_mut(8_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
            Some(u64::from_be_bytes(eight))
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MACHINES.iter().find(|(number, _)| *number == self.machine) {
            Some((_, name)) => f.write_str(name)?,
            None => write!(f, "machine {} of ELF", self.machine)?,
        }
        let bits = if self.class == 1 { 32 } else { 64 };
        write!(f, " ({bits} bits{})", if self.is_little_endian { "" } else { ", big-endian" })
    }
}

/// Machines that somebody may have a library for, by their numbers in the header.
const MACHINES: [(u16, &str); 7] =
    [(3, "x86"), (21, "powerpc64"), (22, "s390x"), (40, "arm"), (62, "x86_64"), (183, "aarch64"), (243, "riscv64")];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::process::Command;

    /// A library, spoilt.
    fn spoilt(spoil: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (source, library) = (folder.path().join("library.c"), folder.path().join("library.so"));
        std::fs::write(&source, "int some[100000] = {1};").expect("a source file");
        let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
        assert!(status.expect("the C compiler that Rust links with").success());
        let mut bytes = std::fs::read(&library).expect("it is there");
        spoil(&mut bytes);
        std::fs::write(&library, bytes).expect("it can be written");
        (folder, library)
    }

    fn refused(spoil: impl FnOnce(&mut Vec<u8>)) -> String {
        let (_folder, library) = spoilt(spoil);
        check(&library).expect_err("it cannot be loaded")
    }

    #[test]
    fn what_the_linker_loads_is_not_refused() {
        let (_folder, library) = spoilt(|_| {});
        assert_eq!(check(&library), Ok(()));
        // SAFETY: it has no initialiser.
        drop(unsafe { libloading::Library::new(&library) }.expect("it loads"));
    }

    #[test]
    fn a_library_for_another_machine_is_named_as_such() {
        let own = Elf::open(Path::new("/proc/self/exe")).expect("it runs").expect("Linux").target.to_string();
        assert!(own.starts_with(std::env::consts::ARCH), "{own}");
        let other = refused(|bytes| bytes[18..20].copy_from_slice(&20_u16.to_le_bytes()));
        assert_eq!(other, format!("it is for machine 20 of ELF (64 bits), and this program is for {own}"));
        let (number, name) = if own.starts_with("aarch64") { (62_u16, "x86_64") } else { (183, "aarch64") };
        let other = refused(|bytes| bytes[18..20].copy_from_slice(&number.to_le_bytes()));
        assert_eq!(other, format!("it is for {name} (64 bits), and this program is for {own}"));
        let shorter = refused(|bytes| bytes[4] = 1);
        assert!(shorter.contains(" (32 bits), and this program is for "), "{shorter}");
        let mainframe = refused(|bytes| {
            bytes[5] = 2;
            bytes[18..20].copy_from_slice(&22_u16.to_be_bytes());
        });
        assert!(mainframe.starts_with("it is for s390x (64 bits, big-endian), and "), "{mainframe}");
    }

    /// The linker maps all of these, and whoever touches what is not there gets SIGBUS.
    #[test]
    fn a_library_that_is_cut_short_is_refused_wherever_that_is() {
        for length in [4, 63, 64, 100, 5_000, 300_000] {
            let why = refused(|bytes| bytes.truncate(length));
            assert!(why.starts_with(&format!("it is cut short: it has {length} bytes, and ")), "{why}");
        }
        // The four bytes of each number; the names behind them are not mapped.
        let why = refused(|bytes| bytes.truncate(300_000));
        let wanted = why.split_whitespace().rev().find_map(|word| word.parse::<u64>().ok()).expect("a number");
        assert!((400_000..500_000).contains(&wanted), "{why}");
    }

    #[test]
    fn a_library_that_needs_one_that_is_cut_short_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("needed.c"), "int needed[100000] = {1};").expect("a source file");
        std::fs::write(path("library.c"), "extern int needed[]; int *some(void) { return needed; }")
            .expect("a source file");
        let cc = |arguments: &[&str]| {
            let status = Command::new("cc").args(["-shared", "-fPIC"]).args(arguments).current_dir(&folder).status();
            assert!(status.expect("the C compiler that Rust links with").success());
        };
        cc(&["-o", "libneeded.so", "needed.c"]);
        cc(&["-o", "library.so", "library.c", "-L.", "-lneeded", "-Wl,-rpath,$ORIGIN"]);
        cc(&["-o", "elsewhere.so", "library.c", "-L.", "-lneeded"]);
        assert_eq!(
            Elf::open(&path("library.so")).expect("it is one").expect("it is there").needs_from_its_folder()[0],
            "libneeded.so"
        );
        assert_eq!(check(&path("library.so")), Ok(()));
        let whole = std::fs::read(path("libneeded.so")).expect("it is there");
        std::fs::write(path("libneeded.so"), &whole[..5000]).expect("it can be written");
        let why = check(&path("library.so")).expect_err("the linker would end this process");
        assert!(
            why.starts_with("it needs libneeded.so, which lies beside it: it is cut short: it has 5000 bytes"),
            "{why}"
        );
        // One that is not looked for there may be spoilt.
        assert_eq!(check(&path("elsewhere.so")), Ok(()));
        // Somebody else may have it.
        std::fs::remove_file(path("libneeded.so")).expect("it is there");
        assert_eq!(check(&path("library.so")), Ok(()));
    }

    /// The kind of a segment that says whether the stack may be run.
    const STACK: u32 = 0x6474_e551;

    #[test]
    fn a_segment_that_has_nothing_in_the_file_may_begin_anywhere() {
        let (_folder, library) = spoilt(|bytes| {
            let table = u64::from_ne_bytes(bytes[32..40].try_into().expect("eight")) as usize;
            let count = usize::from(u16::from_ne_bytes(bytes[56..58].try_into().expect("two")));
            let is_stack = |place: &usize| bytes[*place..place + 4] == STACK.to_ne_bytes();
            let place =
                (0..count).map(|index| table + index * SEGMENT_BYTES as usize).find(is_stack).expect("it has one");
            // Three pages of zeros, far behind all others, in memory as in the file.
            bytes[place..place + 4].copy_from_slice(&1_u32.to_ne_bytes());
            for (at, number) in
                [(8, 0x40_0000_u64), (16, 0x40_0000), (24, 0x40_0000), (32, 0), (40, 0x3000), (48, 0x1000)]
            {
                bytes[place + at..place + at + 8].copy_from_slice(&number.to_ne_bytes());
            }
        });
        assert_eq!(check(&library), Ok(()));
        // SAFETY: it has no code that is run when it is loaded.
        drop(unsafe { libloading::Library::new(&library) }.expect("the linker loads it"));
    }

    #[test]
    fn what_is_no_library_is_said_to_be_none() {
        assert_eq!(refused(Vec::clear), "the file is empty");
        assert_eq!(refused(|bytes| *bytes = b"hello".to_vec()), "it is no shared library");
        assert_eq!(refused(|bytes| *bytes = b"hello ".repeat(1000)), "it is no shared library");
    }

    #[test]
    fn what_is_not_known_here_is_left_to_the_linker() {
        assert_eq!(check(Path::new("/no/such/file")), Ok(()));
        assert_eq!(check(Path::new("/")), Ok(()));
        let (_folder, library) = spoilt(|bytes| bytes[54..56].copy_from_slice(&1000_u16.to_ne_bytes()));
        assert_eq!(check(&library), Ok(()));
        let (_folder, library) = spoilt(|bytes| bytes[32..40].fill(0xff));
        assert_eq!(check(&library), Ok(()));
    }
}
