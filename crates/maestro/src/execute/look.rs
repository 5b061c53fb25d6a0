//! Looking at ships while a run goes on. Many steps wait for containers of one ship at the same time; one list
//! answers all of them. But a list calls a program running until the engine has cleared away what is left of it, which
//! takes an engine about as long as starting it did; an inspection waits for that (`docs/design/0016`).

use crate::observe::Engines;
use maestro_core::boundary::{Engine, Scope};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::fleet::{EngineState, ObservedContainer};
use maestro_core::names::{InstanceName, ShipName};
use maestro_core::plan::Target;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::sleep;

/// Containers that were begun together are waited for together: whoever asks within this time shares the look.
const GATHER: Duration = Duration::from_millis(10);

/// One look at a ship, shared by all who asked before it began.
#[derive(Default)]
struct Look {
    /// The containers that somebody asked about, and whether for their details.
    asked: Mutex<BTreeMap<InstanceName, bool>>,
    answer: OnceCell<Result<Arc<EngineState>, EngineError>>,
}

/// Looks at all ships of a run.
pub(super) struct Looks {
    ships: BTreeMap<ShipName, Ship>,
}

struct Ship {
    engine: Arc<dyn Engine>,
    /// The look that has not begun.
    next: Mutex<Option<Arc<Look>>>,
    /// Held while a look is under way.
    busy: tokio::sync::Mutex<()>,
    /// How long the engine took to start the containers that this run has started.
    starts: Mutex<BTreeMap<InstanceName, Duration>>,
}

impl Looks {
    pub(super) fn new(engines: &Engines) -> Self {
        let ship = |engine: &Arc<dyn Engine>| Ship {
            engine: engine.clone(),
            next: Mutex::new(None),
            busy: tokio::sync::Mutex::new(()),
            starts: Mutex::default(),
        };
        Self { ships: engines.iter().map(|(name, engine)| (name.clone(), ship(engine))).collect() }
    }

    /// What there is of one container at some time after this call, as far as a list tells.
    pub(super) async fn at(
        &self,
        name: &ShipName,
        container: &InstanceName,
    ) -> Result<Arc<EngineState>, EngineError> {
        self.ship(name)?.look(container, false).await
    }

    /// One container that has had so much time since it was started or stopped; none if it is gone.
    pub(super) async fn settled(
        &self,
        name: &ShipName,
        target: &Target,
        given: Duration,
    ) -> Result<Option<ObservedContainer>, EngineError> {
        let took = lock(&self.ship(name)?.starts).get(target.name()).copied();
        if took.is_some_and(|took| took > given) {
            return self.detail(name, target).await;
        }
        Ok(target.among(&*self.at(name, target.name()).await?).cloned())
    }

    /// One container with its details, as it is at some time after this call; none if it is gone.
    pub(super) async fn detail(
        &self,
        name: &ShipName,
        target: &Target,
    ) -> Result<Option<ObservedContainer>, EngineError> {
        let state = self.ship(name)?.look(target.name(), true).await?;
        Ok(target.among(&state).cloned())
    }

    /// Keeps how long the start of a container took.
    pub(super) fn started(&self, name: &ShipName, container: &InstanceName, took: Duration) {
        if let Some(ship) = self.ships.get(name) {
            lock(&ship.starts).insert(container.clone(), took);
        }
    }

    fn ship(&self, name: &ShipName) -> Result<&Ship, EngineError> {
        self.ships.get(name).ok_or_else(|| EngineError {
            ship: name.clone(),
            operation: "looking at the ship".to_owned(),
            kind: EngineErrorKind::Protocol("there is no such ship".to_owned()),
            ambiguous: false,
        })
    }
}

impl Ship {
    /// Joins the look that has not begun, and begins it as soon as the one before is over.
    async fn look(&self, name: &InstanceName, detail: bool) -> Result<Arc<EngineState>, EngineError> {
        let look = {
            let mut next = lock(&self.next);
            let look = next.get_or_insert_default();
            *lock(&look.asked).entry(name.clone()).or_default() |= detail;
            look.clone()
        };
        let answer = look.answer.get_or_init(|| async {
            let _busy = self.busy.lock().await;
            sleep(GATHER).await;
            // Whoever asks from here on has to wait for the next look.
            lock(&self.next).take_if(|next| Arc::ptr_eq(next, &look));
            let asked = std::mem::take(&mut *lock(&look.asked));
            let details = asked.iter().filter(|(_, detail)| **detail).map(|(name, _)| name.clone()).collect();
            let only = Some(asked.into_keys().collect());
            self.engine.observe(&Scope { only, details, ..Scope::default() }).await.map(Arc::new)
        });
        answer.await.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks can panic, and a poisoned one would still hold a usable value.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
