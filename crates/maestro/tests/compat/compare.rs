//! Two tools' doing beside each other: every difference as a line of text.

use super::cases::{Act, Case, Chance, Program, Step};
use super::lane::Seen;
use super::spoken::Spoken;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Collects the differences of one case.
struct Report<'a> {
    case: &'a Case,
    step: &'a Step,
    found: Vec<String>,
}

impl Report<'_> {
    fn difference(&mut self, aspect: &str, original: &str, ours: &str) {
        self.found.push(format!("{} [{}] {aspect}: {original} => {ours}", self.case.name, self.step.line));
    }

    fn compare<T: Debug + PartialEq>(&mut self, aspect: &str, original: &T, ours: &T) {
        if original != ours {
            self.difference(aspect, &format!("{original:?}"), &format!("{ours:?}"));
        }
    }

    /// Compares what has a name on both sides.
    fn compare_all<K: Ord, V: PartialEq>(
        &mut self,
        original: &BTreeMap<K, V>,
        ours: &BTreeMap<K, V>,
        aspect: impl Fn(&K) -> String,
        show: impl Fn(&V) -> String,
    ) {
        let keys: BTreeSet<&K> = original.keys().chain(ours.keys()).collect();
        for key in keys {
            let (original, ours) = (original.get(key), ours.get(key));
            if original != ours {
                let show = |value: Option<&V>| value.map_or_else(|| "nothing".to_owned(), &show);
                self.difference(&aspect(key), &show(original), &show(ours));
            }
        }
    }

    fn speech(&mut self, original: &Spoken, ours: &Spoken) {
        for line in original.text.iter().filter(|line| !ours.text.contains(line)) {
            self.difference("text", &format!("{line:?}"), "nothing");
        }
        for line in ours.text.iter().filter(|line| !original.text.contains(line)) {
            self.difference("text", "nothing", &format!("{line:?}"));
        }
        let common = |lines: &[String], others: &[String]| -> Vec<String> {
            lines.iter().filter(|line| others.contains(line)).cloned().collect()
        };
        self.compare(
            "order of text",
            &common(&original.text, &ours.text),
            &common(&ours.text, &original.text),
        );
        if self.case.chance != Chance::Nothing {
            return;
        }
        // What a row comes to is what scripts look for.
        let last = |spoken: &Spoken| -> BTreeMap<(u32, String), String> {
            let last = |lines: &Vec<String>| lines.last().cloned().unwrap_or_default();
            spoken.rows.iter().map(|(key, lines)| (key.clone(), last(lines))).collect()
        };
        self.compare_all(
            &last(original),
            &last(ours),
            |(number, name)| format!("row {number} {name}"),
            |row| format!("{row:?}"),
        );
        // On the way there Maestro may say less, having looked before, but nothing else.
        for ((number, name), lines) in &ours.rows {
            let Some(known) = original.rows.get(&(*number, name.clone())) else { continue };
            let new: BTreeSet<&String> =
                lines.iter().rev().skip(1).filter(|line| !known.contains(line)).collect();
            for line in new {
                self.difference(&format!("progress {number} {name}"), "nothing", &format!("{line:?}"));
            }
        }
    }

    fn writes(&mut self, original: &Seen, ours: &Seen) {
        if self.case.chance != Chance::Nothing {
            return;
        }
        let together = |seen: &Seen| {
            let mut by_subject: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (subject, line) in &seen.writes {
                let key = if self.case.in_order { "all" } else { subject };
                by_subject.entry(key.to_owned()).or_default().push(line.clone());
            }
            by_subject
        };
        let (original, ours) = (together(original), together(ours));
        self.compare_all(&original, &ours, |subject| format!("calls of {subject}"), |calls| calls.join("; "));
    }

    /// Who is done before whom, where one waits for the other.
    fn order(&mut self, original: &Seen, ours: &Seen) {
        for (first, second) in &self.step.ordered {
            let place = |seen: &Seen, name: &str, last: bool| {
                let of = |(subject, _): &(String, String)| {
                    subject.split_once('/').is_some_and(|(_, rest)| rest == name)
                };
                if last { seen.writes.iter().rposition(of) } else { seen.writes.iter().position(of) }
            };
            let order = |seen: &Seen| match (place(seen, first, true), place(seen, second, false)) {
                (Some(first), Some(second)) if first < second => "kept",
                (Some(_), Some(_)) => "not kept",
                _ => "nothing",
            };
            self.compare(&format!("order of {first} and {second}"), &order(original), &order(ours));
        }
    }

    fn told(&mut self, original: &Seen, ours: &Seen) {
        let parts = |seen: &Seen| -> BTreeMap<(usize, String), String> {
            let told = seen.told.iter().enumerate();
            let parts = told.flat_map(|(at, told)| told.iter().map(move |(part, text)| ((at, part), text)));
            parts.map(|((at, part), text)| ((at + 1, part.clone()), text.clone())).collect()
        };
        let (original, ours) = (parts(original), parts(ours));
        self.compare_all(
            &original,
            &ours,
            |(at, part)| format!("told {at} {part}"),
            |text| format!("{text:?}"),
        );
    }

    fn variables(&mut self, original: &Seen, ours: &Seen) {
        for (subject, original) in &original.variables {
            let Some(ours) = ours.variables.get(subject) else { continue };
            self.compare_all(
                original,
                ours,
                |name| format!("variable of {subject} {name}"),
                |value| format!("{value:?}"),
            );
        }
    }

    fn file(&mut self, original: Option<&str>, ours: Option<&str>) {
        let lines = |text: Option<&str>| -> BTreeMap<usize, String> {
            let lines = text.into_iter().flat_map(str::lines).enumerate();
            lines.map(|(at, line)| (at + 1, line.to_owned())).collect()
        };
        let show = |line: &String| format!("{line:?}");
        self.compare_all(&lines(original), &lines(ours), |at| format!("line {at}"), show);
    }

    fn containers(&mut self, original: &Seen, ours: &Seen) {
        if self.case.chance == Chance::Everything {
            return;
        }
        let names: BTreeSet<&String> = original.containers.keys().chain(ours.containers.keys()).collect();
        for name in names {
            match (original.containers.get(name), ours.containers.get(name)) {
                (Some(original), Some(ours)) => self.compare_all(
                    &original.fields,
                    &ours.fields,
                    |field| format!("inspect {name} {field}"),
                    Clone::clone,
                ),
                (Some(_), None) => self.difference(&format!("container {name}"), "there", "nothing"),
                (None, Some(_)) => self.difference(&format!("container {name}"), "nothing", "there"),
                (None, None) => {}
            }
        }
    }
}

