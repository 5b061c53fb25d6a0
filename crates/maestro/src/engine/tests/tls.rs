//! TLS: who is trusted, who is let in.

use super::script::{Reply, Server, options, serve, ship};
use crate::engine::DockerEngine;
use maestro_core::boundary::{Engine, Scope};
use maestro_core::model::{Identity, Transport, Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Authorities, certificates and keys as files: `ca`, `server`, `client`, and `stranger`, which is another authority.
struct Pki {
    directory: TempDir,
}

impl Pki {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, certificate: &str, key: &str| {
            std::fs::write(directory.path().join(format!("{name}.pem")), certificate).unwrap();
            std::fs::write(directory.path().join(format!("{name}.key")), key).unwrap();
        };
        let authority = || {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let ca = authority();
        write("ca", &ca.pem(), &ca.key().serialize_pem());
        let stranger = authority();
        write("stranger", &stranger.pem(), &stranger.key().serialize_pem());
        for (name, usage) in
            [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)]
        {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().unwrap();
            write(name, &params.signed_by(&key, &ca).unwrap().pem(), &key.serialize_pem());
        }
        Self { directory }
    }

    fn path(&self, name: &str) -> Arc<str> {
        self.directory.path().join(name).to_str().unwrap().into()
    }

    fn identity(&self) -> Identity {
        Identity { cert: self.path("client.pem"), key: self.path("client.key"), optional: false }
    }

    /// An engine that speaks TLS and wants to see certificates of `ca`, if any. Returns its port.
    async fn serve(&self, ask_client: bool) -> u16 {
        let file = |name: &str| self.directory.path().join(name);
        let builder = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if ask_client {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&file("ca.pem"))).unwrap();
            let provider = rustls::crypto::ring::default_provider().into();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        let config = builder.with_single_cert(vec![certificate(&file("server.pem"))], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let script = |_: &super::script::Asked| {
                        Reply::Json(200, r#"{"ApiVersion":"1.41","Version":"20.10"}"#.into())
                    };
                    serve(stream, Arc::new(script), Arc::new(Mutex::new(Vec::new()))).await;
                });
            }
        });
        port
    }
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

/// `connected`, or why not. What the server says to the second request is no list; that is far enough.
async fn connect(host: &str, port: u16, trust: Trust, identity: Option<Identity>) -> String {
    let transport = Transport::Tls { host: host.into(), port, identity, trust };
    let engine = DockerEngine::new(ship(transport, None), options());
    let error = engine.observe(&Scope::default()).await.unwrap_err().kind.to_string();
    if error.contains("answer not understood: invalid type: map") { "connected".to_owned() } else { error }
}

#[tokio::test]
async fn only_whom_the_ship_trusts() {
    let pki = Pki::new();
    let port = pki.serve(false).await;
    assert_eq!(connect("localhost", port, Trust::Anything, None).await, "connected");
    assert_eq!(connect("127.0.0.1", port, Trust::Anything, None).await, "connected");
    assert_eq!(connect("localhost", port, Trust::File(pki.path("ca.pem")), None).await, "connected");
    let issuer = connect("localhost", port, Trust::File(pki.path("stranger.pem")), None).await;
    assert_eq!(
        issuer,
        format!(
            "TLS with https://localhost:{port} failed: the engine's certificate was not issued by an authority that the ship trusts"
        )
    );
    let name = connect("127.0.0.1", port, Trust::File(pki.path("ca.pem")), None).await;
    assert!(name.contains("not valid for"), "{name}");
}

