//! `maestro events`: what happens on all ships, as it happens.

use super::session::Session;
use super::{Fault, Outcome, interrupts};
use crate::report::events::EventWriter;
use crate::report::logs::Form;
use crate::report::{ErrorReport, Printer};
use futures_util::StreamExt;
use jiff::Timestamp;
use maestro_core::boundary::{Engine, EngineEvent};
use maestro_core::model::Environment;
use maestro_core::model::graph::Direction;
use maestro_core::names::{InstanceName, ShipName};
use maestro_core::select::{SelectionRules, Selector, select};
use std::collections::BTreeSet;
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
/// How long the past is collected, how long a silence ends it, and how much of it is put in order.
const PAST: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(500);
const MOST_PAST: usize = 100_000;

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let since = args.since.as_deref().map(|text| when(text, Timestamp::now())).transpose()?;
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
                since,
                session.printer.clone(),
                sender.clone(),
            ));
        }
    }
    drop(sender);
    let mut interrupts = interrupts::listen();
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
    mut since: Option<Timestamp>,
    printer: Printer,
    sender: mpsc::Sender<(ShipName, EngineEvent)>,
) {
    let mut away = false;
    loop {
        let mut events = engine.events(since);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    away = false;
                    since = event.at.checked_add(jiff::SignedDuration::from_nanos(1)).ok();
                    if sender.send((ship.clone(), event)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    if !away {
                        away = true;
                        ErrorReport::from(&error).warning().print(&printer);
                    }
                    break;
                }
            }
        }
        sleep(TRY_AGAIN).await;
    }
}

/// A time, or how long ago.
fn when(text: &str, now: Timestamp) -> Result<Timestamp, Fault> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let span = text.parse::<jiff::SignedDuration>().ok();
    span.and_then(|span| now.checked_sub(span.abs()).ok()).ok_or_else(|| {
        Fault::Usage(format!(
            "`{text}` is neither a time such as 2026-01-31T12:00:00Z nor a span such as 10m"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn times_and_spans() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(when("2026-01-31T11:00:00Z", now).unwrap().to_string(), "2026-01-31T11:00:00Z");
        assert_eq!(when("10m", now).unwrap().to_string(), "2026-01-31T11:50:00Z");
        assert_eq!(when("1h30m", now).unwrap().to_string(), "2026-01-31T10:30:00Z");
        assert!(when("yesterday", now).is_err());
    }
}
