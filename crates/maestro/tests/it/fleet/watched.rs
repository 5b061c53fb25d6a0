//! Engines and a reporter that tell [`Watch`] everything.

use super::watch::{Kind, Watch};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use maestro::report::{Capabilities, Captured, Printer, Progress as Showing, Rows, reporter};
use maestro_core::boundary::{
    AttachOptions, CallOutcome, Engine, EngineEvents, Examination, ExecSession, LogLine, LogOptions,
    Progress, RegistryImage, Scope,
};
use maestro_core::engine_error::EngineError;
use maestro_core::event::{Event, Reporter};
use maestro_core::fleet::{EngineState, HostFacts};
use maestro_core::image::ImageRef;
use maestro_core::names::ShipName;
use maestro_core::plan::{EngineCall, Plan, RegistryAuth, Target};
use maestro_testkit::fake_engine::FakeEngine;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A pretended engine whose every call is watched, and takes a random time before and after it reaches the engine.
pub(super) struct Watched {
    ship: ShipName,
    inner: FakeEngine,
    watch: Arc<Mutex<Watch>>,
    random: Option<Mutex<fastrand::Rng>>,
}

impl Watched {
    pub(super) fn new(
        ship: &ShipName,
        inner: &FakeEngine,
        watch: &Arc<Mutex<Watch>>,
        random: Option<fastrand::Rng>,
    ) -> Self {
        Self {
            ship: ship.clone(),
            inner: inner.clone(),
            watch: watch.clone(),
            random: random.map(Mutex::new),
        }
    }

    fn enter(&self, kind: Kind) -> Entered<'_> {
        self.watch.lock().unwrap().enter(&self.ship, kind);
        Entered { engine: self, kind }
    }

    async fn dawdle(&self) {
        let pause = self.random.as_ref().map(|random| {
            let mut random = random.lock().unwrap();
            match random.u8(0..10) {
                0..=4 => 0,
                5..=8 => random.u64(1..400),
                _ => random.u64(1_000..3_000),
            }
        });
        if let Some(pause) = pause.filter(|pause| *pause > 0) {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}

/// A request that is under way; over when dropped, however that comes about.
struct Entered<'a> {
    engine: &'a Watched,
    kind: Kind,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.engine.watch.lock().unwrap().leave(&self.engine.ship, self.kind);
    }
}

impl Engine for Watched {
    fn observe<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<EngineState, EngineError>> {
        Box::pin(async move {
            let _entered = self.enter(Kind::Read);
            self.dawdle().await;
            let state = self.inner.observe(scope).await;
            self.dawdle().await;
            state
        })
    }

    fn perform<'a>(
        &'a self,
        call: &'a EngineCall,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<CallOutcome, EngineError>> {
        Box::pin(async move {
            let kind = if matches!(call, EngineCall::PullImage { .. }) { Kind::Pull } else { Kind::Call };
            let _entered = self.enter(kind);
            let entry = self.watch.lock().unwrap().calls(&self.ship, call);
            self.dawdle().await;
            let result = self.inner.perform(call, progress).await;
            self.dawdle().await;
            let end = match &result {
                Ok(CallOutcome::Already | CallOutcome::Pulled { changed: false }) => " (already)".to_owned(),
                Ok(_) => String::new(),
                Err(error) => format!(" ({})", error.kind),
            };
            self.watch.lock().unwrap().transcript[entry].end = end;
            result
        })
    }

    fn examine<'a>(&'a self, examination: &'a Examination) -> BoxFuture<'a, Result<HostFacts, EngineError>> {
        self.inner.examine(examination)
    }

    fn look_up<'a>(
        &'a self,
        image: &'a ImageRef,
        auth: Option<&'a RegistryAuth>,
    ) -> BoxFuture<'a, Result<RegistryImage, EngineError>> {
        self.inner.look_up(image, auth)
    }

    fn run_in<'a>(
        &'a self,
        target: &'a Target,
        command: &'a [String],
    ) -> BoxFuture<'a, Result<i64, EngineError>> {
        self.inner.run_in(target, command)
    }

    fn attach<'a>(
        &'a self,
        target: &'a Target,
        options: &'a AttachOptions,
    ) -> BoxFuture<'a, Result<ExecSession, EngineError>> {
        self.inner.attach(target, options)
    }

    fn resize<'a>(
        &'a self,
        exec: &'a str,
        width: u16,
        height: u16,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        self.inner.resize(exec, width, height)
    }

    fn exit_code<'a>(&'a self, exec: &'a str) -> BoxFuture<'a, Result<i64, EngineError>> {
        self.inner.exit_code(exec)
    }

    fn logs<'a>(
        &'a self,
        target: &'a Target,
        options: &'a LogOptions,
    ) -> BoxStream<'a, Result<LogLine, EngineError>> {
        self.inner.logs(target, options)
    }

    fn events(&self, since: Option<Timestamp>) -> BoxFuture<'_, Result<EngineEvents<'_>, EngineError>> {
        self.inner.events(since)
    }
}

/// Takes down everything, and presses Ctrl-C when told to.
pub(super) struct Recorder {
    watch: Arc<Mutex<Watch>>,
    pub(super) rows: Rows,
    quiet: Box<dyn Reporter>,
    captured: Captured,
    began: Instant,
    /// Numbers of events, ticks not counted, after which Ctrl-C is pressed.
    presses: Vec<usize>,
    keyboard: mpsc::UnboundedSender<()>,
    pub(super) count: usize,
    /// When Ctrl-C was last pressed.
    pub(super) pressed_at: Option<Instant>,
}

impl Recorder {
    pub(super) fn new(
        watch: &Arc<Mutex<Watch>>,
        plan: &Arc<Plan>,
        now: Timestamp,
        presses: &[usize],
        keyboard: mpsc::UnboundedSender<()>,
    ) -> Self {
        let (printer, captured) = Printer::captured(Capabilities::plain(120));
        let mut recorder = Self {
            watch: watch.clone(),
            rows: Rows::new(plan.clone(), now),
            quiet: reporter(Showing::Quiet, printer, std::time::Instant::now()),
            captured,
            began: Instant::now(),
            presses: presses.to_vec(),
            keyboard,
            count: 0,
            pressed_at: None,
        };
        recorder.press();
        recorder
    }

    fn press(&mut self) {
        for _ in self.presses.iter().filter(|at| **at == self.count) {
            self.watch.lock().unwrap().interrupted();
            self.pressed_at = Some(Instant::now());
            self.keyboard.send(()).ok();
        }
    }

    /// What was said on standard error.
    pub(super) fn said(&self) -> String {
        self.captured.stderr()
    }
}

impl Reporter for Recorder {
    fn event(&mut self, event: &Event) {
        self.watch.lock().unwrap().event(event);
        self.rows.apply(event, self.began.elapsed());
        self.quiet.event(event);
        if !matches!(event, Event::Tick) {
            self.count += 1;
            self.press();
        }
    }
}