/// What `openssl req -x509` makes, and Docker's own client accepts: one certificate is authority and engine.
#[tokio::test]
async fn an_engine_may_show_the_very_certificate_in_the_file() {
    let own = |pki: &Pki, name: &str, year: i32| {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = |end: &str| pki.directory.path().join(format!("{name}.{end}"));
        std::fs::write(file("pem"), issuer.pem()).unwrap();
        std::fs::write(file("key"), issuer.key().serialize_pem()).unwrap();
    };
    let pki = Pki::new();
    own(&pki, "server", 4000);
    let port = pki.serve(false).await;
    let trust = |name: &str| Trust::File(pki.path(name));
    assert_eq!(connect("localhost", port, trust("server.pem"), None).await, "connected");
    let name = connect("127.0.0.1", port, trust("server.pem"), None).await;
    assert!(name.contains("not valid for"), "{name}");
    // The same name and the same life, but not the same certificate.
    own(&pki, "twin", 4000);
    let twin = connect("localhost", port, trust("twin.pem"), None).await;
    assert!(
        twin.contains("is an authority's own; such a one is accepted if it is in `tls_ca_cert`"),
        "{twin}"
    );
    // Being the one in the file does not make it last for ever.
    own(&pki, "server", 2000);
    let port = pki.serve(false).await;
    let old = connect("localhost", port, trust("server.pem"), None).await;
    assert!(old.contains("expired"), "{old}");
}

#[tokio::test]
async fn only_whom_the_engine_trusts() {
    let pki = Pki::new();
    let port = pki.serve(true).await;
    let trust = || Trust::File(pki.path("ca.pem"));
    assert_eq!(connect("localhost", port, trust(), Some(pki.identity())).await, "connected");
    let nobody = connect("localhost", port, trust(), None).await;
    assert!(nobody.contains("the engine asks for a client certificate"), "{nobody}");
    // As Docker's client has it: what is not there is not shown, half of it is an error.
    let optional =
        |cert: &str, key: &str| Identity { cert: pki.path(cert), key: pki.path(key), optional: true };
    let nobody = connect("localhost", port, trust(), Some(optional("no.pem", "no.key"))).await;
    assert!(nobody.contains("the engine asks for a client certificate"), "{nobody}");
    let half = connect("localhost", port, trust(), Some(optional("client.pem", "no.key"))).await;
    assert!(half.contains("cannot read the private key"), "{half}");
    let whole = optional("client.pem", "client.key");
    assert_eq!(connect("localhost", port, trust(), Some(whole)).await, "connected");
    let stranger =
        Identity { cert: pki.path("stranger.pem"), key: pki.path("stranger.key"), optional: false };
    let refused = connect("localhost", port, trust(), Some(stranger)).await;
    assert!(refused.contains("the engine does not accept the client certificate"), "{refused}");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let pki = Pki::new();
    let directory = pki.directory.path().display();
    std::fs::write(pki.directory.path().join("empty.pem"), "nothing here\n").unwrap();
    for (trust, identity, expected) in [
        (
            Trust::File(pki.path("missing.pem")),
            None,
            format!(
                "cannot read the certificate {directory}/missing.pem (tls_ca_cert): No such file or directory"
            ),
        ),
        (
            Trust::File(pki.path("empty.pem")),
            None,
            format!("there is no certificate in PEM form in {directory}/empty.pem (tls_ca_cert)"),
        ),
        (
            Trust::Anything,
            Some(Identity { cert: pki.path("client.pem"), key: pki.path("client.pem"), optional: false }),
            format!("there is no private key in PEM form in {directory}/client.pem (tls_key)"),
        ),
        (
            Trust::Anything,
            Some(Identity { cert: pki.path("client.pem"), key: pki.path("server.key"), optional: false }),
            format!(
                "the private key {directory}/server.key (tls_key) does not belong to the certificate {directory}/client.pem (tls_cert)"
            ),
        ),
    ] {
        assert_eq!(connect("localhost", 1, trust, identity).await, expected);
    }
}

#[tokio::test]
async fn a_plain_engine_does_not_speak_tls() {
    let server = Server::start(|_| Reply::Json(200, "[]".into())).await;
    let plain = connect("localhost", server.port, Trust::Anything, None).await;
    assert!(plain.starts_with("TLS with https://localhost:"), "{plain}");
}
