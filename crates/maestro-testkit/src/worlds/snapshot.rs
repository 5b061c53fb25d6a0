//! What the fleet of an environment may look like.

use crate::state::{Edition, hex};
use jiff::{SignedDuration, Timestamp};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::fleet::{
    ContainerState, EngineState, FleetSnapshot, Health, ObservedContainer, ObservedImage, ShipView,
};
use maestro_core::image::ImageRef;
use maestro_core::model::{
    Environment, LABEL_CONFIG, LABEL_ENVIRONMENT, LABEL_INSTANCE, LABEL_SERVICE, SpecWriter,
};
use maestro_core::names::{ContainerId, ImageId, InstanceName, ShipName};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Now, for all random snapshots: everything in them was before.
pub const NOW: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// What is random about the container of an instance.
#[derive(Debug, Clone, Copy)]
struct Found {
    state: ContainerState,
    whose: Whose,
    /// It was made from the content that its image's name means now.
    image_is_current: bool,
    age: i64,
    code: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    /// Ours, and made from another description.
    OursOutdated,
    /// Made by maestro-ng.
    Adoptable,
    OtherEnvironment,
    OtherTool,
}

fn found() -> impl Strategy<Value = Option<Found>> {
    let state = prop_oneof![
        6 => Just(ContainerState::Running),
        4 => Just(ContainerState::Exited),
        1 => Just(ContainerState::Created),
        1 => Just(ContainerState::Paused),
        1 => Just(ContainerState::Restarting),
        1 => Just(ContainerState::Dead),
    ];
    let whose = prop_oneof![
        8 => Just(Whose::Ours),
        2 => Just(Whose::OursOutdated),
        2 => Just(Whose::Adoptable),
        1 => Just(Whose::OtherEnvironment),
        1 => Just(Whose::OtherTool),
    ];
    let found = (state, whose, prop::bool::weighted(0.8), 1..1_000_000_i64, 0..3_i64).prop_map(
        |(state, whose, image_is_current, age, code)| Found { state, whose, image_is_current, age, code },
    );
    prop::option::weighted(0.7, found)
}

/// What an engine knows of an image: nothing, or something under that name.
fn image_is_there() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.7)
}

/// What the fleet of an environment may look like: ships that cannot be seen, containers that are absent, in any
/// state, outdated or somebody else's, and containers that nobody knows. Details are known for all containers.
pub fn snapshots(environment: &Arc<Environment>) -> BoxedStrategy<FleetSnapshot> {
    let environment = environment.clone();
    let ships = environment.ships.len();
    let instances = environment.instances.len();
    let images = wanted(&environment).len();
    (
        prop::collection::vec(prop::option::weighted(0.15, trouble()), ships),
        prop::collection::vec(found(), instances),
        prop::collection::vec(image_is_there(), images),
        prop::collection::vec(prop::bool::weighted(0.3), ships),
    )
        .prop_map(move |(troubles, found, images, orphans)| {
            assemble(&environment, &troubles, &found, &images, &orphans)
        })
        .boxed()
}

fn trouble() -> impl Strategy<Value = EngineErrorKind> {
    let address = || "192.0.2.1:2375".to_owned();
    prop_oneof![
        Just(EngineErrorKind::Unreachable { address: address(), cause: "connection refused".to_owned() }),
        Just(EngineErrorKind::Unresponsive { address: address(), after: Duration::from_secs(5) }),
        Just(EngineErrorKind::Lost("connection reset by peer".to_owned())),
    ]
}

/// Each image that a ship needs.
fn wanted(environment: &Environment) -> BTreeSet<(&ShipName, &ImageRef)> {
    environment.instances.values().map(|i| (&i.ship, &i.image)).collect()
}

