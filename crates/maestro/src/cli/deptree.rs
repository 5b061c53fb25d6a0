//! `maestro deptree`.

use super::Outcome;
use super::arguments::Printing;
use super::session::Session;
use crate::report::deptree::{Dependencies, print};
use maestro_core::model::graph::Direction;
use maestro_core::names::ServiceName;
use maestro_core::select::{SelectionRules, Selector, select};
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Show what services need
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Services or instances; all services if none is named
    #[arg(value_name = "thing", allow_negative_numbers = true)]
    things: Vec<String>,
    /// Show everything everywhere, also what the same tree has shown already
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    printing: Printing,
}

pub(super) fn run(session: &Session, args: &Args) -> Outcome {
    let environment = session.environment()?;
    let roots: BTreeSet<ServiceName> = if args.things.is_empty() {
        environment
            .services
            .iter()
            .filter(|(_, service)| !service.omit)
            .map(|(name, _)| name.clone())
            .collect()
    } else {
        let rules = SelectionRules { direction: Direction::Requires, includes_omitted: true };
        let mut roots = BTreeSet::new();
        for thing in &args.things {
            // An instance wins over a service of the same name, here as everywhere.
            if let Some(instance) = environment.instances.get(thing.as_str()) {
                roots.insert(instance.service.clone());
            } else if let Some((service, _)) = environment.services.get_key_value(thing.as_str()) {
                roots.insert(service.clone());
            } else {
                let selector = Selector { things: vec![thing.clone()], ..Selector::default() };
                select(&environment, &selector, rules)?;
            }
        }
        roots
    };
    let services = environment.services.iter();
    let needs = services.map(|(name, service)| (name.clone(), service.requires.clone())).collect();
    let dependencies = Dependencies { needs, roots };
    let is_whole = print(&session.printer, &dependencies, args.recursive, args.printing.output);
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
