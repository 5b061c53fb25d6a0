//! What is recorded when a change is done: the release that the fleet is then, or nothing.

use super::Change;
use crate::cli::kept::Past;
use crate::cli::{Fault, deploy};
use crate::ledger::OwnedLedger;
use crate::report::list;
use maestro_core::boundary::{Document, LedgerWriter};
use maestro_core::deployment::Deployment;
use maestro_core::history::{History, Outline, Record};
use maestro_core::model::Environment;
use maestro_core::names::{InstanceName, ServiceName};
use maestro_core::release::{FORMAT, Release};
use maestro_core::select::{Selector, select};
use std::collections::BTreeSet;

/// So many releases are kept.
const KEPT_RELEASES: u64 = 20;

/// A release that is to be recorded.
pub(super) struct News {
    pub(super) outline: Outline,
    release: Release,
}

impl Change<'_> {
    /// What would be recorded.
    pub(super) fn news(&self, history: &History) -> Option<Outline> {
        if self.target.gives_up {
            return None;
        }
        match &self.target.back {
            Some(back) => history.returned(back),
            None => history.deployed(&self.target.release, &self.whole_services()),
        }
    }

    /// Services all of whose instances are meant.
    fn whole_services(&self) -> BTreeSet<ServiceName> {
        let gone = &self.target.selector.gone;
        let mut whole = whole(self.line.environment(), &self.target.selector);
        whole.retain(|name| !gone.contains(name));
        whole
    }

    /// What is to be recorded, if all goes well. It is read once before anything is begun: what could not be read later
    /// would be no way back.
    ///
    /// # Errors
    /// It cannot be read; why has been shown.
    pub(super) fn composed(&self, past: &Past, before: Option<&Release>) -> Result<Option<News>, Fault> {
        let Some(outline) = self.news(&past.history) else { return Ok(None) };
        // The others are as they were deployed last, whatever the file says of them by now.
        let deployed: BTreeSet<ServiceName> = match &self.target.back {
            Some(back) => back.services.values().flatten().cloned().collect(),
            None => self.whole_services(),
        };
        let others: BTreeSet<_> =
            outline.services.keys().filter(|name| !deployed.contains(*name)).cloned().collect();
        if others.is_empty() {
            return Ok(Some(News { outline, release: self.target.release.clone() }));
        }
        let whole =
            before.map(|before| self.target.release.and_ships_of(before).with_services_of(before, &others));
        match whole {
            Some(release) if deploy::environment(self.session, &release, &self.today.0).is_ok() => {
                Ok(Some(News { outline, release }))
            }
            _ => {
                let others: Vec<&str> = others.iter().map(ServiceName::as_str).collect();
                Err(Fault::Unkept(list(&others)))
            }
        }
    }

    /// Writes down what the fleet is now, and that the deployment is over. `ends` is whether this run does nothing after
    /// that.
    pub(super) async fn record(
        &self,
        ledger: &OwnedLedger,
        past: &Past,
        news: Option<News>,
        ends: bool,
    ) -> Result<(), Fault> {
        let Some(News { outline, release }) = news else {
            if ends {
                ledger.ends_with_next();
            }
            ledger.close_journal().await?;
            self.note_parts(past);
            return Ok(());
        };
        let number = past.history.next();
        let first = number.saturating_sub(KEPT_RELEASES - 1);
        if past.history.records().first().is_some_and(|record| record.number < first) {
            // The next one tries again.
            ledger.forget_below(first).await.ok();
        }
        let Outline { before, back_to, services } = outline;
        let Deployment { at, by, doing, .. } = self.target.clone();
        let record = Record { number, at, by, doing, before, back_to, services };
        let format = u16::try_from(FORMAT).unwrap_or(u16::MAX);
        if ends {
            ledger.ends_with_next();
        }
        ledger.add(number, &record.document(), &Document::new(format, release.to_bytes())).await?;
        self.session.printer.talk(&match back_to {
            Some(back_to) => format!("this is release {number}, as {back_to} was"),
            None => format!("this is release {number}"),
        });
        Ok(())
    }

    /// A part of a service is no release.
    fn note_parts(&self, past: &Past) {
        let environment = self.line.environment();
        let whole = self.whole_services();
        let selected = instances(environment, &self.target.selector).unwrap_or_default();
        let parts: BTreeSet<&str> = selected
            .iter()
            .filter_map(|name| environment.instances.get(name))
            .filter(|instance| !whole.contains(&instance.service))
            .map(|instance| instance.service.as_str())
            .collect();
        let known = past.history.current();
        let is_news = known.is_none_or(|record| {
            let now = self.target.release.parts();
            parts.iter().any(|name| record.services.get(*name).map(|shipped| &shipped.part) != now.get(*name))
        });
        if !parts.is_empty() && is_news && !self.target.gives_up {
            let parts: Vec<&str> = parts.into_iter().collect();
            self.session.printer.talk(&format!(
                "not all instances of {} were deployed: no release has been recorded",
                list(&parts)
            ));
        }
    }
}

/// Services that are meant as a whole, also those that are gone.
pub(in crate::cli) fn whole(environment: &Environment, selector: &Selector) -> BTreeSet<ServiceName> {
    let rules = deploy::INTENT.selection_rules();
    select(environment, selector, rules).map(|selection| selection.whole).unwrap_or_default()
}

/// The instances that are meant; none if a name means nothing.
pub(super) fn instances(environment: &Environment, selector: &Selector) -> Option<BTreeSet<InstanceName>> {
    let rules = deploy::INTENT.selection_rules();
    Some(select(environment, selector, rules).ok()?.instances.into_iter().collect())
}
