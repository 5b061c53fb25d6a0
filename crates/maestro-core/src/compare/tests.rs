use super::*;
use crate::fleet::{
    Configuration, Connection, ContainerState, EngineDefaults, EngineVersion, ImageConfig, Mount,
    ObservedImage, Published,
};
use crate::image::ImageRef;
use crate::model::{
    ApiVersion, ContainerEnv, EnvVar, LABEL_ENVIRONMENT, LABEL_INSTANCE, LABEL_SERVICE, LogConfig,
    PortBinding, Protocol, RestartPolicy, Settings, Ulimit,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A specification that says something of everything, and what Docker Engine 28.5 told of its container.
struct World {
    spec: ContainerSpec,
    container: ObservedContainer,
    engine: EngineState,
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn image() -> ImageConfig {
    ImageConfig {
        env: texts(["PATH=/bin", "IMG=1", "OVER=image", "GONE=image"]),
        command: texts(["sleep", "100"]),
        entrypoint: texts(["tini", "--"]),
        labels: map([("img.label", "a"), ("team", "image")]),
        user: "0:0".into(),
        workdir: "/tmp".into(),
        exposed: ["9/udp".to_owned(), "8080/tcp".to_owned()].into(),
        volumes: ["/data".to_owned(), "/img".to_owned()].into(),
        healthcheck: map([("test", "CMD true"), ("interval", "3s")]),
        stop_signal: "SIGQUIT".into(),
    }
}

fn settings() -> Settings {
    Settings {
        command: Some(texts(["serve", "--name", "a b"])),
        binds: texts(["/srv/d:/data:ro", "named:/named:rw"]),
        volumes: ["/data".to_owned(), "/named".to_owned(), "/anon".to_owned()].into(),
        volumes_from: texts(["db-1"]),
        links: texts(["db-1:db"]),
        user: Some("1:1".into()),
        cap_add: texts(["NET_ADMIN", "CAP_SYS_TIME"]),
        cap_drop: texts(["mknod"]),
        extra_hosts: texts(["gw:192.0.2.1"]),
        restart: RestartPolicy { name: "on-failure".into(), retries: 3 },
        dns: texts(["192.0.2.53", "192.0.2.54"]),
        cpu_shares: Some(512),
        memory: Some(64 << 20),
        log: Some(LogConfig { driver: "json-file".into(), options: map([("max-size", "1m")]) }),
        ulimits: vec![Ulimit { name: "nofile".into(), soft: Some(1024), hard: None }],
        security_opt: texts(["no-new-privileges"]),
        labels: map([("team", "shop")]),
        workdir: Some("/data/".into()),
        ..Settings::default()
    }
}

fn world(settings: Settings) -> World {
    let port = |exposed, protocol, address: &str, external: &str| PortBinding {
        exposed,
        protocol,
        address: address.into(),
        external: external.into(),
    };
    let spec = ContainerSpec {
        name: "web-1".into(),
        hostname: Some("web-1".into()),
        image: ImageRef::parse("shop/web:2"),
        env: ContainerEnv::of(vec![
            EnvVar::new("OVER", "file"),
            EnvVar { name: "GONE".into(), value: None },
            EnvVar::new("EMPTY", ""),
        ]),
        ports: vec![
            port(8080, Protocol::Tcp, "0.0.0.0", "18080"),
            port(8080, Protocol::Tcp, "127.0.0.1", "18081"),
            port(53, Protocol::Udp, "0.0.0.0", "5353-5360"),
        ],
        settings: Arc::new(settings),
        labels: BTreeMap::from([
            (LABEL_ENVIRONMENT.into(), "shop".into()),
            (LABEL_SERVICE.into(), "web".into()),
            (LABEL_INSTANCE.into(), "web-1".into()),
            (LABEL_CONFIG.into(), "c0ffee".into()),
        ]),
    };
    let labels = map([
        ("img.label", "a"),
        ("team", "shop"),
        (LABEL_ENVIRONMENT, "shop"),
        (LABEL_SERVICE, "web"),
        (LABEL_INSTANCE, "web-1"),
        (LABEL_CONFIG, "c0ffee"),
    ]);
    let container = ObservedContainer {
        id: "0652a361dafb072d".into(),
        name: "web-1".into(),
        state: ContainerState::Running,
        health: None,
        image: ImageRef::parse("shop/web:2"),
        image_id: "sha256:feedbeeffeedbeef".into(),
        ports: std::collections::BTreeMap::new(),
        configuration: Some(Arc::new(told(labels.clone()))),
        labels,
        started_at: None,
        finished_at: None,
        exit_code: None,
        restarts: None,
    };
    let found =
        ObservedImage { id: container.image_id.clone(), tags: texts(["shop/web:2"]), digests: Vec::new() };
    let engine = EngineState {
        version: EngineVersion {
            engine: "28.5".into(),
            api: ApiVersion::NEWEST,
            min_api: Some(ApiVersion::OLDEST),
        },
        containers: BTreeMap::new(),
        images: Some(vec![found]),
        image_configs: BTreeMap::from([(container.image_id.clone(), Arc::new(image()))]),
        defaults: Some(EngineDefaults {
            log_driver: "json-file".into(),
            runtime: "runc".into(),
            memory: true,
            swap: true,
            cpu_shares: true,
        }),
    };
    World { spec, container, engine }
}

/// In the order, the spelling and with the additions of a real engine.
fn told(labels: BTreeMap<String, String>) -> Configuration {
    let published = |address: &str, port: &str| Published { address: address.into(), port: port.into() };
    Configuration {
        config: ImageConfig {
            env: texts(["OVER=file", "GONE", "EMPTY=", "PATH=/bin", "IMG=1"]),
            command: texts(["serve", "--name", "a b"]),
            labels,
            user: "1:1".into(),
            workdir: "/data".into(),
            exposed: ["53/udp", "8080/tcp", "9/udp"].map(str::to_owned).into(),
            volumes: ["/anon", "/data", "/img", "/named"].map(str::to_owned).into(),
            ..image()
        },
        hostname: "web-1".into(),
        binds: texts(["named:/named", "/srv/d:/data:ro"]),
        mounts: Vec::new(),
        volumes_from: texts(["db-1"]),
        links: texts(["/db-1:/web-1/db"]),
        ports: BTreeMap::from([
            ("8080/tcp".to_owned(), vec![published("127.0.0.1", "18081"), published("", "18080")]),
            ("53/udp".to_owned(), vec![published("0.0.0.0", "5353-5360")]),
        ]),
        privileged: false,
        cap_add: texts(["CAP_NET_ADMIN", "CAP_SYS_TIME"]),
        cap_drop: texts(["CAP_MKNOD"]),
        extra_hosts: texts(["gw:192.0.2.1"]),
        dns: texts(["192.0.2.53", "192.0.2.54"]),
        network_mode: "bridge".into(),
        networks: BTreeMap::from([(
            "bridge".to_owned(),
            Connection { id: "ff856cdc3939".into(), address: String::new() },
        )]),
        restart: RestartPolicy { name: "on-failure".into(), retries: 3 },
        cpu_shares: 512,
        memory: 64 << 20,
        memory_swap: 128 << 20,
        log: LogConfig { driver: "json-file".into(), options: map([("max-size", "1m"), ("max-file", "3")]) },
        ulimits: vec![Ulimit { name: "nofile".into(), soft: Some(1024), hard: Some(0) }],
        security_opt: texts(["no-new-privileges:true"]),
        others: map([
            ("shm_size", "67108864"),
            ("ipc", "private"),
            ("cgroupns", "host"),
            ("runtime", "runc"),
            ("memory_swappiness", "-1"),
            ("pids_limit", "-1"),
            ("something_new", "yes"),
        ]),
    }
}

impl World {
    fn changes(&self) -> String {
        let changes = changes(&self.spec, &self.container, &self.engine).unwrap();
        changes.iter().map(|change| change.to_string() + "\n").collect()
    }

    /// What is said after somebody has changed the container.
    fn after(mut self, change: impl FnOnce(&mut Configuration)) -> String {
        let mut configuration = Configuration::clone(self.container.configuration.as_ref().unwrap());
        change(&mut configuration);
        self.container.labels = configuration.config.labels.clone();
        self.container.configuration = Some(configuration.into());
        self.changes()
    }
}

#[test]
fn an_undisturbed_container_is_as_the_file_has_it() {
    assert_eq!(world(settings()).changes(), "");
}

#[test]
fn nothing_is_told_of_what_was_not_asked_for() {
    let mut world = world(settings());
    world.container.configuration = None;
    assert_eq!(changes(&world.spec, &world.container, &world.engine), None);
}

#[test]
fn what_is_changed_by_hand_is_named() {
    type Change = fn(&mut Configuration);
    let cases: &[(&str, Change)] = &[
        ("cap_add: SYS_TIME instead of NET_ADMIN, SYS_TIME", |c| c.cap_add = texts(["SYS_TIME"])),
        ("cap_drop: nothing instead of MKNOD", |c| c.cap_drop.clear()),
        ("command: serve --name a b instead of serve --name \"a b\"", |c| {
            c.config.command = texts(["serve", "--name", "a", "b"]);
        }),
        ("cpu: 256 instead of 512", |c| c.cpu_shares = 256),
        ("cpus: 0.5 instead of nothing", |c| _ = c.others.insert("cpus".into(), "0.5".into())),
        ("dns: 192.0.2.54, 192.0.2.53 instead of 192.0.2.53, 192.0.2.54", |c| c.dns.reverse()),
        ("entrypoint: sh instead of tini --", |c| c.config.entrypoint = texts(["sh"])),
        ("env.A: b instead of nothing", |c| c.config.env.push("A=b".into())),
        ("env.EMPTY: nothing instead of ", |c| _ = c.config.env.remove(2)),
        ("env.GONE: image instead of nothing", |c| c.config.env[1] = "GONE=image".into()),
        ("env.IMG: 2 instead of 1", |c| c.config.env[4] = "IMG=2".into()),
        ("env.MY_TOKEN: … instead of nothing", |c| c.config.env.push("MY_TOKEN=hunter2".into())),
        ("expose.99/tcp: yes instead of nothing", |c| _ = c.config.exposed.insert("99".into())),
        ("extra_hosts: nothing instead of gw:192.0.2.1", |c| c.extra_hosts.clear()),
        ("healthcheck.test: NONE instead of CMD true", |c| {
            c.config.healthcheck.insert("test".into(), "NONE".into());
        }),
        ("hostname: other instead of web-1", |c| c.hostname = "other".into()),
        ("init: yes instead of nothing", |c| _ = c.others.insert("init".into(), "yes".into())),
        ("ipc: host instead of nothing", |c| _ = c.others.insert("ipc".into(), "host".into())),
        ("labels.team: other instead of shop", |c| _ = c.config.labels.insert("team".into(), "other".into())),
        ("labels.maestro.config: other instead of c0ffee", |c| {
            c.config.labels.insert(LABEL_CONFIG.into(), "other".into());
        }),
        ("links: nothing instead of db-1:db", |c| c.links.clear()),
        ("log_driver: local instead of json-file\nlog_opt.max-size: nothing instead of 1m", |c| {
            c.log = LogConfig { driver: "local".into(), options: BTreeMap::new() };
        }),
        ("log_opt.max-size: 2m instead of 1m", |c| _ = c.log.options.insert("max-size".into(), "2m".into())),
        ("memory: 32 MiB instead of 64 MiB", |c| c.memory = 32 << 20),
        ("memory: nothing instead of 64 MiB\nswap: nothing instead of 128 MiB", |c| {
            c.memory = 0;
            c.memory_swap = -1;
        }),
        ("network: host instead of bridge\nnetworks: host instead of bridge", |c| {
            c.network_mode = "host".into();
            c.networks = BTreeMap::from([("host".into(), Connection::default())]);
        }),
        ("networks: bridge, other instead of bridge", |c| {
            c.networks.insert("other".into(), Connection::default());
        }),
        ("networks: nothing instead of bridge", |c| c.networks.clear()),
        ("pids_limit: 100 instead of nothing", |c| _ = c.others.insert("pids_limit".into(), "100".into())),
        ("ports.53/udp: nothing instead of 0.0.0.0:5353-5360", |c| _ = c.ports.remove("53/udp")),
        ("ports.9/udp: 0.0.0.0:any instead of nothing", |c| {
            c.ports.insert("9/udp".into(), vec![Published::default()]);
        }),
        ("privileged: yes instead of nothing", |c| c.privileged = true),
        ("read_only: yes instead of nothing", |c| _ = c.others.insert("read_only".into(), "yes".into())),
        ("restart: always instead of on-failure, 3 times", |c| c.restart.name = "always".into()),
        ("restart: on-failure instead of on-failure, 3 times", |c| c.restart.retries = 0),
        ("runtime: crun instead of nothing", |c| _ = c.others.insert("runtime".into(), "crun".into())),
        ("security_opt: nothing instead of no-new-privileges", |c| c.security_opt.clear()),
        ("shm_size: 1 GiB instead of nothing", |c| {
            c.others.insert("shm_size".into(), (1 << 30).to_string());
        }),
        ("stop_signal: nothing instead of QUIT", |c| c.config.stop_signal = "SIGTERM".into()),
        ("swap: unlimited instead of 128 MiB", |c| c.memory_swap = -1),
        ("ulimits.core: 0:0 instead of nothing", |c| {
            c.ulimits.push(Ulimit { name: "core".into(), soft: None, hard: None });
        }),
        ("user: 0:0 instead of 1:1", |c| c.config.user = "0:0".into()),
        ("volumes./data: /srv/d instead of /srv/d (ro)", |c| c.binds[1] = "/srv/d:/data".into()),
        ("volumes./img: nothing instead of anonymous", |c| _ = c.config.volumes.remove("/img")),
        ("volumes./named: other (ro) instead of named", |c| {
            c.binds.remove(0);
            c.mounts.push(Mount {
                kind: "volume".into(),
                source: "other".into(),
                target: "/named".into(),
                read_only: true,
            });
        }),
        ("volumes_from: db-1:ro instead of db-1", |c| c.volumes_from = texts(["db-1:ro"])),
        ("workdir: / instead of /data", |c| c.config.workdir = "/".into()),
    ];
    for (expected, change) in cases {
        assert_eq!(world(settings()).after(change).trim_end(), expected.trim_end());
    }
}

#[test]
fn the_other_form_of_a_mount_is_the_same() {
    let changed = world(settings()).after(|c| {
        c.binds.clear();
        for (kind, source, target, read_only) in
            [("bind", "/srv/d", "/data", true), ("volume", "named", "/named", false)]
        {
            let (kind, source, target) = (kind.into(), source.into(), target.into());
            c.mounts.push(Mount { kind, source, target, read_only });
        }
    });
    assert_eq!(changed, "");
}

#[test]
fn an_image_counts_by_name_and_content() {
    let mut moved = world(settings());
    moved.container.image_id = "sha256:0123456789abcdef".into();
    moved.engine.image_configs.insert(moved.container.image_id.clone(), Arc::default());
    assert_eq!(
        moved.changes(),
        "image: shop/web:2 (0123456789ab) instead of shop/web:2 (feedbeeffeed)\n",
        "what the image says is that of the one that would be taken now"
    );
    moved.engine.images = None;
    moved.engine.image_configs.insert(moved.container.image_id.clone(), Arc::new(image()));
    assert_eq!(moved.changes(), "", "where nobody asked, the name counts");

    let mut other = world(settings());
    other.container.image = ImageRef::parse("shop/web:1");
    assert_eq!(other.changes(), "image: shop/web:1 instead of shop/web:2\n");
    other.container.image = ImageRef::parse("docker.io/shop/web:2");
    assert_eq!(other.changes(), "");
}

#[test]
fn a_deployment_makes_containers_of_what_a_tag_stood_for() {
    let mut pinned = world(settings());
    pinned.container.image = ImageRef::parse("shop/web:2@sha256:abcd");
    assert_eq!(pinned.changes(), "");
    // Engines have what was pulled by digest under no tag.
    pinned.engine.images = Some(Vec::new());
    assert_eq!(pinned.changes(), "");
    pinned.spec.image = ImageRef::parse("shop/web:3");
    assert_eq!(pinned.changes(), "image: shop/web:2 instead of shop/web:3\n");
    pinned.spec.image = ImageRef::parse("shop/web:2@sha256:ffff");
    assert_eq!(pinned.changes(), "image: shop/web:2@sha256:abcd instead of shop/web:2@sha256:ffff\n");

    let mut untagged = world(settings());
    (untagged.spec.image, untagged.engine.images) = (ImageRef::parse("shop/web"), Some(Vec::new()));
    untagged.container.image = ImageRef::parse("shop/web@sha256:abcd");
    assert_eq!(untagged.after(|c| _ = c.config.labels.insert(LABEL_CONFIG.into(), "other".into())), "");
}

#[test]
fn of_an_image_that_is_gone_nothing_is_demanded() {
    let mut gone = world(settings());
    gone.engine.image_configs.clear();
    gone.engine.images = Some(Vec::new());
    assert_eq!(gone.changes(), "");
    assert_eq!(gone.after(|c| c.config.user = "2".into()), "user: 2 instead of 1:1\n");
}

#[test]
fn containers_of_maestro_ng_are_as_they_should_be() {
    let adopted = world(settings()).after(|c| c.config.labels.retain(|key, _| !key.starts_with("maestro.")));
    assert_eq!(adopted, "");
    let foreign = world(settings()).after(|c| {
        c.config.labels.insert(LABEL_ENVIRONMENT.into(), "other".into());
    });
    assert_eq!(foreign, "labels.maestro.environment: other instead of shop\n");
    let newer = world(settings()).after(|c| {
        c.config.labels.insert("maestro.release".into(), "7".into());
    });
    assert_eq!(newer, "");
}

#[test]
fn what_the_engine_cannot_do_is_not_missed() {
    let mut small = world(settings());
    if let Some(defaults) = &mut small.engine.defaults {
        *defaults = EngineDefaults { memory: true, swap: false, cpu_shares: false, ..defaults.clone() };
    }
    let changed = small.after(|c| {
        c.cpu_shares = 0;
        c.memory_swap = -1;
    });
    assert_eq!(changed, "");
}

#[test]
fn an_old_engine_writes_its_own_limits_into_containers() {
    let mut old = world(settings());
    old.engine.version.api = ApiVersion { major: 1, minor: 39 };
    let limit = || Ulimit { name: "core".into(), soft: Some(1), hard: Some(1) };
    assert_eq!(old.after(|c| c.ulimits.push(limit())), "");
}

#[test]
fn the_engines_own_logging_and_runtime_are_no_change() {
    let plain = || world(Settings { log: None, ..settings() });
    let other = |c: &mut Configuration| {
        c.log = LogConfig { driver: "journald".into(), options: BTreeMap::new() };
        c.others.insert("runtime".into(), "crun".into());
    };
    assert_eq!(
        plain().after(other),
        "log_driver: journald instead of nothing\nruntime: crun instead of nothing\n"
    );
    let mut configured = plain();
    if let Some(defaults) = &mut configured.engine.defaults {
        (defaults.log_driver, defaults.runtime) = ("journald".into(), "crun".into());
    }
    assert_eq!(configured.after(other), "");
    let mut silent = plain();
    silent.engine.defaults = None;
    assert_eq!(silent.after(|c| c.log.driver = "journald".into()), "");
}

#[test]
fn an_engine_may_be_configured_to_another_size_of_shared_memory() {
    let large = |c: &mut Configuration| _ = c.others.insert("shm_size".into(), (1 << 30).to_string());
    let among = |others: [bool; 2]| {
        let mut world = world(settings());
        for (name, is_large) in ["a", "b"].into_iter().zip(others) {
            let mut other = world.container.clone();
            let mut configuration = Configuration::clone(other.configuration.as_ref().unwrap());
            if is_large {
                large(&mut configuration);
            }
            other.configuration = Some(configuration.into());
            world.engine.containers.insert(name.into(), other);
        }
        world.after(large)
    };
    assert_eq!(among([true, true]), "");
    assert_eq!(among([true, false]), "shm_size: 1 GiB instead of nothing\n");
}

#[test]
fn host_names_and_networks_are_the_engines_to_fill_in() {
    let on = |mode: &str| {
        let mut world = world(Settings { network_mode: Some(mode.into()), ..settings() });
        world.spec.hostname = None;
        world.engine.containers = BTreeMap::from([("db-1".into(), world.container.clone())]);
        world
    };
    let connected = |c: &mut Configuration, name: &str, id: &str| {
        c.networks =
            BTreeMap::from([(name.to_owned(), Connection { id: id.into(), address: String::new() })]);
    };
    let host = on("host").after(|c| {
        (c.network_mode, c.hostname) = ("host".into(), "ship".into());
        connected(c, "host", "1");
    });
    assert_eq!(host, "");
    let shared = on("container:db-1").after(|c| {
        (c.network_mode, c.hostname) = ("container:0652a361dafb072d".into(), "db-1".into());
        c.networks.clear();
    });
    assert_eq!(shared, "");
    let stale = on("container:db-1").after(|c| {
        c.network_mode = "container:00000".into();
        c.networks.clear();
    });
    assert_eq!(stale, "network: container:00000 instead of container:db-1\n");
    let own = |hostname: &'static str| {
        on("mine").after(move |c| {
            (c.network_mode, c.hostname) = ("mine".into(), hostname.into());
            connected(c, "mine", "42f1a4b2323628d9");
        })
    };
    assert_eq!(own("0652a361daf"), "");
    assert_eq!(own("odd"), "hostname: odd instead of nothing\n");
    let by_id = on("42f1a4b2323628d9").after(|c| {
        (c.network_mode, c.hostname) = ("42f1a4b2323628d9".into(), "0652a361daf".into());
        connected(c, "mine", "42f1a4b2323628d9");
    });
    assert_eq!(by_id, "");
    let addressed = world(settings()).after(|c| {
        if let Some(connection) = c.networks.get_mut("bridge") {
            connection.address = "172.17.0.9".into();
        }
    });
    assert_eq!(addressed, "networks.bridge.ip: 172.17.0.9 instead of nothing\n");
}

#[test]
fn a_privileged_container_is_not_confined() {
    let spec = Settings { privileged: true, security_opt: Vec::new(), ..settings() };
    let told = |c: &mut Configuration| {
        c.privileged = true;
        c.security_opt = texts(["label=disable"]);
    };
    assert_eq!(world(spec).after(told), "");
}

/// The names of variables say nothing here: that they are secrets does.
#[test]
fn of_secrets_nothing_is_shown() {
    use crate::model::{EnvValue, LABEL_SECRETS};
    use crate::names::Secret;
    let secret = |value: &str| EnvVar {
        name: "DSN".into(),
        value: Some(EnvValue::Secret(Secret::named("dsn".into()).with_value_of(&Secret::new(value)).into())),
    };
    let of = |var: EnvVar, found: &'static str, mark: bool| {
        let mut world = world(settings());
        world.spec.env.own = vec![vec![EnvVar::new("OVER", "file"), EnvVar::new("EMPTY", ""), var].into()];
        world.spec.env.own.push([EnvVar { name: "GONE".into(), value: None }].into());
        world.after(move |c| {
            c.config.env.push(format!("DSN={found}"));
            if mark {
                c.config.labels.insert(LABEL_SECRETS.into(), "OTHER DSN".into());
            }
        })
    };
    assert_eq!(of(secret("hunter2"), "hunter2", false), "");
    assert_eq!(of(secret("hunter2"), "hunter3", false), "env.DSN: … instead of …\n");
    assert_eq!(of(EnvVar::new("DSN", "plain"), "hunter3", true), "env.DSN: … instead of …\n");
    assert_eq!(of(EnvVar::new("DSN", "plain"), "other", false), "env.DSN: other instead of plain\n");
}

