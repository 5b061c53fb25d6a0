//! What engines tell of what containers were made of.

use crate::conformance::{Context, Sample, expect, expect_eq, spec};
use maestro_core::boundary::Scope;
use maestro_core::compare::changes;
use maestro_core::model::{
    ContainerEnv, ContainerSpec, EnvVar, LogConfig, PortBinding, Protocol, RestartPolicy, Settings, Ulimit,
};
use maestro_core::plan::Target;
use std::sync::Arc;

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// A specification that says something of everything that one container can have at once.
async fn rich(cx: &Context<'_>) -> Result<ContainerSpec, String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let neighbour = cx.launch(Sample::Forever).await?;
    let settings = Settings {
        command: Some(texts(["sleep", "1000"])),
        volumes: ["/anonymous".to_owned()].into(),
        volumes_from: vec![neighbour.name().to_string()],
        links: vec![format!("{}:other", neighbour.name())],
        user: Some("1:1".into()),
        cap_add: texts(["NET_ADMIN"]),
        cap_drop: texts(["MKNOD"]),
        extra_hosts: texts(["gw:192.0.2.1"]),
        restart: RestartPolicy { name: "on-failure".into(), retries: 3 },
        dns: texts(["192.0.2.53"]),
        cpu_shares: Some(512),
        memory: Some(64 << 20),
        log: Some(LogConfig {
            driver: "json-file".into(),
            options: [("max-size".to_owned(), "1m".to_owned())].into(),
        }),
        ulimits: vec![Ulimit { name: "nofile".into(), soft: Some(1024), hard: Some(2048) }],
        security_opt: texts(["no-new-privileges"]),
        labels: [("team".to_owned(), "shop".to_owned())].into(),
        workdir: Some("/".into()),
        ..Settings::default()
    };
    let mut spec = spec::published(spec::with_settings(cx.name(), image, settings), cx.harness.free_port());
    spec.ports.push(PortBinding {
        exposed: 53,
        protocol: Protocol::Udp,
        address: "127.0.0.1".into(),
        external: cx.harness.free_port().to_string().into(),
    });
    spec.env = ContainerEnv::of(vec![
        EnvVar::new("LANG", "de"),
        EnvVar::new("EMPTY", ""),
        EnvVar { name: "NOTHING".into(), value: None },
    ]);
    Ok(spec)
}

/// What is otherwise with a container than a specification has it.
async fn compared(cx: &Context<'_>, spec: &ContainerSpec) -> Result<String, String> {
    let scope =
        Scope { details: [spec.name.clone()].into(), configurations: true, images: true, ..Scope::default() };
    let state = cx.observe(&scope).await?;
    let container = state.containers.get(spec.name.as_str()).ok_or("it is not in the list")?;
    expect("its image says something", state.image_configs.contains_key(&container.image_id))?;
    expect("the engine tells its defaults", state.defaults.is_some())?;
    let changes = changes(spec, container, &state).ok_or("its configuration is not told")?;
    Ok(changes.iter().map(|change| change.to_string() + "\n").collect())
}

pub(crate) async fn tells_what_containers_were_made_of(cx: &Context<'_>) -> Result<(), String> {
    for sample in Sample::ALL {
        let spec = spec::plain(cx.name(), cx.harness.sample(sample).await?);
        cx.create_from(&spec).await?;
        expect_eq(&format!("changes of {sample:?}"), compared(cx, &spec).await?, String::new())?;
    }
    let rich = rich(cx).await?;
    let target = cx.create_from(&rich).await?;
    expect_eq("changes before it is started", compared(cx, &rich).await?, String::new())?;
    let image = cx.harness.sample(Sample::Forever).await?;
    let host = Settings { network_mode: Some("host".into()), privileged: true, ..Settings::default() };
    let none = Settings { network_mode: Some("none".into()), ..Settings::default() };
    let shared = Settings { network_mode: Some(format!("container:{}", rich.name)), ..Settings::default() };
    for settings in [host, none, shared] {
        let mode = settings.network_mode.clone();
        let mut spec = spec::with_settings(cx.name(), image.clone(), settings);
        spec.hostname = None;
        cx.create_from(&spec).await?;
        expect_eq(&format!("changes with network {mode:?}"), compared(cx, &spec).await?, String::new())?;
    }
    cx.start(&target).await.map_err(crate::conformance::say)?;
    expect_eq("changes while it runs", compared(cx, &rich).await?, String::new())?;
    cx.kill(&target).await.map_err(crate::conformance::say)?;
    expect_eq("changes after it ran", compared(cx, &rich).await?, String::new())
}

pub(crate) async fn tells_what_is_otherwise(cx: &Context<'_>) -> Result<(), String> {
    let made = rich(cx).await?;
    cx.create_from(&made).await?;
    let mut other = made.clone();
    let settings = Settings {
        command: None,
        user: None,
        workdir: None,
        memory: Some(32 << 20),
        cap_drop: Vec::new(),
        restart: RestartPolicy::default(),
        labels: [("made-by".to_owned(), "hand".to_owned())].into(),
        ..(*made.settings).clone()
    };
    other.settings = Arc::new(settings);
    other.env = ContainerEnv::of(vec![EnvVar::new("API_KEY", "hunter2")]);
    other.ports.truncate(1);
    let expected = [
        "cap_drop: MKNOD instead of nothing",
        "command: sleep 1000 instead of ",
        "env.API_KEY: nothing instead of …",
        "env.EMPTY:  instead of nothing",
        "env.LANG: de instead of C",
        "expose.53/udp: yes instead of nothing",
        "labels.made-by: conformance instead of hand",
        "labels.team: shop instead of nothing",
        "memory: 64 MiB instead of 32 MiB",
        "ports.53/udp: 127.0.0.1:",
        "restart: on-failure, 3 times instead of nothing",
        "swap: 128 MiB instead of 64 MiB",
        "user: 1:1 instead of 0:0",
        "workdir: / instead of /tmp",
    ];
    let is = compared(cx, &other).await?;
    let lines: Vec<&str> = is.lines().collect();
    let fits = lines.len() == expected.len()
        && lines.iter().zip(expected).all(|(line, expected)| line.starts_with(expected));
    expect(&format!("{lines:#?} is what is otherwise"), fits)
}

pub(crate) async fn tells_configurations_only_where_they_are_wanted(cx: &Context<'_>) -> Result<(), String> {
    let (wanted, other) = (cx.create(Sample::Forever).await?, cx.create(Sample::Exits3).await?);
    let scope = |configurations| Scope {
        details: [wanted.name().clone()].into(),
        configurations,
        ..Scope::default()
    };
    let state = cx.observe(&scope(true)).await?;
    let told = |target: &Target| target.among(&state).is_some_and(|c| c.configuration.is_some());
    expect_eq("configurations", (told(&wanted), told(&other)), (true, false))?;
    expect_eq("images that are told of", state.image_configs.len(), 1)?;
    let state = cx.observe(&scope(false)).await?;
    let without = wanted.among(&state).is_some_and(|c| c.configuration.is_none());
    expect("nothing is told that nobody asked for", without && state.defaults.is_none())
}
