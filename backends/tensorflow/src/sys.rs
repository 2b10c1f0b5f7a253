//! TensorFlow's C interface, as far as it is used here: its types, and its functions as one table.
//!
//! Declared by hand, and not taken from the crate `tensorflow-sys-runtime`, for three reasons. Its loader finds the
//! library by an environment variable or not at all. It takes a lock in every call. And it reads TensorFlow's numbers as
//! Rust enumerations, which makes each type or code that is newer than the crate undefined behaviour; here they are
//! plain integers. What never will be here: a call.

use graphpiped_backend_library::Loaded;
use std::ffi::{c_char, c_int, c_void};

/// Types that only TensorFlow sees into.
macro_rules! opaque {
    ($($(#[$about:meta])* $name:ident;)*) => {
        $(
            $(#[$about])*
            #[repr(C)]
            #[derive(Debug)]
            pub(crate) struct $name {
                _nobody_sees_into_it: [u8; 0],
            }
        )*
    };
}

opaque! {
    /// `TF_Status`: what came of a call.
    Status;
    /// `TF_Tensor`: a reference to elements that are counted.
    Tensor;
    /// `TF_Graph`.
    Graph;
    /// `TF_Operation`: a part of a graph.
    Operation;
    /// `TF_ImportGraphDefOptions`.
    ImportOptions;
    /// `TF_SessionOptions`.
    SessionOptions;
    /// `TF_Session`.
    Session;
}

/// `TF_Buffer`: bytes that are lent to a call.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Where they begin.
    pub start: *const c_void,
    /// How many they are.
    pub bytes: usize,
    /// Who gives them back, if that is not the lender's affair.
    pub release: Option<unsafe extern "C" fn(*mut c_void, usize)>,
}

/// `TF_Output`: one of the tensors that an operation gives.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// The operation.
    pub operation: *mut Operation,
    /// Which of its tensors.
    pub index: c_int,
}

/// `TF_TString`: one element of a tensor of strings.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text([u64; 3]);

/// Called when the last reference to a tensor's elements is gone.
pub(crate) type Release = unsafe extern "C" fn(start: *mut c_void, bytes: usize, argument: *mut c_void);

/// The table of functions, from a list of their declarations in C's order.
macro_rules! functions {
    ($(fn $name:ident($($type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        /// The functions of the library, by their own names.
        #[allow(non_snake_case, reason = "the names are TensorFlow's")]
        #[derive(Debug)]
        pub(crate) struct Api {
            $(pub $name: unsafe extern "C" fn($($type),*) $(-> $result)?,)*
        }

        impl Api {
            /// Looks all of them up. On failure: the name of the first that is not there.
            ///
            /// # Safety
            ///
            /// The library is TensorFlow, whose functions of these names have these types, and is never unloaded.
            #[allow(non_snake_case, reason = "the names are TensorFlow's")]
            pub unsafe fn of(loaded: &Loaded) -> Result<Api, &'static str> {
                $(
                    // SAFETY: as the caller promises.
                    let $name = unsafe { loaded.library.get(concat!(stringify!($name), "\0").as_bytes()) };
                    let $name = *$name.map_err(|_| stringify!($name))?;
                )*
                Ok(Api { $($name,)* })
            }
        }
    };
}

functions! {
    fn TF_NewStatus() -> *mut Status;
    fn TF_DeleteStatus(*mut Status);
    fn TF_GetCode(*const Status) -> c_int;
    fn TF_Message(*const Status) -> *const c_char;

    fn TF_NewTensor(c_int, *const i64, c_int, *mut c_void, usize, Option<Release>, *mut c_void) -> *mut Tensor;
    fn TF_AllocateTensor(c_int, *const i64, c_int, usize) -> *mut Tensor;
    fn TF_DeleteTensor(*mut Tensor);
    fn TF_TensorType(*const Tensor) -> c_int;
    fn TF_NumDims(*const Tensor) -> c_int;
    fn TF_Dim(*const Tensor, c_int) -> i64;
    fn TF_TensorByteSize(*const Tensor) -> usize;
    fn TF_TensorData(*const Tensor) -> *mut c_void;

    fn TF_StringInit(*mut Text);
    fn TF_StringCopy(*mut Text, *const c_char, usize);
    fn TF_StringDealloc(*mut Text);
    fn TF_StringGetDataPointer(*const Text) -> *const c_char;
    fn TF_StringGetSize(*const Text) -> usize;

    fn TF_NewGraph() -> *mut Graph;
    fn TF_DeleteGraph(*mut Graph);
    fn TF_NewImportGraphDefOptions() -> *mut ImportOptions;
    fn TF_DeleteImportGraphDefOptions(*mut ImportOptions);
    fn TF_GraphImportGraphDef(*mut Graph, *const Buffer, *const ImportOptions, *mut Status);
    fn TF_GraphOperationByName(*mut Graph, *const c_char) -> *mut Operation;
    fn TF_GraphNextOperation(*mut Graph, *mut usize) -> *mut Operation;
    fn TF_GraphGetTensorNumDims(*mut Graph, Output, *mut Status) -> c_int;
    fn TF_GraphGetTensorShape(*mut Graph, Output, *mut i64, c_int, *mut Status);
    fn TF_OperationName(*mut Operation) -> *const c_char;
    fn TF_OperationOpType(*mut Operation) -> *const c_char;
    fn TF_OperationNumOutputs(*mut Operation) -> c_int;
    fn TF_OperationOutputType(Output) -> c_int;
    fn TF_OperationOutputNumConsumers(Output) -> c_int;

    fn TF_NewSessionOptions() -> *mut SessionOptions;
    fn TF_DeleteSessionOptions(*mut SessionOptions);
    fn TF_SetConfig(*mut SessionOptions, *const c_void, usize, *mut Status);
    fn TF_NewSession(*mut Graph, *const SessionOptions, *mut Status) -> *mut Session;
    fn TF_LoadSessionFromSavedModel(
        *const SessionOptions,
        *const Buffer,
        *const c_char,
        *const *const c_char,
        c_int,
        *mut Graph,
        *mut Buffer,
        *mut Status,
    ) -> *mut Session;
    fn TF_CloseSession(*mut Session, *mut Status);
    fn TF_DeleteSession(*mut Session, *mut Status);
    fn TF_SessionRun(
        *mut Session,
        *const Buffer,
        *const Output,
        *const *mut Tensor,
        c_int,
        *const Output,
        *mut *mut Tensor,
        c_int,
        *const *const Operation,
        c_int,
        *mut Buffer,
        *mut Status,
    );
}
