//! What is run before and after.

use super::world::{World, names};
use super::{DEPLOY, PROMOTE, environment, nothing_is_left, planned, released, state};
use crate::boundary::CallOutcome;
use crate::event::{Failure, StepOutcome};
use crate::fleet::ContainerState;
use crate::model::{Environment, HookName, LABEL_ENVIRONMENT, LABEL_RUN, When};
use crate::names::ServiceName;
use crate::plan::{Action, Begun, Blocked, EngineCall, Fate, Hooking, Intent, Plan, Unit};
use crate::run::Run;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const HOOKS: &str = "hooks: {before: [{run: [bin/migrate, --up], timeout: 10m}, {local: [./announce, begin]}], after: [{run: bin/warm, timeout: 30s}]}";

fn shop(deploy: &str, tag: u32) -> Environment {
    environment(&text(deploy, tag))
}

fn text(deploy: &str, tag: u32) -> String {
    format!(
        "
__maestro: {{schema: 2}}
name: shop
ships: {{a: {{ip: 192.0.2.1}}, b: {{ip: 192.0.2.2}}}}
services:
  db:
    image: db:1
    instances: {{db-1: {{ship: a}}}}
  web:
    image: web:{tag}
    requires: [db]
    ports: {{http: '80:8100-8109'}}
    env: {{URL: db}}
    deploy: {{{deploy}, {HOOKS}}}
    instances: {{web-1: {{ship: a, volumes: {{/srv/web: {{target: /data, mode: ro}}}}}}, web-2: {{ship: b}}}}
  edge:
    image: edge:{tag}
    requires: [web]
    instances: {{edge-1: {{ship: b}}}}
"
    )
}

fn rolling_text(tag: u32) -> String {
    text("strategy: rolling, max_unavailable: 0", tag)
}

fn rolling(tag: u32) -> Environment {
    environment(&rolling_text(tag))
}

/// A run that is gone on with, if `begun` says how far it came.
fn run(token: &str, begun: &BTreeMap<ServiceName, Begun>) -> Intent {
    DEPLOY.hooking(Hooking::On { run: token.to_owned(), begun: begun.clone() })
}

fn first(token: &str) -> Intent {
    run(token, &BTreeMap::new())
}

/// What the journal says when a plan is begun.
fn begun(plan: &Plan, token: &str) -> BTreeMap<ServiceName, Begun> {
    let new = || Begun { run: token.to_owned(), ..Begun::default() };
    plan.hooked().into_iter().map(|service| (service.clone(), new())).collect()
}

/// The text of steps that are run as hooks, or all of them.
fn hooks_of(plan: &Plan) -> String {
    let is_hook = |id: &_| matches!(plan.unit_of(*id), Some(Unit::Hook { .. }));
    plan.ids().filter(is_hook).filter_map(|id| Some(plan.step_text(id)? + "\n")).collect()
}

