//! Random worlds: two releases of a file, which have of each service what they like, on whichever ships and ports.

use super::rules::Rules;
use super::world::World;
use super::{DEPLOY, environment};
use crate::check::lint;
use crate::fleet::{FleetSnapshot, HostPort, Occupant, ShipView};
use crate::model::{Environment, Protocol, Remedy};
use crate::names::{InstanceName, ServiceName, ShipName};
use crate::plan::{Blocked, Fate, Intent, Item, Limits, Plan, Unit};
use crate::planner::plan;
use crate::preflight::{Learnt, Severity, Topic, blocked, preflight, tests::facts};
use crate::select::{Selector, select};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

const SHIPS: [&str; 3] = ["a", "b", "c"];

/// A service of a random world.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    /// How many may be down, and how many be there twice.
    rolling: Option<(u32, u32)>,
    /// In another way than a few at a time, where that can be.
    way: Way,
    /// Whether it needs the service before it.
    needs: bool,
    /// What changes with the next release, besides its instances.
    changes: Changes,
    /// What its instances can write to.
    volumes: Volumes,
    /// How many hooks it has before, and after.
    hooks: (usize, usize),
    on_failure: Remedy,
    /// What balancers have to do with it.
    side: Side,
    /// Engines tell what containers were made of.
    is_told: bool,
    /// Its instances in either release; none if that does not have it.
    releases: [Option<Vec<Place>>; 2],
}

/// An instance of a release.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    name: u8,
    ship: usize,
    port: Port,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    None,
    /// One of a few that others may want, too.
    Fixed(u16),
    /// Any of these few.
    Few,
    /// Of a range that has room for all, and its checks ask it.
    Many,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Rolling,
    BlueGreen,
    Canary,
    CanaryWithPause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changes {
    Nothing,
    Image,
    Variable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    None,
    /// They send it requests.
    Behind,
    /// Front ends run in its containers, if it is the first such one.
    Before,
}

/// Which directories of their ship instances have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Volumes {
    None,
    /// All the same one, which none can write to.
    Read,
    /// Each one of its own.
    Own,
    /// All the same one.
    Shared,
}

fn places() -> impl Strategy<Value = Vec<Place>> {
    let port = prop_oneof![
        4 => Just(Port::None),
        4 => (8080..8084u16).prop_map(Port::Fixed),
        1 => Just(Port::Few),
        3 => Just(Port::Many),
    ];
    let place = (0..4u8, 0..SHIPS.len(), port).prop_map(|(name, ship, port)| Place { name, ship, port });
    prop::collection::vec(place, 1..4).prop_map(|mut places| {
        let mut names = BTreeSet::new();
        places.retain(|place| names.insert(place.name));
        places.sort_by_key(|place| place.name);
        places
    })
}

/// The services of a world.
pub(super) fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let changes = prop_oneof![Just(Changes::Nothing), Just(Changes::Image), Just(Changes::Variable)];
    let rolling = prop::option::weighted(0.8, (0..3u32, 0..3u32));
    let way = prop_oneof![2 => Just(Way::Rolling), 1 => Just(Way::BlueGreen), 1 => Just(Way::Canary), 1 => Just(Way::CanaryWithPause)];
    // Half of the services have the same instances in both, the others what they like, or nothing.
    let next = prop_oneof![5 => Just(None), 4 => places().prop_map(|places| Some(Some(places))), 1 => Just(Some(None))];
    let first = prop::option::weighted(0.9, places());
    let volumes = prop_oneof![
        5 => Just(Volumes::None),
        1 => Just(Volumes::Read),
        1 => Just(Volumes::Own),
        1 => Just(Volumes::Shared),
    ];
    let hooks = prop_oneof![2 => Just((0, 0)), 1 => (0..3usize, 0..3usize)];
    let remedy =
        prop_oneof![2 => Just(Remedy::Rollback), 1 => Just(Remedy::Pause), 3 => Just(Remedy::Continue)];
    let side = prop_oneof![3 => Just(Side::None), 5 => Just(Side::Behind), 2 => Just(Side::Before)];
    let more = (volumes, hooks, remedy, side, any::<bool>());
    let service = (rolling, way, any::<bool>(), changes, first, next, more).prop_map(
        |(rolling, way, needs, changes, first, next, more)| {
            let next = next.unwrap_or_else(|| first.clone());
            let (volumes, hooks, on_failure, side, is_told) = more;
            let releases = [first, next];
            Drawn { rolling, way, needs, changes, volumes, hooks, on_failure, side, is_told, releases }
        },
    );
    prop::collection::vec(service, 1..4).prop_map(|mut services| {
        // A file has a service.
        for release in 0..2 {
            let first = &mut services[0].releases[release];
            first.get_or_insert_with(|| vec![Place { name: 0, ship: 0, port: Port::None }]);
        }
        services
    })
}

