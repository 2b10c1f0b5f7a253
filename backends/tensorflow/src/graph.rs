//! Graphs and sessions of TensorFlow. All `unsafe` of opening and running one is here.
//!
//! A [`Graph`] and a [`Session`] own what they are named for, and give it up by their `Drop`, the session first. Operations
//! belong to their graph and live as long as it; pointers to them never leave this file.
//!
//! TensorFlow documents a session as safe to be run by many threads at once. Graphs lock themselves, and are not changed
//! here once their session has been made.

use crate::name::TensorName;
use crate::status::{Failure, Status};
use crate::sys::{self, Api};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::ffi::{CStr, CString, c_char};
use std::ptr::{self, NonNull};

/// Most models have few inputs and outputs; their lists stay on the stack.
pub(crate) type List<T> = SmallVec<[T; 8]>;

/// An owned graph.
#[derive(Debug)]
pub(crate) struct Graph {
    api: &'static Api,
    ptr: NonNull<sys::Graph>,
}

// SAFETY: a graph has no thread that it belongs to.
unsafe impl Send for Graph {}
// SAFETY: it locks itself.
unsafe impl Sync for Graph {}

/// A tensor of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    /// TensorFlow's number of its element type.
    pub dtype: i32,
    /// Its sizes, -1 for any; `None` if not even their number is known.
    pub sizes: Option<Vec<i64>>,
}

/// An operation, as far as it tells what goes into a graph and comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// Its name.
    pub name: String,
    /// The name of what it does.
    pub kind: String,
    /// How many tensors it gives.
    pub outputs: usize,
    /// Whether another operation takes one of them.
    pub is_consumed: bool,
}

impl Graph {
    /// One without operations.
    fn new(api: &'static Api) -> Graph {
        // SAFETY: the function takes nothing.
        let ptr = unsafe { (api.TF_NewGraph)() };
        Graph { api, ptr: NonNull::new(ptr).expect("where memory ends, C++ ends the process") }
    }

    /// Adds the operations of a `GraphDef`.
    fn import(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // SAFETY: the function takes nothing.
        let options = unsafe { (self.api.TF_NewImportGraphDefOptions)() };
        let buffer = sys::Buffer { start: bytes.as_ptr().cast(), bytes: bytes.len(), release: None };
        let mut status = Status::new(self.api);
        // SAFETY: the graph is ours; the buffer and the options are read during the call.
        unsafe { (self.api.TF_GraphImportGraphDef)(self.ptr.as_ptr(), &raw const buffer, options, status.as_ptr()) };
        // SAFETY: they were made here, and are given up here.
        unsafe { (self.api.TF_DeleteImportGraphDefOptions)(options) };
        status.check()
    }

