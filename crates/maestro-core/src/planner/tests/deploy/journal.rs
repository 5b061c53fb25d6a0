//! Deployments that are gone on with: what is written down of hooks, and that each is run once.

use super::world::World;
use crate::model::{Environment, HookName, HookPlace, When};
use crate::names::ServiceName;
use crate::plan::{Begun, Hooking, Intent, Plan};
use std::collections::BTreeMap;

/// What is written down of a deployment that is under way, and what has been run in it.
#[derive(Clone, Default)]
pub(super) struct Journal {
    /// The number of the release that is deployed.
    of: Option<usize>,
    deployments: usize,
    begun: BTreeMap<ServiceName, Begun>,
    run: Vec<HookName>,
    /// A ship could not be reached meanwhile: what was run there cannot be seen, and may be run again elsewhere (0029).
    has_lost: bool,
}

impl Journal {
    /// How somebody deploys a release now: he goes on with what has been begun of it, or begins anew.
    pub(super) fn intent(&mut self, release: usize, intent: &Intent) -> Intent {
        if self.of != Some(release) {
            *self = Self { of: Some(release), deployments: self.deployments + 1, ..Self::default() };
        }
        intent.clone().hooking(Hooking::On { run: self.deployments.to_string(), begun: self.begun.clone() })
    }

    /// Nobody goes on with what has been begun.
    pub(super) fn close(&mut self) {
        self.of = None;
    }

    /// Written before anything is done: services whose hooks are due.
    pub(super) fn begin(&mut self, plan: &Plan) {
        for service in plan.hooked() {
            let new = || Begun { run: self.deployments.to_string(), ..Begun::default() };
            self.begun.entry(service.clone()).or_insert_with(new);
        }
    }

    /// What has been run on the machine that deploys is written down; what was in containers can be seen.
    pub(super) fn note(&mut self, environment: &Environment, world: &mut World) {
        self.has_lost |= environment.ships.keys().any(|ship| world.has_lost(ship));
        for name in std::mem::take(&mut world.hooks) {
            let hooks = &environment.services[&name.service].deploy.hooks;
            let mut hooks = hooks.at(name.when);
            if hooks.any(|(number, hook)| number == name.number && hook.place == HookPlace::Local) {
                let begun = self.begun.get_mut(&name.service).unwrap();
                begun.done.insert((name.when, name.number));
            }
            self.run.push(name);
        }
    }

    /// All is done: each hook of a service of which something was replaced has been run to a good end once, in its order.
    pub(super) fn finish(&mut self, environment: &Environment, plan: &Plan) {
        let mut expected: BTreeMap<&ServiceName, Vec<(When, usize)>> = BTreeMap::new();
        for service in self.begun.keys() {
            let hooks = &environment.services[service].deploy.hooks;
            let of = |when: When| hooks.at(when).map(move |(number, _)| (when, number));
            expected.insert(service, of(When::Before).chain(of(When::After)).collect());
        }
        let mut run: BTreeMap<&ServiceName, Vec<(When, usize)>> = BTreeMap::new();
        for name in &self.run {
            let run = run.entry(&name.service).or_default();
            if !self.has_lost || !run.contains(&(name.when, name.number)) {
                run.push((name.when, name.number));
            }
        }
        assert_eq!(run, expected, "hooks, at the end of\n{plan}");
        self.close();
    }
}
