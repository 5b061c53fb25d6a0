//! Whole environments, drawn: services that need each other, instances on several ships, and what is done with them.
//! Where a decision has Maestro do something else, maestro-ng is told in its own words, or nobody is.

use super::cases::{Act, Case, Program, Step};
use super::generated::{Form, forms};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Of services. No two are the same in names of variables: whose are kept then depends on chance in maestro-ng.
const NAMES: [&str; 6] = ["web.front", "db", "api", "Queue-2", "kafka", "zoo"];
/// What is behind a service's name in those of its instances.
const SUFFIXES: [&str; 3] = ["-1", ".east", "_x"];
const IMAGES: [&str; 3] = ["bb:latest", "shop/web:1.0", "gone/app:3"];
/// Lines of an instance that any engine takes; `<N>` and `<M>` are ports that nobody else has.
const LINES: [&str; 24] = [
    "ports: {w: <N>}",
    "ports: {w: \"80:<N>\"}",
    "ports: {w.x: <N>/udp}",
    "ports: {dns: \"53/udp:<N>/udp\", web: \"80/tcp:<N>\"}",
    "ports: {w: {exposed: 80, external: <N>}}",
    "ports: {w: {exposed: 80/tcp, external: [127.0.0.1, <N>]}, v: \"81:<M>-<M>\"}",
    "ports: {w: {exposed: 80, external: [127.0.0.1, <N>]}, e: {exposed: 80, external: [127.0.0.2, <N>]}}",
    "env: {SERVICE_NAME: other, CONTAINER_NAME: x, MAESTRO_ENVIRONMENT_NAME: y, SERVICE_TAGS: [a, [b]]}",
    "env: {DB_INSTANCES: mine, WEB_FRONT_INSTANCES: mine, A: [a, [b, [c, []]], \"\"]}",
    "env: {A: 1.50, B: yes, C: ~, D: 12:30, E: {x: [1, ~]}, F: 2020-01-02}",
    "env: [x.env, {A: b}, [{A: c}]]",
    "envfile: [x.env, {F: file}]",
    "limits: {memory: 64m, swap: 1G}",
    "limits: {cpu: 7}",
    "restart: {name: on-failure, retries: 2}",
    "restart: no",
    "labels: {a: b, c: \"\"}",
    "labels: [x, y]",
    "container_volumes: [/data, /more]",
    "dns: [8.8.8.8, 1.1.1.1]",
    "extra_hosts: {h: 1.2.3.4, g: {ship: b}}",
    "username: \"0\"",
    "workdir: /tmp",
    "ulimits: {nofile: {soft: 1024, hard: 2048}}",
];
/// Lines of a service, likewise.
const SERVICE_LINES: [&str; 6] = [
    "env: {A: service, SERVICE_NAME: mine, L: [x, [y]]}",
    "envfile: x.env",
    "limits: {memory: 128m, cpu: 2}",
    "ports: {s: \"7:<N>\"}",
    "ports: {w: \"9:<N>\", s: <N>/udp}",
    "env: {DB_INSTANCES: theirs}",
];
/// Keys that say what belongs to what, are known to take long, or differ in another way (Q-05).
const NOT_DRAWN: [&str; 8] =
    ["ship", "volumes_from", "requires", "wants_info", "omit", "image", "lifecycle", "instances"];
/// What `-C` and `-S` are given.
const NAME_PATTERNS: [&str; 7] = ["*", "*-1", "w*", "[a-k]*", "?*.east", "[!w]*_x", "nosuch*"];
const SHIP_PATTERNS: [&str; 4] = ["a", "[bc]", "*", "nosuch"];

/// An environment, and what is done with it.
#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    ships: usize,
    services: Vec<Service>,
    top: Vec<String>,
    fault: Option<Fault>,
    commands: Vec<Command>,
}

#[derive(Debug, Clone)]
struct Service {
    name: &'static str,
    image: &'static str,
    omit: bool,
    requires: Vec<Index>,
    wants: Vec<Index>,
    lines: Vec<String>,
    instances: Vec<Instance>,
}

#[derive(Debug, Clone)]
struct Instance {
    ship: Index,
    volumes_from: Option<Index>,
    lines: Vec<String>,
}

