//! Whoever deploys behind balancers, and runs hooks, may die at any step, those of balancers and hooks included: somebody
//! else goes on, or back, and every front end sends requests where they are answered.

use super::killed::{Then, changes_of, killed_when};
use super::shell::Ran;
use super::site::{SHOP, Site};
use futures_util::future::join_all;
use maestro_testkit::daemon::Latency;
use maestro_testkit::faults::Operation;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Long enough to see each step before the next one; the second one is for `sleep`.
const A_WHILE: Duration = Duration::from_millis(100);
const WHILE: &str = "0.1\n";

/// How often it is looked whether all who ask are answered: more often than a front end takes to be told.
const LOOK: Duration = Duration::from_millis(40);
/// Dead owners are found out, and what they asked for is waited for: both the longer, the longer calls may take.
const BRIEF: &str = ", timeout: 4";
/// So many deploy at the same time: more would only keep each other from their deadlines. Each runs dozens of programs.
static DEPLOYING: Semaphore = Semaphore::const_new(6);

const ROLLING: &str = "strategy: rolling, max_unavailable: 0";
const BLUE_GREEN: &str = "strategy: blue-green";
const CANARY: &str = "strategy: canary, max_unavailable: 0, weight: 10%, pause: 1s";

/// What programs on this machine are made of: each step is written down, takes as long as `pace` says, and is the last one
/// if whoever asked for it is dead by then.
const STEP: &str = "step() {
    echo \"$1\" >>steps
    read -r pace <pace && [ \"$pace\" = 0 ] || sleep \"$pace\"
    kill -0 \"$PPID\" 2>/dev/null || exit 1
}
";

/// Both front ends of this machine. One does what it is told at once, each step of the other one can be seen.
const KINDS: [&str; 2] = ["haproxy", "nginx"];

/// A site with two front ends, which tell at pages of this process what they serve, as front ends do.
struct Fronted {
    site: Site,
    slow: &'static str,
    /// The ports of these pages.
    pages: Vec<u16>,
    telling: Vec<JoinHandle<()>>,
}

impl Drop for Fronted {
    fn drop(&mut self) {
        self.telling.iter().for_each(JoinHandle::abort);
    }
}

impl Fronted {
    async fn new(slow: &'static str) -> Self {
        let site = Site::slow_with(SHOP, &Latency::default(), BRIEF);
        site.shell.write("step", STEP);
        site.shell.write("pace", "0\n");
        let mut fronted = Self { site, slow, pages: Vec::new(), telling: Vec::new() };
        for kind in KINDS {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            fronted.pages.push(listener.local_addr().unwrap().port());
            let file = fronted.site.shell.file(&format!("{kind}.cfg.serving"));
            fronted.telling.push(tokio::spawn(tell(listener, file)));
        }
        fronted
    }

    /// A front end whose process is a file beside the one that it is given: what it has loaded.
    fn balancer(&self, kind: &str, page: u16) -> String {
        let file = self.site.shell.file(&format!("{kind}.cfg")).display().to_string();
        let load = "cp \"$0\" \"$0.new\" && mv \"$0.new\" \"$0.serving\"";
        let reload = if kind == self.slow {
            format!("[sh, -c, '. ./step; step reload; {load}; step loaded', {file}]")
        } else {
            format!("[sh, -c, '{load}', {file}]")
        };
        format!(
            "  by-{kind}:\n    kind: {kind}\n    local: true\n    config: {file}\n    listen: 8{}\n    check: [test, -s, '{{file}}']\n    \
             reload: {reload}\n    status: {page}\n    drain: 1s\n    timeout: 20s\n    routes: [{{service: web, port: http}}]\n",
            kind.len(),
        )
    }

    fn write(&self, tag: &str, strategy: &str) {
        let local =
            |when: &str| format!("{{local: [sh, -c, '. ./step; echo {when} >>hooked; step {when}']}}");
        let (before, after) = (local("before"), local("after"));
        let hooks = match tag {
            "3.0" => {
                format!(
                    "{{before: [{{run: bin/migrate}}, {before}], after: [{after}, {{run: bin/migrate}}]}}"
                )
            }
            _ => "{}".to_owned(),
        };
        self.site.write(&format!(
            "
  web:
    image: shop/web:{tag}
    deploy:
      {}
      hooks: {hooks}
    instances:
      web-1: {{ship: atlantic, stop_timeout: 1, ports: {{http: '8080:18100-18109'}}}}
      web-2: {{ship: pacific, stop_timeout: 1, ports: {{http: '8080:18110-18119'}}}}
balancers:
{}",
            strategy.replace(", ", "\n      "),
            KINDS.iter().zip(&self.pages).map(|(kind, page)| self.balancer(kind, *page)).collect::<String>(),
        ));
    }

    /// With the programs that the balancers' commands are.
    async fn run(&self, line: &str) -> Ran {
        self.site.run(&format!("PATH=/usr/bin:/bin {line}")).await
    }

