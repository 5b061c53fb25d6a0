//! What a real etcd does only now and then: answers that get lost, members that are paused, gateways that are none.

use super::gateway::{Member, Odd, Store, cluster};
use futures_util::future::BoxFuture;
use maestro::etcd::EtcdShelf;
use maestro_core::boundary::{Claimed, File, FolderId, FolderName, Keep, Labels, Shelf};
use maestro_core::config::{Limits, load};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::source::MapSources;
use maestro_testkit::shelf::conformance::{SHELF_CASES, ShelfHarness, run_shelf_case};
use std::fmt::Debug;
use std::sync::Arc;

fn shelf(members: &[Member]) -> EtcdShelf {
    let members: Vec<String> = members.iter().map(|member| format!("'http://{}'", member.address)).collect();
    let text = format!("name: x\nships: {{}}\nservices: {{}}\nledger: {{etcd: [{}]}}\n", members.join(", "));
    let loaded = load(&MapSources::of(text), &Limits::default());
    EtcdShelf::new(&loaded.environment.unwrap().ledger.unwrap())
}

fn name() -> FolderName {
    FolderName::of("shelf", "odd")
}

async fn made(shelf: &EtcdShelf, name: &FolderName) -> FolderId {
    match shelf.claim(name, Keep::Apart, &Labels::new()).await {
        Ok(Claimed::Made(id)) => id,
        other => panic!("{other:?}"),
    }
}

/// What is in a folder, and how large.
async fn sizes(shelf: &EtcdShelf, id: &FolderId) -> Vec<(String, usize)> {
    let files = shelf.get(id, "").await.unwrap();
    files.into_iter().map(|file| (file.path, file.content.len())).collect()
}

fn said(error: &EngineError) -> (bool, String) {
    (error.ambiguous, error.to_string())
}

struct Pretended {
    members: [Member; 2],
}

impl ShelfHarness for Pretended {
    fn shelf(&self) -> Arc<dyn Shelf> {
        Arc::new(shelf(&self.members))
    }

    fn neighbour(&self) -> Arc<dyn Shelf> {
        self.shelf()
    }

    fn sees_both(&self) -> bool {
        true
    }

