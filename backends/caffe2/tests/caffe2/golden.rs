//! Nets that Caffe2 has run: what comes out is what came out there, to 1e-5.

use crate::support::{asked, is_close, json, numbers, numbers_of, open, path_of, sizes};
use graphpiped_backend_conformance::Scene;

/// Runs a net on the inputs that Caffe2 had, and compares all outputs.
fn compare(name: &str) {
    let folder = format!("golden/{name}");
    let golden = json(&path_of(&folder).join("golden.json"));
    let scene = Scene { model: open(&folder) };
    let signature = scene.model.signature().clone();
    let inputs = golden["inputs"].as_object().expect("inputs");
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| asked(&*scene.model, name, tensor)).collect();
    assert_eq!(inputs.len(), signature.inputs.len(), "{name}: {:?}", signature.inputs);
    let outputs = golden["outputs"].as_object().expect("outputs");
    assert_eq!(outputs.len(), signature.outputs.len(), "{name}: {:?}", signature.outputs);

    let all: Vec<usize> = (0..signature.outputs.len()).collect();
    let found = scene.run(&inputs, &all);
    for (index, (spec, found)) in signature.outputs.iter().zip(&found).enumerate() {
        let expected = &outputs[&spec.name];
        let shown = format!("{name}: {}", spec.name);
        assert_eq!(found.shape, sizes(&expected["shape"]), "{shown}");
        let (dtype, values) = numbers_of(&*scene.model, &inputs, index, found);
        assert_eq!(expected["dtype"], dtype.to_string(), "{shown}");
        for (at, (value, expected)) in values.iter().zip(numbers(&expected["values"])).enumerate() {
            assert!(is_close(*value, expected), "{shown}: element {at} is {value}, and {expected} in Caffe2");
        }
    }
}

/// A test for each folder of golden files, and one that there is no other.
macro_rules! nets {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                compare($name);
            }
        )*

        #[test]
        fn every_net_has_its_test() {
            let entries = path_of("golden").read_dir().expect("the golden files").map(|entry| entry.expect("an entry"));
            let folders = entries.filter(|entry| entry.path().is_dir());
            let mut found: Vec<_> = folders.map(|entry| entry.file_name().into_string().expect("a name")).collect();
            let mut expected = vec![$($name),*];
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected);
        }
    };
}

nets! {
    convolutions_in_every_spelling: "convolution",
    transposed_convolutions: "transposed",
    pools: "pooling",
    pools_as_caffe_padded_them: "legacy_pooling",
    products_of_matrices: "dense",
    functions_of_each_element: "elementwise",
    normalisations: "normalization",
    shapes_and_places: "layout",
    fills_of_every_type: "fills",
    blobs_that_are_written_over: "in_place",
    a_fire_of_squeezenet: "squeezenet",
    groups_and_norms_of_alexnet: "alexnet",
    blocks_of_vgg: "vgg",
    bottlenecks_of_resnet: "resnet50",
    an_inception_of_the_first_version: "inception_v1",
    an_inception_of_the_second_version: "inception_v2",
    separable_convolutions_of_mobilenet: "mobilenet",
    shuffled_channels_of_shufflenet: "shufflenet",
}
