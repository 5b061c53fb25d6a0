//! Leases and ledgers on a real etcd. The engines are pretended: what is tried here is where nothing of theirs matters.

#[path = "../it/cli/shell.rs"]
#[expect(dead_code, clippy::expect_used, reason = "its other half is used where it is at home")]
mod shell;
#[path = "../it/cli/site.rs"]
#[expect(dead_code, reason = "its other half is used where it is at home")]
mod site;

use super::ledger::one_wins_and_a_sleeper_is_too_late;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::{BoxFuture, join_all};
use maestro::etcd::EtcdShelf;
use maestro::ledger::Anchors;
use maestro_core::boundary::{Claimed, FolderId, FolderName, Keep, Labels, Shelf};
use maestro_core::config::{Limits, load};
use maestro_core::model::Etcd;
use maestro_core::source::MapSources;
use maestro_testkit::daemon::Latency;
use maestro_testkit::practice::{Authority, CertificateFiles, PracticeEtcd};
use maestro_testkit::shelf::conformance::{SHELF_CASES, ShelfHarness, run_shelf_case};
use rustix::process::Signal;
use serde_json::{Value, json};
use site::{SHOP, Site, until};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

static NO_LABELS: Labels = Labels::new();

/// What stands in a file.
fn read(ledger: &str) -> Etcd {
    let text = format!("name: x\nships: {{}}\nservices: {{}}\nledger: {ledger}\n");
    let loaded = load(&MapSources::of(text), &Limits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)).ledger.unwrap()
}

fn anchors(etcd: &Etcd) -> Anchors {
    let shelf = EtcdShelf::new(etcd);
    Anchors::new("großer laden", [(shelf.name().clone(), Arc::new(shelf) as Arc<dyn Shelf>)])
}

