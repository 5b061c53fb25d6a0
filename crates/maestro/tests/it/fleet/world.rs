//! A fleet of pretended engines, and the straight line from a command to its summary.

use super::probe::ScriptedProbe;
use super::truth::{self, Before};
use super::watch::{Entry, Seen, Watch};
use super::watched::{Recorder, Watched};
use maestro::execute::{Means, execute};
use maestro::observe::{Engines, observe};
use maestro::report::Rows;
use maestro_core::boundary::Engine;
use maestro_core::check::lint;
use maestro_core::config::{Limits as TextLimits, load};
use maestro_core::event::RunSummary;
use maestro_core::model::{Environment, LABEL_CONFIG, LABEL_ENVIRONMENT, LABEL_INSTANCE, LABEL_SERVICE};
use maestro_core::names::{InstanceName, ShipName};
use maestro_core::plan::{Intent, Limits, Plan, Restart, StepId};
use maestro_core::planner::plan;
use maestro_core::select::{Selector, select};
use maestro_core::source::MapSources;
use maestro_testkit::clock::Clock;
use maestro_testkit::daemon::Setup;
use maestro_testkit::fake_engine::FakeEngine;
use maestro_testkit::state::{Behaviour, Content, CreateConfig, Registries};
use maestro_testkit::worlds::{Layout, PASSWORD, Prior, PriorImage, REGISTRY, USER};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(super) const START: Intent = Intent::Start { refresh: false, reuse: false };

/// No run of these tests may take longer by its own clock.
const LONGEST: Duration = Duration::from_hours(1);

/// A restart without options.
pub(super) fn restart() -> Intent {
    Intent::Restart(Restart::default())
}

/// Services and instances by name.
pub(super) fn named(things: &[&str]) -> Selector {
    Selector { things: things.iter().map(ToString::to_string).collect(), ..Selector::default() }
}

/// Runs a test under paused time.
pub(super) fn simulate<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
}

/// An environment and its fleet.
pub(super) struct World {
    pub(super) environment: Arc<Environment>,
    pub(super) ships: BTreeMap<ShipName, FakeEngine>,
    pub(super) registries: Registries,
    pub(super) probe: Arc<ScriptedProbe>,
    pub(super) limits: Limits,
    /// With this seed, every call takes a random time.
    pub(super) dawdle: Option<u64>,
}

/// What came of a command.
pub(super) struct Ran {
    pub(super) plan: Arc<Plan>,
    pub(super) summary: RunSummary,
    pub(super) rows: Rows,
    /// Standard error.
    pub(super) said: String,
    /// By the paused clock, observation included.
    pub(super) took: Duration,
    /// How long it went on after the last Ctrl-C.
    pub(super) after_press: Option<Duration>,
    pub(super) transcript: Vec<Entry>,
    /// Number of events, ticks not counted.
    pub(super) events: usize,
    pub(super) steps: Vec<Seen>,
    pub(super) touched: BTreeSet<InstanceName>,
    pub(super) breaches: Vec<String>,
}

impl World {
    /// The fleet of an environment file. Its registries have all images, its ships have none.
    pub(super) fn new(yaml: &str) -> Self {
        Self::with(yaml, |setup| setup)
    }

    /// The same with ships that are made to order.
    pub(super) fn with(yaml: &str, make: impl Fn(Setup) -> Setup) -> Self {
        let loaded = load(&MapSources::of(yaml), &TextLimits::default());
        let environment = loaded.environment.unwrap_or_else(|| panic!("{:?}\n{yaml}", loaded.diagnostics));
        let registries = Registries::none();
        for instance in environment.instances.values() {
            registries.push(instance.image.as_str(), &current(instance.image.as_str()));
        }
        registries.require_login(REGISTRY, USER, PASSWORD);
        let clock = Clock::fixed();
        let ships = environment.ships.keys().map(|name| {
            let setup = Setup::new(name.as_str()).clock(clock).registries(&registries);
            (name.clone(), FakeEngine::from(make(setup)))
        });
        Self {
            ships: ships.collect(),
            environment: Arc::new(environment),
            registries,
            probe: Arc::default(),
            limits: Limits::default(),
            dawdle: None,
        }
    }

    /// A random world as somebody left it.
    pub(super) fn of(layout: &Layout, priors: &[Prior], images: &[PriorImage]) -> Self {
        let world = Self::new(&layout.yaml());
        let names: BTreeSet<(ShipName, String)> = world
            .environment
            .instances
            .values()
            .map(|i| (i.ship.clone(), i.image.as_str().to_owned()))
            .collect();
        for (at, name) in world.environment.instances.keys().enumerate() {
            world.leave(name, priors[at % priors.len()]);
        }
        for (at, (ship, image)) in names.iter().enumerate() {
            let engine = &world.ships[ship];
            match images[at % images.len()] {
                PriorImage::Absent => engine.meddle(|machine, _| machine.forget_image(image)),
                PriorImage::Current => {
                    engine.meddle(|machine, now| machine.add_image(image, &current(image), now));
                }
                PriorImage::Old => {
                    engine.meddle(|machine, now| machine.add_image(image, &old(image), now));
                }
            }
        }
        world
    }

