//! Load balancers: their configuration is delivered to every front end, and every one has to acknowledge it.
//!
//! `publish` and `drained` are the two waits that a deployment needs ([`Balancing`] makes them of an environment);
//! `container` and `host` are front ends, `fenced` tells them nothing without the lease, `status` asks them which
//! generation they serve.

mod container;
mod fenced;
mod host;
mod routes;
mod status;
#[cfg(test)]
mod tests;

pub use container::ContainerFrontEnd;
pub use host::HostFrontEnd;
pub use routes::{Routes, Turn};

use crate::engine::{DockerEngine, EngineOptions};
use futures_util::future::join_all;
use maestro_core::balance::{Configuration, Generation, Rotation, configuration};
use maestro_core::boundary::{FrontEnd, FrontEndError};
use maestro_core::config::Unrenderable;
use maestro_core::model::{Balancer, BalancerPlace, Environment};
use maestro_core::names::{BalancerName, InstanceName, ShipName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// A front end counts as having acknowledged when it has said so this often in a row, each time to a new connection, with
/// this pause between: a process that is being replaced accepts connections beside the new one for a moment (nginx takes
/// a tenth of a second for it).
const STEADY: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);
/// Who has been told, and says something else after this time, is told again.
const AGAIN: Duration = Duration::from_secs(5);

/// A front end that did not acknowledge a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("front end {front_end} of balancer {balancer}: {kind}")]
pub struct Unacknowledged {
    /// Of which balancer.
    pub balancer: BalancerName,
    /// Which.
    pub front_end: String,
    /// Why.
    pub kind: Silence,
}

/// Why a front end did not acknowledge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// It could not be given the configuration.
    #[error("{0}")]
    Failed(FrontEndError),
    /// It has the configuration, and goes on with another one.
    #[error("it does not serve generation {wanted} within {} s, but {}", within.as_secs_f64(), found(serving.as_ref()))]
    Other {
        /// What it should serve.
        wanted: Generation,
        /// What it said last.
        serving: Option<Generation>,
        /// How long was waited.
        within: Duration,
    },
}

fn found(serving: Option<&Generation>) -> String {
    serving.map_or_else(|| "something that is no generation".to_owned(), ToString::to_string)
}