    fn prune(&self) -> BoxFuture<'_, Result<(), String>> {
        self.members[0].store().prune();
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_pretended_etcd_is_a_shelf() {
    let pretended = Pretended { members: cluster().await };
    for case in SHELF_CASES {
        run_shelf_case(case, &pretended).await.unwrap();
    }
}

/// More than an old gateway passes on, in many files and in one.
#[tokio::test]
async fn whatever_there_is_comes_in_pages() {
    let [member] = cluster().await;
    let shelf = shelf(std::slice::from_ref(&member));
    let id = made(&shelf, &name()).await;
    let small = (0..1203).map(|number| File::new(format!("d/{number:04}"), "s"));
    let large = (0..3).map(|number| File::new(format!("e/{number}"), vec![b'l'; 1_500_000]));
    let files: Vec<File> = small.chain(large).collect();
    shelf.put(&id, &files).await.unwrap();
    assert_eq!(shelf.get(&id, "d/0700").await.unwrap(), files[700..701]);
    member.asked();
    assert!(shelf.get(&id, "d").await.unwrap() == files[..1203]);
    assert_eq!(member.asked(), 3, "many at a time");
    assert!(shelf.get(&id, "e").await.unwrap() == files[1203..]);
    assert_eq!(
        member.asked(),
        1 + 2,
        "18 parts were too much at once, and then come as few as always are possible"
    );
    assert!(shelf.get(&id, "").await.unwrap() == files);
}

/// What is read is as it was at one time, or is read anew.
#[tokio::test]
async fn pages_are_of_one_time() {
    let [member] = cluster().await;
    let shelf = shelf(std::slice::from_ref(&member));
    let id = made(&shelf, &name()).await;
    let files: Vec<File> = (0..700).map(|number| File::new(format!("d/{number:04}"), "x")).collect();
    shelf.put(&id, &files).await.unwrap();
    let change = |store: &mut Store| store.put("/maestro/maestro.shelf.odd/files/d/0699", b"changed");
    let forget: fn(&mut Store) = |store| {
        store.put("/maestro/maestro.shelf.odd/files/d/0699", b"changed");
        store.compact();
    };
    member.next([Odd::Meanwhile(change)]);
    assert_eq!(shelf.get(&id, "d").await.unwrap()[699].content, b"x");
    member.next([Odd::Meanwhile(forget)]);
    let found = shelf.get(&id, "d").await.unwrap();
    assert_eq!((found.len(), &*found[699].content), (700, &b"changed"[..]));
    // Not for ever.
    member.next(
        [Odd::Meanwhile(forget); 9]
            .into_iter()
            .zip([Odd::Says(400, COMPACTED); 9])
            .flat_map(<[Odd; 2]>::from),
    );
    let error = shelf.get(&id, "d").await.unwrap_err().to_string();
    assert!(error.contains("said no: mvcc: required revision has been compacted"), "{error}");
}

const COMPACTED: &str =
    r#"{"message": "etcdserver: mvcc: required revision has been compacted", "code": 11}"#;
const BUSY: &str = r#"{"message": "etcdserver: too many requests", "code": 8}"#;

/// What was not done is asked of another member; what may have been done is asked again where that is safe.
#[tokio::test]
async fn a_status_says_whether_something_may_have_been_done() {
    let members: [Member; 2] = cluster().await;
    for odd in [
        Odd::Says(404, "404 page not found"),
        Odd::Says(405, "no"),
        Odd::Says(501, "no"),
        Odd::Says(429, BUSY),
        Odd::Says(429, "slow down"),
    ] {
        let shelf = shelf(&members);
        members[0].next([odd]);
        let id = made(&shelf, &name()).await;
        members[1].next([odd]);
        shelf.put(&id, &[File::new("a", "1")]).await.unwrap();
        shelf.remove(&id).await.unwrap();
    }
    for odd in [Odd::DoesAndSays(408), Odd::DoesAndSays(499), Odd::DoesAndSays(503), Odd::Loses] {
        let shelf = shelf(&members);
        members[0].next([odd]);
        let (ambiguous, error) = said(&shelf.claim(&name(), Keep::Inside, &Labels::new()).await.unwrap_err());
        assert!(ambiguous && error.contains("did not answer"), "{odd:?}: {error}");
        let id = shelf.look(&name()).await.unwrap().unwrap().id;
        members[1].next([odd]);
        shelf.put(&id, &[File::new("a", "1")]).await.unwrap();
        members[0].next([odd]);
        assert_eq!(sizes(&shelf, &id).await, [("a".to_owned(), 1)]);
        members[1].next([odd]);
        shelf.remove(&id).await.unwrap();
        assert_eq!(shelf.look(&name()).await, Ok(None));
    }
    assert!(members.iter().all(|member| member.asked() > 0));

    let says = async |odd: Odd| {
        for member in &members {
            member.next([odd]);
        }
        let (ambiguous, error) =
            said(&shelf(&members).claim(&name(), Keep::Inside, &Labels::new()).await.unwrap_err());
        assert!(!ambiguous, "{error}");
        error
    };
    let [first, second] = [&members[0].address, &members[1].address];
    let all = format!("claiming maestro.shelf.odd: etcd at http://{first}, http://{second}");
    assert_eq!(says(Odd::Says(429, BUSY)).await, format!("{all} said no: too many requests"));
    assert_eq!(
        says(Odd::Says(404, "nginx")).await,
        format!("{all} did not answer: no gateway of etcd is there (404 Not Found)")
    );
}

#[tokio::test]
async fn a_lost_answer_to_a_put_is_asked_for_again_once() {
    let members: [Member; 2] = cluster().await;
    let shelf = shelf(&members);
    let id = made(&shelf, &name()).await;
    let counts = || members.each_ref().map(Member::asked);
    counts();
    members[0].next([Odd::Loses]);
    shelf.put(&id, &[File::new("a", "1")]).await.unwrap();
    assert_eq!(counts(), [1, 1]);
    // Each part of a large one. Who did not answer is asked last the next time.
    let fine = Odd::Meanwhile(|_| {});
    members[1].next([Odd::Loses, fine, Odd::Loses]);
    members[0].next([fine, Odd::Loses, fine, Odd::Loses]);
    shelf.put(&id, &[File::new("large", vec![1; 900_000])]).await.unwrap();
    assert_eq!(counts().iter().sum::<usize>(), 5 + 4);
    assert_eq!(sizes(&shelf, &id).await, [("a".to_owned(), 1), ("large".to_owned(), 900_000)]);
    counts();
    // Twice is too often, and it may have been done.
    for member in &members {
        member.next([Odd::Loses]);
    }
    let (ambiguous, error) = said(&shelf.put(&id, &[File::new("a", "22")]).await.unwrap_err());
    assert!(ambiguous && error.contains("did not answer"), "{error}");
    assert_eq!(counts(), [1, 1]);
    assert_eq!(shelf.get(&id, "a").await.unwrap(), [File::new("a", "22")]);
}

/// That the folder is gone when it is asked for again does not mean that nothing was done.
#[tokio::test]
async fn what_was_done_before_the_folder_was_taken_away_may_have_been_done() {
    let [member] = cluster().await;
    let shelf = shelf(std::slice::from_ref(&member));
    let id = made(&shelf, &name()).await;
    member.next([Odd::LosesAnd(Store::prune)]);
    let error = shelf.put(&id, &[File::new("a", "1")]).await.unwrap_err();
    assert!(error.ambiguous && matches!(error.kind, EngineErrorKind::NotFound(_)), "{error:?}");
    assert!(member.store().has("/files/a"));
}

/// A member that is paused with a request in its socket carries it out when it wakes.
#[tokio::test]
async fn what_was_asked_for_again_is_not_done_later() {
    let members: [Member; 2] = cluster().await;
    let shelf = shelf(&members);
    let id = made(&shelf, &name()).await;
    for (sleeper, first, then) in [(0, "1", "2"), (1, "3", "4")] {
        members[sleeper].next([Odd::Sleeps]);
        shelf.put(&id, &[File::new("a", first), File::new("b", vec![7; 600_000])]).await.unwrap();
        shelf.put(&id, &[File::new("a", then)]).await.unwrap();
        assert_eq!(members[sleeper].wakes(), 1);
        assert_eq!(shelf.get(&id, "a").await.unwrap(), [File::new("a", then)]);
        assert_eq!(sizes(&shelf, &id).await[1], ("b".to_owned(), 600_000));
    }
    // Somebody who knows nothing of that, and has not looked for long, is not kept from anything.
    let other = self::shelf(&members);
    other.put(&id, &[File::new("a", "5")]).await.unwrap();
    shelf.remove(&id).await.unwrap();
    assert!(!members[0].store().has("/again"));
}

/// Whoever has begun since is not disturbed by what his predecessor asked for, whenever it is done.
#[tokio::test]
async fn nothing_is_put_under_a_lease_that_is_gone() {
    let members: [Member; 2] = cluster().await;
    let (ada, bob) = (shelf(&members), shelf(&members));
    let lease_name = FolderName::of("lease", "odd");
    let (id, lease) = (made(&ada, &name()).await, made(&ada, &lease_name).await);
    for member in &members {
        member.next([Odd::Sleeps]);
    }
    let late = ada.put_beside(&id, &lease, &[File::new("a", "ada")]).await.unwrap_err();
    assert!(late.ambiguous, "{late}");
    bob.remove(&lease).await.unwrap();
    let bobs = made(&bob, &lease_name).await;
    bob.put_beside(&id, &bobs, &[File::new("a", "bob")]).await.unwrap();
    assert_eq!(members.iter().map(Member::wakes).sum::<usize>(), 2);
    assert_eq!(bob.get(&id, "").await.unwrap(), [File::new("a", "bob")]);
    let error = ada.put_beside(&id, &lease, &[File::new("a", "ada")]).await.unwrap_err();
    assert!(!error.ambiguous && error.to_string().ends_with("maestro.lease.odd was taken away"), "{error}");
}

/// An answer that is none is an error, and never a lease.
#[tokio::test]
async fn an_odd_answer_is_an_error() {
    fn is_wrong<T: Debug>(what: &str, result: Result<T, EngineError>, ambiguous: bool, text: &str) {
        let error = result.expect_err(what);
        assert!(error.to_string().ends_with(text) && error.ambiguous == ambiguous, "{what}: {error:?}");
    }
    let [member] = cluster().await;
    let shelf = shelf(std::slice::from_ref(&member));
    let id = made(&shelf, &name()).await;
    let files = [File::new("a", "1")];
    for (odd, text) in [
        ("{}", "did not answer: what came is no answer of etcd"),
        ("[]", "did not answer: what came is no answer of etcd"),
        ("", "did not answer: what came is no answer of etcd"),
        ("<html>", "did not answer: what came is no answer of etcd"),
        (r#"{"header": {}}"#, "gave an answer that makes no sense"),
        (r#"{"header": {"revision": "many"}}"#, "gave an answer that makes no sense"),
        (
            r#"{"header": {"revision": "7"}, "succeeded": true, "responses": [{}]}"#,
            "gave an answer that makes no sense",
        ),
    ] {
        let odd = [Odd::Says(200, odd); 2];
        member.next(odd.into_iter().take(1));
        is_wrong("claim", shelf.claim(&name(), Keep::Inside, &Labels::new()).await, true, text);
        member.next(odd.into_iter().take(1));
        is_wrong("look", shelf.look(&name()).await, false, text);
        member.next(odd.into_iter().take(1));
        is_wrong("get", shelf.get(&id, "a").await, false, text);
        member.next(odd);
        is_wrong("put", shelf.put(&id, &files).await, true, text);
        member.next(odd);
        is_wrong("remove", shelf.remove(&id).await, true, text);
    }
    // A condition was not met, and nothing is said of what was there instead.
    let silent = r#"{"header": {"revision": "7"}}"#;
    member.next([Odd::Says(200, silent); 4]);
    is_wrong("claim", shelf.claim(&name(), Keep::Inside, &Labels::new()).await, true, "makes no sense");
    is_wrong("look", shelf.look(&name()).await, false, "makes no sense");
    is_wrong("put", shelf.put(&id, &files).await, true, "makes no sense");
    member.next([Odd::Says(200, "{}"); 2]);
    let text = "did not answer: what came is no answer of etcd";
    is_wrong("heartbeat", shelf.beat(&id, 1).await, true, text);
    // Somebody has the name, and is not there.
    let nobody = r#"{"header": {"revision": "7"},
        "responses": [{"response_range": {}}, {"response_range": {}}, {"response_range": {}}]}"#;
    member.next([Odd::Says(200, nobody); 2]);
    is_wrong("claim", shelf.claim(&name(), Keep::Inside, &Labels::new()).await, false, "makes no sense");
    is_wrong("look", shelf.look(&name()).await, false, "makes no sense");
    // There is more, and nothing was given.
    let more = r#"{"header": {"revision": "7"}, "succeeded": true, "responses": [{"response_range": {"more": true}}]}"#;
    member.next([Odd::Says(200, more)]);
    is_wrong("get", shelf.get(&id, "").await, false, "makes no sense");
}
