//! The suite that the pretended engines pass, over real ones: both releases, all ways to reach them.

use super::site::Site;
use futures_util::future::{BoxFuture, join_all};
use maestro::engine::{DockerEngine, EngineOptions};
use maestro_core::boundary::Engine;
use maestro_core::config::{Limits, load};
use maestro_core::image::ImageRef;
use maestro_core::names::{RegistryName, Secret};
use maestro_core::plan::{RegistryAuth, Target};
use maestro_core::source::MapSources;
use maestro_testkit::conformance::{CASES, Harness, Remote, Sample, run};
use maestro_testkit::practice::{EngineApi, PracticeFleet, TransportKind};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

struct Real {
    engine: Arc<dyn Engine>,
    api: EngineApi,
    base: String,
    remote: Remote,
    port: AtomicU16,
}

impl Harness for Real {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.clone()
    }

    fn sample(&self, sample: Sample) -> BoxFuture<'_, Result<ImageRef, String>> {
        Box::pin(async move {
            let (name, _) = recipe(sample);
            Ok(ImageRef::parse(format!("{name}:1")))
        })
    }

    fn ready<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let command = ["test", "-e", "/ready"].map(str::to_owned);
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.engine.run_in(target, &command).await != Ok(0) {
                if Instant::now() > deadline {
                    return Err("the sample was not ready within 20 s".to_owned());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        })
    }

    fn remote(&self) -> Remote {
        self.remote.clone()
    }

    fn free_port(&self) -> u16 {
        self.port.fetch_add(1, Ordering::Relaxed)
    }
}

/// Name and configuration of a sample image.
fn recipe(sample: Sample) -> (&'static str, Value) {
    let shell = |script: &str| json!({ "Cmd": ["sh", "-c", script], "Env": ["PATH=/usr/bin:/bin"] });
    match sample {
        Sample::Forever => {
            let mut config = shell(
                "echo up; trap 'kill $! 2>/dev/null; exit 0' TERM; touch /ready; nc -ll -p 8080 -e echo hello & wait $!",
            );
            config["Env"] = json!(["PATH=/usr/bin:/bin", "LANG=C"]);
            config["Labels"] = json!({ "made-by": "conformance" });
            config["User"] = json!("0:0");
            config["WorkingDir"] = json!("/tmp");
            config["ExposedPorts"] = json!({ "8080/tcp": {}, "9/udp": {} });
            config["Volumes"] = json!({ "/image-volume": {} });
            config["StopSignal"] = json!("SIGTERM");
            ("conformance/forever", config)
        }
        Sample::Exits3 => {
            ("conformance/exits3", shell("echo one; echo oops >&2; echo two; echo three; exit 3"))
        }
        Sample::IgnoresTerm => {
            ("conformance/ignores-term", shell("trap '' TERM; touch /ready; while :; do sleep 1; done"))
        }
        Sample::Healthy => {
            let mut config = shell("trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done");
            config["Healthcheck"] = json!({ "Test": ["CMD", "true"], "Interval": 1_000_000_000u64 });
            ("conformance/healthy", config)
        }
    }
}

impl Real {
    /// Makes the sample images out of the bare one, which has been pulled.
    async fn prepare(&self) {
        let body = json!({ "Image": self.base });
        self.api.post("/containers/create?name=sample-base", &body).await.unwrap();
        for sample in Sample::ALL {
            let (name, config) = recipe(sample);
            let path = format!("/commit?container=sample-base&repo={name}&tag=1");
            self.api.post(&path, &config).await.unwrap();
        }
        self.api.delete("/containers/sample-base").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_engines_conform() {
    let transports = [TransportKind::Tcp, TransportKind::Tls, TransportKind::Ssh, TransportKind::Unix];
    let site = Site::up(PracticeFleet::builder().ships(&transports).mixed()).await;
    let text = format!("name: x\n{}", site.fleet.description().environment_yaml());
    let environment = load(&MapSources::of(text), &Limits::default()).environment.unwrap();
    let options = EngineOptions {
        ssh_config: site.fleet.description().ssh_config.clone(),
        docker_config: Some(site.path().to_owned()),
        ..EngineOptions::default()
    };
    let registry = site.fleet.description().registry.clone().unwrap();
    let suites = environment.ships.values().map(async |ship| {
        let real = Real {
            engine: Arc::new(DockerEngine::new(ship.clone(), options.clone())),
            api: site.fleet.api(ship.name.as_str()).unwrap(),
            base: site.fleet.load_image(ship.name.as_str(), "bb:latest").await.unwrap(),
            remote: Remote {
                image: ImageRef::parse(site.image("shop/web:2.0")),
                unknown: ImageRef::parse(site.image("shop/nothing:1")),
                auth: RegistryAuth {
                    registry: RegistryName::from("practice"),
                    url: registry.url.as_str().into(),
                    username: registry.login.username.as_str().into(),
                    password: Some(Secret::new(registry.login.password.as_str())),
                    email: None,
                },
            },
            port: AtomicU16::new(20_000),
        };
        real.prepare().await;
        let mut failed = Vec::new();
        for case in CASES {
            if let Err(problem) = run(case, &real).await {
                failed.push(format!("{} ({}): {problem}", ship.name, ship.transport));
            }
        }
        failed
    });
    let failed: Vec<String> = join_all(suites).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} failures:\n{}", failed.len(), failed.join("\n"));
}
