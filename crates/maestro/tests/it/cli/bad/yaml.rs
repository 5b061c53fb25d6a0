//! Files that are no YAML, or whose YAML means nothing.

use super::trap::Trap;

/// Every command that reads the file and could connect, or could not.
const COMMANDS: [&str; 19] = [
    "status",
    "status --output json",
    "start",
    "stop --all",
    "restart",
    "pull",
    "clean",
    "kill --all",
    "logs web",
    "logs -F web",
    "exec web-1 true",
    "events",
    "plan start",
    "start --progress json",
    "start --output json",
    "validate",
    "deptree",
    "dump",
    "restart --refresh-images --only-if-changed",
];

#[tokio::test]
async fn every_command_says_the_same() {
    let trap = Trap::new();
    let faults = trap.of("services: {web: {image: web:1, instances: {web-1: {ship: tpc}}}}\n").await;
    insta::assert_snapshot!(faults, @"
    error[E0401]: ship `tpc`, of instance `web-1`, does not exist
      --> maestro.yaml:11:58
       |
    11 | services: {web: {image: web:1, instances: {web-1: {ship: tpc}}}}
       |                                                          ^^^
       |
       = help: did you mean `tcp`?

    ERROR: maestro.yaml: 1 error
    ");
    for line in COMMANDS {
        // What maestro-ng did not have tells what was asked wrongly from what failed.
        let is_new = ["exec", "events", "plan"].iter().any(|new| line.starts_with(new));
        let ran = trap.refuses(line, if is_new { 2 } else { 1 }).await;
        assert_eq!((&*ran.stdout, trap.redacted(&ran.stderr)), ("", faults.clone()), "{line}");
    }
    let ran = trap.refuses("validate --output json", 1).await;
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&document["valid"], &document["errors"]), (&false.into(), &1.into()));
    let ran = trap.refuses("complete maestro start w", 1).await;
    assert_eq!((&*ran.stdout, &*ran.stderr), ("", ""));
}

