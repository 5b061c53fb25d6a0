//! What every [`Shelf`] must do: memory, pretended engines, real ones.

use futures_util::future::{BoxFuture, join_all};
use maestro_core::boundary::{Claimed, File, FolderId, FolderName, Keep, LAST_BEAT, Labels, Shelf};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A shelf to try.
pub trait ShelfHarness: Send + Sync {
    /// The shelf.
    fn shelf(&self) -> Arc<dyn Shelf>;

    /// The same shelf as somebody else reaches it.
    fn neighbour(&self) -> Arc<dyn Shelf>;

    /// Whether it can put files on condition that another folder is there.
    fn sees_both(&self) -> bool {
        false
    }

    /// Takes away the folders on it, as `docker container prune` does.
    fn prune(&self) -> BoxFuture<'_, Result<(), String>>;
}

/// One thing that every shelf must do.
#[derive(Clone, Copy)]
pub struct ShelfCase {
    /// What it is, as a test's name.
    pub name: &'static str,
    body: for<'a> fn(&'a Context<'a>) -> BoxFuture<'a, Outcome>,
}

impl std::fmt::Debug for ShelfCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShelfCase").field("name", &self.name).finish_non_exhaustive()
    }
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        &[$(ShelfCase { name: stringify!($name), body: |cx| Box::pin($name(cx)) }),*]
    };
}

/// The suite. The cases are tried one after another: some take away what others would need.
pub const SHELF_CASES: &[ShelfCase] = cases![
    gives_a_name_once,
    gives_a_name_once_at_the_same_time,
    shows_who_has_a_name,
    keeps_files,
    puts_files_over_others,
    takes_files_away,
    puts_in_their_order,
    keeps_large_files,
    keeps_many_files,
    forgets_files_with_their_folder,
    refuses_what_is_for_a_folder_that_is_gone,
    removes_while_somebody_puts,
    puts_beside_a_folder_that_is_there,
    tells_the_last_heartbeat,
    keeps_apart_what_is_to_stay,
    survives_a_prune,
];

type Outcome = Result<(), String>;

const CASE_DEADLINE: Duration = Duration::from_secs(90);

static RUN: AtomicU64 = AtomicU64::new(0);

/// Runs one case.
pub async fn run_shelf_case(case: &ShelfCase, harness: &dyn ShelfHarness) -> Outcome {
    let cx = Context { harness, shelf: harness.shelf(), neighbour: harness.neighbour() };
    let result = tokio::time::timeout(CASE_DEADLINE, (case.body)(&cx)).await;
    let result = result.unwrap_or_else(|_| Err(format!("not over within {} s", CASE_DEADLINE.as_secs())));
    result.map_err(|problem| format!("{}: {problem}", case.name))
}

struct Context<'a> {
    harness: &'a dyn ShelfHarness,
    shelf: Arc<dyn Shelf>,
    neighbour: Arc<dyn Shelf>,
}

impl Context<'_> {
    async fn make(&self, name: &FolderName, keep: Keep) -> Result<FolderId, String> {
        match self.shelf.claim(name, keep, &labels()).await.map_err(say)? {
            Claimed::Made(id) => Ok(id),
            Claimed::Taken(folder) => Err(format!("{name} is taken by {folder:?}")),
        }
    }

    async fn put(&self, id: &FolderId, files: &[File]) -> Outcome {
        self.shelf.put(id, files).await.map_err(say)
    }

    /// What is below a path, asked over the other way. Of what was taken away, empty files may be left.
    async fn get(&self, id: &FolderId, path: &str) -> Result<Vec<(String, String)>, String> {
        let files = self.neighbour.get(id, path).await.map_err(say)?;
        Ok(files
            .into_iter()
            .filter(|file| !file.content.is_empty())
            .map(|file| (file.path, String::from_utf8_lossy(&file.content).into_owned()))
            .collect())
    }

    async fn is_gone(&self, id: &FolderId) -> Outcome {
        let file = [File::new("a", "x")];
        missing("a put", self.shelf.put(id, &file).await)?;
        missing("a heartbeat", self.neighbour.beat(id, 1).await)?;
        missing("a get", self.shelf.get(id, "").await)?;
        missing("a get of a path", self.neighbour.get(id, "a").await)
    }
}

/// A name that nobody else uses.
fn new_name() -> FolderName {
    let number = RUN.fetch_add(1, Ordering::Relaxed);
    FolderName::of("shelf", &format!("conformance {} {number}", std::process::id()))
}