#[test]
fn releases_are_compared_by_the_names_of_secrets() {
    use super::{Extent, between};
    let environment = |variable: &str| {
        let text = format!(
            "name: x\nships: {{a: {{ip: 192.0.2.1}}}}\nsecrets: {{a: {{env: A}}, b: {{env: B}}}}\nservices: {{web: \
             {{image: web, instances: {{web-1: {{ship: a, env: {{DSN: {variable}, PASSWORD: {variable}}}}}}}}}}}\n"
        );
        let loaded =
            crate::config::load(&crate::source::MapSources::of(text), &crate::config::Limits::default());
        loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
    };
    let compared = |from: &str, to: &str| {
        let (from, to) = (environment(from), environment(to));
        let found = between(&from, &to).into_iter().map(|difference| match difference.extent {
            Extent::Changed(changes) => {
                changes.iter().map(super::Change::to_come).collect::<Vec<_>>().join("; ")
            }
            other => panic!("{other:?}"),
        });
        found.collect::<String>()
    };
    assert_eq!(compared("!secret a", "!secret a"), "");
    assert_eq!(
        compared("!secret a", "!secret b"),
        "env.DSN: from !secret a to !secret b; env.PASSWORD: from !secret a to !secret b"
    );
    assert_eq!(
        compared("hunter2", "!secret b"),
        "env.DSN: from … to !secret b; env.PASSWORD: from … to !secret b"
    );
    assert_eq!(compared("!secret b", "~"), "env.DSN: no longer !secret b; env.PASSWORD: no longer !secret b");
}

