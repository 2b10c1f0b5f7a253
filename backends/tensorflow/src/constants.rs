//! The constants of a graph, looked at before TensorFlow sees them: it opens a graph with one that has another size than its shape
//! says, or a shape that is none, and what comes of it shows in a run, if it shows.
//!
//! Field numbers are those of `graph.proto`, `function.proto`, `attr_value.proto`, `tensor.proto` and `tensor_shape.proto`. What is
//! decoded elsewhere, and whether messages are sound, is not looked at again.
#![forbid(unsafe_code)]

use crate::wire::{Value, field};

/// Messages on the way to a constant.
#[derive(Clone, Copy)]
enum Kind {
    SavedModel,
    MetaGraph,
    Graph,
    Library,
    Function,
    Node,
    NamedAttribute,
    Attribute,
    List,
}

/// What a field leads to.
enum Next {
    Message(Kind),
    Constant,
}

impl Kind {
    fn of_field(self, field: u64) -> Option<Next> {
        Some(Next::Message(match (self, field) {
            (Kind::SavedModel, 2) => Kind::MetaGraph,
            (Kind::MetaGraph, 2) => Kind::Graph,
            (Kind::Graph, 1) | (Kind::Function, 3) => Kind::Node,
            (Kind::Graph, 2) => Kind::Library,
            (Kind::Library, 1) => Kind::Function,
            (Kind::Node, 5) => Kind::NamedAttribute,
            (Kind::NamedAttribute, 2) => Kind::Attribute,
            (Kind::Attribute, 1) => Kind::List,
            (Kind::Attribute | Kind::List, 8) => return Some(Next::Constant),
            _ => return None,
        }))
    }
}

/// What is wrong with a constant of a frozen graph, if anything is.
pub(crate) fn fault_of_graph(graph: &[u8]) -> Option<String> {
    fault(Kind::Graph, graph)
}

/// The same of a SavedModel.
pub(crate) fn fault_of_saved(model: &[u8]) -> Option<String> {
    fault(Kind::SavedModel, model)
}

fn fault(kind: Kind, mut message: &[u8]) -> Option<String> {
    let (whole, rest) = (message, &mut message);
    while !rest.is_empty() {
        let (number, value) = field(rest)?;
        let Value::Bytes(content) = value else { continue };
        let found = match kind.of_field(number) {
            Some(Next::Message(inner)) => fault(inner, content),
            Some(Next::Constant) => constant(content).err(),
            None => None,
        };
        if let Some(cause) = found {
            return Some(if matches!(kind, Kind::Node) { format!("of node {} {cause}", name(whole)) } else { cause });
        }
    }
    None
}

/// The name of a node, on one line.
fn name(mut node: &[u8]) -> String {
    let rest = &mut node;
    while !rest.is_empty() {
        match field(rest) {
            Some((1, Value::Bytes(name))) => return graphpiped_backend_api::one_line(&String::from_utf8_lossy(name)),
            Some(_) => {}
            None => break,
        }
    }
    String::new()
}

/// Axes that a tensor of TensorFlow may have (`TensorShapeRep::kMaxRep`, of which one value says that the rank is unknown).
const AXES_MAX: usize = 254;

const TOO_MANY: &str = "has a shape of more elements than there can be";

/// Looks at a constant: that its shape is one, and that its content is of as many bytes.
fn constant(mut tensor: &[u8]) -> Result<(), String> {
    let (mut dtype, mut elements, mut content, rest) = (0, 1_u64, 0, &mut tensor);
    while !rest.is_empty() {
        match field(rest).ok_or("cannot be read")? {
            (1, Value::Varint(number)) => dtype = number,
            // One that is said in parts has the axes of all.
            (2, Value::Bytes(shape)) => elements = elements.checked_mul(elements_of(shape)?).ok_or(TOO_MANY)?,
            (4, Value::Bytes(bytes)) => content = bytes.len() as u64,
            _ => {}
        }
    }
    let Some(size) = size_of(dtype) else { return Ok(()) };
    let bytes = elements.checked_mul(size).filter(|bytes| i64::try_from(*bytes).is_ok());
    let bytes = bytes.ok_or(TOO_MANY)?;
    if content != 0 && content != bytes {
        return Err(format!("has {content} bytes, and its shape says {bytes}"));
    }
    Ok(())
}

