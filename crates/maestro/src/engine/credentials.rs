//! Logins: those of the environment file, else those that `docker login` left on this machine.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use docker_credential::{CredentialRetrievalError as Failed, DockerCredential};
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::image::ImageRef;
use maestro_core::names::Secret;
use maestro_core::plan::RegistryAuth;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::lazily::Lazily;

/// The name under which logins to Docker Hub are kept.
const HUB: &str = "https://index.docker.io/v1/";
/// What a credential helper may take: some ask a cloud.
const HELPER: Duration = Duration::from_secs(30);
/// How long an answer is good for. The passwords of clouds are short-lived.
const FRESH: Duration = Duration::from_mins(5);

/// The logins that the Docker credential file knows, each looked up once however many ships pull.
pub(super) struct Credentials {
    directory: Option<PathBuf>,
    known: Mutex<BTreeMap<String, Known>>,
}

struct Known {
    at: Instant,
    login: Arc<Lazily<Option<Stored>>>,
}

/// A login as it is stored.
#[derive(Clone, Debug)]
enum Stored {
    Password { username: String, password: Secret },
    Token(Secret),
}

/// A login for one registry.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) username: String,
    secret: Stored,
    server: String,
    email: Option<Arc<str>>,
}

/// What a pull shows the registry.
#[derive(Debug)]
pub(super) enum ForPull {
    Login(Found),
    Nothing,
    /// Nothing, because looking a login up failed; why, in case that the registry wants one.
    Failed(String),
}

impl ForPull {
    pub(super) fn login(&self) -> Option<&Found> {
        match self {
            ForPull::Login(found) => Some(found),
            ForPull::Nothing | ForPull::Failed(_) => None,
        }
    }
}

/// Who asked, for messages about being refused.
pub(super) enum Who<'a> {
    Nobody,
    /// Nobody, because looking a login up failed.
    Failed(&'a str),
    Login(&'a str),
}

impl<'a> Who<'a> {
    pub(super) fn of(shown: &'a ForPull) -> Self {
        match shown {
            ForPull::Login(found) => Who::Login(&found.username),
            ForPull::Nothing => Who::Nobody,
            ForPull::Failed(why) => Who::Failed(why),
        }
    }
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Nobody => f.write_str("asked without a login"),
            Who::Failed(why) => write!(f, "asked without a login: {why}"),
            Who::Login(user) => write!(f, "asked as {user}"),
        }
    }
}

impl Found {
    /// What the Docker Engine takes as a login.
    pub(super) fn json(&self) -> Value {
        let mut json = match &self.secret {
            Stored::Password { username, password } => {
                json!({"username": username, "password": password.expose()})
            }
            Stored::Token(token) => json!({"identitytoken": token.expose()}),
        };
        json["serveraddress"] = self.server.as_str().into();
        if let Some(email) = &self.email {
            json["email"] = (&**email).into();
        }
        json
    }

    /// The same as a header. The alphabet is the one for URLs: engines drop other headers without a word.
    pub(super) fn header(&self) -> String {
        URL_SAFE.encode(self.json().to_string())
    }
}

impl Credentials {
    /// From `config.json` in this directory, else in `$DOCKER_CONFIG`, else in `~/.docker`.
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, known: Mutex::default() }
    }

    /// For a login at a registry; nothing if no password is known.
    pub(super) async fn of_login(&self, auth: &RegistryAuth) -> Result<Option<Found>, EngineErrorKind> {
        if let Some(found) = given(auth) {
            return Ok(Some(found));
        }
        let stored = self.stored(key(host_of(&auth.url))).await?;
        stored.map(|stored| found(stored, Some(auth), auth.url.to_string())).transpose()
    }

    /// For a pull. What the environment file says of the registry holds for every image that belongs to it, whatever
    /// name the image gives the registry (Q-04).
    ///
    /// Where the environment file names no user, a credential file or helper that fails is no reason not to try: most
    /// images are public, and `docker pull` goes on without a login, too.
    pub(super) async fn of_pull(
        &self,
        image: &ImageRef,
        auth: Option<&RegistryAuth>,
    ) -> Result<ForPull, EngineErrorKind> {
        if let Some(found) = auth.and_then(given) {
            return Ok(ForPull::Login(found));
        }
        // The entry's own address first: an image that belongs to it by an alias looks like one of Docker Hub.
        let mut keys: Vec<&str> = auth.iter().map(|auth| key(host_of(&auth.url))).collect();
        keys.extend(Some(key(image.registry_host())).filter(|host| !keys.contains(host)));
        for key in keys {
            match self.stored(key).await {
                Ok(Some(stored)) => return found(stored, auth, key.to_owned()).map(ForPull::Login),
                Ok(None) => {}
                Err(kind) if auth.is_none() => return Ok(ForPull::Failed(kind.to_string())),
                Err(kind) => return Err(kind),
            }
        }
        Ok(ForPull::Nothing)
    }

    async fn stored(&self, key: &str) -> Result<Option<Stored>, EngineErrorKind> {
        let login = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|_, known| known.at.elapsed() < FRESH);
            let known = known
                .entry(key.to_owned())
                .or_insert_with(|| Known { at: Instant::now(), login: Arc::default() });
            known.login.clone()
        };
        login.get(|| self.look_up(key.to_owned())).await
    }

    /// Reads the file and runs the helper that it names. The thread is nobody's: a helper that hangs cannot be ended,
    /// and must not keep this process from ending.
    async fn look_up(&self, key: String) -> Result<Option<Stored>, EngineErrorKind> {
        let Some(file) = self.file() else { return Ok(None) };
        let (answer, wait) = oneshot::channel();
        let path = file.clone();
        std::thread::Builder::new()
            .name("credentials".to_owned())
            .spawn(move || {
                // Whoever waited may be gone.
                _ = answer.send(read(&path, &key));
            })
            .map_err(|error| EngineErrorKind::unauthorized(format!("cannot look up logins: {error}")))?;
        match timeout(HELPER, wait).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(unreadable(&file, "reading it failed")),
            Err(_) => Err(EngineErrorKind::unauthorized(format!(
                "the credential helper that {} names does not answer within {} s",
                file.display(),
                HELPER.as_secs()
            ))),
        }
    }

    fn file(&self) -> Option<PathBuf> {
        let directory = self.directory.clone();
        let directory = directory.or_else(|| std::env::var_os("DOCKER_CONFIG").map(PathBuf::from));
        let directory = directory.or_else(|| std::env::home_dir().map(|home| home.join(".docker")));
        directory.map(|directory| directory.join("config.json"))
    }
}

