//! `status`, shown: maestro-ng's table, its full form, or data.

use super::grid::{Grid, Widest};
use super::paint::{Paint, Tone};
use super::printer::{Printer, Stream};
use super::rows::health;
use super::signs::Signs;
use super::table::{Columns, push_cell, push_result};
use super::text::{clean, right};
use super::{ErrorReport, wire};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::fleet::ContainerState;
use maestro_core::image::ImageRef;
use maestro_core::names::ShipName;
use maestro_core::status::{Found, PortStatus, Sighting, StatusRow};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The form of what a reading command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// For people to read
    #[default]
    #[value(alias = "text")]
    Table,
    /// One JSON document
    Json,
    /// A JSON object per line
    Jsonl,
    /// One YAML document
    Yaml,
    /// Names, one per line
    Name,
}

/// How the table looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Addresses of ships instead of their names.
    pub hosts: bool,
    /// With images and ports.
    pub full: bool,
}

/// Prints rows in the form asked for. Ships that could not be seen are explained on standard error, each once.
pub fn print(printer: &Printer, rows: &[StatusRow], output: Output, look: Look) {
    match output {
        Output::Table => {
            let (capabilities, paint) = (printer.capabilities(), printer.paint(Stream::Out));
            let columns = capabilities.columns;
            printer.data(&if capabilities.out_is_tty {
                fitted_table(rows, look, columns, Signs { paint, unicode: capabilities.unicode })
            } else {
                table(rows, look, columns, paint)
            });
        }
        Output::Json | Output::Jsonl | Output::Yaml => {
            let entries: Vec<_> = rows.iter().map(wire::StatusEntry::from).collect();
            printer.data(&wire::list(output, &entries));
        }
        Output::Name => {
            let names: Vec<&str> = rows.iter().map(|row| row.instance.as_str()).collect();
            printer.data(&names.iter().fold(String::new(), |text, name| text + name + "\n"));
        }
    }
    for (_, error) in ships_down(rows) {
        ErrorReport::from(error).warning().print(printer);
    }
}

fn ships_down(rows: &[StatusRow]) -> BTreeMap<&ShipName, &EngineError> {
    let down = rows.iter().filter_map(|row| match &row.found {
        Found::HostDown(error) => Some((&row.ship, error)),
        Found::Container(_) | Found::Absent | Found::Unknown => None,
    });
    down.collect()
}

/// The table on a terminal: as wide as its contents need, so that a narrow one shows more of it.
fn fitted_table(rows: &[StatusRow], look: Look, columns: usize, signs: Signs) -> String {
    let cells: Vec<String> = rows.iter().map(|row| cell(&row.found, &row.image)).collect();
    let mut widest = Widest::default();
    for (row, cell) in rows.iter().zip(&cells) {
        widest.add(row.instance.as_str(), row.service.as_str(), ship(row, look), cell);
    }
    let grid = Grid::new(widest, columns, signs);
    let mut text = grid.header("STATUS") + "\n";
    for (at, (row, cell)) in rows.iter().zip(&cells).enumerate() {
        let names = [row.instance.as_str(), row.service.as_str(), ship(row, look), cell];
        text.push_str(&grid.row(at + 1, names, false).open());
        push_status(&mut text, &row.found, signs.paint);
        text.push('\n');
        if look.full {
            push_details(&mut text, row, signs.paint);
        }
    }
    text
}

fn ship(row: &StatusRow, look: Look) -> &str {
    if look.hosts { &row.address } else { row.ship.as_str() }
}

/// maestro-ng's table as text, for pipes.
pub(super) fn table(rows: &[StatusRow], look: Look, columns: usize, paint: Paint) -> String {
    let columns = Columns::of(columns);
    let mut text = columns.header();
    text.push('\n');
    for (at, row) in rows.iter().enumerate() {
        let (instance, service) = (row.instance.as_str(), row.service.as_str());
        text.push_str(&columns.prefix(at + 1, instance, service, ship(row, look), paint));
        let tone = match &row.found {
            Found::Container(seen) if seen.state.is_running() => Tone::Good,
            Found::Container(_) | Found::Absent | Found::HostDown(_) | Found::Unknown => Tone::Plain,
        };
        push_cell(&mut text, tone, &cell(&row.found, &row.image), paint);
        text.push(' ');
        push_status(&mut text, &row.found, paint);
        text.push('\n');
        if look.full {
            push_details(&mut text, row, paint);
        }
    }
    text
}

/// The CONTAINER column: tag and id.
fn cell(found: &Found, image: &ImageRef) -> String {
    match found {
        Found::Container(seen) => format!("{}:{}", seen.image.tag(), seen.id.short()),
        Found::Absent => format!("{}:-", image.tag()),
        Found::HostDown(_) | Found::Unknown => "-".to_owned(),
    }
}

