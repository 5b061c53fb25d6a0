//! What is to be done, in full, before anything is done.
//!
//! A plan leaves the executor no choice: every step is one engine call or one wait, says why it is there and what it
//! comes after, and could have been printed first.

mod call;
mod condition;
mod hooks;
mod intent;
mod outage;
mod render;
mod room;
mod takeover;
mod trial;

pub use call::{EngineCall, RegistryAuth};
pub use condition::Condition;
pub use hooks::{Begun, HookTask, Hooking};
pub use intent::{Intent, Restart};
pub use outage::Outage;
pub use takeover::Takeovers;
pub use trial::Trial;

use crate::balance::{Rotation, RouteChange};
use crate::compare::Change;
use crate::engine_error::EngineError;
use crate::fleet::{ContainerState, EngineState, Health, ObservedContainer};
use crate::image::ImageRef;
use crate::model::{Check, ContainerEnv, Excess, Hindrance, HookName, Phase};
use crate::names::{BalancerName, ContainerId, ImageId, InstanceName, RegistryName, ServiceName, ShipName};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Everything that one command will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The environment's name.
    pub environment: String,
    /// What is wanted.
    pub intent: Intent,
    /// One per selected instance, in the order of the command.
    pub items: Vec<Item>,
    /// What is to be done; a step's id is its index. Every step comes after those it depends on.
    pub steps: Vec<Step>,
    /// Groups of steps that share a slot of the concurrency limit; a unit's id is its index.
    pub units: Vec<Unit>,
    /// How much may be done at the same time.
    pub limits: Limits,
    /// What a failure means for the rest.
    pub on_failure: FailurePolicy,
    /// Services whose failures do not halt the rest, whatever failures mean otherwise.
    pub lenient: BTreeSet<ServiceName>,
    /// Where balancers send requests before anything is done.
    pub rotation: Rotation,
    /// Services whose canaries get a portion of their requests while they are tried.
    pub trials: Vec<Trial>,
    /// Front ends in containers that have to acknowledge where they do.
    pub front_ends: BTreeSet<InstanceName>,
}

/// One selected instance and what becomes of it.
#[derive(Debug, Clone)]
pub struct Item {
    /// The instance.
    pub instance: InstanceName,
    /// Its service.
    pub service: ServiceName,
    /// Its ship.
    pub ship: ShipName,
    /// Its image, as the file names it.
    pub image: ImageRef,
    /// The container that is there now.
    pub container: Option<Seen>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What a plan remembers of a container that was there.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its id.
    pub id: ContainerId,
    /// The image that it was made from.
    pub image: ImageRef,
    /// What it was doing.
    pub state: ContainerState,
    /// What its HEALTHCHECK said.
    pub health: Option<Health>,
    /// When it last started.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
}

/// What becomes of an instance.
#[derive(Debug, Clone)]
pub enum Fate {
    /// These steps, in this order; the last one's success is the instance's. Shared steps (pulls) are among them.
    Act {
        /// The steps.
        steps: Vec<StepId>,
        /// Why.
        because: Reason,
        /// Why its replacement does not start beside it, where its strategy would have it so.
        hindrance: Option<Hindrance>,
    },
    /// Nothing is to be done.
    Settled(Settled),
    /// It cannot be done.
    Blocked(Blocked),
    /// It is not as the release says, and stays so until somebody decides: others of its service are tried first.
    Waits {
        /// How many are tried.
        canaries: usize,
        /// Why it is not as the release says.
        because: Reason,
    },
}

/// Why nothing is to be done for an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It runs, and was to be started.
    Up,
    /// It does not run, and was to be stopped.
    Down,
    /// It runs the image that its reference means.
    UpToDate,
    /// It is as the release says.
    AsReleased,
    /// It does not exist, and was to be removed.
    Absent,
    /// It runs, and was to be removed: left alone.
    Running,
    /// Its ship cannot be reached, and it was to be stopped: maestro-ng counts this as done.
    HostDown(EngineError),
}

