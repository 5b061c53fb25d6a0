//! Certificates for pretended engines that speak TLS: an authority, a server's and a client's.

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// An authority and what it has signed, in a directory of its own that goes with it.
pub struct Pki {
    directory: TempDir,
    server: Arc<ServerConfig>,
}

impl fmt::Debug for Pki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pki").field("directory", &self.directory.path()).finish_non_exhaustive()
    }
}

impl Pki {
    /// A new authority; its server is 127.0.0.1 and localhost.
    pub fn new() -> io::Result<Arc<Self>> {
        let directory = tempfile::tempdir()?;
        let wrong = |error: rcgen::Error| io::Error::other(error.to_string());
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(wrong)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).map_err(wrong)?;
        let issuer = Issuer::new(params, key);
        let sign = |names: &[&str], purpose| {
            let key = KeyPair::generate()?;
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let mut params = CertificateParams::new(names)?;
            params.extended_key_usages = vec![purpose];
            let cert = params.signed_by(&key, &issuer)?;
            Ok((cert, key))
        };
        let (server, server_key) =
            sign(&["127.0.0.1", "localhost"], ExtendedKeyUsagePurpose::ServerAuth).map_err(wrong)?;
        let (client, client_key) = sign(&["client"], ExtendedKeyUsagePurpose::ClientAuth).map_err(wrong)?;
        std::fs::write(directory.path().join("ca.pem"), ca.pem())?;
        std::fs::write(directory.path().join("cert.pem"), client.pem())?;
        std::fs::write(directory.path().join("key.pem"), client_key.serialize_pem())?;
        let server = server_config(ca.der(), server.der(), &server_key)?;
        Ok(Arc::new(Self { directory, server: Arc::new(server) }))
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The client's certificate.
    pub fn client_cert(&self) -> PathBuf {
        self.file("cert.pem")
    }

    /// The client's key.
    pub fn client_key(&self) -> PathBuf {
        self.file("key.pem")
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::join(self.directory.path(), name)
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }
}

fn server_config(
    ca: &CertificateDer<'static>,
    cert: &CertificateDer<'static>,
    key: &KeyPair,
) -> io::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).map_err(io::Error::other)?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![cert.clone()], key)
        .map_err(io::Error::other)
}
