//! What balancers are told while containers come and go.

use super::Chain;
use super::builder::Builder;
use crate::balance::{Endpoint, RouteChange, Standing, endpoints};
use crate::model::{BalancerPlace, Instance, Portion};
use crate::names::{BalancerName, InstanceName, ServiceName};
use crate::plan::{Action, OnFailure, Target, Trial};

impl<'a> Builder<'a> {
    /// Requests go to a container of an instance, and none to another one any more.
    pub(super) fn admit(
        &mut self,
        chain: &mut Chain,
        instance: &'a Instance,
        container: &Target,
        instead_of: Option<&InstanceName>,
    ) {
        let admit = self.endpoints(instance, container);
        let drain = instead_of.into_iter().cloned().collect();
        self.route(chain, instance, RouteChange { admit, drain, ..RouteChange::default() });
    }

    /// No requests go to a container any more, before it is stopped.
    pub(super) fn drain(&mut self, chain: &mut Chain, instance: &'a Instance, container: &InstanceName) {
        let drain = vec![container.clone()];
        self.route(chain, instance, RouteChange { drain, ..RouteChange::default() });
    }

    /// No requests go any more to what the file does not have any more, before it is stopped.
    pub(super) fn drain_of(&mut self, chain: &mut Chain, service: &ServiceName, endpoint: &InstanceName) {
        let drain = vec![endpoint.clone()];
        self.tell(chain, service, RouteChange { drain, ..RouteChange::default() });
    }

    /// A container that requests go to has another name.
    pub(super) fn renamed(
        &mut self,
        chain: &mut Chain,
        instance: &'a Instance,
        from: &InstanceName,
        container: &Target,
    ) {
        let admit = self.endpoints(instance, container);
        let withdraw = vec![from.clone()];
        self.route(chain, instance, RouteChange { admit, withdraw, ..RouteChange::default() });
    }

    /// A front end is about to be stopped, if the instance is one.
    pub(super) fn leave(&mut self, chain: &mut Chain, instance: &'a Instance) {
        if !self.placed_in(instance).is_empty() {
            let change = RouteChange { leave: vec![instance.name.clone()], ..RouteChange::default() };
            self.push(chain, Action::Route { balancers: Vec::new(), change }, OnFailure::Fail);
        }
    }

    /// What a front end is to start with, if the instance is one.
    pub(super) fn provide(&mut self, chain: &mut Chain, instance: &'a Instance) {
        if !self.placed_in(instance).is_empty() {
            let action = Action::Provide { front_end: instance.name.clone() };
            self.push(chain, action, OnFailure::Fail);
        }
    }

    /// A front end is up again, if the instance is one.
    pub(super) fn join(&mut self, chain: &mut Chain, instance: &'a Instance) {
        let balancers = self.placed_in(instance);
        if !balancers.is_empty() {
            let change = RouteChange { join: vec![instance.name.clone()], ..RouteChange::default() };
            self.push(chain, Action::Route { balancers, change }, OnFailure::Fail);
        }
    }

    /// The balancers of which an instance is a front end.
    pub(super) fn placed_in(&self, instance: &Instance) -> Vec<BalancerName> {
        let is_place = |place: &BalancerPlace| matches!(place, BalancerPlace::Service(service) if *service == instance.service);
        let balancers = self.environment.balancers.values().filter(|balancer| is_place(&balancer.place));
        balancers.map(|balancer| balancer.name.clone()).collect()
    }

    fn endpoints(&self, instance: &'a Instance, container: &Target) -> Vec<Endpoint> {
        let picked = self.picked(instance, container).cloned().unwrap_or_default();
        let mut found = endpoints(self.environment, &instance.name, container.name(), &picked, Standing::In);
        for endpoint in &mut found {
            endpoint.portion = self.turn.portion;
        }
        found
    }

    /// These canaries of a service get a portion of its requests, if it is behind balancers.
    pub(super) fn try_first(
        &mut self,
        service: &'a ServiceName,
        canaries: Vec<InstanceName>,
        portion: Portion,
    ) {
        let balancers = self.balancers_of(service);
        if !balancers.is_empty() {
            self.trials.push(Trial { service: service.clone(), canaries, portion, balancers });
        }
    }

    fn balancers_of(&self, service: &ServiceName) -> Vec<BalancerName> {
        self.environment.balancers_of(service).map(|balancer| balancer.name.clone()).collect()
    }

    fn route(&mut self, chain: &mut Chain, instance: &'a Instance, mut change: RouteChange) {
        change.level.extend(self.turn.level.then(|| instance.service.clone()));
        self.tell(chain, &instance.service, change);
    }

    fn tell(&mut self, chain: &mut Chain, service: &ServiceName, change: RouteChange) {
        let balancers = self.balancers_of(service);
        if !balancers.is_empty() {
            self.push(chain, Action::Route { balancers, change }, OnFailure::Fail);
        }
    }
}
