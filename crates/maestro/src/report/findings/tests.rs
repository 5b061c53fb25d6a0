use super::*;
use crate::report::Capabilities;
use crate::report::testing::framed;
use maestro_core::preflight::{Place, Topic};

fn finding(severity: Severity, topic: Topic, what: &str, places: &[(&str, &[&str])]) -> Finding {
    let place = |causes: &[&str]| Place {
        causes: causes.iter().map(ToString::to_string).collect(),
        instances: BTreeSet::new(),
    };
    Finding {
        severity,
        topic,
        what: what.into(),
        remedy: "stop what listens there, or give the instance another port".into(),
        places: places.iter().map(|(ship, causes)| ((*ship).into(), place(causes))).collect(),
    }
}

fn shown(findings: &[Finding], columns: usize) -> String {
    let (printer, captured) =
        Printer::captured(Capabilities { out_is_tty: true, ..Capabilities::plain(columns) });
    let asked = Asked { ships: 300, instances: 1, took: Duration::from_millis(1250) };
    print(&printer, findings, asked, Output::Table);
    framed(&captured.stdout())
}

#[test]
fn hundreds_of_ships_are_readable() {
    let names: Vec<String> = (0..300).map(|n| format!("ship-{n:03}")).collect();
    let alike: Vec<(&str, &[&str])> =
        names.iter().map(|name| (name.as_str(), ["80/tcp of web"].as_slice())).collect();
    let causes: Vec<String> = (0..300).map(|n| format!("80/tcp of web-{n}")).collect();
    let causes: Vec<[&str; 1]> = causes.iter().map(|cause| [cause.as_str()]).collect();
    let unlike: Vec<(&str, &[&str])> =
        names.iter().zip(&causes).map(|(name, cause)| (name.as_str(), cause.as_slice())).collect();
    let findings = [
        finding(
            Severity::Error,
            Topic::Ports,
            "something listens on a port that no container publishes",
            &alike,
        ),
        finding(Severity::Warning, Topic::Ports, "a port is taken by another container", &unlike),
        finding(Severity::Unknown, Topic::Disk, "how large images are", &[("a", &["x\u{1b}[31my"])]),
    ];
    insta::assert_snapshot!(shown(&findings, 80));
}

#[test]
fn a_summary_says_how_well_it_is() {
    let of = |severity| finding(severity, Topic::Clock, "x", &[("a", &["y"])]);
    let last = |findings: &[Finding]| shown(findings, 200).lines().next_back().unwrap().to_owned();
    assert_eq!(last(&[]), "|300 ships asked about 1 instance in 1.2 s: all is well|");
    let unknown = of(Severity::Unknown);
    assert!(
        last(std::slice::from_ref(&unknown))
            .ends_with("all is well, but for 1 thing that could not be told|")
    );
    assert!(last(&[of(Severity::Error), of(Severity::Warning)]).ends_with(": 1 error, 1 warning|"));
    assert!(last(&[of(Severity::Error), unknown]).ends_with(": 1 error, 1 thing that could not be told|"));
}