/// Why something cannot be done for an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Its ship cannot be seen; nothing is planned against what cannot be seen.
    Ship(EngineError),
    /// A container with its name is somebody else's. The text says whose.
    Foreign(String),
    /// Its program could not be started with the variables that its container would be made with.
    Variables(Excess),
    /// More instances of its service would be down than may be.
    Unavailable {
        /// The service.
        service: ServiceName,
        /// How many cannot be seen, and count as down.
        unseen: usize,
        /// How many would have to stop for it at the same time.
        going: usize,
        /// How many may be down at the same time.
        allowed: usize,
    },
    /// It does not run, and a container that was to take its place does.
    HalfDone(InstanceName),
    /// No port of a range is free on its ship.
    Ports {
        /// The ship.
        ship: ShipName,
        /// The range.
        range: Arc<str>,
    },
    /// It would have to be stopped before its replacement starts, and none of its service may be down.
    Alone {
        /// The service.
        service: ServiceName,
        /// Why there cannot be two of it.
        why: Hindrance,
    },
    /// Something that it needs is blocked.
    Dependency(InstanceName),
}

/// The index of a step in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub u32);

/// The index of a unit in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub u32);

impl StepId {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl UnitId {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One engine call or one wait.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it is part of.
    pub unit: UnitId,
    /// What is done.
    pub action: Action,
    /// Steps that must be over first, all of them with success or with a failure that is tolerated.
    pub after: Vec<StepId>,
    /// Whether a failure is one.
    pub on_failure: OnFailure,
}

/// What a group of steps is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// Everything done to one instance.
    Instance {
        /// The instance.
        instance: InstanceName,
        /// Its ship.
        ship: ShipName,
    },
    /// Getting one image onto one ship, for all instances that need it.
    Image {
        /// The ship.
        ship: ShipName,
        /// The image.
        image: ImageRef,
    },
    /// Logging in to a registry on one ship.
    Login {
        /// The ship.
        ship: ShipName,
        /// The registry.
        registry: RegistryName,
    },
    /// Running one hook of a service.
    Hook {
        /// Which.
        hook: HookName,
        /// The ship that its container is on; none for the machine that deploys.
        ship: Option<ShipName>,
    },
    /// A point that others wait for; nothing is done there.
    Milestone(Milestone),
}

/// A point of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Milestone {
    /// All instances of a service are done.
    Service(ServiceName),
    /// Every ship has every image.
    Images,
    /// Everything that is to be there is.
    Deployed,
    /// All replacements of a service run beside what they replace, and have been proved.
    Proved(ServiceName),
}

impl Unit {
    /// The ship that it is about.
    pub fn ship(&self) -> Option<&ShipName> {
        match self {
            Unit::Instance { ship, .. } | Unit::Image { ship, .. } | Unit::Login { ship, .. } => Some(ship),
            Unit::Hook { ship, .. } => ship.as_ref(),
            Unit::Milestone(_) => None,
        }
    }
}

/// What a failure of a step means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Its unit has failed, and what comes after it is skipped.
    Fail,
    /// The rest of its unit is skipped, other units go on as if it had succeeded (stop and kill, Q-28).
    Tolerate,
    /// As [`OnFailure::Tolerate`] if the failure shows that the container runs on, else as [`OnFailure::Fail`]: a
    /// restart may find a container that refuses to stop, but may not leave one down and call that a success.
    TolerateIfRunning,
    /// It is told, and everything goes on as if it had succeeded: a restart that has stopped a container has to
    /// start it again.
    GoOn,
}

/// What the failure of one unit means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Whatever does not depend on it goes on.
    SkipDependents,
    /// No instance is begun any more; those that are under way are finished.
    Halt,
}

/// How much may be done at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Units in all; none for no limit.
    pub units: Option<usize>,
    /// Calls in all, pulls not counted: each has a connection and an answer in memory. A large request counts for
    /// several.
    pub calls: usize,
    /// Calls per engine.
    pub calls_per_ship: usize,
    /// Pulls per engine.
    pub pulls_per_ship: usize,
}

