//! Rows of scripted runs: states, texts, counts.

use super::*;
use crate::report::testing::*;
use maestro_core::event::Failure;
use maestro_core::plan::Restart;
use maestro_core::run::Run;
use std::fmt::Write as _;

/// Every change of every row's text, and the state of all rows at the end.
fn story(plan: &Arc<Plan>, script: impl FnMut(&str) -> Play) -> (String, Rows) {
    let hands = Hands::default();
    let clock = hands.clock();
    let mut rows = Rows::new(plan.clone(), clock.now());
    let mut told = vec![String::new(); plan.items.len()];
    let mut text = String::new();
    let mut summary = None;
    play(plan, &hands, script, |event| {
        for at in rows.apply(event, clock.elapsed()) {
            let row = &rows.rows()[at];
            let pieces = row.cell.iter().chain(&row.results).chain(&row.pending).map(|p| p.text.as_str());
            let line = format!("{} {} {}", row.number, row.instance, pieces.collect::<Vec<_>>().join(" | "));
            if told[at] != line {
                _ = writeln!(text, "{line}");
                told[at] = line;
            }
        }
        if let Event::RunFinished { summary: s } = event {
            summary = Some(s.clone());
        }
    });
    let summary = summary.unwrap();
    assert_eq!(rows.summary(summary.took), summary, "rows and run count alike");
    assert_eq!(rows.settled(), rows.rows().len());
    (text, rows)
}

fn fail_at(pattern: &'static str, failure: impl Fn() -> Failure) -> impl FnMut(&str) -> Play {
    move |step| if step.contains(pattern) { Play::Fail(failure()) } else { Play::Ok }
}

