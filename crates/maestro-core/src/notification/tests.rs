//! The words, to the letter. Sentences, payloads and a script's words are what maestro-ng 0.8.3 makes of the same.

use super::*;
use crate::config::{Limits, load};
use crate::model::Webhook;
use crate::source::MapSources;
use std::fmt::Write as _;

fn auditors(text: &str) -> Vec<Auditor> {
    let text = format!("name: t\nships: {{a: {{ip: 192.0.2.1}}}}\nservices: {{}}\naudit:\n{text}");
    let loaded = load(&MapSources::of(text), &Limits::default());
    assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
    loaded.environment.unwrap().auditors
}

fn audited(at: usize) -> Audited {
    let name = format!("db-{at}");
    Audited { instance: (&*name).into(), service: "db".into(), ship: "north".into(), ip: "192.0.2.1".into() }
}

fn play(action: &'static str, count: usize, moment: Moment) -> Notification {
    let what = What::Play((1..=count).map(audited).collect());
    Notification { action, what, moment, who: "ops".into() }
}

fn task(moment: Moment) -> Notification {
    Notification { action: "start", what: What::Task(audited(1)), moment, who: "ops".into() }
}

fn failed(message: Option<&str>) -> Moment {
    Moment::Failed { message: message.map(str::to_owned) }
}

