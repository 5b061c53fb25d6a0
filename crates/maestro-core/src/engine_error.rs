//! What an engine said instead of yes.

use crate::model::ApiVersion;
use crate::names::ShipName;
use std::time::Duration;

/// What keeps leases and ledgers in place of ships is called this and its addresses.
pub const ETCD: &str = "etcd at ";

/// A call to an engine that did not succeed: which ship, which call, what kind of no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", sentence(ship, operation, kind))]
pub struct EngineError {
    /// The ship; of what is kept elsewhere, what begins with [`ETCD`] and says where.
    pub ship: ShipName,
    /// What was asked, such as `creating container web-1`.
    pub operation: String,
    /// What kind of no.
    pub kind: EngineErrorKind,
    /// Whether the engine may have done what was asked although it did not say so.
    pub ambiguous: bool,
}

/// Kinds of no. Who has to do what about it differs for each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineErrorKind {
    /// No connection: refused, no route, unknown host name.
    #[error("host down: {address}: {cause}")]
    Unreachable {
        /// What was dialled.
        address: String,
        /// In the operating system's words.
        cause: String,
    },
    /// The connection stands and no answer comes: the engine hangs, or the network swallows packets.
    #[error("no answer from {address} within {} (the engine accepts connections and hangs, or packets get lost)", seconds(*after))]
    Unresponsive {
        /// What was dialled.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// The TLS handshake failed.
    #[error("TLS with {address} failed: {cause}")]
    Tls {
        /// What was dialled.
        address: String,
        /// Why.
        cause: String,
    },
    /// `ssh` could not log in or forward.
    #[error("ssh to {address} failed: {cause}")]
    Ssh {
        /// What was dialled.
        address: String,
        /// What `ssh` said.
        cause: String,
    },
    /// A file that the connection needs (certificate, key) cannot be used. Nothing was sent.
    #[error("{0}")]
    Settings(String),
    /// The versions of both sides do not overlap.
    #[error("no common API version: the engine speaks {}, {wanted}", range(*engine_min, *engine_max))]
    ApiVersion {
        /// Oldest that the engine speaks, where that is known.
        engine_min: Option<ApiVersion>,
        /// Newest that the engine speaks.
        engine_max: ApiVersion,
        /// What this side wants, as half a sentence.
        wanted: String,
    },
    /// There is no such container on the ship, or no such image: neither there nor, for a pull, in its registry.
    #[error("{0}")]
    NotFound(String),
    /// Something stands in the way: a name in use, a container in the wrong state.
    #[error("{0}")]
    Conflict(String),
    /// Credentials are missing or wrong.
    #[error("{message}")]
    Unauthorized {
        /// In the engine's words, or what was missing here.
        message: String,
        /// The engine's own HTTP status, if it was asked and had not promised the image already.
        answered: Option<u16>,
    },
    /// A registry did not let an image through for any other reason: it cannot be reached, has too much to do, breaks
    /// off, or the ship has no room for it. An unknown image is [`EngineErrorKind::NotFound`], a refusal
    /// [`EngineErrorKind::Unauthorized`].
    #[error("{message}")]
    Registry {
        /// In the engine's words.
        message: String,
        /// The registry's HTTP status, where the engine's words tell.
        status: Option<u16>,
        /// The engine's own HTTP status, unless it had promised the image already.
        answered: Option<u16>,
        /// How long the registry asks to wait before the next try.
        retry_after: Option<Duration>,
    },
    /// The engine answered with another error.
    #[error("the engine answered {status}: {message}")]
    Api {
        /// HTTP status.
        status: u16,
        /// In the engine's words.
        message: String,
    },
    /// etcd gave no answer, or said no: what it did, as the end of a sentence about it.
    #[error("{0}")]
    Etcd(String),
    /// The connection broke in the middle of an answer.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The answer makes no sense.
    #[error("answer not understood: {0}")]
    Protocol(String),
}

