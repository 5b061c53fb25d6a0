//! Runs without engines, for tests of reporters: real plans of small worlds, carried out by a script.

use super::{Capabilities, Captured, Clock, Printer};
use maestro_core::boundary::{CallOutcome, CheckFailure, Progress};
use maestro_core::config::{Limits as TextLimits, load};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::event::{Event, Failure, News, StepOutcome};
use maestro_core::fleet::{
    ContainerState, EngineState, EngineVersion, FleetSnapshot, ObservedContainer, ObservedImage, ShipView,
};
use maestro_core::image::ImageRef;
use maestro_core::model::{ApiVersion, Environment, LABEL_ENVIRONMENT};
use maestro_core::names::{ContainerId, ImageId, ShipName};
use maestro_core::plan::{Action, EngineCall, Intent, Limits, Plan, StepId};
use maestro_core::run::Run;
use maestro_core::select::{Selector, select};
use maestro_core::source::MapSources;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const START: Intent = Intent::Start { refresh: false, reuse: false };

/// Two services that need each other's names to be read with care, on three ships.
pub(super) const SHOP: &str = "
__maestro: {schema: 2}
name: shop
registries: {main: {registry: 'https://reg:5000', username: ci, password: hunter2}}
ships: {atlantic: {ip: 192.0.2.1}, pacific: {ip: 192.0.2.2}, 東京: {ip: 192.0.2.3}}
services:
  db: {image: 'reg:5000/shop/db:1.4', instances: {db-1: {ship: atlantic}}}
  web:
    image: 'reg:5000/shop/web:2.1'
    requires: [db]
    ports: {http: 80}
    lifecycle:
      running: [{type: http, port: http, path: /healthz, max_wait: 5}]
    instances:
      web-1: {ship: atlantic}
      web-2: {ship: pacific}
      web-3: {ship: pacific}
      web-4: {ship: 東京}
";

/// Two instances on two ships.
pub(super) const PAIR: &str =
    "{name: pair, ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}, services: {s: {image: x:1,
    instances: {x-1: {ship: a}, x-2: {ship: b}}}}}";

/// All images of `SHOP` and nothing else.
pub(super) const EMPTY: &str = "
atlantic: | reg:5000/shop/db:1.4 reg:5000/shop/web:2.1
pacific: | reg:5000/shop/web:2.1
東京: | reg:5000/shop/web:2.1
";

/// All of `SHOP`, running an older release.
pub(super) const RUNNING: &str = "
atlantic: db-1 running reg:5000/shop/db:1.4, web-1 running reg:5000/shop/web:2.0 | reg:5000/shop/db:1.4 reg:5000/shop/web:2.1
pacific: web-2 running reg:5000/shop/web:2.0, web-3 running reg:5000/shop/web:2.0 | reg:5000/shop/web:2.1
東京: web-4 running reg:5000/shop/web:2.0 | reg:5000/shop/web:2.1
";

pub(super) fn environment(text: &str) -> Environment {
    let loaded = load(&MapSources::of(text), &TextLimits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

/// One line per ship: `a: db-1 running db:1, old exited x:1 | image:tag other:tag`, or `b: down`.
pub(super) fn fleet(text: &str) -> FleetSnapshot {
    let mut ships = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (name, rest) = line.split_once(':').unwrap();
        let ship = ShipName::from(name);
        let view = if rest.trim() == "down" {
            ShipView::Unreachable(refused(name, "listing containers"))
        } else {
            let (containers, images) = rest.split_once('|').unwrap_or((rest, ""));
            ShipView::Reachable(Arc::new(EngineState {
                version: EngineVersion {
                    engine: "28.5".into(),
                    api: ApiVersion::NEWEST,
                    min_api: Some(ApiVersion::OLDEST),
                },
                containers: containers
                    .split(',')
                    .filter(|c| !c.trim().is_empty())
                    .map(container)
                    .map(|c| (c.name.clone(), c))
                    .collect(),
                images: Some(images.split_whitespace().map(image).collect()),
                image_configs: BTreeMap::new(),
                defaults: None,
            }))
        };
        ships.insert(ship, view);
    }
    FleetSnapshot { ships }
}

fn container(text: &str) -> ObservedContainer {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, state, image] = words[..] else { panic!("{text}") };
    let (state, owner) = state.split_once('@').unwrap_or((state, "shop"));
    ObservedContainer {
        id: ContainerId::new(format!("0dd{:0>61}", name.len())),
        name: name.into(),
        state: ContainerState::parse(state).unwrap(),
        health: None,
        image: ImageRef::parse(image),
        image_id: ImageId::new(format!("sha256:{image}")),
        labels: BTreeMap::from([(LABEL_ENVIRONMENT.to_owned(), owner.to_owned())]),
        started_at: Some("2026-11-21T11:00:00Z".parse().unwrap()),
        finished_at: Some("2026-11-21T11:30:00Z".parse().unwrap()),
        exit_code: None,
        restarts: None,
        ports: std::collections::BTreeMap::new(),
        configuration: None,
    }
}

fn image(text: &str) -> ObservedImage {
    ObservedImage {
        id: ImageId::new(format!("sha256:{text}")),
        tags: vec![text.to_owned()],
        digests: Vec::new(),
    }
}

