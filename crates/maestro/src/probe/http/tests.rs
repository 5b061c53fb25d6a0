//! Against servers on this machine. Clocks are real where an exchange takes place, for a paused one runs ahead of it.

use crate::probe::SystemProbe;
use crate::probe::testing::{Answer, Server, answer, instance};
use maestro_core::boundary::{CheckFailure, Probe as _};
use maestro_core::model::{Check, Fields, HttpCheck, RequestOptions};
use maestro_core::names::Secret;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Time for one try and no second one; with a `timeout` of its own, that one may take longer on a busy machine.
const ONCE: Duration = Duration::from_millis(990);

fn get(server: &Server) -> HttpCheck {
    HttpCheck {
        host: server.address.ip().to_string().into(),
        port: server.address.port(),
        picked: None,
        scheme: "http".into(),
        path: "/health".into(),
        method: "GET".into(),
        match_regex: None,
        max_wait: ONCE,
        options: patient().into(),
    }
}

fn patient() -> RequestOptions {
    RequestOptions { timeout: Some(Duration::from_mins(1)), ..RequestOptions::default() }
}

fn pairs(pairs: &[(&str, &str)]) -> Fields {
    Fields::Pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

async fn run(check: HttpCheck) -> Result<(), CheckFailure> {
    SystemProbe::new().check(&instance(), &Check::Http(Box::new(check)), None).await
}

async fn last(check: HttpCheck) -> String {
    run(check).await.unwrap_err().last
}

#[tokio::test]
async fn only_200_is_good() {
    let server = Server::new(vec![answer("200 OK", &[], "fine")]).await;
    assert_eq!(run(get(&server)).await, Ok(()));
    for status in ["201 Created", "204 No Content", "304 Not Modified", "404 Not Found", "503 Unavailable"] {
        let server = Server::new(vec![answer(status, &[], "")]).await;
        let failure = run(get(&server)).await.unwrap_err();
        assert_eq!(failure.attempts, 1);
        assert_eq!(failure.last, format!("status {}", &status[..3]));
        assert_eq!(failure.check, format!("http GET http://{}/health", server.address));
    }
}

#[tokio::test]
async fn is_tried_again_a_second_later() {
    let server = Server::new(vec![answer("503 Unavailable", &[], ""), answer("200 OK", &[], "")]).await;
    let begin = Instant::now();
    assert_eq!(run(HttpCheck { max_wait: Duration::from_mins(1), ..get(&server) }).await, Ok(()));
    assert_eq!(server.requests().len(), 2);
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

/// A connection that is kept would not prove that a new one can be made.
#[tokio::test]
async fn every_try_has_a_connection_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::new(vec![answer("200 OK", &[], "")]).await;
    let check = HttpCheck {
        port: listener.local_addr().unwrap().port(),
        max_wait: Duration::from_millis(1900),
        ..get(&server)
    };
    let mut connections = 0;
    let mut kept = JoinSet::new();
    let serving = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections += 1;
            kept.spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.unwrap_or_default() > 0 {
                    if line == "\r\n" {
                        stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    }
                    line.clear();
                }
            });
        }
    };
    let failure = tokio::select! {
        result = run(check) => result.unwrap_err(),
        never = serving => never,
    };
    assert_eq!((failure.attempts, connections), (2, 2));
}

