//! Things that are made when they are first needed: a login over SSH, the version both sides speak.

use maestro_core::engine_error::EngineErrorKind;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A value that one task makes when it is first needed. Tasks that wait meanwhile share how the attempt ends, so that
/// a ship which hangs costs all of them one deadline and not one each; later ones make a new attempt.
pub(super) struct Lazily<T>(Mutex<Slot<T>>);

enum Slot<T> {
    Empty,
    Made(T),
    Failed { at: Instant, because: EngineErrorKind },
}

impl<T> Default for Lazily<T> {
    fn default() -> Self {
        Self(Mutex::new(Slot::Empty))
    }
}

impl<T: Clone> Lazily<T> {
    /// The value, made now if there is none.
    pub(super) async fn get<F>(&self, make: impl FnOnce() -> F) -> Result<T, EngineErrorKind>
    where
        F: Future<Output = Result<T, EngineErrorKind>>,
    {
        let asked = Instant::now();
        let mut slot = self.0.lock().await;
        match &*slot {
            Slot::Made(value) => return Ok(value.clone()),
            Slot::Failed { at, because } if *at >= asked => return Err(because.clone()),
            Slot::Failed { .. } | Slot::Empty => {}
        }
        match make().await {
            Ok(value) => {
                *slot = Slot::Made(value.clone());
                Ok(value)
            }
            Err(because) => {
                *slot = Slot::Failed { at: Instant::now(), because: because.clone() };
                Err(because)
            }
        }
    }

    /// The value, if there is one now.
    pub(super) async fn peek(&self) -> Option<T> {
        match &*self.0.lock().await {
            Slot::Made(value) => Some(value.clone()),
            Slot::Empty | Slot::Failed { .. } => None,
        }
    }

    /// Drops the value if it is this one, so that the next who needs it makes another.
    pub(super) async fn forget(&self, is_stale: impl FnOnce(&T) -> bool) {
        let mut slot = self.0.lock().await;
        if matches!(&*slot, Slot::Made(value) if is_stale(value)) {
            *slot = Slot::Empty;
        }
    }

    /// Drops the value without waiting: while somebody is making another there is nothing to drop.
    pub(super) fn forget_unless_busy(&self) {
        if let Ok(mut slot) = self.0.try_lock()
            && matches!(&*slot, Slot::Made(_))
        {
            *slot = Slot::Empty;
        }
    }
}
