//! Certificates of a fleet: one authority, a server certificate per TLS ship, one client certificate.

use super::error::FleetError;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate authority whose key never leaves this process.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// Files of one certificate, all PEM.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CertificateFiles {
    /// Certificate of the authority.
    pub ca: PathBuf,
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority, called `name`.
    pub fn new(name: &str) -> Result<Authority, FleetError> {
        let failed = |source| FleetError::Certificate { subject: name.to_owned(), source };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Authority { issuer: Issuer::new(params, key), certificate })
    }

    /// Writes a certificate for a server at an address, with its key and the authority's certificate, into
    /// `directory`.
    pub fn issue_server(&self, address: IpAddr, directory: &Path) -> Result<CertificateFiles, FleetError> {
        self.issue(
            &address.to_string(),
            vec![address.to_string()],
            vec![ExtendedKeyUsagePurpose::ServerAuth],
            directory,
        )
    }

    /// The same for a server that calls itself, as etcd's gateway does, and shows itself this certificate.
    pub fn issue_peer(&self, address: IpAddr, directory: &Path) -> Result<CertificateFiles, FleetError> {
        let purposes = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&address.to_string(), vec![address.to_string()], purposes, directory)
    }

    /// Writes a certificate for a client, with its key and the authority's certificate, into `directory`.
    pub fn issue_client(&self, name: &str, directory: &Path) -> Result<CertificateFiles, FleetError> {
        self.issue(name, Vec::new(), vec![ExtendedKeyUsagePurpose::ClientAuth], directory)
    }

    fn issue(
        &self,
        name: &str,
        addresses: Vec<String>,
        purposes: Vec<ExtendedKeyUsagePurpose>,
        directory: &Path,
    ) -> Result<CertificateFiles, FleetError> {
        let failed = |source| FleetError::Certificate { subject: name.to_owned(), source };
        let key = KeyPair::generate().map_err(failed)?;
        // Names that are addresses become address entries.
        let mut params = CertificateParams::new(addresses).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = purposes;
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        fs::create_dir_all(directory).map_err(FleetError::io(format!("make {}", directory.display())))?;
        let files = CertificateFiles {
            ca: directory.join("ca.pem"),
            cert: directory.join("cert.pem"),
            key: directory.join("key.pem"),
        };
        write_private(&files.ca, &self.certificate)?;
        write_private(&files.cert, &certificate.pem())?;
        write_private(&files.key, &key.serialize_pem())?;
        Ok(files)
    }
}

impl CertificateFiles {
    /// A TLS client that shows this certificate and believes this authority alone.
    pub fn client_config(&self) -> Result<rustls::ClientConfig, FleetError> {
        let failed = |path: &Path| {
            let what = format!("use the certificate file {}", path.display());
            move |error: Box<dyn std::error::Error + Send + Sync>| FleetError::Io {
                what,
                source: std::io::Error::other(error),
            }
        };
        let mut roots = rustls::RootCertStore::empty();
        for certificate in
            CertificateDer::pem_file_iter(&self.ca).map_err(|error| failed(&self.ca)(error.into()))?
        {
            let certificate = certificate.map_err(|error| failed(&self.ca)(error.into()))?;
            roots.add(certificate).map_err(|error| failed(&self.ca)(error.into()))?;
        }
        let certificate =
            CertificateDer::from_pem_file(&self.cert).map_err(|error| failed(&self.cert)(error.into()))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| failed(&self.key)(error.into()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&self.ca)(error.into()))?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)
            .map_err(|error| failed(&self.cert)(error.into()))?;
        Ok(config)
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), FleetError> {
    let write = || {
        let mut file =
            fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        std::io::Write::write_all(&mut file, text.as_bytes())
    };
    write().map_err(FleetError::io(format!("write {}", path.display())))
}
