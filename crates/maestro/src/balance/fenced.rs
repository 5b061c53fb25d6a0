//! Front ends that are told nothing any more once the lease is lost.

use super::Balancing;
use crate::ledger::Fence;
use futures_util::future::BoxFuture;
use maestro_core::balance::{Configuration, Generation};
use maestro_core::boundary::{FrontEnd, FrontEndError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// To publish takes several calls, and a process may be stopped between two of them for hours: so often it is looked
/// whether the next one may still be made.
const LOOK: Duration = Duration::from_millis(50);

impl Balancing {
    /// The same, told only while the lease is held.
    #[must_use]
    pub fn behind(&self, fence: &Fence) -> Self {
        let fenced = |inner: &Arc<dyn FrontEnd>| -> Arc<dyn FrontEnd> {
            Arc::new(Fenced { inner: inner.clone(), fence: fence.clone() })
        };
        let front_ends =
            self.front_ends.iter().map(|(name, all)| (name.clone(), all.iter().map(fenced).collect()));
        Self { front_ends: front_ends.collect() }
    }
}

struct Fenced {
    inner: Arc<dyn FrontEnd>,
    fence: Fence,
}

impl Fenced {
    /// Does something as long as the lease is held. What has not been begun by the time it is lost is not done.
    async fn held(&self, mut doing: BoxFuture<'_, Result<(), FrontEndError>>) -> Result<(), FrontEndError> {
        loop {
            self.fence.pass().await.map_err(|error| FrontEndError::Fenced(error.to_string()))?;
            tokio::select! {
                // After a long stop both are ready, and then the lease has to be looked at first.
                biased;
                () = sleep(LOOK) => {}
                done = &mut doing => return done,
            }
        }
    }
}

impl FrontEnd for Fenced {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn publish<'a>(&'a self, configuration: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(self.held(self.inner.publish(configuration)))
    }

    fn prepare<'a>(&'a self, configuration: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(self.held(self.inner.prepare(configuration)))
    }

    fn serving(&self) -> BoxFuture<'_, Result<Option<Generation>, FrontEndError>> {
        self.inner.serving()
    }

    fn lingering(&self) -> BoxFuture<'_, Result<Option<usize>, FrontEndError>> {
        self.inner.lingering()
    }
}
