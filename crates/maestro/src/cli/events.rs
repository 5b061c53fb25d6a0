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
use tokio::time::sleep;

/// Show what happens to containers, as it happens
///
/// All ships at once, those that are down too as soon as they are back. Ends with Ctrl-C.
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
    for ship in ships {
        if let Some(engine) = engines.get(&ship) {
            tokio::spawn(listen(ship, engine.clone(), since, session.printer.clone(), sender.clone()));
        }
    }
    drop(sender);
    let mut interrupts = interrupts::listen();
    let mut writer = EventWriter::new(session.printer.clone(), args.output);
    loop {
        let (ship, event) = tokio::select! {
            event = received.recv() => match event {
                Some(event) => event,
                None => break,
            },
            Some(()) = interrupts.recv() => break,
        };
        if names.as_ref().is_none_or(|names| is_about(&event, names)) {
            writer.event(&ship, &event);
        }
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
        && event.attributes.get("name").is_some_and(|name| names.contains(name.as_str()))
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

    #[test]
    fn times_and_spans() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(when("2026-01-31T11:00:00Z", now).unwrap().to_string(), "2026-01-31T11:00:00Z");
        assert_eq!(when("10m", now).unwrap().to_string(), "2026-01-31T11:50:00Z");
        assert_eq!(when("1h30m", now).unwrap().to_string(), "2026-01-31T10:30:00Z");
        assert!(when("yesterday", now).is_err());
    }
}
