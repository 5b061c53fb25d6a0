//! Small things that the tests here share.

use maestro_core::boundary::{CallOutcome, Engine};
use maestro_core::engine_error::EngineError;
use maestro_core::image::ImageRef;
use maestro_core::model::{ContainerEnv, ContainerSpec, Retry, Settings};
use maestro_core::names::InstanceName;
use maestro_core::plan::{EngineCall, Target};
use maestro_testkit::daemon::Setup;
use maestro_testkit::fake_engine::FakeEngine;
use maestro_testkit::faults::Faults;
use maestro_testkit::state::{Behaviour, Content, CreateConfig};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const IMAGE: &str = "app:1";

/// A create request for [`IMAGE`].
pub(crate) fn config() -> CreateConfig {
    CreateConfig { image: IMAGE.to_owned(), ..CreateConfig::default() }
}

pub(crate) fn setup(behaviour: Behaviour) -> Setup {
    Setup::new("ship-1").address("192.0.2.1:2375").image(IMAGE, &Content::new("app", behaviour))
}

/// An engine that has [`IMAGE`].
pub(crate) fn engine(behaviour: Behaviour, faults: Faults) -> FakeEngine {
    setup(behaviour).faults(faults).into()
}

pub(crate) fn named(name: &str) -> Target {
    Target::Made(InstanceName::from(name))
}

pub(crate) fn create(name: &str) -> EngineCall {
    let name = InstanceName::from(name);
    let spec = ContainerSpec {
        hostname: Some(name.clone()),
        name,
        image: ImageRef::parse(IMAGE),
        env: ContainerEnv {
            own: Vec::new(),
            links: std::sync::Arc::default(),
            picked: std::sync::Arc::default(),
        },
        ports: Vec::new(),
        settings: Settings::default().into(),
        labels: BTreeMap::new(),
    };
    EngineCall::CreateContainer { hash: spec.config_hash(), spec: Box::new(spec) }
}

pub(crate) fn start(name: &str) -> EngineCall {
    EngineCall::StartContainer { target: named(name) }
}

pub(crate) fn stop(name: &str, grace: u64) -> EngineCall {
    EngineCall::StopContainer { target: named(name), grace: Duration::from_secs(grace) }
}

pub(crate) fn pull(image: &str) -> EngineCall {
    let retry = Retry { attempts: 1, ..Retry::default() };
    EngineCall::PullImage { image: ImageRef::parse(image), auth: None, retry }
}

pub(crate) async fn perform(engine: &FakeEngine, call: EngineCall) -> Result<CallOutcome, EngineError> {
    engine.perform(&call, &|_| {}).await
}

/// The writes so far, one line each.
pub(crate) fn writes(engine: &FakeEngine) -> Vec<String> {
    engine.writes().iter().map(ToString::to_string).collect()
}