impl Drawn {
    /// Whether there cannot be two of any of its instances at the same time.
    fn is_single(&self, release: usize) -> bool {
        let mut places = self.releases[release].iter().flatten();
        matches!(self.volumes, Volumes::Own | Volumes::Shared)
            || places.any(|place| matches!(place.port, Port::Fixed(_)))
    }

    /// What a bind of one of its instances says.
    fn bind(&self, service: usize, name: u8) -> String {
        match self.volumes {
            Volumes::None => String::new(),
            Volumes::Read => format!(", volumes: {{/srv/s{service}: {{target: /data, mode: ro}}}}"),
            Volumes::Own => format!(", volumes: {{/srv/s{service}-{name}: /data}}"),
            Volumes::Shared => format!(", volumes: {{/srv/s{service}: /data}}"),
        }
    }

    /// Its `deploy:` section in a release.
    fn deploy(&self, release: usize) -> String {
        let mut keys = Vec::new();
        if let (way, Some((down, surge))) = self.strategy(release) {
            let pace = format!("max_unavailable: {down}, max_surge: {surge}");
            let weight = if self.side == Side::Behind { "weight: 10%, " } else { "" };
            keys.push(match way {
                Way::Rolling => format!("strategy: rolling, {pace}"),
                Way::BlueGreen => "strategy: blue-green".to_owned(),
                Way::Canary => format!("strategy: canary, {weight}{pace}"),
                Way::CanaryWithPause => format!("strategy: canary, pause: 1m, {pace}"),
            });
        }
        keys.push(format!("on_failure: {}", self.on_failure.name()));
        let hooks = |count: usize| {
            let all = ["{run: bin/do}", "{local: [./do]}"].iter().cycle().take(count).copied();
            all.collect::<Vec<_>>().join(", ")
        };
        if self.hooks != (0, 0) {
            let (before, after) = (hooks(self.hooks.0), hooks(self.hooks.1));
            keys.push(format!("hooks: {{before: [{before}], after: [{after}]}}"));
        }
        keys.join(", ")
    }

    /// Its strategy in a release: what a file may say of it.
    fn strategy(&self, release: usize) -> (Way, Option<(u32, u32)>) {
        let fixed = self.is_single(release);
        let way = if self.way == Way::BlueGreen && fixed { Way::Rolling } else { self.way };
        let pace = |(down, surge): (u32, u32)| (if surge == 0 || fixed { down.max(1) } else { down }, surge);
        // All are there twice, and none is down.
        let rolling = if way == Way::BlueGreen { Some((0, 1)) } else { self.rolling.map(pace) };
        (way, rolling)
    }

    /// How many of it may be down in a release; all, if it says nothing.
    fn may_be_down(&self, release: usize) -> usize {
        self.strategy(release).1.map_or(usize::MAX, |(down, _)| down as usize)
    }
}

