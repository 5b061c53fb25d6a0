//! Deployments that tell a balancer on this machine, whose file is all that there is of it.

use super::asking::asked;
use super::shell::Ran;
use super::site::{SHOP, Site, until};
use maestro_testkit::daemon::Latency;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use rustix::process::Signal;
use std::io::Write as _;
use std::time::Duration;

const TEMPLATE: &str = "# {{ generation }}
{% for backend in backends %}{% for server in backend.servers %}{{ server.instance }} {{ server.state }}
{% endfor %}{% endfor %}";

/// A shop behind a balancer. Each reload takes so many seconds, and says so while it does.
fn shop(tag: &str, reload: u32, file: &str) -> String {
    let services = SHOP
        .replace("shop/web:2.0", &format!("shop/web:{tag}"))
        .replace("ports: {http", "stop_timeout: 1, ports: {http")
        .replace(
            "    requires: [db]\n",
            "    requires: [db]\n    deploy: {strategy: rolling, max_unavailable: 1}\n",
        );
    format!(
        "{services}balancers:\n  front:\n    kind: template\n    template: front.j2\n    local: true\n    config: {file}\n    \
         check: [grep, -q, '^# ', '{{file}}']\n    \
         reload: [sh, -c, 'touch $0.loading; sleep {reload}; rm $0.loading', {file}]\n    \
         acknowledge: [sed, -n, 's/^# //p', {file}]\n    drain: 1s\n    timeout: 20s\n    \
         routes: [{{service: web, port: http}}]\n"
    )
}

struct Fronted {
    site: Site,
    file: String,
}

impl Fronted {
    async fn new(ships: &'static str) -> Self {
        let site = Site::slow_with(SHOP, &Latency::default(), ships);
        site.shell.write("front.j2", TEMPLATE);
        let file = site.shell.file("front.cfg").display().to_string();
        let fronted = Self { site, file };
        fronted.write("2.0", 0);
        fronted.run("deploy --yes").await.ok().says("this is release 1");
        fronted
    }

    /// With the programs that the balancer's commands are.
    async fn run(&self, line: &str) -> Ran {
        self.site.run(&format!("PATH=/usr/bin:/bin {line}")).await
    }

    fn write(&self, tag: &str, reload: u32) {
        self.site.write(&shop(tag, reload, &self.file));
    }

