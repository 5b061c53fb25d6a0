use super::{History, HistoryError, NoReturn, Outline, Record, Return};
use crate::boundary::{Document, Entry};
use crate::config::{Limits, load};
use crate::names::ServiceName;
use crate::release::{Recorded, Release};
use crate::source::MapSources;
use std::collections::BTreeSet;

/// A release of services at their tags, `web:1 db:2`.
fn release(services: &str) -> Release {
    let service = |image: &str| {
        let name = image.split(':').next().unwrap();
        format!("  {name}: {{image: '{image}', instances: {{{name}-1: {{ship: a}}}}}}")
    };
    let services = services.split_whitespace().map(service).collect::<Vec<_>>().join("\n");
    let file = format!("name: shop\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n{services}");
    let inner = MapSources::of(file);
    let sources = Recorded::new(&inner);
    let loaded = load(&sources, &Limits::default());
    Release::of(&loaded.environment.unwrap(), loaded.tree.as_ref().unwrap(), &sources)
}

fn named(names: &str) -> BTreeSet<ServiceName> {
    names.split_whitespace().map(ServiceName::from).collect()
}

/// A ledger that forgets nothing.
#[derive(Default)]
struct Ledger {
    history: History,
    releases: Vec<Release>,
}

impl Ledger {
    fn add(&mut self, outline: Outline, release: Release) {
        let record = Record {
            number: self.history.next(),
            at: "2026-11-21T12:00:00Z".parse().unwrap(),
            by: "ada@laptop".into(),
            doing: "deploy".into(),
            before: outline.before,
            back_to: outline.back_to,
            services: outline.services,
        };
        self.history.records.push(record);
        self.releases.push(release);
    }

    /// Deploys these services as they are here; whether that is news.
    fn deploy(&mut self, services: &str, as_in: &str) -> bool {
        let new = release(as_in);
        let Some(outline) = self.history.deployed(&new, &named(services)) else { return false };
        let combined = match self.releases.last() {
            // The others as they were, as far as there are any.
            Some(last) => {
                let others = outline.services.keys().filter(|name| !named(services).contains(*name));
                new.with_services_of(last, &others.cloned().collect())
            }
            None => new,
        };
        self.add(outline, combined);
        true
    }

    fn back(&mut self, services: &str, to: Option<u64>) -> Result<Return, NoReturn> {
        let back = self.history.back(&named(services), to)?;
        let Some(outline) = self.history.returned(&back) else { return Ok(back) };
        let mut combined = self.releases.last().unwrap().clone();
        for (number, services) in &back.services {
            let theirs = &self.releases[usize::try_from(*number).unwrap() - 1];
            combined = match back.whole {
                Some(_) => theirs.clone(),
                None => combined.with_services_of(theirs, services),
            };
        }
        self.add(outline, combined);
        Ok(back)
    }

    /// The images that run.
    fn runs(&self) -> String {
        let current = self.history.current().unwrap();
        // What is listed is what the release says.
        let parts = self.releases.last().unwrap().parts();
        assert!(current.services.iter().all(|(name, shipped)| parts[name] == shipped.part));
        let images = current.services.values().flat_map(|shipped| shipped.part.images.clone());
        images.collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn one_goes_back_step_by_step_and_never_to_what_was_given_up() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.back("", None), Err(NoReturn::NoRelease));
    for tag in ["web:1", "web:2", "web:3"] {
        assert!(ledger.deploy("web", tag));
        assert!(!ledger.deploy("web", tag), "nothing new");
    }
    ledger.back("", None).unwrap();
    assert_eq!(ledger.runs(), "web:2");
    ledger.back("", None).unwrap();
    assert_eq!(ledger.runs(), "web:1");
    assert_eq!(ledger.back("", None), Err(NoReturn::First(5)));
    // And on from there.
    assert!(ledger.deploy("web", "web:4"));
    ledger.back("web", None).unwrap();
    assert_eq!(ledger.runs(), "web:1");
    ledger.back("", Some(3)).unwrap();
    assert_eq!(ledger.runs(), "web:3");
    ledger.back("", None).unwrap();
    assert_eq!(ledger.runs(), "web:2", "what was before the third");
    assert_eq!(ledger.back("", Some(99)), Err(NoReturn::Unknown(99)));
}

