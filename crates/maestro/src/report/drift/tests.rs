use super::*;
use crate::report::Capabilities;
use crate::report::testing::framed;
use maestro_core::compare::Change;
use maestro_core::engine_error::EngineErrorKind;

fn change(attribute: &str, wanted: Option<&str>, found: Option<&str>) -> Change {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Change {
        attribute: attribute.into(),
        wanted: text(wanted),
        found: text(found),
        secret: wanted.is_some_and(|text| text.contains('…')),
    }
}

fn world() -> Vec<Drift> {
    let drift = |instance: &str, ship: &str, verdict, changes| Drift {
        instance: instance.into(),
        service: "web".into(),
        ship: ship.into(),
        container: Some("0123456789abcdef".into()),
        verdict,
        changes,
    };
    let down = EngineError {
        ship: "arctic".into(),
        operation: "looking at its containers".into(),
        kind: EngineErrorKind::Lost("connection reset by peer".into()),
        ambiguous: false,
    };
    vec![
        drift("web-1", "atlantic", Verdict::AsInFile, Vec::new()),
        drift(
            "web-2",
            "pacific",
            Verdict::Changed { unlabelled: false },
            vec![
                change("state", Some("running"), Some("exited")),
                change("env.DB_PASSWORD", Some("…"), Some("…")),
                change("env.EMPTY", Some(""), None),
                change("memory", Some("64 MiB"), Some("32 MiB")),
                change(
                    "command",
                    Some("serve --port=8080 --root=/srv/www --workers=16"),
                    Some("sh\u{1b}[2J"),
                ),
            ],
        ),
        drift(
            "web-3",
            "pacific",
            Verdict::Changed { unlabelled: true },
            vec![change("read_only", None, Some("yes"))],
        ),
        drift("web-4", "東京", Verdict::Missing { renamed: None }, Vec::new()),
        drift("web-5", "東京", Verdict::Missing { renamed: Some("web-5-old".into()) }, Vec::new()),
        drift("web-6", "東京", Verdict::Foreign("another tool made it".into()), Vec::new()),
        drift("web-7", "arctic", Verdict::Unseen(down), Vec::new()),
    ]
}

#[test]
fn the_table_names_every_attribute() {
    insta::assert_snapshot!(table(&world(), None, Paint::new(false)));
}

#[test]
fn a_terminal_has_an_edge() {
    let (printer, captured) = Printer::captured(Capabilities { out_is_tty: true, ..Capabilities::plain(72) });
    print(&printer, &world(), Output::Table);
    insta::assert_snapshot!(framed(&captured.stdout()));
    assert!(captured.stderr().contains("arctic"), "{}", captured.stderr());
}

#[test]
fn nothing_is_worth_a_line() {
    let text = table(&world()[..1], None, Paint::new(false));
    assert_eq!(text, "1 of 1 instance as in the file\n");
}

#[test]
fn machines_get_all_instances_and_names_those_that_drifted() {
    let (printer, captured) = Printer::captured(Capabilities::plain(80));
    print(&printer, &world(), Output::Json);
    insta::assert_snapshot!(captured.stdout());
    let before = captured.stdout().len();
    print(&printer, &world(), Output::Name);
    assert_eq!(captured.stdout_from(before), "web-2\nweb-3\nweb-4\nweb-5\nweb-6\n");
}
