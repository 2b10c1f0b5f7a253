//! How a folder comes to its place: whole or not at all, whoever else is at it, and readable to everybody.

use super::*;
use crate::runtime::install::{exchange, make_readable, replace_by_two_renames};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn what_cannot_be_put_in_its_place_leaves_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("torch")).unwrap();
    fs::write(path("torch/lib"), "old").unwrap();
    for replace in [exchange, replace_by_two_renames] {
        replace(&path("nothing"), &path("torch"), &path("old")).unwrap_err();
        assert_eq!(fs::read_to_string(path("torch/lib")).unwrap(), "old");
        fs::create_dir(path("fresh")).unwrap();
        fs::write(path("fresh/lib"), "new").unwrap();
        replace(&path("fresh"), &path("torch"), &path("old")).unwrap();
        assert_eq!(fs::read_to_string(path("torch/lib")).unwrap(), "new");
        fs::write(path("torch/lib"), "old").unwrap();
        let _ = fs::remove_dir_all(path("fresh"));
    }
}

#[test]
fn at_no_moment_is_there_no_library() {
    const REPLACEMENTS: usize = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["torch", "fresh"] {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join("lib"), name).unwrap();
    }
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let library = path("torch/lib");
            let (mut looks, mut gaps) = (0, 0);
            while !ended.load(Ordering::Relaxed) || looks == 0 {
                (looks, gaps) = (looks + 1, gaps + usize::from(!library.exists()));
            }
            gaps
        });
        for _ in 0..REPLACEMENTS {
            exchange(&path("fresh"), &path("torch"), &path("old")).unwrap();
            if path("old").exists() {
                fs::rename(path("old"), path("fresh")).unwrap();
            }
        }
        ended.store(true, Ordering::Relaxed);
        assert_eq!(looks.join().unwrap(), 0);
    });
}

#[test]
fn the_lock_is_a_file_and_not_where_a_link_leads() {
    let bench = Bench::new(&wheel(&MEMBERS));
    fs::create_dir(bench.path("libraries")).unwrap();
    fs::write(bench.path("precious"), "of somebody").unwrap();
    std::os::unix::fs::symlink(bench.path("precious"), bench.path("libraries/.lock")).unwrap();
    let message = bench.install().expect_err("it is a link");
    assert!(message.contains("libraries/.lock: ") && message.contains("; remove it"), "{message}");
    assert_eq!(fs::read_to_string(bench.path("precious")).unwrap(), "of somebody");
    fs::remove_file(bench.path("libraries/.lock")).unwrap();
    fs::write(bench.path("libraries/.lock"), "not ours to empty").unwrap();
    bench.install().unwrap();
    assert_eq!(fs::read_to_string(bench.path("libraries/.lock")).unwrap(), "not ours to empty");
}

#[test]
fn everybody_may_read_what_was_made_under_a_strict_umask() {
    const STRICT: &str = "GRAPHPIPED_TEST_UMASK";
    // A umask is the whole process's, so this test is run again in one of its own.
    if std::env::var_os(STRICT).is_none() {
        let name = "runtime::tests::in_place::everybody_may_read_what_was_made_under_a_strict_umask";
        let mut again = Command::new("sh");
        again.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
        let output = again.args(["--exact", name]).env(STRICT, "1").output().expect("it runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let bench = Bench::new(&wheel(&MEMBERS));
    bench.install().unwrap();
    let mode = |name: &str| bench.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("index"), 0o700, "the umask is what it should be");
    for folder in ["", "/torch", "/torch/lib", "/torch/include", "/torch/include/deep"] {
        assert_eq!(mode(&format!("libraries{folder}")), 0o755, "{folder}");
    }
    for file in [".complete", "build-version", "include/a.h", "include/deep/b.h"] {
        assert_eq!(mode(&format!("libraries/torch/{file}")), 0o644, "{file}");
    }
    assert_eq!((mode("libraries/torch/lib/libit.so.1"), mode("libraries/torch/lib/libstub.so")), (0o755, 0o755));
}

#[test]
fn two_may_make_the_same_folders_at_once() {
    const TIMES: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let starts = std::sync::Barrier::new(2);
    // Nobody panics beside a barrier: the other one would wait there for ever.
    let all = || -> Vec<_> {
        let make = |time| {
            starts.wait();
            make_readable(&folder.path().join(format!("{time}/libraries"))).err()
        };
        (0..TIMES).filter_map(make).collect()
    };
    std::thread::scope(|scope| {
        for one in [scope.spawn(all), scope.spawn(all)] {
            assert!(one.join().unwrap().is_empty());
        }
    });
}

#[test]
fn two_installations_at_once_fetch_once() {
    let bench = Bench::new(&wheel(&MEMBERS));
    std::thread::scope(|scope| {
        let both = [scope.spawn(|| bench.install()), scope.spawn(|| bench.install())];
        for one in both {
            one.join().unwrap().unwrap();
        }
    });
    assert_eq!(bench.asked().len(), 1);
}

#[test]
fn what_an_installation_that_was_killed_left_behind_is_removed() {
    let bench = Bench::new(&wheel(&MEMBERS));
    fs::create_dir_all(bench.path("libraries/.torch.new/fresh/lib")).unwrap();
    fs::write(bench.path("libraries/.torch.new/fresh/lib/libit.so.1"), "half").unwrap();
    bench.install().unwrap();
    assert_eq!(fs::read_to_string(bench.in_place("lib/libit.so.1")).unwrap(), "the library");
    assert!(!bench.path("libraries/.torch.new").exists());
}
