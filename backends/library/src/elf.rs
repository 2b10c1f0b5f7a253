//! What the header of a shared library tells before the dynamic linker maps it: for which machine it is, and whether all of it is
//! there. Of a library for another machine the linker says that there is no such file; and one that is cut short ends the process,
//! by SIGBUS and without a word, as soon as something is touched that is not there.
//!
//! Only what the linker could not load is refused. What cannot be read, or is of a kind that is not known here, is left to its
//! words.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Why this program cannot load a file, if its header tells.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let Ok(file) = File::open(path) else { return Ok(()) };
    let (Some(header), Ok(metadata)) = (header_of(&file), file.metadata()) else { return Ok(()) };
    if !header.starts_with(b"\x7fELF") {
        return Err(if header.is_empty() { "the file is empty" } else { "it is no shared library" }.to_string());
    }
    let bytes = metadata.len();
    let Some(target) = Target::of(&header) else { return Err(cut_short(HEADER_BYTES, bytes)) };
    let own = File::open("/proc/self/exe").ok().and_then(|this| Target::of(&header_of(&this)?));
    if let Some(own) = own.filter(|own| *own != target) {
        return Err(format!("it is for {target}, and this program is for {own}"));
    }
    let wanted = target.end_of(&file, &header).unwrap_or(0);
    if wanted > bytes { Err(cut_short(wanted, bytes)) } else { Ok(()) }
}

fn cut_short(wanted: u64, bytes: u64) -> String {
    format!("it is cut short: it has {bytes} bytes, and {wanted} at least belong to it")
}

/// The header of a file of 64 bits; that of one of 32 is a little shorter, but no library ends with its header.
const HEADER_BYTES: u64 = 64;

/// The beginning of a file, as far as it goes.
fn header_of(file: &File) -> Option<Vec<u8>> {
    let mut header = Vec::new();
    file.take(HEADER_BYTES).read_to_end(&mut header).ok()?;
    Some(header)
}

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
        if header.len() as u64 != HEADER_BYTES {
            return None;
        }
        let (class, is_little_endian) = (header[4], header[5] == 1);
        let machine = Target { class, is_little_endian, machine: 0 }.number(&header[18..20])?;
        Some(Target { class, is_little_endian, machine: u16::try_from(machine).ok()? })
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

    /// Where the last byte ends that is mapped, of a file of 64 bits. The table of segments is mapped as well.
    fn end_of(self, file: &File, header: &[u8]) -> Option<u64> {
        let field = |range: std::ops::Range<usize>| self.number(header.get(range)?);
        let (start, each, count) = (field(32..40)?, field(54..56)?, field(56..58)?);
        if self.class != 2 || each != SEGMENT_BYTES {
            return None;
        }
        // At most 65,535 of 56 bytes: less than 4 MiB.
        let table_end = start.checked_add(count * SEGMENT_BYTES)?;
        let mut table = vec![0; (count * SEGMENT_BYTES) as usize];
        if file.read_exact_at(&mut table, start).is_err() {
            return Some(table_end);
        }
        let end = |segment: &[u8]| {
            let is_loaded = self.number(&segment[..4])? == LOADED;
            let (start, bytes) = (self.number(&segment[8..16])?, self.number(&segment[32..40])?);
            start.checked_add(bytes).filter(|_| is_loaded)
        };
        table.chunks_exact(SEGMENT_BYTES as usize).filter_map(end).max()
    }
}

/// Of an entry in the table of segments, in files of 64 bits.
const SEGMENT_BYTES: u64 = 56;
/// The kind of a segment that is mapped.
const LOADED: u64 = 1;

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
        let own = Target::of(&header_of(&File::open("/proc/self/exe").expect("Linux")).expect("it is read"));
        let own = own.expect("it runs").to_string();
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
