//! Image references: which part is the registry, the repository, the tag.

mod grammar;

pub use grammar::{NoImage, check};

use std::fmt;
use std::sync::Arc;

/// An image as a file or an engine names it. Every text is accepted, for engines say what they like; files are held to
/// [`check`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    text: Arc<str>,
    /// Length of the repository part of `text`.
    repository: usize,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Version {
    Latest,
    Tag,
    Digest,
}

impl ImageRef {
    /// Splits a reference: at `@` if there is one, else at the last `:` unless a `/` follows it.
    pub fn parse(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let (repository, version) = match (text.rfind('@'), text.rfind(':')) {
            (Some(at), _) => {
                // `repo:tag@digest`: the digest decides, the tag is decoration.
                let before = &text[..at];
                let repository = match before.rfind(':') {
                    Some(colon) if !before[colon..].contains('/') => colon,
                    _ => at,
                };
                (repository, Version::Digest)
            }
            (None, Some(colon)) if !text[colon..].contains('/') => (colon, Version::Tag),
            _ => (text.len(), Version::Latest),
        };
        Self { text, repository, version }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Everything before tag or digest.
    pub fn repository(&self) -> &str {
        &self.text[..self.repository]
    }

    /// The digest with its algorithm, if the reference is pinned.
    pub fn digest(&self) -> Option<&str> {
        match self.version {
            Version::Digest => self.text.rfind('@').map(|at| &self.text[at + 1..]),
            Version::Latest | Version::Tag => None,
        }
    }

    /// The tag, `latest` if none is written; for a pinned reference the hexadecimal digits of the digest.
    ///
    /// This is what containers find in `DOCKER_TAG` and what status tables show.
    pub fn tag(&self) -> &str {
        match self.version {
            Version::Latest => "latest",
            Version::Tag => &self.text[self.repository + 1..],
            Version::Digest => {
                let digest = self.digest().unwrap_or_default();
                digest.rsplit(':').next().unwrap_or(digest)
            }
        }
    }

    /// What `POST /images/create?tag=` takes: tag or digest.
    pub fn pull_tag(&self) -> &str {
        self.digest().unwrap_or_else(|| self.tag())
    }

    /// The same of this content: the tag, where there is one, stays for people to read.
    #[must_use]
    pub fn pinned(&self, digest: &str) -> Self {
        let name = self.text.rfind('@').map_or(&*self.text, |at| &self.text[..at]);
        Self::parse(format!("{name}@{digest}"))
    }

    /// As written, without the digest if a tag stands before it.
    pub fn without_pin(&self) -> &str {
        match (self.version, self.text.rfind('@')) {
            (Version::Digest, Some(at)) if at > self.repository => &self.text[..at],
            _ => &self.text,
        }
    }

    /// What people call the version: as [`ImageRef::tag`], but the tag also of a pinned reference that has one.
    pub fn shown_version(&self) -> &str {
        match self.without_pin().get(self.repository..).and_then(|rest| rest.strip_prefix(':')) {
            Some(tag) if !tag.is_empty() => tag,
            _ => self.tag(),
        }
    }

    /// The form without registry that progress texts use: what follows the first `/`, or all of it; without the digest
    /// where a tag stands before it.
    pub fn short(&self) -> &str {
        let text = self.without_pin();
        text.split_once('/').map_or(text, |(_, rest)| rest)
    }

    /// The first path component, which may name a registry; none for a bare name.
    pub fn first_component(&self) -> Option<&str> {
        match self.repository().split_once('/') {
            Some((first, _)) if !first.is_empty() => Some(first),
            _ => None,
        }
    }

    /// The host of the registry that the engine will ask, by the engine's own rule: the first path component if it
    /// has a dot or a colon or is `localhost`, else Docker Hub.
    pub fn registry_host(&self) -> &str {
        match self.first_component() {
            // An old name of the same.
            Some("index.docker.io") => "docker.io",
            Some(first) if first.contains(['.', ':']) || first == "localhost" => first,
            _ => "docker.io",
        }
    }

    /// The repository as engines list it: Docker Hub's without host and without `library/`.
    pub fn listed_repository(&self) -> &str {
        familiar(self.repository())
    }

    /// Whether both name the same: `bb` and `docker.io/library/bb:latest` do. Of pinned references the tag does not count.
    pub fn names_same(&self, other: &Self) -> bool {
        familiar(self.repository()) == familiar(other.repository())
            && self.digest() == other.digest()
            && self.tag() == other.tag()
    }

    /// Whether an engine's image that has these tags and digests is this one.
    pub fn is_among<'a>(
        &self,
        tags: impl IntoIterator<Item = &'a str>,
        digests: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let familiar = familiar(self.repository());
        match self.digest() {
            Some(digest) => digests.into_iter().any(|d| {
                // At the last one, as a reference is split: a name that has another one is nonsense, but still itself.
                d.rsplit_once('@').is_some_and(|(repository, have)| have == digest && repository == familiar)
            }),
            None => tags.into_iter().any(|t| {
                t.rsplit_once(':')
                    .is_some_and(|(repository, tag)| tag == self.tag() && repository == familiar)
            }),
        }
    }
}

