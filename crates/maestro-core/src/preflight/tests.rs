use super::{Asking, Finding, Learnt, examinations, preflight, questions};
use crate::boundary::RegistryImage;
use crate::check::lint;
use crate::config::{Limits, load};
use crate::engine_error::{EngineError, EngineErrorKind};
use crate::fleet::{
    ClockReading, DiskSpace, EngineVersion, HostFacts, HostPort, Occupant, Platform, ShipView,
};
use crate::image::ImageRef;
use crate::model::{ApiVersion, Environment, LABEL_INSTANCE, LABEL_SERVICE, Protocol};
use crate::names::{InstanceName, ShipName};
use crate::plan::{Hooking, Intent, Plan};
use crate::planner::plan;
use crate::planner::tests::fleet;
use crate::select::{Selector, select};
use crate::source::MapSources;
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

fn environment(services: &str) -> Environment {
    let text = format!(
        "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}, b: {{ip: 192.0.2.2}}}}\nservices:\n{services}"
    );
    let loaded = load(&MapSources::of(&*text), &Limits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

const GIB: u64 = 1 << 30;

/// A host that is well.
pub(crate) fn facts() -> HostFacts {
    HostFacts {
        version: EngineVersion {
            engine: "28.5".into(),
            api: ApiVersion::NEWEST,
            min_api: Some(ApiVersion::OLDEST),
        },
        platform: Some(Platform::new("linux", "amd64")),
        clock: Some(ClockReading { ahead: SignedDuration::ZERO, uncertainty: Duration::ZERO }),
        memory: Some(8 * GIB),
        limits_memory: true,
        data_root: Some("/var/lib/docker".into()),
        disk: Ok(DiskSpace { free: 100 * GIB, total: 200 * GIB }),
        occupants: Vec::new(),
        listening: BTreeMap::new(),
        volumes: Some(BTreeSet::new()),
        networks: Some(["bridge", "host", "none"].map(str::to_owned).into()),
        platforms: BTreeMap::new(),
        sizes: BTreeMap::new(),
    }
}

fn port(number: u16) -> HostPort {
    HostPort::new(Protocol::Tcp, "", number)
}

fn occupant(name: &str, ports: &[u16]) -> Occupant {
    Occupant { name: name.into(), ports: ports.iter().copied().map(port).collect(), in_host_network: false }
}

/// An environment and what was learnt of its ships, which are well.
struct World {
    environment: Environment,
    learnt: Learnt,
}

impl World {
    fn new(services: &str, seen: &str) -> Self {
        let environment = environment(services);
        let mut learnt = Learnt { fleet: fleet(seen), ..Learnt::default() };
        let all = environment.instances.keys().cloned().collect::<Vec<_>>();
        for ship in examinations(&environment, &learnt.fleet, &all).into_keys() {
            learnt.hosts.insert(ship, Ok(facts()));
        }
        for question in questions(&environment, &learnt.fleet, &all, Asking::All) {
            let digest = "sha256:00".to_owned();
            let platforms = vec![Platform::new("linux", "amd64")];
            learnt.registries.insert(question, Ok(RegistryImage { digest, platforms }));
        }
        Self { environment, learnt }
    }

    fn on(mut self, ship: &str, change: impl FnOnce(&mut HostFacts)) -> Self {
        change(self.learnt.hosts.get_mut(ship).unwrap().as_mut().unwrap());
        self
    }

    fn registry(mut self, ship: &str, image: &str, answer: Result<RegistryImage, EngineErrorKind>) -> Self {
        let name = ShipName::from(ship);
        let key = (name.clone(), ImageRef::parse(image));
        assert!(self.learnt.registries.contains_key(&key), "{:?}", self.learnt.registries.keys());
        let error = |kind| EngineError { ship: name, operation: "asking".into(), kind, ambiguous: false };
        self.learnt.registries.insert(key, answer.map_err(error));
        self
    }

    fn findings(&self) -> Vec<Finding> {
        let all: Vec<InstanceName> = self.environment.instances.keys().cloned().collect();
        preflight(&self.environment, &self.learnt, &all, &self.plan(&Selector::default()))
    }

    fn plan(&self, selector: &Selector) -> Plan {
        let intent = Intent::Deploy {
            ask_again: false,
            promote: false,
            doubtful: BTreeSet::new(),
            hooks: Hooking::NEW,
        };
        let selection = select(&self.environment, selector, intent.selection_rules()).unwrap();
        let plan =
            plan(&self.environment, &self.learnt.fleet, &intent, &selection, crate::plan::Limits::default());
        assert_eq!(lint(&plan, &self.learnt.fleet), [], "{plan}");
        plan
    }

    /// These containers run, and have these ports of a ship.
    fn having(mut self, ship: &str, ports: &[(&str, u16)]) -> Self {
        let ShipView::Reachable(state) = self.learnt.fleet.ships.get_mut(ship).unwrap() else { panic!() };
        let state = Arc::make_mut(state);
        for (name, number) in ports {
            state.containers.get_mut(*name).unwrap().ports.insert(*number, 80);
        }
        self.on(ship, |facts| {
            facts.occupants = ports.iter().map(|(name, number)| occupant(name, &[*number])).collect();
        })
    }

    /// A container was made for an instance of a service.
    fn made_for(mut self, ship: &str, name: &str, service: &str) -> Self {
        let ShipView::Reachable(state) = self.learnt.fleet.ships.get_mut(ship).unwrap() else { panic!() };
        let container = Arc::make_mut(state).containers.get_mut(name).unwrap();
        container.labels.insert(LABEL_INSTANCE.to_owned(), name.to_owned());
        container.labels.insert(LABEL_SERVICE.to_owned(), service.to_owned());
        self
    }

    /// What is said of ports.
    fn says_of_ports(&self) -> Vec<String> {
        self.says().into_iter().filter(|text| text.contains(" ports: ")).collect()
    }

    /// `error ports: a port is taken…: a (80/tcp of web-1: …) [web-1]`.
    fn says(&self) -> Vec<String> {
        let place = |(ship, place): (&ShipName, &super::Place)| {
            let causes = place.causes.iter().cloned().collect::<Vec<_>>().join("; ");
            let instances: Vec<&str> = place.instances.iter().map(InstanceName::as_str).collect();
            format!("{ship} ({causes}) {instances:?}")
        };
        let text = |finding: &Finding| {
            assert!(!finding.remedy.is_empty() && !finding.places.is_empty(), "{finding:?}");
            let places: Vec<String> = finding.places.iter().map(place).collect();
            let (severity, topic) = (finding.severity.name(), finding.topic.name());
            format!("{severity} {topic}: {}: {}", finding.what, places.join(", "))
        };
        self.findings().iter().map(text).collect()
    }
}

/// Two instances with the same image on two ships.
const WEB: &str = "
  web: {image: 'reg:5000/web:1', ports: {http: '80:8080'}, instances: {web-1: {ship: a}, web-2: {ship: b}}}
";

const NONE: [&str; 0] = [];

#[test]
fn nothing_is_said_of_a_fleet_that_is_well() {
    assert_eq!(
        World::new(WEB, "a:\nb:").on("a", |_| ()).says(),
        ["unknown disk: how large images are that no ship has had: registries do not tell through engines: \
         a (1 such image to be pulled, 100 GiB free of 200 GiB at /var/lib/docker) [], \
         b (1 such image to be pulled, 100 GiB free of 200 GiB at /var/lib/docker) []"]
    );
    let well = World::new(WEB, "a: web-1 running reg:5000/web:1 | reg:5000/web:1\nb:")
        .on("a", |facts| {
            facts.sizes.insert("reg:5000/web".into(), GIB);
            facts.occupants = vec![occupant("web-1", &[8080]), occupant("other", &[8081])];
        })
        .on("b", |facts| _ = facts.listening.insert(port(8080), Ok(false)));
    assert_eq!(well.says(), NONE);
}

#[test]
fn ships_that_do_not_answer_are_told_by_what_is_wrong() {
    let mut world = World::new(WEB, "a: down\nb:");
    let kind = EngineErrorKind::ApiVersion {
        engine_min: Some(ApiVersion { major: 1, minor: 60 }),
        engine_max: ApiVersion { major: 1, minor: 70 },
        wanted: "Maestro speaks 1.24 to 1.51".into(),
    };
    let error = EngineError { ship: "b".into(), operation: "looking".into(), kind, ambiguous: false };
    world.learnt.fleet.ships.insert("b".into(), ShipView::Unreachable(error));
    assert_eq!(
        world.says(),
        [
            "error reachable: the engine cannot be reached: a (host down: 192.0.2.2:2375: connection refused) []",
            "error api: engine and Maestro speak no version of the API in common: b (no common API version: the engine \
         speaks 1.60 to 1.70, Maestro speaks 1.24 to 1.51) []",
        ]
    );
}

#[test]
fn clocks_may_be_off_by_what_the_question_took() {
    let off = |seconds: i64, uncertain: u64| {
        let reading = ClockReading {
            ahead: SignedDuration::from_secs(seconds),
            uncertainty: Duration::from_secs(uncertain),
        };
        let images = "a: | reg:5000/web@sha256:00\nb: | reg:5000/web@sha256:00";
        World::new(WEB, images).on("a", |facts| facts.clock = Some(reading)).findings()
    };
    let clock = |findings: Vec<Finding>| findings.iter().filter(|f| f.topic == super::Topic::Clock).count();
    assert_eq!([off(2, 0), off(-5, 3), off(3, 0), off(-3600, 1)].map(clock), [0, 0, 1, 1]);
    let places = &off(-7205, 1).into_iter().find(|f| f.topic == super::Topic::Clock).unwrap().places;
    assert!(places["a"].causes.contains("2 h behind this machine"), "{places:?}");
}

#[test]
fn ports_are_taken_by_others_only() {
    let images = "a: web-1 running reg:5000/web:1, nginx running@other x:1 | reg:5000/web:1\nb: |";
    let taken = |occupants: Vec<Occupant>, listening: Option<Result<bool, String>>| {
        let world = World::new(WEB, images).on("a", |facts| {
            facts.occupants = occupants;
            facts.listening = listening.map(|told| (port(8080), told)).into_iter().collect();
        });
        world.says().into_iter().filter(|text| text.contains("port")).collect::<Vec<_>>()
    };
    assert_eq!(taken(vec![occupant("web-1", &[8080])], None), NONE, "its own");
    assert_eq!(taken(vec![], Some(Ok(false))), NONE);
    assert_eq!(
        taken(vec![occupant("nginx", &[8080])], None),
        ["error ports: a port is taken by another container: a (8080/tcp of web-1: nginx, and it is \
         in the environment `other` has it) [\"web-1\"]"]
    );
    assert_eq!(
        taken(vec![], Some(Ok(true))),
        [
            "error ports: something listens on a port that no container publishes: a (8080/tcp of web-1) [\"web-1\"]"
        ]
    );
    assert_eq!(
        taken(vec![], Some(Err("nobody tells".into()))),
        [
            "unknown ports: whether a port is free on the host: nobody tells: a (8080/tcp of web-1) [\"web-1\"]"
        ]
    );
    // In the host's network it may be itself who listens.
    let own = Occupant { in_host_network: true, ..occupant("web-1", &[]) };
    assert_eq!(taken(vec![own], Some(Ok(true))), NONE);
}

#[test]
fn ports_may_change_hands_and_ranges_have_room() {
    let services = "
  web: {image: 'reg:5000/web:1', instances: {web-1: {ship: a, ports: {http: '80:8081'}}, web-2: {ship: a, ports: {http: '80:8080'}}}}
  few: {image: 'reg:5000/web:1', instances: {few-1: {ship: a, ports: {http: '80:9000-9001'}}}}
";
    let world = World::new(
        services,
        "a: web-1 running reg:5000/web:1, web-2 running reg:5000/web:1 | reg:5000/web:1",
    );
    let world = world.having("a", &[("web-1", 8080), ("web-2", 8082)]);
    let world = world.on("a", |facts| facts.occupants.push(occupant("x", &[9000])));
    let says =
        |world: &World| world.says().into_iter().filter(|text| text.contains("port")).collect::<Vec<_>>();
    assert_eq!(
        says(&world),
        [
            "warning ports: a port is taken by another instance, which gives it up in the same deployment: a (8080/tcp of \
         web-2: web-1 has it) [\"web-2\"]"
        ]
    );
    let world = world.on("a", |facts| facts.occupants.push(occupant("y", &[9001])));
    assert_eq!(
        says(&world)[0],
        "error ports: all ports of a range are taken by other containers: a (9000-9001/tcp of few-1) [\"few-1\"]"
    );
}

/// A service that has another name by now: what ran of it runs on, unless somebody says that it is not to.
#[test]
fn what_the_file_does_not_have_keeps_its_port_unless_it_is_stopped() {
    let www = "
  www: {image: 'reg:5000/web:1', ports: {http: '80:8080'}, instances: {www-1: {ship: a}}}
";
    let world = World::new(www, "a: web-1 running reg:5000/web:1 | reg:5000/web:1");
    let world = world.having("a", &[("web-1", 8080)]).made_for("a", "web-1", "web");
    assert_eq!(
        world.says_of_ports(),
        [
            "error ports: a port is taken by a container of a service that the file does not have any more: a (8080/tcp of \
         www-1: web-1 has it) [\"www-1\"]"
        ]
    );
    assert!(world.findings().iter().any(|finding| finding.remedy.contains("--remove-orphans")));
    let gone = Selector { gone: ["web".into()].into(), ..Selector::default() };
    let all = ["www-1".into()];
    let with = preflight(&world.environment, &world.learnt, &all, &world.plan(&gone));
    assert!(with.iter().all(|finding| finding.topic != super::Topic::Ports), "{with:?}");
    // One that has another name is stopped with its service, and not with a part of it.
    let two = "
  www: {image: 'reg:5000/web:1', instances: {www-1: {ship: a, ports: {http: '80:8080'}}, www-2: {ship: a}}}
";
    let world = World::new(two, "a: web-1 running reg:5000/web:1 | reg:5000/web:1");
    let world = world.having("a", &[("web-1", 8080)]).made_for("a", "web-1", "www");
    assert_eq!(world.says_of_ports(), NONE);
    let part = Selector { things: vec!["www-1".into()], ..Selector::default() };
    let with = preflight(&world.environment, &world.learnt, &all, &world.plan(&part));
    let of_ports = with.iter().find(|finding| finding.topic == super::Topic::Ports).unwrap();
    assert_eq!(of_ports.severity, super::Severity::Error);
    assert!(of_ports.remedy.contains("deploy the whole service"), "{of_ports:?}");
}

/// Who takes a port of what it needs itself is started before that one stops, or after: only one of them can be.
#[test]
fn ports_that_change_hands_do_so_in_order_or_not_at_all() {
    let services = |requires: &str| {
        format!(
            "
  api: {{image: 'api:1', ports: {{http: '80:8080'}}, instances: {{api-1: {{ship: a}}}}}}
  web: {{image: 'web:1', ports: {{http: '80:8081'}}{requires}, instances: {{web-1: {{ship: a}}}}}}
"
        )
    };
    let seen = "a: api-1 running api:1, web-1 running web:1 | api:1 web:1";
    let ports = [("api-1", 8082), ("web-1", 8080)];
    let free = World::new(&services(""), seen).having("a", &ports);
    let text = free.plan(&Selector::default()).to_string();
    assert!(text.find("stop web-1").unwrap() < text.find("stop api-1").unwrap(), "{text}");
    assert!(free.says_of_ports()[0].starts_with("warning ports: a port is taken by another instance"));
    let bound = World::new(&services(", requires: [api]"), seen).having("a", &ports);
    assert_eq!(
        bound.says_of_ports(),
        [
            "error ports: a port is taken by another instance, which gives it up only after it would be needed: a (8080/tcp \
         of api-1: web-1 has it) [\"api-1\"]"
        ]
    );
    // Two that change places.
    let swapped = World::new(&services(""), seen).having("a", &[("api-1", 8081), ("web-1", 8080)]);
    let says = swapped.says_of_ports();
    assert_eq!(says.iter().filter(|text| text.starts_with("error")).count(), 1, "{says:?}");
    assert_eq!(says.iter().filter(|text| text.starts_with("warning")).count(), 1, "{says:?}");
}

/// What follows canaries keeps its port in this deployment.
#[test]
fn who_waits_for_canaries_keeps_its_port() {
    let services = "
  api: {image: 'api:1', ports: {http: '80:8080'}, instances: {api-1: {ship: a}}}
  web:
    image: 'web:2'
    deploy: {strategy: canary, max_unavailable: 1}
    instances: {web-1: {ship: a}, web-2: {ship: a, ports: {http: '80:8081'}}}
";
    let seen = "a: web-1 running web:1, web-2 running web:1 | api:1 web:2";
    let says = World::new(services, seen).having("a", &[("web-2", 8080)]).says_of_ports();
    assert!(says[0].starts_with("error ports: a port is taken by another container"), "{says:?}");
}

#[test]
fn images_are_for_platforms() {
    let says = |seen: &str, offered: &[Platform]| {
        let mut world = World::new(WEB, seen);
        for answer in world.learnt.registries.values_mut().flatten() {
            answer.platforms = offered.to_vec();
        }
        let world = world.on("b", |facts| facts.platform = Some(Platform::new("linux", "arm64")));
        world.says().into_iter().filter(|text| text.contains("platform")).collect::<Vec<_>>()
    };
    let (arm, amd) = (Platform::new("linux", "arm64"), Platform::new("linux", "amd64"));
    assert_eq!(
        says("a:\nb:", std::slice::from_ref(&arm)),
        [
            "error platform: an image was not built for a ship's platform: a (reg:5000/web:1 is for linux/arm64, the \
             ship is linux/amd64) [\"web-1\"]"
        ]
    );
    assert_eq!(says("a:\nb:", &[arm.clone(), amd]), NONE);
    // A registry that does not tell says nothing against it, and who runs it already can, whatever it says.
    assert_eq!(says("a:\nb:", &[]), NONE);
    assert_eq!(says("a: web-1 running reg:5000/web:1 | reg:5000/web:1\nb:", &[arm]), NONE);
}

#[test]
fn a_registry_matters_where_an_image_is_missing() {
    let denied = || Err(EngineErrorKind::unauthorized("no basic auth credentials"));
    let says = |seen: &str, kind: Result<_, _>| {
        let world = World::new(WEB, seen).registry("a", "reg:5000/web:1", kind);
        world.says().into_iter().filter(|text| text.contains("registry:")).collect::<Vec<_>>()
    };
    assert_eq!(
        says("a:\nb:", denied()),
        [
            "error registry: a registry does not let a ship in: a (reg:5000/web:1: no basic auth credentials) [\"web-1\"]"
        ]
    );
    // What b was told says which content it is, and a does not have it under that name.
    assert_eq!(says("a: | reg:5000/web:1\nb:", denied()).len(), 1);
    // Nobody is told: the ships have to have the same.
    let nobody = |seen: &str| {
        let world = World::new(WEB, seen).registry("a", "reg:5000/web:1", denied());
        let world = world.registry("b", "reg:5000/web:1", denied());
        world.says().into_iter().filter(|text| text.contains("registry:")).collect::<Vec<_>>()
    };
    assert_eq!(
        nobody("a: | reg:5000/web:1\nb: | reg:5000/web:1"),
        [
            "warning registry: a registry does not let a ship in; the ship has what it needs of it: a (reg:5000/web:1: no \
         basic auth credentials) [\"web-1\"], b (reg:5000/web:1: no basic auth credentials) [\"web-2\"]"
        ]
    );
    let one = nobody("a: | reg:5000/web:1\nb:");
    assert!(one[0].starts_with("error registry") && one[0].contains("b does not have it"), "{one:?}");
    let gone = Err(EngineErrorKind::NotFound("manifest unknown".into()));
    let gone = says("a:\nb:", gone);
    assert!(gone[0].starts_with("error registry: an image is not in its registry"), "{gone:?}");
}

#[test]
fn every_image_is_asked_about_and_every_ship_asks_once() {
    let services = "
  x: {image: 'reg:5000/x:1', instances: {x-1: {ship: a}, x-2: {ship: b}}}
  y: {image: 'reg:5000/y:1', instances: {y-1: {ship: a}, y-2: {ship: b}}}
  z: {image: 'other:5000/z:1', instances: {z-1: {ship: a}}}
";
    let environment = environment(services);
    let all: Vec<InstanceName> = environment.instances.keys().cloned().collect();
    let asked = questions(&environment, &fleet("a:\nb:"), &all, Asking::All);
    let asked: Vec<String> = asked.iter().map(|(ship, image)| format!("{ship} {image}")).collect();
    assert_eq!(asked, ["a other:5000/z:1", "a reg:5000/x:1", "b reg:5000/y:1"]);
    // Who is alone asks about both.
    let asked = questions(&environment, &fleet("a:\nb: down"), &all, Asking::All);
    assert_eq!(asked.len(), 3, "{asked:?}");
    // Who has an image need not ask.
    let asked =
        questions(&environment, &fleet("a: | reg:5000/x:1 other:5000/z:1\nb: down"), &all, Asking::Missing);
    let asked: Vec<String> = asked.iter().map(|(ship, image)| format!("{ship} {image}")).collect();
    assert_eq!(asked, ["a reg:5000/y:1"]);
}

#[test]
fn a_full_disk_is_an_error_and_an_estimate_is_not() {
    let disk = |free: u64, size: Option<u64>| {
        let world = World::new(WEB, "a:\nb: web-2 running reg:5000/web:0").on("a", |facts| {
            facts.disk = Ok(DiskSpace { free, total: 20 * GIB });
        });
        let world = world.on("b", |facts| {
            facts.sizes = size.map(|size| ("reg:5000/web".to_owned(), size)).into_iter().collect();
        });
        let says = world.says().into_iter().filter(|text| text.contains("disk: "));
        says.map(|text| text.split(": b").next().unwrap().split(", b (").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        disk(10 << 20, Some(GIB)),
        [
            "error disk: the disk is full: no image can be pulled there, and no container be made: a (10 MiB free of 20 \
         GiB at /var/lib/docker) []"
        ]
    );
    let may = disk(GIB, Some(GIB));
    assert!(may[0].starts_with("warning disk: images may not have room: an estimate"), "{may:?}");
    assert!(may[0].contains("1 image of about 1 GiB to be pulled, 1 GiB free of 20 GiB"), "{may:?}");
    assert_eq!(disk(2 * GIB, Some(GIB)), NONE);
    assert!(disk(2 * GIB, None)[0].starts_with("unknown disk: how large"));
}

#[test]
fn memory_names_volumes_networks_and_neighbours() {
    let services = "
  web:
    image: 'reg:5000/web:1'
    instances:
      web-1: {ship: a, limits: {memory: 6g}}
      web-2: {ship: a, limits: {memory: 3g}, net: shop-net}
      web-3: {ship: b, net: 'container:helper'}
";
    let world = World::new(
        services,
        "a: web-1 running@elsewhere reg:5000/web:1 | reg:5000/web@sha256:00\nb: | reg:5000/web@sha256:00",
    );
    let says: Vec<String> = world.says().into_iter().filter(|text| !text.contains(" disk: ")).collect();
    let has = |start: &str, part: &str| {
        assert!(
            says.iter().any(|text| text.starts_with(start) && text.contains(part)),
            "{start} {part}: {says:#?}"
        );
    };
    has("error names: a container with an instance's name is not ours", "web-1: it is");
    has("error networks: a network is not there", "shop-net of web-2");
    has(
        "error networks: a container is not there",
        "web-3 wants the network of helper, which does not exist",
    );
    has(
        "warning memory: the limits of a ship's instances are more than its memory",
        "9 GiB asked for, 8 GiB there",
    );
    assert_eq!(says.len(), 4, "{says:#?}");
}

#[test]
fn volumes_that_are_not_there_are_told() {
    let services = "
  db: {image: 'reg:5000/db:1', instances: {db-1: {ship: a, volumes: {/data: 'pgdata'}}}}
";
    let mut world = World::new(services, "a: | reg:5000/db@sha256:00");
    let instance = world.environment.instances.values_mut().next().unwrap();
    let mut settings = (*instance.settings).clone();
    settings.binds = vec!["pgdata:/data:rw".into(), "/srv:/srv:rw".into()];
    instance.settings = settings.into();
    let says =
        |world: &World| world.says().into_iter().filter(|text| !text.contains(" disk: ")).collect::<Vec<_>>();
    assert_eq!(
        says(&world),
        [
            "warning volumes: a volume is not there: the engine makes an empty one: a (pgdata of db-1) [\"db-1\"]"
        ]
    );
    assert_eq!(says(&world.on("a", |facts| facts.volumes = Some(["pgdata".to_owned()].into()))), NONE);
}

#[test]
fn hundreds_of_ships_with_the_same_trouble_are_one_finding() {
    use std::fmt::Write as _;
    let (mut ships, mut services) =
        (String::new(), String::from("services:\n  web:\n    image: w:1\n    instances:\n"));
    let mut seen = String::new();
    for n in 0..300 {
        writeln!(ships, "  s{n:03}: {{ip: 192.0.2.1}}").unwrap();
        writeln!(services, "      w-{n:03}: {{ship: s{n:03}}}").unwrap();
        writeln!(seen, "s{n:03}: down").unwrap();
    }
    let text = format!("__maestro: {{schema: 2}}\nname: shop\nships:\n{ships}{services}");
    let environment = load(&MapSources::of(&*text), &Limits::default()).environment.unwrap();
    let world = World { environment, learnt: Learnt { fleet: fleet(&seen), ..Learnt::default() } };
    let findings = world.findings();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].places.len(), 300);
}

#[test]
fn bytes_are_for_people() {
    let texts = [0, 900, 1 << 10, 3 << 29, 15 << 29, 100 << 30, (10 << 30) + (5 << 28)].map(super::bytes);
    assert_eq!(texts, ["0 bytes", "900 bytes", "1 KiB", "1.5 GiB", "7.5 GiB", "100 GiB", "11 GiB"]);
}
