//! What is to be said of what is on a ship already: names, ports, volumes, networks, neighbours.

use super::{Findings, Here, Severity, Topic, World};
use crate::fleet::{HostPort, Occupant, Ownership, is_orphan};
use crate::model::{Instance, LABEL_SERVICE, bindings};
use crate::names::{InstanceName, ServiceName};

/// Network modes that every engine has.
const MODES: [&str; 5] = ["", "default", "bridge", "host", "none"];

pub(super) fn look(findings: &mut Findings, world: &World<'_>, here: &Here<'_>) {
    for instance in here.members {
        name(findings, world, here, instance);
        host_ports(findings, world, here, instance);
        volumes(findings, here, instance);
        networks(findings, here, instance);
        neighbours(findings, world, here, instance);
    }
}

fn name(findings: &mut Findings, world: &World<'_>, here: &Here<'_>, instance: &Instance) {
    let Some(container) = here.state.containers.get(instance.name.as_str()) else { return };
    if let Ownership::Foreign(whose) = container.ownership(world.environment) {
        let note = findings.note(
            Severity::Error,
            Topic::Names,
            "a container with an instance's name is not ours",
            "rename or remove that container by hand, or give the instance another name",
        );
        note.about(here.ship, instance, format!("{}: {whose}", instance.name));
    }
}

/// The ports of the host that an instance publishes, each as what the engine may choose from.
pub(super) fn ports(instance: &Instance) -> Vec<Vec<HostPort>> {
    let mode = instance.settings.network_mode.as_deref().unwrap_or("");
    if matches!(mode, "host" | "none") || mode.starts_with("container:") {
        return Vec::new();
    }
    let choice = |binding: crate::model::PortBinding| {
        let (first, last) =
            binding.external.split_once('-').unwrap_or((&binding.external, &binding.external));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        // Of port 0 the engine makes whichever is free.
        let all = (first..=last).filter(|port| *port > 0);
        let all: Vec<_> = all.map(|port| HostPort::new(binding.protocol, &binding.address, port)).collect();
        (!all.is_empty()).then_some(all)
    };
    bindings(instance).into_iter().filter_map(choice).collect()
}

fn host_ports(findings: &mut Findings, world: &World<'_>, here: &Here<'_>, instance: &Instance) {
    let others = || here.facts.occupants.iter().filter(|other| *other.name != *instance.name.as_str());
    let has = |other: &&Occupant, port: &HostPort| other.ports.iter().any(|own| own.clashes(port));
    let takes_its_own =
        here.facts.occupants.iter().any(|o| *o.name == *instance.name.as_str() && o.in_host_network);
    for choice in ports(instance) {
        let holders: Vec<_> = choice.iter().map(|port| others().find(|other| has(other, port))).collect();
        if let [port] = &choice[..] {
            if let Some(holder) = holders.first().copied().flatten() {
                taken(findings, world, here, instance, port, holder);
            } else if !takes_its_own {
                listening(findings, here, instance, port);
            }
        } else if let (Some(first), Some(last)) = (choice.first(), choice.last())
            && holders.iter().all(Option::is_some)
        {
            let note = findings.note(
                Severity::Error,
                Topic::Ports,
                "all ports of a range are taken by other containers",
                "widen the range, or stop containers that have its ports",
            );
            note.about(here.ship, instance, format!("{}-{last} of {}", first.port, instance.name));
        }
    }
}

/// Another container has the port.
fn taken(
    findings: &mut Findings,
    world: &World<'_>,
    here: &Here<'_>,
    instance: &Instance,
    port: &HostPort,
    holder: &Occupant,
) {
    let known = here.state.containers.get(&holder.name);
    let stop = known.and_then(|container| world.takeovers.stop_of(here.ship, &container.id));
    let start = world.takeovers.start_of(here.ship, &instance.name);
    // What is not started now comes into nobody's way now.
    let goes_before = match (stop, start) {
        (Some(stop), Some(start)) => world.takeovers.follows(start, stop),
        (Some(_), None) => true,
        (None, _) => false,
    };
    let whose = match known.map(|container| container.ownership(world.environment)) {
        Some(Ownership::Foreign(whose)) => format!("{}, and {whose}", holder.name),
        _ => holder.name.to_string(),
    };
    let cause = format!("{port} of {}: {whose} has it", instance.name);
    if let Some(container) = known.filter(|known| is_orphan(world.environment, here.ship, known)) {
        if goes_before {
            return;
        }
        let service = container.labels.get(LABEL_SERVICE).map(|label| ServiceName::from(label.as_str()));
        if service.is_some_and(|service| world.environment.services.contains_key(&service)) {
            if start.is_some() {
                let note = findings.note(
                    Severity::Error,
                    Topic::Ports,
                    "a port is taken by what the file does not have there any more",
                    "deploy the whole service of the container that has it, or stop that container by hand",
                );
                note.about(here.ship, instance, cause);
            }
        } else {
            let note = findings.note(
                Severity::Error,
                Topic::Ports,
                "a port is taken by a container of a service that the file does not have any more",
                "`maestro deploy --remove-orphans` stops it first; or give the instance another port",
            );
            note.about(here.ship, instance, cause);
        }
        return;
    }
    let replaced = here.members.iter().find(|other| *other.name.as_str() == *holder.name);
    if goes_before && replaced.is_none() {
        // It was kept of an instance, say, and runs all the same.
        return;
    }
    let gives_it_up = replaced.is_some_and(|other| {
        let wants = ports(other);
        !wants.iter().any(|choice| choice.len() == 1 && choice.iter().any(|own| own.clashes(port)))
    });
    let note = if gives_it_up && (goes_before || start.is_none()) {
        findings.note(
            Severity::Warning,
            Topic::Ports,
            "a port is taken by another instance, which gives it up in the same deployment",
            "nothing, if that is meant: the one that has it stops first",
        )
    } else if gives_it_up && stop.is_some() {
        findings.note(
            Severity::Error,
            Topic::Ports,
            "a port is taken by another instance, which gives it up only after it would be needed",
            "deploy the instance that has it first, by its name; if neither can be first, give one another port meanwhile",
        )
    } else {
        findings.note(
            Severity::Error,
            Topic::Ports,
            "a port is taken by another container",
            "stop the container that has it, or give the instance another port",
        )
    };
    note.about(here.ship, instance, cause);
}

