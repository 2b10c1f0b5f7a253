//! What is fetched of each framework: which wheels, by version and hash, and which of their members become which files.
//!
//! Only what a backend loads or a plugin is built with is taken: of PyTorch's 1.2 GB, 500 MB. The libraries link no Python,
//! so the wheels for CPython 3.11 do for every machine of their architecture, whatever Python it has.

use crate::places::Framework;

/// What becomes the folder of a framework.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Whose folder it is.
    pub framework: Framework,
    /// Its version, for people.
    pub version: &'a str,
    /// Where it comes from.
    pub wheels: Vec<Wheel<'a>>,
    /// What is made beside what is unpacked.
    pub made: &'a [Made<'a>],
}

/// A package of the package index, in one version and for one architecture.
#[derive(Clone, Debug)]
pub struct Wheel<'a> {
    /// Its name there.
    pub project: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: &'a str,
    /// How much is fetched.
    pub bytes: u64,
    /// What is taken out of it.
    pub takes: &'a [Take<'a>],
}

/// Members of a wheel, and what they become in the framework's folder.
#[derive(Clone, Copy, Debug)]
pub enum Take<'a> {
    /// One file.
    File(&'a str, &'a str),
    /// All files of a folder; both names end with a slash.
    Folder(&'a str, &'a str),
}

/// A file that is in no wheel.
#[derive(Clone, Copy, Debug)]
pub enum Made<'a> {
    /// A name for another file beside it.
    Link(&'a str, &'a str),
    /// A file with this text.
    Text(&'a str, &'a str),
    /// A shared library of this file name that has nothing in it but the wish for the other one, which lies beside it.
    Stub(&'a str, &'a str),
}

impl Plan<'_> {
    /// What the stamp in a finished folder begins with: every wheel with its hash.
    pub fn stamp(&self) -> String {
        let line = |wheel: &Wheel<'_>| format!("{} {} {}\n", wheel.project, wheel.version, wheel.sha256);
        self.wheels.iter().map(line).collect()
    }

    /// How much is fetched.
    pub fn bytes(&self) -> u64 {
        self.wheels.iter().map(|wheel| wheel.bytes).sum()
    }

    /// Files and folders that a finished folder has, by their path in it.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let taken = self.wheels.iter().flat_map(|wheel| wheel.takes).map(|take| match take {
            Take::File(_, to) | Take::Folder(_, to) => *to,
        });
        taken.chain(self.made.iter().map(|made| match made {
            Made::Link(path, _) | Made::Text(path, _) | Made::Stub(path, _) => *path,
        }))
    }
}

/// The plan for a framework on an architecture, as [`std::env::consts::ARCH`] names it.
pub fn of(framework: Framework, architecture: &str) -> Result<Plan<'static>, String> {
    match (framework, architecture) {
        (Framework::Onnx, "x86_64") => Ok(onnx("5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d")),
        (Framework::Onnx, "aarch64") => Ok(onnx("2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c")),
        (Framework::Tensorflow, "x86_64") => Ok(tensorflow()),
        (Framework::Torch, "x86_64") => Ok(torch()),
        (Framework::Mxnet, "x86_64") => Ok(mxnet()),
        _ => Err(format!(
            "there is no {} to fetch for {architecture}; install it from elsewhere into a folder {} and name the folder \
             around it with --runtime",
            framework.title(),
            framework.folder()
        )),
    }
}

fn onnx(sha256: &'static str) -> Plan<'static> {
    Plan {
        framework: Framework::Onnx,
        version: "1.32.0",
        wheels: vec![Wheel {
            project: "onnxruntime",
            version: "1.32.0",
            sha256,
            bytes: 27_773_237,
            takes: &[Take::File("onnxruntime/capi/libonnxruntime.so.1.32.0", "libonnxruntime.so.1.32.0")],
        }],
        made: &[
            Made::Link("libonnxruntime.so", "libonnxruntime.so.1.32.0"),
            Made::Link("libonnxruntime.so.1", "libonnxruntime.so.1.32.0"),
        ],
    }
}

fn tensorflow() -> Plan<'static> {
    Plan {
        framework: Framework::Tensorflow,
        version: "2.21.0",
        wheels: vec![Wheel {
            project: "tensorflow-cpu",
            version: "2.21.0",
            sha256: "2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c",
            bytes: 273_829_956,
            takes: &[
                Take::File("tensorflow/libtensorflow_cc.so.2", "libtensorflow_cc.so.2"),
                Take::File("tensorflow/libtensorflow_framework.so.2", "libtensorflow_framework.so.2"),
            ],
        }],
        // By this name bindings ask for it.
        made: &[Made::Link("libtensorflow.so", "libtensorflow_cc.so.2")],
    }
}

/// The wheel of PyTorch is one for CUDA. Its part for processors needs two small libraries of CUDA all the same, and asks for
/// nothing of a GPU; but its `libtorch.so`, which plugins and compiled models are linked with, needs all of CUDA. One that needs
/// the part for processors alone takes its place.
fn torch() -> Plan<'static> {
    Plan {
        framework: Framework::Torch,
        version: "2.11.0",
        wheels: vec![
            Wheel {
                project: "torch",
                version: "2.11.0",
                sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
                bytes: 530_604_548,
                takes: &[
                    Take::File("torch/lib/libc10.so", "lib/libc10.so"),
                    Take::File("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
                    Take::File("torch/lib/libgomp.so.1", "lib/libgomp.so.1"),
                    Take::Folder("torch/include/", "include/"),
                ],
            },
            Wheel {
                project: "nvidia-cuda-runtime",
                version: "13.0.96",
                sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
                bytes: 2_243_632,
                takes: &[Take::File("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13")],
            },
            Wheel {
                project: "nvidia-cuda-cupti",
                version: "13.0.85",
                sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
                bytes: 10_715_597,
                takes: &[Take::File("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13")],
            },
        ],
        made: &[Made::Text("build-version", "2.11.0\n"), Made::Stub("lib/libtorch.so", "libtorch_cpu.so")],
    }
}

fn mxnet() -> Plan<'static> {
    Plan {
        framework: Framework::Mxnet,
        version: "1.9.1",
        wheels: vec![Wheel {
            project: "mxnet",
            version: "1.9.1",
            sha256: "65d5dac162c87a14d138d888b54494d515036d9047ae804ff51f770bd02197a6",
            bytes: 49_087_074,
            takes: &[
                Take::File("mxnet/libmxnet.so", "libmxnet.so"),
                Take::File("mxnet/libgfortran.so.3", "libgfortran.so.3"),
                Take::File("mxnet/libopenblas.so.0", "libopenblas.so.0"),
            ],
        }],
        made: &[],
    }
}