/// Gives a configuration to all front ends, and waits until every one has acknowledged it, at most so long. Whoever
/// serves it already is left alone. A front end that is killed meanwhile comes back with the file that it has, and is
/// asked again.
///
/// # Errors
/// Every front end that did not acknowledge; the others serve the new configuration.
pub async fn publish(
    front_ends: &[Arc<dyn FrontEnd>],
    configuration: &Configuration,
    within: Duration,
) -> Result<(), Vec<Unacknowledged>> {
    let deadline = Instant::now() + within;
    let all = front_ends.iter().map(async |front_end| {
        let convinced = convince(&**front_end, configuration, within, deadline).await;
        convinced.map_err(|kind| Unacknowledged {
            balancer: configuration.balancer.clone(),
            front_end: front_end.name().to_owned(),
            kind,
        })
    });
    let failed: Vec<_> = join_all(all).await.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

async fn convince(
    front_end: &dyn FrontEnd,
    configuration: &Configuration,
    within: Duration,
    deadline: Instant,
) -> Result<(), Silence> {
    let wanted = &configuration.generation;
    let mut agreed = 0;
    let mut told: Option<Instant> = None;
    // What there is to say when the time is over.
    let mut silence =
        Silence::Failed(FrontEndError::Unreachable(format!("no answer within {} s", within.as_secs_f64())));
    loop {
        let mut is_other = true;
        match timeout_at(deadline, front_end.serving()).await {
            Ok(Ok(Some(serving))) if serving == *wanted => {
                agreed += 1;
                is_other = false;
                if agreed >= STEADY {
                    return Ok(());
                }
            }
            Ok(Ok(serving)) => silence = Silence::Other { wanted: wanted.clone(), serving, within },
            Ok(Err(error)) => silence = Silence::Failed(error),
            Err(_) => return Err(silence),
        }
        if is_other {
            agreed = 0;
            if told.is_none_or(|at| at.elapsed() >= AGAIN) {
                match timeout_at(deadline, front_end.publish(configuration)).await {
                    Ok(Ok(())) => told = Some(Instant::now()),
                    Ok(Err(error)) if error.is_transient() => silence = Silence::Failed(error),
                    Ok(Err(error)) => return Err(Silence::Failed(error)),
                    Err(_) => return Err(silence),
                }
            }
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(silence);
        }
        sleep(PAUSE).await;
    }
}

/// Waits until no front end serves requests by a configuration that it has replaced, or the time is over, after which
/// front ends end such requests themselves. Where nobody can tell, that is the whole time. Returns whether all were told
/// to have finished.
pub async fn drained(front_ends: &[Arc<dyn FrontEnd>], drain: Duration) -> bool {
    let deadline = Instant::now() + drain;
    let all = join_all(front_ends.iter().map(|front_end| finished(&**front_end, deadline))).await;
    all.into_iter().all(|finished| finished)
}

/// Whether a front end has said twice that nothing is left.
async fn finished(front_end: &dyn FrontEnd, deadline: Instant) -> bool {
    let mut done = 0;
    loop {
        match timeout_at(deadline, front_end.lingering()).await {
            Ok(Ok(Some(0))) => done += 1,
            Ok(_) => done = 0,
            Err(_) => return false,
        }
        if done >= 2 {
            return true;
        }
        if Instant::now() + PAUSE >= deadline {
            sleep(deadline.saturating_duration_since(Instant::now())).await;
            return false;
        }
        sleep(PAUSE).await;
    }
}

/// The front ends of all balancers of an environment.
#[derive(Clone, Default)]
pub struct Balancing {
    front_ends: BTreeMap<BalancerName, Vec<Arc<dyn FrontEnd>>>,
}

/// Why a balancer does not pass requests on as it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BalanceError {
    /// There is no configuration.
    #[error("the template of balancer {balancer} fails: {fault}")]
    Template {
        /// Whose.
        balancer: BalancerName,
        /// Where and why.
        fault: Unrenderable,
    },
    /// Not every front end has acknowledged.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unacknowledged(Vec<Unacknowledged>),
}

impl Balancing {
    /// The front ends that an environment describes. Opens no connection.
    pub fn new(
        environment: &Environment,
        engines: &BTreeMap<ShipName, Arc<DockerEngine>>,
        options: &EngineOptions,
    ) -> Self {
        let of = |balancer: &Balancer| -> Vec<Arc<dyn FrontEnd>> {
            match &balancer.place {
                BalancerPlace::Service(_) => environment
                    .front_ends_of(balancer)
                    .iter()
                    .filter_map(|name| {
                        let instance = environment.instances.get(name)?;
                        let (ship, engine) =
                            (environment.ships.get(&instance.ship)?, engines.get(&instance.ship)?);
                        let made = ContainerFrontEnd::new(balancer, instance, ship, engine.clone());
                        Some(Arc::new(made) as Arc<dyn FrontEnd>)
                    })
                    .collect(),
                BalancerPlace::Hosts(hosts) => hosts
                    .iter()
                    .map(|host| Arc::new(HostFrontEnd::remote(balancer, host, options)) as Arc<dyn FrontEnd>)
                    .collect(),
                BalancerPlace::Local => vec![Arc::new(HostFrontEnd::local(balancer))],
            }
        };
        Self { front_ends: environment.balancers.values().map(|b| (b.name.clone(), of(b))).collect() }
    }

    /// These front ends: for tests, with front ends in memory.
    pub fn of(front_ends: BTreeMap<BalancerName, Vec<Arc<dyn FrontEnd>>>) -> Self {
        Self { front_ends }
    }

