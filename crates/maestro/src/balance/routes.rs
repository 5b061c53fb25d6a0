//! Where balancers send requests while a plan is carried out.

use super::{BalanceError, Balancing};
use maestro_core::balance::{Rotation, RouteChange};
use maestro_core::model::Environment;
use maestro_core::names::{BalancerName, InstanceName};
use maestro_core::plan::Plan;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
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
    /// Those that may go on for a while, and need not.
    leaving: BTreeSet<InstanceName>,
}

impl Routes {
    /// Of an environment whose balancers send requests as a plan says that they do.
    pub fn new(environment: Environment, balancing: Balancing, plan: &Plan) -> Self {
        let state =
            State { rotation: plan.rotation.clone(), up: plan.front_ends.clone(), leaving: BTreeSet::new() };
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
        for name in &change.leave {
            state.up.remove(name);
            state.leaving.insert(name.clone());
        }
        for name in &change.join {
            state.leaving.remove(name);
            state.up.insert(name.clone());
        }
        let balancing = routes.balancing.among(&routes.environment, &state.up);
        // As long as they run, they get requests, too. Nobody else is told twice: both would write the same file.
        let others = routes.balancing.only(&routes.environment, &state.leaving);
        let others = async {
            others.publish(balancers(), &state.rotation).await.ok();
            pending::<Infallible>().await
        };
        let published = tokio::select! {
            biased;
            published = balancing.publish(balancers(), &state.rotation) => published,
            never = others => match never {},
        };
        if let Err(error) = published {
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
    pub async fn provide(mut self, front_end: &InstanceName) -> Result<(), BalanceError> {
        self.state.leaving.remove(front_end);
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
