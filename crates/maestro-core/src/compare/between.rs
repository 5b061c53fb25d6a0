//! In what the containers of two environments differ, whatever runs.

use super::reduced::Same;
use super::secrets::HIDDEN;
use super::{Change, asked, change, differences, reduced};
use crate::fleet::{EngineState, EngineVersion};
use crate::image::ImageRef;
use crate::model::{ApiVersion, Environment, Instance, LABEL_CONFIG, LABEL_SECRETS, SpecWriter};
use crate::names::{InstanceName, Secret, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// An instance that is not the same in two environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub instance: InstanceName,
    /// Its service.
    pub service: ServiceName,
    /// How they differ.
    pub extent: Extent,
}

/// How far two environments differ in an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Only the second one has it.
    Added,
    /// Only the first one has it.
    Removed,
    /// In these attributes: found in the first, wanted by the second.
    Changed(Vec<Change>),
}

/// All instances that are not the same, in the order of their names.
pub fn between<'a>(from: &'a Environment, to: &'a Environment) -> Vec<Difference> {
    let (mut from_specs, mut to_specs) = (SpecWriter::new(from), SpecWriter::new(to));
    // What an engine would fill in is the same for both.
    let engine = EngineState {
        version: EngineVersion { engine: String::new(), api: ApiVersion::NEWEST, min_api: None },
        containers: BTreeMap::new(),
        images: None,
        image_configs: BTreeMap::new(),
        defaults: None,
    };
    let mut changes = |from: &'a Instance, to: &'a Instance| {
        let ((was, _), (is, _)) = (from_specs.spec(from), to_specs.spec(to));
        let mut changes = Vec::new();
        changes.extend(image(&was.image, &is.image));
        if from.ship != to.ship {
            changes.push(change("ship", Some(to.ship.as_str()), Some(from.ship.as_str())));
        }
        let asked = |spec| asked::configuration(spec, &asked::NO_IMAGE);
        let (wanted, found) = (asked(&is), asked(&was));
        let same = Same::of(&wanted.config, &found.config);
        let attributes = |of| reduced::attributes(of, &engine, same);
        let (wanted, found) = (attributes(&wanted), attributes(&found));
        let fingerprint = format!("labels.{LABEL_CONFIG}");
        let marks = format!("labels.{LABEL_SECRETS}");
        let is_ours = |change: &Change| change.attribute == fingerprint || change.attribute == marks;
        let mut differences = differences(&wanted, &found);
        differences.retain(|change| !is_ours(change));
        let (wanted, found) = (is.env.secrets(), was.env.secrets());
        for change in &mut differences {
            by_name(change, &wanted, &found);
        }
        changes.extend(differences);
        changes
    };
    let names: BTreeSet<&InstanceName> = from.instances.keys().chain(to.instances.keys()).collect();
    let differences = names.into_iter().filter_map(|name| {
        let (instance, extent) = match (from.instances.get(name), to.instances.get(name)) {
            (Some(was), Some(is)) => {
                let changes = changes(was, is);
                (is, (!changes.is_empty()).then_some(Extent::Changed(changes))?)
            }
            (None, Some(is)) => (is, Extent::Added),
            (Some(was), None) => (was, Extent::Removed),
            (None, None) => return None,
        };
        Some(Difference { instance: name.clone(), service: instance.service.clone(), extent })
    });
    differences.collect()
}

/// Of a variable that is a secret on either side, its name in the file is shown, and nothing of a value.
fn by_name(change: &mut Change, wanted: &BTreeMap<&str, &Secret>, found: &BTreeMap<&str, &Secret>) {
    let Some(variable) = change.attribute.strip_prefix("env.") else { return };
    let names = [wanted, found].map(|side| side.get(variable).and_then(|secret| secret.name()).cloned());
    if names.iter().all(Option::is_none) {
        return;
    }
    change.veil();
    for (text, name) in [&mut change.wanted, &mut change.found].into_iter().zip(names) {
        if let Some(name) = name {
            *text = Some(format!("!secret {name}"));
        }
    }
    change.secret = [&change.wanted, &change.found].into_iter().flatten().any(|text| text == HIDDEN);
}

/// Whether it is another image. A tag of which nobody has asked what it stands for may be the same.
fn image(was: &ImageRef, is: &ImageRef) -> Option<Change> {
    let names = (was.without_pin(), is.without_pin());
    if names.0 != names.1 {
        return Some(change("image", Some(names.1), Some(names.0)));
    }
    let both = was.digest().is_some() && is.digest().is_some();
    (both && was.as_str() != is.as_str()).then(|| change("image", Some(is.as_str()), Some(was.as_str())))
}