    /// All operations, in the graph's order.
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        let mut at = 0;
        loop {
            // SAFETY: the graph is alive; `at` is its own count, and begins with 0.
            let operation = unsafe { (self.api.TF_GraphNextOperation)(self.ptr.as_ptr(), &raw mut at) };
            if operation.is_null() {
                return operations;
            }
            operations.push(self.operation(operation));
        }
    }

    fn operation(&self, operation: *mut sys::Operation) -> Operation {
        // SAFETY: the operation is of this graph, which is alive.
        let name = unsafe { (self.api.TF_OperationName)(operation) };
        // SAFETY: as above.
        let kind = unsafe { (self.api.TF_OperationOpType)(operation) };
        // SAFETY: as above.
        let outputs = unsafe { (self.api.TF_OperationNumOutputs)(operation) };
        // SAFETY: as above, and the operation has a tensor of this index.
        let consumers = |index| unsafe { (self.api.TF_OperationOutputNumConsumers)(sys::Output { operation, index }) };
        Operation {
            name: text(name),
            kind: text(kind),
            outputs: usize::try_from(outputs).unwrap_or(0),
            is_consumed: (0..outputs).any(|index| consumers(index) > 0),
        }
    }

    /// The tensor of this name; `None` if there is none.
    pub fn describe(&self, name: &TensorName) -> Result<Option<Described>, Failure> {
        let Some(output) = self.find(name) else { return Ok(None) };
        // SAFETY: the tensor is of this graph, which is alive.
        let dtype = unsafe { (self.api.TF_OperationOutputType)(output) };
        let mut status = Status::new(self.api);
        // SAFETY: as above.
        let rank = unsafe { (self.api.TF_GraphGetTensorNumDims)(self.ptr.as_ptr(), output, status.as_ptr()) };
        status.check()?;
        let Ok(count) = usize::try_from(rank) else { return Ok(Some(Described { dtype, sizes: None })) };
        let mut sizes = vec![-1; count];
        // SAFETY: as above; `sizes` has as many as are asked for, which TensorFlow compares with its own number.
        unsafe {
            (self.api.TF_GraphGetTensorShape)(self.ptr.as_ptr(), output, sizes.as_mut_ptr(), rank, status.as_ptr());
        };
        status.check()?;
        Ok(Some(Described { dtype, sizes: Some(sizes) }))
    }

    fn find(&self, name: &TensorName) -> Option<sys::Output> {
        let operation = CString::new(name.operation.as_str()).ok()?;
        // SAFETY: the graph is alive; the name is read during the call.
        let operation = unsafe { (self.api.TF_GraphOperationByName)(self.ptr.as_ptr(), operation.as_ptr()) };
        if operation.is_null() {
            return None;
        }
        // SAFETY: the operation is of this graph, which is alive.
        let count = unsafe { (self.api.TF_OperationNumOutputs)(operation) };
        let index = i32::try_from(name.index).ok().filter(|index| *index < count)?;
        Some(sys::Output { operation, index })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: this is the one owner of the graph, and gives it up here; a session over it is closed already.
        unsafe { (self.api.TF_DeleteGraph)(self.ptr.as_ptr()) };
    }
}

/// An owned session, and what goes into it and comes out.
#[derive(Debug)]
pub(crate) struct Session {
    ptr: NonNull<sys::Session>,
    feeds: Vec<sys::Output>,
    fetches: Vec<sys::Output>,
    // Dropped after the session, which `drop` closes.
    graph: Graph,
}

// SAFETY: a session has no thread that it belongs to; its feeds and fetches are parts of its graph.
unsafe impl Send for Session {}
// SAFETY: every function here that takes `&Session` may be called by many threads at once; see the module's head.
unsafe impl Sync for Session {}

impl Session {
    /// A session over the graph of a `GraphDef`, with the options of a `ConfigProto`.
    pub fn of_graph(api: &'static Api, bytes: &[u8], config: &[u8]) -> Result<Session, Failure> {
        let mut graph = Graph::new(api);
        graph.import(bytes)?;
        let options = SessionOptions::new(api, config)?;
        let mut status = Status::new(api);
        // SAFETY: the graph is alive, and outlives the session; the options are read during the call.
        let session = unsafe { (api.TF_NewSession)(graph.ptr.as_ptr(), options.ptr, status.as_ptr()) };
        Session::adopt(session, graph, &status)
    }

    /// A session over the graph that a SavedModel has for these tags, with its variables restored.
    pub fn of_saved_model(api: &'static Api, folder: &CStr, tag: &CStr, config: &[u8]) -> Result<Session, Failure> {
        let graph = Graph::new(api);
        let options = SessionOptions::new(api, config)?;
        let mut status = Status::new(api);
        let tags: [*const c_char; 1] = [tag.as_ptr()];
        // SAFETY: the graph is alive, is new and outlives the session; the options, the path and the one tag are read
        // during the call; what may be null is.
        let session = unsafe {
            (api.TF_LoadSessionFromSavedModel)(
                options.ptr,
                ptr::null(),
                folder.as_ptr(),
                tags.as_ptr(),
                1,
                graph.ptr.as_ptr(),
                ptr::null_mut(),
                status.as_ptr(),
            )
        };
        Session::adopt(session, graph, &status)
    }

    fn adopt(session: *mut sys::Session, graph: Graph, status: &Status) -> Result<Session, Failure> {
        status.check()?;
        let ptr = NonNull::new(session).expect("what succeeds gives a session");
        Ok(Session { ptr, feeds: Vec::new(), fetches: Vec::new(), graph })
    }

