//! What is learnt before anything is begun.

use crate::conformance::{Context, Sample, expect, expect_eq, expect_kind, say, spec};
use maestro_core::boundary::Examination;
use maestro_core::fleet::{HostFacts, HostPort};
use maestro_core::model::{Protocol, Settings};
use maestro_core::names::Secret;
use maestro_core::plan::RegistryAuth;
use std::time::Duration;

async fn examine(cx: &Context<'_>, examination: &Examination) -> Result<HostFacts, String> {
    cx.engine.examine(examination).await.map_err(say)
}

pub(crate) async fn tells_what_its_host_is_like(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let wanted = Examination { images: [image.clone()].into(), ..Examination::default() };
    let facts = examine(cx, &wanted).await?;
    let platform = facts.platform.as_ref().ok_or("it does not tell what it runs")?;
    let built = facts.platforms.get(&image).ok_or("it does not tell what its image was built for")?;
    expect(&format!("{platform} runs {built}"), platform.runs(built))?;
    expect("it has memory", facts.memory.is_some_and(|bytes| bytes > 1 << 20))?;
    expect("its images take room", facts.sizes.get(image.listed_repository()).is_some_and(|size| *size > 0))?;
    let networks = facts.networks.as_ref().ok_or("it does not list its networks")?;
    expect("it has a bridge", networks.contains("bridge"))?;
    expect(
        "it tells where its data are",
        facts.data_root.as_deref().is_some_and(|path| path.starts_with('/')),
    )?;
    expect("it tells the oldest API that it speaks", facts.version.min_api.is_some())?;
    // All engines that this suite is for are on this machine.
    let clock = facts.clock.ok_or("it does not tell its time")?;
    let off = clock.ahead.unsigned_abs().saturating_sub(clock.uncertainty);
    expect(&format!("{clock:?} is right"), off < Duration::from_secs(1))
}

pub(crate) async fn tells_who_has_which_port(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let (taken, free) = (cx.harness.free_port(), cx.harness.free_port());
    let spec = spec::published(spec::plain(cx.name(), image), taken);
    let target = cx.create_from(&spec).await?;
    let port = |number| HostPort::new(Protocol::Tcp, "", number);
    let wanted = Examination { ports: [port(taken), port(free)].into(), ..Examination::default() };
    let has = |facts: &HostFacts| {
        facts.occupants.iter().any(|o| *o.name == *spec.name.as_str() && o.ports.contains(&port(taken)))
    };
    let before = examine(cx, &wanted).await?;
    expect_eq(
        "before it is started",
        (has(&before), before.listening.get(&port(taken))),
        (false, Some(&Ok(false))),
    )?;
    cx.start(&target).await.map_err(say)?;
    let facts = examine(cx, &wanted).await?;
    expect_eq("when it runs", (has(&facts), facts.listening.get(&port(taken))), (true, None))?;
    expect_eq("another port", facts.listening.get(&port(free)), Some(&Ok(false)))
}

pub(crate) async fn tells_which_volumes_there_are(cx: &Context<'_>) -> Result<(), String> {
    let image = cx.harness.sample(Sample::Forever).await?;
    let name = cx.name().to_string();
    let settings = Settings { binds: vec![format!("{name}:/data:rw")], ..Settings::default() };
    let spec = spec::with_settings(name.as_str().into(), image, settings);
    let there = async |cx| {
        let volumes = examine(cx, &Examination::default()).await?.volumes;
        Ok::<_, String>(volumes.is_some_and(|volumes| volumes.contains(&name)))
    };
    expect_eq("before it is made", there(cx).await?, false)?;
    cx.create_from(&spec).await?;
    expect_eq("when it is made", there(cx).await?, true)
}

pub(crate) async fn looks_images_up(cx: &Context<'_>) -> Result<(), String> {
    let remote = cx.harness.remote();
    let found = cx.engine.look_up(&remote.image, Some(&remote.auth)).await.map_err(say)?;
    expect(&format!("{} is a digest", found.digest), found.digest.starts_with("sha256:"))?;
    let facts = examine(cx, &Examination::default()).await?;
    let platform = facts.platform.ok_or("it does not tell what it runs")?;
    expect(
        &format!("{:?} has {platform}", found.platforms),
        found.platforms.iter().any(|p| platform.runs(p)),
    )?;
    let wrong = RegistryAuth { password: Some(Secret::new("certainly-wrong")), ..remote.auth.clone() };
    expect_kind("wrong password", cx.engine.look_up(&remote.image, Some(&wrong)).await, "Unauthorized")?;
    expect_kind(
        "an unknown image",
        cx.engine.look_up(&remote.unknown, Some(&remote.auth)).await,
        "NotFound",
    )?;
    Ok(())
}
