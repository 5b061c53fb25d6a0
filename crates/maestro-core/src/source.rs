//! Where text comes from, and how a position in it is named.
//!
//! Core never opens a file: everything it reads comes through [`Sources`], everything it says about what it
//! read points at a [`Span`] of a text kept in a [`SourceMap`].

use std::collections::BTreeMap;
use std::sync::Arc;

/// What a text is wanted for. The three are looked up by different rules (specification, sections 2.1 and 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// The environment file itself, as named by `-f`; the name passed is ignored.
    Environment,
    /// A template named by `include`, `import`, `from` or `extends`: relative to the environment file's directory.
    Template,
    /// An env file: relative to the environment file's directory, absolute allowed.
    EnvFile,
}

/// Reads texts and the process environment on behalf of core. Implementations do not interpret what they read.
pub trait Sources {
    /// The bytes of one text.
    fn read(&self, kind: SourceKind, name: &str) -> Result<Vec<u8>, SourceError>;

    /// How the text is called in messages: the path as the user gave it.
    fn display_name(&self, kind: SourceKind, name: &str) -> String;

    /// The process environment, as templates see it under `env`.
    fn variables(&self) -> BTreeMap<String, String>;
}

/// Why a text could not be read. Says nothing about which one: the caller knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no such file, or it is a directory.
    #[error("not found")]
    NotFound,
    /// The file is larger than anything that a person writes; it is refused unread.
    #[error("{size} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Anything else, in the operating system's words.
    #[error("{0}")]
    Other(String),
}

/// Sources held in memory: for tests, fuzzing, and texts that come from elsewhere than a disk.
#[derive(Debug, Clone, Default)]
pub struct MapSources {
    /// The environment file.
    pub environment: Vec<u8>,
    /// Templates and env files by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The process environment.
    pub variables: BTreeMap<String, String>,
}

impl MapSources {
    /// Sources with one environment file and nothing else.
    pub fn of(environment: impl Into<Vec<u8>>) -> Self {
        Self { environment: environment.into(), ..Self::default() }
    }

    /// The same with one more file.
    #[must_use]
    pub fn with_file(mut self, name: &str, text: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.to_owned(), text.into());
        self
    }

    /// The same with one more environment variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Sources for MapSources {
    fn read(&self, kind: SourceKind, name: &str) -> Result<Vec<u8>, SourceError> {
        match kind {
            SourceKind::Environment => Ok(self.environment.clone()),
            SourceKind::Template | SourceKind::EnvFile => {
                self.files.get(name).cloned().ok_or(SourceError::NotFound)
            }
        }
    }

    fn display_name(&self, kind: SourceKind, name: &str) -> String {
        match kind {
            SourceKind::Environment => "maestro.yaml".to_owned(),
            SourceKind::Template | SourceKind::EnvFile => name.to_owned(),
        }
    }

    fn variables(&self) -> BTreeMap<String, String> {
        self.variables.clone()
    }
}

/// Which text of a [`SourceMap`] a span points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// A range of bytes in one text; `start <= end <= text.len()`, both on character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// One text that messages may quote.
#[derive(Debug, Clone)]
pub struct SourceText {
    /// What messages call it.
    pub name: String,
    /// Whether people wrote it or templates produced it.
    pub origin: Origin,
    /// Its content.
    pub text: Arc<str>,
}

/// Where a text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody wrote this file.
    File,
    /// The template stage produced this text; its positions are not those of the file.
    Rendered,
}

/// A part of a text that messages do not quote, for it may be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hidden {
    /// What is not shown.
    pub span: Span,
    /// What a label may lie in to have what it points at shown after all; for what is secret for sure, nothing.
    pub within: Option<Span>,
}

/// All texts that were read for one environment.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    texts: Vec<SourceText>,
    hidden: Vec<Hidden>,
}

/// A position as people count: both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl SourceMap {
    /// Adds a text and returns its id.
    pub fn add(&mut self, text: SourceText) -> SourceId {
        let id = SourceId(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(text);
        id
    }

    /// The text of an id. Ids come from [`SourceMap::add`] of the same map only.
    pub fn get(&self, id: SourceId) -> Option<&SourceText> {
        self.texts.get(id.0 as usize)
    }

    /// All texts, in the order in which they were read.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &SourceText)> {
        self.texts.iter().enumerate().map(|(i, t)| (SourceId(u32::try_from(i).unwrap_or(u32::MAX)), t))
    }

    /// Keeps a part of a text out of messages.
    pub fn hide(&mut self, hidden: Hidden) {
        if hidden.span.start < hidden.span.end {
            self.hidden.push(hidden);
        }
    }

    /// What messages do not quote of a text, in no order; parts may overlap.
    pub fn hidden(&self, id: SourceId) -> impl Iterator<Item = Hidden> {
        self.hidden.iter().copied().filter(move |hidden| hidden.span.source == id)
    }

    /// Line and column of the start of a span.
    pub fn position(&self, span: Span) -> Option<LineColumn> {
        let text = &self.get(span.source)?.text;
        let before = text.get(..span.start as usize)?;
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Some(LineColumn {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        })
    }
}
