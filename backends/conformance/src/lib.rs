//! What every backend has to do, as one suite of tests that each of them passes with its real library.
//!
//! A backend's tests implement [`Subject`]: they say what the framework can do ([`Capabilities`]) and where the models are that
//! the suite runs ([`Kind`]), which small scripts make from the framework's own format. Then one line makes a test of each
//! case:
//!
//! ```ignore
//! graphpiped_backend_conformance::suite!(Onnx);
//! ```
//!
//! A case never passes because something is absent: a library that cannot be loaded, a model that cannot be opened and an
//! output that is not there are failures. What a backend does not declare, it has to refuse in one line. Expected values
//! are calculated by hand here, never by a framework, but for those of the sample model ([`digits`]).
//!
//! What the other tests of several backends share is here too: memory, runs, models that are opened in vain, and processes of
//! a test's own ([`process`]). What never will be here: what one framework alone can do; that is for the tests of its own
//! backend.
#![forbid(unsafe_code)]

pub mod cases;
pub mod digits;
mod memory;
mod opening;
pub mod process;
mod scene;
mod values;

pub use memory::{Aligned, Watched};
pub use opening::{Declared, are_as_declared, cause, change_every_byte, refused, shown, whole_and_cut};
pub use scene::{Asked, Found, Scene};

use graphpipe_schema::DType;
use graphpiped_backend_api::Backend;
use std::path::PathBuf;

/// A backend under test.
pub trait Subject: Sync {
    /// The backend, with the places where its library is looked for.
    fn backend(&self) -> Box<dyn Backend>;
    /// What its framework can do.
    fn capabilities(&self) -> Capabilities;
    /// A model of this kind. `None` only for a kind that the format cannot say and the capabilities do not declare.
    fn model(&self, kind: Kind) -> Option<PathBuf>;
}

/// What a framework can do. What is not declared has to be refused.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own to a question of the suite")]
pub struct Capabilities {
    /// Element types that models can take and give, strings among them.
    pub dtypes: &'static [DType],
    /// Whether a model may take and give a tensor without axes.
    pub scalars: bool,
    /// Whether a tensor may have no elements.
    pub empty: bool,
    /// Whether an axis other than the first may have any size.
    pub dynamic_inner_axes: bool,
    /// How it is shown that inputs are read where they lie.
    pub input: InputProof,
    /// Whether outputs are written where memory is prepared for them.
    pub writes_in_place: bool,
}

/// How it is shown that a framework reads an input where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputProof {
    /// A model that gives back its input gives back the very address.
    SameAddress,
    /// It does not: the interface of the framework copies, and [`Model::copies`](graphpiped_backend_api::Model::copies)
    /// says so.
    Copies,
}

/// Models of the suite. Their names are those of the files that the backends' scripts make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `x` of this type and any shape (one axis of any size at least) → `y`, the same.
    Identity(DType),
    /// `x` float32 `[N, 4]` → `y` float32 `[N, 4]`, twice as much.
    Double,
    /// `a`, `b` float32 `[N, K]` → `sum` float32 `[N, K]`, and `whole`, their product as int64, or as float32 where there is no
    /// int64. K is 3 where inner axes cannot have any size.
    TwoByTwo,
    /// `x` float32 `[]` → `y` float32 `[]`, its negative.
    Scalar,
    /// `x` float32 `[N]` → `y` float32 `[1]`, the first element.
    First,
    /// `x` float32 `[N, 4]` → `y` float32 `[M, 8]`, two rows in one: it fails if N is odd.
    Pairs,
}

impl Kind {
    /// As the files are called, without what stands behind the dot.
    pub fn name(self) -> String {
        match self {
            Kind::Identity(dtype) => format!("identity_{dtype}"),
            Kind::Double => "double".into(),
            Kind::TwoByTwo => "two_by_two".into(),
            Kind::Scalar => "scalar".into(),
            Kind::First => "first".into(),
            Kind::Pairs => "pairs".into(),
        }
    }
}

/// A test for each case of the suite, for a [`Subject`].
#[macro_export]
macro_rules! suite {
    ($subject:expr) => {
        $crate::suite!(@each $subject;
            dtypes::every_declared_type_comes_back_bit_for_bit,
            dtypes::a_type_that_is_not_declared_is_refused,
            dtypes::strings_of_any_bytes_come_back,
            dtypes::a_bool_that_is_neither_0_nor_1_is_the_requests_fault,
            shapes::a_tensor_without_axes_is_one_number,
            shapes::a_tensor_without_elements_gives_one_without_elements,
            shapes::every_axis_that_may_have_any_size_may,
            outputs::several_inputs_and_outputs_keep_their_places,
            outputs::an_output_that_is_asked_for_twice_is_given_twice,
            outputs::memory_that_is_prepared_is_written_or_left_alone,
            outputs::a_prediction_that_is_wrong_does_no_harm,
            outputs::what_is_lent_outlives_the_instance_and_the_model,
            memory::inputs_are_read_where_they_lie,
            memory::no_input_is_kept_longer_than_somebody_refers_to_it,
            memory::what_a_run_costs_does_not_follow_the_size_of_its_input,
            errors::what_is_no_model_is_refused_in_one_line,
            errors::an_option_that_the_format_has_no_use_for_is_refused,
            errors::a_run_that_cannot_be_is_refused_and_the_next_one_is_sound,
            errors::a_model_that_refuses_a_request_says_why,
            threads::instances_on_eight_threads_do_not_see_each_other,
        );
    };
    (@each $subject:expr; $($module:ident::$case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                $crate::cases::$module::$case(&$subject);
            }
        )*
    };
}
