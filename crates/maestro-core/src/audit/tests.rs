//! What is told of runs, as text.

use super::*;
use crate::boundary::{CallOutcome, CheckFailure};
use crate::config::{Limits as TextLimits, load};
use crate::engine_error::{EngineError, EngineErrorKind};
use crate::event::Failure;
use crate::fleet::FleetSnapshot;
use crate::plan::{Action, EngineCall, Limits, Restart};
use crate::planner::{plan, tests as worlds};
use crate::run::Run;
use crate::select::{Selector, select};
use crate::source::MapSources;
use std::fmt::Write as _;
use std::time::Duration;

const SHOP: &str = "
__maestro: {schema: 2}
name: shop
registries: {main: {registry: 'https://reg:5000', username: ci, password: pw}}
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}
services:
  db: {image: 'reg:5000/db:1', lifecycle: {pre-stop: [{type: sleep, wait: 1}, {type: health}]}, instances: {db-1: {ship: a}}}
  web: {image: 'web:1', requires: [db], instances: {web-1: {ship: a}, web-2: {ship: b}}}
";

fn shop() -> Environment {
    load(&MapSources::of(SHOP), &TextLimits::default()).environment.unwrap()
}

/// `db-1 running, web-2 exited` on their ships, with all images or none; `b down` for a ship that is.
fn fleet(containers: &str, has_images: bool) -> FleetSnapshot {
    let words: Vec<Vec<&str>> = containers.split(',').map(|one| one.split_whitespace().collect()).collect();
    let images = if has_images { "reg:5000/db:1 web:1" } else { "" };
    let environment = shop();
    let mut text = String::new();
    for ship in environment.ships.keys() {
        if words.iter().any(|words| *words == [ship.as_str(), "down"]) {
            writeln!(text, "{ship}: down").unwrap();
            continue;
        }
        let here = words.iter().filter_map(|words| {
            let [name, state] = words[..] else { return None };
            let instance = environment.instances.get(name).filter(|instance| instance.ship == *ship)?;
            Some(format!("{name} {state} {}", instance.image))
        });
        writeln!(text, "{ship}: {} | {images}", here.collect::<Vec<_>>().join(", ")).unwrap();
    }
    worlds::fleet(&text)
}

fn planned(fleet: &FleetSnapshot, intent: &Intent, selected_by: &Intent) -> Arc<Plan> {
    let environment = shop();
    let selection = select(&environment, &Selector::default(), selected_by.selection_rules()).unwrap();
    Arc::new(plan(&environment, fleet, intent, &selection, Limits::default()))
}

/// What was told so far.
struct Heard {
    play: Play,
    text: String,
}

impl Heard {
    fn of(plan: &Plan, intent: &Intent) -> Self {
        let mut heard = Self { play: Play::new(&shop(), intent, plan, "ops"), text: String::new() };
        heard.write(heard.play.begins());
        heard
    }

    fn write(&mut self, told: impl IntoIterator<Item = Notification>) {
        for notification in told {
            let line = notification.log_line();
            writeln!(self.text, "{}: {}", line.level, line.text).unwrap();
        }
    }

    fn hear(&mut self, event: &Event) {
        let told = self.play.hear(event);
        self.write(told);
    }

    /// Carries out a plan whose steps end like this; interrupted once before so many steps.
    fn run(
        &mut self,
        plan: &Arc<Plan>,
        interrupted_after: usize,
        ends: impl Fn(&Action) -> StepOutcome,
    ) -> bool {
        let mut run = Run::new(plan.clone());
        self.hear(&Event::RunStarted { plan: plan.clone() });
        let mut done = 0;
        while !run.is_over() {
            for step in run.take_ready() {
                let action = &plan.step(step).unwrap().action;
                self.hear(&Event::StepStarted { step });
                let outcome = ends(action);
                let mut skipped = run.finish(step, &outcome);
                self.hear(&Event::StepFinished { step, outcome, took: Duration::ZERO });
                done += 1;
                if done == interrupted_after {
                    self.hear(&Event::Interrupted);
                    skipped.extend(run.interrupt());
                }
                for (step, because) in skipped {
                    self.hear(&Event::StepSkipped { step, because });
                }
            }
        }
        let summary = run.summary(Duration::ZERO);
        let success = summary.is_success();
        self.hear(&Event::RunFinished { summary });
        success
    }
}

