//! `maestro dump`: what the file means, as data.

use super::Outcome;
use super::session::Session;
use crate::report::status::Output;
use crate::report::wire;
use maestro_core::model::SpecWriter;
use maestro_core::model::graph::Direction;
use maestro_core::select::{SelectionRules, Selector, select};
use std::process::ExitCode;

/// Show what the file means for each instance
///
/// JSON on standard error, as maestro-ng's did, or on standard output in the form that --output asks for. Connects to
/// nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Services or instances; all services if none is named
    #[arg(value_name = "thing")]
    things: Vec<String>,
    /// The loaded file first
    #[arg(short, long)]
    config: bool,
    /// Form of the output; a table is JSON on standard error
    #[arg(long, value_name = "FORM", default_value = "table")]
    output: Output,
}

pub(super) fn run(session: &Session, args: &Args) -> Outcome {
    let (environment, tree) = session.environment_and_text()?;
    let selector = Selector { things: args.things.clone(), with_dependencies: true, ..Selector::default() };
    let rules = SelectionRules { direction: Direction::Requires, includes_omitted: false };
    let selection = select(&environment, &selector, rules)?;
    let config = tree.filter(|_| args.config).map(|tree| maestro_core::config::json(&tree));
    let mut writer = SpecWriter::new(&environment);
    let instances = selection.instances.iter().filter_map(|name| {
        let instance = environment.instances.get(name)?;
        let (spec, hash) = writer.spec(instance);
        Some(wire::InstanceDump::new(&environment, instance, &spec, &hash))
    });
    let printer = &session.printer;
    match args.output {
        // One at a time: the variables of a thousand instances that know each other are a lot of text.
        Output::Table => {
            if let Some(config) = &config {
                printer.talk(&wire::document(config));
            }
            instances.for_each(|instance| printer.talk(&wire::document(&instance)));
        }
        Output::Jsonl => {
            if let Some(config) = &config {
                printer.data(&wire::line(config));
            }
            instances.for_each(|instance| printer.data(&wire::line(&instance)));
        }
        Output::Name => selection.instances.iter().for_each(|name| printer.data(&format!("{name}\n"))),
        output @ (Output::Json | Output::Yaml) => {
            let instances: Vec<_> = instances.collect();
            printer.data(&match config {
                Some(config) => wire::one(output, &wire::Dump { config, instances }),
                None => wire::list(output, &instances),
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}
