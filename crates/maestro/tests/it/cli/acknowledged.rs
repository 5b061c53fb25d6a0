//! Front ends that do not take what they are told while containers are replaced, or take it late: what serves is not
//! stopped before they send nobody there any more.

use super::shell::Ran;
use super::site::{SHOP, Site, until_within};
use futures_util::future::join_all;
use maestro_testkit::daemon::Latency;
use maestro_testkit::faults::Operation;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

const NAMES: [&str; 2] = ["web-1", "web-2"];

const TEMPLATE: &str = "# {{ generation }}
{% for backend in backends %}{% for server in backend.servers %}{{ server.authority }} {{ server.state }}
{% endfor %}{% endfor %}";

/// What the programs of a balancer are made of: each run is counted, and fails if its number is among those that are to.
const COUNT: &str = "count() {
    echo >>\"$1.runs\"
    ! grep -qx \"$(wc -l <\"$1.runs\")\" \"$1.fails\" || { echo \"this is no good\"; exit 1; }
}
";

/// A front end whose process is a file beside the one that it is given: what it has loaded.
const PROMPT: &str = ". ./count; count reload; cp \"$0\" \"$0.new\" && mv \"$0.new\" \"$0.serving\"";
/// The same for one that goes on with what it had for a while, and has said by then that it has been told.
const LATE: &str = "(read -r pace <pace; sleep \"$pace\"; cp \"$0\" \"$0.new\"; mv \"$0.new\" \"$0.serving\") </dev/null >/dev/null 2>&1 &";

/// Much longer than it takes from what a front end is told to what is stopped, for somebody who does not wait for it.
const A_WHILE: &str = "2.5\n";

/// What starts beside what it replaces, and what takes its place.
const BESIDE: [&str; 2] = ["18100-18109", "18110-18119"];
const INSTEAD: [&str; 2] = ["18100", "18110"];

struct Fronted {
    site: Site,
    /// The balancers' names, and how they load what they are given.
    balancers: Vec<(&'static str, &'static str)>,
    ports: [&'static str; 2],
    deploy: String,
}

impl Fronted {
    /// With release 1, which is version 2.0, and 3.0 in the file.
    async fn released(
        balancers: &[(&'static str, &'static str)],
        ports: [&'static str; 2],
        deploy: &str,
    ) -> Self {
        let site = Site::slow_with(SHOP, &Latency::default(), "");
        site.shell.write("front.j2", TEMPLATE);
        site.shell.write("count", COUNT);
        site.shell.write("pace", "0\n");
        let fronted = Self { site, balancers: balancers.to_vec(), ports, deploy: deploy.to_owned() };
        fronted.fails("nothing", 1..=1);
        fronted.write("2.0");
        fronted.run("deploy --yes").await.ok().says("this is release 1");
        fronted.write("3.0");
        fronted.site.clear_writes();
        fronted
    }

    fn write(&self, tag: &str) {
        let [one, two] = self.ports;
        let mut text = format!(
            "
  web:
    image: shop/web:{tag}
    deploy: {{{}}}
    instances:
      web-1: {{ship: atlantic, stop_timeout: 1, ports: {{http: '8080:{one}'}}}}
      web-2: {{ship: pacific, stop_timeout: 1, ports: {{http: '8080:{two}'}}}}
balancers:
",
            self.deploy
        );
        for (name, reload) in &self.balancers {
            let file = self.site.shell.file(&format!("{name}.cfg"));
            let file = file.display();
            writeln!(
                text,
                "  {name}:\n    kind: template\n    template: front.j2\n    local: true\n    config: {file}\n    \
                 check: [sh, -c, '. ./count; count check; grep -q \"^# \" \"$0\"', '{{file}}']\n    \
                 reload: [sh, -c, '{reload}', {file}]\n    acknowledge: [sed, -n, 's/^# //p', {file}.serving]\n    \
                 drain: 1s\n    timeout: 20s\n    routes: [{{service: web, port: http}}]"
            )
            .unwrap();
        }
        self.site.write(&text);
    }

    /// From now on, runs of these numbers of a program of the balancer fail, and no others.
    fn fails(&self, program: &str, numbers: RangeInclusive<usize>) {
        for name in ["check", "reload"] {
            let fails = numbers.clone().filter(|_| name == program).map(|number| format!("{number}\n"));
            self.site.shell.write(&format!("{name}.fails"), fails.collect::<String>());
            self.site.shell.write(&format!("{name}.runs"), "");
        }
    }

    /// With the programs that the balancers' commands are.
    async fn run(&self, line: &str) -> Ran {
        self.site.run(&format!("PATH=/usr/bin:/bin {line}")).await
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.site.shell.file(name)).unwrap()
    }

