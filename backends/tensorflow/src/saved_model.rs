//! What the file saved_model.pb says: which of its graphs is for serving, and which of that one's signatures is meant.
#![forbid(unsafe_code)]

use crate::protobuf::{MetaGraph, SavedModel, Signature};
use std::path::Path;

/// The tag of the graph that is served. TensorFlow takes the graph that has these tags and no others.
pub(crate) const TAG: &str = "serve";

/// The signature that is meant if none is named.
const DEFAULT: &str = "serving_default";

/// What TensorFlow has among the signatures for its own use: one that initialises the model, and one that trains it.
const OWN: &str = "__saved_model";

/// The graph that is for serving. Otherwise: cause and remedy.
pub(crate) fn for_serving(model: SavedModel, folder: &Path) -> Result<MetaGraph, String> {
    let tags = |graph: &MetaGraph| graph.purpose.clone().unwrap_or_default().tags;
    let all: Vec<String> = model.meta_graphs.iter().map(|graph| tags(graph).join("+")).collect();
    let graph = model.meta_graphs.into_iter().find(|graph| tags(graph) == [TAG]).ok_or_else(|| {
        format!("none of its graphs is tagged \"{TAG}\" alone (there is {}); export it for serving", all.join(", "))
    })?;
    if wants_variables(&graph) && !folder.join("variables").join("variables.index").is_file() {
        return Err("its graph has variables, and there is no variables/variables.index; copy the whole folder".into());
    }
    Ok(graph)
}

/// Whether it has variables that are to be restored. TensorFlow does not miss their files before a run needs them.
fn wants_variables(graph: &MetaGraph) -> bool {
    let is_restored = graph.saver.as_ref().is_some_and(|saver| !saver.restore.is_empty());
    let nodes = graph.graph.iter().flat_map(|graph| &graph.nodes);
    is_restored && nodes.into_iter().any(|node| ["VarHandleOp", "VariableV2", "Variable"].contains(&node.kind.as_str()))
}

/// The signature of this name; without one, the default one, or the only one there is. Otherwise: cause and remedy, with
/// the names that there are.
pub(crate) fn signature<'a>(graph: &'a MetaGraph, name: Option<&str>) -> Result<(&'a str, &'a Signature), String> {
    let served = || graph.signatures.iter().filter(|(name, _)| !name.starts_with(OWN));
    let listed = served().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let named = |wanted: &str| served().find(|(name, _)| *name == wanted);
    let found = match name {
        Some(name) => named(name),
        None => named(DEFAULT).or_else(|| served().next().filter(|_| served().count() == 1)),
    };
    let found = found.map(|(name, signature)| (name.as_str(), signature));
    found.ok_or_else(|| match (name, listed.as_str()) {
        (_, "") => {
            "it has no signature; export it with one, or name its inputs and outputs (`inputs`, `outputs`)".to_string()
        }
        (Some(name), _) => format!("it has no signature \"{name}\"; its signatures are {listed}"),
        (None, _) => format!("it has no signature \"{DEFAULT}\"; choose one with `signature`: {listed}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{Graph, Node, Purpose, Saver};

    fn graph(tags: &[&str], signatures: &[&str]) -> MetaGraph {
        MetaGraph {
            purpose: Some(Purpose { tags: tags.iter().map(ToString::to_string).collect() }),
            signatures: signatures.iter().map(|name| (name.to_string(), Signature::default())).collect(),
            ..MetaGraph::default()
        }
    }

    fn chosen(signatures: &[&str], name: Option<&str>) -> Result<String, String> {
        signature(&graph(&[TAG], signatures), name).map(|(name, _)| name.to_string())
    }

    #[test]
    fn the_signature_is_the_one_that_is_named_or_the_default_or_the_only_one() {
        assert_eq!(chosen(&["a", "serving_default"], Some("a")), Ok("a".into()));
        assert_eq!(chosen(&["a", "serving_default"], None), Ok("serving_default".into()));
        assert_eq!(chosen(&["__saved_model_init_op", "a"], None), Ok("a".into()));
    }

    #[test]
    fn a_signature_that_there_is_not_is_answered_with_those_that_there_are() {
        let message = |signatures: &[&str], name| chosen(signatures, name).expect_err("there is none");
        assert_eq!(message(&["a", "b"], Some("c")), "it has no signature \"c\"; its signatures are a, b");
        assert_eq!(
            message(&["a", "b"], None),
            "it has no signature \"serving_default\"; choose one with `signature`: a, b"
        );
        let own = message(&["__saved_model_init_op", "a"], Some("__saved_model_init_op"));
        assert_eq!(own, "it has no signature \"__saved_model_init_op\"; its signatures are a");
        for name in [None, Some("a")] {
            assert!(message(&["__saved_model_init_op"], name).starts_with("it has no signature; export it with one"));
        }
    }

    #[test]
    fn the_graph_is_the_one_that_is_for_serving_alone() {
        let folder = Path::new("/no/such/folder");
        let model =
            |graphs: &[&[&str]]| SavedModel { meta_graphs: graphs.iter().map(|tags| graph(tags, &[])).collect() };
        let found = for_serving(model(&[&["train"], &["serve"]]), folder).expect("the second one");
        assert_eq!(found.purpose.expect("it has tags").tags, ["serve"]);
        let message = for_serving(model(&[&["train"], &["serve", "gpu"]]), folder).expect_err("there is none");
        assert_eq!(
            message,
            "none of its graphs is tagged \"serve\" alone (there is train, serve+gpu); export it for serving"
        );
    }

    #[test]
    fn variables_that_are_to_be_restored_have_to_be_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let node = Node { name: "w".into(), kind: "VarHandleOp".into() };
        let mut variable = graph(&[TAG], &[]);
        variable.graph = Some(Graph { nodes: vec![node] });
        let open = |graph: &MetaGraph| for_serving(SavedModel { meta_graphs: vec![graph.clone()] }, folder.path());
        assert!(open(&variable).is_ok(), "nobody says that it is to be restored");
        variable.saver = Some(Saver { restore: "restore".into() });
        let message = open(&variable).expect_err("it is not there");
        assert!(message.contains("there is no variables/variables.index; "), "{message}");
        std::fs::create_dir(folder.path().join("variables")).expect("a folder");
        std::fs::write(folder.path().join("variables/variables.index"), "").expect("a file");
        assert!(open(&variable).is_ok());
    }
}
