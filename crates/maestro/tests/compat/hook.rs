//! Where auditors tell something: a webhook, which is Slack for who takes it for a proxy on the way there.

use super::recorder::Journal;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Whom it can be taken for.
const NAMES: [&str; 2] = ["slack.com", "api.hipchat.com"];
/// What it answers where a case says nothing else. Only Slack's clients read it.
const ANSWER: &str = r#"{"ok": true}"#;

/// What was told in one request, by the names of its parts.
pub(crate) type Told = BTreeMap<String, String>;

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) address: SocketAddr,
    /// Who vouches for it where it is Slack, in PEM.
    pub(crate) authority: String,
    task: JoinHandle<()>,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hook {
    /// Writes down in a journal what comes, and answers as its rules say.
    pub(crate) async fn start(journal: Arc<Mutex<Journal>>) -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, authority) = certified();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (journal, acceptor) = (journal.clone(), acceptor.clone());
                let service = service_fn(move |request| enter(request, journal.clone(), acceptor.clone()));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
                tokio::spawn(async move { connection.await.ok() });
            }
        });
        Hook { address, authority, task }
    }
}

fn certified() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // Of two that share a name OpenSSL takes the one for its own authority.
    params.distinguished_name.push(DnType::CommonName, "authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

/// A request to it, or for a way to somebody else, who is itself.
async fn enter(
    mut request: Request<Incoming>,
    journal: Arc<Mutex<Journal>>,
    acceptor: TlsAcceptor,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::CONNECT {
        return listen(request, None, journal).await;
    }
    let host = request.uri().host().unwrap_or_default().to_owned();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(stream) = acceptor.accept(TokioIo::<Upgraded>::new(upgraded)).await else { return };
        let service = service_fn(move |request| listen(request, Some(host.clone()), journal.clone()));
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
    });
    Ok(Response::default())
}

async fn listen(
    request: Request<Incoming>,
    host: Option<String>,
    journal: Arc<Mutex<Journal>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(Response::default()) };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let mut journal = journal.lock().unwrap();
    journal.told.push(told(&head, host.as_deref().unwrap_or("<HOOK>"), &body));
    let rule = journal.rules.iter().find(|rule| rule.applies(&head.method, head.uri.path()));
    let (status, text) =
        rule.map_or((StatusCode::OK, ANSWER.to_owned()), |rule| (rule.status, rule.body.clone()));
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    Ok(response)
}

fn told(head: &http::request::Parts, host: &str, body: &str) -> Told {
    let mut told = Told::new();
    told.insert("request".to_owned(), format!("{} {host}{}", head.method, head.uri.path()));
    for (name, value) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
        told.insert(format!("query {name}"), value.into_owned());
    }
    for (name, value) in &head.headers {
        // What else there is speaks of a client and its connection.
        if *name == CONTENT_TYPE || *name == http::header::AUTHORIZATION || name.as_str().starts_with("x-") {
            told.insert(format!("header {name}"), String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
    }
    if head.headers.get(CONTENT_TYPE).is_some_and(|form| form == "application/x-www-form-urlencoded") {
        let fields = form_urlencoded::parse(body.as_bytes());
        told.extend(fields.map(|(name, value)| (format!("form {name}"), spaced(value.into_owned()))));
    } else {
        told.insert("body".to_owned(), spaced(body.to_owned()));
    }
    told
}

/// JSON written in one way, and what is none as it is.
fn spaced(text: String) -> String {
    serde_json::from_str(&text).map_or(text, |value: Value| value.to_string())
}
