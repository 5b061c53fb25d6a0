//! Deployments of random worlds, broken off anywhere, of which any step may fail.

use super::drawn::{Release, defers, drawn, is_settled, lost, releases};
use super::journal::Journal;
use super::world::{End, World, names};
use super::{DEPLOY, PROMOTE, state};
use crate::check::lint;
use crate::fleet::{ContainerState, FleetSnapshot, ShipView, orphans};
use crate::model::{Environment, Remedy, Share};
use crate::names::{ContainerId, InstanceName, ServiceName};
use crate::plan::{Action, EngineCall, Fate, Hooking, Intent, Plan};
use crate::planner::budget::keep;
use crate::planner::tests::cases;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Services of the world that a release has, and how many of each serve: its own instances, and what is left of it that is
/// not in the file any more, but no more than there are to be.
fn up(environment: &Environment, world: &World) -> BTreeMap<ServiceName, usize> {
    let mut left: BTreeMap<ServiceName, usize> = BTreeMap::new();
    for orphan in orphans(environment, &world.fleet).into_iter().filter(|orphan| !orphan.is_unproved) {
        *left.entry(orphan.service).or_default() += 1;
    }
    let of = |(name, service): (&ServiceName, &crate::model::Service)| {
        let all = world.serving(environment, name) + left.get(name).copied().unwrap_or_default();
        (name.clone(), all.min(service.instances.len()))
    };
    environment.services.iter().map(of).collect()
}

/// Carries out a number of steps of a deployment, and looks after each that enough serve: not fewer than do at the
/// beginning, or than all but those that may be down; and no more are missing than the plan says.
pub(super) fn carry_out(
    target: &Release,
    plan: &Plan,
    world: &mut World,
    most: usize,
    choose: &mut impl FnMut(usize) -> usize,
) -> bool {
    let environment = &target.environment;
    world.obeys(&target.rules);
    let before = up(environment, world);
    let answer = |world: &World, service: &ServiceName| {
        let rotation = world.published.as_ref().unwrap_or(&plan.rotation);
        target.rules.answering(service, rotation, &world.fleet)
    };
    // What is known to be no good gets no requests.
    let is_in_doubt = matches!(&plan.intent, Intent::Deploy { doubtful, .. } if !doubtful.is_empty());
    let routed = target.rules.routed.iter().filter(|_| !is_in_doubt);
    let answered: BTreeMap<&ServiceName, usize> = routed.map(|name| (name, answer(world, name))).collect();
    let outages: BTreeMap<_, _> =
        plan.outages().into_iter().map(|outage| (outage.service.clone(), outage)).collect();
    // A gap (0027): who is down and cannot come up before another one has gone for it is not counted besides that one.
    let rooms = plan.rooms();
    let stuck = |service: &ServiceName| {
        let makes = |name: &&InstanceName| environment.instances[*name].service == *service;
        let missing = environment.services[service].instances.len() - before[service];
        rooms.keys().filter(makes).count().min(missing)
    };
    // What is not in the file any more may be all that serves for those that nobody can see.
    let unseen = |service: &ServiceName| {
        let instances = environment.services[service].instances.iter();
        instances.filter(|name| world.has_lost(&environment.instances[*name].ship)).count()
    };
    let unseen: BTreeMap<ServiceName, usize> =
        before.keys().map(|name| (name.clone(), unseen(name))).collect();
    world.carry_out(plan, most, choose, |world, action| {
        for (service, serve) in up(environment, world) {
            let all = environment.services[&service].instances.len();
            let most = target.may_be_down(&service).saturating_add(stuck(&service));
            let floor = before[&service].min(all.saturating_sub(most));
            assert!(
                serve + world.died >= floor,
                "{serve} of {service} serve, not {floor}, after {action} of\n{plan}"
            );
            let down = before[&service].saturating_sub(serve);
            let said =
                outages.get(&service).map_or(0, |outage| outage.at_once + unseen[&service]) + world.died;
            assert!(down <= said, "{down} of {service} are down, not {said}, after {action} of\n{plan}");
            if let Some(answered) = answered.get(&service) {
                let answer = answer(world, &service);
                let floor = (*answered).min(all.saturating_sub(most));
                assert!(
                    answer + world.died >= floor,
                    "{answer} of {service} answer, not {floor}, after {action} of\n{plan}"
                );
            }
        }
    })
}

