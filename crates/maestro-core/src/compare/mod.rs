//! What is otherwise with a container than the file has it, attribute by attribute.
//!
//! An engine lays what is asked for over what the image says, fills in a good deal by itself, and tells it in words of its
//! own that differ by release. So what is asked for is laid over the image here as engines do (`asked`), both
//! sides are reduced to one text per attribute (`reduced`), without what engines fill in, and the texts are compared.
//!
//! What Maestro never asks for has to be as the engine leaves it: whoever gives a container a limit of processes has
//! changed it. A field that is not known here, of an engine to come, is not looked at.
//!
//! `between` compares what two files would make, in the same words.

mod asked;
mod between;
mod reduced;
mod secrets;
mod settled;
mod texts;
#[cfg(test)]
mod tests;

/// What an engine would tell of a container in its usual network that was made of this, and of an image that says nothing.
#[cfg(test)]
pub(crate) fn told(spec: &ContainerSpec) -> crate::fleet::Configuration {
    let networks = [("bridge".to_owned(), crate::fleet::Connection::default())].into();
    crate::fleet::Configuration { networks, ..asked::configuration(spec, &asked::NO_IMAGE) }
}

pub use between::{Difference, Extent, between};

use crate::fleet::{EngineState, ObservedContainer};
use crate::image::ImageRef;
use crate::model::{ContainerSpec, LABEL_CONFIG, LABEL_SECRETS};
use crate::names::ImageId;
use reduced::{Attributes, Same};
pub use secrets::shown_command;
use secrets::{HIDDEN, is_veiled, veiled};
use std::fmt;

/// One attribute in which a container is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Such as `image`, `memory`, `env.LANG`, `ports.80/tcp`, `labels.team`.
    pub attribute: String,
    /// What it should be; none for nothing. As it may be shown: what is secret of it is `…`.
    pub wanted: Option<String>,
    /// What it is; none for nothing. As it may be shown.
    pub found: Option<String>,
    /// Whether anything of the texts is not shown: they may then look the same.
    pub secret: bool,
}

impl fmt::Display for Change {
    /// `memory: 64 MiB instead of 32 MiB`: what is, instead of what should be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: {} instead of {}", self.attribute, text(&self.found), text(&self.wanted))
    }
}

impl Change {
    /// Shows nothing of either side.
    fn veil(&mut self) {
        for text in [&mut self.wanted, &mut self.found].into_iter().flatten() {
            HIDDEN.clone_into(text);
        }
        self.secret = true;
    }

    /// `memory: from 32 MiB to 64 MiB`: what is, and what will be.
    pub fn to_come(&self) -> String {
        match (&self.found, &self.wanted) {
            (None, Some(wanted)) => format!("{}: set to {wanted}", self.attribute),
            (Some(found), None) => format!("{}: no longer {found}", self.attribute),
            (found, wanted) => {
                let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
                format!("{}: from {} to {}", self.attribute, text(found), text(wanted))
            }
        }
    }
}

/// In what a container differs from what would be made of the file now, in the order of the attributes, the image first.
/// None if it cannot be told: its configuration was not asked for.
///
/// Nothing is said of state and name. `engine` is the one that the container is on; with its images, it is seen whether
/// the name of the image means another one by now.
pub fn changes(
    spec: &ContainerSpec,
    container: &ObservedContainer,
    engine: &EngineState,
) -> Option<Vec<Change>> {
    let found = container.configuration.as_deref()?;
    let means = engine.image(&spec.image).map(|image| &image.id);
    let config = |id: &ImageId| engine.image_configs.get(id).map(|config| &**config);
    let image = means.and_then(config).or_else(|| config(&container.image_id));
    let mut changes: Vec<Change> = image_change(spec, container, means).into_iter().collect();
    let asked = asked::configuration(spec, image.unwrap_or(&asked::NO_IMAGE));
    let same = Same::of(&asked.config, &found.config);
    let mut wanted = reduced::attributes(&asked, engine, same);
    let mut is = reduced::attributes(found, engine, same);
    settled::settle(&mut wanted, &mut is, spec, container, engine);
    if image.is_none() {
        is.retain(|attribute, _| wanted.contains_key(attribute) || !may_come_from_image(attribute));
    }
    changes.extend(differences(&wanted, &is));
    let secrets = spec.env.secrets();
    let of_container = container.labels.get(LABEL_SECRETS).map(String::as_str).unwrap_or_default();
    for change in &mut changes {
        let name = change.attribute.strip_prefix("env.");
        if name.is_some_and(|name| secrets.contains_key(name) || of_container.split(' ').any(|of| of == name))
        {
            change.veil();
        }
    }
    if changes.is_empty()
        && let (Some(wanted), Some(found)) =
            (spec.labels.get(LABEL_CONFIG), container.labels.get(LABEL_CONFIG))
        && **wanted != **found
        && (spec.image.digest().is_some() || is_hashed_by_tag(&container.image))
    {
        // Whoever made it, another Maestro perhaps, asked for something that cannot be seen.
        changes.push(change(&format!("labels.{LABEL_CONFIG}"), Some(wanted), Some(found)));
    }
    Some(changes)
}

