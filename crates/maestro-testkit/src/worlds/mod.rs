//! Random worlds for property tests: environments that load, what their fleets may look like, and what was on their
//! ships before a simulation began.

mod layout;
mod prior;
mod snapshot;

pub use layout::{
    CheckLayout, Extras, Flavour, InstanceLayout, Layout, PASSWORD, Placed, REGISTRY, ServiceLayout, USER,
    layouts, rich_layouts,
};
pub use prior::{Prior, PriorImage, prior_images, priors};
pub use snapshot::{NOW, snapshots};

use maestro_core::config::{Limits, load};
use maestro_core::fleet::FleetSnapshot;
use maestro_core::model::Environment;
use maestro_core::source::MapSources;
use proptest::prelude::*;
use std::sync::Arc;

impl Layout {
    /// The environment that its file describes.
    ///
    /// # Panics
    /// The file does not load: a layout is at fault.
    #[expect(
        clippy::panic,
        reason = "a layout that does not load is a bug of this crate, and tests want to see it"
    )]
    pub fn environment(&self) -> Environment {
        let yaml = self.yaml();
        let loaded = load(&MapSources::of(yaml.as_str()), &Limits::default());
        match loaded.environment {
            Some(environment) => environment,
            None => panic!("{:?}\n{yaml}", loaded.diagnostics),
        }
    }
}

/// An environment of up to so many services and ships, and what its fleet looks like.
pub fn worlds(services: usize, ships: u8) -> impl Strategy<Value = (Arc<Environment>, FleetSnapshot)> {
    rich_layouts(services, ships).prop_flat_map(|layout| {
        let environment = Arc::new(layout.environment());
        let snapshot = snapshots(&environment);
        (Just(environment), snapshot)
    })
}
