//! What was on the ships of a random environment before anybody came, as far as a simulation has to be told.

use proptest::prelude::*;

/// What was there of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prior {
    /// Nothing.
    Absent,
    /// A container with the present image that runs.
    Running,
    /// A container with the present image that does not.
    Stopped,
    /// A container with an older image that runs.
    RunningOld,
    /// A container with an older image that does not run.
    StoppedOld,
    /// A container that maestro-ng made, and that runs.
    Adoptable,
    /// Somebody else's container of that name, and it runs.
    Foreign,
}

/// What was there of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorImage {
    /// Nothing.
    Absent,
    /// The present one.
    Current,
    /// An older one by the same name.
    Old,
}

/// What was there of instances; to be looked up by their number, modulo the length.
pub fn priors() -> impl Strategy<Value = Vec<Prior>> {
    let prior = prop_oneof![
        6 => Just(Prior::Absent),
        6 => Just(Prior::Running),
        3 => Just(Prior::Stopped),
        3 => Just(Prior::RunningOld),
        1 => Just(Prior::StoppedOld),
        1 => Just(Prior::Adoptable),
        1 => Just(Prior::Foreign),
    ];
    prop::collection::vec(prior, 1..24)
}

/// What was there of images; to be looked up by number, modulo the length.
pub fn prior_images() -> impl Strategy<Value = Vec<PriorImage>> {
    let prior = prop_oneof![
        3 => Just(PriorImage::Absent),
        3 => Just(PriorImage::Current),
        1 => Just(PriorImage::Old),
    ];
    prop::collection::vec(prior, 1..12)
}
