//! Addresses of engines as texts: `tcp://host:port` and its kin, and what a host may be called.

use crate::model::{SshRemote, Transport, Trust};
use std::net::{Ipv4Addr, Ipv6Addr};

const SOCKET: &str = "/var/run/docker.sock";
/// The most bytes that a name has in DNS.
pub(super) const LONGEST_NAME: usize = 253;

/// What is wrong with an address that has a password in it. Never quotes it.
pub(super) const HAS_LOGIN: &str = "it has a login in it, before the `@`";

/// A host name, an IPv4 address or an IPv6 address, the latter in brackets or not; without them.
///
/// # Errors
/// That it is none of these, as half a sentence.
pub(super) fn host(text: &str) -> Result<&str, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text);
    if is_ipv6(address) || (bare.is_none() && is_name(text)) {
        return Ok(address);
    }
    Err(match text {
        "" => "it names no host".to_owned(),
        _ if text.contains('@') => HAS_LOGIN.to_owned(),
        _ => format!("`{text}` is no host name and no address"),
    })
}

/// A host as [`host`] has it, possibly with a login before it, which is never quoted.
///
/// # Errors
/// What is wrong with it, as half a sentence.
pub(super) fn http_host(text: &str) -> Result<(), String> {
    let (login, name) = text.rsplit_once('@').map_or((None, text), |(login, name)| (Some(login), name));
    if login.is_some_and(|login| {
        login.contains(|c: char| c.is_whitespace() || c.is_control() || "/?#[]".contains(c))
    }) {
        return Err("its login has characters that must be percent-encoded".to_owned());
    }
    // Names in other scripts are sent in their ASCII form.
    let plain: String = name.chars().map(|c| if c.is_alphabetic() { 'a' } else { c }).collect();
    if name.is_ascii() { host(name) } else { host(&plain) }
        .map(|_| ())
        .map_err(|why| why.replace(&plain, name))
}

/// Whether this is what stands between `http://` and the path: a host, possibly with a login and a port.
pub(super) fn is_http_authority(text: &str) -> bool {
    let (login, rest) = text.rsplit_once('@').map_or(("", text), |(login, rest)| (login, rest));
    host_and_port(rest).is_ok_and(|(name, number)| {
        let whole = if login.is_empty() { name.to_owned() } else { format!("{login}@{name}") };
        http_host(&whole).is_ok() && number.is_none_or(|number| number.is_empty() || port(number).is_ok())
    })
}

/// What HTTP calls a token: the form of methods and of headers' names.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c))
}

fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    address.parse::<Ipv6Addr>().is_ok()
        && zone.is_none_or(|zone| {
            !zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}

fn is_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return text.parse::<Ipv4Addr>().is_ok();
    }
    // Underscores are in no host's name by the book, and in some by experience.
    name.len() <= LONGEST_NAME
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        })
}

/// A host, or an alias of ssh's configuration. What begins with a dash would be an option to ssh.
pub(super) fn is_ssh_host(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%'))
}

pub(super) fn is_ssh_user(text: &str) -> bool {
    is_ssh_host(text) && !text.contains(':')
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|port| *port > 0 && text.bytes().all(|c| c.is_ascii_digit()));
    number.ok_or_else(|| format!("`{text}` is no port: ports are from 1 to 65535"))
}

/// Reads `tcp://host:port`, `https://host:port`, `unix:///path`, `ssh://[user@]host[:port][/socket]`.
///
/// # Errors
/// What is wrong with it, as half a sentence.
pub fn endpoint_url(url: &str) -> Result<Transport, String> {
    let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Transport::Unix { path: rest.into() }),
        "unix" => Err("a socket needs an absolute path, as in unix:///var/run/docker.sock".into()),
        "tcp" | "http" | "https" => {
            if rest.contains('@') {
                return Err(HAS_LOGIN.into());
            }
            let authority = rest.split('/').next().unwrap_or_default();
            let (name, number) = host_and_port(authority)?;
            let host = host(name)?.into();
            let secure = scheme == "https";
            let port = match number {
                None if secure => 2376,
                None => 2375,
                Some(number) => port(number)?,
            };
            Ok(if secure {
                Transport::Tls { host, port, identity: None, trust: Trust::System }
            } else {
                Transport::Tcp { host, port }
            })
        }
        "ssh" => {
            let (authority, path) = match rest.find('/') {
                Some(slash) => rest.split_at(slash),
                None => (rest, ""),
            };
            let (user, authority) = match authority.rsplit_once('@') {
                Some((user, _)) if user.contains(':') => return Err(HAS_LOGIN.into()),
                Some((user, authority)) => (Some(user), authority),
                None => (None, authority),
            };
            let (host, number) = host_and_port(authority)?;
            if !is_ssh_host(host) || !user.is_none_or(is_ssh_user) {
                return Err(format!("`{authority}` is no host that ssh can be given"));
            }
            Ok(Transport::Ssh {
                host: host.into(),
                port: number.map(port).transpose()?,
                user: user.map(Into::into),
                key: None,
                remote: SshRemote::Socket(if matches!(path, "" | "/") { SOCKET } else { path }.into()),
            })
        }
        _ => Err(format!("`{scheme}` is not a way to reach an engine; use tcp, https, unix or ssh")),
    }
}

