//! Random environments, as files that load.
//!
//! Everything shrinks towards less: fewer services, ships and instances, no dependencies, no checks, nothing special.

use proptest::prelude::*;
use std::fmt::Write as _;

/// Where the images of random environments come from; it asks for [`USER`] and [`PASSWORD`].
pub const REGISTRY: &str = "reg:5000";
/// Who may pull from [`REGISTRY`].
pub const USER: &str = "ci";
/// The password of [`USER`].
pub const PASSWORD: &str = "secret";

/// How many images a random environment uses at most.
const IMAGES: u8 = 3;

/// A random environment.
#[derive(Debug, Clone)]
pub struct Layout {
    /// How many ships there are.
    pub ships: u8,
    /// Its services; each may need those before it.
    pub services: Vec<ServiceLayout>,
}

/// A service of a random environment.
#[derive(Debug, Clone)]
pub struct ServiceLayout {
    /// First letter of its name, counted from `a`: the order by name is not the order of dependencies.
    pub letter: u8,
    /// Which services before it it requires: one bit each.
    pub requires: u16,
    /// Which image it uses.
    pub image: u8,
    /// Its instances.
    pub instances: Vec<InstanceLayout>,
    /// Number of checks before start, while running, before stop, and when stopped.
    pub checks: [u8; 4],
    /// What else there is about it.
    pub extras: Extras,
}

/// What else a service may have that a planner has to tell apart, or to leave alone.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// It is not among everything.
    pub omit: bool,
    /// Which other services it wants to know of: one bit each.
    pub wants_info: u16,
    /// What its image is like.
    pub flavour: Flavour,
    /// Its instances publish a port, each another one.
    pub publishes: bool,
    /// Another check while running.
    pub check: Option<CheckLayout>,
    /// Grace of its instances, in seconds.
    pub stop_timeout: Option<u8>,
    /// A variable's value.
    pub variable: Option<String>,
    /// A restart policy.
    pub restart: Option<&'static str>,
}

/// What an image is like; [`crate::fleet::usual_behaviour`] knows what its containers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// Like any other.
    #[default]
    Plain,
    /// With a HEALTHCHECK.
    Healthy,
    /// Slow to stop.
    Slow,
    /// Unwilling to stop.
    Stubborn,
    /// Named by its digest.
    Digest,
    /// Of Docker Hub, and without a tag.
    Hub,
}

/// A check of another kind than the usual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckLayout {
    /// A pause of so many seconds.
    Sleep(u8),
    /// A program in the container.
    Program,
    /// The port, if it publishes one.
    Port,
    /// The HEALTHCHECK, if its image has one.
    Health,
}

/// An instance of a random environment.
#[derive(Debug, Clone)]
pub struct InstanceLayout {
    /// On which ship, modulo their number.
    pub ship: u8,
    /// From which instances before it, of the same service and on the same ship, it takes volumes: one bit each.
    pub volumes_from: u8,
}

/// An instance of a [`Layout`], with all names spelled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its name.
    pub name: String,
    /// Its service's name.
    pub service: String,
    /// Its ship's name.
    pub ship: String,
    /// Its image.
    pub image: String,
}

impl CheckLayout {
    /// As the file has it; none where it makes no sense.
    fn yaml(self, extras: &Extras) -> Option<String> {
        match self {
            CheckLayout::Sleep(seconds) => Some(format!("{{type: sleep, wait: {seconds}}}")),
            CheckLayout::Program => Some("{type: rexec, command: 'true', attempts: 2}".to_owned()),
            CheckLayout::Port => extras.publishes.then(|| "{type: tcp, port: http, max_wait: 2}".to_owned()),
            CheckLayout::Health => {
                (extras.flavour == Flavour::Healthy).then(|| "{type: health, max_wait: 5}".to_owned())
            }
        }
    }
}

