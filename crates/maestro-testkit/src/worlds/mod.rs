//! Random worlds for property tests: environments that are valid by construction, and what their fleets may look
//! like.

mod environment;
mod snapshot;

pub use environment::{Size, environments};
pub use snapshot::{NOW, snapshots};

use maestro_core::fleet::FleetSnapshot;
use maestro_core::model::Environment;
use proptest::prelude::*;
use std::sync::Arc;

/// An environment and what its fleet looks like.
pub fn worlds(size: Size) -> impl Strategy<Value = (Arc<Environment>, FleetSnapshot)> {
    environments(size).prop_flat_map(|environment| {
        let environment = Arc::new(environment);
        let snapshot = snapshots(&environment);
        (Just(environment), snapshot)
    })
}
