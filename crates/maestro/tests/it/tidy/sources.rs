//! The workspace's sources, read as the compiler does: from each crate's roots along `mod`, without comments, and with
//! what is only compiled for tests told apart.

use proc_macro2::{Delimiter, LineColumn, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The directory of the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All sources of the workspace's crates.
pub(super) struct Workspace {
    pub(super) files: Vec<SourceFile>,
    /// Sources that no `mod` leads to, so that nobody compiles them.
    pub(super) unreached: Vec<String>,
}

/// One source, and what it says.
pub(super) struct SourceFile {
    /// From the workspace's directory.
    pub(super) path: String,
    /// Name of the crate's directory.
    pub(super) crate_name: String,
    /// Where it is in its crate: `["planner", "start"]`. Empty for the root of a library.
    pub(super) module: Vec<String>,
    pub(super) kind: Kind,
    pub(super) lines: usize,
    /// Every token outside what only tests see.
    pub(super) tokens: Vec<Token>,
}

/// What a source becomes part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The library.
    Library,
    /// A program.
    Program,
    /// Tests and benchmarks, wherever they are.
    Test,
}

/// A token and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Workspace {
    /// Reads every crate below `crates/`.
    pub(super) fn read() -> Self {
        let mut workspace = Self { files: Vec::new(), unreached: Vec::new() };
        let directory = root().join("crates");
        for crate_name in children(&directory) {
            let home = directory.join(&crate_name);
            for (path, kind) in roots(&home) {
                workspace.follow(&crate_name, &home.join(path), kind, Vec::new());
            }
        }
        let reached: BTreeSet<&str> = workspace.files.iter().map(|file| &*file.path).collect();
        let mut unreached = every_source(&directory);
        unreached.retain(|path| !reached.contains(&**path));
        workspace.unreached = unreached;
        workspace
    }

    /// Reads a source and those that it declares.
    fn follow(&mut self, crate_name: &str, path: &Path, kind: Kind, module: Vec<String>) {
        let Ok(text) = fs::read_to_string(path) else { return };
        let (file, declared) = SourceFile::parse(&relative(path), crate_name, kind, module, &text);
        let base = if file.module.is_empty() || path.ends_with("mod.rs") {
            path.parent().map(Path::to_path_buf).unwrap_or_default()
        } else {
            path.with_extension("")
        };
        let module = file.module.clone();
        self.files.push(file);
        for child in declared {
            let place = child.names.iter().fold(base.clone(), |place, name| place.join(name));
            let module = module.iter().chain(&child.names).cloned().collect();
            let kind = if child.for_tests { Kind::Test } else { kind };
            let flat = place.with_extension("rs");
            let path = if flat.exists() { flat } else { place.join("mod.rs") };
            self.follow(crate_name, &path, kind, module);
        }
    }

    /// The sources of a crate's library.
    pub(super) fn library<'a>(&'a self, crate_name: &'a str) -> impl Iterator<Item = &'a SourceFile> {
        self.files.iter().filter(move |file| file.crate_name == crate_name && file.kind == Kind::Library)
    }
}

/// A `mod name;`, with the inline modules that it stands in.
struct Declared {
    names: Vec<String>,
    for_tests: bool,
}

impl SourceFile {
    fn parse(
        path: &str,
        crate_name: &str,
        kind: Kind,
        module: Vec<String>,
        text: &str,
    ) -> (Self, Vec<Declared>) {
        let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path} is not Rust: {error}"));
        let mut reading = Reading { tokens: Vec::new(), declared: Vec::new(), inside: Vec::new() };
        reading.read(stream, false);
        let file = Self {
            path: path.to_owned(),
            crate_name: crate_name.to_owned(),
            module,
            kind,
            lines: text.lines().count(),
            tokens: reading.tokens,
        };
        (file, reading.declared)
    }

    /// A source that a test has made up.
    pub(super) fn made_up(crate_name: &str, module: &[&str], text: &str) -> Self {
        let path = format!("crates/{crate_name}/src/{}.rs", module.join("/"));
        let module = module.iter().map(|&name| name.to_owned()).collect();
        Self::parse(&path, crate_name, Kind::Library, module, text).0
    }

    /// The first part of its module's path.
    pub(super) fn top(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    /// Names of modules at the root of its crate that it uses, with the line.
    pub(super) fn uses(&self) -> Vec<(&str, usize)> {
        let mut uses = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            if token.text == "crate" && self.follows_path(at + 1) {
                uses.extend(self.branches(at + 3));
            }
            // `super::super::` may climb to the root, too.
            let climbs = token.text == "super" && (at < 3 || !self.is_at(at - 3, &["super", ":", ":"]));
            if climbs {
                let mut next = at;
                let mut steps = 0;
                while self.is_at(next, &["super", ":", ":"]) {
                    steps += 1;
                    next += 3;
                }
                if steps >= self.module.len() && !self.module.is_empty() {
                    uses.extend(self.branches(next));
                }
            }
        }
        uses
    }

    /// Whether these tokens stand here.
    pub(super) fn is_at(&self, at: usize, texts: &[&str]) -> bool {
        let here = self.tokens.get(at..).unwrap_or_default();
        here.len() >= texts.len() && here.iter().zip(texts).all(|(token, text)| token.text == *text)
    }

    fn follows_path(&self, at: usize) -> bool {
        self.is_at(at, &[":", ":"])
    }

    /// The first names of what follows `crate::`: one, or each branch of `{…}`.
    fn branches(&self, at: usize) -> Vec<(&str, usize)> {
        let mut names = Vec::new();
        let mut depth = 0;
        let mut expected = true;
        for token in self.tokens.get(at..).unwrap_or_default() {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                "," if depth == 1 => expected = true,
                name => {
                    if expected {
                        names.push((name, token.line));
                    }
                    expected = false;
                }
            }
            if depth == 0 {
                break;
            }
        }
        names
    }
}

