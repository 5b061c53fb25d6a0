//! Texts from the file system, or from standard input.

use maestro_core::source::{SourceError, SourceKind, Sources};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The name of the environment file in a directory.
pub const DEFAULT_FILE: &str = "maestro.yaml";

/// Reads what `-f` names, and what that file names.
#[derive(Debug)]
pub struct FileSources {
    /// What messages call the environment file.
    shown: String,
    place: Place,
    /// Where templates and env files are looked up.
    base: PathBuf,
    /// Larger files are refused unread; in bytes.
    limit: u64,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    /// Can be read once only, so it is kept.
    Stdin(OnceLock<Result<Vec<u8>, SourceError>>),
}

impl FileSources {
    /// For the argument of `-f`: a file, a directory that has a `maestro.yaml`, or `-` for standard input.
    pub fn new(argument: &str, limit: u64) -> Self {
        if argument == "-" {
            return Self {
                shown: "standard input".to_owned(),
                place: Place::Stdin(OnceLock::new()),
                base: PathBuf::new(),
                limit,
            };
        }
        let mut path = PathBuf::from(argument);
        if path.is_dir() {
            path.push(DEFAULT_FILE);
        }
        Self {
            shown: path.display().to_string(),
            base: path.parent().map(Path::to_owned).unwrap_or_default(),
            place: Place::File(path),
            limit,
        }
    }

    /// Where env files are looked up, as maestro-ng says it: the directory as it was given, nothing for that of a bare
    /// name; for standard input the working directory.
    pub fn base_directory(&self) -> String {
        let base = match self.place {
            Place::File(_) => self.base.clone(),
            Place::Stdin(_) => std::env::current_dir().unwrap_or_default(),
        };
        base.display().to_string()
    }

    /// The directory itself.
    pub fn base(&self) -> &Path {
        &self.base
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        let file = File::open(path).map_err(|error| refuse(&error))?;
        let metadata = file.metadata().map_err(|error| refuse(&error))?;
        if metadata.is_dir() {
            return Err(SourceError::NotFound);
        }
        if metadata.len() > self.limit {
            return Err(SourceError::TooLarge { size: metadata.len(), limit: self.limit });
        }
        // Pipes and devices have no length.
        self.all(file)
    }

    fn all(&self, from: impl Read) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        from.take(self.limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| refuse(&error))?;
        let size = bytes.len() as u64;
        if size > self.limit { Err(SourceError::TooLarge { size, limit: self.limit }) } else { Ok(bytes) }
    }
}

fn refuse(error: &std::io::Error) -> SourceError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => SourceError::NotFound,
        _ => SourceError::Other(error.to_string()),
    }
}

impl Sources for FileSources {
    fn read(&self, kind: SourceKind, name: &str) -> Result<Vec<u8>, SourceError> {
        match (kind, &self.place) {
            (SourceKind::Environment, Place::File(path)) => self.file(path),
            (SourceKind::Environment, Place::Stdin(text)) => {
                text.get_or_init(|| self.all(std::io::stdin().lock())).clone()
            }
            (SourceKind::Template | SourceKind::EnvFile, _) => self.file(&self.base.join(name)),
        }
    }

    fn display_name(&self, kind: SourceKind, name: &str) -> String {
        match kind {
            SourceKind::Environment => self.shown.clone(),
            SourceKind::Template | SourceKind::EnvFile => self.base.join(name).display().to_string(),
        }
    }

    fn variables(&self) -> BTreeMap<String, String> {
        std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_means_its_maestro_yaml() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(DEFAULT_FILE), "name: x").unwrap();
        std::fs::write(dir.path().join("a.env"), "A=1").unwrap();
        let sources = FileSources::new(dir.path().to_str().unwrap(), 100);
        assert_eq!(sources.read(SourceKind::Environment, "").unwrap(), b"name: x");
        assert_eq!(sources.read(SourceKind::EnvFile, "a.env").unwrap(), b"A=1");
        assert_eq!(sources.read(SourceKind::EnvFile, "b.env"), Err(SourceError::NotFound));
        assert_eq!(sources.read(SourceKind::EnvFile, "."), Err(SourceError::NotFound));
    }

    #[test]
    fn the_base_directory_is_as_it_was_given() {
        let base = |argument: &str| FileSources::new(argument, 0).base_directory();
        assert_eq!(base("maestro.yaml"), "");
        assert_eq!(base("../a/shop.yaml"), "../a");
        assert_eq!(base("-"), std::env::current_dir().unwrap().display().to_string());
    }

    #[test]
    fn large_files_are_refused_unread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.yaml");
        File::create(&path).unwrap().set_len(101).unwrap();
        let sources = FileSources::new(path.to_str().unwrap(), 100);
        let refused = sources.read(SourceKind::Environment, "");
        assert_eq!(refused, Err(SourceError::TooLarge { size: 101, limit: 100 }));
    }
}
