//! Whether the plugin that is tested is the one that the source makes.

use crate::support::{backend, folder, open, path_of};
use graphpiped_backend_api::{Backend, OpenError, Options};
use graphpiped_backend_torch::{Locations, TorchBackend};
use std::path::PathBuf;

fn plugin() -> PathBuf {
    let options = open("double").effective_options();
    options.into_iter().find(|(key, _)| key == "plugin").expect("the plugin is among the options").1.into()
}

#[test]
fn the_plugin_is_not_older_than_its_source() {
    let modified =
        |path: PathBuf| path.metadata().and_then(|metadata| metadata.modified()).expect("a file with a time");
    let built = modified(plugin());
    for source in ["plugin.cpp", "plugin.h", "memory.cpp", "memory.h", "build.sh"] {
        assert!(modified(folder("plugin").join(source)) <= built, "{source} has changed; run `make torch-plugin`");
    }
}

#[test]
fn the_options_in_effect_name_what_is_loaded() {
    let options = open("double").effective_options();
    let value = |key: &str| options.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str());
    assert!(value("torch").is_some_and(|version| version.starts_with("2.11.")), "{options:?}");
    assert!(value("library").is_some_and(|path| path.ends_with("/lib/libtorch_cpu.so")), "{options:?}");
    assert_eq!((value("format"), value("interop_threads")), (Some("TorchScript"), Some("1")));
    assert!(value("description").is_some_and(|path| path.ends_with("/double.toml")), "{options:?}");
}

#[test]
fn what_is_loaded_once_stays_for_those_who_look_elsewhere() {
    drop(backend().open(&path_of("double.pt"), &Options::default()).unwrap_or_else(|error| panic!("{error}")));
    let elsewhere = Locations { explicit: Some("/no/such".into()), ..Default::default() };
    let opened = TorchBackend::new(elsewhere).open(&path_of("double.pt"), &Options::default());
    assert!(opened.is_ok(), "{}", opened.err().map_or(String::new(), |error: OpenError| error.to_string()));
}