struct Reading {
    tokens: Vec<Token>,
    declared: Vec<Declared>,
    /// Names of the inline modules around.
    inside: Vec<String>,
}

impl Reading {
    fn read(&mut self, stream: TokenStream, for_tests: bool) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        // Where the item ends that only tests see.
        let mut tests_until = 0;
        while let Some(tree) = trees.get(at) {
            if is_cfg_test(&trees[at..]) {
                tests_until = tests_until.max(at + item_length(&trees[at..]));
            }
            let for_tests = for_tests || at < tests_until;
            match module(&trees[at..]) {
                Some((name, None)) => {
                    let names = self.inside.iter().cloned().chain([name]).collect();
                    self.declared.push(Declared { names, for_tests });
                    at += 3;
                }
                Some((name, Some(body))) => {
                    self.inside.push(name);
                    self.read(body, for_tests);
                    self.inside.pop();
                    at += 3;
                }
                None => {
                    self.token(tree, for_tests);
                    at += 1;
                }
            }
        }
    }

    fn token(&mut self, tree: &TokenTree, for_tests: bool) {
        let LineColumn { line, .. } = tree.span().start();
        let mut push = |text: String| {
            if !for_tests {
                self.tokens.push(Token { text, line });
            }
        };
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.to_owned());
                self.read(group.stream(), for_tests);
                if !for_tests {
                    self.tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
                }
            }
            TokenTree::Ident(word) => push(word.to_string()),
            TokenTree::Punct(mark) => push(mark.as_char().to_string()),
            // Texts are not code, and are not to be mistaken for it.
            TokenTree::Literal(_) => push("\"\"".to_owned()),
        }
    }
}

/// `mod name;` or `mod name { … }`.
fn module(trees: &[TokenTree]) -> Option<(String, Option<TokenStream>)> {
    match trees {
        [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(end), ..]
            if word == "mod" && end.as_char() == ';' =>
        {
            Some((name.to_string(), None))
        }
        [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Group(body), ..] if word == "mod" => {
            Some((name.to_string(), Some(body.stream())))
        }
        _ => None,
    }
}

/// `#[cfg(test)]`.
fn is_cfg_test(trees: &[TokenTree]) -> bool {
    match trees {
        [TokenTree::Punct(mark), TokenTree::Group(attribute), ..] if mark.as_char() == '#' => {
            attribute.stream().to_string().replace(' ', "") == "cfg(test)"
        }
        _ => false,
    }
}

/// Number of trees up to the end of an item: a semicolon or a body in braces.
fn item_length(trees: &[TokenTree]) -> usize {
    let ends = |tree: &TokenTree| match tree {
        TokenTree::Punct(mark) => mark.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    trees.iter().position(ends).map_or(trees.len(), |at| at + 1)
}

/// Where the compiler begins to read a crate: the usual places, and what the manifest names.
fn roots(home: &Path) -> Vec<(PathBuf, Kind)> {
    let mut roots = vec![("src/lib.rs".into(), Kind::Library), ("src/main.rs".into(), Kind::Program)];
    for (directory, kind) in [("src/bin", Kind::Program), ("examples", Kind::Test)] {
        let programs = children(&home.join(directory)).into_iter();
        roots.extend(programs.map(|name| (Path::new(directory).join(name), kind)));
    }
    let manifest = fs::read_to_string(home.join("Cargo.toml")).unwrap();
    let paths =
        manifest.lines().filter_map(|line| line.strip_prefix("path = ")).map(|path| path.trim_matches('"'));
    for path in paths.filter(|path| path.starts_with("tests/") || path.starts_with("benches/")) {
        roots.push((path.into(), Kind::Test));
    }
    roots
}

/// Names of what is in a directory, sorted.
fn children(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Every Rust source below a directory.
fn every_source(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for name in children(&directory) {
            let path = directory.join(&name);
            if path.is_dir() {
                open.push(path);
            } else if std::path::Path::new(&name).extension().is_some_and(|e| e == "rs") {
                found.push(relative(&path));
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.to_string_lossy().into_owned()
}
