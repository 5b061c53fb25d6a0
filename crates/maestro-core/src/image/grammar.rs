//! What engines accept as the name of an image: the grammar of distribution's `reference` package.

/// The most bytes of a repository, without its registry.
const LONGEST_PATH: usize = 255;
/// The most bytes of a registry: those of a name in DNS, and a port.
const LONGEST_REGISTRY: usize = 253 + ":65535".len();
/// The most bytes of a tag.
const LONGEST_TAG: usize = 128;

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{because}")]
pub struct NoImage {
    because: String,
    /// What to write instead, where that can be told.
    pub help: Option<String>,
}

/// Whether an engine accepts this as the name of an image that it is to pull. What engines themselves say is not
/// always of this form.
///
/// # Errors
/// What is wrong with it, with a hint where there is one.
pub fn check(text: &str) -> Result<(), NoImage> {
    let meant = |text: &str| parts(text).is_ok().then(|| format!("write `{text}`"));
    if text.trim().is_empty() {
        return fault("it is empty", None);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return fault(format!("`{scheme}://` is no part of an image's name"), meant(rest));
    }
    if text.contains(char::is_whitespace) {
        return fault("it has blanks in it", meant(text.trim()));
    }
    parts(text)
}

fn fault(because: impl Into<String>, help: Option<String>) -> Result<(), NoImage> {
    Err(NoImage { because: because.into(), help })
}

/// That a part means nothing, or is not there.
fn quoted(part: &str, what: &str, why: &str) -> String {
    if part.is_empty() { format!("{what} is empty") } else { format!("`{part}` {why}") }
}

fn parts(text: &str) -> Result<(), NoImage> {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    if let Some(digest) = digest.filter(|digest| !is_digest(digest)) {
        let help = "a digest is `sha256:` and 64 hexadecimal digits".to_owned();
        return fault(quoted(digest, "its digest", "is no digest"), Some(help));
    }
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        let help =
            "a tag is letters, digits, `_`, `.` and `-`, 128 at most, and does not begin with `.` or `-`";
        return fault(quoted(tag, "its tag", "is no tag"), Some(help.into()));
    }
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if names_registry(first) => (Some(first), rest),
        _ => (None, name),
    };
    if let Some(registry) = registry.filter(|registry| !is_registry(registry)) {
        return fault(
            format!("`{registry}` is no registry"),
            Some("a registry is `HOST` or `HOST:PORT`".into()),
        );
    }
    if path.len() > LONGEST_PATH {
        return fault(format!("a repository's name has {LONGEST_PATH} characters at most"), None);
    }
    if let Some(part) = path.split('/').find(|part| !is_path_component(part)) {
        let lower = format!("{}{}", name.to_lowercase(), text.get(name.len()..).unwrap_or_default());
        let help = if part.contains(|c: char| c.is_ascii_uppercase()) && parts(&lower).is_ok() {
            format!("names of repositories are in lower case; did you mean `{lower}`?")
        } else {
            "parts of a repository's name are lower-case letters and digits, with `.`, `_`, `__` or `-` between them"
                .into()
        };
        return fault(
            quoted(part, "a part of its name", "cannot be part of a repository's name"),
            Some(help),
        );
    }
    Ok(())
}

/// The engine's rule: what a repository at Docker Hub cannot be called is a registry.
fn names_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.contains(|c: char| c.is_ascii_uppercase())
}

fn is_registry(text: &str) -> bool {
    if text.len() > LONGEST_REGISTRY {
        return false;
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|c| c.is_ascii_digit())) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[') {
        let inside = |c: u8| c.is_ascii_hexdigit() || c == b':';
        return address.strip_suffix(']').is_some_and(|a| !a.is_empty() && a.bytes().all(inside));
    }
    host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    })
}

