//! Caffe2's messages, as far as nets need them: `NetDef` itself is walked in [`crate::net`], the rest is here.

/// An operator, applied once.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OperatorDef {
    /// The blobs that it reads.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// The blobs that it writes; one of them may be one that it reads.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Which operator.
    #[prost(string, optional, tag = "4")]
    pub r#type: Option<String>,
    /// Its arguments.
    #[prost(message, repeated, tag = "5")]
    pub arg: Vec<Argument>,
}

/// An argument: a name, and a value in one of the other fields.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Argument {
    /// Its name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// A number.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// An integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// A string.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    /// Numbers.
    #[prost(float, repeated, packed = "false", tag = "5")]
    pub floats: Vec<f32>,
    /// Integers.
    #[prost(int64, repeated, packed = "false", tag = "6")]
    pub ints: Vec<i64>,
    /// Strings.
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub strings: Vec<Vec<u8>>,
}

impl OperatorDef {
    /// Which operator.
    pub fn kind(&self) -> &str {
        self.r#type.as_deref().unwrap_or_default()
    }

    /// How errors name it: by what it is and what it makes, because few have a name.
    pub fn shown(&self) -> String {
        match self.output.first() {
            Some(output) => format!("{} (output {output})", self.kind()),
            None => format!("{} (without output)", self.kind()),
        }
    }
}
