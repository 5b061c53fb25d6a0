//! What happens on an engine.

use super::docker::{DockerEngine, error};
use super::logs::seconds;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use http::{Method, Request};
use jiff::Timestamp;
use maestro_core::boundary::{EngineEvent, EngineEvents};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use serde::Deserialize;
use std::collections::BTreeMap;

const OPERATION: &str = "watching its events";

/// One line of `GET /events`. bollard's type refuses kinds of events that it does not know.
#[derive(Deserialize)]
struct Record {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor", default)]
    actor: Actor,
    #[serde(default)]
    time: i64,
    #[serde(rename = "timeNano", default)]
    time_nano: i64,
}

#[derive(Deserialize, Default)]
struct Actor {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Attributes", default)]
    attributes: Option<BTreeMap<String, String>>,
}

impl DockerEngine {
    pub(super) async fn happenings(&self, since: Option<Timestamp>) -> Result<EngineEvents<'_>, EngineError> {
        match self.open_events(since).await {
            Ok(events) => Ok(events.map_err(|kind| error(&self.ship.name, OPERATION, kind, false)).boxed()),
            Err(kind) => Err(self.failed(OPERATION, kind, false)),
        }
    }

    async fn open_events(
        &self,
        since: Option<Timestamp>,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineErrorKind>>, EngineErrorKind> {
        let (_, call) = self.read_call().await?;
        let wire = &self.wire;
        let path =
            since.map_or_else(|| "/events".to_owned(), |since| format!("/events?since={}", seconds(since)));
        let response = wire.send(&call, Request::builder().method(Method::GET), &path, "").await?;
        let records = wire.records::<Record>(response.into_body());
        Ok(self.liveness.follow(records).and_then(async |record| record.event()).boxed())
    }
}

impl Record {
    fn event(self) -> Result<EngineEvent, EngineErrorKind> {
        let at = match self.time_nano {
            0 => Timestamp::from_second(self.time),
            nanoseconds => Timestamp::from_nanosecond(i128::from(nanoseconds)),
        };
        Ok(EngineEvent {
            at: at.map_err(|error| EngineErrorKind::Protocol(format!("an event at no time: {error}")))?,
            kind: self.kind,
            action: self.action,
            id: self.actor.id,
            attributes: self.actor.attributes.unwrap_or_default(),
        })
    }
}
