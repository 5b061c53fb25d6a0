//! Where balancers send requests while a plan is carried out.

use super::{BalanceError, Balancing};
use maestro_core::balance::{Rotation, RouteChange};
use maestro_core::model::Environment;
use maestro_core::names::{BalancerName, InstanceName};
use maestro_core::plan::Plan;
use std::collections::BTreeSet;
use tokio::sync::{Mutex, MutexGuard};

/// The rotation of a run, as it is published: one change after the other.
pub struct Routes {
    environment: Environment,
    balancing: Balancing,
    state: Mutex<State>,
}

struct State {
    rotation: Rotation,
    /// Front ends in containers that have to acknowledge.
    up: BTreeSet<InstanceName>,
}

impl Routes {
    /// Of an environment whose balancers send requests as a plan says that they do.
    pub fn new(environment: Environment, balancing: Balancing, plan: &Plan) -> Self {
        let state = State { rotation: plan.rotation.clone(), up: plan.front_ends.clone() };
        Self { environment, balancing, state: Mutex::new(state) }
    }

    /// Waits until nobody else changes anything: whoever may not any more by then changes nothing.
    pub async fn turn(&self) -> Turn<'_> {
        Turn { routes: self, state: self.state.lock().await }
    }
}

/// The turn to change something.
pub struct Turn<'a> {
    routes: &'a Routes,
    state: MutexGuard<'a, State>,
}

impl Turn<'_> {
    /// Has these balancers send requests elsewhere, waits until every front end does, and until whoever gets no more has
    /// finished.
    ///
    /// # Errors
    /// What keeps a front end from it. What was there before is published again then.
    pub async fn change(self, names: &[BalancerName], change: &RouteChange) -> Result<(), BalanceError> {
        let Self { routes, mut state } = self;
        let balancers = || names.iter().filter_map(|name| routes.environment.balancers.get(name));
        let before = state.rotation.clone();
        state.rotation.change(change);
        state.up.retain(|name| !change.leave.contains(name));
        state.up.extend(change.join.iter().cloned());
        let balancing = routes.balancing.among(&routes.environment, &state.up);
        if let Err(error) = balancing.publish(balancers(), &state.rotation).await {
            state.rotation = before;
            // Whoever took it goes back; what keeps one from that is no news.
            balancing.publish(balancers(), &state.rotation).await.ok();
            return Err(error);
        }
        drop(state);
        if !change.drain.is_empty() {
            balancing.drained(balancers()).await;
        }
        Ok(())
    }

    /// Gives a front end in a container that does not run yet what it starts with.
    ///
    /// # Errors
    /// What keeps it from that.
    pub async fn provide(self, front_end: &InstanceName) -> Result<(), BalanceError> {
        self.routes.balancing.prepare(&self.routes.environment, front_end, &self.state.rotation).await
    }
}

impl std::fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}
