//! What is wrong with the text of an environment, said to its author.
//!
//! A [`Diagnostic`] is data: code, message, labelled spans, help. Rendering (snippets, colour, JSON) belongs to
//! the binary. Loading collects all of them before it stops.

mod change;

use crate::source::Span;
pub use change::Change;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The environment cannot be used.
    Error,
    /// The environment can be used; its author should look.
    Warning,
    /// Nothing is wrong; it means something else than to maestro-ng. Said only to who asks.
    Note,
}

/// What kind of fault it is. The number is stable: people search for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// The environment file, a template or an env file could not be read.
    Unreadable,
    /// A text is not UTF-8.
    NotUtf8,
    /// A text, or what it expands to, is beyond a limit.
    TooLarge,
    /// The template has a syntax error.
    TemplateSyntax,
    /// The template failed while it was rendered.
    TemplateRender,
    /// The template did more work than any honest one does.
    TemplateRunaway,
    /// The rendered text is not YAML.
    YamlSyntax,
    /// A mapping has the same key twice.
    DuplicateKey,
    /// A YAML feature that is not supported here: unknown tags, unhashable keys, a second document.
    YamlUnsupported,
    /// A value has the wrong type.
    WrongType,
    /// A required key is missing.
    MissingKey,
    /// A key that nothing reads; the nearest known one is suggested.
    UnknownKey,
    /// A value is of the right type and means nothing.
    BadValue,
    /// A port specification is wrong.
    BadPort,
    /// A volume specification is wrong.
    BadVolume,
    /// A line of an env file is wrong.
    BadEnvFile,
    /// Something names a ship, service, instance or registry that does not exist.
    UnknownName,
    /// Two things have the same name.
    DuplicateName,
    /// Services require each other in a circle.
    Cycle,
    /// Two parts of the file contradict each other.
    Conflict,
    /// Legal, and probably not what was meant.
    Suspicious,
    /// Containers could be made, and their programs not started: they would be told too much.
    TooManyVariables,
    /// Something else than with maestro-ng comes of it.
    Changed(Change),
}

impl Code {
    /// The stable number, such as `E0202`.
    pub fn id(self) -> &'static str {
        match self {
            Code::Unreadable => "E0101",
            Code::NotUtf8 => "E0102",
            Code::TooLarge => "E0103",
            Code::TemplateSyntax => "E0110",
            Code::TemplateRender => "E0111",
            Code::TemplateRunaway => "E0112",
            Code::YamlSyntax => "E0201",
            Code::DuplicateKey => "E0202",
            Code::YamlUnsupported => "E0203",
            Code::WrongType => "E0301",
            Code::MissingKey => "E0302",
            Code::UnknownKey => "W0303",
            Code::BadValue => "E0304",
            Code::BadPort => "E0305",
            Code::BadVolume => "E0306",
            Code::BadEnvFile => "E0307",
            Code::UnknownName => "E0401",
            Code::DuplicateName => "E0402",
            Code::Cycle => "E0403",
            Code::Conflict => "E0404",
            Code::Suspicious => "W0501",
            Code::TooManyVariables => "W0502",
            Code::Changed(change) => change.id(),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A place that a diagnostic points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What about it; may be empty for the primary label.
    pub text: String,
}

/// One fault or doubt, with everything that its author needs to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of fault.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// What is wrong, as a sentence without a capital or a period; names things in backquotes.
    pub message: String,
    /// Where; the first is the primary place. Empty where there is none (a missing file).
    pub labels: Vec<Label>,
    /// Facts that explain it.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Vec<String>,
    /// What maestro-ng 0.8.3 does with it, where that is something else: a sentence about what "it" does, without its
    /// subject. Said only to who asks.
    pub formerly: Option<Box<str>>,
}

impl Diagnostic {
    /// An error of this kind.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
            formerly: None,
        }
    }

    /// A warning of this kind.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Something that maestro-ng 0.8.3 does otherwise.
    pub fn changed(change: Change, message: impl Into<String>, formerly: impl Into<Box<str>>) -> Self {
        let note = Self { severity: Severity::Note, ..Self::error(Code::Changed(change), message) };
        note.formerly(formerly)
    }

    /// The same with what maestro-ng 0.8.3 does instead.
    #[must_use]
    pub fn formerly(mut self, text: impl Into<Box<str>>) -> Self {
        self.formerly = Some(text.into());
        self
    }

    /// The same, pointing at a place.
    #[must_use]
    pub fn at(self, span: Span) -> Self {
        self.label(span, "")
    }

    /// The same, pointing at a place and saying something about it.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// The same with a fact that explains it.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// The same with something to do about it.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// The same with "did you mean", where one of `known` is close to `given`.
    #[must_use]
    pub fn suggest<'a>(self, given: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(given, known) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// So many of each severity are kept: nobody reads them, and a file of a few megabytes can have a million faults.
const MOST_KEPT: usize = 10_000;

