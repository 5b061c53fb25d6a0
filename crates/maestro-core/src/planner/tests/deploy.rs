//! Deployments: plans in their text form, and what comes of them wherever they are broken off.

use super::{fleet, shop};
use crate::check::lint;
use crate::config::{Limits as TextLimits, load};
use crate::fleet::{ContainerState, EngineState, FleetSnapshot, ObservedContainer, ObservedImage, ShipView};
use crate::model::Environment;
use crate::names::{ContainerId, ImageId};
use crate::plan::{Action, EngineCall, Fate, Intent, Limits, Plan, StepId, Target};
use crate::planner::plan;
use crate::run::Run;
use crate::select::{Selector, select};
use crate::source::MapSources;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::sync::Arc;

const DEPLOY: Intent = Intent::Deploy { ask_again: false };

fn environment(text: &str) -> Environment {
    let loaded = load(&MapSources::of(text), &TextLimits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn planned(environment: &Environment, fleet: &FleetSnapshot, intent: &Intent) -> Plan {
    let selector = Selector::default();
    let selection = select(environment, &selector, intent.selection_rules()).unwrap();
    let plan = plan(environment, fleet, intent, &selection, Limits::default());
    assert_eq!(lint(&plan, fleet), [], "{plan}");
    plan
}

/// A fleet on which every instance is as released.
fn released(environment: &Environment) -> FleetSnapshot {
    let ships: Vec<String> = environment.ships.keys().map(|ship| format!("{ship}:")).collect();
    let ships = ships.join("\n");
    let mut world = World::of(fleet(&ships));
    let plan = planned(environment, &world.fleet, &DEPLOY);
    world.carry_out(&plan, usize::MAX, |_| 0);
    world.fleet
}

/// What engines would do.
struct World {
    fleet: FleetSnapshot,
    made: usize,
    /// Instances that ran at the beginning, and have been stopped since.
    stopped: Vec<ContainerId>,
}

impl World {
    fn of(fleet: FleetSnapshot) -> Self {
        Self { fleet, made: 0, stopped: Vec::new() }
    }

    /// Carries a plan out up to a number of steps; of those that could be next, `choose` says which one is.
    fn carry_out(&mut self, plan: &Plan, most: usize, mut choose: impl FnMut(usize) -> usize) -> usize {
        let mut run = Run::new(Arc::new(plan.clone()));
        let mut open: Vec<StepId> = Vec::new();
        let mut done = 0;
        while done < most && !run.is_over() {
            open.extend(run.take_ready());
            let step = open.remove(choose(open.len()));
            let outcome = match &plan.step(step).unwrap().action {
                Action::Call(call) => {
                    self.perform(plan, step, call);
                    crate::boundary::CallOutcome::Done
                }
                _ => crate::boundary::CallOutcome::Done,
            };
            run.finish(step, &crate::event::StepOutcome::Done(outcome));
            done += 1;
        }
        done
    }

    fn state(&mut self, plan: &Plan, step: StepId) -> &mut EngineState {
        let ship = plan.unit_of(step).unwrap().ship().unwrap();
        match self.fleet.ships.get_mut(ship).unwrap() {
            ShipView::Reachable(state) => Arc::make_mut(state),
            ShipView::Unreachable(error) => panic!("{error}"),
        }
    }

    fn perform(&mut self, plan: &Plan, step: StepId, call: &EngineCall) {
        self.made += 1;
        let id = ContainerId::new(format!("{:012x}{:052}", self.made, 0));
        let mut stopped = None;
        let state = self.state(plan, step);
        match call {
            EngineCall::Login { .. } => {}
            EngineCall::PullImage { image, .. } => {
                let id = ImageId::new(format!("sha256:{image}"));
                let image = ObservedImage { id, tags: vec![image.to_string()], digests: Vec::new() };
                state.images.get_or_insert_default().push(image);
            }
            EngineCall::CreateContainer { spec, .. } => {
                let image_id = state
                    .image(&spec.image)
                    .unwrap_or_else(|| panic!("{} is not there", spec.image))
                    .id
                    .clone();
                let name: Arc<str> = spec.name.as_str().into();
                let container = ObservedContainer {
                    id,
                    name: name.clone(),
                    state: ContainerState::Created,
                    health: None,
                    image: spec.image.clone(),
                    image_id,
                    labels: spec.labels.iter().map(|(k, v)| ((*k).to_owned(), v.to_string())).collect(),
                    started_at: None,
                    finished_at: None,
                    exit_code: None,
                    restarts: None,
                    configuration: None,
                };
                assert!(state.containers.insert(name.clone(), container).is_none(), "{name} is taken");
            }
            EngineCall::StartContainer { target } => found(state, target).state = ContainerState::Running,
            EngineCall::StopContainer { target, .. } | EngineCall::KillContainer { target } => {
                let container = found(state, target);
                container.state = ContainerState::Exited;
                stopped = Some(container.id.clone());
            }
            EngineCall::RenameContainer { target, to } => {
                let mut container = found(state, target).clone();
                state.containers.remove(&container.name);
                container.name = to.as_str().into();
                assert!(
                    state.containers.insert(container.name.clone(), container).is_none(),
                    "{to} is taken"
                );
            }
            EngineCall::RemoveContainer { target } => {
                let container = found(state, target);
                assert!(!container.state.is_running());
                let name = container.name.clone();
                state.containers.remove(&name);
            }
        }
        self.stopped.extend(stopped);
    }
}

fn found<'a>(state: &'a mut EngineState, target: &Target) -> &'a mut ObservedContainer {
    let container = match target {
        Target::Seen { id, .. } => state.containers.values_mut().find(|container| container.id == *id),
        Target::Made(name) => state.containers.get_mut(name.as_str()),
    };
    container.unwrap_or_else(|| panic!("{target:?} is not there"))
}

