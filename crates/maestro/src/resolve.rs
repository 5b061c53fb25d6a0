//! What image references stand for, before anybody pulls them: one content for all ships.

use crate::observe::Engines;
use futures_util::stream::{self, StreamExt};
use maestro_core::engine_error::EngineError;
use maestro_core::image::ImageRef;
use maestro_core::model::Environment;
use maestro_core::names::{InstanceName, ShipName};
use maestro_core::plan::RegistryAuth;
use std::collections::{BTreeMap, BTreeSet};

/// Registries that limit how much they are asked limit it by who asks.
const QUESTIONS: usize = 16;

/// What became of the question what a reference stands for.
pub type Resolved = BTreeMap<ImageRef, Result<String, EngineError>>;

/// Asks the registries, each through an engine that needs the image. A ship that does not answer is passed over; the
/// others are asked instead. Pinned references stand for themselves and are not asked about.
pub async fn resolve(environment: &Environment, engines: &Engines, instances: &[InstanceName]) -> Resolved {
    let mut wanted: BTreeMap<&ImageRef, BTreeSet<&ShipName>> = BTreeMap::new();
    for instance in instances.iter().filter_map(|name| environment.instances.get(name)) {
        if instance.image.digest().is_none() {
            wanted.entry(&instance.image).or_default().insert(&instance.ship);
        }
    }
    let questions = wanted.into_iter().map(|(image, ships)| async move {
        let auth = RegistryAuth::for_image(environment, image);
        let mut last = None;
        for engine in ships.into_iter().filter_map(|ship| engines.get(ship)) {
            match engine.resolve(image, auth.as_ref()).await {
                Err(error) if error.kind.is_about_ship() => last = Some(Err(error)),
                answer => {
                    last = Some(answer);
                    break;
                }
            }
        }
        Some((image.clone(), last?))
    });
    let answers = stream::iter(questions).buffer_unordered(QUESTIONS);
    answers.filter_map(async |answer| answer).collect().await
}
