//! What was replaced is kept, and stays what it is until it is taken back.

use super::site::Site;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::state::{Container, Update};

fn web(tag: &str) -> String {
    format!(
        "
  web:
    image: shop/web:{tag}
    deploy: {{strategy: rolling, max_unavailable: 1}}
    instances:
      web-1: {{ship: atlantic, restart: always, stop_timeout: 1, ports: {{http: '8080:18080'}}}}
"
    )
}

async fn deployed(tags: &[&str]) -> Site {
    let site = Site::new(&web(tags[0]));
    for tag in tags {
        site.write(&web(tag));
        site.run("deploy --yes").await.ok();
    }
    site
}

fn kept(site: &Site) -> Vec<Container> {
    let all = site.atlantic.look(|machine| machine.containers().into_iter().cloned().collect::<Vec<_>>());
    all.into_iter().filter(|container| container.name.starts_with("web-1.kept-")).collect()
}

fn restart(container: &Container) -> &str {
    let policy = container.config.host_config.restart_policy.as_ref();
    policy.and_then(|policy| policy.name.as_deref()).unwrap_or("no")
}

/// Engines start what is to run always, whoever has stopped it, when they start anew.
#[tokio::test]
async fn what_is_kept_is_started_by_no_engine() {
    let site = deployed(&["1.0", "2.0"]).await;
    let [before] = &kept(&site)[..] else { panic!("{:?}", kept(&site)) };
    assert_eq!(restart(before), "no");
    let web = site.atlantic.container("web-1").unwrap();
    assert_eq!(restart(&web), "always");
    site.run("rollback --yes").await.ok();
    let back = site.atlantic.container("web-1").unwrap();
    assert_eq!((&back.id, restart(&back)), (&before.id, "always"));
    let [after] = &kept(&site)[..] else { panic!("{:?}", kept(&site)) };
    assert_eq!((&after.id, restart(after)), (&web.id, "no"));
    site.write(&self::web("1.0"));
    site.run("plan deploy --detailed-exitcode").await.exits(0);
    site.run("drift").await.ok();
}

/// Nor is what has left the file, whoever has stopped it: who finds it stopped takes it for done.
#[tokio::test]
async fn what_has_left_the_file_is_started_by_no_engine() {
    let one = |tag| web(tag).replace("max_unavailable: 1", "max_unavailable: 1, on_failure: pause");
    let other =
        "      web-2: {ship: pacific, restart: always, stop_timeout: 1, ports: {http: '8080:18081'}}\n";
    let site = Site::new(&(one("1.0") + other));
    site.run("deploy --yes").await.ok();
    site.write(&one("2.0"));
    let full = Fault::Refused(500, "no space left on device".to_owned());
    site.pacific.set_faults(Faults::none().and(On::Only(Operation::Update), When::Always, full));
    site.run("deploy --yes").await.exits(3).says("no space left");
    site.pacific.recover().await;
    site.run("resume --yes").await.ok().says("this is release 2");
    let left = site.pacific.container("web-2").unwrap();
    assert_eq!((site.state("web-2"), restart(&left)), ("exited", "no"));
    site.run("rollback --yes").await.ok();
    let back = site.pacific.container("web-2").unwrap();
    assert_eq!((site.state("web-2"), restart(&back), &back.id), ("running", "always", &left.id));
}

/// It has the port of the one that is to be, or answers beside it.
#[tokio::test]
async fn what_is_kept_and_runs_all_the_same_is_stopped() {
    let site = deployed(&["1.0", "2.0"]).await;
    let name = kept(&site)[0].name.to_string();
    let own = site.atlantic.container("web-1").unwrap().id.to_string();
    site.atlantic.meddle(|machine, now| machine.kill(&own, None, now).unwrap());
    let restart =
        maestro_testkit::state::RestartPolicy { name: Some("always".to_owned()), maximum_retry_count: None };
    let update = Update { restart_policy: Some(restart), ..Update::default() };
    site.atlantic.meddle(|machine, _| machine.update(&name, update).unwrap());
    site.atlantic.meddle(|machine, now| machine.start(&name, now).unwrap());
    site.run("plan deploy --detailed-exitcode").await.exits(10);
    site.run("deploy --yes").await.ok();
    assert_eq!((site.state("web-1"), site.state(&name)), ("running", "exited"));
    assert_eq!(self::restart(&kept(&site)[0]), "no");
    site.run("plan deploy --detailed-exitcode").await.exits(0);
}

#[tokio::test]
async fn what_somebody_has_changed_is_not_taken_back() {
    let site = deployed(&["1.0", "2.0"]).await;
    let update = Update { memory: Some(100 << 20), memory_swap: Some(200 << 20), ..Update::default() };
    site.atlantic.meddle(|machine, _| machine.update("web-1", update).unwrap());
    let changed = site.atlantic.container("web-1").unwrap().id;
    site.run("drift").await.ok().says("memory");
    site.run("deploy --yes").await.ok();
    let repaired = site.atlantic.container("web-1").unwrap().id;
    assert_ne!(repaired, changed);
    for (tag, is_new) in [("1.0", false), ("2.0", false)] {
        site.write(&web(tag));
        site.run("deploy --yes").await.ok();
        let found = site.atlantic.container("web-1").unwrap();
        assert_eq!(found.config.host_config.memory.unwrap_or(0), 0, "{tag}: {is_new}");
        site.run("plan deploy --detailed-exitcode").await.exits(0);
    }
    assert_eq!(site.atlantic.container("web-1").unwrap().id, repaired);
    // Where there is no other one, one is made.
    site.atlantic.meddle(|machine, _| {
        let update = Update { memory: Some(100 << 20), memory_swap: Some(200 << 20), ..Update::default() };
        for container in machine.containers().into_iter().map(|c| c.id.to_string()).collect::<Vec<_>>() {
            machine.update(&container, update.clone()).unwrap();
        }
    });
    site.run("rollback --yes").await.ok();
    assert_eq!(site.atlantic.container("web-1").unwrap().config.host_config.memory.unwrap_or(0), 0);
}