/// The login that the environment file gives in full.
fn given(auth: &RegistryAuth) -> Option<Found> {
    let password = auth.password.clone()?;
    Some(Found {
        username: auth.username.to_string(),
        secret: Stored::Password { username: auth.username.to_string(), password },
        server: auth.url.to_string(),
        email: auth.email.clone(),
    })
}

/// A login from the credential file, which must be of the user that the environment file names, if it names one.
fn found(stored: Stored, auth: Option<&RegistryAuth>, server: String) -> Result<Found, EngineErrorKind> {
    let wanted = auth.map(|auth| auth.username.to_string());
    let username = match (&stored, wanted) {
        (Stored::Password { username, .. }, Some(wanted)) if *username != wanted => {
            return Err(EngineErrorKind::unauthorized(format!(
                "no password for {wanted} at {server}: the Docker credential file has one for {username}"
            )));
        }
        (Stored::Password { username, .. }, _) => username.clone(),
        (Stored::Token(_), wanted) => wanted.unwrap_or_else(|| "the holder of a token".to_owned()),
    };
    Ok(Found { username, secret: stored, server, email: auth.and_then(|auth| auth.email.clone()) })
}

/// Host and port of a registry's address, or the address itself where it has no scheme.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// The name that the credential file has for a registry.
fn key(host: &str) -> &str {
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => HUB,
        other => other,
    }
}

fn read(file: &Path, key: &str) -> Result<Option<Stored>, EngineErrorKind> {
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(file, &super::classify::words(&error))),
    };
    match docker_credential::get_credential_from_reader(BufReader::new(open), key) {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(Stored::Password { username, password: Secret::new(password) }))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Stored::Token(Secret::new(token)))),
        Err(Failed::NoCredentialConfigured | Failed::ConfigNotFound) => Ok(None),
        // Helpers say in words that they know nothing, and fail.
        Err(Failed::HelperFailure { stdout, stderr, .. })
            if [&stdout, &stderr].iter().any(|said| said.contains("credentials not found")) =>
        {
            Ok(None)
        }
        Err(Failed::HelperFailure { helper, stdout, stderr }) => {
            let said = [stderr.trim(), stdout.trim()].into_iter().find(|said| !said.is_empty());
            Err(EngineErrorKind::unauthorized(format!(
                "the credential helper `{helper}` failed for {key}: {}",
                said.and_then(|said| said.lines().next()).unwrap_or("it said nothing")
            )))
        }
        Err(Failed::HelperCommunicationError) => Err(EngineErrorKind::unauthorized(format!(
            "the credential helper that {} names for {key} cannot be run",
            file.display()
        ))),
        Err(error @ (Failed::ConfigReadError | Failed::CredentialDecodingError)) => {
            Err(unreadable(file, &format!("{error}")))
        }
        Err(error) => Err(EngineErrorKind::unauthorized(format!("looking up the login for {key}: {error}"))),
    }
}

