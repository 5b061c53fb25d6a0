//! Random environments.

use indexmap::IndexMap;
use maestro_core::image::ImageRef;
use maestro_core::model::{
    Check, EnvVar, Environment, Instance, Login, Phase, Port, Protocol, Registry, RestartPolicy, Retry,
    Service, Settings, Ship, Transport,
};
use maestro_core::names::{InstanceName, RegistryName, Secret, ServiceName, ShipName};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How large random environments may be.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Most ships.
    pub ships: usize,
    /// Most services.
    pub services: usize,
    /// Most instances of one service.
    pub instances: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { ships: 4, services: 6, instances: 4 }
    }
}

/// Images of random environments; [`crate::fleet::usual_behaviour`] knows what their containers do.
const IMAGES: [&str; 6] = [
    "shop/web:1",
    "shop/web:2",
    "registry.example.com:5000/slow:1",
    "registry.example.com:5000/healthy:1",
    "stubborn",
    "shop/db@sha256:1111111111111111111111111111111111111111111111111111111111111111",
];

/// What is random about a service; indices are taken modulo what there is.
#[derive(Debug, Clone)]
struct Draft {
    requires: Vec<prop::sample::Index>,
    wants: Vec<prop::sample::Index>,
    omit: bool,
    image: &'static str,
    instances: Vec<InstanceDraft>,
}

#[derive(Debug, Clone)]
struct InstanceDraft {
    ship: prop::sample::Index,
    publishes: bool,
    stop_timeout: u64,
    running: Option<CheckDraft>,
    pre_start: Option<CheckDraft>,
    variable: Option<String>,
    restart: &'static str,
    shares_volumes: bool,
}

#[derive(Debug, Clone, Copy)]
enum CheckDraft {
    Sleep(u64),
    Program(u32),
    Port(u32),
    Health(u64),
}

/// An environment: services require earlier ones only, host ports are unique, and everything that is named exists.
pub fn environments(size: Size) -> BoxedStrategy<Environment> {
    let services = prop::collection::vec(draft(size.instances.max(1)), 1..=size.services.max(1));
    (1..=size.ships.max(1), services, any::<bool>())
        .prop_map(|(ships, drafts, login)| build(ships, &drafts, login))
        .boxed()
}

fn draft(instances: usize) -> impl Strategy<Value = Draft> {
    (
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        prop::collection::vec(any::<prop::sample::Index>(), 0..2),
        prop::bool::weighted(0.1),
        prop::sample::select(IMAGES.to_vec()),
        prop::collection::vec(instance(), 1..=instances),
    )
        .prop_map(|(requires, wants, omit, image, instances)| Draft {
            requires,
            wants,
            omit,
            image,
            instances,
        })
}

fn instance() -> impl Strategy<Value = InstanceDraft> {
    (
        any::<prop::sample::Index>(),
        any::<bool>(),
        0..12_u64,
        prop::option::weighted(0.4, check()),
        prop::option::weighted(0.1, check()),
        prop::option::weighted(0.3, "[a-z ]{0,6}"),
        prop::sample::select(vec!["no", "always", "on-failure", "unless-stopped"]),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(ship, publishes, stop_timeout, running, pre_start, variable, restart, shares_volumes)| {
                InstanceDraft {
                    ship,
                    publishes,
                    stop_timeout,
                    running,
                    pre_start,
                    variable,
                    restart,
                    shares_volumes,
                }
            },
        )
}

fn check() -> impl Strategy<Value = CheckDraft> {
    prop_oneof![
        (0..3_u64).prop_map(CheckDraft::Sleep),
        (1..3_u32).prop_map(CheckDraft::Program),
        (1..3_u32).prop_map(CheckDraft::Port),
        (2..10_u64).prop_map(CheckDraft::Health),
    ]
}

fn build(ships: usize, drafts: &[Draft], login: bool) -> Environment {
    let ships: Vec<Ship> = (0..ships).map(ship).collect();
    let names: Vec<ServiceName> =
        (0..drafts.len()).map(|n| ServiceName::new(format!("service-{n}"))).collect();
    let mut environment = Environment {
        name: Some("random".into()),
        ships: BTreeMap::new(),
        services: BTreeMap::new(),
        instances: BTreeMap::new(),
        registries: registries(login),
    };
    let mut next_port = 8000;
    for (index, (name, draft)) in names.iter().zip(drafts).enumerate() {
        let pick = |among: &[ServiceName], at: &[prop::sample::Index]| -> BTreeSet<ServiceName> {
            if among.is_empty() { BTreeSet::new() } else { at.iter().map(|i| i.get(among).clone()).collect() }
        };
        let earlier = names.get(..index).unwrap_or_default();
        let requires = pick(earlier, &draft.requires);
        let wants_info = pick(&names, &draft.wants).into_iter().filter(|w| w != name).collect();
        let mut service = Service {
            omit: draft.omit,
            declared_requires: requires.clone(),
            requires,
            wants_info,
            instances: BTreeSet::new(),
        };
        for (number, draft_instance) in draft.instances.iter().enumerate() {
            let instance = InstanceName::new(format!("{name}-{number}"));
            let made =
                build_instance(&instance, name, draft, draft_instance, &ships, &environment, &mut next_port);
            service.requires.extend(neighbours(&made, name, &environment));
            service.instances.insert(instance.clone());
            environment.instances.insert(instance, made);
        }
        environment.services.insert(name.clone(), service);
    }
    environment.ships = ships.into_iter().map(|ship| (ship.name.clone(), ship)).collect();
    environment
}

