//! What is said on the control socket of a model's process: what to open, which memory to see, what is no longer needed.

use super::{Garbage, Reader, Write, read_open_error, write_open_error};
use graphpiped_backend_api::{Dim, OpenError, Options, Signature, TensorSpec};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the daemon tells the process.
#[derive(Clone, Debug)]
pub(crate) enum ToProcess {
    /// The first of all: the one model that it is for, and whether it was open before, so that others are served meanwhile.
    Open { backend: String, path: PathBuf, options: Options, in_background: bool },
    /// With a descriptor: the socket of an instance that is to be made.
    Instance,
    /// With a descriptor: an arena to be read.
    Share { arena: u64, bytes: usize },
    /// An arena that is gone.
    Forget { arena: u64 },
}

/// What the process tells the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FromProcess {
    /// The model is open.
    Opened(Opened),
    /// The model is not.
    NotOpened(OpenError),
    /// Nobody refers any more to the inputs of this run, which were kept.
    Released { run: u64 },
}

/// What a framework says of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub signature: Signature,
    pub options: Vec<(String, String)>,
    pub copies: bool,
}

impl ToProcess {
    pub fn write(&self, message: &mut Vec<u8>) {
        message.clear();
        match self {
            ToProcess::Open { backend, path, options, in_background } => {
                message.tag(0);
                message.text(backend);
                message.bytes(path.as_os_str().as_bytes());
                write_options(options, message);
                message.tag((*in_background).into());
            }
            ToProcess::Instance => message.tag(1),
            ToProcess::Share { arena, bytes } => {
                message.tag(2);
                message.number(*arena);
                message.number(*bytes as u64);
            }
            ToProcess::Forget { arena } => {
                message.tag(3);
                message.number(*arena);
            }
        }
    }

    pub fn read(message: &[u8]) -> Result<ToProcess, Garbage> {
        let mut reader = Reader::new(message);
        let read = match reader.tag()? {
            0 => ToProcess::Open {
                backend: reader.text()?,
                path: Path::new(OsStr::from_bytes(reader.bytes()?)).to_path_buf(),
                options: read_options(&mut reader)?,
                in_background: reader.flag()?,
            },
            1 => ToProcess::Instance,
            2 => ToProcess::Share { arena: reader.number()?, bytes: reader.size()? },
            3 => ToProcess::Forget { arena: reader.number()? },
            _ => return Err(Garbage("there is no such message")),
        };
        reader.end()?;
        Ok(read)
    }
}

impl FromProcess {
    pub fn write(&self, message: &mut Vec<u8>) {
        message.clear();
        match self {
            FromProcess::Opened(Opened { signature, options, copies }) => {
                message.tag(0);
                write_specs(&signature.inputs, message);
                write_specs(&signature.outputs, message);
                message.tag(signature.variadic.into());
                message.number(options.len() as u64);
                for (key, value) in options {
                    message.text(key);
                    message.text(value);
                }
                message.tag((*copies).into());
            }
            FromProcess::NotOpened(error) => {
                message.tag(1);
                write_open_error(error, message);
            }
            FromProcess::Released { run } => {
                message.tag(2);
                message.number(*run);
            }
        }
    }

    pub fn read(message: &[u8]) -> Result<FromProcess, Garbage> {
        let mut reader = Reader::new(message);
        let read = match reader.tag()? {
            0 => {
                let (inputs, outputs) = (read_specs(&mut reader)?, read_specs(&mut reader)?);
                let signature = Signature { inputs, outputs, variadic: reader.flag()? };
                let count = reader.count()?;
                let options = (0..count).map(|_| Ok((reader.text()?, reader.text()?))).collect::<Result<_, _>>()?;
                FromProcess::Opened(Opened { signature, options, copies: reader.flag()? })
            }
            1 => FromProcess::NotOpened(read_open_error(&mut reader)?),
            2 => FromProcess::Released { run: reader.number()? },
            _ => return Err(Garbage("there is no such message")),
        };
        reader.end()?;
        Ok(read)
    }
}

fn write_options(options: &Options, message: &mut Vec<u8>) {
    // Whoever reads this is the model's process, so it need not be told that it is.
    let Options { intra_threads, inputs, outputs, signature, trust_native, is_isolated: _ } = options;
    message.number(*intra_threads as u64);
    for names in [inputs, outputs] {
        message.number(names.len() as u64);
        for name in names {
            message.text(name);
        }
    }
    message.tag(signature.is_some().into());
    message.text(signature.as_deref().unwrap_or_default());
    message.tag((*trust_native).into());
}

