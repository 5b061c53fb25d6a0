//! Files that are YAML and mean something impossible.

use super::trap::Trap;

/// All at once, each with its place and the name that was meant.
#[tokio::test]
async fn unknown_names() {
    let trap = Trap::new();
    let text = "services:
  web:
    imgae: web:1
    image: web:1
    requires: [databse]
    wants_info: [wbe]
    instances:
      web-1: {ship: unxi, prots: {http: '80'}}
  database:
    image: db:1
    instances: {db-1: {ship: tcp, volumes_from: [web-7]}}
";
    insta::assert_snapshot!(trap.of(text).await, @"
    warning[W0303]: service `web` has no key `imgae`; it is ignored
      --> maestro.yaml:13:5
       |
    13 |     imgae: web:1
       |     ^^^^^
       |
       = help: did you mean `image`?

    error[E0401]: service `databse`, in `requires` of service `web`, does not exist
      --> maestro.yaml:15:16
       |
    15 |     requires: [databse]
       |                ^^^^^^^
       |
       = help: did you mean `database`?

    error[E0401]: service `wbe`, in `wants_info` of service `web`, does not exist
      --> maestro.yaml:16:18
       |
    16 |     wants_info: [wbe]
       |                  ^^^
       |
       = help: did you mean `web`?

    error[E0401]: ship `unxi`, of instance `web-1`, does not exist
      --> maestro.yaml:18:21
       |
    18 |       web-1: {ship: unxi, prots: {http: '80'}}
       |                     ^^^^
       |
       = help: did you mean `unix`?

    warning[W0303]: instance `web-1` has no key `prots`; it is ignored
      --> maestro.yaml:18:27
       |
    18 |       web-1: {ship: unxi, prots: {http: '80'}}
       |                           ^^^^^
       |
       = help: did you mean `ports`?

    error[E0401]: `web-7`, in `volumes_from` of instance `db-1`, does not exist
      --> maestro.yaml:21:50
       |
    21 |     instances: {db-1: {ship: tcp, volumes_from: [web-7]}}
       |                                                  ^^^^^

    ERROR: maestro.yaml: 4 errors and 2 warnings
    ");
}

#[tokio::test]
async fn replicas_without_a_place() {
    let trap = Trap::new();
    let text = "services:
  web:
    image: web:1
    replicas: 5
    ports: {http: {exposed: 80, external: 8080}}
  api:
    image: api:1
    replicas: 2
    place: {ships: [un*, 'x-*'], spread: zone}
  db:
    image: db:1
    replicas: 1
    instances: {db-1: {ship: tcp}}
";
    insta::assert_snapshot!(trap.of(text).await, @"
    error[E0404]: service `web` needs 5 ships for its fixed port 8080, and there are 4
      --> maestro.yaml:14:15
       |
    14 |     replicas: 5
       |               ^ so many replicas
    15 |     ports: {http: {exposed: 80, external: 8080}}
       |                   ----------------------------- this allows for fewer
       |
       = help: use a range, such as {exposed: 80, external: 8100-8199}, or have fewer replicas

    error[E0401]: no ship has a name like `x-*`, in `place` of service `api`
      --> maestro.yaml:19:26
       |
    19 |     place: {ships: [un*, 'x-*'], spread: zone}
       |                          ^^^^^

    error[E0302]: `place` of service `api` spreads over `zone`, and ship `unix` has no such tag
      --> maestro.yaml:19:42
       |
    19 |     place: {ships: [un*, 'x-*'], spread: zone}
       |                                          ^^^^
       |
       = note: none of them has a tag `zone`
       = help: give every ship that may be used `tags: {zone: …}`, or name those that have it in `ships`

    error[E0404]: service `db` has both `replicas` and `instances`
      --> maestro.yaml:22:15
       |
    22 |     replicas: 1
       |               ^
    23 |     instances: {db-1: {ship: tcp}}
       |                ------------------- these have ships already
       |
       = help: leave one out: `instances` have their ships written, `replicas` are placed; two kinds are two services

    ERROR: maestro.yaml: 4 errors
    ");
}

#[tokio::test]
async fn circles() {
    let trap = Trap::new();
    let text = "services:
  a: {image: a:1, requires: [b], instances: {a-1: {ship: tcp}}}
  b: {image: b:1, requires: [c], instances: {b-1: {ship: tcp}}}
  c: {image: c:1, requires: [a], instances: {c-1: {ship: tcp}}}
  d: {image: d:1, requires: [d], instances: {d-1: {ship: unix}}}
";
    insta::assert_snapshot!(trap.of(text).await, @"
    error[E0403]: services require each other in a circle: a -> b -> c -> a
      --> maestro.yaml:12:30
       |
    12 |   a: {image: a:1, requires: [b], instances: {a-1: {ship: tcp}}}
       |                              ^ `a` needs `b`
    13 |   b: {image: b:1, requires: [c], instances: {b-1: {ship: tcp}}}
       |                              - `b` needs `c`
    14 |   c: {image: c:1, requires: [a], instances: {c-1: {ship: tcp}}}
       |                              - `c` needs `a`

    error[E0403]: services require each other in a circle: d -> d
      --> maestro.yaml:15:30
       |
    15 |   d: {image: d:1, requires: [d], instances: {d-1: {ship: unix}}}
       |                              ^ `d` needs `d`

    ERROR: maestro.yaml: 2 errors
    ");
}

#[tokio::test]
async fn bad_ports() {
    let trap = Trap::new();
    let text = "services:
  web:
    image: web:1
    instances:
      web-1: {ship: tcp, ports: {a: '80:x', b: 70000, c: '80-90:100-101', d: '1/sctpp', e: '', f: -1}}
      web-2: {ship: unix, ports: {http: '8080:80'}}
      web-3: {ship: unix, ports: {http: '8081:80'}}
";
    insta::assert_snapshot!(trap.of(text).await, @"
    error[E0305]: port `a` of instance `web-1`: `x` is not a port; expected forms are 80, 80-90, 53/udp, 80-90/tcp
      --> maestro.yaml:15:37
       |
    15 |       web-1: {ship: tcp, ports: {a: '80:x', b: 70000, c: '80-90:100-101', d: '1/sctpp', e: '', f: -1}}
       |                                     ^^^^^^

    error[E0305]: port `b` of instance `web-1`: `70000` is out of range: ports go from 1 to 65535, ranges from the lower to the higher
      --> maestro.yaml:15:48
       |
    15 |       web-1: {ship: tcp, ports: {a: '80:x', b: 70000, c: '80-90:100-101', d: '1/sctpp', e: '', f: -1}}
       |                                                ^^^^^

    error[E0305]: port `c` of instance `web-1`: the ranges `80-90` and `100-101` have different lengths
      --> maestro.yaml:15:58
       |
    15 |       web-1: {ship: tcp, ports: {a: '80:x', b: 70000, c: '80-90:100-101', d: '1/sctpp', e: '', f: -1}}
       |                                                          ^^^^^^^^^^^^^^^

    error[E0305]: port `d` of instance `web-1`: `1/sctpp` is not a port; expected forms are 80, 80-90, 53/udp, 80-90/tcp
      --> maestro.yaml:15:78
       |
    15 |       web-1: {ship: tcp, ports: {a: '80:x', b: 70000, c: '80-90:100-101', d: '1/sctpp', e: '', f: -1}}
       |                                                                              ^^^^^^^^^

    error[E0305]: port `e` of instance `web-1`: `` is not a port; expected forms are 80, 80-90, 53/udp, 80-90/tcp
      --> maestro.yaml:15:92
       |
    15 |       web-1: {ship: tcp, ports: {a: '80:x', b: 70000, c: '80-90:100-101', d: '1/sctpp', e: '', f: -1}}
       |                                                                                            ^^

    error[E0305]: port `f` of instance `web-1`: `-1` is not a port; expected forms are 80, 80-90, 53/udp, 80-90/tcp
      --> maestro.yaml:15:99
       |
    15 |       web-1: {ship: tcp, ports: {a: '80:x', b: 70000, c: '80-90:100-101', d: '1/sctpp', e: '', f: -1}}
       |                                                                                                   ^^

    warning[W0501]: `web-2` and `web-3` publish the same port of ship `unix`: 80/tcp
      --> maestro.yaml:17:41
       |
    16 |       web-2: {ship: unix, ports: {http: '8080:80'}}
       |                                         --------- published here first
    17 |       web-3: {ship: unix, ports: {http: '8081:80'}}
       |                                         ^^^^^^^^^ published again here
       |
       = note: the engine refuses to start one of them while another runs
       = help: give each a port of its own, unless they take turns

    ERROR: maestro.yaml: 6 errors and 1 warning
    ");
    // The list of ships goes on.
    insta::assert_snapshot!(trap.of("  worse: {ip: 127.0.0.1, docker_port: 123456}\nservices: {}\n").await, @"
    error[E0304]: `docker_port` of ship `worse` must be from 1 to 65535, not 123456
      --> maestro.yaml:11:39
       |
    11 |   worse: {ip: 127.0.0.1, docker_port: 123456}
       |                                       ^^^^^^

    ERROR: maestro.yaml: 1 error
    ");
}