/// For what both refuse a file.
#[derive(Debug, Clone)]
enum Fault {
    Requires,
    Wants,
    Circle,
    Ship,
    Twice,
    Volumes,
    FarVolumes,
    Line(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Start,
    Stop,
    Kill,
    Restart,
    Status,
    Clean,
    Pull,
    Deptree,
}

#[derive(Debug, Clone)]
struct Command {
    verb: Verb,
    by: Option<Program>,
    things: Vec<Index>,
    /// `-s`.
    expand: bool,
    /// `-d` and `-i`.
    with: bool,
    without: bool,
    names: Option<&'static str>,
    ships: Option<&'static str>,
    at_once: Option<u32>,
    extra: Index,
}

impl Fault {
    fn any(refused: Vec<String>) -> impl Strategy<Value = Fault> {
        prop_oneof![
            1 => Just(Fault::Requires),
            1 => Just(Fault::Wants),
            1 => Just(Fault::Circle),
            1 => Just(Fault::Ship),
            1 => Just(Fault::Twice),
            1 => Just(Fault::Volumes),
            1 => Just(Fault::FarVolumes),
            4 => select(refused).prop_map(Fault::Line),
        ]
    }
}

/// Any environment that engines take without being asked for much.
pub(crate) fn drawn(real: bool) -> impl Strategy<Value = Drawn> {
    let known = |of: char, refused: bool| -> Vec<String> {
        let wanted = |form: &Form| {
            form.of == of
                && form.refused == refused
                && form.number.is_none()
                && !NOT_DRAWN.contains(&form.line.split(':').next().unwrap())
        };
        forms().into_iter().filter(wanted).map(|form| form.line).collect()
    };
    let with = |lines: &[&str], of: char| {
        let lines = lines.iter().map(|line| (*line).to_owned());
        lines.chain(if real { Vec::new() } else { known(of, false) }).collect::<Vec<String>>()
    };
    let instance = (any::<Index>(), weighted(0.2, any::<Index>()), subsequence(with(&LINES, 'I'), 0..=4))
        .prop_map(|(ship, volumes_from, lines)| Instance { ship, volumes_from, lines });
    let images = if real { &IMAGES[..2] } else { &IMAGES[..] };
    let service = (
        select(images),
        prop::bool::weighted(0.15),
        vec(any::<Index>(), 0..=2),
        vec(any::<Index>(), 0..=2),
        subsequence(with(&SERVICE_LINES, 'S'), 0..=2),
        // One without instances is rare.
        prop_oneof![9 => vec(instance.clone(), 1..=3), 1 => Just(Vec::new())],
    )
        .prop_map(|(image, omit, requires, wants, lines, instances)| Service {
            name: "",
            image,
            omit,
            requires,
            wants,
            lines,
            instances,
        });
    let services =
        (Just(NAMES.to_vec()).prop_shuffle(), vec(service, 2..=4)).prop_map(|(names, services)| {
            let named = services.into_iter().zip(names).map(|(service, name)| Service { name, ..service });
            named.collect::<Vec<Service>>()
        });
    let fault = weighted(if real { 0.01 } else { 0.1 }, Fault::any(known('I', true)));
    let top = subsequence(if real { vec!["registries: {}".to_owned()] } else { known('T', false) }, 0..=1);
    let ships = 2..=if real { 2_usize } else { 3 };
    let commands = vec(command(real), if real { 3..=5 } else { 1..=4 });
    (ships, services, top, fault, commands).prop_map(|(ships, services, top, fault, commands)| Drawn {
        ships,
        services,
        top,
        fault,
        commands,
    })
}

fn command(real: bool) -> impl Strategy<Value = Command> {
    use Verb::{Clean, Deptree, Kill, Pull, Restart, Start, Status, Stop};
    let verbs = [Start, Start, Start, Stop, Restart, Restart, Status, Clean, Kill, Deptree];
    // There is nobody to pull from beside real engines.
    let verbs = verbs.into_iter().chain((!real).then_some(Pull)).collect::<Vec<Verb>>();
    (
        select(verbs),
        prop_oneof![8 => Just(None), 1 => select(&[Program::Original, Program::Ours][..]).prop_map(Some)],
        vec(any::<Index>(), 0..=3),
        any::<bool>(),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.2),
        weighted(0.2, select(&NAME_PATTERNS[..])),
        weighted(0.2, select(&SHIP_PATTERNS[..])),
        weighted(0.2, 1..=2_u32),
        any::<Index>(),
    )
        .prop_map(|(verb, by, things, expand, with, without, names, ships, at_once, extra)| Command {
            verb,
            by,
            things,
            expand,
            with,
            without,
            names,
            ships,
            at_once,
            extra,
        })
}

