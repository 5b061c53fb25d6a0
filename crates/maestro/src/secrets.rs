//! The one place where values of secrets are read: a variable, a file, what a program writes.
//!
//! Which are wanted has been decided. Owns how long that may take and what counts as a value; nothing here shows one, and
//! no error has a part of one.

use futures_util::future::join_all;
use maestro_core::model::{DeclaredSecret, SecretSource};
use maestro_core::names::{Secret, SecretName};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a program may take. Somebody may have to type something.
const LIMIT: Duration = Duration::from_mins(1);
/// No system passes a longer variable to a program; in bytes.
const MOST: u64 = 128 << 10;

/// Values that have been fetched, each once.
#[derive(Debug)]
pub struct Secrets {
    /// Where files are looked up.
    base: PathBuf,
    limit: Duration,
    known: Mutex<BTreeMap<SecretSource, Secret>>,
}

/// A secret whose value cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret `{name}`, declared in {place}, cannot be had: {why}")]
pub struct Unfetched {
    /// The secret.
    pub name: SecretName,
    /// Where it is declared.
    pub place: String,
    /// Half a sentence, without anything of a value.
    pub why: String,
}

impl Secrets {
    /// With files relative to a directory. Reads nothing.
    pub fn new(base: PathBuf) -> Self {
        Self { base, limit: LIMIT, known: Mutex::default() }
    }

    /// Fetches all of these at once. What has been fetched is not fetched again.
    ///
    /// # Errors
    /// All that cannot be had.
    pub async fn fetch(
        &self,
        declared: &BTreeMap<SecretName, DeclaredSecret>,
        wanted: &BTreeSet<SecretName>,
    ) -> Result<BTreeMap<SecretName, Secret>, Vec<Unfetched>> {
        let wanted = wanted.iter().filter_map(|name| Some((name, declared.get(name)?)));
        let fetched =
            join_all(wanted.map(async |(name, declared)| match self.value(&declared.source).await {
                Ok(value) => Ok((name.clone(), value)),
                Err(why) => Err(Unfetched { name: name.clone(), place: declared.place.to_string(), why }),
            }));
        let (mut values, mut unfetched) = (BTreeMap::new(), Vec::new());
        for one in fetched.await {
            match one {
                Ok((name, value)) => _ = values.insert(name, value),
                Err(error) => unfetched.push(error),
            }
        }
        if unfetched.is_empty() { Ok(values) } else { Err(unfetched) }
    }

    /// A text of somebody else's without values that have been fetched.
    pub fn veiled(&self, mut text: String) -> String {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().for_each(|value| value.veil(&mut text));
        text
    }

    async fn value(&self, source: &SecretSource) -> Result<Secret, String> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known().get(source) {
            return Ok(value.clone());
        }
        let bytes = match source {
            SecretSource::Env(name) => match std::env::var_os(&**name) {
                Some(value) => Ok(value.into_encoded_bytes()),
                None => Err("it is not set".to_owned()),
            },
            SecretSource::File(path) => read(&self.base.join(&**path)).map(without_line_end),
            SecretSource::Command(words) => output(words, self.limit).await.map(without_line_end),
        };
        let value = bytes.and_then(sound).map_err(|why| format!("{source}: {why}"))?;
        known().insert(source.clone(), value.clone());
        Ok(value)
    }
}

/// What a file has.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let refused = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        kind => format!("it cannot be read: {kind}"),
    };
    // Opening a pipe would wait for whoever writes to it.
    if !path.metadata().map_err(refused)?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(refused)?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(refused)?;
    Ok(bytes)
}

