//! The few lines of a text that a message quotes, however long the text or its lines are.

use maestro_core::source::{Hidden, LineColumn};
use std::ops::Range;

/// Lines that are longer are shown in part, around what is pointed at.
const LONG: usize = 300;
/// Bytes shown before and behind what is pointed at, of a long line.
const AROUND: usize = 60;
/// Spans over more lines are shown by their first.
const TALL: usize = 8;

/// Where the lines of a text begin.
pub(in crate::report) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(in crate::report) fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self { starts: std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect() }
    }

    /// The index of the line that a byte is in.
    pub(super) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// A byte's place as people count.
    pub(in crate::report) fn position(&self, text: &str, at: usize) -> LineColumn {
        let line = self.line(at);
        let before = text.get(self.start(line)..floor(text, at)).unwrap_or_default();
        LineColumn { line: line + 1, column: before.chars().count() + 1 }
    }

    fn start(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or_default()
    }

    /// A line without its end.
    fn range(&self, text: &str, line: usize) -> Range<usize> {
        let start = self.start(line);
        let end = self.starts.get(line + 1).map_or(text.len(), |next| next - 1);
        start..end.max(start)
    }
}

/// Bytes that are pointed at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Some lines of a text.
pub(super) struct Excerpt {
    pub(super) text: String,
    /// Number of the first one, from 1.
    pub(super) first_line: usize,
    /// The marks as ranges of the excerpt.
    pub(super) marks: Vec<Range<usize>>,
    /// Whether something was left out of it that may be secret.
    pub(super) masked: bool,
}

impl Excerpt {
    pub(super) fn new(
        text: &str,
        lines: &Lines,
        marks: &[Mark],
        hidden: impl Iterator<Item = Hidden>,
    ) -> Self {
        let given = marks;
        let marks: Vec<Mark> = marks.iter().map(|mark| shorten(text, lines, *mark)).collect();
        let first = marks.iter().map(|mark| lines.line(mark.start)).min().unwrap_or_default();
        let last = marks.iter().map(|mark| lines.line(mark.end)).max().unwrap_or_default();
        let (begin, end) = (lines.start(first), lines.range(text, last).end);
        let near = |hidden: &Hidden| (hidden.span.start as usize) < end && begin < hidden.span.end as usize;
        let withheld = withheld(text, given, hidden.filter(near));
        let mut excerpt = Self {
            text: String::new(),
            first_line: first + 1,
            marks: vec![0..0; marks.len()],
            masked: false,
        };
        for line in first..=last {
            let whole = lines.range(text, line);
            let touched = || marks.iter().filter(|m| m.start <= whole.end && m.end >= whole.start);
            let shown = window(text, &whole, touched().next().copied(), touched().map(|m| m.end).max());
            if shown.start > whole.start {
                excerpt.text.push('…');
            }
            let runs = copy(text, &shown, &withheld, &mut excerpt.text);
            excerpt.masked |= runs.iter().any(|run| run.masked);
            for (mark, place) in marks.iter().zip(&mut excerpt.marks) {
                if whole.contains(&mark.start) || mark.start == whole.end {
                    *place = put(&runs, mark.start, false)
                        ..put(&runs, mark.end.max(mark.start), mark.end > mark.start);
                } else if whole.contains(&mark.end) || mark.end == whole.end {
                    place.end = put(&runs, mark.end, true);
                }
            }
            if shown.end < whole.end {
                excerpt.text.push('…');
            }
            if line < last {
                excerpt.text.push('\n');
            } else if shown.is_empty() {
                // The renderer takes the end of a text for a place in the line before.
                excerpt.text.push(' ');
            }
        }
        excerpt
    }
}

impl Excerpt {
    /// The column that the first mark has in the excerpt, as people count.
    pub(super) fn column(&self) -> usize {
        let at = self.marks.first().map_or(0, |mark| mark.start);
        let before = self.text.get(..at).unwrap_or_default();
        before.chars().rev().take_while(|c| *c != '\n').count() + 1
    }
}

