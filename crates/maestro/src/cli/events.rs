//! `maestro events`: what happens on all ships, as it happens.

use super::session::Session;
use super::{Fault, Outcome, interrupts};
use crate::report::events::EventWriter;
use crate::report::logs::Form;
use crate::report::{ErrorReport, Printer};
use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use maestro_core::boundary::{Engine, EngineEvent};
use maestro_core::engine_error::EngineError;
use maestro_core::model::Environment;
use maestro_core::model::graph::Direction;
use maestro_core::names::{InstanceName, ShipName};
use maestro_core::select::{SelectionRules, Selector, select};
use std::collections::{BTreeSet, VecDeque};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// Show what happens to containers, as it happens
///
/// All ships at once, those that are down too as soon as they are back. Programs that are run in containers, such as
/// health checks, are left out unless everything is asked for. Ends with Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Services or instances; all of the environment if none is named
    #[arg(value_name = "thing")]
    things: Vec<String>,
    /// Everything that happens on the ships, whoever's it is
    #[arg(short, long, conflicts_with = "things")]
    all: bool,
    /// Also what has happened since: a time such as 2026-01-31T12:00:00Z, or a span such as 10m
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Form of the output
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Form,
}

/// How long to wait before a ship is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// How much further back a ship is asked that was away: its clock may be a little behind ours, and events may overtake
/// each other.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);
/// How long the past is collected, how long a silence ends it, and how much of it is put in order.
const PAST: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(500);
const MOST_PAST: usize = 100_000;

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let began = Timestamp::now();
    let since = args.since.as_deref().map(|text| when(text, began)).transpose()?;
    let environment = session.environment()?;
    let names = wanted(&environment, &args)?;
    let ships: BTreeSet<ShipName> = match &names {
        Some(names) => {
            names.iter().filter_map(|name| environment.instances.get(name)).map(|i| i.ship.clone()).collect()
        }
        None => environment.ships.keys().cloned().collect(),
    };
    let engines = session.engines(&environment);
    let (sender, mut received) = mpsc::channel(256);
    for ship in &ships {
        if let Some(engine) = engines.get(ship) {
            tokio::spawn(listen(
                ship.clone(),
                engine.clone(),
                Place::new(since, began),
                session.printer.clone(),
                sender.clone(),
            ));
        }
    }
    drop(sender);
    let mut interrupts = interrupts::listen().unheard;
    let known = names
        .as_ref()
        .map_or_else(|| environment.instances.keys().collect::<Vec<_>>(), |names| names.iter().collect());
    let mut writer = EventWriter::new(session.printer.clone(), args.output, &ships, &known);
    let mut show = |ship: &ShipName, event: &EngineEvent| {
        if names.as_ref().is_none_or(|names| is_about(event, names)) {
            writer.event(ship, event);
        }
    };
    if since.is_some() {
        for (ship, event) in past(&mut received, &mut interrupts).await {
            show(&ship, &event);
        }
    }
    loop {
        let (ship, event) = tokio::select! {
            event = received.recv() => match event {
                Some(event) => event,
                None => break,
            },
            Some(()) = interrupts.recv() => break,
        };
        show(&ship, &event);
        if session.printer.is_closed() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(environment: &Environment, args: &Args) -> Result<Option<BTreeSet<InstanceName>>, Fault> {
    if args.all {
        return Ok(None);
    }
    let selector = Selector { things: args.things.clone(), ignore_dependencies: true, ..Selector::default() };
    let rules = SelectionRules { direction: Direction::Requires, includes_omitted: true };
    Ok(Some(select(environment, &selector, rules)?.instances.into_iter().collect()))
}

fn is_about(event: &EngineEvent, names: &BTreeSet<InstanceName>) -> bool {
    event.kind == "container"
        && !event.action.starts_with("exec_")
        && event.attributes.get("name").is_some_and(|name| names.contains(name.as_str()))
}

/// What has happened already, in the order of its times: every ship tells its past in one go. What comes too late is
/// shown when it comes.
async fn past(
    received: &mut mpsc::Receiver<(ShipName, EngineEvent)>,
    interrupts: &mut mpsc::UnboundedReceiver<()>,
) -> Vec<(ShipName, EngineEvent)> {
    let mut past = Vec::new();
    let end = Instant::now() + PAST;
    // An interrupt is left for the caller; there is no hurry.
    while past.len() < MOST_PAST && interrupts.is_empty() {
        let pause = (Instant::now() + PAUSE).min(end);
        match timeout_at(pause, received.recv()).await {
            Ok(Some(event)) => past.push(event),
            Ok(None) | Err(_) => break,
        }
    }
    past.sort_by_key(|(_, event)| event.at);
    past
}

/// Passes a ship's events on, and finds it again when it was away.
async fn listen(
    ship: ShipName,
    engine: Arc<dyn Engine>,
    mut place: Place,
    printer: Printer,
    sender: mpsc::Sender<(ShipName, EngineEvent)>,
) {
    let mut away = false;
    let complain = |away: &mut bool, error: &EngineError| {
        if !std::mem::replace(away, true) {
            ErrorReport::from(error).warning().print(&printer);
        }
    };
    loop {
        match engine.events(place.since()).await {
            Ok(mut events) => {
                away = false;
                while let Some(event) = events.next().await {
                    match event {
                        Ok(event) if place.is_new(&event) => {
                            if sender.send((ship.clone(), event)).await.is_err() {
                                return;
                            }
                        }
                        Ok(_) => {}
                        Err(error) => {
                            complain(&mut away, &error);
                            break;
                        }
                    }
                }
            }
            Err(error) => complain(&mut away, &error),
        }
        sleep(TRY_AGAIN).await;
    }
}

/// How far a ship's events have been shown.
struct Place {
    /// Since when the past is wanted, too.
    asked: Option<Timestamp>,
    /// When listening began, by our clock: until the first event there is no other.
    began: Timestamp,
    tried: bool,
    /// When the first event happened that was shown, and the last one so far, by the ship's clock.
    seen: Option<(Timestamp, Timestamp)>,
    /// What was shown and may be told again.
    shown: VecDeque<EngineEvent>,
}

impl Place {
    /// At the beginning.
    fn new(asked: Option<Timestamp>, began: Timestamp) -> Self {
        Self { asked, began, tried: false, seen: None, shown: VecDeque::new() }
    }

    /// Since when to ask this time. Asking without a time loses what happens before the engine listens; so that is for
    /// the first time only.
    fn since(&mut self) -> Option<Timestamp> {
        let again = std::mem::replace(&mut self.tried, true);
        match self.seen {
            Some((first, last)) => Some(earlier(last).max(first)),
            None => self.asked.or_else(|| again.then(|| earlier(self.began))),
        }
    }

    /// Whether this event has not been shown yet. It counts as shown from now on.
    fn is_new(&mut self, event: &EngineEvent) -> bool {
        if self.shown.contains(event) {
            return false;
        }
        let (first, last) =
            self.seen.map_or((event.at, event.at), |(first, last)| (first, last.max(event.at)));
        self.seen = Some((first, last));
        self.shown.push_back(event.clone());
        self.shown.retain(|shown| shown.at >= earlier(last));
        true
    }
}

fn earlier(at: Timestamp) -> Timestamp {
    at.saturating_sub(MARGIN).unwrap_or(Timestamp::MIN)
}

/// A time, or how long ago.
fn when(text: &str, now: Timestamp) -> Result<Timestamp, Fault> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let span = text.parse::<SignedDuration>().ok();
    span.and_then(|span| now.checked_sub(span.abs()).ok()).ok_or_else(|| {
        Fault::Usage(format!(
            "`{text}` is neither a time such as 2026-01-31T12:00:00Z nor a span such as 10m"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Capabilities;
    use maestro_testkit::daemon::Setup;
    use maestro_testkit::fake_engine::FakeEngine;
    use maestro_testkit::faults::{Faults, Operation};
    use maestro_testkit::state::{Behaviour, Content, CreateConfig};
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn the_past_of_several_ships_is_one() {
        let event = |at: &str| EngineEvent {
            at: at.parse().unwrap(),
            kind: "container".into(),
            action: "start".into(),
            id: "x".into(),
            attributes: std::collections::BTreeMap::new(),
        };
        let (sender, mut received) = mpsc::channel(8);
        for (ship, at) in
            [("a", "2026-01-31T12:00:01Z"), ("a", "2026-01-31T12:00:03Z"), ("b", "2026-01-31T12:00:02Z")]
        {
            sender.send((ship.into(), event(at))).await.unwrap();
        }
        let (_interrupt, mut interrupts) = mpsc::unbounded_channel();
        let order: Vec<String> =
            past(&mut received, &mut interrupts).await.iter().map(|(ship, _)| ship.to_string()).collect();
        assert_eq!(order, ["a", "b", "a"]);
        // A ship that never stops talking does not keep the others waiting.
        let endless = tokio::spawn(async move {
            while sender.send(("c".into(), event("2026-01-31T12:00:04Z"))).await.is_ok() {
                sleep(PAUSE / 2).await;
            }
        });
        let began = Instant::now();
        assert!(!past(&mut received, &mut interrupts).await.is_empty());
        assert!(began.elapsed() <= PAST, "{:?}", began.elapsed());
        endless.abort();
    }

    /// What happens while a ship is away is shown when it is back, also if nothing was shown before, and once.
    #[tokio::test(start_paused = true)]
    async fn what_happens_in_a_pause_is_not_lost() {
        let content = Content::new("db", Behaviour::forever());
        let engine: FakeEngine = Setup::new("a").image("db:1", &content).into();
        let create = |name: &str| {
            let config = CreateConfig { image: "db:1".into(), ..CreateConfig::default() };
            engine.meddle(|machine, now| machine.create(name, config, now)).unwrap();
        };
        create("long-ago");
        sleep(Duration::from_mins(1)).await;
        let (printer, captured) = Printer::captured(Capabilities::plain(200));
        let (sender, mut received) = mpsc::channel(8);
        let place = Place::new(None, engine.now());
        let listening = tokio::spawn(listen("a".into(), engine.boxed(), place, printer, sender));
        let opened = |times| {
            let engine = engine.clone();
            let so = async move {
                while engine.calls().get(&Operation::Events).is_none_or(|count| *count < times) {
                    sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(Duration::from_mins(1), so)
        };
        opened(1).await.unwrap();
        for (name, times) in [("first", 1), ("second", 2), ("third", 3)] {
            sleep(Duration::from_mins(1)).await;
            engine.set_faults(Faults::unreachable());
            sleep(TRY_AGAIN * 3).await;
            assert_eq!(captured.stderr().matches("WARNING").count(), times, "{}", captured.stderr());
            create(name);
            engine.set_faults(Faults::none());
            let (_, event) = timeout(TRY_AGAIN * 2, received.recv()).await.unwrap().unwrap();
            assert_eq!(event.attributes["name"], name);
        }
        listening.abort();
    }

    /// The warning is about the ship's being away and not about its silence.
    #[tokio::test(start_paused = true)]
    async fn a_silent_ship_is_missed_again() {
        let engine = FakeEngine::new("a");
        let (printer, captured) = Printer::captured(Capabilities::plain(200));
        let (sender, _received) = mpsc::channel(8);
        let place = Place::new(None, engine.now());
        let listening = tokio::spawn(listen("a".into(), engine.boxed(), place, printer, sender));
        for times in 1..=3 {
            sleep(TRY_AGAIN * 3).await;
            engine.set_faults(Faults::unreachable());
            sleep(TRY_AGAIN * 3).await;
            assert_eq!(captured.stderr().matches("WARNING").count(), times, "{}", captured.stderr());
            engine.set_faults(Faults::none());
        }
        listening.abort();
    }

    #[test]
    fn only_what_happens_to_the_containers_is_of_interest() {
        let names = BTreeSet::from([InstanceName::from("web-1")]);
        for (kind, action, name, expected) in [
            ("container", "start", "web-1", true),
            ("container", "health_status: healthy", "web-1", true),
            ("container", "exec_start: true", "web-1", false),
            ("container", "exec_die", "web-1", false),
            ("container", "start", "web-2", false),
            ("network", "connect", "web-1", false),
        ] {
            let event = EngineEvent {
                at: Timestamp::UNIX_EPOCH,
                kind: kind.into(),
                action: action.into(),
                id: "x".into(),
                attributes: std::collections::BTreeMap::from([("name".into(), name.into())]),
            };
            assert_eq!(is_about(&event, &names), expected, "{event:?}");
        }
    }

    #[test]
    fn a_place_asks_for_a_little_too_much_and_shows_nothing_twice() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let event = |time: &str, id: &str| EngineEvent {
            at: at(time),
            kind: "container".into(),
            action: "start".into(),
            id: id.into(),
            attributes: std::collections::BTreeMap::new(),
        };
        let began = at("2026-01-31T12:00:00Z");
        let mut place = Place::new(None, began);
        assert_eq!([place.since(), place.since()], [None, Some(at("2026-01-31T11:59:59Z"))]);
        // Nothing from before the first that was shown, whatever the ship's clock says.
        assert!(place.is_new(&event("2026-01-31T11:00:00Z", "a")));
        assert_eq!(place.since(), Some(at("2026-01-31T11:00:00Z")));
        assert!(place.is_new(&event("2026-01-31T11:00:05Z", "b")));
        // One that was overtaken.
        assert!(place.is_new(&event("2026-01-31T11:00:04.9Z", "c")));
        assert_eq!(place.since(), Some(at("2026-01-31T11:00:04Z")));
        assert!(!place.is_new(&event("2026-01-31T11:00:04.9Z", "c")));
        assert!(!place.is_new(&event("2026-01-31T11:00:05Z", "b")));
        assert!(place.is_new(&event("2026-01-31T11:00:05Z", "d")));
        assert_eq!(place.shown.len(), 3);
        let asked = at("2026-01-31T10:00:00Z");
        let mut place = Place::new(Some(asked), began);
        assert_eq!([place.since(), place.since()], [Some(asked); 2]);
    }

    #[test]
    fn times_and_spans() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(when("2026-01-31T11:00:00Z", now).unwrap().to_string(), "2026-01-31T11:00:00Z");
        assert_eq!(when("10m", now).unwrap().to_string(), "2026-01-31T11:50:00Z");
        assert_eq!(when("1h30m", now).unwrap().to_string(), "2026-01-31T10:30:00Z");
        assert!(when("yesterday", now).is_err());
    }
}