/// All that is to be said about one environment, within reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    /// How many of them are errors.
    errors: usize,
    /// How many of them are notes.
    notes: usize,
    /// What stands here could not be read, which has been said.
    gaps: BTreeSet<Span>,
}

impl Diagnostics {
    /// Adds one, unless its primary place is a gap: then it is a consequence of what was said about that. Of thousands
    /// the first are kept.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let is_consequence = diagnostic.labels.first().is_some_and(|label| self.is_gap(label.span));
        if !is_consequence && !self.is_full(diagnostic.severity) {
            self.errors += usize::from(diagnostic.severity == Severity::Error);
            self.notes += usize::from(diagnostic.severity == Severity::Note);
            self.items.push(diagnostic);
        }
    }

    /// Whether more of this severity would not be kept.
    pub fn is_full(&self, severity: Severity) -> bool {
        let kept = match severity {
            Severity::Error => self.errors,
            Severity::Warning => self.items.len() - self.errors - self.notes,
            Severity::Note => self.notes,
        };
        kept >= MOST_KEPT
    }

    /// From now on a value stands here that nobody wrote: its own could not be read, or not all of it.
    pub fn leave_gap(&mut self, span: Span) {
        self.gaps.insert(span);
    }

    /// Whether what stands here could not be read, or not all of it, so that nothing can be missed in it.
    pub fn is_gap(&self, span: Span) -> bool {
        self.gaps.contains(&span)
    }

    /// All of them, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// Every diagnostic, for changing its positions.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Diagnostic> {
        self.items.iter_mut()
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Takes back those after the first so many that are not to be kept.
    pub fn retain_after(&mut self, first: usize, mut keep: impl FnMut(&Diagnostic) -> bool) {
        for diagnostic in self.items.split_off(first.min(self.items.len())) {
            if keep(&diagnostic) {
                self.items.push(diagnostic);
            } else {
                self.errors -= usize::from(diagnostic.severity == Severity::Error);
                self.notes -= usize::from(diagnostic.severity == Severity::Note);
            }
        }
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Keeps the first so many and says how many are gone.
    pub fn truncate(&mut self, most: usize) -> usize {
        let gone = self.items.len().saturating_sub(most);
        self.items.truncate(most);
        self.count();
        gone
    }

    fn count(&mut self) {
        let of = |severity| self.items.iter().filter(|d| d.severity == severity).count();
        (self.errors, self.notes) = (of(Severity::Error), of(Severity::Note));
    }

    /// Adds what maestro-ng does otherwise: to the error, or warning, that is about the same thing, or as a note; and says
    /// of all what it did.
    pub fn compare(&mut self, changes: Vec<Diagnostic>) {
        let mut said: BTreeMap<Span, usize> = BTreeMap::new();
        for (at, diagnostic) in self.items.iter().enumerate() {
            if let Some(label) = diagnostic.labels.first() {
                said.entry(label.span).or_insert(at);
            }
        }
        for change in changes {
            let place = change.labels.first().and_then(|label| said.get(&label.span));
            let warned =
                matches!(change.code, Code::Changed(Change::RequestOption | Change::ApiVersionDigits));
            let same = |diagnostic: &&mut Diagnostic| warned || diagnostic.severity == Severity::Error;
            match place.and_then(|at| self.items.get_mut(*at)).filter(same) {
                Some(diagnostic) => diagnostic.formerly = change.formerly,
                None => self.push(change),
            }
        }
        for diagnostic in &mut self.items {
            if let Some(formerly) = &diagnostic.formerly {
                diagnostic.notes.insert(0, format!("maestro-ng 0.8.3 {formerly}"));
            }
        }
    }

    /// Makes one of notes about the same place, which a loop of a template has given more than once.
    pub fn fold_notes(&mut self) {
        let mut first: BTreeMap<(Code, Vec<Span>), usize> = BTreeMap::new();
        let mut more: BTreeMap<usize, usize> = BTreeMap::new();
        let mut kept: Vec<Diagnostic> = Vec::with_capacity(self.items.len());
        for diagnostic in std::mem::take(&mut self.items) {
            let spans = diagnostic.labels.iter().map(|label| label.span).collect();
            if diagnostic.severity == Severity::Note {
                match first.entry((diagnostic.code, spans)) {
                    Entry::Occupied(before) => {
                        *more.entry(*before.get()).or_default() += 1;
                        continue;
                    }
                    Entry::Vacant(place) => {
                        place.insert(kept.len());
                    }
                }
            }
            kept.push(diagnostic);
        }
        for (at, count) in more {
            if let Some(diagnostic) = kept.get_mut(at) {
                diagnostic.notes.push(format!("the same place of the template gives {count} more of these"));
            }
        }
        self.items = kept;
        self.count();
    }

    /// How many of them are about something that maestro-ng does otherwise.
    pub fn changes(&self) -> usize {
        self.items.iter().filter(|diagnostic| diagnostic.formerly.is_some()).count()
    }

    /// Puts them into the order of the text; those without a place first.
    pub fn sort(&mut self) {
        self.items.sort_by_key(|d| (d.labels.first().map(|l| l.span), d.code));
    }
}

