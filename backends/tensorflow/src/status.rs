//! What TensorFlow says came of a call: a code and words, and whose fault that is.

use crate::sys::{self, Api};
use graphpiped_backend_api::{OpenError, RunError, one_line};
use std::ffi::CStr;
use std::ptr::NonNull;

/// An owned `TF_Status`, for one call at a time.
#[derive(Debug)]
pub(crate) struct Status {
    api: &'static Api,
    ptr: NonNull<sys::Status>,
}

impl Status {
    /// One that says that all is well.
    pub fn new(api: &'static Api) -> Status {
        // SAFETY: the function takes nothing.
        let ptr = unsafe { (api.TF_NewStatus)() };
        Status { api, ptr: NonNull::new(ptr).expect("where memory ends, C++ ends the process") }
    }

    /// For a call to write.
    pub fn as_ptr(&mut self) -> *mut sys::Status {
        self.ptr.as_ptr()
    }

    /// What the call has written.
    pub fn check(&self) -> Result<(), Failure> {
        // SAFETY: the status is ours and alive.
        let code = unsafe { (self.api.TF_GetCode)(self.ptr.as_ptr()) };
        if code == OK {
            return Ok(());
        }
        // SAFETY: as above.
        let words = unsafe { (self.api.TF_Message)(self.ptr.as_ptr()) };
        // SAFETY: a message ends with NUL, and lives until the status is written again.
        let words = unsafe { CStr::from_ptr(words) }.to_string_lossy();
        Err(Failure { code, words: one_line(&words) })
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        // SAFETY: this is the one owner of the status, and gives it up here.
        unsafe { (self.api.TF_DeleteStatus)(self.ptr.as_ptr()) };
    }
}

/// Why a call failed, in TensorFlow's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: i32,
    /// One line, without the code.
    pub words: String,
}

impl Failure {
    /// Whose fault it is that a run failed.
    pub fn of_run(self) -> RunError {
        match fault(self.code) {
            Fault::Model => RunError::Model(self.words),
            Fault::Framework => RunError::Framework(self.words),
            Fault::Machine => RunError::Machine(self.words),
        }
    }

    /// Whether the machine has not enough of something.
    pub fn is_of_the_machine(&self) -> bool {
        fault(self.code) == Fault::Machine
    }

    /// Whose fault it is that a model cannot be opened, for the whole message. What TensorFlow itself is at fault
    /// for is the model's here: another model may open, and another TensorFlow would not be more helpful.
    pub fn of_open(&self, message: String) -> OpenError {
        match fault(self.code) {
            Fault::Machine => OpenError::Machine(message),
            Fault::Model | Fault::Framework => OpenError::Model(message),
        }
    }
}

/// Whose fault a code tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Model,
    Framework,
    Machine,
}

const OK: i32 = 0;

/// The one table of codes (`TF_Code`, which are those of gRPC).
///
/// | code | fault | because it is what operators say about |
/// | --- | --- | --- |
/// | INVALID_ARGUMENT 3, OUT_OF_RANGE 11 | model | values and shapes that they cannot compute with |
/// | NOT_FOUND 5, ALREADY_EXISTS 6, PERMISSION_DENIED 7, FAILED_PRECONDITION 9, DATA_LOSS 15 | model | tables, variables and files that are not as the graph wants them |
/// | UNIMPLEMENTED 12 | model | types and devices that they do not have |
/// | RESOURCE_EXHAUSTED 8, UNAVAILABLE 14 | machine | memory that is not to be had now |
/// | CANCELLED 1, UNKNOWN 2, DEADLINE_EXCEEDED 4, ABORTED 10, INTERNAL 13, UNAUTHENTICATED 16 | framework | themselves: nobody has cancelled anything, and there is no server to ask |
fn fault(code: i32) -> Fault {
    match code {
        3 | 5 | 6 | 7 | 9 | 11 | 12 | 15 => Fault::Model,
        8 | 14 => Fault::Machine,
        _ => Fault::Framework,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> Failure {
        Failure { code, words: "words".into() }
    }

    #[test]
    fn a_code_tells_whose_fault_it_is() {
        assert!(failure(8).is_of_the_machine() && !failure(13).is_of_the_machine());
        assert_eq!(failure(3).of_run(), RunError::Model("words".into()));
        assert_eq!(failure(8).of_run(), RunError::Machine("words".into()));
        assert_eq!(failure(13).of_run(), RunError::Framework("words".into()));
        assert_eq!(failure(4711).of_run(), RunError::Framework("words".into()));
        assert_eq!(failure(13).of_open("m: words".into()), OpenError::Model("m: words".into()));
        assert_eq!(failure(8).of_open("m: words".into()), OpenError::Machine("m: words".into()));
    }
}
