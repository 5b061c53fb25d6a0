//! What went wrong, in Maestro's kinds: from errors of hyper, rustls, `ssh` and the operating system, and from
//! what engines and registries write.

use crate::trust::is_authority;
use http::StatusCode;
use hyper_util::client::legacy;
use maestro_core::engine_error::EngineErrorKind;
use std::error::Error;
use std::io;
use tokio_util::codec::LinesCodecError;

/// "Too many open files": of this process, and of this machine.
const OUT_OF_FILES: [i32; 2] = [24, 23];

/// An error and its sources, as one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for source in sources(error).skip(1) {
        let more = source.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
    }
    text
}

/// What the operating system says, without its number.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.find(" (os error ").map_or_else(|| text.clone(), |at| text[..at].to_owned())
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        // `io::Error` hides what it was made from: its source is the source of that.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    sources(error).find_map(|source| source.downcast_ref::<T>())
}

/// An answer, or a request, that makes no sense.
pub(super) fn odd(what: &str) -> EngineErrorKind {
    EngineErrorKind::Protocol(what.to_owned())
}

/// A connection that could not be opened.
pub(super) fn dialling(address: &str, error: &(dyn Error + 'static)) -> EngineErrorKind {
    let system = sources(error).filter_map(|e| e.downcast_ref::<io::Error>()).last();
    if system.and_then(io::Error::raw_os_error).is_some_and(|number| OUT_OF_FILES.contains(&number)) {
        return EngineErrorKind::Settings(
            "this process may not open more files or connections; raise the limit with `ulimit -n`"
                .to_owned(),
        );
    }
    let cause = match system {
        Some(error) => words(error),
        None => chain(error),
    };
    EngineErrorKind::Unreachable { address: address.to_owned(), cause }
}

/// A TLS handshake that failed.
pub(super) fn handshake(address: &str, error: &io::Error) -> EngineErrorKind {
    match find::<rustls::Error>(error) {
        Some(error) => tls(address, error),
        None => EngineErrorKind::Tls {
            address: address.to_owned(),
            cause: match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                    "the other side closed the connection; does the engine speak TLS there?".to_owned()
                }
                _ => words(error),
            },
        },
    }
}

fn tls(address: &str, error: &rustls::Error) -> EngineErrorKind {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error as Tls};
    let cause = match error {
        Tls::AlertReceived(Alert::CertificateRequired) => {
            "the engine asks for a client certificate, and none was given".to_owned()
        }
        Tls::AlertReceived(
            Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied
            | Alert::DecryptError,
        ) => format!("the engine does not accept the client certificate, or asks for one: {error}"),
        Tls::InvalidMessage(_) => format!("the other side does not seem to speak TLS: {error}"),
        // A bad signature is that of another authority with the same name.
        Tls::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature) => {
            "the engine's certificate was not issued by an authority that the ship trusts".to_owned()
        }
        Tls::InvalidCertificate(Certificate::Other(other)) if is_authority(other) => {
            "the engine's certificate is an authority's own; such a one is accepted if it is in `tls_ca_cert`"
                .to_owned()
        }
        _ => error.to_string(),
    };
    EngineErrorKind::Tls { address: address.to_owned(), cause }
}

/// An `ssh` that ended before it was logged in.
pub(super) fn ssh(address: &str, said: &str, status: &str) -> EngineErrorKind {
    let lines: Vec<&str> = said
        .lines()
        .map(|line| line.trim().trim_start_matches("ssh: ").trim_end_matches('.'))
        .filter(|line| !line.is_empty() && !line.starts_with('@'))
        .collect();
    // The reason comes last; a changed host key is announced over many lines.
    let mut cause = lines[lines.len().saturating_sub(2)..].join("; ");
    if cause.is_empty() {
        cause = format!("it ended without a word ({status})");
    }
    // What jump hosts say is lost: `ssh` discards it for connections that stay.
    if cause.contains("UNKNOWN port") {
        cause.push_str(" (the jump host or ProxyCommand did not get through)");
    }
    // Only `ssh` itself says "connect to host": then nothing answered. What a jump host could not reach reads the same
    // to us as a login that was refused.
    let down = lines.iter().any(|line| {
        (line.starts_with("connect to host ") && !line.ends_with("Permission denied"))
            || line.starts_with("Could not resolve hostname ")
    });
    let address = address.to_owned();
    if down {
        EngineErrorKind::Unreachable { address, cause }
    } else {
        EngineErrorKind::Ssh { address, cause }
    }
}

/// A request that got no answer.
pub(super) fn client(address: &str, error: &legacy::Error) -> EngineErrorKind {
    if let Some(kind) = find::<EngineErrorKind>(error) {
        return kind.clone();
    }
    if error.is_connect() {
        return dialling(address, error);
    }
    match find::<hyper::Error>(error) {
        Some(error) => body(address, error),
        None => EngineErrorKind::Lost(chain(error)),
    }
}

