//! Deployments of random worlds, broken off anywhere, of which any step may fail.

use super::world::{World, names};
use super::{DEPLOY, PROMOTE, environment, nothing_is_left, planned, released, state};
use crate::fleet::{ContainerState, FleetSnapshot};
use crate::model::{Environment, Share};
use crate::names::{ContainerId, ServiceName};
use crate::plan::{Action, EngineCall, Fate, Plan};
use crate::planner::budget::keep;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A service of a random world.
#[derive(Debug, Clone)]
struct Drawn {
    /// How many may be down, and how many be there twice.
    rolling: Option<(u32, u32)>,
    /// In another way than a few at a time, where that can be.
    way: Way,
    ships: Vec<usize>,
    /// Whether it needs the service before it.
    needs: bool,
    ports: Ports,
    /// What changes with the next release.
    changes: Changes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Rolling,
    BlueGreen,
    Canary,
    CanaryWithPause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    None,
    Fixed,
    /// Of a range that all instances have.
    Range,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changes {
    Nothing,
    Image,
    Variable,
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let changes = prop_oneof![Just(Changes::Nothing), Just(Changes::Image), Just(Changes::Variable)];
    let ports = prop_oneof![2 => Just(Ports::None), 1 => Just(Ports::Fixed), 2 => Just(Ports::Range)];
    let rolling = prop::option::weighted(0.8, (0..3u32, 0..3u32));
    let way = prop_oneof![2 => Just(Way::Rolling), 1 => Just(Way::BlueGreen), 1 => Just(Way::Canary), 1 => Just(Way::CanaryWithPause)];
    let service = (rolling, way, prop::collection::vec(0..3usize, 1..4), any::<bool>(), ports, changes)
        .prop_map(|(rolling, way, ships, needs, ports, changes)| {
            let way = if way == Way::BlueGreen && ports == Ports::Fixed { Way::Rolling } else { way };
            let must_go_down = |surge: u32| surge == 0 || ports == Ports::Fixed;
            let rolling =
                rolling.map(|(down, surge)| (if must_go_down(surge) { down.max(1) } else { down }, surge));
            // All are there twice, and none is down.
            let rolling = if way == Way::BlueGreen { Some((0, 1)) } else { rolling };
            Drawn { rolling, way, ships, needs, ports, changes }
        });
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
        if let Some((down, surge)) = service.rolling {
            let pace = format!("max_unavailable: {down}, max_surge: {surge}");
            let deploy = match service.way {
                Way::Rolling => format!("strategy: rolling, {pace}"),
                Way::BlueGreen => "strategy: blue-green".to_owned(),
                Way::Canary => format!("strategy: canary, {pace}"),
                Way::CanaryWithPause => format!("strategy: canary, pause: 1m, {pace}"),
            };
            _ = writeln!(text, "    deploy: {{{deploy}}}");
        }
        text += "    instances:\n";
        for (place, ship) in service.ships.iter().enumerate() {
            let ports = match service.ports {
                Ports::None => String::new(),
                Ports::Range => {
                    ", ports: {p: '80:9000-9031'}, lifecycle: {running: [{type: tcp, port: p}]}".to_owned()
                }
                Ports::Fixed => format!(", ports: {{p: '80:8{number}{place}0'}}"),
            };
            _ = writeln!(text, "      s{number}-{place}: {{ship: {}{ports}}}", ["a", "b", "c"][*ship]);
        }
    }
    text
}

/// The instances' own containers, without those that are kept, and without those of others.
fn serving(fleet: &FleetSnapshot) -> String {
    let is_own = |line: &&str| !line.contains(".kept-") && !line.contains(".next-somebodys");
    names(fleet).lines().filter(is_own).collect::<Vec<_>>().join("\n")
}

/// Fewer must not serve at any time than do at the beginning, or than all but those that may be down.
fn floors(services: &[Drawn], environment: &Environment, world: &World) -> BTreeMap<ServiceName, usize> {
    let floor = |(number, service): (usize, &Drawn)| {
        let name = ServiceName::from(format!("s{number}").as_str());
        let all = service.ships.len();
        let allowed = service.rolling.map_or(all, |(down, _)| down as usize);
        let floor = world.serving(environment, &name).min(all.saturating_sub(allowed));
        (name, floor)
    };
    services.iter().enumerate().map(floor).collect()
}

