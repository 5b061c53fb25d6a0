//! A plan, shown: what would be done to each instance, and on request every step.

use super::grid::{Grid, Widest};
use super::paint::Tone;
use super::printer::{Printer, Stream};
use super::signs::Signs;
use super::status::Output;
use super::text::clean;
use super::{list, rows, wire};
use maestro_core::names::{BalancerName, ContainerId};
use maestro_core::plan::{
    Action, Blocked, EngineCall, Fate, Intent, Item, Outage, Plan, Reason, Settled, StepId, Unit,
};
use maestro_core::status::span;
use std::collections::{BTreeMap, BTreeSet};

/// Prints a plan in the form asked for; `full` is every step of it. `balancers` would be told something without it.
pub fn print(printer: &Printer, plan: &Plan, balancers: &BTreeSet<BalancerName>, output: Output, full: bool) {
    match output {
        Output::Table => {
            printer.data(&table(printer, plan));
            printer.data(&changes(plan));
            printer.data(&trials(plan));
            printer.data(&hooks(plan));
            printer.data(&outages(plan));
            if full {
                printer.data(&steps(plan));
            }
            printer.talk(&summary(plan));
        }
        Output::Name => {
            let acts = plan.items.iter().filter(|item| matches!(item.fate, Fate::Act { .. }));
            printer.data(&acts.fold(String::new(), |text, item| text + item.instance.as_str() + "\n"));
        }
        Output::Json | Output::Jsonl | Output::Yaml => {
            printer.data(&wire::one(output, &wire::Plan::from(plan).telling(balancers)));
        }
    }
}

fn table(printer: &Printer, plan: &Plan) -> String {
    let (capabilities, paint) = (printer.capabilities(), printer.paint(Stream::Out));
    let containers: Vec<String> = plan.items.iter().map(container).collect();
    let mut widest = Widest::default();
    for (item, container) in plan.items.iter().zip(&containers) {
        widest.add(item.instance.as_str(), item.service.as_str(), item.ship.as_str(), container);
    }
    // In a pipe nothing is cut.
    let columns = if capabilities.out_is_tty { capabilities.columns } else { usize::MAX };
    let grid = Grid::new(widest, columns, Signs { paint, unicode: capabilities.unicode });
    let mut text = grid.header("PLAN") + "\n";
    for (at, (item, container)) in plan.items.iter().zip(&containers).enumerate() {
        let number = if rows::counts_down(&plan.intent) { plan.items.len() - at } else { at + 1 };
        let names = [item.instance.as_str(), item.service.as_str(), item.ship.as_str(), container];
        text.push_str(&grid.row(number, names, false).open());
        let (tone, what) = fate(plan, item);
        paint.push(&mut text, tone, &what);
        text.push('\n');
    }
    text
}

fn container(item: &Item) -> String {
    let image = item.container.as_ref().map_or(&item.image, |seen| &seen.image);
    format!(
        "{}:{}",
        image.shown_version(),
        item.container.as_ref().map(|seen| &seen.id).map_or("-", ContainerId::short)
    )
}

/// What becomes of an instance, in words.
fn fate(plan: &Plan, item: &Item) -> (Tone, String) {
    match &item.fate {
        Fate::Act { steps, because, hindrance } => {
            let what = verbs(plan, steps);
            let mut text = match because {
                // Nobody has to be told what was asked for.
                Reason::Asked | Reason::Refresh => what,
                because => format!("{what}: {because}"),
            };
            if let Some(why) = hindrance {
                text = format!("{text}; stopped first, since {why}");
            }
            (Tone::Good, clean(&text).into_owned())
        }
        // The ship has a column.
        Fate::Settled(Settled::HostDown(error)) => {
            (Tone::Warn, clean(&format!("cannot be seen: {}", error.kind)).into_owned())
        }
        Fate::Blocked(Blocked::Ship(error)) => {
            (Tone::Bad, clean(&format!("blocked: {}", error.kind)).into_owned())
        }
        Fate::Waits { .. } => (Tone::Warn, clean(&waits(item)).into_owned()),
        Fate::Settled(settled) => (Tone::Calm, clean(&settled.to_string()).into_owned()),
        Fate::Blocked(blocked) => (Tone::Bad, clean(&format!("blocked: {blocked}")).into_owned()),
    }
}

/// That an instance waits for others to be tried.
fn waits(item: &Item) -> String {
    match &item.fate {
        Fate::Waits { canaries, because } => {
            format!("waits for the {canaries} of {} tried first: {because}", item.service)
        }
        Fate::Act { .. } | Fate::Settled(_) | Fate::Blocked(_) => String::new(),
    }
}