/// Engines list Docker Hub's images without host and without `library/`.
fn familiar(repository: &str) -> &str {
    let short = repository
        .strip_prefix("docker.io/")
        .or_else(|| repository.strip_prefix("index.docker.io/"))
        .unwrap_or(repository);
    match short.strip_prefix("library/") {
        Some(rest) if !rest.contains('/') => rest,
        _ => short,
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, String) {
        let image = ImageRef::parse(text);
        (image.repository().into(), image.tag().into(), image.pull_tag().into())
    }

    #[test]
    fn splits_references() {
        let cases = [
            ("bb", "bb", "latest", "latest"),
            ("bb:1", "bb", "1", "1"),
            ("reg:5000/x", "reg:5000/x", "latest", "latest"),
            ("reg:5000/x:7.2", "reg:5000/x", "7.2", "7.2"),
            ("q/img@sha256:abcd", "q/img", "abcd", "sha256:abcd"),
            ("q/img:1@sha256:abcd", "q/img", "abcd", "sha256:abcd"),
            ("", "", "latest", "latest"),
        ];
        for (text, repository, tag, pull) in cases {
            assert_eq!(parts(text), (repository.into(), tag.into(), pull.into()), "{text}");
        }
    }

    #[test]
    fn finds_itself_among_an_engines_tags() {
        let here = ["bb:latest", "reg:5000/x:1"];
        let digests = ["q/img@sha256:abcd", "e.io/@@x"];
        for (text, expected) in [
            ("bb", true),
            ("bb:latest", true),
            ("docker.io/library/bb", true),
            ("bb:1", false),
            ("reg:5000/x:1", true),
            ("reg:5000/x", false),
            ("q/img@sha256:abcd", true),
            ("q/img@sha256:ffff", false),
            ("e.io/@@x", true),
        ] {
            assert_eq!(ImageRef::parse(text).is_among(here, digests), expected, "{text}");
        }
    }

    #[test]
    fn knows_its_other_names() {
        for (one, other, expected) in [
            ("bb", "docker.io/library/bb:latest", true),
            ("foo/bar:1", "index.docker.io/foo/bar:1", true),
            ("q/img:1@sha256:abcd", "q/img@sha256:abcd", true),
            ("bb:1", "bb", false),
            ("reg:5000/bb", "bb", false),
            ("q/img:abcd", "q/img@sha256:abcd", false),
        ] {
            assert_eq!(ImageRef::parse(one).names_same(&ImageRef::parse(other)), expected, "{one} {other}");
        }
    }

    #[test]
    fn registry_host_follows_the_engine() {
        for (text, host) in [
            ("bb", "docker.io"),
            ("foo/bar", "docker.io"),
            ("index.docker.io/foo/bar:1", "docker.io"),
            ("reg.example.com/x", "reg.example.com"),
            ("localhost/x", "localhost"),
            ("reg:5000/x:1", "reg:5000"),
        ] {
            assert_eq!(ImageRef::parse(text).registry_host(), host, "{text}");
        }
    }
}
