//! Looking at the fleet on behalf of a command: the user sees who is being waited for, and may lose patience.

use super::Fault;
use super::interrupts::unless_interrupted;
use super::session::Session;
use crate::observe::{Engines, observe_watched};
use crate::report::Looking;
use maestro_core::boundary::Needs;
use maestro_core::fleet::FleetSnapshot;
use maestro_core::model::Environment;
use maestro_core::names::{InstanceName, ShipName};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// A fleet that answers within this time is waited for in silence; then the line that tells is renewed as often.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks at the ships that these instances belong on.
pub(super) async fn look(
    session: &Session,
    environment: &Environment,
    engines: &Engines,
    instances: &[InstanceName],
    needs: Needs,
) -> Result<FleetSnapshot, Fault> {
    look_around(session, environment, engines, (instances, &[]), needs).await
}

/// The same, and some ships besides.
pub(super) async fn look_around(
    session: &Session,
    environment: &Environment,
    engines: &Engines,
    (instances, besides): (&[InstanceName], &[ShipName]),
    needs: Needs,
) -> Result<FleetSnapshot, Fault> {
    let ships = instances.iter().filter_map(|name| environment.instances.get(name)).map(|i| &i.ship);
    let ships: BTreeSet<ShipName> = ships.chain(besides).cloned().collect();
    shown(session, ships, async |answered| {
        observe_watched(environment, engines, (instances, besides), needs, answered).await
    })
    .await
}

/// Asks these ships something, whatever that is, which tells when one has answered.
pub(super) async fn shown<T>(
    session: &Session,
    ships: impl IntoIterator<Item = ShipName>,
    ask: impl AsyncFnOnce(&(dyn Fn(&ShipName) + Sync)) -> T,
) -> Result<T, Fault> {
    let looking = Mutex::new(Looking::new(session.printer.clone(), ships));
    let looking = || looking.lock().unwrap_or_else(PoisonError::into_inner);
    unless_interrupted(async {
        let answered = |ship: &ShipName| looking().answered(ship);
        let mut asking = pin!(ask(&answered));
        let began = Instant::now();
        let mut ticks = interval_at(began + PATIENCE, PATIENCE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                answer = &mut asking => return Ok(answer),
                _ = ticks.tick() => looking().show(began.elapsed()),
            }
        }
    })
    .await
}
