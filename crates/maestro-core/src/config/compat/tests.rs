//! A note for each thing that changed, where a file leans on it, and none where it does not.

use crate::config::golden::show;
use crate::config::{Limits, load, load_compared};
use crate::diagnostic::Severity;
use crate::source::MapSources;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const HEAD: &str = "\
__maestro: {schema: 2}
name: t
ships:
  a: {ip: 192.0.2.1}
  b: {ip: 192.0.2.2}
";

/// What is said of a file, with what follows the head.
fn said(text: &str) -> String {
    let loaded = load_compared(&MapSources::of(format!("{HEAD}{text}")), &Limits::default());
    show(&loaded.diagnostics, &loaded.sources)
}

/// What is said of the keys of an instance.
fn instance(lines: &str) -> String {
    said(&format!("services:\n  s:\n    image: bb:1\n    instances:\n      s-1: {{ship: a, {lines}}}\n"))
}

/// The codes alone.
fn codes(text: &str) -> Vec<String> {
    said(text).lines().filter(|line| !line.starts_with(' ')).map(|line| line[..5].to_owned()).collect()
}

#[test]
fn plain_files_have_no_notes() {
    for lines in [
        "ports: {a: 80, b: '53/udp:5353/udp', c: {exposed: 1, external: 2}, d: '80:8000-8010'}",
        "image: 'reg.example.org:5000/x:2'",
        "env: {A: 1, B: yes, C: [a, [b]]}, volumes: {/a: /b}, container_volumes: [/x]",
        "labels: [a, b], cap_add: [NET_ADMIN], cap_drop: MKNOD, dns: 192.0.2.53, privileged: yes",
        "labels: {a: b, c: ~}, limits: {memory: 64m, cpu: 3}, ulimits: {nofile: 5}, workdir: /x, stop_timeout: 1.5",
        "lifecycle: {running: [{type: http, port: 80, host: h, requests_options: {timeout: 3}}]}",
        "restart: always, net: host, username: 0, links: {x: 5}, privileged: 0",
    ] {
        assert_eq!(instance(lines), "", "{lines}");
    }
}

#[test]
fn names_that_change() {
    let rest = "ships: {a: {ip: h}}\nservices: {}\n";
    for (name, notes) in
        [("t", 0), ("{{ env.SITE }}", 1), ("shop-{{ env.SITE }}", 1), ("{% if true %}t{% endif %}", 0)]
    {
        let sources = MapSources::of(format!("name: {name}\n{rest}")).with_variable("SITE", "hunter2");
        let loaded = load_compared(&sources, &Limits::default());
        let said = show(&loaded.diagnostics, &loaded.sources);
        assert_eq!(loaded.diagnostics.changes(), notes, "{name}: {said}");
        assert!(loaded.diagnostics.iter().all(|d| d.code.id() == "N0622"), "{said}");
        assert!(!format!("{:?}", loaded.diagnostics).contains("hunter2"), "{said}");
    }
}

#[test]
fn images() {
    insta::assert_snapshot!(said(
        "\
services:
  s:
    image: shop/web
    instances:
      s-1: {ship: a}
      s-2: {ship: b}
  own:
    image: never-used
    instances:
      o-1: {ship: a, image: 'reg.example.org:5000/x'}
      o-2: {ship: a, image: 'x@sha256:0123456789012345678901234567890123456789012345678901234567890123'}
  empty: {image: bb, instances: {}}
"
    ));
}

#[test]
fn values_and_ports() {
    insta::assert_snapshot!(instance(
        "ports: {w: '7-8:17-18', x: {exposed: 1-2, external: 3-4}}, labels: {a: 1, b: ~, c: d}, dns: [5], \
         cap_drop: 5, workdir: 5, privileged: 1, limits: {cpu: '3'}, ulimits: {nofile: yes}, stop_timeout: '3', \
         container_volumes: ~"
    ));
}