/// The file of a release of a random world. No two have the same fixed port of a ship: such files come with a warning, and
/// mean that only one of the two runs.
fn file(services: &[Drawn], release: usize) -> String {
    let mut text = "__maestro: {schema: 2}\nname: w\nships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: 192.0.2.3}}\nservices:\n".to_owned();
    let mut taken: BTreeSet<(usize, u16)> = BTreeSet::new();
    let mut before: Option<usize> = None;
    for (number, service) in services.iter().enumerate() {
        let Some(places) = &service.releases[release] else { continue };
        let tag = if release == 1 && service.changes == Changes::Image { 2 } else { 1 };
        _ = writeln!(text, "  s{number}:\n    image: i{number}:{tag}");
        if release == 1 && service.changes == Changes::Variable {
            text += "    env: {V: next}\n";
        }
        if let Some(before) = before.filter(|_| service.needs) {
            _ = writeln!(text, "    requires: [s{before}]");
        }
        before = Some(number);
        _ = writeln!(text, "    deploy: {{{}}}", service.deploy(release));
        text += "    instances:\n";
        for Place { name, ship, port } in places {
            let ports = match port {
                Port::Fixed(port) if taken.insert((*ship, *port)) => format!(", ports: {{p: '80:{port}'}}"),
                // Requests go to all instances.
                Port::None | Port::Fixed(_) if service.side == Side::Behind => {
                    ", ports: {p: '80:9000-9031'}".to_owned()
                }
                Port::None | Port::Fixed(_) => String::new(),
                Port::Few => ", ports: {p: '80:8080-8083'}".to_owned(),
                Port::Many => {
                    ", ports: {p: '80:9000-9031'}, lifecycle: {running: [{type: tcp, port: p}]}".to_owned()
                }
            };
            let bind = service.bind(number, *name);
            _ = writeln!(text, "      s{number}-{name}: {{ship: {}{ports}{bind}}}", SHIPS[*ship]);
        }
    }
    let with = |is_such: fn(&Drawn) -> bool| {
        let found = services.iter().enumerate().filter(|(_, service)| service.releases[release].is_some());
        found.filter(move |(_, service)| is_such(service)).map(|(number, _)| number)
    };
    let edge = with(|service| service.side == Side::Before).next();
    let place = edge.map_or("local: true".to_owned(), |edge| format!("service: s{edge}"));
    let routes = with(|service| service.side == Side::Behind);
    let routes = routes.map(|number| format!("{{path: /s{number}, service: s{number}, port: p}}"));
    let routes: Vec<String> = routes.collect();
    if !routes.is_empty() {
        let routes = routes.join(", ");
        _ = writeln!(
            text,
            "balancers: {{front: {{kind: haproxy, {place}, acknowledge: [told], routes: [{routes}]}}}}"
        );
    }
    text
}

/// A release of a random world.
pub(super) struct Release {
    pub(super) environment: Environment,
    pub(super) rules: Arc<Rules>,
    services: Vec<Drawn>,
    number: usize,
    /// Services that only the other one has.
    pub(super) gone: BTreeSet<ServiceName>,
}

/// Both of them.
pub(super) fn releases(services: &[Drawn]) -> [Release; 2] {
    let of = |number: usize| {
        let environment = environment(&file(services, number));
        let names = (0..services.len()).map(|number| ServiceName::from(format!("s{number}").as_str()));
        let gone = names.filter(|name| !environment.services.contains_key(name)).collect();
        let rules = Arc::new(Rules::of(&environment));
        Release { environment, rules, services: services.to_vec(), number, gone }
    };
    [of(0), of(1)]
}

impl Release {
    /// A fleet on which all is as it says.
    pub(super) fn begun(&self) -> World {
        let mut world = World::of(super::fleet("a:\nb:\nc:"));
        // Where a container of an earlier release answers is only known if its engine tells.
        world.tells = self.services.iter().any(|service| service.side == Side::Behind || service.is_told);
        world.obeys(&self.rules);
        let (plan, _) = self.planned(&world.fleet, &DEPLOY, false);
        world.finish(&plan);
        world.hooks.clear();
        world.stopped.clear();
        world.made = 1000;
        world
    }

    /// How many of a service may be down.
    pub(super) fn may_be_down(&self, service: &ServiceName) -> usize {
        let number: usize = service.as_str()[1..].parse().unwrap();
        self.services[number].may_be_down(self.number)
    }

