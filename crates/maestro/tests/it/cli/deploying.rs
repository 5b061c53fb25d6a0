//! `deploy`, `plan --out` and `apply`, as their users see them.

use super::site::{SHOP, Site};
use std::os::unix::fs::PermissionsExt;

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
    let writes: Vec<_> = site.writes().iter().map(ToString::to_string).collect();
    // Nothing is made, and nothing is fetched.
    assert!(writes.iter().all(|write| !write.contains("create") && !write.contains("pull")), "{writes:?}");
    insta::assert_snapshot!(text);
}

/// One that does not come up is the last one that is touched.
#[tokio::test]
async fn a_deployment_that_fails_says_how_far_it_came() {
    let site = Site::new(&rolling("2.0"));
    site.run("deploy").await.ok();
    site.write(&rolling("brief-3.0"));
    let ran = site.run("deploy --yes -c 1 web").await;
    insta::assert_snapshot!(site.redacted(&ran));
    assert_eq!(site.state("web-2"), "running");
    assert!(site.pacific.container("web-2").unwrap().config.image.contains("web:2.0"));
}

#[tokio::test]
async fn a_saved_plan_is_carried_out_or_refused() {
    let site = Site::new(&rolling("2.0"));
    site.run("start").await.ok();
    site.write(&rolling("3.0"));
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