/// Carries out a number of steps of a deployment, and looks that enough serve after each.
fn deploy(
    services: &[Drawn],
    target: &Environment,
    world: &mut World,
    most: usize,
    choose: &mut impl FnMut(usize) -> usize,
) {
    let plan = planned(target, &world.fleet, &DEPLOY);
    carry_out(services, target, &plan, world, most, choose);
}

fn carry_out(
    services: &[Drawn],
    target: &Environment,
    plan: &Plan,
    world: &mut World,
    most: usize,
    choose: &mut impl FnMut(usize) -> usize,
) {
    let floors = floors(services, target, world);
    let before: BTreeMap<_, _> =
        target.services.keys().map(|name| (name.clone(), world.serving(target, name))).collect();
    let outages: BTreeMap<_, _> =
        plan.outages().into_iter().map(|outage| (outage.service.clone(), outage)).collect();
    world.carry_out(plan, most, choose, |world, action| {
        for (service, before) in &before {
            let down = before.saturating_sub(world.serving(target, service));
            let said = outages.get(service).map_or(0, |outage| outage.at_once) + world.died;
            assert!(down <= said, "{down} of {service} are down, not {said}, after {action} of\n{plan}");
        }
        for (service, floor) in &floors {
            let serve = world.serving(target, service);
            assert!(
                serve + world.died >= *floor,
                "{serve} of {service} serve, not {floor}, after {action} of\n{plan}"
            );
        }
    });
}

/// The containers that a plan has nothing to do for.
fn well(plan: &Plan, fleet: &FleetSnapshot) -> Vec<ContainerId> {
    let settled = plan.items.iter().filter(|item| matches!(item.fate, Fate::Settled(_)));
    settled.filter_map(|item| Some(fleet.container(&item.ship, &item.instance)?.id.clone())).collect()
}

/// Somebody puts a container there that looks as if it were to take an instance's place.
fn somebody(world: &mut World, ship: &str) -> String {
    let name = "s0-0.next-somebodys";
    let state = state(world, ship);
    let mut container = state.containers["s0-0"].clone();
    container.id = ContainerId::new("somebodys");
    container.name = name.into();
    container.labels.clear();
    container.state = ContainerState::Running;
    state.containers.insert(name.into(), container);
    format!("{ship}: {name} running")
}