/// Splits `host:port`, `[::1]:port`, `host`.
pub(super) fn host_and_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = authority.strip_prefix('[') {
        let unclear = || format!("`{authority}` is no host name and no address");
        let (host, rest) = rest.split_once(']').filter(|(host, _)| is_ipv6(host)).ok_or_else(unclear)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(unclear()),
        };
    }
    match authority.rsplit_once(':') {
        // Where an IPv6 address ends and the port begins, only brackets say.
        Some((host, _)) if host.contains(':') => {
            Err(format!("`{authority}` is unclear: write an IPv6 address in brackets, as in `[::1]:2375`"))
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_endpoints() {
        for (url, expected) in [
            ("tcp://h:1", "tcp://h:1"),
            ("tcp://h", "tcp://h:2375"),
            ("tcp://[::1]:2", "tcp://[::1]:2"),
            ("https://h", "https://h:2376"),
            ("unix:///run/d.sock", "unix:///run/d.sock"),
            ("ssh://h", "ssh://h"),
            ("ssh://u@h:22/run/d.sock", "ssh://u@h:22"),
        ] {
            assert_eq!(endpoint_url(url).map(|t| t.to_string()).as_deref(), Ok(expected), "{url}");
        }
        for url in [
            "h",
            "npipe://x",
            "unix://x",
            "tcp://",
            "tcp://h:x",
            "tcp://h:",
            "tcp://h:0",
            "tcp://h:+1",
            "tcp://h:65536",
            "tcp://a b",
            "tcp://[::1",
            "tcp://[::1]1",
            "tcp://[h]:1",
            "tcp://::1:2375",
            "ssh://-oProxyCommand=x",
            "ssh://-v",
            "ssh://-l@h",
            "ssh://",
            "ssh://h:0",
        ] {
            assert!(endpoint_url(url).is_err(), "{url}");
        }
        for url in ["tcp://u:p@h:1", "https://u:p/w@h", "tcp://p@h:1", "ssh://u:p@h"] {
            assert_eq!(endpoint_url(url), Err(HAS_LOGIN.to_owned()), "{url}");
        }
    }

    #[test]
    fn knows_what_follows_http() {
        for text in
            ["h", "h:80", "h:", "u:p@h", "u:p%2f@h:1", "[::1]", "[::1]:80", "bücher.example", "192.0.2.1:1"]
        {
            assert!(is_http_authority(text), "{text}");
        }
        for text in
            ["", ":80", "h:x", "h:0", "h:65536", "u:hun", "u p@h", "::1", "[::1", "[h]", "h h", "192.0.2"]
        {
            assert!(!is_http_authority(text), "{text}");
        }
    }

    #[test]
    fn knows_hosts() {
        for text in ["h", "a-b.c_d.example.", "192.0.2.1", "::1", "[2001:db8::1]", "fe80::1%eth0"] {
            assert!(host(text).is_ok(), "{text}");
        }
        assert_eq!(host("[::1]"), Ok("::1"));
        let long = "a".repeat(64);
        for text in [
            "",
            "a b",
            "10.0.0.1:2375",
            "h:1",
            "192.0.2",
            "192.0.2.256",
            "[h]",
            "[::1",
            "-h",
            "a..b",
            "é",
            "h/x",
            &long,
        ] {
            assert!(host(text).is_err(), "{text}");
        }
    }
}
