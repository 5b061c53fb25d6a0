//! What files mean, and what is said about those that mean nothing.

mod consequences;
mod declared;
mod hooks;
mod host_ports;
mod replicas;
mod secrets;
mod strategies;
mod variables;

use super::golden::show;
use super::{Limits, load};
use crate::model::Environment;
use crate::source::MapSources;
use std::fmt::Write as _;

mod bounds;

const HEAD: &str = "\
__maestro: {schema: 2}
name: t
ships:
  a: {ip: 192.0.2.1}
  b: {ip: 192.0.2.2}
";

fn environment(text: &str) -> Environment {
    let loaded = load(&MapSources::of(text), &Limits::default());
    assert!(!loaded.diagnostics.has_errors(), "{}", show(&loaded.diagnostics, &loaded.sources));
    loaded.environment.unwrap()
}

/// One instance `x-1` on ship `a` with these lines.
fn instance(lines: &str) -> Environment {
    let mut text =
        format!("{HEAD}services:\n  s:\n    image: bb\n    instances:\n      x-1:\n        ship: a\n");
    for line in lines.lines() {
        writeln!(text, "        {line}").unwrap();
    }
    environment(&text)
}

fn complaints(text: &str) -> String {
    let loaded = load(&MapSources::of(text), &Limits::default());
    assert!(loaded.environment.is_none(), "no error was found");
    show(&loaded.diagnostics, &loaded.sources)
}

fn instance_complaints(lines: &str) -> String {
    let mut text =
        format!("{HEAD}services:\n  s:\n    image: bb\n    instances:\n      x-1:\n        ship: a\n");
    for line in lines.lines() {
        writeln!(text, "        {line}").unwrap();
    }
    complaints(&text)
}

#[test]
fn volumes_turn_round_with_the_schema() {
    let two = instance("volumes: {/host: /in, named: {target: /n, mode: 'ro,Z'}}\ncontainer_volumes: /anon");
    let settings = &two.instances["x-1"].settings;
    assert_eq!(settings.binds, ["/host:/in:rw", "named:/n:ro,Z"]);
    assert_eq!(settings.volumes.iter().collect::<Vec<_>>(), ["/anon", "/in", "/n"]);
    let one = environment(
        "name: t\nships: {a: {ip: h}}\n\
         services: {s: {image: x, instances: {x-1: {ship: a, volumes: {/in: /host}}}}}\n",
    );
    assert_eq!(one.instances["x-1"].settings.binds, ["/host:/in:rw"]);
}