/// What is not shown, in the order of the text and without overlaps: what is hidden, but for what a mark may show.
fn withheld(text: &str, marks: &[Mark], hidden: impl Iterator<Item = Hidden>) -> Vec<Range<usize>> {
    let (mut withheld, mut secrets): (Vec<Range<usize>>, Vec<Range<usize>>) = Default::default();
    for Hidden { span, within } in hidden {
        let hidden = floor(text, span.start as usize)..floor(text, span.end as usize);
        let Some(within) = within else {
            secrets.push(hidden);
            continue;
        };
        let may_show = |m: &&Mark| within.start as usize <= m.start && m.end <= within.end as usize;
        let mut at = hidden.start;
        let mut shown: Vec<&Mark> = marks.iter().filter(may_show).collect();
        shown.sort_by_key(|mark| mark.start);
        for mark in shown {
            withheld.push(at..mark.start.min(hidden.end));
            at = at.max(mark.end);
        }
        withheld.push(at..hidden.end);
    }
    withheld.append(&mut secrets);
    withheld.retain(|gap| gap.start < gap.end);
    withheld.sort_by_key(|gap| gap.start);
    withheld.dedup_by(|next, gap| {
        let overlap = next.start <= gap.end;
        if overlap {
            gap.end = gap.end.max(next.end);
        }
        overlap
    });
    withheld
}

/// A part of a text, and where it is in the excerpt.
struct Run {
    from: Range<usize>,
    to: Range<usize>,
    masked: bool,
}

/// Copies a part of a line, with an ellipsis for each thing that is not shown.
fn copy(text: &str, shown: &Range<usize>, withheld: &[Range<usize>], into: &mut String) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut push = |from: Range<usize>, masked: bool| {
        let begin = into.len();
        into.push_str(if masked { "…" } else { text.get(from.clone()).unwrap_or_default() });
        runs.push(Run { from, to: begin..into.len(), masked });
    };
    let mut at = shown.start;
    let first = withheld.partition_point(|gap| gap.end <= shown.start);
    for gap in withheld.iter().skip(first).take_while(|gap| gap.start < shown.end) {
        let (start, end) = (gap.start.max(shown.start), gap.end.min(shown.end));
        push(at..start, false);
        push(start..end, true);
        at = end;
    }
    push(at..shown.end, false);
    runs
}

/// Where a byte of the text is in the excerpt; an end belongs to what is before it.
fn put(runs: &[Run], at: usize, is_end: bool) -> usize {
    let begins_at = |run: &Run| if is_end { at <= run.from.end } else { at < run.from.end };
    let Some(run) = runs.iter().find(|run| begins_at(run)).or(runs.last()) else { return 0 };
    if run.masked {
        let whole = if is_end { run.to.end } else { run.to.start };
        return if at <= run.from.start { run.to.start } else { whole };
    }
    run.to.start + (at.clamp(run.from.start, run.from.end) - run.from.start)
}

/// A mark that ends where the text does, and in its first line if it is tall.
fn shorten(text: &str, lines: &Lines, mark: Mark) -> Mark {
    let start = floor(text, mark.start);
    let mut end = floor(text, mark.end).max(start);
    let first = lines.line(start);
    // A span that ends with a line end ends in that line.
    if end > start && lines.line(end) > first && text.as_bytes().get(end - 1) == Some(&b'\n') {
        end -= 1;
    }
    if lines.line(end) - first >= TALL {
        end = lines.range(text, first).end.max(start);
    }
    Mark { start, end }
}

/// The part of a line that is shown.
fn window(text: &str, whole: &Range<usize>, mark: Option<Mark>, end: Option<usize>) -> Range<usize> {
    if whole.len() <= LONG {
        return whole.clone();
    }
    let start = mark.map_or(whole.start, |mark| mark.start.clamp(whole.start, whole.end));
    let end = end.unwrap_or(start).clamp(start, whole.end).min(start + LONG);
    floor(text, start.saturating_sub(AROUND).max(whole.start))..floor(text, (end + AROUND).min(whole.end))
}

/// The nearest character boundary that is not behind a byte.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}