/// Whether it is another image, by name or by content.
fn image_change(
    spec: &ContainerSpec,
    container: &ObservedContainer,
    means: Option<&ImageId>,
) -> Option<Change> {
    let (wanted, found) = (spec.image.without_pin(), container.image.without_pin());
    // The digest behind a tag says what is known by id, as long as the image is there.
    let name = |image: &ImageRef| ImageRef::parse(image.without_pin());
    let is_named_so = match means {
        // A file says a tag, and a deployment made the container of what that stood for then.
        _ if spec.image.digest().is_none() => spec.image.names_same(&without_digest(&container.image)),
        Some(_) => name(&spec.image).names_same(&name(&container.image)),
        None => spec.image.names_same(&container.image),
    };
    if !is_named_so {
        let (wanted, found) = if wanted == found {
            // They differ in their digests.
            (spec.image.as_str(), container.image.as_str())
        } else {
            (wanted, found)
        };
        return Some(change("image", Some(wanted), Some(found)));
    }
    let means = means.filter(|id| **id != container.image_id)?;
    let with = |name: &str, id: &ImageId| format!("{name} ({})", short(id));
    Some(change("image", Some(&with(wanted, means)), Some(&with(found, &container.image_id))))
}

/// A reference without its digest, which may have no tag either.
fn without_digest(image: &ImageRef) -> ImageRef {
    ImageRef::parse(image.as_str().split('@').next().unwrap_or_default())
}

/// Whether the fingerprint of a container of this image is the one that the tag alone would have given.
fn is_hashed_by_tag(image: &ImageRef) -> bool {
    ImageRef::parse(image.without_pin()).digest().is_none()
}

/// The first digits of an image's id.
fn short(id: &ImageId) -> &str {
    let digits = id.as_str().rsplit(':').next().unwrap_or_default();
    digits.get(..12).unwrap_or(digits)
}

fn may_come_from_image(attribute: &str) -> bool {
    matches!(attribute, "command" | "entrypoint" | "user" | "workdir" | "stop_signal")
        || ["env.", "labels.", "expose.", "volumes.", "healthcheck."]
            .iter()
            .any(|of| attribute.starts_with(of))
}

fn differences(wanted: &Attributes, found: &Attributes) -> Vec<Change> {
    let mut attributes: Vec<&String> = wanted.keys().chain(found.keys()).collect();
    attributes.sort_unstable();
    attributes.dedup();
    let differ = |attribute: &&String| wanted.get(*attribute) != found.get(*attribute);
    let change = |attribute: &String| {
        let text = |of: &Attributes| of.get(attribute).cloned();
        change(attribute, text(wanted).as_deref(), text(found).as_deref())
    };
    attributes.into_iter().filter(differ).map(change).collect()
}

fn change(attribute: &str, wanted: Option<&str>, found: Option<&str>) -> Change {
    let shown = |text: &str| veiled(attribute, text);
    Change {
        secret: [wanted, found].into_iter().flatten().any(|text| is_veiled(attribute, text)),
        attribute: attribute.to_owned(),
        wanted: wanted.map(shown),
        found: found.map(shown),
    }
}