/// How many elements a shape has.
fn elements_of(mut shape: &[u8]) -> Result<u64, String> {
    let (mut elements, mut axes, rest) = (1_u64, 0, &mut shape);
    while !rest.is_empty() {
        match field(rest).ok_or("has a shape that cannot be read")? {
            (2, Value::Bytes(axis)) => {
                axes += 1;
                let size = size_of_axis(axis)?;
                elements = elements.checked_mul(size).ok_or(TOO_MANY)?;
            }
            (3, Value::Varint(1..)) => return Err("has no shape".into()),
            _ => {}
        }
    }
    if axes > AXES_MAX {
        return Err(format!("has {axes} axes, and a tensor has {AXES_MAX} at most"));
    }
    Ok(elements)
}

fn size_of_axis(mut axis: &[u8]) -> Result<u64, String> {
    let (mut size, rest) = (0, &mut axis);
    while !rest.is_empty() {
        if let (1, Value::Varint(number)) = field(rest).ok_or("has a shape that cannot be read")? {
            size = number;
        }
    }
    // A negative number is one of ten bytes, and a large one without its sign.
    if i64::try_from(size).is_err() {
        return Err(format!("has an axis of {} elements", size.cast_signed()));
    }
    Ok(size)
}

/// Bytes of an element of a type (`types.proto`), where they are whole and always the same.
fn size_of(dtype: u64) -> Option<u64> {
    match dtype {
        // Whole numbers, bool, what is quantised to a byte, and floats of a byte.
        4 | 6 | 10..=12 | 24..=28 => Some(1),
        5 | 14..=17 | 19 => Some(2),
        1 | 3 | 13 | 22 => Some(4),
        2 | 8 | 9 | 23 => Some(8),
        18 => Some(16),
        // Strings, resources, variants, what is smaller than a byte, and what TensorFlow has to refuse itself.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with a length: its number, and what is in it, which is short.
    fn part(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8], content].concat()
    }

    /// The attribute `value` of a node `c`: a constant of a type, of axes as they are encoded, with so many bytes.
    fn node(dtype: u8, axes: &[&[u8]], bytes: usize) -> Vec<u8> {
        let shape: Vec<u8> = axes.iter().flat_map(|size| part(2, &[&[0x08], *size].concat())).collect();
        let tensor = [vec![0x08, dtype], part(2, &shape), part(4, &vec![0; bytes])].concat();
        let attribute = [part(1, b"value"), part(2, &part(8, &tensor))].concat();
        [part(1, b"c"), part(2, b"Const"), part(5, &attribute)].concat()
    }

    #[test]
    fn constants_that_are_none_are_told_with_their_node() {
        const MINUS_ONE: &[u8] = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        const HUGE: &[u8] = b"\x80\x80\x80\x80\x80\x80\x01";
        let cases: [(Vec<u8>, Option<&str>); 7] = [
            (node(1, &[b"\x02", b"\x03"], 24), None),
            (node(5, &[b"\x03"], 6), None),
            (node(1, &[b"\x02"], 0), None),
            (node(7, &[b"\x02"], 3), None),
            (node(1, &[b"\x02", b"\x03"], 20), Some("of node c has 20 bytes, and its shape says 24")),
            (node(1, &[MINUS_ONE], 4), Some("of node c has an axis of -1 elements")),
            (node(1, &[HUGE, HUGE], 4), Some("of node c has a shape of more elements than there can be")),
        ];
        for (node, expected) in cases {
            let graph = part(1, &node);
            assert_eq!(fault_of_graph(&graph).as_deref(), expected);
            // In a function of the graph's library, and in the graph of a SavedModel.
            assert_eq!(fault_of_graph(&part(2, &part(1, &part(3, &node)))).as_deref(), expected);
            assert_eq!(fault_of_saved(&part(2, &part(2, &graph))).as_deref(), expected);
        }
    }

    #[test]
    fn a_shape_has_a_rank_and_no_more_axes_than_tensorflow_has() {
        assert_eq!(elements_of(b"\x12\x02\x08\x02\x12\x02\x08\x05"), Ok(10));
        assert_eq!(elements_of(b"\x18\x01"), Err("has no shape".into()));
        let axes = b"\x12\x02\x08\x01".repeat(255);
        assert_eq!(elements_of(&axes), Err("has 255 axes, and a tensor has 254 at most".into()));
    }
}
