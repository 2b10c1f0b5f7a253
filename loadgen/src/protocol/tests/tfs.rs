//! TensorFlow Serving's REST API; the answers are in the form of its documentation's examples.

use super::*;
use crate::signature::Signature;

fn encode(inputs: &[Tensor]) -> String {
    let encoded = dialect(Protocol::TfsJson, "half").encode(inputs, &[]).unwrap();
    assert_eq!(encoded.id_at, None);
    String::from_utf8(encoded.bytes).unwrap()
}

fn signature(outputs: &[(&str, Option<DType>)]) -> Signature {
    let outputs = outputs.iter().map(|&(name, dtype)| Io { name: name.to_owned(), dtype, shape: None }).collect();
    Signature { outputs, ..Signature::default() }
}

fn outputs(signature: &Signature, json: &str) -> Result<Vec<Tensor>, String> {
    let reply = only(Protocol::TfsJson, &response(200, "Content-Type: application/json\r\n", json.as_bytes()));
    dialect(Protocol::TfsJson, "m").read_outputs(signature, &reply.reply())
}

#[test]
fn the_request_in_columns_is_that_of_the_documentation() {
    let numbers = |name: &str, shape: &[i64], numbers: &[u8]| tensor(name, DType::Uint8, shape, numbers);
    let request = encode(&[
        strings("tag", &[2], &[b"foo", b"bar"]),
        numbers("signal", &[2, 5], &[1, 2, 3, 4, 5, 3, 4, 1, 2, 5]),
        numbers("sensor", &[2, 2, 2], &[1, 2, 3, 4, 4, 5, 6, 8]),
    ]);
    let json =
        r#"{"inputs":{"tag":["foo","bar"],"signal":[[1,2,3,4,5],[3,4,1,2,5]],"sensor":[[[1,2],[3,4]],[[4,5],[6,8]]]}}"#;
    let head = "POST /v1/models/half:predict HTTP/1.1\r\nHost: host:1\r\nContent-Type: application/json\r\n";
    assert_eq!(request, format!("{head}Content-Length: {}\r\n\r\n{json}", json.len()));
}