fn labels() -> Labels {
    [
        ("maestro.role", "shelf"),
        ("maestro.environment", "großer \"Laden\" 1/2"),
        ("maestro.lease.doing", ""),
        ("maestro.lease.owner", "ada@host\nsecond line = %{}'"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn say(error: EngineError) -> String {
    error.to_string()
}

fn missing<T: std::fmt::Debug>(what: &str, result: Result<T, EngineError>) -> Outcome {
    match result {
        Err(EngineError { kind: EngineErrorKind::NotFound(_), .. }) => Ok(()),
        other => Err(format!("{what} for a folder that is gone: {other:?}")),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, should: &T) -> Outcome {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?}, and should be {should:?}")) }
}

fn listed(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}

async fn gives_a_name_once(cx: &Context<'_>) -> Outcome {
    let name = new_name();
    let id = cx.make(&name, Keep::Inside).await?;
    for shelf in [&cx.shelf, &cx.neighbour] {
        match shelf.claim(&name, Keep::Inside, &Labels::new()).await.map_err(say)? {
            Claimed::Taken(folder) => {
                same("who has it", &folder.id, &id)?;
                has_labels(&folder.labels)?;
            }
            Claimed::Made(_) => return Err("it was given twice".to_owned()),
        }
    }
    cx.shelf.remove(&id).await.map_err(say)
}

/// Engines may add labels of their own.
fn has_labels(found: &Labels) -> Outcome {
    for (key, value) in labels() {
        same(&key, &found.get(&key), &Some(&value))?;
    }
    Ok(())
}

async fn gives_a_name_once_at_the_same_time(cx: &Context<'_>) -> Outcome {
    for _ in 0..5 {
        let name = new_name();
        let claims = (0..8).map(async |number: usize| {
            let shelf = if number.is_multiple_of(2) { &cx.shelf } else { &cx.neighbour };
            shelf.claim(&name, Keep::Inside, &labels()).await
        });
        let mut ids = BTreeSet::new();
        let mut made = 0;
        for claimed in join_all(claims).await {
            ids.insert(match claimed.map_err(say)? {
                Claimed::Made(id) => {
                    made += 1;
                    id
                }
                Claimed::Taken(folder) => folder.id,
            });
        }
        same("how often it was made, and how many ids were told", &(made, ids.len()), &(1, 1))?;
        for id in ids {
            cx.shelf.remove(&id).await.map_err(say)?;
        }
    }
    Ok(())
}

async fn shows_who_has_a_name(cx: &Context<'_>) -> Outcome {
    let name = new_name();
    same("nobody", &cx.neighbour.look(&name).await.map_err(say)?, &None)?;
    let id = cx.make(&name, Keep::Inside).await?;
    let found = cx.neighbour.look(&name).await.map_err(say)?.ok_or("nobody has it")?;
    same("who has it", &found.id, &id)?;
    has_labels(&found.labels)?;
    cx.shelf.remove(&id).await.map_err(say)?;
    same("nobody any more", &cx.neighbour.look(&name).await.map_err(say)?, &None)
}

async fn keeps_files(cx: &Context<'_>) -> Outcome {
    let id = cx.make(&new_name(), Keep::Inside).await?;
    same("an empty folder", &cx.get(&id, "").await?, &vec![])?;
    same("nothing at a path", &cx.get(&id, "deep/er").await?, &vec![])?;
    let files =
        [File::new("beat", "1"), File::new("deep/er/1.2", "two"), File::new("deep/er-not", "\0\u{1F6A2}")];
    cx.put(&id, &files).await?;
    let (beat, two, not) = (("beat", "1"), ("deep/er/1.2", "two"), ("deep/er-not", "\0\u{1F6A2}"));
    same("everything", &sorted(cx.get(&id, "").await?), &sorted(listed(&[beat, not, two])))?;
    same("a directory", &cx.get(&id, "deep/er").await?, &listed(&[two]))?;
    same("a file", &cx.get(&id, "deep/er-not").await?, &listed(&[not]))?;
    same("a file at the top", &cx.get(&id, "beat").await?, &listed(&[beat]))?;
    same("the beginning of a name", &cx.get(&id, "be").await?, &vec![])?;
    same("below a file", &cx.get(&id, "beat/x").await?, &vec![])?;
    cx.shelf.remove(&id).await.map_err(say)
}

fn sorted(mut files: Vec<(String, String)>) -> Vec<(String, String)> {
    files.sort();
    files
}

async fn puts_files_over_others(cx: &Context<'_>) -> Outcome {
    let id = cx.make(&new_name(), Keep::Inside).await?;
    for content in ["long content", "short", "1"] {
        cx.put(&id, &[File::new("a/b", content)]).await?;
        same("the last content", &cx.get(&id, "").await?, &listed(&[("a/b", content)]))?;
    }
    cx.put(&id, &[File::new("a/c", "x")]).await?;
    same("what was there stays", &cx.get(&id, "a").await?, &listed(&[("a/b", "1"), ("a/c", "x")]))?;
    cx.shelf.remove(&id).await.map_err(say)
}

async fn takes_files_away(cx: &Context<'_>) -> Outcome {
    for keep in [Keep::Inside, Keep::Apart] {
        let id = cx.make(&new_name(), keep).await?;
        let paths = ["a/1", "a/2", "a/b/3", "ab", "c/1"];
        cx.put(&id, &paths.map(|path| File::new(path, path))).await?;
        cx.put(&id, &[File::absent("a"), File::absent("c/1"), File::absent("never/was")]).await?;
        same("what is left", &cx.get(&id, "").await?, &listed(&[("ab", "ab")]))?;
        same("nothing", &cx.get(&id, "a").await?, &vec![])?;
        cx.put(&id, &[File::new("a/b/4", "4"), File::new("c/1", "again")]).await?;
        let left = listed(&[("a/b/4", "4"), ("ab", "ab"), ("c/1", "again")]);
        same("what was put later", &sorted(cx.get(&id, "").await?), &left)?;
        cx.shelf.remove(&id).await.map_err(say)?;
    }
    Ok(())
}

async fn puts_in_their_order(cx: &Context<'_>) -> Outcome {
    let id = cx.make(&new_name(), Keep::Apart).await?;
    cx.put(&id, &[File::new("a/1", "x"), File::absent("a"), File::new("a/2", "y")]).await?;
    same("what came last", &cx.get(&id, "").await?, &listed(&[("a/2", "y")]))?;
    cx.shelf.remove(&id).await.map_err(say)
}

async fn keeps_large_files(cx: &Context<'_>) -> Outcome {
    for (keep, size) in [(Keep::Inside, 100_000), (Keep::Apart, 5_000_000)] {
        let id = cx.make(&new_name(), keep).await?;
        let mut state = 1_u64;
        let noise = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        let file = File::new("large", (0..size).map(noise).collect::<Vec<u8>>());
        cx.put(&id, std::slice::from_ref(&file)).await?;
        let found = cx.neighbour.get(&id, "").await.map_err(say)?;
        if found != [file] {
            return Err(format!("{size} bytes came back otherwise: {} files", found.len()));
        }
        cx.shelf.remove(&id).await.map_err(say)?;
    }
    Ok(())
}

async fn keeps_many_files(cx: &Context<'_>) -> Outcome {
    let id = cx.make(&new_name(), Keep::Apart).await?;
    let files: Vec<File> =
        (0..300).map(|number| File::new(format!("d/{number:03}"), vec![b'x'; number + 1])).collect();
    cx.put(&id, &files).await?;
    let found = cx.neighbour.get(&id, "d").await.map_err(say)?;
    if found != files {
        return Err(format!("{} of 300 files came back, or in another order", found.len()));
    }
    cx.shelf.remove(&id).await.map_err(say)
}

async fn forgets_files_with_their_folder(cx: &Context<'_>) -> Outcome {
    let name = new_name();
    let first = cx.make(&name, Keep::Inside).await?;
    cx.put(&first, &[File::new("a", "1")]).await?;
    cx.shelf.remove(&first).await.map_err(say)?;
    let second = cx.make(&name, Keep::Inside).await?;
    same("a new folder", &cx.get(&second, "").await?, &vec![])?;
    cx.shelf.remove(&second).await.map_err(say)
}

async fn refuses_what_is_for_a_folder_that_is_gone(cx: &Context<'_>) -> Outcome {
    let name = new_name();
    let first = cx.make(&name, Keep::Inside).await?;
    cx.put(&first, &[File::new("a", "1")]).await?;
    cx.neighbour.remove(&first).await.map_err(say)?;
    cx.is_gone(&first).await?;
    cx.shelf.remove(&first).await.map_err(say)?;
    let second = cx.make(&name, Keep::Inside).await?;
    if first == second {
        return Err(format!("two folders have the id {first:?}"));
    }
    cx.is_gone(&first).await?;
    cx.shelf.remove(&first).await.map_err(say)?;
    cx.put(&second, &[File::new("b", "2")]).await?;
    same("the later folder", &cx.get(&second, "").await?, &listed(&[("b", "2")]))?;
    cx.shelf.remove(&second).await.map_err(say)
}

/// Whatever becomes of a put that is under way meanwhile, later ones fail.
async fn removes_while_somebody_puts(cx: &Context<'_>) -> Outcome {
    for _ in 0..5 {
        let id = cx.make(&new_name(), Keep::Inside).await?;
        let beat = [File::new("beat", "1")];
        let put = async || {
            for _ in 0..20 {
                match cx.neighbour.put(&id, &beat).await {
                    Err(error) if matches!(error.kind, EngineErrorKind::NotFound(_)) => return Ok(()),
                    // An engine that takes a container away in the middle says so in many words.
                    _ => {}
                }
            }
            missing("the last put", cx.neighbour.put(&id, &beat).await)
        };
        let remove = async || {
            cx.shelf.remove(&id).await.map_err(say)?;
            cx.is_gone(&id).await
        };
        let (put, removed) = futures_util::join!(put(), remove());
        removed.and(put)?;
    }
    Ok(())
}

/// Also one of the same name that came later is not there for it.
async fn puts_beside_a_folder_that_is_there(cx: &Context<'_>) -> Outcome {
    let name = new_name();
    let other = cx.make(&name, Keep::Inside).await?;
    let id = cx.make(&new_name(), Keep::Apart).await?;
    let put = async |path: &str| cx.shelf.put_beside(&id, &other, &[File::new(path, path)]).await;
    put("a").await.map_err(say)?;
    same("what was put", &cx.get(&id, "").await?, &listed(&[("a", "a")]))?;
    for path in ["b", "c"] {
        cx.neighbour.remove(&other).await.map_err(say)?;
        match put(path).await {
            Ok(()) if !cx.harness.sees_both() => {}
            Err(EngineError { kind: EngineErrorKind::Conflict(_), .. }) if cx.harness.sees_both() => {
                same("what was refused", &cx.get(&id, "").await?, &listed(&[("a", "a")]))?;
            }
            wrong => return Err(format!("a put beside a folder that is gone: {wrong:?}")),
        }
        if path == "b" {
            let later = cx.make(&name, Keep::Inside).await?;
            let refused = put("d").await;
            same("whether it was refused", &refused.is_err(), &cx.harness.sees_both())?;
            cx.shelf.remove(&later).await.map_err(say)?;
        }
    }
    cx.shelf.remove(&id).await.map_err(say)?;
    missing("a put", put("e").await)
}

/// It goes with its folder, and comes with no other of that name.
async fn tells_the_last_heartbeat(cx: &Context<'_>) -> Outcome {
    let name = new_name();
    let told = async || match cx.neighbour.look(&name).await.map_err(say)? {
        Some(folder) => Ok::<u32, String>(folder.beat),
        None => Err("nobody has it".to_owned()),
    };
    for keep in [Keep::Inside, Keep::Apart] {
        let id = cx.make(&name, keep).await?;
        same("before the first one", &told().await?, &0)?;
        for beat in [1, 2, LAST_BEAT, 1] {
            cx.shelf.beat(&id, beat).await.map_err(say)?;
            same("the last one", &told().await?, &beat)?;
        }
        match cx.neighbour.claim(&name, keep, &labels()).await.map_err(say)? {
            Claimed::Taken(folder) => {
                same("what who claims is told", &(folder.id, folder.beat), &(id.clone(), 1))?;
            }
            Claimed::Made(_) => return Err("it was given twice".to_owned()),
        }
        same("files", &cx.get(&id, "").await?, &vec![])?;
        cx.neighbour.remove(&id).await.map_err(say)?;
        cx.is_gone(&id).await?;
    }
    Ok(())
}

async fn keeps_apart_what_is_to_stay(cx: &Context<'_>) -> Outcome {
    let name = new_name();
    let first = cx.make(&name, Keep::Apart).await?;
    cx.put(&first, &[File::new("a/b", "1")]).await?;
    cx.shelf.remove(&first).await.map_err(say)?;
    cx.is_gone(&first).await?;
    let second = cx.make(&name, Keep::Apart).await?;
    same("what was there", &cx.get(&second, "").await?, &listed(&[("a/b", "1")]))?;
    let other = cx.make(&new_name(), Keep::Apart).await?;
    same("another name", &cx.get(&other, "").await?, &vec![])?;
    cx.shelf.remove(&other).await.map_err(say)?;
    cx.shelf.remove(&second).await.map_err(say)
}

async fn survives_a_prune(cx: &Context<'_>) -> Outcome {
    let (inside, apart) = (new_name(), new_name());
    let lost = cx.make(&inside, Keep::Inside).await?;
    let kept = cx.make(&apart, Keep::Apart).await?;
    for id in [&lost, &kept] {
        cx.put(id, &[File::new("a", "1")]).await?;
    }
    cx.harness.prune().await?;
    cx.is_gone(&lost).await?;
    cx.is_gone(&kept).await?;
    let (inside, apart) = (cx.make(&inside, Keep::Inside).await?, cx.make(&apart, Keep::Apart).await?);
    same("what was in the folder", &cx.get(&inside, "").await?, &vec![])?;
    same("what was kept apart", &cx.get(&apart, "").await?, &listed(&[("a", "1")]))?;
    cx.shelf.remove(&inside).await.map_err(say)?;
    cx.shelf.remove(&apart).await.map_err(say)
}
