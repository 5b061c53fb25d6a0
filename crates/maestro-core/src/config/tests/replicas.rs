//! `replicas:` and `place:`: which instances they stand for, and what cannot be.

use super::show;
use crate::config::{Limits, load};
use crate::model::{Environment, SpecWriter};
use crate::names::InstanceName;
use crate::source::MapSources;
use std::fmt::Write as _;

const SHIPS: &str = "\
__maestro: {schema: 2}
name: t
ships:
  web-1: {ip: 192.0.2.1, tags: {zone: a}}
  web-2: {ip: 192.0.2.2, tags: {zone: a}}
  web-3: {ip: 192.0.2.3, tags: {zone: b, disk: 2}}
  db-1: {ip: 192.0.2.4, tags: {zone: b, disk: 1}}
  db-2: {ip: 192.0.2.5}
services:
";

fn file(services: &str) -> String {
    format!("{SHIPS}{services}")
}

/// Instances and their ships, and what is said.
fn said(services: &str) -> String {
    said_within(services, &Limits::default())
}

fn said_within(services: &str, limits: &Limits) -> String {
    let loaded = load(&MapSources::of(file(services)), limits);
    let said = show(&loaded.diagnostics, &loaded.sources);
    loaded.environment.map_or_else(String::new, |environment| places(&environment)) + &said
}

fn places(environment: &Environment) -> String {
    let mut text = String::new();
    for (name, service) in &environment.services {
        let mut instances: Vec<_> =
            service.instances.iter().map(|name| &environment.instances[name]).collect();
        instances.sort_by_key(|instance| (instance.name.as_str().len(), instance.name.as_str()));
        let places: Vec<_> = instances.iter().map(|one| format!("{} {}", one.name, one.ship)).collect();
        writeln!(text, "{name}: {}", places.join(", ")).unwrap();
    }
    text
}

/// A service `web` with these lines.
fn web(lines: &str) -> String {
    let mut text = "  web:\n    image: bb\n".to_owned();
    for line in lines.lines() {
        writeln!(text, "    {line}").unwrap();
    }
    text
}