    /// Its graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Says what is fed and what can be fetched. On failure: the name that is not in the graph.
    pub fn bind(&mut self, feeds: &[&TensorName], fetches: &[&TensorName]) -> Result<(), String> {
        let find = |name: &&TensorName| self.graph.find(name).ok_or_else(|| name.to_string());
        let found_feeds: Result<Vec<_>, _> = feeds.iter().map(find).collect();
        let found_fetches: Result<Vec<_>, _> = fetches.iter().map(find).collect();
        (self.feeds, self.fetches) = (found_feeds?, found_fetches?);
        Ok(())
    }

    /// Runs it once with a tensor for each of its feeds, in their order, and gives the fetches of these positions.
    ///
    /// What is fetched together is a graph of its own to TensorFlow, in every order in which it is asked for, and is
    /// remembered for good: the caller bounds how many there are.
    pub fn run(&self, values: &[Tensor], fetches: &[usize]) -> Result<List<Tensor>, Failure> {
        let api = self.graph.api;
        assert_eq!(values.len(), self.feeds.len(), "there is a value for every feed");
        let values: List<*mut sys::Tensor> = values.iter().map(Tensor::as_ptr).collect();
        let fetches: List<sys::Output> = fetches.iter().map(|&position| self.fetches[position]).collect();
        let mut made: List<*mut sys::Tensor> = fetches.iter().map(|_| ptr::null_mut()).collect();
        let mut status = Status::new(api);
        // SAFETY: the session is alive; feeds and fetches are of its graph; every list has the length that is passed with
        // it, and values are borrowed for the call; what may be null is. Concurrent calls: see the module's head.
        unsafe {
            (api.TF_SessionRun)(
                self.ptr.as_ptr(),
                ptr::null(),
                self.feeds.as_ptr(),
                values.as_ptr(),
                values.len() as i32,
                fetches.as_ptr(),
                made.as_mut_ptr(),
                made.len() as i32,
                ptr::null(),
                0,
                ptr::null_mut(),
                status.as_ptr(),
            );
        };
        // Whatever was made is ours, even if something else was not.
        let tensors: List<Tensor> = made.iter().filter_map(|&tensor| Tensor::adopt(api, tensor).ok()).collect();
        status.check()?;
        assert_eq!(tensors.len(), fetches.len(), "a run that succeeds makes every tensor");
        Ok(tensors)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let api = self.graph.api;
        let mut status = Status::new(api);
        // SAFETY: the session is alive, and nobody runs it, as this is its owner. If it cannot be closed, it is deleted all
        // the same.
        unsafe { (api.TF_CloseSession)(self.ptr.as_ptr(), status.as_ptr()) };
        // SAFETY: this is the one owner of the session, and gives it up here.
        unsafe { (api.TF_DeleteSession)(self.ptr.as_ptr(), status.as_ptr()) };
    }
}

/// Owned options of a session.
struct SessionOptions {
    api: &'static Api,
    ptr: *mut sys::SessionOptions,
}

impl SessionOptions {
    fn new(api: &'static Api, config: &[u8]) -> Result<SessionOptions, Failure> {
        // SAFETY: the function takes nothing.
        let ptr = unsafe { (api.TF_NewSessionOptions)() };
        let options = SessionOptions { api, ptr };
        let mut status = Status::new(api);
        // SAFETY: the options are ours; the configuration is read during the call.
        unsafe { (api.TF_SetConfig)(options.ptr, config.as_ptr().cast(), config.len(), status.as_ptr()) };
        status.check().map(|()| options)
    }
}

impl Drop for SessionOptions {
    fn drop(&mut self) {
        // SAFETY: this is the one owner of the options, and gives them up here.
        unsafe { (self.api.TF_DeleteSessionOptions)(self.ptr) };
    }
}

/// A name within a graph.
fn text(name: *const c_char) -> String {
    // SAFETY: the callers have it from an operation that is alive; it ends with NUL.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}
