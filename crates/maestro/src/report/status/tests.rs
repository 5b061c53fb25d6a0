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
        left: Vec::new(),
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
        row("web-2", "pacific", sighting(&|s| (s.health, s.restarts) = (Some(Health::Unhealthy), Some(3)))),
        row(
            "web-3",
            "pacific",
            sighting(&|s| {
                (s.state, s.exit_code, s.since) = (ContainerState::Exited, Some(137), Some("3m7s".into()));
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
    print(&printer, &world(), output, look, None);
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
        print(&printer, &world(), Output::Table, Look::default(), None);
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
    |     >>            http:  8080/tcp is up|
    |     >> administration-: 21900-21950/tcp is -|
    |     >>         metrics:  9100/tcp is down|
    |  2. web-2                web                   2.0:0123456                running for 1h0m (unhealthy) (restarted 3 times)|
    |      registry.example.com/shop/web:2.1  (feedbee)|
    |     >>            http:  8080/tcp is up|
    |     >> administration-: 21900-21950/tcp is -|
    |     >>         metrics:  9100/tcp is down|
    |  3. web-3                web                   2.0:0123456                down for 3m7s (exit 137)|
    |      registry.example.com/shop/web:2.1  (feedbee)|
    |     >>            http:  8080/tcp is up|
    |     >> administration-: 21900-21950/tcp is -|
    |     >>         metrics:  9100/tcp is down|
    |  4. web-4                web                   2.1:-                      down|
    |      registry.example.com/shop/web:2.1|
    |     >>            http:  8080/tcp is up|
    |     >> administration-: 21900-21950/tcp is -|
    |     >>         metrics:  9100/tcp is down|
    |  5. 東京-5               web                   -                          host down |
    |      registry.example.com/shop/web:2.1|
    |     >>            http:  8080/tcp is up|
    |     >> administration-: 21900-21950/tcp is -|
    |     >>         metrics:  9100/tcp is down|
    |  6. web-6                web                   2.0:0123456                running for 1h0m (not ours)|
    |      registry.example.com/shop/web:2.1  (feedbee)|
    |      not ours: it is `web-6` of the environment `x`|
    |     >>            http:  8080/tcp is up|
    |     >> administration-: 21900-21950/tcp is -|
    |     >>         metrics:  9100/tcp is down|
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
