//! Looking at the fleet: every ship at once, each with its own deadline, before anything is decided.

use futures_util::future::join_all;
use maestro_core::boundary::{Engine, Needs, Scope};
use maestro_core::fleet::{FleetSnapshot, ShipView};
use maestro_core::model::Environment;
use maestro_core::names::{InstanceName, ShipName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The engines of an environment's ships. Having one opens no connection.
pub type Engines = BTreeMap<ShipName, Arc<dyn Engine>>;

/// Looks at the ships that these instances belong on. Dead and hung ships cost one deadline, not one each, and are
/// in the snapshot as what they are.
pub async fn observe(
    environment: &Environment,
    engines: &Engines,
    instances: &[InstanceName],
    needs: Needs,
) -> FleetSnapshot {
    observe_watched(environment, engines, (instances, &[]), needs, &|_| ()).await
}

/// Looks at some containers closer, of which only a list told before. A ship that does not answer any more is in the
/// snapshot as what it is.
pub async fn look_closer(
    engines: &Engines,
    fleet: &mut FleetSnapshot,
    containers: BTreeMap<ShipName, BTreeSet<InstanceName>>,
) {
    let looks = containers.into_iter().filter_map(|(ship, names)| {
        let engine = engines.get(&ship)?;
        let scope =
            Scope { only: Some(names.clone()), details: names.clone(), configurations: true, images: false };
        Some(async move { (ship, names, engine.observe(&scope).await) })
    });
    for (ship, names, found) in join_all(looks).await {
        let Some(view) = fleet.ships.get_mut(&ship) else { continue };
        match (view, found) {
            (ShipView::Reachable(state), Ok(found)) => {
                let state = Arc::make_mut(state);
                // What is gone by now is not taken back.
                state.containers.retain(|name, _| !names.contains(&**name));
                let examined = found.containers.into_iter().filter(|(_, c)| c.configuration.is_some());
                state.containers.extend(examined);
                state.image_configs.extend(found.image_configs);
            }
            (view, Err(error)) => *view = ShipView::Unreachable(error),
            (ShipView::Unreachable(_), Ok(_)) => {}
        }
    }
}

/// The same, and some ships besides, telling of each ship when it has answered or is given up.
pub async fn observe_watched(
    environment: &Environment,
    engines: &Engines,
    (instances, besides): (&[InstanceName], &[ShipName]),
    needs: Needs,
    answered: &(dyn Fn(&ShipName) + Sync),
) -> FleetSnapshot {
    let mut scopes: BTreeMap<&ShipName, Scope> = BTreeMap::new();
    for instance in instances.iter().filter_map(|name| environment.instances.get(name)) {
        let scope = scopes.entry(&instance.ship).or_default();
        if needs.details {
            scope.details.insert(instance.name.clone());
        }
        // How those ended that were run in containers.
        if needs.hooks
            && let Some(service) = environment.services.get(&instance.service)
        {
            let hooks = service.deploy.hooks.containers(&instance.service);
            scope.details.extend(hooks.map(|hook| hook.container()));
        }
        if !needs.others {
            scope.only.get_or_insert_default().insert(instance.name.clone());
        }
        scope.configurations = needs.configurations;
        scope.images = needs.images;
    }
    for ship in besides {
        scopes.entry(ship).or_default().images = needs.images;
    }
    let looks = scopes.into_iter().filter_map(|(ship, scope)| {
        let engine = engines.get(ship)?;
        Some(async move {
            let view = match engine.observe(&scope).await {
                Ok(state) => ShipView::Reachable(Arc::new(state)),
                Err(error) => ShipView::Unreachable(error),
            };
            answered(ship);
            (ship.clone(), view)
        })
    });
    FleetSnapshot { ships: join_all(looks).await.into_iter().collect() }
}
