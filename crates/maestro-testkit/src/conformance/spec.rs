//! Specifications of containers for the suite.

use maestro_core::image::ImageRef;
use maestro_core::model::{
    ContainerEnv, ContainerSpec, EnvVar, LABEL_CONFIG, LABEL_ENVIRONMENT, LABEL_INSTANCE, LABEL_SERVICE,
    PortBinding, Protocol, Settings,
};
use maestro_core::names::InstanceName;
use maestro_core::plan::EngineCall;
use std::collections::BTreeMap;

/// A container of an image, with everything left at its default, and Maestro's labels.
pub(crate) fn plain(name: InstanceName, image: ImageRef) -> ContainerSpec {
    with_settings(name, image, Settings::default())
}

/// A container of an image with these settings, and Maestro's labels.
pub(crate) fn with_settings(name: InstanceName, image: ImageRef, settings: Settings) -> ContainerSpec {
    let mut spec = ContainerSpec {
        hostname: Some(name.clone()),
        env: ContainerEnv::of(vec![EnvVar::new("WHO", name.as_str())]),
        image,
        ports: Vec::new(),
        labels: BTreeMap::from([
            (LABEL_ENVIRONMENT.into(), "conformance".into()),
            (LABEL_SERVICE.into(), "suite".into()),
            (LABEL_INSTANCE.into(), name.as_str().into()),
        ]),
        settings: settings.into(),
        name,
    };
    seal(&mut spec);
    spec
}

/// The same, published on a host port.
pub(crate) fn published(mut spec: ContainerSpec, port: u16) -> ContainerSpec {
    spec.ports = vec![PortBinding {
        exposed: 8080,
        protocol: Protocol::Tcp,
        address: "0.0.0.0".into(),
        external: port.to_string().into(),
    }];
    seal(&mut spec);
    spec
}

fn seal(spec: &mut ContainerSpec) {
    let hash = spec.config_hash();
    spec.labels.insert(LABEL_CONFIG.into(), hash.0.into());
}

/// The call that creates it.
pub(crate) fn create(spec: &ContainerSpec) -> EngineCall {
    EngineCall::CreateContainer { hash: spec.config_hash(), spec: Box::new(spec.clone()) }
}