#[test]
fn start_tells_every_step() {
    let world = "atlantic: db-1 exited reg:5000/shop/db:1.4 |\npacific: web-2 running reg:5000/shop/web:2.1 |\n東京: down";
    insta::assert_snapshot!(story(&plan(&environment(SHOP), world, &START), |_| Play::Ok).0, @r"
    1 db-1 waiting...
    2 web-1 waiting...
    3 web-2 2.1:0dd0000 | up for 1h0m
    4 web-3 waiting...
    5 web-4 - | host down | failed!
    1 db-1 logging in to https://reg:5000...
    2 web-1 logging in to https://reg:5000...
    4 web-3 logging in to https://reg:5000...
    1 db-1 waiting...
    2 web-1 waiting...
    4 web-3 waiting...
    1 db-1 pulling image shop/db:1.4...
    2 web-1 pulling image shop/web:2.1...
    4 web-3 pulling image shop/web:2.1...
    1 db-1 pulling image shop/db:1.4... 25.0%
    1 db-1 pulling image shop/db:1.4... 50.0%
    1 db-1 pulling image shop/db:1.4... 75.0%
    1 db-1 pulling image shop/db:1.4... 100.0%
    1 db-1 waiting...
    2 web-1 pulling image shop/web:2.1... 25.0%
    2 web-1 pulling image shop/web:2.1... 50.0%
    2 web-1 pulling image shop/web:2.1... 75.0%
    2 web-1 pulling image shop/web:2.1... 100.0%
    2 web-1 waiting...
    4 web-3 pulling image shop/web:2.1... 25.0%
    4 web-3 pulling image shop/web:2.1... 50.0%
    4 web-3 pulling image shop/web:2.1... 75.0%
    4 web-3 pulling image shop/web:2.1... 100.0%
    4 web-3 waiting...
    1 db-1 removing container 0dd0000...
    1 db-1 creating container from shop/db:1.4...
    1 db-1 waiting for container...
    1 db-1 1.4:xxxxxx1 | starting container xxxxxx1...
    1 db-1 1.4:xxxxxx1 | waiting for initialization...
    1 db-1 1.4:xxxxxx1 | started
    2 web-1 creating container from shop/web:2.1...
    4 web-3 creating container from shop/web:2.1...
    2 web-1 waiting for container...
    4 web-3 waiting for container...
    2 web-1 2.1:xxxxxx2 | starting container xxxxxx2...
    4 web-3 2.1:xxxxxx3 | starting container xxxxxx3...
    2 web-1 2.1:xxxxxx2 | waiting for initialization...
    4 web-3 2.1:xxxxxx3 | waiting for initialization...
    2 web-1 2.1:xxxxxx2 | waiting for service...
    4 web-3 2.1:xxxxxx3 | waiting for service...
    2 web-1 2.1:xxxxxx2 | started
    4 web-3 2.1:xxxxxx3 | started
    ");
}

#[test]
fn restart_has_two_halves() {
    let intent = Intent::Restart(Restart {
        step_delay: Duration::from_secs(2),
        stop_start_delay: Duration::from_millis(1500),
        ..Restart::default()
    });
    let environment = environment(SHOP);
    insta::assert_snapshot!(story(&plan(&environment, RUNNING, &intent), |_| Play::Ok).0, @"
    1 web-1 waiting...
    2 web-2 waiting...
    3 web-3 waiting...
    4 web-4 waiting...
    5 db-1 waiting...
    2 web-2 waiting 2s before restart...
    3 web-3 waiting 2s before restart...
    4 web-4 waiting 2s before restart...
    1 web-1 2.0:0dd0000 | stopping service...
    2 web-2 2.0:0dd0000 | stopping service...
    3 web-3 2.0:0dd0000 | stopping service...
    4 web-4 2.0:0dd0000 | stopping service...
    1 web-1 2.0:0dd0000 | stopped
    1 web-1 waiting 1.5s before starting...
    2 web-2 2.0:0dd0000 | stopped
    3 web-3 2.0:0dd0000 | stopped
    4 web-4 2.0:0dd0000 | stopped
    2 web-2 waiting 1.5s before starting...
    3 web-3 waiting 1.5s before starting...
    4 web-4 waiting 1.5s before starting...
    1 web-1 removing container 0dd0000...
    1 web-1 creating container from shop/web:2.1...
    2 web-2 removing container 0dd0000...
    3 web-3 removing container 0dd0000...
    4 web-4 removing container 0dd0000...
    1 web-1 waiting for container...
    1 web-1 2.1:xxxxxx1 | starting container xxxxxx1...
    2 web-2 creating container from shop/web:2.1...
    3 web-3 creating container from shop/web:2.1...
    4 web-4 creating container from shop/web:2.1...
    2 web-2 waiting for container...
    3 web-3 waiting for container...
    4 web-4 waiting for container...
    1 web-1 2.1:xxxxxx1 | waiting for initialization...
    2 web-2 2.1:xxxxxx2 | starting container xxxxxx2...
    3 web-3 2.1:xxxxxx3 | starting container xxxxxx3...
    4 web-4 2.1:xxxxxx4 | starting container xxxxxx4...
    1 web-1 2.1:xxxxxx1 | waiting for service...
    2 web-2 2.1:xxxxxx2 | waiting for initialization...
    3 web-3 2.1:xxxxxx3 | waiting for initialization...
    4 web-4 2.1:xxxxxx4 | waiting for initialization...
    1 web-1 2.1:xxxxxx1 | started
    2 web-2 2.1:xxxxxx2 | waiting for service...
    3 web-3 2.1:xxxxxx3 | waiting for service...
    4 web-4 2.1:xxxxxx4 | waiting for service...
    2 web-2 2.1:xxxxxx2 | started
    3 web-3 2.1:xxxxxx3 | started
    4 web-4 2.1:xxxxxx4 | started
    5 db-1 waiting 2s before restart...
    5 db-1 1.4:0dd0000 | stopping service...
    5 db-1 1.4:0dd0000 | stopped
    5 db-1 waiting 1.5s before starting...
    5 db-1 removing container 0dd0000...
    5 db-1 creating container from shop/db:1.4...
    5 db-1 waiting for container...
    5 db-1 1.4:xxxxxx5 | starting container xxxxxx5...
    5 db-1 1.4:xxxxxx5 | waiting for initialization...
    5 db-1 1.4:xxxxxx5 | started
    ");
}

#[test]
fn stop_counts_down_and_tolerates() {
    let world = "atlantic: db-1 running reg:5000/shop/db:1.4\npacific: web-2 running reg:5000/shop/web:2.0\n東京: down";
    let script = fail_at("stop web-2", || Failure::Engine(refused("pacific", "stopping web-2")));
    let (text, rows) = story(&plan(&environment(SHOP), world, &Intent::Stop), script);
    insta::assert_snapshot!(text, @r"
    5 web-1 2.1:- | down
    4 web-2 waiting...
    3 web-3 2.1:- | down
    2 web-4 - | host down
    1 db-1 waiting...
    4 web-2 2.0:0dd0000 | stopping service...
    4 web-2 2.0:0dd0000 | failed: ship pacific: stopping web-2: host down: tcp://192.0.2.2:2375: connection refused
    1 db-1 1.4:0dd0000 | stopping service...
    1 db-1 1.4:0dd0000 | stopped
    ");
    assert!(rows.summary(Duration::ZERO).is_success());
    assert_eq!(rows.count(RowState::Tolerated), 2);
}

#[test]
fn a_failed_check_aborts_what_needs_it() {
    let plan = plan(&environment(SHOP), EMPTY, &START);
    let (text, rows) = story(
        &plan,
        fail_at("db-1 is running", || Failure::NotReached {
            container: "db-1".into(),
            condition: maestro_core::plan::Condition::Running,
            within: Duration::from_secs(5),
            found: "exited with code 1".into(),
        }),
    );
    assert!(text.contains("1 db-1 1.4:xxxxxx1 | error starting container! | failed!"), "{text}");
    assert_eq!(text.matches("aborted!").count(), 4);
    assert_eq!(rows.count(RowState::Failed), 1);
}

#[test]
fn a_failed_login_fails_all_that_need_it() {
    let world = "atlantic:\npacific: | reg:5000/shop/web:2.1\n東京: | reg:5000/shop/web:2.1";
    let plan = plan(&environment(SHOP), world, &Intent::Pull);
    let hands = Hands::default();
    let mut rows = Rows::new(plan.clone(), hands.clock().now());
    let script = fail_at("log in", || Failure::Engine(refused("atlantic", "logging in to https://reg:5000")));
    play(&plan, &hands, script, |event| {
        rows.apply(event, hands.clock().elapsed());
    });
    let states: Vec<_> = rows.rows().iter().map(|r| (r.instance.as_str(), r.state)).collect();
    assert!(states.iter().all(|(_, state)| *state == RowState::Failed), "{states:?}");
    assert!(rows.rows().iter().all(|r| r.trouble.is_some()), "each says why");
}

#[test]
fn an_interrupt_leaves_what_was_not_begun() {
    let plan = plan(&environment(SHOP), EMPTY, &START);
    let script = |step: &str| if step.contains("create db-1") { Play::Interrupt } else { Play::Ok };
    let (text, rows) = story(&plan, script);
    assert_eq!(rows.count(RowState::Done), 1, "what was under way is finished");
    assert_eq!(rows.count(RowState::Interrupted), 4);
    assert!(rows.is_interrupted());
    assert!(text.contains("2 web-1 aborted!"), "{text}");
}

#[test]
fn what_was_cut_off_says_so() {
    let plan = plan(&environment(SHOP), EMPTY, &START);
    let mut rows = Rows::new(plan.clone(), Hands::default().clock().now());
    let mut run = Run::new(plan);
    for step in run.take_ready() {
        rows.apply(&Event::StepStarted { step }, Duration::from_secs(1));
    }
    rows.apply(&Event::RunFinished { summary: RunSummary::default() }, Duration::from_secs(3));
    assert_eq!(rows.rows()[0].results[0].text, "interrupted!");
    assert_eq!(rows.count(RowState::Interrupted), 5);
    assert_eq!(rows.abandoned(), 1, "a call of which nothing was heard any more");
    let busy: Vec<_> = rows.busy().into_iter().map(|(ship, busy)| (ship.as_str(), busy)).collect();
    assert_eq!(busy, [("atlantic", Duration::from_secs(2))]);
}

#[test]
fn retries_and_shared_pulls_are_told() {
    let world = "atlantic:\npacific:\n東京:";
    let plan = plan(&environment(SHOP), world, &START);
    let mut rows = Rows::new(plan.clone(), Hands::default().clock().now());
    let pull = plan
        .ids()
        .find(|id| {
            plan.unit_of(*id).is_some_and(|u| u.to_string() == "image reg:5000/shop/web:2.1 on pacific")
        })
        .unwrap();
    assert_eq!(
        rows.apply(&Event::StepStarted { step: pull }, Duration::ZERO),
        [2, 3],
        "one pull, two instances"
    );
    let retry = News::Retry {
        attempt: 1,
        error: EngineError {
            ship: "pacific".into(),
            operation: "pulling".into(),
            kind: EngineErrorKind::Registry {
                message: "slow down".into(),
                status: Some(429),
                answered: None,
                retry_after: None,
            },
            ambiguous: false,
        },
        pause: Duration::from_millis(1500),
    };
    rows.apply(&Event::StepProgress { step: pull, news: retry }, Duration::ZERO);
    let pending = rows.rows()[3].pending.as_ref().unwrap();
    assert_eq!(pending.text, "pulling image shop/web:2.1... got 429; retrying in 1.5s");
    for (percent, shown) in [(40.0, "... 40.0%"), (30.0, "... 40.0%"), (99.96, "... 100.0%")] {
        let news = News::Pull(Progress { percent, ..Progress::default() });
        rows.apply(&Event::StepProgress { step: pull, news }, Duration::ZERO);
        let text = &rows.rows()[2].pending.as_ref().unwrap().text;
        assert!(text.ends_with(shown), "{text}: never falls");
    }
    assert_eq!(rows.pulls().count(), 1);
    let done = StepOutcome::Done(CallOutcome::Pulled { changed: true });
    rows.apply(&Event::StepFinished { step: pull, outcome: done, took: Duration::ZERO }, Duration::ZERO);
    assert_eq!(rows.pulls().count(), 0);
    assert_eq!(rows.rows()[2].state, RowState::Waiting, "the image is there, the database is not");
}

use maestro_core::engine_error::{EngineError, EngineErrorKind};