pub(super) fn refused(ship: &str, operation: &str) -> EngineError {
    EngineError {
        ship: ship.into(),
        operation: operation.into(),
        kind: EngineErrorKind::Unreachable {
            address: "tcp://192.0.2.2:2375".into(),
            cause: "connection refused".into(),
        },
        ambiguous: false,
    }
}

pub(super) fn check_failed() -> Failure {
    Failure::Check(CheckFailure {
        check: "http 192.0.2.2:80/healthz".into(),
        attempts: 5,
        last: "HTTP 503".into(),
    })
}

pub(super) fn plan(environment: &Environment, world: &str, intent: &Intent) -> Arc<Plan> {
    let selection = select(environment, &Selector::default(), intent.selection_rules()).unwrap();
    Arc::new(maestro_core::planner::plan(environment, &fleet(world), intent, &selection, Limits::default()))
}

/// What the script makes of a step.
pub(super) enum Play {
    Ok,
    Fail(Failure),
    /// The user interrupts while the step runs, which then ends well.
    Interrupt,
}

/// A clock that stands still unless it is told to go on.
#[derive(Clone, Default)]
pub(super) struct Hands(Arc<Mutex<Duration>>);

impl Hands {
    pub(super) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }

    pub(super) fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    pub(super) fn clock(&self) -> Clock {
        let now: jiff::Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let (wall, mono) = (self.clone(), self.clone());
        Clock {
            now: Arc::new(move || now + *wall.0.lock().unwrap()),
            elapsed: Arc::new(move || *mono.0.lock().unwrap()),
        }
    }
}

/// Carries a plan out: steps that may run side by side all begin, then end one after another. A pull takes three
/// seconds in four pieces, everything else one.
pub(super) fn play(
    plan: &Arc<Plan>,
    hands: &Hands,
    mut script: impl FnMut(&str) -> Play,
    mut tell: impl FnMut(&Event),
) {
    let mut run = Run::new(plan.clone());
    let mut made = 0;
    tell(&Event::RunStarted { plan: plan.clone() });
    loop {
        let ready = run.take_ready();
        if ready.is_empty() {
            break;
        }
        for step in &ready {
            tell(&Event::StepStarted { step: *step });
        }
        for step in ready {
            let action = &plan.step(step).unwrap().action;
            let text = format!("{}: {action}", plan.unit_of(step).unwrap());
            let outcome = match script(&text) {
                Play::Fail(failure) => {
                    hands.advance(Duration::from_secs(1));
                    StepOutcome::Failed(failure)
                }
                how => {
                    if let Play::Interrupt = how {
                        tell(&Event::Interrupted);
                        for (step, because) in run.interrupt() {
                            tell(&Event::StepSkipped { step, because });
                        }
                    }
                    StepOutcome::Done(succeed(action, step, hands, &mut made, &mut tell))
                }
            };
            let skipped = run.finish(step, &outcome);
            tell(&Event::StepFinished { step, outcome, took: Duration::from_secs(1) });
            for (step, because) in skipped {
                tell(&Event::StepSkipped { step, because });
            }
        }
    }
    assert!(run.is_over());
    tell(&Event::RunFinished { summary: run.summary(Duration::from_secs(42)) });
}

fn succeed(
    action: &Action,
    step: StepId,
    hands: &Hands,
    made: &mut u32,
    tell: &mut impl FnMut(&Event),
) -> CallOutcome {
    match action {
        Action::Call(EngineCall::PullImage { .. }) => {
            for quarter in 1..=4u8 {
                hands.advance(Duration::from_millis(750));
                let progress = Progress {
                    current: u64::from(quarter) * 5_000_000,
                    total: 20_000_000,
                    percent: f32::from(quarter) * 25.0,
                    layers_done: usize::from(quarter),
                    layers: 4,
                };
                tell(&Event::StepProgress { step, news: News::Pull(progress) });
            }
            CallOutcome::Pulled { changed: true }
        }
        Action::Call(EngineCall::CreateContainer { .. }) => {
            hands.advance(Duration::from_secs(1));
            *made += 1;
            CallOutcome::Created(ContainerId::new(format!("{made:x>7}{:0>57}", "")))
        }
        _ => {
            hands.advance(Duration::from_secs(1));
            CallOutcome::Done
        }
    }
}

/// What one of the reporters makes of a run: standard output and standard error.
pub(super) fn report(
    plan: &Arc<Plan>,
    columns: usize,
    make: impl FnOnce(Printer, Clock) -> Box<dyn maestro_core::event::Reporter>,
    script: impl FnMut(&str) -> Play,
) -> Captured {
    let hands = Hands::default();
    let (printer, captured) = Printer::captured(Capabilities::plain(columns));
    let mut reporter = make(printer, hands.clock());
    play(plan, &hands, script, |event| reporter.event(event));
    captured
}

/// Text between marks, so that blanks at both ends of its lines are seen and kept.
pub(super) fn framed(text: &str) -> String {
    text.lines().map(|line| format!("|{line}|")).collect::<Vec<_>>().join("\n")
}
