//! Tells an engine that takes its time from one that hangs.
//!
//! Some calls may be silent for minutes with nothing wrong: a pull whose registry is slow, a container that takes its
//! time to stop, a log in which nothing is written. Whoever waits for one of them pings the engine meanwhile, which
//! engines answer whatever they are busy with; who does not answer that either hangs.

use super::connect::KEEPALIVE;
use super::wire::{Call, Wire};
use futures_util::{Stream, StreamExt, TryStreamExt};
use maestro_core::engine_error::EngineErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

/// So many pings in a row have to fail. A single one may fall into a busy moment, or be lost.
const MISSES: u32 = 2;

/// What keeps an eye on one engine while its calls are silent.
pub(super) struct Liveness {
    wire: Wire,
    /// How long the answer to a ping may take.
    patience: Duration,
    /// How long streams that are followed may be silent before anybody asks.
    following: Duration,
    /// Calls that are silent at the same time share their pings.
    last: Mutex<Option<Ping>>,
}

#[derive(Clone)]
struct Ping {
    sent: Instant,
    /// Why nobody answered, if nobody did.
    missed: Option<EngineErrorKind>,
}

impl Liveness {
    /// For an engine that may take so long to answer a question.
    pub(super) fn new(wire: Wire, patience: Duration) -> Arc<Self> {
        Self::following(wire, patience, KEEPALIVE.max(patience))
    }

    /// As [`Liveness::new`], with the silence of streams that are followed.
    pub(super) fn following(wire: Wire, patience: Duration, following: Duration) -> Arc<Self> {
        Arc::new(Self { wire, patience, following, last: Mutex::default() })
    }

    /// Waits for a part of a call for as long as the engine is alive. It fails if the engine answers neither that nor
    /// pings: after three times as long as a question may take.
    pub(super) fn watch<'a, T>(
        &'a self,
        part: impl Future<Output = Result<T, EngineErrorKind>> + Send + 'a,
    ) -> impl Future<Output = Result<T, EngineErrorKind>> + Send + 'a {
        // Futures of requests are large, and every one around them would have them once more.
        let mut part = Box::pin(part);
        async move { self.watch_after(self.patience, part.as_mut()).await }
    }

    /// The items of a stream that may be silent for as long as the engine is alive. It ends with the first error.
    pub(super) fn follow<T: Send + 'static>(
        self: &Arc<Self>,
        items: impl Stream<Item = Result<T, EngineErrorKind>> + Send + 'static,
    ) -> impl Stream<Item = Result<T, EngineErrorKind>> + Send + 'static {
        let liveness = self.clone();
        futures_util::stream::unfold(Some(items.boxed()), move |items| {
            let liveness = liveness.clone();
            async move {
                let mut items = items?;
                let next = pin!(items.try_next());
                match liveness.watch_after(liveness.following, next).await.transpose()? {
                    Ok(item) => Some((Ok(item), Some(items))),
                    Err(kind) => Some((Err(kind), None)),
                }
            }
        })
    }

    async fn watch_after<T>(
        &self,
        quiet: Duration,
        mut part: Pin<&mut (impl Future<Output = Result<T, EngineErrorKind>> + Send)>,
    ) -> Result<T, EngineErrorKind> {
        let mut unanswered = 0;
        let mut known = Instant::now();
        let mut next = known + quiet;
        loop {
            if let Ok(result) = timeout_at(next, part.as_mut()).await {
                return result;
            }
            let ping = tokio::select! {
                biased;
                result = part.as_mut() => return result,
                ping = Box::pin(self.ping_after(known)) => ping,
            };
            known = ping.sent;
            let Some(missed) = ping.missed else {
                unanswered = 0;
                next = known + quiet;
                continue;
            };
            unanswered += 1;
            if unanswered == MISSES {
                return Err(match missed {
                    EngineErrorKind::Unresponsive { .. } => {
                        self.wire.unresponsive(quiet + self.patience * MISSES)
                    }
                    other => other,
                });
            }
            // One that was refused at once is not followed by another at once.
            next = known + self.patience;
        }
    }

    /// A ping that was sent after this time, perhaps for somebody else.
    async fn ping_after(&self, known: Instant) -> Ping {
        let mut last = self.last.lock().await;
        if let Some(ping) = last.as_ref().filter(|ping| ping.sent > known) {
            return ping.clone();
        }
        let sent = Instant::now();
        let missed = match self.wire.ping(&Call::new(None, self.patience)).await {
            Err(kind @ (EngineErrorKind::Unresponsive { .. } | EngineErrorKind::Unreachable { .. })) => {
                Some(kind)
            }
            // Any answer is one, also a refusal. What is in the way on this side says nothing about the engine.
            Ok(_) | Err(_) => None,
        };
        last.insert(Ping { sent, missed }).clone()
    }
}
