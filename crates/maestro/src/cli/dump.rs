//! `maestro dump`: what the file means, as data.

use super::Outcome;
use super::session::Session;
use crate::report::status::Output;
use crate::report::wire;
use maestro_core::model::SpecWriter;
use maestro_core::model::graph::Direction;
use maestro_core::select::{SelectionRules, Selector, select};
use serde_json::{Map, Value};
use std::process::ExitCode;

/// Show what the file means for each instance
///
/// JSON on standard error, as maestro-ng's did, or on standard output in the form that --output asks for. Connects to
/// nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Services or instances; all services if none is named
    #[arg(value_name = "thing", allow_negative_numbers = true)]
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
    let config = tree.filter(|_| args.config).map(|tree| {
        let mut config = maestro_core::config::json(&tree);
        add_base_directory(&mut config, session.base_directory());
        config
    });
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

/// maestro-ng notes in the file that it has loaded where that was, over what the file says.
fn add_base_directory(config: &mut Value, directory: String) {
    let Some(config) = config.as_object_mut() else { return };
    let header = config.entry("__maestro").or_insert(Value::Null);
    if header.is_null() {
        *header = Value::Object(Map::new());
    }
    if let Some(header) = header.as_object_mut() {
        header.insert("base_dir".to_owned(), directory.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_directory_is_in_the_header() {
        for (config, expected) in [
            (r#"{"name":"t"}"#, r#"{"name":"t","__maestro":{"base_dir":"d"}}"#),
            (r#"{"__maestro":null}"#, r#"{"__maestro":{"base_dir":"d"}}"#),
            (r#"{"__maestro":{"base_dir":"x","schema":2}}"#, r#"{"__maestro":{"base_dir":"d","schema":2}}"#),
        ] {
            let mut config: Value = serde_json::from_str(config).unwrap();
            add_base_directory(&mut config, "d".to_owned());
            assert_eq!(config.to_string(), expected);
        }
    }
}
