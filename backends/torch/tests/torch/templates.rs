//! Descriptions to be filled in, from what a model says about itself.

use crate::support::{backend, path_of};
use graphpiped_backend_api::{Backend, Options};

#[test]
fn a_template_names_each_argument_and_each_output() {
    let template = backend().template(&path_of("undescribed.pt"), &Options::default()).expect("it is not described");
    let template = template.unwrap_or_else(|error| panic!("{error}"));
    let tensor = |side: &str, name: &str| {
        format!("[[{side}]]\nname = \"{name}\"\ndtype = \"float32\"\nshape = [\"N\", \"?\"]\n")
    };
    for part in [
        "# What undescribed.pt takes and gives. Put this beside it, as undescribed.toml, and fill in:\n".to_string(),
        format!("# forward takes a: Tensor\n{}", tensor("inputs", "a")),
        format!("# forward takes b: Tensor\n{}", tensor("inputs", "b")),
        format!(
            "# forward gives Tuple[Tensor, Tensor]\n{}\n{}",
            tensor("outputs", "output_0"),
            tensor("outputs", "output_1")
        ),
    ] {
        assert!(template.contains(&part), "{part}\nis not in\n{template}");
    }
}

#[test]
fn a_model_can_be_served_with_its_template() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["undescribed.pt", "dictionary.pt", "packaged.pt2"] {
        let path = folder.path().join(name);
        std::fs::copy(path_of(name), &path).expect("a copy");
        let options = Options { trust_native: true, ..Options::default() };
        let template = backend().template(&path, &options).expect("it is not described");
        let template = template.unwrap_or_else(|error| panic!("{error}"));
        std::fs::write(path.with_extension("toml"), &template).expect("a description");
        let opened = backend().open(&path, &options);
        opened.unwrap_or_else(|error| panic!("{error} in\n{template}"));
        assert!(backend().template(&path, &options).is_none(), "nothing is missing");
    }
}
