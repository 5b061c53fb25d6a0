//! `maestro dump`: what the file means, as data.

use super::session::Session;
use super::{Fault, Outcome};
use crate::report::wire;
use maestro_core::model::SpecWriter;
use maestro_core::model::graph::Direction;
use maestro_core::select::{SelectionRules, Selector, select};
use std::process::ExitCode;

/// Show what the file means for each instance, as JSON on standard error
///
/// Connects to nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Services or instances; all services if none is named
    #[arg(value_name = "thing")]
    things: Vec<String>,
    /// The loaded file first
    #[arg(short, long)]
    config: bool,
}

pub(super) fn run(session: &Session, args: &Args) -> Outcome {
    let environment = session.environment()?;
    let selector = Selector { things: args.things.clone(), with_dependencies: true, ..Selector::default() };
    let rules = SelectionRules { direction: Direction::Requires, includes_omitted: false };
    let selection = select(&environment, &selector, rules)?;
    if args.config {
        let tree = session.read().tree.ok_or(Fault::Environment)?;
        session.printer.talk(&wire::document(&maestro_core::config::json(&tree)));
    }
    let mut writer = SpecWriter::new(&environment);
    for name in &selection.instances {
        let Some(instance) = environment.instances.get(name) else { continue };
        let (spec, hash) = writer.spec(instance);
        session.printer.talk(&wire::document(&wire::InstanceDump::new(&environment, instance, &spec, &hash)));
    }
    Ok(ExitCode::SUCCESS)
}