    fn leave(&self, name: &InstanceName, prior: Prior) {
        let instance = &self.environment.instances[name];
        let image = instance.image.as_str();
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let ours = || {
            BTreeMap::from([
                label(LABEL_ENVIRONMENT, self.environment.display_name()),
                label(LABEL_SERVICE, instance.service.as_str()),
                label(LABEL_INSTANCE, name.as_str()),
                label(LABEL_CONFIG, "of an earlier run"),
            ])
        };
        let (content, labels, runs) = match prior {
            Prior::Absent => return,
            Prior::Running => (current(image), ours(), true),
            Prior::Stopped => (current(image), ours(), false),
            Prior::RunningOld => (old(image), ours(), true),
            Prior::StoppedOld => (old(image), ours(), false),
            Prior::Adoptable => (current(image), BTreeMap::new(), true),
            Prior::Foreign => {
                (current(image), BTreeMap::from([label("com.docker.compose.project", "other")]), true)
            }
        };
        let config =
            CreateConfig { image: image.to_owned(), labels: Some(labels), ..CreateConfig::default() };
        let engine = &self.ships[&instance.ship];
        engine.meddle(|machine, now| machine.add_image(image, &content, now));
        engine.meddle(|machine, now| machine.create(name.as_str(), config, now)).unwrap();
        if runs {
            engine.meddle(|machine, now| machine.start(name.as_str(), now)).unwrap();
        }
    }

    /// The engine of a ship.
    pub(super) fn ship(&self, name: &str) -> &FakeEngine {
        &self.ships[name]
    }

    /// Walks the line, checks on the way what must always be so, and at the end that what is told is true.
    pub(super) async fn act(&self, intent: &Intent, selector: &Selector) -> Ran {
        self.act_and_press(intent, selector, &[]).await
    }

    /// The same with Ctrl-C after these events of the run, counted from 1; 0 is before the first.
    pub(super) async fn act_and_press(&self, intent: &Intent, selector: &Selector, presses: &[usize]) -> Ran {
        let ran = self.try_act(intent, selector, presses).await;
        assert!(ran.breaches.is_empty(), "{}\n{}", ran.breaches.join("\n"), ran.show());
        ran
    }

    /// The same without a judgement.
    pub(super) async fn try_act(&self, intent: &Intent, selector: &Selector, presses: &[usize]) -> Ran {
        let began = Instant::now();
        let selection = select(&self.environment, selector, intent.selection_rules()).unwrap();
        let watch = Arc::new(Mutex::new(Watch::new(&self.environment, &self.ships, intent, &selection)));
        let engines: Engines = self
            .ships
            .iter()
            .zip(0..)
            .map(|((ship, engine), number)| {
                let random = self.dawdle.map(|seed| fastrand::Rng::with_seed(seed ^ (number << 32)));
                let engine: Arc<dyn Engine> = Arc::new(Watched::new(ship, engine, &watch, random));
                (ship.clone(), engine)
            })
            .collect();
        let before = Before::of(self);
        let fleet = observe(&self.environment, &engines, &selection.instances, intent.needs()).await;
        let plan = Arc::new(plan(&self.environment, &fleet, intent, &selection, self.limits));
        assert_eq!(lint(&plan, &fleet), [], "{plan}");
        watch.lock().unwrap().planned(&plan, fleet);
        let now = self.ships.values().next().unwrap().now();
        let (keyboard, mut interrupts) = mpsc::unbounded_channel();
        let mut recorder = Recorder::new(&watch, &plan, now, presses, keyboard);
        let means = Means {
            engines: Arc::new(engines),
            probe: self.probe.clone(),
            fence: None,
            routes: None,
            remember: None,
        };
        let run = execute(plan.clone(), &means, &mut recorder, &mut interrupts, tokio::time::Instant::now());
        let summary = tokio::time::timeout(LONGEST, run).await;
        let summary = summary.unwrap_or_else(|_| panic!("the run did not end\n{plan}"));
        let mut watch = watch.lock().unwrap();
        let mut ran = Ran {
            steps: plan.ids().map(|id| watch.seen(id)).collect(),
            touched: self.environment.instances.keys().filter(|i| watch.was_touched(i)).cloned().collect(),
            plan,
            summary,
            said: recorder.said(),
            after_press: recorder.pressed_at.map(|at| at.elapsed()),
            events: recorder.count,
            rows: recorder.rows,
            took: began.elapsed(),
            transcript: std::mem::take(&mut watch.transcript),
            breaches: std::mem::take(&mut watch.breaches),
        };
        let lies = truth::lies(self, &before, &ran);
        ran.breaches.extend(lies);
        ran
    }
}

impl Ran {
    /// Plan, calls and messages, for whoever has to find out what went wrong.
    pub(super) fn show(&self) -> String {
        format!("{}\n{}\n{}\n{:?}", self.plan, self.calls(), self.said, self.summary)
    }

    /// The calls that change something, each with the time at which it was made.
    pub(super) fn calls(&self) -> String {
        let mut text = String::new();
        for entry in &self.transcript {
            let Entry { at, ship, call, end } = entry;
            writeln!(text, "{:.3} {ship}: {call}{end}", at.as_secs_f64()).unwrap();
        }
        text
    }

    /// What was said, without the times, which are not those of the paused clock.
    pub(super) fn words(&self) -> String {
        let lines = self.said.lines().map(|line| match line.rsplit_once(" in ") {
            Some((words, _)) if !line.starts_with("ERROR") && !line.starts_with(' ') => words,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What a step has come to.
    pub(super) fn seen(&self, id: StepId) -> Seen {
        self.steps[id.index()]
    }
}

/// What a name means in the registry.
pub(super) fn current(image: &str) -> Arc<Content> {
    Content::new(&format!("{image} as it is now"), Behaviour::forever())
}

/// What the name meant before.
pub(super) fn old(image: &str) -> Arc<Content> {
    Content::new(&format!("{image} as it was"), Behaviour::forever())
}
