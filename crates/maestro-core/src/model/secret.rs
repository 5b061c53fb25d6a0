//! Secrets that are known by their names: where their values come from, who uses them, and how they get there.

use super::{Channel, Check, EnvValue, EnvVar, Environment, Instance, Phase, RequestOptions};
use crate::names::{InstanceName, Secret, SecretName};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// An entry below `secrets:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredSecret {
    /// Where its value comes from.
    pub source: SecretSource,
    /// Where it is declared, for people: a file and a line.
    pub place: Arc<str>,
}

/// Where the value of a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretSource {
    /// A variable of the process that reads the file.
    Env(Arc<str>),
    /// A file; relative to the environment file's directory.
    File(Arc<str>),
    /// What a program on this machine writes to its standard output.
    Command(Vec<String>),
}

/// Half a sentence: what there is to be read. Of a command its program only: arguments may be nobody's business.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the variable {name}"),
            Self::File(path) => write!(f, "the file {path}"),
            Self::Command(words) => write!(f, "`{}`", words.first().map_or("", String::as_str)),
        }
    }
}

/// Names of those that have no value yet.
fn missing<'a>(secrets: impl Iterator<Item = &'a Secret>) -> impl Iterator<Item = &'a SecretName> {
    secrets.filter_map(Secret::missing)
}

impl Environment {
    /// Secrets to be fetched before containers of these instances can be made and compared.
    pub fn secrets_of_containers(&self, instances: &[InstanceName]) -> BTreeSet<SecretName> {
        if self.secrets.is_empty() {
            // There may be millions of variables.
            return BTreeSet::new();
        }
        let instances = instances.iter().filter_map(|name| self.instances.get(name));
        instances.flat_map(|instance| missing(instance.secrets())).cloned().collect()
    }

    /// Secrets to be fetched before these instances can be checked in these phases: programs are told the variables, and
    /// requests may log in.
    pub fn secrets_of_checks(&self, instances: &[InstanceName], phases: &[Phase]) -> BTreeSet<SecretName> {
        if self.secrets.is_empty() {
            return BTreeSet::new();
        }
        let instances: Vec<_> = instances.iter().filter_map(|name| self.instances.get(name)).collect();
        let is_program = |check: &Check| matches!(check, Check::Exec { .. });
        let told = instances.iter().filter(|instance| instance.checks_of(phases).any(is_program));
        let logins = instances.iter().flat_map(|instance| instance.checks_of(phases));
        let logins = missing(logins.filter_map(Check::password));
        told.flat_map(|instance| missing(instance.secrets())).chain(logins).cloned().collect()
    }

    /// Secrets to be fetched before somebody can log in where the images of these instances come from.
    pub fn secrets_of_registries(&self, instances: &[InstanceName]) -> BTreeSet<SecretName> {
        let instances = instances.iter().filter_map(|name| self.instances.get(name));
        let logins = instances.filter_map(|instance| self.registry_of(&instance.image)?.login.as_ref());
        missing(logins.filter_map(|login| login.password.as_ref())).cloned().collect()
    }

    /// Secrets to be fetched before auditors can be told.
    pub fn secrets_of_auditors(&self) -> BTreeSet<SecretName> {
        let secrets = self.auditors.iter().flat_map(|auditor| -> Vec<&Secret> {
            match &auditor.channel {
                Channel::Http(webhook) => {
                    let headers = webhook.headers.iter().map(|(_, value)| value);
                    headers.chain([&webhook.endpoint]).collect()
                }
                Channel::Slack(slack) => vec![&slack.token],
                Channel::Log { .. } | Channel::Exec(_) | Channel::HipChat => Vec::new(),
            }
        });
        missing(secrets).cloned().collect()
    }

    /// Secrets to be fetched before what is kept can be read.
    pub fn secrets_of_ledger(&self) -> BTreeSet<SecretName> {
        let login = self.ledger.iter().filter_map(|etcd| etcd.login.as_ref());
        missing(login.map(|(_, password)| password)).cloned().collect()
    }

    /// Puts values that have been fetched where they are used.
    pub fn unseal(&mut self, values: &BTreeMap<SecretName, Secret>) {
        if values.is_empty() {
            return;
        }
        let put = |secret: &mut Secret| {
            if let Some(value) = secret.missing().and_then(|name| values.get(name)) {
                *secret = secret.with_value_of(value);
            }
        };
        for login in self.registries.values_mut().filter_map(|registry| registry.login.as_mut()) {
            login.password.iter_mut().for_each(put);
        }
        for auditor in &mut self.auditors {
            match &mut auditor.channel {
                Channel::Http(webhook) => {
                    webhook.headers.iter_mut().for_each(|(_, value)| put(value));
                    put(&mut webhook.endpoint);
                }
                Channel::Slack(slack) => put(&mut slack.token),
                Channel::Log { .. } | Channel::Exec(_) | Channel::HipChat => {}
            }
        }
        if let Some((_, password)) = self.ledger.as_mut().and_then(|etcd| etcd.login.as_mut()) {
            put(password);
        }
        // Parts that are shared stay so.
        let mut parts: BTreeMap<*const EnvVar, Arc<[EnvVar]>> = BTreeMap::new();
        let mut requests: BTreeMap<*const RequestOptions, Arc<RequestOptions>> = BTreeMap::new();
        for instance in self.instances.values_mut() {
            for check in instance.checks.values_mut().flatten() {
                if check.password().and_then(Secret::missing).is_none() {
                    continue;
                }
                let Check::Http(check) = check else { continue };
                let new = requests.entry(Arc::as_ptr(&check.options)).or_insert_with(|| {
                    let mut options = RequestOptions::clone(&check.options);
                    options.auth.iter_mut().for_each(|(_, password)| put(password));
                    options.into()
                });
                check.options = new.clone();
            }
            let has_missing = |part: &Arc<[EnvVar]>| part.iter().any(|var| secret_of(var).is_some());
            if !instance.settings.env.iter().any(has_missing) {
                continue;
            }
            for part in &mut Arc::make_mut(&mut instance.settings).env {
                if has_missing(part) {
                    let new = parts.entry(part.as_ptr()).or_insert_with(|| unsealed(part, values));
                    *part = new.clone();
                }
            }
        }
    }
}

impl Instance {
    fn checks_of<'i>(&'i self, phases: &'i [Phase]) -> impl Iterator<Item = &'i Check> {
        phases.iter().filter_map(|phase| self.checks.get(phase)).flatten()
    }

    /// All that its containers are told.
    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.settings.env.iter().flat_map(|part| &**part).filter_map(secret_of)
    }
}

fn secret_of(var: &EnvVar) -> Option<&Secret> {
    var.value.as_ref().and_then(EnvValue::secret)
}

fn unsealed(part: &[EnvVar], values: &BTreeMap<SecretName, Secret>) -> Arc<[EnvVar]> {
    let unseal = |var: &EnvVar| {
        let secret = secret_of(var).and_then(|secret| {
            let value = values.get(secret.missing()?)?;
            Some(EnvValue::Secret(secret.with_value_of(value).into()))
        });
        EnvVar { name: var.name.clone(), value: secret.or_else(|| var.value.clone()) }
    };
    part.iter().map(unseal).collect()
}