/// An answer that broke off.
pub(super) fn body(address: &str, error: &hyper::Error) -> EngineErrorKind {
    if let Some(error) = find::<rustls::Error>(error) {
        return tls(address, error);
    }
    if error.is_parse() || error.is_parse_too_large() {
        return odd(&format!("it is not HTTP: {}", chain(error)));
    }
    EngineErrorKind::Lost(match find::<io::Error>(error) {
        Some(error) => words(error),
        None if error.is_incomplete_message() => {
            "the engine closed the connection before its answer was complete".to_owned()
        }
        None => chain(error),
    })
}

/// A line of an answer that could not be read.
pub(super) fn line(error: LinesCodecError) -> EngineErrorKind {
    match error {
        LinesCodecError::MaxLineLengthExceeded => odd("a line of it is far too long"),
        LinesCodecError::Io(error) => match find::<EngineErrorKind>(&error) {
            Some(kind) => kind.clone(),
            None if error.kind() == io::ErrorKind::InvalidData => odd(&error.to_string()),
            None => EngineErrorKind::Lost(words(&error)),
        },
    }
}

/// An answer whose status is not success.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> EngineErrorKind {
    #[derive(serde::Deserialize)]
    struct Refusal {
        message: String,
    }
    let message = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let message = match message.trim() {
        "" => status.canonical_reason().unwrap_or("no reason given").to_owned(),
        text => text.to_owned(),
    };
    match status {
        StatusCode::NOT_FOUND => EngineErrorKind::NotFound(message),
        StatusCode::CONFLICT => EngineErrorKind::Conflict(message),
        _ => EngineErrorKind::Api { status: status.as_u16(), message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: &EngineErrorKind) -> String {
        kind.to_string()
    }

    #[test]
    fn refusals_speak_the_engines_words() {
        for (status, body, expected) in [
            (
                404,
                r#"{"message":"No such container: x"}"#,
                EngineErrorKind::NotFound("No such container: x".into()),
            ),
            (409, r#"{"message":"in use"}"#, EngineErrorKind::Conflict("in use".into())),
            (500, "plain words\n", EngineErrorKind::Api { status: 500, message: "plain words".into() }),
            (304, "", EngineErrorKind::Api { status: 304, message: "Not Modified".into() }),
            (502, "", EngineErrorKind::Api { status: 502, message: "Bad Gateway".into() }),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(status, body.as_bytes()), expected);
        }
    }

    #[test]
    fn ssh_is_quoted() {
        for (said, expected) in [
            (
                "root@192.0.2.1: Permission denied (publickey).\r\n",
                "ssh to ssh://h failed: root@192.0.2.1: Permission denied (publickey)",
            ),
            (
                "No ED25519 host key is known for [127.0.0.1]:22 and you have requested strict checking.\r\nHost key verification failed.\r\n",
                "ssh to ssh://h failed: No ED25519 host key is known for [127.0.0.1]:22 and you have requested strict checking; Host key verification failed",
            ),
            (
                "ssh: connect to host 127.0.0.1 port 1: Connection refused\r\n",
                "host down: ssh://h: connect to host 127.0.0.1 port 1: Connection refused",
            ),
            (
                "ssh: Could not resolve hostname nowhere: Name or service not known\r\n",
                "host down: ssh://h: Could not resolve hostname nowhere: Name or service not known",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535\r\n",
                "ssh to ssh://h failed: kex_exchange_identification: Connection closed by remote host; Connection closed by UNKNOWN port 65535 (the jump host or ProxyCommand did not get through)",
            ),
            ("", "ssh to ssh://h failed: it ended without a word (exit status: 255)"),
        ] {
            assert_eq!(text(&ssh("ssh://h", said, "exit status: 255")), expected);
        }
    }

    #[test]
    fn the_system_is_quoted_without_numbers() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(text(&dialling("tcp://a:1", &refused)), "host down: tcp://a:1: Connection refused");
        let wrapped = io::Error::other(io::Error::from_raw_os_error(113));
        assert_eq!(text(&dialling("tcp://a:1", &wrapped)), "host down: tcp://a:1: No route to host");
        let files = io::Error::from_raw_os_error(24);
        assert!(matches!(dialling("tcp://a:1", &files), EngineErrorKind::Settings(_)));
    }

    #[test]
    fn tls_says_what_to_look_at() {
        use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};
        for (error, part) in [
            (Tls::AlertReceived(AlertDescription::CertificateRequired), "asks for a client certificate"),
            (Tls::AlertReceived(AlertDescription::UnknownCA), "does not accept the client certificate"),
            (Tls::InvalidCertificate(CertificateError::UnknownIssuer), "not issued by an authority"),
            (Tls::InvalidMessage(InvalidMessage::InvalidContentType), "does not seem to speak TLS"),
        ] {
            let kind = handshake("https://a:1", &io::Error::new(io::ErrorKind::InvalidData, error));
            assert!(matches!(&kind, EngineErrorKind::Tls { .. }) && text(&kind).contains(part), "{kind}");
        }
    }

    #[test]
    fn our_own_errors_survive_the_way_through_others() {
        let kind = EngineErrorKind::Conflict("x".into());
        assert_eq!(line(LinesCodecError::Io(io::Error::other(kind.clone()))), kind);
        let invalid = io::Error::new(io::ErrorKind::InvalidData, "not UTF-8");
        assert!(matches!(line(LinesCodecError::Io(invalid)), EngineErrorKind::Protocol(_)));
    }
}