impl EngineErrorKind {
    /// Credentials that were found missing or wrong without an answer of the engine that says so.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::Unauthorized { message: message.into(), answered: None }
    }

    /// Whether the same call may succeed a moment later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            EngineErrorKind::Lost(_) => true,
            EngineErrorKind::Registry { status: Some(status), .. } => {
                matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
            }
            // The engine itself is being restarted behind its proxy, or says that it is a matter of time.
            EngineErrorKind::Registry { answered: Some(502..=504), .. } => true,
            EngineErrorKind::Registry { status: None, message, .. } => is_restarting(message),
            EngineErrorKind::Api { status, .. } => matches!(status, 429 | 502 | 503 | 504),
            EngineErrorKind::Unreachable { .. }
            | EngineErrorKind::Unresponsive { .. }
            | EngineErrorKind::Tls { .. }
            | EngineErrorKind::Ssh { .. }
            | EngineErrorKind::Settings(_)
            | EngineErrorKind::ApiVersion { .. }
            | EngineErrorKind::NotFound(_)
            | EngineErrorKind::Conflict(_)
            | EngineErrorKind::Unauthorized { .. }
            | EngineErrorKind::Etcd(_)
            | EngineErrorKind::Protocol(_) => false,
        }
    }

    /// Whether the ship as a whole could not be talked to, so that nothing is known about it.
    pub fn is_about_ship(&self) -> bool {
        matches!(
            self,
            EngineErrorKind::Unreachable { .. }
                | EngineErrorKind::Unresponsive { .. }
                | EngineErrorKind::Tls { .. }
                | EngineErrorKind::Ssh { .. }
                | EngineErrorKind::Settings(_)
                | EngineErrorKind::ApiVersion { .. }
                | EngineErrorKind::Lost(_)
        )
    }

    /// What the operator can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            EngineErrorKind::Unreachable { .. } => {
                "is the host up, is the engine running, and does it listen on that address?"
            }
            EngineErrorKind::Unresponsive { .. } => {
                "look at the engine's log on that host; `timeout:` of the ship sets how long to wait"
            }
            EngineErrorKind::Tls { .. } => {
                "check tls_ca_cert, tls_cert and tls_key of the ship, and the engine's own certificate"
            }
            EngineErrorKind::Ssh { .. } => {
                "try the same with `ssh -o BatchMode=yes`; keys, agent, known_hosts and ~/.ssh/config are ssh's own"
            }
            EngineErrorKind::ApiVersion { .. } => {
                "remove or raise `api_version:` of the ship, or upgrade its engine"
            }
            EngineErrorKind::Etcd(_) => {
                "is it running, can it be reached from here, and are address, login and certificates right below \
                 `ledger:`?"
            }
            // A registry does not tell strangers what it has.
            EngineErrorKind::Unauthorized { message, .. } if is_missing_image(message) => {
                "check the image's name and tag; if it is private, check the login below `registries:`, or run \
                 `docker login` for that registry on this machine"
            }
            EngineErrorKind::Unauthorized { .. } => {
                "check the login below `registries:`, or run `docker login` for that registry on this machine"
            }
            EngineErrorKind::NotFound(message)
                if contains(message, &["no matching manifest", "no match for platform"]) =>
            {
                "the image has not been built for this ship's platform; build and push it for that, too"
            }
            // Of a container nothing more can be said than that it is not there.
            EngineErrorKind::NotFound(message) if is_missing_image(message) => {
                "check the image's name and tag, and that it has been pushed to that registry"
            }
            EngineErrorKind::Registry { message, .. } if contains(message, &["no such host"]) => {
                "the ship cannot resolve the registry's name: check it, and the name servers of that host"
            }
            EngineErrorKind::Registry { status: None, message, .. } if is_restarting(message) => {
                "is the registry up, and can that host reach it?"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn sentence(place: &ShipName, operation: &str, kind: &EngineErrorKind) -> String {
    match kind {
        EngineErrorKind::Etcd(did) => format!("{operation}: {place} {did}"),
        kind if place.as_str().starts_with(ETCD) => format!("{operation}: {place}: {kind}"),
        kind => format!("ship {place}: {operation}: {kind}"),
    }
}

/// Whether an engine's words are about an image that is missing, on the ship or in a registry. Engines and registries
/// have many for it, and the status is that of a missing container, network or volume, too.
fn is_missing_image(message: &str) -> bool {
    contains(
        message,
        &[
            // Registries, by the specification of their interface.
            "manifest",
            "name unknown",
            "name_unknown",
            "repository name not known",
            // Registries in words of their own.
            "repository does not exist",
            "repository not found",
            "unknown: artifact",
            "unknown: repository",
            // Engines.
            "no such image",
            "image not known",
            "could not find image",
            // Engines that keep images in containerd.
            "failed to resolve reference",
            "failed to resolve image",
        ],
    )
}

/// Whether an engine's words about a registry are those for one that is being restarted, or for name servers that are.
/// A name that does not exist is not among them, nor is a wait in vain: the engine has been patient already.
fn is_restarting(message: &str) -> bool {
    let passes = [
        "connection refused",
        "connection reset by peer",
        "broken pipe",
        "unexpected eof",
        "server misbehaving",
        "temporary failure in name resolution",
    ];
    contains(message, &passes) || message.trim_end().ends_with(": EOF")
}

fn contains(message: &str, parts: &[&str]) -> bool {
    let message = message.to_lowercase();
    parts.iter().any(|part| message.contains(part))
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds.fract() == 0.0 { format!("{seconds:.0} s") } else { format!("{seconds:.1} s") }
}
fn range(oldest: Option<ApiVersion>, newest: ApiVersion) -> String {
    match oldest {
        Some(oldest) => format!("{oldest} to {newest}"),
        None => format!("{newest} at most"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(kind: &EngineErrorKind) -> String {
        kind.hint().unwrap_or_default()
    }

    #[test]
    fn etcd_is_no_ship() {
        let said = |place: &str, kind| {
            let operation = "looking at maestro.lease.shop".to_owned();
            EngineError { ship: place.into(), operation, kind, ambiguous: false }.to_string()
        };
        let etcd = format!("{ETCD}https://a:2379");
        for (kind, expected) in [
            (
                EngineErrorKind::Etcd("did not answer: connection refused".to_owned()),
                "looking at maestro.lease.shop: etcd at https://a:2379 did not answer: connection refused",
            ),
            (
                EngineErrorKind::Settings("the CA file ca.pem cannot be used".to_owned()),
                "looking at maestro.lease.shop: etcd at https://a:2379: the CA file ca.pem cannot be used",
            ),
        ] {
            assert_eq!(said(&etcd, kind), expected);
        }
        let lost = EngineErrorKind::Lost("reset".to_owned());
        assert_eq!(said("a", lost), "ship a: looking at maestro.lease.shop: connection lost: reset");
    }

    /// Words of engines from 20.10 to 29, with either store, and of the registries behind them.
    #[test]
    fn a_missing_image_is_known_by_many_names() {
        for message in [
            "manifest for reg:5000/shop/web:2 not found: manifest unknown: manifest unknown",
            "manifest for reg:5000/shop/web:2 not found: manifest unknown: Requested image not found",
            "manifest for web@sha256:00 not found: manifest unknown: OCI index found, but Accept header does not support",
            "Get \"https://reg/v2/shop/web/manifests/2\": not found",
            "name unknown: repository name not known to registry",
            "name unknown: The repository with name 'web' does not exist in the registry with id '1'",
            "unknown: artifact shop/web:2 not found",
            "unknown: repository shop/web not found",
            "failed to resolve reference \"docker.io/library/nope:1\": docker.io/library/nope:1: not found",
            "failed to resolve reference \"reg:5000/shop/web:2\": reg:5000/shop/web:2: not found",
            "No such image: web:2",
            "no such image: web:2: No such image: web:2",
        ] {
            let hint = hint(&EngineErrorKind::NotFound(message.into()));
            assert!(hint.starts_with("check the image's name and tag, and that"), "{message}: {hint}");
        }
        for message in [
            "pull access denied for nope, repository does not exist or may require 'docker login': denied: requested \
             access to the resource is denied (asked without a login)",
            "failed to resolve reference \"docker.io/library/nope:1\": pull access denied, repository does not exist or \
             may require authorization: server message: insufficient_scope: authorization failed",
        ] {
            let hint = hint(&EngineErrorKind::unauthorized(message));
            assert!(hint.contains("name and tag") && hint.contains("docker login"), "{message}: {hint}");
        }
        let platform = "no matching manifest for linux/arm64/v8 in the manifest list entries";
        assert!(hint(&EngineErrorKind::NotFound(platform.into())).contains("platform"));
    }

    #[test]
    fn an_engine_that_is_behind_a_proxy_and_restarted_is_asked_again() {
        let pull = |answered| EngineErrorKind::Registry {
            message: "the image is not there".into(),
            status: None,
            answered,
            retry_after: None,
        };
        for (answered, again) in [
            (None, false),
            (Some(500), false),
            (Some(501), false),
            (Some(502), true),
            (Some(504), true),
            (Some(505), false),
        ] {
            assert_eq!(pull(answered).is_transient(), again, "{answered:?}");
        }
    }

    #[test]
    fn a_registry_that_is_being_restarted_is_tried_again() {
        let registry = |message: &str| EngineErrorKind::Registry {
            message: message.into(),
            status: None,
            answered: None,
            retry_after: None,
        };
        for message in [
            "Get \"http://reg:5000/v2/\": dial tcp 192.0.2.1:5000: connect: connection refused",
            "failed to resolve reference \"reg:5000/web:2\": failed to do request: Head \"https://reg:5000/v2/web/manifests/2\": dial tcp 192.0.2.1:5000: connect: connection refused",
            "error pulling image configuration: download failed after attempts=6: dial tcp 192.0.2.1:5000: connect: connection refused",
            "Get \"http://reg:5000/v2/\": read tcp 192.0.2.2:4000->192.0.2.1:5000: read: connection reset by peer",
            "Get \"http://reg:5000/v2/\": EOF",
            "unexpected EOF",
            "Get \"https://reg/v2/\": dial tcp: lookup reg on 127.0.0.53:53: server misbehaving",
            "Get \"https://reg/v2/\": dial tcp: lookup reg: Temporary failure in name resolution",
        ] {
            assert!(registry(message).is_transient(), "{message}");
            assert!(hint(&registry(message)).contains("is the registry up"), "{message}");
        }
        for message in [
            "Get \"https://reg/v2/\": dial tcp: lookup reg on 127.0.0.53:53: no such host",
            "failed to register layer: write /a: no space left on device",
            "Get \"https://reg/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "Get \"https://reg/v2/\": http: server gave HTTP response to HTTPS client",
            "Get \"https://reg/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
            "Get \"https://reg/v2/\": dial tcp 192.0.2.1:443: i/o timeout",
        ] {
            assert!(!registry(message).is_transient(), "{message}");
        }
        let unknown = "Get \"https://reg/v2/\": dial tcp: lookup reg on 127.0.0.53:53: no such host";
        assert!(hint(&registry(unknown)).contains("cannot resolve"));
    }

    #[test]
    fn nothing_is_said_of_images_where_something_else_is_missing() {
        for message in [
            "No such container: web-1",
            "there is no such container",
            "network shop_net not found",
            "get data: no such volume",
            "plugin \"loki\" not found",
            "page not found",
            "No such exec instance: 12ab",
        ] {
            assert_eq!(hint(&EngineErrorKind::NotFound(message.into())), "", "{message}");
        }
        for message in ["unauthorized: authentication required", "no basic auth credentials"] {
            let hint = hint(&EngineErrorKind::unauthorized(message));
            assert!(hint.starts_with("check the login"), "{message}: {hint}");
        }
    }
}