    /// With version 2.0, and 3.0 in the file. From now on, each step can be seen.
    async fn released(slow: &'static str, strategy: &str) -> Self {
        let fronted = Self::new(slow).await;
        fronted.write("2.0", strategy);
        fronted.run("deploy --yes").await.ok().says("this is release 1");
        fronted.write("3.0", strategy);
        std::fs::remove_file(fronted.site.shell.file("steps")).unwrap();
        fronted.site.clear_writes();
        fronted.site.changes_take(A_WHILE);
        fronted.site.shell.write("pace", WHILE);
        fronted
    }

    /// What programs on this machine have written down.
    fn noted(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.site.shell.file(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How many steps have been begun. Pulls come before all that is about balancers and hooks.
    fn steps(&self) -> usize {
        let pulls = self.site.writes().iter().filter(|write| write.operation == Operation::Pull).count();
        self.noted("steps").len() + changes_of(&self.site) - pulls
    }

    /// The ports at which instances answer, by containers.
    fn answering(&self) -> BTreeMap<String, u16> {
        let up = self.site.engines().flat_map(|engine| {
            engine.look(|machine| {
                let up = machine.containers().into_iter().filter(|container| container.is_running());
                let port =
                    |published: &[maestro_testkit::state::Published]| published.first().map(|p| p.host);
                up.filter_map(|c| Some((c.name.to_string(), port(&c.published)?))).collect::<Vec<_>>()
            })
        });
        up.collect()
    }

    /// Where a front end sends requests, with the weights of these.
    fn sends(&self, kind: &str) -> BTreeMap<u16, u32> {
        let text = std::fs::read_to_string(self.site.shell.file(&format!("{kind}.cfg.serving"))).unwrap();
        let servers =
            text.lines().map(str::trim).filter(|line| line.starts_with("server ") && !line.contains('{'));
        let sent = servers.map(|line| {
            let address = line.split_whitespace().find_map(|word| word.strip_prefix("127.0.0.1:"));
            let weight = line.split(['=', ' ']).skip_while(|word| *word != "weight").nth(1);
            let weight = weight.map_or(0, |weight| weight.parse().unwrap());
            (address.unwrap_or_else(|| panic!("{line}")).parse().unwrap(), weight)
        });
        sent.filter(|(_, weight)| *weight > 0).collect()
    }

    /// The same, and once it has begun, whoever asks a front end gets an answer all the while.
    async fn run_watched(&self, line: &str, case: &str) -> Ran {
        let mut running = self.site.shell.spawn(&format!("PATH=/usr/bin:/bin {line}"));
        running.until_it_says("unfinished: ").await;
        let mut ending = pin!(running.end());
        loop {
            tokio::select! {
                ran = &mut ending => return ran,
                () = sleep(LOOK) => self.all_are_answered(case),
            }
        }
    }

    /// Whoever asks a front end gets an answer.
    fn all_are_answered(&self, case: &str) {
        // What was there first is looked at first: who gets no more requests goes on for a second.
        let sent = KINDS.map(|kind| (kind, self.sends(kind)));
        let answering = self.answering();
        for (kind, sends) in sent {
            assert!(!sends.is_empty(), "{case}: {kind} sends nobody anywhere");
            let is_up = |port: &u16| answering.values().any(|up| up == port);
            assert!(sends.keys().all(is_up), "{case}: {kind} sends requests to {sends:?} of {answering:?}");
        }
    }

    /// Every front end serves exactly what it should.
    async fn all_is_current(&self, case: &str) {
        let answering = self.answering();
        let expected: BTreeMap<u16, u32> =
            ["web-1", "web-2"].iter().map(|name| (answering[*name], 100)).collect();
        for kind in KINDS {
            assert_eq!(self.sends(kind), expected, "{case}: {kind}");
        }
        let shown = self.run("balancers --output json").await;
        let entries: Value = serde_json::from_str(&shown.stdout).unwrap();
        for entry in entries.as_array().unwrap() {
            assert_eq!(entry["current"], true, "{case}: {entry}");
            let found = entry["endpoints"].as_array().unwrap().iter().map(|endpoint| {
                assert_eq!(endpoint["state"], "in", "{case}: {entry}");
                let (_, port) = endpoint["address"].as_str().unwrap().rsplit_once(':').unwrap();
                (port.parse().unwrap(), u32::try_from(endpoint["weight"].as_u64().unwrap()).unwrap())
            });
            assert_eq!(found.collect::<BTreeMap<u16, u32>>(), expected, "{case}: {entry}");
        }
        assert_eq!(entries.as_array().map(Vec::len), Some(2), "{case}: {entries}");
    }

    /// Nothing runs that is no instance.
    fn nothing_is_left(&self, case: &str) {
        for engine in self.site.engines() {
            let names: Vec<(String, bool)> = engine.look(|machine| {
                let all = machine.containers().into_iter();
                all.map(|c| (c.name.to_string(), c.is_running())).collect()
            });
            for (name, runs) in names {
                assert_eq!(runs, ["web-1", "web-2"].contains(&&*name), "{case}: {name}");
                assert!(!name.contains(".next-"), "{case}: {name}");
            }
        }
    }

    fn ids(&self) -> [Option<String>; 2] {
        ["web-1", "web-2"].map(|name| self.site.id(name))
    }

    /// How often the programs of hooks were started, in containers and on this machine, by when they are to be run.
    fn hooks_run(&self, when: &str) -> (usize, usize) {
        let starts = self.site.changes();
        let started =
            |change: &&String| change.starts_with(&format!("start web.{when}-")) && !change.contains('(');
        let noted = self.noted("hooked").iter().filter(|line| *line == when).count();
        (starts.iter().filter(started).count(), noted)
    }
}

/// Answers whoever asks which generation is served: that of a file, if there is one.
async fn tell(listener: TcpListener, file: PathBuf) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let answer = generation(&file).map_or_else(
            || {
                "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    .to_owned()
            },
            |it| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{it}", it.len()),
        );
        tokio::spawn(async move {
            // One request without a body: it ends with an empty line.
            let mut request = BufReader::new(&mut stream).lines();
            while matches!(request.next_line().await, Ok(Some(line)) if !line.is_empty()) {}
            stream.write_all(answer.as_bytes()).await.ok();
        });
    }
}