impl Limits {
    /// With so many ships, fewer calls for each: a connection stays open after its call, and on a thousand ships it is
    /// they that fill the memory.
    pub(crate) fn among(self, ships: usize) -> Self {
        let share = 2 * self.calls / ships.max(1);
        Self { calls_per_ship: self.calls_per_ship.min(share.max(2)), ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { units: None, calls: 1024, calls_per_ship: 16, pulls_per_ship: 3 }
    }
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Changes the ship by one call.
    Call(EngineCall),
    /// Waits until a container is in a state.
    Await {
        /// The container.
        target: Target,
        /// The state.
        condition: Condition,
        /// How long to wait before the first look: a process that fails at once needs a moment to do so.
        steady: Duration,
        /// How long at most, from then on. One that has been started again by its engine is watched for so long, and is
        /// steady if that does not happen another time.
        within: Duration,
    },
    /// Runs a check, and meanwhile watches that the container stays as it should.
    Check {
        /// The container.
        target: Target,
        /// When in the container's life.
        phase: Phase,
        /// The check.
        check: Check,
        /// The container's variables, for checks that hand them on.
        env: Option<Arc<ContainerEnv>>,
        /// What must hold meanwhile; none if there is no container to watch.
        guard: Condition,
    },
    /// Lets time pass.
    Delay {
        /// How long.
        pause: Duration,
        /// What for.
        why: DelayReason,
    },
    /// Has balancers send requests elsewhere. Over when every front end has acknowledged it, and when those that get no
    /// more requests have finished what they had, or have had the time that the balancers give them.
    Route {
        /// The balancers.
        balancers: Vec<BalancerName>,
        /// What changes.
        change: RouteChange,
    },
    /// Gives a front end of balancers, in a container that does not run yet, what it starts with.
    Provide {
        /// The instance.
        front_end: InstanceName,
    },
    /// Waits until the program of a one-off container has ended with 0, and stops it if that takes too long.
    Finish {
        /// The container.
        target: Target,
        /// What is run in it.
        hook: Arc<HookTask>,
        /// How long its program may take to stop before it is killed.
        grace: Duration,
    },
    /// Runs a program on the machine that deploys.
    Local {
        /// The program.
        hook: Arc<HookTask>,
        /// What it is told, besides the variables of this process.
        env: Arc<ContainerEnv>,
    },
    /// Does nothing: what it comes after is over.
    Reached,
}

/// What a pause is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelayReason {
    /// Between two instances of a restart.
    Step,
    /// Between stop and start of one instance.
    StopStart,
}

/// Which container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one that was seen. A container that took its name meanwhile is another.
    Seen {
        /// Its id.
        id: ContainerId,
        /// Its name, for messages.
        name: InstanceName,
    },
    /// The one that this run makes; its name is unique on its ship.
    Made(InstanceName),
}

impl Target {
    /// What the engine is asked for: id or name.
    pub fn reference(&self) -> &str {
        match self {
            Target::Seen { id, .. } => id.as_str(),
            Target::Made(name) => name.as_str(),
        }
    }

    /// The container that it means, if the engine has it; another one of the same name is not it.
    pub fn among<'a>(&self, state: &'a EngineState) -> Option<&'a ObservedContainer> {
        let found = state.containers.get(self.name().as_str())?;
        match self {
            Target::Seen { id, .. } if *id != found.id => None,
            Target::Seen { .. } | Target::Made(_) => Some(found),
        }
    }

    /// Its name.
    pub fn name(&self) -> &InstanceName {
        match self {
            Target::Seen { name, .. } | Target::Made(name) => name,
        }
    }
}

