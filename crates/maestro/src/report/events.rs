//! What happens on ships, a line per event.

use super::logs::Form;
use super::paint::Tone;
use super::printer::{Printer, Stream};
use super::text::clean;
use super::wire;
use maestro_core::boundary::EngineEvent;
use maestro_core::names::ShipName;

/// Writes events of engines.
pub struct EventWriter {
    printer: Printer,
    form: Form,
}

impl EventWriter {
    /// In this form.
    pub fn new(printer: Printer, form: Form) -> Self {
        Self { printer, form }
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
            clean(ship.as_str()),
            clean(name),
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