#[test]
fn what_two_files_would_make_is_compared() {
    use super::{Extent, between};
    let environment = |services: &str| {
        let text =
            format!("name: x\nships: {{a: {{ip: 192.0.2.1}}, b: {{ip: 192.0.2.2}}}}\nservices:\n{services}");
        let loaded =
            crate::config::load(&crate::source::MapSources::of(text), &crate::config::Limits::default());
        loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
    };
    let from = environment(
        "  web: {image: 'web:1', env: {A: 1, PASSWORD: old}, instances: {web-1: {ship: a}, web-2: {ship: a}}}\n  db: {image: db, instances: {db-1: {ship: a}}}\n",
    );
    let to = environment(
        "  web: {image: 'web:2', env: {A: 1, PASSWORD: new}, instances: {web-1: {ship: b}, web-3: {ship: a}}}\n  db: {image: db, instances: {db-1: {ship: a}}}\n",
    );
    assert_eq!(between(&from, &from), []);
    let found: Vec<String> = between(&from, &to)
        .into_iter()
        .map(|difference| match difference.extent {
            Extent::Added => format!("{} added", difference.instance),
            Extent::Removed => format!("{} removed", difference.instance),
            Extent::Changed(changes) => {
                let changes: Vec<_> = changes.iter().map(super::Change::to_come).collect();
                format!("{}: {}", difference.instance, changes.join("; "))
            }
        })
        .collect();
    insta::assert_debug_snapshot!(found);
}
