//! Calls that change a ship.

use super::Target;
use crate::image::ImageRef;
use crate::model::{ContainerSpec, Environment, RestartPolicy, Retry};
use crate::names::{ConfigHash, InstanceName, RegistryName, Secret};
use std::sync::Arc;
use std::time::Duration;

/// A call that changes a ship: each is one request of the Engine API.
#[derive(Debug, Clone)]
pub enum EngineCall {
    /// `POST /auth`: makes sure that a registry accepts the login.
    Login {
        /// Who, and where.
        auth: RegistryAuth,
        /// How often it is tried.
        retry: Retry,
    },
    /// `POST /images/create`.
    PullImage {
        /// The image.
        image: ImageRef,
        /// Who pulls; anonymous, or whoever the Docker credential file names, if none.
        auth: Option<RegistryAuth>,
        /// How often it is tried.
        retry: Retry,
    },
    /// `DELETE /images/{}`: takes a name away, and the image if it has no other; refuses one that a container was made from.
    RemoveImage {
        /// The name.
        image: ImageRef,
    },
    /// `POST /containers/create`.
    CreateContainer {
        /// What is asked for.
        spec: Box<ContainerSpec>,
        /// Its fingerprint.
        hash: ConfigHash,
    },
    /// `POST /containers/{}/start`.
    StartContainer {
        /// Which.
        target: Target,
    },
    /// `POST /containers/{}/stop`.
    StopContainer {
        /// Which.
        target: Target,
        /// How long its process may take before it is killed.
        grace: Duration,
    },
    /// `POST /containers/{}/kill`.
    KillContainer {
        /// Which.
        target: Target,
    },
    /// `POST /containers/{}/rename`.
    RenameContainer {
        /// Which.
        target: Target,
        /// Its new name, which nobody may have.
        to: InstanceName,
    },
    /// `POST /containers/{}/update`: what the engine does when the container's process ends, or the engine starts anew.
    SetRestart {
        /// Which.
        target: Target,
        /// From now on.
        restart: RestartPolicy,
    },
    /// `DELETE /containers/{}`, with its anonymous volumes; refuses running containers.
    RemoveContainer {
        /// Which.
        target: Target,
    },
}

/// What the request of an ordinary call takes at most, in bytes: its connection and buffers are as much.
const ORDINARY: usize = 1 << 15;

impl EngineCall {
    /// For how many ordinary calls it counts among those that are made at the same time: containers of a service with
    /// thousands of instances have a megabyte of variables each.
    pub(crate) fn weight(&self) -> usize {
        match self {
            EngineCall::CreateContainer { spec, .. } => 1 + spec.env.bytes() / ORDINARY,
            _ => 1,
        }
    }

    /// The container whose state shows whether it has happened: the one that it changes, by the name that it has then.
    pub fn evidence(&self) -> Option<&InstanceName> {
        match self {
            EngineCall::RenameContainer { to, .. } => Some(to),
            _ => self.container(),
        }
    }

    /// Whether it is in nobody's way, whenever it comes: it only brings what others may use, too.
    pub fn only_adds(&self) -> bool {
        matches!(self, EngineCall::Login { .. } | EngineCall::PullImage { .. })
    }

    /// The container that it changes, if it changes one.
    pub fn container(&self) -> Option<&InstanceName> {
        match self {
            EngineCall::Login { .. } | EngineCall::PullImage { .. } | EngineCall::RemoveImage { .. } => None,
            EngineCall::CreateContainer { spec, .. } => Some(&spec.name),
            EngineCall::StartContainer { target }
            | EngineCall::StopContainer { target, .. }
            | EngineCall::KillContainer { target }
            | EngineCall::RenameContainer { target, .. }
            | EngineCall::SetRestart { target, .. }
            | EngineCall::RemoveContainer { target } => Some(target.name()),
        }
    }
}

/// A login at a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryAuth {
    /// The entry below `registries:`.
    pub registry: RegistryName,
    /// The server address.
    pub url: Arc<str>,
    /// The user.
    pub username: Arc<str>,
    /// The password; none if it is to come from the Docker credential file.
    pub password: Option<Secret>,
    /// The address that very old registries ask for.
    pub email: Option<Arc<str>>,
}

impl RegistryAuth {
    /// Who pulls an image, if the file says so.
    pub fn for_image(environment: &Environment, image: &ImageRef) -> Option<Self> {
        let registry = environment.registry_of(image)?;
        let login = registry.login.as_ref()?;
        Some(Self {
            registry: registry.name.clone(),
            url: registry.url.clone(),
            username: login.username.clone(),
            password: login.password.clone(),
            email: login.email.clone(),
        })
    }
}
