//! What an engine shows of itself.

use crate::conformance::{Context, Sample, expect, expect_eq, spec};
use maestro_core::boundary::Scope;
use maestro_core::fleet::{ContainerState, Health};
use maestro_core::model::{ApiVersion, LABEL_CONFIG, LABEL_INSTANCE, Settings};
use maestro_core::names::InstanceName;
use maestro_core::plan::Target;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) async fn says_who_it_is(cx: &Context<'_>) -> Result<(), String> {
    let version = cx.observe(&Scope::default()).await?.version;
    expect("the engine has a version", !version.engine.is_empty())?;
    expect(
        "the oldest API is not newer than the newest",
        version.min_api.is_none_or(|min| min <= version.api),
    )?;
    expect("it speaks an API that Maestro does", version.api >= ApiVersion::OLDEST)
}

pub(crate) async fn shows_created_containers_with_their_labels(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let labels = BTreeMap::from([
        ("plain".to_owned(), "value".to_owned()),
        ("empty".to_owned(), String::new()),
        ("odd".to_owned(), "a=b, \"c\" ü\n".to_owned()),
    ]);
    let settings = Settings { labels: labels.clone(), ..Settings::default() };
    let spec = spec::with_settings(cx.name(), image.clone(), settings);
    let target = cx.create_from(&spec).await?;
    // A list without details has to tell all this.
    let state = cx.observe(&Scope::default()).await?;
    let seen = state.containers.get(spec.name.as_str()).ok_or("it is not in the list")?;
    expect_eq("state", seen.state, ContainerState::Created)?;
    expect_eq("id", seen.id.as_str(), target.reference())?;
    expect_eq("name", &*seen.name, spec.name.as_str())?;
    expect_eq("image", &seen.image, &image)?;
    for (key, value) in &labels {
        expect_eq(&format!("label {key}"), seen.labels.get(key), Some(value))?;
    }
    let instance = seen.labels.get(LABEL_INSTANCE).map(String::as_str);
    expect_eq("the instance's label", instance, Some(spec.name.as_str()))?;
    expect_eq("the fingerprint", seen.config_hash(), Some(spec.config_hash()))?;
    expect("the fingerprint is a label", seen.labels.contains_key(LABEL_CONFIG))
}

pub(crate) async fn shows_details_only_where_they_are_wanted(cx: &Context<'_>) -> Result<(), String> {
    let (wanted, other) = (cx.launch(Sample::Forever).await?, cx.launch(Sample::Forever).await?);
    let scope = Scope { details: [wanted.name().clone()].into(), ..Scope::default() };
    let state = cx.observe(&scope).await?;
    let get = |target: &Target| state.containers.get(target.name().as_str()).ok_or("it is not in the list");
    let (wanted, other) = (get(&wanted)?, get(&other)?);
    expect_eq("state", wanted.state, ContainerState::Running)?;
    expect("it is known when it started", wanted.started_at.is_some())?;
    expect_eq("end", wanted.finished_at, None)?;
    expect_eq("exit code of what runs", wanted.exit_code, None)?;
    expect_eq("health of what has no HEALTHCHECK", wanted.health, Some(Health::None))?;
    expect_eq("restarts", wanted.restarts, Some(0))?;
    expect_eq("state of the other", other.state, ContainerState::Running)?;
    let details = (other.started_at, other.finished_at, other.health, other.exit_code, other.restarts);
    expect_eq("details of the other", details, (None, None, None, None, None))
}

pub(crate) async fn shows_those_that_are_asked_about(cx: &Context<'_>) -> Result<(), String> {
    let (one, two, other) = (
        cx.create(Sample::Forever).await?,
        cx.create(Sample::Forever).await?,
        cx.create(Sample::Forever).await?,
    );
    let missing = cx.name();
    let only = [one.name().clone(), two.name().clone(), missing.clone()].into();
    let details = [two.name().clone()].into();
    let state = cx.observe(&Scope { only: Some(only), details, ..Scope::default() }).await?;
    let shows = |target: &Target| target.among(&state).is_some();
    expect("all that are asked about are there", shows(&one) && shows(&two))?;
    expect("nobody asked about the other", !shows(&other))?;
    expect("nobody invents a container", !state.containers.contains_key(missing.as_str()))?;
    let health = |target: &Target| target.among(&state).and_then(|c| c.health);
    expect_eq("details where they are wanted", (health(&one), health(&two)), (None, Some(Health::None)))
}

pub(crate) async fn shows_the_same_without_others_as_among_them(cx: &Context<'_>) -> Result<(), String> {
    let (running, created) = (cx.launch(Sample::Forever).await?, cx.create(Sample::Forever).await?);
    // Engines take a name for the beginning of an id, too.
    let beginning: String = created.reference().chars().take(6).collect();
    let names: BTreeSet<InstanceName> = [running.name().clone(), cx.name(), beginning.as_str().into()].into();
    let alone =
        cx.observe(&Scope { only: Some(names.clone()), details: names.clone(), ..Scope::default() }).await?;
    let among = cx.observe(&Scope { only: None, details: names, ..Scope::default() }).await?;
    expect_eq("those that are there", alone.containers.len(), 1)?;
    expect_eq("what is known of it", running.among(&alone), running.among(&among))?;
    expect("it is known", running.among(&alone).is_some_and(|found| found.started_at.is_some()))
}

pub(crate) async fn shows_images_when_asked(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let target = cx.create(Sample::Forever).await?;
    expect_eq("images that nobody asked for", cx.observe(&Scope::default()).await?.images, None)?;
    let state = cx.observe(&Scope { images: true, ..Scope::default() }).await?;
    let found = state.image(&image).ok_or_else(|| format!("{image} is not among the images"))?;
    let container = state.containers.get(target.name().as_str()).ok_or("it is not in the list")?;
    expect_eq("the image of its container", &container.image_id, &found.id)
}

pub(crate) async fn shows_containers_of_others(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let mut spec = spec::plain(cx.name(), image);
    spec.labels.clear();
    cx.create_from(&spec).await?;
    let state = cx.observe(&Scope::default()).await?;
    let seen = state.containers.get(spec.name.as_str()).ok_or("it is not in the list")?;
    expect_eq("its fingerprint", seen.config_hash(), None)
}

pub(crate) async fn passes_over_containers_that_are_not_there(cx: &Context<'_>) -> Result<(), String> {
    let missing = cx.name();
    let scope = Scope { details: [missing.clone()].into(), ..Scope::default() };
    let state = cx.observe(&scope).await?;
    expect("nobody invents a container", !state.containers.contains_key(missing.as_str()))?;
    // Containers come and go while somebody looks: each look succeeds, and shows what is there or is not.
    let target = cx.create(Sample::Forever).await?;
    let scope = Scope { details: [target.name().clone()].into(), ..Scope::default() };
    let looks = async {
        for _ in 0..20 {
            cx.observe(&scope).await?;
        }
        Ok::<(), String>(())
    };
    let removal = async { cx.remove(&target).await.map_err(crate::conformance::say) };
    let (looks, removal) = tokio::join!(looks, removal);
    looks.and(removal.map(|_| ()))?;
    expect("it is gone", cx.look(&target).await?.is_none())
}

pub(crate) async fn shows_how_healthy_a_container_is(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Healthy).await?;
    let first = cx.see(&target).await?.health;
    expect(
        &format!("{first:?} is how a HEALTHCHECK begins"),
        matches!(first, Some(Health::Starting | Health::Healthy)),
    )?;
    cx.wait(&target, "healthy", |c| c.health == Some(Health::Healthy)).await?;
    Ok(())
}
