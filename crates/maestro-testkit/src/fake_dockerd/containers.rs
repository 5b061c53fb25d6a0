//! Requests about containers.

use crate::fake_dockerd::answer::{Answer, empty, json};
use crate::fake_dockerd::describe::{inspected, listed};
use crate::fake_dockerd::route::{Call, ok};
use crate::faults::Operation;
use crate::state::{Change, CreateConfig, Refusal, Removal, Update};
use hyper::StatusCode;
use hyper::body::Bytes;
use std::time::Duration;

pub(crate) async fn list(call: &Call) -> Answer {
    let query = call.query(&["all", "limit", "size", "filters"])?;
    let filters = query.filters(&["name", "id", "label", "status", "health"])?;
    if query.text("limit").is_some() {
        return Err(Refusal::strict("a limited list misses containers").into());
    }
    let all = query.flag("all") || query.text("filters").is_some_and(|f| f.contains("\"status\""));
    let now = call.daemon.now();
    let bytes = call
        .daemon
        .read(Operation::Observe, "", |machine| {
            let shown: Vec<_> = machine
                .containers()
                .into_iter()
                .filter(|c| all || c.is_running())
                .filter(|c| filters.allow_name(&c.name))
                .filter(|c| filters.allow("id", |id| c.id.as_str().starts_with(id)))
                .filter(|c| filters.allow("status", |status| c.state.name() == status))
                .filter(|c| {
                    filters.allow_labels(|key| {
                        c.config.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str)
                    })
                })
                .map(|c| listed(machine, c, now))
                .collect();
            to_json(&shown)
        })
        .await?;
    Ok(of_json(bytes))
}

pub(crate) async fn inspect(call: &Call, id: &str) -> Answer {
    call.query(&["size"])?;
    let bytes = call
        .daemon
        .read(Operation::Inspect, id, |machine| to_json(&inspected(machine, machine.get(id)?)))
        .await?;
    Ok(of_json(bytes))
}

fn to_json(value: &impl serde::Serialize) -> Result<Bytes, Refusal> {
    let mut bytes = serde_json::to_vec(value).map_err(|e| Refusal::failed(e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

fn of_json(bytes: Bytes) -> hyper::Response<crate::fake_dockerd::answer::Body> {
    let mut answer = hyper::Response::new(crate::fake_dockerd::answer::whole(bytes));
    let kind = hyper::header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    answer
}

pub(crate) async fn create(mut call: Call) -> Answer {
    let query = call.query(&["name", "platform"])?;
    if call.header("content-type").is_none() {
        return Err(Refusal::bad("Content-Type specified () must be 'application/json'").into());
    }
    let config: CreateConfig = call.parse().await?;
    let created = call.daemon.create(query.text("name").unwrap_or_default(), config).await?;
    let body = serde_json::json!({"Id": created.id.as_str(), "Warnings": created.warnings});
    json(StatusCode::CREATED, &body)
}

pub(crate) async fn remove(call: &Call, id: &str) -> Answer {
    let query = call.query(&["v", "force", "link"])?;
    if query.flag("link") {
        return Err(Refusal::strict("removing a link is not modelled").into());
    }
    let how = Removal { volumes: query.flag("v"), force: query.flag("force") };
    call.daemon.remove(id, how).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/{verb}`.
pub(crate) async fn act(mut call: Call, id: &str, verb: &str) -> Answer {
    match verb {
        "start" => {
            call.query(&["detachKeys"])?;
            let body: serde_json::Value = call.parse().await?;
            if !(body.is_null() || body.as_object().is_some_and(serde_json::Map::is_empty)) {
                return Err(Refusal::strict("a start takes no settings: they belong into the create").into());
            }
            Ok(changed(call.daemon.start(id).await?))
        }
        "stop" => {
            let query = call.query(&["t", "signal"])?;
            if query.text("signal").is_some() {
                return Err(Refusal::strict("the signal of a stop is not modelled").into());
            }
            let grace = match query.number::<i64>("t")? {
                None => Duration::from_secs(10),
                Some(seconds) => u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs),
            };
            Ok(changed(call.daemon.stop(id, grace).await?))
        }
        "kill" => {
            let query = call.query(&["signal"])?;
            call.daemon.kill(id, query.text("signal")).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "rename" => {
            let query = call.query(&["name"])?;
            call.daemon.rename(id, query.text("name").unwrap_or_default()).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "update" => {
            call.query(&[])?;
            let update: Update = call.parse().await?;
            call.daemon.update(id, update).await?;
            ok(&serde_json::json!({"Warnings": null}))
        }
        "pause" | "unpause" => {
            call.query(&[])?;
            call.daemon.meddle(|machine, now| match verb {
                "pause" => machine.pause(id, now),
                _ => machine.unpause(id, now),
            })?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "wait" => {
            let query = call.query(&["condition"])?;
            if !matches!(query.text("condition"), None | Some("not-running")) {
                return Err(Refusal::strict("only the condition not-running is modelled").into());
            }
            let (reference, start) =
                call.daemon.look(|machine| machine.get(id).map(|c| (c.id.as_str().to_owned(), c.starts)))?;
            let over = |machine: &crate::state::Machine| match machine.get(&reference) {
                Ok(container) if container.has_process() && container.starts == start => None,
                Ok(container) => Some(container.exit_code),
                Err(_) => Some(137),
            };
            let code = call.daemon.until(over).await;
            ok(&serde_json::json!({"StatusCode": code}))
        }
        _ => Err(Refusal::missing("page not found").into()),
    }
}

fn changed(change: Change) -> hyper::Response<crate::fake_dockerd::answer::Body> {
    empty(match change {
        Change::Done => StatusCode::NO_CONTENT,
        Change::Already => StatusCode::NOT_MODIFIED,
    })
}