/// Keys once each, the first of those that there are twice.
fn block(text: &mut String, indent: usize, lines: &[String], port: &mut u32) {
    let mut seen = BTreeSet::new();
    for line in lines {
        if !seen.insert(line.split_once(':').unwrap().0.to_owned()) {
            continue;
        }
        *port += 1;
        let line = line.replace("<N>", &port.to_string()).replace("<M>", &(*port + 500).to_string());
        writeln!(text, "{:indent$}{line}", "").unwrap();
    }
}

impl Drawn {
    /// The case that comes of it: fewer commands where one cannot be compared.
    pub(crate) fn case(&self, name: String) -> Case {
        let steps = self.commands.iter().filter_map(|command| self.step(command));
        // What is refused once is refused always.
        let steps: Vec<Step> = if self.fault.is_some() { steps.take(1).collect() } else { steps.collect() };
        Case {
            name,
            title: "drawn".to_owned(),
            environment: self.environment(),
            files: vec![("x.env".to_owned(), "F=1\nG=a b=c\n".to_owned())],
            steps,
            ..Case::default()
        }
    }

    fn instance_name(&self, service: usize, instance: usize) -> String {
        format!("{}{}", self.services[service].name, SUFFIXES[instance])
    }

    /// The instances of a service.
    fn instances(&self, service: usize) -> impl Iterator<Item = String> {
        (0..self.services[service].instances.len()).map(move |instance| self.instance_name(service, instance))
    }

    fn ship(&self, service: usize, instance: usize) -> usize {
        self.services[service].instances[instance].ship.index(self.ships)
    }

    /// Later ones, so that there is no circle.
    fn later(&self, service: usize, chosen: &[Index]) -> BTreeSet<usize> {
        let left = self.services.len() - service - 1;
        chosen.iter().filter(|_| left > 0).map(|index| service + 1 + index.index(left)).collect()
    }

    /// Whose volumes an instance has: a service, and its instance.
    fn source(&self, service: usize, instance: usize) -> Option<(usize, usize)> {
        let chosen = self.services[service].instances[instance].volumes_from?;
        let all = (service + 1..self.services.len())
            .flat_map(|other| (0..self.services[other].instances.len()).map(move |number| (other, number)));
        let near: Vec<(usize, usize)> = all
            .filter(|(other, number)| self.ship(*other, *number) == self.ship(service, instance))
            .collect();
        (!near.is_empty()).then(|| near[chosen.index(near.len())])
    }

    fn environment(&self) -> String {
        let mut port = 22100;
        let mut text = String::new();
        let mut top = self.top.clone();
        top.extend(["__maestro: {schema: 2}", "name: t"].map(str::to_owned));
        block(&mut text, 0, &top, &mut port);
        text.push_str("ships:\n");
        for ship in &["a", "b", "c"][..self.ships] {
            writeln!(text, "  {ship}: <{}>", ship.to_uppercase()).unwrap();
        }
        text.push_str("services:\n");
        for (number, service) in self.services.iter().enumerate() {
            writeln!(text, "  {}:", service.name).unwrap();
            block(&mut text, 4, &self.service_lines(number), &mut port);
            if service.instances.is_empty() {
                text.push_str("    instances: {}\n");
                continue;
            }
            text.push_str("    instances:\n");
            for instance in 0..service.instances.len() {
                let mut name = self.instance_name(number, instance);
                if matches!(self.fault, Some(Fault::Twice)) && instance == 0 {
                    "twice".clone_into(&mut name);
                }
                writeln!(text, "      {name}:").unwrap();
                block(&mut text, 8, &self.instance_lines(number, instance), &mut port);
            }
        }
        text
    }

