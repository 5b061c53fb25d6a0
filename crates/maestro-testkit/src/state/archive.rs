//! Files in containers that were never started, and on their volumes: what `PUT` and `GET /containers/{}/archive` do.

use crate::state::container::Container;
use crate::state::refusal::Refusal;
use crate::state::{Machine, no_such_container};
use jiff::Timestamp;
use maestro_core::fleet::ContainerState;
use std::collections::BTreeMap;

/// What is in an archive, by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Relative, without slashes at its ends.
    pub path: String,
    /// None for a directory.
    pub content: Option<Vec<u8>>,
}

/// Everything that containers and volumes contain, as far as somebody has put it there. Directories have no content.
#[derive(Debug, Default)]
pub(crate) struct Files(BTreeMap<String, BTreeMap<String, Option<Vec<u8>>>>);

impl Files {
    pub(crate) fn forget(&mut self, container: &str) {
        self.0.remove(&format!("container {container}"));
    }
}

impl Machine {
    /// `PUT /containers/{}/archive?path=/`.
    pub fn put_archive(
        &mut self,
        reference: &str,
        entries: Vec<Archived>,
        _now: Timestamp,
    ) -> Result<(), Refusal> {
        let container = self.never_started(reference)?;
        let placed: Vec<_> = entries
            .into_iter()
            .map(|entry| {
                let (store, path) = place(container, &entry.path);
                (store, path, entry.content)
            })
            .collect();
        for (store, path, content) in placed {
            let files = self.files.0.entry(store).or_default();
            let above: Vec<&str> = path
                .match_indices('/')
                .filter_map(|(at, _)| path.get(..at))
                .filter(|p| !p.is_empty())
                .collect();
            for directory in above {
                if let Some(Some(_)) = files.insert(directory.to_owned(), None) {
                    return Err(Refusal::failed(format!("mkdir /{directory}: not a directory")));
                }
            }
            if content.is_some() || files.get(&path).is_some_and(Option::is_some) {
                let below = format!("{path}/");
                files.retain(|other, _| *other != path && !other.starts_with(&below));
            }
            files.insert(path, content);
        }
        Ok(())
    }

    /// `GET /containers/{}/archive`: what is at a path and below, by paths that begin with the last part of the one
    /// that was asked for.
    pub fn get_archive(&self, reference: &str, path: &str) -> Result<Vec<Archived>, Refusal> {
        let container = self.never_started(reference)?;
        let wanted = path.trim_matches('/');
        let parent = wanted.rsplit_once('/').map_or(0, |(parent, _)| parent.len() + 1);
        let (store, inside) = place(container, wanted);
        let cut = wanted.len() - inside.len();
        let root = cut == wanted.len();
        let below = if inside.is_empty() { String::new() } else { format!("{inside}/") };
        let files = self.files.0.get(&store);
        let mut found: Vec<Archived> = files
            .into_iter()
            .flatten()
            .filter(|(path, _)| **path == inside || path.starts_with(&below))
            .map(|(path, content)| {
                let whole =
                    if root { format!("{wanted}/{path}") } else { format!("{}{path}", &wanted[..cut]) };
                Archived { path: whole[parent..].to_owned(), content: content.clone() }
            })
            .collect();
        if found.is_empty() && !root {
            return Err(Refusal::missing(format!("Could not find the file {path} in container {reference}")));
        }
        if root {
            found.insert(0, Archived { path: wanted[parent..].to_owned(), content: None });
        }
        Ok(found)
    }

    fn never_started(&self, reference: &str) -> Result<&Container, Refusal> {
        let container = self.get(reference).map_err(|_| no_such_container(reference))?;
        if container.state != ContainerState::Created {
            return Err(Refusal::strict("files are modelled in containers that were never started"));
        }
        Ok(container)
    }

    /// Takes away all containers that do not run, as `docker container prune` does; named volumes stay.
    pub fn prune(&mut self, now: Timestamp) {
        let idle: Vec<String> = self
            .containers()
            .into_iter()
            .filter(|c| !c.is_running())
            .map(|c| c.id.as_str().to_owned())
            .collect();
        for id in idle {
            // What cannot be removed stays, as it does with the real one.
            _ = self.remove(&id, crate::state::Removal { volumes: true, force: false }, now);
        }
    }
}

/// Where a path of a container is really: in itself, or on one of its volumes, and by which path there.
fn place(container: &Container, path: &str) -> (String, String) {
    for bind in container.config.host_config.binds.iter().flatten() {
        let mut parts = bind.split(':');
        if let (Some(source), Some(target)) = (parts.next(), parts.next())
            && let Some(rest) = path.strip_prefix(target.trim_matches('/'))
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return (format!("volume {source}"), rest.trim_start_matches('/').to_owned());
        }
    }
    (format!("container {}", container.id.as_str()), path.to_owned())
}
