//! The few Engine API calls that the harness itself makes. What is under test has its own client.

use super::error::FleetError;
use super::http::{Answer, Ask, Peer, exchange};
use super::registry::Login;
use base64::Engine as _;
use http::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// For calls that an engine answers from memory.
const QUICK: Duration = Duration::from_secs(10);
/// For calls that move images or wait for containers.
const SLOW: Duration = Duration::from_mins(1);

/// An engine as the harness reaches it.
#[derive(Debug, Clone)]
pub struct EngineApi {
    peer: Peer,
}

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EngineVersionInfo {
    /// Version of the engine, such as `20.10.24+dfsg1`.
    pub version: String,
    /// Newest API version that it speaks.
    pub api_version: String,
    /// Oldest API version that it speaks.
    pub min_api_version: String,
}

impl EngineApi {
    /// An engine at a unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> EngineApi {
        EngineApi { peer: Peer::Unix(path.into()) }
    }

    /// An engine anywhere.
    pub fn new(peer: Peer) -> EngineApi {
        EngineApi { peer }
    }

    /// `GET /_ping`, once, within the deadline.
    pub async fn ping(&self, deadline: Duration) -> Result<(), FleetError> {
        self.successful(Ask::new(Method::GET, "/_ping"), deadline).await.map(drop)
    }

    /// `GET /version`.
    pub async fn version(&self) -> Result<EngineVersionInfo, FleetError> {
        let answer = self.get("/version").await?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(EngineVersionInfo {
            version: text("Version"),
            api_version: text("ApiVersion"),
            min_api_version: text("MinAPIVersion"),
        })
    }

    /// Any GET that is answered with JSON.
    pub async fn get(&self, path: &str) -> Result<Value, FleetError> {
        let answer = self.successful(Ask::new(Method::GET, path), QUICK).await?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// Any POST with a JSON body; the answer is JSON or nothing.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, FleetError> {
        let ask = Ask::new(Method::POST, path)
            .header("Content-Type", "application/json")
            .body(if body.is_null() { String::new() } else { body.to_string() });
        let answer = self.successful(ask, SLOW).await?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// Any DELETE.
    pub async fn delete(&self, path: &str) -> Result<(), FleetError> {
        self.successful(Ask::new(Method::DELETE, path), SLOW).await.map(drop)
    }

    /// Pulls `repository:tag`, with a login if the registry wants one.
    pub async fn pull(&self, repository: &str, tag: &str, login: Option<&Login>) -> Result<(), FleetError> {
        let path = format!("/images/create?fromImage={repository}&tag={tag}");
        let mut ask = Ask::new(Method::POST, &path);
        if let Some(login) = login {
            let auth = json!({ "username": login.username, "password": login.password });
            let auth = base64::engine::general_purpose::URL_SAFE.encode(auth.to_string());
            ask = ask.header("X-Registry-Auth", auth);
        }
        self.streamed(ask).await
    }

    /// Loads an archive as `docker save` writes it.
    pub async fn load(&self, archive: Bytes) -> Result<(), FleetError> {
        let ask = Ask::new(Method::POST, "/images/load?quiet=1")
            .header("Content-Type", "application/x-tar")
            .body(archive);
        self.streamed(ask).await
    }

    /// Creates and starts a container. `body` is that of `POST /containers/create`.
    pub async fn run(&self, name: &str, body: &Value) -> Result<(), FleetError> {
        self.post(&format!("/containers/create?name={name}"), body).await?;
        self.post(&format!("/containers/{name}/start"), &Value::Null).await.map(drop)
    }

    /// The names of all containers, running or not.
    pub async fn containers(&self) -> Result<Vec<String>, FleetError> {
        let listed = self.get("/containers/json?all=1").await?;
        let name = |container: &Value| {
            Some(container.pointer("/Names/0")?.as_str()?.trim_start_matches('/').to_owned())
        };
        Ok(listed.as_array().into_iter().flatten().filter_map(name).collect())
    }

    /// A call whose answer is a stream of JSON objects, in which an error may come after the status was sent.
    async fn streamed(&self, ask: Ask<'_>) -> Result<(), FleetError> {
        let request = format!("{} {}", ask.method, ask.path);
        let answer = self.successful(ask, SLOW).await?;
        let failed = serde_json::Deserializer::from_slice(&answer.body)
            .into_iter::<Value>()
            .map_while(Result::ok)
            .find_map(|object| object.get("error")?.as_str().map(str::to_owned));
        match failed {
            Some(body) => Err(FleetError::Answer { peer: self.peer.to_string(), request, status: 200, body }),
            None => Ok(()),
        }
    }

    async fn successful(&self, ask: Ask<'_>, deadline: Duration) -> Result<Answer, FleetError> {
        let request = format!("{} {}", ask.method, ask.path);
        let answer = exchange(&self.peer, ask, deadline).await?;
        if answer.status.is_success() || answer.status == http::StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        Err(FleetError::Answer {
            peer: self.peer.to_string(),
            request,
            status: answer.status.as_u16(),
            body: String::from_utf8_lossy(&answer.body).trim().to_owned(),
        })
    }
}
