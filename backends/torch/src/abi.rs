//! What the daemon and its plugin for PyTorch say to each other, in Rust; `plugin/plugin.h` says it in C, and what it
//! promises there holds here. Nothing but types lives here: `plugin` calls the functions.

use std::ffi::{c_char, c_void};

/// Changes whenever anything here does.
pub const ABI: u32 = 4;

/// The symbol that the plugin exports.
pub(crate) const ENTRY: &[u8] = b"graphpiped_torch_plugin";

/// The type of that symbol.
pub(crate) type Entry = unsafe extern "C" fn() -> *const Plugin;

/// A model that is open.
#[repr(C)]
pub(crate) struct Model {
    _opaque: [u8; 0],
}

/// A reference to a tensor of libtorch.
#[repr(C)]
pub(crate) struct Tensor {
    _opaque: [u8; 0],
}

/// A file for PyTorch's interpreter.
pub(crate) const SCRIPT: u32 = 1;
/// A package of machine code.
pub(crate) const PACKAGE: u32 = 2;

/// The model's fault.
pub(crate) const FAULT_MODEL: u32 = 1;
/// The machine's fault.
pub(crate) const FAULT_MACHINE: u32 = 3;

/// Why something failed.
#[repr(C)]
pub(crate) struct Failure {
    pub words: *mut c_char,
    pub fault: u32,
}

/// How a model is to be opened.
#[repr(C)]
pub(crate) struct Open {
    pub path: *const c_char,
    pub outputs: *const *const c_char,
    pub outputs_count: u32,
    pub kind: u32,
    pub threads: u32,
    pub runners: u32,
}

/// An input of a run.
#[repr(C)]
pub(crate) struct Input {
    pub start: *const c_void,
    pub dims: *const i64,
    pub kept: *mut c_void,
    pub rank: u32,
    pub dtype: u32,
}

/// An output of a run.
#[repr(C)]
pub(crate) struct Output {
    pub tensor: *mut Tensor,
    pub start: *const c_void,
    pub dims: *const i64,
    pub bytes: u64,
    pub rank: u32,
    pub dtype: u32,
}

/// Gives back what an input keeps.
pub(crate) type Release = unsafe extern "C" fn(kept: *mut c_void);

/// The functions of the plugin.
#[repr(C)]
pub(crate) struct Plugin {
    pub abi: u32,
    pub reserved: u32,
    pub torch: *const c_char,
    pub open: unsafe extern "C" fn(*const Open, *mut Failure) -> *mut Model,
    pub describe: unsafe extern "C" fn(*const Model, *mut Failure) -> *mut c_char,
    pub run: unsafe extern "C" fn(*const Model, *const Input, u32, Release, *mut Output, *mut Failure),
    pub close: unsafe extern "C" fn(*mut Model),
    pub free_tensor: unsafe extern "C" fn(*mut Tensor),
    pub free_words: unsafe extern "C" fn(*mut c_char),
    pub copied_bytes: unsafe extern "C" fn() -> u64,
    pub kept_bytes: unsafe extern "C" fn() -> u64,
}

// The same numbers stand in plugin/plugin.cpp.
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Failure>() == 16 && offset_of!(Failure, fault) == 8);
    assert!(size_of::<Open>() == 32 && offset_of!(Open, outputs_count) == 16);
    assert!(size_of::<Input>() == 32 && offset_of!(Input, rank) == 24);
    assert!(size_of::<Output>() == 40 && offset_of!(Output, rank) == 32);
    assert!(size_of::<Plugin>() == 80 && offset_of!(Plugin, open) == 16);
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The number behind `#define NAME` or `NAME =` in the header.
    fn number(name: &str) -> u32 {
        let header = include_str!("../plugin/plugin.h");
        let mut words = header.split_whitespace().skip_while(|word| *word != name).skip(1);
        let word = words.find(|word| *word != "=").expect("the header has it");
        word.trim_end_matches(',').parse().expect("a number")
    }

    #[test]
    fn the_numbers_are_those_of_the_header() {
        assert_eq!(number("GRAPHPIPED_TORCH_ABI"), ABI);
        assert_eq!((number("GRAPHPIPED_SCRIPT"), number("GRAPHPIPED_PACKAGE")), (SCRIPT, PACKAGE));
        assert_eq!((number("GRAPHPIPED_MODEL"), number("GRAPHPIPED_MACHINE")), (FAULT_MODEL, FAULT_MACHINE));
    }
}