#[test]
fn services_go_back_by_themselves() {
    let mut ledger = Ledger::default();
    ledger.deploy("db web", "db:1 web:1");
    ledger.deploy("web", "db:9 web:2");
    assert_eq!(ledger.runs(), "db:1 web:2", "the others are as they were");
    ledger.deploy("db", "db:2 web:9");
    ledger.deploy("web", "db:9 web:3");
    assert_eq!(ledger.runs(), "db:2 web:3");
    assert_eq!(ledger.back("db", None).unwrap().services, [(2, named("db"))].into());
    assert_eq!(ledger.runs(), "db:1 web:3");
    ledger.back("web", None).unwrap();
    assert_eq!(ledger.runs(), "db:1 web:2");
    ledger.back("web", None).unwrap();
    assert_eq!(ledger.runs(), "db:1 web:1");
    assert_eq!(ledger.back("web", None), Err(NoReturn::FirstOf("web".into())));
    assert_eq!(ledger.back("db cache", None), Err(NoReturn::FirstOf("cache".into())));
    let two = ledger.back("db web", Some(4)).unwrap();
    assert_eq!(two.services, [(4, named("db web"))].into());
    assert_eq!(ledger.runs(), "db:2 web:3");
    let missing = NoReturn::NotIn { number: 4, service: "cache".into() };
    assert_eq!(ledger.back("cache", Some(4)), Err(missing));
    // To where it is already.
    let many = ledger.history.records().len();
    ledger.back("db web", Some(4)).unwrap();
    assert_eq!(ledger.history.records().len(), many);
}

/// After one service has gone back, everything goes back to where something was otherwise.
#[test]
fn everything_goes_back_after_a_part_did() {
    let mut ledger = Ledger::default();
    ledger.deploy("db web", "db:1 web:1");
    ledger.deploy("db", "db:2 web:1");
    ledger.deploy("web", "db:2 web:2");
    ledger.back("web", None).unwrap();
    assert_eq!(ledger.runs(), "db:2 web:1");
    ledger.back("", None).unwrap();
    assert_eq!(ledger.runs(), "db:1 web:1");
}

#[test]
fn what_is_not_kept_any_more_is_no_way_back() {
    let mut ledger = Ledger::default();
    ledger.deploy("web", "web:1");
    ledger.deploy("web", "web:2");
    ledger.history.records.remove(0);
    assert_eq!(ledger.history.back(&named(""), None), Err(NoReturn::First(2)));
    assert_eq!(ledger.history.back(&named("web"), None), Err(NoReturn::FirstOf("web".into())));
}

#[test]
fn records_are_read_as_they_were_written() {
    let mut ledger = Ledger::default();
    ledger.deploy("db web", "db:1 web:1");
    ledger.deploy("web", "db:1 web:2");
    ledger.back("", None).unwrap();
    let entry = |record: &Record| Entry { number: record.number, epoch: 7, head: record.document() };
    let mut entries: Vec<_> = ledger.history.records().iter().map(entry).collect();
    entries.reverse();
    assert_eq!(History::read(&entries).unwrap().records(), ledger.history.records());
    entries[0].head.format = 9;
    assert_eq!(History::read(&entries).unwrap_err(), HistoryError::TooNew { number: 3, found: 9 });
    entries[0].head = Document::new(1, "{}");
    assert_eq!(History::read(&entries).unwrap_err(), HistoryError::Damaged(3));
}

/// What version 1 of the form has written.
#[test]
fn the_first_form_is_read() {
    let head = r#"{"at":"2026-11-21T12:00:00Z","by":"ada@laptop","doing":"deploy","before":1,"back_to":null,
        "services":{"web":{"id":"ab","images":["web:2@sha256:cd"],"before":1}}}"#;
    let record = Record::read(&Entry { number: 2, epoch: 1, head: Document::new(1, head) }).unwrap();
    assert_eq!((record.before, record.back_to, record.by.as_str()), (Some(1), None, "ada@laptop"));
    assert_eq!(record.services["web"].part.images, ["web:2@sha256:cd"]);
}

/// What the file does not have any more is not brought back by whoever goes back later.
#[test]
fn a_service_that_is_gone_is_no_part_of_later_releases() {
    let mut ledger = Ledger::default();
    ledger.deploy("cache web", "cache:1 web:1");
    assert!(ledger.deploy("web", "web:1"), "the cache is gone, which is news");
    assert_eq!(ledger.runs(), "web:1");
    ledger.deploy("web", "web:2");
    ledger.back("", None).unwrap();
    assert_eq!(ledger.runs(), "web:1");
    ledger.back("", Some(1)).unwrap();
    assert_eq!(ledger.runs(), "cache:1 web:1", "then it was there");
}
