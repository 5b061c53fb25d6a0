//! The HTTP clients of `http` checks: whom they trust, and whether they go through a proxy.

use crate::trust::CaFile;
use maestro_core::model::{ClientCert, HttpCheck};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Identity};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// The number of redirects after which maestro-ng gave up.
const REDIRECTS: usize = 30;

/// How long reading certificates may take: a file may be on a file system across a network.
const READING: Duration = Duration::from_secs(10);

/// Who may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    /// Who is trusted.
    Trusted,
    /// Whoever does.
    Anybody,
    /// Who has no certificate, for nothing is encrypted: reading all of the system's authorities takes its time.
    Plain,
}

/// What a client cannot change from request to request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    peer: Peer,
    /// A file with who is trusted, instead of the system's authorities.
    ca_file: Option<Arc<str>>,
    cert: Option<ClientCert>,
    redirects: bool,
    /// Without the proxy that the environment may name: nothing is behind a proxy on this very machine.
    direct: bool,
    /// How long connecting may take, where a request as a whole may take longer.
    connect: Option<Duration>,
}

/// Clients, each made when it is first needed. None keeps a connection: every try is to prove that a new one works.
#[derive(Debug, Default)]
pub(super) struct Clients {
    shared: Mutex<BTreeMap<Kind, Client>>,
}

impl Clients {
    /// The client for a check. What it needs of files is read once.
    pub(super) async fn get(&self, check: &HttpCheck) -> Result<Client, String> {
        let kind = Kind {
            peer: if check.options.verify.unwrap_or(true) { Peer::Trusted } else { Peer::Anybody },
            ca_file: check.options.ca_file.clone(),
            cert: check.options.cert.clone(),
            redirects: check.options.allow_redirects.unwrap_or(true),
            direct: is_here(&check.host),
            connect: None,
        };
        self.shared(kind, &check.scheme).await
    }

    /// A client for a host, which trusts whom the system trusts.
    pub(super) async fn usual(&self, scheme: &str, host: &str) -> Result<Client, String> {
        let direct = is_here(host);
        let (peer, ca_file, cert) = (Peer::Trusted, None, None);
        let kind = Kind { peer, ca_file, cert, redirects: true, direct, connect: None };
        self.shared(kind, scheme).await
    }

    /// A client that goes nowhere but to the host that it is given, and there soon.
    pub(super) async fn direct(
        &self,
        scheme: &str,
        ca_file: Option<Arc<str>>,
        cert: Option<ClientCert>,
        connect: Duration,
    ) -> Result<Client, String> {
        let is_plain = scheme == "http" && ca_file.is_none() && cert.is_none();
        let (peer, connect) = (if is_plain { Peer::Plain } else { Peer::Trusted }, Some(connect));
        let kind = Kind { peer, ca_file, cert, redirects: false, direct: true, connect };
        self.shared(kind, scheme).await
    }

    async fn shared(&self, kind: Kind, scheme: &str) -> Result<Client, String> {
        let mut shared = self.shared.lock().await;
        if let Some(client) = shared.get(&kind) {
            return Ok(client.clone());
        }
        let wanted = kind.clone();
        let made = aside(READING, move || make(&wanted));
        match made.await {
            Ok(client) => {
                shared.insert(kind, client.clone());
                Ok(client)
            }
            // A machine without any CA certificate can still ask where none is needed.
            Err(_) if scheme == "http" && kind.ca_file.is_none() && kind.cert.is_none() => {
                aside(READING, move || finish(builder(&kind).tls_certs_only([]))).await
            }
            Err(because) => Err(because),
        }
    }
}

/// Runs what reads files where it holds up nobody. What takes longer is left to itself: it cannot be interrupted.
async fn aside(
    limit: Duration,
    make: impl FnOnce() -> Result<Client, String> + Send + 'static,
) -> Result<Client, String> {
    match timeout(limit, tokio::task::spawn_blocking(make)).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(format!("preparing the HTTP client was interrupted: {error}")),
        Err(_) => Err(format!(
            "what it needs of files could not be read within {}: certificates on a file system that hangs?",
            super::seconds(limit)
        )),
    }
}

