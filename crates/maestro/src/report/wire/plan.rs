//! Plans for machines.

use super::Error;
use super::status::health;
use maestro_core::names::BalancerName;
use maestro_core::plan::{self, Action, Blocked, Condition, EngineCall, OnFailure, Reason, Settled, Unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Everything that one command will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The environment's name.
    pub environment: String,
    /// The command, such as `start`.
    pub command: String,
    /// One per selected instance, in the order of the command.
    pub items: Vec<Item>,
    /// Services whose canaries get a portion of the requests while they are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<Canaries>,
    /// What is to be done, every step after those it depends on.
    pub steps: Vec<Step>,
    /// What stops serving meanwhile, one entry per service of which anything does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outages: Vec<Outage>,
    /// Balancers that are told what the file says of them now although nothing is done to containers. That is a release,
    /// too, and a reason for exit code 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub balancers: Vec<String>,
}

impl Plan {
    /// The same, which tells these balancers something without any step.
    #[must_use]
    pub fn telling(self, balancers: &BTreeSet<BalancerName>) -> Self {
        let balancers = balancers.iter().map(|name| name.as_str().into()).collect();
        Self { balancers, ..self }
    }
}

/// What of a service stops serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// The service.
    pub service: String,
    /// How many of its instances go down, one after another or at once.
    pub instances: usize,
    /// How many of them are down at the same time at most, as long as nothing fails.
    pub at_once: usize,
    /// How many of them stay down.
    pub stay_down: usize,
    /// The longest that is waited for one that comes up again, in seconds; none if none does. Grace, checks, bake and pauses,
    /// each as long as it may take. What engines take for what they do comes on top, and so do programs and requests without a limit.
    pub at_most_seconds: Option<u64>,
}

/// What the canaries of a service get of its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canaries {
    /// The service.
    pub service: String,
    /// Those of its instances that are tried.
    pub instances: Vec<String>,
    /// How many of a hundred requests they get together.
    pub weight: u8,
    /// The balancers that send them there.
    pub balancers: Vec<String>,
}

impl From<&plan::Trial> for Canaries {
    fn from(trial: &plan::Trial) -> Self {
        Self {
            service: trial.service.as_str().into(),
            instances: trial.canaries.iter().map(|name| name.as_str().into()).collect(),
            weight: trial.portion.percent,
            balancers: trial.balancers.iter().map(|name| name.as_str().into()).collect(),
        }
    }
}

/// One selected instance and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The instance.
    pub instance: String,
    /// Its service.
    pub service: String,
    /// Its ship.
    pub ship: String,
    /// Its image, as the file names it.
    pub image: String,
    /// The container that is there now.
    pub container: Option<Container>,
    /// What becomes of it.
    pub fate: Fate,
    /// Why: `missing`, `stopped`, `asked`, `image_moved`, `refresh`, `differs`, `unproven`,
    /// `left_beside` where something is done or waits;
    /// `up`, `down`, `up_to_date`, `as_released`, `absent`, `running`, `host_down` where nothing is to be done;
    /// `host_down`, `foreign`, `variables`, `unavailable`, `half_done`, `ports`, `alone`, `dependency` where it cannot.
    pub reason: String,
    /// The same in words.
    pub text: String,
    /// Why it is stopped before its replacement starts, where its strategy would have it otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_first: Option<String>,
    /// In which attributes it differs from what it is to be, where that is the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Ids of its steps, shared ones among them.
    pub steps: Vec<u32>,
    /// Why its ship cannot be seen.
    pub error: Option<Error>,
}

/// An attribute of a container that is not as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Such as `image`, `memory`, `env.LANG`.
    pub attribute: String,
    /// What it is; none for nothing. What is secret is `…`.
    pub from: Option<String>,
    /// What it is to be.
    pub to: Option<String>,
}

