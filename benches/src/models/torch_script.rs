//! Writes TorchScript files: an archive of the code of `forward`, of a pickle that says which weights the module has, and of the
//! bytes of each. What stands here is what layers take; PyTorch's own files have more in them that nobody needs to run one.

use super::layers::{Graph, INPUT, OUTPUT, Window, bytes_of};
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The version of the format.
const VERSION: &str = "3\n";
/// The folder that everything is in.
const FOLDER: &str = "made";

/// A module that is being made.
#[derive(Debug, Default)]
pub struct TorchScript {
    /// Of each weight its shape and its numbers.
    weights: Vec<(Vec<u64>, Vec<u8>)>,
    /// The lines of `forward`, one for each value.
    lines: Vec<String>,
}

impl TorchScript {
    fn weight(&mut self, shape: &[u64], values: &[f32]) -> String {
        self.weights.push((shape.to_vec(), bytes_of(values)));
        format!("self.w{}", self.weights.len() - 1)
    }

    fn line(&mut self, expression: &str) -> String {
        let name = format!("n{}", self.lines.len());
        self.lines.push(format!("    {name} = {expression}\n"));
        name
    }

    /// The code of the class.
    fn code(&self, last: &str) -> String {
        let mut code = "class Made(Module):\n  __parameters__ = []\n  __buffers__ = [".to_owned();
        for index in 0..self.weights.len() {
            let _ = write!(code, "\"w{index}\", ");
        }
        code.push_str("]\n");
        for index in 0..self.weights.len() {
            let _ = writeln!(code, "  w{index} : Tensor");
        }
        code.push_str("  training : bool\n");
        let _ = writeln!(code, "  def forward(self: __torch__.Made,\n    {INPUT}: Tensor) -> Tensor:");
        code.extend(self.lines.iter().map(String::as_str));
        let _ = writeln!(code, "    return {last}");
        code
    }

    /// The pickle of the module: an object of the class, and its attributes.
    fn pickle(&self) -> Vec<u8> {
        let mut pickle = Pickle(b"\x80\x02c__torch__\nMade\n)\x81}(".to_vec());
        for (index, (shape, bytes)) in self.weights.iter().enumerate() {
            pickle.text(&format!("w{index}"));
            pickle.tensor(index, shape, bytes.len() as u64 / 4);
        }
        pickle.text("training");
        // False; then all of them are set.
        pickle.0.extend(b"\x89ub.");
        pickle.0
    }
}

impl Graph for TorchScript {
    const ARE_CHANNELS_LAST: bool = false;

    fn dense(&mut self, last: &str, sizes: [u64; 2], weights: &[f32], bias: &[f32]) -> String {
        let (weights, bias) = (self.weight(&sizes, weights), self.weight(&sizes[1..], bias));
        self.line(&format!("torch.addmm({bias}, {last}, {weights})"))
    }

    fn convolution(&mut self, last: &str, window: Window, weights: &[f32], bias: &[f32]) -> String {
        let Window { before, after, size, stride } = window;
        let padding = window.padding();
        let (weights, bias) = (self.weight(&[after, before, size, size], weights), self.weight(&[after], bias));
        self.line(&format!("torch.conv2d({last}, {weights}, {bias}, [{stride}, {stride}], [{padding}, {padding}])"))
    }

    fn relu(&mut self, last: &str) -> String {
        self.line(&format!("torch.relu({last})"))
    }

    fn sum(&mut self, one: &str, other: &str) -> String {
        self.line(&format!("torch.add({one}, {other})"))
    }

    fn maximum(&mut self, last: &str, window: Window) -> String {
        let (size, stride, padding) = (window.size, window.stride, window.padding());
        self.line(&format!("torch.max_pool2d({last}, [{size}, {size}], [{stride}, {stride}], [{padding}, {padding}])"))
    }

    fn mean(&mut self, last: &str) -> String {
        self.line(&format!("torch.mean({last}, [2, 3])"))
    }

    fn finish(self, last: &str, _: &[u64], _: &[u64]) -> Vec<u8> {
        let mut archive = Archive(ZipWriter::new(Cursor::new(Vec::new())));
        archive.add("data.pkl", &self.pickle());
        archive.add("code/__torch__.py", self.code(last).as_bytes());
        // An empty tuple: no constants.
        archive.add("constants.pkl", b"\x80\x02).");
        for (index, (_, bytes)) in self.weights.iter().enumerate() {
            archive.add(&format!("data/{index}"), bytes);
        }
        archive.add("version", VERSION.as_bytes());
        archive.0.finish().expect("memory takes it").into_inner()
    }
}

/// What stands beside such a file: what it takes and gives.
pub fn description(row: &[u64], out: &[u64]) -> String {
    let part = |title: &str, name: &str, sizes: &[u64]| {
        let sizes = sizes.iter().map(u64::to_string).collect::<Vec<String>>().join(", ");
        format!("[[{title}]]\nname = \"{name}\"\ndtype = \"float32\"\nshape = [\"N\", {sizes}]\n")
    };
    part("inputs", INPUT, row) + &part("outputs", OUTPUT, out)
}

struct Archive(ZipWriter<Cursor<Vec<u8>>>);

impl Archive {
    /// Adds a file as it is: PyTorch reads weights where they lie.
    fn add(&mut self, name: &str, bytes: &[u8]) {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        self.0.start_file(format!("{FOLDER}/{name}"), options).expect("memory takes it");
        self.0.write_all(bytes).expect("memory takes it");
    }
}

/// A pickle of protocol 2: what is said is pushed on a stack.
struct Pickle(Vec<u8>);

impl Pickle {
    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.push(b'J');
        self.0.extend((number as i32).to_le_bytes());
    }

    fn tuple(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.0.push(b'(');
        numbers.into_iter().for_each(|number| self.number(number));
        self.0.push(b't');
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`, of the storage in the file of this index.
    fn tensor(&mut self, index: usize, shape: &[u64], numbers: u64) {
        self.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.0.extend(b"ctorch\nFloatStorage\n");
        self.text(&index.to_string());
        self.text("cpu");
        self.number(numbers);
        self.0.extend(b"tQ");
        self.number(0);
        self.tuple(shape.iter().copied());
        self.tuple((0..shape.len()).map(|axis| shape[axis + 1..].iter().product()));
        self.0.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
}
