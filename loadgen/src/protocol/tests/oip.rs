//! The Open Inference Protocol; the requests and answers are its specification's examples, or made by hand from its
//! text.

use super::*;
use crate::signature::Signature;

fn encode(protocol: Protocol, inputs: &[Tensor], outputs: &[&str]) -> Result<Vec<u8>, String> {
    let outputs: Vec<String> = outputs.iter().map(|&name| name.to_owned()).collect();
    let encoded = dialect(protocol, "mymodel").encode(inputs, &outputs)?;
    assert_eq!(encoded.id_at, None);
    Ok(encoded.bytes)
}

fn outputs(protocol: Protocol, response: &[u8]) -> Result<Vec<Tensor>, String> {
    dialect(protocol, "m").read_outputs(&Signature::default(), &only(protocol, response).reply())
}

/// The inputs of the specification's examples.
fn inputs() -> [Tensor; 2] {
    let numbers: Vec<u8> = [1_u32, 2, 3, 4].into_iter().flat_map(u32::to_le_bytes).collect();
    [tensor("input0", DType::Uint32, &[2, 2], &numbers), tensor("input1", DType::Bool, &[3], &[1, 0, 1])]
}

#[test]
fn the_request_in_json_is_that_of_the_specification() {
    let json = concat!(
        r#"{"inputs":[{"name":"input0","shape":[2,2],"datatype":"UINT32","data":[1,2,3,4]},"#,
        r#"{"name":"input1","shape":[3],"datatype":"BOOL","data":[true,false,true]}],"#,
        r#""outputs":[{"name":"output0"}]}"#,
    );
    let head = "POST /v2/models/mymodel/infer HTTP/1.1\r\nHost: host:1\r\nContent-Type: application/json\r\n";
    let expected = format!("{head}Content-Length: {}\r\n\r\n{json}", json.len());
    let bytes = encode(Protocol::OipJson, &inputs(), &["output0"]).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    let all = encode(Protocol::OipJson, &inputs(), &[]).unwrap();
    assert_eq!(body(&all), json.replace(r#","outputs":[{"name":"output0"}]"#, ""));
}

#[test]
fn the_request_in_binary_is_that_of_the_specification() {
    let json = concat!(
        r#"{"inputs":[{"name":"input0","shape":[2,2],"datatype":"UINT32","parameters":{"binary_data_size":16}},"#,
        r#"{"name":"input1","shape":[3],"datatype":"BOOL","parameters":{"binary_data_size":3}}],"#,
        r#""parameters":{"binary_data_output":true}}"#,
    );
    let head = "POST /v2/models/mymodel/infer HTTP/1.1\r\nHost: host:1\r\nContent-Type: application/octet-stream\r\n";
    let head = format!("{head}Inference-Header-Content-Length: {}\r\n", json.len());
    let mut expected = format!("{head}Content-Length: {}\r\n\r\n{json}", json.len() + 19).into_bytes();
    expected.extend([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 1]);
    assert_eq!(encode(Protocol::OipBinary, &inputs(), &[]).unwrap(), expected);
}

#[test]
fn strings_are_json_strings_or_bytes_behind_their_length() {
    let words = strings("w", &[3], &["a\"b".as_bytes(), b"", "é".as_bytes()]);
    let json = encode(Protocol::OipJson, std::slice::from_ref(&words), &[]).unwrap();
    assert_eq!(body(&json), r#"{"inputs":[{"name":"w","shape":[3],"datatype":"BYTES","data":["a\"b","","é"]}]}"#);
    let binary = encode(Protocol::OipBinary, &[words], &[]).unwrap();
    assert!(binary.ends_with(b"}\x03\0\0\0a\"b\0\0\0\0\x02\0\0\0\xc3\xa9"));
    let size = br#""parameters":{"binary_data_size":17}"#;
    assert!(binary.windows(size.len()).any(|window| window == size));
    let refusal = encode(Protocol::OipJson, &[strings("w", &[2], &[b"a", b"\xff"])], &[]).unwrap_err();
    assert_eq!(refusal, "JSON cannot say element 1 of w string[2]: it is not UTF-8");
}

#[test]
fn a_request_without_a_model_or_an_inputs_name_is_refused() {
    for protocol in [Protocol::OipJson, Protocol::OipBinary] {
        let refusal = dialect(protocol, "").encode(&inputs(), &[]).unwrap_err();
        assert_eq!(refusal, "the Open Inference Protocol asks for a model by its name, and none is given");
        assert_eq!(dialect(protocol, "").signature_request(), None);
        let refusal = encode(protocol, &[tensor("", DType::Uint8, &[1], &[1])], &[]).unwrap_err();
        assert_eq!(refusal, "the Open Inference Protocol names its inputs, and input 0 has no name");
    }
}

#[test]
fn the_path_that_was_given_is_asked_and_its_model_for_its_metadata() {
    let mut oip = dialect(Protocol::OipJson, "m");
    let get = |path: &str| Some(format!("GET {path} HTTP/1.1\r\nHost: host:1\r\n\r\n").into_bytes());
    assert_eq!(oip.signature_request(), get("/v2/models/m"));
    oip.path = "/v2/models/other/versions/3/infer".to_owned();
    assert_eq!(oip.signature_request(), get("/v2/models/other/versions/3"));
    assert!(oip.encode(&inputs(), &[]).unwrap().bytes.starts_with(b"POST /v2/models/other/versions/3/infer HTTP"));
    oip.path = "/elsewhere".to_owned();
    assert_eq!(oip.signature_request(), get("/v2/models/m"));
}

#[test]
fn metadata_is_a_signature_however_dimensions_are_written() {
    let json = br#"{"name":"m","versions":["1"],"platform":"onnxruntime_onnx",
        "inputs":[{"name":"a","datatype":"FP32","shape":[-1,64]},{"name":"b","datatype":"BYTES","shape":["-1","2"]}],
        "outputs":[{"name":"c","datatype":"COMPLEX64","shape":[]},{"name":"d","datatype":"BF16"}]}"#;
    let reply = only(Protocol::OipJson, &response(200, "Content-Type: application/json\r\n", json));
    let expected = Signature {
        model: "m".to_owned(),
        server: String::new(),
        inputs: vec![io("a", Some(DType::Float32), Some(&[-1, 64])), io("b", Some(DType::String), Some(&[-1, 2]))],
        outputs: vec![io("c", None, Some(&[])), io("d", Some(DType::Bfloat16), None)],
    };
    assert_eq!(dialect(Protocol::OipJson, "m").read_signature(&reply.reply()), Ok(expected));
    let reply = only(Protocol::OipJson, &response(200, "", br#"{"name":"m","platform":""}"#));
    let nothing = Signature { model: "m".to_owned(), ..Signature::default() };
    assert_eq!(dialect(Protocol::OipJson, "m").read_signature(&reply.reply()), Ok(nothing));
    let reply = only(Protocol::OipJson, &response(200, "", br#"{"Name":"metadata of another protocol"}"#));
    let refusal = dialect(Protocol::OipJson, "m").read_signature(&reply.reply()).unwrap_err();
    assert!(refusal.contains("missing field `name`"), "{refusal}");
    let reply = only(Protocol::OipJson, &response(404, "", br#"{"error":"Request for unknown model: 'm'"}"#));
    let refusal = "HTTP status 404: Request for unknown model: 'm'";
    assert_eq!(dialect(Protocol::OipJson, "m").read_signature(&reply.reply()), Err(refusal.to_owned()));
}

/// The output of the specification's examples.
fn output0() -> Tensor {
    floats("output0", &[3, 2], &[1.0, 1.1, 2.0, 2.1, 3.0, 3.1])
}

#[test]
fn outputs_in_json_are_read_flat_or_nested() {
    for data in ["[1.0, 1.1, 2.0, 2.1, 3.0, 3.1]", "[[1, 1.1], [2, 2.1], [3, 3.1]]"] {
        let json =
            format!(r#"{{"id":"42","outputs":[{{"data":{data},"name":"output0","shape":[3,2],"datatype":"FP32"}}]}}"#);
        assert_eq!(outputs(Protocol::OipJson, &response(200, "", json.as_bytes())), Ok(vec![output0()]));
    }
    // A wish for bytes that the server takes no notice of.
    let json = br#"{"outputs":[{"name":"n","shape":[1],"datatype":"INT8","data":[-3],"parameters":{"x":"y"}}]}"#;
    assert_eq!(
        outputs(Protocol::OipBinary, &response(200, "", json)),
        Ok(vec![tensor("n", DType::Int8, &[1], &[0xfd])])
    );
}

/// A response with this JSON and these bytes behind it.
fn binary(json: &str, bytes: &[u8]) -> Vec<u8> {
    let field = format!("Inference-Header-Content-Length: {}\r\n", json.len());
    response(200, &field, &[json.as_bytes(), bytes].concat())
}

#[test]
fn outputs_in_binary_are_read_in_their_order_beside_outputs_in_json() {
    let json = r#"{"outputs":[{"name":"w","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}},
        {"name":"n","shape":[1],"datatype":"INT64","data":[5]},
        {"name":"output0","shape":[3,2],"datatype":"FP32","parameters":{"binary_data_size":24}}]}"#;
    let Data::Bytes(numbers) = output0().data else { unreachable!("floats are bytes") };
    let bytes = [b"\x03\0\0\0abc\0\0\0\0".as_slice(), &numbers].concat();
    let five = tensor("n", DType::Int64, &[1], &[5, 0, 0, 0, 0, 0, 0, 0]);
    let expected = vec![strings("w", &[2], &[b"abc", b""]), five, output0()];
    assert_eq!(outputs(Protocol::OipBinary, &binary(json, &bytes)), Ok(expected));
}

#[test]
fn outputs_that_are_not_what_the_reply_says_are_refused() {
    let said = |json: &str, bytes: &[u8]| outputs(Protocol::OipBinary, &binary(json, bytes)).unwrap_err();
    let output = |datatype: &str, shape: &str, rest: &str| {
        format!(r#"{{"outputs":[{{"name":"o","datatype":"{datatype}","shape":{shape}{rest}}}]}}"#)
    };
    let sized =
        |datatype, size: u64| output(datatype, "[1]", &format!(r#","parameters":{{"binary_data_size":{size}}}"#));
    let begin = "output 'o' of the reply: ";
    assert_eq!(said(&sized("UINT8", 2), b"a"), format!("{begin}binary_data_size is 2, and 1 bytes are left"));
    assert_eq!(
        said(&sized("UINT8", u64::MAX), b"a"),
        format!("{begin}binary_data_size is 18446744073709551615, and 1 bytes are left")
    );
    assert_eq!(said(&sized("UINT8", 1), b"ab"), "1 bytes of the reply are of no output");
    assert_eq!(said(&sized("UINT16", 1), b"a"), "output o uint16[1] takes 2 bytes and has 1");
    let long = format!("{begin}a string that is longer than the bytes of its output");
    assert_eq!(said(&sized("BYTES", 7), b"\x04\0\0\0abc"), long);
    assert_eq!(said(&sized("BYTES", 3), b"\x04\0\0"), long);
    assert_eq!(said(&sized("COMPLEX", 1), b"a"), format!("{begin}unknown datatype \"COMPLEX\""));
    assert_eq!(said(&output("UINT8", "[1]", ""), b""), format!("{begin}neither data nor binary_data_size"));
    assert_eq!(
        said(&output("UINT8", r#"["x"]"#, r#","data":[1]"#), b""),
        format!("{begin}a dimension that is no number")
    );
    assert_eq!(said(&output("UINT8", "[2]", r#","data":[1]"#), b""), "output o uint8[2] takes 2 bytes and has 1");
    let short = response(200, "Inference-Header-Content-Length: 9\r\n", b"{}");
    let refusal = "the reply says that it has 9 bytes of JSON, and has 2";
    assert_eq!(outputs(Protocol::OipBinary, &short), Err(refusal.to_owned()));
}

#[test]
fn nan_in_a_reply_is_named() {
    let json = br#"{"outputs":[{"name":"o","datatype":"FP32","shape":[1],"data":[NaN]}]}"#;
    let refusal = outputs(Protocol::OipJson, &response(200, "", json)).unwrap_err();
    assert!(refusal.starts_with("the reply is not the JSON that it should be: "), "{refusal}");
    assert!(refusal.ends_with("; some servers write NaN and Infinity, which JSON does not have"), "{refusal}");
}

#[test]
fn a_refusal_has_no_outputs() {
    let refusal = outputs(Protocol::OipJson, &response(400, "", br#"{"error":"bad shape"}"#)).unwrap_err();
    assert_eq!(refusal, "a refusal has no outputs: HTTP status 400: bad shape");
}

#[test]
fn outputs_come_in_the_signatures_order_whatever_the_replys() {
    let signature = Signature {
        outputs: ["z", "a"].map(|name| Io { name: name.to_owned(), dtype: None, shape: None }).to_vec(),
        ..Signature::default()
    };
    let json = br#"{"outputs":[{"name":"more","datatype":"UINT8","shape":[1],"data":[0]},
        {"name":"a","datatype":"UINT8","shape":[1],"data":[1]},
        {"name":"z","datatype":"UINT8","shape":[1],"data":[2]}]}"#;
    let reply = only(Protocol::OipJson, &response(200, "", json));
    let read = dialect(Protocol::OipJson, "m").read_outputs(&signature, &reply.reply()).unwrap();
    let names: Vec<_> = read.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["z", "a", "more"]);
}

#[test]
fn metadata_may_say_dimensions_and_types_in_ways_of_its_own() {
    let json = br#"{"name":"m","inputs":[{"name":"a","datatype":null,"shape":["batch",null,{"x":1},"3",4]}]}"#;
    let reply = only(Protocol::OipJson, &response(200, "", json));
    let signature = dialect(Protocol::OipJson, "m").read_signature(&reply.reply()).unwrap();
    let shape = Some(vec![-1, -1, -1, 3, 4]);
    assert_eq!(signature.inputs, [Io { name: "a".to_owned(), dtype: None, shape }]);
}