fn told(world: &FleetSnapshot, intent: &Intent, ends: impl Fn(&Action) -> StepOutcome) -> String {
    let plan = planned(world, intent, intent);
    let mut heard = Heard::of(&plan, intent);
    heard.run(&plan, usize::MAX, ends);
    heard.text
}

fn well(_: &Action) -> StepOutcome {
    StepOutcome::Done(CallOutcome::Done)
}

fn badly(last: &str) -> StepOutcome {
    StepOutcome::Failed(Failure::Check(CheckFailure { check: "tcp".into(), attempts: 1, last: last.into() }))
}

fn refused(ship: &str, operation: &str) -> StepOutcome {
    let kind = EngineErrorKind::Protocol("no".into());
    let error = EngineError { ship: ship.into(), operation: operation.into(), kind, ambiguous: false };
    StepOutcome::Failed(Failure::Engine(error))
}

const START: Intent = Intent::Start { refresh: false, reuse: false };

#[test]
fn a_play_and_its_tasks_in_the_order_in_which_things_happen() {
    insta::assert_snapshot!(told(&fleet("", false), &START, well), @"
    INFO: ops is starting db-1, web-1, web-2.
    DEBUG: ops is starting db-1.
    DEBUG: Start of db-1 succeeded.
    DEBUG: ops is starting web-1.
    DEBUG: ops is starting web-2.
    DEBUG: Start of web-1 succeeded.
    DEBUG: Start of web-2 succeeded.
    INFO: Start of db-1, web-1, web-2 succeeded.
    ");
}

/// maestro-ng tells of every play.
#[test]
fn what_is_up_to_date_is_told_too() {
    let running = fleet("db-1 running, web-1 running, web-2 running", true);
    insta::assert_snapshot!(told(&running, &START, well), @"
    INFO: ops is starting db-1, web-1, web-2.
    DEBUG: ops is starting db-1.
    DEBUG: Start of db-1 succeeded.
    DEBUG: ops is starting web-1.
    DEBUG: Start of web-1 succeeded.
    DEBUG: ops is starting web-2.
    DEBUG: Start of web-2 succeeded.
    INFO: Start of db-1, web-1, web-2 succeeded.
    ");
}

#[test]
fn a_failure_is_told_of_the_task_and_of_the_play_and_not_of_what_waited_for_it() {
    let ends = |action: &Action| match action {
        Action::Call(EngineCall::StartContainer { target }) if target.name().as_str() == "db-1" => {
            badly("nobody listens")
        }
        action => well(action),
    };
    insta::assert_snapshot!(told(&fleet("", true), &START, ends), @"
    INFO: ops is starting db-1, web-1, web-2.
    DEBUG: ops is starting db-1.
    ERROR: Failed to start db-1! (message: tcp check failed after 1 attempt: nobody listens)
    ERROR: Failed to start db-1, web-1, web-2! (message: db-1: tcp check failed after 1 attempt: nobody listens)
    ");
}

/// The login is nobody's own, the pull is shared: their failure is that of whoever needs them.
#[test]
fn what_instances_share_fails_for_them() {
    for operation in ["login", "pull"] {
        let ends = |action: &Action| match action {
            Action::Call(EngineCall::Login { .. }) if operation == "login" => refused("a", operation),
            Action::Call(EngineCall::PullImage { auth: Some(_), .. }) if operation == "pull" => {
                refused("a", operation)
            }
            action => well(action),
        };
        let text = told(&fleet("", false), &Intent::Pull, ends);
        let expected = format!("ERROR: Failed to pull db-1! (message: ship a: {operation}: ");
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains("DEBUG: Pull of web-2 succeeded."), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("pulling db-1.")).count(), 1, "{text}");
        let started = told(&fleet("", false), &START, ends);
        assert!(started.contains("DEBUG: ops is starting db-1.\nERROR: Failed to start db-1!"), "{started}");
    }
}

#[test]
fn ships_that_are_down_and_containers_of_others() {
    insta::assert_snapshot!(told(&fleet("b down, db-1 running@theirs", true), &START, well), @"
    INFO: ops is starting db-1, web-1, web-2.
    DEBUG: ops is starting db-1.
    ERROR: Failed to start db-1! (message: a container of that name exists and is not ours: it is in the environment `theirs`)
    DEBUG: ops is starting web-2.
    ERROR: Failed to start web-2! (message: ship b: listing containers: host down: 192.0.2.2:2375: connection refused)
    ERROR: Failed to start db-1, web-1, web-2! (message: db-1: a container of that name exists and is not ours: it is in the environment `theirs`)
    ");
}

#[test]
fn what_no_program_could_be_started_with_fails_its_container() {
    let environment = worlds::talkative();
    let world = worlds::fleet("a: db-1 running db:1, web-1 running web:1 | db:1 web:1");
    let selection = select(&environment, &Selector::default(), START.selection_rules()).unwrap();
    let plan = Arc::new(plan(&environment, &world, &START, &selection, Limits::default()));
    let mut heard = Heard { play: Play::new(&environment, &START, &plan, "ops"), text: String::new() };
    heard.run(&plan, usize::MAX, well);
    assert!(
        heard.text.contains("ERROR: Failed to start db-2! (message: the variables of service"),
        "{}",
        heard.text
    );
}

/// A stop that is refused counts as done.
#[test]
fn tolerated_failures_are_successes() {
    let running = fleet("db-1 running, web-1 running, b down", true);
    let ends = |action: &Action| match action {
        Action::Call(EngineCall::StopContainer { .. }) => refused("a", "stopping"),
        action => well(action),
    };
    insta::assert_snapshot!(told(&running, &Intent::Stop, ends), @"
    INFO: ops is stopping web-1, web-2, db-1.
    DEBUG: ops is stopping web-2.
    DEBUG: Stop of web-2 succeeded.
    DEBUG: ops is stopping web-1.
    DEBUG: Stop of web-1 succeeded.
    DEBUG: ops is stopping db-1.
    DEBUG: Stop of db-1 succeeded.
    INFO: Stop of web-1, web-2, db-1 succeeded.
    ");
}

/// Of checks side by side the first may fail while the second is under way.
#[test]
fn a_tolerated_failure_is_told_when_nothing_is_under_way() {
    let plan = planned(&fleet("db-1 running", true), &Intent::Stop, &Intent::Stop);
    let checks: Vec<StepId> =
        plan.ids().filter(|id| matches!(plan.step(*id).unwrap().action, Action::Check { .. })).collect();
    let mut heard = Heard::of(&plan, &Intent::Stop);
    heard.hear(&Event::RunStarted { plan: plan.clone() });
    for step in &checks {
        heard.hear(&Event::StepStarted { step: *step });
    }
    let end = |step: StepId, outcome| Event::StepFinished { step, outcome, took: Duration::ZERO };
    let before = heard.text.clone();
    heard.hear(&end(checks[0], badly("no")));
    assert_eq!(heard.text, before);
    heard.hear(&end(checks[1], StepOutcome::Done(CallOutcome::Done)));
    assert_eq!(heard.text.strip_prefix(&before), Some("DEBUG: Stop of db-1 succeeded.\n"));
}

/// There, what an image needs is all that is done for an instance: its login begins it.
#[test]
fn a_pull_begins_with_its_login() {
    let plan = planned(&fleet("", false), &Intent::Pull, &Intent::Pull);
    let login = plan
        .ids()
        .find(|id| matches!(plan.step(*id).unwrap().action, Action::Call(EngineCall::Login { .. })));
    let mut heard = Heard::of(&plan, &Intent::Pull);
    heard.hear(&Event::RunStarted { plan: plan.clone() });
    heard.hear(&Event::StepStarted { step: login.unwrap() });
    assert!(heard.text.ends_with("\nDEBUG: ops is pulling db-1.\n"), "{}", heard.text);
}

#[test]
fn an_interrupt_is_a_failure_of_the_play() {
    let plan = planned(&fleet("", true), &START, &START);
    let mut heard = Heard::of(&plan, &START);
    heard.run(&plan, 1, well);
    insta::assert_snapshot!(heard.text, @"
    INFO: ops is starting db-1, web-1, web-2.
    DEBUG: ops is starting db-1.
    DEBUG: Start of db-1 succeeded.
    ERROR: Failed to start db-1, web-1, web-2! (message: Manual abort)
    ");
}

#[test]
fn what_is_cut_off_is_not_told_of() {
    let plan = planned(&fleet("", true), &START, &START);
    let mut heard = Heard::of(&plan, &START);
    let ends = |_: &Action| StepOutcome::Failed(Failure::Interrupted);
    heard.hear(&Event::Interrupted);
    heard.run(&plan, usize::MAX, ends);
    insta::assert_snapshot!(heard.text, @"
    INFO: ops is starting db-1, web-1, web-2.
    DEBUG: ops is starting db-1.
    ERROR: Failed to start db-1, web-1, web-2! (message: Manual abort)
    ");
}

/// `restart --refresh-images --only-if-changed` is two runs and one play.
#[test]
fn a_pull_before_a_restart_is_part_of_it() {
    let restart = Intent::Restart(Restart { only_if_changed: true, ..Restart::default() });
    let running = fleet("db-1 running, web-1 running, web-2 running", true);
    let pull = planned(&running, &Intent::Pull, &restart);
    let second = planned(&running, &restart, &restart);
    let mut heard = Heard::of(&pull, &restart);
    assert!(heard.run(&pull, usize::MAX, well));
    assert!(heard.run(&second, usize::MAX, well));
    insta::assert_snapshot!(heard.text, @"
    INFO: ops is restarting web-1, web-2, db-1.
    DEBUG: ops is restarting web-1.
    DEBUG: Restart of web-1 succeeded.
    DEBUG: ops is restarting web-2.
    DEBUG: Restart of web-2 succeeded.
    DEBUG: ops is restarting db-1.
    DEBUG: Restart of db-1 succeeded.
    INFO: Restart of web-1, web-2, db-1 succeeded.
    ");
    let mut heard = Heard::of(&pull, &restart);
    let ends = |action: &Action| match action {
        Action::Call(EngineCall::PullImage { auth: Some(_), .. }) => refused("a", "pulling"),
        action => well(action),
    };
    assert!(!heard.run(&pull, usize::MAX, ends));
    insta::assert_snapshot!(heard.text, @"
    INFO: ops is restarting web-1, web-2, db-1.
    DEBUG: ops is restarting db-1.
    ERROR: Failed to restart db-1! (message: ship a: pulling: answer not understood: no)
    ERROR: Failed to restart web-1, web-2, db-1! (message: db-1: ship a: pulling: answer not understood: no)
    ");
    let mut heard = Heard::of(&pull, &restart);
    assert!(heard.run(&pull, usize::MAX, well));
    let end = heard.play.breaks_off(None);
    heard.write(end);
    let again = heard.play.breaks_off(Some("again".into()));
    heard.write(again);
    insta::assert_snapshot!(heard.text, @"
    INFO: ops is restarting web-1, web-2, db-1.
    ERROR: Failed to restart web-1, web-2, db-1! (message: Manual abort)
    ");
}

#[test]
fn nothing_is_told_of_nothing() {
    let mut plan = Arc::unwrap_or_clone(planned(&fleet("", true), &START, &START));
    (plan.items, plan.steps, plan.units) = (Vec::new(), Vec::new(), Vec::new());
    let mut heard = Heard::of(&plan, &START);
    heard.run(&Arc::new(plan), usize::MAX, well);
    assert_eq!(heard.text, "");
}

#[test]
fn there_is_never_more_to_tell_than_was_said() {
    let world = fleet("b down", false);
    for intent in [START, Intent::Stop, Intent::Kill, Intent::Pull, Intent::Clean] {
        let plan = planned(&world, &intent, &intent);
        let mut heard = Heard::of(&plan, &intent);
        heard.run(&plan, usize::MAX, |_| badly("x"));
        assert!(heard.text.lines().count() <= heard.play.most(), "{}", heard.text);
    }
}