#[tokio::test]
async fn no_time_means_no_try() {
    let server = Server::new(vec![answer("200 OK", &[], "")]).await;
    let failure = run(HttpCheck { max_wait: Duration::ZERO, ..get(&server) }).await.unwrap_err();
    assert_eq!(failure.attempts, 0);
    assert!(failure.last.contains("max_wait"), "{failure}");
    assert!(server.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_left_when_the_time_is_over() {
    for sent in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"] {
        let server = Server::new(vec![Answer::Stall(sent.into())]).await;
        let begin = Instant::now();
        let check = HttpCheck {
            match_regex: Some("x".into()),
            max_wait: Duration::from_mins(5),
            options: RequestOptions::default().into(),
            ..get(&server)
        };
        let failure = run(check).await.unwrap_err();
        assert_eq!((failure.attempts, &*failure.last), (1, "no complete answer within 300 s"));
        assert_eq!(begin.elapsed(), Duration::from_mins(5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_that_of_one_request() {
    let server = Server::new(vec![Answer::Stall(Vec::new())]).await;
    let begin = Instant::now();
    let options = RequestOptions { timeout: Some(Duration::from_secs(2)), ..patient() };
    let failure =
        run(HttpCheck { max_wait: Duration::from_secs(10), options: options.into(), ..get(&server) })
            .await
            .unwrap_err();
    // At 0, 3, 6 and 9 seconds; the last may go beyond `max_wait`, as its time is given.
    assert_eq!((failure.attempts, &*failure.last), (4, "no complete answer within 2 s"));
    assert_eq!(begin.elapsed(), Duration::from_secs(11));
}

#[tokio::test]
async fn a_body_is_not_waited_for_where_the_status_says_all() {
    let sent = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec();
    let server = Server::new(vec![Answer::Stall(sent)]).await;
    assert_eq!(run(get(&server)).await, Ok(()));
}

#[tokio::test]
async fn a_pattern_overrules_the_status() {
    let server = Server::new(vec![answer("503 Unavailable", &[], "state:\nwell\n")]).await;
    let matching = |regex: &str| HttpCheck { match_regex: Some(regex.into()), ..get(&server) };
    assert_eq!(run(matching("state.*well$")).await, Ok(()));
    assert_eq!(last(matching("ill")).await, "no match for `ill` in 12 bytes (status 503)");
    assert_eq!(last(matching("")).await, "status 503");
    let server = Server::new(vec![answer("200 OK", &[], "")]).await;
    let matching = HttpCheck { match_regex: Some(".*".into()), ..get(&server) };
    assert_eq!(last(matching).await, "no match for `.*` in 0 bytes (status 200)");
}

#[tokio::test]
async fn the_request_is_what_the_file_says() {
    let server = Server::new(vec![answer("200 OK", &[], "")]).await;
    let options = RequestOptions {
        headers: BTreeMap::from([
            ("X-Probe".into(), Some("yes".into())),
            ("user-agent".into(), Some("mine".into())),
            ("Authorization".into(), Some("hunter3".into())),
        ]),
        params: pairs(&[("b", "ä ö"), ("b", "2"), ("c", "1")]),
        auth: Some(("user".into(), Secret::new("hunter2"))),
        data: Some(Fields::Text("{\"a\": 1}".into())),
        ..patient()
    };
    let check = HttpCheck {
        method: "POST".into(),
        path: "/deep?a=1".into(),
        options: options.into(),
        ..get(&server)
    };
    assert_eq!(run(check).await, Ok(()));
    let request = &server.requests()[0];
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(body, "{\"a\": 1}");
    assert_eq!(
        lines,
        [
            "POST /deep?a=1&b=%C3%A4+%C3%B6&b=2&c=1 HTTP/1.1",
            "accept: */*",
            "authorization: Basic dXNlcjpodW50ZXIy",
            "content-length: 8",
            &format!("host: {}", server.address),
            "user-agent: mine",
            "x-probe: yes",
        ]
    );
}

/// The lines of the head but for the host, in order, and the body.
async fn sent(check: impl FnOnce(HttpCheck) -> HttpCheck) -> (Vec<String>, String) {
    let server = Server::new(vec![answer("200 OK", &[], "")]).await;
    assert_eq!(run(check(get(&server))).await, Ok(()));
    let request = &server.requests()[0];
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> =
        head.lines().filter(|line| !line.starts_with("host:")).map(ToOwned::to_owned).collect();
    lines[1..].sort_unstable();
    (lines, body.to_owned())
}

#[tokio::test]
async fn forms_and_texts_are_sent_and_headers_are_not() {
    let options = RequestOptions {
        data: Some(pairs(&[("a", "1 2"), ("a", "ä"), ("b", "&")])),
        params: Fields::Text("x=1&y".into()),
        headers: BTreeMap::from([("User-Agent".into(), None)]),
        ..patient()
    };
    let (head, body) =
        sent(|check| HttpCheck { method: "POST".into(), options: options.into(), ..check }).await;
    assert_eq!(body, "a=1+2&a=%C3%A4&b=%26");
    let form = "content-type: application/x-www-form-urlencoded";
    assert_eq!(head, ["POST /health?x=1&y HTTP/1.1", "accept: */*", "content-length: 20", form]);

    let options = RequestOptions {
        data: Some(pairs(&[("a", "1")])),
        params: Fields::Text("x".into()),
        headers: BTreeMap::from([("Content-Type".into(), Some("text/plain".into()))]),
        ..patient()
    };
    let (head, _) = sent(|check| HttpCheck { path: "/?a=b".into(), options: options.into(), ..check }).await;
    let ours = concat!("user-agent: maestro/", env!("CARGO_PKG_VERSION"));
    let expected =
        ["GET /?a=b&x HTTP/1.1", "accept: */*", "content-length: 3", "content-type: text/plain", ours];
    assert_eq!(head, expected);

    let options = RequestOptions { data: Some(pairs(&[])), params: Fields::Text(String::new()), ..patient() };
    let (head, _) = sent(|check| HttpCheck { options: options.into(), ..check }).await;
    assert_eq!(head, ["GET /health HTTP/1.1", "accept: */*", ours]);
}

#[tokio::test]
async fn redirects_are_followed_unless_they_may_not_be() {
    let moved = answer("302 Found", &["location: /there"], "");
    let server = Server::new(vec![moved.clone(), answer("200 OK", &[], "")]).await;
    assert_eq!(run(HttpCheck { method: "HEAD".into(), ..get(&server) }).await, Ok(()));
    let lines: Vec<String> = server.requests().iter().map(|r| r.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["HEAD /health HTTP/1.1", "HEAD /there HTTP/1.1"]);

    let server = Server::new(vec![moved]).await;
    let options = RequestOptions { allow_redirects: Some(false), ..patient() };
    assert_eq!(last(HttpCheck { options: options.into(), ..get(&server) }).await, "status 302");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(last(get(&server)).await, "too many redirects");
    assert_eq!(server.requests().len(), 32);
}

#[tokio::test]
async fn what_went_wrong_is_said_in_words() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = socket.local_addr().unwrap();
    let server = Server::new(vec![Answer::Send(Vec::new())]).await;
    assert_eq!(last(HttpCheck { port: nobody.port(), ..get(&server) }).await, "connection refused");
    assert_eq!(last(get(&server)).await, "connection closed before message completed");
    let server = Server::new(vec![Answer::Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec())]).await;
    assert_eq!(last(get(&server)).await, "invalid HTTP version parsed");
}

#[tokio::test]
async fn what_cannot_get_better_is_tried_once() {
    let server = Server::new(vec![answer("200 OK", &[], "")]).await;
    let check = HttpCheck { max_wait: Duration::from_mins(5), ..get(&server) };
    let headers = BTreeMap::from([("no good".to_owned(), Some("x".to_owned()))]);
    let bad_header = RequestOptions { headers, ..patient() };
    let no_file = RequestOptions { ca_file: Some("/no/such/ca.pem".into()), ..patient() };
    for (check, because) in [
        (HttpCheck { method: "G T".into(), ..check.clone() }, "`G T` is no HTTP method"),
        (HttpCheck { host: "a b".into(), ..check.clone() }, "no such request can be made: invalid "),
        (
            HttpCheck { options: bad_header.into(), ..check.clone() },
            "no such request can be made: invalid HTTP header name",
        ),
        (
            HttpCheck { options: no_file.into(), ..check.clone() },
            "the CA file /no/such/ca.pem cannot be used: no such file or directory",
        ),
        (HttpCheck { match_regex: Some("(".into()), ..check }, "`(` is no regular expression"),
    ] {
        let failure = run(check).await.unwrap_err();
        assert!(failure.attempts <= 1 && failure.last.starts_with(because), "{failure}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn logins_and_queries_are_not_told() {
    let check = HttpCheck {
        host: "user:hunter2@2001:db8::1".into(),
        port: 8443,
        picked: None,
        scheme: "https".into(),
        path: "/health?token=hunter2".into(),
        method: "GET".into(),
        match_regex: None,
        max_wait: ONCE,
        options: RequestOptions::default().into(),
    };
    assert_eq!(super::describe(&check), "http GET https://[2001:db8::1]:8443/health?…");
}

/// The proxy of the environment is a matter of a process, so this test runs itself in another one.
#[tokio::test]
async fn the_environments_proxy_is_used_but_not_for_this_machine() {
    const CHILD: &str = "MAESTRO_TEST_PROXY_CHILD";
    let name = std::thread::current().name().unwrap().to_owned();
    let server = Server::new(vec![answer("200 OK", &[], "")]).await;
    if std::env::var_os(CHILD).is_some() {
        let far = HttpCheck { host: "192.0.2.1".into(), port: 8080, ..get(&server) };
        assert_eq!(run(HttpCheck { max_wait: Duration::from_mins(1), ..far }).await, Ok(()));
        assert_eq!(run(get(&server)).await, Ok(()));
        assert_eq!(server.requests().len(), 1, "this machine was asked through the proxy");
        return;
    }
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(CHILD, "1")
        .env("http_proxy", format!("http://{}", server.address))
        .env_remove("HTTP_PROXY")
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(2), child).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("GET http://192.0.2.1:8080/health HTTP/1.1\r\n"), "{}", requests[0]);
}

mod tls {
    use super::{
        Check, HttpCheck, RequestOptions, Server, SystemProbe, answer, get, instance, last, patient, run,
    };
    use maestro_core::boundary::Probe as _;
    use maestro_core::model::ClientCert;
    use rcgen::ExtendedKeyUsagePurpose::ClientAuth;
    use rcgen::{
        BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
    };
    use rustls::RootCertStore;
    use rustls::server::WebPkiClientVerifier;
    use rustls::server::danger::ClientCertVerifier;
    use std::sync::Arc;
    use tempfile::TempDir;
    use tokio_rustls::TlsAcceptor;

    fn params(names: &[&str]) -> CertificateParams {
        CertificateParams::new(names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    async fn serving(cert: &Certificate, key: &KeyPair) -> (Server, HttpCheck) {
        serving_those(cert, key, WebPkiClientVerifier::no_client_auth()).await
    }

    async fn serving_those(
        cert: &Certificate,
        key: &KeyPair,
        clients: Arc<dyn ClientCertVerifier>,
    ) -> (Server, HttpCheck) {
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_client_cert_verifier(clients)
                .with_single_cert(vec![cert.der().clone()], key)
                .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = Server::with_tls(vec![answer("200 OK", &[], "")], acceptor).await;
        let check = HttpCheck { scheme: "https".into(), ..get(&server) };
        (server, check)
    }

    /// A check that trusts a file with this in it.
    fn trusting(folder: &TempDir, pem: &str, check: &HttpCheck) -> HttpCheck {
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, pem).unwrap();
        let ca_file = Some(path.to_str().unwrap().into());
        let options = RequestOptions { ca_file, ..patient() };
        HttpCheck { options: options.into(), ..check.clone() }
    }

    #[tokio::test]
    async fn certificates_are_verified_unless_the_file_says_no() {
        let authority = authority();
        let key = KeyPair::generate().unwrap();
        let cert = params(&["127.0.0.1"]).signed_by(&key, &authority).unwrap();
        let (server, check) = serving(&cert, &key).await;
        for verify in [None, Some(true)] {
            let options = RequestOptions { verify, ..patient() };
            let last = last(HttpCheck { options: options.into(), ..check.clone() }).await;
            assert!(last.contains("not signed by an authority that is trusted"), "{last}");
        }
        assert!(server.requests().is_empty());
        let options = RequestOptions { verify: Some(false), ..patient() };
        assert_eq!(run(HttpCheck { options: options.into(), ..check }).await, Ok(()));
    }

    #[tokio::test]
    async fn a_ca_file_is_trusted_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (authority(), authority());
        let key = KeyPair::generate().unwrap();
        let cert = params(&["127.0.0.1"]).signed_by(&key, &ours).unwrap();
        let (_server, check) = serving(&cert, &key).await;
        let both = other.pem() + &ours.pem();
        assert_eq!(run(trusting(&folder, &both, &check)).await, Ok(()));
        let last_of = async |pem: &str| last(trusting(&folder, pem, &check)).await;
        let stranger = last_of(&other.pem()).await;
        assert!(stranger.contains("not signed by an authority that is trusted"), "{stranger}");
        assert!(last_of("nothing").await.ends_with("it holds no certificate in PEM form"));
        // What was read before a run holds for all of it.
        let (probe, check) = (SystemProbe::new(), trusting(&folder, &both, &check));
        let whole = Check::Http(Box::new(check));
        assert_eq!(probe.prepare(&whole).await, Ok(()));
        std::fs::remove_file(folder.path().join("ca.pem")).unwrap();
        assert_eq!(probe.check(&instance(), &whole, None).await, Ok(()));
        let failure = SystemProbe::new().prepare(&whole).await.unwrap_err();
        assert!(failure.last.ends_with("cannot be used: no such file or directory"), "{failure}");

        let cert = params(&["127.0.0.9"]).signed_by(&key, &ours).unwrap();
        let (_server, check) = serving(&cert, &key).await;
        let last_now = last(trusting(&folder, &both, &check)).await;
        assert_eq!(last_now, "the server's certificate is for another name: IpAddress(127.0.0.9)");
    }

    #[tokio::test]
    async fn a_client_certificate_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let ours = authority();
        let keys = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
        let mut asking = params(&["client"]);
        asking.extended_key_usages = vec![ClientAuth];
        let client = asking.signed_by(&keys[1], &ours).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ours.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let server = params(&["127.0.0.1"]).signed_by(&keys[0], &ours).unwrap();
        let (_server, check) = serving_those(&server, &keys[0], clients).await;
        let file = |name: &str, text: &str| -> Arc<str> {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().into()
        };
        let (cert, key) = (client.pem(), keys[1].serialize_pem());
        let two = ClientCert { cert: file("cert.pem", &cert), key: Some(file("key.pem", &key)) };
        let one = ClientCert { cert: file("both.pem", &(key + &cert)), key: None };
        let other = ClientCert { key: Some(file("other.pem", &keys[0].serialize_pem())), ..two.clone() };
        let half = ClientCert { key: None, ..two.clone() };
        let missing = ClientCert { cert: "/no/such.pem".into(), key: None };
        let trusting = trusting(&folder, &ours.pem(), &check);
        let blind =
            HttpCheck { options: RequestOptions { verify: Some(false), ..patient() }.into(), ..check };
        for check in [trusting, blind] {
            let with = |cert: Option<&ClientCert>| {
                let options = RequestOptions { cert: cert.cloned(), ..(*check.options).clone() };
                HttpCheck { options: options.into(), ..check.clone() }
            };
            assert!(run(with(None)).await.is_err());
            assert_eq!(run(with(Some(&two))).await, Ok(()));
            assert_eq!(run(with(Some(&one))).await, Ok(()));
            for (cert, because) in [
                (&other, "other.pem is that of another"),
                (&half, "cert.pem cannot be used: it holds no private key in PEM form"),
                (&missing, "the certificate file /no/such.pem cannot be used: no such file or directory"),
            ] {
                let check = Check::Http(Box::new(with(Some(cert))));
                let failure = SystemProbe::new().prepare(&check).await.unwrap_err();
                assert!(failure.last.contains(because), "{failure}");
            }
        }
    }

    /// What `openssl req -x509` makes, named by `verify:`.
    #[tokio::test]
    async fn a_server_may_show_the_very_certificate_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let own = |name: &str, year: i32| {
            let mut params = params(&[name]);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.not_after = date_time_ymd(year, 1, 1);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        for (name, year, expected) in [
            ("127.0.0.1", 4000, None),
            ("127.0.0.9", 4000, Some("the server's certificate is for another name: IpAddress(127.0.0.9)")),
            ("127.0.0.1", 2000, Some("the server's certificate has expired")),
        ] {
            let cert = own(name, year);
            let (_server, check) = serving(cert.as_ref(), cert.key()).await;
            let result = run(trusting(&folder, &cert.pem(), &check)).await;
            assert_eq!(result.map_err(|f| f.last).err().as_deref(), expected, "{name} {year}");
        }
        // Nobody was told to trust it.
        let cert = own("127.0.0.1", 4000);
        let (_server, check) = serving(cert.as_ref(), cert.key()).await;
        let last_now = last(check).await;
        assert!(last_now.contains("not signed by an authority that is trusted (`verify`"), "{last_now}");
        // The same name and authority, but not the same certificate.
        let (shown, trusted) = (own("127.0.0.1", 4000), own("127.0.0.1", 4000));
        let (_server, check) = serving(shown.as_ref(), shown.key()).await;
        assert!(run(trusting(&folder, &trusted.pem(), &check)).await.is_err());
    }
}
