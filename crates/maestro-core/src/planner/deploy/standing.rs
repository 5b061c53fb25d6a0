//! What is there for an instance, compared with what is to be. Half-done replacements are seen in names and states
//! (`docs/design/0018`).

use super::restarts;
use crate::compare::{Change, changes};
use crate::fleet::{ContainerState, EngineState, KEPT, NEXT, ObservedContainer, Ownership};
use crate::model::{ContainerSpec, Environment, Instance, Picked};
use crate::names::{ConfigHash, InstanceName};
use crate::plan::{Blocked, Fate, Reason};
use crate::planner::builder::Builder;
use crate::planner::ports;
use std::ops::Bound;
use std::sync::Arc;

/// How much of an id or a fingerprint is in a name: as much as engines show.
const SHORT: usize = 12;

/// What is there for an instance.
pub(super) struct Standing<'s> {
    pub(super) spec: ContainerSpec,
    pub(super) hash: ConfigHash,
    /// The container that bears its name.
    pub(super) current: Option<&'s ObservedContainer>,
    /// The container that is what is to be, or where it comes from.
    pub(super) wanted: Wanted<'s>,
    /// Containers that were to take its place, or were replaced and run all the same, and are not what is to be.
    pub(super) left: Vec<&'s ObservedContainer>,
    /// Why something has to be done; none if nothing.
    pub(super) because: Option<Reason>,
    /// Whether what is as it is to be has to be proved all the same.
    pub(super) ask_again: bool,
}

