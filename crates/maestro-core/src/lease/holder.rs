//! Who has a lease, as the labels of its folder say.

use crate::boundary::{Folder, FolderId, FolderName, Labels};
use crate::fleet::{FleetSnapshot, ShipView};
use crate::model::Environment;

const RUN: &str = "maestro.lease.run";
const OWNER: &str = "maestro.lease.owner";
const SINCE: &str = "maestro.lease.since";
const DOING: &str = "maestro.lease.doing";

/// Who has a lease, or wants it. For people, except for the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Differs for every process and claim.
    pub run: String,
    /// Who, and where: `ada@laptop`.
    pub owner: String,
    /// When it began, by the clock over there.
    pub since: String,
    /// The command: `deploy web --tag 7`.
    pub doing: String,
}

/// A lease as it was found on one anchor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seen {
    /// Its folder.
    pub id: FolderId,
    /// Whose.
    pub holder: Holder,
    /// Its last heartbeat; 0 before the first one.
    pub beat: u32,
}

impl From<Folder> for Seen {
    fn from(folder: Folder) -> Self {
        Self { holder: Holder::read(&folder.labels), id: folder.id, beat: folder.beat }
    }
}

impl Holder {
    /// Who has the lease of an environment on a ship that was seen, or died and left it there.
    pub fn seen(environment: &Environment, fleet: &FleetSnapshot) -> Option<Self> {
        let name = FolderName::of("lease", environment.display_name());
        fleet.ships.values().find_map(|view| match view {
            ShipView::Reachable(state) => {
                let container = state.containers.get(name.as_str())?;
                (container.labels.contains_key(RUN)).then(|| Self::read(&container.labels))
            }
            ShipView::Unreachable(_) => None,
        })
    }

    /// Adds it to the labels of a folder.
    pub fn write(&self, labels: &mut Labels) {
        for (key, value) in
            [(RUN, &self.run), (OWNER, &self.owner), (SINCE, &self.since), (DOING, &self.doing)]
        {
            labels.insert(key.to_owned(), value.clone());
        }
    }

    /// Reads it from the labels of a folder; what is missing is empty.
    pub fn read(labels: &Labels) -> Self {
        let text = |key: &str| labels.get(key).cloned().unwrap_or_default();
        Self { run: text(RUN), owner: text(OWNER), since: text(SINCE), doing: text(DOING) }
    }
}
