//! Error codes on the wire, and the name and the HTTP status that go with each: the one table of all three.

/// `Error.code` of a reply. The numbers are for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i64)]
pub enum Code {
    /// The message, frame or head is not what the protocol says.
    Malformed = 1,
    /// No model of that name is served.
    UnknownModel = 2,
    /// The model has no input or output of that name, or an input is missing.
    UnknownTensor = 3,
    /// A tensor's type, rank, dimension or length is not what the model takes.
    WrongTensor = 4,
    /// A bound is reached; the same request may succeed later.
    Busy = 5,
    /// The request's own deadline passed before it ran.
    DeadlineExceeded = 6,
    /// The model refused or failed to run this request.
    ModelFailed = 7,
    /// A size is over its limit.
    TooLarge = 8,
    /// The daemon is shutting down.
    ShuttingDown = 9,
    /// A fault of the daemon's own.
    Internal = 10,
}

impl Code {
    /// All codes, in the order of their numbers.
    pub const ALL: [Code; 10] = [
        Code::Malformed,
        Code::UnknownModel,
        Code::UnknownTensor,
        Code::WrongTensor,
        Code::Busy,
        Code::DeadlineExceeded,
        Code::ModelFailed,
        Code::TooLarge,
        Code::ShuttingDown,
        Code::Internal,
    ];

    /// The code with this number.
    pub fn from_wire(number: i64) -> Option<Code> {
        Code::ALL.into_iter().find(|code| *code as i64 == number)
    }

    /// The name in metrics and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Code::Malformed => "malformed",
            Code::UnknownModel => "unknown_model",
            Code::UnknownTensor => "unknown_tensor",
            Code::WrongTensor => "wrong_tensor",
            Code::Busy => "busy",
            Code::DeadlineExceeded => "deadline_exceeded",
            Code::ModelFailed => "model_failed",
            Code::TooLarge => "too_large",
            Code::ShuttingDown => "shutting_down",
            Code::Internal => "internal",
        }
    }

    /// The HTTP status that a reply with this code carries.
    pub const fn http_status(self) -> u16 {
        match self {
            Code::Malformed | Code::UnknownTensor | Code::WrongTensor | Code::ModelFailed => 400,
            Code::UnknownModel => 404,
            Code::TooLarge => 413,
            Code::Internal => 500,
            Code::Busy | Code::ShuttingDown => 503,
            Code::DeadlineExceeded => 504,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the specification.
    const CODES: [(i64, u16); 10] =
        [(1, 400), (2, 404), (3, 400), (4, 400), (5, 503), (6, 504), (7, 400), (8, 413), (9, 503), (10, 500)];

    #[test]
    fn numbers_and_statuses_are_those_of_the_specification() {
        let codes = Code::ALL.map(|code| (code as i64, code.http_status()));
        assert_eq!(codes, CODES);
    }

    #[test]
    fn only_the_numbers_of_codes_are_codes() {
        for code in Code::ALL {
            assert_eq!(Code::from_wire(code as i64), Some(code));
        }
        for number in [i64::MIN, -1, 0, 11, 257, i64::MAX] {
            assert_eq!(Code::from_wire(number), None);
        }
    }
}