#[tokio::test]
async fn malformed() {
    let trap = Trap::new();
    insta::assert_snapshot!(trap.of("services:\n  web: {image: web:1, instances: {web-1: {ship: tcp}\n").await, @"
    error[E0201]: unclosed bracket '{'
      --> maestro.yaml:12:34
       |
    12 |   web: {image: web:1, instances: {web-1: {ship: tcp}
       |                                  ^
       |
       = help: close the bracket; quote the value if it is meant to begin with `[` or `{`

    ERROR: maestro.yaml: 1 error
    ");
    insta::assert_snapshot!(trap.of("services:\n  web:\n    image: 'web:1\n").await, @"
    error[E0201]: a quoted string is not closed
      --> maestro.yaml:13:12
       |
    13 |     image: 'web:1
       |            ^ it begins here
       |
       = help: close it with `'`; a single quote within is doubled: ''

    ERROR: maestro.yaml: 1 error
    ");
    insta::assert_snapshot!(trap.of("services:\n\tweb: {image: web:1}\n").await, @"
    error[E0201]: a tab cannot indent YAML
      --> maestro.yaml:12:1
       |
    12 |     web: {image: web:1}
       | ^^^^
       |
       = help: indent with spaces only

    ERROR: maestro.yaml: 1 error
    ");
    insta::assert_snapshot!(trap.of("services:\n  web: *nothing\n").await, @"
    error[E0201]: there is no anchor `&nothing` before this alias
      --> maestro.yaml:12:8
       |
    12 |   web: *nothing
       |        ^^^^^^^^
       |
       = help: quote the value if it is meant to begin with `*`

    ERROR: maestro.yaml: 1 error
    ");
}

#[tokio::test]
async fn the_wrong_shape() {
    let trap = Trap::new();
    insta::assert_snapshot!(trap.of("services: [web, db]\n").await, @"
    error[E0301]: `services` must be a mapping, not a list
      --> maestro.yaml:11:11
       |
    11 | services: [web, db]
       |           ^^^^^^^^^

    ERROR: maestro.yaml: 1 error
    ");
    let whole = async |text: &str| {
        trap.shell.write("maestro.yaml", text);
        trap.redacted(&trap.refuses("start", 1).await.stderr)
    };
    insta::assert_snapshot!(whole("").await, @"
    error[E0301]: an environment must be a mapping, not nothing
     --> maestro.yaml:1:1
      |
    1 |  
      | ^
      |
      = help: it begins with `name:`, `ships:` and `services:`

    ERROR: maestro.yaml: 1 error
    ");
    insta::assert_snapshot!(whole("- a\n").await, @"
    error[E0301]: an environment must be a mapping, not a list
     --> maestro.yaml:1:1
      |
    1 | - a
      | ^^^
      |
      = help: it begins with `name:`, `ships:` and `services:`

    ERROR: maestro.yaml: 1 error
    ");
    insta::assert_snapshot!(whole("5\n").await, @"
    error[E0301]: an environment must be a mapping, not an integer
     --> maestro.yaml:1:1
      |
    1 | 5
      | ^
      |
      = help: it begins with `name:`, `ships:` and `services:`

    ERROR: maestro.yaml: 1 error
    ");
    insta::assert_snapshot!(whole("--- {}\n--- {}\n").await, @"
    error[E0302]: the environment has no `name`
     --> maestro.yaml:1:5
      |
    1 | --- {}
      |     ^^

    error[E0302]: the environment has no `ships`, and DOCKER_HOST is not set
     --> maestro.yaml:1:5
      |
    1 | --- {}
      |     ^^
      |
      = help: name the hosts under `ships:`, or set DOCKER_HOST for an environment of one engine

    error[E0203]: a second document begins here
     --> maestro.yaml:2:1
      |
    2 | --- {}
      | ^^^
      |
      = note: an environment is one YAML document
      = help: remove the `---`, or move what follows into a file of its own

    ERROR: maestro.yaml: 3 errors
    ");
}

#[tokio::test]
async fn twice_the_same_key() {
    let trap = Trap::new();
    let text = "services:
  web:
    image: web:1
    instances:
      web-1: {ship: tcp}
      web-1: {ship: unix}
    image: web:2
";
    insta::assert_snapshot!(trap.of(text).await, @"
    error[E0202]: `web-1` is written twice in this mapping
      --> maestro.yaml:16:7
       |
    15 |       web-1: {ship: tcp}
       |       ----- first written here
    16 |       web-1: {ship: unix}
       |       ^^^^^ written again here
       |
       = help: remove one of the two, or give it another name

    error[E0202]: `image` is written twice in this mapping
      --> maestro.yaml:17:5
       |
    13 |     image: web:1
       |     ----- first written here
    ...
    17 |     image: web:2
       |     ^^^^^ written again here
       |
       = help: remove one of the two, or give it another name

    ERROR: maestro.yaml: 2 errors
    ");
}

#[tokio::test]
async fn no_text() {
    let trap = Trap::new();
    let mut text = (trap.ships() + "services:\n  web: {image: 'w").into_bytes();
    text.extend_from_slice(b"\xff\xfe:1'}\n");
    trap.shell.write("maestro.yaml", text);
    let ran = trap.refuses("start", 1).await;
    insta::assert_snapshot!(trap.redacted(&ran.stderr), @"
    error[E0102]: the file is not UTF-8
      --> maestro.yaml:12:18
       |
    12 |   web: {image: 'w��:1'}
       |                  ^ this byte is not part of a character
       |
       = note: the byte is 0xff
       = help: save it as UTF-8

    ERROR: maestro.yaml: 1 error
    ");
    trap.shell.write("maestro.yaml", [b"\x1f\x8b\x08\x00".as_slice(), &[0; 2_000]].concat());
    let ran = trap.refuses("start", 1).await;
    insta::assert_snapshot!(trap.redacted(&ran.stderr), @"
    error[E0102]: the file is not UTF-8
     --> maestro.yaml:1:2
      |
    1 | ␟�␈␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀␀…
      |  ^ this byte is not part of a character
      |
      = note: the byte is 0x8b
      = help: save it as UTF-8

    ERROR: maestro.yaml: 1 error
    ");
    // What is wrong does not steer the terminal that it is shown on.
    let ran = trap.of("services:\n  \"\\e[2Jweb\": {imgae: x}\n").await;
    assert!(!ran.contains('\x1b'), "{ran:?}");
}
