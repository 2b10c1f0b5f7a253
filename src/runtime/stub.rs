//! A shared library without a symbol, which does nothing but have another one loaded: an ELF file, written by hand.
//!
//! What `cc -shared -Wl,-soname,NAME -Wl,--no-as-needed -lNEEDED -Wl,-rpath,'$ORIGIN'` would make, on machines that have no
//! compiler. One segment that holds everything, the way the dynamic linker wants it, and the sections that linkers read.
//!
//! ```text
//! 0    header
//! 64   three program headers: load all of it; the dynamic section is here; no executable stack
//! 232  symbols: the null symbol
//! 256  hash table: one bucket, which is empty
//! 272  strings: "", NAME, NEEDED, "$ORIGIN"
//!      names of the sections
//!      dynamic section
//!      six section headers
//! ```

/// The bytes of a library called `name` that needs the library `needed`, which lies in the same folder. For x86-64.
pub fn library(name: &str, needed: &str) -> Vec<u8> {
    let strings = ["", name, needed, "$ORIGIN"].map(|text| format!("{text}\0"));
    let (name_at, needed_at) = (1, 1 + strings[1].len());
    let origin_at = needed_at + strings[2].len();
    let strings = strings.concat();
    let section_names = SECTION_NAMES.map(|text| format!("{text}\0")).concat();
    let names_at = STRINGS_AT + strings.len();
    let dynamic_at = (names_at + section_names.len()).next_multiple_of(8);
    let dynamic: [(u64, usize); 9] = [
        (DT_NEEDED, needed_at),
        (DT_SONAME, name_at),
        (DT_RUNPATH, origin_at),
        (DT_HASH, HASH_AT),
        (DT_STRTAB, STRINGS_AT),
        (DT_SYMTAB, SYMBOLS_AT),
        (DT_STRSZ, strings.len()),
        (DT_SYMENT, SYMBOL_BYTES),
        (DT_NULL, 0),
    ];
    let dynamic_bytes = dynamic.len() * 16;
    let sections_at = dynamic_at + dynamic_bytes;
    let file_bytes = sections_at + SECTION_NAMES.len() * 64;

    let mut file = Vec::with_capacity(file_bytes);
    file.extend(header(sections_at));
    file.extend(program_header(PT_LOAD, 0, file_bytes, 0x1000));
    file.extend(program_header(PT_DYNAMIC, dynamic_at, dynamic_bytes, 8));
    file.extend(program_header(PT_GNU_STACK, 0, 0, 16));
    file.extend([0; SYMBOL_BYTES]);
    file.extend([1_u32, 1, 0, 0].map(u32::to_le_bytes).concat());
    file.extend(strings.as_bytes());
    file.extend(section_names.as_bytes());
    file.resize(dynamic_at, 0);
    file.extend(dynamic.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), (*value as u64).to_le_bytes()].concat()));
    let sections = [
        Section::default(),
        Section {
            kind: SHT_DYNSYM,
            at: SYMBOLS_AT,
            bytes: SYMBOL_BYTES,
            link: 3,
            info: 1,
            entry: SYMBOL_BYTES,
            flags: 2,
        },
        Section { kind: SHT_HASH, at: HASH_AT, bytes: 16, link: 1, info: 0, entry: 4, flags: 2 },
        Section { kind: SHT_STRTAB, at: STRINGS_AT, bytes: strings.len(), flags: 2, ..Section::default() },
        Section { kind: SHT_DYNAMIC, at: dynamic_at, bytes: dynamic_bytes, link: 3, info: 0, entry: 16, flags: 3 },
        Section { kind: SHT_STRTAB, at: names_at, bytes: section_names.len(), ..Section::default() },
    ];
    let mut name_at = 0;
    for (section, name) in sections.iter().zip(SECTION_NAMES) {
        file.extend(section.header(name_at));
        name_at += name.len() as u32 + 1;
    }
    file
}

/// In the order of their headers.
const SECTION_NAMES: [&str; 6] = ["", ".dynsym", ".hash", ".dynstr", ".dynamic", ".shstrtab"];
const SYMBOLS_AT: usize = 64 + 3 * 56;
const SYMBOL_BYTES: usize = 24;
const HASH_AT: usize = SYMBOLS_AT + SYMBOL_BYTES;
const STRINGS_AT: usize = HASH_AT + 16;

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_SYMENT: u64 = 11;
const DT_SONAME: u64 = 14;
const DT_RUNPATH: u64 = 29;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_GNU_STACK: u32 = 0x6474_e551;
const SHT_STRTAB: u32 = 3;
const SHT_HASH: u32 = 5;
const SHT_DYNAMIC: u32 = 6;
const SHT_DYNSYM: u32 = 11;
/// The dynamic linker writes addresses into the dynamic section, so it has to be writable: older ones do so unasked.
const READ_AND_WRITE: u32 = 6;

fn header(sections_at: usize) -> Vec<u8> {
    let identification = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0";
    let mut header = identification.to_vec();
    // A shared object for x86-64, of version 1, without an entry; program headers behind this one, then section headers.
    header.extend([3_u16, 62].map(u16::to_le_bytes).concat());
    header.extend(1_u32.to_le_bytes());
    header.extend([0, 64, sections_at as u64].map(u64::to_le_bytes).concat());
    header.extend(0_u32.to_le_bytes());
    // Sizes and counts: of this header, of program headers, of section headers; the names' section is the last one.
    header.extend([64_u16, 56, 3, 64, 6, 5].map(u16::to_le_bytes).concat());
    header
}

fn program_header(kind: u32, at: usize, bytes: usize, align: u64) -> Vec<u8> {
    let (at, bytes) = (at as u64, bytes as u64);
    let numbers = [at, at, at, bytes, bytes, align].map(u64::to_le_bytes).concat();
    [kind.to_le_bytes().to_vec(), READ_AND_WRITE.to_le_bytes().to_vec(), numbers].concat()
}

#[derive(Default)]
struct Section {
    kind: u32,
    at: usize,
    bytes: usize,
    link: u32,
    info: u32,
    entry: usize,
    /// 1: it is written to; 2: it is in memory.
    flags: u64,
}

impl Section {
    fn header(&self, name_at: u32) -> Vec<u8> {
        let (at, bytes, entry) = (self.at as u64, self.bytes as u64, self.entry as u64);
        let is_in_memory = self.flags & 2 != 0;
        let address = if is_in_memory { at } else { 0 };
        let align = if self.kind == SHT_STRTAB { 1_u64 } else { 8 };
        [
            [name_at, self.kind].map(u32::to_le_bytes).concat(),
            [self.flags, address, at, bytes].map(u64::to_le_bytes).concat(),
            [self.link, self.info].map(u32::to_le_bytes).concat(),
            [align, entry].map(u64::to_le_bytes).concat(),
        ]
        .concat()
    }
}