    /// The configurations of the balancers, and what they serve.
    fn served(&self) -> Vec<String> {
        let of =
            |(name, _): &(&str, &str)| ["cfg", "cfg.serving"].map(|end| self.text(&format!("{name}.{end}")));
        self.balancers.iter().flat_map(of).collect()
    }

    fn ids(&self) -> [Option<String>; 2] {
        NAMES.map(|name| self.site.id(name))
    }

    /// Where a container answers; none if it does not.
    fn answers(&self, name: &str) -> Option<String> {
        let container = self.site.engines().find_map(|engine| engine.container(name))?;
        Some(format!("127.0.0.1:{}", container.published.first()?.host))
    }

    fn all_answer(&self) -> bool {
        NAMES.iter().all(|name| self.answers(name).is_some())
    }

    /// Whether a balancer sends requests there.
    fn sends_to(&self, name: &str, authority: &str) -> bool {
        self.text(&format!("{name}.cfg.serving")).lines().any(|line| line == format!("{authority} in"))
    }

    /// Every balancer sends requests to whoever has the instances' names, and to nobody else.
    fn sends_to_all(&self, case: &str) {
        let mut expected: Vec<String> =
            NAMES.iter().map(|name| format!("{} in", self.answers(name).unwrap())).collect();
        expected.sort();
        for (name, _) in &self.balancers {
            let text = self.text(&format!("{name}.cfg.serving"));
            let mut lines: Vec<&str> = text.lines().skip(1).collect();
            lines.sort_unstable();
            assert_eq!(lines, expected, "{case}: {name}");
        }
    }

