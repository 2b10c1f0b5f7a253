//! The plugin's functions as safe ones. All `unsafe` of a run is here.
//!
//! | what | belongs to | given back by |
//! | --- | --- | --- |
//! | a model of the plugin | [`Module`] | its `Drop`, once |
//! | a tensor of libtorch | [`Output`] | its `Drop`, once |
//! | words of a failure | nobody: they are copied at once | `taken` |
//! | the memory of an input | the caller, for as long as its [`Kept`] lives | libtorch, which calls `release` once with it |
//!
//! That all of this may be done by any thread at any time is what the header of the plugin promises: libtorch counts references
//! to tensors atomically, its interpreter takes a frame of its own for each run, and a package has a lock for each of its
//! runners. What a module in TorchScript holds has no lock, so the plugin lets the runs of one that changes itself wait for each
//! other, until what they gave is nobody else's. The memory of an input is only read: the plugin copies it for a model in
//! TorchScript that might write into it, and for machine code always, because that does not say what it writes.

use crate::abi;
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{Kept, OpenError, RunError, check};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};

/// The plugin, loaded for good.
#[derive(Clone, Copy)]
pub(crate) struct Plugin(&'static abi::Plugin);

// SAFETY: the table is a static that is never written, and its functions may be called by any thread.
unsafe impl Send for Plugin {}
// SAFETY: as for `Send`.
unsafe impl Sync for Plugin {}

/// Why something failed, in libtorch's words.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The words, which may be many.
    pub words: String,
    fault: u32,
}

impl Failure {
    /// As the failure of a run.
    pub fn of_run(self, words: String) -> RunError {
        match self.fault {
            abi::FAULT_MODEL => RunError::Model(words),
            abi::FAULT_MACHINE => RunError::Machine(words),
            _ => RunError::Framework(words),
        }
    }

    /// Whether the machine has not enough of something.
    pub fn is_of_the_machine(&self) -> bool {
        self.fault == abi::FAULT_MACHINE
    }

    /// As the failure to open a model.
    pub fn of_open(&self, words: String) -> OpenError {
        match self.fault {
            abi::FAULT_MODEL => OpenError::Model(words),
            abi::FAULT_MACHINE => OpenError::Machine(words),
            _ => OpenError::Framework(words),
        }
    }
}

/// How a model is to be opened.
pub(crate) struct How<'a> {
    /// Its file.
    pub path: &'a CStr,
    /// [`abi::SCRIPT`] or [`abi::PACKAGE`].
    pub kind: u32,
    /// The names of its outputs.
    pub outputs: &'a [CString],
    /// Threads inside of one run.
    pub threads: u32,
    /// Runs of a package that may go on at once.
    pub runners: u32,
}

/// An input of a run, and what keeps its memory.
pub(crate) struct Given<'a> {
    pub dtype: DType,
    pub shape: &'a [i64],
    pub bytes: &'a [u8],
    pub kept: Kept,
}

impl Plugin {
    /// # Safety
    ///
    /// `entry` is the symbol [`abi::ENTRY`] of a plugin of the daemon, which is never unloaded.
    pub unsafe fn new(entry: abi::Entry) -> Result<Plugin, String> {
        // SAFETY: it takes nothing, and gives a static or null.
        let table = unsafe { entry() };
        // SAFETY: whatever the number of the interface is, the number itself stands first.
        let abi = unsafe { table.cast::<u32>().as_ref() }.ok_or("its function gives nothing")?;
        if *abi != abi::ABI {
            return Err(format!("it speaks interface {abi}, and this daemon {}", abi::ABI));
        }
        // SAFETY: a table of this number is laid out like this, which both sides check when they are compiled.
        let table = unsafe { table.as_ref() }.ok_or("its function gives nothing")?;
        Ok(Plugin(table))
    }

    /// The version of PyTorch that it was built for.
    pub fn torch(self) -> String {
        // SAFETY: a static string.
        unsafe { CStr::from_ptr(self.0.torch) }.to_string_lossy().into_owned()
    }

    /// Bytes of inputs and outputs that runs have copied.
    pub fn copied_bytes(self) -> u64 {
        // SAFETY: it takes nothing, and may be called at any time.
        unsafe { (self.0.copied_bytes)() }
    }

    /// Bytes of memory that runs have given back and later ones will use.
    pub fn kept_bytes(self) -> u64 {
        // SAFETY: as for `copied_bytes`.
        unsafe { (self.0.kept_bytes)() }
    }

