//! etcd's gateway, which takes its calls as JSON over HTTP: <https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway>.
//!
//! Each call has a connection of its own. So who cannot be connected to was told nothing, and another member can be
//! asked to write the same; who was told and does not answer may have done it. What the statuses of a gateway mean is
//! what gRPC's codes are made of there: <https://github.com/grpc-ecosystem/grpc-gateway/blob/v1.16.0/runtime/errors.go>.

use crate::probe;
use maestro_core::boundary::Deadlines;
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::model::Etcd;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// How long connecting may take: less than a heartbeat waits, so that another member is asked in time.
const CONNECT: Duration = Duration::from_secs(1);
/// How long until an answer begins: etcd itself tries for so long to get a majority.
const ANSWER: Duration = Deadlines::DEFAULT_READ;
/// Longest text, in characters, that is repeated of who does not answer as etcd does.
const QUOTE: usize = 200;
/// What it says when a login is over, or users have been changed since.
const LOGIN_IS_OVER: [&str; 2] = ["invalid auth token", "revision of auth store is old"];
/// What a gateway says of an answer that it does not pass on; who has asked for too much has to ask for less.
pub(super) const TOO_MUCH: &str = "larger than max";
/// What it says where nobody has to log in.
const NO_LOGINS: &str = "authentication is not enabled";

/// The way to one etcd.
pub(super) struct Gateway {
    etcd: Etcd,
    client: OnceCell<Client>,
    /// What a login gave.
    token: Mutex<Option<Arc<str>>>,
    /// The member that is asked first: one that answered.
    first: AtomicUsize,
}

/// Why a call did not succeed.
pub(super) struct Failure {
    pub(super) kind: EngineErrorKind,
    /// Whether it may have been done.
    pub(super) ambiguous: bool,
}

/// What a member said instead of yes.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

#[derive(Deserialize)]
struct LoggedIn {
    token: String,
}

/// What came of asking one member.
enum Asked {
    Done(Value),
    /// It said no.
    Refused(String),
    /// It could not be asked.
    NotSent(String),
    /// It said no for itself: another may say yes.
    Busy(String),
    /// It was, and nobody knows what it did.
    Unknown(String),
}

/// While it is there, a member is being asked; unless that one answers, another is asked first next time.
struct Asking<'a> {
    gateway: &'a Gateway,
    member: usize,
    answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let next = if self.answered { self.member } else { self.member + 1 };
        self.gateway.first.store(next, Ordering::Relaxed);
    }
}

impl Failure {
    pub(super) fn sure(did: impl Into<String>) -> Self {
        Self { kind: EngineErrorKind::Etcd(did.into()), ambiguous: false }
    }
}

impl Gateway {
    pub(super) fn new(etcd: Etcd) -> Self {
        Self { etcd, client: OnceCell::new(), token: Mutex::default(), first: AtomicUsize::new(0) }
    }

    pub(super) fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// Asks for something that `writes` or does not, logging in where that is needed.
    pub(super) async fn call(&self, path: &str, body: &Value, writes: bool) -> Result<Value, Failure> {
        let token = self.token().await?;
        match self.ask(path, body, token.as_deref(), writes).await {
            Err(Failure { kind: EngineErrorKind::Etcd(did), ambiguous: false })
                if token.is_some() && LOGIN_IS_OVER.iter().any(|over| did.contains(over)) =>
            {
                self.know(None);
                let token = self.token().await?;
                self.ask(path, body, token.as_deref(), writes).await
            }
            answer => answer,
        }
    }

