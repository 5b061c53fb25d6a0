use super::{SavedError, SavedPlan};
use crate::check::lint;
use crate::config::{Limits as TextLimits, load};
use crate::fleet::{ContainerState, FleetSnapshot, ShipView};
use crate::model::Environment;
use crate::plan::{Hooking, Intent, Limits, Plan, Restart};
use crate::planner::plan;
use crate::planner::tests::fleet;
use crate::release::{Recorded, Release};
use crate::select::{Selector, select};
use crate::source::MapSources;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const FILE: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}
services:
  web: {image: 'web:2', instances: {web-1: {ship: a}, web-2: {ship: b}}}
";
const SEEN: &str = "a: web-1 running web:1 | web:1 web:2\nb: web-2 running web:1 | web:1 web:2";

fn read() -> (Environment, Release) {
    let sources = MapSources::of(FILE);
    let recorded = Recorded::new(&sources);
    let loaded = load(&recorded, &TextLimits::default());
    let environment = loaded.environment.unwrap();
    let release = Release::of(&environment, loaded.tree.as_ref().unwrap(), &recorded);
    (environment, release)
}

fn planned(intent: &Intent, fleet: &FleetSnapshot) -> Plan {
    let environment = read().0;
    let selection = select(&environment, &Selector::default(), intent.selection_rules()).unwrap();
    let plan = plan(&environment, fleet, intent, &selection, Limits::default());
    assert_eq!(lint(&plan, fleet), []);
    plan
}

fn saved(intent: &Intent) -> SavedPlan {
    let fleet = fleet(SEEN);
    let saved = SavedPlan::new(read().1, Selector::default(), &planned(intent, &fleet), &fleet);
    SavedPlan::from_bytes(&saved.to_bytes()).unwrap()
}

const DEPLOY: Intent =
    Intent::Deploy { ask_again: false, promote: false, doubtful: BTreeSet::new(), hooks: Hooking::NEW };

#[test]
fn every_intent_is_kept() {
    for intent in [
        Intent::Start { refresh: true, reuse: false },
        Intent::Stop,
        Intent::Kill,
        Intent::Pull,
        Intent::Clean,
        Intent::Restart(Restart { reuse: true, step_delay: Duration::from_secs(7), ..Restart::default() }),
        Intent::Deploy { ask_again: true, promote: false, doubtful: BTreeSet::new(), hooks: Hooking::NEW },
    ] {
        let saved = saved(&intent);
        assert_eq!(saved.intent, intent);
        let fleet = fleet(SEEN);
        let again = planned(&intent, &fleet);
        assert_eq!(saved.moved(&again, &fleet), []);
        assert!(saved.is_this(&again));
    }
}

/// Whatever a plan rests on: if it is another, the plan is not carried out, and it is said what.
#[test]
fn what_has_moved_is_named() {
    let saved = saved(&DEPLOY);
    let moved = |fleet: &FleetSnapshot| {
        let moved = saved.moved(&planned(&DEPLOY, fleet), fleet);
        moved.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(moved(&fleet(SEEN)), "");
    let at = |from: &str, to: &str| moved(&fleet(&SEEN.replace(from, to)));
    insta::assert_snapshot!(at("web-1 running web:1", "web-1 exited web:1"), @"web-1: state was running, and is exited");
    insta::assert_snapshot!(at("a: web-1 running web:1", "a:"), @"
    web-1: container was id-web-1, and is gone
    ");
    insta::assert_snapshot!(at("web-2 running web:1 |", "web-2 running web:1* |"), @"web-2: content was sha256:web:1, and is sha256:web:1*");
    insta::assert_snapshot!(at("b: web-2 running web:1 | web:1 web:2", "b: web-2 running web:1 | web:1"), @"web-2: web:2 on b was sha256:web:2, and is gone");
    insta::assert_snapshot!(at("b: web-2 running web:1 | web:1 web:2", "b: down"), @"
    web-2: its ship is out of sight
    ");
    insta::assert_snapshot!(at("a: web-1", "a: web-1.kept-1 exited web:0, web-1"), @"web-1: web-1.kept-1 is exited, and was not there");
    insta::assert_snapshot!(at("a: web-1", "a: somebody running else, web-1"), @"");
    let mut other = fleet(SEEN);
    let Some(ShipView::Reachable(state)) = other.ships.get_mut("a") else { panic!() };
    let container = Arc::make_mut(state).containers.get_mut("web-1").unwrap();
    container.id = "another-one-of-the-same-name".into();
    container.state = ContainerState::Running;
    insta::assert_snapshot!(moved(&other), @"web-1: container was id-web-1, and is another-one-of-the-same-name");
}

#[test]
fn what_cannot_be_read_says_why() {
    for (kept, expected) in [
        ("", "it is no JSON: EOF while parsing a value at line 1 column 0"),
        (
            "{}",
            "it is no plan that `maestro plan --out` has written: its `kind` is missing or not what it should be",
        ),
        (r#"{"kind": "maestro.plan", "format": 9}"#, "it has the form 9, and this Maestro reads up to 1"),
        (
            r#"{"kind": "maestro.plan", "format": 1, "things": []}"#,
            "it is no plan that `maestro plan --out` has written: its `release` is missing or not what it should be",
        ),
    ] {
        let error: SavedError = SavedPlan::from_bytes(kept.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

/// What a secret was is not kept; that it is another one by now is noticed.
#[test]
fn another_value_of_a_secret_is_another_plan() {
    let fleet = fleet(SEEN);
    let of = |value: &str| {
        let text = FILE
            .replace("services:", "secrets: {a: {env: A}}\nservices:")
            .replace("image: 'web:2'", "image: 'web:2', env: {A: !secret a}");
        let sources = MapSources::of(text);
        let recorded = Recorded::new(&sources);
        let loaded = load(&recorded, &TextLimits::default());
        let mut environment = loaded.environment.unwrap();
        let release = Release::of(&environment, loaded.tree.as_ref().unwrap(), &recorded);
        environment.unseal(&[("a".into(), crate::names::Secret::new(value))].into());
        let selection = select(&environment, &Selector::default(), DEPLOY.selection_rules()).unwrap();
        let plan = plan(&environment, &fleet, &DEPLOY, &selection, Limits::default());
        assert_eq!(lint(&plan, &fleet), []);
        (release, plan)
    };
    let (release, plan) = of("hunter2");
    let saved = SavedPlan::new(release, Selector::default(), &plan, &fleet);
    let bytes = String::from_utf8(saved.to_bytes()).unwrap();
    assert!(!bytes.contains("hunter2") && bytes.contains("!secret"), "{bytes}");
    let saved = SavedPlan::from_bytes(bytes.as_bytes()).unwrap();
    assert_eq!(saved.moved(&plan, &fleet), []);
    let moved: Vec<String> = saved.moved(&of("hunter3").1, &fleet).iter().map(ToString::to_string).collect();
    assert!(
        moved.len() >= 2 && moved[0].starts_with("web-1: what its container is made of, with secrets"),
        "{moved:?}"
    );
    assert!(!moved.concat().contains("hunter"), "{moved:?}");
}