#[test]
fn replicas_are_placed() {
    let mut all = String::new();
    for lines in [
        "replicas: 7",
        "replicas: 0",
        "replicas: 3\nplace: {ships: 'web-*'}",
        "replicas: 3\nplace: {ships: [web-1, 'db-[2-9]']}",
        "replicas: 3\nplace: {tags: {zone: b}}",
        "replicas: 3\nplace: {ships: '*-1', tags: {zone: [a, b], disk: '1'}}",
        "replicas: 4\nplace: {tags: {zone: [a, b]}, spread: zone}",
        "replicas: 6\nplace: {ships: [web-1, web-2, web-3], spread: zone, max_per_ship: 2}",
        "replicas: 4\nplace: {ships: 'web-*', spread: zone, max_per_ship: '2'}",
        "replicas: 3\nports: {http: '80:8080'}\nplace: {ships: 'web-*'}",
        "replicas: 4\nports: {http: '80:8100-8101', dns: {exposed: 53/udp, external: 0/udp}}\nplace: {ships: [web-1, web-2]}",
        "replicas: ~\nplace:\ninstances: {web-1: {ship: db-2}}",
        "replicas: '2'",
    ] {
        write!(all, "{}\n  {}", lines.replace('\n', "; "), said(&web(lines))).unwrap();
    }
    insta::assert_snapshot!(all, @"
    replicas: 7
      web: web-1 web-1, web-2 db-2, web-3 db-1, web-4 web-2, web-5 web-3, web-6 web-3, web-7 db-2
    replicas: 0
      web: 
    replicas: 3; place: {ships: 'web-*'}
      web: web-1 web-1, web-2 web-3, web-3 web-2
    replicas: 3; place: {ships: [web-1, 'db-[2-9]']}
      web: web-1 web-1, web-2 db-2, web-3 web-1
    replicas: 3; place: {tags: {zone: b}}
      web: web-1 db-1, web-2 web-3, web-3 db-1
    replicas: 3; place: {ships: '*-1', tags: {zone: [a, b], disk: '1'}}
      web: web-1 db-1, web-2 db-1, web-3 db-1
    replicas: 4; place: {tags: {zone: [a, b]}, spread: zone}
      web: web-1 db-1, web-2 web-1, web-3 web-3, web-4 web-2
    replicas: 6; place: {ships: [web-1, web-2, web-3], spread: zone, max_per_ship: 2}
      web: web-1 web-3, web-2 web-1, web-3 web-3, web-4 web-2, web-5 web-1, web-6 web-2
    replicas: 4; place: {ships: 'web-*', spread: zone, max_per_ship: '2'}
      web: web-1 web-3, web-2 web-1, web-3 web-3, web-4 web-2
    replicas: 3; ports: {http: '80:8080'}; place: {ships: 'web-*'}
      web: web-1 web-1, web-2 web-3, web-3 web-2
    replicas: 4; ports: {http: '80:8100-8101', dns: {exposed: 53/udp, external: 0/udp}}; place: {ships: [web-1, web-2]}
      web: web-1 web-1, web-2 web-2, web-3 web-1, web-4 web-2
    replicas: ~; place:; instances: {web-1: {ship: db-2}}
      web: web-1 db-2
    replicas: '2'
      web: web-1 web-1, web-2 db-2
    ");
}

#[test]
fn what_cannot_be_is_said_with_what_to_do() {
    let mut all = String::new();
    for lines in [
        "replicas: 2\ninstances: {x-1: {ship: web-1}}",
        "instances: {x-1: {ship: web-1}}\nplace: {ships: web-2}",
        "replicas: 2\nship: web-1",
        "replicas: -1",
        "replicas: yes",
        "replicas: many",
        "replicas: 100001",
        "replicas: 99999999999999999999",
        "replicas: 2\nplace: web-1",
        "replicas: 2\nplace: {shisp: web-1}",
        "replicas: 2\nplace: {ships: [web-9, 'wbe-*', web-1]}",
        "replicas: 2\nplace: {ships: []}",
        "replicas: 2\nplace: {tags: {zone: c}}",
        "replicas: 2\nplace: {ships: 'web-*', tags: {disk: [1, 3]}}",
        "replicas: 2\nplace: {tags: {zoen: a}}",
        "replicas: 2\nplace: {spread: zone}",
        "replicas: 2\nplace: {spread: zoen}",
        "replicas: 2\nplace: {spread: [zone]}",
        "replicas: 2\nplace: {max_per_ship: 0}",
        "replicas: 6\nplace: {max_per_ship: 1}",
        "replicas: 7\nplace: {ships: 'web-*', max_per_ship: 2}",
        "replicas: 4\nports: {dns: 53/udp, http: '80:8080'}\nplace: {ships: 'web-*'}",
        "replicas: 6\nports: {http: {exposed: 80, external: 8080}}",
        "replicas: 4\nports: {many: '80-82:8080-8082'}\nplace: {tags: {zone: a}}",
        "replicas: 4\nports: {http: '80:8100-8101'}\nplace: {ships: web-1}",
        "replicas: 4\nnet: host\nports: {http: 80}\nplace: {ships: web-1}",
        "replicas: 2\nrestart: sometimes\nlxc_conf: {a: b}\nlabels: {maestro.x: y}",
        "replicas: 2\nlinks: {a: b}",
        "replicas: 2\nlinks: [webb]",
        "replicas: 2\nvolumes_from: web-1\nplace: {ships: web-9}\nworkdirr: /",
    ] {
        let said = said(&web(lines));
        write!(all, "{}\n{said}", lines.replace('\n', "; ")).unwrap();
    }
    insta::assert_snapshot!(all, @r#"
    replicas: 2; instances: {x-1: {ship: web-1}}
    E0404 service `web` has both `replicas` and `instances`
      maestro.yaml:12:15 "2"
      maestro.yaml:13:16 "{x-1: {ship: web-1}}" these have ships already
      help: leave one out: `instances` have their ships written, `replicas` are placed; two kinds are two services
    instances: {x-1: {ship: web-1}}; place: {ships: web-2}
    web: x-1 web-1
    W0501 `place` of service `web` does nothing: it has no `replicas`
      maestro.yaml:13:12 "{ships: web-2}"
      help: write `replicas: 2`, or whichever number, instead of `instances`
    replicas: 2; ship: web-1
    E0404 the replicas of service `web` have no `ship` in common: they are placed
      maestro.yaml:13:11 "web-1"
      help: write `place: {ships: web-1}`
    replicas: -1
    E0304 `replicas` of service `web` must be 0 or more, not -1
      maestro.yaml:12:15 "-1"
    replicas: yes
    E0301 `replicas` of service `web` must be an integer, not a boolean
      maestro.yaml:12:15 "yes"
    replicas: many
    E0304 `replicas` of service `web` must be an integer, not `many`
      maestro.yaml:12:15 "many"
    replicas: 100001
    E0103 the services have more than 100000 replicas in all
      maestro.yaml:12:15 "100001" the limit is passed here
      help: write less, or split the file into several environments
    replicas: 99999999999999999999
    E0304 `replicas` of service `web` is out of range: 99999999999999999999
      maestro.yaml:12:15 "99999999999999999999"
    replicas: 2; place: web-1
    E0301 `place` of service `web` must be a mapping, not a string
      maestro.yaml:13:12 "web-1"
    replicas: 2; place: {shisp: web-1}
    web: web-1 web-1, web-2 db-2
    W0303 `place` of service `web` has no key `shisp`; it is ignored
      maestro.yaml:13:13 "shisp"
      help: did you mean `ships`?
    replicas: 2; place: {ships: [web-9, 'wbe-*', web-1]}
    E0401 ship `web-9`, in `place` of service `web`, does not exist
      maestro.yaml:13:21 "web-9"
      help: did you mean `web-1`?
    E0401 no ship has a name like `wbe-*`, in `place` of service `web`
      maestro.yaml:13:28 "'wbe-*'"
      help: did you mean `web-1`?
    replicas: 2; place: {ships: []}
    E0304 `ships` of `place` of service `web` names no ship
      maestro.yaml:13:20 "[]"
      help: leave it out for all ships, or write `replicas: 0` for none
    replicas: 2; place: {tags: {zone: c}}
    E0401 `place` of service `web` allows no ship: none has the tag `zone: c`
      maestro.yaml:13:26 "c"
      note: on those that have it, `zone` is `a` or `b`
    replicas: 2; place: {ships: 'web-*', tags: {disk: [1, 3]}}
    E0401 `place` of service `web` allows no ship: none has the tag `disk: 1` or `disk: 3`
      maestro.yaml:13:42 "[1, 3]"
      note: on those that have it, `disk` is `2`
    replicas: 2; place: {tags: {zoen: a}}
    E0401 `place` of service `web` allows no ship: none has the tag `zoen: a`
      maestro.yaml:13:26 "a"
      note: none of them has a tag `zoen`
      help: did you mean `zone`?
    replicas: 2; place: {spread: zone}
    E0302 `place` of service `web` spreads over `zone`, and ship `db-2` has no such tag
      maestro.yaml:13:21 "zone"
      note: on those that have it, `zone` is `a` or `b`
      help: give every ship that may be used `tags: {zone: …}`, or name those that have it in `ships`
    replicas: 2; place: {spread: zoen}
    E0302 `place` of service `web` spreads over `zoen`, and ships `db-1`, `db-2`, `web-1` and 2 more have no such tag
      maestro.yaml:13:21 "zoen"
      note: none of them has a tag `zoen`
      help: did you mean `zone`?
      help: give every ship that may be used `tags: {zoen: …}`, or name those that have it in `ships`
    replicas: 2; place: {spread: [zone]}
    E0301 `spread` of `place` of service `web` must be a string, not a list
      maestro.yaml:13:21 "[zone]"
    replicas: 2; place: {max_per_ship: 0}
    E0304 `max_per_ship` of `place` of service `web` is 0: there would be none
      maestro.yaml:13:27 "0"
      help: write `replicas: 0` for none
    replicas: 6; place: {max_per_ship: 1}
    E0404 service `web` needs 6 ships with `max_per_ship: 1`, and there are 5
      maestro.yaml:12:15 "6" so many replicas
      maestro.yaml:13:27 "1" this allows for fewer
      help: let more be on a ship, or have fewer replicas
    replicas: 7; place: {ships: 'web-*', max_per_ship: 2}
    E0404 service `web` needs 4 ships with `max_per_ship: 2`, and `place` allows 3
      maestro.yaml:12:15 "7" so many replicas
      maestro.yaml:13:43 "2" this allows for fewer
      help: let more be on a ship, allow more ships, or have fewer replicas
    replicas: 4; ports: {dns: 53/udp, http: '80:8080'}; place: {ships: 'web-*'}
    E0404 service `web` needs 4 ships for its fixed port 53, and `place` allows 3
      maestro.yaml:12:15 "4" so many replicas
      maestro.yaml:13:18 "53/udp" this allows for fewer
      help: use a range, such as {exposed: 53/udp, external: 8100-8199/udp}, allow more ships, or have fewer replicas
    replicas: 6; ports: {http: {exposed: 80, external: 8080}}
    E0404 service `web` needs 6 ships for its fixed port 8080, and there are 5
      maestro.yaml:12:15 "6" so many replicas
      maestro.yaml:13:19 "{exposed: 80, external: 8080}" this allows for fewer
      help: use a range, such as {exposed: 80, external: 8100-8199}, or have fewer replicas
    replicas: 4; ports: {many: '80-82:8080-8082'}; place: {tags: {zone: a}}
    E0404 service `web` needs 4 ships for its fixed ports 8080-8082, and `place` allows 2
      maestro.yaml:12:15 "4" so many replicas
      maestro.yaml:13:19 "'80-82:8080-8082'" this allows for fewer
      help: publish fewer ports, each of them with a range, allow more ships, or have fewer replicas
    replicas: 4; ports: {http: '80:8100-8101'}; place: {ships: web-1}
    E0404 service `web` needs 2 ships for its ports 8100-8101, and `place` allows 1
      maestro.yaml:12:15 "4" so many replicas
      maestro.yaml:13:19 "'80:8100-8101'" this allows for fewer
      help: use a wider range, allow more ships, or have fewer replicas
    replicas: 4; net: host; ports: {http: 80}; place: {ships: web-1}
    E0404 service `web` needs 4 ships for its port 80, which with `net: host` is the ship's, and `place` allows 1
      maestro.yaml:12:15 "4" so many replicas
      maestro.yaml:14:19 "80" this allows for fewer
      help: do without `net: host`, allow more ships, or have fewer replicas
    replicas: 2; restart: sometimes; lxc_conf: {a: b}; labels: {maestro.x: y}
    E0304 `restart` of instance `web-1` is `sometimes`, which is no restart policy
      maestro.yaml:13:14 "sometimes"
      note: the policies are no, always, on-failure, unless-stopped
    W0501 `lxc_conf` of instance `web-1` is not sent: today's engines do nothing with it
      maestro.yaml:14:15 "{a: b}"
      help: remove it; `limits`, `cap_add` and `security_opt` do what it was used for
    E0404 `labels` of instance `web-1`: `maestro.x` is one of Maestro's own labels
      maestro.yaml:15:13 "{maestro.x: y}"
      help: labels that begin with `maestro.` are how Maestro knows its containers; choose another name
    replicas: 2; links: {a: b}
    E0301 `links` of service `web` must be a list of services, not a mapping
      maestro.yaml:13:12 "{a: b}"
      help: its containers are told where the instances of those are; `links: []` for none
    replicas: 2; links: [webb]
    E0401 service `webb`, in `links` of service `web`, does not exist
      maestro.yaml:13:13 "webb"
      help: did you mean `web`?
    replicas: 2; volumes_from: web-1; place: {ships: web-9}; workdirr: /
    E0401 ship `web-9`, in `place` of service `web`, does not exist
      maestro.yaml:14:20 "web-9"
      help: did you mean `web-1`?
    W0303 service `web` has no key `workdirr`; it is ignored
      maestro.yaml:15:5 "workdirr"
      help: did you mean `workdir`?
    "#);
}

/// What there is of one mistake is said once, and nothing follows from it.
#[test]
fn a_mistake_has_no_consequences() {
    insta::assert_snapshot!(said("  my web: {image: bb, replicas: 3}\n"), @r#"
    E0304 `my web-1` cannot be the name of a container
      maestro.yaml:10:33 "3"
      note: the engine wants two or more of a-z A-Z 0-9 _ . - that begin with a letter or digit
    "#);
    insta::assert_snapshot!(said("  web: {replicas: 3}\n"), @r#"
    E0302 service `web` has no `image`
      maestro.yaml:10:3 "web"
    "#);
    insta::assert_snapshot!(said("  web: {image: BB, replicas: 3}\n  x: {image: bb, instances: {x-1: {ship: web-1, volumes_from: web-3}}}\n"), @r#"
    E0304 `image` of service `web` names no image: `BB` cannot be part of a repository's name
      maestro.yaml:10:16 "BB"
      help: names of repositories are in lower case; did you mean `bb`?
    "#);
    insta::assert_snapshot!(said("  a: {image: bb, instances: {web-2: {ship: web-1}}}\n  web: {image: bb, replicas: 3}\n"), @r#"
    E0402 instance `web-2` of service `web` is already defined in service `a`
      maestro.yaml:11:30 "3"
      maestro.yaml:10:30 "web-2" defined here first
    "#);
    let broken = file(&web("replicas: 9\nplace: {ships: [web-1, other], max_per_ship: 1}"))
        .replace("ip: 192.0.2.1,", "");
    let loaded = load(&MapSources::of(broken), &Limits::default());
    insta::assert_snapshot!(show(&loaded.diagnostics, &loaded.sources), @r#"
    E0302 ship `web-1` has no `ip`
      maestro.yaml:4:10 "{ tags: {zone: a}}"
    "#);
    let none = "name: t\nships: {}\nservices: {web: {image: bb, replicas: 1}}\n";
    let loaded = load(&MapSources::of(none), &Limits::default());
    insta::assert_snapshot!(show(&loaded.diagnostics, &loaded.sources), @r#"
    E0304 service `web` has replicas, and there are no ships
      maestro.yaml:3:39 "1"
      help: name the hosts under `ships:`
    "#);
}

/// A fixed port that somebody has is avoided while there is another ship, whether that is written or placed.
#[test]
fn ports_that_are_taken_are_avoided() {
    let db =
        "  a: {image: bb, ports: {http: '80:8080'}, instances: {a-1: {ship: web-1}, a-2: {ship: web-3}}}\n";
    let service = |name: &str, replicas: u32, more: &str| {
        format!(
            "  {name}: {{image: bb, replicas: {replicas}, ports: {{http: '81:8080'}}, place: {{ships: 'web-*'}}{more}}}\n"
        )
    };
    let mut all = said(&format!("{db}{}", service("web", 1, "")));
    all += &said(&format!("{}{db}", service("web", 2, "")));
    // By the order of their names, wherever they stand.
    all += &said(&format!("{}{}{}", service("z", 1, ""), service("y", 1, ""), service("x", 1, "")));
    // Who is there to take turns takes no place away.
    all += &said(&format!("{}{}", service("b", 3, ", omit: yes"), service("c", 1, "")));
    // Neither does who has no ports of the ship.
    all += &said(&format!("{}{}", service("b", 3, ", net: none"), service("c", 1, "")));
    insta::assert_snapshot!(all, @r#"
    a: a-1 web-1, a-2 web-3
    web: web-1 web-2
    a: a-1 web-1, a-2 web-3
    web: web-1 web-2, web-2 web-1
    W0501 `a-1` and `web-2` publish the same port of ship `web-1`: 8080/tcp
      maestro.yaml:10:47 "'81:8080'" published again here
      maestro.yaml:11:32 "'80:8080'" published here first
      note: the engine refuses to start one of them while another runs
      help: give each a port of its own, unless they take turns
    x: x-1 web-1
    y: y-1 web-2
    z: z-1 web-3
    b: b-1 web-3, b-2 web-2, b-3 web-1
    c: c-1 web-3
    b: b-1 web-3, b-2 web-2, b-3 web-1
    c: c-1 web-3
    "#);
}

/// They are what somebody would have written.
#[test]
fn replicas_are_instances_like_others() {
    let common = "image: bb\nports: {http: {exposed: 80, external: 8100-8199}}\nenv: {A: 1}\nlimits: {memory: 64m}\n\
                  lifecycle: {running: [{type: tcp, port: http}]}\nrequires: [db]\n";
    let own = "{command: [run, it], volumes: {/srv: /data}, container_volumes: [/tmp], restart: always, stop_timeout: 3, labels: {a: b}, \
               username: u, net: bridge, extra_hosts: {h: {ship: db-1}}, cap_add: [NET_ADMIN], workdir: /w}";
    let db = "  db: {image: db, instances: {db-1: {ship: db-1}}}\n  c: {image: bb, wants_info: [web], instances: {c-1: {ship: db-2}}}\n";
    let replicated = load(
        &MapSources::of(file(&format!(
            "{db}{}    <<: {own}\n",
            web(&format!("{}replicas: 4\nplace: {{ships: 'web-*'}}", common.replace("image: bb\n", "")))
        ))),
        &Limits::default(),
    );
    let replicated = replicated.environment.unwrap_or_else(|| panic!("{:?}", replicated.diagnostics));
    let mut written = format!("{db}{}    instances:\n", web(&common.replace("image: bb\n", "")));
    for instance in replicated.services["web"].instances.iter().map(|name| &replicated.instances[name]) {
        writeln!(written, "      {}: {{ship: {}, <<: {own}}}", instance.name, instance.ship).unwrap();
    }
    let written = load(&MapSources::of(file(&written)), &Limits::default());
    let written = written.environment.unwrap_or_else(|| panic!("{:?}", written.diagnostics));
    assert_eq!(replicated, written);
    let specs = |environment: &Environment| {
        let mut writer = SpecWriter::new(environment);
        environment.instances.values().map(|instance| writer.spec(instance)).collect::<Vec<_>>()
    };
    assert_eq!(specs(&replicated), specs(&written));
    let mut writer = SpecWriter::new(&replicated);
    let (spec, _) = writer.spec(&replicated.instances[&InstanceName::from("c-1")]);
    let ships: Vec<_> = (1..=4)
        .map(|at| spec.env.resolved()[format!("WEB_WEB_{at}_HOST").as_str()].unwrap().to_owned())
        .collect();
    let ip = |at: usize| {
        let ship = &replicated.instances[format!("web-{at}").as_str()].ship;
        replicated.ships[ship].ip.to_string()
    };
    assert_eq!(ships, (1..=4).map(ip).collect::<Vec<_>>());
}

/// Who says of whom containers are told is told of nobody else.
#[test]
fn links_can_be_chosen() {
    let told = |name: &str, links: &str, replicas: u32| {
        let environment = super::environment(&file(&format!(
            "  db: {{image: db, replicas: 1}}\n  web: {{image: bb, replicas: {replicas}, requires: [db]{links}}}\n  \
             x: {{image: bb, wants_info: [web], instances: {{x-1: {{ship: db-2}}}}{links}}}\n"
        )));
        let (spec, hash) = SpecWriter::new(&environment).spec(&environment.instances[name]);
        let hosts = spec.env.resolved().into_keys().filter(|key| key.ends_with("_HOST"));
        (hosts.map(str::to_owned).collect::<Vec<_>>().join(" "), hash)
    };
    for (links, web, x) in [
        ("", "DB_DB_1_HOST WEB_WEB_1_HOST WEB_WEB_2_HOST", "WEB_WEB_1_HOST WEB_WEB_2_HOST X_X_1_HOST"),
        (", links: []", "", ""),
        (", links: [db]", "DB_DB_1_HOST", "DB_DB_1_HOST"),
        (", links: [web]", "WEB_WEB_1_HOST WEB_WEB_2_HOST", "WEB_WEB_1_HOST WEB_WEB_2_HOST"),
    ] {
        let sorted = |name: &str| {
            let hosts = told(name, links, 2).0;
            let mut hosts: Vec<_> = hosts.split_whitespace().map(str::to_owned).collect();
            hosts.sort();
            hosts.join(" ")
        };
        assert_eq!((&*sorted("web-1"), &*sorted("x-1")), (web, x), "{links}");
    }
    // Whoever is not told of the others stays as it is when one comes.
    assert_ne!(told("web-1", "", 2).1, told("web-1", "", 3).1);
    assert_eq!(told("web-1", ", links: [db]", 2).1, told("web-1", ", links: [db]", 3).1);
    assert_eq!(told("x-1", ", links: []", 2).1, told("x-1", ", links: []", 3).1);
    // To maestro-ng this key of a service is nothing.
    insta::assert_snapshot!(said("  web: {image: bb, links: {a: b}, instances: {web-1: {ship: web-1}}}\n"), @r#"
    web: web-1 web-1
    W0303 service `web` has no key `links`; it is ignored
      maestro.yaml:10:20 "links"
      note: `links` is a key of an instance
    "#);
}

#[test]
fn tags_are_texts() {
    let text = "name: t\nships:\n  a: {ip: h, tags: {zone: 1, rack: ~}}\n  b: {ip: h, tags: [a]}\n  c: {ip: h, tags: {}}\n  d: {ip: h, tags: {n: [1]}}\nservices: {}\n";
    let loaded = load(&MapSources::of(text), &Limits::default());
    insta::assert_snapshot!(show(&loaded.diagnostics, &loaded.sources), @r#"
    E0301 `rack` of `tags` of ship `a` must be a string, not nothing
      maestro.yaml:3:36 "~"
    E0301 `tags` of ship `b` must be a mapping, not a list
      maestro.yaml:4:20 "[a]"
    E0301 `n` of `tags` of ship `d` must be a string, not a list
      maestro.yaml:6:24 "[1]"
    "#);
    let environment = super::environment(&file(""));
    assert_eq!(
        environment.ships["web-3"].tags,
        [("disk", "2"), ("zone", "b")].map(|(k, v)| (k.into(), v.into())).into()
    );
}

#[test]
fn an_environment_without_ships_has_one_to_be_on() {
    let text = "name: t\nservices: {web: {image: bb, replicas: 2}}\n";
    let sources = MapSources::of(text).with_variable("DOCKER_HOST", "tcp://192.0.2.7:2375");
    let environment = load(&sources, &Limits::default()).environment.unwrap();
    assert_eq!(places(&environment), "web: web-1 docker, web-2 docker\n");
    let loaded = load(&MapSources::of(text), &Limits::default());
    assert_eq!(loaded.diagnostics.len(), 1, "{:?}", loaded.diagnostics);
}

#[test]
fn there_is_an_end_to_replicas() {
    let limits = Limits::default();
    let few = |services: &str, limits: &Limits| {
        let said = said_within(services, limits);
        said.lines().filter(|line| line.starts_with("E0103")).map(str::to_owned).collect::<Vec<_>>()
    };
    let two = "  a: {image: bb, replicas: 3}\n  b: {image: bb, replicas: 4}\n";
    assert_eq!(few(two, &Limits { replicas: 7, ..limits }), [""; 0]);
    assert_eq!(
        few(two, &Limits { replicas: 6, ..limits }),
        ["E0103 the services have more than 6 replicas in all"]
    );
    // A list and its two texts, of which one counts as two; for each of four.
    let long = "  a: {image: bb, replicas: 4, command: [run, 0123456789abcdef]}\n";
    assert_eq!(few(long, &Limits { replicated: 16, ..limits }), [""; 0]);
    assert_eq!(
        few(long, &Limits { replicated: 15, ..limits }),
        ["E0103 the replicas have more than 15 values in all"]
    );
    // Five ships to be looked at, and for each of four replicas.
    let four = "  a: {image: bb, replicas: 4}\n";
    assert_eq!(few(four, &Limits { placements: 25, ..limits }), [""; 0]);
    for placements in [24, 4] {
        let most = format!("E0103 the replicas have more than {placements} ships to choose from in all");
        assert_eq!(few(four, &Limits { placements, ..limits }), [most]);
    }
    let patterns = format!("  a: {{image: bb, replicas: 1, place: {{ships: ['{}']}}}}\n", "*a".repeat(1000));
    assert_eq!(few(&patterns, &Limits { placements: 2000, ..limits }).len(), 1);
}