proptest! {
    /// Broken off after any number of steps, in any order that may occur, and whichever of them have failed, a deployment
    /// can be gone on with and taken back, broken off again and again; each time the fleet comes to what that release
    /// says, and what is so already is not stopped for it. Meanwhile enough instances serve, but for those that have died
    /// by themselves, and no two containers are on one port.
    #[test]
    fn broken_off_anywhere_it_goes_on_or_back(
        services in drawn(),
        luck in prop::collection::vec(any::<prop::sample::Index>(), 400),
        tries in prop::collection::vec((any::<bool>(), 0..90usize), 1..5),
        fails in prop::option::of(prop::collection::vec(prop::bool::weighted(0.1), 23)),
    ) {
        let (old, next) = (environment(&file(&services, false)), environment(&file(&services, true)));
        let mut world = released(&old);
        world.made = 1000;
        let expected = [serving(&released(&next).fleet), serving(&world.fleet)];
        let others = somebody(&mut world, ["a", "b", "c"][services[0].ships[0]]);
        let mut luck = luck.into_iter().cycle();
        let mut choose = |count: usize| luck.next().unwrap().index(count);
        world.fails = fails.unwrap_or_default();
        for (on, most) in tries {
            deploy(&services, if on { &next } else { &old }, &mut world, most, &mut choose);
        }
        world.fails.clear();
        for (target, expected) in [&next, &old].into_iter().zip(expected) {
            let mut branch = world.clone();
            branch.stopped.clear();
            let settled = well(&planned(target, &branch.fleet, &DEPLOY), &branch.fleet);
            deploy(&services, target, &mut branch, usize::MAX, &mut choose);
            let plan = planned(target, &branch.fleet, &DEPLOY);
            prop_assert!(plan.is_empty(), "the next plan is {plan}");
            // Those that wait for canaries follow.
            let plan = planned(target, &branch.fleet, &PROMOTE);
            carry_out(&services, target, &plan, &mut branch, usize::MAX, &mut choose);
            prop_assert_eq!(serving(&branch.fleet), expected);
            prop_assert!(nothing_is_left(target, &branch.fleet));
            prop_assert!(branch.stopped.iter().all(|id| !settled.contains(id)), "a good one was stopped");
            prop_assert!(names(&branch.fleet).contains(&others), "somebody else's was touched");
        }
    }

    /// Whatever was broken off, or failed: no more are down than the budget allows or were down already, what takes nobody
    /// down is never refused, and where a way back needs more than there may be, it takes no more than it was said to.
    #[test]
    fn a_budget_is_kept_wherever_it_was_broken_off(
        services in drawn(),
        share in (1..4u32).prop_map(Share::Count),
        luck in prop::collection::vec(any::<prop::sample::Index>(), 400),
        fails in prop::collection::vec(prop::bool::weighted(0.1), 23),
        tries in prop::collection::vec((any::<bool>(), 0..90usize), 1..6),
    ) {
        let (old, next) = (environment(&file(&services, false)), environment(&file(&services, true)));
        let mut world = released(&old);
        world.made = 1000;
        let all = old.instances.len();
        let mut luck = luck.into_iter().cycle();
        for (on, most) in tries {
            world.fails.clone_from(&fails);
            let target = if on { &next } else { &old };
            let mut plan = planned(target, &world.fleet, &DEPLOY);
            let before: BTreeSet<_> = target.instances.keys().filter(|name| world.serves(target, name)).cloned().collect();
            let mut free = world.clone();
            free.fails.clear();
            let mut goes_down = false;
            free.carry_out(&plan, usize::MAX, |_| 0, |now, _| {
                goes_down |= !before.iter().all(|name| now.serves(target, name));
            });
            let allowed = match keep(&mut plan, target, &world.fleet, share) {
                Ok(()) => share.of(all),
                Err(over) => {
                    prop_assert!(goes_down, "{over}, and nobody goes down in\n{plan}");
                    let more = Share::Count(u32::try_from(over.would).unwrap());
                    prop_assert_eq!(keep(&mut plan, target, &world.fleet, more), Ok(()));
                    over.would
                }
            };
            let floor = before.len().min(all.saturating_sub(allowed));
            world.carry_out(&plan, most, |count| luck.next().unwrap().index(count), |now, action| {
                let serve = target.instances.keys().filter(|name| now.serves(target, name)).count();
                // What dies by itself when it has been proved is nobody's doing.
                assert!(serve + now.died >= floor, "{serve} serve, not {floor}, after {action} of\n{plan}");
            });
        }
    }

    /// No container is touched before every image is everywhere.
    #[test]
    fn nothing_is_stopped_before_all_images_are_there(
        services in drawn(),
        luck in prop::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let (old, next) = (environment(&file(&services, false)), environment(&file(&services, true)));
        let mut world = released(&old);
        let plan = planned(&next, &world.fleet, &DEPLOY);
        let is_pull = |action: &Action| matches!(action, Action::Call(EngineCall::PullImage { .. }));
        let mut pulls = plan.steps.iter().filter(|step| is_pull(&step.action)).count();
        let mut luck = luck.into_iter().cycle();
        world.carry_out(&plan, usize::MAX, |count| luck.next().unwrap().index(count), |_, action| {
            if is_pull(action) {
                pulls -= 1;
            } else if let Action::Call(EngineCall::StopContainer { .. } | EngineCall::CreateContainer { .. }) = action {
                assert_eq!(pulls, 0, "{action} before all images are there");
            }
        });
        let plan = planned(&next, &world.fleet, &PROMOTE);
        world.finish(&plan);
        prop_assert!(nothing_is_left(&next, &world.fleet));
    }
}