    fn served(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    /// Of which the second one is tried with another tag, whose check knows which ones are no good. What the balancer is
    /// told is kept, one configuration after the other.
    fn write_two(&self, tag: &str, second: &str) {
        self.write_two_behind("image: shop/db:1", tag, second);
    }

    fn write_two_behind(&self, db: &str, tag: &str, second: &str) {
        let check = "lifecycle: {running: [{type: exec, attempts: 2, command: \"/bin/sh -c 'case $DOCKER_TAG in never*) exit 1; esac'\"}]}";
        let text = shop(tag, 0, &self.file)
            .replace("max_unavailable: 1}", &format!("max_unavailable: 1, on_failure: pause}}\n    {check}"))
            .replace("web-2: {", &format!("web-2: {{image: 'shop/web:{second}', "))
            .replace("image: shop/db:1", db)
            .replace("touch $0.loading", "cat $0 >>$0.told");
        self.site.write(&text.replace("; sleep 0; rm $0.loading", ""));
    }

    /// What the balancer has been told since somebody looked last.
    fn told(&self) -> String {
        let told = self.site.shell.file("front.cfg.told");
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        std::fs::write(&told, "").unwrap();
        text
    }

    fn gets(&self) -> Vec<String> {
        self.served().lines().skip(1).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_template_on_this_machine_is_told_and_kept_with_releases() {
    let shop = Fronted::new("").await;
    assert_eq!(shop.gets(), ["web-1 in", "web-2 in"]);
    shop.write("3.0", 0);
    shop.run("deploy --yes").await.ok().says("this is release 2");
    assert_eq!(shop.gets(), ["web-1 in", "web-2 in"]);
    // The way back has the template that was there then.
    shop.site.shell.write("front.j2", format!("{TEMPLATE}of today\n"));
    shop.run("diff 1 2").await.ok().says("web");
    shop.run("rollback --yes").await.ok().says("as 1 was");
    assert_eq!(shop.gets(), ["web-1 in", "web-2 in"]);
    shop.run("plan deploy --out next.plan").await.ok();
    shop.run("apply --yes next.plan").await.ok().says("this is release 4");
    assert!(shop.served().contains("of today"), "{}", shop.served());
    shop.run("plan deploy --detailed-exitcode").await.ok();
}

/// Who has been found to be no good gets no requests from whoever deploys the next thing, before he has been replaced.
#[tokio::test]
async fn what_is_no_good_is_let_in_by_nobody() {
    let shop = Fronted::new("").await;
    shop.write_two("3.0", "never-3");
    let ran = shop.run("deploy --yes -c 1 web").await.exits(3).says("not finished");
    assert_eq!((shop.site.state("web-1"), shop.site.state("web-2")), ("running", "running"), "{}", ran.all());
    assert_eq!(shop.gets(), ["web-1 in", "web-2 draining"], "{}", ran.all());
    shop.told();
    shop.write_two("4.0", "never-4");
    shop.run("deploy --yes -c 1 web").await.exits(3).says("not finished");
    let told = shop.told();
    assert!(!told.contains("web-2 in"), "{told}");
    shop.run("resume --yes").await.exits(3).says("not finished");
    // Nor after a deployment that did not get as far as that.
    let brief = "image: shop/db:brief-2\n    deploy: {on_failure: pause}";
    shop.write_two_behind(brief, "4.0", "never-4");
    shop.run("deploy --yes -c 1").await.exits(3).says("not finished");
    assert!(shop.site.image("db-1").contains("brief-2"));
    shop.write_two("4.0", "never-4");
    shop.run("deploy --yes -c 1").await.exits(3).says("not finished");
    let told = shop.told();
    assert!(!told.contains("web-2 in"), "{told}");
    shop.write_two("5.0", "5.0");
    shop.run("plan deploy -c 1 --out next.plan").await.ok();
    shop.run("apply --yes next.plan").await.ok().says("this is release 2");
    let told = shop.told();
    assert!(told.find("web-2 draining") < told.find("web-2 in"), "{told}");
    assert_eq!(shop.gets(), ["web-1 in", "web-2 in"]);
}

/// Nor by whoever was asked before that was found out, or by who comes after him.
#[tokio::test]
async fn what_turns_out_to_be_no_good_meanwhile_is_let_in_by_nobody() {
    for db in ["image: shop/db:1", "image: shop/db:brief-2\n    deploy: {on_failure: pause}"] {
        let shop = Fronted::new("").await;
        shop.write_two_behind(db, "3.0", "never-3");
        let deploy = "PATH=/usr/bin:/bin deploy --progress plain -c 1";
        let (running, mut keys) = asked(&shop.site, deploy).await;
        shop.write_two("3.0", "never-3");
        let ran = shop.run("deploy --yes -c 1 web").await.exits(3).says("not finished");
        assert_eq!(shop.gets(), ["web-1 in", "web-2 draining"], "{}", ran.all());
        shop.told();
        // What is to be done is not the same any more: he is asked again.
        keys.write_all(b"y\ny\n").unwrap();
        let ran = running.end().await.exits(3).says("not finished");
        let told = shop.told();
        assert!(!told.contains("web-2 in"), "{told}\n{}", ran.all());
        shop.write_two("4.0", "never-4");
        let ran = shop.run("deploy --yes -c 1").await.exits(3).says("not finished");
        let told = shop.told();
        assert!(!told.contains("web-2 in"), "{told}\n{}", ran.all());
    }
}

/// A balancer that alone is otherwise than it was deployed is no less a change.
#[tokio::test]
async fn what_only_a_balancer_has_to_be_told_is_deployed_too() {
    let shop = Fronted::new("").await;
    shop.run("plan deploy --detailed-exitcode").await.ok();
    shop.site.shell.write("front.j2", format!("{TEMPLATE}of today\n"));
    shop.run("plan deploy --detailed-exitcode").await.exits(10).says("another release: front");
    let told = shop.run("plan deploy --output json --detailed-exitcode").await.exits(10);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!((&told["balancers"], &told["steps"]), (&serde_json::json!(["front"]), &serde_json::json!([])));
    shop.site.clear_writes();
    shop.run("deploy --yes").await.ok().says("this is release 2");
    assert_eq!(shop.site.changes(), Vec::<String>::new());
    assert!(shop.served().contains("of today"), "{}", shop.served());
    shop.run("plan deploy --detailed-exitcode").await.ok();
    shop.run("rollback --yes").await.ok().says("as 1 was");
    assert!(!shop.served().contains("of today"), "{}", shop.served());
}

/// As with containers that fail: what was served before is served, and nothing is left to be finished.
#[tokio::test]
async fn what_a_balancer_refuses_is_taken_back() {
    let shop = Fronted::new("").await;
    let served = shop.served();
    shop.site.shell.write("front.j2", "no line with a hash and a space\n");
    shop.site.clear_writes();
    let ran = shop.run("deploy --yes").await.exits(4).says("everything is as in release 1 again");
    assert_eq!(shop.site.changes(), Vec::<String>::new(), "{}", ran.all());
    let without_generation = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(without_generation(&shop.served()), without_generation(&served));
    shop.run("resume --yes").await.exits(1).says("no deployment is unfinished");
    shop.run("releases").await.ok().never_says("not finished");
}

/// Where that cannot be written down, it is not over, although no container was to be changed.
#[tokio::test]
async fn what_a_balancer_refuses_and_cannot_be_taken_back_is_not_finished() {
    let shop = Fronted::new("").await;
    // It loads for as long as somebody wants, and has failed then.
    let fails =
        "if grep -q never $0; then touch $0.loading; while [ -e $0.loading ]; do sleep 0.1; done; exit 1; fi";
    let text = self::shop("2.0", 0, &shop.file).replace("touch $0.loading; sleep 0; rm $0.loading", fails);
    shop.site.write(&text);
    shop.run("deploy --yes").await.ok().says("this is release 2");
    shop.site.shell.write("front.j2", format!("{TEMPLATE}never\n"));
    shop.site.clear_writes();
    let mut deploying = shop.site.shell.spawn("PATH=/usr/bin:/bin deploy --yes");
    let loading = shop.site.shell.file("front.cfg.loading");
    until("it loads", || loading.exists()).await;
    let refused = Fault::Refused(500, "no space left on device".into());
    shop.site.atlantic.set_faults(Faults::none().and(On::Only(Operation::Put), When::Always, refused));
    std::fs::remove_file(&loading).unwrap();
    deploying.until_it_says("no space left on device").await;
    shop.site.atlantic.recover().await;
    let ran = deploying.end().await.exits(3).says("it failed: going back to release 2");
    ran.says("the deployment is not finished").says("`maestro resume`");
    assert_eq!(shop.site.changes(), Vec::<String>::new());
    shop.run("releases").await.ok().says("not finished");
}

/// What balancers are told changes what users get, too.
#[tokio::test]
async fn balancers_are_told_nothing_while_that_is_frozen() {
    let fronted = Fronted::new("").await;
    let frozen = "freeze: [{from: 2020-01-01, to: 2099-12-31, reason: stocktaking}]\n";
    fronted.site.write(&(shop("2.0", 0, &fronted.file) + frozen));
    fronted.run("deploy --yes").await.ok().says("unchanged");
    fronted.site.shell.write("front.j2", format!("{TEMPLATE}of today\n"));
    let served = fronted.served();
    fronted
        .run("deploy --yes")
        .await
        .exits(2)
        .says("nothing has been done: frozen until")
        .says("stocktaking");
    assert_eq!(fronted.served(), served);
    let ran = fronted.run("--despite-freeze hotfix deploy --yes").await.ok().says("this is release 2");
    assert_eq!(ran.stderr.matches("done all the same: hotfix").count(), 1, "{}", ran.all());
    assert!(fronted.served().contains("of today"));
}

/// Whoever dies while an orphan is stopped has told the balancer of it: the way back lets in again who was sent away.
#[tokio::test]
async fn the_way_back_from_who_died_lets_all_in_again() {
    let shop = Fronted::new(", timeout: 2").await;
    shop.write("3.0", 0);
    let text = std::fs::read_to_string(shop.site.shell.file("maestro.yaml")).unwrap();
    let services = text.split_once("services:").unwrap().1;
    let two = services.lines().find(|line| line.contains("web-2:")).unwrap();
    shop.site.write(&services.replace(&format!("{two}\n"), ""));
    // Long enough to see what is asked for before it is done.
    shop.site.changes_take(Duration::from_millis(300));
    shop.site.clear_writes();
    let deploying = shop.site.shell.spawn("PATH=/usr/bin:/bin deploy --yes -c 1 web");
    let stops = |change: &String| change.contains("stop") && change.contains("web-2");
    until("the orphan is stopped", || shop.site.changes().iter().any(stops)).await;
    deploying.send(Signal::KILL);
    deploying.end().await.exits(-1);
    shop.site.changes_take(Duration::ZERO);
    assert!(shop.site.image("web-1").contains("web:3.0"));
    assert!(!shop.gets().contains(&"web-2 in".to_owned()), "{:?}", shop.gets());
    shop.run("unlock --yes").await.ok();
    let ran = shop.run("abort --yes").await.ok().says("everything is as in release 1 again");
    assert_eq!((shop.site.state("web-1"), shop.site.state("web-2")), ("running", "running"), "{}", ran.all());
    assert!(shop.site.image("web-1").contains("web:2.0"), "{}", ran.all());
    assert_eq!(shop.gets(), ["web-1 in", "web-2 in"], "{}", ran.all());
}

/// Who sleeps while he tells a balancer, and wakes when somebody else has told it something else, tells it nothing more.
#[tokio::test]
async fn a_sleeper_tells_balancers_nothing() {
    let shop = Fronted::new(", timeout: 3").await;
    shop.write("3.0", 2);
    let sleeper = shop.site.shell.spawn("PATH=/usr/bin:/bin deploy --yes -c 1 web");
    let loading = shop.site.shell.file("front.cfg.loading");
    until("a reload has begun", || loading.exists()).await;
    sleeper.send(Signal::STOP);
    until("that reload is over", || !loading.exists()).await;
    shop.write("4.0", 0);
    shop.run("unlock --yes").await.ok();
    let next = shop.run("deploy --yes --wait-lease 1m web").await.ok().says("this is release 2");
    let served = shop.served();
    sleeper.send(Signal::CONT);
    let late = sleeper.end().await.exits(3).says("the lease is lost");
    assert_eq!(shop.served(), served, "{}\n{}", next.all(), late.all());
    assert_eq!(shop.gets(), ["web-1 in", "web-2 in"]);
    shop.run("balancers").await.ok();
}
