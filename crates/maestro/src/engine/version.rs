//! Which version of the API both sides speak: asked once, before anything else.
//!
//! `GET /_ping` tells the newest that the engine speaks, at once. If Maestro may speak that too, it is the one. Only
//! where it may not, because the ship has a ceiling or one side is much older, has `GET /version` to say what is the
//! oldest; engines take milliseconds for its answer, because they ask containerd and runc for theirs.

use http::HeaderMap;
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::fleet::EngineVersion;
use maestro_core::model::{ApiVersion, Ship};
use serde::Deserialize;

/// What an engine accepts that does not say what it accepts: those before API 1.25 did not.
const MIN_OF_OLD_ENGINES: ApiVersion = ApiVersion { major: 1, minor: 12 };

/// What was found out about an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Negotiated {
    /// The version to speak.
    pub(super) api: ApiVersion,
    /// Who answers.
    pub(super) engine: EngineVersion,
}

/// The answer to `GET /version`, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VersionAnswer {
    #[serde(default)]
    version: String,
    api_version: String,
    #[serde(rename = "MinAPIVersion")]
    min_api_version: Option<String>,
}

/// What the head of the answer to a ping settles: nothing, unless the engine's newest version can be spoken.
pub(super) fn settled(ship: &Ship, head: &HeaderMap) -> Option<Negotiated> {
    let text = |name| head.get(name).and_then(|value| value.to_str().ok());
    let api = ApiVersion::parse(text("Api-Version")?)?;
    if ship.api_version.is_some() || !(ApiVersion::OLDEST..=ApiVersion::NEWEST).contains(&api) {
        return None;
    }
    // `Docker/20.10.24 (linux)`
    let product = text("Server").and_then(|server| server.split_whitespace().next()).unwrap_or("unknown");
    let engine = product.split_once('/').map_or(product, |(_, version)| version).to_owned();
    Some(Negotiated { api, engine: EngineVersion { engine, api, min_api: None } })
}

/// The newest version that this side, the ship's ceiling and the engine all allow.
pub(super) fn negotiate(ship: &Ship, answer: VersionAnswer) -> Result<Negotiated, EngineErrorKind> {
    let read = |text: &str| {
        ApiVersion::parse(text)
            .ok_or_else(|| EngineErrorKind::Protocol(format!("`{text}` is no API version")))
    };
    let engine_max = read(&answer.api_version)?;
    let engine_min = match answer.min_api_version.as_deref() {
        None | Some("") => MIN_OF_OLD_ENGINES,
        Some(text) => read(text)?,
    };
    let ours = ship.api_version.map_or(ApiVersion::NEWEST, |ceiling| ceiling.min(ApiVersion::NEWEST));
    let api = ours.min(engine_max);
    let wanted = if api >= engine_min.max(ApiVersion::OLDEST) {
        None
    } else if let Some(ceiling) = ship.api_version.filter(|c| *c < engine_min.max(ApiVersion::OLDEST)) {
        Some(if ceiling < ApiVersion::OLDEST {
            format!(
                "`api_version: {ceiling}` of the ship allows nothing newer than {ceiling}, and Maestro speaks {} at least",
                ApiVersion::OLDEST
            )
        } else {
            format!("`api_version: {ceiling}` of the ship allows nothing newer than {ceiling}")
        })
    } else {
        Some(format!("Maestro speaks {} to {}", ApiVersion::OLDEST, ApiVersion::NEWEST))
    };
    if let Some(wanted) = wanted {
        return Err(EngineErrorKind::ApiVersion { engine_min: Some(engine_min), engine_max, wanted });
    }
    let engine = EngineVersion { engine: answer.version, api: engine_max, min_api: Some(engine_min) };
    Ok(Negotiated { api, engine })
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_core::model::Transport;

    fn ship(ceiling: Option<&str>) -> Ship {
        Ship {
            name: "a".into(),
            ip: "192.0.2.1".into(),
            transport: Transport::Tcp { host: "192.0.2.1".into(), port: 1 },
            api_version: ceiling.map(|c| ApiVersion::parse(c).unwrap()),
            timeout: None,
            tags: std::collections::BTreeMap::new(),
        }
    }

    fn negotiated(min: Option<&str>, max: &str, ceiling: Option<&str>) -> String {
        let ship = ship(ceiling);
        let answer = VersionAnswer {
            version: "x".into(),
            api_version: max.into(),
            min_api_version: min.map(Into::into),
        };
        match negotiate(&ship, answer) {
            Ok(n) => n.api.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn takes_the_newest_that_everybody_allows() {
        for (min, max, ceiling, expected) in [
            (Some("1.12"), "1.41", None, "1.41"),
            (Some("1.24"), "1.51", None, "1.51"),
            (Some("1.44"), "1.60", None, "1.51"),
            (Some("1.12"), "1.41", Some("1.30"), "1.30"),
            (Some("1.12"), "1.41", Some("1.60"), "1.41"),
            (None, "1.24", None, "1.24"),
        ] {
            assert_eq!(negotiated(min, max, ceiling), expected, "{min:?} {max} {ceiling:?}");
        }
    }

    #[test]
    fn says_who_is_in_the_way() {
        for (min, max, ceiling, expected) in [
            (
                Some("1.44"),
                "1.51",
                Some("1.30"),
                "no common API version: the engine speaks 1.44 to 1.51, `api_version: 1.30` of the ship allows nothing newer than 1.30",
            ),
            (
                Some("1.12"),
                "1.41",
                Some("1.18"),
                "no common API version: the engine speaks 1.12 to 1.41, `api_version: 1.18` of the ship allows nothing newer than 1.18, and Maestro speaks 1.24 at least",
            ),
            (
                Some("1.60"),
                "1.70",
                None,
                "no common API version: the engine speaks 1.60 to 1.70, Maestro speaks 1.24 to 1.51",
            ),
            (
                None,
                "1.22",
                None,
                "no common API version: the engine speaks 1.12 to 1.22, Maestro speaks 1.24 to 1.51",
            ),
            (None, "new", None, "answer not understood: `new` is no API version"),
        ] {
            assert_eq!(negotiated(min, max, ceiling), expected);
        }
    }

    #[test]
    fn a_ping_settles_what_both_speak() {
        let settle = |api: &str, server: &str, ceiling: Option<&str>| {
            let mut head = HeaderMap::new();
            head.insert("Api-Version", api.parse().unwrap());
            head.insert("Server", server.parse().unwrap());
            let ship = ship(ceiling);
            settled(&ship, &head).map(|n| format!("{} {}", n.api, n.engine.engine))
        };
        assert_eq!(settle("1.41", "Docker/20.10.24+dfsg1 (linux)", None).unwrap(), "1.41 20.10.24+dfsg1");
        assert_eq!(settle("1.24", "nobody", None).unwrap(), "1.24 nobody");
        assert_eq!(settle("1.41", "Docker/20.10.24 (linux)", Some("1.60")), None);
        for odd in ["1.23", "1.52", "new", ""] {
            assert_eq!(settle(odd, "Docker/1 (linux)", None), None, "{odd}");
        }
        assert_eq!(settled(&ship(None), &HeaderMap::new()), None);
    }
}