/// How steps end: most of them well.
fn ends() -> impl Strategy<Value = Vec<End>> {
    let end = prop_oneof![18 => Just(End::Well), 1 => Just(End::Failed), 1 => Just(End::Unheard)];
    prop::collection::vec(end, 23)
}

/// The containers that a plan has nothing to do for.
fn well(plan: &Plan, fleet: &FleetSnapshot) -> Vec<ContainerId> {
    let settled = plan.items.iter().filter(|item| matches!(item.fate, Fate::Settled(_)));
    settled.filter_map(|item| Some(fleet.container(&item.ship, &item.instance)?.id.clone())).collect()
}

/// Whether anybody waits for canaries.
pub(super) fn waits(plan: &Plan) -> bool {
    plan.items.iter().any(|item| matches!(item.fate, Fate::Waits { .. }))
}

/// Somebody puts a container there that looks as if it were to take an instance's place.
fn somebody(world: &mut World) -> Option<String> {
    let ship = world.fleet.ships.iter().find_map(|(ship, view)| match view {
        ShipView::Reachable(state) => (!state.containers.is_empty()).then(|| ship.to_string()),
        ShipView::Unreachable(_) => None,
    })?;
    let state = state(world, &ship);
    let mut container = state.containers.values().next()?.clone();
    let name = format!("{}.next-somebodys", container.name);
    container.id = ContainerId::new("somebodys");
    container.name = (*name).into();
    container.labels.clear();
    container.ports.clear();
    container.state = ContainerState::Running;
    state.containers.insert(container.name.clone(), container);
    Some(format!("{ship}: {name} running"))
}

/// What of a release runs, and nothing that was to take its place.
pub(super) fn is_up(target: &Environment, world: &World) -> bool {
    let mut all = target.instances.values();
    all.all(|instance| {
        let found = world.fleet.container(&instance.ship, &instance.name);
        found.is_some_and(|found| found.state.is_running() && found.image == instance.image)
    }) && names(&world.fleet).lines().all(|line| !line.contains(".next-") || line.contains("somebodys"))
}

/// What of services that the release has, or that are to go, is not where it has them.
pub(super) fn left(target: &Release, world: &World, sweeps: bool) -> Vec<String> {
    let is_meant = |service: &ServiceName| sweeps || !target.gone.contains(service);
    let left = orphans(&target.environment, &world.fleet).into_iter();
    left.filter(|orphan| is_meant(&orphan.service)).map(|orphan| orphan.name().to_string()).collect()
}

