//! `deploy`, `plan --out` and `apply`, as their users see them.

use super::site::{SHOP, Site};
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use std::os::unix::fs::PermissionsExt;

/// Without what differs from machine to machine; columns are as wide as that.
pub(super) fn anywhere(text: &str) -> String {
    let owner = fancy_regex::Regex::new(r"[\w.-]+@[\w.-]+").unwrap();
    let gap = fancy_regex::Regex::new(" {3,}").unwrap();
    gap.replace_all(&owner.replace_all(text, "[WHO]"), "  ").into_owned()
}

/// The shop with a web that is replaced one instance after the other.
fn rolling(tag: &str) -> String {
    SHOP.replace("shop/web:2.0", &format!("shop/web:{tag}")).replace(
        "    requires: [db]\n",
        "    requires: [db]\n    deploy: {strategy: rolling, max_unavailable: 1}\n",
    )
}

#[tokio::test]
async fn a_deployment_and_the_way_back() {
    let site = Site::new(&rolling("2.0"));
    site.run("deploy -c 1").await.ok();
    site.clear_writes();
    let mut text = site.transcript(&["deploy", "plan deploy --detailed-exitcode"]).await;
    assert_eq!(site.writes(), [], "what is as released is left alone");
    site.write(&rolling("3.0"));
    text += &site
        .transcript(&["plan deploy --detailed-exitcode", "deploy", "deploy --yes -c 1 web", "status"])
        .await;
    site.clear_writes();
    text += &site.transcript(&["deploy -y -c 1 --tag 2.0 web"]).await;
    let writes = site.changes();
    // Nothing is made, and nothing is fetched.
    assert!(writes.iter().all(|write| !write.contains("create") && !write.contains("pull")), "{writes:?}");
    insta::assert_snapshot!(text);
}

/// One that does not come up is the last one that is touched, and the one that was there comes back.
#[tokio::test]
async fn a_deployment_that_fails_is_taken_back() {
    let site = Site::new(&rolling("2.0"));
    site.run("deploy").await.ok();
    site.write(&rolling("brief-3.0"));
    site.clear_writes();
    let ran = site.run("deploy --yes -c 1 web").await.exits(4);
    insta::assert_snapshot!(site.redacted(&ran));
    assert_eq!((site.state("web-1"), site.state("web-2")), ("running", "running"));
    assert!(site.image("web-1").contains("web:2.0") && site.image("web-2").contains("web:2.0"));
    let touched = site.changes();
    assert!(touched.iter().all(|change| !change.contains("web-2")), "{touched:?}");
    // It was no release, and nothing is left to be done.
    site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
    site.run("releases --output name").await.ok().never_says("2");
}

/// Where the service says so, everything stays as it is until somebody decides.
#[tokio::test]
async fn a_deployment_that_fails_waits_for_a_decision() {
    let pausing = |tag| rolling(tag).replace("max_unavailable: 1}", "max_unavailable: 1, on_failure: pause}");
    let site = Site::new(&pausing("2.0"));
    site.run("deploy").await.ok();
    site.write(&pausing("brief-3.0"));
    let mut text = site.transcript(&["deploy --yes -c 1 web", "releases"]).await;
    assert_eq!(site.state("web-1"), "exited");
    // Whoever deploys only a part of it would leave the rest half done.
    text += &site.transcript(&["deploy --yes db", "deploy --yes web-1"]).await;
    insta::assert_snapshot!(anywhere(&text));
    site.run("resume --yes").await.exits(3).says("the deployment is not finished");
    site.run("rollback --yes").await.exits(1).says("`maestro abort` goes back");
    site.clear_writes();
    // Nobody has seen what is left answer, so all are asked.
    site.run("abort --yes").await.exits(0).says("2 deployed");
    assert!(site.image("web-1").contains("web:2.0") && site.image("web-2").contains("web:2.0"));
    assert_eq!(site.state("web-1"), "running");
    assert!(site.changes().iter().all(|change| !change.contains("create")), "{:?}", site.changes());
    site.run("abort --yes").await.exits(1).says("no deployment is unfinished");
    site.run("deploy --yes db").await.ok();
}