/// What is done, one word for each kind of step, in its order.
fn verbs(plan: &Plan, steps: &[StepId]) -> String {
    let is_hook = |id: &&StepId| matches!(plan.unit_of(**id), Some(Unit::Hook { .. }));
    let own = || steps.iter().filter(move |id| !is_hook(id));
    let actions = || own().filter_map(|id| plan.step(*id)).map(|step| &step.action);
    let checks = actions().filter(|action| matches!(action, Action::Check { .. })).count();
    let mut words: Vec<String> = Vec::new();
    for action in actions() {
        let word = match action {
            Action::Call(call) => match call {
                EngineCall::Login { .. } | EngineCall::RemoveImage { .. } | EngineCall::SetRestart { .. } => {
                    continue;
                }
                EngineCall::PullImage { .. } => "pull".to_owned(),
                EngineCall::CreateContainer { .. } => "create".to_owned(),
                EngineCall::StartContainer { .. } => "start".to_owned(),
                EngineCall::StopContainer { .. } => "stop".to_owned(),
                EngineCall::KillContainer { .. } => "kill".to_owned(),
                EngineCall::RenameContainer { .. } => "rename".to_owned(),
                EngineCall::RemoveContainer { .. } => "remove".to_owned(),
            },
            Action::Check { .. } if checks == 1 => "check".to_owned(),
            Action::Check { .. } => format!("{checks} checks"),
            Action::Delay { pause, .. } => format!("wait {}s", pause.as_secs_f64()),
            Action::Route { change, .. } if !change.drain.is_empty() && change.admit.is_empty() => {
                "drain".to_owned()
            }
            Action::Route { change, .. } if !change.admit.is_empty() => "route".to_owned(),
            Action::Route { .. }
            | Action::Provide { .. }
            | Action::Await { .. }
            | Action::Finish { .. }
            | Action::Local { .. }
            | Action::Reached => continue,
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

/// In which attributes containers differ from what they are to be, once for all that do so alike; one difference is told
/// in the table.
fn changes(plan: &Plan) -> String {
    let mut alike: Vec<(String, Vec<&str>)> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for item in &plan.items {
        let (Fate::Act { because: Reason::Differs(changes), .. }
        | Fate::Waits { because: Reason::Differs(changes), .. }) = &item.fate
        else {
            continue;
        };
        if changes.len() > 1 {
            let lines = changes.iter().map(|change| format!("  {}\n", clean(&change.to_come())));
            let lines: String = lines.collect();
            let at = *known.entry(lines.clone()).or_insert(alike.len());
            match alike.get_mut(at) {
                Some((_, instances)) => instances.push(item.instance.as_str()),
                None => alike.push((lines, vec![item.instance.as_str()])),
            }
        }
    }
    let mut text = String::new();
    for (changes, instances) in alike {
        text.push_str(&clean(&list(&instances)));
        text.push_str(":\n");
        text.push_str(&changes);
    }
    text
}

/// What canaries get of the requests.
fn trials(plan: &Plan) -> String {
    plan.trials.iter().fold(String::new(), |text, trial| text + &clean(&trial.to_string()) + "\n")
}

/// What is run besides, and what is left of that and removed.
fn hooks(plan: &Plan) -> String {
    let hooks = plan.ids().filter_map(|id| {
        let Unit::Hook { hook, ship } = plan.unit_of(id)? else { return None };
        match (&plan.step(id)?.action, &plan.intent, ship) {
            (Action::Finish { hook: task, .. } | Action::Local { hook: task, .. }, ..) => {
                Some(format!("{} {}: {task}\n", hook.when.key(), hook.service))
            }
            (Action::Call(call), Intent::Clean, Some(ship)) => Some(format!("{call} on {ship}\n")),
            _ => None,
        }
    });
    hooks.fold(String::new(), |text, hook| text + &clean(hook.trim_end()) + "\n")
}

/// What does not serve meanwhile, a line for each service.
fn outages(plan: &Plan) -> String {
    let line = |outage: Outage| {
        let Outage { service, instances, at_once, stay, .. } = &outage;
        let goes = match instances {
            1 => "1 instance goes down".to_owned(),
            all => format!("{all} instances go down, up to {at_once} at a time"),
        };
        let waits = format!("for up to {} and what the engines take", span(outage.seconds()));
        let back = match (*stay, *instances) {
            (0, 1) => waits,
            (0, _) => format!("each {waits}"),
            (stay, all) if stay == all => "and not up again".to_owned(),
            (stay, _) => format!("{stay} of them not up again, the others {waits}"),
        };
        clean(&format!("{service}: {goes}, {back}")).into_owned() + "\n"
    };
    plan.outages().into_iter().map(line).collect()
}

/// Every step, below the table.
fn steps(plan: &Plan) -> String {
    plan.ids()
        .filter_map(|id| plan.step_text(id))
        .fold(String::new(), |text, step| text + &clean(&step) + "\n")
}

/// What it comes to, in one line.
fn summary(plan: &Plan) -> String {
    let verb = match plan.intent {
        Intent::Start { .. } => "to start",
        Intent::Stop => "to stop",
        Intent::Kill => "to kill",
        Intent::Restart(_) => "to restart",
        Intent::Pull => "to pull",
        Intent::Clean => "to remove",
        Intent::Deploy { .. } => "to deploy",
    };
    let count = |test: &dyn Fn(&Fate) -> bool| plan.items.iter().filter(|item| test(&item.fate)).count();
    let act = count(&|fate| matches!(fate, Fate::Act { .. }));
    let gone = plan.items.iter().filter(|item| item.goes()).count();
    let parts = [
        (act - gone, verb),
        (gone, "to stop"),
        (count(&|fate| matches!(fate, Fate::Settled(_))), "unchanged"),
        (count(&|fate| matches!(fate, Fate::Waits { .. })), "waiting"),
        (count(&|fate| matches!(fate, Fate::Blocked(_))), "blocked"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let ships: BTreeSet<_> = plan.units.iter().filter_map(Unit::ship).collect();
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    if plan.items.is_empty() {
        "nothing was selected".to_owned()
    } else if plan.steps.is_empty() {
        format!("{}; nothing would be done", parts.join(", "))
    } else {
        let (steps, ships) = (many(plan.steps.len(), "step"), many(ships.len(), "ship"));
        format!("{}, in {steps} on {ships}; nothing has been done", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Capabilities;
    use crate::report::testing::{RUNNING, SHOP, START, environment, plan};

    const WORLD: &str = "atlantic: db-1 exited reg:5000/shop/db:1.4 | reg:5000/shop/db:1.4
        pacific: web-3 running reg:5000/shop/web:2.1 |
        東京: down";

    fn shown(intent: &Intent, world: &str, output: Output, full: bool) -> (String, String) {
        let (printer, captured) = Printer::captured(Capabilities::plain(80));
        print(&printer, &plan(&environment(SHOP), world, intent), &BTreeSet::new(), output, full);
        (captured.stdout(), captured.stderr())
    }

    #[test]
    fn each_instance_is_a_line() {
        let (out, err) = shown(&START, WORLD, Output::Table, false);
        insta::assert_snapshot!(out, @"
        #  INSTANCE SERVICE SHIP     CONTAINER   PLAN
        1. db-1     db      atlantic 1.4:0dd0000 remove, create, start: the container does not run
        2. web-1    web     atlantic 2.1:-       pull, create, start, check: there is no container
        3. web-2    web     pacific  2.1:-       pull, create, start, check: there is no container
        4. web-3    web     pacific  2.1:0dd0000 is up
        5. web-4    web     東京     2.1:-       blocked: host down: tcp://192.0.2.2:2375: connection refused
        ");
        assert_eq!(
            err,
            "3 to start, 1 unchanged, 1 blocked, in 16 steps on 2 ships; nothing has been done\n"
        );
        let (out, err) = shown(&Intent::Stop, RUNNING, Output::Table, false);
        insta::assert_snapshot!(out + &err, @"
          #  INSTANCE SERVICE SHIP     CONTAINER   PLAN
          5. web-1    web     atlantic 2.0:0dd0000 stop
          4. web-2    web     pacific  2.0:0dd0000 stop
          3. web-3    web     pacific  2.0:0dd0000 stop
          2. web-4    web     東京     2.0:0dd0000 stop
          1. db-1     db      atlantic 1.4:0dd0000 stop
        web: 4 instances go down, up to 4 at a time, and not up again
        db: 1 instance goes down, and not up again
        5 to stop, in 11 steps on 3 ships; nothing has been done
        ");
        let (_, err) = shown(&Intent::Clean, RUNNING, Output::Table, false);
        assert_eq!(err, "5 unchanged; nothing would be done\n");
    }

    #[test]
    fn every_step_is_there_on_request() {
        let (out, _) = shown(&START, WORLD, Output::Table, true);
        let (table, _) = shown(&START, WORLD, Output::Table, false);
        insta::assert_snapshot!(out.strip_prefix(&table).unwrap(), @"
         1. db-1 on atlantic: remove db-1
         2. db-1 on atlantic: create db-1 from reg:5000/shop/db:1.4 [after 1]
         3. db-1 on atlantic: start db-1 [after 2]
         4. db-1 on atlantic: wait until db-1 is running [after 3]
         5. registry main on atlantic: log in to https://reg:5000 as ci
         6. image reg:5000/shop/web:2.1 on atlantic: pull reg:5000/shop/web:2.1 [after 5]
         7. web-1 on atlantic: create web-1 from reg:5000/shop/web:2.1 [after 4 6]
         8. web-1 on atlantic: start web-1 [after 7]
         9. web-1 on atlantic: wait until web-1 is running [after 8]
        10. web-1 on atlantic: running check http [after 9]
        11. registry main on pacific: log in to https://reg:5000 as ci
        12. image reg:5000/shop/web:2.1 on pacific: pull reg:5000/shop/web:2.1 [after 11]
        13. web-2 on pacific: create web-2 from reg:5000/shop/web:2.1 [after 4 12]
        14. web-2 on pacific: start web-2 [after 13]
        15. web-2 on pacific: wait until web-2 is running [after 14]
        16. web-2 on pacific: running check http [after 15]
        ");
    }

    #[test]
    fn names_are_of_those_that_something_is_done_to() {
        assert_eq!(shown(&START, WORLD, Output::Name, false).0, "db-1\nweb-1\nweb-2\n");
    }
}
