//! Random worlds that are deployed to by every strategy: one release after another is reached.

use super::properties::{config, walk};
use super::world::{World, simulate};
use maestro_core::plan::{Fate, Hooking, Intent, Limits};
use maestro_core::select::Selector;
use maestro_testkit::state::Container;
use maestro_testkit::worlds::{DeployLayout, Layout, Prior, layouts_to_deploy, prior_images, priors};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What is otherwise with the next release of a service.
#[derive(Debug, Clone)]
enum Change {
    Nothing,
    Image,
    Variable,
    /// How it is deployed.
    Deploy(Option<DeployLayout>),
}

fn deploy(promote: bool) -> Intent {
    Intent::Deploy { ask_again: false, promote, doubtful: BTreeSet::new(), hooks: Hooking::NEW }
}

/// All releases of a file: each has been changed in something.
fn releases() -> impl Strategy<Value = Vec<Layout>> {
    let change = prop_oneof![
        2 => Just(Change::Nothing),
        4 => Just(Change::Image),
        2 => Just(Change::Variable),
        1 => layouts_to_deploy(1, 1).prop_map(|other| Change::Deploy(other.services[0].extras.deploy)),
    ];
    let changes = prop::collection::vec(prop::collection::vec(change, 6), 1..3);
    (layouts_to_deploy(6, 3), changes).prop_map(|(first, changes)| {
        let mut all = vec![first];
        for (number, changes) in changes.into_iter().enumerate() {
            let mut next = all[number].clone();
            for (service, change) in next.services.iter_mut().zip(changes) {
                match change {
                    Change::Nothing => {}
                    Change::Image => service.image += 1,
                    Change::Variable => service.extras.variable = Some(format!("release {number}")),
                    Change::Deploy(other) => service.extras.deploy = other,
                }
            }
            all.push(next);
        }
        all
    })
}

/// Deploys what the file says, also to those that wait for canaries.
async fn reached(world: &World) -> Result<(), TestCaseError> {
    let everything = Selector::default();
    let ran = walk(world, &deploy(false), &everything, &[]).await?;
    let is_left = |fate: &Fate| matches!(fate, Fate::Blocked(_));
    prop_assert!(!ran.plan.items.iter().any(|item| is_left(&item.fate)), "{}", ran.plan);
    let s = &ran.summary;
    prop_assert_eq!((s.failed, s.aborted, s.tolerated, s.interrupted), (0, 0, 0, 0), "{}", ran.show());
    if ran.plan.items.iter().any(|item| matches!(item.fate, Fate::Waits { .. })) {
        let next = walk(world, &deploy(false), &everything, &[]).await?;
        prop_assert!(next.plan.steps.is_empty(), "nobody has promoted it: {}", next.plan);
        let ran = walk(world, &deploy(true), &everything, &[]).await?;
        let s = &ran.summary;
        prop_assert_eq!((s.failed, s.aborted, s.blocked, s.interrupted), (0, 0, 0, 0), "{}", ran.show());
    }
    for (name, instance) in &world.environment.instances {
        let engine = &world.ships[&instance.ship];
        let image = engine.look(|m| m.image(instance.image.as_str()).map(|image| image.content.id.clone()));
        let container = engine.container(name.as_str()).filter(Container::is_running);
        let is_so = container.as_ref().is_some_and(|container| {
            let text =
                instance.settings.env.iter().flat_map(|part| part.iter()).filter(|of| &*of.name == "TEXT");
            let text: Vec<String> =
                text.map(|of| format!("TEXT={}", of.value.as_deref().unwrap_or_default())).collect();
            let found = container.config.env.iter().flatten().filter(|of| of.starts_with("TEXT="));
            let has_all = found.eq(&text);
            Some(&container.content.id) == image.as_ref() && has_all
        });
        prop_assert!(is_so, "{name} is not as the file says: {container:?}\n{}", ran.show());
    }
    for engine in world.ships.values() {
        engine.clear_writes();
    }
    let next = walk(world, &deploy(false), &everything, &[]).await?;
    prop_assert!(next.plan.is_empty() && next.plan.steps.is_empty(), "{}\nafter\n{}", next.plan, ran.show());
    prop_assert!(next.plan.items.iter().all(|item| matches!(item.fate, Fate::Settled(_))), "{}", next.plan);
    for engine in world.ships.values() {
        prop_assert_eq!(engine.writes(), []);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    /// Whatever was there, and by whichever strategies: each release is reached, with never more down than may be, and then
    /// there is nothing to do.
    #[test]
    fn every_release_is_reached_by_every_strategy(
        releases in releases(),
        priors in priors(),
        images in prior_images(),
        calls in (1..12usize, 1..5usize, 1..3usize),
        units in prop::option::of(1..4usize),
        dawdle in prop::option::of(any::<u64>()),
        back in any::<bool>(),
    ) {
        simulate(async {
            // Somebody else's containers block what bears their names.
            let own = |prior: &Prior| if *prior == Prior::Foreign { Prior::Absent } else { *prior };
            let priors: Vec<Prior> = priors.iter().map(own).collect();
            let mut world = World::of(&releases[0], &priors, &images);
            let (calls, calls_per_ship, pulls_per_ship) = calls;
            world.limits = Limits { units, calls, calls_per_ship, pulls_per_ship };
            world.dawdle = dawdle;
            reached(&world).await?;
            let first = back.then(|| &releases[0]);
            for release in releases[1..].iter().chain(first) {
                world = world.with_file(release);
                reached(&world).await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
