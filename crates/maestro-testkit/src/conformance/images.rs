//! Registries.

use crate::conformance::spec::plain;
use crate::conformance::{Context, expect, expect_eq, expect_kind, say};
use maestro_core::boundary::{CallOutcome, Progress, Scope};
use maestro_core::image::ImageRef;
use maestro_core::model::Retry;
use maestro_core::names::Secret;
use maestro_core::plan::{EngineCall, RegistryAuth};
use std::sync::{Mutex, PoisonError};

fn once() -> Retry {
    Retry { attempts: 1, ..Retry::default() }
}

fn pull(image: &ImageRef, auth: &RegistryAuth) -> EngineCall {
    EngineCall::PullImage { image: image.clone(), auth: Some(auth.clone()), retry: once() }
}

fn wrong(auth: &RegistryAuth) -> RegistryAuth {
    RegistryAuth { password: Some(Secret::new("certainly-wrong")), ..auth.clone() }
}

pub(crate) async fn logs_in_with_the_right_password_only(cx: &Context<'_>) -> Result<(), String> {
    let remote = cx.harness.remote();
    let login = |auth: &RegistryAuth| EngineCall::Login { auth: auth.clone(), retry: once() };
    expect_eq("login", cx.perform(login(&remote.auth)).await.map_err(say)?, CallOutcome::Done)?;
    expect_kind("wrong password", cx.perform(login(&wrong(&remote.auth))).await, "Unauthorized")?;
    Ok(())
}

pub(crate) async fn pulls_with_the_right_password_only(cx: &Context<'_>) -> Result<(), String> {
    let remote = cx.harness.remote();
    let bad = pull(&remote.image, &wrong(&remote.auth));
    expect_kind("wrong password", cx.perform(bad).await, "Unauthorized")?;
    let anonymous = EngineCall::PullImage { image: remote.image.clone(), auth: None, retry: once() };
    expect_kind("no password", cx.perform(anonymous).await, "Unauthorized")?;
    Ok(())
}

pub(crate) async fn pulls_what_is_there_only(cx: &Context<'_>) -> Result<(), String> {
    let remote = cx.harness.remote();
    let error =
        expect_kind("an unknown image", cx.perform(pull(&remote.unknown, &remote.auth)).await, "NotFound")?;
    let text = error.kind.to_string();
    let name = remote.unknown.short().split(':').next().unwrap_or_default().to_owned();
    expect(&format!("{text:?} names the image {name}"), text.contains(&name))
}

pub(crate) async fn pulls_once(cx: &Context<'_>) -> Result<(), String> {
    let remote = cx.harness.remote();
    let seen: Mutex<Vec<Progress>> = Mutex::default();
    let note = |progress: Progress| seen.lock().unwrap_or_else(PoisonError::into_inner).push(progress);
    let call = pull(&remote.image, &remote.auth);
    match cx.engine.perform(&call, &note).await.map_err(say)? {
        CallOutcome::Pulled { .. } => {}
        other => return Err(format!("a pull returned {other:?}")),
    }
    let progress = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    expect("progress does not fall", progress.windows(2).all(|p| p[0].percent <= p[1].percent))?;
    expect(
        "progress is a percentage",
        progress.iter().all(|p| (0.0..=100.0).contains(&p.percent) && p.layers_done <= p.layers),
    )?;
    expect_eq("second pull", cx.perform(call).await.map_err(say)?, CallOutcome::Pulled { changed: false })?;
    let state = cx.observe(&Scope { images: true, ..Scope::default() }).await?;
    expect("the image is there", state.image(&remote.image).is_some())
}

/// A name goes, and the image with its last one; not while a container was made from it.
pub(crate) async fn removes_images_that_nothing_needs(cx: &Context<'_>) -> Result<(), String> {
    let remote = cx.harness.remote();
    let known = cx.engine.look_up(&remote.image, Some(&remote.auth)).await.map_err(say)?;
    let pinned = remote.image.pinned(&known.digest);
    cx.perform(pull(&remote.image, &remote.auth)).await.map_err(say)?;
    cx.perform(pull(&pinned, &remote.auth)).await.map_err(say)?;
    let untag = |image: &ImageRef| cx.perform(EngineCall::RemoveImage { image: image.clone() });
    let container = cx.create_from(&plain(cx.name(), pinned.clone())).await?;
    expect_kind("while a container is there", untag(&pinned).await, "Conflict")?;
    cx.remove(&container).await.map_err(say)?;
    expect_eq("the digest", untag(&pinned).await.map_err(say)?, CallOutcome::Done)?;
    expect_eq("the digest again", untag(&pinned).await.map_err(say)?, CallOutcome::Already)?;
    let state = cx.observe(&Scope { images: true, ..Scope::default() }).await?;
    expect("the tag is there still", state.image(&remote.image).is_some())?;
    expect_eq("the tag", untag(&remote.image).await.map_err(say)?, CallOutcome::Done)?;
    let state = cx.observe(&Scope { images: true, ..Scope::default() }).await?;
    expect("the image is gone", state.image(&remote.image).is_none() && state.image(&pinned).is_none())
}
