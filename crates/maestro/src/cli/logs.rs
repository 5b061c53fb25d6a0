//! `maestro logs`: the output of many containers as one.

mod follow;

use super::arguments::{integer, pattern};
use super::interrupts::unless_interrupted;
use super::look::look;
use super::session::Session;
use super::{Fault, Outcome, interrupts};
use crate::observe::Engines;
use crate::report::ErrorReport;
use crate::report::logs::{Form, LogWriter};
use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream, StreamExt};
use maestro_core::boundary::{Engine, LogLine, LogOptions, Needs};
use maestro_core::engine_error::EngineError;
use maestro_core::fleet::{FleetSnapshot, ShipView};
use maestro_core::model::graph::Direction;
use maestro_core::model::{Environment, Instance};
use maestro_core::names::{ContainerId, InstanceName};
use maestro_core::plan::Target;
use maestro_core::select::{SelectionRules, Selector, select};
use std::process::ExitCode;
use std::sync::Arc;

/// Show what containers have written
///
/// Lines of several containers are merged by time and bear their container's name. When following, containers may be
/// restarted or replaced, and ships may come and go: their output goes on where it ended.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Services or instances
    #[arg(value_name = "thing", allow_negative_numbers = true)]
    things: Vec<String>,
    /// Go on with what is written from now on
    #[arg(short = 'F', long)]
    follow: bool,
    /// Only this many last lines of each container; all if negative
    #[arg(short = 'n', value_name = "LINES", allow_negative_numbers = true, value_parser = integer)]
    lines: Option<i64>,
    /// Only instances on ships whose name matches this shell pattern
    #[arg(short = 'S', long, value_name = "PATTERN", allow_negative_numbers = true)]
    ship_filter: Option<String>,
    /// Only instances whose name matches this shell pattern
    #[arg(short = 'C', long, value_name = "PATTERN", allow_negative_numbers = true)]
    container_filter: Option<String>,
    /// Form of the output
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Form,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    if args.things.is_empty() {
        return Err(Fault::Usage("name the services or instances whose output you want to see".to_owned()));
    }
    let environment = session.environment()?;
    let selector = Selector {
        things: args.things.clone(),
        instance_filter: pattern(args.container_filter.as_ref()),
        ship_filter: pattern(args.ship_filter.as_ref()),
        ..Selector::default()
    };
    let rules = SelectionRules { direction: Direction::Requires, includes_omitted: true };
    let names = select(&environment, &selector, rules)?.instances;
    let engines = session.engines(&environment);
    let sources = sources(&environment, &engines, &names);
    let mut writer = LogWriter::new(session.printer.clone(), args.output, &names);
    let mut code = ExitCode::SUCCESS;
    let fleet = look(session, &environment, &engines, &names, Needs::default()).await?;
    // With nothing to follow there is what has been written, as ever: a script goes on, and does not wait for a start.
    if args.follow && sources.iter().any(|source| seen(&fleet, source).is_running()) {
        let tail = args.lines.map_or(Some(0), |lines| u64::try_from(lines).ok());
        let streams = sources.into_iter().map(|source| source.follow(session.printer.clone(), tail).boxed());
        let mut merged = stream::select_all(streams);
        let mut interrupts = interrupts::listen().unheard;
        loop {
            tokio::select! {
                line = merged.next() => match line {
                    Some((name, line)) => writer.line(&name, &line),
                    None => break,
                },
                Some(()) = interrupts.recv() => break,
            }
            if session.printer.is_closed() {
                break;
            }
        }
    } else {
        let options = LogOptions {
            tail: args.lines.and_then(|lines| u64::try_from(lines).ok()),
            ..LogOptions::default()
        };
        let mut heads = Vec::new();
        for source in &sources {
            match seen(&fleet, source) {
                Seen::Container { id, .. } => {
                    let target = Target::Seen { id: id.clone(), name: source.name.clone() };
                    heads.push(Head::new(source, target, &options));
                }
                Seen::Absent => {
                    session.printer.talk(&format!("{} (on {}) is not running!", source.name, source.ship));
                }
                Seen::Down(error) => {
                    ErrorReport::from(error).about(source.name.as_str()).print(&session.printer);
                    code = ExitCode::FAILURE;
                }
            }
        }
        let whole =
            unless_interrupted(async { Ok(merge(session, join_all(heads).await, &mut writer).await) });
        if !whole.await? {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// One instance whose output is wanted.
struct Source {
    name: InstanceName,
    ship: String,
    engine: Arc<dyn Engine>,
}

fn sources(environment: &Environment, engines: &Engines, names: &[InstanceName]) -> Vec<Source> {
    let source = |instance: &Instance| {
        Some(Source {
            name: instance.name.clone(),
            ship: instance.ship.to_string(),
            engine: engines.get(&instance.ship)?.clone(),
        })
    };
    names.iter().filter_map(|name| source(environment.instances.get(name)?)).collect()
}

enum Seen<'a> {
    Container { id: &'a ContainerId, running: bool },
    Absent,
    Down(&'a EngineError),
}

impl Seen<'_> {
    fn is_running(&self) -> bool {
        matches!(self, Seen::Container { running: true, .. })
    }
}

fn seen<'a>(fleet: &'a FleetSnapshot, source: &Source) -> Seen<'a> {
    match fleet.ships.get(source.ship.as_str()) {
        Some(ShipView::Reachable(state)) => match state.containers.get(source.name.as_str()) {
            Some(found) => Seen::Container { id: &found.id, running: found.state.is_running() },
            None => Seen::Absent,
        },
        Some(ShipView::Unreachable(error)) => Seen::Down(error),
        None => Seen::Absent,
    }
}

/// A container's log, and its next line.
struct Head<'a> {
    name: &'a InstanceName,
    lines: BoxStream<'a, Result<LogLine, EngineError>>,
    next: Option<Result<LogLine, EngineError>>,
}

impl<'a> Head<'a> {
    async fn new(source: &'a Source, target: Target, options: &LogOptions) -> Self {
        let engine = source.engine.clone();
        let options = options.clone();
        let mut lines = owned_logs(engine, target, options);
        let next = lines.next().await;
        Self { name: &source.name, lines, next }
    }
}

/// A log that keeps alive what it is read from.
fn owned_logs(
    engine: Arc<dyn Engine>,
    target: Target,
    options: LogOptions,
) -> BoxStream<'static, Result<LogLine, EngineError>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(256);
    tokio::spawn(async move {
        let mut lines = engine.logs(&target, &options);
        while let Some(line) = lines.next().await {
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))).boxed()
}

/// Writes lines in the order of their times. Returns whether all could be read to their end.
async fn merge(session: &Session, mut heads: Vec<Head<'_>>, writer: &mut LogWriter) -> bool {
    let mut whole = true;
    loop {
        let oldest = heads
            .iter()
            .enumerate()
            .filter_map(|(at, head)| Some((at, head.next.as_ref()?)))
            .min_by_key(|(_, next)| next.as_ref().ok().and_then(|line| line.at));
        let Some((at, _)) = oldest else { return whole };
        let head = &mut heads[at];
        match head.next.take() {
            Some(Ok(line)) => {
                writer.line(head.name, &line);
                head.next = head.lines.next().await;
            }
            Some(Err(error)) => {
                ErrorReport::from(&error).about(head.name.as_str()).print(&session.printer);
                whole = false;
            }
            None => {}
        }
        if session.printer.is_closed() {
            return whole;
        }
    }
}