#[test]
fn they_are_run_once_around_all_instances() {
    let mut world = released(&rolling(1));
    let plan = planned(&rolling(2), &world.fleet, &first("1"));
    insta::assert_snapshot!(plan, @"
    deploy shop
      db-1 (db) on a: is as released
      web-1 (web) on a: it is not as released
      web-2 (web) on b: it is not as released
      edge-1 (edge) on b: it is not as released
        1. image web:2 on a: pull web:2
        2. image web:2 on b: pull web:2
        3. image edge:2 on b: pull edge:2
        4. all images: done [after 1 2 3]
        5. hook before-1 of web on a: remove web.before-1 [after 4 1]
        6. hook before-1 of web on a: create web.before-1 from web:2 [after 5]
        7. hook before-1 of web on a: start web.before-1 [after 6]
        8. hook before-1 of web on a: run bin/migrate --up in a container of web:2 on a (at most 600 s) [after 7]
        9. hook before-2 of web: run ./announce begin on this machine (at most 300 s) [after 8]
       10. web-1 on a: create web-1.next-2522a9568f68 from web:2 [after 9 1 4]
       11. web-1 on a: start web-1.next-2522a9568f68 [after 10]
       12. web-1 on a: wait until web-1.next-2522a9568f68 is running [after 11]
       13. web-1 on a: wait until web-1.next-2522a9568f68 is steady [after 12]
       14. web-1 on a: stop web-1 (grace 10 s) [after 13]
       15. web-1 on a: wait until web-1 is not running [after 14]
       16. web-1 on a: rename web-1 to web-1.kept-1-000000000009 [after 15]
       17. web-1 on a: rename web-1.next-2522a9568f68 to web-1 [after 16]
       18. web-2 on b: create web-2.next-e51981b82798 from web:2 [after 17 9 2 4]
       19. web-2 on b: start web-2.next-e51981b82798 [after 18]
       20. web-2 on b: wait until web-2.next-e51981b82798 is running [after 19]
       21. web-2 on b: wait until web-2.next-e51981b82798 is steady [after 20]
       22. web-2 on b: stop web-2 (grace 10 s) [after 21]
       23. web-2 on b: wait until web-2 is not running [after 22]
       24. web-2 on b: rename web-2 to web-2.kept-1-00000000000a [after 23]
       25. web-2 on b: rename web-2.next-e51981b82798 to web-2 [after 24]
       26. hook after-1 of web on a: remove web.after-1 [after 17 25 1]
       27. hook after-1 of web on a: create web.after-1 from web:2 [after 26]
       28. hook after-1 of web on a: start web.after-1 [after 27]
       29. hook after-1 of web on a: run bin/warm in a container of web:2 on a (at most 30 s) [after 28]
       30. service web: done [after 17 29]
       31. edge-1 on b: stop edge-1 (grace 10 s) [after 30 3 4]
       32. edge-1 on b: wait until edge-1 is not running [after 31]
       33. edge-1 on b: rename edge-1 to edge-1.kept-1-00000000000f [after 32]
       34. edge-1 on b: create edge-1 from edge:2 [after 33]
       35. edge-1 on b: start edge-1 [after 34]
       36. edge-1 on b: wait until edge-1 is running [after 35]
       37. edge-1 on b: wait until edge-1 is steady [after 36]
    ");
    let create = plan.steps.iter().find_map(|step| match &step.action {
        Action::Call(EngineCall::CreateContainer { spec, .. }) if spec.labels.contains_key(LABEL_RUN) => {
            Some(spec.clone())
        }
        _ => None,
    });
    // As its first instance would be, but for its ports.
    let spec = create.unwrap();
    assert_eq!(spec.settings.command.as_deref(), Some(&["bin/migrate".to_owned(), "--up".to_owned()][..]));
    assert_eq!(spec.settings.binds, ["/srv/web:/data:ro"]);
    assert_eq!(spec.env.resolved().get("URL"), Some(&Some("db")));
    assert!(spec.ports.is_empty() && spec.labels[LABEL_RUN].as_ref() == "1");
    world.finish(&plan);
    insta::assert_snapshot!(names(&world.fleet), @"
    a: db-1 running db:1
    a: web-1 running web:2
    a: web-1.kept-1-000000000009 exited web:1
    a: web.after-1 exited web:2
    a: web.before-1 exited web:2
    b: edge-1 running edge:2
    b: edge-1.kept-1-00000000000f exited edge:1
    b: web-2 running web:2
    b: web-2.kept-1-00000000000a exited web:1
    ");
    // What is as released needs none.
    assert!(nothing_is_left(&rolling(2), &world.fleet));
    assert_eq!(hooks_of(&planned(&rolling(2), &world.fleet, &DEPLOY.asking_again())), "");
    // The next deployment clears away what is left of this one.
    insta::assert_snapshot!(hooks_of(&planned(&rolling(3), &world.fleet, &first("2"))), @"
     5. hook before-1 of web on a: remove web.before-1 [after 4 1]
     6. hook before-1 of web on a: create web.before-1 from web:3 [after 5]
     7. hook before-1 of web on a: start web.before-1 [after 6]
     8. hook before-1 of web on a: run bin/migrate --up in a container of web:3 on a (at most 600 s) [after 7]
     9. hook before-2 of web: run ./announce begin on this machine (at most 300 s) [after 8]
    26. hook after-1 of web on a: remove web.after-1 [after 17 25 1]
    27. hook after-1 of web on a: create web.after-1 from web:3 [after 26]
    28. hook after-1 of web on a: start web.after-1 [after 27]
    29. hook after-1 of web on a: run bin/warm in a container of web:3 on a (at most 30 s) [after 28]
    ");
    // And there is none on a way back.
    let back = planned(&rolling(1), &world.fleet, &PROMOTE.hooking(Hooking::Off));
    assert_eq!((hooks_of(&back).as_str(), back.is_empty()), ("", false), "{back}");
}

#[test]
fn canaries_come_after_them_and_the_others_do_not_run_them_again() {
    let canary = |tag| shop("strategy: canary", tag);
    let mut world = released(&canary(1));
    let plan = planned(&canary(2), &world.fleet, &first("1"));
    insta::assert_snapshot!(plan, @"
    deploy shop
      db-1 (db) on a: is as released
      web-1 (web) on a: it is not as released
      web-2 (web) on b: waits for 1 of web: it is not as released
      edge-1 (edge) on b: it is not as released
        1. image web:2 on a: pull web:2
        2. image edge:2 on b: pull edge:2
        3. all images: done [after 1 2]
        4. hook before-1 of web on a: remove web.before-1 [after 3 1]
        5. hook before-1 of web on a: create web.before-1 from web:2 [after 4]
        6. hook before-1 of web on a: start web.before-1 [after 5]
        7. hook before-1 of web on a: run bin/migrate --up in a container of web:2 on a (at most 600 s) [after 6]
        8. hook before-2 of web: run ./announce begin on this machine (at most 300 s) [after 7]
        9. web-1 on a: create web-1.next-2522a9568f68 from web:2 [after 8 1 3]
       10. web-1 on a: start web-1.next-2522a9568f68 [after 9]
       11. web-1 on a: wait until web-1.next-2522a9568f68 is running [after 10]
       12. web-1 on a: wait until web-1.next-2522a9568f68 is steady [after 11]
       13. web-1 on a: stop web-1 (grace 10 s) [after 12]
       14. web-1 on a: wait until web-1 is not running [after 13]
       15. web-1 on a: rename web-1 to web-1.kept-1-000000000009 [after 14]
       16. web-1 on a: rename web-1.next-2522a9568f68 to web-1 [after 15]
       17. edge-1 on b: stop edge-1 (grace 10 s) [after 16 2 3]
       18. edge-1 on b: wait until edge-1 is not running [after 17]
       19. edge-1 on b: rename edge-1 to edge-1.kept-1-00000000000f [after 18]
       20. edge-1 on b: create edge-1 from edge:2 [after 19]
       21. edge-1 on b: start edge-1 [after 20]
       22. edge-1 on b: wait until edge-1 is running [after 21]
       23. edge-1 on b: wait until edge-1 is steady [after 22]
    ");
    let begun = begun(&plan, "1");
    world.finish(&plan);
    assert_eq!(hooks_of(&planned(&canary(2), &world.fleet, &run("2", &begun))), "");
    let Intent::Deploy { hooks, .. } = run("2", &begun) else { panic!() };
    let promote = planned(&canary(2), &world.fleet, &PROMOTE.hooking(hooks));
    // What was run on the machine that deploys is only known if it was written down.
    insta::assert_snapshot!(hooks_of(&promote), @"
     3. hook before-2 of web: run ./announce begin on this machine (at most 300 s) [after 2]
    14. hook after-1 of web on a: remove web.after-1 [after 5 13]
    15. hook after-1 of web on a: create web.after-1 from web:2 [after 14]
    16. hook after-1 of web on a: start web.after-1 [after 15]
    17. hook after-1 of web on a: run bin/warm in a container of web:2 on a (at most 30 s) [after 16]
    ");
}

/// All at the same time, or all together: they come first, and last.
#[test]
fn every_strategy_waits_for_them() {
    for deploy in [
        "strategy: recreate",
        "strategy: blue-green",
        "strategy: canary, pause: 1m",
        "strategy: canary, canaries: 2",
    ] {
        let mut world = released(&shop(deploy, 1));
        world.hooks.clear();
        let plan = planned(&shop(deploy, 2), &world.fleet, &first("1"));
        carry_out(&plan, &mut world, usize::MAX);
        assert_eq!(world.hooks.len(), 3, "{plan}");
        assert!(nothing_is_left(&shop(deploy, 2), &world.fleet), "{plan}");
    }
}

/// Carries out a number of steps; the service is only touched between its hooks.
fn carry_out(plan: &Plan, world: &mut World, most: usize) {
    let touches = |action: &Action| match action {
        Action::Call(call) => call.container().is_some_and(|name| name.as_str().starts_with("web-")),
        _ => false,
    };
    let all = plan
        .units
        .iter()
        .filter(|unit| matches!(unit, Unit::Hook { hook, .. } if hook.when == When::Before))
        .count();
    let mut left = plan.steps.iter().filter(|step| touches(&step.action)).count();
    let mut before = 0;
    world.carry_out(
        plan,
        most,
        |count| count - 1,
        |_, action| match action {
            Action::Finish { hook, .. } | Action::Local { hook, .. } => match hook.name.when {
                When::Before => before += 1,
                When::After => assert_eq!(left, 0, "{} is run too early in\n{plan}", hook.name),
            },
            action if touches(action) => {
                assert_eq!(before, all, "{action} comes too early in\n{plan}");
                left -= 1;
            }
            _ => {}
        },
    );
}

/// Broken off after any step and gone on with, again and again, each is run to its end once.
#[test]
fn broken_off_anywhere_each_is_run_once() {
    let strategies = [
        "strategy: rolling, max_unavailable: 0",
        "strategy: recreate",
        "strategy: blue-green",
        "strategy: canary, pause: 1m",
    ];
    for deploy in strategies {
        for most in 1..40 {
            let mut world = released(&shop(deploy, 1));
            world.hooks.clear();
            let plan = planned(&shop(deploy, 2), &world.fleet, &first("1"));
            let mut begun = begun(&plan, "1");
            carry_out(&plan, &mut world, most);
            let mut rounds = 0;
            loop {
                // What was run on this machine is written down; what was in containers can be seen.
                let local = world.hooks.iter().filter(|name| (name.when, name.number) == (When::Before, 2));
                let done = local.map(|name| (name.when, name.number)).collect();
                begun.entry("web".into()).or_default().done = done;
                let plan = planned(&shop(deploy, 2), &world.fleet, &run("2", &begun).asking_again());
                if hooks_of(&plan).is_empty() && plan.is_empty() {
                    break;
                }
                rounds += 1;
                // Who gets no further in each round would never come to an end.
                carry_out(&plan, &mut world, if rounds > 6 { usize::MAX } else { most });
            }
            let mut run: Vec<String> = world.hooks.iter().map(ToString::to_string).collect();
            run.sort();
            let expected = ["hook after-1 of web", "hook before-1 of web", "hook before-2 of web"];
            assert_eq!(run, expected, "{deploy}, {most} steps at a time");
            assert!(nothing_is_left(&shop(deploy, 2), &world.fleet), "{deploy}, {most} steps at a time");
        }
    }
}

/// One that failed or was late is run again, in a new container; one that was made and not started is started.
#[test]
fn what_is_there_of_this_run_is_gone_on_with() {
    let old = released(&rolling(1));
    let plan = planned(&rolling(2), &old.fleet, &first("1"));
    let begun = begun(&plan, "1");
    let name = "web.before-1";
    let hooks_where = |state_of: ContainerState, code: Option<i64>, is_late: bool| {
        let mut world = old.clone();
        let mut begun = begun.clone();
        let steps = 1 + plan.steps.iter().position(|step| matches!(&step.action, Action::Call(EngineCall::CreateContainer { spec, .. }) if spec.name.as_str() == name)).unwrap();
        world.carry_out(&plan, steps, |_| 0, |_, _| ());
        let container = state(&mut world, "a").containers.get_mut(name).unwrap();
        (container.state, container.exit_code) = (state_of, code);
        if is_late {
            begun.get_mut("web").unwrap().late.insert(container.id.clone());
        }
        let text = hooks_of(&planned(&rolling(2), &world.fleet, &run("2", &begun)));
        text.lines()
            .filter(|line| line.contains("before-1"))
            .map(|line| line.split_once(": ").unwrap().1.to_owned() + "\n")
            .collect::<String>()
    };
    let hooks = |state_of, code| hooks_where(state_of, code, false);
    insta::assert_snapshot!(hooks(ContainerState::Created, None), @"
    start web.before-1
    run bin/migrate --up in a container of web:2 on a (at most 600 s) [after 1]
    ");
    insta::assert_snapshot!(hooks(ContainerState::Running, None), @"run bin/migrate --up in a container of web:2 on a (at most 600 s)");
    insta::assert_snapshot!(hooks(ContainerState::Exited, Some(1)), @"
    remove web.before-1
    create web.before-1 from web:2 [after 1]
    start web.before-1 [after 2]
    run bin/migrate --up in a container of web:2 on a (at most 600 s) [after 3]
    ");
    insta::assert_snapshot!(hooks(ContainerState::Exited, Some(0)), @"");
    // Its time was over before: a good end is that of somebody who was told to stop, or will be.
    insta::assert_snapshot!(hooks_where(ContainerState::Running, None, true), @"
    stop web.before-1 (grace 10 s)
    wait until web.before-1 is not running [after 1]
    remove web.before-1 [after 2]
    create web.before-1 from web:2 [after 3]
    start web.before-1 [after 4]
    run bin/migrate --up in a container of web:2 on a (at most 600 s) [after 5]
    ");
    let again = hooks_where(ContainerState::Exited, Some(0), true);
    assert_eq!(again, hooks(ContainerState::Exited, Some(1)));
}

/// Of another run, one that goes on running is stopped: nobody waits for it.
#[test]
fn what_an_earlier_run_left_running_is_stopped() {
    let mut world = released(&rolling(1));
    let made = planned(&rolling(2), &world.fleet, &first("1"));
    world.carry_out(&made, usize::MAX, |_| 0, |_, _| ());
    let container = state(&mut world, "a").containers.get_mut("web.before-1").unwrap();
    container.state = ContainerState::Running;
    let text = hooks_of(&planned(&rolling(3), &world.fleet, &first("2")));
    assert!(text.contains("stop web.before-1 (grace 10 s)"), "{text}");
    assert!(text.contains("remove web.before-1"), "{text}");
}

/// Somebody else's container is left alone, and so is the service.
#[test]
fn a_name_that_somebody_else_has_is_in_the_way() {
    let mut world = released(&rolling(1));
    world.finish(&planned(&rolling(2), &world.fleet.clone(), &first("1")));
    let container = state(&mut world, "a").containers.get_mut("web.after-1").unwrap();
    container.labels.insert(LABEL_ENVIRONMENT.to_owned(), "another".to_owned());
    let plan = planned(&rolling(3), &world.fleet, &first("2"));
    let fates = plan.items.iter().filter(|item| item.service.as_str() == "web").map(|item| &item.fate);
    let whose = fates.map(|fate| match fate {
        Fate::Blocked(Blocked::Foreign(whose)) => whose.as_str(),
        other => panic!("{other:?}"),
    });
    let expected = "hook after-1 of web needs the name `web.after-1`: it is of service `web` in the environment `another`";
    assert_eq!(whose.collect::<Vec<_>>(), [expected, expected]);
    assert_eq!(hooks_of(&plan), "");
}

/// An image is not brought to a ship for what is not run: not after, where an instance is left as it is, and not again.
#[test]
fn images_are_pulled_for_those_that_are_run() {
    let pulls = |hooks: &str| {
        let of = |tag: u32| environment(&rolling_text(tag).replace(HOOKS, hooks));
        let mut world = released(&of(1));
        let container = state(&mut world, "a").containers.get_mut("web-1").unwrap();
        container.labels.insert(LABEL_ENVIRONMENT.to_owned(), "another".to_owned());
        let plan = planned(&of(2), &world.fleet, &first("2"));
        plan.to_string().contains("image web:2 on a: pull")
    };
    assert!(pulls("hooks: {before: [{run: bin/migrate}]}"));
    assert!(!pulls("hooks: {after: [{run: bin/warm}]}"));
    assert!(!pulls("hooks: {before: [{local: ./announce}], after: [{run: bin/warm}]}"));
}

/// While an instance cannot be seen, the service is not what it is to be; the rest is made up for later.
#[test]
fn what_comes_after_waits_for_those_that_cannot_be_seen() {
    let mut world = released(&rolling(1));
    world.hooks.clear();
    let seen = world.fleet.clone();
    world.fleet.ships.extend(super::fleet("b: down").ships);
    let plan = planned(&rolling(2), &world.fleet, &first("1"));
    let begun = begun(&plan, "1");
    world.finish(&plan);
    let run_so_far: Vec<HookName> = world.hooks.clone();
    assert!(run_so_far.iter().all(|name| name.when == When::Before), "{run_so_far:?}");
    world.fleet.ships.insert("b".into(), seen.ships[&crate::names::ShipName::from("b")].clone());
    world.finish(&planned(&rolling(2), &world.fleet.clone(), &run("2", &begun).asking_again()));
    let afterwards = world.hooks.iter().filter(|name| name.when == When::After).count();
    assert_eq!(afterwards, 1, "{:?}", world.hooks);
}

/// One that moves to another ship is made there: they are run before, and before the one elsewhere is stopped.
#[test]
fn an_instance_that_moves_waits_for_them() {
    let world = released(&rolling(1));
    let with = |instances: &str| {
        let text = rolling_text(1).replace(", web-2: {ship: b}", instances);
        planned(&environment(&text), &world.fleet, &first("1"))
    };
    let moved = with(", web-2: {ship: a}").to_string();
    let order = ["run bin/migrate", "create web-2", "stop web-2"].map(|what| moved.find(what).unwrap());
    assert!(order.is_sorted(), "{moved}");
    // Also where the old one has to make room.
    let text = rolling_text(1).replace("strategy: rolling, max_unavailable: 0", "strategy: recreate");
    let old = released(&environment(&text));
    let text = text.replace("web-2: {ship: b}", "web-2: {ship: a}");
    let moved = planned(&environment(&text), &old.fleet, &first("1")).to_string();
    let order = ["run bin/migrate", "stop web-2", "create web-2"].map(|what| moved.find(what).unwrap());
    assert!(order.is_sorted(), "{moved}");
}

/// What they have left goes with `clean`, also where all instances run; a failure is one although no instance has it.
#[test]
fn what_they_have_left_is_cleaned_up() {
    let mut world = released(&rolling(1));
    let plan = planned(&rolling(1), &world.fleet, &Intent::Clean);
    let expected =
        ["hook after-1 of web on a: remove web.after-1", "hook before-1 of web on a: remove web.before-1"];
    let text = hooks_of(&plan);
    let steps: Vec<&str> = text.lines().map(|line| line.trim_start().split_once(". ").unwrap().1).collect();
    assert_eq!(steps, expected);
    let mut run = Run::new(Arc::new(plan.clone()));
    let ready = run.take_ready();
    run.finish(ready[0], &StepOutcome::Failed(Failure::Internal("no".to_owned())));
    run.finish(ready[1], &StepOutcome::Done(CallOutcome::Done));
    let summary = run.summary(Duration::ZERO);
    assert_eq!((summary.failed, summary.unchanged, summary.is_success()), (1, 4, false));
    world.finish(&plan);
    assert!(!names(&world.fleet).contains("web.before-1"));
    assert!(planned(&rolling(1), &world.fleet, &Intent::Clean).steps.is_empty());
    // What runs is left alone, and so is somebody else's.
    let mut world = released(&rolling(1));
    let containers = &mut state(&mut world, "a").containers;
    containers.get_mut("web.before-1").unwrap().state = ContainerState::Running;
    let labels = &mut containers.get_mut("web.after-1").unwrap().labels;
    labels.insert(LABEL_ENVIRONMENT.to_owned(), "another".to_owned());
    assert!(planned(&rolling(1), &world.fleet, &Intent::Clean).steps.is_empty());
}