impl From<&maestro_core::compare::Change> for Change {
    fn from(change: &maestro_core::compare::Change) -> Self {
        Self { attribute: change.attribute.clone(), from: change.found.clone(), to: change.wanted.clone() }
    }
}

/// What becomes of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Something is done.
    Act,
    /// Nothing is to be done.
    Settled,
    /// It cannot be done.
    Blocked,
    /// It is to be done, and waits for others to be tried and for somebody to decide.
    Waits,
}

/// A container that was there when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// The image that it was made from.
    pub image: String,
    /// What it was doing, in the engine's words.
    pub state: String,
    /// What its HEALTHCHECK said.
    pub health: Option<String>,
    /// When it last started.
    pub started_at: Option<String>,
    /// When it last ended.
    pub finished_at: Option<String>,
}

/// One engine call or one wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its id: its index among the steps.
    pub id: u32,
    /// The ship that it is done on.
    pub ship: Option<String>,
    /// The instance that it is done to; shared steps have none.
    pub instance: Option<String>,
    /// What is done: `login`, `pull_image`, `create_container`, `start_container`, `stop_container`, `kill_container`,
    /// `rename_container`, `remove_container`, `await_running`, `await_not_running`, `check`, `delay`, `finish_hook`,
    /// `run_local_hook`, `reached`.
    pub action: String,
    /// The same in words.
    pub text: String,
    /// Ids of the steps that must be over before it.
    pub after: Vec<u32>,
    /// Whether there are failures of it that are none of the command's.
    pub tolerated: bool,
}

impl From<&plan::Plan> for Plan {
    fn from(plan: &plan::Plan) -> Self {
        let steps = plan.ids().zip(&plan.steps).map(|(id, step)| {
            let unit = plan.unit_of(id);
            Step {
                id: id.0,
                ship: unit.and_then(Unit::ship).map(|ship| ship.as_str().into()),
                instance: match unit {
                    Some(Unit::Instance { instance, .. }) => Some(instance.as_str().into()),
                    Some(
                        Unit::Image { .. } | Unit::Login { .. } | Unit::Hook { .. } | Unit::Milestone(_),
                    )
                    | None => None,
                },
                action: action(&step.action).into(),
                text: step.action.to_string(),
                after: step.after.iter().map(|id| id.0).collect(),
                tolerated: step.on_failure != OnFailure::Fail,
            }
        });
        Self {
            environment: plan.environment.clone(),
            command: plan.intent.name().into(),
            items: plan.items.iter().map(Item::from).collect(),
            canaries: plan.trials.iter().map(Canaries::from).collect(),
            steps: steps.collect(),
            outages: plan.outages().iter().map(Outage::from).collect(),
            balancers: Vec::new(),
        }
    }
}

impl From<&plan::Outage> for Outage {
    fn from(outage: &plan::Outage) -> Self {
        Self {
            service: outage.service.as_str().into(),
            instances: outage.instances,
            at_once: outage.at_once,
            stay_down: outage.stay,
            at_most_seconds: (outage.stay < outage.instances).then(|| outage.seconds()),
        }
    }
}