proptest! {
    #![proptest_config(cases(1000))]

    /// Broken off after any number of steps, in any order that may occur, and whichever of them have failed, or were done
    /// and not heard of, a deployment can be gone on with and taken back, broken off again and again; each time the fleet
    /// comes to what that release says, and what is so already is not stopped for it. Meanwhile enough instances serve, but
    /// for those that have died by themselves, nothing is done before what it needs, and no two containers are on one port:
    /// unless the look before says so.
    #[test]
    fn broken_off_anywhere_it_goes_on_or_back(
        services in drawn(),
        sweeps in any::<bool>(),
        luck in prop::collection::vec(any::<prop::sample::Index>(), 400),
        tries in prop::collection::vec((any::<bool>(), 0..90usize, lost()), 1..5),
        ends in prop::option::of(ends()),
    ) {
        let releases = releases(&services);
        let mut world = releases[0].begun();
        let others = somebody(&mut world).unwrap();
        let mut luck = luck.into_iter().cycle();
        let mut choose = |count: usize| luck.next().unwrap().index(count);
        world.ends = ends.unwrap_or_default();
        let mut journal = Journal::default();
        // The release that was there last as a whole.
        let mut last = 0;
        for (on, most, lost) in tries {
            world.reach_all_but(lost);
            let back = std::mem::take(&mut world.failures).filter(|failures| failures.remedy == Remedy::Rollback);
            let number = if back.is_some() { last } else { usize::from(on) };
            let target = &releases[number];
            let intent = match back {
                Some(failures) => {
                    journal.close();
                    let doubtful = failures.doubtful;
                    Intent::Deploy { ask_again: true, promote: true, doubtful, hooks: Hooking::Off }
                }
                None => journal.intent(number, &DEPLOY),
            };
            let goes_back = intent.goes_back();
            // Whoever goes back stops what the release had added that he leaves.
            let (plan, is_refused) = target.planned(&world.fleet, &intent, sweeps || goes_back);
            if is_refused {
                continue;
            }
            prop_assert!(!goes_back || plan.hooked().is_empty(), "{plan}");
            journal.begin(&plan);
            let is_done = carry_out(target, &plan, &mut world, most, &mut choose);
            journal.note(&target.environment, &mut world);
            if is_done && !waits(&plan) && !defers(&plan) {
                last = number;
                prop_assert!(is_up(&target.environment, &world), "{}", names(&world.fleet));
                if !goes_back {
                    journal.finish(&target.environment, &plan);
                }
            }
        }
        world.ends.clear();
        world.reach_all_but(0);
        for (number, target) in releases.iter().enumerate() {
            let (mut branch, mut journal) = (world.clone(), journal.clone());
            branch.stopped.clear();
            let (plan, is_refused) = target.planned(&branch.fleet, &journal.intent(number, &DEPLOY), sweeps);
            if is_refused {
                continue;
            }
            let settled = well(&plan, &branch.fleet);
            journal.begin(&plan);
            carry_out(target, &plan, &mut branch, usize::MAX, &mut choose);
            journal.note(&target.environment, &mut branch);
            let (next, _) = target.planned(&branch.fleet, &journal.intent(number, &DEPLOY), sweeps);
            prop_assert!(next.is_empty(), "the next plan is {next}");
            if waits(&next) {
                // Those that wait for canaries follow.
                let promote = journal.intent(number, &PROMOTE);
                let (plan, is_refused) = target.planned(&branch.fleet, &promote, sweeps);
                if is_refused {
                    continue;
                }
                journal.begin(&plan);
                carry_out(target, &plan, &mut branch, usize::MAX, &mut choose);
                journal.note(&target.environment, &mut branch);
                prop_assert!(target.is_reached(&branch.fleet, sweeps));
            } else {
                prop_assert!(next.steps.is_empty() && is_settled(&next), "the next plan is {next}");
            }
            journal.finish(&target.environment, &plan);
            prop_assert!(is_up(&target.environment, &branch), "{}", names(&branch.fleet));
            prop_assert_eq!(left(target, &branch, sweeps), Vec::<String>::new());
            prop_assert!(branch.stopped.iter().all(|id| !settled.contains(id)), "a good one was stopped");
            prop_assert!(names(&branch.fleet).contains(&others), "somebody else's was touched");
        }
    }

    /// Whatever was broken off, or failed: no more are down than the budget allows or were down already, what takes nobody
    /// down is never refused, and where a way back needs more than there may be, it takes no more than it was said to.
    #[test]
    fn a_budget_is_kept_wherever_it_was_broken_off(
        services in drawn(),
        sweeps in any::<bool>(),
        share in (1..4u32).prop_map(Share::Count),
        luck in prop::collection::vec(any::<prop::sample::Index>(), 400),
        ends in ends(),
        tries in prop::collection::vec((any::<bool>(), 0..90usize, lost()), 1..6),
    ) {
        let releases = releases(&services);
        let mut world = releases[0].begun();
        let mut luck = luck.into_iter().cycle();
        for (on, most, lost) in tries {
            world.reach_all_but(lost);
            world.ends.clone_from(&ends);
            let target = &releases[usize::from(on)];
            let environment = &target.environment;
            let all = environment.instances.len();
            world.obeys(&target.rules);
            let (mut plan, is_refused) = target.planned(&world.fleet, &DEPLOY, sweeps);
            if is_refused {
                continue;
            }
            let serving = |world: &World| up(environment, world).into_values().sum::<usize>();
            let before = serving(&world);
            let stops = plan.steps.iter().any(|step| matches!(step.action, Action::Call(EngineCall::StopContainer { .. })));
            let allowed = match keep(&mut plan, environment, &world.fleet, share) {
                Ok(()) => share.of(all),
                Err(over) => {
                    prop_assert!(stops, "{over}, and nobody goes down in\n{plan}");
                    let more = Share::Count(u32::try_from(over.would).unwrap());
                    prop_assert_eq!(keep(&mut plan, environment, &world.fleet, more), Ok(()));
                    over.would
                }
            };
            prop_assert_eq!(lint(&plan, &world.fleet), Vec::new(), "{}", plan);
            let floor = before.min(all.saturating_sub(allowed));
            world.carry_out(&plan, most, |count| luck.next().unwrap().index(count), |now, action| {
                // What dies by itself when it has been proved is nobody's doing.
                let serve = serving(now) + now.died;
                assert!(serve >= floor, "{serve} serve, not {floor}, after {action} of\n{plan}");
            });
        }
    }

    /// No container that serves is touched before every image is everywhere, also where a deployment was broken off before, or
    /// its steps fail.
    #[test]
    fn nothing_is_stopped_before_all_images_are_there(
        services in drawn(),
        sweeps in any::<bool>(),
        luck in prop::collection::vec(any::<prop::sample::Index>(), 400),
        ends in prop::option::of(ends()),
        tries in prop::collection::vec((any::<bool>(), 0..90usize, lost()), 1..4),
    ) {
        let releases = releases(&services);
        let mut world = releases[0].begun();
        world.ends = ends.unwrap_or_default();
        let mut luck = luck.into_iter().cycle();
        for (on, most, lost) in tries {
            world.reach_all_but(lost);
            let target = &releases[usize::from(on)];
            world.obeys(&target.rules);
            let (plan, is_refused) = target.planned(&world.fleet, &DEPLOY, sweeps);
            if is_refused {
                continue;
            }
            let pulls = plan.steps.iter().filter_map(|step| match (&step.action, plan.units.get(step.unit.index())) {
                (Action::Call(EngineCall::PullImage { image, .. }), Some(unit)) => Some((unit.ship()?.clone(), image.clone())),
                _ => None,
            });
            let pulls: Vec<_> = pulls.collect();
            world.carry_out(&plan, most, |count| luck.next().unwrap().index(count), |world, action| {
                // What has been proved beside one that is down may get its name at any time.
                let is_touched = match action {
                    Action::Call(
                        EngineCall::StopContainer { .. }
                        | EngineCall::KillContainer { .. }
                        | EngineCall::RemoveContainer { .. }
                        | EngineCall::CreateContainer { .. },
                    ) => true,
                    Action::Call(EngineCall::RenameContainer { target, to }) => {
                        let is_it = |(name, _): &(String, String)| name.starts_with(&format!("{to}@"));
                        !target.name().as_str().contains(".next-") && world.running().iter().any(is_it)
                    }
                    _ => false,
                };
                if is_touched {
                    for (ship, image) in &pulls {
                        let Some(ShipView::Reachable(state)) = world.fleet.ship(ship) else { panic!() };
                        assert!(state.image(image).is_some(), "{action}, and {image} is not on {ship}:\n{plan}");
                    }
                }
            });
        }
    }
}
