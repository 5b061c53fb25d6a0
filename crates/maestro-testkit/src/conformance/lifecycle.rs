//! What becomes of containers.

use crate::conformance::{Context, Sample, expect, expect_eq, expect_kind, say, spec};
use maestro_core::boundary::CallOutcome;
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::fleet::ContainerState;
use maestro_core::image::ImageRef;
use maestro_core::model::{RestartPolicy, Settings};
use maestro_core::names::{ContainerId, InstanceName};
use maestro_core::plan::Target;
use std::time::Duration;
use tokio::time::Instant;

fn nobody(cx: &Context<'_>) -> Target {
    Target::Made(cx.name())
}

pub(crate) async fn makes_a_name_only_once(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let spec = spec::plain(cx.name(), image);
    cx.create_from(&spec).await?;
    let error = expect_kind("a second create", cx.perform(spec::create(&spec)).await, "Conflict")?;
    let text = error.kind.to_string();
    expect(&format!("{text:?} names the container"), text.contains(spec.name.as_str()))
}

pub(crate) async fn makes_a_name_only_once_at_the_same_time(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let spec = spec::plain(cx.name(), image);
    let create = || async { cx.perform(spec::create(&spec)).await };
    let (a, b, c) = tokio::join!(create(), create(), create());
    let results = [a, b, c];
    let made = results.iter().filter(|r| matches!(r, Ok(CallOutcome::Created(_)))).count();
    let refused = results
        .iter()
        .filter(|r| matches!(r, Err(error) if matches!(error.kind, EngineErrorKind::Conflict(_))))
        .count();
    expect_eq(&format!("made and refused of {results:?}"), (made, refused), (1, 2))
}

pub(crate) async fn knows_which_images_it_has(cx: &Context<'_>) -> Result<(), String> {
    let spec = spec::plain(cx.name(), ImageRef::parse("maestro-conformance-no-such-image:1"));
    let error = expect_kind("create from nothing", cx.perform(spec::create(&spec)).await, "NotFound")?;
    let text = error.kind.to_string();
    expect(&format!("{text:?} names the image"), text.contains("maestro-conformance-no-such-image"))?;
    expect("nothing was made", cx.look(&Target::Made(spec.name.clone())).await?.is_none())
}

pub(crate) async fn refuses_bad_names(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let name = format!("{} bad", cx.name());
    let mut spec = spec::plain(InstanceName::new(name), image);
    spec.hostname = None;
    expect_kind("a name with a blank", cx.perform(spec::create(&spec)).await, "Api")?;
    Ok(())
}

pub(crate) async fn refuses_what_is_not_there(cx: &Context<'_>) -> Result<(), String> {
    expect_kind("start", cx.start(&nobody(cx)).await, "NotFound")?;
    expect_kind("stop", cx.stop(&nobody(cx), 1).await, "NotFound")?;
    expect_kind("kill", cx.kill(&nobody(cx)).await, "NotFound")?;
    expect_eq("remove", cx.remove(&nobody(cx)).await.map_err(say)?, CallOutcome::Already)
}

pub(crate) async fn starts_once(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.create(Sample::Forever).await?;
    expect_eq("start", cx.start(&target).await.map_err(say)?, CallOutcome::Done)?;
    let first = cx.see(&target).await?;
    expect_eq("state", first.state, ContainerState::Running)?;
    expect_eq("start again", cx.start(&target).await.map_err(say)?, CallOutcome::Already)?;
    expect_eq("when it started", cx.see(&target).await?.started_at, first.started_at)
}

pub(crate) async fn stops_once(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.create(Sample::Forever).await?;
    let early = cx.stop(&target, 5).await.map_err(say)?;
    expect_eq("stop of what never ran", early, CallOutcome::Already)?;
    cx.start(&target).await.map_err(say)?;
    cx.harness.ready(&target).await?;
    let begun = Instant::now();
    expect_eq("stop", cx.stop(&target, 20).await.map_err(say)?, CallOutcome::Done)?;
    expect("it did not wait for its grace to end", begun.elapsed() < Duration::from_secs(10))?;
    let seen = cx.see(&target).await?;
    expect_eq("state", seen.state, ContainerState::Exited)?;
    expect("it is known when it ended", seen.finished_at.is_some())?;
    expect("it was not killed", seen.exit_code.is_some_and(|code| code != 137))?;
    expect_eq("stop again", cx.stop(&target, 5).await.map_err(say)?, CallOutcome::Already)
}

pub(crate) async fn kills_what_does_not_stop(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::IgnoresTerm).await?;
    cx.harness.ready(&target).await?;
    let begun = Instant::now();
    expect_eq("stop", cx.stop(&target, 2).await.map_err(say)?, CallOutcome::Done)?;
    let took = begun.elapsed();
    expect(&format!("{took:?} is its grace"), (1_800..12_000).contains(&took.as_millis()))?;
    let seen = cx.see(&target).await?;
    expect_eq("state and code", (seen.state, seen.exit_code), (ContainerState::Exited, Some(137)))
}