fn unreadable(file: &Path, why: &str) -> EngineErrorKind {
    EngineErrorKind::unauthorized(format!("the Docker credential file {} is unusable: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `config.json` with logins `user:` host for a few registries, and a helper for one.
    const FILE: &str = r#"{
        "auths": {
            "https://index.docker.io/v1/": {"auth": "aHViYmVyOmFiYw=="},
            "reg.example.com:5000": {"auth": "Y2k6czNjcmV0"},
            "tokens.example.com": {"auth": "eDp5", "identitytoken": "long"}
        },
        "credHelpers": {"cloud.example.com": "maestro-test-which-does-not-exist"}
    }"#;

    fn with(config: &str) -> (tempfile::TempDir, Credentials) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        let credentials = Credentials::new(Some(directory.path().to_owned()));
        (directory, credentials)
    }

    fn auth(url: &str, username: &str, password: Option<&str>) -> RegistryAuth {
        RegistryAuth {
            registry: "main".into(),
            url: url.into(),
            username: username.into(),
            password: password.map(Secret::new),
            email: None,
        }
    }

    async fn pull(credentials: &Credentials, image: &str, auth: Option<&RegistryAuth>) -> String {
        match credentials.of_pull(&ImageRef::parse(image), auth).await {
            Ok(ForPull::Login(found)) => found.json().to_string(),
            Ok(ForPull::Nothing) => "anonymous".to_owned(),
            Ok(ForPull::Failed(why)) => format!("anonymous: {why}"),
            Err(kind) => kind.to_string(),
        }
    }

    #[tokio::test]
    async fn pulls_use_what_the_file_knows() {
        let (_directory, known) = with(FILE);
        let hub = r#"{"username":"hubber","password":"abc","serveraddress":"https://index.docker.io/v1/"}"#;
        for image in ["bb", "foo/bar:1", "docker.io/library/bb", "index.docker.io/foo/bar"] {
            assert_eq!(pull(&known, image, None).await, hub, "{image}");
        }
        let private = r#"{"username":"ci","password":"s3cret","serveraddress":"reg.example.com:5000"}"#;
        assert_eq!(pull(&known, "reg.example.com:5000/shop/web:2", None).await, private);
        assert_eq!(
            pull(&known, "tokens.example.com/x", None).await,
            r#"{"identitytoken":"long","serveraddress":"tokens.example.com"}"#
        );
        assert_eq!(pull(&known, "other.example.com/x", None).await, "anonymous");
        assert_eq!(pull(&known, "reg.example.com/x", None).await, "anonymous", "another port");
        let helper = pull(&known, "cloud.example.com/x", None).await;
        assert!(helper.starts_with("anonymous: the credential helper"), "{helper}");
        assert!(helper.contains("cannot be run"), "{helper}");
        // Whoever names a user means that one.
        let named = auth("https://cloud.example.com", "ci", None);
        let helper = pull(&known, "cloud.example.com/x", Some(&named)).await;
        assert!(helper.starts_with("the credential helper"), "{helper}");
        assert!(known.of_login(&named).await.is_err());
    }

    #[tokio::test]
    async fn the_environment_file_comes_first() {
        let (_directory, known) = with(FILE);
        let url = "https://reg.example.com:5000";
        // Its password goes with every image of the entry, whatever the image calls the registry.
        for image in ["reg.example.com:5000/x", "alias/x"] {
            assert_eq!(
                pull(&known, image, Some(&auth(url, "ops", Some("own")))).await,
                r#"{"username":"ops","password":"own","serveraddress":"https://reg.example.com:5000"}"#
            );
        }
        // Without a password the file has to know the user.
        let from_file = r#"{"username":"ci","password":"s3cret","serveraddress":"reg.example.com:5000"}"#;
        assert_eq!(pull(&known, "alias/x", Some(&auth(url, "ci", None))).await, from_file);
        assert_eq!(
            pull(&known, "reg.example.com:5000/x", Some(&auth(url, "ops", None))).await,
            "no password for ops at reg.example.com:5000: the Docker credential file has one for ci"
        );
        let login = known.of_login(&auth(url, "ci", None)).await.unwrap().unwrap();
        assert_eq!(
            login.json().to_string(),
            r#"{"username":"ci","password":"s3cret","serveraddress":"https://reg.example.com:5000"}"#
        );
        assert!(known.of_login(&auth("https://unknown", "ci", None)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_file_that_is_none_is_named() {
        let (directory, broken) = with("{");
        let text = pull(&broken, "bb", None).await;
        assert!(
            text.contains(&directory.path().display().to_string()) && text.contains("unusable"),
            "{text}"
        );
        assert!(text.starts_with("anonymous: "), "{text}");
        let missing = Credentials::new(Some("/nonexistent".into()));
        assert_eq!(pull(&missing, "bb", None).await, "anonymous");
    }

    #[test]
    fn secrets_are_not_shown() {
        let found = given(&auth("https://reg", "ci", Some("hunter2"))).unwrap();
        assert!(!format!("{found:?}").contains("hunter2"));
    }
}
