//! Random worlds for property tests: environments that load, and what was on their ships before anybody came.
//!
//! Everything shrinks towards less: fewer services, ships and instances, no dependencies, no checks, empty ships.

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
}

/// An instance of a random environment.
#[derive(Debug, Clone)]
pub struct InstanceLayout {
    /// On which ship, modulo their number.
    pub ship: u8,
    /// From which instances before it, of the same service and on the same ship, it takes volumes: one bit each.
    pub volumes_from: u8,
}

/// What was there of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prior {
    /// Nothing.
    Absent,
    /// A container with the present image that runs.
    Running,
    /// A container with the present image that does not.
    Stopped,
    /// A container with an older image that runs.
    RunningOld,
    /// A container with an older image that does not run.
    StoppedOld,
    /// A container that maestro-ng made, and that runs.
    Adoptable,
    /// Somebody else's container of that name, and it runs.
    Foreign,
}

/// What was there of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorImage {
    /// Nothing.
    Absent,
    /// The present one.
    Current,
    /// An older one by the same name.
    Old,
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

impl ServiceLayout {
    fn name(&self, index: usize) -> String {
        format!("{}{index}", char::from(b'a' + self.letter % 26))
    }

    fn image(&self) -> String {
        format!("{REGISTRY}/app-{}:1", self.image % IMAGES)
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
        if service.checks.iter().any(|count| *count > 0) {
            text.push_str("    lifecycle:\n");
            for (phase, count) in ["pre-start", "running", "pre-stop", "stopped"].iter().zip(service.checks) {
                let check = format!("{{type: exec, command: 'check {phase}', attempts: 1}}");
                let checks = vec![check; usize::from(count)].join(", ");
                push(text, format_args!("      {phase}: [{checks}]\n"));
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
            push(text, format_args!("      {name}-{number}: {{ship: {ship}, volumes_from: [{volumes}]}}\n"));
        }
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    _ = text.write_fmt(what);
}

/// Environments of up to so many services and ships.
pub fn layouts(services: usize, ships: u8) -> impl Strategy<Value = Layout> {
    (1..=ships, prop::collection::vec(service(ships), 1..=services))
        .prop_map(|(ships, services)| Layout { ships, services })
}

fn service(ships: u8) -> impl Strategy<Value = ServiceLayout> {
    let instances = prop::collection::vec(instance(ships), 1..=3);
    // Most pairs of services are not connected, as in life.
    let requires = (any::<u16>(), any::<u16>()).prop_map(|(a, b)| a & b);
    let check = || prop_oneof![4 => Just(0), 1 => Just(1), 1 => Just(2)];
    let checks = [check(), check(), check(), check()];
    (0..26u8, requires, 0..IMAGES, instances, checks).prop_map(
        |(letter, requires, image, instances, checks)| ServiceLayout {
            letter,
            requires,
            image,
            instances,
            checks,
        },
    )
}

fn instance(ships: u8) -> impl Strategy<Value = InstanceLayout> {
    let volumes_from = prop_oneof![3 => Just(0), 1 => any::<u8>()];
    (0..ships, volumes_from).prop_map(|(ship, volumes_from)| InstanceLayout { ship, volumes_from })
}

/// What was there of instances; to be looked up by their number, modulo the length.
pub fn priors() -> impl Strategy<Value = Vec<Prior>> {
    let prior = prop_oneof![
        6 => Just(Prior::Absent),
        6 => Just(Prior::Running),
        3 => Just(Prior::Stopped),
        3 => Just(Prior::RunningOld),
        1 => Just(Prior::StoppedOld),
        1 => Just(Prior::Adoptable),
        1 => Just(Prior::Foreign),
    ];
    prop::collection::vec(prior, 1..24)
}

/// What was there of images; to be looked up by number, modulo the length.
pub fn prior_images() -> impl Strategy<Value = Vec<PriorImage>> {
    let prior = prop_oneof![
        3 => Just(PriorImage::Absent),
        3 => Just(PriorImage::Current),
        1 => Just(PriorImage::Old),
    ];
    prop::collection::vec(prior, 1..12)
}