fn push_status(line: &mut String, found: &Found, paint: Paint) {
    match found {
        Found::Container(seen) => {
            let since = seen.since.as_ref().map_or_else(String::new, |since| format!(" for {since}"));
            let (tone, word) =
                if seen.state.is_running() { (Tone::Good, "running") } else { (Tone::Bad, "down") };
            paint.push(line, tone, &format!("{word}{since}"));
            for remark in remarks(seen) {
                paint.push(line, Tone::Warn, &format!(" ({remark})"));
            }
        }
        Found::Absent => paint.push(line, Tone::Bad, "down"),
        Found::HostDown(error) => {
            push_result(line, Tone::Bad, "host down", paint);
            if let Some(remark) = remark_on_ship(&error.kind) {
                paint.push(line, Tone::Warn, &format!("({remark})"));
            }
        }
        Found::Unknown => push_result(line, Tone::Warn, "unknown", paint),
    }
}

/// Where `host down` is not the whole truth.
fn remark_on_ship(kind: &EngineErrorKind) -> Option<&'static str> {
    Some(match kind {
        EngineErrorKind::Unresponsive { .. } => "no answer",
        EngineErrorKind::Tls { .. } => "TLS failed",
        EngineErrorKind::Ssh { .. } => "ssh failed",
        EngineErrorKind::Settings(_) => "not tried",
        EngineErrorKind::ApiVersion { .. } => "no common API version",
        EngineErrorKind::Lost(_) => "connection lost",
        EngineErrorKind::Unreachable { .. } => return None,
        _ => "error",
    })
}

/// What maestro-ng does not say, behind what it says, so that old scripts still find their words.
fn remarks(seen: &Sighting) -> Vec<String> {
    let mut remarks = Vec::new();
    match seen.state {
        ContainerState::Running | ContainerState::Exited => {}
        other => remarks.push(other.name().to_owned()),
    }
    if seen.state.is_running() {
        let health = health(seen.health).trim().trim_start_matches('(').trim_end_matches(')');
        if !health.is_empty() {
            remarks.push(health.to_owned());
        }
    }
    match seen.exit_code {
        Some(code) if code != 0 => remarks.push(format!("exit {code}")),
        _ => {}
    }
    match seen.restarts {
        Some(1) => remarks.push("restarted once".to_owned()),
        Some(times @ 2..) => remarks.push(format!("restarted {times} times")),
        _ => {}
    }
    if seen.foreign.is_some() {
        remarks.push("not ours".to_owned());
    }
    remarks
}

