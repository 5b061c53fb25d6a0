//! What is to be said of images: whether registries have them and let ships in, what they were built for, and whether they
//! have room.

use super::{Findings, Here, Learnt, Severity, Topic, World, bytes, state};
use crate::boundary::RegistryImage;
use crate::engine_error::EngineErrorKind;
use crate::fleet::{EngineState, FleetSnapshot};
use crate::image::ImageRef;
use crate::model::{Environment, Instance};
use crate::names::{InstanceName, ShipName};
use crate::release::disagreement;
use std::collections::{BTreeMap, BTreeSet};

/// With less than this free, an engine can hardly do anything.
const LEAST: u64 = 64 << 20;

/// Which images registries are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// All.
    All,
    /// Those that are not on the ships that need them.
    Missing,
}

/// Which ship should ask which registry what an image is: every image is asked about, and every ship asks every registry
/// that it needs, once.
pub fn questions(
    environment: &Environment,
    fleet: &FleetSnapshot,
    instances: &[InstanceName],
    asking: Asking,
) -> BTreeSet<(ShipName, ImageRef)> {
    let mut asked: BTreeMap<&ImageRef, usize> = BTreeMap::new();
    let mut by_ship: BTreeMap<(&ShipName, &str), BTreeSet<&ImageRef>> = BTreeMap::new();
    for instance in instances.iter().filter_map(|name| environment.instances.get(name)) {
        let Some(state) = state(fleet, &instance.ship) else { continue };
        if asking == Asking::All || lacks(state, &instance.image, None) {
            asked.insert(&instance.image, 0);
            by_ship
                .entry((&instance.ship, instance.image.registry_host()))
                .or_default()
                .insert(&instance.image);
        }
    }
    let mut questions = BTreeSet::new();
    for ((ship, _), images) in &by_ship {
        let rarest = images.iter().min_by_key(|image| asked.get(**image).copied().unwrap_or(0));
        if let Some(image) = rarest {
            *asked.entry(image).or_default() += 1;
            questions.insert(((*ship).clone(), (*image).clone()));
        }
    }
    for ((ship, _), images) in by_ship {
        for image in images {
            let times = asked.entry(image).or_default();
            if *times == 0 {
                *times += 1;
                questions.insert((ship.clone(), image.clone()));
            }
        }
    }
    questions
}

/// What registries say of images, whoever asked.
pub(super) fn answers(learnt: &Learnt) -> BTreeMap<&ImageRef, &RegistryImage> {
    let answers = learnt.registries.iter();
    answers.filter_map(|((_, image), answer)| Some((image, answer.as_ref().ok()?))).collect()
}

/// What the largest image of each repository takes that any ship has.
pub(super) fn largest(learnt: &Learnt) -> BTreeMap<&str, u64> {
    let mut largest = BTreeMap::new();
    for (repository, size) in learnt.hosts.values().flatten().flat_map(|host| &host.sizes) {
        let known: &mut u64 = largest.entry(repository.as_str()).or_default();
        *known = (*known).max(*size);
    }
    largest
}

/// Whether a ship would have to get an image.
fn lacks(state: &EngineState, image: &ImageRef, answer: Option<&RegistryImage>) -> bool {
    match answer {
        Some(answer) if image.digest().is_none() => state.image(&image.pinned(&answer.digest)).is_none(),
        _ => state.image(image).is_none(),
    }
}

pub(super) fn look(findings: &mut Findings, world: &World<'_>, here: &Here<'_>) {
    let mut wanted: BTreeMap<&ImageRef, Vec<&Instance>> = BTreeMap::new();
    for instance in here.members {
        wanted.entry(&instance.image).or_default().push(instance);
    }
    for (image, instances) in &wanted {
        platform(findings, world, here, image, instances);
    }
    let missing: Vec<&ImageRef> = wanted
        .into_keys()
        .filter(|image| lacks(here.state, image, world.answers.get(image).copied()))
        .collect();
    disk(findings, world, here, &missing);
}

fn platform(
    findings: &mut Findings,
    world: &World<'_>,
    here: &Here<'_>,
    image: &ImageRef,
    instances: &[&Instance],
) {
    let Some(machine) = &here.facts.platform else {
        let note = findings.note(
            Severity::Unknown,
            Topic::Platform,
            "whether images were built for a ship",
            "let the engine's proxy answer `GET /version`",
        );
        note.at(here.ship, "the engine does not tell what it runs on".to_owned());
        return;
    };
    let offered: Vec<_> = match world.answers.get(image).copied() {
        Some(answer) => answer.platforms.iter().collect(),
        None => here.facts.platforms.get(image).into_iter().collect(),
    };
    if offered.is_empty() || offered.iter().any(|platform| machine.runs(platform)) {
        return;
    }
    // Somebody has set up emulation, or it is not the program that was built for something else.
    let found = here.state.image(image).map(|image| &image.id);
    if here.state.containers.values().any(|c| c.state.is_running() && Some(&c.image_id) == found) {
        return;
    }
    let offered: BTreeSet<String> = offered.iter().map(ToString::to_string).collect();
    let offered: Vec<String> = offered.into_iter().collect();
    let note = findings.note(
        Severity::Error,
        Topic::Platform,
        "an image was not built for a ship's platform",
        "build and push it for that platform, too, or move the instance to another ship",
    );
    let place = note.at(here.ship, format!("{image} is for {}, the ship is {machine}", offered.join(", ")));
    place.instances.extend(instances.iter().map(|instance| instance.name.clone()));
}

