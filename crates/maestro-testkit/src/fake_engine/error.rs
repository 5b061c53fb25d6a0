//! From a pretended engine's trouble to the error that its client would have made of it.

use crate::daemon::Trouble;
use crate::fake_engine::FakeEngine;
use crate::faults::Operation;
use crate::state::{Cause, Refusal};
use maestro_core::boundary::Deadlines;
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use std::time::Duration;

/// A call as its caller sees it.
pub(crate) struct Question<'a> {
    pub(crate) engine: &'a FakeEngine,
    pub(crate) what: String,
    pub(crate) operation: Operation,
    pub(crate) deadlines: Deadlines,
}

impl Question<'_> {
    /// The answer, or what is made of there being none within the deadline.
    pub(crate) async fn within<T>(
        self,
        answer: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, EngineError> {
        let patience = self.deadlines.total;
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Trouble::Hangs)) => {
                let patience = patience.min(self.deadlines.idle);
                tokio::time::sleep(patience).await;
                Err(self.silence(patience))
            }
            Ok(Err(trouble)) => Err(self.error(trouble)),
            Err(_) => Err(self.silence(patience)),
        }
    }

    fn silence(self, after: Duration) -> EngineError {
        let address = self.engine.address().to_owned();
        let ambiguous = self.leaves_doubt();
        self.make(EngineErrorKind::Unresponsive { address, after }, ambiguous)
    }

    pub(crate) fn error(self, trouble: Trouble) -> EngineError {
        let leaves_doubt = self.leaves_doubt();
        match trouble {
            Trouble::Unreachable => {
                let address = self.engine.address().to_owned();
                let cause = "connection refused".to_owned();
                self.make(EngineErrorKind::Unreachable { address, cause }, false)
            }
            Trouble::Hangs => self.silence(Duration::ZERO),
            Trouble::Lost => self
                .make(EngineErrorKind::Lost("connection closed before the answer".to_owned()), leaves_doubt),
            Trouble::Refused(no) => {
                let kind = kind(self.operation, no);
                // As the real adapter has it: a proxy that gives up waiting does not know what became of a call, and an
                // engine that gives up in the middle of a creation may have made it.
                let ambiguous = match kind {
                    EngineErrorKind::Api { status: 502 | 504, .. } => leaves_doubt,
                    EngineErrorKind::Api { status: 500.., .. } => self.operation == Operation::Create,
                    _ => false,
                };
                self.make(kind, ambiguous)
            }
        }
    }

    /// Whether an answer that is lost leaves the question what became of the call. Not of a pull: it is asked for again.
    fn leaves_doubt(&self) -> bool {
        self.operation.is_write() && self.operation != Operation::Pull
    }

    fn make(self, kind: EngineErrorKind, ambiguous: bool) -> EngineError {
        EngineError { ship: self.engine.ship().clone(), operation: self.what, kind, ambiguous }
    }
}

fn kind(operation: Operation, no: Refusal) -> EngineErrorKind {
    match no.cause {
        Cause::Missing => EngineErrorKind::NotFound(no.message),
        Cause::Conflict => EngineErrorKind::Conflict(no.message),
        Cause::BadLogin => EngineErrorKind::Unauthorized { message: no.message, answered: Some(no.status) },
        Cause::Registry(status) => {
            let answered = Some(no.status);
            EngineErrorKind::Registry { message: no.message, status, answered, retry_after: None }
        }
        // The real adapter takes an engine's trouble with a pull or a login for its registry's.
        Cause::Other
            if matches!((operation, no.status), (Operation::Pull, 401..) | (Operation::Login, 500..)) =>
        {
            let answered = Some(no.status);
            EngineErrorKind::Registry { message: no.message, status: None, answered, retry_after: None }
        }
        Cause::Other => EngineErrorKind::Api { status: no.status, message: no.message },
    }
}