#[test]
fn sentences() {
    let mut text = String::new();
    for action in ["start", "stop", "restart", "kill", "pull", "clean"] {
        for moment in [Moment::Begins, Moment::Succeeded, failed(None)] {
            let notification = play(action, 2, moment);
            writeln!(text, "{}", notification.sentence(&notification.full())).unwrap();
        }
    }
    insta::assert_snapshot!(text, @"
    ops is starting db-1, db-2.
    Start of db-1, db-2 succeeded.
    Failed to start db-1, db-2!
    ops is stopping db-1, db-2.
    Stop of db-1, db-2 succeeded.
    Failed to stop db-1, db-2!
    ops is restarting db-1, db-2.
    Restart of db-1, db-2 succeeded.
    Failed to restart db-1, db-2!
    ops is killing db-1, db-2.
    Kill of db-1, db-2 succeeded.
    Failed to kill db-1, db-2!
    ops is pulling db-1, db-2.
    Pull of db-1, db-2 succeeded.
    Failed to pull db-1, db-2!
    ops is cleaning db-1, db-2.
    Clean of db-1, db-2 succeeded.
    Failed to clean db-1, db-2!
    ");
    let with_message = |message| play("pull", 1, failed(Some(message))).sentence("db-1");
    assert_eq!(with_message("no such image"), "Failed to pull db-1! (message: no such image)");
    assert_eq!(with_message(""), "Failed to pull db-1!");
}

#[test]
fn many_names_are_counted_where_room_is_short() {
    assert_eq!(play("start", 4, Moment::Begins).compact(), "db-1, db-2, db-3, db-4");
    assert_eq!(play("start", 5, Moment::Begins).compact(), "5 containers");
    assert_eq!(play("start", 5, Moment::Begins).full(), "db-1, db-2, db-3, db-4, db-5");
    assert_eq!(task(Moment::Begins).compact(), "db-1");
}

#[test]
fn log_lines() {
    let line = |notification: &Notification| {
        let LogLine { level, text } = notification.log_line();
        format!("{level}: {text}")
    };
    assert_eq!(
        line(&play("start", 6, Moment::Succeeded)),
        "INFO: Start of db-1, db-2, db-3, db-4, db-5, db-6 succeeded."
    );
    assert_eq!(line(&task(Moment::Begins)), "DEBUG: ops is starting db-1.");
    assert_eq!(
        line(&task(failed(Some("it said:\nERROR: forged\u{1b}[2J")))),
        "ERROR: Failed to start db-1! (message: it said: ERROR: forged [2J)"
    );
}

/// Who is told what, by level and type.
#[test]
fn who_is_told_what() {
    let auditors = auditors(
        "- {type: log, file: f}
- {type: log, file: f, level: debug}
- {type: log, file: f, level: 30}
- {type: http, endpoint: 'http://h', level: debug}
- {type: http, endpoint: 'http://h'}
- {type: http, endpoint: 'http://h', level: 30}
- {type: exec, script: s, level: debug}
- {type: exec, script: s, level: 30}
- {type: slack, channel: c, token: t}
- {type: hipchat, room: r, token: t, level: debug}
",
    );
    let moments = [Moment::Begins, Moment::Succeeded, failed(None)];
    let notifications: Vec<_> = moments
        .iter()
        .map(|m| play("start", 1, m.clone()))
        .chain(moments.iter().map(|m| task(m.clone())))
        .collect();
    let mut text = "         play: begins ok failed, task: begins ok failed\n".to_owned();
    for auditor in &auditors {
        let told: Vec<_> = notifications.iter().map(|n| if n.is_for(auditor) { "x" } else { "-" }).collect();
        writeln!(
            text,
            "{:8} {:7} {}",
            auditor.channel.kind(),
            format!("{:?}", auditor.level),
            told.join(" ")
        )
        .unwrap();
    }
    insta::assert_snapshot!(text, @"
             play: begins ok failed, task: begins ok failed
    log      Info    x x x - - x
    log      Debug   x x x x x x
    log      Errors  - - x - - x
    http     Debug   x - - x - -
    http     Info    x - - - - -
    http     Errors  - - - - - -
    exec     Debug   - x - - - -
    exec     Errors  - - - - - -
    slack    Info    x x x - - x
    hipchat  Debug   - - - - - -
    ");
}

fn body(payload: &str, notification: &Notification) -> String {
    notification.request_body(&webhook(payload)).unwrap()
}

fn webhook(payload: &str) -> Webhook {
    let auditors = auditors(&format!("- {{type: http, endpoint: 'http://h', payload: {payload}}}\n"));
    let Channel::Http(webhook) = &auditors[0].channel else { panic!("{auditors:?}") };
    (**webhook).clone()
}

#[test]
fn payloads_are_filled_in_and_pruned() {
    let two = play("start", 2, Moment::Begins);
    let cases = [
        ("{text: '{what}|{action}|{who}'}", r#"{"text":"db-1, db-2|start|ops"}"#),
        // maestro-ng shows the objects themselves (Q-42).
        ("{text: '{message}'}", r#"{"text":"ops is starting [db-1 (on north), db-2 (on north)]."}"#),
        ("{text: \"{{ '{{{who}}} {{}}' }} %s\"}", r#"{"text":"{ops} {} %s"}"#),
        ("{a: '', b: [], c: {d: ''}, e: ['', x, [''], {f: ''}]}", r#"{"e":["x"]}"#),
        ("{z: 1st, a: 2nd, 7: n, yes: b, ~: c}", r#"{"z":"1st","a":"2nd","7":"n","true":"b","null":"c"}"#),
        ("['{action!r:>9}', '{what:.4}', '{who[0]}']", r#"["  'start'","db-1","o"]"#),
        ("'{who}: \"é\"\\n'", r#""ops: \"é\"\\n""#),
        ("{a: ''}", "null"),
        ("''", "null"),
        ("{}", "null"),
        ("~", "null"),
    ];
    for (payload, expected) in cases {
        assert_eq!(body(payload, &two), expected, "{payload}");
    }
    assert_eq!(body("'{message}'", &task(Moment::Begins)), r#""ops is starting db-1 (on north).""#);
}

#[test]
fn what_a_value_does_not_fit_is_no_panic() {
    let mut short = task(Moment::Begins);
    short.what = What::Task(Audited { instance: "x".into(), ..audited(1) });
    let failure = short.request_body(&webhook("'{what[3]}'")).unwrap_err();
    assert!(failure.to_string().starts_with("it cannot be filled in: "), "{failure}");
}

/// Each text fits, all of them together do not.
#[test]
fn what_would_be_too_long_is_not_made() {
    let payload = format!("[{}]", format!("'{}',", "{what}".repeat(1_000)).repeat(50));
    let webhook = webhook(&payload);
    let failure = play("start", 200, Moment::Begins).request_body(&webhook).unwrap_err();
    assert_eq!(failure.to_string(), "it cannot be filled in: it is too long");
    assert!(play("start", 2, Moment::Begins).request_body(&webhook).is_ok());
}

#[test]
fn scripts_are_given_words_and_what_was_done() {
    let invoked = |args: &str| {
        let auditors = auditors(&format!("- {{type: exec, script: ./tell, args: {args}}}\n"));
        let Channel::Exec(script) = &auditors[0].channel else { panic!("{auditors:?}") };
        play("start", 2, Moment::Succeeded).invocation(script).unwrap()
    };
    let invocation = invoked("' x  {action} {who}\t{what} '");
    let words = ["./tell", "x", "start", "None", "[db-1", "(on", "north),", "db-2", "(on", "north)]"];
    assert_eq!(invocation.command, words);
    assert_eq!(
        invocation.input,
        r#"{"db-1":{"ship":"192.0.2.1","service":"db"},"db-2":{"ship":"192.0.2.1","service":"db"}}"#
    );
    assert_eq!(invoked("~").command, ["./tell"], "without arguments it is run all the same (Q-43)");
}

#[test]
fn slack_messages() {
    let auditors = auditors(
        "- {type: slack, channel: '#ops', token: t}
- {type: slack, channel: C1, token: t, name: bot, icon: 'http://i'}
",
    );
    let mut text = String::new();
    let of = |at: usize| match &auditors[at].channel {
        Channel::Slack(slack) => slack,
        other => panic!("{other:?}"),
    };
    for (at, notification) in [
        (0, play("stop", 2, Moment::Begins)),
        (1, play("stop", 5, Moment::Succeeded)),
        (0, play("stop", 5, failed(Some("no <!channel> & nothing")))),
        (0, play("stop", 1, failed(None))),
    ] {
        for (name, value) in notification.slack_fields(of(at)) {
            writeln!(text, "{name}={value}").unwrap();
        }
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}