impl From<&plan::Item> for Item {
    fn from(item: &plan::Item) -> Self {
        let (fate, reason, text, error) = match &item.fate {
            plan::Fate::Act { because, .. } => (Fate::Act, reason(because), because.to_string(), None),
            plan::Fate::Settled(settled) => {
                let (word, error) = match settled {
                    Settled::Up => ("up", None),
                    Settled::Down => ("down", None),
                    Settled::UpToDate => ("up_to_date", None),
                    Settled::AsReleased => ("as_released", None),
                    Settled::Absent => ("absent", None),
                    Settled::Running => ("running", None),
                    Settled::HostDown(error) => ("host_down", Some(error)),
                };
                (Fate::Settled, word, settled.to_string(), error)
            }
            plan::Fate::Blocked(blocked) => {
                let (word, error) = match blocked {
                    Blocked::Ship(error) => ("host_down", Some(error)),
                    Blocked::Foreign(_) => ("foreign", None),
                    Blocked::Variables(_) => ("variables", None),
                    Blocked::Unavailable { .. } => ("unavailable", None),
                    Blocked::HalfDone(_) => ("half_done", None),
                    Blocked::Ports { .. } => ("ports", None),
                    Blocked::Alone { .. } => ("alone", None),
                    Blocked::Dependency(_) => ("dependency", None),
                };
                (Fate::Blocked, word, blocked.to_string(), error)
            }
            plan::Fate::Waits { because, .. } => (Fate::Waits, reason(because), because.to_string(), None),
        };
        Self {
            instance: item.instance.as_str().into(),
            service: item.service.as_str().into(),
            ship: item.ship.as_str().into(),
            image: item.image.as_str().into(),
            container: item.container.as_ref().map(Container::from),
            fate,
            reason: reason.into(),
            text,
            stopped_first: match &item.fate {
                plan::Fate::Act { hindrance, .. } => hindrance.as_ref().map(ToString::to_string),
                plan::Fate::Settled(_) | plan::Fate::Blocked(_) | plan::Fate::Waits { .. } => None,
            },
            changes: match &item.fate {
                plan::Fate::Act { because: Reason::Differs(changes), .. }
                | plan::Fate::Waits { because: Reason::Differs(changes), .. } => {
                    changes.iter().map(Change::from).collect()
                }
                _ => Vec::new(),
            },
            steps: match &item.fate {
                plan::Fate::Act { steps, .. } => steps.iter().map(|id| id.0).collect(),
                plan::Fate::Settled(_) | plan::Fate::Blocked(_) | plan::Fate::Waits { .. } => Vec::new(),
            },
            error: error.map(Error::from),
        }
    }
}

impl From<&plan::Seen> for Container {
    fn from(seen: &plan::Seen) -> Self {
        Self {
            id: seen.id.as_str().into(),
            image: seen.image.as_str().into(),
            state: seen.state.name().into(),
            health: seen.health.map(|h| health(h).into()),
            started_at: seen.started_at.map(|t| t.to_string()),
            finished_at: seen.finished_at.map(|t| t.to_string()),
        }
    }
}

fn reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::Missing => "missing",
        Reason::Stopped => "stopped",
        Reason::Asked => "asked",
        Reason::ImageMoved { .. } => "image_moved",
        Reason::Refresh => "refresh",
        Reason::Differs(_) => "differs",
        Reason::Unproven => "unproven",
        Reason::LeftBeside => "left_beside",
        Reason::Gone => "gone",
        Reason::Moved(_) => "moved",
    }
}

pub(super) fn action(action: &Action) -> &'static str {
    match action {
        Action::Call(call) => match call {
            EngineCall::Login { .. } => "login",
            EngineCall::PullImage { .. } => "pull_image",
            EngineCall::RemoveImage { .. } => "remove_image",
            EngineCall::CreateContainer { .. } => "create_container",
            EngineCall::StartContainer { .. } => "start_container",
            EngineCall::StopContainer { .. } => "stop_container",
            EngineCall::KillContainer { .. } => "kill_container",
            EngineCall::RenameContainer { .. } => "rename_container",
            EngineCall::SetRestart { .. } => "set_restart",
            EngineCall::RemoveContainer { .. } => "remove_container",
        },
        Action::Await { condition: Condition::Running, .. } => "await_running",
        Action::Await { condition: Condition::Steady, .. } => "await_steady",
        Action::Await { condition: Condition::NotRunning, .. } => "await_not_running",
        Action::Check { .. } => "check",
        Action::Delay { .. } => "delay",
        Action::Route { .. } => "route",
        Action::Provide { .. } => "provide",
        Action::Finish { .. } => "finish_hook",
        Action::Local { .. } => "run_local_hook",
        Action::Reached => "reached",
    }
}
