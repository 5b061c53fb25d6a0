//! Whole runs through whole reporters.

use super::testing::*;
use super::*;
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::event::Failure;
use maestro_core::plan::Intent;
use std::fmt::Write as _;

fn fail_web_2(step: &str) -> Play {
    if step.contains("web-2 on pacific: running check") { Play::Fail(check_failed()) } else { Play::Ok }
}

fn plain(printer: Printer, clock: Clock) -> Box<dyn Reporter> {
    Box::new(plain::Plain::new(printer, clock))
}

fn quiet(printer: Printer, clock: Clock) -> Box<dyn Reporter> {
    Box::new(quiet::Quiet::new(printer, clock))
}

#[test]
fn a_cause_that_is_the_same_everywhere_is_told_once() {
    let missing = |step: &str| {
        if !step.contains("pull") {
            return Play::Ok;
        }
        let ship = ["atlantic", "pacific", "東京"].into_iter().find(|ship| step.contains(ship)).unwrap();
        Play::Fail(Failure::Engine(EngineError {
            kind: EngineErrorKind::NotFound("manifest unknown".into()),
            ..refused(ship, "pulling reg:5000/shop/web:2.1")
        }))
    };
    let world = "atlantic: | reg:5000/shop/db:1.4\npacific:\n東京:";
    let captured = report(&plan(&environment(SHOP), world, &START), 120, quiet, missing);
    insta::assert_snapshot!(captured.stderr(), @"
    ERROR: web-1, web-2, web-3, web-4: ships atlantic, pacific, 東京: pulling reg:5000/shop/web:2.1: manifest unknown
      hint: check the image's name and tag, and that it has been pushed to that registry
    1 started, 4 failed in 9.0s; slowest ship: atlantic (7.0s)
    ");
}

#[test]
fn a_pipe_gets_a_line_for_every_change() {
    let world =
        "atlantic: | reg:5000/shop/db:1.4\npacific: web-3 running reg:5000/shop/web:2.1 |\n東京: down";
    let captured = report(&plan(&environment(SHOP), world, &START), 120, plain, fail_web_2);
    insta::assert_snapshot!(framed(&captured.stdout()), @"
    |  #  INSTANCE             SERVICE              SHIP                 CONTAINER                  STATUS    |
    |  1. db-1                 db                   atlantic             waiting...|
    |  2. web-1                web                  atlantic             waiting...|
    |  3. web-2                web                  pacific              waiting...|
    |  4. web-3                web                  pacific              2.1:0dd0000                up for 1h0m|
    |  5. web-4                web                  東京                 -                          host down  failed!|
    |  1. db-1                 db                   atlantic             creating container from shop/db:1.4...|
    |  2. web-1                web                  atlantic             logging in to https://reg:5000...|
    |  3. web-2                web                  pacific              logging in to https://reg:5000...|
    |  1. db-1                 db                   atlantic             waiting for container...|
    |  2. web-1                web                  atlantic             waiting...|
    |  3. web-2                web                  pacific              waiting...|
    |  2. web-1                web                  atlantic             pulling image shop/web:2.1...|
    |  3. web-2                web                  pacific              pulling image shop/web:2.1...|
    |  1. db-1                 db                   atlantic             1.4:xxxxxx1                starting container xxxxxx1...|
    |  2. web-1                web                  atlantic             pulling image shop/web:2.1... 25.0%|
    |  2. web-1                web                  atlantic             pulling image shop/web:2.1... 50.0%|
    |  2. web-1                web                  atlantic             pulling image shop/web:2.1... 75.0%|
    |  2. web-1                web                  atlantic             pulling image shop/web:2.1... 100.0%|
    |  2. web-1                web                  atlantic             waiting...|
    |  3. web-2                web                  pacific              pulling image shop/web:2.1... 25.0%|
    |  3. web-2                web                  pacific              pulling image shop/web:2.1... 50.0%|
    |  3. web-2                web                  pacific              pulling image shop/web:2.1... 75.0%|
    |  3. web-2                web                  pacific              pulling image shop/web:2.1... 100.0%|
    |  3. web-2                web                  pacific              waiting...|
    |  1. db-1                 db                   atlantic             1.4:xxxxxx1                waiting for initialization...|
    |  1. db-1                 db                   atlantic             1.4:xxxxxx1                started|
    |  2. web-1                web                  atlantic             creating container from shop/web:2.1...|
    |  3. web-2                web                  pacific              creating container from shop/web:2.1...|
    |  2. web-1                web                  atlantic             waiting for container...|
    |  3. web-2                web                  pacific              waiting for container...|
    |  2. web-1                web                  atlantic             2.1:xxxxxx2                starting container xxxxxx2...|
    |  3. web-2                web                  pacific              2.1:xxxxxx3                starting container xxxxxx3...|
    |  2. web-1                web                  atlantic             2.1:xxxxxx2                waiting for initialization...|
    |  3. web-2                web                  pacific              2.1:xxxxxx3                waiting for initialization...|
    |  2. web-1                web                  atlantic             2.1:xxxxxx2                waiting for service...|
    |  3. web-2                web                  pacific              2.1:xxxxxx3                waiting for service...|
    |  2. web-1                web                  atlantic             2.1:xxxxxx2                started|
    |  3. web-2                web                  pacific              2.1:xxxxxx3                container did not start! failed!|
    ");
    insta::assert_snapshot!(framed(&captured.stderr()), @r"
    |ERROR: web-2: ship pacific: http 192.0.2.2:80/healthz check failed after 5 attempts: HTTP 503|
    |ERROR: web-4: ship 東京: listing containers: host down: tcp://192.0.2.2:2375: connection refused|
    |  hint: is the host up, is the engine running, and does it listen on that address?|
    |2 started, 1 unchanged, 1 failed, 1 blocked in 19s; slowest ship: pacific (17s)|
    ");
}

#[test]
fn a_narrow_pipe_has_no_ships() {
    let captured = report(&plan(&environment(SHOP), EMPTY, &Intent::Pull), 60, plain, |_| Play::Ok);
    let out = captured.stdout();
    assert!(!out.contains("atlantic"), "{out}");
    assert!(out.starts_with("  #  INSTANCE             SERVICE               CONTAINER"), "{out}");
    assert_eq!(captured.stderr(), "5 pulled in 15s; slowest ship: 東京 (15s)\n");
}

#[test]
fn a_second_start_says_that_all_is_well() {
    let captured = report(&plan(&environment(SHOP), RUNNING, &START), 120, plain, |_| Play::Ok);
    insta::assert_snapshot!(framed(&captured.stdout()), @r"
    |  #  INSTANCE             SERVICE              SHIP                 CONTAINER                  STATUS    |
    |  1. db-1                 db                   atlantic             1.4:0dd0000                up for 1h0m|
    |  2. web-1                web                  atlantic             2.0:0dd0000                up for 1h0m|
    |  3. web-2                web                  pacific              2.0:0dd0000                up for 1h0m|
    |  4. web-3                web                  pacific              2.0:0dd0000                up for 1h0m|
    |  5. web-4                web                  東京                 2.0:0dd0000                up for 1h0m|
    ");
    assert_eq!(captured.stderr(), "all is up to date: 5 unchanged in 0.0s\n");
}

#[test]
fn an_empty_selection_is_a_header() {
    let nothing =
        environment("{name: x, ships: {a: {ip: 192.0.2.1}}, services: {web: {image: x, instances: {}}}}");
    let captured = report(&plan(&nothing, "a:", &START), 120, plain, |_| Play::Ok);
    assert_eq!(captured.stdout().lines().count(), 1);
    assert_eq!(captured.stderr(), "nothing was selected\n");
}

#[test]
fn quiet_tells_only_the_end() {
    let captured = report(&plan(&environment(SHOP), EMPTY, &START), 120, quiet, fail_web_2);
    assert_eq!(captured.stdout(), "");
    insta::assert_snapshot!(captured.stderr(), @r"
    ERROR: web-2: ship pacific: http 192.0.2.2:80/healthz check failed after 5 attempts: HTTP 503
    4 started, 1 failed in 19s; slowest ship: 東京 (16s)
    ");
}

#[test]
fn a_fleet_that_is_down_is_told_in_brief() {
    let mut text =
        String::from("{name: x, ships: {a: {ip: 192.0.2.1}}, services: {web: {image: x, instances: {");
    for n in 0..100 {
        _ = write!(text, "w-{n:03}: {{ship: a}}, ");
    }
    let environment = environment(&(text + "}}}}"));
    let down = report(&plan(&environment, "a: down", &START), 120, quiet, |_| Play::Ok).stderr();
    assert!(down.starts_with("ERROR: w-000, w-001, w-002 and 97 more: ship a: "), "{down}");
    assert_eq!(down.lines().count(), 3, "{down}");
    // Each failure differs: it names the container.
    let mut n = 0;
    let each = report(&plan(&environment, "a: | x:latest", &START), 120, quiet, |step| {
        n += 1;
        if step.contains("create") {
            Play::Fail(maestro_core::event::Failure::Engine(refused("a", &format!("creating {n}"))))
        } else {
            Play::Ok
        }
    });
    assert_eq!(each.stderr().matches("ERROR").count(), 25);
    assert!(each.stderr().contains("... and 75 more; see the table\n100 failed in "), "{}", each.stderr());
}

#[test]
fn containers_that_could_not_be_started_have_one_cause() {
    let vars: Vec<String> = (0..20).map(|n| format!("V{n}: {}", "x".repeat(120_000))).collect();
    let environment =
        environment(&SHOP.replace("ports:", &format!("env: {{{}}}\n    ports:", vars.join(", "))));
    let captured = report(&plan(&environment, EMPTY, &START), 120, plain, |_| Play::Ok);
    insta::assert_snapshot!(captured.stdout() + &captured.stderr(), @"
      #  INSTANCE             SERVICE              SHIP                 CONTAINER                  STATUS    
      1. db-1                 db                   atlantic             waiting...
      2. web-1                web                  atlantic             2.1:-                      too many variables failed!
      3. web-2                web                  pacific              2.1:-                      too many variables failed!
      4. web-3                web                  pacific              2.1:-                      too many variables failed!
      5. web-4                web                  東京                 2.1:-                      too many variables failed!
      1. db-1                 db                   atlantic             creating container from shop/db:1.4...
      1. db-1                 db                   atlantic             waiting for container...
      1. db-1                 db                   atlantic             1.4:xxxxxx1                starting container xxxxxx1...
      1. db-1                 db                   atlantic             1.4:xxxxxx1                waiting for initialization...
      1. db-1                 db                   atlantic             1.4:xxxxxx1                started
    ERROR: web-1, web-2, web-3, web-4: ships atlantic, pacific, 東京: the variables of service `web` come to 2.3 MiB, and Linux starts no program with more than 2 MiB
      note: 2.3 MiB of that are the container's own variables and its command
      hint: put what is long into a file that is mounted; or let the stack of its programs grow: `ulimits: {stack: 10485760}`
    1 started, 4 blocked in 3.0s
    ");
    let live = plan(&environment, RUNNING, &START);
    assert!(live.items.iter().all(|item| !matches!(item.fate, maestro_core::plan::Fate::Blocked(_))));
    let world = "atlantic:\npacific: web-3 running x:1 |\n東京:";
    let plan = wire::Plan::from(&*plan(&environment, world, &START));
    let reasons: Vec<&str> = plan.items.iter().map(|item| item.reason.as_str()).collect();
    assert_eq!(reasons, ["missing", "variables", "variables", "up", "variables"]);
}

#[test]
fn a_stop_that_fails_is_a_warning() {
    let captured = report(&plan(&environment(SHOP), RUNNING, &Intent::Stop), 120, quiet, |step| {
        if step.contains("stop web-3") {
            Play::Fail(maestro_core::event::Failure::Engine(refused("pacific", "stopping web-3")))
        } else {
            Play::Ok
        }
    });
    insta::assert_snapshot!(captured.stderr(), @r"
    WARNING: web-3: ship pacific: stopping web-3: host down: tcp://192.0.2.2:2375: connection refused
      hint: is the host up, is the engine running, and does it listen on that address?
    4 stopped, 1 could not be stopped in 10s; slowest ship: 東京 (7.0s)
    ");
}

#[test]
fn lines_of_json_can_be_read_back() {
    let make = |printer, clock| -> Box<dyn Reporter> { Box::new(json::Lines::new(printer, clock)) };
    let world =
        "atlantic: | reg:5000/shop/db:1.4\npacific: web-3 running reg:5000/shop/web:2.1 |\n東京: down";
    let out = report(&plan(&environment(SHOP), world, &START), 120, make, fail_web_2).stdout();
    assert!(!out.contains("hunter2"), "passwords are nobody's business");
    for line in out.lines() {
        let read: wire::Line = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
    }
    // One of each kind, the plan apart.
    let kinds = ["step_started", "step_progress", "xxxxxx1", "\"failed\"", "run_finished"];
    let sample: Vec<&str> =
        kinds.iter().map(|kind| out.lines().skip(1).find(|line| line.contains(kind)).unwrap()).collect();
    insta::assert_snapshot!(sample.join("\n"), @r#"
    {"at":"2026-11-21T12:00:00.000Z","elapsed_ms":0,"event":{"type":"step_started","step":0}}
    {"at":"2026-11-21T12:00:03.750Z","elapsed_ms":3750,"event":{"type":"step_progress","step":4,"pull":{"current":5000000,"total":20000000,"percent":25.0,"layers_done":1,"layers":4},"retry":null}}
    {"at":"2026-11-21T12:00:01.000Z","elapsed_ms":1000,"event":{"type":"step_finished","step":0,"outcome":"done","container":"xxxxxx1000000000000000000000000000000000000000000000000000000000","changed":null,"error":null,"took_ms":1000}}
    {"at":"2026-11-21T12:00:19.000Z","elapsed_ms":19000,"event":{"type":"step_finished","step":14,"outcome":"failed","container":null,"changed":null,"error":{"severity":"error","kind":"check","message":"http 192.0.2.2:80/healthz check failed after 5 attempts: HTTP 503","causes":[],"hints":[],"ship":null,"operation":null,"ambiguous":false},"took_ms":1000}}
    {"at":"2026-11-21T12:00:19.000Z","elapsed_ms":19000,"event":{"type":"run_finished","summary":{"success":false,"done":2,"unchanged":1,"tolerated":0,"failed":1,"aborted":0,"blocked":1,"interrupted":0,"abandoned":0,"took_ms":42000}}}
    "#);
}

#[test]
fn plans_are_data_too() {
    let plan = plan(&environment(PAIR), "a: x-1 running@pair x:1\nb: down", &Intent::Stop);
    insta::assert_snapshot!(wire::one(status::Output::Json, &wire::Plan::from(&*plan)), @r#"
    {
      "environment": "pair",
      "command": "stop",
      "items": [
        {
          "instance": "x-1",
          "service": "s",
          "ship": "a",
          "image": "x:1",
          "container": {
            "id": "0dd0000000000000000000000000000000000000000000000000000000000003",
            "image": "x:1",
            "state": "running",
            "health": null,
            "started_at": "2026-11-21T11:00:00Z",
            "finished_at": "2026-11-21T11:30:00Z"
          },
          "fate": "act",
          "reason": "asked",
          "text": "asked for",
          "steps": [
            0,
            1
          ],
          "error": null
        },
        {
          "instance": "x-2",
          "service": "s",
          "ship": "b",
          "image": "x:1",
          "container": null,
          "fate": "settled",
          "reason": "host_down",
          "text": "cannot be seen: ship b: listing containers: host down: tcp://192.0.2.2:2375: connection refused",
          "steps": [],
          "error": {
            "severity": "error",
            "kind": "unreachable",
            "message": "ship b: listing containers: host down: tcp://192.0.2.2:2375: connection refused",
            "causes": [],
            "hints": [
              "is the host up, is the engine running, and does it listen on that address?"
            ],
            "ship": "b",
            "operation": "listing containers",
            "ambiguous": false
          }
        }
      ],
      "steps": [
        {
          "id": 0,
          "ship": "a",
          "instance": "x-1",
          "action": "stop_container",
          "text": "stop x-1 (grace 10 s)",
          "after": [],
          "tolerated": true
        },
        {
          "id": 1,
          "ship": "a",
          "instance": "x-1",
          "action": "await_not_running",
          "text": "wait until x-1 is not running",
          "after": [
            0
          ],
          "tolerated": true
        }
      ],
      "outages": [
        {
          "service": "s",
          "instances": 1,
          "at_once": 1,
          "stay_down": 1,
          "at_most_seconds": null
        }
      ]
    }
    "#);
}

#[test]
fn a_document_has_it_all() {
    let make =
        |printer, clock| -> Box<dyn Reporter> { Box::new(json::Document::new(printer, clock, Output::Json)) };
    let plan = plan(&environment(PAIR), "a: | x:1\nb: x-2 running@pair x:1", &START);
    let captured = report(&plan, 120, make, |step| {
        if step.contains("start x-1") {
            Play::Fail(maestro_core::event::Failure::Interrupted)
        } else {
            Play::Ok
        }
    });
    let run: wire::Run = serde_json::from_str(&captured.stdout()).unwrap();
    assert_eq!((run.summary.unchanged, run.summary.interrupted, run.summary.success), (1, 1, false));
    insta::assert_snapshot!(captured.stdout(), @r#"
    {
      "environment": "pair",
      "command": "start",
      "began_at": "2026-11-21T12:00:00.000Z",
      "summary": {
        "success": false,
        "done": 0,
        "unchanged": 1,
        "tolerated": 0,
        "failed": 0,
        "aborted": 0,
        "blocked": 0,
        "interrupted": 1,
        "abandoned": 1,
        "took_ms": 2000
      },
      "instances": [
        {
          "instance": "x-1",
          "service": "s",
          "ship": "a",
          "image": "x:1",
          "container": "xxxxxx1000000000000000000000000000000000000000000000000000000000",
          "state": "interrupted",
          "text": "interrupted!",
          "error": null,
          "began_ms": 0,
          "ended_ms": 2000
        },
        {
          "instance": "x-2",
          "service": "s",
          "ship": "b",
          "image": "x:1",
          "container": "0dd0000000000000000000000000000000000000000000000000000000000003",
          "state": "unchanged",
          "text": "up for 1h0m",
          "error": null,
          "began_ms": null,
          "ended_ms": 0
        }
      ],
      "ships": [
        {
          "ship": "a",
          "busy_ms": 2000
        }
      ]
    }
    "#);
}

#[test]
fn a_reader_that_went_away_ends_the_output_quietly() {
    struct Gone(std::io::ErrorKind);
    impl std::io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for (kind, fails) in [(std::io::ErrorKind::BrokenPipe, false), (std::io::ErrorKind::StorageFull, true)] {
        let printer = Printer::new(Capabilities::plain(120), Gone(kind), std::io::sink(), || None);
        let hands = Hands::default();
        let mut reporter = plain(printer.clone(), hands.clock());
        play(&plan(&environment(SHOP), EMPTY, &START), &hands, |_| Play::Ok, |event| reporter.event(event));
        assert!(printer.is_closed());
        assert_eq!(printer.outcome().is_err(), fails, "{kind}");
    }
}

#[test]
fn the_document_has_other_forms() {
    let shown = |output| {
        let make = move |printer, clock| -> Box<dyn Reporter> {
            Box::new(json::Document::new(printer, clock, output))
        };
        report(&plan(&environment(SHOP), EMPTY, &START), 120, make, fail_web_2).stdout()
    };
    assert_eq!(shown(Output::Name), "db-1\nweb-1\nweb-3\nweb-4\n", "what was done, and nothing else");
    let yaml = shown(Output::Yaml);
    assert!(yaml.starts_with("environment: shop\ncommand: start\n"), "{yaml}");
}

/// People wait from when they press the key: looking at the fleet is part of what they wait for.
#[test]
fn the_time_is_that_of_the_whole_command() {
    let plan = plan(&environment(PAIR), "a: | x:1\nb: x-2 running@pair x:1", &START);
    let document =
        |printer, clock| -> Box<dyn Reporter> { Box::new(json::Document::new(printer, clock, Output::Json)) };
    let live = |printer, clock| -> Box<dyn Reporter> { Box::new(live::Live::new(printer, clock)) };
    let makes: [&dyn Fn(Printer, Clock) -> Box<dyn Reporter>; 4] = [&plain, &quiet, &live, &document];
    let texts = makes.map(|make| {
        let hands = Hands::default();
        hands.advance(Duration::from_secs(20));
        let (printer, captured) = Printer::captured(Capabilities::plain(100));
        let mut reporter = make(printer, hands.clock());
        play(&plan, &hands, |_| Play::Ok, |event| reporter.event(event));
        captured.stdout() + &captured.stderr()
    });
    let [texts @ .., document] = texts;
    for text in texts {
        assert!(text.contains("1 started, 1 unchanged in 23s"), "{text}");
    }
    let run: wire::Run = serde_json::from_str(&document).unwrap();
    assert_eq!((run.summary.took_ms, &*run.began_at), (23_000, "2026-11-21T12:00:00.000Z"));
    assert_eq!(run.instances[0].began_ms, Some(20_000));
}