/// Everything in which a case went differently, step by step.
pub(crate) fn differences(case: &Case, original: &[Seen], ours: &[Seen]) -> Vec<String> {
    let mut found = Vec::new();
    for (step, (original, ours)) in case.steps.iter().zip(original.iter().zip(ours)) {
        let mut report = Report { case, step, found };
        // Where it has failed and others of its threads still print, Python may abort instead of ending.
        let aborted = case.chance == Chance::Everything && original.stderr.contains("_enter_buffered_busy");
        let code = if aborted { Some(1) } else { original.code };
        report.compare("exit code", &code.unwrap_or_default(), &ours.code.unwrap_or_default());
        report.speech(&Spoken::read(&original.stdout), &Spoken::read(&ours.stdout));
        report.writes(original, ours);
        report.order(original, ours);
        if case.versions {
            report.compare("versions", &original.versions, &ours.versions);
        }
        report.told(original, ours);
        report.variables(original, ours);
        report.containers(original, ours);
        report.file(original.file.as_deref(), ours.file.as_deref());
        found = report.found;
    }
    found
}

/// What Maestro must have said and has not, and what it must never say.
pub(crate) fn unsaid(case: &Case, ours: &[Seen]) -> Vec<String> {
    let steps = case.steps.iter().zip(ours);
    let own = steps.filter(|(step, _)| !matches!(step.act, Act::Tool { by: Some(Program::Original), .. }));
    let all = own.fold(String::new(), |all, (_, seen)| all + &seen.stdout + &seen.stderr);
    let missing = case.says.iter().filter(|words| !all.contains(*words));
    let traces = ["panicked", "Traceback"].into_iter().filter(|word| all.contains(word));
    let longest = ours.iter().map(|seen| seen.took.as_secs()).max().unwrap_or_default();
    let hasty = case.takes.filter(|least| longest < *least);
    let hasty = hasty.map(|least| format!("{}: Maestro takes {longest} s, not {least}", case.name));
    let slow = case.within.filter(|most| longest >= *most);
    let slow = slow.map(|most| format!("{}: Maestro takes {longest} s, not less than {most}", case.name));
    let down = case.one_down.then(|| ours.last().map(down_at_once).unwrap_or_default());
    let down = down.filter(|most| *most != 1);
    let down = down.map(|most| format!("{}: Maestro has {most} down at once, not 1", case.name));
    missing
        .map(|words| format!("{}: Maestro does not say {words:?}", case.name))
        .chain(traces.map(|word| format!("{}: Maestro says {word:?}", case.name)))
        .chain(hasty)
        .chain(slow)
        .chain(down)
        .collect()
}

/// How many containers are down at the same time at most, of those that a step stops.
fn down_at_once(seen: &Seen) -> usize {
    let (mut down, mut most) = (BTreeSet::new(), 0);
    for (subject, line) in &seen.writes {
        if line.ends_with("/start") {
            down.remove(subject);
        } else if line.contains("/stop") {
            down.insert(subject);
            most = most.max(down.len());
        }
    }
    most
}

#[test]
fn containers_that_are_down_are_counted() {
    let seen = |calls: &[(&str, &str)]| {
        let writes = calls.iter().map(|(name, call)| ((*name).to_owned(), (*call).to_owned()));
        Seen { writes: writes.collect(), ..Seen::default() }
    };
    let (stop, start) = ("a POST /containers/x/stop?t=0", "a POST /containers/x/start");
    assert_eq!(down_at_once(&seen(&[("a/x", stop), ("a/x", start), ("a/y", stop), ("a/y", start)])), 1);
    assert_eq!(down_at_once(&seen(&[("a/x", stop), ("a/y", stop), ("a/x", start), ("a/y", start)])), 2);
    assert_eq!(down_at_once(&seen(&[("a/x", start)])), 0);
}
