//! Whether what was told at the end is so: rows and summary against the containers that are really there.

use super::watch::{Seen, is_foreign};
use super::world::{Ran, World};
use maestro::report::{Row, RowState};
use maestro_core::model::{LABEL_ENVIRONMENT, LABEL_INSTANCE};
use maestro_core::names::{ImageId, InstanceName, ShipName};
use maestro_core::plan::{Fate, Intent, Item, Restart, Settled};
use maestro_testkit::state::Container;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was there before.
pub(super) struct Before {
    instances: BTreeMap<InstanceName, Option<Container>>,
    others: BTreeMap<(ShipName, Arc<str>), Container>,
}

impl Before {
    pub(super) fn of(world: &World) -> Self {
        let instances = world
            .environment
            .instances
            .iter()
            .map(|(name, instance)| (name.clone(), world.ships[&instance.ship].container(name.as_str())));
        Self { instances: instances.collect(), others: others(world) }
    }
}

/// Containers that no instance is, and those whose labels say that they are somebody else's.
fn others(world: &World) -> BTreeMap<(ShipName, Arc<str>), Container> {
    let mut all = BTreeMap::new();
    for (ship, engine) in &world.ships {
        engine.look(|machine| {
            for container in machine.containers() {
                let labels = container.config.labels.clone().unwrap_or_default();
                let instance = world.environment.instances.get(&*container.name);
                let is_ours = instance.is_some_and(|i| i.ship == *ship);
                if !is_ours || is_foreign(&labels, &world.environment) {
                    all.insert((ship.clone(), container.name.clone()), container.clone());
                }
            }
        });
    }
    all
}

fn same(a: &Container, b: &Container) -> bool {
    a.id == b.id && a.state == b.state && a.starts == b.starts
}

fn unchanged(a: Option<&Container>, b: Option<&Container>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => same(a, b),
        _ => false,
    }
}

/// Everything that was told and is not so.
pub(super) fn lies(world: &World, before: &Before, ran: &Ran) -> Vec<String> {
    let mut lies = Vec::new();
    let told = ran.rows.summary(ran.summary.took);
    if told != ran.summary {
        lies.push(format!("the rows say {told:?}, the summary {:?}", ran.summary));
    }
    let now = others(world);
    for (key, container) in &before.others {
        if !now.get(key).is_some_and(|c| same(c, container)) {
            lies.push(format!("{} on {}, which is not ours, has changed", key.1, key.0));
        }
    }
    // What a deployment keeps was an instance's before, and does not run any more.
    let was_one = |name: &str, container: &Container| {
        let of = name.split_once(".kept-").map(|(instance, _)| InstanceName::from(instance));
        let was = of.and_then(|instance| before.instances.get(&instance)).and_then(Option::as_ref);
        !container.is_running() && was.is_some_and(|was| was.id == container.id)
    };
    let new = now
        .iter()
        .filter(|(key, container)| !before.others.contains_key(*key) && !was_one(&key.1, container));
    for ((ship, name), _) in new {
        lies.push(format!("{name} on {ship} was not there before and is no instance"));
    }
    for (at, item) in ran.plan.items.iter().enumerate() {
        let row = &ran.rows.rows()[at];
        let judge = Judge { world, ran, item, row, before: before.instances[&item.instance].as_ref() };
        if let Some(lie) = judge.lie() {
            lies.push(format!("{} is told to be {:?}, and {lie}", item.instance, row.state));
        }
    }
    for (ship, engine) in &world.ships {
        for name in
            orphans(world, ship, &engine.look(|m| m.containers().into_iter().cloned().collect::<Vec<_>>()))
        {
            lies.push(format!("{name} on {ship} is an orphan"));
        }
    }
    lies
}

/// Containers of this environment that go by another name than their instance's.
fn orphans(world: &World, ship: &ShipName, containers: &[Container]) -> Vec<Arc<str>> {
    let environment = world.environment.display_name();
    containers
        .iter()
        .filter(|c| {
            let labels = c.config.labels.clone().unwrap_or_default();
            let instance =
                labels.get(LABEL_INSTANCE).and_then(|i| world.environment.instances.get(i.as_str()));
            labels.get(LABEL_ENVIRONMENT).is_some_and(|owner| owner == environment)
                && !instance.is_some_and(|i| {
                    let is_it = i.name.as_str() == &*c.name;
                    let was_it = c.name.starts_with(&format!("{}.kept-", i.name)) && !c.is_running();
                    (is_it || was_it) && i.ship == *ship
                })
        })
        .map(|c| c.name.clone())
        .collect()
}

