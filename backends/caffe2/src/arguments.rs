//! The arguments of an operator, as Caffe2 reads them: by name, in the one field that their type has.

use crate::proto::Argument;

/// The arguments of an operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments<'a>(pub &'a [Argument]);

impl<'a> Arguments<'a> {
    /// The argument of this name.
    pub fn get(self, name: &str) -> Option<&'a Argument> {
        self.0.iter().rfind(|argument| argument.name.as_deref() == Some(name))
    }

    /// An integer, if it is there.
    pub fn try_int(self, name: &str) -> Result<Option<i64>, String> {
        let value = |argument: &Argument| argument.i.ok_or_else(|| format!("its argument {name} is not an integer"));
        self.get(name).map(value).transpose()
    }

    /// An integer.
    pub fn int(self, name: &str, default: i64) -> Result<i64, String> {
        Ok(self.try_int(name)?.unwrap_or(default))
    }

    /// An integer other than 0.
    pub fn flag(self, name: &str, default: bool) -> Result<bool, String> {
        Ok(self.try_int(name)?.map_or(default, |value| value != 0))
    }

    /// A number, if it is there.
    pub fn try_float(self, name: &str) -> Result<Option<f32>, String> {
        let value = |argument: &Argument| argument.f.ok_or_else(|| format!("its argument {name} is not a number"));
        self.get(name).map(value).transpose()
    }

    /// A number.
    pub fn float(self, name: &str, default: f32) -> Result<f32, String> {
        Ok(self.try_float(name)?.unwrap_or(default))
    }

    /// A string; empty if it is not there.
    pub fn string(self, name: &str) -> Result<&'a str, String> {
        let Some(argument) = self.get(name) else { return Ok("") };
        let bytes = argument.s.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        bytes.ok_or_else(|| format!("its argument {name} is not a string"))
    }

    /// Integers; none if they are not there.
    pub fn ints(self, name: &str) -> &'a [i64] {
        self.get(name).map_or(&[], |argument| argument.ints.as_slice())
    }

    /// Refuses another order of axes than the one that ONNX has.
    pub fn only_nchw(self) -> Result<(), String> {
        match self.string("order")? {
            "" | "NCHW" => Ok(()),
            order => Err(format!("its order of axes is {order}, and only NCHW is translated; export it in that order")),
        }
    }
}
