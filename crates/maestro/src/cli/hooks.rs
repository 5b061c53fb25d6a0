//! What is written down of hooks while a deployment goes on.

use crate::execute::Remember;
use crate::ledger::OwnedLedger;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use maestro_core::boundary::{LedgerError, LedgerWriter as _};
use maestro_core::deployment::Deployment;
use maestro_core::model::HookName;
use maestro_core::names::{ContainerId, ServiceName};
use maestro_core::plan::{Begun, Hooking, Plan};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// How far the hooks of the services are of which a plan runs some, or an earlier run has.
pub(super) fn begun(hooking: &Hooking, plan: &Plan) -> BTreeMap<ServiceName, Begun> {
    let Hooking::On { run, begun } = hooking else { return BTreeMap::new() };
    let mut all = begun.clone();
    for service in plan.hooked() {
        all.entry(service.clone()).or_insert_with(|| Begun { run: run.clone(), ..Begun::default() });
    }
    all
}

/// Writes into the journal how hooks ended.
pub(super) struct Noting {
    ledger: Arc<OwnedLedger>,
    /// As the journal has it. Who writes waits for whoever writes before.
    target: Mutex<Deployment>,
}

impl Noting {
    /// For a deployment that is in the journal.
    pub(super) fn new(ledger: Arc<OwnedLedger>, target: Deployment) -> Arc<Self> {
        Arc::new(Self { ledger, target: Mutex::new(target) })
    }

    /// How far they are now.
    pub(super) async fn begun(&self) -> BTreeMap<ServiceName, Begun> {
        self.target.lock().await.hooks.clone()
    }

    /// Writes down more of a hook's service.
    async fn write(&self, hook: &HookName, change: impl FnOnce(&mut Begun)) -> Result<(), LedgerError> {
        let mut target = self.target.lock().await;
        change(target.hooks.entry(hook.service.clone()).or_default());
        self.ledger.append(&target.document()).await
    }
}

impl Remember for Noting {
    fn ran<'a>(&'a self, hook: &'a HookName) -> BoxFuture<'a, Result<(), LedgerError>> {
        self.write(hook, |begun| _ = begun.done.insert((hook.when, hook.number))).boxed()
    }

    fn is_late<'a>(
        &'a self,
        hook: &'a HookName,
        container: &'a ContainerId,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        self.write(hook, |begun| _ = begun.late.insert(container.clone())).boxed()
    }
}
