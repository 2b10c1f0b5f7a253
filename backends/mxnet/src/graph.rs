//! A symbol as MXNet sees it: names, and shapes that follow from shapes. All `unsafe` about symbols is here.
//!
//! What the library lends (lists of names and of shapes) stands in memory of the calling thread or of the symbol until its next
//! call, and is copied before it.

use crate::home::Making;
use crate::library::{Handle, Library, Shapes, Strings};
use crate::shapes::Sizes;
use std::ffi::{CStr, CString, c_int};
use std::ptr;

/// An owned symbol.
pub(crate) struct Graph {
    library: &'static Library,
    handle: Handle,
}

// SAFETY: a symbol is a graph in memory, without thread affinity.
unsafe impl Send for Graph {}

/// Names and their shapes, as the library wants them: one list of all sizes, and where each shape begins in it.
#[derive(Debug, Default)]
pub(crate) struct Named<'a> {
    names: Vec<*const std::ffi::c_char>,
    starts: Vec<u32>,
    sizes: Vec<u32>,
    borrowed: std::marker::PhantomData<&'a CStr>,
}

impl<'a> Named<'a> {
    /// These, in this order.
    pub fn new(shapes: impl IntoIterator<Item = (&'a CStr, &'a [u32])>) -> Named<'a> {
        let mut named = Named { starts: vec![0], ..Named::default() };
        for (name, shape) in shapes {
            named.names.push(name.as_ptr());
            named.sizes.extend(shape);
            // Some thousand parameters of at most 32 axes each.
            named.starts.push(named.sizes.len() as u32);
        }
        named
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.names.len() as u32
    }

    /// The names; they live for `'a`, the list as long as `self`.
    pub fn names(&self) -> Strings {
        self.names.as_ptr()
    }

    /// Where each shape begins, and the end of the last one: one more than there are names.
    pub fn starts(&self) -> *const u32 {
        self.starts.as_ptr()
    }

    /// All sizes.
    pub fn sizes(&self) -> *const u32 {
        self.sizes.as_ptr()
    }
}

/// Which names of a symbol.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names {
    /// States that training changes.
    Auxiliary,
    /// What it gives.
    Outputs,
}

impl Graph {
    /// Reads a symbol.
    pub fn new(library: &'static Library, json: &CStr, _: &Making) -> Result<Graph, String> {
        let mut handle = ptr::null_mut();
        // SAFETY: the text ends with NUL and is read during the call; the handle is ours.
        let returned = unsafe { (library.functions.symbol_create)(json.as_ptr(), &raw mut handle) };
        library.check(returned)?;
        Ok(Graph { library, handle })
    }

    /// The same graph, which gives every output of every node.
    pub fn internals(&self, _: &Making) -> Result<Graph, String> {
        let mut handle = ptr::null_mut();
        // SAFETY: the symbol is alive; the new handle is ours.
        let returned = unsafe { (self.library.functions.symbol_internals)(self.handle, &raw mut handle) };
        self.library.check(returned)?;
        Ok(Graph { library: self.library, handle })
    }

    /// Names, in MXNet's order.
    pub fn names(&self, which: Names) -> Result<Vec<String>, String> {
        let list = match which {
            Names::Auxiliary => self.library.functions.symbol_auxiliary,
            Names::Outputs => self.library.functions.symbol_outputs,
        };
        let (mut count, mut names) = (0, ptr::null());
        // SAFETY: the symbol is alive; both are written to.
        let returned = unsafe { list(self.handle, &raw mut count, &raw mut names) };
        self.library.check(returned)?;
        // SAFETY: the library has lent a list of `count` strings.
        let names = unsafe { lent(names, count) };
        let copy = |&name: &*const std::ffi::c_char| {
            // SAFETY: each is a string that ends with NUL, and stands until the next call.
            unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
        };
        Ok(names.iter().map(copy).collect())
    }

    /// The shapes of outputs that follow from these; an error if not all shapes of the graph do.
    pub fn infer(&self, known: &Named<'_>, _: &Making) -> Result<Sizes, String> {
        let (mut arguments, mut outputs, mut auxiliary) = (Lent::default(), Lent::default(), Lent::default());
        let mut is_complete: c_int = 0;
        // SAFETY: the symbol is alive; the lists of names and shapes have the lengths that `Named` describes and are read
        // during the call; everything else is written to.
        let returned = unsafe {
            (self.library.functions.symbol_infer)(
                self.handle,
                known.count(),
                known.names(),
                known.starts(),
                known.sizes(),
                &raw mut arguments.count,
                &raw mut arguments.ranks,
                &raw mut arguments.shapes,
                &raw mut outputs.count,
                &raw mut outputs.ranks,
                &raw mut outputs.shapes,
                &raw mut auxiliary.count,
                &raw mut auxiliary.ranks,
                &raw mut auxiliary.shapes,
                &raw mut is_complete,
            )
        };
        self.library.check(returned)?;
        if is_complete == 0 {
            return Err("these shapes are not enough to know all others".to_string());
        }
        // SAFETY: the call has succeeded and is complete, and there was none since.
        Ok(unsafe { outputs.copy() })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: this is the one owner of the handle, and gives it up here.
        unsafe { (self.library.functions.symbol_free)(self.handle) };
    }
}

/// Shapes that the library lends.
struct Lent {
    count: u32,
    ranks: *const u32,
    shapes: Shapes,
}

impl Default for Lent {
    fn default() -> Lent {
        Lent { count: 0, ranks: ptr::null(), shapes: ptr::null() }
    }
}

impl Lent {
    /// # Safety
    ///
    /// The library has set this in a call that has succeeded, and no other call was made on this thread since.
    unsafe fn copy(&self) -> Sizes {
        // SAFETY: there are `count` ranks, as the caller promises.
        let ranks = unsafe { lent(self.ranks, self.count) };
        // SAFETY: there are `count` shapes.
        let shapes = unsafe { lent(self.shapes, self.count) };
        let copy = |(&rank, &shape): (&u32, &*const u32)| {
            // SAFETY: each shape has as many sizes as its rank says.
            unsafe { lent(shape, rank) }.to_vec()
        };
        ranks.iter().zip(shapes).map(copy).collect()
    }
}

/// A list of the library's, whose start may be null if it is empty.
///
/// # Safety
///
/// There are `count` elements at `start` that stand for as long as the result is used.
unsafe fn lent<'a, T>(start: *const T, count: u32) -> &'a [T] {
    if count == 0 || start.is_null() {
        return &[];
    }
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts(start, count as usize) }
}

/// A name, as the library wants it.
pub(crate) fn c_string(name: &str) -> Result<CString, String> {
    CString::new(name).map_err(|_| format!("the name {name:?} has a NUL in it"))
}