fn read_options(reader: &mut Reader<'_>) -> Result<Options, Garbage> {
    let intra_threads = reader.size()?;
    let names = |reader: &mut Reader<'_>| {
        let count = reader.count()?;
        (0..count).map(|_| reader.text()).collect::<Result<Vec<_>, _>>()
    };
    let (inputs, outputs) = (names(reader)?, names(reader)?);
    let (is_said, signature) = (reader.flag()?, reader.text()?);
    Ok(Options {
        intra_threads,
        inputs,
        outputs,
        signature: is_said.then_some(signature),
        trust_native: reader.flag()?,
        is_isolated: true,
    })
}

fn write_specs(specs: &[TensorSpec], message: &mut Vec<u8>) {
    message.number(specs.len() as u64);
    for spec in specs {
        message.text(&spec.name);
        message.tag(spec.dtype as u8);
        message.tag(spec.dims.is_some().into());
        let dims = spec.dims.as_deref().unwrap_or_default();
        message.number(dims.len() as u64);
        for dim in dims {
            match dim {
                Dim::Fixed(size) => {
                    message.tag(0);
                    message.number(*size);
                }
                Dim::Symbol(name) => {
                    message.tag(1);
                    message.text(name);
                }
                Dim::Any => message.tag(2),
            }
        }
    }
}

fn read_specs(reader: &mut Reader<'_>) -> Result<Vec<TensorSpec>, Garbage> {
    let count = reader.count()?;
    (0..count).map(|_| read_spec(reader)).collect()
}

fn read_spec(reader: &mut Reader<'_>) -> Result<TensorSpec, Garbage> {
    let (name, dtype, has_rank) = (reader.text()?, reader.dtype()?, reader.flag()?);
    let count = reader.count()?;
    let dim = |reader: &mut Reader<'_>| match reader.tag()? {
        0 => Ok(Dim::Fixed(reader.number()?)),
        1 => Ok(Dim::Symbol(reader.text()?.into())),
        2 => Ok(Dim::Any),
        _ => Err(Garbage("there is no such axis")),
    };
    let dims = (0..count).map(|_| dim(reader)).collect::<Result<Vec<_>, _>>()?;
    Ok(TensorSpec { name, dtype, dims: has_rank.then_some(dims) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphpipe_schema::DType;
    use proptest::prelude::*;

    fn written(message: &ToProcess) -> Vec<u8> {
        let mut bytes = vec![7];
        message.write(&mut bytes);
        bytes
    }

    #[test]
    fn everything_that_is_said_of_a_model_arrives() {
        let spec = |name: &str, dtype, dims: Option<Vec<Dim>>| TensorSpec { name: name.into(), dtype, dims };
        let dims = vec![Dim::Symbol("N".into()), Dim::Fixed(64), Dim::Any];
        let signature = Signature {
            inputs: vec![spec("image", DType::Float32, Some(dims)), spec("", DType::String, None)],
            outputs: vec![spec("y", DType::Bfloat16, Some(vec![]))],
            variadic: true,
        };
        let options = vec![("threads".into(), "1".into()), ("arena".into(), String::new())];
        let said = FromProcess::Opened(Opened { signature, options, copies: true });
        let mut bytes = Vec::new();
        said.write(&mut bytes);
        assert_eq!(FromProcess::read(&bytes), Ok(said));
        for end in 0..bytes.len() {
            assert!(FromProcess::read(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn every_option_arrives_as_it_was_set() {
        let options = Options {
            intra_threads: 3,
            inputs: vec!["a".into(), "b:0".into()],
            outputs: vec!["c".into()],
            signature: Some(String::new()),
            trust_native: true,
            is_isolated: false,
        };
        let path = Path::new(OsStr::from_bytes(b"/m/\xff.onnx")).to_path_buf();
        let message =
            written(&ToProcess::Open { backend: "onnx".into(), path: path.clone(), options, in_background: true });
        let Ok(ToProcess::Open { backend, path: read, options, in_background: true }) = ToProcess::read(&message)
        else {
            panic!("{:?}", ToProcess::read(&message));
        };
        assert_eq!((backend.as_str(), read), ("onnx", path));
        assert_eq!((options.intra_threads, options.trust_native), (3, true));
        assert!(options.is_isolated, "what the process opens, it serves alone");
        assert_eq!((options.inputs, options.outputs), (vec!["a".into(), "b:0".into()], vec!["c".to_string()]));
        assert_eq!(options.signature.as_deref(), Some(""));
    }

    #[test]
    fn a_text_is_one_line_and_has_an_end() {
        let error = OpenError::Model(format!("a\nb{}", "ö".repeat(10_000)));
        let mut bytes = Vec::new();
        FromProcess::NotOpened(error).write(&mut bytes);
        let Ok(FromProcess::NotOpened(OpenError::Model(text))) = FromProcess::read(&bytes) else { panic!() };
        assert!(text.starts_with("a bö") && text.len() <= 4096 && text.len() > 4000, "{}", text.len());
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (ToProcess::read(&bytes), FromProcess::read(&bytes));
        }
    }
}