fn disk(findings: &mut Findings, world: &World<'_>, here: &Here<'_>, missing: &[&ImageRef]) {
    let place = here.facts.data_root.as_deref().unwrap_or("its data directory");
    let disk = match &here.facts.disk {
        Ok(disk) => disk,
        // What needs no room fits.
        Err(_) if missing.is_empty() => return,
        Err(why) => {
            let note = findings.note(
                Severity::Unknown,
                Topic::Disk,
                format!("whether images have room: {why}"),
                "look on the host (`df`); over SSH Maestro could do so by itself",
            );
            note.at(here.ship, format!("{} to be pulled", count(missing.len(), "image")));
            return;
        }
    };
    let free = format!("{} free of {} at {place}", bytes(disk.free), bytes(disk.total));
    if disk.free < LEAST {
        let note = findings.note(
            Severity::Error,
            Topic::Disk,
            "the disk is full: no image can be pulled there, and no container be made",
            "make room: `docker system df` on that host tells what takes it, `docker image prune` removes what nobody \
             uses",
        );
        note.at(here.ship, free);
        return;
    }
    let size = |image: &ImageRef| {
        let repository = image.listed_repository();
        here.facts.sizes.get(repository).or_else(|| world.largest.get(repository)).copied()
    };
    let estimates: Vec<u64> = missing.iter().filter_map(|image| size(image)).collect();
    let unknown = missing.len() - estimates.len();
    let estimate = estimates.into_iter().fold(0u64, u64::saturating_add);
    // Downloaded and unpacked, a layer is there twice for a while.
    if disk.free < estimate.saturating_mul(2) {
        let note = findings.note(
            Severity::Warning,
            Topic::Disk,
            "images may not have room: an estimate, by what images of the same names take, twice, for layers are there \
             twice while they are unpacked",
            "make room: `docker system df` on that host tells what takes it, `docker image prune` removes what nobody \
             uses",
        );
        let what = count(missing.len(), "image");
        note.at(here.ship, format!("{what} of about {} to be pulled, {free}", bytes(estimate)));
    }
    if unknown > 0 {
        let note = findings.note(
            Severity::Unknown,
            Topic::Disk,
            "how large images are that no ship has had: registries do not tell through engines",
            "nothing: if they do not fit, nothing will have been stopped",
        );
        note.at(here.ship, format!("{} to be pulled, {free}", count(unknown, "such image")));
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// What registries said, or did not.
pub(super) fn look_at_registries(findings: &mut Findings, world: &World<'_>) {
    let mut disagreements: BTreeMap<&ImageRef, Option<String>> = BTreeMap::new();
    let all: Vec<InstanceName> =
        world.ships.values().flatten().map(|instance| instance.name.clone()).collect();
    for ((ship, image), answer) in &world.learnt.registries {
        let Err(error) = answer else { continue };
        let Some(state) = state(&world.learnt.fleet, ship) else { continue };
        if error.kind.is_about_ship() {
            findings.unreachable(ship, &error.kind);
            continue;
        }
        let host = image.registry_host();
        let is_same = |other: &&&Instance| other.image.registry_host() == host;
        let members = world.ships.get(ship).into_iter().flatten();
        let wanting: Vec<&&Instance> = members.filter(is_same).collect();
        let is_about_image = matches!(error.kind, EngineErrorKind::NotFound(_));
        // Where nobody knows what the image is, all ships have to have the same.
        let disagreement = match world.answers.get(image) {
            Some(_) => None,
            None => disagreements
                .entry(image)
                .or_insert_with(|| disagreement(world.environment, &world.learnt.fleet, &all, image))
                .as_deref(),
        };
        let needs = |other: &&&Instance| {
            (other.image == *image || !is_about_image)
                && lacks(state, &other.image, world.answers.get(&other.image).copied())
        };
        let lacking: BTreeSet<InstanceName> =
            wanting.iter().filter(|other| needs(other)).map(|other| other.name.clone()).collect();
        let severity =
            if lacking.is_empty() && disagreement.is_none() { Severity::Warning } else { Severity::Error };
        let what = match &error.kind {
            EngineErrorKind::NotFound(_) => "an image is not in its registry",
            EngineErrorKind::Unauthorized { .. } => "a registry does not let a ship in",
            EngineErrorKind::Registry { .. } => "a registry cannot be asked",
            _ => "an engine does not ask registries",
        };
        let what = if severity == Severity::Warning {
            format!("{what}; the ship has what it needs of it")
        } else {
            what.to_owned()
        };
        let remedy = error.kind.hint().unwrap_or_else(|| {
            format!("try `docker pull` on that host; is {host} up, and can that host reach it?")
        });
        let why = disagreement.map(|why| format!(", and {why}")).unwrap_or_default();
        let note = findings.note(severity, Topic::Registry, what, remedy);
        let place = note.at(ship, format!("{image}: {}{why}", error.kind));
        if lacking.is_empty() {
            let same = wanting.iter().filter(|other| other.image == *image);
            place.instances.extend(same.map(|other| other.name.clone()));
        } else {
            place.instances.extend(lacking);
        }
    }
}
