//! What a bad net gets when it is opened: one line that says what, where and what to do.

use crate::nets::{Argument, Files, net, operator, weight};
use crate::support::{backend, path_of, refused};
use graphpiped_backend_api::{Backend, OpenError, Options};
use graphpiped_backend_caffe2::Caffe2Backend;
use graphpiped_backend_conformance::change_every_byte;
use graphpiped_backend_onnx::Locations;
use std::path::Path;

/// The message without the file that it names first.
fn cause(path: &Path, file: &Path) -> String {
    let message = refused(path, &Options::default());
    let prefix = format!("{}: ", file.display());
    message.strip_prefix(&prefix).unwrap_or_else(|| panic!("{prefix} comes first: {message}")).to_string()
}

/// The cause that a net of one operator is refused for.
fn of_operator(kind: &str, arguments: &[Argument<'_>]) -> String {
    let init = [weight("w", &[2, 2, 1, 1], &[1.0; 4]), weight("b", &[2], &[0.0; 2])];
    let files = Files::of(&init, &[operator(kind, "x w b", "y", arguments)]);
    cause(files.path(), &files.file("predict_net.pb"))
}

#[test]
fn files_that_are_not_there_or_not_nets_are_named() {
    let relu = net(&[operator("Relu", "x", "y", &[])]);
    let init = net(&[weight("w", &[1], &[1.0])]);
    let files = Files::with(&[("predict_net.pb", &relu)]);
    let message = cause(files.path(), &files.file("init_net.pb"));
    assert_eq!(message, "there is no such file; predict_net.pb and init_net.pb have to lie in one folder");

    files.write("init_net.pb", &init);
    let no_net = "is damaged or no net of Caffe2 (a NetDef); copy it again, or export the net again";
    files.write("predict_net.pb", b"this is a text");
    assert_eq!(cause(files.path(), &files.file("predict_net.pb")), no_net);
    files.write("predict_net.pb", &relu[..relu.len() - 2]);
    assert_eq!(cause(files.path(), &files.file("predict_net.pb")), no_net);
    files.write("predict_net.pb", &relu);
    files.write("init_net.pb", b"this is a text");
    assert_eq!(cause(files.path(), &files.file("init_net.pb")), no_net);
    let large = std::fs::File::create(files.file("predict_net.pb")).expect("a file");
    large.set_len((64 << 20) + 1).expect("a file without content takes no room");
    files.write("init_net.pb", &init);
    let message = cause(files.path(), &files.file("predict_net.pb"));
    assert_eq!(message, "has more than the 67108864 bytes that one can have; export the net to ONNX");
    files.write("init_net.pb", b"");
    assert_eq!(cause(files.path(), &files.file("init_net.pb")), "is empty; copy it again");
}

#[test]
fn a_folder_without_one_net_and_a_name_that_says_nothing_are_refused() {
    let relu = net(&[operator("Relu", "x", "y", &[])]);
    let files = Files::with(&[("model.pb", &relu), ("init_net.pb", &relu)]);
    let message = cause(files.path(), files.path());
    let expected = "is a folder without a predict_net.pb; name the one that holds it and its init_net.pb";
    assert_eq!(message, expected);
    let message = cause(&files.file("model.pb"), &files.file("model.pb"));
    assert!(message.starts_with("its name does not end in predict_net.pb, so that its init_net.pb is not known; "));
    let message = cause(&files.file("init_net.pb"), &files.file("init_net.pb"));
    assert_eq!(message, "is the weights of a net; name its predict_net.pb, or the folder of both");
    files.write("a_predict_net.pb", &relu);
    files.write("b_predict_net.pb", &relu);
    let message = cause(files.path(), files.path());
    assert_eq!(message, "holds several files named …predict_net.pb; name the one to serve");
}

#[test]
fn files_that_are_swapped_are_known_by_what_they_do() {
    let (init, predict) = (net(&[weight("w", &[1], &[1.0])]), net(&[operator("Relu", "x", "y", &[])]));
    let files = Files::with(&[("predict_net.pb", &init), ("init_net.pb", &predict)]);
    let message = cause(files.path(), &files.file("init_net.pb"));
    assert!(message.starts_with("Relu (output y): makes no weight, and an init_net does nothing else; "), "{message}");
    files.write("init_net.pb", &init);
    let message = cause(files.path(), &files.file("predict_net.pb"));
    assert!(message.starts_with("makes weights and nothing else; if this file and the init_net are swapped, "));
}

#[test]
fn a_blob_that_nobody_makes_is_named_with_its_reader() {
    let files = Files::of(&[], &[operator("FC", "x w b", "y", &[])]);
    let message = cause(files.path(), &files.file("predict_net.pb"));
    let expected = "FC (output y): reads w, which nobody makes, neither the init_net nor an operator before it; ";
    assert!(message.starts_with(expected), "{message}");
    // An operator behind the reader does not help.
    let files = Files::of(&[], &[operator("Sum", "x z", "y", &[]), operator("Relu", "y", "z", &[])]);
    let message = cause(files.path(), &files.file("predict_net.pb"));
    assert!(message.starts_with("Sum (output y): reads z, which nobody makes, "), "{message}");
    let files = Files::of(&[], &[operator("Relu", "x", "z", &[])]);
    let message = cause(files.path(), &files.file("predict_net.pb"));
    assert_eq!(message, "its output y is made by nobody; name one that an operator makes");
}

#[test]
fn weights_that_do_not_fill_their_shape_are_refused() {
    let relu = [operator("Relu", "x", "y", &[])];
    for (shape, values, expected) in [
        (
            &[2, 3][..],
            &[1.0; 5][..],
            "GivenTensorFill (output w): gives 5 values for a shape of 6; copy init_net.pb again",
        ),
        (&[0], &[1.0], "GivenTensorFill (output w): gives 1 values for a shape of 0; copy init_net.pb again"),
    ] {
        let files = Files::of(&[weight("w", shape, values)], &relu);
        assert_eq!(cause(files.path(), &files.file("init_net.pb")), expected);
    }
    for (kind, expected) in [
        ("MSRAFill", "MSRAFill (output w): has a shape [1] without an axis 1; "),
        ("LengthsRangeFill", "LengthsRangeFill (output w): is a fill that is not translated; "),
        ("Int8GivenTensorFill", "Int8GivenTensorFill (output w): is a fill that is not translated; "),
    ] {
        let files = Files::of(&[operator(kind, "", "w", &[Argument::Ints("shape", &[1])])], &relu);
        let message = cause(files.path(), &files.file("init_net.pb"));
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn shapes_that_do_not_go_together_are_refused_where_they_meet() {
    let init = [weight("w", &[2, 3, 1, 1], &[1.0; 6]), weight("b", &[2], &[0.0; 2]), weight("m", &[2, 3], &[1.0; 6])];
    let kernel = [Argument::Int("kernel", 1)];
    let files = Files::of(&init, &[operator("Conv", "x w b", "y", &kernel)]);
    let message = cause(files.path(), &files.file("predict_net.pb"));
    assert_eq!(message, "Conv (output y): its filters are for 3 channels, and its input has 2");
    let files = Files::of(&init, &[operator("FC", "x m b", "y", &[])]);
    let message = cause(files.path(), &files.file("predict_net.pb"));
    assert_eq!(message, "FC (output y): its weights are for rows of 3, and its input has rows of 32");
    let window = of_operator("MaxPool", &[Argument::Int("kernel", 9), Argument::Int("pad", 1)]);
    assert_eq!(window, "MaxPool (output y): its window reaches over 9, and its input has 4 and 2 pads");
    let pads = of_operator("ConvTranspose", &[Argument::Int("kernel", 1), Argument::Int("pad", 3)]);
    assert_eq!(pads, "ConvTranspose (output y): its pads leave an output of -2");
    let wrong = of_operator("Conv", &[Argument::Int("kernel", 3)]);
    assert!(wrong.starts_with("Conv (output y): its kernel is [3, 3], and its filters are of shape [2, 2, 1, 1]; "));
}

#[test]
fn what_is_not_translated_is_refused_by_its_name() {
    let cases: [(&str, &[Argument<'_>], &str); 10] = [
        ("RoIAlign", &[], "is an operator that is not translated; export the net to ONNX"),
        (
            "Conv",
            &[Argument::Int("kernel", 1), Argument::Text("order", "NHWC")],
            "its order of axes is NHWC, and only NCHW is translated; export it in that order",
        ),
        ("MaxPool", &[Argument::Int("kernel", 2), Argument::Text("order", "NHWC")], "its order of axes is NHWC, "),
        ("SpatialBN", &[], "is set for training (is_test is not 1); export the net for inference"),
        ("Dropout", &[Argument::Int("is_test", 0)], "is set for training (is_test is not 1); "),
        (
            "MaxPool",
            &[Argument::Int("kernel", 1), Argument::Int("stride", 2), Argument::Int("legacy_pad", 3)],
            "has a stride longer than its kernel with legacy_pad 3, ",
        ),
        ("Conv", &[], "its kernel has 0 axes, of 1 to 3; "),
        ("Conv", &[Argument::Text("kernel", "3")], "its argument kernel is not an integer"),
        ("LRN", &[Argument::Int("size", 4)], "looks at 4 channels, and needs an odd number of them"),
        ("FC", &[Argument::Int("axis", 7)], "its axis 7 is none of an input of 4 axes"),
    ];
    for (kind, arguments, expected) in cases {
        let message = of_operator(kind, arguments);
        assert!(message.starts_with(&format!("{kind} (output y): {expected}")), "{message}");
    }
    let files = Files::of(&[], &[operator("Concat", "x x", "z sizes", &[]), operator("Copy", "sizes", "y", &[])]);
    let message = cause(files.path(), &files.file("predict_net.pb"));
    assert!(
        message.starts_with("Copy (output y): reads sizes, an output of Concat (output z) that is not translated; ")
    );
}

#[test]
fn an_input_whose_shape_is_unknown_gets_an_example_of_the_file_that_says_it() {
    let files = Files::of(&[], &[operator("Relu", "x", "y", &[])]);
    std::fs::remove_file(files.file("value_info.json")).expect("it is there");
    let message = cause(files.path(), &files.file("predict_net.pb"));
    let wanted = files.file("value_info.json");
    let expected = format!(
        "nothing says the shape of its input x, if that is one and no weight that init_net lacks; write {}, as in \
         {{\"x\": [1, [1, 3, 227, 227]]}} (1 is float32)",
        wanted.display()
    );
    assert_eq!(message, expected);
    for (content, expected) in
        [("{", "does not say what goes in: "), (r#"{"x": [99, [1]]}"#, "input x: 99 is no number")]
    {
        files.write("value_info.json", content.as_bytes());
        let message = cause(files.path(), &wanted);
        assert!(message.starts_with(expected) && message.contains("; write it as in"), "{message}");
    }
    files.write("value_info.json", br#"{"z": [1, [1, 4]]}"#);
    let message = cause(files.path(), &files.file("predict_net.pb"));
    assert_eq!(message, "its input z, of value_info.json, is read by no operator; correct that file");
}

#[test]
fn options_name_blobs_that_are_there() {
    let folder = path_of("golden/vgg");
    let options = |inputs: &[&str], outputs: &[&str]| Options {
        inputs: inputs.iter().map(ToString::to_string).collect(),
        outputs: outputs.iter().map(ToString::to_string).collect(),
        ..Options::default()
    };
    let message = refused(&folder, &options(&["dta"], &[]));
    assert!(message.ends_with("its input dta is read by no operator before it is made; name one that is"), "{message}");
    let message = refused(&folder, &options(&[], &["prop"]));
    assert!(message.ends_with("its output prop is made by nobody; name one that an operator makes"), "{message}");
}

#[test]
fn no_flipped_or_missing_byte_does_worse_than_an_error() {
    let files = Files::with(&[]);
    for name in ["predict_net.pb", "init_net.pb", "value_info.json"] {
        std::fs::copy(path_of("golden/fills").join(name), files.file(name)).expect("a net");
    }
    for damaged in ["predict_net.pb", "init_net.pb"] {
        change_every_byte(&backend(), files.path(), &files.file(damaged), 0x55, 3);
    }
}

#[test]
fn a_bad_net_is_reported_even_without_the_library() {
    let nowhere = || Caffe2Backend::new(Locations { explicit: Some("/no/such.so".into()), ..Locations::default() });
    let error = nowhere().open(Path::new("/no/such_predict_net.pb"), &Options::default()).err().expect("no such file");
    assert!(matches!(&error, OpenError::Model(message) if message.starts_with("/no/such_predict_net.pb: ")), "{error}");
}