    /// Requests are sent to somebody, and answered.
    fn all_are_answered(&self, case: &str) {
        let up = self.site.engines().flat_map(|engine| {
            engine.look(|machine| {
                let up = machine.containers().into_iter().filter(|container| container.is_running());
                up.filter_map(|container| container.published.first().map(|port| port.host))
                    .collect::<Vec<_>>()
            })
        });
        let up: Vec<u16> = up.collect();
        for (name, _) in &self.balancers {
            let text = self.text(&format!("{name}.cfg.serving"));
            let sent: Vec<&str> = text.lines().filter_map(|line| line.strip_suffix(" in")).collect();
            assert!(!sent.is_empty(), "{case}: {name} sends nobody anywhere: {text}");
            let is_up = |at: &&str| up.iter().any(|port| at.ends_with(&format!(":{port}")));
            assert!(sent.iter().all(is_up), "{case}: {name} sends to {sent:?} of {up:?}");
        }
    }
}

/// What fails of a balancer that it is told for a second time: what is served then is as before, by the same containers.
async fn refused(program: &'static str, numbers: RangeInclusive<usize>, policy: &'static str) {
    let case = format!("{program} {numbers:?} fails, {policy}");
    let deploy = format!("strategy: rolling, max_unavailable: 0, on_failure: {policy}");
    let fronted = Fronted::released(&[("front", PROMPT)], BESIDE, &deploy).await;
    let before = (fronted.ids(), fronted.served());
    let is_as_before = || (fronted.ids(), fronted.served()) == before && fronted.all_answer();
    let (first, last) = (*numbers.start(), *numbers.end());
    fronted.fails(program, numbers);
    let ran = fronted.run("deploy --yes -c 1").await;
    let case = format!("{case}: {}\n{:?}", ran.all(), fronted.site.changes());
    let is_told = ran.stderr.contains("balancer front") && ran.stderr.contains("this is no good");
    assert!(is_told, "{case}");
    // Whether nothing more goes wrong on the way back.
    let is_free = last == first;
    let goes_back = policy == "rollback" && (first == 1 || is_free);
    assert_eq!(ran.code, if goes_back { 4 } else { 3 }, "{case}");
    if first == 1 {
        let changes = fronted.site.changes();
        assert!(NAMES.iter().all(|name| !changes.contains(&format!("stop {name}"))), "{case}");
    }
    if first == 1 || goes_back {
        assert!(is_as_before(), "{case}\n{before:?}\n{:?}", (fronted.ids(), fronted.served()));
    } else {
        // The one half is of the new release, or on its way back; the other one has not been touched.
        assert_eq!(fronted.ids()[1], before.0[1], "{case}");
        fronted.all_are_answered(&case);
    }
    if !goes_back {
        if first > 1 {
            fronted.fails("nothing", 1..=1);
        }
        fronted.run("abort --yes").await.ok().says("everything is as in release 1 again");
        assert!(is_as_before(), "aborted: {case}\n{before:?}\n{:?}", (fronted.ids(), fronted.served()));
    }
    fronted.run("resume --yes").await.exits(1).says("no deployment is unfinished");
    fronted.write("2.0");
    fronted.run("plan deploy --detailed-exitcode").await.ok();
}

/// Whether it is the first change of a deployment or the second one that fails, and whether all after it do.
async fn refused_at_any_time(program: &'static str) {
    let of = |policy| [1..=99, 2..=2, 2..=99].map(|numbers| refused(program, numbers, policy));
    join_all(["rollback", "pause"].map(of).into_iter().flatten()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_does_not_pass_its_check_halts_a_deployment() {
    refused_at_any_time("check").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_halts_a_deployment() {
    refused_at_any_time("reload").await;
}

/// Two balancers of which one is late: what is replaced is stopped when neither sends requests there.
async fn stopped_when_nobody_is_sent_there(strategy: &'static str, ports: [&'static str; 2]) {
    let fronted = Fronted::released(&[("prompt", PROMPT), ("late", LATE)], ports, strategy).await;
    let old: BTreeMap<&str, String> = NAMES.map(|name| (name, fronted.answers(name).unwrap())).into();
    fronted.sends_to_all(strategy);
    fronted.site.shell.write("pace", A_WHILE);
    let mut deploying = fronted.site.shell.spawn("PATH=/usr/bin:/bin deploy --yes -c 1");
    let mut stopped = Vec::new();
    until_within(Duration::from_mins(1), strategy, || {
        for write in fronted.site.writes().into_iter().filter(|write| write.operation == Operation::Stop) {
            let Some(authority) = old.get(&*write.subject) else { continue };
            if stopped.contains(&write.subject) {
                continue;
            }
            for (name, _) in &fronted.balancers {
                assert!(
                    !fronted.sends_to(name, authority),
                    "{strategy}: {write}, and {name} serves\n{}",
                    fronted.text(&format!("{name}.cfg.serving"))
                );
            }
            stopped.push(write.subject);
        }
        deploying.has_ended()
    })
    .await;
    deploying.end().await.ok().says("this is release 2");
    stopped.sort();
    assert_eq!(stopped, NAMES, "{strategy}: {:?}", fronted.site.changes());
    assert!(NAMES.iter().all(|name| fronted.site.image(name).contains("web:3.0")), "{strategy}");
    fronted.sends_to_all(strategy);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serves_is_stopped_when_every_front_end_has_acknowledged_that() {
    tokio::join!(
        stopped_when_nobody_is_sent_there("strategy: rolling, max_unavailable: 0", BESIDE),
        stopped_when_nobody_is_sent_there("strategy: rolling, max_unavailable: 1", INSTEAD),
        stopped_when_nobody_is_sent_there("strategy: blue-green", BESIDE),
        stopped_when_nobody_is_sent_there("strategy: canary, max_unavailable: 0, pause: 1s", BESIDE),
    );
}