    /// Opens a model.
    pub fn open(self, how: &How<'_>) -> Result<Module, Failure> {
        let outputs: Vec<*const c_char> = how.outputs.iter().map(|name| name.as_ptr()).collect();
        let open = abi::Open {
            path: how.path.as_ptr(),
            outputs: outputs.as_ptr(),
            outputs_count: outputs.len() as u32,
            kind: how.kind,
            threads: how.threads,
            runners: how.runners,
        };
        let mut failure = NO_FAILURE;
        // SAFETY: everything that `open` points to lives behind the call, and the list has the length that it says.
        let model = unsafe { (self.0.open)(&raw const open, &raw mut failure) };
        self.taken(failure)?;
        let model = NonNull::new(model).ok_or_else(|| nothing("model"))?;
        Ok(Module { plugin: self, model, outputs_count: how.outputs.len() })
    }

    /// A failure, if it is one; its words are copied and given back.
    #[expect(clippy::needless_pass_by_value, reason = "its words are freed here, so nobody may have it afterwards")]
    fn taken(self, failure: abi::Failure) -> Result<(), Failure> {
        let abi::Failure { words, fault } = failure;
        if fault == 0 {
            return Ok(());
        }
        Err(Failure { words: self.copied(words).unwrap_or_default(), fault })
    }

    /// A copy of words of the plugin, which are given back.
    fn copied(self, words: *mut c_char) -> Option<String> {
        if words.is_null() {
            return None;
        }
        // SAFETY: the plugin gives strings that end with NUL, and this one was not given back yet.
        let copy = unsafe { CStr::from_ptr(words) }.to_string_lossy().into_owned();
        // SAFETY: as above; nothing refers to it any more.
        unsafe { (self.0.free_words)(words) };
        Some(copy)
    }
}

const NO_FAILURE: abi::Failure = abi::Failure { words: ptr::null_mut(), fault: 0 };

fn nothing(what: &str) -> Failure {
    Failure { words: format!("the plugin reports success, and gives no {what}"), fault: 0 }
}

/// An open model of the plugin.
pub(crate) struct Module {
    plugin: Plugin,
    model: NonNull<abi::Model>,
    outputs_count: usize,
}

// SAFETY: any thread may use and close a model; see the module's head.
unsafe impl Send for Module {}
// SAFETY: the functions that take `&Module` may run at the same time.
unsafe impl Sync for Module {}

impl Module {
    /// What it takes and gives, in the lines that the plugin's header describes.
    pub fn describe(&self) -> Result<String, Failure> {
        let mut failure = NO_FAILURE;
        // SAFETY: the model is open.
        let words = unsafe { (self.plugin.0.describe)(self.model.as_ptr(), &raw mut failure) };
        self.plugin.taken(failure)?;
        self.plugin.copied(words).ok_or_else(|| nothing("description"))
    }

    /// Runs it. Gives as many outputs as were named when it was opened.
    ///
    /// The `kept` of each input has to keep its bytes where they are, and from being written, until it is dropped.
    pub fn run(&self, inputs: Vec<Given<'_>>) -> Result<Vec<Output>, Failure> {
        let given: Vec<abi::Input> = inputs.into_iter().map(given).collect();
        let mut outputs: Vec<abi::Output> = (0..self.outputs_count).map(|_| NO_OUTPUT).collect();
        let mut failure = NO_FAILURE;
        // SAFETY: the model is open; the lists have the length that is passed, and the one that was named when it was opened;
        // shapes are borrowed for the call. Elements are as many as their shape says and aligned, which `Given::new` has
        // checked, and live until `release` drops what keeps them, which is called with nothing but what `given` has made.
        unsafe {
            (self.plugin.0.run)(
                self.model.as_ptr(),
                given.as_ptr(),
                given.len() as u32,
                release,
                outputs.as_mut_ptr(),
                &raw mut failure,
            );
        }
        self.plugin.taken(failure)?;
        Ok(outputs.into_iter().filter_map(|output| Output::new(self.plugin, &output)).collect())
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: this is the one owner of the model, and gives it up here.
        unsafe { (self.plugin.0.close)(self.model.as_ptr()) };
    }
}

impl<'a> Given<'a> {
    /// An input, if its elements are as many as its shape says, and aligned.
    pub fn new(dtype: DType, shape: &'a [i64], bytes: &'a [u8], kept: Kept) -> Result<Given<'a>, String> {
        check::sized(dtype, shape, bytes.len())?;
        if !bytes.is_empty() {
            check::aligned(dtype, bytes.as_ptr())?;
        }
        Ok(Given { dtype, shape, bytes, kept })
    }
}

