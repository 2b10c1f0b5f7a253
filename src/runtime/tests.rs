//! An installation without a network: the wheel is made by the test, and pip is a script that copies it.

mod in_place;

use super::install::install;
use super::list::{State, find};
use super::plan::{self, Made, Plan, Take, Wheel};
use super::unpack::{Amount, BYTES_MAX, FILES_MAX, unpack};
use super::*;
use crate::places::Places;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Mutex;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const MEMBERS: [(&str, &str); 5] = [
    ("it/lib/libit.so.1", "the library"),
    ("it/include/", ""),
    ("it/include/a.h", "first"),
    ("it/include/deep/b.h", "second"),
    ("it/python.py", "not wanted"),
];
const TAKES: [Take<'static>; 2] =
    [Take::File("it/lib/libit.so.1", "lib/libit.so.1"), Take::Folder("it/include/", "include/")];
const MADE: [Made<'static>; 3] = [
    Made::Link("lib/libit.so", "libit.so.1"),
    Made::Text("build-version", "1.5\n"),
    Made::Stub("lib/libstub.so", "libit.so.1"),
];

fn wheel(members: &[(&str, &str)]) -> Vec<u8> {
    packed(members, CompressionMethod::Deflated)
}

fn packed(members: &[(&str, &str)], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// As `sha256sum` has it.
fn hash(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let output = Command::new("sha256sum").arg(file.path()).output().expect("it runs");
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_string()
}

/// A folder with a library folder, what the index has, and a Python.
struct Bench {
    folder: tempfile::TempDir,
    sha256: String,
    said: Mutex<Vec<String>>,
}

impl Bench {
    /// The index has this wheel, and the plan its hash.
    fn new(wheel: &[u8]) -> Bench {
        let bench = Bench { folder: tempfile::tempdir().unwrap(), sha256: hash(wheel), said: Mutex::default() };
        fs::create_dir(bench.path("index")).unwrap();
        fs::write(bench.path("index/the_it-1.5-py3-none-manylinux2014_x86_64.whl"), wheel).unwrap();
        bench.python(
            "test \"$3\" = download || exit 0\n\
             echo \"$@\" >>\"$(dirname \"$0\")/asked\"\n\
             while test \"$1\" != --dest; do shift; done\n\
             mkdir -p \"$2\" && cp \"$(dirname \"$0\")\"/index/* \"$2\"\n",
        );
        bench
    }

    /// Python is this script of the shell; `-c` and what runs pip are its first two words.
    fn python(&self, script: &str) {
        fs::write(self.path("script"), format!("#!/bin/sh\n{script}")).unwrap();
        // By another process: a child that another test has just begun may have inherited a file that is open for
        // writing, and such a one cannot be run.
        let copied =
            Command::new("install").args(["-m", "755"]).arg(self.path("script")).arg(self.path("python3")).status();
        assert!(copied.expect("it runs").success());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn in_place(&self, name: &str) -> PathBuf {
        self.path("libraries/torch").join(name)
    }

    fn install(&self) -> Result<(), String> {
        let it = Wheel { project: "the-it", version: "1.5", sha256: &self.sha256, bytes: 2048, takes: &TAKES };
        let plan = Plan { framework: Framework::Torch, version: "1.5", wheels: vec![it], made: &MADE };
        let python = self.path("python3");
        install(&plan, &self.path("libraries"), python.to_str().unwrap(), &|line| {
            self.said.lock().unwrap().push(line.to_string());
        })
    }

    /// The error of an installation of which nothing is left.
    fn refused(&self) -> String {
        let message = self.install().expect_err("it cannot be installed");
        assert!(!message.contains('\n'), "{message}");
        assert!(message.contains("; "), "a remedy: {message}");
        let left: Vec<_> = fs::read_dir(self.path("libraries")).into_iter().flatten().flatten().collect();
        let left: Vec<_> = left.iter().map(fs::DirEntry::file_name).filter(|name| name != ".lock").collect();
        assert!(left.is_empty() || left == ["torch"], "{left:?}");
        message
    }

    /// What pip was asked for, a line each time.
    fn asked(&self) -> Vec<String> {
        fs::read_to_string(self.path("asked")).unwrap_or_default().lines().map(str::to_string).collect()
    }
}

#[test]
fn what_is_needed_of_a_wheel_becomes_a_folder_and_nothing_else() {
    let bench = Bench::new(&wheel(&MEMBERS));
    bench.install().unwrap();
    let text = |name: &str| fs::read_to_string(bench.in_place(name)).unwrap();
    assert_eq!((text("lib/libit.so.1"), text("lib/libit.so")), ("the library".into(), "the library".into()));
    assert_eq!(
        (text("include/a.h"), text("include/deep/b.h"), text("build-version")),
        ("first".into(), "second".into(), "1.5\n".into())
    );
    let stub = bench.in_place("lib/libstub.so").metadata().unwrap().len();
    let sizes =
        format!("4 build-version\n5 include/a.h\n6 include/deep/b.h\n11 lib/libit.so.1\n{stub} lib/libstub.so\n");
    assert_eq!(text(".complete"), format!("the-it 1.5 {}\n{sizes}", bench.sha256));
    let mode = |name: &str| bench.in_place(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("lib/libit.so.1"), mode("include/a.h")), (0o755, 0o644));
    assert!(fs::read(bench.in_place("lib/libstub.so")).unwrap().starts_with(b"\x7fELF"));
    let mut names: Vec<_> = fs::read_dir(bench.in_place("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".complete", "build-version", "include", "lib"]);
    let mut beside: Vec<_> =
        fs::read_dir(bench.path("libraries")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    beside.sort();
    assert_eq!(beside, [".lock", "torch"], "no scratch is left");
    let asked = bench.asked();
    assert_eq!(asked.len(), 1);
    for word in
        ["--require-hashes", "--no-deps", "--only-binary=:all:", "--python-version=3.11", "--platform=manylinux2014_"]
    {
        assert!(asked[0].contains(word), "{asked:?}");
    }
    let said = bench.said.lock().unwrap().join("\n");
    assert!(said.contains("fetching PyTorch 1.5") && said.contains("(3 files, "), "{said}");
}

#[test]
fn what_is_there_already_is_not_fetched_again_and_what_is_older_is_replaced() {
    let bench = Bench::new(&wheel(&MEMBERS));
    bench.install().unwrap();
    bench.install().unwrap();
    assert_eq!(bench.asked().len(), 1);
    assert!(bench.said.lock().unwrap().last().unwrap().contains("already; to fetch it again, remove "));
    fs::write(bench.in_place("plugin.so"), "built here").unwrap();
    bench.install().unwrap();
    assert_eq!(bench.asked().len(), 1, "what was added is nobody's fault");
    fs::write(bench.in_place(".complete"), "the-it 1.4 0\n").unwrap();
    fs::write(bench.in_place("old"), "old").unwrap();
    bench.install().unwrap();
    assert_eq!(bench.asked().len(), 2);
    assert!(!bench.in_place("old").exists() && bench.in_place("lib/libit.so").exists());
    fs::remove_file(bench.in_place("lib/libit.so.1")).unwrap();
    bench.install().unwrap();
    assert_eq!(bench.asked().len(), 3, "a file was missing");
}

#[test]
fn what_was_cut_off_is_fetched_again() {
    let bench = Bench::new(&wheel(&MEMBERS));
    bench.install().unwrap();
    for (fetched, (name, whole)) in (2..).zip([("lib/libit.so.1", "the library"), ("include/deep/b.h", "second")]) {
        let file = fs::OpenOptions::new().write(true).open(bench.in_place(name)).unwrap();
        file.set_len(3).unwrap();
        bench.install().unwrap();
        assert_eq!(fs::read_to_string(bench.in_place(name)).unwrap(), whole);
        assert_eq!(bench.asked().len(), fetched);
    }
}

#[test]
fn a_wheel_of_another_hash_is_not_unpacked() {
    let mut bench = Bench::new(&wheel(&MEMBERS));
    bench.sha256 = "0".repeat(64);
    let message = bench.refused();
    assert!(message.starts_with("the-it 1.5 has the SHA-256 ") && message.contains(&bench.sha256), "{message}");
    assert!(!bench.in_place("").exists());
}

#[test]
fn a_wheel_that_is_not_what_it_should_be_is_refused() {
    let refused = |content: &[u8], expected: &str| {
        let bench = Bench::new(content);
        let message = bench.refused();
        assert!(message.contains("the_it-1.5-py3-none-manylinux2014_x86_64.whl is not the wheel"), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(!bench.in_place("").exists());
    };
    let whole = wheel(&MEMBERS);
    refused(&wheel(&MEMBERS[1..]), "it/lib/libit.so.1: ");
    refused(&wheel(&MEMBERS[..2]), "there is nothing in it/include/");
    refused(&whole[..whole.len() - 10], "");
    refused(&whole[..whole.len() / 2], "");
    refused(b"", "");
    refused(&wheel(&[MEMBERS[0], ("it/include/../../escaped", "x")]), "outside of its folder");
    let mut damaged = packed(&MEMBERS, CompressionMethod::Stored);
    let at = damaged.windows(11).position(|window| window == b"the library").expect("it is stored");
    damaged[at] ^= 1;
    refused(&damaged, "lib/libit.so.1: ");
}

#[test]
fn a_wheel_cannot_fill_the_disk() {
    let bench = Bench::new(&wheel(&MEMBERS));
    let it = Wheel { project: "the-it", version: "1.5", sha256: &bench.sha256, bytes: 2048, takes: &TAKES };
    let path = bench.path("index/the_it-1.5-py3-none-manylinux2014_x86_64.whl");
    for mut amount in [Amount { files: 0, bytes: BYTES_MAX - 10 }, Amount { files: FILES_MAX, bytes: 0 }] {
        let message = unpack(&it, &path, &bench.path("out"), &mut amount).expect_err("it is too much");
        assert!(message.contains("more than 50000 files, or more than 4294967296 bytes"), "{message}");
        assert!(!bench.path("out/lib/libit.so.1").exists());
    }
}

#[test]
fn a_folder_that_somebody_else_has_made_is_left_alone() {
    let bench = Bench::new(&wheel(&MEMBERS));
    fs::create_dir_all(bench.in_place("lib")).unwrap();
    let message = bench.refused();
    assert!(message.contains("holds files that this command has not put there"), "{message}");
    fs::remove_dir_all(bench.in_place("")).unwrap();
    fs::write(bench.path("libraries/torch"), "a file").unwrap();
    assert!(bench.refused().contains("is not a folder"));
    fs::remove_file(bench.path("libraries/torch")).unwrap();
    fs::create_dir(bench.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(bench.path("elsewhere"), bench.path("libraries/torch")).unwrap();
    assert!(bench.refused().contains("is not a folder"));
    assert!(bench.asked().is_empty(), "nothing is fetched in vain");
    fs::remove_file(bench.path("libraries/torch")).unwrap();
    fs::create_dir(bench.path("libraries/torch")).unwrap();
    bench.install().expect("an empty folder is nobody's");
}

#[test]
fn without_python_without_pip_and_without_a_network_the_remedy_is_said() {
    let bench = Bench::new(&wheel(&MEMBERS));
    bench.python("exit 1\n");
    let message = bench.refused();
    assert!(message.contains("python3 has no pip; install it (Debian: apt-get install python3-pip)"), "{message}");
    bench.python("test \"$3\" = --version\n");
    let message = bench.refused();
    assert!(message.starts_with("pip could not download and check PyTorch 1.5"), "{message}");
    assert!(message.contains("pip config list"), "{message}");
    bench.python("exit 0\n");
    let message = bench.refused();
    assert!(message.contains("there are 0 files the_it-1.5-*.whl"), "{message}");
    fs::remove_file(bench.path("python3")).unwrap();
    let message = bench.refused();
    assert!(message.contains("cannot be run") && message.contains("--python"), "{message}");
}

#[test]
fn pip_imports_nothing_from_the_folder_that_somebody_is_in() {
    let folder = tempfile::tempdir().unwrap();
    for module in ["pip", "runpy", "zipfile", "json"] {
        fs::write(folder.path().join(format!("{module}.py")), format!("raise SystemExit('{module} of a stranger')"))
            .unwrap();
    }
    // Its own settings are still those of whoever runs it, as this one is.
    let mut command = pip::pip("python3");
    command.args(["config", "list"]).current_dir(folder.path()).env("PIP_INDEX_URL", "https://index.example/simple");
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("https://index.example/simple"), "{said}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let bench = Bench::new(&wheel(&MEMBERS));
    fs::write(bench.path("libraries"), "a file").unwrap();
    let message = bench.install().expect_err("it is no folder");
    assert!(message.contains("cannot be looked at") || message.contains("cannot be written"), "{message}");
    assert!(message.contains("--into") && !message.contains('\n'), "{message}");
}

#[test]
fn every_plan_is_whole() {
    for framework in Framework::ALL {
        let plan = plan::of(framework, "x86_64").unwrap();
        for wheel in &plan.wheels {
            assert_eq!(wheel.sha256.len(), 64);
            assert!(wheel.sha256.bytes().all(|digit| digit.is_ascii_hexdigit()) && wheel.bytes > 1 << 20);
        }
        let mut paths: Vec<_> = plan.paths().collect();
        paths.sort_unstable();
        let count = paths.len();
        paths.dedup();
        assert_eq!(paths.len(), count, "one file for two");
        assert!(paths.iter().all(|path| !path.starts_with('/') && !path.contains("..")));
    }
    assert!(plan::of(Framework::Onnx, "aarch64").is_ok());
    let message = plan::of(Framework::Torch, "aarch64").unwrap_err();
    assert!(message.starts_with("there is no PyTorch to fetch for aarch64; "), "{message}");
    assert_eq!(
        plan::of(Framework::Onnx, "x86_64").unwrap().stamp(),
        "onnxruntime 1.32.0 5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d\n"
    );
}

#[test]
fn libraries_go_into_the_project_or_into_the_system() {
    let folder = |executable: &str| default_folder(Path::new(executable)).0;
    assert_eq!(folder("/p/target/release/graphpiped"), Path::new("/p/runtime"));
    assert_eq!(folder("/usr/local/bin/graphpiped"), Path::new("/usr/local/lib/graphpiped"));
}

#[test]
fn what_loads_what_does_not_and_what_is_absent_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places { runtime: Some(folder.path().into()), onnxruntime: None };
    let missing = |_: Framework, path: &Path| Err(format!("{}: cannot open shared object file", path.display()));
    assert_eq!(find(&places, Framework::Mxnet, &missing), State::Absent);
    fs::create_dir(folder.path().join("mxnet")).unwrap();
    let library = folder.path().join("mxnet/libmxnet.so");
    fs::write(&library, "").unwrap();
    let place = library.display().to_string();
    let loads = |_: Framework, path: &Path| {
        assert_eq!(path, library);
        Ok("1.9.1".to_string())
    };
    assert_eq!(find(&places, Framework::Mxnet, &loads), State::Loads { version: "1.9.1".into(), place: place.clone() });
    let breaks = |framework: Framework, path: &Path| {
        if path == library {
            Err("it ends the process that loads it (signal 11)".into())
        } else {
            missing(framework, path)
        }
    };
    let expected = format!("{place}: it ends the process that loads it (signal 11)");
    assert_eq!(find(&places, Framework::Mxnet, &breaks), State::Broken(expected));
}

#[test]
fn the_stub_is_a_library_that_has_the_other_one_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = |command: &mut Command| {
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    fs::write(path("it.c"), "int answer(void) { return 42; }").unwrap();
    run(Command::new("cc")
        .args(["-shared", "-fPIC", "-Wl,-soname,libit.so", "-o"])
        .args([path("libit.so"), path("it.c")]));
    fs::write(path("libstub.so"), stub::library("libstub.so", "libit.so")).unwrap();
    // A symbol that is found through the stub comes from the library that it needs, which only the stub's own folder has.
    let ask = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).answer())";
    assert_eq!(run(Command::new("python3").args(["-c", ask]).arg(path("libstub.so"))).trim(), "42");
    assert!(run(Command::new("readelf").arg("-d").arg(path("libstub.so"))).contains("soname: [libstub.so]"));
    // A linker takes it for a library, and remembers it by its name.
    fs::write(path("main.c"), "int answer(void); int main(void) { return answer() - 42; }").unwrap();
    let mut link = Command::new("cc");
    link.args(["-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN", "-o"]).arg(path("main")).arg(path("main.c"));
    run(link.arg(format!("-L{}", folder.path().display())).args(["-lstub", "-lit"]));
    run(&mut Command::new(path("main")));
    let needed = run(Command::new("readelf").arg("-d").arg(path("main")));
    assert!(needed.contains("[libstub.so]"), "{needed}");
}