/// Somebody who may do everything with an etcd.
struct Admin {
    client: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Admin {
    fn new(etcd: &PracticeEtcd, shown: Option<&CertificateFiles>) -> Self {
        // There is one already if somebody else in this process needed it: as good.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder().no_proxy();
        if let Some(files) = shown {
            builder = builder.tls_backend_preconfigured(files.client_config().unwrap());
        }
        Self { client: builder.build().unwrap(), url: etcd.url(), token: None }
    }

    async fn call(&self, path: &str, body: Value) -> Value {
        let mut request = self.client.post(format!("{}{path}", self.url)).json(&body);
        if let Some(token) = &self.token {
            request = request.header("authorization", token);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let answer = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// From now on, who asks has to log in: as `maestro`, who may do what he likes below `/maestro/`, or as `root`.
    async fn require_logins(&mut self) {
        let mut calls =
            vec![("role/add", json!({ "name": "maestro" })), ("role/add", json!({ "name": "root" }))];
        let below = json!({ "permType": "READWRITE", "key": encoded("/maestro/"), "range_end": encoded("/maestro0") });
        calls.push(("role/grant", json!({ "name": "maestro", "perm": below })));
        for user in ["root", "maestro"] {
            calls.push(("user/add", json!({ "name": user, "password": "hunter2" })));
            calls.push(("user/grant", json!({ "user": user, "role": user })));
        }
        calls.push(("enable", json!({})));
        for (path, body) in calls {
            self.call(&format!("/v3/auth/{path}"), body).await;
        }
        self.log_in().await;
    }

    async fn log_in(&mut self) {
        self.token = None;
        let login = json!({ "name": "root", "password": "hunter2" });
        let answer = self.call("/v3/auth/authenticate", login).await;
        self.token = answer["token"].as_str().map(str::to_owned);
    }

    /// The values of all keys that end so.
    async fn values(&self, end: &str) -> Vec<String> {
        let all = json!({ "key": encoded("/maestro/"), "range_end": encoded("/maestro0") });
        let found = self.call("/v3/kv/range", all).await;
        let decoded = |value: &Value| {
            let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let pairs = found["kvs"].as_array().into_iter().flatten();
        pairs
            .filter(|pair| decoded(&pair["key"]).ends_with(end))
            .map(|pair| decoded(&pair["value"]))
            .collect()
    }
}

fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

struct Real {
    etcd: Etcd,
    admin: Admin,
    /// What all cases use.
    shelf: Arc<EtcdShelf>,
}

impl Real {
    fn new(etcd: Etcd, admin: Admin) -> Self {
        Self { shelf: Arc::new(EtcdShelf::new(&etcd)), etcd, admin }
    }
}

impl ShelfHarness for Real {
    fn shelf(&self) -> Arc<dyn Shelf> {
        self.shelf.clone()
    }

    fn neighbour(&self) -> Arc<dyn Shelf> {
        Arc::new(EtcdShelf::new(&self.etcd))
    }

    fn sees_both(&self) -> bool {
        true
    }

    /// etcd has nothing that takes folders away by itself; this is somebody who removes all that he finds.
    fn prune(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            for id in self.admin.values("/id").await {
                self.shelf.remove(&FolderId(id)).await.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    }
}

async fn all_cases(real: &Real) {
    let mut failed = Vec::new();
    for case in SHELF_CASES {
        if let Err(problem) = run_shelf_case(case, real).await {
            failed.push(problem);
        }
    }
    assert!(failed.is_empty(), "{} failures:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(real.admin.values("/id").await, [""; 0], "folders were left behind");
}

/// Each has an etcd of its own, and mostly waits.
#[tokio::test(flavor = "multi_thread")]
async fn etcd_is_a_shelf() {
    tokio::join!(
        a_usual_etcd_is_a_shelf(),
        an_etcd_that_is_there_in_part_is_a_shelf(),
        an_etcd_with_certificates_and_logins_is_a_shelf()
    );
}

async fn a_usual_etcd_is_a_shelf() {
    let etcd = PracticeEtcd::start().await.unwrap();
    let url = etcd.url();
    all_cases(&Real::new(read(&format!("{{etcd: '{url}'}}")), Admin::new(&etcd, None))).await;
}

/// Members that are down, or hang, are in nobody's way for long.
async fn an_etcd_that_is_there_in_part_is_a_shelf() {
    let etcd = PracticeEtcd::start().await.unwrap();
    let down = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = etcd.url();
    let real = Real::new(read(&format!("{{etcd: ['http://{down}', '{url}']}}")), Admin::new(&etcd, None));
    all_cases(&real).await;

    // Connections are made, and nothing ever comes.
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = hangs.local_addr().unwrap();
    let shelf = EtcdShelf::new(&read(&format!("{{etcd: ['http://{hanging}', '{url}']}}")));
    let name = FolderName::of("shelf", "hanging");
    let began = Instant::now();
    let claim = || shelf.claim(&name, Keep::Inside, &NO_LABELS);
    let error = claim().await.unwrap_err();
    assert!(
        error.ambiguous && error.to_string().contains(&format!("did not answer: http://{hanging}")),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    // The other one is asked from now on.
    let began = Instant::now();
    assert!(matches!(claim().await.unwrap(), Claimed::Made(_)));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // Who only reads asks the other one by himself.
    let reader = EtcdShelf::new(&read(&format!("{{etcd: ['http://{hanging}', '{url}']}}")));
    assert!(reader.look(&name).await.unwrap().is_some());
}

async fn an_etcd_with_certificates_and_logins_is_a_shelf() {
    let authority = Authority::new("etcd").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = PracticeEtcd::start_secure(&authority).await.unwrap();
    let files = authority.issue_client("", dir.path()).unwrap();
    let named = authority.issue_client("maestro", &dir.path().join("named")).unwrap();
    let mut admin = Admin::new(&etcd, Some(&files));
    admin.require_logins().await;
    let url = etcd.url();
    let of = |files: &CertificateFiles, more: &str| {
        let [ca, cert, key] = [&files.ca, &files.cert, &files.key].map(|path| path.display());
        read(&format!("{{etcd: '{url}', tls_ca_cert: {ca}, tls_cert: {cert}, tls_key: {key}{more}}}"))
    };
    let (ledger, ca) = (|more: &str| of(&files, more), files.ca.display());
    let real = Real::new(ledger(", username: maestro, password: hunter2"), admin);
    all_cases(&real).await;

    // A login does not outlive etcd, and is made again.
    let name = FolderName::of("shelf", "logins");
    assert_eq!(real.shelf.look(&name).await, Ok(None));
    etcd.kill().await.unwrap();
    etcd.revive().await.unwrap();
    let claimed = real.shelf.claim(&name, Keep::Inside, &NO_LABELS).await;
    assert!(matches!(claimed, Ok(Claimed::Made(_))), "{claimed:?}");

    let wrong = [
        (
            ledger(", username: maestro, password: hunter3"),
            "said no: authentication failed, invalid user ID or password",
        ),
        (ledger(""), "said no: user name is empty"),
        // Its gateway takes names from no certificate.
        (
            of(&named, ", username: maestro, password: hunter2"),
            "CommonName of client sending a request against gateway",
        ),
        (ledger(", prefix: /other, username: maestro, password: hunter2"), "said no: permission denied"),
        (read(&format!("{{etcd: '{url}', tls_ca_cert: {ca}}}")), "did not answer: received fatal alert"),
        (read(&format!("{{etcd: '{url}'}}")), "`tls_ca_cert` can name a file with the one to trust"),
        (read(&format!("{{etcd: '{url}', tls_ca_cert: {ca}.not}}")), "cannot be used: no such file"),
        (read(&format!("{{etcd: '{}'}}", url.replace("https", "http"))), "did not answer"),
    ];
    for (etcd, expected) in wrong {
        let error =
            EtcdShelf::new(&etcd).claim(&name, Keep::Inside, &NO_LABELS).await.unwrap_err().to_string();
        assert!(error.starts_with("claiming maestro.shelf.logins: etcd at http"), "{error}");
        assert!(error.contains(expected) && !error.contains("hunter"), "{expected}: {error}");
    }
}

/// Each has an etcd of its own, and mostly waits for somebody who died, or for deadlines.
#[tokio::test(flavor = "multi_thread")]
async fn one_person_deploys_at_a_time() {
    tokio::join!(
        of_two_deployers_on_etcd_one_wins_and_a_sleeper_is_too_late(),
        the_second_one_is_told_who_is_at_work(),
        a_lease_can_be_taken_away(),
        without_etcd_nothing_is_changed()
    );
}

async fn of_two_deployers_on_etcd_one_wins_and_a_sleeper_is_too_late() {
    let etcd = PracticeEtcd::start().await.unwrap();
    let ledger = read(&format!("{{etcd: '{}'}}", etcd.url()));
    one_wins_and_a_sleeper_is_too_late(&|| anchors(&ledger)).await;
}

/// Long enough to see that somebody lives before he is done.
const A_WHILE: Duration = Duration::from_millis(1500);
/// So long that a deployment takes longer than it may write without a heartbeat.
const LONG: Duration = Duration::from_millis(2200);

fn shop(tag: &str, etcd: &PracticeEtcd) -> String {
    let shop = SHOP
        .replace("shop/web:2.0", &format!("shop/web:{tag}"))
        .replace("ports: {", "stop_timeout: 1, ports: {")
        .replace(
            "    requires: [db]\n",
            "    requires: [db]\n    deploy: {strategy: rolling, max_unavailable: 1}\n",
        );
    format!("{shop}ledger: {{etcd: '{}'}}\n", etcd.url())
}

/// A shop of which version 2.0 is deployed; its file says 3.0.
async fn released(etcd: &PracticeEtcd, each: Duration) -> Site {
    let site = Site::slow_with(&shop("2.0", etcd), &Latency::default(), ", timeout: 3");
    site.run("deploy").await.ok().says("this is release 1");
    site.write(&shop("3.0", etcd));
    site.clear_writes();
    site.changes_take(each);
    site
}

fn has_begun(site: &Site) -> bool {
    site.changes().iter().any(|change| change.contains("web-"))
}

async fn the_second_one_is_told_who_is_at_work() {
    let etcd = PracticeEtcd::start().await.unwrap();
    let site = released(&etcd, A_WHILE).await;
    let first = site.shell.spawn("LOGNAME=ada deploy --yes -c 1 web");
    until("the first one has begun", || has_begun(&site)).await;
    let (second, stopping) = tokio::join!(site.run("deploy --yes web"), site.run("stop web"));
    second.exits(5).says("ada@").says("deploy web").says("--wait-lease");
    stopping.exits(1).says("ada@").says("maestro unlock");
    site.run("status web").await.ok();
    first.end().await.ok().says("this is release 2");
    site.changes_take(Duration::ZERO);

    // Nothing of it is on the ships.
    let writes = site.writes();
    assert!(writes.iter().all(|write| !write.subject.starts_with("maestro.")), "{writes:?}");
    site.run("releases --output name").await.ok().says("2\n1\n");
    site.run("diff 1 2").await.ok().says("web");
    site.run("rollback --yes").await.ok().says("this is release 3");
    assert!(site.image("web-1").contains("web:2.0") && site.image("web-2").contains("web:2.0"));
}

/// Who hangs is in the way of maestro-ng's commands until he is known to, and can be told to go.
async fn a_lease_can_be_taken_away() {
    let etcd = PracticeEtcd::start().await.unwrap();
    let site = released(&etcd, A_WHILE).await;
    let hung = site.shell.spawn("LOGNAME=eve deploy --yes -c 1 web");
    until("it has begun", || has_begun(&site)).await;
    hung.send(Signal::STOP);
    site.changes_take(Duration::ZERO);
    site.run("unlock").await.exits(2).says("eve@").says("nobody can be asked");
    site.run("unlock --yes").await.ok().says("it has been taken away");
    site.run("unlock --yes").await.ok().says("nobody has the lease");
    site.run("start db").await.ok();
    site.run("abort --yes").await.ok();
    hung.send(Signal::CONT);
    assert_ne!(hung.end().await.says("the lease is lost").code, 0);
    assert!(site.image("web-1").contains("web:2.0") && site.image("web-2").contains("web:2.0"));
}

async fn without_etcd_nothing_is_changed() {
    let mut etcd = PracticeEtcd::start().await.unwrap();
    let site = released(&etcd, LONG).await;
    let deploying = site.shell.spawn("deploy --yes -c 1 web");
    until("it has begun", || has_begun(&site)).await;
    etcd.kill().await.unwrap();
    let silent = format!("etcd at {} did not answer", etcd.url());
    let broken_off = deploying.end().await.says("the lease is lost").says(&silent);
    assert_ne!(broken_off.code, 0, "{}", broken_off.all());
    site.changes_take(Duration::ZERO);
    site.clear_writes();
    let lines = ["deploy --yes web", "releases", "resume --yes", "rollback --yes", "unlock --yes"];
    for ran in join_all(lines.map(|line| site.run(line))).await {
        ran.exits(1).says(&silent).within(Duration::from_secs(10));
    }
    assert_eq!(site.writes(), []);
    // Nobody needs the lease for these.
    site.run("status web").await.ok();
    site.run("start db").await.ok();
    etcd.revive().await.unwrap();
    site.run("releases").await.ok().says("not finished");
    site.run("resume --yes").await.ok().says("this is release 2");
    assert!(site.image("web-1").contains("web:3.0") && site.image("web-2").contains("web:3.0"));
}
