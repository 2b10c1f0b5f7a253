//! What a model itself says about its `forward`: how many tensors it takes, what it calls them, and how many it gives.
//!
//! That is less than a signature (neither element types nor shapes), but enough to find a description that belongs to another
//! model, and to begin one.

use crate::description::PYTORCH;
use graphpiped_model_description::path_of;
use std::fmt::Write;
use std::path::Path;

/// What `forward` takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forward {
    /// Its arguments, in their order; none if it does not say.
    pub arguments: Vec<Argument>,
    /// The types of what it gives.
    pub results: Vec<String>,
    /// Whether a run may change what a later one sees, so that runs wait for each other.
    pub has_state: bool,
}

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its type, as Python writes it.
    pub kind: String,
    /// Whether there is no value for when it is left out.
    pub is_required: bool,
    /// Whether the model may write into it, so that it has to be copied.
    pub is_written: bool,
}

impl Forward {
    /// From the lines of the plugin, which its header describes.
    pub fn of(lines: &str) -> Forward {
        let mut forward = Forward::default();
        for line in lines.lines() {
            if line == "state" {
                forward.has_state = true;
                continue;
            }
            let mut words = line.splitn(5, ' ');
            let (Some(side), Some(name), Some(required), Some(written), Some(kind)) =
                (words.next(), words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            let kind = kind.to_string();
            if side == "in" {
                let name = Some(name).filter(|name| *name != "-").map(str::to_string);
                let argument = Argument { name, kind, is_required: required == "1", is_written: written == "1" };
                forward.arguments.push(argument);
            } else {
                forward.results.push(kind);
            }
        }
        forward
    }

    /// Whether this many tensors can be given to it; if not, why.
    pub fn check(&self, inputs: usize) -> Result<(), String> {
        if self.arguments.is_empty() && self.results.is_empty() {
            return Ok(());
        }
        let required = self.arguments.iter().filter(|argument| argument.is_required).count();
        if inputs < required || inputs > self.arguments.len() {
            let names: Vec<_> = self.arguments.iter().filter_map(|argument| argument.name.as_deref()).collect();
            let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
            return Err(format!(
                "describes {inputs} {}, and forward takes {}{names}; describe each of them",
                if inputs == 1 { "input" } else { "inputs" },
                self.arguments.len(),
            ));
        }
        let given = &self.arguments[..inputs];
        match given.iter().find(|argument| !["Tensor", "Optional[Tensor]"].contains(&argument.kind.as_str())) {
            Some(argument) => {
                let name = argument.name.as_deref().unwrap_or_default();
                Err(format!(
                    "forward takes {name} as {}, which is no tensor; script a module that takes tensors alone",
                    argument.kind
                ))
            }
            None => Ok(()),
        }
    }

    /// How many tensors it gives, as far as its type says.
    fn results_count(&self) -> Option<usize> {
        match self.results.as_slice() {
            [kind] => match kind.strip_prefix("Tuple[").and_then(|rest| rest.strip_suffix(']')) {
                Some(elements) if elements.split(", ").all(|element| element == "Tensor") => {
                    Some(elements.split(", ").count())
                }
                None if kind == "Tensor" => Some(1),
                _ => None,
            },
            several => (several.iter().all(|kind| kind == "Tensor") && !several.is_empty()).then_some(several.len()),
        }
    }

    /// A description of the model at `path`, to be filled in.
    pub fn template(&self, path: &Path) -> String {
        let (file, description) = (named(path), named(&path_of(path)));
        let mut text = format!(
            "# What {file} takes and gives. Put this beside it, as {description}, and fill in:\n\
             #   dtype  one of {}\n\
             #   shape  for each axis a size; a name, for any size that is the same wherever the name stands; or \"?\", for \
             any size\n",
            PYTORCH.dtype_names()
        );
        if self.arguments.is_empty() && self.results.is_empty() {
            text += "# The file does not say how many inputs and outputs it has; repeat these.\n";
            push_tensor(&mut text, "inputs", "x");
        }
        for (index, argument) in self.arguments.iter().enumerate() {
            let comment = if argument.is_required { "" } else { "; may be left out" };
            let name = argument.name.clone().unwrap_or_else(|| format!("input_{index}"));
            let _ = write!(text, "\n# forward takes {name}: {}{comment}", argument.kind);
            push_tensor(&mut text, "inputs", &name);
        }
        let gives = if self.results.is_empty() { "?".to_string() } else { self.results.join(", ") };
        let _ = write!(text, "\n# forward gives {gives}");
        match self.results_count() {
            Some(1) => push_tensor(&mut text, "outputs", "output"),
            Some(count) => (0..count).for_each(|index| push_tensor(&mut text, "outputs", &format!("output_{index}"))),
            None => {
                text += "; repeat this for each tensor in it, by its name if it is a dictionary";
                push_tensor(&mut text, "outputs", "output");
            }
        }
        text
    }
}

fn push_tensor(text: &mut String, side: &str, name: &str) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\n[[{side}]]\nname = \"{name}\"\ndtype = \"float32\"\nshape = [\"N\", \"?\"]\n");
}

fn named(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphpiped_model_description::{Described, Description, parse};

    const TWO: &str = "in a 1 0 Tensor\nin b 1 0 Tensor\nin scale 0 0 float\nout - 1 0 Tuple[Tensor, Tensor]\n";

    #[test]
    fn the_lines_of_the_plugin_are_read() {
        let forward = Forward::of("in x 1 1 Dict[str, Tensor]\nin - 0 0 Tensor\nout - 1 0 Tensor\n");
        assert_eq!(
            forward.arguments,
            [
                Argument {
                    name: Some("x".into()),
                    kind: "Dict[str, Tensor]".into(),
                    is_required: true,
                    is_written: true
                },
                Argument { name: None, kind: "Tensor".into(), is_required: false, is_written: false },
            ]
        );
        assert_eq!(forward.results, ["Tensor"]);
        assert!(!forward.has_state && Forward::of("out - 1 0 Tensor\nstate\n").has_state);
        assert_eq!(Forward::of(""), Forward::default());
        assert_eq!(Forward::of("\nnothing of the kind"), Forward::default());
    }

    #[test]
    fn a_description_of_another_model_is_found() {
        let forward = Forward::of(TWO);
        assert_eq!(forward.check(2), Ok(()));
        assert_eq!(
            forward.check(1),
            Err("describes 1 input, and forward takes 3 (a, b, scale); describe each of them".into())
        );
        assert!(forward.check(4).is_err());
        let message = forward.check(3).expect_err("a number is no tensor");
        assert!(message.starts_with("forward takes scale as float, which is no tensor; "), "{message}");
        assert_eq!(Forward::default().check(5), Ok(()), "it has said nothing");
    }

    #[test]
    fn a_template_is_a_description() {
        let path = Path::new("/somewhere/two.pt");
        let template = Forward::of(TWO).template(path);
        assert!(template.starts_with("# What two.pt takes and gives. Put this beside it, as two.toml, and fill in:\n"));
        let Description { inputs, outputs } = parse(&template, PYTORCH).expect("a description");
        let names = |tensors: Vec<Described>| tensors.into_iter().map(|tensor| tensor.name).collect::<Vec<_>>();
        assert_eq!(names(inputs), ["a", "b", "scale"]);
        assert_eq!(names(outputs), ["output_0", "output_1"]);
        for lines in ["", "in x 1 0 Tensor\nout - 1 0 Dict[str, Tensor]\n"] {
            let template = Forward::of(lines).template(path);
            assert!(template.contains("; repeat th"), "{template}");
            parse(&template, PYTORCH).expect("a description");
        }
    }
}