/// Longer names are not compared: the longest that anybody types is that of a host.
const LONGEST_NAME: usize = 256;

/// The known name that is closest to the given one, if any is close enough to be a slip of the finger.
///
/// Distance is optimal string alignment (insert, delete, substitute, swap neighbours); ties go to the first name.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match given.chars().take(LONGEST_NAME + 1).count() {
        0 | 1 => return None,
        2..=4 => 1,
        5..=8 => 2,
        length if length > LONGEST_NAME => return None,
        _ => 3,
    };
    let given = lowercase(given, usize::MAX);
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        // Only a name that is nearer than the best so far is of use.
        let limit = best.map_or(limit, |(distance, _)| distance.saturating_sub(1));
        if let Some(distance) = distance(&given, &lowercase(name, given.len() + limit + 1), limit) {
            best = Some((distance, name));
            if distance == 0 {
                break;
            }
        }
    }
    best.map(|(_, name)| name)
}

fn lowercase(text: &str, most: usize) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).take(most).collect()
}

/// The distance, if it is within the limit. Only alignments that can be are looked at, so that this takes time in
/// proportion to the length.
fn distance(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let far = limit + 1;
    let mut before = vec![far; b.len() + 1];
    let mut previous: Vec<usize> = (0..=b.len()).map(|j| j.min(far)).collect();
    for i in 1..=a.len() {
        let mut current = vec![far; b.len() + 1];
        current[0] = i.min(far);
        for j in i.saturating_sub(limit).max(1)..=(i + limit).min(b.len()) {
            let substitute = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = substitute.min(previous[j] + 1).min(current[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            current[j] = least.min(far);
        }
        if current.iter().chain(&previous).all(|distance| *distance == far) {
            return None;
        }
        before = previous;
        previous = current;
    }
    previous.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn note() -> Diagnostic {
        Diagnostic::changed(Change::StopTimeout, "other", "did otherwise")
    }

    #[test]
    fn each_severity_has_room_of_its_own() {
        let mut all = Diagnostics::default();
        for _ in 0..=MOST_KEPT {
            all.push(note());
        }
        assert!(
            all.is_full(Severity::Note) && !all.is_full(Severity::Warning) && !all.is_full(Severity::Error)
        );
        assert_eq!(all.iter().count(), MOST_KEPT);
        all.push(Diagnostic::warning(Code::Suspicious, "look"));
        assert_eq!(all.iter().count(), MOST_KEPT + 1);
        assert_eq!(all.truncate(5), MOST_KEPT - 4);
        assert!(!all.is_full(Severity::Note));
    }

    #[test]
    fn only_notes_become_one() {
        let mut all = Diagnostics::default();
        for _ in 0..3 {
            all.push(note());
            all.push(Diagnostic::warning(Code::Suspicious, "look"));
        }
        all.fold_notes();
        let kept: Vec<_> = all.iter().map(|d| (d.severity, d.notes.len())).collect();
        let warning = (Severity::Warning, 0);
        assert_eq!(kept, [(Severity::Note, 1), warning, warning, warning]);
    }

    #[test]
    fn nearest_finds_slips_and_leaves_strangers() {
        let known = ["web", "worker", "database"];
        assert_eq!(nearest("wbe", known), Some("web"));
        assert_eq!(nearest("databse", known), Some("database"));
        assert_eq!(nearest("Worker", known), Some("worker"));
        assert_eq!(nearest("cache", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("worker2", ["worker1", "worker22", "worker2"]), Some("worker2"));
    }

    #[test]
    fn names_of_hosts_are_compared_and_novels_are_not() {
        let host = "a".repeat(255);
        let (slip, long) = (format!("{host}b"), format!("{host}bb"));
        assert_eq!(nearest(&slip, [&*host]), Some(&*host));
        assert_eq!(nearest(&long, [&*host]), None);
        assert_eq!(nearest("worker", [&*"worker".repeat(100_000)]), None);
    }

    /// The textbook's form, over the whole table.
    fn whole_distance(a: &[char], b: &[char]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                let mut least = if i == 0 || j == 0 { i + j } else { usize::MAX };
                if i > 0 && j > 0 {
                    let substitute = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    least = substitute.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                }
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(table[i - 2][j - 2] + 1);
                }
                table[i][j] = least;
            }
        }
        table[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn the_band_is_wide_enough(a in "[ab-]{0,9}", b in "[ab-]{0,9}", limit in 0..4_usize) {
            let (a, b) = (lowercase(&a, 99), lowercase(&b, 99));
            let whole = whole_distance(&a, &b);
            prop_assert_eq!(distance(&a, &b, limit), (whole <= limit).then_some(whole));
        }
    }
}