#[test]
fn what_is_refused_says_that_maestro_ng_read_it() {
    insta::assert_snapshot!(said(
        "\
services:
  s:
    image: bb:1
    instances:
      x: {ship: a}
      s-1: {ship: a, ports: {w: 99999, x: 80/sctp}, limits: {memory: 1048576.5}, privileged: 'no'}
      s-2: {ship: a, image: Bad, stop_timeout: soon, lxc_conf: {a: b}}
audit:
  - {type: http, endpoint: 'ftp://h', payload: {a: 1}}
  - {type: hipchat, room: r, token: hunter2}
"
    ));
}

#[test]
fn ships() {
    assert_eq!(said("services: {}\n"), "");
    let text = "\
name: t
ship_defaults: {ssl_version: PROTOCOL_TLSv1_2}
ships:
  plain: {ip: h, api_version: 1.41}
  quoted: {ip: h, api_version: '1.30'}
  tls: {ip: h, tls: true, tls_cert: c, tls_key: k}
  zero: {ip: h, api_version: 1.30}
  old: {ip: h, api_version: 1.20}
  older: {ip: h, api_version: '1.18'}
  far: {ip: h, ssh_tunnel: {user: u, key: k}}
  farther: {ip: h, ssh_tunnel: {user: u, key: k, port: 22}}
services: {}
";
    let loaded = load_compared(&MapSources::of(text), &Limits::default());
    insta::assert_snapshot!(show(&loaded.diagnostics, &loaded.sources));
}

#[test]
fn registries() {
    insta::assert_snapshot!(said(
        "\
registries:
  same.example.org: {registry: 'https://same.example.org', username: u, password: hunter2, email: ~}
  alias: {registry: 'https://reg.example.org:5000', username: u, password: hunter2, email: ~}
  tries: {registry: 'https://tries', retry: {attempts: 0, when: [500]}}
  brief: {registry: 'https://brief', username: u}
  unused: {registry: 'https://unused', username: u, retry: {when: [500]}}
  none: {registry: 'https://none', retry: {attempts: 3, when: []}}
services:
  s:
    image: bb:1
    instances:
      s-1: {ship: a, image: 'same.example.org/x:1'}
      s-2: {ship: a, image: 'alias/x:1'}
      s-3: {ship: a, image: 'reg.example.org/x:1'}
      s-4: {ship: a, image: 'tries/x:1'}
      s-5: {ship: a, image: 'brief/x:1'}
      s-6: {ship: a, image: 'none/x:1'}
"
    ));
}

#[test]
fn volumes_give_an_order() {
    insta::assert_snapshot!(said(
        "\
services:
  s:
    image: bb:1
    requires: [far]
    instances:
      s-1: {ship: a}
      s-2: {ship: a, volumes_from: s-1}
      s-3: {ship: a, volumes_from: [t-1, db-1]}
  far: {image: 'bb:1', requires: [db], instances: {}}
  db: {image: 'bb:1', instances: {db-1: {ship: a}}}
  t: {image: 'bb:1', instances: {t-1: {ship: a}}}
"
    ));
}

#[test]
fn circles_of_services() {
    assert_eq!(
        codes(
            "services:\n  a: {image: 'b:1', requires: [b], instances: {}}\n  b: {image: 'b:1', requires: [a], instances: {}}\n"
        ),
        ["E0403"]
    );
    assert!(
        said("services: {a: {image: 'b:1', requires: [a], instances: {}}}\n")
            .contains("maestro-ng 0.8.3 reads")
    );
}

#[test]
fn replicas_are_maestros_own() {
    insta::assert_snapshot!(
        said("services:\n  web: {image: 'b:1', replicas: 2, place: {ships: a}}\n  x: {image: 'b:1', omit: yes, instances: {x-1: {ship: a}}}\n"),
        @r#"
    N0623 `replicas` of service `web`, and `place`, are Maestro's own
      maestro.yaml:7:33 "2"
      note: maestro-ng 0.8.3 knows neither, and does not read the file: each service needs its `instances`
      help: nothing to do, unless maestro-ng is to read this file, too
    "#
    );
    assert_eq!(codes("services: {x: {image: 'b:1', replicas: ~, instances: {x-1: {ship: a}}}}\n"), [""; 0]);
}