/// What a program writes to its standard output. It shares the terminal otherwise, and may ask there.
async fn output(words: &[String], limit: Duration) -> Result<Vec<u8>, String> {
    let Some((program, arguments)) = words.split_first() else { return Err("there is none".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => "there is no such program".to_owned(),
        kind => format!("it cannot be started: {kind}"),
    })?;
    let Some(stdout) = child.stdout.take() else { return Err("it has no output".to_owned()) };
    let ended = timeout(limit, async {
        let mut bytes = Vec::new();
        stdout.take(MOST + 1).read_to_end(&mut bytes).await?;
        if bytes.len() as u64 > MOST {
            // It may have more to say than it can get rid of.
            return Ok((bytes, None));
        }
        Ok::<_, io::Error>((bytes, Some(child.wait().await?)))
    });
    match ended.await {
        Err(_) => Err(format!("it did not end within {} s", limit.as_secs_f64())),
        Ok(Err(error)) => Err(format!("its output cannot be read: {}", error.kind())),
        Ok(Ok((bytes, status))) => match status.filter(|status| !status.success()) {
            None => Ok(bytes),
            Some(status) => Err(match status.code() {
                Some(code) => format!("exit code {code}"),
                None => status.to_string(),
            }),
        },
    }
}

/// Programs and editors end a text with a line end that is not meant.
fn without_line_end(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    bytes
}

/// A value that can be handed on; whoever gives none has most likely failed.
fn sound(bytes: Vec<u8>) -> Result<Secret, String> {
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    if bytes.len() as u64 > MOST {
        return Err(format!("it is larger than {} KiB", MOST >> 10));
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err("there is a zero byte in it".to_owned()),
        Ok(text) => Ok(Secret::new(text)),
        Err(_) => Err("it is not UTF-8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(script: &str) -> SecretSource {
        SecretSource::Command(["sh", "-c", script].map(str::to_owned).to_vec())
    }

    async fn fetched(secrets: &Secrets, source: SecretSource) -> Result<String, String> {
        let declared = DeclaredSecret { source, place: "maestro.yaml:3".into() };
        let declared = [("a".into(), declared)].into();
        let fetched = secrets.fetch(&declared, &["a".into()].into()).await;
        match fetched {
            Ok(values) => Ok(values["a"].expose().to_owned()),
            Err(unfetched) => Err(unfetched.iter().map(ToString::to_string).collect()),
        }
    }

    #[tokio::test]
    async fn values_come_from_files_and_programs_without_their_last_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(dir.path().to_owned());
        for (at, (text, value)) in
            [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" ä b\nc ", " ä b\nc ")]
                .iter()
                .enumerate()
        {
            std::fs::write(dir.path().join(at.to_string()), text).unwrap();
            let file = SecretSource::File(at.to_string().into());
            assert_eq!(fetched(&secrets, file).await.as_deref(), Ok(*value));
            let program = SecretSource::Command(["printf", "%s", text].map(str::to_owned).to_vec());
            assert_eq!(fetched(&secrets, program).await.as_deref(), Ok(*value));
        }
    }

    #[tokio::test]
    async fn why_there_is_none_is_said_without_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("large"), "hunter2".repeat(20_000)).unwrap();
        std::fs::write(dir.path().join("bytes"), b"hunter2\xff").unwrap();
        let secrets = Secrets::new(dir.path().to_owned());
        let mut said = String::new();
        for source in [
            SecretSource::Env("MAESTRO_TEST_IS_NEVER_SET".into()),
            SecretSource::File("none".into()),
            SecretSource::File(".".into()),
            SecretSource::File("large".into()),
            SecretSource::File("bytes".into()),
            SecretSource::Command(vec!["/no/such/program".to_owned(), "--token=hunter2".to_owned()]),
            command("echo hunter2; exit 3"),
            command("true"),
            command("printf 'hunter2\\0'"),
            command("yes hunter2"),
        ] {
            said.push_str(&fetched(&secrets, source).await.unwrap_err());
            said.push('\n');
        }
        let hurried = Secrets { limit: Duration::from_millis(50), ..Secrets::new(PathBuf::new()) };
        said.push_str(&fetched(&hurried, command("echo hunter2; exec sleep 600")).await.unwrap_err());
        said.push('\n');
        insta::assert_snapshot!(said);
        assert!(!said.contains("hunter2"));
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn each_is_fetched_once() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(dir.path().to_owned());
        let count = dir.path().join("count");
        let source = || command(&format!("echo x >>{0}; cat {0}", count.display()));
        assert_eq!(fetched(&secrets, source()).await.as_deref(), Ok("x"));
        assert_eq!(fetched(&secrets, source()).await.as_deref(), Ok("x"));
    }
}