    fn service_lines(&self, number: usize) -> Vec<String> {
        let service = &self.services[number];
        let names = |chosen: BTreeSet<usize>| -> Vec<&str> {
            chosen.into_iter().map(|other| self.services[other].name).collect()
        };
        let mut lines = vec![format!("image: {}", service.image)];
        let mut requires = names(self.later(number, &service.requires));
        let mut wants = names(self.later(number, &service.wants));
        match (&self.fault, number) {
            (Some(Fault::Requires), 0) => requires.push("nosuch"),
            (Some(Fault::Wants), 0) => wants.push("nosuch"),
            (Some(Fault::Circle), 0) => requires.push(self.services[1].name),
            (Some(Fault::Circle), 1) => requires.push(self.services[0].name),
            _ => {}
        }
        for (key, names) in [("requires", requires), ("wants_info", wants)] {
            if !names.is_empty() {
                lines.push(format!("{key}: [{}]", names.join(", ")));
            }
        }
        if service.omit {
            lines.push("omit: true".to_owned());
        }
        // A port of the ship is one instance's.
        let alone = service.instances.len() < 2;
        lines.extend(service.lines.iter().filter(|line| alone || !line.contains("<N>")).cloned());
        lines
    }

    fn instance_lines(&self, service: usize, instance: usize) -> Vec<String> {
        let drawn = &self.services[service].instances[instance];
        let first = instance == 0 && self.services[..service].iter().all(|other| other.instances.is_empty());
        let ship = ["a", "b", "c"][self.ship(service, instance)];
        let mut lines = match &self.fault {
            Some(Fault::Ship) if first => vec!["ship: nosuch".to_owned()],
            Some(Fault::Volumes) if first => vec!["volumes_from: nosuch".to_owned()],
            Some(Fault::FarVolumes) if first => {
                vec!["volumes: {/a: /b}".to_owned(), "container_volumes: /b".to_owned()]
            }
            Some(Fault::Line(line)) if first => vec![line.clone()],
            _ => Vec::new(),
        };
        lines.push(format!("ship: {ship}"));
        if let Some((service, instance)) = self.source(service, instance) {
            lines.push(format!("volumes_from: [{}]", self.instance_name(service, instance)));
        }
        lines.extend(drawn.lines.iter().cloned());
        lines.extend(["command: sleep 100", "stop_timeout: 0"].map(str::to_owned));
        lines
    }

    /// Everything that a service needs, from declarations alone or through volumes, too.
    fn needs(&self, service: usize, volumes: bool) -> BTreeSet<usize> {
        let mut needed = self.later(service, &self.services[service].requires);
        if volumes {
            let instances = 0..self.services[service].instances.len();
            needed.extend(instances.filter_map(|instance| Some(self.source(service, instance)?.0)));
        }
        let further: Vec<usize> = needed.iter().flat_map(|other| self.needs(*other, volumes)).collect();
        needed.extend(further);
        needed
    }

    /// A command in both tools' words, or nothing if what they do cannot be the same.
    fn step(&self, command: &Command) -> Option<Step> {
        use Verb::{Deptree, Kill, Restart, Status, Stop};
        let reverse = matches!(command.verb, Stop | Kill | Restart);
        let things: Vec<(usize, Option<usize>)> =
            command.things.iter().map(|index| self.thing(*index)).collect();
        let whole: BTreeSet<usize> =
            things.iter().filter(|(_, instance)| instance.is_none()).map(|(service, _)| *service).collect();
        let named = |(service, instance): &(usize, Option<usize>)| match instance {
            None => self.services[*service].name.to_owned(),
            Some(instance) => self.instance_name(*service, *instance),
        };
        let ours: Vec<String> = things.iter().map(named).collect();
        let mut original: Vec<String> = Vec::new();
        for thing in &things {
            let name = named(thing);
            // What is named twice is done once (Q-11).
            if !original.contains(&name) && (thing.1.is_none() || !whole.contains(&thing.0)) {
                original.push(name);
            }
        }
        let verb = format!("{:?}", command.verb).to_lowercase();
        if command.verb == Deptree {
            let options: &[&str] = [&[][..], &["-r"]][command.extra.index(2)];
            return Some(finish(command, &verb, options, (original, ours), Vec::new()));
        }
        let mut options: Vec<&str> = Vec::new();
        let dependencies = if things.is_empty() { !command.without } else { command.with };
        if command.with {
            options.push("-d");
        }
        if command.without {
            options.push("-i");
        }
        // Filters hold always (Q-10), and nothing is not everything (Q-09).
        if dependencies && (command.names.is_some() || command.ships.is_some()) {
            return None;
        }
        let services: Vec<usize> = if things.is_empty() {
            let all = 0..self.services.len();
            all.filter(|service| command.verb == Status || !self.services[*service].omit).collect()
        } else {
            things.iter().map(|(service, _)| *service).collect()
        };
        if dependencies && services.iter().all(|service| self.services[*service].instances.is_empty()) {
            return None;
        }
        // Who takes volumes from another is stopped before it (Q-20).
        let gap = |service| self.needs(service, true) != self.needs(service, false);
        if dependencies && reverse && (0..self.services.len()).any(gap) {
            return None;
        }
        for (option, pattern) in [("-C", command.names), ("-S", command.ships)] {
            options.extend(pattern.into_iter().flat_map(|pattern| [option, pattern]));
        }
        let at_once = command.at_once.map(|number| format!("-c{number}"));
        options.extend(at_once.as_deref());
        let (own, theirs) = self.own_options(command, things.is_empty(), !whole.is_empty());
        options.extend(own);
        // What runs at the same time has no order.
        let ordered = if command.without { Vec::new() } else { self.ordered(command.verb) };
        let mut step = finish(command, &verb, &options, (original, ours), ordered);
        if let (Some(option), Act::Tool { original: Some(arguments), .. }) = (theirs, &mut step.act) {
            arguments.insert(1, option.to_owned());
        }
        Some(step)
    }