impl ServiceLayout {
    fn name(&self, index: usize) -> String {
        format!("{}{index}", char::from(b'a' + self.letter % 26))
    }

    fn image(&self) -> String {
        match self.extras.flavour {
            Flavour::Plain => format!("{REGISTRY}/app-{}:1", self.image % IMAGES),
            Flavour::Healthy => format!("{REGISTRY}/healthy:1"),
            Flavour::Slow => format!("{REGISTRY}/slow:1"),
            Flavour::Stubborn => format!("{REGISTRY}/stubborn:1"),
            Flavour::Digest => format!("{REGISTRY}/app@sha256:{}", "1".repeat(64)),
            Flavour::Hub => "app".to_owned(),
        }
    }
}

impl Layout {
    /// All instances.
    pub fn instances(&self) -> Vec<Placed> {
        let mut all = Vec::new();
        for (index, service) in self.services.iter().enumerate() {
            for (number, instance) in service.instances.iter().enumerate() {
                let name = service.name(index);
                all.push(Placed {
                    name: format!("{name}-{number}"),
                    service: name,
                    ship: self.ship(instance),
                    image: service.image(),
                });
            }
        }
        all
    }

    fn ship(&self, instance: &InstanceLayout) -> String {
        format!("ship-{}", instance.ship % self.ships.max(1))
    }

    /// As an environment file. Checks are local programs named `check` with the phase as their argument.
    pub fn yaml(&self) -> String {
        let mut text = format!(
            "__maestro: {{schema: 2}}\nname: sim\n\
             registries: {{main: {{registry: 'https://{REGISTRY}', username: {USER}, password: {PASSWORD}}}}}\n\
             ships:\n"
        );
        for ship in 0..self.ships.max(1) {
            push(&mut text, format_args!("  ship-{ship}: {{ip: 192.0.2.{}}}\n", u16::from(ship) + 1));
        }
        text.push_str("services:\n");
        for (index, service) in self.services.iter().enumerate() {
            self.push_service(&mut text, index, service);
        }
        text
    }

    fn push_service(&self, text: &mut String, index: usize, service: &ServiceLayout) {
        let name = service.name(index);
        let requires: Vec<String> = self.services[..index]
            .iter()
            .enumerate()
            .filter(|(other, _)| service.requires >> other & 1 == 1)
            .map(|(other, needed)| needed.name(other))
            .collect();
        push(text, format_args!("  {name}:\n    image: '{}'\n", service.image()));
        push(text, format_args!("    requires: [{}]\n", requires.join(", ")));
        let extras = &service.extras;
        let wanted: Vec<String> = self
            .services
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index && extras.wants_info >> other & 1 == 1)
            .map(|(other, wanted)| wanted.name(other))
            .collect();
        if !wanted.is_empty() {
            push(text, format_args!("    wants_info: [{}]\n", wanted.join(", ")));
        }
        if extras.omit {
            text.push_str("    omit: true\n");
        }
        if let Some(value) = &extras.variable {
            push(text, format_args!("    env: {{TEXT: '{value}'}}\n"));
        }
        let mut phases = ["pre-start", "running", "pre-stop", "stopped"].map(|phase| (phase, Vec::new()));
        for ((phase, checks), count) in phases.iter_mut().zip(service.checks) {
            let check = format!("{{type: exec, command: 'check {phase}', attempts: 1}}");
            checks.extend(vec![check; usize::from(count)]);
        }
        phases[1].1.extend(extras.check.and_then(|check| check.yaml(extras)));
        if phases.iter().any(|(_, checks)| !checks.is_empty()) {
            text.push_str("    lifecycle:\n");
            for (phase, checks) in phases {
                push(text, format_args!("      {phase}: [{}]\n", checks.join(", ")));
            }
        }
        text.push_str("    instances:\n");
        for (number, instance) in service.instances.iter().enumerate() {
            let sources: Vec<String> = service.instances[..number]
                .iter()
                .enumerate()
                .filter(|(other, source)| {
                    instance.volumes_from >> other & 1 == 1 && self.ship(source) == self.ship(instance)
                })
                .map(|(other, _)| format!("{name}-{other}"))
                .collect();
            let ship = self.ship(instance);
            let volumes = sources.join(", ");
            push(text, format_args!("      {name}-{number}: {{ship: {ship}, volumes_from: [{volumes}]"));
            if extras.publishes {
                let external = 8000 + 10 * index + number;
                push(text, format_args!(", ports: {{http: {{exposed: 80, external: {external}}}}}"));
            }
            if let Some(seconds) = extras.stop_timeout {
                push(text, format_args!(", stop_timeout: {seconds}"));
            }
            if let Some(policy) = extras.restart {
                push(text, format_args!(", restart: '{policy}'"));
            }
            text.push_str("}\n");
        }
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    _ = text.write_fmt(what);
}