/// The services that an instance needs because it takes volumes from theirs.
fn neighbours(instance: &Instance, own: &ServiceName, environment: &Environment) -> Vec<ServiceName> {
    let sources = instance.settings.volumes_from.iter();
    sources
        .filter_map(|source| environment.instances.get(source.as_str()))
        .map(|source| source.service.clone())
        .filter(|service| service != own)
        .collect()
}

fn ship(index: usize) -> Ship {
    let ip = format!("192.0.2.{}", index + 1);
    Ship {
        name: ShipName::new(format!("ship-{index}")),
        ip: ip.as_str().into(),
        transport: Transport::Tcp { host: ip.into(), port: 2375 },
        api_version: None,
        timeout: None,
    }
}

fn registries(login: bool) -> IndexMap<RegistryName, Registry> {
    let name = RegistryName::from("main");
    let password = Some(Secret::new("secret"));
    let login = login.then(|| Login { username: "ci".into(), password, email: None });
    let url = "https://registry.example.com:5000".into();
    IndexMap::from([(name.clone(), Registry { name, url, login, retry: Retry::default() })])
}

fn build_instance(
    name: &InstanceName,
    service: &ServiceName,
    draft: &Draft,
    instance: &InstanceDraft,
    ships: &[Ship],
    so_far: &Environment,
    next_port: &mut u16,
) -> Instance {
    let ship = instance.ship.get(ships);
    let mut ports = IndexMap::new();
    let mut host_port = None;
    if instance.publishes {
        *next_port += 1;
        host_port = Some(*next_port);
        let port = Port {
            exposed: "80".into(),
            external: next_port.to_string().into(),
            protocol: Protocol::Tcp,
            address: "0.0.0.0".into(),
        };
        ports.insert("http".into(), port);
    }
    // Volumes come from an instance on the same ship that exists already.
    let source = so_far.instances.values().find(|other| other.ship == ship.name);
    let source = source.filter(|_| instance.shares_volumes);
    let healthy = draft.image.contains("/healthy");
    let checks = [(Phase::PreStart, instance.pre_start), (Phase::Running, instance.running)];
    let checks = checks.into_iter().filter_map(|(phase, check)| {
        let check = build_check(check?, phase, &ship.ip, host_port, healthy)?;
        Some((phase, vec![check]))
    });
    Instance {
        name: name.clone(),
        service: service.clone(),
        ship: ship.name.clone(),
        image: ImageRef::parse(draft.image),
        ports,
        stop_timeout: Duration::from_secs(instance.stop_timeout),
        after: source.filter(|s| s.service == *service).map(|s| s.name.clone()).into_iter().collect(),
        checks: checks.collect(),
        settings: Settings {
            env: instance.variable.iter().map(|text| EnvVar::new("TEXT", text.as_str())).collect(),
            volumes_from: source.map(|s| s.name.to_string()).into_iter().collect(),
            restart: RestartPolicy { name: instance.restart.into(), retries: 0 },
            ..Settings::default()
        }
        .into(),
    }
}

/// A check that makes sense there: a HEALTHCHECK only where the image has one, a port only where one is published,
/// nothing of a container before it runs.
fn build_check(draft: CheckDraft, phase: Phase, ip: &str, port: Option<u16>, healthy: bool) -> Option<Check> {
    let runs = phase == Phase::Running;
    match draft {
        CheckDraft::Sleep(seconds) => Some(Check::Sleep { wait: Duration::from_secs(seconds) }),
        CheckDraft::Program(attempts) if runs => {
            Some(Check::RemoteExec { command: vec!["true".to_owned()], attempts })
        }
        CheckDraft::Port(attempts) => {
            Some(Check::Tcp { host: ip.into(), port: port.filter(|_| runs)?, attempts })
        }
        CheckDraft::Health(seconds) if runs && healthy => {
            Some(Check::Health { max_wait: Duration::from_secs(seconds) })
        }
        CheckDraft::Program(_) | CheckDraft::Health(_) => None,
    }
}