#[test]
fn a_single_input_needs_no_name_and_bytes_are_base64() {
    assert_eq!(body(encode(&[floats("", &[3], &[1.0, 2.0, 5.0])]).as_bytes()), r#"{"inputs":[1.0,2.0,5.0]}"#);
    let bytes = strings("image", &[1], &[b"\xff\xfe"]);
    assert_eq!(body(encode(&[bytes]).as_bytes()), r#"{"inputs":{"image":[{"b64":"//4="}]}}"#);
    assert_eq!(body(encode(&[]).as_bytes()), r#"{"inputs":{}}"#);
}

#[test]
fn what_the_api_cannot_say_is_refused() {
    let x = |name: &str| tensor(name, DType::Uint8, &[1], &[1]);
    let said = |model: &str, inputs: &[Tensor], outputs: &[String]| {
        dialect(Protocol::TfsJson, model).encode(inputs, outputs).unwrap_err()
    };
    assert_eq!(said("", &[x("a")], &[]), "TensorFlow Serving asks for a model by its name, and none is given");
    let names = "TensorFlow Serving tells several inputs by their names, and input 1 has none";
    assert_eq!(said("m", &[x("a"), x("")], &[]), names);
    let by_name = "TensorFlow Serving's REST API cannot ask for an output by name ('y')";
    assert_eq!(said("m", &[x("a")], &["y".to_owned()]), by_name);
    let nan = floats("x", &[1], &[f32::NAN]);
    assert_eq!(said("m", &[nan], &[]), "JSON cannot say element 0 of x float32[1]: it is NaN");
}

#[test]
fn metadata_is_asked_of_the_model_or_of_the_path_that_was_given() {
    let mut tfs = dialect(Protocol::TfsJson, "m");
    let get = |path: &str| Some(format!("GET {path} HTTP/1.1\r\nHost: host:1\r\n\r\n").into_bytes());
    assert_eq!(tfs.signature_request(), get("/v1/models/m/metadata"));
    tfs.path = "/v1/models/other/versions/3:predict".to_owned();
    assert_eq!(tfs.signature_request(), get("/v1/models/other/versions/3/metadata"));
    assert_eq!(dialect(Protocol::TfsJson, "").signature_request(), None);
}

#[test]
fn metadata_is_a_signature() {
    let json = br#"{"model_spec":{"name":"m","signature_name":"","version":"1"},
        "metadata":{"signature_def":{"signature_def":{
        "__saved_model_init_op":{"inputs":{},"outputs":{},"method_name":""},
        "serving_default":{
            "inputs":{
                "image":{"dtype":"DT_STRING","name":"i:0",
                    "tensor_shape":{"dim":[{"size":"-1","name":""}],"unknown_rank":false}},
                "dense":{"dtype":"DT_FLOAT","name":"d:0",
                    "tensor_shape":{"dim":[{"size":"-1","name":""},{"size":"784","name":""}],"unknown_rank":false}}},
            "outputs":{
                "output_0":{"dtype":"DT_VARIANT","name":"o:0","tensor_shape":{"dim":[],"unknown_rank":true}}},
            "method_name":"tensorflow/serving/predict"}}}}}"#;
    let expected = Signature {
        model: "m".to_owned(),
        server: String::new(),
        inputs: vec![
            io("dense", Some(DType::Float32), Some(&[-1, 784])),
            io("image", Some(DType::String), Some(&[-1])),
        ],
        outputs: vec![io("output_0", None, None)],
    };
    let reply = only(Protocol::TfsJson, &response(200, "", json));
    assert_eq!(dialect(Protocol::TfsJson, "m").read_signature(&reply.reply()), Ok(expected));
    let json = br#"{ "error": "Servable not found for request: Latest(half)" }"#;
    let reply = only(Protocol::TfsJson, &response(404, "", json));
    let refusal = "HTTP status 404: Servable not found for request: Latest(half)";
    assert_eq!(dialect(Protocol::TfsJson, "m").read_signature(&reply.reply()), Err(refusal.to_owned()));
}

#[test]
fn one_output_is_a_bare_tensor_of_the_signatures_type() {
    let y = signature(&[("y", Some(DType::Float32))]);
    assert_eq!(outputs(&y, r#"{ "outputs": [3.5, 4.0, 5.5] }"#), Ok(vec![floats("y", &[3], &[3.5, 4.0, 5.5])]));
    let nobody = outputs(&Signature::default(), r#"{"outputs": [[1]]}"#).unwrap();
    assert_eq!(nobody, [tensor("", DType::Float64, &[1, 1], &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f])]);
    let s = signature(&[("s", Some(DType::String))]);
    assert_eq!(outputs(&s, r#"{"outputs": {"b64": "//4="}}"#), Ok(vec![strings("s", &[], &[b"\xff\xfe"])]));
}

#[test]
fn several_outputs_are_an_object_and_come_in_the_signatures_order() {
    let two = signature(&[("z", Some(DType::Int8)), ("a", Some(DType::Float32))]);
    let read = outputs(&two, r#"{"outputs": {"a": [1], "more": [true], "z": [[2]]}}"#);
    let more = tensor("more", DType::Bool, &[1], &[1]);
    assert_eq!(read, Ok(vec![tensor("z", DType::Int8, &[1, 1], &[2]), floats("a", &[1], &[1.0]), more]));
}

#[test]
fn a_reply_without_outputs_or_with_what_is_no_tensor_is_refused() {
    let y = signature(&[("y", Some(DType::Float32))]);
    let refusal = outputs(&y, r#"{"predictions": [1]}"#).unwrap_err();
    assert!(refusal.contains("missing field `outputs`"), "{refusal}");
    let refusal = outputs(&y, r#"{"outputs": [1, [2]]}"#).unwrap_err();
    assert!(refusal.starts_with("output 'y' of the reply: lists that are not all"), "{refusal}");
    let refusal = outputs(&y, r#"{"outputs": [-Infinity]}"#).unwrap_err();
    assert!(refusal.ends_with("some servers write NaN and Infinity, which JSON does not have"), "{refusal}");
}

#[test]
fn metadata_may_say_dimensions_and_types_in_ways_of_its_own() {
    let json = br#"{"metadata":{"signature_def":{"signature_def":{"serving_default":{"inputs":{
        "a":{"dtype":null,"tensor_shape":{"dim":[{"size":-1},{"size":7},{},{"size":null}]}}}}}}}}"#;
    let reply = only(Protocol::TfsJson, &response(200, "", json));
    let signature = dialect(Protocol::TfsJson, "m").read_signature(&reply.reply()).unwrap();
    assert_eq!(signature.inputs[0].to_string(), "a ?[?,7,?,?]");
}
