//! Metadata: what a model takes and gives.
//!
//! These messages are few and small, so they are written with FlatBuffers' own builder and read into strings. What never
//! lives here: the JSON of the same facts, which is HTTP's.

use crate::generated as fb;
use crate::reader::{Stop, Table, Vector, Window};
use crate::shape::RANK_MAX;
use crate::{DType, Malformed, Shape, writer};
use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, WIPOffset};

/// One input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Io {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub description: String,
    /// Its shape; -1 = any size.
    pub shape: Shape,
    /// Its element type; [`DType::Null`] = one that the protocol does not have.
    pub dtype: DType,
}

/// A `MetadataResponse`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Metadata {
    /// The model's name.
    pub name: String,
    /// The version of the server.
    pub version: String,
    /// The name of the server.
    pub server: String,
    /// What the model is, in words.
    pub description: String,
    /// Its inputs, in their default order.
    pub inputs: Vec<Io>,
    /// Its outputs, in their default order.
    pub outputs: Vec<Io>,
    /// All models that are served.
    pub models: Vec<String>,
    /// The most rows of a batch; 0 = not batched.
    pub batch_rows_max: u32,
}

/// A `Request` that carries a `MetadataRequest`; an empty name is the default model, an empty version the newest.
pub fn metadata_request(model: &str, version: &str) -> Vec<u8> {
    let mut message = Vec::new();
    writer::metadata_request(&mut message, model.as_bytes(), version.as_bytes());
    message
}

impl Metadata {
    /// The message. All of GraphPipe's fields are in it, empty or not, because old clients take that for granted; of the
    /// extensions, those that have something to say.
    ///
    /// # Panics
    ///
    /// If it would have more than 2 GiB, as FlatBuffers' builder does.
    pub fn write(&self) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let name = Some(builder.create_string(&self.name));
        let version = Some(builder.create_string(&self.version));
        let server = Some(builder.create_string(&self.server));
        let description = Some(builder.create_string(&self.description));
        let inputs = Some(write_ios(&mut builder, &self.inputs));
        let outputs = Some(write_ios(&mut builder, &self.outputs));
        let models = (!self.models.is_empty()).then(|| {
            let models: Vec<_> = self.models.iter().map(|model| builder.create_string(model)).collect();
            builder.create_vector(&models)
        });
        let batch_rows_max = self.batch_rows_max;
        let fields =
            fb::MetadataResponseArgs { name, version, server, description, inputs, outputs, models, batch_rows_max };
        let response = fb::MetadataResponse::create(&mut builder, &fields);
        builder.finish(response, None);
        builder.finished_data().to_vec()
    }

    /// Reads a message. Bytes of a text that are not UTF-8 are replaced, as [`String::from_utf8_lossy`] does.
    pub fn read(message: &[u8]) -> Result<Metadata, Malformed> {
        let window = Window::whole(message);
        let mut copier = Copier { window, bytes_left: u64::from(window.length()) };
        copier.metadata().map_err(|stop| match stop {
            Stop::Malformed(malformed) => malformed,
            // Not of a window that shows the whole message.
            Stop::Missing(hole) => Malformed { what: "a field that has not arrived", at: hole.at },
        })
    }
}

type Ios<'b> = WIPOffset<flatbuffers::Vector<'b, ForwardsUOffset<fb::IOMetadata<'b>>>>;

fn write_ios<'b>(builder: &mut FlatBufferBuilder<'b>, ios: &[Io]) -> Ios<'b> {
    let ios: Vec<_> = ios
        .iter()
        .map(|io| {
            let fields = fb::IOMetadataArgs {
                name: Some(builder.create_string(&io.name)),
                description: Some(builder.create_string(&io.description)),
                shape: Some(builder.create_vector(io.shape.dims())),
                type_: fb::Type(io.dtype as u8),
            };
            fb::IOMetadata::create(builder, &fields)
        })
        .collect();
    builder.create_vector(&ios)
}

/// The fields of an `IOMetadata`, by id.
mod io_id {
    pub const NAME: u16 = 0;
    pub const DESCRIPTION: u16 = 1;
    pub const SHAPE: u16 = 2;
    pub const TYPE: u16 = 3;
}