/// Environments of up to so many services and ships, without extras: all that is asked for can be done everywhere.
pub fn layouts(services: usize, ships: u8) -> impl Strategy<Value = Layout> {
    (1..=ships, prop::collection::vec(service(ships, Just(Extras::default())), 1..=services))
        .prop_map(|(ships, services)| Layout { ships, services })
}

/// Environments of up to so many services and ships, with all that a file may say.
pub fn rich_layouts(services: usize, ships: u8) -> impl Strategy<Value = Layout> {
    (1..=ships, prop::collection::vec(service(ships, extras()), 1..=services))
        .prop_map(|(ships, services)| Layout { ships, services })
}

fn extras() -> impl Strategy<Value = Extras> {
    let flavour = prop_oneof![
        3 => Just(Flavour::Plain),
        2 => Just(Flavour::Healthy),
        1 => Just(Flavour::Slow),
        1 => Just(Flavour::Stubborn),
        1 => Just(Flavour::Digest),
        1 => Just(Flavour::Hub),
    ];
    let check = prop_oneof![
        (0..3u8).prop_map(CheckLayout::Sleep),
        Just(CheckLayout::Program),
        Just(CheckLayout::Port),
        Just(CheckLayout::Health),
    ];
    let policies = prop::sample::select(vec!["no", "always", "on-failure", "unless-stopped"]);
    (
        prop::bool::weighted(0.1),
        (any::<u16>(), any::<u16>()).prop_map(|(a, b)| a & b),
        flavour,
        any::<bool>(),
        prop::option::weighted(0.5, check),
        prop::option::of(0..12u8),
        prop::option::weighted(0.3, "[a-z ]{0,6}"),
        prop::option::of(policies),
    )
        .prop_map(|(omit, wants_info, flavour, publishes, check, stop_timeout, variable, restart)| {
            Extras { omit, wants_info, flavour, publishes, check, stop_timeout, variable, restart }
        })
}

fn service(ships: u8, extras: impl Strategy<Value = Extras>) -> impl Strategy<Value = ServiceLayout> {
    let instances = prop::collection::vec(instance(ships), 1..=3);
    // Most pairs of services are not connected, as in life.
    let requires = (any::<u16>(), any::<u16>()).prop_map(|(a, b)| a & b);
    let check = || prop_oneof![4 => Just(0), 1 => Just(1), 1 => Just(2)];
    let checks = [check(), check(), check(), check()];
    (0..26u8, requires, 0..IMAGES, instances, checks, extras).prop_map(
        |(letter, requires, image, instances, checks, extras)| ServiceLayout {
            letter,
            requires,
            image,
            instances,
            checks,
            extras,
        },
    )
}

fn instance(ships: u8) -> impl Strategy<Value = InstanceLayout> {
    let volumes_from = prop_oneof![3 => Just(0), 1 => any::<u8>()];
    (0..ships, volumes_from).prop_map(|(ship, volumes_from)| InstanceLayout { ship, volumes_from })
}
