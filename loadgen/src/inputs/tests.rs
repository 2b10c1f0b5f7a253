//! Requests from signatures, options and files, as a whole.

use super::*;
use crate::signature::Io;
use crate::tensor::Data;
use graphpipe_schema::DType;
use std::path::Path;

fn io(name: &str, dtype: DType, shape: &[i64]) -> Io {
    Io { name: name.to_owned(), dtype: Some(dtype), shape: Some(shape.to_vec()) }
}

/// `digits: image float32[?,2] -> digit int64[?]`.
fn digits() -> Signature {
    Signature {
        model: "digits".to_owned(),
        inputs: vec![io("image", DType::Float32, &[-1, 2])],
        outputs: vec![io("digit", DType::Int64, &[-1])],
        ..Signature::default()
    }
}

fn of(inputs: Vec<Io>) -> Signature {
    Signature { inputs, ..digits() }
}

fn wanted() -> Wanted {
    Wanted { seed: 7, distinct: 4, ..Wanted::default() }
}

fn file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name).to_string_lossy().into_owned()
}

fn shapes(requests: &[Request]) -> Vec<Vec<i64>> {
    requests[0].inputs.iter().map(|input| input.shape.clone()).collect()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let Data::Bytes(bytes) = &tensor.data else { panic!("these are strings") };
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

fn bits(tensor: &Tensor) -> Vec<u16> {
    let Data::Bytes(bytes) = &tensor.data else { panic!("these are strings") };
    bytes.chunks_exact(2).map(|two| u16::from_le_bytes(two.try_into().unwrap())).collect()
}

#[test]
fn requests_are_as_many_different_ones_as_wanted_and_come_again_with_the_seed() {
    let first = requests(&digits(), &wanted()).unwrap();
    assert_eq!(first.len(), 4);
    assert!((1..4).all(|at| first[at] != first[0]));
    assert_eq!(requests(&digits(), &wanted()).unwrap(), first);
    assert_ne!(requests(&digits(), &Wanted { seed: 8, ..wanted() }).unwrap(), first);
    assert_eq!((first[0].inputs[0].name.as_str(), first[0].rows, first[0].cut), ("image", 1, None));
}

/// Whether all are below `end`, and one is above `half`.
fn spread(tensor: &Tensor, half: u16, end: u16) -> bool {
    let bits = bits(tensor);
    bits.iter().all(|bits| *bits < end) && bits.iter().any(|bits| *bits > half)
}

#[test]
fn values_suit_their_types() {
    let all = DType::ALL.map(|dtype| io(dtype.name(), dtype, &[-1, 500]));
    let request = requests(&of(all.to_vec()), &Wanted { rows: Some(2), ..wanted() }).unwrap().remove(0);
    for input in &request.inputs {
        let Data::Bytes(bytes) = &input.data else {
            let Data::Strings(strings) = &input.data else { unreachable!() };
            let number = |text: &Vec<u8>| text.strip_prefix(b"text-").is_some_and(|digits| digits.len() == 4);
            assert!(strings.len() == 1000 && strings.iter().all(number));
            continue;
        };
        let size = input.dtype.size().unwrap();
        assert_eq!((bytes.len(), input.shape.as_slice()), (1000 * size, &[2, 500][..]), "{}", input.name);
        match input.dtype {
            DType::Float32 => assert!(floats(input).iter().all(|value| (0.0..1.0).contains(value))),
            // 0.5 and 1.0 are 0x3800 and 0x3c00, of bfloat16 0x3f00 and 0x3f80; nothing has the sign bit.
            DType::Float16 => assert!(spread(input, 0x3800, 0x3c00)),
            DType::Bfloat16 => assert!(spread(input, 0x3f00, 0x3f80)),
            DType::Float64 => assert!(bytes.chunks_exact(8).all(|eight| (0x00..0x40).contains(&eight[7]))),
            DType::Bool => assert!(bytes.contains(&0) && bytes.contains(&1) && bytes.iter().all(|byte| *byte <= 1)),
            _ => assert!(bytes.chunks_exact(size).all(|int| int[0] <= 9 && int[1..].iter().all(|byte| *byte == 0))),
        }
    }
    assert_eq!(request.rows, 2);
}

#[test]
fn open_dimensions_are_rows_first_and_shapes_else() {
    let signature = of(vec![io("a", DType::Float32, &[-1, -1, 3]), io("b", DType::Int8, &[-1])]);
    let wanted =
        |shapes: &[&str], rows| Wanted { shapes: shapes.iter().map(ToString::to_string).collect(), rows, ..wanted() };
    assert_eq!(shapes(&requests(&signature, &wanted(&["a=5,2,3"], None)).unwrap()), [vec![5, 2, 3], vec![5]]);
    assert_eq!(shapes(&requests(&signature, &wanted(&["a=5,2,3"], Some(5))).unwrap()), [vec![5, 2, 3], vec![5]]);
    assert_eq!(shapes(&requests(&digits(), &wanted(&["3,2"], None)).unwrap()), [vec![3, 2]]);
    assert_eq!(shapes(&requests(&digits(), &wanted(&[], Some(9))).unwrap()), [vec![9, 2]]);
}

#[test]
fn a_server_that_says_nothing_gets_what_the_options_say() {
    let nothing = Signature::default();
    let plain = Wanted { shapes: vec!["1,784".to_owned()], ..wanted() };
    let input = requests(&nothing, &plain).unwrap().remove(0).inputs.remove(0);
    assert_eq!((input.name.as_str(), input.dtype, input.shape.as_slice()), ("", DType::Float32, &[1, 784][..]));
    let named =
        Wanted { shapes: vec!["x=2,3".to_owned(), "k=".to_owned()], dtypes: vec!["k=int64".to_owned()], ..wanted() };
    let request = requests(&nothing, &named).unwrap().remove(0);
    let forms: Vec<_> = request.inputs.iter().map(|input| format!("{} {}", input.name, input.form())).collect();
    assert_eq!((forms, request.rows), (vec!["x float32[2,3]".to_owned(), "k int64[]".to_owned()], 2));
    let files = Wanted { files: vec![file("two.npz")], rows: Some(3), ..wanted() };
    let read = requests(&nothing, &files).unwrap();
    let names: Vec<_> = read[0].inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!((names, read.len()), (vec!["ids", "image"], 2));
}

#[test]
fn a_file_is_one_request_or_as_many_as_it_has_rows_for() {
    let whole = requests(&digits(), &Wanted { files: vec![file("float32.npy")], ..wanted() }).unwrap();
    assert_eq!((whole.len(), whole[0].rows, whole[0].cut), (1, 6, None));
    let cut = Wanted { files: vec![format!("image={}", file("float32.npy"))], rows: Some(4), ..wanted() };
    let cut = requests(&digits(), &cut).unwrap();
    assert_eq!((cut.len(), cut[0].rows), (1, 4));
    let pairs = Wanted { files: vec![file("float32.npy")], rows: Some(2), distinct: 2, ..wanted() };
    let pairs = requests(&digits(), &pairs).unwrap();
    assert_eq!(pairs.len(), 2);
    assert_eq!(floats(&pairs[1].inputs[0]), [1.0, 1.25, 1.5, 1.75]);
    assert_eq!(pairs[1].cut, Some(Cut { first: 2, rows: 2, of: 6 }));
}

#[test]
fn inputs_without_a_file_have_as_many_rows_as_those_with_one() {
    let signature =
        of(vec![io("image", DType::Float32, &[-1, 2]), io("ids", DType::Int32, &[-1, 5]), io("k", DType::Bool, &[])]);
    let made =
        requests(&signature, &Wanted { files: vec![format!("image={}", file("float32.npy"))], ..wanted() }).unwrap();
    assert_eq!(shapes(&made), [vec![6, 2], vec![6, 5], vec![]]);
    assert_eq!((made.len(), made[0].rows), (4, 6));
}

#[test]
fn one_array_of_an_archive_can_be_named() {
    let made = requests(&digits(), &Wanted { files: vec![format!("image={}", file("two.npz"))], ..wanted() }).unwrap();
    assert_eq!(floats(&made[0].inputs[0])[..3], [0.0, 0.25, 0.5]);
}

#[test]
fn a_picture_fits_the_input_that_it_is_for() {
    let signature = of(vec![io("image", DType::Float32, &[-1, 1, 2, 2])]);
    let made = requests(&signature, &Wanted { files: vec![file("grey.png")], ..wanted() }).unwrap();
    assert_eq!(floats(&made[0].inputs[0]), [0.0, 0.2, 0.4, 1.0]);
}

#[test]
fn what_a_server_leaves_unsaid_a_file_says() {
    let unknown = of(vec![Io { name: "x".to_owned(), dtype: None, shape: None }]);
    let made = requests(&unknown, &Wanted { files: vec![file("int64-fortran.npy")], ..wanted() }).unwrap();
    assert_eq!(made[0].inputs[0].form().to_string(), "int64[2,3,2]");
    let nothing = Signature::default();
    let picture = Wanted { files: vec![file("grey.png")], shapes: vec!["1,2,2,1".to_owned()], ..wanted() };
    let made = requests(&nothing, &picture).unwrap();
    assert_eq!(made[0].inputs[0].form().to_string(), "float32[1,2,2,1]");
    let error = requests(&unknown, &Wanted { files: vec![file("grey.png")], ..wanted() }).unwrap_err();
    assert!(error.contains("input \"x\" has a type that is not known: say it with --dtype"), "{error}");
}

#[test]
fn requests_are_bounded_together_and_by_how_many_can_differ() {
    let large = of(vec![io("image", DType::Uint8, &[-1, 24 << 20])]);
    assert_eq!(requests(&large, &wanted()).unwrap().len(), 2);
    let flag = of(vec![io("flag", DType::Bool, &[])]);
    assert_eq!(requests(&flag, &Wanted { distinct: 100, ..wanted() }).unwrap().len(), 2);
    assert_eq!(requests(&digits(), &Wanted { distinct: 0, ..wanted() }).unwrap().len(), 1);
}

fn refused(signature: &Signature, shape: &[&str], dtype: &[&str], files: &[&str], rows: Option<u32>) -> String {
    let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let wanted = Wanted { shapes: own(shape), dtypes: own(dtype), files: own(files), rows, ..wanted() };
    let error = requests(signature, &wanted).unwrap_err();
    let (problem, model) = error.rsplit_once("; ").unwrap();
    assert_eq!(model, format!("the model is {signature}"));
    problem.to_owned()
}

#[test]
fn impossible_options_are_refused_with_the_signature() {
    let digits = digits();
    assert_eq!(digits.to_string(), "digits: image float32[?,2] -> digit int64[?]");
    let shape = |text: &str| refused(&digits, &[text], &[], &[], None);
    assert_eq!(shape("picture=1,2"), "--shape picture=1,2: there is no input \"picture\"");
    assert_eq!(shape("1,2,3"), "--shape 1,2,3: these are 3 dimensions, and input \"image\" has 2");
    assert_eq!(shape("1,3"), "--shape 1,3: axis 1 of input \"image\" is 2, not 3");
    for dim in ["-1", "0", "?", "", "2147483648", "99999999999999999999"] {
        let text = format!("image={dim},2");
        assert_eq!(shape(&text), format!("--shape {text}: \"{dim}\" is no dimension: 1 to 2147483647 are"));
    }
    let large = "with float32[2147483647,2] of input \"image\" a request is larger than 2147483647 bytes";
    assert_eq!(shape("2147483647,2"), large);
    let dtype = |text: &str| refused(&digits, &[], &[text], &[], None);
    assert_eq!(dtype("int8"), "--dtype int8: input \"image\" is float32");
    assert!(dtype("image=float").starts_with("--dtype image=float: types are uint8, int8, "));
    assert_eq!(refused(&digits, &[], &[], &[], Some(0)), "--rows 0: a request has a row at least");
    assert_eq!(refused(&digits, &["4,2"], &[], &[], Some(3)), "--rows 3 is not what --shape says of input \"image\"");
    let fixed = of(vec![io("image", DType::Float32, &[1, -1]), io("k", DType::Bool, &[])]);
    assert_eq!(refused(&fixed, &[], &[], &[], Some(2)), "--rows 2: no input has an open first dimension");
    let open = refused(&fixed, &[], &[], &[], None);
    assert_eq!(open, "axis 1 of input \"image\" is open: say it with --shape image=…");
    assert_eq!(
        refused(&fixed, &["1,2"], &[], &[], None),
        "--shape 1,2: say for which of the 2 inputs it is, as NAME=…"
    );
    let unknown = of(vec![Io { name: "x".to_owned(), dtype: None, shape: None }]);
    assert_eq!(
        refused(&unknown, &[], &["float32"], &[], None),
        "the shape of input \"x\" is not known: say it with --shape x=…"
    );
    assert_eq!(
        refused(&unknown, &["2"], &[], &[], None),
        "the type of input \"x\" is not known: say it with --dtype x=…"
    );
}

#[test]
fn sums_and_products_that_no_integer_holds_are_refused() {
    // As integers of 64 bits, the second product is 0.
    for dims in [[-1, i64::MAX, i64::MAX], [-1, 1 << 32, 1 << 32]] {
        let many = of(vec![io("image", DType::Float64, &dims)]);
        assert!(refused(&many, &[], &[], &[], None).ends_with("a request is larger than 2147483647 bytes"));
    }
    let sum = of((0..3).map(|at| io(&at.to_string(), DType::Uint8, &[1 << 30])).collect());
    assert!(refused(&sum, &[], &[], &[], None).starts_with("with uint8[1073741824] of input \"1\" a request"));
}

#[test]
fn files_that_do_not_fit_are_refused_with_the_signature() {
    let digits = digits();
    let float32 = &file("float32.npy");
    let (fortran, two, absent) = (&file("int64-fortran.npy"), &file("two.npz"), &file("absent.png"));
    let given = |files: &[&str], rows| refused(&digits, &[], &[], files, rows);
    assert_eq!(given(&[&format!("x={float32}")], None), format!("--input {float32}: there is no input \"x\""));
    assert_eq!(given(&[two], None), format!("--input {two}: there is no input \"ids\""));
    assert_eq!(given(&[fortran], None), format!("{fortran} holds int64[2,3,2], and input \"image\" is float32"));
    assert!(given(&[absent], None).starts_with(&format!("cannot read {absent}: ")));
    assert_eq!(given(&["x.txt"], None), "--input x.txt: files are .npy, .npz, .png or .jpg");
    assert_eq!(
        given(&[float32, float32], None),
        format!("input \"image\" is given twice, the second time by {float32}")
    );
    assert_eq!(
        given(&[float32], Some(7)),
        format!("{float32} holds float32[6,2], which is less than the 7 rows of a request")
    );
    let three = of(vec![io("image", DType::Float32, &[-1, 3])]);
    let error = refused(&three, &[], &[], &[float32], None);
    assert_eq!(error, format!("{float32} holds float32[6,2], and axis 1 of input \"image\" is 3"));
    let deep = of(vec![io("image", DType::Float32, &[-1, 2, 1])]);
    let error = refused(&deep, &[], &[], &[float32], None);
    assert_eq!(error, format!("{float32} holds float32[6,2], and input \"image\" has 3 dimensions"));
    let one = of(vec![io("image", DType::Float32, &[1, 2])]);
    let error = refused(&one, &[], &[], &[float32], None);
    assert_eq!(error, format!("{float32} holds float32[6,2], and axis 0 of input \"image\" is 1"));
    let cut = requests(&one, &Wanted { files: vec![float32.clone()], rows: Some(1), ..wanted() }).unwrap();
    assert_eq!((cut.len(), floats(&cut[3].inputs[0])), (4, vec![1.5, 1.75]));
}

#[test]
fn files_of_different_lengths_are_refused() {
    let signature = of(vec![io("a", DType::Float32, &[-1, 2]), io("b", DType::Bool, &[-1])]);
    let (a, b) = (file("float32.npy"), file("bool.npy"));
    let files = [format!("a={a}"), format!("b={b}")];
    let files = [files[0].as_str(), files[1].as_str()];
    assert_eq!(refused(&signature, &[], &[], &files, None), format!("{a} has 6 rows, {b} has 3"));
    assert_eq!(refused(&signature, &[], &[], &files, Some(3)), "there are 6 rows of \"a\" and 3 of \"b\"");
}

#[test]
fn rows_that_contradict_each_other_are_refused() {
    let signature = of(vec![io("a", DType::Float32, &[-1, 2]), io("b", DType::Bool, &[-1])]);
    let error = refused(&signature, &["a=5,2", "b=3"], &[], &[], None);
    assert_eq!(error, "by --shape input \"a\" has 5 rows, by --shape input \"b\" has 3");
    let a = file("float32.npy");
    let error = refused(&signature, &["b=3"], &[], &[&format!("a={a}")], None);
    assert_eq!(error, format!("{a} has 6 rows, by --shape input \"b\" has 3"));
}

#[test]
fn rows_are_counted_where_the_first_dimension_is_open() {
    let rows = |inputs: Vec<Io>, shapes: &[&str]| {
        let shapes = shapes.iter().map(ToString::to_string).collect();
        requests(&of(inputs), &Wanted { shapes, ..wanted() }).unwrap()[0].rows
    };
    assert_eq!(rows(vec![io("a", DType::Float32, &[64])], &[]), 1);
    assert_eq!(rows(vec![io("a", DType::Float32, &[-1, 2]), io("k", DType::Int8, &[7])], &["a=5,2"]), 5);
}

#[test]
fn an_input_of_nothing_is_refused_by_its_name() {
    let error = refused(&of(vec![io("a", DType::Float32, &[-1, 0, 1 << 62])]), &[], &[], &[], None);
    assert_eq!(error, "input \"a\" has a dimension of 0: there is nothing to send in it");
}

#[test]
fn a_name_may_have_what_ends_a_name() {
    let signature = of(vec![io("x", DType::Float32, &[-1]), io("x=1", DType::Float32, &[-1])]);
    let made = requests(&signature, &Wanted { files: vec![format!("x=1={}", file("scalar.npy"))], ..wanted() });
    assert!(made.unwrap_err().contains("input \"x=1\""));
    let both = Wanted { shapes: vec!["x=1=2".to_owned(), "x=2".to_owned()], ..wanted() };
    assert_eq!(shapes(&requests(&signature, &both).unwrap()), [vec![2], vec![2]]);
}
