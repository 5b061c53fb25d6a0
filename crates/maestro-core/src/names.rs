//! The names of things. One type each, so that a ship is never taken for a service.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

name! {
    /// A host that runs a Docker Engine.
    ShipName
}
name! {
    /// A logical service.
    ServiceName
}
name! {
    /// A desired unit of a service; also the name of its container and its host name.
    InstanceName
}
name! {
    /// The key of an entry below `registries:`.
    RegistryName
}
name! {
    /// The key of an entry below `balancers:`.
    BalancerName
}
name! {
    /// The key of an entry below `secrets:`.
    SecretName
}
name! {
    /// What the engine calls a container: 64 hexadecimal digits.
    ContainerId
}
name! {
    /// What the engine calls an image's content: `sha256:` and 64 hexadecimal digits.
    ImageId
}

impl ContainerId {
    /// The first seven digits, as status tables show them.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl InstanceName {
    /// Whether the Docker Engine accepts this as a container's name: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
    pub fn is_valid(&self) -> bool {
        let mut chars = self.0.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
            && self.0.len() > 1
            && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    }
}

/// The fingerprint of everything that Maestro asks the engine for when it creates a container.
///
/// There is one function that computes it, [`crate::model::ContainerSpec::config_hash`]; it travels inside the plan
/// and becomes the label `maestro.config`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigHash(pub String);

impl fmt::Display for ConfigHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A value that appears on no output: `Debug` shows `***`, there is no `Display` and no serde.
///
/// A file may have its value, or its name only (`!secret NAME`); then it has none before somebody has fetched it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The value; of one that has not been fetched, how it is written.
    text: Arc<str>,
    /// What it is called, if the file does not have its value.
    name: Option<SecretName>,
    is_fetched: bool,
}

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self { text: value.into(), name: None, is_fetched: true }
    }

    /// One of which only the name is known.
    pub fn named(name: SecretName) -> Self {
        Self { text: format!("!secret {name}").into(), name: Some(name), is_fetched: false }
    }

    /// The same with its value.
    #[must_use]
    pub fn with_value_of(&self, fetched: &Secret) -> Self {
        Self { text: fetched.text.clone(), name: self.name.clone(), is_fetched: true }
    }

    /// The value itself, for the one place that needs it. Of one that has not been fetched, `!secret NAME`: no plan that
    /// [`crate::check::lint`] lets pass has such a one.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What somebody else has written, without this value where it stands in it just so. Of a value with several lines,
    /// each counts; what is shorter than four bytes may be anything.
    pub fn veil(&self, text: &mut String) {
        let lines =
            self.text.lines().map(str::trim).filter(|line| line.len() >= 4 && self.missing().is_none());
        for line in lines {
            if text.contains(line) {
                *text = text.replace(line, "…");
            }
        }
    }

    /// What it is called, if the file does not have its value.
    pub fn name(&self) -> Option<&SecretName> {
        self.name.as_ref()
    }

    /// The name under which the value has to be fetched before it can be used.
    pub fn missing(&self) -> Option<&SecretName> {
        self.name.as_ref().filter(|_| !self.is_fetched)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "!secret {name}"),
            None => f.write_str("***"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_names_follow_the_engine() {
        for good in ["a1", "web-1", "Web_1.x"] {
            assert!(InstanceName::from(good).is_valid(), "{good}");
        }
        for bad in ["", "a", "-web", "we b", "é-b", "web/1"] {
            assert!(!InstanceName::from(bad).is_valid(), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
        let named = Secret::named("db".into());
        assert_eq!((named.expose(), named.missing()), ("!secret db", Some(&"db".into())));
        let fetched = named.with_value_of(&Secret::new("hunter2"));
        assert_eq!(
            (fetched.expose(), fetched.missing(), fetched.name()),
            ("hunter2", None, Some(&"db".into()))
        );
        assert_eq!(format!("{named:?} {fetched:?}"), "!secret db !secret db");
        for (secret, said) in [
            (fetched, "a … b…"),
            (named, "a hunter2 bhunter2"),
            (Secret::new("nt"), "a hunter2 bhunter2"),
            (Secret::new("x\n hunter\n"), "a …2 b…2"),
        ] {
            let mut text = "a hunter2 bhunter2".to_owned();
            secret.veil(&mut text);
            assert_eq!(text, said);
        }
    }
}