#[test]
fn a_new_release_takes_the_place_of_the_old_one_which_is_kept() {
    let mut world = World::of(released(&shop()));
    let mut next = shop();
    for instance in next.instances.values_mut().filter(|i| i.service.as_str() == "api") {
        instance.image = crate::image::ImageRef::parse("api:2");
    }
    let plan = planned(&next, &world.fleet, &DEPLOY);
    insta::assert_snapshot!(plan, @"
    deploy shop
      db-1 (db) on a: is as released
      api-1 (api) on a: it is not as released
      api-2 (api) on b: it is not as released
      web-1 (web) on b: is as released
        1. image api:2 on a: pull api:2
        2. image api:2 on b: pull api:2
        3. all images: done [after 1 2]
        4. api-1 on a: stop api-1 (grace 10 s) [after 1 3]
        5. api-1 on a: wait until api-1 is not running [after 4]
        6. api-1 on a: rename api-1 to api-1.kept-1-000000000008 [after 5]
        7. api-1 on a: create api-1 from api:2 [after 6]
        8. api-1 on a: start api-1 [after 7]
        9. api-1 on a: wait until api-1 is running [after 8]
       10. api-2 on b: stop api-2 (grace 10 s) [after 2 3]
       11. api-2 on b: wait until api-2 is not running [after 10]
       12. api-2 on b: rename api-2 to api-2.kept-1-000000000009 [after 11]
       13. api-2 on b: create api-2 from api:2 [after 12]
       14. api-2 on b: start api-2 [after 13]
       15. api-2 on b: wait until api-2 is running [after 14]
       16. service api: done [after 9 15]
    ");
    world.carry_out(&plan, usize::MAX, |_| 0);
    insta::assert_snapshot!(names(&world.fleet), @"
    a: api-1 running api:2
    a: api-1.kept-1-000000000008 exited api:1
    a: db-1 running reg:5000/db:1
    b: api-2 running api:2
    b: api-2.kept-1-000000000009 exited api:1
    b: web-1 running web:1
    ");
    insta::assert_snapshot!(planned(&next, &world.fleet, &DEPLOY), @"
    deploy shop
      db-1 (db) on a: is as released
      api-1 (api) on a: is as released
      api-2 (api) on b: is as released
      web-1 (web) on b: is as released
    ");
    // The way back: nothing is pulled or made.
    insta::assert_snapshot!(planned(&shop(), &world.fleet, &DEPLOY), @"
    deploy shop
      db-1 (db) on a: is as released
      api-1 (api) on a: it is not as released
      api-2 (api) on b: it is not as released
      web-1 (web) on b: is as released
        1. api-1 on a: stop api-1 (grace 10 s)
        2. api-1 on a: wait until api-1 is not running [after 1]
        3. api-1 on a: rename api-1 to api-1.kept-2-000000000007 [after 2]
        4. api-1 on a: rename api-1.kept-1-000000000008 to api-1 [after 3]
        5. api-1 on a: start api-1 [after 4]
        6. api-1 on a: wait until api-1 is running [after 5]
        7. api-2 on b: stop api-2 (grace 10 s)
        8. api-2 on b: wait until api-2 is not running [after 7]
        9. api-2 on b: rename api-2 to api-2.kept-2-000000000008 [after 8]
       10. api-2 on b: rename api-2.kept-1-000000000009 to api-2 [after 9]
       11. api-2 on b: start api-2 [after 10]
       12. api-2 on b: wait until api-2 is running [after 11]
       13. service api: done [after 6 12]
    ");
}

/// Somebody else's container is no way back, whatever it is called and made of.
#[test]
fn what_another_environment_has_kept_is_left_alone() {
    let with = |tag: &str| {
        let mut environment = shop();
        let api = environment.instances.values_mut().filter(|i| i.service.as_str() == "api");
        api.for_each(|instance| instance.image = crate::image::ImageRef::parse(format!("api:{tag}")));
        environment
    };
    let mut world = World::of(released(&with("1")));
    world.carry_out(&planned(&with("2"), &world.fleet, &DEPLOY), usize::MAX, |_| 0);
    let back = planned(&with("1"), &world.fleet, &DEPLOY);
    let makes = |plan: &Plan| plan.to_string().matches(": create ").count();
    assert_eq!(makes(&back), 0, "{back}");
    for view in world.fleet.ships.values_mut() {
        let ShipView::Reachable(state) = view else { continue };
        let containers = Arc::make_mut(state).containers.values_mut();
        for container in containers.filter(|container| container.name.contains(".kept-")) {
            container.labels.insert(crate::model::LABEL_ENVIRONMENT.to_owned(), "another".to_owned());
        }
    }
    let back = planned(&with("1"), &world.fleet, &DEPLOY);
    assert_eq!(makes(&back), 2, "{back}");
}

/// Of what was replaced, the last three are kept: the last one may have been no good.
#[test]
fn what_was_kept_longest_is_removed_in_the_end() {
    let with = |tag: &str| {
        let mut environment = shop();
        let api = environment.instances.values_mut().filter(|i| i.service.as_str() == "api");
        api.for_each(|instance| instance.image = crate::image::ImageRef::parse(format!("api:{tag}")));
        environment
    };
    let mut world = World::of(released(&with("1")));
    for tag in ["2", "3", "2", "4", "5", "6"] {
        let plan = planned(&with(tag), &world.fleet, &DEPLOY);
        world.carry_out(&plan, usize::MAX, |_| 0);
    }
    insta::assert_snapshot!(names(&world.fleet), @"
    a: api-1 running api:6
    a: api-1.kept-4-000000000007 exited api:2
    a: api-1.kept-5-000000000023 exited api:4
    a: api-1.kept-6-00000000002d exited api:5
    a: db-1 running reg:5000/db:1
    b: api-2 running api:6
    b: api-2.kept-4-000000000008 exited api:2
    b: api-2.kept-5-000000000024 exited api:4
    b: api-2.kept-6-00000000002e exited api:5
    b: web-1 running web:1
    ");
}

/// All containers: ship, name, state, image.
fn names(fleet: &FleetSnapshot) -> String {
    let mut text = String::new();
    for (ship, view) in &fleet.ships {
        let ShipView::Reachable(state) = view else { continue };
        for container in state.containers.values() {
            _ = writeln!(text, "{ship}: {} {} {}", container.name, container.state.name(), container.image);
        }
    }
    text
}

const ROLLING: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: 192.0.2.3}, d: {ip: 192.0.2.4}}
services:
  web:
    image: web:1
    deploy: {strategy: rolling, max_unavailable: 50%, bake: 20s, on_failure: pause}
    instances: {web-1: {ship: a}, web-2: {ship: b}, web-3: {ship: c}, web-4: {ship: d}}
";

#[test]
fn a_rolling_deployment_takes_a_few_at_a_time_and_those_that_are_down_first() {
    let old = environment(ROLLING);
    let mut fleet = released(&old);
    let ShipView::Reachable(state) = fleet.ships.values_mut().nth(2).unwrap() else { panic!() };
    Arc::make_mut(state).containers.get_mut("web-3").unwrap().state = ContainerState::Exited;
    let next = environment(&ROLLING.replace("web:1", "web:2"));
    insta::assert_snapshot!(planned(&next, &fleet, &DEPLOY), @"
    deploy shop
      web-1 (web) on a: it is not as released
      web-2 (web) on b: it is not as released
      web-3 (web) on c: it is not as released
      web-4 (web) on d: it is not as released
        1. image web:2 on a: pull web:2
        2. image web:2 on b: pull web:2
        3. image web:2 on c: pull web:2
        4. image web:2 on d: pull web:2
        5. all images: done [after 1 2 3 4]
        6. web-3 on c: rename web-3 to web-3.kept-1-000000000009 [after 3 5]
        7. web-3 on c: create web-3 from web:2 [after 6]
        8. web-3 on c: start web-3 [after 7]
        9. web-3 on c: wait until web-3 is running [after 8]
       10. web-3 on c: running check sleep [after 9]
       11. web-1 on a: stop web-1 (grace 10 s) [after 1 5]
       12. web-1 on a: wait until web-1 is not running [after 11]
       13. web-1 on a: rename web-1 to web-1.kept-1-000000000005 [after 12]
       14. web-1 on a: create web-1 from web:2 [after 13]
       15. web-1 on a: start web-1 [after 14]
       16. web-1 on a: wait until web-1 is running [after 15]
       17. web-1 on a: running check sleep [after 16]
       18. web-2 on b: stop web-2 (grace 10 s) [after 10 2 5]
       19. web-2 on b: wait until web-2 is not running [after 18]
       20. web-2 on b: rename web-2 to web-2.kept-1-000000000006 [after 19]
       21. web-2 on b: create web-2 from web:2 [after 20]
       22. web-2 on b: start web-2 [after 21]
       23. web-2 on b: wait until web-2 is running [after 22]
       24. web-2 on b: running check sleep [after 23]
       25. web-4 on d: stop web-4 (grace 10 s) [after 17 4 5]
       26. web-4 on d: wait until web-4 is not running [after 25]
       27. web-4 on d: rename web-4 to web-4.kept-1-00000000000a [after 26]
       28. web-4 on d: create web-4 from web:2 [after 27]
       29. web-4 on d: start web-4 [after 28]
       30. web-4 on d: wait until web-4 is running [after 29]
       31. web-4 on d: running check sleep [after 30]
    ");
    // Half of them cannot be seen: no other one may go down.
    let mut lost = released(&old);
    for ship in ["a", "b"] {
        let down = super::fleet(&format!("{ship}: down"));
        lost.ships.extend(down.ships);
    }
    insta::assert_snapshot!(planned(&next, &lost, &DEPLOY), @"
    deploy shop
      web-1 (web) on a: blocked: ship a: listing containers: host down: 192.0.2.2:2375: connection refused
      web-2 (web) on b: blocked: ship b: listing containers: host down: 192.0.2.2:2375: connection refused
      web-3 (web) on c: blocked: 2 of the instances of web cannot be seen, and 2 may be down at a time
      web-4 (web) on d: blocked: 2 of the instances of web cannot be seen, and 2 may be down at a time
    ");
}

/// A service of a random world.
#[derive(Debug, Clone)]
struct Drawn {
    rolling: Option<u32>,
    ships: Vec<usize>,
    /// Whether it needs the service before it.
    needs: bool,
    /// What changes with the next release.
    changes: Changes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changes {
    Nothing,
    Image,
    Variable,
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let changes = prop_oneof![Just(Changes::Nothing), Just(Changes::Image), Just(Changes::Variable)];
    let service = (prop::option::of(1..3u32), prop::collection::vec(0..3usize, 1..4), any::<bool>(), changes)
        .prop_map(|(rolling, ships, needs, changes)| Drawn { rolling, ships, needs, changes });
    prop::collection::vec(service, 1..4)
}

/// The file of a release of a random world.
fn file(services: &[Drawn], next: bool) -> String {
    let mut text = "__maestro: {schema: 2}\nname: w\nships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: 192.0.2.3}}\nservices:\n".to_owned();
    for (number, service) in services.iter().enumerate() {
        let tag = if next && service.changes == Changes::Image { 2 } else { 1 };
        _ = writeln!(text, "  s{number}:\n    image: i{number}:{tag}");
        if next && service.changes == Changes::Variable {
            text += "    env: {V: next}\n";
        }
        if service.needs && number > 0 {
            _ = writeln!(text, "    requires: [s{}]", number - 1);
        }
        if let Some(count) = service.rolling {
            _ = writeln!(text, "    deploy: {{strategy: rolling, max_unavailable: {count}}}");
        }
        text += "    instances:\n";
        for (place, ship) in service.ships.iter().enumerate() {
            _ = writeln!(text, "      s{number}-{place}: {{ship: {}}}", ["a", "b", "c"][*ship]);
        }
    }
    text
}

fn nothing_is_left(environment: &Environment, fleet: &FleetSnapshot) -> bool {
    planned(environment, fleet, &DEPLOY).items.iter().all(|item| matches!(item.fate, Fate::Settled(_)))
}

/// The instances' own containers, without those that are kept.
fn serving(fleet: &FleetSnapshot) -> String {
    names(fleet).lines().filter(|line| !line.contains(".kept-")).collect::<Vec<_>>().join("\n")
}

proptest! {
    /// Broken off after any number of steps, in any order that may occur, a deployment can be gone on with and taken
    /// back; each time the fleet comes to what that release says, and what is so already is not stopped for it.
    #[test]
    fn broken_off_anywhere_it_goes_on_or_back(
        services in drawn(),
        luck in prop::collection::vec(any::<prop::sample::Index>(), 400),
        most in 0..120usize,
        again in 0..60usize,
    ) {
        let (old, next) = (environment(&file(&services, false)), environment(&file(&services, true)));
        let before = released(&old);
        let mut luck = luck.into_iter().cycle();
        let mut choose = |count: usize| luck.next().unwrap().index(count);
        let mut world = World::of(before.clone());
        world.made = 1000;
        world.carry_out(&planned(&next, &before, &DEPLOY), most, &mut choose);
        for (target, expected) in [(&next, serving(&released(&next))), (&old, serving(&before))] {
            let mut branch = World { fleet: world.fleet.clone(), made: world.made, stopped: Vec::new() };
            // Broken off once more, on the way.
            let plan = planned(target, &branch.fleet, &DEPLOY);
            let settled = well(&plan, &branch.fleet);
            branch.carry_out(&plan, again, &mut choose);
            let plan = planned(target, &branch.fleet, &DEPLOY);
            branch.carry_out(&plan, usize::MAX, &mut choose);
            prop_assert_eq!(serving(&branch.fleet), expected);
            prop_assert!(nothing_is_left(target, &branch.fleet));
            prop_assert!(branch.stopped.iter().all(|id| !settled.contains(id)), "a good one was stopped");
        }
    }

    /// However steps interleave, no more instances of a rolling service are down than may be, and none is touched
    /// before every image is everywhere.
    #[test]
    fn no_more_are_down_than_may_be(
        services in drawn(),
        luck in prop::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let (old, next) = (environment(&file(&services, false)), environment(&file(&services, true)));
        let before = released(&old);
        let plan = planned(&next, &before, &DEPLOY);
        let mut luck = luck.into_iter().cycle();
        let mut world = World::of(before);
        world.made = 1000;
        let mut run = Run::new(Arc::new(plan.clone()));
        let mut open: Vec<StepId> = Vec::new();
        while !run.is_over() {
            open.extend(run.take_ready());
            let step = open.remove(luck.next().unwrap().index(open.len()));
            if let Action::Call(call) = &plan.step(step).unwrap().action {
                let pulls = plan.steps.iter().filter(|s| matches!(s.action, Action::Call(EngineCall::PullImage { .. }))).count();
                let had = world.made;
                world.perform(&plan, step, call);
                if matches!(call, EngineCall::StopContainer { .. }) {
                    prop_assert!(had - 1000 >= pulls, "stopped before all images were there");
                }
            }
            run.finish(step, &crate::event::StepOutcome::Done(crate::boundary::CallOutcome::Done));
            for (number, service) in services.iter().enumerate() {
                let Some(allowed) = service.rolling else { continue };
                let up = service.ships.iter().enumerate().filter(|(place, ship)| {
                    let name = format!("s{number}-{place}");
                    let ship = ["a", "b", "c"][**ship].into();
                    world.fleet.container(&ship, &name.as_str().into()).is_some_and(|c| c.state.is_running())
                });
                let down = service.ships.len() - up.count();
                prop_assert!(down <= allowed as usize, "{down} of s{number} are down");
            }
        }
        prop_assert!(nothing_is_left(&next, &world.fleet));
    }
}

/// The containers that a plan has nothing to do for.
fn well(plan: &Plan, fleet: &FleetSnapshot) -> Vec<ContainerId> {
    let settled = plan.items.iter().filter(|item| matches!(item.fate, Fate::Settled(_)));
    settled.filter_map(|item| Some(fleet.container(&item.ship, &item.instance)?.id.clone())).collect()
}