    /// The plan of its deployment, and whether nobody would carry it out: it says that it cannot come to its end, or the
    /// look before it does.
    pub(super) fn planned(&self, fleet: &FleetSnapshot, intent: &Intent, sweeps: bool) -> (Plan, bool) {
        let gone = if sweeps { self.gone.clone() } else { BTreeSet::new() };
        let selector = Selector { gone, ..Selector::default() };
        let selection = select(&self.environment, &selector, intent.selection_rules()).unwrap();
        let plan = plan(&self.environment, fleet, intent, &selection, Limits::default());
        assert_eq!(lint(&plan, fleet), [], "{plan}");
        self.leaves_alone_what_is_not_seen(fleet, &plan);
        let is_refused = !blocked(&plan).is_empty() || self.clashes(fleet, &plan);
        let is_stuck = |why: &Blocked| match why {
            Blocked::Ship(_) | Blocked::Dependency(_) => false,
            // It goes on when they are back.
            Blocked::Unavailable { unseen, .. } => *unseen == 0,
            _ => true,
        };
        let stuck = plan.items.iter().any(|item| matches!(&item.fate, Fate::Blocked(why) if is_stuck(why)));
        assert!(is_refused || !stuck, "blocked without a word:\n{plan}");
        (plan, is_refused)
    }

    /// Nothing is to be done on ships that cannot be reached, nor to what needs an instance of which that is left for later.
    fn leaves_alone_what_is_not_seen(&self, fleet: &FleetSnapshot, plan: &Plan) {
        let is_lost = |ship: &ShipName| matches!(fleet.ship(ship), Some(ShipView::Unreachable(_)));
        for id in plan.ids() {
            let ship = plan.unit_of(id).and_then(Unit::ship);
            assert!(!ship.is_some_and(is_lost), "{id:?} is on a ship that cannot be reached:\n{plan}");
        }
        let is_left = |item: &&Item| matches!(item.fate, Fate::Blocked(_));
        let left: BTreeSet<&InstanceName> =
            plan.items.iter().filter(is_left).map(|item| &item.instance).collect();
        for item in plan.items.iter().filter(|item| !item.goes()) {
            let is_blocked = matches!(item.fate, Fate::Blocked(_));
            assert!(is_blocked || !is_lost(&item.ship), "{} is decided unseen:\n{plan}", item.instance);
            let needed = &self.rules.order[&item.instance];
            let is_late =
                matches!(item.fate, Fate::Act { .. }) && needed.iter().any(|name| left.contains(name));
            assert!(!is_late, "{} does not wait for what it needs:\n{plan}", item.instance);
        }
    }

    /// Whether the look before a deployment finds that a port would be taken.
    fn clashes(&self, fleet: &FleetSnapshot, plan: &Plan) -> bool {
        let host = |(ship, view): (&ShipName, &ShipView)| {
            let state = match view {
                ShipView::Reachable(state) => state,
                ShipView::Unreachable(error) => return (ship.clone(), Err(error.clone())),
            };
            let running = state.containers.values().filter(|container| container.state.is_running());
            let port = |number: &u16| HostPort::new(Protocol::Tcp, "", *number);
            let occupants = running.map(|container| Occupant {
                name: container.name.clone(),
                ports: container.ports.keys().map(port).collect(),
                in_host_network: false,
            });
            (ship.clone(), Ok(crate::fleet::HostFacts { occupants: occupants.collect(), ..facts() }))
        };
        let hosts = fleet.ships.iter().map(host).collect();
        let learnt = Learnt { fleet: fleet.clone(), hosts, ..Learnt::default() };
        let acting: Vec<InstanceName> = plan
            .items
            .iter()
            .filter(|item| matches!(item.fate, Fate::Act { .. }))
            .map(|item| item.instance.clone())
            .collect();
        let found = preflight(&self.environment, &learnt, &acting, plan);
        found.iter().any(|found| found.severity == Severity::Error && found.topic == Topic::Ports)
    }

    /// What there is to be done yet, if somebody would do it.
    pub(super) fn is_reached(&self, fleet: &FleetSnapshot, sweeps: bool) -> bool {
        let (plan, _) = self.planned(fleet, &DEPLOY, sweeps);
        is_settled(&plan)
    }
}

/// Ships that cannot be reached, one bit each: most of the time, all can.
pub(super) fn lost() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(0), 2 => (0..SHIPS.len()).prop_map(|ship| 1 << ship), 1 => 1..8u8]
}

/// Whether anything waits until a ship can be reached again.
pub(super) fn defers(plan: &Plan) -> bool {
    plan.items.iter().any(|item| matches!(item.fate, Fate::Blocked(_)))
}

/// Whether nothing is to be done to anybody.
pub(super) fn is_settled(plan: &Plan) -> bool {
    plan.items.iter().all(|item| matches!(item.fate, Fate::Settled(_)))
}
