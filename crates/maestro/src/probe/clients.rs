//! The HTTP clients of `http` checks: whom they trust, and whether they go through a proxy.

use crate::trust::CaFile;
use maestro_core::model::HttpCheck;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Once};
use tokio::sync::Mutex;

/// The number of redirects after which maestro-ng gave up.
const REDIRECTS: usize = 30;

/// What a client cannot change from request to request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    verify: bool,
    /// A file with who is trusted, instead of the system's authorities.
    ca_file: Option<Arc<str>>,
    redirects: bool,
    /// Without the proxy that the environment may name: nothing is behind a proxy on this very machine.
    direct: bool,
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
            verify: check.options.verify.unwrap_or(true),
            ca_file: check.options.ca_file.clone(),
            redirects: check.options.allow_redirects.unwrap_or(true),
            direct: is_here(&check.host),
        };
        let mut shared = self.shared.lock().await;
        if let Some(client) = shared.get(&kind) {
            return Ok(client.clone());
        }
        let wanted = kind.clone();
        let made = aside(move || match &wanted.ca_file {
            Some(file) => with_ca_file(&wanted, file),
            None => with_system_roots(&wanted),
        });
        match made.await {
            Ok(client) => {
                shared.insert(kind, client.clone());
                Ok(client)
            }
            // A machine without any CA certificate can still ask where none is needed.
            Err(_) if &*check.scheme == "http" && kind.ca_file.is_none() => {
                aside(move || finish(builder(&kind).tls_certs_only([]))).await
            }
            Err(because) => Err(because),
        }
    }
}

/// Runs what reads files where it holds up nobody.
async fn aside(make: impl FnOnce() -> Result<Client, String> + Send + 'static) -> Result<Client, String> {
    match tokio::task::spawn_blocking(make).await {
        Ok(result) => result,
        Err(error) => Err(format!("preparing the HTTP client was interrupted: {error}")),
    }
}

fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn builder(kind: &Kind) -> ClientBuilder {
    static PROVIDER: Once = Once::new();
    // There is one already if somebody else in this process needed it: as good.
    PROVIDER.call_once(|| drop(ring::default_provider().install_default()));
    let builder = Client::builder()
        .user_agent(concat!("maestro/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        .pool_max_idle_per_host(0)
        .redirect(if kind.redirects { Policy::limited(REDIRECTS) } else { Policy::none() });
    if kind.direct { builder.no_proxy() } else { builder }
}

fn finish(builder: ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|error| format!("no HTTP client can be made: {}", super::http::root(&error)))
}

fn with_system_roots(kind: &Kind) -> Result<Client, String> {
    finish(builder(kind).tls_danger_accept_invalid_certs(!kind.verify))
}

fn with_ca_file(kind: &Kind, file: &str) -> Result<Client, String> {
    let unusable = |because: &dyn std::fmt::Display| format!("the CA file {file} cannot be used: {because}");
    let pem = std::fs::read(file).map_err(|error| unusable(&super::words(&error)))?;
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| unusable(&error))?;
    if certificates.is_empty() {
        return Err(unusable(&"it holds no certificate in PEM form"));
    }
    let provider = Arc::new(ring::default_provider());
    let trust = CaFile::new(certificates, provider.clone()).map_err(|error| unusable(&error))?;
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth();
    finish(builder(kind).tls_backend_preconfigured(tls))
}
