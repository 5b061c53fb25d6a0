//! `budget:` and `freeze:`: what binds every command that acts.

use super::site::{SHOP, Site};
use std::fmt::Write as _;

/// The shop with something at the root of its file.
fn shop(root: &str) -> String {
    format!("{SHOP}{root}\n")
}

const FROZEN: &str =
    "freeze: [{from: 2020-01-01, to: 2099-12-31, timezone: Europe/Berlin, reason: stocktaking}]";

#[tokio::test]
async fn nothing_is_changed_while_that_is_frozen() {
    let site = Site::new(&shop(FROZEN));
    let mut text = String::new();
    for line in [
        "start",
        "deploy",
        "plan start",
        "pull --progress quiet",
        "status",
        "--despite-freeze hotfix start --progress quiet",
    ] {
        writeln!(text, "{}", site.redacted(&site.run(line).await)).unwrap();
    }
    insta::assert_snapshot!(text);
    site.clear_writes();
    for line in
        ["stop --all", "kill web-1", "restart", "restart --refresh-images --only-if-changed", "clean -i db"]
    {
        let ran = site.run(line).await;
        // What changes nothing is not refused.
        if line.starts_with("clean") {
            ran.ok();
        } else {
            ran.exits(1).says("nothing has been done: frozen until").says(": stocktaking");
        }
    }
    assert_eq!(site.writes(), []);
    site.run("deploy --yes").await.ok().says("unchanged");
    // A file without the key, and one whose windows are over, bind nobody.
    site.write(&shop("freeze: [{from: 2020-01-01, to: 2020-12-31}]"));
    site.run("restart web").await.ok();
}

#[tokio::test]
async fn a_budget_binds_every_command() {
    let site = Site::new(&shop("budget: {max_unavailable: 1}"));
    site.run("start").await.ok();
    site.clear_writes();
    let mut text = String::new();
    for line in ["stop --all", "plan kill web"] {
        writeln!(text, "{}", site.redacted(&site.run(line).await)).unwrap();
    }
    insta::assert_snapshot!(text);
    assert_eq!(site.writes(), []);
    // One after the other it can be done.
    site.run("restart").await.ok().says("3 restarted");
    site.run("kill web-1").await.ok();
    site.run("kill web-2").await.exits(1).says("at least 2 of 3 instances would be down");
    site.run("restart db").await.exits(1).says("(1 are now)");
    site.run("start").await.ok();
    site.run("restart db").await.ok();
    // Whom nobody can see counts as down.
    site.atlantic.set_faults(maestro_testkit::faults::Faults::unreachable());
    site.run("kill web-2").await.exits(1).says("2 of them because nobody can see them");
    site.run("--despite-budget emergency kill web-2").await.ok().says("done all the same: emergency");
    assert_eq!(site.state("web-2"), "exited");
}
