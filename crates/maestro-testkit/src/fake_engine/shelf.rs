//! The pretended engine as an anchor, without HTTP.

use crate::daemon::Trouble;
use crate::fake_engine::FakeEngine;
use crate::faults::Operation;
use crate::state::{
    Archived, Behaviour, Cause, Content, CreateConfig, HostConfig, Refusal, Removal, RestartPolicy, Update,
};
use futures_util::future::BoxFuture;
use maestro_core::boundary::{Claimed, Deadlines, File, Folder, FolderId, FolderName, Keep, Labels, Shelf};
use maestro_core::engine_error::EngineError;

const IMAGE: &str = "maestro/shelf:1";
const ROOT: &str = "files";

impl FakeEngine {
    async fn ask<T>(
        &self,
        what: String,
        operation: Operation,
        answer: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, EngineError> {
        let total = self.timeout.unwrap_or(Deadlines::DEFAULT_WRITE);
        let deadlines = Deadlines { connect: total, idle: total, total };
        self.question(what, operation, deadlines).within(answer).await
    }

    async fn found(&self, name: &FolderName) -> Result<Option<Folder>, Trouble> {
        let look = |machine: &crate::state::Machine| {
            let found = machine.containers().into_iter().find(|c| *c.name == *name.as_str());
            Ok(found.map(|c| Folder {
                id: FolderId(c.id.as_str().to_owned()),
                labels: c.config.labels.clone().unwrap_or_default(),
                beat: beat_of(&c.config.host_config),
            }))
        };
        self.read(Operation::Inspect, name.as_str(), look).await
    }

    async fn claim_name(&self, name: &FolderName, keep: Keep, labels: &Labels) -> Result<Claimed, Trouble> {
        self.meddle(|machine, now| {
            machine.image(IMAGE).is_some()
                || machine.add_image(IMAGE, &Content::new("empty", Behaviour::forever()), now)
        });
        let bind = format!("{name}:/{ROOT}");
        loop {
            let config = CreateConfig {
                image: IMAGE.to_owned(),
                cmd: Some(vec!["/never-run".to_owned()]),
                labels: Some(labels.clone()),
                host_config: HostConfig {
                    binds: (keep == Keep::Apart).then(|| vec![bind.clone()]),
                    network_mode: Some("none".to_owned()),
                    ..HostConfig::default()
                },
                ..CreateConfig::default()
            };
            match self.create(name.as_str(), config).await {
                Ok(created) => return Ok(Claimed::Made(FolderId(created.id.as_str().to_owned()))),
                Err(Trouble::Refused(Refusal { cause: Cause::Conflict, .. })) => {
                    if let Some(folder) = self.found(name).await? {
                        return Ok(Claimed::Taken(folder));
                    }
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }
}

/// As an engine keeps a folder's heartbeat.
fn beat_of(host: &HostConfig) -> u32 {
    let count = host.restart_policy.as_ref().and_then(|policy| policy.maximum_retry_count);
    count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
}

impl Shelf for FakeEngine {
    fn claim<'a>(
        &'a self,
        name: &'a FolderName,
        keep: Keep,
        labels: &'a Labels,
    ) -> BoxFuture<'a, Result<Claimed, EngineError>> {
        let what = format!("creating container {name}");
        Box::pin(self.ask(what, Operation::Create, self.claim_name(name, keep, labels)))
    }

    fn look<'a>(&'a self, name: &'a FolderName) -> BoxFuture<'a, Result<Option<Folder>, EngineError>> {
        Box::pin(self.ask(format!("looking at container {name}"), Operation::Inspect, self.found(name)))
    }

    fn put<'a>(&'a self, id: &'a FolderId, files: &'a [File]) -> BoxFuture<'a, Result<(), EngineError>> {
        let mut entries = Vec::new();
        for file in files {
            let path = format!("{ROOT}/{}", file.path);
            // As archives have them: directories that are missing, or a file where one has to be, are seen to.
            let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
            entries.extend(above.map(|path| Archived { path: path.to_owned(), content: None }));
            entries.push(Archived { path: path.clone(), content: Some(file.content.clone()) });
        }
        let answer = self.put_archive(&id.0, entries);
        Box::pin(self.ask("writing files into a container".to_owned(), Operation::Put, answer))
    }

    fn get<'a>(&'a self, id: &'a FolderId, path: &'a str) -> BoxFuture<'a, Result<Vec<File>, EngineError>> {
        let wanted = if path.is_empty() { ROOT.to_owned() } else { format!("{ROOT}/{path}") };
        let answer = async move {
            let archived = match self.get_archive(&id.0, &wanted).await {
                Err(Trouble::Refused(no)) if no.message.starts_with("Could not find the file") => Vec::new(),
                archived => archived?,
            };
            let before = wanted.rsplit_once('/').map_or(String::new(), |(before, _)| format!("{before}/"));
            let mut files: Vec<File> = archived
                .into_iter()
                .filter_map(|entry| {
                    let path = format!("{before}{}", entry.path);
                    let path = path.strip_prefix(ROOT)?.trim_start_matches('/').to_owned();
                    Some(File { path, content: entry.content.filter(|content| !content.is_empty())? })
                })
                .collect();
            files.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(files)
        };
        Box::pin(self.ask("reading files of a container".to_owned(), Operation::Get, answer))
    }

    fn beat<'a>(&'a self, id: &'a FolderId, beat: u32) -> BoxFuture<'a, Result<(), EngineError>> {
        let policy =
            RestartPolicy { name: Some("on-failure".to_owned()), maximum_retry_count: Some(beat.into()) };
        let answer = self.daemon.update(&id.0, Update { restart_policy: Some(policy), ..Update::default() });
        Box::pin(self.ask("updating a container".to_owned(), Operation::Update, answer))
    }

    fn remove<'a>(&'a self, id: &'a FolderId) -> BoxFuture<'a, Result<(), EngineError>> {
        let answer = async {
            match self.daemon.remove(&id.0, Removal { volumes: true, force: false }).await {
                Err(Trouble::Refused(Refusal { cause: Cause::Missing, .. })) => Ok(()),
                result => result,
            }
        };
        Box::pin(self.ask("removing a container".to_owned(), Operation::Remove, answer))
    }
}