pub(crate) async fn kills_only_what_runs(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.create(Sample::IgnoresTerm).await?;
    let early = cx.kill(&target).await.map_err(say)?;
    expect_eq("kill of what never ran", early, CallOutcome::Already)?;
    cx.start(&target).await.map_err(say)?;
    expect_eq("kill", cx.kill(&target).await.map_err(say)?, CallOutcome::Done)?;
    let seen = cx.wait(&target, "exited", |c| c.state == ContainerState::Exited).await?;
    expect_eq("code", seen.exit_code, Some(137))?;
    expect_eq("kill again", cx.kill(&target).await.map_err(say)?, CallOutcome::Already)
}

pub(crate) async fn removes_only_what_does_not_run(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Forever).await?;
    expect_kind("remove of what runs", cx.remove(&target).await, "Conflict")?;
    expect_eq("state", cx.see(&target).await?.state, ContainerState::Running)?;
    cx.stop(&target, 5).await.map_err(say)?;
    expect_eq("remove", cx.remove(&target).await.map_err(say)?, CallOutcome::Done)?;
    expect("it is gone", cx.look(&target).await?.is_none())?;
    expect_eq("remove again", cx.remove(&target).await.map_err(say)?, CallOutcome::Already)
}

pub(crate) async fn tells_exit_codes(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Exits3).await?;
    let seen = cx.wait(&target, "exited", |c| c.state == ContainerState::Exited).await?;
    expect_eq("code", seen.exit_code, Some(3))?;
    expect("both times are known", seen.started_at.is_some() && seen.finished_at.is_some())
}

pub(crate) async fn starts_again_by_hand(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Forever).await?;
    let first = cx.see(&target).await?;
    cx.kill(&target).await.map_err(say)?;
    cx.wait(&target, "exited", |c| c.state == ContainerState::Exited).await?;
    expect_eq("start", cx.start(&target).await.map_err(say)?, CallOutcome::Done)?;
    let second = cx.see(&target).await?;
    expect_eq("id", &second.id, &first.id)?;
    expect("it started later", second.started_at > first.started_at)?;
    expect("its last end is remembered", second.finished_at.is_some())?;
    expect_eq("exit code of what runs", second.exit_code, None)
}

pub(crate) async fn starts_again_by_itself(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Exits3).await?;
    let restart = RestartPolicy { name: "always".into(), retries: 0 };
    let settings = Settings { restart, ..Settings::default() };
    let target = cx.create_from(&spec::with_settings(cx.name(), image, settings)).await?;
    cx.start(&target).await.map_err(say)?;
    let seen = cx.wait(&target, "restarted", |c| c.restarts.is_some_and(|n| n >= 1)).await?;
    expect(&format!("{:?} counts as running", seen.state), seen.state.is_running())?;
    expect_eq("stop", cx.stop(&target, 1).await.map_err(say)?, CallOutcome::Done)?;
    expect_eq("state", cx.see(&target).await?.state, ContainerState::Exited)
}

pub(crate) async fn tells_a_container_from_its_successor(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let spec = spec::plain(cx.name(), image);
    let old = cx.create_from(&spec).await?;
    cx.remove(&old).await.map_err(say)?;
    let new = cx.create_from(&spec).await?;
    expect_kind("start of the old one", cx.start(&old).await, "NotFound")?;
    expect_eq("remove of the old one", cx.remove(&old).await.map_err(say)?, CallOutcome::Already)?;
    expect_eq("the new one", cx.see(&new).await?.state, ContainerState::Created)?;
    let by_name = Target::Made(spec.name.clone());
    expect_eq("start by name", cx.start(&by_name).await.map_err(say)?, CallOutcome::Done)
}

pub(crate) async fn gives_a_port_away_once(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let port = cx.harness.free_port();
    let spec = || spec::published(spec::plain(cx.name(), image.clone()), port);
    let first = cx.create_from(&spec()).await?;
    let second = cx.create_from(&spec()).await?;
    cx.start(&first).await.map_err(say)?;
    let error = expect_kind("start on a taken port", cx.start(&second).await, "Api")?;
    let text = error.kind.to_string();
    expect(
        &format!("{text:?} names port {port} and what is wrong with it"),
        text.contains("port is already allocated") && text.contains(&port.to_string()),
    )?;
    let seen = cx.see(&second).await?;
    expect(&format!("{:?} is not running", seen.state), !seen.state.is_running())?;
    cx.stop(&first, 5).await.map_err(say)?;
    expect_eq("start on the free port", cx.start(&second).await.map_err(say)?, CallOutcome::Done)
}

pub(crate) async fn refuses_unknown_neighbours(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let missing = cx.name().to_string();
    let volumes = Settings { volumes_from: vec![missing.clone()], ..Settings::default() };
    let links = Settings { links: vec![format!("{missing}:alias")], ..Settings::default() };
    for settings in [volumes, links] {
        let spec = spec::with_settings(cx.name(), image.clone(), settings);
        let error = match cx.perform(spec::create(&spec)).await {
            Ok(outcome) => return Err(format!("create with an unknown neighbour: {outcome:?}")),
            Err(error) => error.kind.to_string(),
        };
        expect(&format!("{error:?} names the neighbour"), error.contains(&missing))?;
    }
    let gone = Target::Seen { id: ContainerId::new("f".repeat(64)), name: cx.name() };
    expect("nobody is there by a wrong id", cx.start(&gone).await.is_err())
}