fn is_here(host: &str) -> bool {
    // As addresses of the web have it.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn builder(kind: &Kind) -> ClientBuilder {
    static PROVIDER: Once = Once::new();
    // There is one already if somebody else in this process needed it: as good.
    PROVIDER.call_once(|| drop(ring::default_provider().install_default()));
    let builder = Client::builder().referer(false).pool_max_idle_per_host(0).redirect(if kind.redirects {
        Policy::limited(REDIRECTS)
    } else {
        Policy::none()
    });
    let builder = kind.connect.into_iter().fold(builder, ClientBuilder::connect_timeout);
    if kind.direct { builder.no_proxy() } else { builder }
}

fn finish(builder: ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|error| format!("no HTTP client can be made: {}", super::http::root(&error)))
}

fn make(kind: &Kind) -> Result<Client, String> {
    let shown = kind.cert.as_ref().map(Shown::read).transpose()?;
    if let Some(file) = &kind.ca_file {
        return with_ca_file(kind, file, shown);
    }
    if kind.peer == Peer::Plain {
        return finish(builder(kind).tls_certs_only([]));
    }
    let mut builder = builder(kind).tls_danger_accept_invalid_certs(kind.peer == Peer::Anybody);
    if let Some(shown) = shown {
        let unusable =
            |error: &reqwest::Error| unusable("certificate", &shown.file, &super::http::root(error));
        let identity = Identity::from_pem(&shown.pem).map_err(|error| unusable(&error))?;
        builder = builder.identity(identity);
    }
    finish(builder)
}

fn with_ca_file(kind: &Kind, file: &str, shown: Option<Shown>) -> Result<Client, String> {
    let unusable = |because: &dyn Display| unusable("CA", file, because);
    let pem = read(file).map_err(|error| unusable(&error))?;
    let certificates = certificates(&pem).map_err(|error| unusable(&error))?;
    let provider = Arc::new(ring::default_provider());
    let trust = CaFile::new(certificates, provider.clone()).map_err(|error| unusable(&error))?;
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let tls = match shown {
        None => tls.with_no_client_auth(),
        Some(Shown { chain, key, file, .. }) => tls
            .with_client_auth_cert(chain, key)
            .map_err(|error| self::unusable("certificate", &file, &error))?,
    };
    finish(builder(kind).tls_backend_preconfigured(tls))
}

/// The certificate that a client shows.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// Both as they were read.
    pem: Vec<u8>,
    file: Arc<str>,
}

impl Shown {
    fn read(cert: &ClientCert) -> Result<Self, String> {
        let file = Arc::clone(&cert.cert);
        let mut pem = read(&file).map_err(|error| unusable("certificate", &file, &error))?;
        let chain = certificates(&pem).map_err(|error| unusable("certificate", &file, &error))?;
        let key_file = cert.key.as_ref().unwrap_or(&file);
        if cert.key.is_some() {
            pem.push(b'\n');
            pem.extend(read(key_file).map_err(|error| unusable("key", key_file, &error))?);
        }
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
            pem::Error::NoItemsFound => unusable("key", key_file, &"it holds no private key in PEM form"),
            error => unusable("key", key_file, &error),
        })?;
        let pair = CertifiedKey::from_der(chain.clone(), key.clone_key(), &ring::default_provider());
        pair.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => unusable(
                "certificate",
                &file,
                &format_args!("the private key in {key_file} is that of another"),
            ),
            error => unusable("certificate", &file, &error),
        })?;
        Ok(Self { chain, key, pem, file })
    }
}

fn unusable(what: &str, file: &str, because: &dyn Display) -> String {
    format!("the {what} file {file} cannot be used: {because}")
}

fn read(file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| super::words(&error))
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if found.is_empty() { Err("it holds no certificate in PEM form".to_owned()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_many_names() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert!(is_here(host), "{host}");
        }
        for host in ["example.com", "localhost.example.com", "192.0.2.1", "2001:db8::1", "[2001:db8::1]", ""]
        {
            assert!(!is_here(host), "{host}");
        }
    }

    /// As a file on a file system that hangs would: nobody waits for it for ever.
    #[tokio::test]
    async fn what_cannot_be_read_in_time_is_given_up() {
        let (over, wait) = std::sync::mpsc::channel::<()>();
        let hangs = move || wait.recv().map_or_else(|_| Err("at last".to_owned()), |()| unreachable!());
        let failure = aside(Duration::from_millis(20), hangs).await.unwrap_err();
        assert!(failure.starts_with("what it needs of files could not be read within 0.02 s"), "{failure}");
        drop(over);
    }
}
