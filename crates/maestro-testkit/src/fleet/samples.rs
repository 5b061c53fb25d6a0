//! The conformance suite's images on a pretended engine.

use crate::conformance::{Harness, Remote, Sample};
use crate::daemon::Setup;
use crate::state::{Behaviour, Content, Ends, Registries};
use futures_util::future::BoxFuture;
use maestro_core::boundary::{Engine, LogStream};
use maestro_core::fleet::ImageConfig;
use maestro_core::image::ImageRef;
use maestro_core::names::{RegistryName, Secret};
use maestro_core::plan::RegistryAuth;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

const REGISTRY: &str = "registry.example.com:5000";

/// What a pretended engine has and reaches so that the conformance suite can run over it.
pub fn sample_setup(ship: &str) -> Setup {
    let registries = Registries::none();
    let remote = Content::new("conformance remote", Behaviour::forever())
        .with_layers(vec![1_000, 500_000, 0], Duration::from_millis(40));
    registries.push(&format!("{REGISTRY}/conformance/remote:1"), &remote);
    registries.require_login(REGISTRY, "ci", "secret");
    Sample::ALL.into_iter().fold(Setup::new(ship).registries(&registries), |setup, sample| {
        setup.image(name(sample), &Content::new(name(sample), behaviour(sample)).with_config(config(sample)))
    })
}

/// What a sample says of its containers.
fn config(sample: Sample) -> ImageConfig {
    let command = vec!["program".to_owned()];
    match sample {
        Sample::Forever => {
            let text = str::to_owned;
            ImageConfig {
                command,
                env: vec![text("PATH=/usr/bin:/bin"), text("LANG=C")],
                labels: [(text("made-by"), text("conformance"))].into(),
                user: text("0:0"),
                workdir: text("/tmp"),
                exposed: [text("8080/tcp"), text("9/udp")].into(),
                volumes: [text("/image-volume")].into(),
                stop_signal: text("SIGTERM"),
                ..ImageConfig::default()
            }
        }
        Sample::Exits3 | Sample::IgnoresTerm | Sample::Healthy => {
            ImageConfig { command, ..ImageConfig::default() }
        }
    }
}

fn name(sample: Sample) -> &'static str {
    match sample {
        Sample::Forever => "conformance/forever:1",
        Sample::Exits3 => "conformance/exits3:1",
        Sample::IgnoresTerm => "conformance/ignores-term:1",
        Sample::Healthy => "conformance/healthy:1",
    }
}

fn behaviour(sample: Sample) -> Behaviour {
    match sample {
        Sample::Forever => Behaviour::forever().says(LogStream::Stdout, "up"),
        Sample::Exits3 => {
            let line = |millis, stream, text: &str| (Duration::from_millis(millis), stream, text.to_owned());
            Behaviour {
                ends: Ends::After(Duration::from_millis(400), 3),
                output: vec![
                    line(0, LogStream::Stdout, "one"),
                    line(100, LogStream::Stderr, "oops"),
                    line(200, LogStream::Stdout, "two"),
                    line(300, LogStream::Stdout, "three"),
                ],
                ..Behaviour::default()
            }
        }
        Sample::IgnoresTerm => Behaviour::ignores_term(),
        Sample::Healthy => Behaviour::healthy(Duration::from_millis(500)),
    }
}

/// Any client of a pretended engine that was made by [`sample_setup`].
pub struct SampleHarness {
    engine: Arc<dyn Engine>,
    next_port: AtomicU16,
}

impl SampleHarness {
    /// Over this client.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, next_port: AtomicU16::new(20_000) }
    }
}

impl std::fmt::Debug for SampleHarness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SampleHarness").finish_non_exhaustive()
    }
}

impl Harness for SampleHarness {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.clone()
    }

    fn sample(&self, sample: Sample) -> BoxFuture<'_, Result<ImageRef, String>> {
        Box::pin(async move { Ok(ImageRef::parse(name(sample))) })
    }

    fn remote(&self) -> Remote {
        Remote {
            image: ImageRef::parse(format!("{REGISTRY}/conformance/remote:1")),
            unknown: ImageRef::parse(format!("{REGISTRY}/conformance/nothing:1")),
            auth: RegistryAuth {
                registry: RegistryName::from("main"),
                url: format!("https://{REGISTRY}").into(),
                username: "ci".into(),
                password: Some(Secret::new("secret")),
                email: None,
            },
        }
    }

    fn free_port(&self) -> u16 {
        self.next_port.fetch_add(1, Ordering::Relaxed)
    }
}
