//! What happens on ships, a line per event.

use super::logs::Form;
use super::paint::Tone;
use super::printer::{Printer, Stream};
use super::text::{clean, pad, width};
use super::wire;
use maestro_core::boundary::EngineEvent;
use maestro_core::names::{InstanceName, ShipName};

/// Names that are longer push what follows to the right.
const MOST_CELLS: usize = 30;

/// Writes events of engines.
pub struct EventWriter {
    printer: Printer,
    form: Form,
    /// Cells of the columns of ships and names.
    ship: usize,
    name: usize,
}

impl EventWriter {
    /// In this form, for events of these ships and mostly about these instances.
    pub fn new<'a>(
        printer: Printer,
        form: Form,
        ships: impl IntoIterator<Item = &'a ShipName>,
        names: &[&InstanceName],
    ) -> Self {
        let ship = ships.into_iter().map(|ship| width(ship.as_str())).max().unwrap_or(0).min(MOST_CELLS);
        let name = names.iter().map(|name| width(name.as_str())).max().unwrap_or(0).min(MOST_CELLS);
        Self { printer, form, ship, name }
    }

    /// Writes one event.
    pub fn event(&mut self, ship: &ShipName, event: &EngineEvent) {
        match self.form {
            Form::Text => self.printer.data(&self.text(ship, event)),
            Form::Jsonl => self.printer.data(&wire::line(&wire::EventEntry {
                at: event.at.to_string(),
                ship: ship.to_string(),
                kind: event.kind.clone(),
                action: event.action.clone(),
                id: event.id.clone(),
                attributes: event.attributes.clone(),
            })),
        }
    }

    fn text(&self, ship: &ShipName, event: &EngineEvent) -> String {
        let paint = self.printer.paint(Stream::Out);
        let tone = match event.action.as_str() {
            "start" | "health_status: healthy" => Tone::Good,
            "die" | "kill" | "oom" | "health_status: unhealthy" => Tone::Bad,
            _ => Tone::Calm,
        };
        let name = event.attributes.get("name").unwrap_or(&event.id);
        let mut line = format!(
            "{:.3} {} {} {}",
            event.at,
            pad(&clean(ship.as_str()), self.ship),
            pad(&clean(name), self.name),
            paint.tone(tone, &clean(&event.action)),
        );
        if let Some(code) = event.attributes.get("exitCode") {
            line = line + " (exit code " + &clean(code) + ")";
        } else if event.kind != "container" {
            line = line + " (" + &clean(&event.kind) + ")";
        }
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Capabilities;

    #[test]
    fn lines_are_aligned() {
        let (printer, captured) = Printer::captured(Capabilities::plain(80));
        let ships: [ShipName; 2] = ["atlantic".into(), "東京".into()];
        let names: [InstanceName; 2] = ["web-10".into(), "db".into()];
        let mut writer = EventWriter::new(printer, Form::Text, &ships, &names.each_ref());
        for (ship, name, action, code) in [
            ("atlantic", "web-10", "start", None),
            ("東京", "db", "die", Some("137")),
            ("atlantic", "somebody-elses", "\x1b[2Jx", None),
        ] {
            let attributes = [("name", Some(name)), ("exitCode", code)];
            let attributes = attributes.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned())));
            writer.event(
                &ship.into(),
                &EngineEvent {
                    at: "2026-11-21T12:00:00.1234Z".parse().unwrap(),
                    kind: "container".into(),
                    action: action.into(),
                    id: "0123".into(),
                    attributes: attributes.collect(),
                },
            );
        }
        insta::assert_snapshot!(captured.stdout(), @"
        2026-11-21T12:00:00.123Z atlantic web-10 start
        2026-11-21T12:00:00.123Z 東京     db     die (exit code 137)
        2026-11-21T12:00:00.123Z atlantic somebody-elses ␛[2Jx
        ");
    }
}
