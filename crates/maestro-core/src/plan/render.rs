//! The text form of a plan: one line per instance and step. It is what golden tests compare; its steps are what people
//! read under `maestro plan --full`.

use super::{
    Action, Blocked, Condition, DelayReason, EngineCall, Fate, Milestone, Plan, Settled, StepId, Unit,
};
use crate::names::BalancerName;
use std::fmt;

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unit::Instance { instance, ship } => write!(f, "{instance} on {ship}"),
            Unit::Image { ship, image } => write!(f, "image {image} on {ship}"),
            Unit::Login { ship, registry } => write!(f, "registry {registry} on {ship}"),
            Unit::Hook { hook, ship: Some(ship) } => write!(f, "{hook} on {ship}"),
            Unit::Hook { hook, ship: None } => hook.fmt(f),
            Unit::Milestone(Milestone::Service(service)) => write!(f, "service {service}"),
            Unit::Milestone(Milestone::Proved(service)) => write!(f, "replacements of {service}"),
            Unit::Milestone(Milestone::Deployed) => f.write_str("all instances"),
            Unit::Milestone(Milestone::Images) => f.write_str("all images"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::Running => "running",
            Condition::Steady => "steady",
            Condition::NotRunning => "not running",
        })
    }
}

impl fmt::Display for EngineCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineCall::Login { auth, .. } => write!(f, "log in to {} as {}", auth.url, auth.username),
            EngineCall::PullImage { image, .. } => write!(f, "pull {image}"),
            EngineCall::RemoveImage { image } => write!(f, "remove {image}"),
            EngineCall::CreateContainer { spec, .. } => write!(f, "create {} from {}", spec.name, spec.image),
            EngineCall::StartContainer { target } => write!(f, "start {}", target.name()),
            EngineCall::StopContainer { target, grace } => {
                write!(f, "stop {} (grace {} s)", target.name(), grace.as_secs_f64())
            }
            EngineCall::KillContainer { target } => write!(f, "kill {}", target.name()),
            EngineCall::RenameContainer { target, to } => write!(f, "rename {} to {to}", target.name()),
            EngineCall::SetRestart { target, restart } => {
                write!(f, "set restart of {} to {}", target.name(), restart.name)
            }
            EngineCall::RemoveContainer { target } => write!(f, "remove {}", target.name()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Call(call) => call.fmt(f),
            Action::Await { target, condition, .. } => {
                write!(f, "wait until {} is {condition}", target.name())
            }
            Action::Check { phase, check, .. } => write!(f, "{} check {}", phase.key(), check.name()),
            Action::Delay { pause, why } => {
                let why = match why {
                    DelayReason::Step => "before the next instance",
                    DelayReason::StopStart => "between stop and start",
                };
                write!(f, "wait {} s {why}", pause.as_secs_f64())
            }
            Action::Route { balancers, change } => {
                let balancers: Vec<&str> = balancers.iter().map(BalancerName::as_str).collect();
                if !balancers.is_empty() {
                    write!(f, "tell {}", balancers.join(", "))?;
                }
                for endpoint in &change.admit {
                    write!(f, ", requests go to {endpoint}")?;
                    if let Some(portion) = endpoint.portion {
                        write!(f, " ({portion})")?;
                    }
                }
                for container in &change.drain {
                    write!(f, ", none go to {container} any more")?;
                }
                for container in &change.withdraw {
                    write!(f, ", {container} is gone")?;
                }
                for service in &change.level {
                    write!(f, ", all of {service} get the same")?;
                }
                for front_end in &change.leave {
                    write!(f, "do without {front_end}")?;
                }
                for front_end in &change.join {
                    write!(f, ", with {front_end}")?;
                }
                Ok(())
            }
            Action::Provide { front_end } => write!(f, "give {front_end} its configuration"),
            Action::Finish { hook, .. } | Action::Local { hook, .. } => hook.fmt(f),
            Action::Reached => f.write_str("done"),
        }
    }
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Settled::Up => f.write_str("is up"),
            Settled::Down => f.write_str("is down"),
            Settled::UpToDate => f.write_str("is up to date"),
            Settled::AsReleased => f.write_str("is as released"),
            Settled::Absent => f.write_str("is absent"),
            Settled::Running => f.write_str("is running; left alone"),
            Settled::HostDown(error) => write!(f, "cannot be seen: {error}"),
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blocked::Ship(error) => write!(f, "{error}"),
            Blocked::Foreign(whose) => write!(f, "a container of that name exists and is not ours: {whose}"),
            Blocked::Variables(excess) => excess.fmt(f),
            Blocked::Unavailable { service, going, allowed, unseen: 0 } => write!(
                f,
                "{going} of {service} would have to stop before it starts, and {allowed} may be down, with those that are already"
            ),
            Blocked::Unavailable { service, unseen, allowed, .. } => write!(
                f,
                "{unseen} of the instances of {service} cannot be seen, and {allowed} may be down at a time"
            ),
            Blocked::HalfDone(next) => {
                write!(f, "a deployment was broken off, and has left {next} running in its place")
            }
            Blocked::Ports { ship, range } => write!(f, "no port of {range} is free on ship {ship}"),
            Blocked::Alone { service, why } => {
                write!(f, "there cannot be two of it, since {why}, and none of {service} may be down")
            }
            Blocked::Dependency(other) => write!(f, "needs {other}, which is blocked"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.intent.name(), self.environment)?;
        for item in &self.items {
            write!(f, "  {} ({}) on {}: ", item.instance, item.service, item.ship)?;
            match &item.fate {
                Fate::Act { because, hindrance: None, .. } => writeln!(f, "{because}")?,
                Fate::Act { because, hindrance: Some(why), .. } => {
                    writeln!(f, "{because}; stopped first, since {why}")?;
                }
                Fate::Settled(settled) => writeln!(f, "{settled}")?,
                Fate::Blocked(blocked) => writeln!(f, "blocked: {blocked}")?,
                Fate::Waits { canaries, because } => {
                    writeln!(f, "waits for {canaries} of {}: {because}", item.service)?;
                }
            }
        }
        self.trials.iter().try_for_each(|trial| writeln!(f, "  {trial}"))?;
        self.ids().filter_map(|id| self.step_text(id)).try_for_each(|step| writeln!(f, "  {step}"))
    }
}

impl Plan {
    /// A step on one line: its number, what it is about, what is done, and the numbers of the steps that it comes after.
    pub fn step_text(&self, id: StepId) -> Option<String> {
        let (step, unit) = (self.step(id)?, self.unit_of(id)?);
        let mut text = format!("{:>3}. {unit}: {}", id.0 + 1, step.action);
        if !step.after.is_empty() {
            let after: Vec<String> = step.after.iter().map(|StepId(i)| (i + 1).to_string()).collect();
            text = text + " [after " + &after.join(" ") + "]";
        }
        Some(text)
    }
}
