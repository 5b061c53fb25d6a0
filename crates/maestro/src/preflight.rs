//! Learning what is to be known before a deployment: every ship at once, each with its own deadlines, touching nothing.

use crate::observe::Engines;
use futures_util::future::{join, join_all};
use futures_util::stream::{self, StreamExt};
use maestro_core::fleet::FleetSnapshot;
use maestro_core::model::Environment;
use maestro_core::names::{InstanceName, ShipName};
use maestro_core::plan::RegistryAuth;
use maestro_core::preflight::{Asking, Learnt, examinations, questions};

/// Registries that limit how much they are asked limit it by who asks, and here every ship asks for itself; but all of
/// them may be behind one address.
const QUESTIONS: usize = 64;

/// Finds out what the ships of a fleet that was seen are like, and what registries say to them. Tells of each ship when
/// it has answered or is given up.
pub async fn learn(
    environment: &Environment,
    engines: &Engines,
    fleet: FleetSnapshot,
    instances: &[InstanceName],
    asking: Asking,
    answered: &(dyn Fn(&ShipName) + Sync),
) -> Learnt {
    let hosts = examinations(environment, &fleet, instances).into_iter().filter_map(|(ship, examination)| {
        let engine = engines.get(&ship)?;
        Some(async move {
            let facts = engine.examine(&examination).await;
            answered(&ship);
            (ship, facts)
        })
    });
    let asked = questions(environment, &fleet, instances, asking).into_iter().filter_map(|(ship, image)| {
        let engine = engines.get(&ship)?;
        Some(async move {
            let auth = RegistryAuth::for_image(environment, &image);
            let answer = engine.look_up(&image, auth.as_ref()).await;
            ((ship, image), answer)
        })
    });
    let registries = stream::iter(asked).buffer_unordered(QUESTIONS).collect::<Vec<_>>();
    let (hosts, registries) = join(join_all(hosts), registries).await;
    Learnt { fleet, hosts: hosts.into_iter().collect(), registries: registries.into_iter().collect() }
}