#[test]
fn settings_are_read() {
    let env = instance(
        "command: \"sh -c 'echo $HOME; sleep 9'\"\n\
         restart: on-failure:3\n\
         limits: {memory: 64m, swap: 128M, cpu: 7}\n\
         ulimits: {nofile: {soft: 1024, hard: 2048}, nproc: 100}\n\
         labels: [x, y]\n\
         dns: 192.0.2.53\n\
         extra_hosts: {h: 192.0.2.9, g: {ship: b}}\n\
         log_driver: json-file\n\
         log_opt: {max-file: 2}\n\
         username: 1000\n\
         stop_timeout: 0\n\
         net: host\n\
         links: {b: two, a: one}",
    );
    insta::assert_debug_snapshot!(env.instances["x-1"].settings, @r#"
    Settings {
        env: [
            [
                EnvVar {
                    name: "MAESTRO_ENVIRONMENT_NAME",
                    value: Some(
                        "t",
                    ),
                },
                EnvVar {
                    name: "SERVICE_NAME",
                    value: Some(
                        "s",
                    ),
                },
            ],
            [
                EnvVar {
                    name: "CONTAINER_NAME",
                    value: Some(
                        "x-1",
                    ),
                },
                EnvVar {
                    name: "CONTAINER_HOST_ADDRESS",
                    value: Some(
                        "192.0.2.1",
                    ),
                },
                EnvVar {
                    name: "DOCKER_IMAGE",
                    value: Some(
                        "bb",
                    ),
                },
                EnvVar {
                    name: "DOCKER_TAG",
                    value: Some(
                        "latest",
                    ),
                },
            ],
        ],
        command: Some(
            [
                "sh",
                "-c",
                "echo $HOME; sleep 9",
            ],
        ),
        binds: [],
        volumes: {},
        volumes_from: [],
        links: [
            "a:one",
            "b:two",
        ],
        user: Some(
            "1000",
        ),
        privileged: false,
        cap_add: [],
        cap_drop: [],
        extra_hosts: [
            "g:192.0.2.2",
            "h:192.0.2.9",
        ],
        network_mode: Some(
            "host",
        ),
        restart: RestartPolicy {
            name: "on-failure",
            retries: 3,
        },
        dns: [
            "192.0.2.53",
        ],
        cpu_shares: Some(
            7,
        ),
        memory: Some(
            67108864,
        ),
        memory_swap: Some(
            134217728,
        ),
        log: Some(
            LogConfig {
                driver: "json-file",
                options: {
                    "max-file": "2",
                },
            },
        ),
        ulimits: [
            Ulimit {
                name: "nofile",
                soft: Some(
                    1024,
                ),
                hard: Some(
                    2048,
                ),
            },
            Ulimit {
                name: "nproc",
                soft: Some(
                    100,
                ),
                hard: Some(
                    100,
                ),
            },
        ],
        security_opt: [],
        labels: {
            "x": "",
            "y": "",
        },
        workdir: None,
    }
    "#);
}

#[test]
fn what_is_empty_is_as_if_it_were_not_there() {
    let env = instance("stop_timeout:\nlimits: {memory: '', swap: ~}\nprivileged: ''");
    let expected = instance("");
    let (found, expected) = (&env.instances["x-1"], &expected.instances["x-1"]);
    assert_eq!(found.stop_timeout, expected.stop_timeout);
    assert_eq!(found.settings, expected.settings);
}

#[test]
fn privileges_are_not_given_for_a_word_in_quotes() {
    let complaint = instance_complaints("privileged: 'no'");
    assert!(complaint.contains("`privileged` of instance `x-1` must be `yes` or `no`"), "{complaint}");
    assert!(instance("privileged: on").instances["x-1"].settings.privileged);
}

#[test]
fn maestros_own_labels_are_nobody_elses() {
    for labels in ["{maestro.config: x}", "[a, maestro.instance]"] {
        let complaint = instance_complaints(&format!("labels: {labels}"));
        assert!(complaint.starts_with("E0404 `labels` of instance `x-1`: `maestro."), "{complaint}");
    }
    assert_eq!(instance("labels: {maestro: x}").instances["x-1"].settings.labels.len(), 1);
}

#[test]
fn restart_policies() {
    for (text, name, retries) in [
        ("no", "no", 0),
        ("'no'", "no", 0),
        ("always", "always", 0),
        ("on-failure:3", "on-failure", 3),
        ("{name: on-failure, retries: 42}", "on-failure", 42),
        ("[x]", "no", 0),
        ("5", "no", 0),
    ] {
        let env = instance(&format!("restart: {text}"));
        let policy = &env.instances["x-1"].settings.restart;
        assert_eq!((&*policy.name, policy.retries), (name, retries), "{text}");
    }
}

#[test]
fn a_slip_in_the_name_of_a_policy_is_seen_in_both_forms() {
    for text in ["alwais", "{name: alwais, retries: 1}"] {
        let complaint = instance_complaints(&format!("restart: {text}"));
        assert!(complaint.contains("is `alwais`, which is no restart policy"), "{complaint}");
        assert!(complaint.contains("did you mean `always`?"), "{complaint}");
    }
}

#[test]
fn every_fault_is_found_in_one_go() {
    insta::assert_snapshot!(complaints(
        "name: t\n\
         ships:\n\
         \x20 a: {ip: 192.0.2.1, docker_port: x}\n\
         \x20 b: {tls: yes}\n\
         services:\n\
         \x20 web:\n\
         \x20   image: bb\n\
         \x20   requires: [databse]\n\
         \x20   instances:\n\
         \x20     web-1: {ship: c, ports: {http: '1:2:3'}}\n\
         \x20     web-2: {ship: a, restart: sometimes, volumess: {}}\n\
         \x20     w: {ship: a}\n\
         \x20 database: {image: db, instances: {web-2: {ship: a}}}\n",
    ), @r#"
    E0304 `docker_port` of ship `a` must be an integer, not `x`
      maestro.yaml:3:35 "x"
    E0302 ship `b` has no `ip`
      maestro.yaml:4:6 "{tls: yes}"
    E0401 service `databse`, in `requires` of service `web`, does not exist
      maestro.yaml:8:16 "databse"
      help: did you mean `database`?
    E0401 ship `c`, of instance `web-1`, does not exist
      maestro.yaml:10:21 "c"
    E0305 port `http` of instance `web-1`: `1:2:3` has more than one colon; the form is container:host, and an address takes the form {exposed: …, external: [address, …]}
      maestro.yaml:10:38 "'1:2:3'"
    E0304 `restart` of instance `web-2` is `sometimes`, which is no restart policy
      maestro.yaml:11:33 "sometimes"
      note: the policies are no, always, on-failure, unless-stopped
    W0303 instance `web-2` has no key `volumess`; it is ignored
      maestro.yaml:11:44 "volumess"
      help: did you mean `volumes`?
    E0304 `w` cannot be the name of a container
      maestro.yaml:12:7 "w"
      note: the engine wants two or more of a-z A-Z 0-9 _ . - that begin with a letter or digit
    "#);
}

#[test]
fn circles_are_named_with_their_path() {
    insta::assert_snapshot!(complaints(&format!(
        "{HEAD}services:\n\
         \x20 a: {{image: x, requires: [b], instances: {{}}}}\n\
         \x20 b: {{image: x, requires: [c], instances: {{}}}}\n\
         \x20 c: {{image: x, requires: a, instances: {{}}}}\n\
         \x20 d: {{image: x, requires: [d], instances: {{}}}}\n",
    )), @r#"
    E0403 services require each other in a circle: a -> b -> c -> a
      maestro.yaml:7:28 "b" `a` needs `b`
      maestro.yaml:8:28 "c" `b` needs `c`
      maestro.yaml:9:27 "a" `c` needs `a`
    E0403 services require each other in a circle: d -> d
      maestro.yaml:10:28 "d" `d` needs `d`
    "#);
}

#[test]
fn checks_are_read_and_refused() {
    let env = instance(
        "ports: {w: '80:8080', u: 53/udp}\n\
         lifecycle:\n  \
           running:\n  \
           - {type: tcp, port: w}\n  \
           - {type: http, port: w, path: healthz, match_regex: 'o(?=k)', max_wait: 3}\n  \
           - {type: health}\n  \
           pre-stop:\n  \
           - {type: rexec, command: sh -c 'true', attempts: 2}\n  \
           - {type: sleep, wait: 1.5}",
    );
    insta::assert_debug_snapshot!(env.instances["x-1"].checks, @r#"
    {
        Running: [
            Tcp {
                host: "192.0.2.1",
                port: 8080,
                picked: None,
                attempts: 180,
            },
            Http(
                HttpCheck {
                    host: "192.0.2.1",
                    port: 8080,
                    picked: None,
                    scheme: "http",
                    path: "/healthz",
                    method: "GET",
                    match_regex: Some(
                        "o(?=k)",
                    ),
                    max_wait: 3s,
                    options: RequestOptions {
                        verify: None,
                        ca_file: None,
                        cert: None,
                        headers: {},
                        params: [],
                        timeout: None,
                        auth: None,
                        data: None,
                        allow_redirects: None,
                    },
                },
            ),
            Health {
                max_wait: 180s,
            },
        ],
        PreStop: [
            RemoteExec {
                command: [
                    "sh",
                    "-c",
                    "true",
                ],
                attempts: 2,
            },
            Sleep {
                wait: 2s,
            },
        ],
    }
    "#);
    insta::assert_snapshot!(instance_complaints(
        "ports: {w: '80:8080-8090', u: 53/udp}\n\
         lifecycle:\n  \
           running:\n  \
           - {type: tcp, port: v}\n  \
           - {type: tcp, port: u}\n  \
           - {type: tcp, port: w}\n  \
           - {type: http, port: 80, match_regex: '(', patth: /}\n  \
           - {type: exec, cmd: x}\n  \
           - {type: ping}\n  \
           - {port: 80}\n  \
           - x\n  \
           pre-start: {}\n  \
           runing: []",
    ), @r#"
    E0401 `tcp` check (running) of instance `x-1`: port `v` is not defined by instance `x-1`
      maestro.yaml:15:31 "v"
    E0304 `tcp` check (running) of instance `x-1`: port `u` is not TCP
      maestro.yaml:16:31 "u"
    E0304 `match_regex` of `http` check (running) of instance `x-1` is no regular expression: Parsing error at position 1: Opening parenthesis without closing parenthesis
      maestro.yaml:18:49 "'('"
    E0304 `http` check (running) of instance `x-1` has no option `patth`
      maestro.yaml:18:54 "patth"
      help: did you mean `path`?
    E0302 `exec` check (running) of instance `x-1` has no `command`
      maestro.yaml:19:13 "{type: exec, cmd: x}"
    W0303 `exec` check (running) of instance `x-1` has no key `cmd`; it is ignored
      maestro.yaml:19:26 "cmd"
    E0304 a `running` check of instance `x-1` has the unknown type `ping`
      maestro.yaml:20:20 "ping"
      note: the types are tcp, http, exec, rexec, sleep, health
    E0302 a `running` check of instance `x-1` has no `type`
      maestro.yaml:21:13 "{port: 80}"
    E0301 a `running` check of instance `x-1` must be a mapping, not a string
      maestro.yaml:22:13 "x"
    E0301 `pre-start` checks of instance `x-1` must be a list, not a mapping
      maestro.yaml:23:22 "{}"
    W0303 `lifecycle` of instance `x-1`: nothing ever checks `runing`
      maestro.yaml:24:11 "runing"
      help: did you mean `running`?
    "#);
}

#[test]
fn an_environment_without_ships_is_the_engine_of_docker_host() {
    let text = "name: t\nservices: {s: {image: x, instances: {x-1: {}}}}\n";
    let sources = MapSources::of(text).with_variable("DOCKER_HOST", "tcp://192.0.2.7:2375");
    let environment = load(&sources, &Limits::default()).environment.unwrap();
    let ship = &environment.ships["docker"];
    assert_eq!((&*ship.ip, ship.transport.to_string().as_str()), ("192.0.2.7", "tcp://192.0.2.7:2375"));
    assert_eq!(environment.instances["x-1"].ship, ship.name);
    insta::assert_snapshot!(complaints(text), @r#"
    E0302 the environment has no `ships`, and DOCKER_HOST is not set
      maestro.yaml:1:1 "name: t\nservices: {s: {image: x, instances: {x-1: {}}}}"
      help: name the hosts under `ships:`, or set DOCKER_HOST for an environment of one engine
    "#);
}

#[test]
fn volumes_from_brings_the_source_first() {
    let env = environment(&format!(
        "{HEAD}services:\n\
         \x20 data: {{image: x, instances: {{d-1: {{ship: a}}, d-2: {{ship: a, volumes_from: d-1}}}}}}\n\
         \x20 user: {{image: x, instances: {{u-1: {{ship: a, volumes_from: [d-1]}}}}}}\n"
    ));
    assert!(env.services["user"].requires.contains("data"));
    assert!(env.services["user"].declared_requires.is_empty());
    assert!(env.instances["d-2"].after.contains("d-1"));
    insta::assert_snapshot!(complaints(&format!(
        "{HEAD}services:\n\
         \x20 data: {{image: x, instances: {{d-1: {{ship: a, container_volumes: [/v]}}}}}}\n\
         \x20 user: {{image: x, instances: {{\n\
         \x20   u-1: {{ship: b, volumes_from: [d-1]}},\n\
         \x20   u-2: {{ship: a, volumes_from: [nope]}},\n\
         \x20   u-3: {{ship: a, volumes_from: [d-1], volumes: {{/h: /v}}}}}}}}\n"
    )), @r#"
    E0404 instance `u-1` takes volumes from `d-1` and must be on the same ship: they are on `b` and `a`
      maestro.yaml:9:35 "d-1"
    E0401 `nope`, in `volumes_from` of instance `u-2`, does not exist
      maestro.yaml:10:35 "nope"
    E0404 instance `u-3` and `d-1`, from which it takes volumes, both have /v
      maestro.yaml:11:35 "d-1"
    "#);
}