fn assemble(
    environment: &Environment,
    troubles: &[Option<EngineErrorKind>],
    found: &[Option<Found>],
    images: &[bool],
    orphans: &[bool],
) -> FleetSnapshot {
    let mut writer = SpecWriter::new(environment);
    let mut containers: BTreeMap<&ShipName, BTreeMap<Arc<str>, ObservedContainer>> = BTreeMap::new();
    for (instance, found) in environment.instances.values().zip(found) {
        let Some(found) = found else { continue };
        let (spec, hash) = writer.spec(instance);
        let mut labels: BTreeMap<String, String> =
            spec.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        match found.whose {
            Whose::Ours => {}
            Whose::OursOutdated => _ = labels.insert(LABEL_CONFIG.to_owned(), format!("{hash}-before")),
            Whose::Adoptable => labels.clear(),
            Whose::OtherEnvironment => _ = labels.insert(LABEL_ENVIRONMENT.to_owned(), "another".to_owned()),
            Whose::OtherTool => {
                labels = BTreeMap::from([("com.docker.compose.project".to_owned(), "another".to_owned())]);
            }
        }
        let container = container(&instance.name, &instance.ship, &instance.image, labels, *found);
        containers.entry(&instance.ship).or_default().insert(container.name.clone(), container);
    }
    let mut here: BTreeMap<&ShipName, Vec<ObservedImage>> = BTreeMap::new();
    for ((ship, image), there) in wanted(environment).into_iter().zip(images) {
        if *there {
            here.entry(ship).or_default().push(observed_image(image));
        }
    }
    let ships = environment.ships.keys().zip(troubles).zip(orphans).map(|((name, trouble), orphan)| {
        let view = match trouble {
            Some(kind) => ShipView::Unreachable(EngineError {
                ship: name.clone(),
                operation: "listing containers".to_owned(),
                kind: kind.clone(),
                ambiguous: false,
            }),
            None => {
                let mut containers = containers.remove(name).unwrap_or_default();
                if *orphan {
                    let orphan = self::orphan(environment, name);
                    containers.insert(orphan.name.clone(), orphan);
                }
                let images = Some(here.remove(name).unwrap_or_default());
                let version = Edition::V20.version();
                ShipView::Reachable(Arc::new(EngineState {
                    version,
                    containers,
                    images,
                    image_configs: BTreeMap::new(),
                    defaults: None,
                }))
            }
        };
        (name.clone(), view)
    });
    FleetSnapshot { ships: ships.collect() }
}

fn image_id(image: &ImageRef, current: bool) -> ImageId {
    ImageId::new(format!(
        "sha256:{}",
        hex(&["image", image.as_str(), if current { "now" } else { "before" }])
    ))
}

fn observed_image(image: &ImageRef) -> ObservedImage {
    let name = crate::state::listed(image);
    let (tags, digests) =
        if image.digest().is_some() { (Vec::new(), vec![name]) } else { (vec![name], Vec::new()) };
    ObservedImage { id: image_id(image, true), tags, digests }
}

fn container(
    name: &InstanceName,
    ship: &ShipName,
    image: &ImageRef,
    labels: BTreeMap<String, String>,
    found: Found,
) -> ObservedContainer {
    let ago = |seconds: i64| NOW.saturating_sub(SignedDuration::from_secs(seconds)).unwrap_or(NOW);
    let ran = found.state != ContainerState::Created;
    let ended = ran && !matches!(found.state, ContainerState::Running | ContainerState::Paused);
    ObservedContainer {
        id: ContainerId::new(hex(&["container", ship.as_str(), name.as_str()])),
        name: name.as_str().into(),
        state: found.state,
        health: Some(if found.state == ContainerState::Running && image.as_str().contains("/healthy") {
            Health::Healthy
        } else {
            Health::None
        }),
        image: image.clone(),
        image_id: image_id(image, found.image_is_current),
        labels,
        started_at: ran.then(|| ago(found.age)),
        finished_at: ended.then(|| ago(found.age / 2)),
        exit_code: matches!(found.state, ContainerState::Exited | ContainerState::Dead).then_some(found.code),
        restarts: Some(u64::from(found.state == ContainerState::Restarting)),
        ports: std::collections::BTreeMap::new(),
        configuration: None,
    }
}

/// A container of this environment that the file does not name any more.
fn orphan(environment: &Environment, ship: &ShipName) -> ObservedContainer {
    let name = InstanceName::from("forgotten-1");
    let labels = BTreeMap::from([
        (LABEL_ENVIRONMENT.to_owned(), environment.display_name().to_owned()),
        (LABEL_SERVICE.to_owned(), "forgotten".to_owned()),
        (LABEL_INSTANCE.to_owned(), name.to_string()),
    ]);
    let found = Found {
        state: ContainerState::Running,
        whose: Whose::Ours,
        image_is_current: true,
        age: 1_000,
        code: 0,
    };
    container(&name, ship, &ImageRef::parse("forgotten:1"), labels, found)
}
