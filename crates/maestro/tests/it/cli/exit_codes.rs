//! What scripts learn of a command that could not be begun.

use super::site::{SHOP, Site};

/// What maestro-ng had ends with 1, as there; all else with 2.
#[tokio::test]
async fn what_is_asked_wrongly_is_told_from_what_fails() {
    let site = Site::new(SHOP);
    for (line, code) in [
        ("plan start nobody", 2),
        ("plan stop", 2),
        ("plan start -c -1", 2),
        ("plan deploy nobody", 2),
        ("plan --out no/such/directory/next.plan start", 2),
        ("plan rollback --out next.plan", 2),
        ("drift nobody", 2),
        ("deploy nobody", 2),
        ("rollback nobody", 2),
        ("apply missing.plan", 2),
        ("exec nobody true", 2),
        ("exec web true", 2),
        ("balancers nobody", 2),
        ("start nobody", 1),
        ("stop", 1),
        ("start -c -1", 1),
        ("status nobody", 1),
        ("logs nobody", 1),
    ] {
        site.run(line).await.exits(code);
    }
    assert_eq!(site.writes(), []);
    site.shell.write("maestro.yaml", "__maestro: {schema: 2}\nname: shop\nservices: {web: {image: }}\n");
    for (line, code) in [
        ("plan deploy", 2),
        ("plan start", 2),
        ("drift", 2),
        ("deploy", 2),
        ("rollback", 2),
        ("resume", 2),
        ("abort", 2),
        ("releases", 2),
        ("diff 1", 2),
        ("unlock", 2),
        ("doctor", 2),
        ("balancers", 2),
        ("events", 2),
        ("exec web-1 true", 2),
        ("validate", 1),
        ("start", 1),
        ("status", 1),
        ("dump", 1),
        ("deptree", 1),
    ] {
        site.run(line).await.exits(code);
        // Whoever wants to know whether there is something to do learns that nobody knows.
        if line.starts_with("plan") || line == "drift" {
            site.run(&format!("{line} --detailed-exitcode")).await.exits(code);
        }
    }
}

/// An error is never what a ship that cannot be seen is taken for, nor a change.
#[tokio::test]
async fn a_plan_that_may_not_be_carried_out_is_asked_wrongly() {
    let site = Site::new(&format!(
        "{SHOP}budget: {{max_unavailable: 1}}\nfreeze: [{{from: 2020-01-01, to: 2100-01-01}}]\n"
    ));
    site.run("--despite-freeze first start").await.ok();
    site.run("plan --detailed-exitcode stop --all").await.exits(2).says("nothing has been done");
    site.run("stop --all").await.exits(1).says("nothing has been done");
}