fn given(input: Given<'_>) -> abi::Input {
    // The start of an empty slice may dangle, and need not be aligned; any address that looks sound serves.
    let start = if input.bytes.is_empty() { ptr::without_provenance(64) } else { input.bytes.as_ptr() };
    abi::Input {
        start: start.cast(),
        dims: input.shape.as_ptr(),
        // A pointer to a trait object is two words, and the plugin's is one.
        kept: Box::into_raw(Box::new(input.kept)).cast(),
        rank: input.shape.len() as u32,
        dtype: input.dtype as u32,
    }
}

/// Drops what keeps an input.
///
/// # Safety
///
/// `kept` was made by [`given`], and this is called once with it.
unsafe extern "C" fn release(kept: *mut c_void) {
    // SAFETY: as the caller promises.
    drop(unsafe { Box::from_raw(kept.cast::<Kept>()) });
}

const NO_OUTPUT: abi::Output =
    abi::Output { tensor: ptr::null_mut(), start: ptr::null(), dims: ptr::null(), bytes: 0, rank: 0, dtype: 0 };

/// A tensor that a run has given.
pub(crate) struct Output {
    plugin: Plugin,
    tensor: NonNull<abi::Tensor>,
    start: *const u8,
    bytes: usize,
    /// Its shape; `None` if it has too many axes.
    pub shape: Option<Shape>,
    /// Its type; `None` if the protocol has no such type.
    pub dtype: Option<DType>,
}

// SAFETY: the reference may be given back by any thread, and the elements are never written again.
unsafe impl Send for Output {}
// SAFETY: the elements are only read.
unsafe impl Sync for Output {}

impl Output {
    fn new(plugin: Plugin, output: &abi::Output) -> Option<Output> {
        let tensor = NonNull::new(output.tensor)?;
        let rank = output.rank as usize;
        // SAFETY: the tensor has as many sizes, and is alive; the list may be null only if there are none.
        let dims = if rank == 0 { &[] } else { unsafe { std::slice::from_raw_parts(output.dims, rank) } };
        Some(Output {
            plugin,
            tensor,
            start: output.start.cast(),
            bytes: if output.start.is_null() { 0 } else { output.bytes as usize },
            shape: Shape::new(dims),
            dtype: u8::try_from(output.dtype).ok().and_then(DType::from_wire),
        })
    }

    /// Where its elements begin.
    pub fn start(&self) -> *const u8 {
        self.start
    }
}

impl AsRef<[u8]> for Output {
    fn as_ref(&self) -> &[u8] {
        if self.bytes == 0 {
            return &[];
        }
        // SAFETY: so many bytes begin there, which live as long as the tensor that `self` refers to. Nobody writes them: the
        // plugin has copied what somebody else refers to, and an input is kept from being written.
        unsafe { std::slice::from_raw_parts(self.start, self.bytes) }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: this is the one owner of the reference, and gives it up here.
        unsafe { (self.plugin.0.free_tensor)(self.tensor.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::{Library, WANTED};
    use graphpiped_backend_library::Locations;
    use std::path::Path;
    use std::sync::Arc;

    #[test]
    fn an_input_that_becomes_no_tensor_is_given_back_and_those_behind_it() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let remedy = "get it with `graphpiped runtime install torch`";
        let locations = Locations::new(&WANTED, None, vec![here.join("../../runtime/torch")], remedy);
        let library = Library::load(&locations).unwrap_or_else(|error| panic!("{error}"));
        let path = CString::new(here.join("tests/models/double.pt").display().to_string()).expect("a path");
        let how = How { path: &path, kind: abi::SCRIPT, outputs: &[c"y".to_owned()], threads: 1, runners: 1 };
        let module = library.plugin.open(&how).unwrap_or_else(|failure| panic!("{}", failure.words));

        let memory = Arc::new([0_u8; 64]);
        let kept = || Arc::clone(&memory) as Kept;
        // `Given::new` would not let a string pass.
        let given = |dtype| Given { dtype, shape: &[1], bytes: &memory[..4], kept: kept() };
        let inputs = vec![given(DType::Float32), given(DType::String), given(DType::Float32)];
        let failure = module.run(inputs).err().expect("PyTorch has no strings");
        assert_eq!(failure.words, "PyTorch has no type of GraphPipe's number 12");
        assert_eq!(Arc::strong_count(&memory), 1, "somebody refers to an input still");
    }
}