/// No container has the port: what was heard there?
fn listening(findings: &mut Findings, here: &Here<'_>, instance: &Instance, port: &HostPort) {
    let own = here.facts.occupants.iter().find(|other| *other.name == *instance.name.as_str());
    if own.is_some_and(|own| own.ports.iter().any(|own| own.clashes(port))) {
        return;
    }
    match here.facts.listening.get(port) {
        Some(Ok(true)) => {
            let note = findings.note(
                Severity::Error,
                Topic::Ports,
                "something listens on a port that no container publishes",
                "see what it is on the host (`ss -lptun`): a process, or a container in the host's network; stop it, or \
                 give the instance another port",
            );
            note.about(here.ship, instance, format!("{port} of {}", instance.name));
        }
        Some(Err(why)) => {
            let note = findings.note(
                Severity::Unknown,
                Topic::Ports,
                format!("whether a port is free on the host: {why}"),
                "look on the host (`ss -ltun`); over SSH Maestro could do so by itself",
            );
            note.about(here.ship, instance, format!("{port} of {}", instance.name));
        }
        Some(Ok(false)) | None => {}
    }
}

fn volumes(findings: &mut Findings, here: &Here<'_>, instance: &Instance) {
    let Some(there) = &here.facts.volumes else {
        if instance.settings.binds.iter().any(|bind| volume(bind).is_some()) {
            let note = findings.note(
                Severity::Unknown,
                Topic::Volumes,
                "whether volumes are there",
                "let the engine's proxy answer `GET /volumes`",
            );
            note.about(here.ship, instance, "the engine does not list its volumes".to_owned());
        }
        return;
    };
    for name in instance.settings.binds.iter().filter_map(|bind| volume(bind)) {
        if !there.contains(name) {
            let note = findings.note(
                Severity::Warning,
                Topic::Volumes,
                "a volume is not there: the engine makes an empty one",
                "nothing, if it is new; else see where its data is before an instance starts without them",
            );
            note.about(here.ship, instance, format!("{name} of {}", instance.name));
        }
    }
}

/// The name of the volume of a bind; none if it is a path of the host.
fn volume(bind: &str) -> Option<&str> {
    let source = bind.split(':').next()?;
    (!source.is_empty() && !source.starts_with(['/', '.', '~'])).then_some(source)
}

fn networks(findings: &mut Findings, here: &Here<'_>, instance: &Instance) {
    let mode = instance.settings.network_mode.as_deref().unwrap_or("");
    if MODES.contains(&mode) || mode.starts_with("container:") {
        return;
    }
    match &here.facts.networks {
        Some(there) if there.contains(mode) => {}
        Some(_) => {
            let note = findings.note(
                Severity::Error,
                Topic::Networks,
                "a network is not there",
                "make it on that host (`docker network create`), or correct `net:`",
            );
            note.about(here.ship, instance, format!("{mode} of {}", instance.name));
        }
        None => {
            let note = findings.note(
                Severity::Unknown,
                Topic::Networks,
                "whether networks are there",
                "let the engine's proxy answer `GET /networks`",
            );
            note.about(here.ship, instance, "the engine does not list its networks".to_owned());
        }
    }
}

/// Containers that the engine wants to see when it makes this one.
fn neighbours(findings: &mut Findings, world: &World<'_>, here: &Here<'_>, instance: &Instance) {
    let settings = &*instance.settings;
    let before_colon = |text: &'_ str| text.split(':').next().unwrap_or_default().to_owned();
    let from = settings.volumes_from.iter().map(|text| ("volumes", before_colon(text)));
    let links = settings.links.iter().map(|text| ("a link", before_colon(text)));
    let network = settings.network_mode.iter().filter_map(|mode| mode.strip_prefix("container:"));
    let network = network.map(|name| ("the network", name.to_owned()));
    for (what, name) in from.chain(links).chain(network) {
        let comes = here.members.iter().any(|other| other.name.as_str() == name);
        // By its id it may be asked for, too.
        let is_there = here.state.containers.contains_key(&*name)
            || here.state.containers.values().any(|other| other.id.as_str().starts_with(&*name));
        if !comes && !is_there {
            let elsewhere = world.environment.instances.get(&InstanceName::from(&*name));
            let place = match elsewhere {
                Some(other) if other.ship == *here.ship => "which is not started yet".to_owned(),
                Some(other) => format!("which is on {}", other.ship),
                None => "which does not exist".to_owned(),
            };
            let note = findings.note(
                Severity::Error,
                Topic::Networks,
                "a container is not there that another one is to use",
                "start it first, or correct the name",
            );
            note.about(here.ship, instance, format!("{} wants {what} of {name}, {place}", instance.name));
        }
    }
}