fn generation(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    Some(text.split_once(", generation ")?.1.split_once(':')?.0.to_owned())
}

/// What this deployment needs the programs of this machine for.
const DEPLOY: &str = "PATH=/usr/bin:/bin deploy --yes -c 1";

/// How many steps a deployment has.
async fn steps_of(slow: &'static str, strategy: &str) -> usize {
    let fronted = Fronted::released(slow, strategy).await;
    fronted.site.run(DEPLOY).await.ok().says("this is release 2");
    fronted.all_is_current(strategy).await;
    fronted.nothing_is_left(strategy);
    assert_eq!((fronted.hooks_run("before"), fronted.hooks_run("after")), ((1, 1), (1, 1)), "{strategy}");
    fronted.steps()
}

/// Kills a deployment at a step, and goes on with it, or back.
async fn killed_at(step: usize, strategy: &str, slow: &'static str, then: Then) {
    let case = format!("{strategy}, killed at step {step}, then {then:?}");
    let turn = DEPLOYING.acquire().await;
    let fronted = Fronted::released(slow, strategy).await;
    let before = fronted.ids();
    if let Some(ran) = killed_when(&fronted.site, DEPLOY, &case, || fronted.steps() >= step).await {
        panic!("{case}: it came to its end: {}\n{:?}", ran.all(), fronted.noted("steps"));
    }
    let hooked = fronted.noted("hooked");
    fronted.site.changes_take(Duration::ZERO);
    drop(turn);
    fronted.all_are_answered(&case);
    let case = format!("{case}, after {:?} and {:?}", fronted.site.changes(), fronted.noted("steps"));
    let (line, tag) = if then == Then::Resume { ("resume --yes", "3.0") } else { ("abort --yes", "2.0") };
    let ran = fronted.run_watched(line, &case).await;
    let case = format!("{case}: {}", ran.all());
    assert_eq!(ran.code, 0, "{case}");
    for name in ["web-1", "web-2"] {
        assert!(fronted.site.image(name).contains(&format!("web:{tag}")), "{case}: {name}");
    }
    fronted.all_is_current(&case).await;
    fronted.nothing_is_left(&case);
    if then == Then::Resume {
        for when in ["before", "after"] {
            let (inside, here) = fronted.hooks_run(when);
            // What ran on this machine is run again if nobody has written down that it did.
            assert!(inside == 1 && (1..=2).contains(&here), "{case}: {when} {inside} {here}");
        }
        let here = fronted.noted("hooked").len();
        assert!(here <= 3, "{case}: {here}");
    } else {
        assert_eq!(fronted.ids(), before, "{case}");
        assert_eq!(fronted.noted("hooked"), hooked, "{case}");
    }
    fronted.write(tag, strategy);
    let plan = fronted.run("plan deploy --detailed-exitcode").await;
    assert_eq!(plan.code, 0, "{case}: {}", plan.all());
    plan.never_says("not finished");
}

/// At every step, one after another.
async fn killed_anywhere(strategy: &str, slow: &'static str, then: Then) {
    let steps = steps_of(slow, strategy).await;
    assert!((20..40).contains(&steps), "{strategy}: {steps} steps");
    join_all((1..=steps).map(|step| killed_at(step, strategy, slow, then))).await;
}

async fn killed_everywhere(slow: &'static str, then: Then) {
    join_all([ROLLING, BLUE_GREEN, CANARY].map(|strategy| killed_anywhere(strategy, slow, then))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_goes_on() {
    killed_everywhere("haproxy", Then::Resume).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_goes_back() {
    killed_everywhere("nginx", Then::Abort).await;
}