    async fn token(&self) -> Result<Option<Arc<str>>, Failure> {
        let Some((user, password)) = &self.etcd.login else { return Ok(None) };
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.is_some() {
            return Ok(known);
        }
        let login = json!({ "name": &**user, "password": password.expose() });
        let token = match self.ask("/v3/auth/authenticate", &login, None, false).await {
            Ok(answer) => LoggedIn::deserialize(answer).map_err(|_| Failure::sure("gave no token"))?.token,
            Err(Failure { kind: EngineErrorKind::Etcd(did), .. }) if did.contains(NO_LOGINS) => {
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        let token = Some(Arc::from(token));
        self.know(token.clone());
        Ok(token)
    }

    fn know(&self, token: Option<Arc<str>>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Asks one member after another, until one has answered, or may have done what was to be written.
    async fn ask(
        &self,
        path: &str,
        body: &Value,
        token: Option<&str>,
        writes: bool,
    ) -> Result<Value, Failure> {
        let client = self.client.get_or_try_init(|| self.make_client()).await?;
        let (first, members) = (self.first.load(Ordering::Relaxed), self.etcd.endpoints.len());
        let (mut asked, mut all_are_busy) = (Vec::new(), true);
        for number in 0..members {
            let mut asking = Asking { gateway: self, member: (first + number) % members, answered: false };
            let Some(member) = self.etcd.endpoints.get(asking.member) else { continue };
            let because = match ask_member(client, &format!("{member}{path}"), body, token).await {
                Asked::Done(answer) => {
                    asking.answered = true;
                    return Ok(answer);
                }
                Asked::Refused(because) => {
                    asking.answered = true;
                    return Err(Failure::sure(format!("said no: {because}")));
                }
                Asked::Unknown(because) if writes => {
                    let did = format!("did not answer: {}", self.reasons(&[(member, because)]));
                    return Err(Failure { kind: EngineErrorKind::Etcd(did), ambiguous: true });
                }
                Asked::Busy(because) => because,
                Asked::Unknown(because) | Asked::NotSent(because) => {
                    all_are_busy = false;
                    because
                }
            };
            asked.push((member, because));
        }
        let did = if all_are_busy { "said no" } else { "did not answer" };
        Err(Failure::sure(format!("{did}: {}", self.reasons(&asked))))
    }

    /// Why those who were asked did nothing, and who that is unless it is everybody for one reason.
    fn reasons(&self, asked: &[(&Arc<str>, String)]) -> String {
        let mut reasons: Vec<String> = asked.iter().map(|(_, because)| because.clone()).collect();
        reasons.dedup();
        if reasons.len() > 1 || asked.len() < self.etcd.endpoints.len() {
            reasons = asked.iter().map(|(member, because)| format!("{member}: {because}")).collect();
        }
        reasons.join("; ")
    }

    async fn make_client(&self) -> Result<Client, Failure> {
        let scheme =
            if self.etcd.endpoints.iter().any(|e| e.starts_with("https")) { "https" } else { "http" };
        let (ca_file, cert) = (self.etcd.ca_file.clone(), self.etcd.cert.clone());
        let made = probe::direct_client(scheme, ca_file, cert, CONNECT).await;
        made.map_err(|because| Failure { kind: EngineErrorKind::Settings(because), ambiguous: false })
    }
}

async fn ask_member(client: &Client, address: &str, body: &Value, token: Option<&str>) -> Asked {
    let mut request = client.post(address).header(CONTENT_TYPE, "application/json").body(body.to_string());
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, token);
    }
    let why =
        |error: &reqwest::Error| probe::why(error, "`tls_ca_cert` can name a file with the one to trust");
    let response = match timeout(ANSWER, request.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) if error.is_connect() && error.is_timeout() => {
            return Asked::NotSent(format!("no connection within {} s", CONNECT.as_secs()));
        }
        Ok(Err(error)) if error.is_connect() => return Asked::NotSent(why(&error)),
        Ok(Err(error)) => return Asked::Unknown(why(&error)),
        Err(_) => return Asked::Unknown(format!("nothing came within {} s", ANSWER.as_secs())),
    };
    let status = response.status();
    let bytes = match response.bytes().await {
        Ok(bytes) => bytes,
        Err(error) => return Asked::Unknown(why(&error)),
    };
    let said = || match serde_json::from_slice(&bytes) {
        Ok(Refusal { message }) => message.trim_start_matches("etcdserver: ").to_owned(),
        Err(_) => {
            let text: String = String::from_utf8_lossy(&bytes).trim().chars().take(QUOTE).collect();
            format!("{status}: {text}")
        }
    };
    match status {
        StatusCode::OK => match serde_json::from_slice::<Value>(&bytes) {
            // Every answer of etcd has one.
            Ok(answer) if answer.get("header").is_some_and(Value::is_object) => Asked::Done(answer),
            _ => Asked::Unknown("what came is no answer of etcd".to_owned()),
        },
        _ if said().contains(TOO_MUCH) => Asked::Refused(said()),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            Asked::NotSent(format!("no gateway of etcd is there ({status})"))
        }
        StatusCode::TOO_MANY_REQUESTS => Asked::Busy(said()),
        // A call that was given up is one of the last two.
        status if status.is_server_error() || matches!(status.as_u16(), 408 | 499) => Asked::Unknown(said()),
        _ => Asked::Refused(said()),
    }
}