    /// The same, of front ends in containers only with these.
    #[must_use]
    pub fn among(&self, environment: &Environment, up: &BTreeSet<InstanceName>) -> Self {
        self.filtered(environment, |instance| instance.is_none_or(|instance| up.contains(instance)))
    }

    /// Of front ends in containers these, and no others.
    #[must_use]
    pub fn only(&self, environment: &Environment, these: &BTreeSet<InstanceName>) -> Self {
        self.filtered(environment, |instance| instance.is_some_and(|instance| these.contains(instance)))
    }

    /// The front ends whose instance, which not all of them have, is wanted.
    fn filtered(&self, environment: &Environment, wanted: impl Fn(Option<&InstanceName>) -> bool) -> Self {
        let front_ends = self.front_ends.iter().map(|(name, all)| {
            let instances = environment.balancers.get(name).map(|b| environment.front_ends_of(b));
            let instances = instances.unwrap_or_default();
            let are_wanted = all.iter().enumerate().filter(|(at, _)| wanted(instances.get(*at)));
            (name.clone(), are_wanted.map(|(_, one)| one.clone()).collect())
        });
        Self { front_ends: front_ends.collect() }
    }

    /// The front ends of a balancer.
    pub fn front_ends(&self, balancer: &BalancerName) -> &[Arc<dyn FrontEnd>] {
        self.front_ends.get(balancer).map_or(&[], Vec::as_slice)
    }

    /// Has all front ends of these balancers send requests where the rotation says, and waits until every one does.
    ///
    /// # Errors
    /// What keeps any of them from it. Nothing that was served before may be stopped then.
    pub async fn publish<'a>(
        &self,
        balancers: impl IntoIterator<Item = &'a Balancer>,
        rotation: &Rotation,
    ) -> Result<(), BalanceError> {
        let mut made = Vec::new();
        for balancer in balancers {
            let configuration = configuration(balancer, &rotation.endpoints_of(balancer))
                .map_err(|fault| BalanceError::Template { balancer: balancer.name.clone(), fault })?;
            made.push((balancer, configuration));
        }
        let all = made.iter().map(|(balancer, configuration)| {
            publish(self.front_ends(&balancer.name), configuration, balancer.patience)
        });
        let failed: Vec<_> = join_all(all).await.into_iter().filter_map(Result::err).flatten().collect();
        if failed.is_empty() { Ok(()) } else { Err(BalanceError::Unacknowledged(failed)) }
    }

    /// Gives the front end in the container of an instance what it should start with, once the container is made and before
    /// it runs: what its image brings along is not meant for anybody. Nothing where the instance is no front end.
    ///
    /// # Errors
    /// What keeps it from that.
    pub async fn prepare(
        &self,
        environment: &Environment,
        instance: &InstanceName,
        rotation: &Rotation,
    ) -> Result<(), BalanceError> {
        for balancer in environment.balancers.values() {
            let place = environment.front_ends_of(balancer).iter().position(|name| name == instance);
            let Some(front_end) = place.and_then(|place| self.front_ends(&balancer.name).get(place)) else {
                continue;
            };
            let configuration = configuration(balancer, &rotation.endpoints_of(balancer))
                .map_err(|fault| BalanceError::Template { balancer: balancer.name.clone(), fault })?;
            front_end.prepare(&configuration).await.map_err(|error| {
                BalanceError::Unacknowledged(vec![Unacknowledged {
                    balancer: balancer.name.clone(),
                    front_end: front_end.name().to_owned(),
                    kind: Silence::Failed(error),
                }])
            })?;
        }
        Ok(())
    }

    /// Waits until no front end of these balancers serves anybody by what was published before, or until the time that a
    /// balancer leaves for it is over. To be called when what is to be stopped is draining, and that is acknowledged.
    pub async fn drained<'a>(&self, balancers: impl IntoIterator<Item = &'a Balancer>) -> bool {
        let all =
            balancers.into_iter().map(|balancer| drained(self.front_ends(&balancer.name), balancer.drain));
        join_all(all).await.into_iter().all(|drained| drained)
    }
}
