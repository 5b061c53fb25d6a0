//! What a container is told about itself and others, in variables of its environment.
//!
//! The names of these variables are a public contract: images in use read them with maestro-ng's Python module
//! `maestro.guestutils`, and go on doing so. They are made and read with what is here, and nothing else.

mod names;
mod questions;

pub use names::{
    CONTAINER_NAME, ENVIRONMENT_NAME, HOST_ADDRESS, IMAGE, SERVICE_NAME, TAG, host, instances, internal_port,
    port, sanitise,
};
pub use questions::{Guest, Missing};