/// Runs of lower-case letters and digits, with one `.`, `_` or `__`, or any number of `-` between them.
fn is_path_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut rest = text;
    loop {
        let words = rest.trim_start_matches(is_word);
        if words.len() == rest.len() {
            return false;
        }
        if words.is_empty() {
            return true;
        }
        let after = words.trim_start_matches(|c| !is_word(c));
        let separator = &words[..words.len() - after.len()];
        if !matches!(separator, "." | "_" | "__") && !separator.bytes().all(|c| c == b'-') {
            return false;
        }
        rest = after;
    }
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    text.len() <= LONGEST_TAG
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|c| is_word(c) || matches!(c, b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, digits)) = text.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    digits.len() == length && digits.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_engines_take() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "bb",
            "bb:latest",
            "library/bb",
            "a/b/c/d:1.2-3_4",
            "a__b/c--d/e.f_g",
            "reg:5000/x",
            "reg.example.com/x:V1",
            "REG/x",
            "localhost/x",
            "[::1]:5000/x",
            "[2001:db8::1]/x",
            &format!("bb@{digest}"),
            &format!("reg:5000/bb:1@{digest}"),
            &digest,
            &"0a".repeat(32),
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        let cases = [
            "",
            " bb ",
            "A B",
            "http://x/y",
            "UPPER",
            "reg:5000/Shop/web:V1",
            "a/b:",
            "a:-b",
            "bb@sha256:zz",
            "bb@",
            "a//b",
            "/a",
            "a/",
            "a_-b",
            "a...b",
            "-reg.example.com/x",
            "reg:port/x",
            "é",
            ":1",
            "[::1/x",
        ];
        let said: Vec<String> = cases
            .iter()
            .map(|text| {
                let fault = check(text).expect_err(text);
                format!("{text:?}: {fault}; {}", fault.help.as_deref().unwrap_or("-"))
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        "": it is empty; -
        " bb ": it has blanks in it; write `bb`
        "A B": it has blanks in it; -
        "http://x/y": `http://` is no part of an image's name; write `x/y`
        "UPPER": `UPPER` cannot be part of a repository's name; names of repositories are in lower case; did you mean `upper`?
        "reg:5000/Shop/web:V1": `Shop` cannot be part of a repository's name; names of repositories are in lower case; did you mean `reg:5000/shop/web:V1`?
        "a/b:": its tag is empty; a tag is letters, digits, `_`, `.` and `-`, 128 at most, and does not begin with `.` or `-`
        "a:-b": `-b` is no tag; a tag is letters, digits, `_`, `.` and `-`, 128 at most, and does not begin with `.` or `-`
        "bb@sha256:zz": `sha256:zz` is no digest; a digest is `sha256:` and 64 hexadecimal digits
        "bb@": its digest is empty; a digest is `sha256:` and 64 hexadecimal digits
        "a//b": a part of its name is empty; parts of a repository's name are lower-case letters and digits, with `.`, `_`, `__` or `-` between them
        "/a": a part of its name is empty; parts of a repository's name are lower-case letters and digits, with `.`, `_`, `__` or `-` between them
        "a/": a part of its name is empty; parts of a repository's name are lower-case letters and digits, with `.`, `_`, `__` or `-` between them
        "a_-b": `a_-b` cannot be part of a repository's name; parts of a repository's name are lower-case letters and digits, with `.`, `_`, `__` or `-` between them
        "a...b": `a...b` cannot be part of a repository's name; parts of a repository's name are lower-case letters and digits, with `.`, `_`, `__` or `-` between them
        "-reg.example.com/x": `-reg.example.com` is no registry; a registry is `HOST` or `HOST:PORT`
        "reg:port/x": `reg:port` is no registry; a registry is `HOST` or `HOST:PORT`
        "é": `é` cannot be part of a repository's name; parts of a repository's name are lower-case letters and digits, with `.`, `_`, `__` or `-` between them
        ":1": a part of its name is empty; parts of a repository's name are lower-case letters and digits, with `.`, `_`, `__` or `-` between them
        "[::1/x": `[::1` is no registry; a registry is `HOST` or `HOST:PORT`
        "#);
        assert!(check(&"a".repeat(256)).is_err());
        assert!(check(&format!("a:{}", "b".repeat(129))).is_err());
        let registry = |labels| format!("{}b.c:65535/a", "a.".repeat(labels));
        assert!(check(&registry(125)).is_ok() && check(&registry(126)).is_err());
    }
}
