//! What an instance has of its ship that an orphan may have, too: both could write to it, or listen in it.

use crate::fleet::{Configuration, ObservedContainer};
use crate::model::{Instance, is_read_only};

/// Something that two containers should not have at the same time, unless they have had it together before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim<'a> {
    /// A volume or a directory that it can write to.
    Volume(&'a str),
    /// The volumes of a container.
    VolumesOf(&'a str),
    /// A network that is not its own.
    Network(&'a str),
}

impl<'a> Claim<'a> {
    /// Those of an instance.
    pub(super) fn of(instance: &'a Instance) -> Vec<Self> {
        let settings = &*instance.settings;
        let before_colon = |text: &'a str| text.split(':').next().unwrap_or(text);
        let written = |text: &&&'a str| !is_read_only(text);
        let binds: Vec<&str> = settings.binds.iter().map(|bind| &**bind).collect();
        let others: Vec<&str> = settings.volumes_from.iter().map(|other| &**other).collect();
        let mode = settings.network_mode.as_deref();
        let network = mode.filter(|mode| *mode == "host" || mode.starts_with("container:"));
        let volumes = binds.iter().filter(written).map(|bind| Claim::Volume(before_colon(bind)));
        let volumes_of = others.iter().filter(written).map(|other| Claim::VolumesOf(before_colon(other)));
        volumes.chain(volumes_of).chain(network.map(Claim::Network)).collect()
    }

    /// Whether a container has it, too; none if nobody knows what it was made of.
    pub(super) fn is_of(self, container: &ObservedContainer) -> Option<bool> {
        container.configuration.as_ref().map(|configuration| self.is_in(configuration))
    }

    fn is_in(self, configuration: &Configuration) -> bool {
        match self {
            Claim::Volume(source) => {
                let binds = configuration.binds.iter().filter(|bind| !is_read_only(bind));
                let binds = binds.filter_map(|bind| bind.split(':').next());
                let mounts = configuration.mounts.iter().filter(|mount| !mount.read_only);
                binds.chain(mounts.map(|mount| &*mount.source)).any(|other| overlap(source, other))
            }
            Claim::VolumesOf(name) => configuration
                .volumes_from
                .iter()
                .any(|other| other.split(':').next() == Some(name) && !is_read_only(other)),
            Claim::Network(mode) => configuration.network_mode == mode,
        }
    }

    /// Whether any two that have it share nothing else by it: who had it together before may have it together again. In a
    /// network each listens at ports of its own, and nobody knows which.
    pub(super) fn can_be_shared(self) -> bool {
        !matches!(self, Claim::Network(_))
    }
}

/// Whether two volumes are the same, or one of two directories is in the other one.
fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim_end_matches('/'), other.trim_end_matches('/'));
    let is_in = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    is_in(one, other) || is_in(other, one)
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn directories_overlap_where_one_is_in_the_other() {
        for (one, other) in [("/srv", "/srv/"), ("/srv/db", "/srv"), ("db", "db"), ("/", "/srv")] {
            assert!(overlap(one, other) && overlap(other, one), "{one} {other}");
        }
        for (one, other) in [("/srv", "/srv2"), ("db", "db2"), ("/srv/a", "/srv/b")] {
            assert!(!overlap(one, other) && !overlap(other, one), "{one} {other}");
        }
    }
}