#[test]
fn commands_without_names_may_have_nothing_to_do() {
    let service = |name: &str, more: &str| {
        format!("  {name}: {{image: 'b:1', instances: {{{name}-1: {{ship: a}}}}{more}}}\n")
    };
    let both = format!("services:\n{}{}", service("one", ", omit: yes"), service("two", ", omit: yes"));
    insta::assert_snapshot!(said(&both), @r#"
    N0604 without names, commands have nothing to do: every service that has instances is omitted
      maestro.yaml:6:1 "services"
      note: maestro-ng 0.8.3 acts on everything then, with `start` and `clean` as with `stop --all`
      help: name services or instances in scripts, or take `omit` away from some
    "#);
    assert_eq!(codes(&format!("{both}  empty: {{image: 'b:1', instances: {{}}}}\n")), ["N0604"]);
    assert_eq!(said(&format!("{both}{}", service("three", ""))), "");
    assert_eq!(said("services: {e: {image: 'b:1', omit: yes, instances: {}}}\n"), "");
}

#[test]
fn checks() {
    insta::assert_snapshot!(said("\
services:
  s:
    image: bb:1
    ports: {w: 80}
    lifecycle:
      running:
        - {type: http, port: w, host: 192.0.2.9, requests_options: {json: {a: hunter2}, nosuch: 1, timeout: 2}}
        - {type: http, port: w, host: 192.0.2.1}
    instances:
      s-1: {ship: a, lifecycle: {running: [{type: sleep, wait: 1}], stopped: [{type: sleep, wait: 1}]}}
      s-2: {ship: a}
      s-3: {ship: a, lifecycle: {running: [{type: sleep, wait: 1}]}}
"));
}

/// Who has its own takes nothing from its service.
#[test]
fn what_every_instance_has_of_its_own_is_not_noted_at_the_service() {
    let service = |second: &str| {
        format!(
            "services:\n  s:\n    image: bb:1\n    ports: {{w: '7-8', 5: '9-10'}}\n    limits: {{cpu: '3'}}\n    instances:\n\
             \x20     s-1: {{ship: a, ports: {{w: 7, 5: 9}}, limits: {{cpu: 3}}}}\n\
             \x20     s-2: {{ship: b, {second}}}\n"
        )
    };
    assert_eq!(said(&service("ports: {w: 7, 5: 9}, limits: {cpu: ~}")), "");
    assert_eq!(codes(&service("ports: {w: 7, 5: 9}, limits: {memory: 3}")), ["N0613"]);
    assert_eq!(codes(&service("ports: {v: 8}, limits: {cpu: 1}")), ["N0603", "N0603"]);
}

/// maestro-ng takes the host out of what an alias stands for, and other instances of it have none.
#[test]
fn hosts_of_checks_that_are_shared() {
    let file = |services: &str| {
        format!("x-http: &c {{type: http, port: 80, host: &h 192.0.2.9}}\nservices:\n{services}")
    };
    let one = |name: &str, ship: &str, check: &str| {
        format!(
            "  {name}: {{image: 'bb:1', instances: {{{name}-1: {{ship: {ship}, lifecycle: {{running: [{check}]}}}}}}}}\n"
        )
    };
    let whole = |name: &str, ship: &str| {
        format!(
            "  {name}: {{image: 'bb:1', lifecycle: {{running: [*c]}}, instances: {{{name}-1: {{ship: {ship}}}}}}}\n"
        )
    };
    assert_eq!(said(&file(&one("s", "a", "*c"))), "");
    insta::assert_snapshot!(said(&file(&format!("{}{}", one("s", "a", "*c"), one("t", "a", "*c")))), @r#"
    N0606 this `running` check asks this host wherever an alias stands for it
      maestro.yaml:6:44 "192.0.2.9"
      note: maestro-ng 0.8.3 asks it for the first instance only, and the `ip` of its ship for each of the others
      help: if each shall be asked at its own ship, remove `host`
    "#);
    assert_eq!(codes(&file(&format!("{}{}", whole("s", "a"), whole("t", "a")))), ["N0606"]);
    assert_eq!(said(&file(&whole("s", "a"))), "");
    // The alias is of the host alone.
    let own = "{type: http, port: 80, host: *h}";
    assert_eq!(said(&file(&format!("{}{}", one("s", "a", own), one("t", "a", own)))), "");
    // The ship's own address is what maestro-ng asks, too.
    let same =
        file(&format!("{}{}", one("s", "a", "*c"), one("t", "a", "*c"))).replace("192.0.2.9", "192.0.2.1");
    assert_eq!(said(&same), "");
}

/// Each of thousands would have to be followed through all others.
#[test]
fn chains_of_services_are_followed_for_a_while() {
    let mut text = "services:\n  src: {image: 'bb:1', instances: {src-1: {ship: a}}}\n".to_owned();
    for number in 0..2_500 {
        writeln!(
            text,
            "  s{number}: {{image: 'bb:1', requires: [{}], instances: {{i-{number}: {{ship: a, volumes_from: src-1}}}}}}",
            if number == 0 { String::new() } else { format!("s{}", number - 1) }
        )
        .unwrap();
    }
    let loaded = load_compared(&MapSources::of(format!("{HEAD}{text}")), &Limits::default());
    let changes = loaded.diagnostics.changes();
    assert!((1_500..2_500).contains(&changes), "{changes}");
}

#[test]
fn auditors() {
    insta::assert_snapshot!(said(
        "\
services:
  s:
    image: bb:1
    instances: {s-1: {ship: a}, s-2: {ship: a}, s-3: {ship: a}, s-4: {ship: a}, s-5: {ship: a}}
audit:
  - {type: log, file: x}
  - {type: log, file: y, level: debug}
  - {type: http, endpoint: 'http://h/hunter2', level: debug, ignore_errors: true}
  - {type: exec, script: ./a}
  - {type: exec, script: ./b, args: '{what}'}
  - {type: exec, script: ./c, args: '{what}', timeout: 5}
  - {type: slack, channel: c, token: hunter2}
"
    ));
}

#[test]
fn one_place_of_a_loop_is_one_note() {
    insta::assert_snapshot!(said(
        "\
services:
  s:
    image: bb:1
    instances:
    {% for i in range(4) %}
      s-{{ i }}:
        ship: a
        image: shop
    {% endfor %}
"
    ));
}

#[test]
fn without_being_asked_nothing_is_noted() {
    let text = format!(
        "{HEAD}services: {{s: {{image: bb, instances: {{s-1: {{ship: a, lxc_conf: {{a: b}}}}}}}}}}\n"
    );
    let loaded = load(&MapSources::of(text), &Limits::default());
    assert!(loaded.diagnostics.iter().all(|d| d.severity != Severity::Note && d.notes.is_empty()));
}

#[test]
fn no_note_quotes_a_secret() {
    let sources = MapSources::of(format!(
        "{HEAD}\
registries:
  alias: {{registry: 'https://reg', username: u, password: hunter2, retry: {{when: [500]}}}}
services:
  s:
    image: alias/web
    lifecycle:
      running:
        - {{type: http, port: 80, host: '{{{{ env.LOGIN }}}}@h', requests_options: {{cookies: hunter2}}}}
    instances: {{s-1: {{ship: a, labels: {{token: 12341234}}}}, s-2: {{ship: b}}}}
audit:
  - {{type: http, endpoint: 'http://h/hunter2', level: debug}}
  - {{type: slack, token: hunter2, channel: c, level: debug}}
"
    ));
    let loaded = load_compared(&sources.with_variable("LOGIN", "u:hunter2"), &Limits::default());
    assert!(loaded.diagnostics.changes() >= 7, "{}", show(&loaded.diagnostics, &loaded.sources));
    for diagnostic in loaded.diagnostics.iter() {
        let said = format!("{diagnostic:?}");
        assert!(!said.contains("hunter2") && !said.contains("1234"), "{said}");
    }
}

/// What stands behind the services, and what is noted of it.
#[test]
fn single_auditors() {
    let file = |lines: &str| codes(&format!("services: {{}}\naudit: [{lines}]\n"));
    for (lines, expected) in [
        ("{type: log, file: x, level: 10}", &["N0619"][..]),
        ("{type: log, file: x, level: 10.0}", &["N0619"]),
        ("{type: log, file: x, level: 11}", &[]),
        ("{type: log, file: x, level: 10.5}", &[]),
        ("{type: log, file: x, level: info}", &[]),
        ("{type: log, file: x, level: debug, ignore_errors: true}", &[]),
        ("{type: log, file: x, level: debug, ignore_errors: false}", &["N0619"]),
        ("{type: log, file: x}, {type: log, file: y}, {type: log, file: z}", &["N0615"]),
        ("{type: exec, script: x, args: ''}", &["N0616"]),
        ("{type: exec, script: x, args: a}", &["N0617"]),
        ("{type: exec, script: x, args: a, timeout: ~}", &["N0617"]),
        ("{type: exec, script: x, args: a, timeout: 9}", &[]),
        ("{type: slack, channel: c, token: t}", &[]),
    ] {
        assert_eq!(file(lines), expected, "{lines}");
    }
}

#[test]
fn single_ships() {
    let file = |defaults: &str, ship: &str| {
        let text = format!(
            "name: t\nship_defaults: {{{defaults}}}\nships: {{a: {{ip: h{ship}}}}}\nservices: {{}}\n"
        );
        let loaded = load_compared(&MapSources::of(text), &Limits::default());
        show(&loaded.diagnostics, &loaded.sources)
    };
    let code = |defaults: &str, ship: &str| file(defaults, ship).get(..5).unwrap_or_default().to_owned();
    let tls = ", tls: yes, tls_cert: c, tls_key: k";
    assert_eq!(code("ssl_version: 5", ""), "");
    assert_eq!(code("ssl_version: 5", tls), "N0611");
    assert_eq!(code("ssl_version: 5", &format!("{tls}, ssl_version: ~")), "");
    assert_eq!(code("api_version: 1.40", ""), "N0612");
    assert_eq!(code("api_version: 1.40", ", api_version: '1.40'"), "");
    assert_eq!(code("", ", ssh_tunnel: {}"), "");
    let tunnel = ", ssh_tunnel: {user: u, key: k, port: ~}";
    assert!(file("", tunnel).contains("without `port:`"), "{}", file("", tunnel));
    assert!(!file("", &tunnel.replace('~', "22")).contains("without `port:`"));
}

/// The older name of the key counts only where the other one is not there.
#[test]
fn commands_by_their_older_name() {
    assert!(instance("cmd: [sleep, 1]").contains("N0613"));
    assert_eq!(instance("cmd: [sleep, 1], command: sleep 1"), "");
}

/// What is computed elsewhere is not the name.
#[test]
fn names_behind_computed_text() {
    for text in ["x-a: {{ env.SITE }}\nname: t\n", "name: t\nx-a: {{ env.SITE }}\n"] {
        let sources = MapSources::of(format!("{text}ships: {{a: {{ip: h}}}}\nservices: {{}}\n"))
            .with_variable("SITE", "somewhere");
        assert_eq!(load_compared(&sources, &Limits::default()).diagnostics.changes(), 0, "{text}");
    }
}

#[test]
fn checks_of_states_that_are_never_run_go_nowhere() {
    let file = |state: &str| {
        let check = format!("lifecycle: {{{state}: [{{type: sleep, wait: 1}}]}}");
        let others: String = ["b", "c", "d", "e"].map(|name| format!(", s-{name}: {{ship: b}}")).concat();
        said(&format!(
            "services: {{s: {{image: 'b:1', {check}, instances: {{s-a: {{ship: a, {check}}}{others}}}}}}}\n"
        ))
    };
    assert!(!file("resting").contains("N0605"), "{}", file("resting"));
    assert!(
        file("running").contains("if `s-b`, `s-c`, `s-d` and 1 more shall pass them"),
        "{}",
        file("running")
    );
}

#[test]
fn registries_without_a_login_send_none() {
    let text = "registries: {r: {registry: 'https://reg:5000'}}\n\
                services: {s: {image: 'r/x:1', instances: {s-1: {ship: a}}}}\n";
    assert_eq!(said(text), "");
}

/// Keys of an instance, and the code of the note that each gives, if any.
const KEYS: [(&str, &str); 36] = [
    ("image: shop", "N0601"),
    ("image: 'shop:1'", ""),
    ("image: 'x@sha256:0123456789012345678901234567890123456789012345678901234567890123'", "N0602"),
    ("image: 'h:5000/shop'", "N0601"),
    ("ports: {w: '7-8'}", "N0603"),
    ("ports: {w: '7-7:8-8'}", "N0603"),
    ("ports: {w: '7:8-9'}", ""),
    ("ports: {w: {exposed: 7, external: [127.0.0.1, 8]}}", ""),
    ("labels: {a: 1}", "N0613"),
    ("labels: {a: '1'}", ""),
    ("labels: [a]", ""),
    ("stop_timeout: '3'", "N0614"),
    ("stop_timeout: 3", ""),
    ("privileged: 1", "N0613"),
    ("privileged: yes", ""),
    ("privileged: 1.0", "N0613"),
    ("cap_add: no", ""),
    ("cap_drop: []", ""),
    ("dns: [5]", "N0613"),
    ("dns: '5'", ""),
    ("limits: {cpu: '5', memory: 5m}", "N0613"),
    ("limits: {cpu: 5, memory: '5'}", ""),
    ("volumes_from: s-1", "N0610"),
    ("volumes_from: db-1", ""),
    ("volumes_from: other-1", "N0610"),
    ("volumes_from: []", ""),
    ("limits: {cpu: 2.0}", "N0613"),
    ("limits: {memory: 1024.0}", "N0613"),
    ("limits: {swap: yes}", "N0613"),
    ("net: 5", "N0613"),
    ("net: host", ""),
    ("command: [sleep, 3600]", "N0613"),
    ("command: 3600", "N0613"),
    ("ports: {w: {exposed: 7, external: 8-9}}", ""),
    ("command: ['3600', a]", ""),
    ("command: a 3600", ""),
];

proptest! {
    /// Whatever stands together: each place has its own note, and no other has one.
    #[test]
    fn every_place_has_its_note_and_no_other(
        chosen in proptest::sample::subsequence(&KEYS[..], 0..KEYS.len()),
        loops in any::<bool>(),
    ) {
        let mut keys = BTreeMap::new();
        for (line, code) in chosen {
            keys.insert(line.split(':').next().unwrap(), (line, code));
        }
        let lines: String = keys.values().fold(String::new(), |text, (line, _)| text + "        " + line + "\n");
        let (begin, end) =
            if loops { ("    {% for name in ['s-2'] %}\n      {{ name }}:\n", "    {% endfor %}\n") } else { ("      s-2:\n", "") };
        let text = format!(
            "services:\n  s:\n    image: bb:1\n    requires: [db]\n    instances:\n      s-1: {{ship: a}}\n{begin}        ship: a\n{lines}{end}\
             \n  db: {{image: 'bb:1', instances: {{db-1: {{ship: a}}}}}}\n  other: {{image: 'bb:1', instances: {{other-1: {{ship: a}}}}}}\n"
        );
        let mut expected: Vec<&str> = keys.values().map(|(_, code)| *code).filter(|code| !code.is_empty()).collect();
        let mut found = codes(&text);
        found.sort();
        expected.sort_unstable();
        prop_assert_eq!(found, expected, "{}", said(&text));
    }
}

#[test]
fn there_is_an_end_to_notes() {
    let mut text =
        "labels: &l {a: 1}\nservices:\n  s:\n    image: bb:1\n    lifecycle: {stopped: []}\n    instances:\n"
            .to_owned();
    for number in 0..12_000 {
        let keys = "ship: a, image: bb, labels: *l, lifecycle: {stopped: [{type: sleep, wait: 1}]}";
        writeln!(text, "      s-{number}: {{{keys}}}").unwrap();
    }
    let loaded = load_compared(&MapSources::of(format!("{HEAD}{text}")), &Limits::default());
    assert_eq!(loaded.diagnostics.changes(), 10_000);
    let found: Vec<_> = loaded.diagnostics.iter().filter(|d| d.code.id() == "N0613").collect();
    assert_eq!(found.len(), 1, "{found:?}");
}
