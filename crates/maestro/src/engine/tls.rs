//! TLS towards one engine: whose certificate is accepted, and which one is shown.

use super::lazily::Lazily;
use crate::trust::CaFile;
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::model::{Identity, Trust};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The authorities that the system trusts, read once per process.
pub(super) type SystemRoots = Lazily<Arc<RootCertStore>>;

/// TLS settings of one ship; files are read when the first connection needs them.
pub(super) struct Tls {
    host: Arc<str>,
    identity: Option<Identity>,
    trust: Trust,
    roots: Arc<SystemRoots>,
    ready: Lazily<Handshaker>,
}

/// TLS settings, read and understood.
#[derive(Clone)]
pub(super) struct Handshaker {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    pub(super) fn new(
        host: Arc<str>,
        identity: Option<Identity>,
        trust: Trust,
        roots: Arc<SystemRoots>,
    ) -> Self {
        Self { host, identity, trust, roots, ready: Lazily::default() }
    }

    /// What makes handshakes. Fails with the file that cannot be used.
    pub(super) async fn connector(&self) -> Result<Handshaker, EngineErrorKind> {
        self.ready
            .get(async || {
                let name = ServerName::try_from(self.host.to_string()).map_err(|_| {
                    settings(format!("`{}` is not a host name that a certificate could have", self.host))
                })?;
                let roots = match &self.trust {
                    Trust::System => Some(self.roots.get(system_roots).await?),
                    Trust::Anything | Trust::File(_) => None,
                };
                let (trust, identity) = (self.trust.clone(), self.identity.clone());
                let config = tokio::task::spawn_blocking(move || client(&trust, roots, identity.as_ref()))
                    .await
                    .map_err(|error| settings(format!("reading certificates was interrupted: {error}")))??;
                Ok(Handshaker { connector: TlsConnector::from(Arc::new(config)), name })
            })
            .await
    }
}

impl Handshaker {
    pub(super) async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

fn client(
    trust: &Trust,
    system: Option<Arc<RootCertStore>>,
    identity: Option<&Identity>,
) -> Result<ClientConfig, EngineErrorKind> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| settings(format!("no TLS version can be used: {error}")))?;
    let builder = match trust {
        Trust::Anything => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAnything(provider)))
        }
        Trust::System => {
            builder.with_root_certificates(system.unwrap_or_else(|| RootCertStore::empty().into()))
        }
        Trust::File(path) => {
            let trust = CaFile::new(certificates(path, "tls_ca_cert")?, provider).map_err(|error| {
                settings(format!("{path} (tls_ca_cert) holds no usable certificate of an authority: {error}"))
            })?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(trust))
        }
    };
    let exists = |path: &str| std::path::Path::new(path).exists();
    match identity.filter(|identity| !identity.optional || exists(&identity.cert) || exists(&identity.key)) {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let chain = certificates(&identity.cert, "tls_cert")?;
            let key = PrivateKeyDer::from_pem_file(&*identity.key)
                .map_err(|error| unusable(&identity.key, "tls_key", "private key", &error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                settings(match error {
                    Error::InconsistentKeys(_) => format!(
                        "the private key {} (tls_key) does not belong to the certificate {} (tls_cert)",
                        identity.key, identity.cert
                    ),
                    error => format!("{} and {} cannot be used: {error}", identity.cert, identity.key),
                })
            })
        }
    }
}

fn certificates(path: &str, key: &str) -> Result<Vec<CertificateDer<'static>>, EngineErrorKind> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found = found.map_err(|error| unusable(path, key, "certificate", &error))?;
    if found.is_empty() {
        return Err(unusable(path, key, "certificate", &pem::Error::NoItemsFound));
    }
    Ok(found)
}

fn unusable(path: &str, key: &str, what: &str, error: &pem::Error) -> EngineErrorKind {
    settings(match error {
        pem::Error::Io(error) => {
            format!("cannot read the {what} {path} ({key}): {}", super::classify::words(error))
        }
        pem::Error::NoItemsFound => format!("there is no {what} in PEM form in {path} ({key})"),
        error => format!("{path} ({key}) is not a file in PEM form: {error}"),
    })
}

fn settings(text: String) -> EngineErrorKind {
    EngineErrorKind::Settings(text)
}

async fn system_roots() -> Result<Arc<RootCertStore>, EngineErrorKind> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|error| settings(format!("reading the system's certificates was interrupted: {error}")))?;
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(settings(format!(
            "this system has no authorities to verify against{why}; give `tls_ca_cert`, or install ca-certificates"
        )));
    }
    Ok(Arc::new(roots))
}

/// maestro-ng's default, `tls_verify: false`: the connection is encrypted, and nobody knows with whom.
#[derive(Debug)]
struct AcceptAnything(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