    /// Options of one command, and one that only maestro-ng needs (D-01, D-02).
    fn own_options(
        &self,
        command: &Command,
        everything: bool,
        services: bool,
    ) -> (&'static [&'static str], Option<&'static str>) {
        use Verb::{Kill, Restart, Start, Status, Stop};
        let of: &[&[&str]] = match command.verb {
            Start => &[&[], &["-r"], &["--reuse"]],
            Restart => &[&[], &["-r"], &["--reuse"], &["--only-if-changed"]],
            Status => &[&[], &["-H"]],
            Stop | Kill if everything => &[&["-a"], &["-a"], &[]],
            _ => &[&[]],
        };
        // Engines have whom to ask beside stubs only.
        let pulls = self.services.iter().any(|service| service.image == IMAGES[2]) || self.ships > 2;
        let own = of[command.extra.index(of.len())];
        let own = if own == ["-r"] && !pulls { &[] } else { own };
        match command.verb {
            Restart if everything => (own, Some("-a")),
            Stop | Kill | Restart if services && command.expand => (&["-s"], None),
            Stop | Kill | Restart if services => (own, Some("-s")),
            _ => (own, None),
        }
    }

    /// A service, or one of its instances.
    fn thing(&self, index: Index) -> (usize, Option<usize>) {
        let all: Vec<(usize, Option<usize>)> = (0..self.services.len())
            .flat_map(|service| {
                let instances = (0..self.services[service].instances.len()).map(Some);
                std::iter::once(None).chain(instances).map(move |instance| (service, instance))
            })
            .collect();
        all[index.index(all.len())]
    }

    /// Who waits for whom.
    fn ordered(&self, verb: Verb) -> Vec<(String, String)> {
        use Verb::{Kill, Restart, Start, Stop};
        let mut pairs = Vec::new();
        for service in 0..self.services.len() {
            for needed in self.needs(service, verb == Start) {
                for (of, other) in self.instances(service).flat_map(|of| {
                    self.instances(needed).map(move |other| (of.clone(), other)).collect::<Vec<_>>()
                }) {
                    match verb {
                        Start => pairs.push((other, of)),
                        Stop | Kill | Restart => pairs.push((of, other)),
                        _ => {}
                    }
                }
            }
        }
        pairs
    }
}

/// A step in both tools' words.
fn finish(
    command: &Command,
    verb: &str,
    options: &[&str],
    (original, ours): (Vec<String>, Vec<String>),
    ordered: Vec<(String, String)>,
) -> Step {
    let whole = |things: Vec<String>| {
        let head = [verb].into_iter().chain(options.iter().copied()).map(str::to_owned);
        head.chain(things).collect::<Vec<String>>()
    };
    let (original, arguments) = (whole(original), whole(ours));
    let by = command.by;
    let who = by.map(|by| if by == Program::Ours { "maestro: " } else { "maestro-ng: " });
    let line = format!("{}{}", who.unwrap_or_default(), arguments.join(" "));
    let act = Act::Tool { by, variables: Vec::new(), stdin: None, arguments, original: Some(original) };
    Step { line, act, ordered }
}