fn push_details(text: &mut String, row: &StatusRow, paint: Paint) {
    text.push_str("      ");
    text.push_str(&clean(row.image.as_str()));
    if let Found::Container(seen) = &row.found {
        let id = seen.image_id.as_str();
        let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
        // Writing to a String does not fail.
        _ = write!(text, "  ({})", clean(hex.get(..7).unwrap_or(hex)));
        if let Some(whose) = &seen.foreign {
            text.push_str("\n      ");
            paint.push(text, Tone::Warn, &format!("not ours: {}", clean(whose)));
        }
    }
    text.push('\n');
    for PortStatus { name, external, answers, .. } in &row.ports {
        let name = super::text::fit(&right(&clean(name), 15), 15);
        _ = write!(text, "     >> {name}: {} is ", right(&clean(external), 9));
        match answers {
            Some(true) => paint.push(text, Tone::Good, "up"),
            Some(false) => paint.push(text, Tone::Bad, "down"),
            None => text.push('-'),
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Capabilities;
    use crate::report::testing::framed;
    use maestro_core::engine_error::EngineErrorKind;
    use maestro_core::fleet::Health;
    use maestro_core::image::ImageRef;
    use maestro_core::model::Protocol;

    fn row(instance: &str, ship: &str, found: Found) -> StatusRow {
        let port = |name: &str, external: &str, protocol, target, answers| PortStatus {
            name: name.into(),
            external: external.into(),
            protocol,
            target,
            answers,
        };
        StatusRow {
            instance: instance.into(),
            service: "web".into(),
            ship: ship.into(),
            address: "192.0.2.11".into(),
            image: ImageRef::parse("registry.example.com/shop/web:2.1"),
            found,
            ports: vec![
                port("http", "8080", Protocol::Tcp, Some(8080), Some(true)),
                port("administration-of-it", "21900-21950", Protocol::Tcp, None, None),
                port("metrics", "9100", Protocol::Tcp, Some(9100), Some(false)),
            ],
        }
    }

    fn seen() -> Sighting {
        Sighting {
            id: "0123456789abcdef".into(),
            image: ImageRef::parse("registry.example.com/shop/web:2.0"),
            image_id: "sha256:feedbeefcafe".into(),
            state: ContainerState::Running,
            health: Some(Health::Healthy),
            started_at: Some("2026-11-21T11:00:00Z".parse().unwrap()),
            finished_at: None,
            since: Some("1h0m".into()),
            exit_code: None,
            restarts: Some(0),
            config: None,
            foreign: None,
        }
    }

    fn world() -> Vec<StatusRow> {
        let sighting = |change: &dyn Fn(&mut Sighting)| {
            let mut seen = seen();
            change(&mut seen);
            Found::Container(Box::new(seen))
        };
        vec![
            row("web-1", "atlantic", sighting(&|_| {})),
            row(
                "web-2",
                "pacific",
                sighting(&|s| (s.health, s.restarts) = (Some(Health::Unhealthy), Some(3))),
            ),
            row(
                "web-3",
                "pacific",
                sighting(&|s| {
                    (s.state, s.exit_code, s.since) =
                        (ContainerState::Exited, Some(137), Some("3m7s".into()));
                }),
            ),
            row("web-4", "pacific", Found::Absent),
            row(
                "東京-5",
                "indian",
                Found::HostDown(EngineError {
                    ship: "indian".into(),
                    operation: "listing containers".into(),
                    kind: EngineErrorKind::Unreachable {
                        address: "tcp://192.0.2.13:2375".into(),
                        cause: "connection refused".into(),
                    },
                    ambiguous: false,
                }),
            ),
            row(
                "web-6",
                "pacific",
                sighting(&|s| s.foreign = Some("it is `web-6` of the environment `x`".into())),
            ),
        ]
    }

    fn shown(output: Output, look: Look, columns: usize) -> (String, String) {
        let (printer, captured) = Printer::captured(Capabilities::plain(columns));
        print(&printer, &world(), output, look);
        (captured.stdout(), captured.stderr())
    }

    #[test]
    fn the_table_is_maestro_ngs() {
        let (out, err) = shown(Output::Table, Look::default(), 120);
        insta::assert_snapshot!(framed(&out), @r"
        |  #  INSTANCE             SERVICE              SHIP                 CONTAINER                  STATUS    |
        |  1. web-1                web                  atlantic             2.0:0123456                running for 1h0m|
        |  2. web-2                web                  pacific              2.0:0123456                running for 1h0m (unhealthy) (restarted 3 times)|
        |  3. web-3                web                  pacific              2.0:0123456                down for 3m7s (exit 137)|
        |  4. web-4                web                  pacific              2.1:-                      down|
        |  5. 東京-5               web                  indian               -                          host down |
        |  6. web-6                web                  pacific              2.0:0123456                running for 1h0m (not ours)|
        ");
        insta::assert_snapshot!(err, @r"
        WARNING: ship indian: listing containers: host down: tcp://192.0.2.13:2375: connection refused
          hint: is the host up, is the engine running, and does it listen on that address?
        ");
    }

    #[test]
    fn a_narrow_terminal_shows_as_much() {
        let terminal = |columns| {
            let capabilities = Capabilities { out_is_tty: true, ..Capabilities::plain(columns) };
            let (printer, captured) = Printer::captured(capabilities);
            print(&printer, &world(), Output::Table, Look::default());
            captured.stdout()
        };
        insta::assert_snapshot!(framed(&terminal(80)), @"
        |  #  INSTANCE SERVICE SHIP     CONTAINER   STATUS|
        |  1. web-1    web     atlantic 2.0:0123456 running for 1h0m|
        |  2. web-2    web     pacific  2.0:0123456 running for 1h0m (unhealthy) (restarted 3 times)|
        |  3. web-3    web     pacific  2.0:0123456 down for 3m7s (exit 137)|
        |  4. web-4    web     pacific  2.1:-       down|
        |  5. 東京-5   web     indian   -           host down |
        |  6. web-6    web     pacific  2.0:0123456 running for 1h0m (not ours)|
        ");
        insta::assert_snapshot!(framed(&terminal(40)), @"
        |  #  INSTANCE STATUS|
        |  1. web-1    running for 1h0m|
        |  2. web-2    running for 1h0m (unhealthy) (restarted 3 times)|
        |  3. web-3    down for 3m7s (exit 137)|
        |  4. web-4    down|
        |  5. 東京-5   host down |
        |  6. web-6    running for 1h0m (not ours)|
        ");
        assert_eq!(terminal(80), terminal(200), "no wider than it has to be");
    }

    #[test]
    fn a_ship_that_hangs_is_not_called_down_only() {
        let address = String::from("tcp://192.0.2.13:2375");
        let after = std::time::Duration::from_secs(5);
        let hung = Found::HostDown(EngineError {
            ship: "indian".into(),
            operation: "listing containers".into(),
            kind: EngineErrorKind::Unresponsive { address, after },
            ambiguous: false,
        });
        let text = table(&[row("web-5", "indian", hung)], Look::default(), 120, Paint::new(false));
        assert!(text.ends_with(" host down (no answer)\n"), "{text}");
    }

    #[test]
    fn hosts_take_the_place_of_ships() {
        let (out, _) = shown(Output::Table, Look { hosts: true, full: false }, 120);
        assert_eq!(out.matches("192.0.2.11").count(), 6);
        assert!(!out.contains("atlantic"));
    }

    #[test]
    fn the_full_form_has_images_and_ports() {
        insta::assert_snapshot!(framed(&shown(Output::Table, Look { hosts: false, full: true }, 100).0), @r"
        |  #  INSTANCE             SERVICE               CONTAINER                  STATUS    |
        |  1. web-1                web                   2.0:0123456                running for 1h0m|
        |      registry.example.com/shop/web:2.1  (feedbee)|
        |     >>            http:      8080 is up|
        |     >> administration-: 21900-21950 is -|
        |     >>         metrics:      9100 is down|
        |  2. web-2                web                   2.0:0123456                running for 1h0m (unhealthy) (restarted 3 times)|
        |      registry.example.com/shop/web:2.1  (feedbee)|
        |     >>            http:      8080 is up|
        |     >> administration-: 21900-21950 is -|
        |     >>         metrics:      9100 is down|
        |  3. web-3                web                   2.0:0123456                down for 3m7s (exit 137)|
        |      registry.example.com/shop/web:2.1  (feedbee)|
        |     >>            http:      8080 is up|
        |     >> administration-: 21900-21950 is -|
        |     >>         metrics:      9100 is down|
        |  4. web-4                web                   2.1:-                      down|
        |      registry.example.com/shop/web:2.1|
        |     >>            http:      8080 is up|
        |     >> administration-: 21900-21950 is -|
        |     >>         metrics:      9100 is down|
        |  5. 東京-5               web                   -                          host down |
        |      registry.example.com/shop/web:2.1|
        |     >>            http:      8080 is up|
        |     >> administration-: 21900-21950 is -|
        |     >>         metrics:      9100 is down|
        |  6. web-6                web                   2.0:0123456                running for 1h0m (not ours)|
        |      registry.example.com/shop/web:2.1  (feedbee)|
        |      not ours: it is `web-6` of the environment `x`|
        |     >>            http:      8080 is up|
        |     >> administration-: 21900-21950 is -|
        |     >>         metrics:      9100 is down|
        ");
    }

    #[test]
    fn colours_stay_out_of_pipes() {
        let full = Look { hosts: false, full: true };
        assert!(!table(&world(), full, 120, Paint::new(false)).contains('\x1b'));
        let painted = table(&world(), full, 120, Paint::new(true));
        assert_eq!(
            anstream::adapter::strip_str(&painted).to_string(),
            table(&world(), full, 120, Paint::new(false))
        );
    }

    #[test]
    fn names_are_for_pipes() {
        let (out, _) = shown(Output::Name, Look::default(), 120);
        assert_eq!(out, "web-1\nweb-2\nweb-3\nweb-4\n東京-5\nweb-6\n");
    }

    #[test]
    fn data_says_the_same() {
        let (lines, _) = shown(Output::Jsonl, Look::default(), 120);
        let (document, _) = shown(Output::Json, Look::default(), 120);
        let lines: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document, serde_json::Value::Array(lines));
        assert_eq!(document[2]["exit_code"], 137);
        let (yaml, _) = shown(Output::Yaml, Look::default(), 120);
        let host_down = yaml.split("- instance: ").nth(5).unwrap();
        insta::assert_snapshot!(host_down, @r#"
        東京-5
          service: web
          ship: indian
          address: "192.0.2.11"
          image: registry.example.com/shop/web:2.1
          state: host_down
          running: false
          container: null
          container_image: null
          image_id: null
          health: null
          started_at: null
          finished_at: null
          exit_code: null
          restarts: null
          config: null
          foreign: null
          ports:
          - name: http
            external: "8080"
            protocol: tcp
            up: true
          - name: administration-of-it
            external: 21900-21950
            protocol: tcp
            up: null
          - name: metrics
            external: "9100"
            protocol: tcp
            up: false
          error:
            severity: error
            kind: unreachable
            message: "ship indian: listing containers: host down: tcp://192.0.2.13:2375: connection refused"
            causes: []
            hints:
            - is the host up, is the engine running, and does it listen on that address?
            ship: indian
            operation: listing containers
            ambiguous: false
        "#);
    }
}