/// Why something is done to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// There is no container.
    Missing,
    /// There is one, and it does not run.
    Stopped,
    /// It runs, and was to be stopped or restarted.
    Asked,
    /// It runs another image than its reference means now.
    ImageMoved {
        /// What it runs.
        from: ImageId,
        /// What the reference means; none if the image is not on the ship.
        to: Option<ImageId>,
    },
    /// The image was to be pulled.
    Refresh,
    /// It is not as the release says: in these attributes, as far as they are known.
    Differs(Arc<[Change]>),
    /// It is as the release says, and nobody has seen its checks answer.
    Unproven,
    /// It is as the release says, and containers are left beside it that were to take its place.
    LeftBeside,
    /// It is not to be there any more.
    Gone,
    /// It is to be on another ship.
    Moved(ShipName),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Missing => f.write_str("there is no container"),
            Reason::Stopped => f.write_str("the container does not run"),
            Reason::Asked => f.write_str("asked for"),
            Reason::ImageMoved { to: None, .. } => f.write_str("the image is not on the ship"),
            Reason::ImageMoved { .. } => f.write_str("the image has changed"),
            Reason::Refresh => f.write_str("asked for"),
            Reason::Differs(changes) => match &**changes {
                [] => f.write_str("it is not as released"),
                [only] => write!(f, "{}", only.to_come()),
                [first, rest @ ..] => write!(f, "{}, and {} more", first.to_come(), rest.len()),
            },
            Reason::Unproven => f.write_str("its checks have not been seen to answer"),
            Reason::Gone => f.write_str("it is not to be there any more"),
            Reason::Moved(ship) => write!(f, "it belongs on {ship} now"),
            Reason::LeftBeside => f.write_str("a container that was to take its place is left beside it"),
        }
    }
}

impl Item {
    /// Whether it is stopped for good: it is not to be there, or elsewhere.
    pub fn goes(&self) -> bool {
        matches!(self.fate, Fate::Act { because: Reason::Gone | Reason::Moved(_), .. })
    }

    /// The steps of its row.
    pub fn steps(&self) -> impl Iterator<Item = StepId> {
        let steps: &[StepId] = match &self.fate {
            Fate::Act { steps, .. } => steps,
            Fate::Settled(_) | Fate::Blocked(_) | Fate::Waits { .. } => &[],
        };
        steps.iter().copied()
    }
}

impl Plan {
    /// A step.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get(id.index())
    }

    /// The unit of a step.
    pub fn unit_of(&self, id: StepId) -> Option<&Unit> {
        self.units.get(self.step(id)?.unit.index())
    }

    /// The steps that an instance takes part in: its own, the shared pulls, and the logins that those come after.
    pub fn steps_of(&self, item: &Item) -> Vec<StepId> {
        let Fate::Act { steps, .. } = &item.fate else { return Vec::new() };
        let mut all = Vec::with_capacity(steps.len() + 1);
        for step in steps {
            for before in self.step(*step).into_iter().flat_map(|step| &step.after) {
                if matches!(self.unit_of(*before), Some(Unit::Login { .. })) && !steps.contains(before) {
                    all.push(*before);
                }
            }
            all.push(*step);
        }
        all
    }

    /// What a failure of a step means for what does not depend on it: that is for the services to say whose step it is.
    pub fn policy(&self, id: StepId) -> FailurePolicy {
        if self.on_failure == FailurePolicy::SkipDependents || self.lenient.is_empty() {
            return self.on_failure;
        }
        let is_lenient = match self.unit_of(id) {
            Some(Unit::Hook { hook, .. }) => self.lenient.contains(&hook.service),
            Some(Unit::Instance { instance, .. }) => self
                .items
                .iter()
                .any(|item| item.instance == *instance && self.lenient.contains(&item.service)),
            // What is shared is as careful as the most careful one of those that share it.
            Some(Unit::Image { .. } | Unit::Login { .. } | Unit::Milestone(_)) | None => {
                let mut sharing =
                    self.items.iter().filter(|item| self.steps_of(item).contains(&id)).peekable();
                sharing.peek().is_some() && sharing.all(|item| self.lenient.contains(&item.service))
            }
        };
        if is_lenient { FailurePolicy::SkipDependents } else { self.on_failure }
    }

    /// Services of which it runs hooks.
    pub fn hooked(&self) -> BTreeSet<&ServiceName> {
        let hooks = self.units.iter().filter_map(|unit| match unit {
            Unit::Hook { hook, .. } => Some(&hook.service),
            _ => None,
        });
        hooks.collect()
    }

    /// Whether carrying it out makes no call that changes a ship.
    pub fn is_empty(&self) -> bool {
        !self.steps.iter().any(|s| matches!(s.action, Action::Call(_)))
    }

    /// All step ids, in the order of the plan.
    pub fn ids(&self) -> impl Iterator<Item = StepId> + use<> {
        (0..u32::try_from(self.steps.len()).unwrap_or(u32::MAX)).map(StepId)
    }
}