#[tokio::test]
async fn a_saved_plan_is_carried_out_or_refused() {
    let site = Site::new(&rolling("2.0"));
    site.run("start").await.ok();
    site.write(&rolling("3.0"));
    // Whoever could read what was there before cannot read the plan.
    site.shell.write("next.plan", "");
    std::fs::set_permissions(site.shell.file("next.plan"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut text = site.transcript(&["plan --out next.plan deploy"]).await;
    let permissions = std::fs::metadata(site.shell.file("next.plan")).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600, "passwords may be in it");
    // The file has moved on: the plan has not.
    site.write(&rolling("4.0"));
    text += &site.transcript(&["apply --yes --progress quiet next.plan", "status web"]).await;
    site.clear_writes();
    let stale = site.run("apply --yes next.plan").await;
    assert_eq!(site.writes(), [], "a stale plan changes nothing");
    assert!(stale.all().contains("the plan is stale, and nothing has been done"), "{}", stale.all());
    assert!(stale.all().contains("web-1: container was"), "{}", stale.all());
    stale.exits(6);
    site.shell.write("no.plan", "{}");
    text +=
        &site.transcript(&["apply no.plan", "apply missing.plan", "deploy --tag 3.0", "deploy nobody"]).await;
    insta::assert_snapshot!(text);
}

/// Not even the lease is taken for it.
#[tokio::test]
async fn a_saved_plan_of_nothing_writes_nothing() {
    let site = Site::new(&rolling("2.0"));
    site.run("deploy").await.ok().says("this is release 1");
    site.clear_writes();
    site.run("plan --out same.plan deploy").await.ok();
    site.run("apply --yes same.plan").await.ok().says("unchanged");
    assert_eq!(site.writes(), []);
    site.run("releases --output name").await.ok().never_says("2");
}

/// Scripts of maestro-ng's commands know 1; whoever applies a plan learns whether anything was changed.
#[tokio::test]
async fn a_saved_start_that_fails_half_way_has_changed_something() {
    let site = Site::new(SHOP);
    site.run("plan --out next.plan start").await.ok();
    for ship in [&site.atlantic, &site.pacific] {
        ship.set_faults(Faults::missing_image());
    }
    site.run("apply --yes next.plan").await.exits(1);
    site.atlantic.recover().await;
    let refused = Fault::Refused(500, "no".into());
    site.pacific.set_faults(Faults::none().and(On::Only(Operation::Start), When::Always, refused));
    site.run("apply --yes next.plan").await.exits(3);
    assert_eq!((site.state("web-1"), site.state("web-2")), ("running", "created"));
    site.run("start").await.exits(1);
}

/// Releases are listed, compared, gone back to, and forth again.
#[tokio::test]
async fn releases_are_a_way_back() {
    let site = Site::new(&rolling("2.0"));
    site.run("releases").await.ok().says("nothing has been released yet");
    site.run("rollback --yes").await.exits(2).says("no release has been recorded yet");
    site.run("deploy").await.ok().says("this is release 1");
    site.write(&rolling("3.0").replace("production", "test"));
    site.run("deploy --yes web").await.ok().says("this is release 2");
    site.clear_writes();
    site.run("deploy --yes web").await.ok().never_says("release 3");
    assert_eq!(site.writes(), [], "what is there is not recorded again");
    let mut text = site.transcript(&["releases", "diff 1 2", "diff 2", "diff 1 7"]).await;
    // A way back needs no registry.
    site.registries.forget("docker.io");
    site.clear_writes();
    text += &site
        .transcript(&["plan rollback", "rollback", "rollback --yes -c 1", "releases", "status web"])
        .await;
    let changes = site.changes();
    assert!(
        changes.iter().all(|change| !change.contains("create") && !change.contains("pull")),
        "{changes:?}"
    );
    assert!(site.image("web-1").contains("web:2.0") && site.image("web-2").contains("web:2.0"), "{text}");
    text += &site.transcript(&["rollback --yes", "rollback --yes web --to 2", "rollback nobody"]).await;
    assert!(site.image("web-2").contains("web:3.0"));
    insta::assert_snapshot!(anywhere(&text));
    let listed = site.run("releases --output json").await.ok();
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!((&listed[0]["release"], &listed[0]["back_to"]), (&4.into(), &2.into()));
    assert_eq!(listed[0]["services"]["web"]["id"], listed[2]["services"]["web"]["id"]);
    // The file is what is there again.
    site.write(&rolling("3.0").replace("production", "test"));
    site.run("plan deploy --detailed-exitcode").await.exits(0);
}

/// What a release had on a ship that the file does not have any more is a difference like any other.
#[tokio::test]
async fn releases_are_compared_with_ships_that_are_gone() {
    let site = Site::new(&rolling("2.0"));
    site.run("deploy").await.ok();
    let file = std::fs::read_to_string(site.shell.file("maestro.yaml")).unwrap();
    let without_pacific = |web_2: &str| {
        let lines = file.lines().filter(|line| !line.starts_with("  pacific:"));
        let lines = lines.map(|line| if line.contains("web-2:") { web_2 } else { line });
        let lines = lines.filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("\n") + "\n"
    };
    site.shell.write("maestro.yaml", without_pacific(""));
    site.run("deploy --yes").await.ok().says("this is release 2");
    let moved = "      web-2: {ship: atlantic, ports: {http: '8080:18081'}}";
    site.shell.write("maestro.yaml", without_pacific(moved));
    site.run("deploy --yes").await.ok().says("this is release 3");
    let mut text = String::new();
    for line in ["diff 1 2", "diff 1 3", "diff 2 1", "diff 1"] {
        text += &site.redacted(&site.run(line).await.ok());
    }
    insta::assert_snapshot!(text);
}

/// The shop with a web of which there can be two of each instance.
fn beside(tag: &str, deploy: &str) -> String {
    SHOP.replace("shop/web:2.0", &format!("shop/web:{tag}"))
        .replace("    requires: [db]\n", &format!("    requires: [db]\n    deploy: {{{deploy}}}\n"))
        .replace("'8080:18080'", "'8080:18100-18109'")
        .replace("'8080:18081'", "'8080:18100-18109'")
}

#[tokio::test]
async fn some_are_tried_first_and_the_others_follow_when_told() {
    let canary = "strategy: canary, max_unavailable: 0, on_failure: pause";
    let site = Site::new(&beside("2.0", canary));
    site.run("deploy -c 1").await.ok();
    site.write(&beside("3.0", canary));
    let mut text = site.transcript(&["plan deploy web", "deploy --yes -c 1 web"]).await;
    site.clear_writes();
    site.run("deploy --yes web").await.exits(3);
    assert!(site.changes().is_empty(), "{:?}", site.changes());
    // What waits is not in step with the file.
    site.run("plan deploy web --detailed-exitcode").await.exits(10);
    text += &site.transcript(&["plan --output json deploy web", "deploy --yes --promote -c 1 web"]).await;
    insta::assert_snapshot!(anywhere(&text));
}

/// Whoever goes on with a deployment that was told to need not be told again.
#[tokio::test]
async fn that_the_others_follow_is_remembered() {
    let canary = "strategy: canary, max_unavailable: 0, on_failure: pause";
    let site = Site::new(&beside("2.0", canary));
    site.run("deploy").await.ok();
    site.write(&beside("3.0", canary));
    site.run("deploy --yes web").await.exits(3);
    let refused = Fault::Refused(500, "no".into());
    site.pacific.set_faults(Faults::none().and(On::Only(Operation::Start), When::Always, refused));
    site.run("deploy --yes --promote web").await.exits(3).says("not finished");
    assert!(site.image("web-2").contains("web:2.0"));
    site.pacific.recover().await;
    site.run("resume --yes").await.ok().says("this is release 2");
    assert!(site.image("web-1").contains("web:3.0") && site.image("web-2").contains("web:3.0"));
}

#[tokio::test]
async fn what_is_left_of_a_deployment_that_was_broken_off_is_told() {
    let together = "strategy: blue-green, on_failure: pause";
    let site = Site::new(&beside("2.0", together));
    site.run("deploy").await.ok();
    site.write(&beside("brief-3.0", together));
    site.run("deploy --yes web").await.exits(3);
    assert!(site.image("web-2").contains("web:2.0"));
    let mut text = site.transcript(&["status web", "status --output json web"]).await;
    site.write(&beside("2.0", together));
    text += &site.transcript(&["plan deploy web", "deploy --yes -c 1 web", "status web"]).await;
    insta::assert_snapshot!(anywhere(&text));
}

/// Images of releases that nobody goes back to soon leave the ships.
#[tokio::test]
async fn images_of_old_releases_go() {
    let site = Site::new(&rolling("1"));
    for tag in ["1", "2", "3", "4", "5", "6", "7"] {
        site.write(&rolling(tag));
        let ran = site.run("deploy --yes").await.ok();
        // Four releases stay, and what the containers that are kept were made from.
        let (says, removed) = match tag {
            "6" | "7" => ("removed what nobody needs any more: 2 images", 2),
            _ => ("this is release", 0),
        };
        ran.says(says);
        let writes = site.writes();
        let gone = writes.iter().filter(|write| write.operation == Operation::RemoveImage).count();
        assert_eq!(gone, removed, "{tag}: {writes:?}");
        site.clear_writes();
    }
    for ship in [&site.atlantic, &site.pacific] {
        let images =
            ship.look(|machine| machine.images().iter().flat_map(|i| i.digests.clone()).collect::<Vec<_>>());
        assert_eq!(images.iter().filter(|digest| digest.contains("web")).count(), 5, "{images:?}");
    }
    // The way back is as short as it was.
    site.registries.forget("docker.io");
    site.run("rollback --yes").await.ok();
    site.run("rollback --yes --to 4").await.ok();
}