/// Where the container comes from that is what is to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'s> {
    /// It bears the instance's name.
    Current(&'s ObservedContainer),
    /// It is beside what it is to replace.
    Next(&'s ObservedContainer),
    /// It was replaced once.
    Kept(&'s ObservedContainer),
    /// It has to be made.
    New,
}

impl<'s> Standing<'s> {
    pub(super) fn of<'i>(
        builder: &mut Builder<'i>,
        instance: &'i Instance,
        state: &'s EngineState,
        ask_again: bool,
    ) -> Self {
        let (spec, hash) = builder.spec(instance);
        let wanted = state.image(&instance.image).map(|image| &image.id);
        let is_it = |container: &ObservedContainer| {
            container.config_hash().as_ref() == Some(&hash) && wanted == Some(&container.image_id)
        };
        let current = state.containers.get(instance.name.as_str());
        if let Some(current) = current {
            builder.know_seen(instance, current);
        }
        let because = match current {
            None => Some(Reason::Missing),
            Some(current) => {
                let changes = compared(instance, &spec, current, state);
                // It is set right where it is.
                let was_to_rest = is_it(current)
                    && changes.as_deref().is_some_and(|found| restarts::was_about_to_rest(current, found));
                match changes {
                    Some(changes) if !changes.is_empty() && !was_to_rest => {
                        Some(Reason::Differs(changes.into()))
                    }
                    None if !is_it(current) => Some(Reason::Differs(Arc::default())),
                    Some(_) | None if !current.state.is_running() => {
                        Some(taken(builder, instance, current).unwrap_or(Reason::Stopped))
                    }
                    Some(_) | None if !current.state.is_awake() => Some(Reason::Stopped),
                    Some(_) | None
                        if was_to_rest || ask_again || current.state == ContainerState::Restarting =>
                    {
                        Some(Reason::Unproven)
                    }
                    Some(_) | None => None,
                }
            }
        };
        for container in state.nexts(builder.environment, &instance.name) {
            builder.know_seen(instance, container);
        }
        let mut left: Vec<_> = state.nexts(builder.environment, &instance.name).collect();
        // What was replaced, and runs all the same: somebody has started it since, its engine maybe.
        left.extend(kept(state, &instance.name).map(|(_, container)| container).filter(|container| {
            container.state.is_running() && container.is_of(builder.environment, &instance.name)
        }));
        let wanted = match current {
            Some(current) if !matches!(because, Some(Reason::Missing | Reason::Differs(_))) => {
                Wanted::Current(current)
            }
            _ => {
                let is_dead = |container: &ObservedContainer| {
                    matches!(container.state, ContainerState::Dead | ContainerState::Removing)
                };
                // Somebody may have changed it since it was made.
                let is_as_made = |container: &ObservedContainer| {
                    compared(instance, &spec, container, state).is_none_or(|found| found.is_empty())
                };
                let mut is_free = |container: &ObservedContainer| {
                    container.state.is_running() || builder.has_free_ports(&instance.ship, container)
                };
                let next = left.iter().position(|next| {
                    !is_kept(next, &instance.name)
                        && is_it(next)
                        && !is_dead(next)
                        && is_as_made(next)
                        && is_free(next)
                });
                match next {
                    Some(at) => Wanted::Next(left.remove(at)),
                    None => {
                        let mut kept: Vec<_> = kept(state, &instance.name)
                            .filter(|(_, container)| {
                                !container.state.is_running()
                                    && is_it(container)
                                    && container.ownership(builder.environment) == Ownership::Ours
                                    && is_as_made(container)
                            })
                            .collect();
                        // The one that was replaced last has seen most.
                        kept.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
                        let mut kept = kept.into_iter().map(|(_, container)| container);
                        kept.find(|container| builder.has_free_ports(&instance.ship, container))
                            .map_or(Wanted::New, Wanted::Kept)
                    }
                }
            }
        };
        let because = match because {
            None | Some(Reason::Unproven) if !left.is_empty() => Some(Reason::LeftBeside),
            because => because,
        };
        Self { spec, hash, current, wanted, left, because, ask_again }
    }

    /// Whether a container has to be made.
    pub(super) fn wants_new(&self) -> bool {
        matches!(self.wanted, Wanted::New)
    }

    /// Whether what is to be runs.
    pub(super) fn runs_already(&self) -> bool {
        match self.wanted {
            Wanted::Current(container) | Wanted::Next(container) => container.state.is_awake(),
            Wanted::Kept(_) | Wanted::New => false,
        }
    }

    /// Whether something serves that is not what is to be.
    pub(super) fn is_served_by_another(&self) -> bool {
        let current = match self.wanted {
            Wanted::Current(_) => None,
            Wanted::Next(_) | Wanted::Kept(_) | Wanted::New => self.current,
        };
        current.into_iter().chain(self.left.iter().copied()).any(|other| other.state.is_running())
    }

    /// Whether what is to be has to get a name beside the instance's that somebody else's container has.
    pub(super) fn taken_name(
        &self,
        environment: &Environment,
        state: &EngineState,
        name: &InstanceName,
    ) -> Option<Fate> {
        let next = next_name(name, &self.hash);
        let found = state.containers.get(next.as_str())?;
        if !matches!(self.wanted, Wanted::New | Wanted::Kept(_)) || found.is_of(environment, name) {
            return None;
        }
        let whose = match found.ownership(environment) {
            Ownership::Foreign(whose) => whose,
            Ownership::Ours | Ownership::Adoptable => {
                format!("`{next}` was not made to take the place of `{name}`")
            }
        };
        Some(Fate::Blocked(Blocked::Foreign(whose)))
    }
}

/// Why a container that has stopped cannot be started again: somebody else has a port by now that was picked for it.
fn taken(builder: &mut Builder<'_>, instance: &Instance, container: &ObservedContainer) -> Option<Reason> {
    if builder.has_free_ports(&instance.ship, container) {
        return None;
    }
    let picked = Picked::of(instance, &container.labels);
    let of_choice = |(name, port): (&Arc<str>, &crate::model::Port)| {
        Some(Change {
            attribute: format!("ports.{name}"),
            wanted: Some(format!("one of {} that is free", port.external)),
            found: Some(picked.get(name)?.to_string()),
            secret: false,
        })
    };
    let changes: Vec<Change> = instance.ports.iter().filter_map(of_choice).collect();
    Some(Reason::Differs(changes.into()))
}

/// In what a container differs from what is to be. Ports that were picked for it are its own, and no difference.
fn compared(
    instance: &Instance,
    spec: &ContainerSpec,
    container: &ObservedContainer,
    state: &EngineState,
) -> Option<Vec<Change>> {
    let mut spec = spec.clone();
    spec.publish(instance, &Picked::of(instance, &container.labels));
    let mut changes = changes(&spec, container, state);
    if let Some(found) = changes.as_mut().filter(|_| !container.state.is_awake()) {
        found.retain(|change| !restarts::is_seen_to(&change.attribute));
    }
    if let Some((name, range)) = ports::unknown(instance, container) {
        // Its engine has picked one, and may pick another one whenever it starts: no check can know it.
        changes.get_or_insert_default().push(Change {
            attribute: format!("ports.{name}"),
            wanted: Some(format!("one of {range}")),
            found: Some(range.to_string()),
            secret: false,
        });
    }
    changes
}

/// Containers of an instance that were replaced, and when: the higher the number, the later.
pub(super) fn kept<'s>(
    state: &'s EngineState,
    instance: &InstanceName,
) -> impl Iterator<Item = (u64, &'s ObservedContainer)> + use<'s> {
    let prefix = kept_prefix(instance);
    let behind = state.containers.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded));
    behind.map_while(move |(name, container)| {
        let rest = name.strip_prefix(&*prefix)?;
        let number = rest.split('-').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        Some((number, container))
    })
}

/// How the names of containers begin that an instance's were replaced by others.
fn kept_prefix(instance: &InstanceName) -> String {
    format!("{instance}{KEPT}")
}

/// Whether a container of an instance was replaced.
pub(super) fn is_kept(container: &ObservedContainer, instance: &InstanceName) -> bool {
    container.name.starts_with(&*kept_prefix(instance))
}

/// The name of a container that was replaced, and how many were before it.
pub(super) fn kept_name(instance: &InstanceName, number: u64, container: &ObservedContainer) -> InstanceName {
    InstanceName::from(format!("{}{number}-{}", kept_prefix(instance), short(container.id.as_str())).as_str())
}

/// How the names of containers begin that are to take the place of an instance's.
fn next_prefix(instance: &InstanceName) -> String {
    format!("{instance}{NEXT}")
}

/// The name of a container that is to take the place of an instance's.
pub(super) fn next_name(instance: &InstanceName, hash: &ConfigHash) -> InstanceName {
    InstanceName::from(format!("{}{}", next_prefix(instance), short(&hash.0)).as_str())
}

/// Another such name, for one that is not what is to be, and bears the name of the one that is.
pub(super) fn aside_name(instance: &InstanceName, container: &ObservedContainer) -> InstanceName {
    InstanceName::from(format!("{}{}", next_prefix(instance), short(container.id.as_str())).as_str())
}

fn short(text: &str) -> &str {
    text.get(..SHORT).unwrap_or(text)
}