/// The fields of a `MetadataResponse`, by id.
mod id {
    pub const NAME: u16 = 0;
    pub const VERSION: u16 = 1;
    pub const SERVER: u16 = 2;
    pub const DESCRIPTION: u16 = 3;
    pub const INPUTS: u16 = 4;
    pub const OUTPUTS: u16 = 5;
    pub const MODELS: u16 = 6;
    pub const BATCH_ROWS_MAX: u16 = 7;
}

/// Copies a message into strings. Offsets may share what they point to, so a small message could ask for copies without
/// end: all that is copied together has no more bytes than the message.
struct Copier<'a> {
    window: Window<'a>,
    bytes_left: u64,
}

impl Copier<'_> {
    fn metadata(&mut self) -> Result<Metadata, Stop> {
        let window = self.window;
        let root = Table::root(window)?;
        Ok(Metadata {
            name: self.text(root, id::NAME)?,
            version: self.text(root, id::VERSION)?,
            server: self.text(root, id::SERVER)?,
            description: self.text(root, id::DESCRIPTION)?,
            inputs: self.ios(root, id::INPUTS)?,
            outputs: self.ios(root, id::OUTPUTS)?,
            models: self.models(root)?,
            batch_rows_max: match root.field(window, id::BATCH_ROWS_MAX, 4)? {
                Some(at) => window.u32(at)?,
                None => 0,
            },
        })
    }

    /// Takes what the copy of something at `at` uses up.
    fn spend(&mut self, bytes: u64, at: u32) -> Result<(), Stop> {
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => Err(Malformed { what: "texts that together are longer than the message", at }.into()),
        }
    }

    fn copy(&mut self, bytes: &[u8], at: u32) -> Result<String, Stop> {
        self.spend(bytes.len() as u64, at)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn text(&mut self, table: Table, id: u16) -> Result<String, Stop> {
        let bytes = table.string(self.window, id)?;
        self.copy(bytes, table.at())
    }

    fn ios(&mut self, root: Table, id: u16) -> Result<Vec<Io>, Stop> {
        let list = root.vector(self.window, id, 4)?;
        let mut ios = Vec::new();
        for index in 0..list.count {
            let table = Table::read(self.window, list.target(self.window, index)?)?;
            // An offset to it, the distance to its vtable and an offset to its name are the least that one takes.
            self.spend(12, table.at())?;
            ios.push(self.io(table)?);
        }
        Ok(ios)
    }

    fn io(&mut self, table: Table) -> Result<Io, Stop> {
        let window = self.window;
        let dtype = match table.field(window, io_id::TYPE, 1)? {
            Some(at) => DType::from_wire(window.u8(at)?).unwrap_or(DType::Null),
            None => DType::Null,
        };
        Ok(Io {
            name: self.text(table, io_id::NAME)?,
            description: self.text(table, io_id::DESCRIPTION)?,
            shape: read_shape(window, table)?,
            dtype,
        })
    }

    fn models(&mut self, root: Table) -> Result<Vec<String>, Stop> {
        let list = root.vector(self.window, id::MODELS, 4)?;
        let mut models = Vec::new();
        for index in 0..list.count {
            let at = list.target(self.window, index)?;
            // An offset to it, its length and its NUL.
            self.spend(9, at)?;
            let bytes = Vector::read(self.window, at, 1)?;
            let bytes = self.window.bytes(bytes.at, bytes.count)?;
            models.push(self.copy(bytes, at)?);
        }
        Ok(models)
    }
}

/// A shape in which -1 stands for any size.
fn read_shape(window: Window<'_>, table: Table) -> Result<Shape, Stop> {
    let dims = table.vector(window, io_id::SHAPE, 8)?;
    let mut shape = Shape::SCALAR;
    if dims.count as usize > RANK_MAX {
        return Err(Malformed { what: "a shape of more than 16 dimensions", at: dims.at - 4 }.into());
    }
    for index in 0..dims.count {
        // There is room for each.
        shape.push(window.i64(dims.at + index * 8)?);
    }
    Ok(shape)
}
