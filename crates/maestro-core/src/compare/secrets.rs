//! What of values is not shown (docs/design/0012): containers' variables are where passwords go.

use crate::config::is_secret;

/// Groups of attributes whose names were chosen by authors and say what they hold.
const NAMED: [&str; 3] = ["env.", "labels.", "log_opt."];

/// What stands for something that is not shown.
pub(super) const HIDDEN: &str = "…";

/// Program and arguments as they may be shown, on one line.
pub fn shown_command(words: &[String]) -> String {
    veiled("command", &words.join(" "))
}

/// A value as it may be shown.
pub(super) fn veiled(attribute: &str, text: &str) -> String {
    if NAMED.iter().find_map(|of| attribute.strip_prefix(of)).is_some_and(is_secret) {
        return HIDDEN.to_owned();
    }
    if matches!(attribute, "command" | "entrypoint") || attribute.starts_with("healthcheck.") {
        return without_users(&without_secret_options(text));
    }
    without_users(text)
}

/// Whether anything of it is not shown.
pub(super) fn is_veiled(attribute: &str, text: &str) -> bool {
    veiled(attribute, text) != text
}

/// `--password=x` and `--password x` without their `x`, likewise `PASSWORD=x`.
fn without_secret_options(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hides_next = false;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let space = piece.get(word.len()..).unwrap_or_default();
        let (key, value) =
            word.split_once(['=', ':']).map_or((word, None), |(key, value)| (key, Some(value)));
        let name = key.trim_start_matches(['-', '"', '\'', '[', ',']).trim_end_matches(['"', '\'']);
        match value {
            Some(value) if !value.is_empty() && is_secret(name) => {
                out.push_str(word.get(..=key.len()).unwrap_or(key));
                out.push_str(HIDDEN);
                hides_next = false;
            }
            _ if hides_next && !word.is_empty() => {
                out.push_str(HIDDEN);
                hides_next = false;
            }
            _ => {
                out.push_str(word);
                hides_next = hides_next && word.is_empty()
                    || key.starts_with('-') && value.is_none() && is_secret(name);
            }
        }
        out.push_str(space);
    }
    out
}

/// Addresses without `user:password@`.
fn without_users(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| matches!(c, '/' | '?' | '#' | '"' | '\'') || c.is_whitespace());
        let authority = after.get(..end.unwrap_or(after.len())).unwrap_or(after);
        rest = match authority.rfind('@') {
            Some(at) => {
                out.push_str(HIDDEN);
                after.get(at..).unwrap_or_default()
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_secret() {
        for (attribute, text, shown) in [
            ("env.LANG", "de", "de"),
            ("env.DB_PASSWORD", "x", "…"),
            ("labels.com.example.api-key", "x", "…"),
            ("log_opt.splunk-token", "x", "…"),
            ("env.DSN", "postgres://me:pw@db/shop", "postgres://…@db/shop"),
            ("env.DSN", "amqp://a:b@c,amqp://d@e/", "amqp://…@c,amqp://…@e/"),
            ("env.URL", "http://x/a@b", "http://x/a@b"),
            ("volumes./srv/secret", "/srv/token", "/srv/token"),
            ("command", "serve --password=x --port=80", "serve --password=… --port=80"),
            ("command", "serve --api-key  x --port 80", "serve --api-key  … --port 80"),
            ("command", "sh -c PGPASSWORD=x psql", "sh -c PGPASSWORD=… psql"),
            ("command", "token", "token"),
        ] {
            assert_eq!(veiled(attribute, text), shown, "{attribute}={text}");
            assert_eq!(is_veiled(attribute, text), text != shown);
        }
    }
}