struct Judge<'a> {
    world: &'a World,
    ran: &'a Ran,
    item: &'a Item,
    row: &'a Row,
    before: Option<&'a Container>,
}

impl Judge<'_> {
    fn now(&self) -> Option<Container> {
        self.world.ships[&self.item.ship].container(self.item.instance.as_str())
    }

    fn lie(&self) -> Option<&'static str> {
        let now = self.now();
        let now = now.as_ref();
        let runs = now.is_some_and(Container::is_running);
        let same = unchanged(self.before, now);
        match self.row.state {
            RowState::Waiting | RowState::Working => Some("nothing happens any more"),
            RowState::Blocked | RowState::Unchanged | RowState::Held if !same => Some("it has changed"),
            RowState::Aborted if !same && !self.was_touched() => Some("it has changed"),
            RowState::Interrupted if !same && !self.was_touched() => Some("it has changed"),
            RowState::Blocked | RowState::Held | RowState::Aborted | RowState::Interrupted => None,
            RowState::Unchanged => self.lie_about_unchanged(now, runs),
            RowState::Done => self.lie_about_done(now, runs),
            RowState::Tolerated => self.lie_about_tolerated(runs, same),
            RowState::Failed => self.lie_about_failed(),
        }
    }

    fn was_touched(&self) -> bool {
        self.ran.touched.contains(&self.item.instance)
    }

    /// The image that the instance's reference means on its ship.
    fn image(&self) -> Option<ImageId> {
        let engine = &self.world.ships[&self.item.ship];
        engine.look(|machine| machine.image(self.item.image.as_str()).map(|i| i.content.id.clone()))
    }

    fn lie_about_unchanged(&self, now: Option<&Container>, runs: bool) -> Option<&'static str> {
        let Fate::Settled(settled) = &self.item.fate else { return Some("something was planned") };
        let well = match settled {
            Settled::Up | Settled::Running => runs,
            Settled::Down => !runs,
            Settled::AsReleased => runs && now.map(|c| c.content.id.clone()) == self.image(),
            Settled::UpToDate => runs && now.map(|c| c.content.id.clone()) == self.image(),
            Settled::Absent => now.is_none(),
            Settled::HostDown(_) => false,
        };
        (!well).then_some("it is not")
    }

    fn lie_about_done(&self, now: Option<&Container>, runs: bool) -> Option<&'static str> {
        let is_new = now.is_some_and(|c| self.before.is_none_or(|b| b.id != c.id || b.starts < c.starts));
        let has_image = now.map(|c| c.content.id.clone()) == self.image();
        match &self.ran.plan.intent {
            Intent::Start { .. } | Intent::Restart(_) if !runs => Some("it does not run"),
            Intent::Start { .. } | Intent::Restart(_) if !is_new => Some("it was not started"),
            Intent::Start { reuse: false, .. } | Intent::Restart(Restart { reuse: false, .. }) => {
                (!has_image).then_some("it runs another image")
            }
            Intent::Start { .. } | Intent::Restart(_) => None,
            Intent::Deploy { .. } if !runs => Some("it does not run"),
            Intent::Deploy { .. } => (!has_image).then_some("it runs another image"),
            Intent::Stop | Intent::Kill => runs.then_some("it runs"),
            Intent::Clean => now.is_some().then_some("it is there"),
            Intent::Pull => {
                let wanted = super::world::current(self.item.image.as_str()).id.clone();
                (self.image() != Some(wanted)).then_some("its image is not there")
            }
        }
    }

    fn lie_about_tolerated(&self, runs: bool, same: bool) -> Option<&'static str> {
        match (&self.ran.plan.intent, &self.item.fate) {
            (Intent::Stop | Intent::Kill, Fate::Settled(_)) => (!same).then_some("it has changed"),
            (Intent::Stop | Intent::Kill, _) => None,
            // The command succeeds: so the instance has to be up.
            (Intent::Restart(_), _) => (!runs).then_some("it does not run"),
            _ => Some("nothing of this is tolerated"),
        }
    }

    fn lie_about_failed(&self) -> Option<&'static str> {
        let Fate::Act { steps, .. } = &self.item.fate else { return Some("nothing was planned") };
        // A login is nobody's step; what fails after it is the pull.
        let logins = || {
            steps.iter().filter_map(|id| self.ran.plan.step(*id)).flat_map(|step| &step.after).filter(|id| {
                matches!(self.ran.plan.unit_of(**id), Some(maestro_core::plan::Unit::Login { .. }))
            })
        };
        let failed = steps.iter().chain(logins()).any(|id| self.ran.seen(*id) == Seen::Failed);
        (!failed).then_some("nothing failed")
    }
}
